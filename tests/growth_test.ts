/** Files that change their size: grow, append, truncate, refresh, windows, copy-on-write, full disks. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  createSync,
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { commandOf, deno } from "./run_deno.ts";
import {
  isCopy,
  NO_ADDRESSES,
  NO_BLOCKS,
  NOT_TRUNCATABLE,
} from "./tested_module.ts";
import { collectUntil } from "./gc.ts";
import { mappedAfter } from "./mapped_after.ts";
import {
  isEmulated,
  isWindows,
  NO_GUARD,
  NO_LISTING,
  notInstalled,
  type Reason,
  unless,
  WINE_APPENDS,
} from "./skip.ts";
import { decode, encode, equal, pattern } from "./bytes.ts";
import { assertNothingIsOpen, heldOpen } from "./open_handles.ts";
import { outcomeOf } from "./outcome.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { TempDir } from "./temp_dir.ts";

const { Start, Current, End } = Deno.SeekMode;
const PAGE = 4096;
const MIB = 1 << 20;
const TIB = 2 ** 40;
const GROW: MmapOpenOptions = { read: true, write: true, grow: true };
const FIXED: MmapOpenOptions = { read: true, write: true, grow: false };
const APPEND: MmapOpenOptions = { read: true, append: true };
const COPY: MmapOpenOptions = { copyOnWrite: true };

const isLinux = Deno.build.os === "linux";
/** A process takes many seconds to start under QEMU. */
const KILLS = isEmulated ? 4 : 50;
const MODULE = JSON.stringify(new URL("../mod.ts", import.meta.url).href);

type Method =
  | "read"
  | "readFrom"
  | "write"
  | "writeAt"
  | "truncate"
  | "sync"
  | "flush";
type Call = <M extends Method>(
  file: MmapFile,
  method: M,
  ...args: Parameters<MmapFile[M]>
) => ReturnType<MmapFile[M]>;

/** A test in a temporary directory, with the methods' sync and their async form. */
function test(
  name: string,
  fn: (dir: TempDir, call: Call, suffix: string) => void | Promise<void>,
  reason: Reason = false,
): void {
  for (const suffix of fn.length > 1 ? ["Sync", ""] : [""]) {
    const call = (file: MmapFile, method: Method, ...args: unknown[]) =>
      new Promise((resolve) =>
        resolve(Reflect.apply(Reflect.get(file, method + suffix), file, args))
      );
    Deno.test({
      ...unless(reason, name.replaceAll(/\{(\w+)\}/g, `$1${suffix}()`)),
      fn: async () => {
        using dir = new TempDir();
        await fn(dir, call as Call, suffix);
        if (isLinux) await assertNothingIsOpen(dir);
      },
    });
  }
}

function contentsOf(file: MmapFile): Uint8Array {
  return Deno.readFileSync(file.name);
}

/** Checks that the file has these bytes: on the disk, in memory, and by its size. */
function assertIs(file: MmapFile, expected: Uint8Array): void {
  assertEquals(Deno.statSync(file.name).size, expected.length);
  assertEquals(file.size, expected.length);
  assert(equal(contentsOf(file), expected), "The file differs");
  assert(equal(file.bytes(), expected), "bytes() differ");
}

function concat(...parts: (Uint8Array | string)[]): Uint8Array {
  const bytes = parts.map((p) => typeof p === "string" ? encode(p) : p);
  return new Uint8Array(bytes.flatMap((part) => [...part]));
}

/** Another process's write, through another descriptor. */
function writeAsOther(path: string, bytes: Uint8Array, at: number): void {
  using other = Deno.openSync(path, { write: true });
  other.seekSync(at, Start);
  other.writeSync(bytes);
}

/** Runs TypeScript in a child process. */
function evaluate(code: string) {
  return deno(["eval", "--no-config", "--no-lock", "--ext=ts", code]);
}

// --- grow

test(
  "{write} past the end of a growing file extends it to the byte, as Deno.statSync sees it after each",
  async (dir, call) => {
    using file = openSync(dir.file(""), GROW);
    const all = pattern(200_000);
    let size = 0;
    for (let i = 0; size < 150_000; i++) {
      const length = [1, 0, 7, 100, PAGE - 1, PAGE, PAGE + 1, 10_000][i % 8];
      assertEquals(
        await call(file, "write", all.subarray(size, size + length!)),
        length,
      );
      size += length!;
      assertEquals(Deno.statSync(file.name).size, size);
      assertEquals(file.size, size);
      assertEquals(file.seekSync(0, Current), size);
    }
    assertIs(file, all.subarray(0, size));
  },
);

test(
  "{write} across the end of a growing file writes both halves",
  async (dir, call) => {
    for (const size of [5, PAGE - 1, PAGE, PAGE + 1]) {
      using file = openSync(dir.file(size), GROW);
      file.seekSync(-3, End);
      assertEquals(await call(file, "write", encode("0123456789")), 10);
      assertIs(file, concat(pattern(size).subarray(0, size - 3), "0123456789"));
    }
  },
);

