/**
 * Files that another process truncates, and sparse files on a full disk: calls do what Deno.FsFile does
 * or throw, and the process lives.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type MmapFile, openSync, SystemError } from "@mmapfile/mmapfile";
import { encode } from "./bytes.ts";
import type {
  Findings,
  FoundOfOurs,
} from "./children/truncated_before_call.ts";
import { NOT_TRUNCATABLE } from "./tested_module.ts";
import { deno } from "./run_deno.ts";
import {
  isEmulated,
  NO_GUARD,
  ONE_IN,
  type Reason,
  unless,
  unlessSampled,
} from "./skip.ts";
import { noDiskOf, SmallDisk } from "./small_disk.ts";
import { TempDir, testInDir } from "./temp_dir.ts";

// --- Truncated before a call

const LENGTHS = [0, 5000, 1 << 20];

/** What Deno.FsFile does too, at the current end. */
const NOTICED = [
  "readSync",
  "readAtSync",
  "readAt",
  "read",
  "readable",
  "largeRead",
  "statSync",
  "stat",
  "decode",
  "digest",
  "fill",
  "loop",
];

/** As these, for files that grow: other files keep their end. */
const NOTICED_IF_GROWING = ["seekSync", "growBySmall", "growByLarge"];

/** What Deno.FsFile does too, independent of the end. */
const UNNOTICED = ["syncSync", "sync", "syncData", "truncateSync"];

/** What Deno.FsFile does too, and a file of fixed size refuses. */
const WRITES = [
  "writeSync1KB",
  "writeSync1MB",
  "write",
  "writeAtSync",
  "largeWrite",
  "writeString",
];

/** What only an MmapFile does. */
const OF_MEMORY = [
  "bytesLoop",
  "lines",
  "text",
  "copy",
  "textLines",
  "chunks",
  "indexOf",
  "lastIndexOf",
  "includes",
  "flushSync",
  "flush",
  "writeToFsFile",
];

const LIKE_DENOS = [
  ...NOTICED,
  ...NOTICED_IF_GROWING,
  ...UNNOTICED,
  ...WRITES,
];
const REFUSED_IF_FIXED = [...WRITES, "growBySmall", "growByLarge"];

const ONE_LENGTH = "one length for each case is tried under QEMU";

for (const [nr, length] of LENGTHS.entries()) {
  const all = [...LIKE_DENOS, ...OF_MEMORY];
  const names = all.filter((_, k) => ONE_IN === 1 || k % 3 === nr);
  let findings: Map<string, Findings> | undefined;
  for (const name of all) {
    const isOfMemory = OF_MEMORY.includes(name);
    const does = isOfMemory
      ? "throws TruncatedError"
      : "does what Deno.FsFile does, and bytes() throws TruncatedError";
    Deno.test({
      ...unless(
        NO_GUARD || !names.includes(name) && ONE_LENGTH,
        `${name} of a file truncated to ${length} bytes ${does} until refresh()`,
      ),
      fn: async () => {
        findings ??= await findingsOf(names, length);
        const { denos, ours } = findings.get(name)!;
        assertEquals(ours.length, 4);
        for (const { grow, usesMemory, found } of ours) {
          const what = Deno.inspect({ grow, usesMemory, found, denos });
          if (isOfMemory || !grow && REFUSED_IF_FIXED.includes(name)) {
            assertEquals(found.came, "TruncatedError", what);
            // Nothing has extended the file again.
            assertEquals(found.size, length, what);
            assert(found.truncated, what);
          } else if (grow || name !== "seekSync") {
            const { came, position, size, digest } = found;
            assertEquals({ came, position, size, digest }, denos, what);
          }
          assertFollows(name, grow, found, what);
        }
      },
    });
  }
}

/** The findings of a child process on all these cases, by name. */
async function findingsOf(
  names: string[],
  length: number,
): Promise<Map<string, Findings>> {
  const { code, stdout, stderr } = await runBefore(names.join(), length, "on");
  assertEquals(code, 0, stdout.slice(-1000) + stderr);
  const found: Findings[] = stdout.trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(found.map(({ name }) => name), names);
  return new Map(found.map((each) => [each.name, each]));
}

/** Checks that bytes() throws repeatedly once the truncation is noticed, until refresh(). */
function assertFollows(
  name: string,
  grow: boolean,
  found: FoundOfOurs,
  what: string,
): void {
  const { truncated, bytes, size, refreshed } = found;
  if (NOTICED.includes(name) || grow && NOTICED_IF_GROWING.includes(name)) {
    assert(truncated, what);
  }
  if (name === "readable") {
    return assertEquals(bytes, ["ClosedError", "ClosedError"], what);
  }
  if (truncated) {
    assertEquals(bytes, ["TruncatedError", "TruncatedError"], what);
  }
  assertEquals(refreshed, [size, size, size === 0 ? null : 1], what);
}

for (const name of ["readSync", "bytesLoop", "indexOf", "fill"]) {
  Deno.test({
    ...unless(
      NO_GUARD,
      `${name} of a file truncated to 0 bytes kills the process without a guard`,
    ),
    fn: async () => {
      const { signal, code } = await runBefore(name, 0, "off");
      assert(signal === "SIGBUS" || code === 135, `${signal} ${code}`);
    },
  });
}

/** Removes the directory here, since the child may be killed. */
async function runBefore(names: string, length: number, guard: "on" | "off") {
  using directory = new TempDir();
  const args = [names, `${length}`, guard, directory.join("data")];
  return await deno([
    "run",
    "-A",
    "--no-check",
    child("truncated_before_call"),
    ...args,
  ]);
}

// --- Truncated during a call

