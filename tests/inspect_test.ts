/** What `console.log` shows of a file: facts in a few lines, never its bytes. */

import { assert, assertEquals } from "@std/assert";
import { inspect } from "node:util";
import { openSync } from "../mod.ts";
import { testInDir } from "./temp_dir.ts";

const MEGABYTES = 8 << 20;

/** Facts on one line, in whatever way they were broken into lines. */
function inOneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}

for (const backend of ["auto", "fallback"] as const) {
  testInDir(
    `console.log shows name, size, backend and closed (${backend})`,
    (dir) => {
      const path = dir.sparseFile(MEGABYTES);
      const file = openSync(path, { backend });
      file.bytes();
      const facts = (closed: boolean) =>
        `MmapFile { name: ${JSON.stringify(path)}, size: ${MEGABYTES}, ` +
        `backend: "${file.backend}", closed: ${closed} }`;
      assertEquals(inOneLine(Deno.inspect(file)), facts(false));
      file.close();
      assertEquals(inOneLine(Deno.inspect(file)), facts(true));
    },
  );
}

testInDir("a file within an object is shown as briefly", (dir) => {
  const path = dir.sparseFile(MEGABYTES);
  using file = openSync(path);
  const deep = { a: { b: [file] } };
  for (const shown of [Deno.inspect(deep), inspect(deep, { depth: 9 })]) {
    assert(inOneLine(shown).includes(`size: ${MEGABYTES}, backend:`), shown);
    assert(shown.length < 500);
  }
});

testInDir("node:util shows the same of a file, open and closed", (dir) => {
  const path = dir.file("hello");
  const file = openSync(path);
  const facts = (closed: boolean) =>
    `MmapFile { name: ${inspect(path)}, size: 5, ` +
    `backend: '${file.backend}', closed: ${closed} }`;
  assertEquals(inOneLine(inspect(file)), facts(false));
  file.close();
  assertEquals(inOneLine(inspect(file)), facts(true));
});
