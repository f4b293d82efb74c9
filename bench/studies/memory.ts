/**
 * What a process pays in memory, with a limit and without. Each line is measured in a process of its
 * own, which this module is too.
 *
 * @module
 */

import { GB, MB, PIECE, randomOffsets } from "../case.ts";
import { evict, sharedFile } from "../files.ts";
import { byteSize, duration } from "../measure.ts";
import { openSync } from "../../mod.ts";
import { type Job, type Line, ratiosBySide, type Study } from "../study.ts";
import {
  FS_FILE,
  MMAP_FILE,
  type PlainFile,
  type PlainSubject,
} from "../subjects.ts";

const SIZE = GB;
const LIMIT = SIZE / 4;
const RANDOM_READS = 100_000;

/** Under a limit a read may take 30 ms. */
const LIMITED_MS = 10_000;

// --- Memory

const SIDES = ["Deno.FsFile", "MmapFile", "Deno.readFile"] as const;

/** The system then reads no pages around the one that is needed. */
const ADVISED = 'MmapFile, advice: "random"';

const MEMORY_COLUMNS = {
  "RssAnon": byteSize,
  "RssFile": byteSize,
  "a read": duration,
};

export const MEMORY: Study = {
  title: "Memory",
  about:
    "Resident memory of a process with a file of 1 GB in the page cache, by /proc/self/status: RssAnon is the process's own, RssFile is shared with the page cache, and the system takes it back when it needs it.",
  columns: MEMORY_COLUMNS,
  jobs: SIDES.map((side): Job => ({
    id: `memory: ${side}`,
    seconds: 4,
    async run() {
      if (Deno.build.os !== "linux") {
        return [{ name: side, values: {}, note: "no /proc/self/status" }];
      }
      return await inProcess("memory", sharedFile(SIZE), side);
    },
  })),
};

export const LIMITED: Study = {
  title: "Memory under a limit",
  about:
    `The same file, dropped from the page cache, read by a process in a control group that may use a quarter of the file, ${
      byteSize(LIMIT)
    }: 4 KiB at random, 100,000 times or for 10 s. The pages of the file count too, so most reads wait for the disk. With \`advice: "random"\` a fault reads one page, and without it those around it too.`,
  columns: MEMORY_COLUMNS,
  jobs: [...SIDES, ADVISED].map((side): Job => ({
    id: `limit: ${side}`,
    seconds: 12,
    run: () => measureLimited(side),
  })),
  ratios: (lines) =>
    ratiosBySide(
      "Limited memory",
      lines,
      "a read",
      'A fault reads the pages around it too, and a limit soon evicts them; `advice: "random"` reads one.',
    ),
};

async function measureLimited(side: string): Promise<Line[]> {
  const path = sharedFile(SIZE);
  const group = makeGroup(LIMIT);
  if (group === undefined) {
    const note = "not measured: no control group with a limit can be made here";
    return [{ name: side, values: {}, note }];
  }
  evict(path);
  try {
    return await inProcess("limited", path, side, group);
  } finally {
    Deno.removeSync(group);
  }
}

/** A control group with a limit of memory, below the one of this process: of version 2, or 1. */
function makeGroup(limit: number): string | undefined {
  const own = (name: string) =>
    new RegExp(`^\\d+:${name}:(.*)$`, "m").exec(
      Deno.readTextFileSync("/proc/self/cgroup"),
    )?.[1];
  for (
    const [root, name, file] of [
      ["/sys/fs/cgroup", "", "memory.max"],
      ["/sys/fs/cgroup/unified", "", "memory.max"],
      ["/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes"],
    ]
  ) {
    try {
      const group = `${root}${own(name!)}/mmapfile-bench-${Deno.pid}`;
      Deno.mkdirSync(group);
      try {
        // Does not exist where the group's parent does not share its memory out.
        Deno.openSync(`${group}/${file}`, { write: true }).close();
        Deno.writeTextFileSync(`${group}/${file}`, String(limit), {
          create: false,
        });
        return group;
      } catch {
        Deno.removeSync(group);
      }
    } catch {
      // Not mounted, or not ours to change.
    }
  }
}

