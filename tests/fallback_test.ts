/** What only the fallback does: it keeps a copy in memory, and writes changes back. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import {
  ClosedError,
  type MmapFile,
  type MmapOpenOptions,
  open,
  openSync,
  SystemError,
  TruncatedError,
} from "../mod.ts";
import { fallback } from "../src/fallback/mapping.ts";
import { deno } from "./run_deno.ts";
import { NO_CHATTR, NO_LISTING, NO_NODES, type Reason } from "./skip.ts";
import { decode, encode, equal, pattern } from "./bytes.ts";
import { heldOpen } from "./open_handles.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { TempDir, testInDir } from "./temp_dir.ts";

const isLinux = Deno.build.os === "linux";
const MODULE = JSON.stringify(new URL("../mod.ts", import.meta.url).href);
const READ_WRITE: MmapOpenOptions = { read: true, write: true };

/** Bytes that are saved and compared at once: the tests change bytes at the bounds of such blocks. */
const BLOCK = 64 << 10;

function test(
  name: string,
  fn: (dir: TempDir) => void | Promise<void>,
  reason: Reason = false,
): void {
  testInDir(name, async (dir) => {
    await fn(dir);
    if (isLinux) assertEquals(heldOpen(dir), [], "Left open");
  }, reason);
}

function opened(path: string, options: MmapOpenOptions = READ_WRITE): MmapFile {
  return openSync(path, { ...options, backend: "fallback" });
}

/** Another process's write, through another file. */
function writeAsOther(path: string, bytes: Uint8Array, at: number): void {
  using other = Deno.openSync(path, { write: true });
  other.seekSync(at, Deno.SeekMode.Start);
  other.writeSync(bytes);
}

/** Arrays over the same memory. */
const KINDS: Record<string, (bytes: Uint8Array<ArrayBuffer>) => Uint8Array> = {
  "Uint8Array": (bytes) => bytes,
  "Buffer": ({ buffer, byteOffset, length }) =>
    Buffer.from(buffer, byteOffset, length),
};

/** The ways to write changes back. */
const WAYS: Record<string, (file: MmapFile) => void | Promise<void>> = {
  "flushSync()": (file) => file.flushSync(),
  "flush()": (file) => file.flush(),
  "syncSync()": (file) => file.syncSync(),
  "sync()": (file) => file.sync(),
  "syncDataSync()": (file) => file.syncDataSync(),
  "syncData()": (file) => file.syncData(),
  "refresh()": (file) => void file.refresh(),
  "truncateSync()": (file) => file.truncateSync(file.size - 1),
  "close()": (file) => file.close(),
  "dispose": (file) => file[Symbol.dispose](),
};

for (const [way, writeBack] of Object.entries(WAYS)) {
  test(`${way} of a copy writes back the changed bytes and no others`, async (dir) => {
    const path = dir.file(3 * BLOCK);
    const expected = pattern(3 * BLOCK);
    using file = opened(path);
    const seen = file.bytes();
    /** This file's bytes at even places, another process's at odd places, also at the bounds of blocks. */
    for (const at of [0, 700, BLOCK - 2, BLOCK, 2 * BLOCK - 2, 2 * BLOCK + 8]) {
      if (at % 4 === 0) file.writeAtSync(new Uint8Array([254]), at);
      else seen[at] = 254;
      writeAsOther(path, new Uint8Array([253]), at + 1);
      expected[at] = 254;
      expected[at + 1] = 253;
    }
    await writeBack(file);
    const length = way.startsWith("truncate") ? expected.length - 1 : undefined;
    assert(equal(Deno.readFileSync(path), expected.subarray(0, length)));
  });
}

test("flush() of a range of a copy writes back that range alone", async (dir) => {
  const path = dir.file(3 * BLOCK);
  const expected = pattern(3 * BLOCK);
  using file = opened(path);
  file.bytes().fill(254);
  await file.flush(BLOCK - 10, 20);
  expected.fill(254, BLOCK - 10, BLOCK + 10);
  assert(equal(Deno.readFileSync(path), expected));
  file.flushSync(5, 1);
  expected[5] = 254;
  assert(equal(Deno.readFileSync(path), expected));
});

