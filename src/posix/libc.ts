/**
 * The C library: its functions, the constants that differ by system, and errno.
 *
 * Loaded once per isolate, on first use. No variadic function is called on Apple
 * arm64: there variadic arguments travel on the stack and FFI passes them in registers.
 * Linux passes those of `syscall` in registers on both architectures.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { errnoError } from "../errors.ts";
import { type Functions, loadFunctions } from "../native_library.ts";

/** Numbers that differ by system. A feature that a system lacks is 0. */
interface Constants {
  /** Names to try for the C library, in order. */
  readonly library: readonly string[];
  /** Name of the function that returns errno's address. */
  readonly errnoLocation: string;
  readonly MAP_NORESERVE: number;
  readonly MAP_ANONYMOUS: number;
  readonly MS_SYNC: number;
  readonly MADV_POPULATE_READ: number;
  /** <sys/stat.h>: what futimens takes for "now" and for "as it is". */
  readonly UTIME_NOW: bigint;
  readonly UTIME_OMIT: bigint;
  /** Whether a read-only file may be mapped private and writable and still show what others write. */
  readonly privateFollowsFile: boolean;
  /** Whether fsync finds what was changed in memory, with no msync before it. */
  readonly fsyncWritesMemory: boolean;
  /** Whether read(2), write(2) and mappings share one page cache. */
  readonly unifiedCache: boolean;
  /** Number of the system call futex(2). */
  readonly SYS_futex: number;
  /** Number of the system call futex_waitv(2), of Linux 5.16. */
  readonly SYS_futex_waitv: number;
  /** Number of the system call cachestat(2), of Linux 6.5. */
  readonly SYS_cachestat: number;
}

const CONSTANTS: Record<string, Constants> = {
  // Linux: include/uapi/asm-generic/mman-common.h and mman.h; the same on x86-64 and arm64. System
  // calls: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h (arm64).
  linux: {
    library: ["libc.so.6", "libc.so"],
    errnoLocation: "__errno_location",
    MAP_NORESERVE: 0x4000,
    MAP_ANONYMOUS: 0x20,
    MS_SYNC: 4,
    MADV_POPULATE_READ: 22,
    UTIME_NOW: 0x3fff_ffffn,
    UTIME_OMIT: 0x3fff_fffen,
    privateFollowsFile: true,
    fsyncWritesMemory: true,
    unifiedCache: true,
    SYS_futex: Deno.build.arch === "x86_64" ? 202 : 98,
    SYS_futex_waitv: 449,
    SYS_cachestat: 451,
  },
  // macOS: xnu bsd/sys/mman.h; <sys/errno.h>.
  darwin: {
    library: ["libSystem.B.dylib"],
    errnoLocation: "__error",
    MAP_NORESERVE: 0x40,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 0x10,
    MADV_POPULATE_READ: 0,
    UTIME_NOW: -1n,
    UTIME_OMIT: -2n,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: true,
    SYS_futex: 0,
    SYS_futex_waitv: 0,
    SYS_cachestat: 0,
  },
  // FreeBSD: sys/sys/mman.h; MAP_NORESERVE was removed in FreeBSD 11.
  freebsd: {
    library: ["libc.so.7"],
    errnoLocation: "__error",
    MAP_NORESERVE: 0,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 0,
    MADV_POPULATE_READ: 0,
    UTIME_NOW: -1n,
    UTIME_OMIT: -2n,
    privateFollowsFile: true,
    fsyncWritesMemory: false,
    unifiedCache: true,
    SYS_futex: 0,
    SYS_futex_waitv: 0,
    SYS_cachestat: 0,
  },
  // NetBSD: sys/sys/mman.h.
  netbsd: {
    library: ["libc.so.12", "libc.so"],
    errnoLocation: "__errno",
    MAP_NORESERVE: 0x40,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 4,
    MADV_POPULATE_READ: 0,
    UTIME_NOW: 0x3fff_ffffn,
    UTIME_OMIT: 0x3fff_fffen,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: true,
    SYS_futex: 0,
    SYS_futex_waitv: 0,
    SYS_cachestat: 0,
  },
  // OpenBSD: sys/sys/mman.h.
  openbsd: {
    library: ["libc.so"],
    errnoLocation: "__errno",
    MAP_NORESERVE: 0,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 2,
    MADV_POPULATE_READ: 0,
    UTIME_NOW: -2n,
    UTIME_OMIT: -1n,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: false,
    SYS_futex: 0,
    SYS_futex_waitv: 0,
    SYS_cachestat: 0,
  },
};

/** This system's constants, or `undefined` where no POSIX mapping is known. */
export const platform: Constants | undefined = CONSTANTS[Deno.build.os];

// The same on every system above: POSIX, <sys/mman.h>, <sys/file.h>, <unistd.h>.
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_FAILED = 0xffff_ffff_ffff_ffffn; // (void *) -1
export const SEEK_CUR = 1;
export const SEEK_END = 2;
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;
/** Bytes that one call reads or writes at most. Linux moves no more (read(2)), and macOS refuses more than INT_MAX. */
export const MAX_TRANSFER = 0x7fff_f000;
export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;
export const MADV_DONTNEED = 4;

