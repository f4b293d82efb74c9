/**
 * Counts the descriptors and mappings that files leak.
 * `deno run -A leaks.ts CASE DIRECTORY` prints what was found too much, and "done".
 */

import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  create,
  createSync,
  type MmapFile,
  type MmapOpenOptions,
  open,
  openSync,
} from "../../mod.ts";
import { isEmulated } from "../skip.ts";
import { collect, collectUntil } from "../gc.ts";
import { countDescriptors, countMappings } from "../open_handles.ts";

const [name, directory] = Deno.args as [string, string];
const PAGE = 4096;
const path = `${directory}/file`;
const missing = `${directory}/missing`;
const WRITE: MmapOpenOptions = { read: true, write: true };
const CREATE: MmapOpenOptions = { ...WRITE, create: true };

/** Mappings that the process may add and remove: V8's heap, threads, and QEMU's own. */
const SLACK = isEmulated ? 150 : 60;

Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));

/**
 * Warms the case up, runs it again, and compares. What leaks leaks every
 * time; a descriptor that Deno itself closes during the run is missing once.
 */
async function assertLeaksNothing(
  times: number,
  step: (time: number) => unknown,
): Promise<void> {
  for (let time = 0; time < 20; time++) await step(time);
  let left = await leftOf(times, step);
  if (left.length > 0) left = await leftOf(times, step);
  for (const line of left) console.log(line);
}

async function leftOf(
  times: number,
  step: (time: number) => unknown,
): Promise<string[]> {
  await collect();
  const before = count();
  let most = 0;
  for (let time = 0; time < times; time++) {
    const result = step(time);
    if (result instanceof Promise) await result;
    if (time % 1000 === 999) most = Math.max(most, count().all);
  }
  // Memory that was handed out stays mapped until the engine finds that nothing can reach it.
  await collectUntil(() => count().ours <= before.ours);
  await collect();
  const after = count();
  const left: string[] = [];
  if (most > 10_000) left.push(`mappings ${most} during the run`);
  if (after.descriptors !== before.descriptors) {
    left.push(`descriptors ${before.descriptors} ${after.descriptors}`);
  }
  if (after.ours !== before.ours) {
    left.push(`mappings of files ${before.ours} ${after.ours}`);
  }
  if (after.all > before.all + SLACK) {
    left.push(`mappings ${before.all} ${after.all}`);
  }
  return left;
}

function count(): { descriptors: number; ours: number; all: number } {
  return {
    descriptors: countDescriptors(),
    ours: countMappings(directory),
    all: countMappings(""),
  };
}

/** Both forms of `open` fail, and leave nothing open. */
async function assertFailsClean(
  title: string,
  path: string | URL,
  options: MmapOpenOptions,
  times = 100,
): Promise<void> {
  let opened = 0;
  const before = [...Deno.readDirSync(directory)].length;
  const refuse = (file: MmapFile) => {
    opened++;
    file.close();
  };
  await assertLeaksNothing(times, () => {
    try {
      refuse(openSync(path, options));
    } catch {
      // Expected.
    }
  });
  await assertLeaksNothing(
    Math.ceil(times / 4),
    () => open(path, options).then(refuse, () => {}),
  );
  if (opened > 0) console.log(title, "was opened");
  const left = [...Deno.readDirSync(directory)].length - before;
  if (left !== 0) console.log(title, "left files behind");
}

/** A call on an open file leaves nothing once the file is closed, whether it fails or not. */
async function assertClosesClean(
  use: (file: MmapFile) => unknown,
  options: MmapOpenOptions = WRITE,
  times = 200,
): Promise<void> {
  await assertLeaksNothing(times, async () => {
    Deno.truncateSync(path, 3 * PAGE);
    const file = openSync(path, options);
    try {
      await use(file);
    } catch {
      // Allowed.
    }
    file[Symbol.dispose]();
  });
  Deno.writeFileSync(path, new Uint8Array(3 * PAGE).fill(1));
}

/** The test's own devices: a faulty rollback that runs as root removes what it could not map. */
function makeDevices(): string[] {
  if (Deno.uid() !== 0) return ["/dev/null", "/dev/zero"];
  const devices = [["null", "3"], ["zero", "5"]] as const;
  return devices.map(([name, minor]) => {
    const device = `${directory}/${name}`;
    new Deno.Command("mknod", { args: [device, "c", "1", minor] }).outputSync();
    return device;
  });
}

