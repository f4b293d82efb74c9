/** A file that someone else truncates throws, and does not kill the process. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { deno } from "./child.ts";
import { NO_GUARD, ONE_IN, unless } from "./reason.ts";
import { TempDir } from "./temp.ts";

const CHILD = fromFileUrl(new URL("children/truncation.ts", import.meta.url));

const CUTS = {
  "nothing": 0,
  "the middle of a page": 5000,
  "the middle of the file": 4 << 20,
};

const CASES = [
  "readSync",
  "readAtSync",
  "readAt",
  "read",
  "bytesLoop",
  "lines",
  "text",
  "copy",
  "textLines",
  "chunks",
  "indexOf",
  "lastIndexOf",
  "includes",
  "decode",
  "digest",
  "largeRead",
  "largeWrite",
  "writeSync1KB",
  "writeSync1MB",
  "writeAtSync",
  "write",
  "writeString",
  "writeToFsFile",
  "fill",
  "growBySmall",
  "growByLarge",
  "statSync",
  "syncSync",
  "sync",
  "flushSync",
  "flush",
];

const ONE_CUT = "emulated, each is tried with one of the cuts";

for (const [nr, [where, length]] of Object.entries(CUTS).entries()) {
  for (const [k, name] of CASES.entries()) {
    Deno.test({
      ...unless(
        NO_GUARD || ONE_IN > 1 && k % 3 !== nr && ONE_CUT,
        `${name} of a file cut to ${where} throws TruncatedError until refresh()`,
      ),
      fn: async () => {
        const { code, stdout, stderr } = await run(name, length, "on");
        assertEquals(
          stdout.trim().split("\n"),
          [
            "TruncatedError",
            "TruncatedError",
            `${length}`, // nothing has made the file longer again
            `${length} ${length}`,
          ],
          stderr,
        );
        assertEquals(code, 0);
      },
    });
  }

  Deno.test({
    ...unless(
      NO_GUARD,
      `MmapFile.readable of a file cut to ${where} errors and closes the file`,
    ),
    fn: async () => {
      const { code, stdout, stderr } = await run("readable", length, "on");
      assertEquals(stdout.trim(), "TruncatedError", stderr);
      assertEquals(code, 0);
    },
  });
}

for (const name of ["readSync", "bytesLoop", "indexOf", "fill"]) {
  Deno.test({
    ...unless(
      NO_GUARD,
      `${name} of a file cut to nothing ends a process without a guard`,
    ),
    fn: async () => {
      const { signal, code } = await run(name, 0, "off");
      assert(signal === "SIGBUS" || code === 135, `${signal} ${code}`);
    },
  });
}

/** A child that dies of it cannot tidy up after itself. */
async function run(name: string, length: number, guard: "on" | "off") {
  using directory = new TempDir();
  const args = [name, `${length}`, guard, directory.join("data")];
  return await deno(["run", "-A", "--no-check", CHILD, ...args]);
}
