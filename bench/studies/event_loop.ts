/**
 * How late a timer comes that is due each millisecond while 512 MB are flushed, prefetched or
 * streamed: the worst of some runs, with `Deno.FsFile` and `MmapFile` by turns.
 *
 * @module
 */

import { openSync } from "../../mod.ts";
import { evict, sharedFile } from "../files.ts";
import { duration } from "../measure.ts";
import type { Job, Line, Study } from "../study.ts";

const SIZE = 512 << 20;
const RUNS = 3;

/** What is done, and how what must be ready for it is made so, unmeasured. */
interface Task {
  before?(path: string): void;
  run(path: string): Promise<void>;
}

const TASKS: Record<string, { fsFile: Task; mmapFile: Task }> = {
  "nothing: a second's sleep": { fsFile: sleep(), mmapFile: sleep() },
  "sync(), 512 MB just written": {
    fsFile: {
      before: rewrite,
      async run(path) {
        using file = Deno.openSync(path, { write: true });
        await file.sync();
      },
    },
    mmapFile: {
      before: rewrite,
      async run(path) {
        using file = openSync(path, { write: true });
        await file.sync();
      },
    },
  },
  "prefetch(), or read through": {
    fsFile: {
      before: evict,
      async run(path) {
        using file = Deno.openSync(path);
        const buffer = new Uint8Array(1 << 20);
        while (await file.read(buffer) !== null);
      },
    },
    mmapFile: {
      before: evict,
      async run(path) {
        using file = openSync(path);
        await file.prefetch();
      },
    },
  },
  "readable, drained": {
    fsFile: { run: (path) => drain(Deno.openSync(path).readable) },
    mmapFile: { run: (path) => drain(openSync(path).readable) },
  },
};

export const EVENT_LOOP: Study = {
  title: "How late timers come",
  about:
    `A timer is due every millisecond while 512 MB are moved; the worst of ${RUNS} runs by turns.`,
  columns: { "Deno.FsFile": duration, "MmapFile": duration },
  jobs: Object.keys(TASKS).map((name): Job => ({
    id: `event loop: ${name}`,
    seconds: 8,
    run: async () => [await measureTask(name)],
  })),
  ratios: (lines) =>
    lines.map(({ name, values }) => ({
      group: "Delay of timers",
      name: `Delay of timers, ${name}`,
      ratio: values["Deno.FsFile"] / values["MmapFile"],
    })).slice(1),
};

async function measureTask(name: string): Promise<Line> {
  const { fsFile, mmapFile } = TASKS[name];
  const path = sharedFile(SIZE);
  const worst = { "Deno.FsFile": 0, "MmapFile": 0 };
  for (let run = 0; run < RUNS; run++) {
    for (
      const [side, task] of [["Deno.FsFile", fsFile], [
        "MmapFile",
        mmapFile,
      ]] as const
    ) {
      task.before?.(path);
      const late = await watchTimer(() => task.run(path));
      worst[side] = Math.max(worst[side], late * 1e6);
    }
  }
  return { name, values: worst };
}

/** The most milliseconds by which a timer was late meanwhile that was due every millisecond. */
export async function watchTimer(run: () => Promise<void>): Promise<number> {
  let last = performance.now();
  let worst = 0;
  const tick = () => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 1);
    last = now;
  };
  const timer = setInterval(tick, 1);
  await run();
  tick();
  clearInterval(timer);
  return worst;
}

function sleep(): Task {
  return { run: () => new Promise((resolve) => setTimeout(resolve, 1000)) };
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stream.getReader();
  while (!(await reader.read()).done);
}

/** Makes all of a file's pages dirty. */
function rewrite(path: string): void {
  const block = new Uint8Array(1 << 20).fill(1);
  using file = Deno.openSync(path, { write: true });
  for (let left = SIZE; left > 0;) left -= file.writeSync(block);
}
