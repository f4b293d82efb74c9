/**
 * Timers, messages and I/O run while a loop awaits calls that complete at once.
 * The tests count the calls made until then: without a turn of the event loop they would never end.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClosedError, type MmapFile, openSync } from "@mmapfile/mmapfile";
import { toReadableStream, toWritableStream } from "@mmapfile/mmapfile";
import { isEmulated, WINE_LOCKS } from "./skip.ts";
import { encode, pattern } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { testInDir as test } from "./temp_dir.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const { Start } = Deno.SeekMode;

/** Calls within which the event loop must have run; usually a few thousand. */
const MOST_CALLS = isEmulated ? 100_000 : 1_000_000;

const block = new Uint8Array(4 * KIB);
const large = new Uint8Array(MIB + 1);
const now = new Date(0);

/** A reader at its end, and a writer that takes everything. */
const nothing = { read: () => Promise.resolve(null) };
const anything = { write: (p: Uint8Array) => Promise.resolve(p.length) };

/** Every asynchronous call that does not wait for the system, and calls that fail. */
const CALLS: Record<string, (file: MmapFile) => Promise<unknown>> = {
  async read(file) {
    if (await file.read(block) === null) file.seekSync(0, Start);
  },
  readAt: (file) => file.readAt(block, 0),
  "readAt, of 0 bytes": (file) => file.readAt(block.subarray(0, 0), 0),
  "readAt, of more than 1 MiB": (file) => file.readAt(large, 0),
  async write(file) {
    file.seekSync(0, Start);
    await file.write(block);
  },
  writeAt: (file) => file.writeAt(block, 4 * KIB),
  async writeString(file) {
    file.seekSync(0, Start);
    await file.writeString("a line\n");
  },
  "write, at the end of a file of fixed size": async (file) => {
    file.seekSync(file.size, Start);
    await outcomeOf(() => file.write(block));
  },
  "readAt, of an argument that is not bytes": (file) =>
    outcomeOf(() => file.readAt("" as never, 0)),
  "readFrom, of a reader": (file) => file.readFrom(nothing),
  async "readFrom, of a file"(file) {
    file.seekSync(0, Start);
    await file.readFrom(file);
  },
  "writeTo, of a writer": (file) => file.writeTo(anything),
  seek: (file) => file.seek(0, Start),
  stat: (file) => file.stat(),
  utime: (file) => file.utime(now, now),
  truncate: (file) => file.truncate(file.size),
  tryLock: (file) => file.tryLock(),
  lock: (file) => file.lock(),
  unlock: (file) => file.tryLock().then(() => file.unlock()),
  "flush, of nothing": (file) => file.flush(0, 0),
  "prefetch, of nothing": (file) => file.prefetch(0, 0),
};

/** An event that the event loop delivers. */
const EVENTS: Record<string, () => Promise<unknown>> = {
  "a timer": () => new Promise((resolve) => setTimeout(resolve, 0)),
  "a message": () => {
    const { port1, port2 } = new MessageChannel();
    return new Promise<void>((resolve) => {
      port2.onmessage = () => {
        port1.close();
        resolve();
      };
      port1.postMessage("a message");
    });
  },
};

/** Awaits calls until an event has come; fails if it does not come. */
async function callUntil(
  event: Promise<unknown>,
  call: () => Promise<unknown>,
  most = MOST_CALLS,
): Promise<void> {
  let hasHappened = false;
  const happened = event.then(() => void (hasHappened = true));
  let calls = 0;
  while (!hasHappened && calls < most) {
    await call();
    calls++;
  }
  await happened;
  assert(calls < most, `The event loop did not run in ${calls} calls`);
}

const OPTIONS = { read: true, write: true };

for (const [name, call] of Object.entries(CALLS)) {
  test(
    `${name}: a loop of awaited calls lets timers and messages run`,
    async (dir) => {
      using file = openSync(dir.file(64 * KIB), OPTIONS);
      for (const event of Object.values(EVENTS)) {
        await callUntil(event(), () => call(file));
      }
    },
    name === "unlock" && WINE_LOCKS,
  );
}

