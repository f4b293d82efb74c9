/**
 * Passes every kind of untrusted argument to every method that takes one. Prints what went
 * wrong, then how many cases each method had.
 *
 * `deno run -A arguments.ts DIRECTORY PART PARTS`
 */

import { Buffer } from "node:buffer";
import * as library from "../../mod.ts";
import { type MmapFile, type MmapOpenOptions, openSync } from "../../mod.ts";
import {
  AROUND,
  arrays,
  constructors,
  dates,
  isIntact,
  numbers,
  options,
  readers,
  streams,
  strings,
  type Trick,
  writers,
} from "./untrusted_arguments.ts";

const [directory, part, parts] = Deno.args as [string, string, string];
const BACKEND = Deno.env.get("MMAPFILE_TEST_BACKEND") === "fallback"
  ? "fallback"
  : "auto";
const NEW = `${directory}/new`;

/** Bytes of the file, bytes that are written, and bytes of files that nothing writes to. */
const SIZE = 16 << 10;
const [OWN, GIVEN, OTHER] = [0x11, 0xee, 0x77];
const OTHERS = new Uint8Array(SIZE).fill(OTHER);
const LARGE = (1 << 20) + 1;
const AT = 100;
const TIME_LIMIT_MS = 5_000;

const small = new Uint8Array(64).fill(GIVEN);
const large = new Uint8Array(LARGE).fill(GIVEN);

type Opened = MmapFile<ArrayBufferLike>;
type Use = (file: MmapFile, argument: never) => unknown;

/** A kind of argument, and how a method is called with one. */
interface Case {
  readonly tricks: (callback: () => void) => Trick[];
  readonly use: Use;
  /** Bytes of an array that is written at `AT`, for what has to be in the file. */
  readonly written?: number;
}

const write = (use: Use): Case[] => [
  { tricks: arrays(small), use, written: small.length },
  { tricks: arrays(large), use, written: large.length },
];
const read = (use: Use): Case[] => [
  { tricks: arrays(small), use },
  { tricks: arrays(large), use },
];
const number = (use: Use, plain = 8): Case => ({
  tricks: numbers(plain),
  use,
});
const range = { offset: 8, length: 16 };
const from = (file: MmapFile) => file.seekSync(AT, 0);

