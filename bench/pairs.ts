/**
 * Measures rows in alternating pairs - `Deno.FsFile`, `MmapFile`, and again - so that what else the
 * machine does meets both. `deno task bench:pairs` prints the table of some rows.
 *
 * @module
 */

import { type Comparison, COMPARISONS } from "./both.ts";
import { duration, quantile, table, timePairs } from "./measure.ts";
import type { Row, Work } from "./rows.ts";

/** What was measured of a row: ratios are times as fast, times are medians in nanoseconds. */
export interface Measurement {
  readonly row: Omit<Row, "prepare">;
  readonly fsFile: number;
  readonly mmapFile: number;
  readonly ratio: number;
  /** The quartiles of the pairs' ratios. */
  readonly low: number;
  readonly high: number;
}

/** Measures a row. */
export async function measure(
  { row, prepare }: Comparison,
  pairs: number,
): Promise<Measurement> {
  using prepared = prepare();
  const { fsFile, mmapFile } = prepared;
  await assertSame(row, fsFile, mmapFile);
  const times = await timePairs(fsFile, mmapFile, pairs, row.count);
  const ratios = times.map(([fsFile, mmapFile]) => fsFile / mmapFile);
  const { prepare: _, ...facts } = row;
  return {
    row: facts,
    fsFile: quantile(times.map(([time]) => time), 0.5),
    mmapFile: quantile(times.map(([, time]) => time), 0.5),
    ratio: quantile(ratios, 0.5),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
  };
}

/** Whether a row is slower than it has to be. 0.95 in place of 1 is noise. */
export function isMissed({ row, ratio }: Measurement): boolean {
  return ratio < (row.target === 1 ? 0.95 : row.target);
}

/** The table of what was measured. */
export function resultTable(measurements: readonly Measurement[]): string {
  return table([
    ["", "Deno.FsFile", "MmapFile", "times as fast", "quartiles", "target"],
    ...measurements.map((measurement) => [
      measurement.row.name,
      duration(measurement.fsFile),
      duration(measurement.mmapFile),
      measurement.ratio.toFixed(2),
      `${measurement.low.toFixed(2)} to ${measurement.high.toFixed(2)}`,
      target(measurement),
    ]),
  ]);
}

/** The table without what only a maintainer needs. */
export function shortTable(measurements: readonly Measurement[]): string {
  return table([
    ["", "Deno.FsFile", "MmapFile", "times as fast"],
    ...measurements.map(({ row, fsFile, mmapFile, ratio }) => [
      row.name,
      duration(fsFile),
      duration(mmapFile),
      ratio.toFixed(2),
    ]),
  ]);
}

function target(measurement: Measurement): string {
  const { target } = measurement.row;
  if (target === 0) return "";
  return `${target}${isMissed(measurement) ? " missed" : ""}`;
}

/** Both sides give the same result, or they do not do the same. */
async function assertSame(row: Row, one: Work, other: Work): Promise<void> {
  const results = [];
  for (const work of [one, other]) {
    work.before?.();
    results.push(await work.run(row.count));
  }
  if (results[0] !== results[1]) {
    throw new Error(`${row.name}: the sides differ: ${results.join(", ")}`);
  }
}

const USAGE =
  `Usage: deno task bench:pairs [--pairs=21] [part of a row's name]`;

async function main(args: string[]): Promise<void> {
  let pairs = 21;
  let part = "";
  for (const arg of args) {
    if (arg.startsWith("--pairs=")) pairs = Number(arg.slice(8));
    else if (arg.startsWith("-")) usage(arg === "--help" ? 0 : 1);
    else part = arg;
  }
  if (!Number.isInteger(pairs) || pairs < 1) usage(1);
  const measurements: Measurement[] = [];
  for (const comparison of COMPARISONS) {
    if (!comparison.row.name.includes(part)) continue;
    console.error(`measuring ${comparison.row.name}`);
    measurements.push(await measure(comparison, pairs));
  }
  console.log(resultTable(measurements));
}

function usage(code: number): never {
  (code === 0 ? console.log : console.error)(USAGE);
  Deno.exit(code);
}

if (import.meta.main) await main(Deno.args);
