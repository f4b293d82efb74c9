import { assertEquals, assertStringIncludes } from "@std/assert";
import { type ChildResult, deno } from "./run_deno.ts";
import { isEmulated, NO_GUARD, type Reason, unless } from "./skip.ts";

/** What is changed in how the kernel treats a process applies to QEMU itself too. */
const NO_KERNEL_RULES: Reason = isEmulated &&
  "QEMU itself would be refused it";

/** Linux refuses to make pages executable when asked to: since 6.3. */
const [major, minor] = Deno.osRelease().split(".").map((part) =>
  parseInt(part)
);
const hasMdwe = major > 6 || major === 6 && minor >= 3;

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

/** The same happens with the guard as without it. */
async function assertUnchanged(name: string): Promise<ChildResult> {
  const [before, after] = [await run(name, "unguarded"), await run(name)];
  assertEquals(after.stdout, before.stdout, after.stderr);
  assertEquals(after.code, before.code, after.stderr);
  return after;
}

test("a page that was cut off reads as zeros and counts one fault", () =>
  assertPrints("reads", ["7 0", "0 0", "0 0 1", "0 0 0 2"]));

test("a write to a page that was cut off is lost and counts one fault", () =>
  assertPrints("writes", ["1 2 7 2"]));

test("the last page is guarded whole", () =>
  assertPrints("lastPage", ["0 0 1"]));

test("a file that grows again shows its bytes only where nothing faulted", () =>
  assertPrints("grownAgain", ["0 1", "0 0 1"]));

test("faults in native code and in other threads are survived", () =>
  assertPrints("native", ["0n 1", "true 1", "32 1"]));

test("optimised code sees the count change across a copy", () =>
  assertPrints("optimised", ["21000000 -1 -2"]));

for (const order of ["forward", "backward", "random"]) {
  test(`1 GiB touched ${order} at every second page adds at most 100 mappings`, () =>
    assertPrints(order, []));
}

test(
  "where large mappings are refused zeros come by the page",
  () => assertPrints("refusedLarge", ["0 3"]),
  NO_KERNEL_RULES,
);

test(
  "where no mapping is to be had the fault kills",
  async () => {
    const { code, stdout } = await run("refused");
    assertEquals([code, stdout], [KILLED_BY_BUS, "before\n"]);
  },
  NO_KERNEL_RULES,
);

test("a file is not guarded while another handler has replaced the guard's", () =>
  assertPrints("replaced", ["true false true"]));

test("a range that was released is not guarded", async () => {
  const { code, stdout } = await run("released");
  assertEquals([code, stdout], [KILLED_BY_BUS, "before\n"]);
});

for (
  const [name, what] of [
    ["foreignFault", "a fault outside the ranges"],
    ["killedOnceThenForeignFault", "after a signal a fault outside the ranges"],
    ["killed", "a SIGBUS sent again and again"],
    ["killedByDefault", "a SIGBUS sent where SIG_DFL stood"],
    ["ignored", "a fault where SIG_IGN stood"],
  ]
) {
  test(
    `${what} kills as without the guard`,
    async () => {
      const { code } = await assertUnchanged(name);
      assertEquals(code, KILLED_BY_BUS);
    },
    isEmulated && name === "ignored" &&
      "QEMU lets an ignored fault happen again for ever",
  );
}

test("a SIGBUS that was sent does not end the guard", () =>
  assertPrints("killedOnce", ["0 1"]));

test("a stack overflow is a RangeError as without the guard", async () => {
  const { stdout } = await assertUnchanged("stackOverflow");
  assertStringIncludes(stdout, "RangeError: Maximum call stack size exceeded");
});

test("WebAssembly traps as without the guard", async () => {
  const { stdout } = await assertUnchanged("wasm");
  assertStringIncludes(stdout, "RuntimeError: memory access out of bounds");
});

test("a signal listener hears SIGBUS, added after the guard or before", async () => {
  for (const name of ["listenerAfter", "listenerBefore"]) {
    const { stdout } = await assertUnchanged(name);
    assertStringIncludes(stdout, "heard");
  }
});

test("a signal listener between two guards lets both work", () =>
  assertPrints("listenerBetween", ["1", "0 1"]));

test("eight workers that start at once share one table", () =>
  assertPrints("workers", ["1,1,1,1,1,1,1,1", "true 1"]));

test("threads that fault in one range at once are survived", () =>
  assertPrints("sameRange", ["0,0,0,0 true", "0"]));

test("workers terminated in mid-access leave the guard whole", () =>
  assertPrints("terminated", []));

test("a guard of another version is chained to", () =>
  assertPrints("twoVersions", ["2", "0 1", "0 1", "1"]));

test("a fault while another isolate installs its guard waits for it", () =>
  assertPrints("installing", ["0 1 true"]));

test("slots are used again and count apart", () =>
  assertPrints("reuse", ["1", "0", "2500 2499 5000", "5000"]));

test("a full table gives no guard until a slot is released", () =>
  assertPrints("full", ["32760", "true", "true"]));

test("a range ends when another is mapped over it", () =>
  assertPrints("overlap", ["0 1 true"]));

test("slots of ranges that were unmapped without notice are used again", () =>
  assertPrints("unmapped", ["0 1 true"]));

test("no slot is ever held twice", () =>
  assertPrints("hammer", ["ok,ok,ok,ok", "0 true"]));

test("Atomics on the table are atomic between isolates", () =>
  assertPrints("atomics", ["1000000"]));

test("a release waits for a handler at work in the range", () =>
  assertPrints("releaseWaits", ["true"]));

test(
  "where executable pages are refused there is no guard, and large copies are made all the same",
  () => assertPrints("noExecutablePages", ["null true", `${999 % 256}`]),
  NO_KERNEL_RULES || !hasMdwe && "Linux refuses them since 6.3",
);
