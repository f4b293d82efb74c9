/**
 * What parts of the library cost: the guard against truncation beside `guard: false`, and the fallback
 * beside what Deno itself has for a file in memory.
 *
 * @module
 */

import { type Comparison, KB, MB } from "../case.ts";
import { makeTarget, sharedFile } from "../files.ts";
import type { Work } from "../measure.ts";
import { type MmapFile, type MmapOpenOptions, openSync } from "../../mod.ts";

const FILE_SIZE = 16 * MB;
const FALLBACK = { backend: "fallback" } as const;

/** Bytes of an access, with the accesses of a sample. */
const ACCESSES: readonly (readonly [string, size: number, count: number])[] = [
  ["64 B", 64, 300_000],
  ["4 KiB", 4 * KB, 100_000],
  ["1 MiB", MB, 500],
];

export const COMPARISONS: readonly Comparison[] = [
  ...ACCESSES.flatMap(([name, size, count]) =>
    [read, readAt, writeAt].map((access) =>
      guardCase(`${access.name}Sync of ${name}`, count, (options, folder) => {
        const path = makeTarget(folder, FILE_SIZE, true);
        return reopened(() => {
          const file = openSync(path, { read: true, write: true, ...options });
          return access(file, size);
        });
      })
    )
  ),
  guardCase("openSync and close", 1000, (options) => {
    const path = sharedFile(FILE_SIZE);
    return repeated(() => openSync(path, { read: true, ...options }).close());
  }),
  fallbackCase("1 MiB read in pieces of 4 KiB", {
    "Deno.FsFile": () => readThrough(Deno.openSync(sharedFile(MB))),
    "fallback": () => readThrough(openSync(sharedFile(MB), FALLBACK)),
  }),
  ...[["4 KiB", 4 * KB] as const, ["1 MiB", MB] as const].map(([name, size]) =>
    fallbackCase(`Open and close, ${name}`, {
      "Deno.readFileSync": () => {
        const path = sharedFile(size);
        return repeated(() => Deno.readFileSync(path));
      },
      "fallback": () => {
        const path = sharedFile(size);
        return repeated(() => openSync(path, FALLBACK).close());
      },
    })
  ),
];

function guardCase(
  name: string,
  count: number,
  prepare: (options: MmapOpenOptions, folder: string) => Work,
): Comparison {
  return {
    group: "The guard's cost",
    name,
    // It may cost 3 %.
    target: 0.97,
    long: true,
    count,
    reason:
      "After each copy one number is looked at: the guard's count of faults.",
    ways: {
      "guard: false": (folder) => prepare({ guard: false }, folder),
      "guarded": (folder) => prepare({}, folder),
    },
  };
}

function fallbackCase(name: string, ways: Comparison["ways"]): Comparison {
  return {
    group: "The fallback's cost",
    name,
    target: 0,
    long: true,
    count: 100,
    reason:
      "The fallback reads the whole file into memory and keeps what writing it back needs.",
    ways,
  };
}

function read(file: MmapFile, size: number): Work {
  const p = new Uint8Array(size);
  return repeated(() => {
    if (file.readSync(p) === null) file.seekSync(0, Deno.SeekMode.Start);
  }, file);
}

function readAt(file: MmapFile, size: number): Work {
  const p = new Uint8Array(size);
  const next = offsets(size);
  return repeated(() => file.readAtSync(p, next()), file);
}

function writeAt(file: MmapFile, size: number): Work {
  const p = new Uint8Array(size).fill(1);
  const next = offsets(size);
  return repeated(() => file.writeAtSync(p, next()), file);
}

/**
 * Work on a new mapping and a new buffer for each run: where in memory these lie makes a difference of
 * up to 10 % between two files opened alike (measured), which runs on the same ones would not even out.
 */
function reopened(open: () => Work): Work {
  let work = open();
  return {
    before() {
      work.close();
      work = open();
      // All of it is mapped and touched.
      work.run(FILE_SIZE / (4 * KB));
    },
    run: (count) => work.run(count),
    close: () => work.close(),
  };
}

function offsets(size: number): () => number {
  let offset = 0;
  return () => offset = offset + 2 * size > FILE_SIZE ? 0 : offset + size;
}

function readThrough(file: Deno.FsFile): Work {
  const p = new Uint8Array(4 * KB);
  return repeated(() => {
    file.seekSync(0, Deno.SeekMode.Start);
    while (file.readSync(p) !== null);
  }, file);
}

function repeated(call: () => unknown, file?: { close(): void }): Work {
  return {
    run(count) {
      for (let i = 0; i < count; i++) call();
      return count;
    },
    close: () => file?.close(),
  };
}
