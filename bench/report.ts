#!/usr/bin/env -S deno run -A
/**
 * `deno task bench:report`: all rows by `deno bench --json` and in alternating pairs, as JSON, table
 * and chart in `bench/results/`, and the chart and eight rows in the README.
 *
 * Times are `deno bench`'s, ratios the medians of the pairs.
 *
 * @module
 */

import { COMPARISONS } from "./both.ts";
import { chart } from "./chart.ts";
import { delayTable } from "./event_loop.ts";
import { makeFile, makeFolder } from "./files.ts";
import { describeMachine } from "./machine.ts";
import { quantile } from "./measure.ts";
import { measure, type Measurement, resultTable, shortTable } from "./pairs.ts";
import { endReaders, readIn, startReaders } from "./read_rows.ts";
import { groupName } from "./register.ts";
import { MB } from "./rows.ts";
import { FS_FILE, MMAP_FILE } from "./sides.ts";

const PAIRS = 11;

/** The rows that the README shows. */
const README_ROWS = [
  "Read 1 KB",
  "Read 1 GB, first touch",
  "ReadAt 4 KiB at random in 1 GB",
  "Write 1 KB",
  "Append 100 bytes",
  "Open and Close",
  "await read 4 KiB",
  "indexOf 18 bytes, 64 MB",
];

/** Reads that take a worker some 30 ms. */
const READS = 400_000;

const PROJECT = new URL("..", import.meta.url);
const RESULTS = new URL("./results/", import.meta.url);
const README = new URL("README.md", PROJECT);

const START = "<!-- benchmark: written by deno task bench:report -->";
const END = "<!-- /benchmark -->";

/** As much of what `deno bench --json` prints as is used. */
interface Bench {
  readonly benches: readonly {
    readonly group: string | null;
    readonly name: string;
    readonly results: readonly {
      readonly ok?: { readonly avg: number };
      readonly failed?: unknown;
    }[];
  }[];
}

console.error("deno bench, all rows");
const bench = await runBench();

const measurements: Measurement[] = [];
for (const comparison of COMPARISONS) {
  const { row } = comparison;
  console.error(`pairs: ${row.name}`);
  const measurement = await measure(comparison, PAIRS);
  measurements.push({
    ...measurement,
    fsFile: average(groupName(row), FS_FILE.name) / row.count,
    mmapFile: average(groupName(row), MMAP_FILE.name) / row.count,
  });
}

console.error("workers");
const workersText = `Each of two workers reads ${
  (await perWorker()).toFixed(2)
} times as fast as one alone.`;
console.error("event loop");
const delays = await delayTable();

const originals = measurements.filter(({ row }) => row.original);
const losing = measurements.filter(({ ratio, row }) =>
  ratio < 0.95 && row.target > 0
);
const mean = Math.exp(
  originals.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) /
    originals.length,
);
const folder = makeFolder();
const machine = describeMachine(folder);
Deno.removeSync(folder);

const meanText = `Geometric mean of the ${originals.length} rows of the Go ` +
  `package that this one is modeled on: ${
    mean.toFixed(2)
  } times as fast as Deno.FsFile.`;
const losingText = losing.length === 0
  ? "No row loses."
  : `Slower than Deno.FsFile: ${
    losing.map(({ row, ratio }) => `${row.name} (${ratio.toFixed(2)})`)
      .join(", ")
  }.`;
const madeText = `Made by \`deno task bench:report\`: times are the averages ` +
  `of \`deno bench\`, ratios the medians of ${PAIRS} alternating pairs, with ` +
  `their quartiles. ${machine.join(", ")}.`;
const table = resultTable(measurements);
const summary = `${meanText} ${losingText} ${workersText}`;
const delaysText = `How late a timer comes that is due every millisecond, ` +
  `the worst of three runs, while 512 MB are moved:\n\n${delays}`;

Deno.mkdirSync(RESULTS, { recursive: true });
write(
  "results.json",
  JSON.stringify({ machine, mean, measurements, bench }, withoutPaths, 1) +
    "\n",
);
write(
  "results.md",
  `# Results\n\n${madeText}\n\n${summary}\n\n${table}\n\n${delaysText}\n`,
);
write(
  "results.svg",
  chart(
    measurements,
    `MmapFile: ${mean.toFixed(1)} times as fast as Deno.FsFile`,
    `That is the geometric mean of the ${originals.length} rows of the Go original. The bars are times ` +
      `as fast, on a log scale: green is faster, grey even, red slower.\n${
        machine.join(", ")
      }`,
  ),
);
writeReadme(`\
![How many times as fast as Deno.FsFile each row is](bench/results/results.svg)

${
  shortTable(
    measurements.filter(({ row }) => README_ROWS.includes(row.name)),
  )
}

${meanText} [All ${measurements.length} rows](bench/results/results.md), with quartiles. ${
  machine.join(", ")
}.`);
await new Deno.Command(Deno.execPath(), {
  args: ["fmt", "--quiet", README.pathname, RESULTS.pathname],
}).output();
console.log(`${table}\n\n${summary}\n\n${delays}`);
// The chart's package may have left timers.
Deno.exit();

async function runBench(): Promise<Bench> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      // Deno lets nothing less see /dev/shm, where the tmpfs is.
      ...["bench", "--json", "--allow-all"],
      ...["bench/short_bench.ts", "bench/long_bench.ts"],
    ],
    cwd: PROJECT,
    stdin: "null",
    stderr: "inherit",
  }).output();
  const bench: Bench = JSON.parse(new TextDecoder().decode(stdout));
  if (success) return bench;
  for (const { group, name, results } of bench.benches) {
    for (const { failed } of results) {
      if (failed) console.error(`${group}, ${name}:`, failed);
    }
  }
  throw new Error("deno bench failed");
}

/**
 * How many times as fast two workers that read at once are as the slower of them alone: where in
 * memory its buffer happens to lie makes a worker a third slower or faster than another.
 */
async function perWorker(): Promise<number> {
  const folder = makeFolder();
  const workers = startReaders(MMAP_FILE.name, makeFile(folder, MB));
  const time = async (workers: Worker[]) => {
    const start = performance.now();
    await Promise.all(workers.map((worker) => readIn(worker, READS)));
    return performance.now() - start;
  };
  try {
    const [one, other] = workers;
    await time(workers);
    const ratios: number[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      const alone = Math.max(await time([one]), await time([other]));
      ratios.push(alone / await time(workers));
    }
    return quantile(ratios, 0.5);
  } finally {
    endReaders(workers);
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Leaves out where the files of the benches lie on this machine. */
function withoutPaths(key: string, value: unknown): unknown {
  return key === "origin" ? undefined : value;
}

/** Nanoseconds of an iteration. */
function average(group: string, name: string): number {
  const found = bench.benches.find((bench) =>
    bench.group === group && bench.name === name
  );
  const ok = found?.results[0].ok;
  if (ok === undefined) throw new Error(`${group}, ${name}: not measured`);
  return ok.avg;
}

function write(name: string, text: string): void {
  Deno.writeTextFileSync(new URL(name, RESULTS), text);
}

/** Puts the text between the marks. */
function writeReadme(text: string): void {
  const readme = Deno.readTextFileSync(README);
  const start = readme.indexOf(START);
  const end = readme.indexOf(END);
  if (start === -1 || end < start) {
    throw new Error(`README.md has no ${START} ... ${END}`);
  }
  Deno.writeTextFileSync(
    README,
    `${readme.slice(0, start + START.length)}\n\n${text}\n\n${
      readme.slice(end)
    }`,
  );
}
