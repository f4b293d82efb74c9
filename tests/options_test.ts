/** Every combination of options, compared with Deno.openSync for its own options and with rules for the others. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type MmapOpenOptions, open, openSync } from "@mmapfile/mmapfile";
import fc from "fast-check";
import { isCopy } from "./tested_module.ts";
import { ONE_IN, sample } from "./skip.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { TempDir } from "./temp_dir.ts";

const LENGTH = 100;

/** The values of each option, absent first. */
const VALUES = {
  read: [undefined, true, false],
  write: [undefined, true],
  append: [undefined, true],
  truncate: [undefined, true],
  create: [undefined, true],
  createNew: [undefined, true],
  size: [undefined, 0, 50],
  grow: [undefined, true, false],
  sparse: [undefined, true],
  offset: [undefined, 0, 7],
  length: [undefined, 20],
  copyOnWrite: [undefined, true],
} satisfies { [K in keyof MmapOpenOptions]: MmapOpenOptions[K][] };

type Option = keyof typeof VALUES;
const OPTIONS = Object.keys(VALUES) as Option[];

/** All combinations, without the absent options. */
function* combinations(
  options: Option[] = OPTIONS,
): Generator<MmapOpenOptions> {
  const [option, ...rest] = options;
  if (option === undefined) return yield {};
  for (const others of combinations(rest)) {
    for (const value of VALUES[option]) {
      yield value === undefined ? others : { [option]: value, ...others };
    }
  }
}

const has = (options: MmapOpenOptions, option: Option) =>
  options[option] !== undefined && options[option] !== false;

/** The options of Deno.openSync; `read` is the default. */
function isOurs(options: MmapOpenOptions): boolean {
  // Every open of these tests then sets a backend.
  return isCopy || options.grow !== undefined ||
    ["size", "sparse", "offset", "length", "copyOnWrite"].some((option) =>
      has(options, option as Option)
    );
}

/** Whether the file is opened for reading. */
function isRead(options: MmapOpenOptions): boolean {
  const { read, write, append } = options;
  return read ?? (!write && !append && isOurs(options));
}

/** The error of Deno.openSync with its own options, for a missing file. */
const refusals = new Map<string, Error | undefined>();

function denosRefusal(given: MmapOpenOptions): Error | undefined {
  const { write, append, truncate, create, createNew } = given;
  const read = isRead(given);
  const options = {
    ...{ read, write, append, truncate, create, createNew },
  } as Deno.OpenOptions;
  const key = JSON.stringify(options);
  if (!refusals.has(key)) refusals.set(key, tryWithDeno(options));
  return refusals.get(key);
}

function tryWithDeno(options: Deno.OpenOptions): Error | undefined {
  using dir = new TempDir();
  try {
    Deno.openSync(dir.join("absent"), options).close();
  } catch (error) {
    assert(error instanceof Error);
    if (!(error instanceof Deno.errors.NotFound)) return error;
  }
}

/**
 * The rules for combinations that Deno.openSync accepts. "a: b c" forbids `a` with `b` or `c`,
 * "a: needs b c" requires one of them.
 */
const RULES = [
  // "copyOnWrite with write, append, grow, create, truncate"
  "copyOnWrite: write append grow create createNew truncate",
  // "a window with grow, append, truncate, create"
  "offset: grow append truncate create createNew",
  "length: grow append truncate create createNew",
  // "the length of a file when it is created empty, or truncated"
  "size: needs create createNew truncate",
  // "do not reserve disk blocks for `size`"
  "sparse: needs size",
  // A file of 0 bytes that does not grow cannot be written. Without a size it grows.
  "create: needs size>0 grow append",
  "createNew: needs size>0 grow append",
];

function holds(options: MmapOpenOptions, term: string): boolean {
  if (term === "size>0") {
    const { size = options.grow === false ? 0 : Infinity } = options;
    return size > 0;
  }
  return has(options, term as Option);
}

