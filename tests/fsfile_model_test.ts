/**
 * The same random operations on an MmapFile and on a Deno.FsFile: every result, error, cursor,
 * size and byte must be the same, but for the departures that the design names.
 *
 * MMAPFILE_FC_RUNS sets the number of sequences, MMAPFILE_FC_SEED and MMAPFILE_FC_PATH replay one.
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
import { isCopy } from "./backend.ts";
import { isWindows } from "./reason.ts";
import { equal, type Outcome, outcomeOf, pattern, TempDir } from "./temp.ts";

const { Start, Current, End } = Deno.SeekMode;

/** How a file is opened, and with what the model of it is. */
const KINDS: Record<string, MmapOpenOptions> = {
  fixed: { read: true, write: true },
  readOnly: { read: true },
  writeOnly: { write: true },
  grow: { read: true, write: true, grow: true },
  growWriteOnly: { write: true, grow: true },
  append: { read: true, append: true },
  appendOnly: { append: true },
  appendWrite: { read: true, write: true, append: true, grow: true },
};

type Kind = keyof typeof KINDS;

/** A place in the file, from its start or from its end as it is when the operation comes. */
interface Place {
  readonly from: "start" | "end";
  readonly offset: number;
}

type Operation =
  | { do: "read"; length: number }
  | { do: "write"; length: number; seed: number }
  | { do: "seek"; offset: number; whence: Deno.SeekMode; bigint: boolean }
  | { do: "readAt"; length: number; at: Place }
  | { do: "writeAt"; length: number; seed: number; at: Place }
  | { do: "truncate"; length: number }
  | { do: "stat" | "sync" | "refresh" | "scribble" }
  | { do: "reopen"; kind: Kind }
  | { do: "other"; length: number; seed: number; at: Place };

/** An operation, in its sync or its async form. */
type Step = Operation & { async: boolean };

const edges = fc.constantFrom(0, 1, 2, 4095, 4096, 4097, 8192, 20_000);
const size = fc.oneof(edges, fc.nat(40));
/** Mostly small, so that a sequence does not fill the file at once. */
const length = fc.oneof(
  { weight: 4, arbitrary: fc.nat(40) },
  { weight: 1, arbitrary: edges },
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
const kind = fc.constantFrom(...Object.keys(KINDS));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("read" as const), length }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("write" as const), length, seed }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("seek" as const),
      offset: fc.oneof(size, fc.integer({ min: -30, max: 30 })),
      whence: fc.constantFrom(Start, Current, End),
      bigint: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("readAt" as const),
      length,
      at: place,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("writeAt" as const),
      length,
      seed,
      at: place,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("truncate" as const),
      length: size,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "stat" as const,
        "sync" as const,
        "refresh" as const,
        "scribble" as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("reopen" as const), kind }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("other" as const),
      length,
      seed,
      at: place,
    }),
  },
);

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(operation, fc.boolean()).map(([operation, async]) => ({
    ...operation,
    async,
  })),
  { maxLength: 25 },
);

/** An MmapFile and a Deno.FsFile opened alike on two files of the same bytes. */
class Pair implements Disposable {
  readonly #ours: string;
  readonly #theirs: string;
  #kind: Kind;
  #file: MmapFile;
  #model: Deno.FsFile;

  constructor(dir: TempDir, kind: Kind, size: number) {
    this.#ours = dir.file(size, "ours");
    this.#theirs = dir.file(size, "theirs");
    this.#kind = kind;
    this.#file = openSync(this.#ours, KINDS[kind]);
    this.#model = Deno.openSync(this.#theirs, modelOptions(kind));
  }

  [Symbol.dispose](): void {
    this.#file.close();
    this.#model.close();
  }

