/**
 * The error classes. Each extends the class that `Deno.FsFile` throws for the same fault, so that an
 * existing `catch` keeps working.
 *
 * @module
 */

import { accessSync, constants } from "node:fs";

/**
 * Thrown by every method of a closed file.
 *
 * @example It is a `BadResource`, as with `Deno.FsFile`
 * ```ts
 * import assert from "node:assert/strict";
 * import { ClosedError, openSync } from "@mmapfile/mmapfile";
 *
 * const file = openSync("LICENSE");
 * file.close();
 * assert.throws(() => file.bytes(), ClosedError);
 * assert.throws(() => file.bytes(), Deno.errors.BadResource);
 * ```
 */
export class ClosedError extends Deno.errors.BadResource {
  /** "ClosedError". */
  override readonly name: string = "ClosedError";
}

/**
 * Thrown by a write to a file that was not opened for writing. Nothing has been written.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, ReadOnlyError } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * assert.throws(() => file.writeStringSync("text"), ReadOnlyError);
 * ```
 */
export class ReadOnlyError extends Deno.errors.PermissionDenied {
  /** "ReadOnlyError". */
  override readonly name: string = "ReadOnlyError";
}

/**
 * Thrown by a write past the end of a fixed-size file, after what fits has been written.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, OutOfBoundsError } from "@mmapfile/mmapfile";
 *
 * using file = createSync(Deno.makeTempFileSync(), 4);
 * try {
 *   file.writeStringSync("too long");
 * } catch (error) {
 *   if (!(error instanceof OutOfBoundsError)) throw error;
 *   assert.equal(error.bytesWritten, 4);
 * }
 * ```
 */
export class OutOfBoundsError extends RangeError {
  /** "OutOfBoundsError". */
  override readonly name: string = "OutOfBoundsError";
  /** Bytes that were written before the end of the file was reached. */
  readonly bytesWritten: number;

  /** Creates an error that says how many bytes did fit. */
  constructor(message: string, bytesWritten: number) {
    super(message);
    this.bytesWritten = bytesWritten;
  }
}

/**
 * Thrown if another process has truncated the file under the mapping, or its disk has failed.
 *
 * Methods that work on memory throw it until `refresh()` maps the file again, and so does a write past the new
 * end of a fixed-size file. Methods that `Deno.FsFile` has go on with the file as it is now.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, TruncatedError } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * try {
 *   console.log(file.copy(0, 10));
 * } catch (error) {
 *   if (!(error instanceof TruncatedError)) throw error;
 *   file.refresh();
 * }
 * assert(!file.truncated);
 * ```
 */
export class TruncatedError extends Deno.errors.UnexpectedEof {
  /** "TruncatedError". */
  override readonly name: string = "TruncatedError";
}

/**
 * The properties of a {@linkcode SystemError}: which system call failed, and why.
 *
 * @example
 * ```ts
 * import { SystemError, type SystemErrorFacts } from "@mmapfile/mmapfile";
 *
 * const facts: SystemErrorFacts = { syscall: "mmap", code: "ENOMEM", errno: 12 };
 * console.log(new SystemError("Cannot map 'data.bin': no memory", facts).code);
 * ```
 */
export interface SystemErrorFacts {
  /** The system call, such as "mmap". */
  readonly syscall: string;
  /** The name of the error, such as "ENOMEM". */
  readonly code: string;
  /** The number of the error on this system, such as 12. */
  readonly errno: number;
  /** Bytes that a failed write had written before it failed. */
  readonly bytesWritten?: number;
}

/**
 * Thrown if a system call fails for a reason that Deno has no class for.
 *
 * Errors of Deno's classes that come from a system call have the same properties.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, SystemError } from "@mmapfile/mmapfile";
 *
 * using file = openSync(Deno.makeTempFileSync(), { write: true });
 * try {
 *   file.readSync(new Uint8Array(8));
 * } catch (error) {
 *   assert(error instanceof SystemError);
 *   assert.deepEqual([error.syscall, error.code], ["read", "EBADF"]);
 * }
 * ```
 */
export class SystemError extends Error implements SystemErrorFacts {
  /** "SystemError". */
  override readonly name: string = "SystemError";
  /** The system call, such as "mmap". */
  readonly syscall: string;
  /** The name of the error, such as "ENOMEM". */
  readonly code: string;
  /** The number of the error on this system, such as 12. */
  readonly errno: number;
  /** Bytes that a failed write had written before it failed. */
  readonly bytesWritten?: number;

  /** Creates an error with the facts of the system call. */
  constructor(message: string, facts: SystemErrorFacts) {
    super(message);
    this.syscall = facts.syscall;
    this.code = facts.code;
    this.errno = facts.errno;
    if (facts.bytesWritten !== undefined) {
      this.bytesWritten = facts.bytesWritten;
    }
  }
}

