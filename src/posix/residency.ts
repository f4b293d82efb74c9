/**
 * Which parts of a file are in memory: those that a call may touch on the event loop without a wait for the disk.
 *
 * cachestat(2), of Linux 6.5, counts the pages of a range that are in the page cache: 1 µs for 1 MiB. It also
 * counts pages that are still being read from the disk. So where a part of 1 MiB is missing, and such reads are
 * likely, a preadv2(2) with RWF_NOWAIT confirms the last page of a range. Where cachestat(2) is missing or not
 * permitted, such a preadv2(2) of the whole range has to do. Where both are missing, all of a file counts as in
 * memory.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { onClockRead } from "../event_loop.ts";
import { byteLength, set } from "../intrinsics.ts";
import {
  addressOf,
  errno,
  libc,
  pageSize,
  platform,
  RWF_NOWAIT,
} from "./libc.ts";
import type { Residency } from "../storage.ts";

/** Bytes of one question to the system. */
const BLOCK = 1 << 20;

/** Milliseconds after which answers expire, and as many more for each question, so that questions take a fiftieth of the time. */
const LIFETIME = 1000;
const LIFETIME_OF_QUESTION = 0.02;

/** What is known about the pages of one file in the page cache. */
export class CachedPages implements Residency {
  isWhole = false;
  /** Whether reads with RWF_NOWAIT work on the file's filesystem, as far as is known. */
  hasNowait = true;

  /** Whether the system was asked about the file. */
  #isAsked = false;
  /** Whether something was missing. */
  #hasMissed = false;
  /** Whether a read that has failed is likely to succeed now: of holes, there is nothing to wait for. */
  #isFilledAtOnce = true;
  readonly #fd: number;
  /** Where in the file position 0 is. */
  readonly #offset: number;
  /**
   * Whether cachestat(2) counts the pages of this file; `undefined` until it was tried. On overlayfs another file
   * has them, and files of /sys do not have any.
   */
  #isCounted: boolean | undefined;
  /** For each block that was queried: which of its pages are known to be in memory, or `null` if all are. */
  #blocks: Map<number, Uint8Array | null> | null = null;
  /** The number of blocks whose pages are all in memory. */
  #wholeBlocks = 0;
  /** The last range of adjacent blocks that were found to be so. */
  #from = 0;
  #to = 0;

  /** `undefined` if the system has no such calls. */
  static of(fd: number, offset: number): CachedPages | undefined {
    const isTold = RWF_NOWAIT !== 0 && libc().preadv2 !== null;
    return isTold ? new CachedPages(fd, offset) : undefined;
  }

  constructor(fd: number, offset: number) {
    this.#fd = fd;
    this.#offset = offset;
  }

