/**
 * The rows, loaded once for each side: code that has met one kind of file only is what users run, and
 * what V8 makes fast.
 *
 * @module
 */

import { ROWS as FS_FILE_ROWS } from "./rows.ts?side=FsFile";
import { ROWS as MMAP_FILE_ROWS } from "./rows.ts?side=MmapFile";
import type { Row, Work } from "./rows.ts";
import { FS_FILE, MMAP_FILE } from "./sides.ts";

/** A row with its work on both sides. */
export interface Comparison {
  readonly row: Row;
  prepare(folder: string): Prepared;
}

/** What is measured of a row, on both sides. */
export interface Prepared extends Disposable {
  readonly fsFile: Work;
  readonly mmapFile: Work;
}

/** All rows. */
export const COMPARISONS: readonly Comparison[] = MMAP_FILE_ROWS.map(
  (row, i) => ({
    row,
    prepare(folder) {
      const fsFile = FS_FILE_ROWS[i].prepare(FS_FILE, folder);
      const mmapFile = row.prepare(MMAP_FILE, folder);
      return {
        fsFile,
        mmapFile,
        [Symbol.dispose]() {
          fsFile.close();
          mmapFile.close();
        },
      };
    },
  }),
);
