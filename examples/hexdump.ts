#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Prints bytes anywhere in a file of any size, as xxd(1) does. Only the pages that are printed are read.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { open } from "@mmapfile/mmapfile";
import { main, print, Progress, wholeNumber } from "./cli.ts";

const USAGE = `Usage: hexdump.ts [-s OFFSET] [-l LENGTH] FILE

Shows the file's bytes in hexadecimal and as ASCII, 16 in a row.

  -s OFFSET  first byte; a negative one counts from the end: -s-64
  -l LENGTH  how many bytes; by default all to the end

Numbers are decimal, or hexadecimal after 0x.`;

const ROW = 16;
/** Rows that are buffered before they are written. */
const ROWS = 1024;

const HEX = Array.from({ length: 256 }, (_, byte) => hex(byte, 2));

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}

/** Such as "00000010: 6865 6c6c 6f0a                           hello." */
function row(bytes: Uint8Array, offset: number): string {
  let codes = "";
  let text = "";
  for (let i = 0; i < ROW; i++) {
    const byte = bytes[i];
    codes += byte === undefined ? "  " : HEX[byte];
    if (i % 2 === 1) codes += " ";
    if (byte === undefined) continue;
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
  }
  return `${hex(offset, 8)}: ${codes} ${text}\n`;
}

await main(USAGE, async () => {
  const { values, positionals: [path, ...more] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      offset: { type: "string", short: "s", default: "0" },
      length: { type: "string", short: "l" },
    },
  });
  if (path === undefined || more.length > 0) {
    throw new Error("Cannot show: one file is needed; see --help");
  }
  using file = await open(path, { advice: "random" });
  const given = wholeNumber("-s", values.offset);
  const start = given < 0 ? file.size + given : given;
  if (start < 0 || start > file.size) {
    throw new Error(
      `Cannot show '${path}': byte ${given} is not in its ${file.size} bytes`,
    );
  }
  const length = values.length === undefined
    ? Infinity
    : wholeNumber("-l", values.length);
  if (length < 0) throw new Error(`Cannot show ${length} bytes`);
  const end = Math.min(file.size, start + length);

  using progress = new Progress(path, end - start);
  for (let at = start; at < end; at += ROWS * ROW) {
    const bytes = file.bytes(at, Math.min(ROWS * ROW, end - at));
    let rows = "";
    for (let i = 0; i < bytes.length; i += ROW) {
      rows += row(bytes.subarray(i, i + ROW), at + i);
    }
    print(rows);
    progress.at(at + bytes.length - start);
  }
});