  has(position: number, length: number, size: number): boolean {
    const from = this.#offset + position;
    const to = from + length;
    if (this.isWhole || from >= this.#from && to <= this.#to) return true;
    return this.#ask(from, to, this.#offset + size, true);
  }

  /**
   * Makes the read itself instead of a question: `takeReadAhead` returns its result. It does so for long reads, for
   * the first short one, because most files are read once, and for those that are likely to fail: then the system has
   * begun to read from the disk.
   */
  readAhead(target: Uint8Array, position: number, size: number): boolean {
    const length = byteLength.call(target);
    const isShort = length <= SCRATCH.length;
    const isLikelyToFail = isShort && this.#hasMissed;
    const asks = isShort ? this.#isAsked && !isLikelyToFail : this.#hasMissed;
    if (this.isWhole || asks) {
      return this.has(position, length, size);
    }
    this.#isAsked = true;
    const from = this.#offset + position;
    if (
      isLikelyToFail &&
      this.#ask(from, from + length, this.#offset + size, false)
    ) return true;
    const end = Math.min(from + length, this.#offset + size);
    let read = this.#readNow(target, from, length);
    if (read < 0 && errno() !== osConstants.errno.EAGAIN) return true;
    // If it is short, the rest is not in memory, or the file was truncated.
    let isRead = from + read >= end;
    if (!isRead && isShort && this.#isFilledAtOnce) {
      read = this.#readNow(target, from, length);
      isRead = this.#isFilledAtOnce = from + read >= end;
    }
    lastRead.file = this;
    lastRead.from = from;
    lastRead.length = length;
    lastRead.result = isRead ? read : -1;
    // A long read that fails takes time, too.
    if (!isRead) this.#hasMissed = true;
    else if (isLikelyToFail) this.add(position, read);
    return isRead;
  }

  /**
   * Copies to `target` what `readAhead` has just read. Returns the number of bytes, or -1 if that was another range, or
   * anything else was done since.
   */
  takeReadAhead(target: Uint8Array, length: number, position: number): number {
    const read = lastRead.result;
    if (read < 0 || !this.#dropIfSame(length, position)) return -1;
    copyScratch(target, length, read);
    return read;
  }

  /**
   * Reads all of a range if it is in memory. Returns whether it was. If not, the system has begun to read the rest from
   * the disk. It is not tried again if `readAhead` has just done so.
   */
  readNow(target: Uint8Array, position: number): boolean {
    const { length } = target;
    if (length === 0) return true;
    if (this.#dropIfSame(length, position)) return false;
    const read = this.#readNow(target, this.#offset + position, length);
    if (read < 0) this.hasNowait = errno() === osConstants.errno.EAGAIN;
    if (read !== length) return false;
    copyScratch(target, length, read);
    return true;
  }

  /** Drops the last read of `readAhead`. Returns whether it was of this range. */
  #dropIfSame(length: number, position: number): boolean {
    const isSame = lastRead.file === this && lastRead.length === length &&
      lastRead.from === this.#offset + position;
    dropReadAhead();
    return isSame;
  }

  hasEnds(position: number, length: number, size: number): boolean {
    const page = pageSize();
    const end = position + length;
    const isAligned = (at: number) => (this.#offset + at) % page === 0;
    return (isAligned(position) || this.has(position, 1, size)) &&
      (isAligned(end) || end >= size || this.has(end - 1, 1, size));
  }

  add(position: number, length: number): void {
    if (length === 0 || this.isWhole) return;
    const page = pageSize();
    const from = this.#offset + position;
    const to = from + length;
    if (this.#isCounted === undefined) {
      this.#isCounted = this.#isCached(from, to) === true;
    }
    for (let k = Math.floor(from / BLOCK); k * BLOCK < to; k++) {
      const at = Math.max(0, from - k * BLOCK);
      const end = Math.min(BLOCK, to - k * BLOCK);
      const pages = this.#blocks?.get(k);
      pages?.fill(1, Math.floor(at / page), Math.ceil(end / page));
    }
  }

  /** Drops what is known: the system may have evicted pages. */
  reset(): void {
    this.isWhole = this.#hasMissed = false;
    this.#isFilledAtOnce = true;
    this.#blocks = null;
    this.#wholeBlocks = this.#from = this.#to = 0;
  }

  /** Whether a range is in memory. Asks the system about blocks, and about pages if `asksOfPages`. */
  #ask(
    from: number,
    to: number,
    fileEnd: number,
    asksOfPages: boolean,
  ): boolean {
    if (this.#blocks === null) knownFiles.push(this);
    const blocks = this.#blocks ??= new Map();
    for (let k = Math.floor(from / BLOCK); k * BLOCK < to; k++) {
      const start = k * BLOCK;
      let pages = blocks.get(k);
      if (pages === undefined) {
        pages = this.#askOfBlock(start, Math.min(start + BLOCK, fileEnd));
        blocks.set(k, pages);
        if (pages === null) this.#addBlock(start, fileEnd);
      }
      if (pages === null) continue;
      const first = Math.max(from, start);
      const end = Math.min(to, start + BLOCK);
      if (this.#askOfPages(pages, start, first, end, asksOfPages)) continue;
      this.#hasMissed = true;
      return false;
    }
    return true;
  }

  #askOfBlock(from: number, to: number): Uint8Array | null {
    return this.#isCached(from, to) === true
      ? null
      : new Uint8Array(BLOCK / pageSize());
  }

  #askOfPages(
    pages: Uint8Array,
    start: number,
    from: number,
    to: number,
    asksOfPages: boolean,
  ): boolean {
    const page = pageSize();
    const first = Math.floor((from - start) / page);
    const end = Math.ceil((to - start) / page);
    let k = first;
    while (k < end && pages[k] === 1) k++;
    if (k === end) return true;
    if (!asksOfPages) return false;
    from = Math.max(from, start + k * page);
    const isCached = this.#isCached(from, to);
    const isThere = isCached === undefined
      ? this.#isReadable(from, to)
      : isCached && this.#isReadable(to - 1, to);
    if (isThere) pages.fill(1, k, end);
    return isThere;
  }

  #addBlock(start: number, fileEnd: number): void {
    if (start !== this.#to) this.#from = start;
    this.#to = start + BLOCK;
    const first = Math.floor(this.#offset / BLOCK);
    const blocks = Math.ceil(fileEnd / BLOCK) - first;
    this.isWhole = ++this.#wholeBlocks >= blocks;
  }

  /** Whether the page cache has all pages of a range; `undefined` if the system does not tell. */
  #isCached(from: number, to: number): boolean | undefined {
    const { cachestat } = libc();
    const number = platform!.SYS_cachestat;
    if (number === 0 || cachestat === null || this.#isCounted === false) {
      return undefined;
    }
    questions++;
    const page = pageSize();
    const first = from - from % page;
    RANGE.set([first >>> 0, Math.floor(first / 2 ** 32), to - first, 0]);
    if (cachestat(number, this.#fd, RANGE, COUNTS, 0) !== 0) return undefined;
    return COUNTS[0]! >= Math.ceil((to - first) / page);
  }

  /** Whether a range can be read without a wait; true if the system does not tell. */
  #isReadable(from: number, to: number): boolean {
    for (let at = from; at < to;) {
      const length = Math.min(to - at, SCRATCH.length);
      const read = this.#readNow(SCRATCH, at, length);
      // EOPNOTSUPP: the filesystem has no such reads. 0: truncated since.
      if (read <= 0) return read === 0 || errno() !== osConstants.errno.EAGAIN;
      at += read;
    }
    return true;
  }

  /** Reads without a wait. Returns the number of bytes, or -1 and has errno set. */
  #readNow(target: Uint8Array, from: number, length: number): number {
    questions++;
    pointVectorAt(length > SCRATCH.length ? target : SCRATCH);
    LENGTH[0] = length;
    return libc().preadv2!(this.#fd, VECTOR, 1, BigInt(from), RWF_NOWAIT);
  }
}

/** Files about which something is known. */
const knownFiles: CachedPages[] = [];

/** Since when, and how many system calls that took. */
let since = 0;
let questions = 0;

onClockRead((now) => {
  if (now - since < LIFETIME + questions * LIFETIME_OF_QUESTION) return;
  since = now;
  questions = 0;
  vectorTarget = null;
  for (const file of knownFiles) file.reset();
  knownFiles.length = 0;
});

// struct cachestat_range { __u64 off; __u64 len; }, in halves: BigInts take time to make.
const RANGE = new Uint32Array(4);

// struct cachestat { __u64 nr_cache; __u64 nr_dirty; __u64 nr_writeback; __u64 nr_evicted; __u64 nr_recently_evicted; }
const COUNTS = new Uint32Array(10);

// struct iovec { void *iov_base; size_t iov_len; }
const VECTOR = new BigUint64Array(2);
/** `iov_len`, whose upper half stays 0: to make a BigInt takes time. */
const LENGTH = new Uint32Array(VECTOR.buffer, 8, 1);

/** Where short reads go first: a copy takes less time than to get the address of an array. */
const SCRATCH = new Uint8Array(16 << 10);

/** The part that was copied last: consecutive reads often have the same length. */
let copied = SCRATCH;

/** The array whose address is in `VECTOR`: loops use one array for all reads. */
let vectorTarget: Uint8Array | null = null;

function pointVectorAt(target: Uint8Array): void {
  if (target === vectorTarget) return;
  VECTOR[0] = addressOf(target);
  // SAFETY: an array's memory stays where it is, until the array has 0 bytes. V8 moves those of 64 bytes and less.
  vectorTarget = target;
}

/** Copies what a read of `length` bytes has read. */
function copyScratch(target: Uint8Array, length: number, read: number): void {
  if (length > SCRATCH.length) return;
  if (read !== copied.length) copied = SCRATCH.subarray(0, read);
  set.call(target, copied);
}

/** The last read of `readAhead`. One for all files: a read is taken at once, or dropped. */
const lastRead: {
  file: CachedPages | null;
  /** Where in the file it began, and the number of bytes. */
  from: number;
  length: number;
  /** The number of bytes read; -1 if some were not in memory. */
  result: number;
} = { file: null, from: 0, length: 0, result: -1 };

/** Drops the last read of `readAhead`: memory is used instead of the descriptor. */
export function dropReadAhead(): void {
  lastRead.file = null;
  lastRead.result = -1;
}
