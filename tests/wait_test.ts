/**
 * Waiting on an Int32 of a file, in this isolate, in workers and in processes.
 *
 * MMAPFILE_WAIT_ROUNDS sets how often processes and workers wait for each other: 400 times by default.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ClosedError,
  createSync,
  type MmapFile,
  open,
  openSync,
  TruncatedError,
  type WaitOptions,
} from "@mmapfile/mmapfile";
import fc from "fast-check";
import { isTruncatable, NOT_TRUNCATABLE } from "./tested_module.ts";
import { commandOf, deno } from "./run_deno.ts";
import { STRIDE } from "./children/wait.ts";
import { isEmulated, NO_LISTING, ONE_IN, type Reason } from "./skip.ts";
import { processesOf, type Run, workersOf } from "./run_task.ts";
import { assertNothingIsOpen, heldOpen } from "./open_handles.ts";
import { outcomeOf } from "./outcome.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

const ROUNDS = Number(Deno.env.get("MMAPFILE_WAIT_ROUNDS") ?? 400 / ONE_IN);
const SCRIPT = new URL("./children/wait.ts", import.meta.url);
const WRITE = { read: true, write: true };
const NO_FUTEX: Reason = (Deno.build.os !== "linux" || isEmulated) &&
  "the test calls futex(2) of Linux natively";

/** A file of zeros, and its words. */
function words(dir: TempDir, size = 4096): [MmapFile, Int32Array] {
  const file = createSync(dir.join("data"), size);
  return [file, file.view(Int32Array)];
}

// --- Results of a wait

testInDir("wait() ends at once if the word has another value", async (dir) => {
  const [file, view] = words(dir);
  using _ = file;
  view[1] = -5;
  assertEquals(await file.wait(4, 0), "not-equal");
  assertEquals(await file.wait(4, 5, { timeout: 0 }), "not-equal");
  // Numbers are converted as by Atomics.waitAsync.
  assertEquals(await file.wait(4, 2 ** 32 - 5, { timeout: 0 }), "timed-out");
});

testInDir("wait() returns what Atomics.waitAsync() returns", async (dir) => {
  const [file, view] = words(dir);
  using _ = file;
  const shared = new Int32Array(new SharedArrayBuffer(8));
  // Deno does not wait for Atomics.waitAsync().
  const timer = setInterval(() => {}, 1000);
  for (const timeout of [undefined, NaN, -1, 0, 5, 1e9, Infinity]) {
    for (const expected of [0, 1, -1, 0.5, 2 ** 32, 2 ** 31, NaN]) {
      for (const stored of [0, -1]) {
        view[1] = shared[1] = stored;
        const ours = file.wait(4, expected, { timeout } as WaitOptions);
        const { value } = Atomics.waitAsync(shared, 1, expected, timeout);
        Atomics.notify(shared, 1);
        file.notify(4);
        assertEquals(await ours, await value, `${timeout} ${expected}`);
      }
    }
  }
  clearInterval(timer);
});

testInDir("wait() ends at its timeout, and not before", async (dir) => {
  const [file] = words(dir);
  using _ = file;
  const start = performance.now();
  const times = [400, 1, 300, 500].map(async (timeout) => {
    assertEquals(await file.wait(0, 0, { timeout }), "timed-out");
    assert(performance.now() - start >= timeout);
    return timeout;
  });
  assertEquals(await Promise.race(times), 1);
  await Promise.all(times);
});

testInDir(
  "notify() wakes all waits on the word, in any window, and no others",
  async (dir) => {
    const [file] = words(dir, 65_536);
    using _ = file;
    using part = openSync(file.name, { ...WRITE, offset: 8, length: 100 });
    using reader = openSync(file.name);
    const woken = [
      file.wait(16, 0),
      file.wait(16, 0),
      part.wait(8, 0),
      reader.wait(16, 0),
    ];
    const others = [file.wait(12, 0), reader.wait(4096 + 16, 0)];
    part.notify(8);
    assertEquals(await Promise.all(woken), Array(4).fill("ok"));
    assertEquals(await Promise.race([...others, sleep(20)]), undefined);
    file.notify(12);
    reader.notify(4096 + 16);
    assertEquals(await Promise.all(others), ["ok", "ok"]);
  },
);

