/**
 * Changes in a file's copy that are not in the file yet: how they are found and written back.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { DenoFile } from "../deno_file.ts";
import type { MappingOptions } from "../storage.ts";

/** What is known about a block of the file. */
interface Block {
  /** A 1 for each byte that must be written back. */
  dirty: Uint8Array<ArrayBuffer> | undefined;
  /** The bytes of the file, if users have views of the block, through which they can change it unnoticed. */
  snapshot: Uint8Array<ArrayBuffer> | undefined;
}

export const UNMAPPED = new ArrayBuffer(0);

/**
 * The memory of a copy, and its dirty bytes. It does not refer to the `MmapFile`, which may be garbage-collected
 * before everything is written back.
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
  /** The memory that users have views of. Made early: a reference keeps its target alive until the job ends. */
  #shared: WeakRef<ArrayBuffer> | undefined;

  constructor(file: DenoFile, options: MappingOptions) {
    this.file = file;
    this.#options = options;
  }

  /** Whether users have views, through which they can change memory unnoticed. */
  get hasSnapshots(): boolean {
    for (const { snapshot } of this.#blocks.values()) if (snapshot) return true;
    return false;
  }

  memory(from: number, to: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, this.start + from, to - from);
  }

  /** Bytes of the file after the offset, as the system tells it. */
  fileSize(): number {
    return Math.max(0, this.file.size() - this.#options.offset);
  }

  markDirty(first: number, end: number): void {
    for (const { k, from, to } of blocksOf(first, end)) {
      dirtyBytesOf(this.#block(k)).fill(1, from, to);
    }
  }

  /** Marks a range of memory that is the same as in the file. */
  markClean(first: number, end: number): void {
    if (this.#blocks.size === 0) return;
    for (const { k, from, to } of blocksOf(first, end)) {
      const block = this.#blocks.get(k);
      block?.dirty?.fill(0, from, to);
      block?.snapshot?.set(this.memory(k * BLOCK + from, k * BLOCK + to), from);
    }
  }

  /** Copies the memory before users can change it. */
  takeSnapshot(size: number): void {
    this.#shared = new WeakRef(this.buffer);
    for (const { k } of blocksOf(0, size)) {
      const first = k * BLOCK;
      this.#block(k).snapshot ??= this.memory(
        first,
        Math.min(first + BLOCK, size),
      ).slice();
    }
  }

  /** Marks what users have changed, before their views become empty and memory is truncated to `size` bytes. */
  dropSnapshots(size: number): void {
    this.#findChanges(0, Infinity);
    for (const [k, block] of this.#blocks) {
      block.snapshot = undefined;
      // Truncated bytes must not be written back.
      block.dirty?.fill(0, Math.max(0, size - k * BLOCK));
    }
  }

  /**
   * Writes the dirty bytes of a range to the file, and no others.
   *
   * @throws {TypeError} Once, if the memory was detached and may have been dirty: if users had views of it, there
   * is nothing left to compare.
   */
  writeBack(first: number, end: number): void {
    if (this.buffer.detached) return this.#checkLost();
    this.#findChanges(first, end);
    let size: number | undefined;
    for (const [k, block] of this.#blocks) {
      const { dirty, snapshot } = block;
      if (dirty === undefined) continue;
      // A file that others have truncated stays truncated. The next call that compares sizes reports it.
      size ??= this.fileSize();
      const at = k * BLOCK;
      const stop = Math.min(end, size) - at;
      let from = dirty.indexOf(1, Math.max(0, first - at));
      while (from !== -1 && from < stop) {
        const next = dirty.indexOf(0, from);
        const to = Math.min(next === -1 ? BLOCK : next, stop);
        const bytes = this.memory(at + from, at + to);
        this.file.writeAt(bytes, this.#options.offset + at + from);
        dirty.fill(0, from, to);
        snapshot?.set(bytes, from);
        from = dirty.indexOf(1, to);
      }
      if (dirty.includes(1)) continue;
      if (snapshot === undefined) this.#blocks.delete(k);
      else block.dirty = undefined;
    }
    if (this.#blocks.size === 0) withChanges.delete(this);
  }

  /** Drops its reference to the memory, which is garbage then unless users have views of it. */
  release(): void {
    this.buffer = UNMAPPED;
  }

  /** Refers to the memory again. Returns `false` if it was garbage-collected. */
  reacquire(): boolean {
    const buffer = this.#shared?.deref();
    if (buffer === undefined) return false;
    this.buffer = buffer;
    return true;
  }

  /** Drops the memory, and everything that is known about it. */
  clear(): void {
    this.buffer = UNMAPPED;
    this.start = 0;
    this.#blocks.clear();
    withChanges.delete(this);
  }

  #checkLost(): void {
    const isLost = this.#blocks.size > 0;
    this.#blocks.clear();
    withChanges.delete(this);
    if (!isLost) return;
    throw new TypeError(
      `Cannot write back '${this.#options.name}': its memory was detached by transfer(), ` +
        "structuredClone(), or a byte stream, and changes since the last flush() are lost; " +
        "pass a copy() to these instead",
    );
  }

  /** Marks what users have changed in a range of memory. */
  #findChanges(first: number, end: number): void {
    for (const [k, block] of this.#blocks) {
      const { snapshot } = block;
      if (snapshot === undefined) continue;
      const from = Math.max(0, first - k * BLOCK);
      const to = Math.min(snapshot.length, end - k * BLOCK);
      if (from >= to) continue;
      const memory = this.memory(k * BLOCK, k * BLOCK + snapshot.length);
      if (isEqual(memory, snapshot, from, to)) continue;
      const dirty = dirtyBytesOf(block);
      for (let i = from; i < to; i++) {
        if (memory[i] !== snapshot[i]) dirty[i] = 1;
      }
    }
  }

  #block(k: number): Block {
    let block = this.#blocks.get(k);
    if (block === undefined) {
      block = { dirty: undefined, snapshot: undefined };
      this.#blocks.set(k, block);
      writeBackAtExit(this);
    }
    return block;
  }
}

/** Bytes of a block. */
const BLOCK = 64 << 10;

/** The copies that have changes, or whose views may have. They are written back at the end of the program. */
const withChanges = new Set<Changes>();
let isListening = false;

function writeBackAtExit(changes: Changes): void {
  withChanges.add(changes);
  if (isListening) return;
  isListening = true;
  addEventListener("unload", () => {
    for (const changes of withChanges) {
      try {
        changes.writeBack(0, Infinity);
      } catch (error) {
        // There is no caller to catch it.
        console.error(error);
      }
    }
  });
}

/** A range divided into blocks: the number of each, and the first byte and the end within it. */
function* blocksOf(
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

function dirtyBytesOf(block: Block): Uint8Array<ArrayBuffer> {
  return block.dirty ??= new Uint8Array(BLOCK);
}

function isEqual(
  one: Uint8Array,
  other: Uint8Array,
  from: number,
  to: number,
): boolean {
  return Buffer.compare(one.subarray(from, to), other.subarray(from, to)) === 0;
}
