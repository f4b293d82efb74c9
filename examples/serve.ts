#!/usr/bin/env -S deno run --allow-read --allow-net --allow-ffi
/**
 * Serves a directory over HTTP from mapped files, with ranges and conditions as RFC 9110 has them. Large
 * bodies are sent without a copy. If the file changes while it is sent, the connection is closed.
 *
 * @module
 */

import { sep } from "node:path";
import { parseArgs } from "node:util";
import { type MmapFile, openSync } from "@mmapfile/mmapfile";
import { parseRanges, partialContent } from "./byte_ranges.ts";
import { main, wholeNumber } from "./cli.ts";
import { etagOf, responseOf } from "./file_body.ts";
import { failedPrecondition } from "./preconditions.ts";

const USAGE = `Usage: serve.ts [-p PORT] DIRECTORY

Serves the files of the directory on 127.0.0.1.

  -p PORT  the port, by default any that is free`;

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  json: "application/json",
  png: "image/png",
};

const MAX_FILES = 100;

/** Files kept open, by their paths. */
const files = new Map<string, MmapFile>();

/** The file at a path, which stays open for later requests. */
function fileAt(path: string): MmapFile {
  const known = files.get(path);
  if (known?.isCurrent()) return known;
  // Bodies may still read a file that was replaced, so it is dropped instead of closed.
  const file = openSync(path, { advice: "sequential" });
  files.delete(path);
  files.set(path, file);
  if (files.size > MAX_FILES) files.delete(files.keys().next().value!);
  return file;
}

/** The path that a URL names, if it is below the root. */
function pathOf(root: string, pathname: string): string {
  const name = decodeURIComponent(pathname.replace(/\/$/, "/index.html"));
  const path = Deno.realPathSync(root + name);
  if (path.startsWith(root + sep)) return path;
  throw new Deno.errors.NotFound(`Cannot serve '${name}': outside the root`);
}

function respond(root: string, request: Request): Response {
  const { method, headers: asked } = request;
  if (method !== "GET" && method !== "HEAD") {
    return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
  }
  const path = pathOf(root, new URL(request.url).pathname);
  const file = fileAt(path);
  const info = file.statSync();
  const [etag, modified] = [etagOf(info), info.mtime!];
  const headers = new Headers({
    etag,
    "last-modified": modified.toUTCString(),
    "accept-ranges": "bytes",
  });
  const answer = (status: number) => new Response(null, { status, headers });
  const failed = failedPrecondition(asked, etag, modified);
  if (failed !== null) return answer(failed);

  // A date is not a strong validator: the file may have changed twice in that second.
  const isSame = (asked.get("if-range") ?? etag) === etag;
  const ranges = method === "GET" && isSame
    ? parseRanges(asked.get("range"), file.size)
    : null;
  if (ranges?.length === 0) {
    headers.set("content-range", `bytes */${file.size}`);
    return answer(416);
  }
  const extension = path.slice(path.lastIndexOf(".") + 1);
  headers.set("content-type", TYPES[extension] ?? "application/octet-stream");
  if (ranges !== null) return partialContent(file, ranges, info, headers);
  headers.set("content-length", `${file.size}`);
  if (method === "HEAD") return answer(200);
  return responseOf(file, [0, file.size], info, { headers });
}

/** The status of a request that fails. */
function statusOf(error: unknown): number {
  const { NotFound, NotADirectory, IsADirectory } = Deno.errors;
  const is = (type: new () => Error) => error instanceof type;
  if ([NotFound, NotADirectory, IsADirectory].some(is)) return 404;
  return [URIError, TypeError].some(is) ? 400 : 500;
}

await main(USAGE, async () => {
  const { values, positionals: [directory, ...more] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { port: { type: "string", short: "p", default: "0" } },
  });
  if (directory === undefined || more.length > 0) {
    throw new Error("Cannot serve: one directory is needed; see --help");
  }
  const root = await Deno.realPath(directory);
  const server = Deno.serve({
    port: wholeNumber("-p", values.port),
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
  }, (request) => {
    try {
      return respond(root, request);
    } catch (error) {
      return new Response(null, { status: statusOf(error) });
    }
  });
  await server.finished;
});