testInDir("wait() sees a change without a notify", async (dir) => {
  const [file, view] = words(dir);
  using _ = file;
  const wait = file.wait(0, 0);
  await sleep(10);
  view[0] = 1;
  assertEquals(await wait, "ok");
});

testInDir(
  "wait() accepts a word that is aligned and in the file",
  async (dir) => {
    const [file] = words(dir, 103);
    using _ = file;
    using part = openSync(file.name, { ...WRITE, offset: 6, length: 50 });
    const outside: [MmapFile, number, RegExp][] = [
      [file, 2, /byte 2 of the file is not aligned/],
      [part, 4, /byte 10 of the file is not aligned/],
      [file, 100, /4 bytes at 100/],
      [file, 104, /byte 104 /],
      [part, 50, /4 bytes at 50/],
      [file, -4, /-4 is not a whole number/],
      [file, 0.5, /0.5 is not a whole number/],
      [file, NaN, /NaN is not a whole number/],
    ];
    for (const [file, offset, message] of outside) {
      const { message: ofWait } = await assertRejects(
        () => file.wait(offset, 0),
        RangeError,
      );
      const { message: ofNotify } = assertThrows(
        () => file.notify(offset),
        RangeError,
      );
      assert(message.test(ofWait), ofWait);
      assert(message.test(ofNotify), ofNotify);
    }
    assertEquals(await part.wait(2, 0, { timeout: 0 }), "timed-out");
    assertEquals(await file.wait(96, 0, { timeout: 0 }), "timed-out");
  },
);

testInDir("wait() of the fallback throws", async (dir) => {
  const path = dir.file(8);
  using file = openSync(path, { ...WRITE, backend: "fallback" });
  await assertRejects(() => file.wait(0, 0), Deno.errors.NotSupported);
  assertThrows(() => file.notify(0), Deno.errors.NotSupported);
});

testInDir("an aborted signal rejects only its wait", async (dir) => {
  const [file] = words(dir);
  using _ = file;
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = file.wait(0, 0, { signal });
  const other = file.wait(0, 0);
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await outcomeOf(() => aborted), { error: reason });
  assertEquals(await outcomeOf(() => file.wait(0, 1, { signal })), {
    error: reason,
  });
  file.notify(0);
  assertEquals(await other, "ok");
  await assertRejects(
    () => file.wait(0, 0, { signal: AbortSignal.timeout(5) }),
    DOMException,
  );
});

testInDir(
  "close() rejects only the waits of its file, and leaks nothing",
  async (dir) => {
    const [file] = words(dir, 65_536);
    using other = openSync(file.name);
    const closed = [0, 4, 4096].map((offset) => file.wait(offset, 0));
    const kept = other.wait(4, 0);
    await sleep(5);
    file.close();
    for (const wait of closed) await assertRejects(() => wait, ClosedError);
    await assertRejects(() => file.wait(0, 0), ClosedError);
    assertThrows(() => file.notify(0), ClosedError);
    other.notify(4);
    assertEquals(await kept, "ok");
    const left = assertRejects(() => other.wait(4, 0), ClosedError);
    await sleep(5);
    other.close();
    await left;
    await assertNothingIsOpen(dir);
  },
);

testInDir(
  "truncate() rejects the waits on words past the new end, and no others",
  async (dir) => {
    using file = await open(dir.file(new Uint8Array(8192)), {
      ...WRITE,
      grow: true,
    });
    const waits = [0, 96, 4096].map((offset) => file.wait(offset, 0));
    file.truncateSync(98);
    await Promise.all(
      waits.slice(1).map(async (wait) => {
        const { message } = await assertRejects(() => wait, TruncatedError);
        assert(/byte (96|4096) is past its end/.test(message), message);
      }),
    );
    // A word that is added again is another word.
    file.truncateSync(8192);
    file.notify(96);
    file.notify(0);
    assertEquals(await waits[0], "ok");
  },
);

testInDir(
  "truncation by another process rejects the waits on words past the new end",
  async (dir) => {
    const [file] = words(dir, 8192);
    const waits = [0, 96, 4096].map((offset) => file.wait(offset, 0));
    // They may reject while the file is being truncated.
    const rejected = waits.slice(1).map((wait) =>
      assertRejects(() => wait, TruncatedError)
    );
    await sleep(5);
    await Deno.truncate(file.name, 98);
    await Promise.all(rejected);
    file.notify(0);
    assertEquals(await waits[0], "ok");
    file.close();
    assertEquals(Deno.statSync(file.name).size, 98);
  },
  NOT_TRUNCATABLE,
);

