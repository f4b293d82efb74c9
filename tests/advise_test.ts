/** advise() releases memory, and never loses a write. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { isCopy, NOT_TRUNCATABLE } from "./tested_module.ts";
import { isEmulated, NO_LISTING, type Reason } from "./skip.ts";
import { equal, pattern } from "./bytes.ts";
import { testInDir as test } from "./temp_dir.ts";

const SIZE = 8 << 20;
const PAGE = 4096;
const NO_RSS: Reason = isCopy
  ? "the fallback has no mapped pages"
  : isEmulated
  ? "the kernel does not list the pages of a process under QEMU"
  : NO_LISTING;

/** Bytes of a file that are in this process's memory, by /proc/self/smaps. */
function residentBytes(path: string): number {
  let bytes = 0;
  let isOfFile = false;
  for (const line of Deno.readTextFileSync("/proc/self/smaps").split("\n")) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isOfFile = line.endsWith(path);
    else if (isOfFile && line.startsWith("Rss:")) {
      bytes += parseInt(line.slice(4)) * 1024;
    }
  }
  return bytes;
}

const MODES: [string, MmapOpenOptions][] = [
  ["for reading", { read: true }],
  ["for writing", { read: true, write: true }],
  ["to grow", { read: true, write: true, grow: true }],
  ["for a window", { read: true, write: true, offset: 3 }],
];

for (const [mode, options] of MODES) {
  test(
    `advise("dontneed") of a file open ${mode} releases its memory, and its bytes stay`,
    (dir) => {
      const path = dir.file(SIZE);
      const expected = pattern(SIZE).subarray(options.offset);
      using file = openSync(path, options);
      const { length } = expected;
      const touch = () => assert(equal(file.bytes(), expected));
      touch();
      assert(residentBytes(path) >= length);
      file.advise("dontneed");
      assertEquals(residentBytes(path), 0);
      touch();
      file.advise("dontneed", length >> 1);
      assert(Math.abs(residentBytes(path) - length / 2) <= 2 * PAGE);
      touch();
    },
    NO_RSS,
  );
}

test('advise("dontneed") loses no write, through a view or a method, to the disk yet or not', (dir) => {
  const path = dir.file(SIZE);
  const expected = pattern(SIZE);
  using file = openSync(path, { read: true, write: true });
  const change = (at: number, length: number) => {
    expected.fill(7, at, at + length);
    file.bytes(at, length).fill(7);
    file.advise("dontneed");
    assert(equal(file.bytes(), expected));
  };
  change(0, 1);
  change(PAGE - 1, 2);
  change(SIZE - 5, 5);
  file.writeAtSync(pattern(1 << 20, 9), 100);
  expected.set(pattern(1 << 20, 9), 100);
  file.advise("dontneed", 50, 1 << 19);
  assert(equal(file.bytes(), expected));
  assert(equal(Deno.readFileSync(path), expected));
});

test('advise("dontneed") is refused for copy-on-write files, which keep their changes', (dir) => {
  using file = openSync(dir.file(PAGE), { copyOnWrite: true });
  file.bytes().fill(7);
  const error = assertThrows(() => file.advise("dontneed"), TypeError);
  assert(error.message.includes("copy-on-write"), error.message);
  assertEquals(file.bytes(), new Uint8Array(PAGE).fill(7));
});

test("advise() accepts every advice for any range, of an empty file too", (dir) => {
  for (const size of [0, 1, PAGE, PAGE + 1]) {
    using file = openSync(dir.file(size));
    const all = ["normal", "sequential", "random", "dontneed"] as const;
    for (const advice of all) {
      file.advise(advice);
      file.advise(advice, size);
      file.advise(advice, size >> 1, size >> 2);
      assertThrows(() => file.advise(advice, size + 1), RangeError);
      assertThrows(() => file.advise(advice, 0, size + 1), RangeError);
    }
    assertThrows(
      () => file.advise("free" as Parameters<MmapFile["advise"]>[0]),
      TypeError,
    );
    assertEquals(file.copy(), pattern(size));
  }
});

test('advise("dontneed") of a truncated file throws', (dir) => {
  const path = dir.file(2 * PAGE);
  using file = openSync(path);
  Deno.truncateSync(path, 0);
  assertEquals(file.statSync().size, 0);
  assertThrows(() => file.advise("dontneed"), TruncatedError);
  file.refresh();
  file.advise("dontneed");
}, NOT_TRUNCATABLE);