test(
  "{write} past a growing file's end leaves zeros between",
  async (dir, call) => {
    for (const gap of [1, PAGE, 3 * MIB]) {
      using file = openSync(dir.file("hello"), GROW);
      file.seekSync(gap, End);
      await call(file, "write", encode("end"));
      assertIs(file, concat("hello", new Uint8Array(gap), "end"));
    }
  },
);

test(
  "{writeAt} past a growing file's end extends it and leaves the cursor",
  async (dir, call) => {
    using file = openSync(dir.file("hello"), GROW);
    file.seekSync(2, Start);
    assertEquals(await call(file, "writeAt", encode("end"), 10), 3);
    assertEquals(file.seekSync(0, Current), 2);
    assertIs(file, concat("hello", new Uint8Array(5), "end"));
    assertEquals(await call(file, "writeAt", new Uint8Array(0), 100), 0);
    assertEquals(file.size, 13);
  },
);

test("{write} of many MiB extends a growing file", async (dir, call) => {
  const bytes = pattern(9 * MIB + 5);
  using file = openSync(dir.file("hello"), GROW);
  file.seekSync(0, End);
  assertEquals(await call(file, "write", bytes), bytes.length);
  assertEquals(file.size, bytes.length + 5);
  assert(equal(file.bytes(5), bytes));
  assert(equal(contentsOf(file).subarray(5), bytes));
});

test("A growing file returns each record as soon as it is written", (dir) => {
  const record = pattern(1000);
  using file = openSync(dir.file(""), GROW);
  const p = new Uint8Array(1000);
  for (let i = 0; i < 5000; i++) {
    record[0] = i;
    file.writeSync(record);
    assertEquals(file.readAtSync(p, i * 1000), 1000);
    assert(equal(p, record), `record ${i}`);
    assertEquals(file.readAtSync(p, (i + 1) * 1000), null);
  }
  assertEquals(Deno.statSync(file.name).size, 5_000_000);
});

test("A view of a growing file shows the file or is empty", (dir) => {
  using file = openSync(dir.file("hello"), GROW);
  const views = [file.bytes(), file.bytes(1, 2)];
  let shown = 0;
  for (let i = 0; i < 40; i++) {
    file.seekSync(0, End);
    file.writeSync(pattern(100_000, i));
    file.writeAtSync(new Uint8Array([i]), 1);
    for (const [j, view] of views.entries()) {
      if (view.length === 0) continue;
      shown++;
      assertEquals(view[j === 0 ? 1 : 0], i);
    }
    assertEquals(file.bytes()[1], i);
  }
  assert(shown <= 80);
  assertEquals(file.size, 5 + 40 * 100_000);
});

test("A clone of a view of a growing file has the bytes of the view", (dir) => {
  for (const options of [GROW, APPEND]) {
    using file = openSync(dir.file("hello"), options);
    assertEquals(structuredClone(file.bytes()), encode("hello"));
    file.seekSync(0, End);
    file.writeSync(encode("!"));
    assertEquals(decode(file.bytes()), "hello!");
    assertEquals(structuredClone(file.bytes()), encode("hello!"));
  }
});

test("A growing file that another process extended keeps the other's bytes when it is written", (dir) => {
  using file = openSync(dir.file("hello"), GROW);
  writeAsOther(file.name, encode("0123456789"), 5);
  file.seekSync(5, Start);
  assertEquals(file.writeSync(encode("abc")), 3);
  assertEquals(decode(contentsOf(file)), "helloabc3456789");
  // As with Deno.FsFile, the end is where the other process left it.
  assertEquals(file.seekSync(0, End), 15);
  assertEquals(file.writeSync(encode("def")), 3);
  assertEquals(decode(contentsOf(file)), "helloabc3456789def");
  file.refresh();
  assertEquals(decode(file.bytes()), "helloabc3456789def");
});

