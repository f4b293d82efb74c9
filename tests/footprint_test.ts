/** The memory that files use, measured in child processes. */

import { assert, assertEquals } from "@std/assert";
import { deno } from "./run_deno.ts";
import { isEmulated, type Reason } from "./skip.ts";
import { testInDir } from "./temp_dir.ts";

const NO_ROLLUP: Reason = Deno.build.os !== "linux"
  ? "only Linux reports the anonymous memory of a process"
  : isEmulated && "the memory of QEMU would be counted";

const MB = 1 << 20;
const SIZE = 1 << 30;

testInDir(
  "opening 1 GB adds less than 2 MB of anonymous memory",
  async (dir) => {
    const added = Number(await measure("open", dir.sparseFile(SIZE)));
    assert(added < 2 * MB, `${added} bytes`);
  },
  NO_ROLLUP,
);

testInDir(
  "reading 1 GB never adds more than 8 MB of anonymous memory",
  async (dir) => {
    const added = Number(await measure("read", dir.sparseFile(SIZE)));
    assert(added <= 8 * MB, `${added} bytes`);
  },
  NO_ROLLUP,
);

testInDir("a million reads cause no major garbage collection", async (dir) => {
  const output = await measure("reads", dir.sparseFile(SIZE), "--trace-gc");
  const collections = output.split("\n").filter((line) =>
    line.includes("Mark-Compact")
  );
  // The last is the one that the child requested before its million reads.
  assert(collections.at(-1)?.includes("testing"), output);
}, NO_ROLLUP);

testInDir(
  "each of 10,000 open files takes less than 4 KB of heap",
  async (dir) => {
    const added = Number(await measure("files", dir.sparseFile(4096)));
    assert(added < 4096, `${added} bytes`);
  },
  NO_ROLLUP,
);

/** What a case of `children/footprint.ts` prints. */
async function measure(
  name: string,
  path: string,
  flag?: string,
): Promise<string> {
  const { code, stdout, stderr } = await deno([
    "run",
    "-A",
    "--no-lock",
    "--no-config",
    `--v8-flags=${["--expose-gc", ...flag ? [flag] : []].join()}`,
    new URL("./children/footprint.ts", import.meta.url).href,
    name,
    path,
  ]);
  assertEquals(code, 0, stderr);
  return stdout;
}
