import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  ClosedError,
  createSync,
  type MmapFile,
  openSync,
  OutOfBoundsError,
  ReadOnlyError,
  toReadableStream,
  type ToReadableStreamOptions,
  toWritableStream,
  type ToWritableStreamOptions,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { isCopy, isTruncatable, NOT_TRANSFERABLE } from "./tested_module.ts";
import { notInDeno28, type Reason } from "./skip.ts";
import { mappedAfter } from "./mapped_after.ts";
import { decode, encode, equal, pattern } from "./bytes.ts";
import { assertNothingIsOpen } from "./open_handles.ts";
import { outcomeOf } from "./outcome.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const { Start, Current } = Deno.SeekMode;
const KIB = 1 << 10;
const MIB = 1 << 20;
const CHUNK = 256 * KIB;
const CLOSED = "The stream's underlying resource was closed or consumed";

/** The readable streams of a file whose cursor is at its start. All but the last close it. */
const READABLES: [
  string,
  (file: MmapFile, options?: ToReadableStreamOptions) => ReadableStream<
    Uint8Array<ArrayBuffer>
  >,
][] = [
  ["readable", (file) => file.readable],
  [
    "toReadableStream()",
    (file, options) => toReadableStream(file, { autoClose: true, ...options }),
  ],
  [
    "toReadableStream() with zeroCopy",
    (file, options) => toReadableStream(file, { zeroCopy: true, ...options }),
  ],
];

/** A test of every readable stream. "{stream}" in the name becomes "MmapFile.readable". */
function testReadables(
  name: string,
  fn: (dir: TempDir, streamOf: (typeof READABLES)[number][1]) => Promise<void>,
): void {
  for (const [stream, streamOf] of READABLES) {
    test(name.replace("{stream}", stream), (dir) => fn(dir, streamOf));
  }
}

async function drain(
  stream: ReadableStream<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  // A copy of each chunk, since the views of a file become empty when it is closed.
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of stream) chunks.push(chunk.slice());
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

function cursorOf(file: MmapFile | Deno.FsFile): number {
  return file.seekSync(0, Current);
}

/** Both kinds of file, to compare MmapFile with Deno.FsFile. */
const OPENERS: [
  string,
  (path: string, options?: Deno.OpenOptions) => MmapFile | Deno.FsFile,
][] = [["Deno.FsFile", Deno.openSync], ["MmapFile", openSync]];

function testBoth(
  name: string,
  fn: (dir: TempDir, open: (typeof OPENERS)[number][1]) => Promise<void>,
  notOfDeno: Reason = false,
): void {
  for (const [kind, open] of OPENERS) {
    const reason = kind === "Deno.FsFile" && notOfDeno;
    test(name.replace("{file}", kind), (dir) => fn(dir, open), reason);
  }
}

// --- readable, as Deno.FsFile's

testBoth(
  "{file}.readable begins at the cursor, moves it and closes the file at the end",
  async (dir, open) => {
    const file = open(dir.file(1000));
    file.seekSync(10, Start);
    const reader = file.readable.getReader();
    const { value } = await reader.read();
    assertEquals(value, pattern(1000).subarray(10));
    assertEquals(cursorOf(file), 1000);
    const end = await reader.read();
    assertEquals<unknown>(end, { value: undefined, done: true });
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
    await assertNothingIsOpen(dir);
  },
);

testBoth(
  "{file}.readable is one and the same stream each time",
  async (dir, open) => {
    const file = open(dir.file("x"));
    assertStrictEquals(file.readable, file.readable);
    assertStrictEquals(file.writable, file.writable);
    await file.readable.cancel();
  },
);

testBoth("{file}.readable reads nothing ahead of demand", async (dir, open) => {
  using file = open(dir.file(8 * MIB));
  const reader = file.readable.getReader();
  await sleep(5);
  assertEquals(cursorOf(file), 0);
  const { value } = await reader.read();
  await sleep(5);
  assertEquals(cursorOf(file), value!.length);
});

