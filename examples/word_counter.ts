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

const SPACE = 32;

/** Whether a byte ends a word: space, or one of \t, \n, \v, \f, \r. Before the first byte, a word may begin too. */
function endsWord(byte = SPACE): boolean {
  return byte === SPACE || (byte >= 9 && byte <= 13);
}

function count({ bytes, start, end }: Part): Counted {
  let lines = 0;
  let words = 0;
  // A word counts where it begins, also if it ends in the next part.
  let wasSpace = endsWord(bytes[start - 1]);
  for (const byte of bytes.subarray(start, end)) {
    const isSpace = endsWord(byte);
    if (wasSpace && !isSpace) words++;
    if (byte === LF) lines++;
    wasSpace = isSpace;
  }
  return { lines, words };
}

// Deno checks types as for a main thread.
const scope = self as unknown as Worker;
scope.onmessage = ({ data }: MessageEvent<Part>) =>
  scope.postMessage(count(data));
