/**
 * Pages of a file in memory: what owns the memory, and when its addresses may be used again.
 *
 * Memory that only this module copies from and to is a plain mapping, unmapped at once. Memory that
 * is handed out may still be in use when its file is closed: by a view, a worker, or a native operation
 * of Deno. So the engine owns it: the pages are mapped over those of a `WebAssembly.Memory`, and
 * the engine unmaps them when nothing can reach them. Where it cannot own them, they are
 * unmapped, and their addresses are kept from reuse for a while.
 *
 * @module
 */

import { type GuardedRange, guardRange } from "../sigbus/guard.ts";
import {
  addressOf,
  lastError,
  libc,
  MADV_DONTNEED,
  MAP_FAILED,
  MAP_FIXED,
  MAP_PRIVATE,
  MAP_SHARED,
  pageSize,
  platform,
  PROT_READ,
  PROT_WRITE,
} from "./libc.ts";
import {
  type FileIdentity,
  keepReleased,
  type ReleasedMemory,
  takeReleased,
} from "./released_memory.ts";

/** The file to map, and how. */
export interface PageSource extends FileIdentity {
  readonly fd: number;
  /** The path as it was passed to `open`, for messages. */
  readonly name: string;
  /** Whether writes through memory reach the file. */
  readonly write: boolean;
  /** Whether writes through memory stay in this process. */
  readonly copyOnWrite: boolean;
  /** Whether the memory is guarded against truncation by others. */
  readonly guard: boolean;
}

/** A range of a file in memory. Its first byte lies at the start of a page. */
export interface Pages {
  /** All of the memory. Bytes beyond `length` do not show the file. */
  readonly buffer: ArrayBufferLike;
  readonly address: bigint;
  /** Where in the file the memory begins. */
  readonly offset: number;
  /** Bytes of memory that show the file. */
  readonly length: number;
  /** Whether users may have views of it. */
  readonly isHandedOut: boolean;
  /** Element 0 counts the page faults that were handled; always 0 without a guard. */
  readonly faults: Int32Array;
  /** Whether something was written to the zeros that a fault has put in place of the file's pages. */
  readonly hasLostChanges: boolean;
  /** Makes the first `length` bytes show the file. Returns `false` if the memory is too short. */
  extend(length: number): boolean;
  /** Maps the file's pages again, all or the first `length` bytes. Returns `false` if the system refuses. */
  remap(length: number): boolean;
  /**
   * Empties every view, where the engine can. Pages that were handed out stay mapped while they are in use. They may
   * be used again by the next open of the file if `isReusable`.
   */
  release(isReusable?: boolean): void;
  /** Puts zeros in place of the pages beyond the first `length` bytes, which the file is about to lose. */
  clear(length: number): void;
  /** Keeps the memory mapped until a native call has ended. */
  whileMapped<T>(call: () => Promise<T>): Promise<T>;
}

/** Bytes of a page of WebAssembly. */
const WASM_PAGE = 64 << 10;

/** Pages that a memory with 32-bit addresses can have: 4 GiB. */
const MAX_PAGES_32 = 1 << 16;

/** Pages that V8 allows a memory with 64-bit addresses: 16 GiB. */
const MAX_PAGES_64 = 1 << 18;

/** Bytes of the largest memory that the engine can own. */
export const MAX_OWNED = MAX_PAGES_64 * WASM_PAGE;

/** Memories after which the engine is made to collect garbage. Each has two or three mappings. */
const MEMORIES_TO_COLLECT = 2000;

/** How many address ranges, and how many bytes of them, are kept from reuse at most. */
const MAX_KEPT_RANGES = 1024;
const MAX_KEPT_BYTES = 2 ** 44;

/** The faults of memory without a guard. */
export const NO_FAULTS: Int32Array = new Int32Array(1);

/** Pages of a file, mapped over memory that V8 owns. */
export class OwnedPages implements Pages {
  readonly offset: number;
  readonly address: bigint;
  readonly isHandedOut = true;
  readonly #memory: WebAssembly.Memory;
  readonly #source: PageSource;
  readonly #isShared: boolean;
  #buffer: ArrayBufferLike;
  #length = 0;
  #guard: GuardedRange | null = null;
  /** Whether pages of the file were replaced. */
  #isReplaced = false;

  /**
   * Maps `length` bytes of a file, with room for `capacity`. `undefined` where the engine has no
   * memory of that size, or the system refuses to map the file there.
   */
  static map(
    source: PageSource,
    offset: number,
    length: number,
    capacity: number,
    isShared: boolean,
  ): OwnedPages | undefined {
    const memory = newMemory(capacity, isShared) ??
      newMemory(length, isShared);
    if (memory === undefined) return undefined;
    const address = addressOf(new Uint8Array(memory.buffer));
    const pages = new OwnedPages(memory, address, source, offset, isShared);
    if (!pages.extend(length)) return undefined;
    pages.#protect();
    return pages;
  }