const CASES: Record<string, Case[]> = {
  read: read((file, p) => file.read(p)),
  readSync: read((file, p) => file.readSync(p)),
  readAt: [
    ...read((file, p) => file.readAt(p, 8)),
    number((file, offset) => file.readAt(new Uint8Array(8), offset)),
  ],
  readAtSync: [
    ...read((file, p) => file.readAtSync(p, 8)),
    number((file, offset) => file.readAtSync(new Uint8Array(8), offset)),
  ],
  write: write((file, p) => (from(file), file.write(p))),
  writeSync: write((file, p) => (from(file), file.writeSync(p))),
  writeAt: [
    ...write((file, p) => file.writeAt(p, AT)),
    number((file, offset) => file.writeAt(small, offset)),
  ],
  writeAtSync: [
    ...write((file, p) => file.writeAtSync(p, AT)),
    number((file, offset) => file.writeAtSync(small, offset)),
  ],
  writeString: [
    { tricks: strings("î".repeat(9)), use: (file, s) => file.writeString(s) },
    { tricks: strings("î".repeat(LARGE)), use: (f, s) => f.writeString(s) },
  ],
  writeStringSync: [
    { tricks: strings("abc"), use: (file, s) => file.writeStringSync(s) },
  ],
  readFrom: [
    { tricks: readers(small), use: (file, r) => file.readFrom(r) },
    { tricks: streams(small), use: (file, r) => file.readFrom(r) },
    { tricks: arrays(small), use: (file, r) => file.readFrom(r) },
  ],
  readFromSync: [
    { tricks: readers(small), use: (file, r) => file.readFromSync(r) },
  ],
  writeTo: [
    { tricks: writers(), use: (file, w) => file.writeTo(w) },
    { tricks: arrays(small), use: (file, w) => file.writeTo(w) },
  ],
  writeToSync: [
    { tricks: writers(), use: (file, w) => file.writeToSync(w) },
  ],
  seek: [
    number((file, offset) => file.seek(offset, 0)),
    number((file, whence) => file.seek(8, whence), 1),
  ],
  seekSync: [
    number((file, offset) => file.seekSync(offset, 0)),
    number((file, whence) => file.seekSync(8, whence), 1),
  ],
  truncate: [number((file, length) => file.truncate(length))],
  truncateSync: [number((file, length) => file.truncateSync(length))],
  utime: [
    { tricks: dates(new Date(9e8)), use: (f, time) => f.utime(time, 5) },
    { tricks: dates(new Date(9e8)), use: (f, time) => f.utime(5, time) },
  ],
  utimeSync: [
    { tricks: dates(new Date(9e8)), use: (f, time) => f.utimeSync(time, 5) },
    { tricks: dates(new Date(9e8)), use: (f, time) => f.utimeSync(5, time) },
  ],
  lock: [number((file, exclusive) => file.lock(exclusive))],
  lockSync: [number((file, exclusive) => file.lockSync(exclusive))],
  tryLock: [number((file, exclusive) => file.tryLock(exclusive))],
  tryLockSync: [number((file, exclusive) => file.tryLockSync(exclusive))],
  setRaw: [
    { tricks: options({ cbreak: true }), use: (f, o) => f.setRaw(true, o) },
  ],
  bytes: [
    number((file, offset) => file.bytes(offset)),
    number((file, length) => file.bytes(8, length)),
  ],
  copy: [
    number((file, offset) => file.copy(offset)),
    number((file, length) => file.copy(8, length)),
  ],
  view: [
    { tricks: constructors(), use: (file, type) => file.view(type) },
    { tricks: constructors(), use: (file, type) => file.view(type, 8, 16) },
    number((file, offset) => file.view(Int32Array, offset)),
    number((file, length) => file.view(Int32Array, 8, length)),
    number((file, length) => file.view(DataView, 8, length)),
  ],
  text: [
    number((file, offset) => file.text(offset)),
    number((file, length) => file.text(8, length)),
  ],
  textLines: [{
    tricks: options({ ...range, complete: true, reverse: true }),
    use: (file, given) => [...file.textLines(given)],
  }],
  lines: [{
    tricks: options({ ...range, reverse: true }),
    use: (file, given) => [...file.lines(given)],
  }],
  blob: [{
    tricks: options({ ...range, type: "text/plain" }),
    use: (file, given) => file.blob(given).bytes(),
  }],
  chunks: [
    number((file, size) => file.chunks(size).next().value),
    number((file, size) => [...file.chunks(size).take(3)], 8000),
  ],
  indexOf: search((file, ...args) => file.indexOf(...args)),
  lastIndexOf: search((file, ...args) => file.lastIndexOf(...args)),
  includes: search((file, ...args) => file.includes(...args)),
  flush: [
    number((file, offset) => file.flush(offset)),
    number((file, length) => file.flush(8, length)),
  ],
  flushSync: [
    number((file, offset) => file.flushSync(offset)),
    number((file, length) => file.flushSync(8, length)),
  ],
  prefetch: [
    number((file, offset) => file.prefetch(offset)),
    number((file, length) => file.prefetch(8, length)),
    {
      tricks: options({ onProgress: () => {} }),
      use: (file, given) => file.prefetch(8, 16, given),
    },
  ],
  advise: [
    { tricks: strings("random"), use: (file, advice) => file.advise(advice) },
    { tricks: strings("dontneed"), use: (f, advice) => f.advise(advice) },
    number((file, offset) => file.advise("dontneed", offset)),
    number((file, length) => file.advise("dontneed", 8, length)),
  ],
  wait: [
    number((file, offset) => file.wait(offset, 0, { timeout: 1 })),
    number((file, expected) => file.wait(8, expected, { timeout: 1 }), 0),
    {
      tricks: options({ timeout: 1 }),
      use: (file, given) => file.wait(8, 0, given),
    },
  ],
  notify: [number((file, offset) => file.notify(offset))],
  toReadableStream: [
    { ...range, chunkSize: 10, autoClose: true },
    { ...range, chunkSize: 10, zeroCopy: true },
  ].map((plain) => ({
    tricks: options(plain),
    use: (file, given) =>
      Array.fromAsync(library.toReadableStream(file, given)),
  })),
  toWritableStream: [
    {
      tricks: options({ offset: AT, autoClose: true }),
      use: (file, given) => pipe(small, library.toWritableStream(file, given)),
    },
    {
      tricks: arrays(small),
      use: (file, p) => pipe(p, library.toWritableStream(file, { offset: AT })),
    },
  ],
  writable: [
    { tricks: arrays(small), use: (f, p) => (from(f), pipe(p, f.writable)) },
  ],
  readable: [
    { tricks: arrays(small), use: (f, p) => readInto(f.readable, p) },
  ],
  open: opening((path, given) => library.open(path, given)),
  openSync: opening((path, given) => openSync(path, given)),
  create: [number((_, size) => sizeOf(library.create(NEW, size)))],
  createSync: [number((_, size) => sizeOf(library.createSync(NEW, size)))],
};

