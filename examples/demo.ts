#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Reads a file through `Deno.FsFile` and through `MmapFile`, by the same code, and compares the times.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { createSync, openSync } from "../mod.ts";
import { main } from "./cli.ts";

const USAGE = `Usage: demo.ts [FILE]

Reads the file through Deno.FsFile and through MmapFile, in order and at random, sync and
async, and prints the times. Without a file it makes one of 256 MB, and deletes it afterwards.`;

const [KB, MB] = [1 << 10, 1 << 20];
const [MADE_SIZE, MOST_READ, RANDOM_READS] = [256 * MB, 512 * MB, 10_000];
/** A small file is read again and again until it comes to so much. Each time is a median. */
const [LEAST_CALLS, LEAST_BYTES, ROUNDS] = [4_000, 64 * MB, 5];

/** How often to read, into what, and where: without offsets, where the last read ended. */
type Plan = [calls: number, buffer: Uint8Array, offsets?: Uint32Array];
type Take = (bytes: Uint8Array) => unknown;

/** Carries out a plan, and hands what each call has read to `take`. */
type Read = (file: Deno.FsFile, plan: Plan, take?: Take) => unknown;

const WAYS: Record<string, Read> = {
  sync(file, [calls, buffer, offsets], take) {
    file.seekSync(0, Deno.SeekMode.Start);
    for (let i = 0; i < calls; i++) {
      if (offsets) file.seekSync(offsets[i], Deno.SeekMode.Start);
      const read = file.readSync(buffer);
      take?.(buffer.subarray(0, read ?? 0));
    }
  },
  async async(file, [calls, buffer, offsets], take) {
    await file.seek(0, Deno.SeekMode.Start);
    for (let i = 0; i < calls; i++) {
      if (offsets) await file.seek(offsets[i], Deno.SeekMode.Start);
      const read = await file.read(buffer);
      take?.(buffer.subarray(0, read ?? 0));
    }
  },
};

async function compare(path: string): Promise<void> {
  using mmapFile = openSync(path);
  using fsFile = Deno.openSync(path);
  const size = Math.min(mmapFile.size, MOST_READ);
  if (size === 0) throw new Error(`Cannot compare: '${path}' is empty`);
  console.log(`${path}: ${size} of ${mmapFile.size} bytes`);
  const plan = (length: number): Plan => {
    return [Math.ceil(size / length), new Uint8Array(length)];
  };
  const offsets = new Uint32Array(RANDOM_READS).map(() => Math.random() * size);
  const plans = Object.entries<Plan>({
    "in order, 4 KiB a call": plan(4 * KB),
    "in order, 64 KiB a call": plan(64 * KB),
    "whole file in one call": plan(size),
    "at random, 4 KiB a call": [RANDOM_READS, new Uint8Array(4 * KB), offsets],
  });
  const show = (what: string, ...cells: string[]) =>
    console.log(what.padEnd(30), ...cells.map((cell) => cell.padStart(13)));
  show("", "Deno.FsFile", "MmapFile", "times as fast");
  for (const [way, read] of Object.entries(WAYS)) {
    for (const [what, plan] of plans) {
      const times = await measure([fsFile, mmapFile], read, plan);
      const cells = times.map((ms) => `${ms.toFixed(3)} ms`);
      show(`${way}, ${what}`, ...cells, (times[0] / times[1]).toFixed(1));
    }
  }
  console.log(`Both read the same bytes in every row. Medians of ${ROUNDS}.`);
}

/** The times of the files, in ms, measured by turns, once it is clear that they read the same. */
async function measure(files: Deno.FsFile[], read: Read, plan: Plan) {
  const sums: string[] = [];
  for (const file of files) {
    const hash = createHash("md5");
    await read(file, plan, (bytes) => hash.update(bytes));
    sums.push(hash.digest("hex"));
  }
  if (sums[0] !== sums[1]) throw new Error("Cannot compare: the bytes differ");
  const [calls, buffer] = plan;
  const most = Math.min(LEAST_CALLS, LEAST_BYTES / buffer.length);
  const passes = Math.ceil(most / calls);
  const times: number[][] = files.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, file] of files.entries()) {
      const start = performance.now();
      for (let pass = 0; pass < passes; pass++) await read(file, plan);
      times[i].push((performance.now() - start) / passes);
    }
  }
  return times.map((ms) => ms.sort((a, b) => a - b)[ROUNDS >> 1]);
}

async function compareOnMadeFile(): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "mmapfile-demo-" });
  const remove = () => Deno.removeSync(folder, { recursive: true });
  Deno.addSignalListener("SIGINT", () => (remove(), Deno.exit(130)));
  try {
    using file = createSync(`${folder}/data.bin`, MADE_SIZE);
    file.view(Uint32Array).forEach((_, i, words) => words[i] = i * i);
    await compare(file.name);
  } finally {
    remove();
  }
}

await main(USAGE, async () => {
  const [path, ...more] = Deno.args;
  if (more.length > 0 || path?.startsWith("-")) {
    throw new Error("Cannot compare: one file, or none; see --help");
  }
  await (path === undefined ? compareOnMadeFile() : compare(path));
});
