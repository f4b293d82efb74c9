/**
 * The process under test, which must not be killed: uses files in its main thread and in workers.
 * `fuzz_process.ts DIRECTORY SECONDS SEED` prints what it saw, and exits with 1 if there are findings.
 */

import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { heldOpen } from "../open_handles.ts";
import { Fuzzer, OPEN_AT_ONCE } from "./fuzzer.ts";
import type { SetName } from "./files.ts";
import { Random } from "../random.ts";
import { addTo, emptyReport, list, merge, sum } from "./report.ts";
import type { Task, Told } from "./fuzz_worker.ts";

const [directory, seconds, seed] = Deno.args as [string, string, string];
const random = new Random(Number(seed));
const end = Date.now() + 1000 * Number(seconds);
const report = emptyReport();

/** Mappings that the process may add and remove: V8's heap, threads. */
const SLACK = 200;

/** Files that a fuzzer has open at most: the two kinds, its own, and one that a call opens. */
const HELD = 2 * OPEN_AT_ONCE + 4;

let started = 0;
let terminated = 0;

/** One worker after the other, each for a while. */
async function workers(set: SetName, shortest: number, longest: number) {
  while (Date.now() < end) {
    const url = new URL("./fuzz_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    const task: Task = {
      directory,
      set,
      id: ++started,
      seed: random.next(),
    };
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      merge(report, data.report);
      if (data.isLast) resolve();
    };
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(task);
    const life = shortest + random.below(longest - shortest);
    await Promise.race([
      ended,
      sleep(Math.min(life, end - Date.now())),
    ]);
    if (set === "kept") {
      worker.postMessage("stop");
      await ended;
    } else terminated++;
    worker.terminate();
  }
}

async function main(): Promise<void> {
  const fuzzer = new Fuzzer(directory, "kept", 0, new Random(random.next()));
  while (Date.now() < end) {
    for (let i = 0; i < 20; i++) await fuzzer.step();
    await setImmediate();
    merge(report, fuzzer.report);
    fuzzer.report = emptyReport();
  }
  await fuzzer.close();
  merge(report, fuzzer.report);
}

/** A page of V8's heap, which grows and shrinks: 256 KiB of anonymous memory. */
function isHeap(line: string): boolean {
  const [, start, end] = line.match(/^(\w+)-(\w+) .* 0 *$/) ?? [];
  return parseInt(end!, 16) - parseInt(start!, 16) === 256 << 10;
}

function found(what: string): void {
  addTo(report.findings, what);
}

function count(): { descriptors: number; mappings: number } {
  return {
    descriptors: [...Deno.readDirSync("/proc/self/fd")].length,
    mappings: Deno.readTextFileSync("/proc/self/maps").split("\n")
      .filter((line) => !isHeap(line)).length,
  };
}

const before = count();
await Promise.all([
  main(),
  workers("kept", 300, 3000),
  workers("left", 1000, 6000),
]);
// A terminated worker still finishes its current call.
await sleep(500);

const kept = heldOpen({ join: () => `${directory}/kept` });
for (const line of kept) found(`still open: ${line}`);
const left = heldOpen({ join: () => `${directory}/left` });
const descriptors = left.filter((line) => line.startsWith("fd ")).length;
if (descriptors > terminated * HELD) {
  found(`${terminated} terminated workers left ${descriptors} files open`);
}
const after = count();
if (after.descriptors > before.descriptors + descriptors + 10) {
  found(
    `descriptors: ${before.descriptors}, later ${after.descriptors}, ${descriptors} of them left by workers`,
  );
}
if (after.mappings > before.mappings + 3 * left.length + SLACK) {
  found(`mappings: ${before.mappings}, later ${after.mappings}`);
}

console.log(
  `${sum(report.operations)} operations of ${
    Object.keys(report.operations).length
  } kinds`,
);
console.log(`${report.errors.TruncatedError ?? 0} TruncatedErrors`);
console.log(`${sum(report.errors)} errors: ${list(report.errors)}`);
console.log(
  `${started} workers, ${terminated} of them terminated, which left ${descriptors} descriptors and ${
    left.length - descriptors
  } mappings; others left ${kept.length}`,
);
console.log(
  `descriptors ${before.descriptors} -> ${after.descriptors}, mappings ${before.mappings} -> ${after.mappings}`,
);
for (const [finding, times] of Object.entries(report.findings)) {
  console.log(`FOUND ${times} times: ${finding}`);
}
const findings = sum(report.findings);
console.log(`${findings} findings`);
Deno.exit(findings === 0 ? 0 : 1);
