import { Buffer } from "node:buffer";
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  indexOf,
  lastIndexOf,
  lines,
  type LinesOptions,
  search,
  toNeedle,
} from "../src/search.ts";
import { notInDeno28, unless } from "./skip.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Bytes of few values, so that needles occur, nearly occur and repeat themselves. */
const few = (maxLength: number) =>
  fc.array(fc.constantFrom(97, 98), { maxLength }).map((bytes) =>
    new Uint8Array(bytes)
  );

/** Periodic bytes with a few of them changed: what makes searches slow or wrong. */
const periodic = (maxLength: number) =>
  fc.tuple(
    few(6).filter((bytes) => bytes.length > 0),
    fc.nat(maxLength),
    fc.array(fc.nat(maxLength), { maxLength: 2 }),
  ).map(([period, length, changed]) => {
    const bytes = new Uint8Array(length).map((_, i) =>
      period[i % period.length]!
    );
    for (const i of changed) {
      if (i < length) bytes[i]! ^= 3;
    }
    return bytes;
  });

const bytes = (maxLength: number) =>
  fc.oneof(few(maxLength), periodic(maxLength));

function matchesAt(haystack: Uint8Array, needle: Uint8Array, at: number) {
  return needle.every((byte, i) => haystack[at + i] === byte);
}

/** Every index where the needle starts, by a naive search. */
function everyIndex(haystack: Uint8Array, needle: Uint8Array): number[] {
  const found = [];
  for (let at = 0; at + needle.length <= haystack.length; at++) {
    if (matchesAt(haystack, needle, at)) found.push(at);
  }
  return found;
}

/** A correct and slow memmem. */
const memmem = (haystack: Uint8Array, needle: Uint8Array) =>
  everyIndex(haystack, needle)[0] ?? -1;

Deno.test("indexOf() and lastIndexOf() find what a naive search finds", () => {
  fc.assert(
    fc.property(bytes(60), bytes(14), fc.nat(70), (haystack, needle, from) => {
      fc.pre(needle.length > 0);
      const all = everyIndex(haystack, needle);
      const first = all.find((at) => at >= from) ?? -1;
      assertEquals(indexOf(haystack, needle, from), first);
      assertEquals(indexOf(haystack, needle, from, memmem), first);
      assertEquals(
        lastIndexOf(haystack, needle, from),
        all.findLast((at) => at <= from) ?? -1,
      );
    }),
    { numRuns: 5000 },
  );
});

Deno.test("indexOf() and lastIndexOf() find a part of the haystack", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.nat(400),
      fc.nat(400),
      (haystack, begin, end) => {
        const needle = haystack.subarray(begin, end);
        fc.pre(needle.length > 0);
        const all = everyIndex(haystack, needle);
        assertEquals(indexOf(haystack, needle), all[0]);
        assertEquals(lastIndexOf(haystack, needle), all.at(-1));
      },
    ),
  );
});

Deno.test({
  ...unless(
    notInDeno28("Buffer returns -1 for existing bytes"),
    "indexOf() and lastIndexOf() return what Buffer returns, for any integer from",
  ),
  fn: () =>
    fc.assert(
      fc.property(
        bytes(12),
        fc.oneof(bytes(4), bytes(4).map(decode), fc.constantFrom(97, 98, 99)),
        fc.integer({ min: -16, max: 16 }),
        (haystack, needle, from) => {
          const buffer = Buffer.from(haystack);
          assertEquals(indexOf(haystack, needle), buffer.indexOf(needle));
          assertEquals(
            lastIndexOf(haystack, needle),
            buffer.lastIndexOf(needle),
          );
          assertEquals(
            indexOf(haystack, needle, from),
            buffer.indexOf(needle, from),
          );
          assertEquals(
            lastIndexOf(haystack, needle, from),
            buffer.lastIndexOf(needle, from),
          );
        },
      ),
      { numRuns: 3000 },
    ),
});

