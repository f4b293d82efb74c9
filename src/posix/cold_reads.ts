/**
 * Reads of a file that wait for the disk, with fewer threads than reads.
 *
 * A read with RWF_NOWAIT that fails makes the system begin to read from the disk. So it is enough that a thread waits
 * for one of several reads. Then the others are tried again, which takes less time than a thread each.
 *
 * @module
 */

import type { CachedPages } from "./residency.ts";

/** Bytes of the longest read that is tried again. A part of a longer one may be in memory, and would be copied each time. */
export const MAX_RETRIED = 16 << 10;

/** For this many reads one thread is used. */
const READS_PER_THREAD = 4;

/** A read without a thread. */
interface Waiting {
  readonly target: Uint8Array;
  readonly position: number;
  /** Called with the number of bytes read, or `undefined` to read in a thread. */
  readonly resolve: (read: number | undefined) => void;
}

/** The reads of one file. */
export class ColdReads {
  readonly #residency: CachedPages;
  #waiting: Waiting[] = [];
  /** Reads with a thread. */
  #threads = 0;

  constructor(residency: CachedPages) {
    this.#residency = residency;
  }

  /** Fills `target`, by `inThread` if need be. Resolves to the number of bytes. */
  async read(
    target: Uint8Array,
    position: number,
    inThread: () => Promise<number>,
  ): Promise<number> {
    if (this.#residency.readNow(target, position)) return target.length;
    if (!this.#needsThread(1)) {
      const { promise, resolve } = Promise.withResolvers<number | undefined>();
      this.#waiting.push({ target, position, resolve });
      const read = await promise;
      if (read !== undefined) return read;
    } else this.#threads++;
    try {
      return await inThread();
    } finally {
      this.#threads--;
      this.#tryAgain();
    }
  }

  /** Resolves the reads whose bytes are in memory, and starts threads for the oldest of the others. */
  #tryAgain(): void {
    const waiting: Waiting[] = [];
    for (const one of this.#waiting) {
      const { target, position, resolve } = one;
      if (this.#residency.readNow(target, position)) resolve(target.length);
      else waiting.push(one);
    }
    this.#waiting = waiting;
    while (waiting.length > 0 && this.#needsThread(0)) {
      this.#threads++;
      waiting.shift()!.resolve(undefined);
    }
  }

  #needsThread(more: number): boolean {
    const reads = this.#threads + this.#waiting.length + more;
    return this.#threads < Math.ceil(reads / READS_PER_THREAD);
  }
}
