/**
 * Programs that use Deno.FsFile, run with files of both kinds, opened alike without options of this library:
 * the results, the classes of errors, and the first words of their messages are equal.
 */

import { assert, assertEquals } from "@std/assert";
import * as library from "@mmapfile/mmapfile";
import { isCopy } from "./tested_module.ts";
import { deno } from "./run_deno.ts";
import {
  isWindows,
  NO_MODES,
  notInDeno28,
  type Reason,
  WINE_LOCKS,
} from "./skip.ts";
import { decode, encode } from "./bytes.ts";
import { TempDir, testInDir } from "./temp_dir.ts";

const BEFORE_1970: Reason = notInDeno28("times before 1970 are wrong");

/** Why a program is not compared. */
function reasonOf(name: string): Reason {
  return isCopy && name in OF_OPTIONS &&
      "opening the fallback takes an option that Deno.FsFile lacks" ||
    isWindows && name === "every whence, and odd offsets" &&
      "Windows has other errors for odd offsets";
}

/** The functions that are replaced in a program. */
type Library = Pick<typeof Deno, "open" | "openSync" | "create" | "createSync">;

/** What is done in a directory, and what a program sees of it. */
type Program = (library: Library, dir: TempDir) => unknown;

/** The outcome of a call: its value, or the class, code and end of the message of its error. */
async function seen(call: () => unknown): Promise<unknown> {
  try {
    // One returns null where the other returns nothing.
    return await call() ?? null;
  } catch (error) {
    assert(error instanceof Error);
    return { class: classOf(error), words: wordsOf(error) };
  }
}

/** The class of error that a call throws. */
async function classSeen(call: () => unknown): Promise<string> {
  try {
    return `nothing, but returns ${await call()}`;
  } catch (error) {
    assert(error instanceof Error);
    return classOf(error);
  }
}

/** The class of Deno or JavaScript that an error has, or that its class extends. */
function classOf(error: Error): string {
  const { errors } = Deno;
  for (const [name, type] of Object.entries(errors)) {
    if (error instanceof type) return name;
  }
  if (error instanceof TypeError) return "TypeError";
  if (error instanceof RangeError) return "RangeError";
  return "Error";
}

/** The system's message, which Deno puts first and this library last; not that an argument is invalid or too large. */
function wordsOf(error: Error): string | undefined {
  const words = [
    /[A-Z][a-z ]+\(os error (?!22|27)\d+\)/,
    /Invalid seek mode: \S+/,
    /'options' requires at least one option to be true/,
    /'truncate' option requires 'write' to be true/,
    /'create' or 'createNew' options require 'write' or 'append' to be true/,
    /Requires \w+ access/,
  ];
  for (const pattern of words) {
    const [found] = pattern.exec(error.message) ?? [];
    if (found !== undefined) return found;
  }
}

/** Opens, sync and async, and closes again. */
async function opened(
  { open, openSync }: Library,
  path: string,
  options?: Deno.OpenOptions | null,
): Promise<unknown> {
  const outcomes = [];
  for (const call of [openSync, open]) {
    outcomes.push(
      await seen(async () => {
        using file = await call(path, options as Deno.OpenOptions);
        return (await file.stat()).size;
      }),
    );
  }
  return outcomes;
}

const WRITE = { read: true, write: true };

const FLAGS = ["read", "write", "append", "truncate", "create", "createNew"];

const numbers = [0, 1, -1, 2.7, -0.5, NaN, Infinity, -Infinity, 2 ** 40];

/** Programs that open with few options. */
const OF_OPTIONS: Record<string, Program> = {
  "every combination of the options of open": async (library, dir) => {
    const outcomes = [];
    for (let flags = 0; flags < 1 << FLAGS.length; flags++) {
      const names = FLAGS.filter((_, bit) => flags & (1 << bit));
      const options = Object.fromEntries(names.map((name) => [name, true]));
      for (const isThere of [true, false]) {
        const path = dir.join(`file${flags}${isThere}`);
        if (isThere) Deno.writeTextFileSync(path, "hello");
        const outcome = await opened(library, path, options);
        const after = await seen(() => Deno.readTextFileSync(path));
        outcomes.push([...names, isThere, outcome, after]);
      }
    }
    return outcomes;
  },
  "options without effect": (library, dir) => {
    const path = dir.file("hello");
    return Promise.all(
      [undefined, null, {}, { read: false }, { write: false }].map(
        (options) => opened(library, path, options),
      ),
    );
  },
};