testInDir("growth and refresh() do not change waits", async (dir) => {
  using file = openSync(dir.file(new Uint8Array(64)), { ...WRITE, grow: true });
  const wait = file.wait(0, 0);
  const inTime = Promise.race([wait, sleep(20)]);
  file.writeAtSync(new Uint8Array(4 << 20), 64);
  file.view(Int32Array)[1] = 1;
  file.refresh();
  assertEquals(await inTime, undefined);
  file.view(Int32Array)[0] = 1;
  file.notify(0);
  assertEquals(await wait, "ok");
});

testInDir("waits that end at once let timers run", async (dir) => {
  const [file] = words(dir);
  using _ = file;
  let isOver = false;
  setTimeout(() => isOver = true, 1);
  while (!isOver) assertEquals(await file.wait(0, 1), "not-equal");
});

// --- Workers and processes

const inProcess = processesOf(SCRIPT);
const inWorker = workersOf(SCRIPT);

/** Every other one in a worker. */
const inEither: Run = (task, path, ...args) =>
  (args[0]! % 2 === 0 ? inProcess : inWorker)(task, path, ...args);

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** How many processes or workers take part where it is more than two. */
const MANY = Deno.env.has("MMAPFILE_WAIT_ROUNDS") ? 8 : 4;

const HANDED: [all: number, kind: string, run: Run][] = [
  [2, "processes", inProcess],
  [2, "workers", inWorker],
  [MANY, "processes and workers", inEither],
];

for (const [all, kind, run] of HANDED) {
  testInDir(`${all} ${kind} pass a turn around`, async (dir) => {
    const [file] = words(dir);
    using _ = file;
    const answers = await Promise.all(
      numbers(all).map((me) => run("handOn", file.name, me, all, ROUNDS)),
    );
    assertEquals(answers, Array(all).fill("handed on"));
  });
}

testInDir(
  `${MANY} processes and workers see every number that one counts`,
  async (dir) => {
    const [file] = words(dir);
    using _ = file;
    const answers = await Promise.all([
      inProcess("count", file.name, MANY, ROUNDS),
      ...numbers(MANY).map((i) => inEither("answer", file.name, i + 1, ROUNDS)),
    ]);
    assertEquals(answers, ["counted", ...Array(MANY).fill("answered")]);
  },
);

testInDir(
  `one sees the sum of the additions of ${MANY} processes and workers`,
  async (dir) => {
    const [file, view] = words(dir);
    using _ = file;
    const total = MANY * ROUNDS;
    const sum = inProcess("sum", file.name, total);
    await Promise.all(
      numbers(MANY).map((i) => inEither("add", file.name, i, ROUNDS)),
    );
    assertEquals(view[0], total);
    assertEquals(await sum, String(total));
  },
);

testInDir(
  "waits on many words work across processes as waits on few",
  async (dir) => {
    const many = 1000;
    const [file, view] = words(dir, many * STRIDE);
    using _ = file;
    const waits = numbers(many).map((i) => file.wait(i * STRIDE, 0));
    const sum = inProcess("sum", file.name, 20);
    for (let i = 0; i < 20; i++) {
      Atomics.add(view, 0, 1);
      file.notify(0);
      await file.wait(STRIDE, 0, { timeout: 1 });
    }
    assertEquals(await sum, "20");
    assertEquals(await waits[0], "ok");
    for (let i = 1; i < many; i++) file.notify(i * STRIDE);
    assertEquals(new Set(await Promise.all(waits)), new Set(["ok"]));
  },
);

testInDir(
  "processes that are killed while they wait or notify do not disturb others",
  async (dir) => {
    const [file] = words(dir);
    using _ = file;
    let isOver = false;
    const victims = numbers(2).map(async (i) => {
      let killed = 0;
      while (!isOver) {
        const [command, args] = commandOf([
          ...["run", "-A", "--no-check", "--no-lock", "--no-config"],
          // Each waits on a word by which others pass their turns, and notifies its own word.
          ...[SCRIPT.href, "disturb", file.name, String(i), String(9 + i)],
        ]);
        const before = Atomics.load(
          file.view(Int32Array),
          (9 + i) * STRIDE / 4,
        );
        const child = new Deno.Command(command, { args, stdin: "null" })
          .spawn();
        await file.wait((9 + i) * STRIDE, before);
        await sleep(50 * Math.random());
        child.kill("SIGKILL");
        await child.status;
        killed++;
      }
      return killed;
    });
    const answers = await Promise.all(
      [0, 1, 2].map((me) => inEither("handOn", file.name, me, 3, 3 * ROUNDS)),
    );
    isOver = true;
    assertEquals(answers, Array(3).fill("handed on"));
    for (const killed of await Promise.all(victims)) assert(killed > 0);
  },
);

