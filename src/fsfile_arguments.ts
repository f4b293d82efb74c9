/**
 * Arguments, converted as `Deno.FsFile` converts its own.
 *
 * @module
 */

import { tooLargeError } from "./file_errors.ts";

/** An access and a modification time. */
export type Times = [atime: number | Date, mtime: number | Date];

/** Times that run none of the caller's code when they are read. A value of another type becomes a number. */
export function toTimes(atime: number | Date, mtime: number | Date): Times {
  const plain = (time: number | Date) =>
    time instanceof Date ? new Date(time.getTime()) : +time;
  return [plain(atime), plain(mtime)];
}

/**
 * The length that a file is truncated to: rounded toward zero, 0 if it is negative or missing.
 *
 * @throws {TypeError} If it is infinite or not a number.
 */
export function toLength(
  name: string,
  length: number | bigint | null = 0,
): number {
  const isNumber = typeof length === "number" || typeof length === "bigint";
  if (!isNumber && length !== null || length !== null && length >= 2 ** 63) {
    throw new TypeError(
      `Cannot truncate '${name}': ${String(length)} is not a length`,
    );
  }
  const size = Math.max(0, Math.trunc(Number(length)) || 0);
  if (size <= Number.MAX_SAFE_INTEGER) return size;
  throw tooLargeError("truncate", name, `${size} bytes`, "ftruncate");
}
