import { relative } from "node:path";
import { toFileUrl } from "@std/path";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  create,
  createSync,
  type MmapFile,
  type MmapOpenOptions,
  open,
  openSync,
  SystemError,
} from "@mmapfile/mmapfile";
import { isCopy, NO_ADDRESSES, NO_BLOCKS } from "./tested_module.ts";
import {
  isEmulated,
  isWindows,
  isWine,
  NO_LINKS,
  NO_MODES,
  NO_NODES,
  ONLY_LINUX,
  type Reason,
  unless,
} from "./skip.ts";
import { decode, encode, equal, pattern } from "./bytes.ts";
import { assertNothingIsOpen } from "./open_handles.ts";
import { outcomeOf } from "./outcome.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { TempDir } from "./temp_dir.ts";

const PAGE = 4096;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

const isLinux = Deno.build.os === "linux";

type Open = (
  path: string | URL,
  options?: MmapOpenOptions,
) => Promise<MmapFile>;
type Create = (path: string | URL, size?: number) => Promise<MmapFile>;

interface Forms {
  readonly open: Open;
  readonly create: Create;
}

const FORMS: Record<string, Forms> = {
  Sync: {
    // deno-lint-ignore require-await
    open: async (...args) => openSync(...args),
    // deno-lint-ignore require-await
    create: async (...args) => createSync(...args),
  },
  "": { open, create },
};

/** A test in the sync and the async form: "{open}" in the name becomes "openSync()". */
function test(
  name: string,
  fn: (dir: TempDir, forms: Forms) => Promise<void>,
  reason: Reason = false,
): void {
  for (const [suffix, forms] of Object.entries(FORMS)) {
    Deno.test({
      ...unless(reason, name.replaceAll(/\{(\w+)\}/g, `$1${suffix}()`)),
      fn: async () => {
        using dir = new TempDir();
        await fn(dir, forms);
        if (isLinux) await assertNothingIsOpen(dir);
      },
    });
  }
}

/** A test with a small disk, skipped where none can be mounted. */
function testOnSmallDisk(
  name: string,
  bytes: number,
  fn: (disk: SmallDisk, forms: Forms) => Promise<void>,
  reason: Reason = false,
): void {
  test(name, async (_, forms) => {
    using disk = new SmallDisk(bytes);
    await fn(disk, forms);
    await assertNothingIsOpen(disk);
  }, noDiskOf(bytes) || reason);
}

async function assertEbadf(call: () => PromiseLike<unknown>): Promise<void> {
  const error = await assertRejects(call, Error);
  const code = Reflect.get(error, "code");
  // Windows says "access denied" through Deno.FsFile.
  if (isWindows && !(error instanceof SystemError)) assertEquals(code, "EPERM");
  else assertEquals(code, "EBADF");
}

// --- read, write, append

test("{open} reads by default", async (dir, { open }) => {
  const path = dir.file("hello");
  for (
    const options of [undefined, { read: true }, { advice: "random" }] as const
  ) {
    using file = await open(path, options);
    const p = new Uint8Array(5);
    assertEquals(file.readSync(p), 5);
    assertEquals(decode(p), "hello");
    assertThrows(() => file.writeSync(p), Deno.errors.PermissionDenied);
  }
});

test(
  "{open} to write or to append alone refuses reads as Deno.open does",
  async (dir, { open }) => {
    const path = dir.file("hello");
    for (
      const options of [{ write: true }, { append: true }, {
        read: false,
        write: true,
      }, { write: true, grow: true }]
    ) {
      using theirs = Deno.openSync(path, options);
      using file = await open(path, options);
      const p = new Uint8Array(2);
      for (const each of [theirs, file]) {
        // deno-lint-ignore require-await
        await assertEbadf(async () => each.readSync(p));
        await assertEbadf(() => each.read(p));
        assertEquals(each.readSync(new Uint8Array(0)), 0);
      }
      await assertEbadf(() => file.readAt(p, 0));
      // deno-lint-ignore require-await
      await assertEbadf(async () => file.readAtSync(p, 0));
      assertEquals(file.writeSync(encode("J")), 1);
    }
  },
);

