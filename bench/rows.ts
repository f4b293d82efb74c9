/**
 * What is measured, each row once: `deno bench` and `pairs.ts` run the same.
 *
 * @module
 */

import { makeFile, type Side } from "./sides.ts";

/** The theme of a row, which names the file that benches it: `read_bench.ts`. */
export type Theme = "read" | "write" | "async" | "stat_seek" | "open";

/** One comparison. */
export interface Row {
  readonly theme: Theme;
  readonly name: string;
  /** How many times as fast as `Deno.FsFile` it has to be. */
  readonly target: number;
  /** Opens what is needed, which is not measured. */
  prepare<File extends Deno.FsFile>(side: Side<File>, folder: string): Work;
}

/** What is measured of a row. */
export interface Work {
  /** Does it `count` times. The result depends on all that was done, and is the same on both sides. */
  run(count: number): number | Promise<number>;
  close(): void;
}

const KB = 1024;
const MB = 1024 * KB;
/** What is read at a time. */
const PIECE = 4 * KB;

/** All that is measured, in the order of the table. */
export const ROWS: readonly Row[] = [
  wholeFileRow("readSync: a 1 KB file to its end", 1 * KB, 10),
  wholeFileRow("readSync: a 1 MB file to its end, 4 KiB each", 1 * MB, 3),
  randomRow("readAtSync: 4 KiB at random in 1 MB", 1 * MB, 3),
  randomRow("readAtSync: 4 KiB at random in 256 MB", 256 * MB, 3),
  {
    theme: "write",
    name: "writeSync: 1 KB at the start",
    target: 15,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, 1 * KB), {
        read: true,
        write: true,
      });
      const data = new Uint8Array(1 * KB).fill(7);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            file.seekSync(0, Deno.SeekMode.Start);
            sum += file.writeSync(data);
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  },
  {
    theme: "stat_seek",
    name: "seekSync",
    target: 20,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, 1 * MB));
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            sum += file.seekSync(i, Deno.SeekMode.Start);
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  },
  {
    theme: "async",
    name: "await read: 4 KiB",
    target: 40,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, 1 * MB));
      const buffer = new Uint8Array(PIECE);
      const pieces = 1 * MB / PIECE;
      return {
        async run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            if (i % pieces === 0) file.seekSync(0, Deno.SeekMode.Start);
            sum += await file.read(buffer) ?? 0;
          }
          return sum + buffer[0];
        },
        close: () => file.close(),
      };
    },
  },
  {
    theme: "stat_seek",
    name: "statSync",
    target: 1,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, 1 * MB));
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += file.statSync().size;
          return sum;
        },
        close: () => file.close(),
      };
    },
  },
  {
    theme: "open",
    name: "openSync and close: a 1 MB file",
    target: 1 / 3,
    prepare(side, folder) {
      const path = makeFile(folder, 1 * MB);
      return {
        run(count) {
          for (let i = 0; i < count; i++) side.openSync(path).close();
          return count;
        },
        close() {},
      };
    },
  },
];

function wholeFileRow(name: string, size: number, target: number): Row {
  return {
    theme: "read",
    name,
    target,
    prepare(side, folder) {
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
    },
  };
}

function randomRow(name: string, size: number, target: number): Row {
  return {
    theme: "read",
    name,
    target,
    prepare(side, folder) {
      const file = side.openSync(makeFile(folder, size));
      const buffer = new Uint8Array(PIECE);
      const offsets = randomOffsets(size - PIECE);
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
  const offsets = new Uint32Array(1 << 16);
  let state = 1;
  for (let i = 0; i < offsets.length; i++) {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    offsets[i] = Math.floor(state / 2 ** 32 * limit);
  }
  return offsets;
}
