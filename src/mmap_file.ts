/**
 * MmapFile: the cursor, positional I/O and the surface of `Deno.FsFile`, over any mapping.
 *
 * @module
 */

import { blobOf, type BlobOptions } from "./blob.ts";
import {
  accessDenied,
  addBytesWritten,
  bytesWritten,
  ClosedError,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  TruncatedError,
} from "./errors.ts";
import { fairly, nextTurn, turnAfter } from "./event_loop.ts";
import {
  bufferOf,
  byteLength as importedByteLength,
  copyOf,
  isOfAnyLength,
  isUint8Array,
  plainView,
  set as importedSet,
} from "./intrinsics.ts";
import { bothWays, PART, PAUSE, type Step, Walk } from "./iteration.ts";
import type { Access, FileOps, Mapping } from "./mapping.ts";
import { isAdvice } from "./options.ts";
import { isNamed } from "./same_file.ts";
import { indexOf, lastIndexOf, lines, type LinesOptions } from "./search.ts";
import { readableOf, writableOf } from "./streams.ts";
import { longText, shortText } from "./text.ts";
import { textLinesOf, type TextLinesOptions } from "./text_lines.ts";
import {
  moveFrom,
  moveFromSync,
  moveTo,
  moveToSync,
  type Outgoing,
} from "./transfer.ts";
import { hasThread } from "./threads.ts";
import type {
  Advice,
  ByteRange,
  PrefetchOptions,
  Reader,
  ReaderSync,
  WaitOptions,
  WaitResult,
  Writer,
  WriterSync,
} from "./types.ts";
import { FileWaits, lookAtWaits } from "./wait.ts";

/**
 * A constructor of typed arrays over a given buffer, such as `Int32Array`: what {@linkcode MmapFile.view} takes.
 *
 * @example A type that is chosen as the program runs
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, type TypedArrayConstructor } from "@mmapfile/mmapfile";
 *
 * type Numbers = Int8Array | Uint8Array;
 * const types: Record<string, TypedArrayConstructor<Numbers>> = {
 *   signed: Int8Array,
 *   unsigned: Uint8Array,
 * };
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeFileSync(path, Uint8Array.of(255, 1));
 * const file = openSync(path);
 * assert.deepEqual([...file.view(types.signed)], [-1, 1]);
 * assert.deepEqual([...file.view(types.unsigned)], [255, 1]);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export interface TypedArrayConstructor<
  T,
  Buffer extends ArrayBufferLike = ArrayBuffer,
> {
  /** Such as "Int32Array". */
  readonly name: string;
  /** Bytes of one element. */
  readonly BYTES_PER_ELEMENT: number;
  /** Makes an array of `length` elements over `buffer`. */
  new (buffer: Buffer, byteOffset: number, length: number): T;
}

/**
 * An array of the same kind over another type of buffer: TypeScript finds the arrays over an `ArrayBuffer`
 * where it is not told which of a constructor's signatures is meant.
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

const NOTHING = new Uint8Array(new ArrayBuffer(0));

// V8 inlines calls of a module's own constants, and not of those that it imports (measured).
const byteLength = importedByteLength;
const set = importedSet;

const encoder = new TextEncoder();

/** Characters that are written sooner than `encodeInto`, 190 ns a call, has begun (measured). */
const SHORT = 24;

/** Bytes of a write from which on it may go through the descriptor, though there is memory. */
const DIRECT = 64 << 10;

/** Bytes that a processor's caches may hold: copies of more go past them. */
const CACHES = 32 << 20;

/** Bytes of an async read or write from which on it leaves time to the event loop. */
const LARGE = 1 << 20;

/** Bytes of such a one copied in one go: a millisecond's work, beside which the turns in between are cheap. */
const PIECE = 8 << 20;

/** Bytes brought in by one call: a fraction of a second's work on a slow disk. */
const PREFETCH_PIECE = 16 << 20;

/** Whether views stay when a file grows: a copy in memory moves, and its views become empty. */
export let keepsViews: (file: MmapFile<ArrayBufferLike>) => boolean;

/**
 * A file as memory: a drop-in for `Deno.FsFile` whose bytes are the file's own pages.
 *
 * Made by {@linkcode open}, {@linkcode openSync}, {@linkcode create} and {@linkcode createSync}. Offsets,
 * lengths and sizes are in bytes, unless something else is said.
 *
 * Every method throws {@linkcode ClosedError} after `close()`, and, if it touches the bytes,
 * {@linkcode TruncatedError} once the file is found shorter than its mapping, until `refresh()`. Where the
 * engine does not own the memory, a `transfer()` of a view's buffer has them throw a `TypeError` until then.
 *
 * @example Read through a cursor, at a position, and with no copy at all
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * {
 *   using file = createSync(path, 16);
 *   file.writeSync(new TextEncoder().encode("hello, world"));
 *
 *   const word = new Uint8Array(5);
 *   file.readAtSync(word, 7);
 *   assert.equal(new TextDecoder().decode(word), "world");
 *   assert.equal(new TextDecoder().decode(file.bytes(0, 5)), "hello");
 * }
 * Deno.removeSync(path);
 * ```
 */
