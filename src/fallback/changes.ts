/**
 * What has changed in a copy of a file and is not in the file yet: found, and written back.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { DenoFile } from "../deno_file.ts";
import type { MappingOptions } from "../storage.ts";

/** What is known of a part of the file, beside its memory. */
interface Block {
  /** A 1 for each byte that is to be written back. */
  changed: Uint8Array<ArrayBuffer> | undefined;
  /** The bytes as the file has them. Kept of all that users have a view of, and can change unseen. */
  inFile: Uint8Array<ArrayBuffer> | undefined;
}

export const UNMAPPED = new ArrayBuffer(0);

/**
 * A copy's memory, and what in it is not in the file. It does not refer to the `MmapFile`: that may be
 * garbage while there is something to write back.
 */
export class Changes {
  /** The memory. */
  buffer: ArrayBuffer = UNMAPPED;
  /** Where in `buffer` position 0 lies. */
  start = 0;

  readonly file: DenoFile;
  readonly #options: MappingOptions;
  /** The blocks whose memory may differ from the file, by number. */
  readonly #blocks = new Map<number, Block>();
  /** The memory that users have views of. Made early: a reference holds what it is made for until its job ends. */
  #shared: WeakRef<ArrayBuffer> | undefined;

  constructor(file: DenoFile, options: MappingOptions) {
    this.file = file;
    this.#options = options;
  }

  /** Whether users have views through which they can change memory unseen. */
  get isWatched(): boolean {
    for (const { inFile } of this.#blocks.values()) if (inFile) return true;
    return false;
  }

  memory(from: number, to: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, this.start + from, to - from);
  }

  /** Bytes from the file's offset on, asked of the system. */
  fileSize(): number {
    return Math.max(0, this.file.size() - this.#options.offset);
  }

  /** Marks a range of memory as changed. */
  mark(first: number, end: number): void {
    for (const { k, from, to } of parts(first, end)) {
      marksOf(this.#block(k)).fill(1, from, to);
    }
  }

  /** Keeps what is in memory, before users can change it. */
  keep(size: number): void {
    this.#shared = new WeakRef(this.buffer);
    for (const { k } of parts(0, size)) {
      const first = k * BLOCK;
      this.#block(k).inFile ??= this.memory(
        first,
        Math.min(first + BLOCK, size),
      ).slice();
    }
  }

  /** Notes that a range of memory and of the file are the same. */
  isInFile(first: number, end: number): void {
    if (this.#blocks.size === 0) return;
    for (const { k, from, to } of parts(first, end)) {
      const block = this.#blocks.get(k);
      block?.changed?.fill(0, from, to);
      block?.inFile?.set(this.memory(k * BLOCK + from, k * BLOCK + to), from);
    }
  }

  /** Notes what users have changed, as they are about to lose their views, and memory all that is behind `room`. */
  unwatch(room: number): void {
    this.#find(0, Infinity);
    for (const [k, block] of this.#blocks) {
      block.inFile = undefined;
      // What was truncated is not to be written back.
      block.changed?.fill(0, Math.max(0, room - k * BLOCK));
    }
  }

  /**
   * Writes to the file what has changed in a range of memory, and no byte beside it.
   *
   * @throws {TypeError} Once, if memory was moved away with what has changed, or what may have: all that
   * users had a view of, since no comparison is possible any more.
   */
  writeBack(first: number, end: number): void {
    if (this.buffer.detached) return this.#checkLost();
    this.#find(first, end);
    let size: number | undefined;
    for (const [k, block] of this.#blocks) {
      const { changed, inFile } = block;
      if (changed === undefined) continue;
      // What others have truncated stays so: the next call that asks for the size reports it.
      size ??= this.fileSize();
      const at = k * BLOCK;
      const stop = Math.min(end, size) - at;
      let from = changed.indexOf(1, Math.max(0, first - at));
      while (from !== -1 && from < stop) {
        const next = changed.indexOf(0, from);
        const to = Math.min(next === -1 ? BLOCK : next, stop);
        const bytes = this.memory(at + from, at + to);
        this.file.writeAt(bytes, this.#options.offset + at + from);
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

  /** No longer holds the memory, which is garbage then unless users have views of it. */
  letGo(): void {
    this.buffer = UNMAPPED;
  }

  /** Holds the memory again; returns false if it was garbage and is gone. */
  takeBack(): boolean {
    const buffer = this.#shared?.deref();
    if (buffer === undefined) return false;
    this.buffer = buffer;
    return true;
  }

  /** Forgets the memory, and all that is known of it. */
  clear(): void {
    this.buffer = UNMAPPED;
    this.start = 0;
    this.#blocks.clear();
    unsaved.delete(this);
  }

  #checkLost(): void {
    const isLost = this.#blocks.size > 0;
    this.#blocks.clear();
    unsaved.delete(this);
    if (!isLost) return;
    throw new TypeError(
      `Cannot write back '${this.#options.name}': its memory was detached by transfer(), ` +
        "structuredClone(), or a byte stream, and changes since the last flush() are lost; " +
        "pass a copy() to these instead",
    );
  }

  /** Marks what users have changed in a range of memory. */
  #find(first: number, end: number): void {
    for (const [k, block] of this.#blocks) {
      const { inFile } = block;
      if (inFile === undefined) continue;
      const from = Math.max(0, first - k * BLOCK);
      const to = Math.min(inFile.length, end - k * BLOCK);
      if (from >= to) continue;
      const memory = this.memory(k * BLOCK, k * BLOCK + inFile.length);
      if (isSame(memory, inFile, from, to)) continue;
      const marks = marksOf(block);
      for (let i = from; i < to; i++) {
        if (memory[i] !== inFile[i]) marks[i] = 1;
      }
    }
  }

  #block(k: number): Block {
    let block = this.#blocks.get(k);
    if (block === undefined) {
      block = { changed: undefined, inFile: undefined };
      this.#blocks.set(k, block);
      keepToTheEnd(this);
    }
    return block;
  }
}

/** Bytes kept, marked and compared at once. */
const BLOCK = 64 << 10;

/** The copies that have, or whose views may have, what is not in the file. The end of the program writes it back. */
const unsaved = new Set<Changes>();
let isListening = false;

function keepToTheEnd(changes: Changes): void {
  unsaved.add(changes);
  if (isListening) return;
  isListening = true;
  addEventListener("unload", () => {
    for (const changes of unsaved) {
      try {
        changes.writeBack(0, Infinity);
      } catch (error) {
        // Nobody is left to catch it.
        console.error(error);
      }
    }
  });
}

/** A range divided at the bounds of blocks: the block's number, and first and end within it. */
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
