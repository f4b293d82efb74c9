#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Measures each row in alternating pairs - `Deno.FsFile`, `MmapFile`, and again - so that what else
 * the machine does meets both, and prints the median of the pairs' ratios beside its target.
 *
 * @module
 */

import { type Comparison, COMPARISONS } from "./both.ts";
import { duration, quantile, table, timePairs } from "./measure.ts";
import type { Work } from "./rows.ts";
import { makeFolder } from "./sides.ts";

const USAGE =
  `Usage: deno task bench:pairs [--pairs=21] [part of a row's name]`;

const { pairs, part } = parse(Deno.args);
const folder = makeFolder();
try {
  const rows = [];
  for (const comparison of COMPARISONS) {
    if (!comparison.row.name.includes(part)) continue;
    console.error(`measuring ${comparison.row.name}`);
    rows.push(await measure(comparison));
  }
  const { deno, v8 } = Deno.version;
  console.log(`
Deno ${deno} (V8 ${v8}), ${Deno.build.os} ${Deno.build.arch}, \
${navigator.hardwareConcurrency} processors, ${
    new Date().toISOString().slice(0, 10)
  }; medians of ${pairs} pairs:

${
    table([
      ["", "Deno.FsFile", "MmapFile", "times as fast", "quartiles", "target"],
      ...rows,
    ])
  }`);
} finally {
  Deno.removeSync(folder, { recursive: true });
}

/** The cells of one row of the table. */
async function measure({ row, prepare }: Comparison): Promise<string[]> {
  using prepared = prepare(folder);
  const { fsFile, mmapFile } = prepared;
  await assertSame(fsFile, mmapFile);
  const times = await timePairs(fsFile, mmapFile, pairs);
  const fsTimes = times.map(([time]) => time);
  const mmapTimes = times.map(([, time]) => time);
  const ratios = fsTimes.map((time, i) => time / mmapTimes[i]);
  const ratio = quantile(ratios, 0.5);
  return [
    row.name,
    duration(quantile(fsTimes, 0.5)),
    duration(quantile(mmapTimes, 0.5)),
    ratio.toFixed(2),
    `${quantile(ratios, 0.25).toFixed(2)} to ${
      quantile(ratios, 0.75).toFixed(2)
    }`,
    `${row.target.toFixed(2)}${ratio < row.target ? " missed" : ""}`,
  ];
}

/** Both sides give the same result, or they do not do the same. */
async function assertSame(one: Work, other: Work): Promise<void> {
  const results = [await one.run(1000), await other.run(1000)];
  if (results[0] !== results[1]) {
    throw new Error(`The sides differ: ${results.join(", ")}`);
  }
}

function parse(args: string[]): { pairs: number; part: string } {
  let pairs = 21;
  let part = "";
  for (const arg of args) {
    if (arg.startsWith("--pairs=")) pairs = Number(arg.slice(8));
    else if (arg.startsWith("-")) usage(arg === "--help" ? 0 : 1);
    else part = arg;
  }
  if (!Number.isInteger(pairs) || pairs < 1) usage(1);
  return { pairs, part };
}

function usage(code: number): never {
  (code === 0 ? console.log : console.error)(USAGE);
  Deno.exit(code);
}