for (const guard of [true, false]) {
  const kind = guard ? "growing" : "growing, unguarded";
  test(
    `{write} past the end of a truncated ${kind} file does as Deno.FsFile, and bytes() throws until refresh()`,
    async (dir, call) => {
      // Truncated to another page, and within the last one; few bytes, and many; mapped, and not.
      for (const end of [5, 3 * PAGE - 5]) {
        for (const length of [3, 300_000]) {
          for (const calls of [0, Infinity]) {
            const options = mappedAfter(calls, { ...GROW, guard });
            using file = openSync(dir.file(3 * PAGE), options);
            file.readAtSync(new Uint8Array(1), 0);
            const path = dir.file(3 * PAGE, "denos");
            using denos = Deno.openSync(path, { read: true, write: true });
            Deno.truncateSync(file.name, end);
            Deno.truncateSync(path, end);
            const bytes = pattern(length, 9);
            // At the current end.
            assertEquals(file.seekSync(0, End), denos.seekSync(0, End));
            assertEquals(await call(file, "write", bytes), length);
            assertEquals(denos.writeSync(bytes), length);
            assertEquals(file.seekSync(0, Current), denos.seekSync(0, Current));
            assert(equal(contentsOf(file), Deno.readFileSync(path)));
            assertEquals(file.size, end + length);
            assertEquals(file.truncated, true);
            assertThrows(() => file.bytes(), TruncatedError, file.name);
            file.refresh();
            assertEquals(file.truncated, false);
            assertIs(file, concat(pattern(end), bytes));
            // At the former end: zeros fill the gap.
            const gone = file.size + PAGE;
            for (const each of [file.name, path]) Deno.truncateSync(each, end);
            for (const each of [file, denos]) each.seekSync(gone, Start);
            await call(file, "write", bytes);
            assertEquals(denos.writeSync(bytes), length);
            assert(equal(contentsOf(file), Deno.readFileSync(path)));
            file.refresh();
            assertIs(file, Deno.readFileSync(path));
          }
        }
      }
    },
    NOT_TRUNCATABLE,
  );
}

test("A file that does not grow is never extended", (dir) => {
  using file = openSync(dir.file("hello"), FIXED);
  file.seekSync(100, Start);
  const error = assertThrows(
    () => file.writeSync(encode("end")),
    OutOfBoundsError,
  );
  assertEquals(error.bytesWritten, 0);
  assertEquals(Deno.statSync(file.name).size, 5);
});

// --- append

test(
  "{write} of an appending file goes to the end wherever the cursor is",
  async (dir, call) => {
    using file = openSync(dir.file("hello"), APPEND);
    for (const position of [0, 3, 5, 10_000]) {
      file.seekSync(position, Start);
      const before = file.size;
      assertEquals(await call(file, "write", encode("+one")), 4);
      assertEquals(file.seekSync(0, Current), before + 4);
    }
    assertIs(file, encode("hello+one+one+one+one"));
  },
);

test(
  "{write} of an appending file goes after what another process appended",
  async (dir, call) => {
    using file = openSync(dir.file(""), APPEND);
    using other = Deno.openSync(file.name, { append: true });
    using third = openSync(file.name, APPEND);
    let expected = "";
    for (let i = 0; i < 500; i++) {
      await call(file, "write", encode(`a${i} `));
      other.writeSync(encode(`b${i} `));
      await call(third, "write", encode(`c${i} `));
      expected += `a${i} b${i} c${i} `;
    }
    assertEquals(decode(contentsOf(file)), expected);
    file.refresh();
    assertEquals(decode(file.bytes()), expected);
    assertEquals(decode(third.bytes()), expected);
  },
);

test("{write} of many MiB is appended completely", async (dir, call) => {
  using file = openSync(dir.file("hello"), APPEND);
  await call(file, "write", pattern(5 * MIB));
  assertEquals(file.size, 5 * MIB + 5);
  assert(equal(file.bytes(5), pattern(5 * MIB)));
  assertEquals(Deno.statSync(file.name).size, 5 * MIB + 5);
});

test(
  "{writeAt} of an appending file writes within it and not past it",
  async (dir, call) => {
    using file = openSync(dir.file("hello"), APPEND);
    assertEquals(await call(file, "writeAt", encode("J"), 0), 1);
    const error = await assertRejects(
      () => call(file, "writeAt", encode("XYZ"), 3),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 2);
    assertIs(file, encode("JelXY"));
  },
);

test(
  "Two processes that append 10,000 records each lose none and split none",
  async (dir) => {
    const path = dir.file("");
    const count = 10_000;
    const child = (name: string) =>
      evaluate(`
      const { openSync } = await import(${MODULE});
      using file = openSync(${JSON.stringify(path)}, { append: true });
      const encoder = new TextEncoder();
      // Begin when both have started.
      file.writeSync(encoder.encode("${name} is here\\n"));
      while (Deno.readTextFileSync(${
        JSON.stringify(path)
      }).split("here").length < 3);
      for (let i = 0; i < ${count}; i++) {
        file.writeSync(encoder.encode("${name} " + i + " " + "x".repeat(i % 97) + " ${name}\\n"));
      }
    `);
    const results = await Promise.all([child("one"), child("two")]);
    for (const { code, stderr } of results) assertEquals(code, 0, stderr);

    const lines = Deno.readTextFileSync(path).split("\n");
    assertEquals(lines.pop(), "");
    const records = lines.filter((line) => !line.endsWith("is here"));
    assertEquals(records.length, 2 * count);
    for (const name of ["one", "two"]) {
      const own = records.filter((line) => line.startsWith(name));
      assertEquals(
        own,
        Array.from(
          { length: count },
          (_, i) => `${name} ${i} ${"x".repeat(i % 97)} ${name}`,
        ),
      );
    }
  },
  WINE_APPENDS,
);

