/** Files mapped with mmap(2), the SIGBUS handler, and the guard's tables. */

import { closeSync, openSync } from "node:fs";
import {
  libc,
  MAP_PRIVATE,
  MAP_SHARED,
  platform,
  PROT_READ,
  PROT_WRITE,
} from "../../src/posix/libc.ts";
import { NAMES } from "../../src/sigbus/guard.ts";

export const PAGE = libc().getpagesize();
export const SIGBUS = 7;
const ACTION_SIZE = 152;

/** A file of `size` bytes, each 7 unless it is large, mapped shared. */
export class MappedFile {
  readonly fd: number;
  readonly address: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;

  /** `at` is the address to map it at, if the system can. */
  constructor(size: number, filled = true, at = 0n) {
    const path = Deno.makeTempFileSync({ prefix: "guard-" });
    this.fd = openSync(path, "r+");
    Deno.removeSync(path);
    libc().ftruncate(this.fd, BigInt(size));
    this.address = map(size, MAP_SHARED, this.fd, at);
    this.bytes = new Uint8Array(bufferAt(this.address, size));
    if (filled) this.bytes.fill(7);
  }

  /** As another process does it. */
  truncate(size: number): void {
    libc().ftruncate(this.fd, BigInt(size));
  }

  /** After this `bytes` must not be touched. */
  close(): void {
    libc().munmap(this.address, BigInt(this.bytes.length));
    closeSync(this.fd);
  }
}

/** Anonymous memory. */
export function anonymous(size: number): bigint {
  return map(size, MAP_PRIVATE | platform!.MAP_ANONYMOUS, -1);
}

function map(size: number, flags: number, fd: number, at = 0n): bigint {
  const prot = PROT_READ | PROT_WRITE;
  const address = libc().mmap(at, BigInt(size), prot, flags, fd, 0n);
  if (BigInt.asIntN(64, address) === -1n) throw new Error("mmap failed");
  return address;
}

export function bufferAt(address: bigint, size: number): ArrayBuffer {
  const pointer = Deno.UnsafePointer.create(address)!;
  return Deno.UnsafePointerView.getArrayBuffer(pointer, size);
}

/** How many mappings this process has. */
export function countMappings(): number {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").length - 1;
}

/** The handler of SIGBUS: a function's address, 0 (SIG_DFL) or 1 (SIG_IGN). */
export function handler(): bigint {
  const action = new BigUint64Array(ACTION_SIZE / 8);
  libc().sigaction!(SIGBUS, null, action);
  return action[0];
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
  return tables()[0].getInt32(NAMES.USED, true);
}
