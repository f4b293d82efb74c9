/** Random calls of all methods on random files, with checks of what is known about their results. */

import { Buffer } from "node:buffer";
import {
  type Advice,
  ClosedError,
  type MmapFile,
  type MmapOpenOptions,
  open,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  toReadableStream,
  toWritableStream,
  TruncatedError,
} from "../../mod.ts";
import {
  LARGEST,
  PATTERN,
  PATTERNED,
  patterned,
  PREFIX,
  type SetName,
  WILD,
  wild,
} from "./files.ts";
import { OwnFile } from "./own_file.ts";
import type { Random } from "../random.ts";
import { addTo, emptyReport, type Report } from "./report.ts";

/** Files of each kind that one fuzzer has open at most. */
export const OPEN_AT_ONCE = 4;

/** Concurrent calls of one fuzzer at most. */
const UNDER_WAY = 4;

/** Classes that the documentation names. The name of the file is in the message of each. */
const DOCUMENTED = [
  ClosedError,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  TruncatedError,
  Deno.errors.AlreadyExists,
  Deno.errors.BadResource,
  Deno.errors.Busy,
  Deno.errors.NotFound,
  Deno.errors.WriteZero,
  RangeError,
  TypeError,
];

/** Words of the engine's own errors, which users should never see. */
const INTERNAL =
  /undefined|null|detached ArrayBuffer|not a function|Invalid|Perform|out of bounds/;

const ADVICE: Advice[] = ["normal", "sequential", "random"];
const HUGE = new Uint8Array((1 << 20) + 77).fill(35);
const MODES = [
  Deno.SeekMode.Start,
  Deno.SeekMode.Current,
  Deno.SeekMode.End,
];

/** Uses files, one in each thread. */
export class Fuzzer {
  report: Report = emptyReport();
  readonly #directory: string;
  readonly #set: SetName;
  readonly #random: Random;
  readonly #wild: MmapFile[] = [];
  readonly #patterned: { file: MmapFile; from: number }[] = [];
  readonly #own: OwnFile;
  readonly #underWay = new Set<Promise<void>>();

