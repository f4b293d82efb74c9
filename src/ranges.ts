/**
 * Ranges of a file: checked, and read whole into private memory.
 *
 * @module
 */

import { TruncatedError } from "./errors.ts";
import { invalidCountError } from "./file_errors.ts";
import type { ReaderAt, ReaderAtSync } from "./types.ts";

/** A file that can be read at a position. All of it is public. */
export interface Source extends ReaderAt, ReaderAtSync {
  readonly name: string;
  readonly size: number;
}

/** Asks the system for the size of the file, and throws if another process has truncated it. */
export type CheckSize = () => void;

/**
 * Throws unless `length` bytes from `offset` on are in the file.
 *
 * @throws {TypeError} If either is not a number.
 * @throws {RangeError} If either is not a whole number, or the range goes past the end of the file.
 */
export function checkRange(
  action: string,
  { name, size }: Pick<Source, "name" | "size">,
  offset: number,
  length: number,
): void {
  checkCount(action, name, "offset", offset);
  if (offset > size) {
    throw new RangeError(
      `Cannot ${action} '${name}': byte ${offset} is past its end at ${size}`,
    );
  }
  checkCount(action, name, "length", length);
  if (offset + length > size) {
    throw new RangeError(
      `Cannot ${action} '${name}': ${length} bytes at ${offset} go past its end at ${size}`,
    );
  }
}

/**
 * As {@linkcode checkRange}, in one message: for ranges that are given by options.
 *
 * @throws {RangeError} If the range is not in the file.
 */
export function checkRangeOptions(
  action: string,
  { name, size }: Pick<Source, "name" | "size">,
  offset: number,
  length: number,
): void {
  if (
    Number.isSafeInteger(offset) && Number.isSafeInteger(length) &&
    offset >= 0 && length >= 0 && offset + length <= size
  ) return;
  throw new RangeError(
    `Cannot ${action} '${name}': offset ${offset} and length ${length} are not a range of its ${size} bytes`,
  );
}

/**
 * Fills `p` with the bytes from `offset` on, which are in the file.
 *
 * @throws {TruncatedError} If they no longer are.
 */
export function readFullySync(
  file: Source,
  p: Uint8Array,
  offset: number,
  checkSize: CheckSize,
): void {
  if (file.readAtSync(p, offset) !== p.length) {
    throw truncatedError(file, offset + p.length);
  }
  if (mayBePastEnd(p)) checkSize();
}

/** As {@linkcode readFullySync}, off the event loop where the file does that. */
export async function readFully(
  file: Source,
  p: Uint8Array,
  offset: number,
  checkSize: CheckSize,
): Promise<void> {
  if (await file.readAt(p, offset) !== p.length) {
    throw truncatedError(file, offset + p.length);
  }
  if (mayBePastEnd(p)) checkSize();
}

/**
 * Whether bytes read from memory may be past the end of a file that was truncated. What is left of its last
 * page reads as zeros, and only pages after that one fault. So the last byte that was read is 0.
 */
export function mayBePastEnd(p: Uint8Array): boolean {
  return p[p.length - 1] === 0;
}

function checkCount(
  action: string,
  name: string,
  what: string,
  bytes: number,
): void {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return;
  throw invalidCountError(action, name, what, bytes);
}

/** The error for a file that its own `truncate` has made shorter since the range was checked. */
function truncatedError({ name, size }: Source, end: number): Error {
  return new TruncatedError(
    `Cannot read '${name}': it was truncated to ${size} bytes before byte ${end} was read`,
  );
}
