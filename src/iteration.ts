/**
 * Generators over memory that are async iterables too: `for await` lets other tasks run, and has pages
 * brought in off the event loop before they are touched.
 *
 * @module
 */

import { turnAfter } from "./event_loop.ts";

/** Bytes of memory that are entered at a time: a millisecond's work, beside which a call in another thread is cheap. */
export const PART = 4 << 20;

/** What a generator has come to: the next item, or the end of the memory that it may touch. */
export type Step<T> = T | typeof PAUSE;

/** In place of an item: the generator is about to touch the next part of the memory. */
export const PAUSE = Symbol("pause");

/** How a generator walks through memory. */
export class Walk {
  /** Whether it yields `PAUSE` before each part. If not, it goes on at once, and a part may have any length. */
  pauses = false;
  /** The range that it is about to touch, once it has paused. */
  from = 0;
  to = 0;
}

/** What is iterated over by `for` and by `for await`. */
export type BothWays<T> =
  & Generator<T, void, undefined>
  & AsyncIterable<T, void, undefined>;

/**
 * Makes a generator iterable both ways. Both go on where the other has stopped.
 *
 * @param steps The generator, which yields `PAUSE` only if `walk.pauses`.
 * @param walk Tells it so, and tells what it is about to touch.
 * @param bringIn Brings a range into memory, off the event loop.
 */
export function bothWays<T extends ArrayBufferView | string>(
  steps: Generator<Step<T>, void, undefined>,
  walk: Walk,
  bringIn: (from: number, to: number) => Promise<void>,
): BothWays<T> {
  // Without pauses, as `for` and `next()` find it, it yields items only.
  const items = steps as Generator<T, void, undefined>;
  return Object.assign(items, {
    [Symbol.asyncIterator]: () => new AsyncItems(steps, walk, bringIn),
  });
}

class AsyncItems<T extends ArrayBufferView | string>
  implements AsyncIterator<T, void, undefined> {
  readonly #steps: Generator<Step<T>, void, undefined>;
  readonly #walk: Walk;
  readonly #bringIn: (from: number, to: number) => Promise<void>;
  /** What a `next()` waits for, and those behind it. */
  #pause: Promise<void> | null = null;

  constructor(
    steps: Generator<Step<T>, void, undefined>,
    walk: Walk,
    bringIn: (from: number, to: number) => Promise<void>,
  ) {
    this.#steps = steps;
    this.#walk = walk;
    this.#bringIn = bringIn;
  }

  async next(): Promise<IteratorResult<T, void>> {
    for (;;) {
      while (this.#pause !== null) await this.#pause;
      const step = this.#step();
      if (step.value === PAUSE) this.#pause = this.#enter();
      else {
        const turn = turnAfter(step.done ? 0 : sizeOf(step.value));
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
    this.#walk.pauses = true;
    try {
      return this.#steps.next();
    } finally {
      // Who calls `next()` of the generator itself in between wants an item.
      this.#walk.pauses = false;
    }
  }

  async #enter(): Promise<void> {
    const { from, to } = this.#walk;
    try {
      await this.#bringIn(from, to);
      await turnAfter(to - from);
    } finally {
      this.#pause = null;
    }
  }
}

function sizeOf(item: ArrayBufferView | string): number {
  return typeof item === "string" ? item.length : item.byteLength;
}
