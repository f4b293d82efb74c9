/** Reproducible random numbers from a seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below 2 ** 32: mulberry32. */
  next(): number {
    let x = this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  }

  /** A whole number from 0 to below `limit`; 0 if `limit` is not positive. */
  below(limit: number): number {
    return limit <= 0 ? 0 : Math.floor(this.next() / 2 ** 32 * limit);
  }

  /** As `below`, small ones as often as large ones. */
  skewed(limit: number): number {
    return this.below(2 ** (this.next() / 2 ** 32 * Math.log2(limit + 1)));
  }

  /** `true` once in `times` calls on average. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}
