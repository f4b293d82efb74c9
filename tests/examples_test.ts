import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type ChildResult, deno } from "./child.ts";

const DEMO = new URL("../examples/demo.ts", import.meta.url);

/** Runs the demo with the permissions that its first line names, and no others. */
async function demo(...args: string[]): Promise<ChildResult> {
  const [firstLine] = (await Deno.readTextFile(DEMO)).split("\n");
  const permissions = firstLine.match(/--allow-\S+/g) ?? [];
  return await deno(["run", "--no-prompt", ...permissions, DEMO.href, ...args]);
}

async function makeFile(size: number): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, new Uint8Array(size).map((_, i) => i % 251));
  return path;
}

for (const size of [1, 300_007]) {
  Deno.test(`the demo compares both on a file of ${size} bytes`, async () => {
    const path = await makeFile(size);
    try {
      const { code, stdout, stderr } = await demo(path);
      assertEquals(stderr, "");
      assertEquals(code, 0);
      for (const way of ["sync ", "async"]) {
        for (const what of ["in order, 4 KiB", "in order, 64 KiB", "whole"]) {
          // A time and ns a call for each, and the ratio.
          const row = `^${way}  ${what}.*?( +[\\d.,]+){4} +[\\d.]+$`;
          assertMatch(stdout, new RegExp(row, "m"));
        }
      }
      assertStringIncludes(stdout, "Both read the same bytes in every row.");
    } finally {
      await Deno.remove(path);
    }
  });
}

Deno.test("the demo says what is wrong with a file", async () => {
  const empty = await makeFile(0);
  try {
    const { code, stderr } = await demo(empty);
    assertEquals(stderr, `Cannot compare: '${empty}' is empty\n`);
    assertEquals(code, 1);
  } finally {
    await Deno.remove(empty);
  }
  const { code, stderr } = await demo("does/not/exist");
  assertStringIncludes(stderr, "'does/not/exist'");
  assertEquals(stderr.split("\n").length, 2);
  assertEquals(code, 1);
});

Deno.test("the demo explains itself, and refuses what it does not know", async () => {
  const help = await demo("--help");
  assertStringIncludes(help.stdout, "Usage: deno task demo [file]");
  assertEquals(help.code, 0);
  for (const args of [["--fast"], ["one", "two"]]) {
    const { code, stdout, stderr } = await demo(...args);
    assertEquals(stdout, "");
    assertStringIncludes(stderr, "Usage: deno task demo [file]");
    assertEquals(code, 1);
  }
});
