/**
 * Keys and values in a file: a hash index in mapped memory, and records that are only ever appended.
 * A key's value changes by one atomic store into the index, once its record is on the disk: a process
 * killed at any moment leaves the old value or the new one, and nothing points to what is not there.
 *
 * The file: a magic number and the place of the index in use; then records and indexes. A record:
 * the lengths of key and value, and their bytes. An index: the number of its slots, how many are
 * taken, and the slots. A slot: the place of a record; 0 when free, 1 when its key was deleted.
 *
 * @module
 */

import { type MmapFile, open } from "../mod.ts";

const MAGIC = 0x6d6d_6170_6b76_3031n; // "mmapkv01"
const [HEADER, INDEX_AT] = [2, 1];
const [SLOTS, TAKEN, FIRST_SLOT] = [0, 1, 2];
const [FREE, DELETED] = [0n, 1n];
const FEWEST_SLOTS = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Store implements Disposable {
  readonly #file: MmapFile;

  private constructor(file: MmapFile) {
    this.#file = file;
  }

  /** Opens a store, or makes one. Waits for whoever has it open. */
  static async open(path: string): Promise<Store> {
    const options = { read: true, write: true, create: true, grow: true };
    const file = await open(path, options);
    await file.lock(true);
    file.refresh(); // Whoever had it open may have made it longer.
    if (file.size === 0) {
      const words = new BigUint64Array(HEADER + FIRST_SLOT + FEWEST_SLOTS);
      words.set([MAGIC, BigInt(8 * HEADER), BigInt(FEWEST_SLOTS)]);
      file.writeAtSync(new Uint8Array(words.buffer), 0);
    }
    const store = new Store(file);
    if (file.size > 8 * HEADER && store.#header()[0] === MAGIC) return store;
    file.close();
    throw new Error(`Cannot use '${path}': it holds something else`);
  }

  get(key: string): string | undefined {
    const [index, at] = this.#find(encoder.encode(key));
    return index[at] > DELETED ? this.#record(index[at]).value() : undefined;
  }

  /** Sets the values of some keys. They are on the disk when this returns. */
  async set(entries: [key: string, value: string][]): Promise<void> {
    const records = entries.map(([key, value]) => {
      const parts = [encoder.encode(key), encoder.encode(value)];
      const lengths = new Uint32Array(parts.map(({ length }) => length));
      return { key: parts[0], place: this.#append(lengths, ...parts) };
    });
    // No slot may point to what is not there after a power failure.
    await this.#file.flush();
    for (const { key, place } of records) {
      const [index, at] = this.#find(key);
      // Counted first: after a crash one too many does no harm, one too few would.
      if (index[at] === FREE) index[TAKEN]++;
      Atomics.store(index, at, place);
      if (2n * index[TAKEN] > index[SLOTS]) await this.#enlarge();
    }
    await this.#file.flush();
  }

  /** Whether the key was there. */
  async delete(key: string): Promise<boolean> {
    const [index, at] = this.#find(encoder.encode(key));
    if (index[at] <= DELETED) return false;
    Atomics.store(index, at, DELETED);
    await this.#file.flush();
    return true;
  }

  *entries(): Generator<[key: string, value: string]> {
    for (const slot of this.#index().subarray(FIRST_SLOT)) {
      if (slot <= DELETED) continue;
      const { key, value } = this.#record(slot);
      yield [decoder.decode(key), value()];
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #header(): BigUint64Array {
    return this.#file.view(BigUint64Array, 0, HEADER);
  }

  /** The index as it is now: an append may have emptied the views that there were. */
  #index(): BigUint64Array {
    const place = Number(this.#header()[INDEX_AT]);
    const slots = Number(this.#file.view(BigUint64Array, place, 1)[SLOTS]);
    return this.#file.view(BigUint64Array, place, FIRST_SLOT + slots);
  }

  #record(slot: bigint): { key: Uint8Array; value: () => string } {
    const at = Number(slot);
    const [key, value] = this.#file.view(Uint32Array, at, 2);
    return {
      key: this.#file.bytes(at + 8, key),
      value: () => decoder.decode(this.#file.bytes(at + 8 + key, value)),
    };
  }

  /** The index, and where in it a key is or is to be put. */
  #find(key: Uint8Array): [index: BigUint64Array, at: number] {
    const index = this.#index();
    return [
      index,
      probe(index, key, (slot) => {
        const there = this.#record(slot).key;
        return there.length === key.length &&
          there.every((byte, i) => byte === key[i]);
      }),
    ];
  }

  /** Writes at the end, from a multiple of 8 bytes on; gives the place. */
  #append(...parts: (Uint8Array | Uint32Array | BigUint64Array)[]): bigint {
    const place = Math.ceil(this.#file.size / 8) * 8;
    let at = place;
    for (const { buffer, byteOffset, byteLength } of parts) {
      this.#file.writeAtSync(
        new Uint8Array(buffer, byteOffset, byteLength),
        at,
      );
      at += byteLength;
    }
    return BigInt(place);
  }

  /** Makes an index with room for four times as many keys, and puts it in the old one's place. */
  async #enlarge(): Promise<void> {
    const slots = this.#index().subarray(FIRST_SLOT)
      .filter((slot) => slot > DELETED);
    const size = FEWEST_SLOTS + 4 * slots.length;
    const index = new BigUint64Array(FIRST_SLOT + size);
    index.set([BigInt(size), BigInt(slots.length)]);
    for (const slot of slots) {
      index[probe(index, this.#record(slot).key, () => false)] = slot;
    }
    const place = this.#append(index);
    await this.#file.flush();
    Atomics.store(this.#header(), INDEX_AT, place);
  }
}

/** Goes from slot to slot of an index until one is free or has the key. */
function probe(
  index: BigUint64Array,
  key: Uint8Array,
  hasKey: (slot: bigint) => boolean,
): number {
  const slots = index.length - FIRST_SLOT;
  const hash = key.reduce((h, byte) => Math.imul(h ^ byte, 0x01000193), 1);
  for (let at = (hash >>> 0) % slots;; at = (at + 1) % slots) {
    const slot = index[FIRST_SLOT + at];
    if (slot === FREE || (slot !== DELETED && hasKey(slot))) {
      return FIRST_SLOT + at;
    }
  }
}
