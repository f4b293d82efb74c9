/**
 * A file as the fallback reads it: also one whose size does not say how many bytes it has.
 *
 * @module
 */

import { DenoFile } from "../deno_file.ts";
import { unregister } from "./dropped.ts";

/** A file of which there is a copy in memory. */
export class CopiedFile extends DenoFile {
  /**
   * The bytes of a file whose size is not theirs: in /proc files have 0 bytes, and in /sys 4096, whatever
   * a read returns. Each read may return others, so that they are read at once.
   */
  #contents: Uint8Array<ArrayBuffer> | undefined;

  /** The length in bytes now. Throws if this is not a regular file. */
  override regularSize(): number {
    this.#contents = undefined;
    const size = super.regularSize();
    if (this.#endsAt(size)) return size;
    // It has changed in between, and is right now.
    const sizeNow = super.regularSize();
    if (sizeNow !== size) return sizeNow;
    this.#contents = this.#readAll();
    return this.#contents.length;
  }

  override size(): number {
    return this.#contents?.length ?? super.size();
  }

  override readAt(target: Uint8Array, position: number): number {
    const contents = this.#contents;
    if (contents === undefined) return super.readAt(target, position);
    const bytes = contents.subarray(position, position + target.length);
    target.set(bytes);
    return bytes.length;
  }

  override close(): void {
    unregister(this);
    super.close();
  }

  /** Whether there is a last byte at this size, and not one more. */
  #endsAt(size: number): boolean {
    const last = Math.max(0, size - 1);
    try {
      return super.readAt(new Uint8Array(2), last) === size - last;
    } catch {
      // The call that needs these bytes reports the error.
      return true;
    }
  }

  #readAll(): Uint8Array<ArrayBuffer> {
    let bytes = new Uint8Array(INITIAL_CAPACITY);
    let length = 0;
    for (;;) {
      const read = super.readAt(bytes.subarray(length), length);
      length += read;
      if (length < bytes.length) return bytes.subarray(0, length);
      bytes = new Uint8Array(bytes.buffer.transfer(2 * length));
    }
  }
}

/** Bytes that files of /proc and /sys seldom exceed. */
const INITIAL_CAPACITY = 64 << 10;
