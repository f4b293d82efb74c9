/**
 * What must not happen on Windows when memory is unmapped, each case in a child process.
 * `deno run -A --v8-flags=--expose-gc windows.ts CASE DIRECTORY [DETAIL]` prints what is wrong, and "done".
 */

import { Buffer } from "node:buffer";
import { closeSync, openSync as openDescriptor, read } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type MmapFile, openSync } from "../../mod.ts";
import {
  FILE_ATTRIBUTE_NORMAL,
  GENERIC_READ,
  INVALID_HANDLE_VALUE,
  kernel32,
  OPEN_EXISTING,
} from "../../src/windows/kernel32.ts";
import { collect, collectUntil } from "../gc.ts";

const [name, directory, detail] = Deno.args as [string, string, string];

/** The byte of the file whose memory is unmapped, and the byte of all other files. */
const OWN = 65;
const OTHER = 46;
/** For operations, more than the buffers of a socket hold. */
const SIZE = name === "operation" ? 16 << 20 : 1 << 20;
const OTHER_BYTES = new Uint8Array(SIZE).fill(OTHER);
const OTHERS = 3;
const READ_WRITE = { read: true, write: true };
const path = `${directory}\\own`;
/** What operations read from and write to. */
const source = fill(`${directory}\\source`, OWN);
const target = `${directory}\\target`;

/** More native calls than Deno has threads for them: what is called after them waits. */
const POOL = 40;
const BUSY_MS = 50;

const { Sleep } = Deno.dlopen("kernel32.dll", {
  // void Sleep(DWORD dwMilliseconds);
  Sleep: { parameters: ["u32"], result: "void", nonblocking: true },
}).symbols;

function occupyPool(): Promise<unknown> {
  return Promise.all(Array.from({ length: POOL }, () => Sleep(BUSY_MS)));
}

function fill(path: string, byte: number, size = SIZE): string {
  Deno.writeFileSync(path, new Uint8Array(size).fill(byte));
  return path;
}

const others = Array.from(
  { length: OTHERS },
  (_, k) => fill(`${directory}\\other${k}`, OTHER),
);

/** Opens other files, which are likely to be mapped at the addresses that were just unmapped. */
function openOthers(): MmapFile[] {
  return others.map((path) => {
    const file = openSync(path, READ_WRITE);
    file.bytes();
    return file;
  });
}

/** What unmaps the memory of a view. */
const releases: Record<string, (file: MmapFile) => void | Promise<void>> = {
  close: (file) => file.close(),
  refresh(file) {
    Deno.truncateSync(path, 2 * SIZE);
    file.refresh();
    file.bytes();
  },
  growth(file) {
    file.seekSync(0, Deno.SeekMode.End);
    file.writeSync(new Uint8Array(SIZE).fill(OWN));
    file.bytes();
  },
  truncate: (file) => file.truncateSync(0),
  collected: () => collect(3),
};

const cases: Record<string, () => void | Promise<void>> = {
  /** The addresses of memory that was handed out are not reused for another file. */
  async addresses() {
    const unmapped: Range[] = [];
    for (let round = 0; round < 20; round++) {
      fill(path, OWN);
      unmapped.push(...await releasedRanges(releases[detail]!));
      for (const file of openOthers()) {
        const [first, end] = rangeOf(file.bytes());
        if (unmapped.some((range) => first < range[1] && range[0] < end)) {
          console.log(`round ${round}: another file is at ${first}`);
        }
        file.close();
      }
    }
  },

  /** A native operation in progress neither reads nor writes another file. */
  async operation() {
    for (const [how, release] of Object.entries(releases)) {
      fill(path, OWN);
      Deno.writeFileSync(target, new Uint8Array(0));
      // Not compared: an error, or the right bytes.
      console.error(`${detail}, ${how}: ${await outcomeOf(release)}`);
      if (Deno.readFileSync(target).some((byte) => byte !== OWN)) {
        console.log(`${how}: bytes were read that the file never held`);
      }
      for (const other of others) {
        if (Buffer.compare(Deno.readFileSync(other), OTHER_BYTES) !== 0) {
          console.log(`${how}: another file was changed`);
        }
      }
      // A file that is still mapped cannot be truncated.
      await collect();
    }
  },

  /** flush() flushes its bytes if the file is closed before a thread is free for it. */
  async flushThenClose() {
    for (const call of ["flush", "sync", "syncData"] as const) {
      fill(path, OWN);
      const file = openSync(path, READ_WRITE);
      file.bytes().fill(OTHER);
      const busy = occupyPool();
      const done = file[call]().then(() => "done", String);
      file.close();
      if (!isOpen(path)) console.log(`${call}: the handle was closed before`);
      const outcome = await done;
      if (outcome !== "done") console.log(`${call}: ${outcome}`);
      if (isOpen(path)) console.log(`${call}: the handle is still open`);
      await busy;
      if (Deno.readFileSync(path).some((byte) => byte !== OTHER)) {
        console.log(`${call}: changes are lost`);
      }
    }
  },

  /** A file that is dropped without close() is closed, also if it is not mapped. */
  async dropped() {
    const drops: Record<string, (file: MmapFile) => void> = {
      unused: () => {},
      mapped: (file) => file.bytes(),
      truncated: (file) => file.truncateSync(0),
      emptied(file) {
        file.truncateSync(0);
        file.bytes();
      },
    };
    for (const [how, drop] of Object.entries(drops)) {
      fill(path, OWN, 100);
      openAndDrop(drop);
      await collectUntil(() => !isOpen(path));
      if (isOpen(path)) console.log(`${how}: a handle is still open`);
    }
    // A separate function, which has returned when garbage is collected.
    function openAndDrop(drop: (file: MmapFile) => void): void {
      for (let round = 0; round < 50; round++) {
        const file = openSync(path, READ_WRITE);
        if (file.size > 0) drop(file);
      }
    }
  },
};