test("a loop of reads lets a server answer in the same process", async (dir) => {
  using file = openSync(dir.file(64 * KIB));
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response("answered"),
  );
  const { port } = server.addr;
  const answer = fetch(`http://127.0.0.1:${port}/`).then((response) =>
    response.text()
  );
  // It takes many turns of the event loop, and other threads.
  await callUntil(answer, () => file.readAt(block, 0), 100 * MOST_CALLS);
  assertEquals(await answer, "answered");
  await server.shutdown();
});

test("loops on many files, of calls of all kinds, let each other run", async (dir) => {
  const calls = Object.entries(CALLS).filter(([name]) =>
    name !== "unlock" || !WINE_LOCKS
  );
  const loops = calls.map(async ([, call], k) => {
    using file = openSync(dir.file(64 * KIB, `${k}`), OPTIONS);
    const event = Object.values(EVENTS)[k % 2];
    for (let k = 0; k < 3; k++) await callUntil(event!(), () => call(file));
  });
  await Promise.all(loops);
});

/** Endless reading and writing of streams, and iteration. */
const FLOWS: Record<string, (file: MmapFile) => () => Promise<unknown>> = {
  "readable.getReader()": (file) => {
    const reader = file.readable.getReader();
    return () => reader.read();
  },
  "toReadableStream() with zeroCopy": (file) => {
    const reader = toReadableStream(file, { zeroCopy: true, chunkSize: 16 })
      .getReader();
    return () => reader.read();
  },
  "toWritableStream()": (file) => {
    const writer = toWritableStream(file).getWriter();
    return () => writer.write(encode("1"));
  },
  "lines()": (file) => {
    const lines = file.lines()[Symbol.asyncIterator]();
    return () => lines.next();
  },
  "chunks()": (file) => {
    const chunks = file.chunks(16)[Symbol.asyncIterator]();
    return () => chunks.next();
  },
};

for (const [name, start] of Object.entries(FLOWS)) {
  test(`${name}: a loop of awaited calls lets timers and messages run`, async (dir) => {
    const path = dir.file();
    Deno.truncateSync(path, 16 * MIB);
    using file = openSync(path, OPTIONS);
    const call = start(file);
    for (const event of Object.values(EVENTS)) await callUntil(event(), call);
  });
}

test("calls of one file do their work and resolve in the order in which they are made", async (dir) => {
  using file = openSync(dir.file(), { ...OPTIONS, grow: true });
  const resolved: number[] = [];
  const calls: Promise<unknown>[] = [];
  // Longer than the library may block the event loop, so that later calls resolve in a later turn.
  for (let k = 0; k < 50_000; k++) {
    calls.push(file.write(Uint8Array.of(k)).then(() => resolved.push(k)));
    assertEquals(file.seekSync(0, Deno.SeekMode.Current), k + 1);
  }
  await Promise.all(calls);
  assertEquals(resolved, resolved.toSorted((one, other) => one - other));
  assertEquals(file.bytes(), Uint8Array.from(resolved));
});

// --- Iteration

const TEXT = Array.from(
  { length: 20_000 },
  (_, k) => "x".repeat(k % 700) + (k % 3 === 0 ? "\r\n" : "\n"),
).join("") + "the end";

/** Iterators, over ranges that begin and end anywhere. */
const ITEMS: Record<
  string,
  (file: MmapFile) => ReturnType<MmapFile["lines"]>
> = {
  "lines()": (file) => file.lines(),
  "lines() of a part": (file) =>
    file.lines({ offset: 12_345, length: 5 * MIB + 1 }),
  "chunks()": (file) => file.chunks(),
  "chunks(1000)": (file) => file.chunks(1000),
  "chunks(5 MiB)": (file) => file.chunks(5 * MIB),
  "chunks() of more than the file": (file) => file.chunks(100 * MIB),
};