test("bytes that a method wrote are written back even if they equal the old ones", (dir) => {
  const path = dir.file("hello");
  using file = opened(path);
  writeAsOther(path, encode("HELLO"), 0);
  file.writeAtSync(encode("ll"), 2);
  file.writeStringSync("h");
  file.flushSync();
  assertEquals(Deno.readTextFileSync(path), "hEllO");
});

test("a change that was written back is not written again", (dir) => {
  const path = dir.file("hello");
  using file = opened(path);
  file.bytes()[0] = 74;
  file.writeAtSync(encode("L"), 2);
  file.flushSync();
  writeAsOther(path, encode("hel"), 0);
  file.flushSync();
  assertEquals(Deno.readTextFileSync(path), "hello");
});

test("views of a copy are emptied when it is closed, truncated, or grows", (dir) => {
  const file = opened(dir.file("hello"), { ...READ_WRITE, grow: true });
  const first = file.bytes();
  first[0] = 74;
  file.writeAtSync(encode(", world"), 5);
  const second = file.bytes();
  assertEquals([first.length, decode(second)], [0, "Jello, world"]);
  file.truncateSync(4);
  const third = file.bytes();
  assertEquals([second.length, decode(third)], [0, "Jell"]);
  file.close();
  assertEquals(third.length, 0);
  assertEquals(Deno.readTextFileSync(file.name), "Jell");
});

test("writes to a copy of a file opened for reading, or copy-on-write, do not reach the file", (dir) => {
  const path = dir.file("hello");
  for (const options of [{ read: true }, { copyOnWrite: true }]) {
    using file = opened(path, options);
    file.bytes()[0] = 74;
    if (options.copyOnWrite) file.writeAtSync(encode("O"), 4);
    file.syncSync();
    file.flushSync();
  }
  assertEquals(Deno.readTextFileSync(path), "hello");
});

test("refresh() of a copy reads what other processes wrote into the existing views", (dir) => {
  const path = dir.file("hello, world");
  using file = opened(path);
  const view = file.bytes();
  view[0] = 74;
  writeAsOther(path, encode("W"), 7);
  assertEquals(decode(view), "Jello, world");
  file.refresh();
  assertEquals(decode(view), "Jello, World");
  assertEquals(Deno.readTextFileSync(path), "Jello, World");
});

test("a write-back does not extend a truncated file, and throws TruncatedError", async (dir) => {
  for (const way of ["flushSync()", "sync()", "close()", "dispose"]) {
    const path = dir.file(3 * BLOCK, way);
    const file = opened(path);
    file.bytes().fill(254);
    Deno.truncateSync(path, BLOCK + 3);
    let failure: unknown;
    try {
      await WAYS[way]!(file);
    } catch (error) {
      failure = error;
    }
    // The methods of Deno.FsFile do not throw, but set `truncated`.
    assertEquals(failure instanceof TruncatedError, way === "flushSync()", way);
    if (!file.closed) {
      assertEquals(file.truncated, true, way);
      assertThrows(() => file.bytes(), TruncatedError);
      file.close();
    }
    const written = Deno.readFileSync(path);
    assert(equal(written, new Uint8Array(BLOCK + 3).fill(254)), way);
  }
});

test("bytes that were read of a truncated file stay readable until refresh()", (dir) => {
  const path = dir.file("hello, world");
  using file = opened(path);
  Deno.truncateSync(path, 5);
  const p = new Uint8Array(12);
  assertEquals(file.readSync(p), 12);
  assertEquals(decode(p), "hello, world");
  assertEquals(file.statSync().size, 5);
  assertEquals(file.readAtSync(p, 0), 5);
  assertThrows(() => file.copy(), TruncatedError);
  file.refresh();
  assertEquals(file.readAtSync(p, 0), 5);
  assertEquals(decode(file.copy()), "hello");
});

