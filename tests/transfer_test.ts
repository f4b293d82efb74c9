import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  ClosedError,
  createSync,
  type MmapFile,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
  toReadableStream,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { mappedAfter } from "./mapped_after.ts";
import { MAY_LOSE, NOT_TRANSFERABLE } from "./tested_module.ts";
import { commandOf } from "./run_deno.ts";
import type { Reason } from "./skip.ts";
import { decode, encode, equal, pattern, patternAt } from "./bytes.ts";
import { assertNothingIsOpen } from "./open_handles.ts";
import { outcomeOf } from "./outcome.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const { Start, Current } = Deno.SeekMode;
const KIB = 1 << 10;
const MIB = 1 << 20;

/** What both `readFrom` and `readFromSync` accept. */
interface BothReader {
  read(p: Uint8Array): Promise<number | null>;
  readSync(p: Uint8Array): number | null;
}

interface BothWriter {
  write(p: Uint8Array): Promise<number>;
  writeSync(p: Uint8Array): number;
}

interface Call {
  readFrom(file: MmapFile, source: BothReader): Promise<number>;
  writeTo(file: MmapFile, target: BothWriter): Promise<number>;
  writeString(file: MmapFile, s: string): Promise<number>;
}

const CALLS: [string, Call][] = [
  ["Sync", {
    // deno-lint-ignore require-await
    readFrom: async (file, source) => file.readFromSync(source),
    // deno-lint-ignore require-await
    writeTo: async (file, target) => file.writeToSync(target),
    // deno-lint-ignore require-await
    writeString: async (file, s) => file.writeStringSync(s),
  }],
  ["", {
    readFrom: (file, source) => file.readFrom(source),
    writeTo: (file, target) => file.writeTo(target),
    writeString: (file, s) => file.writeString(s),
  }],
];

/** A test of a method in its sync and in its async form. "{readFrom}" in the name becomes "readFromSync()". */
function testBoth(
  name: string,
  fn: (dir: TempDir, call: Call) => Promise<void>,
  reason: Reason = false,
): void {
  for (const [suffix, call] of CALLS) {
    test(
      name.replaceAll(/\{(\w+)\}/g, `MmapFile.$1${suffix}()`),
      (dir) => fn(dir, call),
      reason,
    );
  }
}

/** A reader with a result for each call: a number of bytes of the pattern, an error, or the end. */
function reader(...steps: (number | Error)[]): BothReader & { given: number } {
  const self = {
    given: 0,
    readSync(p: Uint8Array): number | null {
      const step = steps.shift();
      if (step === undefined) return null;
      if (step instanceof Error) throw step;
      for (let i = 0; i < step; i++) p[i] = patternAt(self.given + i);
      // A reader may use the whole array as scratch space.
      p.fill(0xee, step);
      self.given += step;
      return step;
    },
    read: (p: Uint8Array) =>
      new Promise<number | null>((resolve) => resolve(self.readSync(p))),
  };
  return self;
}

/** A writer that takes a number of bytes in each call, then all of them, and records them. */
function writer(...steps: (number | Error)[]) {
  const self = {
    calls: [] as Uint8Array[],
    taken: [] as number[],
    writeSync(p: Uint8Array): number {
      self.calls.push(p);
      const step = steps.shift() ?? p.length;
      if (step instanceof Error) throw step;
      self.taken.push(...p.subarray(0, step));
      return step;
    },
    write: (p: Uint8Array) =>
      new Promise<number>((resolve) => resolve(self.writeSync(p))),
  };
  return self;
}

function cursorOf(file: MmapFile | Deno.FsFile): number {
  return file.seekSync(0, Current);
}

function contentsOf(file: MmapFile): string {
  return Deno.readTextFileSync(file.name);
}

// --- readFrom

testBoth(
  "{readFrom} writes at the cursor what a reader returns, and moves it",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 100);
    file.seekSync(10, Start);
    const source = reader(5, 7, 1);
    assertEquals(await call.readFrom(file, source), 13);
    assertEquals(cursorOf(file), 23);
    assertEquals(file.bytes(10, 13), pattern(13));
    assertEquals(file.bytes(0, 10), new Uint8Array(10));
    // A reader's scratch space must not reach the file.
    assertEquals(file.bytes(23), new Uint8Array(77));
  },
);

