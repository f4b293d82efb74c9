/**
 * No mapping to be had: the file read into memory, and what has changed there written back on
 * sync, flush and close. Needs no `--allow-ffi`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { DenoFile, openHandles, openHandlesSync } from "./deno_file.ts";
import { SystemError, TruncatedError } from "./errors.ts";
import { nextTurn } from "./event_loop.ts";
import type { Backend, Exposed, Mapping, MappingOptions } from "./mapping.ts";

/** Files read into memory. */
export const fallback: Backend<DenoFile> = {
  name: "fallback",
  prepare: () => {},
  openSync: (path, options) => new DenoFile(openHandlesSync(path, options)),
  open: async (path, options) => new DenoFile(await openHandles(path, options)),
  regularSize: (file) => file.regularSize(),
  reserveSync: () => false,
  reserve: () => Promise.resolve(false),
  mapping: (file, options) => new FileCopy(file, options),
};

/** What is known of a part of the file, beside its memory. */
interface Block {
  /** A 1 for each byte that is to be written back. */
  changed?: Uint8Array<ArrayBuffer>;
  /** The bytes as the file has them. Kept of all that users have a view of, and can change unseen. */
  inFile?: Uint8Array<ArrayBuffer>;
}

class FileCopy implements Mapping {
  buffer: ArrayBuffer = UNMAPPED;
  start = 0;
  /** Here a fault is a read that found the file shorter than it was. */
  readonly faults: Int32Array = new Int32Array(1);
  readonly guarded = false;
  readonly mapsAtOpen = true;
  readonly syncFindsMemory = false;
  readonly sharesPages = false;

  readonly #file: DenoFile;
  readonly #options: MappingOptions;
  /** Whether what changes in memory belongs in the file. */
  readonly #isWrittenBack: boolean;
  /** Up to here memory is as the file was read, or as it was written since. Zeros follow. */
  #filled = 0;
  /** The blocks whose memory may differ from the file, by number. */
  readonly #blocks = new Map<number, Block>();

  constructor(file: DenoFile, options: MappingOptions) {
    this.#file = file;
    this.#options = options;
    this.#isWrittenBack = options.write && !options.copyOnWrite;
  }

  get length(): number {
    return this.#room;
  }

  get hasFaulted(): boolean {
    return this.faults[0] !== 0;
  }

  get moved(): boolean {
    return this.buffer.detached;
  }

  map(size: number): void {
    const { offset, grow } = this.#options;
    const length = this.buffer.byteLength;
    if (length === 0) {
      // A typed array has to begin at a multiple of its width, in a window as in the whole file.
      this.start = size === 0 ? 0 : offset % WIDEST;
      this.buffer = this.#allocate(() => new ArrayBuffer(this.start + size));
    } else {
      // Twice the room each time: a file that grows by little is seldom copied.
      this.#resize(this.start + size + (grow ? length : 0));
    }
    this.#fill(size);
  }

