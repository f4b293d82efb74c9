/**
 * Reads of a file that wait for the disk, most of them without a thread.
 *
 * A read with RWF_NOWAIT that fails makes the system begin to read from the disk (since Linux 5.10). So it is tried
 * again, once in each turn of the event loop, until it succeeds. That takes less time than to start and to wake a
 * thread, and all reads wait for the disk at the same time. If none succeeds for a while, the disk is slow, and the
 * reads wait in threads.
 *
 * @module
 */

import { yieldToEventLoop } from "../event_loop.ts";
import type { CachedPages } from "./residency.ts";

/** Bytes of the longest read that is tried again. A part of a longer one may be in memory, and would be copied each time. */
export const MAX_RETRIED = 16 << 10;

/** Milliseconds without a success after which threads are used. */
const PATIENCE = 1;

/** How often in a row that happens before reads use threads at once, until the disk is faster. */
const MAX_TIMEOUTS = 3;

/** Failures in a turn after which the others are not tried: the disk delivers in about the order of the reads. */
const MAX_FAILURES = 8;

/** A read that has begun. */
interface Waiting {
  readonly target: Uint8Array;
  readonly position: number;
  /** Called with the number of bytes read, or `undefined` to read in a thread. */
  readonly resolve: (read: number | undefined) => void;
}

/** The reads of one file. */
export class ColdReads {
  readonly #residency: CachedPages;
  /** In the order in which they are tried. */
  #waiting: Waiting[] = [];
  #isPolling = false;
  /** How often in a row no read succeeded for a while. */
  #timeouts = 0;

  constructor(residency: CachedPages) {
    this.#residency = residency;
  }

  /** Fills `target`. Returns or resolves to the number of bytes, or to `undefined` if a thread must read them. */
  read(
    target: Uint8Array,
    position: number,
  ): number | undefined | Promise<number | undefined> {
    if (this.#residency.readNow(target, position)) return target.length;
    if (!this.#residency.hasNowait || this.#timeouts >= MAX_TIMEOUTS) return;
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    this.#waiting.push({ target, position, resolve });
    if (!this.#isPolling) void this.#poll();
    return promise;
  }

  /** Reads in a thread. If that is fast, the next reads are tried without one. */
  async readInThread(read: () => Promise<number>): Promise<number> {
    const begun = performance.now();
    const bytes = await read();
    if (performance.now() - begun < PATIENCE) this.#timeouts = 0;
    return bytes;
  }

  /** Tries the reads again, once in each turn of the event loop. */
  async #poll(): Promise<void> {
    this.#isPolling = true;
    let failingSince: number | null = null;
    while (this.#waiting.length > 0) {
      await yieldToEventLoop();
      const now = performance.now();
      if (this.#tryAgain()) {
        this.#timeouts = 0;
        failingSince = null;
        continue;
      }
      failingSince ??= now;
      if (now - failingSince <= PATIENCE) continue;
      this.#useThreads();
      failingSince = null;
    }
    this.#isPolling = false;
  }

  /** Resolves reads whose bytes are in memory. Returns whether there were any. */
  #tryAgain(): boolean {
    const failed: Waiting[] = [];
    let tried = 0;
    for (const one of this.#waiting) {
      if (failed.length === MAX_FAILURES) break;
      tried++;
      const { target, position, resolve } = one;
      if (this.#residency.readNow(target, position)) resolve(target.length);
      else failed.push(one);
    }
    // Reads that were just tried come last, so that one slow read does not keep the others waiting.
    this.#waiting = [...this.#waiting.slice(tried), ...failed];
    return failed.length < tried;
  }

  #useThreads(): void {
    this.#timeouts++;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve(undefined);
  }
}
