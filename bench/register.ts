/**
 * Hands the rows of a theme to `deno bench`.
 *
 * @module
 */

import { COMPARISONS } from "./both.ts";
import type { Theme, Work } from "./rows.ts";
import { FS_FILE, makeFolder, MMAP_FILE } from "./sides.ts";

/** How often one iteration does what its group says: a microsecond in the report is a nanosecond each. */
const COUNT = 1000;

/** Registers the rows of a theme, each as a group with `Deno.FsFile` as its baseline. */
export function register(theme: Theme): void {
  const folder = makeFolder();
  addEventListener("unload", () => {
    Deno.removeSync(folder, { recursive: true });
  });
  for (const { row, prepare } of COMPARISONS) {
    if (row.theme !== theme) continue;
    const { fsFile, mmapFile } = prepare(folder);
    const group = `${row.name}, ${COUNT} times`;
    Deno.bench({ name: FS_FILE.name, group, baseline: true, fn: fn(fsFile) });
    Deno.bench({ name: MMAP_FILE.name, group, fn: fn(mmapFile) });
  }
}

function fn(work: Work): () => Promise<void> {
  return async () => {
    await work.run(COUNT);
  };
}
