/** Contents of files, and comparing them. */

import { Buffer } from "node:buffer";

/** Bytes none of which is 0, and no two adjacent ranges of which are equal. */
export function pattern(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = patternAt(i, seed);
  return bytes;
}

/** The byte of `pattern` at an index. */
export function patternAt(i: number, seed = 0): number {
  return 1 + ((i + seed) * 31 + (i >>> 8) * 7) % 255;
}

/** Whether the bytes are equal. Fast, for files of many MiB. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
