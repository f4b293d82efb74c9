/**
 * Measuring the same work done in several ways, by turns, so that whatever else the machine does meets
 * each of them.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";

/** Work that is measured. */
export interface Work {
  /** Prepares the next run, unmeasured. Where there is one, a run does the work `Comparison.count` times. */
  before?(): void;
  /** Does the work `count` times. The result depends on all of it, and is the same for each way. */
  run(count: number): number | Promise<number>;
  close(): void;
}

/** Work that its caller closes. */
export type Measured = Pick<Work, "run" | "before">;

/** How long something is measured: `rounds` times, or fewer when `ms` have passed, but not below `MIN_ROUNDS`. */
export interface Limits {
  readonly rounds: number;
  readonly ms: number;
}

/** Below this quartiles say nothing. */
const MIN_ROUNDS = 5;

/** How long one run takes: the clock's resolution and the promise around a run are then below 0.1 %. */
const SAMPLE_MS = 20;

/** How long each work runs before it counts: V8 compiles the code, the file's pages are touched. */
const WARM_UP_MS = 250;

/** How often at least: a file's second write differs from its first. */
const WARM_UPS = 3;

/** Work that takes so long is warm after once. */
const LONG_MS = 500;

/**
 * Nanoseconds that each of the works takes, in each round. Works with a `before` run `count` times per
 * sample, others as often as fills a sample's time.
 */
export async function timeRounds(
  works: readonly Measured[],
  limits: Limits,
  count = 1,
): Promise<number[][]> {
  const end = performance.now() + limits.ms;
  const counts: number[] = [];
  for (const work of works) {
    counts.push(await warmUp(work, count, limits.ms / (4 * works.length)));
  }
  const rounds: number[][] = [];
  const order = works.map((_, i) => i);
  while (
    rounds.length < limits.rounds &&
    (rounds.length < MIN_ROUNDS || performance.now() < end)
  ) {
    const times: number[] = [];
    // Neither is always the one that runs after the other.
    for (const i of order) times[i] = await time(works[i]!, counts[i]!);
    order.reverse();
    rounds.push(times);
  }
  return rounds;
}

/** Runs the work until it is as fast as it gets. Returns the count that takes a sample's time. */
async function warmUp(
  work: Measured,
  count: number,
  ms: number,
): Promise<number> {
  const end = performance.now() + Math.min(ms, WARM_UP_MS);
  for (let runs = 1;; runs++) {
    const ms = await time(work, count) * count / 1e6;
    if (ms < SAMPLE_MS && work.before === undefined) {
      count = Math.ceil(count * Math.min(2, SAMPLE_MS / ms));
    } else if (
      ms > LONG_MS || (runs >= WARM_UPS && performance.now() > end)
    ) return count;
  }
}

/** Nanoseconds that the work takes once. */
async function time(work: Measured, count: number): Promise<number> {
  work.before?.();
  // Ctrl+C is heard, and what V8 has put off is done now.
  await setImmediate();
  const start = performance.now();
  await work.run(count);
  return (performance.now() - start) * 1e6 / count;
}

/** The value below which a part of them lies: 0.5 is the median. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * part)]!;
}

/** How far apart quartiles are, as a part of the ratio. */
export function spread(
  { low, high, ratio }: { low: number; high: number; ratio: number },
): number {
  return (high - low) / ratio;
}

/** A wider spread is of a busy machine. On a quiet one 2 cases of 90 had a wider one (measured). */
export const QUIET = 0.25;

/** Three digits of a positive number: enough that columns divide. */
export function digits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : value >= 0.1 ? 2 : 4);
}

/** Nanoseconds for a reader. */
export function duration(ns: number): string {
  if (ns < 999.5) return `${digits(ns)} ns`;
  if (ns < 999.5e3) return `${digits(ns / 1e3)} µs`;
  return `${digits(ns / 1e6)} ms`;
}

/** A number of bytes for a reader. */
export function byteSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < 3; unit++) bytes /= 1024;
  return `${Number(bytes.toFixed(1))} ${units[unit]}`;
}

/** A table in Markdown that can be read as it is. */
export function table(
  [head, ...rows]: [head: string[], ...rows: string[][]],
): string {
  const widths = head.map((_, i) =>
    Math.max(...[head, ...rows].map((cells) => cells[i]!.length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
      ).join(" | ")
    } |`;
  const rule = widths.map((width, i) =>
    "-".repeat(i === 0 ? width : width - 1) + (i === 0 ? "" : ":")
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
