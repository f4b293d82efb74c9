/**
 * `deno task test`: all tests and the examples in the documentation, in one run.
 *
 * Arguments go to `deno test`; files and folders among them are tested in place of everything.
 * The last line printed is the runner's count.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { findStd, OFFLINE, PROJECT } from "./std.ts";

const EVERYTHING = ["tests/", "mod.ts", "src/", "docs/", "README.md"];

/** Such as "ok | 12 passed (3 steps) | 0 failed | 2 ignored (1s)". */
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?/;

const std = await findStd();
console.log(std.source + (std.isOffline ? ", interop tests skipped" : ""));

// Examples in the documentation leave their files to it.
const temp = Deno.makeTempDirSync({ prefix: "mmapfile-test-" });
// Some tests run as another user.
if (Deno.build.os !== "windows") Deno.chmodSync(temp, 0o777);

const child = new Deno.Command(Deno.execPath(), {
  args: [
    ...["test", "-A", "--parallel", "--doc", "--v8-flags=--expose-gc"],
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
  stdout: "piped",
}).spawn();

const [shown, read] = child.stdout.tee();
const [summary] = await Promise.all([
  findSummary(read),
  shown.pipeTo(Deno.stdout.writable, { preventClose: true }),
]);
const { code } = await child.status;
Deno.removeSync(temp, { recursive: true });
if (summary !== undefined) {
  const [, passed, failed, ignored = "0"] = summary;
  console.log(`${passed} passed, ${failed} failed, ${ignored} skipped`);
}
Deno.exit(code);

/** The last summary in what the runner prints: a test that runs tests prints earlier ones. */
async function findSummary(
  output: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<RegExpExecArray | undefined> {
  let found: RegExpExecArray | undefined;
  let line = "";
  for await (const text of output.pipeThrough(new TextDecoderStream())) {
    const lines = (line + text).split("\n");
    line = lines.pop()!;
    for (const line of lines) {
      found = SUMMARY.exec(withoutColors(line)) ?? found;
    }
  }
  return found;
}

function withoutColors(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[[\d;]*m/g, "");
}
