/** What could kill the process, each in a process of its own, judged by how that ends. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { mayBeCut } from "./mod_under_test.ts";
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

/** Runs a script of `children/` with a directory of its own, which `check` sees too. */
async function run(
  script: string,
  [name, ...details]: string[],
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

/** The case ends by itself, having printed these lines. */
function assertPrints(
  args: string[],
  lines: string[],
  before?: (path: string) => void,
): Promise<void> {
  return run("safety", args, ({ code, stdout, stderr }) => {
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
      `MmapFile.close() in the midst of an optimized loop over ${type} leaves it empty`,
    ),
    async fn() {
      await assertPrints(["readInLoop", type], ["64 32 0 0"]);
      await assertPrints(["writeInLoop", type], ["0 65536"]);
    },
  });
}

Deno.test("MmapFile.close() in the midst of an optimized loop over a DataView makes it throw", () =>
  assertPrints(["dataViewInLoop"], ["64 32 0", "TypeError"]));

for (const how of ["close", "truncate", ...mayBeCut ? ["refresh"] : []]) {
  Deno.test(`a ${how} inside a built-in function that works on a view is survived`, () =>
    assertPrints(["closeWithin", how], []));
}

Deno.test("MmapFile survives arguments that close it when they are looked at", () =>
  assertPrints(["closeInArgument"], ["65536"]));

Deno.test("MmapFile.close() a second time throws and hits no other file", () =>
  assertPrints(["closeTwice"], ["ClosedError ClosedError", "10 65536"]));

// `native_work_test.ts` has more of it, and other ends of memory than a close.
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
      `MmapFile.close() during Deno's own work on a view is survived: ${job}`,
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
    "stray writes to the bytes of a read-only file change neither the file nor the life of the process",
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
      `a kept ${type} of a file dropped and collected stays readable`,
    ),
    fn: () => assertPrints(["keptView", type], ["true", "1 0"]),
  });
}

Deno.test({
  ...unless(
    NO_LISTING,
    "memory and descriptor of a dropped file are given back when its last view is dropped",
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
    ["cut", 1],
    ["empty", 1],
    ["unused", 1],
    ["window", 1],
    ["stream", 1],
  ].entries()
) {
  Deno.test({
    ...unless(
      NO_LISTING || unlessSampled(k),
      `a file forgotten without close() gives memory and descriptor back: ${how}`,
    ),
    fn: () =>
      assertPrints(["forgotten", `${how}`], ["true", "true", `${firstByte}`]),
  });
}

Deno.test({
  ...unless(
    NO_LISTING,
    "a closed file is not closed again when it is collected",
  ),
  fn: () => assertPrints(["closedThenCollected"], ["819400 200", "0"]),
});

for (const how of ["transfer", "structuredClone", "stream"]) {
  Deno.test({
    ...unless(
      ENGINE_OWNS_MEMORY,
      `a buffer moved away outlives MmapFile.close(), and methods say so: ${how}`,
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
    "views of a growing file, kept and dropped, are as safe",
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
    "a buffer moved to a worker outlives MmapFile.close()",
  ),
  fn: () => assertPrints(["movedToWorker"], ["65536 0"]),
});

const TASKS = ["read", "view", "write", "open", "sync", "lock", "busy"];

for (const [k, task] of TASKS.entries()) {
  Deno.test({
    ...unless(
      unlessSampled(k),
      `worker.terminate() in the midst of work is survived: ${task}`,
    ),
    fn: () => assertPrints(["terminated", task], ["4096"]),
  });
}

Deno.test("Atomics.wait on a view is refused, as the memory is not shared to V8", () =>
  assertPrints(["atomicsWait"], [
    "TypeError",
    "TypeError",
    "0",
    "TypeError",
    "TypeError",
  ]));

/** The case ends with this code, and what it wrote to a file that it left open is in the file. */
function assertEnds(
  name: string,
  expected: Pick<ChildResult, "code" | "stdout"> & { stderr?: string },
): Promise<void> {
  return run("safety", [name], ({ code, stdout, stderr }, path) => {
    assertEquals(code, expected.code, stderr);
    assertEquals(stdout, expected.stdout);
    assertStringIncludes(stderr, expected.stderr ?? "");
    assertEquals(Deno.readFileSync(path)[0], 100);
  });
}

Deno.test("an uncaught error with files open ends the process as ever", async () => {
  const stdout = "unhandled rejection\n";
  const stderr = "on purpose";
  await assertEnds("uncaught", { code: 1, stdout, stderr });
  await assertEnds("rejected", { code: 1, stdout: `done\n${stdout}`, stderr });
});

Deno.test("the process ends by itself with files open", () =>
  assertEnds("openAtExit", { code: 0, stdout: "done\n" }));

Deno.test("Deno.exit() amidst operations under way ends the process with its code", () =>
  assertEnds("exitAmidst", { code: 7, stdout: "done\n" }));

Deno.test("Deno.exit() inside a loop over a view ends the process with its code", () =>
  assertEnds("exitInCallback", { code: 7, stdout: "" }));

Deno.test("a file can be written and closed in an unload listener", () =>
  assertEnds("unload", { code: 0, stdout: "done\nunloaded 0\n" }));

Deno.test({
  name: "what was written is in the file after SIGKILL",
  // Windows has no signals, but ends the process.
  fn: () => assertEnds("killed", { code: isWindows ? 1 : 137, stdout: "" }),
});

Deno.test("a view held while its file grows is as it was, or empty", () =>
  assertPrints(["growUnderView"], [
    "true true",
    "true",
    "true",
    "true",
    "0 0",
  ]));

Deno.test("MmapFile grows under Deno's own work on its views", () =>
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
    "lengthen",
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

Deno.test("MmapFile.close() while lock() waits leaves nobody holding the lock", () =>
  assertPrints(["closeWhileLocking"], ["fine fine", "true"]));

Deno.test("MmapFile.close() under its streams makes them fail as Deno's do", () =>
  assertPrints(["closeWhileStreaming"], ["BadResource", "BadResource"]));

Deno.test({
  ...unless(
    NO_LISTING,
    "fifty files opened at once and closed under their sync leave no mapping",
  ),
  fn: () => assertPrints(["openAtOnce"], ["0"]),
});