test("{open} to read and write does both", async (dir, { open }) => {
  using file = await open(dir.file("hello"), { read: true, write: true });
  file.writeSync(encode("J"));
  const p = new Uint8Array(4);
  file.readSync(p);
  assertEquals(decode(p), "ello");
  assertEquals(Deno.readTextFileSync(file.name), "Jello");
});

// --- create, createNew, mode, truncate, size

test(
  "{open} with create and size makes a file of zeros",
  async (dir, { open }) => {
    for (const kind of ["create", "createNew"]) {
      const path = dir.join(kind);
      using file = await open(path, {
        read: true,
        write: true,
        [kind]: true,
        size: 10_000,
      });
      assertEquals(file.size, 10_000);
      assert(equal(Deno.readFileSync(path), new Uint8Array(10_000)));
      file.writeAtSync(encode("end"), 9997);
      assertEquals(decode(file.bytes(9997)), "end");
    }
  },
);

test(
  "{open} with create and grow or append makes an empty file",
  async (dir, { open }) => {
    for (
      const [name, options] of Object.entries({
        grow: { write: true, create: true, grow: true },
        append: { append: true, create: true },
        newGrow: { write: true, createNew: true, grow: true },
        newAppend: { append: true, createNew: true },
        growZero: { write: true, create: true, grow: true, size: 0 },
      })
    ) {
      using file = await open(dir.join(name), options);
      assertEquals(file.size, 0);
      assertEquals(Deno.statSync(file.name).size, 0);
      file.writeSync(encode("hello"));
      assertEquals(Deno.readTextFileSync(file.name), "hello");
    }
  },
);

test(
  "{open} with create and size leaves a file that is not empty as it is",
  async (dir, { open }) => {
    const path = dir.file("hello");
    for (const size of [1, 100]) {
      using file = await open(path, { write: true, create: true, size });
      assertEquals(file.size, 5);
      assertEquals(Deno.readTextFileSync(path), "hello");
    }
  },
);

test(
  "{open} with create and size extends an empty file to that size",
  async (dir, { open }) => {
    const path = dir.file("");
    using file = await open(path, { write: true, create: true, size: 100 });
    assertEquals(file.size, 100);
    assertEquals(Deno.statSync(path).size, 100);
  },
);

test(
  "{open} with create or createNew of 0 bytes is a TypeError before the disk is touched",
  async (dir, { open }) => {
    const path = dir.join("new");
    for (const kind of ["create", "createNew"]) {
      for (const none of [{ size: 0 }, { grow: false }]) {
        await assertRejects(
          () => open(path, { write: true, [kind]: true, ...none }),
          TypeError,
          kind,
        );
      }
    }
    assertEquals([...Deno.readDirSync(dir.path)], []);
  },
);

test(
  "{open} without a size makes a file that grows, with the options of Deno.open",
  async (dir, { open }) => {
    const made: Deno.OpenOptions[] = [
      { write: true, create: true },
      { write: true, createNew: true },
      { write: true, createNew: true, truncate: true },
      { write: true, create: true, truncate: true },
      { read: true, write: true, create: true, truncate: true },
      { write: true, create: true, mode: 0o600 },
      { append: true, create: true },
    ];
    for (const options of made) {
      for (
        const before of options.createNew ? [null] : [null, "hello, world"]
      ) {
        const [path, denos] = [dir.join("ours"), dir.join("denos")];
        for (const each of [path, denos]) {
          if (before !== null) Deno.writeTextFileSync(each, before);
          using file = each === path
            ? await open(each, options)
            : Deno.openSync(each, options);
          assertEquals(await file.write(encode("one, ")), 5);
          assertEquals(file.writeSync(encode("two")), 3);
        }
        assertEquals(Deno.readTextFileSync(path), Deno.readTextFileSync(denos));
        assertEquals(Deno.statSync(path).mode, Deno.statSync(denos).mode);
        for (const each of [path, denos]) Deno.removeSync(each);
      }
    }
  },
);

test(
  "{create} without a size makes an empty file that grows",
  async (dir, { create }) => {
    const path = dir.file("before");
    using file = await create(path);
    assertEquals([file.size, await file.write(encode("after"))], [0, 5]);
    assertEquals(Deno.readTextFileSync(path), "after");
  },
);