// --- truncate

for (
  const [kind, options] of Object.entries({
    fixed: { read: true, write: true },
    growing: GROW,
    appending: APPEND,
    "write-only": { write: true },
  })
) {
  test(
    `{truncate} of a ${kind} file truncates it, extends it, empties it and restores its size`,
    async (dir, call) => {
      using file = openSync(dir.file(20_000), options);
      file.seekSync(10, Start);
      let expected = pattern(20_000);
      for (
        const size of [
          19_999,
          PAGE + 1,
          PAGE,
          PAGE - 1,
          9000,
          0,
          0,
          1,
          4 * MIB,
          3,
        ]
      ) {
        const view = file.bytes();
        const isTruncated = size < file.size;
        await call(file, "truncate", size);
        const next = new Uint8Array(size);
        next.set(expected.subarray(0, size));
        expected = next;
        assertIs(file, expected);
        if (isTruncated) assertEquals(view.length, 0);
        else if (view.length > 0) {
          assert(equal(view, expected.subarray(0, view.length)));
        }
        assertEquals(file.seekSync(0, Current), 10);
      }
    },
  );
}

test("{truncate} of a read-only file is refused", async (dir, call) => {
  for (const options of [{ read: true }, COPY]) {
    using file = openSync(dir.file("hello"), options);
    for (const size of [0, 3, 5, 10]) {
      await assertRejects(() => call(file, "truncate", size), ReadOnlyError);
    }
    assertEquals(decode(contentsOf(file)), "hello");
  }
});

test(
  "{truncate} accepts odd lengths as Deno.FsFile does",
  async (dir, call) => {
    const lengths = [
      [-1, 1.5, 4.999, NaN, -Infinity, -0, null, undefined, 3n, -3n],
      [Infinity, 2 ** 63, "3", true, {}, 2 ** 53, 2 ** 60],
    ].flat() as number[];
    for (const length of lengths) {
      using file = openSync(dir.file("hello"), GROW);
      using denos = Deno.openSync(dir.file("hello", "denos"), { write: true });
      const theirs = await outcomeOf(() => denos.truncateSync(length));
      const ours = await outcomeOf(() => call(file, "truncate", length));
      const what = `${typeof length} ${String(length)}`;
      if ("value" in theirs) {
        assert("value" in ours, what);
        assertEquals(file.size, denos.statSync().size, what);
      } else {
        assert("error" in ours, what);
        const isTypeError = theirs.error instanceof TypeError;
        if (length !== 2 ** 63) {
          assertEquals(ours.error instanceof TypeError, isTypeError, what);
        }
        assertIs(file, encode("hello"));
      }
    }
  },
);

// --- refresh

for (
  const [kind, options] of Object.entries({
    "read-only": { read: true },
    "read-only, fixed": { read: true, grow: false },
    fixed: FIXED,
    growing: GROW,
    appending: APPEND,
  })
) {
  test(`MmapFile.refresh() of a ${kind} file shows how another process extended it`, (dir) => {
    for (const size of [0, 5, PAGE - 1, PAGE, 3 * PAGE]) {
      using file = openSync(dir.file(size), options);
      for (const end of [size + 10, size + 2 * PAGE, size + 3 * MIB]) {
        const before = file.size;
        writeAsOther(file.name, pattern(end).subarray(before), before);
        assertEquals(file.size, before);
        // Until then a file of fixed size keeps its end.
        if (options.grow === false) {
          assertEquals(file.readAtSync(new Uint8Array(10), before), null);
          file.seekSync(before, Start);
          assertEquals(file.readSync(new Uint8Array(10)), null);
          assertEquals(file.seekSync(0, End), before);
        }
        file.seekSync(before, Start);
        assertEquals(file.refresh(), true);
        assertIs(file, pattern(end));
        assertEquals(file.seekSync(0, Current), before);
        assertEquals(file.readSync(new Uint8Array(10)), 10);
      }
    }
  });

  test(
    `{read} of a ${kind} file that may grow sees without refresh() how another process extended it`,
    async (dir, call) => {
      for (const size of [0, 5, PAGE, 3 * PAGE]) {
        for (const calls of [0, Infinity]) {
          using file = openSync(dir.file(size), mappedAfter(calls, options));
          using denos = Deno.openSync(file.name);
          for (const each of [file, denos]) each.seekSync(size, Start);
          for (const end of [size + 3, size + 2 * PAGE, size + 2 * MIB]) {
            const at = file.seekSync(0, Current);
            writeAsOther(file.name, pattern(end).subarray(at), at);
            for (const length of [2, 100, 3 * MIB, 1]) {
              const [ours, theirs] = [1, 2].map(() => new Uint8Array(length));
              const read = await call(file, "read", ours!);
              if (options.grow === false) {
                assertEquals(read, null);
                continue;
              }
              assertEquals(read, denos.readSync(theirs!));
              assert(equal(ours!, theirs!));
              assertEquals(
                file.seekSync(0, Current),
                denos.seekSync(0, Current),
              );
            }
            if (options.grow !== false) {
              assertEquals(file.seekSync(0, End), end);
              assertEquals(file.size, end);
            }
          }
        }
      }
    },
  );

  test(
    `MmapFile.refresh() of a ${kind} file shows how another process truncated it`,
    (dir) => {
      using file = openSync(dir.file(4 * PAGE), options);
      file.seekSync(2 * PAGE + 1, Start);
      for (const end of [3 * PAGE, 2 * PAGE - 1, PAGE, 7, 0]) {
        const view = file.bytes();
        Deno.truncateSync(file.name, end);
        file.refresh();
        assertEquals(view.length, 0);
        assertIs(file, pattern(end));
        assertEquals(file.seekSync(0, Current), 2 * PAGE + 1);
      }
      writeAsOther(file.name, encode("again"), 0);
      file.refresh();
      assertIs(file, encode("again"));
    },
    NOT_TRUNCATABLE,
  );
}

