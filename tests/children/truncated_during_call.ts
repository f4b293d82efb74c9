/**
 * What a file must survive that others cut while it is in use, or that the disk has no room for.
 * `truncated_during_call.ts CASE DIRECTORY [SECONDS]` prints what it caught, and "done".
 */

import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createSync,
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  SystemError,
  toReadableStream,
  toWritableStream,
  TruncatedError,
} from "../../mod.ts";
import { libc } from "../../src/posix/libc.ts";
import { commandOf } from "../run_deno.ts";
import { countMappings, usedSlots } from "../guard/mapped_file.ts";
import { mappedAfter } from "../mapped_after.ts";
import { collectUntil } from "../gc.ts";
import { countMappings as mappingsOf } from "../open_handles.ts";
import { isEmulated } from "../skip.ts";
import type { Counts } from "../workers/truncation_worker.ts";

const [name, directory, seconds] = Deno.args;
const PAGE = libc().getpagesize();
const MB = 1 << 20;
const WRITE: MmapOpenOptions = { read: true, write: true };
/** Memory is used from the first call on. */
const MAPPED_READ = mappedAfter(0, { read: true });
const MAPPED_WRITE = mappedAfter(0, WRITE);

/** A process that does what others do to files. */
class Vandal implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(args: string[]) {
    const script = new URL("./truncator.ts", import.meta.url).pathname;
    const [command, rest] = commandOf(
      ["run", "-A", "--no-check", "--no-config", script, ...args],
    );
    this.#process = new Deno.Command(command, {
      args: rest,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
  }

  static async start(...args: string[]): Promise<Vandal> {
    const vandal = new Vandal(args);
    const said = vandal.#process.stdout.getReader();
    await said.read(); // "ready"
    await said.cancel();
    return vandal;
  }

  /** Has a file cut a few milliseconds from now. */
  async cut(path: string, length: number, delay: number): Promise<void> {
    const line = `${delay} ${length} ${path}\n`;
    await this.#orders.write(new TextEncoder().encode(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orders.close().catch(() => {});
    try {
      this.#process.kill();
    } catch {
      // It has ended.
    }
    await this.#process.status;
  }
}

/*
 * Cut in mid-use. The file is lines of 64 bytes, none of them 0.
 */

const SIZE = 4 * MB;
const LINE = 64;
const CUTS = { nothing: 0, page: PAGE + 904, file: 2 * MB };
const CUTS_EACH = isEmulated ? 1 : 3;
const WARM_UP = isEmulated ? 1 : 3;
const NOTICED_WITHIN_MS = isEmulated ? 60_000 : 5000;
/** The file is truncated in this time. A write beyond the new end need not notice it. */
const WRITTEN_FOR_MS = isEmulated ? 1000 : 100;
const contents = new Uint8Array(SIZE).fill(0x61);
for (let at = LINE - 1; at < SIZE; at += LINE) contents[at] = 10;
const text = new TextDecoder().decode(contents);
const digest = Buffer.from(await crypto.subtle.digest("SHA-256", contents));

/** A stream came to its end before the end that the file had. */
const SHORT = Symbol("short");

/** One access after the other: called until the truncation is noticed. `cut` is where the file will end. */
type Access = (file: MmapFile, cut: number) => unknown;

/** The file was opened after the cut. */
class TooLate extends Error {}

const one = new Uint8Array(1);
const page = new Uint8Array(4096);
const whole = new Uint8Array(SIZE);
const kilobyte = new Uint8Array(1024).fill(1);
const megabyte = new Uint8Array(MB).fill(1);
let random = Number(Deno.env.get("MMAPFILE_SEED") ?? Date.now() % 1e6);
const seed = random;

/** A number from 0 to below `limit`. */
function below(limit: number): number {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor(random / 2 ** 32 * limit);
}