testBoth(
  "{readFrom} returns 0 for an empty source",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 10);
    assertEquals(await call.readFrom(file, reader()), 0);
    using empty = openSync(dir.file(""));
    assertEquals(await call.readFrom(file, empty), 0);
    assertEquals(cursorOf(file), 0);
  },
);

testBoth(
  "{readFrom} writes what fits, and reports how much in total",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 30);
    file.seekSync(10, Start);
    const error = await assertRejects(
      () => call.readFrom(file, reader(8, 8, 8)),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 20);
    assertEquals(cursorOf(file), 30);
    assertEquals(file.bytes(10), pattern(20));
  },
);

testBoth(
  "{readFrom} accepts a source that fills the file to its end",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 16);
    assertEquals(await call.readFrom(file, reader(8, 8)), 16);
  },
);

testBoth(
  "{readFrom} passes the source's own error on, and the cursor shows how much was written",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 100);
    const broken = new Error("broken pipe");
    const outcome = await outcomeOf(() =>
      call.readFrom(file, reader(8, 3, broken))
    );
    assertEquals(outcome, { error: broken });
    assertEquals(Object.keys(broken), []);
    assertEquals(cursorOf(file), 11);
    assertEquals(file.bytes(0, 11), pattern(11));
  },
);

testBoth(
  "{readFrom} waits for a reader that sometimes returns 0 bytes, but not forever",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 100);
    assertEquals(await call.readFrom(file, reader(0, 3, 0, 0, 4)), 7);
    const never = { readSync: () => 0, read: () => Promise.resolve(0) };
    await assertRejects(
      () => call.readFrom(file, never),
      Error,
      "0 bytes 100 times",
    );
  },
);

testBoth(
  "{readFrom} reads nothing when the file cannot be written",
  async (dir, call) => {
    const source = reader(5);
    using readOnly = openSync(dir.file("x"));
    await assertRejects(() => call.readFrom(readOnly, source), ReadOnlyError);
    const closed = createSync(dir.join("new"), 5);
    closed.close();
    await assertRejects(() => call.readFrom(closed, source), ClosedError);
    assertEquals(source.given, 0);
  },
);

testBoth(
  "{readFrom} extends a growing file, and appends to an appending one",
  async (dir, call) => {
    for (
      const options of [{ read: true, write: true, grow: true }, {
        read: true,
        append: true,
      }]
    ) {
      using file = openSync(dir.file(""), options);
      assertEquals(await call.readFrom(file, reader(40_000, 30_000)), 70_000);
      assertEquals(Deno.readFileSync(file.name), pattern(70_000));
      assertEquals(cursorOf(file), 70_000);
    }
  },
);

testBoth(
  "{readFrom} takes a Deno.FsFile from its cursor on",
  async (dir, call) => {
    using source = Deno.openSync(dir.file(3 * MIB + 1));
    source.seekSync(1, Start);
    using file = createSync(dir.join("new"), 3 * MIB);
    assertEquals(await call.readFrom(file, source), 3 * MIB);
    assert(equal(file.bytes(), pattern(3 * MIB + 1).subarray(1)));
  },
);

testBoth(
  "{readFrom} takes another MmapFile from its cursor on, and moves both cursors",
  async (dir, call) => {
    using source = openSync(dir.file(20 * MIB));
    source.seekSync(1000, Start);
    using file = createSync(dir.join("new"), 20 * MIB);
    const length = 20 * MIB - 1000;
    assertEquals(await call.readFrom(file, source), length);
    assertEquals([cursorOf(source), cursorOf(file)], [20 * MIB, length]);
    assert(equal(file.bytes(0, length), source.bytes(1000)));
    source.seekSync(30 * MIB, Start);
    assertEquals(await call.readFrom(file, source), 0);
  },
);

testBoth(
  "{readFrom} leaves another MmapFile's cursor after the bytes that fitted",
  async (dir, call) => {
    using source = openSync(dir.file("0123456789"));
    source.seekSync(2, Start);
    using file = createSync(dir.join("new"), 5);
    const error = await assertRejects(
      () => call.readFrom(file, source),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 5);
    assertEquals(cursorOf(source), 7);
    assertEquals(contentsOf(file), "23456");
  },
);

