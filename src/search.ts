/**
 * Search and lines over bytes. Knows nothing of files.
 *
 * @module
 */

import { isUint8Array, plainView } from "./intrinsics.ts";
import { PART_SIZE, PAUSE, Pauses, type Step } from "./iteration.ts";
import { checkRangeOptions } from "./ranges.ts";
import type { ByteRange } from "./types.ts";

/** Index of the first `needle` in `haystack`, -1 if there is none: libc's memmem, or anything as fast. */
export type Memmem = (haystack: Uint8Array, needle: Uint8Array) => number;

/**
 * Options of {@linkcode MmapFile.prototype.lines | lines}: the range to split into lines, and the direction.
 *
 * @example Skip a header
 * ```ts
 * import { type LinesOptions, openSync } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * const options: LinesOptions = { offset: file.indexOf("\n") + 1 };
 * for (const line of file.lines(options)) console.log(line.length);
 * ```
 */
export interface LinesOptions extends ByteRange {
  /** Start with the last line and end with the first, `false` by default. */
  reverse?: boolean;
}

/** The direction of a search: to higher or to lower indexes. */
export type Direction = 1 | -1;

/**
 * Bytes searched at a time. An index that V8 cannot hold in 32 bits makes a
 * byte loop 27 times slower (measured), so larger memory is searched through windows.
 */
const WINDOW = 2 ** 30;

/** Bytes in which a single byte is searched before memmem is called: a call takes as long. */
const MEMMEM_THRESHOLD = 1024;

/** Bytes at the end of a large file that are searched for its last lines first. */
const END_SIZE = 64 << 10;

/** Bytes of a large file: mapping all of it takes longer than mapping its end (measured). */
const LARGE_SIZE = 256 << 20;

/** Bounds the skips of long needles, so that they fit an Int32Array and cost little to prepare. */
const MAX_SKIP = 2 ** 16;

/** What messages call bytes that are not of a file. */
const DEFAULT_NAME = "bytes";

const encoder = new TextEncoder();

/** How far the window may move, by the byte at its end. Each search fills it again. */
const skips = new Int32Array(256);

/**
 * The needle as bytes, or a single byte as a number. A string becomes its UTF-8, and a lone surrogate U+FFFD.
 *
 * @throws {RangeError} If it is a number that is not an integer from 0 to 255. `Buffer` takes it modulo 256, and
 * `Uint8Array` does not find it; both hide a bug.
 * @throws {TypeError} If it is anything else.
 */
export function toNeedle(
  needle: Uint8Array | string | number,
  name = DEFAULT_NAME,
): Uint8Array | number {
  if (typeof needle === "number") {
    if (needle === (needle & 255)) return needle;
    throw new RangeError(
      `Cannot search '${name}': ${needle} is not a byte, an integer from 0 to 255`,
    );
  }
  if (typeof needle === "string") {
    const bytes = encoder.encode(needle);
    return bytes.length === 1 ? bytes[0]! : bytes;
  }
  if (!isUint8Array(needle)) {
    throw new TypeError(
      `Cannot search '${name}': the needle is not a Uint8Array, a string, or a number`,
    );
  }
  const bytes = plainView(needle);
  return bytes.length === 1 ? bytes[0]! : bytes;
}

/**
 * Index of the first `needle` that starts at `from` or later, -1 if there is none.
 *
 * As `Buffer.indexOf`: a negative `from` counts from the end, and an empty
 * needle is found at `from`, or at the end when that is nearer. With a range in place of `from`,
 * the needle lies within it.
 *
 * @throws {RangeError} If `from` is not a safe integer, or the range is not within the bytes.
 */
