/**
 * libc: files mapped by mmap(2) on Linux, macOS, FreeBSD and the other BSDs.
 *
 * @module
 */

import { closeSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { type GuardedRange, guardRange } from "./guard.ts";
import {
  errno,
  lastError,
  libc,
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MAP_FAILED,
  MAP_PRIVATE,
  MAP_SHARED,
  memmem,
  pageSize,
  platform,
  PROT_READ,
  PROT_WRITE,
  SEEK_CUR,
  SEEK_END,
  systemError,
} from "./libc.ts";
import { copyLarge } from "./large_copy.ts";
import type { Backend, Mapping, MappingOptions } from "./mapping.ts";
import { openPosix, openPosixSync, type PosixFile } from "./posix_file.ts";
import type { Memmem } from "./search.ts";
import type { Advice } from "./types.ts";

/** Files mapped by the C library, or `undefined` on a system whose constants are not known. */
export const posix: Backend<PosixFile> | undefined = platform && {
  name: "posix",
  prepare: () => void libc(),
  openSync: openPosixSync,
  open: openPosix,
  regularSize: (file) => file.regularSize(),
  reserveSync: (file, size) => file.reserveSync(size),
  reserve: (file, size) => file.reserve(size),
  mapping: (file, options) => new PosixMapping(file.fd, options),
};

/** What is to be given back when the memory is let go, or found forgotten. */
interface Lease {
  readonly fd: number;
  readonly address: bigint;
  readonly length: bigint;
  /** Stands from the first buffer on: without one nothing touches the memory. */
  guard: GuardedRange | null;
  /** The buffers over the memory that somebody may still reach. */
  buffers: number;
}

class PosixMapping implements Mapping {
  start = 0;
  readonly sharesPages: boolean;
  readonly memmem: Memmem = memmem;
  readonly copyLarge = copyLarge;
  readonly syncFindsMemory: boolean = platform!.fsyncWritesMemory;

  readonly #fd: number;
  readonly #options: MappingOptions;
  #lease: Lease | null = null;
  /** Held while the memory has no buffer. */
  #watch: Watch | null = null;
  #buffer: ArrayBuffer = UNMAPPED;
  #exposed: ArrayBuffer = UNMAPPED;
  /** The descriptor's own offset, -1 while it is not known. */
  #descriptorAt = -1;
  #length = 0;
  #bigLength = 0n;

  constructor(fd: number, options: MappingOptions) {
    this.#fd = fd;
    this.#options = options;
    this.sharesPages = options.write && platform!.unifiedCache;
  }

  get buffer(): ArrayBuffer {
    const lease = this.#lease;
    if (this.#buffer === UNMAPPED && lease !== null && lease.length !== 0n) {
      const length = Number(lease.length);
      this.#buffer = this.#wrap(lease, length);
      if (!this.#options.grow) this.#exposed = this.#buffer;
      if (this.#options.guard) lease.guard = guardRange(lease.address, length);
    }
    return this.#buffer;
  }

  get faults(): Int32Array {
    return this.#lease?.guard?.faults ?? NO_FAULTS;
  }

  get guarded(): boolean {
    return this.buffer !== UNMAPPED && this.faults !== NO_FAULTS;
  }

  get moved(): boolean {
    return this.#exposed.detached;
  }

  map(size: number): void {
    const { offset } = this.#options;
    // mmap(2) wants an offset in whole pages; the window begins somewhere in the first.
    const start = offset === 0 || size === 0 ? 0 : offset % pageSize();
    const lease = size === 0 ? this.#nothing() : this.#pages(start, size);
    this.unmap();
    this.#lease = lease;
    this.#watch = watch(lease);
    this.start = start;
    const { advice } = this.#options;
    if (advice !== "normal") this.advise(advice, 0, size);
  }

  expose(size: number): ArrayBuffer {
    if (this.#lease === null) this.map(size);
    const { buffer } = this;
    const length = this.start + size;
    if (this.#exposed.byteLength !== length || this.#exposed === UNMAPPED) {
      const exposed = this.#wrap(this.#lease!, length);
      if (this.#exposed !== buffer) detach(this.#exposed);
      this.#exposed = exposed;
    }
    return this.#exposed;
  }

  holds(buffer: ArrayBufferLike): boolean {
    return buffer === this.#buffer || buffer === this.#exposed;
  }

  unmap(): void {
    const lease = this.#lease;
    if (lease === null) return;
    const { moved } = this;
    const buffer = this.#buffer;
    const exposed = this.#exposed;
    this.#lease = null;
    this.#buffer = this.#exposed = UNMAPPED;
    this.#unwatch();
    if (lease.buffers > 0) forgotten.unregister(lease);
    // SAFETY: a detached buffer has views of length 0 only, so nothing reaches the memory any more;
    // but what the user has moved away is theirs, and the memory stays.
    if (buffer !== exposed) detach(buffer);
    if (moved) return;
    detach(exposed);
    giveBack(lease);
  }

  fileSize(): number {
    const end = Number(libc().lseek(this.#fd, 0n, SEEK_END));
    if (end < 0) throw lastError("measure", this.#options.name, "lseek");
    this.#descriptorAt = end;
    return Math.max(0, end - this.#options.offset);
  }

  awaitTruncation(): void {
    // A write of nothing takes the lock that a truncation holds. The size is told without it.
    libc().pwrite(this.#fd, NOTHING, 0n, 0n);
  }

  write(source: Uint8Array, position: number): void {
    const { pwrite, write } = libc();
    const end = this.#options.offset + position + source.length;
    let rest = source;
    for (;;) {
      const { length } = rest;
      const at = end - length;
      // One record behind the other needs no offset, nor the time to make a BigInt of it.
      const isNext = at === this.#descriptorAt;
      const written = Number(
        isNext
          ? write(this.#fd, rest, this.#count(length))
          : pwrite(this.#fd, rest, this.#count(length), BigInt(at)),
      );
      if (isNext && written > 0) this.#descriptorAt += written;
      if (written === length) return;
      rest = this.#rest(source, rest, written);
    }
  }

  append(source: Uint8Array): void {
    const { write } = libc();
    let rest = source;
    for (;;) {
      const { length } = rest;
      const written = Number(write(this.#fd, rest, this.#count(length)));
      if (written === length) return;
      rest = this.#rest(source, rest, written);
    }
  }

  appendedTo(): number {
    // O_APPEND leaves the descriptor's offset behind what was written.
    return Number(libc().lseek(this.#fd, 0n, SEEK_CUR));
  }

  flushSync(position: number, length: number): void {
    if (this.#lease === null || !this.#options.write) return;
    const [address, bytes] = this.#pagesOf(this.#lease, position, length);
    if (libc().msync(address, bytes, platform!.MS_SYNC) !== 0) {
      throw lastError("flush", this.#options.name, "msync");
    }
  }

  async flush(position: number, length: number): Promise<void> {
    const lease = this.#lease;
    if (lease === null || !this.#options.write) return;
    const [address, bytes] = this.#pagesOf(lease, position, length);
    const { msyncAsync } = libc();
    if (await msyncAsync(address, bytes, platform!.MS_SYNC) === 0) return;
    // Unmapped meanwhile: the pages are the file's own, and the next sync writes them.
    if (this.#lease !== lease) return;
    // A nonblocking call cannot report errno. The same call, made again, can, but for a failed
    // write to the disk, which the system reports once.
    this.flushSync(position, length);
    throw systemError(E.EIO, "flush", this.#options.name, "msync");
  }

  prefetchSync(position: number, length: number): void {
    if (this.#lease === null) return;
    const [address, bytes] = this.#pagesOf(this.#lease, position, length);
    const { madvise } = libc();
    const { MADV_POPULATE_READ } = platform!;
    if (
      MADV_POPULATE_READ === 0 ||
      madvise(address, bytes, MADV_POPULATE_READ) !== 0
    ) madvise(address, bytes, MADV_WILLNEED);
  }

  async prefetch(position: number, length: number): Promise<void> {
    const lease = this.#lease;
    const { madviseAsync } = libc();
    const end = position + length;
    // In pieces, so that a close need not wait for the whole, and stops the rest.
    for (
      let at = position;
      at < end && lease !== null && this.#lease === lease;
      at += PREFETCH_PIECE
    ) {
      const [address, bytes] = this.#pagesOf(
        lease,
        at,
        Math.min(PREFETCH_PIECE, end - at),
      );
      const { MADV_POPULATE_READ } = platform!;
      if (
        MADV_POPULATE_READ === 0 ||
        await madviseAsync(address, bytes, MADV_POPULATE_READ) !== 0
      ) await madviseAsync(address, bytes, MADV_WILLNEED);
    }
  }

  advise(advice: Advice, position: number, length: number): void {
    if (this.#lease === null) return;
    const [address, bytes] = this.#pagesOf(this.#lease, position, length);
    libc().madvise(address, bytes, ADVICE[advice]);
  }

  get fd(): number {
    return this.#fd;
  }

  loadInt32(position: number): number | undefined {
    // Not from memory, which faults when others truncate the file.
    const at = BigInt(this.#options.offset + position);
    const read = libc().pread(this.#fd, WORD, 4n, at);
    if (read === 4n) return WORD[0];
    if (read < 0n) throw lastError("wait on", this.#options.name, "pread");
  }

  /** A buffer over the first `length` bytes of what is leased. From now on who has it has the memory. */
  #wrap(lease: Lease, length: number): ArrayBuffer {
    const buffer = length === 0 ? new ArrayBuffer(0) : Deno.UnsafePointerView
      // SAFETY: the memory stays until `unmap`, which detaches every buffer over it first, or until
      // the last of them is garbage.
      .getArrayBuffer(Deno.UnsafePointer.create(lease.address)!, length);
    lease.buffers++;
    forgotten.register(buffer, lease, lease);
    this.#unwatch();
    return buffer;
  }

  #unwatch(): void {
    if (this.#watch === null) return;
    this.#watch.watched.lease = null;
    idle.push(this.#watch);
    this.#watch = null;
  }

  /** An empty file has no pages, and mmap(2) refuses a length of 0. */
  #nothing(): Lease {
    return { fd: this.#fd, address: 0n, length: 0n, guard: null, buffers: 0 };
  }

  #pages(start: number, size: number): Lease {
    const { offset, grow } = this.#options;
    // Addresses past the end of the file cost nothing, and are there when it grows.
    const room = grow ? size + GROWTH_ROOM : 0;
    const byteLength = start + size + room;
    const length = BigInt(byteLength);
    const address = this.#mmap(length, BigInt(offset - start));
    return {
      fd: this.#fd,
      address,
      length,
      guard: null,
      buffers: 0,
    };
  }

  #mmap(length: bigint, offset: bigint): bigint {
    const { mmap } = libc();
    const { write, copyOnWrite } = this.#options;
    const { MAP_NORESERVE, privateFollowsFile } = platform!;
    // A private mapping takes a stray write without harm to the file, and until then shows what
    // others write to it. Where it would be a snapshot only a mapping without write access will do.
    const isPrivate = copyOnWrite || (!write && privateFollowsFile);
    let address = mmap(
      0n,
      length,
      write || isPrivate ? PROT_READ | PROT_WRITE : PROT_READ,
      isPrivate ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED,
      this.#fd,
      offset,
    );
    if (address === MAP_FAILED && !write && !copyOnWrite) {
      // Under strict overcommit memory that could be written is counted as if it were.
      address = mmap(0n, length, PROT_READ, MAP_SHARED, this.#fd, offset);
    }
    if (address === MAP_FAILED) {
      throw lastError("map", this.#options.name, "mmap");
    }
    return address;
  }

  /** The whole pages that hold a range: msync(2) and madvise(2) want an address at a page's start. */
  #pagesOf(lease: Lease, position: number, length: number): [bigint, bigint] {
    const first = this.start + position;
    const lead = first % pageSize();
    return [lease.address + BigInt(first - lead), BigInt(length + lead)];
  }

  /** A length as FFI wants it: records are often of one length, and a BigInt takes time to make. */
  #count(length: number): bigint {
    if (length !== this.#length) {
      this.#length = length;
      this.#bigLength = BigInt(length);
    }
    return this.#bigLength;
  }

  /** What is still to be written after a call that wrote less than it was given. */
  #rest(source: Uint8Array, rest: Uint8Array, written: number): Uint8Array {
    if (written > 0) return rest.subarray(written);
    const number = written === 0 ? E.ENOSPC : errno();
    if (number === E.EINTR) return rest;
    throw systemError(
      number,
      "write",
      this.#options.name,
      "write",
      source.length - rest.length,
    );
  }
}

const E = osConstants.errno;
const NO_FAULTS = new Int32Array(1);
const UNMAPPED = new ArrayBuffer(0);
const NOTHING = new Uint8Array(0);
const WORD = new Int32Array(1);

/** Bytes of addresses kept free behind a file that may grow, beside as many again as it has. */
const GROWTH_ROOM = 1 << 20;

/** Bytes brought in by one call: a fraction of a second's work on a slow disk. */
const PREFETCH_PIECE = 16 << 20;

const ADVICE: Record<Advice, number> = {
  normal: MADV_NORMAL,
  sequential: MADV_SEQUENTIAL,
  random: MADV_RANDOM,
};

/**
 * Memory that nobody can reach any more: the file was dropped without a close, and so was every
 * view. The buffers decide, not the file, so that a kept view keeps its memory.
 */
const forgotten = new FinalizationRegistry<Lease>((lease) => {
  if (--lease.buffers === 0) letGo(lease);
});

/** Stands for memory that has no buffer yet: garbage when the file is. */
interface Watch {
  readonly watched: Watched;
}

interface Watched {
  lease: Lease | null;
}

const lost = new FinalizationRegistry<Watched>(({ lease }) => {
  if (lease !== null) letGo(lease);
});

/** Watches that are used again: to register one and take it back takes 0.3 µs of an open and close. */
const idle: Watch[] = [];

function watch(lease: Lease): Watch {
  const watch = idle.pop() ?? newWatch();
  watch.watched.lease = lease;
  return watch;
}

function newWatch(): Watch {
  const watch = { watched: { lease: null } };
  lost.register(watch, watch.watched);
  return watch;
}

/** Gives back all that a file has which nobody can reach any more. */
function letGo(lease: Lease): void {
  giveBack(lease);
  closeSync(lease.fd);
}

/** Leaves every view of a buffer empty. */
function detach(buffer: ArrayBuffer): void {
  if (buffer !== UNMAPPED && !buffer.detached) buffer.transfer(0);
}

function giveBack(lease: Lease): void {
  if (lease.length === 0n) return;
  // First, or the slot would stand over what is mapped here next.
  lease.guard?.release();
  libc().munmap(lease.address, lease.length);
}
