/** The SIGBUS handler that guards mapped files. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type ChildResult, deno } from "./run_deno.ts";
import { isEmulated, NO_GUARD, type Reason, unless } from "./skip.ts";

/** Restrictions of the process apply to QEMU itself too. */
const NOT_RESTRICTABLE: Reason = isEmulated &&
  "the restriction would apply to QEMU itself";

/** Since 6.3 Linux can forbid a process to make pages executable. */
const [major, minor] = Deno.osRelease().split(".").map((part) =>
  parseInt(part)
);
const hasMdwe = major! > 6 || major === 6 && minor! >= 3;

/** 128 + SIGBUS. */
const KILLED_BY_BUS = 135;

function run(...args: string[]): Promise<ChildResult> {
  const script = new URL("./guard/guard_cases.ts", import.meta.url).href;
  return deno(["run", "-A", "--no-lock", "--no-config", script, ...args]);
}

/** A test of a case in `guard/guard_cases.ts`. */
function test(
  name: string,
  fn: () => Promise<void>,
  reason: Reason = false,
): void {
  Deno.test({ ...unless(NO_GUARD || reason, name), fn });
}

async function assertPrints(name: string, lines: string[]): Promise<void> {
  const { code, stdout, stderr } = await run(name);
  assertEquals(stdout, [...lines, "done", ""].join("\n"), stderr);
  assertEquals(code, 0, stderr);
}

/** Checks that the case behaves with the guard as without it. */
async function assertUnchanged(name: string): Promise<ChildResult> {
  const [before, after] = [await run(name, "unguarded"), await run(name)];
  assertEquals(after.stdout, before.stdout, after.stderr);
  assertEquals(after.code, before.code, after.stderr);
  return after;
}

test("a page past the new end reads as zeros and counts one fault", () =>
  assertPrints("reads", ["7 0", "0 0", "0 0 1", "0 0 0 2"]));

test("a write to a page past the new end is lost and counts one fault", () =>
  assertPrints("writes", ["1 2 7 2"]));

test("the whole last page is guarded", () =>
  assertPrints("lastPage", ["0 0 1"]));

test("a file that is extended again shows its bytes only where no fault was", () =>
  assertPrints("grownAgain", ["0 1", "0 0 1"]));

test("faults in native code and in other threads do not kill the process", () =>
  assertPrints("native", ["0n 1", "true 1", "32 1"]));

test("optimized code sees the count change across a copy", () =>
  assertPrints("optimized", ["21000000 -1 -2"]));

for (const order of ["forward", "backward", "random"]) {
  test(`1 GiB touched ${order} at every second page adds at most 100 mappings`, () =>
    assertPrints(order, []));
}

test(
  "if large mappings are refused, zeros are mapped page by page",
  () => assertPrints("refusedLarge", ["0 3"]),
  NOT_RESTRICTABLE,
);

test(
  "if every mapping is refused, the fault kills the process",
  async () => {
    const { code, stdout } = await run("refused");
    assertEquals([code, stdout], [KILLED_BY_BUS, "before\n"]);
  },
  NOT_RESTRICTABLE,
);

test("a file is not guarded while another handler replaces the guard's", () =>
  assertPrints("replaced", ["true false true"]));

test("a range that was released is not guarded", async () => {
  const { code, stdout } = await run("released");
  assertEquals([code, stdout], [KILLED_BY_BUS, "before\n"]);
});

for (
  const [name, what] of [
    ["foreignFault", "a fault outside the ranges"],
    ["killedOnceThenForeignFault", "a fault outside the ranges after a signal"],
    ["killed", "a SIGBUS sent repeatedly"],
    ["killedByDefault", "a SIGBUS sent after SIG_DFL was the handler"],
    ["ignored", "a fault after SIG_IGN was the handler"],
  ]
) {
  test(
    `${what} kills the process as without the guard`,
    async () => {
      const { code } = await assertUnchanged(name!);
      assertEquals(code, KILLED_BY_BUS);
    },
    isEmulated && name === "ignored" &&
      "QEMU repeats an ignored fault forever",
  );
}

test("a sent SIGBUS does not remove the guard", () =>
  assertPrints("killedOnce", ["0 1"]));

test("a stack overflow is a RangeError as without the guard", async () => {
  const { stdout } = await assertUnchanged("stackOverflow");
  assertStringIncludes(stdout, "RangeError: Maximum call stack size exceeded");
});

test("WebAssembly traps as without the guard", async () => {
  const { stdout } = await assertUnchanged("wasm");
  assertStringIncludes(stdout, "RuntimeError: memory access out of bounds");
});

test("a signal listener receives SIGBUS, added before or after the guard", async () => {
  for (const name of ["listenerAfter", "listenerBefore"]) {
    const { stdout } = await assertUnchanged(name);
    assertStringIncludes(stdout, "heard");
  }
});

test("both guards work with a signal listener between them", () =>
  assertPrints("listenerBetween", ["1", "0 1"]));

test("eight workers that start at once share one table", () =>
  assertPrints("workers", ["1,1,1,1,1,1,1,1", "true 1"]));

test("threads that fault in one range at once do not kill the process", () =>
  assertPrints("sameRange", ["0,0,0,0 true", "0"]));

test("workers terminated during an access leave the guard intact", () =>
  assertPrints("terminated", []));

test("a guard of another version is called as the previous handler", () =>
  assertPrints("twoVersions", ["2", "0 1", "0 1", "1"]));

test("a fault while another isolate installs its guard waits for it", () =>
  assertPrints("installing", ["0 1 true"]));

test("slots are reused, and each counts its own faults", () =>
  assertPrints("reuse", ["1", "0", "2500 2499 5000", "5000"]));

test("a full table guards no new range until a slot is released", () =>
  assertPrints("full", ["32760", "true", "true"]));

test("a range ends when another is mapped over it", () =>
  assertPrints("overlap", ["0 1 true"]));

test("slots of ranges that were unmapped without a release are reused", () =>
  assertPrints("unmapped", ["0 1 true"]));

test("no slot is claimed twice", () =>
  assertPrints("hammer", ["ok,ok,ok,ok", "0 true"]));

test("Atomics on the table are atomic between isolates", () =>
  assertPrints("atomics", ["1000000"]));

test("a release waits for a handler that works in the range", () =>
  assertPrints("releaseWaits", ["true"]));

test(
  "if executable pages are refused, there is no guard, and large copies work",
  () => assertPrints("noExecutablePages", ["null true", `${999 % 256}`]),
  NOT_RESTRICTABLE ||
    !hasMdwe && "Linux can refuse executable pages since 6.3 only",
);
