/** Behavior of Windows only. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { toFileUrl } from "@std/path";
import {
  type MmapOpenOptions,
  open,
  openSync,
  SystemError,
  TruncatedError,
} from "../mod.ts";
import {
  codeOf,
  INVALID_HANDLE_VALUE,
  kernel32,
  kernelbase,
  MEM_RELEASE,
  MEM_RESERVE,
  PAGE_NOACCESS,
  PAGE_READWRITE,
} from "../src/windows/kernel32.ts";
import {
  QUARANTINE_LIMIT,
  type View,
  type ViewFunctions,
  Views,
} from "../src/windows/memory.ts";
import { deno } from "./run_deno.ts";
import { isWine, ONLY_WINDOWS, unless } from "./skip.ts";
import { decode, encode, equal, pattern, patternAt } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const READ_WRITE: MmapOpenOptions = { read: true, write: true };
const GRANULE = 65536;
const GIB = 2 ** 30;

function test(
  name: string,
  fn: (dir: TempDir) => void | Promise<void>,
  reason = ONLY_WINDOWS,
): void {
  Deno.test({
    ...unless(reason, `Windows: ${name}`),
    fn: async () => {
      // Its removal shows that nothing in it is open or mapped.
      using dir = new TempDir();
      await fn(dir);
    },
  });
}

test("errors have the names of winerror.h", () => {
  assertEquals(codeOf(112), "ERROR_DISK_FULL");
  assertEquals(codeOf(1224), "ERROR_USER_MAPPED_FILE");
  assertEquals(codeOf(99_999), "ERROR_99999");
}, false);

test("a mapped file cannot be truncated, by other processes or through another mapping, and the error says so", (dir) => {
  const path = dir.file("hello, world");
  using file = openSync(path, READ_WRITE);
  {
    using _other = openSync(path);
    assertThrows(() => Deno.truncateSync(path, 5), Error, "1224");
    const error = assertThrows(
      () => file.truncateSync(5),
      SystemError,
      path,
    );
    assertEquals(
      [error.code, error.errno],
      ["ERROR_USER_MAPPED_FILE", 1224],
    );
    assertEquals(decode(file.bytes()), "hello, world");
  }
  file.truncateSync(5);
  assertEquals(Deno.readTextFileSync(path), "hello");
  file.truncateSync(7);
  assertEquals(decode(file.bytes()), "hello\0\0");
});

test("a truncation of a file while it is not mapped is detected", (dir) => {
  const path = dir.file("");
  using file = openSync(path, { ...READ_WRITE, grow: true });
  file.writeSync(encode("hello"));
  Deno.truncateSync(path, 2);
  file.syncSync();
  assertEquals([file.truncated, file.size], [true, 2]);
  assertThrows(() => file.bytes(), TruncatedError);
  file.refresh();
  assertEquals(file.size, 2);
});

for (
  const [what, name] of [
    ["non-ASCII", "naïve – файл 文件.txt"],
    ["beyond the BMP", "😀🎉.bin"],
    ["with spaces and dots", " a . b .c"],
    ["with dots at its end", "a.."],
    ["of 255 characters", "x".repeat(255)],
  ]
) {
  test(`a name ${what} is opened`, (dir) => {
    const path = dir.file("hello", name);
    using file = openSync(path, READ_WRITE);
    file.writeSync(encode("J"));
    assertEquals(decode(file.bytes()), "Jello");
    file.flushSync();
    assertEquals(Deno.readTextFileSync(path), "Jello");
  });
}

test("a path of more than 260 characters is opened, plain and with its prefix", (dir) => {
  const long = dir.join(...Array(10).fill("d".repeat(100)));
  Deno.mkdirSync(long, { recursive: true });
  const path = `${long}\\file`;
  Deno.writeTextFileSync(path, "hello");
  for (const each of [path, `\\\\?\\${path}`, path.replaceAll("\\", "/")]) {
    using file = openSync(each, READ_WRITE);
    assertEquals(decode(file.bytes()), "hello");
  }
});

test("a path relative to the working directory, and a URL, are opened", (dir) => {
  const path = dir.file("hello", "a b#c");
  const before = Deno.cwd();
  Deno.chdir(dir.path);
  try {
    using file = openSync("a b#c");
    assertEquals(decode(file.bytes()), "hello");
    using other = openSync(".\\a b#c");
    assertEquals(other.size, 5);
  } finally {
    Deno.chdir(before);
  }
  using file = openSync(toFileUrl(path));
  assertEquals(file.size, 5);
});

test("a mapped file can be renamed by others, and removed", (dir) => {
  const path = dir.file("hello");
  using file = openSync(path, READ_WRITE);
  Deno.renameSync(path, `${path}-renamed`);
  file.writeSync(encode("J"));
  file.syncSync();
  assertEquals(Deno.readTextFileSync(`${path}-renamed`), "Jello");
  // Wine allows it where Windows refuses: on both the file must stay usable.
  try {
    Deno.removeSync(`${path}-renamed`);
  } catch (error) {
    assert(error instanceof Deno.errors.PermissionDenied);
  }
  assertEquals(decode(file.bytes()), "Jello");
});

test("a window is at its offset, at any byte and past 4 GiB", (dir) => {
  const path = dir.file(3 * GRANULE);
  for (const offset of [1, 4096, GRANULE - 1, GRANULE, GRANULE + 7]) {
    using file = openSync(path, { offset, length: 5 });
    assert(
      equal(file.bytes(), pattern(3 * GRANULE).subarray(offset).slice(0, 5)),
    );
  }
  const size = 5 * GIB;
  const huge = dir.sparseFile(size);
  for (const offset of [4 * GIB - 2, 4 * GIB + GRANULE + 3, size - 5]) {
    {
      using file = openSync(huge, { ...READ_WRITE, offset, length: 5 });
      file.writeSync(encode("hello"));
      file.flushSync();
    }
    using other = Deno.openSync(huge);
    other.seekSync(offset, Deno.SeekMode.Start);
    const p = new Uint8Array(5);
    other.readSync(p);
    assertEquals(decode(p), "hello");
  }
});

test("a file that grows has its exact length at each moment", (dir) => {
  const path = dir.file("");
  using file = openSync(path, { ...READ_WRITE, grow: true });
  for (let size = 0; size < 3 * GRANULE;) {
    const p = pattern(1 + size % 5000, size);
    file.writeSync(p);
    size += p.length;
    assertEquals(Deno.statSync(path).size, size);
    assertEquals(
      file.bytes(size - 1)[0],
      patternAt(p.length - 1, size - p.length),
    );
  }
});

test("prefetch, advice and flush of any range do no harm", async (dir) => {
  using file = openSync(dir.file(2 * GRANULE + 5), {
    ...READ_WRITE,
    prefetch: true,
    advice: "sequential",
  });
  for (const [offset, length] of [[0, 0], [5, 1], [GRANULE - 1, GRANULE]]) {
    await file.prefetch(offset, length);
    await file.flush(offset, length);
    file.flushSync(offset, length);
    file.advise("random", offset, length);
  }
  assert(equal(file.bytes(), pattern(2 * GRANULE + 5)));
});

test("a device is not a regular file", async () => {
  for (const name of ["NUL", "\\\\.\\NUL"]) {
    for (const options of [{ read: true }, READ_WRITE]) {
      assertThrows(() => openSync(name, options), SystemError, name);
      await assertRejects(() => open(name, options), SystemError, name);
    }
  }
});

test("many files opened and closed leave nothing open", (dir) => {
  const path = dir.file(GRANULE);
  for (let i = 0; i < 3000; i++) {
    using file = openSync(path, i % 2 ? { read: true } : READ_WRITE);
    assertEquals(file.bytes(i % GRANULE, 1)[0], patternAt(i % GRANULE));
  }
  Deno.removeSync(path);
  // An open handle would keep the name in use.
  Deno.writeTextFileSync(path, "again");
});

test("a full disk is an error with its code", (dir) => {
  using file = openSync(dir.file("hello"), READ_WRITE);
  const error = assertThrows(() => file.truncateSync(2 ** 52), SystemError);
  assertEquals(error.syscall, "ftruncate");
  assert(error.code.startsWith("ERROR_"), error.code);
  if (!isWine) assertEquals(error.code, codeOf(error.errno));
  assertEquals(decode(file.bytes()), "hello");
});

const CHILD = new URL("./children/windows.ts", import.meta.url).href;

/** Runs a case, which must find nothing wrong and end by itself. */
async function assertNothingWrong(dir: TempDir, ...details: string[]) {
  const [name, ...rest] = details;
  const { code, stdout, stderr } = await deno([
    ...["run", "-A", "--no-lock", "--no-config", "--v8-flags=--expose-gc"],
    ...[CHILD, name!, dir.path, ...rest],
  ]);
  assertEquals([stdout, code], ["done\n", 0], stderr);
}

