/**
 * The same random operations on an MmapFile and on a Deno.FsFile that are opened alike: every result, error,
 * cursor, size and byte must be equal, and whether the modification time has moved, while another writes to
 * the file and truncates it, whenever the file is mapped.
 *
 * MMAPFILE_FC_RUNS sets the number of sequences, MMAPFILE_FC_SEED and MMAPFILE_FC_PATH replay one;
 * MMAPFILE_FC_DIR is the directory of the files.
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
} from "@mmapfile/mmapfile";
import fc from "fast-check";
import { existsSync } from "node:fs";
import { isCopy, isTruncatable } from "./tested_module.ts";
import { bytesOf, type Change } from "./children/change.ts";
import { mappedAfter } from "./mapped_after.ts";
import {
  OtherDescriptor,
  OtherProcess,
  type OtherWriter,
} from "./other_writer.ts";
import { isWindows, NO_GUARD } from "./skip.ts";
import { equal } from "./bytes.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { TempDir } from "./temp_dir.ts";

const { Start, Current, End } = Deno.SeekMode;

/** The options of both files. */
const OPTIONS: Record<string, Deno.OpenOptions> = {
  read: { read: true },
  write: { write: true },
  readWrite: { read: true, write: true },
  readAppend: { read: true, append: true },
  append: { append: true },
  appendWrite: { read: true, write: true, append: true },
  create: { read: true, write: true, create: true },
  truncate: { read: true, write: true, create: true, truncate: true },
};

/** After how many calls the file is mapped. */
const SWITCHES = isCopy ? [0] : [0, 1, 3, Infinity];

/** How a file is opened. */
interface Way {
  readonly options: Deno.OpenOptions;
  readonly mapAfter: number;
  /** Whether the file has a fixed size, which a Deno.FsFile never has. */
  readonly isFixed: boolean;
}

/** An offset from the start of the file, or from its end at the time of the operation. */
interface Place {
  readonly from: "start" | "end";
  readonly offset: number;
}

type Operation =
  | { do: "read" | "poll"; length: number }
  | { do: "write"; length: number; seed: number }
  | { do: "seek"; offset: number; whence: Deno.SeekMode; bigint: boolean }
  | { do: "readAt"; length: number; at: Place }
  | { do: "writeAt"; length: number; seed: number; at: Place }
  | { do: "truncate"; length: number }
  | { do: "stat" | "sync" | "syncData" | "refresh" | "bytes" | "scribble" }
  | { do: "utime" | "otherUtime" }
  | { do: "reopen"; way: Way }
  | { do: "otherRead" }
  | { do: "otherWrite"; length: number; seed: number; at: Place }
  | { do: "otherTruncate"; length: number; more: number; seed: number };

/** An operation, in its sync or its async form. */
type Step = Operation & { async: boolean };

const PAGE = 4096;
const OLD = new Date("2001-02-03T04:05:06Z");

const edges = fc.constantFrom(0, 1, 2, 4095, 4096, 4097, 8192, 20_000, 65_536);
const size = fc.oneof(edges, fc.nat(40));
/** Mostly small, so that a sequence does not fill the file at once. */
const length = fc.oneof(
  { weight: 24, arbitrary: fc.nat(40) },
  { weight: 8, arbitrary: edges },
  // More than the main thread reads or writes in one call.
  { weight: 1, arbitrary: fc.constantFrom(65_537, 65_537, 1_100_000) },
);
const seed = fc.nat(255);
const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({
    from: fc.constant("start" as const),
    offset: fc.oneof(size, fc.nat(25_000)),
  }),
  fc.record({
    from: fc.constant("end" as const),
    offset: fc.integer({ min: -40, max: 5 }),
  }),
);
const wayOf = (options: Deno.OpenOptions) =>
  fc.constantFrom(...SWITCHES).map((mapAfter) => ({
    options,
    mapAfter,
    isFixed: false,
  }));
const way: fc.Arbitrary<Way> = fc.oneof(...Object.values(OPTIONS).map(wayOf));
const fixed = wayOf(OPTIONS.readWrite!).map((way) => ({
  ...way,
  isFixed: true,
}));

/** An operation, and how often it is chosen. */
function often<Name extends Operation["do"], Arguments>(
  weight: number,
  name: Name,
  args: { [K in keyof Arguments]: fc.Arbitrary<Arguments[K]> },
) {
  const arbitrary = fc.record({ do: fc.constant(name), ...args });
  return { weight, arbitrary: arbitrary as fc.Arbitrary<unknown> };
}

