/** Disks that a test can fill. */

import { NO_MOUNTS, type Reason } from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

/** A small disk, which a test can fill: a tmpfs, or the given one. */
export class SmallDisk implements Disposable {
  readonly #dir: TempDir;
  readonly #isMounted: boolean;

  constructor(bytes: number) {
    this.#isMounted = bytes !== GIVEN_BYTES || GIVEN === undefined;
    this.#dir = new TempDir(this.#isMounted ? undefined : GIVEN);
    if (!this.#isMounted) return;
    const { path } = this.#dir;
    const options = `size=${bytes}`;
    if (!run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path)) {
      this.#dir[Symbol.dispose]();
      throw new Error("Cannot mount a tmpfs");
    }
  }

  join(...names: string[]): string {
    return this.#dir.join(...names);
  }

  [Symbol.dispose](): void {
    // Lazily, since a mapping that outlives its file would keep it busy.
    if (this.#isMounted) run("umount", "-l", this.#dir.path);
    this.#dir[Symbol.dispose]();
  }
}

/** A directory on a disk of `GIVEN_BYTES`, which `scripts/test_windows.sh` mounts. */
const GIVEN = Deno.env.get("MMAPFILE_SMALL_DISK");
const GIVEN_BYTES = 256 << 10;

const MAY_MOUNT = canMount();

/** Why a `SmallDisk` of this size cannot be mounted. */
export function noDiskOf(bytes: number): Reason {
  return !MAY_MOUNT && (GIVEN === undefined || bytes !== GIVEN_BYTES) &&
    NO_MOUNTS;
}

function canMount(): boolean {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  try {
    new SmallDisk(1 << 20)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
}

function run(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
