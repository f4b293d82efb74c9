/** Files that several workers, processes and Deno.FsFile use at the same time. */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { createSync, type MmapFile, openSync } from "@mmapfile/mmapfile";
import {
  COUNTER,
  HEADER,
  RELEASED,
  SLOT_SIZE,
  SLOTS,
  WAITING,
} from "./children/sharing_tasks.ts";
import {
  NO_REPLACING,
  type Reason,
  unless,
  WINE_APPENDS,
  WINE_LOCKS,
} from "./skip.ts";
import { deno } from "./run_deno.ts";
import { processesOf, type Run, workersOf } from "./run_task.ts";

const inProcess = processesOf(
  new URL("./children/sharing_process.ts", import.meta.url),
);
const inWorker = workersOf(
  new URL("./workers/sharing_worker.ts", import.meta.url),
);

const KINDS: [string, Run][] = [["processes", inProcess], [
  "workers",
  inWorker,
]];

/** A test on a new file of zeros, with a header by which tasks synchronize. */
function test(
  name: string,
  fn: (path: string, file: MmapFile) => Promise<void> | void,
  { size = HEADER + 1600 * 4, reason = false }: {
    size?: number;
    reason?: Reason;
  } = {},
): void {
  Deno.test({
    ...unless(reason, name),
    async fn() {
      const directory = Deno.makeTempDirSync({ prefix: "mmapfile-sharing-" });
      const path = `${directory}/file`;
      try {
        using file = createSync(path, size);
        await fn(path, file);
      } finally {
        Deno.removeSync(directory, { recursive: true });
      }
    },
  });
}

for (const [kind, run] of KINDS) {
  test(
    `Atomics.add() on a view loses nothing between four ${kind}`,
    async (path, file) => {
      const answers = await Promise.all(
        [1, 2, 3, 4].map(() => run("add", path, 4, 100_000)),
      );
      assertEquals(answers, Array(4).fill("added"));
      assertEquals(Atomics.load(file.view(Int32Array), COUNTER), 400_000);
      const inFile = new Int32Array(Deno.readFileSync(path).buffer);
      assertEquals(inFile[COUNTER], 400_000);
    },
  );

  test(`four ${kind} see what the others write, by every way to write and read`, async (path) => {
    const answers = await Promise.all(
      [0, 1, 2, 3].map((id) => run("stripes", path, 4, id)),
    );
    assertEquals(answers, Array(4).fill("4"));
  });

  test(
    `a ring in a file passes every message between two ${kind}`,
    async (path) => {
      const answers = await Promise.all([
        run("consume", path, 5000),
        run("produce", path, 5000),
      ]);
      assertEquals(answers, ["5000", "sent"]);
    },
    { size: HEADER + SLOTS * SLOT_SIZE },
  );

  for (const [way, lock] of ["lockSync", "lock", "tryLockSync"].entries()) {
    test(
      `MmapFile.${lock}() exclusive keeps four ${kind} apart`,
      async (path, file) => {
        const answers = await Promise.all(
          [1, 2, 3, 4].map(() => run("addLocked", path, 4, 50, way)),
        );
        assertEquals(answers, Array(4).fill("added"));
        assertEquals(file.view(Int32Array)[COUNTER], 200);
      },
      { reason: WINE_LOCKS },
    );
  }

  test(
    `appends of four ${kind} are complete and not interleaved`,
    async (path, file) => {
      file.truncateSync(0);
      const lines = 500;
      await Promise.all(
        [0, 1, 2, 3].map((id) => run("append", path, id, lines)),
      );
      const next = [0, 0, 0, 0];
      const written = Deno.readTextFileSync(path).split("\n");
      assertEquals(written.pop(), "");
      for (const text of written) {
        const [id, line, rest] = text.split(" ");
        assertEquals(Number(line), next[Number(id)]!++);
        assertEquals(rest, "x".repeat(Number(line) % 50));
      }
      assertEquals(next, Array(4).fill(lines));
    },
    { size: 1, reason: WINE_APPENDS },
  );

  test(
    `MmapFile.refresh() follows a file that another of two ${kind} extends`,
    async (path, file) => {
      const answers = await Promise.all([
        run("follow", path, 100),
        run("grow", path, 100),
      ]);
      assertEquals(answers, ["100", "grown"]);
      assertEquals(file.size, HEADER * 2);
      file.refresh();
      assertEquals(file.size, HEADER * 2 + 1_000_000);
    },
    { size: HEADER * 2 },
  );

  test(
    `copy-on-write keeps the writes of three ${kind} apart`,
    async (path, file) => {
      const answers = await Promise.all(
        [1, 2, 3].map(() => run("copyOnWrite", path, 3)),
      );
      assertEquals(answers, Array(3).fill("true"));
      assert(file.bytes(HEADER).every((byte) => byte === 0));
    },
  );
}