  expose(size: number): Exposed {
    if (this.buffer === UNMAPPED) this.map(size);
    // No two buffers can share memory: the one there is gets the length that is wanted.
    else if (this.#room !== size) this.#resize(this.start + size);
    this.#fill(size);
    if (this.#isWrittenBack) this.#keep(size);
    return this;
  }

  holds(buffer: ArrayBufferLike): boolean {
    return buffer === this.buffer;
  }

  unmap(): void {
    this.faults[0] = 0;
    if (this.buffer === UNMAPPED) return;
    try {
      this.#writeBack(0, Infinity);
    } finally {
      if (!this.moved) this.buffer.transfer(0);
      this.buffer = UNMAPPED;
      this.start = this.#filled = 0;
      this.#blocks.clear();
      unsaved.delete(this);
    }
  }

  fileSize(): number {
    return Math.max(0, this.#file.size() - this.#options.offset);
  }

  write(source: Uint8Array, position: number): void {
    this.#file.writeAt(source, this.#options.offset + position);
    const { length } = source;
    if (this.buffer === UNMAPPED || position >= this.#room) return;
    this.#fill(position);
    const end = Math.min(position + length, this.#room);
    this.#memory(position, end).set(source.subarray(0, end - position));
    this.#filled = Math.max(this.#filled, end);
    this.#isInFile(position, end);
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

  flushSync(position: number, length: number): void {
    this.#writeBack(position, position + length);
  }

  /** Writes to the system's cache, as fast as memory; what takes long is the sync that follows. */
  async flush(position: number, length: number): Promise<void> {
    const end = position + length;
    for (let at = position; at < end; at += PIECE) {
      if (at > position) await nextTurn();
      this.#writeBack(at, Math.min(at + PIECE, end));
    }
  }

  prefetchSync(): void {}

  async prefetch(): Promise<void> {}

  advise(): void {}

  wrote(position: number, length: number): void {
    const end = position + length;
    this.#filled = Math.max(this.#filled, end);
    if (!this.#isWrittenBack) return;
    for (const { k, from, to } of parts(position, end)) {
      marksOf(this.#block(k)).fill(1, from, to);
    }
  }

  reread(): void {
    // What was written to a private copy is there and nowhere else.
    if (this.#options.copyOnWrite || this.moved) return;
    this.#writeBack(0, Infinity);
    const size = Math.min(this.#room, this.fileSize());
    if (size < this.#filled) return;
    this.#filled = 0;
    this.#fill(size);
  }

  /** Positions that there is memory for. */
  get #room(): number {
    return this.buffer.byteLength - this.start;
  }

  #memory(from: number, to: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, this.start + from, to - from);
  }

  /** Moves what is in memory to a buffer of another length, which empties all views. */
  #resize(byteLength: number): void {
    this.#findChanges(0, Infinity);
    this.buffer = this.#allocate(() => this.buffer.transfer(byteLength));
    for (const [k, block] of this.#blocks) {
      block.inFile = undefined;
      // What was cut off is not to be written back.
      block.changed?.fill(0, Math.max(0, this.#room - k * BLOCK));
    }
    this.#filled = Math.min(this.#filled, this.#room);
  }

  #allocate(make: () => ArrayBuffer): ArrayBuffer {
    try {
      return make();
    } catch (cause) {
      const { name } = this.#options;
      throw Object.assign(
        new SystemError(
          `Cannot map '${name}': there is no memory to read it into; { offset, length } give a part of it`,
          { syscall: "mmap", code: "ENOMEM", errno: 12 },
        ),
        { cause },
      );
    }
  }

  /** Reads what is not in memory yet, up to a position, as far as there is room. */
  #fill(to: number): void {
    if (this.#readUpTo(to)) return;
    throw new TruncatedError(
      `Cannot read '${this.#options.name}': the file was made shorter by someone else; refresh() reads it as it is now`,
    );
  }

  /** As `#fill`, but only says, and counts as a fault, that the file has become shorter. */
  #readUpTo(to: number): boolean {
    const end = Math.min(to, this.#room);
    const from = this.#filled;
    if (end <= from) return true;
    const { offset } = this.#options;
    const read = this.#file.readAt(this.#memory(from, end), offset + from);
    if (read < end - from) {
      this.faults[0]++;
      return false;
    }
    this.#filled = end;
    this.#isInFile(from, end);
    return true;
  }

  #block(k: number): Block {
    let block = this.#blocks.get(k);
    if (block === undefined) {
      this.#blocks.set(k, block = {});
      keepUnsaved(this);
    }
    return block;
  }

  /** Keeps what is now in memory, before users can change it. */
  #keep(size: number): void {
    for (const { k } of parts(0, size)) {
      const first = k * BLOCK;
      this.#block(k).inFile ??= this.#memory(
        first,
        Math.min(first + BLOCK, size),
      ).slice();
    }
  }

  /** Notes that a range of memory and of the file are the same. */
  #isInFile(first: number, end: number): void {
    if (this.#blocks.size === 0) return;
    for (const { k, from, to } of parts(first, end)) {
      const block = this.#blocks.get(k);
      block?.changed?.fill(0, from, to);
      block?.inFile?.set(this.#memory(k * BLOCK + from, k * BLOCK + to), from);
    }
  }

  /** Marks what users have changed in a range of memory. */
  #findChanges(first: number, end: number): void {
    for (const [k, block] of this.#blocks) {
      const { inFile } = block;
      if (inFile === undefined) continue;
      const from = Math.max(0, first - k * BLOCK);
      const to = Math.min(inFile.length, end - k * BLOCK);
      if (from >= to) continue;
      const memory = this.#memory(k * BLOCK, k * BLOCK + inFile.length);
      if (isSame(memory, inFile, from, to)) continue;
      const marks = marksOf(block);
      for (let i = from; i < to; i++) {
        if (memory[i] !== inFile[i]) marks[i] = 1;
      }
    }
  }

  /** Writes to the file what has changed in a range of memory, and no byte beside it. */
  #writeBack(first: number, end: number): void {
    if (this.moved) return this.#checkLost();
    this.#findChanges(first, end);
    let size: number | undefined;
    for (const [k, block] of this.#blocks) {
      const { changed, inFile } = block;
      if (changed === undefined) continue;
      // What others have cut off stays so: whoever asks for the size learns of it.
      size ??= this.fileSize();
      const at = k * BLOCK;
      const stop = Math.min(end, size) - at;
      let from = changed.indexOf(1, Math.max(0, first - at));
      while (from !== -1 && from < stop) {
        const next = changed.indexOf(0, from);
        const to = Math.min(next === -1 ? BLOCK : next, stop);
        const bytes = this.#memory(at + from, at + to);
        this.#file.writeAt(bytes, this.#options.offset + at + from);
        changed.fill(0, from, to);
        inFile?.set(bytes, from);
        from = changed.indexOf(1, to);
      }
      if (changed.includes(1)) continue;
      if (inFile === undefined) this.#blocks.delete(k);
      else block.changed = undefined;
    }
    if (this.#blocks.size === 0) unsaved.delete(this);
  }

  /** Throws if memory that the user moved away had what was to be written back. */
  #checkLost(): void {
    for (const { changed } of this.#blocks.values()) {
      if (!changed?.includes(1)) continue;
      throw new TypeError(
        `Cannot write back '${this.#options.name}': its memory was moved away by a transfer(), ` +
          "a structuredClone() or a byte stream, with what was written to it; give those a slice()",
      );
    }
  }
}

const UNMAPPED = new ArrayBuffer(0);

/** Bytes of the widest element of a typed array. */
const WIDEST = 8;

/** Bytes kept, marked and compared at once. */
const BLOCK = 64 << 10;

/** Bytes written back in one go, beside which a turn of the event loop costs nothing. */
const PIECE = 8 << 20;

/**
 * The copies that have, or whose views may have, what is not in the file. Held here, they are not lost
 * when they are forgotten: what is in them is written back when the program ends.
 */
const unsaved = new Set<FileCopy>();
let isListening = false;

function keepUnsaved(copy: FileCopy): void {
  unsaved.add(copy);
  if (isListening) return;
  isListening = true;
  addEventListener("unload", () => {
    for (const copy of unsaved) {
      try {
        copy.flushSync(0, Infinity);
      } catch (error) {
        // Nobody is left to catch it.
        console.error(error);
      }
    }
  });
}

/** A range cut at the bounds of blocks: the block's number, and first and end within it. */
function* parts(
  first: number,
  end: number,
): Generator<{ k: number; from: number; to: number }> {
  for (let at = first; at < end;) {
    const k = Math.floor(at / BLOCK);
    const next = (k + 1) * BLOCK;
    yield { k, from: at - k * BLOCK, to: Math.min(end, next) - k * BLOCK };
    at = next;
  }
}

function marksOf(block: Block): Uint8Array<ArrayBuffer> {
  return block.changed ??= new Uint8Array(BLOCK);
}

function isSame(
  one: Uint8Array,
  other: Uint8Array,
  from: number,
  to: number,
): boolean {
  return Buffer.compare(one.subarray(from, to), other.subarray(from, to)) === 0;
}