test(
  "{open} with createNew on an existing file is AlreadyExists and leaves it",
  async (dir, { open }) => {
    const path = dir.file("hello");
    await assertRejects(
      () => open(path, { write: true, createNew: true, size: 10 }),
      Deno.errors.AlreadyExists,
      path,
    );
    assertEquals(Deno.readTextFileSync(path), "hello");
  },
);

test(
  "{open} with truncate sets the file to size, and its bytes are zeros",
  async (dir, { open }) => {
    for (
      const [size, options] of [[0, {}], [3, { size: 3 }], [9, {
        size: 9,
      }]] as const
    ) {
      const path = dir.file("hello");
      using file = await open(path, {
        read: true,
        write: true,
        truncate: true,
        ...options,
      });
      assertEquals(file.size, size);
      assert(equal(file.bytes(), new Uint8Array(size)));
      assert(equal(Deno.readFileSync(path), new Uint8Array(size)));
    }
  },
);

test(
  "{open} creates a new file with the mode that Deno.open sets",
  async (dir, { open }) => {
    for (
      const mode of [
        undefined,
        0o600,
        0o640,
        0o777,
        0o400,
        0o000,
        0o4755,
        0o1666,
      ]
    ) {
      const [ours, theirs] = [dir.join("ours"), dir.join("theirs")];
      const options = {
        ...{ write: true, createNew: true, mode },
      } as Deno.OpenOptions;
      (await open(ours, { ...options, size: 1 })).close();
      Deno.openSync(theirs, options).close();
      assertEquals(
        Deno.statSync(ours).mode,
        Deno.statSync(theirs).mode,
        `mode ${mode?.toString(8)}`,
      );
      Deno.removeSync(ours);
      Deno.removeSync(theirs);
    }
  },
  NO_MODES,
);

test(
  "{open} with create leaves the mode of an existing file",
  async (dir, { open }) => {
    const path = dir.file("hello");
    Deno.chmodSync(path, 0o640);
    const options = { write: true, create: true, mode: 0o777, size: 1 };
    (await open(path, options)).close();
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o640);
  },
  NO_MODES,
);

test(
  "{create} makes a file of zeros to read and write",
  async (dir, { create }) => {
    using file = await create(dir.join("new"), 10_000);
    assertEquals(file.size, 10_000);
    assert(file.bytes().every((byte) => byte === 0));
    assertEquals(file.writeSync(encode("hello")), 5);
    assertEquals(file.readAtSync(new Uint8Array(10), 0), 10);
    const found = Deno.readFileSync(file.name);
    assertEquals(found.length, 10_000);
    assertEquals(decode(found.subarray(0, 5)), "hello");
  },
);

test(
  "{create} truncates an existing file, and fills it with zeros",
  async (dir, { create }) => {
    for (const size of [3, 5, 9]) {
      using file = await create(dir.file("hello"), size);
      assert(equal(file.bytes(), new Uint8Array(size)));
      assert(equal(Deno.readFileSync(file.name), new Uint8Array(size)));
    }
  },
);

test(
  "{create} of 0 bytes is a TypeError that touches nothing, and of an invalid size an error too",
  async (dir, { create }) => {
    const [there, absent] = [dir.file("hello"), dir.join("absent")];
    for (const path of [there, absent]) {
      await assertRejects(() => create(path, 0), TypeError, path);
      for (const size of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
        await assertRejects(() => create(path, size), RangeError, path);
      }
      for (const size of ["1", 1n, null]) {
        await assertRejects(
          () => create(path, size as unknown as number),
          TypeError,
          path,
        );
      }
    }
    assertEquals(Deno.readTextFileSync(there), "hello");
    assertThrows(() => Deno.statSync(absent), Deno.errors.NotFound);
  },
);

// --- failures half-way

/** More than any file may have here, so that the system refuses after it has created the file. */
const TOO_MUCH = 2 ** 52;

test(
  "{open} removes a new file that it cannot extend to its size",
  async (dir, { open }) => {
    for (const kind of ["create", "createNew"]) {
      for (const sparse of [true, false]) {
        const path = dir.join(kind);
        const error = await assertRejects(
          () =>
            open(path, { write: true, [kind]: true, size: TOO_MUCH, sparse }),
          SystemError,
          path,
        );
        if (!isWindows) {
          assert(["EFBIG", "ENOSPC"].includes(error.code), error.message);
        }
        assertEquals(typeof error.syscall, "string");
        assert(error.errno > 0);
        assertEquals([...Deno.readDirSync(dir.path)], []);
      }
    }
  },
);