// Linux alone: include/uapi/linux/futex.h and time.h.
export const FUTEX_WAKE = 1;
export const FUTEX_PRIVATE_FLAG = 128;
export const FUTEX2_SIZE_U32 = 2;
export const FUTEX2_PRIVATE = 128;
export const CLOCK_MONOTONIC = 1;

/** include/uapi/linux/fs.h. Elsewhere there is not such a flag. */
export const RWF_NOWAIT: number = Deno.build.os === "linux" ? 8 : 0;

/** include/uapi/asm-generic/ioctls.h. 0 on systems where the answer is not about regular files alone. */
export const FIONREAD: number = Deno.build.os === "linux" ? 0x541b : 0;

// macOS alone: <os/os_sync_wait_on_address.h> and <os/clock.h>, of macOS 14.4.
export const OS_SYNC_WAIT_ON_ADDRESS_SHARED = 1;
export const OS_SYNC_WAKE_BY_ADDRESS_SHARED = 1;
export const OS_CLOCK_MACH_ABSOLUTE_TIME = 32;

const SYMBOLS = {
  // int *__errno_location(void);
  errnoLocation: {
    name: platform?.errnoLocation ?? "",
    parameters: [],
    result: "pointer",
  },
  // char *strerror(int errnum);
  strerror: { parameters: ["i32"], result: "pointer" },
  // int getpagesize(void);
  getpagesize: { parameters: [], result: "i32" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: {
    parameters: ["usize", "usize", "i32", "i32", "i32", "i64"],
    result: "usize",
  },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["usize", "usize"], result: "i32" },
  // int msync(void *addr, size_t length, int flags);
  msync: { parameters: ["usize", "usize", "i32"], result: "i32" },
  // A "buffer" and not an address: Deno then keeps the memory until the call has returned.
  msyncAsync: {
    name: "msync",
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // int madvise(void *addr, size_t length, int advice);
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
  madviseAsync: {
    name: "madvise",
    parameters: ["buffer", "usize", "i32"],
    result: "i32",
    nonblocking: true,
  },
  // int mincore(void *addr, size_t length, unsigned char *vec);
  mincore: {
    parameters: ["usize", "usize", "buffer"],
    result: "i32",
    optional: true,
  },
  // int open(const char *path, int flags); Linux alone, since it is variadic.
  open: { parameters: ["buffer", "i32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // ssize_t read(int fd, void *buf, size_t count);
  // Of at most MAX_TRANSFER bytes, so that the result fits an int: a BigInt takes time to make. The others likewise.
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  preadAsync: {
    name: "pread",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i32",
    nonblocking: true,
  },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  pwriteAsync: {
    name: "pwrite",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i32",
    nonblocking: true,
  },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  writeAsync: {
    name: "write",
    parameters: ["i32", "buffer", "usize"],
    result: "i32",
    nonblocking: true,
  },
  // int ftruncate(int fd, off_t length);
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // int fsync(int fd);
  fsync: { parameters: ["i32"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int futimens(int fd, const struct timespec times[2]);
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  // void *memmem(const void *haystack, size_t haystacklen, const void *needle, size_t needlelen);
  memmem: {
    parameters: ["usize", "usize", "buffer", "usize"],
    result: "usize",
  },
  // Linux: int fdatasync(int fd);
  fdatasync: { parameters: ["i32"], result: "i32", optional: true },
  // Linux: int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *buf);
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
    optional: true,
  },
  // Linux: int ioctl(int fd, unsigned long op, int *argp); the kernel takes 32 bits of op. Variadic.
  ioctl: {
    parameters: ["i32", "u32", "buffer"],
    result: "i32",
    optional: true,
  },
  // Linux: int fstatfs(int fd, struct statfs *buf);
  fstatfs: { parameters: ["i32", "buffer"], result: "i32", optional: true },
  // Linux: int fallocate(int fd, int mode, off_t offset, off_t len);
  fallocate: {
    parameters: ["i32", "i32", "i64", "i64"],
    result: "i32",
    optional: true,
  },
  fallocateAsync: {
    name: "fallocate",
    parameters: ["i32", "i32", "i64", "i64"],
    result: "i32",
    optional: true,
    nonblocking: true,
  },
  // Linux: int mprotect(void *addr, size_t length, int prot);
  mprotect: {
    parameters: ["usize", "usize", "i32"],
    result: "i32",
    optional: true,
  },
  // Linux: int sigaction(int signum, const struct sigaction *act, struct sigaction *oldact);
  sigaction: {
    parameters: ["i32", "buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  // Linux: int clock_gettime(clockid_t clockid, struct timespec *tp);
  clock_gettime: {
    parameters: ["i32", "buffer"],
    result: "i32",
    optional: true,
  },
  // Linux: long syscall(SYS_futex, uint32_t *uaddr, int futex_op, uint32_t val);
  futex: {
    name: "syscall",
    parameters: ["i32", "usize", "i32", "i32"],
    result: "i32",
    optional: true,
  },
  // Linux: long syscall(SYS_futex_waitv, struct futex_waitv *waiters, unsigned int nr_futexes,
  // unsigned int flags, struct timespec *timeout, clockid_t clockid);
  futex_waitv: {
    name: "syscall",
    parameters: ["i32", "buffer", "u32", "u32", "buffer", "i32"],
    result: "i32",
    optional: true,
  },
  futex_waitvAsync: {
    name: "syscall",
    parameters: ["i32", "buffer", "u32", "u32", "buffer", "i32"],
    result: "i32",
    optional: true,
    nonblocking: true,
  },
  // Linux: long syscall(SYS_cachestat, unsigned int fd, struct cachestat_range *cstat_range,
  // struct cachestat *cstat, unsigned int flags);
  cachestat: {
    name: "syscall",
    parameters: ["i32", "i32", "buffer", "buffer", "u32"],
    result: "i32",
    optional: true,
  },
  // Linux: ssize_t preadv2(int fd, const struct iovec *iov, int iovcnt, off_t offset, int flags);
  // Of reads whose length fits an int.
  preadv2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i32",
    optional: true,
  },
  // macOS 14.4: int os_sync_wait_on_address_with_timeout(void *addr, uint64_t value, size_t size,
  // os_sync_wait_on_address_flags_t flags, os_clockid_t clockid, uint64_t timeout_ns);
  os_sync_wait_on_address_with_timeoutAsync: {
    name: "os_sync_wait_on_address_with_timeout",
    parameters: ["usize", "u64", "usize", "u32", "u32", "u64"],
    result: "i32",
    optional: true,
    nonblocking: true,
  },
  // macOS 14.4: int os_sync_wake_by_address_all(void *addr, size_t size,
  // os_sync_wake_by_address_flags_t flags);
  os_sync_wake_by_address_all: {
    parameters: ["usize", "usize", "u32"],
    result: "i32",
    optional: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = Functions<typeof SYMBOLS>;

/** The functions of the C library. */
export type Libc = {
  readonly [Name in keyof Symbols]: Shareable<Symbols[Name]>;
};

/** A function that takes shared memory too, as it does in every Deno: the types of 2.8 refuse it. */
type Shareable<F> = F extends (...args: infer Args) => infer Result ? (
    ...args: {
      [K in keyof Args]: Uint8Array<ArrayBuffer> extends Args[K]
        ? Args[K] | Uint8Array
        : Args[K];
    }
  ) => Result
  : F;

let loaded: Libc | undefined;

/** The C library, loaded at the first call. */
export function libc(): Libc {
  return loaded ??= load();
}

/** Index of the first `needle` in `haystack`, -1 if there is none. */
export function memmem(haystack: Uint8Array, needle: Uint8Array): number {
  const start = addressOf(haystack);
  const found = libc().memmem(
    start,
    BigInt(haystack.length),
    needle,
    BigInt(needle.length),
  );
  return found === 0n ? -1 : Number(found - start);
}

/** The address of an array's first byte. */
export function addressOf(array: Uint8Array): bigint {
  // Deno 2.8 types shared memory out, and takes it.
  const ofOldTypes = array as Uint8Array<ArrayBuffer>;
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(ofOldTypes));
}

/** Bytes of a page of memory. */
export function pageSize(): number {
  return bytesOfPage ||= libc().getpagesize();
}

let bytesOfPage = 0;

function load(): Libc {
  let failure: unknown;
  for (const name of platform?.library ?? []) {
    try {
      return loadFunctions(name, SYMBOLS) as Libc;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * The errno of the C call just made. It holds only until the next call of any
 * kind in this thread, so ask at once.
 */
export function errno(): number {
  return new Deno.UnsafePointerView(libc().errnoLocation()!).getInt32();
}

/** The error for the C call that has just failed: reads errno, so nothing may come between. */
export function lastError(
  action: string,
  name: string,
  syscall: string,
): Error {
  return systemError(errno(), action, name, syscall);
}

/** The error for a C call that failed with `errno`. */
export function systemError(
  errno: number,
  action: string,
  name: string,
  syscall: string,
  bytesWritten?: number,
): Error {
  const facts = { syscall, code: codeOf(errno), errno };
  return errnoError(
    action,
    name,
    describe(errno),
    bytesWritten === undefined ? facts : { ...facts, bytesWritten },
  );
}

/** The symbolic name of an errno, such as "ENOENT". `getSystemErrorName` of node:util lacks EDQUOT and ESTALE. */
export function codeOf(errno: number): string {
  for (const [code, number] of Object.entries(osConstants.errno)) {
    if (number === errno) return code;
  }
  return `errno ${errno}`;
}

/** What the C library says of an errno, such as "No such file or directory". */
export function describe(errno: number): string {
  const text = libc().strerror(errno);
  return text === null
    ? codeOf(errno)
    : Deno.UnsafePointerView.getCString(text);
}