const cases: Record<string, () => unknown> = {
  /** More files than the guard has slots. */
  async openSync() {
    await assertLeaksNothing(20_000, () => openSync(path).close());
    await assertLeaksNothing(20_000, () => {
      const file = openSync(path, WRITE);
      file.bytes()[0]!++;
      file.close();
    });
    const { guarded } = openSync(path);
    if (Deno.build.arch === "x86_64" && !guarded) console.log("no guard left");
  },

  async open() {
    await assertLeaksNothing(2000, async () => {
      const file = await open(path, WRITE);
      file.close();
    });
  },

  async create() {
    await assertLeaksNothing(
      1000,
      () => createSync(`${directory}/new`, PAGE).close(),
    );
    await assertLeaksNothing(300, async (time) => {
      const file = await create(`${directory}/new${time % 7}`, PAGE);
      file.close();
    });
  },

  async manyAtOnce() {
    await assertLeaksNothing(5, async () => {
      const files = await Promise.all(
        Array.from({ length: 200 }, () => open(path, WRITE)),
      );
      files.push(...Array.from({ length: 200 }, () => openSync(path)));
      for (const file of files) file.close();
    });
  },

  async empty() {
    Deno.writeFileSync(path, new Uint8Array(0));
    await assertLeaksNothing(2000, () => openSync(path).close());
    await assertLeaksNothing(500, () => openSync(path, WRITE).close());
  },

  async notRegular() {
    const fifo = `${directory}/fifo`;
    const { success } = new Deno.Command("mkfifo", { args: [fifo] })
      .outputSync();
    if (!success) throw new Error("no FIFO");
    const socket = `${directory}/socket`;
    const server = createServer().listen(socket);
    await new Promise((resolve) => server.on("listening", resolve));
    const devices = makeDevices();
    Deno.symlinkSync("nowhere", `${directory}/dangling`);
    Deno.symlinkSync("loop", `${directory}/loop`);
    const paths = [
      missing,
      `${path}/below`,
      directory,
      fifo,
      socket,
      ...devices,
      `${directory}/dangling`,
      `${directory}/loop`,
      `${directory}/${"long".repeat(100)}`,
      `${path}\0`,
      "",
    ];
    for (const path of paths) {
      for (const options of [{ read: true }, WRITE]) {
        await assertFailsClean(`'${path}'`, path, options);
      }
    }
    for (const path of [directory, fifo, socket, ...devices]) {
      await assertFailsClean(`'${path}'`, path, { ...CREATE, size: PAGE });
    }
    const url = new URL("https://example.com/file");
    await assertFailsClean("a URL", url, { read: true });
    server.close();
  },

  /** Files that report to be regular files. */
  async proc() {
    const paths = ["/proc/self/mem", "/proc/self/status", "/proc/self/maps"];
    for (const path of [...paths, "/sys/kernel/uevent_seqnum"]) {
      for (const options of [{ read: true }, WRITE]) {
        await assertLeaksNothing(100, () => {
          try {
            openSync(path, options).close();
          } catch {
            // Allowed.
          }
        });
      }
    }
  },

  async options() {
    const wrong: MmapOpenOptions[] = [
      { copyOnWrite: true, write: true },
      { copyOnWrite: true, grow: true },
      { offset: 0, grow: true, write: true },
      { read: false },
      { create: true, size: PAGE },
      { write: true, create: true, grow: false },
      { write: true, create: true, size: 0 },
      { write: true, createNew: true, grow: false },
      { append: true, truncate: true, size: 1 },
      { ...CREATE, size: -1 },
      { ...CREATE, size: NaN },
      { ...CREATE, size: 1.5 },
      { ...CREATE, size: 2 ** 60 },
      { offset: -1 },
      { advice: "none" as "normal" },
      { backend: "none" as "auto" },
    ];
    for (const options of wrong) {
      await assertFailsClean(JSON.stringify(options), missing, options);
      await assertFailsClean(JSON.stringify(options), path, options);
    }
  },

  async windows() {
    const wrong: MmapOpenOptions[] = [
      { offset: 3 * PAGE + 1 },
      { offset: 0, length: 3 * PAGE + 1 },
      { offset: PAGE, length: 3 * PAGE },
      { offset: 2 ** 50 },
      { length: 2 ** 50 },
    ];
    for (const options of wrong) {
      await assertFailsClean(JSON.stringify(options), path, options);
    }
    await assertClosesClean((file) => file.bytes(), { offset: 5, length: 0 });
    await assertClosesClean((file) => file.bytes(), { offset: 5000 });
    await assertClosesClean((file) => file.truncateSync(0), {
      ...WRITE,
      offset: 5000,
    });
  },

  /** In a tmpfs, which refuses at once: other filesystems fill the disk first. */
  async tooLarge() {
    for (const size of [2 ** 43, 2 ** 50, Number.MAX_SAFE_INTEGER]) {
      for (const sparse of [false, true]) {
        // There is room for a hole of 8 TiB.
        if (sparse && size === 2 ** 43) continue;
        const options = { ...CREATE, size, sparse };
        await assertFailsClean(`${size} bytes`, missing, options);
        const createNew = { ...WRITE, createNew: true, size, sparse };
        await assertFailsClean(`${size} new bytes`, missing, createNew);
      }
    }
    Deno.writeFileSync(path, new Uint8Array(0));
    await assertFailsClean("an empty file", path, { ...CREATE, size: 2 ** 50 });
    if (Deno.statSync(path).size !== 0) console.log("not empty");
  },

  /** The address space is exhausted: the file exists, and cannot be mapped. */
  async noMemory() {
    const large = `${directory}/large`;
    Deno.writeFileSync(large, new Uint8Array(1));
    Deno.truncateSync(large, 2 ** 43);
    const { setrlimit } = Deno.dlopen("libc.so.6", {
      // int setrlimit(int resource, const struct rlimit *rlim);
      setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
    }).symbols;
    const status = Deno.readTextFileSync("/proc/self/status");
    const used = BigInt(status.match(/VmSize:\s+(\d+)/)![1]!) << 10n;
    // RLIMIT_AS is 9: asm-generic/resource.h. Room for V8, and not for the file.
    const limit = used + (1n << 34n);
    if (setrlimit(9, BigUint64Array.of(limit, limit)) !== 0) {
      throw new Error("no limit");
    }
    for (
      const options of [
        { read: true },
        WRITE,
        { ...WRITE, grow: true },
        { copyOnWrite: true },
      ]
    ) {
      await assertLeaksNothing(100, () => {
        using file = openSync(large, options);
        for (const use of ["bytes", "indexOf"] as const) {
          try {
            file[use](0);
            console.log("was mapped");
          } catch (error) {
            if ((error as { code?: string }).code !== "ENOMEM") throw error;
          }
        }
      });
    }
    const created = { ...CREATE, size: 2 ** 42, sparse: true };
    await assertFailsClean("new", missing, created);
    await assertFailsClean("new", missing, {
      ...WRITE,
      createNew: true,
      size: 2 ** 42,
      sparse: true,
    });
    // Extending an open file fails too, and the file can be closed.
    await assertClosesClean((file) => file.truncateSync(2 ** 42));
    await assertClosesClean((file) => file.truncate(2 ** 42));
    await assertClosesClean((file) => {
      Deno.truncateSync(path, 2 ** 42);
      file.refresh();
    });
    Deno.truncateSync(large, 0);
  },

  async exists() {
    const createNew = { ...WRITE, createNew: true, size: PAGE };
    await assertFailsClean("createNew", path, createNew);
    await assertFailsClean("createNew", directory, createNew);
  },

  async afterClose() {
    const buffer = new Uint8Array(10);
    // One for all: each would be a mapping until it is collected.
    const large = new Uint8Array(2 << 20);
    const uses: ((file: MmapFile) => unknown)[] = [
      (file) => file.readSync(buffer),
      (file) => file.read(buffer),
      (file) => file.readAt(large, 0),
      (file) => file.writeSync(buffer),
      (file) => file.write(large),
      (file) => file.bytes(),
      (file) => file.truncateSync(10),
      (file) => file.truncate(10),
      (file) => file.refresh(),
      (file) => file.statSync(),
      (file) => file.stat(),
      (file) => file.syncSync(),
      (file) => file.sync(),
      (file) => file.flush(),
      (file) => file.prefetch(),
      (file) => file.lock(),
      (file) => file.lockSync(),
      (file) => file.readable.getReader().read(),
      (file) => file.writable.getWriter().write(buffer),
      (file) => file.close(),
    ];
    for (const use of uses) {
      await assertClosesClean((file) => {
        file.close();
        return use(file);
      });
    }
  },

  async failingCalls() {
    const buffer = new Uint8Array(10);
    const uses: ((file: MmapFile) => unknown)[] = [
      (file) => file.truncateSync(Number.MAX_SAFE_INTEGER),
      (file) => file.truncate(Number.MAX_SAFE_INTEGER),
      (file) => file.truncateSync(-1),
      (file) => file.writeAtSync(buffer, 3 * PAGE - 5),
      (file) => file.writeAt(new Uint8Array(2 << 20), 0),
      (file) => file.readAtSync(buffer, -1),
      (file) => file.bytes(0, 2 ** 40),
      (file) => file.view(Int32Array, 1),
      (file) => file.seekSync(-1, Deno.SeekMode.Start),
      (file) => file.utimeSync(NaN, 0),
      (file) => file.setRaw(true),
    ];
    for (const use of uses) {
      await assertClosesClean(use);
      await assertClosesClean(use, { read: true });
      await assertClosesClean(use, { ...WRITE, grow: true });
      await assertClosesClean(use, { copyOnWrite: true });
    }
  },

  async growth() {
    const grow = { ...WRITE, grow: true };
    const piece = new Uint8Array(300_000);
    await assertClosesClean(
      (file) => {
        for (let times = 0; times < 10; times++) {
          file.seekSync(0, Deno.SeekMode.End);
          file.writeSync(piece);
          file.bytes();
        }
        file.truncateSync(0);
      },
      grow,
      50,
    );
    await assertClosesClean(
      async (file) => {
        for (let times = 0; times < 10; times++) {
          await file.write(piece);
          file.readAtSync(new Uint8Array(1), file.size - 1);
        }
        await file.truncate(0);
      },
      { read: true, append: true },
      50,
    );
    await assertClosesClean(
      (file) => {
        const kept = [];
        for (let size = 0; size < 100; size++) {
          file.truncateSync(size * 1000);
          kept.push(file.bytes());
        }
      },
      WRITE,
      20,
    );
  },

  async resizing() {
    await assertClosesClean((file) => {
      for (let times = 0; times < 10; times++) {
        file.truncateSync(times * PAGE + 7);
        file.bytes();
      }
    });
    await assertClosesClean(async (file) => {
      for (let times = 10; times > 0; times--) await file.truncate(times * 999);
    });
    await assertClosesClean((file) => {
      for (let times = 0; times < 10; times++) {
        Deno.truncateSync(path, (times * 7 % 10) * PAGE);
        file.refresh();
        file.bytes();
      }
    });
    // Truncated by another process, and used after that.
    await assertClosesClean((file) => {
      Deno.truncateSync(path, 0);
      try {
        file.readSync(new Uint8Array(10));
      } finally {
        Deno.truncateSync(path, 3 * PAGE);
      }
    });
  },

  async streams() {
    await assertClosesClean(async (file) => {
      const reader = file.readable.getReader();
      while (!(await reader.read()).done);
    });
    await assertClosesClean((file) => file.readable.cancel());
    await assertClosesClean(async (file) => {
      const reader = file.readable.getReader();
      await reader.read();
      await reader.cancel("enough");
    });
    await assertClosesClean((file) =>
      file.readable.pipeTo(
        new WritableStream({
          write() {
            throw new Error("on purpose");
          },
        }),
      )
    );
    await assertClosesClean((file) =>
      new Response(new Uint8Array(PAGE)).body!.pipeTo(file.writable)
    );
    await assertClosesClean((file) =>
      new Response(new Uint8Array(4 * PAGE)).body!.pipeTo(file.writable)
    );
    await assertClosesClean((file) => file.writable.abort());
    await assertClosesClean((file) => file.readable.getReader().read(), {
      write: true,
    });
  },

  async operations() {
    await assertClosesClean(async (file) => {
      await Promise.all([
        file.sync(),
        file.syncData(),
        file.flush(),
        file.prefetch(),
        file.stat(),
        file.lock(true),
        file.read(new Uint8Array(3 << 20)),
      ]);
      file.advise("random");
      await file.unlock();
    });
    // A wait for a lock has its own descriptor, until the lock is acquired.
    const holder = Deno.openSync(path);
    await assertClosesClean(
      async (file) => {
        holder.lockSync(true);
        const locks = [file.lock(true), file.lock()];
        await sleep(1);
        file.close();
        holder.unlockSync();
        await Promise.allSettled(locks);
      },
      WRITE,
      30,
    );
    holder.close();
  },

  async advised() {
    await assertClosesClean((file) => file.bytes()[5], {
      advice: "random",
      prefetch: true,
    });
    await assertClosesClean((file) => file.bytes().fill(2), {
      copyOnWrite: true,
    });
    await assertClosesClean((file) => file.bytes().fill(2), {
      ...WRITE,
      guard: false,
    });
  },

  /** A closed file is not released a second time when it is garbage-collected. */
  async collected() {
    await assertLeaksNothing(300, () => {
      const file = openSync(path, WRITE);
      const [first] = file.bytes();
      file.close();
      return first;
    });
    const files = Array.from({ length: 100 }, () => openSync(path));
    for (const file of files) file.bytes();
    const mappings = countMappings(directory);
    await collect();
    const open = countDescriptors(Deno.realPathSync(directory));
    if (open !== files.length) console.log("closed twice");
    if (countMappings(directory) !== mappings) console.log("unmapped twice");
    for (const file of files) {
      if (file.statSync().size !== 3 * PAGE) console.log("not there");
      file.close();
    }
  },
};

await cases[name]!();
console.log("done");
