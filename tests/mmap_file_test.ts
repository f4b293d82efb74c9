import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  ClosedError,
  createSync,
  MmapFile,
  type MmapOpenOptions,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
  SystemError,
} from "@mmapfile/mmapfile";
import type {
  Closer,
  Reader,
  ReaderAt,
  ReaderAtSync,
  ReaderSync,
  Seeker,
  SeekerSync,
  Writer,
  WriterAt,
  WriterAtSync,
  WriterSync,
} from "@mmapfile/mmapfile";
import { isCopy, MAY_LOSE, NOT_TRANSFERABLE } from "./tested_module.ts";
import {
  isWindows,
  NO_STRAY_WRITES,
  notInDeno28,
  type Reason,
  unless,
  WINE_LOCKS,
} from "./skip.ts";
import { decode, encode, equal, pattern } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { TempDir, testInDir as test } from "./temp_dir.ts";

const { Start, Current, End } = Deno.SeekMode;
const PAGE = 4096;
const MIB = 1 << 20;

/** The methods that have a sync twin. */
type Method =
  | "read"
  | "readAt"
  | "write"
  | "writeAt"
  | "seek"
  | "truncate"
  | "stat"
  | "sync"
  | "syncData"
  | "utime"
  | "lock"
  | "tryLock"
  | "unlock"
  | "flush";

type Call = <M extends Method>(
  file: MmapFile,
  method: M,
  ...args: Parameters<MmapFile[M]>
) => ReturnType<MmapFile[M]>;

/** A test of a method in its sync and in its async form. "{read}" in the name becomes "MmapFile.readSync()". */
function testBoth(
  name: string,
  fn: (dir: TempDir, call: Call) => Promise<void>,
  reason: Reason = false,
): void {
  for (const suffix of ["Sync", ""]) {
    const call = (file: MmapFile, method: Method, ...args: unknown[]) =>
      new Promise((resolve) =>
        resolve(Reflect.apply(Reflect.get(file, method + suffix), file, args))
      );
    Deno.test({
      ...unless(
        reason,
        name.replaceAll(/\{(\w+)\}/g, `MmapFile.$1${suffix}()`),
      ),
      fn: async () => {
        using dir = new TempDir();
        await fn(dir, call as Call);
      },
    });
  }
}

const READ_WRITE: MmapOpenOptions = { read: true, write: true };
const FIXED: MmapOpenOptions = { ...READ_WRITE, grow: false };

/** A file of these contents, mapped for reading and writing. */
function writable(
  dir: TempDir,
  contents: string | number,
  options: MmapOpenOptions = READ_WRITE,
): MmapFile {
  return openSync(dir.file(contents), options);
}

function cursorOf(file: MmapFile | Deno.FsFile): number {
  return file.seekSync(0, Current);
}

function contentsOf(file: MmapFile): string {
  return Deno.readTextFileSync(file.name);
}

// --- read

testBoth("{read} reads from the cursor on and moves it", async (dir, call) => {
  using file = openSync(dir.file("hello, world"));
  const p = new Uint8Array(5);
  assertEquals(await call(file, "read", p), 5);
  assertEquals(decode(p), "hello");
  assertEquals(await call(file, "read", p), 5);
  assertEquals(decode(p), ", wor");
  assertEquals(cursorOf(file), 10);
});

testBoth(
  "{read} reads what is left at the end of the file",
  async (dir, call) => {
    using file = openSync(dir.file("hello"));
    file.seekSync(3, Start);
    const p = encode("......");
    assertEquals(await call(file, "read", p), 2);
    assertEquals(decode(p), "lo....");
  },
);

testBoth(
  "{read} returns null at the end of the file and past it",
  async (dir, call) => {
    using file = openSync(dir.file("hello"));
    for (const position of [5, 6, 5000, 2 ** 40]) {
      file.seekSync(position, Start);
      const p = encode("...");
      assertEquals(await call(file, "read", p), null);
      assertEquals(decode(p), "...");
      assertEquals(cursorOf(file), position);
    }
  },
);

testBoth("{read} of 0 bytes returns 0 anywhere", async (dir, call) => {
  using file = openSync(dir.file("hello"));
  for (const position of [0, 4, 5, 6, 2 ** 40]) {
    file.seekSync(position, Start);
    assertEquals(await call(file, "read", new Uint8Array(0)), 0);
    assertEquals(cursorOf(file), position);
  }
});

testBoth(
  "{read} fills a part of a larger buffer and nothing else",
  async (dir, call) => {
    using file = openSync(dir.file("hello"));
    const whole = encode("0123456789");
    assertEquals(await call(file, "read", whole.subarray(2, 5)), 3);
    assertEquals(decode(whole), "01hel56789");
  },
);

testBoth("{read} fills a shared buffer", async (dir, call) => {
  using file = openSync(dir.file("hello"));
  const p = new Uint8Array(new SharedArrayBuffer(5));
  assertEquals(await call(file, "read", p), 5);
  assertEquals([...p], [...encode("hello")]);
});

testBoth("{read} into the file's own bytes moves them", async (dir, call) => {
  using file = writable(dir, "0123456789");
  assertEquals(await call(file, "read", file.bytes(2, 5)), 5);
  assertEquals(contentsOf(file), "0101234789");
});

testBoth(
  "{read} and {write} refuse arguments that are not a Uint8Array, as Deno does",
  async (dir, call) => {
    using file = writable(dir, "hello, world");
    using denos = Deno.openSync(file.name, { read: true, write: true });
    for (
      const value of ["abc", [1, 2], new Uint16Array(2), new ArrayBuffer(2)]
    ) {
      const p = value as unknown as Uint8Array;
      assertThrows(() => denos.readSync(p), TypeError);
      assertThrows(() => denos.writeSync(p), TypeError);
      await assertRejects(() => call(file, "read", p), TypeError);
      await assertRejects(() => call(file, "write", p), TypeError);
      await assertRejects(() => call(file, "readAt", p, 0), TypeError);
      await assertRejects(() => call(file, "writeAt", p, 0), TypeError);
    }
    assertEquals(cursorOf(file), 0);
    assertEquals(contentsOf(file), "hello, world");
  },
);

testBoth("{read} sees what another process wrote", async (dir, call) => {
  using file = openSync(dir.file("hello"));
  using other = Deno.openSync(file.name, { write: true });
  other.writeSync(encode("J"));
  if (isCopy) file.refresh();
  const p = new Uint8Array(5);
  await call(file, "read", p);
  assertEquals(decode(p), "Jello");
});

// --- write

testBoth("{write} writes at the cursor and moves it", async (dir, call) => {
  using file = writable(dir, "hello, world");
  file.seekSync(7, Start);
  assertEquals(await call(file, "write", encode("W")), 1);
  assertEquals(await call(file, "write", encode("OR")), 2);
  assertEquals(cursorOf(file), 10);
  assertEquals(contentsOf(file), "hello, WORld");
});

testBoth("{write} of 0 bytes returns 0 anywhere", async (dir, call) => {
  using file = writable(dir, "hello");
  for (const position of [0, 5, 6, 2 ** 40]) {
    file.seekSync(position, Start);
    assertEquals(await call(file, "write", new Uint8Array(0)), 0);
    assertEquals(cursorOf(file), position);
  }
  assertEquals(contentsOf(file), "hello");
});

testBoth("{write} writes up to the last byte", async (dir, call) => {
  using file = writable(dir, "hello");
  file.seekSync(-2, End);
  assertEquals(await call(file, "write", encode("p!")), 2);
  assertEquals(contentsOf(file), "help!");
  assertEquals(cursorOf(file), 5);
});

