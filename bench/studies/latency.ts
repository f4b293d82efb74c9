/**
 * Distributions of single calls: of cold files, with the delay that timers meet; of what is made
 * durable; and of warm reads with the guard and without.
 *
 * @module
 */

import * as fs from "node:fs";
import { type MmapFile, openSync } from "../../mod.ts";
import { GB, KB, MB, PIECE, randomOffsets } from "../case.ts";
import {
  bytes,
  evict,
  makeTarget,
  removeFolder,
  sharedFile,
  targetFolder,
} from "../files.ts";
import { digits, duration, quantile } from "../measure.ts";
import { type Job, type Line, ratiosBySide, type Study } from "../study.ts";
import { delaysDuring, medianDelay } from "./event_loop.ts";

const PERCENTILES = { "p50": 0.5, "p99": 0.99, "p99.9": 0.999 };

const COLUMNS = {
  "p50": duration,
  "p99": duration,
  "p99.9": duration,
  "a second": digits,
  "timer late by": duration,
};

/** Nanoseconds, by percentile. */
function percentiles(times: readonly number[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(PERCENTILES).map(([name, part]) => [
      name,
      quantile(times, part),
    ]),
  );
}

// --- Cold files

const COLD_SIZE = GB / 2;
const COLD_READS = 3000;
const COLD_ROUNDS = 3;

/** A way to read a file at positions, several reads at once. */
interface Reader {
  /** One of the reads that are in flight at once. */
  lane(): { read(p: Uint8Array, offset: number): Promise<unknown> };
  close(): void;
}

const READERS: Record<string, (path: string) => Reader> = {
  "Deno.FsFile"(path) {
    // Its cursor belongs to one read at a time.
    const files: Deno.FsFile[] = [];
    return {
      lane() {
        const file = Deno.openSync(path);
        files.push(file);
        return {
          async read(p, offset) {
            await file.seek(offset, Deno.SeekMode.Start);
            await file.read(p);
          },
        };
      },
      close: () => files.forEach((file) => file.close()),
    };
  },
  "MmapFile"(path) {
    const file = openSync(path);
    return {
      lane: () => ({ read: (p, offset) => file.readAt(p, offset) }),
      close: () => file.close(),
    };
  },
  "node:fs"(path) {
    const fd = fs.openSync(path, "r");
    const read = (p: Uint8Array, offset: number) =>
      new Promise<void>((resolve, reject) =>
        fs.read(
          fd,
          p,
          0,
          p.length,
          offset,
          (error) => error ? reject(error) : resolve(),
        )
      );
    return { lane: () => ({ read }), close: () => fs.closeSync(fd) };
  },
};

const TRIED_FIRST =
  "A read is tried without a wait first: one more system call if its pages are missing.";

export const COLD: Study = {
  title: "Cold files",
  about:
    `A file of 512 MB is dropped from the page cache and opened; ${COLD_READS} reads are awaited, several at once. ` +
    `${COLD_ROUNDS} rounds by turns, all calls together. The last column is how late a timer came at the worst that was due every millisecond, the median of the rounds.`,
  columns: COLUMNS,
  jobs: ["sequential", "random"].flatMap((pattern) =>
    [4 * KB, 64 * KB].flatMap((size) =>
      [1, 4, 16].map((inFlight): Job => ({
        id: `cold: ${pattern} ${size / KB} KiB, ${inFlight} in flight`,
        seconds: size === PIECE ? 8 : 12,
        run: () => measureCold(pattern, size, inFlight),
      }))
    )
  ),
  ratios: (lines) => ratiosBySide("Cold files, p50", lines, "p50", TRIED_FIRST),
};

async function measureCold(
  pattern: string,
  size: number,
  inFlight: number,
): Promise<Line[]> {
  const path = sharedFile(COLD_SIZE);
  const name = `${pattern} ${size / KB} KiB, ${inFlight} in flight`;
  if (!evict(path)) {
    return [{ name, values: {}, note: "this system cannot drop a file" }];
  }
  const offsets = pattern === "random"
    ? [...randomOffsets(COLD_SIZE / size).subarray(0, COLD_READS)]
      .map((index) => index * size)
    : Array.from({ length: COLD_READS }, (_, i) => i * size);
  const all = Object.entries(READERS).map(([reader, open]) => ({
    ...{ reader, open },
    ...{ times: [] as number[], ms: 0, delays: [] as number[][] },
  }));
  for (let round = 0; round < COLD_ROUNDS; round++) {
    for (const one of all) {
      evict(path);
      const { times, ms, delays } = await readCold(
        one.open(path),
        offsets,
        size,
        inFlight,
      );
      one.times.push(...times);
      one.ms += ms;
      one.delays.push(delays);
    }
    // Each is the first once.
    all.push(all.shift()!);
  }
  return all.map(({ reader, times, ms, delays }) => ({
    name: `${name}: ${reader}`,
    values: {
      ...percentiles(times),
      "a second": times.length / ms * 1000,
      "timer late by": medianDelay(delays, 1),
    },
  }));
}