  constructor(directory: string, set: SetName, id: number, random: Random) {
    this.#directory = directory;
    this.#set = set;
    this.#random = random;
    this.#own = new OwnFile(
      `${directory}/${set}/own${id}`,
      random,
      (name, call) => this.#call(name, call),
    );
  }

  /** Calls on each kind of file. */
  async step(): Promise<void> {
    switch (this.#random.below(8)) {
      case 0:
      case 1:
        return await this.#own.step();
      case 2:
      case 3:
        return await this.#usePatterned();
      default:
        return await this.#useWild();
    }
  }

  /** Closes all files. */
  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    for (const file of this.#wild) {
      await this.#call("close", () => file.close());
    }
    for (const { file } of this.#patterned) {
      await this.#call("close", () => file.close());
    }
    await this.#own.close();
    this.#wild.length = this.#patterned.length = 0;
  }

  found(what: string): void {
    addTo(this.report.findings, what);
  }

  /** Makes a call and records its outcome; `true` if it did not throw. */
  async #call(name: string, call: () => unknown): Promise<boolean> {
    addTo(this.report.operations, name);
    try {
      await call();
      return true;
    } catch (error) {
      this.#note(name, error);
      return false;
    }
  }

  #note(name: string, error: unknown): void {
    const { name: kind } = error instanceof Error ? error : { name: "?" };
    const code = error instanceof SystemError ? ` ${error.code}` : "";
    addTo(this.report.errors, `${kind}${code}`);
    const isDocumented = DOCUMENTED.some((type) => error instanceof type) &&
      error instanceof Error && !INTERNAL.test(error.message) &&
      error.message.startsWith("Cannot ");
    if (isDocumented) return;
    const stack = error instanceof Error ? error.stack : "";
    this.found(`${name}: ${error}\n${stack}`);
  }

  // Wild files.

  async #useWild(): Promise<void> {
    const random = this.#random;
    const files = this.#wild;
    if (files.length < OPEN_AT_ONCE && (files.length === 0 || random.once(4))) {
      return await this.#openWild();
    }
    const file = random.pick(files);
    if (random.once(40)) {
      files.splice(files.indexOf(file), 1);
      await this.#call("close", () => file.close());
      // A use after close.
      if (random.once(2)) await this.#useOnce(file);
      return;
    }
    const isOver = this.#useOnce(file);
    if (!random.once(4)) return await isOver;
    const noted = isOver.finally(() => this.#underWay.delete(noted));
    this.#underWay.add(noted);
    if (this.#underWay.size >= UNDER_WAY) await Promise.all(this.#underWay);
  }

  async #useOnce(file: MmapFile): Promise<void> {
    const [name, call] = this.#random.pick(CALLS);
    if (await this.#call(name, () => call(file, this.#random))) return;
    if (!file.closed && !this.#random.once(4)) {
      await this.#call("refresh", () => file.refresh());
    }
  }

  async #openWild(): Promise<void> {
    const random = this.#random;
    const path = wild(this.#directory, this.#set, random.below(WILD));
    const options = wildOptions(random);
    const isSync = random.once(2);
    await this.#call(isSync ? "openSync" : "open", async () => {
      this.#wild.push(
        isSync ? openSync(path, options) : await open(path, options),
      );
    });
  }

  // Files whose bytes are known, up to their current end.

  async #usePatterned(): Promise<void> {
    const random = this.#random;
    const files = this.#patterned;
    if (files.length < OPEN_AT_ONCE && (files.length === 0 || random.once(8))) {
      const i = random.below(PATTERNED);
      const path = patterned(this.#directory, this.#set, i);
      const from = random.once(2) ? 0 : random.below(PREFIX);
      const options: MmapOpenOptions = {
        ...random.pick([{ read: true }, { read: true }, { copyOnWrite: true }, {
          read: true,
          write: true,
        }]),
        ...(from === 0 ? {} : { offset: from }),
        prefetch: random.once(8),
        advice: random.pick(ADVICE),
      };
      await this.#call("openSync", () => {
        files.push({ file: openSync(path, options), from });
      });
      return;
    }
    const one = random.pick(files);
    const { file, from } = one;
    if (random.once(40)) {
      files.splice(files.indexOf(one), 1);
      await this.#call("close", () => file.close());
      return;
    }
    const [name, look] = random.pick(LOOKS);
    const isWhole = await this.#call(name, async () => {
      for (const [bytes, offset] of await look(file, random)) {
        this.#check(name, bytes, from + offset);
      }
    });
    if (isWhole || file.closed) return;
    await this.#call("refresh", () => file.refresh());
  }

  /** Each byte must be that of the pattern, or a 0 where `file_mutator.ts` truncates. */
  #check(name: string, bytes: Uint8Array, position: number): void {
    const expected = PATTERN.subarray(position, position + bytes.length);
    if (Buffer.compare(bytes, expected) === 0) return;
    for (let i = 0; i < bytes.length; i++) {
      const isThere = bytes[i] === expected[i];
      const isGone = bytes[i] === 0 && position + i >= PREFIX;
      if (isThere || isGone) continue;
      this.found(
        `${name}: byte ${position + i} is ${bytes[i]}, not ${expected[i]}`,
      );
      return;
    }
  }
}

function wildOptions(random: Random): MmapOpenOptions {
  const common: MmapOpenOptions = {
    advice: random.pick(ADVICE),
    prefetch: random.once(10),
    backend: random.once(12) ? "fallback" : "auto",
  };
  const size = 1 + random.skewed(LARGEST);
  const write = { read: true, write: true };
  const start = random.skewed(1 << 18);
  return {
    ...common,
    ...random.pick<MmapOpenOptions>([
      {},
      {},
      write,
      write,
      { write: true },
      { ...write, grow: true },
      { ...write, grow: true, create: true },
      { ...write, create: true, size, sparse: random.once(2) },
      { ...write, create: true, truncate: true, size },
      { ...write, createNew: true, size },
      { ...write, truncate: true, grow: true },
      { read: true, append: true },
      { append: true, create: true },
      { copyOnWrite: true },
      { offset: start },
      { offset: start, length: random.skewed(1 << 18) },
      { ...write, offset: start },
      { copyOnWrite: true, offset: start },
    ]),
  };
}

/** A call on a file of which nothing is known. */
type Call = (file: MmapFile, random: Random) => unknown;

/** A position in the file, past its end, or an invalid one. */
function place(file: MmapFile, random: Random): number {
  return random.once(50)
    ? random.pick([-1, 0.5, NaN])
    : random.below(file.size + (random.once(4) ? 5000 : 0));
}

function lengthOf(random: Random): number {
  return random.skewed(random.once(5) ? 1 << 20 : 1 << 14);
}

function some(random: Random): Uint8Array<ArrayBuffer> {
  return random.once(100) ? HUGE : HUGE.slice(0, lengthOf(random));
}

/** Truncates files that have grown. */
function keepSmall(file: MmapFile): void {
  if (file.size > 2 * LARGEST) file.truncateSync(LARGEST);
}

