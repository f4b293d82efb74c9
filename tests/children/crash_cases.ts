/**
 * What must not kill the process: each case runs in a child process.
 * `deno run -A crash_cases.ts CASE DIRECTORY [DETAIL]` prints what it saw, and "done".
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  ClosedError,
  create,
  createSync,
  type MmapFile,
  open,
  openSync,
} from "../../mod.ts";
import { collect, collectUntil } from "../gc.ts";
import { countDescriptors, countMappings } from "../open_handles.ts";

const [name, directory, detail] = Deno.args as [string, string, string];
const PAGE = 4096;
const path = `${directory}/file`;

/** A new file of ones. */
function make(size = 16 * PAGE, at = path): MmapFile {
  const file = createSync(at, size);
  file.bytes().fill(1);
  return file;
}

function sum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum += bytes[at]!;
  return sum;
}

/** The name of the error that this throws, or what it returns. */
function outcome(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error instanceof Error ? error.name : error;
  }
}

/** How an operation ended that a close interrupted: done, or with a ClosedError. */
function settle(operation: Promise<unknown>): Promise<string> {
  return operation.then(
    () => "fine",
    (error) => error instanceof ClosedError ? "fine" : String(error),
  );
}

function postTo(code: string, value: unknown, transfer: Transferable[] = []) {
  const worker = new Worker(`data:text/javascript,${code}`, { type: "module" });
  const answer = new Promise<unknown>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = reject;
  });
  worker.postMessage(value, transfer);
  return answer.finally(() => worker.terminate());
}

const SUM =
  "onmessage = ({ data }) => postMessage(new Uint8Array(data.buffer ?? data)" +
  ".reduce((one, two) => one + two))";

/** What releases the memory under a view. */
const lettingGo: Record<string, (file: MmapFile) => void> = {
  close: (file) => file.close(),
  truncate: (file) => file.truncateSync(0),
  refresh(file) {
    Deno.truncateSync(path, 1);
    file.refresh();
  },
};

const views: Record<string, (file: MmapFile) => ArrayLike<number | bigint>> = {
  bytes: (file) => file.bytes(),
  subarray: (file) => file.bytes().subarray(100),
  Int8Array: (file) => file.view(Int8Array),
  Int32Array: (file) => file.view(Int32Array),
  Float64Array: (file) => file.view(Float64Array),
  BigUint64Array: (file) => file.view(BigUint64Array),
};

/** Rounds after which V8 has optimized a loop. */
const HOT = 20_000;
const LENGTH = 64;