async function readCold(
  reader: Reader,
  offsets: readonly number[],
  size: number,
  inFlight: number,
) {
  const times: number[] = [];
  let next = 0;
  const work = async () => {
    const { read } = reader.lane();
    const p = new Uint8Array(size);
    while (next < offsets.length) {
      const offset = offsets[next++];
      const start = performance.now();
      await read(p, offset!);
      times.push((performance.now() - start) * 1e6);
    }
  };
  const start = performance.now();
  const delays = await delaysDuring(async () => {
    await Promise.all(Array.from({ length: inFlight }, work));
  });
  const ms = performance.now() - start;
  reader.close();
  return { times, ms, delays };
}

// --- Durability

const DURABLE_SIZE = 16 * MB;
const DURABLE_WRITES = 300;

export const DURABLE: Study = {
  title: "Durable writes",
  about:
    `${DURABLE_WRITES} times, by turns: 4 KiB are written to a place of a file of 16 MB, and the call returns when the disk has them. It is the disk that is measured.`,
  columns: COLUMNS,
  jobs: [{ id: "durable writes", seconds: 8, run: measureDurable }],
};

async function measureDurable(): Promise<Line[]> {
  const folder = targetFolder();
  const one = makeTarget(folder, DURABLE_SIZE, true);
  const other = makeTarget(folder, DURABLE_SIZE, true);
  const data = bytes(PIECE);
  const offsets = randomOffsets(DURABLE_SIZE / PIECE);
  const options = { read: true, write: true };
  try {
    using fsFile = Deno.openSync(one, options);
    using mmapFile = openSync(other, options);
    const ways: Record<string, (offset: number) => Promise<unknown>> = {
      async "write and syncData: Deno.FsFile"(offset) {
        fsFile.seekSync(offset, Deno.SeekMode.Start);
        fsFile.writeSync(data);
        await fsFile.syncData();
      },
      async "write and flush of these 4 KiB: MmapFile"(offset) {
        mmapFile.writeAtSync(data, offset);
        await mmapFile.flush(offset, PIECE);
      },
      async "write and syncData: MmapFile"(offset) {
        mmapFile.writeAtSync(data, offset);
        await mmapFile.syncData();
      },
    };
    const times = new Map(
      Object.keys(ways).map((name) => [name, [] as number[]]),
    );
    for (let i = 0; i < DURABLE_WRITES; i++) {
      for (const [name, way] of Object.entries(ways)) {
        const start = performance.now();
        await way(offsets[i]! * PIECE);
        times.get(name)!.push((performance.now() - start) * 1e6);
      }
    }
    return [...times].map(([name, times]) => ({
      name,
      values: percentiles(times),
    }));
  } finally {
    removeFolder(folder);
  }
}

// --- Warm reads

const WARM_READS = 100_000;
const WARM_SIZE = 16 * MB;

export const WARM: Study = {
  title: "Warm reads, each by itself",
  about:
    `${WARM_READS} reads of 4 KiB at random places of a file of 16 MB, each between two looks at the clock; the clock's own time is the last line, and part of the others.`,
  columns: COLUMNS,
  jobs: [{ id: "warm reads", seconds: 3, run: measureWarm }],
};

function measureWarm(): Promise<Line[]> {
  const path = sharedFile(WARM_SIZE);
  using guarded = openSync(path);
  using bare = openSync(path, { guard: false });
  using fsFile = Deno.openSync(path);
  const readMapped = (file: MmapFile) => (p: Uint8Array, offset: number) =>
    file.readAtSync(p, offset);
  const ways = {
    "readAtSync: MmapFile": readMapped(guarded),
    "readAtSync, guard: false: MmapFile": readMapped(bare),
    "seekSync and readSync: Deno.FsFile"(p: Uint8Array, offset: number) {
      fsFile.seekSync(offset, Deno.SeekMode.Start);
      return fsFile.readSync(p);
    },
    "the clock": () => 0,
  };
  return Promise.resolve(
    Object.entries(ways).map(([name, read]) => {
      timeCalls(read);
      return { name, values: percentiles(timeCalls(read)) };
    }),
  );
}

function timeCalls(
  read: (p: Uint8Array, offset: number) => unknown,
): number[] {
  const p = new Uint8Array(PIECE);
  const offsets = randomOffsets(WARM_SIZE - PIECE);
  const times: number[] = new Array(WARM_READS);
  for (let i = 0; i < WARM_READS; i++) {
    const offset = offsets[i % offsets.length];
    const start = performance.now();
    read(p, offset!);
    times[i] = (performance.now() - start) * 1e6;
  }
  return times;
}
