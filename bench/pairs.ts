#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Measures each row in alternating pairs - `Deno.FsFile`, `MmapFile`, and again - so that what else
 * the machine does meets both, and prints the median of the pairs' ratios beside its target.
 *
 * @module
 */

import { type Comparison, COMPARISONS } from "./both.ts";
import type { Work } from "./rows.ts";
import { makeFolder } from "./sides.ts";

const USAGE =
  `Usage: deno task bench:pairs [--pairs=21] [part of a row's name]`;

/** How long one side of a pair runs. */
const SAMPLE_MS = 20;

/** How long each side runs before it counts: V8 compiles the code, the file's pages are touched. */
const WARM_UP_MS = 250;

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
  const fsCount = await warmUp(fsFile);
  const mmapCount = await warmUp(mmapFile);

  const fsTimes: number[] = [];
  const mmapTimes: number[] = [];
  for (let i = 0; i < pairs; i++) {
    fsTimes.push(await time(fsFile, fsCount));
    mmapTimes.push(await time(mmapFile, mmapCount));
  }
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

/** Runs the work until it is as fast as it gets; gives the count that takes a sample's time. */
async function warmUp(work: Work): Promise<number> {
  const end = performance.now() + WARM_UP_MS;
  let count = 1;
  for (;;) {
    const ms = await time(work, count) * count / 1e6;
    if (ms < SAMPLE_MS) count = Math.ceil(count * Math.min(2, SAMPLE_MS / ms));
    else if (performance.now() > end) return count;
  }
}

/** Nanoseconds that the work takes, once. */
async function time(work: Work, count: number): Promise<number> {
  const start = performance.now();
  await work.run(count);
  return (performance.now() - start) * 1e6 / count;
}

function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * part)];
}

function duration(ns: number): string {
  if (ns < 1000) return `${ns.toFixed(ns < 10 ? 1 : 0)} ns`;
  const us = ns / 1000;
  return `${us.toFixed(us < 100 ? 1 : 0)} µs`;
}

/** A table in Markdown that can be read as it is. */
function table([head, ...rows]: string[][]): string {
  const widths = head.map((_, i) =>
    Math.max(...[head, ...rows].map((cells) => cells[i].length))
  );
  const line = (cells: string[]) =>
    `| ${
      cells.map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
      ).join(" | ")
    } |`;
  const rule = widths.map((width, i) =>
    "-".repeat(i === 0 ? width : width - 1) + (i === 0 ? "" : ":")
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
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
