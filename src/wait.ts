/**
 * Waiting on an Int32 of a file until another worker or process notifies it.
 *
 * Linux and macOS let a thread sleep on an address. One nonblocking call does so for all waits of the
 * isolate: they hold one of Deno's pool threads at most. Elsewhere the words are polled.
 *
 * @module
 */

import { constants as osConstants } from "node:os";
import { setTimeout } from "node:timers/promises";
import { TruncatedError } from "./errors.ts";
import { yieldIfDue, yieldToEventLoop } from "./event_loop.ts";
import {
  addressOf,
  CLOCK_MONOTONIC,
  errno,
  FUTEX2_PRIVATE,
  FUTEX2_SIZE_U32,
  FUTEX_PRIVATE_FLAG,
  FUTEX_WAKE,
  libc,
  MAP_PRIVATE,
  MAP_SHARED,
  OS_CLOCK_MACH_ABSOLUTE_TIME,
  OS_SYNC_WAIT_ON_ADDRESS_SHARED,
  OS_SYNC_WAKE_BY_ADDRESS_SHARED,
  pageSize,
  platform,
  PROT_READ,
} from "./posix/libc.ts";
import type { FileOps, Mapping } from "./storage.ts";
import { type AddressRange, mapFixed } from "./posix/memory.ts";
import type { WaitOptions, WaitResult } from "./types.ts";

/** Milliseconds of the longest sleep in the kernel. Changes without a notify, such as a truncation, are noticed after it. */
const SLEEP_MS = 500;
/** Milliseconds for which a new wait keeps the process alive. */
const KEEP_ALIVE_MS = 1000;

/** Polls that find nothing until the pause between two of them is a millisecond longer. */
const POLLS_PER_PAUSE_STEP = 16;
/** Milliseconds of the longest pause between two polls. */
const MAX_PAUSE_MS = 2;
/** The pause after a poll of very many words, in multiples of the poll's time. */
const PAUSE_PER_CHECK = 4;

/** Milliseconds that a wait spins before it sleeps: the time in which the other side wakes and answers. */
const SPIN_MS = 0.1;
/** Milliseconds of a wait that might have ended during a spin, if the other side had spun too. */
const SHORT_WAIT_MS = 0.3;
/** Vain spins after which waits sleep at once. More than one, because both sides must spin at the same time. */
const MAX_VAIN_SPINS = 8;
/** Short waits after which waits spin again; twice as many each time that it was in vain. */
const MIN_SHORT_WAITS = 8;
const MAX_SHORT_WAITS = 1024;

/**
 * Whether the main module is still being evaluated. A wait may be what its top-level await is for, and
 * Deno ends a process whose top-level await has nothing left to wait for. A worker lives on without.
 */
let isLoading = !("WorkerGlobalScope" in globalThis);
globalThis.addEventListener("load", () => isLoading = false, { once: true });

/** The waits of one open file. */
export class FileWaits {
  readonly #name: string;
  readonly #mapping: Mapping;
  /** Where in the file position 0 is. */
  readonly #offset: number;
  /** The file, by device and inode: the same through every path, window and `MmapFile`. */
  readonly #id: string;

  constructor(name: string, mapping: Mapping, file: FileOps, offset: number) {
    this.#name = name;
    this.#mapping = mapping;
    this.#offset = offset;
    const { dev, ino } = file.statSync();
    this.#id = `${dev}:${ino}`;
  }

  /** The descriptor by which its pages are mapped. */
  get fd(): number | undefined {
    return this.#mapping.fd;
  }