export function indexOf(
  haystack: Uint8Array,
  needle: Uint8Array | string | number,
  from: number | ByteRange = 0,
  memmem?: Memmem,
  name?: string,
): number {
  if (typeof from === "object") {
    const { part, offset } = partOf("search", haystack, from, name);
    const index = indexOf(part, needle, 0, memmem, name);
    return index === -1 ? -1 : offset + index;
  }
  const sought = toNeedle(needle, name);
  const { length } = haystack;
  const start = Math.max(resolveIndex(from, length, name), 0);
  if (typeof sought === "number") {
    return indexOfByte(haystack, sought, start, memmem);
  }
  if (sought.length === 0) return Math.min(start, length);
  if (start + sought.length > length) return -1;
  const rest = haystack.subarray(start);
  const index = memmem === undefined
    ? search(rest, sought, 1)
    : memmem(rest, sought);
  return index === -1 ? -1 : start + index;
}

/**
 * Index of the last `needle` that starts at `from` or before, -1 if there is none.
 *
 * As `Buffer.lastIndexOf`: a negative `from` counts from the end, and an empty
 * needle is found at `from`, or at the end when that is nearer. With a range in place of `from`,
 * the needle lies within it.
 *
 * @throws {RangeError} If `from` is not a safe integer, or the range is not within the bytes.
 */
export function lastIndexOf(
  haystack: Uint8Array,
  needle: Uint8Array | string | number,
  from: number | ByteRange = haystack.length,
  name?: string,
): number {
  if (typeof from === "object") {
    const { part, offset } = partOf("search", haystack, from, name);
    const index = lastIndexOf(part, needle, part.length, name);
    return index === -1 ? -1 : offset + index;
  }
  const sought = toNeedle(needle, name);
  const { length } = haystack;
  const start = resolveIndex(from, length, name);
  if (typeof sought === "number") {
    return start < 0 ? -1 : haystack.lastIndexOf(sought, start);
  }
  if (sought.length === 0) return Math.max(Math.min(start, length), 0);
  if (start < 0) return -1;
  return search(haystack.subarray(0, start + sought.length), sought, -1);
}

/**
 * Views of the lines, without their LF or CRLF. A last line need not have one;
 * a CR alone ends nothing. The range is read as if there were nothing around it.
 *
 * `check` is called when a line has been found and before it is handed out; it
 * throws when the memory can no longer be trusted.
 *
 * @throws {RangeError} If the range is not within the bytes.
 * @throws {TypeError} From `next()`, if the memory has been released before the end was reached.
 */
export function lines<Buffer extends ArrayBufferLike>(
  haystack: Uint8Array<Buffer>,
  options: LinesOptions = {},
  check?: () => void,
  window = WINDOW,
  name = DEFAULT_NAME,
  pauses: Pauses = new Pauses(),
): Generator<Uint8Array<Buffer>, void, undefined> {
  // Not a generator itself, because that would not check its arguments before the first `next()`.
  if (options.reverse) {
    const view = (offset: number, length: number) =>
      haystack.subarray(offset, offset + length);
    const size = haystack.length;
    return linesReverse(view, size, options, check, window, name, pauses);
  }
  const { offset, length } = rangeOf(
    "read lines of",
    haystack.length,
    options,
    name,
  );
  const stop = offset + length;
  const steps = iterate(haystack, offset, stop, check, window, pauses);
  // They yield `PAUSE` only if `pauses` is on.
  return steps as Generator<Uint8Array<Buffer>, void, undefined>;
}

/**
 * As `lines` with `reverse`, over `size` bytes that `view` returns in parts: the last lines need only a view of
 * the last `end` bytes, at least 1.
 */
export function linesReverse<Buffer extends ArrayBufferLike>(
  view: (offset: number, length: number) => Uint8Array<Buffer>,
  size: number,
  range: ByteRange = {},
  check?: () => void,
  end = size < LARGE_SIZE ? size : END_SIZE,
  name = DEFAULT_NAME,
  pauses: Pauses = new Pauses(),
): Generator<Uint8Array<Buffer>, void, undefined> {
  const { offset, length } = rangeOf("read lines of", size, range, name);
  const stop = offset + length;
  const start = Math.max(offset, stop - end);
  const steps = iterateReverse(
    view(start, stop - start),
    start,
    () => view(offset, length),
    offset,
    stop,
    check,
    pauses,
  );
  return steps as Generator<Uint8Array<Buffer>, void, undefined>;
}

