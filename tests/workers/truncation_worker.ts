/** Reads and writes a file that is truncated and extended repeatedly, until a given time. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  type MmapFile,
  openSync,
  OutOfBoundsError,
  TruncatedError,
} from "../../mod.ts";
import { Random } from "../random.ts";

/** Shared by all workers: operations, truncations found, refreshes. */
export type Counts = Int32Array<SharedArrayBuffer>;

/** The message to a worker. */
export interface Work {
  readonly path: string;
  readonly counts: Counts;
  /** How long to go on after the file is open. */
  readonly seconds: number;
  readonly seed: number;
}

const page = new Uint8Array(4096).fill(1);
const large = new Uint8Array(1 << 20).fill(1);

const operations: ((file: MmapFile, random: Random) => unknown)[] = [
  (file, random) => file.readAtSync(page, random.below(file.size)),
  (file, random) => file.readAtSync(large, random.below(file.size)),
  (file, random) => file.writeAtSync(page, random.below(file.size)),
  (file, random) => file.writeAtSync(large, random.below(file.size)),
  (file, random) => {
    const bytes = file.bytes(random.below(file.size));
    const end = Math.min(bytes.length, 8 << 20);
    let sum = 0;
    for (let i = 0; i < end; i += 64) sum += bytes[i]!;
    return sum + file.readAtSync(page, 0)!;
  },
  (file) => file.indexOf("no such thing"),
  (file) => file.lines().next(),
];

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data }: MessageEvent<Work>) => {
  const { path, counts, seconds, seed } = data;
  const random = new Random(seed);
  const open = () =>
    openSync(path, { read: true, write: true, grow: random.below(2) === 0 });
  let file = open();
  scope.postMessage("started");
  const end = Date.now() + 1000 * seconds;
  while (Date.now() < end) {
    // Deno terminates a worker only while it yields to the event loop.
    await sleep();
    for (let i = 0; i < 20; i++) {
      Atomics.add(counts, 0, 1);
      try {
        operations[random.below(operations.length)]!(file, random);
        if (random.below(10) === 0) file.refresh();
        if (random.below(100) === 0) {
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
