/** Another thread reads bytes that are not in the page cache, in the order of the calls; other bytes are read at once. */

import * as fs from "node:fs";
import { assertEquals } from "@std/assert";
import { openSync } from "@mmapfile/mmapfile";
import { isCopy } from "./tested_module.ts";
import { isEmulated, type Reason } from "./skip.ts";
import { equal, pattern } from "./bytes.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const OPTIONS = { read: true, write: true };

const NOT_EVICTED: Reason = (Deno.build.os !== "linux" || isCopy) &&
    "only Linux reports which pages are in memory" ||
  isEmulated && "QEMU has neither cachestat(2) nor preadv2(2)";

function test(name: string, fn: (dir: TempDir) => void | Promise<void>): void {
  testInDir(name, fn, NOT_EVICTED);
}

/** Evicts a file from the page cache; false if the filesystem is in memory. */
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

/** Whether a call resolves before any other task runs. */
async function isDoneAtOnce(call: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  const done = call.then(() => isDone = true);
  for (let k = 0; k < 100; k++) await undefined;
  const wasDone = isDone;
  await done;
  return wasDone;
}

test("reads and writes of cached bytes are done at once, of others in another thread", async (dir) => {
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

test("calls on a partly cached file are done in the order in which they are made", async (dir) => {
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

test("streams and iteration of an uncached file return its bytes", async (dir) => {
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

test("reads that wait for the disk continue when the file is closed, and fill only their arrays", async (dir) => {
  const size = 8 * MIB;
  const path = dir.file(size);
  const bytes = pattern(size);
  evict(path);
  const file = openSync(path);
  const lengths = [1, 64, 100, 4 * KIB, 16 * KIB, 16 * KIB + 1, 64 * KIB, MIB];
  const reads = lengths.flatMap((length) =>
    Array.from({ length: 16 }, async (_, k) => {
      const at = (k * 509 * KIB + 3 * length) % (size - length);
      const around = new Uint8Array(length + 2).fill(0xee);
      const read = await file.readAt(around.subarray(1, length + 1), at);
      assertEquals(read, length);
      const expected = bytes.subarray(at, at + length);
      assertEquals(equal(around.subarray(1, length + 1), expected), true);
      assertEquals([around[0], around[length + 1]], [0xee, 0xee]);
    })
  );
  file.close();
  await Promise.all(reads);
});

test("a read that waits for the disk fills an array that grows, and does not fail if the array is detached", async (dir) => {
  const path = dir.file(4 * MIB);
  const bytes = pattern(4 * MIB);
  evict(path);
  using file = openSync(path);
  const resized = new ArrayBuffer(8 * KIB, { maxByteLength: 16 * KIB });
  const detached = new ArrayBuffer(8 * KIB);
  const reads = [
    file.readAt(new Uint8Array(resized), MIB),
    file.readAt(new Uint8Array(detached), 2 * MIB),
  ];
  resized.resize(16 * KIB);
  const moved = detached.transfer();
  await Promise.all(reads);
  const filled = new Uint8Array(resized, 0, 8 * KIB);
  assertEquals(equal(filled, bytes.subarray(MIB, MIB + 8 * KIB)), true);
  assertEquals([detached.byteLength, moved.byteLength], [0, 8 * KIB]);
});

test("a file that another process truncates while it is read from the disk is read to its end", async (dir) => {
  const path = dir.file(4 * MIB);
  const bytes = pattern(4 * MIB);
  evict(path);
  using file = openSync(path);
  using other = Deno.openSync(path);
  const p = new Uint8Array(8 * KIB);
  const q = new Uint8Array(8 * KIB);
  Deno.truncateSync(path, MIB + KIB);
  for (const at of [MIB, 3 * MIB, 0]) {
    other.seekSync(at, Deno.SeekMode.Start);
    const expected = await other.read(q);
    assertEquals(await file.readAt(p, at), expected);
    assertEquals(
      equal(p.subarray(0, expected ?? 0), q.subarray(0, expected ?? 0)),
      true,
    );
  }
  assertEquals(equal(p, bytes.subarray(0, p.length)), true);
});

test("appends to an uncached file, and writes in its middle, do what Deno.FsFile does", async (dir) => {
  const size = 4 * MIB + 123;
  const path = dir.file(size);
  const model = new Uint8Array(size + 3000);
  model.set(pattern(size));
  evict(path);
  {
    using file = openSync(path, { append: true });
    for (let k = 0; k < 3; k++) {
      await file.write(new Uint8Array(1000).fill(k));
      model.fill(k, size + k * 1000, size + (k + 1) * 1000);
    }
  }
  evict(path);
  {
    using file = openSync(path, OPTIONS);
    const writes = Array.from({ length: 40 }, async (_, k) => {
      const at = k * 100 * KIB + k;
      const p = new Uint8Array(k * 997 + 1).fill(k);
      model.set(p, at);
      assertEquals(await file.writeAt(p, at), p.length);
    });
    await Promise.all(writes);
  }
  assertEquals(equal(Deno.readFileSync(path), model), true);
});
