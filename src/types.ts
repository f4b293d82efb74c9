/**
 * The interfaces of readers and writers, which have the shape of those of `@std/io/types`, and options.
 *
 * @module
 */

/**
 * Reads bytes into an array: an `MmapFile`, a `Deno.FsFile`, a connection. {@linkcode MmapFile.prototype.readFrom | readFrom}
 * accepts any.
 *
 * @example
 * ```ts
 * import { createSync, open, type Reader } from "@mmapfile/mmapfile";
 *
 * using source: Reader & Disposable = await open("LICENSE");
 * using file = createSync(Deno.makeTempFileSync());
 * await file.readFrom(source);
 * ```
 */
export interface Reader {
  /** Reads up to `p.byteLength` bytes into `p`. Resolves to the number of bytes read, or `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
}

/**
 * Reads bytes into an array, synchronously. {@linkcode MmapFile.prototype.readFromSync | readFromSync} accepts any.
 *
 * @example A reader that delivers three ones
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type ReaderSync } from "@mmapfile/mmapfile";
 *
 * let left = 3;
 * const ones: ReaderSync = {
 *   readSync: (p) => left-- > 0 ? p.fill(1, 0, 1) && 1 : null,
 * };
 * using file = createSync(Deno.makeTempFileSync());
 * assert.equal(file.readFromSync(ones), 3);
 * ```
 */
export interface ReaderSync {
  /** Reads up to `p.byteLength` bytes into `p`. Returns the number of bytes read, or `null` at the end. */
  readSync(p: Uint8Array): number | null;
}

/**
 * Writes bytes of an array. {@linkcode MmapFile.prototype.writeTo | writeTo} accepts any.
 *
 * @example A writer that only counts
 * ```ts
 * import assert from "node:assert/strict";
 * import { open, type Writer } from "@mmapfile/mmapfile";
 *
 * let bytes = 0;
 * const counter: Writer = {
 *   write: (p) => Promise.resolve((bytes += p.length, p.length)),
 * };
 * using file = await open("LICENSE");
 * await file.writeTo(counter);
 * assert.equal(bytes, file.size);
 * ```
 */
export interface Writer {
  /** Writes bytes of `p`. Resolves to the number of bytes written. */
  write(p: Uint8Array): Promise<number>;
}

/**
 * Writes bytes of an array, synchronously. {@linkcode MmapFile.prototype.writeToSync | writeToSync} accepts any.
 *
 * @example
 * ```ts
 * import { openSync, type WriterSync } from "@mmapfile/mmapfile";
 *
 * const target: WriterSync = Deno.stdout;
 * using file = openSync("LICENSE");
 * file.writeToSync(target);
 * ```
 */
export interface WriterSync {
  /** Writes bytes of `p`. Returns the number of bytes written. */
  writeSync(p: Uint8Array): number;
}

/**
 * Moves a cursor. No function of this module requires it: it is the type of a parameter of your own that an
 * `MmapFile`, a `Deno.FsFile`, and classes of `@std/io` satisfy.
 *
 * @example
 * ```ts
 * import { openSync, type Reader, type Seeker } from "@mmapfile/mmapfile";
 *
 * async function readAgain(file: Reader & Seeker, p: Uint8Array) {
 *   await file.seek(0, Deno.SeekMode.Start);
 *   return await file.read(p);
 * }
 * using file = openSync("LICENSE");
 * await readAgain(file, new Uint8Array(10));
 * ```
 */
export interface Seeker {
  /** Moves the cursor by `offset` bytes from `whence`. Resolves to the new position in bytes. */
  seek(offset: number | bigint, whence: Deno.SeekMode): Promise<number>;
}

/**
 * Moves a cursor, synchronously. As {@linkcode Seeker}, it is the type of a parameter of your own.
 *
 * @example The size of anything with a cursor
 * ```ts
 * import { openSync, type SeekerSync } from "@mmapfile/mmapfile";
 *
 * function sizeOf(file: SeekerSync): number {
 *   return file.seekSync(0, Deno.SeekMode.End);
 * }
 * using file = openSync("LICENSE");
 * sizeOf(file);
 * ```
 */
export interface SeekerSync {
  /** Moves the cursor by `offset` bytes from `whence`. Returns the new position in bytes. */
  seekSync(offset: number | bigint, whence: Deno.SeekMode): number;
}

/**
 * Can be closed. As {@linkcode Seeker}, it is the type of a parameter of your own.
 *
 * @example
 * ```ts
 * import { type Closer, openSync } from "@mmapfile/mmapfile";
 *
 * const closers: Closer[] = [openSync("LICENSE"), Deno.openSync("LICENSE")];
 * for (const closer of closers) closer.close();
 * ```
 */
export interface Closer {
  /** Closes it and releases its resources. */
  close(): void;
}

/**
 * Reads at a position. It is the type of a parameter of your own, for code that needs no cursor: parsers of
 * archives, indexes, records.
 *
 * @example Read records of one size
 * ```ts
 * import { open, type ReaderAt } from "@mmapfile/mmapfile";
 *
 * async function record(source: ReaderAt, number: number) {
 *   const bytes = new Uint8Array(32);
 *   await source.readAt(bytes, number * bytes.length);
 *   return bytes;
 * }
 * using file = await open("LICENSE");
 * await record(file, 3);
 * ```
 */
export interface ReaderAt {
  /** Reads up to `p.byteLength` bytes at `offset`. Resolves to the number of bytes read, or `null` at the end. */
  readAt(p: Uint8Array, offset: number): Promise<number | null>;
}

/**
 * Reads at a position, synchronously. As {@linkcode ReaderAt}, it is the type of a parameter of your own.
 *
 * @example Recognize a file by its first bytes
 * ```ts
 * import { openSync, type ReaderAtSync } from "@mmapfile/mmapfile";
 *
 * function isGzip(source: ReaderAtSync): boolean {
 *   const magic = new Uint8Array(2);
 *   source.readAtSync(magic, 0);
 *   return magic[0] === 0x1f && magic[1] === 0x8b;
 * }
 * using file = openSync("LICENSE");
 * console.log(isGzip(file)); // false
 * ```
 */
export interface ReaderAtSync {
  /** Reads up to `p.byteLength` bytes at `offset`. Returns the number of bytes read, or `null` at the end. */
  readAtSync(p: Uint8Array, offset: number): number | null;
}

/**
 * Writes at a position. As {@linkcode ReaderAt}, it is the type of a parameter of your own.
 *
 * @example
 * ```ts
 * import { create, type WriterAt } from "@mmapfile/mmapfile";
 *
 * async function stamp(target: WriterAt): Promise<void> {
 *   await target.writeAt(new TextEncoder().encode("v1"), 6);
 * }
 * using file = await create(Deno.makeTempFileSync(), 8);
 * await stamp(file);
 * ```
 */
export interface WriterAt {
  /** Writes `p` at `offset`. Resolves to the number of bytes written. */
  writeAt(p: Uint8Array, offset: number): Promise<number>;
}

/**
 * Writes at a position, synchronously. As {@linkcode ReaderAt}, it is the type of a parameter of your own.
 *
 * @example
 * ```ts
 * import { createSync, type WriterAtSync } from "@mmapfile/mmapfile";
 *
 * function mark(target: WriterAtSync, number: number): void {
 *   target.writeAtSync(Uint8Array.of(1), number);
 * }
 * using file = createSync(Deno.makeTempFileSync(), 4);
 * mark(file, 2);
 * ```
 */
export interface WriterAtSync {
  /** Writes `p` at `offset`. Returns the number of bytes written. */
  writeAtSync(p: Uint8Array, offset: number): number;
}

/**
 * A range of a file, for methods that work on a part of it.
 *
 * @example Search only the header
 * ```ts
 * import { type ByteRange, openSync } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * const header: ByteRange = { length: file.indexOf("\n\n") };
 * console.log(file.includes("MIT", header));
 * ```
 */
export interface ByteRange {
  /** Position of the first byte, 0 by default. */
  offset?: number;
  /** Bytes, by default up to the end that the file has now. */
  length?: number;
}

/**
 * How a range of a file will be used, so that the system can read ahead or not.
 *
 * @example
 * ```ts
 * import { type Advice, openSync } from "@mmapfile/mmapfile";
 *
 * const advice: Advice = "sequential";
 * using file = openSync("LICENSE", { advice });
 * ```
 */
export type Advice = "normal" | "sequential" | "random";

/**
 * Options of {@linkcode MmapFile.prototype.prefetch | prefetch}.
 *
 * @example Stop after a second
 * ```ts
 * import { openSync, type PrefetchOptions } from "@mmapfile/mmapfile";
 *
 * const options: PrefetchOptions = { signal: AbortSignal.timeout(1000) };
 * using file = openSync("LICENSE");
 * await file.prefetch(0, file.size, options);
 * ```
 */
export interface PrefetchOptions {
  /** Ends it early: the promise rejects with the signal's reason, after at most 16 MiB more. */
  signal?: AbortSignal;
  /** Called after each part with the bytes brought in so far, and in total. If it throws, the promise rejects. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Options of {@linkcode open} and {@linkcode openSync}: those of `Deno.open`, and those of a mapping.
 *
 * If two options cannot be combined, or one requires another, a `TypeError` names both.
 *
 * @example Map a part of a file
 * ```ts
 * import assert from "node:assert/strict";
 * import { type MmapOpenOptions, openSync } from "@mmapfile/mmapfile";
 *
 * const options: MmapOpenOptions = { offset: 8, length: 4 };
 * using file = openSync("LICENSE", options);
 * assert.equal(file.size, 4);
 * ```
 *
 * @example Change a file in this process only
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE", { copyOnWrite: true });
 * file.writeStringSync("changed");
 * assert.equal(file.text(0, 7), "changed");
 * ```
 */
export interface MmapOpenOptions extends Deno.OpenOptions {
  /**
   * The length in bytes that the file gets if it is created, empty, or truncated. A file opened with it has a
   * fixed size.
   */
  size?: number;
  /** Do not reserve disk blocks for `size`. By default they are reserved, so that a full disk is an error on open. */
  sparse?: boolean;
  /**
   * Whether a write past the end extends the file, as with `Deno.FsFile`. By default it does, unless `size`, a
   * window, or `copyOnWrite` is given. `false` fixes the size of the file.
   */
  grow?: boolean;
  /** Map only a window of the file: the position of its first byte, which need not be aligned. */
  offset?: number;
  /** Map only a window of the file: its length in bytes, by default up to the end of the file. */
  length?: number;
  /** Keep writes in this process: they never reach the file, which need only be readable. */
  copyOnWrite?: boolean;
  /** How the file will be read, "normal" by default. */
  advice?: Advice;
  /** Bring the whole file into memory on open. */
  prefetch?: boolean;
  /** Catch truncation of the file by other processes (Linux), `true` by default. See {@linkcode TruncatedError}. */
  guard?: boolean;
  /**
   * Use a `SharedArrayBuffer` as memory, so that views can be posted to workers. Views stay valid when the file
   * grows, and `close` cannot empty them. Not supported on Windows, with `copyOnWrite`, or above 16 GiB.
   */
  shared?: boolean;
  /**
   * How to access the file. "fallback" reads it into memory instead of mapping it, and needs no `--allow-ffi`.
   * Changes are written back by `flush`, `sync`, `refresh`, `truncate`, and `close`. If a view's buffer was
   * transferred, changes since then are lost, and the next of these calls throws a `TypeError`.
   */
  backend?: "auto" | "fallback";
}

/** How a wait ended: the word was notified or changed, was not as expected to begin with, or time ran out. */
export type WaitResult = "ok" | "not-equal" | "timed-out";

/**
 * Options of {@linkcode MmapFile.prototype.wait | wait}.
 *
 * @example Wait for 10 milliseconds at most
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type WaitOptions } from "@mmapfile/mmapfile";
 *
 * const options: WaitOptions = { timeout: 10 };
 * using file = createSync(Deno.makeTempFileSync(), 4);
 * assert.equal(await file.wait(0, 0, options), "timed-out");
 * ```
 */
export interface WaitOptions {
  /** Milliseconds after which the wait ends with "timed-out". By default it waits without limit. */
  timeout?: number;
  /** Ends the wait if it is aborted: the promise rejects with its reason. */
  signal?: AbortSignal;
}

/**
 * A constructor of typed arrays, such as `Int32Array`: the parameter of {@linkcode MmapFile.prototype.view | view}.
 *
 * @example Choose a type at run time
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type TypedArrayConstructor } from "@mmapfile/mmapfile";
 *
 * function typeOf(isSigned: boolean): TypedArrayConstructor<Int8Array | Uint8Array> {
 *   return isSigned ? Int8Array : Uint8Array;
 * }
 * using file = createSync(Deno.makeTempFileSync(), 1);
 * file.writeSync(Uint8Array.of(255));
 * assert.equal(file.view(typeOf(true))[0], -1);
 * ```
 */
export interface TypedArrayConstructor<
  T,
  Buffer extends ArrayBufferLike = ArrayBuffer,
> {
  /** The name of the type, such as "Int32Array". */
  readonly name: string;
  /** The size of one element, in bytes. */
  readonly BYTES_PER_ELEMENT: number;
  /** Creates an array of `length` elements over `buffer`, from `byteOffset` bytes on. */
  new (buffer: Buffer, byteOffset: number, length: number): T;
}

/**
 * A typed array of the same kind over another type of buffer: the return type of {@linkcode MmapFile.prototype.view | view} for
 * a `shared` file, where `Int32Array` becomes `Int32Array<SharedArrayBuffer>`.
 */
export type ArrayOver<T, Buffer extends ArrayBufferLike> = T extends Int8Array
  ? Int8Array<Buffer>
  : T extends Uint8Array ? Uint8Array<Buffer>
  : T extends Uint8ClampedArray ? Uint8ClampedArray<Buffer>
  : T extends Int16Array ? Int16Array<Buffer>
  : T extends Uint16Array ? Uint16Array<Buffer>
  : T extends Int32Array ? Int32Array<Buffer>
  : T extends Uint32Array ? Uint32Array<Buffer>
  : T extends Float32Array ? Float32Array<Buffer>
  : T extends Float64Array ? Float64Array<Buffer>
  : T extends BigInt64Array ? BigInt64Array<Buffer>
  : T extends BigUint64Array ? BigUint64Array<Buffer>
  : T;
