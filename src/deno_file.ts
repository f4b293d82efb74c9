/**
 * One file that Deno has opened: `Deno.FsFile`, with bytes at a position and errors in our own form.
 *
 * @module
 */

import { notRegular, openError, SystemError } from "./errors.ts";
import { codeOf as windowsCodeOf } from "./windows/kernel32.ts";
import { codeOf } from "./posix/libc.ts";
import { plainView } from "./intrinsics.ts";
import type { BackendFile } from "./storage.ts";

/** One file, as Deno holds it open. */
export interface Handles {
  readonly name: string;
  readonly file: Deno.FsFile;
  /** The same file, but opened without `append`: with it every write goes to the end. */
  readonly positional: Deno.FsFile;
  /** Whether the system permits writes only at its end (chattr(1): +a); `positional` can only read. */
  readonly isAppendOnly: boolean;
  /** Whether it was opened to be written. */
  readonly isWritten: boolean;
}

/** Opens a file; throws as `Deno.openSync` does. */
export function openHandlesSync(
  path: string | URL,
  options: Deno.OpenOptions,
): Handles {
  const name = String(path);
  try {
    if (!options.createNew) checkType(name, tryStat(path));
    const file = Deno.openSync(path, withRead(options));
    return openPositional(file, path, options);
  } catch (error) {
    throw denoOpenError(error, path, options);
  }
}

/** As `openHandlesSync`, off the event loop. */
export async function openHandles(
  path: string | URL,
  options: Deno.OpenOptions,
): Promise<Handles> {
  const name = String(path);
  try {
    if (!options.createNew) {
      checkType(name, await Deno.stat(path).catch(() => undefined));
    }
    const file = await Deno.open(path, withRead(options));
    return openPositional(file, path, options);
  } catch (error) {
    throw denoOpenError(error, path, options);
  }
}

/** A `Deno.FsFile` whose errors say what was done to which file. */
export class DenoFile implements BackendFile {
  readonly name: string;
  readonly #file: Deno.FsFile;
  readonly #positional: Deno.FsFile;
  readonly #isAppendOnly: boolean;
  readonly #isWritten: boolean;
  /** The cursor of `#positional`; NaN if it is not known. */
  #at = 0;

  constructor(
    { name, file, positional, isAppendOnly, isWritten }: Handles,
  ) {
    this.name = name;
    this.#file = file;
    this.#positional = positional;
    this.#isAppendOnly = isAppendOnly;
    this.#isWritten = isWritten;
  }

  /** The length in bytes. Throws if this is not a regular file. */
  regularSize(): number {
    const { isFile, isDirectory, size } = this.statSync();
    if (isFile) return size;
    throw notRegular(this.name, isDirectory);
  }

