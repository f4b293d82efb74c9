/**
 * Calls on an open file that was truncated, through memory and through the descriptor, growing and fixed;
 * and the same calls on a Deno.FsFile. Arguments: the cases, separated by commas, the new length, "on" or
 * "off" for the guard, and the path of the file. Prints the findings as JSON, one line for each case.
 */

import { createHash } from "node:crypto";
import { openSync } from "../../mod.ts";
import type { MmapFile } from "../../mod.ts";
import { mappedAfter } from "../mapped_after.ts";

const [names, newLength, guard, path] = Deno.args as [
  string,
  string,
  string,
  string,
];
const newSize = Number(newLength);
/** The current case, and the size of its file. */
let name = "";
let fullSize = 0;
const { Start, End } = Deno.SeekMode;

/** The state of a file after a call. */
export interface Found {
  /** What the call returned, or the name of the error that it threw. */
  came: string;
  /** The cursor. */
  position: number;
  /** The size of the file on the disk. */
  size: number;
  /** The digest of its bytes. */
  digest: string;
}

/** The state of an `MmapFile`. */
export interface FoundOfOurs extends Found {
  truncated: boolean;
  /** What two calls of `bytes()` returned or threw. */
  bytes: [string, string];
  /** After refresh(): `size`, and the lengths of `bytes()` and of a read. */
  refreshed: [number, number, number | null];
}

/** What this program prints of each case. */
export interface Findings {
  name: string;
  denos: Found;
  ours: { grow: boolean; usesMemory: boolean; found: FoundOfOurs }[];
}

type AnyFile = MmapFile | Deno.FsFile;

/** Calls of methods that Deno.FsFile has too, on bytes past the new end. */
const SHARED: Record<string, (file: AnyFile) => unknown> = {
  readSync: (file) => readFrom(file, fullSize - 4096, 4096),
  largeRead: (file) => readFrom(file, 0, fullSize),
  async read(file) {
    file.seekSync(0, Start);
    const p = new Uint8Array(fullSize);
    return seen(p, await file.read(p));
  },
  async readable(file) {
    const bytes = await new Response(file.readable).bytes();
    return seen(bytes, bytes.length);
  },
  writeSync1KB: (file) => writeTo(file, fullSize - 2048, 1024),
  writeSync1MB: (file) => writeTo(file, fullSize - (1 << 20), 1 << 20),
  write(file) {
    file.seekSync(0, Start);
    return file.write(new Uint8Array(fullSize).fill(1));
  },
  growBySmall(file) {
    file.seekSync(0, End);
    return file.writeSync(new Uint8Array(100).fill(1));
  },
  growByLarge(file) {
    file.seekSync(0, End);
    return file.writeSync(new Uint8Array(1 << 20).fill(1));
  },
  statSync: (file) => file.statSync().size,
  stat: async (file) => (await file.stat()).size,
  seekSync: (file) => file.seekSync(-1, End),
  syncSync: (file) => file.syncSync(),
  sync: (file) => file.sync(),
  syncData: (file) => file.syncData(),
  // Deno's returns null.
  truncateSync: (file) => void file.truncateSync(100),
};

/** Calls of methods that Deno.FsFile lacks, and their equivalents there. */
const LIKE_SHARED: Record<
  string,
  [(file: MmapFile) => unknown, (file: Deno.FsFile) => unknown]
> = {
  readAtSync: [
    (file) => {
      const p = new Uint8Array(100);
      return seen(p, file.readAtSync(p, fullSize - 200));
    },
    (file) => keepingCursor(file, () => readFrom(file, fullSize - 200, 100)),
  ],
  readAt: [
    async (file) => {
      const p = new Uint8Array(4096);
      return seen(p, await file.readAt(p, fullSize - 5000));
    },
    (file) => keepingCursor(file, () => readFrom(file, fullSize - 5000, 4096)),
  ],
  writeAtSync: [
    (file) => file.writeAtSync(new Uint8Array(10), fullSize - 100),
    (file) => keepingCursor(file, () => writeTo(file, fullSize - 100, 10, 0)),
  ],
  largeWrite: [
    (file) => file.writeAtSync(new Uint8Array(fullSize), 0),
    (file) => keepingCursor(file, () => writeTo(file, 0, fullSize, 0)),
  ],
  writeString: [
    (file) => {
      file.seekSync(fullSize - 4096, Start);
      return file.writeStringSync("some text");
    },
    (file) => {
      file.seekSync(fullSize - 4096, Start);
      return file.writeSync(new TextEncoder().encode("some text"));
    },
  ],
};

/** Calls that only an MmapFile has. */
const OURS: Record<string, (file: MmapFile) => unknown> = {
  bytesLoop(file) {
    touch(file);
    return file.bytes().length;
  },
  lines: (file) => Array.from(file.lines()).length,
  text: (file) => file.text(fullSize - 200, 100),
  copy: (file) => file.copy(fullSize - 200, 100),
  textLines: (file) => Array.from(file.textLines()).length,
  chunks: (file) => {
    for (const chunk of file.chunks(64 << 10)) chunk.indexOf(255);
  },
  indexOf: (file) => file.indexOf("no such thing"),
  lastIndexOf: (file) => file.lastIndexOf("no such thing"),
  includes: (file) => file.includes(255),
  flushSync: (file) => file.flushSync(),
  flush: (file) => file.flush(),
  writeToFsFile(file) {
    using target = Deno.createSync(`${path}-copy`);
    return file.writeToSync(target);
  },
};

