/** Operations in progress when a file, an array or a source changes, and the state after a failed one. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  SystemError,
} from "@mmapfile/mmapfile";
import { isCopy } from "./tested_module.ts";
import { deno } from "./run_deno.ts";
import {
  isEmulated,
  isWindows,
  notInstalled,
  type Reason,
  WINE_LOCKS,
} from "./skip.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { testInDir as test } from "./temp_dir.ts";

const MIB = 1 << 20;
const { Start, Current, End } = Deno.SeekMode;
const GROW: MmapOpenOptions = { read: true, write: true, grow: true };

/** Calls of both kinds of files after a large write. */
const QUEUED: Record<string, (file: MmapFile | Deno.FsFile) => unknown> = {
  write: (file) => file.write(encode("small")),
  largeWrite: (file) => file.write(pattern(2 * MIB, 7)),
  seek: (file) => file.seek(5, Start),
  seekToEnd: (file) => file.seek(-3, End),
  tell: (file) => file.seek(0, Current),
  truncate: (file) => file.truncate(MIB),
  extend: (file) => file.truncate(5 * MIB),
  sync: (file) => file.sync(),
  syncData: (file) => file.syncData(),
  stat: async (file) => (await file.stat()).size,
};

async function runQueue(
  file: MmapFile | Deno.FsFile,
  names: string[],
): Promise<unknown[]> {
  const large = file.write(pattern(3 * MIB));
  const queued = names.map((name) => outcomeOf(() => QUEUED[name]!(file)));
  file.close();
  const outcomes: unknown[] = [await large];
  for (const outcome of await Promise.all(queued)) {
    // Deno's truncate resolves to null.
    outcomes.push(
      "error" in outcome ? outcome.error.name : Number(outcome.value ?? 0),
    );
  }
  return outcomes;
}

test("calls before close() end as with Deno.FsFile, in the same order", async (dir) => {
  for (const one of Object.keys(QUEUED)) {
    for (const two of Object.keys(QUEUED)) {
      const [path, other] = [dir.file("", "ours"), dir.file("", "deno")];
      const options = { read: true, write: true };
      const ours = await runQueue(openSync(path, GROW), [one, two]);
      const theirs = await runQueue(Deno.openSync(other, options), [one, two]);
      assertEquals(ours, theirs, `${one}, ${two}`);
      const [contents, expected] = [path, other].map((p) =>
        Deno.readFileSync(p)
      );
      assert(equal(contents!, expected!), `${one}, ${two}: the files differ`);
    }
  }
});

for (const to of [0, 1, MIB, 10 * MIB]) {
  test(`a resizable array shrunk to ${to} bytes during write() and read() counts the bytes that remained`, async (dir) => {
    const bytes = pattern(20 * MIB);
    const resizable = () => {
      const options = { maxByteLength: bytes.length };
      return new Uint8Array(new ArrayBuffer(bytes.length, options));
    };
    using file = openSync(dir.file(""), GROW);
    const source = resizable();
    source.set(bytes);
    const writing = file.write(source);
    await sleep();
    source.buffer.resize(to);
    const written = await writing;
    assertEquals(file.size, written);
    assert(equal(file.copy(), bytes.subarray(0, written)), "written");
    assertEquals(file.seekSync(0, Current), written);

    file.seekSync(0, Start);
    const target = resizable();
    // Compared when it ends, which may be before the array is shrunk.
    const reading = file.read(target).then((read) => {
      const { length } = target;
      assert((read ?? 0) <= length, `${read} bytes in ${length}`);
      return read ?? 0;
    });
    await sleep();
    target.buffer.resize(to);
    const read = await reading;
    const kept = Math.min(read, to);
    assert(equal(target.subarray(0, kept), bytes.subarray(0, kept)), "read");
    assertEquals(file.seekSync(0, Current), read);
  });
}

test("a source closed during write() and readFrom() is written completely, or the error counts what was written", async (dir) => {
  const bytes = pattern(20 * MIB);
  for (const how of ["write", "readFrom"] as const) {
    const source = openSync(dir.file(bytes, "source"));
    using target = openSync(dir.file("", "target"), GROW);
    const moving = how === "write"
      ? target.write(source.bytes())
      : target.readFrom(source);
    source.close();
    const outcome = await outcomeOf(() => moving);
    if ("error" in outcome) {
      const { bytesWritten } = outcome.error as SystemError;
      assertEquals(target.size, bytesWritten ?? 0);
    } else assertEquals(outcome.value, bytes.length);
    assert(equal(target.copy(), bytes.subarray(0, target.size)), how);
  }
});

