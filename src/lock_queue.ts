/**
 * Waiting for an advisory lock without a thread: the lock is tried again and again.
 *
 * flock(2) holds its thread for as long as it waits, and Deno's pool has 32 threads for all files.
 *
 * @module
 */

/** The longest pause between two tries, in milliseconds. */
const MAX_PAUSE_MS = 10;

/** The last to have joined each queue. */
const last = new Map<string, Promise<void>>();

/** Ends the pause of the first in each queue. */
const wakers = new Map<string, () => void>();

/**
 * Resolves once `tryLock` has returned true, and rejects if it throws.
 *
 * @param queue Names the lock. Only the first of its waiters tries, so that thousands can wait.
 */
export async function waitForLock(
  queue: string,
  tryLock: () => boolean,
): Promise<void> {
  const before = last.get(queue);
  const { promise, resolve } = Promise.withResolvers<void>();
  last.set(queue, promise);
  try {
    await before;
    for (let pause = 0; !tryLock(); pause++) {
      await sleep(queue, Math.min(pause, MAX_PAUSE_MS));
    }
  } finally {
    if (last.get(queue) === promise) last.delete(queue);
    resolve();
  }
}

/** Whether a lock is being waited for. */
export function hasWaiters(): boolean {
  return last.size > 0;
}

/** Makes the first in a queue try at once, because a lock that it may be waiting for has been released. */
export function wake(queue: string): void {
  wakers.get(queue)?.();
}

async function sleep(queue: string, milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  wakers.set(queue, resolve);
  await promise;
  wakers.delete(queue);
  clearTimeout(timer);
}