  /** Length in bytes. */
  size(): number {
    return this.#call("get the size of", "lseek", () => {
      this.#at = NaN;
      return this.#at = this.#positional.seekSync(0, Deno.SeekMode.End);
    });
  }

  /** Fills `target` from `position` on; returns the number of bytes, fewer at the end of the file. */
  readAt(target: Uint8Array, position: number): number {
    const { length } = target;
    return this.#call("read", "read", () => {
      this.#seekTo(position);
      let done = 0;
      while (done < length) {
        const read = this.#positional.readSync(target.subarray(done));
        if (read === null) break;
        done += read;
      }
      this.#at = position + done;
      return done;
    });
  }

  /** Writes all of `source` from `position` on. */
  writeAt(source: Uint8Array, position: number): void {
    if (this.#isAppendOnly) throw this.#appendOnlyError();
    const bytes = plainView(source);
    this.#call("write", "lseek", () => this.#seekTo(position));
    this.#write(this.#positional, bytes);
    this.#at = position + bytes.length;
  }

  /** Writes all of `source` at the end of a file opened to append. */
  append(source: Uint8Array): void {
    this.#write(this.#file, plainView(source));
  }

  /** Where what was appended last ends. */
  appendEnd(): number {
    return this.#call(
      "get the size of",
      "lseek",
      () => this.#file.seekSync(0, Deno.SeekMode.Current),
    );
  }

  /** Deno has no fallocate(2). NTFS allocates a file's clusters when its length is set. */
  reserveSync(_size: number): boolean {
    return false;
  }

  reserve(_size: number): Promise<boolean> {
    return Promise.resolve(false);
  }

  statSync(): Deno.FileInfo {
    return this.#call("stat", "fstat", () => this.#file.statSync());
  }

  stat(): Promise<Deno.FileInfo> {
    return this.#callAsync("stat", "fstat", this.#file.stat());
  }

  // Windows refuses to sync through a handle that cannot write, and that has nothing to write.

  syncSync(): void {
    if (!this.#isWritten) return;
    this.#call("sync", "fsync", () => this.#positional.syncSync());
  }

  async sync(): Promise<void> {
    if (!this.#isWritten) return;
    await this.#callAsync("sync", "fsync", this.#positional.sync());
  }

  syncDataSync(): void {
    if (!this.#isWritten) return;
    this.#call("sync", "fdatasync", () => this.#positional.syncDataSync());
  }

  async syncData(): Promise<void> {
    if (!this.#isWritten) return;
    await this.#callAsync("sync", "fdatasync", this.#positional.syncData());
  }

  truncateSync(length = 0): void {
    this.#call(
      "truncate",
      "ftruncate",
      () => this.#truncatable.truncateSync(length),
    );
  }

  truncate(length = 0): Promise<void> {
    return this.#callAsync(
      "truncate",
      "ftruncate",
      this.#truncatable.truncate(length),
    );
  }

  utimeSync(atime: number | Date, mtime: number | Date): void {
    this.#call(
      "set the times of",
      "futimens",
      () => this.#file.utimeSync(atime, mtime),
    );
  }

  utime(atime: number | Date, mtime: number | Date): Promise<void> {
    return this.#callAsync(
      "set the times of",
      "futimens",
      this.#file.utime(atime, mtime),
    );
  }

  lockSync(exclusive?: boolean): void {
    this.#call("lock", "flock", () => this.#file.lockSync(exclusive));
  }

  lock(exclusive?: boolean): Promise<void> {
    return this.#callAsync("lock", "flock", this.#file.lock(exclusive));
  }

  tryLockSync(exclusive?: boolean): boolean {
    return this.#call("lock", "flock", () => this.#file.tryLockSync(exclusive));
  }

  tryLock(exclusive?: boolean): Promise<boolean> {
    return this.#callAsync("lock", "flock", this.#file.tryLock(exclusive));
  }

  unlockSync(): void {
    this.#call("unlock", "flock", () => this.#file.unlockSync());
  }

  unlock(): Promise<void> {
    return this.#callAsync("unlock", "flock", this.#file.unlock());
  }

  close(): void {
    this.#file.close();
    if (this.#positional !== this.#file) this.#positional.close();
  }

  /** Windows truncates through a handle that can write anywhere. */
  get #truncatable(): Deno.FsFile {
    return this.#isAppendOnly ? this.#file : this.#positional;
  }

  #appendOnlyError(): Error {
    return Object.assign(
      new Deno.errors.PermissionDenied(
        `Cannot write '${this.name}': the file is append-only (chattr +a): only appends change it`,
      ),
      { syscall: "write", code: "EPERM", errno: 1 },
    );
  }

  /** Moves the cursor, unless it is there. Its next position is known when the following call has ended. */
  #seekTo(position: number): void {
    const isThere = position === this.#at;
    this.#at = NaN;
    if (!isThere) this.#positional.seekSync(position, Deno.SeekMode.Start);
  }

  #write(file: Deno.FsFile, source: Uint8Array): void {
    let done = 0;
    try {
      while (done < source.length) {
        done += file.writeSync(source.subarray(done));
      }
    } catch (error) {
      const failure = systemErrorOf(error, "write", this.name, "write");
      throw failure instanceof Error
        ? Object.assign(failure, { bytesWritten: done })
        : failure;
    }
  }

  #call<T>(action: string, syscall: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw systemErrorOf(error, action, this.name, syscall);
    }
  }

  async #callAsync<T>(
    action: string,
    syscall: string,
    result: Promise<T>,
  ): Promise<T> {
    try {
      return await result;
    } catch (error) {
      throw systemErrorOf(error, action, this.name, syscall);
    }
  }
}

