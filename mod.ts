/**
 * Memory-mapped files for Deno: {@linkcode MmapFile} is a drop-in replacement for `Deno.FsFile` that reads
 * and writes through mapped memory instead of system calls. It can return the file's bytes as a
 * `Uint8Array` without copying them.
 *
 * ```ts
 * import { open } from "@mmapfile/mmapfile";
 *
 * using file = await open("deno.json"); // Deno.open, one word changed
 * const start = new Uint8Array(10);
 * await file.read(start); // at the cursor, as with Deno.FsFile
 * file.readAtSync(start, 5); // at a position
 * const end = file.bytes(file.size - 2); // a view of the file, not a copy
 * console.log(file.indexOf("version"), file.text(0, 1), end.length);
 * ```
 *
 * Files are opened by {@linkcode open} and {@linkcode openSync}, and created by {@linkcode create} and
 * {@linkcode createSync}. The options are those of `Deno.open` and {@linkcode MmapOpenOptions}. Offsets,
 * lengths, and sizes are in bytes.
 *
 * ## Permissions
 *
 * - `--allow-read` is always required. Path-scoped grants work.
 * - `--allow-write` is required to write, truncate, or create files. Path-scoped grants work.
 * - `--allow-ffi` is required to map files, without a path: a path-scoped grant does not cover memory.
 *   With `{ backend: "fallback" }` it is not required; the file is then read into memory.
 *
 * ## Views
 *
 * {@linkcode MmapFile.prototype.bytes | bytes}, {@linkcode MmapFile.prototype.view | view},
 * {@linkcode MmapFile.prototype.chunks | chunks}, and {@linkcode MmapFile.prototype.lines | lines} return
 * views of the mapped file. A write to a view changes the file immediately, and writes by other processes
 * appear in it.
 *
 * 1. A view ends with its file: `close()` and `truncate()` to a shorter length make it empty.
 *    {@linkcode MmapFile.prototype.copy | copy} returns bytes to keep.
 * 2. Decode text with {@linkcode MmapFile.prototype.text | text} or
 *    {@linkcode MmapFile.prototype.textLines | textLines}. If another process changes a view during a
 *    `TextDecoder` call, your process may die.
 * 3. The memory of a view cannot be transferred. Native operations on it go on with the file's bytes
 *    after `close()`, except on Windows and above 16 GiB.
 *
 * ## If another process truncates the file
 *
 * - On Linux (x86-64 and arm64), methods that `Deno.FsFile` has go on with the file as it is now. Methods
 *   that work on memory throw {@linkcode TruncatedError} until
 *   {@linkcode MmapFile.prototype.refresh | refresh}. Views read zeros.
 * - On macOS and the BSDs, and where {@linkcode MmapFile.prototype.guarded | guarded} is `false`, `SIGBUS` kills the process.
 * - Windows refuses to truncate a mapped file.
 *
 * ## When to use `Deno.FsFile` instead
 *
 * - For one pass over a large file that is not in the page cache: the disk is the limit.
 * - For many small appends, unless the file is lengthened ahead.
 * - On network filesystems, where a failed read is a fault instead of an error.
 * - For pipes, terminals, and devices: only regular files can be opened.
 * - In programs that you do not trust with `--allow-ffi`.
 *
 * The README has benchmarks and a table of what happens when on each platform. The repository has a guide
 * (`docs/guide.md`): durability, truncation, errors, memory, workers, async, text, and recipes.
 *
 * @module
 */

export { create, createSync, open, openSync } from "./src/open.ts";
export { MmapFile } from "./src/mmap_file.ts";
export type { BlobOptions } from "./src/blob.ts";
export type { LinesOptions } from "./src/search.ts";
export type { TextLinesOptions } from "./src/text_lines.ts";
export {
  toReadableStream,
  type ToReadableStreamOptions,
  toWritableStream,
  type ToWritableStreamOptions,
} from "./src/streams.ts";
export {
  ClosedError,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  type SystemErrorFacts,
  TruncatedError,
} from "./src/errors.ts";
export type {
  Advice,
  ArrayOver,
  ByteRange,
  Closer,
  MmapOpenOptions,
  PrefetchOptions,
  Reader,
  ReaderAt,
  ReaderAtSync,
  ReaderSync,
  Seeker,
  SeekerSync,
  TypedArrayConstructor,
  WaitOptions,
  WaitResult,
  Writer,
  WriterAt,
  WriterAtSync,
  WriterSync,
} from "./src/types.ts";
