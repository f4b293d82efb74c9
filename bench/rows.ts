/**
 * What a row of the benchmark is. The rows themselves are in `*_rows.ts`, each written once:
 * `deno bench`, the pairs and the report run the same.
 *
 * @module
 */

import type { Side } from "./sides.ts";

/** One comparison. */
export interface Row {
  /** What it belongs to in the table and in the chart. */
  readonly family: string;
  readonly name: string;
  /** How many times as fast as `Deno.FsFile` it has to be. */
  readonly target: number;
  /** Whether the table of the Go original has it. */
  readonly original?: boolean;
  /** Whether `deno task bench` leaves it out: it moves much, or differs little from one that is in. */
  readonly long?: boolean;
  /** How often one iteration of `deno bench` does it; and one run, where the work has a `before`. */
  readonly count: number;
  /** Opens what is needed, which is not measured. */
  prepare<File extends Deno.FsFile>(side: Side<File>, folder: string): Work;
}

/** What is measured of a row. */
export interface Work {
  /** Makes ready for the next run, unmeasured. Where there is one, a run does it `Row.count` times. */
  before?(): void;
  /** Does it `count` times. The result depends on all that was done, and is the same on both sides. */
  run(count: number): number | Promise<number>;
  close(): void;
}

export const KB = 1024;
export const MB = 1024 * KB;
export const GB = 1024 * MB;

/** What is read at a time. */
export const PIECE = 4 * KB;

/** The sizes of the original, each with its name. */
export const SIZES: readonly (readonly [string, number])[] = [
  ["1 KB", KB],
  ["10 KB", 10 * KB],
  ["100 KB", 100 * KB],
  ["1 MB", MB],
  ["10 MB", 10 * MB],
  ["100 MB", 100 * MB],
  ["500 MB", 500 * MB],
  ["1 GB", GB],
];

/** A row for each size of the original, with its targets in their order. */
export function rowsOfSizes(
  family: string,
  targets: readonly number[],
  prepare: (size: number) => Row["prepare"],
): Row[] {
  return SIZES.map(([name, size], i) => ({
    family,
    name: `${family} ${name}`,
    target: targets[i],
    original: true,
    long: size > 10 * MB,
    // An iteration moves 1 MB at least.
    count: Math.max(1, Math.floor(MB / size)),
    prepare: prepare(size),
  }));
}
