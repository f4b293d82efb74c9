/**
 * A sorted table of IPv4 ranges and their countries, searched in place. Another process may replace it at any
 * time, by a rename or in place. Each record has a checksum that includes the number of its table, so that a
 * search that reads two tables is detected.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { createSync, type MmapFile, openSync } from "@mmapfile/mmapfile";

const MAGIC = 0x47454f31;
/** Bytes of a record: first and last address, country, checksum. Of the header: magic, table's number, count, checksum. */
const RECORD = 16;

/** Parses an address as a number; NaN if it is not an address. */
export function parseAddress(text: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const bytes = parts?.slice(1).map(Number) ?? [];
  if (bytes.length < 4 || bytes.some((byte) => byte > 255)) return NaN;
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}

/** Builds a table from a sorted list, and replaces an older one. */
export function build(csv: string, path: string): void {
  const number = Math.floor(Math.random() * 2 ** 32);
  const records: Uint8Array[] = [];
  const add = (fields: number[], seed: number) => {
    const view = new DataView(new ArrayBuffer(RECORD));
    fields.forEach((field, k) => view.setUint32(4 * k, field));
    view.setUint32(12, crc32(new Uint8Array(view.buffer, 0, 12), seed));
    records.push(new Uint8Array(view.buffer));
  };
  using source = openSync(csv);
  for (const line of source.textLines()) {
    const [first = "", last = "", country = ""] = line.split(",");
    const code = (country.charCodeAt(0) << 8) | country.charCodeAt(1);
    add([parseAddress(first), parseAddress(last), code], number);
  }
  const count = records.length;
  add([MAGIC, number, count], 0);
  records.unshift(records.pop()!);
  {
    using table = createSync(`${path}.new`, records.length * RECORD);
    records.forEach((record, k) => table.writeAtSync(record, k * RECORD));
    table.syncSync();
  }
  Deno.renameSync(`${path}.new`, path);
}

/** A table, reloaded when it changes. */
export class Table {
  #file: MmapFile;
  #number = 0;
  #count = 0;
  readonly #record = new DataView(new ArrayBuffer(RECORD));

  constructor(readonly path: string) {
    this.#file = openSync(path, { advice: "random" });
    this.load();
  }

  /** Adopts changes of the file. */
  load(): void {
    // If its size is unchanged, another file has replaced it.
    if (!this.#file.isCurrent() && !this.#file.refresh()) {
      const next = openSync(this.path, { advice: "random" });
      this.#file.close();
      this.#file = next;
    }
    const [magic, number, count] = this.#read(0, 0);
    if (magic !== MAGIC) {
      throw new Error(`Cannot use '${this.path}': not a table`);
    }
    [this.#number, this.#count] = [number, count];
  }

  /** Returns the country of an address, if the table has one. */
  find(address: number): string | undefined {
    if (!this.#file.isCurrent()) this.load();
    let [from, to] = [0, this.#count];
    let found: [first: number, last: number, code: number] = [0, -1, 0];
    while (from < to) {
      const middle = (from + to) >> 1;
      const record = this.#read(middle + 1, this.#number);
      if (record[0] > address) to = middle;
      else [from, found] = [middle + 1, record];
    }
    const [, last, code] = found;
    if (address <= last) return String.fromCharCode(code >> 8, code & 255);
  }

  #read(index: number, seed: number): [number, number, number] {
    const record = this.#record;
    const bytes = new Uint8Array(record.buffer);
    const read = this.#file.readAtSync(bytes, index * RECORD);
    const sum = crc32(bytes.subarray(0, 12), seed);
    if (read !== RECORD || record.getUint32(12) !== sum) {
      throw new Error(`Cannot use '${this.path}': it is being replaced`);
    }
    return [record.getUint32(0), record.getUint32(4), record.getUint32(8)];
  }
}
