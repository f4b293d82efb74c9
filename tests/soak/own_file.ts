/** A file that only one thread uses, so that every byte is known. */

import { Buffer } from "node:buffer";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  OutOfBoundsError,
  toReadableStream,
} from "../../mod.ts";
import type { Random } from "../random.ts";

/** Bytes that the file grows to at most. */
const LARGEST = 2 << 20;

/** Makes a call; an error that it throws is recorded. */
type Caller = (name: string, call: () => unknown) => Promise<boolean>;

/** What the file must be. */
export class OwnFile {
  readonly #path: string;
  readonly #random: Random;
  readonly #call: Caller;
  #file: MmapFile | null = null;
  #options: MmapOpenOptions = {};
  /** The bytes, followed by spare room. */
  readonly #room = new Uint8Array(LARGEST);
  #size = 0;
  #cursor = 0;
  readonly #last: string[] = [];

  constructor(path: string, random: Random, call: Caller) {
    this.#path = path;
    this.#random = random;
    this.#call = call;
    Deno.writeFileSync(path, new Uint8Array(0));
  }

  async step(): Promise<void> {
    if (this.#file === null) return await this.#open();
    if (this.#random.once(50)) return await this.close();
    const [name, call] = this.#random.pick(OWN_CALLS);
    const file = this.#file;
    this.#last.push(name);
    if (this.#last.length > 12) this.#last.shift();
    await this.#call(`own ${name}`, () => call(this, file, this.#random));
  }

  async close(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    await this.#call("own close", () => {
      file.close();
      const { copyOnWrite } = this.#options;
      const inFile = Deno.readFileSync(this.#path);
      if (!copyOnWrite) this.check("the file", inFile, 0, this.#size);
      else {
        // The memory was transferred, and took the changes with it.
        this.#size = inFile.length;
        this.#room.fill(0);
        this.#room.set(inFile);
      }
    });
    this.#file = null;
  }

  async #open(): Promise<void> {
    const random = this.#random;
    const write = { read: true, write: true };
    this.#options = {
      ...random.pick<MmapOpenOptions>([
        write,
        { ...write, grow: true },
        { ...write, grow: true },
        { read: true, append: true },
        { copyOnWrite: true },
        { read: true },
      ]),
      guard: random.once(2),
      prefetch: random.once(4),
      backend: random.once(6) ? "fallback" : "auto",
    };
    await this.#call("own openSync", () => {
      this.#file = openSync(this.#path, this.#options);
      this.#cursor = 0;
      if (this.#file.size !== this.#size) {
        throw new Error(`size ${this.#file.size}, not ${this.#size}`);
      }
    });
  }

  /** How it was opened, and the last calls, for a message. */
  toString(): string {
    return `${JSON.stringify(this.#options)} after ${this.#last.join(", ")}`;
  }

  get size(): number {
    return this.#size;
  }

  get cursor(): number {
    return this.#cursor;
  }

  set cursor(position: number) {
    this.#cursor = position;
  }

  get canWrite(): boolean {
    const { write, append, copyOnWrite } = this.#options;
    return write || append || copyOnWrite || false;
  }

  get canResize(): boolean {
    const { write, append } = this.#options;
    return write || append || false;
  }

  get canGrow(): boolean {
    const { grow, append } = this.#options;
    return grow || append || false;
  }

  get appends(): boolean {
    return this.#options.append ?? false;
  }

  /** The bytes as they must be. */
  bytes(from = 0, to: number = this.#size): Uint8Array<ArrayBuffer> {
    return this.#room.subarray(from, Math.max(from, Math.min(to, this.#size)));
  }

  /** Throws unless the bytes are those of a range. */
  check(what: string, bytes: Uint8Array, from: number, to: number): void {
    const expected = this.bytes(from, to);
    if (Buffer.compare(bytes, expected) === 0) return;
    let i = 0;
    while (bytes[i] === expected[i]) i++;
    throw new Error(
      `${what}: ${bytes.length} bytes from ${from}, not ${expected.length}; ` +
        `the one at ${from + i} is ${bytes[i]}, not ${expected[i]}; ${this}`,
    );
  }

  /** Records a write. */
  wrote(bytes: Uint8Array, position: number): void {
    this.#room.set(bytes, position);
    this.#size = Math.max(this.#size, position + bytes.length);
  }

  /** Records a new length. */
  resized(size: number): void {
    if (size < this.#size) this.#room.fill(0, size, this.#size);
    this.#size = size;
  }

  /** Bytes to write that do not make the file too large. */
  some(at: number): Uint8Array<ArrayBuffer> {
    const random = this.#random;
    const limit = random.once(10) ? LARGEST : 1 << 14;
    const length = Math.min(random.skewed(limit), LARGEST - at);
    const first = random.below(256);
    const bytes = new Uint8Array(Math.max(0, length));
    for (let i = 0; i < bytes.length; i++) bytes[i] = first + i + (i >> 8);
    return bytes;
  }
}

type OwnCall = (own: OwnFile, file: MmapFile, random: Random) => unknown;