function range(file: MmapFile, random: Random): [number, number] {
  const offset = random.below(file.size);
  return [offset, random.below(file.size - offset + 1)];
}

async function drain(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  random: Random,
): Promise<void> {
  let left = 1 + random.below(5);
  if (random.once(3)) {
    const reader = stream.getReader({ mode: "byob" });
    while (left-- > 0) {
      const { done } = await reader.read(new Uint8Array(1 + lengthOf(random)));
      if (done) return;
    }
    return await reader.cancel();
  }
  for await (const _ of stream) if (left-- === 0) return;
}

const CALLS: [string, Call][] = Object.entries<Call>({
  readSync: (file, random) => file.readSync(some(random)),
  read: (file, random) => file.read(some(random)),
  readAtSync: (file, random) =>
    file.readAtSync(some(random), place(file, random)),
  readAt: (file, random) => file.readAt(some(random), place(file, random)),
  writeSync(file, random) {
    keepSmall(file);
    return file.writeSync(some(random));
  },
  write(file, random) {
    keepSmall(file);
    return file.write(some(random));
  },
  writeAtSync: (file, random) =>
    file.writeAtSync(some(random), place(file, random)),
  writeAt: (file, random) => file.writeAt(some(random), place(file, random)),
  writeItself: (file, random) =>
    file.writeAt(file.bytes(0, random.below(file.size)), place(file, random)),
  writeStringSync: (file, random) =>
    file.writeStringSync("añ€😀".repeat(random.skewed(500))),
  writeString: (file, random) =>
    file.writeString("añ€😀".repeat(random.skewed(500))),
  readFrom(file, random) {
    keepSmall(file);
    const stream = new Blob([some(random)]).stream();
    return file.readFrom(stream);
  },
  readFromSync(file, random) {
    keepSmall(file);
    let left = random.below(4);
    return file.readFromSync({
      readSync: (p) => left-- > 0 ? p.fill(34).length : null,
    });
  },
  writeTo: (file) => file.writeTo({ write: async (p) => await p.length }),
  writeToStream: (file) => file.writeTo(new WritableStream()),
  writeToSync: (file) => file.writeToSync({ writeSync: (p) => p.length }),
  async writeToFsFile(file) {
    using target = await Deno.open(`${file.name}.copy`, {
      write: true,
      create: true,
      truncate: true,
    });
    await file.writeTo(target);
  },
  seekSync: (file, random) =>
    file.seekSync(random.below(file.size), random.pick(MODES)),
  seek: (file, random) =>
    file.seek(BigInt(random.below(file.size)), random.pick(MODES)),
  truncateSync: (file, random) => file.truncateSync(random.skewed(LARGEST)),
  truncate: (file, random) => file.truncate(random.skewed(LARGEST)),
  statSync: (file) => file.statSync(),
  stat: (file) => file.stat(),
  syncSync: (file, random) => random.once(10) && file.syncSync(),
  sync: (file, random) => random.once(10) && file.sync(),
  syncDataSync: (file, random) => random.once(10) && file.syncDataSync(),
  syncData: (file, random) => random.once(10) && file.syncData(),
  utimeSync: (file, random) => file.utimeSync(random.below(1e9), new Date()),
  utime: (file, random) => file.utime(random.below(1e9), new Date()),
  tryLockSync(file, random) {
    if (file.tryLockSync(random.once(2))) file.unlockSync();
  },
  async tryLock(file, random) {
    if (await file.tryLock(random.once(2))) await file.unlock();
  },
  isTerminal: (file) => file.isTerminal(),
  size: (file) => file.size,
  inspect: (file) => Deno.inspect(file),
  bytes(file, random) {
    const bytes = file.bytes(...range(file, random));
    let sum = 0;
    for (let i = 0; i < bytes.length; i += 512) sum += bytes[i]!;
    return sum;
  },
  fill(file, random) {
    file.bytes(...range(file, random)).fill(random.below(256));
  },
  view(file, random) {
    const offset = random.once(10) ? 1 : 4 * random.below(file.size / 8);
    const numbers = file.view(Int32Array, offset);
    if (numbers.length > 0) Atomics.add(numbers, 0, 1);
  },
  dataView: (file) => file.view(DataView).byteLength,
  chunks(file, random) {
    for (const chunk of file.chunks(4096 + random.skewed(1 << 20))) {
      chunk.lastIndexOf(1);
      if (random.once(20)) file.refresh();
    }
  },
  indexOf: (file, random) =>
    file.indexOf(
      random.pick(["no such thing", HUGE.subarray(0, 100), 255]),
      random.below(file.size),
    ),
  lastIndexOf: (file, random) =>
    file.lastIndexOf(random.pick(["no such thing", 254])),
  includes: (file) => file.includes("not here"),
  lines(file, random) {
    let left = random.skewed(1000);
    for (const line of file.lines()) {
      if (line.length === 1e9 || left-- === 0) break;
    }
  },
  flushSync: (file, random) =>
    random.once(5) && file.flushSync(...range(file, random)),
  flush: (file, random) => random.once(5) && file.flush(...range(file, random)),
  prefetch: (file, random) => file.prefetch(...range(file, random)),
  advise: (file, random) => file.advise(random.pick(ADVICE)),
  refresh: (file) => file.refresh(),
  // Of a copy: V8 reads the bytes twice, and a change in between can crash the process.
  decode: (file) => new TextDecoder().decode(file.bytes().slice()).length,
  digest: (file) => crypto.subtle.digest("SHA-1", file.bytes()),
  toReadableStream: (file, random) => drain(toReadableStream(file), random),
  async zeroCopy(file) {
    let sum = 0;
    for await (const chunk of toReadableStream(file, { zeroCopy: true })) {
      // Empty if a concurrent call has remapped the file.
      if (chunk.length > 0) sum += chunk[chunk.length - 1]!;
    }
    return sum;
  },
  async toWritableStream(file, random) {
    const stream = toWritableStream(file, { offset: random.below(file.size) });
    const writer = stream.getWriter();
    await writer.write(some(random));
    await writer.close();
  },
  async readable(file, random) {
    // It closes what it reads.
    const again = openSync(file.name);
    try {
      await drain(again.readable, random);
    } finally {
      again[Symbol.dispose]();
    }
  },
  async writable(file, random) {
    const again = openSync(file.name, { write: true });
    try {
      const writer = again.writable.getWriter();
      await writer.write(some(random));
      await (random.once(2) ? writer.close() : writer.abort());
    } catch (error) {
      if (!again.closed) again[Symbol.dispose]();
      throw error;
    }
  },
});

