/**
 * Opening and creating files: options checked, a backend opens and maps.
 *
 * @module
 */

import { ffiDenied } from "./errors.ts";
import { fallback } from "./fallback/mapping.ts";
import type { Backend, BackendFile, FileOps, Mapping } from "./storage.ts";
import { MmapFile } from "./mmap_file.ts";
import { checkOptions, type OpenRequest } from "./options.ts";
import { posix } from "./posix/mapping.ts";
import type { MmapOpenOptions } from "./types.ts";
import { windows } from "./windows/mapping.ts";

/**
 * Opens a file whose memory is a `SharedArrayBuffer`, so that views can be posted to workers; see the other
 * overload.
 *
 * @param path The path of the file.
 * @param options Those of {@linkcode MmapOpenOptions}, with `shared: true`.
 * @returns The file.
 * @throws {Deno.errors.NotSupported} On Windows, with the fallback, and with `copyOnWrite`.
 */
export function open(
  path: string | URL,
  options: MmapOpenOptions & { shared: true },
): Promise<MmapFile<SharedArrayBuffer>>;
/**
 * Opens a file, read-only by default, as `Deno.open` does. Nothing is read or mapped until it is used.
 *
 * Requires `--allow-read` for the path, `--allow-write` to write to it, and `--allow-ffi`.
 *
 * @param path The path of the file.
 * @param options Those of `Deno.open`, and those of a mapping; see {@linkcode MmapOpenOptions}.
 * @returns The file.
 * @throws {Deno.errors.NotFound} If the file does not exist and `create` is not given.
 * @throws {Deno.errors.AlreadyExists} If the file exists and `createNew` is given.
 * @throws {Deno.errors.IsADirectory} If the path is a directory.
 * @throws {Deno.errors.PermissionDenied} If the system denies access.
 * @throws {Deno.errors.NotCapable} If a permission is missing. The message names it.
 * @throws {Deno.errors.NotSupported} If Deno is older than 2.8.
 * @throws {SystemError} If the path is not a regular file, or cannot be mapped.
 * @throws {TypeError} If two options cannot be combined.
 * @throws {RangeError} If the window of `offset` and `length` is not in the file.
 *
 * @example Replace `Deno.open` with `open`
 * ```ts
 * import { open } from "@mmapfile/mmapfile";
 *
 * using file = await open("LICENSE");
 * const buffer = new Uint8Array(100);
 * console.log(await file.read(buffer)); // 100
 * ```
 *
 * @example Append to a log, and read it
 * ```ts
 * import assert from "node:assert/strict";
 * import { open } from "@mmapfile/mmapfile";
 *
 * const options = { read: true, append: true, create: true };
 * using log = await open(Deno.makeTempFileSync(), options);
 * await log.write(new TextEncoder().encode("started\n"));
 * assert.equal(log.text(), "started\n");
 * ```
 */
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
  const { file, created } = triesExclusive(request)
    ? await openExclusive(backend, request)
    : {
      file: await backend.open(request.path, request.file),
      created: request.file.createNew === true,
    };
  try {
    let length = file.regularSize();
    if (length === 0 && request.size > 0) {
      length = request.size;
      const reserved = !request.sparse && await file.reserve(length);
      if (!reserved) await file.truncate(length);
    }
    const mapping = backend.mapping(file, request);
    const mapped = mapFile(backend, file, mapping, request, length, false);
    if (request.prefetch) await mapping.prefetch(0, mapped.size);
    return mapped;
  } catch (error) {
    rollBack(request, file, created);
    throw error;
  }
}

/**
 * Opens a file whose memory is a `SharedArrayBuffer`, so that views can be posted to workers; see the other
 * overload.
 *
 * @param path The path of the file.
 * @param options Those of {@linkcode MmapOpenOptions}, with `shared: true`.
 * @returns The file.
 * @throws {Deno.errors.NotSupported} On Windows, with the fallback, and with `copyOnWrite`.
 */
