/**
 * Files used as programs use them, without a cast: the test is that this compiles, and then
 * that it works.
 */

import { assert, assertEquals } from "@std/assert";
import type * as io from "@std/io";
import {
  create,
  createSync,
  type MmapFile,
  open,
  openSync,
  OutOfBoundsError,
  toReadableStream,
  toWritableStream,
  type TypedArrayConstructor,
} from "../mod.ts";
import { decode, encode } from "./bytes.ts";
import { testInDir } from "./temp_dir.ts";

testInDir("an MmapFile is accepted where a Deno.FsFile is", async (dir) => {
  async function firstLine(file: Deno.FsFile): Promise<string> {
    const text = await new Response(file.readable).text();
    return text.split("\n")[0]!;
  }
  const files: Deno.FsFile[] = [];
  files.push(await open(dir.file("one\ntwo\n")));
  files.push(await Deno.open(dir.join("data")));
  for (const file of files) assertEquals(await firstLine(file), "one");

  using either: Deno.FsFile = Math.random() < 0.5
    ? openSync(dir.join("data"))
    : Deno.openSync(dir.join("data"));
  assertEquals(either.statSync().size, 8);
  using narrow: Pick<Deno.FsFile, "stat" | "close"> & Disposable = openSync(
    dir.join("data"),
  );
  assertEquals((await narrow.stat()).isFile, true);
});

testInDir("using and await using close a file", async (dir) => {
  const path = dir.file("hello");
  const files: MmapFile[] = [];
  {
    using one = openSync(path);
    using two = await open(path);
    await using three = await open(path);
    await using four: MmapFile = openSync(path);
    using stack = new DisposableStack();
    files.push(one, two, three, four, stack.use(openSync(path)));
  }
  assert(files.every(({ closed }) => closed));
});

testInDir("view() returns each array with its type", (dir) => {
  using file = createSync(dir.join("numbers"), 64);
  const u8: Uint8Array<ArrayBuffer> = file.view(Uint8Array);
  const clamped: Uint8ClampedArray<ArrayBuffer> = file.view(Uint8ClampedArray);
  const i8: Int8Array<ArrayBuffer> = file.view(Int8Array);
  const u16: Uint16Array<ArrayBuffer> = file.view(Uint16Array);
  const i16: Int16Array<ArrayBuffer> = file.view(Int16Array);
  const u32: Uint32Array<ArrayBuffer> = file.view(Uint32Array);
  const i32: Int32Array<ArrayBuffer> = file.view(Int32Array, 4, 2);
  const f32: Float32Array<ArrayBuffer> = file.view(Float32Array);
  const f64: Float64Array<ArrayBuffer> = file.view(Float64Array, 8);
  const i64: BigInt64Array<ArrayBuffer> = file.view(BigInt64Array);
  const u64: BigUint64Array<ArrayBuffer> = file.view(BigUint64Array);
  const data: DataView<ArrayBuffer> = file.view(DataView, 1, 9);
  const lengths = [u8, clamped, i8, u16, i16, u32, i32, f32, f64, i64, u64]
    .map(({ length }) => length);
  assertEquals(lengths, [64, 64, 64, 32, 32, 16, 2, 16, 7, 8, 8]);
  assertEquals(data.byteLength, 9);
  u64[0] = 1n;
  assertEquals(Atomics.add(i32, 0, 2), 0);
  data.setFloat32(0, f32[0]!);

  // A type that is chosen at run time.
  const types: TypedArrayConstructor<Int8Array | Uint8Array>[] = [
    Int8Array,
    Uint8Array,
  ];
  u8[0] = 0xff;
  const firsts = types.map((type) => file.view(type)[0]);
  assertEquals(firsts, [-1, 255]);
});

