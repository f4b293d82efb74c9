/**
 * Faults that the guard must handle, and signals that it must not hide: each case in a child process.
 * `deno run -A guard_cases.ts NAME [unguarded]` prints what it saw.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { openSync } from "../../mod.ts";
import { guardRange, NAMES } from "../../src/sigbus/guard.ts";
import { copyLarge } from "../../src/posix/non_temporal_copy.ts";
import { libc } from "../../src/posix/libc.ts";
import { countMappings } from "../open_handles.ts";
import { anonymous, bufferAt, MappedFile, PAGE } from "./mapped_file.ts";
import { handler, setHandler, tables, usedSlots } from "./sigbus_action.ts";

const [name, mode] = Deno.args as [string, string?];
const guarded = mode !== "unguarded";

/** A guarded mapped file. */
function guard(size: number, filled?: boolean) {
  const file = new MappedFile(size, filled);
  const range = guardRange(file.address, size);
  if (range === null) throw new Error("no guard");
  return { file, range, bytes: file.bytes, faults: range.faults };
}

/** Installs the guard, unless this run is the one to compare with. */
function standGuard(): void {
  if (guarded) guard(PAGE);
}

function assertSurvives(): void {
  const { file, bytes, faults } = guard(8 * PAGE);
  file.truncate(0);
  if (bytes[PAGE] !== 0 || faults[0] !== 1) throw new Error("not guarded");
}

/** Runs `task` in a worker, and returns its answer. */
function inWorker(task: string, detail?: unknown): Promise<unknown> {
  const worker = startWorker(task, detail);
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      resolve(data);
      worker.terminate();
    };
    worker.onerror = reject;
  });
}

function startWorker(task: string, detail?: unknown): Worker {
  const url = new URL("./guard_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  worker.postMessage({ task, detail });
  return worker;
}

/** A file guarded by a copy of the sources with one more instruction, which this library does not recognize. */
async function guardOfAnotherVersion(size: number) {
  const nop = Deno.build.arch === "x86_64" ? "90" : "d503201f";
  const copy = Deno.makeTempDirSync({ prefix: "guard-" });
  const sources = new URL("../../src/", import.meta.url);
  for (const folder of ["./", "posix/", "sigbus/"]) {
    Deno.mkdirSync(`${copy}/${folder}`, { recursive: true });
    for (const { name, isFile } of Deno.readDirSync(new URL(folder, sources))) {
      if (!isFile) continue;
      const source = Deno.readTextFileSync(new URL(folder + name, sources));
      const longer = source.replaceAll(/^`;$/gm, `  ${nop} | nop\n\`;`);
      Deno.writeTextFileSync(`${copy}/${folder}${name}`, longer);
    }
  }
  const other: typeof import("../../src/sigbus/guard.ts") = await import(
    `file://${copy}/sigbus/guard.ts`
  );
  Deno.removeSync(copy, { recursive: true });
  const file = new MappedFile(size);
  return { file, range: other.guardRange(file.address, size)! };
}

/** prctl(2). */
function prctl(option: number, a: bigint, b: bigint): void {
  const { prctl } = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  }).symbols;
  if (prctl(option, a, b, 0n, 0n) !== 0) throw new Error("prctl failed");
}