export class MmapFile<Buffer extends ArrayBufferLike = ArrayBuffer>
  implements Deno.FsFile {
  /** The path as it was given to `open`; of a URL its text. */
  readonly name: string;
  /**
   * What holds the file in memory: "posix" and "windows" map it, "fallback" has read it.
   *
   * @example Find out whether the file is mapped, or read into memory
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path, { backend: "fallback" });
   * assert.equal(file.backend, "fallback");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  readonly backend: "posix" | "windows" | "fallback";

  readonly #file: FileOps;
  readonly #mapping: Mapping;
  readonly #access: Access;

  // The hot path's own copies of what the mapping knows.
  #bytes: Uint8Array = NOTHING;
  #buffer: ArrayBufferLike = NOTHING.buffer;
  #start = 0;
  /** Bytes of the memory that show the file. */
  #mapped = 0;
  #faults: Int32Array;
  /** Whether users may have other memory of the file. */
  #isAliased = false;

  #size = 0;
  #position = 0;
  /** The end of what may be read without a further look; -1 when every read wants one. */
  #readLimit = -1;
  /** The end of what may be written without a further look; -1 when every write wants one. */
  #writeLimit = -1;

  /** Whether memory was written to since the modification time last moved. */
  #isDirty = false;
  /** Whether the times are those that `utime` has set. */
  #hasSetTimes = false;
  /** Bytes appended since the size of the file was last learnt. */
  #appended = 0;
  #closed = false;
  #truncated = false;
  /** Writes under way in other threads: until they are over others go through the descriptor too, after them. */
  #pendingWrites = 0;
  /** Which file it is, once that was asked for. */
  #info: Deno.FileInfo | null = null;
  /** The large async operation under way, which later async ones wait for, as Deno's do. */
  #turn: Promise<unknown> | null = null;

  /** Made by the first wait or notify. */
  #waits: FileWaits | undefined;

  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | null = null;

  static {
    keepsViews = (file) => file.backend !== "fallback" || !file.#access.grow;
  }

  /**
   * Use {@linkcode open} or {@linkcode create}, which give the parts.
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
  ) {
    this.name = name;
    this.backend = backend;
    this.#file = file;
    this.#mapping = mapping;
    this.#access = access;
    this.#faults = mapping.faults;
    this.#setSize(size);
    if (mapping.mapsAtOpen) this.#cover();
  }

  /**
   * The length of the file in bytes, or of the window into it; no system call, but for one after an append.
   *
   * @example A file, and a window into it
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "header and body");
   * const file = openSync(path);
   * const body = openSync(path, { offset: 11 });
   * assert.equal(file.size, 15);
   * assert.equal(body.size, 4);
   * file.close();
   * body.close();
   * Deno.removeSync(path);
   * ```
   */
  get size(): number {
    if (this.#appended > 0) this.#settle();
    return this.#size;
  }

  /**
   * Whether the file is closed: by `close`, by the end of a `using` block or by a stream.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path);
   * assert.equal(file.closed, false);
   * file.close();
   * assert.equal(file.closed, true);
   * Deno.removeSync(path);
   * ```
   */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Whether truncation of the file by others is an error, and not the end of the process; see {@linkcode TruncatedError}.
   *
   * @example Leave the guard out
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path, { guard: false });
   * assert.equal(file.guarded, false);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  get guarded(): boolean {
    if (!this.#closed && !this.#truncated) this.#cover();
    return this.#mapping.guarded;
  }

  /**
   * Whether the file was found truncated by another process, or its disk to have failed, since it was
   * opened or last refreshed. Makes no system call.
   *
   * Check it after reading from a view: memory that was truncated away reads as zeros. It is set
   * by the access that finds the page gone, and by any method that compares sizes. While it is
   * `true` most methods throw {@linkcode TruncatedError}; {@linkcode refresh} resets it. Always `false` for a file
   * opened with `guard: false` until a method compares sizes; see {@linkcode guarded}.
   *
   * @example Never answer from memory that is gone
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, Uint8Array.of(3, 1, 2));
   * using file = openSync(path);
   * const table = file.bytes();
   * const answer = table[1];
   * if (!file.truncated) assert.equal(answer, 1);
   * Deno.removeSync(path);
   * ```
   */
  get truncated(): boolean {
    return this.#truncated || this.#mapping.hasFaulted;
  }

  /**
   * Reads up to `p.byteLength` bytes at the cursor into `p`, and moves the cursor behind them.
   *
   * @returns The number of bytes read, or `null` at the end of the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Read a file to its end
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "one, two, three");
   * const file = openSync(path);
   * const buffer = new Uint8Array(4);
   * let text = "";
   * for (let read; (read = file.readSync(buffer)) !== null;) {
   *   text += new TextDecoder().decode(buffer.subarray(0, read));
   * }
   * assert.equal(text, "one, two, three");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  readSync(p: Uint8Array): number | null {
    if (!(p instanceof Uint8Array)) throw this.#notBytes("read");
    const position = this.#position;
    const length = byteLength.call(p);
    if (position + length > this.#readLimit) return this.#readFurther(p);
    const read = this.#copyTo(p, position, length);
    this.#position = position + (read ?? 0);
    return read;
  }

  /**
   * Reads up to `p.byteLength` bytes at the cursor into `p`, and moves the cursor behind them.
   *
   * More than 1 MiB is brought in from the disk off the event loop. Rejects as {@linkcode readSync} throws.
   *
   * @returns The number of bytes read, or `null` at the end of the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "hello");
   * const file = await open(path);
   * const buffer = new Uint8Array(100);
   * assert.equal(await file.read(buffer), 5);
   * assert.equal(await file.read(buffer), null);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async read(p: Uint8Array): Promise<number | null> {
    const length = lengthOf(p);
    if (this.#turn === null && length <= LARGE) {
      try {
        return this.readSync(p);
      } finally {
        const turn = turnAfter(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#opened("read");
    const bytes = this.#bytesOf("read", p);
    const read = await this.#inTurn(() => this.#readNext(bytes));
    const lost = lostOf(bytes, read);
    this.#position -= lost;
    return read === null ? null : read - lost;
  }

  /**
   * Reads up to `p.byteLength` bytes from `offset` on into `p`. The cursor is not used and not moved.
   *
   * @returns The number of bytes read, or `null` at the end of the file.
   * @throws {RangeError} If `offset` is not a whole number, 0 or more.
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Read a record by its number
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "rec0rec1rec2");
   * const file = openSync(path);
   * const record = new Uint8Array(4);
   * assert.equal(file.readAtSync(record, 2 * record.length), 4);
   * assert.equal(new TextDecoder().decode(record), "rec2");
   * assert.equal(file.readAtSync(record, 3 * record.length), null);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  readAtSync(p: Uint8Array, offset: number): number | null {
    if (!(p instanceof Uint8Array)) throw this.#notBytes("read");
    const length = byteLength.call(p);
    if (
      !Number.isSafeInteger(offset) || offset < 0 ||
      offset + length > this.#readLimit
    ) return this.#readAtFurther(p, offset);
    return this.#copyTo(p, offset, length);
  }

  /**
   * Reads up to `p.byteLength` bytes from `offset` on into `p`. The cursor is not used and not moved.
   *
   * More than 1 MiB is brought in from the disk off the event loop. Rejects as {@linkcode readAtSync} throws.
   *
   * @returns The number of bytes read, or `null` at the end of the file.
   *
   * @example Read two places at a time
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "head....tail");
   * const file = await open(path);
   * const [head, tail] = [new Uint8Array(4), new Uint8Array(4)];
   * await Promise.all([file.readAt(head, 0), file.readAt(tail, 8)]);
   * assert.equal(new TextDecoder().decode(head), "head");
   * assert.equal(new TextDecoder().decode(tail), "tail");
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async readAt(p: Uint8Array, offset: number): Promise<number | null> {
    const length = lengthOf(p);
    if (this.#turn === null && length <= LARGE) {
      try {
        return this.readAtSync(p, offset);
      } finally {
        const turn = turnAfter(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOffset("read", offset);
    this.#opened("read");
    const bytes = this.#bytesOf("read", p);
    const read = await this.#inTurn(() => this.#readLarge(bytes, offset));
    return read === null ? null : read - lostOf(bytes, read);
  }

  /**
   * Writes `p` at the cursor and moves the cursor behind it; with `append`, at the end of the file.
   *
   * @returns The number of bytes written: all of them.
   * @throws {OutOfBoundsError} If the file's size is fixed and ends before `p` does. What fits is written.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, `bytesWritten` what is written.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Write more than there is room for
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync, OutOfBoundsError } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 4);
   * try {
   *   file.writeSync(new TextEncoder().encode("hello"));
   * } catch (error) {
   *   assert(error instanceof OutOfBoundsError);
   *   assert.equal(error.bytesWritten, 4);
   * }
   * assert.equal(new TextDecoder().decode(file.bytes()), "hell");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  writeSync(p: Uint8Array): number {
    if (!(p instanceof Uint8Array)) throw this.#notBytes("write");
    const position = this.#position;
    const length = byteLength.call(p);
    const end = position + length;
    if (length >= DIRECT || end > this.#writeLimit || length === 0) {
      return this.#writeFurther(p);
    }
    this.#copyFrom(p, position);
    this.#position = end;
    return length;
  }

  /**
   * Writes `p` at the cursor and moves the cursor behind it; with `append`, at the end of the file.
   *
   * More than 1 MiB is written in pieces that let the event loop run. Rejects as {@linkcode writeSync} throws.
   *
   * @returns The number of bytes written: all of them.
   *
   * @example Let a file grow
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await open(path, { write: true, grow: true });
   * assert.equal(await file.write(new TextEncoder().encode("hello")), 5);
   * assert.equal(file.size, 5);
   * file.close();
   * assert.equal(await Deno.readTextFile(path), "hello");
   * await Deno.remove(path);
   * ```
   */
  async write(p: Uint8Array): Promise<number> {
    const length = lengthOf(p);
    if (this.#turn === null && length <= LARGE) {
      try {
        return this.writeSync(p);
      } finally {
        const turn = turnAfter(length);
        if (turn !== undefined) await turn;
      }
    }
    const bytes = this.#bytesToWrite(p);
    return await this.#inTurn(() => this.#writeNext(bytes));
  }

  /**
   * Writes `p` from `offset` on. The cursor is not used and not moved.
   *
   * @returns The number of bytes written: all of them.
   * @throws {OutOfBoundsError} If the file's size is fixed, or it was opened with `append`, and it
   * ends before `p` does. What fits is written.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {RangeError} If `offset` is not a whole number, 0 or more.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, `bytesWritten` what is written.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Change bytes in the middle
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "hello, world");
   * const file = openSync(path, { read: true, write: true });
   * file.writeAtSync(new TextEncoder().encode("there"), 7);
   * file.close();
   * assert.equal(Deno.readTextFileSync(path), "hello, there");
   * Deno.removeSync(path);
   * ```
   */
  writeAtSync(p: Uint8Array, offset: number): number {
    if (!(p instanceof Uint8Array)) throw this.#notBytes("write");
    const length = byteLength.call(p);
    if (
      length >= DIRECT || !Number.isSafeInteger(offset) || offset < 0 ||
      offset + length > this.#writeLimit || length === 0
    ) {
      this.#checkOffset("write", offset);
      return this.#writeOver(this.#bytesOf("write", p), offset);
    }
    this.#copyFrom(p, offset);
    return length;
  }

  /**
   * Writes `p` from `offset` on. The cursor is not used and not moved.
   *
   * More than 1 MiB is written in pieces that let the event loop run. Rejects as {@linkcode writeAtSync} throws.
   *
   * @returns The number of bytes written: all of them.
   *
   * @example Put parts in their places, in any order
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 8);
   * const part = (text: string) => new TextEncoder().encode(text);
   * await Promise.all([
   *   file.writeAt(part("tail"), 4),
   *   file.writeAt(part("head"), 0),
   * ]);
   * assert.equal(new TextDecoder().decode(file.bytes()), "headtail");
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async writeAt(p: Uint8Array, offset: number): Promise<number> {
    const length = lengthOf(p);
    if (this.#turn === null && length <= LARGE) {
      try {
        return this.writeAtSync(p, offset);
      } finally {
        const turn = turnAfter(length);
        if (turn !== undefined) await turn;
      }
    }
    this.#checkOffset("write", offset);
    const bytes = this.#bytesToWrite(p);
    return await this.#inTurn(() => this.#writeLarge(bytes, offset));
  }

  /**
   * Writes a string as UTF-8 at the cursor, straight into the memory; with `append`, at the end of the file.
   *
   * A lone surrogate is written as U+FFFD.
   *
   * @returns The number of bytes written.
   * @throws {OutOfBoundsError} If the file's size is fixed and it has no room for the string. The
   * characters that fit are written, none of them in part.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is written.
   * @throws {SystemError} If the file cannot grow: `code` is "ENOSPC" on a full disk, `bytesWritten` what is written.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 7);
   * assert.equal(file.writeStringSync("naïve\n"), 7);
   * file.close();
   * assert.equal(Deno.readTextFileSync(path), "naïve\n");
   * Deno.removeSync(path);
   * ```
   */
  writeStringSync(s: string): number {
    if (typeof s !== "string") throw this.#notString();
    const position = this.#position;
    // No UTF-16 unit needs more in UTF-8.
    const room = 3 * s.length;
    if (position + room > this.#writeLimit) return this.#writeStringFurther(s);
    const written = this.#encode(s, position, room).written;
    this.#position = position + written;
    return written;
  }

  /**
   * Writes a string as UTF-8 at the cursor, straight into the memory; with `append`, at the end of the file.
   *
   * More than 1 Mi of characters are written in pieces that let the event loop run. Rejects as
   * {@linkcode writeStringSync} throws.
   *
   * @returns The number of bytes written.
   *
   * @example A log
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const log = await open(path, { append: true });
   * await log.writeString("started\n");
   * await log.writeString("stopped\n");
   * log.close();
   * assert.equal(await Deno.readTextFile(path), "started\nstopped\n");
   * await Deno.remove(path);
   * ```
   */
  async writeString(s: string): Promise<number> {
    if (typeof s !== "string") throw this.#notString();
    if (this.#turn === null && s.length <= LARGE) {
      try {
        return this.writeStringSync(s);
      } finally {
        const turn = turnAfter(s.length);
        if (turn !== undefined) await turn;
      }
    }
    this.#opened("write");
    return await this.#inTurn(() => this.#writeLargeString(s));
  }

  /**
   * Writes all that a reader or a stream has at the cursor, and moves the cursor behind it; with
   * `append`, at the end of the file.
   *
   * Another `MmapFile` gives what follows its own cursor, in one go. A stream is cancelled when it cannot
   * be written to the end; a reader is left where it is. An error of the source's own is passed on as it
   * is: by then the cursor stands behind what was written.
   *
   * @returns The number of bytes written.
   * @throws {OutOfBoundsError} If the file's size is fixed and the source has more than it has room
   * for. What fits is written; `bytesWritten` counts it.
   * @throws {ReadOnlyError} If the file was not opened for writing. Nothing is read.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Download into a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 5);
   * const response = await fetch("data:text/plain,hello");
   * assert.equal(await file.readFrom(response.body!), 5);
   * assert.equal(new TextDecoder().decode(file.bytes()), "hello");
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async readFrom(r: Reader | ReadableStream<Uint8Array>): Promise<number> {
    this.#checkWriteAccess("write");
    if (!(r instanceof MmapFile)) {
      return await fairly(() => moveFrom(r, this));
    }
    r.#checkReadable("read");
    const length = Math.max(0, r.size - r.#position);
    if (this.#turn === null && length <= LARGE) {
      try {
        return this.readFromSync(r);
      } finally {
        await turnAfter(length);
      }
    }
    // Memory that stays mapped while it is written, even if its file is closed.
    const rest = r.bytes(r.size - length);
    let written = 0;
    try {
      written = await this.write(r === this ? copyOf(rest) : rest);
      if (!r.#closed) r.#checkWhole("read");
      return written;
    } catch (error) {
      written ||= bytesWritten(error);
      throw r.#outgoingError(error, 0);
    } finally {
      if (r !== this) r.#position += written;
    }
  }

  /**
   * Writes all that a reader has at the cursor, and moves the cursor behind it; with `append`, at the end of the file.
   *
   * @returns The number of bytes written.
   * @throws As {@linkcode readFrom} rejects.
   *
   * @example Join two files
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const [one, two] = [Deno.makeTempFileSync(), Deno.makeTempFileSync()];
   * Deno.writeTextFileSync(one, "first\n");
   * Deno.writeTextFileSync(two, "second\n");
   * const to = openSync(one, { append: true });
   * const from = Deno.openSync(two);
   * assert.equal(to.readFromSync(from), 7);
   * from.close();
   * to.close();
   * assert.equal(Deno.readTextFileSync(one), "first\nsecond\n");
   * for (const path of [one, two]) Deno.removeSync(path);
   * ```
   */
  readFromSync(r: ReaderSync): number {
    this.#checkWriteAccess("write");
    if (!(r instanceof MmapFile)) return moveFromSync(r, this);
    r.#checkReadable("read");
    r.#cover();
    const position = Math.min(r.#position, r.#size);
    const rest = r.#bytes.subarray(r.#start + position, r.#start + r.#size);
    let written = 0;
    try {
      written = this.#writeFurther(r === this ? copyOf(rest) : rest);
      r.#checkWhole("read");
      return written;
    } catch (error) {
      written ||= bytesWritten(error);
      throw r.#outgoingError(error, 0);
    } finally {
      if (r !== this) r.#position += written;
    }
  }

  /**
   * Writes the whole file to a writer or a stream. The cursor is not used and not moved.
   *
   * A writer is given the file's own bytes in one call, with no copy, and what it did not take again
   * until it took all. A stream is given copies, since it may keep what it is given; see
   * {@linkcode toReadableStream} for views. It is left open and unlocked, so that more can follow. An
   * error of the target's own is passed on as it is.
   *
   * @returns The number of bytes written.
   * @throws {Deno.errors.WriteZero} If the writer takes nothing.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else cuts the file meanwhile; `bytesWritten` says how much was taken.
   *
   * @example Print a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "hello\n");
   * const file = await open(path);
   * assert.equal(await file.writeTo(Deno.stdout), 6);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async writeTo(w: Writer | WritableStream<Uint8Array>): Promise<number> {
    const source = this.#outgoing(w);
    let moved = 0;
    try {
      await fairly(() => moveTo(source, w, (count) => moved += count));
      return moved;
    } catch (error) {
      throw this.#outgoingError(error, moved);
    }
  }

  /**
   * Writes the whole file to a writer, with no copy. The cursor is not used and not moved.
   *
   * @returns The number of bytes written.
   * @throws As {@linkcode writeTo} rejects.
   *
   * @example Copy a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const [one, two] = [Deno.makeTempFileSync(), Deno.makeTempFileSync()];
   * Deno.writeTextFileSync(one, "hello");
   * const from = openSync(one);
   * const to = Deno.openSync(two, { write: true });
   * assert.equal(from.writeToSync(to), 5);
   * to.close();
   * from.close();
   * assert.equal(Deno.readTextFileSync(two), "hello");
   * for (const path of [one, two]) Deno.removeSync(path);
   * ```
   */
  writeToSync(w: WriterSync): number {
    const source = this.#outgoing(w);
    let moved = 0;
    try {
      moveToSync(source, w, (count) => moved += count);
      return moved;
    } catch (error) {
      throw this.#outgoingError(error, moved);
    }
  }

  /**
   * Moves the cursor to `offset` bytes from the start, from itself or from the end of the file.
   *
   * It may stand past the end. As with `Deno.FsFile`, `offset` is rounded toward zero.
   *
   * @returns The new position in bytes.
   * @throws {TypeError} If the target is negative or too large, or `whence` is not a `Deno.SeekMode`.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 100);
   * assert.equal(file.seekSync(-10, Deno.SeekMode.End), 90);
   * assert.equal(file.seekSync(5, Deno.SeekMode.Current), 95);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  seekSync(offset: number | bigint, whence: Deno.SeekMode): number {
    this.#opened("seek in");
    return this.#seek(offset, whence);
  }

  /**
   * Moves the cursor to `offset` bytes from the start, from itself or from the end of the file.
   *
   * It may stand past the end. Rejects as {@linkcode seekSync} throws.
   *
   * @returns The new position in bytes.
   *
   * @example Read a file again
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "hello");
   * const file = await open(path);
   * const buffer = new Uint8Array(5);
   * await file.read(buffer);
   * await file.seek(0, Deno.SeekMode.Start);
   * assert.equal(await file.read(buffer), 5);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async seek(offset: number | bigint, whence: Deno.SeekMode): Promise<number> {
    return await this.#inOrder("seek in", () => this.#seek(offset, whence));
  }

  /**
   * Gives the file `len` bytes: cuts it, or lengthens it with zeros. The cursor stays.
   *
   * As with `Deno.FsFile`, `len` is rounded toward zero, and a negative one is 0. Views of the memory
   * are emptied when the file gets shorter, or has to be mapped again. Those of a `shared` file read zeros there.
   *
   * @throws {ReadOnlyError} If the file was not opened for writing.
   * @throws {TypeError} If `len` is infinite or not a number, or only a window of the file is mapped.
   * @throws {SystemError} If the system refuses: `code` is "EFBIG" for more than a file can have.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 100);
   * const view = file.bytes();
   * file.truncateSync(10);
   * assert.equal(file.size, 10);
   * assert.equal(view.length, 0);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  truncateSync(len?: number): void {
    const size = this.#lengthToTruncate(len);
    this.#beforeTruncate(size);
    try {
      this.#file.truncateSync(size);
    } catch (error) {
      this.#mapAsItIs();
      throw error;
    }
    this.#resize(size);
  }

  /**
   * Gives the file `len` bytes: cuts it, or lengthens it with zeros. The cursor stays.
   *
   * Views of the memory are emptied when the file gets shorter, or has to be mapped anew. The work is done
   * off the event loop. Rejects as {@linkcode truncateSync} throws.
   *
   * @example Make room
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 100);
   * await file.truncate(200);
   * assert.equal(file.bytes(100, 100).every((byte) => byte === 0), true);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async truncate(len?: number): Promise<void> {
    const size = this.#lengthToTruncate(len);
    await this.#inTurn(async () => {
      if (this.#closed) return await this.#file.truncate(size);
      this.#beforeTruncate(size);
      try {
        await this.#file.truncate(size);
      } catch (error) {
        if (!this.#closed) this.#mapAsItIs();
        throw error;
      }
      if (!this.#closed) this.#resize(size);
    });
  }

  /**
   * Gives what the system knows of the file: its size, its times, its owner.
   *
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 100);
   * const { size, isFile } = file.statSync();
   * assert.deepEqual({ size, isFile }, { size: 100, isFile: true });
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  statSync(): Deno.FileInfo {
    this.#checkStat();
    const info = this.#file.statSync();
    this.#learnSize(info);
    return info;
  }

  /**
   * Gives what the system knows of the file: its size, its times, its owner. Rejects as {@linkcode statSync} throws.
   *
   * @example When the file was last changed
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 100);
   * const { mtime } = await file.stat();
   * assert.equal(mtime?.getTime(), (await Deno.stat(path)).mtime?.getTime());
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async stat(): Promise<Deno.FileInfo> {
    this.#checkStat();
    return await this.#inOrder("stat", async () => {
      const info = await this.#file.stat();
      if (!this.#closed) this.#learnSize(info);
      return info;
    });
  }

  /**
   * Returns once all that was written is on the disk, with the file's size and times.
   *
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 8);
   * file.view(Float64Array)[0] = 0.5;
   * // What was written through a view too.
   * file.syncSync();
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  syncSync(): void {
    this.#syncNow(false);
  }

  /**
   * Resolves once all that was written is on the disk, with the file's size and times.
   *
   * The work is done off the event loop. Rejects as {@linkcode syncSync} throws.
   *
   * @example Nothing is lost at a power failure
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await open(path, { append: true });
   * await file.writeString("paid\n");
   * await file.sync();
   * assert.equal(file.size, 5);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async sync(): Promise<void> {
    await this.#inOrder("sync", () => this.#syncOff(false));
  }

  /**
   * Returns once all that was written is on the disk, with what is needed to read it again: not its times.
   *
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 8);
   * assert.equal(file.writeStringSync("record 1"), 8);
   * file.syncDataSync();
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  syncDataSync(): void {
    this.#syncNow(true);
  }

  /**
   * Resolves once all that was written is on the disk, with what is needed to read it again: not its times.
   *
   * The work is done off the event loop. Rejects as {@linkcode syncDataSync} throws.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 8);
   * assert.equal(await file.writeString("record 1"), 8);
   * await file.syncData();
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async syncData(): Promise<void> {
    await this.#inOrder(
      "sync",
      () => this.#syncOff(true),
    );
  }

  /**
   * Sets the times of the last access and change: seconds since 1970, or dates. Both are kept in milliseconds.
   * What is not a time counts as 0, as with `Deno.FsFile`.
   *
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path, { read: true, write: true });
   * file.utimeSync(new Date(), new Date("2000-01-01"));
   * assert.equal(file.statSync().mtime?.getUTCFullYear(), 2000);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  utimeSync(atime: number | Date, mtime: number | Date): void {
    const times = plainTimes(atime, mtime);
    this.#beforeUtime().utimeSync(...times);
  }

  /**
   * Sets the times of the last access and change: seconds since 1970, or dates. Rejects as {@linkcode utimeSync} throws.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await open(path, { read: true, write: true });
   * await file.utime(1_000_000, 2_000_000);
   * assert.equal((await file.stat()).mtime?.getTime(), 2_000_000_000);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async utime(atime: number | Date, mtime: number | Date): Promise<void> {
    const times = plainTimes(atime, mtime);
    const file = this.#beforeUtime();
    await this.#inOrder(
      "set the times of",
      () => file.utime(...times),
    );
  }

  /**
   * Waits for an advisory lock on the file, shared by default. The thread stands still meanwhile.
   *
   * @param exclusive Whether nobody else may hold a lock at the same time.
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example Change two numbers together
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 16);
   * const numbers = file.view(Float64Array);
   * file.lockSync(true);
   * numbers[0] -= 10;
   * numbers[1] += 10;
   * file.unlockSync();
   * assert.deepEqual([...numbers], [-10, 10]);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  lockSync(exclusive?: boolean): void {
    this.#opened("lock").lockSync(exclusive);
  }

  /**
   * Waits for an advisory lock on the file, shared by default, off the event loop. Rejects as {@linkcode lockSync} throws.
   *
   * @param exclusive Whether nobody else may hold a lock at the same time.
   *
   * @example Wait until another has done its work
   * ```ts
   * import assert from "node:assert/strict";
   * import { create, open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const one = await create(path, 8);
   * const other = await open(path);
   * await one.lock(true);
   * const waiting = other.lock();
   * one.writeStringSync("finished");
   * await one.unlock();
   * await waiting;
   * assert.equal(new TextDecoder().decode(other.bytes()), "finished");
   * other.close();
   * one.close();
   * await Deno.remove(path);
   * ```
   */
  async lock(exclusive?: boolean): Promise<void> {
    this.#opened("lock");
    // A close leaves the descriptor open until the lock is taken, as Deno's does.
    await this.#inTurn(() => this.#file.lock(exclusive));
  }

  /**
   * Takes an advisory lock if that needs no waiting; says whether it did.
   *
   * @param exclusive Whether nobody else may hold a lock at the same time.
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example One writer at a time
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync, openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const one = createSync(path, 100);
   * const other = openSync(path);
   * assert.equal(one.tryLockSync(true), true);
   * assert.equal(other.tryLockSync(true), false);
   * one.unlockSync();
   * assert.equal(other.tryLockSync(true), true);
   * other.close();
   * one.close();
   * Deno.removeSync(path);
   * ```
   */
  tryLockSync(exclusive?: boolean): boolean {
    return this.#opened("lock").tryLockSync(exclusive);
  }

  /**
   * Takes an advisory lock if that needs no waiting; says whether it did. Rejects as {@linkcode tryLockSync} throws.
   *
   * @param exclusive Whether nobody else may hold a lock at the same time.
   *
   * @example Shared locks do not exclude each other
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const one = await open(path);
   * const other = await open(path);
   * assert.equal(await one.tryLock(), true);
   * assert.equal(await other.tryLock(), true);
   * assert.equal(await other.tryLock(true), false);
   * other.close();
   * one.close();
   * await Deno.remove(path);
   * ```
   */
  async tryLock(exclusive?: boolean): Promise<boolean> {
    return await this.#inOrder(
      "lock",
      () => this.#file.tryLock(exclusive),
    );
  }

  /**
   * Gives the advisory lock back. `close` does so too.
   *
   * @throws {SystemError} If the system refuses.
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path);
   * file.lockSync();
   * try {
   *   assert.equal(file.size, 0);
   * } finally {
   *   file.unlockSync();
   * }
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  unlockSync(): void {
    this.#opened("unlock").unlockSync();
  }

  /**
   * Gives the advisory lock back. Rejects as {@linkcode unlockSync} throws.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await open(path);
   * await file.lock(true);
   * await file.unlock();
   * assert.equal(await file.tryLock(true), true);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async unlock(): Promise<void> {
    await this.#inOrder("unlock", () => this.#file.unlock());
  }

  /**
   * Gives `false`: what is mapped is a regular file.
   *
   * @throws {ClosedError} If the file is closed.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file: Deno.FsFile = openSync(path);
   * assert.equal(file.isTerminal(), false);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  isTerminal(): boolean {
    this.#opened("look at");
    return false;
  }

  /**
   * Throws, always: there as `Deno.FsFile` has it, and only a terminal can be put in raw mode.
   *
   * @throws {Deno.errors.BadResource} Always; if the file is closed, as {@linkcode ClosedError}.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path);
   * assert.throws(() => file.setRaw(true), Deno.errors.BadResource);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  setRaw(_mode: boolean, _options?: Deno.SetRawOptions): void {
    this.#opened("set the raw mode of");
    throw new Deno.errors.BadResource(
      `Cannot set the raw mode of '${this.name}': not a terminal`,
    );
  }

  /**
   * The file from the cursor on as a byte stream, which closes the file at its end, on cancel and on error.
   *
   * {@linkcode toReadableStream} has streams that leave the file open, of a part of the file too.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "hello");
   * const file = openSync(path);
   * assert.equal(await new Response(file.readable).text(), "hello");
   * assert.equal(file.closed, true);
   * Deno.removeSync(path);
   * ```
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= readableOf(this);
  }

  /**
   * The file as a stream to write to at the cursor, which closes the file at its end, on abort and on error.
   *
   * {@linkcode toWritableStream} has streams that leave the file open.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = openSync(path, { write: true, grow: true });
   * await new Response("hello").body!.pipeTo(file.writable);
   * assert.equal(Deno.readTextFileSync(path), "hello");
   * Deno.removeSync(path);
   * ```
   */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= writableOf(this);
  }

  /**
   * Gives the file's own bytes, with no copy: what is written here is in the file at once, and what
   * others write to the file is here.
   *
   * The view becomes empty when the file is closed or truncated, and on Windows and in the fallback when it
   * is mapped again because it grew. Views of `shared` memory never do. In a file opened for reading alone,
   * writes to the view stay in this process (Linux, FreeBSD), unless the system refuses such memory: under
   * strict overcommit or `RLIMIT_DATA` a write can end the process.
   *
   * The engine owns the memory, except on Windows and above 16 GiB: native work on the view goes on with
   * the file's bytes after `close`, and `transfer` of the buffer throws a `TypeError`.
   * Decode text that others may change at the same time from a `copy()`: decoders look at the bytes twice.
   * The same goes for `sort()` without a comparator. It ends the process if another process writes to
   * the file or truncates it at the same time; `toSorted()` and `slice().sort()` sort a copy.
   *
   * @param offset First byte; 0 by default.
   * @param length Bytes; by default up to the end of the file.
   * @throws {RangeError} If the range is not in the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Count the lines of a file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "one\ntwo\n");
   * const file = openSync(path);
   * let lines = 0;
   * for (const byte of file.bytes()) if (byte === 10) lines++;
   * assert.equal(lines, 2);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  bytes(
    offset = 0,
    length: number = this.size - offset,
  ): Uint8Array<Buffer> {
    this.#checkRange("view", offset, length);
    const { buffer, start } = this.#expose(offset, length);
    return new Uint8Array(buffer, start + offset, length);
  }

  /**
   * Returns a copy of a range of the file, by default of all of it.
   *
   * The copy is checked. If the file was truncated, `bytes().slice()` returns zeros, and `copy()` throws.
   *
   * @param offset First byte; 0 by default.
   * @param length Bytes; by default up to the end of the file.
   * @returns The copy, which may be changed, transferred and kept.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example Keep a header beyond the file
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "header, body");
   * const file = openSync(path);
   * const header = file.copy(0, 6);
   * file.close();
   * assert.equal(new TextDecoder().decode(header), "header");
   * Deno.removeSync(path);
   * ```
   */
  copy(
    offset = 0,
    length: number = this.size - offset,
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
    } else read = this.#readRange(copy = new Uint8Array(length), offset);
    if (read !== length && length > 0) throw this.#cut("copy");
    return copy;
  }

  /**
   * Gives the file's own bytes as numbers of another type; see {@linkcode bytes}.
   *
   * @param type Such as `Int32Array` or `DataView`.
   * @param offset First byte; 0 by default.
   * @param length Elements (of a `DataView`: bytes); by default as many as fit up to the end of the file.
   * @throws {RangeError} If the range is not in the file, or its first byte not aligned to the type.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example A counter shared by all processes that map the file
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 64);
   * const counters = file.view(Int32Array, 0, 16);
   * Atomics.add(counters, 3, 1);
   * assert.equal(Atomics.load(counters, 3), 1);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  view<T>(
    type: TypedArrayConstructor<T, Buffer>,
    offset?: number,
    length?: number,
  ): Buffer extends ArrayBuffer ? T : ArrayOver<T, Buffer>;
  /**
   * Gives the file's own bytes as a `DataView`, at any offset; `length` is in bytes. See {@linkcode bytes}.
   *
   * @example Read a header
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, Uint8Array.of(7, 0xca, 0xfe));
   * const file = openSync(path);
   * assert.equal(file.view(DataView).getUint16(1), 0xcafe);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  view(
    type: DataViewConstructor,
    offset?: number,
    length?: number,
  ): DataView<Buffer>;
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
    this.#checkOffset("view", elements);
    const byteLength = elements * width;
    this.#checkRange("view", offset, byteLength);
    if ((this.#access.offset + offset) % width !== 0) {
      throw new RangeError(
        `Cannot view '${this.name}': byte ${
          this.#access.offset + offset
        } of the file is not aligned to the ${width} bytes of ${type.name}; a DataView can begin anywhere`,
      );
    }
    const { buffer, start } = this.#expose(offset, byteLength);
    return new type(buffer, start + offset, elements);
  }

  /**
   * Returns the text of a range of the file, by default of all of it, decoded from UTF-8.
   *
   * Invalid bytes become U+FFFD, and a byte order mark at the start of the range is left out, as with
   * `TextDecoder`. The text is decoded from a private copy, so other processes may write to the file
   * at the same time.
   *
   * @param offset First byte; 0 by default.
   * @param length Bytes; by default up to the end of the file.
   * @returns The text.
   * @throws {RangeError} If the range is not in the file, or its text is longer than a string can be:
   * 2^29 - 24 UTF-16 code units.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example A field of a record
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "0001Zürich  ");
   * using file = openSync(path);
   * assert.equal(file.text(4, 9).trim(), "Zürich");
   * Deno.removeSync(path);
   * ```
   */
  text(offset = 0, length: number = this.size - offset): string {
    const text = shortText(this, offset, length);
    if (text !== null) return text;
    this.#checkReadable("read");
    return longText(this, offset, length);
  }

  /**
   * Returns the lines of the file as strings, decoded from UTF-8, without their LF or CRLF.
   *
   * Lines are read and decoded in pieces as they are asked for. Memory stays the same however long the
   * file is, and other processes may write to it at the same time. The last line need not end with
   * an LF, unless `complete` is given. Invalid bytes become U+FFFD, and a byte order mark at the start of
   * the range is left out. With `for await`, timers and I/O get their turn between pieces; that takes
   * about twice as long.
   *
   * @param options The range, whether to leave out an unfinished last line, and the direction.
   * @returns The lines, from the start for each iteration.
   * @throws {RangeError} If the range is not in the file. The iteration throws it at a line longer than a
   * string can be.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or when a piece is read.
   * @throws {TruncatedError} If another process has truncated the file, now or when a piece is read.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "Zürich\r\n東京\nOslo");
   * using file = openSync(path);
   * assert.deepEqual([...file.textLines()], ["Zürich", "東京", "Oslo"]);
   * const [last] = file.textLines({ reverse: true });
   * assert.equal(last, "Oslo");
   * Deno.removeSync(path);
   * ```
   *
   * @example Let other tasks run between pieces
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "a,1\nb,2\n");
   * using file = await open(path);
   * const rows = [];
   * for await (const line of file.textLines()) rows.push(line.split(","));
   * assert.deepEqual(rows, [["a", "1"], ["b", "2"]]);
   * await Deno.remove(path);
   * ```
   */
  textLines(
    options?: TextLinesOptions,
  ): Iterable<string> & AsyncIterable<string> {
    this.#checkReadable("read lines of");
    return textLinesOf(this, options);
  }

  /**
   * Returns the file, or a range of it, as a `Blob` that reads nothing until it is asked to.
   *
   * The blob works wherever a `Blob` does: as the body of a `Response` or a request, in `FormData`,
   * `new Blob([blob])` and `new File([blob], name)`. Its slices are as lazy as it is. It has the bytes that the
   * file has when they are read. If the file is closed or truncated by then, the read rejects with a
   * `DOMException` named "NotReadableError".
   *
   * Deno keeps no bytes for it, so `structuredClone`, `postMessage` and `URL.createObjectURL` throw a
   * `DOMException` named "DataCloneError". Pass `new Blob([await blob.bytes()])` instead.
   *
   * @param options The media type, and the range: by default the whole file as it is now.
   * @returns The blob, whose `size` is fixed.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If another process has truncated the file.
   *
   * @example The end of a file, whatever its size
   * ```ts
   * import assert from "node:assert/strict";
   * import { open } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * await Deno.writeTextFile(path, "a long file, and its end");
   * using file = await open(path);
   * const blob = file.blob({ type: "text/plain" });
   * assert.equal(await blob.slice(-3).text(), "end");
   * assert.equal(new Response(blob).headers.get("content-type"), "text/plain");
   * await Deno.remove(path);
   * ```
   */
  blob(options?: BlobOptions): Blob {
    this.#checkReadable("read");
    return blobOf(this, options);
  }

  /**
   * Gives successive views of the file's own bytes; the last may be shorter.
   *
   * @param size Bytes of a view, 64 KiB by default.
   * @throws {RangeError} If `size` is not a whole number, 1 or more.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or at the next view.
   * @throws {TruncatedError} If someone else has cut the file, now or at the next view.
   *
   * @example Hash a file of any size piece by piece
   * ```ts
   * import assert from "node:assert/strict";
   * import { createHash } from "node:crypto";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "hello");
   * const file = openSync(path);
   * const hash = createHash("sha256");
   * for (const chunk of file.chunks()) hash.update(chunk);
   * assert.equal(hash.digest("hex").slice(0, 8), "2cf24dba");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  chunks(size: number = 64 << 10):
    & Generator<Uint8Array<Buffer>, void, undefined>
    & AsyncIterable<Uint8Array<Buffer>, void, undefined> {
    this.#checkReadable("read");
    this.#checkOffset("read", size);
    if (size === 0) {
      throw new RangeError(
        `Cannot read '${this.name}': chunks of 0 bytes never end; give a size of 1 or more`,
      );
    }
    const walk = new Walk();
    return bothWays(
      this.#chunks(size, walk),
      walk,
      (from, to) => this.#bringIn(from, to),
    );
  }

  /**
   * Gives the lines of the file as views, without their LF or CRLF; the last need not have one.
   *
   * @param options The range to look at, by default the whole file, and the direction.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed, now or at the next line.
   * @throws {TruncatedError} If someone else has cut the file, now or at the next line.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "one\r\ntwo\nthree");
   * const file = openSync(path);
   * const decoder = new TextDecoder();
   * const lines = Array.from(file.lines(), (line) => decoder.decode(line));
   * assert.deepEqual(lines, ["one", "two", "three"]);
   * const [last] = file.lines({ reverse: true });
   * assert.equal(decoder.decode(last), "three");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  lines(options?: LinesOptions):
    & Generator<Uint8Array<Buffer>, void, undefined>
    & AsyncIterable<Uint8Array<Buffer>, void, undefined> {
    this.#checkReadable("read");
    const bytes = this.bytes();
    const end = this.#size;
    // Shared memory is not emptied when the file is truncated.
    const check = () => this.#checkEndIs(end);
    const walk = new Walk();
    return bothWays(
      lines(bytes, options, check, undefined, this.name, walk),
      walk,
      (from, to) => this.#bringIn(from, to),
    );
  }

  /**
   * Finds where `needle` first begins, at `from` or later: bytes, a string in UTF-8, or one byte as a number.
   *
   * @param from First byte to look at; a negative one counts from the end of the file. Or the range to
   * search; all of the needle must lie in it.
   * @returns Its first byte's position in the file, or -1.
   * @throws {RangeError} If a number is not a byte, `from` is not a safe integer, or the range is not in the file.
   * @throws {SystemError} If the file was not opened for reading: `code` is "EBADF".
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "key=value; key=other");
   * const file = openSync(path);
   * assert.equal(file.indexOf("key"), 0);
   * assert.equal(file.indexOf("key", 1), 11);
   * assert.equal(file.indexOf("key", { offset: 1, length: 9 }), -1);
   * assert.equal(file.indexOf("nothing"), -1);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  indexOf(
    needle: Uint8Array | string | number,
    from: number | ByteRange = 0,
  ): number {
    const haystack = this.#haystack();
    const { memmem } = this.#mapping;
    const index = indexOf(haystack, needle, from, memmem, this.name);
    this.#checkWhole("search");
    return index;
  }

  /**
   * Finds where `needle` last begins, at `from` or before; see {@linkcode indexOf}.
   *
   * @param from Last byte at which it may begin; a negative one counts from the end of the file. Or the range
   * to search; all of the needle must lie in it.
   * @returns Its first byte's position, or -1.
   * @throws As {@linkcode indexOf} throws.
   *
   * @example The last line of a log
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "started\nworked\nstopped");
   * const file = openSync(path);
   * const last = file.bytes(file.lastIndexOf("\n") + 1);
   * assert.equal(new TextDecoder().decode(last), "stopped");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  lastIndexOf(
    needle: Uint8Array | string | number,
    from?: number | ByteRange,
  ): number {
    const haystack = this.#haystack();
    const index = lastIndexOf(haystack, needle, from, this.name);
    this.#checkWhole("search");
    return index;
  }

  /**
   * Tells whether `needle` begins anywhere, at `from` or later; see {@linkcode indexOf}.
   *
   * @param from First byte to look at, or the range to search; all of the needle must lie in it.
   * @throws As {@linkcode indexOf} throws.
   *
   * @example Look for a byte
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "plain text");
   * const file = openSync(path);
   * assert.equal(file.includes(0), false);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  includes(
    needle: Uint8Array | string | number,
    from: number | ByteRange = 0,
  ): boolean {
    return this.indexOf(needle, from) !== -1;
  }

  /**
   * Returns once this range of the file is on the disk, whole pages at a time; by default all of it.
   *
   * @param offset First byte.
   * @param length Bytes.
   * @throws {RangeError} If the range is not in the file.
   * @throws {SystemError} If the disk fails.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example Keep an order that survives a power failure
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 8192);
   * file.writeAtSync(new TextEncoder().encode("the record"), 4096);
   * file.flushSync(4096, 10);
   * // Only what is on the disk is pointed to.
   * file.view(Uint32Array, 0, 1)[0] = 4096;
   * file.flushSync(0, 4);
   * assert.equal(file.view(Uint32Array, 0, 1)[0], 4096);
   * file.close();
   * Deno.removeSync(path);
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
   * Resolves once this range of the file is on the disk, whole pages at a time; by default all of it.
   *
   * The work is done off the event loop. Rejects as {@linkcode flushSync} throws.
   *
   * @param offset First byte.
   * @param length Bytes.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { create } from "@mmapfile/mmapfile";
   *
   * const path = await Deno.makeTempFile();
   * const file = await create(path, 1 << 20);
   * file.bytes().fill(1);
   * await file.flush(0, 4096);
   * await file.flush();
   * assert.equal((await Deno.readFile(path))[4096], 1);
   * file.close();
   * await Deno.remove(path);
   * ```
   */
  async flush(offset = 0, length?: number): Promise<void> {
    await this.#inOrder("flush", () => this.#flushOff(offset, length));
  }

  /**
   * Brings a range of the file into memory, off the event loop; by default all of it.
   *
   * A hint: what the system cannot bring in is read when it is used. A close ends it early.
   *
   * @param offset First byte.
   * @param length Bytes.
   * @param options What ends it early, and what is told how far it is.
   * @throws {RangeError} If the range is not in the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   * @throws The signal's reason, if it is aborted.
   *
   * @example Show the progress
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeFileSync(path, new Uint8Array(40 << 20));
   * using file = openSync(path);
   * const percent: number[] = [];
   * await file.prefetch(0, file.size, {
   *   onProgress: (done, total) => percent.push(100 * done / total),
   *   signal: AbortSignal.timeout(60_000),
   * });
   * assert.deepEqual(percent, [40, 80, 100]);
   * Deno.removeSync(path);
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
    this.#cover();
    for (let done = 0; done < length && !this.#closed;) {
      const piece = Math.min(PREFETCH_PIECE, length - done);
      await this.#mapping.prefetch(offset + done, piece);
      signal?.throwIfAborted();
      done += piece;
      onProgress?.(done, length);
    }
    await turnAfter();
  }

  /**
   * Says how a range of the file will be read, by default all of it, so that the system can read ahead or not.
   *
   * "dontneed" releases memory: the pages no longer count as the process's own. The next access
   * maps them again, from the page cache or from the disk. No write is lost: dirty pages stay in the page
   * cache and are written to the file as usual. If the file is open for reading only, stray writes to views are
   * dropped. On macOS and the BSDs the system decides when it takes the pages. On Windows, and with the
   * "fallback" backend, nothing happens.
   *
   * @param advice "normal", "sequential", "random" or "dontneed".
   * @param offset First byte.
   * @param length Bytes.
   * @throws {RangeError} If the range is not in the file.
   * @throws {TypeError} If there is no such advice; or for "dontneed" if the file is copy-on-write: its changes exist in memory only.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has cut the file.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 1 << 20);
   * file.advise("random");
   * assert.equal(file.readAtSync(new Uint8Array(16), 123_456), 16);
   * file.advise("dontneed");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  advise(
    advice: Advice | "dontneed",
    offset = 0,
    length: number = this.size - offset,
  ): void {
    if (advice !== "dontneed" && !isAdvice(advice)) {
      throw new TypeError(
        `Cannot advise on '${this.name}': "${advice}" is not "normal", "sequential", "random" or "dontneed"`,
      );
    }
    if (advice === "dontneed" && this.#access.copyOnWrite) {
      throw new TypeError(
        `Cannot advise on '${this.name}': "dontneed" would lose the changes of a file opened copy-on-write`,
      );
    }
    this.#checkRange("advise on", offset, length);
    if (advice !== "dontneed") this.#cover();
    this.#mapping.advise(advice, offset, length);
  }

  /**
   * Waits while the Int32 at a byte offset is `expected`, until {@linkcode notify} wakes it: across
   * workers and processes, as `Atomics.waitAsync` does within a process.
   *
   * A change that is stored before its notify is never missed. A notify without a change wakes the waits of
   * this isolate, and in others those that sleep at that moment. A change without a notify is seen within
   * half a second.
   *
   * Like `Atomics.waitAsync`, a pending wait does not keep the process from exiting, except in its first
   * second and while the main module is being evaluated: a top-level await goes on.
   *
   * @param offset First byte, aligned to 4 bytes in the file.
   * @param expected The value that the Int32 has as long as there is something to wait for.
   * @returns "ok" if the Int32 was notified or has changed, "not-equal" if it is not `expected` to begin with,
   * "timed-out" after `timeout` milliseconds.
   * @throws {RangeError} If the range is not in the file, or not aligned.
   * @throws {Deno.errors.NotSupported} If memory is a copy of the file: with the fallback.
   * @throws {ClosedError} If the file is closed, now or while it waits.
   * @throws {TruncatedError} If the file is truncated below the Int32, now or while it waits.
   *
   * @example Wait for the next version
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * using file = createSync(path, 8);
   * const version = file.view(Int32Array, 0, 1);
   * const next = file.wait(0, 0);
   * Atomics.store(version, 0, 1);
   * file.notify(0);
   * assert.equal(await next, "ok");
   * assert.equal(await file.wait(0, 0), "not-equal");
   * Deno.removeSync(path);
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
   * Wakes all that {@linkcode wait} on the Int32 at a byte offset, in every worker and process that maps the
   * file, whatever its window. Store the new value first.
   *
   * @param offset First byte, aligned to 4 bytes in the file.
   * @throws {RangeError} If the range is not in the file, or not aligned.
   * @throws {Deno.errors.NotSupported} If memory is a copy of the file: with the fallback.
   * @throws {ClosedError} If the file is closed.
   * @throws {TruncatedError} If someone else has truncated the file.
   *
   * @example Tell others of a new message
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * using file = createSync(path, 64);
   * Atomics.add(file.view(Int32Array, 0, 1), 0, 1);
   * file.notify(0);
   * assert.equal(await file.wait(0, 0), "not-equal");
   * Deno.removeSync(path);
   * ```
   */
  notify(offset: number): void {
    this.#waitsOn("notify", offset).notify(offset);
  }

  /**
   * Maps the file as it is now, after someone else has made it longer or shorter.
   *
   * Until then reads end where the file ended. Views are emptied if the memory has to be mapped again,
   * and copy-on-write changes are then lost. Views of a `shared` file stay, and show the file as it is now.
   * Native work on older views goes on with their memory.
   *
   * @returns Whether the size has changed or the file was truncated. Changes within the file need no
   * refresh, unless the backend is "fallback".
   * @throws {ClosedError} If the file is closed.
   * @throws {SystemError} If the system refuses to map it: `code` is "ENOMEM" when there is no room.
   *
   * @example See what another has added
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "one\n");
   * const file = openSync(path);
   * Deno.writeTextFileSync(path, "two\n", { append: true });
   * assert.equal(file.size, 4);
   * assert.equal(file.refresh(), true);
   * assert.equal(new TextDecoder().decode(file.bytes(4)), "two\n");
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  refresh(): boolean {
    this.#opened("refresh");
    this.#mapping.reread?.();
    return this.#mapAsItIs();
  }

  /**
   * Tells whether the path still names this file, and the file still has the size that it had when it was
   * opened or last refreshed. Makes two system calls.
   *
   * If not, another process has replaced the file, removed it, or made it longer or shorter. {@linkcode refresh} takes
   * over a new size. A file put in its place has to be opened.
   *
   * A relative path is looked up from the current directory.
   *
   * @returns Whether nothing has changed but bytes within the file.
   * @throws {ClosedError} If the file is closed.
   * @throws {Deno.errors.NotCapable} If the permission to read the path has been revoked.
   *
   * @example Go on with the file that has replaced this one
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * Deno.writeTextFileSync(path, "old");
   * let file = openSync(path);
   * Deno.writeTextFileSync(path + ".new", "new");
   * // Windows replaces no file that is mapped.
   * if (Deno.build.os !== "windows") {
   *   Deno.renameSync(path + ".new", path);
   *   if (!file.isCurrent()) {
   *     file.close();
   *     file = openSync(path);
   *   }
   *   assert.equal(file.text(), "new");
   * }
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  isCurrent(): boolean {
    const file = this.#opened("look at");
    const { path, length } = this.#access;
    if (this.truncated) return false;
    if (Math.min(this.#mapping.fileSize(), length) !== this.#size) return false;
    this.#info ??= file.statSync();
    return isNamed(path, this.#info);
  }

  /**
   * Closes the file. Every view of its memory becomes empty, unless the file is `shared`.
   *
   * A use of a view after close is `undefined` or an error of JavaScript's, never a crash. Native work that
   * still uses a view goes on: the engine unmaps the memory when nothing uses it any more.
   *
   * @throws {ClosedError} If the file is closed already.
   * @throws {TruncatedError} If someone else has cut a file that was open for writing, which nothing
   * has reported yet: writes may be lost. The file is closed all the same.
   *
   * @example A view ends with its file
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 100);
   * const view = file.bytes();
   * file.close();
   * assert.equal(view.length, 0);
   * assert.equal(view[0], undefined);
   * Deno.removeSync(path);
   * ```
   */
  close(): void {
    if (this.#closed) throw this.#closedError("close");
    try {
      if (this.#appended > 0) this.#settle();
      this.#updateTimes();
    } finally {
      this.#closed = true;
      try {
        this.#waits?.close(this.#closedError("wait on"));
        this.#unmap();
      } finally {
        if (this.#turn === null) this.#file.close();
        else this.#closeWhenIdle();
      }
    }
  }

  /**
   * Closes the file at the end of a `using` block, unless that is done already.
   *
   * @throws {TruncatedError} As {@linkcode close} throws it.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { openSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * let outside: Uint8Array;
   * {
   *   using file = openSync(path);
   *   outside = file.bytes();
   * }
   * assert.equal(outside.length, 0);
   * Deno.removeSync(path);
   * ```
   */
  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /**
   * What `console.log` shows: name, size, backend and whether it is closed, not the bytes.
   *
   * @example
   * ```ts
   * import assert from "node:assert/strict";
   * import { createSync } from "@mmapfile/mmapfile";
   *
   * const path = Deno.makeTempFileSync();
   * const file = createSync(path, 1_000_000);
   * const shown = Deno.inspect(file);
   * assert.match(shown, /^MmapFile \{[^]* size: 1000000,/);
   * assert(shown.length < 1000);
   * file.close();
   * Deno.removeSync(path);
   * ```
   */
  [Symbol.for("Deno.customInspect")](
    inspect: (value: unknown, options?: Deno.InspectOptions) => string,
    options?: Deno.InspectOptions,
  ): string {
    const { name, size, backend, closed } = this;
    return `MmapFile ${inspect({ name, size, backend, closed }, options)}`;
  }

  /**
   * Throws: a clone would be an object without a file. Deno calls this for `structuredClone` and `postMessage`.
   *
   * @ignore
   */
  [Symbol.for("Deno.core.hostObject")](): never {
    throw new DOMException(
      `Cannot clone '${this.name}': an open file stays in its thread; post the path and open it there`,
      "DataCloneError",
    );
  }

  /** Returns the number of bytes read: fewer, or `null`, if another process has truncated the file. */
  #copyTo(p: Uint8Array, position: number, length: number): number | null {
    if (length >= CACHES) return this.#copyLargeTo(p, position, length);
    try {
      const at = this.#start + position;
      const source = new Uint8Array(this.#buffer, at, length);
      set.call(p, this.#isAliased ? this.#unaliased(source, p) : source);
    } catch (error) {
      throw this.#explain("read", error);
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
      throw this.#explain("read", error);
    }
    return this.#faults[0] === 0
      ? length
      : this.#readFaulted(p, position, length);
  }

  #copyFrom(p: Uint8Array, position: number): void {
    try {
      const source = this.#isAliased ? this.#unaliased(p, this.#bytes) : p;
      set.call(this.#bytes, source, this.#start + position);
    } catch (error) {
      throw this.#explain("write", error);
    }
    this.#isDirty = true;
    if (this.#faults[0] !== 0) this.#writeFaulted(p, position);
  }

  /**
   * The source of a copy, or a copy of it. Two mappings of one page have different addresses, by which
   * `set` does not find out that they overlap.
   */
  #unaliased(source: Uint8Array, target: Uint8Array): Uint8Array {
    const [from, to] = [bufferOf(source), bufferOf(target)];
    const mapping = this.#mapping;
    return from !== to && mapping.holds(from) && mapping.holds(to)
      ? copyOf(source)
      : source;
  }

  #copyLargeFrom(p: Uint8Array, position: number): void {
    try {
      this.#copyLarge(this.#bytes.subarray(this.#start + position), p);
    } catch (error) {
      throw this.#explain("write", error);
    }
    this.#isDirty = true;
    if (this.#faults[0] !== 0) this.#writeFaulted(p, position);
  }

  #copyLarge(target: Uint8Array, source: Uint8Array): void {
    const mapping = this.#mapping;
    const mayOverlap = mapping.holds(bufferOf(target)) &&
      mapping.holds(bufferOf(source));
    if (mayOverlap) set.call(target, this.#unaliased(source, target));
    else if (mapping.copyLarge === undefined) set.call(target, source);
    else mapping.copyLarge(target, source);
  }

  /** Memory faulted under a read: the file was truncated, or the disk failed. The descriptor can tell. */
  #readFaulted(
    p: Uint8Array,
    position: number,
    length: number,
  ): number | null {
    if (this.#access.copyOnWrite) throw this.#cut("read");
    this.#leaveMemory();
    return this.#readThrough(plainView(p).subarray(0, length), position);
  }

  /** As `#readFaulted`, under a write: a full disk too is a fault, and the system's own write tells it. */
  #writeFaulted(p: Uint8Array, position: number): void {
    const { append, copyOnWrite, grow } = this.#access;
    if (append || copyOnWrite) throw this.#cut("write");
    this.#leaveMemory();
    if (!grow) this.#checkEnd(position + byteLength.call(p));
    this.#writeThrough(plainView(p), position);
  }

  /** Memory has shown zeros: repairs it, or uses the descriptor from now on. */
  #leaveMemory(): void {
    if (!this.#isCut() && this.#mapping.restore?.()) this.#adopt();
    else this.#followTruncation();
  }

  /** Takes over the size after a truncation by others. Until `refresh` memory is not used. */
  #followTruncation(): void {
    this.#truncated = true;
    this.#setSize(Math.min(this.#size, this.#mapping.fileSize()));
  }

  *#chunks(
    size: number,
    walk: Walk,
  ): Generator<Step<Uint8Array<Buffer>>, void, undefined> {
    let end = this.size;
    for (let at = 0; at < end; at += size) {
      if (walk.pauses && Math.min(end, at + size) > walk.to) {
        walk.from = at;
        walk.to = Math.min(end, at + Math.max(size, PART));
        yield PAUSE;
      }
      this.#checkEndIs(end);
      end = this.#size;
      yield this.bytes(at, Math.min(size, end - at));
    }
  }

  /** Brings a range into memory for a reader that may be slower than a close. */
  async #bringIn(from: number, to: number): Promise<void> {
    if (!this.#closed) await this.#mapping.prefetch(from, to - from);
  }

  /** All the bytes there are to search, in memory. */
  #haystack(): Uint8Array {
    this.#checkReadable("search");
    this.#cover();
    return this.#bytes.subarray(this.#start, this.#start + this.#size);
  }

  /** A read at the cursor that is not simply within the memory. */
  #readFurther(p: Uint8Array): number | null {
    // Resolves an append, which moves the cursor.
    if (this.#appended > 0) this.#settle();
    const position = this.#position;
    const read = this.#readAtFurther(p, position);
    this.#position = position + (read ?? 0);
    return read;
  }

  #readAtFurther(p: Uint8Array, offset: number): number | null {
    this.#checkOffset("read", offset);
    if (byteLength.call(p) === 0) {
      this.#opened("read");
      return 0;
    }
    this.#checkReadAccess("read");
    return this.#readRange(p, offset);
  }

  /** Reads what there is of a range, from memory or through the descriptor. */
  #readRange(p: Uint8Array, offset: number): number | null {
    const wanted = byteLength.call(p);
    if (!this.#usesMemory()) return this.#readThrough(plainView(p), offset);
    if (this.#access.grow && offset + wanted > this.#size) this.#followGrowth();
    const length = Math.min(wanted, this.#size - offset);
    if (length <= 0) return null;
    // Longer or shorter since, as the system has just said.
    return offset + length <= this.#readLimit
      ? this.#copyTo(p, offset, length)
      : this.#readThrough(plainView(p), offset);
  }

  /** Whether a read is to use memory, which then reaches to the end of the file. */
  #usesMemory(): boolean {
    if (this.#access.copyOnWrite) this.#checkWhole("read");
    if (this.#truncated || this.#mapping.hasFaulted) return false;
    const usesMemory = this.#mapping.readsMemory(this.#size);
    this.#take();
    return usesMemory;
  }

  /** Reads through the descriptor: files of /proc have no size, and any may have grown or been truncated. */
  #readThrough(p: Uint8Array, offset: number): number | null {
    const { grow, length } = this.#access;
    const end = grow ? length : this.#size;
    const room = Math.max(0, end - offset);
    const target = room < p.length ? p.subarray(0, room) : p;
    const read = target.length === 0 ? 0 : this.#mapping.read(target, offset);
    const isShort = read < target.length && offset + read < this.#size;
    if (isShort && this.#isCut()) this.#followTruncation();
    if (read > 0 && offset + read > this.#size) this.#setSize(offset + read);
    return read || null;
  }

  /** Learns how long the file is now. */
  #followGrowth(): void {
    const size = this.#mapping.fileSize();
    if (size < this.#size) this.#followTruncation();
    else if (size > this.#size) this.#setSize(size);
  }

  /** A large read at the cursor, which moves at once, so that other calls go on behind it. */
  async #readNext(p: Uint8Array): Promise<number | null> {
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

  /** A large read that leaves time to the event loop, and goes on when the file is closed. */
  async #readLarge(p: Uint8Array, position: number): Promise<number | null> {
    const { readAsync } = this.#mapping;
    // Into the file's own memory: the kernel would overwrite bytes that it has yet to read.
    if (this.#mapping.holds(bufferOf(p))) return this.readAtSync(p, position);
    if (
      readAsync === undefined || this.#access.copyOnWrite || isOfAnyLength(p)
    ) {
      return await this.#readInPieces(p, position);
    }
    if (!this.#closed) this.#checkReadAccess("read");
    const end = this.#access.grow ? this.#access.length : this.#size;
    const length = Math.min(p.length, Math.max(0, end - position));
    if (length === 0) return p.length === 0 ? 0 : null;
    const target = p.subarray(0, length);
    const read = await readAsync.call(this.#mapping, target, position);
    if (!this.#closed) this.#followGrowth();
    return read || null;
  }

  async #readInPieces(p: Uint8Array, position: number): Promise<number | null> {
    this.#checkReadAccess("read");
    if (this.#access.grow) this.#followGrowth();
    const left = Math.max(0, this.#size - position);
    const length = Math.min(left, p.length);
    if (length === 0) return p.length === 0 ? 0 : null;
    let done = 0;
    // The array may be resized in between: what is read has to be there at the end.
    while (done < Math.min(length, p.length)) {
      if (done > 0) await nextTurn();
      const piece = p.subarray(done, Math.min(done + PIECE, length));
      if (piece.length === 0) break;
      await this.#mapping.prefetch(position + done, piece.length);
      // Resized in between.
      if (piece.length === 0) break;
      // Truncated by this file's own `truncate` since: the rest is past the end.
      const read = this.readAtSync(piece, position + done);
      done += read ?? 0;
      if (read !== piece.length) break;
    }
    return Math.min(done, p.length);
  }

  /** A large write at the cursor, which moves at once, so that other calls go on behind it. */
  async #writeNext(p: Uint8Array): Promise<number> {
    if (this.#access.append) return await this.#appendLarge(p);
    const position = this.#position;
    const { length } = p;
    this.#checkReach(position, length);
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

  /** A large write that leaves time to the event loop, and goes on when the file is closed. */
  async #writeLarge(bytes: Uint8Array, position: number): Promise<number> {
    const { append, copyOnWrite, grow } = this.#access;
    const { writeAsync } = this.#mapping;
    if (!this.#closed) this.#checkWriteAccess("write");
    this.#checkReach(position, bytes.length);
    if (
      append || copyOnWrite || writeAsync === undefined || isOfAnyLength(bytes)
    ) {
      return await this.#inPieces(
        bytes,
        (piece, done) => this.#writePiece(piece, position + done),
      );
    }
    const { length } = bytes;
    const fits = grow
      ? length
      : Math.max(0, Math.min(length, this.#size - position));
    // The kernel does not look out for bytes that are copied onto themselves.
    if (this.#mapping.holds(bufferOf(bytes))) bytes = copyOf(bytes);
    if (!this.#closed && !grow) this.#checkEnd(position + length);
    const written = await this.#whileWriting(
      () => writeAsync.call(this.#mapping, bytes.subarray(0, fits), position),
      position,
    );
    if (fits < length) throw this.#overEnd(written);
    return written;
  }

  /** What a large write is given. If it has to wait, a copy: the array may be detached by then. */
  #bytesToWrite(p: Uint8Array): Uint8Array {
    this.#opened("write");
    const bytes = this.#bytesOf("write", p);
    return this.#turn === null && hasThread() ? bytes : copyOf(bytes);
  }

  async #appendLarge(bytes: Uint8Array): Promise<number> {
    const { appendAsync } = this.#mapping;
    if (!this.#closed) this.#checkWriteAccess("write");
    if (appendAsync === undefined || isOfAnyLength(bytes)) {
      return await this.#inPieces(bytes, (piece) => {
        if (this.#closed) this.#mapping.append(piece);
        else this.#append(piece);
        return piece.length;
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
      if (!this.#closed) this.#appended += written;
    }
  }

  /** Sends other writes through the descriptor as long as one is under way there. */
  async #whileWriting(
    write: () => Promise<number>,
    position?: number,
  ): Promise<number> {
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

  async #writeLargeString(s: string): Promise<number> {
    if (this.#access.grow) return await this.#writeNext(encoder.encode(s));
    let done = 0;
    try {
      for (const piece of pieces(s)) {
        if (done > 0) await nextTurn();
        done += this.writeStringSync(piece);
      }
    } catch (error) {
      throw addBytesWritten(error, done);
    }
    return done;
  }

  async #inPieces(
    p: Uint8Array,
    write: (piece: Uint8Array, done: number) => number,
  ): Promise<number> {
    // A view of this very file would be overtaken by its own first pieces.
    if (this.#mapping.holds(bufferOf(p))) p = copyOf(p);
    const { length } = p;
    let done = 0;
    try {
      // The array may be resized in between.
      while (done < Math.min(length, p.length)) {
        if (done > 0) await nextTurn();
        const piece = p.subarray(done, Math.min(done + PIECE, length));
        if (piece.length === 0) break;
        done += write(piece, done);
      }
    } catch (error) {
      throw addBytesWritten(error, done);
    }
    return done;
  }

  /** A part of a large write. Its file may have been closed since that began; the descriptor is open until it ends. */
  #writePiece(p: Uint8Array, position: number): number {
    if (!this.#closed || this.#access.copyOnWrite) {
      return this.#writeOver(p, position);
    }
    const { length } = p;
    const fits = this.#access.grow
      ? length
      : Math.max(0, Math.min(length, this.#size - position));
    this.#mapping.write(p.subarray(0, fits), position);
    if (fits < length) throw this.#overEnd(fits);
    return length;
  }

  /** A write at the cursor that is not simply within the memory. */
  #writeFurther(p: Uint8Array): number {
    const bytes = this.#bytesOf("write", p);
    const { length } = bytes;
    if (this.#access.append) this.#append(bytes);
    else {
      // Resolves an append, which moves the cursor.
      this.#opened("write");
      try {
        this.#writeOver(bytes, this.#position);
      } catch (error) {
        this.#position += bytesWritten(error);
        throw error;
      }
      this.#position += length;
    }
    return length;
  }

  /** A string at the cursor that may not fit within the memory. */
  #writeStringFurther(s: string): number {
    this.#checkWriteAccess("write");
    const bytes = encoder.encode(s);
    const { grow } = this.#access;
    const room = grow ? Infinity : Math.max(0, this.#size - this.#position);
    if (bytes.length <= room) return this.#writeFurther(bytes);
    // The characters that fit, and none of them in part.
    const { written } = encoder.encodeInto(s, bytes.subarray(0, room));
    this.#writeFurther(bytes.subarray(0, written));
    throw this.#truncated ? this.#cut("write") : this.#overEnd(written);
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
    if (length <= SHORT && length <= room && setASCII(this.#bytes, at, s)) {
      result = { read: length, written: length };
    } else {
      try {
        const view = new Uint8Array(this.#buffer, at, room);
        result = encoder.encodeInto(s, view);
      } catch (error) {
        throw this.#explain("write", error);
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

  /** The file as it is now, for a target that takes its time and may change the file in between. */
  #outgoing(target: unknown): Outgoing {
    this.#checkReadable("read");
    const end = this.size;
    // Copied onto themselves piece by piece, the bytes would overtake each other.
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
      copy: (at, length) => from(at, () => this.copy(at, length)),
      check: (at, view) =>
        from(at, () => {
          this.#checkEndIs(end);
          if (view?.length === 0) throw this.#unmappedError();
        }),
    };
  }

  /** Throws unless the file still reaches as far as it did when an operation began. */
  #checkEndIs(end: number): void {
    this.#checkReadable("read");
    if (end <= this.size) return;
    throw new RangeError(
      `Cannot read '${this.name}': it was truncated from ${end} to ${this.#size} bytes during the operation`,
    );
  }

  /** Why bytes could not be passed on. The kernel only says EFAULT of memory whose file was cut. */
  #outgoingError(error: unknown, moved: number): unknown {
    if (!this.#closed && (isMemoryFault(error) || this.#isDamaged())) {
      return Object.assign(this.#cut("read"), { bytesWritten: moved });
    }
    return error;
  }

  #append(p: Uint8Array): void {
    if (this.#appended === 0) this.#checkWriteAccess("write");
    if (p.length === 0) return;
    // Where the end is now, others may decide too: it is asked for when it is needed.
    this.#readLimit = -1;
    try {
      this.#mapping.append(p);
      this.#appended += p.length;
    } catch (error) {
      this.#appended += bytesWritten(error);
      throw error;
    }
  }

  /** Learns where the last append has left the end of the file, and the cursor. */
  #settle(): void {
    const least = this.#size + this.#appended;
    this.#appended = 0;
    const end = this.#mapping.appendedTo();
    this.#position = end;
    // Truncated by others, as logrotate's copytruncate does: the log goes on, with other bytes in memory.
    if (end < least) this.#mapAsItIs();
    else this.#setSize(end);
  }

  /** A write at a position that is not simply within the memory. */
  #writeOver(p: Uint8Array, position: number): number {
    this.#checkWriteAccess("write");
    const { length } = p;
    this.#checkReach(position, length);
    const end = position + length;
    if (length === 0) return 0;
    const { append, copyOnWrite, grow } = this.#access;
    if (end <= this.#size && this.#isWrittenInMemory(position, length)) {
      if (length < CACHES) this.#copyFrom(p, position);
      else this.#copyLargeFrom(p, position);
      return length;
    }
    if (!append && !copyOnWrite && (grow || end <= this.#size)) {
      if (!grow) this.#checkEnd(end);
      this.#writeThrough(p, position);
      return length;
    }
    if (!copyOnWrite) this.#checkEnd(end);
    const fits = Math.max(0, Math.min(length, this.#size - position));
    if (fits > 0) this.#writeOver(p.subarray(0, fits), position);
    throw this.#overEnd(fits);
  }

  /** Whether a write within the file is to use memory. While others are under way in threads it goes after them. */
  #isWrittenInMemory(position: number, length: number): boolean {
    if (this.#access.copyOnWrite) this.#checkWhole("write");
    if (this.#truncated || this.#mapping.hasFaulted) return false;
    const { append } = this.#access;
    if (this.#pendingWrites > 0 && !append) return false;
    const usesMemory = this.#mapping.writesMemory(this.#size, position, length);
    // pwrite(2) to a descriptor with O_APPEND appends, wherever it is told to write.
    if (append && !usesMemory) this.#map();
    else this.#take();
    return append || usesMemory;
  }

  /** Writes through the descriptor, past the end too. */
  #writeThrough(p: Uint8Array, position: number): void {
    let written = p.length;
    try {
      // The kernel does not look out for bytes that are copied onto themselves.
      this.#mapping.write(
        this.#mapping.holds(bufferOf(p)) ? copyOf(p) : p,
        position,
      );
    } catch (error) {
      written = bytesWritten(error);
      throw error;
    } finally {
      const end = position + written;
      if (written > 0 && end > this.#size) this.#setSize(end);
    }
  }

  /** Throws if a write ends where a number no longer tells one byte from the next. */
  #checkReach(position: number, length: number): void {
    if (position + length <= Number.MAX_SAFE_INTEGER) return;
    if (!this.#access.grow) return;
    throw new SystemError(
      `Cannot write '${this.name}': ${length} bytes at ${position} end beyond byte ${Number.MAX_SAFE_INTEGER}`,
      { syscall: "write", code: "EFBIG", errno: 27 },
    );
  }

  /** Throws if a file of fixed size no longer reaches as far: a write there would fill the gap with zeros. */
  #checkEnd(end: number): void {
    if (!this.#truncated && this.#isCut()) this.#followTruncation();
    if (this.#truncated && end > this.#size) throw this.#cut("write");
  }

  #seek(offset: number | bigint, whence: Deno.SeekMode): number {
    const distance = wholeNumber(offset);
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
      throw this.#seekError(offset, whence);
    }
    return this.#position = position;
  }

  /** The end of the file as it is now; of a file of fixed size as it was. */
  #end(): number {
    if (this.#access.grow) this.#followGrowth();
    return this.#size;
  }

  /** Gives up the memory that the file is about to lose. */
  #beforeTruncate(length: number): void {
    if (length >= this.#size) return;
    // Before the bytes are gone: nothing may touch them any more.
    if (this.#mapping.shrink === undefined) this.#mapping.unmap();
    else this.#mapping.shrink(length);
    this.#size = length;
    this.#adopt();
  }

  /** The times that are set stay: writes before that are not to move them later. */
  #beforeUtime(): FileOps {
    const file = this.#opened("set the times of");
    // As Deno does it, of files open for reading too.
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

  /** As Deno does it: a program that may only write a file does not learn more of it. */
  #checkStat(): void {
    this.#opened("stat");
    if (!this.#access.read) this.#checkPermission("stat", "read");
  }

  /** The length that is meant: as with Deno.FsFile, whole and 0 or more, and 0 if it is not given. */
  #lengthToTruncate(length: number | bigint | null = 0): number {
    this.#checkWriteAccess("truncate");
    if (this.#access.copyOnWrite) throw this.#readOnlyError("truncate");
    if (this.#access.isWindow) {
      throw new TypeError(
        `Cannot truncate '${this.name}': only a window of it is mapped; open it without 'offset' and 'length'`,
      );
    }
    const isNumber = typeof length === "number" || typeof length === "bigint";
    if (!isNumber && length !== null || length !== null && length >= 2 ** 63) {
      throw new TypeError(
        `Cannot truncate '${this.name}': ${String(length)} is not a length`,
      );
    }
    const size = Math.max(0, Math.trunc(Number(length)) || 0);
    if (size <= Number.MAX_SAFE_INTEGER) return size;
    throw new SystemError(
      `Cannot truncate '${this.name}': ${size} bytes end beyond byte ${Number.MAX_SAFE_INTEGER}`,
      { syscall: "ftruncate", code: "EFBIG", errno: 27 },
    );
  }

  #resize(size: number): void {
    this.#size = size;
    this.#adopt();
    lookAtWaits();
  }

  /** Returns whether its size has changed, or its memory was no longer the file's. */
  #mapAsItIs(): boolean {
    const size = Math.min(
      this.#mapping.fileSize(),
      this.#access.length,
    );
    const isStale = this.#truncated || this.#mapping.hasFaulted ||
      this.#mapping.moved || this.#mapping.isStale || size < this.#size;
    const hasChanged = isStale || size !== this.#size;
    this.#truncated = false;
    this.#size = size;
    if (isStale) {
      if (this.#mapping.reset === undefined) this.#mapping.unmap();
      else this.#mapping.reset(size);
    }
    this.#adopt();
    if (this.#mapping.mapsAtOpen) this.#cover();
    lookAtWaits();
    return hasChanged;
  }

  /** The waits of this file, once an Int32 can be waited on. */
  #waitsOn(action: string, offset: number): FileWaits {
    this.#checkRange(action, offset, 4);
    if (this.#mapping.loadInt32 === undefined) {
      throw new Deno.errors.NotSupported(
        `Cannot ${action} '${this.name}': memory is a copy of the file, which others do not share`,
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

  /** Takes over memory not used yet, and maps what is not mapped yet of a file that has grown. */
  #cover(): void {
    if (this.#mapped >= this.#size) return;
    this.#take();
    if (this.#mapped < this.#size) this.#map();
  }

  #take(): void {
    const { buffer, length } = this.#mapping;
    if (buffer !== this.#buffer || length !== this.#mapped) this.#adopt();
  }

  /** Maps the file at its size. Where that fails memory may have moved all the same. */
  #map(): void {
    if (this.#closed) throw this.#closedError("map");
    try {
      this.#mapping.map(this.#size);
    } finally {
      this.#adopt();
    }
  }

  /** Memory for views, which may take the place of what was mapped so far. */
  #expose(offset: number, length: number): { buffer: Buffer; start: number } {
    try {
      const exposed = this.#mapping.expose(this.#size, offset, length);
      // The option `shared` decides of which type the buffers are, and `open` has the type.
      return exposed as { buffer: Buffer; start: number };
    } finally {
      this.#take();
      this.#isAliased = this.#mapping.isAliased === true;
    }
  }

  #unmap(): void {
    try {
      this.#mapping.unmap();
    } finally {
      this.#adopt();
    }
  }

  /** Takes over what the mapping says of its memory. */
  #adopt(): void {
    const { buffer, start, length, faults, isAliased } = this.#mapping;
    this.#faults = faults;
    this.#isAliased = isAliased === true;
    this.#start = start;
    this.#mapped = length;
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#bytes = buffer.byteLength === 0 ? NOTHING : new Uint8Array(buffer);
    }
    this.#setSize(this.#size);
  }

  #setSize(size: number): void {
    // -0 is a whole number too, and would be the size.
    this.#size = size + 0;
    const { read, write, append, copyOnWrite } = this.#access;
    const limit = this.#memoryLimit();
    this.#readLimit = read ? limit : -1;
    const isWritten = (write && !append) || copyOnWrite;
    const isDirect = isWritten && !this.#mapping.notesWrites &&
      this.#pendingWrites === 0;
    this.#writeLimit = isDirect ? limit : -1;
  }

  /** The end of the bytes that are in memory; -1 when none may be used. */
  #memoryLimit(): number {
    return this.#closed || this.#truncated
      ? -1
      : Math.min(this.#size, this.#mapped);
  }

  #syncNow(dataOnly: boolean): void {
    this.#opened("sync");
    if (this.#access.copyOnWrite) return;
    this.#updateTimes();
    this.#mapping.syncSync(this.#size, dataOnly);
  }

  async #syncOff(dataOnly: boolean): Promise<void> {
    if (this.#access.copyOnWrite) return;
    if (!this.#closed) this.#updateTimes();
    await this.#mapping.sync(this.#closed ? 0 : this.#size, dataOnly);
  }

  /**
   * Moves the modification time for what was written through memory. The kernel moves it at the first change of
   * a page alone, and not again until that is on the disk.
   */
  #updateTimes(): void {
    const { write, copyOnWrite } = this.#access;
    if (!write || copyOnWrite) return;
    // Nobody knows whether what users have views of was written to.
    const mayBeDirty = this.#mapping.isHandedOut && !this.#hasSetTimes;
    if (this.#isDirty || mayBeDirty) this.#mapping.updateTimes?.();
    this.#isDirty = false;
  }

  async #flushOff(
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

  /** Closes the descriptor when the operations that were begun before `close` are over, as Deno does. */
  async #closeWhenIdle(): Promise<void> {
    while (this.#turn !== null) await this.#turn;
    this.#file.close();
  }

  /**
   * Does the work at once, or behind the large operation under way. The file may be closed by then, as a
   * `Deno.FsFile` may: its descriptor is open until the work is done.
   */
  async #inOrder<T>(action: string, work: () => T | Promise<T>): Promise<T> {
    this.#opened(action);
    return await (this.#turn === null ? fairly(work) : this.#inTurn(work));
  }

  /** Does the work behind the operations that were begun before it, and ahead of those begun later. */
  async #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    try {
      // Begun at once if it can be: the caller may change or detach its array as soon as it has returned.
      if (before !== null) await before;
      return await work();
    } finally {
      if (this.#turn === promise) this.#turn = null;
      resolve();
      await turnAfter();
    }
  }

  #opened(action: string): FileOps {
    if (this.#appended > 0) this.#settle();
    if (this.#closed) throw this.#closedError(action);
    return this.#file;
  }

  /** Throws unless the file is open and its memory as it was mapped. */
  #checkWhole(action: string): void {
    this.#opened(action);
    if (this.#truncated) throw this.#truncatedError(action);
    if (this.#mapping.hasFaulted) throw this.#cut(action);
    if (this.#mapping.moved) throw this.#movedError(action);
  }

  #checkReadable(action: string): void {
    this.#checkReadAccess(action);
    this.#checkWhole(action);
  }

  /** Throws unless the file is open for reading. */
  #checkReadAccess(action: string): void {
    this.#opened(action);
    if (!this.#access.read) {
      throw new SystemError(
        `Cannot ${action} '${this.name}': not opened for reading; give { read: true } too`,
        { syscall: "read", code: "EBADF", errno: 9 },
      );
    }
    if (this.#mapping.moved) throw this.#movedError(action);
  }

  /** Throws unless the file is open for writing. */
  #checkWriteAccess(action: string): void {
    this.#opened(action);
    const { write, copyOnWrite } = this.#access;
    if (!write && !copyOnWrite) throw this.#readOnlyError(action);
    if (this.#mapping.moved) throw this.#movedError(action);
  }

  /** What was passed as bytes, as an array that can be trusted. */
  #bytesOf(action: string, p: unknown): Uint8Array {
    if (isUint8Array(p)) return plainView(p);
    throw this.#notBytes(action);
  }

  #notBytes(action: string): Error {
    this.#opened(action);
    return new TypeError(
      `Cannot ${action} '${this.name}': expected a Uint8Array`,
    );
  }

  #checkOffset(action: string, offset: number): void {
    if (Number.isSafeInteger(offset) && offset >= 0) return;
    this.#opened(action);
    const message =
      `Cannot ${action} '${this.name}': ${offset} is not a whole number of bytes, 0 or more`;
    throw typeof offset === "number"
      ? new RangeError(message)
      : new TypeError(message);
  }

  #checkRange(action: string, offset: number, length: number): void {
    this.#checkWhole(action);
    this.#checkOffset(action, offset);
    if (offset > this.#size) {
      throw new RangeError(
        `Cannot ${action} '${this.name}': byte ${offset} is past its end at ${this.#size}`,
      );
    }
    this.#checkOffset(action, length);
    if (offset + length > this.#size) {
      throw new RangeError(
        `Cannot ${action} '${this.name}': ${length} bytes from ${offset} on go past its end at ${this.#size}`,
      );
    }
  }

  /** Notes that the file has become shorter, if what the system knows of it says so. */
  #learnSize(info: Deno.FileInfo): void {
    const end = this.#access.offset + this.#size;
    if (info.size < end && this.#isCut()) this.#followTruncation();
  }

  /** Throws if someone else has cut the file. */
  #checkSize(action: string): void {
    if (!this.#isDamaged()) return;
    if (!this.#access.append || this.#mapping.hasFaulted) {
      throw this.#cut(action);
    }
    this.#mapAsItIs();
  }

  /** Whether memory does not show the file any more. */
  #isDamaged(): boolean {
    return this.#mapping.hasFaulted || this.#isCut();
  }

  #isCut(): boolean {
    return this.#size > 0 && this.#mapping.fileSize() < this.#size;
  }

  /** Notes that the file was cut, which holds until `refresh`. */
  #cut(action: string): Error {
    this.#truncated = true;
    this.#setSize(this.#size);
    return this.#truncatedError(action);
  }

  #closedError(action: string): Error {
    return new ClosedError(
      `Cannot ${action} '${this.name}': the file is closed; open it again`,
    );
  }

  #truncatedError(action: string): Error {
    return new TruncatedError(
      `Cannot ${action} '${this.name}': the file was made shorter by someone else, ` +
        "or its disk failed; refresh() maps it as it is now",
    );
  }

  #readOnlyError(action: string): Error {
    return new ReadOnlyError(
      `Cannot ${action} '${this.name}': ` +
        (this.#access.copyOnWrite
          ? "it was opened copy-on-write, which leaves the file alone; give { write: true } instead"
          : "it was opened for reading; give { write: true }"),
    );
  }

  #overEnd(bytesWritten: number): Error {
    return new OutOfBoundsError(
      `Cannot write '${this.name}': over its end at ${this.#size} bytes, ` +
        (this.#access.append
          ? "which only write() extends in a file opened to append"
          : "which is fixed; give { grow: true } to extend it"),
      bytesWritten,
    );
  }

  #movedError(action: string): Error {
    return new TypeError(
      `Cannot ${action} '${this.name}': its memory was moved away by a transfer(), ` +
        "a structuredClone() or a byte stream; refresh() maps it again",
    );
  }

  #unmappedError(): Error {
    return new TypeError(
      `Cannot read '${this.name}': its memory was unmapped during the operation; retry`,
    );
  }

  #notString(): Error {
    return new TypeError(`Cannot write '${this.name}': expected a string`);
  }

  #seekError(offset: unknown, whence: unknown): Error {
    const mode = Number(whence) | 0;
    const isMode = typeof whence === "number" && mode >= 0 && mode <= 2;
    return new TypeError(
      `Cannot seek in '${this.name}': ` +
        (isMode
          ? `${String(offset)} leads to no position`
          : `Invalid seek mode: ${String(whence)}`),
    );
  }

  /** The reason why memory could not be copied. */
  #explain(action: string, error: unknown): unknown {
    return this.#mapping.moved ? this.#movedError(action) : error;
  }
}

/**
 * Writes a string if it is all ASCII; says whether it was. Of any other it has written a beginning, as UTF-8 does too. Does
 * nothing to memory that was moved away, or in which an index does not fit V8's 32 bits.
 */
function setASCII(bytes: Uint8Array, at: number, s: string): boolean {
  const { length } = s;
  if (bytes.length === 0 || at > 2 ** 30) return false;
  for (let i = 0; i < length; i++) {
    const code = s.charCodeAt(i);
    if (code > 0x7f) return false;
    bytes[at + i] = code;
  }
  return true;
}

/** A long string in pieces of which each is worth a turn, and none ends within a surrogate pair. */
function* pieces(s: string): Generator<string> {
  for (let at = 0; at < s.length;) {
    let end = at + LARGE;
    // Only a whole pair has a code point beyond the 16 bits of a unit.
    if (s.codePointAt(end - 1)! > 0xffff) end++;
    yield s.slice(at, end);
    at = end;
  }
}

/**
 * Bytes of an array, whatever it says of itself; -1 for what is not an array of bytes.
 *
 * @throws {TypeError} If it only pretends to be one.
 */
function lengthOf(p: unknown): number {
  return p instanceof Uint8Array ? byteLength.call(p) : -1;
}

/** Bytes that were read, and that an array does not have any more: its buffer was resized since. */
function lostOf(array: Uint8Array, read: number | null): number {
  return Math.max(0, (read ?? 0) - array.length);
}

/** As Deno takes a distance: rounded toward zero, of a bigint its low 64 bits, and NaN is 0. */
function wholeNumber(offset: unknown): number {
  if (typeof offset === "bigint") return Number(BigInt.asIntN(64, offset));
  return typeof offset === "number" ? Math.trunc(offset) || 0 : NaN;
}

type Times = [atime: number | Date, mtime: number | Date];

/** Times that run no code of the caller's when they are looked at. A type other than the two is converted, as in Deno. */
function plainTimes(atime: number | Date, mtime: number | Date): Times {
  const plain = (time: number | Date) =>
    time instanceof Date ? new Date(time.getTime()) : +time;
  return [plain(atime), plain(mtime)];
}

/** Whether a write(2) found its memory gone, which holds even if the file has grown again since. */
function isMemoryFault(error: unknown): boolean {
  return error instanceof Error && error.message.includes("(os error 14)");
}

// `file instanceof Deno.FsFile`: programs ask that of what they are passed. Every member is this class's own.
Object.setPrototypeOf(MmapFile.prototype, Deno.FsFile.prototype);
