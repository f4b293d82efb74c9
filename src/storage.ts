/**
 * All that a platform must give, and nothing that it need not.
 *
 * @module
 */

import type { Memmem } from "./search.ts";
import type { Advice } from "./types.ts";

/** What is not memory: a structural subset of `Deno.FsFile`. */
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
  /** The file as the user gave it. */
  readonly path: string | URL;
  /** Whether reads are allowed. */
  readonly read: boolean;
  /** Whether writes reach the file. */
  readonly write: boolean;
  /** Whether writes go to the end of the file, whatever the cursor says. */
  readonly append: boolean;
  /** Whether a write past the end extends the file. */
  readonly grow: boolean;
  /** Whether writes stay in memory. */
  readonly copyOnWrite: boolean;
  /** Where in the file position 0 lies. */
  readonly offset: number;
  /** How many bytes from there on there are to see; Infinity for all. */
  readonly length: number;
  /** Whether an offset or a length was given. */
  readonly isWindow: boolean;
}

/** How a file is to be mapped. */
export interface MappingOptions {
  /** The file as the user named it, for messages. */
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
  /** Whether truncation by others is to be survived. */
  readonly guard: boolean;
  /** Whether the memory that users get is shared between workers. */
  readonly shared: boolean;
  /** How many calls go through the descriptor before the file is mapped for them. */
  readonly mapAfter: number;
}

/** Memory for views. */
export interface Exposed {
  readonly buffer: ArrayBufferLike;
  /** Where in `buffer` position 0 lies: negative if the memory begins behind it. */
  readonly start: number;
}

/** One file in memory. Positions are relative to `MappingOptions.offset`. */
export interface Mapping {
  /**
   * The mapped memory: empty when nothing is mapped. Replaced by `map`, emptied by `unmap`. May be
   * made only when it is asked for; until then `faults` says nothing of it.
   */
  readonly buffer: ArrayBufferLike;
  /** Whether users may have memory of the file that is not in `buffer`, at other addresses. */
  readonly isAliased?: boolean;
  /** Whether the user has moved the memory away, by a `transfer()` of what `expose` gave. */
  readonly moved: boolean;
  /** Whether memory shows another file than the descriptor does, and a refresh is to map it again. */
  readonly isStale?: boolean;
  /** Where in `buffer` position 0 lies. */
  readonly start: number;
  /** Bytes of `buffer` from position 0 on that show the file, or will when it has as many. */
  readonly length: number;
  /** Element 0 counts the faults survived in `buffer`; always 0 where there is no guard. */
  readonly faults: Int32Array;
  /** Whether a fault was survived in any of the memory, `buffer` or what `expose` has returned. */
  readonly hasFaulted: boolean;
  /** Whether there is memory as soon as the file is open, and not from its first use on. */
  readonly mapsAtOpen: boolean;
  /** Whether this mapping is guarded. */
  readonly guarded: boolean;
  /** Which parts of the file are in memory: `IN_MEMORY` where the system does not tell. */
  readonly residency: Residency;
  /** The system's own search, where it has one. */
  readonly memmem?: Memmem;
  /** Does what `target.set(source)` does, faster for many megabytes; the two must not overlap. */
  readonly copyLarge?: (target: Uint8Array, source: Uint8Array) => void;
  /** Whether `prepareWrite` has to be asked before each write to memory: what is a copy of the file takes note. */
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
  holds(buffer: ArrayBufferLike): boolean;
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

  /** Bytes that the file has from `MappingOptions.offset` on now, asked of the system. */
  fileSize(): number;
  /** Whether a read is to use memory, which then shows the first `size` bytes. If not, `read` is the way. */
  prepareRead(size: number, position: number, length: number): boolean;
  /** As `prepareRead`, for a write of `length` bytes. If not, `write` is the way. */
  prepareWrite(size: number, position: number, length: number): boolean;
  /** Reads up to `length` bytes through the descriptor, as many as there are. */
  read(target: Uint8Array, length: number, position: number): number;
  /** Writes all of `source` through the descriptor, past the end too. */
  write(source: Uint8Array, position: number): void;
  /** Writes all of `source` at the end of the file, wherever that is now. */
  append(source: Uint8Array): void;
  /** Where what was appended last ends. */
  appendedTo(): number;

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
  /** Has the changes of a file of `size` bytes written to the disk; `dataOnly` leaves out its times. */
  syncSync(size: number, dataOnly: boolean): void;
  /** As `syncSync`, off the event loop and even if the file is closed in between. */
  sync(size: number, dataOnly: boolean): Promise<void>;
  /** Has the changes of a range written to the disk. */
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

  /** Only where memory is a copy of the file: reads it again, once what has changed is written back. */
  reread?(): void;
}

/** Which parts of a file are in memory: those that a call may touch without a wait for the disk. */
export interface Residency {
  /** Whether all of the file is known to be in memory. */
  readonly isWhole: boolean;
  /** Whether a range of a file that ends at `size` is in memory. */
  has(position: number, length: number, size: number): boolean;
  /** As `has`, of a range that is read into `target` through the descriptor next. */
  readAhead(target: Uint8Array, position: number, size: number): boolean;
  /** As `has`, of what the system has to read before it can write a range: pages that are written in part. */
  hasEnds(position: number, length: number, size: number): boolean;
  /** Notes that a range has just been read or written, so that its pages are in memory. */
  add(position: number, length: number): void;
}

/** For files of which the system does not tell what is in memory, and for closed ones. */
export const IN_MEMORY: Residency = {
  isWhole: true,
  has: () => true,
  readAhead: () => true,
  hasEnds: () => true,
  add() {},
};

/** A way to have files in memory. Errors are those of `Deno.FsFile`. */
export interface Backend<File extends FileOps> {
  /** Its name, as `MmapFile.backend` tells it. */
  readonly name: "posix" | "windows" | "fallback";
  /** Makes sure that files can be mapped at all, before the disk is touched. */
  prepare(): void;
  /** Opens a file as `Deno.openSync` does. */
  openSync(path: string | URL, options: Deno.OpenOptions): File;
  /** As `openSync`, off the event loop. */
  open(path: string | URL, options: Deno.OpenOptions): Promise<File>;
  /** The length of the file in bytes, once it is certain that it is a regular file. */
  regularSize(file: File, name: string): number;
  /** Gives an empty file `size` bytes and their disk blocks; false where that cannot be done. */
  reserveSync(file: File, size: number): boolean;
  /** As `reserveSync`, off the event loop. */
  reserve(file: File, size: number): Promise<boolean>;
  /** Makes the mapping of a file; nothing is mapped yet. */
  mapping(file: File, options: MappingOptions): Mapping;
}
