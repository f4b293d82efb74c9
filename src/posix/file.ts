/**
 * One POSIX descriptor as a file: stat, sync, truncate, lock, utime.
 *
 * `node:fs` opens it, so that Deno checks the path against its permissions, and closes it: `node:fs` would
 * close a descriptor a second time that was closed by close(2).
 *
 * @module
 */

import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncate,
  open,
  openSync,
  type Stats,
} from "node:fs";
import { constants as osConstants } from "node:os";
import { notRegular, openError } from "../errors.ts";
import {
  errno,
  FIONREAD,
  lastError,
  type Libc,
  libc,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  systemError,
} from "./libc.ts";
import { hasWaiters, waitForLock, wake } from "../lock_queue.ts";
import type { BackendFile } from "../storage.ts";
import type { OverlayFile } from "./overlay.ts";
import { inThread } from "../threads.ts";

const E = osConstants.errno;
const RESERVE = "reserve space for";

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFBLK, S_IFCHR, S_IFIFO } =
  constants;
// Absent from node:fs on Windows only; POSIX fixes the value nowhere, all systems use this one.
const S_IFSOCK = 0o140000;

/** Opens a descriptor; throws as `Deno.openSync` does. */
export function openPosixSync(
  path: string | URL,
  options: Deno.OpenOptions,
): PosixFile {
  const name = String(path);
  let fd: number;
  try {
    fd = openSync(path, openFlags(options), openMode(options));
  } catch (error) {
    const flags = retryFlags(error, options);
    if (flags === undefined) throw posixOpenError(error, path, options);
    try {
      fd = openSync(path, flags, openMode(options));
    } catch (error) {
      throw posixOpenError(error, path, options);
    }
  }
  return new PosixFile(fd, name);
}

/** As `openPosixSync`, off the event loop. */
export async function openPosix(
  path: string | URL,
  options: Deno.OpenOptions,
): Promise<PosixFile> {
  const name = String(path);
  const mode = openMode(options);
  let fd: number;
  try {
    fd = await openInThread(path, openFlags(options), mode);
  } catch (error) {
    const flags = retryFlags(error, options);
    if (flags === undefined) throw posixOpenError(error, path, options);
    try {
      fd = await openInThread(path, flags, mode);
    } catch (error) {
      throw posixOpenError(error, path, options);
    }
  }
  return new PosixFile(fd, name);
}

function openInThread(
  path: string | URL,
  flags: number,
  mode: number,
): Promise<number> {
  return inThread(() =>
    new Promise<number>((resolve, reject) => {
      open(path, flags, mode, (error, fd) => {
        if (error) reject(error);
        else resolve(fd!);
      });
    })
  );
}

/** A descriptor with the methods of `Deno.FsFile` that are not about its bytes. */
export class PosixFile implements BackendFile {
  readonly fd: number;
  readonly #name: string;
  #token: Token | null;
  /** The block device and the inode, once they were queried. */
  #device = 0;
  #inode = 0;
  /** Calls in progress in other threads. */
  #uses = 0;
  #isClosed = false;
  /** Whether it has requested a lock. */
  #mayHoldLock = false;

  constructor(fd: number, name: string) {
    this.fd = fd;
    this.#name = name;
    this.#token = takeToken(fd);
  }

