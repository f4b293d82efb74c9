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

/** Pages of one region: 64 KiB. */
const PAGES_PER_REGION = 16;

/** The largest count. */
const MAX_COUNT = 255;

/** How often each page of one file was written, once it was written. */
export class WrittenPages {
  /** By region: the count of all its pages, or of each. Long writes cover whole regions, and cost little so. */
  #regions: (number | Uint8Array | undefined)[] | null = null;
  /** The first write. Many files are written once, so it is not counted before the second. */
  readonly #position: number;
  readonly #length: number;

  constructor(position: number, length: number) {
    this.#position = position;
    this.#length = length;
  }

  /** Counts another write. Returns the number of pages that had not been written before. */
  add(position: number, length: number): number {
    if (this.#regions === null) {
      this.#regions = [];
      this.#count(this.#regions, this.#position, this.#length);
    }
    return this.#count(this.#regions, position, length);
  }

  #count(
    regions: (number | Uint8Array | undefined)[],
    position: number,
    length: number,
  ): number {
    let fresh = 0;
    this.#everyRegion(position, length, (index, first, end) => {
      const region = regions[index] ?? 0;
      if (typeof region === "number" && end - first === PAGES_PER_REGION) {
        if (region === 0) fresh += PAGES_PER_REGION;
        regions[index] = Math.min(MAX_COUNT, region + 1);
        return true;
      }
      const counts = typeof region === "number"
        ? new Uint8Array(PAGES_PER_REGION).fill(region)
        : region;
      regions[index] = counts;
      for (let page = first; page < end; page++) {
        const count = counts[page]!;
        if (count === 0) fresh++;
        if (count < MAX_COUNT) counts[page] = count + 1;
      }
      return true;
    });
    return fresh;
  }

  /** Whether each page of a range was written at least so often. */
  includes(position: number, length: number, count: number): boolean {
    const regions = this.#regions;
    if (regions === null) return false;
    return this.#everyRegion(position, length, (index, first, end) => {
      const region = regions[index] ?? 0;
      return typeof region === "number"
        ? region >= count
        : region.subarray(first, end).every((written) => written >= count);
    });
  }

  /** Calls `visit` for each region of a range, with the pages of it, until it returns `false`. Returns whether none did. */
  #everyRegion(
    position: number,
    length: number,
    visit: (index: number, first: number, end: number) => boolean,
  ): boolean {
    const rangeEnd = Math.ceil((position + length) / PAGE);
    for (let page = Math.floor(position / PAGE); page < rangeEnd;) {
      const index = Math.floor(page / PAGES_PER_REGION);
      const first = page % PAGES_PER_REGION;
      const end = Math.min(PAGES_PER_REGION, first + rangeEnd - page);
      if (!visit(index, first, end)) return false;
      page += end - first;
    }
    return true;
  }
}
