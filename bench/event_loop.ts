#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * How late a timer comes that is due each millisecond while 512 MB are flushed, prefetched or
 * streamed: the worst of some runs, with `Deno.FsFile` and `MmapFile` by turns.
 *
 * @module
 */

import * as fs from "node:fs";
import { openSync } from "../mod.ts";
import { makeFile, makeFolder } from "./files.ts";
import { table } from "./measure.ts";

const SIZE = 512 << 20;
const RUNS = 3;

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
};

/** The table of the delays, in Markdown. */
export async function delayTable(): Promise<string> {
  const folder = makeFolder();
  try {
    const path = makeFile(folder, SIZE);
    const rows: string[][] = [];
    for (const [name, { fsFile, mmapFile }] of Object.entries(TASKS)) {
      let worstFsFile = 0;
      let worstMmapFile = 0;
      for (let run = 0; run < RUNS; run++) {
        worstFsFile = Math.max(worstFsFile, await worstDelay(fsFile, path));
        worstMmapFile = Math.max(
          worstMmapFile,
          await worstDelay(mmapFile, path),
        );
      }
      rows.push([name, milliseconds(worstFsFile), milliseconds(worstMmapFile)]);
    }
    return table([
      ["worst delay of a timer", "Deno.FsFile", "MmapFile"],
      ...rows,
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The most milliseconds by which a timer was late. */
async function worstDelay(task: Task, path: string): Promise<number> {
  task.before?.(path);
  let last = performance.now();
  let worst = 0;
  const tick = () => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 1);
    last = now;
  };
  const timer = setInterval(tick, 1);
  await task.run(path);
  tick();
  clearInterval(timer);
  return worst;
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

const POSIX_FADV_DONTNEED = 4;

/** Takes a file out of the page cache, where the system can be told to. */
function evict(path: string): void {
  if (Deno.build.os !== "linux") return;
  const libc = Deno.dlopen("libc.so.6", {
    // int posix_fadvise(int fd, off_t offset, off_t len, int advice);
    posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  });
  const fd = fs.openSync(path, "r+");
  // What is dirty stays.
  fs.fsyncSync(fd);
  libc.symbols.posix_fadvise(fd, 0n, 0n, POSIX_FADV_DONTNEED);
  fs.closeSync(fd);
  libc.close();
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}

if (import.meta.main) console.log(await delayTable());
