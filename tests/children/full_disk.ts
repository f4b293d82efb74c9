/**
 * Writes to a sparse file on a full disk, where a page fault raises SIGBUS.
 * `full_disk.ts DIRECTORY` prints the error of each kind of write, and "done".
 */

import { Buffer } from "node:buffer";
import {
  createSync,
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  SystemError,
  toWritableStream,
  TruncatedError,
} from "../../mod.ts";
import { libc } from "../../src/posix/libc.ts";
import { collectUntil } from "../gc.ts";
import { mappedAfter } from "../mapped_after.ts";
import { countMappings } from "../open_handles.ts";

const [directory] = Deno.args as [string];
const PAGE = libc().getpagesize();
const MB = 1 << 20;
/** Memory is used from the first call on. */
const MAPPED_WRITE = mappedAfter(0, { read: true, write: true });

const one = new Uint8Array(1);
const kilobyte = new Uint8Array(1024).fill(1);
const megabyte = new Uint8Array(MB).fill(1);

/** Ways to write more than the disk has room for. */
const writes: Record<string, (file: MmapFile) => unknown> = {
  bytes(file) {
    file.bytes().fill(1);
    file.readAtSync(one, 0);
    file.bytes();
  },
  view(file) {
    const numbers = file.view(Float64Array);
    for (let i = 0; i < numbers.length; i++) numbers[i] = i;
    file.flushSync();
  },
  writeSync: (file) => repeat(file, () => file.writeSync(kilobyte)),
  writeSyncLarge: (file) => file.writeSync(new Uint8Array(file.size).fill(1)),
  writeAtSync: (file) => file.writeAtSync(kilobyte, file.size - 2000),
  write: (file) => file.write(new Uint8Array(file.size).fill(1)),
  writeString: (file) => repeat(file, () => file.writeStringSync("some text")),
  stream: (file) =>
    new Blob([new Uint8Array(file.size)]).stream()
      .pipeTo(toWritableStream(file)),
  close(file) {
    file.bytes().fill(1);
    file.close();
  },
};

function repeat(file: MmapFile, write: () => number): void {
  for (let at = 0; at < file.size - 2000; at += write());
}

/** Writes to a sparse file when the disk is full, and returns the class of the error. */
async function writeToFull(
  write: (file: MmapFile) => unknown,
  options: MmapOpenOptions,
): Promise<string> {
  const path = `${directory}/sparse`;
  const other = `${directory}/other`;
  using otherFile = createSync(other, 256 << 10);
  otherFile.bytes().fill(7);
  const sparse = { create: true, size: 4 * MB, sparse: true };
  const file = openSync(path, { ...MAPPED_WRITE, ...sparse, ...options });
  fillDisk();
  const thrown = await classOf(() => write(file));

  // The other file is unchanged, and can be written.
  const bytes = otherFile.bytes();
  if (!bytes.every((byte) => byte === 7)) {
    throw new Error("the other file changed");
  }
  bytes.fill(8);
  otherFile.writeAtSync(kilobyte, 1000);
  otherFile.syncSync();
  const expected = new Uint8Array(256 << 10).fill(8);
  expected.set(kilobyte, 1000);
  if (!Buffer.from(Deno.readFileSync(other)).equals(expected)) {
    throw new Error("a write to the other file was lost");
  }

  // With free space, the file is usable again.
  Deno.removeSync(`${directory}/filler`);
  if (!file.closed) {
    file.refresh();
    file.bytes().fill(9);
    file.writeAtSync(kilobyte, 0);
    file.syncSync();
    file.close();
    if (Deno.readFileSync(path)[2000] !== 9) throw new Error("a lost write");
  }
  Deno.removeSync(path);
  // Memory that was handed out keeps the file's blocks until the engine has freed it.
  await collectUntil(() => countMappings(path) === 0);
  return thrown;
}

function fillDisk(): void {
  using filler = Deno.createSync(`${directory}/filler`);
  const block = new Uint8Array(PAGE);
  try {
    for (;;) filler.writeSync(block);
  } catch (error) {
    if (!`${error}`.includes("os error 28")) throw error;
  }
}

async function classOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return "nothing";
  } catch (error) {
    if (error instanceof SystemError) return `SystemError ${error.code}`;
    if (error instanceof TruncatedError) return "TruncatedError";
    throw error;
  }
}

for (const [name, write] of Object.entries(writes)) {
  console.log(name, await writeToFull(write, { read: true }));
}
const growOn = (file: MmapFile) => {
  file.seekSync(0, Deno.SeekMode.End);
  file.writeSync(megabyte);
};
console.log("grow", await writeToFull(growOn, { grow: true }));
console.log("done");
Deno.exit(0);
