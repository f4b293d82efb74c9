/**
 * Hands rows to `deno bench`, each as a group with `Deno.FsFile` as its baseline.
 *
 * @module
 */

import { type Comparison, COMPARISONS, type Prepared } from "./both.ts";
import type { Row } from "./rows.ts";
import { FS_FILE, MMAP_FILE } from "./sides.ts";

/** Iterations of a row that takes its time. */
const FEW = { n: 10, warmup: 2 };

/** The name of a row's group: what one iteration does. */
export function groupName({ name, count }: Row): string {
  return count === 1 ? name : `${name}, ${count} times`;
}

/** Registers the rows that are wanted. */
export function register(isWanted: (row: Row) => boolean): void {
  for (const comparison of COMPARISONS) {
    const { row } = comparison;
    if (!isWanted(row)) continue;
    // Deno takes for async what is declared so.
    const common = { group: groupName(row), ...(isSlow(row) ? FEW : {}) };
    Deno.bench({
      name: FS_FILE.name,
      ...common,
      baseline: true,
      fn: async (b) => await run(b, comparison, "fsFile"),
    });
    Deno.bench({
      name: MMAP_FILE.name,
      ...common,
      fn: async (b) => await run(b, comparison, "mmapFile"),
    });
  }
}

function isSlow({ long, count }: Row): boolean {
  return long === true || count === 1;
}

/** The row that is being measured: the files of all of them would not fit. */
let current: { comparison: Comparison; prepared: Prepared } | undefined;

addEventListener("unload", () => current?.prepared[Symbol.dispose]());

async function run(
  b: Deno.BenchContext,
  comparison: Comparison,
  side: "fsFile" | "mmapFile",
): Promise<void> {
  if (current?.comparison !== comparison) {
    current?.prepared[Symbol.dispose]();
    current = { comparison, prepared: comparison.prepare() };
  }
  const work = current.prepared[side];
  work.before?.();
  b.start();
  await work.run(comparison.row.count);
  b.end();
}
