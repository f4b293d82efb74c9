/** text(), copy() and textLines() return what decoding and splitting a copy of the whole file returns. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { constants } from "node:buffer";
import { createInterface } from "node:readline";
import { createReadStream } from "node:fs";
import fc from "fast-check";
import {
  type BlobOptions,
  ClosedError,
  type MmapFile,
  open,
  openSync,
  SystemError,
  type TextLinesOptions,
  TruncatedError,
} from "@mmapfile/mmapfile";
import {
  FALLBACK_KEEPS,
  isCopy,
  NO_ADDRESSES,
  NOT_TRUNCATABLE,
} from "./tested_module.ts";
import { isWindows } from "./skip.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const PAGE = 4 << 10;
/** The sizes at which the code takes another path: a page, and the pieces in which texts are read. */
const PIECES = [PAGE, 16 << 10, 64 << 10, 256 << 10];
const SIZES = [0, 1, ...PIECES.flatMap((size) => [size - 1, size, size + 1])];

/** Parts of texts, valid and invalid, that may lie across the end of a piece. */
const PARTS: readonly (string | number[])[] = [
  ...["a", "\n", "\r\n", "\r", "\r\r\n", "é", "€", "𝄞", "\uFEFF", "\0"],
  ...[[0x80], [0xc3], [0xe2, 0x82], [0xf0, 0x9d, 0x84], [0xff], [0xc0, 0x80]],
  [0xed, 0xa0, 0x80],
];

function concat(
  parts: readonly (string | number[])[],
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    parts.flatMap((part) =>
      typeof part === "string" ? [...encode(part)] : part
    ),
  );
}

const some = fc.array(fc.constantFrom(...PARTS), { maxLength: 12 }).map(concat);

/** Some parts around the ends of pieces of a file, and lines or one long one in between. */
const contents = fc.tuple(
  some,
  fc.array(
    fc.tuple(fc.constantFrom(...PIECES), fc.nat(12), some),
    { maxLength: 3 },
  ),
  fc.constantFrom(10, 1000, Infinity),
  some,
).map(([first, around, lineLength, last]) => {
  const end = Math.max(0, ...around.map(([at]) => at));
  const filler = Uint8Array.from(
    { length: end },
    (_, i) => i % lineLength === lineLength - 1 ? 10 : 97 + i % 26,
  );
  const bytes = concat([[...first], [...filler], [...last]]);
  for (const [at, before, part] of around) {
    bytes.set(
      part.subarray(0, bytes.length),
      Math.max(0, Math.min(at - before, bytes.length - part.length)),
    );
  }
  return bytes;
});

/** A range of a file of this size. */
function rangeOf(size: number, one: number, other: number): [number, number] {
  const [from, to] = [one % (size + 1), other % (size + 1)].sort((a, b) =>
    a - b
  );
  return [from!, to! - from!];
}

/** The lines of some bytes, by decoding and splitting all of them. */
function linesOf(bytes: Uint8Array, options: TextLinesOptions): string[] {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/);
  const rest = lines.pop()!;
  if (rest !== "" && !options.complete) lines.push(rest);
  return options.reverse ? lines.reverse() : lines;
}

function withFile<T>(
  dir: TempDir,
  bytes: Uint8Array,
  use: (file: MmapFile) => T,
): T {
  using file = openSync(dir.file(bytes));
  return use(file);
}

// --- text and copy

test("text() and copy() of any range are those of a copy of the file", (dir) => {
  fc.assert(
    fc.property(contents, fc.nat(), fc.nat(), (bytes, one, other) => {
      withFile(dir, bytes, (file) => {
        const [offset, length] = rangeOf(bytes.length, one, other);
        const part = bytes.subarray(offset, offset + length);
        assertStrictEquals(
          file.text(offset, length),
          new TextDecoder().decode(part),
        );
        assert(equal(file.copy(offset, length), part));
        assertStrictEquals(file.text(), new TextDecoder().decode(bytes));
        assertStrictEquals(
          file.text(offset),
          new TextDecoder().decode(bytes.subarray(offset)),
        );
      });
    }),
    { numRuns: 60 },
  );
});

test("text() and copy() work for files of all sizes, also at the bounds of pieces", (dir) => {
  for (const size of SIZES) {
    const bytes = pattern(size);
    withFile(dir, bytes, (file) => {
      assertStrictEquals(file.text(), new TextDecoder().decode(bytes));
      assert(equal(file.copy(), bytes));
      assertEquals([file.text(size), file.copy(size).length], ["", 0]);
    });
  }
});

