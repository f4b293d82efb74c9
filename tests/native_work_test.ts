/**
 * Native work on a view continues with the right bytes, whatever happens to the file. Each kind of
 * work runs in a child process.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { operations, SENT } from "./children/native_operations.ts";
import { commandOf } from "./run_deno.ts";
import {
  NO_GUARD,
  notInDeno28,
  ONE_IN,
  unless,
  unlessSampled,
} from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

const CHILD = fromFileUrl(new URL("children/native_work.ts", import.meta.url));

/** Of the ways and kinds of each operation, one in this many is tried. */
const SHARE = Number(Deno.env.get("MMAPFILE_NATIVE_ONE_IN") ?? 24 * ONE_IN);

for (const [k, name] of Object.keys(operations).entries()) {
  Deno.test({
    ...unless(
      NO_GUARD || unlessSampled(k) ||
        name === "addOn" &&
          notInDeno28("the event loop stops during an add-on's promise"),
      `native work on a view is right, whatever happens to the file: ${name}`,
    ),
    fn: () => assertRight(name),
  });
}

/** Runs the cases of one operation, and feeds its standard input on request. */
async function assertRight(name: string): Promise<void> {
  using directory = new TempDir();
  const [command, args] = commandOf([
    ...["run", "-A", "--no-lock", "--v8-flags=--expose-gc", CHILD],
    ...[name, directory.path, `${SHARE}`],
  ]);
  const child = new Deno.Command(command, {
    args,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const errors = new Response(child.stderr).text();
  let printed = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    for (const line of text.split("\n")) {
      if (line === "feed") await input.write(SENT);
    }
  }
  const { code, signal } = await child.status;
  await input.close().catch(() => {});
  const lines = printed.split("\n").filter((line) => line !== "feed");
  const stderr = await errors;
  // The last case that began ended the process.
  assertEquals([code, signal], [0, null], `${lines.at(-2)}\n${stderr}`);
  const wrong = lines.filter((line, i) =>
    line.startsWith("wrong") || lines[i + 1]?.startsWith("wrong")
  );
  assertEquals(wrong, []);
  assertEquals(lines.at(-2), "done", stderr);
}
