/**
 * Machine code that stands in a listing, beside what it means to an assembler.
 *
 * @module
 */

/** The bytes of a listing. Both architectures are little-endian: a word starts with its last byte. */
export function machineCode(listing: string): Uint8Array<ArrayBuffer> {
  const units = listing.replace(/\|.*/g, "").match(/\w+/g) ?? [];
  const bytes: number[] = [];
  for (const unit of units) {
    for (let end = unit.length; end > 0; end -= 2) {
      bytes.push(parseInt(unit.slice(end - 2, end), 16));
    }
  }
  return Uint8Array.from(bytes);
}
