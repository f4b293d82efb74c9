/**
 * Reads of a file that wait for the disk, with fewer threads than reads.
 *
 * A read with RWF_NOWAIT that finds nothing has had the system begin to read from the disk. So it is enough that a
 * thread waits for one read out of some. Once that is there, the others are tried again: to try takes less time than
 * another thread does.
 *
 * @module
 */

import type { CachedPages } from "./residency.ts";

/** Bytes of the longest read that is tried again: of others a part may be there, which would be copied each time. */
export const LONGEST_TRIED = 16 << 10;

/** Reads of which one has a thread. */
const READS_PER_THREAD = 4;

/** A read that has no thread. */
interface Waiting {
  readonly target: Uint8Array;
  readonly position: number;
  /** Told how much was read, or that the read is to be made by a thread. */
  readonly resolve: (read: number | undefined) => void;
}

/** The reads of one file. */
export class ColdReads {
  readonly #residency: CachedPages;
  #waiting: Waiting[] = [];
  /** Reads that have a thread. */
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

  /** Resolves the reads that are there, and gives threads to the oldest of the others. */
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