  /** The number of its filesystem's block device, 0 if there is none, as of overlayfs, or if it is not known. */
  get device(): number {
    if (this.#inode === 0) this.#queryTypeAndSize();
    return this.#device;
  }

  /** The number of its inode, 0 if it is not known. */
  get inode(): number {
    if (this.#inode === 0) this.#queryTypeAndSize();
    return this.#inode;
  }

  /** Whether it may be on overlayfs, which does not have a block device. */
  get mayBeOverlay(): boolean {
    return libc().statx !== null && this.device === 0;
  }

  /** Memory without views, which is unmapped when the file is garbage-collected. */
  set unusedPages(pages: { release(): void } | null) {
    if (this.#token !== null) this.#token.resources.pages = pages;
  }

  /** The second descriptor, which is closed when the file is garbage-collected. */
  set overlay(overlay: OverlayFile | null) {
    if (this.#token !== null) this.#token.resources.overlay = overlay;
  }

  /** Keeps the descriptor open until a call in another thread has ended, even if the file is closed. */
  async whileOpen<T>(call: () => Promise<T>): Promise<T> {
    this.hold();
    try {
      return await call();
    } finally {
      this.release();
    }
  }

  /** Keeps the descriptor open until as many calls of `release`, even if the file is closed. */
  hold(): void {
    this.#uses++;
  }

  release(): void {
    if (--this.#uses === 0 && this.#isClosed) this.#close();
  }

  /** The length in bytes. Throws if this is not a regular file. */
  regularSize(): number {
    const { mode, size } = this.#queryTypeAndSize();
    const type = mode & S_IFMT;
    if (type === S_IFREG) return size;
    throw notRegular(this.#name, type === S_IFDIR);
  }

  /**
   * As `regularSize`, in half the time. Where it is not 0 it may lack multiples of 4 GiB: FIONREAD tells the bytes
   * that can be read in an int. Linux answers it of every regular file, and of no directory. A FIFO with bytes to read
   * passes, too.
   */
  lowSize(): number {
    const { ioctl } = libc();
    const isTold = FIONREAD !== 0 && ioctl !== null &&
      ioctl(this.fd, FIONREAD, LOW_SIZE) === 0;
    return isTold && LOW_SIZE[0]! > 0 ? LOW_SIZE[0]! : this.regularSize();
  }

  /**
   * Allocates `size` bytes of disk blocks for an empty file, so that a full disk is an error now instead of a
   * fault later. Returns `false` if the filesystem cannot. glibc's emulation, which writes, is not used.
   */
  reserveSync(size: number): boolean {
    const { fallocate } = libc();
    if (fallocate === null) return false;
    this.#checkFreeSpace(size);
    while (fallocate(this.fd, 0, 0n, BigInt(size)) !== 0) {
      const number = errno();
      if (number === E.EINTR) continue;
      if (number === E.EOPNOTSUPP || number === E.ENOSYS) return false;
      const failure = systemError(number, RESERVE, this.#name, "fallocate");
      libc().ftruncate(this.fd, 0n);
      throw failure;
    }
    return true;
  }

  /** As `reserveSync`, off the event loop. */
  async reserve(size: number): Promise<boolean> {
    const { fallocateAsync } = libc();
    if (fallocateAsync === null) return false;
    this.#checkFreeSpace(size);
    const reserve = () => fallocateAsync(this.fd, 0, 0n, BigInt(size));
    if (await inThread(reserve) === 0) return true;
    // A nonblocking call cannot report errno: the same call, made again, can.
    return this.reserveSync(size);
  }

  statSync(): Deno.FileInfo {
    const { statx } = libc();
    if (!statx) return fileInfoOfStats(fstatSync(this.fd));
    const mask = STATX_BASIC_STATS | STATX_BTIME;
    return fileInfoOfStatx(statxOf(statx, this.fd, mask, this.#name));
  }

  async stat(): Promise<Deno.FileInfo> {
    return await this.statSync();
  }

  syncSync(): void {
    const c = libc();
    if (c.fdatasync === null) {
      // macOS: fsync(2) leaves the bytes in the drive's cache; Deno's uses F_FULLFSYNC.
      this.#viaNode("sync", "fsync", () => fsyncSync(this.fd));
    } else if (c.fsync(this.fd) !== 0) {
      throw lastError("sync", this.#name, "fsync");
    }
  }

  sync(): Promise<void> {
    return this.#viaNodeAsync("sync", "fsync", (done) => fsync(this.fd, done));
  }

  syncDataSync(): void {
    const { fdatasync } = libc();
    if (fdatasync === null) {
      this.#viaNode("sync", "fdatasync", () => fdatasyncSync(this.fd));
    } else if (fdatasync(this.fd) !== 0) {
      throw lastError("sync", this.#name, "fdatasync");
    }
  }

  syncData(): Promise<void> {
    return this.#viaNodeAsync(
      "sync",
      "fdatasync",
      (done) => fdatasync(this.fd, done),
    );
  }

  truncateSync(length = 0): void {
    if (libc().ftruncate(this.fd, BigInt(length)) !== 0) {
      throw lastError("truncate", this.#name, "ftruncate");
    }
  }

  truncate(length = 0): Promise<void> {
    return this.#viaNodeAsync(
      "truncate",
      "ftruncate",
      (done) => ftruncate(this.fd, length, done),
    );
  }

  utimeSync(atime: number | Date, mtime: number | Date): void {
    const times = new BigInt64Array([
      ...timespec(atime),
      ...timespec(mtime),
    ]);
    if (libc().futimens(this.fd, times) !== 0) {
      throw lastError("set the times of", this.#name, "futimens");
    }
  }

  async utime(atime: number | Date, mtime: number | Date): Promise<void> {
    await this.utimeSync(atime, mtime);
  }

  lockSync(exclusive = false): void {
    this.#mayHoldLock = true;
    while (libc().flock(this.fd, exclusive ? LOCK_EX : LOCK_SH) !== 0) {
      if (errno() === E.EINTR) continue;
      throw lastError("lock", this.#name, "flock");
    }
  }

  async lock(exclusive = false): Promise<void> {
    if (this.tryLockSync(exclusive)) return;
    const tryLock = () => this.tryLockSync(exclusive);
    await waitForLock(this.#lockKey(exclusive), tryLock);
  }

  tryLockSync(exclusive = false): boolean {
    this.#mayHoldLock = true;
    const operation = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
    for (let attempt = 1;; attempt++) {
      if (libc().flock(this.fd, operation) === 0) return true;
      const number = errno();
      if (number === E.EWOULDBLOCK) return false;
      // With Deno 2.8 errno was once that of another call by then: the same call sets it again.
      if (attempt === 1) continue;
      throw systemError(number, "lock", this.#name, "flock");
    }
  }

  async tryLock(exclusive = false): Promise<boolean> {
    return await this.tryLockSync(exclusive);
  }

  unlockSync(): void {
    if (libc().flock(this.fd, LOCK_UN) !== 0) {
      throw lastError("unlock", this.#name, "flock");
    }
    this.#wakeWaiters();
  }

  async unlock(): Promise<void> {
    await this.unlockSync();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#token !== null) returnToken(this.#token);
    this.#token = null;
    if (this.#uses === 0) this.#close();
  }

  #close(): void {
    // The waiters try after this function has returned.
    this.#wakeWaiters();
    if (this.#mayHoldLock) unlockAndClose(this.fd);
    else closeSync(this.fd);
  }

  #wakeWaiters(): void {
    if (!hasWaiters()) return;
    wake(this.#lockKey(true));
    wake(this.#lockKey(false));
  }

  /** Names one kind of lock on this file, for its waiters: an exclusive lock may fail where a shared one does not. */
  #lockKey(exclusive: boolean): string {
    const { dev, ino } = this.statSync();
    return `${dev} ${ino} ${exclusive}`;
  }

  /** Throws if the disk has too little space: fallocate(2) would fill the disk before it fails. */
  #checkFreeSpace(size: number): void {
    const fields = statfsOf(this.fd);
    if (fields === null) return;
    const blocks = fields.getBigUint64(16, true);
    const room = fields.getBigInt64(8, true) * fields.getBigInt64(24, true);
    // Some filesystems do not count their blocks.
    if (blocks === 0n || BigInt(size) <= room) return;
    throw systemError(E.ENOSPC, RESERVE, this.#name, "fallocate");
  }

  #queryTypeAndSize(): { mode: number; size: number } {
    const { statx } = libc();
    if (statx === null) {
      const stats = fstatSync(this.fd);
      this.#inode = stats.ino;
      return stats;
    }
    const mask = STATX_TYPE | STATX_SIZE | STATX_INO;
    const fields = statxOf(statx, this.fd, mask, this.#name);
    if (fields.getUint32(136, true) !== 0) {
      this.#device = deviceNumber(fields, 136);
    }
    this.#inode = unsigned(fields, 32);
    return {
      mode: fields.getUint16(28, true),
      size: unsigned(fields, 40),
    };
  }

  #viaNode(action: string, syscall: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      throw nodeError(action, this.#name, syscall, error);
    }
  }

  #viaNodeAsync(
    action: string,
    syscall: string,
    call: (done: (error: Error | null) => void) => void,
  ): Promise<void> {
    const called = () =>
      new Promise<void>((resolve, reject) => {
        call((error) => {
          if (error) reject(nodeError(action, this.#name, syscall, error));
          else resolve();
        });
      });
    return this.whileOpen(() => inThread(called));
  }
}

/** What is released when a file is garbage-collected without having been closed. */
interface Resources {
  fd: number;
  pages: { release(): void } | null;
  overlay: OverlayFile | null;
}

/** Garbage-collected together with its file: nothing else refers to it. */
interface Token {
  readonly resources: Resources;
}

const finalizers = new FinalizationRegistry<Resources>(
  ({ fd, pages, overlay }) => {
    pages?.release();
    overlay?.close();
    if (fd !== -1) unlockAndClose(fd);
  },
);

/**
 * Closes a descriptor that may hold a lock. flock(2) locks belong to the open file, which close(2) alone does not
 * end as long as memory is mapped: that would keep the lock until the engine frees the memory.
 */
function unlockAndClose(fd: number): void {
  libc().flock(fd, LOCK_UN);
  closeSync(fd);
}

/** Tokens to use again: to register and unregister one takes 0.3 µs of an open and close. */
const unusedTokens: Token[] = [];

function takeToken(fd: number): Token {
  const token = unusedTokens.pop() ?? newToken();
  token.resources.fd = fd;
  return token;
}

function newToken(): Token {
  const token: Token = { resources: { fd: -1, pages: null, overlay: null } };
  finalizers.register(token, token.resources);
  return token;
}

function returnToken(token: Token): void {
  token.resources.fd = -1;
  token.resources.pages = null;
  token.resources.overlay = null;
  unusedTokens.push(token);
}

// Linux: include/uapi/linux/stat.h and fcntl.h. One layout of struct statx serves every architecture.
const AT_EMPTY_PATH = 0x1000;
const STATX_TYPE = 0x1;
const STATX_INO = 0x100;
const STATX_SIZE = 0x200;
const STATX_CTIME = 0x80;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const EMPTY_PATH = new Uint8Array(1);
/** What FIONREAD says. */
const LOW_SIZE = new Uint32Array(1);
/** The struct of the call just made: read before the next. */
const STATX = new DataView(new ArrayBuffer(256));

function statxOf(
  statx: NonNullable<Libc["statx"]>,
  fd: number,
  mask: number,
  name: string,
): DataView {
  if (statx(fd, EMPTY_PATH, AT_EMPTY_PATH, mask, STATX) !== 0) {
    throw lastError("stat", name, "statx");
  }
  return STATX;
}

/**
 * Information about a file's filesystem: struct statfs of 64-bit Linux, with f_type at 0, f_bsize at 8, f_blocks at
 * 16, f_bfree at 24. `null` if the call fails.
 */
export function statfsOf(fd: number): DataView | null {
  const { fstatfs } = libc();
  const fields = new DataView(new ArrayBuffer(120));
  return fstatfs !== null && fstatfs(fd, fields) === 0 ? fields : null;
}

/** When a file was created, to the nanosecond, or when it last changed if the filesystem does not store that. */
export function birthTime(fd: number, name: string): string {
  const { statx } = libc();
  if (statx === null) return "";
  const fields = statxOf(statx, fd, STATX_BTIME | STATX_CTIME, name);
  const hasBirthtime = (fields.getUint32(0, true) & STATX_BTIME) !== 0;
  const at = hasBirthtime ? 80 : 96;
  return `${signed(fields, at)}.${fields.getUint32(at + 8, true)}`;
}

/** What `Deno.FsFile.stat` returns, from a struct statx. */
function fileInfoOfStatx(fields: DataView): Deno.FileInfo {
  const mode = fields.getUint16(28, true);
  const hasBirthtime = (fields.getUint32(0, true) & STATX_BTIME) !== 0;
  return {
    ...typeOfMode(mode),
    size: unsigned(fields, 40),
    mtime: timeAt(fields, 112),
    atime: timeAt(fields, 64),
    birthtime: hasBirthtime ? timeAt(fields, 80) : null,
    // Deno returns whole seconds.
    ctime: new Date(signed(fields, 96) * 1000),
    dev: deviceNumber(fields, 136),
    ino: unsigned(fields, 32),
    mode,
    nlink: fields.getUint32(16, true),
    uid: fields.getUint32(20, true),
    gid: fields.getUint32(24, true),
    rdev: deviceNumber(fields, 128),
    blksize: fields.getUint32(4, true),
    blocks: unsigned(fields, 48),
  };
}

function timeAt(fields: DataView, offset: number): Date {
  const seconds = signed(fields, offset);
  const nanoseconds = fields.getUint32(offset + 8, true);
  return new Date(seconds * 1000 + Math.trunc(nanoseconds / 1e6));
}

/** 64 bits in two halves: a BigInt in between would take longer than the system call. */
function unsigned(fields: DataView, offset: number): number {
  return fields.getUint32(offset + 4, true) * 2 ** 32 +
    fields.getUint32(offset, true);
}

function signed(fields: DataView, offset: number): number {
  return fields.getInt32(offset + 4, true) * 2 ** 32 +
    fields.getUint32(offset, true);
}

/** glibc's makedev (bits/sysmacros.h): the minor number's low byte is below the major's 12 bits. */
function deviceNumber(fields: DataView, offset: number): number {
  const major = fields.getUint32(offset, true);
  const minor = fields.getUint32(offset + 4, true);
  return Math.floor(major / 2 ** 12) * 2 ** 44 +
    Math.floor(minor / 2 ** 8) * 2 ** 20 +
    (major & 0xfff) * 2 ** 8 + (minor & 0xff);
}

/** What `Deno.FsFile.stat` returns, from what `node:fs` says. */
function fileInfoOfStats(stats: Stats): Deno.FileInfo {
  return {
    ...typeOfMode(stats.mode),
    size: stats.size,
    mtime: stats.mtime,
    atime: stats.atime,
    birthtime: stats.birthtime,
    ctime: stats.ctime,
    dev: stats.dev,
    ino: stats.ino,
    mode: stats.mode,
    nlink: stats.nlink,
    uid: stats.uid,
    gid: stats.gid,
    rdev: stats.rdev,
    blksize: stats.blksize,
    blocks: stats.blocks,
  };
}

function typeOfMode(mode: number) {
  const type = mode & S_IFMT;
  return {
    isFile: type === S_IFREG,
    isDirectory: type === S_IFDIR,
    isSymlink: type === S_IFLNK,
    isBlockDevice: type === S_IFBLK,
    isCharDevice: type === S_IFCHR,
    isFifo: type === S_IFIFO,
    isSocket: type === S_IFSOCK,
  };
}

/** Milliseconds up to which a number is exact. Of a later time the system takes what the filesystem can keep. */
const MAX_TIME = Number.MAX_SAFE_INTEGER;

/** A struct timespec: whole milliseconds, as Deno sets them. What is not a time is 0. */
function timespec(time: number | Date): [bigint, bigint] {
  const exact = typeof time === "number" ? time * 1000 : time.getTime();
  const milliseconds =
    Math.floor(Math.min(Math.max(exact, -MAX_TIME), MAX_TIME)) || 0;
  const seconds = Math.floor(milliseconds / 1000);
  return [
    BigInt(seconds),
    BigInt((milliseconds - seconds * 1000) * 1_000_000),
  ];
}

function openFlags(options: Deno.OpenOptions): number {
  const { write, append, truncate, create, createNew } = options;
  return (write || append ? constants.O_RDWR : constants.O_RDONLY) |
    (append ? constants.O_APPEND : 0) |
    (truncate ? constants.O_TRUNC : 0) |
    (create || createNew ? constants.O_CREAT : 0) |
    (createNew ? constants.O_EXCL : 0) |
    // Without O_NONBLOCK, opening a FIFO waits for its other end. It changes nothing for a regular file.
    constants.O_NONBLOCK | constants.O_NOCTTY;
}

/** Flags to open a file with that could not be opened with `openFlags`. */
function retryFlags(
  error: unknown,
  options: Deno.OpenOptions,
): number | undefined {
  const flags = openFlags(options);
  const code = error instanceof Error && "code" in error && error.code;
  // Another process has a lease on the file, and the system asks it to end the lease: open(2) must wait.
  if (code === "EAGAIN") return flags & ~constants.O_NONBLOCK;
  // The file may only be written, and not be mapped. On /sys that is EINVAL.
  const mayNotRead = code === "EACCES" || code === "EINVAL" ||
    error instanceof Deno.errors.NotCapable;
  return mayNotRead && !options.read && (flags & constants.O_RDWR) !== 0
    ? flags & ~constants.O_RDWR | constants.O_WRONLY
    : undefined;
}

/** As Deno: only the permission bits of `mode` are used. */
function openMode(options: Deno.OpenOptions): number {
  return (options.mode ?? 0o666) & 0o777;
}

function posixOpenError(
  error: unknown,
  path: string | URL,
  options: Deno.OpenOptions,
): unknown {
  const code = error instanceof Error && "code" in error ? error.code : "";
  // What open(2) says of a socket, and of a directory that is to be written.
  if (code === "ENXIO" || code === "EISDIR") {
    return notRegular(String(path), code === "EISDIR");
  }
  const failure = nodeError("open", String(path), "open", error);
  return openError(error, failure, path, options);
}

/** Converts an error of `node:fs` to Deno's class and our message. An error that is not the system's is returned unchanged. */
function nodeError(
  action: string,
  name: string,
  syscall: string,
  error: unknown,
): unknown {
  if (!(error instanceof Error)) return error;
  const code = "code" in error ? String(error.code) : "";
  // Where Deno has no code for it, the number is in the message.
  const number = Reflect.get(E, code) ??
    error.message.match(/\(os error (\d+)\)/)?.[1];
  return number === undefined
    ? error
    : systemError(Number(number), action, name, syscall);
}
