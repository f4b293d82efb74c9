/**
 * Memory that the engine owns: leaks, and files of every size.
 * `owned_memory.ts CASE DIRECTORY [COUNT]` prints what is wrong, and "done".
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type MmapOpenOptions, openSync, TruncatedError } from "../../mod.ts";
import { libc } from "../../src/posix/libc.ts";
import { usedSlots } from "../guard/sigbus_action.ts";
import { kinds } from "./view_kinds.ts";
import { collect, collectUntil } from "../gc.ts";
import { countDescriptors, countMappings } from "../open_handles.ts";
import { contentsOf, SIZE } from "./native_operations.ts";
import { isEmulated } from "../skip.ts";

const [name, directory, countArgument = "1"] = Deno.args as [
  string,
  string,
  string?,
];
const count = Number(countArgument);
const path = `${directory}/file`;
const WRITE: MmapOpenOptions = { read: true, write: true };
const PAGE = libc().getpagesize();

/** Mappings that V8 and its threads may add and remove. */
const SLACK = isEmulated ? 300 : 100;

function problem(text: string): void {
  console.log(`wrong: ${text}`);
}

function assert(isRight: boolean, text: string): void {
  if (!isRight) problem(text);
}

/** Does something, and checks that it leaks nothing. */
async function assertLeavesNothing(
  work: (check: () => void) => void | Promise<void>,
): Promise<void> {
  await collect();
  const before = countMappings("");
  let most = 0;
  await work(() => most = Math.max(most, countMappings("")));
  await collectUntil(() => countMappings(directory) === 0);
  await collectUntil(() => countMappings("") <= before + SLACK);
  assert(countMappings(directory) === 0, `${countMappings(directory)} mapped`);
  const after = countMappings("");
  assert(after <= before + SLACK, `${after} mappings, ${before} before`);
  assert(most < 10_000, `${most} mappings on the way`);
  // Only of files in this directory: Deno opens and closes other descriptors.
  const isClosed = () => countDescriptors(Deno.realPathSync(directory)) === 0;
  await collectUntil(isClosed);
  assert(isClosed(), "descriptors are left open");
  console.error(
    `mappings ${before}, at most ${most}, ${after}; slots ${usedSlots()}`,
  );
}

/** Runs workers one after the other, each of which ends in the given way. */
async function runWorkers(times: number, message: unknown): Promise<void> {
  for (let time = 0; time < times; time++) {
    const url = new URL("../workers/owned_memory_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    await new Promise<void>((resolve) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault();
        resolve();
      };
      worker.postMessage(message);
    });
    worker.terminate();
  }
}

/** Bytes at both ends are the file's own, read and written, and the file grows. */
function checkSize(size: number): void {
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, size);
  const own = new Uint8Array(2);
  using plain = Deno.openSync(path, { read: true, write: true });
  const byteOf = (at: number) => {
    plain.seekSync(at, Deno.SeekMode.Start);
    return plain.readSync(own) === null ? -1 : own[0];
  };
  const writeTo = (at: number, byte: number) => {
    plain.seekSync(at, Deno.SeekMode.Start);
    plain.writeSync(Uint8Array.of(byte));
  };
  const last = size - 1;
  writeTo(0, 1);
  writeTo(last, 2);
  {
    using file = openSync(path, { ...WRITE, grow: true });
    const bytes = file.bytes();
    assert(bytes.length === size, `${bytes.length} bytes of ${size}`);
    assert(bytes[last] === 2, `${bytes[last]} at the end of ${size}`);
    assert(size === 1 || bytes[0] === 1, `${bytes[0]} at the start of ${size}`);
    assert(bytes[size] === undefined, `more than ${size}`);
    bytes[last] = 3;
    assert(byteOf(last) === 3, `not written to the end of ${size}`);
    bytes[0] = 4;
    assert(byteOf(0) === 4, `not written to the start of ${size}`);
    file.writeAtSync(Uint8Array.of(5, 6), last);
    assert(byteOf(size) === 6, `${size} has not grown`);
    const grown = file.bytes();
    assert(grown.length === size + 1, `${grown.length} after growth`);
    assert(grown[size] === 6 && grown[last] === 5, `wrong after ${size} grew`);
  }
  using shut = openSync(path);
  assert(shut.bytes(size, 1)[0] === 6, `not in the file: ${size}`);
  const part = shut.bytes(0, 1);
  assert(part[0] === (size === 1 ? 5 : 4), `the start of ${size} is not read`);
}

const SIZES = [
  1,
  PAGE,
  2 ** 16 - 1,
  2 ** 16,
  2 ** 16 + 1,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 34,
  2 ** 34 + 1,
];

/** Address ranges of this process that map a file. */
function rangesOf(part: string): [number, number][] {
  return Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(part))
    .map((line) => {
      const [start, end] = line.split(" ")[0]!.split("-");
      return [parseInt(start!, 16), parseInt(end!, 16)];
    });
}

