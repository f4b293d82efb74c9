/**
 * Which pages of a file were written through the descriptor, and how often.
 *
 * The first write to a page in memory is a page fault, in which the filesystem prepares the page to be written. That
 * takes as long as a few writes through the descriptor, or as many as dozens where the filesystem allocates blocks.
 * So memory pays for pages that are written again and again.
 *
 * @module
 */

/** Bytes of a page: the unit in which writes are counted, whatever the system's pages are. */
export const PAGE = 4 << 10;

/** Pages of one array: 1 MiB. */
const PAGES_PER_REGION = 256;

/** The largest count. */
const MAX_COUNT = 255;

/** How often each page of one file was written. */
export class WrittenPages {
  readonly #regions: Uint8Array[] = [];

  /** Counts a write. Returns the number of pages that had not been written before. */
  add(position: number, length: number): number {
    let fresh = 0;
    const end = Math.ceil((position + length) / PAGE);
    for (let page = Math.floor(position / PAGE); page < end; page++) {
      const index = Math.floor(page / PAGES_PER_REGION);
      const region = this.#regions[index] ??= new Uint8Array(PAGES_PER_REGION);
      const count = region[page % PAGES_PER_REGION]!;
      if (count === 0) fresh++;
      if (count < MAX_COUNT) region[page % PAGES_PER_REGION] = count + 1;
    }
    return fresh;
  }

  /** Whether each page of a range was written at least so often. */
  includes(position: number, length: number, count: number): boolean {
    const end = Math.ceil((position + length) / PAGE);
    for (let page = Math.floor(position / PAGE); page < end; page++) {
      const region = this.#regions[Math.floor(page / PAGES_PER_REGION)];
      if ((region?.[page % PAGES_PER_REGION] ?? 0) < count) return false;
    }
    return true;
  }
}
