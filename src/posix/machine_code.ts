/**
 * Machine code: from a listing to bytes, and from bytes to memory that can be executed.
 *
 * @module
 */

import {
  libc,
  MAP_FAILED,
  MAP_PRIVATE,
  platform,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
} from "./libc.ts";

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

/**
 * Puts code into memory that is never unmapped, followed by `dataSize` writable bytes. Returns the address, or
 * `null` if the system refuses executable memory.
 *
 * @param codeSize Bytes up to the data: whole pages, if there is data.
 */
export function loadCode(
  code: Uint8Array,
  codeSize: number,
  dataSize: number,
): bigint | null {
  const { mmap, mprotect, munmap } = libc();
  if (mprotect === null || platform === undefined) return null;
  const size = BigInt(codeSize + dataSize);
  const flags = MAP_PRIVATE | platform.MAP_ANONYMOUS | platform.MAP_NORESERVE;
  const address = mmap(0n, size, PROT_READ | PROT_WRITE, flags, -1, 0n);
  if (address === MAP_FAILED) return null;
  const pointer = Deno.UnsafePointer.create(address)!;
  // SAFETY: this memory was just mapped, and is unmapped only before its address is returned.
  const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, code.length);
  new Uint8Array(memory).set(code);
  // This also makes the instruction caches of arm64 see the code: arch/arm64/mm/flush.c.
  if (mprotect(address, BigInt(codeSize), PROT_READ | PROT_EXEC) === 0) {
    return address;
  }
  munmap(address, size);
  return null;
}
