/**
 * A file, or a part of it, as a lazy `Blob`.
 *
 * @module
 */

import { yieldIfDue } from "./event_loop.ts";
import {
  checkRange,
  type CheckSize,
  readFully,
  type Source,
} from "./ranges.ts";
import type { ByteRange } from "./types.ts";

/**
 * Options of {@linkcode MmapFile.prototype.blob | blob}: the range and the media type.
 *
 * @example
 * ```ts
 * import { type BlobOptions, openSync } from "@mmapfile/mmapfile";
 *
 * using file = openSync("LICENSE");
 * const options: BlobOptions = { type: "text/plain", offset: 8, length: 4 };
 * console.log(await file.blob(options).text());
 * ```
 */
export interface BlobOptions extends ByteRange {
  /** The media type, such as "image/png"; empty by default. */
  type?: string;
}

/** Bytes of a chunk of a blob's stream. */
const CHUNK_SIZE = 256 << 10;

/** A blob of a range, which is in the file; see `MmapFile.blob`. */
export function blobOf(
  file: Source,
  checkSize: CheckSize,
  options: BlobOptions = {},
): Blob {
  const { type, offset = 0, length = file.size - offset } = options;
  checkRange("read", file, offset, length);
  return new FileBlob(file, offset, length, checkSize, type);
}

/**
 * Of a blob that is a part of another, or of a form, Deno calls `size`, `slice()`, and `stream()`. So only these are
 * overridden, and the methods that would be slow with them.
 */
class FileBlob extends Blob {
  readonly #file: Source;
  readonly #checkSize: CheckSize;
  readonly #offset: number;
  readonly #size: number;

  constructor(
    file: Source,
    offset: number,
    size: number,
    checkSize: CheckSize,
    type = "",
  ) {
    super([], { type });
    this.#file = file;
    this.#checkSize = checkSize;
    this.#offset = offset;
    this.#size = size;
    refuseToBeCloned(this, file.name);
  }

  override get size(): number {
    return this.#size;
  }

  override slice(start = 0, end: number = this.#size, type?: string): Blob {
    const from = indexOf(start, this.#size);
    const to = Math.max(from, indexOf(end, this.#size));
    return new FileBlob(
      this.#file,
      this.#offset + from,
      to - from,
      this.#checkSize,
      type,
    );
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    let at = 0;
    return new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        await yieldIfDue();
        const length = Math.min(CHUNK_SIZE, this.#size - at);
        if (length > 0) {
          controller.enqueue(await this.#read(at, length));
          at += length;
        }
        if (at < this.#size) return;
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  }

  override async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#read(0, this.#size);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  async #read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const bytes = new Uint8Array(length);
      await readFully(this.#file, bytes, this.#offset + at, this.#checkSize);
      return bytes;
    } catch (cause) {
      throw notReadable(this.#file, cause);
    }
  }
}

/** An argument of `slice` as an index, as Web IDL has it: clamped, rounded to even, and from the end if negative. */
function indexOf(argument: number, size: number): number {
  const number = Number(argument);
  let index = Math.round(number);
  if (index - number === 0.5 && index % 2 !== 0) index--;
  if (Number.isNaN(index)) return 0;
  return index < 0 ? Math.max(size + index, 0) : Math.min(index, size);
}

/**
 * To clone a blob, or to make a URL of it, Deno takes the bytes that it keeps for it: here it keeps
 * none, and the result would be empty. This property is where it looks for them.
 */
function refuseToBeCloned(blob: Blob, name: string): void {
  const parts = Object.getOwnPropertySymbols(blob)
    .find(({ description }) => description === "Parts");
  if (parts === undefined) return;
  Object.defineProperty(blob, parts, {
    get() {
      throw new DOMException(
        `Cannot clone a Blob of '${name}', nor make a URL of it: its bytes are in the file; ` +
          "pass new Blob([await blob.bytes()]) instead",
        "DataCloneError",
      );
    },
  });
}

/** What the File API calls a file that is gone or has changed: https://w3c.github.io/FileAPI/#dfn-error-codes */
function notReadable({ name }: Source, cause: unknown): DOMException {
  const reason = cause instanceof Error
    ? cause.message
    : `Cannot read '${name}': ${cause}`;
  const error = new DOMException(reason, "NotReadableError");
  return Object.assign(error, { cause });
}
