/** What another process does to an open file, through its own descriptor. */

/** A change of a file. */
export interface Change {
  readonly path: string;
  /** What the file is truncated to first. */
  readonly truncate?: number;
  /** The offset at which `count` bytes of `bytesOf(seed)` are written. */
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

/** Bytes none of which is 0. They must not be changed. */
export function bytesOf(count: number, seed: number): Uint8Array<ArrayBuffer> {
  return BYTES.subarray(seed, seed + count);
}