const operation = fc.oneof(
  often(8, "read", { length }),
  often(3, "poll", { length: fc.integer({ min: 1, max: 40 }) }),
  often(7, "write", { length, seed }),
  often(5, "seek", {
    offset: fc.oneof(size, fc.integer({ min: -30, max: 30 })),
    whence: fc.constantFrom(Start, Current, End),
    bigint: fc.boolean(),
  }),
  often(3, "readAt", { length, at: place }),
  often(3, "writeAt", { length, seed, at: place }),
  often(2, "truncate", { length: size }),
  often(1, "stat", {}),
  often(1, "sync", {}),
  often(1, "syncData", {}),
  often(1, "refresh", {}),
  often(1, "bytes", {}),
  often(1, "scribble", {}),
  often(1, "utime", {}),
  often(1, "otherUtime", {}),
  often(1, "reopen", { way }),
  often(1, "otherRead", {}),
  often(4, "otherWrite", { length, seed, at: place }),
  often(3, "otherTruncate", { length: size, more: length, seed }),
) as fc.Arbitrary<Operation>;

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(operation, fc.boolean()).map(([operation, async]) => ({
    ...operation,
    async,
  })),
  { maxLength: 25 },
);

/** An MmapFile and a Deno.FsFile opened alike on two files of the same bytes. */
class Pair {
  readonly #ours: string;
  readonly #theirs: string;
  readonly #other: OtherWriter;
  #way: Way;
  #file: MmapFile;
  #model: Deno.FsFile;
  /** Whether the file may be mapped, where a truncation within a page does not show at once. */
  #mayBeMapped = false;
  /** Whether memory of the file was handed out to be written. */
  #isHandedOut = false;
  /** Whether both modification times were set to `OLD`, with all that was written before on the disk. */
  #isAged = false;
  /** Whether the file itself has set its times, which writes through views then do not move. */
  #isSet = false;

