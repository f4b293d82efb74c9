/** What guarded files use: slots of the guard's table, and mappings. */

import { assertEquals, assertMatch } from "@std/assert";
import { type ChildResult, deno } from "./run_deno.ts";
import { NO_GUARD, unless } from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

test("40,000 files one after the other and 5,000 at once use as many slots as files are open", async () => {
  const { stdout } = await runGuardedFiles("manyFiles");
  const [one, ...many] = stdout.trimEnd().split("\n");
  assertEquals([one, many.pop()], ["one at a time: 1 slots", "done"]);
  assertEquals(many.length, 3);
  for (const line of many) {
    assertMatch(
      line,
      /^5000 at once: 2500 truncated, 2500 whole, 500[01] slots$/,
    );
  }
});

test("1 GiB truncated to 0 bytes and read at every second page adds at most 100 mappings", async () => {
  const { stdout, stderr } = await runGuardedFiles("largeFile");
  assertEquals(stdout, "done\n", stderr);
  console.log(stderr.split("\n").slice(0, -1).join("; "));
});

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ ...unless(NO_GUARD, name), fn });
}

/** Runs a case of `guard/guarded_files.ts`, which must succeed. */
async function runGuardedFiles(name: string): Promise<ChildResult> {
  using directory = new TempDir();
  const script = new URL("./guard/guarded_files.ts", import.meta.url).href;
  const flags = ["--no-check", "--no-config", "--v8-flags=--expose-gc"];
  const result = await deno(
    ["run", "-A", ...flags, script, name, directory.path],
  );
  assertEquals(result.code, 0, result.stdout + result.stderr);
  return result;
}