test("MmapFile.refresh() of a file that has not changed keeps its views", (dir) => {
  using file = openSync(dir.file("hello"));
  const view = file.bytes();
  file.refresh();
  assertEquals(decode(view), "hello");
});

test(
  "MmapFile.refresh() makes a file that was found truncated usable again",
  (dir) => {
    for (const options of [FIXED, GROW]) {
      using file = openSync(dir.file(3 * PAGE), options);
      Deno.truncateSync(file.name, 5);
      assertEquals(file.statSync().size, 5);
      assertEquals([file.truncated, file.size], [true, 5]);
      const p = new Uint8Array(10);
      assertEquals(file.readSync(p), 5);
      assertEquals(p.subarray(0, 5), pattern(5));
      for (const use of [() => file.bytes(), () => file.copy()]) {
        assertThrows(use, TruncatedError, file.name);
      }
      assertEquals(file.refresh(), true);
      assertEquals([file.truncated, file.size], [false, 5]);
      assertIs(file, pattern(5));
      assertEquals(file.refresh(), false);
    }
  },
  NOT_TRUNCATABLE,
);

// --- windows into a file

test("A window shows its bytes and no others, at any offset", (dir) => {
  const bytes = pattern(5 * PAGE);
  const path = dir.file(bytes);
  for (
    const offset of [0, 1, 3, PAGE - 1, PAGE, PAGE + 1, 4 * PAGE + 7, 5 * PAGE]
  ) {
    for (const length of [undefined, 0, 1, PAGE, 2 * PAGE - 1]) {
      if (offset + (length ?? 0) > bytes.length) continue;
      const expected = bytes.subarray(offset, length && offset + length)
        .subarray(0, length);
      using file = openSync(path, { offset, length } as MmapOpenOptions);
      assertEquals(file.size, expected.length);
      assert(equal(file.bytes(), expected), `${offset}, ${length}`);
      assertEquals(file.seekSync(0, End), expected.length);
      assertEquals(file.readSync(new Uint8Array(1)), null);
      assertEquals(file.seekSync(0, Start), 0);
      const p = new Uint8Array(bytes.length);
      assertEquals(file.readSync(p), expected.length || null);
      assert(equal(p.subarray(0, expected.length), expected));
      assertEquals(file.readAtSync(p, expected.length), null);
    }
  }
});

test(
  "{write} to a window is at its offset in the file and ends at its end",
  async (dir, call) => {
    const path = dir.file(3 * PAGE);
    const expected = pattern(3 * PAGE);
    using file = openSync(path, {
      read: true,
      write: true,
      offset: PAGE + 5,
      length: 10,
    });
    file.seekSync(2, Start);
    await call(file, "write", encode("abc"));
    await call(file, "writeAt", encode("!"), 9);
    const error = await assertRejects(
      () => call(file, "write", encode("0123456789")),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 5);
    expected.set(encode("abc01234"), PAGE + 7);
    assert(equal(contentsOf(file), expected));
    await call(file, "sync");
    await call(file, "flush");
    await call(file, "flush", 3, 4);
  },
);

test("A window that is not in the file is a RangeError", (dir) => {
  const path = dir.file(100);
  for (
    const window of [
      { offset: 101 },
      { offset: 100, length: 1 },
      { offset: 0, length: 101 },
      { length: 101 },
      { offset: 50, length: 51 },
      { offset: 2 ** 40 },
      { offset: 1, length: Number.MAX_SAFE_INTEGER },
      { offset: Number.MAX_SAFE_INTEGER, length: Number.MAX_SAFE_INTEGER },
      { offset: -1 },
      { offset: 1.5 },
      { offset: NaN },
      { length: -1 },
      { length: 0.5 },
      { length: Infinity },
    ]
  ) {
    assertThrows(() => openSync(path, window), RangeError, path);
  }
});

