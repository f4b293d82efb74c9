/** What somebody else does to a file that is open, by a descriptor of its own. */

/** A change of a file. */
export interface Change {
  readonly path: string;
  /** What the file is truncated to first. */
  readonly truncate?: number;
  /** Where `count` of the bytes that `seed` stands for are written. */
  readonly at: number;
  readonly count: number;
  readonly seed: number;
}

export function change({ path, truncate, at, count, seed }: Change): void {
  using file = Deno.openSync(path, { write: true });
  if (truncate !== undefined) file.truncateSync(truncate);
  if (count === 0) return;
  file.seekSync(at, Deno.SeekMode.Start);
  for (let rest = bytesOf(count, seed); rest.length > 0;) {
    rest = rest.subarray(file.writeSync(rest));
  }
}

const LENGTH = 1 << 21;
const SEEDS = 256;

/** No byte is 0. */
const BYTES = new Uint8Array(LENGTH + SEEDS);
for (let i = 0; i < BYTES.length; i++) {
  BYTES[i] = 1 + (i * 31 + (i >>> 8)) % 255;
}

/** Bytes none of which is 0, that are not to be changed. */
export function bytesOf(count: number, seed: number): Uint8Array<ArrayBuffer> {
  return BYTES.subarray(seed, seed + count);
}