test("{open} never removes an existing file", async (dir, { open }) => {
  const path = dir.file("");
  for (
    const options of [
      { write: true, create: true, size: TOO_MUCH },
      { write: true, truncate: true, size: TOO_MUCH },
      { write: true, create: true, truncate: true, size: TOO_MUCH },
    ]
  ) {
    await assertRejects(() => open(path, options), SystemError);
    assertEquals(Deno.statSync(path).size, 0);
  }
});

test(
  "{open} removes the file that it created through a dangling link, when it fails",
  async (dir, { open }) => {
    const [link, target] = [dir.join("link"), dir.join("target")];
    Deno.symlinkSync(target, link);
    await assertRejects(
      () => open(link, { write: true, create: true, size: TOO_MUCH }),
      SystemError,
    );
    assertEquals(Deno.lstatSync(link).isSymlink, true);
    assertThrows(() => Deno.statSync(target), Deno.errors.NotFound);
  },
  NO_LINKS,
);

testOnSmallDisk(
  "{create} on a full disk is ENOSPC and leaves nothing",
  64 * PAGE,
  async (disk, { create, open }) => {
    const path = disk.join("new");
    for (const size of [65 * PAGE, 1000 * PAGE]) {
      const error = await assertRejects(
        () => create(path, size),
        SystemError,
        path,
      );
      assertEquals(error.code, "ENOSPC");
      assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
    }
    // All space is free again.
    using file = await create(path, 60 * PAGE);
    file.bytes().fill(1);
    const second = disk.join("second");
    await assertRejects(
      () => open(second, { append: true, createNew: true, size: 60 * PAGE }),
      SystemError,
    );
    assertThrows(() => Deno.statSync(second), Deno.errors.NotFound);
    using sparse = await open(second, {
      write: true,
      create: true,
      size: 1000 * PAGE,
      sparse: true,
    });
    assertEquals(sparse.size, 1000 * PAGE);
  },
  NO_BLOCKS || isWine && "Wine does not reserve blocks",
);

testOnSmallDisk(
  "{open} removes a new file that cannot be mapped",
  PAGE,
  async (disk, { open }) => {
    // A tmpfs accepts a file larger than the address space of a process.
    const path = disk.join("new");
    const options = { write: true, create: true, size: 2 ** 51, sparse: true };
    const error = await assertRejects(
      () => open(path, options),
      SystemError,
      path,
    );
    assertEquals([error.syscall, error.code], ["mmap", "ENOMEM"]);
    assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);

    Deno.writeFileSync(path, new Uint8Array(0));
    await assertRejects(() => open(path, options), SystemError);
    assert(Deno.statSync(path).isFile);
  },
);

test(
  "{open} of a window that is not in the file leaks nothing",
  async (dir, { open }) => {
    const path = dir.file("hello");
    for (
      const window of [{ offset: 6 }, { offset: 1, length: 5 }, { length: 6 }]
    ) {
      await assertRejects(() => open(path, window), RangeError, path);
    }
  },
);

// --- paths

test(
  "{open} accepts URLs, relative paths, spaces and other scripts",
  async (dir, { open }) => {
    for (
      const name of [
        "plain",
        "with spaces",
        "zażółć gęślą jaźń",
        "ファイル",
        "🗺️",
        "100%25 #1",
        "-rf",
        "a'b",
        // Not valid names on Windows.
        ...isWindows ? [] : ["a?", 'a"b'],
      ]
    ) {
      const path = dir.file(name, name);
      const paths: (string | URL)[] = [
        path,
        toFileUrl(path),
        relative(Deno.cwd(), path),
      ];
      for (const each of paths) {
        using file = await open(each);
        assertEquals(decode(file.bytes()), name);
        assertEquals(file.name, String(each));
      }
    }
  },
);

