/** Memory that the engine owns, of files of every size and kind, and that it does not leak. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { openSync } from "../mod.ts";
import { kinds } from "./children/view_kinds.ts";
import { contentsOf, SIZE } from "./children/native_operations.ts";
import { deno } from "./run_deno.ts";
import {
  isEmulated,
  isWindows,
  NO_GUARD,
  TOO_SLOW,
  unless,
  unlessSampled,
} from "./skip.ts";
import { equal } from "./bytes.ts";
import { TempDir, testInDir } from "./temp_dir.ts";

const CHILD = fromFileUrl(new URL("children/owned_memory.ts", import.meta.url));

/** MMAPFILE_LONG=1 repeats each case as often as documented, which takes minutes. */
const isLong = Deno.env.get("MMAPFILE_LONG") === "1";

/** A case of `children/owned_memory.ts`: what it shows, and how often it is repeated, normally and with MMAPFILE_LONG. */
const CASES: Record<string, { what: string; times?: [number, number] }> = {
  closed: {
    what: "files that were handed out and closed leak nothing",
    times: [2000, 100_000],
  },
  dropped: {
    what: "files that were handed out and dropped leak nothing",
    times: [2000, 20_000],
  },
  terminated: {
    what: "files of terminated workers leak nothing",
    times: [3, 20],
  },
  closedByItself: {
    what: "files of workers that closed themselves leak nothing",
    times: [3, 20],
  },
  uncaught: {
    what: "files of workers that ended by an error leak nothing",
    times: [3, 20],
  },
  guardTable: {
    what: "the guard's table has room after workers with 1000 files each",
    times: [2, 40],
  },
  sizes: { what: "files of 1 byte to 16 GiB + 1 are read, written and grown" },
  shaken: {
    what:
      "repeated truncation of a shared file by another process does not kill workers",
    times: [3, 60],
  },
  truncated: {
    what: "views of every kind read zeros where another process truncated",
  },
};

/** Cases for an engine without a just-in-time compiler, which has no WebAssembly either. */
const WITHOUT_WASM: Record<string, string> = {
  withoutWebAssembly:
    "without WebAssembly everything works except shared memory",
  keptFromReuse: "without WebAssembly no new mapping lies where a view was",
};

for (const [k, [name, { what, times }]] of Object.entries(CASES).entries()) {
  Deno.test({
    ...unless(NO_GUARD || unlessSampled(k), what),
    fn: () => assertHolds(name, countOf(times)),
  });
}

for (const [name, what] of Object.entries(WITHOUT_WASM)) {
  Deno.test({
    ...unless(NO_GUARD || TOO_SLOW, what),
    fn: () => assertHolds(name, 1, ",--jitless"),
  });
}

/** How often a case is repeated; under QEMU a twentieth. */
function countOf([seldom, long]: [number, number] = [1, 1]): number {
  if (isLong) return long;
  return isEmulated ? Math.ceil(seldom / 20) : seldom;
}

async function assertHolds(
  name: string,
  count = 1,
  flags = "",
): Promise<void> {
  using directory = new TempDir();
  const { code, stdout, stderr } = await deno([
    ...["run", "-A", "--no-lock", "--no-config"],
    `--v8-flags=--expose-gc${flags}`,
    ...[CHILD, name, directory.path, `${count}`],
  ]);
  assertEquals([stdout, code], ["done\n", 0], stderr);
}

/** What would detach the memory from the file. */
const MOVES: Record<string, (bytes: Uint8Array<ArrayBuffer>) => unknown> = {
  "transfer()": ({ buffer }) => buffer.transfer(),
  "transferToFixedLength()": ({ buffer }) => buffer.transferToFixedLength(),
  "structuredClone() with transfer": (bytes) =>
    structuredClone(bytes, { transfer: [bytes.buffer] }),
  "postMessage() with transfer": (bytes) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(bytes, [bytes.buffer]);
    } finally {
      port1.close();
      port2.close();
    }
  },
  "a byte stream's enqueue()": (bytes) =>
    new ReadableStream({
      type: "bytes",
      start: (controller) => controller.enqueue(bytes),
    }),
};

/** Operations that copy a view. */
const COPIES: Record<string, (bytes: Uint8Array) => Promise<Uint8Array>> = {
  // deno-lint-ignore require-await
  "structuredClone()": async (bytes) => structuredClone(bytes),
  "postMessage()": async (bytes) => {
    const { port1, port2 } = new MessageChannel();
    const received = new Promise<MessageEvent>((resolve) =>
      port2.onmessage = resolve
    );
    port1.postMessage(bytes);
    const { data } = await received;
    port1.close();
    port2.close();
    return data;
  },
};

for (
  const [kind, { options, start, length, viewOf }] of Object.entries(kinds)
) {
  if (options.shared) continue;
  for (const [how, move] of Object.entries(MOVES)) {
    testInDir(
      `${how} of a view is a TypeError, and the file is unchanged: ${kind}`,
      (dir) => {
        const contents = contentsOf(SIZE);
        const path = dir.file(contents);
        using file = openSync(path, options);
        const view = viewOf(file);
        assertThrows(() => move(view), TypeError);
        assertEquals(view.length, length);
        assert(equal(view, contents.subarray(start, start + length)));
        assert(equal(Deno.readFileSync(path), contents));
      },
      isWindows && "the engine does not own this memory",
    );
  }
}

for (const [how, copy] of Object.entries(COPIES)) {
  for (const size of [1, 4096, 100_000]) {
    testInDir(`${how} of a view copies it: ${size} bytes`, async (dir) => {
      const contents = contentsOf(size);
      const path = dir.file(contents);
      for (const grow of [false, true]) {
        using file = openSync(path, { read: true, write: true, grow });
        const clone = await copy(file.bytes());
        if (grow) file.writeAtSync(Uint8Array.of(1, 2), size - 1);
        const grown = await copy(file.bytes());
        assert(equal(clone, contents));
        assertEquals(grown.length, grow ? size + 1 : size);
        clone.fill(0);
        assertEquals(
          Deno.readFileSync(path)[0],
          size === 1 && grow ? 1 : contents[0],
        );
      }
    });
  }
}
