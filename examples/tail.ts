#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Prints the end of a file, and follows it as `tail -F` does. If the file is truncated, it starts again at
 * the beginning. If another file replaces it, it follows that one.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type MmapFile, open, TruncatedError } from "@mmapfile/mmapfile";
import { main, print, wholeNumber } from "./cli.ts";

const USAGE = `Usage: tail.ts [-n LINES] [-f] FILE

Prints the last lines of a file, by default 10.

  -n LINES  how many lines
  -f        follow the file, until Ctrl-C`;

const LOOK_EVERY_MS = 100;
const PIECE = 1 << 16;

/** Prints the last lines of a file, and reads no others. */
function printLast(file: MmapFile, count: number): void {
  const lines = Iterator.from(file.textLines({ reverse: true }))
    .take(count).toArray().reverse();
  const endsWithLF = file.includes("\n", -1);
  if (lines.length > 0) print(lines.join("\n") + (endsWithLF ? "\n" : ""));
}

/** Prints what was added, which need not be whole lines. Returns the end of what was printed. */
function printFrom(file: MmapFile, start: number): number {
  // A copy, not a view: bytes that are truncated during the write must not be printed as zeros.
  const buffer = new Uint8Array(PIECE);
  let at = start;
  for (let read; (read = file.readAtSync(buffer, at)) !== null; at += read) {
    print(buffer.subarray(0, read));
  }
  return at;
}

async function follow(path: string, first: MmapFile, start: number) {
  let file = first;
  let at = start;
  try {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (file.isCurrent()) continue;
      try {
        if (file.refresh()) {
          if (file.size < at) {
            console.error(`${path}: truncated, goes on from its start`);
            at = 0;
          }
          at = printFrom(file, at);
          continue;
        }
        // Its size is unchanged, so it was removed or replaced.
        const next = await open(path);
        console.error(`${path}: another file, goes on with it`);
        file.close();
        file = next;
        at = printFrom(file, 0);
      } catch (error) {
        // Removed for now, or just truncated: the next check will tell.
        const isPassing = error instanceof TruncatedError ||
          error instanceof Deno.errors.NotFound;
        if (!isPassing) throw error;
      }
    }
  } finally {
    file[Symbol.dispose]();
  }
}

await main(USAGE, async () => {
  const { values, positionals: [path, ...more] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      lines: { type: "string", short: "n", default: "10" },
      follow: { type: "boolean", short: "f" },
    },
  });
  if (path === undefined || more.length > 0) {
    throw new Error("Cannot show: one file is needed; see --help");
  }
  using file = await open(path);
  printLast(file, wholeNumber("-n", values.lines));
  if (values.follow) await follow(path, file, file.size);
});