/** A list of options for each broken rule: the first cannot be combined with any of the others. */
function brokenRules(options: MmapOpenOptions): [string, string[]][] {
  return RULES.flatMap((rule): [string, string[]][] => {
    const [option, right] = rule.split(": ");
    const terms = right!.replace("needs ", "").split(" ");
    if (!holds(options, option!)) return [];
    const there = terms.filter((term) => holds(options, term));
    const isBroken = right!.startsWith("needs")
      ? there.length === 0
      : there.length > 0;
    if (!isBroken) return [];
    const others = right!.startsWith("needs") ? terms : there;
    return [[option!, others.map((term) => term.split(">")[0]!)]];
  });
}

/** The options that a message names, in quotes. */
function namedIn(message: string): Set<string> {
  return new Set(
    [...message.matchAll(/'(\w+)(?:: \w+)?'/g)].map(([, name]) => name!)
      .filter((name) => OPTIONS.includes(name as Option)),
  );
}

function isRefused(options: MmapOpenOptions): boolean {
  return denosRefusal(options) !== undefined || brokenRules(options).length > 0;
}

/** Checks that the error is Deno's, with its message if it is about options, or names both sides of a broken rule. */
function assertRefusal(error: Error, options: MmapOpenOptions): void {
  const denos = denosRefusal(options);
  if (denos !== undefined) {
    assertEquals(error.constructor, denos.constructor, String(error));
    if (denos.constructor === Error) {
      assert(error.message.endsWith(`: ${denos.message}`), error.message);
    }
    return;
  }
  assertEquals(error.constructor, TypeError, String(error));
  const named = namedIn(error.message);
  const isNamed = brokenRules(options).some(([option, others]) =>
    named.has(option) && others.some((other) => named.has(other))
  );
  assert(isNamed, `${error.message}\n${Deno.inspect(options)}`);
}

const ALL = [...combinations()];
const WRONG = ALL.filter(isRefused);
/** The combinations that are tried. */
const TRIED = sample(WRONG);
const RIGHT = ALL.filter((options) => !isRefused(options));

Deno.test("All combinations are generated, valid and invalid ones", () => {
  const product = Object.values(VALUES).reduce(
    (n, { length }) => n * length,
    1,
  );
  assertEquals(ALL.length, product);
  assertEquals(
    new Set(ALL.map((options) => JSON.stringify(options))).size,
    product,
  );
  for (const option of OPTIONS) {
    assert(RIGHT.some((options) => has(options, option)), option);
    assert(WRONG.some((options) => has(options, option)), option);
  }
});

Deno.test("Combinations that Deno.openSync refuses are refused alike, other invalid ones are a TypeError that names two options, and nothing is touched", () => {
  using dir = new TempDir();
  const path = dir.file(LENGTH);
  const absent = dir.join("absent");
  Deno.utimeSync(path, 1000, 1000);
  const before = Deno.statSync(path);
  for (const options of TRIED) {
    for (const each of [path, absent]) {
      const error = assertThrows(
        () => openSync(each, options),
        Error,
        each,
      );
      assertRefusal(error, options);
    }
  }
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), [
    "data",
  ]);
  const after = Deno.statSync(path);
  assertEquals(after.mtime, before.mtime);
  assertEquals(after.ctime, before.ctime);
  assert(equal(Deno.readFileSync(path), pattern(LENGTH)));
});

Deno.test("open() rejects what openSync() throws", async () => {
  using dir = new TempDir();
  const path = dir.file(LENGTH);
  for (const options of WRONG.filter((_, i) => i % 29 === 0)) {
    const thrown = assertThrows(() => openSync(path, options), Error);
    const rejected = await assertRejects(() => open(path, options), Error);
    assertEquals(rejected.message, thrown.message);
    assertEquals(rejected.constructor, thrown.constructor);
  }
});

