/**
 * Tasks of processes and workers that wait for each other: `deno run -A wait.ts TASK PATH NUMBER...`, or a
 * message of the same to a worker. Each task answers with a string, and fails if it misses a change.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { openSync } from "../../mod.ts";

type Task = (path: string, ...args: number[]) => Promise<string>;

/** Bytes between two words that tasks use: a cache line. */
export const STRIDE = 64;

/** Sometimes pauses, busy or idle. */
async function delay(): Promise<void> {
  const dice = Math.random();
  if (dice < 0.01) await sleep(2 * dice);
  else if (dice < 0.2) {
    const end = performance.now() + dice / 4;
    while (performance.now() < end);
  }
}

function openWords(path: string) {
  const file = openSync(path, { read: true, write: true });
  const words = file.view(Int32Array);
  const at = (index: number) => index * STRIDE / 4;
  return {
    [Symbol.dispose]: () => file.close(),
    load: (index: number) => Atomics.load(words, at(index)),
    add(index: number) {
      Atomics.add(words, at(index), 1);
      file.notify(index * STRIDE);
    },
    /** Waits for a value that follows the earlier ones. */
    async reach(index: number, value: number) {
      for (;;) {
        const now = Atomics.load(words, at(index));
        if (now === value) return;
        if (now > value) throw new Error(`Missed ${value}: ${now} is next`);
        await file.wait(index * STRIDE, now);
      }
    },
    wait: (index: number, expected: number) =>
      file.wait(index * STRIDE, expected),
  };
}

export const tasks: Record<string, Task> = {
  /** One of several tasks that pass a turn around: each has a word, and adds to the next one's. */
  async handOn(path, me, all, rounds) {
    using words = openWords(path);
    for (let round = 1; round <= rounds; round++) {
      if (me > 0 || round > 1) {
        await words.reach(me, me > 0 ? round : round - 1);
      }
      await delay();
      words.add((me + 1) % all);
    }
    return "handed on";
  },

  /** Counts for all others: adds to word 0 once each of them has answered, at its word. */
  async count(path, all, rounds) {
    using words = openWords(path);
    const others = Array.from({ length: all }, (_, i) => i + 1);
    for (let round = 1; round <= rounds; round++) {
      words.add(0);
      await Promise.all(others.map((other) => words.reach(other, round)));
      await delay();
    }
    return "counted";
  },

  /** One of those: answers to every number. */
  async answer(path, me, rounds) {
    using words = openWords(path);
    for (let round = 1; round <= rounds; round++) {
      await words.reach(0, round);
      await delay();
      words.add(me);
    }
    return "answered";
  },

  /** Adds to word 0, as other tasks do. */
  async add(path, _me, rounds) {
    using words = openWords(path);
    for (let round = 0; round < rounds; round++) {
      words.add(0);
      await delay();
    }
    return "added";
  },

  /** Waits until word 0 reaches a sum. */
  async sum(path, total) {
    using words = openWords(path);
    for (let now = words.load(0); now < total; now = words.load(0)) {
      await words.wait(0, now);
    }
    return String(words.load(0));
  },

  /** Waits on a word and notifies another in an endless loop. */
  async disturb(path, waited, notified) {
    using words = openWords(path);
    for (;;) {
      const now = words.load(waited);
      await Promise.race([
        words.wait(waited, now),
        sleep(1),
      ]);
      words.add(notified);
    }
  },

  /** Waits on many words in an endless loop. */
  async leave(path, many) {
    const words = openWords(path);
    for (let index = 0; index < many; index++) void words.wait(index, 0);
    await words.wait(many, 0);
    return "woken";
  },
};

if (import.meta.main && Deno.args.length > 0) {
  const [name, path, ...args] = Deno.args as [string, string, ...string[]];
  console.log(await tasks[name]!(path, ...args.map(Number)));
}

if ("WorkerGlobalScope" in globalThis) {
  // Deno checks the types of a main thread.
  const scope = self as unknown as Worker;
  scope.onmessage = async ({ data: [name, path, ...args] }) => {
    scope.postMessage(await tasks[name]!(path, ...args));
  };
}