/** Makes the kernel refuse the guard's zero pages when they are longer than `limit` bytes. */
function refuseZeros(limit: number): void {
  const mmap = Deno.build.arch === "x86_64" ? 9 : 222;
  // struct seccomp_data { int nr; u32 arch; u64 instruction_pointer, args[6]; }
  const [nr, length, flags] = [0, 24, 40];
  // include/uapi/linux/bpf_common.h, seccomp.h
  const [load, ifEqual, ifGreater, answer] = [0x20, 0x15, 0x25, 0x06];
  const [allow, refuse] = [0x7fff0000, 0x00050000 | 12];
  const filter = [ // struct sock_filter { u16 code; u8 jt, jf; u32 k; }
    [load, 0, 0, nr],
    [ifEqual, 0, 4, mmap],
    [load, 0, 0, flags],
    [ifEqual, 0, 2, NAMES.MAP],
    [load, 0, 0, length],
    [ifGreater, 1, 0, limit],
    [answer, 0, 0, allow],
    [answer, 0, 0, refuse],
  ];
  const code = new DataView(new ArrayBuffer(8 * filter.length));
  filter.forEach(([operation, yes, no, k], index) => {
    code.setUint16(8 * index, operation!, true);
    code.setUint8(8 * index + 2, yes!);
    code.setUint8(8 * index + 3, no!);
    code.setUint32(8 * index + 4, k!, true);
  });
  // struct sock_fprog { u16 len; struct sock_filter *filter; }
  const program = BigUint64Array.of(BigInt(filter.length), addressOf(code));
  const PR_SET_NO_NEW_PRIVS = 38;
  const PR_SET_SECCOMP = 22;
  const SECCOMP_MODE_FILTER = 2n;
  prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, addressOf(program));
}

function addressOf(memory: ArrayBufferView<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory));
}

const FAR = 1 << 30;

function touchEverySecondPage(order: (pages: number[]) => void): void {
  const { file, bytes, faults } = guard(FAR, false);
  const pages: number[] = [];
  for (let at = 0; at < FAR; at += 2 * PAGE) pages.push(at);
  order(pages);
  file.truncate(0);
  const before = countMappings();
  const start = performance.now();
  let sum = 0;
  for (const at of pages) sum += bytes[at]!;
  const took = performance.now() - start;
  console.error(`${faults[0]} faults, ${took.toFixed()} ms`);
  const added = countMappings() - before;
  if (sum !== 0 || faults[0] === 0) throw new Error("not truncated");
  if (added > 100) throw new Error(`${added} mappings added`);
}