// --- One thread, and the end of the process

/** Runs a program that uses the library in a child process, and returns how it ended. */
async function program(dir: TempDir, body: string) {
  const library = new URL("../mod.ts", import.meta.url).href;
  const path = dir.file(
    `import * as library from ${JSON.stringify(library)};\n` +
      `const file = library.openSync(${JSON.stringify(dir.join("data"))}, ` +
      `{ read: true, write: true });\n${body}`,
    "program.ts",
  );
  const args = ["run", "-A", "--no-check", "--no-lock", "--no-config", path];
  const { code, stdout, stderr } = await deno(args);
  return { code, stdout: stdout.trim(), stderr };
}

const ENDS: [name: string, body: string, code: number, stdout: string][] = [
  [
    "waits that do not end do not keep a process alive",
    `void file.wait(0, 0); void file.wait(4, 0, { timeout: 1e9 });
     console.log("end");`,
    0,
    "end",
  ],
  [
    "waits on so many words that they are polled do not keep a process alive",
    `for (let i = 0; i < 200; i++) void file.wait(4 * i, 0);
     console.log("end");`,
    0,
    "end",
  ],
  [
    "Deno.exit() ends a process that waits",
    `void file.wait(0, 0); setTimeout(() => Deno.exit(3), 10);`,
    3,
    "",
  ],
  [
    "an error ends a process that waits",
    `void file.wait(0, 0); setTimeout(() => { throw new Error(); }, 10);`,
    1,
    "",
  ],
  [
    "a top-level await keeps a process alive that waits",
    `console.log(await file.wait(0, 0, { timeout: 1500 }));`,
    0,
    "timed-out",
  ],
  [
    "a top-level await keeps a process alive that polls",
    `for (let i = 1; i < 200; i++) void file.wait(4 * i, 0);
     console.log(await file.wait(0, 0, { timeout: 1500 }));
     file.close();`,
    1,
    "timed-out",
  ],
  [
    "worker.terminate() ends a worker that waits",
    `const worker = new Worker(${
      JSON.stringify(SCRIPT.href)
    }, { type: "module" });
     worker.postMessage(["leave", file.name, 3]);
     await new Promise((done) => setTimeout(done, 300));
     worker.terminate();
     console.log("end");`,
    0,
    "end",
  ],
];

for (const [name, body, code, stdout] of ENDS) {
  testInDir(name, async (dir) => {
    dir.file(new Uint8Array(4096));
    const end = await program(dir, body);
    assertEquals([end.code, end.stdout], [code, stdout], end.stderr);
  });
}

testInDir(
  "10,000 waits use one thread at most, and files are read, synced and locked during them",
  async (dir) => {
    for (const stride of [0, 4]) {
      dir.file(new Uint8Array(40_000));
      const { code, stdout, stderr } = await program(
        dir,
        `const asleep = () => [...Deno.readDirSync("/proc/self/task")]
           .filter(({ name }) => {
             const path = "/proc/self/task/" + name + "/syscall";
             return Deno.readTextFileSync(path).startsWith("449 ");
           }).length;
         using other = library.createSync(${
          JSON.stringify(dir.join("other"))
        }, 100);
         async function use() {
           await Deno.readTextFile(other.name);
           await other.sync();
           await other.lock(true);
           await other.unlock();
         }
         const waits = Array.from({ length: 10_000 },
           (_, i) => file.wait(${stride} * i, 0));
         let pending = true;
         Promise.race(waits).then(() => pending = false);
         await new Promise((done) => setTimeout(done, 20));
         for (let i = 0; i < 20; i++) await use();
         console.log(pending, asleep() <= 1);
         for (let i = 0; i < 10_000; i++) file.notify(${stride} * i);
         console.log(new Set(await Promise.all(waits)));`,
      );
      assertEquals(
        [code, stdout],
        [0, 'true true\nSet(1) { "ok" }'],
        stderr,
      );
    }
  },
  NO_LISTING,
);

