/**
 * Which parts of a file were written through the descriptor.
 *
 * The first large write to a block is faster through the descriptor, because it needs no page faults. Later ones
 * are faster through memory.
 *
 * @module
 */

/** Bytes of a block. Shorter writes are not recorded. */
export const BLOCK = 64 << 10;

/** Blocks of one array: 64 MiB. */
const BLOCKS_PER_REGION = 1 << 10;

/** The blocks of one file that were written. */
export class WrittenBlocks {
  /** For each block, in regions, whether it was written. */
  readonly #regions: Uint8Array[] = [];

  /** Whether all blocks of a range were written. */
  includes(position: number, length: number): boolean {
    const end = position + length;
    const first = Math.floor(position / BLOCK);
    for (let block = first; block * BLOCK < end; block++) {
      const region = this.#regions[Math.floor(block / BLOCKS_PER_REGION)];
      if (region === undefined || region[block % BLOCKS_PER_REGION] === 0) {
        return false;
      }
    }
    return true;
  }

  /** Records that a range was written. */
  add(position: number, length: number): void {
    const end = position + length;
    const first = Math.floor(position / BLOCK);
    for (let block = first; block * BLOCK < end; block++) {
      const index = Math.floor(block / BLOCKS_PER_REGION);
      const region = this.#regions[index] ??= new Uint8Array(BLOCKS_PER_REGION);
      region[block % BLOCKS_PER_REGION] = 1;
    }
  }
}
