/**
 * What is compared, and the files that it is compared on.
 *
 * @module
 */

import { type MmapFile, openSync } from "../mod.ts";

/** One of the two: how it opens a file, and what its `readAtSync` is. */
export interface Side<File extends Deno.FsFile> {
  readonly name: string;
  openSync(path: string, options?: Deno.OpenOptions): File;
  readAtSync(file: File, p: Uint8Array, offset: number): number | null;
}

/** A file as memory. */
export const MMAP_FILE: Side<MmapFile> = {
  name: "MmapFile",
  openSync,
  readAtSync: (file, p, offset) => file.readAtSync(p, offset),
};

/** Deno's own. It reads at a position by going there first. */
export const FS_FILE: Side<Deno.FsFile> = {
  name: "Deno.FsFile",
  openSync: Deno.openSync,
  readAtSync(file, p, offset) {
    file.seekSync(offset, Deno.SeekMode.Start);
    return file.readSync(p);
  },
};

/** A new folder for the files, on the disk that holds temporary ones. */
export function makeFolder(): string {
  return Deno.makeTempDirSync({ prefix: "mmapfile-bench-" });
}

/** The path of a file of `size` bytes, just written and so in the page cache. */
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
