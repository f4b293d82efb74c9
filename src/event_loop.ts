/**
 * Fairness: calls that are done as soon as they are made, awaited in a loop, let other tasks have their turn.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** How long such calls may keep timers and I/O waiting. */
const SLICE_MS = 1;

/** Bytes after which the clock is read, which takes longer than to copy 4 KiB, and what a call counts beside its own. */
const STEP = 512 << 10;
const CALL = 4 << 10;

/** Bytes left until the clock is read; none while a turn is due. */
let left = STEP;

/** The next turn of the event loop, once it is asked for, and since when. */
let next: Promise<void> | null = null;
let asked = 0;
let isDue = false;

/** Told the time whenever the clock is read. */
let onLook: (now: number) => void = () => {};

/** Has a function told the time whenever the clock is read, which costs nothing more. */
export function watchClock(callback: (now: number) => void): void {
  onLook = callback;
}

/** Lets timers and I/O have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/**
 * What a call that has done its work waits for before it resolves: the next turn of the event loop if the
 * present one has lasted long enough, nothing otherwise. All calls made in a turn share its time, and once
 * the next is due all wait for it, so that they resolve in the order in which they were made.
 *
 * @param bytes How many the call has moved; by default enough for a look at the clock.
 */
export function turnAfter(bytes = STEP): Promise<void> | undefined {
  left -= CALL + bytes;
  return left > 0 ? undefined : turnIfDue();
}

/** Does what is not counted in bytes, and then lets other tasks have their turn if it is due. */
export async function fairly<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await turnAfter();
  }
}

function turnIfDue(): Promise<void> | undefined {
  if (isDue) return next!;
  const now = performance.now();
  onLook(now);
  if (next === null) {
    asked = now;
    next = nextTurn().then(begin);
  } else if (now - asked > SLICE_MS) {
    isDue = true;
    return next;
  }
  left = STEP;
}

/** The event loop has gone round. */
function begin(): void {
  next = null;
  isDue = false;
  left = STEP;
}
