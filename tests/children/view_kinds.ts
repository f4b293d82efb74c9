/** Kinds of memory that views can be of. */

import type { MmapFile, MmapOpenOptions } from "../../mod.ts";
import { SIZE } from "./native_operations.ts";

export interface Kind {
  readonly options: MmapOpenOptions;
  /** Whether writes to the view reach the file. */
  readonly isWritten: boolean;
  /** Where in the file the view begins, and its length. */
  readonly start: number;
  readonly length: number;
  viewOf(file: MmapFile): Uint8Array<ArrayBuffer>;
}

const WRITE: MmapOpenOptions = { read: true, write: true };
const whole = {
  isWritten: true,
  start: 0,
  length: SIZE,
  viewOf: (file: MmapFile) => file.bytes(),
};
const PART = { start: 1 << 20, length: 1_000_001 };
const WINDOW = { start: 12_345, length: SIZE - 12_345 - 678 };

export const kinds: Record<string, Kind> = {
  readWrite: { ...whole, options: WRITE },
  growing: { ...whole, options: { ...WRITE, grow: true } },
  shared: { ...whole, options: { ...WRITE, shared: true } },
  unguarded: { ...whole, options: { ...WRITE, guard: false } },
  readOnly: { ...whole, isWritten: false, options: { read: true } },
  copyOnWrite: { ...whole, isWritten: false, options: { copyOnWrite: true } },
  append: { ...whole, options: { read: true, append: true } },
  window: {
    ...whole,
    ...WINDOW,
    options: { ...WRITE, offset: WINDOW.start, length: WINDOW.length },
  },
  part: {
    ...whole,
    ...PART,
    options: WRITE,
    viewOf: (file) => file.bytes(PART.start, PART.length),
  },
};
