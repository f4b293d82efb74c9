#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Counts lines, words, and bytes in views of the file, as wc(1) does in the C locale.
 *
 * @module
 */

import { open } from "@mmapfile/mmapfile";
import { main, Progress } from "./cli.ts";

const USAGE = `Usage: wc.ts FILE...

Prints the number of lines, words and bytes of each file, and of all together.
Words are separated by spaces, tabs, and ends of lines.`;

interface Counts {
  lines: number;
  words: number;
  bytes: number;
}

const LF = 10;
const PIECE = 4 << 20;

/** A 1 for each byte that ends a word: space, \t, \n, \v, \f, \r. */
const IS_SPACE = new Uint8Array(256);
for (const byte of [32, 9, LF, 11, 12, 13]) IS_SPACE[byte] = 1;

async function count(path: string): Promise<Counts> {
  using file = await open(path, { advice: "sequential" });
  using progress = new Progress(path, file.size);
  let lines = 0;
  let words = 0;
  let bytes = 0;
  let wasSpace = 1;
  for (const chunk of file.chunks(PIECE)) {
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      const isSpace = IS_SPACE[byte]!;
      // A word begins where a space ends.
      words += wasSpace & (isSpace ^ 1);
      wasSpace = isSpace;
      if (byte === LF) lines++;
    }
    progress.at(bytes += chunk.length);
  }
  return { lines, words, bytes };
}

await main(USAGE, async () => {
  const paths = Deno.args;
  if (paths.length === 0) throw new Error("Cannot count: no file; see --help");
  const rows: [string, Counts][] = [];
  const total = { lines: 0, words: 0, bytes: 0 };
  for (const path of paths) {
    const counts = await count(path);
    total.lines += counts.lines;
    total.words += counts.words;
    total.bytes += counts.bytes;
    rows.push([path, counts]);
  }
  if (paths.length > 1) rows.push(["total", total]);
  const width = String(total.bytes).length;
  for (const [name, { lines, words, bytes }] of rows) {
    const columns = [lines, words, bytes].map((n) => `${n}`.padStart(width));
    console.log(...columns, name);
  }
});
