/** Memory that is replaced during a loop: the loop returns the right bytes or throws, and does not end early. */

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
  toReadableStream,
} from "@mmapfile/mmapfile";
import { isCopy, NOT_SHAREABLE } from "./tested_module.ts";
import { encode, equal } from "./bytes.ts";
import { outcomeOf } from "./outcome.ts";
import { testInDir as test } from "./temp_dir.ts";

const KIB = 1 << 10;
const PIECE = 64 * KIB;
const { Start } = Deno.SeekMode;

/** More than 600 KiB, in lines that all differ. */
const TEXT = Array.from(
  { length: 3000 },
  (_, k) => `line ${k} ${"é".repeat(95 + k % 11)}\n`,
).join("");
const BYTES = encode(TEXT);
const LINES = TEXT.trimEnd().split("\n");

/** Called before each step of a loop. */
type Step = () => void;

/** Reads a file in some way, and returns the bytes. */
type Loop = (file: MmapFile, step: Step) => unknown;

const LOOPS: Record<string, Loop> = {
  "writeTo() a writer": async (file, step) => {
    const taken: Uint8Array[] = [];
    const count = await file.writeTo({
      write(p) {
        step();
        const chunk = p.slice(0, PIECE);
        taken.push(chunk);
        return Promise.resolve(chunk.length);
      },
    });
    assertEquals(count, joined(taken).length);
    return joined(taken);
  },
  "writeToSync()": (file, step) => {
    const taken: Uint8Array[] = [];
    file.writeToSync({
      writeSync(p) {
        const chunk = p.slice(0, PIECE);
        step();
        taken.push(chunk);
        return chunk.length;
      },
    });
    return joined(taken);
  },
  "writeTo() a slow stream": async (file, step) => {
    const taken: Uint8Array[] = [];
    await file.writeTo(slowSink(taken, step));
    return joined(taken);
  },
  "readFrom() another file": async (file, step) => {
    using target = openSync(`${file.name}.target`, {
      read: true,
      write: true,
      create: true,
      truncate: true,
      grow: true,
    });
    file.seekSync(0, Start);
    const copying = target.readFrom(file);
    step();
    await copying;
    return target.copy();
  },
  "readable": (file, step) => collected(file.readable, step),
  ...Object.fromEntries(
    [false, true].map((zeroCopy): [string, Loop] => [
      `toReadableStream() with zeroCopy: ${zeroCopy}`,
      (file, step) =>
        collected(
          toReadableStream(file, { chunkSize: PIECE, zeroCopy }),
          step,
        ),
    ]),
  ),
  "toReadableStream() piped through a slow sink": async (file, step) => {
    const taken: Uint8Array[] = [];
    const options = { chunkSize: PIECE, zeroCopy: true };
    await toReadableStream(file, options).pipeTo(slowSink(taken, step));
    return joined(taken);
  },
  "a BYOB reader": async (file, step) => {
    const reader = toReadableStream(file).getReader({ mode: "byob" });
    const taken: Uint8Array[] = [];
    for (;;) {
      step();
      const { value, done } = await reader.read(new Uint8Array(PIECE));
      if (done) return joined(taken);
      taken.push(value);
    }
  },
  "chunks()": (file, step) => {
    const taken: Uint8Array[] = [];
    for (const chunk of file.chunks(PIECE)) {
      taken.push(chunk.slice());
      step();
    }
    return joined(taken);
  },
  "a digest over chunks()": (file, step) => {
    const hash = createHash("sha256");
    const taken: Uint8Array[] = [];
    for (const chunk of file.chunks(PIECE)) {
      hash.update(chunk);
      taken.push(chunk.slice());
      step();
    }
    const expected = createHash("sha256").update(joined(taken));
    assertEquals(hash.digest("hex"), expected.digest("hex"));
    return joined(taken);
  },
  "lines()": (file, step) =>
    linesOf(file.lines(), step).map((line) => decoder.decode(line)),
  "lines() in reverse": (file, step) =>
    linesOf(file.lines({ reverse: true }), step)
      .map((line) => decoder.decode(line)).reverse(),
  "textLines()": (file, step) => linesOf(file.textLines(), step),
  "textLines() in reverse": (file, step) =>
    linesOf(file.textLines({ reverse: true }), step).reverse(),
  "textLines() with await": async (file, step) => {
    const lines: string[] = [];
    for await (const line of file.textLines()) {
      if (lines.length % 200 === 0) step();
      lines.push(line);
    }
    return lines;
  },
  "indexOf()": (file, step) => {
    const lines: string[] = [];
    const { size } = file;
    for (let from = 0; from < size;) {
      const end = file.indexOf("\n", from);
      if (end === -1) throw new Error("a line without an end");
      lines.push(file.text(from, end - from));
      if (lines.length % 200 === 0) step();
      from = end + 1;
    }
    return lines;
  },
  "a blob's stream": (file, step) => collected(file.blob().stream(), step),
  "a blob's slices": async (file, step) => {
    const blob = file.blob();
    const taken: Uint8Array[] = [];
    for (let at = 0; at < blob.size; at += PIECE) {
      step();
      taken.push(await blob.slice(at, at + PIECE).bytes());
    }
    return joined(taken);
  },
};

