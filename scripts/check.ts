/**
 * `deno task check`: format, lint, types, documentation, and whether it could be published.
 *
 * @module
 */

import { findStd, PROJECT } from "./std.ts";

const std = await findStd();
console.log(std.source);

const checks = [
  ["fmt", "--check"],
  ["lint", "--rules-tags=recommended,jsr"],
  ["check", ...std.args, "."],
  ["doc", "--lint", "mod.ts"],
  ["publish", "--dry-run", "--allow-dirty"],
];

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
  if (code !== 0) failed.push(`deno ${args[0]}`);
}

console.log(
  failed.length === 0
    ? "\nall checks passed"
    : `\nfailed: ${failed.join(", ")}`,
);
Deno.exit(failed.length === 0 ? 0 : 1);