  constructor(dir: TempDir, way: Way, size: number, other: OtherWriter) {
    this.#ours = dir.file(size, "ours");
    this.#theirs = dir.file(size, "theirs");
    this.#other = other;
    this.#way = way;
    [this.#file, this.#model] = this.#open(way);
  }

  close(): void {
    this.#file.close();
    this.#model.close();
    this.#sameTime();
    this.check();
  }

  /** Closes what a failure left open. */
  [Symbol.dispose](): void {
    if (!this.#file.closed) this.#file.close();
    try {
      this.#model.close();
    } catch {
      // It is closed already.
    }
  }

  async step(step: Step): Promise<void> {
    const name = step.async ? step.do : `${step.do}Sync`;
    /** Calls the sync or the async method of the MmapFile. */
    const call = (...args: unknown[]) => callOf(this.#file, name, args);
    switch (step.do) {
      case "read":
      case "readAt": {
        const at = "at" in step ? [this.#resolve(step.at)] : [];
        await this.#sameRead(step.length, call, ...at);
        break;
      }
      case "poll": {
        const read = step.async ? "read" : "readSync";
        const seek = [0, End];
        await this.#same(
          await outcomeOf(() => this.#file.seekSync(...seek as [0, 2])),
          () => this.#model.seekSync(...seek as [0, 2]),
        );
        for (const more of [0, step.length, 0, step.length]) {
          if (more > 0 && !isCopy && !this.#way.isFixed) {
            await this.#change({ at: this.#size(), count: more, seed: 0 });
          }
          await this.#sameRead(
            step.length + 2,
            (...args) => callOf(this.#file, read, args),
          );
        }
        break;
      }
      case "write":
      case "writeAt": {
        const p = bytesOf(step.length, step.seed);
        const at = "at" in step ? [this.#resolve(step.at)] : [];
        // This needs memory of the current file: pwrite(2) would append.
        if (this.#way.options.append && at.length > 0) {
          this.#file.refresh();
          this.#mayBeMapped = true;
        }
        await this.#sameWrite(await call(p, ...at), p, ...at);
        break;
      }
      case "seek": {
        const offset = step.bigint ? BigInt(step.offset) : step.offset;
        const ours = await call(offset, step.whence);
        await this.#same(ours, () => this.#model.seekSync(offset, step.whence));
        break;
      }
      case "truncate": {
        const ours = await call(step.length);
        if (!this.#mayWrite) this.#assertError(ours, ReadOnlyError);
        else {
          await this.#same(
            ours,
            () => void this.#model.truncateSync(step.length),
          );
        }
        break;
      }
      case "stat": {
        const ours = await call();
        assert("value" in ours);
        const info = ours.value as Deno.FileInfo;
        assertEquals(info.size, this.#size());
        assertEquals(info, Deno.statSync(this.#ours));
        break;
      }
      case "sync":
      case "syncData": {
        const ours = await call();
        // There Deno refuses a call that has nothing to do.
        if (isWindows && !this.#mayWrite) assert("value" in ours);
        else await this.#same(ours, () => void this.#model.syncSync());
        this.#sameTime();
        break;
      }
      case "utime": {
        const ours = await call(OLD, OLD);
        await this.#same(ours, () => void this.#model.utimeSync(OLD, OLD));
        this.#isAged = true;
        this.#isSet = true;
        this.#sameTime();
        break;
      }
      case "otherUtime":
        this.#file.syncSync();
        this.#age();
        break;
      case "refresh":
        this.#file.refresh();
        assertEquals(this.#file.size, this.#size());
        break;
      case "bytes":
        this.#look();
        break;
      case "scribble":
        this.#scribble();
        break;
      case "otherRead":
        this.check();
        break;
      case "otherWrite":
        await this.#change({
          at: this.#resolve(step.at),
          count: step.length,
          seed: step.seed,
        });
        break;
      case "otherTruncate":
        if (isTruncatable && !NO_GUARD) await this.#otherTruncate(step);
        break;
      case "reopen":
        this.close();
        this.#way = step.way;
        [this.#file, this.#model] = this.#open(step.way);
        break;
    }
  }

  /** Compares every byte, as other processes see it, and the cursors. */
  check(): void {
    const expected = Deno.readFileSync(this.#theirs);
    assert(equal(Deno.readFileSync(this.#ours), expected), "The files differ");
    if (this.#file.closed) return;
    assertEquals(
      this.#file.seekSync(0, Current),
      this.#model.seekSync(0, Current),
      "The cursors differ",
    );
  }

  #open({ options, mapAfter, isFixed }: Way): [MmapFile, Deno.FsFile] {
    this.#mayBeMapped = isCopy || mapAfter !== Infinity;
    this.#isHandedOut = this.#isSet = false;
    const ours: MmapOpenOptions = mappedAfter(mapAfter, {
      ...options,
      ...(isFixed ? { grow: false } : {}),
    });
    return [openSync(this.#ours, ours), Deno.openSync(this.#theirs, options)];
  }

  get #mayWrite(): boolean {
    const { write, append } = this.#way.options;
    return write === true || append === true;
  }

  #size(): number {
    return this.#model.statSync().size;
  }

  #resolve({ from, offset }: Place): number {
    return Math.max(0, from === "end" ? this.#size() + offset : offset);
  }

  async #sameRead(
    length: number,
    call: (...args: unknown[]) => Promise<Outcome>,
    ...at: number[]
  ): Promise<void> {
    const [p, q] = [new Uint8Array(length), new Uint8Array(length)];
    const ours = await call(p, ...at);
    await this.#same(ours, () => this.#modelRead(q, ...at));
    assert(equal(p, q), "The bytes read differ");
  }

  #modelRead(p: Uint8Array, at?: number): number | null {
    if (at === undefined) return this.#model.readSync(p);
    const before = this.#model.seekSync(0, Current);
    this.#model.seekSync(at, Start);
    try {
      return this.#model.readSync(p);
    } finally {
      this.#model.seekSync(before, Start);
    }
  }

  /** Writes to the model, up to the end of a file of fixed size, and compares. */
  async #sameWrite(ours: Outcome, p: Uint8Array, at?: number): Promise<void> {
    const { append } = this.#way.options;
    if (!this.#mayWrite) {
      const refused = await outcomeOf(() => this.#model.writeSync(p));
      assert("error" in refused);
      return this.#assertError(ours, ReadOnlyError);
    }
    // Positional writes do not append, which a Deno.FsFile opened to append cannot show.
    using plain = append && at !== undefined
      ? Deno.openSync(this.#theirs, { write: true })
      : undefined;
    const model = plain ?? this.#model;
    const before = model.seekSync(0, Current);
    const position = at ?? before;
    const mayExtend = append ? at === undefined : !this.#way.isFixed;
    const fits = mayExtend
      ? p.length
      : Math.max(0, Math.min(p.length, this.#size() - position));
    if (at !== undefined) model.seekSync(at, Start);
    for (let done = 0; done < fits;) {
      done += model.writeSync(p.subarray(done, fits));
    }
    if (at !== undefined) model.seekSync(before, Start);
    if (fits < p.length) {
      this.#assertError(ours, OutOfBoundsError);
      assertEquals((ours.error as OutOfBoundsError).bytesWritten, fits);
    } else assertEquals(ours, { value: p.length });
  }

  /** Another writer truncates the files, and may write then. */
  async #otherTruncate(
    { length, more, seed }: { length: number; more: number; seed: number },
  ): Promise<void> {
    await this.#change({ truncate: length, at: length, count: more, seed });
    const isSeen = !this.#mayBeMapped || (length + more) % PAGE === 0;
    // Within a page only the size shows it.
    if (!isSeen) this.#file.statSync();
  }

  async #change(change: Omit<Change, "path">): Promise<void> {
    // A copy would overwrite it with its own changes.
    if (isCopy) this.#file.syncSync();
    for (const path of [this.#ours, this.#theirs]) {
      await this.#other.change({ path, ...change });
    }
    // A copy, or a file of fixed size, shows it only after refresh().
    if (isCopy || this.#way.isFixed) this.#file.refresh();
  }

  /** Gives both files an old modification time. */
  #age(): void {
    for (const path of [this.#ours, this.#theirs]) {
      Deno.utimeSync(path, OLD, OLD);
    }
    this.#isAged = true;
  }

  /** Checks that both modification times have moved since they were set, or none. */
  #sameTime(): void {
    // Windows updates the time at any moment, also for writes through handles.
    if (!this.#isAged || isWindows) return;
    const [ours, theirs] = [this.#ours, this.#theirs].map((path) =>
      Deno.statSync(path).mtime!.getTime() !== OLD.getTime()
    );
    // The library cannot know what was done to memory that was handed out.
    if (!this.#isHandedOut || theirs && !this.#isSet) {
      assertEquals(ours, theirs, "Only one modification time has moved");
    }
    if (ours || theirs) this.#isAged = false;
  }

  /** All of the file in memory, as it is now. */
  #look(): Uint8Array {
    this.#file.refresh();
    const bytes = this.#file.bytes();
    if (this.#way.options.read) {
      const expected = Deno.readFileSync(this.#theirs);
      assert(equal(bytes, expected), "bytes() differ from the file");
    }
    this.#mayBeMapped = true;
    this.#isHandedOut ||= this.#mayWrite;
    return bytes;
  }

  /** Writes through bytes(), where that reaches the file. */
  #scribble(): void {
    if (!this.#mayWrite) return;
    const bytes = this.#look();
    if (bytes.length === 0) return;
    const at = bytes.length >> 1;
    bytes[at] = 250;
    using other = Deno.openSync(this.#theirs, { write: true });
    other.seekSync(at, Start);
    other.writeSync(new Uint8Array([250]));
  }

  async #same(ours: Outcome, call: () => unknown): Promise<void> {
    const theirs = await outcomeOf(call);
    if ("value" in theirs) {
      assertEquals(ours, theirs);
      return;
    }
    if (isWindows && Reflect.get(theirs.error, "code") === "EPERM") {
      // Windows says "access denied" where other systems say "bad descriptor".
      assert("error" in ours && Reflect.get(ours.error, "code") === "EBADF");
      return;
    }
    this.#assertError(ours, theirs.error.constructor as ErrorConstructor);
    if (Reflect.get(theirs.error, "code") === "EBADF") {
      assertEquals(Reflect.get(ours.error, "code"), "EBADF");
    }
  }

  #assertError(
    ours: Outcome,
    type: abstract new (...args: never[]) => Error,
  ): asserts ours is { error: Error } {
    assert(
      "error" in ours,
      `Expected ${type.name}, got ${JSON.stringify(ours)}`,
    );
    assertInstanceOf(ours.error, type);
  }
}

function callOf(
  file: MmapFile,
  name: string,
  args: unknown[],
): Promise<Outcome> {
  return outcomeOf(() => Reflect.apply(Reflect.get(file, name), file, args));
}

function numberFrom(variable: string): number | undefined {
  const value = Deno.env.get(variable);
  return value === undefined ? undefined : Number(value);
}

async function assertModel(
  ways: fc.Arbitrary<Way>,
  numRuns: number,
  other: OtherWriter,
  parent?: string,
): Promise<void> {
  await using _other = other;
  using dir = new TempDir(Deno.env.get("MMAPFILE_FC_DIR") ?? parent);
  await fc.assert(
    fc.asyncProperty(ways, size, steps, async (way, size, steps) => {
      using pair = new Pair(dir, way, size, other);
      for (const step of steps) {
        await pair.step(step);
        pair.check();
      }
      pair.close();
    }),
    {
      numRuns: numberFrom("MMAPFILE_FC_RUNS") ?? numRuns,
      seed: numberFrom("MMAPFILE_FC_SEED"),
      path: Deno.env.get("MMAPFILE_FC_PATH"),
      endOnFailure: Deno.env.has("MMAPFILE_FC_PATH"),
    } as fc.Parameters<[Way, number, Step[]]>,
  );
}

/** A filesystem on which sync() takes no time, if there is one. */
const FAST = existsSync("/dev/shm") ? "/dev/shm" : undefined;

for (const [name, options] of Object.entries(OPTIONS)) {
  Deno.test(
    `An MmapFile opened with ${name} does what a Deno.FsFile does`,
    () => assertModel(wayOf(options), 200, new OtherDescriptor(), FAST),
  );
}

Deno.test(
  "An MmapFile of a fixed size does what a Deno.FsFile does, up to its end",
  () => assertModel(fixed, 200, new OtherDescriptor(), FAST),
);

Deno.test(
  "An MmapFile does what a Deno.FsFile does while another process changes the file",
  () => assertModel(way, 100, new OtherProcess()),
);
