/** The modification time of a file that is written through memory, compared with Deno.FsFile. */

import { assert, assertEquals } from "@std/assert";
import { type MmapFile, openSync } from "@mmapfile/mmapfile";
import { isCopy } from "./tested_module.ts";
import { isWindows, type Reason } from "./skip.ts";
import { encode } from "./bytes.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

const WRITE = { read: true, write: true };
const OLD = new Date("2001-02-03T04:05:06Z");

/** Other backends write through the system, which sets the times. */
const NOT_MAPPED: Reason = (isCopy || isWindows) &&
  "this backend writes through the system, which sets the times";

/** Ways to change a file of 64 KiB whose pages are in memory, and dirty. */
const WRITES: Record<string, (file: MmapFile) => unknown> = {
  writeSync: (file) => file.writeSync(encode("new")),
  write: (file) => file.write(encode("new")),
  writeAtSync: (file) => file.writeAtSync(encode("new"), 100),
  writeStringSync: (file) => file.writeStringSync("new"),
  "a view": (file) => file.bytes().fill(7, 0, 10),
};

/** The calls that update the file's times at the latest. */
const ENDS: Record<string, (file: MmapFile) => unknown> = {
  syncSync: (file) => file.syncSync(),
  sync: (file) => file.sync(),
  syncDataSync: (file) => file.syncDataSync(),
  flushSync: (file) => file.flushSync(),
  flush: (file) => file.flush(),
  close: () => {},
};

function timeOf(path: string): number {
  return Deno.statSync(path).mtime!.getTime();
}

/** An open file whose first page is dirty already, and whose modification time is old. */
function dirtyFile(dir: TempDir): { path: string; file: MmapFile } {
  const path = dir.file(64 << 10);
  const file = openSync(path, WRITE);
  file.writeAtSync(encode("old"), 0);
  Deno.utimeSync(path, OLD, OLD);
  return { path, file };
}

for (const [how, write] of Object.entries(WRITES)) {
  for (const [until, end] of Object.entries(ENDS)) {
    testInDir(
      `a write by ${how} moves the modification time at ${until}`,
      async (dir) => {
        const { path, file } = dirtyFile(dir);
        await write(file);
        await end(file);
        if (until === "close") file.close();
        assert(timeOf(path) > OLD.getTime());
        if (!file.closed) file.close();
      },
      NOT_MAPPED,
    );
  }
}

testInDir("a file that is only read keeps its modification time", (dir) => {
  const path = dir.file(64 << 10);
  Deno.utimeSync(path, OLD, OLD);
  {
    using file = openSync(path);
    file.readSync(new Uint8Array(100));
    assertEquals(file.bytes().length, 64 << 10);
    file.syncSync();
  }
  {
    using file = openSync(path, WRITE);
    file.readSync(new Uint8Array(100));
    file.syncSync();
  }
  assertEquals(timeOf(path), OLD.getTime());
});

testInDir("MmapFile.utimeSync() after a write sets the final time", (dir) => {
  for (const how of ["writeSync", "a view"]) {
    const { path, file } = dirtyFile(dir);
    WRITES[how]!(file);
    file.utimeSync(OLD, OLD);
    file.close();
    assertEquals(timeOf(path), OLD.getTime(), how);
  }
}, NOT_MAPPED);