const PROGRAMS: Record<string, Program> = {
  ...OF_OPTIONS,
  "paths that are not files": (library, dir) =>
    Promise.all(
      [dir.join("none"), dir.join("none", "none")].flatMap((path) => [
        opened(library, path),
        opened(library, path, { write: true }),
      ]),
    ),
  "a path that is a URL": async ({ open, create }, dir) => {
    const url = new URL(`file://${dir.join("a file")}`.replaceAll(" ", "%20"));
    using created = await create(url);
    await created.write(encode("hello"));
    using file = await open(url);
    return (await file.stat()).size;
  },
  "files that are created": async ({ create, createSync }, dir) => {
    const outcomes = [];
    for (const call of [create, createSync]) {
      const path = dir.file("before", call.name);
      using file = await call(path);
      outcomes.push(file.statSync().size, await file.write(encode("hello")));
      outcomes.push(await file.seek(0, Deno.SeekMode.Start));
      const p = new Uint8Array(9);
      outcomes.push(await file.read(p), decode(p), await file.read(p));
      outcomes.push(await seen(() => call(dir.join("none", "none"))));
    }
    return outcomes;
  },
  "every whence, and odd offsets": async ({ openSync }, dir) => {
    using file = openSync(dir.file("hello, world"), WRITE);
    const outcomes = [];
    for (const whence of [0, 1, 2, 3, -1, 1.5, NaN]) {
      for (const offset of [...numbers, 3n, -3n, 2n ** 63n, 2n ** 64n + 2n]) {
        outcomes.push([
          String(whence),
          String(offset),
          await seen(() => file.seekSync(offset, whence)),
          await seen(() => file.seek(offset, whence)),
          file.seekSync(4, Deno.SeekMode.Start),
        ]);
      }
    }
    return outcomes;
  },
  "invalid whence": async ({ openSync }, dir) => {
    using file = openSync(dir.file("hello, world"));
    const outcomes = [];
    for (const whence of ["1", null, undefined, {}, true]) {
      outcomes.push(
        await classSeen(() => file.seekSync(0, whence as Deno.SeekMode)),
        await classSeen(() => file.seek(0, whence as Deno.SeekMode)),
      );
    }
    return outcomes;
  },
  "every length to truncate to": async ({ openSync }, dir) => {
    const path = dir.file("hello, world");
    using file = openSync(path, WRITE);
    const outcomes = [];
    for (const length of [undefined, null, 5, 20, ...numbers.slice(0, 6)]) {
      outcomes.push([
        String(length),
        await seen(() => file.truncateSync(length as number)),
        Deno.readTextFileSync(path),
        await seen(() => file.truncate(length as number)),
        file.statSync().size,
      ]);
    }
    for (const length of [Infinity, -Infinity, 2 ** 53, 2 ** 63, "3", {}]) {
      outcomes.push([
        String(length),
        await seen(() => file.truncateSync(length as number)),
        file.statSync().size,
      ]);
    }
    using readOnly = openSync(path);
    // Where Deno says that an argument is invalid, this library says that the file is read-only.
    const refused = await classSeen(() => readOnly.truncateSync(1));
    return [...outcomes, refused.startsWith("nothing")];
  },
  "every time": async ({ openSync }, dir) => {
    const path = dir.file("hello");
    const outcomes = [];
    for (const options of [WRITE, { read: true }, { append: true }]) {
      using file = openSync(path, options);
      for (
        const time of [
          ...numbers,
          1.2345,
          1e9 + 0.999_999,
          new Date("2001-02-03T04:05:06.789Z"),
          new Date("1900-01-01"),
          new Date(NaN),
        ]
      ) {
        if (BEFORE_1970 !== false && Number(time) < 0) continue;
        const { mtime } = Deno.statSync(path);
        outcomes.push([
          String(time),
          await seen(() => file.utimeSync(time, time)),
          timesOf(file.statSync()),
          await seen(() => file.utime(1, time)),
          timesOf(file.statSync()),
        ]);
        if (mtime === null) Deno.utimeSync(path, 0, 0);
      }
    }
    return outcomes;
  },
  "reads and writes of 0 bytes, and past the end": async ({ open }, dir) => {
    using file = await open(dir.file("hello"), WRITE);
    const p = new Uint8Array(3);
    return [
      await file.read(new Uint8Array(0)),
      await file.write(new Uint8Array(0)),
      await file.seek(10, Deno.SeekMode.Start),
      await file.read(p),
      await file.write(encode("!")),
      await file.seek(3, Deno.SeekMode.Start),
      await file.read(p),
      [...p],
      await file.seek(0, Deno.SeekMode.Current),
    ];
  },
  "arguments that are not bytes": async ({ open }, dir) => {
    using file = await open(dir.file("hello"), WRITE);
    const outcomes = [];
    for (const p of ["text", null, undefined, 5, [1], {}]) {
      for (const name of ["read", "readSync", "write", "writeSync"] as const) {
        outcomes.push(await seen(() => file[name](p as unknown as Uint8Array)));
      }
    }
    return outcomes;
  },
  "every call after close()": async ({ openSync }, dir) => {
    const file = openSync(dir.file("hello"), WRITE);
    file.close();
    const p = new Uint8Array(2);
    const outcomes = [];
    for (
      const [name, ...args] of [
        ["readSync", p],
        ["read", p],
        ["writeSync", p],
        ["write", p],
        ["seekSync", 0, 0],
        ["seek", 0, 0],
        ["statSync"],
        ["stat"],
        ["truncateSync", 1],
        ["truncate", 1],
        ["syncSync"],
        ["sync"],
        ["syncDataSync"],
        ["syncData"],
        ["utimeSync", 0, 0],
        ["utime", 0, 0],
        ["lockSync"],
        ["lock"],
        ["unlockSync"],
        ["unlock"],
        ["tryLockSync"],
        ["tryLock"],
        ["setRaw", true],
        ["close"],
      ]
    ) {
      const call = Reflect.get(file, name as string);
      outcomes.push(name, await seen(() => Reflect.apply(call, file, args)));
    }
    file[Symbol.dispose]();
    return outcomes;
  },
  "the terminal": async ({ openSync }, dir) => {
    using file = openSync(dir.file());
    // The system decides which call fails.
    const outcome = await seen(() => file.setRaw(true));
    return [file.isTerminal(), typeof outcome];
  },
  "instanceof": ({ openSync }, dir) => {
    using file = openSync(dir.file());
    return [
      file instanceof Deno.FsFile,
      Object.prototype.toString.call(file.readable),
      Object.prototype.toString.call(file.writable),
    ];
  },
  "the streams": async ({ open }, dir) => {
    const path = dir.file("hello, world");
    const reader = await open(path);
    const text = await new Response(reader.readable).text();
    const writer = await open(path, { write: true, truncate: true });
    const stream = writer.writable.getWriter();
    await stream.write(encode("one "));
    await stream.write(encode("two"));
    await stream.close();
    return [
      text,
      Deno.readTextFileSync(path),
      await seen(() => reader.close()),
      await seen(() => writer.close()),
    ];
  },
  "the use of a file at the end of a block": async ({ openSync }, dir) => {
    let escaped: Deno.FsFile;
    {
      using file = openSync(dir.file("hello"));
      escaped = file;
    }
    return await seen(() => escaped.statSync());
  },
  "the kind of file that stat() reports": ({ openSync }, dir) => {
    const path = dir.file("hello");
    using file = openSync(path);
    const { atime: _, ...info } = file.statSync();
    const { atime: _atime, ...expected } = Deno.statSync(path);
    assertEquals(info, expected);
    return Object.keys(info).sort();
  },
  "writes that append": async ({ openSync, open }, dir) => {
    const path = dir.file("hello");
    using file = openSync(path, { append: true, create: true });
    file.writeSync(encode(" one"));
    using second = await open(path, { append: true });
    await second.write(encode(" two"));
    await file.write(encode(" three"));
    return [Deno.readTextFileSync(path), file.seekSync(0, 1)];
  },
};