for (const kind of ["write", "grow", "append"] as const) {
  for (const isExposed of [false, true]) {
    const exposed = isExposed ? ", with views of it" : "";
    const make = (dir: TempDir) => {
      const path = dir.file(2 * BLOCK);
      const file = opened(path, { ...READ_WRITE, [kind]: true });
      if (isExposed) file.bytes();
      if (kind !== "write") {
        file.seekSync(0, Deno.SeekMode.End);
        file.writeSync(new Uint8Array(10));
      }
      if (kind === "append") {
        // A read reserves memory for more bytes than there are.
        file.readAtSync(new Uint8Array(1), 2 * BLOCK);
        file.writeSync(new Uint8Array(10));
      }
      Deno.truncateSync(path, 5);
      return file;
    };

    test(`close() of a copy opened to ${kind}${exposed}, truncated by another process, does not extend the file`, (dir) => {
      const file = make(dir);
      file.close();
      assert(file.closed);
      assertEquals(Deno.readFileSync(file.name), pattern(5));
      assertEquals(heldOpen(dir), [], "Left open");
      assertThrows(() => file.close(), ClosedError);
      assertThrows(() => file.statSync(), ClosedError);
    });

    test(`a copy opened to ${kind}${exposed}, once found truncated, stays truncated until refresh()`, async (dir) => {
      using file = make(dir);
      const p = new Uint8Array(5);
      assertEquals(file.statSync().size, 5);
      for (let i = 0; i < 2; i++) {
        assert(file.truncated);
        assertThrows(() => file.bytes(), TruncatedError);
        assertThrows(() => file.copy(0, 1), TruncatedError);
        assertThrows(() => file.flushSync(), TruncatedError);
        // Through the descriptor, as Deno.FsFile.
        assertEquals(file.readAtSync(p, 0), 5);
        assertEquals(await file.readAt(p, 0), 5);
        assertEquals(p, pattern(5));
        file.seekSync(4, Deno.SeekMode.Start);
        assertEquals(file.readSync(p.subarray(1)), 1);
        assertEquals(p[1], pattern(5)[4]);
        // Only a view changes an append-only file anywhere else.
        if (kind === "append") {
          assertThrows(() => file.writeAtSync(pattern(5), 0), TruncatedError);
        } else assertEquals(file.writeAtSync(pattern(5), 0), 5);
      }
      assertEquals(Deno.readFileSync(file.name), pattern(5));
      file.seekSync(5, Deno.SeekMode.Start);
      assertEquals(await file.write(encode("on")), 2);
      assertEquals(Deno.readFileSync(file.name).length, 7);
      file.refresh();
      assertEquals([file.size, file.readAtSync(p, 2)], [7, 5]);
      assertEquals(decode(p.subarray(3)), "on");
      assertEquals(file.copy(0, 5), pattern(5));
    });
  }
}

for (const way of ["close()", "dispose"]) {
  test(
    `a write-back that fails at ${way} throws, and leaves the file closed`,
    (dir) => {
      using disk = new SmallDisk(BLOCK);
      const path = disk.join("data");
      const file = opened(path, {
        ...READ_WRITE,
        createNew: true,
        size: 4 * BLOCK,
      });
      const view = file.bytes();
      view.fill(1);
      const error = assertThrows(() => WAYS[way]!(file), SystemError, path);
      assertEquals([error.code, error.syscall], ["ENOSPC", "write"]);
      assertEquals([file.closed, view.length], [true, 0]);
      assertEquals(heldOpen(disk), [], "Left open");
      assertEquals(heldOpen(dir), []);
    },
    noDiskOf(BLOCK),
  );

  test(
    `a write-back that fails at flushSync() can be tried again (${way})`,
    (dir) => {
      using disk = new SmallDisk(4 * BLOCK);
      Deno.writeFileSync(disk.join("filler"), new Uint8Array(3 * BLOCK));
      const path = disk.join("data");
      const file = opened(path, {
        ...READ_WRITE,
        createNew: true,
        size: 2 * BLOCK,
      });
      file.bytes().fill(1);
      assertThrows(() => file.flushSync(), SystemError);
      Deno.removeSync(disk.join("filler"));
      WAYS[way]!(file);
      assert(equal(Deno.readFileSync(path), new Uint8Array(2 * BLOCK).fill(1)));
      assertEquals(heldOpen(dir), []);
    },
    noDiskOf(4 * BLOCK),
  );
}

