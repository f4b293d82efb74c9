/**
 * The library as the tests import it: MMAPFILE_TEST_BACKEND=fallback opens every file with that
 * backend. The import map of `tests/std_stubs/` puts this in the place of `mod.ts`.
 */

import * as library from "../mod.ts";
import type { MmapFile, MmapOpenOptions } from "../mod.ts";
import { ENGINE_OWNS_MEMORY, isWindows, type Reason } from "./skip.ts";

export * from "../mod.ts";

const asked = Deno.env.get("MMAPFILE_TEST_BACKEND");
if (asked !== undefined && asked !== "fallback") {
  throw new TypeError(`MMAPFILE_TEST_BACKEND is "${asked}", not "fallback"`);
}

/** Whether memory is a copy of the file, so that each sees changes of the other at a sync or a refresh. */
export const isCopy: boolean = asked === "fallback";

/** Whether others can cut a file that is open here: Windows refuses it to all while there is a mapping. */
export const mayBeCut: boolean = !isWindows || isCopy;

/** Why the buffer under a view cannot be transferred. */
export const NOT_TRANSFERABLE: Reason = !isCopy && ENGINE_OWNS_MEMORY;
export const NOT_CUT: Reason = !mayBeCut &&
  "Windows lets nobody cut a file that is mapped";
/** Memory that is moved away may take changes with it, unless it is the file's own pages. */
export const MAY_LOSE: Reason = isCopy &&
  "a copy throws once its memory was moved away, as fallback_test.ts shows";
export const NO_BLOCKS: Reason = isCopy && "no call of Deno's reserves blocks";
export const NO_ADDRESSES: Reason = isCopy &&
  "a copy takes memory where a mapping takes addresses";

/** The options of an open: the test's own, and the backend. */
function withBackend(
  given?: MmapOpenOptions | null,
): MmapOpenOptions | null | undefined {
  return asked === undefined ? given : { backend: "fallback", ...given };
}

const CREATE = { read: true, write: true, create: true, truncate: true };

/** Open files that are to be written back before a test looks at the disk. */
const copies = new Set<MmapFile>();

export async function open(
  path: string | URL,
  given?: MmapOpenOptions | null,
): Promise<MmapFile> {
  return noted(await library.open(path, withBackend(given)));
}

export function openSync(
  path: string | URL,
  given?: MmapOpenOptions | null,
): MmapFile {
  return noted(library.openSync(path, withBackend(given)));
}

export async function create(
  path: string | URL,
  size?: number,
): Promise<MmapFile> {
  return await (isCopy
    ? open(path, { ...CREATE, size })
    : library.create(path, size));
}

export function createSync(path: string | URL, size?: number): MmapFile {
  return isCopy
    ? openSync(path, { ...CREATE, size })
    : library.createSync(path, size);
}

function noted(file: MmapFile): MmapFile {
  if (isCopy) copies.add(file);
  return file;
}

/** Writes back what a mapping would have in the file at once. */
function writeBack(): void {
  for (const file of copies) {
    try {
      if (!file.closed) file.flushSync();
      else copies.delete(file);
    } catch {
      // Cut, or moved away: what comes of that is for the test to see.
    }
  }
}

if (isCopy) {
  for (
    const name of [
      "openSync",
      "open",
      "readFile",
      "readFileSync",
      "readTextFile",
      "readTextFileSync",
    ] as const
  ) {
    const look = Deno[name];
    Object.defineProperty(Deno, name, {
      value: (...args: unknown[]) => {
        writeBack();
        return Reflect.apply(look, Deno, args);
      },
    });
  }
}
