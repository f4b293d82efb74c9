/**
 * Does the same to files in a directory through an MmapFile and through a Deno.FsFile, and prints what
 * differs, a line each. With the lower layer of an overlay there too, to files that are copied up.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type MmapFile, openSync } from "../../mod.ts";
import { mappedAfter } from "../mapped_after.ts";
import { bytesOf, change } from "./change.ts";

const [directory, lower] = Deno.args as [string, string?];

/** After how many calls the file is mapped. */
const SWITCHES = [0, 3, Infinity];

const SIZE = 10_000;
const OLD = new Date("2001-02-03T04:05:06Z");

type Log = (name: string, call: () => unknown) => void;
type Scenario = (file: Deno.FsFile, path: string, log: Log) => void;

/** What is done to an open file; each needs the options that it is named after. */
const SCENARIOS: Record<string, [Deno.OpenOptions, Scenario]> = {
  read: [{ read: true }, (file, path, log) => {
    log("reads", () => readAll(file));
    file.seekSync(0, Deno.SeekMode.Start);
    log("reads again", () => readAll(file));
    change({ path, at: SIZE, count: 5000, seed: 1 });
    log("what was added", () => readAll(file));
    change({ path, at: 2, count: 5000, seed: 2 });
    file.seekSync(0, Deno.SeekMode.Start);
    log("what was changed", () => readAll(file));
    change({ path, truncate: 4096, at: 0, count: 0, seed: 0 });
    log("past the end", () => readAll(file));
    log("the end", () => file.seekSync(0, Deno.SeekMode.End));
    file.seekSync(-10, Deno.SeekMode.End);
    log("before the end", () => readAll(file));
    log("size", () => file.statSync().size);
    log("a write", () => file.writeSync(bytesOf(10, 0)));
    log("lock", () => (file.lockSync(), file.unlockSync()));
    log("sync", () => file.syncSync());
  }],
  readWrite: [{ read: true, write: true }, (file, path, log) => {
    for (const at of [0, 3, 4000, 9990, 9995, 20_000, 5]) {
      log("seek", () => file.seekSync(at, Deno.SeekMode.Start));
      log("write", () => file.writeSync(bytesOf(at % 100, at % 7)));
      log("read", () => read(file, 20));
      log("file", () => sum(Deno.readFileSync(path)));
    }
    log("utime", () => file.utimeSync(OLD, OLD));
    log("time", () => Deno.statSync(path).mtime!.getTime());
    log("write", () => file.writeSync(bytesOf(3, 0)));
    log("sync", () => file.syncSync());
    log("moved", () => Deno.statSync(path).mtime!.getTime() > OLD.getTime());
    log("truncate", () => file.truncateSync(5000));
    log("file", () => sum(Deno.readFileSync(path)));
    log("truncate", () => file.truncateSync(15_000));
    change({ path, truncate: 8192, at: 8192, count: 0, seed: 0 });
    log("write", () => file.writeSync(bytesOf(7000, 0)));
    log("size", () => file.statSync().size);
    log("syncData", () => file.syncDataSync());
    file.seekSync(0, Deno.SeekMode.Start);
    log("reads", () => readAll(file));
  }],
  append: [{ read: true, append: true }, (file, path, log) => {
    for (const count of [1, 100, 0, 5000, 7]) {
      log("write", () => file.writeSync(bytesOf(count, 1)));
      log("cursor", () => file.seekSync(0, Deno.SeekMode.Current));
      change({ path, at: 0, count: 10, seed: count % 5 });
      log("size", () => file.statSync().size);
    }
    change({ path, truncate: 0, at: 0, count: 3, seed: 0 });
    log("write", () => file.writeSync(bytesOf(9, 2)));
    file.seekSync(0, Deno.SeekMode.Start);
    log("reads", () => readAll(file));
  }],
};

/** What a descriptor opened for reading shows of a file that another process writes to, and so copies up. */
const COPIED_UP: Record<string, Scenario> = {
  "and grows": (file, path, log) => {
    log("reads", () => readAll(file));
    change({ path, at: SIZE, count: 5000, seed: 1 });
    log("what was added", () => readAll(file));
    change({ path, at: 2, count: 10, seed: 5 });
    file.seekSync(0, Deno.SeekMode.Start);
    log("all", () => readAll(file));
  },
  "and is changed": (file, path, log) => {
    log("reads", () => readAll(file));
    change({ path, at: 10, count: 500, seed: 1 });
    refresh(file);
    file.seekSync(0, Deno.SeekMode.Start);
    log("all", () => readAll(file));
    change({ path, at: 20, count: 500, seed: 7 });
    file.seekSync(0, Deno.SeekMode.Start);
    log("all", () => readAll(file));
  },
  "and is replaced": (file, path, log) => {
    log("reads", () => readAll(file));
    change({ path, truncate: 0, at: 0, count: 20_000, seed: 1 });
    refresh(file);
    file.seekSync(0, Deno.SeekMode.Start);
    log("all", () => readAll(file));
    change({ path, truncate: 0, at: 0, count: 3, seed: 1 });
    refresh(file);
    file.seekSync(0, Deno.SeekMode.Start);
    log("all", () => readAll(file));
  },
};

