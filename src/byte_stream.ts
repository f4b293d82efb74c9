/**
 * Web Streams that read from a source of bytes, or write to a sink. Knows nothing of memory or cursors.
 *
 * @module
 */

import { yieldIfDue } from "./event_loop.ts";
import { bytesUnder } from "./intrinsics.ts";

/** A file as streams know it. */
export interface OpenFile {
  readonly name: string;
  readonly closed: boolean;
  close(): void;
}

/** Where a stream reads its bytes. */
export interface ByteSource {
  /** Bytes that are left, as far as is known. */
  left(): number;
  /** Brings the next `size` bytes into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(size: number): Promise<void> | undefined;
  /** A copy of the next `size` bytes, which are known to be left; `undefined` if they must be read. */
  copy(size: number): Uint8Array<ArrayBuffer> | undefined;
  /** Fills `p`. Returns the number of bytes read, or `null` at the end. */
  read(p: Uint8Array): number | null | Promise<number | null>;
}

/** Where a stream gets views of memory. */
export interface ViewSource<Buffer extends ArrayBufferLike> {
  /** Bytes that are left. */
  left(): number;
  /** Brings the next `size` bytes into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(size: number): Promise<void> | undefined;
  /** A view of the next `size` bytes, or a copy. */
  view(size: number): Uint8Array<ArrayBuffer | Buffer>;
  /** Whether `view` returns views, which become empty if the memory is unmapped. */
  readonly isView: boolean;
}

/**
 * Bytes of a chunk. Of 16 KiB to 4 MiB this drains 256 MB fastest (measured): each chunk takes the stream some
 * time, and a larger one does not fit the processor's cache.
 */
export const CHUNK_SIZE = 256 << 10;

/** The largest read done in one go. During a larger one the file lets the event loop run. */
export const MAX_SYNC_READ = 1 << 20;

/** A byte stream. With `autoClose` it closes the file at its end, if it is canceled, and on an error. */
export function byteStream(
  file: OpenFile,
  source: ByteSource,
  chunkSize: number,
  autoClose: boolean,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        await yieldIfDue();
        checkOpen("read", file);
        const coming = source.bringIn(Math.min(chunkSize, MAX_SYNC_READ));
        if (coming !== undefined) {
          await coming;
          checkOpen("read", file);
        }
        const view = controller.byobRequest?.view ?? null;
        const size = Math.min(chunkSize, source.left());
        if (view === null && size > 0 && size <= MAX_SYNC_READ) {
          const copy = source.copy(size);
          if (copy !== undefined) return controller.enqueue(copy);
        }
        // A read finds the end, and needs room for a byte.
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
          if (autoClose) closeOnce(file);
          controller.close();
          controller.byobRequest?.respond(0);
        } else if (view !== null) controller.byobRequest!.respond(read);
        else controller.enqueue(read < p.length ? p.subarray(0, read) : p);
      } catch (error) {
        if (autoClose) closeQuietly(file);
        throw error;
      }
    },
    cancel() {
      if (autoClose) closeOnce(file);
    },
  });
}

/** A stream of views, which leaves the file open. */
export function viewStream<Buffer extends ArrayBufferLike>(
  file: OpenFile,
  source: ViewSource<Buffer>,
  chunkSize: number,
): ReadableStream<Uint8Array<ArrayBuffer | Buffer>> {
  let first: Uint8Array | undefined;
  return new ReadableStream<Uint8Array<ArrayBuffer | Buffer>>({
    async pull(controller) {
      await yieldIfDue();
      checkOpen("read", file);
      const coming = source.bringIn(chunkSize);
      if (coming !== undefined) {
        await coming;
        checkOpen("read", file);
      }
      const view = source.view(Math.min(chunkSize, source.left()));
      // The consumer may not have used the chunks yet.
      if (first?.length === 0) throw unmappedError(file);
      if (view.length === 0) return controller.close();
      if (source.isView) first ??= view;
      controller.enqueue(view);
    },
    // Reads nothing in advance, like a byte stream.
  }, { highWaterMark: 0 });
}

/** A stream to write to. With `autoClose` it closes the file at its end, if it is aborted, and on an error. */
export function sinkStream(
  file: OpenFile,
  autoClose: boolean,
  write: (p: Uint8Array) => Promise<void>,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return new WritableStream({
    async write(chunk) {
      try {
        await yieldIfDue();
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

/** Throws what Deno's streams throw for a closed file. */
export function checkOpen(action: string, file: OpenFile): void {
  if (!file.closed) return;
  throw new Deno.errors.BadResource(
    `Cannot ${action} '${file.name}': The stream's underlying resource was closed or consumed`,
  );
}

/** The bytes of a chunk: of any view or buffer, as Deno's streams accept them. */
function bytesOf(chunk: unknown): Uint8Array {
  const bytes = bytesUnder(chunk);
  if (bytes !== undefined) return bytes;
  throw new TypeError(
    "Expected ArrayBuffer or ArrayBufferView for write chunk",
  );
}

function closeOnce(file: OpenFile): void {
  if (!file.closed) file.close();
}

function closeQuietly(file: OpenFile): void {
  try {
    closeOnce(file);
  } catch {
    // The file is closed even so, and the stream fails with the first error.
  }
}

function unmappedError(file: OpenFile): Error {
  return new TypeError(
    `Cannot read '${file.name}': its memory was unmapped, and the chunks of the stream are empty`,
  );
}
