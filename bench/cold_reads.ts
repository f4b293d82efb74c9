#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Reads of a file that is not in the page cache, and how late a timer comes meanwhile: the median of some
 * runs, with `Deno.FsFile` and `MmapFile` by turns.
 *
 * @module
 */

import { openSync } from "../mod.ts";
import { delaysDuring } from "./delays.ts";
import { evict, makeFile, makeFolder } from "./files.ts";
import { duration, quantile, table } from "./measure.ts";

const SIZE = 512 << 20;
const RUNS = 5;
const READS = 4000;
const LENGTHS = [4 << 10, 64 << 10];
const IN_FLIGHT = [1, 4, 16];

type ReadAt = (p: Uint8Array, offset: number) => Promise<unknown>;

/** Opens a file for some reads at a time. */
type Open = (path: string, count: number) => { readers: ReadAt[] } & Disposable;

/** The table, in Markdown. */
export async function coldTable(): Promise<string> {
  const folder = makeFolder();
  try {
    const path = makeFile(folder, SIZE);
    const rows: string[][] = [];
    for (const order of ["random", "sequential"] as const) {
      for (const length of LENGTHS) {
        for (const count of IN_FLIGHT) {
          const places = Array.from({ length: READS }, (_, k) => {
            const number = SIZE / length;
            return order === "random"
              ? Math.floor(Math.random() * number)
              : k % number;
          });
          const sides: Record<string, Figures[]> = {
            "Deno.FsFile": [],
            "MmapFile": [],
          };
          for (let run = 0; run < RUNS; run++) {
            for (const [side, open] of Object.entries(SIDES)) {
              evict(path);
              using file = open(path, count);
              sides[side].push(await read(file.readers, length, places));
            }
          }
          const name = `${order}, ${length >> 10} KiB, ${count} in flight`;
          for (const [side, figures] of Object.entries(sides)) {
            rows.push([name, side, ...summary(figures)]);
          }
        }
      }
    }
    return table([
      ["reads", "", "a second", "p50", "p99", "p99.9", "worst delay", "99 %"],
      ...rows,
    ]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const SIDES: Record<string, Open> = {
  // Its cursor is one for all reads, so each has a file of its own.
  "Deno.FsFile"(path, count) {
    const files = Array.from({ length: count }, () => Deno.openSync(path));
    return {
      readers: files.map((file): ReadAt => (p, offset) => {
        file.seekSync(offset, Deno.SeekMode.Start);
        return file.read(p);
      }),
      [Symbol.dispose]: () => files.forEach((file) => file.close()),
    };
  },
  MmapFile(path, count) {
    const file = openSync(path);
    return {
      readers: Array(count).fill((p: Uint8Array, offset: number) =>
        file.readAt(p, offset)
      ),
      [Symbol.dispose]: () => file.close(),
    };
  },
};

/** What one run has shown, in nanoseconds but for the rate. */
interface Figures {
  readonly rate: number;
  readonly times: number[];
  readonly delays: number[];
}

async function read(
  readers: ReadAt[],
  length: number,
  places: number[],
): Promise<Figures> {
  const times: number[] = [];
  let next = 0;
  const start = performance.now();
  const delays = await delaysDuring(() =>
    Promise.all(readers.map(async (readAt) => {
      const p = new Uint8Array(length);
      while (next < places.length) {
        const place = places[next++];
        const start = performance.now();
        await readAt(p, place * length);
        times.push((performance.now() - start) * 1e6);
      }
    }))
  );
  const seconds = (performance.now() - start) / 1000;
  return {
    rate: times.length / seconds,
    times,
    delays: delays.map((ms) => ms * 1e6),
  };
}

function summary(figures: Figures[]): string[] {
  const median = (value: (one: Figures) => number) =>
    quantile(figures.map(value), 0.5);
  return [
    median(({ rate }) => rate).toFixed(0),
    ...[0.5, 0.99, 0.999].map((part) =>
      duration(median(({ times }) => quantile(times, part)))
    ),
    ...[1, 0.99].map((part) =>
      duration(median(({ delays }) => quantile(delays, part)))
    ),
  ];
}

if (import.meta.main) console.log(await coldTable());