Deno.test("indexOf() and lastIndexOf() within a range find what they find in a view of it", () => {
  fc.assert(
    fc.property(
      bytes(40),
      fc.oneof(bytes(4), bytes(3).map(decode), fc.constantFrom(97, 98, 99)),
      fc.nat(40),
      fc.nat(40),
      (haystack, needle, one, other) => {
        const offset = Math.min(one, haystack.length);
        const length = Math.min(other, haystack.length - offset);
        const part = haystack.subarray(offset, offset + length);
        const found = (index: number) => index === -1 ? -1 : offset + index;
        const first = found(indexOf(part, needle));
        const range = { offset, length };
        assertEquals(indexOf(haystack, needle, range), first);
        assertEquals(indexOf(haystack, needle, range, memmem), first);
        assertEquals(
          lastIndexOf(haystack, needle, range),
          found(lastIndexOf(part, needle)),
        );
        const rest = haystack.subarray(offset);
        assertEquals(
          lastIndexOf(haystack, needle, { offset }),
          found(lastIndexOf(rest, needle)),
        );
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("indexOf() and lastIndexOf() refuse a range outside the bytes", () => {
  for (
    const range of [
      { offset: 4 },
      { offset: -1 },
      { length: 4 },
      { offset: 1, length: 3 },
      { offset: 0.5 },
      { length: NaN },
    ]
  ) {
    for (const find of [indexOf, lastIndexOf]) {
      assertThrows(() => find(encode("abc"), "a", range), RangeError);
    }
  }
});

Deno.test("search() finds the same through windows of any width", () => {
  fc.assert(
    fc.property(
      bytes(60),
      bytes(10),
      fc.integer({ min: 1, max: 30 }),
      (haystack, needle, window) => {
        fc.pre(needle.length > 0);
        const all = everyIndex(haystack, needle);
        assertEquals(search(haystack, needle, 1, window), all[0] ?? -1);
        assertEquals(search(haystack, needle, -1, window), all.at(-1) ?? -1);
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("search() finds needles longer than its longest skip", () => {
  let state = 1;
  const haystack = new Uint8Array(300_000).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
  const needle = haystack.slice(90_000, 270_000);
  assertEquals(search(haystack, needle, 1), 90_000);
  assertEquals(search(haystack, needle, -1), 90_000);
  needle[5]! ^= 1;
  assertEquals(search(haystack, needle, 1), -1);
  assertEquals(search(haystack, needle, -1), -1);
});

Deno.test("search() takes linear time at worst", () => {
  const haystack = new Uint8Array(4_000_000).fill(97);
  const many = "a".repeat(20_000);
  const began = performance.now();
  for (const needle of [`${many}b`, `b${many}`, `${many}b${many}`]) {
    assertEquals(search(haystack, encode(needle), 1), -1);
    assertEquals(search(haystack, encode(needle), -1), -1);
  }
  // 0.15 s; a quadratic search would take minutes.
  assert(performance.now() - began < 60_000);
});

Deno.test("indexOf() passes a single byte to memmem only when it is far", () => {
  const haystack = new Uint8Array(5000);
  haystack[1500] = haystack[4000] = 7;
  const calls: number[] = [];
  const counting = (rest: Uint8Array, needle: Uint8Array) => {
    calls.push(rest.length);
    return memmem(rest, needle);
  };
  assertEquals(indexOf(haystack, 7, 1000, counting), 1500);
  assertEquals(indexOf(haystack, 7, 4000, counting), 4000);
  assertEquals(indexOf(haystack, 7, 4001, counting), -1);
  assertEquals(calls, []);
  assertEquals(indexOf(haystack, 7, 0, counting), 1500);
  assertEquals(indexOf(haystack, 7, 1501, counting), 4000);
  assertEquals(indexOf(haystack, Uint8Array.of(8), 0, counting), -1);
  assertEquals(calls, [3976, 2475, 3976]);
});

Deno.test("indexOf() does not pass memmem a needle that is empty or too long", () => {
  const never = () => assert(false) as never;
  assertEquals(indexOf(encode("abc"), "", 2, never), 2);
  assertEquals(indexOf(encode("abc"), "abcd", 0, never), -1);
  assertEquals(indexOf(encode("abc"), "bc", 2, never), -1);
});

Deno.test("indexOf() and lastIndexOf() search only the view, not its buffer", () => {
  const view = encode("needle in needle").subarray(1, 15);
  assertEquals(indexOf(view, "needle"), -1);
  assertEquals(lastIndexOf(view, "needle"), -1);
  assertEquals(indexOf(view, "needl"), 9);
  assertEquals(lastIndexOf(view, "needl"), 9);
});

Deno.test("toNeedle() encodes a string as UTF-8, and a number as a single byte", () => {
  assertEquals(toNeedle("é"), Uint8Array.of(0xc3, 0xa9));
  assertEquals(toNeedle("\ud800"), Uint8Array.of(0xef, 0xbf, 0xbd));
  assertEquals(toNeedle("a"), 97);
  assertEquals(toNeedle(Uint8Array.of(255)), 255);
  assertEquals(toNeedle(0), 0);
  assertEquals(toNeedle(""), new Uint8Array(0));
});

Deno.test("toNeedle() refuses numbers that are not bytes, and invalid needles", () => {
  for (const number of [-1, 256, 1.5, NaN, Infinity, 2 ** 32]) {
    assertThrows(() => toNeedle(number), RangeError, "not a byte");
  }
  for (const value of [null, undefined, {}, new ArrayBuffer(1), [1]]) {
    assertThrows(
      () => toNeedle(value as unknown as Uint8Array),
      TypeError,
      "Cannot search",
    );
  }
});

Deno.test("indexOf() and lastIndexOf() refuse a from that is not a safe integer", () => {
  for (const from of [NaN, 0.5, Infinity, -Infinity, 2 ** 53]) {
    assertThrows(() => indexOf(encode("abc"), "b", from), RangeError);
    assertThrows(() => lastIndexOf(encode("abc"), "b", from), RangeError);
  }
});

/** Lines by splitting a text in which each character is a byte. */
function splitLines(text: string): string[] {
  const found = text.split("\n");
  const last = found.pop()!;
  const ended = found.map((line) =>
    line.endsWith("\r") ? line.slice(0, -1) : line
  );
  return last === "" ? ended : [...ended, last];
}

const textOf = (found: Iterable<Uint8Array>) => Array.from(found, decode);

/** Text rich in newlines, in bytes similar to them (VT is LF + 1), and in empty and longer lines. */
const text = fc.array(
  fc.constantFrom("\n", "\r\n", "\r", "\v", "a", "\0", "b".repeat(9)),
  { maxLength: 40 },
).map((parts) => parts.join(""));

Deno.test("lines() splits as splitting the text does, at any offset of the view and its range", () => {
  fc.assert(
    fc.property(
      fc.tuple(text, text, text, text, text),
      // The windows end in words, and the smallest is one word.
      fc.integer({ min: 1, max: 10 }),
      ([before, skipped, content, split, after], words) => {
        const whole = encode(before + skipped + content + split + after);
        const haystack = whole.subarray(
          before.length,
          whole.length - after.length,
        );
        const range = { offset: skipped.length, length: content.length };
        assertEquals(
          textOf(lines(haystack, range, undefined, words * 4)),
          splitLines(content),
        );
        assertEquals(
          textOf(lines(haystack, { offset: skipped.length })),
          splitLines(content + split),
        );
        assertEquals(
          textOf(lines(haystack)),
          splitLines(skipped + content + split),
        );
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("lines() backwards yields the same lines, last first", () => {
  fc.assert(
    fc.property(
      fc.tuple(text, text, text),
      // Bytes of the end that is looked at before all of the range.
      fc.integer({ min: 1, max: 40 }),
      ([before, content, after], end) => {
        const haystack = encode(before + content + after);
        const range = { offset: before.length, length: content.length };
        assertEquals(
          textOf(
            lines(haystack, { ...range, reverse: true }, undefined, end),
          ),
          splitLines(content).reverse(),
        );
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("lines() backwards throws when the memory is released between lines", () => {
  for (const before of [0, 1]) {
    const haystack = encode("a\nb\nc");
    const found = lines(haystack, { reverse: true });
    for (let i = 0; i < before; i++) found.next();
    structuredClone(haystack, { transfer: [haystack.buffer] });
    assertThrows(() => found.next(), TypeError, "released");
  }
});

Deno.test("lines() finds any newline among any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (haystack) => {
      const joined = [];
      for (const line of lines(haystack)) {
        assert(!line.includes(10));
        joined.push(...line);
      }
      // CR before LF is removed with it, other bytes are kept.
      const kept = haystack.filter((byte, i) =>
        byte !== 10 && !(byte === 13 && haystack[i + 1] === 10)
      );
      assertEquals(new Uint8Array(joined), kept);
    }),
  );
});

Deno.test("lines() removes the newline and adds no line at the end", () => {
  const of = (text: string) => textOf(lines(encode(text)));
  assertEquals(of(""), []);
  assertEquals(of("\n"), [""]);
  assertEquals(of("\r\n"), [""]);
  assertEquals(of("a"), ["a"]);
  assertEquals(of("a\n"), ["a"]);
  assertEquals(of("a\r\n\r\nb"), ["a", "", "b"]);
  assertEquals(of("a\rb\r"), ["a\rb\r"]);
  assertEquals(of("a\r\r\n"), ["a\r"]);
  assertEquals(of("a\n\rb"), ["a", "\rb"]);
});

Deno.test("lines() reads a range that splits a CRLF as if nothing followed it", () => {
  const haystack = encode("ab\r\ncd");
  assertEquals(textOf(lines(haystack, { length: 3 })), ["ab\r"]);
  assertEquals(textOf(lines(haystack, { offset: 3 })), ["", "cd"]);
  assertEquals(textOf(lines(haystack, { length: 4 })), ["ab"]);
});

Deno.test("lines() yields views of the same memory", () => {
  const haystack = encode("one\ntwo");
  const [one, two] = lines(haystack);
  assert(one!.buffer === haystack.buffer && two!.buffer === haystack.buffer);
  two![0] = 84;
  assertEquals(decode(haystack), "one\nTwo");
});

Deno.test("lines() finds lines longer than a megabyte", () => {
  const haystack = new Uint8Array(3_000_001).fill(120);
  haystack[0] = haystack[2_999_999] = 10;
  assertEquals(
    Array.from(lines(haystack), (line) => line.length),
    [0, 2_999_998, 1],
  );
});

Deno.test("lines() refuses a range outside the bytes, before the first line is requested", () => {
  const ranges: LinesOptions[] = [
    { offset: 4 },
    { offset: -1 },
    { length: 4 },
    { length: -1 },
    { offset: 2, length: 2 },
    { offset: 0.5 },
    { offset: NaN },
    { length: Infinity },
  ];
  for (const range of ranges) {
    assertThrows(() => lines(encode("abc"), range), RangeError, "Cannot read");
  }
  assertEquals(textOf(lines(encode("abc"), { offset: 3 })), []);
});

Deno.test("lines() calls check before each line, and yields none that it refuses", () => {
  let calls = 0;
  const check = () => {
    if (++calls === 3) throw new Error("truncated");
  };
  const found = lines(encode("a\nb\nc"), {}, check);
  assertEquals(decode(found.next().value!), "a");
  assertEquals(calls, 1);
  assertEquals(decode(found.next().value!), "b");
  assertThrows(() => found.next(), Error, "truncated");
  assertEquals(found.next().done, true);
});

Deno.test("lines() throws when the memory is released between lines", () => {
  const haystack = encode("a\nb\nc\n");
  const found = lines(haystack);
  found.next();
  haystack.buffer.transfer(0);
  assertThrows(() => found.next(), TypeError, "has been released");
});

Deno.test("lines() throws when the memory is released before the first line", () => {
  const haystack = encode("a\nb");
  const found = lines(haystack);
  haystack.buffer.transfer(0);
  assertThrows(() => found.next(), TypeError, "has been released");
});

Deno.test("lines() throws the error of check when the memory was released", () => {
  const haystack = encode("a\nb");
  let closed = false;
  const found = lines(haystack, {}, () => {
    if (closed) throw new Deno.errors.BadResource("closed");
  });
  found.next();
  haystack.buffer.transfer(0);
  closed = true;
  assertThrows(() => found.next(), Deno.errors.BadResource, "closed");
});

Deno.test("lines() ends quietly when the memory is released after the last line", () => {
  for (const text of ["a\n", "a"]) {
    const haystack = encode(text);
    const found = lines(haystack);
    found.next();
    haystack.buffer.transfer(0);
    assertEquals(found.next().done, true);
  }
});