/** What detaches a buffer, and takes its changes with it. */
const TRANSFERS: Record<string, (view: Uint8Array<ArrayBuffer>) => unknown> = {
  "transfer()": ({ buffer }) => buffer.transfer(),
  "transferToFixedLength()": ({ buffer }) => buffer.transferToFixedLength(),
  "structuredClone()": ({ buffer }) =>
    structuredClone(buffer, { transfer: [buffer] }),
  "a byte stream": (view) =>
    new ReadableStream({
      type: "bytes",
      start: (controller) => controller.enqueue(view),
    }),
  "a message": ({ buffer }) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(buffer, [buffer]);
    port1.close();
    port2.close();
  },
};

for (const [how, transfer] of Object.entries(TRANSFERS)) {
  for (const [way, writeBack] of Object.entries(WAYS)) {
    test(`${way} of a copy reports that changes may be lost, after ${how} of its memory`, async (dir) => {
      for (const change of ["by a view", "by a method", "by nothing"]) {
        const path = dir.file("hello");
        const file = opened(path);
        const view = file.bytes();
        if (change === "by a view") view[0] = 74;
        if (change === "by a method") file.writeSync(encode("J"));
        transfer(view);
        await assertRejects(
          async () => await writeBack(file),
          TypeError,
          "detached",
        );
        assertEquals(file.closed, way === "close()" || way === "dispose");
        if (file.closed) continue;
        // The error is thrown once.
        if (/^(flush|truncate)/.test(way)) {
          assertThrows(() => file.refresh(), TypeError);
        }
        file.refresh();
        assertEquals(decode(file.bytes()), "hello");
        file.bytes()[0] = 67;
        file.close();
        assertEquals(Deno.readTextFileSync(path), "Cello");
      }
    });
  }

  test(`a copy without changes for the file continues after ${how} of its memory`, (dir) => {
    const path = dir.file("hello");
    for (const options of [{ read: true }, { copyOnWrite: true }]) {
      using file = opened(path, options);
      transfer(file.bytes());
      file.refresh();
      assertEquals(decode(file.bytes()), "hello");
      transfer(file.bytes());
    }
  });
}

test("an appending copy keeps what other processes append, and writes changes to their places", (dir) => {
  const path = dir.file("start ");
  using file = opened(path, { read: true, append: true });
  file.writeSync(encode("ours "));
  Deno.writeTextFileSync(path, "theirs ", { append: true });
  file.writeSync(encode("ours again"));
  const p = new Uint8Array(100);
  assertEquals(file.readAtSync(p, 0), 28);
  assertEquals(decode(p.subarray(0, 28)), "start ours theirs ours again");
  file.bytes()[0] = 83;
  file.writeAtSync(encode("O"), 6);
  file.writeSync(encode("!"));
  file.syncSync();
  assertEquals(
    Deno.readTextFileSync(path),
    "Start Ours theirs ours again!",
  );
});

for (const kind of ["grow", "append"] as const) {
  test(`a copy opened to ${kind} that grows by few bytes is not read again each time`, (dir) => {
    const p = new Uint8Array(10);
    const path = dir.file(BLOCK);
    using file = opened(path, { ...READ_WRITE, [kind]: true });
    const { readSync } = Deno.FsFile.prototype;
    let bytesRead = 0;
    Deno.FsFile.prototype.readSync = function (p) {
      const read = readSync.call(this, p);
      bytesRead += read ?? 0;
      return read;
    };
    try {
      file.seekSync(0, Deno.SeekMode.End);
      for (let i = 0; i < 2000; i++) {
        file.writeSync(p);
        assertEquals(file.readAtSync(p, file.size - 10), 10);
      }
    } finally {
      Deno.FsFile.prototype.readSync = readSync;
    }
    assertEquals(file.size, BLOCK + 20_000);
    // Appended bytes are read once at most, and earlier bytes are not.
    assert(bytesRead <= 20_000, `${bytesRead} bytes read`);
  });
}

