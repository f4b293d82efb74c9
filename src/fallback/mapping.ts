/**
 * Files that are read into memory instead of mapped. Changes are written back on sync, flush, and close. Needs no
 * `--allow-ffi`.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { Changes, UNMAPPED } from "./changes.ts";
import { CopiedFile } from "./copied_file.ts";
import { openHandles, openHandlesSync } from "../deno_file.ts";
import { closeWhenDropped } from "./dropped.ts";
import { SystemError, TruncatedError } from "../errors.ts";
import { yieldToEventLoop } from "../event_loop.ts";
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
  mapping: (file, options) => new FileCopy(file, options),
};

class FileCopy implements Mapping {
  /** Here a fault is a read that found the file truncated. */
  readonly faults: Int32Array = new Int32Array(1);
  /** Changes are in a copy, and written back by calls that report errors. */
  readonly hasLostChanges = false;
  readonly guarded = false;
  readonly mapsAtOpen = true;
  readonly residency: Residency = IN_MEMORY;
  readonly notesWrites = true;

  readonly #file: CopiedFile;
  readonly #options: MappingOptions;
  /** The memory, and the changes in it: a separate object, because it may be needed longer than this one. */
  readonly #changes: Changes;
  /** Whether changes in memory are written back. */
  readonly #isWrittenBack: boolean;
  /** The size when views were last returned; -1 if there are no views. */
  #exposedSize = -1;
  /** The end of what was read from the file, or written. Zeros follow. */
  #loadedEnd = 0;

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
    return Math.min(this.#loadedEnd, this.#capacity);
  }

  get isHandedOut(): boolean {
    return this.#exposedSize !== -1;
  }

  get hasFaulted(): boolean {
    return this.faults[0] !== 0;
  }

  get isDetached(): boolean {
    return this.buffer.detached;
  }

  get start(): number {
    return this.#changes.start;
  }

  map(size: number): void {
    const { offset, grow } = this.#options;
    if (this.buffer === UNMAPPED) {
      // A typed array has to begin at a multiple of its width, in a window as in the whole file.
      this.#changes.start = offset % MAX_ALIGNMENT;
      this.#replace(size, () => new ArrayBuffer(this.start + size));
    } else if (this.#capacity < size || this.#loadedEnd > size) {
      // Twice the capacity each time: a file that grows in small steps is seldom copied.
      const more = grow ? this.buffer.byteLength : 0;
      this.#resize(size, this.start + size + more);
    }
    this.#load(size);
  }

  expose(size: number): Exposed {
    if (this.#exposedSize === size) return this;
    if (this.buffer === UNMAPPED) this.map(size);
    // Two buffers cannot share memory, so the one that exists is resized.
    else if (this.#capacity !== size) this.#resize(size, this.start + size);
    this.#load(size);
    if (this.#isWrittenBack) this.#changes.takeSnapshot(size);
    this.#exposedSize = size;
    return this;
  }

  owns(buffer: ArrayBufferLike): boolean {
    return buffer === this.buffer;
  }

  unmap(): void {
    this.faults[0] = 0;
    if (this.buffer === UNMAPPED) return;
    try {
      this.#changes.writeBack(0, Infinity);
    } finally {
      if (!this.isDetached) this.buffer.transfer(0);
      this.#exposedSize = -1;
      this.#loadedEnd = 0;
      this.#changes.clear();
    }
  }

  fileSize(): number {
    return this.#changes.fileSize();
  }

  prepareRead(size: number): boolean {
    if (this.#capacity >= size && this.buffer !== UNMAPPED) {
      return this.#tryToLoad(size);
    }
    // Reading more of a file that has grown would move the memory and empty its views.
    if (this.isHandedOut) return false;
    this.map(size);
    return true;
  }

  prepareWrite(size: number, position: number, length: number): boolean {
    if (!this.prepareRead(size)) return false;
    if (this.#isWrittenBack) {
      this.#changes.markDirty(position, position + length);
    }
    return true;
  }

  read(target: Uint8Array, length: number, position: number): number {
    this.#changes.writeBack(position, position + length);
    const bytes = plainView(target).subarray(0, length);
    return this.#file.readAt(bytes, this.#options.offset + position);
  }

  write(source: Uint8Array, position: number): void {
    const bytes = this.#privateCopyOf(source);
    const { length } = bytes;
    this.#file.writeAt(bytes, this.#options.offset + position);
    if (this.buffer === UNMAPPED || position >= this.#capacity) return;
    this.#load(position);
    const end = Math.min(position + length, this.#capacity);
    this.#changes.memory(position, end).set(bytes.subarray(0, end - position));
    this.#loadedEnd = Math.max(this.#loadedEnd, end);
    this.#changes.markClean(position, end);
  }

  append(source: Uint8Array): void {
    this.#file.append(plainView(source));
  }

  appendEnd(): number {
    const end = this.#file.appendEnd();
    // If memory has the capacity, these bytes count as mapped.
    this.#tryToLoad(end);
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

  reload(): void {
    // Changes of a private copy exist in memory only.
    if (this.#options.copyOnWrite || this.isDetached) return;
    this.#changes.writeBack(0, Infinity);
    this.#file.regularSize();
    const size = Math.min(this.#capacity, this.fileSize());
    if (size < this.#loadedEnd) return;
    this.#loadedEnd = 0;
    this.#load(size);
  }

  /** Writes to the page cache, which is as fast as memory. The sync that follows is slow. */
  async #writeBack(position: number, end: number): Promise<void> {
    for (let at = position; at < end; at += CHUNK_SIZE) {
      if (at > position) await yieldToEventLoop();
      this.#changes.writeBack(at, Math.min(at + CHUNK_SIZE, end));
    }
  }

  /** Bytes that fit in memory. */
  get #capacity(): number {
    return this.buffer.byteLength - this.start;
  }

  /** The bytes, or a copy if they are part of this memory. */
  #privateCopyOf(source: Uint8Array): Uint8Array {
    const bytes = plainView(source);
    return this.owns(bytes.buffer) ? new Uint8Array(bytes) : bytes;
  }

  /** Moves `size` bytes to a buffer of another length, which empties all views. */
  #resize(size: number, byteLength: number): void {
    this.#replace(size, () => this.buffer.transfer(byteLength));
  }

  /** Replaces the buffer, of which `size` bytes are kept. */
  #replace(size: number, make: () => ArrayBuffer): void {
    const { name } = this.#options;
    this.#changes.dropSnapshots(size);
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
    this.#exposedSize = -1;
    this.#loadedEnd = Math.min(this.#loadedEnd, size);
  }

  /** Reads what is not in memory yet, up to a position, as far as there is room. */
  #load(to: number): void {
    if (this.#tryToLoad(to)) return;
    throw new TruncatedError(
      `Cannot read '${this.#options.name}': another process truncated the file; refresh() reads it as it is now`,
    );
  }

  /** As `#load`, but returns `false` and counts a fault if the file has been truncated. */
  #tryToLoad(to: number): boolean {
    const end = Math.min(to, this.#capacity);
    const from = this.#loadedEnd;
    if (end <= from) return true;
    const { offset } = this.#options;
    const memory = this.#changes.memory(from, end);
    const read = this.#file.readAt(memory, offset + from);
    if (read < end - from) {
      if (this.fileSize() >= end) {
        throw this.#unreadableError(offset + from + read);
      }
      this.faults[0]!++;
      return false;
    }
    this.#loadedEnd = end;
    this.#changes.markClean(from, end);
    return true;
  }

  /** The error for bytes that the file should have by its size, but that a read does not return. */
  #unreadableError(end: number): Error {
    const size = this.#options.offset + this.fileSize();
    return new SystemError(
      `Cannot read '${this.#options.name}': its size is ${size}, but its bytes end at ${end}; ` +
        "use Deno.open()",
      { syscall: "read", code: "EIO", errno: osConstants.errno.EIO },
    );
  }
}

/** Bytes of the largest element of a typed array. */
const MAX_ALIGNMENT = 8;

/** Bytes written back in one go. A turn of the event loop takes much less time. */
const CHUNK_SIZE = 8 << 20;
