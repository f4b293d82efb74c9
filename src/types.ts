/**
 * The interfaces of readers and writers, structurally those of `@std/io/types`,
 * and the options of `open`.
 *
 * @module
 */

/** Reads bytes into a buffer. */
export interface Reader {
  /** Reads up to `p.byteLength` bytes into `p`; gives the number read, or `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
}

/** Reads bytes into a buffer, synchronously. */
export interface ReaderSync {
  /** Reads up to `p.byteLength` bytes into `p`; gives the number read, or `null` at the end. */
  readSync(p: Uint8Array): number | null;
}

/** Writes bytes from a buffer. */
export interface Writer {
  /** Writes bytes of `p`; gives the number written. */
  write(p: Uint8Array): Promise<number>;
}

/** Writes bytes from a buffer, synchronously. */
export interface WriterSync {
  /** Writes bytes of `p`; gives the number written. */
  writeSync(p: Uint8Array): number;
}

/** Moves a cursor. */
export interface Seeker {
  /** Moves the cursor to `offset` bytes from the place that `whence` names; gives the new position. */
  seek(offset: number | bigint, whence: Deno.SeekMode): Promise<number>;
}

/** Moves a cursor, synchronously. */
export interface SeekerSync {
  /** Moves the cursor to `offset` bytes from the place that `whence` names; gives the new position. */
  seekSync(offset: number | bigint, whence: Deno.SeekMode): number;
}

/** Can be closed. */
export interface Closer {
  /** Gives back what is held open. */
  close(): void;
}

/** Reads at a position, with no cursor. */
export interface ReaderAt {
  /** Reads up to `p.byteLength` bytes from `offset` on; gives the number read, or `null` at the end. */
  readAt(p: Uint8Array, offset: number): Promise<number | null>;
}

/** Reads at a position, with no cursor, synchronously. */
export interface ReaderAtSync {
  /** Reads up to `p.byteLength` bytes from `offset` on; gives the number read, or `null` at the end. */
  readAtSync(p: Uint8Array, offset: number): number | null;
}

/** Writes at a position, with no cursor. */
export interface WriterAt {
  /** Writes `p` from `offset` on; gives the number of bytes written. */
  writeAt(p: Uint8Array, offset: number): Promise<number>;
}

/** Writes at a position, with no cursor, synchronously. */
export interface WriterAtSync {
  /** Writes `p` from `offset` on; gives the number of bytes written. */
  writeAtSync(p: Uint8Array, offset: number): number;
}

/** How a range of a file will be used, so that the system can read ahead, or not. */
export type Advice = "normal" | "sequential" | "random";

/**
 * Options of {@linkcode open} and {@linkcode openSync}: those of `Deno.open`, and those of a mapping.
 *
 * @example Map a part of a file
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { type MmapOpenOptions, openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "header, body, footer");
 * const options: MmapOpenOptions = { offset: 8, length: 4 };
 * using file = openSync(path, options);
 * assertEquals(new TextDecoder().decode(file.bytes()), "body");
 * ```
 *
 * @example Change a file in this process only
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { openSync } from "@mmapfile/mmapfile";
 *
 * const path = Deno.makeTempFileSync();
 * Deno.writeTextFileSync(path, "as it is");
 * using file = openSync(path, { copyOnWrite: true });
 * file.writeStringSync("it");
 * assertEquals(new TextDecoder().decode(file.bytes()), "it it is");
 * assertEquals(Deno.readTextFileSync(path), "as it is");
 * ```
 */
export interface MmapOpenOptions extends Deno.OpenOptions {
  /** Bytes: the length that the file is given when it is created or empty, or when it is truncated. */
  size?: number;
  /** Do not reserve disk blocks for `size`. By default they are, so that a full disk is an error at open. */
  sparse?: boolean;
  /** Writes past the end extend the file, as with `Deno.FsFile`. By default its size is fixed. */
  grow?: boolean;
  /** Map only a window of the file: its first byte, at any place. */
  offset?: number;
  /** Map only a window of the file: its length in bytes. By default it reaches to the end. */
  length?: number;
  /** Writes stay in this process and never reach the file, which need only be readable. */
  copyOnWrite?: boolean;
  /** How the file will be read; "normal" by default. */
  advice?: Advice;
  /** Bring the file's pages into memory at open. */
  prefetch?: boolean;
  /** Survive the file's truncation by others; `true` by default. See {@linkcode TruncatedError}. */
  guard?: boolean;
  /** "fallback" reads the file into memory in place of mapping it, which needs no `--allow-ffi`. */
  backend?: "auto" | "fallback";
}
