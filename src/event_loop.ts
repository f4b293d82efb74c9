/**
 * Fairness: calls that are done at once, awaited in a loop, let other tasks run.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";

/** Milliseconds for which such calls may delay timers and I/O. */
const SLICE_MS = 1;

/** Bytes after which the clock is read, which takes longer than to copy 4 KiB. Each call counts as some bytes more. */
const BYTES_PER_CLOCK_READ = 512 << 10;
const BYTES_PER_CALL = 4 << 10;

/** Bytes left until the clock is read. While a turn of the event loop is due, there are none. */
let left = BYTES_PER_CLOCK_READ;

/** The next turn of the event loop, once it was requested, and when that was. */
let next: Promise<void> | null = null;
let requestedAt = 0;
let isDue = false;

/** Called with the time when the clock is read. */
let clockCallback: (now: number) => void = () => {};

/** Registers a function that is called with the time whenever the clock is read. */
export function onClockRead(callback: (now: number) => void): void {
  clockCallback = callback;
}

/** Resolves at the next turn of the event loop, after timers and I/O. */
export function yieldToEventLoop(): Promise<void> {
  return setImmediate();
}

/**
 * What a call that has done its work waits for before it resolves: the next turn of the event loop if the
 * present one has lasted long enough, otherwise nothing. All calls made in a turn share its time. Once
 * the next turn is due all wait for it, so they resolve in the order in which they were made.
 *
 * @param bytes How many bytes the call has copied; by default enough to read the clock.
 */
export function yieldIfDue(
  bytes = BYTES_PER_CLOCK_READ,
): Promise<void> | undefined {
  left -= BYTES_PER_CALL + bytes;
  return left > 0 ? undefined : readClock();
}

/** Runs work that is not counted in bytes, and then lets other tasks run if it is due. */
export async function runAndYield<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await yieldIfDue();
  }
}

function readClock(): Promise<void> | undefined {
  if (isDue) return next!;
  const now = performance.now();
  clockCallback(now);
  if (next === null) {
    requestedAt = now;
    next = yieldToEventLoop().then(beginTurn);
  } else if (now - requestedAt > SLICE_MS) {
    isDue = true;
    return next;
  }
  left = BYTES_PER_CLOCK_READ;
}

function beginTurn(): void {
  next = null;
  isDue = false;
  left = BYTES_PER_CLOCK_READ;
}
