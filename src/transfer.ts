/**
 * Bytes moved between files and readers, writers and streams. Knows nothing of memory or cursors.
 *
 * @module
 */

import { addBytesWritten, bytesWritten } from "./errors.ts";
import { turnAfter } from "./event_loop.ts";
import type { Reader, ReaderSync, Writer, WriterSync } from "./types.ts";

/** Bytes asked of a reader at once: small enough to stay in the processor's cache. */
const BUFFER_SIZE = 64 << 10;

/** Bytes given to a stream at once. */
const CHUNK_SIZE = 256 << 10;

/** Bytes brought into memory before a writer gets them: most of those that it can take at once. */
const BROUGHT_IN = 1 << 30;

/** How often in a row a reader may give nothing and yet have more. Go's `bufio` stops there too. */
const EMPTY_READS = 100;

/**
 * Writes all that a reader or a stream has; returns the number of bytes.
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
    try {
      moved += await writer.write(chunk);
    } catch (error) {
      throw addBytesWritten(error, moved);
    }
    await turnAfter(chunk.length);
  };
  if (isReadable(source)) {
    // An error of `move` cancels the stream.
    for await (const chunk of source) await move(chunk);
    return moved;
  }
  const filling = new Filling(new ArrayBuffer(BUFFER_SIZE));
  for (;;) {
    const chunk = filling.filled(await source.read(filling.buffer));
    if (chunk === null) return moved;
    if (chunk.length > 0) await move(chunk);
  }
}

/** As `moveFrom`, synchronously. */
export function moveFromSync(source: ReaderSync, writer: WriterSync): number {
  // Taken, so that a reader that moves bytes itself does not fill it too.
  const filling = new Filling(spare ?? new ArrayBuffer(BUFFER_SIZE));
  spare = undefined;
  let moved = 0;
  try {
    for (;;) {
      const chunk = filling.filled(source.readSync(filling.buffer));
      if (chunk === null) return moved;
      if (chunk.length === 0) continue;
      try {
        moved += writer.writeSync(chunk);
      } catch (error) {
        throw addBytesWritten(error, moved);
      }
    }
  } finally {
    spare = filling.recycled();
  }
}

/** A buffer for the next call: to make one takes longer than to read the 1 KB that may be all there is. */
let spare: ArrayBuffer | undefined;

/** A file whose bytes are passed on. */
export interface Outgoing {
  /** Bytes of it. */
  readonly length: number;
  /** The bytes themselves, from `at` on. */
  view(at: number): Uint8Array;
  /** Brings a range into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(at: number, length: number): Promise<void> | undefined;
  /** A copy of `length` bytes. */
  copy(at: number, length: number): Uint8Array;
  /** Throws if the file, or a view of it from `at` on, was not what it had been while it was passed on. */
  check(at: number, view?: Uint8Array): void;
}

/** Told how many bytes the target has just taken. */
type OnMoved = (count: number) => void;

/**
 * Gives all of the bytes to a writer or a stream.
 *
 * A writer gets the bytes themselves: it may neither keep nor change what it is given. A stream may
 * do both, so it gets copies.
 */
export async function moveTo(
  source: Outgoing,
  target: Writer | WritableStream<Uint8Array>,
  onMoved: OnMoved,
): Promise<void> {
  if (isWritable(target)) return await moveToStream(source, target, onMoved);
  const { length } = source;
  for (let at = 0; at < length;) {
    await source.bringIn(at, Math.min(length - at, BROUGHT_IN));
    const rest = source.view(at);
    let taken: number;
    try {
      taken = await target.write(rest);
    } catch (error) {
      throw partOf(error, at);
    }
    const written = checkWritten(taken, length - at);
    source.check(at, rest);
    onMoved(written);
    at += written;
    await turnAfter(written);
  }
}

/** As `moveTo`, synchronously. */
export function moveToSync(
  source: Outgoing,
  target: WriterSync,
  onMoved: OnMoved,
): void {
  const { length } = source;
  for (let at = 0; at < length;) {
    const rest = source.view(at);
    let taken: number;
    try {
      taken = target.writeSync(rest);
    } catch (error) {
      throw partOf(error, at);
    }
    const written = checkWritten(taken, length - at);
    source.check(at, rest);
    onMoved(written);
    at += written;
  }
}

/** The target's own error as it is; if it counts what it took, with what it took before. */
function partOf(error: unknown, before: number): unknown {
  return bytesWritten(error) > 0 ? addBytesWritten(error, before) : error;
}

async function moveToStream(
  source: Outgoing,
  target: WritableStream<Uint8Array>,
  onMoved: OnMoved,
): Promise<void> {
  const writer = target.getWriter();
  try {
    const { length } = source;
    for (let at = 0; at < length; at += CHUNK_SIZE) {
      const count = Math.min(CHUNK_SIZE, length - at);
      await source.bringIn(at, count);
      source.check(at);
      const chunk = source.copy(at, count);
      const size = chunk.length;
      await writer.write(chunk);
      onMoved(size);
      await turnAfter(size);
    }
  } finally {
    writer.releaseLock();
  }
}

/** What a reader is given to fill. */
class Filling {
  /** The reader's own view: what it defines on it is not believed. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that were filled. */
  #used = 0;
  /** Reads in a row that returned nothing. */
  #empty = 0;

  constructor(memory: ArrayBuffer) {
    this.buffer = new Uint8Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /** The bytes that were read; `null` at the end. */
  filled(read: number | null): Uint8Array | null {
    if (read === null) return null;
    const { length } = this.#bytes;
    if (!Number.isInteger(read) || read < 0 || read > length) {
      throw new Deno.errors.InvalidData(
        `Cannot read on: the reader returned ${
          String(read)
        } for an array of ${length} bytes`,
      );
    }
    if (read > 0) this.#empty = 0;
    // Tells a reader that has nothing just now from one that never will, and never says so.
    else if (++this.#empty === EMPTY_READS) {
      throw new Error(
        `Cannot read on: the reader returned 0 bytes ${EMPTY_READS} times in a row`,
      );
    }
    this.#used = Math.max(this.#used, read);
    return this.#bytes.subarray(0, read);
  }

  /** The memory for another reader: one that has kept the buffer does not see what is read next. */
  recycled(): ArrayBuffer | undefined {
    if (this.#bytes.length !== BUFFER_SIZE) return undefined;
    this.#bytes.fill(0, 0, this.#used);
    return this.#bytes.buffer.transfer();
  }
}

function checkWritten(written: number, given: number): number {
  if (Number.isInteger(written) && written > 0 && written <= given) {
    return written;
  }
  throw new Deno.errors.WriteZero(
    `Cannot write on: the writer returned ${
      String(written)
    } for ${given} bytes`,
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
