/**
 * The C library: its functions, the constants that differ by system, and errno.
 *
 * Loaded once per isolate, on first use. No variadic function is declared: on
 * Apple arm64 variadic arguments travel on the stack and FFI passes them in registers.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { errnoError } from "./errors.ts";

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
  /** Whether a read-only file may be mapped private and writable and still show what others write. */
  readonly privateFollowsFile: boolean;
  /** Whether fsync finds what was changed in memory, with no msync before it. */
  readonly fsyncWritesMemory: boolean;
  /** Whether read(2), write(2) and mappings share one page cache. */
  readonly unifiedCache: boolean;
}

const CONSTANTS: Record<string, Constants> = {
  // Linux: include/uapi/asm-generic/mman-common.h and mman.h; the same on x86-64 and arm64.
  linux: {
    library: ["libc.so.6", "libc.so"],
    errnoLocation: "__errno_location",
    MAP_NORESERVE: 0x4000,
    MAP_ANONYMOUS: 0x20,
    MS_SYNC: 4,
    MADV_POPULATE_READ: 22,
    privateFollowsFile: true,
    fsyncWritesMemory: true,
    unifiedCache: true,
  },
  // macOS: xnu bsd/sys/mman.h; <sys/errno.h>.
  darwin: {
    library: ["libSystem.B.dylib"],
    errnoLocation: "__error",
    MAP_NORESERVE: 0x40,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 0x10,
    MADV_POPULATE_READ: 0,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: true,
  },
  // FreeBSD: sys/sys/mman.h; MAP_NORESERVE was removed in FreeBSD 11.
  freebsd: {
    library: ["libc.so.7"],
    errnoLocation: "__error",
    MAP_NORESERVE: 0,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 0,
    MADV_POPULATE_READ: 0,
    privateFollowsFile: true,
    fsyncWritesMemory: false,
    unifiedCache: true,
  },
  // NetBSD: sys/sys/mman.h.
  netbsd: {
    library: ["libc.so.12", "libc.so"],
    errnoLocation: "__errno",
    MAP_NORESERVE: 0x40,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 4,
    MADV_POPULATE_READ: 0,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: true,
  },
  // OpenBSD: sys/sys/mman.h.
  openbsd: {
    library: ["libc.so"],
    errnoLocation: "__errno",
    MAP_NORESERVE: 0,
    MAP_ANONYMOUS: 0x1000,
    MS_SYNC: 2,
    MADV_POPULATE_READ: 0,
    privateFollowsFile: false,
    fsyncWritesMemory: false,
    unifiedCache: false,
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
export const MADV_NORMAL = 0;
export const MADV_RANDOM = 1;
export const MADV_SEQUENTIAL = 2;
export const MADV_WILLNEED = 3;

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
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i64" },
  preadAsync: {
    name: "pread",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i64",
    nonblocking: true,
  },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i64" },
  pwriteAsync: {
    name: "pwrite",
    parameters: ["i32", "buffer", "usize", "i64"],
    result: "i64",
    nonblocking: true,
  },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "buffer", "usize"], result: "i64" },
  writeAsync: {
    name: "write",
    parameters: ["i32", "buffer", "usize"],
    result: "i64",
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
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the C library. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let loaded: Libc | undefined;

/** The C library, loaded at the first call. */
export function libc(): Libc {
  return loaded ??= load();
}

/** Index of the first `needle` in `haystack`, -1 if there is none. */
export function memmem(haystack: Uint8Array, needle: Uint8Array): number {
  const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(haystack));
  const found = libc().memmem(
    start,
    BigInt(haystack.length),
    needle,
    BigInt(needle.length),
  );
  return found === 0n ? -1 : Number(found - start);
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
      return Deno.dlopen(name, SYMBOLS).symbols;
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

/** The symbolic name of an errno, such as "ENOENT". */
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
