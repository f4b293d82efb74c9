/**
 * A range of a file as a string.
 *
 * A decoder reads its input twice, once for the length and once for the characters. If another process changes
 * bytes in between, it writes past its output. So text is decoded from private copies only.
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
const MIN_UNITS_PER_BYTE = 1 / 3;

/** Bytes that are copied to memory that all calls use. To allocate them takes longer than to read them (measured). */
const MAX_SHORT = 4 << 10;

/** Never handed out, and used during one call only. */
const scratch = new ArrayBuffer(MAX_SHORT);

/** Views of its first bytes, by length. To create one takes a quarter of the time of decoding (measured). */
const views = new Array<Uint8Array | undefined>(MAX_SHORT + 1);

/** Bytes decoded in one go: they stay in the processor's cache. */
const CHUNK_SIZE = 256 << 10;

const decoder = new TextDecoder();

/**
 * The text of a short range; `null` for any other range, and for one that is not in the file.
 * If it ends with a zero, the file may have been truncated: see `mayBePastEnd`.
 */
export function shortText(
  file: Source,
  offset: number,
  length: number,
): string | null {
  if (!(length > 0 && length <= MAX_SHORT && Number.isInteger(length))) {
    return null;
  }
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
  for (const chunk of chunksOf(file, offset, length, checkSize)) text += chunk;
  return text;
}

/** UTF-8 as text, from bytes that only this module can change. Leaves a byte order mark in place. */
export function newDecoder(): TextDecoder {
  // Deno's decoder removes a mark at the start of a later chunk too, where it is a character, if all
  // earlier pieces were ASCII (2.9.6).
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

/** The text without the byte order mark that it may begin with. */
export function withoutBOM(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function* chunksOf(
  file: Source,
  offset: number,
  length: number,
  checkSize: CheckSize,
): Generator<string, void, undefined> {
  const decoder = newDecoder();
  const buffer = new Uint8Array(Math.min(length, CHUNK_SIZE));
  const end = offset + length;
  for (let at = offset; at < end; at += CHUNK_SIZE) {
    const p = buffer.subarray(0, Math.min(CHUNK_SIZE, end - at));
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
  let isTooLong = length * MIN_UNITS_PER_BYTE > MAX_STRING_LENGTH + 1;
  if (!isTooLong) {
    for (const chunk of chunksOf(file, offset, length, checkSize)) {
      units += chunk.length;
    }
    isTooLong = units > MAX_STRING_LENGTH;
  }
  if (!isTooLong) return;
  throw new RangeError(
    `Cannot read '${file.name}': the text of ${length} bytes is longer than a string can be, ` +
      `${MAX_STRING_LENGTH} UTF-16 code units; read it in parts, or with textLines()`,
  );
}
