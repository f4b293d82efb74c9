/**
 * What the fallback costs: a read against `Deno.FsFile`, an open against Deno's way to have a file in
 * memory, measured in alternating pairs.
 *
 * `deno run --allow-read --allow-write bench/fallback_cost.ts [PAIRS]`
 *
 * @module
 */

import { open, openSync } from "../mod.ts";
import { duration, quantile, timePairs } from "./measure.ts";
import { makeFile, makeFolder } from "./files.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const FALLBACK = { backend: "fallback" } as const;

/** The same work by both, each called for a count of times. */
interface Row {
  readonly name: string;
  /** What the other side is. */
  readonly against: string;
  ours(): unknown;
  theirs(): unknown;
}

/** The rows, on files of this folder. */
function rowsIn(folder: string): Row[] {
  const path = makeFile(folder, MIB);
  const p = new Uint8Array(4 * KIB);
  const ours = openSync(path, FALLBACK);
  const theirs = Deno.openSync(path);
  const read = (file: Pick<Deno.FsFile, "seekSync" | "readSync">) => {
    file.seekSync(0, Deno.SeekMode.Start);
    while (file.readSync(p) !== null);
  };
  const reading: Row = {
    name: "1 MiB read in pieces of 4 KiB",
    against: "Deno.FsFile",
    ours: () => read(ours),
    theirs: () => read(theirs),
  };
  return [
    reading,
    ...[1500, 64 * KIB, MIB].flatMap((size) => opening(folder, size)),
  ];
}

function opening(folder: string, size: number): Row[] {
  const path = makeFile(folder, size);
  return [
    {
      name: `openSync and close, ${size} bytes`,
      against: "Deno.readFileSync",
      ours: () => openSync(path, FALLBACK).close(),
      theirs: () => Deno.readFileSync(path),
    },
    {
      name: `await open and close, ${size} bytes`,
      against: "Deno.readFile",
      ours: async () => (await open(path, FALLBACK)).close(),
      theirs: () => Deno.readFile(path),
    },
  ];
}

function repeated(call: () => unknown) {
  return {
    async run(count: number): Promise<number> {
      for (let i = 0; i < count; i++) {
        const result = call();
        if (result instanceof Promise) await result;
      }
      return count;
    },
  };
}

if (import.meta.main) {
  const pairs = Number(Deno.args[0] ?? 21);
  const folder = makeFolder();
  try {
    for (const { name, against, ours, theirs } of rowsIn(folder)) {
      const times = await timePairs(repeated(theirs), repeated(ours), pairs);
      const [slow, fast, ratio] = [
        times.map(([theirs]) => theirs),
        times.map(([, ours]) => ours),
        times.map(([theirs, ours]) => ours / theirs),
      ].map((values) => (part: number) => quantile(values, part));
      console.log(
        `${name}: ${duration(fast(0.5))}, ${against} ${duration(slow(0.5))}, ` +
          `ratio ${ratio(0.5).toFixed(2)} ` +
          `(${ratio(0.25).toFixed(2)} to ${ratio(0.75).toFixed(2)})`,
      );
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
