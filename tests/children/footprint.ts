/**
 * How much memory a large file, many reads and many files take. Run with a case and a path; prints
 * the bytes that a case has measured.
 */

import { openSync } from "../../mod.ts";
import { collect } from "../gc.ts";

const CASES: Record<string, (path: string) => number | Promise<number>> = {
  /** Anonymous memory that an open adds, the library's first of all. */
  open(path) {
    const before = anonymous();
    using file = openSync(path);
    const added = anonymous() - before;
    if (file.size < 1 << 30) throw new Error("too small a file");
    return added;
  },

  /** The most anonymous memory that reading all of it adds at any time. */
  read(path) {
    using file = openSync(path);
    const buffer = new Uint8Array(4 << 10);
    const before = anonymous();
    let most = 0;
    let reads = 0;
    while (file.readSync(buffer) !== null) {
      if (reads++ % 2048 === 0) most = Math.max(most, anonymous() - before);
    }
    return Math.max(most, anonymous() - before);
  },

  /** Reads a million times. --trace-gc prints whether garbage was collected. */
  async reads(path) {
    using file = openSync(path);
    const buffer = new Uint8Array(4 << 10);
    const read = (count: number) => {
      for (let i = 0; i < count; i++) {
        if (file.readSync(buffer) === null) {
          file.seekSync(0, Deno.SeekMode.Start);
        }
      }
    };
    read(50_000);
    // V8 counts the mapping as memory and looks for garbage once, some time after the open.
    await collect(1);
    read(1_000_000);
    return 0;
  },

  /** JavaScript heap that an open file takes. */
  async files(path) {
    openSync(path).close();
    await collect();
    const before = Deno.memoryUsage().heapUsed;
    const files = Array.from({ length: 10_000 }, () => openSync(path));
    await collect();
    const added = Deno.memoryUsage().heapUsed - before;
    for (const file of files) file.close();
    return added / files.length;
  },
};

const [name, path] = Deno.args as [string, string];
console.log(await CASES[name]!(path));

/** Bytes of anonymous memory that the process has. */
function anonymous(): number {
  const rollup = Deno.readTextFileSync("/proc/self/smaps_rollup");
  return Number(/^Anonymous:\s*(\d+) kB$/m.exec(rollup)![1]) * 1024;
}