testBoth("{readFrom} appends a file to itself", async (dir, call) => {
  using file = openSync(dir.file(3 * MIB), { read: true, append: true });
  assertEquals(await call.readFrom(file, file), 3 * MIB);
  assertEquals(file.size, 6 * MIB);
  assert(equal(file.bytes(3 * MIB), pattern(3 * MIB)));
});

testBoth(
  "{readFrom} reports that its source is not open for reading",
  async (dir, call) => {
    using source = openSync(dir.file("x"), { write: true });
    using file = createSync(dir.join("new"), 5);
    await assertRejects(
      () => call.readFrom(file, source),
      Error,
      "not opened for reading",
    );
  },
);

testBoth(
  "{readFrom} reports that another process truncated the source",
  async (dir, call) => {
    const path = dir.file(64 * KIB);
    using source = openSync(path);
    using file = createSync(dir.join("new"), 64 * KIB);
    if (!source.guarded) return;
    Deno.truncateSync(path, 5);
    await assertRejects(() => call.readFrom(file, source), TruncatedError);
  },
);

test("MmapFile.readFrom() takes streams, chunk by chunk", async (dir) => {
  using file = createSync(dir.join("new"), 3 * MIB);
  const content = pattern(3 * MIB);
  assertEquals(await file.readFrom(new Blob([content]).stream()), 3 * MIB);
  assert(equal(file.bytes(), content));
  assertEquals(cursorOf(file), 3 * MIB);
});

test("MmapFile.readFrom() takes the body of a fetch", async (dir) => {
  const content = pattern(300_000);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(content),
  );
  using file = createSync(dir.join("new"), 300_000);
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  assertEquals(await file.readFrom(response.body!), 300_000);
  assert(equal(file.bytes(), content));
});

test("MmapFile.readFrom() and writeTo() take a child process's stdout and stdin", async (dir) => {
  using input = openSync(dir.file(2 * MIB));
  using output = createSync(dir.join("new"), 2 * MIB);
  const [command, args] = commandOf([
    "eval",
    "await Deno.stdin.readable.pipeTo(Deno.stdout.writable)",
  ]);
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const [written, read] = await Promise.all([
    input.writeTo(child.stdin).finally(() => child.stdin.close()),
    output.readFrom(child.stdout),
  ]);
  assertEquals([written, read], [2 * MIB, 2 * MIB]);
  assert(equal(output.bytes(), input.bytes()));
  assert((await child.status).success);
});

test("MmapFile.readFrom() cancels a stream that does not fit", async (dir) => {
  using file = createSync(dir.join("new"), 10);
  let reason: unknown;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(pattern(4)),
    cancel: (given) => {
      reason = given ?? "canceled";
    },
  });
  const error = await assertRejects(
    () => file.readFrom(stream),
    OutOfBoundsError,
  );
  assertEquals(error.bytesWritten, 10);
  assert(reason !== undefined);
  assertEquals(stream.locked, false);
});

test("MmapFile.readFrom() passes the error of a stream on", async (dir) => {
  using file = createSync(dir.join("new"), 10);
  const broken = new Error("broken");
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(pattern(4));
    },
    pull(controller) {
      controller.error(broken);
    },
  });
  assertEquals(await outcomeOf(() => file.readFrom(stream)), { error: broken });
});

test("MmapFile.readFrom() doubles a file from views of itself", async (dir) => {
  using file = openSync(dir.file(700_000), { read: true, append: true });
  assertEquals(
    await file.readFrom(toReadableStream(file, { zeroCopy: true })),
    700_000,
  );
  assertEquals(file.size, 1_400_000);
  assert(equal(file.bytes(700_000), pattern(700_000)));
});

test("MmapFile.readFrom() lets the event loop run", async (dir) => {
  using source = openSync(dir.sparseFile(200 * MIB));
  using file = openSync(dir.join("new"), {
    write: true,
    create: true,
    size: 200 * MIB,
    sparse: true,
  });
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await file.readFrom({ read: (p) => source.read(p) });
  clearInterval(timer);
  assert(turns > 3, `${turns} turns`);
});

// --- writeTo

