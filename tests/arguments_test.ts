/** No argument is trusted, whatever it reports about itself and whatever its getters do. */

import { assert, assertEquals } from "@std/assert";
import * as library from "../mod.ts";
import { deno } from "./run_deno.ts";
import { TOO_SLOW, unless } from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

/** The processes that the cases are divided among. */
const PARTS = 2;

const RUN = ["run", "-A", "--no-lock", "--no-config"];

/** The parameters of a method or a function, as in its source. */
const PARAMETERS = /^(?:async )?(?:function )?\*?\s*\w+\s*\(([^)]*)/;

/** Every public method and function that takes an argument, and the streams that take chunks. */
function takersOfArguments(): string[] {
  const { prototype } = library.MmapFile;
  const methods = Object.getOwnPropertyNames(prototype)
    .filter((name) => name !== "constructor")
    .map((name) => Object.getOwnPropertyDescriptor(prototype, name)!.value);
  const functions = Object.values(library)
    .filter((value) =>
      !/^class /.test(Function.prototype.toString.call(value))
    );
  const takers = [...methods, ...functions].filter((value) => {
    if (typeof value !== "function") return false;
    const [, parameters] = PARAMETERS.exec(value.toString()) ?? [];
    assert(parameters !== undefined, `Unreadable: ${value.name}`);
    return parameters.trim() !== "";
  });
  return [...takers.map(({ name }) => name), "readable", "writable"];
}

Deno.test({
  ...unless(
    TOO_SLOW,
    "arguments that lie, change and call back crash no method, and change no other file",
  ),
  fn: async () => {
    const script = new URL("./children/arguments.ts", import.meta.url).href;
    const runs = Array.from({ length: PARTS }, async (_, part) => {
      using dir = new TempDir();
      const args = [dir.path, `${part}`, `${PARTS}`];
      const result = await deno([...RUN, script, ...args]);
      assertEquals(result.code, 0, result.stdout + result.stderr);
      const [counts, ...faults] = result.stdout.trimEnd().split("\n").reverse();
      assertEquals(faults.reverse(), [], result.stderr);
      return counts;
    });
    const counts: Record<string, number> = JSON.parse(
      (await Promise.all(runs))[0]!,
    );
    assertEquals(Object.keys(counts).sort(), takersOfArguments().sort());
    for (const [name, count] of Object.entries(counts)) {
      assert(count >= 5, `${name} has ${count} cases`);
    }
  },
});