test("A window cannot be truncated", async (dir) => {
  const path = dir.file(100);
  using file = openSync(path, { write: true, offset: 0, length: 50 });
  for (const size of [0, 50, 100]) {
    assertThrows(() => file.truncateSync(size), TypeError, path);
    await assertRejects(() => file.truncate(size), TypeError, path);
  }
  assertEquals(Deno.statSync(path).size, 100);
  assertEquals(file.size, 50);
});

test("MmapFile.view() in a window is aligned by the file's bytes", (dir) => {
  const path = dir.file(100);
  using file = openSync(path, { offset: 6 });
  const whole = Deno.readFileSync(path).buffer;
  assertEquals(file.view(Int32Array, 2, 3), new Int32Array(whole, 8, 3));
  assertThrows(() => file.view(Int32Array, 0, 3), RangeError, "Int32Array");
  assertEquals(file.view(Int16Array), new Int16Array(whole, 6));
  assertEquals(file.view(DataView, 1).getUint8(0), pattern(8)[7]);
});

test(
  "MmapFile.refresh() of a window follows the file below and above its end",
  (dir) => {
    const path = dir.file(3 * PAGE);
    using toTheEnd = openSync(path, { offset: PAGE + 1 });
    using fixed = openSync(path, { offset: PAGE + 1, length: PAGE });
    for (
      const [size, open, bounded] of [
        [2 * PAGE, PAGE - 1, PAGE - 1],
        [5 * PAGE, 4 * PAGE - 1, PAGE],
        [PAGE + 1, 0, 0],
        [PAGE, 0, 0],
        [2 * PAGE + 1, PAGE, PAGE],
      ]
    ) {
      Deno.truncateSync(path, size);
      toTheEnd.refresh();
      fixed.refresh();
      assertEquals([toTheEnd.size, fixed.size], [open, bounded], `${size}`);
      const expected = Deno.readFileSync(path).subarray(PAGE + 1);
      assert(equal(toTheEnd.bytes(), expected));
      assert(equal(fixed.bytes(), expected.subarray(0, PAGE)));
    }
  },
  NOT_TRUNCATABLE,
);

test(
  "A window of 64 KiB far into a huge file uses only its own addresses",
  async (dir) => {
    const huge = 8 * TIB;
    let size = huge;
    let path = "";
    for (; path === ""; size /= 2) {
      try {
        path = dir.sparseFile(size);
        size *= 2;
      } catch (error) {
        if (size < 2 ** 33) throw error;
      }
    }
    const length = 64 << 10;
    for (const offset of [size / 2, size / 2 + 1, size - length]) {
      writeAsOther(path, encode("here"), offset);
      const file = openSync(path, { read: true, write: true, offset, length });
      assertEquals(decode(file.bytes(0, 4)), "here");
      file.writeAtSync(encode("end"), length - 3);
      const addresses = heldOpen(dir).filter((line) => !line.startsWith("fd"))
        .map((line) =>
          line.split(" ")[0]!.split("-").map((at) => parseInt(at, 16))
        )
        .reduce((sum, [from, to]) => sum + to! - from!, 0);
      assert(addresses >= length);
      assert(addresses <= length + PAGE, `${addresses} bytes`);
      file.close();
      await collectUntil(() => heldOpen(dir).length === 0);
    }
  },
  NO_LISTING || NO_ADDRESSES,
);

// --- copy-on-write

test(
  "{write} to a copy-on-write file changes only that MmapFile",
  async (dir, call) => {
    for (const size of [5, PAGE, 3 * PAGE]) {
      const path = dir.file(size);
      Deno.chmodSync(path, 0o444);
      const expected = pattern(size);
      {
        using file = openSync(path, COPY);
        using second = openSync(path, COPY);
        using reader = openSync(path);
        await call(file, "write", encode("XY"));
        await call(file, "writeAt", encode("Z"), size - 1);
        file.bytes()[3] = 0;
        expected.set(encode("XY"));
        expected[3] = 0;
        expected.set(encode("Z"), size - 1);
        assert(equal(file.bytes(), expected));
        const p = new Uint8Array(size);
        assertEquals(file.readAtSync(p, 0), size);
        assert(equal(p, expected));
        await call(file, "sync");
        await file.syncData();
        file.syncDataSync();
        await call(file, "flush");
        for (
          const other of [second.bytes(), reader.bytes(), contentsOf(file)]
        ) {
          assert(equal(other, pattern(size)));
        }
      }
      {
        using again = openSync(path);
        assert(equal(again.bytes(), pattern(size)));
      }
      // Windows does not remove a read-only file.
      if (isWindows) Deno.chmodSync(path, 0o666);
      Deno.removeSync(path);
    }
  },
);

