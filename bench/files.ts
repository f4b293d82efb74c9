/**
 * The files that are measured, and the bytes that are written to them.
 *
 * @module
 */

import * as fs from "node:fs";
import { createSync } from "../mod.ts";

let folder: string | undefined;
const targets = new Set<string>();

/** The folder of all files that are read, on the disk that holds temporary ones; removed at the end. */
export function sourceFolder(): string {
  if (folder === undefined) {
    folder = makeFolder();
    addEventListener("unload", removeAll);
    // A signal alone has no such event.
    Deno.addSignalListener("SIGINT", () => Deno.exit(130));
    if (Deno.build.os !== "windows") {
      Deno.addSignalListener("SIGTERM", () => Deno.exit(143));
    }
  }
  return folder;
}

/** A folder for files that are written, until `removeFolder`. */
export function targetFolder(parent = sourceFolder()): string {
  const path = Deno.makeTempDirSync({ dir: parent, prefix: "mmapfile-bench-" });
  targets.add(path);
  return path;
}

export function removeFolder(path: string): void {
  if (targets.delete(path)) Deno.removeSync(path, { recursive: true });
}

function removeAll(): void {
  for (const path of targets) removeFolder(path);
  if (folder !== undefined) Deno.removeSync(folder, { recursive: true });
  folder = undefined;
}

/**
 * The path of a file that is made once, in the page cache and written to the disk: writing it back does
 * not disturb what is measured.
 */
export function sourceFile(
  name: string,
  write: (path: string) => void,
): string {
  const path = `${sourceFolder()}/${name}`;
  if (!fs.existsSync(path)) {
    write(path);
    const fd = fs.openSync(path, "r+");
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  }
  return path;
}

/** The path of a file of `size` bytes to be read, the same for all that want one. */
export function sharedFile(size: number): string {
  return sourceFile(`${size}.bin`, (path) => writeBytes(path, size));
}

/** A new folder, which the caller removes. */
export function makeFolder(): string {
  return Deno.makeTempDirSync({ prefix: "mmapfile-bench-" });
}

/** The path of a new file of `size` bytes in a folder. */
export function makeFile(folder: string, size: number): string {
  const path = `${folder}/${size}.bin`;
  writeBytes(path, size);
  return path;
}

function writeBytes(path: string, size: number): void {
  const block = new Uint8Array(1 << 20).map((_, i) => i % 251);
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let left = size; left > 0;) {
    left -= file.writeSync(block.subarray(0, left));
  }
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

let contents = new Uint8Array(0);

/** `size` bytes to write. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  // Shared, since there may be a gigabyte of them.
  if (size > contents.length) contents = new Uint8Array(size).fill(7);
  return contents.subarray(0, size);
}

const POSIX_FADV_DONTNEED = 4;

/** Drops a file's pages from the page cache. Returns whether the system can be told to. */
export function evict(path: string): boolean {
  if (Deno.build.os !== "linux") return false;
  const libc = Deno.dlopen("libc.so.6", {
    // int posix_fadvise(int fd, off_t offset, off_t len, int advice);
    posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  });
  const fd = fs.openSync(path, "r+");
  // Dirty pages stay.
  fs.fsyncSync(fd);
  const error = libc.symbols.posix_fadvise(fd, 0n, 0n, POSIX_FADV_DONTNEED);
  fs.closeSync(fd);
  libc.close();
  return error === 0;
}

/** Writes lines of 20 to 100 characters, with a needle in the last but one. */
export function writeText(path: string, size: number, needle: string): void {
  const words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed ";
  const lines = Array.from(
    { length: 20_000 },
    (_, i) => `${i} ${words.repeat(2).slice(0, 15 + i * 7 % 80)}\n`,
  );
  const text = new TextEncoder().encode(lines.join(""));
  const end = new TextEncoder().encode(`${needle}\nthe end\n`);
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let written = end.length; written + text.length < size;) {
    written += file.writeSync(text);
  }
  file.writeSync(end);
}
