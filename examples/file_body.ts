/**
 * The body of a response from a mapped file, with as few copies as are safe.
 *
 * Deno sends views of a file's memory without a copy. Before each, the file is checked: if it has changed, the
 * connection is closed. The end of a body is a copy, made when all views have been sent. So a client that
 * receives a whole body has the bytes of one state of the file.
 *
 * One case remains: the file is truncated within the bytes that Deno has taken and not sent yet. The client
 * does not receive the rest, and the connection stays open until the client closes it.
 *
 * @module
 */

import type { MmapFile } from "@mmapfile/mmapfile";

/** The first byte, and the one after the last. */
export type Range = [from: number, to: number];

/** Bytes handed to Deno at a time. It takes two such chunks, and a few KiB, ahead of what it sends (measured). */
const CHUNK = 64 << 10;

/** Bytes at the end of a body that are copies: many more than Deno takes ahead. */
const COPIED = 8 * CHUNK;

/** The state of a file, as an entity tag. */
export function etagOf({ ino, size, mtime }: Deno.FileInfo): string {
  return `"${ino}-${size}-${mtime?.getTime()}"`;
}

/** Returns a response with a range of a file. It fails if the file has changed since `was`. */
export function responseOf(
  file: MmapFile,
  range: Range,
  was: Deno.FileInfo,
  init: ResponseInit,
): Response {
  const [from, to] = range;
  if (to - from > COPIED) {
    return new Response(ReadableStream.from(chunksOf(file, range, was)), init);
  }
  // A response copies an array at once.
  const response = new Response(file.bytes(from, to - from), init);
  checkUnchanged(file, was);
  return response;
}

/** Yields the bytes of a range in chunks, the last of which are copies. */
export function* chunksOf(
  file: MmapFile,
  [from, to]: Range,
  was: Deno.FileInfo,
): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let at = from; at < to; at += CHUNK) {
    const left = to - at;
    const size = Math.min(CHUNK, left);
    const chunk = left > COPIED ? file.bytes(at, size) : file.copy(at, size);
    checkUnchanged(file, was);
    yield chunk;
  }
}

function checkUnchanged(file: MmapFile, was: Deno.FileInfo): void {
  const { size, mtime } = file.statSync();
  if (size === was.size && mtime!.getTime() === was.mtime!.getTime()) return;
  throw new Error(`Cannot send '${file.name}': it has changed`);
}