test("text() keeps a byte order mark that does not come first", (dir) => {
  for (const size of [...PIECES, 1]) {
    const text = "a".repeat(size) + "\uFEFFb";
    withFile(
      dir,
      encode(text),
      (file) => assertStrictEquals(file.text(), text),
    );
  }
});

test("text() of one range is not changed by a later call", (dir) => {
  withFile(dir, encode("onetwo"), (file) => {
    const [one, two] = [file.text(0, 3), file.text(3, 3)];
    assertEquals([one, two], ["one", "two"]);
  });
});

test("copy() returns memory that only the caller uses", (dir) => {
  using file = openSync(dir.file("as it is"), { write: true, read: true });
  const copy = file.copy();
  assertEquals([copy.byteOffset, copy.buffer.byteLength], [0, 8]);
  copy.fill(0);
  assertEquals(file.text(), "as it is");
  file.writeAtSync(encode("AS"), 0);
  assertEquals([file.text(0, 2), copy[0]], ["AS", 0]);
  structuredClone(copy, { transfer: [copy.buffer] });
  assertEquals(file.text(), "AS it is");
});

const METHODS: [
  string,
  (file: MmapFile, offset?: number, length?: number) => unknown,
][] = [
  ["text()", (file, offset, length) => file.text(offset, length)],
  ["copy()", (file, offset, length) => file.copy(offset, length)],
  [
    "textLines()",
    (file, offset, length) =>
      file.textLines({ offset, length } as TextLinesOptions),
  ],
  [
    "blob()",
    (file, offset, length) => file.blob({ offset, length } as BlobOptions),
  ],
];

for (const [name, call] of METHODS) {
  test(`${name} refuses what is not a range of the file`, (dir) => {
    const path = dir.file("0123456789");
    using file = openSync(path);
    const ranges = [[11], [11, 0], [10, 1], [0, 11], [5, 6], [-1], [-1, 1], [
      0,
      -1,
    ]];
    ranges.push([0.5, 1], [0, 1.5], [NaN, 1], [0, NaN], [0, Infinity], [
      2 ** 53,
      1,
    ]);
    for (const [offset, length] of ranges) {
      const { message } = assertThrows(
        () => call(file, offset, length),
        RangeError,
      );
      assert(message.includes(`'${path}'`), message);
    }
    const text = "5" as unknown as number;
    assertThrows(() => call(file, text, 1), TypeError);
    assertThrows(() => call(file, 0, text), TypeError);
  });

  test(`${name} refuses a closed file, and one that is not open for reading`, (dir) => {
    const path = dir.file("text");
    using written = openSync(path, { write: true });
    const file = openSync(path);
    file.close();
    for (const length of [0, 1, undefined]) {
      assertThrows(() => call(file, 0, length), ClosedError);
      const error = assertThrows(() => call(written, 0, length), SystemError);
      assertEquals(error.code, "EBADF");
    }
  });
}

test("text() and copy() of a truncated file throw until refresh()", (dir) => {
  const path = dir.file(3 * PAGE);
  using file = openSync(path, { write: true, read: true });
  Deno.truncateSync(path, 5);
  assertEquals(file.statSync().size, Deno.statSync(path).size);
  for (const [, call] of METHODS) {
    assertThrows(() => call(file, 0, 1), TruncatedError);
    assertThrows(() => call(file, 2 * PAGE), TruncatedError);
  }
  file.refresh();
  assert(equal(file.copy(), pattern(5)));
}, NOT_TRUNCATABLE);

/** Methods that read a range. */
const READERS: [string, (file: MmapFile, length: number) => unknown][] = [
  ["text()", (file, length) => file.text(0, length)],
  ["copy()", (file, length) => file.copy(0, length)],
  ["textLines()", (file, length) => [...file.textLines({ length })]],
  ["textLines() in turns", (file, length) =>
    Array.fromAsync({
      [Symbol.asyncIterator]: () =>
        file.textLines({ length })[Symbol.asyncIterator](),
    })],
  ["blob()", (file, length) => file.blob({ length }).bytes()],
];

