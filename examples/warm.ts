#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Brings files into memory before they are needed, with the progress on a terminal; Ctrl-C ends it.
 *
 * @module
 */

import { open } from "@mmapfile/mmapfile";
import { main, Progress } from "./cli.ts";

const USAGE = `Usage: warm.ts FILE...

Brings files into the system's page cache, so that later reads need not wait for
the disk. Prints how many bytes there are in each.`;

async function warm(path: string, signal: AbortSignal): Promise<void> {
  using file = await open(path);
  using progress = new Progress(path, file.size);
  await file.prefetch(0, file.size, {
    signal,
    onProgress: (done) => progress.at(done),
  });
  console.log(`${file.size} ${path}`);
}

await main(USAGE, async () => {
  if (Deno.args.length === 0) {
    throw new Error("Cannot prefetch: no file; see --help");
  }
  const interrupt = new AbortController();
  const stop = () => interrupt.abort(new Error("Cannot go on: interrupted"));
  Deno.addSignalListener("SIGINT", stop);
  try {
    for (const path of Deno.args) await warm(path, interrupt.signal);
  } finally {
    Deno.removeSignalListener("SIGINT", stop);
  }
});