testInDir(
  "workers that are terminated while they wait leave no mapping",
  async (dir) => {
    const [file] = words(dir);
    for (let round = 0; round < 5 / ONE_IN; round++) {
      const worker = new Worker(SCRIPT, { type: "module" });
      worker.postMessage(["leave", file.name, 8]);
      // Another wait, which has not ended, shows that theirs have begun.
      await sleep(100);
      worker.terminate();
    }
    file.close();
    for (let turn = 0; heldOpenAsWaits(dir).length > 0; turn++) {
      assert(turn < 500, heldOpenAsWaits(dir).join("\n"));
      await sleep(10);
    }
  },
  NO_LISTING,
);

/** The pages mapped for waits, which are read-only; a terminated worker also leaves other mappings. */
function heldOpenAsWaits(dir: TempDir): string[] {
  return heldOpen(dir).filter((line) => line.includes(" r--s "));
}

// --- Other programs

testInDir(
  "wait() and notify() work with a program that uses shared futexes",
  async (dir) => {
    const [file, view] = words(dir);
    using _ = file;
    using descriptor = openSync(file.name, WRITE);
    const libc = Deno.dlopen("libc.so.6", {
      syscall: {
        parameters: ["i64", "buffer", "i64", "i64", "usize"],
        result: "i64",
      },
      syscallAsync: {
        name: "syscall",
        parameters: ["i64", "buffer", "i64", "i64", "usize"],
        result: "i64",
        nonblocking: true,
      },
    });
    const futex = Deno.build.arch === "x86_64" ? 202n : 98n;
    const [FUTEX_WAIT, FUTEX_WAKE] = [0n, 1n];
    const word = descriptor.bytes(8, 4);
    // A word at which such a program waits.
    const woken = libc.symbols.syscallAsync(futex, word, FUTEX_WAIT, 0n, 0n);
    await sleep(20);
    Atomics.store(view, 2, 1);
    file.notify(8);
    assertEquals(await woken, 0n);
    // A word that such a program notifies, changed or not.
    for (const value of [1, 2]) {
      const wait = file.wait(8, 1);
      await sleep(20);
      Atomics.store(view, 2, value);
      libc.symbols.syscall(futex, word, FUTEX_WAKE, 100n, 0n);
      const late = sleep(200);
      assertEquals(await Promise.race([wait, late]), "ok");
    }
    libc.close();
  },
  NO_FUTEX,
);

// --- The model

/** The words of the model, of the first and the last page, and two files to access them. */
const OFFSETS = [0, 4, 8200];
const SIZE = 8204;
const WINDOW = 4;

type Step =
  | { do: "wait"; way: number; word: number; expected: number; timeout: number }
  | { do: "store"; word: number; value: number }
  | { do: "notify"; way: number; word: number }
  | { do: "abort"; which: number }
  | { do: "truncate"; size: number }
  | { do: "close"; way: number }
  | { do: "refresh" | "pass" };

const word = fc.nat(OFFSETS.length - 1);
const way = fc.nat(1);
const value = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      way,
      word,
      expected: value,
      timeout: fc.constantFrom(0, 1, Infinity, Infinity),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("store" as const), word, value }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("notify" as const), way, word }),
  },
  fc.record({ do: fc.constant("abort" as const), which: fc.nat(20) }),
  fc.record({
    do: fc.constant("truncate" as const),
    size: fc.constantFrom(4, 8, 4096, SIZE, SIZE + 4),
  }),
  fc.record({ do: fc.constant("close" as const), way }),
  fc.record({ do: fc.constantFrom("refresh" as const, "pass" as const) }),
);

/** A wait, and its possible results: several after a change that it may have seen or not. */
interface Modeled {
  readonly way: number;
  readonly word: number;
  readonly expected: number;
  readonly controller: AbortController;
  readonly outcome: Promise<string>;
  readonly may: Set<string>;
  isPending: boolean;
}

const RUNS = Number(
  Deno.env.get("MMAPFILE_FC_RUNS") ?? Math.ceil(100 / ONE_IN),
);

