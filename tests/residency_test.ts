/** What is not in memory is read from the disk by another thread, in the order of the calls, and what is is not. */

import * as fs from "node:fs";
import { assertEquals } from "@std/assert";
import { openSync } from "@mmapfile/mmapfile";
import { isCopy } from "./backend.ts";
import type { Reason } from "./reason.ts";
import { equal, pattern, type TempDir, testInDir } from "./temp.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const OPTIONS = { read: true, write: true };

const NOT_EVICTED: Reason = (Deno.build.os !== "linux" || isCopy) &&
  "only Linux tells what is in memory";

function test(name: string, fn: (dir: TempDir) => void | Promise<void>): void {
  testInDir(name, fn, NOT_EVICTED);
}

/** Takes a file out of the page cache; false where the filesystem is memory itself. */
function evict(path: string): boolean {
  using libc = new Library();
  const fd = fs.openSync(path, "r+");
  fs.fsyncSync(fd);
  const POSIX_FADV_DONTNEED = 4;
  libc.symbols.posix_fadvise(fd, 0n, 0n, POSIX_FADV_DONTNEED);
  fs.closeSync(fd);
  const TMPFS = 0x01021994;
  return fs.statfsSync(path).type !== TMPFS;
}

class Library implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", {
    // int posix_fadvise(int fd, off_t offset, off_t len, int advice);
    posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  });
  readonly symbols = this.#library.symbols;

  [Symbol.dispose](): void {
    this.#library.close();
  }
}

/** Whether a call resolves before any other task has a turn. */
async function isDoneAtOnce(call: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  const done = call.then(() => isDone = true);
  for (let k = 0; k < 100; k++) await undefined;
  const wasDone = isDone;
  await done;
  return wasDone;
}

test("reads and writes of what is in memory are done at once, of what is not in another thread", async (dir) => {
  const path = dir.file(4 * MIB);
  const bytes = pattern(4 * MIB);
  const p = new Uint8Array(8 * KIB);
  const isDisk = evict(path);
  using file = openSync(path, OPTIONS);
  // The system may leave some pages in memory, but not most.
  const places = Array.from({ length: 16 }, (_, k) => k * 256 * KIB + 5);
  const doneAtOnce: boolean[] = [];
  for (const at of places) {
    doneAtOnce.push(await isDoneAtOnce(file.readAt(p, at)));
    assertEquals(equal(p, bytes.subarray(at, at + p.length)), true);
  }
  assertEquals(doneAtOnce.includes(false), isDisk);
  for (const at of places) {
    assertEquals(await isDoneAtOnce(file.readAt(p, at)), true);
    assertEquals(await isDoneAtOnce(file.writeAt(p, at)), true);
    bytes.set(p, at);
  }
  assertEquals(equal(Deno.readFileSync(path), bytes), true);
});

test("calls on a file that is partly in memory are done in the order in which they are made", async (dir) => {
  const size = 2 * MIB;
  const path = dir.file(size);
  const model = pattern(size);
  evict(path);
  using file = openSync(path, OPTIONS);
  const checks: Promise<void>[] = [];
  let at = 0;
  let seed = 1;
  const random = (below: number) =>
    (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below;
  for (let k = 0; k < 2000; k++) {
    const length = random(20 * KIB);
    const offset = random(size - length);
    const p = new Uint8Array(length);
    switch (random(5)) {
      case 0: {
        const expected = model.slice(offset, offset + length);
        checks.push(
          file.readAt(p, offset).then((read) => {
            assertEquals(read, length);
            assertEquals(equal(p, expected), true, `call ${k}`);
          }),
        );
        break;
      }
      case 1: {
        const expected = model.slice(at, at + length);
        at += expected.length;
        checks.push(
          file.read(p).then((read) => {
            assertEquals(read ?? 0, expected.length);
            assertEquals(equal(p.subarray(0, read ?? 0), expected), true);
          }),
        );
        break;
      }
      case 2:
        model.set(p.fill(k), offset);
        checks.push(
          file.writeAt(p, offset).then((n) => assertEquals(n, length)),
        );
        break;
      case 3:
        at = offset;
        checks.push(
          file.seek(offset, Deno.SeekMode.Start)
            .then((place) => assertEquals(place, offset)),
        );
        break;
      default:
        // Some wait, and what has been read so far is in memory.
        if (k % 50 === 0) await Promise.all(checks);
    }
  }
  await Promise.all(checks);
  assertEquals(equal(file.bytes(), model), true);
});

test("streams and iteration of a file that is not in memory are what the file is", async (dir) => {
  const path = dir.file(10 * MIB);
  const bytes = pattern(10 * MIB);
  evict(path);
  assertEquals(
    equal(await new Response(openSync(path).readable).bytes(), bytes),
    true,
  );
  evict(path);
  using file = openSync(path);
  const target = new TransformStream<Uint8Array, Uint8Array>();
  const [, written] = await Promise.all([
    file.writeTo(target.writable).then(() => target.writable.close()),
    new Response(target.readable).bytes(),
  ]);
  assertEquals(equal(written, bytes), true);
  evict(path);
  let at = 0;
  for await (const chunk of file.chunks()) {
    assertEquals(equal(chunk, bytes.subarray(at, at += chunk.length)), true);
  }
  assertEquals(at, bytes.length);
});