export function openSync(
  path: string | URL,
  options: MmapOpenOptions & { shared: true },
): MmapFile<SharedArrayBuffer>;
/**
 * Opens a file, read-only by default, as `Deno.openSync` does. Throws as {@linkcode open} rejects, and requires
 * the same permissions.
 *
 * @param path The path of the file.
 * @param options Those of `Deno.openSync`, and those of a mapping; see {@linkcode MmapOpenOptions}.
 * @returns The file.
 *
 * @example View the last bytes of a file
 * ```ts
 * import { openSync } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * const end = file.bytes(file.size - 3);
 * console.log(end.length); // 3
 * ```
 */
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
  const { file, created } = triesExclusive(request)
    ? openExclusiveSync(backend, request)
    : {
      file: backend.openSync(request.path, request.file),
      created: request.file.createNew === true,
    };
  try {
    const low = mayBeLow(request) ? file.lowSize?.() : undefined;
    let length = low ?? file.regularSize();
    if (length === 0 && request.size > 0) {
      length = request.size;
      const reserved = !request.sparse && file.reserveSync(length);
      if (!reserved) file.truncateSync(length);
    }
    const mapping = backend.mapping(file, request);
    const isLow = low !== undefined;
    const mapped = mapFile(backend, file, mapping, request, length, isLow);
    if (request.prefetch) mapping.prefetchSync(0, mapped.size);
    return mapped;
  } catch (error) {
    rollBack(request, file, created);
    throw error;
  }
}

/**
 * Creates a file, or truncates an existing one, and opens it for reading and writing.
 *
 * Without `size` the file is empty and grows, as with `Deno.create`. With `size` it has that many zero bytes,
 * and a fixed size. Their disk blocks are reserved if the filesystem can, so that a full disk is an error here.
 * See `size` and `sparse` of {@linkcode MmapOpenOptions}.
 *
 * @param path The path of the file.
 * @param size The size in bytes, more than 0.
 * @returns The file.
 * @throws {SystemError} If the disk is full: `code` is "ENOSPC". A new file is removed.
 * @throws {TypeError} If `size` is 0.
 * @throws {RangeError} If `size` is not a whole number, or negative.
 *
 * @example An array of a million numbers that outlives the process
 * ```ts
 * import { create } from "@mmapfile/mmapfile";
 *
 * using file = await create(Deno.makeTempFileSync(), 8_000_000);
 * const numbers = file.view(Float64Array);
 * numbers[999_999] = 0.5;
 * ```
 */
export async function create(
  path: string | URL,
  size?: number,
): Promise<MmapFile> {
  return await open(path, createOptions(size));
}

/**
 * Creates a file, or truncates an existing one, and opens it for reading and writing. Throws as
 * {@linkcode create} rejects.
 *
 * @param path The path of the file.
 * @param size The size in bytes, more than 0. Without it the file is empty and grows.
 * @returns The file.
 *
 * @example Write a header
 * ```ts
 * import { createSync } from "@mmapfile/mmapfile";
 *
 * using file = createSync(Deno.makeTempFileSync(), 4096);
 * file.view(DataView).setUint32(0, 0xcafe);
 * ```
 */
export function createSync(path: string | URL, size?: number): MmapFile {
  return openSync(path, createOptions(size));
}

function createOptions(size: number | undefined): MmapOpenOptions {
  const options = { read: true, write: true, create: true, truncate: true };
  return size === undefined ? options : { ...options, size };
}

const SUPPORTED = isSupported(Deno.version.deno);

/** The backend of this system: the fallback if it has no other. */
const NATIVE: Backend<BackendFile> = Deno.build.os === "windows"
  ? windows
  : posix ?? fallback;

/** The one place where a backend is chosen. */
function backendFor(request: OpenRequest): Backend<BackendFile> {
  if (!SUPPORTED) {
    throw new Deno.errors.NotSupported(
      `Cannot open '${request.name}': mapping needs Deno 2.8 or newer, this is ${Deno.version.deno}; run 'deno upgrade'`,
    );
  }
  const backend = request.backend === "fallback" ? fallback : NATIVE;
  if (request.shared && (backend !== posix || request.copyOnWrite)) {
    throw sharedNotSupported(request.name, request.copyOnWrite);
  }
  if (backend !== fallback && !requestFFI()) throw ffiDenied(request.name);
  backend.prepare();
  return backend;
}