/** A write at a position, of a file that grows or does not. */
async function writeAt(
  own: OwnFile,
  random: Random,
  write: (p: Uint8Array, at: number) => number | Promise<number>,
): Promise<void> {
  if (!own.canWrite) return;
  const beyond = random.once(5) ? 10_000 : 0;
  const at = Math.min(random.below(own.size + beyond + 1), LARGEST - 20_000);
  const p = own.some(at);
  const end = at + p.length;
  if (end <= own.size || (own.canGrow && !own.appends) || p.length === 0) {
    if (await write(p, at) !== p.length) throw new Error("not all written");
    if (p.length > 0) own.wrote(p, at);
    return;
  }
  const fits = Math.max(0, own.size - at);
  try {
    await write(p, at);
  } catch (error) {
    if (!(error instanceof OutOfBoundsError)) throw error;
    if (error.bytesWritten !== fits) {
      throw new Error(`${error.bytesWritten} bytes written, not ${fits}`);
    }
    if (fits > 0) own.wrote(p.subarray(0, fits), at);
    return;
  }
  throw new Error("no OutOfBoundsError");
}

/** A write at the cursor. */
async function writeOn(
  own: OwnFile,
  write: (p: Uint8Array) => number | Promise<number>,
): Promise<void> {
  if (!own.canWrite) return;
  const at = own.appends ? own.size : own.cursor;
  if (at > LARGEST - 20_000) return;
  const p = own.some(at);
  if (!own.canGrow && at + p.length > own.size) return;
  if (await write(p) !== p.length) throw new Error("not all written");
  if (p.length === 0) return;
  own.wrote(p, at);
  own.cursor = at + p.length;
}

async function readOn(
  own: OwnFile,
  random: Random,
  read: (p: Uint8Array) => number | null | Promise<number | null>,
): Promise<void> {
  const p = new Uint8Array(random.skewed(1 << 21));
  const count = await read(p);
  const left = Math.max(0, own.size - own.cursor);
  const expected = p.length > 0 && left === 0 ? null : Math.min(p.length, left);
  if (count !== expected) {
    throw new Error(
      `read ${count}, not ${expected}, at ${own.cursor} of ${own.size}; ${own}`,
    );
  }
  const end = own.cursor + (count ?? 0);
  own.check("read", p.subarray(0, count ?? 0), own.cursor, end);
  own.cursor = end;
}

async function resize(
  own: OwnFile,
  random: Random,
  truncate: (size: number) => void | Promise<void>,
): Promise<void> {
  if (!own.canResize) return;
  const size = random.once(3)
    ? random.below(own.size)
    : Math.min(own.size + random.skewed(1 << 18), LARGEST);
  await truncate(size);
  own.resized(size);
}

const OWN_CALLS: [string, OwnCall][] = Object.entries<OwnCall>({
  writeAtSync: (own, file, random) =>
    writeAt(own, random, (p, at) => file.writeAtSync(p, at)),
  writeAt: (own, file, random) =>
    writeAt(own, random, (p, at) => file.writeAt(p, at)),
  writeSync: (own, file) => writeOn(own, (p) => file.writeSync(p)),
  write: (own, file) => writeOn(own, (p) => file.write(p)),
  readSync: (own, file, random) => readOn(own, random, (p) => file.readSync(p)),
  read: (own, file, random) => readOn(own, random, (p) => file.read(p)),
  readAtSync(own, file, random) {
    const at = random.below(own.size);
    const p = new Uint8Array(random.skewed(1 << 16));
    const read = file.readAtSync(p, at) ?? 0;
    own.check("readAtSync", p.subarray(0, read), at, at + p.length);
  },
  seekSync(own, file, random) {
    own.cursor = file.seekSync(random.below(own.size + 1), 0);
  },
  truncateSync: (own, file, random) =>
    resize(own, random, (size) => file.truncateSync(size)),
  truncate: (own, file, random) =>
    resize(own, random, (size) => file.truncate(size)),
  bytes(own, file) {
    own.check("bytes", file.bytes(), 0, own.size);
  },
  change(own, file, random) {
    if (!own.canWrite || own.size === 0) return;
    const at = random.below(own.size);
    file.bytes(at, 1)[0] = 200;
    own.wrote(Uint8Array.of(200), at);
  },
  indexOf(own, file, random) {
    const at = random.below(own.size);
    const needle = own.bytes(at, at + 1 + random.below(300)).slice();
    const expected = Buffer.from(own.bytes()).indexOf(needle);
    const found = file.indexOf(needle);
    if (found !== expected) throw new Error(`found ${found}, not ${expected}`);
  },
  lines(own, file) {
    let newlines = 0;
    for (const byte of own.bytes()) if (byte === 10) newlines++;
    const last = own.size > 0 && own.bytes()[own.size - 1] !== 10 ? 1 : 0;
    let lines = 0;
    for (const _ of file.lines()) lines++;
    if (lines !== newlines + last) throw new Error(`${lines} lines`);
  },
  async toReadableStream(own, file) {
    let at = 0;
    for await (const chunk of toReadableStream(file)) {
      own.check("toReadableStream", chunk, at, at + chunk.length);
      at += chunk.length;
    }
    if (at !== own.size) throw new Error(`${at} bytes, not ${own.size}`);
  },
  stat(own, file) {
    const { size } = file;
    if (size !== own.size) throw new Error(`size ${size}, not ${own.size}`);
    if (file.statSync().size !== size && own.canResize) {
      throw new Error("stat() reports another size");
    }
  },
  sync: (_, file, random) => random.once(20) && file.sync(),
  flushSync: (_, file, random) => random.once(10) && file.flushSync(),
  refresh(_, file) {
    file.refresh();
  },
});
