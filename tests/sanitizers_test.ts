/** Deno's sanitizers of resources, operations and exits report no leak of this library. */

import { assertEquals } from "@std/assert";
import { deno } from "./run_deno.ts";

Deno.test("a test under Deno's sanitizers passes, also if it opens the first file of its process", async () => {
  const { code, stdout, stderr } = await deno([
    "test",
    "-A",
    "--no-check",
    "--no-config",
    "--no-lock",
    new URL("./children/sanitized.ts", import.meta.url).href,
  ]);
  assertEquals(code, 0, stdout + stderr);
  assertEquals(/ok \| (\d+) passed \| 0 failed/.exec(stdout)?.[1], "4", stdout);
});
