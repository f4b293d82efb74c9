/**
 * A limit on the threads that nonblocking calls use: Deno's pool has 32 for the whole program.
 *
 * @module
 */

/** Threads of the pool that calls of this module may use at a time: half of them. */
export const MAX_THREADS = 16;

let inUse = 0;

/** Calls that wait for a thread, in the order in which they were made. */
const waiting: (() => void)[] = [];

/** Whether a call made now begins at once. */
export function hasThread(): boolean {
  return inUse < MAX_THREADS;
}

/** Makes a call that uses a thread until its promise is settled: at once, or when a thread is free. */
export async function inThread<T>(call: () => Promise<T>): Promise<T> {
  if (hasThread()) inUse++;
  // A call that ends passes its thread on.
  else await new Promise<void>((resolve) => void waiting.push(resolve));
  try {
    return await call();
  } finally {
    const next = waiting.shift();
    if (next === undefined) inUse--;
    else next();
  }
}