const NO_STRACE: Reason = isEmulated && "strace(1) does not work under QEMU" ||
  !canTrace() && notInstalled("strace");

function canTrace(): boolean {
  try {
    const { success } = new Deno.Command("strace", {
      args: ["-qq", "-e", "trace=none", "true"],
      stderr: "null",
    }).outputSync();
    return success;
  } catch {
    return false;
  }
}

test(
  "flush() before close() has flushed once it resolves, though all threads were busy",
  async (dir) => {
    const log = dir.join("log");
    const code = `
      import { openSync } from ${
      JSON.stringify(new URL("../mod.ts", import.meta.url).href)
    };
      const [path, lock] = ${
      JSON.stringify([dir.file(MIB), dir.file(1, "lock")])
    };
      const holder = openSync(lock);
      holder.lockSync(true);
      const waiting = Array.from({ length: 64 }, () => openSync(lock).lock());
      await new Promise((resolve) => setTimeout(resolve, 200));
      const file = openSync(path, { read: true, write: true });
      file.bytes().fill(1);
      const flushed = file.flush();
      file.close();
      openSync(path).bytes();
      holder.close();
      await flushed;
      console.log("resolved");
      Deno.exit();
    `;
    const script = dir.join("script.ts");
    Deno.writeTextFileSync(script, code);
    const trace = `-qq -f -e trace=msync,fsync,fdatasync -o ${log}`;
    const { stdout } = await new Deno.Command("strace", {
      args: [
        ...trace.split(" "),
        Deno.execPath(),
        ...["run", "-A", "--no-lock", "--no-config", script],
      ],
      stdout: "piped",
      stderr: "inherit",
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "resolved\n");
    const calls = Deno.readTextFileSync(log).split("\n")
      .filter((line) => /sync/.test(line) && /= -?\d/.test(line));
    assert(calls.length > 0, "nothing was flushed");
    for (const call of calls) assert(/= 0$/.test(call.trimEnd()), call);
  },
  NO_STRACE || isCopy && "the fallback does not call msync(2)",
);

for (const length of [100, 4096, 200 << 10]) {
  test(
    `a write of ${length} bytes into a hole of a full disk is ENOSPC each time, and succeeds with free space`,
    async () => {
      using disk = new SmallDisk(MIB);
      const [path, filler] = [disk.join("file"), disk.join("filler")];
      {
        using sparse = Deno.createSync(path);
        sparse.truncateSync(400_000);
        using full = Deno.createSync(filler);
        assertThrows(() => {
          for (;;) full.writeSync(new Uint8Array(64 << 10));
        });
      }
      using file = openSync(path, { read: true, write: true });
      const bytes = pattern(length);
      for (let time = 0; time < 3; time++) {
        const error = assertThrows(() => file.writeAtSync(bytes, 0));
        assertInstanceOf(error, SystemError);
        assertEquals(error.code, "ENOSPC");
      }
      await assertRejects(() => file.writeAt(bytes, 0), SystemError);
      Deno.removeSync(filler);
      assertEquals(file.writeAtSync(bytes, 0), length);
      assert(equal(file.copy(0, length), bytes));
      assertEquals(file.size, 400_000);
    },
    noDiskOf(MIB) ||
      isCopy && "the fallback needs free space for its write-back",
  );
}

for (const how of ["bytes", "growth", "refresh"] as const) {
  test(
    `close() releases a lock although views were handed out: ${how}`,
    async (dir) => {
      const path = dir.file("hello");
      const lock: Record<string, (file: MmapFile) => unknown> = {
        lock: (file) => file.lock(true),
        lockSync: (file) => file.lockSync(true),
        tryLock: (file) => file.tryLock(true),
        tryLockSync: (file) => file.tryLockSync(true),
      };
      for (const [name, take] of Object.entries(lock)) {
        const file = openSync(path, GROW);
        await take(file);
        const view = file.bytes();
        if (how === "growth") {
          file.writeAtSync(encode("more"), 9 * MIB);
          file.bytes();
        } else if (how === "refresh") file.refresh();
        file.close();
        assertEquals(view.length, 0);
        using other = openSync(path, GROW);
        assert(other.tryLockSync(true), name);
        other.truncateSync(5);
      }
    },
    WINE_LOCKS,
  );
}

test("a write that ends beyond byte 2^53 - 1 is EFBIG, and the cursor stays", async (dir) => {
  using file = openSync(dir.file("hello"), GROW);
  const last = Number.MAX_SAFE_INTEGER;
  for (const at of [last, last - 1, last - 9]) {
    file.seekSync(at, Start);
    const p = new Uint8Array(10);
    for (
      const write of [() => file.writeSync(p), () => file.writeAtSync(p, at)]
    ) {
      const error = assertThrows(write, SystemError);
      assertEquals([error.code, error.syscall], ["EFBIG", "write"]);
    }
    await assertRejects(() => file.write(new Uint8Array(2 * MIB)), SystemError);
    assertEquals(file.seekSync(0, Current), at);
  }
  assertEquals(file.size, 5);
});

test("sizes and positions are never -0", async (dir) => {
  const path = dir.file("hello");
  {
    using file = openSync(path, GROW);
    assertStrictEquals(file.seekSync(-0, Start), 0);
    assertStrictEquals(await file.seek(-0, Current), 0);
    file.writeAtSync(encode("j"), -0);
    assertStrictEquals(file.indexOf("j", -0), 0);
    assertStrictEquals(file.lastIndexOf("", -0), 0);
    assertStrictEquals(file.bytes(-0, -0).byteOffset, 0);
    await file.truncate(-0);
    assertStrictEquals(file.size, 0);
    file.truncateSync(-0);
    assertStrictEquals(file.size, 0);
  }
  using part = openSync(path, { offset: -0, length: -0 });
  assertStrictEquals(part.size, 0);
});

test("a reader does not see what a later reader reads, even if it keeps its buffer", (dir) => {
  using file = openSync(dir.file(""), GROW);
  const kept: ArrayBuffer[] = [];
  const seen = () =>
    kept.map((buffer) =>
      buffer.detached ? null : new Uint8Array(buffer.slice(0))
    );
  const tricks = [
    () => {},
    (p: Uint8Array) => Object.defineProperty(p, "length", { value: 65536 }),
    (p: Uint8Array) => Object.defineProperty(p, "fill", { value: () => p }),
    (p: Uint8Array) => {
      const mine = new ArrayBuffer(65536);
      kept.push(mine);
      const transfer = () => mine;
      Object.defineProperty(p, "buffer", { value: { transfer } });
    },
  ];
  for (const [k, trick] of tricks.entries()) {
    let isRead = false;
    file.readFromSync({
      readSync(p) {
        if (isRead) return null;
        kept.push(p.buffer as ArrayBuffer);
        isRead = true;
        p.set(encode(`trick ${k}`));
        trick(p);
        return 7;
      },
    });
    const before = seen();
    const secret = openSync(dir.file("secret", "secret"));
    let at = 0;
    file.readFromSync({
      readSync(p) {
        const read = secret.readAtSync(p, at);
        at += read ?? 0;
        return read;
      },
    });
    secret.close();
    assertEquals(seen(), before);
  }
});

test("writeString() writes surrogates at the bounds of its pieces as TextEncoder does", async (dir) => {
  const units = ["\ud83d", "😀", "\ude00", "a", "é"];
  const options = { read: true, write: true };
  for (const one of units) {
    for (const two of units) {
      for (const before of [2, 1, 0]) {
        const text = "y".repeat(MIB - before) + one + two + "zz";
        const expected = encode(text);
        const growing = openSync(dir.file(""), GROW);
        const fixed = openSync(dir.file(expected.length, "fixed"), options);
        for (const file of [growing, fixed]) {
          assertEquals(await file.writeString(text), expected.length);
          assert(equal(file.copy(), expected), `${before}`);
          file.close();
        }
      }
    }
  }
});

test(
  "a file too large for the address space is written through the descriptor, and only bytes() throws",
  async (dir) => {
    const url = JSON.stringify(new URL("../mod.ts", import.meta.url).href);
    const path = dir.sparseFile(2 ** 43);
    // The address space does not hold many files of 8 TiB.
    const code = `
      import { openSync } from ${url};
      const files = [];
      try {
        for (;;) {
          const file = openSync(${
      JSON.stringify(path)
    }, { read: true, write: true });
          files.push(file);
          file.seekSync(5, 0);
          file.bytes();
        }
      } catch (error) {
        const file = files.at(-1);
        const before = file.seekSync(0, 1);
        for (let i = 0; i < 50; i++) file.writeSync(Uint8Array.of(i));
        const p = new Uint8Array(1);
        file.readAtSync(p, 54);
        console.log(error.code, before, file.seekSync(0, 1), p[0]);
      }
    `;
    const { stdout, stderr } = await deno(["eval", "--no-lock", code]);
    assertEquals(stdout, "ENOMEM 5 55 49\n", stderr);
  },
  isWindows && "Windows does not map a write-only file" || isCopy &&
      "a copy of such a file does not fit in memory",
);
