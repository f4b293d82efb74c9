/**
 * What the guard must survive, or must not hide: each case in a process of its own.
 * `deno run -A cases.ts NAME [unguarded]` prints what it saw.
 */

import { guardRange, NAMES } from "../../src/guard.ts";
import { libc } from "../../src/libc.ts";
import {
  anonymous,
  bufferAt,
  countMappings,
  handler,
  MappedFile,
  PAGE,
  setHandler,
  SIGBUS,
  tables,
  usedSlots,
} from "./memory.ts";

const [name, mode] = Deno.args;
const guarded = mode !== "unguarded";

/** A mapped file under the guard. */
function guard(size: number, filled?: boolean) {
  const file = new MappedFile(size, filled);
  const range = guardRange(file.address, size);
  if (range === null) throw new Error("no guard");
  return { file, range, bytes: file.bytes, faults: range.faults };
}

/** Puts the guard up, unless this run is the one to compare with. */
function standGuard(): void {
  if (guarded) guard(PAGE);
}

function assertSurvives(): void {
  const { file, bytes, faults } = guard(8 * PAGE);
  file.cut(0);
  if (bytes[PAGE] !== 0 || faults[0] !== 1) throw new Error("not guarded");
}

/** A worker that has done `task`; its answer. */
function inWorker(task: string, detail?: number): Promise<unknown> {
  const worker = startWorker(task, detail);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      resolve(data);
      worker.terminate();
    };
    worker.onerror = reject;
  });
}

