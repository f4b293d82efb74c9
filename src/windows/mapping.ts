/**
 * Windows: files mapped by kernel32 and kernelbase.
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
  renamedError,
} from "../deno_file.ts";
import { notRegular } from "../errors.ts";
import {
  CURRENT_PROCESS,
  FILE_ATTRIBUTE_NORMAL,
  FILE_SHARE_ALL,
  GENERIC_READ,
  GENERIC_WRITE,
  granularity,
  INVALID_HANDLE_VALUE,
  kernel32,
  kernelbase,
  lastError,
  OPEN_EXISTING,
  PAGE_READONLY,
  PAGE_READWRITE,
  PAGE_SIZE,
  PAGE_WRITECOPY,
} from "./kernel32.ts";
import { plainView } from "../intrinsics.ts";
import {
  type Backend,
  type Exposed,
  IN_MEMORY,
  type Mapping,
  type MappingOptions,
  type Residency,
} from "../storage.ts";
import { inThread } from "../threads.ts";
import { type View, Views } from "./memory.ts";

/** Files mapped by kernel32 and kernelbase. */
export const windows: Backend<WindowsFile> = {
  name: "windows",
  prepare: () => void views(),
  openSync(path, options) {
    return openVerified(path, options, () => openHandlesSync(path, options));
  },
  async open(path, options) {
    const handles = await openHandles(path, options);
    let first: Handles | undefined = handles;
    return openVerified(path, options, () => {
      const opened = first ?? openHandlesSync(path, options);
      first = undefined;
      return opened;
    });
  },
  mapping: (file, options) => new WindowsMapping(file, options),
};

/** A file that Deno has opened, for all but the mapping, and a second handle of it. */
class WindowsFile extends DenoFile {
  readonly handle: bigint;
  /** Nonblocking calls in progress, which keep the handle open. */
  #flushes = 0;
  #isClosed = false;

  constructor(handles: Handles, handle: bigint) {
    super(handles);
    this.handle = handle;
  }

  /**
   * Flushes everything to the disk, off the event loop: first by `flushView`, then the system's cache of the
   * file. Continues if the file is closed in between.
   */
  async flush(flushView: () => Promise<void>): Promise<void> {
    const { FlushFileBuffers, FlushFileBuffersAsync } = kernel32();
    this.#flushes++;
    try {
      await flushView();
      const flush = () => FlushFileBuffersAsync(this.handle);
      if (await inThread(flush) !== 0) return;
      // A nonblocking call cannot report its error. The same call can when it is made again; what the
      // first one did not write is still dirty.
      if (FlushFileBuffers(this.handle) === 0) {
        throw lastError("flush", this.name, "FlushFileBuffers");
      }
    } finally {
      this.#flushes--;
      this.#closeHandle();
    }
  }

  override close(): void {
    droppedFiles.unregister(this);
    try {
      super.close();
    } finally {
      this.#isClosed = true;
      this.#closeHandle();
    }
  }

  #closeHandle(): void {
    if (!this.#isClosed || this.#flushes > 0) return;
    if (this.handle !== INVALID_HANDLE_VALUE) {
      kernel32().CloseHandle(this.handle);
    }
  }
}

class WindowsMapping implements Mapping {
  buffer: ArrayBuffer = UNMAPPED;
  start = 0;
  readonly faults: Int32Array = NO_FAULTS;
  readonly hasFaulted = false;
  readonly hasLostChanges = false;
  readonly guarded = false;
  readonly mapsAtOpen = true;
  readonly residency: Residency = IN_MEMORY;
  readonly notesWrites = false;

  readonly #file: WindowsFile;
  readonly #options: MappingOptions;
  /** `null` when nothing is mapped: an empty file has no pages, and CreateFileMappingW refuses it. */
  #view: View | null = null;

  constructor(file: WindowsFile, options: MappingOptions) {
    this.#file = file;
    this.#options = options;
    droppedFiles.register(this, file, file);
  }

  get length(): number {
    return this.buffer.byteLength - this.start;
  }

  get isHandedOut(): boolean {
    return this.#view?.isExposed === true;
  }

  get isDetached(): boolean {
    return this.buffer.detached;
  }

