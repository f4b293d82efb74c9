/**
 * The interfaces that a platform implements.
 *
 * @module
 */

import type { Memmem } from "./search.ts";
import type { Advice } from "./types.ts";

/** A file without its bytes: a structural part of `Deno.FsFile`. */
export type FileOps = Pick<
  Deno.FsFile,
  | "stat"
  | "statSync"
  | "sync"
  | "syncSync"
  | "syncData"
  | "syncDataSync"
  | "truncate"
  | "truncateSync"
  | "utime"
  | "utimeSync"
  | "lock"
  | "lockSync"
  | "tryLock"
  | "tryLockSync"
  | "unlock"
  | "unlockSync"
  | "close"
>;

/** What a file may be used for. */
export interface Access {
  /** The path as it was passed to `open`. */
  readonly path: string | URL;
  /** Whether reads are allowed. */
  readonly read: boolean;
  /** Whether writes reach the file. */
  readonly write: boolean;
  /** Whether writes go to the end of the file, wherever the cursor is. */
  readonly append: boolean;
  /** Whether a write past the end extends the file. */
  readonly grow: boolean;
  /** Whether writes stay in memory. */
  readonly copyOnWrite: boolean;
  /** Where in the file position 0 lies. */
  readonly offset: number;
  /** Bytes of the file from there on that are used; `Infinity` for all. */
  readonly length: number;
  /** Whether an offset or a length was passed. */
  readonly isWindow: boolean;
}

/** How a file is to be mapped. */
export interface MappingOptions {
  /** The path as it was passed to `open`, for messages. */
  readonly name: string;
  /** Whether writes through memory reach the file. */
  readonly write: boolean;
  /** Whether writes through memory stay in this process. */
  readonly copyOnWrite: boolean;
  /** Whether the file may be written past its end. */
  readonly grow: boolean;
  /** First byte of the file to map; need not be page-aligned. */
  readonly offset: number;
  /** How the pages will be used. */
  readonly advice: Advice;
  /** Whether memory is guarded against truncation by others. */
  readonly guard: boolean;
  /** Whether the memory that users get is shared between workers. */
  readonly shared: boolean;
  /** How many calls use the descriptor before memory: reads, and writes where each page is written often. */
  readonly mapAfter: number;
}

/** Bytes of a write that may use the descriptor even if the file is mapped: `Mapping.prepareWrite` is called before it. */
export const LONG_WRITE: number = 64 << 10;

/** Bytes of a copy that bypasses the processor's caches, because it does not fit in them. */
export const NON_TEMPORAL_LENGTH: number = 32 << 20;

/** Memory for views. */
export interface Exposed {
  readonly buffer: ArrayBufferLike;
  /** Where in `buffer` position 0 lies: negative if the memory begins after it. */
  readonly start: number;
}

/** One file in memory. Positions are relative to `MappingOptions.offset`. */
export interface Mapping {
  /**
   * The mapped memory: empty when nothing is mapped. Replaced by `map`, emptied by `unmap`. May be created when it is
   * first read; until then `faults` does not count its faults.
   */
  readonly buffer: ArrayBufferLike;
  /** Whether users may have memory of the file that is not in `buffer`, at other addresses. */
  readonly isAliased?: boolean;
  /** Whether the user has detached the memory, by a `transfer()` of what `expose` returned. */
  readonly isDetached: boolean;
  /** Whether memory shows another file than the descriptor, and a refresh must map it again. */
  readonly isStale?: boolean;
  /** Where in `buffer` position 0 lies. */
  readonly start: number;
  /** Bytes of `buffer` from position 0 on that show the file, or will when it has as many. */
  readonly length: number;
  /** Element 0 counts the faults that were handled in `buffer`; always 0 without a guard. */
  readonly faults: Int32Array;
  /** Whether a fault was handled in any of the memory, `buffer` or what `expose` has returned. */
  readonly hasFaulted: boolean;
  /** Whether bytes that users wrote to views are in zeros that a fault has put in place of the file's pages. */
  readonly hasLostChanges: boolean;
  /** Whether there is memory as soon as the file is open, and not from its first use on. */
  readonly mapsAtOpen: boolean;
  /** Whether this mapping is guarded. */
  readonly guarded: boolean;
  /** Which parts of the file are in memory: `IN_MEMORY` where the system does not tell. */
  readonly residency: Residency;
  /** The system's own search, where it has one. */
  readonly memmem?: Memmem;
  /** Does what `target.set(source)` does, faster for many megabytes. The two must not overlap. */
  readonly copyLarge?: (target: Uint8Array, source: Uint8Array) => void;
  /** Whether `prepareWrite` must be called before each write: it counts them, or marks a copy of the file dirty. */
  readonly notesWrites: boolean;

  /** Maps the first `size` bytes, which the file must have, in place of what was mapped. */
  map(size: number): void;
  /**
   * Memory for views of a range, of a file of `size` bytes: what reads or clones the whole buffer must
   * not run past the end of the file. May replace `buffer`.
   */
  expose(size: number, position: number, length: number): Exposed;
  /** Whether users may have views of memory. */
  readonly isHandedOut: boolean;
  /** Whether a buffer is memory of this file, or may be. */
  owns(buffer: ArrayBufferLike): boolean;
  /** Empties every view, and unmaps what nothing else can be using. */
  unmap(): void;
  /** As `unmap`, just before the file is truncated to `size` bytes. Memory that is shared stays as far as that. */
  shrink?(size: number): void;
  /** As `unmap`, when memory no longer shows a file of `size` bytes. Memory that is shared does again. */
  reset?(size: number): void;
  /**
   * Shows the file's pages again where a fault has put zeros. False if that cannot be done, or if users
   * may have written to those zeros.
   */
  restore?(): boolean;

