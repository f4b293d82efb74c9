/**
 * The worker of `word_count.ts`: counts lines and words of a part of shared memory.
 *
 * @module
 */

/** The message to a worker: the whole file, and the part to count. */
export interface Part {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly start: number;
  readonly end: number;
}

/** Its answer. */
export interface Counted {
  readonly lines: number;
  readonly words: number;
}

const LF = 10;

/** A 1 for each byte that ends a word: space, \t, \n, \v, \f, \r. */
const IS_SPACE = new Uint8Array(256);
for (const byte of [32, 9, LF, 11, 12, 13]) IS_SPACE[byte] = 1;

function count({ bytes, start, end }: Part): Counted {
  let lines = 0;
  let words = 0;
  // A word counts where it begins, also if it ends in the next part.
  let wasSpace = start === 0 ? 1 : IS_SPACE[bytes[start - 1]!]!;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    const isSpace = IS_SPACE[byte]!;
    words += wasSpace & (isSpace ^ 1);
    wasSpace = isSpace;
    if (byte === LF) lines++;
  }
  return { lines, words };
}

// Deno checks types as for a main thread.
const scope = self as unknown as Worker;
scope.onmessage = ({ data }: MessageEvent<Part>) =>
  scope.postMessage(count(data));