/** Reads of a view, which show zeros, followed by calls that Deno.FsFile has too. */
const SEEN_LATER: Record<string, (file: AnyFile) => unknown> = {
  async decode(file) {
    if ("bytes" in file) new TextDecoder().decode(file.bytes());
    return await file.read(new Uint8Array(100));
  },
  async digest(file) {
    if ("bytes" in file) await crypto.subtle.digest("SHA-256", file.bytes());
    return file.readSync(new Uint8Array(1));
  },
  fill(file) {
    // Only past the new end, where a Deno.FsFile would extend the file.
    if ("bytes" in file) file.bytes(Math.ceil(newSize / 65536) * 65536).fill(7);
    return file.readSync(new Uint8Array(1));
  },
  loop(file) {
    if ("bytes" in file) touch(file);
    return file.statSync().size;
  },
};

function touch(file: MmapFile): number {
  const bytes = file.bytes();
  let sum = 0;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < bytes.length; i++) sum += bytes[i]!;
  }
  return sum;
}

function readFrom(file: AnyFile, position: number, length: number): unknown {
  file.seekSync(position, Start);
  const p = new Uint8Array(length);
  return seen(p, file.readSync(p));
}

function writeTo(
  file: AnyFile,
  position: number,
  length: number,
  byte = 1,
): number {
  file.seekSync(position, Start);
  return file.writeSync(new Uint8Array(length).fill(byte));
}

function keepingCursor(file: Deno.FsFile, use: () => unknown): unknown {
  const position = file.seekSync(0, Deno.SeekMode.Current);
  const came = use();
  file.seekSync(position, Start);
  return came;
}

function seen(p: Uint8Array, read: number | null): unknown {
  return read === null ? null : [read, digestOf(p.subarray(0, read))];
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

async function cameOf(call: () => unknown): Promise<string> {
  try {
    return `returned ${JSON.stringify(await call())}`;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

async function foundOf(
  file: AnyFile,
  isClosed: () => boolean,
  call: () => unknown,
): Promise<Found> {
  Deno.truncateSync(path, newSize);
  const came = await cameOf(call);
  const position = isClosed() ? -1 : file.seekSync(0, Deno.SeekMode.Current);
  const bytes = Deno.readFileSync(path);
  return { came, position, size: bytes.length, digest: digestOf(bytes) };
}

async function foundOfDenos(): Promise<Found> {
  Deno.writeFileSync(path, new Uint8Array(fullSize).fill(10));
  const file = Deno.openSync(path, { read: true, write: true });
  const isClosed = () => name === "readable";
  const use = SHARED[name] ?? SEEN_LATER[name] ?? LIKE_SHARED[name]?.[1];
  const found = await foundOf(file, isClosed, () => use?.(file));
  if (!isClosed()) file.close();
  return found;
}

async function foundOfOurs(
  grow: boolean,
  calls: number,
): Promise<FoundOfOurs> {
  Deno.writeFileSync(path, new Uint8Array(fullSize).fill(10));
  const file = openSync(
    path,
    mappedAfter(calls, {
      read: true,
      write: true,
      grow,
      guard: guard === "on",
    }),
  );
  const p = new Uint8Array(1);
  file.readAtSync(p, 0);
  // The first large write goes through the descriptor, the second through memory.
  if (name.startsWith("large")) {
    file.writeAtSync(new Uint8Array(fullSize).fill(10), 0);
  }
  const use = SHARED[name] ?? SEEN_LATER[name] ?? LIKE_SHARED[name]?.[0] ??
    OURS[name];
  const found = await foundOf(file, () => file.closed, () => use!(file));
  const { truncated } = file;
  const lengthOf = () => file.bytes().length;
  const bytes: [string, string] = [
    await cameOf(lengthOf),
    await cameOf(lengthOf),
  ];
  if (file.closed) return { ...found, truncated, bytes, refreshed: [0, 0, 0] };
  file.refresh();
  const read = file.readAtSync(p, Math.max(0, found.size - 1));
  const refreshed: [number, number, number | null] = [
    file.size,
    file.bytes().length,
    read,
  ];
  file.close();
  return { ...found, truncated, bytes, refreshed };
}

/** Runs a case with all kinds of files. */
async function findingsOf(): Promise<Findings> {
  const ours = [];
  for (const grow of [true, false]) {
    for (const usesMemory of [true, false]) {
      const found = await foundOfOurs(grow, usesMemory ? 0 : Infinity);
      ours.push({ grow, usesMemory, found });
    }
  }
  return { name, denos: await foundOfDenos(), ours };
}

if (import.meta.main) {
  for (name of names.split(",")) {
    fullSize = (name.startsWith("large") ? 40 : 2) << 20;
    console.log(JSON.stringify(await findingsOf()));
  }
}