testBoth(
  "{write} across the end of a fixed file writes what fits and reports how much",
  async (dir, call) => {
    using file = writable(dir, "hello", FIXED);
    for (
      const [position, length, fits] of [
        [0, 6, 5],
        [3, 4, 2],
        [4, 2, 1],
        [5, 1, 0],
        [6, 1, 0],
        [5000, 3, 0],
      ]
    ) {
      file.writeAtSync(encode("hello"), 0);
      file.seekSync(position!, Start);
      const error = await assertRejects(
        () => call(file, "write", encode("X".repeat(length!))),
        OutOfBoundsError,
        file.name,
      );
      assertInstanceOf(error, RangeError);
      assertEquals(error.bytesWritten, fits);
      assertEquals(cursorOf(file), position! + fits!);
      assertEquals(
        contentsOf(file),
        "hello".slice(0, position) + "X".repeat(fits!),
      );
      assertEquals(file.size, 5);
    }
  },
);

testBoth(
  "{write} of several MiB across the end of a fixed file reports how much fitted",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 5 * MIB / 2);
    file.seekSync(10, Start);
    const bytes = pattern(4 * MIB);
    const fits = file.size - 10;
    const error = await assertRejects(
      () => call(file, "write", bytes),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, fits);
    assertEquals(cursorOf(file), file.size);
    const found = Deno.readFileSync(file.name);
    assertEquals(found.length, file.size);
    assert(equal(found.subarray(10), bytes.subarray(0, fits)));

    const second = await assertRejects(
      () => call(file, "writeAt", bytes, 20),
      OutOfBoundsError,
    );
    assertEquals(second.bytesWritten, fits - 10);
  },
);

testBoth(
  "{write} on a read-only file is a ReadOnlyError and changes nothing",
  async (dir, call) => {
    using file = openSync(dir.file("hello"));
    file.seekSync(2, Start);
    for (const text of ["", "X", "XXXXXXXX"]) {
      const error = await assertRejects(
        () => call(file, "write", encode(text)),
        ReadOnlyError,
        file.name,
      );
      assertInstanceOf(error, Deno.errors.PermissionDenied);
      await assertRejects(
        () => call(file, "writeAt", encode(text), 1),
        ReadOnlyError,
        file.name,
      );
    }
    await assertRejects(
      () => call(file, "write", pattern(3 * MIB)),
      ReadOnlyError,
    );
    await assertRejects(() => call(file, "truncate", 3), ReadOnlyError);
    assertEquals(cursorOf(file), 2);
    assertEquals(file.size, 5);
    assertEquals(decode(file.bytes()), "hello");
    assertEquals(contentsOf(file), "hello");
  },
);

testBoth("{write} takes the file's own bytes", async (dir, call) => {
  using file = writable(dir, "0123456789");
  file.seekSync(2, Start);
  assertEquals(await call(file, "write", file.bytes(0, 5)), 5);
  assertEquals(contentsOf(file), "0101234789");
});

// --- readAt, writeAt

