/** Memory that the engine owns: of files of every size and kind, and nothing is left of it. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { deno } from "./child.ts";
import { isEmulated, NO_GUARD, unless, unlessSampled } from "./reason.ts";
import { TempDir } from "./temp.ts";

const CHILD = fromFileUrl(new URL("children/owned_memory.ts", import.meta.url));

/** MMAPFILE_LONG=1 does each as often as is ever promised: minutes. */
const isLong = Deno.env.get("MMAPFILE_LONG") === "1";

/** A case of `children/owned_memory.ts`: what holds, and how often it is tried, seldom and long. */
const CASES: Record<string, { what: string; times?: [number, number] }> = {
  closed: {
    what: "nothing is left of files that were handed out and closed",
    times: [2000, 100_000],
  },
  dropped: {
    what: "nothing is left of files that were handed out and dropped",
    times: [2000, 20_000],
  },
  terminated: {
    what: "nothing is left of the files of workers that were terminated",
    times: [3, 20],
  },
  closedByItself: {
    what: "nothing is left of the files of workers that closed themselves",
    times: [3, 20],
  },
  uncaught: {
    what: "nothing is left of the files of workers that an error ended",
    times: [3, 20],
  },
  guardTable: {
    what: "the guard's table has room after workers with 1000 files each",
    times: [2, 40],
  },
  sizes: { what: "files of 1 byte to 16 GiB + 1 are read, written and grown" },
  truncated: { what: "views of every kind read zeros where others truncated" },
};

/** Cases for an engine without a just-in-time compiler, which has no WebAssembly either. */
const WITHOUT_WASM: Record<string, string> = {
  withoutWebAssembly: "without WebAssembly all works but shared memory",
  keptFromReuse: "without WebAssembly no new mapping lies where a view was",
};

for (const [k, [name, { what, times }]] of Object.entries(CASES).entries()) {
  Deno.test({
    ...unless(NO_GUARD || unlessSampled(k), what),
    fn: () => assertHolds(name, times?.[isLong ? 1 : 0]),
  });
}

for (const [name, what] of Object.entries(WITHOUT_WASM)) {
  Deno.test({
    ...unless(NO_GUARD || isEmulated && "slow without a compiler", what),
    fn: () => assertHolds(name, 1, ",--jitless"),
  });
}

async function assertHolds(
  name: string,
  count = 1,
  flags = "",
): Promise<void> {
  using directory = new TempDir();
  const { code, stdout, stderr } = await deno([
    ...["run", "-A", "--no-lock", "--no-config"],
    `--v8-flags=--expose-gc${flags}`,
    ...[CHILD, name, directory.path, `${count}`],
  ]);
  assertEquals([stdout, code], ["done\n", 0], stderr);
}