  async step(step: Step): Promise<void> {
    const name = step.async ? step.do : `${step.do}Sync`;
    /** Calls the method of the MmapFile in the form that is wanted. */
    const call = (...args: unknown[]) =>
      outcomeOf(() =>
        Reflect.apply(Reflect.get(this.#file, name), this.#file, args)
      );
    switch (step.do) {
      case "read":
      case "readAt": {
        const [p, q] = [pattern(step.length, 7), pattern(step.length, 7)];
        const at = "at" in step ? [this.#resolve(step.at)] : [];
        const ours = await call(p, ...at);
        await this.#same(ours, () => this.#modelRead(q, ...at));
        assert(equal(p, q), "The bytes read differ");
        break;
      }
      case "write":
      case "writeAt": {
        const p = pattern(step.length, step.seed);
        const at = "at" in step ? [this.#resolve(step.at)] : [];
        const ours = await call(p, ...at);
        await this.#sameWrite(ours, p, ...at);
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
        if (this.#kind === "readOnly") this.#assertError(ours, ReadOnlyError);
        else {await this.#same(ours, () =>
            void this.#model.truncateSync(step.length));}
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
      case "sync": {
        const ours = await call();
        // There Deno refuses what has nothing to do.
        if (isWindows && this.#kind === "readOnly") assert("value" in ours);
        else await this.#same(ours, () => void this.#model.syncSync());
        break;
      }
      case "refresh":
        this.#file.refresh();
        break;
      case "scribble":
        this.#scribble();
        break;
      case "other":
        this.#other(pattern(step.length, step.seed), this.#resolve(step.at));
        break;
      case "reopen":
        this[Symbol.dispose]();
        this.#kind = step.kind;
        this.#file = openSync(this.#ours, KINDS[step.kind]);
        this.#model = Deno.openSync(this.#theirs, modelOptions(step.kind));
        break;
    }
  }

  /** The cursor, the size and every byte, in memory and on the disk. */
  check(): void {
    assertEquals(
      this.#file.seekSync(0, Current),
      this.#model.seekSync(0, Current),
      "The cursors differ",
    );
    assertEquals(this.#file.size, this.#size(), "The sizes differ");
    const expected = Deno.readFileSync(this.#theirs);
    assert(equal(Deno.readFileSync(this.#ours), expected), "The files differ");
    if (KINDS[this.#kind].read) {
      assert(
        equal(this.#file.bytes(), expected),
        "bytes() differ from the file",
      );
    }
  }

  #size(): number {
    return this.#model.statSync().size;
  }

  #resolve({ from, offset }: Place): number {
    return Math.max(0, from === "end" ? this.#size() + offset : offset);
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

  /** Does the write to the model as far as the design lets it go, and compares. */
  async #sameWrite(ours: Outcome, p: Uint8Array, at?: number): Promise<void> {
    const { append, grow } = KINDS[this.#kind];
    if (this.#kind === "readOnly") {
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
    const mayExtend = append ? at === undefined : grow;
    const fits = mayExtend
      ? p.length
      : Math.max(0, Math.min(p.length, this.#size() - position));
    if (at !== undefined) model.seekSync(at, Start);
    if (fits > 0) model.writeSync(p.subarray(0, fits));
    if (at !== undefined) model.seekSync(before, Start);
    if (fits < p.length) {
      this.#assertError(ours, OutOfBoundsError);
      assertEquals((ours.error as OutOfBoundsError).bytesWritten, fits);
    } else assertEquals(ours, { value: p.length });
  }

  /** Someone else writes; a longer file is looked at anew, as it must be, except to append. */
  #other(bytes: Uint8Array, at: number): void {
    for (const path of [this.#ours, this.#theirs]) {
      using other = Deno.openSync(path, { write: true });
      other.seekSync(at, Start);
      other.writeSync(bytes);
    }
    // Who has a copy learns of it by a refresh only.
    if (isCopy) this.#file.refresh();
    if (this.#size() === this.#file.size) return;
    if (KINDS[this.#kind].append) {
      const p = pattern(3);
      assertEquals(this.#file.writeSync(p), 3);
      this.#model.writeSync(p);
    } else {
      const p = new Uint8Array(10);
      const { size } = this.#file;
      // Of an empty file the end is asked for each time.
      if (KINDS[this.#kind].read && size > 0) {
        assertEquals(this.#file.readAtSync(p, size), null);
      }
      this.#file.refresh();
    }
  }

  /** Writes through bytes(): into the file, or, where it is read-only, nowhere but here. */
  #scribble(): void {
    const { write, append } = KINDS[this.#kind];
    if (this.#file.size === 0 || (!write && !append)) return;
    const at = this.#file.size >> 1;
    this.#file.bytes(at, 1)[0] = 250;
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
      // What elsewhere is a descriptor not opened for it is there an access denied.
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

function modelOptions(kind: Kind): Deno.OpenOptions {
  const { read, write, append } = KINDS[kind];
  return { read, write, append };
}

function numberFrom(variable: string): number | undefined {
  const value = Deno.env.get(variable);
  return value === undefined ? undefined : Number(value);
}

async function assertModel(
  kinds: fc.Arbitrary<Kind>,
  numRuns: number,
): Promise<void> {
  using dir = new TempDir();
  await fc.assert(
    fc.asyncProperty(kinds, size, steps, async (kind, size, steps) => {
      using pair = new Pair(dir, kind, size);
      pair.check();
      for (const step of steps) {
        await pair.step(step);
        pair.check();
      }
    }),
    {
      numRuns: numberFrom("MMAPFILE_FC_RUNS") ?? numRuns,
      seed: numberFrom("MMAPFILE_FC_SEED"),
      path: Deno.env.get("MMAPFILE_FC_PATH"),
      endOnFailure: Deno.env.has("MMAPFILE_FC_PATH"),
    },
  );
}

for (const name of Object.keys(KINDS)) {
  Deno.test(
    `An MmapFile opened ${name} does what a Deno.FsFile does`,
    () => assertModel(fc.constant(name), 250),
  );
}
