/**
 * Range requests of HTTP: RFC 9110, section 14.
 *
 * @module
 */

import type { MmapFile } from "@mmapfile/mmapfile";
import { chunksOf, type Range, responseOf } from "./file_body.ts";

/** The most ranges that are sent for one request. */
const MAX_RANGES = 20;

/** Returns the ranges that a header requests: `null` for everything, an empty list if none can be satisfied. */
export function parseRanges(
  header: string | null,
  size: number,
): Range[] | null {
  const specs = /^bytes=(.+)$/i.exec(header ?? "")?.[1]?.split(",");
  if (specs === undefined || specs.length > MAX_RANGES) return null;
  const ranges: Range[] = [];
  for (const spec of specs) {
    const [, first = "", last = ""] = /^\s*(\d*)-(\d*)\s*$/.exec(spec) ?? [];
    const isInvalid = first === ""
      ? last === ""
      : last !== "" && Number(last) < Number(first);
    if (isInvalid) return null;
    const from = first === ""
      ? Math.max(0, size - Number(last))
      : Number(first);
    const to = first === "" || last === ""
      ? size
      : Math.min(Number(last) + 1, size);
    if (from < to) ranges.push([from, to]);
  }
  // Overlapping ranges could be longer than the whole: a server may ignore them.
  const sum = ranges.reduce((sum, [from, to]) => sum + to - from, 0);
  return sum > size ? null : ranges;
}

/** Returns the response with one range of a file, or with several. */
export function partialContent(
  file: MmapFile,
  ranges: Range[],
  was: Deno.FileInfo,
  headers: Headers,
): Response {
  const contentRange = ([from, to]: Range) =>
    `bytes ${from}-${to - 1}/${file.size}`;
  const [first, ...others] = ranges;
  if (first !== undefined && others.length === 0) {
    const [from, to] = first;
    headers.set("content-range", contentRange(first));
    headers.set("content-length", `${to - from}`);
    return responseOf(file, first, was, { status: 206, headers });
  }
  const encoder = new TextEncoder();
  const boundary = crypto.randomUUID();
  const parts = ranges.map((range) => ({
    range,
    head: encoder.encode(
      `\r\n--${boundary}\r\nContent-Type: ${headers.get("content-type")}\r\n` +
        `Content-Range: ${contentRange(range)}\r\n\r\n`,
    ),
  }));
  const end = encoder.encode(`\r\n--${boundary}--\r\n`);
  const length = parts.reduce(
    (sum, { head, range: [from, to] }) => sum + head.length + to - from,
    end.length,
  );
  function* chunks() {
    for (const { head, range } of parts) {
      yield head;
      yield* chunksOf(file, range, was);
    }
    yield end;
  }
  headers.set("content-type", `multipart/byteranges; boundary=${boundary}`);
  headers.set("content-length", `${length}`);
  const body = ReadableStream.from(chunks());
  return new Response(body, { status: 206, headers });
}
