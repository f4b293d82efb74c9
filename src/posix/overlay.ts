/**
 * overlayfs, which the root of every container is. A file of a lower layer is copied up when a process writes
 * to it. Of a descriptor that was opened for reading before, read(2) follows to the copy and mmap(2) does
 * not: pages show the lower layer's file for good. So the file is opened again to be mapped.
 *
 * @module
 */

import { lastError, libc } from "./libc.ts";
import { birthTime, statfsOf } from "./file.ts";

/** A file on overlayfs that is open for reading. It refers to its descriptors alone. */
export class OverlayFile {
  readonly #fd: number;
  readonly #name: string;
  /** The descriptor that was opened again, or -1. */
  #mapped = -1;
  /** The birth time of the file that was opened again. A copy has another. */
  #birthTime = "";

  /** `null` if the file of this descriptor is not on overlayfs. */
  static of(fd: number, name: string): OverlayFile | null {
    const type = statfsOf(fd)?.getUint32(0, true);
    return type === OVERLAYFS_SUPER_MAGIC ? new OverlayFile(fd, name) : null;
  }

  private constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  /** The descriptor to map, which is opened on first use. */
  get fd(): number {
    if (this.#mapped !== -1) return this.#mapped;
    // Before the open, so that a copy made in between is noticed.
    this.#birthTime = birthTime(this.#fd, this.#name);
    const path = new TextEncoder().encode(`/proc/self/fd/${this.#fd}\0`);
    this.#mapped = libc().open(path, O_CLOEXEC);
    if (this.#mapped === -1) throw lastError("map", this.#name, "open");
    return this.#mapped;
  }

  /** Whether the file was copied up since it was opened to be mapped. */
  get isCopiedUp(): boolean {
    return this.#mapped !== -1 &&
      birthTime(this.#fd, this.#name) !== this.#birthTime;
  }

  /** Closes the descriptor that was opened again. */
  close(): void {
    if (this.#mapped !== -1) libc().close(this.#mapped);
    this.#mapped = -1;
  }
}

// Linux: include/uapi/linux/magic.h; include/uapi/asm-generic/fcntl.h, the same on x86-64 and arm64.
const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
const O_CLOEXEC = 0o2000000;
