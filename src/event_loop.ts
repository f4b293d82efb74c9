/**
 * Turns of the event loop, for work on memory that would leave it none.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** How long work done in small pieces may keep timers and I/O waiting. */
const SLICE_MS = 3;

/** A turn of the event loop, asked for when the one that goes on began to be used up. */
let turn: Promise<void> | null = null;
let turnAsked = 0;

/** Lets timers and I/O have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/**
 * Memory never makes anybody wait, so that streams of it feed each other and nothing else has a
 * turn. To be awaited before each piece of work: all wait for the next turn once it is due.
 */
export function eventLoop(): Promise<void> | undefined {
  if (turn === null) {
    turnAsked = performance.now();
    turn = nextTurn().then(() => {
      turn = null;
    });
  } else if (performance.now() - turnAsked > SLICE_MS) return turn;
}
