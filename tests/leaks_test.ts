/** Leaks: descriptors and mappings, counted in child processes. */

import { assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { deno } from "./run_deno.ts";
import { isEmulated, NO_LISTING, TOO_SLOW, unless } from "./skip.ts";

/** What each case of `children/leaks.ts` does, which may leak nothing. */
const CASES = {
  openSync: "40,000 files opened and closed",
  open: "2,000 files opened by open() and closed",
  create: "files created and truncated",
  manyAtOnce: "400 files open at once",
  empty: "empty files",
  notRegular: "paths that are not regular files",
  proc: "files of the proc filesystem",
  options: "options that cannot be combined, and numbers out of range",
  windows: "windows within a file, and past its end",
  tooLarge: "sizes larger than any disk",
  noMemory: "files too large for the address space",
  exists: "files to create that exist",
  afterClose: "methods called after close()",
  failingCalls: "methods that throw",
  growth: "files that grew and were mapped again",
  resizing: "files truncated, extended and refreshed",
  streams: "streams drained, canceled, aborted and failed",
  operations: "concurrent operations, and waits for locks",
  advised: "files opened with advice, copy-on-write and without the guard",
  collected: "closed files that were garbage-collected",
};

/** A tmpfs, which refuses space that it lacks before it takes any. */
const MEMORY = "/dev/shm";

/** The cases in which nothing is mapped. */
const REFUSED = [
  "notRegular",
  "proc",
  "options",
  "windows",
  "tooLarge",
  "exists",
  "afterClose",
  "failingCalls",
];

const NO_LIMIT = "QEMU does not limit the address space";

for (const [name, what] of Object.entries(CASES)) {
  Deno.test({
    ...unless(
      NO_LISTING ||
        isEmulated && name === "noMemory" && NO_LIMIT ||
        REFUSED.includes(name) && TOO_SLOW ||
        name === "tooLarge" && !existsSync(MEMORY) &&
          `${MEMORY} does not exist`,
      `nothing leaks from ${what}`,
    ),
    async fn() {
      const directory = Deno.makeTempDirSync({
        ...(name === "tooLarge" ? { dir: MEMORY } : {}),
        prefix: "mmapfile-leaks-",
      });
      try {
        const { code, stdout, stderr } = await deno([
          "run",
          "-A",
          "--no-lock",
          "--no-config",
          "--v8-flags=--expose-gc",
          new URL("./children/leaks.ts", import.meta.url).href,
          name,
          directory,
        ]);
        assertEquals(
          [stdout, code],
          ["done\n", 0],
          stdout + stderr,
        );
      } finally {
        Deno.removeSync(directory, { recursive: true });
      }
    },
  });
}
