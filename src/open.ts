/**
 * Opening and creating files: options checked, a backend opens and maps.
 *
 * @module
 */

import { ffiDenied } from "./errors.ts";
import { fallback } from "./fallback.ts";
import type { Backend, FileOps, Mapping } from "./mapping.ts";
import { MmapFile } from "./mmap_file.ts";
import { checkOptions, type OpenRequest } from "./options.ts";
import { posix } from "./posix.ts";
import type { MmapOpenOptions } from "./types.ts";
import { windows } from "./windows.ts";

/**
 * Opens a file as memory, as `Deno.open` opens one: read-only by default.
 *
 * Needs `--allow-read` for the path, `--allow-write` too to write to it, and `--allow-ffi`.
 *
 * @param path Where the file is.
 * @param options Those of `Deno.open`, and those of a mapping; see {@linkcode MmapOpenOptions}.
 * @throws {Deno.errors.NotFound} If there is no such file and `create` is not given.
 * @throws {Deno.errors.AlreadyExists} If there is one and `createNew` is given.
 * @throws {Deno.errors.IsADirectory} If it is a directory.
 * @throws {Deno.errors.PermissionDenied} If the system does not let this user open it.
 * @throws {Deno.errors.NotCapable} Without one of the permissions, which the message names.
 * @throws {Deno.errors.NotSupported} If Deno is older than 2.8.
 * @throws {SystemError} If the path is no regular file, or cannot be mapped.
 * @throws {TypeError} If two options are at odds.
 * @throws {RangeError} If the window that `offset` and `length` give is not in the file.
 *
 * @example Change `Deno.open` to `open`
 * ```ts
 * import assert from "node:assert/strict";
 * import { open } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "hello");
 * {
 *   using file = await open(path);
 *   const buffer = new Uint8Array(100);
 *   assert.equal(await file.read(buffer), 5);
 *   assert.equal(await file.read(buffer), null);
 * }
 * await Deno.remove(path);
 * ```
 *
 * @example Append to a log, and read it back
 * ```ts
 * import assert from "node:assert/strict";
 * import { open } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * {
 *   using log = await open(path, { read: true, append: true });
 *   await log.write(new TextEncoder().encode("started\n"));
 *   assert.equal(new TextDecoder().decode(log.bytes()), "started\n");
 * }
 * await Deno.remove(path);
 * ```
 */
export function open(
  path: string | URL,
  options: MmapOpenOptions & { shared: true },
): Promise<MmapFile<SharedArrayBuffer>>;
/** Opens a file whose memory is not shared between workers. */
export function open(
  path: string | URL,
  options?: MmapOpenOptions | null,
): Promise<MmapFile>;
export async function open(
  path: string | URL,
  options?: MmapOpenOptions | null,
): Promise<MmapFile<ArrayBufferLike>> {
  const request = checkOptions(path, options);
  const backend = backendFor(request);
  const { file, created } = await openFile(backend, request);
  try {
    let length = backend.regularSize(file, request.name);
    if (length === 0 && request.size > 0) {
      length = request.size;
      const reserved = !request.sparse && await backend.reserve(file, length);
      if (!reserved) await file.truncate(length);
    }
    const mapping = backend.mapping(file, request);
    const mapped = mapFile(backend, file, mapping, request, length);
    if (request.prefetch) await mapping.prefetch(0, mapped.size);
    return mapped;
  } catch (error) {
    undo(request, file, created);
    throw error;
  }
}

/**
 * Opens a file as memory, synchronously: read-only by default. See {@linkcode open}, which needs the
 * same permissions and rejects with what this throws.
 *
 * @param path Where the file is.
 * @param options Those of `Deno.openSync`, and those of a mapping; see {@linkcode MmapOpenOptions}.
 *
 * @example Read the last bytes of a file
 * ```ts
 * import assert from "node:assert/strict";
 * import { openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "some text, then the end");
 * {
 *   using file = openSync(path);
 *   const tail = file.bytes(file.size - 3);
 *   assert.equal(new TextDecoder().decode(tail), "end");
 * }
 * Deno.removeSync(path);
 * ```
 */
