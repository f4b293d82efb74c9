/** What is left of files: descriptors and mappings, counted in processes of their own. */

import { assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { deno } from "./run_deno.ts";
import { isEmulated, NO_LISTING, unless } from "./skip.ts";

/** What is done in each case of `children/leaks.ts`, of which nothing may be left. */
const CASES = {
  openSync: "40,000 files opened and closed",
  open: "2,000 files opened by open() and closed",
  create: "files created, again and anew",
  manyAtOnce: "400 files open at once",
  empty: "empty files",
  notRegular: "paths that are no regular files",
  proc: "files of the proc filesystem",
  options: "options that cannot be combined, and numbers out of range",
  windows: "windows within a file, and beyond it",
  tooLarge: "sizes that no disk has room for",
  noMemory: "files too large for the address space",
  exists: "files to be created that are there",
  afterClose: "methods called after close()",
  failingCalls: "methods that throw",
  growth: "files that grew and were mapped again",
  resizing: "files cut, lengthened and refreshed",
  streams: "streams drained, cancelled, aborted and broken",
  operations: "operations side by side, and locks waited for",
  advised: "files opened with advice, copy-on-write and without the guard",
  collected: "closed files that were collected",
};

/** A tmpfs, where space that is not there is refused before any is taken. */
const MEMORY = "/dev/shm";

/** Those in which nothing is mapped. */
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
const TOO_SLOW = "these take minutes, and the processor has no part in them";
const NO_LIMIT = "QEMU keeps to no limit of addresses";

for (const [name, what] of Object.entries(CASES)) {
  Deno.test({
    ...unless(
      NO_LISTING ||
        isEmulated && name === "noMemory" && NO_LIMIT ||
        isEmulated && REFUSED.includes(name) && TOO_SLOW ||
        name === "tooLarge" && !existsSync(MEMORY) && `there is no ${MEMORY}`,
      `nothing is left of ${what}`,
    ),
    async fn() {
      const directory = Deno.makeTempDirSync({
        dir: name === "tooLarge" ? MEMORY : undefined,
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