const cases: Record<string, () => unknown> = {
  /** Opened, handed out and closed. */
  closed() {
    Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));
    return assertLeavesNothing((check) => {
      for (let time = 0; time < count; time++) {
        const file = openSync(path, WRITE);
        if (file.bytes()[PAGE] !== 1) problem("not the file's");
        file.close();
        if (time % 100 === 99) check();
      }
    });
  },

  /** Never closed. */
  async dropped() {
    Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));
    await assertLeavesNothing(async (check) => {
      for (let time = 0; time < count; time++) {
        if (openSync(path, WRITE).bytes()[PAGE] !== 1) {
          problem("not the file's");
        }
        if (time % 100 === 99) {
          check();
          // Finalizers close the descriptors of files that have been collected, and need a turn.
          await sleep(0);
        }
      }
    });
  },

  terminated: () => afterWorkers("terminate"),
  closedByItself: () => afterWorkers("close"),
  uncaught: () => afterWorkers("throw"),

  /** Files opened in workers that end leave slots of the guard's table for new files. */
  async guardTable() {
    Deno.writeFileSync(path, new Uint8Array(2 * PAGE).fill(1));
    const files = 1000;
    for (let time = 0; time < count; time++) {
      await runWorkers(1, { path, files, end: "terminate" });
      await collect(1);
      if (time % 10 === 9) console.error(`slots ${usedSlots()}`);
    }
    using file = openSync(path, WRITE);
    const bytes = file.bytes();
    assert(file.guarded, "not guarded");
    Deno.truncateSync(path, 0);
    assert(bytes[PAGE] === 0, "not zero");
    file.refresh();
    assert(usedSlots() < 8 * files, `${usedSlots()} slots`);
  },

  sizes() {
    for (const size of SIZES) checkSize(size);
  },

  /** Where V8 lacks WebAssembly memory, everything works except `shared`. */
  withoutWebAssembly() {
    assert(typeof WebAssembly === "undefined", "WebAssembly exists");
    for (const size of [1, PAGE, 2 ** 16 + 1, 2 ** 32 + 1]) checkSize(size);
    try {
      openSync(path, { ...WRITE, shared: true }).bytes();
      problem("shared");
    } catch (error) {
      assert(error instanceof Deno.errors.NotSupported, `${error}`);
    }
  },

  /** Nothing is mapped at the addresses of a closed view, as long as they stay reserved. */
  keptFromReuse() {
    Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));
    const closed = new Set<number>();
    for (let time = 0; time < 1000; time++) {
      const file = openSync(path, WRITE);
      file.bytes();
      const [start] = rangesOf(path)[0]!;
      if (closed.has(start)) problem(`${start} is used again`);
      closed.add(start);
      file.close();
      if (rangesOf(path).length > 0) problem("still mapped");
    }
    // Beyond the limit the oldest are released.
    const before = countMappings("");
    for (let time = 0; time < 2000; time++) {
      const file = openSync(path, WRITE);
      file.bytes();
      file.close();
    }
    assert(countMappings("") <= before + 1100, `${countMappings("")} mappings`);
  },

  shaken,

  /** Another process truncates files of every kind: views read zeros, methods throw or go on, and the process lives. */
  truncated() {
    for (const [kind, { options, start, viewOf }] of Object.entries(kinds)) {
      if (options.guard === false) continue;
      Deno.writeFileSync(path, contentsOf(SIZE));
      using file = openSync(path, options);
      const view = viewOf(file);
      truncateElsewhere(path, start + 10);
      assert(view[view.length - 1] === 0, `${kind}: not zero at the end`);
      assert(view[0] === contentsOf(start + 1)[start], `${kind}: at the start`);
      view[view.length - 1] = 9;
      assert(Deno.statSync(path).size === start + 10, `${kind}: longer`);
      file.refresh();
      const again = file.bytes();
      assert(
        again.length === 10 || kind === "part",
        `${kind}: ${again.length}`,
      );
      assert(again.at(-1) !== 0, `${kind}: zeros after refresh()`);
    }
  },
};

/** Another process truncates and extends a shared file repeatedly, as three workers read it. */
async function shaken(): Promise<void> {
  const size = 1_000_000;
  Deno.writeFileSync(path, new Uint8Array(size).fill(1));
  using file = openSync(path, { ...WRITE, shared: true, grow: true });
  const view = file.view(Int32Array);
  const url = new URL("../workers/shared_memory_worker.ts", import.meta.url);
  await Promise.all([1, 2, 3].map(() => {
    const worker = new Worker(url, { type: "module" });
    const reading = new Promise((resolve) => worker.onmessage = resolve);
    worker.postMessage(["readUntilEnd", view]);
    return reading;
  }));
  const script = 'while :; do truncate -s 4 "$1"; truncate -s "$2" "$1"; done';
  const others = new Deno.Command("sh", {
    args: ["-c", script, "sh", path, `${size}`],
  }).spawn();
  try {
    const end = Date.now() + 1000 * count;
    for (let time = 0; Date.now() < end; time++) {
      try {
        file.refresh();
        // The memory grows too, at the same address.
        if (time % 50 === 0) file.truncateSync(size + (time % 4000) * 1000);
      } catch (error) {
        if (!(error instanceof TruncatedError)) throw error;
      }
    }
  } finally {
    others.kill();
    await others.status;
  }
  file.refresh();
}

async function afterWorkers(end: string): Promise<void> {
  Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));
  // A first worker loads what the process then keeps.
  await runWorkers(2, { path, files: 20, end });
  await assertLeavesNothing(async (check) => {
    for (let time = 0; time < count; time++) {
      await runWorkers(1, { path, files: 20, end });
      check();
    }
  });
}

function truncateElsewhere(path: string, size: number): void {
  const { success } = new Deno.Command("truncate", {
    args: ["-s", `${size}`, path],
  }).outputSync();
  if (!success) throw new Error("Cannot truncate");
}

await cases[name]!();
console.log("done");
Deno.exit(0);
