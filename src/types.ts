/**
 * The interfaces of readers and writers, structurally those of `@std/io/types`,
 * and the options of `open`.
 *
 * @module
 */

/**
 * Reads bytes into a buffer: an `MmapFile`, a `Deno.FsFile`, a connection.
 *
 * @example Count what a reader has
 * ```ts
 * import assert from "node:assert/strict";
 * import { open, type Reader } from "@mmapfile/mmapfile";
 *
 * async function count(reader: Reader): Promise<number> {
 *   const buffer = new Uint8Array(4096);
 *   let bytes = 0;
 *   for (let n; (n = await reader.read(buffer)) !== null;) bytes += n;
 *   return bytes;
 * }
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "hello");
 * const file = await open(path);
 * assert.equal(await count(file), 5);
 * file.close();
 * await Deno.remove(path);
 * ```
 */
export interface Reader {
  /** Reads up to `p.byteLength` bytes into `p`; gives the number read, or `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
}

/**
 * Reads bytes into a buffer, synchronously.
 *
 * @example A source of bytes for `readFromSync`
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type ReaderSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * let left = 3;
 * const ones: ReaderSync = {
 *   readSync: (p) => left-- > 0 ? p.fill(1, 0, 1) && 1 : null,
 * };
 * const file = createSync(path, 3);
 * file.readFromSync(ones);
 * assert.deepEqual([...file.bytes()], [1, 1, 1]);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface ReaderSync {
  /** Reads up to `p.byteLength` bytes into `p`; gives the number read, or `null` at the end. */
  readSync(p: Uint8Array): number | null;
}

/**
 * Writes bytes from a buffer.
 *
 * @example A target for `writeTo` that only counts
 * ```ts
 * import assert from "node:assert/strict";
 * import { open, type Writer } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "hello");
 * let bytes = 0;
 * const counter: Writer = {
 *   write: (p) => Promise.resolve((bytes += p.length, p.length)),
 * };
 * const file = await open(path);
 * await file.writeTo(counter);
 * assert.equal(bytes, 5);
 * file.close();
 * await Deno.remove(path);
 * ```
 */
export interface Writer {
  /** Writes bytes of `p`; gives the number written. */
  write(p: Uint8Array): Promise<number>;
}

/**
 * Writes bytes from a buffer, synchronously.
 *
 * @example Write to whatever takes bytes
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type WriterSync } from "@mmapfile/mmapfile";
 *
 * function greet(writer: WriterSync): number {
 *   return writer.writeSync(new TextEncoder().encode("hello"));
 * }
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 5);
 * assert.equal(greet(file), 5);
 * file.close();
 * assert.equal(Deno.readTextFileSync(path), "hello");
 * Deno.removeSync(path);
 * ```
 */
export interface WriterSync {
  /** Writes bytes of `p`; gives the number written. */
  writeSync(p: Uint8Array): number;
}

/**
 * Moves a cursor.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create, type Seeker } from "@mmapfile/mmapfile";
 *
 * async function rewind(seeker: Seeker): Promise<void> {
 *   await seeker.seek(0, Deno.SeekMode.Start);
 * }
 *
 * const path = await Deno.makeTempFile();
 * const file = await create(path, 5);
 * await file.writeString("hello");
 * await rewind(file);
 * assert.equal(await file.read(new Uint8Array(5)), 5);
 * file.close();
 * await Deno.remove(path);
 * ```
 */
export interface Seeker {
  /** Moves the cursor to `offset` bytes from the place that `whence` names; gives the new position. */
  seek(offset: number | bigint, whence: Deno.SeekMode): Promise<number>;
}

/**
 * Moves a cursor, synchronously.
 *
 * @example The size of anything that can be sought in
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type SeekerSync } from "@mmapfile/mmapfile";
 *
 * function sizeOf(seeker: SeekerSync): number {
 *   const position = seeker.seekSync(0, Deno.SeekMode.Current);
 *   const size = seeker.seekSync(0, Deno.SeekMode.End);
 *   seeker.seekSync(position, Deno.SeekMode.Start);
 *   return size;
 * }
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 100);
 * assert.equal(sizeOf(file), 100);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface SeekerSync {
  /** Moves the cursor to `offset` bytes from the place that `whence` names; gives the new position. */
  seekSync(offset: number | bigint, whence: Deno.SeekMode): number;
}