/** The number of bytes that a write had written before it threw. */
export function bytesWritten(error: unknown): number {
  const count = error instanceof Error && "bytesWritten" in error
    ? error.bytesWritten
    : 0;
  // The error may be another library's, with a property of the same name.
  return typeof count === "number" && Number.isSafeInteger(count) ? count : 0;
}

/** Adds the bytes that were written before the write that failed. */
export function addBytesWritten(error: unknown, before: number): unknown {
  return error instanceof Error && (before > 0 || "bytesWritten" in error)
    ? Object.assign(error, { bytesWritten: before + bytesWritten(error) })
    : error;
}

/** The class that Deno throws for a code; for the others it throws a plain `Error`, and we a `SystemError`. */
const DENO_CLASS: Record<string, new (message: string) => Error> = {
  EACCES: Deno.errors.PermissionDenied,
  EPERM: Deno.errors.PermissionDenied,
  ENOENT: Deno.errors.NotFound,
  EEXIST: Deno.errors.AlreadyExists,
  EISDIR: Deno.errors.IsADirectory,
  ENOTDIR: Deno.errors.NotADirectory,
  ELOOP: Deno.errors.FilesystemLoop,
  EINTR: Deno.errors.Interrupted,
  EAGAIN: Deno.errors.WouldBlock,
  EBUSY: Deno.errors.Busy,
  ETXTBSY: Deno.errors.Busy,
  EINVAL: TypeError,
  ERROR_FILE_NOT_FOUND: Deno.errors.NotFound,
  ERROR_PATH_NOT_FOUND: Deno.errors.NotFound,
  ERROR_ACCESS_DENIED: Deno.errors.PermissionDenied,
  ERROR_SHARING_VIOLATION: Deno.errors.Busy,
};

/** The error for a failed system call: Deno's class where it has one, with the facts as properties. */
export function errnoError(
  action: string,
  name: string,
  reason: string,
  facts: SystemErrorFacts,
): Error {
  const message =
    `Cannot ${action} '${name}': ${reason} (os error ${facts.errno})`;
  const Class = DENO_CLASS[facts.code];
  return Class === undefined
    ? new SystemError(message, facts)
    : Object.assign(new Class(message), facts);
}

/**
 * The error for anything but a regular file. It has the code that mmap(2) has for it: ENODEV, 19 on every system.
 */
export function notRegular(name: string, isDirectory: boolean): Error {
  const facts = { syscall: "mmap", code: "ENODEV", errno: 19 };
  return isDirectory
    ? Object.assign(
      new Deno.errors.IsADirectory(
        `Cannot map '${name}': a directory is not a regular file; use Deno.readDir()`,
      ),
      facts,
    )
    : new SystemError(
      `Cannot map '${name}': not a regular file; use Deno.open()`,
      facts,
    );
}

/**
 * The error of a failed open, with our message.
 *
 * @param error The error that was thrown.
 * @param failure The same, or our error for it if it is the system's.
 */
export function openError(
  error: unknown,
  failure: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
): unknown {
  const name = String(path);
  if (error instanceof TypeError) {
    return new TypeError(`Cannot open '${name}': ${error.message}`);
  }
  if (!(failure instanceof Error)) return failure;
  if (!options.read && isReadRefused(failure, path)) {
    failure.message +=
      " (a file mapped for writing must be readable too: mappings cannot be write-only)";
  }
  // Deno's message about a permission is kept: it says which flag to use.
  if (failure instanceof Deno.errors.NotCapable) {
    failure.message = `Cannot open '${name}': ${failure.message}`;
  }
  return failure;
}

/** Whether the read access was refused, and not the write access. */
function isReadRefused(failure: Error, path: string | URL): boolean {
  if (failure instanceof Deno.errors.NotCapable) {
    return failure.message.includes("read access");
  }
  if (!(failure instanceof Deno.errors.PermissionDenied)) return false;
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The error for `utime` without `--allow-write`, and for `stat` without `--allow-read`. */
export function accessDenied(
  action: string,
  name: string,
  access: "read" | "write",
): Error {
  return new Deno.errors.NotCapable(
    `Cannot ${action} '${name}': Requires ${access} access to "${name}", run again with the --allow-${access} flag`,
  );
}

/** The error if `--allow-ffi` is missing, or granted for a path only. */
export function ffiDenied(name: string): Error {
  return new Deno.errors.NotCapable(
    `Cannot open '${name}': mapping requires FFI permission; ` +
      "run again with --allow-ffi (without a path: a path-scoped grant does not cover memory), " +
      'or pass { backend: "fallback" } to read it into memory instead',
  );
}