testBoth(
  "{file}.readable yields chunks in separate buffers, which can be transferred",
  async (dir, open) => {
    const file = open(dir.file(3 * MIB));
    const parts: ArrayBuffer[] = [];
    for await (const { buffer, byteOffset, byteLength } of file.readable) {
      assertEquals(byteOffset, 0);
      parts.push(
        structuredClone(buffer, { transfer: [buffer] }).slice(0, byteLength),
      );
    }
    const all = new Uint8Array(await new Blob(parts).arrayBuffer());
    assert(equal(all, pattern(3 * MIB)));
  },
);

const VIEWS: (new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => ArrayBufferView<ArrayBuffer>)[] = [
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
];

testBoth(
  "{file}.readable fills the view of a BYOB reader, of any kind",
  async (dir, open) => {
    for (const View of VIEWS) {
      using file = open(dir.file(1000));
      const reader = file.readable.getReader({ mode: "byob" });
      const given = new View(new ArrayBuffer(64), 16, 3);
      const { byteLength } = given;
      const { value, done } = await reader.read(given);
      assertEquals(done, false);
      assertStrictEquals(value!.constructor, View);
      assertEquals([value!.byteOffset, value!.byteLength], [16, byteLength]);
      assertEquals(
        new Uint8Array(value!.buffer, 16, byteLength),
        pattern(byteLength),
      );
      assertEquals(given.buffer.detached, true);
      assertEquals(cursorOf(file), byteLength);
    }
  },
);

testBoth(
  "{file}.readable fills a BYOB view of megabytes, and returns it empty at the end",
  async (dir, open) => {
    const file = open(dir.file(3 * MIB));
    const reader = file.readable.getReader({ mode: "byob" });
    const first = await reader.read(new Uint8Array(5 * MIB));
    assert(equal(first.value!, pattern(3 * MIB)));
    const last = await reader.read(new Uint8Array(10));
    assertEquals(last.done, true);
    assertEquals(last.value!.length, 0);
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
  },
);

testBoth(
  "{file}.readable honors the minimum of a BYOB reader",
  async (dir, open) => {
    using file = open(dir.file(100 * KIB));
    const reader = file.readable.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(90_000), {
      min: 80_000,
    });
    assertEquals(value!.length, 90_000);
  },
);

testBoth(
  "{file}.readable fails when it ends within an element of a BYOB view",
  async (dir, open) => {
    const file = open(dir.file(3));
    const reader = file.readable.getReader({ mode: "byob" });
    assertEquals((await reader.read(new Uint16Array(8))).value!.length, 1);
    await assertRejects(
      () => reader.read(new Uint16Array(8)),
      TypeError,
      "Insufficient bytes",
    );
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
  },
);

testBoth(
  "{file}.readable closes the file when it is canceled",
  async (dir, open) => {
    const file = open(dir.file("hello"));
    await file.readable.cancel("enough");
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
    await assertNothingIsOpen(dir);
  },
);

testBoth(
  "{file}.readable closes the file when a loop over it is left",
  async (dir, open) => {
    const file = open(dir.file(MIB));
    for await (const chunk of file.readable) {
      assert(chunk.length > 0);
      break;
    }
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
  },
);

testBoth(
  "{file}.readable of a file that was closed says so, and can be canceled",
  async (dir, open) => {
    const file = open(dir.file("hello"));
    const { readable } = file;
    file.close();
    await assertRejects(
      () => readable.getReader().read(),
      Deno.errors.BadResource,
      CLOSED,
    );
    const other = open(dir.file("hello"));
    other.close();
    await other.readable.cancel();
  },
  notInDeno28("Deno.FsFile says 'Bad resource ID'"),
);

testBoth(
  "{file}.readable of a file not open for reading fails and closes it",
  async (dir, open) => {
    const file = open(dir.file("hello"), { write: true });
    await assertRejects(
      () => file.readable.getReader().read(),
      Error,
      "os error 9",
    )
      .catch(() => undefined);
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
  },
);