testBoth(
  "{writeTo} passes the whole file in one call, without a copy, and leaves the cursor",
  async (dir, call) => {
    using file = openSync(dir.file(1000));
    file.seekSync(5, Start);
    const target = writer();
    assertEquals(await call.writeTo(file, target), 1000);
    assertEquals(target.calls.length, 1);
    assertStrictEquals(target.calls[0]!.buffer, file.bytes().buffer);
    assertEquals(target.taken, [...pattern(1000)]);
    assertEquals(cursorOf(file), 5);
  },
);

testBoth(
  "{writeTo} passes again what a writer did not take",
  async (dir, call) => {
    using file = openSync(dir.file(100));
    const target = writer(1, 50, 48);
    assertEquals(await call.writeTo(file, target), 100);
    assertEquals(target.calls.map((p) => p.length), [100, 99, 49, 1]);
    assertEquals(target.taken, [...pattern(100)]);
  },
);

testBoth(
  "{writeTo} throws for a writer that takes nothing, or more than there is",
  async (dir, call) => {
    using file = openSync(dir.file(100));
    for (const step of [0, -1, NaN, 101]) {
      await assertRejects(
        () => call.writeTo(file, writer(step)),
        Deno.errors.WriteZero,
      );
    }
  },
);

testBoth(
  "{writeTo} does not call a writer for an empty file",
  async (dir, call) => {
    using file = openSync(dir.file(""));
    const target = writer();
    assertEquals(await call.writeTo(file, target), 0);
    assertEquals(target.calls, []);
  },
);

testBoth(
  "{writeTo} passes the writer's own error on unchanged",
  async (dir, call) => {
    using file = openSync(dir.file(100));
    const broken = new Error("broken pipe");
    const outcome = await outcomeOf(() =>
      call.writeTo(file, writer(10, broken))
    );
    assertEquals(outcome, { error: broken });
    assertEquals(Object.keys(broken), []);
  },
);

testBoth("{writeTo} writes to a Deno.FsFile", async (dir, call) => {
  using file = openSync(dir.file(5 * MIB));
  using target = Deno.openSync(dir.join("copy"), { write: true, create: true });
  assertEquals(await call.writeTo(file, target), 5 * MIB);
  assert(equal(Deno.readFileSync(dir.join("copy")), file.bytes()));
});

testBoth(
  "{writeTo} writes to another MmapFile, which may be too small",
  async (dir, call) => {
    using file = openSync(dir.file(5 * MIB));
    using target = createSync(dir.join("copy"), 5 * MIB);
    assertEquals(await call.writeTo(file, target), 5 * MIB);
    assert(equal(target.bytes(), file.bytes()));
    target.seekSync(3 * MIB, Start);
    const error = await assertRejects(
      () => call.writeTo(file, target),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 2 * MIB);
  },
);

testBoth(
  "{writeTo} writes a file after its own end, and over itself",
  async (dir, call) => {
    const content = pattern(20 * MIB);
    using file = openSync(dir.file(content), {
      read: true,
      write: true,
      grow: true,
    });
    file.seekSync(5, Start);
    assertEquals(await call.writeTo(file, file), 20 * MIB);
    assertEquals(file.size, 20 * MIB + 5);
    assert(equal(file.bytes(5), content));
    assertEquals(file.bytes(0, 5), content.subarray(0, 5));
  },
);

testBoth(
  "{writeTo} reports that the file is closed or not open for reading",
  async (dir, call) => {
    using file = openSync(dir.file("x"), { write: true });
    await assertRejects(
      () => call.writeTo(file, writer()),
      Error,
      "not opened for reading",
    );
    const closed = openSync(dir.file("x", "closed"));
    closed.close();
    await assertRejects(() => call.writeTo(closed, writer()), ClosedError);
  },
);

testBoth(
  "{writeTo} reports that the file was truncated, whatever the writer throws",
  async (dir, call) => {
    const path = dir.file(MIB);
    using file = openSync(path);
    if (!file.guarded) return;
    using target = Deno.openSync(dir.join("copy"), {
      write: true,
      create: true,
    });
    Deno.truncateSync(path, 8 * KIB);
    // The kernel takes the existing pages, then returns EFAULT.
    const error = await assertRejects(
      () => call.writeTo(file, target),
      TruncatedError,
    );
    assert("bytesWritten" in error && Number(error.bytesWritten) <= 8 * KIB);
  },
);