/**
 * Accesses that a process repeats while another one truncates the file. They do what Deno.FsFile does, or
 * throw TruncatedError if they need memory or the size is fixed. Without writes past the end and first large
 * ones: a truncation between the check of the size and the write goes unnoticed, as documented.
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

for (const [k, [name, what]] of Object.entries(ACCESSES).entries()) {
  test(
    `${what} does not crash when another process truncates the file during it`,
    async (directory) => {
      assertEquals(await linesOf("truncated_during_call", directory, name), [
        "caught truncations to 0 bytes",
        "caught truncations to the middle of a page",
        "caught truncations to the middle of the file",
      ]);
    },
    unlessSampled(k),
  );
}

test("a file that is truncated does not affect other open files", async (directory) => {
  const lines = await linesOf("truncated_during_call", directory, "otherFiles");
  assertEquals(lines, []);
});

// --- Truncated and extended again

const PAGES = 4 * 64 * 1024;
const CHECKS = {
  sync: (file: MmapFile) => file.sync(),
  syncSync: (file: MmapFile) => file.syncSync(),
  syncData: (file: MmapFile) => file.syncData(),
  close: (file: MmapFile) => file.close(),
};

for (const [name, check] of Object.entries(CHECKS)) {
  for (const access of ["read", "written"]) {
    testInDir(
      `${name}() ${
        access === "read" ? "succeeds" : "throws"
      } if views were ${access} while the file was truncated, and it was extended again`,
      async (dir) => {
        const path = dir.file("1".repeat(PAGES));
        using file = openSync(path, { read: true, write: true });
        const view = file.bytes();
        Deno.truncateSync(path, PAGES / 2);
        assertEquals(view[PAGES - 1], 0);
        if (access === "written") view[PAGES / 2] = 2;
        Deno.truncateSync(path, PAGES);
        const checked = (async () => await check(file))();
        if (access === "read") await checked;
        else await assertRejects(() => checked, SystemError, "are lost");
        if (!file.closed) file.refresh();
      },
      NO_GUARD,
    );
  }
}

// --- Truncated and extended repeatedly

const isLong = Deno.env.get("MMAPFILE_LONG") === "1";
const SECONDS = isEmulated || isLong ? "10" : "3";

for (
  const [name, what] of [
    ["alternating", "four workers"],
    ["terminating", "workers that are started and terminated repeatedly"],
  ]
) {
  test(
    `${what} do not crash while the file is truncated and extended repeatedly`,
    async (directory) => {
      const script = "truncated_under_workers";
      const [line] = await linesOf(script, directory, name!, SECONDS);
      const numbers = line!.match(/\d+/g)!.map(Number);
      assertEquals(numbers.length, 4, line);
      assert(numbers.every((number) => number > 0), line);
      console.log(line);
    },
  );
}

// --- Logs, which logrotate's copytruncate truncates while they are written

/** What a program does between two lines. */
const BETWEEN: Record<string, (file: Deno.FsFile) => unknown> = {
  nothing: () => {},
  syncSync: (file) => file.syncSync(),
  statSync: (file) => file.statSync().size,
  lock: (file) => (file.lockSync(true), file.unlockSync()),
  seekSync: (file) => file.seekSync(0, Deno.SeekMode.End),
  readSync: (file) => file.readSync(new Uint8Array(3)),
};

const OPTIONS = { read: true, append: true };

/** Writes lines, truncates the file to `size` bytes before some, and returns every result. */
function writeLog(
  file: Deno.FsFile,
  path: string,
  between: (file: Deno.FsFile) => unknown,
  size: number,
): unknown[] {
  const seen: unknown[] = [];
  for (let line = 0; line < 30; line++) {
    if (line % 7 === 5) Deno.truncateSync(path, size);
    seen.push(file.writeSync(encode(`line ${line}\n`)), between(file));
  }
  file.close();
  return [...seen, Deno.readTextFileSync(path)];
}

for (const [name, between] of Object.entries(BETWEEN)) {
  for (const size of [0, 10]) {
    testInDir(
      `a log that is truncated to ${size} bytes continues as that of Deno.FsFile, with ${name} between lines`,
      (dir) => {
        const [path, other] = [dir.file("", "ours"), dir.file("", "theirs")];
        assertEquals(
          writeLog(openSync(path, OPTIONS), path, between, size),
          writeLog(Deno.openSync(other, OPTIONS), other, between, size),
        );
      },
      NOT_TRUNCATABLE,
    );
  }
}

// --- A full disk, where a page fault raises SIGBUS too

const FEW_BYTES = 6 << 20;

Deno.test({
  ...unless(
    NO_GUARD || noDiskOf(FEW_BYTES),
    "a sparse file on a full disk throws, does not affect other files, and is usable with free space",
  ),
  async fn() {
    using disk = new SmallDisk(FEW_BYTES);
    const lines = await linesOf("full_disk", disk);
    assertEquals(lines, [
      // A view alone cannot know the reason.
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

/** A test of a script in `children/`, with a directory for it. */
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

/** Runs a script of `children/`, which must succeed, and returns the lines that it printed before "done". */
async function linesOf(
  script: string,
  directory: { join(): string },
  ...args: string[]
): Promise<string[]> {
  const flags = ["--no-check", "--no-config", "--v8-flags=--expose-gc"];
  const { code, stdout, stderr } = await deno([
    ...["run", "-A", ...flags, child(script)],
    ...[directory.join(), ...args],
  ]);
  assertEquals(code, 0, stdout + stderr);
  const lines = stdout.trimEnd().split("\n");
  assertEquals(lines.pop(), "done", stderr);
  return lines;
}

function child(script: string): string {
  return fromFileUrl(new URL(`children/${script}.ts`, import.meta.url));
}
