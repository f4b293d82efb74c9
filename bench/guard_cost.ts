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
import { makeFile, makeFolder } from "./sides.ts";

/** Number of pairs. */
const PAIRS = Number(Deno.args[0] ?? 51);

/** How much slower the guard may make a read or a write, and how much longer, in ns, an open and close. */
const LIMIT = 1.03;
const OPEN_LIMIT_NS = 1000;

const SIZES = { "64 B": 64, "4 KiB": 4 << 10, "1 MiB": 1 << 20 };
const FILE_SIZE = 16 << 20;

const folder = makeFolder();
try {
  const path = makeFile(folder, FILE_SIZE);
  using guarded = openSync(path, { read: true, write: true });
  using bare = openSync(path, { read: true, write: true, guard: false });
  if (!guarded.guarded || bare.guarded) throw new Error("There is no guard");

  const isSlower = (_bare: number, _guarded: number, ratio: number) =>
    ratio > LIMIT;
  const rows: string[][] = [];
  for (const [name, size] of Object.entries(SIZES)) {
    for (const access of [readAt, read, writeAt]) {
      rows.push(
        await measure(
          `${access.name}Sync: ${name}`,
          access(bare, size),
          access(guarded, size),
          isSlower,
        ),
      );
    }
  }
  rows.push(
    await measure(
      "openSync and close",
      opened(path, false),
      opened(path, true),
      (bare, guarded) => guarded - bare > OPEN_LIMIT_NS,
    ),
  );
  console.log(
    table([
      ["", "guard: false", "guarded", "guarded / not", "quartiles"],
      ...rows,
    ]),
  );
} finally {
  Deno.removeSync(folder, { recursive: true });
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
async function measure(
  name: string,
  bare: Measured,
  guarded: Measured,
  isMissed: (bare: number, guarded: number, ratio: number) => boolean,
): Promise<string[]> {
  console.error(`measuring ${name}`);
  const times = await timePairs(bare, guarded, PAIRS);
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
    ratio.toFixed(3) +
    (isMissed(without, without + difference, ratio) ? " missed" : ""),
    `${quantile(ratios, 0.25).toFixed(3)} to ${
      quantile(ratios, 0.75).toFixed(3)
    }`,
  ];
}
