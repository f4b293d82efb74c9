/**
 * One file that Deno has opened: `Deno.FsFile`, with bytes at a position and errors in our own form.
 *
 * @module
 */

import { explainRead, notRegular, SystemError } from "./errors.ts";
import { codeOf } from "./libc.ts";
import type { FileOps } from "./mapping.ts";

/** Opens a file; throws as `Deno.openSync` does. */
export function openDenoSync(
  path: string | URL,
  options: Deno.OpenOptions,
): DenoFile {
  const name = String(path);
  try {
    if (!options.createNew) checkType(name, () => Deno.statSync(path));
    const file = Deno.openSync(path, readable(options));
    return options.append
      ? beside(file, name, () => Deno.openSync(path, POSITIONAL))
      : new DenoFile(file, file, name);
  } catch (error) {
    throw openError(error, path, options);
  }
}

/** As `openDenoSync`, off the event loop. */
export async function openDeno(
  path: string | URL,
  options: Deno.OpenOptions,
): Promise<DenoFile> {
  const name = String(path);
  try {
    if (!options.createNew) {
      const info = await Deno.stat(path).catch(() => undefined);
      if (info !== undefined) checkType(name, () => info);
    }
    const file = await Deno.open(path, readable(options));
    return options.append
      ? beside(file, name, () => Deno.openSync(path, POSITIONAL))
      : new DenoFile(file, file, name);
  } catch (error) {
    throw openError(error, path, options);
  }
}

/** A `Deno.FsFile` whose errors say what was done to which file. */
export class DenoFile implements FileOps {
  readonly name: string;
  readonly #file: Deno.FsFile;
  /** The same file, opened without `append`: with it every write goes to the end. */
  readonly #positional: Deno.FsFile;

  constructor(file: Deno.FsFile, positional: Deno.FsFile, name: string) {
    this.#file = file;
    this.#positional = positional;
    this.name = name;
  }

  /** Length in bytes, once it is certain that this is a regular file. */
  regularSize(): number {
    const { isFile, isDirectory, size } = this.statSync();
    if (isFile) return size;
    throw notRegular(this.name, isDirectory);
  }

  /** Length in bytes. */
  size(): number {
    return this.#do(
      "measure",
      "lseek",
      () => this.#positional.seekSync(0, Deno.SeekMode.End),
    );
  }

  /** Fills `target` from `position` on; gives the number of bytes, fewer at the end of the file. */
  readAt(target: Uint8Array, position: number): number {
    return this.#do("read", "read", () => {
      const file = this.#positional;
      file.seekSync(position, Deno.SeekMode.Start);
      let done = 0;
      while (done < target.length) {
        const read = file.readSync(target.subarray(done));
        if (read === null) break;
        done += read;
      }
      return done;
    });
  }

  /** Writes all of `source` from `position` on. */
  writeAt(source: Uint8Array, position: number): void {
    this.#do(
      "write",
      "lseek",
      () => this.#positional.seekSync(position, Deno.SeekMode.Start),
    );
    this.#write(this.#positional, source);
  }

  /** Writes all of `source` at the end of a file opened to append. */
  append(source: Uint8Array): void {
    this.#write(this.#file, source);
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

  syncSync(): void {
    this.#do("sync", "fsync", () => this.#file.syncSync());
  }

  sync(): Promise<void> {
    return this.#doAsync("sync", "fsync", this.#file.sync());
  }

  syncDataSync(): void {
    this.#do("sync", "fdatasync", () => this.#file.syncDataSync());
  }

  syncData(): Promise<void> {
    return this.#doAsync("sync", "fdatasync", this.#file.syncData());
  }

  truncateSync(length = 0): void {
    this.#do(
      "truncate",
      "ftruncate",
      () => this.#positional.truncateSync(length),
    );
  }

  truncate(length = 0): Promise<void> {
    return this.#doAsync(
      "truncate",
      "ftruncate",
      this.#positional.truncate(length),
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

const POSITIONAL: Deno.OpenOptions = { read: true, write: true };

/** Pairs a file opened to append with the same file opened to write anywhere. */
function beside(
  file: Deno.FsFile,
  name: string,
  open: () => Deno.FsFile,
): DenoFile {
  try {
    const { dev, ino } = file.statSync();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const positional = open();
      const there = positional.statSync();
      if (there.ino === ino && there.dev === dev) {
        return new DenoFile(file, positional, name);
      }
      positional.close();
    }
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  throw new Deno.errors.Busy(
    `Cannot open '${name}': the name is given to another file again and again`,
  );
}

/**
 * Refuses what is no regular file before it is opened: to open a FIFO waits for its other end. Who
 * puts a FIFO in the place of the file after the look makes the open wait; nothing worse.
 */
function checkType(name: string, stat: () => Deno.FileInfo): void {
  let info: Deno.FileInfo;
  try {
    info = stat();
  } catch {
    // Not there, or not to be looked at: the open says it better.
    return;
  }
  if (!info.isFile) throw notRegular(name, info.isDirectory);
}

/** What is held in memory has to be read first. */
function readable(options: Deno.OpenOptions): Deno.OpenOptions {
  return { ...options, read: true };
}

function openError(
  error: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
): unknown {
  const name = String(path);
  if (error instanceof TypeError) {
    return new TypeError(`Cannot open '${name}': ${error.message}`);
  }
  const failure = systemErrorOf(error, "open", name, "open");
  return options.read ? failure : explainRead(failure, path);
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
  const facts = { syscall, code: codeOf(errno), errno };
  const message = `Cannot ${action} '${name}': ${said[1]} (os error ${errno})`;
  return error.constructor === Error
    ? new SystemError(message, facts)
    : Object.assign(
      new (error.constructor as ErrorConstructor)(message),
      facts,
    );
}