  /** Queries the bytes that the file has now from `MappingOptions.offset` on. */
  fileSize(): number;
  /**
   * Chooses the way of a read, and counts it: the file is mapped once that pays. Returns `true` for memory, which then
   * shows the first `size` bytes, and `false` for `read`.
   */
  prepareRead(size: number): boolean;
  /** As `prepareRead`, for a write. Returns `false` for `write`. Where memory is a copy, marks the range dirty. */
  prepareWrite(size: number, position: number, length: number): boolean;
  /** Reads up to `length` bytes through the descriptor, as many as there are. */
  read(target: Uint8Array, length: number, position: number): number;
  /** Writes all of `source` through the descriptor, past the end too. Its properties cannot be trusted. */
  write(source: Uint8Array, position: number): void;
  /** Writes all of `source` at the end of the file, wherever that is now. */
  append(source: Uint8Array): void;
  /** The end of the last append. */
  appendEnd(): number;

  /**
   * Reads through the descriptor, off the event loop and even if the file is closed in between. Returns
   * the number of bytes: fewer at the end of the file, or if `target` was resized.
   */
  readAsync?(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `source` in one call to the system, past the end too; otherwise as `readAsync`. */
  writeAsync?(source: Uint8Array, position: number): Promise<number>;
  /** As `writeAsync`, at the end of the file. */
  appendAsync?(source: Uint8Array): Promise<number>;

  /** Sets the modification time to now, where writes through memory do not move it. */
  updateTimes?(): void;
  /** Flushes the changes of a file of `size` bytes to the disk, without its times if `dataOnly`. */
  syncSync(size: number, dataOnly: boolean): void;
  /** As `syncSync`, off the event loop and even if the file is closed in between. */
  sync(size: number, dataOnly: boolean): Promise<void>;
  /** Flushes the changes of a range to the disk. */
  flushSync(position: number, length: number): void;
  /** As `flushSync`, off the event loop and even if the file is closed in between. */
  flush(position: number, length: number): Promise<void>;
  /** Brings pages into memory; a hint. */
  prefetchSync(position: number, length: number): void;
  /** As `prefetchSync`, off the event loop. */
  prefetch(position: number, length: number): Promise<void>;
  /** Says how the pages will be used, or that they will not be; a hint. Changes are kept. */
  advise(
    advice: Advice | "dontneed",
    position: number,
    length: number,
  ): void;

  /**
   * The Int32 that the file has at a position, aligned to 4 bytes in the file; `undefined` past its end.
   * Absent where memory is a copy of the file.
   */
  loadInt32?(position: number): number | undefined;
  /** The descriptor by which pages of the file are mapped, where it is by one. */
  readonly fd?: number;

  /** Only where memory is a copy of the file: writes back the changes, and reads the file again. */
  reload?(): void;
}

/** Which parts of a file are in memory, so that a call does not wait for the disk. */
export interface Residency {
  /** Whether all of the file is known to be in memory. */
  readonly isWhole: boolean;
  /** Whether a range of a file that ends at `size` is in memory. */
  has(position: number, length: number, size: number): boolean;
  /** As `has`, for a range that is read into `target` through the descriptor next. */
  readAhead(target: Uint8Array, position: number, size: number): boolean;
  /** As `has`, for what the system must read before it can write a range: pages that are written in part. */
  hasEnds(position: number, length: number, size: number): boolean;
  /** Records that a range has just been read or written, so that its pages are in memory. */
  add(position: number, length: number): void;
}

/** For files about which the system does not tell what is in memory, and for closed ones. */
export const IN_MEMORY: Residency = {
  isWhole: true,
  has: () => true,
  readAhead: () => true,
  hasEnds: () => true,
  add() {},
};

/** A file as a backend opens it. */
export interface BackendFile extends FileOps {
  /** The length of the file in bytes. Throws if this is not a regular file. */
  regularSize(): number;
  /** As `regularSize`, in less time: the upper bits of 4 GiB and more may be missing. 0 if the file is empty. */
  lowSize?(): number;
  /** Allocates `size` bytes on the disk for an empty file. Returns `false` if the filesystem cannot. */
  reserveSync(size: number): boolean;
  /** As `reserveSync`, off the event loop. */
  reserve(size: number): Promise<boolean>;
}

/** A way to access files in memory. Errors are those of `Deno.FsFile`. */
export interface Backend<File extends BackendFile> {
  /** Its name, as `MmapFile.backend` returns it. */
  readonly name: "posix" | "windows" | "fallback";
  /** Throws if files cannot be mapped at all, before the disk is touched. */
  prepare(): void;
  /** Opens a file as `Deno.openSync` does. */
  openSync(path: string | URL, options: Deno.OpenOptions): File;
  /** As `openSync`, off the event loop. */
  open(path: string | URL, options: Deno.OpenOptions): Promise<File>;
  /** Creates the mapping of a file. Nothing is mapped yet. */
  mapping(file: File, options: MappingOptions): Mapping;
}
