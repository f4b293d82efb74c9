/**
 * What is measured otherwise than in pairs: a study is a table whose lines are measured by jobs.
 *
 * @module
 */

import { table } from "./measure.ts";

/** A line of a study's table. */
export interface Line {
  readonly name: string;
  /** By column. What could not be measured is left out. */
  readonly values: { readonly [column: string]: number };
  /** In place of values: why there are none. */
  readonly note?: string;
}

/** A part of a study that is measured at once, and kept if what follows is interrupted. */
export interface Job {
  /** The same in each run. */
  readonly id: string;
  /** How long it takes on two quiet processors of 2 to 3 GHz. */
  readonly seconds: number;
  run(): Promise<Line[]>;
}

export interface Study {
  readonly title: string;
  /** What is measured and how, and why a side loses: for the report. */
  readonly about: string;
  /** How the values of each column are shown. */
  readonly columns: { readonly [name: string]: (value: number) => string };
  readonly jobs: readonly Job[];
  /** Where `MmapFile` is slower, of the lines. */
  losses?(lines: readonly Line[]): Loss[];
}

/** What is slower than what it is compared with, by how much, and why. */
export interface Loss {
  readonly name: string;
  readonly ratio: number;
  readonly reason?: string;
}

/** The losses of lines whose names end in the side that they are of, by a column of times. */
export function lossesBySide(
  lines: readonly Line[],
  column: string,
  reason: string,
): Loss[] {
  const times = new Map(
    lines.map(({ name, values }) => [name, values[column]]),
  );
  return lines.flatMap(({ name, values }) => {
    const other = times.get(name.replace("MmapFile", "Deno.FsFile"));
    const ratio = other === undefined ? NaN : other / values[column];
    return ratio < 0.95 ? [{ name, ratio, reason }] : [];
  });
}

/** The study's part of the report. */
export function studyText(
  { title, about, columns }: Study,
  lines: readonly Line[],
): string {
  const names = Object.keys(columns).filter((column) =>
    lines.some(({ values }) => column in values)
  );
  const rows = lines.map(({ name, values, note }) => [
    note === undefined ? name : `${name}: ${note}`,
    ...names.map((column) =>
      column in values ? columns[column](values[column]) : ""
    ),
  ]);
  return `### ${title}\n\n${about}\n\n${table([["", ...names], ...rows])}`;
}