testBoth(
  "{file}.readable of an empty file, and at the end of one, ends at once",
  async (dir, open) => {
    assertEquals((await drain(open(dir.file("")).readable)).length, 0);
    const file = open(dir.file("hello"));
    file.seekSync(100, Start);
    assertEquals((await drain(file.readable)).length, 0);
  },
);

test("MmapFile.readable reads what is written to a growing file during the read", async (dir) => {
  const file = openSync(dir.file("one "), {
    read: true,
    write: true,
    grow: true,
  });
  const reader = file.readable.getReader();
  assertEquals(decode((await reader.read()).value!), "one ");
  file.writeAtSync(encode("two"), 4);
  assertEquals(decode((await reader.read()).value!), "two");
  assertEquals((await reader.read()).done, true);
});

test("the readable of a closed file names the file", async (dir) => {
  const file = openSync(dir.file("hello", "named.txt"));
  file.close();
  const error = await assertRejects(
    () => file.readable.getReader().read(),
    Deno.errors.BadResource,
    CLOSED,
  );
  assertStringIncludes(error.message, "named.txt");
  const other = openSync(dir.file("hello", "other.txt"), { write: true });
  other.close();
  const writer = other.writable.getWriter();
  const refused = await assertRejects(
    () => writer.write(encode("x")),
    Deno.errors.BadResource,
    CLOSED,
  );
  assertStringIncludes(refused.message, "other.txt");
});

// --- all readable streams

testReadables("{stream} yields the whole file", async (dir, streamOf) => {
  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * MIB + 7]) {
    const file = openSync(dir.file(size));
    assert(equal(await drain(streamOf(file)), pattern(size)));
    file[Symbol.dispose]();
  }
  await assertNothingIsOpen(dir);
});

testReadables(
  "{stream} yields chunks of 256 KiB by default",
  async (dir, streamOf) => {
    using file = openSync(dir.file(CHUNK * 2 + 5));
    const sizes: number[] = [];
    for await (const chunk of streamOf(file)) {
      assertStrictEquals(chunk.constructor, Uint8Array);
      sizes.push(chunk.length);
    }
    assertEquals(sizes, [CHUNK, CHUNK, 5]);
  },
);

testReadables(
  "{stream} fails when the file is closed, saying so",
  async (dir, streamOf) => {
    const file = openSync(dir.file(CHUNK * 3, "named.txt"));
    const reader = streamOf(file).getReader();
    await reader.read();
    file.close();
    const error = await assertRejects(
      () => reader.read(),
      Deno.errors.BadResource,
      CLOSED,
    );
    assertStringIncludes(error.message, "named.txt");
  },
);

testReadables(
  "{stream} fails with TruncatedError when another process truncates the file, and readable ends as that of Deno.FsFile",
  async (dir, streamOf) => {
    const path = dir.file(CHUNK * 8);
    for (const end of [10, CHUNK * 2 + 5]) {
      for (const calls of [0, Infinity]) {
        Deno.writeFileSync(path, pattern(CHUNK * 8));
        using file = openSync(path, mappedAfter(calls, { read: true }));
        if (!file.guarded) return;
        const reader = streamOf(file).getReader();
        const first = await reader.read();
        assertEquals(first.value!.length, CHUNK);
        Deno.truncateSync(path, end);
        const rest = async () => {
          let length = 0;
          for (;;) {
            const { value, done } = await reader.read();
            if (done) return length;
            // Views fault when they are read; copies have been read.
            value.indexOf(0);
            length += value.length;
          }
        };
        if (streamOf === READABLES[0]![1]) {
          assertEquals(await rest(), Math.max(0, end - CHUNK));
          assertEquals(file.closed, true);
        } else await assertRejects(rest, TruncatedError);
      }
    }
  },
);

testReadables("{stream} lets timers run", async (dir, streamOf) => {
  const size = 512 * MIB;
  using file = openSync(dir.sparseFile(size));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  let total = 0;
  for await (const chunk of streamOf(file, { chunkSize: 64 * KIB })) {
    total += chunk.length;
    // Work of the consumer, so that a stream of views does not end at once.
    if (chunk.at(-1) !== 0) throw new Error("not zero");
  }
  clearInterval(timer);
  assertEquals(total, size);
  assert(ticks > 0);
});