/** The bytes of a range, and where it begins. */
function partOf(
  action: string,
  haystack: Uint8Array,
  range: ByteRange,
  name = DEFAULT_NAME,
): { part: Uint8Array; offset: number } {
  const { offset, length } = rangeOf(action, haystack.length, range, name);
  return { part: haystack.subarray(offset, offset + length), offset };
}

function rangeOf(
  action: string,
  size: number,
  range: ByteRange,
  name = DEFAULT_NAME,
): Required<ByteRange> {
  const { offset = 0, length = size - offset } = range;
  checkRangeOptions(action, { name, size }, offset, length);
  return { offset, length };
}

/** `from` as an index, below 0 if it counts from the end and past the beginning. */
function resolveIndex(
  from: number,
  length: number,
  name = DEFAULT_NAME,
): number {
  if (!Number.isSafeInteger(from)) {
    throw new RangeError(
      `Cannot search '${name}': the start ${from} is not a safe integer`,
    );
  }
  return from < 0 ? from + length : from;
}

/** The native search is quickest to start, memmem five times as fast once it runs (measured). */
function indexOfByte(
  haystack: Uint8Array,
  byte: number,
  start: number,
  memmem: Memmem | undefined,
): number {
  const far = start + MEMMEM_THRESHOLD;
  if (memmem === undefined || far >= haystack.length) {
    return haystack.indexOf(byte, start);
  }
  const near = haystack.subarray(start, far).indexOf(byte);
  if (near !== -1) return start + near;
  const index = memmem(haystack.subarray(far), Uint8Array.of(byte));
  return index === -1 ? -1 : far + index;
}

/**
 * Index of the first `needle` in the direction of `step`. It searches windows that overlap by the length of the
 * needle less one byte. The needle is not empty.
 */
export function search(
  haystack: Uint8Array,
  needle: Uint8Array,
  step: Direction,
  window = WINDOW,
): number {
  // With windows shorter than their overlap the search would not be linear.
  const width = Math.max(window, needle.length);
  const starts = haystack.length - needle.length + 1;
  for (let done = 0; done < starts; done += width) {
    const begin = step === 1 ? done : Math.max(starts - done - width, 0);
    const end = step === 1 ? done + width : starts - done;
    const index = twoWay(
      haystack.subarray(begin, end + needle.length - 1),
      needle,
      step,
    );
    if (index !== -1) return begin + index;
  }
  return -1;
}

/**
 * The Two-Way algorithm of Crochemore and Perrin (1991): linear in the worst
 * case, and its memory does not grow with the needle. If nothing is known about the window, Horspool's table
 * skips ahead, which happens nearly always in most data.
 *
 * Byte j of the needle in the direction of the search is `needle[first + step * j]`.
 */
function twoWay(
  haystack: Uint8Array,
  needle: Uint8Array,
  step: Direction,
): number {
  const { length } = haystack;
  const size = needle.length;
  const first = step === 1 ? 0 : size - 1;
  const { split, period, periodic } = factorize(needle, first, step);

  const span = Math.min(size, MAX_SKIP);
  skips.fill(step * span);
  for (let j = size - span; j < size; j++) {
    skips[needle[first + step * j]!] = step * (size - 1 - j);
  }

  /** Bytes at the window's beginning that are known to match, after a move by one period. */
  let known = 0;
  /** The last byte of the window, in the direction of the search. */
  let last = step === 1 ? size - 1 : length - size;
  while (last >= 0 && last < length) {
    if (known === 0) {
      const skip = skips[haystack[last]!]!;
      if (skip !== 0) {
        last += skip;
        continue;
      }
    }
    const begin = last - step * (size - 1);
    let j = Math.max(split, known);
    while (
      j < size && needle[first + step * j] === haystack[begin + step * j]
    ) j++;
    if (j < size) {
      last += step * (j - split + 1);
      known = 0;
      continue;
    }
    j = split - 1;
    while (
      j >= known && needle[first + step * j] === haystack[begin + step * j]
    ) j--;
    if (j < known) return step === 1 ? begin : last;
    last += step * period;
    if (periodic) known = size - period;
  }
  return -1;
}

