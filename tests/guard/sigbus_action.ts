/** The handler of SIGBUS, and the tables of the guards that it is part of. */

import { libc } from "../../src/posix/libc.ts";
import { NAMES } from "../../src/sigbus/guard.ts";
import { bufferAt } from "./mapped_file.ts";

export const SIGBUS = 7;
/** sizeof(struct sigaction) on Linux. */
const ACTION_SIZE = 152;

/** The handler of SIGBUS: a function's address, 0 (SIG_DFL) or 1 (SIG_IGN). */
export function handler(): bigint {
  const action = new BigUint64Array(ACTION_SIZE / 8);
  libc().sigaction!(SIGBUS, null, action);
  return action[0]!;
}

/** Sets the handler of SIGBUS. */
export function setHandler(handler: bigint): void {
  const action = new BigUint64Array(ACTION_SIZE / 8);
  action[0] = handler;
  libc().sigaction!(SIGBUS, action, null);
}

/** The tables of the installed guards, the newest first. */
export function tables(): DataView[] {
  const found = [];
  for (let at = handler(); at > 1n && at % 4096n === 0n;) {
    const table = new DataView(bufferAt(at + BigInt(NAMES.TABLE), 1 << 20));
    found.push(table);
    at = table.getBigUint64(NAMES.PREVIOUS, true);
  }
  return found;
}

/** How many slots were ever used in the newest guard's table. */
export function usedSlots(): number {
  return tables()[0]!.getInt32(NAMES.USED, true);
}
