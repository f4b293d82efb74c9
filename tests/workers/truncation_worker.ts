/** Reads and writes a file that is cut and lengthened all the time, until the time is over. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type MmapFile,
  openSync,
  OutOfBoundsError,
  TruncatedError,
} from "../../mod.ts";

/** Shared by all workers: operations, truncations found, refreshes. */
export type Counts = Int32Array<SharedArrayBuffer>;

/** What a worker is told. */
export interface Work {
  readonly path: string;
  readonly counts: Counts;
  /** When to stop, as `Date.now()` tells it. */
  readonly end: number;
  readonly seed: number;
}

const page = new Uint8Array(4096).fill(1);
const large = new Uint8Array(1 << 20).fill(1);

/** A number from 0 to below the given one. */
type Random = (limit: number) => number;

const operations: ((file: MmapFile, below: Random) => unknown)[] = [
  (file, below) => file.readAtSync(page, below(file.size)),
  (file, below) => file.readAtSync(large, below(file.size)),
  (file, below) => file.writeAtSync(page, below(file.size)),
  (file, below) => file.writeAtSync(large, below(file.size)),
  (file, below) => {
    const bytes = file.bytes(below(file.size));
    const end = Math.min(bytes.length, 8 << 20);
    let sum = 0;
    for (let i = 0; i < end; i += 64) sum += bytes[i];
    return sum + file.readAtSync(page, 0)!;
  },
  (file) => file.indexOf("no such thing"),
  (file) => file.lines().next(),
];

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data }: MessageEvent<Work>) => {
  const { path, counts, end, seed } = data;
  let state = seed;
  const below: Random = (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
  const open = () =>
    openSync(path, { read: true, write: true, grow: below(2) === 0 });
  let file = open();
  scope.postMessage("started");
  while (Date.now() < end) {
    // Deno stops only who lets go now and then.
    await sleep();
    for (let i = 0; i < 20; i++) {
      Atomics.add(counts, 0, 1);
      try {
        operations[below(operations.length)](file, below);
        if (below(10) === 0) file.refresh();
        if (below(100) === 0) {
          file.close();
          file = open();
        }
      } catch (error) {
        if (error instanceof OutOfBoundsError) continue;
        if (!(error instanceof TruncatedError)) throw error;
        Atomics.add(counts, 1, 1);
        if (file.closed) file = open();
        file.refresh();
        Atomics.add(counts, 2, 1);
      }
    }
  }
  file.close();
  scope.postMessage("ended");
};