const cases: Record<string, () => void | Promise<void>> = {
  readInLoop() {
    const file = make();
    const view = views[detail]!(file);
    const read = (stopAt: number) => {
      let found = 0;
      for (let at = 0; at < LENGTH; at++) {
        if (at === stopAt) file.close();
        if (view[at] !== undefined) found++;
      }
      return found;
    };
    for (let round = 0; round < HOT; round++) read(-1);
    console.log(read(-1), read(LENGTH / 2), read(-1), view.length);
  },

  writeInLoop() {
    const file = make();
    const view = views[detail]!(file) as Uint8Array;
    const [one] = view;
    const write = (stopAt: number) => {
      for (let at = 0; at < LENGTH; at++) {
        if (at === stopAt) file.close();
        view[at] = one!;
      }
    };
    for (let round = 0; round < HOT; round++) write(-1);
    write(LENGTH / 2);
    write(-1);
    console.log(view.length, sum(Deno.readFileSync(path)));
  },

  dataViewInLoop() {
    const file = make();
    const view = file.view(DataView);
    const read = (stopAt: number) => {
      let found = 0;
      try {
        for (let at = 0; at < LENGTH; at++) {
          if (at === stopAt) file.close();
          view.setUint16(at, view.getUint16(at, true), true);
          found++;
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      return found;
    };
    for (let round = 0; round < HOT; round++) read(-1);
    console.log(read(-1), read(LENGTH / 2), read(-1));
    console.log(outcome(() => view.byteLength));
  },

  /** The memory is released while a built-in function works on it. */
  closeWithin() {
    const uses: Record<string, (file: MmapFile, bytes: Uint8Array) => unknown> =
      {
        forEach: (file, bytes) => bytes.forEach(() => lettingGo[detail]!(file)),
        map: (file, bytes) => bytes.map(() => (lettingGo[detail]!(file), 1)),
        sort: (file, bytes) =>
          bytes.sort(() => (lettingGo[detail]!(file), 1)).length,
        fill: (file, bytes) => bytes.fill(evil(file, 1)),
        indexOf: (file, bytes) => bytes.indexOf(2, evil(file, 1)),
        copyWithin: (file, bytes) => bytes.copyWithin(evil(file, 1), 0),
        subarray: (file, bytes) => bytes.subarray(evil(file, 1)),
        slice: (file, bytes) => bytes.slice(evil(file, 1)),
        set: (file, bytes) => bytes.set([1, evil(file, 2), 3]),
        store: (file, bytes) => Atomics.store(bytes, 0, evil(file, 1)),
        add: (file, bytes) => Atomics.add(bytes, evil(file, 1), 1),
        dataView: (file) => file.view(DataView).setInt32(0, evil(file, 1)),
        iterate(file, bytes) {
          for (const _ of bytes) lettingGo[detail]!(file);
        },
        from: (file, bytes) =>
          Uint8Array.from(bytes, () => (lettingGo[detail]!(file), 1)),
        replace: (file, bytes) =>
          JSON.stringify(
            bytes,
            (_, value) => (lettingGo[detail]!(file), value),
          ),
      };
    for (const use of Object.values(uses)) {
      const file = make();
      const bytes = file.bytes();
      // JavaScript decides what it returns.
      const kept = outcome(() => use(file, bytes));
      if (kept instanceof Uint8Array) kept.fill(2);
      outcome(() => bytes.fill(3));
      if (bytes.length !== 0) console.log("still there", use);
      file[Symbol.dispose]();
    }
  },

  /** The file is closed by an argument of one of its methods. */
  closeInArgument() {
    const uses: ((file: MmapFile) => unknown)[] = [
      (file) => file.bytes(evil(file, 1)),
      (file) => file.bytes(0, evil(file, 1)),
      (file) => file.readAtSync(new Uint8Array(9), evil(file, 1)),
      (file) => file.writeAtSync(new Uint8Array(9), evil(file, 1)),
      (file) => file.seekSync(evil(file, 1), Deno.SeekMode.Start),
      (file) => file.truncateSync(evil(file, 1)),
      (file) => file.flushSync(evil(file, 1)),
      (file) => file.advise("random", evil(file, 1)),
      (file) => file.readSync(new Closing(file)),
      (file) => file.writeSync(new Closing(file)),
      (file) => file.readAtSync(new Closing(file), 5),
      (file) => file.writeAtSync(new Closing(file), 5),
      (file) => file.view(constructorThatCloses(file)),
    ];
    for (const use of uses) {
      const file = make();
      outcome(() => use(file));
      file[Symbol.dispose]();
    }
    console.log(sum(Deno.readFileSync(path)));
  },

  closeTwice() {
    const file = make();
    file.close();
    console.log(outcome(() => file.close()), outcome(() => file.close()));
    file[Symbol.dispose]();
    file[Symbol.dispose]();
    {
      using other = make();
      other.close();
    }
    // Another file may have the descriptor's number by now.
    const next = make();
    outcome(() => file.close());
    console.log(sum(next.bytes(0, 10)), next.statSync().size);
  },

  async structuredClone() {
    const file = make();
    const clone = structuredClone(file.bytes(PAGE, 10));
    file.close();
    console.log(sum(clone), clone.length);
    const other = make();
    const answer = postTo(SUM, other.bytes());
    other.close();
    console.log(await answer);
  },

  /** A growing file's memory may be larger than the file. */
  async cloneOfGrowing() {
    const guard = detail !== "unguarded";
    const options = { read: true, write: true, append: true, create: true };
    const file = openSync(path, { ...options, guard });
    file.writeSync(new Uint8Array(10).fill(1));
    console.log(sum(structuredClone(file.bytes())));
    console.log(await postTo(SUM, file.bytes()));
    console.log(sum(new Uint8Array(file.bytes().buffer)));
    Deno.inspect(file.bytes().buffer);
    console.log(outcome(() => file.readAtSync(new Uint8Array(20), 0)));
    console.log(outcome(() => file.writeSync(new Uint8Array(10))));
    console.log(outcome(() => file.syncSync()));
    console.log(outcome(() => file.close()));
  },

  strayWrites() {
    const file = openSync(path);
    const before = sum(Deno.readFileSync(path));
    const writer = Deno.openSync(path, { write: true });
    const show = (at = 0) => new TextDecoder().decode(file.bytes(at, 5));

    writer.writeSync(new TextEncoder().encode("OTHER"));
    console.log(show());
    const now = sum(Deno.readFileSync(path));

    file.bytes().set([97, 97]);
    file.view(DataView).setInt8(2, 97);
    Atomics.store(file.view(Uint8Array), 3, 97);
    file.bytes(file.size - 1)[0] = 97;
    console.log(show(), sum(file.bytes()) !== now);
    console.log(sum(Deno.readFileSync(path)) === now, now !== before);

    // On a page that was not written.
    writer.seekSync(5 * PAGE, Deno.SeekMode.Start);
    writer.writeSync(new TextEncoder().encode("LATER"));
    console.log(show(5 * PAGE));
    console.log(outcome(() => file.writeSync(new Uint8Array(1))));
    const later = Deno.readFileSync(path);
    file.close();
    console.log(
      Deno.readFileSync(path).every((byte, at) => byte === later[at]),
    );
  },

  async keptView() {
    const kept: { view?: ArrayLike<number | bigint> | DataView } = {};
    const descriptors = countDescriptors();
    (() => {
      const file = make();
      kept.view = detail === "DataView"
        ? file.view(DataView)
        : views[detail]!(file);
    })();
    await collect();
    const { view } = kept;
    const read = (view: ArrayLike<number | bigint> | DataView) =>
      view instanceof DataView
        ? view.getInt8(view.byteLength - 1)
        : view[view.length - 1];
    console.log(read(view!) === (() => read(kept.view!))());
    console.log(countMappings(path), countDescriptors() - descriptors);
  },

  async keptViewDropped() {
    const kept: { view?: Uint8Array } = {};
    const descriptors = countDescriptors();
    (() => {
      kept.view = make().bytes(PAGE, PAGE);
    })();
    await collect();
    console.log((() => sum(kept.view!))(), countMappings(path));
    delete kept.view;
    await collectUntil(() => countMappings(path) === 0);
    console.log(countMappings(path), countDescriptors() - descriptors);
    console.log(sum(Deno.readFileSync(path)));
  },

  async dropped() {
    const write = { read: true, write: true };
    const forget: Record<string, () => unknown> = {
      readOnly: () => openSync(path).bytes()[0],
      written: () => openSync(path, write).writeSync(Uint8Array.of(7)),
      async async() {
        const file = await open(path);
        await file.read(new Uint8Array(10));
      },
      copyOnWrite: () =>
        openSync(path, { copyOnWrite: true }).bytes().fill(200),
      grown() {
        const file = openSync(path, { ...write, grow: true });
        for (let times = 0; times < 5; times++) {
          file.seekSync(0, Deno.SeekMode.End);
          file.writeSync(new Uint8Array(1 << 20));
          file.bytes()[file.size - 1] = 5;
        }
      },
      truncated() {
        const file = openSync(path, write);
        file.truncateSync(PAGE);
        return file.bytes()[0];
      },
      empty: () => openSync(`${path}-empty`).size,
      unused: () => openSync(path, write).size,
      window: () => openSync(path, { offset: 5000, length: 100 }).bytes()[0],
      async stream() {
        const reader = openSync(path).readable.getReader();
        await reader.read();
      },
    };
    Deno.writeFileSync(`${path}-empty`, new Uint8Array(0));
    make().close();
    const descriptors = countDescriptors();
    for (let times = 0; times < 20; times++) {
      await (async () => await forget[detail]!())();
    }
    console.log(countDescriptors() > descriptors);
    // All but the last, which the engine may still hold.
    const areGivenBack = () =>
      countMappings(path) <= 1 && countDescriptors() <= descriptors + 1;
    await collectUntil(areGivenBack);
    console.log(areGivenBack());
    console.log(Deno.readFileSync(path)[0]);
  },

  /** A closed file is not closed again when it is garbage-collected. */
  async closedThenCollected() {
    (() => {
      for (let times = 0; times < 200; times++) {
        const file = make(PAGE);
        file.truncateSync(10);
        file.truncateSync(PAGE);
        file.close();
      }
    })();
    const files = Array.from(
      { length: 200 },
      (_, at) => make(PAGE, `${path}${at}`),
    );
    await collect(20);
    let count = 0;
    for (const file of files) count += file.statSync().size + file.bytes()[0]!;
    console.log(count, countMappings(path));
    for (const file of files) file.close();
    await collectUntil(() => countMappings(path) === 0);
    console.log(countMappings(path));
  },

  /** Transfers the memory in the way that DETAIL names. */
  async moved() {
    const file = make();
    const bytes = file.bytes();
    const ways: Record<string, () => Promise<Uint8Array> | Uint8Array> = {
      transfer: () => new Uint8Array(bytes.buffer.transfer()),
      structuredClone: () =>
        structuredClone(bytes, { transfer: [bytes.buffer] }),
      async stream() {
        const stream = new ReadableStream({
          type: "bytes",
          start: (controller) => controller.enqueue(bytes),
        });
        const { value } = await stream.getReader().read();
        return value!;
      },
    };
    const moved = await ways[detail]!();
    console.log(bytes.length, moved.length);
    console.log(outcome(() => file.bytes()));
    console.log(outcome(() => file.readSync(new Uint8Array(1))));
    console.log(outcome(() => file.writeAtSync(new Uint8Array(1), 0)));
    console.log(await file.sync().catch((error) => error.name));
    file.close();
    await collect();
    console.log(sum(moved), moved.fill(2)[0]);
    console.log(outcome(() => file.close()));
  },

  /** A view of a growing file need not be over the memory that the file itself uses. */
  async growing() {
    const options = { read: true, append: true, create: true };
    const ones = new Uint8Array(PAGE).fill(1);
    const descriptors = countDescriptors();
    const kept: { view?: Uint8Array } = {};
    (() => {
      const file = openSync(path, options);
      file.writeSync(ones);
      const first = file.bytes();
      file.writeSync(ones);
      kept.view = file.bytes();
      console.log(sum(first) === 0 || sum(first) === PAGE);
    })();
    await collect();
    console.log((() => sum(kept.view!))(), countMappings(path));
    delete kept.view;
    await collectUntil(() => countMappings(path) === 0);
    console.log(countMappings(path), countDescriptors() - descriptors);

    const file = openSync(path, options);
    file.bytes();
    await collect();
    // The views are gone, but not the file.
    console.log(file.writeSync(ones), sum(file.bytes()));
    file.close();
  },

  async movedToWorker() {
    const file = make();
    const bytes = file.bytes();
    const answer = postTo(SUM, bytes.buffer, [bytes.buffer]);
    file.close();
    console.log(await answer, bytes.length);
    await collect();
  },

  async terminated() {
    const file = make(8 << 20);
    using _held = lockElsewhere(path);
    for (let times = 0; times < 4; times++) {
      const url = new URL("../workers/endless_worker.ts", import.meta.url);
      const worker = new Worker(url, { type: "module" });
      await new Promise((resolve, reject) => {
        worker.onmessage = resolve;
        worker.onerror = reject;
        worker.postMessage({ task: detail, path });
      });
      await sleep(times);
      worker.terminate();
      if (sum(file.bytes()) !== file.size) console.log("wrong bytes");
    }
    // Until the workers have ended, and had time to leak something.
    await sleep(200);
    console.log(file.readSync(new Uint8Array(PAGE)));
    file.close();
    console.log("done");
    Deno.exit(0);
  },

  atomicsWait() {
    const file = make();
    const words = file.view(Int32Array);
    console.log(outcome(() => Atomics.wait(words, 0, 0, 1)));
    console.log(outcome(() => Atomics.waitAsync(words, 0, 0, 1)));
    console.log(outcome(() => Atomics.notify(words, 0)));
    file.close();
    console.log(outcome(() => Atomics.notify(words, 0)));
    console.log(outcome(() => Atomics.load(words, 0)));
  },

  uncaught() {
    const file = make();
    file.bytes()[0] = 100;
    throw new Error("on purpose");
  },

  rejected() {
    const file = make();
    file.bytes()[0] = 100;
    Promise.reject(new Error("on purpose"));
  },

  openAtExit() {
    const file = make();
    file.bytes()[0] = 100;
    openSync(path, { read: true, write: true, grow: true }).writeSync(
      Uint8Array.of(100),
    );
  },

  exitAmidst() {
    const file = make(8 << 20);
    file.bytes()[0] = 100;
    const big = new Uint8Array(8 << 20).fill(1);
    const view = file.bytes();
    file.read(big);
    file.readAt(big, 10);
    file.sync();
    file.prefetch();
    crypto.subtle.digest("SHA-256", view);
    Deno.writeFile(`${path}2`, view);
    using _held = lockElsewhere(path);
    file.lock(true);
    setTimeout(() => Deno.exit(7), 1);
  },

  exitInCallback() {
    const file = make();
    const bytes = file.bytes();
    bytes[0] = 100;
    bytes.forEach(() => Deno.exit(7));
  },

  unload() {
    const file = make();
    const bytes = file.bytes();
    globalThis.addEventListener("unload", () => {
      file.writeSync(Uint8Array.of(100));
      file.close();
      console.log("unloaded", bytes.length);
    });
  },

  killed() {
    const file = make();
    file.bytes()[0] = 100;
    file.writeAtSync(Uint8Array.of(100), 15 * PAGE);
    Deno.kill(Deno.pid, "SIGKILL");
    for (;;);
  },

  growUnderView() {
    const file = openSync(path, {
      read: true,
      write: true,
      create: true,
      grow: true,
    });
    file.writeSync(new Uint8Array(PAGE).fill(1));
    const view = file.bytes();
    const words = file.view(Int32Array);
    const data = file.view(DataView);
    const piece = new Uint8Array(3 << 20).fill(2);
    const read = (growAt: number) => {
      let found = 0;
      for (let at = 0; at < LENGTH; at++) {
        if (at === growAt) {
          file.writeAtSync(piece, PAGE);
          file.bytes();
        }
        found += (view[at] ?? 1) + (words[at] ?? 0x01010101);
      }
      return found;
    };
    for (let round = 0; round < HOT; round++) read(-1);
    console.log(read(-1) === read(LENGTH / 2), read(-1) === read(-1));
    // As it was, or empty: nothing in between.
    console.log(view.length === 0 || sum(view) === PAGE);
    const byte = outcome(() => data.getInt8(0));
    console.log(byte === "TypeError" || byte === 1);
    console.log(sum(file.bytes()) === PAGE + piece.length * 2);
    file.close();
    console.log(view.length, words.length);
  },

  async growUnderWork() {
    const file = openSync(path, {
      read: true,
      write: true,
      create: true,
      grow: true,
    });
    file.writeSync(new Uint8Array(8 << 20).fill(1));
    const view = file.bytes();
    const work = [
      crypto.subtle.digest("SHA-256", view),
      Deno.writeFile(`${path}2`, view),
      file.readAt(new Uint8Array(8 << 20), 0),
      file.prefetch(),
      file.flush(),
      file.writeAt(view, 8 << 20),
    ].map((work) => work.then(() => "fine", String));
    for (let times = 0; times < 8; times++) {
      file.seekSync(0, Deno.SeekMode.End);
      file.writeSync(new Uint8Array(4 << 20));
      file.bytes()[0] = 1;
      await sleep(0);
    }
    console.error(await Promise.all(work));
    console.log(file.size === Deno.statSync(path).size);
    file.close();
  },

  growByItself() {
    const file = openSync(path, {
      read: true,
      write: true,
      create: true,
      grow: true,
    });
    file.writeSync(new Uint8Array(1 << 20).fill(1));
    for (let times = 0; times < 3; times++) {
      file.seekSync(0, Deno.SeekMode.End);
      file.writeSync(file.bytes());
    }
    console.log(file.size, sum(file.bytes()));
    file.close();
  },

  /** A close during each operation, after 0 to 4 turns of the event loop. */
  async closeWhilePending() {
    const large = 4 << 20;
    const operations: Record<string, (file: MmapFile) => Promise<unknown>> = {
      read: (file) => file.read(new Uint8Array(large)),
      readAt: (file) => file.readAt(new Uint8Array(large), 1),
      write: (file) => file.write(new Uint8Array(large).fill(3)),
      writeAt: (file) => file.writeAt(new Uint8Array(large).fill(3), 0),
      writeItself: (file) => file.writeAt(file.bytes(), 0),
      readItself: (file) => file.readAt(file.bytes(0, large / 2), large / 2),
      sync: (file) => file.sync(),
      syncData: (file) => file.syncData(),
      flush: (file) => file.flush(),
      prefetch: (file) => file.prefetch(),
      truncate: (file) => file.truncate(large / 2),
      extend: (file) => file.truncate(large * 2),
      stat: (file) => file.stat(),
      utime: (file) => file.utime(1, 2),
      seek: (file) => file.seek(1, Deno.SeekMode.Start),
      tryLock: (file) => file.tryLock(true),
      unlock: (file) => file.unlock(),
      queue: (file) =>
        Promise.all([
          file.read(new Uint8Array(large)),
          file.seek(0, Deno.SeekMode.Start),
          file.write(new Uint8Array(10)),
          file.truncate(100),
        ]),
    };
    const operate = operations[detail];
    const other = `${path}-other`;
    for (let turns = 0; turns < 5; turns++) {
      using file = make(large);
      file.flushSync();
      const operation = settle(operate!(file));
      for (let turn = 0; turn < turns; turn++) await sleep(0);
      if (turns === 1) await null;
      file.close();
      // Takes the descriptor's number, and perhaps the address.
      using next = make(large, other);
      const ended = await operation;
      if (ended !== "fine") console.log(ended);
      const whole = sum(next.bytes()) === large &&
        next.statSync().size === large;
      if (!whole) console.log("another file was hit");
    }
  },

  async closeWhileLocking() {
    make().close();
    const holder = lockElsewhere(path);
    const file = openSync(path, { read: true, write: true });
    const locking = settle(file.lock(true));
    const shared = settle(file.lock());
    await sleep(10);
    file.close();
    holder.close();
    console.log(await locking, await shared);
    // No process holds it now.
    console.log(openSync(path).tryLockSync(true));
  },

  async closeWhileStreaming() {
    const file = make(1 << 20);
    const reader = file.readable.getReader();
    await reader.read();
    file.close();
    console.log(await reader.read().catch((error) => error.name));
    const other = make(1 << 20);
    const writer = other.writable.getWriter();
    await writer.write(new Uint8Array(10));
    other.close();
    console.log(
      await writer.write(new Uint8Array(10)).catch((error) => error.name),
    );
    await writer.closed.catch(() => {});
  },

  /** `open` whose file is closed as soon as it is open, many at once. */
  async openAtOnce() {
    const files = await Promise.all(
      Array.from({ length: 50 }, (_, at) => create(`${path}${at}`, 1 << 20)),
    );
    await Promise.all(files.map(async (file) => {
      const work = settle(file.sync());
      file.close();
      if (await work !== "fine") console.log("not fine");
    }));
    console.log(countMappings(path));
  },
};

/** A number that closes the file, or releases its memory as DETAIL says, when it is converted. */
function evil(file: MmapFile, number: number): number {
  const letGo = lettingGo[detail] ?? lettingGo.close;
  return { valueOf: () => (letGo!(file), number) } as unknown as number;
}

class Closing extends Uint8Array {
  readonly #file: MmapFile;

  constructor(file: MmapFile) {
    super(10);
    this.#file = file;
  }

  override get length(): number {
    this.#file?.[Symbol.dispose]();
    return 10;
  }
}

function constructorThatCloses(file: MmapFile) {
  return class extends Uint8Array<ArrayBuffer> {
    static override get BYTES_PER_ELEMENT(): 1 {
      file[Symbol.dispose]();
      return 1;
    }
  };
}

function lockElsewhere(path: string): Deno.FsFile {
  const file = Deno.openSync(path);
  file.lockSync(true);
  return file;
}

globalThis.addEventListener("unhandledrejection", () => {
  console.log("unhandled rejection");
});
await cases[name]!();
console.log("done");