testReadables(
  "{stream} can be piped through the platform's transforms",
  async (dir, streamOf) => {
    const text = "ünïcödé €😀\n".repeat(50_000);
    const path = dir.file(text);
    type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;
    const results = [
      async (stream: Bytes) =>
        (await Array.fromAsync(stream.pipeThrough(new TextDecoderStream())))
          .join(""),
      (stream: Bytes) =>
        new Response(
          stream.pipeThrough(new CompressionStream("gzip"))
            .pipeThrough(new DecompressionStream("gzip")),
        ).text(),
      (stream: Bytes) => new Response(stream).text(),
      async (stream: Bytes) => {
        const [one, other] = await Promise.all(
          stream.tee().map((branch) => new Response(branch).text()),
        );
        assertEquals(one, other);
        return one;
      },
    ];
    for (const result of results) {
      using file = openSync(path);
      assertEquals(await result(streamOf(file)), text);
    }
    await assertNothingIsOpen(dir);
  },
);

// --- toReadableStream

test("toReadableStream() leaves the cursor alone and the file open", async (dir) => {
  using file = openSync(dir.file(1000));
  file.seekSync(123, Start);
  assertEquals(await drain(toReadableStream(file)), pattern(1000));
  assertEquals(cursorOf(file), 123);
  await toReadableStream(file).cancel();
  assertEquals(file.closed, false);
});

test("toReadableStream() yields any range, in chunks of any size", async (dir) => {
  using file = openSync(dir.file(100));
  const whole = pattern(100);
  for (const zeroCopy of [false, true]) {
    for (
      const [offset, length, chunkSize] of [
        [0, 100, 7],
        [1, 99, 33],
        [99, 1, 1],
        [100, 0, 5],
        [0, 0, 5],
        [50, 50, 1000],
        [3, 60, 60],
      ]
    ) {
      const chunks = await Array.fromAsync(
        toReadableStream(
          file,
          { offset, length, chunkSize, zeroCopy } as ToReadableStreamOptions,
        ),
      );
      assertEquals(chunks.length, Math.ceil(length! / chunkSize!));
      assert(chunks.every((chunk) => chunk.length <= chunkSize!));
      assertEquals(
        chunks.flatMap((chunk) => [...chunk]),
        [...whole.subarray(offset, offset! + length!)],
      );
    }
    const rest = toReadableStream(file, { offset: 90, zeroCopy });
    assertEquals(await drain(rest), whole.slice(90));
  }
});

test("toReadableStream() yields the range of a window", async (dir) => {
  using file = openSync(dir.file(10_000), { offset: 5001, length: 1000 });
  for (const zeroCopy of [false, true]) {
    const stream = toReadableStream(file, { offset: 9, length: 500, zeroCopy });
    assertEquals(await drain(stream), pattern(10_000).slice(5010, 5510));
  }
});

test("toReadableStream() refuses invalid ranges", (dir) => {
  using file = openSync(dir.file(100));
  for (
    const options of [
      { offset: -1 },
      { offset: 101 },
      { offset: 50, length: 51 },
      { length: -1 },
      { offset: 0.5 },
      { length: NaN },
      { offset: Infinity },
      { chunkSize: 0 },
      { chunkSize: -1 },
      { chunkSize: 1.5 },
      { chunkSize: NaN },
    ]
  ) {
    const error = assertThrows(
      () => toReadableStream(file, options),
      RangeError,
    );
    assertStringIncludes(error.message, file.name);
  }
  return Promise.resolve();
});

test("toReadableStream() refuses a file that is closed or not open for reading", (dir) => {
  const file = openSync(dir.file("x"));
  file.close();
  assertThrows(() => toReadableStream(file), Deno.errors.BadResource, CLOSED);
  using writeOnly = openSync(dir.file("x"), { write: true });
  for (const zeroCopy of [false, true]) {
    assertThrows(
      () => toReadableStream(writeOnly, { zeroCopy }),
      Error,
      "not opened for reading",
    );
  }
  return Promise.resolve();
});

