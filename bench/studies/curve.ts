/**
 * From how many calls on mapping pays: a file is opened, read or written `count` times 4 KiB, and closed.
 *
 * @module
 */

import { GB, KB, MB, OPENING, PIECE, randomOffsets } from "../case.ts";
import { bytes, makeTarget, sharedFile, targetFolder } from "../files.ts";
import {
  digits,
  duration,
  type Measured,
  quantile,
  QUIET,
  spread,
  timeRounds,
} from "../measure.ts";
import type { Job, Line, Study } from "../study.ts";
import {
  FS_FILE,
  MMAP_FILE,
  type PlainFile,
  type PlainSubject,
} from "../subjects.ts";

export const PATTERNS = [
  "Sequential reads",
  "Writes",
  "Random readAt",
] as const;
export const SIZES = {
  "64 KiB": 64 * KB,
  "1 MiB": MB,
  "256 MiB": GB / 4,
} as const;
const COUNTS = [1, 2, 4, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000];

const LIMITS = { rounds: 11, ms: 700 };

export type Pattern = typeof PATTERNS[number];
type Size = keyof typeof SIZES;

/** The name of a point's line. */
export function pointName(pattern: Pattern, size: Size, count: number): string {
  return `${pattern}, ${size}, ${count}`;
}

/** The points of a curve, from the lines of the study. */
export function pointsOf(
  lines: readonly Line[],
  pattern: Pattern,
  size: Size,
): { count: number; ratio: number }[] {
  const ratios = new Map(lines.map(({ name, values }) => [name, values]));
  return COUNTS.flatMap((count) => {
    const ratio = ratios.get(pointName(pattern, size, count))
      ?.["times as fast"];
    return ratio === undefined ? [] : [{ count, ratio }];
  });
}

export const CURVE: Study = {
  title: "From the first call on",
  about:
    "A file in the page cache is opened, read or written so many times 4 KiB, and closed. At the end of the file both begin again at its start. Times are medians of the same alternating pairs, the ratio is their quotient.",
  columns: {
    "Deno.FsFile": duration,
    "MmapFile": duration,
    "times as fast": digits,
    "lower quartile": digits,
    "upper quartile": digits,
  },
  jobs: PATTERNS.flatMap((pattern) =>
    (Object.keys(SIZES) as Size[]).map((size): Job => ({
      id: `curve: ${pattern}, ${size}`,
      seconds: 14,
      run: () => measureCurve(pattern, size),
      isNoisy: (lines) => lines.filter(isNoisy).length > lines.length / 4,
    }))
  ),
  ratios: (lines) =>
    lines.map(({ name, values }) => ({
      group: CURVE.title,
      name: `${name} calls`,
      ratio: values["times as fast"]!,
      reason: reasonFor(name),
    })),
};

function reasonFor(name: string): string {
  const calls = Number(/\d+$/.exec(name)?.[0]);
  if (calls <= 10) return OPENING;
  return name.startsWith("Writes")
    ? "Writes use the descriptor, with more checks than those of Deno.FsFile, until their pages were written often."
    : "Reads use the descriptor until they pay for mapping the file.";
}

function isNoisy({ values }: Line): boolean {
  return spread({
    low: values["lower quartile"]!,
    high: values["upper quartile"]!,
    ratio: values["times as fast"]!,
  }) > QUIET;
}

async function measureCurve(pattern: Pattern, size: Size): Promise<Line[]> {
  const path = pattern === "Writes"
    ? makeTarget(targetFolder(), SIZES[size], true)
    : sharedFile(SIZES[size]);
  const lines: Line[] = [];
  for (const count of COUNTS) {
    const args = [path, SIZES[size], pattern, count] as const;
    const times = await timeRounds(
      [program(FS_FILE, ...args), program(MMAP_FILE, ...args)],
      LIMITS,
    );
    const median = (i: number) =>
      quantile(times.map((round) => round[i]!), 0.5);
    const [fsFile, mmapFile] = [median(0), median(1)];
    const quotients = times.map(([fsFile, mmapFile]) => fsFile! / mmapFile!);
    lines.push({
      name: pointName(pattern, size, count),
      values: {
        "Deno.FsFile": fsFile,
        "MmapFile": mmapFile,
        "times as fast": fsFile / mmapFile,
        "lower quartile": quantile(quotients, 0.25),
        "upper quartile": quantile(quotients, 0.75),
      },
    });
  }
  return lines;
}

const OFFSETS = randomOffsets(GB);

function program<File extends PlainFile>(
  subject: PlainSubject<File>,
  path: string,
  size: number,
  pattern: Pattern,
  calls: number,
): Measured {
  const buffer = new Uint8Array(PIECE);
  const data = bytes(PIECE);
  const once = {
    "Sequential reads"() {
      const file = subject.openSync(path);
      for (let i = 0; i < calls; i++) {
        if (file.readSync(buffer) === null) {
          file.seekSync(0, Deno.SeekMode.Start);
          file.readSync(buffer);
        }
      }
      file.close();
    },
    "Writes"() {
      const file = subject.openSync(path, { read: true, write: true });
      for (let i = 0, offset = 0; i < calls; i++, offset += PIECE) {
        if (offset === size) {
          offset = 0;
          file.seekSync(0, Deno.SeekMode.Start);
        }
        file.writeSync(data);
      }
      file.close();
    },
    "Random readAt"() {
      const file = subject.openSync(path);
      for (let i = 0; i < calls; i++) {
        const offset = OFFSETS[i % OFFSETS.length]! % (size - PIECE);
        subject.readAtSync(file, buffer, offset);
      }
      file.close();
    },
  }[pattern];
  return {
    run(count) {
      for (let i = 0; i < count; i++) once();
      return count;
    },
  };
}