for (const how of ["close", "refresh", "growth", "truncate", "collected"]) {
  test(`no file is mapped at addresses that were unmapped by: ${how}`, (dir) =>
    assertNothingWrong(dir, "addresses", how));
}

for (const operation of ["tcpRead", "fileRead", "nodeRead", "fileWrite"]) {
  test(`an operation on a view whose memory is unmapped does not touch another file: ${operation}`, (dir) =>
    assertNothingWrong(dir, "operation", operation));
}

test("flush() flushes its bytes, also when the file is closed before a thread is free", (dir) =>
  assertNothingWrong(dir, "flushThenClose"));

test("a file dropped without a close is closed, also after truncate(0)", (dir) =>
  assertNothingWrong(dir, "dropped"));

test("close() throws for a view that cannot be unmapped, and closes the file", (dir) => {
  const path = dir.file("hello");
  const file = openSync(path, READ_WRITE);
  const pointer = Deno.UnsafePointer.of(file.bytes());
  kernel32().UnmapViewOfFile(Deno.UnsafePointer.value(pointer));
  const error = assertThrows(() => file.close(), SystemError, path);
  assertEquals(error.code, "ERROR_INVALID_ADDRESS");
  assert(file.closed);
});

test("the buffer of an empty file can be transferred without harm to other files", (dir) => {
  using one = openSync(dir.file("hello", "one"), READ_WRITE);
  using other = openSync(dir.file("hello", "other"), READ_WRITE);
  one.truncateSync(0);
  other.truncateSync(0);
  one.bytes().buffer.transfer();
  assertEquals(other.bytes().length, 0);
  other.syncSync();
});