  /** Waits while the word at a position, aligned in the file, is `expected`. */
  async wait(
    position: number,
    expected: number,
    { timeout = Infinity, signal }: WaitOptions,
  ): Promise<WaitResult> {
    signal?.throwIfAborted();
    const start = performance.now();
    const deadline = start + (Number.isNaN(+timeout) ? Infinity : +timeout);
    expected |= 0;
    if (this.load(position) !== expected) {
      return await resolveAtOnce("not-equal");
    }
    if (deadline <= start) return await resolveAtOnce("timed-out");
    if (spinning.pays()) {
      const hasChanged = this.#spin(position, expected);
      spinning.ended(hasChanged);
      if (hasChanged) return await resolveAtOnce("ok");
    }
    return await new Promise((resolve, reject) => {
      const wait: Wait = {
        file: this,
        position,
        expected,
        start,
        deadline,
        isAsleep: false,
        resolve(result) {
          signal?.removeEventListener("abort", abort);
          resolve(result);
        },
        reject(error) {
          signal?.removeEventListener("abort", abort);
          reject(error);
        },
      };
      const abort = () => waits.reject(word, wait, signal!.reason);
      signal?.addEventListener("abort", abort);
      const word = waits.add(wait, this.#id, this.#offset + position);
    });
  }

  /** Wakes all waits on the word at a position, in this isolate and in others, of any process. */
  notify(position: number): void {
    waits.notify(this.#id, this.#offset + position, this.fd);
  }

  /** The word at a position. Throws if the file was truncated before it. */
  load(position: number): number {
    const value = this.#mapping.loadInt32!(position);
    if (value !== undefined) return value;
    const at = this.#offset + position;
    throw new TruncatedError(
      `Cannot wait on '${this.#name}': the file was truncated, and byte ${at} is past its end`,
    );
  }

  /** Rejects the waits, and unmaps the file's pages. */
  close(error: Error): void {
    waits.close(this, this.#id, error);
  }

  /** Reads the word for as long as it takes to wake this thread. Returns whether it has changed. */
  #spin(position: number, expected: number): boolean {
    const end = performance.now() + SPIN_MS;
    while (performance.now() < end) {
      if (this.load(position) !== expected) return true;
    }
    return false;
  }
}

/** A result that is known at once. In a loop of such waits, timers and I/O must run. */
async function resolveAtOnce(result: WaitResult): Promise<WaitResult> {
  await yieldIfDue();
  return result;
}

/** Whether spinning pays: the other side must be fast, and run on another processor. */
class Spinning {
  readonly #mayPay = navigator.hardwareConcurrency > 1;
  /** Vain spins until waits sleep at once. */
  #attempts = 0;
  /** Short waits until the next attempts. */
  #shortWaits = 1;
  /** Short waits before the last attempts. */
  #lastShortWaits = MIN_SHORT_WAITS / 2;

  pays(): boolean {
    return this.#attempts > 0;
  }

  ended(hasChanged: boolean): void {
    if (hasChanged) {
      this.#attempts = MAX_VAIN_SPINS;
      this.#lastShortWaits = MIN_SHORT_WAITS / 2;
    } else if (--this.#attempts === 0) {
      this.#lastShortWaits = Math.min(
        2 * this.#lastShortWaits,
        MAX_SHORT_WAITS,
      );
      this.#shortWaits = this.#lastShortWaits;
    }
  }

  slept(ms: number): void {
    if (!this.#mayPay || ms >= SHORT_WAIT_MS || this.pays()) return;
    if (--this.#shortWaits === 0) this.#attempts = MAX_VAIN_SPINS;
  }
}

const spinning = new Spinning();

interface Wait {
  readonly file: FileWaits;
  readonly position: number;
  readonly expected: number;
  readonly start: number;
  readonly deadline: number;
  /** Whether the sleep in progress is for it. The end of a sleep does not notify waits that came later. */
  isAsleep: boolean;
  resolve(result: WaitResult): void;
  reject(error: unknown): void;
}

/** An Int32 that has waits. */
interface Word {
  readonly id: string;
  /** Where in the file. */
  readonly position: number;
  readonly waits: Set<Wait>;
  /** Mapped since the first sleep. */
  page: Page | undefined;
}

/** All waits of this isolate. */
class Waits {
  readonly #words = new Map<string, Word>();
  #nextDeadline = Infinity;
  #isRunning = false;
  /** Whether a sleep is in progress that was not interrupted. */
  #isAsleep = false;
  /** Polls in a row that found no change. */
  #idlePolls = 0;
  /** Milliseconds that the last check of all words took. */
  #checkMs = 0;
  /** Whether a wait has ended since the last sleep. */
  #hasEnded = false;
  /** When the last wait began, or the process was last allowed to exit. */
  #keptAliveSince = 0;

  add(wait: Wait, id: string, position: number): Word {
    const key = keyOf(id, position);
    let word = this.#words.get(key);
    if (word === undefined) {
      word = { id, position, waits: new Set(), page: undefined };
      this.#words.set(key, word);
    }
    word.waits.add(wait);
    this.#nextDeadline = Math.min(this.#nextDeadline, wait.deadline);
    this.#idlePolls = 0;
    this.#keptAliveSince = wait.start;
    if (this.#isRunning) this.interrupt();
    else this.#run();
    return word;
  }

  notify(id: string, position: number, fd: number | undefined): void {
    if (this.#words.size > 0) {
      const word = this.#words.get(keyOf(id, position));
      for (const wait of word?.waits ?? []) this.#resolve(word!, wait, "ok");
    }
    const page = kernel()?.pages.map(id, position, fd!);
    if (page !== undefined) kernel()!.wake(addressIn(page, position));
  }

  reject(word: Word, wait: Wait, error: unknown): void {
    if (this.#remove(word, wait)) wait.reject(error);
  }

  close(file: FileWaits, id: string, error: Error): void {
    for (const word of this.#words.values()) {
      for (const wait of word.waits) {
        if (wait.file === file) this.reject(word, wait, error);
      }
    }
    chosen?.pages.unmap(id);
  }

  /** Ends the sleep in progress, so that the words are checked. */
  interrupt(): void {
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    kernel()!.interrupt();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let isPauseDue = this.#hasEnded = false;
    while (this.#words.size > 0) {
      if (this.#hasEnded) {
        // A wait that has ended may be followed by another, which the next sleep includes. If the kernel refused
        // to sleep, this was why, and a pause would delay the next notify.
        this.#hasEnded = isPauseDue = false;
        await yieldToEventLoop();
      } else if (isPauseDue) {
        await this.#pause(1);
        isPauseDue = false;
      } else isPauseDue = await this.#sleep();
      this.check();
    }
    this.#isRunning = false;
  }

  /** Ends the waits whose word has changed or whose timeout has passed. */
  check(): void {
    const now = performance.now();
    this.#nextDeadline = Infinity;
    for (const word of this.#words.values()) {
      const value = this.#load(word);
      for (const wait of word.waits) {
        const { expected, deadline } = wait;
        if (value === undefined) this.#rejectLoad(word, wait);
        else if (value !== expected) this.#resolve(word, wait, "ok");
        else if (now >= deadline) this.#resolve(word, wait, "timed-out");
        else this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
      }
    }
    this.#checkMs = performance.now() - now;
  }

  #load({ waits }: Word): number | undefined {
    const { file, position } = first(waits);
    try {
      return file.load(position);
    } catch {
      // The error of each wait names its own file.
      return undefined;
    }
  }

  #rejectLoad(word: Word, wait: Wait): void {
    try {
      wait.file.load(wait.position);
    } catch (error) {
      this.reject(word, wait, error);
    }
  }

  /** Sleeps until a word may have changed. Returns whether to pause before the next sleep. */
  async #sleep(): Promise<boolean> {
    const start = performance.now();
    const left = Math.max(0, this.#nextDeadline - start);
    if (!this.#mapWords()) {
      const grown = Math.floor(this.#idlePolls++ / POLLS_PER_PAUSE_STEP);
      const pause = Math.min(grown, MAX_PAUSE_MS);
      const fair = this.#checkMs * PAUSE_PER_CHECK;
      await this.#pause(Math.min(Math.max(pause, fair), left));
      return false;
    }
    const words = [...this.#words.values()];
    const sleepers = words.map(({ waits, page, position }) => {
      for (const wait of waits) wait.isAsleep = true;
      const { expected } = first(waits);
      return { address: addressIn(page!, position), expected };
    });
    this.#isAsleep = true;
    const ms = Math.min(left, SLEEP_MS);
    const notified = await kernel()!.sleep(sleepers, ms);
    const isInterrupted = !this.#isAsleep;
    this.#isAsleep = false;
    const word = words[notified];
    if (word !== undefined) {
      for (const wait of word.waits) {
        if (wait.isAsleep) this.#resolve(word, wait, "ok");
      }
      return false;
    }
    if (isInterrupted) return false;
    // The kernel may refuse to sleep: a word has changed, or memory is short.
    const isRefused = performance.now() - start < ms;
    return isRefused || this.#mayExit();
  }

  /** Maps the pages of all words for the kernel. Returns whether it can sleep on them. */
  #mapWords(): boolean {
    const isForKernel = this.#words.size <= (kernel()?.maxWords ?? 0);
    if (!isForKernel) return false;
    for (const word of this.#words.values()) {
      if (word.page !== undefined) continue;
      const { id, position, waits } = word;
      word.page = kernel()!.pages.map(id, position, first(waits).file.fd!);
      if (word.page === undefined) return false;
      word.page.words++;
    }
    return true;
  }

  /** Waits some milliseconds. Now and then this does not keep the process alive. */
  async #pause(ms: number): Promise<void> {
    if (ms < 1) return await yieldToEventLoop();
    const mayExit = this.#mayExit();
    if (mayExit) this.#keptAliveSince = performance.now();
    await setTimeout(ms, undefined, { ref: !mayExit });
  }

  /** Whether the process may exit if nothing else keeps it alive. */
  #mayExit(): boolean {
    return !isLoading &&
      performance.now() - this.#keptAliveSince >= KEEP_ALIVE_MS;
  }

  #resolve(word: Word, wait: Wait, result: WaitResult): void {
    if (!this.#remove(word, wait)) return;
    if (result === "ok") spinning.slept(performance.now() - wait.start);
    wait.resolve(result);
  }

  #remove(word: Word, wait: Wait): boolean {
    if (!word.waits.delete(wait)) return false;
    this.#hasEnded = true;
    if (word.waits.size > 0) return true;
    this.#words.delete(keyOf(word.id, word.position));
    if (word.page !== undefined) word.page.words--;
    // A sleep without waits would keep the process from exiting.
    if (this.#words.size === 0) this.interrupt();
    return true;
  }
}

const waits = new Waits();

/** Checks the words of all waits, because a file may have been truncated. */
export function checkWaits(): void {
  waits.check();
}

function keyOf(id: string, position: number): string {
  return `${id}:${position}`;
}

function first<T>(set: Set<T>): T {
  for (const element of set) return element;
  throw new RangeError("Cannot take the first of nothing");
}

// --- The kernel

/** How a system makes a thread sleep on words that processes share. */
interface Kernel {
  /** Words of one sleep. */
  readonly maxWords: number;
  readonly pages: Pages;
  /** Sleeps while all words are as expected. Returns the index of a word that was notified, or a negative number. */
  sleep(words: readonly Sleeper[], ms: number): Promise<number>;
  /** Ends the sleep in progress. */
  interrupt(): void;
  /** Ends the sleeps of all isolates and processes on a word. */
  wake(address: bigint): void;
}

interface Sleeper {
  readonly address: bigint;
  readonly expected: number;
}

let chosen: Kernel | null | undefined;

/** How this system sleeps; `null` if it cannot, and words are polled. */
function kernel(): Kernel | null {
  if (chosen !== undefined) return chosen;
  try {
    return chosen = linux() ?? darwin();
  } catch (error) {
    // V8 did not get the address space for a memory.
    if (error instanceof RangeError) return chosen = null;
    throw error;
  }
}

function linux(): Kernel | null {
  const MAX_WORDS = 127;
  const calls = libcOf("linux");
  if (calls === null) return null;
  const { futex, futex_waitv, futex_waitvAsync, clock_gettime } = calls;
  const { SYS_futex, SYS_futex_waitv } = platform!;
  const ALL = 0x7fff_ffff;
  /** The word by which a sleep is interrupted. */
  const own = new Int32Array(new ArrayBuffer(4));
  const ownAddress = Deno.UnsafePointer.value(Deno.UnsafePointer.of(own));
  /** A struct futex_waitv is a word's value, its address and its flags. */
  const waiters = new BigUint64Array(3 * (1 + MAX_WORDS));
  const timespec = new BigInt64Array(2);

  function prepare(words: readonly Sleeper[], ms: number): void {
    const flags = BigInt(FUTEX2_SIZE_U32 | FUTEX2_PRIVATE);
    waiters.set([BigInt(own[0]! >>> 0), ownAddress, flags]);
    words.forEach(({ address, expected }, i) => {
      const value = BigInt(expected >>> 0);
      waiters.set([value, address, BigInt(FUTEX2_SIZE_U32)], 3 * (1 + i));
    });
    clock_gettime!(CLOCK_MONOTONIC, timespec);
    const end = timespec[1]! + BigInt(Math.ceil(1e6 * ms));
    timespec[0]! += end / 1_000_000_000n;
    timespec[1] = end % 1_000_000_000n;
  }

  // Linux before 5.16 does not have the call, and a sandbox may refuse it. If it works, it refuses a word that is
  // not as expected.
  prepare([], 0);
  waiters[0]!++;
  const args = [0, timespec, CLOCK_MONOTONIC] as const;
  if (
    futex_waitv!(SYS_futex_waitv, waiters, 1, ...args) !== -1 ||
    errno() !== osConstants.errno.EAGAIN
  ) return null;

  return {
    maxWords: MAX_WORDS,
    pages: new Pages(MAX_WORDS + 1),
    async sleep(words, ms) {
      prepare(words, ms);
      const count = 1 + words.length;
      return await futex_waitvAsync!(
        SYS_futex_waitv,
        waiters,
        count,
        ...args,
      ) - 1;
    },
    interrupt() {
      own[0]!++;
      futex!(SYS_futex, ownAddress, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
    },
    wake: (address) => void futex!(SYS_futex, address, FUTEX_WAKE, ALL),
  };
}

/** Written from the manual, and never run on macOS. */
function darwin(): Kernel | null {
  const calls = libcOf("darwin");
  const sleep = calls?.os_sync_wait_on_address_with_timeoutAsync;
  const wake = calls?.os_sync_wake_by_address_all;
  if (!sleep || !wake) return null;
  let asleep = 0n;
  const wakeAll = (address: bigint) =>
    void wake(address, 4n, OS_SYNC_WAKE_BY_ADDRESS_SHARED);
  return {
    maxWords: 1,
    pages: new Pages(2),
    async sleep([word], ms) {
      if (word === undefined) return -1;
      const { address, expected } = word;
      asleep = address;
      const value = BigInt(expected >>> 0);
      // A timeout of 0 would be none.
      const ns = BigInt(Math.max(1, Math.ceil(1e6 * ms)));
      await sleep(
        address,
        value,
        4n,
        OS_SYNC_WAIT_ON_ADDRESS_SHARED,
        OS_CLOCK_MACH_ABSOLUTE_TIME,
        ns,
      );
      return -1;
    },
    // The call takes one word. So other threads that sleep on it wake too, check it, and sleep again.
    interrupt: () => wakeAll(asleep),
    wake: wakeAll,
  };
}

/** The C library, if this is that system, and `Pages` can have memory. */
function libcOf(os: typeof Deno.build.os) {
  return Deno.build.os === os && typeof WebAssembly === "object"
    ? libc()
    : null;
}

/** A page of a file, mapped so that the kernel finds words in it. */
interface Page {
  readonly id: string;
  /** Which page of the file. */
  readonly number: number;
  /** Where it lies in the memory. */
  readonly at: number;
  readonly address: bigint;
  /** Words that sleep in it; while there are any it stays mapped. */
  words: number;
}

/**
 * The pages of files that hold words, apart from the files' own memory: a sleep does not depend on what
 * happens to that, and a file open for reading is mapped shared here, as other processes have it. A
 * private mapping would have words of its own.
 *
 * They lie in memory of V8's. It is never unmapped while this isolate lives, so an address that the
 * kernel still has is always valid, and with the isolate it goes, as in `worker.terminate()`.
 */
class Pages {
  readonly #memory: WebAssembly.Memory;
  readonly #range: AddressRange;
  /** Where the unmapped pages lie. */
  readonly #free: number[];
  /** In the order of use, the last one last. */
  readonly #mapped = new Map<string, Page>();

  constructor(count: number) {
    const WASM_PAGE = 1 << 16;
    const initial = Math.ceil(count * pageSize() / WASM_PAGE);
    this.#memory = new WebAssembly.Memory({ initial, maximum: initial });
    const bytes = new Uint8Array(this.#memory.buffer);
    this.#range = { address: addressOf(bytes), byteLength: bytes.length };
    this.#free = Array.from({ length: count }, (_, i) => i * pageSize());
  }

  /** Maps the page that contains a position, unless it is mapped; `undefined` if the system refuses. */
  map(id: string, position: number, fd: number): Page | undefined {
    const number = Math.floor(position / pageSize());
    const key = keyOf(id, number);
    let page = this.#mapped.get(key);
    if (page === undefined) {
      const at = this.#free.pop() ?? this.#evict();
      if (!this.#mapAt(at, MAP_SHARED, fd, number * pageSize())) {
        this.#free.push(at);
        return undefined;
      }
      const address = this.#range.address + BigInt(at);
      page = { id, number, at, address, words: 0 };
    } else this.#mapped.delete(key);
    this.#mapped.set(key, page);
    return page;
  }

  /** Unmaps the pages of a file, except those in which other waits sleep. */
  unmap(id: string): void {
    for (const page of this.#mapped.values()) {
      if (page.id === id && page.words === 0) this.#release(page);
    }
  }

  /** Unmaps the least recently used page. There is one more than words can use. */
  #evict(): number {
    for (const page of this.#mapped.values()) {
      if (page.words > 0) continue;
      this.#release(page);
      return this.#free.pop()!;
    }
    throw new Error("Cannot map a page for a wait: all are held");
  }

  #release(page: Page): void {
    this.#mapped.delete(keyOf(page.id, page.number));
    this.#mapAt(page.at, MAP_PRIVATE | platform!.MAP_ANONYMOUS, -1, 0);
    this.#free.push(page.at);
  }

  #mapAt(at: number, flags: number, fd: number, offset: number): boolean {
    // SAFETY: only the kernel uses this memory, to find the words that waits sleep on.
    return mapFixed(this.#range, at, pageSize(), PROT_READ, flags, fd, offset);
  }
}

function addressIn(page: Page, position: number): bigint {
  return page.address + BigInt(position % pageSize());
}
