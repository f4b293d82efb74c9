/** A file that someone else truncates does what Deno.FsFile does or throws, and does not kill the process. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { deno } from "./run_deno.ts";
import type {
  Findings,
  FoundOfOurs,
} from "./children/truncated_before_call.ts";
import { NO_GUARD, ONE_IN, unless } from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

const CHILD = fromFileUrl(
  new URL("children/truncated_before_call.ts", import.meta.url),
);

const CUTS = {
  "nothing": 0,
  "the middle of a page": 5000,
  "the middle of the file": 1 << 20,
};

/** What Deno.FsFile does too, and finds the end where it is now. */
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

/** As these, of files that grow: the end of others is where it was. */
const NOTICED_IF_GROWING = ["seekSync", "growBySmall", "growByLarge"];

/** What Deno.FsFile does too, without a look at the end. */
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

/** What only memory has. */
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

const ONE_CUT = "emulated, each is tried with one of the cuts";

for (const [nr, [where, length]] of Object.entries(CUTS).entries()) {
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
        NO_GUARD || !names.includes(name) && ONE_CUT,
        `${name} of a file cut to ${where} ${does} until refresh()`,
      ),
      fn: async () => {
        findings ??= await findingsOf(names, length);
        const { denos, ours } = findings.get(name)!;
        assertEquals(ours.length, 4);
        for (const { grow, usesMemory, found } of ours) {
          const what = Deno.inspect({ grow, usesMemory, found, denos });
          if (isOfMemory || !grow && REFUSED_IF_FIXED.includes(name)) {
            assertEquals(found.came, "TruncatedError", what);
            // Nothing has made the file longer again.
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

/** What a child finds of all these cases, by their names. */
async function findingsOf(
  names: string[],
  length: number,
): Promise<Map<string, Findings>> {
  const { code, stdout, stderr } = await run(names.join(), length, "on");
  assertEquals(code, 0, stdout.slice(-1000) + stderr);
  const found: Findings[] = stdout.trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(found.map(({ name }) => name), names);
  return new Map(found.map((each) => [each.name, each]));
}

/** Memory is refused, again and again, once the truncation is noticed; until `refresh`. */
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
      `${name} of a file cut to nothing ends a process without a guard`,
    ),
    fn: async () => {
      const { signal, code } = await run(name, 0, "off");
      assert(signal === "SIGBUS" || code === 135, `${signal} ${code}`);
    },
  });
}

/** A child that dies of it cannot tidy up after itself. */
async function run(names: string, length: number, guard: "on" | "off") {
  using directory = new TempDir();
  const args = [names, `${length}`, guard, directory.join("data")];
  return await deno(["run", "-A", "--no-check", CHILD, ...args]);
}
