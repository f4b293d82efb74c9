/** Garbage collection on demand. Needs --expose-gc. */

import { setTimeout as sleep } from "node:timers/promises";

/** Collects garbage, and runs finalizers, until `isDone`, or at most 200 times. */
export async function collectUntil(isDone: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !isDone(); round++) await collect(1);
}

/** Collects garbage this many times, with time for finalizers in between. Needs --expose-gc. */
export async function collect(rounds = 10): Promise<void> {
  const { gc } = globalThis as unknown as { gc(): void };
  for (let round = 0; round < rounds; round++) {
    gc();
    await sleep(2);
  }
}