testBoth(
  "{readAt} reads at a position and leaves the cursor",
  async (dir, call) => {
    using file = openSync(dir.file("hello, world"));
    file.seekSync(3, Start);
    const p = new Uint8Array(5);
    assertEquals(await call(file, "readAt", p, 7), 5);
    assertEquals(decode(p), "world");
    assertEquals(await call(file, "readAt", p, 10), 2);
    assertEquals(decode(p), "ldrld");
    for (const offset of [12, 13, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      assertEquals(await call(file, "readAt", p, offset), null);
      assertEquals(await call(file, "readAt", new Uint8Array(0), offset), 0);
    }
    assertEquals(decode(p), "ldrld");
    assertEquals(cursorOf(file), 3);
  },
);

testBoth(
  "{writeAt} writes at a position and leaves the cursor",
  async (dir, call) => {
    using file = writable(dir, "hello, world");
    file.seekSync(3, Start);
    assertEquals(await call(file, "writeAt", encode("WORLD"), 7), 5);
    assertEquals(await call(file, "writeAt", encode("J"), 0), 1);
    assertEquals(await call(file, "writeAt", new Uint8Array(0), 100), 0);
    assertEquals(contentsOf(file), "Jello, WORLD");
    assertEquals(cursorOf(file), 3);
  },
);

testBoth(
  "{writeAt} across the end of a fixed file writes what fits and leaves the cursor",
  async (dir, call) => {
    using file = writable(dir, "hello", FIXED);
    file.seekSync(1, Start);
    for (const [offset, fits] of [[3, 2], [5, 0], [6, 0], [2 ** 40, 0]]) {
      const error = await assertRejects(
        () => call(file, "writeAt", encode("XYZ"), offset!),
        OutOfBoundsError,
        file.name,
      );
      assertEquals(error.bytesWritten, fits);
      assertEquals(contentsOf(file), "helXY");
      assertEquals(cursorOf(file), 1);
    }
  },
);

testBoth(
  "{readAt} and {writeAt} refuse invalid offsets",
  async (dir, call) => {
    using file = writable(dir, "hello");
    for (const size of [0, 3, 2 * MIB]) {
      const p = new Uint8Array(size);
      for (const offset of [-1, -0.5, 1.5, NaN, Infinity, 2 ** 53]) {
        await assertRejects(() => call(file, "readAt", p, offset), RangeError);
        const error = await assertRejects(
          () => call(file, "writeAt", p, offset),
          RangeError,
          file.name,
        );
        assert(!(error instanceof OutOfBoundsError), `${offset}: ${error}`);
      }
      for (const offset of ["1", undefined, null, 1n]) {
        const wrong = offset as unknown as number;
        await assertRejects(() => call(file, "readAt", p, wrong), TypeError);
        await assertRejects(() => call(file, "writeAt", p, wrong), TypeError);
      }
    }
    assertEquals(contentsOf(file), "hello");
  },
);

// --- seek

testBoth("{seek} goes where Deno.FsFile goes", async (dir, call) => {
  using file = writable(dir, "hello, world");
  using denos = Deno.openSync(file.name, { read: true, write: true });
  for (
    const [offset, whence] of [
      [3, Start],
      [2, Current],
      [-1, Current],
      [-2, End],
      [0, End],
      [10, End],
      [5, Current],
      [2n, Start],
      [3n, Current],
      [-4n, Current],
      [-1n, End],
      [2n ** 40n, Start],
      [0, Current],
      [-0, Start],
    ] as [number | bigint, Deno.SeekMode][]
  ) {
    assertEquals(
      await call(file, "seek", offset, whence),
      denos.seekSync(offset, whence),
      `seek ${offset} from ${whence}`,
    );
    assertEquals(cursorOf(file), cursorOf(denos));
  }
});

testBoth(
  "{seek} accepts and refuses what Deno.FsFile does, with its error class, and a refused seek does not move the cursor",
  async (dir, call) => {
    using file = writable(dir, "hello");
    using denos = Deno.openSync(file.name);
    file.seekSync(2, Start);
    denos.seekSync(2, Start);
    for (
      const [offset, whence] of [
        [-1, Start],
        [-3, Current],
        [-6, End],
        [-1n, Start],
        [-(2n ** 63n), End],
        [2n ** 63n, Start],
        [Infinity, Start],
        [-Infinity, Start],
        [2 ** 63, Start],
        [0, 3],
        [0, -1],
        [0, 1.5],
        [0, NaN],
        [0, "1"],
        [0, undefined],
        [0, null],
        ["1", Start],
        [undefined, Start],
        [null, Start],
      ] as [number, Deno.SeekMode][]
    ) {
      const theirs = await outcomeOf(() => denos.seekSync(offset, whence));
      const ours = await outcomeOf(() => call(file, "seek", offset, whence));
      const what = `seek ${offset} from ${whence}`;
      if ("value" in theirs) {
        // Deno rounds a fractional whence.
        assert(!Number.isInteger(whence), what);
        assertEquals(ours, theirs, what);
        assertEquals(cursorOf(file), cursorOf(denos), what);
        for (const each of [file, denos]) each.seekSync(2, Start);
        continue;
      }
      // On Windows Deno passes the system's message on.
      if (!isWindows) assertInstanceOf(theirs.error, TypeError, what);
      assert("error" in ours, `${what} gave ${JSON.stringify(ours)}`);
      assertInstanceOf(ours.error, TypeError, what);
      assertStringIncludes(ours.error.message, file.name);
      assertEquals(cursorOf(file), 2);
    }
  },
);

testBoth(
  "{seek} truncates fractions where Deno.FsFile does",
  async (dir, call) => {
    using file = writable(dir, "hello");
    using denos = Deno.openSync(file.name);
    for (const whence of [Start, Current, End]) {
      for (const offset of [0.5, 1.5, 1.999, -0.5, -1.5, NaN]) {
        file.seekSync(2, Start);
        denos.seekSync(2, Start);
        const theirs = await outcomeOf(() => denos.seekSync(offset, whence));
        const ours = await outcomeOf(() => call(file, "seek", offset, whence));
        const what = `seek ${offset} from ${whence}`;
        if ("value" in theirs) assertEquals(ours, theirs, what);
        else assert("error" in ours && ours.error instanceof TypeError, what);
        assertEquals(cursorOf(file), cursorOf(denos), what);
      }
    }
  },
);

test("MmapFile.seekSync() loses no digit of a large bigint", (dir) => {
  using file = writable(dir, "hello");
  assertThrows(() => file.seekSync(2n ** 53n + 1n, Start), TypeError);
  // Deno counts modulo 2^64.
  using denos = Deno.openSync(file.name);
  for (const offset of [2n ** 64n, 2n ** 64n + 3n, 3n - 2n ** 65n]) {
    assertEquals(file.seekSync(offset, Start), denos.seekSync(offset, Start));
    assertEquals(cursorOf(file), cursorOf(denos));
  }
  assertEquals(
    file.seekSync(BigInt(Number.MAX_SAFE_INTEGER), Start),
    Number.MAX_SAFE_INTEGER,
  );
  // 2^53 - 1 + 1 - 1 is a position, though 2^53 is not a safe integer.
  assertEquals(file.seekSync(-1n, Current), Number.MAX_SAFE_INTEGER - 1);
});

// --- truncate

testBoth(
  "{truncate} extends the file with zeros, and keeps the cursor",
  async (dir, call) => {
    using file = writable(dir, "hello");
    file.seekSync(3, Start);
    await call(file, "truncate", 10_000);
    assertEquals(file.size, 10_000);
    assertEquals(cursorOf(file), 3);
    const found = Deno.readFileSync(file.name);
    assertEquals(found.length, 10_000);
    assert(equal(file.bytes(), found));
    assertEquals(decode(found.subarray(0, 5)), "hello");
    assert(found.subarray(5).every((byte) => byte === 0));
    file.writeAtSync(encode("end"), 9997);
    assertEquals(decode(Deno.readFileSync(file.name).subarray(9997)), "end");
  },
);

testBoth(
  "{truncate} truncates the file, and keeps the cursor",
  async (dir, call) => {
    using file = writable(dir, 10_000);
    file.seekSync(7000, Start);
    const before = file.bytes();
    await call(file, "truncate", 5);
    assertEquals(before.length, 0);
    assertEquals(file.size, 5);
    assertEquals(cursorOf(file), 7000);
    assertEquals(file.readSync(new Uint8Array(1)), null);
    assert(equal(Deno.readFileSync(file.name), pattern(5)));
    assert(equal(file.bytes(), pattern(5)));
  },
);

testBoth(
  "{truncate} truncates to 0 bytes by default, and extends again",
  async (dir, call) => {
    using file = writable(dir, 5000);
    await call(file, "truncate");
    assertEquals(file.size, 0);
    assertEquals(Deno.statSync(file.name).size, 0);
    assertEquals(file.bytes().length, 0);
    await call(file, "truncate", 3);
    assertEquals([...file.bytes()], [0, 0, 0]);
    assertEquals(file.writeAtSync(encode("abc"), 0), 3);
    assertEquals(contentsOf(file), "abc");
  },
);

testBoth(
  "{truncate} to less and then to more shows zeros",
  async (dir, call) => {
    using file = writable(dir, 5000);
    await call(file, "truncate", 10);
    await call(file, "truncate", 5000);
    assert(equal(file.bytes(0, 10), pattern(10)));
    assert(file.bytes(10).every((byte) => byte === 0));
  },
);

testBoth(
  "{truncate} to the current size changes nothing",
  async (dir, call) => {
    using file = writable(dir, "hello");
    await call(file, "truncate", 5);
    assertEquals(file.size, 5);
    assertEquals(contentsOf(file), "hello");
    assertEquals(decode(file.bytes()), "hello");
  },
);

testBoth(
  "{truncate} that the system refuses leaves the file usable",
  async (dir, call) => {
    using file = writable(dir, 5000);
    await assertRejects(
      () => call(file, "truncate", Number.MAX_SAFE_INTEGER),
      SystemError,
    );
    assertEquals(file.size, 5000);
    assert(equal(file.bytes(), pattern(5000)));
    assert(equal(Deno.readFileSync(file.name), pattern(5000)));
  },
);

// --- stat, utime, sync, lock

testBoth(
  "{stat} returns what Deno.statSync returns, field by field",
  async (dir, call) => {
    for (
      const [contents, mode] of [["", 0o600], ["hello", 0o644], [70_000, 0o755]]
    ) {
      const path = dir.file(contents);
      Deno.chmodSync(path, mode as number);
      Deno.utimeSync(path, 1_234_567.891, new Date(987_654_321));
      using file = openSync(path);
      const info = await call(file, "stat");
      const expected = Deno.statSync(path);
      assertEquals(Object.keys(info).sort(), Object.keys(expected).sort());
      for (const [field, value] of Object.entries(expected)) {
        assertEquals(Reflect.get(info, field), value, field);
      }
    }
  },
);

testBoth("{stat} follows the file", async (dir, call) => {
  using file = writable(dir, "hello");
  assertEquals((await call(file, "stat")).size, 5);
  file.truncateSync(9);
  assertEquals((await call(file, "stat")).size, 9);
  Deno.linkSync(file.name, dir.join("second"));
  assertEquals((await call(file, "stat")).nlink, 2);
});

testBoth("{stat} returns a new object to each caller", async (dir, call) => {
  using one = openSync(dir.file("1", "one"));
  using two = openSync(dir.file("22", "two"));
  const infos = await Promise.all([call(one, "stat"), call(two, "stat")]);
  assertEquals(infos.map(({ size }) => size), [1, 2]);
});

const TIMES: Record<string, [number | Date, number | Date][]> = {
  "after 1970": [
    [0, 1],
    [1_600_000_000, 1_700_000_000.5],
    [1.2345, 1.9996],
    [new Date(0), new Date(1_700_000_000_123)],
    [5, 2 ** 33],
  ],
  "before 1970": [[-5, -1.5], [new Date(-1500), new Date(-1)]],
  "that are invalid": [
    [NaN, new Date(NaN)],
    [null, undefined],
    ["1", "x"],
    [true, { valueOf: () => 7 }],
  ] as unknown as [number, number][],
};

for (const [when, times] of Object.entries(TIMES)) {
  testBoth(
    `{utime} sets the times ${when} that Deno.FsFile.utime sets`,
    async (dir, call) => {
      using file = writable(dir, "hello");
      using denos = Deno.createSync(dir.join("denos"));
      for (const [atime, mtime] of times) {
        await call(file, "utime", atime, mtime);
        denos.utimeSync(atime, mtime);
        const ours = Deno.statSync(file.name);
        const theirs = denos.statSync();
        assertEquals(ours.atime, theirs.atime, `atime ${atime}`);
        assertEquals(ours.mtime, theirs.mtime, `mtime ${mtime}`);
      }
    },
    when === "before 1970" &&
      notInDeno28("Deno.FsFile refuses parts of a second before 1970"),
  );
}

testBoth(
  "{utime} works on a file opened for reading, as in Deno",
  async (dir, call) => {
    using file = openSync(dir.file("hello"));
    await call(file, "utime", 1, 2);
    assertEquals(Deno.statSync(file.name).mtime, new Date(2000));
  },
);

testBoth(
  "{sync}, {syncData} and {flush} work on every kind of file",
  async (dir, call) => {
    const kinds: MmapOpenOptions[] = [
      { read: true },
      READ_WRITE,
      { write: true },
      { append: true },
      { read: true, write: true, grow: true },
      { copyOnWrite: true },
    ];
    for (const contents of ["", "hello", 10_000]) {
      for (const kind of kinds) {
        using file = writable(dir, contents, kind);
        assertEquals(await call(file, "sync"), undefined);
        assertEquals(await call(file, "syncData"), undefined);
        assertEquals(await call(file, "flush"), undefined);
      }
    }
  },
);

testBoth(
  "{lock} and {tryLock} exclude Deno.FsFile and other MmapFiles",
  async (dir, call) => {
    const path = dir.file("hello");
    using file = openSync(path);
    using denos = Deno.openSync(path);
    using second = openSync(path);

    await call(file, "lock", true);
    for (const exclusive of [true, false]) {
      assertEquals(denos.tryLockSync(exclusive), false);
      assertEquals(await call(second, "tryLock", exclusive), false);
    }
    await call(file, "unlock");

    await call(file, "lock");
    assertEquals(denos.tryLockSync(), true);
    assertEquals(await call(second, "tryLock"), true);
    assertEquals(await call(second, "tryLock", true), false);
    denos.unlockSync();
    await call(second, "unlock");
    await call(file, "unlock");

    assertEquals(denos.tryLockSync(true), true);
    assertEquals(await call(file, "tryLock", true), false);
    assertEquals(await call(file, "tryLock", false), false);
    denos.unlockSync();
    assertEquals(await call(file, "tryLock", true), true);
    assertEquals(denos.tryLockSync(), false);
    // Windows does not convert a lock into another.
    if (isWindows) return;
    // Without exclusive an exclusive lock becomes a shared one.
    assertEquals(await call(file, "tryLock"), true);
    assertEquals(denos.tryLockSync(), true);
  },
  WINE_LOCKS,
);

test("MmapFile.close() releases its lock", (dir) => {
  const path = dir.file("hello");
  using second = openSync(path);
  const file = openSync(path);
  file.lockSync(true);
  assertEquals(second.tryLockSync(), false);
  file.close();
  assertEquals(second.tryLockSync(true), true);
});

test(
  "MmapFile.lock() waits until the file is unlocked, and lets timers run",
  async (dir) => {
    const path = dir.file("hello");
    using holder = Deno.openSync(path);
    using file = openSync(path);
    holder.lockSync(true);
    let isLocked = false;
    const locked = file.lock(true).then(() => isLocked = true);
    for (let tick = 0; tick < 5; tick++) {
      await sleep(1);
      assertEquals(isLocked, false);
    }
    holder.unlockSync();
    await locked;
    assertEquals(holder.tryLockSync(), false);
    file.unlockSync();
    assertEquals(holder.tryLockSync(true), true);
  },
  WINE_LOCKS,
);

// --- terminals

test("MmapFile.isTerminal() is false, as Deno.FsFile's is", (dir) => {
  using file = openSync(dir.file("hello"));
  using denos = Deno.openSync(file.name);
  assertEquals(file.isTerminal(), denos.isTerminal());
});

test("MmapFile.setRaw() throws what Deno.FsFile's throws", (dir) => {
  using file = openSync(dir.file("hello"));
  using denos = Deno.openSync(file.name);
  // On Windows Deno passes the system's message on.
  if (!isWindows) {
    assertThrows(() => denos.setRaw(true), Deno.errors.BadResource);
  }
  assertThrows(() => file.setRaw(true), Deno.errors.BadResource, file.name);
  assertEquals(file.closed, false);
});

// --- bytes, view

test("writes through MmapFile.bytes() are in the file at once", (dir) => {
  using file = writable(dir, 3 * PAGE);
  const bytes = file.bytes();
  for (const at of [0, 1, PAGE - 1, PAGE, 2 * PAGE + 7, 3 * PAGE - 1]) {
    bytes[at] = 0;
    assertEquals(Deno.readFileSync(file.name)[at], 0);
  }
  assert(equal(bytes, Deno.readFileSync(file.name)));
});

for (
  const [kind, options] of Object.entries({
    "read-write": READ_WRITE,
    "read-only": { read: true },
  })
) {
  test(`MmapFile.bytes() of a ${kind} file shows at once what another process writes`, (dir) => {
    using file = writable(dir, 3 * PAGE, options);
    using other = Deno.openSync(file.name, { write: true });
    const bytes = file.bytes();
    for (const at of [0, 1, PAGE - 1, PAGE, 2 * PAGE + 7, 3 * PAGE - 1]) {
      other.seekSync(at, Start);
      other.writeSync(new Uint8Array([0]));
      if (isCopy) file.refresh();
      assertEquals(bytes[at], 0);
    }
  });
}

test("MmapFile.bytes() of two MmapFiles of one file are one memory", (dir) => {
  using one = writable(dir, 100);
  using two = openSync(one.name, READ_WRITE);
  /** Two copies share changes after a write-back and a refresh, two mappings at once. */
  const meet = (from: MmapFile, to: MmapFile) => {
    if (!isCopy) return;
    from.flushSync();
    to.refresh();
  };
  one.bytes()[5] = 200;
  meet(one, two);
  assertEquals(two.bytes()[5], 200);
  two.bytes(10, 1)[0] = 201;
  meet(two, one);
  assertEquals(one.bytes()[10], 201);
});

test(
  "A stray write into the bytes of a read-only file does not reach the file",
  (dir) => {
    using file = openSync(dir.file("hello"));
    using second = openSync(file.name);
    file.bytes()[0] = 74;
    assertEquals(contentsOf(file), "hello");
    assertEquals(decode(second.bytes()), "hello");
  },
  !isCopy && NO_STRAY_WRITES,
);

test("MmapFile.bytes() returns ranges", (dir) => {
  using file = openSync(dir.file("hello, world"));
  assertEquals(decode(file.bytes()), "hello, world");
  assertEquals(decode(file.bytes(7)), "world");
  assertEquals(decode(file.bytes(7, 3)), "wor");
  assertEquals(file.bytes(12).length, 0);
  assertEquals(file.bytes(3, 0).length, 0);
  assertInstanceOf(file.bytes().buffer, ArrayBuffer as never);
});

test("MmapFile.bytes() of one mapping share one ArrayBuffer", (dir) => {
  using file = openSync(dir.file("hello"));
  assertStrictEquals(file.bytes().buffer, file.bytes(2, 1).buffer);
});

test("MmapFile.bytes(), view(), flush(), prefetch() and advise() refuse ranges that are not in the file", async (dir) => {
  using file = writable(dir, "hello");
  for (
    const [offset, length] of [
      [6, undefined],
      [6, 0],
      [5, 1],
      [0, 6],
      [3, 3],
      [-1, undefined],
      [-1, 1],
      [0, -1],
      [1.5, 1],
      [0, 1.5],
      [NaN, 1],
      [0, NaN],
      [Infinity, 0],
      [0, Infinity],
      [2 ** 53, 0],
      [1, Number.MAX_SAFE_INTEGER],
    ]
  ) {
    const range = `${offset}, ${length}`;
    const throws = (call: () => unknown) =>
      assertStringIncludes(
        assertThrows(call, RangeError).message,
        file.name,
        range,
      );
    throws(() => file.bytes(offset, length));
    throws(() => file.view(Uint8Array, offset, length));
    throws(() => file.view(DataView, offset, length));
    throws(() => file.flushSync(offset, length));
    throws(() => file.advise("random", offset, length));
    await assertRejects(() => file.flush(offset, length), RangeError);
    await assertRejects(() => file.prefetch(offset, length), RangeError);
  }
});

testBoth(
  "{flush}, prefetch() and advise() take every range of the file",
  async (dir, call) => {
    for (const size of [0, 1, PAGE, PAGE + 1, 3 * PAGE]) {
      for (
        const options of [READ_WRITE, { read: true }, { copyOnWrite: true }]
      ) {
        using file = writable(dir, size, options);
        for (const offset of [0, 1, PAGE, size].filter((at) => at <= size)) {
          for (const length of [undefined, 0, size - offset]) {
            assertEquals(await call(file, "flush", offset, length), undefined);
            assertEquals(await file.prefetch(offset, length), undefined);
            file.advise("sequential", offset, length);
            file.advise("random", offset, length);
            file.advise("normal", offset, length);
          }
        }
        assert(equal(file.bytes(), pattern(size)));
      }
    }
  },
);

test("MmapFile.advise() refuses unknown advice", (dir) => {
  using file = openSync(dir.file("hello"));
  for (const advice of ["willneed", "", undefined, 1]) {
    assertThrows(() => file.advise(advice as "normal"), TypeError, file.name);
  }
});

test("MmapFile.view() returns the file as numbers of every type", (dir) => {
  using file = writable(dir, 64);
  const bytes = pattern(64);
  for (
    const type of [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
    ]
  ) {
    const width = type.BYTES_PER_ELEMENT;
    const view = file.view(type as Int32ArrayConstructor);
    assertInstanceOf(view, type as never);
    assertEquals(view, new type(bytes.buffer) as Int32Array<ArrayBuffer>);
    const part = file.view(type as Int32ArrayConstructor, 16, 2);
    assertEquals(part.length, 2);
    assertEquals(
      part,
      new type(bytes.buffer, 16, 2) as Int32Array<ArrayBuffer>,
    );
    assertEquals(file.view(type as Int32ArrayConstructor, 64).length, 0);
    assertEquals(
      file.view(type as Int32ArrayConstructor, 64 - width).length,
      1,
    );
    if (width > 1) {
      assertThrows(
        () => file.view(type as Int32ArrayConstructor, 1, 1),
        RangeError,
        type.name,
      );
      assertThrows(
        () => file.view(type as Int32ArrayConstructor, width / 2, 0),
        RangeError,
      );
    }
    assertThrows(
      () => file.view(type as Int32ArrayConstructor, 0, 64 / width + 1),
      RangeError,
    );
  }
});

test("MmapFile.view() leaves out an incomplete last element", (dir) => {
  using file = writable(dir, 15);
  assertEquals(file.view(Int32Array).length, 3);
  assertEquals(file.view(Float64Array, 8).length, 0);
  assertEquals(file.view(Int16Array, 2).length, 6);
});

test("MmapFile.view() returns a DataView at any byte", (dir) => {
  using file = writable(dir, 16);
  const view = file.view(DataView, 3);
  assertEquals(view.byteLength, 13);
  assertEquals(file.view(DataView, 3, 5).byteLength, 5);
  view.setUint32(1, 0xcafebabe);
  assertEquals(
    [...Deno.readFileSync(file.name).subarray(4, 8)],
    [0xca, 0xfe, 0xba, 0xbe],
  );
});

test("MmapFile.view() shares its memory with the file, for Atomics too", (dir) => {
  using file = createSync(dir.join("new"), 64);
  const numbers = file.view(Int32Array);
  Atomics.add(numbers, 3, 41);
  Atomics.add(numbers, 3, 1);
  assertEquals(
    new DataView(Deno.readFileSync(file.name).buffer).getInt32(
      12,
      isLittleEndian,
    ),
    42,
  );
});

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

// --- streams

test("MmapFile.readable starts at the cursor and closes the file at its end", async (dir) => {
  const size = 200_000;
  using file = openSync(dir.file(size));
  file.seekSync(1000, Start);
  const found = new Uint8Array(size - 1000);
  let at = 0;
  for await (const chunk of file.readable) {
    found.set(chunk, at);
    at += chunk.length;
  }
  assertEquals(at, found.length);
  assert(equal(found, pattern(size).subarray(1000)));
  assertEquals(file.closed, true);
});

test("MmapFile.readable of an empty file ends at once", async (dir) => {
  using file = openSync(dir.file(""));
  const { done } = await file.readable.getReader().read();
  assertEquals(done, true);
  assertEquals(file.closed, true);
});

test("MmapFile.readable fills the buffers of a BYOB reader, and moves the cursor by as much", async (dir) => {
  using file = openSync(dir.file("hello, world"));
  file.seekSync(7, Start);
  const reader = file.readable.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(3));
  assertEquals(decode(value!), "wor");
  assertEquals(cursorOf(file), 10);
  const second = await reader.read(new Uint8Array(100));
  assertEquals(decode(second.value!), "ld");
  const third = await reader.read(new Uint8Array(100));
  assertEquals(third.done, true);
  assertEquals(third.value?.length, 0);
  assertEquals(file.closed, true);
});