  /** Memory of the same file, closed before, of which the range fits. */
  static reuse(
    source: PageSource,
    fits: (range: { offset: number; length: number }) => boolean,
  ): OwnedPages | undefined {
    const released = takeReleased(
      source,
      (memory) =>
        memory.write === source.write && memory.isGuarded === source.guard &&
        fits(memory),
    );
    if (released === undefined || !isIntact(released)) return undefined;
    const { memory, address } = released;
    const pages = new OwnedPages(memory, address, source, released.offset);
    pages.#length = released.length;
    pages.#guard = released.guard;
    return pages;
  }

  private constructor(
    memory: WebAssembly.Memory,
    address: bigint,
    source: PageSource,
    offset: number,
    isShared = false,
  ) {
    this.#memory = memory;
    this.#buffer = memory.buffer;
    this.#source = source;
    this.#isShared = isShared;
    this.offset = offset;
    this.address = address;
  }

  get buffer(): ArrayBufferLike {
    return this.#buffer;
  }

  get byteLength(): number {
    return this.#buffer.byteLength;
  }

  get length(): number {
    return this.#length;
  }

  get faults(): Int32Array {
    return this.#guard?.faults ?? NO_FAULTS;
  }

  get hasLostChanges(): boolean {
    return hasLostChanges(this, this.#guard);
  }

  extend(length: number): boolean {
    if (length > this.#buffer.byteLength && !this.#grow(length)) return false;
    const page = pageSize();
    // The whole last page shows the file, so that it need not be mapped again while the file grows within it.
    const first = Math.ceil(this.#length / page) * page;
    if (first < length && !this.#mapFile(first, length - first)) return false;
    this.#length = length;
    return true;
  }

  clear(length: number): void {
    const page = pageSize();
    const first = Math.ceil(length / page) * page;
    const end = Math.ceil(this.#length / page) * page;
    if (first < end) mapZeros(this, first, end - first);
    this.#length = Math.min(this.#length, length);
    this.#isReplaced = true;
  }

  remap(length: number): boolean {
    this.clear(length);
    // Other threads may use the memory, so it stays guarded.
    const map = () => {
      this.#length = 0;
      return this.extend(length);
    };
    return this.#guard?.remap(map) ?? map();
  }

  /** Deno itself keeps the memory of a buffer alive during a native call. */
  whileMapped<T>(call: () => Promise<T>): Promise<T> {
    return call();
  }

  release(isReusable = false): void {
    // Views of shared memory cannot be emptied: other threads may be using them.
    if (this.#isShared) return;
    grow(this.#memory, 0);
    const { device, inode, write, copyOnWrite, guard } = this.#source;
    if (!isReusable || this.#isReplaced || copyOnWrite || device === 0) return;
    keepReleased({
      device,
      inode,
      write,
      isGuarded: guard,
      memory: this.#memory,
      address: this.address,
      guard: this.#guard,
      offset: this.offset,
      length: this.#length,
    });
  }

  #grow(length: number): boolean {
    // A memory that is not shared would empty its views.
    if (!this.#isShared) return false;
    const missing = length - this.#buffer.byteLength;
    try {
      grow(this.#memory, Math.ceil(missing / WASM_PAGE));
    } catch {
      return false;
    }
    this.#buffer = this.#memory.buffer;
    this.#guard?.extend(this.#buffer.byteLength);
    return true;
  }

  #mapFile(at: number, length: number): boolean {
    const { fd } = this.#source;
    const { protection, flags } = protectionOf(this.#source);
    // SAFETY: pages that are handed out are not replaced by others: `extend` goes on where the file's
    // pages end, and `remap` maps the same pages of the same file.
    return mapFixed(this, at, length, protection, flags, fd, this.offset + at);
  }

  #protect(): void {
    if (!this.#source.guard) return;
    // Never released: the memory may be in use after its file is closed, and V8 does not report when it
    // unmaps it. The guard finds that out.
    this.#guard = guardRange(this.address, this.#buffer.byteLength);
  }
}

/** Whether memory shows the file and nothing else. Drops stray writes to a private mapping. */
function isIntact({ address, length, guard, write }: ReleasedMemory): boolean {
  if (guard !== null && guard.faults[0] !== 0) return false;
  return write || libc().madvise(address, BigInt(length), MADV_DONTNEED) === 0;
}

/** A mapping that the engine does not own. */
export class PlainPages implements Pages {
  readonly offset: number;
  readonly address: bigint;
  readonly buffer: ArrayBuffer;
  readonly length: number;
  readonly #source: PageSource;
  #guard: GuardedRange | null;
  #isHandedOut = false;
  #isReleased = false;
  /** Native calls in progress that use the memory. */
  #uses = 0;

  /** Maps `length` bytes from `offset` on, a multiple of a page; they may reach past the end of the file. */
  constructor(source: PageSource, offset: number, length: number) {
    this.#source = source;
    this.offset = offset;
    this.length = length;
    this.address = map(source, offset, length);
    // SAFETY: the memory stays mapped until `release`, which detaches the buffer first, or until the
    // buffer has been garbage-collected.
    this.buffer = Deno.UnsafePointerView.getArrayBuffer(
      Deno.UnsafePointer.create(this.address)!,
      length,
    );
    this.#guard = source.guard ? guardRange(this.address, length) : null;
  }

  get isHandedOut(): boolean {
    return this.#isHandedOut;
  }

  get faults(): Int32Array {
    return this.#guard?.faults ?? NO_FAULTS;
  }

  get hasLostChanges(): boolean {
    const isHandedOut = this.#isHandedOut && !this.buffer.detached;
    return isHandedOut && hasLostChanges(this, this.#guard);
  }

  /** Records that users get views. After the memory was unmapped, its addresses are kept from reuse. */
  handOut(): void {
    if (this.#isHandedOut) return;
    this.#isHandedOut = true;
    const { address, length } = this;
    droppedMemory.register(this.buffer, { address, length }, this);
  }

  extend(length: number): boolean {
    return length <= this.length;
  }

  remap(): boolean {
    const { address, length } = this;
    const page = pageSize();
    const byteLength = Math.ceil(length / page) * page;
    const { protection, flags } = protectionOf(this.#source);
    // SAFETY: the same pages of the same file as before.
    const map = () =>
      mapFixed(
        { address, byteLength },
        0,
        length,
        protection,
        flags,
        this.#source.fd,
        this.offset,
      );
    return this.#guard?.remap(map) ?? map();
  }

  clear(): void {}

  async whileMapped<T>(call: () => Promise<T>): Promise<T> {
    this.#uses++;
    try {
      return await call();
    } finally {
      this.#uses--;
      if (this.#isReleased) this.#unmapUnused();
    }
  }

  release(): void {
    // The user has transferred the buffer, so the memory stays mapped.
    if (this.#isReleased || this.buffer.detached) return;
    this.#isReleased = true;
    this.buffer.transfer(0);
    this.#unmapUnused();
  }

  #unmapUnused(): void {
    if (this.#uses > 0) return;
    // First: the slot would cover what is mapped here next.
    this.#guard?.release();
    if (this.#isHandedOut) {
      droppedMemory.unregister(this);
      keepFromReuse(this.address, this.length);
    } else unmap(this.address, this.length, this.#source.name);
  }
}

/** Whether anything but zeros is where zeros are mapped in place of the file's pages. */
function hasLostChanges(pages: Pages, guard: GuardedRange | null): boolean {
  if (guard === null || guard.faults[0] === 0) return false;
  const { buffer, length } = pages;
  const first = guard.zerosAt;
  if (first >= length) return false;
  const bytes = length - first;
  const words = new Int32Array(buffer, first, Math.floor(bytes / 4));
  const rest = new Uint8Array(buffer, first + words.byteLength, bytes % 4);
  return words.some((word) => word !== 0) || rest.some((byte) => byte !== 0);
}

function unmap(address: bigint, length: number, name: string): void {
  const { munmap } = libc();
  for (const page of [1, ...HUGE_PAGES]) {
    const bytes = BigInt(Math.ceil(length / page) * page);
    if (munmap(address, bytes) === 0) return;
  }
  throw lastError("unmap", name, "munmap");
}

/**
 * Of a file on hugetlbfs munmap(2) takes whole huge pages only (EINVAL), where mmap(2) has rounded the
 * length up by itself: 2 MiB and 1 GiB on x86-64 and arm64.
 */
const HUGE_PAGES = [2 << 20, 1 << 30];

/** Memory that the engine does not own, whose buffers have been garbage-collected. */
const droppedMemory = new FinalizationRegistry<
  { address: bigint; length: number }
>(({ address, length }) => keepFromReuse(address, length));

/** Address ranges kept from reuse, the oldest first. */
const kept: { address: bigint; byteLength: number }[] = [];
let keptBytes = 0;

/**
 * Puts zeros in place of the file's pages. A native operation that still uses them reads zeros, and
 * its writes go nowhere; nothing else is mapped here while the range is kept.
 */
function keepFromReuse(address: bigint, length: number): void {
  const page = pageSize();
  const byteLength = Math.ceil(length / page) * page;
  const range = { address, byteLength };
  mapZeros(range, 0, byteLength);
  kept.push(range);
  keptBytes += byteLength;
  while (kept.length > MAX_KEPT_RANGES || keptBytes > MAX_KEPT_BYTES) {
    const { address, byteLength } = kept.shift()!;
    keptBytes -= byteLength;
    libc().munmap(address, BigInt(byteLength));
  }
}

function newMemory(
  byteLength: number,
  shared: boolean,
): WebAssembly.Memory | undefined {
  if (byteLength > MAX_OWNED || typeof WebAssembly === "undefined") {
    return undefined;
  }
  const initial = Math.max(1, Math.ceil(byteLength / WASM_PAGE));
  if (++memories % MEMORIES_TO_COLLECT === 0) collectGarbage();
  try {
    if (initial <= MAX_PAGES_32) {
      // V8 reserves addresses for all pages that a memory may have. Only shared memory grows.
      const maximum = shared ? MAX_PAGES_32 : initial;
      return new WebAssembly.Memory({ initial, maximum, shared });
    }
    return new WebAssembly.Memory({
      address: "i64",
      initial: BigInt(initial),
      maximum: BigInt(shared ? MAX_PAGES_64 : initial),
      shared,
      // TypeScript's types do not have 64-bit memory.
    } as unknown as WebAssembly.MemoryDescriptor);
  } catch {
    // V8 has tried to free memory first: there are no addresses left, or a limit is set for the process.
    return undefined;
  }
}

/** Memories made in this isolate. */
let memories = 0;

/**
 * Makes V8 collect garbage, by a request for 4 GiB. V8 counts the bytes of its memories, not their mappings, of
 * which Linux allows a process 65,530.
 */
function collectGarbage(): void {
  try {
    new WebAssembly.Memory({ initial: MAX_PAGES_32 });
  } catch {
    // It collects garbage before it refuses, too.
  }
}

/** Adds pages to a memory, 0 of them to detach its buffer. */
function grow(memory: WebAssembly.Memory, pages: number): void {
  try {
    memory.grow(pages);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // With 64-bit addresses the number must be a BigInt, which TypeScript's types do not have.
    memory.grow(BigInt(pages) as unknown as number);
  }
}

/** The protection and flags that mmap(2) gets for a file. */
function protectionOf(
  source: PageSource,
): { protection: number; flags: number } {
  const { write, copyOnWrite } = source;
  const { MAP_NORESERVE, privateFollowsFile } = platform!;
  // A stray write to a private mapping does not change the file, and until then the mapping shows what
  // others write. On systems where it would be a snapshot, the mapping is shared, without write access.
  const isPrivate = copyOnWrite || (!write && privateFollowsFile);
  return {
    protection: write || isPrivate ? PROT_READ | PROT_WRITE : PROT_READ,
    flags: isPrivate ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED,
  };
}

function map(source: PageSource, offset: number, length: number): bigint {
  const { mmap } = libc();
  const { fd, name, write, copyOnWrite } = source;
  const { protection, flags } = protectionOf(source);
  const [size, at] = [BigInt(length), BigInt(offset)];
  let address = mmap(0n, size, protection, flags, fd, at);
  if (address === MAP_FAILED && !write && !copyOnWrite) {
    // Under strict overcommit and RLIMIT_DATA, writable private memory counts as used.
    address = mmap(0n, size, PROT_READ, MAP_SHARED, fd, at);
  }
  if (address === MAP_FAILED) throw lastError("map", name, "mmap");
  return address;
}

/** Puts zeros in place of whole pages. Returns `false` if the system refuses. */
function mapZeros(range: AddressRange, at: number, length: number): boolean {
  const { MAP_ANONYMOUS, MAP_NORESERVE } = platform!;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  return mapFixed(range, at, length, PROT_READ | PROT_WRITE, flags, -1, 0);
}

/** Memory of this process over which only this module maps anything. */
export interface AddressRange {
  readonly address: bigint;
  readonly byteLength: number;
}

/**
 * Maps over memory that is ours already. Returns `false` if the system refuses. The only call with MAP_FIXED, which
 * silently replaces whatever is mapped at a wrong address.
 */
export function mapFixed(
  range: AddressRange,
  at: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
): boolean {
  const page = pageSize();
  const end = Math.ceil((at + length) / page) * page;
  if (
    !(at >= 0 && length > 0 && end <= range.byteLength) ||
    at % page !== 0 || offset % page !== 0 ||
    range.address % BigInt(page) !== 0n
  ) {
    throw new RangeError(
      `Cannot map ${length} bytes at ${at}: not whole pages of the ${range.byteLength} bytes of memory`,
    );
  }
  const address = range.address + BigInt(at);
  // SAFETY: whole pages within the range, as just checked.
  return libc().mmap(
    address,
    BigInt(length),
    protection,
    flags | MAP_FIXED,
    fd,
    BigInt(offset),
  ) === address;
}
