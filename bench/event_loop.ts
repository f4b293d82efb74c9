#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * How late a timer comes that is due each millisecond while 512 MB are flushed, prefetched, streamed or
 * read in a loop: the median of some runs, with `Deno.FsFile` and `MmapFile` by turns.
 *
 * @module
 */

import { openSync } from "../mod.ts";
import { coldTable } from "./cold_reads.ts";
import { delaysDuring } from "./delays.ts";
import { evict, makeFile, makeFolder } from "./files.ts";
import { quantile, table } from "./measure.ts";

const SIZE = 512 << 20;
const RUNS = 5;

/** What is done, and how what must be ready for it is made so, unmeasured. */
interface Task {
  before?(path: string): void;
  run(path: string): Promise<void>;
}

const TASKS: Record<string, { fsFile: Task; mmapFile: Task }> = {
  "nothing: a second's sleep": { fsFile: sleep(), mmapFile: sleep() },
  "sync(), 512 MB just written": {
    fsFile: {
      before: rewrite,
      async run(path) {
        using file = Deno.openSync(path, { write: true });
        await file.sync();
      },
    },
    mmapFile: {
      before: rewrite,
      async run(path) {
        using file = openSync(path, { write: true });
        await file.sync();
      },
    },
  },
  "prefetch(), or read through": {
    fsFile: {
      before: evict,
      async run(path) {
        using file = Deno.openSync(path);
        const buffer = new Uint8Array(1 << 20);
        while (await file.read(buffer) !== null);
      },
    },
    mmapFile: {
      before: evict,
      async run(path) {
        using file = openSync(path);
        await file.prefetch();
      },
    },
  },
  "readable, drained": {
    fsFile: { run: (path) => drain(Deno.openSync(path).readable) },
    mmapFile: { run: (path) => drain(openSync(path).readable) },
  },
  "readable, drained, not in memory": {
    fsFile: {
      before: evict,
      run: (path) => drain(Deno.openSync(path).readable),
    },
    mmapFile: { before: evict, run: (path) => drain(openSync(path).readable) },
  },
  "for await over lines(), or readable, not in memory": {
    fsFile: {
      before: evict,
      run: (path) => drain(Deno.openSync(path).readable),
    },
    mmapFile: { before: evict, run: countLines },
  },
  "await read of 4 KiB, for a second": {
    fsFile: { run: (path) => readOn(Deno.openSync(path)) },
    mmapFile: { run: (path) => readOn(openSync(path)) },
  },
};

/** The table of the delays, in Markdown. */
export async function delayTable(): Promise<string> {
  const folder = makeFolder();
  try {
    const path = makeFile(folder, SIZE);
    const rows: string[][] = [];
    for (const [name, { fsFile, mmapFile }] of Object.entries(TASKS)) {
      const fsFileRuns: number[][] = [];
      const mmapFileRuns: number[][] = [];
      for (let run = 0; run < RUNS; run++) {
        fsFileRuns.push(await delaysOf(fsFile, path));
        mmapFileRuns.push(await delaysOf(mmapFile, path));
      }
      rows.push([name, ...summary(fsFileRuns), ...summary(mmapFileRuns)]);
    }
    return table([
      ["delay of a timer", "Deno.FsFile", "99 %", "MmapFile", "99 %"],
      ...rows,
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function delaysOf(task: Task, path: string): Promise<number[]> {
  task.before?.(path);
  return delaysDuring(() => task.run(path));
}

/** The worst delay and the 99th percentile, each the median of some runs. */
function summary(runs: number[][]): string[] {
  return [1, 0.99].map((part) => {
    const ms = quantile(runs.map((delays) => quantile(delays, part)), 0.5);
    return `${ms.toFixed(1)} ms`;
  });
}

function sleep(): Task {
  return { run: () => new Promise((resolve) => setTimeout(resolve, 1000)) };
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/** Makes all of a file's pages dirty. */
function rewrite(path: string): void {
  const block = new Uint8Array(1 << 20).fill(1);
  using file = Deno.openSync(path, { write: true });
  for (let left = SIZE; left > 0;) left -= file.writeSync(block);
}

async function countLines(path: string): Promise<void> {
  using file = openSync(path);
  let bytes = 0;
  for await (const line of file.lines()) bytes += line.length;
  if (bytes === 0) throw new Error("There is not a line");
}

async function readOn(file: Deno.FsFile): Promise<void> {
  const buffer = new Uint8Array(4 << 10);
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    if (await file.read(buffer) === null) file.seekSync(0, 0);
  }
  file.close();
}

if (import.meta.main) {
  console.log(await delayTable());
  console.log(await coldTable());
}
