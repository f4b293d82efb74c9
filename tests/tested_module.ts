/**
 * The library as the tests import it: MMAPFILE_TEST_BACKEND=fallback opens every file with that
 * backend. The import map of `tests/std_stubs/` replaces `mod.ts` by this module.
 */

import * as library from "../mod.ts";
import type { MmapFile, MmapOpenOptions } from "../mod.ts";
import {
  ENGINE_OWNS_MEMORY,
  isWindows,
  NO_SHARED_MEMORY,
  type Reason,
} from "./skip.ts";

export * from "../mod.ts";

const asked = Deno.env.get("MMAPFILE_TEST_BACKEND");
if (asked !== undefined && asked !== "fallback") {
  throw new TypeError(`MMAPFILE_TEST_BACKEND is "${asked}", not "fallback"`);
}

/** Whether memory is a copy of the file: changes reach the file at a sync, and memory at a refresh. */
export const isCopy: boolean = asked === "fallback";

/** Whether another process can truncate an open file. Windows refuses it while the file is mapped. */
export const isTruncatable: boolean = !isWindows || isCopy;

/** Why the buffer under a view cannot be transferred. */
export const NOT_TRANSFERABLE: Reason = !isCopy && ENGINE_OWNS_MEMORY;
export const NOT_TRUNCATABLE: Reason = !isTruncatable &&
  "Windows does not truncate a mapped file";
/** Memory that is transferred may take changes with it, unless it is the file's own pages. */
export const MAY_LOSE: Reason = isCopy &&
  "the fallback throws once its memory was transferred, see fallback_test.ts";
export const NO_BLOCKS: Reason = isCopy && "the fallback cannot reserve blocks";
export const NO_ADDRESSES: Reason = isCopy &&
  "the fallback needs memory for all bytes of the file";
export const NOT_SHAREABLE: Reason = isCopy
  ? "this backend has no shared memory"
  : NO_SHARED_MEMORY;
export const FALLBACK_KEEPS: Reason = isCopy &&
  "the fallback keeps the bytes of a truncated file";

/** Adds the backend to the options of an open. */
function withBackend(
  given?: MmapOpenOptions | null,
): MmapOpenOptions | null | undefined {
  return asked === undefined ? given : { backend: "fallback", ...given };
}

const CREATE = { read: true, write: true, create: true, truncate: true };

/** Open files to write back before a test reads the disk. */
const copies = new Set<MmapFile>();

export function open(
  path: string | URL,
  given: MmapOpenOptions & { shared: true },
): Promise<MmapFile<SharedArrayBuffer>>;
export function open(
  path: string | URL,
  given?: MmapOpenOptions | null,
): Promise<MmapFile>;
export async function open(
  path: string | URL,
  given?: MmapOpenOptions | null,
): Promise<MmapFile<ArrayBufferLike>> {
  return tracked(await library.open(path, withBackend(given)));
}

export function openSync(
  path: string | URL,
  given?: MmapOpenOptions | null,
): MmapFile {
  return tracked(library.openSync(path, withBackend(given)));
}

export async function create(
  path: string | URL,
  size?: number,
): Promise<MmapFile> {
  return await (isCopy
    ? open(path, { ...CREATE, size } as MmapOpenOptions)
    : library.create(path, size));
}

export function createSync(path: string | URL, size?: number): MmapFile {
  return isCopy
    ? openSync(path, { ...CREATE, size } as MmapOpenOptions)
    : library.createSync(path, size);
}

function tracked(file: MmapFile): MmapFile {
  if (isCopy) copies.add(file);
  return file;
}

/** Writes back the changes that a mapping would have in the file at once. */
function writeBack(): void {
  for (const file of copies) {
    try {
      if (!file.closed) file.flushSync();
      else copies.delete(file);
    } catch {
      // Truncated or transferred: the test checks the consequences.
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
    const original = Deno[name];
    Object.defineProperty(Deno, name, {
      value: (...args: unknown[]) => {
        writeBack();
        return Reflect.apply(original, Deno, args);
      },
    });
  }
}
