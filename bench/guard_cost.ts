#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Measures what the guard against truncation costs: the same work on files opened with it and with
 * `guard: false`, in alternating pairs. Prints the median of the pairs' ratios, and for an open and
 * close the median of their differences.
 *
 * @module
 */

import { type MmapFile, openSync } from "../mod.ts";
import {
  duration,
  type Measured,
  quantile,
  table,
  timePairs,
} from "./measure.ts";
import { makeFile, makeFolder } from "./files.ts";

/** Pairs in a round. */
const PAIRS = Number(Deno.args[0] ?? 11);

/**
 * Rounds, each on new mappings and buffers: where in memory these lie makes a difference of up to 10 %
 * between two files opened alike (measured), which no number of pairs on the same ones would even out.
 */
const ROUNDS = Number(Deno.args[1] ?? 12);

/** How much slower the guard may make a read or a write, and how much longer, in ns, an open and close. */
const LIMIT = 1.03;
const OPEN_LIMIT_NS = 1000;

const SIZES = { "64 B": 64, "4 KiB": 4 << 10, "1 MiB": 1 << 20 };
const FILE_SIZE = 16 << 20;

/** What is done with a file, `size` bytes at a time. */
type Access = (file: MmapFile, size: number) => Measured;

const folder = makeFolder();
try {
  const path = makeFile(folder, FILE_SIZE);
  const rows: string[][] = [];
  for (const [name, size] of Object.entries(SIZES)) {
    for (const access of [readAt, read, writeAt]) {
      const times = await timeRounds(path, access, size);
      rows.push(cells(`${access.name}Sync: ${name}`, times, isSlower));
    }
  }
  const times = await timePairs(
    opened(path, false),
    opened(path, true),
    PAIRS * ROUNDS,
  );
  rows.push(cells("openSync and close", times, isLonger));
  console.log(
    table([
      ["", "guard: false", "guarded", "guarded / not", "quartiles"],
      ...rows,
    ]),
  );
} finally {
  Deno.removeSync(folder, { recursive: true });
}

/** Pairs of nanoseconds without the guard and with it. */
async function timeRounds(
  path: string,
  access: Access,
  size: number,
): Promise<[number, number][]> {
  console.error(`measuring ${access.name}Sync of ${size} bytes`);
  const times: [number, number][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Neither is always the one that was mapped first.
    const guards = round % 2 === 0 ? [false, true] : [true, false];
    const files = guards.map((guard) =>
      openSync(path, { read: true, write: true, guard })
    );
    const works = files.map((file) => access(file, size));
    const [bare, guarded] = guards[0] ? works.toReversed() : works;
    if (files.filter((file) => file.guarded).length !== 1) {
      throw new Error("There is no guard");
    }
    times.push(...await timePairs(bare, guarded, PAIRS));
    for (const file of files) file.close();
  }
  return times;
}

function isSlower(ratio: number): boolean {
  return ratio > LIMIT;
}

function isLonger(_ratio: number, difference: number): boolean {
  return difference > OPEN_LIMIT_NS;
}

/** Opens and closes. */
function opened(path: string, guard: boolean): Measured {
  return {
    run(count) {
      for (let i = 0; i < count; i++) openSync(path, { guard }).close();
      return count;
    },
  };
}

function readAt(file: MmapFile, size: number): Measured {
  const p = new Uint8Array(size);
  const last = FILE_SIZE - size;
  let at = 0;
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        file.readAtSync(p, at);
        at = at + size > last ? 0 : at + size;
      }
      return count;
    },
  };
}

function read(file: MmapFile, size: number): Measured {
  const p = new Uint8Array(size);
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        if (file.readSync(p) === null) file.seekSync(0, Deno.SeekMode.Start);
      }
      return count;
    },
  };
}

function writeAt(file: MmapFile, size: number): Measured {
  const p = new Uint8Array(size).fill(1);
  const last = FILE_SIZE - size;
  let at = 0;
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        file.writeAtSync(p, at);
        at = at + size > last ? 0 : at + size;
      }
      return count;
    },
  };
}

/** The cells of one row of the table. */
function cells(
  name: string,
  times: [number, number][],
  isMissed: (ratio: number, difference: number) => boolean,
): string[] {
  const ratios = times.map(([bare, guarded]) => guarded / bare);
  const ratio = quantile(ratios, 0.5);
  const without = quantile(times.map(([bare]) => bare), 0.5);
  const difference = quantile(
    times.map(([bare, guarded]) => guarded - bare),
    0.5,
  );
  return [
    name,
    duration(without),
    duration(without + difference),
    ratio.toFixed(3) + (isMissed(ratio, difference) ? " missed" : ""),
    `${quantile(ratios, 0.25).toFixed(3)} to ${
      quantile(ratios, 0.75).toFixed(3)
    }`,
  ];
}