testBoth(
  "{writeTo} reports that the file was truncated while the writer read it",
  async (dir, call) => {
    const path = dir.file(MIB);
    using file = openSync(path);
    if (!file.guarded) return;
    const truncating = (p: Uint8Array) => {
      Deno.truncateSync(path, 10);
      p.lastIndexOf(1);
      return p.length;
    };
    await assertRejects(
      () =>
        call.writeTo(file, {
          writeSync: truncating,
          write: (p) => Promise.resolve(truncating(p)),
        }),
      TruncatedError,
    );
  },
);

testBoth(
  "{writeTo} reports that the file was closed during the call",
  async (dir, call) => {
    const file = openSync(dir.file(100));
    const close = () => {
      file.close();
      return 10;
    };
    await assertRejects(
      () =>
        call.writeTo(file, {
          writeSync: close,
          write: () => Promise.resolve(close()),
        }),
      ClosedError,
    );
    await assertNothingIsOpen(dir);
  },
);

test("MmapFile.writeTo() passes copies to a stream, and leaves it open and unlocked", async (dir) => {
  using file = openSync(dir.file(600 * KIB));
  const chunks: Uint8Array[] = [];
  const stream = new WritableStream<Uint8Array>({
    write: (chunk) => void chunks.push(chunk),
    close: () => void chunks.push(encode("closed")),
  });
  assertEquals(await file.writeTo(stream), 600 * KIB);
  assertEquals(chunks.map((chunk) => chunk.length), [
    256 * KIB,
    256 * KIB,
    88 * KIB,
  ]);
  assert(chunks.every((chunk) => chunk.buffer !== file.bytes().buffer));
  assertEquals(stream.locked, false);
  assertEquals(await file.writeTo(stream), 600 * KIB);
  await stream.close();
  assertEquals(decode(chunks.at(-1)!), "closed");
});

test("MmapFile.writeTo() passes a stream's error on, unlocks it and does not abort it", async (dir) => {
  using file = openSync(dir.file(600 * KIB));
  const broken = new Error("broken");
  let calls = 0;
  const stream = new WritableStream<Uint8Array>({
    write() {
      if (++calls === 2) throw broken;
    },
  });
  assertEquals(await outcomeOf(() => file.writeTo(stream)), { error: broken });
  assertEquals(stream.locked, false);
  const locked = new WritableStream<Uint8Array>();
  locked.getWriter();
  await assertRejects(() => file.writeTo(locked), TypeError);
});

test("MmapFile.writeTo() does not pass the zeros of a truncated file to a stream", async (dir) => {
  const path = dir.file(MIB);
  using file = openSync(path);
  if (!file.guarded) return;
  const chunks: Uint8Array[] = [];
  const stream = new WritableStream<Uint8Array>({
    write(chunk) {
      chunks.push(chunk);
      Deno.truncateSync(path, 4096);
    },
  });
  const error = await assertRejects(() => file.writeTo(stream), TruncatedError);
  assertEquals(chunks, [pattern(MIB).slice(0, 256 * KIB)]);
  assert("bytesWritten" in error && error.bytesWritten === 256 * KIB);
  await stream.abort();
});

test("MmapFile.writeTo() a stream stops when the file is closed", async (dir) => {
  const file = openSync(dir.file(MIB));
  const stream = new WritableStream<Uint8Array>({ write: () => file.close() });
  await assertRejects(() => file.writeTo(stream), ClosedError);
  assertEquals(stream.locked, false);
});

test("MmapFile.writeTo() sends a file through a TCP connection", async (dir) => {
  using file = openSync(dir.file(3 * MIB));
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const received = (async () => {
    const connection = await listener.accept();
    return await new Response(connection.readable).bytes();
  })();
  using connection = await Deno.connect({
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  assertEquals(await file.writeTo(connection), 3 * MIB);
  await connection.closeWrite();
  assert(equal(await received, file.bytes()));
});

// --- writeString

testBoth(
  "{writeString} writes UTF-8 at the cursor and moves it",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 40);
    assertEquals(await call.writeString(file, "naïve "), 7);
    assertEquals(await call.writeString(file, ""), 0);
    assertEquals(await call.writeString(file, "€😀"), 7);
    assertEquals(cursorOf(file), 14);
    assertEquals(decode(file.bytes(0, 14)), "naïve €😀");
    assertEquals(file.bytes(14), new Uint8Array(26));
  },
);

