/**
 * A bound on the threads that nonblocking calls hold: Deno's pool has 32 for all that a program does.
 *
 * @module
 */

/** Threads of the pool that calls of this module hold at a time, at most: half of them. */
export const MOST_THREADS = 16;

let held = 0;

/** Calls that wait for a thread, in the order in which they were made. */
const waiting: (() => void)[] = [];

/** Whether a call made now is begun at once. */
export function hasThread(): boolean {
  return held < MOST_THREADS;
}

/** Makes a call that holds a thread until its promise is settled: at once, or once there is a thread for it. */
export async function inThread<T>(call: () => Promise<T>): Promise<T> {
  if (hasThread()) held++;
  // Whoever is done hands its thread on.
  else await new Promise<void>((resolve) => void waiting.push(resolve));
  try {
    return await call();
  } finally {
    const next = waiting.shift();
    if (next === undefined) held--;
    else next();
  }
}
