/**
 * Ranges of files as Web Streams.
 *
 * @module
 */

import {
  byteStream,
  checkOpen,
  CHUNK_SIZE,
  MAX_SYNC_READ,
  sinkStream,
  viewStream,
} from "./byte_stream.ts";
import { addBytesWritten, TruncatedError } from "./errors.ts";
import { internalsOf, type MmapFile } from "./mmap_file.ts";
import { checkRangeOptions } from "./ranges.ts";

/**
 * Options of {@linkcode toReadableStream}.
 *
 * @example
 * ```ts
 * import {
 *   openSync,
 *   toReadableStream,
 *   type ToReadableStreamOptions,
 * } from "@mmapfile/mmapfile";
 *
 * const options: ToReadableStreamOptions = { offset: 8, length: 4, chunkSize: 2 };
 * using file = openSync("LICENSE");
 * for await (const chunk of toReadableStream(file, options)) console.log(chunk);
 * ```
 */
export interface ToReadableStreamOptions {
  /** Position of the first byte, 0 by default. */
  offset?: number;
  /** Bytes, by default up to the end that the file has now. */
  length?: number;
  /** Bytes of a chunk, 256 KiB by default. The last may be shorter. */
  chunkSize?: number;
  /** Close the file when the stream ends, fails, or is canceled, `false` by default. Not with `zeroCopy`. */
  autoClose?: boolean;
  /** Deliver views of the mapped file instead of copies, `false` by default. Not with `autoClose`. */
  zeroCopy?: boolean;
}

/**
 * Options of {@linkcode toWritableStream}.
 *
 * @example
 * ```ts
 * import {
 *   createSync,
 *   toWritableStream,
 *   type ToWritableStreamOptions,
 * } from "@mmapfile/mmapfile";
 *
 * const options: ToWritableStreamOptions = { offset: 3, autoClose: true };
 * const file = createSync(Deno.makeTempFileSync());
 * await new Response("hello").body!.pipeTo(toWritableStream(file, options));
 * ```
 */
export interface ToWritableStreamOptions {
  /** Position of the first byte, 0 by default. */
  offset?: number;
  /** Close the file when the stream is closed, fails, or is aborted, `false` by default. */
  autoClose?: boolean;
}

/**
 * Returns a range of a file as a stream. The cursor does not move, so that any number of streams can read one
 * file at a time.
 *
 * By default chunks are copies, and the stream is a byte stream, which supports BYOB readers. The file stays
 * open, unless `autoClose` is given. The stream ends where the file ends now. If the file gets shorter, the
 * stream fails.
 *
 * With `zeroCopy`, chunks are views of the mapped file: nothing is copied.
 *
 * - `close()` and `truncate()` empty the chunks. Close the file when the consumer has used every byte; the end
 *   of the stream does not tell when. `autoClose` is therefore refused. `Deno.serve` goes on sending the
 *   right bytes (not on Windows).
 * - The buffer of a chunk cannot be transferred, so the stream is not a byte stream.
 * - The fallback delivers copies if the file can grow.
 * - If the stream is posted to a worker, each chunk is copied with its whole buffer.
 *
 * @param file The file, opened for reading.
 * @param options The range, the size of chunks in bytes, and whether to copy.
 * @returns The stream.
 * @throws {RangeError} If the range is not in the file, or `chunkSize` is not a whole number, 1 or more.
 * @throws {TypeError} If both `zeroCopy` and `autoClose` are given.
 * @throws {Deno.errors.BadResource} If the file is closed. If it is closed later, the stream fails.
 *
 * @example Serve a part of a file
 * ```ts
 * import { open, toReadableStream } from "@mmapfile/mmapfile";
 *
 * using file = await open("LICENSE");
 * const body = toReadableStream(file, { offset: 8, length: 4 });
 * console.log(await new Response(body).text());
 * ```
 *
 * @example Compress a file without copying it first
 * ```ts
 * import { open, toReadableStream } from "@mmapfile/mmapfile";
 *
 * using file = await open("LICENSE");
 * const compressed = toReadableStream(file, { zeroCopy: true })
 *   .pipeThrough(new CompressionStream("gzip"));
 * console.log((await new Response(compressed).bytes()).length);
 * ```
 */
