/** Files mapped with mmap(2). */

import { closeSync, openSync } from "node:fs";
import {
  libc,
  MAP_PRIVATE,
  MAP_SHARED,
  platform,
  PROT_READ,
  PROT_WRITE,
} from "../../src/posix/libc.ts";

export const PAGE = libc().getpagesize();

/** A file of `size` bytes, each 7 unless it is large, mapped shared. */
export class MappedFile {
  readonly fd: number;
  readonly address: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;

  /** `at` is the address to map it at, if the system can. */
  constructor(size: number, filled = true, at = 0n) {
    const path = Deno.makeTempFileSync({ prefix: "guard-" });
    this.fd = openSync(path, "r+");
    Deno.removeSync(path);
    libc().ftruncate(this.fd, BigInt(size));
    this.address = map(size, MAP_SHARED, this.fd, at);
    this.bytes = new Uint8Array(bufferAt(this.address, size));
    if (filled) this.bytes.fill(7);
  }

  /** As another process does it. */
  truncate(size: number): void {
    libc().ftruncate(this.fd, BigInt(size));
  }

  /** After this `bytes` must not be touched. */
  close(): void {
    libc().munmap(this.address, BigInt(this.bytes.length));
    closeSync(this.fd);
  }
}

/** Anonymous memory. */
export function anonymous(size: number): bigint {
  return map(size, MAP_PRIVATE | platform!.MAP_ANONYMOUS, -1);
}

function map(size: number, flags: number, fd: number, at = 0n): bigint {
  const prot = PROT_READ | PROT_WRITE;
  const address = libc().mmap(at, BigInt(size), prot, flags, fd, 0n);
  if (BigInt.asIntN(64, address) === -1n) throw new Error("mmap failed");
  return address;
}

export function bufferAt(address: bigint, size: number): ArrayBuffer {
  const pointer = Deno.UnsafePointer.create(address)!;
  return Deno.UnsafePointerView.getArrayBuffer(pointer, size);
}