test("several streams read one file at a time", async (dir) => {
  using file = openSync(dir.file(3 * MIB));
  const streams = Array.from({ length: 8 }, (_, i) =>
    toReadableStream(file, {
      offset: i * 1000,
      chunkSize: 1000 * (i + 1),
      zeroCopy: i % 2 === 0,
    }));
  const canceled = toReadableStream(file);
  const all = Promise.all(streams.map(drain));
  await canceled.cancel();
  for (const [i, bytes] of (await all).entries()) {
    assert(equal(bytes, pattern(3 * MIB).subarray(i * 1000)));
  }
  assertEquals(cursorOf(file), 0);
});

test("toReadableStream() fills BYOB views, and not past its range", async (dir) => {
  using file = openSync(dir.file(100));
  const reader = toReadableStream(file, { offset: 10, length: 50 })
    .getReader({ mode: "byob" });
  const first = await reader.read(new Uint8Array(30));
  assertEquals(first.value, pattern(100).slice(10, 40));
  const { value } = await reader.read(new Uint8Array(30));
  assertEquals(value, pattern(100).slice(40, 60));
  assertEquals((await reader.read(new Uint8Array(30))).done, true);
});

test("toReadableStream() fails when the file's own truncate() removes its range", async (dir) => {
  for (const zeroCopy of [false, true]) {
    using file = openSync(dir.file(100), { read: true, write: true });
    const reader = toReadableStream(file, { chunkSize: 10, zeroCopy })
      .getReader();
    await reader.read();
    file.truncateSync(15);
    await assertRejects(() => reader.read(), RangeError, file.name);
  }
});

test("toReadableStream() ends where the file ended when it was called", async (dir) => {
  using file = openSync(dir.file("old"), {
    read: true,
    write: true,
    grow: true,
  });
  for (const zeroCopy of [false, true]) {
    file.truncateSync(3);
    const stream = toReadableStream(file, { zeroCopy });
    file.writeAtSync(encode("new"), 3);
    assertEquals(decode(await drain(stream)), "old");
  }
});

test("toReadableStream() with autoClose closes the file at the end, on cancel and on error", async (dir) => {
  const options = { autoClose: true, chunkSize: 10 };
  const drained = openSync(dir.file(100));
  await drain(toReadableStream(drained, options));
  assertEquals(drained.closed, true);

  const canceled = openSync(dir.file(100));
  await toReadableStream(canceled, options).cancel();
  assertEquals(canceled.closed, true);

  const failed = openSync(dir.file(100), { read: true, write: true });
  const reader = toReadableStream(failed, options).getReader();
  failed.truncateSync(5);
  await assertRejects(() => reader.read(), RangeError);
  assertEquals(failed.closed, true);
  await assertNothingIsOpen(dir);
});

test("toReadableStream() refuses to close a file whose views it hands out", (dir) => {
  using file = openSync(dir.file(100));
  assertThrows(
    () => toReadableStream(file, { autoClose: true, zeroCopy: true }),
    TypeError,
    "'zeroCopy' and 'autoClose' cannot be combined",
  );
  return Promise.resolve();
});

test("toReadableStream() with autoClose serves files", async (dir) => {
  const path = dir.file(3 * MIB + 5);
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(toReadableStream(openSync(path), { autoClose: true })),
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  for (let i = 0; i < 5; i++) {
    assert(equal(await (await fetch(url)).bytes(), pattern(3 * MIB + 5)));
  }
  await assertNothingIsOpen(dir);
});

test("toReadableStream() takes a chunk of many megabytes", async (dir) => {
  using file = openSync(dir.file(20 * MIB));
  const chunks = await Array.fromAsync(
    toReadableStream(file, { chunkSize: 16 * MIB }),
  );
  assertEquals(chunks.map((chunk) => chunk.length), [16 * MIB, 4 * MIB]);
  assert(equal(chunks[0]!, pattern(20 * MIB).subarray(0, 16 * MIB)));
});