export function openSync(
  path: string | URL,
  options: MmapOpenOptions & { shared: true },
): MmapFile<SharedArrayBuffer>;
/** Opens a file whose memory is not shared between workers, synchronously. */
export function openSync(
  path: string | URL,
  options?: MmapOpenOptions | null,
): MmapFile;
export function openSync(
  path: string | URL,
  options?: MmapOpenOptions | null,
): MmapFile<ArrayBufferLike> {
  const request = checkOptions(path, options);
  const backend = backendFor(request);
  const { file, created } = openFileSync(backend, request);
  try {
    let length = backend.regularSize(file, request.name);
    if (length === 0 && request.size > 0) {
      length = request.size;
      const reserved = !request.sparse && backend.reserveSync(file, length);
      if (!reserved) file.truncateSync(length);
    }
    const mapping = backend.mapping(file, request);
    const mapped = mapFile(backend, file, mapping, request, length);
    if (request.prefetch) mapping.prefetchSync(0, mapped.size);
    return mapped;
  } catch (error) {
    undo(request, file, created);
    throw error;
  }
}

/**
 * Creates a file of `size` zero bytes, or empties an existing one and gives it that, and opens it for
 * reading and writing.
 *
 * Its blocks are reserved where the filesystem can, so that a full disk is an error here and now. For
 * more choice, see the `create` and `size` of {@linkcode MmapOpenOptions}.
 *
 * @param path Where the file is to be.
 * @param size Bytes, more than 0. Without it the file is empty, and grows.
 * @throws {SystemError} If the disk has no room: `code` is "ENOSPC", and no new file is left behind.
 * @throws {TypeError} If `size` is 0.
 * @throws {RangeError} If `size` is no whole number, or negative.
 *
 * @example An array of a million numbers that outlives the process
 * ```ts
 * import assert from "node:assert/strict";
 * import { create } from "@mmapfile/mmapfile";
 *
 * const path = await Deno.makeTempFile();
 * {
 *   using file = await create(path, 8_000_000);
 *   const numbers = file.view(Float64Array);
 *   numbers[999_999] = 0.5;
 *   assert.equal(numbers.length, 1_000_000);
 * }
 * await Deno.remove(path);
 * ```
 */
export async function create(
  path: string | URL,
  size?: number,
): Promise<MmapFile> {
  return await open(path, { ...CREATE, size });
}

/**
 * Creates a file of `size` zero bytes, synchronously, or empties an existing one and gives it that, and
 * opens it for reading and writing. See {@linkcode create}, which rejects with what this throws.
 *
 * @param path Where the file is to be.
 * @param size Bytes, more than 0. Without it the file is empty, and grows.
 *
 * @example Write the header of a file
 * ```ts
 * import assert from "node:assert/strict";
 * import { createSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * {
 *   using file = createSync(path, 4096);
 *   file.view(DataView).setUint32(0, 0xcafe);
 *   assert.deepEqual([...file.bytes(2, 2)], [0xca, 0xfe]);
 * }
 * Deno.removeSync(path);
 * ```
 */
export function createSync(path: string | URL, size?: number): MmapFile {
  return openSync(path, { ...CREATE, size });
}

const CREATE = { read: true, write: true, create: true, truncate: true };

const SUPPORTED = isSupported(Deno.version.deno);

/** What maps files on this system, or stands in for it where none is known. */
const MAPPED: Backend<FileOps> = Deno.build.os === "windows"
  ? windows
  : posix ?? fallback;