test("a window of a copy is at its offset, and changes nothing outside it", (dir) => {
  const path = dir.file(3 * BLOCK);
  const expected = pattern(3 * BLOCK);
  {
    using file = opened(path, {
      ...READ_WRITE,
      offset: BLOCK - 3,
      length: 10,
    });
    assert(equal(file.bytes(), expected.subarray(BLOCK - 3, BLOCK + 7)));
    file.bytes()[1] = 254;
    file.writeAtSync(new Uint8Array([253]), 9);
  }
  expected[BLOCK - 2] = 254;
  expected[BLOCK + 6] = 253;
  assert(equal(Deno.readFileSync(path), expected));
});

test(`backend: "fallback" needs no --allow-ffi`, async (dir) => {
  const path = dir.file("hello");
  const { code, stdout, stderr } = await deno([
    "run",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    `--allow-read=${dir.path}`,
    `--allow-write=${dir.path}`,
    "data:text/typescript," + encodeURIComponent(`
      import { open } from ${MODULE};
      const options = { read: true, write: true, backend: "fallback" } as const;
      using file = await open(${JSON.stringify(path)}, options);
      await file.write(new TextEncoder().encode("J"));
      file.bytes()[4] = 79;
      await file.sync();
      console.log(file.backend, file.size, file.indexOf("l"), (await file.stat()).size);
    `),
  ]);
  assertEquals([stdout, code], ["fallback 5 2 5\n", 0], stderr);
  assertEquals(Deno.readTextFileSync(path), "JellO");
});

