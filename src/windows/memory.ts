/**
 * Views of files on Windows: mapped, unmapped, and their addresses kept from reuse.
 *
 * A native operation in progress, such as a read from a socket into a view, keeps the address that it received. If the next file were mapped there, that operation would read or write the wrong file. So the
 * address range of an unmapped view stays reserved, up to a bound. The file itself is free at once: Windows
 * truncates no file that is mapped.
 *
 * A reserved range has no access rights. Zeros in their place would keep the process alive, but the operation
 * would report them as the file's bytes. Without access the system's own calls return an error.
 *
 * @module
 */

import {
  CURRENT_PROCESS,
  FILE_MAP_COPY,
  FILE_MAP_READ,
  FILE_MAP_WRITE,
  type Kernel32,
  type Kernelbase,
  MEM_PRESERVE_PLACEHOLDER,
  MEM_RELEASE,
  MEM_REPLACE_PLACEHOLDER,
  MEM_RESERVE,
  MEM_RESERVE_PLACEHOLDER,
  PAGE_NOACCESS,
  PAGE_READONLY,
  PAGE_READWRITE,
  PAGE_SIZE,
  PAGE_WRITECOPY,
} from "./kernel32.ts";

/** The functions that views are made of. */
export type ViewFunctions =
  & Pick<
    Kernel32,
    "MapViewOfFile" | "UnmapViewOfFile" | "VirtualAlloc" | "VirtualFree"
  >
  & Kernelbase;

/** Pages of a file in memory. */
export interface View {
  /** The first byte, at a multiple of the allocation granularity. */
  readonly address: bigint;
  /** Length in bytes. */
  readonly length: number;
  /** Whether the view replaced a placeholder, which it can leave in its place. */
  readonly replacedPlaceholder: boolean;
  /** Whether code other than the library's may know the address. */
  isExposed: boolean;
}

/** How much stays reserved after it was unmapped, in each isolate. The oldest ranges are freed first. */
export interface QuarantineLimit {
  /** Address ranges. */
  readonly ranges: number;
  /** Bytes of addresses. On Windows they take no memory; Wine keeps a byte for each page. */
  readonly bytes: number;
}

/** A process has 128 TiB of addresses. */
export const QUARANTINE_LIMIT: QuarantineLimit = {
  ranges: 16_384,
  bytes: 2 ** 40,
};

/** Makes and ends the views of one isolate. */
export class Views {
  readonly #functions: ViewFunctions;
  readonly #limit: QuarantineLimit;
  /** Unmapped views whose addresses are reserved, the oldest first. */
  readonly #quarantine: View[] = [];
  #quarantinedBytes = 0;

  constructor(functions: ViewFunctions, limit = QUARANTINE_LIMIT) {
    this.#functions = functions;
    this.#limit = limit;
  }

  /**
   * Maps `length` bytes from `offset` on, which the section must have.
   *
   * @param protection That of the section: PAGE_READONLY, PAGE_READWRITE or PAGE_WRITECOPY.
   * @param offset In bytes, a multiple of the allocation granularity.
   * @returns The view; `null` if MapViewOfFile failed, and GetLastError() then says why.
   */
  map(
    section: bigint,
    protection: Protection,
    offset: number,
    length: number,
  ): View | null {
    const replaced = this.#mapPlaceholder(section, protection, offset, length);
    const address = replaced || this.#functions.MapViewOfFile(
      section,
      ACCESS[protection],
      Math.floor(offset / 2 ** 32),
      offset % 2 ** 32,
      BigInt(length),
    );
    if (address === 0n) return null;
    const replacedPlaceholder = replaced !== 0n;
    return { address, length, replacedPlaceholder, isExposed: false };
  }

  /**
   * Unmaps a view. If it was exposed, its addresses stay reserved.
   *
   * @returns Whether it was mapped; if not, GetLastError() says why.
   */
  unmap(view: View): boolean {
    const { UnmapViewOfFile, UnmapViewOfFile2, VirtualAlloc } = this.#functions;
    const { address, length } = view;
    if (!view.isExposed) return UnmapViewOfFile(address) !== 0;
    if (view.replacedPlaceholder) {
      const isUnmapped = UnmapViewOfFile2!(
        CURRENT_PROCESS,
        address,
        MEM_PRESERVE_PLACEHOLDER,
      ) !== 0;
      if (isUnmapped) this.#quarantineView(view);
      return isUnmapped;
    }
    if (UnmapViewOfFile(address) === 0) return false;
    // Another thread may have mapped something there between the two calls.
    const size = BigInt(length);
    if (VirtualAlloc(address, size, MEM_RESERVE, PAGE_NOACCESS) === address) {
      this.#quarantineView(view);
    }
    return true;
  }

  /** Maps a view over a placeholder; returns 0 if Windows is too old for that, or refuses it. */
  #mapPlaceholder(
    section: bigint,
    protection: Protection,
    offset: number,
    length: number,
  ): bigint {
    const { VirtualAlloc2, MapViewOfFile3, UnmapViewOfFile2, VirtualFree } =
      this.#functions;
    if (!VirtualAlloc2 || !MapViewOfFile3 || !UnmapViewOfFile2) return 0n;
    const placeholder = VirtualAlloc2(
      CURRENT_PROCESS,
      0n,
      BigInt(Math.ceil(length / PAGE_SIZE) * PAGE_SIZE),
      MEM_RESERVE | MEM_RESERVE_PLACEHOLDER,
      PAGE_NOACCESS,
      0n,
      0,
    );
    if (placeholder === 0n) return 0n;
    // MapViewOfFile3 rounds the length up to whole pages itself. It refuses a view that is longer than its
    // section, and so a length that was rounded before.
    const address = MapViewOfFile3(
      section,
      CURRENT_PROCESS,
      placeholder,
      BigInt(offset),
      BigInt(length),
      MEM_REPLACE_PLACEHOLDER,
      protection,
      0n,
      0,
    );
    if (address === 0n) VirtualFree(placeholder, 0n, MEM_RELEASE);
    return address;
  }

  #quarantineView(view: View): void {
    this.#quarantine.push(view);
    this.#quarantinedBytes += view.length;
    while (
      this.#quarantine.length > this.#limit.ranges ||
      this.#quarantinedBytes > this.#limit.bytes
    ) {
      const { address, length } = this.#quarantine.shift()!;
      this.#quarantinedBytes -= length;
      this.#functions.VirtualFree(address, 0n, MEM_RELEASE);
    }
  }
}

/** How a section and its views may be used. */
export type Protection =
  | typeof PAGE_READONLY
  | typeof PAGE_READWRITE
  | typeof PAGE_WRITECOPY;

/** The same for MapViewOfFile. */
const ACCESS = {
  [PAGE_READONLY]: FILE_MAP_READ,
  [PAGE_READWRITE]: FILE_MAP_READ | FILE_MAP_WRITE,
  [PAGE_WRITECOPY]: FILE_MAP_COPY,
};