testBoth(
  "{writeString} fills a file of fixed size to its last byte",
  async (dir, call) => {
    using file = createSync(dir.join("new"), 10);
    assertEquals(await call.writeString(file, "0123456789"), 10);
    file.seekSync(4, Start);
    assertEquals(await call.writeString(file, "é€x"), 6);
    assertEquals(contentsOf(file), "0123é€x");
  },
);

testBoth(
  "{writeString} does not split a character at the end, and reports what fitted",
  async (dir, call) => {
    for (
      const [text, room, fits] of [
        ["abcdef", 3, "abc"],
        ["aé", 2, "a"],
        ["€", 2, ""],
        ["a€b", 3, "a"],
        ["😀", 3, ""],
        ["ab😀", 5, "ab"],
        ["é".repeat(100), 33, "é".repeat(16)],
        ["x", 0, ""],
      ] as const
    ) {
      const before = pattern(room);
      const options = { read: true, write: true, grow: false };
      using file = openSync(dir.file(before), options);
      const error = await assertRejects(
        () => call.writeString(file, text),
        OutOfBoundsError,
      );
      const { length } = encode(fits);
      assertEquals(error.bytesWritten, length);
      assertEquals(cursorOf(file), length);
      const after = Deno.readFileSync(file.name);
      assertEquals(decode(after.subarray(0, length)), fits);
      assertEquals(after.subarray(length), before.subarray(length));
    }
  },
);

testBoth(
  "{writeString} writes past the end as write does",
  async (dir, call) => {
    using fixed = createSync(dir.join("fixed"), 4);
    fixed.seekSync(10, Start);
    const error = await assertRejects(
      () => call.writeString(fixed, "x"),
      OutOfBoundsError,
    );
    assertEquals(error.bytesWritten, 0);
    assertEquals(cursorOf(fixed), 10);

    using growing = openSync(dir.file("ab"), {
      read: true,
      write: true,
      grow: true,
    });
    growing.seekSync(1, Start);
    assertEquals(await call.writeString(growing, "€uro"), 6);
    assertEquals(contentsOf(growing), "a€uro");

    using log = openSync(dir.file("one\n", "log"), { append: true });
    assertEquals(await call.writeString(log, "two é\n"), 7);
    assertEquals(contentsOf(log), "one\ntwo é\n");
  },
);

testBoth(
  "{writeString} overwrites after the file's own truncate()",
  async (dir, call) => {
    using file = openSync(dir.file("ab"), { read: true, write: true });
    file.truncateSync(5000);
    file.seekSync(4990, Start);
    assertEquals(await call.writeString(file, "0123456789"), 10);
    assertEquals(decode(file.bytes(4990)), "0123456789");
  },
);

testBoth(
  "{writeString} refuses files that cannot be written, and arguments that are not strings",
  async (dir, call) => {
    using readOnly = openSync(dir.file("x"));
    await assertRejects(() => call.writeString(readOnly, ""), ReadOnlyError);
    const closed = createSync(dir.join("new"), 5);
    closed.close();
    await assertRejects(() => call.writeString(closed, ""), ClosedError);
    using file = createSync(dir.join("new"), 5);
    for (const value of [1, encode("x"), {}]) {
      await assertRejects(
        // As JavaScript may call it.
        () => call.writeString(file, value as string),
        TypeError,
      );
    }
    assertEquals(contentsOf(file), "\0\0\0\0\0");
  },
);

