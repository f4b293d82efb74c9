/**
 * A range of a file as a string.
 *
 * A decoder looks at its input twice, once for the length and once for the characters. Bytes that
 * another process changes in between would have it write past its output. So text is decoded from
 * private copies only.
 *
 * @module
 */

import { constants } from "node:buffer";
import {
  checkRange,
  type CheckSize,
  readFullySync,
  type Source,
} from "./ranges.ts";

/** The most UTF-16 code units that a string can have. */
export const { MAX_STRING_LENGTH } = constants;

/** The least UTF-16 code units that a byte of UTF-8 takes: one for a character of three bytes. */
const LEAST_UNITS = 1 / 3;

/** Bytes that are copied to memory used again and again. To allocate some takes longer than to read them (measured). */
const SHORT = 4 << 10;

/** Never handed out, and never used beyond one call. */
const scratch = new ArrayBuffer(SHORT);

/** Views of its first bytes, by their length. To make one takes as long as a quarter of the decoding (measured). */
const views = new Array<Uint8Array | undefined>(SHORT + 1);

/** Bytes decoded at a time: they stay in the processor's cache. */
const PIECE = 256 << 10;

const decoder = new TextDecoder();

/**
 * The text of a short range; `null` where more has to be looked at: another range, or none that is in the file.
 * If it ends with a zero, the file may have been truncated: see `mayBePastEnd`.
 */
export function shortText(
  file: Source,
  offset: number,
  length: number,
): string | null {
  if (!(length > 0 && length <= SHORT && Number.isInteger(length))) return null;
  const p = views[length] ??= new Uint8Array(scratch, 0, length);
  if (file.readAtSync(p, offset) !== length) return null;
  return decoder.decode(p);
}

/** The text of any range that is in the file. */
export function longText(
  file: Source,
  offset: number,
  length: number,
  checkSize: CheckSize,
): string {
  checkRange("read", file, offset, length);
  if (length > MAX_STRING_LENGTH) checkLength(file, offset, length, checkSize);
  let text = "";
  for (const piece of pieces(file, offset, length, checkSize)) text += piece;
  return text;
}

/** UTF-8 as text, from bytes that only this module can change. Leaves a byte order mark in place. */
export function newDecoder(): TextDecoder {
  // Deno's decoder removes a mark at the start of a later piece too, where it is a character, if all
  // earlier pieces were ASCII (2.9.6).
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/** The text without the byte order mark that it may begin with. */
export function withoutBOM(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function* pieces(
  file: Source,
  offset: number,
  length: number,
  checkSize: CheckSize,
): Generator<string, void, undefined> {
  const decoder = newDecoder();
  const buffer = new Uint8Array(Math.min(length, PIECE));
  const end = offset + length;
  for (let at = offset; at < end; at += PIECE) {
    const p = buffer.subarray(0, Math.min(PIECE, end - at));
    readFullySync(file, p, at, checkSize);
    const text = decoder.decode(p, { stream: true });
    yield at === offset ? withoutBOM(text) : text;
  }
  yield decoder.decode();
}

/** Throws if the text does not fit in a string, before memory is spent on it. */
function checkLength(
  file: Source,
  offset: number,
  length: number,
  checkSize: CheckSize,
): void {
  let units = 0;
  let isTooLong = length * LEAST_UNITS > MAX_STRING_LENGTH + 1;
  if (!isTooLong) {
    for (const piece of pieces(file, offset, length, checkSize)) {
      units += piece.length;
    }
    isTooLong = units > MAX_STRING_LENGTH;
  }
  if (!isTooLong) return;
  throw new RangeError(
    `Cannot read '${file.name}': the text of ${length} bytes is longer than a string can be, ` +
      `${MAX_STRING_LENGTH} UTF-16 code units; read it in parts, or with textLines()`,
  );
}
