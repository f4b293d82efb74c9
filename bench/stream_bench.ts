/**
 * Streams drained and files copied, 256 MB that lie in the page cache.
 *
 * @module
 */

import { openSync, toReadableStream } from "../mod.ts";
import { makeFile, makeFolder } from "./sides.ts";

const SIZE = 256 << 20;

/** Each iteration moves the whole file: a few are enough. */
const ITERATIONS = { n: 20, warmup: 3 };

const folder = makeFolder();
const path = makeFile(folder, SIZE);
const copyPath = `${folder}/copy.bin`;
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

async function drain(stream: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stream.getReader();
  let total = 0;
  for (let read; !(read = await reader.read()).done;) {
    total += read.value.length;
  }
  check(total);
}

async function drainBYOB(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const reader = stream.getReader({ mode: "byob" });
  let total = 0;
  let buffer = new ArrayBuffer(64 << 10);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) break;
    total += value.length;
    buffer = value.buffer;
  }
  check(total);
}

/** As `copy` of `@std/io`: a buffer of 32 KiB, filled and written again and again. */
async function copy(source: Deno.FsFile, target: Deno.FsFile): Promise<number> {
  const buffer = new Uint8Array(32 << 10);
  let total = 0;
  for (let read; (read = await source.read(buffer)) !== null;) {
    for (let done = 0; done < read;) {
      done += await target.write(buffer.subarray(done, read));
    }
    total += read;
  }
  return total;
}

function check(total: number): void {
  if (total !== SIZE) throw new Error(`${total} bytes of ${SIZE}`);
}

/** A file to copy to, which has its blocks: the disk is not what is measured. */
function target(): Deno.FsFile {
  return Deno.openSync(copyPath, { write: true, create: true });
}

const drained = { group: "drained", ...ITERATIONS };

Deno.bench(
  { name: "Deno.FsFile.readable", ...drained, baseline: true },
  async () => {
    await drain(Deno.openSync(path).readable);
  },
);

Deno.bench({ name: "MmapFile.readable", ...drained }, async () => {
  await drain(openSync(path).readable);
});

Deno.bench({ name: "toReadableStream()", ...drained }, async () => {
  using file = openSync(path);
  await drain(toReadableStream(file));
});

Deno.bench({ name: "toReadableStream(), zeroCopy", ...drained }, async () => {
  using file = openSync(path);
  await drain(toReadableStream(file, { zeroCopy: true }));
});

const byob = { group: "drained into a buffer of 64 KiB", ...ITERATIONS };

Deno.bench(
  { name: "Deno.FsFile.readable", ...byob, baseline: true },
  async () => {
    await drainBYOB(Deno.openSync(path).readable);
  },
);

Deno.bench({ name: "MmapFile.readable", ...byob }, async () => {
  await drainBYOB(openSync(path).readable);
});

const copied = { group: "copied to a Deno.FsFile", ...ITERATIONS };

Deno.bench({ name: "copy of @std/io", ...copied, baseline: true }, async () => {
  using from = Deno.openSync(path);
  using to = target();
  check(await copy(from, to));
});

Deno.bench({ name: "MmapFile.writeTo()", ...copied }, async () => {
  using from = openSync(path);
  using to = target();
  check(await from.writeTo(to));
});

Deno.bench({ name: "MmapFile.writeToSync()", ...copied }, () => {
  using from = openSync(path);
  using to = target();
  check(from.writeToSync(to));
});

Deno.bench({ name: "Deno.copyFile()", ...copied }, async () => {
  await Deno.copyFile(path, copyPath);
});

const filled = { group: "copied to an MmapFile", ...ITERATIONS };

Deno.bench(
  {
    name: "copy of @std/io, between two Deno.FsFile",
    ...filled,
    baseline: true,
  },
  async () => {
    using from = Deno.openSync(path);
    using to = target();
    check(await copy(from, to));
  },
);

Deno.bench({ name: "MmapFile.readFrom(Deno.FsFile)", ...filled }, async () => {
  using from = Deno.openSync(path);
  using to = openSync(copyPath, { write: true });
  check(await to.readFrom(from));
});

Deno.bench({ name: "MmapFile.readFrom(MmapFile)", ...filled }, async () => {
  using from = openSync(path);
  using to = openSync(copyPath, { write: true });
  check(await to.readFrom(from));
});
