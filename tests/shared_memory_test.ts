/** `shared: true`: views that workers without permissions use. */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createSync, MmapFile, open, openSync } from "../mod.ts";
import { NO_GUARD, NO_SHARED_MEMORY, type Reason, unless } from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

const WRITE = { read: true, write: true } as const;
const WORKER = new URL("./workers/shared_memory_worker.ts", import.meta.url);

function test(
  name: string,
  fn: (dir: TempDir) => void | Promise<void>,
  reason: Reason = NO_SHARED_MEMORY,
): void {
  Deno.test({
    ...unless(reason, name),
    async fn() {
      using dir = new TempDir();
      await fn(dir);
    },
  });
}

/** A worker without any permission. */
class Helper implements Disposable {
  readonly #worker = new Worker(WORKER, {
    type: "module",
    deno: { permissions: "none" },
  });
  readonly #said: unknown[] = [];
  #wake = () => {};

  constructor() {
    this.#worker.onmessage = ({ data }) => {
      this.#said.push(data);
      this.#wake();
    };
  }

  post(task: string, view: Int32Array<SharedArrayBuffer>): void {
    this.#worker.postMessage([task, view]);
  }

  /** The next message of the worker. */
  async says(): Promise<unknown> {
    while (this.#said.length === 0) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#said.shift();
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

test("a shared file hands out shared memory, without a cast", async (dir) => {
  const path = dir.file("12345678");
  using file: MmapFile<SharedArrayBuffer> = openSync(path, { shared: true });
  const bytes: Uint8Array<SharedArrayBuffer> = file.bytes();
  const view: Int32Array<SharedArrayBuffer> = file.view(Int32Array);
  const buffer: SharedArrayBuffer = bytes.buffer;
  assert(buffer instanceof SharedArrayBuffer);
  assert(view.buffer instanceof SharedArrayBuffer);
  using other = await open(path, { ...WRITE, shared: true });
  const same: Uint8Array<SharedArrayBuffer> = other.bytes();
  assertEquals(same.length, 8);
  using plain = openSync(path);
  const unshared: Uint8Array<ArrayBuffer> = plain.bytes();
  assert(unshared.buffer instanceof ArrayBuffer);
});

test("four workers without permissions lose none of their additions to one file", async (dir) => {
  const path = dir.file(new Uint8Array(4096));
  using file = openSync(path, { ...WRITE, shared: true });
  const view = file.view(Int32Array);
  using stack = new DisposableStack();
  const helpers = [1, 2, 3, 4].map(() => stack.use(new Helper()));
  for (const helper of helpers) helper.post("add", view);
  const said = await Promise.all(helpers.map((helper) => helper.says()));
  assertEquals(said, Array(4).fill("added"));
  assertEquals(new Int32Array(Deno.readFileSync(path).buffer)[1], 4000);
});

test("Atomics.notify() in one worker wakes Atomics.wait() and waitAsync() in others", async (dir) => {
  using file = openSync(dir.file(new Uint8Array(64)), {
    ...WRITE,
    shared: true,
  });
  const view = file.view(Int32Array);
  using waiting = new Helper();
  using alsoWaiting = new Helper();
  using notifying = new Helper();
  waiting.post("wait", view);
  alsoWaiting.post("waitAsync", view);
  assertEquals(await alsoWaiting.says(), "waiting");
  const { async, value } = Atomics.waitAsync(view, 0, 0, 10_000);
  assert(async);
  notifying.post("notify", view);
  const woken = await notifying.says() as number;
  // A worker that starts after the store need not wait.
  assert(woken === 2 || woken === 3, `${woken} woken`);
  const came = await waiting.says() as unknown[];
  assert(["ok", "not-equal"].includes(`${came[0]}`));
  assertEquals(came[1], 7);
  assertEquals(await alsoWaiting.says(), ["ok", 7]);
  assertEquals(await value, "ok");
});

test("views of a shared file stay valid in workers when it grows", async (dir) => {
  const path = dir.file(new Uint8Array(1000));
  using file = openSync(path, { ...WRITE, grow: true, shared: true });
  const first = file.view(Int32Array);
  using helper = new Helper();
  for (const size of [5000, 100_000, 3_000_000]) {
    file.truncateSync(size);
    helper.post("ends", first);
    assertEquals(await helper.says(), 250);
    helper.post("ends", file.view(Int32Array));
    assertEquals(await helper.says(), size / 4);
    const found = new Int32Array(Deno.readFileSync(path).buffer);
    assertEquals([found[0], found[249], found.at(-1)], [11, 12, 12]);
  }
});

test("views of a shared file are unchanged after close()", async (dir) => {
  const path = dir.file(new Uint8Array(4000));
  const file = openSync(path, { ...WRITE, shared: true });
  const view = file.view(Int32Array);
  file.close();
  using helper = new Helper();
  helper.post("ends", view);
  assertEquals(await helper.says(), 1000);
  const found = new Int32Array(Deno.readFileSync(path).buffer);
  assertEquals([found[0], found[999]], [11, 12]);
});

test("bytes past the end of a truncated shared file read as zeros in its views", (dir) => {
  const path = dir.file(new Uint8Array(100_000).fill(5));
  using file = openSync(path, { ...WRITE, shared: true });
  const bytes = file.bytes();
  file.truncateSync(10);
  assertEquals([bytes[0], bytes[10], bytes[50_000]], [5, 0, 0]);
  bytes[50_000] = 9;
  assertEquals(Deno.readFileSync(path), new Uint8Array(10).fill(5));
  file.truncateSync(100_000);
  assertEquals([bytes[9], bytes[10], file.bytes()[50_000]], [5, 0, 0]);
  file.bytes()[50_000] = 7;
  assertEquals(Deno.readFileSync(path)[50_000], 7);
  assertEquals(bytes[50_000], 7);
});

test(
  "truncation by another process does not kill workers that read a shared file, and refresh() restores it",
  async (dir) => {
    const path = dir.file(new Uint8Array(1_000_000).fill(1));
    using file = openSync(path, { ...WRITE, shared: true });
    const view = file.view(Int32Array);
    using stack = new DisposableStack();
    const helpers = [1, 2, 3].map(() => stack.use(new Helper()));
    for (const helper of helpers) helper.post("readUntilEnd", view);
    for (const helper of helpers) assertEquals(await helper.says(), "reading");
    // A fault during refresh() maps zeros over the file's pages: the next refresh() finds that.
    const refreshUntil = async (isDone: () => boolean) => {
      for (let tries = 0; !isDone(); tries++) {
        assert(tries < 1000, "refresh() does not restore the file");
        file.refresh();
        await sleep(1);
      }
    };
    for (let time = 0; time < 100; time++) {
      Deno.truncateSync(path, 4);
      assertEquals(view.at(-1), 0);
      Deno.writeFileSync(path, new Uint8Array(1_000_000).fill(2), {
        create: false,
        append: false,
      });
      await refreshUntil(() =>
        view[0] === 0x02020202 && view.at(-1) === 0x02020202
      );
    }
    let ended = 0;
    const values = Promise.all(helpers.map(async (helper) => {
      const value = await helper.says();
      ended++;
      return value;
    }));
    await refreshUntil(() => {
      Atomics.store(view, 0, -1);
      return ended === helpers.length;
    });
    assertEquals(await values, helpers.map(() => 0x02020202));
  },
  NO_GUARD,
);

test("a shared file of more than 4 GiB is shared to its end", async (dir) => {
  const size = 2 ** 32 + 4096;
  const path = dir.sparseFile(size);
  using file = openSync(path, { ...WRITE, shared: true });
  const view = file.view(Int32Array);
  using helper = new Helper();
  helper.post("ends", view);
  assertEquals(await helper.says(), size / 4);
  using plain = Deno.openSync(path);
  plain.seekSync(size - 4, Deno.SeekMode.Start);
  const last = new Uint8Array(4);
  plain.readSync(last);
  assertEquals(last[0], 12);
});

test("an empty shared file hands out shared memory too, and grows", (dir) => {
  using file = openSync(dir.file(""), { ...WRITE, grow: true, shared: true });
  const none: SharedArrayBuffer = file.bytes().buffer;
  assert(none instanceof SharedArrayBuffer);
  file.writeSync(new Uint8Array([1, 2, 3]));
  assertEquals([...file.bytes()], [1, 2, 3]);
});

test("shared is refused with copyOnWrite, by the fallback and above 16 GiB", (dir) => {
  const path = dir.sparseFile(2 ** 34 + 1);
  const { NotSupported } = Deno.errors;
  for (
    const options of [{ copyOnWrite: true }, { backend: "fallback" }] as const
  ) {
    assertThrows(
      () => openSync(path, { ...options, shared: true }),
      NotSupported,
      path,
    );
  }
  assertThrows(
    () => {
      using file = openSync(path, { shared: true });
      file.bytes();
    },
    NotSupported,
    path,
  );
});

test("create() does not open a shared file, and a shared MmapFile is an MmapFile", (dir) => {
  using made = createSync(dir.join("made"), 10);
  assert(made.bytes().buffer instanceof ArrayBuffer);
  using file = openSync(dir.join("made"), { shared: true });
  assert(file instanceof MmapFile);
});
