/**
 * The files that are measured, and the bytes that are written to them.
 *
 * @module
 */

import * as fs from "node:fs";
import { createSync } from "../mod.ts";

/** A new folder for the files, on the disk that holds temporary ones. */
export function makeFolder(): string {
  return Deno.makeTempDirSync({ prefix: "mmapfile-bench-" });
}

/** The path of a file of `size` bytes to be read, just written and so in the page cache. */
export function makeFile(folder: string, size: number): string {
  const path = `${folder}/${size}.bin`;
  const block = new Uint8Array(1 << 20).map((_, i) => i % 251);
  try {
    using file = Deno.openSync(path, { write: true, createNew: true });
    for (let left = size; left > 0;) {
      left -= file.writeSync(block.subarray(0, left));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return path;
}

/** The path of a new file of `size` bytes to be written; sparse, unless its blocks are to be reserved. */
export function makeTarget(
  folder: string,
  size: number,
  reserved = false,
): string {
  const path = Deno.makeTempFileSync({ dir: folder });
  if (reserved) createSync(path, size).close();
  else Deno.truncateSync(path, size);
  return path;
}

const POSIX_FADV_DONTNEED = 4;

/** Takes a file out of the page cache, where the system can be told to. */
export function evict(path: string): void {
  if (Deno.build.os !== "linux") return;
  const libc = Deno.dlopen("libc.so.6", {
    // int posix_fadvise(int fd, off_t offset, off_t len, int advice);
    posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  });
  const fd = fs.openSync(path, "r+");
  // What is dirty stays.
  fs.fsyncSync(fd);
  libc.symbols.posix_fadvise(fd, 0n, 0n, POSIX_FADV_DONTNEED);
  fs.closeSync(fd);
  libc.close();
}

/** `size` bytes to write. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  // Shared, since there may be a gigabyte of them.
  if (size > contents.length) contents = new Uint8Array(size).fill(7);
  return contents.subarray(0, size);
}

let contents = new Uint8Array(0);