test(
  "A copy-on-write file has a fixed size and works in a window",
  async (dir, call) => {
    const path = dir.file(3 * PAGE);
    using file = openSync(path, { ...COPY, offset: 7, length: 5 });
    const error = await assertRejects(
      () => call(file, "write", encode("0123456789")),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 5);
    assertEquals(decode(file.bytes()), "01234");
    assert(equal(contentsOf(file), pattern(3 * PAGE)));
  },
);

// --- size, sparse

test(
  "A file created with a size has its blocks, unless it is sparse",
  (dir) => {
    const size = 4 * MIB;
    for (const sparse of [undefined, false, true]) {
      using file = openSync(dir.join(`${sparse}`), {
        write: true,
        createNew: true,
        size,
        sparse,
      } as MmapOpenOptions);
      const { blocks } = file.statSync();
      if (sparse) assert(blocks! * 512 < size, `${blocks} blocks`);
      else assert(blocks! * 512 >= size, `${blocks} blocks`);
      assertEquals(blocks, Deno.statSync(file.name).blocks);
    }
    using file = createSync(dir.join("created"), size);
    assert(file.statSync().blocks! * 512 >= size);
  },
  NO_LISTING || NO_BLOCKS,
);

test("An appending file with a size begins after it", (dir) => {
  using file = openSync(dir.join("new"), { ...APPEND, create: true, size: 3 });
  file.writeSync(encode("abc"));
  assertIs(file, concat(new Uint8Array(3), "abc"));
});

// --- a disk that fills up

/** A test on a disk of 256 KiB, skipped where none can be mounted. */
function testOnSmallDisk(
  name: string,
  fn: (disk: SmallDisk, call: Call, suffix: string) => Promise<void>,
  reason: Reason = false,
): void {
  const size = 64 * PAGE;
  test(name, async (_, call, suffix) => {
    using disk = new SmallDisk(size);
    await fn(disk, call, suffix);
    await assertNothingIsOpen(disk);
  }, noDiskOf(size) || reason);
}

for (
  const [kind, options] of Object.entries({ growing: GROW, appending: APPEND })
) {
  for (const length of [1000, PAGE, 50_000, 3 * MIB]) {
    testOnSmallDisk(
      `{write} of ${length} bytes each to a ${kind} file reports how much a full disk took`,
      async (disk, call) => {
        const filler = disk.join("filler");
        Deno.writeFileSync(filler, new Uint8Array(10 * PAGE));
        using file = openSync(disk.join("data"), { ...options, create: true });
        const all = pattern(8 * MIB);
        let size = 0;
        const write = () =>
          call(file, "write", all.subarray(size, size + length));
        const error = await assertRejects(async () => {
          for (;;) size += await write();
        }, SystemError);
        assertEquals(error.code, isWindows ? "ERROR_DISK_FULL" : "ENOSPC");
        assertStringIncludes(error.message, file.name);
        const written = error.bytesWritten ?? 0;
        assert(written < length);
        size += written;
        assertEquals(file.seekSync(0, Current), size);
        assertIs(file, all.subarray(0, size));
        assert(size > 50 * PAGE, `only ${size} bytes`);

        // The disk is full, and another write changes nothing.
        const second = await assertRejects(
          () => call(file, "write", all),
          SystemError,
        );
        size += second.bytesWritten ?? 0;
        assertIs(file, all.subarray(0, size));

        // With free space it continues.
        Deno.removeSync(filler);
        const more = all.subarray(size, size + PAGE);
        assertEquals(await call(file, "write", more), PAGE);
        assertIs(file, all.subarray(0, size + PAGE));
      },
    );
  }
}

testOnSmallDisk(
  "{writeAt} past the end on a full disk reports how much was written and leaves the cursor",
  async (disk, call) => {
    using file = openSync(disk.join("data"), { ...GROW, create: true });
    const all = pattern(100 * PAGE);
    file.writeSync(all.subarray(0, 10 * PAGE));
    const error = await assertRejects(
      () => call(file, "writeAt", all.subarray(10 * PAGE), 10 * PAGE),
      SystemError,
    );
    assertEquals(error.code, isWindows ? "ERROR_DISK_FULL" : "ENOSPC");
    assertEquals(file.seekSync(0, Current), 10 * PAGE);
    assertIs(file, all.subarray(0, 10 * PAGE + (error.bytesWritten ?? 0)));
    assert(file.size > 50 * PAGE);
  },
);