test("{open} accepts a path of 200 levels", async (dir, { open }) => {
  const deep = dir.join(...Array(200).fill("d"));
  Deno.mkdirSync(deep, { recursive: true });
  const path = `${deep}/data`;
  using file = await open(path, { write: true, create: true, size: 5 });
  file.writeSync(encode("hello"));
  using again = await open(path);
  assertEquals(decode(again.bytes()), "hello");
});

test("{open} follows links", async (dir, { open }) => {
  const path = dir.file("hello");
  Deno.symlinkSync(path, dir.join("one"));
  Deno.symlinkSync("one", dir.join("two"));
  using file = await open(dir.join("two"), { read: true, write: true });
  file.writeSync(encode("J"));
  assertEquals(Deno.readTextFileSync(path), "Jello");
  using second = await open(dir.join("one"), {
    write: true,
    create: true,
    size: 9,
  });
  assertEquals(second.size, 5);
}, NO_LINKS);

test(
  "{open} with create creates the target of a dangling link, as Deno.open does",
  async (dir, { open }) => {
    for (const opener of [Deno.open, open]) {
      const [link, target] = [dir.join("link"), dir.join("target")];
      Deno.symlinkSync(target, link);
      using _ = await opener(link, {
        write: true,
        create: true,
        ...(opener === open ? { size: 7 } : {}),
      });
      assertEquals(Deno.statSync(target).size, opener === open ? 7 : 0);
      assertEquals(Deno.lstatSync(link).isSymlink, true);
      Deno.removeSync(link);
      Deno.removeSync(target);
    }
  },
  NO_LINKS,
);

test(
  "{open} keeps a file usable that was renamed or removed",
  async (dir, { open }) => {
    const path = dir.file("hello");
    {
      using file = await open(path, { read: true, write: true });
      Deno.renameSync(path, dir.join("moved"));
      file.writeSync(encode("J"));
      assertEquals(Deno.readTextFileSync(dir.join("moved")), "Jello");
      Deno.removeSync(dir.join("moved"));
      assertEquals(decode(file.bytes()), "Jello");
      assertEquals(file.statSync().nlink, 0);
    }
  },
  isWindows && "Windows may refuse it, see windows_test.ts",
);

/** Paths with which Deno.openSync fails: open must fail with the same class and code. */
const BAD_PATHS: Record<
  string,
  (dir: TempDir) => [string | URL, MmapOpenOptions?]
> = {
  "a missing file": (dir) => [dir.join("absent")],
  "a missing file to write": (dir) => [dir.join("absent"), { write: true }],
  "a missing file to append to": (
    dir,
  ) => [dir.join("absent"), { append: true }],
  "a missing directory": (dir) => [
    dir.join("absent", "file"),
    { write: true, create: true },
  ],
  "a missing directory, new file": (dir) => [
    dir.join("absent", "file"),
    { write: true, createNew: true },
  ],
  "an empty path": () => [""],
  "a dangling link": (dir) => {
    Deno.symlinkSync("absent", dir.join("link"));
    return [dir.join("link")];
  },
  "a dangling link, new file": (dir) => {
    Deno.symlinkSync("absent", dir.join("link"));
    return [dir.join("link"), { write: true, createNew: true }];
  },
  "a link to itself": (dir) => {
    Deno.symlinkSync("loop", dir.join("loop"));
    return [dir.join("loop")];
  },
  "a link to itself, create": (dir) => {
    Deno.symlinkSync("loop", dir.join("loop"));
    return [dir.join("loop"), { write: true, create: true }];
  },
  "a file as a directory": (dir) => [`${dir.file("")}/file`],
  "a file as a directory, create": (dir) => [
    `${dir.file("")}/file`,
    { write: true, create: true },
  ],
  "a file with a slash at its end": (dir) => [`${dir.file("")}/`],
  "a name that is too long": (dir) => [dir.join("x".repeat(256))],
  "a path that is too long": (dir) => [dir.path + "/.".repeat(2100)],
  "a NUL in the path": (dir) => [dir.join("a\0b")],
  "a NUL in the path, create": (dir) => [
    dir.join("a\0b"),
    { write: true, create: true },
  ],
  "an existing file, new file": (dir) => [
    dir.file(""),
    { write: true, createNew: true },
  ],
  "a directory to write": (dir) => [dir.path, { write: true }],
  "a directory to append to": (dir) => [dir.path, { append: true }],
  "a directory to create": (dir) => [dir.path, { write: true, create: true }],
  "a directory to truncate": (
    dir,
  ) => [dir.path, { write: true, truncate: true }],
  "a directory, new file": (
    dir,
  ) => [dir.path, { write: true, createNew: true }],
  "a URL that is not a file": () => [new URL("http://localhost/data")],
};