/** The first address of a view, and the one after its last. */
type Range = [number, number];

/** Opens the file and releases its memory; returns where that was. */
async function releasedRanges(
  release: (file: MmapFile) => void | Promise<void>,
): Promise<Range[]> {
  if (release === releases.collected) {
    const range = openAndDrop();
    await collect(3);
    return [range];
  }
  const file = openSync(path, { ...READ_WRITE, grow: true });
  const ranges = [rangeOf(file.bytes())];
  await release(file);
  if (!file.closed) {
    if (file.size > 0) ranges.push(rangeOf(file.bytes()));
    file.close();
  }
  return ranges;

  function openAndDrop(): Range {
    return rangeOf(openSync(path).bytes());
  }
}

/** Begins an operation on a view, releases the memory, opens other files, and returns how the operation ends. */
async function outcomeOf(
  release: (file: MmapFile) => void | Promise<void>,
): Promise<string> {
  let file: MmapFile | null = openSync(path, { ...READ_WRITE, grow: true });
  const operation = await operations[detail]!(file.bytes());
  // Handled at once: it may reject before it is awaited.
  const outcome = operation.done.then(String, String);
  if (release === releases.collected) file = null;
  await release(file!);
  const opened = openOthers();
  operation.resume?.();
  const result = await outcome;
  operation.end?.();
  for (const other of opened) other.close();
  if (file !== null && !file.closed) file.close();
  return result;
}

/** An operation that has begun. */
interface Operation {
  readonly done: Promise<unknown>;
  /** Lets it continue if it waits for something. */
  readonly resume?: () => void;
  readonly end?: () => void;
}

const operations: Record<
  string,
  (view: Uint8Array<ArrayBuffer>) => Operation | Promise<Operation>
> = {
  async tcpRead(view) {
    const [one, two] = await connect();
    const done = one.read(view);
    await sleep(20);
    return {
      done,
      resume: () => void two.write(new Uint8Array(1000).fill(OWN)),
      end() {
        one.close();
        two.close();
      },
    };
  },
  fileRead: (view) =>
    queued(async () => {
      using file = Deno.openSync(source);
      return await file.read(view);
    }),
  nodeRead: (view) =>
    queued(() =>
      new Promise((resolve) => {
        const fd = openDescriptor(source, "r");
        read(fd, view, 0, SIZE, 0, (error, count) => {
          closeSync(fd);
          resolve(error ?? count);
        });
      })
    ),
  fileWrite: (view) =>
    queued(async () => {
      using file = Deno.createSync(target);
      return await file.write(view);
    }),
};

/** Begins an operation for which no thread is free before its memory is unmapped. */
function queued(operation: () => Promise<unknown>): Operation {
  const busy = occupyPool();
  return { done: operation().finally(() => busy) };
}

/** Both ends of a connection. */
async function connect(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  return await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port }),
  ]);
}

function rangeOf(view: Uint8Array<ArrayBuffer>): Range {
  const first = Number(
    Deno.UnsafePointer.value(Deno.UnsafePointer.of(view)),
  );
  return [first, first + view.byteLength];
}

/** Whether a file has an open handle: an exclusive open then fails. */
function isOpen(path: string): boolean {
  const { CreateFileW, CloseHandle } = kernel32();
  const units = Uint16Array.from(`${path}\0`, (unit) => unit.charCodeAt(0));
  const handle = CreateFileW(
    units,
    GENERIC_READ,
    0,
    0n,
    OPEN_EXISTING,
    FILE_ATTRIBUTE_NORMAL,
    0n,
  );
  if (handle === INVALID_HANDLE_VALUE) return true;
  CloseHandle(handle);
  return false;
}

await cases[name]!();
console.log("done");
Deno.exit(0);
