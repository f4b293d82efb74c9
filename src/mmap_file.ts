/**
 * MmapFile: the cursor, positional I/O, and the methods of `Deno.FsFile`, over any mapping.
 *
 * @module
 */

import { AsyncQueue } from "./async_queue.ts";
import { blobOf, type BlobOptions } from "./blob.ts";
import {
  type ByteSource,
  byteStream,
  CHUNK_SIZE as STREAM_CHUNK_SIZE,
  MAX_SYNC_READ,
  sinkStream,
} from "./byte_stream.ts";
import {
  accessDenied,
  addBytesWritten,
  bytesWritten,
  TruncatedError,
} from "./errors.ts";
import { runAndYield, yieldIfDue, yieldToEventLoop } from "./event_loop.ts";
import {
  changesLostError,
  closedError,
  detachedError,
  invalidCountError,
  isMemoryFault,
  notBytesError,
  notReadableError,
  notStringError,
  outOfBoundsError,
  readOnlyError,
  seekError,
  shortenedError,
  tooLargeError,
  truncatedError,
  unmappedError,
} from "./file_errors.ts";
import { toLength, toTimes } from "./fsfile_arguments.ts";
import {
  bufferOf,
  byteLength as importedByteLength,
  copyOf,
  isOfAnyLength,
  isUint8Array,
  plainView,
  set as importedSet,
} from "./intrinsics.ts";
import {
  PART_SIZE,
  PAUSE,
  Pauses,
  type Step,
  syncAndAsync,
} from "./iteration.ts";
import {
  type Access,
  type FileOps,
  IN_MEMORY,
  LONG_WRITE,
  type Mapping,
  NON_TEMPORAL_LENGTH,
  type Residency,
} from "./storage.ts";
import { isAdvice } from "./options.ts";
import { checkRange, mayBePastEnd } from "./ranges.ts";
import { isNamed } from "./same_file.ts";
import {
  indexOf,
  lastIndexOf,
  lines,
  type LinesOptions,
  linesReverse,
} from "./search.ts";
import { longText, shortText } from "./text.ts";
import { textLinesOf, type TextLinesOptions } from "./text_lines.ts";
import {
  copyFrom,
  copyFromSync,
  type CopySource,
  copyTo,
  copyToSync,
} from "./copy.ts";
import { hasThread } from "./threads.ts";
import type {
  Advice,
  ArrayOver,
  ByteRange,
  PrefetchOptions,
  Reader,
  ReaderSync,
  TypedArrayConstructor,
  WaitOptions,
  WaitResult,
  Writer,
  WriterSync,
} from "./types.ts";
import { chunksOf, writeASCII as importedWriteASCII } from "./utf8.ts";
import { checkWaits, FileWaits } from "./wait.ts";

const EMPTY_BYTES = new Uint8Array(new ArrayBuffer(0));

// V8 inlines calls of a module's own constants, and not of those that it imports (measured).
const byteLength = importedByteLength;
const set = importedSet;
const writeASCII = importedWriteASCII;

const encoder = new TextEncoder();

/** Characters of a string that JavaScript writes faster than `encodeInto`, which takes 190 ns per call (measured). */
const MAX_INLINE_ASCII = 24;

/** Bytes of a page: the size that the system reports for files of /sys. */
const PAGE_SIZE = 4096;

/** Bytes up to which an async read or write is done at once. A longer one lets the event loop run. */
const YIELD_THRESHOLD = 1 << 20;

/** Bytes of a longer one copied in one go: a millisecond's work, compared with which a turn is cheap. */
const CHUNK_SIZE = 8 << 20;

/** Bytes that one call brings into memory: a fraction of a second on a slow disk. */
const PREFETCH_CHUNK_SIZE = 16 << 20;

/** What `streams.ts` uses of a file, in addition to its public methods. */
export interface Internals {
  /** Whether `bytes` returns views that stay when the file grows. A copy in memory moves, and empties its views. */
  readonly isView: boolean;
  /** Brings a range into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(position: number, length: number): Promise<void> | undefined;
  /** Throws unless the file can be read in chunks of `size` bytes. */
  checkChunkSize(size: number): void;
  /** Throws unless the file can be written at a position. */
  checkWritable(offset: number): void;
}

/** Returns what `streams.ts` uses of a file. */
export let internalsOf: (file: MmapFile<ArrayBufferLike>) => Internals;

/**
 * A memory-mapped file: a drop-in replacement for `Deno.FsFile`.
 *
 * Files are opened by {@linkcode open} and {@linkcode openSync}, and created by {@linkcode create} and
 * {@linkcode createSync}. Offsets, lengths, and sizes are in bytes, unless something else is said. Async
 * methods keep the order in which they were called.
 *
 * - Every method throws {@linkcode ClosedError} after `close()`.
 * - Methods that `Deno.FsFile` has behave as those of `Deno.FsFile`, also if another process truncates the
 *   file. Methods that work on memory then throw {@linkcode TruncatedError} until {@linkcode MmapFile.prototype.refresh | refresh}.
 * - A view is emptied by `close()`, and by `truncate()` to a shorter length.
 *
 * The type parameter is the type of the memory's buffer: a `SharedArrayBuffer` with the option `shared`.
 *
 * @example Read at the cursor, at a position, and without a copy
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync } from "@mmapfile/mmapfile";
 *
 * using file = createSync(Deno.makeTempFileSync());
 * file.writeStringSync("hello, world");
 * const word = new Uint8Array(5);
 * file.readAtSync(word, 7);
 * assert.equal(new TextDecoder().decode(word), "world");
 * assert.equal(file.bytes(0, 5).length, 5);
 * ```
 */
