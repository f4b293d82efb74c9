/**
 * Web Streams over files.
 *
 * @module
 */

import { addBytesWritten, TruncatedError } from "./errors.ts";
import { turnAfter } from "./event_loop.ts";
import { bytesUnder } from "./intrinsics.ts";
import { bringIn, keepsViews, type MmapFile } from "./mmap_file.ts";

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
 * Bytes of a chunk. Smaller ones cost a turn of the stream's machinery each, larger ones no longer
 * fit the processor's cache: of 16 KiB to 4 MiB this drains 256 MB fastest (measured).
 */
const CHUNK_SIZE = 256 << 10;

/** The largest read done in one go; of larger ones the file lets the event loop run in between. */
const AT_ONCE = 1 << 20;

const NOTHING = new Uint8Array(0);

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
  checkRange(file, offset, length);
  if (zeroCopy && autoClose) {
    throw new TypeError(
      `Cannot read '${file.name}': options 'zeroCopy' and 'autoClose' cannot be combined: ` +
        "close() empties the chunks",
    );
  }
  // Refuses what is no size of a chunk, and a file that is not open for reading.
  file.chunks(chunkSize);

  let at = offset;
  const end = offset + length;
  const source: Source<Buffer> = {
    left: () => end - at,
    bringIn: (size) => bringIn(file, at, size),
    copy(size) {
      const copy = file.copy(at, size);
      at += size;
      return copy;
    },
    async read(p) {
      if (at === end) return null;
      const read = p.length <= AT_ONCE
        ? file.readAtSync(p, at)
        : await file.readAt(p, at);
      if (read === null || read < p.length) throw gotShorter(file, end);
      at += read;
      return read;
    },
    view(size) {
      // A last look too: what was handed out may have been gone when it was used.
      const view = keepsViews(file)
        ? file.bytes(at, size)
        : file.copy(at, size);
      at += size;
      return view;
    },
    end: () => {
      if (autoClose) closeOnce(file);
    },
    fail: () => {
      if (autoClose) closeQuietly(file);
    },
  };
  return zeroCopy
    ? viewStream(file, source, chunkSize)
    : byteStream(file, source, chunkSize);
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
  // Refuses a file that is not open for writing, and what is no position.
  file.writeAtSync(NOTHING, offset);

  let at = offset;
  return sink(file, autoClose, async (p) => {
    try {
      at += await file.writeAt(p, at);
    } catch (error) {
      throw addBytesWritten(error, at - offset);
    }
  });
}

/** The rest of the file as a byte stream that closes the file at its end, on cancel and on error. */
export function readableOf(
  file: MmapFile<ArrayBufferLike>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return byteStream(file, {
    left: () => file.size - file.seekSync(0, Deno.SeekMode.Current),
    bringIn: (size) =>
      bringIn(file, file.seekSync(0, Deno.SeekMode.Current), size),
    copy(size) {
      const at = file.seekSync(0, Deno.SeekMode.Current);
      try {
        const copy = file.copy(at, size);
        file.seekSync(size, Deno.SeekMode.Current);
        return copy;
      } catch (error) {
        // A read goes on where the file is truncated, as that of Deno.FsFile does.
        if (!(error instanceof TruncatedError)) throw error;
      }
    },
    read: (p) => p.length <= AT_ONCE ? file.readSync(p) : file.read(p),
    end: () => closeOnce(file),
    fail: () => closeQuietly(file),
  }, CHUNK_SIZE);
}

/** The file as a stream to write to, which closes the file at its end, on abort and on error. */
export function writableOf(
  file: MmapFile<ArrayBufferLike>,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return sink(file, true, async (p) => void await file.write(p));
}

/** Where a stream gets its bytes from. */
interface ByteSource {
  /** Bytes to come, as far as is known. */
  left(): number;
  /** Brings the next `size` bytes into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(size: number): Promise<void> | undefined;
  /** A copy of the next `size` bytes, which are known to be left; `undefined` if a read has to be tried. */
  copy(size: number): Uint8Array<ArrayBuffer> | undefined;
  /** Fills `p`; returns the number of bytes read, or `null` at the end. */
  read(p: Uint8Array): number | null | Promise<number | null>;
  /** Gives back what is held, at the end. */
  end(): void;
  /** Gives back what is held, after an error that is about to be told, which no other may replace. */
  fail(): void;
}

interface Source<Buffer extends ArrayBufferLike> extends ByteSource {
  /** The next `size` bytes themselves, where they stay when the file grows. */
  view(size: number): Uint8Array<ArrayBuffer | Buffer>;
}

