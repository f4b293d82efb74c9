/**
 * All cases with their ways. The modules of file cases are loaded once for each subject: code that has
 * met one class of file only is what users run, and what V8 makes fast.
 *
 * @module
 */

import type { Case, Comparison, FileCase } from "./case.ts";
import { COMPARISONS as COSTS } from "./cases/costs.ts";
import { COMPARISONS as THREADS } from "./cases/threads.ts";
import { COMPARISONS as WORK } from "./cases/work.ts";
import { removeFolder, targetFolder } from "./files.ts";
import type { Work } from "./measure.ts";
import { ARRAYS, FS_FILE, MMAP_FILE, NODE_FS } from "./subjects.ts";

const MODULES = ["small", "read", "write", "calls", "streams"];

/** Each module's cases as one subject runs them. */
async function casesFor(subject: string): Promise<readonly Case[]> {
  const cases: Case[] = [];
  for (const name of MODULES) {
    const module: { CASES: readonly Case[] } = await import(
      `./cases/${name}.ts?subject=${encodeURIComponent(subject)}`
    );
    cases.push(...module.CASES);
  }
  return cases;
}

// A plain case is a file case too.
const FS_FILE_CASES: readonly FileCase[] = await casesFor(FS_FILE.name);
const MMAP_CASES: readonly FileCase[] = await casesFor(MMAP_FILE.name);
const NODE_CASES = await casesFor(NODE_FS.name);
const ARRAY_CASES = await casesFor(ARRAYS.name);

function waysOf(i: number): Comparison["ways"] {
  const ways: Record<string, (folder: string) => Work | Promise<Work>> = {
    [FS_FILE.name]: (folder) => FS_FILE_CASES[i]!.prepare(FS_FILE, folder),
    [MMAP_FILE.name]: (folder) => MMAP_CASES[i]!.prepare(MMAP_FILE, folder),
  };
  const node = NODE_CASES[i]!;
  if ("also" in node && node.also.includes("node:fs")) {
    ways[NODE_FS.name] = (folder) => node.prepare(NODE_FS, folder);
  }
  const arrays = ARRAY_CASES[i]!;
  if ("also" in arrays && arrays.also.includes("memory")) {
    ways[ARRAYS.name] = (folder) => arrays.prepare(ARRAYS, folder);
  }
  return "others" in node ? { ...ways, ...node.others } : ways;
}

/** All comparisons, in the order of the report. */
export const COMPARISONS: readonly Comparison[] = [
  ...WORK,
  ...MMAP_CASES.map((facts, i) => ({ ...facts, ways: waysOf(i) })),
  ...THREADS,
  ...COSTS,
];

/** What is measured of a comparison. */
export interface Prepared extends Disposable {
  readonly names: string[];
  readonly works: Work[];
}

/** Makes all ways of a comparison ready. Each must return the same result, or they do not do the same. */
export async function prepare(comparison: Comparison): Promise<Prepared> {
  const { name, ways, count } = comparison;
  const folder = targetFolder();
  const works: Work[] = [];
  const prepared = {
    names: Object.keys(ways),
    works,
    [Symbol.dispose]() {
      for (const work of works) work.close();
      removeFolder(folder);
    },
  };
  try {
    const results: number[] = [];
    for (const way of Object.values(ways)) {
      const work = await way(folder);
      works.push(work);
      work.before?.();
      results.push(await work.run(count));
    }
    if (new Set(results).size !== 1) {
      throw new Error(`${name}: the ways differ: ${results.join(", ")}`);
    }
    return prepared;
  } catch (error) {
    prepared[Symbol.dispose]();
    throw error;
  }
}
