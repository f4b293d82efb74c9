/**
 * Which parts of a file were written through the descriptor.
 *
 * The first large write to a place is quicker through the descriptor, which need not find a page for each
 * fault. All later ones are quicker through memory.
 *
 * @module
 */

/** Bytes of a block: of shorter writes nothing is noted. */
export const BLOCK = 64 << 10;

/** Blocks that one array keeps account of: 64 MiB. */
const REGION = 1 << 10;

/** The blocks of one file that were written. */
export class WrittenBlocks {
  /** For each block, in regions, whether it was written. */
  readonly #regions: Uint8Array[] = [];

  /** Whether all blocks of a range were written. */
  includes(position: number, length: number): boolean {
    const end = position + length;
    const first = Math.floor(position / BLOCK);
    for (let block = first; block * BLOCK < end; block++) {
      const region = this.#regions[Math.floor(block / REGION)];
      if (region === undefined || region[block % REGION] === 0) return false;
    }
    return true;
  }

  /** Notes that a range was written. */
  add(position: number, length: number): void {
    const end = position + length;
    const first = Math.floor(position / BLOCK);
    for (let block = first; block * BLOCK < end; block++) {
      const index = Math.floor(block / REGION);
      const region = this.#regions[index] ??= new Uint8Array(REGION);
      region[block % REGION] = 1;
    }
  }
}
