/** examples/serve.ts answers requests as RFC 9110 requires, and never sends bytes that are not in the file. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { NOT_TRUNCATABLE } from "./tested_module.ts";
import { commandOf } from "./run_deno.ts";
import { isWindows, NO_LINKS, NO_REPLACING, TOO_SLOW, unless } from "./skip.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const EXAMPLE = new URL("../examples/serve.ts", import.meta.url);
const SIZE = 3_000_000;

/** The server over a directory, until the end of the block. */
class Server implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  url = "";

  constructor() {
    const permissions = ["--allow-read", "--allow-net", "--allow-ffi"];
    const [program, args] = commandOf(
      [
        "run",
        "--no-check",
        ...permissions,
        fromFileUrl(EXAMPLE),
        this.dir.path,
      ],
    );
    this.#child = new Deno.Command(program, {
      args,
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#output = this.#child.stdout
      .pipeThrough(new TextDecoderStream()).getReader();
  }

  async listen(): Promise<this> {
    while (!this.url.endsWith("\n")) {
      this.url += (await this.#output.read()).value!;
    }
    this.url = this.url.trim();
    return this;
  }

  async fetch(
    path: string,
    headers: Record<string, string | undefined> = {},
    method = "GET",
  ) {
    const given = Object.entries(headers)
      .filter((header): header is [string, string] => header[1] !== undefined);
    const response = await fetch(this.url + path, { method, headers: given });
    return { response, body: await response.bytes() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#output.cancel();
    await this.#child.status;
    this.dir[Symbol.dispose]();
  }
}

function test(
  name: string,
  fn: (server: Server) => Promise<void>,
  reason: string | false = false,
): void {
  Deno.test({
    ...unless(TOO_SLOW || reason, name),
    fn: async () => {
      await using server = await new Server().listen();
      await fn(server);
    },
  });
}

/** A Range header, and the first and last byte of each range of the answer: `null` if the header is ignored. */
const RANGES: [string | undefined, [number, number][] | null][] = [
  [undefined, null],
  ["bytes=0-0", [[0, 0]]],
  ["bytes=0-99", [[0, 99]]],
  ["bytes=100-", [[100, SIZE - 1]]],
  ["bytes=-100", [[SIZE - 100, SIZE - 1]]],
  [`bytes=-${SIZE * 2}`, [[0, SIZE - 1]]],
  [`bytes=${SIZE - 1}-${SIZE + 5}`, [[SIZE - 1, SIZE - 1]]],
  ["BYTES=1-2", [[1, 2]]],
  ["bytes=0-9,20-29,-5", [[0, 9], [20, 29], [SIZE - 5, SIZE - 1]]],
  ["bytes= 5-6 , 1-2", [[5, 6], [1, 2]]],
  [`bytes=0-1,${SIZE}-`, [[0, 1]]],
  // None can be satisfied.
  [`bytes=${SIZE}-`, []],
  [`bytes=${SIZE}-${SIZE + 1},${SIZE + 9}-`, []],
  ["bytes=-0", []],
  // Not ranges: ignored.
  ["bytes=2-1", null],
  ["bytes=-", null],
  ["bytes=a-b", null],
  ["bytes=0-1,x", null],
  ["bytes=", null],
  ["lines=0-1", null],
  ["0-1", null],
  // May be ignored: more bytes than there are.
  ["bytes=0-,0-,0-", null],
  [`bytes=${Array(30).fill("0-1").join()}`, null],
];

/** The status of a request whose precondition is false, by sections 13.1.1 to 13.1.4. */
function preconditionOf(
  condition: Record<string, string | undefined>,
  etag: string,
  { before, modified }: { before: string; modified: string },
): number | null {
  const {
    "if-match": match,
    "if-unmodified-since": unmodified,
    "if-none-match": noneMatch,
    "if-modified-since": modifiedSince,
  } = condition;
  if (match !== undefined) {
    if (!["*", etag, `"other", ${etag}`].includes(match)) return 412;
  } else if (unmodified === before) return 412;
  if (noneMatch !== undefined) return noneMatch === '"other"' ? null : 304;
  const isDate = modifiedSince !== undefined && modifiedSince !== "not a date";
  return isDate && Date.parse(modifiedSince) >= Date.parse(modified)
    ? 304
    : null;
}

/** The parts of a multipart body, by RFC 2046. */
function partsOf(
  body: Uint8Array,
  type: string,
): { range: string; bytes: Uint8Array }[] {
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(type)![1];
  const text = Array.from(body, (byte) => String.fromCharCode(byte)).join("");
  const [preamble, ...parts] = text.split(`\r\n--${boundary}`);
  assertEquals(preamble, "");
  assertEquals(parts.pop(), "--\r\n");
  return parts.map((part) => {
    const [, head, content] = /^\r\n(.*?)\r\n\r\n(.*)$/s.exec(part)!;
    const headers = new Headers(
      head!.split("\r\n").map((line) => line.split(": ") as [string, string]),
    );
    assertEquals(headers.get("content-type"), "application/octet-stream");
    const bytes = Uint8Array.from(content!, (char) => char.charCodeAt(0));
    return { range: headers.get("content-range")!, bytes };
  });
}

test("serve.ts answers ranges and conditions as RFC 9110 requires", async (server) => {
  const bytes = pattern(SIZE);
  server.dir.file(bytes, "data.bin");
  const { response } = await server.fetch("data.bin", {}, "HEAD");
  const etag = response.headers.get("etag")!;
  assert(/^"[^"]+"$/.test(etag), etag);
  // Section 8.8.2: not later than now, and in whole seconds.
  const modified = response.headers.get("last-modified")!;
  const { mtime } = Deno.statSync(server.dir.join("data.bin"));
  assertEquals(modified, mtime!.toUTCString());
  const before = new Date(mtime!.getTime() - 2000).toUTCString();
  const after = new Date(mtime!.getTime() + 2000).toUTCString();

  // Section 13.2.2: If-Match, or else If-Unmodified-Since; then If-None-Match, or else If-Modified-Since; then
  // If-Range and Range.
  const conditions: Record<string, string | undefined>[] = [
    {},
    { "if-match": etag },
    { "if-match": '"other"' },
    { "if-none-match": `"other", W/${etag}` },
    { "if-none-match": '"other"' },
    { "if-range": etag },
    { "if-range": '"other"' },
    { "if-range": "Thu, 01 Jan 1970 00:00:00 GMT" },
    { "if-match": "*", "if-none-match": "*" },
    // Section 13.1.1: a strong comparison; 13.1.2: a weak one.
    { "if-match": `W/${etag}` },
    { "if-match": `"other", ${etag}` },
    { "if-none-match": etag },
    // Section 13.1.5: a weak tag and a date are not strong validators.
    { "if-range": `W/${etag}` },
    { "if-range": modified },
    { "if-unmodified-since": modified },
    { "if-unmodified-since": before },
    { "if-unmodified-since": "not a date" },
    { "if-match": etag, "if-unmodified-since": before },
    { "if-modified-since": modified },
    { "if-modified-since": before },
    { "if-modified-since": after },
    { "if-modified-since": "not a date" },
    { "if-none-match": '"other"', "if-modified-since": modified },
    { "if-match": '"other"', "if-none-match": etag },
    { "if-unmodified-since": before, "if-modified-since": after },
  ];
  for (const condition of conditions) {
    // Most headers are tried with one condition only.
    const tried = Object.keys(condition).length === 0
      ? RANGES
      : RANGES.filter((_, k) => k % 4 === 1 || k === 0);
    for (const [range, expected] of tried) {
      for (const method of ["GET", "HEAD"]) {
        const headers = { ...condition, range };
        const { response, body } = await server.fetch(
          "data.bin",
          headers,
          method,
        );
        const what = JSON.stringify({ method, ...headers });
        const ifRange = condition["if-range"];
        const ranges =
          method === "HEAD" || ifRange !== undefined && ifRange !== etag
            ? null
            : expected;
        const failed = preconditionOf(condition, etag, { before, modified });
        const status = failed !== null
          ? failed
          : ranges === null
          ? 200
          : ranges.length === 0
          ? 416
          : 206;
        assertEquals(response.status, status, what);
        const { headers: answered } = response;
        assertEquals(answered.get("etag"), etag, what);
        assertEquals(answered.get("accept-ranges"), "bytes", what);
        const contentRange = answered.get("content-range");
        if (status === 416) assertEquals(contentRange, `bytes */${SIZE}`, what);
        if (status === 200) {
          assertEquals(answered.get("content-length"), `${SIZE}`, what);
          assertEquals(contentRange, null, what);
          assert(method === "HEAD" || equal(body, bytes), what);
        }
        if (status !== 206) {
          assert(status === 200 && method === "GET" || body.length === 0, what);
          continue;
        }
        assertEquals(answered.get("content-length"), `${body.length}`, what);
        const type = answered.get("content-type")!;
        const parts = ranges!.length === 1
          ? [{ range: contentRange, bytes: body }]
          : partsOf(body, type);
        assertEquals(parts.length, ranges!.length, what);
        for (const [k, [first, last]] of ranges!.entries()) {
          assertEquals(parts[k]!.range, `bytes ${first}-${last}/${SIZE}`, what);
          assert(equal(parts[k]!.bytes, bytes.subarray(first, last + 1)), what);
        }
      }
    }
  }
});

test(
  "serve.ts serves files below its directory, and nothing else",
  async (server) => {
    const { dir } = server;
    dir.file("page", "index.html");
    dir.file("", "empty.txt");
    dir.file("text", "with space+é.json");
    Deno.mkdirSync(dir.join("folder"));
    const statuses: Record<string, number> = {
      "": 200,
      "index.html": 200,
      "empty.txt": 200,
      "with%20space+%C3%A9.json": 200,
      "missing": 404,
      "folder": 404,
      "folder/": 404,
      "index.html/": 404,
      "%00": 400,
      "%zz": 400,
      "..%2f..%2fetc%2fpasswd": 404,
      "%2e%2e/%2e%2e/etc/passwd": 404,
    };
    for (const [path, status] of Object.entries(statuses)) {
      assertEquals((await server.fetch(path)).response.status, status, path);
    }
    const { response, body } = await server.fetch("");
    assertEquals(
      response.headers.get("content-type"),
      "text/html; charset=utf-8",
    );
    assertEquals(body, encode("page"));
    const empty = await server.fetch("empty.txt", { range: "bytes=0-" });
    assertEquals(empty.response.headers.get("content-range"), "bytes */0");
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const { response } = await server.fetch("", {}, method);
      assertEquals(response.status, 405);
      assertEquals(response.headers.get("allow"), "GET, HEAD");
    }
  },
  isWindows && "Windows allows other file names",
);