/** Throws if a method gave zeros that are not those behind the end in the last page. */
function assertOwn(bytes: Uint8Array, offset: number, cut: number): void {
  const end = Math.ceil(cut / PAGE) * PAGE;
  for (let at = bytes.indexOf(0); at !== -1;) {
    const position = offset + at;
    if (position < cut || position >= end) {
      throw new Error(`zeros at ${position} of a file cut to ${cut}`);
    }
    at = bytes.indexOf(0, end - offset);
  }
}

/** Throws unless what a view did not have is told. */
function assertNoticed(file: MmapFile, isWhole: boolean): void {
  if (!isWhole && !file.truncated) {
    throw new Error("a view was truncated and the file did not notice");
  }
}

const accesses: Record<string, Access> = {
  readSync(file, cut) {
    const position = file.seekSync(0, Deno.SeekMode.Current);
    const read = file.readSync(page);
    if (read === null) file.seekSync(0, Deno.SeekMode.Start);
    else assertOwn(page.subarray(0, read), position, cut);
  },
  async readAt(file, cut) {
    const offset = below(SIZE - page.length);
    const read = await file.readAt(page, offset);
    assertOwn(page.subarray(0, read ?? 0), offset, cut);
  },
  async read(file, cut) {
    file.seekSync(0, Deno.SeekMode.Start);
    const read = await file.read(whole);
    assertOwn(whole.subarray(0, read ?? 0), 0, cut);
  },
  bytes(file) {
    const bytes = file.bytes();
    let zeros = 0;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) zeros++;
    assertNoticed(file, zeros === 0);
  },
  lines(file) {
    for (const line of file.lines()) {
      if (line.length !== LINE - 1) throw new Error("not a line of the file");
    }
  },
  chunks(file) {
    for (const chunk of file.chunks(MB)) chunk.indexOf(0);
  },
  indexOf: (file) => file.indexOf("no such thing"),
  lastIndexOf: (file) => file.lastIndexOf("no such thing"),
  includes: (file) => file.includes(0xff),
  decode(file) {
    // Of ASCII only: V8 counts the characters of what it decodes in a first pass, and writes over
    // the end of its string if there are more of them in the second. Decode copies of other text.
    const isWhole = new TextDecoder().decode(file.bytes()) === text;
    assertNoticed(file, isWhole);
  },
  async digest(file) {
    const found = await crypto.subtle.digest("SHA-256", file.bytes());
    assertNoticed(file, Buffer.from(found).equals(digest));
  },
  async readable(file, cut) {
    using again = openSync(file.name, MAPPED_READ);
    if (again.size < SIZE) throw new TooLate();
    let at = 0;
    for await (const chunk of again.readable) {
      assertOwn(chunk, at, cut);
      at += chunk.length;
    }
    return at < SIZE && SHORT;
  },
  async readableBYOB(file, cut) {
    using again = openSync(file.name, MAPPED_READ);
    if (again.size < SIZE) throw new TooLate();
    return await readBYOB(again.readable, cut);
  },
  async toReadableStream(file, cut) {
    let at = 0;
    for await (const chunk of toReadableStream(file)) {
      assertOwn(chunk, at, cut);
      at += chunk.length;
    }
  },
  toReadableStreamBYOB: (file, cut) => readBYOB(toReadableStream(file), cut),
  async zeroCopy(file) {
    let sum = 0;
    for await (const chunk of toReadableStream(file, { zeroCopy: true })) {
      sum += chunk[0];
    }
    return sum;
  },
  writeSync1KB: (file) => writeOn(file, kilobyte),
  writeSync1MB: (file) => writeOn(file, megabyte),
  /** What is written first may go through the descriptor. */
  writeSyncFirst(file) {
    using again = openSync(file.name, WRITE);
    if (again.size < SIZE) throw new TooLate();
    for (let at = 0; at < SIZE; at += MB) again.writeSync(megabyte);
  },
  writeAtSync: (file) => file.writeAtSync(kilobyte, below(SIZE - 1024)),
  async write(file) {
    file.seekSync(0, Deno.SeekMode.Start);
    await file.write(contents);
  },
  writeString(file) {
    file.seekSync(below(SIZE - 100), Deno.SeekMode.Start);
    file.writeStringSync("x".repeat(1 + below(30)));
  },
  async writeLongString(file) {
    file.seekSync(0, Deno.SeekMode.Start);
    await file.writeString(text);
  },
  async toWritableStream(file) {
    const writer = toWritableStream(file).getWriter();
    for (let at = 0; at < SIZE; at += MB) await writer.write(megabyte);
    await writer.close();
  },
  async writeTo(file, cut) {
    using target = Deno.openSync(`${directory}/target`, TARGET);
    await file.writeTo(target);
    assertOwn(Deno.readFileSync(`${directory}/target`), 0, cut);
  },
  writeToSync(file, cut) {
    using target = Deno.openSync(`${directory}/target`, TARGET);
    file.writeToSync(target);
    assertOwn(Deno.readFileSync(`${directory}/target`), 0, cut);
  },
  readFromSync(file) {
    using source = openSync(`${directory}/source`);
    file.seekSync(0, Deno.SeekMode.Start);
    file.readFromSync(source);
  },
  fill: (file) => file.bytes().fill(7),
  growBySmall: (file) => growOn(file, kilobyte),
  growByLarge: (file) => growOn(file, megabyte),
  statSync: (file) => file.statSync(),
  flush: (file) => file.flush(0, PAGE),
};