function sharedNotSupported(name: string, copyOnWrite: boolean): Error {
  return new Deno.errors.NotSupported(
    `Cannot open '${name}': option 'shared' ` +
      (copyOnWrite
        ? "cannot be combined with 'copyOnWrite'"
        : "requires mmap(2): it is not supported on Windows or by the fallback"),
  );
}

let isFFIGranted = false;

/**
 * Requests the permission to call the system's library, and returns whether it is granted. It is requested without a
 * path: the prompt of a `dlopen` is for one path, which does not cover memory.
 */
function requestFFI(): boolean {
  if (!isFFIGranted) {
    const { state, partial } = Deno.permissions.requestSync({ name: "ffi" });
    isFFIGranted = state === "granted" && !partial;
  }
  return isFFIGranted;
}

/** Before 2.8 the descriptors of node:fs are not the system's, and a large buffer kills the process. */
function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 8);
}

interface Opened<File> {
  readonly file: File;
  /** Whether the file is new, so that a failed open removes it. */
  readonly created: boolean;
}

/** Whether the upper bits of the size may be missing: a fixed size must be known, and a new file is empty. */
function mayBeLow({ grow, file }: OpenRequest): boolean {
  return grow && !file.truncate && !file.createNew;
}

/** Whether it matters if `open` creates the file: one with a size is removed if the open fails after that. */
function triesExclusive(request: OpenRequest): boolean {
  const { create, createNew } = request.file;
  return create === true && !createNew && request.size > 0;
}

/** Opens a file that may exist, and tells whether it did. */
function openExclusiveSync<File extends BackendFile>(
  backend: Backend<File>,
  request: OpenRequest,
): Opened<File> {
  const { path, file: options } = request;
  try {
    return { file: backend.openSync(path, exclusive(options)), created: true };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const created = isDanglingSymlink(path);
  return { file: backend.openSync(path, options), created };
}

/** As `openExclusiveSync`, off the event loop. */
async function openExclusive<File extends BackendFile>(
  backend: Backend<File>,
  request: OpenRequest,
): Promise<Opened<File>> {
  const { path, file: options } = request;
  try {
    return {
      file: await backend.open(path, exclusive(options)),
      created: true,
    };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const created = isDanglingSymlink(path);
  return { file: await backend.open(path, options), created };
}

function exclusive(options: Deno.OpenOptions): Deno.OpenOptions {
  return { ...options, createNew: true, truncate: false };
}

/** Whether this is a symlink to a file that does not exist: O_EXCL finds a file there, and O_CREAT creates its target. */
function isDanglingSymlink(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

function mapFile<File extends BackendFile>(
  backend: Backend<File>,
  file: File,
  mapping: Mapping,
  request: OpenRequest,
  length: number,
  isLow: boolean,
): MmapFile<ArrayBufferLike> {
  const { name, offset } = request;
  const size = request.length === Infinity ? length - offset : request.length;
  if (size < 0 || offset + size > length) {
    throw new RangeError(
      `Cannot open '${name}': the window from ${offset} to ` +
        `${offset + Math.max(0, size)} is not in its ${length} bytes`,
    );
  }
  // If a file with `size` cannot be mapped, the open fails, and a new file is removed.
  if (request.size > 0) mapping.map(size);
  return new MmapFile(name, backend.name, file, mapping, request, size, isLow);
}

/** Closes the file of a failed open, and removes it if it is new. */
function rollBack(request: OpenRequest, file: FileOps, created: boolean): void {
  if (!created) return file.close();
  const { dev, ino } = file.statSync();
  file.close();
  try {
    const path = Deno.realPathSync(request.path);
    const there = Deno.lstatSync(path);
    // Not a file that another process has put there since.
    if (there.dev === dev && there.ino === ino) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