function opening(
  open: (path: string, given: never) => Opened | Promise<Opened>,
): Case[] {
  const plain = {
    read: true,
    write: true,
    append: false,
    create: true,
    truncate: true,
    mode: 0o600,
    size: 64,
    sparse: true,
    grow: true,
    advice: "random",
    guard: false,
    backend: BACKEND,
  };
  return [
    { tricks: options(plain), use: (_, given) => sizeOf(open(NEW, given)) },
    {
      tricks: options({ ...range, prefetch: true, backend: BACKEND }),
      use: (_, given) => sizeOf(open(`${directory}/other`, given)),
    },
  ];
}

function search(
  method: (file: MmapFile, ...args: [never, never?]) => unknown,
): Case[] {
  const needle = small.map(() => OWN);
  return [
    { tricks: arrays(needle), use: (file, sought) => method(file, sought) },
    { tricks: arrays(small), use: (file, sought) => method(file, sought) },
    { tricks: strings("abc"), use: (file, sought) => method(file, sought) },
    number((file, sought) => method(file, sought)),
    number((file, start) => method(file, OWN as never, start)),
    {
      tricks: options(range),
      use: (file, given) => method(file, OWN as never, given),
    },
  ];
}

async function sizeOf(file: Opened | Promise<Opened>): Promise<number> {
  using opened = await file;
  return opened.size;
}

async function pipe(
  p: unknown,
  stream: WritableStream<never>,
): Promise<void> {
  const writer = stream.getWriter();
  writer.closed.catch(() => {});
  await writer.write(p as never);
  await writer.close();
}

async function readInto(
  stream: ReadableStream<Uint8Array>,
  p: never,
): Promise<unknown> {
  const reader = stream.getReader({ mode: "byob" });
  reader.closed.catch(() => {});
  const { value } = await reader.read(p);
  return value;
}

/** The open files of a case. */
class Files {
  static #made = 0;

  /** A new one each time: on Windows a file is not truncated whose memory was transferred, until that is collected. */
  readonly path = `${directory}/file${Files.#made++}`;
  readonly file: MmapFile;
  readonly #opened: MmapFile[] = [];

  constructor() {
    Deno.writeFileSync(this.path, OTHERS.slice().fill(OWN));
    Deno.writeFileSync(`${directory}/other`, OTHERS);
    this.file = this.open(this.path);
    this.file.seekSync(8, 0);
  }

  open(path: string): MmapFile {
    const options: MmapOpenOptions = {
      read: true,
      write: true,
      grow: true,
      backend: BACKEND,
    };
    const file = openSync(path, options);
    this.#opened.push(file);
    return file;
  }

  close(): void {
    for (const file of this.#opened) {
      try {
        file[Symbol.dispose]();
      } catch {
        // Truncated or transferred: it must be closed too.
      }
    }
  }
}