for (const isExclusive of [true, false]) {
  const lock = isExclusive ? "an exclusive" : "a shared";
  const rest = isExclusive ? "false false" : "false true";

  test(
    `${lock} lock of an MmapFile holds against other processes`,
    async (path, file) => {
      file.lockSync(isExclusive);
      assertEquals(await inProcess("tryLocks", path), rest);
      file.unlockSync();
      assertEquals(await inProcess("tryLocks", path), "true true");
    },
    { reason: WINE_LOCKS },
  );

  test(
    `${lock} lock of an MmapFile holds against Deno.FsFile, and the other way round`,
    (path, file) => {
      using own = Deno.openSync(path);
      file.lockSync(isExclusive);
      assertEquals(own.tryLockSync(true), false);
      assertEquals(own.tryLockSync(false), !isExclusive);
      own.unlockSync();
      file.unlockSync();
      own.lockSync(isExclusive);
      assertEquals(file.tryLockSync(true), false);
      assertEquals(file.tryLockSync(false), !isExclusive);
    },
    { reason: WINE_LOCKS },
  );
}

for (const isAsync of [false, true]) {
  for (const isExclusive of [false, true]) {
    const call = `${isAsync ? "lock" : "lockSync"}(${isExclusive})`;
    test(
      `MmapFile.${call} waits until another process releases the lock`,
      async (path, file) => {
        const words = file.view(Int32Array, 0, HEADER / 4);
        file.lockSync(true);
        const waiting = inProcess(
          "waitForLock",
          path,
          Number(isExclusive),
          Number(isAsync),
        );
        while (Atomics.load(words, WAITING) === 0) await sleep(5);
        // Long enough to notice if the lock does not hold.
        await sleep(50);
        Atomics.store(words, RELEASED, 1);
        file.unlockSync();
        assertEquals(await waiting, "true");
      },
      { reason: WINE_LOCKS },
    );
  }
}

test("the lock of a closed MmapFile is free", async (path) => {
  const other = openSync(path);
  other.lockSync(true);
  assertEquals(await inProcess("tryLocks", path), "false false");
  other.close();
  assertEquals(await inProcess("tryLocks", path), "true true");
}, { reason: WINE_LOCKS });

test(
  "an MmapFile sees what a Deno.FsFile writes, and the other way round",
  async (path, file) => {
    using own = await Deno.open(path, { read: true, write: true });
    using reader = openSync(path);
    const view = reader.bytes(100, 5);
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    const buffer = new Uint8Array(5);

    await own.seek(100, Deno.SeekMode.Start);
    await own.write(new TextEncoder().encode("first"));
    assertEquals(text(view), "first");
    reader.readAtSync(buffer, 100);
    assertEquals(text(buffer), "first");
    assertEquals(text(file.bytes(100, 5)), "first");

    file.writeAtSync(new TextEncoder().encode("other"), 100);
    assertEquals(text(view), "other");
    own.seekSync(100, Deno.SeekMode.Start);
    own.readSync(buffer);
    assertEquals(text(buffer), "other");

    file.bytes(100, 5).set(new TextEncoder().encode("third"));
    own.seekSync(100, Deno.SeekMode.Start);
    await own.read(buffer);
    assertEquals(text(buffer), "third");
    assertEquals(text(Deno.readFileSync(path).subarray(100, 105)), "third");
  },
);

test(
  "an MmapFile of this process sees what another process writes by Deno.FsFile",
  async (path, file) => {
    const code = `
    const file = Deno.openSync(Deno.args[0], { write: true });
    file.seekSync(200, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode("hello"));
  `;
    const script = `${path}.ts`;
    Deno.writeTextFileSync(script, code);
    const view = file.bytes(200, 5);
    const { code: exit, stderr } = await deno(["run", "-A", script, path]);
    assertEquals(exit, 0, stderr);
    assertEquals(new TextDecoder().decode(view), "hello");
  },
);

test(
  "windows of a file, whole files and hard links to it share one memory",
  (path, file) => {
    const link = `${path}-link`;
    Deno.linkSync(path, link);
    using whole = openSync(link);
    using part = openSync(path, {
      read: true,
      write: true,
      offset: 5001,
      length: 10,
    });
    part.bytes()[0] = 1;
    part.writeAtSync(Uint8Array.of(2), 9);
    assertEquals([whole.bytes()[5001], whole.bytes()[5010]], [1, 2]);
    file.bytes()[5005] = 3;
    assertEquals(part.bytes()[4], 3);
  },
);

test(
  "a file that was removed or replaced stays unchanged for those who have it open",
  (path, file) => {
    using reader = openSync(path);
    Deno.writeTextFileSync(`${path}-new`, "new");
    Deno.renameSync(`${path}-new`, path);
    file.writeAtSync(Uint8Array.of(9), 0);
    assertEquals(reader.bytes()[0], 9);
    assertEquals(Deno.readTextFileSync(path), "new");
    reader.refresh();
    assertEquals(reader.size, file.size);
  },
  { reason: NO_REPLACING },
);
