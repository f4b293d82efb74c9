#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Finds the lines that contain a string, as `grep -F` does. The search runs in mapped memory, and only
 * lines that match are read.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type MmapFile, open } from "@mmapfile/mmapfile";
import { main, print, Progress } from "./cli.ts";

const USAGE = `Usage: grep.ts [-n] [-c] STRING FILE...

Prints the lines that hold the string. Ends with code 1 if there is none.

  -n  with the number of each line
  -c  print only the count`;

const LF = 10;
/** Characters of output that are buffered before they are written. */
const BATCH = 1 << 16;

/** Yields the first byte of each line that contains the needle, and the end of the line, without its LF. */
function* matches(
  file: MmapFile,
  needle: Uint8Array,
): Generator<[start: number, end: number]> {
  for (let from = 0; from < file.size;) {
    const at = file.indexOf(needle, from);
    if (at === -1 || at === file.size) return;
    const start = at === 0 ? 0 : file.lastIndexOf(LF, at - 1) + 1;
    const lf = file.indexOf(LF, at);
    const end = lf === -1 ? file.size : lf;
    yield [start, end];
    from = end + 1;
  }
}

function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === LF) lines++;
  return lines;
}

/** Output that is written in batches. */
class Output implements Disposable {
  #batch = "";

  add(text: string): void {
    this.#batch += text;
    if (this.#batch.length > BATCH) this.flush();
  }

  flush(): void {
    const batch = this.#batch;
    // Cleared first: if the write fails, it must not be repeated.
    this.#batch = "";
    print(batch);
  }

  [Symbol.dispose](): void {
    this.flush();
  }
}

await main(USAGE, async () => {
  const { values, positionals: [string, ...paths] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      number: { type: "boolean", short: "n" },
      count: { type: "boolean", short: "c" },
    },
  });
  if (string === undefined || paths.length === 0) {
    throw new Error(
      "Cannot search: a string and a file are needed; see --help",
    );
  }
  if (string.includes("\n")) {
    throw new Error("Cannot search: the string contains the end of a line");
  }
  const needle = new TextEncoder().encode(string);
  using output = new Output();
  Deno.exitCode = 1;
  for (const path of paths) {
    using file = await open(path, { advice: "sequential" });
    using progress = new Progress(path, file.size);
    const prefix = paths.length > 1 ? `${path}:` : "";
    let found = 0;
    let counted = 0;
    let number = 1;
    for (const [start, end] of matches(file, needle)) {
      Deno.exitCode = 0;
      found++;
      progress.at(end);
      if (values.number && !values.count) {
        number += countLines(file.bytes(counted, start - counted));
      }
      counted = start;
      if (values.count) continue;
      const line = file.text(start, end - start);
      output.add(`${prefix}${values.number ? `${number}:` : ""}${line}\n`);
    }
    if (values.count) output.add(`${prefix}${found}\n`);
  }
});
