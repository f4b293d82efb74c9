/** What could kill the process: each case runs in a child process, and its exit code decides. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { isTruncatable } from "./tested_module.ts";
import {
  ENGINE_OWNS_MEMORY,
  isWindows,
  isWine,
  NO_LISTING,
  NO_STRAY_WRITES,
  unless,
  unlessSampled,
  WINE_LOCKS,
} from "./skip.ts";
import { type ChildResult, deno } from "./run_deno.ts";

const RUN = [
  "run",
  "-A",
  "--no-lock",
  "--no-config",
  "--v8-flags=--expose-gc",
];

/** Runs a script of `children/` with a new directory, which `check` gets too. */
async function run(
  script: string,
  [name, ...details]: readonly [string, ...string[]],
  check: (result: ChildResult, path: string) => void,
  before: (path: string) => void = () => {},
): Promise<void> {
  const url = new URL(`./children/${script}.ts`, import.meta.url).href;
  const directory = Deno.makeTempDirSync({ prefix: "mmapfile-safety-" });
  const path = `${directory}/file`;
  try {
    before(path);
    const result = await deno([...RUN, url, name, directory, ...details]);
    check(result, path);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The case prints these lines and ends by itself. */
function assertPrints(
  args: readonly [string, ...string[]],
  lines: string[],
  before?: (path: string) => void,
): Promise<void> {
  return run("crash_cases", args, ({ code, stdout, stderr }) => {
    assertEquals(
      [stdout, code],
      [[...lines, "done", ""].join("\n"), 0],
      stderr,
    );
  }, before);
}

const ARRAYS = [
  "bytes",
  "subarray",
  "Int8Array",
  "Int32Array",
  "Float64Array",
  "BigUint64Array",
];

for (const [k, type] of ARRAYS.entries()) {
  Deno.test({
    ...unless(
      unlessSampled(k),
      `MmapFile.close() in an optimized loop over ${type} leaves it empty`,
    ),
    async fn() {
      await assertPrints(["readInLoop", type], ["64 32 0 0"]);
      await assertPrints(["writeInLoop", type], ["0 65536"]);
    },
  });
}

Deno.test("MmapFile.close() in an optimized loop over a DataView makes it throw", () =>
  assertPrints(["dataViewInLoop"], ["64 32 0", "TypeError"]));

for (const how of ["close", "truncate", ...isTruncatable ? ["refresh"] : []]) {
  Deno.test(`a ${how} inside a built-in function that works on a view does not crash`, () =>
    assertPrints(["closeWithin", how], []));
}

Deno.test("arguments that close an MmapFile when they are converted do not crash", () =>
  assertPrints(["closeInArgument"], ["65536"]));

Deno.test("MmapFile.close() a second time throws and closes no other file", () =>
  assertPrints(["closeTwice"], ["ClosedError ClosedError", "10 65536"]));

// `native_work_test.ts` has more such work, and other ways to release memory.
for (
  const [k, job] of [
    "digest",
    "encrypt",
    "writeFile",
    "fileWrite",
    "fileRead",
    "nodeWrite",
    "gzip",
    "brotli",
    "blob",
    "worker",
    "tcpWrite",
    "tcpRead",
    "response",
    "request",
    "webSocket",
    "pipe",
    "webAssembly",
  ].entries()
) {
  Deno.test({
    ...unless(
      unlessSampled(k) ||
        isWine && job === "pipe" && "Wine's write to a pipe ends the process",
      `MmapFile.close() during Deno's work on a view does not crash: ${job}`,
    ),
    fn: () =>
      run("background", [job], ({ code, stdout, stderr }) => {
        assertEquals([stdout, code], ["settled 0\n", 0], stderr);
      }),
  });
}

Deno.test("a clone of a view, and one posted to a worker, outlives the file", () =>
  assertPrints(["structuredClone"], ["10 10", "65536"]));

for (const guard of ["guarded", "unguarded"]) {
  Deno.test(`structuredClone of a view of a growing file leaves the file usable, ${guard}`, () =>
    assertPrints(["cloneOfGrowing", guard], [
      "10",
      "10",
      "10",
      "10",
      "10",
      "undefined",
      "undefined",
    ]));
}

Deno.test({
  ...unless(
    NO_STRAY_WRITES,
    "stray writes to the bytes of a read-only file neither change the file nor kill the process",
  ),
  fn: () =>
    assertPrints(["strayWrites"], [
      "OTHER",
      "aaaaR true",
      "true true",
      "LATER",
      "ReadOnlyError",
      "true",
    ], (path) => {
      Deno.writeFileSync(path, new Uint8Array(16 * 4096).fill(65));
    }),
});

for (
  const [k, type] of [
    "bytes",
    "subarray",
    "Int32Array",
    "BigUint64Array",
    "DataView",
  ].entries()
) {
  Deno.test({
    ...unless(
      NO_LISTING || unlessSampled(k),
      `a kept ${type} of a file that was garbage-collected stays readable`,
    ),
    fn: () => assertPrints(["keptView", type], ["true", "1 0"]),
  });
}

Deno.test({
  ...unless(
    NO_LISTING,
    "memory and descriptor of a dropped file are released when its last view is garbage-collected",
  ),
  fn: () => assertPrints(["keptViewDropped"], ["4096 1", "0 0", "65536"]),
});

for (
  const [k, [how, firstByte]] of [
    ["readOnly", 1],
    ["written", 7],
    ["async", 1],
    ["copyOnWrite", 1],
    ["grown", 1],
    ["truncated", 1],
    ["empty", 1],
    ["unused", 1],
    ["window", 1],
    ["stream", 1],
  ].entries()
) {
  Deno.test({
    ...unless(
      NO_LISTING || unlessSampled(k),
      `a file dropped without close() releases its memory and descriptor: ${how}`,
    ),
    fn: () =>
      assertPrints(["dropped", `${how}`], ["true", "true", `${firstByte}`]),
  });
}

Deno.test({
  ...unless(
    NO_LISTING,
    "a closed file is not closed again when it is garbage-collected",
  ),
  fn: () => assertPrints(["closedThenCollected"], ["819400 200", "0"]),
});

for (const how of ["transfer", "structuredClone", "stream"]) {
  Deno.test({
    ...unless(
      ENGINE_OWNS_MEMORY,
      `a transferred buffer outlives MmapFile.close(), and methods say so: ${how}`,
    ),
    fn: () =>
      assertPrints(["moved", how], [
        "0 65536",
        "TypeError",
        "TypeError",
        "TypeError",
        // A sync finds the memory where it is.
        "undefined",
        "65536 2",
        "ClosedError",
      ]),
  });
}

Deno.test({
  ...unless(
    NO_LISTING,
    "views of a growing file are as safe, kept and dropped",
  ),
  fn: () =>
    assertPrints(["growing"], [
      "true",
      "8192 1",
      "0 0",
      "4096 12288",
    ]),
});

Deno.test({
  ...unless(
    ENGINE_OWNS_MEMORY,
    "a buffer transferred to a worker outlives MmapFile.close()",
  ),
  fn: () => assertPrints(["movedToWorker"], ["65536 0"]),
});

const TASKS = ["read", "view", "write", "open", "sync", "lock", "busy"];

for (const [k, task] of TASKS.entries()) {
  Deno.test({
    ...unless(
      unlessSampled(k),
      `worker.terminate() during work does not crash: ${task}`,
    ),
    fn: () => assertPrints(["terminated", task], ["4096"]),
  });
}

Deno.test("Atomics.wait() refuses a view, which is not a SharedArrayBuffer", () =>
  assertPrints(["atomicsWait"], [
    "TypeError",
    "TypeError",
    "0",
    "TypeError",
    "TypeError",
  ]));

/** The case ends with this code, and what it wrote to an open file is in the file. */
function assertEnds(
  name: string,
  expected: Pick<ChildResult, "code" | "stdout"> & { stderr?: string },
): Promise<void> {
  return run("crash_cases", [name], ({ code, stdout, stderr }, path) => {
    assertEquals(code, expected.code, stderr);
    assertEquals(stdout, expected.stdout);
    assertStringIncludes(stderr, expected.stderr ?? "");
    assertEquals(Deno.readFileSync(path)[0], 100);
  });
}

Deno.test("an uncaught error with files open ends the process as usual", async () => {
  const stdout = "unhandled rejection\n";
  const stderr = "on purpose";
  await assertEnds("uncaught", { code: 1, stdout, stderr });
  await assertEnds("rejected", { code: 1, stdout: `done\n${stdout}`, stderr });
});

Deno.test("the process ends by itself with files open", () =>
  assertEnds("openAtExit", { code: 0, stdout: "done\n" }));

Deno.test("Deno.exit() during operations ends the process with its code", () =>
  assertEnds("exitAmidst", { code: 7, stdout: "done\n" }));

Deno.test("Deno.exit() inside a loop over a view ends the process with its code", () =>
  assertEnds("exitInCallback", { code: 7, stdout: "" }));

Deno.test("a file can be written and closed in an unload listener", () =>
  assertEnds("unload", { code: 0, stdout: "done\nunloaded 0\n" }));

Deno.test({
  name: "what was written is in the file after SIGKILL",
  // Windows ends the process without a signal.
  fn: () => assertEnds("killed", { code: isWindows ? 1 : 137, stdout: "" }),
});

Deno.test("a view held while its file grows is unchanged or empty", () =>
  assertPrints(["growUnderView"], [
    "true true",
    "true",
    "true",
    "true",
    "0 0",
  ]));

Deno.test("MmapFile grows during Deno's work on its views", () =>
  assertPrints(["growUnderWork"], ["true"]));

Deno.test("MmapFile.writeSync() of the file's own bytes to its end doubles it", () =>
  assertPrints(["growByItself"], ["8388608 8388608"]));

for (
  const [k, operation] of [
    "read",
    "readAt",
    "write",
    "writeAt",
    "writeItself",
    "readItself",
    "sync",
    "syncData",
    "flush",
    "prefetch",
    "truncate",
    "extend",
    "stat",
    "utime",
    "seek",
    "tryLock",
    "unlock",
    "queue",
  ].entries()
) {
  Deno.test({
    ...unless(
      unlessSampled(k) || operation === "unlock" && WINE_LOCKS,
      `MmapFile.close() while an operation is pending lets it end or throw ClosedError: ${operation}`,
    ),
    fn: () => assertPrints(["closeWhilePending", operation], []),
  });
}

Deno.test("MmapFile.close() while lock() waits leaves the lock free", () =>
  assertPrints(["closeWhileLocking"], ["fine fine", "true"]));

Deno.test("MmapFile.close() during its streams makes them fail as Deno's do", () =>
  assertPrints(["closeWhileStreaming"], ["BadResource", "BadResource"]));

Deno.test({
  ...unless(
    NO_LISTING,
    "fifty files opened at once and closed during sync() leave no mapping",
  ),
  fn: () => assertPrints(["openAtOnce"], ["0"]),
});
