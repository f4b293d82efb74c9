/**
 * What is compared: how each of the two does what the other does in a way of its own.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  type MmapFile,
  openSync,
  type ReaderSync,
  toReadableStream,
  type WriterSync,
} from "../mod.ts";

/** One of the two. */
export interface Side<File extends Deno.FsFile> {
  readonly name: "Deno.FsFile" | "MmapFile";
  openSync(path: string, options?: Deno.OpenOptions): File;
  readAtSync(file: File, p: Uint8Array, offset: number): number | null;
  writeAtSync(file: File, p: Uint8Array, offset: number): number;
  readFromSync(file: File, source: ReaderSync): number;
  writeToSync(file: File, target: WriterSync): number;
  writeTo(file: File, target: Deno.FsFile): Promise<number>;
  readFrom(file: File, source: Deno.FsFile): Promise<number>;
  /** The file as a stream whose chunks are only looked at. */
  streamOf(file: File): ReadableStream<Uint8Array>;
  /** Where a needle begins, in a file that is not open yet. */
  indexOf(path: string, needle: string): number;
  /** How many lines are not empty: looked at one by one, as the bytes or the text that they are. */
  lineCount(path: string): number | Promise<number>;
  /** UTF-16 code units of all lines, as strings. */
  textLength(path: string): number | Promise<number>;
  /** The text of a range. */
  textAt(file: File, offset: number, length: number): string;
  /** A blob of a file that is not open yet. */
  blobOf(path: string): { blob: Blob; close(): void };
}

/** A file as memory. */
export const MMAP_FILE: Side<MmapFile> = {
  name: "MmapFile",
  openSync,
  readAtSync: (file, p, offset) => file.readAtSync(p, offset),
  writeAtSync: (file, p, offset) => file.writeAtSync(p, offset),
  readFromSync: (file, source) => file.readFromSync(source),
  writeToSync: (file, target) => file.writeToSync(target),
  writeTo: (file, target) => file.writeTo(target),
  readFrom: (file, source) => file.readFrom(source),
  streamOf: (file) => toReadableStream(file, { zeroCopy: true }),
  indexOf(path, needle) {
    using file = openSync(path);
    return file.indexOf(needle);
  },
  lineCount(path) {
    using file = openSync(path);
    let count = 0;
    for (const line of file.lines()) if (line.length > 0) count++;
    return count;
  },
  textLength(path) {
    using file = openSync(path);
    let length = 0;
    for (const line of file.textLines()) length += line.length;
    return length;
  },
  textAt: (file, offset, length) => file.text(offset, length),
  blobOf(path) {
    const file = openSync(path);
    return { blob: file.blob(), close: () => file.close() };
  },
};

const decoder = new TextDecoder();

/** What `copy` of `@std/io` reads at a time. */
const COPY_SIZE = 32 << 10;

/** Deno's own. It reads at a position by going there first, and copies as `@std/io` does. */
export const FS_FILE: Side<Deno.FsFile> = {
  name: "Deno.FsFile",
  openSync: Deno.openSync,
  readAtSync(file, p, offset) {
    file.seekSync(offset, Deno.SeekMode.Start);
    return file.readSync(p);
  },
  writeAtSync(file, p, offset) {
    file.seekSync(offset, Deno.SeekMode.Start);
    return file.writeSync(p);
  },
  readFromSync: (file, source) => copySync(source, file),
  writeToSync(file, target) {
    file.seekSync(0, Deno.SeekMode.Start);
    return copySync(file, target);
  },
  writeTo: copy,
  readFrom: (file, source) => copy(source, file),
  streamOf: (file) => file.readable,
  indexOf: (path, needle) =>
    Buffer.from(Deno.readFileSync(path).buffer).indexOf(needle),
  async lineCount(path) {
    using file = Deno.openSync(path);
    const text = file.readable.pipeThrough(new TextDecoderStream());
    let count = 0;
    let rest = "";
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line.length > 0) count++;
    }
    return count;
  },
  async textLength(path) {
    using file = Deno.openSync(path);
    const text = file.readable.pipeThrough(new TextDecoderStream());
    let length = 0;
    let rest = "";
    for await (const chunk of text) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) length += line.length;
    }
    return length + rest.length;
  },
  textAt(file, offset, length) {
    const bytes = new Uint8Array(length);
    file.seekSync(offset, Deno.SeekMode.Start);
    return decoder.decode(bytes.subarray(0, file.readSync(bytes)!));
  },
  blobOf: (path) => ({
    blob: new Blob([Deno.readFileSync(path)]),
    close() {},
  }),
};

function copySync(source: ReaderSync, target: WriterSync): number {
  const buffer = new Uint8Array(COPY_SIZE);
  let total = 0;
  for (let read; (read = source.readSync(buffer)) !== null;) {
    for (let done = 0; done < read;) {
      done += target.writeSync(buffer.subarray(done, read));
    }
    total += read;
  }
  return total;
}

async function copy(source: Deno.FsFile, target: Deno.FsFile): Promise<number> {
  const buffer = new Uint8Array(COPY_SIZE);
  let total = 0;
  for (let read; (read = await source.read(buffer)) !== null;) {
    for (let done = 0; done < read;) {
      done += await target.write(buffer.subarray(done, read));
    }
    total += read;
  }
  return total;
}
