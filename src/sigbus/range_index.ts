/**
 * Ranges of addresses, found by those that they overlap. Knows nothing of memory.
 *
 * @module
 */

/** A range of addresses, with a number. */
interface Range {
  readonly start: number;
  readonly end: number;
  readonly value: number;
}

/** Ranges that do not overlap each other. */
export class RangeIndex {
  /** Sorted by address. */
  readonly #ranges: Range[] = [];

  /** Adds a range, and returns those that it overlaps, which it removes. */
  replace(start: number, end: number, value: number): Range[] {
    let first = this.#indexAt(start);
    const before = this.#ranges[first - 1];
    if (before !== undefined && before.end > start) first--;
    const stop = this.#indexAt(end);
    return this.#ranges.splice(first, stop - first, { start, end, value });
  }

  /** Removes the range that begins there, if it has this number. */
  remove(start: number, value: number): void {
    const index = this.#indexAt(start);
    const range = this.#ranges[index];
    if (range?.start !== start || range.value !== value) return;
    this.#ranges.splice(index, 1);
  }

  /** Index of the first range that begins at `start` or later. */
  #indexAt(start: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ranges[middle]!.start < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
