/**
 * Files as memory, for Deno.
 *
 * @module
 */

export { create, createSync, open, openSync } from "./src/open.ts";
export { MmapFile, type TypedArrayConstructor } from "./src/mmap_file.ts";
export type { LinesOptions } from "./src/search.ts";
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
  Closer,
  MmapOpenOptions,
  Reader,
  ReaderAt,
  ReaderAtSync,
  ReaderSync,
  Seeker,
  SeekerSync,
  Writer,
  WriterAt,
  WriterAtSync,
  WriterSync,
} from "./src/types.ts";