function timesOf({ atime, mtime }: Deno.FileInfo): unknown {
  return [atime?.getTime(), mtime?.getTime()];
}

/** The functions of this library, as a program imports them. */
const OURS = {
  open: library.open,
  openSync: library.openSync,
  create: (path: string | URL) => library.create(path),
  createSync: (path: string | URL) => library.createSync(path),
} as Library;

for (const [name, program] of Object.entries(PROGRAMS)) {
  testInDir(`${name}: as Deno.FsFile`, async (dir) => {
    using own = new TempDir(dir.path);
    using other = new TempDir(dir.path);
    const [ours, theirs] = [
      await program(OURS, own),
      await program(Deno, other),
    ];
    assertEquals(ours, theirs);
  }, reasonOf(name));
}

testInDir("a created file has the mode that Deno.open() sets", (dir) => {
  const modes = [0o600, 0o644, 0o777, 0o400, 0o4755, 0o200, undefined];
  const [ours, theirs] = [OURS, Deno].map(({ openSync }, k) =>
    modes.flatMap((mode) =>
      [{ create: true }, { createNew: true }].map((how, nr) => {
        const path = dir.join(`${k} ${mode} ${nr}`);
        const options = { write: true, mode, ...how } as Deno.OpenOptions;
        openSync(path, options).close();
        return Deno.statSync(path).mode;
      })
    )
  );
  assertEquals(ours, theirs);
}, NO_MODES);

