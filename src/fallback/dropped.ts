/**
 * Copies of files that were garbage-collected without a close: what has changed in them is written back,
 * and their descriptors are closed.
 *
 * Views may outlive their file, and what is changed through them belongs in the file too. So memory is
 * held until it is certain that there are no views: V8 is made to collect garbage while the memory is
 * not held. No program runs in between, so that no change can be lost.
 *
 * @module
 */

import type { Changes } from "./changes.ts";

/** Has a file closed when its `copy` is garbage, after what has changed is written back. */
export function closeWhenDropped(
  copy: object,
  changes: Changes,
  file: object,
): void {
  dropped.register(copy, changes, file);
}

/** Leaves a file alone from now on, since it is closed. */
export function isClosed(file: object): void {
  dropped.unregister(file);
}

const dropped = new FinalizationRegistry<Changes>((changes) => {
  if (!writeBack(changes)) return;
  if (!changes.isWatched) return close(changes);
  outlived.add(changes);
  // Once for all that were dropped together.
  if (!isPlanned) queueMicrotask(closeUnreachable);
  isPlanned = true;
});

/** What may have views that have outlived its file. */
const outlived = new Set<Changes>();
let isPlanned = false;

/** Collections of garbage that are waited for before views are looked for again: twice as many each time. */
let patience = 1;
let isWaiting = false;

const garbage = new FinalizationRegistry<number>((left) => {
  isWaiting = false;
  if (left > 1) wait(left - 1);
  else if (outlived.size > 0) closeUnreachable();
});

/** Closes what has no views any more. */
function closeUnreachable(): void {
  isPlanned = false;
  for (const changes of outlived) {
    if (writeBack(changes)) changes.letGo();
    else outlived.delete(changes);
  }
  collectGarbage();
  for (const changes of outlived) {
    if (changes.takeBack()) continue;
    outlived.delete(changes);
    close(changes);
  }
  if (outlived.size === 0) patience = 1;
  else if (!isWaiting) {
    wait(patience);
    patience = Math.min(2 * patience, MOST_PATIENCE);
  }
}

const MOST_PATIENCE = 1 << 10;

/**
 * Whether nothing is left to write. If there is, memory and file are kept, and the end of the program tries
 * again.
 */
function writeBack(changes: Changes): boolean {
  try {
    changes.writeBack(0, Infinity);
    return true;
  } catch (error) {
    // Nobody is left to catch it.
    console.error(error);
    // What was moved away is lost.
    return changes.buffer.detached;
  }
}

function close(changes: Changes): void {
  changes.clear();
  changes.file.close();
}

function wait(collections: number): void {
  isWaiting = true;
  garbage.register({}, collections);
}

/** More bytes than any system has addresses for. */
const TOO_MANY = 2 ** 50;

/** Has V8 collect garbage at once: it does before it says that there is no memory for a buffer. */
function collectGarbage(): void {
  try {
    new ArrayBuffer(TOO_MANY);
  } catch {
    // As expected.
  }
}
