/** What is done to a file by others, in mid-use and all the time, kills no process. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type ChildResult, deno } from "./run_deno.ts";
import {
  isEmulated,
  NO_GUARD,
  type Reason,
  unless,
  unlessSampled,
} from "./skip.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { TempDir } from "./temp_dir.ts";

const CHILD = fromFileUrl(
  new URL("children/truncated_during_call.ts", import.meta.url),
);

const isLong = Deno.env.get("MMAPFILE_LONG") === "1";
/** A worker takes many seconds to start where it is emulated. */
const SECONDS = isEmulated ? "30" : isLong ? "10" : "3";

/**
 * What is done with a file, over and over, when another process cuts it: as Deno.FsFile does it, or with a
 * TruncatedError where memory is asked for or the size is fixed. Not writes past the end and first large ones:
 * between the look at the size and the write a cut goes unseen, as the README says.
 */
const ACCESSES = {
  readSync: "readSync()",
  readAt: "readAt()",
  read: "read()",
  bytes: "a loop over bytes()",
  lines: "lines()",
  chunks: "chunks()",
  indexOf: "indexOf()",
  lastIndexOf: "lastIndexOf()",
  includes: "includes()",
  decode: "TextDecoder.decode() of bytes()",
  digest: "crypto.subtle.digest() of bytes()",
  readable: "readable",
  readableBYOB: "readable with a BYOB reader",
  toReadableStream: "toReadableStream()",
  toReadableStreamBYOB: "toReadableStream() with a BYOB reader",
  zeroCopy: "toReadableStream() with zeroCopy",
  writeSync1KB: "writeSync() of 1 KB",
  writeSync1MB: "writeSync() of 1 MB",
  writeAtSync: "writeAtSync()",
  write: "write() of 4 MB",
  writeString: "writeStringSync()",
  writeLongString: "writeString() of 4 MB",
  toWritableStream: "toWritableStream()",
  writeTo: "writeTo() a Deno.FsFile",
  writeToSync: "writeToSync() a Deno.FsFile",
  readFromSync: "readFromSync()",
  fill: "fill() of bytes()",
  statSync: "statSync()",
  flush: "flush()",
};

/** A test of a case in `children/truncated_during_call.ts`, with a directory for it. */
function test(
  name: string,
  fn: (directory: TempDir) => Promise<void>,
  reason: Reason = false,
): void {
  Deno.test({
    ...unless(NO_GUARD || reason, name),
    async fn() {
      using directory = new TempDir();
      await fn(directory);
    },
  });
}

function run(
  name: string,
  directory: { join(): string },
  ...args: string[]
): Promise<ChildResult> {
  const flags = [
    "run",
    "-A",
    "--no-check",
    "--no-config",
    "--v8-flags=--expose-gc",
  ];
  return deno([...flags, CHILD, name, directory.join(), ...args]);
}

async function linesOf(
  name: string,
  directory: { join(): string },
  ...args: string[]
): Promise<string[]> {
  const { code, stdout, stderr } = await run(name, directory, ...args);
  assertEquals(code, 0, stdout + stderr);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.pop(), "done", stderr);
  return lines;
}

for (const [k, [name, what]] of Object.entries(ACCESSES).entries()) {
  test(
    `${what} in progress survives that another process cuts the file`,
    async (directory) => {
      assertEquals(await linesOf(name, directory), [
        "caught cuts to nothing",
        "caught cuts to page",
        "caught cuts to file",
      ]);
    },
    unlessSampled(k),
  );
}

for (
  const [name, what] of [
    ["alternating", "four workers"],
    ["terminating", "workers started and terminated all the time"],
  ]
) {
  test(
    `${what} survive that the file is cut and lengthened without end`,
    async (directory) => {
      const [line] = await linesOf(name, directory, SECONDS);
      const numbers = line.match(/\d+/g)!.map(Number);
      assertEquals(numbers.length, 4, line);
      assert(numbers.every((number) => number > 0), line);
      console.log(line);
    },
  );
}

test("40,000 files one after the other and 5,000 at once use as many places of the guard's table as are open", async (directory) => {
  const [one, ...many] = await linesOf("manyFiles", directory);
  assertEquals(one, "one at a time: 1 slots");
  assertEquals(many.length, 3);
  for (const line of many) {
    assertMatch(line, /^5000 at once: 2500 cut, 2500 whole, 500[01] slots$/);
  }
});

test("every second page of 1 GiB that was cut to nothing adds at most 100 mappings", async (directory) => {
  const { code, stdout, stderr } = await run("largeFile", directory);
  assertEquals([code, stdout], [0, "done\n"], stderr);
  console.log(stderr.split("\n").slice(1, -1).join("; "));
});

test("a file that is cut leaves the other open files unharmed", async (directory) => {
  assertEquals(await linesOf("neighbours", directory), []);
});

const FEW_BYTES = 6 << 20;

Deno.test({
  ...unless(
    NO_GUARD || noDiskOf(FEW_BYTES),
    "a sparse file on a full disk throws, leaves the others unharmed and goes on with room again",
  ),
  async fn() {
    using disk = new SmallDisk(FEW_BYTES);
    const lines = await linesOf("fullDisk", disk);
    assertEquals(lines, [
      // Views alone cannot tell why.
      "bytes TruncatedError",
      "view TruncatedError",
      "writeSync SystemError ENOSPC",
      "writeSyncLarge SystemError ENOSPC",
      "writeAtSync SystemError ENOSPC",
      "write SystemError ENOSPC",
      "writeString SystemError ENOSPC",
      "stream SystemError ENOSPC",
      "close SystemError EIO",
      "grow SystemError ENOSPC",
    ]);
  },
});