for (const [name, items] of Object.entries(ITEMS)) {
  test(`for await over ${name} finds what for finds`, async (dir) => {
    for (const content of ["", "one", "\n", "a\r\nb", TEXT]) {
      using file = openSync(dir.file(content));
      if (name.endsWith("part") && content !== TEXT) continue;
      const expected = Array.from(items(file), (item) => item.slice());
      const found: Uint8Array[] = [];
      for await (const item of items(file)) found.push(item.slice());
      assertEquals(found, expected);
    }
  });

  test(`${name} can be iterated synchronously and asynchronously in turn`, async (dir) => {
    using file = openSync(dir.file(TEXT));
    const both = items(file);
    const one = both[Symbol.asyncIterator]();
    const found: Uint8Array[] = [];
    for (let k = 0;; k++) {
      const { done, value } = k % 2 === 0 ? await one.next() : both.next();
      if (done) break;
      found.push(value.slice());
    }
    assertEquals(found, Array.from(items(file), (item) => item.slice()));
  });

  test(`${name}: next() called before the previous call resolved returns the next item`, async (dir) => {
    using file = openSync(dir.file(TEXT));
    const one = items(file)[Symbol.asyncIterator]();
    const expected = Array.from(items(file), (item) => item.slice());
    const calls = Array.from({ length: expected.length + 2 }, () => one.next());
    const results = await Promise.all(calls);
    assertEquals(
      results.filter(({ done }) => !done).map(({ value }) => value!.slice()),
      expected,
    );
    assertEquals(results.slice(expected.length).map(({ done }) => done), [
      true,
      true,
    ]);
  });

  test(`${name} ends when for await is left`, async (dir) => {
    using file = openSync(dir.file(TEXT));
    const both = items(file);
    for await (const item of both) {
      assert(item.length > -1);
      break;
    }
    assertEquals(both.next(), { done: true, value: undefined });
    assertEquals(await both[Symbol.asyncIterator]().next(), {
      done: true,
      value: undefined,
    });
  });

  test(`for await over ${name} throws when the file was closed`, async (dir) => {
    const file = openSync(dir.file(TEXT));
    const one = items(file)[Symbol.asyncIterator]();
    const last = name.endsWith("the file") || name.endsWith("MiB)");
    if (!last) await one.next();
    file.close();
    await assertRejects(() => one.next(), ClosedError);
    // Ended, as a generator that has thrown.
    assertEquals((await one.next()).done, true);
  });
}

test("for await over lines() lets the event loop run within a line of many MiB", async (dir) => {
  const path = dir.file();
  Deno.truncateSync(path, 64 * MIB);
  using file = openSync(path);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0);
  for await (const line of file.lines()) assertEquals(line.length, 64 * MIB);
  clearInterval(timer);
  assert(ticks > 0);
});

// --- prefetch()

test("MmapFile.prefetch() reports its progress, from the first part to the last", async (dir) => {
  const path = dir.file();
  Deno.truncateSync(path, 40 * MIB);
  using file = openSync(path);
  for (const [offset, length] of [[0, 40 * MIB], [5, 33 * MIB], [7, 1]]) {
    const told: number[][] = [];
    const onProgress = (...progress: number[]) => void told.push(progress);
    await file.prefetch(offset, length, { onProgress });
    const parts = Math.ceil(length! / (16 * MIB));
    assertEquals(
      told,
      Array.from(
        { length: parts },
        (_, k) => [Math.min((k + 1) * 16 * MIB, length!), length],
      ),
    );
  }
});

test("MmapFile.prefetch() ends when a signal is aborted, with its reason", async (dir) => {
  const path = dir.file();
  Deno.truncateSync(path, 100 * MIB);
  using file = openSync(path);
  const told: number[] = [];
  const controller = new AbortController();
  const reason = new Error("enough");
  const outcome = await outcomeOf(() =>
    file.prefetch(0, file.size, {
      signal: controller.signal,
      onProgress(done) {
        told.push(done);
        if (told.length === 2) controller.abort(reason);
      },
    })
  );
  assertEquals(outcome, { error: reason });
  assertEquals(told, [16 * MIB, 32 * MIB]);
  const signal = AbortSignal.abort();
  await assertRejects(
    () => file.prefetch(0, 0, { signal }),
    DOMException,
    "aborted",
  );
});

test("MmapFile.prefetch() rethrows what its progress callback throws, and ends at a close", async (dir) => {
  const path = dir.file(pattern(100));
  Deno.truncateSync(path, 100 * MIB);
  const file = openSync(path);
  const error = new Error("not shown");
  const onProgress = () => {
    throw error;
  };
  assertEquals(
    await outcomeOf(() => file.prefetch(0, 1, { onProgress })),
    { error },
  );
  let told = 0;
  const prefetched = file.prefetch(0, file.size, {
    onProgress() {
      told++;
      file.close();
    },
  });
  assertEquals(await outcomeOf(() => prefetched), { value: undefined });
  assertEquals(told, 1);
});
