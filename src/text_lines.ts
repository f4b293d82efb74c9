/**
 * Lines of a file as strings.
 *
 * A chunk that ends with a line ends with a complete character: no UTF-8 character contains an LF. So each chunk is
 * decoded and split by itself. Each line is searched when it is requested: an array of the lines of a chunk takes
 * longer to create (measured).
 *
 * @module
 */

import { yieldIfDue } from "./event_loop.ts";
import {
  checkRange,
  type CheckSize,
  readFully,
  readFullySync,
  type Source,
} from "./ranges.ts";
import type { ByteRange } from "./types.ts";
import { MAX_STRING_LENGTH, newDecoder, withoutBOM } from "./text.ts";

/**
 * Options of {@linkcode MmapFile.prototype.textLines | textLines}: the range, the direction, and what to do with an unfinished line.
 *
 * @example The last line that has been written to its end
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, type TextLinesOptions } from "@mmapfile/mmapfile";
 *
 * const options: TextLinesOptions = { reverse: true, complete: true };
 * using file = createSync(Deno.makeTempFileSync());
 * file.writeStringSync("one\ntwo\nthr");
 * const [last] = file.textLines(options);
 * assert.equal(last, "two");
 * ```
 */
export interface TextLinesOptions extends ByteRange {
  /** Leave out a last line that does not end with an LF, because it may not be finished, `false` by default. */
  complete?: boolean;
  /** Start with the last line and end with the first, `false` by default. */
  reverse?: boolean;
}

/** Bytes of the first chunk: a few lines are read quickly. */
const FIRST_CHUNK_SIZE = 4 << 10;

/** Bytes of later chunks: one and its text stay in the processor's cache. */
const CHUNK_SIZE = 64 << 10;

const LF = 0x0a;
const CR = 0x0d;

/** The lines of a range, each time they are iterated over; see `MmapFile.textLines`. */
export function textLinesOf(
  file: Source,
  checkSize: CheckSize,
  options: TextLinesOptions = {},
): Iterable<string> & AsyncIterable<string> {
  const { offset = 0, length = file.size - offset } = options;
  checkRange("read lines of", file, offset, length);
  const chunks = () => new Chunks(file, offset, length, options, checkSize);
  return {
    [Symbol.iterator]: () => new Lines(chunks()),
    [Symbol.asyncIterator]: () => new AsyncLines(chunks()),
  };
}

/** The text of whole lines of a range, chunk by chunk. */
class Chunks {
  readonly #file: Source;
  readonly #checkSize: CheckSize;
  readonly #offset: number;
  readonly #isComplete: boolean;
  readonly isReverse: boolean;
  /** The bytes that are left. */
  #from: number;
  #to: number;
  /** Bytes of the next chunk. */
  #size = FIRST_CHUNK_SIZE;
  #buffer = new Uint8Array(0);
  readonly #decoder = newDecoder();

  constructor(
    file: Source,
    offset: number,
    length: number,
    { complete = false, reverse = false }: TextLinesOptions,
    checkSize: CheckSize,
  ) {
    this.#file = file;
    this.#checkSize = checkSize;
    this.#offset = offset;
    this.#from = offset;
    this.#to = offset + length;
    this.#isComplete = complete;
    this.isReverse = reverse;
  }

  get isDone(): boolean {
    return this.#from === this.#to;
  }

