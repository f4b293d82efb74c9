#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Counts lines, words, and bytes in several workers over shared memory, as wc(1) does in the C locale.
 *
 * @module
 */

import { open } from "@mmapfile/mmapfile";
import { main, wholeNumber } from "./cli.ts";
import type { Counted, Part } from "./word_counter.ts";

const USAGE = `Usage: word_count.ts FILE [WORKERS]

Prints the number of lines, words and bytes of a file, counted by so many workers at the same time: by
default by as many as there are processors.`;

/** Lets a worker count a part, and terminates it. */
async function count(part: Part): Promise<Counted> {
  const url = new URL("./word_counter.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  try {
    return await new Promise<Counted>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`Cannot count: ${event.message}`));
      };
      worker.postMessage(part);
    });
  } finally {
    worker.terminate();
  }
}

await main(USAGE, async () => {
  const [path, text = `${navigator.hardwareConcurrency}`] = Deno.args;
  if (path === undefined) {
    throw new Error("Cannot count: no file; see --help");
  }
  const workers = wholeNumber("WORKERS", text);
  if (workers < 1) throw new Error("Cannot count: WORKERS must be 1 or more");
  using file = await open(path, { shared: true, advice: "sequential" });
  // All of them see the whole file, which is never copied.
  const bytes = file.bytes();
  const size = Math.ceil(file.size / workers);
  const parts = Array.from({ length: workers }, (_, i) => ({
    bytes,
    start: Math.min(i * size, file.size),
    end: Math.min((i + 1) * size, file.size),
  }));
  let lines = 0;
  let words = 0;
  for (const counted of await Promise.all(parts.map(count))) {
    lines += counted.lines;
    words += counted.words;
  }
  console.log(lines, words, file.size, path);
});