for (const end of ["", "Deno.exit(0);"]) {
  test(`changes of a copy that was not closed are in the file at the end of the program ${end}`, async (dir) => {
    const path = dir.file("hello");
    const { code, stderr } = await deno([
      "run",
      "-A",
      "--no-config",
      "--no-lock",
      "--v8-flags=--expose-gc",
      "data:text/typescript," + encodeURIComponent(`
        import { openSync } from ${MODULE};
        const options = { read: true, write: true, backend: "fallback" } as const;
        openSync(${
        JSON.stringify(path)
      }, options).writeSync(new Uint8Array([74]));
        openSync(${JSON.stringify(path)}, options).bytes()[4] = 79;
        await new Promise((resolve) => setTimeout(resolve, 10));
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
        ${end}
      `),
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(Deno.readTextFileSync(path), "JellO");
  });
}

/** Runs a case of `children/dropped.ts`. */
async function dropped(name: string, directory: string) {
  const { code, stdout, stderr } = await deno([
    "run",
    "-A",
    "--no-config",
    "--no-lock",
    "--v8-flags=--expose-gc",
    new URL("./children/dropped.ts", import.meta.url).href,
    name,
    directory,
  ]);
  assertEquals(code, 0, stderr);
  return { lines: stdout.trimEnd().split("\n"), stderr };
}

test(
  "a dropped copy leaks no descriptor and no memory, and its changes are in the file",
  async (dir) => {
    const { lines, stderr } = await dropped("uses", dir.path);
    assertEquals(lines, [
      "never used: 0 0 0",
      "read: 0 0 0",
      "viewed: 0 0 0",
      "copy-on-write: 0 0 0",
      "viewed to write: 0 0 0",
      "written: 0 0 50",
      "changed: 0 0 50",
      "changed in a window: 0 0 50",
      "appended and changed: 0 0 100",
      "emptied: 0 0 1",
    ]);
    assertEquals(stderr, "");
  },
  NO_LISTING,
);

test(
  "changes through a view that outlives its file are in the file, and then the file is closed",
  async (dir) => {
    const { lines } = await dropped("view", dir.path);
    assertEquals(lines, [`1 ${1 << 20}`, "0 6"]);
  },
  NO_LISTING,
);

test(
  "a failed write-back of a dropped copy is tried again at the end of the program",
  async () => {
    using disk = new SmallDisk(4 * BLOCK);
    const path = disk.join("data");
    using file = Deno.createSync(path);
    file.truncateSync(2 * BLOCK);
    Deno.writeFileSync(disk.join("filler"), new Uint8Array(3 * BLOCK));
    const { stderr } = await dropped("fullDisk", disk.join());
    // ENOSPC, or ERROR_DISK_FULL.
    assertStringIncludes(stderr, `(os error ${isLinux ? 28 : 112})`);
    assert(equal(Deno.readFileSync(path), new Uint8Array(2 * BLOCK).fill(1)));
  },
  noDiskOf(4 * BLOCK),
);

/** Files whose size is not the number of their bytes, and whose bytes stay unchanged for a while. */
const SIZELESS = [
  "/proc/version",
  "/proc/filesystems",
  "/proc/self/cmdline",
  "/proc/sys/kernel/ostype",
  "/proc/sys/vm/swappiness",
  "/sys/devices/system/cpu/online",
  "/sys/kernel/mm/transparent_hugepage/enabled",
].filter((path) => isLinux && existsSync(path));

const NO_SIZELESS: Reason = SIZELESS.length === 0 &&
  "/proc and /sys are not mounted";

test("files of /proc and /sys are read as Deno.FsFile reads them", async () => {
  for (const path of SIZELESS) {
    const expected = Deno.readFileSync(path);
    using file = opened(path, { read: true });
    using denos = Deno.openSync(path);
    for (let i = 0; i < expected.length / 7 + 3; i++) {
      const [ours, theirs] = [new Uint8Array(7), new Uint8Array(7)];
      assertEquals(await file.read(ours), denos.readSync(theirs), path);
      assertEquals(ours, theirs, path);
    }
    assertEquals(file.bytes(), expected, path);
    assertEquals(file.statSync().size, denos.statSync().size, path);
    file.refresh();
    assertEquals(file.bytes(), expected, path);
  }
}, NO_SIZELESS);

test("what is written to a file of /proc is in it once it is closed", () => {
  const path = "/proc/self/comm";
  const before = Deno.readTextFileSync(path);
  try {
    {
      using file = opened(path);
      file.writeSync(encode("m"));
    }
    assertEquals(Deno.readTextFileSync(path), "m\n");
  } finally {
    Deno.writeTextFileSync(path, before.trimEnd());
  }
}, NO_SIZELESS);

test("a short read is not reported as a truncation", (dir) => {
  const path = dir.file(1000);
  const { readSync } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.readSync = function (p) {
    return p.length < 500 ? readSync.call(this, p) : null;
  };
  try {
    const error = assertThrows(() => opened(path), SystemError, path);
    assertEquals([error.syscall, error.code], ["read", "EIO"]);
    assertStringIncludes(error.message, "its size is 1000");
    assertStringIncludes(error.message, "its bytes end at 0");
  } finally {
    Deno.FsFile.prototype.readSync = readSync;
  }
});

test(
  "an append-only file is appended to and read, and other changes throw",
  (dir) => {
    const path = dir.file("first\n");
    chattr("+a", path);
    try {
      {
        using file = opened(path, { read: true, append: true });
        assertEquals(file.writeSync(encode("second\n")), 7);
        assertEquals(decode(file.bytes()), "first\nsecond\n");
        assertThrows(() => file.truncateSync(), Deno.errors.PermissionDenied);
        file.syncSync();
      }
      const file = opened(path, { append: true });
      file.bytes()[0] = 70;
      assertThrows(
        () => file.close(),
        Deno.errors.PermissionDenied,
        "append-only",
      );
      assert(file.closed);
      assertEquals(Deno.readTextFileSync(path), "first\nsecond\n");
    } finally {
      chattr("-a", path);
    }
  },
  cannotAppendOnly(),
);

function chattr(flag: string, path: string): boolean {
  try {
    return new Deno.Command("chattr", { args: [flag, path], stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

function cannotAppendOnly(): Reason {
  using dir = new TempDir();
  const path = dir.file();
  const isSet = isLinux && chattr("+a", path);
  if (isSet) chattr("-a", path);
  return !isSet && NO_CHATTR;
}

for (const way of ["statSync", "openSync"] as const) {
  test(`a file opened to append is closed when a ${way} of it fails`, async (dir) => {
    const path = dir.file("hello");
    const of = way === "statSync" ? Deno.FsFile.prototype : Deno;
    const original = Reflect.get(of, way);
    let calls = 0;
    // The second is that of the file that is opened to write anywhere.
    Reflect.set(of, way, function (this: unknown, ...args: unknown[]) {
      if (++calls % 2 === 0) throw new Error("on purpose");
      return Reflect.apply(original, this, args);
    });
    try {
      const options = { append: true, backend: "fallback" } as const;
      assertThrows(() => openSync(path, options), Error, "on purpose");
      calls = way === "statSync" ? 0 : 1;
      await assertRejects(() => open(path, options), Error, "on purpose");
    } finally {
      Reflect.set(of, way, original);
    }
    assertEquals(heldOpen(dir), []);
  });
}

/** A copy as the file's methods use it. */
function copyOf(path: string, size: number) {
  const file = fallback.openSync(path, READ_WRITE);
  const copy = fallback.mapping(file, {
    name: path,
    write: true,
    copyOnWrite: false,
    grow: true,
    offset: 0,
    advice: "normal",
    guard: false,
    shared: false,
    mapAfter: 0,
  });
  copy.map(size);
  return {
    copy,
    [Symbol.dispose]() {
      copy.unmap();
      file.close();
    },
  };
}

test("a write to a copy takes the bytes that an array has, whatever it reports", (dir) => {
  const path = dir.file(100);
  const array = new Uint8Array(10).fill(254);
  const refuse = () => assert(false, "A getter of the array was called");
  for (
    const name of [
      "length",
      "byteLength",
      "byteOffset",
      "buffer",
      "subarray",
      "slice",
      "set",
    ]
  ) Object.defineProperty(array, name, { get: refuse });
  {
    using used = copyOf(path, 100);
    used.copy.write(array, 95);
    used.copy.append(array);
    assertThrows(
      () => used.copy.write(new Proxy(new Uint8Array(1), {}), 0),
      TypeError,
    );
  }
  const written = Deno.readFileSync(path);
  assertEquals(written.subarray(0, 95), pattern(100).subarray(0, 95));
  assertEquals(written.subarray(95, 105), new Uint8Array(10).fill(254));
});

for (const [kind, as] of Object.entries(KINDS)) {
  test(`a copy's own bytes are written over themselves as from a copy: ${kind}`, (dir) => {
    const size = 2 * BLOCK + 100;
    for (const [from, to] of [[0, 7], [7, 0], [0, size - 50], [10, BLOCK]]) {
      const path = dir.file(size);
      {
        using used = copyOf(path, size);
        const exposed = used.copy.expose(size, 0, size).buffer as ArrayBuffer;
        const memory = new Uint8Array(exposed, 0, size);
        used.copy.write(as(memory.subarray(from, from! + BLOCK + 20)), to!);
      }
      const expected = new Uint8Array(Math.max(size, to! + BLOCK + 20));
      expected.set(pattern(size));
      expected.set(pattern(size).subarray(from, from! + BLOCK + 20), to);
      assert(equal(Deno.readFileSync(path), expected), `${from} to ${to}`);
    }
  });
}

test("a truncated copy writes back nothing past its end when the file is extended again", (dir) => {
  const path = dir.file(new Uint8Array(1000));
  {
    using used = copyOf(path, 1000);
    const { copy } = used;
    assert(copy.prepareWrite(1000, 50, 100));
    new Uint8Array(copy.buffer).fill(7, 50, 150);
    Deno.truncateSync(path, 100);
    copy.map(100);
    writeAsOther(path, new Uint8Array(900).fill(8), 100);
  }
  const expected = new Uint8Array(1000).fill(7, 50, 100).fill(8, 100);
  assertEquals(Deno.readFileSync(path), expected);
});

test("open() does not wait for a writer of a FIFO", async (dir) => {
  const path = dir.join("fifo");
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const options = { backend: "fallback" } as const;
  for (
    const call of [() => openSync(path, options), () => open(path, options)]
  ) {
    let failure: unknown;
    try {
      await call();
    } catch (error) {
      failure = error;
    }
    assert(failure instanceof SystemError);
    assertEquals(failure.code, "ENODEV");
  }
}, NO_NODES);
