/**
 * Copies of files that were garbage-collected without a close: what has changed in them is written back,
 * and their descriptors are closed.
 *
 * Views may outlive their file, and changes made through them belong in the file too. So the memory is
 * referenced until it has no views. To find out, V8 is made to collect garbage while the memory is not
 * referenced. No other code runs in between, so no change can be lost.
 *
 * @module
 */

import type { Changes } from "./changes.ts";

/** Closes a file when its `copy` is garbage-collected, after the changes have been written back. */
export function closeWhenDropped(
  copy: object,
  changes: Changes,
  file: object,
): void {
  dropped.register(copy, changes, file);
}

/** Drops what was registered for a file, because it is closed. */
export function unregister(file: object): void {
  dropped.unregister(file);
}

const dropped = new FinalizationRegistry<Changes>((changes) => {
  if (!writeBack(changes)) return;
  if (!changes.hasSnapshots) return close(changes);
  withViews.add(changes);
  // Once for all files that were dropped together.
  if (!isScheduled) queueMicrotask(closeUnreachable);
  isScheduled = true;
});

/** Changes of dropped files whose memory may still have views. */
const withViews = new Set<Changes>();
let isScheduled = false;

/** Garbage collections until the next search for views: twice as many each time. */
let collections = 1;
let isWaiting = false;

const garbage = new FinalizationRegistry<number>((left) => {
  isWaiting = false;
  if (left > 1) wait(left - 1);
  else if (withViews.size > 0) closeUnreachable();
});

/** Closes the files whose memory has no views. */
function closeUnreachable(): void {
  isScheduled = false;
  for (const changes of withViews) {
    if (writeBack(changes)) changes.release();
    else withViews.delete(changes);
  }
  collectGarbage();
  for (const changes of withViews) {
    if (changes.reacquire()) continue;
    withViews.delete(changes);
    close(changes);
  }
  if (withViews.size === 0) collections = 1;
  else if (!isWaiting) {
    wait(collections);
    collections = Math.min(2 * collections, MAX_COLLECTIONS);
  }
}

const MAX_COLLECTIONS = 1 << 10;

/** Writes changes back. Returns `false` if that failed: memory and file are then kept, and it is tried again at exit. */
function writeBack(changes: Changes): boolean {
  try {
    changes.writeBack(0, Infinity);
    return true;
  } catch (error) {
    // Nobody is left to catch it.
    console.error(error);
    // The changes in memory that was detached are lost.
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

/** More bytes than any system has addresses. */
const IMPOSSIBLE_LENGTH = 2 ** 50;

/** Makes V8 collect garbage: it does so before it throws that it cannot allocate a buffer. */
function collectGarbage(): void {
  try {
    new ArrayBuffer(IMPOSSIBLE_LENGTH);
  } catch {
    // As expected.
  }
}
