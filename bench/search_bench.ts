/**
 * A needle found and lines taken one by one, in 256 MB that lie in the page cache.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { openSync } from "../mod.ts";
import { makeFolder } from "./sides.ts";

const SIZE = 256 << 20;
const NEEDLE = "eighteen_byte_long";

const folder = makeFolder();
const path = `${folder}/text.txt`;
const lineCount = makeText();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Lines of 20 to 100 characters, with the needle in the last but one; gives their number. */
function makeText(): number {
  const words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed ";
  const block = Array.from(
    { length: 20_000 },
    (_, i) => `${i} ${words.repeat(2).slice(0, 15 + i * 7 % 80)}\n`,
  );
  const bytes = new TextEncoder().encode(block.join(""));
  const end = new TextEncoder().encode(`${NEEDLE}\nthe end\n`);
  const blocks = Math.floor((SIZE - end.length) / bytes.length);
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let i = 0; i < blocks; i++) file.writeSync(bytes);
  file.writeSync(end);
  return blocks * block.length + 2;
}

function checkFound(index: number): void {
  if (index < 0.9 * SIZE) throw new Error(`found at ${index}`);
}

function checkLines(count: number): void {
  if (count !== lineCount) throw new Error(`${count} lines of ${lineCount}`);
}

const found = { group: "indexOf() of 18 bytes", n: 10, warmup: 2 };

Deno.bench({
  name: "Buffer.indexOf() over Deno.readFileSync()",
  ...found,
  baseline: true,
}, () => {
  checkFound(Buffer.from(Deno.readFileSync(path).buffer).indexOf(NEEDLE));
});

Deno.bench({ name: "MmapFile.indexOf()", ...found }, () => {
  using file = openSync(path);
  checkFound(file.indexOf(NEEDLE));
});

Deno.bench({ name: "MmapFile.lastIndexOf()", ...found }, () => {
  using file = openSync(path);
  checkFound(file.lastIndexOf(NEEDLE));
});

const lines = { group: "all lines", n: 5, warmup: 1 };

/** As much of `@std/streams` as is used, which is not there when its registry is out of reach. */
interface Streams {
  TextLineStream: new () => TransformStream<string, string>;
}

const streams = await importStreams();
if (streams === undefined) {
  console.error("@std/streams is out of reach: lines() is measured alone");
} else {
  Deno.bench({
    name: "TextLineStream over Deno.FsFile",
    ...lines,
    baseline: true,
  }, async () => {
    const stream = Deno.openSync(path).readable
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new streams.TextLineStream());
    let count = 0;
    for await (const _ of stream) count++;
    checkLines(count);
  });
}

Deno.bench({ name: "MmapFile.lines()", ...lines }, () => {
  using file = openSync(path);
  let count = 0;
  for (const _ of file.lines()) count++;
  checkLines(count);
});

Deno.bench({ name: "MmapFile.lines(), decoded", ...lines }, () => {
  using file = openSync(path);
  const decoder = new TextDecoder();
  let count = 0;
  let characters = 0;
  for (const line of file.lines()) {
    characters += decoder.decode(line).length;
    count++;
  }
  if (characters === 0) throw new Error("no text");
  checkLines(count);
});

async function importStreams(): Promise<Streams | undefined> {
  // Named at run time, so that nothing looks for it before.
  const name = "@std/streams";
  try {
    return await import(name);
  } catch {
    return undefined;
  }
}