for (const [name, read] of READERS) {
  test(
    `${name} of a file that was truncated within a page does not return the zeros there`,
    async (dir) => {
      const ends = [0, 1, 500, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 5];
      for (const end of ends) {
        for (const length of [150, 600, PAGE, 2 * PAGE + 6, 3 * PAGE]) {
          const path = dir.file("a".repeat(3 * PAGE));
          // The file is mapped before it is truncated.
          using file = openSync(path);
          file.bytes();
          Deno.truncateSync(path, end);
          const outcome = await outcomeOf(() => read(file, length));
          const error = "error" in outcome ? outcome.error : undefined;
          const isRefused = error instanceof TruncatedError ||
            error?.name === "NotReadableError";
          assertEquals(
            isRefused,
            length > end,
            `${length} of ${end}: ${error}`,
          );
        }
      }
    },
    FALLBACK_KEEPS || NOT_TRUNCATABLE,
  );
}

test("text() and copy() see what other processes write, and the bytes of a window", (dir) => {
  const path = dir.file("header, body");
  using part = openSync(path, { offset: 8 });
  assertEquals(part.text(), "body");
  dir.overwrite(path, "HEADER, BODY");
  if (isCopy) part.refresh();
  assertEquals(part.text(1, 2), "OD");
  assertEquals(part.copy(), encode("BODY"));
});

test("text(), copy() and textLines() reach past 4 GiB", (dir) => {
  const size = 5 * 2 ** 30;
  const path = dir.sparseFile(size);
  using other = Deno.openSync(path, { write: true });
  const end = encode("\nlast line\nend");
  other.seekSync(size - end.length, Deno.SeekMode.Start);
  other.writeSync(end);
  using file = openSync(path);
  assertEquals(file.text(size - 3), "end");
  assertEquals(file.copy(size - end.length), end);
  const offset = size - end.length + 1;
  assertEquals([...file.textLines({ offset })], ["last line", "end"]);
  const backwards = Iterator.from(file.textLines({ reverse: true }));
  assertEquals([...backwards.take(2)], ["end", "last line"]);
  // Longer than a string can be, for any bytes.
  assertThrows(() => file.text(), RangeError, "longer than a string can be");
}, isCopy && NO_ADDRESSES);

test(
  "text() of more characters than a string can have throws, and takes no memory",
  (dir) => {
    const size = constants.MAX_STRING_LENGTH + 1;
    using file = openSync(dir.sparseFile(size));
    const before = Deno.memoryUsage().heapTotal;
    assertThrows(() => file.text(), RangeError, "longer than a string can be");
    assert(Deno.memoryUsage().heapTotal - before < 100 << 20);
  },
  isCopy && NO_ADDRESSES,
);

// --- textLines

test("textLines() yields the lines of the decoded text, in both directions", async (dir) => {
  await fc.assert(
    fc.asyncProperty(
      contents,
      fc.nat(),
      fc.nat(),
      fc.record({ complete: fc.boolean(), reverse: fc.boolean() }),
      async (bytes, one, other, options) => {
        using file = openSync(dir.file(bytes));
        assertEquals([...file.textLines(options)], linesOf(bytes, options));
        const [offset, length] = rangeOf(bytes.length, one, other);
        const part = bytes.subarray(offset, offset + length);
        const lines = file.textLines({ ...options, offset, length });
        const expected = linesOf(part, options);
        assertEquals([...lines], expected);
        // Again, iterated the other way.
        assertEquals(await Array.fromAsync(lines), expected);
      },
    ),
    { numRuns: 60 },
  );
});

test("textLines() yields what node:readline yields", async (dir) => {
  const path = dir.file("one\r\n\ntwo €\n" + "long".repeat(PAGE) + "\nlast");
  using file = openSync(path);
  const input = createReadStream(path);
  const expected = await Array.fromAsync(
    createInterface({ input, crlfDelay: Infinity }),
  );
  assertEquals([...file.textLines()], expected);
});

test("textLines() of files of all sizes, of empty lines, of one line and of a lone byte order mark", (dir) => {
  for (const size of SIZES) {
    for (const line of ["\n", "\r\n", "a", "a\n", "\uFEFF"]) {
      const bytes = encode(line.repeat(size)).subarray(0, size);
      withFile(dir, bytes, (file) => {
        for (const reverse of [false, true]) {
          for (const complete of [false, true]) {
            const options = { reverse, complete };
            assertEquals([...file.textLines(options)], linesOf(bytes, options));
          }
        }
      });
    }
  }
});

test("textLines() follows a file that grows, without the line that is being written", async (dir) => {
  const path = dir.file("one\ntw");
  using file = openSync(path);
  const seen: string[] = [];
  let offset = 0;
  for (const added of ["", "o\nthr", "ee", "\n", "four\n"]) {
    await Deno.writeTextFile(path, added, { append: true });
    file.refresh();
    seen.push(...file.textLines({ offset, complete: true }));
    offset = file.lastIndexOf("\n") + 1;
  }
  assertEquals(seen, ["one", "two", "three", "four"]);
});

