/**
 * Bytes copied between files and readers, writers, and streams. Knows nothing of memory or cursors.
 *
 * @module
 */

import { addBytesWritten, bytesWritten } from "./errors.ts";
import { yieldIfDue } from "./event_loop.ts";
import type { Reader, ReaderSync, Writer, WriterSync } from "./types.ts";

/** Bytes of one read: few enough to stay in the processor's cache. */
const BUFFER_SIZE = 64 << 10;

/** Bytes of a chunk that a stream receives. */
const CHUNK_SIZE = 256 << 10;

/** Bytes brought into memory before a writer receives them: about as many as one write accepts. */
const PREFETCH_SIZE = 1 << 30;

/** How many reads in a row may return 0 bytes. Go's `bufio` has the same limit. */
const MAX_EMPTY_READS = 100;

/**
 * Writes all that a reader or a stream has; returns the number of bytes.
 *
 * It copies through a buffer, not directly into the memory of a file: a reader may use all of its array as
 * scratch space, beyond the bytes that it reads.
 */
export async function copyFrom(
  source: Reader | ReadableStream<Uint8Array>,
  writer: Writer,
): Promise<number> {
  let copied = 0;
  const write = async (chunk: Uint8Array) => {
    try {
      copied += await writer.write(chunk);
    } catch (error) {
      throw addBytesWritten(error, copied);
    }
    await yieldIfDue(chunk.length);
  };
  if (isReadable(source)) {
    // An error of `write` cancels the stream.
    for await (const chunk of source) await write(chunk);
    return copied;
  }
  const buffer = new ReadBuffer(new ArrayBuffer(BUFFER_SIZE));
  for (;;) {
    const chunk = buffer.bytesRead(await source.read(buffer.buffer));
    if (chunk === null) return copied;
    if (chunk.length > 0) await write(chunk);
  }
}

/** As `copyFrom`, synchronously. */
export function copyFromSync(source: ReaderSync, writer: WriterSync): number {
  // Taken, so that a reader that calls this function itself does not use it too.
  const buffer = new ReadBuffer(spare ?? new ArrayBuffer(BUFFER_SIZE));
  spare = undefined;
  let copied = 0;
  try {
    for (;;) {
      const chunk = buffer.bytesRead(source.readSync(buffer.buffer));
      if (chunk === null) return copied;
      if (chunk.length === 0) continue;
      try {
        copied += writer.writeSync(chunk);
      } catch (error) {
        throw addBytesWritten(error, copied);
      }
    }
  } finally {
    spare = buffer.recycle();
  }
}

/** A buffer for the next call: to create one takes longer than to read 1 KB. */
let spare: ArrayBuffer | undefined;

/** A file whose bytes are copied. */
export interface CopySource {
  /** Bytes of it. */
  readonly length: number;
  /** The bytes themselves, from `at` on. */
  view(at: number): Uint8Array;
  /** Brings a range into memory, off the event loop; `undefined` if there is nothing to wait for. */
  bringIn(at: number, length: number): Promise<void> | undefined;
  /** A copy of `length` bytes. */
  copy(at: number, length: number): Uint8Array;
  /** Throws if the file, or a view of it from `at` on, was truncated or unmapped during the copy. */
  check(at: number, view?: Uint8Array): void;
}

/** Called with the number of bytes that the target has just accepted. */
type OnCopied = (count: number) => void;

/**
 * Copies all of the bytes to a writer or a stream.
 *
 * A writer receives views: it may neither keep nor change its array. A stream may do both, so it receives copies.
 */
export async function copyTo(
  source: CopySource,
  target: Writer | WritableStream<Uint8Array>,
  onCopied: OnCopied,
): Promise<void> {
  if (isWritable(target)) return await copyToStream(source, target, onCopied);
  const { length } = source;
  for (let at = 0; at < length;) {
    await source.bringIn(at, Math.min(length - at, PREFETCH_SIZE));
    const rest = source.view(at);
    let taken: number;
    try {
      taken = await target.write(rest);
    } catch (error) {
      throw countPart(error, at);
    }
    const written = checkWritten(taken, length - at);
    source.check(at, rest);
    onCopied(written);
    at += written;
    await yieldIfDue(written);
  }
}

/** As `copyTo`, synchronously. */
export function copyToSync(
  source: CopySource,
  target: WriterSync,
  onCopied: OnCopied,
): void {
  const { length } = source;
  for (let at = 0; at < length;) {
    const rest = source.view(at);
    let taken: number;
    try {
      taken = target.writeSync(rest);
    } catch (error) {
      throw countPart(error, at);
    }
    const written = checkWritten(taken, length - at);
    source.check(at, rest);
    onCopied(written);
    at += written;
  }
}

/** The target's own error. If it counts bytes, those accepted before are added. */
function countPart(error: unknown, before: number): unknown {
  return bytesWritten(error) > 0 ? addBytesWritten(error, before) : error;
}

async function copyToStream(
  source: CopySource,
  target: WritableStream<Uint8Array>,
  onCopied: OnCopied,
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
      onCopied(size);
      await yieldIfDue(size);
    }
  } finally {
    writer.releaseLock();
  }
}

/** The buffer that a reader fills. */
class ReadBuffer {
  /** The reader's own view, whose properties are not trusted. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that were used. */
  #used = 0;
  /** Reads in a row that returned nothing. */
  #empty = 0;

  constructor(memory: ArrayBuffer) {
    this.buffer = new Uint8Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /** The bytes that were read; `null` at the end. */
  bytesRead(read: number | null): Uint8Array | null {
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
    // A reader may have no bytes at the moment. One that never has any must return null.
    else if (++this.#empty === MAX_EMPTY_READS) {
      throw new Error(
        `Cannot read on: the reader returned 0 bytes ${MAX_EMPTY_READS} times in a row`,
      );
    }
    this.#used = Math.max(this.#used, read);
    return this.#bytes.subarray(0, read);
  }

  /** The memory for another reader, detached from a buffer that this one may have kept. */
  recycle(): ArrayBuffer | undefined {
    if (this.#bytes.length !== BUFFER_SIZE) return undefined;
    this.#bytes.fill(0, 0, this.#used);
    return this.#bytes.buffer.transfer();
  }
}

function checkWritten(written: number, passed: number): number {
  if (Number.isInteger(written) && written > 0 && written <= passed) {
    return written;
  }
  throw new Deno.errors.WriteZero(
    `Cannot write on: the writer returned ${
      String(written)
    } for ${passed} bytes`,
  );
}

/** Recognizes a stream by its method, because not all are Deno's. */
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
