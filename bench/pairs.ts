/**
 * Measures cases in alternating pairs, so that whatever else the machine does meets both sides.
 * `deno task bench:pairs` prints the table of some cases.
 *
 * @module
 */

import type { Comparison, Facts } from "./case.ts";
import {
  digits,
  duration,
  type Limits,
  quantile,
  QUIET,
  spread,
  table,
  timeRounds,
} from "./measure.ts";

/** What was measured of a case. Times are medians of the same rounds, in nanoseconds. */
export interface Measurement extends Facts {
  /** By the name of the way: first what the second is compared with. */
  readonly times: { readonly [way: string]: number };
  /** The quotient of the first two times. */
  readonly ratio: number;
  /** The quartiles of the rounds' quotients. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

/** Measures a case. */
export async function measure(
  comparison: Comparison,
  limits: Limits,
): Promise<Measurement> {
  const { prepare } = await import("./comparisons.ts");
  using prepared = await prepare(comparison);
  const rounds = await timeRounds(prepared.works, limits, comparison.count);
  const times = prepared.names.map((name, i) =>
    [name, quantile(rounds.map((times) => times[i]!), 0.5)] as const
  );
  const quotients = rounds.map(([first, second]) => first! / second!);
  const { group, name, target, original, long, count, reason } = comparison;
  return {
    ...{ group, name, target, original, long, count, reason },
    times: Object.fromEntries(times),
    ratio: times[0]![1] / times[1]![1],
    low: quantile(quotients, 0.25),
    high: quantile(quotients, 0.75),
    rounds: rounds.length,
  };
}

/** Whether the machine had too much else to do for this one to count. */
export function isNoisy(measurement: Measurement): boolean {
  return spread(measurement) > QUIET;
}

/** Whether a case is slower than it has to be. 0.95 in place of 1 is noise. */
export function isMissed({ target, ratio }: Measurement): boolean {
  return ratio < (target === 1 ? 0.95 : target);
}

/** The table of a group, or of whatever cases have the same two ways. */
export function resultTable(measurements: readonly Measurement[]): string {
  const [first, second] = Object.keys(measurements[0]!.times) as [
    string,
    string,
  ];
  const others = new Set(
    measurements.flatMap(({ times }) => Object.keys(times).slice(2)),
  );
  const hasMemory = others.delete("memory");
  const hasTargets = measurements.some(({ target }) => target > 0);
  return table([
    [
      "",
      ...[first, second, "times as fast", "quartiles"],
      ...(hasTargets ? ["target"] : []),
      ...(hasMemory ? ["memory alone", "reached"] : []),
      ...others,
    ],
    ...measurements.map((measurement) => {
      const { name, times, ratio, low, high } = measurement;
      const time = (way: string) => way in times ? duration(times[way]!) : "";
      return [
        name,
        ...[time(first), time(second)],
        digits(ratio),
        `${digits(low)} to ${digits(high)}`,
        ...(hasTargets ? [target(measurement)] : []),
        ...(hasMemory ? [time("memory"), reached(measurement, second)] : []),
        ...[...others].map(time),
      ];
    }),
  ]);
}

/** The tables of all groups, by ways. */
export function resultTables(measurements: readonly Measurement[]): string {
  const groups = Map.groupBy(
    measurements,
    ({ group, times }) => [group, ...Object.keys(times).slice(0, 2)].join(": "),
  );
  return [...groups.values()]
    .map((rows) => `### ${rows[0]!.group}\n\n${resultTable(rows)}`)
    .join("\n\n");
}

function target(measurement: Measurement): string {
  const { target } = measurement;
  if (target === 0) return "";
  return `${target}${isMissed(measurement) ? " missed" : ""}`;
}

/** The share of memory's own speed. */
function reached({ times }: Measurement, second: string): string {
  if (times.memory === undefined) return "";
  return `${Math.round(100 * times.memory / times[second]!)} %`;
}

const USAGE =
  `Usage: deno task bench:pairs [--pairs=21] [part of a case's name]`;

async function main(args: string[]): Promise<void> {
  let rounds = 21;
  let part = "";
  for (const arg of args) {
    if (arg.startsWith("--pairs=")) rounds = Number(arg.slice(8));
    else if (arg.startsWith("-")) usage(arg === "--help" ? 0 : 1);
    else part = arg;
  }
  if (!Number.isInteger(rounds) || rounds < 1) usage(1);
  const { COMPARISONS } = await import("./comparisons.ts");
  const measurements: Measurement[] = [];
  for (const comparison of COMPARISONS) {
    const { group, name } = comparison;
    if (!`${group}: ${name}`.includes(part)) continue;
    console.error(`measuring ${name}`);
    measurements.push(await measure(comparison, { rounds, ms: 60_000 }));
  }
  if (measurements.length === 0) usage(1);
  console.log(resultTables(measurements));
}

function usage(code: number): never {
  (code === 0 ? console.log : console.error)(USAGE);
  Deno.exit(code);
}

if (import.meta.main) await main(Deno.args);