/** The one place where a backend is chosen. */
function backendFor(request: OpenRequest): Backend<FileOps> {
  if (!SUPPORTED) {
    throw new Deno.errors.NotSupported(
      `Cannot open '${request.name}': mapping needs Deno 2.8 or newer, this is ${Deno.version.deno}; run 'deno upgrade'`,
    );
  }
  const backend = request.backend === "fallback" ? fallback : MAPPED;
  if (request.shared && (backend !== posix || request.copyOnWrite)) {
    throw sharedNotSupported(request.name, request.copyOnWrite);
  }
  if (backend !== fallback && !mayCallLibrary()) throw ffiDenied(request.name);
  backend.prepare();
  return backend;
}

function sharedNotSupported(name: string, copyOnWrite: boolean): Error {
  return new Deno.errors.NotSupported(
    `Cannot open '${name}': option 'shared' ` +
      (copyOnWrite
        ? "cannot be combined with 'copyOnWrite'"
        : "needs mmap(2): it is not supported on Windows, nor by the fallback"),
  );
}

let isFFIGranted = false;

/**
 * Whether the system's library may be called. Asked for as a whole: the prompt of a `dlopen` is for
 * one path, under which the library is not found and which does not cover memory.
 */
function mayCallLibrary(): boolean {
  if (!isFFIGranted) {
    const { state, partial } = Deno.permissions.requestSync({ name: "ffi" });
    isFFIGranted = state === "granted" && !partial;
  }
  return isFFIGranted;
}

/** Before 2.8 the descriptors of node:fs are not the system's, and a large buffer ends the process. */
function isSupported(version: string): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 8);
}

interface Opened<File> {
  readonly file: File;
  /** Whether the file was not there before, so that it has to go again when all else fails. */
  readonly created: boolean;
}

function openFileSync<File extends FileOps>(
  backend: Backend<File>,
  request: OpenRequest,
): Opened<File> {
  const { path, file: options } = request;
  const { create, createNew } = options;
  // Without a size nothing can fail after which a new file would have to be removed.
  if (!create || createNew || request.size === 0) {
    return { file: backend.openSync(path, options), created: !!createNew };
  }
  try {
    return { file: backend.openSync(path, asNew(options)), created: true };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const created = isDangling(path);
  return { file: backend.openSync(path, options), created };
}

async function openFile<File extends FileOps>(
  backend: Backend<File>,
  request: OpenRequest,
): Promise<Opened<File>> {
  const { path, file: options } = request;
  const { create, createNew } = options;
  // Without a size nothing can fail after which a new file would have to be removed.
  if (!create || createNew || request.size === 0) {
    return { file: await backend.open(path, options), created: !!createNew };
  }
  try {
    return { file: await backend.open(path, asNew(options)), created: true };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const created = isDangling(path);
  return { file: await backend.open(path, options), created };
}

function asNew(options: Deno.OpenOptions): Deno.OpenOptions {
  return { ...options, createNew: true, truncate: false };
}

/** Whether there is a link here to a file that is not there: O_EXCL counts it as a file, O_CREAT makes that file. */
function isDangling(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

function mapFile<File extends FileOps>(
  backend: Backend<File>,
  file: File,
  mapping: Mapping,
  request: OpenRequest,
  length: number,
): MmapFile<ArrayBufferLike> {
  const { name, offset } = request;
  const size = request.length === Infinity ? length - offset : request.length;
  if (size < 0 || offset + size > length) {
    throw new RangeError(
      `Cannot open '${name}': its ${length} bytes do not hold ` +
        `the window from ${offset} to ${offset + Math.max(0, size)}`,
    );
  }
  // A file that is made to be memory, and cannot be, is not left behind.
  if (request.size > 0) mapping.map(size);
  return new MmapFile(name, backend.name, file, mapping, request, size);
}

/** Gives back what a failed open has taken: the file, and its name if it is new. */
function undo(request: OpenRequest, file: FileOps, created: boolean): void {
  if (!created) return file.close();
  const { dev, ino } = file.statSync();
  file.close();
  try {
    const path = Deno.realPathSync(request.path);
    const there = Deno.lstatSync(path);
    // Not somebody else's file, put there meanwhile.
    if (there.dev === dev && there.ino === ino) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