test("MmapFile.readable yields copies, which a close does not change", async (dir) => {
  using file = openSync(dir.file("hello"));
  const { value } = await file.readable.getReader().read();
  file.close();
  assertEquals(decode(value!), "hello");
});

test("MmapFile.readable canceled closes the file", async (dir) => {
  using file = openSync(dir.file("hello"));
  await file.readable.cancel();
  assertEquals(file.closed, true);
});

test("MmapFile.readable and writable are the same stream each time", (dir) => {
  using file = writable(dir, "hello");
  assertStrictEquals(file.readable, file.readable);
  assertStrictEquals(file.writable, file.writable);
});

test(
  "MmapFile.readable over a closed file says what Deno's says",
  async (dir) => {
    const path = dir.file("hello");
    const denos = Deno.openSync(path);
    const file = openSync(path);
    const readers = [denos, file].map((file) => file.readable.getReader());
    denos.close();
    file.close();
    const [theirs, ours] = await Promise.all(
      readers.map((reader) =>
        assertRejects(() => reader.read(), Deno.errors.BadResource)
      ),
    );
    assertStringIncludes(ours!.message, theirs!.message);
    assertStringIncludes(ours!.message, path);
  },
  notInDeno28("Deno.FsFile says 'Bad resource ID'"),
);

