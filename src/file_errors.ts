/**
 * The errors that methods of a file throw, each with its message.
 *
 * @module
 */

import {
  ClosedError,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  TruncatedError,
} from "./errors.ts";

export function closedError(action: string, name: string): Error {
  return new ClosedError(
    `Cannot ${action} '${name}': the file is closed; open it again`,
  );
}

export function truncatedError(action: string, name: string): Error {
  return new TruncatedError(
    `Cannot ${action} '${name}': another process truncated the file, ` +
      "or its disk failed; refresh() maps it as it is now",
  );
}

/** The error for a file that its own `truncate` has made shorter during another operation. */
export function shortenedError(
  name: string,
  from: number,
  to: number,
): Error {
  return new RangeError(
    `Cannot read '${name}': it was truncated from ${from} to ${to} bytes during the operation`,
  );
}

export function notReadableError(action: string, name: string): Error {
  return new SystemError(
    `Cannot ${action} '${name}': it was not opened for reading; open it with { read: true } too`,
    { syscall: "read", code: "EBADF", errno: 9 },
  );
}

export function readOnlyError(
  action: string,
  name: string,
  copyOnWrite: boolean,
): Error {
  return new ReadOnlyError(
    `Cannot ${action} '${name}': ` +
      (copyOnWrite
        ? "it was opened with copyOnWrite, which does not change the file; open it with { write: true } instead"
        : "it was opened for reading; open it with { write: true }"),
  );
}

export function outOfBoundsError(
  name: string,
  size: number,
  append: boolean,
  bytesWritten: number,
): Error {
  return new OutOfBoundsError(
    `Cannot write '${name}': ` +
      (append
        ? `past the end of the file (${size} bytes); with append, only write() extends it`
        : `past the end of a fixed-size file (${size} bytes); open it with { grow: true }`),
    bytesWritten,
  );
}

/** The error for a file that would end at a byte whose position no number can tell from the next. */
export function tooLargeError(
  action: string,
  name: string,
  bytes: string,
  syscall: string,
): Error {
  return new SystemError(
    `Cannot ${action} '${name}': ${bytes} end past byte ${Number.MAX_SAFE_INTEGER}`,
    { syscall, code: "EFBIG", errno: 27 },
  );
}

/** The error for writes to views that have not reached the file. A page fault does not tell the reason. */
export function changesLostError(action: string, name: string): Error {
  return new SystemError(
    `Cannot ${action} '${name}': changes made through views are lost, because the disk was full or failed, ` +
      "or another process truncated the file and extended it again",
    { syscall: "write", code: "EIO", errno: 5 },
  );
}

export function detachedError(action: string, name: string): Error {
  return new TypeError(
    `Cannot ${action} '${name}': its memory was detached by transfer(), ` +
      "structuredClone(), or a byte stream; refresh() maps it again",
  );
}

export function unmappedError(name: string): Error {
  return new TypeError(
    `Cannot read '${name}': its memory was unmapped during the operation; retry`,
  );
}

export function notBytesError(action: string, name: string): Error {
  return new TypeError(`Cannot ${action} '${name}': expected a Uint8Array`);
}

export function notStringError(name: string): Error {
  return new TypeError(`Cannot write '${name}': expected a string`);
}

/** The error for a seek to an invalid position, or with an invalid mode. */
export function seekError(
  name: string,
  offset: unknown,
  whence: unknown,
  isMode: boolean,
): Error {
  return new TypeError(
    `Cannot seek in '${name}': ` +
      (isMode
        ? `${String(offset)} leads to an invalid position`
        : `Invalid seek mode: ${String(whence)}`),
  );
}

/** The error for an offset or a length that is not a count of bytes. */
export function invalidCountError(
  action: string,
  name: string,
  what: string,
  bytes: unknown,
): Error {
  const message =
    `Cannot ${action} '${name}': ${what} ${bytes} is not a whole number of bytes, 0 or more`;
  return typeof bytes === "number"
    ? new RangeError(message)
    : new TypeError(message);
}

/** Whether a write(2) found its memory unmapped, which holds even if the file has grown again since. */
export function isMemoryFault(error: unknown): boolean {
  // EFAULT
  return error instanceof Error && error.message.includes("(os error 14)");
}