/** The contents of the file once it is open, or why it cannot be opened. */
function expectedContents(
  options: MmapOpenOptions,
  existing: Uint8Array | null,
): Uint8Array | "NotFound" | "AlreadyExists" {
  const { create, createNew, truncate, size = 0 } = options;
  if (createNew && existing) return "AlreadyExists";
  if (existing && !truncate && (existing.length > 0 || !create)) {
    return existing;
  }
  if (!existing && !create && !createNew) return "NotFound";
  return new Uint8Array(size);
}

for (
  const [name, { length }] of Object.entries({
    "a file": { length: LENGTH },
    "an empty file": { length: 0 },
    "no file": { length: -1 },
  })
) {
  Deno.test(`Every valid combination opens and behaves, over ${name}`, async () => {
    using dir = new TempDir();
    const existing = length < 0 ? null : pattern(length);
    for (const [i, options] of RIGHT.entries()) {
      const path = dir.join("data");
      if (existing) Deno.writeFileSync(path, existing);
      const hasWindow = options.offset !== undefined ||
        options.length !== undefined;
      const contents = expectedContents(options, existing);
      const outcome = await outcomeOf(() =>
        (i % 2 ? openSync : open)(path, options)
      );
      const what = Deno.inspect(options);
      if (typeof contents === "string") {
        assert("error" in outcome, what);
        assert(outcome.error instanceof Deno.errors[contents], what);
      } else if (hasWindow && windowOf(options, contents) === null) {
        assert("error" in outcome, what);
        assert(outcome.error instanceof RangeError, what);
      } else {
        if ("error" in outcome) throw outcome.error;
        using file = outcome.value as ReturnType<typeof openSync>;
        assertBehaves(file, options, contents, what);
      }
      if (existing === null && typeof contents !== "string") {
        Deno.removeSync(path);
      }
    }
  });
}

/** The part of the file that the window shows; null if it is not in the file. */
function windowOf(
  options: MmapOpenOptions,
  contents: Uint8Array,
): Uint8Array | null {
  const { offset = 0, length = contents.length - offset } = options;
  if (length < 0 || offset + length > contents.length) return null;
  return contents.subarray(offset, offset + length);
}

/** Checks that an open file with these contents allows what its options say, and nothing else. */
function assertBehaves(
  file: ReturnType<typeof openSync>,
  options: MmapOpenOptions,
  contents: Uint8Array,
  what: string,
): void {
  const { write, append, copyOnWrite, offset = 0 } = options;
  const isFixed = options.size !== undefined || options.offset !== undefined ||
    options.length !== undefined || copyOnWrite;
  const grow = options.grow ?? !isFixed;
  const mapped = windowOf(options, contents)!.slice();
  assertEquals(file.size, mapped.length, what);

  const read = isRead(options);
  const p = new Uint8Array(mapped.length + 1);
  if (read) {
    assertEquals(file.readAtSync(p, 0), mapped.length || null, what);
    assert(equal(p.subarray(0, mapped.length), mapped), what);
  } else {assertEquals(
      Reflect.get(assertThrows(() => file.readSync(p)), "code"),
      "EBADF",
    );}

  // One byte at the beginning, and two across the end.
  const onDisk = contents.slice();
  if (!write && !append && !copyOnWrite) {
    assertThrows(
      () => file.writeSync(encode("X")),
      Deno.errors.PermissionDenied,
    );
    assert(equal(Deno.readFileSync(file.name), onDisk), what);
    return;
  }
  if (mapped.length > 0) {
    assertEquals(file.writeAtSync(encode("X"), 0), 1);
    mapped[0] = 88;
    if (!copyOnWrite) onDisk[offset] = 88;
  }
  file.seekSync(0, Deno.SeekMode.End);
  const end = encode("YZ");
  if (grow || append) {
    assertEquals(file.writeSync(end), 2, what);
    assert(
      equal(Deno.readFileSync(file.name), new Uint8Array([...onDisk, ...end])),
      what,
    );
    assertEquals(file.size, mapped.length + 2);
  } else {
    assertThrows(() => file.writeSync(end), RangeError);
    assert(equal(Deno.readFileSync(file.name), onDisk), what);
    if (read) assert(equal(file.bytes(), mapped), what);
  }
}

