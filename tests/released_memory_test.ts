/** Memory of a closed file, which the next open of the same file may use again. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { type MmapFile, type MmapOpenOptions, openSync } from "../mod.ts";
import { equal, pattern } from "./bytes.ts";
import { ONLY_LINUX, type Reason } from "./skip.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

/** At least 1 MiB: a small part of such a file is mapped alone. */
const SIZE = (1 << 20) + 777;

const OPTIONS: Record<string, MmapOpenOptions> = {
  "read-only": { read: true },
  writable: { read: true, write: true },
  "of fixed size": { read: true, write: true, grow: false },
  "without the guard": { read: true, guard: false },
  "a window": { read: true, offset: 70_001, length: 100_000 },
};

/** What is viewed before the close and after the next open. */
const VIEWS: Record<string, (file: MmapFile) => Uint8Array> = {
  "the whole": (file) => file.bytes(),
  "a part": (file) => file.bytes(5000, Math.min(4096, file.size - 5000)),
  "a part, then the whole": (file) => {
    file.bytes(file.size - 1, 1);
    return file.bytes();
  },
};

/** What happens after the first view was created, and what happens after the close. */
const EVENTS: Record<
  string,
  { open?: (file: MmapFile, view: Uint8Array) => unknown; closed?: Change }
> = {
  nothing: {},
  "a write to the view": { open: (_, view) => view.fill(7) },
  "advise()": { open: (file) => file.advise("random") },
  "prefetch()": { open: (file) => file.prefetch() },
  "refresh()": { open: (file) => file.refresh() },
  "an overwrite by others": {
    closed: (path) => {
      using file = Deno.openSync(path, { write: true });
      file.writeSync(pattern(100_000).reverse());
    },
  },
  "a truncation by others": {
    closed: (path) => Deno.truncateSync(path, 200_000),
  },
  "a truncation and an extension by others": {
    closed: (path) => {
      Deno.truncateSync(path, 10);
      Deno.truncateSync(path, SIZE);
    },
  },
  "an append by others": {
    closed: (path) =>
      Deno.writeFileSync(path, pattern(70_000), { append: true }),
  },
  "a replacement by others": {
    closed: (path, dir) =>
      Deno.renameSync(dir.file(pattern(SIZE).reverse(), "other"), path),
  },
  "a removal and a new file": {
    closed: (path, dir) => {
      Deno.removeSync(path);
      dir.file(pattern(SIZE).reverse());
    },
  },
};

type Change = (path: string, dir: TempDir) => void;

for (const [event, { open, closed }] of Object.entries(EVENTS)) {
  testInDir(
    `a file that is closed and opened again shows its bytes after ${event}`,
    async (dir) => {
      for (const [name, options] of Object.entries(OPTIONS)) {
        for (const [what, viewOf] of Object.entries(VIEWS)) {
          const path = dir.file(pattern(SIZE));
          const old: Uint8Array[] = [];
          for (let times = 0; times < 3; times++) {
            const expected = expectedOf(path, options);
            using file = openSync(path, options);
            const view = viewOf(file);
            const at = file.size === view.length ? 0 : 5000;
            assert(
              equal(view, expected.subarray(at, at + view.length)),
              `${name}, ${what}, open ${times}`,
            );
            assert(old.every((view) => view.length === 0));
            await open?.(file, view);
            old.push(view);
            if (times < 2) continue;
            file.close();
            closed?.(path, dir);
            using again = openSync(path, options);
            const shown = again.bytes();
            assert(equal(shown, expectedOf(path, options)), `${name}, ${what}`);
          }
        }
      }
    },
    ONLY_LINUX,
  );
}

testInDir(
  "a file that is closed and opened again has the same memory, if it is opened in the same way",
  (dir) => {
    const path = dir.file(pattern(SIZE));
    const addressOf = (options: MmapOpenOptions) => {
      using file = openSync(path, options);
      return Deno.UnsafePointer.value(Deno.UnsafePointer.of(file.bytes()));
    };
    const first = addressOf({ read: true });
    assertEquals(addressOf({ read: true }), first);
    assertNotEquals(addressOf({ read: true, write: true }), first);
    assertNotEquals(addressOf({ read: true, guard: false }), first);
    assertNotEquals(addressOf({ read: true, copyOnWrite: true }), first);
    assertEquals(addressOf({ read: true }), first);
  },
  ONLY_LINUX || noBlockDevice(),
);

testInDir(
  "files that are open at the same time do not have the same memory",
  (dir) => {
    const path = dir.file(pattern(SIZE));
    for (let times = 0; times < 3; times++) {
      using first = openSync(path);
      using second = openSync(path);
      const view = first.bytes();
      assert(view.buffer !== second.bytes().buffer);
      second.close();
      assertEquals(view.length, SIZE);
    }
  },
  ONLY_LINUX,
);

testInDir(
  "a new file does not have the memory of a removed one, whose inode number it may get",
  (dir) => {
    for (let k = 1; k < 200; k++) {
      const path = dir.file(new Uint8Array(10_000).fill(k));
      using file = openSync(path);
      assertEquals(file.bytes()[k], k);
      file.close();
      Deno.removeSync(path);
    }
  },
  ONLY_LINUX,
);

/** What `Deno.readFileSync` says of the file, or of the window. */
function expectedOf(path: string, options: MmapOpenOptions): Uint8Array {
  const { offset = 0, length = Infinity } = options;
  return Deno.readFileSync(path).subarray(offset, offset + length);
}

/** Inode numbers are trusted only on block devices. */
function noBlockDevice(): Reason {
  const path = Deno.makeTempFileSync();
  const { dev } = Deno.statSync(path);
  Deno.removeSync(path);
  // makedev(3): the major number is in bits 8 to 19.
  return ((dev >> 8) & 0xfff) === 0 && "the filesystem has no block device";
}
