/**
 * The order of the async calls of one file.
 *
 * @module
 */

import { runAndYield, yieldIfDue } from "./event_loop.ts";

/**
 * Async operations in the order of the calls: as with `Deno.FsFile`, each waits for the earlier ones. Reads that
 * were called one after the other run concurrently.
 */
export class AsyncQueue {
  /** The end of the last operation; `null` if the queue is empty. */
  #last: Promise<unknown> | null = null;
  /** The same, if it is the end of reads that have all begun; otherwise `null`. */
  #reads: Promise<unknown> | null = null;
  #group: ReadGroup | null = null;

  /** Whether no operation is in progress. */
  get isEmpty(): boolean {
    return this.#last === null;
  }

  /** Whether a read need not wait: only reads are in progress, and all of them have begun. */
  get admitsReads(): boolean {
    return this.#last === this.#reads;
  }

  /** Runs the work at once if the queue is empty, otherwise after the operations in progress. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    return await (this.#last === null ? runAndYield(work) : this.enqueue(work));
  }

  /** Runs the work after the operations that were called before it. Those that are called later wait for it. */
  async enqueue<T>(work: () => T | Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    try {
      // Begins at once if it can: the caller may change or detach its array as soon as the call has returned.
      if (before !== null) await before;
      return await work();
    } finally {
      if (this.#last === promise) this.#last = null;
      resolve();
      await yieldIfDue();
    }
  }

  /** As `enqueue`, but concurrently with the reads that were called just before it. */
  async enqueueRead<T>(work: () => Promise<T>): Promise<T> {
    let group = this.#group;
    if (group === null || group.end.promise !== this.#last) {
      group = new ReadGroup(this.#last);
      this.#group = group;
      this.#last = group.end.promise;
      if (group.before === null) this.#reads = this.#last;
    }
    const { promise, resolve } = group.end;
    group.pending++;
    try {
      if (group.before !== null) {
        group.waiting++;
        await group.before;
        // Once all have begun, a read that is done at once does not overtake them.
        if (--group.waiting === 0) {
          group.before = null;
          if (this.#last === promise) this.#reads = promise;
        }
      }
      return await work();
    } finally {
      if (--group.pending === 0) {
        if (this.#last === promise) this.#last = null;
        if (this.#reads === promise) this.#reads = null;
        resolve();
      }
      const turn = yieldIfDue();
      if (turn !== undefined) await turn;
    }
  }

  /** Waits until the queue is empty. */
  async whenEmpty(): Promise<void> {
    while (this.#last !== null) await this.#last;
  }
}

/** Reads that run concurrently. */
class ReadGroup {
  /** How many have not ended. */
  pending = 0;
  /** The operation that they wait for, and how many still do. */
  before: Promise<unknown> | null;
  waiting = 0;
  readonly end: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(before: Promise<unknown> | null) {
    this.before = before;
  }
}