  map(size: number): void {
    const { offset } = this.#options;
    // MapViewOfFile wants an offset in whole granules; the window begins somewhere in the first.
    const start = offset === 0 || size === 0 ? 0 : offset % granularity();
    const view = size === 0 ? null : this.#map(offset - start, start + size);
    const [oldView, oldBuffer] = [this.#view, this.buffer];
    this.buffer = view === null ? new ArrayBuffer(0) : bufferOver(view);
    this.#view = view;
    this.start = start;
    this.#unmap(oldView, oldBuffer);
  }

  expose(size: number, position: number, length: number): Exposed {
    // A view has the length that the file had. Spare room after it would lengthen the file. A new view of a
    // file that has grown would empty the user's views.
    const isEnough = this.isHandedOut && position + length <= this.length;
    if (!isEnough && (this.buffer === UNMAPPED || this.length !== size)) {
      this.map(size);
    }
    if (this.#view !== null) this.#view.isExposed = true;
    return this;
  }

  owns(buffer: ArrayBufferLike): boolean {
    return this.#view !== null && buffer === this.buffer;
  }

  unmap(): void {
    const [view, buffer] = [this.#view, this.buffer];
    this.#view = null;
    this.buffer = UNMAPPED;
    this.#unmap(view, buffer);
  }

  fileSize(): number {
    return Math.max(0, this.#file.size() - this.#options.offset);
  }

  prepareRead(size: number): boolean {
    if (this.length >= size) return true;
    // To map more of a file that has grown would empty the views of it.
    if (this.isHandedOut) return false;
    this.map(size);
    return true;
  }

  prepareWrite(size: number): boolean {
    return this.prepareRead(size);
  }

  read(target: Uint8Array, length: number, position: number): number {
    const bytes = plainView(target).subarray(0, length);
    return this.#file.readAt(bytes, this.#options.offset + position);
  }

  write(source: Uint8Array, position: number): void {
    this.#file.writeAt(plainView(source), this.#options.offset + position);
  }

  append(source: Uint8Array): void {
    this.#file.append(plainView(source));
  }

  appendEnd(): number {
    return this.#file.appendEnd();
  }

  syncSync(size: number, dataOnly: boolean): void {
    this.#flushView(0, size);
    if (dataOnly) this.#file.syncDataSync();
    else this.#file.syncSync();
  }

  async sync(size: number, dataOnly: boolean): Promise<void> {
    // FlushFileBuffers, which `flush` calls, writes the times too.
    if (this.#options.write) await this.flush(0, size);
    else await (dataOnly ? this.#file.syncData() : this.#file.sync());
  }

  flushSync(position: number, length: number): void {
    if (!this.#options.write) return;
    this.#flushView(position, length);
    this.#file.syncDataSync();
  }

  async flush(position: number, length: number): Promise<void> {
    if (!this.#options.write) return;
    const view = this.#view;
    const range = this.#pagesOf(position, length);
    await this.#file.flush(async () => {
      if (range === undefined) return;
      const flush = () => kernel32().FlushViewOfFileAsync(...range);
      const isFlushed = await inThread(flush) !== 0;
      // If the view was unmapped in between, its changes are in the file's cache. If not, the same call is
      // made again and reports the error, which a nonblocking one cannot.
      if (!isFlushed && this.#view === view) this.#flushView(position, length);
    });
  }

  prefetchSync(position: number, length: number): void {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return;
    kernel32().PrefetchVirtualMemory(CURRENT_PROCESS, 1n, rangeEntry(range), 0);
  }

  async prefetch(position: number, length: number): Promise<void> {
    const range = this.#pagesOf(position, length);
    if (range === undefined) return;
    const { PrefetchVirtualMemoryAsync } = kernel32();
    // A hint: if the view is unmapped in between, the call fails or brings in other memory. Neither does harm.
    await inThread(() =>
      PrefetchVirtualMemoryAsync(CURRENT_PROCESS, 1n, rangeEntry(range), 0)
    );
  }

  loadInt32(position: number): number | undefined {
    const at = this.start + position;
    if (at + 4 <= this.buffer.byteLength) {
      return Atomics.load(new Int32Array(this.buffer, at, 1), 0);
    }
    // Not mapped since the file was truncated.
    const word = new Int32Array(1);
    const read = this.read(new Uint8Array(word.buffer), 4, position);
    return read === 4 ? word[0] : undefined;
  }

  /** Windows takes such hints for reads through handles only, and when a handle is made. */
  advise(): void {}

  #flushView(position: number, length: number): void {
    const range = this.#pagesOf(position, length);
    if (range === undefined || !this.#options.write) return;
    if (kernel32().FlushViewOfFile(...range) === 0) {
      throw lastError("flush", this.#options.name, "FlushViewOfFile");
    }
  }

  #map(offset: number, length: number): View {
    const { name, write, copyOnWrite } = this.#options;
    const { CreateFileMappingW, CloseHandle } = kernel32();
    const { handle } = this.#file;
    const protection = copyOnWrite
      ? PAGE_WRITECOPY
      : write
      ? PAGE_READWRITE
      : PAGE_READONLY;
    // Sizes of 0: all of the file as it is now. A larger section would lengthen it.
    const section = CreateFileMappingW(handle, 0n, protection, 0, 0, 0n);
    if (section === 0n) throw lastError("map", name, "CreateFileMappingW");
    const view = views().map(section, protection, offset, length);
    const failure = view ?? lastError("map", name, "MapViewOfFile");
    // The view keeps the section open; the handle to it is needed no more.
    CloseHandle(section);
    if (failure instanceof Error) throw failure;
    return failure;
  }

  #unmap(view: View | null, buffer: ArrayBuffer): void {
    if (view === null) return;
    droppedBuffers.unregister(view);
    // SAFETY: a detached buffer has views of length 0 only, so the user's code cannot reach the memory. If the
    // user has transferred the buffer, the memory stays mapped.
    if (buffer.detached) return;
    buffer.transfer(0);
    if (!views().unmap(view)) {
      throw lastError("unmap", this.#options.name, "UnmapViewOfFile");
    }
  }

  /** The whole pages that hold what is mapped of a range, if anything is. */
  #pagesOf(position: number, length: number): [bigint, bigint] | undefined {
    const view = this.#view;
    const first = this.start + position;
    const end = Math.min(first + length, view?.length ?? 0);
    if (view === null || end <= first) return undefined;
    const lead = first % PAGE_SIZE;
    return [view.address + BigInt(first - lead), BigInt(end - first + lead)];
  }
}

/** A WIN32_MEMORY_RANGE_ENTRY. */
function rangeEntry(range: [bigint, bigint]): BigUint64Array<ArrayBuffer> {
  return new BigUint64Array(range);
}

const NO_FAULTS = new Int32Array(1);
const UNMAPPED = new ArrayBuffer(0);

/** How often a path is opened if another file replaces it each time. */
const MAX_ATTEMPTS = 10;

/**
 * Opens by `CreateFileW` what Deno has opened. Deno does not return its handle, so the path is opened twice,
 * and in between it can become another file's: the volume and the index of both must be the same.
 */
function openVerified(
  path: string | URL,
  options: Deno.OpenOptions,
  open: () => Handles,
): WindowsFile {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const handles = open();
    let handle: bigint | undefined;
    try {
      handle = openVerifiedHandle(path, handles);
    } finally {
      if (handle === undefined) closeHandles(handles);
    }
    if (handle !== undefined) return new WindowsFile(handles, handle);
    // Another process has replaced the new file, which `createNew` must not open.
    if (options.createNew) break;
  }
  throw renamedError(String(path));
}

/** A handle of the file that Deno has opened; `undefined` if the path is another file's by now. */
function openVerifiedHandle(
  path: string | URL,
  opened: Handles,
): bigint | undefined {
  const { name, file, isWritten } = opened;
  const info = queryInfo(file, name);
  // CreateFileW refuses a directory; `regularSize` says what is wrong with it.
  if (!info.isFile) return INVALID_HANDLE_VALUE;
  const handle = openHandle(path, name, isWritten);
  let isVerified = false;
  try {
    isVerified = isSameFile(handle, info, name);
  } finally {
    if (!isVerified) kernel32().CloseHandle(handle);
  }
  return isVerified ? handle : undefined;
}

function closeHandles({ file, positional }: Handles): void {
  file.close();
  if (positional !== file) positional.close();
}

/** Information about a file. Windows has none about a device. */
function queryInfo(file: Deno.FsFile, name: string): Deno.FileInfo {
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
    toUTF16(path),
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
function isSameFile(
  handle: bigint,
  info: Deno.FileInfo,
  name: string,
): boolean {
  // BY_HANDLE_FILE_INFORMATION: 52 bytes; volume at 28, index at 44 (high) and 48 (low).
  const fields = new DataView(new ArrayBuffer(52));
  if (kernel32().GetFileInformationByHandle(handle, fields) === 0) {
    throw lastError("open", name, "GetFileInformationByHandle");
  }
  const index = BigInt(fields.getUint32(44, true)) << 32n |
    BigInt(fields.getUint32(48, true));
  // Deno returns the index as a number, rounded.
  return fields.getUint32(28, true) === info.dev && Number(index) === info.ino;
}

/**
 * A path as null-terminated UTF-16. As in Deno, a long one gets the prefix that lifts the limit. A short one does
 * not, because dots and spaces at its end would then count.
 */
function toUTF16(path: string | URL): Uint16Array<ArrayBuffer> {
  const absolute = resolve(path instanceof URL ? fileURLToPath(path) : path);
  const text = absolute.length < MAX_UNPREFIXED_PATH
    ? absolute
    : toNamespacedPath(absolute);
  const units = new Uint16Array(text.length + 1);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return units;
}

/** MAX_PATH, less a file name of 8.3, which is kept free: the limit of directories. */
const MAX_UNPREFIXED_PATH = 248;

let ownViews: Views | undefined;

/** The views of this isolate. */
function views(): Views {
  return ownViews ??= new Views({ ...kernel32(), ...kernelbase() });
}

/** Closes a file that was garbage-collected without a close, whether it was mapped or not. */
const droppedFiles = new FinalizationRegistry<WindowsFile>((file) =>
  file.close()
);

/**
 * Unmaps a view when the buffer over it is garbage-collected, and so are all typed arrays on it. If that
 * fails the view stays mapped, and there is no caller to report it to.
 */
const droppedBuffers = new FinalizationRegistry<View>((view) =>
  void views().unmap(view)
);

/** A buffer over a view, which is unmapped if there can be none. */
function bufferOver(view: View): ArrayBuffer {
  const { address, length } = view;
  try {
    const pointer = Deno.UnsafePointer.create(address)!;
    // SAFETY: the view stays mapped until `#unmap`, which detaches the buffer first, or until the buffer and
    // all views of it are garbage-collected.
    const buffer = Deno.UnsafePointerView.getArrayBuffer(pointer, length);
    droppedBuffers.register(buffer, view, view);
    return buffer;
  } catch (error) {
    views().unmap(view);
    throw error;
  }
}
