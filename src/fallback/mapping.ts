/**
 * No mapping to be had: the file read into memory, and what has changed there written back on
 * sync, flush and close. Needs no `--allow-ffi`.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { Changes, UNMAPPED } from "./changes.ts";
import { CopiedFile } from "./copied_file.ts";
import { openHandles, openHandlesSync } from "../deno_file.ts";
import { closeWhenDropped } from "./dropped.ts";
import { SystemError, TruncatedError } from "../errors.ts";
import { nextTurn } from "../event_loop.ts";
import {
  type Backend,
  type Exposed,
  IN_MEMORY,
  type Mapping,
  type MappingOptions,
  type Residency,
} from "../storage.ts";
import { plainView } from "../intrinsics.ts";

/** Files read into memory. */
export const fallback: Backend<CopiedFile> = {
  name: "fallback",
  prepare: () => {},
  openSync: (path, options) => new CopiedFile(openHandlesSync(path, options)),
  open: async (path, options) =>
    new CopiedFile(await openHandles(path, options)),
  regularSize: (file) => file.regularSize(),
  reserveSync: () => false,
  reserve: () => Promise.resolve(false),
  mapping: (file, options) => new FileCopy(file, options),
};

class FileCopy implements Mapping {
  /** Here a fault is a read that found the file shorter than it was. */
  readonly faults: Int32Array = new Int32Array(1);
  readonly guarded = false;
  readonly mapsAtOpen = true;
  readonly residency: Residency = IN_MEMORY;
  readonly notesWrites = true;

  readonly #file: CopiedFile;
  readonly #options: MappingOptions;
  /** The memory, and what in it is not in the file: held apart, since it may be needed longer than this. */
  readonly #changes: Changes;
  /** Whether what changes in memory belongs in the file. */
  readonly #isWrittenBack: boolean;
  /** Bytes that users have views of; -1 when there are no views. */
  #exposed = -1;
  /** Up to here memory is as the file was read, or as it was written since. Zeros follow. */
  #filled = 0;

