#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Reads a file through `Deno.FsFile` and through `MmapFile`, by the same code, and compares the times.
 *
 * @module
 */

import { createSync, openSync } from "../mod.ts";

const USAGE = `Usage: deno task demo [file]

Reads the file through Deno.FsFile and through MmapFile, in order and at random,
sync and async, makes sure that both read the same bytes, and prints the times.
Without a file it makes one of 256 MB, and deletes it afterwards.`;

const [KB, MB] = [1 << 10, 1 << 20];
const MADE_SIZE = 256 * MB;
/** Of a larger file so much is read, from its start. */
const MOST_READ = 512 * MB;
const RANDOM_READS = 10_000;
/** A small file is read again and again until it comes to so much. */
const LEAST_CALLS = 4_000;
const LEAST_BYTES = 64 * MB;
/** Each time is the median of so many. */
const ROUNDS = 5;

interface Plan {
  readonly calls: number;
  readonly buffer: Uint8Array;
  /** Where each call reads; without it, where the last one ended. */
  readonly offsets?: Uint32Array;
}

/** Carries out a plan, and hands what each call has read to `take`. */
type Read = (
  file: Deno.FsFile,
  plan: Plan,
  take?: (bytes: Uint8Array) => unknown,
) => void | Promise<void>;

const readSync: Read = (file, { calls, buffer, offsets }, take) => {
  file.seekSync(0, Deno.SeekMode.Start);
  for (let i = 0; i < calls; i++) {
    if (offsets) file.seekSync(offsets[i], Deno.SeekMode.Start);
    const read = file.readSync(buffer);
    take?.(buffer.subarray(0, read ?? 0));
  }
};

const readAsync: Read = async (file, { calls, buffer, offsets }, take) => {
  await file.seek(0, Deno.SeekMode.Start);
  for (let i = 0; i < calls; i++) {
    if (offsets) await file.seek(offsets[i], Deno.SeekMode.Start);
    const read = await file.read(buffer);
    take?.(buffer.subarray(0, read ?? 0));
  }
};

/** Reads the file in all ways, and prints how long each took. */
async function compare(path: string): Promise<void> {
  using fsFile = Deno.openSync(path);
  using mmapFile = openSync(path);
  const files = [fsFile, mmapFile];
  const size = Math.min(mmapFile.size, MOST_READ);
  if (size === 0) throw new Error(`Cannot compare: '${path}' is empty`);
  console.log(`${path}: ${grouped(size)} of ${grouped(mmapFile.size)} bytes`);

  const inOrder = (length: number): Plan => ({
    calls: Math.ceil(size / length),
    buffer: new Uint8Array(length),
  });
  const [small, large, whole] = [4 * KB, 64 * KB, size].map(inOrder);
  const offsets = new Uint32Array(RANDOM_READS).map(() => Math.random() * size);
  const random = { ...small, calls: RANDOM_READS, offsets };
  const ways = [["sync ", readSync], ["async", readAsync]] as const;
  const plans = [
    ["in order, 4 KiB a call", small],
    ["in order, 64 KiB a call", large],
    ["whole file in one call", whole],
    ["at random, 4 KiB a call", random],
  ] as const;

  const rows = [
    ["", "Deno.FsFile", "", "MmapFile", "", "times"],
    ["", "ms", "ns a call", "ms", "ns a call", "as fast"],
  ];
  for (const [way, read] of ways) {
    // What V8 has yet to compile is slow.
    await measure(files, read, { ...small, calls: 1 });
    for (const [what, plan] of plans) {
      const name = `${way}  ${what}`;
      progress(name);
      await checkSame(files, read, plan);
      const times = await measure(files, read, plan);
      const cells = times.flatMap((ms) => [
        ms.toFixed(ms < 10 ? 3 : 1),
        grouped(ms * 1e6 / plan.calls),
      ]);
      const ratio = times[0] / times[1];
      rows.push([name, ...cells, ratio.toFixed(ratio < 10 ? 1 : 0)]);
    }
  }
  progress("");
  printTable(rows);
  console.log(`
Both read the same bytes in every row. The last column is how many times as fast
as Deno.FsFile MmapFile was: above 1, it was faster. Medians of ${ROUNDS}, files warm.`);
}

/** Makes sure that both files give the same bytes. */
async function checkSame(files: Deno.FsFile[], read: Read, plan: Plan) {
  const sums = [];
  for (const file of files) {
    let sum = 1;
    await read(file, plan, (bytes) => sum = checksumOf(bytes, sum));
    sums.push(sum);
  }
  if (sums[0] !== sums[1]) {
    throw new Error("Deno.FsFile and MmapFile have read different bytes");
  }
}

function checksumOf(bytes: Uint8Array, sum: number): number {
  const add = (value: number) => sum = Math.imul(sum, 31) + value | 0;
  const words = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
  for (let i = 0; i < words.length; i++) add(words[i]);
  bytes.subarray(words.byteLength).forEach(add);
  return sum;
}

/** The time that each file takes, in ms, measured by turns. */
async function measure(files: Deno.FsFile[], read: Read, plan: Plan) {
  const { calls, buffer } = plan;
  const most = Math.min(LEAST_CALLS, LEAST_BYTES / buffer.length);
  const passes = Math.ceil(most / calls);
  const times: number[][] = files.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, file] of files.entries()) {
      const start = performance.now();
      for (let pass = 0; pass < passes; pass++) {
        const reading = read(file, plan);
        if (reading !== undefined) await reading;
      }
      times[i].push((performance.now() - start) / passes);
    }
  }
  return times.map((ms) => ms.sort((a, b) => a - b)[ROUNDS >> 1]);
}

function printTable(rows: string[][]): void {
  console.log();
  const widths = rows[0].map((_, i) =>
    Math.max(...rows.map((cells) => cells[i].length))
  );
  for (const [name, ...cells] of rows) {
    const aligned = cells.map((cell, i) => cell.padStart(widths[i + 1]));
    console.log([name.padEnd(widths[0]), ...aligned].join("  "));
  }
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Says what is being done: on a terminal in one line that goes away, else in a line each. */
function progress(text: string): void {
  if (Deno.stdout.isTerminal()) {
    Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
  } else if (text !== "") console.log(text);
}

async function compareOnMadeFile(): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "mmapfile-demo-" });
  const remove = () => Deno.removeSync(folder, { recursive: true });
  Deno.addSignalListener("SIGINT", () => (remove(), Deno.exit(130)));
  try {
    progress(`making a file of ${MADE_SIZE / MB} MB`);
    using file = createSync(`${folder}/data.bin`, MADE_SIZE);
    const words = file.view(Uint32Array);
    for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, i);
    progress("");
    await compare(file.name);
  } finally {
    remove();
  }
}

const [path, ...more] = Deno.args;
if (path === "--help") console.log(USAGE);
else if (more.length > 0 || path?.startsWith("-")) fail(USAGE);
else {
  await (path === undefined ? compareOnMadeFile() : compare(path))
    .catch((error) => fail(error.message));
}

function fail(message: string): void {
  console.error(message);
  Deno.exitCode = 1;
}
