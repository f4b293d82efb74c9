/**
 * Memory that users may have views of, and cannot take away.
 *
 * @module
 */

/**
 * Memory whose buffer throws a `TypeError` when a `transfer()`, a message or a byte stream is to take it
 * away, as that of every `WebAssembly.Memory` does.
 */
export class LentMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #isLong: boolean;

  /** Makes memory of whole pages, `byteLength` or more in all, of zeros. */
  constructor(byteLength: number) {
    const pages = pagesFor(byteLength);
    this.#isLong = pages > SHORT_PAGES;
    // The types know of addresses of 32 bits only.
    const long = {
      address: "i64",
      initial: BigInt(pages) as unknown as number,
    };
    this.#memory = new WebAssembly.Memory(
      this.#isLong ? long : { initial: pages },
    );
  }

  get buffer(): ArrayBuffer {
    // Not shared, as it was made.
    return this.#memory.buffer as ArrayBuffer;
  }

  /** Empties every view, and makes the memory longer where `byteLength` asks for it. */
  renew(byteLength: number): void {
    const more = pagesFor(byteLength) - this.buffer.byteLength / PAGE;
    const pages = Math.max(0, more);
    // Even by 0 pages: the buffer is another one afterwards, over the same memory.
    const delta = this.#isLong ? BigInt(pages) as unknown as number : pages;
    this.#memory.grow(delta);
  }
}

/** Bytes of a page: the WebAssembly specification. */
const PAGE = 64 << 10;

/** Pages that an address of 32 bits reaches. */
const SHORT_PAGES = 1 << 16;

function pagesFor(byteLength: number): number {
  return Math.ceil(byteLength / PAGE);
}