/** A read of a patterned file: the bytes that a method returned, and their offset. */
type Look = (
  file: MmapFile,
  random: Random,
) => [Uint8Array, number][] | Promise<[Uint8Array, number][]>;

const LOOKS: [string, Look][] = Object.entries<Look>({
  readSync(file, random) {
    const at = file.seekSync(random.below(file.size), Deno.SeekMode.Start);
    const p = new Uint8Array(lengthOf(random));
    return [[p.subarray(0, file.readSync(p) ?? 0), at]];
  },
  readAtSync(file, random) {
    const at = random.below(file.size);
    const p = new Uint8Array(lengthOf(random));
    return [[p.subarray(0, file.readAtSync(p, at) ?? 0), at]];
  },
  async readAt(file, random) {
    const at = random.below(file.size);
    const p = new Uint8Array(random.once(10) ? 2 << 20 : lengthOf(random));
    return [[p.subarray(0, await file.readAt(p, at) ?? 0), at]];
  },
  bytes: (file, random) => {
    const at = random.below(file.size);
    return [[file.bytes(at).slice(), at]];
  },
  chunks(file, random) {
    let at = 0;
    const seen: [Uint8Array, number][] = [];
    for (const chunk of file.chunks(1 + random.skewed(1 << 20) + 1000)) {
      if (random.once(10)) seen.push([chunk.slice(), at]);
      at += chunk.length;
    }
    return seen;
  },
  indexOf(file) {
    // Twice in the range that is never truncated: at its offset, or not found.
    const size = file.size;
    const first = file.readAtSync(new Uint8Array(64), 0) ?? 0;
    const needle = file.bytes(0, Math.min(first, size)).slice();
    const at = file.indexOf(needle);
    return [[file.bytes(at, needle.length).slice(), at]];
  },
  async toReadableStream(file) {
    let at = 0;
    const seen: [Uint8Array, number][] = [];
    for await (const chunk of toReadableStream(file)) {
      seen.push([chunk, at]);
      at += chunk.length;
    }
    return seen;
  },
  async writeTo(file) {
    let at = 0;
    const seen: [Uint8Array, number][] = [];
    const stream = new WritableStream<Uint8Array>({
      write(chunk) {
        seen.push([chunk, at]);
        at += chunk.length;
      },
    });
    await file.writeTo(stream);
    return seen;
  },
  stat(file) {
    const { size } = file.statSync();
    if (size < PREFIX) throw new Error(`${size} bytes of ${PREFIX}`);
    return [];
  },
  refresh(file) {
    file.refresh();
    return [];
  },
});