test("serve.ts does not follow a link out of its directory", async (server) => {
  using outside = new TempDir();
  Deno.symlinkSync(outside.file("secret"), server.dir.join("link"));
  assertEquals((await server.fetch("link")).response.status, 404);
}, NO_LINKS);

test(
  "serve.ts serves the file that replaced another, and finishes responses that it began",
  async (server) => {
    const { dir } = server;
    const size = 64 << 20;
    const [old, next] = [pattern(size), pattern(1000, 7)];
    const path = dir.file(old);
    const response = await fetch(server.url + "data");
    const reader = response.body!.getReader();
    let received = (await reader.read()).value!.length;
    Deno.renameSync(dir.file(next, "next"), path);
    assert(equal((await server.fetch("data")).body, next));
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      assert(equal(value, old.subarray(received, received + value.length)));
      received += value.length;
    }
    assertEquals(received, size);
    // In place, with the same size.
    Deno.writeFileSync(path, pattern(1000, 8));
    assert(equal((await server.fetch("data")).body, pattern(1000, 8)));
  },
  NO_REPLACING,
);

test(
  "serve.ts aborts a body whose file is truncated, and continues serving",
  async (server) => {
    const path = server.dir.file(64 << 20);
    const response = await fetch(server.url + "data");
    const reader = response.body!.getReader();
    await reader.read();
    Deno.truncateSync(path, 10);
    // The rest of the body may be zeros now. So the body must not end as if it were complete.
    await assertRejects(async () => {
      while (!(await reader.read()).done);
    }, TypeError);
    assert(equal((await server.fetch("data")).body, pattern(10)));
  },
  NOT_TRUNCATABLE,
);