test("MmapFile.readable obtained after close fails when it is read", async (dir) => {
  const file = openSync(dir.file("hello"));
  file.close();
  await assertRejects(
    () => file.readable.getReader().read(),
    Deno.errors.BadResource,
  );
});

test("MmapFile.readable of a write-only file fails as Deno's and closes the file", async (dir) => {
  using file = writable(dir, "hello", { write: true });
  const error = await assertRejects(() => file.readable.getReader().read());
  assertEquals(Reflect.get(error, "code"), "EBADF");
  assertEquals(file.closed, true);
});

test("MmapFile.writable writes at the cursor, and its close closes the file", async (dir) => {
  using file = writable(dir, "hello, world");
  file.seekSync(7, Start);
  const writer = file.writable.getWriter();
  await writer.write(encode("WO"));
  await writer.write(encode("RLD"));
  assertEquals(contentsOf(file), "hello, WORLD");
  assertEquals(file.closed, false);
  await writer.close();
  assertEquals(file.closed, true);
});

test("MmapFile.writable past the end of a fixed file rejects and closes the file", async (dir) => {
  using file = writable(dir, "hello", FIXED);
  const writer = file.writable.getWriter();
  writer.closed.catch(() => {});
  await assertRejects(
    () => writer.write(encode("HELLO, WORLD")),
    OutOfBoundsError,
  );
  assertEquals(contentsOf(file), "HELLO");
  assertEquals(file.closed, true);
});