const TARGET = { write: true, create: true, truncate: true };

async function readBYOB(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  cut: number,
): Promise<unknown> {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(100_000);
  for (let at = 0;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return at < SIZE && SHORT;
    assertOwn(value, at, cut);
    at += value.length;
    buffer = value.buffer;
  }
}

function writeOn(file: MmapFile, p: Uint8Array): void {
  const { Current, Start } = Deno.SeekMode;
  if (file.seekSync(0, Current) === SIZE) file.seekSync(0, Start);
  file.writeSync(p);
}

async function growOn(file: MmapFile, p: Uint8Array): Promise<void> {
  // More than that is more than the disk should hold.
  if (file.size > 256 * MB) return void file.statSync();
  file.seekSync(0, Deno.SeekMode.End);
  file.writeSync(p);
  await null;
}

/** Accesses to another mapping of the file. */
const OPENS_AGAIN = new Set(["readable", "readableBYOB", "writeSyncFirst"]);

const IS_WRITE = /^(write(?!To)|fill|grow|flush|toWritable|readFrom)/;

/** What Deno.FsFile too can write, if the file is let grow. */
const IS_FS_WRITE = /^(write(?!To)|toWritable|readFrom)/;

/** What Deno.FsFile has of reads, which never throw of it. */
const IS_FS_READ = /^(read(?!From)|stat)/;

/** Cuts the file again and again in the midst of an access, at a moment that nobody knows. */
async function cutDuring(access: Access): Promise<void> {
  await using vandal = await Vandal.start();
  const path = `${directory}/data`;
  Deno.writeFileSync(`${directory}/source`, contents);
  for (const [where, cut] of Object.entries(CUTS)) {
    for (let caught = 0; caught < CUTS_EACH;) {
      Deno.writeFileSync(path, contents);
      const grows = name.startsWith("grow") ||
        IS_FS_WRITE.test(name) && caught % 2 === 1;
      const neverThrows = IS_FS_READ.test(name) ||
        IS_FS_WRITE.test(name) && grows;
      const options = {
        write: !OPENS_AGAIN.has(name) &&
          (IS_WRITE.test(name) || caught % 2 === 1),
        read: true,
        grow: grows || !IS_WRITE.test(name),
      };
      using file = openSync(path, mappedAfter(0, options));
      // Let the code be what it is in the long run, not what it is at first.
      for (let i = 0; i < WARM_UP; i++) await access(file, cut);
      await vandal.cut(path, cut, 3 + below(30_000) / 1000);
      const end = performance.now() +
        (grows ? WRITTEN_FOR_MS : NOTICED_WITHIN_MS);
      let isNoticed = false;
      try {
        while (!isNoticed && performance.now() < end) {
          const result = access(file, cut);
          const came = result instanceof Promise ? await result : result;
          isNoticed = came === SHORT || file.truncated;
        }
        // One call to the system extends the file again, as with Deno.FsFile.
        if (!isNoticed && !grows && name !== "write") {
          throw new Error("the cut went unnoticed");
        }
      } catch (error) {
        if (error instanceof TooLate) continue;
        if (!(error instanceof TruncatedError) || neverThrows) throw error;
        isNoticed = true;
      }
      caught++;
      if (!isNoticed && !grows) continue;
      // What is written beyond the end fills a gap with zeros where the file may grow, and there alone.
      const { size } = Deno.statSync(path);
      if (size !== cut && !grows) {
        throw new Error(`cut to ${cut}, and ${size} long`);
      }
      if (isNoticed && !OPENS_AGAIN.has(name)) assertLasts(file, size);
      assertUsableAgain(file, size, grows);
    }
    console.log(`caught cuts to ${where}`);
  }
}

