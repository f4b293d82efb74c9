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

/** Pages of one region: 64 KiB. Long writes cover whole regions, which are counted as one. */
const PAGES_PER_REGION = 16;

/** Pages whose counts are in one array: those of 4 MiB. */
const PAGES_PER_ARRAY = 1 << 10;

/** The largest count. */
const MAX_COUNT = 255;

/** How often each page of one file was written, once it was written. */
export class WrittenPages {
  /** The first writes, as long as each continues the one before: many files are written from start to end, once. */
  readonly #start: number;
  #end: number;
  /** `null` until a write does not continue the one before. */
  #counts: Counts | null = null;

  constructor(position: number, length: number) {
    this.#start = position;
    this.#end = position + length;
  }

  /** Counts another write. Returns the number of pages that had not been written before. */
  add(position: number, length: number): number {
    const end = position + length;
    if (this.#counts === null) {
      const endBefore = this.#end;
      if (position === endBefore) {
        this.#end = end;
        return pageAfter(end) - pageAfter(endBefore);
      }
      this.#counts = new Counts();
      this.#counts.add(pageAt(this.#start), pageAfter(endBefore));
    }
    return this.#counts.add(pageAt(position), pageAfter(end));
  }

  /** Whether each page of a range was written at least so often. */
  includes(position: number, length: number, times: number): boolean {
    const counts = this.#counts;
    return counts !== null &&
      counts.areAll(pageAt(position), pageAfter(position + length), times);
  }
}

/** Counts of pages. That of a page is the count of its region, and its own. */
class Counts {
  readonly #ofRegions: (number | undefined)[] = [];
  readonly #ofPages: (Uint8Array | undefined)[] = [];

  /** Counts pages once more. Returns the number of those that had not been counted before. */
  add(first: number, end: number): number {
    let fresh = 0;
    for (let page = first; page < end;) {
      const index = Math.floor(page / PAGES_PER_REGION);
      const regionEnd = (index + 1) * PAGES_PER_REGION;
      const count = this.#ofRegions[index] ?? 0;
      if (regionEnd <= end && page % PAGES_PER_REGION === 0) {
        if (count === 0) fresh += this.#countFresh(page, regionEnd);
        this.#ofRegions[index] = Math.min(MAX_COUNT, count + 1);
        page = regionEnd;
      } else {
        if (this.#addPage(page) && count === 0) fresh++;
        page++;
      }
    }
    return fresh;
  }

  areAll(first: number, end: number, times: number): boolean {
    for (let page = first; page < end;) {
      const index = Math.floor(page / PAGES_PER_REGION);
      const count = this.#ofRegions[index] ?? 0;
      if (count >= times) page = (index + 1) * PAGES_PER_REGION;
      else if (count + this.#countOf(page) >= times) page++;
      else return false;
    }
    return true;
  }

  /** Counts one page once more. Returns whether it had not been counted before by itself. */
  #addPage(page: number): boolean {
    const counts = this.#ofPages[Math.floor(page / PAGES_PER_ARRAY)] ??=
      new Uint8Array(PAGES_PER_ARRAY);
    const at = page % PAGES_PER_ARRAY;
    const count = counts[at]!;
    if (count < MAX_COUNT) counts[at] = count + 1;
    return count === 0;
  }

  #countOf(page: number): number {
    const counts = this.#ofPages[Math.floor(page / PAGES_PER_ARRAY)];
    return counts === undefined ? 0 : counts[page % PAGES_PER_ARRAY]!;
  }

  #countFresh(first: number, end: number): number {
    if (this.#ofPages[Math.floor(first / PAGES_PER_ARRAY)] === undefined) {
      return end - first;
    }
    let fresh = 0;
    for (let page = first; page < end; page++) {
      if (this.#countOf(page) === 0) fresh++;
    }
    return fresh;
  }
}

function pageAt(position: number): number {
  return Math.floor(position / PAGE);
}

function pageAfter(end: number): number {
  return Math.ceil(end / PAGE);
}