export function toReadableStream<Buffer extends ArrayBufferLike = ArrayBuffer>(
  file: MmapFile<Buffer>,
  options: ToReadableStreamOptions = {},
): ReadableStream<Uint8Array<ArrayBuffer | Buffer>> {
  checkOpen("read", file);
  const { offset = 0, length = file.size - offset } = options;
  const { chunkSize = CHUNK_SIZE, autoClose = false, zeroCopy = false } =
    options;
  checkRangeOptions("read", file, offset, length);
  if (zeroCopy && autoClose) {
    throw new TypeError(
      `Cannot read '${file.name}': options 'zeroCopy' and 'autoClose' cannot be combined: ` +
        "close() empties the chunks",
    );
  }
  const internals = internalsOf(file);
  internals.checkChunkSize(chunkSize);

  let at = offset;
  const end = offset + length;
  const left = () => end - at;
  const bringIn = (size: number) => internals.bringIn(at, size);
  const copy = (size: number) => {
    const copy = file.copy(at, size);
    at += size;
    return copy;
  };
  if (zeroCopy) {
    const { isView } = internals;
    const view = (size: number) => {
      const view = file.bytes(at, size);
      at += size;
      return view;
    };
    const source = { left, bringIn, view: isView ? view : copy, isView };
    return viewStream(file, source, chunkSize);
  }
  const read = async (p: Uint8Array) => {
    if (at === end) return null;
    const read = p.length <= MAX_SYNC_READ
      ? file.readAtSync(p, at)
      : await file.readAt(p, at);
    if (read === null || read < p.length) throw endedEarlyError(file, end);
    at += read;
    return read;
  };
  return byteStream(file, { left, bringIn, copy, read }, chunkSize, autoClose);
}

/**
 * Returns a stream that writes to a file from a position on. The cursor does not move, so that any number of
 * streams can write to one file at a time. The file stays open, unless `autoClose` is given.
 *
 * @param file The file, opened for writing.
 * @param options The position of the first byte, and whether to close the file at the end.
 * @returns The stream.
 * @throws {RangeError} If `offset` is not a whole number, 0 or more.
 * @throws {ReadOnlyError} If the file was not opened for writing.
 * @throws {Deno.errors.BadResource} If the file is closed. If it is closed later, the stream fails. So does a
 * stream past the end of a fixed-size file, with an {@linkcode OutOfBoundsError} whose `bytesWritten` counts
 * everything that the stream has written.
 *
 * @example Download into the middle of a file
 * ```ts
 * import { create, toWritableStream } from "@mmapfile/mmapfile";
 *
 * using file = await create(Deno.makeTempFileSync());
 * const response = await fetch("data:text/plain,hello");
 * await response.body!.pipeTo(toWritableStream(file, { offset: 8 }));
 * ```
 */
export function toWritableStream(
  file: MmapFile<ArrayBufferLike>,
  options: ToWritableStreamOptions = {},
): WritableStream<Uint8Array<ArrayBufferLike>> {
  const { offset = 0, autoClose = false } = options;
  checkOpen("write", file);
  internalsOf(file).checkWritable(offset);

  let at = offset;
  return sinkStream(file, autoClose, async (p) => {
    try {
      at += await file.writeAt(p, at);
    } catch (error) {
      throw addBytesWritten(error, at - offset);
    }
  });
}

function endedEarlyError(
  file: MmapFile<ArrayBufferLike>,
  end: number,
): Error {
  const message =
    `Cannot read '${file.name}': the stream ends at byte ${end}, but the file now ends at ${file.size}`;
  return file.truncated ? new TruncatedError(message) : new RangeError(message);
}