const cases: Record<string, () => void | Promise<void>> = {
  reads() {
    const { file, bytes, faults } = guard(16 * PAGE);
    file.truncate(2 * PAGE + 100);
    console.log(bytes[2 * PAGE + 99], faults[0]);
    // The rest of the file's last page is still mapped, and zero.
    console.log(bytes[2 * PAGE + 100], faults[0]);
    console.log(bytes[3 * PAGE], bytes[16 * PAGE - 1], faults[0]);
    file.truncate(0);
    console.log(bytes[0], bytes[PAGE], bytes[2 * PAGE], faults[0]);
  },

  writes() {
    const { file, bytes, faults } = guard(16 * PAGE);
    file.truncate(PAGE);
    bytes[5 * PAGE] = 1;
    bytes.fill(2, 2 * PAGE, 4 * PAGE);
    console.log(bytes[5 * PAGE], bytes[2 * PAGE], bytes[0], faults[0]);
  },

  lastPage() {
    const { file, bytes, faults } = guard(PAGE + 100);
    file.truncate(0);
    const whole = new Uint8Array(bufferAt(file.address, 2 * PAGE));
    console.log(whole[2 * PAGE - 1], bytes[PAGE + 99], faults[0]);
  },

  grownAgain() {
    const { file, bytes, faults } = guard(4 * PAGE);
    file.truncate(0);
    console.log(bytes[PAGE], faults[0]);
    file.truncate(4 * PAGE);
    console.log(bytes[0], bytes[PAGE], faults[0]);
  },

  async native() {
    const { file, bytes, faults } = guard(64 * PAGE);
    file.truncate(PAGE);
    const { memmem } = libc();
    const needle = Uint8Array.of(7, 1);
    const length = BigInt(bytes.length);
    const found = memmem(file.address, length, needle, 2n);
    console.log(found, faults[0]);
    const other = guard(64 * PAGE);
    other.file.truncate(PAGE);
    const text = new TextDecoder().decode(other.bytes);
    console.log(text.length === 64 * PAGE, other.faults[0]);
    const third = guard(64 * PAGE);
    third.file.truncate(PAGE);
    const digest = await crypto.subtle.digest("SHA-256", third.bytes);
    console.log(digest.byteLength, third.faults[0]);
  },

  optimized() {
    // Optimized code merges two reads of the count with only loads in between. A copy
    // in between is a call, after which it reads the count again.
    const { file, bytes, faults } = guard(64 * PAGE);
    const copy = new Uint8Array(1);
    const look = (at: number) => {
      if (faults[0] !== 0) return -2;
      copy.set(bytes.subarray(at, at + 1));
      return faults[0] === 0 ? copy[0] : -1;
    };
    let sum = 0;
    for (let round = 0; round < 3_000_000; round++) sum += look(round & 1023)!;
    file.truncate(0);
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
        [pages[last], pages[other]] = [pages[other]!, pages[last]!];
      }
    });
  },

  /** If large mappings are refused, the handler maps zeros page by page. */
  refusedLarge() {
    const { file, bytes, faults } = guard(FAR, false);
    file.truncate(0);
    refuseZeros(PAGE);
    console.log(bytes[0]! + bytes[2 * PAGE]! + bytes[4 * PAGE]!, faults[0]);
  },

  /** If all mappings are refused, the fault kills the process. */
  refused() {
    const { file, bytes } = guard(FAR, false);
    file.truncate(0);
    refuseZeros(0);
    console.log("before");
    console.log(bytes[0]);
  },

  /** Another library's handler replaces the guard's. */
  replaced() {
    const path = Deno.makeTempFileSync();
    const file = openSync(path, { write: true, grow: true });
    file.writeSync(new Uint8Array(PAGE));
    file.bytes();
    const before = file.guarded;
    const [ours, ignore] = [handler(), 1n];
    setHandler(ignore);
    const during = file.guarded;
    setHandler(ours);
    console.log(before, during, file.guarded);
    file.close();
    Deno.removeSync(path);
  },

  released() {
    const { file, range, bytes } = guard(4 * PAGE);
    range.release();
    range.release();
    file.truncate(0);
    console.log("before");
    console.log(bytes[PAGE]);
  },

  foreignFault() {
    standGuard();
    const file = new MappedFile(4 * PAGE);
    file.truncate(0);
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
    before.file.truncate(0);
    console.log(before.bytes[PAGE], before.faults[0]);
    assertSurvives();
  },

  /** Rust's handler restores SIG_DFL at any fault: the fault must kill the process. */
  async killedOnceThenForeignFault() {
    standGuard();
    Deno.kill(Deno.pid, "SIGBUS");
    await sleep(20);
    const file = new MappedFile(4 * PAGE);
    file.truncate(0);
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
    file.truncate(0);
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
        console.log(exported.load!(at));
      } catch (error) {
        console.log(String(error));
      }
    }
    try {
      exported.trap!();
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

  /** The listener's handler is between two guards in the chain: both must be reached. */
  async listenerBetween() {
    const { file, bytes, faults } = guard(4 * PAGE);
    Deno.addSignalListener("SIGBUS", () => {});
    console.log(await inWorker("touch"));
    file.truncate(0);
    console.log(bytes[PAGE], faults[0]);
  },

  async workers() {
    const soon = Date.now() + 300;
    const answers = [];
    for (let i = 0; i < 8; i++) answers.push(inWorker("touchAt", soon));
    console.log((await Promise.all(answers)).join());
    assertSurvives();
    // Workers that start at the same moment may install several guards, of which one table is used.
    const used = tables().map((table) => table.getInt32(NAMES.USED, true));
    const serving = used.filter((slots) => slots > 0).length;
    console.log(used.length <= 8, serving);
  },

  /** Threads that fault in one range, at one page, at the same time. */
  async sameRange() {
    const { file, range, faults } = guard(4096 * PAGE);
    file.truncate(0);
    const soon = Date.now() + 300;
    const tasks = [];
    for (let i = 0; i < 4; i++) {
      tasks.push(inWorker("scan", { soon, address: file.address }));
    }
    console.log((await Promise.all(tasks)).join(), faults[0]! >= 4096);
    const state = (faults.byteOffset + NAMES.STATE - NAMES.FAULTS) / 4;
    const words = new Int32Array(faults.buffer);
    range.release();
    console.log(words[state]);
  },

  async terminated() {
    for (let round = 0; round < 5; round++) {
      const workers = [1, 2, 3].map(() => startWorker("touchForever"));
      await sleep(40 + 10 * round);
      for (const worker of workers) worker.terminate();
    }
    assertSurvives();
  },

  async twoVersions() {
    const first = guard(4 * PAGE);
    const { file, range } = await guardOfAnotherVersion(4 * PAGE);
    first.file.truncate(0);
    file.truncate(0);
    console.log(tables().length);
    console.log(first.bytes[PAGE], first.faults[0]);
    console.log(file.bytes[PAGE], range.faults[0]);
    console.log(await inWorker("touch"));
  },

  /** A fault during the installation of another guard, which does not know the previous handler yet. */
  async installing() {
    const { file, bytes, faults } = guard(4 * PAGE);
    file.truncate(0);
    await guardOfAnotherVersion(PAGE);
    const [table] = tables();
    const address = handler() + BigInt(NAMES.TABLE + NAMES.PREVIOUS);
    const previous = table!.getBigUint64(NAMES.PREVIOUS, true);
    table!.setBigUint64(NAMES.PREVIOUS, BigInt(NAMES.UNKNOWN), true);
    startWorker("writeLater", { address, value: previous });
    const start = performance.now();
    console.log(bytes[PAGE], faults[0], performance.now() - start > 100);
  },

  reuse() {
    const address = anonymous(PAGE);
    for (let time = 0; time < 40_000; time++) {
      guardRange(address, PAGE)!.release();
    }
    console.log(usedSlots());
    const many = Array.from({ length: 5000 }, () => guard(PAGE));
    for (const { file } of many) file.truncate(0);
    let sum = 0;
    for (const { bytes } of many.slice(0, 2500)) sum += bytes[0]!;
    console.log(sum);
    const counts = many.map(({ faults }) => faults[0]);
    console.log(counts.indexOf(0), counts.lastIndexOf(1), usedSlots());
    for (const { range } of many) range.release();
    for (let time = 0; time < 5000; time++) guardRange(address, PAGE);
    console.log(usedSlots());
  },

  full() {
    let address = anonymous(40_000 * PAGE);
    const guardNext = () => guardRange(address += BigInt(PAGE), PAGE);
    const ranges = [];
    for (let range; (range = guardNext()) !== null;) ranges.push(range);
    console.log(ranges.length);
    ranges[1234]!.release();
    console.log(guardNext() !== null);
    console.log(guardNext() === null);
  },

  /** A range whose memory was unmapped without a release, and a new one over a part of its addresses. */
  overlap() {
    const first = guard(4 * PAGE);
    libc().munmap(first.file.address, BigInt(4 * PAGE));
    const second = new MappedFile(
      2 * PAGE,
      true,
      first.file.address + BigInt(PAGE),
    );
    const range = guardRange(second.address, 2 * PAGE)!;
    second.truncate(0);
    console.log(second.bytes[PAGE], range.faults[0], usedSlots() <= 2);
  },

  /** Ranges that are unmapped without a release: the guard reuses their slots. */
  unmapped() {
    for (let round = 0; round < 100; round++) {
      const address = anonymous(500 * PAGE);
      for (let page = 0; page < 500; page++) {
        guardRange(address + BigInt(page * PAGE), PAGE);
      }
      libc().munmap(address, BigInt(500 * PAGE));
    }
    const { file, bytes, faults } = guard(2 * PAGE);
    file.truncate(0);
    console.log(bytes[PAGE], faults[0], usedSlots() < 2000);
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

  noExecutablePages() {
    const address = anonymous(PAGE);
    const stood = handler();
    const PR_SET_MDWE = 65; // Linux 6.3
    const PR_MDWE_REFUSE_EXEC_GAIN = 1n;
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0n);
    console.log(guardRange(address, PAGE), handler() === stood);
    const copy = new Uint8Array(1000);
    copyLarge(copy, copy.map((_, i) => i));
    console.log(copy[999]);
  },
};

/** Prints when a listener receives a signal. */
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

await cases[name]!();
console.log("done");
Deno.exit(0);
