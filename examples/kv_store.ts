/**
 * A key-value store in a file: a hash index in mapped memory, and records that are only ever appended.
 * A key's value changes by one atomic store, after its record is on the disk. A process that is killed at any
 * moment leaves the old value or the new one, and every link leads to a complete record.
 *
 * The file: a magic number, the index, the records. The index is an array of links: places of records,
 * or 0. A record has the link to the next one of the same hash, the lengths of key and value, and both.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type MmapFile, open } from "@mmapfile/mmapfile";

const MAGIC = 0x6d6d_6170_6b76_3032n; // "mmapkv02"
const LINKS = 1 << 17;
const FIRST_RECORD = 8 * (1 + LINKS);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Store implements Disposable {
  readonly #file: MmapFile;

  private constructor(file: MmapFile) {
    this.#file = file;
  }

  /** Opens a store, or creates one. Waits until no other process has it open. */
  static async open(path: string, create: boolean): Promise<Store> {
    const options = { read: true, write: true, grow: true, create };
    const file = await open(path, options);
    await file.lock(true);
    file.refresh(); // The process that had it open may have extended it.
    if (file.size === 0) file.truncateSync(FIRST_RECORD);
    if (file.size >= FIRST_RECORD) {
      const header = file.view(BigUint64Array, 0, 1);
      // Only zeros: it is new, or its creator was killed at this point.
      if (file.size === FIRST_RECORD && header[0] === 0n) header[0] = MAGIC;
      if (header[0] === MAGIC) return new Store(file);
    }
    file.close();
    throw new Error(`Cannot use '${path}': not a key-value store`);
  }

  get(key: string): string | undefined {
    const { to } = this.#find(encoder.encode(key));
    return to === 0 ? undefined : this.#record(to).value();
  }

  /** Sets keys, and deletes those without a value. Everything is on the disk when this returns. */
  async set(entries: [key: string, value?: string][]): Promise<void> {
    const changes = new Map<number, number>();
    for (const [key, value] of entries) {
      const { link, to } = this.#find(encoder.encode(key), changes);
      const next = to === 0 ? 0 : this.#follow(to, changes);
      const isDeleted = value === undefined;
      changes.set(link, isDeleted ? next : this.#append(next, key, value));
    }
    // After a power failure, every link must lead to a record.
    await this.#file.flush();
    for (const [link, to] of changes) {
      Atomics.store(this.#file.view(BigUint64Array, link, 1), 0, BigInt(to));
    }
    await this.#file.flush();
  }

  *entries(): Generator<[key: string, value: string]> {
    for (let link = 8; link < FIRST_RECORD; link += 8) {
      for (let at = this.#follow(link); at !== 0; at = this.#follow(at)) {
        const { key, value } = this.#record(at);
        yield [decoder.decode(key), value()];
      }
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  /** The link that leads to a key's record, or that is 0 and would; and where it leads. */
  #find(key: Uint8Array, changes?: Map<number, number>) {
    const hash = key.reduce((h, byte) => Math.imul(h ^ byte, 0x01000193), 1);
    let link = 8 + 8 * ((hash >>> 0) % LINKS);
    for (;;) {
      const to = this.#follow(link, changes);
      if (to === 0) return { link, to };
      if (Buffer.compare(this.#record(to).key, key) === 0) return { link, to };
      link = to;
    }
  }

  /** Where a link leads, or will once the changes are made. */
  #follow(link: number, changes?: Map<number, number>): number {
    return changes?.get(link) ??
      Number(this.#file.view(BigUint64Array, link, 1)[0]);
  }

  #record(at: number): { key: Uint8Array; value: () => string } {
    const lengths = this.#file.view(DataView, at + 8, 8);
    const key = lengths.getUint32(0, true);
    const value = lengths.getUint32(4, true);
    return {
      key: this.#file.bytes(at + 16, key),
      value: () => this.#file.text(at + 16 + key, value),
    };
  }

  /** Writes a record at the end, at a multiple of 8. Returns its position. */
  #append(next: number, key: string, value: string): number {
    const parts = [encoder.encode(key), encoder.encode(value)];
    const head = new Uint8Array(16);
    new BigUint64Array(head.buffer)[0] = BigInt(next);
    new Uint32Array(head.buffer, 8).set(parts.map(({ length }) => length));
    const position = 8 * Math.ceil(this.#file.size / 8);
    this.#file.writeAtSync(Buffer.concat([head, ...parts]), position);
    return position;
  }
}
