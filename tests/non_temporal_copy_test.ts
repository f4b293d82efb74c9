/** Copies of many megabytes, and the code that makes them, against `set` and `Deno.FsFile`. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { openSync } from "@mmapfile/mmapfile";
import fc from "fast-check";
import { copyLarge } from "../src/posix/non_temporal_copy.ts";
import { equal, pattern } from "./bytes.ts";
import { testInDir } from "./temp_dir.ts";

const MIB = 1 << 20;
const WRITE = { read: true, write: true };

Deno.test("copyLarge() does what set() does, at any alignment", () => {
  const place = fc.integer({ min: 0, max: 200 });
  const length = fc.integer({ min: 0, max: 3000 });
  fc.assert(fc.property(place, place, length, (to, from, length) => {
    const source = pattern(from + length).subarray(from);
    const copy = new Uint8Array(to + length + 100);
    const expected = new Uint8Array(copy.length);
    copyLarge(copy.subarray(to), source);
    expected.set(source, to);
    assertEquals(copy, expected);
  }));
});

Deno.test("copyLarge() copies from and to shared and resizable buffers", () => {
  const bytes = pattern(1000);
  const shared = new Uint8Array(new SharedArrayBuffer(1000));
  const buffer = new ArrayBuffer(1000, { maxByteLength: 2000 });
  const resizable = new Uint8Array(buffer);
  copyLarge(shared, bytes);
  copyLarge(resizable, shared);
  assertEquals(resizable, bytes);
  buffer.resize(500);
  assertThrows(() => copyLarge(resizable, shared), RangeError);
});

Deno.test("copyLarge() does not trust a subclass that reports a larger length", () => {
  class Boastful extends Uint8Array {
    override get length() {
      return 1 << 30;
    }
    override get byteLength() {
      return 1 << 30;
    }
  }
  const target = new Uint8Array(1000);
  copyLarge(target, new Boastful(200).fill(7));
  assertEquals([target[199], target[200]], [7, 0]);
  assertThrows(() => copyLarge(new Boastful(200), target), RangeError);
});

testInDir(
  "MmapFile reads and writes 40 MiB at odd offsets as Deno.FsFile does",
  (dir) => {
    const path = dir.file(50 * MIB);
    const other = dir.file(50 * MIB, "other");
    using file = openSync(path, WRITE);
    using fsFile = Deno.openSync(other, WRITE);
    const source = pattern(40 * MIB + 3).subarray(3);
    // The first write to a block may take another path than the second.
    for (const at of [12345, 12345, 4096]) {
      fsFile.seekSync(at, Deno.SeekMode.Start);
      file.seekSync(at, Deno.SeekMode.Start);
      assertEquals(file.writeSync(source), fsFile.writeSync(source));
      assert(equal(Deno.readFileSync(path), Deno.readFileSync(other)));
    }
    const [read, expected] = [
      new Uint8Array(45 * MIB),
      new Uint8Array(45 * MIB),
    ];
    for (const at of [0, 5 * MIB, 7 * MIB + 1]) {
      fsFile.seekSync(at, Deno.SeekMode.Start);
      const count = fsFile.readSync(expected.subarray(1));
      assertEquals(file.readAtSync(read.subarray(1), at), count);
      assert(equal(read, expected));
    }
  },
);

testInDir("MmapFile copies 40 MiB of itself over themselves", (dir) => {
  for (const grow of [false, true]) {
    for (const [from, to] of [[0, 1000], [1000, 0]]) {
      const expected = pattern(50 * MIB);
      using file = openSync(dir.file(expected), { ...WRITE, grow });
      const part = file.bytes(from, 40 * MIB);
      file.writeAtSync(part, to!);
      file.writeAtSync(file.bytes(from, 40 * MIB), to!);
      for (let times = 0; times < 2; times++) {
        expected.copyWithin(to!, from!, from! + 40 * MIB);
      }
      assert(equal(file.bytes(), expected));
      file.readAtSync(file.bytes(to, 40 * MIB), from!);
      expected.copyWithin(to!, from!, from! + 40 * MIB);
      assert(equal(file.bytes(), expected));
    }
  }
});