/**
 * Can be closed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { type Closer, openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const files = [openSync(path), openSync(path)];
 * const closers: Closer[] = files;
 * for (const closer of closers) closer.close();
 * assert(files.every(({ closed }) => closed));
 * Deno.removeSync(path);
 * ```
 */
export interface Closer {
  /** Gives back what is held open. */
  close(): void;
}

/**
 * Reads at a position, with no cursor.
 *
 * @example Read records of one size
 * ```ts
 * import assert from "node:assert/strict";
 * import { open, type ReaderAt } from "@mmapfile/mmapfile";
 *
 * async function record(source: ReaderAt, number: number) {
 *   const bytes = new Uint8Array(4);
 *   await source.readAt(bytes, number * bytes.length);
 *   return new TextDecoder().decode(bytes);
 * }
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "rec0rec1rec2");
 * const file = await open(path);
 * assert.equal(await record(file, 1), "rec1");
 * file.close();
 * await Deno.remove(path);
 * ```
 */
export interface ReaderAt {
  /** Reads up to `p.byteLength` bytes from `offset` on; gives the number read, or `null` at the end. */
  readAt(p: Uint8Array, offset: number): Promise<number | null>;
}

/**
 * Reads at a position, with no cursor, synchronously.
 *
 * @example Tell a kind of file by its first bytes
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, type ReaderAtSync } from "@mmapfile/mmapfile";
 *
 * function isGzip(source: ReaderAtSync): boolean {
 *   const magic = new Uint8Array(2);
 *   source.readAtSync(magic, 0);
 *   return magic[0] === 0x1f && magic[1] === 0x8b;
 * }
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "plain text");
 * const file = openSync(path);
 * assert.equal(isGzip(file), false);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface ReaderAtSync {
  /** Reads up to `p.byteLength` bytes from `offset` on; gives the number read, or `null` at the end. */
  readAtSync(p: Uint8Array, offset: number): number | null;
}

/**
 * Writes at a position, with no cursor.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { create, type WriterAt } from "@mmapfile/mmapfile";
 *
 * async function stamp(target: WriterAt): Promise<void> {
 *   await target.writeAt(new TextEncoder().encode("v1"), 6);
 * }
 *
 * const path = await Deno.makeTempFile();
 * const file = await create(path, 8);
 * await stamp(file);
 * assert.equal(new TextDecoder().decode(file.bytes(6)), "v1");
 * file.close();
 * await Deno.remove(path);
 * ```
 */
export interface WriterAt {
  /** Writes `p` from `offset` on; gives the number of bytes written. */
  writeAt(p: Uint8Array, offset: number): Promise<number>;
}

/**
 * Writes at a position, with no cursor, synchronously.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type WriterAtSync } from "@mmapfile/mmapfile";
 *
 * function mark(target: WriterAtSync, number: number): void {
 *   target.writeAtSync(Uint8Array.of(1), number);
 * }
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 4);
 * mark(file, 2);
 * assert.deepEqual([...file.bytes()], [0, 0, 1, 0]);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface WriterAtSync {
  /** Writes `p` from `offset` on; gives the number of bytes written. */
  writeAtSync(p: Uint8Array, offset: number): number;
}

/**
 * A range of a file, as methods that look at a part of it take it.
 *
 * @example Search a header only
 * ```ts
 * import assert from "node:assert/strict";
 * import { type ByteRange, openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "name: a\n\nbody: b\n");
 * using file = openSync(path);
 * const header: ByteRange = { length: file.indexOf("\n\n") + 1 };
 * assert.equal(file.includes("body", header), false);
 * assert.equal(file.lastIndexOf("\n", header), 7);
 * Deno.removeSync(path);
 * ```
 */
export interface ByteRange {
  /** First byte; 0 by default. */
  offset?: number;
  /** Number of bytes; by default up to the end that the file has now. */
  length?: number;
}