/** Memory is refused, again and again, and reads go on as those of Deno.FsFile. */
function assertLasts(file: MmapFile, size: number): void {
  assertThrowsTruncated(() => file.bytes());
  if (!file.truncated) throw new Error("not truncated any more");
  const read = file.readAtSync(one, Math.max(0, size - 1));
  if (read !== (size === 0 ? null : 1)) throw new Error(`${read} bytes read`);
  assertThrowsTruncated(() => file.copy());
}

/** And the file is of use again when it is mapped anew, with no byte that is not its own. */
function assertUsableAgain(
  file: MmapFile,
  size: number,
  mayHaveGap: boolean,
): void {
  file.refresh();
  if (file.truncated) throw new Error("truncated after refresh()");
  if (file.size !== size) throw new Error(`${file.size} after refresh()`);
  const p = Buffer.alloc(size + 1);
  const read = file.readAtSync(p, 0) ?? 0;
  const bytes = p.subarray(0, read);
  const hasOwn = bytes.equals(Deno.readFileSync(file.name)) &&
    bytes.equals(file.bytes()) && (mayHaveGap || !bytes.includes(0));
  if (read !== size || !hasOwn) throw new Error("wrong bytes after refresh()");
}

/*
 * Cut and lengthened all the time, under workers.
 */

const SHAKEN = 64 * MB;
const WORKERS = 4;

async function shake(
  work: (start: () => Worker, end: number) => Promise<void>,
): Promise<void> {
  const path = `${directory}/data`;
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, SHAKEN);
  const counts: Counts = new Int32Array(new SharedArrayBuffer(12));
  const workers = new Set<Worker>();
  let started = 0;
  const start = (end: number) => {
    const url = new URL("../workers/truncation_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    workers.add(worker);
    worker.postMessage({ path, counts, end, seed: below(2 ** 31) + started++ });
    return worker;
  };
  const limit = String(Number(seconds) + 60);
  await using _ = await Vandal.start("alternate", path, `${SHAKEN}`, limit);
  const end = Date.now() + 1000 * Number(seconds);
  await work(() => start(end), end);
  for (const worker of workers) worker.terminate();
  const [operations, truncated, refreshes] = counts;
  console.log(
    `${operations} operations, ${truncated} TruncatedErrors, ${refreshes} refreshes, ${started} workers`,
  );
}

/** Until a worker says so: "started" with its work, or "ended". */
function said(worker: Worker, what: string): Promise<void> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => {
      if (data === what) resolve();
    };
    // After it has said so too.
    worker.onerror = ({ message }) => {
      console.error(message);
      Deno.exit(1);
    };
  });
}

/*
 * A full disk.
 */

