#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * A text that one process writes and others wait for: each prints the next version as soon as it is written.
 *
 * The file: its version, odd while the text is written; the bytes of the text; the text.
 *
 * @module
 */

import { type MmapFile, openSync } from "@mmapfile/mmapfile";
import { main, print } from "./cli.ts";

const USAGE = `Usage: latest.ts read FILE
       latest.ts write FILE [TEXT]

Prints the text in a file, and each that is written there from then on; or writes one.
Start a writer first: it makes the file.`;

const [VERSION, LENGTH, SIZE] = [0, 1, 4096];
const text = (file: MmapFile) => file.bytes(8);

function write(file: MmapFile, string: string): void {
  const words = file.view(Int32Array, 0, 2);
  Atomics.add(words, VERSION, 1);
  words[LENGTH] = new TextEncoder().encodeInto(string, text(file)).written;
  Atomics.add(words, VERSION, 1);
  file.notify(4 * VERSION);
}

async function read(file: MmapFile): Promise<never> {
  const words = file.view(Int32Array, 0, 2);
  for (let seen = 0;;) {
    const version = Atomics.load(words, VERSION);
    const copy = text(file).slice(0, words[LENGTH]);
    const isWhole = version % 2 === 0 &&
      version === Atomics.load(words, VERSION);
    if (isWhole && version !== seen) {
      print(`${new TextDecoder().decode(copy)}\n`);
      seen = version;
    }
    await file.wait(4 * VERSION, version);
  }
}

await main(USAGE, async () => {
  const [command, path, string = ""] = Deno.args;
  if (path === undefined) {
    throw new Error("Cannot run: a command and a file are needed; see --help");
  } else if (command === "write") {
    const options = { read: true, write: true, create: true, size: SIZE };
    using file = openSync(path, options);
    write(file, string);
  } else if (command === "read") {
    using file = openSync(path);
    await read(file);
  } else throw new Error(`Cannot run '${command}': unknown command`);
});
