/**
 * Files as memory, for Deno: an {@linkcode MmapFile} stands in for a `Deno.FsFile`, and its bytes are
 * the file's own pages, so that a read is a copy within memory, or no copy at all.
 *
 * Files are opened by {@linkcode open} and made by {@linkcode create}. That takes `--allow-read`,
 * `--allow-write` to write, and `--allow-ffi` to call the system's library. Offsets, lengths and sizes are in bytes.
 *
 * @example Read a file as with `Deno.FsFile`, and with no copy
 * ```ts
 * import assert from "node:assert/strict";
 * import { open } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "a file as memory");
 * {
 *   using file = await open(path);
 *   const start = new Uint8Array(6);
 *   assert.equal(await file.read(start), 6);
 *   assert.equal(new TextDecoder().decode(start), "a file");
 *   assert.equal(new TextDecoder().decode(file.bytes(10)), "memory");
 * }
 * await Deno.remove(path);
 * ```
 *
 * @example Write, grow, and make sure of the disk
 * ```ts
 * import assert from "node:assert/strict";
 * import { open } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * {
 *   using file = await open(path, { read: true, write: true, grow: true });
 *   await file.writeString("one line\n");
 *   await file.flush();
 *   assert.equal(file.size, 9);
 * }
 * await Deno.remove(path);
 * ```
 *
 * @example Numbers in a file, shared by all processes that map it
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * {
 *   using file = createSync(path, 4096);
 *   const counters = file.view(Int32Array);
 *   Atomics.add(counters, 7, 1);
 *   assert.equal(Atomics.load(counters, 7), 1);
 * }
 * Deno.removeSync(path);
 * ```
 *
 * @module
 */

export { create, createSync, open, openSync } from "./src/open.ts";
export {
  type ArrayOver,
  MmapFile,
  type TypedArrayConstructor,
} from "./src/mmap_file.ts";
export type { BlobOptions } from "./src/blob.ts";
export type { LinesOptions } from "./src/search.ts";
export type { TextLinesOptions } from "./src/text_lines.ts";
export {
  toReadableStream,
  type ToReadableStreamOptions,
  toWritableStream,
  type ToWritableStreamOptions,
} from "./src/streams.ts";
export {
  ClosedError,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  type SystemErrorFacts,
  TruncatedError,
} from "./src/errors.ts";
export type {
  Advice,
  ByteRange,
  Closer,
  MmapOpenOptions,
  PrefetchOptions,
  Reader,
  ReaderAt,
  ReaderAtSync,
  ReaderSync,
  Seeker,
  SeekerSync,
  WaitOptions,
  WaitResult,
  Writer,
  WriterAt,
  WriterAtSync,
  WriterSync,
} from "./src/types.ts";
