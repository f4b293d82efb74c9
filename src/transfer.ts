/**
 * Bytes moved between files and readers, writers and streams. Knows nothing of memory or cursors.
 *
 * @module
 */

import { addBytesWritten } from "./errors.ts";
import { eventLoop } from "./event_loop.ts";
import type { Reader, ReaderSync, Writer, WriterSync } from "./types.ts";

/** Bytes asked of a reader at once: small enough to stay in the processor's cache. */
const BUFFER_SIZE = 64 << 10;

/** Bytes given to a stream at once. */
const CHUNK_SIZE = 256 << 10;

/** How often in a row a reader may give nothing and yet have more. Go's `bufio` stops there too. */
const EMPTY_READS = 100;

/**
 * Writes all that a reader or a stream has; gives the number of bytes.
 *
 * Through a buffer and not straight into the memory of a file: a reader may use
 * all of what it is given as scratch space, beyond the bytes that it reads.
 */
export async function moveFrom(
  source: Reader | ReadableStream<Uint8Array>,
  writer: Writer,
): Promise<number> {
  let moved = 0;
  const move = async (chunk: Uint8Array) => {
    await eventLoop();
    try {
      moved += await writer.write(chunk);
    } catch (error) {
      throw addBytesWritten(error, moved);
    }
  };
  if (isReadable(source)) {
    // An error of `move` cancels the stream.
    for await (const chunk of source) await move(chunk);
    return moved;
  }
  const buffer = new Uint8Array(BUFFER_SIZE);
  const progress = new Progress();
  for (;;) {
    const read = await source.read(buffer);
    if (read === null) return moved;
    if (progress.check(read)) await move(buffer.subarray(0, read));
  }
}

/** As `moveFrom`, synchronously. */
export function moveFromSync(source: ReaderSync, writer: WriterSync): number {
  // A new buffer takes 40 times as long as the 1 KB that may be all there is. Taken, so that a
  // reader that moves bytes itself does not fill it too.
  const buffer = spare ?? new Uint8Array(BUFFER_SIZE);
  spare = undefined;
  try {
    return moveThrough(buffer, source, writer);
  } finally {
    if (buffer.length > 0) spare = buffer;
  }
}

let spare: Uint8Array<ArrayBuffer> | undefined;

function moveThrough(
  buffer: Uint8Array,
  source: ReaderSync,
  writer: WriterSync,
): number {
  const progress = new Progress();
  let moved = 0;
  for (;;) {
    const read = source.readSync(buffer);
    if (read === null) return moved;
    if (!progress.check(read)) continue;
    try {
      moved += writer.writeSync(buffer.subarray(0, read));
    } catch (error) {
      throw addBytesWritten(error, moved);
    }
  }
}

/**
 * Told how many bytes the target has just taken, and, with 0, before copies of the bytes are passed
 * on. Throws if they cannot be trusted any more.
 */
type OnMoved = (count: number) => void;

/**
 * Gives all of the bytes to a writer or a stream.
 *
 * A writer gets the bytes themselves: it may neither keep nor change what it is given. A stream may
 * do both, so it gets copies.
 */
export async function moveTo(
  bytes: Uint8Array,
  target: Writer | WritableStream<Uint8Array>,
  onMoved: OnMoved,
): Promise<void> {
  if (isWritable(target)) return await moveToStream(bytes, target, onMoved);
  for (let rest = bytes; rest.length > 0;) {
    const { length } = rest;
    const written = checkWritten(await target.write(rest), length);
    onMoved(written);
    rest = rest.subarray(written);
  }
}

/** As `moveTo`, synchronously. */
export function moveToSync(
  bytes: Uint8Array,
  target: WriterSync,
  onMoved: OnMoved,
): void {
  for (let rest = bytes; rest.length > 0;) {
    const { length } = rest;
    const written = checkWritten(target.writeSync(rest), length);
    onMoved(written);
    rest = rest.subarray(written);
  }
}

async function moveToStream(
  bytes: Uint8Array,
  target: WritableStream<Uint8Array>,
  onMoved: OnMoved,
): Promise<void> {
  const writer = target.getWriter();
  try {
    for (let at = 0; at < bytes.length; at += CHUNK_SIZE) {
      await eventLoop();
      const chunk = bytes.slice(at, at + CHUNK_SIZE);
      onMoved(0);
      await writer.write(chunk);
      onMoved(chunk.length);
    }
  } finally {
    writer.releaseLock();
  }
}

/** Tells a reader that has nothing just now from one that never will, and never says so. */
class Progress {
  #empty = 0;

  /** Whether anything was read. */
  check(read: number): boolean {
    if (read > 0) this.#empty = 0;
    else if (++this.#empty === EMPTY_READS) {
      throw new Error(
        `Cannot read on: the reader gave 0 bytes ${EMPTY_READS} times in a row, and no end`,
      );
    }
    return read > 0;
  }
}

function checkWritten(written: number, given: number): number {
  if (written > 0 && written <= given) return written;
  throw new Deno.errors.WriteZero(
    `Cannot write on: the writer says that it took ${written} of ${given} bytes`,
  );
}

/** A stream by what it can do: there are others than Deno's. */
function isReadable(
  source: Reader | ReadableStream<Uint8Array>,
): source is ReadableStream<Uint8Array> {
  return "getReader" in source;
}

function isWritable(
  target: Writer | WritableStream<Uint8Array>,
): target is WritableStream<Uint8Array> {
  return "getWriter" in target;
}
