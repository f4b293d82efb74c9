/**
 * How late a timer comes that is due each millisecond while 512 MB are flushed, prefetched or
 * streamed: the median of some runs, with `Deno.FsFile` and `MmapFile` by turns.
 *
 * @module
 */

import { openSync } from "../../mod.ts";
import { evict, sharedFile } from "../files.ts";
import { duration, quantile } from "../measure.ts";
import type { Job, Line, Study } from "../study.ts";

const SIZE = 512 << 20;
const RUNS = 5;

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
  "readable, drained, cold": {
    fsFile: {
      before: evict,
      run: (path) => drain(Deno.openSync(path).readable),
    },
    mmapFile: { before: evict, run: (path) => drain(openSync(path).readable) },
  },
  "for await over lines(), or readable, cold": {
    fsFile: {
      before: evict,
      run: (path) => drain(Deno.openSync(path).readable),
    },
    mmapFile: { before: evict, run: countLines },
  },
  "await read of 4 KiB, for a second": {
    fsFile: { run: (path) => readOn(Deno.openSync(path)) },
    mmapFile: { run: (path) => readOn(openSync(path)) },
  },
};

/** The worst delay, and the one that 99 % of the timer's turns stayed below. */
const PARTS = { "worst": 1, "99 %": 0.99 };

const SIDES = [["Deno.FsFile", "fsFile"], ["MmapFile", "mmapFile"]] as const;

export const EVENT_LOOP: Study = {
  title: "How late timers come",
  about:
    `A timer is due every millisecond while 512 MB are moved. Medians of ${RUNS} runs by turns.`,
  columns: {
    "Deno.FsFile, worst": duration,
    "Deno.FsFile, 99 %": duration,
    "MmapFile, worst": duration,
    "MmapFile, 99 %": duration,
  },
  jobs: Object.keys(TASKS).map((name): Job => ({
    id: `event loop: ${name}`,
    seconds: 10,
    run: async () => [await measureTask(name)],
  })),
  ratios([idle, ...lines]) {
    const column = "MmapFile, worst";
    return lines.map(({ name, values }) => ({
      group: "Delay of timers",
      name: `Delay of timers, ${name}`,
      ratio: values["Deno.FsFile, worst"]! / values[column]!,
      reason: values[column]! <= idle!.values[column]!
        ? "Timers are as late while nothing is done."
        : "Up to 4 MiB are handled between two turns of the event loop.",
    }));
  },
};

async function measureTask(name: string): Promise<Line> {
  const path = sharedFile(SIZE);
  const runs: Record<string, number[][]> = {
    "Deno.FsFile": [],
    "MmapFile": [],
  };
  for (let run = 0; run < RUNS; run++) {
    for (const [side, key] of SIDES) {
      const task = TASKS[name]![key];
      task.before?.(path);
      runs[side]!.push(await delaysDuring(() => task.run(path)));
    }
  }
  const values = SIDES.flatMap(([side]) =>
    Object.entries(PARTS).map(([label, part]) => [
      `${side}, ${label}`,
      medianDelay(runs[side]!, part),
    ])
  );
  return { name, values: Object.fromEntries(values) };
}

/** The delay below which a part of a run's are, in nanoseconds: the median of the runs. */
export function medianDelay(runs: readonly number[][], part: number): number {
  return 1e6 * quantile(runs.map((delays) => quantile(delays, part)), 0.5);
}

/** The milliseconds by which each turn of a timer was late while a task ran, the last one included. */
export async function delaysDuring(
  run: () => Promise<unknown>,
): Promise<number[]> {
  const delays: number[] = [];
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    // Not 0, which a ratio could not be taken of.
    delays.push(Math.max(0.001, now - last - 1));
    last = now;
  };
  const timer = setInterval(tick, 1);
  await run();
  tick();
  clearInterval(timer);
  return delays;
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

async function countLines(path: string): Promise<void> {
  using file = openSync(path);
  let bytes = 0;
  for await (const line of file.lines()) bytes += line.length;
  if (bytes === 0) throw new Error("There is not a line");
}

async function readOn(file: Deno.FsFile): Promise<void> {
  const buffer = new Uint8Array(4 << 10);
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    if (await file.read(buffer) === null) file.seekSync(0, 0);
  }
  file.close();
}