function byteStream(
  file: MmapFile<ArrayBufferLike>,
  source: ByteSource,
  chunkSize: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        await turnAfter();
        checkOpen("read", file);
        const coming = source.bringIn(Math.min(chunkSize, AT_ONCE));
        if (coming !== undefined) {
          await coming;
          checkOpen("read", file);
        }
        const view = controller.byobRequest?.view ?? null;
        const size = Math.min(chunkSize, source.left());
        if (view === null && size > 0 && size <= AT_ONCE) {
          const copy = source.copy(size);
          if (copy !== undefined) return controller.enqueue(copy);
        }
        // The end is found by a read, which needs a byte of room.
        const left = Math.max(1, source.left());
        const p = view === null
          ? new Uint8Array(Math.min(chunkSize, left))
          : new Uint8Array(
            view.buffer,
            view.byteOffset,
            Math.min(view.byteLength, left),
          );
        const read = await source.read(p);
        if (read === null) {
          source.end();
          controller.close();
          controller.byobRequest?.respond(0);
        } else if (view !== null) controller.byobRequest!.respond(read);
        else controller.enqueue(read < p.length ? p.subarray(0, read) : p);
      } catch (error) {
        source.fail();
        throw error;
      }
    },
    cancel: () => source.end(),
  });
}

function viewStream<Buffer extends ArrayBufferLike>(
  file: MmapFile<Buffer>,
  source: Source<Buffer>,
  chunkSize: number,
): ReadableStream<Uint8Array<ArrayBuffer | Buffer>> {
  let first: Uint8Array | undefined;
  return new ReadableStream<Uint8Array<ArrayBuffer | Buffer>>({
    async pull(controller) {
      try {
        await turnAfter();
        checkOpen("read", file);
        const coming = source.bringIn(chunkSize);
        if (coming !== undefined) {
          await coming;
          checkOpen("read", file);
        }
        const view = source.view(Math.min(chunkSize, source.left()));
        // Whoever reads the stream may not have looked at the chunks yet.
        if (first?.length === 0) throw unmapped(file);
        if (view.length > 0) {
          if (keepsViews(file)) first ??= view;
          return controller.enqueue(view);
        }
        source.end();
        controller.close();
      } catch (error) {
        source.fail();
        throw error;
      }
    },
    cancel: () => source.end(),
    // Nothing is taken before it is asked for, as in a byte stream.
  }, { highWaterMark: 0 });
}

function sink(
  file: MmapFile<ArrayBufferLike>,
  autoClose: boolean,
  write: (p: Uint8Array) => Promise<void>,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return new WritableStream({
    async write(chunk) {
      try {
        await turnAfter();
        checkOpen("write", file);
        await write(bytesOf(chunk));
      } catch (error) {
        if (autoClose) closeQuietly(file);
        throw error;
      }
    },
    close() {
      if (autoClose) closeOnce(file);
    },
    abort() {
      if (autoClose) closeOnce(file);
    },
  });
}

/** What a stream for bytes is given: any kind of view, and a buffer too, as Deno's take them. */
function bytesOf(chunk: unknown): Uint8Array {
  const bytes = bytesUnder(chunk);
  if (bytes !== undefined) return bytes;
  throw new TypeError(
    "Expected ArrayBuffer or ArrayBufferView for write chunk",
  );
}

function checkOpen(action: string, file: MmapFile<ArrayBufferLike>): void {
  if (!file.closed) return;
  throw new Deno.errors.BadResource(
    `Cannot ${action} '${file.name}': The stream's underlying resource was closed or consumed`,
  );
}

function checkRange(
  file: MmapFile<ArrayBufferLike>,
  offset: number,
  length: number,
): void {
  if (
    Number.isSafeInteger(offset) && offset >= 0 &&
    Number.isSafeInteger(length) && length >= 0 &&
    offset + length <= file.size
  ) return;
  throw new RangeError(
    `Cannot read '${file.name}': offset ${offset} and length ${length} are not a range of its ${file.size} bytes`,
  );
}

function closeOnce(file: MmapFile<ArrayBufferLike>): void {
  if (!file.closed) file.close();
}

function closeQuietly(file: MmapFile<ArrayBufferLike>): void {
  try {
    closeOnce(file);
  } catch {
    // The file is closed all the same, and the reason for that is told.
  }
}

function unmapped(file: MmapFile<ArrayBufferLike>): Error {
  return new TypeError(
    `Cannot read '${file.name}': its memory was unmapped, and the chunks of the stream are empty`,
  );
}

function gotShorter(file: MmapFile<ArrayBufferLike>, end: number): Error {
  const message =
    `Cannot read '${file.name}': the stream ends at byte ${end}, but the file now ends at ${file.size}`;
  return file.truncated ? new TruncatedError(message) : new RangeError(message);
}
