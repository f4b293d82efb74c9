/**
 * Generators over memory that are async iterables too: `for await` lets other tasks run, and brings pages in off
 * the event loop before they are touched.
 *
 * @module
 */

import { yieldIfDue } from "./event_loop.ts";

/** Bytes between two pauses: a millisecond's work, compared with which a call in another thread is cheap. */
export const PART_SIZE = 4 << 20;

/** What a generator yields: the next item, or a pause. */
export type Step<T> = T | typeof PAUSE;

/** Yielded before the generator touches the next part of the memory. */
export const PAUSE = Symbol("pause");

/** Whether and where a generator pauses. */
export class Pauses {
  /** Whether the generator yields `PAUSE` before each part. If not, a part may have any length. */
  areOn = false;
  /** The range that it is about to touch, at a pause. */
  from = 0;
  to = 0;
}

/** Iterable by `for` and by `for await`. */
export type SyncAndAsync<T> =
  & Generator<T, void, undefined>
  & AsyncIterable<T, void, undefined>;

/**
 * Makes a generator iterable by `for` and by `for await`. Each continues where the other has stopped.
 *
 * @param steps The generator, which yields `PAUSE` only if `pauses.areOn`.
 * @param pauses Turns pauses on, and has the range that the generator is about to touch.
 * @param bringIn Brings a range into memory, off the event loop.
 */
export function syncAndAsync<T extends ArrayBufferView | string>(
  steps: Generator<Step<T>, void, undefined>,
  pauses: Pauses,
  bringIn: (from: number, to: number) => Promise<void>,
): SyncAndAsync<T> {
  // Without pauses, as `for` and `next()` use it, it yields items only.
  const items = steps as Generator<T, void, undefined>;
  return Object.assign(items, {
    [Symbol.asyncIterator]: () => new AsyncItems(steps, pauses, bringIn),
  });
}

class AsyncItems<T extends ArrayBufferView | string>
  implements AsyncIterator<T, void, undefined> {
  readonly #steps: Generator<Step<T>, void, undefined>;
  readonly #pauses: Pauses;
  readonly #bringIn: (from: number, to: number) => Promise<void>;
  /** What a `next()` waits for, and later ones too. */
  #pause: Promise<void> | null = null;

  constructor(
    steps: Generator<Step<T>, void, undefined>,
    pauses: Pauses,
    bringIn: (from: number, to: number) => Promise<void>,
  ) {
    this.#steps = steps;
    this.#pauses = pauses;
    this.#bringIn = bringIn;
  }

  async next(): Promise<IteratorResult<T, void>> {
    for (;;) {
      while (this.#pause !== null) await this.#pause;
      const step = this.#step();
      if (step.value === PAUSE) this.#pause = this.#enter();
      else {
        const turn = yieldIfDue(step.done ? 0 : sizeOf(step.value));
        if (turn !== undefined) await turn;
        return step as IteratorResult<T, void>;
      }
    }
  }

  return(): Promise<IteratorResult<T, void>> {
    return Promise.resolve(
      this.#steps.return() as IteratorResult<T, void>,
    );
  }

  #step(): IteratorResult<Step<T>, void> {
    this.#pauses.areOn = true;
    try {
      return this.#steps.next();
    } finally {
      // A call of the generator's own `next()` in between must return an item.
      this.#pauses.areOn = false;
    }
  }

  async #enter(): Promise<void> {
    const { from, to } = this.#pauses;
    try {
      await this.#bringIn(from, to);
      await yieldIfDue(to - from);
    } finally {
      this.#pause = null;
    }
  }
}

function sizeOf(item: ArrayBufferView | string): number {
  return typeof item === "string" ? item.length : item.byteLength;
}
