/**
 * `deno task bench:report`: measures everything and writes `bench/results/` and the README's chart and
 * short table. `deno task bench:report PART` measures what has this in its name and only prints it.
 *
 * What is measured is kept in `bench/results/unfinished.json`: after an interruption the next run goes on
 * from there. Results of a machine that had too much else to do are not written; the next run measures
 * only those again whose quartiles were too far apart.
 *
 * @module
 */

import { chart, NOT_EXPLAINED } from "./chart.ts";
import { COMPARISONS } from "./comparisons.ts";
import { sourceFolder } from "./files.ts";
import { describeCommit, describeMachine } from "./machine.ts";
import { digits, duration, table } from "./measure.ts";
import { isNoisy, measure, type Measurement, resultTables } from "./pairs.ts";
import { CURVE } from "./studies/curve.ts";
import { EVENT_LOOP } from "./studies/event_loop.ts";
import { COLD, DURABLE, WARM } from "./studies/latency.ts";
import { LIMITED, MEMORY } from "./studies/memory.ts";
import { SERVE } from "./studies/serve.ts";
import { START } from "./studies/start.ts";
import {
  isLosing,
  type Line,
  type Ratio,
  type Study,
  studyText,
} from "./study.ts";
import { FS_FILE, MMAP_FILE } from "./subjects.ts";

/** All of it ends within this time. */
const MINUTES = 25;

/** Kept for what does not depend on the time left: making files, rendering. */
const RESERVE_MS = 60_000;

const ROUNDS = 21;

/** How long a case is measured, where all of them fit. */
const CASE_MS = 3500;

/** Of the steps, how many may be noisy in a report. */
const NOISY_SHARE = 0.1;

const STUDIES: readonly Study[] = [
  CURVE,
  COLD,
  EVENT_LOOP,
  SERVE,
  WARM,
  DURABLE,
  START,
  MEMORY,
  LIMITED,
];

/** Cases that the README shows. */
const SHOWN = [
  "GeoIP: one lookup in 58 MB",
  "Search the lines of 1 GB",
  "Read 1 MB",
  "ReadAt 4 KiB at random in 256 MB",
  "Write 1 MB",
  "await read 4 KiB",
  "Open, read 4 KiB, close",
  "Open and Close",
];

/** For the results, below the machine. */
const METHOD =
  "Each case runs its ways by turns, about 20 ms each or once, after a warm-up. Times are medians of the same rounds; `times as fast` is the quotient of the first two times. The quartiles are those of the rounds' quotients: half of the rounds lie between them. `memory alone` is the time of the same copies between two ordinary arrays, and `reached` the share of that speed: at 100 % there is nothing left to gain. A target is what a case has to reach; 0.95 counts as 1.";

const RESULTS = new URL("./results/", import.meta.url);
const UNFINISHED = new URL("unfinished.json", RESULTS);
const README = new URL("../README.md", import.meta.url);

/** What of the README is written here. */
const REGION =
  /(<!-- (?:bench:start|benchmark: written by deno task bench:report) -->\n).*?(\n<!-- (?:bench:end|\/benchmark) -->)/s;

/** What was measured so far, of one commit on one machine. */
interface Kept {
  readonly of: string;
  readonly cases: Record<string, Measurement>;
  readonly lines: Record<string, Line[]>;
}

/** Something to measure. */
interface Step {
  readonly name: string;
  readonly seconds: number;
  isMeasured(kept: Kept): boolean;
  /** Whether the machine had too much else to do for it to count. */
  isNoisy(kept: Kept): boolean;
  run(kept: Kept, ms: number): Promise<void>;
}

const STEPS: readonly Step[] = [
  ...COMPARISONS.map((comparison): Step => {
    const name = `${comparison.group}: ${comparison.name}`;
    return {
      name,
      // With the warm-ups, and the files that are made.
      seconds: comparison.long ? 8 : 5,
      isMeasured: ({ cases }) => name in cases,
      isNoisy: ({ cases }) => name in cases && isNoisy(cases[name]!),
      async run({ cases }, ms) {
        const measurement = await measure(comparison, { rounds: ROUNDS, ms });
        // The quieter one of two.
        if (name in cases && isNoisy(measurement)) return;
        cases[name] = measurement;
      },
    };
  }),
  ...STUDIES.flatMap(({ title, jobs }) =>
    jobs.map((job): Step => ({
      name: `${title}: ${job.id}`,
      seconds: job.seconds,
      isMeasured: ({ lines }) => job.id in lines,
      isNoisy: ({ lines }) =>
        job.id in lines && job.isNoisy?.(lines[job.id]!) === true,
      run: async ({ lines }) => void (lines[job.id] = await job.run()),
    }))
  ),
];

