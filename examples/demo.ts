#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Reads a file through `Deno.FsFile` and through `MmapFile`, by the same code, and compares the times.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { openSync } from "@mmapfile/mmapfile";
import { drawBars } from "./bars.ts";
import { main, Progress } from "./cli.ts";

const USAGE = `Usage: demo.ts [FILE]

Draws the times of Deno.FsFile and of MmapFile as bars, for
FILE or a new file of 256 MiB that it deletes at the end.`;

const [KB, MB] = [1 << 10, 1 << 20];
/** Bytes read of a larger file. */
const MAX_BYTES = 256 * MB;
/** How often the two alternate, for how long, and how many calls are made per look at the clock. */
const [ROUNDS, ROUND_MS, BATCH] = [5, 40, 64];
const median = (ns: number[]) => ns.toSorted((a, b) => a - b)[ROUNDS >> 1]!;

type Row = [name: string, length: number, isRandom: boolean, isAsync: boolean];
const ROWS: Row[] = [
  ["readSync: 4 KiB, in order", 4 * KB, false, false],
  ["readSync: 64 KiB, in order", 64 * KB, false, false],
  ["seekSync and readSync: 4 KiB, at random", 4 * KB, true, false],
  ["await read: 4 KiB, in order", 4 * KB, false, true],
];

async function compare(path: string): Promise<void> {
  using mmapFile = openSync(path);
  using fsFile = Deno.openSync(path);
  const size = Math.min(mmapFile.size, MAX_BYTES);
  if (size === 0) throw new Error(`Cannot compare: '${path}' is empty`);
  console.log(`Reading ${size} of ${mmapFile.size} bytes of '${path}'\n`);
  checkSame(fsFile, mmapFile, size);
  const ratios: number[] = [];
  for (const row of ROWS) {
    const [fsTimes, mmapTimes]: [number[], number[]] = [[], []];
    const progress = new Progress(row[0], ROUNDS);
    for (let round = 0; round < ROUNDS; round++) {
      progress.at(round);
      fsTimes.push(await measure(row, fsFile, size));
      mmapTimes.push(await measure(row, mmapFile, size));
    }
    progress[Symbol.dispose]();
    const [fsTime, mmapTime] = [median(fsTimes), median(mmapTimes)];
    drawBars(row[0], { "Deno.FsFile": fsTime, "MmapFile": mmapTime });
    ratios.push(fsTime / mmapTime);
  }
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  const range = `${least.toFixed(1)} to ${most.toFixed(1)}`;
  console.log(`MmapFile was ${range} times as fast, and read the same bytes.`);
}

/** Brings the bytes into the page cache, and makes sure that both sides read the same. */
function checkSame(one: Deno.FsFile, other: Deno.FsFile, size: number): void {
  using progress = new Progress("reading", size);
  const [a, b] = [new Uint8Array(MB), new Uint8Array(MB)];
  for (let at = 0; at < size; at += MB) {
    if (one.readSync(a) !== other.readSync(b) || Buffer.compare(a, b) !== 0) {
      throw new Error("Cannot compare: the bytes differ");
    }
    progress.at(at);
  }
}

/** The time of a call, in nanoseconds. */
async function measure(row: Row, file: Deno.FsFile, size: number) {
  const [, length, isRandom, isAsync] = row;
  const buffer = new Uint8Array(Math.min(length, size));
  const last = size - buffer.length;
  const start = performance.now();
  let at = last;
  for (let calls = BATCH;; calls += BATCH) {
    for (let i = 0; i < BATCH; i++) {
      at = at + buffer.length <= last ? at + buffer.length : 0;
      if (isRandom) at = Math.floor(Math.random() * last);
      if (isRandom || at === 0) file.seekSync(at, Deno.SeekMode.Start);
      if (isAsync) await file.read(buffer);
      else file.readSync(buffer);
    }
    const ms = performance.now() - start;
    if (ms > ROUND_MS) return ms * 1e6 / calls;
  }
}

async function compareOnNewFile(): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "mmapfile-demo-" });
  const path = `${folder}/data.bin`;
  const remove = () => Deno.removeSync(folder, { recursive: true });
  Deno.addSignalListener("SIGINT", () => (remove(), Deno.exit(130)));
  try {
    makeFile(path);
    await compare(path);
  } finally {
    remove();
  }
}

function makeFile(path: string): void {
  using progress = new Progress("making a file", MAX_BYTES);
  const piece = new Uint8Array(MB).map((_, i) => i * i);
  for (let at = 0; at < MAX_BYTES; at += MB) {
    Deno.writeFileSync(path, piece, { append: true });
    progress.at(at);
  }
}

await main(USAGE, async () => {
  const [path, ...others] = Deno.args;
  if (others.length > 0 || path?.startsWith("-")) {
    throw new Error("Cannot compare: pass one file or none; see --help");
  }
  await (path === undefined ? compareOnNewFile() : compare(path));
});
