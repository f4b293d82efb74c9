/** What the cases do in workers. */

import { setTimeout as sleep } from "node:timers/promises";
import { guardRange, NAMES } from "../../src/sigbus/guard.ts";
import { anonymous, bufferAt, MappedFile, PAGE } from "./mapped_file.ts";

/** A word of the table that all isolates share, at an offset in the table. */
function word(byteOffset: number): Int32Array {
  const { faults } = guardRange(anonymous(PAGE), PAGE)!;
  return new Int32Array(faults.buffer, byteOffset, 1);
}

const STATE_AFTER_FAULTS = NAMES.STATE - NAMES.FAULTS;

function waitUntil(time: number): void {
  while (Date.now() < time);
}

const tasks = {
  /** Reads a guarded file that was truncated. Returns what it read plus the number of faults. */
  touch() {
    const file = new MappedFile(4 * PAGE);
    const { faults } = guardRange(file.address, 4 * PAGE)!;
    file.truncate(0);
    return file.bytes[PAGE]! + faults[0]!;
  },

  touchAt(soon: number) {
    waitUntil(soon);
    return tasks.touch();
  },

  /** Reads another thread's memory from its end to its start. */
  scan({ soon, address }: { soon: number; address: bigint }) {
    const bytes = new Uint8Array(bufferAt(address, 4096 * PAGE));
    waitUntil(soon);
    let sum = 0;
    for (let at = 4095 * PAGE; at >= 0; at -= PAGE) sum += bytes[at]!;
    return sum;
  },

  touchForever() {
    for (;;) {
      const file = new MappedFile(64 * PAGE);
      const range = guardRange(file.address, 64 * PAGE)!;
      file.truncate(0);
      for (let at = 63 * PAGE; at > 0; at -= PAGE) file.bytes[at]! += 1;
      range.release();
      file.close();
    }
  },

  /** Claims a few slots at a time, marks them, and checks that the marks stay. */
  hammer(id: number) {
    const address = anonymous(100 * PAGE);
    for (let round = 0; round < 3000; round++) {
      const held = Array.from({ length: 1 + round % 100 }, (_, page) => {
        const range = guardRange(address + BigInt(page * PAGE), PAGE)!;
        if (range.faults[0] !== 0) throw new Error("slot claimed twice");
        range.faults[0] = id;
        return range;
      });
      for (const range of held) {
        if (range.faults[0] !== id) throw new Error("slot claimed twice");
        range.release();
      }
    }
    return "ok";
  },

  add(byteOffset: number) {
    const counter = word(byteOffset);
    for (let i = 0; i < 250_000; i++) Atomics.add(counter, 0, 1);
  },

  async writeLater({ address, value }: { address: bigint; value: bigint }) {
    const longs = new BigUint64Array(bufferAt(address, 8));
    await sleep(150);
    longs[0] = value;
  },

  pin(byteOffset: number) {
    Atomics.add(word(byteOffset + STATE_AFTER_FAULTS), 0, 1);
  },

  async unpin(byteOffset: number) {
    const state = word(byteOffset + STATE_AFTER_FAULTS);
    await sleep(150);
    Atomics.sub(state, 0, 1);
  },
};

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data: { task, detail } }) => {
  const run: (detail: never) => unknown = tasks[task as keyof typeof tasks];
  scope.postMessage(await run(detail as never));
};