test("MmapFile.writable aborted closes the file", async (dir) => {
  using file = writable(dir, "hello");
  await file.writable.abort();
  assertEquals(file.closed, true);
});

test("MmapFile.readable pipes into another's writable", async (dir) => {
  using from = openSync(dir.file(300_000));
  using to = createSync(dir.join("copy"), 300_000);
  await from.readable.pipeTo(to.writable);
  assert(equal(Deno.readFileSync(to.name), pattern(300_000)));
  assertEquals([from.closed, to.closed], [true, true]);
});

// --- large async operations

test("MmapFile.read() and write() of many MiB let timers run", async (dir) => {
  using file = createSync(dir.join("new"), 32 * MIB);
  const calls: [string, () => Promise<unknown>][] = [
    ["write", () => file.write(pattern(file.size))],
    ["writeAt", () => file.writeAt(pattern(file.size), 0)],
    ["readAt", () => file.readAt(new Uint8Array(file.size), 0)],
    ["read", () => file.read(new Uint8Array(file.size))],
  ];
  for (const [name, call] of calls) {
    let ticked = false;
    const timer = setTimeout(() => ticked = true, 0);
    // A call may end before a timer is due.
    for (let time = 0; time < 10 && !ticked; time++) {
      file.seekSync(0, Start);
      assertEquals(await call(), file.size);
    }
    clearTimeout(timer);
    assertEquals(ticked, true, name);
  }
  assert(equal(Deno.readFileSync(file.name), pattern(32 * MIB)));
});

test("MmapFile keeps large async operations and later ones in order, as Deno.FsFile does", async (dir) => {
  const size = 5 * MIB;
  const results = [];
  for (const opener of [Deno.openSync, openSync]) {
    const path = dir.file("hello");
    using file = opener(path, { read: true, write: true, grow: true });
    const bytes = pattern(size);
    const p = new Uint8Array(4);
    const q = new Uint8Array(3 * MIB);
    results.push(
      await Promise.all([
        file.write(bytes),
        file.seek(-10, End),
        file.read(p),
        file.seek(0, Current),
        file.stat().then((info) => info.size),
        file.seek(100, Start),
        file.read(q),
        file.write(encode("later")),
        file.truncate(4 * MIB).then(() => {}),
        file.stat().then((info) => info.size),
        file.seek(0, End),
        file.read(new Uint8Array(0)),
        file.sync(),
        file.syncData(),
      ]),
    );
    const after = bytes.slice(0, 4 * MIB);
    after.set(encode("later"), 100 + q.length);
    assert(equal(p, bytes.subarray(size - 10, size - 6)));
    assert(equal(q, bytes.subarray(100, 100 + q.length)));
    assert(equal(Deno.readFileSync(path), after));
  }
  assertEquals(results[1], results[0]);
});

test("MmapFile's async methods wait for a large write that was begun before", async (dir) => {
  using file = createSync(dir.join("new"), 32 * MIB);
  for (
    const method of ["stat", "sync", "syncData", "flush", "readAt"] as const
  ) {
    const ended: string[] = [];
    const write = file.writeAt(pattern(file.size), 0).then(() =>
      ended.push("write")
    );
    const later = run(file, method).then(() => ended.push(method));
    await Promise.all([write, later]);
    assertEquals(ended, ["write", method]);
  }
});

test("MmapFile.readAt() and writeAt() of many MiB run correctly at the same time", async (dir) => {
  using file = createSync(dir.join("new"), 12 * MIB);
  const parts = [0, 1, 2, 3].map((i) => pattern(3 * MIB, i));
  await Promise.all(parts.map((part, i) => file.writeAt(part, i * 3 * MIB)));
  const found = parts.map((part) => new Uint8Array(part.length));
  const lengths = await Promise.all(
    found.map((part, i) => file.readAt(part, i * 3 * MIB)),
  );
  assertEquals(lengths, parts.map((part) => part.length));
  parts.forEach((part, i) => assert(equal(part, found[i]!), `part ${i}`));
  assertEquals(cursorOf(file), 0);
});

test("MmapFile.read() of many MiB reads what is left, and null at the end", async (dir) => {
  using file = openSync(dir.file(3 * MIB));
  file.seekSync(100, Start);
  const p = new Uint8Array(8 * MIB);
  assertEquals(await file.read(p), 3 * MIB - 100);
  assert(equal(p.subarray(0, 3 * MIB - 100), pattern(3 * MIB).subarray(100)));
  assertEquals(await file.read(p), null);
  assertEquals(cursorOf(file), 3 * MIB);
});

test("MmapFile.close() during large writes lets them end, as Deno.FsFile does", async (dir) => {
  for (const options of [{ read: true }, { grow: true }, { append: true }]) {
    const path = dir.file("");
    const append = "append" in options;
    const file = append
      ? openSync(path, options)
      : openSync(path, { ...READ_WRITE, grow: true });
    const parts = [pattern(9 * MIB), pattern(2 * MIB, 7), pattern(5, 9)];
    const running = Promise.all(parts.map((part) => file.write(part)));
    file.close();
    assertThrows(() => file.writeSync(parts[2]!), ClosedError);
    await assertRejects(() => file.write(parts[2]!), ClosedError);
    assertEquals(await running, parts.map((part) => part.length));
    const all = new Uint8Array(11 * MIB + 5);
    all.set(parts[0]!);
    all.set(parts[1]!, 9 * MIB);
    all.set(parts[2]!, 11 * MIB);
    assert(equal(Deno.readFileSync(path), all));
  }
});

test(
  "MmapFile.close() during a large read lets it end, as Deno.FsFile does",
  async (dir) => {
    const path = dir.file(16 * MIB);
    for (const method of ["read", "readAt"] as const) {
      const file = openSync(path);
      const p = new Uint8Array(16 * MIB);
      const running = file[method](p, 0);
      file.close();
      assertEquals(await running, p.length);
      assert(equal(p, pattern(16 * MIB)));
    }
  },
  isCopy || isWindows
    ? "a large read is done in pieces here, and rejects"
    : false,
);

