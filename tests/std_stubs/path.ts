/** What the tests use of `@std/path`, over node:path, if the registry cannot be reached. */

import { fileURLToPath, pathToFileURL } from "node:url";

export { basename, dirname, join, resolve } from "node:path";

export function fromFileUrl(url: string | URL): string {
  return fileURLToPath(url);
}

export function toFileUrl(path: string): URL {
  return pathToFileURL(path);
}
