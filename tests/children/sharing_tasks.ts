/**
 * What processes and workers do with a file that they share.
 * The file begins with words by which they synchronize; the bytes that they work on follow.
 */

import { type MmapFile, openSync } from "../../mod.ts";

/** Bytes before what the tasks work on. */
export const HEADER = 4096;

/** The words of the header. */
export const ARRIVED = 0;
export const COUNTER = 1;
export const HEAD = 2;
export const TAIL = 3;
export const WAITING = 4;
export const RELEASED = 5;
export const SECOND_ARRIVED = 6;

export const SLOTS = 64;
export const SLOT_SIZE = 100;

const WRITE = { read: true, write: true };

/** Blocks for a millisecond. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** Waits until a condition holds; throws after a minute. */
export function waitUntil(isSo: () => boolean, what: string): void {
  const deadline = Date.now() + 60_000;
  for (let turn = 0; !isSo(); turn++) {
    if (turn > 1000) pause();
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${what}`);
  }
}

/** A barrier: waits until all have arrived. */
function meet(words: Int32Array, all: number, word = ARRIVED): void {
  Atomics.add(words, word, 1);
  waitUntil(() => Atomics.load(words, word) >= all, "the others");
}

/** The bytes of message or stripe `number`, which differ from those of adjacent ones. */
export function bytesOf(number: number, size = SLOT_SIZE): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => (number * 7 + at) & 255);
}

function hasBytesOf(bytes: Uint8Array, number: number): boolean {
  const expected = bytesOf(number, bytes.length);
  return bytes.every((byte, at) => byte === expected[at]);
}

/** Ways to write, which must all be equivalent. */
const writes: ((file: MmapFile, p: Uint8Array, at: number) => void)[] = [
  (file, p, at) => file.writeAtSync(p, at),
  (file, p, at) => file.bytes(at, p.length).set(p),
  (file, p, at) => {
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(p);
  },
  (file, p, at) => {
    const view = file.view(DataView, at);
    p.forEach((byte, index) => view.setUint8(index, byte));
  },
];

/** Ways to read. */
const reads: ((file: MmapFile, p: Uint8Array, at: number) => void)[] = [
  (file, p, at) => file.readAtSync(p, at),
  (file, p, at) => p.set(file.bytes(at, p.length)),
  (file, p, at) => {
    file.seekSync(at, Deno.SeekMode.Start);
    file.readSync(p);
  },
];

type Task = (
  path: string,
  ...args: number[]
) => string | number | boolean | Promise<string | number | boolean>;

export const tasks: Record<string, Task> = {
  /** Adds 1 to a word, many times. */
  add(path, all, times) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array);
    meet(words, all);
    for (let time = 0; time < times; time++) Atomics.add(words, COUNTER, 1);
    return "added";
  },

  /** Writes its own stripe repeatedly until it has seen the stripes of all others. */
  stripes(path, all, id) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array, 0, HEADER / 4);
    meet(words, all);
    const size = (file.size - HEADER) / all;
    const seen = new Set<number>();
    const buffer = new Uint8Array(size);
    waitUntil(() => {
      writes[id % writes.length]!(file, bytesOf(id, size), HEADER + id * size);
      for (let other = 0; other < all; other++) {
        reads[id % reads.length]!(file, buffer, HEADER + other * size);
        if (hasBytesOf(buffer, other)) seen.add(other);
      }
      return seen.size === all;
    }, "the stripes of the others");
    return seen.size;
  },

  /** Sends numbered messages through a ring of slots. */
  produce(path, messages) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array, 0, HEADER / 4);
    for (let number = 0; number < messages; number++) {
      waitUntil(
        () => number - Atomics.load(words, TAIL) < SLOTS,
        "an empty slot",
      );
      const write = writes[number % writes.length];
      write!(file, bytesOf(number), HEADER + number % SLOTS * SLOT_SIZE);
      Atomics.store(words, HEAD, number + 1);
    }
    return "sent";
  },

  /** Receives the messages, and counts the intact ones. */
  consume(path, messages) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array, 0, HEADER / 4);
    const buffer = new Uint8Array(SLOT_SIZE);
    let whole = 0;
    for (let number = 0; number < messages; number++) {
      waitUntil(() => Atomics.load(words, HEAD) > number, "a message");
      const read = reads[number % reads.length];
      read!(file, buffer, HEADER + number % SLOTS * SLOT_SIZE);
      if (hasBytesOf(buffer, number)) whole++;
      Atomics.store(words, TAIL, number + 1);
    }
    return whole;
  },

  /** Adds 1 to a word in a way that loses additions unless the lock works. */
  async addLocked(path, all, times, way) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array, 0, HEADER / 4);
    meet(words, all);
    for (let time = 0; time < times; time++) {
      if (way === 0) file.lockSync(true);
      else if (way === 1) await file.lock(true);
      else waitUntil(() => file.tryLockSync(true), "the lock");
      const count = words[COUNTER];
      // Long enough for another task to interfere if the lock fails.
      for (let turn = 0; turn < 20_000; turn++) Atomics.load(words, HEAD);
      words[COUNTER] = count! + 1;
      if (way === 1) await file.unlock();
      else file.unlockSync();
    }
    return "added";
  },

  /** Whether an exclusive lock, and a shared one, can be acquired. */
  tryLocks(path) {
    using file = openSync(path, WRITE);
    const exclusive = file.tryLockSync(true);
    if (exclusive) file.unlockSync();
    const shared = file.tryLockSync(false);
    return `${exclusive} ${shared}`;
  },

  /** Waits for a lock that another process holds, and returns whether it was released. */
  async waitForLock(path, isExclusive, isAsync) {
    using file = openSync(path, WRITE);
    const words = file.view(Int32Array, 0, HEADER / 4);
    Atomics.store(words, WAITING, 1);
    if (isAsync) await file.lock(isExclusive === 1);
    else file.lockSync(isExclusive === 1);
    return Atomics.load(words, RELEASED) === 1;
  },

  /** Appends numbered lines. */
  append(path, id, lines) {
    using file = openSync(path, { read: true, append: true });
    for (let line = 0; line < lines; line++) {
      const text = `${id} ${line} ${"x".repeat(line % 50)}\n`;
      file.writeSync(new TextEncoder().encode(text));
    }
    return "appended";
  },

  /** Extends a file of two headers step by step, and writes a byte at each end. */
  grow(path, steps) {
    using file = openSync(path, { ...WRITE, grow: true });
    const length = 2 * HEADER;
    for (let step = 1; step <= steps; step++) {
      file.writeAtSync(Uint8Array.of(step), length + step * 10_000 - 1);
      Atomics.store(file.view(Int32Array, 0, HEADER / 4), HEAD, step);
      waitUntil(
        () => Atomics.load(file.view(Int32Array, 0, HEADER / 4), TAIL) >= step,
        "the reader",
      );
    }
    return "grown";
  },

  /** Follows the extensions, and returns how many bytes were right. */
  follow(path, steps) {
    using file = openSync(path, WRITE);
    const length = 2 * HEADER;
    let right = 0;
    for (let step = 1; step <= steps; step++) {
      const words = () => file.view(Int32Array, 0, HEADER / 4);
      waitUntil(() => Atomics.load(words(), HEAD) >= step, "the writer");
      file.refresh();
      const last = new Uint8Array(1);
      file.readAtSync(last, length + step * 10_000 - 1);
      if (last[0] === step && file.size === length + step * 10_000) right++;
      Atomics.store(words(), TAIL, step);
    }
    return right;
  },

  /** Writes to private memory, and sees what others write after it. */
  copyOnWrite(path, all) {
    using shared = openSync(path, WRITE);
    const words = shared.view(Int32Array, 0, HEADER / 4);
    using file = openSync(path, { copyOnWrite: true });
    const mine = file.bytes(HEADER);
    const before = mine[0];
    meet(words, all);
    mine.fill(Deno.pid & 127 | 1);
    meet(words, all, SECOND_ARRIVED);
    const isMine = mine.every((byte) => byte === mine[0]);
    const isClean = shared.bytes(HEADER).every((byte) => byte === before);
    return isMine && isClean;
  },
};
