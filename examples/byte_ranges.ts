/**
 * Range requests of HTTP: RFC 9110, section 14.
 *
 * @module
 */

/** The first byte, and the byte after the last. */
export type Range = [from: number, to: number];

import type { MmapFile } from "../mod.ts";

/** Bodies of up to this many bytes are sent at once, which is faster than a stream. */
const SMALL = 256 << 10;

/** The most ranges that are sent for one request. */
const MOST_RANGES = 20;

/** Returns the ranges that a header requests: `null` for everything, an empty list if none can be satisfied. */
export function parseRanges(
  header: string | null,
  size: number,
): Range[] | null {
  const specs = /^bytes=(.+)$/i.exec(header ?? "")?.[1].split(",");
  if (specs === undefined || specs.length > MOST_RANGES) return null;
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

/** Returns a range of a file as the body of a response. Of a large one, only a chunk is in memory. */
export function bodyOf(file: MmapFile, [from, to]: Range): BodyInit {
  const length = to - from;
  return length <= SMALL
    ? file.copy(from, length)
    : file.blob({ offset: from, length });
}

/** Returns the response with one range of a file, or with several. */
export function partialContent(
  file: MmapFile,
  ranges: Range[],
  headers: Headers,
): Response {
  const contentRange = ([from, to]: Range) =>
    `bytes ${from}-${to - 1}/${file.size}`;
  if (ranges.length === 1) {
    const [[from, to]] = ranges;
    headers.set("content-range", contentRange(ranges[0]));
    headers.set("content-length", `${to - from}`);
    return new Response(bodyOf(file, ranges[0]), { status: 206, headers });
  }
  const boundary = crypto.randomUUID();
  const parts = ranges.flatMap((range) => [
    `\r\n--${boundary}\r\nContent-Type: ${headers.get("content-type")}\r\n` +
    `Content-Range: ${contentRange(range)}\r\n\r\n`,
    file.blob().slice(...range),
  ]);
  const body = new Blob([...parts, `\r\n--${boundary}--\r\n`]);
  headers.set("content-type", `multipart/byteranges; boundary=${boundary}`);
  headers.set("content-length", `${body.size}`);
  return new Response(body, { status: 206, headers });
}