/** Why a path is skipped. */
function notBad(what: string): Reason {
  if (!isWindows) return false;
  if (what.includes("link")) return NO_LINKS;
  if (what === "a path that is too long") return "Windows shortens it";
  return /^a directory to/.test(what) &&
    "Deno.openSync opens directories on Windows, or reports that they exist";
}

for (const [what, make] of Object.entries(BAD_PATHS)) {
  test(
    `{open} of ${what} throws what Deno.openSync throws`,
    async (dir, { open }) => {
      const [path, options = { read: true }] = make(dir);
      const listing = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
      const theirs = await outcomeOf(() => Deno.openSync(path, options));
      assert("error" in theirs);
      const ours = await outcomeOf(() =>
        open(
          path,
          options.create || options.createNew
            ? { ...options, size: 1 }
            : options,
        )
      );
      assert("error" in ours, "Opened");
      assertInstanceOf(
        ours.error,
        theirs.error.constructor as ErrorConstructor,
      );
      const code = Reflect.get(theirs.error, "code");
      // Deno lacks a code for many errors of Windows.
      if (theirs.error.constructor === Error && !isWindows) {
        assertEquals(Reflect.get(ours.error, "code"), code);
      }
      if (!(ours.error instanceof TypeError)) {
        assertStringIncludes(ours.error.message, String(path));
      }
      assertEquals(
        [...Deno.readDirSync(dir.path)].map(({ name }) => name),
        listing,
      );
    },
    notBad(what),
  );
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A FIFO, "p", or a device, "c 1 3". */
function makeNode(dir: TempDir, name: string, kind: string): string {
  const path = dir.join(name);
  const { success } = new Deno.Command("mknod", {
    args: [path, ...kind.split(" ")],
  }).outputSync();
  assert(success, `Cannot make ${name}`);
  return path;
}

const isRoot = isLinux && Deno.uid() === 0;

/** Paths that exist, but have no bytes to map. */
const NOT_REGULAR: Record<string, (dir: TempDir) => string> = {
  "a directory": (dir) => dir.path,
  "a link to a directory": (dir) => {
    Deno.symlinkSync(dir.path, dir.join("link"));
    return dir.join("link");
  },
  "a socket": (dir) => {
    const path = dir.join("listening");
    const listener = Deno.listen({ transport: "unix", path });
    // Deno removes the socket's path on close.
    Deno.linkSync(path, dir.join("socket"));
    listener.close();
    return dir.join("socket");
  },
  "a FIFO": (dir) => makeNode(dir, "fifo", "p"),
  // For root the test creates devices: a mistake would remove those of the machine.
  "/dev/null": (dir) => isRoot ? makeNode(dir, "null", "c 1 3") : "/dev/null",
  "/dev/zero": (dir) => isRoot ? makeNode(dir, "zero", "c 1 5") : "/dev/zero",
};

for (const [what, make] of Object.entries(NOT_REGULAR)) {
  test(
    `{open} of ${what} throws a clear error and does not hang`,
    async (dir, { open }) => {
      const path = make(dir);
      const kinds: MmapOpenOptions[] = [
        { read: true },
        { write: true },
        { read: true, write: true },
        { append: true },
        { copyOnWrite: true },
        { offset: 0, length: 0 },
        { write: true, create: true, size: 10 },
        { write: true, truncate: true, size: 10 },
      ];
      for (const options of kinds) {
        const error = await assertRejects(
          () => open(path, options),
          Error,
          path,
        );
        assertStringIncludes(error.message, "not a regular file");
        assertEquals(
          error instanceof SystemError ||
            error instanceof Deno.errors.IsADirectory,
          true,
        );
      }
      assert(exists(path));
    },
    what.includes("link") ? NO_LINKS : what !== "a directory" && NO_NODES,
  );
}

// --- sizes

for (const size of [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE]) {
  test(
    `{open} of a file of ${size} bytes reads and writes at both ends`,
    async (dir, { open }) => {
      const path = dir.file(size);
      const bytes = pattern(size);
      {
        using file = await open(path);
        assertEquals(file.size, size);
        assert(equal(file.bytes(), bytes));
        const p = new Uint8Array(1);
        assertEquals(file.readSync(p), size === 0 ? null : 1);
        assertEquals(file.readAtSync(p, size), null);
      }
      const options = { read: true, write: true, grow: false };
      using file = await open(path, options);
      if (size > 0) {
        bytes[0] = bytes[size - 1] = 0;
        file.writeAtSync(new Uint8Array(1), 0);
        file.writeAtSync(new Uint8Array(1), size - 1);
      }
      assertThrows(() => file.writeAtSync(new Uint8Array(1), size), RangeError);
      assert(equal(Deno.readFileSync(path), bytes));
      file.syncSync();
      await file.sync();
    },
  );
}

/** The largest sparse file up to `size` that this disk accepts. */
function hugeFile(dir: TempDir, size: number): string {
  for (;; size /= 2) {
    try {
      return dir.sparseFile(size);
    } catch (error) {
      if (size < 8 * GIB) throw error;
    }
  }
}

for (const size of [5 * GIB, 8 * TIB]) {
  test(
    `{open} of a sparse file of ${
      size / GIB
    } GiB reads and writes at both ends`,
    async (dir, { open }) => {
      const path = hugeFile(dir, size);
      const { size: actual } = Deno.statSync(path);
      {
        const options = { read: true, write: true, grow: false };
        using file = await open(path, options);
        assertEquals(file.size, actual);
        file.writeAtSync(encode("start"), 0);
        file.seekSync(-3, Deno.SeekMode.End);
        file.writeSync(encode("end"));
        assertThrows(() => file.writeSync(encode("!")), RangeError);
      }
      for (const options of [{ read: true }, { copyOnWrite: true }]) {
        using file = await open(path, options);
        const p = new Uint8Array(5);
        assertEquals(file.readSync(p), 5);
        assertEquals(decode(p), "start");
        assertEquals(file.readAtSync(p, actual - 3), 3);
        assertEquals(decode(p), "endrt");
        assertEquals(file.seekSync(0, Deno.SeekMode.End), actual);
        assertEquals(file.readSync(p), null);
      }
      using file = await open(path, { offset: actual - 3 });
      assertEquals(decode(file.bytes()), "end");
      using denos = Deno.openSync(path);
      denos.seekSync(-3, Deno.SeekMode.End);
      const p = new Uint8Array(3);
      denos.readSync(p);
      assertEquals(decode(p), "end");
    },
    NO_ADDRESSES ||
      size === 8 * TIB &&
        (isEmulated
          ? "QEMU has a smaller address space"
          : isWindows && "Windows allocates blocks when a file is extended"),
  );
}

test(
  "{open} and close many times leave nothing open",
  async (dir, { open }) => {
    const path = dir.file(PAGE + 1);
    for (let i = 0; i < 1000; i++) {
      using file = await open(
        path,
        i % 2 ? { read: true } : { read: true, write: true },
      );
      assertEquals(file.bytes(PAGE)[0], pattern(PAGE + 1)[PAGE]);
    }
  },
);

// --- files that cannot be mapped

for (
  const path of [
    "/proc/meminfo",
    "/proc/self/status",
    "/sys/devices/system/cpu/online",
  ]
) {
  test(
    `{open} of ${path}, which cannot be mapped, reads what Deno.FsFile reads`,
    async (_, { open }) => {
      using file = await open(path);
      using denos = Deno.openSync(path);
      const [ours, theirs] = [new Uint8Array(50), new Uint8Array(50)];
      // Only the first bytes: the rest changes constantly.
      assertEquals(file.readSync(ours), denos.readSync(theirs));
      assertEquals(ours.subarray(0, 3), theirs.subarray(0, 3));
      if (path.startsWith("/sys")) {
        assertEquals(file.readSync(ours), null);
        if (!isCopy) assertThrows(() => file.bytes(), SystemError, path);
      }
    },
    ONLY_LINUX,
  );
}
