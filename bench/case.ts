/**
 * What a case of the benchmark is. The cases themselves are in `cases/`, each written once for all that
 * it is measured with.
 *
 * @module
 */

import type { Work } from "./measure.ts";
import type { PlainFile, PlainSubject, Subject } from "./subjects.ts";

/** What a case is, apart from its work. */
export interface Facts {
  /** What it belongs to in the tables and in the chart. */
  readonly group: string;
  readonly name: string;
  /** How many times as fast as the first way the second has to be; 0 where nothing is promised. */
  readonly target: number;
  /** Whether the table of the Go original has it. */
  readonly original?: boolean | undefined;
  /** Whether `deno task bench` leaves it out. */
  readonly long?: boolean | undefined;
  /** How often one iteration of `deno bench` does it; and one run, where the work has a `before`. */
  readonly count: number;
  /** Why it is slower, where it is: one sentence for the report. */
  readonly reason?: string | undefined;
}

/** A case of reads and writes alone, which ordinary arrays and node:fs can do too. */
export interface PlainCase extends Facts {
  readonly also: readonly ("memory" | "node:fs")[];
  /** What else a user would take. */
  readonly others?: Comparison["ways"];
  prepare<File extends PlainFile>(
    subject: PlainSubject<File>,
    folder: string,
  ): Work;
}

/** A case that is measured with `Deno.FsFile` and `MmapFile`. */
export interface FileCase extends Facts {
  prepare<File extends Deno.FsFile>(
    subject: Subject<File>,
    folder: string,
  ): Work;
}

export type Case = PlainCase | FileCase;

/**
 * A case with its ways: the first is what the second is compared with, others are shown beside them.
 * Each makes its work ready, with a folder for the files that it writes.
 */
export interface Comparison extends Facts {
  readonly ways: {
    readonly [name: string]: (folder: string) => Work | Promise<Work>;
  };
}

/** Why opening is slower. */
export const OPENING =
  "Opening also proves that it is a regular file and asks for its size: one more system call.";

export const KB = 1024;
export const MB = 1024 * KB;
export const GB = 1024 * MB;

/** What is read at a time. */
export const PIECE = 4 * KB;

/** The sizes of the original, each with its name. */
const SIZES: readonly (readonly [string, number])[] = [
  ["1 KB", KB],
  ["10 KB", 10 * KB],
  ["100 KB", 100 * KB],
  ["1 MB", MB],
  ["10 MB", 10 * MB],
  ["100 MB", 100 * MB],
  ["500 MB", 500 * MB],
  ["1 GB", GB],
];

/** The facts of a case for each size of the original, with its targets in their order. */
export function factsOfSizes(
  group: string,
  targets: readonly number[],
): (Facts & { size: number })[] {
  return SIZES.map(([name, size], i) => ({
    group,
    name: `${group} ${name}`,
    target: targets[i]!,
    original: true,
    // One small, one middling and one larger size are enough for a first look.
    long: ![KB, 100 * KB, 10 * MB].includes(size),
    // An iteration moves 1 MB at least.
    count: Math.max(1, Math.floor(MB / size)),
    size,
  }));
}

/** Numbers from 0 to `limit`, the same each time, and more of them than a cache holds pages. */
export function randomOffsets(limit: number): Uint32Array {
  const offsets = new Uint32Array(64 * KB);
  let state = 1;
  for (let i = 0; i < offsets.length; i++) {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    offsets[i] = Math.floor(state / 2 ** 32 * limit);
  }
  return offsets;
}
