/**
 * Files in the hands of the real `@std/io` and `@std/streams`. Skipped where their registry is out of
 * reach: the stubs that replace them have their types and do nothing.
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  createSync,
  type MmapFile,
  open,
  openSync,
  toReadableStream,
} from "@mmapfile/mmapfile";
import type * as ours from "@mmapfile/mmapfile";
import * as io from "@std/io";
import * as streams from "@std/streams";
import { type Reason, unless } from "./skip.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { assertNothingIsOpen } from "./open_handles.ts";
import { TempDir } from "./temp_dir.ts";

const MIB = 1 << 20;

const NO_STD: Reason = Deno.env.get("MMAPFILE_OFFLINE") === "1" &&
  "the JSR registry cannot be reached";

function test(name: string, fn: (dir: TempDir) => Promise<void>): void {
  Deno.test({
    ...unless(NO_STD, name),
    async fn() {
      using dir = new TempDir();
      await fn(dir);
    },
  });
}

/** Fails to compile unless each type is assignable to the other. */
function same<A extends B, B extends C, C = A>(): void {}

test("an MmapFile implements the interfaces of @std/io", async (dir) => {
  // For the compiler: each line fails to compile if something is missing.
  const file: MmapFile = await open(dir.file("x"));
  file satisfies io.Reader;
  file satisfies io.ReaderSync;
  file satisfies io.Writer;
  file satisfies io.WriterSync;
  file satisfies io.Seeker;
  file satisfies io.SeekerSync;
  file satisfies io.Closer;
  same<ours.Reader, io.Reader>();
  same<ours.ReaderSync, io.ReaderSync>();
  same<ours.Writer, io.Writer>();
  same<ours.WriterSync, io.WriterSync>();
  same<ours.Closer, io.Closer>();
  file.close();
});

test("@std/io copy() copies a file to a file", async (dir) => {
  using source = openSync(dir.file(3 * MIB + 1));
  using target = createSync(dir.join("copy"), source.size);
  assertEquals(await io.copy(source, target), source.size);
  assert(equal(target.bytes(), source.bytes()));
  assertEquals(source.seekSync(0, Deno.SeekMode.Current), source.size);
});

test("@std/io readAll() and readAllSync() read a file from its cursor on", async (dir) => {
  using file = openSync(dir.file(100_000));
  file.seekSync(1, Deno.SeekMode.Start);
  assertEquals(await io.readAll(file), pattern(100_000).slice(1));
  file.seekSync(2, Deno.SeekMode.Start);
  assertEquals(io.readAllSync(file), pattern(100_000).slice(2));
});

test("@std/io writeAll() and writeAllSync() write to a file", async (dir) => {
  using file = createSync(dir.join("new"), 3 * MIB);
  await io.writeAll(file, pattern(2 * MIB));
  io.writeAllSync(file, pattern(MIB));
  assert(equal(file.bytes(0, 2 * MIB), pattern(2 * MIB)));
  assert(equal(file.bytes(2 * MIB), pattern(MIB)));
});

test("@std/io iterateReader() and iterateReaderSync() go through a file", async (dir) => {
  using file = openSync(dir.file(100_000));
  let total = 0;
  for await (const chunk of io.iterateReader(file)) {
    assertEquals(chunk[0], pattern(100_000)[total]);
    total += chunk.length;
  }
  assertEquals(total, 100_000);
  file.seekSync(0, Deno.SeekMode.Start);
  for (const chunk of io.iterateReaderSync(file)) total -= chunk.length;
  assertEquals(total, 0);
});

test("@std/io toReadableStream() and toWritableStream() make streams of files, and close them", async (dir) => {
  const source = openSync(dir.file(300_000));
  const target = createSync(dir.join("copy"), 300_000);
  await io.toReadableStream(source).pipeTo(io.toWritableStream(target));
  assertEquals([source.closed, target.closed], [true, true]);
  assertEquals(Deno.readFileSync(target.name), pattern(300_000));
  await assertNothingIsOpen(dir);
});

test("@std/io Buffer goes into a file and a file into a Buffer", async (dir) => {
  using file = createSync(dir.join("new"), 70_000);
  assertEquals(
    await file.readFrom(new io.Buffer(pattern(70_000).buffer)),
    70_000,
  );
  const buffer = new io.Buffer();
  assertEquals(await file.writeTo(buffer), 70_000);
  assertEquals(file.writeToSync(buffer), 70_000);
  const twice = buffer.bytes();
  assertEquals(twice.length, 140_000);
  assert(equal(twice.subarray(70_000), pattern(70_000)));
  file.seekSync(0, Deno.SeekMode.Start);
  assertEquals(file.readFromSync(new io.Buffer(pattern(5).buffer)), 5);
});

/** Both of our streams, of a file that is closed when the stream has been used. */
const STREAMS: [string, (file: MmapFile) => ReadableStream<Uint8Array>][] = [
  ["readable", (file) => file.readable],
  ["toReadableStream()", (file) => toReadableStream(file)],
  [
    "toReadableStream() with zeroCopy",
    (file) => toReadableStream(file, { zeroCopy: true, chunkSize: 10_000 }),
  ],
];

for (const [kind, streamOf] of STREAMS) {
  const testStream = (
    name: string,
    contents: string | number,
    fn: (stream: ReadableStream<Uint8Array>, path: string) => Promise<void>,
  ) =>
    test(`@std/streams ${name} takes ${kind}`, async (dir) => {
      using file = openSync(dir.file(contents));
      await fn(streamOf(file), file.name);
    });

  const text = "one\ntwo, ünïcödé\r\n\n€😀\nlast".repeat(5000);

  testStream("TextLineStream", text, async (stream, path) => {
    const lines = await Array.fromAsync(
      stream.pipeThrough(new TextDecoderStream())
        .pipeThrough(new streams.TextLineStream()),
    );
    assertEquals(lines, text.split(/\r?\n/));
    using file = openSync(path);
    const decoder = new TextDecoder();
    assertEquals(
      Array.from(file.lines(), (line) => decoder.decode(line)),
      lines,
    );
  });

  testStream("DelimiterStream", text, async (stream) => {
    const parts = await Array.fromAsync(
      stream.pipeThrough(new streams.DelimiterStream(encode("\n"))),
      (part) => new TextDecoder().decode(part),
    );
    assertEquals(parts, text.split("\n"));
  });

  testStream("LimitedBytesTransformStream", 50_000, async (stream) => {
    const limited = stream.pipeThrough(
      new streams.LimitedBytesTransformStream(30_000),
    );
    const chunks = await Array.fromAsync(limited, (chunk) => chunk.length);
    // Whole chunks only, as many as the limit allows.
    const total = chunks.reduce((sum, length) => sum + length, 0);
    assertEquals(total, chunks.length === 0 ? 0 : 30_000);
  });

  testStream("toText()", text, async (stream) => {
    assertStrictEquals(await streams.toText(stream), text);
  });

  testStream("toBytes()", 3 * MIB, async (stream) => {
    assert(equal(await streams.toBytes(stream), pattern(3 * MIB)));
  });

  testStream("toArrayBuffer()", 3 * MIB, async (stream) => {
    const bytes = new Uint8Array(await streams.toArrayBuffer(stream));
    assert(equal(bytes, pattern(3 * MIB)));
  });
}