/** Ways of writing more than the disk has room for. */
const writes: Record<string, (file: MmapFile) => unknown> = {
  bytes(file) {
    file.bytes().fill(1);
    file.readAtSync(one, 0);
    file.bytes();
  },
  view(file) {
    const numbers = file.view(Float64Array);
    for (let i = 0; i < numbers.length; i++) numbers[i] = i;
    file.flushSync();
  },
  writeSync: (file) => repeat(file, () => file.writeSync(kilobyte)),
  writeSyncLarge: (file) => file.writeSync(new Uint8Array(file.size).fill(1)),
  writeAtSync: (file) => file.writeAtSync(kilobyte, file.size - 2000),
  write: (file) => file.write(new Uint8Array(file.size).fill(1)),
  writeString: (file) => repeat(file, () => file.writeStringSync("some text")),
  stream: (file) =>
    new Blob([new Uint8Array(file.size)]).stream()
      .pipeTo(toWritableStream(file)),
  close(file) {
    file.bytes().fill(1);
    file.close();
  },
};

function repeat(file: MmapFile, write: () => number): void {
  for (let at = 0; at < file.size - 2000; at += write());
}

/** Writes to a sparse file when the disk is full; gives the class of what it threw. */
async function writeToFull(
  write: (file: MmapFile) => unknown,
  options: MmapOpenOptions,
): Promise<string> {
  const path = `${directory}/sparse`;
  const other = `${directory}/other`;
  using neighbour = createSync(other, 256 << 10);
  neighbour.bytes().fill(7);
  const sparse = { create: true, size: 4 * MB, sparse: true };
  const file = openSync(path, { ...MAPPED_WRITE, ...sparse, ...options });
  fillDisk();
  const thrown = await classOf(() => write(file));

  // The others neither lost anything nor stand still.
  const bytes = neighbour.bytes();
  if (!bytes.every((byte) => byte === 7)) throw new Error("a neighbour's loss");
  bytes.fill(8);
  neighbour.writeAtSync(kilobyte, 1000);
  neighbour.syncSync();
  const expected = new Uint8Array(256 << 10).fill(8);
  expected.set(kilobyte, 1000);
  if (!Buffer.from(Deno.readFileSync(other)).equals(expected)) {
    throw new Error("a neighbour's write was lost");
  }

  // With room again, the file goes on.
  Deno.removeSync(`${directory}/filler`);
  if (!file.closed) {
    file.refresh();
    file.bytes().fill(9);
    file.writeAtSync(kilobyte, 0);
    file.syncSync();
    file.close();
    if (Deno.readFileSync(path)[2000] !== 9) throw new Error("a lost write");
  }
  Deno.removeSync(path);
  // Memory that was handed out keeps the file's blocks until the engine has freed it.
  await collectUntil(() => mappingsOf(path) === 0);
  return thrown;
}

function fillDisk(): void {
  using filler = Deno.createSync(`${directory}/filler`);
  const block = new Uint8Array(PAGE);
  try {
    for (;;) filler.writeSync(block);
  } catch (error) {
    if (!`${error}`.includes("os error 28")) throw error;
  }
}

async function classOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return "nothing";
  } catch (error) {
    if (error instanceof SystemError) return `SystemError ${error.code}`;
    if (error instanceof TruncatedError) return "TruncatedError";
    throw error;
  }
}