const machine = describeMachine(sourceFolder());
const commit = describeCommit();
const [part] = Deno.args;
if (part === undefined) {
  const kept = readKept();
  await measureAll(STEPS, kept);
  if (isComplete(kept)) {
    writeReport(kept);
    Deno.removeSync(UNFINISHED);
  } else Deno.exitCode = 1;
} else {
  const kept: Kept = { of: "", cases: {}, lines: {} };
  await runSteps(STEPS.filter(({ name }) => name.includes(part)), kept);
  console.log(allTables(kept));
}
// The programs' packages may have left timers.
Deno.exit();

/** Measures what is not measured, and the noisy cases a second time while there is time. */
async function measureAll(steps: readonly Step[], kept: Kept): Promise<void> {
  const start = performance.now();
  const todo = steps.filter((step) =>
    !step.isMeasured(kept) || step.isNoisy(kept)
  );
  if (todo.length < steps.length) {
    console.error(`${steps.length - todo.length} are measured already`);
  }
  await runSteps(todo, kept, keep);
  for (const step of steps.filter(({ isNoisy }) => isNoisy(kept))) {
    const left = MINUTES * 60_000 - (performance.now() - start) - RESERVE_MS;
    if (left < 2 * step.seconds * 1000) return;
    console.error(`once more: ${step.name}`);
    await step.run(kept, CASE_MS);
    keep(kept);
  }
}

/** Runs the steps with progress and the time left. Each gets its share of the time, if that is short. */
async function runSteps(
  steps: readonly Step[],
  kept: Kept,
  keep = (_: Kept) => {},
): Promise<void> {
  const end = performance.now() + MINUTES * 60_000 - RESERVE_MS;
  let seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  // How much longer than expected they take.
  let slowness = 1;
  for (const [i, step] of steps.entries()) {
    if (performance.now() > end) {
      console.error(`${MINUTES} minutes are over: run it again to go on.`);
      return;
    }
    const share = (end - performance.now()) / (seconds * 1000 * slowness);
    console.error(
      `[${i + 1}/${steps.length}, ${
        clock(seconds * slowness)
      } left] ${step.name}`,
    );
    const start = performance.now();
    try {
      await step.run(kept, Math.min(1, share) * CASE_MS);
    } catch (error) {
      // The others can be measured all the same.
      console.error(`failed: ${step.name}:`, error);
    }
    const took = (performance.now() - start) / 1000;
    slowness = 0.9 * slowness + 0.1 * Math.min(5, took / step.seconds);
    seconds -= step.seconds;
    keep(kept);
  }
}

function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** What an interrupted run has kept, if it measured the same. */
function readKept(): Kept {
  const empty = {
    of: `${commit}, ${machine.join(", ")}`,
    cases: {},
    lines: {},
  };
  try {
    const kept: Kept = JSON.parse(Deno.readTextFileSync(UNFINISHED));
    return kept.of === empty.of ? kept : empty;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return empty;
    throw error;
  }
}

function keep(kept: Kept): void {
  const next = new URL("unfinished.json.new", RESULTS);
  Deno.writeTextFileSync(next, JSON.stringify(kept));
  Deno.renameSync(next, UNFINISHED);
}

/** Whether all of it was measured, on a machine that was quiet enough. Says what is missing. */
function isComplete(kept: Kept): boolean {
  const missing = STEPS.filter(({ isMeasured }) => !isMeasured(kept));
  const noisy = STEPS.filter(({ isNoisy }) => isNoisy(kept));
  const names = (list: readonly { name: string }[]) =>
    list.map(({ name }) => `  ${name}`).join("\n");
  if (missing.length > 0) {
    console.error(`\nNot written: these are not measured.\n${names(missing)}`);
    return false;
  }
  if (noisy.length > NOISY_SHARE * STEPS.length) {
    console.error(
      `\nNot written: this machine had too much else to do. The quartiles of ${noisy.length} of ` +
        `${STEPS.length} steps are too far apart. Run it again when it is quiet: only ` +
        `those are measured again.\n${names(noisy)}`,
    );
    return false;
  }
  return true;
}