export class MmapFile<Buffer extends ArrayBufferLike = ArrayBuffer>
  implements Deno.FsFile {
  /** The path as it was passed to `open`. Of a URL, its text. */
  readonly name: string;
  /**
   * How the file is accessed: "posix" and "windows" map it, "fallback" reads it into memory.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE", { backend: "fallback" });
   * assert.equal(file.backend, "fallback");
   * ```
   */
  readonly backend: "posix" | "windows" | "fallback";

  readonly #file: FileOps;
  readonly #mapping: Mapping;
  readonly #access: Access;

  // The hot path's copies of the mapping's properties.
  #bytes: Uint8Array = EMPTY_BYTES;
  #buffer: ArrayBufferLike = EMPTY_BYTES.buffer;
  #start = 0;
  /** Bytes of the memory that show the file. */
  #mappedLength = 0;
  #faults: Int32Array;
  /** Which parts of the file are in memory, and may be touched on the event loop. */
  #residency: Residency;
  /** Whether users may have views of the file at other addresses. */
  #isAliased = false;
  /** Whether the mapping takes note of each write. */
  #notesWrites: boolean;

  #size = 0;
  /** Whether `#size` may lack multiples of 4 GiB. Until it is used, the system is not asked. */
  #isSizeLow: boolean;
  #position = 0;
  /** The end of what can be read from memory without a check; -1 if every read needs one. */
  #readLimit = -1;
  /** The end of what can be written to memory without a check; -1 if every write needs one. */
  #writeLimit = -1;

  /** Whether memory was written since the modification time last changed. */
  #isDirty = false;
  /** Whether `utime` has set the times. */
  #hasSetTimes = false;
  /** Bytes appended since the size of the file was last queried. */
  #pendingAppend = 0;
  #closed = false;
  #truncated = false;
  /** Writes in progress in other threads. Until they end, other writes use the descriptor too, after them. */
  #pendingWrites = 0;
  /** The file's device and inode, once they were queried. */
  #identity: Deno.FileInfo | null = null;
  readonly #queue = new AsyncQueue();

  /** Created by the first wait or notify. */
  #waits: FileWaits | undefined;

  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | null = null;

  static {
    internalsOf = (file) => ({
      isView: file.backend !== "fallback" || !file.#access.grow,
      bringIn: (position, length) => file.#bringInIfMissing(position, length),
      checkChunkSize: (size) => file.#checkChunkSize(size),
      checkWritable(offset) {
        file.#checkOffset("write", offset);
        file.#checkWriteAccess("write");
      },
    });
  }

  /**
   * Use {@linkcode open} or {@linkcode create}.
   *
   * @ignore
   */
  constructor(
    name: string,
    backend: "posix" | "windows" | "fallback",
    file: FileOps,
    mapping: Mapping,
    access: Access,
    size: number,
    isSizeLow: boolean,
  ) {
    this.name = name;
    this.backend = backend;
    this.#file = file;
    this.#mapping = mapping;
    this.#access = access;
    this.#faults = mapping.faults;
    this.#residency = mapping.residency;
    this.#notesWrites = mapping.notesWrites;
    this.#isSizeLow = isSizeLow;
    this.#setSize(size);
    if (mapping.mapsAtOpen) this.#ensureMapped();
  }

  /**
   * The length of the file, or of the window into it, in bytes. Makes a system call only after an append, and once
   * after `openSync`.
   *
   * @example A window into a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * using rest = openSync("LICENSE", { offset: 100 });
   * assert.equal(rest.size, file.size - 100);
   * ```
   */
  get size(): number {
    if (this.#pendingAppend > 0) this.#resolveAppend();
    if (this.#isSizeLow) this.#completeSize();
    return this.#size;
  }

  /**
   * Whether the file is closed: by `close`, at the end of a `using` block, or by a stream.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const file = openSync("LICENSE");
   * file.close();
   * assert(file.closed);
   * ```
   */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Whether truncation of the file by another process is caught. If it is not, accessing the missing pages
   * kills the process by `SIGBUS`. Makes a system call.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE", { guard: false });
   * assert.equal(file.guarded, false);
   * ```
   */
  get guarded(): boolean {
    if (!this.#closed && !this.#truncated) this.#ensureMapped();
    return this.#mapping.guarded;
  }

  /**
   * Whether the file was found truncated by another process, or its disk to have failed, since it was opened
   * or last refreshed. Makes no system call.
   *
   * Check it after reading a view: truncated memory reads as zeros. It is set by the access to the missing
   * page, and by any method that compares sizes. {@linkcode MmapFile.prototype.refresh | refresh} resets it. With `guard: false`
   * only a method that compares sizes sets it; see {@linkcode MmapFile.prototype.guarded | guarded}.
   *
   * @example Never answer from memory that is truncated
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * const first = file.bytes()[0];
   * if (!file.truncated) console.log(first);
   * ```
   */
  get truncated(): boolean {
    return this.#truncated || this.#mapping.hasFaulted;
  }

  // --- Reads

  /**
   * Reads up to `p.byteLength` bytes at the cursor into `p`, and advances the cursor.
   *
   * @param p The array to read into.
   * @returns The number of bytes read, or `null` at the end of the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   *
   * @example Read a file to its end
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * const buffer = new Uint8Array(1024);
   * for (let n; (n = file.readSync(buffer)) !== null;) {
   *   console.log(buffer.subarray(0, n).length);
   * }
   * ```
   */
  readSync(p: Uint8Array): number | null {
    if (!(p instanceof Uint8Array)) throw this.#notBytesError("read");
    const position = this.#position;
    const length = byteLength.call(p);
    if (position + length > this.#readLimit) return this.#readSlow(p);
    const read = this.#copyTo(p, position, length);
    this.#position = position + (read ?? 0);
    return read;
  }

  /**
   * Reads up to `p.byteLength` bytes at the cursor into `p`, and advances the cursor.
   *
   * What is not in memory is read from the disk off the event loop: on Linux any of it, elsewhere more than
   * 1 MiB. Rejects as {@linkcode MmapFile.prototype.readSync | readSync} throws.
   *
   * @param p The array to read into.
   * @returns The number of bytes read, or `null` at the end of the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * using file = await open("LICENSE");
   * const buffer = new Uint8Array(100);
   * assert.equal(await file.read(buffer), 100);
   * ```
   */
  async read(p: Uint8Array): Promise<number | null> {
    const length = lengthOf(p);
    if (
      this.#queue.admitsReads && length <= YIELD_THRESHOLD &&
      (this.#residency.isWhole || this.#canRead(p, this.#position, length))
    ) {
      try {
        return this.readSync(p);
      } finally {
        const turn = yieldIfDue(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOpen("read");
    const bytes = this.#toBytes("read", p);
    const read = await this.#queue.enqueueRead(() =>
      this.#readLargeAtCursor(bytes)
    );
    const lost = missingFrom(bytes, read);
    this.#position -= lost;
    return read === null ? null : read - lost;
  }

  /**
   * Reads up to `p.byteLength` bytes at a position into `p`. The cursor does not move.
   *
   * @param p The array to read into.
   * @param offset Position of the first byte.
   * @returns The number of bytes read, or `null` at the end of the file.
   * @throws {RangeError} If `offset` is not a whole number, 0 or more.
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   *
   * @example Read a record by its number
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("rec0rec1rec2");
   * const record = new Uint8Array(4);
   * assert.equal(file.readAtSync(record, 2 * record.length), 4);
   * assert.equal(file.readAtSync(record, 3 * record.length), null);
   * ```
   */
  readAtSync(p: Uint8Array, offset: number): number | null {
    if (!(p instanceof Uint8Array)) throw this.#notBytesError("read");
    const length = byteLength.call(p);
    if (
      !Number.isSafeInteger(offset) || offset < 0 ||
      offset + length > this.#readLimit
    ) return this.#readAtSlow(p, offset);
    return this.#copyTo(p, offset, length);
  }

  /**
   * Reads up to `p.byteLength` bytes at a position into `p`. The cursor does not move.
   *
   * What is not in memory is read from the disk off the event loop: on Linux any of it, elsewhere more than
   * 1 MiB. Rejects as {@linkcode MmapFile.prototype.readAtSync | readAtSync} throws.
   *
   * @param p The array to read into.
   * @param offset Position of the first byte.
   * @returns The number of bytes read, or `null` at the end of the file.
   */
  async readAt(p: Uint8Array, offset: number): Promise<number | null> {
    const length = lengthOf(p);
    if (
      this.#queue.admitsReads && length <= YIELD_THRESHOLD &&
      (this.#residency.isWhole || this.#canRead(p, offset, length))
    ) {
      try {
        return this.readAtSync(p, offset);
      } finally {
        const turn = yieldIfDue(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOffset("read", offset);
    this.#checkOpen("read");
    const bytes = this.#toBytes("read", p);
    const read = await this.#queue.enqueueRead(() =>
      this.#readLarge(bytes, offset)
    );
    return read === null ? null : read - missingFrom(bytes, read);
  }

  /** Returns the number of bytes read: fewer, or `null`, if another process has truncated the file. */
  #copyTo(p: Uint8Array, position: number, length: number): number | null {
    if (length >= NON_TEMPORAL_LENGTH) {
      return this.#copyLargeTo(p, position, length);
    }
    try {
      const at = this.#start + position;
      const source = new Uint8Array(this.#buffer, at, length);
      set.call(p, this.#isAliased ? this.#copyIfAliased(source, p) : source);
    } catch (error) {
      throw this.#copyError("read", error);
    }
    return this.#faults[0] === 0
      ? length
      : this.#readFaulted(p, position, length);
  }

  #copyLargeTo(
    p: Uint8Array,
    position: number,
    length: number,
  ): number | null {
    try {
      const at = this.#start + position;
      this.#copyLarge(p, new Uint8Array(this.#buffer, at, length));
    } catch (error) {
      throw this.#copyError("read", error);
    }
    return this.#faults[0] === 0
      ? length
      : this.#readFaulted(p, position, length);
  }

  /** A read at the cursor that needs checks. */
  #readSlow(p: Uint8Array): number | null {
    // Resolves an append, which moves the cursor.
    if (this.#pendingAppend > 0) this.#resolveAppend();
    const position = this.#position;
    const read = this.#readAtSlow(p, position);
    this.#position = position + (read ?? 0);
    return read;
  }

  #readAtSlow(p: Uint8Array, offset: number): number | null {
    this.#checkOffset("read", offset);
    const length = byteLength.call(p);
    if (length === 0) {
      this.#checkOpen("read");
      return 0;
    }
    this.#checkReadAccess("read");
    return this.#readRange(p, offset, length);
  }

  /** Reads as much of a range as the file has, from memory or through the descriptor. */
  #readRange(p: Uint8Array, offset: number, length: number): number | null {
    if (!this.#prepareRead()) {
      return this.#readThrough(p, offset, length);
    }
    if (this.#access.grow && offset + length > this.#size) this.#followGrowth();
    const rest = Math.min(length, this.#size - offset);
    if (rest <= 0) return null;
    // The file has changed its length, as the system has just reported.
    return offset + rest <= this.#readLimit
      ? this.#copyTo(p, offset, rest)
      : this.#readThrough(p, offset, rest);
  }

  /** Decides whether a read uses memory, which then reaches to the end of the file. */
  #prepareRead(): boolean {
    if (this.#access.copyOnWrite) this.#checkIntact("read");
    if (this.#truncated) return false;
    if (!this.#mapping.prepareRead(this.#size)) return false;
    this.#adoptIfChanged();
    if (this.#mapping.isDetached) throw detachedError("read", this.name);
    return !this.#mapping.hasFaulted;
  }

  /** Reads through the descriptor, and follows a change of the size. Files of /proc have size 0. */
  #readThrough(p: Uint8Array, offset: number, length: number): number | null {
    const end = this.#access.grow ? this.#access.length : this.#size;
    const wanted = Math.min(length, end - offset);
    if (wanted <= 0) return null;
    const read = this.#mapping.read(p, wanted, offset);
    const readTo = offset + read;
    if (read < wanted && readTo < this.#size) this.#findTruncation();
    if (readTo > this.#size && read > 0) this.#extendTo(readTo);
    return read || null;
  }

  /** As `#isInMemory`, for a read that follows at once. It may make that read itself. */
  #canRead(p: Uint8Array, position: number, length: number): boolean {
    if (this.#isSizeLow) this.#completeSize();
    const { read, append, copyOnWrite } = this.#access;
    // The next call is `mapping.read`.
    const isDirect = this.#mappedLength === 0 && read && !append &&
      !copyOnWrite &&
      length > 0 && Number.isSafeInteger(position) && position >= 0 &&
      position < this.#size;
    return isDirect
      ? this.#residency.readAhead(p, position, this.#size)
      : this.#isInMemory(position, length);
  }

  /** A large read at the cursor, which moves at once, so that later calls continue after it. */
  async #readLargeAtCursor(p: Uint8Array): Promise<number | null> {
    if (this.#closed) return await this.#readLarge(p, this.#position);
    if (this.#access.grow) this.#followGrowth();
    const position = this.#position;
    const left = Math.max(0, this.size - position);
    const expected = Math.min(p.length, left);
    this.#position += expected;
    let read: number | null = 0;
    try {
      return read = await this.#readLarge(p, position);
    } finally {
      this.#position -= expected - (read ?? 0);
    }
  }

  /** A large read that lets the event loop run, and continues if the file is closed. */
  async #readLarge(p: Uint8Array, position: number): Promise<number | null> {
    const { readAsync } = this.#mapping;
    // To the file's own memory, the kernel would overwrite bytes before it reads them.
    const isOwn = this.#mapping.owns(bufferOf(p));
    if (isOwn && p.length > YIELD_THRESHOLD) {
      return this.readAtSync(p, position);
    }
    const isResizable = isOfAnyLength(p);
    if (
      readAsync === undefined || this.#access.copyOnWrite ||
      isResizable && p.length > YIELD_THRESHOLD
    ) {
      return await this.#readInChunks(p, position);
    }
    if (!this.#closed) this.#checkReadAccess("read");
    const end = this.#access.grow ? this.#access.length : this.#size;
    const length = Math.min(p.length, Math.max(0, end - position));
    if (length === 0) return p.length === 0 ? 0 : null;
    const isCopied = isOwn || isResizable;
    const target = isCopied ? new Uint8Array(length) : p.subarray(0, length);
    const read = await readAsync.call(this.#mapping, target, position);
    this.#residency.add(position, read);
    // Emptied or resized since.
    const kept = Math.min(read, p.length);
    if (isCopied && kept > 0) set.call(p, target.subarray(0, kept));
    const isAsKnown = read === length && position + read <= this.#size;
    if (!isAsKnown && !this.#closed) this.#followGrowth();
    return read || null;
  }

  async #readInChunks(p: Uint8Array, position: number): Promise<number | null> {
    this.#checkReadAccess("read");
    if (this.#access.grow) this.#followGrowth();
    const left = Math.max(0, this.#size - position);
    const length = Math.min(left, p.length);
    if (length === 0) return p.length === 0 ? 0 : null;
    let done = 0;
    // The array may be resized in between, and must have the bytes at the end.
    while (done < Math.min(length, p.length)) {
      if (done > 0) await yieldToEventLoop();
      const chunk = p.subarray(done, Math.min(done + CHUNK_SIZE, length));
      if (chunk.length === 0) break;
      await this.#mapping.prefetch(position + done, chunk.length);
      // Resized in between.
      if (chunk.length === 0) break;
      // Truncated by this file's own `truncate` since: the rest is past the end.
      const read = this.readAtSync(chunk, position + done);
      done += read ?? 0;
      if (read !== chunk.length) break;
    }
    return Math.min(done, p.length);
  }

  // --- Writes

  /**
   * Writes `p` at the cursor and advances the cursor. With `append`, writes at the end of the file.
   *
   * @param p The bytes to write.
   * @returns The number of bytes written: all of them.
   * @throws {OutOfBoundsError} If the file has a fixed size that ends before `p` does. What fits is written.
   * @throws {TruncatedError} If the file has a fixed size and another process has truncated it before `p` ends.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, and `bytesWritten` counts
   * what was written.
   * @throws {ClosedError} If the file is closed.
   *
   * @example Write more than fits
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync, OutOfBoundsError } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 4);
   * assert.throws(() => file.writeSync(new Uint8Array(5)), OutOfBoundsError);
   * ```
   */
  writeSync(p: Uint8Array): number {
    if (!(p instanceof Uint8Array)) throw this.#notBytesError("write");
    const position = this.#position;
    const length = byteLength.call(p);
    const end = position + length;
    if (length >= LONG_WRITE || end > this.#writeLimit || length === 0) {
      return this.#writeSlow(p);
    }
    this.#copyFrom(p, position);
    this.#position = end;
    return length;
  }

  /**
   * Writes `p` at the cursor and advances the cursor. With `append`, writes at the end of the file.
   *
   * Writes of more than 1 MiB run off the event loop. Rejects as {@linkcode MmapFile.prototype.writeSync | writeSync} throws.
   *
   * @param p The bytes to write.
   * @returns The number of bytes written: all of them.
   *
   * @example Let a file grow
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * using file = await create(Deno.makeTempFileSync());
   * await file.write(new TextEncoder().encode("hello"));
   * assert.equal(file.size, 5);
   * ```
   */
  async write(p: Uint8Array): Promise<number> {
    const length = lengthOf(p);
    if (
      this.#queue.isEmpty && length <= YIELD_THRESHOLD &&
      (this.#residency.isWhole || this.#canWrite(this.#position, length))
    ) {
      try {
        return this.writeSync(p);
      } finally {
        const turn = yieldIfDue(length);
        if (turn !== undefined) await turn;
      }
    }
    const bytes = this.#toBytesToWrite(p);
    return await this.#queue.enqueue(() => this.#writeLargeAtCursor(bytes));
  }

  /**
   * Writes `p` at a position. The cursor does not move.
   *
   * @param p The bytes to write.
   * @param offset Position of the first byte.
   * @returns The number of bytes written: all of them.
   * @throws {OutOfBoundsError} If the file has a fixed size, or was opened with `append`, and ends before `p`
   * does. What fits is written.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {RangeError} If `offset` is not a whole number, 0 or more.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, and `bytesWritten` counts
   * what was written.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If the file has a fixed size and another process has truncated it before `p` ends.
   *
   * @example Change bytes in the middle
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("hello, world");
   * file.writeAtSync(new TextEncoder().encode("there"), 7);
   * assert.equal(file.text(), "hello, there");
   * ```
   */
  writeAtSync(p: Uint8Array, offset: number): number {
    if (!(p instanceof Uint8Array)) throw this.#notBytesError("write");
    const length = byteLength.call(p);
    if (
      length >= LONG_WRITE || !Number.isSafeInteger(offset) ||
      offset < 0 ||
      offset + length > this.#writeLimit || length === 0
    ) {
      this.#checkOffset("write", offset);
      if (!isUint8Array(p)) throw this.#notBytesError("write");
      return this.#writeRange(p, offset);
    }
    this.#copyFrom(p, offset);
    return length;
  }

  /**
   * Writes `p` at a position. The cursor does not move.
   *
   * Writes of more than 1 MiB run off the event loop. Rejects as {@linkcode MmapFile.prototype.writeAtSync | writeAtSync} throws.
   *
   * @param p The bytes to write.
   * @param offset Position of the first byte.
   * @returns The number of bytes written: all of them.
   */
  async writeAt(p: Uint8Array, offset: number): Promise<number> {
    const length = lengthOf(p);
    if (
      this.#queue.isEmpty && length <= YIELD_THRESHOLD &&
      (this.#residency.isWhole || this.#canWrite(offset, length))
    ) {
      try {
        return this.writeAtSync(p, offset);
      } finally {
        const turn = yieldIfDue(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOffset("write", offset);
    const bytes = this.#toBytesToWrite(p);
    return await this.#queue.enqueue(() => this.#writeLarge(bytes, offset));
  }

  #copyFrom(p: Uint8Array, position: number): void {
    try {
      const source = this.#isAliased ? this.#copyIfAliased(p, this.#bytes) : p;
      set.call(this.#bytes, source, this.#start + position);
    } catch (error) {
      throw this.#copyError("write", error);
    }
    this.#isDirty = true;
    if (this.#faults[0] !== 0) this.#writeFaulted(p, position);
  }

  #copyLargeFrom(p: Uint8Array, position: number): void {
    try {
      this.#copyLarge(this.#bytes.subarray(this.#start + position), p);
    } catch (error) {
      throw this.#copyError("write", error);
    }
    this.#isDirty = true;
    if (this.#faults[0] !== 0) this.#writeFaulted(p, position);
  }

  #copyLarge(target: Uint8Array, source: Uint8Array): void {
    const mapping = this.#mapping;
    const mayOverlap = mapping.owns(bufferOf(target)) &&
      mapping.owns(bufferOf(source));
    if (mayOverlap) set.call(target, this.#copyIfAliased(source, target));
    else if (mapping.copyLarge === undefined) set.call(target, source);
    else mapping.copyLarge(target, source);
  }

  /**
   * The source, or a copy if it may overlap the target at another address, which `set` does not notice.
   */
  #copyIfAliased(source: Uint8Array, target: Uint8Array): Uint8Array {
    const [from, to] = [bufferOf(source), bufferOf(target)];
    const mapping = this.#mapping;
    return from !== to && mapping.owns(from) && mapping.owns(to)
      ? copyOf(source)
      : source;
  }

  /** A write at the cursor that needs checks. */
  #writeSlow(p: Uint8Array): number {
    if (!isUint8Array(p)) throw this.#notBytesError("write");
    const length = byteLength.call(p);
    if (this.#access.append) this.#append(p);
    else {
      // Resolves an append, which moves the cursor.
      this.#checkOpen("write");
      try {
        this.#writeRange(p, this.#position);
      } catch (error) {
        this.#position += bytesWritten(error);
        throw error;
      }
      this.#position += length;
    }
    return length;
  }

  /** A write at a position that needs checks. */
  #writeRange(p: Uint8Array, position: number): number {
    this.#checkWriteAccess("write");
    const length = byteLength.call(p);
    this.#checkMaxPosition(position, length);
    if (length === 0) return 0;
    const { copyOnWrite, grow } = this.#access;
    const end = position + length;
    const way = this.#wayToWrite(position, length);
    switch (way) {
      case "memory":
        if (length < NON_TEMPORAL_LENGTH) this.#copyFrom(p, position);
        else this.#copyLargeFrom(plainView(p), position);
        return length;
      case "descriptor":
        if (!grow) this.#checkEnd(end);
        this.#writeThrough(p, position);
        return length;
      case "what fits": {
        if (!copyOnWrite) this.#checkEnd(end);
        const fits = this.#lengthThatFits(position, length);
        if (fits > 0) {
          this.#writeRange(plainView(p).subarray(0, fits), position);
        }
        throw this.#outOfBoundsError(fits);
      }
    }
  }

  /** Decides how to write a range. If memory is the way, it shows the file when this returns. */
  #wayToWrite(
    position: number,
    length: number,
  ): "memory" | "descriptor" | "what fits" {
    const { append, copyOnWrite, grow } = this.#access;
    // pwrite(2) with O_APPEND appends at any position. Private changes are in memory only.
    const needsMemory = append || copyOnWrite;
    if (position + length > this.#size) {
      return grow && !needsMemory ? "descriptor" : "what fits";
    }
    if (needsMemory) this.#checkIntact("write");
    else if (this.#truncated || this.#mapping.hasFaulted) return "descriptor";
    // After the writes in progress in other threads, which use the descriptor.
    else if (this.#pendingWrites > 0) return "descriptor";
    const isPrepared = this.#mapping.prepareWrite(this.#size, position, length);
    if (isPrepared) this.#adoptIfChanged();
    else if (needsMemory) this.#map();
    return needsMemory || isPrepared ? "memory" : "descriptor";
  }

  /** Writes through the descriptor, past the end too. */
  #writeThrough(p: Uint8Array, position: number): void {
    let written = byteLength.call(p);
    try {
      // The kernel does not handle a source that overlaps its target.
      const isOwn = (this.#mappedLength > 0 || this.#isAliased) &&
        this.#mapping.owns(bufferOf(p));
      this.#mapping.write(isOwn ? copyOf(p) : p, position);
    } catch (error) {
      written = bytesWritten(error);
      throw error;
    } finally {
      const end = position + written;
      if (written > 0 && end > this.#size) this.#extendTo(end);
    }
  }

  /** How many bytes of a write are in the file. */
  #lengthThatFits(position: number, length: number): number {
    return Math.max(0, Math.min(length, this.#size - position));
  }

  #outOfBoundsError(bytesWritten: number): Error {
    const { append } = this.#access;
    return outOfBoundsError(this.name, this.#size, append, bytesWritten);
  }

  /** Throws if a write ends at a position that is not a safe integer. */
  #checkMaxPosition(position: number, length: number): void {
    if (position + length <= Number.MAX_SAFE_INTEGER) return;
    if (!this.#access.grow) return;
    const bytes = `${length} bytes at ${position}`;
    throw tooLargeError("write", this.name, bytes, "write");
  }

  /** Throws if a fixed-size file was truncated before `end`: a write there would extend it with zeros. */
  #checkEnd(end: number): void {
    if (!this.#truncated) this.#findTruncation();
    if (this.#truncated && end > this.#size) throw this.#markTruncated("write");
  }

  #append(p: Uint8Array): void {
    if (this.#pendingAppend === 0) this.#checkWriteAccess("write");
    const length = byteLength.call(p);
    if (length === 0) return;
    // Others may append too, so the end is queried when it is needed.
    this.#readLimit = -1;
    try {
      this.#mapping.append(p);
      this.#pendingAppend += length;
    } catch (error) {
      this.#pendingAppend += bytesWritten(error);
      throw error;
    }
  }

  /** Queries the end of the last append, which is the end of the file, and the cursor. */
  #resolveAppend(): void {
    const least = this.#size + this.#pendingAppend;
    this.#pendingAppend = 0;
    this.#isSizeLow = false;
    const end = this.#mapping.appendEnd();
    this.#position = end;
    // Truncated by others, as logrotate's copytruncate does: the log continues, with other bytes in memory.
    if (end < least) this.#remap();
    else this.#setSize(end);
  }

  /** Whether a write does not need bytes from the disk. */
  #canWrite(position: number, length: number): boolean {
    if (!Number.isSafeInteger(position) || position < 0) return true;
    if (this.#isSizeLow) this.#completeSize();
    const size = this.#size;
    const { append } = this.#access;
    // It uses the descriptor, most of the time, or memory that was written before.
    const isDirect = this.#mappedLength === 0 || length >= LONG_WRITE ||
      position >= size;
    return append || isDirect
      ? this.#residency.hasEnds(append ? size : position, length, size)
      : this.#isInMemory(position, length);
  }

  /** The bytes of a large write. If it must wait, a copy: the array may be detached by then. */
  #toBytesToWrite(p: Uint8Array): Uint8Array {
    this.#checkOpen("write");
    const bytes = this.#toBytes("write", p);
    return this.#queue.isEmpty && hasThread() ? bytes : copyOf(bytes);
  }

  /** A large write at the cursor, which moves at once, so that later calls continue after it. */
  async #writeLargeAtCursor(p: Uint8Array): Promise<number> {
    if (this.#access.append) return await this.#appendLarge(p);
    const position = this.#position;
    const { length } = p;
    this.#checkMaxPosition(position, length);
    this.#position += length;
    let written = 0;
    try {
      return written = await this.#writeLarge(p, position);
    } catch (error) {
      written = bytesWritten(error);
      throw error;
    } finally {
      this.#position -= length - written;
    }
  }

  /** A large write that lets the event loop run, and continues if the file is closed. */
  async #writeLarge(bytes: Uint8Array, position: number): Promise<number> {
    const { append, copyOnWrite, grow } = this.#access;
    const { writeAsync } = this.#mapping;
    if (!this.#closed) this.#checkWriteAccess("write");
    this.#checkMaxPosition(position, bytes.length);
    if (
      append || copyOnWrite || writeAsync === undefined || isOfAnyLength(bytes)
    ) {
      if (!this.#isInMemory(position, bytes.length)) {
        bytes = copyOf(bytes);
        await this.#bringIn(position, position + bytes.length);
      }
      return await this.#writeInChunks(
        bytes,
        (chunk, done) => this.#writeChunk(chunk, position + done),
      );
    }
    const { length } = bytes;
    const fits = grow ? length : this.#lengthThatFits(position, length);
    // The kernel does not handle a source that overlaps its target.
    if (this.#mapping.owns(bufferOf(bytes))) bytes = copyOf(bytes);
    if (!this.#closed && !grow) this.#checkEnd(position + length);
    const written = await this.#whileWriting(
      () => writeAsync.call(this.#mapping, bytes.subarray(0, fits), position),
      position,
    );
    this.#residency.add(position, written);
    if (fits < length) throw this.#outOfBoundsError(written);
    return written;
  }

  async #appendLarge(bytes: Uint8Array): Promise<number> {
    const { appendAsync } = this.#mapping;
    if (!this.#closed) this.#checkWriteAccess("write");
    if (appendAsync === undefined || isOfAnyLength(bytes)) {
      return await this.#writeInChunks(bytes, (chunk) => {
        if (this.#closed) this.#mapping.append(chunk);
        else this.#append(chunk);
        return chunk.length;
      });
    }
    let written = 0;
    try {
      return written = await this.#whileWriting(() =>
        appendAsync.call(this.#mapping, bytes)
      );
    } catch (error) {
      written = bytesWritten(error);
      throw error;
    } finally {
      if (!this.#closed) this.#pendingAppend += written;
    }
  }

  /** Makes other writes use the descriptor while a write in another thread is in progress. */
  async #whileWriting(
    write: () => Promise<number>,
    position?: number,
  ): Promise<number> {
    if (this.#isSizeLow) this.#completeSize();
    this.#pendingWrites++;
    this.#setSize(this.#size);
    let written = 0;
    try {
      return written = await write();
    } catch (error) {
      written = bytesWritten(error);
      throw error;
    } finally {
      this.#pendingWrites--;
      const isFixed = position === undefined || written === 0 || this.#closed;
      const end = isFixed ? 0 : position + written;
      this.#setSize(Math.max(this.#size, end));
    }
  }

  async #writeInChunks(
    p: Uint8Array,
    write: (chunk: Uint8Array, done: number) => number,
  ): Promise<number> {
    // The first chunks would overwrite later ones of a view of this file.
    if (this.#mapping.owns(bufferOf(p))) p = copyOf(p);
    const { length } = p;
    let done = 0;
    try {
      // The array may be resized in between.
      while (done < Math.min(length, p.length)) {
        if (done > 0) await yieldToEventLoop();
        const chunk = p.subarray(done, Math.min(done + CHUNK_SIZE, length));
        if (chunk.length === 0) break;
        done += write(chunk, done);
      }
    } catch (error) {
      throw addBytesWritten(error, done);
    }
    return done;
  }

  /** A chunk of a large write. The file may be closed by now, but its descriptor is open until the write ends. */
  #writeChunk(p: Uint8Array, position: number): number {
    if (!this.#closed || this.#access.copyOnWrite) {
      return this.#writeRange(p, position);
    }
    const { length } = p;
    const { grow } = this.#access;
    const fits = grow ? length : this.#lengthThatFits(position, length);
    this.#mapping.write(p.subarray(0, fits), position);
    if (fits < length) throw this.#outOfBoundsError(fits);
    return length;
  }

  // --- Strings

  /**
   * Writes a string as UTF-8 at the cursor and advances the cursor. With `append`, writes at the end of the file.
   *
   * A lone surrogate is written as U+FFFD.
   *
   * @param s The string to write.
   * @returns The number of bytes written.
   * @throws {OutOfBoundsError} If the file has a fixed size without room for the string. The characters that
   * fit are written, none of them in part.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, and `bytesWritten` counts
   * what was written.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If the file has a fixed size and another process has truncated it before the string ends.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * assert.equal(file.writeStringSync("naïve\n"), 7);
   * ```
   */
  writeStringSync(s: string): number {
    if (typeof s !== "string") throw notStringError(this.name);
    const position = this.#position;
    // No UTF-16 unit needs more in UTF-8.
    const room = 3 * s.length;
    if (position + room > this.#writeLimit) return this.#writeStringSlow(s);
    const written = this.#encode(s, position, room).written;
    this.#position = position + written;
    return written;
  }

  /**
   * Writes a string as UTF-8 at the cursor and advances the cursor. With `append`, writes at the end of the file.
   *
   * Strings of more than 2^20 UTF-16 code units are written in pieces that let the event loop run. Rejects as
   * {@linkcode MmapFile.prototype.writeStringSync | writeStringSync} throws.
   *
   * @param s The string to write.
   * @returns The number of bytes written.
   */
  async writeString(s: string): Promise<number> {
    if (typeof s !== "string") throw notStringError(this.name);
    if (this.#queue.isEmpty && s.length <= YIELD_THRESHOLD) {
      try {
        return this.writeStringSync(s);
      } finally {
        const turn = yieldIfDue(s.length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOpen("write");
    return await this.#queue.enqueue(() => this.#writeLargeString(s));
  }

  #encode(
    s: string,
    position: number,
    room: number,
  ): TextEncoderEncodeIntoResult {
    if (room === 0) return { read: 0, written: 0 };
    const at = this.#start + position;
    const { length } = s;
    let result;
    if (
      length <= MAX_INLINE_ASCII && length <= room &&
      writeASCII(this.#bytes, at, s)
    ) {
      result = { read: length, written: length };
    } else {
      try {
        const view = new Uint8Array(this.#buffer, at, room);
        result = encoder.encodeInto(s, view);
      } catch (error) {
        throw this.#copyError("write", error);
      }
    }
    this.#isDirty = true;
    if (this.#faults[0] !== 0) {
      const { read, written } = result;
      const encoded = encoder.encode(s.slice(0, read));
      this.#writeFaulted(encoded.subarray(0, written), position);
    }
    return result;
  }

  /** A string at the cursor that may not fit in memory. */
  #writeStringSlow(s: string): number {
    this.#checkWriteAccess("write");
    const bytes = encoder.encode(s);
    const { grow } = this.#access;
    const { length } = bytes;
    const fits = grow ? length : this.#lengthThatFits(this.#position, length);
    if (fits === length) return this.#writeSlow(bytes);
    // Only complete characters.
    const { written } = encoder.encodeInto(s, bytes.subarray(0, fits));
    this.#writeSlow(bytes.subarray(0, written));
    throw this.#truncated
      ? this.#markTruncated("write")
      : this.#outOfBoundsError(written);
  }

  async #writeLargeString(s: string): Promise<number> {
    if (this.#access.grow) {
      return await this.#writeLargeAtCursor(encoder.encode(s));
    }
    let done = 0;
    try {
      for (const chunk of chunksOf(s)) {
        if (done > 0) await yieldToEventLoop();
        done += this.writeStringSync(chunk);
      }
    } catch (error) {
      throw addBytesWritten(error, done);
    }
    return done;
  }

  // --- Readers and writers

  /**
   * Writes everything that a reader or a stream delivers at the cursor, and advances the cursor. With `append`,
   * writes at the end of the file.
   *
   * Another `MmapFile` is read from its cursor on. A stream is canceled if it cannot be written to the end. An
   * error of the source is passed on unchanged, after what was read before it has been written.
   *
   * @param r The reader or stream to read to its end.
   * @returns The number of bytes written.
   * @throws {OutOfBoundsError} If the file has a fixed size and the source has more bytes than fit. What fits
   * is written, and `bytesWritten` counts it.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is read.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Download into a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * using file = await create(Deno.makeTempFileSync());
   * const response = await fetch("data:text/plain,hello");
   * assert.equal(await file.readFrom(response.body!), 5);
   * ```
   */
  async readFrom(r: Reader | ReadableStream<Uint8Array>): Promise<number> {
    this.#checkWriteAccess("write");
    if (!(r instanceof MmapFile)) {
      return await runAndYield(() => copyFrom(r, this));
    }
    r.#checkReadable("read");
    const length = Math.max(0, r.size - r.#position);
    if (this.#queue.isEmpty && length <= YIELD_THRESHOLD) {
      try {
        return this.readFromSync(r);
      } finally {
        await yieldIfDue(length);
      }
    }
    // Memory that stays mapped while it is written, even if its file is closed.
    const rest = r.bytes(r.size - length);
    let written = 0;
    try {
      written = await this.write(r === this ? copyOf(rest) : rest);
      if (!r.#closed) r.#checkIntact("read");
      return written;
    } catch (error) {
      written ||= bytesWritten(error);
      throw r.#sourceError(error, 0);
    } finally {
      if (r !== this) r.#position += written;
    }
  }

  /**
   * Writes everything that a reader delivers at the cursor, synchronously. Throws as {@linkcode MmapFile.prototype.readFrom | readFrom}
   * rejects.
   *
   * @param r The reader to read to its end.
   * @returns The number of bytes written.
   *
   * @example Append one file to another
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * using source = Deno.openSync("LICENSE");
   * assert.equal(file.readFromSync(source), file.size);
   * ```
   */
  readFromSync(r: ReaderSync): number {
    this.#checkWriteAccess("write");
    if (!(r instanceof MmapFile)) return copyFromSync(r, this);
    r.#checkReadable("read");
    r.#ensureMapped();
    const position = Math.min(r.#position, r.#size);
    const rest = r.#bytes.subarray(r.#start + position, r.#start + r.#size);
    let written = 0;
    try {
      written = this.#writeSlow(r === this ? copyOf(rest) : rest);
      r.#checkIntact("read");
      return written;
    } catch (error) {
      written ||= bytesWritten(error);
      throw r.#sourceError(error, 0);
    } finally {
      if (r !== this) r.#position += written;
    }
  }

  /**
   * Writes the whole file to a writer or a stream. The cursor does not move.
   *
   * A writer receives a view of the file. A stream receives copies, because it may keep its chunks; see
   * {@linkcode toReadableStream} for views. The stream stays open and unlocked. An error of the target is passed
   * on unchanged.
   *
   * @param w The writer or stream to write to.
   * @returns The number of bytes written.
   * @throws {Deno.errors.WriteZero} If the writer accepts no bytes.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process truncates the file during the operation. `bytesWritten` counts
   * the bytes that were accepted.
   *
   * @example Print a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * using file = await open("LICENSE");
   * assert.equal(await file.writeTo(Deno.stdout), file.size);
   * ```
   */
  async writeTo(w: Writer | WritableStream<Uint8Array>): Promise<number> {
    const source = this.#copySource(w);
    let copied = 0;
    try {
      await runAndYield(() => copyTo(source, w, (count) => copied += count));
      return copied;
    } catch (error) {
      throw this.#sourceError(error, copied);
    }
  }

  /**
   * Writes the whole file to a writer, synchronously. Throws as {@linkcode MmapFile.prototype.writeTo | writeTo} rejects.
   *
   * @param w The writer to write to.
   * @returns The number of bytes written.
   *
   * @example Copy a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * using copy = Deno.createSync(Deno.makeTempFileSync());
   * assert.equal(file.writeToSync(copy), file.size);
   * ```
   */
  writeToSync(w: WriterSync): number {
    const source = this.#copySource(w);
    let copied = 0;
    try {
      copyToSync(source, w, (count) => copied += count);
      return copied;
    } catch (error) {
      throw this.#sourceError(error, copied);
    }
  }

  /** The file as it is now, for a target that may change the file during the copy. */
  #copySource(target: unknown): CopySource {
    this.#checkReadable("read");
    const end = this.size;
    // If the file is its own target, chunks would overwrite later ones.
    const own = target === this ? this.copy() : undefined;
    const from = <T>(at: number, work: () => T): T => {
      try {
        return work();
      } catch (error) {
        throw Object.assign(error as Error, { bytesWritten: at });
      }
    };
    return {
      length: end,
      view: (at) =>
        own?.subarray(at) ?? from(at, () => this.bytes(at, end - at)),
      bringIn: (at, length) => this.#bringInIfMissing(at, length),
      copy: (at, length) => from(at, () => this.copy(at, length)),
      check: (at, view) =>
        from(at, () => {
          this.#checkEndIs(end);
          if (view?.length === 0) throw unmappedError(this.name);
        }),
    };
  }

  /** Why bytes could not be copied: the kernel reports truncated memory as EFAULT. */
  #sourceError(error: unknown, copied: number): unknown {
    if (!this.#closed && (isMemoryFault(error) || this.#isDamaged())) {
      return Object.assign(this.#markTruncated("read"), {
        bytesWritten: copied,
      });
    }
    return error;
  }

  // --- The cursor

  /**
   * Moves the cursor, which may lie past the end of the file.
   *
   * @param offset Bytes to move by. As with `Deno.FsFile`, a number is rounded toward zero.
   * @param whence Where to count from: the start of the file, the cursor, or the end of the file.
   * @returns The new position in bytes.
   * @throws {TypeError} If the new position is negative or too large, or `whence` is not a `Deno.SeekMode`.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 100);
   * assert.equal(file.seekSync(-10, Deno.SeekMode.End), 90);
   * assert.equal(file.seekSync(5, Deno.SeekMode.Current), 95);
   * ```
   */
  seekSync(offset: number | bigint, whence: Deno.SeekMode): number {
    this.#checkOpen("seek in");
    return this.#seek(offset, whence);
  }

  /**
   * Moves the cursor, which may lie past the end of the file. Rejects as {@linkcode MmapFile.prototype.seekSync | seekSync} throws.
   *
   * @param offset Bytes to move by. As with `Deno.FsFile`, a number is rounded toward zero.
   * @param whence Where to count from: the start of the file, the cursor, or the end of the file.
   * @returns The new position in bytes.
   */
  async seek(offset: number | bigint, whence: Deno.SeekMode): Promise<number> {
    return await this.#inOrder("seek in", () => this.#seek(offset, whence));
  }

  #seek(offset: number | bigint, whence: Deno.SeekMode): number {
    const distance = toDistance(offset);
    // As Deno: rounded toward zero, to 32 bits.
    const mode = typeof whence === "number" ? whence | 0 : NaN;
    const base = mode === 0
      ? 0
      : mode === 1
      ? this.#position
      : mode === 2
      ? this.#end()
      : NaN;
    const position = base + distance;
    if (!Number.isSafeInteger(position) || position < 0) {
      throw seekError(this.name, offset, whence, !Number.isNaN(base));
    }
    return this.#position = position;
  }

  /** The end of the file now; of a fixed-size file, the end when it was opened. */
  #end(): number {
    if (this.#access.grow) this.#followGrowth();
    return this.#size;
  }

  // --- Truncate

  /**
   * Truncates the file to `len` bytes, or extends it with zeros. The cursor does not move.
   *
   * Views become empty if the file gets shorter. Those of a `shared` file read zeros past the new end.
   *
   * @param len The new length in bytes, 0 by default. As with `Deno.FsFile`, it is rounded toward zero, and a
   * negative length is 0.
   * @throws {ReadOnlyError} If the file was not opened for writing, or with `copyOnWrite`.
   * @throws {TypeError} If `len` is infinite or not a number, or the file was opened with `offset` or `length`.
   * @throws {SystemError} If the system refuses: `code` is "EFBIG" if `len` is too large.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 100);
   * file.truncateSync(10);
   * assert.equal(file.size, 10);
   * ```
   */
  truncateSync(len?: number): void {
    const size = this.#lengthToTruncate(len);
    this.#unmapTail(size);
    try {
      this.#file.truncateSync(size);
    } catch (error) {
      this.#remap();
      throw error;
    }
    this.#adoptSize(size);
  }

  /**
   * Truncates the file to `len` bytes, or extends it with zeros, off the event loop. Rejects as
   * {@linkcode MmapFile.prototype.truncateSync | truncateSync} throws.
   *
   * @param len The new length in bytes, 0 by default.
   */
  async truncate(len?: number): Promise<void> {
    const size = this.#lengthToTruncate(len);
    await this.#queue.enqueue(async () => {
      if (this.#closed) return await this.#file.truncate(size);
      this.#unmapTail(size);
      try {
        await this.#file.truncate(size);
      } catch (error) {
        if (!this.#closed) this.#remap();
        throw error;
      }
      if (!this.#closed) this.#adoptSize(size);
    });
  }

  /** Throws unless the file can be truncated. Returns the length that is meant. */
  #lengthToTruncate(length: number | undefined): number {
    this.#checkWriteAccess("truncate");
    if (this.#access.copyOnWrite) {
      throw readOnlyError("truncate", this.name, this.#access.copyOnWrite);
    }
    if (this.#access.isWindow) {
      throw new TypeError(
        `Cannot truncate '${this.name}': only a window of it is mapped; open it without 'offset' and 'length'`,
      );
    }
    return toLength(this.name, length);
  }

  /** Unmaps the memory that the file is about to lose. */
  #unmapTail(length: number): void {
    // Windows does not truncate a mapped file, and another process may have extended it.
    if (this.#access.grow) this.#followGrowth();
    if (length >= this.#size) return;
    // Before the truncation: an access to the missing pages would fault.
    if (this.#mapping.shrink === undefined) this.#mapping.unmap();
    else this.#mapping.shrink(length);
    this.#size = length;
    this.#adoptMapping();
  }

  #adoptSize(size: number): void {
    this.#size = size;
    this.#adoptMapping();
    checkWaits();
  }

  // --- Metadata and locks

  /**
   * Returns information about the file, such as its size and times.
   *
   * @returns The same as `Deno.FsFile.statSync`.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * assert(file.statSync().isFile);
   * ```
   */
  statSync(): Deno.FileInfo {
    this.#checkStat();
    const info = this.#file.statSync();
    this.#compareSize(info);
    return info;
  }

  /**
   * Returns information about the file, such as its size and times. Rejects as {@linkcode MmapFile.prototype.statSync | statSync}
   * throws.
   *
   * @returns The same as `Deno.FsFile.stat`.
   */
  async stat(): Promise<Deno.FileInfo> {
    this.#checkStat();
    return await this.#inOrder("stat", async () => {
      const info = await this.#file.stat();
      if (!this.#closed) this.#compareSize(info);
      return info;
    });
  }

  /** As Deno does: `stat` requires the permission to read. */
  #checkStat(): void {
    this.#checkOpen("stat");
    if (!this.#access.read) this.#checkPermission("stat", "read");
  }

  /** Records a truncation by another process, if this information shows one. */
  #compareSize(info: Deno.FileInfo): void {
    const end = this.#access.offset + this.#size;
    if (info.size < end) this.#findTruncation();
  }

  /**
   * Sets the access and modification times of the file. They are kept in milliseconds.
   *
   * @param atime The access time, in seconds since 1970 or as a `Date`. As with `Deno.FsFile`, an invalid time
   * is 0.
   * @param mtime The modification time, likewise.
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.utimeSync(new Date(), new Date("2000-01-01"));
   * assert.equal(file.statSync().mtime?.getUTCFullYear(), 2000);
   * ```
   */
  utimeSync(atime: number | Date, mtime: number | Date): void {
    const times = toTimes(atime, mtime);
    this.#beforeUtime().utimeSync(...times);
  }

  /**
   * Sets the access and modification times of the file. Rejects as {@linkcode MmapFile.prototype.utimeSync | utimeSync} throws.
   *
   * @param atime The access time, in seconds since 1970 or as a `Date`.
   * @param mtime The modification time, likewise.
   */
  async utime(atime: number | Date, mtime: number | Date): Promise<void> {
    const times = toTimes(atime, mtime);
    const file = this.#beforeUtime();
    await this.#inOrder(
      "set the times of",
      () => file.utime(...times),
    );
  }

  /** Checks and records that the times are set: earlier writes must not change them later. */
  #beforeUtime(): FileOps {
    const file = this.#checkOpen("set the times of");
    // As Deno does, also for files open for reading.
    this.#checkPermission("set the times of", "write");
    this.#isDirty = false;
    this.#hasSetTimes = true;
    return file;
  }

  #checkPermission(action: string, access: "read" | "write"): void {
    const { path } = this.#access;
    const { state } = Deno.permissions.requestSync({ name: access, path });
    if (state !== "granted") throw accessDenied(action, this.name, access);
  }

  /**
   * Acquires an advisory lock on the file. Blocks the thread until the lock is free.
   *
   * @param exclusive Whether to exclude all other locks. A shared lock, the default, excludes exclusive ones.
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example Change two numbers together
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 16);
   * const numbers = file.view(Float64Array);
   * file.lockSync(true);
   * numbers.set([numbers[0]! - 10, numbers[1]! + 10]);
   * file.unlockSync();
   * ```
   */
  lockSync(exclusive?: boolean): void {
    this.#checkOpen("lock").lockSync(exclusive);
  }

  /**
   * Acquires an advisory lock on the file, and waits for it off the event loop. Rejects as
   * {@linkcode MmapFile.prototype.lockSync | lockSync} throws.
   *
   * @param exclusive Whether to exclude all other locks. A shared lock, the default, excludes exclusive ones.
   */
  async lock(exclusive?: boolean): Promise<void> {
    this.#checkOpen("lock");
    // As in Deno, a close leaves the descriptor open until the lock is acquired.
    await this.#queue.enqueue(() => this.#file.lock(exclusive));
  }

  /**
   * Acquires an advisory lock on the file if it is free.
   *
   * @param exclusive Whether to exclude all other locks. A shared lock, the default, excludes exclusive ones.
   * @returns Whether the lock was acquired.
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example One writer at a time
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using one = openSync("LICENSE");
   * using other = openSync("LICENSE");
   * assert(one.tryLockSync(true));
   * assert(!other.tryLockSync(true));
   * ```
   */
  tryLockSync(exclusive?: boolean): boolean {
    return this.#checkOpen("lock").tryLockSync(exclusive);
  }

  /**
   * Acquires an advisory lock on the file if it is free. Rejects as {@linkcode MmapFile.prototype.tryLockSync | tryLockSync} throws.
   *
   * @param exclusive Whether to exclude all other locks. A shared lock, the default, excludes exclusive ones.
   * @returns Whether the lock was acquired.
   */
  async tryLock(exclusive?: boolean): Promise<boolean> {
    return await this.#inOrder(
      "lock",
      () => this.#file.tryLock(exclusive),
    );
  }

  /**
   * Releases the advisory lock. `close` releases it too.
   *
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * file.lockSync();
   * file.unlockSync();
   * ```
   */
  unlockSync(): void {
    this.#checkOpen("unlock").unlockSync();
  }

  /** Releases the advisory lock. Rejects as {@linkcode MmapFile.prototype.unlockSync | unlockSync} throws. */
  async unlock(): Promise<void> {
    await this.#inOrder("unlock", () => this.#file.unlock());
  }

  /**
   * Returns `false`: only regular files can be opened. It exists because `Deno.FsFile` has it.
   *
   * @returns `false`.
   * @throws {ClosedError} If the file is closed.
   */
  isTerminal(): boolean {
    this.#checkOpen("query");
    return false;
  }

  /**
   * Throws, because only a terminal can be put in raw mode. It exists because `Deno.FsFile` has it.
   *
   * @param _mode Not used.
   * @param _options Not used.
   * @throws {Deno.errors.BadResource} Always. If the file is closed, it is a {@linkcode ClosedError}.
   */
  setRaw(_mode: boolean, _options?: Deno.SetRawOptions): void {
    this.#checkOpen("set the raw mode of");
    throw new Deno.errors.BadResource(
      `Cannot set the raw mode of '${this.name}': not a terminal`,
    );
  }

  // --- Flushes to the disk

  /**
   * Flushes everything that was written, and the file's size and times, to the disk.
   *
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 8);
   * file.view(Float64Array)[0] = 0.5;
   * file.syncSync(); // writes through views too
   * ```
   */
  syncSync(): void {
    this.#flushAllSync(false);
  }

  /**
   * Flushes everything that was written, and the file's size and times, to the disk, off the event loop.
   * Rejects as {@linkcode MmapFile.prototype.syncSync | syncSync} throws.
   *
   * @example Lose nothing in a power failure
   * ```ts
   * import { open } from "@mmapfile/mmapfile";
   *
   * using log = await open(Deno.makeTempFileSync(), { append: true });
   * await log.writeString("paid\n");
   * await log.sync();
   * ```
   */
  async sync(): Promise<void> {
    await this.#inOrder("sync", () => this.#flushAll(false));
  }

  /**
   * Flushes everything that was written to the disk, and the metadata needed to read it, but not the times.
   *
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 8);
   * file.writeStringSync("record 1");
   * file.syncDataSync();
   * ```
   */
  syncDataSync(): void {
    this.#flushAllSync(true);
  }

  /**
   * Flushes everything that was written to the disk, and the metadata needed to read it, off the event loop.
   * Rejects as {@linkcode MmapFile.prototype.syncDataSync | syncDataSync} throws.
   */
  async syncData(): Promise<void> {
    await this.#inOrder(
      "sync",
      () => this.#flushAll(true),
    );
  }

  #flushAllSync(dataOnly: boolean): void {
    this.#checkOpen("sync");
    if (this.#access.copyOnWrite) return;
    this.#updateTimes();
    this.#mapping.syncSync(this.#size, dataOnly);
    this.#checkViewsWritten("sync");
  }

  async #flushAll(dataOnly: boolean): Promise<void> {
    if (this.#access.copyOnWrite) return;
    if (!this.#closed) this.#updateTimes();
    await this.#mapping.sync(this.#closed ? 0 : this.#size, dataOnly);
    if (!this.#closed) this.#checkViewsWritten("sync");
  }

  /**
   * Flushes a range of the file to the disk, in whole pages; by default the whole file.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Keep an order that survives a power failure
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 8192);
   * file.writeAtSync(new TextEncoder().encode("the record"), 4096);
   * file.flushSync(4096, 10);
   * file.view(Uint32Array)[0] = 4096; // points to what is on the disk
   * file.flushSync(0, 4);
   * ```
   */
  flushSync(offset = 0, length: number = this.size - offset): void {
    this.#checkRange("flush", offset, length);
    if (!this.#access.write) return;
    this.#updateTimes();
    this.#mapping.flushSync(offset, length);
    this.#checkSize("flush");
  }

  /**
   * Flushes a range of the file to the disk, in whole pages, off the event loop; by default the whole file.
   * Rejects as {@linkcode MmapFile.prototype.flushSync | flushSync} throws.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   */
  async flush(offset = 0, length?: number): Promise<void> {
    await this.#inOrder("flush", () => this.#flushRange(offset, length));
  }

  async #flushRange(
    offset: number,
    length: number = this.size - offset,
  ): Promise<void> {
    if (this.#closed) return await this.#file.syncData();
    this.#checkRange("flush", offset, length);
    if (!this.#access.write) return;
    this.#updateTimes();
    await this.#mapping.flush(offset, length);
    if (!this.#closed) this.#checkSize("flush");
  }

  /**
   * Sets the modification time if memory was written. The kernel sets it at the first change of a page only, until
   * that page is flushed.
   */
  #updateTimes(): void {
    const { write, copyOnWrite } = this.#access;
    if (!write || copyOnWrite) return;
    // It is not known whether users wrote to their views.
    const mayBeDirty = this.#mapping.isHandedOut && !this.#hasSetTimes;
    if (this.#isDirty || mayBeDirty) this.#mapping.updateTimes?.();
    this.#isDirty = false;
  }

  /** Throws if writes to views are lost, but for those past the end of a file that others have truncated. */
  #checkViewsWritten(action: string): void {
    const { write, copyOnWrite } = this.#access;
    if (this.#findTruncation() || !write || copyOnWrite) return;
    const isLost = !this.#truncated && this.#mapping.hasLostChanges;
    if (isLost) throw changesLostError(action, this.name);
  }

  // --- Streams

  /**
   * The file from the cursor on, as a byte stream that takes ownership of the file: it closes the file at its
   * end, if it is canceled, and on an error.
   *
   * {@linkcode toReadableStream} leaves the file open, and streams a part of it.
   *
   * @example
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const file = openSync("LICENSE");
   * await file.readable.pipeTo(Deno.stdout.writable, { preventClose: true });
   * ```
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= byteStream(
      this,
      this.#sourceAtCursor(),
      STREAM_CHUNK_SIZE,
      true,
    );
  }

  /**
   * A stream that writes at the cursor and takes ownership of the file: it closes the file at its end, if it is
   * aborted, and on an error.
   *
   * {@linkcode toWritableStream} leaves the file open.
   *
   * @example
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const file = createSync(Deno.makeTempFileSync());
   * await new Response("hello").body!.pipeTo(file.writable);
   * ```
   */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= sinkStream(
      this,
      true,
      async (p) => void await this.write(p),
    );
  }

  /** The file from the cursor on, for a stream. */
  #sourceAtCursor(): ByteSource {
    return {
      left: () => this.size - this.#position,
      bringIn: (size) => this.#bringInIfMissing(this.#position, size),
      copy: (size) => {
        try {
          const copy = this.copy(this.#position, size);
          this.#position += size;
          return copy;
        } catch (error) {
          // A read goes on where the file is truncated, as that of Deno.FsFile does.
          if (!(error instanceof TruncatedError)) throw error;
        }
      },
      read: (p) => p.length <= MAX_SYNC_READ ? this.readSync(p) : this.read(p),
    };
  }

  // --- Views

  /**
   * Returns a view of the mapped bytes without copying. Writes to the view change the file, and changes by
   * others are visible in it.
   *
   * `close()`, and `truncate()` to a shorter length, empty the view: its length becomes 0. On Windows and in the
   * fallback, growth empties it too. Views of a `shared` file are never emptied.
   *
   * - **Truncation.** If another process truncates the file, the view reads zeros; see
   *   {@linkcode MmapFile.prototype.truncated | truncated}.
   * - **Read-only files.** On Linux and FreeBSD a write to the view does not reach the file. Elsewhere, and
   *   under strict overcommit or `RLIMIT_DATA`, it can kill the process.
   * - **Concurrent writes.** `TextDecoder`, and `sort()` without a comparator, can kill the process if another
   *   process changes the bytes at the same time. Use {@linkcode MmapFile.prototype.text | text}, and `toSorted()`.
   * - **Native operations** on the view go on with the file's bytes after `close()`, and the buffer cannot be
   *   transferred. Windows and views of more than 16 GiB are exceptions.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @returns The view.
   * @throws {RangeError} If the range is not in the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Count the lines of a file
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * let lines = 0;
   * for (const byte of file.bytes()) if (byte === 10) lines++;
   * console.log(lines);
   * ```
   */
  bytes(
    offset = 0,
    length: number = this.size - offset,
  ): Uint8Array<Buffer> {
    this.#checkRange("view", offset, length);
    this.#checkPages();
    const { buffer, start } = this.#expose(offset, length);
    return new Uint8Array(buffer, start + offset, length);
  }

  /**
   * Returns a view of the mapped file as a typed array; see {@linkcode MmapFile.prototype.bytes | bytes}.
   *
   * @param type The type of the array, such as `Int32Array`.
   * @param offset Position of the first byte, 0 by default. In the file, it must be aligned to the type.
   * @param length Elements, by default as many as fit up to the end of the file.
   * @returns The view.
   * @throws {RangeError} If the range is not in the file, or its first byte is not aligned to the type.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example A counter shared by all processes that map the file
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 64);
   * const counters = file.view(Int32Array);
   * Atomics.add(counters, 3, 1);
   * assert.equal(Atomics.load(counters, 3), 1);
   * ```
   */
  view<T>(
    type: TypedArrayConstructor<T, Buffer>,
    offset?: number,
    length?: number,
  ): Buffer extends ArrayBuffer ? T : ArrayOver<T, Buffer>;
  /**
   * Returns a view of the mapped file as a `DataView`, at any offset; see {@linkcode MmapFile.prototype.bytes | bytes}.
   *
   * @param type `DataView`.
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @returns The view.
   *
   * @example Read a header
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 4);
   * file.writeSync(Uint8Array.of(7, 0xca, 0xfe));
   * assert.equal(file.view(DataView).getUint16(1), 0xcafe);
   * ```
   */
  view(
    type: DataViewConstructor,
    offset?: number,
    length?: number,
  ): DataView<Buffer>;
  /**
   * Returns a view of the mapped file as a typed array or a `DataView`; see
   * {@linkcode MmapFile.prototype.bytes | bytes}.
   *
   * @param type The type of the view, such as `Int32Array` or `DataView`.
   * @param offset Position of the first byte, 0 by default. In the file, it must be aligned to the type.
   * @param length Elements (of a `DataView`: bytes), by default as many as fit up to the end of the file.
   * @returns The view.
   * @throws {RangeError} If the range is not in the file, or its first byte is not aligned to the type.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example A counter shared by all processes that map the file
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 64);
   * Atomics.add(file.view(Int32Array), 3, 1);
   * assert.equal(file.view(DataView).getInt32(12, true), 1);
   * ```
   */
  view<T>(
    type: TypedArrayConstructor<T, Buffer> | DataViewConstructor,
    offset = 0,
    length?: number,
  ): unknown {
    const width = "BYTES_PER_ELEMENT" in type
      ? Number(type.BYTES_PER_ELEMENT)
      : 1;
    const elements = length ?? Math.floor((this.size - offset) / width);
    // An object that is converted to a number here must not be converted again after the checks.
    this.#checkOffset("view", elements, "length");
    const byteLength = elements * width;
    this.#checkRange("view", offset, byteLength);
    if ((this.#access.offset + offset) % width !== 0) {
      throw new RangeError(
        `Cannot view '${this.name}': byte ${
          this.#access.offset + offset
        } of the file is not aligned to the ${width} bytes of ${type.name}; a DataView can begin anywhere`,
      );
    }
    this.#checkPages();
    const { buffer, start } = this.#expose(offset, byteLength);
    return new type(buffer, start + offset, elements);
  }

  /** Throws if the file has bytes that cannot be mapped: files of /proc, whose size is 0. */
  #checkPages(): void {
    if (this.#size > 0 || this.#learnSize() === 0) return;
    this.#mapping.map(1);
    // The file has grown, which views show after a refresh.
    this.#setSize(0);
  }

  /** Memory for views, which may replace the memory mapped so far. */
  #expose(offset: number, length: number): { buffer: Buffer; start: number } {
    try {
      const exposed = this.#mapping.expose(this.#size, offset, length);
      // The option `shared` determines the type of the buffers, and `open` returns that type.
      return exposed as { buffer: Buffer; start: number };
    } finally {
      this.#adoptIfChanged();
      this.#isAliased = this.#mapping.isAliased === true;
    }
  }

  // --- Copies and text

  /**
   * Returns a copy of a range of the file, by default of all of it.
   *
   * The copy is checked: if the file was truncated, `bytes().slice()` returns zeros, and `copy()` throws.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @returns The copy, which may be changed, transferred, and kept.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Keep a header longer than the file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const file = openSync("LICENSE");
   * const header = file.copy(0, 6);
   * file.close();
   * assert.equal(header.length, 6);
   * ```
   */
  copy(
    offset = 0,
    length: number = this.#learnSize() - offset,
  ): Uint8Array<ArrayBuffer> {
    this.#checkReadable("copy");
    this.#checkRange("copy", offset, length);
    let read: number | null = length;
    let copy: Uint8Array<ArrayBuffer>;
    if (offset + length <= this.#readLimit) {
      // Made with its bytes, the array need not be filled with zeros first.
      copy = copyOf(
        new Uint8Array(this.#buffer, this.#start + offset, length),
      );
      if (this.#faults[0] !== 0) read = this.#readFaulted(copy, offset, length);
    } else {
      copy = new Uint8Array(length);
      if (length > 0) read = this.#readRange(copy, offset, length);
    }
    if (read !== length) throw this.#markTruncated("copy");
    if (mayBePastEnd(copy)) this.#checkSize("copy");
    return copy;
  }

  /**
   * Returns the text of a range of the file, by default of all of it, decoded from UTF-8.
   *
   * Invalid bytes become U+FFFD, and a byte order mark at the start of the range is dropped, as with
   * `TextDecoder`. The text is decoded from a private copy, so other processes may write to the file at the
   * same time.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @returns The text.
   * @throws {RangeError} If the range is not in the file, or the text is longer than a string can be:
   * 2^29 - 24 UTF-16 code units.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example A field of a record
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("0001Zürich  ");
   * assert.equal(file.text(4, 9).trim(), "Zürich");
   * ```
   */
  text(offset = 0, length: number = this.#learnSize() - offset): string {
    const text = shortText(this, offset, length);
    if (text !== null) {
      if (this.#truncated) throw truncatedError("read", this.name);
      if (text.endsWith("\0")) this.#checkSize("read");
      return text;
    }
    this.#checkReadable("read");
    return longText(this, offset, length, () => this.#checkSize("read"));
  }

  /**
   * Returns the lines of the file as strings, decoded from UTF-8, without their LF or CRLF.
   *
   * Lines are read and decoded in pieces as they are needed. Memory use does not depend on the length of the
   * file, and other processes may write to it at the same time. Invalid bytes become U+FFFD, and a byte order
   * mark at the start of the range is dropped. `for await` lets other tasks run between pieces; it takes about
   * twice as long.
   *
   * @param options The range, the direction, and whether to leave out an unfinished last line.
   * @returns The lines. Each iteration starts at the beginning of the range.
   * @throws {RangeError} If the range is not in the file. During iteration, if a line is longer than a string
   * can be.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or during iteration.
   * @throws {TruncatedError} If another process has truncated the file, now or during iteration.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("Zürich\r\n東京\nOslo");
   * assert.deepEqual([...file.textLines()], ["Zürich", "東京", "Oslo"]);
   * for await (const line of file.textLines({ reverse: true })) console.log(line);
   * ```
   */
  textLines(
    options?: TextLinesOptions,
  ): Iterable<string> & AsyncIterable<string> {
    this.#checkReadable("read lines of");
    this.#learnSize();
    return textLinesOf(this, () => this.#checkSizeIfOpen("read"), options);
  }

  /**
   * Returns the file, or a range of it, as a `Blob` that reads lazily.
   *
   * The blob works wherever a `Blob` does: as the body of a `Response` or a request, in `FormData`,
   * `new Blob([blob])`, and `new File([blob], name)`. Its slices are lazy too. It contains the bytes that the
   * file has when they are read. If the file is closed or truncated by then, the read rejects with a
   * `DOMException` named "NotReadableError".
   *
   * `structuredClone`, `postMessage`, and `URL.createObjectURL` throw a `DOMException` named "DataCloneError",
   * because Deno has no bytes to clone. Pass `new Blob([await blob.bytes()])` instead.
   *
   * @param options The media type, and the range, by default the whole file.
   * @returns The blob, whose `size` does not change.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Serve a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * const response = new Response(file.blob({ type: "text/plain" }));
   * assert.equal(response.headers.get("content-type"), "text/plain");
   * assert.equal((await response.bytes()).length, file.size);
   * ```
   */
  blob(options?: BlobOptions): Blob {
    this.#checkReadable("read");
    this.#learnSize();
    return blobOf(this, () => this.#checkSizeIfOpen("read"), options);
  }

  /**
   * Learns the size by reading, if the system does not tell it: files of /proc have 0 bytes, and files of /sys
   * one page. Returns the size.
   */
  #learnSize(): number {
    const { size } = this;
    const { read, grow } = this.#access;
    const isTold = size > 0 && (size !== PAGE_SIZE || this.#mappedLength > 0);
    if (isTold || !read || !grow || this.#closed) return size;
    const p = new Uint8Array(2 * PAGE_SIZE);
    let length = 0;
    for (let read; (read = this.#mapping.read(p, p.length, length)) > 0;) {
      length += read;
    }
    if (length > size || length < size && !this.#isShorter()) {
      this.#setSize(length);
    }
    return this.#size;
  }

  /** As `#checkSize`, if the file is open. */
  #checkSizeIfOpen(action: string): void {
    if (!this.#closed) this.#checkSize(action);
  }

  // --- Iteration

  /**
   * Returns successive views of the mapped file. The last may be shorter.
   *
   * `for await` lets other tasks run between chunks, and brings pages in off the event loop.
   *
   * @param size Bytes of a chunk, 64 KiB by default.
   * @returns The views, one after the other.
   * @throws {RangeError} If `size` is not a whole number, 1 or more.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or during iteration.
   * @throws {TruncatedError} If another process has truncated the file, now or during iteration.
   *
   * @example Hash a file of any size
   * ```ts
   * import { createHash } from "node:crypto";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * const hash = createHash("sha256");
   * for (const chunk of file.chunks()) hash.update(chunk);
   * console.log(hash.digest("hex"));
   * ```
   */
  chunks(size: number = 64 << 10):
    & Generator<Uint8Array<Buffer>, void, undefined>
    & AsyncIterable<Uint8Array<Buffer>, void, undefined> {
    this.#checkChunkSize(size);
    const pauses = new Pauses();
    return syncAndAsync(
      this.#chunks(size, pauses),
      pauses,
      (from, to) => this.#bringIn(from, to),
    );
  }

  /**
   * Returns the lines of the file as views, without their LF or CRLF. The last line need not end with one.
   *
   * `for await` lets other tasks run between pieces of the file, and brings pages in off the event loop.
   *
   * With lines of 60 bytes, a third of the time goes to making the views and a quarter to finding the LFs. For
   * strings, {@linkcode MmapFile.prototype.textLines | textLines} is faster.
   *
   * @param options The range, by default the whole file, and the direction.
   * @returns The views, one after the other.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or during iteration.
   * @throws {TruncatedError} If another process has truncated the file, now or during iteration.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("one\r\ntwo\nthree");
   * const lengths = Array.from(file.lines(), ({ length }) => length);
   * assert.deepEqual(lengths, [3, 3, 5]);
   * ```
   */
  lines(options?: LinesOptions):
    & Generator<Uint8Array<Buffer>, void, undefined>
    & AsyncIterable<Uint8Array<Buffer>, void, undefined> {
    this.#checkReadable("read");
    const end = this.size;
    // Shared memory is not emptied when the file is truncated.
    const check = () => this.#checkEndIs(end);
    const pauses = new Pauses();
    const { name } = this;
    const view = (offset: number, length: number) => this.bytes(offset, length);
    return syncAndAsync(
      options?.reverse
        ? linesReverse(view, end, options, check, undefined, name, pauses)
        : lines(this.bytes(), options, check, undefined, name, pauses),
      pauses,
      (from, to) => this.#bringIn(from, to),
    );
  }

  *#chunks(
    size: number,
    pauses: Pauses,
  ): Generator<Step<Uint8Array<Buffer>>, void, undefined> {
    let end = this.size;
    for (let at = 0; at < end; at += size) {
      if (pauses.areOn && Math.min(end, at + size) > pauses.to) {
        pauses.from = at;
        pauses.to = Math.min(end, at + Math.max(size, PART_SIZE));
        yield PAUSE;
      }
      this.#checkEndIs(end);
      end = this.#size;
      yield this.bytes(at, Math.min(size, end - at));
    }
  }

  /** Throws unless the file can be read in chunks of `size` bytes. */
  #checkChunkSize(size: number): void {
    this.#checkReadable("read");
    this.#checkOffset("read", size, "size");
    if (size > 0) return;
    throw new RangeError(
      `Cannot read '${this.name}': chunks of 0 bytes never end; use a size of 1 or more`,
    );
  }

  /** Throws if the file has become shorter since an operation began. */
  #checkEndIs(end: number): void {
    this.#checkReadable("read");
    if (end <= this.size) return;
    throw shortenedError(this.name, end, this.#size);
  }

  // --- Search

  /**
   * Returns the position of the first occurrence of `needle`, at `from` or later.
   *
   * @param needle Bytes, a string that is searched as UTF-8, or one byte as a number from 0 to 255.
   * @param from Position to search from, 0 by default; a negative one counts from the end of the file. Or the
   * range to search, which must contain the whole needle.
   * @returns The position of its first byte in the file, or -1.
   * @throws {RangeError} If a number is not a byte, `from` is not a safe integer, or the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("key=value; key=other");
   * assert.equal(file.indexOf("key", 1), 11);
   * assert.equal(file.indexOf("key", { offset: 1, length: 9 }), -1);
   * ```
   */
  indexOf(
    needle: Uint8Array | string | number,
    from: number | ByteRange = 0,
  ): number {
    const haystack = this.#bytesToSearch();
    const { memmem } = this.#mapping;
    const index = indexOf(haystack, needle, from, memmem, this.name);
    this.#checkIntact("search");
    return index;
  }

  /**
   * Returns the position of the last occurrence of `needle`, at `from` or before. Throws as
   * {@linkcode MmapFile.prototype.indexOf | indexOf} does.
   *
   * @param needle Bytes, a string that is searched as UTF-8, or one byte as a number from 0 to 255.
   * @param from The last position at which the needle may begin, by default the end of the file; a negative one
   * counts from the end. Or the range to search, which must contain the whole needle.
   * @returns The position of its first byte in the file, or -1.
   *
   * @example The last line of a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync());
   * file.writeStringSync("started\nstopped");
   * assert.equal(file.text(file.lastIndexOf("\n") + 1), "stopped");
   * ```
   */
  lastIndexOf(
    needle: Uint8Array | string | number,
    from?: number | ByteRange,
  ): number {
    const haystack = this.#bytesToSearch();
    const index = lastIndexOf(haystack, needle, from, this.name);
    this.#checkIntact("search");
    return index;
  }

  /**
   * Returns whether the file contains `needle`, at `from` or later. Throws as {@linkcode MmapFile.prototype.indexOf | indexOf} does.
   *
   * @param needle Bytes, a string that is searched as UTF-8, or one byte as a number from 0 to 255.
   * @param from Position to search from, 0 by default. Or the range to search, which must contain the whole
   * needle.
   * @returns Whether it is there.
   *
   * @example Search for a zero byte
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * assert.equal(file.includes(0), false);
   * ```
   */
  includes(
    needle: Uint8Array | string | number,
    from: number | ByteRange = 0,
  ): boolean {
    return this.indexOf(needle, from) !== -1;
  }

  /** The bytes to search: all of the file, in memory. */
  #bytesToSearch(): Uint8Array {
    this.#checkReadable("search");
    this.#checkPages();
    this.#ensureMapped();
    return this.#bytes.subarray(this.#start, this.#start + this.#size);
  }

  // --- The page cache

  /**
   * Brings a range of the file into memory, off the event loop; by default the whole file.
   *
   * This is a hint. What the system cannot bring in is read when it is used. `close` ends it early.
   *
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @param options A signal that ends it early, and a callback for the progress.
   * @throws {RangeError} If the range is not in the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   * @throws The reason of the signal, if it is aborted.
   *
   * @example Show the progress
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * await file.prefetch(0, file.size, {
   *   onProgress: (done, total) => console.log(`${100 * done / total} %`),
   *   signal: AbortSignal.timeout(60_000),
   * });
   * ```
   */
  async prefetch(
    offset = 0,
    length: number = this.size - offset,
    options: PrefetchOptions = {},
  ): Promise<void> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    this.#checkRange("prefetch", offset, length);
    this.#ensureMapped();
    for (let done = 0; done < length && !this.#closed;) {
      const chunk = Math.min(PREFETCH_CHUNK_SIZE, length - done);
      await this.#mapping.prefetch(offset + done, chunk);
      signal?.throwIfAborted();
      done += chunk;
      onProgress?.(done, length);
    }
    await yieldIfDue();
  }

  /**
   * Tells the system how a range of the file will be used, by default all of it, so that it can read ahead or
   * not.
   *
   * "random" turns readahead off, which makes a scan of a file that is not in the page cache many times slower.
   * "dontneed" releases memory: the pages no longer count as the process's own, and the next access maps them
   * again. Writes are not lost, except stray writes to views of a file opened read-only. On macOS and the BSDs
   * the system decides when it takes the pages. On Windows and with the fallback, nothing happens.
   *
   * @param advice "normal", "sequential", "random", or "dontneed".
   * @param offset Position of the first byte, 0 by default.
   * @param length Bytes, by default up to the end of the file.
   * @throws {RangeError} If the range is not in the file.
   * @throws {TypeError} If `advice` is none of these; or for "dontneed" with `copyOnWrite`, whose changes exist
   * in memory only.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * using file = openSync("LICENSE");
   * file.advise("sequential");
   * console.log(file.indexOf("MIT"));
   * file.advise("dontneed");
   * ```
   */
  advise(
    advice: Advice | "dontneed",
    offset = 0,
    length: number = this.size - offset,
  ): void {
    if (advice !== "dontneed" && !isAdvice(advice)) {
      throw new TypeError(
        `Cannot advise on '${this.name}': "${advice}" is not "normal", "sequential", "random", or "dontneed"`,
      );
    }
    if (advice === "dontneed" && this.#access.copyOnWrite) {
      throw new TypeError(
        `Cannot advise on '${this.name}': "dontneed" would lose the changes of a file opened copy-on-write`,
      );
    }
    this.#checkRange("advise on", offset, length);
    if (advice !== "dontneed") this.#ensureMapped();
    this.#mapping.advise(advice, offset, length);
  }

  /** Whether a range, up to the end of the file, is in memory. */
  #isInMemory(position: number, length: number): boolean {
    if (!Number.isSafeInteger(position) || position < 0) return true;
    const size = this.#size;
    const end = Math.min(position + length, size);
    return end <= position ||
      this.#residency.has(position, end - position, size);
  }

  /** Brings a range into memory, and what is likely to be read next; `undefined` if it is there. */
  #bringInIfMissing(
    position: number,
    length: number,
  ): Promise<void> | undefined {
    return this.#isInMemory(position, length)
      ? undefined
      : this.#bringIn(position, position + Math.max(length, PART_SIZE));
  }

  /** Brings a range into memory. The file may be closed during that. */
  async #bringIn(from: number, to: number): Promise<void> {
    const end = Math.min(to, this.#size);
    if (this.#closed) return;
    const isTold = this.#residency !== IN_MEMORY;
    if (isTold && this.#isInMemory(from, end - from)) return;
    const { readAsync } = this.#mapping;
    if (end <= this.#mappedLength || readAsync === undefined) {
      await this.#mapping.prefetch(from, end - from);
    } else {
      const p = new Uint8Array(Math.min(end - from, YIELD_THRESHOLD));
      for (let at = from; at < end && !this.#closed; at += p.length) {
        const rest = p.subarray(0, Math.min(p.length, end - at));
        await readAsync.call(this.#mapping, rest, at);
      }
    }
    this.#residency.add(from, end - from);
  }

  // --- Waits

  /**
   * Waits while the Int32 at a position is `expected`, until {@linkcode MmapFile.prototype.notify | notify} wakes it. It works
   * across workers and processes, as `Atomics.waitAsync` does within a process.
   *
   * A change that is stored before `notify` is called is never missed. A notify without a change wakes the
   * waits of this isolate, and in others those that are asleep at that moment. A change without a notify is
   * seen within half a second.
   *
   * Like `Atomics.waitAsync`, a pending wait does not keep the process from exiting, except in its first second
   * and while the main module is being evaluated: a top-level await goes on.
   *
   * @param offset Position of the first byte, aligned to 4 bytes in the file.
   * @param expected The value to wait on.
   * @param options The timeout in milliseconds, and a signal that ends the wait.
   * @returns "ok" if the Int32 was notified or has changed, "not-equal" if it is not `expected` to begin with,
   * or "timed-out" after `timeout` milliseconds.
   * @throws {RangeError} If the range is not in the file, or not aligned.
   * @throws {Deno.errors.NotSupported} If memory is a copy of the file: with the fallback.
   * @throws {ClosedError} If the file is closed, now or during the wait.
   * @throws {TruncatedError} If the file is truncated before the Int32, now or during the wait.
   *
   * @example Wait for the next version
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 8);
   * const next = file.wait(0, 0);
   * Atomics.store(file.view(Int32Array), 0, 1);
   * file.notify(0);
   * assert.equal(await next, "ok");
   * ```
   */
  async wait(
    offset: number,
    expected: number,
    options: WaitOptions = {},
  ): Promise<WaitResult> {
    const waits = this.#waitsOn("wait on", offset);
    return await waits.wait(offset, expected, options);
  }

  /**
   * Wakes all calls of {@linkcode MmapFile.prototype.wait | wait} on the Int32 at a position, in every worker and process that
   * maps the file, through any window. Store the new value first.
   *
   * @param offset Position of the first byte, aligned to 4 bytes in the file.
   * @throws {RangeError} If the range is not in the file, or not aligned.
   * @throws {Deno.errors.NotSupported} If memory is a copy of the file: with the fallback.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Announce a new message
   * ```ts
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * using file = createSync(Deno.makeTempFileSync(), 64);
   * Atomics.add(file.view(Int32Array), 0, 1);
   * file.notify(0);
   * ```
   */
  notify(offset: number): void {
    this.#waitsOn("notify", offset).notify(offset);
  }

  /** The waits of this file. Throws unless there is an Int32 at a position. */
  #waitsOn(action: string, offset: number): FileWaits {
    this.#checkRange(action, offset, 4);
    if (this.#mapping.loadInt32 === undefined) {
      throw new Deno.errors.NotSupported(
        `Cannot ${action} '${this.name}': its memory is a private copy of the file`,
      );
    }
    const at = this.#access.offset + offset;
    if (at % 4 !== 0) {
      throw new RangeError(
        `Cannot ${action} '${this.name}': byte ${at} of the file is not aligned to the 4 bytes of an Int32`,
      );
    }
    return this.#waits ??= new FileWaits(
      this.name,
      this.#mapping,
      this.#file,
      this.#access.offset,
    );
  }

  // --- Changes by other processes

  /**
   * Maps the file as it is now, after another process has extended or truncated it.
   *
   * Views are emptied if the file must be mapped again, and changes made with `copyOnWrite` are then lost.
   * Views of a `shared` file stay valid. Native operations on older views go on with the old memory.
   *
   * @returns Whether the size has changed or the file was truncated. Changes within the file need no refresh,
   * except with the fallback.
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the system refuses to map the file: `code` is "ENOMEM" without enough address space.
   *
   * @example View what another process has appended
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * using file = openSync(path);
   * Deno.writeTextFileSync(path, "news\n");
   * assert(file.refresh());
   * assert.equal(file.bytes().length, 5);
   * ```
   */
  refresh(): boolean {
    this.#checkOpen("refresh");
    this.#mapping.reload?.();
    return this.#remap();
  }

  /**
   * Returns whether the path still names this file, and its size is unchanged since it was opened or last
   * refreshed. Makes two system calls.
   *
   * If not, another process has replaced, removed, extended, or truncated the file.
   * {@linkcode MmapFile.prototype.refresh | refresh} adopts a new size. A file that has replaced this one must be opened. A relative
   * path is resolved against the current directory.
   *
   * @returns Whether nothing has changed except bytes within the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {Deno.errors.NotCapable} If the permission to read the path has been revoked.
   *
   * @example Reload a file that was replaced
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * let file = openSync("LICENSE");
   * if (!file.isCurrent()) file = openSync("LICENSE");
   * file.close();
   * ```
   */
  isCurrent(): boolean {
    const file = this.#checkOpen("query");
    const { path, length } = this.#access;
    if (this.truncated) return false;
    const size = this.#mapping.fileSize();
    if (this.#isSizeLow) this.#completeSize(size);
    if (Math.min(size, length) !== this.#size) return false;
    this.#identity ??= file.statSync();
    return isNamed(path, this.#identity);
  }

  /** Maps the file as it is now. Returns whether its size has changed, or its memory did not show it. */
  #remap(): boolean {
    const fileSize = this.#mapping.fileSize();
    if (this.#isSizeLow) this.#completeSize(fileSize);
    const size = Math.min(fileSize, this.#access.length);
    const isStale = this.#truncated || this.#mapping.hasFaulted ||
      this.#mapping.isDetached || this.#mapping.isStale || size < this.#size;
    const hasChanged = isStale || size !== this.#size;
    this.#truncated = false;
    this.#size = size;
    if (isStale) {
      if (this.#mapping.reset === undefined) this.#mapping.unmap();
      else this.#mapping.reset(size);
    }
    this.#adoptMapping();
    if (this.#mapping.mapsAtOpen) this.#ensureMapped();
    checkWaits();
    return hasChanged;
  }

  /** A read faulted: the file was truncated, or the disk failed. A read through the descriptor shows which. */
  #readFaulted(
    p: Uint8Array,
    position: number,
    length: number,
  ): number | null {
    if (this.#access.copyOnWrite) throw this.#markTruncated("read");
    this.#recoverFromFault();
    return this.#readThrough(p, position, length);
  }

  /** As `#readFaulted`, for a write. A full disk is a fault too, which write(2) reports. */
  #writeFaulted(p: Uint8Array, position: number): void {
    const { append, copyOnWrite, grow } = this.#access;
    if (append || copyOnWrite) throw this.#markTruncated("write");
    this.#recoverFromFault();
    if (!grow) this.#checkEnd(position + byteLength.call(p));
    this.#writeThrough(p, position);
  }

  /** Memory has shown zeros: maps the file's pages again, or uses the descriptor until `refresh`. */
  #recoverFromFault(): void {
    const size = this.#mapping.fileSize();
    if (size >= this.#size && this.#mapping.restore?.()) this.#adoptMapping();
    else this.#followTruncation(size);
  }

  /** Adopts the size after a truncation by another process. Until `refresh`, memory is not used. */
  #followTruncation(size: number): void {
    this.#truncated = true;
    this.#isSizeLow = false;
    this.#setSize(Math.min(this.#size, size));
  }

  /** Queries the size, and adopts it if another process has truncated the file. Returns whether it has. */
  #findTruncation(): boolean {
    if (this.#size === 0) return false;
    const size = this.#mapping.fileSize();
    if (size >= this.#size) return false;
    this.#followTruncation(size);
    return true;
  }

  /** The file was read or written beyond the end that was known. */
  #extendTo(end: number): void {
    if (this.#isSizeLow) this.#completeSize();
    if (end > this.#size) this.#setSize(end);
  }

  /** Adds to the low 32 bits of the size the upper ones, from what the file has now. */
  #completeSize(size?: number): void {
    this.#isSizeLow = false;
    if (this.#closed) return;
    const missing = (size ?? this.#mapping.fileSize()) - this.#size;
    if (missing >= 2 ** 32) {
      this.#setSize(this.#size + missing - missing % 2 ** 32);
    }
  }

  /** Queries the size, and adopts it. */
  #followGrowth(): void {
    const size = this.#mapping.fileSize();
    this.#isSizeLow = false;
    if (size < this.#size) this.#followTruncation(size);
    else if (size > this.#size) this.#setSize(size);
  }

  /** Throws if another process has truncated the file. */
  #checkSize(action: string): void {
    if (!this.#isDamaged()) return;
    if (!this.#access.append || this.#mapping.hasFaulted) {
      throw this.#markTruncated(action);
    }
    this.#remap();
  }

  /** Whether memory shows zeros in place of the file. */
  #isDamaged(): boolean {
    return this.#mapping.hasFaulted || this.#isShorter();
  }

  #isShorter(): boolean {
    return this.#size > 0 && this.#mapping.fileSize() < this.#size;
  }

  /** Records that the file was truncated, until `refresh`. Returns the error for that. */
  #markTruncated(action: string): Error {
    this.#truncated = true;
    this.#setSize(this.#size);
    return truncatedError(action, this.name);
  }

  // --- Close

  /**
   * Closes the file. Every view of its memory becomes empty, unless the file is `shared`.
   *
   * Using a view after that yields `undefined` or a JavaScript error, never a crash. Native operations on a view
   * go on, and the memory is unmapped when nothing uses it.
   *
   * @throws {ClosedError} If the file is already closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const file = openSync("LICENSE");
   * const view = file.bytes();
   * file.close();
   * assert.equal(view.length, 0);
   * ```
   */
  close(): void {
    if (this.#closed) throw closedError("close", this.name);
    try {
      if (this.#pendingAppend > 0) this.#resolveAppend();
      this.#updateTimes();
      if (this.#mapping.hasFaulted) this.#checkViewsWritten("close");
    } finally {
      this.#closed = true;
      this.#residency = IN_MEMORY;
      try {
        this.#waits?.close(closedError("wait on", this.name));
        this.#unmap();
      } finally {
        if (this.#queue.isEmpty) this.#file.close();
        else this.#closeWhenIdle();
      }
    }
  }

  /**
   * Closes the file at the end of a `using` block, unless it is already closed.
   *
   * @example
   * ```ts
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * {
   *   using file = openSync("LICENSE");
   *   console.log(file.size);
   * }
   * ```
   */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /** Closes the descriptor when the operations that began before `close` have ended, as Deno does. */
  async #closeWhenIdle(): Promise<void> {
    await this.#queue.whenEmpty();
    this.#file.close();
  }

  /**
   * What `console.log` shows: name, size, backend, and whether the file is closed, not the bytes.
   *
   * @ignore
   */
  [Symbol.for("Deno.customInspect")](
    inspect: (value: unknown, options?: Deno.InspectOptions) => string,
    options?: Deno.InspectOptions,
  ): string {
    const { name, size, backend, closed } = this;
    return `MmapFile ${inspect({ name, size, backend, closed }, options)}`;
  }

  /**
   * Throws, because a clone would be an object without a file. Deno calls it in `structuredClone` and
   * `postMessage`.
   *
   * @ignore
   */
  [Symbol.for("Deno.core.hostObject")](): never {
    throw new DOMException(
      `Cannot clone '${this.name}': a file belongs to its thread; post the path and open it there`,
      "DataCloneError",
    );
  }

  // --- The mapping

  /** Maps what is not mapped yet. */
  #ensureMapped(): void {
    if (this.#isSizeLow) this.#completeSize();
    if (this.#mappedLength >= this.#size) return;
    this.#adoptIfChanged();
    if (this.#mappedLength < this.#size) this.#map();
  }

  #adoptIfChanged(): void {
    const { buffer, length, notesWrites } = this.#mapping;
    const isSame = buffer === this.#buffer && length === this.#mappedLength &&
      notesWrites === this.#notesWrites;
    if (!isSame) this.#adoptMapping();
  }

  /** Maps the file at its size. If that fails, the memory may have been replaced even so. */
  #map(): void {
    if (this.#closed) throw closedError("map", this.name);
    try {
      this.#mapping.map(this.#size);
    } finally {
      this.#adoptMapping();
    }
  }

  #unmap(): void {
    try {
      this.#mapping.unmap();
    } finally {
      // Most files are closed without having been mapped.
      if (this.#mappedLength > 0) this.#adoptMapping();
      else this.#readLimit = this.#writeLimit = -1;
    }
  }

  /** Copies the mapping's properties to this object. */
  #adoptMapping(): void {
    const { buffer, start, length, faults, isAliased, notesWrites } = this
      .#mapping;
    this.#faults = faults;
    this.#notesWrites = notesWrites;
    this.#isAliased = isAliased === true;
    this.#start = start;
    this.#mappedLength = length;
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#bytes = buffer.byteLength === 0
        ? EMPTY_BYTES
        : new Uint8Array(buffer);
    }
    this.#setSize(this.#size);
  }

  #setSize(size: number): void {
    // Turns -0 into 0.
    this.#size = size + 0;
    const { read, write, append, copyOnWrite } = this.#access;
    const limit = this.#memoryLimit();
    this.#readLimit = read ? limit : -1;
    const isWritten = (write && !append) || copyOnWrite;
    const isDirect = isWritten && !this.#notesWrites &&
      this.#pendingWrites === 0;
    this.#writeLimit = isDirect ? limit : -1;
  }

  /** The end of the bytes that are in memory; -1 if memory must not be used. */
  #memoryLimit(): number {
    return this.#closed || this.#truncated
      ? -1
      : Math.min(this.#size, this.#mappedLength);
  }

  /** Why memory could not be copied: it may be detached. */
  #copyError(action: string, error: unknown): unknown {
    return this.#mapping.isDetached ? detachedError(action, this.name) : error;
  }

  // --- Order and checks

  /**
   * Runs the work at once, or after the operations in progress. The file may be closed by then, as a
   * `Deno.FsFile` may: its descriptor is open until the work is done.
   */
  #inOrder<T>(action: string, work: () => T | Promise<T>): Promise<T> {
    this.#checkOpen(action);
    return this.#queue.run(work);
  }

  #checkOpen(action: string): FileOps {
    if (this.#pendingAppend > 0) this.#resolveAppend();
    if (this.#closed) throw closedError(action, this.name);
    return this.#file;
  }

  /** Throws unless the file is open, and its memory neither truncated nor detached. */
  #checkIntact(action: string): void {
    this.#checkOpen(action);
    if (this.#isSizeLow) this.#completeSize();
    if (this.#truncated) throw truncatedError(action, this.name);
    if (this.#mapping.hasFaulted) throw this.#markTruncated(action);
    if (this.#mapping.isDetached) throw detachedError(action, this.name);
  }

  #checkReadable(action: string): void {
    this.#checkReadAccess(action);
    this.#checkIntact(action);
  }

  /** Throws unless the file is open for reading. */
  #checkReadAccess(action: string): void {
    this.#checkOpen(action);
    if (!this.#access.read) throw notReadableError(action, this.name);
  }

  /** Throws unless the file is open for writing. */
  #checkWriteAccess(action: string): void {
    this.#checkOpen(action);
    const { write, copyOnWrite } = this.#access;
    if (!write && !copyOnWrite) {
      throw readOnlyError(action, this.name, this.#access.copyOnWrite);
    }
    if (this.#mapping.isDetached) throw detachedError(action, this.name);
  }

  #checkOffset(action: string, bytes: number, what = "offset"): void {
    if (Number.isSafeInteger(bytes) && bytes >= 0) return;
    this.#checkOpen(action);
    throw invalidCountError(action, this.name, what, bytes);
  }

  #checkRange(action: string, offset: number, length: number): void {
    this.#checkIntact(action);
    if (
      Number.isSafeInteger(offset) && offset >= 0 &&
      Number.isSafeInteger(length) && length >= 0 &&
      offset + length <= this.#size
    ) return;
    // V8 does not inline it. It throws the error that says why.
    checkRange(action, this, offset, length);
  }

  /** The argument as an array whose properties can be trusted. */
  #toBytes(action: string, p: unknown): Uint8Array {
    if (isUint8Array(p)) return plainView(p);
    throw this.#notBytesError(action);
  }

  #notBytesError(action: string): Error {
    this.#checkOpen(action);
    return notBytesError(action, this.name);
  }
}

/**
 * The length of an array in bytes, as the engine knows it; -1 for anything else.
 *
 * @throws {TypeError} If it only inherits from `Uint8Array`.
 */
function lengthOf(p: unknown): number {
  return p instanceof Uint8Array ? byteLength.call(p) : -1;
}

/** Bytes that were read, but that the array no longer has, because its buffer was resized. */
function missingFrom(array: Uint8Array, read: number | null): number {
  return Math.max(0, (read ?? 0) - array.length);
}

/** The bytes that a seek moves by, as Deno converts them: rounded toward zero, of a bigint its low 64 bits, and 0 for NaN. */
function toDistance(offset: unknown): number {
  if (typeof offset === "bigint") return Number(BigInt.asIntN(64, offset));
  return typeof offset === "number" ? Math.trunc(offset) || 0 : NaN;
}

// For programs that test `file instanceof Deno.FsFile`. No member is inherited.
Object.setPrototypeOf(MmapFile.prototype, Deno.FsFile.prototype);
