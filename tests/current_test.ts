/** isCurrent(): whether another process has truncated, extended, replaced or removed an open file. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ClosedError,
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { FALLBACK_KEEPS, isCopy, NOT_TRUNCATABLE } from "./tested_module.ts";
import { isWindows, NO_GUARD, NO_LINKS, NO_REPLACING } from "./skip.ts";
import { pattern } from "./bytes.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const PAGE = 4096;

const MODES: [string, MmapOpenOptions][] = [
  ["for reading", { read: true }],
  ["for writing", { read: true, write: true }],
  ["to grow", { read: true, write: true, grow: true }],
  ["to append", { read: true, append: true }],
  ["copy-on-write", { copyOnWrite: true }],
];

function stateOf(file: MmapFile): [boolean, boolean] {
  return [file.truncated, file.isCurrent()];
}

for (const [mode, options] of MODES) {
  test(`a file open ${mode} that is unchanged is current, and refresh() changes nothing`, (dir) => {
    for (const size of [0, 1, PAGE, PAGE + 1]) {
      using file = openSync(dir.file(size), options);
      assertEquals(stateOf(file), [false, true]);
      if (size > 0) file.bytes();
      Deno.readFileSync(file.name);
      assertEquals(stateOf(file), [false, true]);
      assertEquals(file.refresh(), false);
      assertEquals([file.size, ...stateOf(file)], [size, false, true]);
    }
  });

  test(`a file open ${mode} that another process extended is not current until refresh()`, (dir) => {
    for (const size of [0, 1, PAGE]) {
      const path = dir.file(size);
      using file = openSync(path, options);
      Deno.writeFileSync(path, pattern(3), { append: true });
      assertEquals(stateOf(file), [false, false]);
      assertEquals(file.refresh(), true);
      assertEquals([file.size, ...stateOf(file)], [size + 3, false, true]);
      assertEquals(file.refresh(), false);
    }
  });

  test(
    `a file open ${mode} that another process truncated is not current until refresh()`,
    (dir) => {
      for (const size of [0, 1, PAGE, PAGE + 1]) {
        const path = dir.file(2 * PAGE);
        using file = openSync(path, options);
        Deno.truncateSync(path, size);
        assertEquals(file.isCurrent(), false);
        assertEquals(file.statSync().size, size);
        assertThrows(() => file.bytes(), TruncatedError);
        assertEquals(stateOf(file), [true, false]);
        assertEquals(file.refresh(), true);
        assertEquals([file.size, ...stateOf(file)], [size, false, true]);
      }
    },
    NOT_TRUNCATABLE,
  );
}

/** Ways to replace or remove the file at a path. */
const REPLACED: [string, (dir: TempDir, path: string) => void][] = [
  [
    "replaced by a rename",
    (dir, path) => Deno.renameSync(dir.file(10, "new"), path),
  ],
  ["removed", (_, path) => Deno.removeSync(path)],
  ["renamed", (dir, path) => Deno.renameSync(path, dir.join("elsewhere"))],
  ["removed and created again", (dir, path) => {
    Deno.removeSync(path);
    dir.file(10);
  }],
  ["replaced by a directory", (_, path) => {
    Deno.removeSync(path);
    Deno.mkdirSync(path);
  }],
];

for (const [how, replace] of REPLACED) {
  test(
    `a file that was ${how} is not current, even after refresh()`,
    (dir) => {
      const path = dir.file(10);
      using file = openSync(path);
      replace(dir, path);
      assertEquals(stateOf(file), [false, false]);
      assertEquals(file.refresh(), false);
      assertEquals(stateOf(file), [false, false]);
      assertEquals(file.copy(), pattern(10));
    },
    NO_REPLACING,
  );
}

test("a file whose directory has become a file is not current", (dir) => {
  Deno.mkdirSync(dir.join("dir"));
  Deno.writeFileSync(dir.join("dir", "data"), pattern(10));
  using file = openSync(dir.join("dir", "data"));
  Deno.removeSync(dir.join("dir"), { recursive: true });
  dir.file("", "dir");
  assertEquals(file.isCurrent(), false);
}, NO_REPLACING);

test(
  "isCurrent() follows links, accepts URLs, and sees a link that points to another file",
  (dir) => {
    const [one, other] = [dir.file(10, "one"), dir.file(10, "other")];
    const link = dir.join("link");
    Deno.symlinkSync(one, link);
    using file = openSync(new URL(`file://${link}`));
    assertEquals(file.isCurrent(), true);
    Deno.removeSync(link);
    Deno.symlinkSync(other, link);
    assertEquals(file.isCurrent(), false);
  },
  NO_LINKS,
);

test(
  "a window of a fixed length is current as long as the file holds it",
  (dir) => {
    const path = dir.file(100);
    using fixed = openSync(path, { offset: 10, length: 20 });
    using open = openSync(path, { offset: 10 });
    Deno.truncateSync(path, 200);
    assertEquals([fixed.isCurrent(), open.isCurrent()], [true, false]);
    assertEquals([fixed.refresh(), open.refresh()], [false, true]);
    assertEquals([fixed.size, open.size], [20, 190]);
  },
  isWindows && "Windows does not extend a mapped file",
);

test(
  "a file is current after its own writes, appends and truncations",
  (dir) => {
    const path = dir.file(10);
    {
      using file = openSync(path, { read: true, write: true, grow: true });
      file.writeAtSync(pattern(PAGE), 5);
      assertEquals([...stateOf(file), file.refresh()], [false, true, false]);
      file.truncateSync(3);
      assertEquals([...stateOf(file), file.refresh()], [false, true, false]);
    }
    using file = openSync(path, { read: true, append: true });
    file.writeSync(pattern(PAGE));
    assertEquals([...stateOf(file), file.refresh()], [false, true, false]);
  },
  isCopy && "the fallback does not write to the file before a write-back",
);

test(
  "a view of a truncated file is reported by `truncated`",
  (dir) => {
    const path = dir.file(2 * PAGE);
    using file = openSync(path);
    const view = file.bytes();
    Deno.truncateSync(path, 0);
    assertEquals(file.truncated, false);
    assertEquals(view[PAGE], 0);
    assertEquals(file.truncated, true);
  },
  FALLBACK_KEEPS || NO_GUARD,
);

test("isCurrent() and refresh() of a closed file throw, `truncated` does not", (dir) => {
  const file = openSync(dir.file(10));
  file.close();
  assertThrows(() => file.isCurrent(), ClosedError);
  assertThrows(() => file.refresh(), ClosedError);
  assert(!file.truncated);
});