const decoder = new TextDecoder();

function joined(chunks: Uint8Array[]): Uint8Array {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function collected(
  stream: ReadableStream<Uint8Array>,
  step: Step,
): Promise<Uint8Array> {
  const taken: Uint8Array[] = [];
  for await (const chunk of stream) {
    taken.push(chunk.slice());
    step();
  }
  return joined(taken);
}

/** Takes chunks some time after they were created. */
function slowSink(taken: Uint8Array[], step: Step) {
  return new WritableStream<Uint8Array>({
    async write(chunk) {
      await sleep(1);
      taken.push(chunk.slice());
      step();
    },
  });
}

function linesOf<Line>(lines: Iterable<Line>, step: Step): Line[] {
  const taken: Line[] = [];
  for (const line of lines) {
    taken.push(line instanceof Uint8Array ? line.slice() as Line : line);
    if (taken.length % 200 === 0) step();
  }
  return taken;
}

/** What replaces the memory, or changes the file's length. */
const CHANGES: Record<string, (file: MmapFile) => void> = {
  "an append": (file) => {
    file.writeAtSync(encode("more\n"), file.size);
    file.bytes();
  },
  "growth far beyond its end": (file) => {
    file.writeAtSync(encode("more\n"), file.size + 4 * BYTES.length);
    file.bytes();
  },
  "bytes()": (file) => void file.bytes(),
  "bytes() of a part": (file) => void file.bytes(5, 100),
  "a refresh() once it is extended": (file) => {
    using other = Deno.openSync(file.name, { append: true });
    other.writeSync(encode("more\n"));
    file.refresh();
    file.bytes();
  },
  "a refresh() once it is truncated": (file) => {
    Deno.truncateSync(file.name, 70 * KIB);
    file.refresh();
  },
  "truncateSync() to less": (file) => file.truncateSync(70 * KIB),
  "truncateSync() to nothing": (file) => file.truncateSync(0),
  "truncateSync() to 0 bytes and back": (file) => {
    file.truncateSync(0);
    file.truncateSync(BYTES.length);
  },
  "truncateSync() to more and back": (file) => {
    file.truncateSync(2 * BYTES.length);
    file.bytes();
    file.truncateSync(BYTES.length);
  },
  "close()": (file) => file.close(),
};

/** Steps of a loop before which the change is made. */
const POINTS = [1, 2, 3];

const VARIANTS: Record<string, MmapOpenOptions> = {
  "": {},
  " of shared memory": { shared: true },
};

/**
 * Whether a loop returned the original file. It may have more, if the file has; and zeros from a byte on, if the file
 * has them now.
 */
function isRight(got: unknown, contents: Uint8Array, end: number): boolean {
  const bytes = Array.isArray(got)
    ? encode(`${got.join("\n")}\n`)
    : got as Uint8Array;
  if (bytes.length < end) return false;
  const expected = BYTES.subarray(0, end);
  if (equal(bytes.subarray(0, end), expected)) return true;
  // Zeros from the middle of the file on are one line, which moves later ones.
  if (Array.isArray(got)) return contents[0] === 0;
  return expected.every((byte, k) =>
    bytes[k] === byte || bytes[k] === contents[k]
  );
}

for (const [variant, options] of Object.entries(VARIANTS)) {
  for (const [loop, run] of Object.entries(LOOPS)) {
    test(
      `${loop}${variant} has the right bytes or throws, whatever replaces the memory`,
      async (dir) => {
        for (const [change, make] of Object.entries(CHANGES)) {
          for (const point of POINTS) {
            const path = dir.file(BYTES);
            using file = openSync(path, {
              read: true,
              write: true,
              grow: true,
              ...options,
            });
            if (point % 2 === 0) file.bytes();
            let steps = 0;
            let isMade = false;
            const outcome = await outcomeOf(() =>
              run(file, () => {
                if (++steps !== (loop.startsWith("readFrom") ? 1 : point)) {
                  return;
                }
                isMade = true;
                make(file);
              })
            );
            assert(isMade, `${change} was not made at step ${point}`);
            if ("error" in outcome) continue;
            if (isCopy && !file.closed) file.flushSync();
            const contents = Deno.readFileSync(path);
            // Like Deno.FsFile's it goes to the current end of the file.
            const end = loop === "readable"
              ? Math.min(BYTES.length, contents.length)
              : BYTES.length;
            assert(
              isRight(outcome.value, contents, end),
              `${change} at step ${point}`,
            );
          }
        }
      },
      options.shared === true && NOT_SHAREABLE,
    );
  }
}

test("The loops are right if nothing replaces the memory", async (dir) => {
  for (const [loop, run] of Object.entries(LOOPS)) {
    using file = openSync(dir.file(BYTES), { read: true, write: true });
    const got = await run(file, () => {});
    if (got instanceof Uint8Array) assert(equal(got, BYTES), loop);
    else assertEquals(got, LINES, loop);
  }
});