/** A section without a file. */
function sectionOf(size: number): bigint {
  const { CreateFileMappingW } = kernel32();
  return CreateFileMappingW(
    INVALID_HANDLE_VALUE,
    0n,
    PAGE_READWRITE,
    0,
    size,
    0n,
  );
}

/** Whether nothing is mapped or reserved at an address. */
function isFree({ address }: View): boolean {
  const { VirtualAlloc, VirtualFree } = kernel32();
  if (VirtualAlloc(address, 1n, MEM_RESERVE, PAGE_NOACCESS) === 0n) {
    return false;
  }
  VirtualFree(address, 0n, MEM_RELEASE);
  return true;
}

/** Maps views, exposes them, and unmaps them. */
function unmapped(views: Views, count: number, size = 5000): View[] {
  const section = sectionOf(size);
  const mapped = Array.from({ length: count }, (_, k) => {
    const view = views.map(section, PAGE_READWRITE, 0, size)!;
    const pointer = Deno.UnsafePointer.create(view.address)!;
    const buffer = Deno.UnsafePointerView.getArrayBuffer(pointer, size);
    const bytes = new Uint8Array(buffer);
    // They are views of one section.
    assertEquals(bytes[size - 1], k);
    bytes[size - 1]!++;
    buffer.transfer(0);
    view.isExposed = true;
    return view;
  });
  for (const view of mapped) assert(views.unmap(view));
  kernel32().CloseHandle(section);
  return mapped;
}

const ALL_FUNCTIONS = () => ({ ...kernel32(), ...kernelbase() });
const VARIANTS: Record<string, () => ViewFunctions> = {
  "with placeholders": ALL_FUNCTIONS,
  "before Windows 10 1803": () => ({
    ...ALL_FUNCTIONS(),
    VirtualAlloc2: null,
    MapViewOfFile3: null,
    UnmapViewOfFile2: null,
  }),
  "where a placeholder cannot be replaced": () => ({
    ...ALL_FUNCTIONS(),
    MapViewOfFile3: () => 0n,
  }),
};

for (const [variant, functions] of Object.entries(VARIANTS)) {
  test(`addresses stay reserved up to a number of ranges, ${variant}`, () => {
    const views = new Views(functions(), { ranges: 2, bytes: GIB });
    const free = unmapped(views, 4).map(isFree);
    assertEquals(free, [true, true, false, false]);
  });

  test(`addresses stay reserved up to a number of bytes, ${variant}`, () => {
    const views = new Views(functions(), { ranges: 100, bytes: 3 * GRANULE });
    const free = unmapped(views, 4, GRANULE).map(isFree);
    assertEquals(free, [true, false, false, false]);
    assert(unmapped(views, 1, 4 * GRANULE).every(isFree));
  });

  test(`addresses that were not handed out are free at once, ${variant}`, () => {
    const views = new Views(functions());
    const section = sectionOf(GRANULE);
    const view = views.map(section, PAGE_READWRITE, 0, GRANULE)!;
    assert(!isFree(view));
    assert(views.unmap(view));
    assert(isFree(view));
    assert(!views.unmap(view));
    kernel32().CloseHandle(section);
  });

  test(`more views than stay reserved can be mapped and unmapped, ${variant}`, () => {
    const views = new Views(functions());
    const section = sectionOf(GRANULE);
    const reserved = new Set<bigint>();
    for (let round = 0; round < QUARANTINE_LIMIT.ranges + 2000; round++) {
      const view = views.map(section, PAGE_READWRITE, 0, GRANULE)!;
      assert(!reserved.has(view.address), `round ${round}`);
      view.isExposed = true;
      assert(views.unmap(view));
      reserved.add(view.address);
      if (reserved.size > QUARANTINE_LIMIT.ranges) {
        const [oldest] = reserved;
        reserved.delete(oldest!);
      }
    }
    kernel32().CloseHandle(section);
    for (const address of reserved) {
      kernel32().VirtualFree(address, 0n, MEM_RELEASE);
    }
  });

  test(`a view that does not fit is null, ${variant}`, () => {
    const views = new Views(functions());
    const section = sectionOf(GRANULE);
    assertEquals(views.map(section, PAGE_READWRITE, 0, 2 ** 50), null);
    kernel32().CloseHandle(section);
  });
}

test("addresses that another thread has taken are not used", () => {
  let freed = 0;
  const views = new Views({
    ...VARIANTS["before Windows 10 1803"]!(),
    VirtualAlloc: () => 0n,
    VirtualFree: () => ++freed,
  }, { ranges: 0, bytes: 0 });
  const section = sectionOf(GRANULE);
  const view = views.map(section, PAGE_READWRITE, 0, GRANULE)!;
  view.isExposed = true;
  assert(views.unmap(view));
  assertEquals(freed, 0);
  kernel32().CloseHandle(section);
});
