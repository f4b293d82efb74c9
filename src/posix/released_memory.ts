/**
 * Memory of closed files, for the next open of the same file.
 *
 * To create a `WebAssembly.Memory` and to collect it as garbage takes longer than all else of an open, a view, and a
 * close. When a file is closed its memory is empty of views, but a native operation may still be using it. So
 * it is used again only for the same bytes of the same file: that operation reads and writes what it would
 * have. The mapping keeps the inode in use, so its number names no other file.
 *
 * @module
 */

import type { GuardedRange } from "../sigbus/guard.ts";

/** What names a file on this machine, as long as it is mapped. */
export interface FileIdentity {
  /** The number of the block device, 0 if there is none: then inode numbers may not be unique. */
  readonly device: number;
  readonly inode: number;
}

/** Memory that shows a range of a file, and has no views. */
export interface ReleasedMemory extends FileIdentity {
  readonly memory: WebAssembly.Memory;
  readonly address: bigint;
  readonly guard: GuardedRange | null;
  readonly offset: number;
  readonly length: number;
  /** Whether writes to the memory reach the file. */
  readonly write: boolean;
  readonly isGuarded: boolean;
}

/** How many memories are kept. The engine frees older ones when it collects garbage. */
const MAX_KEPT = 32;

/** Released since the engine last collected garbage, and before that, each in the order of release. */
let recent: ReleasedMemory[] = [];
let older: ReleasedMemory[] = [];

/** Called when the engine has collected garbage. Drops what was not released since the time before. */
const collections = new FinalizationRegistry<null>(() => {
  older = recent;
  recent = [];
  awaitsCollection = false;
  if (older.length > 0) awaitCollection();
});
let awaitsCollection = false;

function awaitCollection(): void {
  if (awaitsCollection) return;
  collections.register({}, null);
  awaitsCollection = true;
}

/** Keeps memory until it is taken, or the engine has collected garbage twice. */
export function keepReleased(memory: ReleasedMemory): void {
  awaitCollection();
  if (older.length + recent.length === MAX_KEPT) {
    older.shift() ?? recent.shift();
  }
  recent.push(memory);
}

/** Takes memory of a file, of those that fit the one that was released last. */
export function takeReleased(
  file: FileIdentity,
  fits: (memory: ReleasedMemory) => boolean,
): ReleasedMemory | undefined {
  for (const kept of [recent, older]) {
    const index = kept.findLastIndex((memory) =>
      isSameFile(memory, file) && fits(memory)
    );
    if (index !== -1) return kept.splice(index, 1)[0];
  }
}

/** How many memories of a file are kept. */
export function countReleased(file: FileIdentity): number {
  return [...older, ...recent].filter((memory) => isSameFile(memory, file))
    .length;
}

function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inode === b.inode && a.device === b.device && a.device !== 0;
}
