/**
 * Lines of a file as strings.
 *
 * A piece that ends with a line ends with a whole character too: no character of UTF-8 has an LF in
 * it. So each piece is decoded and split by itself. A line is sought when it is asked for: an array of the
 * lines of a piece takes longer to make (measured).
 *
 * @module
 */

import { turnAfter } from "./event_loop.ts";
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

/** Bytes of the first piece: a few lines are read quickly. */
const FIRST = 4 << 10;

/** Bytes of later pieces: one and its text stay in the processor's cache. */
const PIECE = 64 << 10;

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
  const pieces = () => new Pieces(file, offset, length, options, checkSize);
  return {
    [Symbol.iterator]: () => new Lines(pieces()),
    [Symbol.asyncIterator]: () => new AsyncLines(pieces()),
  };
}

/** The text of whole lines of a range, piece by piece. */
class Pieces {
  readonly #file: Source;
  readonly #checkSize: CheckSize;
  readonly #offset: number;
  readonly #isComplete: boolean;
  readonly isReverse: boolean;
  /** The bytes that are left. */
  #from: number;
  #to: number;
  /** Bytes of the next piece. */
  #size = FIRST;
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

  /** The text of the next piece; empty if a line is longer than the piece. */
  readSync(): string {
    const [p, position] = this.#next();
    readFullySync(this.#file, p, position, this.#checkSize);
    return this.#textOf(p, position);
  }

  async read(): Promise<string> {
    await turnAfter();
    const [p, position] = this.#next();
    await readFully(this.#file, p, position, this.#checkSize);
    return this.#textOf(p, position);
  }

  /** Memory for the next piece, and where that piece is. */
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
    this.#size = Math.min(4 * this.#size, PIECE);
    // Backwards what follows the last LF of a range comes with the first piece.
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
  readonly #pieces: Pieces;
  #text = new Text("", false);

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
  }

  next(): IteratorResult<string, undefined> {
    while (this.#text.isEmpty) {
      if (this.#pieces.isDone) return { done: true, value: undefined };
      this.#text = new Text(this.#pieces.readSync(), this.#pieces.isReverse);
    }
    return { done: false, value: this.#text.takeLine() };
  }
}

class AsyncLines implements AsyncIterator<string, undefined> {
  readonly #pieces: Pieces;
  #text = new Text("", false);
  /** The last call that waits for a piece, which later calls wait for. */
  #last: Promise<IteratorResult<string, undefined>> | null = null;

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
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
      if (this.#pieces.isDone) return { done: true, value: undefined };
      this.#text = new Text(await this.#pieces.read(), this.#pieces.isReverse);
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
    // From an index below 0 `lastIndexOf` would look at the first character all the same.
    const start = end === 0 ? 0 : this.#text.lastIndexOf("\n", end - 1) + 1;
    this.#at = start;
    return this.#line(start, newline);
  }

  /** The line from `start` to an LF; -1 for a line at the end that has none, whose CR is a character of it. */
  #line(start: number, newline: number): string {
    if (newline === -1) return this.#text.slice(start);
    const isCRLF = newline > start &&
      this.#text.charCodeAt(newline - 1) === CR;
    return this.#text.slice(start, isCRLF ? newline - 1 : newline);
  }
}
