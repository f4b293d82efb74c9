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
  /** Whether quartiles are too far apart for the lines to count. */
  isNoisy?(lines: readonly Line[]): boolean;
}

export interface Study {
  readonly title: string;
  /** What is measured and how, and why a side loses: for the report. */
  readonly about: string;
  /** How the values of each column are shown. */
  readonly columns: { readonly [name: string]: (value: number) => string };
  readonly jobs: readonly Job[];
  /** How many times as fast `MmapFile` is, of the lines that compare it. */
  ratios?(lines: readonly Line[]): Ratio[];
}

/** How many times as fast something is, for the chart and the list of what is slower. */
export interface Ratio {
  readonly group: string;
  readonly name: string;
  readonly ratio: number;
  /** Why it is slower, where it is: one sentence. */
  readonly reason?: string | undefined;
}

/** Whether it is slower, and not by noise. */
export function isLosing({ ratio }: Pick<Ratio, "ratio">): boolean {
  return ratio < 0.95;
}

/** The ratios of lines whose names end in the side that they are of, by a column of times. */
export function ratiosBySide(
  group: string,
  lines: readonly Line[],
  column: string,
  reason?: string,
): Ratio[] {
  const times = new Map(
    lines.map(({ name, values }) => [name, values[column]]),
  );
  return lines.flatMap(({ name, values }) => {
    const other = name.includes("MmapFile")
      ? times.get(name.replace(/MmapFile(, advice: "random")?/, "Deno.FsFile"))
      : undefined;
    if (other === undefined || !(column in values)) return [];
    const ratio = other / values[column]!;
    return [{ group, name: `${group}, ${name}`, ratio, reason }];
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
      column in values ? columns[column]!(values[column]!) : ""
    ),
  ]);
  return `### ${title}\n\n${about}\n\n${table([["", ...names], ...rows])}`;
}
