/**
 * kernel32: files mapped by MapViewOfFile on Windows.
 *
 * @module
 */

import { resolve, toNamespacedPath } from "node:path";
import { fileURLToPath } from "node:url";
import {
  DenoFile,
  type Handles,
  openHandles,
  openHandlesSync,
  renamed,
} from "./deno_file.ts";
import { notRegular } from "./errors.ts";
import {
  CURRENT_PROCESS,
  FILE_ATTRIBUTE_NORMAL,
  FILE_MAP_COPY,
  FILE_MAP_READ,
  FILE_MAP_WRITE,
  FILE_SHARE_ALL,
  GENERIC_READ,
  GENERIC_WRITE,
  granularity,
  INVALID_HANDLE_VALUE,
  kernel32,
  lastError,
  OPEN_EXISTING,
  PAGE_READONLY,
  PAGE_READWRITE,
  PAGE_WRITECOPY,
} from "./kernel32.ts";
import type { Backend, Mapping, MappingOptions } from "./mapping.ts";

/** Files mapped by kernel32. */
export const windows: Backend<WindowsFile> = {
  name: "windows",
  prepare: () => void kernel32(),
  openSync(path, options) {
    return proven(path, options, () => openHandlesSync(path, options));
  },
  async open(path, options) {
    const handles = await openHandles(path, options);
    let first: Handles | undefined = handles;
    return proven(path, options, () => {
      const opened = first ?? openHandlesSync(path, options);
      first = undefined;
      return opened;
    });
  },
  regularSize: (file) => file.regularSize(),
  // NTFS gives a file its clusters with its length.
  reserveSync: () => false,
  reserve: () => Promise.resolve(false),
  mapping: (file, options) => new WindowsMapping(file, options),
};

/** A file that Deno has opened, for all but the mapping, and once more, by its handle. */
class WindowsFile extends DenoFile {
  readonly handle: bigint;

  constructor(handles: Handles, handle: bigint) {
    super(handles);
    this.handle = handle;
  }

  override close(): void {
    super.close();
    kernel32().CloseHandle(this.handle);
  }
}

/** What is to be given back when the memory is let go, or found forgotten. */
interface Lease {
  readonly file: WindowsFile;
  readonly address: bigint;
  readonly length: number;
}

class WindowsMapping implements Mapping {
  buffer: ArrayBuffer = UNMAPPED;
  start = 0;
  readonly faults: Int32Array = NO_FAULTS;
  readonly guarded = false;
  readonly syncFindsMemory = false;
  /** Not to be relied on: over a network it is not so. */
  readonly sharesPages = false;

  readonly #file: WindowsFile;
  readonly #options: MappingOptions;
  #lease: Lease | null = null;

  constructor(file: WindowsFile, options: MappingOptions) {
    this.#file = file;
    this.#options = options;
  }

  get moved(): boolean {
    return this.buffer.detached;
  }

  map(size: number): void {
    const { offset } = this.#options;
    // MapViewOfFile wants an offset in whole granules; the window begins somewhere in the first.
    const start = offset === 0 || size === 0 ? 0 : offset % granularity();
    const lease = size === 0 ? this.#nothing() : this.#pages(start, size);
    let buffer: ArrayBuffer;
    try {
      buffer = wrap(lease);
    } catch (error) {
      giveBack(lease);
      throw error;
    }
    this.unmap();
    this.#lease = lease;
    this.buffer = buffer;
    this.start = start;
  }

  expose(size: number): ArrayBuffer {
    // A view has the length that the file had: no room is kept behind it, which would lengthen the file.
    if (this.buffer.byteLength - this.start !== size) this.map(size);
    return this.buffer;
  }

  holds(buffer: ArrayBufferLike): boolean {
    return this.#lease !== null && buffer === this.buffer;
  }

  unmap(): void {
    const lease = this.#lease;
    if (lease === null) return;
    const { buffer, moved } = this;
    this.#lease = null;
    this.buffer = UNMAPPED;
    forgotten.unregister(lease);
    // SAFETY: a detached buffer has views of length 0 only, so nothing reaches the memory any more;
    // but what the user has moved away is theirs, and the memory stays.
    if (moved) return;
    buffer.transfer(0);
    giveBack(lease);
  }

