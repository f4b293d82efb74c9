/**
 * Ranges of addresses, found by those that they overlap. Knows nothing of memory.
 *
 * @module
 */

/** Ranges that do not overlap each other, each with a number. */
export class RangeIndex {
  // Sorted; the same index in each is the same range.
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #values: number[] = [];

  /** Adds a range, and returns the numbers of those that it overlaps, with their starts, and removes them. */
  replace(
    start: number,
    end: number,
    value: number,
  ): { start: number; value: number }[] {
    let first = this.#indexAt(start);
    if (first > 0 && this.#ends[first - 1] > start) first--;
    let stop = first;
    while (stop < this.#starts.length && this.#starts[stop] < end) stop++;
    const overlapped = [];
    for (let k = first; k < stop; k++) {
      overlapped.push({ start: this.#starts[k], value: this.#values[k] });
    }
    this.#starts.splice(first, stop - first, start);
    this.#ends.splice(first, stop - first, end);
    this.#values.splice(first, stop - first, value);
    return overlapped;
  }

  /** Removes the range that begins there, if it has this number. */
  remove(start: number, value: number): void {
    const k = this.#indexAt(start);
    if (this.#starts[k] !== start || this.#values[k] !== value) return;
    this.#starts.splice(k, 1);
    this.#ends.splice(k, 1);
    this.#values.splice(k, 1);
  }

  /** Index of the first range that begins at `start` or later. */
  #indexAt(start: number): number {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle] < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