testOnSmallDisk(
  "{writeAt} into a hole on a full disk throws and does not kill the process",
  async (disk, _, suffix) => {
    const path = JSON.stringify(disk.join("data"));
    const { code, stdout, stderr } = await evaluate(`
    const { openSync } = await import(${MODULE});
    const file = openSync(${path}, { read: true, write: true, create: true, grow: true });
    file.writeSync(new Uint8Array(100).fill(1));
    file.truncateSync(${100 * PAGE});
    try {
      for (let at = 0; at < ${100 * PAGE}; at += 100) {
        await file.writeAt${suffix}(new Uint8Array(100).fill(2), at);
      }
      console.log("written");
    } catch (error) {
      console.log(error instanceof Error);
    }
    try {
      file.close();
    } catch {
      // It may throw once more because the file is incomplete.
    }
    console.log(file.closed);
  `);
    assertEquals([code, stdout], [0, "true\ntrue\n"], stderr);
  },
  !isCopy && NO_GUARD,
);

// --- kill -9

/** The bytes that the killed process writes repeatedly, none of them 0. */
const PERIOD = 65_521;
const STREAM_CODE = `
  const stream = new Uint8Array(${PERIOD * 8});
  for (let i = 0; i < stream.length; i++) stream[i] = 1 + (i % ${PERIOD}) * 31 % 255;
`;
const STREAM: Uint8Array = new Function(`${STREAM_CODE} return stream;`)();

/** Writes until it is killed: records of all lengths up to 5,000, and sometimes a long one. */
async function killedWhileWriting(
  path: string,
  options: MmapOpenOptions,
  delay: number,
): Promise<void> {
  const code = `
    const { openSync } = await import(${MODULE});
    ${STREAM_CODE}
    const file = openSync(${JSON.stringify(path)}, ${JSON.stringify(options)});
    let at = 0;
    console.log("writing");
    for (let i = 0;; i++) {
      const length = i % 50 === 49 ? 300_000 : 1 + i * 7919 % 5000;
      const from = at % ${PERIOD};
      at += file.writeSync(stream.subarray(from, from + length));
    }
  `;
  const [command, args] = commandOf(
    ["eval", "--no-config", "--no-lock", "--ext=ts", code],
  );
  await using child = new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assertEquals(decode(value!), "writing\n");
  await sleep(delay);
  child.kill("SIGKILL");
  await reader.cancel();
  const { signal } = await child.status;
  if (!isWindows) assertEquals(signal, "SIGKILL");
}

test(
  `A process killed in an append loop leaves a prefix of its data, ${KILLS} times`,
  async (dir) => {
    let total = 0;
    const round = async (i: number) => {
      const path = dir.join(`killed${i}`);
      const options = i % 2
        ? { append: true, create: true }
        : { write: true, grow: true, create: true };
      await killedWhileWriting(path, options, i % 25);
      const found = Deno.readFileSync(path);
      Deno.removeSync(path);
      for (let at = 0; at < found.length; at += PERIOD) {
        const part = found.subarray(at, at + PERIOD);
        assert(
          equal(part, STREAM.subarray(0, part.length)),
          `round ${i}, at ${at}`,
        );
      }
      total += found.length;
    };
    for (let i = 0; i < KILLS; i += 2) {
      await Promise.all([round(i), round(i + 1)]);
    }
    assert(total > 0);
  },
);

test(
  "Another process reads the exact bytes of a growing file, at every length",
  async (dir) => {
    const path = dir.file("");
    using file = openSync(path, GROW);
    const sizes: number[] = [];
    for (let i = 1; i <= 5; i++) {
      file.writeSync(pattern(i * 1000, i));
      sizes.push(file.size);
      const { stdout } = await new Deno.Command("wc", { args: ["-c", path] })
        .output();
      assertEquals(parseInt(decode(stdout)), file.size);
    }
    assertEquals(sizes, [1000, 3000, 6000, 10_000, 15_000]);
  },
  isWindows && notInstalled("wc"),
);

test("Errors of growing files are errors of the classes that the module exports", (dir) => {
  using file = openSync(dir.file("hello"), GROW);
  const error = assertThrows(
    () => file.truncateSync(Number.MAX_SAFE_INTEGER),
    SystemError,
    file.name,
  );
  assertInstanceOf(error, Error);
  assertEquals(error.syscall, "ftruncate");
  if (!isWindows) assertEquals(error.code, "EFBIG");
  assertIs(file, encode("hello"));
});

test(
  "{read} of many bytes after an append begins where the append ended",
  async (dir, call) => {
    using file = openSync(dir.file("hello"), APPEND);
    file.writeSync(encode("world"));
    assertEquals(await call(file, "read", new Uint8Array(2 << 20)), null);
    assertEquals(file.seekSync(0, Current), 10);
  },
);

test(
  "{readFrom} of an appended file begins where the append ended",
  async (dir, call) => {
    using file = openSync(dir.file("hello"), APPEND);
    using other = openSync(dir.file("", "other"), GROW);
    file.writeSync(encode("world"));
    assertEquals(await call(other, "readFrom", file), 0);
    assertEquals(other.size, 0);
  },
);