testInDir("views are accepted wherever bytes are", async (dir) => {
  using file = openSync(dir.file("hello, world"));
  const bytes = file.bytes(0, 5);
  assertEquals(await new Response(bytes).text(), "hello");
  assertEquals(await new Blob([bytes, file.bytes(5)]).text(), "hello, world");
  assertEquals(new TextDecoder().decode(bytes), "hello");
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  assertEquals(digest.byteLength, 32);
  await Deno.writeFile(dir.join("copy"), bytes);
  const words: string[] = [];
  for (const line of file.lines({ offset: 7 })) words.push(decode(line));
  for (const chunk of file.chunks(6)) words.push(decode(chunk));
  assertEquals(words, ["world", "hello,", " world"]);
  const buffer: ArrayBuffer = file.bytes().buffer;
  assert(buffer.byteLength >= 12);
});

testInDir("streams are piped to and from files", async (dir) => {
  const path = dir.file("hello, hello, hello");
  const gzip = dir.join("gzip");
  await (await open(path)).readable
    .pipeThrough(new CompressionStream("gzip"))
    .pipeTo(
      (await open(gzip, { write: true, createNew: true, grow: true })).writable,
    );
  using packed = await open(gzip);
  const text = toReadableStream(packed, { zeroCopy: true })
    .pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(new TextDecoderStream());
  assertEquals((await Array.fromAsync(text)).join(""), "hello, hello, hello");

  using target = await create(dir.join("target"), 64);
  await openSync(path).readable.pipeTo(toWritableStream(target, { offset: 5 }));
  const [one, two] = toReadableStream(target, { offset: 5, length: 5 }).tee();
  assertEquals(await new Response(one).text(), await new Response(two).text());
  const reader = toReadableStream(target).getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(8));
  assertEquals(value?.length, 8);
  await reader.cancel();
  const chunks = ReadableStream.from(packed.chunks());
  assertEquals(await target.readFrom(chunks), packed.size);
});

testInDir("readers and writers of all kinds are accepted", async (dir) => {
  // The interfaces of @std/io, as a library would ask for them.
  const read = (reader: io.Reader & io.Closer) =>
    reader.read(new Uint8Array(5));
  const readSync = (reader: io.ReaderSync) => reader.readSync(new Uint8Array());
  const seek = (seeker: io.Seeker & io.SeekerSync) => seeker.seekSync(0, 0);
  const write = (writer: io.Writer) => writer.write(encode("world"));
  const writeSync = (writer: io.WriterSync) => writer.writeSync(encode("!"));
  using file = await create(dir.join("file"), 11);
  assertEquals(await read(file), 5);
  assertEquals(readSync(file), 0);
  assertEquals(seek(file), 0);
  assertEquals(await write(file) + writeSync(file), 6);

  // And from them to a file.
  let left = 2;
  const pings: io.Reader = {
    read: (p) => Promise.resolve(left-- > 0 ? encodeInto("ping", p) : null),
  };
  file.seekSync(0, Deno.SeekMode.Start);
  assertEquals(await file.readFrom(pings), 8);
  let taken = 0;
  const counter: io.Writer & io.WriterSync = {
    write: (p) => Promise.resolve((taken += p.length, p.length)),
    writeSync: (p) => (taken += p.length, p.length),
  };
  assertEquals(await file.writeTo(counter) + file.writeToSync(counter), taken);
  using other = await Deno.open(dir.join("other"), {
    read: true,
    write: true,
    create: true,
  });
  assertEquals(file.writeToSync(other), 11);
  await other.seek(0, Deno.SeekMode.Start);
  await file.seek(0, Deno.SeekMode.Start);
  assertEquals(await file.readFrom(other), 11);
  const empty = new Response("").body!;
  assertEquals(await file.readFrom(empty), 0);
  await file.writeTo(new WritableStream<Uint8Array>());
});

testInDir("an error is narrowed by its class", (dir) => {
  using file = createSync(dir.join("file"), 4);
  try {
    file.writeStringSync("too long");
  } catch (error) {
    if (!(error instanceof OutOfBoundsError)) throw error;
    const written: number = error.bytesWritten;
    const message: string = error.message;
    assertEquals([written, error instanceof RangeError], [4, true]);
    assert(message.startsWith("Cannot write"));
  }
});

function encodeInto(text: string, p: Uint8Array): number {
  return new TextEncoder().encodeInto(text, p).written;
}