Deno.test("Options that are false or undefined are the same as absent", () => {
  using dir = new TempDir();
  const path = dir.file(LENGTH);
  // `grow: false` fixes the size of a file that would grow.
  const switches = OPTIONS.filter((option) =>
    option !== "read" && option !== "grow" && VALUES[option][1] === true
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...WRONG, ...RIGHT),
      fc.array(
        fc.tuple(
          fc.constantFrom(...switches),
          fc.constantFrom(false, undefined),
        ),
      ),
      (options, additions) => {
        const absent = additions.filter(([option]) => !has(options, option));
        const more = { ...options, ...Object.fromEntries(absent) };
        const isWrong = isRefused(options);
        assertEquals(isRefused(more), isWrong);
        Deno.writeFileSync(path, pattern(LENGTH));
        try {
          openSync(path, more).close();
          assertEquals(isWrong, false);
        } catch (error) {
          if (options.createNew && error instanceof Deno.errors.AlreadyExists) {
            return;
          }
          assertEquals(isWrong, true, String(error));
          assertRefusal(error as Error, options);
        }
      },
    ),
    { numRuns: Math.ceil(2000 / ONE_IN) },
  );
});

Deno.test("Numbers that are not byte counts are refused before the disk is touched", async () => {
  using dir = new TempDir();
  const path = dir.join("absent");
  const wrong: [unknown, new () => Error][] = [
    [-1, RangeError],
    [0.5, RangeError],
    [NaN, RangeError],
    [Infinity, RangeError],
    [-Infinity, RangeError],
    [2 ** 53, RangeError],
    ["1", TypeError],
    [1n, TypeError],
    [null, TypeError],
    [true, TypeError],
    [{}, TypeError],
  ];
  for (const [value, type] of wrong) {
    for (const option of ["size", "offset", "length"]) {
      const options = option === "size"
        ? { write: true, create: true, size: value }
        : { [option]: value };
      const error = assertThrows(
        () => openSync(path, options as MmapOpenOptions),
        type,
        path,
      );
      assert(error.message.includes(`'${option}'`), error.message);
      await assertRejects(() => open(path, options as MmapOpenOptions), type);
    }
  }
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("Unknown advice and unknown backends are TypeErrors", () => {
  using dir = new TempDir();
  const path = dir.file("hello");
  for (const value of ["", "willneed", null, 1]) {
    for (const option of ["advice", "backend"]) {
      const options = { read: true, [option]: value } as MmapOpenOptions;
      const error = assertThrows(
        () => openSync(path, options),
        TypeError,
        path,
      );
      assert(error.message.includes(`'${option}'`), error.message);
    }
  }
});

Deno.test("advice, prefetch and guard do not change what is read", async () => {
  using dir = new TempDir();
  const path = dir.file(10_000);
  for (const advice of [undefined, "normal", "sequential", "random"] as const) {
    for (const prefetch of [undefined, true, false]) {
      for (const guard of [undefined, true, false]) {
        const options = {
          ...{ read: true, advice, prefetch, guard },
        } as MmapOpenOptions;
        using one = openSync(path, options);
        using two = await open(path, options);
        assert(equal(one.bytes(), pattern(10_000)));
        assert(equal(two.bytes(), pattern(10_000)));
        if (guard === false) {
          assertEquals([one.guarded, two.guarded], [false, false]);
        }
      }
    }
  }
});

Deno.test("open() does not change its options argument", async () => {
  using dir = new TempDir();
  const options = Object.freeze({ write: true, create: true, size: 10 });
  (await open(dir.join("new"), options)).close();
  openSync(dir.join("new"), options).close();
  assertEquals(options, { write: true, create: true, size: 10 });
});
