/**
 * `deno task test`: all tests and the examples in the documentation, in one run.
 *
 * Arguments go to `deno test`; files and folders among them are tested in place of everything.
 * The last line printed counts the tests.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { printCounts } from "./count_tests.ts";
import { findStd, OFFLINE, PROJECT } from "./std.ts";

const EVERYTHING = ["tests/", "mod.ts", "src/", "docs/", "README.md"];

const std = await findStd();
console.log(std.source + (std.isOffline ? ", interop tests skipped" : ""));

// Examples in the documentation leave their files to it.
const temp = Deno.makeTempDirSync({ prefix: "mmapfile-test-" });
// Some tests run as another user.
if (Deno.build.os !== "windows") Deno.chmodSync(temp, 0o777);
const report = `${temp}.xml`;

const { code } = await new Deno.Command(Deno.execPath(), {
  args: [
    ...["test", "-A", "--parallel", "--doc", "--v8-flags=--expose-gc"],
    `--junit-path=${report}`,
    ...std.args,
    ...Deno.args,
    ...(Deno.args.some((arg) => existsSync(arg)) ? [] : EVERYTHING),
  ],
  cwd: PROJECT,
  env: {
    ...(std.isOffline ? { [OFFLINE]: "1" } : {}),
    ...{ TMPDIR: temp, TEMP: temp, TMP: temp },
  },
  stdin: "null",
}).spawn().status;

printCounts([report]);
if (existsSync(report)) Deno.removeSync(report);
Deno.removeSync(temp, { recursive: true });
Deno.exit(code);