// --- zero copy

test("a zeroCopy stream yields the file's own memory, and nothing ahead of demand", async (dir) => {
  using file = createSync(dir.join("new"), 1000);
  const reader = toReadableStream(file, { chunkSize: 500, zeroCopy: true })
    .getReader();
  const { value } = await reader.read();
  assertStrictEquals(value!.buffer, file.bytes().buffer);
  value![3] = 42;
  assertEquals(Deno.readFileSync(file.name)[3], 42);
  file.writeAtSync(encode("later"), 500);
  assertEquals(decode((await reader.read()).value!.subarray(0, 5)), "later");
});

test("a zeroCopy stream refuses BYOB readers, which would detach the memory", (dir) => {
  using file = openSync(dir.file("x"));
  const stream = toReadableStream(file, { zeroCopy: true });
  assertThrows(() => stream.getReader({ mode: "byob" }), TypeError);
  return Promise.resolve();
});

test("the memory is intact after any use of zeroCopy streams", async (dir) => {
  const size = 2 * MIB;
  using file = openSync(dir.file(size));
  const view = file.bytes();
  const stream = () =>
    toReadableStream(file, { zeroCopy: true, chunkSize: 10_000 });
  await drain(stream());
  await stream().cancel("not wanted");
  await stream().pipeTo(new WritableStream());
  await assertRejects(() =>
    stream().pipeTo(
      new WritableStream({
        write() {
          throw new Error("no more");
        },
      }),
    )
  );
  await stream().pipeThrough(new CompressionStream("deflate"))
    .pipeTo(new WritableStream());
  await stream().pipeThrough(new TextDecoderStream())
    .pipeTo(new WritableStream());
  await stream().pipeThrough(new TransformStream())
    .pipeTo(new WritableStream());
  await Promise.all(stream().tee().map((branch) => branch.cancel()));
  await new Response(stream()).arrayBuffer();
  await crypto.subtle.digest("SHA-256", await new Response(stream()).bytes());
  using output = await Deno.create(dir.join("output"));
  await stream().pipeTo(output.writable);
  assert(equal(view, pattern(size)));
  assert(equal(file.bytes(), pattern(size)));
  assertEquals(Deno.statSync(dir.join("output")).size, size);
});

test("streams posted to a worker arrive, and leave the memory intact", async (dir) => {
  const size = 300_000;
  using file = openSync(dir.file(size));
  const code = `onmessage = async ({ data }) => {
    let sum = 0, count = 0;
    for await (const chunk of data) {
      count += chunk.length;
      for (const byte of chunk) sum += byte;
    }
    postMessage([count, sum]);
  };`;
  const url = URL.createObjectURL(
    new Blob([code], { type: "text/javascript" }),
  );
  let sum = 0;
  for (const byte of pattern(size)) sum += byte;
  for (const zeroCopy of [false, true]) {
    const worker = new Worker(url, { type: "module" });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => resolve(data);
    const stream = toReadableStream(file, { zeroCopy, chunkSize: 100_000 });
    worker.postMessage(stream, [stream]);
    assertEquals(await promise, [size, sum]);
    worker.terminate();
  }
  URL.revokeObjectURL(url);
  assert(equal(file.bytes(), pattern(size)));
});

test(
  "a consumer that transfers a zeroCopy chunk detaches the memory, and refresh() maps it again",
  async (dir) => {
    dir.leavesMapped = true;
    for (const grow of [true, false]) {
      using file = openSync(dir.file(1000, `${grow}`), { grow });
      const reader = toReadableStream(file, { zeroCopy: true, chunkSize: 100 })
        .getReader();
      const { value } = await reader.read();
      structuredClone(value, { transfer: [value!.buffer] });
      // The chunks of a copy that may grow are copies.
      if (isCopy && grow) {
        const next = await reader.read();
        assertEquals(next.value, pattern(1000).subarray(100, 200));
      } else await assertRejects(() => reader.read(), TypeError, "refresh()");
      file.refresh();
      assertEquals(file.bytes(), pattern(1000));
    }
  },
  NOT_TRANSFERABLE,
);