/**
 * How a range of a file will be used, so that the system can read ahead, or not.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { type Advice, openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const advice: Advice = "random";
 * const file = openSync(path, { advice });
 * assert.equal(file.size, 0);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export type Advice = "normal" | "sequential" | "random";

/**
 * Options of {@linkcode MmapFile.prefetch}: what ends it early, and what is told how far it is.
 *
 * @example Stop when another task says so
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, type PrefetchOptions } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const file = openSync(path);
 * const options: PrefetchOptions = { signal: AbortSignal.abort() };
 * await assert.rejects(() => file.prefetch(0, 0, options), DOMException);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface PrefetchOptions {
  /** Ends it: the promise rejects with the signal's reason once the call under way, of 16 MiB at most, is over. */
  signal?: AbortSignal;
  /** Called after each part with the number of bytes brought in so far, and in all. What it throws ends the work. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Options of {@linkcode open} and {@linkcode openSync}: those of `Deno.open`, and those of a mapping.
 *
 * Options that are at odds, or mean nothing without another, are a `TypeError` that names both.
 *
 * @example Map a part of a file
 * ```ts
 * import assert from "node:assert/strict";
 * import { type MmapOpenOptions, openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "header, body, footer");
 * const options: MmapOpenOptions = { offset: 8, length: 4 };
 * const file = openSync(path, options);
 * assert.equal(new TextDecoder().decode(file.bytes()), "body");
 * file.close();
 * Deno.removeSync(path);
 * ```
 *
 * @example Change a file in this process only
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "as it is");
 * const file = openSync(path, { copyOnWrite: true });
 * file.writeStringSync("it");
 * assert.equal(new TextDecoder().decode(file.bytes()), "it it is");
 * file.close();
 * assert.equal(Deno.readTextFileSync(path), "as it is");
 * Deno.removeSync(path);
 * ```
 */
export interface MmapOpenOptions extends Deno.OpenOptions {
  /** Bytes: the length that the file is given when it is created or empty, or when it is truncated. */
  size?: number;
  /** Do not reserve disk blocks for `size`. By default they are, so that a full disk is an error at open. */
  sparse?: boolean;
  /**
   * Let writes past the end extend the file, as with `Deno.FsFile`. The default for a file that is
   * created or truncated without a `size`; of any other the size is fixed by default.
   */
  grow?: boolean;
  /** Map only a window of the file: its first byte, at any place. */
  offset?: number;
  /** Map only a window of the file: its length in bytes. By default it reaches to the end. */
  length?: number;
  /** Keep writes in this process: none reaches the file, which need only be readable. */
  copyOnWrite?: boolean;
  /** How the file will be read; "normal" by default. */
  advice?: Advice;
  /** Bring the file's pages into memory at open. */
  prefetch?: boolean;
  /** Survive the file's truncation by others (Linux); `true` by default. See {@linkcode TruncatedError}. */
  guard?: boolean;
  /**
   * Let the memory be a `SharedArrayBuffer`, so that views can be posted to workers. Not on Windows, not
   * with `copyOnWrite`, and up to 16 GiB. Views stay valid when the file grows; `close` cannot empty them.
   */
  shared?: boolean;
  /**
   * How to have the file in memory: "fallback" reads it in place of mapping it, which needs no `--allow-ffi`.
   * Changes are written back by `flush`, `sync`, `refresh`, `truncate` and `close`. The `transfer` of a view's
   * buffer takes those since then away: the next of these calls throws a `TypeError`.
   */
  backend?: "auto" | "fallback";
}

/**
 * How a wait ended: the word was notified or changed, it was not as expected to begin with, or the time was over.
 */
export type WaitResult = "ok" | "not-equal" | "timed-out";

/**
 * Options of `MmapFile.wait`.
 *
 * @example Wait for a second at most
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type WaitOptions } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const options: WaitOptions = { timeout: 10 };
 * using file = createSync(path, 4);
 * assert.equal(await file.wait(0, 0, options), "timed-out");
 * Deno.removeSync(path);
 * ```
 */
export interface WaitOptions {
  /** Milliseconds after which the wait ends with "timed-out"; by default it does not. */
  timeout?: number;
  /** Ends the wait when it is aborted: the promise is rejected with its reason. */
  signal?: AbortSignal;
}