  fileSize(): number {
    return Math.max(0, this.#file.size() - this.#options.offset);
  }

  write(source: Uint8Array, position: number): void {
    this.#file.writeAt(source, this.#options.offset + position);
  }

  append(source: Uint8Array): void {
    this.#file.append(source);
  }

  appendedTo(): number {
    return this.#file.appendedTo();
  }

  flushSync(position: number, length: number): void {
    const range = this.#pagesOf(position, length);
    if (range === undefined || !this.#options.write) return;
    if (kernel32().FlushViewOfFile(...range) === 0) {
      throw lastError("flush", this.#options.name, "FlushViewOfFile");
    }
  }

  async flush(position: number, length: number): Promise<void> {
    const lease = this.#lease;
    const range = this.#pagesOf(position, length);
    if (range === undefined || !this.#options.write) return;
    if (await kernel32().FlushViewOfFileAsync(...range) !== 0) return;
    // A nonblocking call cannot report its error: the same call, made again, can. Unmapped meanwhile,
    // the pages are the file's own, and its sync writes them.
    if (this.#lease === lease) this.flushSync(position, length);
  }

  prefetchSync(position: number, length: number): void {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return;
    kernel32().PrefetchVirtualMemory(CURRENT_PROCESS, 1n, entry(range), 0);
  }

  async prefetch(position: number, length: number): Promise<void> {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return;
    const { PrefetchVirtualMemoryAsync } = kernel32();
    // Addresses that are unmapped meanwhile are refused, and nothing depends on the answer.
    await PrefetchVirtualMemoryAsync(CURRENT_PROCESS, 1n, entry(range), 0);
  }

  loadInt32(position: number): number | undefined {
    const at = this.start + position;
    if (at + 4 > this.buffer.byteLength) return undefined;
    return Atomics.load(new Int32Array(this.buffer, at, 1), 0);
  }

  /** Windows takes such hints for reads through handles only, and when a handle is made. */
  advise(): void {}

  /** An empty file has no pages, and CreateFileMappingW refuses it. */
  #nothing(): Lease {
    return { file: this.#file, address: 0n, length: 0 };
  }

  #pages(start: number, size: number): Lease {
    const { name, write, copyOnWrite, offset } = this.#options;
    const { CreateFileMappingW, MapViewOfFile, CloseHandle } = kernel32();
    const { handle } = this.#file;
    // Sizes of 0: all of the file as it is now. A larger section would lengthen it.
    const protection = copyOnWrite
      ? PAGE_WRITECOPY
      : write
      ? PAGE_READWRITE
      : PAGE_READONLY;
    const section = CreateFileMappingW(handle, 0n, protection, 0, 0, 0n);
    if (section === 0n) throw lastError("map", name, "CreateFileMappingW");
    const access = copyOnWrite
      ? FILE_MAP_COPY
      : write
      ? FILE_MAP_READ | FILE_MAP_WRITE
      : FILE_MAP_READ;
    const first = offset - start;
    const length = start + size;
    const address = MapViewOfFile(
      section,
      access,
      Math.floor(first / 2 ** 32),
      first % 2 ** 32,
      BigInt(length),
    );
    const failure = address === 0n
      ? lastError("map", name, "MapViewOfFile")
      : undefined;
    // The view holds the section; the handle to it is needed no more.
    CloseHandle(section);
    if (failure !== undefined) throw failure;
    return { file: this.#file, address, length };
  }

  /** The whole pages that hold what is mapped of a range, if anything is. */
  #pagesOf(position: number, length: number): [bigint, bigint] | undefined {
    const lease = this.#lease;
    const first = this.start + position;
    const end = Math.min(first + length, lease?.length ?? 0);
    if (lease === null || end <= first) return undefined;
    const lead = first % PAGE;
    return [lease.address + BigInt(first - lead), BigInt(end - first + lead)];
  }
}

/** A WIN32_MEMORY_RANGE_ENTRY. */
function entry(range: [bigint, bigint]): BigUint64Array<ArrayBuffer> {
  return new BigUint64Array(range);
}

const NO_FAULTS = new Int32Array(1);
const UNMAPPED = new ArrayBuffer(0);

/** Bytes of a page on every architecture that Windows runs on. */
const PAGE = 4096;

/** How often a file is opened before it is clear that its name does not stay with it. */
const ATTEMPTS = 10;

/**
 * Opens by `CreateFileW` what Deno has opened. Deno gives no handle, so the path is opened twice, and
 * in between it can be given to another file: the volume and the index of both have to be the same.
 */
function proven(
  path: string | URL,
  options: Deno.OpenOptions,
  open: () => Handles,
): WindowsFile {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const handles = open();
    const { name, file, positional, isWritten } = handles;
    let handle: bigint | undefined;
    try {
      const info = statOf(file, name);
      // A directory is no file for CreateFileW; what is wrong with it is for `regularSize` to say.
      if (!info.isFile) {
        return new WindowsFile(handles, INVALID_HANDLE_VALUE);
      }
      handle = openHandle(path, name, isWritten);
      if (handle !== undefined && isSame(handle, info, name)) {
        return new WindowsFile(handles, handle);
      }
      throw undefined;
    } catch (error) {
      if (handle !== undefined) kernel32().CloseHandle(handle);
      file.close();
      if (positional !== file) positional.close();
      if (error !== undefined) throw error;
    }
    // What was new is another's file now: to open that would not be what was asked for.
    if (options.createNew) break;
  }
  throw renamed(String(path));
}

/** What Windows knows of a file. Of a device it knows nothing. */
function statOf(file: Deno.FsFile, name: string): Deno.FileInfo {
  try {
    return file.statSync();
  } catch (cause) {
    throw Object.assign(notRegular(name, false), { cause });
  }
}

function openHandle(
  path: string | URL,
  name: string,
  isWritten: boolean,
): bigint {
  const handle = kernel32().CreateFileW(
    wide(path),
    isWritten ? GENERIC_READ + GENERIC_WRITE : GENERIC_READ,
    FILE_SHARE_ALL,
    0n,
    OPEN_EXISTING,
    FILE_ATTRIBUTE_NORMAL,
    0n,
  );
  if (handle !== INVALID_HANDLE_VALUE) return handle;
  throw lastError("open", name, "CreateFileW");
}

/** Whether a handle is of the file that Deno knows by these numbers. */
function isSame(handle: bigint, info: Deno.FileInfo, name: string): boolean {
  // BY_HANDLE_FILE_INFORMATION: 52 bytes; volume at 28, index at 44 (high) and 48 (low).
  const fields = new DataView(new ArrayBuffer(52));
  if (kernel32().GetFileInformationByHandle(handle, fields) === 0) {
    throw lastError("open", name, "GetFileInformationByHandle");
  }
  const index = BigInt(fields.getUint32(44, true)) << 32n |
    BigInt(fields.getUint32(48, true));
  // Deno gives the index as a number, rounded.
  return fields.getUint32(28, true) === info.dev && Number(index) === info.ino;
}

/**
 * A path as UTF-16 with its end. A long one gets the prefix that lifts the limit, as Deno does it; a
 * short one does not, since dots and spaces at its end would then count.
 */
function wide(path: string | URL): Uint16Array<ArrayBuffer> {
  const absolute = resolve(path instanceof URL ? fileURLToPath(path) : path);
  const text = absolute.length < SHORT_PATH
    ? absolute
    : toNamespacedPath(absolute);
  const units = new Uint16Array(text.length + 1);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return units;
}

/** MAX_PATH, less a file name of 8.3, which is kept free: the limit of directories. */
const SHORT_PATH = 248;

/** Memory that nobody can reach any more: the file was dropped without a close, and so was every view. */
const forgotten = new FinalizationRegistry<Lease>((lease) => {
  giveBack(lease);
  lease.file.close();
});

/** A buffer over all that is leased. */
function wrap(lease: Lease): ArrayBuffer {
  const buffer = lease.length === 0
    ? new ArrayBuffer(0)
    // SAFETY: the memory stays until `unmap`, which detaches the buffer first, or until it is garbage.
    : Deno.UnsafePointerView.getArrayBuffer(
      Deno.UnsafePointer.create(lease.address)!,
      lease.length,
    );
  forgotten.register(buffer, lease, lease);
  return buffer;
}

function giveBack(lease: Lease): void {
  if (lease.length > 0) kernel32().UnmapViewOfFile(lease.address);
}
