/** Files and disks for one test, gone when it ends, and what is left open of them. */

import { Buffer } from "node:buffer";
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { collectUntil } from "./children/memory.ts";
import { type Reason, unless } from "./reason.ts";

/** A directory for one test, removed with all that is in it. */
export class TempDir implements Disposable {
  readonly path: string;

  /** Set by a test that moves memory away, which stays mapped: Windows removes no file that is. */
  leavesMapped = false;

  constructor(parent?: string) {
    this.path = Deno.realPathSync(
      Deno.makeTempDirSync({ dir: parent, prefix: "mmapfile_" }),
    );
  }

  join(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** A new file with these bytes, or with this many bytes of `pattern`. */
  file(contents: string | Uint8Array | number = "", name = "data"): string {
    const path = this.join(name);
    if (typeof contents === "number") contents = pattern(contents);
    if (typeof contents === "string") contents = encode(contents);
    Deno.writeFileSync(path, contents);
    return path;
  }

  /** Writes to the start of a file in place, which Windows allows while it is mapped. */
  overwrite(path: string, text: string): void {
    using file = Deno.openSync(path, { write: true });
    file.writeSync(encode(text));
  }

  /** A new file of `size` bytes that has no blocks. */
  sparseFile(size: number, name = "sparse"): string {
    const path = this.join(name);
    using file = Deno.createSync(path);
    file.truncateSync(size);
    return path;
  }

  [Symbol.dispose](): void {
    try {
      Deno.removeSync(this.path, { recursive: true });
    } catch (error) {
      if (!this.leavesMapped || Deno.build.os !== "windows") throw error;
    }
  }
}

/** A test with a directory of its own. */
export function testInDir(
  name: string,
  fn: (dir: TempDir) => void | Promise<void>,
  reason: Reason = false,
): void {
  Deno.test({
    ...unless(reason, name),
    fn: async () => {
      using dir = new TempDir();
      try {
        await fn(dir);
      } catch (error) {
        // Files that are still open are no news then.
        dir.leavesMapped = true;
        throw error;
      }
    },
  });
}

/** A disk of a few bytes, so that it can be filled: a tmpfs, or the one that there is. */
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
    // Lazily: a mapping that is meant to outlive its file would hold it.
    if (this.#isMounted) run("umount", "-l", this.#dir.path);
    this.#dir[Symbol.dispose]();
  }
}

/** A directory on a disk of `GIVEN_BYTES`, made by `scripts/test_windows.sh`. */
const GIVEN = Deno.env.get("MMAPFILE_SMALL_DISK");
const GIVEN_BYTES = 256 << 10;

const MAY_MOUNT = canMount();

/** Why there can be no `SmallDisk` of these bytes. */
export function noDiskOf(bytes: number): Reason {
  return !MAY_MOUNT && (GIVEN === undefined || bytes !== GIVEN_BYTES) &&
    "to mount a tmpfs takes Linux and root's rights";
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

/** Bytes none of which is 0, and no two neighbouring stretches of which look alike. */
export function pattern(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = patternAt(i, seed);
  return bytes;
}

/** The byte of `pattern` at one place. */
export function patternAt(i: number, seed = 0): number {
  return 1 + ((i + seed) * 31 + (i >>> 8) * 7) % 255;
}

/** Whether the bytes are the same; fast, for files of many MiB. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/**
 * What this process holds open below a directory: descriptors, and mappings as lines of
 * /proc/self/maps. Of one directory only, since other tests may run in other threads.
 */
export function heldOpen(dir: { join(): string }): string[] {
  // Elsewhere nobody tells; on Windows a directory with an open file cannot be removed.
  if (Deno.build.os !== "linux") return [];
  const prefix = dir.join();
  const held = Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(prefix));
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (path.startsWith(prefix)) held.push(`fd ${name} ${path}`);
    } catch (error) {
      // Closed since the directory was listed: the listing's own, or another thread's.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return held;
}

/**
 * No descriptor of a file there is open, and no memory mapped, once the engine has freed what was
 * handed out.
 */
export async function assertNothingIsOpen(
  dir: { join(): string },
): Promise<void> {
  const isDescriptor = (line: string) => line.startsWith("fd");
  assertEquals(heldOpen(dir).filter(isDescriptor), [], "Left open");
  await collectUntil(() => heldOpen(dir).length === 0);
  assertEquals(heldOpen(dir), [], "Left mapped");
}

/** What a call came to: its value, or the error that it threw or rejected with. */
export type Outcome = { value: unknown } | { error: Error };

export async function outcomeOf(call: () => unknown): Promise<Outcome> {
  try {
    return { value: await call() };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error };
  }
}