const cases: Record<string, () => unknown> = {
  /** Four workers until the time is over. */
  alternating: () =>
    shake(async (start) => {
      const workers = Array.from({ length: WORKERS }, start);
      await Promise.all(workers.map((worker) => said(worker, "ended")));
    }),

  /** Four workers at any time, none of them for long. */
  terminating: () =>
    shake(async (start, end) => {
      const one = async () => {
        while (Date.now() < end) {
          const worker = start();
          await said(worker, "started");
          await sleep(below(300));
          worker.terminate();
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, one));
    }),

  manyFiles() {
    const paths = Array.from({ length: 50 }, (_, i) => `${directory}/${i}`);
    for (const path of paths) Deno.writeFileSync(path, page.fill(7));
    for (let i = 0; i < 40_000; i++) {
      const file = openSync(paths[i % paths.length]);
      if (!file.guarded) throw new Error("not guarded");
      if (i % 100 === 0) file.readSync(page);
      file.close();
    }
    console.log(`one at a time: ${usedSlots()} slots`);

    for (let round = 1; round <= 3; round++) {
      for (const path of paths) Deno.writeFileSync(path, page.fill(7));
      const files = Array.from(
        { length: 5000 },
        (_, i) => openSync(paths[i % paths.length], MAPPED_READ),
      );
      // The guard stands from the first use on.
      for (const file of files) file.readAtSync(page, 0);
      // Every second path, and so every second file.
      paths.forEach((path, i) => i % 2 === 0 && Deno.truncateSync(path));
      let truncated = 0;
      let whole = 0;
      for (const file of files) {
        const read = file.readAtSync(page, 0);
        if (read === 4096 && page[4095] === 7 && !file.truncated) whole++;
        if (read === null && file.truncated) truncated++;
        file.close();
      }
      console.log(
        `5000 at once: ${truncated} cut, ${whole} whole, ${usedSlots()} slots`,
      );
    }
  },

  largeFile() {
    const size = 1 << 30;
    const path = `${directory}/large`;
    const kinds: MmapOpenOptions[] = [
      MAPPED_READ,
      MAPPED_WRITE,
      { copyOnWrite: true },
    ];
    for (const options of kinds) {
      Deno.writeFileSync(path, new Uint8Array(0));
      Deno.truncateSync(path, size);
      using file = openSync(path, options);
      const bytes = file.bytes();
      Deno.truncateSync(path);
      const before = countMappings();
      const start = performance.now();
      let sum = 0;
      for (let at = 0; at < size; at += 2 * PAGE) sum += bytes[at];
      const took = performance.now() - start;
      const added = countMappings() - before;
      console.error(`${took.toFixed()} ms, ${added} mappings added`);
      if (sum !== 0 || added > 100) throw new Error(`${added} mappings added`);
      if (!file.truncated) throw new Error("not found truncated");
      if (options.copyOnWrite) assertThrowsTruncated(() => file.readSync(one));
      else if (file.readSync(one) !== null) throw new Error("bytes of nothing");
      assertThrowsTruncated(() => file.bytes());
      file.refresh();
      if (file.size !== 0) throw new Error("not mapped as it is");
    }
  },

  /** One of five files is cut; the others are of use all the while. */
  neighbours() {
    const [first, ...others] = [0, 1, 2, 3, 4].map((i) => {
      const path = `${directory}/${i}`;
      Deno.writeFileSync(path, contents);
      return openSync(path, MAPPED_WRITE);
    });
    Deno.truncateSync(first.name, 5000);
    assertThrowsTruncated(() => first.indexOf("no such thing"));
    for (const file of others) {
      if (file.readAtSync(whole, 0) !== SIZE) throw new Error("not whole");
      if (!Buffer.from(whole).equals(contents)) {
        throw new Error("not as it was");
      }
      file.writeAtSync(kilobyte, SIZE - 1024);
      file.syncSync();
      if (Deno.readFileSync(file.name)[SIZE - 1] !== 1) throw new Error("lost");
    }
    first.close();
    for (const file of others) file.close();
  },

  async fullDisk() {
    for (const [name, write] of Object.entries(writes)) {
      console.log(name, await writeToFull(write, { read: true }));
    }
    const growOn = (file: MmapFile) => {
      file.seekSync(0, Deno.SeekMode.End);
      file.writeSync(megabyte);
    };
    console.log("grow", await writeToFull(growOn, { grow: true }));
  },
};

function assertThrowsTruncated(call: () => unknown): void {
  try {
    call();
  } catch (error) {
    if (error instanceof TruncatedError) return;
    throw error;
  }
  throw new Error("no TruncatedError");
}

console.error(`seed ${seed}`);
await (cases[name] ?? (() => cutDuring(accesses[name])))();
console.log("done");
Deno.exit(0);