/** Writes the results, and prints them. */
function writeReport(kept: Kept): void {
  const measurements = measured(kept);
  const date = new Date().toISOString().slice(0, 10);
  const made =
    `Made by \`deno task bench:report\` on ${date}, of commit ${commit}. ${
      machine.join(", ")
    }.`;
  const originals = measurements.filter(({ original }) => original);
  const mean = Math.exp(
    originals.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) /
      originals.length,
  );
  const summary =
    `Geometric mean of the ${originals.length} cases of the Go package that this one is modeled on: ${
      mean.toFixed(2)
    } times as fast as Deno.FsFile.`;
  const ratios = ratiosOf(kept);
  const losing = losingText(ratios.filter(isLosing));
  const curveLines = CURVE.jobs.flatMap(({ id }) => kept.lines[id] ?? []);

  const readme = readmeWith(measurements, `${summary} ${made}`);
  const files = {
    "results.json": JSON.stringify(
      { date, commit, machine, mean, measurements, lines: kept.lines },
      null,
      1,
    ) + "\n",
    "results.md": `# Results

${made}

${METHOD}

${summary}

![How many times as fast as Deno.FsFile](results.svg)

## Slower than what it is compared with

${losing}

## Tables

${allTables(kept)}
`,
    "results.svg": chart(ratios, curveLines, made),
  };
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(new URL(name, RESULTS), text);
  }
  Deno.writeTextFileSync(README, readme);
  new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", README.pathname, RESULTS.pathname],
  }).outputSync();
  console.log(`${allTables(kept)}\n\n${summary}\n\n${losing}`);
}

function measured({ cases }: Kept): Measurement[] {
  return COMPARISONS.flatMap(({ group, name }) =>
    cases[`${group}: ${name}`] ?? []
  );
}

function allTables(kept: Kept): string {
  const cases = measured(kept);
  const studies = STUDIES.flatMap((study) => {
    const lines = study.jobs.flatMap(({ id }) => kept.lines[id] ?? []);
    return lines.length === 0 ? [] : [studyText(study, lines)];
  });
  return [...(cases.length === 0 ? [] : [resultTables(cases)]), ...studies]
    .join("\n\n");
}

/** How many times as fast each case is, and what studies compare. */
function ratiosOf(kept: Kept): Ratio[] {
  return [
    ...measured(kept).map(({ group, name, times, ratio, reason }): Ratio => {
      const [first, second] = Object.keys(times);
      // What is not MmapFile beside Deno.FsFile says what it is.
      return first === FS_FILE.name && second === MMAP_FILE.name
        ? { group, name, ratio, reason }
        : {
          group: `${second} / ${first}`,
          name: `${name}, ${second} against ${first}`,
          ...{ ratio, reason },
        };
    }),
    ...STUDIES.flatMap(({ jobs, ratios }) =>
      ratios?.(jobs.flatMap(({ id }) => kept.lines[id] ?? [])) ?? []
    ),
  ];
}

function losingText(losing: readonly Ratio[]): string {
  if (losing.length === 0) return "None.";
  return losing.map(({ name, ratio, reason }) =>
    `- **${name}**, ${digits(ratio)}: ${reason ?? NOT_EXPLAINED}`
  ).join("\n");
}

/** The README with the chart and the short table between its marks. */
function readmeWith(
  measurements: readonly Measurement[],
  text: string,
): string {
  const rows = SHOWN.map((name) => {
    const found = measurements.find((measurement) => measurement.name === name);
    if (found === undefined) throw new Error(`There is no case '${name}'`);
    const [first, second] = Object.values(found.times);
    return [name, duration(first!), duration(second!), digits(found.ratio)];
  });
  const short = table([
    ["", "Deno.FsFile", "MmapFile", "times as fast"],
    ...rows,
  ]);
  const readme = Deno.readTextFileSync(README);
  if (!REGION.test(readme)) throw new Error("README.md has no marked region");
  return readme.replace(
    REGION,
    (_, start, end) =>
      `${start}
![How many times as fast as Deno.FsFile: real work, by the number of calls, and all cases](bench/results/results.svg)

${short}

${text} [All tables](bench/results/results.md), with the slower cases and their reasons.
${end}`,
  );
}