  constructor(file: CopiedFile, options: MappingOptions) {
    this.#file = file;
    this.#options = options;
    this.#isWrittenBack = options.write && !options.copyOnWrite;
    this.#changes = new Changes(file, options);
    closeWhenDropped(this, this.#changes, file);
  }

  get buffer(): ArrayBuffer {
    return this.#changes.buffer;
  }

  get length(): number {
    return Math.min(this.#filled, this.#room);
  }

  get isHandedOut(): boolean {
    return this.#exposed !== -1;
  }

  get hasFaulted(): boolean {
    return this.faults[0] !== 0;
  }

  get moved(): boolean {
    return this.buffer.detached;
  }

  get start(): number {
    return this.#changes.start;
  }

  map(size: number): void {
    const { offset, grow } = this.#options;
    if (this.buffer === UNMAPPED) {
      // A typed array has to begin at a multiple of its width, in a window as in the whole file.
      this.#changes.start = offset % WIDEST;
      this.#replace(size, () => new ArrayBuffer(this.start + size));
    } else if (this.#room < size || this.#filled > size) {
      // Twice the room each time: a file that grows by little is seldom copied.
      const more = grow ? this.buffer.byteLength : 0;
      this.#resize(size, this.start + size + more);
    }
    this.#fill(size);
  }

  expose(size: number): Exposed {
    if (this.#exposed === size) return this;
    if (this.buffer === UNMAPPED) this.map(size);
    // No two buffers can share memory: the one there is gets the length that is wanted.
    else if (this.#room !== size) this.#resize(size, this.start + size);
    this.#fill(size);
    if (this.#isWrittenBack) this.#changes.keep(size);
    this.#exposed = size;
    return this;
  }

  holds(buffer: ArrayBufferLike): boolean {
    return buffer === this.buffer;
  }

  unmap(): void {
    this.faults[0] = 0;
    if (this.buffer === UNMAPPED) return;
    try {
      this.#changes.writeBack(0, Infinity);
    } finally {
      if (!this.moved) this.buffer.transfer(0);
      this.#exposed = -1;
      this.#filled = 0;
      this.#changes.clear();
    }
  }

  fileSize(): number {
    return this.#changes.fileSize();
  }

  prepareRead(size: number): boolean {
    if (this.#room >= size && this.buffer !== UNMAPPED) {
      return this.#readUpTo(size);
    }
    // To read more of a file that has grown would move the memory, and empty the views of it.
    if (this.isHandedOut) return false;
    this.map(size);
    return true;
  }

  prepareWrite(size: number, position: number, length: number): boolean {
    if (!this.prepareRead(size)) return false;
    if (this.#isWrittenBack) this.#changes.mark(position, position + length);
    return true;
  }

  read(target: Uint8Array, length: number, position: number): number {
    this.#changes.writeBack(position, position + length);
    const bytes = plainView(target).subarray(0, length);
    return this.#file.readAt(bytes, this.#options.offset + position);
  }

  write(source: Uint8Array, position: number): void {
    const bytes = this.#outside(source);
    const { length } = bytes;
    this.#file.writeAt(bytes, this.#options.offset + position);
    if (this.buffer === UNMAPPED || position >= this.#room) return;
    this.#fill(position);
    const end = Math.min(position + length, this.#room);
    this.#changes.memory(position, end).set(bytes.subarray(0, end - position));
    this.#filled = Math.max(this.#filled, end);
    this.#changes.isInFile(position, end);
  }

  append(source: Uint8Array): void {
    this.#file.append(source);
  }

  appendedTo(): number {
    const end = this.#file.appendedTo();
    // If there is room for it in memory, it counts as mapped.
    this.#readUpTo(end);
    return end;
  }

  syncSync(size: number, dataOnly: boolean): void {
    this.#changes.writeBack(0, size);
    if (dataOnly) this.#file.syncDataSync();
    else this.#file.syncSync();
  }

  async sync(size: number, dataOnly: boolean): Promise<void> {
    await this.#writeBack(0, size);
    await (dataOnly ? this.#file.syncData() : this.#file.sync());
  }

  flushSync(position: number, length: number): void {
    this.#changes.writeBack(position, position + length);
    this.#file.syncDataSync();
  }

  async flush(position: number, length: number): Promise<void> {
    await this.#writeBack(position, position + length);
    await this.#file.syncData();
  }

  prefetchSync(): void {}

  async prefetch(): Promise<void> {}

  advise(): void {}

  reread(): void {
    // What was written to a private copy is there and nowhere else.
    if (this.#options.copyOnWrite || this.moved) return;
    this.#changes.writeBack(0, Infinity);
    this.#file.regularSize();
    const size = Math.min(this.#room, this.fileSize());
    if (size < this.#filled) return;
    this.#filled = 0;
    this.#fill(size);
  }

  /** Writes to the system's cache, as fast as memory; what takes long is the sync that follows. */
  async #writeBack(position: number, end: number): Promise<void> {
    for (let at = position; at < end; at += PIECE) {
      if (at > position) await nextTurn();
      this.#changes.writeBack(at, Math.min(at + PIECE, end));
    }
  }

  /** Positions that there is memory for. */
  get #room(): number {
    return this.buffer.byteLength - this.start;
  }

  /** Bytes as they are now, whatever is written to memory next. */
  #outside(source: Uint8Array): Uint8Array {
    const bytes = plainView(source);
    return this.holds(bytes.buffer) ? new Uint8Array(bytes) : bytes;
  }

  /** Moves `size` bytes that are in memory to a buffer of another length, which empties all views. */
  #resize(size: number, byteLength: number): void {
    this.#replace(size, () => this.buffer.transfer(byteLength));
  }

  /** Puts another buffer in the place of what there is; of that `size` bytes count. */
  #replace(size: number, make: () => ArrayBuffer): void {
    const { name } = this.#options;
    this.#changes.unwatch(size);
    try {
      this.#changes.buffer = make();
    } catch (cause) {
      throw Object.assign(
        new SystemError(
          `Cannot map '${name}': not enough memory to read it; open a part of it with { offset, length }`,
          { syscall: "mmap", code: "ENOMEM", errno: 12 },
        ),
        { cause },
      );
    }
    this.#exposed = -1;
    this.#filled = Math.min(this.#filled, size);
  }

  /** Reads what is not in memory yet, up to a position, as far as there is room. */
  #fill(to: number): void {
    if (this.#readUpTo(to)) return;
    throw new TruncatedError(
      `Cannot read '${this.#options.name}': another process truncated the file; refresh() reads it as it is now`,
    );
  }

  /** As `#fill`, but only returns, and counts as a fault, that the file has become shorter. */
  #readUpTo(to: number): boolean {
    const end = Math.min(to, this.#room);
    const from = this.#filled;
    if (end <= from) return true;
    const { offset } = this.#options;
    const memory = this.#changes.memory(from, end);
    const read = this.#file.readAt(memory, offset + from);
    if (read < end - from) {
      if (this.fileSize() >= end) throw this.#unreadable(offset + from + read);
      this.faults[0]!++;
      return false;
    }
    this.#filled = end;
    this.#changes.isInFile(from, end);
    return true;
  }

  /** The error for bytes that the size promises and no read returns. */
  #unreadable(end: number): Error {
    const size = this.#options.offset + this.fileSize();
    return new SystemError(
      `Cannot read '${this.#options.name}': its size is ${size}, but its bytes end at ${end}; ` +
        "use Deno.open()",
      { syscall: "read", code: "EIO", errno: osConstants.errno.EIO },
    );
  }
}

/** Bytes of the widest element of a typed array. */
const WIDEST = 8;

/** Bytes written back in one go, beside which a turn of the event loop costs nothing. */
const PIECE = 8 << 20;
