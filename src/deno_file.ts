/**
 * One file that Deno has opened: `Deno.FsFile`, with bytes at a position and errors in our own form.
 *
 * @module
 */

import { notRegular, openError, SystemError } from "./errors.ts";
import { codeOf as windowsCodeOf } from "./windows/kernel32.ts";
import { codeOf } from "./posix/libc.ts";
import { plainView } from "./intrinsics.ts";
import type { FileOps } from "./storage.ts";

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
    if (!options.createNew) checkType(name, lookAt(path));
    const file = Deno.openSync(path, readable(options));
    return beside(file, path, options);
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
    const file = await Deno.open(path, readable(options));
    return beside(file, path, options);
  } catch (error) {
    throw denoOpenError(error, path, options);
  }
}

/** A `Deno.FsFile` whose errors say what was done to which file. */
export class DenoFile implements FileOps {
  readonly name: string;
  readonly #file: Deno.FsFile;
  readonly #positional: Deno.FsFile;
  readonly #isAppendOnly: boolean;
  readonly #isWritten: boolean;
  /** Where `#positional` goes on; NaN when that is not known. */
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

  /** Length in bytes, once it is certain that this is a regular file. */
  regularSize(): number {
    const { isFile, isDirectory, size } = this.statSync();
    if (isFile) return size;
    throw notRegular(this.name, isDirectory);
  }

  /** Length in bytes. */
  size(): number {
    return this.#do("measure", "lseek", () => {
      this.#at = NaN;
      return this.#at = this.#positional.seekSync(0, Deno.SeekMode.End);
    });
  }

  /** Fills `target` from `position` on; returns the number of bytes, fewer at the end of the file. */
  readAt(target: Uint8Array, position: number): number {
    const { length } = target;
    return this.#do("read", "read", () => {
      this.#goTo(position);
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
    this.#do("write", "lseek", () => this.#goTo(position));
    this.#write(this.#positional, bytes);
    this.#at = position + bytes.length;
  }

  /** Writes all of `source` at the end of a file opened to append. */
  append(source: Uint8Array): void {
    this.#write(this.#file, plainView(source));
  }

  /** Where what was appended last ends. */
  appendedTo(): number {
    return this.#do(
      "measure",
      "lseek",
      () => this.#file.seekSync(0, Deno.SeekMode.Current),
    );
  }

  statSync(): Deno.FileInfo {
    return this.#do("stat", "fstat", () => this.#file.statSync());
  }

  stat(): Promise<Deno.FileInfo> {
    return this.#doAsync("stat", "fstat", this.#file.stat());
  }

  // Windows refuses to sync through a handle that cannot write, and that has nothing to write.

  syncSync(): void {
    if (!this.#isWritten) return;
    this.#do("sync", "fsync", () => this.#positional.syncSync());
  }

  async sync(): Promise<void> {
    if (!this.#isWritten) return;
    await this.#doAsync("sync", "fsync", this.#positional.sync());
  }

  syncDataSync(): void {
    if (!this.#isWritten) return;
    this.#do("sync", "fdatasync", () => this.#positional.syncDataSync());
  }

  async syncData(): Promise<void> {
    if (!this.#isWritten) return;
    await this.#doAsync("sync", "fdatasync", this.#positional.syncData());
  }

  truncateSync(length = 0): void {
    this.#do(
      "truncate",
      "ftruncate",
      () => this.#truncatable.truncateSync(length),
    );
  }

  truncate(length = 0): Promise<void> {
    return this.#doAsync(
      "truncate",
      "ftruncate",
      this.#truncatable.truncate(length),
    );
  }

  utimeSync(atime: number | Date, mtime: number | Date): void {
    this.#do(
      "set the times of",
      "futimens",
      () => this.#file.utimeSync(atime, mtime),
    );
  }

  utime(atime: number | Date, mtime: number | Date): Promise<void> {
    return this.#doAsync(
      "set the times of",
      "futimens",
      this.#file.utime(atime, mtime),
    );
  }

  lockSync(exclusive?: boolean): void {
    this.#do("lock", "flock", () => this.#file.lockSync(exclusive));
  }

  lock(exclusive?: boolean): Promise<void> {
    return this.#doAsync("lock", "flock", this.#file.lock(exclusive));
  }

  tryLockSync(exclusive?: boolean): boolean {
    return this.#do("lock", "flock", () => this.#file.tryLockSync(exclusive));
  }

  tryLock(exclusive?: boolean): Promise<boolean> {
    return this.#doAsync("lock", "flock", this.#file.tryLock(exclusive));
  }

  unlockSync(): void {
    this.#do("unlock", "flock", () => this.#file.unlockSync());
  }

  unlock(): Promise<void> {
    return this.#doAsync("unlock", "flock", this.#file.unlock());
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

  /** Goes to a position, if it is not there. Where it is next is known once what follows is done. */
  #goTo(position: number): void {
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

  #do<T>(action: string, syscall: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw systemErrorOf(error, action, this.name, syscall);
    }
  }

  async #doAsync<T>(
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

/** How often a file is opened a second time before it is clear that its name does not stay with it. */
const ATTEMPTS = 10;

/** Opens a file that was opened to append once more, to write anywhere. */
function beside(
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
    if (found === undefined) throw renamed(name);
    return { name, file, ...found, isWritten };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Opens the same file by its name; undefined if that is another file's each time. */
function openSame(
  file: Deno.FsFile,
  path: string | URL,
): Pick<Handles, "positional" | "isAppendOnly"> | undefined {
  const { dev, ino } = file.statSync();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
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

/** Opens a file to write anywhere, or only to read where the system refuses that and lets it be appended to. */
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

/** The error for a name that is another file's each time that it is opened again. */
export function renamed(name: string): Error {
  return new Deno.errors.Busy(
    `Cannot open '${name}': the path keeps being replaced by another file; try again later`,
  );
}

function lookAt(path: string | URL): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Refuses anything but a regular file before it is opened: to open a FIFO waits for its other end. If
 * another process puts a FIFO in its place after this check, the open waits. What cannot be checked is left to
 * the open, which says why.
 */
function checkType(name: string, info: Deno.FileInfo | undefined): void {
  if (info === undefined || info.isFile) return;
  throw notRegular(name, info.isDirectory);
}

/** What is held in memory has to be read first. */
function readable(options: Deno.OpenOptions): Deno.OpenOptions {
  return { ...options, read: true };
}

function denoOpenError(
  error: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
): unknown {
  return openError(
    error,
    path,
    options,
    (error, name) => systemErrorOf(error, "open", name, "open"),
  );
}

/** Puts an error of Deno's in our words, in its own class; what the system did not say stays as it is. */
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