  /** The text of the next chunk; empty if a line is longer than the chunk. */
  readSync(): string {
    const [p, position] = this.#next();
    readFullySync(this.#file, p, position, this.#checkSize);
    return this.#textOf(p, position);
  }

  async read(): Promise<string> {
    await yieldIfDue();
    const [p, position] = this.#next();
    await readFully(this.#file, p, position, this.#checkSize);
    return this.#textOf(p, position);
  }

  /** Memory for the next chunk, and where that chunk is. */
  #next(): [p: Uint8Array, position: number] {
    const length = Math.min(this.#size, this.#to - this.#from);
    if (this.#buffer.length < length) this.#buffer = new Uint8Array(length);
    const position = this.isReverse ? this.#to - length : this.#from;
    return [this.#buffer.subarray(0, length), position];
  }

  #textOf(p: Uint8Array, position: number): string {
    const isFirst = position === this.#offset;
    const isLast = position + p.length === this.#to;
    const isRest = position === this.#from && isLast;
    let from = 0;
    let to = p.length;
    if (!isRest) {
      if (this.isReverse) from = p.indexOf(LF) + 1;
      else to = p.lastIndexOf(LF) + 1;
      const holdsLine = this.isReverse ? from > 0 && from < to : to > 0;
      if (!holdsLine) {
        this.#enlarge();
        return "";
      }
    }
    if (isRest) this.#from = this.#to;
    else if (this.isReverse) this.#to = position + from;
    else this.#from = position + to;
    this.#size = Math.min(4 * this.#size, CHUNK_SIZE);
    // Backwards what follows the last LF of a range comes with the first chunk.
    if (this.#isComplete) to = p.lastIndexOf(LF) + 1;
    const text = this.#decoder.decode(p.subarray(from, to));
    return isFirst && from === 0 ? withoutBOM(text) : text;
  }

  #enlarge(): void {
    if (this.#size >= MAX_STRING_LENGTH) {
      const { name } = this.#file;
      const where = this.isReverse
        ? `that ends at byte ${this.#to}`
        : `at byte ${this.#from}`;
      throw new RangeError(
        `Cannot read lines of '${name}': the line ${where} is longer than ${MAX_STRING_LENGTH} bytes`,
      );
    }
    this.#size = Math.min(2 * this.#size, MAX_STRING_LENGTH);
  }
}

/** Iterates twice as fast as a generator (measured). */
class Lines implements Iterator<string, undefined> {
  readonly #chunks: Chunks;
  #text = new Text("", false);

  constructor(chunks: Chunks) {
    this.#chunks = chunks;
  }

  next(): IteratorResult<string, undefined> {
    while (this.#text.isEmpty) {
      if (this.#chunks.isDone) return { done: true, value: undefined };
      this.#text = new Text(this.#chunks.readSync(), this.#chunks.isReverse);
    }
    return { done: false, value: this.#text.takeLine() };
  }
}

class AsyncLines implements AsyncIterator<string, undefined> {
  readonly #chunks: Chunks;
  #text = new Text("", false);
  /** The last call that waits for a chunk, which later calls wait for. */
  #last: Promise<IteratorResult<string, undefined>> | null = null;

  constructor(chunks: Chunks) {
    this.#chunks = chunks;
  }

  next(): Promise<IteratorResult<string, undefined>> {
    if (this.#last === null && !this.#text.isEmpty) {
      const value = this.#text.takeLine();
      return Promise.resolve({ done: false, value });
    }
    const next = this.#nextAfter(this.#last).finally(() => {
      if (this.#last === next) this.#last = null;
    });
    return this.#last = next;
  }

  async #nextAfter(
    before: Promise<unknown> | null,
  ): Promise<IteratorResult<string, undefined>> {
    await before?.catch(() => {});
    while (this.#text.isEmpty) {
      if (this.#chunks.isDone) return { done: true, value: undefined };
      this.#text = new Text(await this.#chunks.read(), this.#chunks.isReverse);
    }
    return { done: false, value: this.#text.takeLine() };
  }
}

/** A text, of which lines are taken from either end. */
class Text {
  readonly #text: string;
  readonly #isReverse: boolean;
  /** What is left: from here on, or backwards up to here. */
  #at: number;

  constructor(text: string, isReverse: boolean) {
    this.#text = text;
    this.#isReverse = isReverse;
    this.#at = isReverse ? text.length : 0;
  }

  get isEmpty(): boolean {
    return this.#at === (this.#isReverse ? 0 : this.#text.length);
  }

  /** The next line, without its LF or CRLF. */
  takeLine(): string {
    return this.#isReverse ? this.#takeLast() : this.#takeFirst();
  }

  #takeFirst(): string {
    const start = this.#at;
    const newline = this.#text.indexOf("\n", start);
    this.#at = newline === -1 ? this.#text.length : newline + 1;
    return this.#line(start, newline);
  }

  #takeLast(): string {
    const last = this.#at - 1;
    const newline = this.#text.charCodeAt(last) === LF ? last : -1;
    const end = newline === -1 ? this.#at : newline;
    // With a negative index, `lastIndexOf` would compare the first character.
    const start = end === 0 ? 0 : this.#text.lastIndexOf("\n", end - 1) + 1;
    this.#at = start;
    return this.#line(start, newline);
  }

  /** The line from `start` to an LF at `newline`; -1 for a last line without an LF, whose CR is part of it. */
  #line(start: number, newline: number): string {
    if (newline === -1) return this.#text.slice(start);
    const isCRLF = newline > start &&
      this.#text.charCodeAt(newline - 1) === CR;
    return this.#text.slice(start, isCRLF ? newline - 1 : newline);
  }
}
