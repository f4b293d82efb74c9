/**
 * Measuring two things in alternating pairs, so that what else the machine does meets both.
 *
 * @module
 */

import type { Work } from "./rows.ts";

/** How long one side of a pair runs. */
const SAMPLE_MS = 20;

/** How long each side runs before it counts: V8 compiles the code, the file's pages are touched. */
const WARM_UP_MS = 250;

/** How often at least: the second time is another one than the first, of a file that is written. */
const WARM_UPS = 3;

/** What is measured of work: its `close` is the caller's. */
export type Measured = Pick<Work, "run" | "before">;

/**
 * Nanoseconds that one and the other take, time and again. Work that is made ready anew for each
 * run does it `count` times in one.
 */
export async function timePairs(
  one: Measured,
  other: Measured,
  pairs: number,
  count = 1,
): Promise<[number, number][]> {
  const oneCount = await warmUp(one, count);
  const otherCount = await warmUp(other, count);
  const times: [number, number][] = [];
  for (let i = 0; i < pairs; i++) {
    times.push([await time(one, oneCount), await time(other, otherCount)]);
  }
  return times;
}

/** Runs the work until it is as fast as it gets; gives the count that takes a sample's time. */
async function warmUp(work: Measured, count: number): Promise<number> {
  const end = performance.now() + WARM_UP_MS;
  for (let runs = 1;; runs++) {
    const ms = await time(work, count) * count / 1e6;
    if (ms < SAMPLE_MS && work.before === undefined) {
      count = Math.ceil(count * Math.min(2, SAMPLE_MS / ms));
    } else if (runs >= WARM_UPS && performance.now() > end) return count;
  }
}

/** Nanoseconds that the work takes, once. */
async function time(work: Measured, count: number): Promise<number> {
  work.before?.();
  const start = performance.now();
  await work.run(count);
  return (performance.now() - start) * 1e6 / count;
}

/** The value below which a part of them lies: 0.5 gives the median. */
export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * part)];
}

/** Nanoseconds for a reader. */
export function duration(ns: number): string {
  if (ns < 1000) return `${ns.toFixed(ns < 10 ? 1 : 0)} ns`;
  const us = ns / 1000;
  if (us < 1000) return `${us.toFixed(us < 100 ? 1 : 0)} µs`;
  const ms = us / 1000;
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
}

/** A table in Markdown that can be read as it is. */
export function table([head, ...rows]: string[][]): string {
  const widths = head.map((_, i) =>
    Math.max(...[head, ...rows].map((cells) => cells[i].length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
      ).join(" | ")
    } |`;
  const rule = widths.map((width, i) =>
    "-".repeat(i === 0 ? width : width - 1) + (i === 0 ? "" : ":")
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