const MODULE = new URL("../mod.ts", import.meta.url).href;

/** Uses a file in ways that need permissions, opened by this library or by Deno, and prints the results. */
const PERMITTED = `
const [, path] = Deno.args;
const { openSync } = Deno.args[0] === "ours" ? await import("${MODULE}") : Deno;
for (const options of [{ read: true }, { write: true }, { read: true, write: true }, { append: true, create: true }]) {
  for (const call of [
    () => {},
    (file) => file.utimeSync(1, 2),
    (file) => file.utime(1, 2),
    (file) => file.statSync(),
    (file) => file.syncSync(),
  ]) {
    try {
      const file = openSync(path, options);
      await call(file);
      file.close();
      console.log("done");
    } catch (error) {
      const { errors: { NotCapable, PermissionDenied } } = Deno;
      console.log(
        error instanceof NotCapable
          ? "NotCapable " + error.message.match(/Requires \\w+ access/)
          : error instanceof PermissionDenied ? "EBADF" : error.code ?? error.message,
      );
    }
  }
}
`;

for (
  const permissions of [["read"], ["write"], ["read", "write"]]
) {
  testInDir(
    `with --allow-${
      permissions.join(" and --allow-")
    } and --allow-ffi: as Deno.FsFile`,
    async (dir) => {
      const script = dir.file(PERMITTED, "script.js");
      const path = dir.file("hello");
      const [ours, theirs] = await Promise.all(
        ["ours", "theirs"].map((side) =>
          deno([
            ...["run", "--no-prompt", "--allow-ffi"],
            ...permissions.map((name) => `--allow-${name}=${dir.path}`),
            ...[script, side, path],
          ])
        ),
      );
      assertEquals(ours!.stdout, theirs!.stdout, ours!.stderr);
      assertEquals(ours!.stdout.trim().split("\n").length, 20, ours!.stderr);
    },
    isCopy && "the fallback does not need --allow-ffi" ||
      isWindows && "Windows opens files for reading in order to write",
  );
}

const LOCKS = `
const [path] = Deno.args;
using file = Deno.openSync(path, { read: true, write: true });
console.log(file.tryLockSync(true), file.tryLockSync(false));
`;

testInDir("a lock is held against another process", async (dir) => {
  const script = dir.file(LOCKS, "locks.js");
  const path = dir.file("hello");
  const seen = [];
  for (const { openSync } of [OURS, Deno]) {
    const lines = [];
    using file = openSync(path, WRITE);
    for (
      const change of [
        () => file.lockSync(true),
        () => file.lockSync(false),
        () => file.lock(true),
        () => file.unlockSync(),
        () => file.lock(),
        () => file.unlock(),
      ]
    ) {
      await change();
      lines.push((await deno(["run", "-A", script, path])).stdout);
    }
    seen.push(lines);
  }
  assertEquals(seen[0], seen[1]);
  assert(new Set(seen[0]).size === 3);
}, WINE_LOCKS);