/** More than the system buffers between the server and a client that does not read. */
const LARGE = 48 << 20;

/** Changes of a file in place by another process, and the Range header of a request during them. */
const CHANGES: [name: string, range: string, (path: string) => void][] = [
  ["emptied", "", (path) => Deno.truncateSync(path, 0)],
  [
    "truncated by a byte",
    "bytes=0-",
    (path) => Deno.truncateSync(path, LARGE - 1),
  ],
  ["written to", `bytes=1-${LARGE - 2}`, (path) => {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(-1, Deno.SeekMode.End);
    file.writeSync(Uint8Array.of(0));
  }],
  ["written again", "", (path) => Deno.writeFileSync(path, pattern(1000))],
];

test(
  "serve.ts does not complete a body whose file is changed in place, and continues serving",
  async (server) => {
    const old = pattern(LARGE);
    for (const [name, range, change] of CHANGES) {
      const path = server.dir.file(old);
      const response = await fetch(server.url + "data", { headers: { range } });
      const reader = response.body!.getReader();
      await reader.read();
      // Modification times have a resolution of some milliseconds.
      await sleep(20);
      change(path);
      let end: unknown = `${name}, and complete`;
      try {
        while (!(await reader.read()).done);
      } catch (error) {
        end = error;
      }
      assertInstanceOf(end, TypeError);
      const { body } = await server.fetch("data");
      assert(equal(body, Deno.readFileSync(path)), name);
    }
  },
  NOT_TRUNCATABLE,
);
