/** The files of a fuzz run, and what every process knows about them. */

import { pattern } from "../bytes.ts";

/** Files that every process writes, truncates, extends, deletes and creates again. */
export const WILD = 6;

/** Files that only `file_mutator.ts` truncates, never below `PREFIX`, and extends by zeros or the pattern. */
export const PATTERNED = 3;

/** The least size of a patterned file. It ends within a page. */
export const PREFIX = 300_123;

/** The size of a complete patterned file. */
export const WHOLE = 1_500_000;

/** The largest size that a wild file is truncated or extended to. */
export const LARGEST = 3 << 20;

/** The bytes of a complete patterned file. */
export const PATTERN = pattern(WHOLE);

/** Two sets of files: those of terminated workers stay open forever, the others must not. */
export const SETS = ["kept", "left"] as const;
export type SetName = typeof SETS[number];

export function wild(directory: string, set: SetName, i: number): string {
  return `${directory}/${set}/wild${i}`;
}

export function patterned(directory: string, set: SetName, i: number): string {
  return `${directory}/${set}/pattern${i}`;
}

/** Replaces a patterned file by a new one; processes that have the old one open keep it. */
export function writePattern(path: string): void {
  Deno.writeFileSync(`${path}.new`, PATTERN);
  Deno.renameSync(`${path}.new`, path);
}

/** Creates all files. */
export function makeFiles(directory: string): void {
  for (const set of SETS) {
    Deno.mkdirSync(`${directory}/${set}`);
    for (let i = 0; i < WILD; i++) {
      Deno.writeFileSync(
        wild(directory, set, i),
        PATTERN.subarray(0, i * 200_000),
      );
    }
    for (let i = 0; i < PATTERNED; i++) {
      writePattern(patterned(directory, set, i));
    }
  }
}
