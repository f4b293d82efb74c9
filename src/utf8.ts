/**
 * Strings written as UTF-8.
 *
 * @module
 */

/**
 * Writes a string if all of it is ASCII; returns whether it was. If not, the ASCII that it begins with may have
 * been written, which is the same in UTF-8. Writes nothing to memory that was detached, or at an index that does
 * not fit V8's 32 bits.
 */
export function writeASCII(bytes: Uint8Array, at: number, s: string): boolean {
  const { length } = s;
  if (bytes.length === 0 || at > 2 ** 30) return false;
  for (let i = 0; i < length; i++) {
    const code = s.charCodeAt(i);
    if (code > 0x7f) return false;
    bytes[at + i] = code;
  }
  return true;
}

/** UTF-16 code units encoded in one go: a millisecond's work. */
const CHUNK_SIZE = 1 << 20;

/** A long string in chunks. None ends within a surrogate pair. */
export function* chunksOf(s: string): Generator<string> {
  for (let at = 0; at < s.length;) {
    let end = at + CHUNK_SIZE;
    // Only a surrogate pair has a code point of more than 16 bits.
    if ((s.codePointAt(end - 1) ?? 0) > 0xffff) end++;
    yield s.slice(at, end);
    at = end;
  }
}
