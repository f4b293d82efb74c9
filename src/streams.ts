/**
 * Web Streams over files.
 *
 * @module
 */

import type { Closer, ReaderSync, WriterSync } from "./types.ts";

/** A file as the streams need it. */
interface StreamedFile extends ReaderSync, WriterSync, Closer {
  readonly name: string;
  readonly closed: boolean;
}

/** Bytes read at once for a reader that brings no buffer of its own. */
const CHUNK_SIZE = 64 << 10;

/** The rest of the file as a byte stream that closes the file at its end, on cancel and on error. */
export function readableOf(
  file: StreamedFile,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: CHUNK_SIZE,
    pull(controller) {
      checkOpen("read", file);
      const request = controller.byobRequest!;
      const view = request.view!;
      const chunk = new Uint8Array(
        view.buffer,
        view.byteOffset,
        view.byteLength,
      );
      try {
        const read = file.readSync(chunk);
        if (read === null) {
          file.close();
          controller.close();
        }
        request.respond(read ?? 0);
      } catch (error) {
        closeQuietly(file);
        throw error;
      }
    },
    cancel: () => closeQuietly(file),
  });
}

/** The file as a stream to write to, which closes the file at its end, on abort and on error. */
export function writableOf(
  file: StreamedFile,
): WritableStream<Uint8Array<ArrayBufferLike>> {
  return new WritableStream({
    write(chunk) {
      checkOpen("write", file);
      try {
        file.writeSync(chunk);
      } catch (error) {
        closeQuietly(file);
        throw error;
      }
    },
    close: () => file.close(),
    abort: () => closeQuietly(file),
  });
}

function checkOpen(action: string, file: StreamedFile): void {
  if (!file.closed) return;
  throw new Deno.errors.BadResource(
    `Cannot ${action} '${file.name}': The stream's underlying resource was closed or consumed`,
  );
}

function closeQuietly(file: StreamedFile): void {
  if (!file.closed) file.close();
}
