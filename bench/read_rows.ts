/**
 * Files read: in order, at positions, by workers, warm and at the first touch.
 *
 * @module
 */

import { makeFile } from "./files.ts";
import type { Job } from "./parallel_worker.ts";
import { GB, KB, MB, PIECE, type Row, rowsOfSizes } from "./rows.ts";

export const ROWS: readonly Row[] = [
  ...rowsOfSizes("Read", [20, 6, 3.5, 3.5, 3.2, 1.25, 1.25, 1.25], readFile),
  ...rowsOfSizes("ReadAt", [15, 6.5, 4.8, 4.8, 4.8, 1.6, 1.6, 1.6], readFileAt),
  ...rowsOfSizes("ReadAt parallel", Array(8).fill(5), readParallel)
    .map((row) => ({ ...row, count: 20_000 })),
  firstTouchRow("100 MB", 100 * MB),
  firstTouchRow("1 GB", GB),
  randomRow("1 MB", 1 * MB, 3),
  randomRow("256 MB", 256 * MB, 1),
  { ...randomRow("1 GB", GB, 1), long: true },
];

/** All of a file, 4 KiB at a time. */
function readFile(size: number): Row["prepare"] {
  return (side, folder) => {
    const file = side.openSync(makeFile(folder, size));
    const buffer = new Uint8Array(PIECE);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          file.seekSync(0, Deno.SeekMode.Start);
          for (let n; (n = file.readSync(buffer)) !== null;) sum += n;
        }
        return sum + buffer[1];
      },
      close: () => file.close(),
    };
  };
}

function readFileAt(size: number): Row["prepare"] {
  return (side, folder) => {
    const file = side.openSync(makeFile(folder, size));
    const buffer = new Uint8Array(PIECE);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          for (let at = 0; at < size; at += PIECE) {
            sum += side.readAtSync(file, buffer, at)!;
          }
        }
        return sum + buffer[1];
      },
      close: () => file.close(),
    };
  };
}

/** The first 4 KiB of a file, by two workers at once, each `count` times. */
function readParallel(size: number): Row["prepare"] {
  return (side, folder) => {
    const workers = startReaders(side.name, makeFile(folder, size));
    return {
      async run(count) {
        const sums = await Promise.all(
          workers.map((worker) => readIn(worker, count)),
        );
        return sums.reduce((total, sum) => total + sum);
      },
      close: () => endReaders(workers),
    };
  };
}

/** Two workers that have a file open. */
export function startReaders(side: string, path: string): Worker[] {
  return [1, 2].map(() => {
    const url = new URL("./parallel_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    worker.postMessage({ side, path } satisfies Job);
    return worker;
  });
}

/** Has a worker read its file's first 4 KiB `count` times. */
export function readIn(worker: Worker, count: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
  worker.postMessage(count satisfies Job);
  return promise;
}

export function endReaders(workers: Worker[]): void {
  for (const worker of workers) worker.postMessage(null satisfies Job);
}

/** A file read once after it was opened: its pages are in the cache, but not in the mapping. */
function firstTouchRow(name: string, size: number): Row {
  return {
    family: "First touch",
    name: `Read ${name}, first touch`,
    target: 1,
    long: size > 100 * MB,
    count: 1,
    prepare(side, folder) {
      const path = makeFile(folder, size);
      const buffer = new Uint8Array(PIECE);
      let file = side.openSync(path);
      return {
        before() {
          file.close();
          file = side.openSync(path);
        },
        run() {
          let sum = 0;
          for (let n; (n = file.readSync(buffer)) !== null;) sum += n;
          return sum + buffer[1];
        },
        close: () => file.close(),
      };
    },
  };
}

function randomRow(name: string, size: number, target: number): Row {
  return {
    family: "Random",
    name: `ReadAt 4 KiB at random in ${name}`,
    target,
    count: 1000,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, size));
      const buffer = new Uint8Array(PIECE);
      const offsets = randomOffsets(size - PIECE);
      // All of it is touched before it is measured.
      for (let at = 0; at < size; at += PIECE) {
        side.readAtSync(file, buffer, at);
      }
      let next = 0;
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            const offset = offsets[next++ % offsets.length];
            sum += side.readAtSync(file, buffer, offset)! + buffer[0];
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  };
}

/** Numbers from 0 to `limit`, the same each time, and more of them than a cache holds pages. */
function randomOffsets(limit: number): Uint32Array {
  const offsets = new Uint32Array(64 * KB);
  let state = 1;
  for (let i = 0; i < offsets.length; i++) {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    offsets[i] = Math.floor(state / 2 ** 32 * limit);
  }
  return offsets;
}