// --- close

test("MmapFile.close() a second time is BadResource, a dispose then is silent", (dir) => {
  const path = dir.file("hello");
  const denos = Deno.openSync(path);
  denos.close();
  assertThrows(() => denos.close(), Deno.errors.BadResource);
  const file = openSync(path);
  assertEquals(file.closed, false);
  file.close();
  assertEquals(file.closed, true);
  const error = assertThrows(() => file.close(), ClosedError, path);
  assertInstanceOf(error, Deno.errors.BadResource);
  file[Symbol.dispose]();
  file[Symbol.dispose]();
});

test("MmapFile[Symbol.dispose]() closes the file", (dir) => {
  let kept: MmapFile;
  {
    using file = openSync(dir.file("hello"));
    kept = file;
    assertEquals(kept.closed, false);
  }
  assertEquals(kept.closed, true);
  assertThrows(() => kept.statSync(), ClosedError);
});

test("MmapFile.close() empties every view", (dir) => {
  const kinds: MmapOpenOptions[] = [
    { read: true },
    READ_WRITE,
    { read: true, write: true, grow: true },
    { read: true, append: true },
    { copyOnWrite: true },
    { offset: 100, length: 80 },
  ];
  for (const options of kinds) {
    const file = writable(dir, 10_000, options);
    const bytes = file.bytes();
    const { buffer } = bytes;
    const views = [
      bytes,
      file.bytes(5, 10),
      bytes.subarray(1),
      file.view(Int32Array, 4),
      file.view(Float64Array, options.offset ? 4 : 8, 2),
      new Uint8Array(buffer),
    ];
    const dataView = file.view(DataView, 3);
    assert(views.every((view) => view.length > 0));
    file.close();
    assertEquals(views.map((view) => view.length), views.map(() => 0));
    assertEquals(bytes[0], undefined);
    bytes[0] = 1;
    assertEquals(buffer.byteLength, 0);
    assertEquals(buffer.detached, true);
    assertThrows(() => dataView.getUint8(0), TypeError);
  }
});

/** Valid arguments for every method, so that only the closed file can be the reason of an error. */
const ARGUMENTS: Record<string, unknown[]> = {
  read: [new Uint8Array(1)],
  readSync: [new Uint8Array(1)],
  write: [new Uint8Array(1)],
  writeSync: [new Uint8Array(1)],
  readAt: [new Uint8Array(1), 0],
  readAtSync: [new Uint8Array(1), 0],
  writeAt: [new Uint8Array(1), 0],
  writeAtSync: [new Uint8Array(1), 0],
  seek: [0, Start],
  seekSync: [0, Start],
  utime: [0, 0],
  utimeSync: [0, 0],
  setRaw: [true],
  view: [Uint8Array],
  advise: ["normal"],
  writeString: ["a"],
  writeStringSync: ["a"],
  readFrom: [{ read: () => Promise.resolve(null) }],
  readFromSync: [{ readSync: () => null }],
  writeTo: [{ write: (p: Uint8Array) => Promise.resolve(p.length) }],
  writeToSync: [{ writeSync: (p: Uint8Array) => p.length }],
  indexOf: [1],
  lastIndexOf: [1],
  includes: [1],
  wait: [0, 1],
  notify: [0],
};

/** Every method of the class, including future ones. */
const METHODS = Object.entries(
  Object.getOwnPropertyDescriptors(MmapFile.prototype),
).filter(([name, { value }]) =>
  typeof value === "function" && name !== "constructor"
).map(([name]) => name);

/** The methods that are async in Deno.FsFile, or have a twin `<name>Sync`. */
const ASYNC_METHODS = METHODS.filter((name) =>
  METHODS.includes(`${name}Sync`) || name === "prefetch"
);

/** Calls a method to the point where it would have done its work. */
async function run(file: MmapFile, name: string, args?: unknown[]) {
  const result = Reflect.apply(
    Reflect.get(file, name),
    file,
    args ?? ARGUMENTS[name] ?? [],
  );
  // A generator does nothing before next().
  return await (result instanceof Iterator ? result.next() : result);
}

test("An MmapFile is an instance of Deno.FsFile, and has all of its methods", (dir) => {
  using file = openSync(dir.file("hello"));
  assertInstanceOf(file, Deno.FsFile as never);
  const theirs = Object.getOwnPropertyNames(Deno.FsFile.prototype);
  for (const name of theirs) {
    if (name === "constructor" || name.startsWith("_")) continue;
    assert(Object.hasOwn(MmapFile.prototype, name), name);
  }
  assert(METHODS.length > 30);
  assert(ASYNC_METHODS.length >= 14);
});

for (const name of METHODS) {
  test(`MmapFile.${name}() after close is a ClosedError that names the file`, async (dir) => {
    for (
      const options of [{ read: true }, READ_WRITE, {
        read: true,
        append: true,
      }]
    ) {
      for (const contents of ["hello", ""]) {
        const file = writable(dir, contents, options);
        file.close();
        const error = await assertRejects(() => run(file, name), ClosedError);
        assertStringIncludes(error.message, file.name);
        assertEquals(error.name, "ClosedError");
      }
    }
  });

  test(`MmapFile.${name}() with its arguments works on an open file`, async (dir) => {
    // Shows that the closed file is the only reason why the test above throws.
    using file = writable(dir, "hello", READ_WRITE);
    if (name === "setRaw") return;
    // Windows unlocks only a locked file, also with Deno.FsFile.
    if (isWindows && name.startsWith("unlock")) return;
    // A copy shares no word to wait on.
    if (isCopy && ["wait", "notify"].includes(name)) return;
    await run(file, name);
  });
}

for (const name of ASYNC_METHODS) {
  test(`MmapFile.${name}() rejects and never throws`, async (dir) => {
    // A file for each, so that the locks do not wait for one another.
    const open = (i: number, options: MmapOpenOptions = { read: true }) =>
      openSync(dir.file("hello", `${i}`), options);
    const closed = open(1);
    closed.close();
    using readOnly = open(2);
    using writeOnly = open(3, { write: true });
    using moved = open(4);
    if (NOT_TRANSFERABLE === false) moved.bytes().buffer.transfer();
    dir.leavesMapped = true;
    const wrong: unknown[][] = [
      ARGUMENTS[name] ?? [],
      [],
      [-1, -1],
      ["x", "x"],
      [new Uint8Array(2 * MIB), -1],
      [null, null],
      [NaN, NaN],
      [{ read: true }, 99],
    ];
    for (const file of [closed, readOnly, writeOnly, moved]) {
      for (const args of wrong) {
        const result = Reflect.apply(Reflect.get(file, name), file, args);
        assertInstanceOf(result, Promise as never);
        await outcomeOf(() => result);
      }
    }
  });
}

// --- a buffer that was transferred

const MOVES: Record<
  string,
  (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>
> = {
  // deno-lint-ignore require-await
  "transfer()": async (bytes) =>
    new Uint8Array(bytes.buffer.transfer()).subarray(0, 5),
  // deno-lint-ignore require-await
  "structuredClone()": async (bytes) =>
    structuredClone(bytes, { transfer: [bytes.buffer] }),
  "a byte stream": async (bytes) => {
    const stream = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        controller.enqueue(bytes);
        controller.close();
      },
    });
    const { value } = await stream.getReader().read();
    return value!;
  },
  "a message port": async (bytes) => {
    const { port1, port2 } = new MessageChannel();
    const received = new Promise<MessageEvent>((resolve) =>
      port2.onmessage = resolve
    );
    port1.postMessage(bytes, [bytes.buffer]);
    const { data } = await received;
    port1.close();
    port2.close();
    return data;
  },
};