function refresh(file: Deno.FsFile): void {
  if ("refresh" in file) (file as MmapFile).refresh();
}

function read(file: Deno.FsFile, length: number): unknown {
  const p = new Uint8Array(length);
  return [file.readSync(p), sum(p)];
}

function readAll(file: Deno.FsFile): unknown {
  const p = new Uint8Array(1500);
  const seen: unknown[] = [];
  for (let read; (read = file.readSync(p)) !== null;) {
    seen.push(read, sum(p.subarray(0, read)));
  }
  return seen;
}

/** Tells bytes apart in a line of output. */
function sum(bytes: Uint8Array): string {
  let sum = 0;
  for (const byte of bytes) sum = (sum * 31 + byte) % 1_000_003;
  return `${bytes.length}:${sum}`;
}

/** All that a scenario shows: values, and errors by Deno's class. */
function run(
  scenario: Scenario,
  file: Deno.FsFile,
  path: string,
): string[] {
  const seen: string[] = [];
  scenario(file, path, (name, call) => {
    try {
      // One returns null where the other returns nothing.
      seen.push(`${name}: ${JSON.stringify(call() ?? null)}`);
    } catch (error) {
      seen.push(`${name}: throws ${isOfDeno(error)}`);
    }
  });
  file.close();
  seen.push(`closed: ${sum(Deno.readFileSync(path))}`);
  return seen;
}

/** Deno's own class of an error: `ReadOnlyError` extends one of these. */
function isOfDeno(error: unknown): string {
  return error instanceof Error && !(error.name === "TruncatedError")
    ? "an error"
    : String(error);
}

function compare(name: string, ours: string[], theirs: string[]): void {
  for (let k = 0; k < Math.max(ours.length, theirs.length); k++) {
    if (ours[k] === theirs[k]) continue;
    console.log(`${name}, ${ours[k]}, of Deno.FsFile ${theirs[k]}`);
    return;
  }
}

for (const mapAfter of SWITCHES) {
  for (const [name, [options, scenario]] of Object.entries(SCENARIOS)) {
    const [ours, theirs] = ["ours", "theirs"].map((side) => {
      const path = `${directory}/${name}${mapAfter}${side}`;
      Deno.writeFileSync(path, bytesOf(SIZE, 0));
      return path;
    });
    compare(
      `${name}, mapped after ${mapAfter} calls`,
      run(scenario, openSync(ours!, mappedAfter(mapAfter, options)), ours!),
      run(scenario, Deno.openSync(theirs!, options), theirs!),
    );
  }
  const path = `${directory}/bytes`;
  Deno.writeFileSync(path, bytesOf(SIZE, 0));
  using file = openSync(
    path,
    mappedAfter(mapAfter, { read: true, write: true }),
  );
  try {
    const bytes = file.bytes();
    if (sum(bytes) !== sum(bytesOf(SIZE, 0))) console.log("bytes() differ");
  } catch (error) {
    console.log(`bytes(): ${error instanceof Error && error.message}`);
  }
}

if (lower !== undefined) {
  const runs: (() => void)[] = [];
  for (const mapAfter of SWITCHES) {
    for (const [name, scenario] of Object.entries(COPIED_UP)) {
      for (const hasViews of [false, true]) {
        const [ours, theirs] = ["ours", "theirs"].map((side) =>
          `${name} ${mapAfter} ${hasViews} ${side}`
        );
        for (const file of [ours, theirs]) {
          Deno.writeFileSync(`${lower}/${file}`, bytesOf(SIZE, 0));
        }
        runs.push(() => {
          const path = `${directory}/${ours}`;
          const file = openSync(path, mappedAfter(mapAfter, { read: true }));
          if (hasViews) file.bytes();
          const other = `${directory}/${theirs}`;
          compare(
            `copied up ${name}, mapped after ${mapAfter} calls, ${
              hasViews ? "with" : "without"
            } views`,
            run(scenario, file, path),
            run(scenario, Deno.openSync(other), other),
          );
        });
      }
    }
  }
  // The lower layer does not change: the clock must distinguish what is copied up from what is created now.
  await sleep(50);
  for (const run of runs) run();
}