testInDir(
  "any order of waits, stores, notifies, aborts, truncations and closes has the expected results",
  async (dir) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await runModel(dir, steps);
      }),
      { numRuns: RUNS },
    );
  },
);

async function runModel(dir: TempDir, steps: Step[]): Promise<void> {
  const path = dir.file(new Uint8Array(SIZE));
  const whole = openSync(path, { ...WRITE, grow: true });
  const ways = [whole, openSync(path, { ...WRITE, offset: WINDOW })];
  const content = [0, 0, 0];
  let size = SIZE;
  /** Where the file ends as the window last saw it. */
  let seen = SIZE;
  const all: Modeled[] = [];

  const ends = (wait: Modeled, result: string) => {
    wait.may.add(result);
    wait.isPending = false;
  };
  const pending = (word?: number) =>
    all.filter((wait) =>
      wait.isPending && (word === undefined || wait.word === word)
    );
  const has = (word: number) => OFFSETS[word]! + 4 <= size;

  for (const step of steps) {
    if ("way" in step && ways[step.way]!.closed) continue;
    if ("word" in step && !has(step.word)) continue;
    if (step.do === "wait") {
      const { way, word, expected, timeout } = step;
      const offset = OFFSETS[word]! - way * WINDOW;
      if (offset < 0) continue;
      const controller = new AbortController();
      const { signal } = controller;
      const outcome = outcomeOf(() =>
        ways[way]!.wait(offset, expected, { timeout, signal })
      ).then((outcome) =>
        "value" in outcome ? String(outcome.value) : outcome.error.name
      );
      const wait = { way, word, expected, controller, outcome };
      const modeled = { ...wait, may: new Set<string>(), isPending: true };
      all.push(modeled);
      // A file that was found truncated refuses.
      if (way === 1 && size < SIZE) modeled.may.add("TruncatedError");
      if (way === 1 && OFFSETS[word]! + 4 > seen) ends(modeled, "RangeError");
      else if (content[word] !== expected) ends(modeled, "not-equal");
      else if (timeout === 0) ends(modeled, "timed-out");
      else if (timeout === 1) modeled.may.add("timed-out");
    } else if (step.do === "store") {
      const { word, value } = step;
      if (whole.closed) continue;
      whole.view(Int32Array, OFFSETS[word], 1)[0] = content[word] = value;
      for (const wait of pending(word)) {
        if (wait.expected !== value) wait.may.add("ok");
      }
    } else if (step.do === "notify") {
      const { way, word } = step;
      const offset = OFFSETS[word]! - way * WINDOW;
      if (offset < 0) continue;
      try {
        ways[way]!.notify(offset);
      } catch (error) {
        assert(
          way === 1 &&
            (error instanceof TruncatedError || OFFSETS[word]! + 4 > seen),
          String(error),
        );
        continue;
      }
      for (const wait of pending(word)) ends(wait, "ok");
    } else if (step.do === "abort") {
      const wait = all[step.which];
      if (wait === undefined) continue;
      wait.controller.abort();
      if (wait.isPending) ends(wait, "AbortError");
    } else if (step.do === "truncate") {
      // Windows does not truncate a file of which the window is mapped.
      if (whole.closed || !isTruncatable) continue;
      whole.truncateSync(step.size);
      size = step.size;
      for (const wait of pending()) {
        if (!has(wait.word)) ends(wait, "TruncatedError");
      }
      OFFSETS.forEach((_, word) => {
        if (!has(word)) content[word] = 0;
      });
    } else if (step.do === "close") {
      const { way } = step;
      try {
        ways[way]!.close();
      } catch (error) {
        assert(way === 1 && error instanceof TruncatedError, String(error));
      }
      for (const wait of pending()) {
        if (wait.way === way) ends(wait, "ClosedError");
      }
    } else if (step.do === "refresh") {
      for (const file of ways) if (!file.closed) file.refresh();
      seen = size;
    } else await sleep(0);
  }
  for (const [way, file] of ways.entries()) {
    if (file.closed) continue;
    try {
      file.close();
    } catch (error) {
      assert(error instanceof TruncatedError, String(error));
    }
    for (const wait of pending()) {
      if (wait.way === way) ends(wait, "ClosedError");
    }
  }
  for (const { outcome, may } of all) {
    const result = await outcome;
    assert(may.has(result), `${result} is not of ${[...may].join(", ")}`);
  }
  await assertNothingIsOpen(dir);
}
