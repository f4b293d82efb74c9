/**
 * All that a platform must give, and nothing that it need not.
 *
 * @module
 */

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
  /** Whether truncation by others is to be survived. */
  readonly guard: boolean;
}

/** One file in memory. Positions are relative to `MappingOptions.offset`. */
export interface Mapping {
  /** The mapped memory, and no view of it elsewhere: empty when nothing is mapped. Replaced by `map`. */
  readonly buffer: ArrayBuffer;
  /** Where in `buffer` position 0 lies. */
  readonly start: number;
  /** Element 0 counts the faults survived in this mapping; always 0 where no guard stands. */
  readonly faults: Int32Array;
  /** Whether a guard stands over this mapping. */
  readonly guarded: boolean;

  /** Maps the first `size` bytes, in place of what was mapped. The file must have them. */
  map(size: number): void;
  /** Empties every view and gives the memory back. What the user has moved away is left alone. */
  unmap(): void;

  /** Bytes that the file has past `MappingOptions.offset` now, asked of the system. */
  fileSize(): number;
  /** Writes through the descriptor, past the end too; resumes until all is written. */
  write(source: Uint8Array, position: number): void;
  /** Writes at the end of the file, wherever that is now; returns the new end. */
  append(source: Uint8Array): number;

  /** Writes changed pages to the disk. */
  flushSync(position: number, length: number): void;
  /** As `flushSync`, off the event loop. */
  flush(position: number, length: number): Promise<void>;
  /** Brings pages into memory, off the event loop. */
  prefetch(position: number, length: number): Promise<void>;
  /** Tells the system how the pages will be used. */
  advise(advice: Advice, position: number, length: number): void;
}
