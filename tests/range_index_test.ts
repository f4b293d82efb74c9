/** RangeIndex, compared with a linear search. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { RangeIndex } from "../src/sigbus/range_index.ts";

Deno.test("RangeIndex finds what a linear search finds", () => {
  const step = fc.record({
    start: fc.nat(60),
    length: fc.integer({ min: 1, max: 12 }),
    removes: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const index = new RangeIndex();
    let list: { start: number; end: number; value: number }[] = [];
    for (const [value, { start, length, removes }] of steps.entries()) {
      const end = start + length;
      if (removes) {
        const known = list.find((range) => range.start === start);
        index.remove(start, known?.value ?? value);
        list = list.filter((range) => range !== known);
        continue;
      }
      const isOverlapped = (range: { start: number; end: number }) =>
        range.start < end && range.end > start;
      const expected = list.filter(isOverlapped)
        .sort((one, other) => one.start - other.start);
      assertEquals(index.replace(start, end, value), expected);
      list = list.filter((range) => !isOverlapped(range));
      list.push({ start, end, value });
    }
  }));
});