/** Memory of this process at one moment. */
function memoryLine(name: string, read?: number): Line {
  const status = Deno.readTextFileSync("/proc/self/status");
  const value = (field: string) =>
    1024 * Number(new RegExp(`${field}:\\s*(\\d+) kB`).exec(status)![1]);
  return {
    name,
    values: {
      "RssAnon": value("RssAnon"),
      "RssFile": value("RssFile"),
      ...(read === undefined ? {} : { "a read": read }),
    },
  };
}

function memory(path: string, side: string): Line[] {
  if (side === "Deno.readFile") {
    const start = memoryLine(`${side}: started`);
    const bytes = Deno.readFileSync(path);
    bytes[0]!++;
    return [start, memoryLine(`${side}: read`)];
  }
  return side === MMAP_FILE.name
    ? memoryOf(MMAP_FILE, path)
    : memoryOf(FS_FILE, path);
}

function memoryOf<File extends PlainFile>(
  subject: PlainSubject<File>,
  path: string,
): Line[] {
  const { name } = subject;
  const lines = [memoryLine(`${name}: started`)];
  const file = subject.openSync(path);
  lines.push(memoryLine(`${name}: opened`));
  const read = readRandomly(subject, file);
  lines.push(memoryLine(`${name}: after 100,000 random reads`, read));
  const p = new Uint8Array(PIECE);
  const start = performance.now();
  for (let offset = 0; offset < SIZE; offset += PIECE) {
    subject.readAtSync(file, p, offset);
  }
  const pass = (performance.now() - start) * 1e6 / (SIZE / PIECE);
  lines.push(memoryLine(`${name}: after a pass of all of it`, pass));
  file.close();
  lines.push(memoryLine(`${name}: closed`));
  return lines;
}

/** Nanoseconds of each; for `LIMITED_MS` at most. */
function readRandomly<File extends PlainFile>(
  subject: PlainSubject<File>,
  file: File,
): number {
  const p = new Uint8Array(PIECE);
  const offsets = randomOffsets(SIZE - PIECE);
  const start = performance.now();
  for (let i = 1;; i++) {
    // There are more places than offsets.
    const lap = Math.floor(i / offsets.length);
    const offset = (offsets[i % offsets.length]! + lap * 64 * MB) %
      (SIZE - PIECE);
    subject.readAtSync(file, p, offset);
    const ms = i % 64 === 0 ? performance.now() - start : 0;
    if (i === RANDOM_READS || ms > LIMITED_MS) {
      return (performance.now() - start) * 1e6 / i;
    }
  }
}

function limited(path: string, side: string): Line[] {
  const name = `${side}: after random reads`;
  if (side === "Deno.readFile") {
    const start = performance.now();
    Deno.readFileSync(path);
    return [memoryLine(name, (performance.now() - start) * 1e6)];
  }
  const read = side === FS_FILE.name
    ? readRandomly(FS_FILE, FS_FILE.openSync(path))
    : readRandomly(
      MMAP_FILE,
      openSync(path, { advice: side === ADVISED ? "random" : "normal" }),
    );
  return [memoryLine(name, read)];
}

// --- Processes

/** Runs a task in a process of its own, in a control group if there is one. */
async function inProcess(
  task: string,
  path: string,
  side: string,
  group?: string,
): Promise<Line[]> {
  const args = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    import.meta.filename!,
    task,
    path,
    side,
  ];
  const command = group === undefined
    ? new Deno.Command(args[0]!, { args: args.slice(1), stderr: "piped" })
    : new Deno.Command("sh", {
      args: ["-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group, ...args],
    });
  const { success, signal, stdout, stderr } = await command.output();
  if (success) return JSON.parse(new TextDecoder().decode(stdout));
  if (signal === "SIGKILL") {
    return [{ name: side, values: {}, note: "killed: it needs more memory" }];
  }
  throw new Error(new TextDecoder().decode(stderr));
}

if (import.meta.main) {
  const [task, path, side] = Deno.args;
  const lines = task === "memory"
    ? memory(path!, side!)
    : limited(path!, side!);
  console.log(JSON.stringify(lines));
}
