/**
 * The rows, loaded once for each side: code that has met one kind of file only is what users run, and
 * what V8 makes fast.
 *
 * @module
 */

import { ROWS as FS_CALLS } from "./call_rows.ts?side=FsFile";
import { ROWS as MMAP_CALLS } from "./call_rows.ts?side=MmapFile";
import { ROWS as FS_READS } from "./read_rows.ts?side=FsFile";
import { ROWS as MMAP_READS } from "./read_rows.ts?side=MmapFile";
import { ROWS as FS_STREAMS } from "./stream_rows.ts?side=FsFile";
import { ROWS as MMAP_STREAMS } from "./stream_rows.ts?side=MmapFile";
import { ROWS as FS_WRITES } from "./write_rows.ts?side=FsFile";
import { ROWS as MMAP_WRITES } from "./write_rows.ts?side=MmapFile";
import { makeFolder } from "./files.ts";
import type { Row, Work } from "./rows.ts";
import { FS_FILE, MMAP_FILE } from "./sides.ts";

/** A row with its work on both sides. */
export interface Comparison {
  readonly row: Row;
  /** Makes both ready, in a folder of their own. */
  prepare(): Prepared;
}

/** What is measured of a row, on both sides. */
export interface Prepared extends Disposable {
  readonly fsFile: Work;
  readonly mmapFile: Work;
}

const FS_FILE_ROWS = [...FS_READS, ...FS_WRITES, ...FS_CALLS, ...FS_STREAMS];

/** All rows. */
export const COMPARISONS: readonly Comparison[] = [
  ...MMAP_READS,
  ...MMAP_WRITES,
  ...MMAP_CALLS,
  ...MMAP_STREAMS,
].map((row, i) => ({
  row,
  prepare() {
    const folder = makeFolder();
    const fsFile = FS_FILE_ROWS[i].prepare(FS_FILE, folder);
    const mmapFile = row.prepare(MMAP_FILE, folder);
    return {
      fsFile,
      mmapFile,
      [Symbol.dispose]() {
        fsFile.close();
        mmapFile.close();
        Deno.removeSync(folder, { recursive: true });
      },
    };
  },
}));
