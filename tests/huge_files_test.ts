/** Files whose length does not fit in 32 bits: whatever is done first, its end is where it is. */

import { assert, assertEquals } from "@std/assert";
import { type MmapFile, open, openSync } from "@mmapfile/mmapfile";
import { NO_ADDRESSES } from "./tested_module.ts";
import { mappedAfter } from "./mapped_after.ts";
import { isEmulated, type Reason, unless } from "./skip.ts";
import { decode, encode } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const NO_HUGE_MAPPINGS: Reason = NO_ADDRESSES ||
  isEmulated && "QEMU keeps a record of each page that is mapped";

const GIB = 2 ** 30;

const SIZES = [
  4 * GIB - 1,
  4 * GIB,
  4 * GIB + 1,
  4 * GIB + 70_000,
  9 * GIB + 5,
];

const END = "end";

/** What is done first, and its result. Returns the size that the file then has, if it is another. */
type First = (
  file: MmapFile,
  size: number,
) => void | number | Promise<void | number>;

const READS: Record<string, First> = {
  size: () => {},
  "seekSync() to the end": (file, size) =>
    assertEquals(file.seekSync(0, Deno.SeekMode.End), size),
  "readSync()": (file) =>
    assertEquals(file.readSync(new Uint8Array(100_000)), 100_000),
  "readSync() of a byte": (file) =>
    assertEquals(file.readSync(new Uint8Array(1)), 1),
  "read()": async (file) =>
    assertEquals(await file.read(new Uint8Array(100_000)), 100_000),
  "read() of 2 MiB": async (file) =>
    assertEquals(await file.read(new Uint8Array(2 << 20)), 2 << 20),
  "readAtSync() of the end": (file, size) => {
    const p = new Uint8Array(10);
    assertEquals(file.readAtSync(p, size - END.length), END.length);
    assertEquals(decode(p.subarray(0, END.length)), END);
  },
  "readAt() of the end": async (file, size) => {
    const p = new Uint8Array(10);
    assertEquals(await file.readAt(p, size - END.length), END.length);
    assertEquals(decode(p.subarray(0, END.length)), END);
  },
  "readAtSync() at the end": (file, size) =>
    assertEquals(file.readAtSync(new Uint8Array(1), size), null),
  "bytes() of the end": (file, size) =>
    assertEquals(decode(file.bytes(size - END.length)), END),
  "bytes() of the start": (file) => assertEquals(file.bytes(0, 1).length, 1),
  "view() of the end": (file, size) =>
    assertEquals(file.view(DataView, size - 1).byteLength, 1),
  "copy() of the end": (file, size) =>
    assertEquals(decode(file.copy(size - END.length)), END),
  "text() of the end": (file, size) =>
    assertEquals(file.text(size - END.length), END),
  "blob() of the end": async (file, size) =>
    assertEquals(await file.blob({ offset: size - END.length }).text(), END),
  "textLines() from the end": (file, size) =>
    assertEquals([...file.textLines({ offset: size - END.length })], [END]),
  "indexOf() near the end": (file, size) =>
    assertEquals(
      file.indexOf("d", { offset: size - END.length, length: END.length }),
      size - 1,
    ),
  "isCurrent()": (file) => assert(file.isCurrent()),
  "refresh()": (file) => assertEquals(file.refresh(), false),
  "statSync()": (file, size) => assertEquals(file.statSync().size, size),
  truncated: (file) => assertEquals(file.truncated, false),
  guarded: (file) => assert(typeof file.guarded === "boolean"),
  "prefetch() of the end": (file, size) =>
    file.prefetch(size - END.length, END.length),
  "advise() on the end": (file, size) =>
    file.advise("random", size - END.length, END.length),
};

const WRITES: Record<string, First> = {
  "writeSync()": (file) => void file.writeSync(new Uint8Array(100_000)),
  "write()": async (file) => void await file.write(new Uint8Array(100_000)),
  "write() of 2 MiB": async (file) =>
    void await file.write(new Uint8Array(2 << 20)),
  "writeAtSync() over the end": (file, size) => {
    file.writeAtSync(encode("more"), size - 1);
    return size + 3;
  },
  "writeAt() over the end": async (file, size) => {
    await file.writeAt(encode("more"), size - 1);
    return size + 3;
  },
  "writeStringSync() at the start": (file) =>
    void file.writeStringSync("start"),
  "readFromSync() of a short file": (file) =>
    void file.readFromSync({ readSync: () => null }),
  "truncateSync() to more": (file, size) => {
    file.truncateSync(size + 10);
    return size + 10;
  },
  "truncateSync() to less": (file, size) => {
    file.truncateSync(size - 10);
    return size - 10;
  },
  "truncate() to a few bytes": async (file) => {
    await file.truncate(3);
    return 3;
  },
  "syncSync()": (file) => file.syncSync(),
};

const APPENDS: Record<string, First> = {
  size: () => {},
  "writeSync()": (file, size) => {
    file.writeSync(encode("more"));
    return size + 4;
  },
  "write()": async (file, size) => {
    await file.write(encode("more"));
    return size + 4;
  },
  "seekSync() and readSync()": (file, size) => {
    file.seekSync(-3, Deno.SeekMode.End);
    const p = new Uint8Array(10);
    assertEquals(file.readSync(p), END.length);
    assertEquals(file.seekSync(0, Deno.SeekMode.Current), size);
  },
};

const KINDS = [
  { options: { read: true }, firsts: READS },
  { options: { read: true, write: true }, firsts: { ...READS, ...WRITES } },
  { options: { read: true, append: true }, firsts: APPENDS },
];

const FORMS = { openSync, open };

for (const [form, opened] of Object.entries(FORMS)) {
  for (const { options, firsts } of KINDS) {
    const names = Object.keys(options).join(", ");
    Deno.test({
      ...unless(
        NO_HUGE_MAPPINGS,
        `${form}() with ${names} knows the length of a file of 4 GiB and more, whatever is called first`,
      ),
      fn: async (t) => {
        for (const [name, first] of Object.entries(firsts)) {
          await t.step(name, async () => {
            for (const size of SIZES) {
              for (const calls of [0, 1, Infinity]) {
                using dir = new TempDir();
                const path = dir.sparseFile(size);
                {
                  using file = Deno.openSync(path, { write: true });
                  file.seekSync(-END.length, Deno.SeekMode.End);
                  file.writeSync(encode(END));
                }
                using file = await opened(path, mappedAfter(calls, options));
                const newSize = await first(file, size) ?? size;
                assertEquals(Deno.statSync(path).size, newSize);
                assertEquals(file.size, newSize, `${size} ${calls}`);
                assertEquals(file.readAtSync(new Uint8Array(1), newSize), null);
                assertEquals(file.bytes(newSize - 1).length, 1);
              }
            }
          });
        }
      },
    });
  }
}