function startWorker(task: string, detail?: number): Worker {
  const url = new URL("./worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  worker.postMessage({ task, detail });
  return worker;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const FAR = 1 << 30;

function touchEverySecondPage(order: (pages: number[]) => void): void {
  const { file, bytes, faults } = guard(FAR, false);
  const pages: number[] = [];
  for (let at = 0; at < FAR; at += 2 * PAGE) pages.push(at);
  order(pages);
  file.cut(0);
  const before = countMappings();
  const start = performance.now();
  let sum = 0;
  for (const at of pages) sum += bytes[at];
  const took = performance.now() - start;
  console.error(`${faults[0]} faults, ${took.toFixed()} ms`);
  const added = countMappings() - before;
  if (sum !== 0 || faults[0] === 0) throw new Error("not cut");
  if (added > 100) throw new Error(`${added} mappings added`);
}

const cases: Record<string, () => void | Promise<void>> = {
  reads() {
    const { file, bytes, faults } = guard(16 * PAGE);
    file.cut(2 * PAGE + 100);
    console.log(bytes[2 * PAGE + 99], faults[0]);
    // The rest of the page that the end is in is still there, and zero.
    console.log(bytes[2 * PAGE + 100], faults[0]);
    console.log(bytes[3 * PAGE], bytes[16 * PAGE - 1], faults[0]);
    file.cut(0);
    console.log(bytes[0], bytes[PAGE], bytes[2 * PAGE], faults[0]);
  },

  writes() {
    const { file, bytes, faults } = guard(16 * PAGE);
    file.cut(PAGE);
    bytes[5 * PAGE] = 1;
    bytes.fill(2, 2 * PAGE, 4 * PAGE);
    console.log(bytes[5 * PAGE], bytes[2 * PAGE], bytes[0], faults[0]);
  },

  lastPage() {
    const { file, bytes, faults } = guard(PAGE + 100);
    file.cut(0);
    const whole = new Uint8Array(bufferAt(file.address, 2 * PAGE));
    console.log(whole[2 * PAGE - 1], bytes[PAGE + 99], faults[0]);
  },

  grownAgain() {
    const { file, bytes, faults } = guard(4 * PAGE);
    file.cut(0);
    console.log(bytes[PAGE], faults[0]);
    file.cut(4 * PAGE);
    console.log(bytes[0], bytes[PAGE], faults[0]);
  },

  async native() {
    const { file, bytes, faults } = guard(64 * PAGE);
    file.cut(PAGE);
    const { memmem } = libc();
    const needle = Uint8Array.of(7, 1);
    const found = memmem(bytes, BigInt(bytes.length), needle, 2n);
    console.log(found, faults[0]);
    const other = guard(64 * PAGE);
    other.file.cut(PAGE);
    const text = new TextDecoder().decode(other.bytes);
    console.log(text.length === 64 * PAGE, other.faults[0]);
    const third = guard(64 * PAGE);
    third.file.cut(PAGE);
    const digest = await crypto.subtle.digest("SHA-256", third.bytes);
    console.log(digest.byteLength, third.faults[0]);
  },

  optimised() {
    // Optimised code must not keep the count it has read: one load for each look.
    const { file, bytes, faults } = guard(64 * PAGE);
    const look = (at: number) => {
      if (faults[0] !== 0) return -2;
      const byte = bytes[at];
      return faults[0] === 0 ? byte : -1;
    };
    let sum = 0;
    for (let round = 0; round < 5_000_000; round++) sum += look(round & 1023);
    file.cut(0);
    console.log(sum, look(PAGE), look(PAGE));
  },

  forward() {
    touchEverySecondPage(() => {});
  },

  backward() {
    touchEverySecondPage((pages) => pages.reverse());
  },

  random() {
    let seed = 1;
    const random = () => (seed = seed * 48271 % 2147483647) / 2147483647;
    touchEverySecondPage((pages) => {
      for (let last = pages.length - 1; last > 0; last--) {
        const other = Math.floor(random() * (last + 1));
        [pages[last], pages[other]] = [pages[other], pages[last]];
      }
    });
  },

  /** With little memory to be had zeros come by the page; with none the fault kills. */
  littleMemory() {
    // struct rlimit { rlim_t rlim_cur, rlim_max; }; RLIMIT_DATA is 2: asm-generic/resource.h
    const { setrlimit } = Deno.dlopen("libc.so.6", {
      setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    }).symbols;
    const { file, bytes, faults } = guard(FAR, false);
    file.cut(0);
    const status = Deno.readTextFileSync("/proc/self/status");
    const used = BigInt(status.match(/VmData:\s+(\d+)/)![1]) << 10n;
    const room = BigInt(mode === "none" ? 0 : 64 << 20);
    setrlimit(2, BigUint64Array.of(used * BigInt(room > 0n) + room, 1n << 40n));
    const read = bytes[0] + bytes[2 * PAGE] + bytes[4 * PAGE];
    console.log(read, faults[0]);
  },

  released() {
    const { file, range, bytes } = guard(4 * PAGE);
    range.release();
    range.release();
    file.cut(0);
    console.log("before");
    console.log(bytes[PAGE]);
  },

  foreignFault() {
    standGuard();
    const file = new MappedFile(4 * PAGE);
    file.cut(0);
    console.log("before");
    console.log(file.bytes[PAGE]);
  },

  async killed() {
    standGuard();
    for (let time = 1; time <= 3; time++) {
      Deno.kill(Deno.pid, "SIGBUS");
      await sleep(20);
      console.log(`alive after ${time}`);
    }
  },

  async killedOnce() {
    const before = guard(4 * PAGE);
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(20);
    before.file.cut(0);
    console.log(before.bytes[PAGE], before.faults[0]);
    assertSurvives();
  },

  /** Rust's handler answers any fault by SIG_DFL: the fault must kill all the same. */
  async killedOnceThenForeignFault() {
    standGuard();
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(20);
    const file = new MappedFile(4 * PAGE);
    file.cut(0);
    console.log("before");
    console.log(file.bytes[PAGE]);
  },

  async killedByDefault() {
    setHandler(0n);
    standGuard();
    if (guarded) assertSurvives();
    console.log("before");
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(1000);
    console.log("after");
  },

  async ignored() {
    setHandler(1n);
    standGuard();
    if (guarded) assertSurvives();
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(20);
    console.log("after a signal");
    const file = new MappedFile(4 * PAGE);
    file.cut(0);
    console.log(file.bytes[PAGE]);
  },

  stackOverflow() {
    standGuard();
    const recurse = (): number => recurse() + 1;
    for (let time = 0; time < 3; time++) {
      try {
        recurse();
      } catch (error) {
        console.log(String(error));
      }
    }
    if (guarded) assertSurvives();
  },

  async wasm() {
    standGuard();
    // (module (memory 1) (func (export "load") (param i32) (result i32)
    //   local.get 0 i32.load) (func (export "trap") unreachable))
    // deno-fmt-ignore
    const code = Uint8Array.of(
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
      1, 9, 2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0,
      3, 3, 2, 0, 1,
      5, 3, 1, 0, 1,
      7, 15, 2, 4, 0x6c, 0x6f, 0x61, 0x64, 0, 0, 4, 0x74, 0x72, 0x61, 0x70, 0, 1,
      10, 13, 2, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b, 3, 0, 0, 0x0b,
    );
    const { instance } = await WebAssembly.instantiate(code);
    const exported = instance.exports as Record<
      string,
      (at?: number) => number
    >;
    for (const at of [0, 65532, 65533, 0x7fffffff, -1]) {
      try {
        console.log(exported.load(at));
      } catch (error) {
        console.log(String(error));
      }
    }
    try {
      exported.trap();
    } catch (error) {
      console.log(String(error));
    }
    if (guarded) assertSurvives();
  },

  async listenerAfter() {
    standGuard();
    await listen();
    if (guarded) assertSurvives();
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(100);
    console.log("after a second signal");
  },

  async listenerBefore() {
    await listen(standGuard);
    if (guarded) assertSurvives();
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(100);
    console.log("after a second signal");
  },

  /** The listener's handler stands between two guards: both must be reached. */
  async listenerBetween() {
    const { file, bytes, faults } = guard(4 * PAGE);
    Deno.addSignalListener("SIGBUS", () => {});
    console.log(await inWorker("touch"));
    file.cut(0);
    console.log(bytes[PAGE], faults[0]);
  },

  async workers() {
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push(inWorker("touch"));
    console.log((await Promise.all(answers)).join());
    assertSurvives();
    // Those who came at the same moment may have put up several guards; one table serves.
    const used = tables().map((table) => table.getInt32(NAMES.USED, true));
    const serving = used.filter((slots) => slots > 0).length;
    console.log(used.length <= 8, serving);
  },

  async terminated() {
    for (let round = 0; round < 10; round++) {
      const workers = [1, 2, 3].map(() => startWorker("touchForever"));
      await sleep(40 + 10 * round);
      for (const worker of workers) worker.terminate();
    }
    assertSurvives();
  },

  async twoVersions() {
    // The same sources, with one instruction more: a guard that ours does not know.
    const nop = { x86_64: "90", aarch64: "d503201f" }[
      Deno.build.arch as "x86_64" | "aarch64"
    ];
    const copy = Deno.makeTempDirSync({ prefix: "mmapfile-guard-" });
    for (const part of ["libc.ts", "errors.ts", "types.ts"]) {
      const source = new URL(`../../src/${part}`, import.meta.url);
      Deno.copyFileSync(source, `${copy}/${part}`);
    }
    const source = Deno.readTextFileSync(
      new URL("../../src/guard.ts", import.meta.url),
    );
    Deno.writeTextFileSync(
      `${copy}/guard.ts`,
      source.replaceAll(/^`;$/gm, `  ${nop} | nop\n\`;`),
    );
    const first = guard(4 * PAGE);
    const other = await import(`file://${copy}/guard.ts`);
    Deno.removeSync(copy, { recursive: true });
    const file = new MappedFile(4 * PAGE);
    const range = other.guardRange(file.address, 4 * PAGE);
    first.file.cut(0);
    file.cut(0);
    console.log(tables().length);
    console.log(first.bytes[PAGE], first.faults[0]);
    console.log(file.bytes[PAGE], range.faults[0]);
    console.log(await inWorker("touch"));
  },

  reuse() {
    const address = anonymous(PAGE);
    for (let time = 0; time < 40_000; time++) {
      guardRange(address, PAGE)!.release();
    }
    console.log(usedSlots());
    const many = Array.from({ length: 5000 }, () => guard(PAGE));
    for (const { file } of many) file.cut(0);
    for (const { bytes } of many.slice(0, 2500)) bytes[0];
    const counts = many.map(({ faults }) => faults[0]);
    console.log(counts.indexOf(0), counts.lastIndexOf(1), usedSlots());
    for (const { range } of many) range.release();
    for (let time = 0; time < 5000; time++) guardRange(address, PAGE);
    console.log(usedSlots());
  },

  full() {
    const address = anonymous(PAGE);
    const ranges = [];
    for (let range; (range = guardRange(address, PAGE)) !== null;) {
      ranges.push(range);
    }
    console.log(ranges.length);
    ranges[1234].release();
    console.log(guardRange(address, PAGE) !== null);
    console.log(guardRange(address, PAGE) === null);
  },

  async hammer() {
    const { faults } = guard(PAGE);
    const tasks = [1, 2, 3, 4].map((id) => inWorker("hammer", id));
    console.log((await Promise.all(tasks)).join());
    console.log(faults[0], usedSlots() < 500);
  },

  async atomics() {
    const counter = guardRange(anonymous(PAGE), PAGE)!.faults;
    const tasks = [1, 2, 3, 4].map(() => inWorker("add", counter.byteOffset));
    await Promise.all(tasks);
    console.log(counter[0]);
  },

  async releaseWaits() {
    const { range, faults } = guard(PAGE);
    const { byteOffset } = faults;
    await inWorker("pin", byteOffset);
    const start = performance.now();
    startWorker("unpin", byteOffset);
    range.release();
    console.log(performance.now() - start > 100);
  },

  /** prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN): Linux 6.3, include/uapi/linux/prctl.h */
  noExecutablePages() {
    const { prctl } = Deno.dlopen("libc.so.6", {
      prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
    }).symbols;
    const file = new MappedFile(PAGE);
    libc().sigaction!(SIGBUS, null, new Uint8Array(152));
    libc().mprotect!(0n, 0n, 0);
    libc().munmap(0n, 0n);
    const stood = handler();
    if (prctl(65, 1n, 0n, 0n, 0n) !== 0) {
      console.log("unsupported");
      return;
    }
    const range = guardRange(file.address, PAGE);
    console.log(range, handler() === stood);
  },
};

/** Prints what a listener hears of one signal. */
async function listen(between = () => {}): Promise<void> {
  const heard = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGBUS", () => {
    console.log("heard");
    heard.resolve();
  });
  between();
  Deno.kill(Deno.pid, "SIGBUS");
  await heard.promise;
}

await cases[name]();
console.log("done");
Deno.exit(0);