test("textLines() reads on demand, and ends at the size that the file had when it was called", (dir) => {
  const path = dir.file("line\n".repeat(PAGE));
  const file = openSync(path);
  const lines = file.textLines()[Symbol.iterator]();
  assertEquals(lines.next().value, "line");
  file.close();
  assertThrows(() => {
    while (!lines.next().done);
  }, ClosedError);
});

test("textLines() of a truncated file throws", async (dir) => {
  const path = dir.file("line\n".repeat(PAGE));
  using file = openSync(path, { read: true, write: true });
  const lines = file.textLines();
  const iterators = [lines[Symbol.iterator](), lines[Symbol.asyncIterator]()];
  for (const iterator of iterators) {
    assertEquals((await iterator.next()).value, "line");
  }
  Deno.truncateSync(path, 0);
  assertEquals(file.statSync().size, Deno.statSync(path).size);
  for (const iterator of iterators) {
    await assertRejects(async () => {
      while (!(await iterator.next()).done);
    }, TruncatedError);
  }
}, NOT_TRUNCATABLE);

test("textLines() throws when the file's own truncate() removes the rest", (dir) => {
  using file = openSync(dir.file("line\n".repeat(PAGE)), {
    read: true,
    write: true,
  });
  const lines = file.textLines()[Symbol.iterator]();
  lines.next();
  file.truncateSync(10);
  assertThrows(() => {
    while (!lines.next().done);
  }, TruncatedError);
});

test("textLines() lets timers run, asynchronously, and keeps the order of calls that do not wait", async (dir) => {
  using file = await open(dir.file("1234567\n".repeat(4 << 20 >> 3)));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0);
  let count = 0;
  for await (const line of file.textLines()) count += line.length / 7;
  clearInterval(timer);
  assertEquals(count, 4 << 20 >> 3);
  assert(ticks > 0);

  const numbers = Array.from({ length: 3000 }, (_, i) => `${i}`);
  using other = await open(dir.file(numbers.join("\n"), "numbers"));
  const lines = other.textLines()[Symbol.asyncIterator]();
  const results = await Promise.all([...numbers, ""].map(() => lines.next()));
  assertEquals(results.map(({ value }) => value), [...numbers, undefined]);
  assertEquals(results.at(-1)?.done, true);
});

test("textLines() reads as little as it can from either end", async (dir) => {
  // Nothing between the first and the last lines may be read: the pages are missing.
  const path = dir.file("first\n" + "x\n".repeat(1 << 20) + "last\n");
  using file = await open(path);
  const read: number[] = [];
  const { readAtSync } = file;
  file.readAtSync = (p, offset) => {
    read.push(p.length);
    return readAtSync.call(file, p, offset);
  };
  for (const reverse of [false, true]) {
    const lines = file.textLines({ reverse })[Symbol.iterator]();
    assertEquals(lines.next().value, reverse ? "last" : "first");
  }
  assert(Math.max(...read) <= PAGE, `${read}`);
});

test(
  "writes of another worker during text() and textLines() do not crash",
  async (dir) => {
    const path = dir.file(1 << 20);
    using file = openSync(path);
    const writer = new Worker(
      `data:application/javascript,${
        encodeURIComponent(`
        const file = Deno.openSync(${JSON.stringify(path)}, { write: true });
        const parts = ["a", "\\u20ac", "\\n", "\\ufeff"].map((part) =>
          new TextEncoder().encode(part.repeat(1 << 14)));
        postMessage("started");
        for (let i = 0;; i++) {
          file.seekSync(i * 7919 % (1 << 20), 0);
          const part = parts[i % parts.length];
          file.writeSync(part.subarray(0, Math.min(part.length, (1 << 20) - i * 7919 % (1 << 20))));
        }`)
      }`,
      { type: "module" },
    );
    await new Promise((resolve) => writer.onmessage = resolve);
    for (const end = performance.now() + 300; performance.now() < end;) {
      assert(file.text().length <= file.size);
      for (const line of file.textLines()) assert(line.length <= file.size);
      assert(!file.text(100, 150).includes("\ud800"));
    }
    writer.terminate();
  },
  isWindows && "Windows cannot remove the directory of the worker's open file",
);
