/**
 * `deno task bench`: the shorter cases for `deno bench`, each as a group with `Deno.FsFile` as its
 * baseline. A first look: it measures one side after the other.
 *
 * @module
 */

import type { Comparison } from "./case.ts";
import { COMPARISONS, prepare, type Prepared } from "./comparisons.ts";

/** Iterations of a case that takes its time. */
const FEW = { n: 10, warmup: 2 };

/** The case that is being measured: the files of all of them would not fit. */
let current: { comparison: Comparison; prepared: Prepared } | undefined;

addEventListener("unload", () => current?.prepared[Symbol.dispose]());

for (const comparison of COMPARISONS) {
  const { name, long, count, ways } = comparison;
  if (long) continue;
  for (const [i, way] of Object.keys(ways).slice(0, 2).entries()) {
    Deno.bench({
      // A filter goes by this name.
      name: `${name}: ${way}`,
      group: count === 1 ? name : `${name}, ${count} times`,
      baseline: i === 0,
      ...(count === 1 ? FEW : {}),
      // Deno takes for async what is declared so.
      fn: async (b) => await run(b, comparison, i),
    });
  }
}

async function run(
  b: Deno.BenchContext,
  comparison: Comparison,
  way: number,
): Promise<void> {
  if (current?.comparison !== comparison) {
    current?.prepared[Symbol.dispose]();
    current = undefined;
    current = { comparison, prepared: await prepare(comparison) };
  }
  const work = current.prepared.works[way];
  work!.before?.();
  b.start();
  await work!.run(comparison.count);
  b.end();
}