/** A needle divided in two where its local period is that of the whole. */
interface Factorization {
  /** Length of the first part. */
  readonly split: number;
  /** How far the window may move when only the second part has matched. */
  readonly period: number;
  /** Whether `period` is a period of the whole needle, so that after such a move the rest is known to match. */
  readonly periodic: boolean;
}

function factorize(
  needle: Uint8Array,
  first: number,
  step: Direction,
): Factorization {
  const rising = maximalSuffix(needle, first, step, 1);
  const falling = maximalSuffix(needle, first, step, -1);
  const { start: split, period } = rising.start > falling.start
    ? rising
    : falling;
  for (let j = 0; j < split; j++) {
    if (needle[first + step * j] !== needle[first + step * (j + period)]) {
      const longer = Math.max(split, needle.length - split) + 1;
      return { split, period: longer, periodic: false };
    }
  }
  return { split, period, periodic: true };
}

/** The suffix that sorts last, with bytes in the given order, and its period. */
function maximalSuffix(
  needle: Uint8Array,
  first: number,
  step: Direction,
  order: 1 | -1,
): { start: number; period: number } {
  let start = 0;
  let period = 1;
  /** The suffix compared with the best so far, and the number of bytes in which they agree. */
  let rival = 1;
  let same = 0;
  while (rival + same < needle.length) {
    const difference = order *
      (needle[first + step * (rival + same)]! -
        needle[first + step * (start + same)]!);
    if (difference > 0) {
      start = rival;
      rival++;
      same = 0;
      period = 1;
    } else if (difference < 0) {
      rival += same + 1;
      same = 0;
      period = rival - start;
    } else if (same + 1 === period) {
      rival += period;
      same = 0;
    } else {
      same++;
    }
  }
  return { start, period };
}

const LF = 0x0a;
const CR = 0x0d;

/**
 * Lines from the first to the last.
 *
 * Of 61 ms for 50 MB of lines of 60 bytes, finding the LFs takes 17, making the views 18, and resuming this
 * generator for each 14 (measured). memchr goes through all of it in 3.5 ms: even if a call of it for each
 * line were free, all would take 47.
 */
function* iterate<Buffer extends ArrayBufferLike>(
  haystack: Uint8Array<Buffer>,
  offset: number,
  stop: number,
  check: (() => void) | undefined,
  window: number,
  pauses: Pauses,
): Generator<Step<Uint8Array<Buffer>>, void, undefined> {
  const { buffer, byteOffset } = haystack;
  // Positions are those in the buffer, whose words are aligned.
  const end = byteOffset + stop;
  let line = byteOffset + offset;
  /** The window over the buffer, and where it begins. */
  let at = line - line % 4;
  let words: Int32Array = new Int32Array(0);
  /** The same window, one byte longer in front where there is one: a CR may be there. */
  let bytes: Uint8Array = new Uint8Array(0);
  let front = 0;
  while (line < end) {
    if (haystack.length === 0) throwReleased(check);
    let index = newlineIn(words, line - at);
    while (index === -1 && at + words.length * 4 < end) {
      at += words.length * 4;
      const length = Math.min(pauses.areOn ? PART_SIZE : window, end - at);
      if (pauses.areOn) {
        pauses.from = Math.max(at, byteOffset + offset) - byteOffset;
        pauses.to = at + length - byteOffset;
        yield PAUSE;
        if (haystack.length === 0) throwReleased(check);
      }
      words = wordsAt(buffer, at, length);
      front = at === 0 ? 0 : 1;
      bytes = new Uint8Array(buffer, at - front);
      index = newlineIn(words, Math.max(line - at, 0));
    }
    // The last word may reach over the range.
    const newline = index === -1 ? end : Math.min(at + index, end);
    const isCRLF = newline > line && newline < end &&
      bytes[front + index - 1] === CR;
    check?.();
    yield new Uint8Array(buffer, line, newline - line - (isCRLF ? 1 : 0));
    line = newline + 1;
  }
}