testBoth(
  "{writeString} reports that another process truncated a file of fixed size, and extends a growing one as Deno.FsFile does",
  async (dir, call) => {
    const path = dir.file(64 * KIB);
    for (const text of ["short", "long ".repeat(100)]) {
      for (const grow of [true, false]) {
        Deno.truncateSync(path, 64 * KIB);
        const options = { read: true, write: true, grow };
        using file = openSync(path, mappedAfter(0, options));
        file.seekSync(60 * KIB, Start);
        if (!file.guarded) continue;
        Deno.truncateSync(path, 5);
        if (!grow) {
          await assertRejects(
            () => call.writeString(file, text),
            TruncatedError,
          );
          assertEquals(Deno.statSync(path).size, 5);
          assertThrows(() => file.bytes(), TruncatedError);
          continue;
        }
        assertEquals(await call.writeString(file, text), text.length);
        const other = dir.file(5, "denos");
        using denos = Deno.openSync(other, { write: true });
        denos.seekSync(60 * KIB, Start);
        assertEquals(denos.writeSync(encode(text)), text.length);
        const expected = Deno.readFileSync(other).subarray(5);
        assert(equal(Deno.readFileSync(path).subarray(5), expected));
        assertThrows(() => file.bytes(), TruncatedError);
        file.refresh();
        assertEquals(file.size, 60 * KIB + text.length);
      }
    }
  },
);

testBoth(
  "{writeString} reports that the memory was detached",
  async (dir, call) => {
    dir.leavesMapped = true;
    for (const text of ["short", "long ".repeat(100)]) {
      using file = createSync(dir.join(`${text.length}`), 64 * KIB);
      const kept = file.bytes().buffer.transfer();
      assertEquals(kept.byteLength, 64 * KIB);
      await assertRejects(
        () => call.writeString(file, text),
        TypeError,
        "detached",
      );
    }
  },
  NOT_TRANSFERABLE || MAY_LOSE,
);

testBoth(
  "{writeString} writes what TextEncoder encodes, of any string and in any room",
  async (dir, call) => {
    const unit = fc.integer({ min: 0, max: 0xffff }).map((code) =>
      String.fromCharCode(code)
    );
    const string = fc.array(
      fc.oneof(unit, fc.constantFrom("a", "é", "€", "😀", "\ud83d")),
      { maxLength: 40 },
    )
      .map((units) => units.join(""));
    using file = createSync(dir.join("new"), 64);
    await fc.assert(
      fc.asyncProperty(string, fc.nat(70), async (text, position) => {
        const before = pattern(64);
        file.writeAtSync(before, 0);
        file.seekSync(position, Start);
        const outcome = await outcomeOf(() => call.writeString(file, text));
        const room = Math.max(0, 64 - position);
        const target = new Uint8Array(room);
        const { read, written } = new TextEncoder().encodeInto(text, target);
        if (read < text.length) {
          assert("error" in outcome);
          assertInstanceOf(outcome.error, OutOfBoundsError);
          assertEquals(outcome.error.bytesWritten, written);
        } else assertEquals(outcome, { value: written });
        assertEquals(cursorOf(file), position + written);
        const expected = before.slice();
        expected.set(target.subarray(0, written), Math.min(position, 64));
        assertEquals(file.bytes().slice(), expected);
      }),
      { numRuns: 300 },
    );
  },
);

test("MmapFile.writeString() writes long strings in pieces, without splitting a character", async (dir) => {
  const text = ("a" + "😀€é".repeat(1000)).repeat(1000);
  const { length } = encode(text);
  using file = createSync(dir.join("new"), length + 3);
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  assertEquals(await file.writeString(text), length);
  clearInterval(timer);
  assert(turns > 0);
  assert(equal(file.bytes(0, length), encode(text)));
  file.seekSync(length - MIB, Start);
  const error = await assertRejects(
    () => file.writeString(text),
    OutOfBoundsError,
  );
  assert(error.bytesWritten > MIB - 4 && error.bytesWritten <= MIB + 3);
  assertEquals(cursorOf(file), length - MIB + error.bytesWritten);
});

test("MmapFile.writeString() waits for the large write before it", async (dir) => {
  using file = createSync(dir.join("new"), 20 * MIB + 3);
  const large = file.write(new Uint8Array(20 * MIB));
  const small = file.writeString("end");
  assertEquals(await Promise.all([large, small]), [20 * MIB, 3]);
  assertEquals(decode(file.bytes(20 * MIB)), "end");
});

test("a writer's view of the file is empty after close()", async (dir) => {
  const file = openSync(dir.file(100));
  const target = writer();
  await file.writeTo(target);
  file.close();
  assertEquals(target.calls[0]!.length, 0);
  assertThrows(() => file.writeToSync(target), ClosedError);
});
