/**
 * libc: files mapped by mmap(2) on Linux, macOS, FreeBSD and the other BSDs.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { isInstalled } from "../sigbus/guard.ts";
import {
  errno,
  lastError,
  libc,
  MADV_DONTNEED,
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MAX_TRANSFER,
  memmem,
  pageSize,
  platform,
  SEEK_CUR,
  SEEK_END,
  systemError,
} from "./libc.ts";
import { ColdReads, MAX_RETRIED } from "./cold_reads.ts";
import { copyLarge } from "./non_temporal_copy.ts";
import { byteLengthOf, plainView } from "../intrinsics.ts";
import {
  type Backend,
  type Exposed,
  IN_MEMORY,
  LONG_WRITE,
  type Mapping,
  type MappingOptions,
  NON_TEMPORAL_LENGTH,
  type Residency,
} from "../storage.ts";
import {
  MAX_OWNED,
  NO_FAULTS,
  OwnedPages,
  type Pages,
  type PageSource,
  PlainPages,
} from "./memory.ts";
import { countReleased } from "./released_memory.ts";
import { OverlayFile } from "./overlay.ts";
import { openPosix, openPosixSync, type PosixFile } from "./file.ts";
import { CachedPages, dropReadAhead } from "./residency.ts";
import type { Memmem } from "../search.ts";
import { inThread } from "../threads.ts";
import type { Advice } from "../types.ts";
import { PAGE, WrittenPages } from "./written_pages.ts";

/** Files mapped by the C library, or `undefined` on a system whose constants are not known. */
export const posix: Backend<PosixFile> | undefined = platform && {
  name: "posix",
  prepare: () => void libc(),
  openSync: openPosixSync,
  open: openPosix,
  mapping: (file, options) => new PosixMapping(file, options),
};

class PosixMapping implements Mapping {
  start = 0;
  readonly mapsAtOpen = false;
  readonly memmem: Memmem = memmem;
  readonly copyLarge = copyLarge;
  readonly residency: Residency;

  readonly #file: PosixFile;
  readonly #fd: number;
  readonly #options: MappingOptions;
  /** What is in memory, where the system tells. */
  readonly #cachedPages: CachedPages | undefined;
  /** The pages that reads and writes use; `null` while nothing is mapped. */
  #pages: Pages | null = null;
  /** Other pages that users may have views of. */
  #handedOut: Pages[] = [];
  /** The file that is mapped instead of the descriptor, on overlayfs. `undefined` until something is mapped. */
  #overlay: OverlayFile | null | undefined;
  /** Whether the system cannot map this file. */
  #cannotMap = false;
  /** Created by the first async read of bytes that are not in memory. */
  #coldReads: ColdReads | undefined;
  /** Reads that use the descriptor before the file is mapped. */
  #readsLeft: number;
  /** Writes that use the descriptor before short ones use memory. */
  #writesLeft: number;
  /** The pages written through the descriptor; `null` before the first of these writes. */
  #writtenPages: WrittenPages | null = null;
  /** The advice for the whole file. */
  #advice: Advice;
  /** Whether a part of the memory has advice of its own. */
  #isAdvised = false;
  /** The descriptor's own offset, -1 while it is not known. */
  #descriptorAt = 0;

  constructor(file: PosixFile, options: MappingOptions) {
    this.#file = file;
    this.#fd = file.fd;
    this.#options = options;
    this.#advice = options.advice;
    this.#cachedPages = CachedPages.of(file.fd, options.offset);
    this.residency = this.#cachedPages ?? IN_MEMORY;
    this.#readsLeft = this.#isCoherent ? options.mapAfter : 0;
    this.#writesLeft = this.#readsLeft;
  }

  get buffer(): ArrayBufferLike {
    return this.#pages?.buffer ?? UNMAPPED;
  }

  get faults(): Int32Array {
    return this.#pages?.faults ?? NO_FAULTS;
  }

