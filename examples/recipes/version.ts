// Waits for the next text, or writes it: deno run --allow-read --allow-write --allow-ffi version.ts FILE [TEXT]
import { openSync } from "@mmapfile/mmapfile";

const [path = "", text] = Deno.args;
const options = { read: true, write: true, create: true, size: 64 };
using file = openSync(path, options);
const version = file.view(Int32Array, 0, 1);
if (text === undefined) {
  await file.wait(0, Atomics.load(version, 0));
  console.log(file.text(8, 56).trimEnd());
} else {
  new TextEncoder().encodeInto(text.padEnd(56), file.bytes(8, 56));
  // Write the text first, then the version: the reader loads them in the other order.
  Atomics.add(version, 0, 1);
  file.notify(0);
}