// --- writable

testBoth(
  "{file}.writable writes at the cursor, moves it and closes the file",
  async (dir, open) => {
    const path = dir.file("0123456789");
    const file = open(path, { read: true, write: true });
    file.seekSync(2, Start);
    const writer = file.writable.getWriter();
    await writer.write(encode("ab"));
    await writer.write(encode("cd"));
    await writer.close();
    assertEquals(Deno.readTextFileSync(path), "01abcd6789");
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
    await assertNothingIsOpen(dir);
  },
);

testBoth(
  "{file}.writable closes the file when it is aborted",
  async (dir, open) => {
    const file = open(dir.file("x"), { write: true });
    await file.writable.abort("never mind");
    assertThrows(() => cursorOf(file), Deno.errors.BadResource);
  },
);

testBoth(
  "{file}.writable takes buffers and views of any kind, and nothing else",
  async (dir, open) => {
    const path = dir.file(8);
    const file = open(path, { write: true });
    const writer: WritableStreamDefaultWriter<unknown> = file.writable
      .getWriter();
    await writer.write(new Uint16Array([0x0101, 0x0202]));
    await writer.write(new DataView(new ArrayBuffer(2)));
    await writer.write(new ArrayBuffer(2));
    await writer.close();
    assertEquals([...Deno.readFileSync(path)], [1, 1, 2, 2, 0, 0, 0, 0]);

    const other: WritableStreamDefaultWriter<unknown> = open(path, {
      write: true,
    })
      .writable.getWriter();
    await assertRejects(
      () => other.write("text"),
      TypeError,
      "Expected ArrayBuffer or ArrayBufferView",
    );
  },
  notInDeno28("Deno.FsFile.writable takes no DataView"),
);

testBoth(
  "closing or aborting the {file}.writable of a closed file does nothing",
  async (dir, open) => {
    for (const end of ["close", "abort"] as const) {
      const file = open(dir.file("x"), { write: true });
      file.close();
      await file.writable[end]();
    }
  },
);

test("MmapFile.writable fails past the end of a file of fixed size, and closes it", async (dir) => {
  const path = dir.file("01234");
  const file = openSync(path, { write: true, grow: false });
  const writer = file.writable.getWriter();
  await writer.write(encode("abc"));
  const error = await assertRejects(
    () => writer.write(encode("defg")),
    OutOfBoundsError,
  );
  assertEquals(error.bytesWritten, 2);
  assertEquals(file.closed, true);
  assertEquals(Deno.readTextFileSync(path), "abcde");
  await assertRejects(() => writer.closed, OutOfBoundsError);
});

test("MmapFile.writable of a read-only file fails and closes it", async (dir) => {
  const file = openSync(dir.file("x"));
  const writer = file.writable.getWriter();
  await assertRejects(() => writer.write(encode("a")), ReadOnlyError);
  await assertRejects(() => writer.closed, ReadOnlyError);
  assertEquals(file.closed, true);
});

test("MmapFile.writable extends a growing file, and appends to an appending one", async (dir) => {
  for (const options of [{ write: true, grow: true }, { append: true }]) {
    const path = dir.file("");
    const source = new Blob([pattern(3 * MIB)]).stream();
    await source.pipeTo(openSync(path, options).writable);
    assert(equal(Deno.readFileSync(path), pattern(3 * MIB)));
  }
});

// --- toWritableStream

test("toWritableStream() writes from an offset on, and leaves the cursor alone and the file open", async (dir) => {
  using file = createSync(dir.join("new"), 3 * MIB);
  file.seekSync(7, Start);
  const content = pattern(2 * MIB);
  await new Blob([content]).stream().pipeTo(
    toWritableStream(file, { offset: 1000 }),
  );
  assert(equal(file.bytes(1000, 2 * MIB), content));
  assertEquals(file.bytes(0, 1000), new Uint8Array(1000));
  assertEquals(cursorOf(file), 7);
  await toWritableStream(file).abort();
  await toWritableStream(file).close();
  assertEquals(file.closed, false);
});

