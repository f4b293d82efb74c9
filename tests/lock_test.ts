/** A wait for a lock takes no thread, no descriptor and no processor time. */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { type MmapFile, openSync } from "@mmapfile/mmapfile";
import { fromFileUrl } from "@std/path";
import { isCopy } from "./tested_module.ts";
import { commandOf, deno } from "./run_deno.ts";
import { isWindows, NO_LISTING, type Reason, WINE_LOCKS } from "./skip.ts";
import { decode } from "./bytes.ts";
import { testInDir as test } from "./temp_dir.ts";

const CHILD = fromFileUrl(
  new URL("./children/lock_waiter.ts", import.meta.url),
);

const COMMAND = ["run", "-A", "--no-check", "--no-config", "--no-lock", CHILD];

const NOT_POSIX: Reason = (isWindows || isCopy) &&
  "this backend waits in threads, as Deno.FsFile does";

const OPTIONS = { read: true, write: true };

for (
  const end of ["exit", "signal", "throw", "close", "unlock", "other calls"]
) {
  test(
    `MmapFile.lock() that waits behaves as Deno.FsFile's does: ${end}`,
    async (dir) => {
      const [expected, found] = await Promise.all(
        ["fsFile", "mmapFile"].map(async (kind) => {
          const own = dir.file("0", kind);
          const result = await deno([...COMMAND, kind, own, end]);
          // The stack contains line numbers of the library.
          return { ...result, stderr: result.stderr.split("\n")[0] };
        }),
      );
      assertEquals(found, expected);
    },
    WINE_LOCKS || isWindows && end === "signal" && "Windows has no signals",
  );
}

test(
  "MmapFile.lock() that waits keeps the process running",
  async (dir) => {
    const args = [...COMMAND, "mmapFile", dir.file(), "waiting forever"];
    const [program, all] = commandOf(args);
    await using child = new Deno.Command(program, {
      args: all,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    assertEquals(decode((await reader.read()).value!), "waiting\n");
    // The output would end with the process.
    const end = reader.read().then(() => "ended");
    const wait = sleep(300, "running");
    assertEquals(await Promise.race([end, wait]), "running");
    child.kill();
    await end;
  },
  WINE_LOCKS,
);

test(
  "2,000 files wait for one lock while other files are read, flushed and synced, and acquire it in turn",
  async (dir) => {
    const path = dir.file("0");
    using holder = Deno.openSync(path);
    holder.lockSync(true);
    const order: number[] = [];
    let hasLock = 0;
    const waiters = Array.from({ length: 2000 }, async (_, k) => {
      using file = openSync(path, OPTIONS);
      await file.lock(true);
      assertEquals(++hasLock, 1);
      order.push(k);
      // Half of them unlock by close().
      hasLock--;
      if (k % 2 === 0) await file.unlock();
    });
    using other = openSync(dir.file(4 << 20, "other"), OPTIONS);
    const buffer = new Uint8Array(2 << 20);
    assertEquals(await other.readAt(buffer, 5), buffer.length);
    assertEquals(await other.writeAt(buffer, 0), buffer.length);
    await other.flush();
    await other.sync();
    assertEquals(await Deno.readTextFile(path), "0");
    assertEquals(order, []);
    holder.unlockSync();
    await Promise.all(waiters);
    assertEquals(order, order.map((_, k) => k));
    assertEquals(order.length, 2000);
  },
  NOT_POSIX,
);

test(
  "waits for a shared lock acquire it together, before a wait for an exclusive one",
  async (dir) => {
    const path = dir.file();
    const holder = Deno.openSync(path);
    holder.lockSync();
    using exclusive = openSync(path);
    let isExclusive = false;
    const locked = exclusive.lock(true).then(() => isExclusive = true);
    const shared = Array.from({ length: 5 }, () => openSync(path));
    await Promise.all(shared.map((file) => file.lock()));
    assertEquals(isExclusive, false);
    holder.close();
    for (const file of shared) {
      await sleep(20);
      assertEquals(isExclusive, false);
      file.close();
    }
    await locked;
  },
  isWindows && "locks are mandatory on Windows",
);

/** Ways in which a lock is released. */
const RELEASES: Record<string, (file: MmapFile) => unknown> = {
  "unlockSync()": (file) => file.unlockSync(),
  "unlock()": (file) => file.unlock(),
  "close()": (file) => file.close(),
};

for (const [name, release] of Object.entries(RELEASES)) {
  test(
    `${name} passes the lock on before timers run`,
    async (dir) => {
      const path = dir.file();
      const holder = openSync(path);
      using file = openSync(path);
      holder.lockSync(true);
      let isLocked = false;
      const locked = file.lock(true).then(() => isLocked = true);
      await sleep(100);
      assertEquals(isLocked, false);
      await release(holder);
      for (let k = 0; k < 20; k++) await undefined;
      assertEquals(isLocked, true);
      await locked;
      if (!holder.closed) holder.close();
    },
    NOT_POSIX,
  );
}

test(
  "a child process inherits no descriptor of a file that waits for a lock",
  async (dir) => {
    const path = dir.file();
    const holder = Deno.openSync(path);
    holder.lockSync(true);
    using file = openSync(path, OPTIONS);
    const waiting = file.lock(true);
    await using child = new Deno.Command("sleep", {
      args: ["60"],
      stdin: "null",
    }).spawn();
    const own = `/proc/${child.pid}/fd`;
    // Until then the child is still a copy of this process.
    while (!Deno.readTextFileSync(`/proc/${child.pid}/comm`).includes("sleep"));
    const open = [...Deno.readDirSync(own)].map(({ name }) => {
      try {
        return Deno.readLinkSync(`${own}/${name}`);
      } catch {
        // execve(2) has closed it.
        return "";
      }
    });
    assert(open.length > 0);
    assertEquals(open.filter((name) => name.startsWith(dir.path)), []);
    holder.close();
    await waiting;
    child.kill();
  },
  NO_LISTING,
);

test(
  "MmapFile.lock() does not wait for a lock that its file holds",
  async (dir) => {
    using file = openSync(dir.file());
    file.lockSync(true);
    await file.lock(true);
    await file.lock();
    await file.unlock();
  },
  isWindows && "Windows does not convert a lock into another",
);