/** What a callback does. */
const DISTURBANCES: Record<string, (files: Files) => void> = {
  nothing() {},
  close: ({ file }) => file.close(),
  reopen(files) {
    files.file.close();
    files.open(`${directory}/other`).bytes();
  },
  truncate: ({ file }) => file.truncateSync(0),
  grow({ file }) {
    file.writeAtSync(new Uint8Array(9).fill(OWN), file.size);
    file.bytes();
  },
  refresh: ({ file }) => void file.refresh(),
  transfer: ({ file }) => void file.bytes().buffer.transfer(),
};

function report(...what: unknown[]): void {
  console.log(...what);
}

async function settled(work: () => unknown): Promise<unknown> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("HANGS"), TIME_LIMIT_MS);
  try {
    return await Promise.race([(async () => await work())(), late.promise]);
  } catch (error) {
    // A test needs to know only that it threw; a raw error of a private field names no file.
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a result contains bytes of another file, or bytes that must stay hidden. */
function leaks(result: unknown): boolean {
  if (Array.isArray(result)) return result.some(leaks);
  if (typeof result === "string") return result.includes("w");
  if (!ArrayBuffer.isView(result)) return false;
  // A DataView of unmapped memory throws.
  if (result.buffer instanceof ArrayBuffer && result.buffer.detached) {
    return false;
  }
  const bytes = new Uint8Array(
    result.buffer,
    result.byteOffset,
    result.byteLength,
  );
  return bytes.includes(OTHER) || bytes.includes(AROUND);
}

/** How many bytes there are of each value. */
function histogramOf(contents: Uint8Array): Uint32Array {
  const counts = new Uint32Array(256);
  for (const byte of contents) counts[byte]!++;
  return counts;
}

/** The bytes of a file, which may be a huge one with holes, as far as they can matter. */
function readStart(path: string): Uint8Array {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(Math.min(file.statSync().size, 4 * LARGE));
  return bytes.subarray(0, file.readSync(bytes) ?? 0);
}

let current = "";
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  report(current, "leaves a rejection unhandled:", event.reason);
});

const counts: Record<string, number> = {};
let calls = 0;

for (const [method, cases] of Object.entries(CASES)) {
  counts[method] = 0;
  for (const { tricks, use, written } of cases) {
    const { length } = tricks(() => {});
    for (let k = 0; k < length; k++) {
      counts[method]++;
      if (calls++ % Number(parts) !== Number(part)) continue;
      let callsBack = true;
      for (const [how, disturb] of Object.entries(DISTURBANCES)) {
        // The first case does nothing, and shows this.
        if (!callsBack) break;
        const files = new Files();
        let isDisturbed = false;
        const callback = () => {
          if (isDisturbed) return;
          isDisturbed = true;
          try {
            disturb(files);
          } catch {
            // Refused, as a transfer may be.
          }
        };
        const trick = tricks(callback)[k]!;
        const { value } = trick;
        const name = `${method}(${trick.name}) and ${how}:`;
        current = name;
        const result = await settled(async () => {
          const promise = use(files.file, value as never);
          try {
            trick.later?.();
          } catch {
            // The method has transferred the buffer.
          }
          // What the plain argument does not do happens during the await.
          if (trick.name === "plain") callback();
          return await promise;
        });
        callsBack = isDisturbed;
        if (result === "HANGS") report(name, "does not settle");
        if (leaks(result)) report(name, "returns bytes of another file");
        if (!isIntact(value)) report(name, "writes around an array");
        files.close();
        const other = Deno.readFileSync(`${directory}/other`);
        if (Buffer.compare(other, OTHERS) !== 0) {
          report(name, "changes another file");
        }
        if (written === undefined) continue;
        const contents = readStart(files.path);
        const histogram = histogramOf(contents);
        // What is written beyond an end that the callback has moved leaves a hole.
        const holes = isDisturbed && how !== "nothing" ? histogram[0] : 0;
        const given = histogram[GIVEN];
        const foreign = contents.length - histogram[OWN]! - given! - holes!;
        if (foreign > 0) report(name, `writes ${foreign} foreign bytes`);
        if (typeof result !== "number") continue;
        if (given! > result || how === "nothing" && given !== result) {
          report(name, `returns ${result} and writes ${given} bytes`);
        }
      }
    }
  }
}

console.log(JSON.stringify(counts));