for (const [how, move] of Object.entries(MOVES)) {
  for (
    const [kind, options] of Object.entries({
      "read-only": { read: true },
      "read-write": READ_WRITE,
      growing: { read: true, write: true, grow: true },
    })
  ) {
    test(
      `A ${kind} file whose memory was transferred by ${how} throws, leaves it mapped and can be refreshed`,
      async (dir) => {
        const file = writable(dir, "hello", options);
        dir.leavesMapped = true;
        file.seekSync(1, Start);
        const moved = await move(file.bytes());
        assertEquals(decode(moved), "hello");

        const p = new Uint8Array(2);
        const calls: (() => unknown)[] = [
          () => file.bytes(),
          () => file.view(Int8Array),
          () => file.readSync(p),
          () => file.read(p),
          () => file.readAtSync(p, 0),
          () => file.readAt(p, 0),
          () => file.readAt(new Uint8Array(2 * MIB), 0),
          () => file.flushSync(),
          () => file.prefetch(),
        ];
        if (kind !== "read-only") {
          calls.push(
            () => file.writeSync(p),
            () => file.write(p),
            () => file.writeAtSync(p, 0),
            () => file.writeAt(p, 0),
          );
        }
        // A growing file hands out other memory than it uses itself.
        if (kind === "growing") calls.length = 0;
        for (const call of calls) {
          const outcome = await outcomeOf(call);
          assert("error" in outcome, String(call));
          assertInstanceOf(outcome.error, TypeError, String(call));
          assertStringIncludes(outcome.error.message, file.name, String(call));
          assertStringIncludes(outcome.error.message, "refresh()");
        }
        assertEquals(cursorOf(file), 1);
        assertEquals(contentsOf(file), "hello");

        file.refresh();
        assertEquals(decode(file.bytes()), "hello");
        assertEquals(file.readSync(p), 2);
        assertEquals(decode(p), "el");
        assertEquals(decode(moved), "hello");

        file.close();
        assertEquals(decode(moved), "hello");
      },
      NOT_TRANSFERABLE || kind !== "read-only" && MAY_LOSE,
    );
  }

  test(
    `A file that grows does not unmap what was transferred by ${how}`,
    async (dir) => {
      using file = writable(dir, "hello", { ...READ_WRITE, grow: true });
      dir.leavesMapped = true;
      const moved = await move(file.bytes());
      file.refresh();
      file.writeSync(pattern(4 * MIB));
      assert(equal(file.bytes(), pattern(4 * MIB)));
      assertEquals(moved.length, 5);
      // It is still the file or a copy of it, never another file's memory.
      assert([decode(pattern(5)), "hello"].includes(decode(moved)));
      // Windows does not truncate a mapped file, and transferred memory stays mapped.
      if (!isWindows) {
        file.truncateSync(1);
        file.truncateSync(4 * MIB);
      }
      file.close();
      assertEquals(moved.length, 5);
    },
    NOT_TRANSFERABLE || MAY_LOSE,
  );

  test(
    `MmapFile.close() does not unmap what was transferred by ${how}`,
    async (dir) => {
      const file = writable(dir, "hello", READ_WRITE);
      dir.leavesMapped = true;
      const moved = await move(file.bytes());
      file.close();
      assertEquals(file.closed, true);
      // If this memory were unmapped, other memory would be mapped there.
      using other = openSync(dir.file("other", "other"), READ_WRITE);
      assertEquals(decode(other.bytes()), "other");
      assertEquals(decode(moved), "hello");
      moved[0] = 74;
      assertEquals(decode(moved), "Jello");
    },
    NOT_TRANSFERABLE || MAY_LOSE,
  );

  test(
    `Transferring a view's buffer by ${how} throws a TypeError and does not change the file`,
    async (dir) => {
      for (
        const options of [{ read: true }, READ_WRITE, {
          ...READ_WRITE,
          grow: true,
        }]
      ) {
        using file = writable(dir, "hello", options);
        const view = file.bytes();
        const outcome = await outcomeOf(() => move(view));
        assert("error" in outcome);
        assertInstanceOf(outcome.error, TypeError);
        assertEquals(decode(view), "hello");
        assertEquals(decode(file.bytes()), "hello");
        assertEquals(file.readSync(new Uint8Array(9)), 5);
      }
    },
    NOT_TRANSFERABLE === false && "the engine does not own this memory",
  );
}

// --- facts

test("MmapFile.name is the path as it was given", (dir) => {
  const path = dir.file("hello");
  using file = openSync(path);
  assertEquals(file.name, path);
  const mapped = Deno.build.os === "windows" ? "windows" : "posix";
  assertEquals(file.backend, isCopy ? "fallback" : mapped);
});

test("MmapFile.size follows truncation without a system call", (dir) => {
  using file = writable(dir, "hello");
  assertEquals(file.size, 5);
  file.truncateSync(8);
  assertEquals(file.size, 8);
  // If another process extends the file, the size is unchanged until refresh().
  using other = Deno.openSync(file.name, { write: true });
  other.truncateSync(20);
  assertEquals(file.size, 8);
  file.refresh();
  assertEquals(file.size, 20);
});

test("Deno.inspect() of an MmapFile shows the facts and not the bytes", (dir) => {
  const path = dir.file(10_000);
  const file = openSync(path);
  const shown = Deno.inspect(file);
  const quoted = Deno.inspect(path).slice(1, -1);
  for (const part of ["MmapFile", quoted, "10000", "closed: false"]) {
    assertStringIncludes(shown, part);
  }
  assert(shown.length < 500, shown);
  file.close();
  assertStringIncludes(Deno.inspect(file), "closed: true");
  assertNotEquals(Deno.inspect([[[[file]]]]), "");
});

test("An MmapFile is a Deno.FsFile to the type checker, and to a function that takes one", (dir) => {
  const path = dir.file("hello");
  using file: MmapFile = openSync(path);
  const denos: Deno.FsFile = file;
  const parts: [
    Reader & ReaderSync & ReaderAt & ReaderAtSync,
    Writer & WriterSync & WriterAt & WriterAtSync,
    Seeker & SeekerSync & Closer & Disposable,
  ] = [file, file, file];
  assertEquals(parts.length, 3);
  const lengthOf = (file: Deno.FsFile) => file.seekSync(0, End);
  assertEquals(lengthOf(file), 5);
  assertEquals(lengthOf(denos), 5);
});

test(
  "lines() backwards of a large file has its last lines from memory of its end alone",
  async (dir) => {
    const added = Array.from({ length: 20_000 }, (_, i) => `line ${i}`);
    for (const isAsync of [false, true]) {
      const path = dir.sparseFile(300 * MIB, `${isAsync}`);
      Deno.writeTextFileSync(path, added.join("\r\n"), { append: true });
      using file = openSync(path);
      const found = file.lines({ reverse: true });
      const last = found.next().value!;
      assertEquals(decode(last), "line 19999");
      if (!isWindows) assert(last.buffer.byteLength < MIB);
      const offset = file.size - added.join("\r\n").length;
      const rest = file.lines({ offset, reverse: true });
      const lines = isAsync
        ? await Array.fromAsync(rest, decode)
        : Array.from(rest, decode);
      assertEquals(lines.reverse(), added);
      assertEquals(decode(last), "line 19999");
    }
  },
  isCopy && "a copy is of the whole file",
);
