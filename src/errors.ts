/**
 * The errors of this module. Each extends the class that `Deno.FsFile` throws
 * for the same fault, so that a `catch` written for it keeps working.
 *
 * @module
 */

import { accessSync, constants } from "node:fs";

/**
 * Thrown by every method of a file that has been closed.
 *
 * @example As with `Deno.FsFile`, a `BadResource`
 * ```ts
 * import assert from "node:assert/strict";
 * import { ClosedError, createSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 8);
 * file.close();
 * assert.throws(() => file.readSync(new Uint8Array(8)), ClosedError);
 * assert.throws(() => file.close(), Deno.errors.BadResource);
 * Deno.removeSync(path);
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
 * const path = Deno.makeTempFileSync();
 * const file = openSync(path);
 * assert.throws(() => file.writeStringSync("text"), ReadOnlyError);
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export class ReadOnlyError extends Deno.errors.PermissionDenied {
  /** "ReadOnlyError". */
  override readonly name: string = "ReadOnlyError";
}

/**
 * Thrown by a write over the end of a file of fixed size, after what fits has been written.
 *
 * @example Make room, and go on
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, OutOfBoundsError } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 4);
 * const bytes = new TextEncoder().encode("too long");
 * try {
 *   file.writeSync(bytes);
 * } catch (error) {
 *   if (!(error instanceof OutOfBoundsError)) throw error;
 *   file.truncateSync(bytes.length);
 *   file.writeSync(bytes.subarray(error.bytesWritten));
 * }
 * file.close();
 * assert.equal(Deno.readTextFileSync(path), "too long");
 * Deno.removeSync(path);
 * ```
 */
export class OutOfBoundsError extends RangeError {
  /** "OutOfBoundsError". */
  override readonly name: string = "OutOfBoundsError";
  /** Bytes written before the end of the file was reached. */
  readonly bytesWritten: number;

  /** Makes an error that says how many bytes did fit. */
  constructor(message: string, bytesWritten: number) {
    super(message);
    this.bytesWritten = bytesWritten;
  }
}

/**
 * Thrown when someone else has shortened the file under the mapping, or its disk has failed.
 *
 * By the method that finds it out and by all that follow, until `refresh()` maps the file as it is now.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync, TruncatedError } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const file = createSync(path, 8);
 * // Windows does not let others truncate a mapped file, so this stands for them.
 * if (Deno.build.os !== "windows") {
 *   Deno.truncateSync(path, 2);
 *   assert.throws(() => file.statSync(), TruncatedError);
 *   file.refresh();
 *   assert.equal(file.size, 2);
 * }
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export class TruncatedError extends Deno.errors.UnexpectedEof {
  /** "TruncatedError". */
  override readonly name: string = "TruncatedError";
}

/**
 * What is known of a system call that failed.
 *
 * @example An error of the system's, made by hand
 * ```ts
 * import assert from "node:assert/strict";
 * import { SystemError, type SystemErrorFacts } from "@mmapfile/mmapfile";
 *
 * const facts: SystemErrorFacts = { syscall: "mmap", code: "ENOMEM", errno: 12 };
 * const error = new SystemError("Cannot map 'data.bin': no memory", facts);
 * assert.equal(error.code, "ENOMEM");
 * ```
 */
export interface SystemErrorFacts {
  /** The call, such as "mmap". */
  readonly syscall: string;
  /** The name of the error, such as "ENOMEM". */
  readonly code: string;
  /** The number of the error on this system, such as 12. */
  readonly errno: number;
  /** Of a write that stopped half-way: the bytes that were written. */
  readonly bytesWritten?: number;
}

/**
 * Thrown when a system call fails and Deno has no class of its own for the reason.
 *
 * Errors of Deno's classes that come from a system call have the same properties.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync, SystemError } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * const file = openSync(path, { write: true });
 * try {
 *   file.readSync(new Uint8Array(8));
 * } catch (error) {
 *   assert(error instanceof SystemError);
 *   assert.deepEqual([error.syscall, error.code], ["read", "EBADF"]);
 * }
 * file.close();
 * Deno.removeSync(path);
 * ```
 */
export class SystemError extends Error implements SystemErrorFacts {
  /** "SystemError". */
  override readonly name: string = "SystemError";
  /** The call that failed, such as "mmap". */
  readonly syscall: string;
  /** The name of the error, such as "ENOMEM". */
  readonly code: string;
  /** The number of the error on this system, such as 12. */
  readonly errno: number;
  /** Of a write that stopped half-way: the bytes that were written. */
  readonly bytesWritten?: number;

  /** Makes an error that carries what is known of the call. */
  constructor(message: string, facts: SystemErrorFacts) {
    super(message);
    this.syscall = facts.syscall;
    this.code = facts.code;
    this.errno = facts.errno;
    this.bytesWritten = facts.bytesWritten;
  }
}

/** How much a write that threw did write. */
export function bytesWritten(error: unknown): number {
  const count = error instanceof Error && "bytesWritten" in error
    ? error.bytesWritten
    : 0;
  // Errors of which nothing was written may have the property too, and those of a target's own may lie.
  return typeof count === "number" && Number.isSafeInteger(count) ? count : 0;
}

/** Counts what was written before the write that failed. */
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
 * The error for what is not a regular file. mmap(2) says ENODEV of it (19 on every system that has it);
 * so do we, before it is asked.
 */
export function notRegular(name: string, isDirectory: boolean): Error {
  const facts = { syscall: "mmap", code: "ENODEV", errno: 19 };
  return isDirectory
    ? Object.assign(
      new Deno.errors.IsADirectory(
        `Cannot map '${name}': not a regular file but a directory; Deno.readDir() lists it`,
      ),
      facts,
    )
    : new SystemError(
      `Cannot map '${name}': not a regular file; Deno.open() opens others`,
      facts,
    );
}

/** The error of a failed open, in our words; `translate` puts what the system says in them. */
export function openError(
  error: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
  translate: (error: unknown, name: string) => unknown,
): unknown {
  const name = String(path);
  if (error instanceof TypeError) {
    return new TypeError(`Cannot open '${name}': ${error.message}`);
  }
  const failure = translate(error, name);
  if (!(failure instanceof Error)) return failure;
  if (!options.read && isReadRefused(failure, path)) {
    failure.message +=
      " (a file mapped for writing must be readable too: mappings cannot be write-only)";
  }
  // Of a permission Deno's own words are left, which say what to run again with.
  if (failure instanceof Deno.errors.NotCapable) {
    failure.message = `Cannot open '${name}': ${failure.message}`;
  }
  return failure;
}

/** Whether it is reading, not writing, that was refused. */
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

/** The error for `--allow-ffi` not given, or given for a path only. */
export function ffiDenied(name: string): Error {
  return new Deno.errors.NotCapable(
    `Cannot open '${name}': to map it needs the permission to call the system's library; ` +
      "run again with --allow-ffi (with no path behind it, which would not cover memory), " +
      'or give { backend: "fallback" } to read it into memory instead',
  );
}