/** How often a path is opened if another file replaces it each time. */
const MAX_ATTEMPTS = 10;

/** Opens a file that was opened to append a second time, to write at a position. */
function openPositional(
  file: Deno.FsFile,
  path: string | URL,
  options: Deno.OpenOptions,
): Handles {
  const name = String(path);
  const isWritten = options.write === true || options.append === true;
  if (!options.append) {
    const isAppendOnly = false;
    return { name, file, positional: file, isAppendOnly, isWritten };
  }
  try {
    const found = openSame(file, path);
    if (found === undefined) throw renamedError(name);
    return { name, file, ...found, isWritten };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Opens the same file by its path; `undefined` if another file replaces it each time. */
function openSame(
  file: Deno.FsFile,
  path: string | URL,
): Pick<Handles, "positional" | "isAppendOnly"> | undefined {
  const { dev, ino } = file.statSync();
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const found = openAnywhere(path);
    let isSame = false;
    try {
      const there = found.positional.statSync();
      isSame = there.ino === ino && there.dev === dev;
    } finally {
      if (!isSame) found.positional.close();
    }
    if (isSame) return found;
  }
}

/** Opens a file to write at a position, or only to read if the system permits appends only. */
function openAnywhere(
  path: string | URL,
): Pick<Handles, "positional" | "isAppendOnly"> {
  try {
    const positional = Deno.openSync(path, { read: true, write: true });
    return { positional, isAppendOnly: false };
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    return { positional: Deno.openSync(path), isAppendOnly: true };
  }
}

/** The error for a path that another file replaces each time it is opened. */
export function renamedError(name: string): Error {
  return new Deno.errors.Busy(
    `Cannot open '${name}': the path keeps being replaced by another file; try again later`,
  );
}

function tryStat(path: string | URL): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Throws if a path does not name a regular file, before it is opened: to open a FIFO waits for its other end. If
 * another process puts a FIFO in its place after this check, the open waits. If the check fails, the open reports
 * why.
 */
function checkType(name: string, info: Deno.FileInfo | undefined): void {
  if (info === undefined || info.isFile) return;
  throw notRegular(name, info.isDirectory);
}

/** The options with `read`: a copy in memory must be read. */
function withRead(options: Deno.OpenOptions): Deno.OpenOptions {
  return { ...options, read: true };
}

function denoOpenError(
  error: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
): unknown {
  const failure = systemErrorOf(error, "open", String(path), "open");
  return openError(error, failure, path, options);
}

/** Converts an error of Deno to our message, in the same class. An error that is not the system's is returned unchanged. */
function systemErrorOf(
  error: unknown,
  action: string,
  name: string,
  syscall: string,
): unknown {
  if (!(error instanceof Error)) return error;
  const said = /^(.*) \(os error (\d+)\)/s.exec(error.message);
  if (said === null) return error;
  const errno = Number(said[2]);
  const message = `Cannot ${action} '${name}': ${said[1]} (os error ${errno})`;
  const code = Deno.build.os === "windows"
    ? windowsCodeOf(errno)
    : codeOf(errno);
  if (error.constructor === Error) {
    return new SystemError(message, { syscall, code, errno });
  }
  const Class = error.constructor as ErrorConstructor;
  const ownCode = "code" in error ? error.code : code;
  return Object.assign(new Class(message), { syscall, code: ownCode, errno });
}