/**
 * As `iterate`, from the last line to the first. Begins with a haystack that is the end of the range, from
 * `start` on, and requests the whole range when it needs more.
 */
function* iterateReverse<Buffer extends ArrayBufferLike>(
  haystack: Uint8Array<Buffer>,
  start: number,
  whole: () => Uint8Array<Buffer>,
  offset: number,
  stop: number,
  check: (() => void) | undefined,
  pauses: Pauses,
): Generator<Step<Uint8Array<Buffer>>, void, undefined> {
  if (offset === stop) return;
  /** The end of the line in the haystack, without its LF. */
  let end = stop - start;
  let hasLF = haystack[end - 1] === LF;
  if (hasLF) end--;
  /** The memory from here on was paused for. */
  let entered = Infinity;
  for (;;) {
    if (haystack.length === 0) throwReleased(check);
    if (pauses.areOn && start + end < entered) {
      entered = Math.max(start, start + end - PART_SIZE);
      pauses.from = entered;
      pauses.to = start + end;
      yield PAUSE;
      if (haystack.length === 0) throwReleased(check);
    }
    const before = end > 0 ? haystack.lastIndexOf(LF, end - 1) : -1;
    if (before === -1 && start > offset) {
      check?.();
      haystack = whole();
      end += start - offset;
      start = offset;
      entered = Infinity;
      continue;
    }
    const line = before + 1;
    const isCRLF = hasLF && end > line && haystack[end - 1] === CR;
    check?.();
    yield haystack.subarray(line, end - (isCRLF ? 1 : 0));
    if (line === 0) return;
    end = before;
    hasLF = true;
  }
}

/**
 * Index of the first newline at byte `from` of the words or later, -1 if there is none.
 *
 * Four bytes at a time: lines come 1.3 times as fast as with a native `indexOf`
 * for each (measured). The order of bytes in a word is that of x86-64 and
 * arm64, little-endian; Deno runs on no other.
 */
function newlineIn(words: Int32Array, from: number): number {
  const { length } = words;
  let k = from >> 2;
  if (k >= length) return -1;
  let marks = newlineMarks(words[k]! ^ NEWLINES) & (-1 << ((from & 3) * 8));
  while (marks === 0) {
    let word: number;
    do {
      if (++k === length) return -1;
      word = words[k]! ^ NEWLINES;
      // Not 0 if a byte of `word` is: Mycroft's test, the shortest.
    } while (((word - 0x01010101) & ~word & 0x80808080) === 0);
    marks = newlineMarks(word);
  }
  return k * 4 + ((31 - Math.clz32(marks & -marks)) >> 3);
}

/** Four newlines: a word xor this has a byte 0 for each newline. */
const NEWLINES = 0x0a0a0a0a;

/** The highest bit of each byte that is 0. Mycroft's test also marks a byte 1 above a byte 0. */
function newlineMarks(word: number): number {
  return ~(((word & 0x7f7f7f7f) + 0x7f7f7f7f) | word | 0x7f7f7f7f);
}

/** `length` bytes as words, or a little more. The last bytes of a buffer that does not end with a word are copied. */
function wordsAt(
  buffer: ArrayBufferLike,
  at: number,
  length: number,
): Int32Array {
  const whole = Math.floor((buffer.byteLength - at) / 4);
  if (whole > 0) {
    return new Int32Array(buffer, at, Math.min(whole, Math.ceil(length / 4)));
  }
  const bytes = new Uint8Array(4);
  bytes.set(new Uint8Array(buffer, at));
  return new Int32Array(bytes.buffer);
}

/** Throws, because the memory was detached between two lines. `check` may throw a better error. */
function throwReleased(check: (() => void) | undefined): never {
  check?.();
  throw new TypeError("Cannot read lines: the memory has been released");
}
