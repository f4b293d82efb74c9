/** The files of a fuzz run, and what every process knows about them. */

import { pattern } from "../bytes.ts";

/** Files that everybody writes, cuts, lengthens, deletes and makes again. */
export const WILD = 6;

/** Files that only the vandal cuts, never below `PREFIX`, and lengthens by zeros or what belongs there. */
export const PATTERNED = 3;

/** Bytes that nobody cuts from a patterned file: it ends within a page. */
export const PREFIX = 300_123;

/** Bytes of a patterned file that is whole. */
export const WHOLE = 1_500_000;

/** Bytes that a wild file is cut or lengthened to at most. */
export const LARGEST = 3 << 20;

/** What a patterned file holds when it is whole. */
export const PATTERN = pattern(WHOLE);

/** Two sets of files: those of workers that are terminated stay open for ever, the others must not. */
export const SETS = ["kept", "left"] as const;
export type SetName = typeof SETS[number];

export function wild(directory: string, set: SetName, i: number): string {
  return `${directory}/${set}/wild${i}`;
}

export function patterned(directory: string, set: SetName, i: number): string {
  return `${directory}/${set}/pattern${i}`;
}

/** Makes a patterned file anew; who has the old one open keeps it. */
export function writePattern(path: string): void {
  Deno.writeFileSync(`${path}.new`, PATTERN);
  Deno.renameSync(`${path}.new`, path);
}

/** Makes all of the files. */
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
