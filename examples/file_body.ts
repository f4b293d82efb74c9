/**
 * The body of a response from a mapped file, with as few copies as are safe.
 *
 * Deno sends views of a file's memory without a copy. Before each, the file is looked at: once it has changed,
 * the connection is closed. The end of a body is a copy, made when all views have been sent. So a client that
 * has all of a body has bytes of one state of the file.
 *
 * One case remains: the file is truncated just within the bytes that Deno has taken and not sent yet. The
 * client never gets the rest, and the connection is closed only when the client gives up.
 *
 * @module
 */

import type { MmapFile } from "../mod.ts";

/** A first byte, and the one behind the last. */
export type Range = [from: number, to: number];

/** Bytes handed to Deno at a time. It takes two such chunks, and a few KiB, ahead of what it sends (measured). */
const CHUNK = 64 << 10;

/** Bytes at the end of a body that are copies: many more than Deno takes ahead. */
const COPIED = 8 * CHUNK;

/** Bytes of a body that is copied in one go. */
const SMALL = CHUNK;

/** The state of a file, as an entity tag. */
export function etagOf({ ino, size, mtime }: Deno.FileInfo): string {
  return `"${ino}-${size}-${mtime?.getTime()}"`;
}

/** A range of a file as the body of a response. It fails if the file is no longer in that state. */
export function bodyOf(file: MmapFile, range: Range, etag: string): BodyInit {
  const [from, to] = range;
  return to - from <= SMALL
    ? file.copy(from, to - from)
    : ReadableStream.from(chunksOf(file, range, etag));
}

/** The same in parts. The last one is a copy, made when the others have been asked for. */
export function* chunksOf(
  file: MmapFile,
  [from, to]: Range,
  etag: string,
): Generator<Uint8Array<ArrayBuffer>, void, undefined> {
  for (let at = from; at < to; at += CHUNK) {
    const left = to - at;
    const size = Math.min(CHUNK, left);
    const chunk = left > COPIED ? file.bytes(at, size) : file.copy(at, size);
    if (etagOf(file.statSync()) !== etag) {
      throw new Error(`Cannot send '${file.name}': it has changed`);
    }
    yield chunk;
  }
}
