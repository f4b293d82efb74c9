/**
 * One access to a file that is truncated under its mapping. Arguments: the case, the new length,
 * "on" or "off" for the guard, and where the file is to be. Prints what was thrown or came back.
 */

import { openSync } from "../../mod.ts";
import type { MmapFile } from "../../mod.ts";

const [name, newLength, guard, path] = Deno.args;
const cut = Number(newLength);
const isLarge = name.startsWith("large");
const SIZE = (isLarge ? 40 : 8) << 20;

/** Each case touches bytes behind the cut, and gives back what it saw of them. */
const CASES: Record<string, (file: MmapFile) => unknown> = {
  readSync(file) {
    file.seekSync(SIZE - 4096, 0);
    return file.readSync(new Uint8Array(4096));
  },
  readAtSync: (file) => file.readAtSync(new Uint8Array(100), SIZE - 200),
  readAt: (file) => file.readAt(new Uint8Array(4096), SIZE - 5000),
  async read(file) {
    file.seekSync(0, 0);
    return await file.read(new Uint8Array(SIZE));
  },
  bytesLoop(file) {
    const bytes = file.bytes();
    let sum = 0;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < bytes.length; i++) sum += bytes[i];
    }
    return file.readAtSync(new Uint8Array(1), 0);
  },
  lines: (file) => Array.from(file.lines()).length,
  text: (file) => file.text(SIZE - 200, 100),
  copy: (file) => file.copy(SIZE - 200, 100),
  textLines: (file) => Array.from(file.textLines()).length,
  chunks: (file) => {
    for (const chunk of file.chunks(1 << 20)) chunk.indexOf(255);
  },
  indexOf: (file) => file.indexOf("no such thing"),
  lastIndexOf: (file) => file.lastIndexOf("no such thing"),
  includes: (file) => file.includes(255),
  decode(file) {
    new TextDecoder().decode(file.bytes());
    return file.statSync().size;
  },
  async digest(file) {
    await crypto.subtle.digest("SHA-256", file.bytes());
    return file.readSync(new Uint8Array(1));
  },
  async readable(file) {
    for await (const _ of file.readable);
  },
  largeRead(file) {
    file.seekSync(0, 0);
    return file.readSync(new Uint8Array(SIZE));
  },
  largeWrite: (file) => file.writeAtSync(new Uint8Array(SIZE), 0),
  writeSync1KB: (file) => {
    file.seekSync(SIZE - 2048, 0);
    return file.writeSync(new Uint8Array(1024).fill(1));
  },
  writeSync1MB: (file) => {
    file.seekSync(SIZE - (1 << 20), 0);
    return file.writeSync(new Uint8Array(1 << 20).fill(1));
  },
  writeAtSync: (file) => file.writeAtSync(new Uint8Array(10), SIZE - 100),
  write: (file) => {
    file.seekSync(0, 0);
    return file.write(new Uint8Array(SIZE).fill(1));
  },
  fill(file) {
    file.bytes().fill(7);
    return file.readSync(new Uint8Array(1));
  },
  growBySmall(file) {
    file.seekSync(0, 2);
    return file.writeSync(new Uint8Array(100).fill(1));
  },
  growByLarge(file) {
    file.seekSync(0, 2);
    return file.writeSync(new Uint8Array(1 << 20).fill(1));
  },
  writeToFsFile(file) {
    using target = Deno.createSync(`${path}-copy`);
    return file.writeToSync(target);
  },
  writeString(file) {
    file.seekSync(SIZE - 4096, 0);
    return file.writeStringSync("some text");
  },
  statSync: (file) => file.statSync().size,
  syncSync: (file) => file.syncSync(),
  sync: (file) => file.sync(),
  flushSync: (file) => file.flushSync(),
  flush: (file) => file.flush(),
};

Deno.writeFileSync(path, new Uint8Array(SIZE).fill(10));
const file = openSync(path, {
  read: true,
  write: true,
  grow: name.startsWith("grow"),
  guard: guard === "on",
});
// The first write of so much goes through the descriptor, the second through memory.
if (isLarge) file.writeAtSync(new Uint8Array(SIZE).fill(10), 0);
Deno.truncateSync(path, cut);
try {
  console.log("returned", await CASES[name](file));
} catch (error) {
  console.log(error instanceof Error ? error.name : error);
}
if (!file.closed) {
  // It sticks, whichever bytes are asked for, until the file is mapped anew.
  try {
    console.log("returned", file.readAtSync(new Uint8Array(1), 0));
  } catch (error) {
    console.log(error instanceof Error ? error.name : error);
  }
  console.log(Deno.statSync(path).size);
  file.refresh();
  console.log(file.size, file.bytes().length);
  file.close();
}