  get length(): number {
    return (this.#pages?.length ?? 0) - this.start;
  }

  get hasFaulted(): boolean {
    if (this.faults[0] !== 0) return true;
    for (const { faults } of this.#handedOut) if (faults[0] !== 0) return true;
    return false;
  }

  get hasLostChanges(): boolean {
    return this.#allPages.some((pages) => pages.hasLostChanges);
  }

  get guarded(): boolean {
    return this.faults !== NO_FAULTS && isInstalled();
  }

  get isDetached(): boolean {
    // A WebAssembly.Memory does not let its buffer be transferred.
    const pages = this.#pages;
    return pages instanceof PlainPages && pages.buffer.detached;
  }

  get isStale(): boolean {
    // Mapping it again would lose private changes, so only a refresh does.
    return this.#options.copyOnWrite && this.#isCopiedUp;
  }

  map(size: number): void {
    const pages = this.#pages;
    const end = this.#startOf(size) + size;
    if (size === 0 || pages?.extend(end)) return;
    const { copyOnWrite, shared, grow, write } = this.#options;
    // Private changes are in one mapping only, so that must be the one that is handed out.
    const isForUsers = copyOnWrite || shared || pages?.isHandedOut === true;
    this.#replace(
      isForUsers
        ? this.#newViewPages(size)
        // Addresses past the end of the file cost nothing, and are used when it grows.
        : this.#newPlainPages(end + (grow && write ? size + SPARE_BYTES : 0)),
      size,
    );
  }

  prepareRead(size: number): boolean {
    // Files of /proc have size 0, even if they have bytes to read.
    if (size === 0 || this.#cannotMap) return false;
    if (this.#readsLeft > 0) {
      this.#readsLeft -= LARGE_SIZE / (LARGE_SIZE + size);
      return false;
    }
    return this.#prepareMemory(size);
  }

  prepareWrite(size: number, position: number, length: number): boolean {
    if (size === 0 || this.#cannotMap) return false;
    if (this.#paysToWrite(position, length)) return this.#prepareMemory(size);
    this.#countWrite(position, length);
    return false;
  }

  get notesWrites(): boolean {
    return this.#writesLeft > 0;
  }

  get isHandedOut(): boolean {
    return this.#handedOut.length > 0 || this.#pages?.isHandedOut === true;
  }

  expose(size: number, position: number, length: number): Exposed {
    const { offset } = this.#options;
    if (size === 0) return { buffer: this.#emptyBuffer(), start: 0 };
    const pages = this.#pages;
    const end = this.#startOf(size) + size;
    if (pages?.isHandedOut && pages.extend(end)) {
      return this.#exposedFrom(pages);
    }
    const first = offset + position;
    for (const pages of this.#handedOut) {
      if (
        pages.offset <= first && first + length <= pages.offset + pages.length
      ) return this.#exposedFrom(pages);
    }
    const part = this.#newPartPages(size, first, length);
    if (part !== undefined) return this.#exposedFrom(part);
    const whole = this.#newViewPages(size);
    this.#replace(whole, size);
    return this.#exposedFrom(whole);
  }

  get isAliased(): boolean {
    return this.#handedOut.length > 0;
  }

  owns(buffer: ArrayBufferLike): boolean {
    // Growth, and a worker that posts it back, make another object for the same shared memory.
    if (this.#options.shared && buffer instanceof SharedArrayBuffer) {
      return true;
    }
    return buffer === this.#pages?.buffer ||
      this.#handedOut.some((pages) => pages.buffer === buffer);
  }

  shrink(size: number): void {
    const end = this.#options.offset + size;
    for (const pages of this.#allPages) {
      pages.clear(Math.max(0, end - pages.offset));
    }
    if (!this.#options.shared) this.#release(false);
  }

  reset(size: number): void {
    const pages = this.#pages;
    const isShared = this.#options.shared && pages instanceof OwnedPages;
    if (isShared && pages.remap(this.#startOf(size) + size)) return;
    this.#release(false);
  }

  restore(): boolean {
    const pages = this.#pages;
    // What users wrote to their views is lost, which must be reported.
    if (!(pages instanceof PlainPages) || this.#handedOut.length > 0) {
      return false;
    }
    return !pages.isHandedOut && pages.remap();
  }

  unmap(): void {
    this.#release(!this.#isAdvised);
  }

  fileSize(): number {
    let end = Number(libc().lseek(this.#fd, 0n, SEEK_END));
    // Some files of /proc have no end to seek to.
    if (end < 0) end = this.#file.regularSize();
    else this.#descriptorAt = end;
    if (!this.#options.copyOnWrite && this.#isCopiedUp) this.#followCopyUp();
    return Math.max(0, end - this.#options.offset);
  }

  read(target: Uint8Array, length: number, position: number): number {
    const taken = this.#cachedPages?.takeReadAhead(target, length, position) ??
      -1;
    if (taken >= 0) return taken;
    const { pread, read } = libc();
    const at = this.#options.offset + position;
    const count = bigLength(length);
    // A sequential read needs no offset, and so no time to make a BigInt of it.
    const isNext = at === this.#descriptorAt;
    const result = isNext
      ? read(this.#fd, target, count)
      : pread(this.#fd, target, count, BigInt(at));
    if (result < 0) throw lastError("read", this.#options.name, "read");
    if (isNext) this.#descriptorAt += result;
    return result;
  }

  write(source: Uint8Array, position: number): void {
    const length = byteLengthOf(source);
    const written = this.#writeOnce(source, length, position);
    if (written === length) return;
    this.#writeRest(
      source,
      written,
      (rest, done) => this.#writeOnce(rest, rest.length, position + done),
    );
  }

  append(source: Uint8Array): void {
    const length = byteLengthOf(source);
    const written = this.#appendOnce(source, length);
    if (written === length) return;
    this.#writeRest(
      source,
      written,
      (rest) => this.#appendOnce(rest, rest.length),
    );
  }

  appendEnd(): number {
    // With O_APPEND, write(2) leaves the descriptor's offset at the end of what was written.
    return Number(libc().lseek(this.#fd, 0n, SEEK_CUR));
  }

  async readAsync(target: Uint8Array, position: number): Promise<number> {
    const { pread, preadAsync } = libc();
    const at = this.#options.offset + position;
    const inThread = () =>
      this.#callInThread(
        "read",
        target,
        (rest, done) =>
          preadAsync(this.#fd, rest, bigLength(rest.length), BigInt(at + done)),
        (rest, done) =>
          pread(this.#fd, rest, bigLength(rest.length), BigInt(at + done)),
      );
    if (this.#cachedPages === undefined || target.length > MAX_RETRIED) {
      return await inThread();
    }
    const reads = this.#coldReads ??= new ColdReads(this.#cachedPages);
    this.#file.hold();
    try {
      return await reads.read(target, position) ??
        await reads.readInThread(inThread);
    } finally {
      this.#file.release();
    }
  }

  writeAsync(source: Uint8Array, position: number): Promise<number> {
    const { pwrite, pwriteAsync } = libc();
    const at = this.#options.offset + position;
    return this.#callInThread(
      "write",
      source,
      (rest, done) =>
        pwriteAsync(this.#fd, rest, bigLength(rest.length), BigInt(at + done)),
      (rest, done) =>
        pwrite(this.#fd, rest, bigLength(rest.length), BigInt(at + done)),
    );
  }

  appendAsync(source: Uint8Array): Promise<number> {
    const { write, writeAsync } = libc();
    this.#descriptorAt = -1;
    return this.#callInThread(
      "write",
      source,
      (rest) => writeAsync(this.#fd, rest, bigLength(rest.length)),
      (rest) => write(this.#fd, rest, bigLength(rest.length)),
    );
  }

  updateTimes(): void {
    const { futimens } = libc();
    const { UTIME_NOW, UTIME_OMIT } = platform!;
    const now = [0n, UTIME_NOW];
    // futimens(2): only the file's owner may set one of the two (EPERM). Who may write the file may set both.
    if (futimens(this.#fd, BigInt64Array.of(0n, UTIME_OMIT, ...now)) === 0) {
      return;
    }
    futimens(this.#fd, BigInt64Array.of(...now, ...now));
  }

  syncSync(size: number, dataOnly: boolean): void {
    if (!platform!.fsyncWritesMemory) this.flushSync(0, size);
    if (dataOnly) this.#file.syncDataSync();
    else this.#file.syncSync();
  }

  async sync(size: number, dataOnly: boolean): Promise<void> {
    await this.#file.whileOpen(async () => {
      if (!platform!.fsyncWritesMemory) await this.flush(0, size);
      await (dataOnly ? this.#file.syncData() : this.#file.sync());
    });
  }

  flushSync(position: number, length: number): void {
    if (!this.#options.write) return;
    const range = this.#pagesOf(position, length);
    if (range === undefined) return this.#file.syncDataSync();
    const [pages, at, bytes] = range;
    const { msync } = libc();
    const address = pages.address + BigInt(at);
    if (msync(address, BigInt(bytes), platform!.MS_SYNC) !== 0) {
      throw lastError("flush", this.#options.name, "msync");
    }
    if (!platform!.fsyncWritesMemory) this.#file.syncDataSync();
  }

  async flush(position: number, length: number): Promise<void> {
    if (!this.#options.write) return;
    // A close while all threads are busy leaves the descriptor open, but unmaps the memory.
    await this.#file.whileOpen(async () => {
      const isMapped = await inThread(() => this.#msync(position, length));
      if (isMapped && platform!.fsyncWritesMemory) return;
      await this.#file.syncData();
    });
  }

  prefetchSync(position: number, length: number): void {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return;
    const [pages, at, bytes] = range;
    const address = pages.address + BigInt(at);
    const { madvise } = libc();
    const { MADV_POPULATE_READ } = platform!;
    if (
      MADV_POPULATE_READ === 0 ||
      madvise(address, BigInt(bytes), MADV_POPULATE_READ) !== 0
    ) madvise(address, BigInt(bytes), MADV_WILLNEED);
  }

  async prefetch(position: number, length: number): Promise<void> {
    await inThread(async () => {
      const range = this.#pagesOf(position, length);
      if (range !== undefined) await this.#populate(...range);
    });
  }

  advise(
    advice: Advice | "dontneed",
    position: number,
    length: number,
  ): void {
    const { madvise } = libc();
    const first = this.#options.offset + position;
    const end = first + length;
    this.#isAdvised = true;
    for (const pages of this.#allPages) {
      const from = Math.max(0, first - pages.offset);
      const to = Math.min(pages.length, end - pages.offset);
      const lead = from % pageSize();
      if (to <= from) continue;
      // Memory that replaces this gets the same advice.
      if (advice !== "dontneed" && from === 0 && to === pages.length) {
        this.#advice = advice;
      }
      const address = pages.address + BigInt(from - lead);
      madvise(address, BigInt(to - from + lead), ADVICE[advice]);
    }
  }

  get fd(): number {
    return this.#findOverlay()?.fd ?? this.#fd;
  }

  loadInt32(position: number): number | undefined {
    // Not from memory, which faults if another process truncates the file.
    const at = BigInt(this.#options.offset + position);
    const read = libc().pread(this.#fd, WORD, 4n, at);
    if (read === 4) return WORD[0];
    if (read < 0) throw lastError("wait on", this.#options.name, "pread");
  }

  /**
   * Reads or writes by as few nonblocking calls as the system needs: one, most of the time. Returns the
   * number of bytes; fewer at the end of the file, or if the array's buffer was resized in between.
   */
  async #callInThread(
    action: "read" | "write",
    array: Uint8Array,
    call: (rest: Uint8Array, done: number) => Promise<number>,
    again: (rest: Uint8Array, done: number) => number,
  ): Promise<number> {
    const { length } = array;
    return await this.#file.whileOpen(async () => {
      let done = 0;
      while (done < Math.min(length, array.length)) {
        let count = await inThread(() =>
          call(array.subarray(done, length), done)
        );
        if (count < 0 && done < array.length) {
          // A nonblocking call cannot report errno. The same call, made again, can.
          count = again(array.subarray(done, length), done);
          const number = count < 0 ? errno() : 0;
          if (number === E.EINTR) continue;
          if (number !== 0) {
            const { name } = this.#options;
            throw systemError(number, action, name, action, done);
          }
        }
        if (count <= 0) break;
        done += count;
      }
      return action === "read" ? Math.min(done, array.length) : done;
    });
  }

  /** Flushes a range of memory to the disk, in another thread. Returns `false` if it is not mapped. */
  async #msync(position: number, length: number): Promise<boolean> {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return false;
    const [pages, at, bytes] = range;
    const memory = new Uint8Array(pages.buffer, at, bytes);
    const { msyncAsync } = libc();
    const result = await pages.whileMapped(() =>
      msyncAsync(memory, BigInt(bytes), platform!.MS_SYNC)
    );
    if (result === 0) return true;
    // A nonblocking call cannot report errno. The same call, made again, can, but for a failed
    // write to the disk, which the system reports once.
    if (this.#pages === pages) this.flushSync(position, length);
    throw systemError(E.EIO, "flush", this.#options.name, "msync");
  }

  #populate(pages: Pages, at: number, bytes: number): Promise<void> {
    const memory = new Uint8Array(pages.buffer, at, bytes);
    const { madviseAsync } = libc();
    const { MADV_POPULATE_READ } = platform!;
    return pages.whileMapped(async () => {
      if (
        MADV_POPULATE_READ === 0 ||
        await madviseAsync(memory, BigInt(bytes), MADV_POPULATE_READ) !== 0
      ) await madviseAsync(memory, BigInt(bytes), MADV_WILLNEED);
    });
  }

  /** Whether memory shows what is written through a descriptor, and the reverse. */
  get #isCoherent(): boolean {
    return !this.#options.copyOnWrite && platform!.unifiedCache;
  }

  get #allPages(): Pages[] {
    return this.#pages === null
      ? this.#handedOut
      : [...this.#handedOut, this.#pages];
  }

  /** Empties every view. The memory may be used again by the next open of the file if it is as it was mapped. */
  #release(isReusable: boolean): void {
    this.#overlay?.close();
    const all = this.#allPages;
    if (all.length === 0) return;
    this.#handedOut = [];
    this.#pages = this.#file.unusedPages = null;
    this.start = 0;
    for (const pages of all) pages.release(isReusable);
  }

  #tryToMap(size: number): boolean {
    try {
      this.map(size);
      return true;
    } catch (error) {
      // mmap(2): ENODEV on /sys and on FUSE with direct I/O, EIO on /proc, EPERM of a file that may only be
      // appended to, EACCES of one that may not be read; open(2) on overlayfs: ENOENT where there is no /proc.
      const isRefused = error instanceof Error && "errno" in error;
      if (!isRefused || this.#options.copyOnWrite) throw error;
      this.#cannotMap = true;
      return false;
    }
  }

  /** Has memory show the first `size` bytes. Returns `false` if the system cannot map the file. */
  #prepareMemory(size: number): boolean {
    dropReadAhead();
    if (this.#pages === null) return this.#tryToMap(size);
    if (this.length < size) this.map(size);
    return true;
  }

  /** Whether a write is faster through memory, page faults included. */
  #paysToWrite(position: number, length: number): boolean {
    if (length < LONG_WRITE) return this.#writesLeft <= 0;
    const count = this.#writesOfPage * relativeCost(length);
    return count === 0 ||
      this.#writtenPages?.includes(position, length, count) === true;
  }

  #countWrite(position: number, length: number): void {
    const pages = Math.ceil(length / PAGE);
    const fresh = this.#writtenPages === null
      ? pages
      : this.#writtenPages.add(position, length);
    this.#writtenPages ??= new WrittenPages(position, length);
    if (fresh > 0) this.#writesLeft += fresh * this.#writesOfPage;
    this.#writesLeft -= pages;
  }

  /** How often a page is written before memory pays for it. */
  get #writesOfPage(): number {
    return this.#isCoherent ? this.#options.mapAfter / CALLS_PER_WRITE : 0;
  }

  #source(): PageSource {
    const { name, write, copyOnWrite, guard } = this.#options;
    const { device, inode } = this.#file;
    const fd = this.#fd;
    const overlay = this.#findOverlay();
    return {
      get fd() {
        return overlay?.fd ?? fd;
      },
      device,
      inode,
      name,
      write,
      copyOnWrite,
      guard,
    };
  }

  #findOverlay(): OverlayFile | null {
    if (this.#overlay === undefined) {
      const { name, write } = this.#options;
      // To open a file for writing copies it up.
      this.#overlay = write || !this.#file.mayBeOverlay
        ? null
        : OverlayFile.of(this.#fd, name);
      this.#file.overlay = this.#overlay;
    }
    return this.#overlay;
  }

  get #isCopiedUp(): boolean {
    return this.#overlay?.isCopiedUp === true;
  }

  /** Maps the copy, so that memory shows what the descriptor reads, and views show what others write. */
  #followCopyUp(): void {
    this.#overlay!.close();
    for (const pages of this.#allPages) {
      if (pages.remap(pages.length)) continue;
      throw lastError("map", this.#options.name, "mmap");
    }
  }

  #exposedFrom(pages: Pages): Exposed {
    return {
      buffer: pages.buffer,
      start: this.#options.offset - pages.offset,
    };
  }

  /** Maps memory that only this module uses. */
  #newPlainPages(length: number): PlainPages {
    const pages = new PlainPages(this.#source(), this.#firstPage(), length);
    this.#file.unusedPages = pages;
    return pages;
  }

  /** Maps the whole file for views. */
  #newViewPages(size: number): Pages {
    const { name, grow, copyOnWrite, shared } = this.#options;
    const source = this.#source();
    const length = this.#startOf(size) + size;
    const hasGrown = grow && this.#pages?.isHandedOut === true;
    const capacity = hasGrown ? length + size + SPARE_BYTES : length;
    const first = this.#firstPage();
    const reused = copyOnWrite || shared ? undefined : OwnedPages.reuse(
      source,
      (range) => range.offset === first && range.length === length,
    );
    const owned = reused ??
      OwnedPages.map(source, first, length, capacity, shared);
    if (owned !== undefined) return owned;
    if (shared) throw noSharedMemory(name, length);
    // Exactly as long as the file: code that clones the buffer must not run past its end.
    const pages = new PlainPages(source, first, length);
    pages.handOut();
    return pages;
  }

  /**
   * Maps a small part of a large file for views. V8 counts a buffer of the whole file as memory, and collects
   * garbage if there seems to be much of it.
   */
  #newPartPages(
    size: number,
    first: number,
    length: number,
  ): Pages | undefined {
    const { copyOnWrite, shared } = this.#options;
    if (copyOnWrite || shared || this.isHandedOut) return undefined;
    if (size < MIN_DIVIDED || length > size / PART_DIVISOR) return undefined;
    // Whole pages of WebAssembly, if the file has them: the rest of one would be one mapping more.
    const start = first - first % WASM_PAGE;
    const end = Math.ceil((first + length) / WASM_PAGE) * WASM_PAGE;
    const fileEnd = this.#options.offset + size;
    const bytes = Math.min(end, fileEnd) - start;
    const source = this.#source();
    let part = OwnedPages.reuse(
      source,
      (range) =>
        range.offset <= first &&
        range.offset + range.length >= first + length &&
        range.offset + range.length <= fileEnd,
    );
    if (part === undefined && this.#isOftenOpened(size)) return undefined;
    part ??= OwnedPages.map(source, start, bytes, bytes, false);
    if (part !== undefined) this.#handedOut.push(part);
    return part;
  }

  /** Whether the file is opened again and again: the next view can use memory of the whole file, but not of a part. */
  #isOftenOpened(size: number): boolean {
    return size <= MAX_REUSED &&
      countReleased(this.#file) >= PARTS_BEFORE_WHOLE;
  }

  /** Makes reads and writes use other pages. */
  #replace(pages: Pages, size: number): void {
    const before = this.#pages;
    this.#pages = pages;
    this.#readsLeft = 0;
    if (pages.isHandedOut) this.#file.unusedPages = null;
    this.start = this.#startOf(size);
    if (before?.isHandedOut) this.#handedOut.push(before);
    else before?.release();
    if (this.#advice !== "normal") this.advise(this.#advice, 0, size);
  }

  /** Where position 0 lies: mmap(2) requires an offset in whole pages, and the window begins within the first. */
  #startOf(size: number): number {
    const { offset } = this.#options;
    return offset === 0 || size === 0 ? 0 : offset % pageSize();
  }

  #firstPage(): number {
    const { offset } = this.#options;
    return offset === 0 ? 0 : offset - offset % pageSize();
  }

  /** A buffer for the views of an empty file, which does not have pages. */
  #emptyBuffer(): ArrayBufferLike {
    return this.#options.shared ? new SharedArrayBuffer(0) : UNMAPPED;
  }

  /**
   * The whole pages that hold a range, as the place and the number of bytes in memory: msync(2) and
   * madvise(2) want an address at a page's start. `undefined` unless all of it is mapped.
   */
  #pagesOf(
    position: number,
    length: number,
  ): [pages: Pages, at: number, bytes: number] | undefined {
    const pages = this.#pages;
    const first = this.start + position;
    const lead = first % pageSize();
    if (pages === null || first + length > pages.length) return undefined;
    return [pages, first - lead, length + lead];
  }

  /** Writes to a position with one system call. Returns the number of bytes, or -1 if it failed. */
  #writeOnce(source: Uint8Array, length: number, position: number): number {
    const { pwrite, write } = libc();
    const at = this.#options.offset + position;
    // A sequential write needs no offset, and so no time to make a BigInt of it.
    const isNext = at === this.#descriptorAt;
    const count = bigLength(length);
    const written = isNext
      ? write(this.#fd, source, count)
      : pwrite(this.#fd, source, count, BigInt(at));
    if (isNext && written > 0) this.#descriptorAt += written;
    return written;
  }

  /** As `#writeOnce`, at the end of the file. */
  #appendOnce(source: Uint8Array, length: number): number {
    this.#descriptorAt = -1;
    return libc().write(this.#fd, source, bigLength(length));
  }

  /** Writes what is left after a call that has written less than all of `source`, or has failed. */
  #writeRest(
    source: Uint8Array,
    written: number,
    write: (rest: Uint8Array, done: number) => number,
  ): void {
    let done = this.#checkWritten(written, 0);
    const bytes = plainView(source);
    while (done < bytes.length) {
      done += this.#checkWritten(write(bytes.subarray(done), done), done);
    }
  }

  /** Returns the number of bytes that a call has just written after `done` others. Throws if it failed. */
  #checkWritten(written: number, done: number): number {
    if (written > 0) return written;
    const number = written === 0 ? E.ENOSPC : errno();
    if (number === E.EINTR) return 0;
    throw systemError(number, "write", this.#options.name, "write", done);
  }
}

const E = osConstants.errno;
const UNMAPPED = new ArrayBuffer(0);
const WORD = new Int32Array(1);

/** Spare bytes of addresses after a file that may grow, in addition to its size again. */
const SPARE_BYTES = 1 << 20;

/** Bytes of the smallest file of which a part is mapped alone, and how many times smaller that part must be. */
const MIN_DIVIDED = 1 << 20;
const PART_DIVISOR = 4;

/** Bytes of the longest file that is mapped whole after this many parts of it were released. */
const MAX_REUSED = 256 << 20;
const PARTS_BEFORE_WHOLE = 4;

/** Bytes of a file so large that a read counts half: V8 collects garbage when much memory is mapped. */
const LARGE_SIZE = 10 << 20;

/** A page is written 32 times before memory pays for it, where 256 calls use the descriptor. */
const CALLS_PER_WRITE = 8;

/** Bytes of a write that takes about as long by memory as by the descriptor: its copy is most of it. */
const MEDIUM_WRITE = 256 << 10;

/** How many times as many long writes of a page it takes until memory pays, by their length. */
function relativeCost(length: number): number {
  if (length < MEDIUM_WRITE) return 1;
  return length < NON_TEMPORAL_LENGTH ? 4 : 0.25;
}

/** Bytes of a page of WebAssembly: a multiple of the system's. */
const WASM_PAGE = 64 << 10;

const ADVICE: Record<Advice | "dontneed", number> = {
  normal: MADV_NORMAL,
  sequential: MADV_SEQUENTIAL,
  random: MADV_RANDOM,
  dontneed: MADV_DONTNEED,
};

/** The error for shared memory that V8 does not provide. */
function noSharedMemory(name: string, length: number): Error {
  return new Deno.errors.NotSupported(
    `Cannot map '${name}': option 'shared' needs a WebAssembly.Memory of ${length} bytes, ` +
      `which this system does not provide; the largest has ${MAX_OWNED}`,
  );
}

/** The last length that was passed to FFI. */
let lastLength = 0;
let lastBigLength = 0n;

/** A length for FFI. Consecutive calls often have the same length, and a BigInt takes time to make. */
function bigLength(length: number): bigint {
  if (length !== lastLength) {
    lastLength = length;
    lastBigLength = BigInt(Math.min(length, MAX_TRANSFER));
  }
  return lastBigLength;
}