test("several streams write to one file at a time", async (dir) => {
  using file = createSync(dir.join("new"), 4 * MIB);
  const content = pattern(4 * MIB);
  await Promise.all(
    [0, 1, 2, 3].map((i) =>
      new Blob([content.subarray(i * MIB, (i + 1) * MIB)]).stream().pipeTo(
        toWritableStream(file, { offset: i * MIB }),
      )
    ),
  );
  assert(equal(file.bytes(), content));
});

test("toWritableStream() reports how much it wrote in total when the file is full", async (dir) => {
  using file = createSync(dir.join("new"), 10);
  const writer = toWritableStream(file, { offset: 2 }).getWriter();
  await writer.write(encode("abcdef"));
  const error = await assertRejects(
    () => writer.write(encode("ghij")),
    OutOfBoundsError,
  );
  assertEquals(error.bytesWritten, 8);
  assertEquals(decode(file.bytes(2)), "abcdefgh");
  assertEquals(file.closed, false);
});

test("toWritableStream() refuses a file that cannot be written, and invalid positions", (dir) => {
  using readOnly = openSync(dir.file("x"));
  assertThrows(() => toWritableStream(readOnly), ReadOnlyError);
  const closed = openSync(dir.file("x", "closed"), { write: true });
  closed.close();
  assertThrows(() => toWritableStream(closed), Deno.errors.BadResource, CLOSED);
  using file = openSync(dir.file("x", "written"), { write: true });
  for (const offset of [-1, 0.5, NaN, Infinity]) {
    assertThrows(() => toWritableStream(file, { offset }), RangeError);
  }
  return Promise.resolve();
});

test("toWritableStream() with autoClose closes the file at its end, on close, abort and error", async (dir) => {
  const options: ToWritableStreamOptions = { autoClose: true };
  const open = () => openSync(dir.file("0123"), { write: true, grow: false });
  const closed = open();
  await toWritableStream(closed, options).close();
  const aborted = open();
  await toWritableStream(aborted, options).abort();
  const failed = open();
  const writer = toWritableStream(failed, options).getWriter();
  await assertRejects(() => writer.write(pattern(5)), OutOfBoundsError);
  await assertRejects(() => writer.closed, OutOfBoundsError);
  assertEquals([closed, aborted, failed].map((file) => file.closed), [
    true,
    true,
    true,
  ]);
  await assertNothingIsOpen(dir);
});

test("toWritableStream() fails when the file is closed", async (dir) => {
  const file = openSync(dir.file("0123"), { write: true });
  const writer = toWritableStream(file).getWriter();
  await writer.write(encode("a"));
  file.close();
  await assertRejects(
    () => writer.write(encode("b")),
    Deno.errors.BadResource,
    CLOSED,
  );
});

test("one file is copied to another by streams only", async (dir) => {
  using source = openSync(dir.file(5 * MIB + 3));
  for (const zeroCopy of [false, true]) {
    using target = createSync(dir.join(`copy-${zeroCopy}`), source.size);
    await toReadableStream(source, { zeroCopy })
      .pipeTo(toWritableStream(target));
    assert(equal(target.bytes(), source.bytes()));
  }
});

test("an error of close() does not hide the error of the stream", async (dir) => {
  const path = dir.file(CHUNK * 4);
  const file = openSync(path, { read: true, write: true, grow: false });
  const writer = file.writable.getWriter();
  if (isTruncatable) Deno.truncateSync(path, 0);
  const outcome = await outcomeOf(() => writer.write(pattern(CHUNK * 5)));
  assert("error" in outcome);
  assertNotEquals(outcome.error instanceof ClosedError, true);
  assertEquals(file.closed, true);
  await assertNothingIsOpen(dir);
});
