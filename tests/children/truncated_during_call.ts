/**
 * Accesses to a file that another process truncates during them, at random moments.
 * `truncated_during_call.ts DIRECTORY CASE` prints which truncations it caught, and "done".
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  type MmapFile,
  openSync,
  toReadableStream,
  toWritableStream,
  TruncatedError,
} from "../../mod.ts";
import { libc } from "../../src/posix/libc.ts";
import { mappedAfter } from "../mapped_after.ts";
import { Random } from "../random.ts";
import { isEmulated } from "../skip.ts";
import { TruncatorProcess } from "./truncator_process.ts";

const [directory, name] = Deno.args as [string, string];
const PAGE = libc().getpagesize();
const MB = 1 << 20;
/** Memory is used from the first call on. */
const MAPPED_READ = mappedAfter(0, { read: true });
const MAPPED_WRITE = mappedAfter(0, { read: true, write: true });

/** The file has lines of 64 bytes, none of which is 0. */
const SIZE = 4 * MB;
const LINE = 64;
/** The lengths that it is truncated to. */
const LENGTHS = {
  "0 bytes": 0,
  "the middle of a page": PAGE + 904,
  "the middle of the file": 2 * MB,
};
const TIMES_EACH = isEmulated ? 1 : 3;
const WARM_UP = isEmulated ? 1 : 3;
const NOTICED_WITHIN_MS = isEmulated ? 60_000 : 5000;
/** The file is truncated in this time. A write beyond the new end need not notice it. */
const WRITTEN_FOR_MS = isEmulated ? 1000 : 100;
const contents = new Uint8Array(SIZE).fill(0x61);
for (let at = LINE - 1; at < SIZE; at += LINE) contents[at] = 10;
const text = new TextDecoder().decode(contents);
const digest = Buffer.from(await crypto.subtle.digest("SHA-256", contents));

/** Returned if a stream ended before the former end of the file. */
const SHORT = Symbol("short");

/** An access, called until it notices the truncation. `length` is the new length of the file. */
type Access = (file: MmapFile, length: number) => unknown;

/** The file was opened after the truncation. */
class TooLate extends Error {}

const one = new Uint8Array(1);
const page = new Uint8Array(4096);
const whole = new Uint8Array(SIZE);
const kilobyte = new Uint8Array(1024).fill(1);
const megabyte = new Uint8Array(MB).fill(1);
const seed = Number(Deno.env.get("MMAPFILE_SEED") ?? Date.now() % 1e6);
const random = new Random(seed);

/** Throws if a method returned zeros other than those past the end in the last page. */
function assertOwn(bytes: Uint8Array, offset: number, length: number): void {
  const end = Math.ceil(length / PAGE) * PAGE;
  for (let at = bytes.indexOf(0); at !== -1;) {
    const position = offset + at;
    if (position < length || position >= end) {
      throw new Error(`zeros at ${position} of a file truncated to ${length}`);
    }
    at = bytes.indexOf(0, end - offset);
  }
}

/** Throws unless the file noticed that a view was truncated. */
function assertNoticed(file: MmapFile, isWhole: boolean): void {
  if (!isWhole && !file.truncated) {
    throw new Error("a view was truncated and the file did not notice");
  }
}

const accesses: Record<string, Access> = {
  readSync(file, length) {
    const position = file.seekSync(0, Deno.SeekMode.Current);
    const read = file.readSync(page);
    if (read === null) file.seekSync(0, Deno.SeekMode.Start);
    else assertOwn(page.subarray(0, read), position, length);
  },
  async readAt(file, length) {
    const offset = random.below(SIZE - page.length);
    const read = await file.readAt(page, offset);
    assertOwn(page.subarray(0, read ?? 0), offset, length);
  },
  async read(file, length) {
    file.seekSync(0, Deno.SeekMode.Start);
    const read = await file.read(whole);
    assertOwn(whole.subarray(0, read ?? 0), 0, length);
  },
  bytes(file) {
    const bytes = file.bytes();
    let zeros = 0;
    for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0) zeros++;
    assertNoticed(file, zeros === 0);
  },
  lines(file) {
    for (const line of file.lines()) {
      if (line.length !== LINE - 1) throw new Error("not a line of the file");
    }
  },
  chunks(file) {
    for (const chunk of file.chunks(MB)) chunk.indexOf(0);
  },
  indexOf: (file) => file.indexOf("no such thing"),
  lastIndexOf: (file) => file.lastIndexOf("no such thing"),
  includes: (file) => file.includes(0xff),
  decode(file) {
    // Of ASCII only: V8 counts the characters of what it decodes in a first pass, and writes over
    // the end of its string if there are more of them in the second. Decode copies of other text.
    const isWhole = new TextDecoder().decode(file.bytes()) === text;
    assertNoticed(file, isWhole);
  },
  async digest(file) {
    const found = await crypto.subtle.digest("SHA-256", file.bytes());
    assertNoticed(file, Buffer.from(found).equals(digest));
  },
  async readable(file, length) {
    using again = openSync(file.name, MAPPED_READ);
    if (again.size < SIZE) throw new TooLate();
    let at = 0;
    for await (const chunk of again.readable) {
      assertOwn(chunk, at, length);
      at += chunk.length;
    }
    return at < SIZE && SHORT;
  },
  async readableBYOB(file, length) {
    using again = openSync(file.name, MAPPED_READ);
    if (again.size < SIZE) throw new TooLate();
    return await readBYOB(again.readable, length);
  },
  async toReadableStream(file, length) {
    let at = 0;
    for await (const chunk of toReadableStream(file)) {
      assertOwn(chunk, at, length);
      at += chunk.length;
    }
  },
  toReadableStreamBYOB: (file, length) =>
    readBYOB(toReadableStream(file), length),
  async zeroCopy(file) {
    let sum = 0;
    for await (const chunk of toReadableStream(file, { zeroCopy: true })) {
      sum += chunk[0]!;
    }
    return sum;
  },
  writeSync1KB: (file) => writeOn(file, kilobyte),
  writeSync1MB: (file) => writeOn(file, megabyte),
  writeAtSync: (file) => file.writeAtSync(kilobyte, random.below(SIZE - 1024)),
  async write(file) {
    file.seekSync(0, Deno.SeekMode.Start);
    await file.write(contents);
  },
  writeString(file) {
    file.seekSync(random.below(SIZE - 100), Deno.SeekMode.Start);
    file.writeStringSync("x".repeat(1 + random.below(30)));
  },
  async writeLongString(file) {
    file.seekSync(0, Deno.SeekMode.Start);
    await file.writeString(text);
  },
  async toWritableStream(file) {
    const writer = toWritableStream(file).getWriter();
    for (let at = 0; at < SIZE; at += MB) await writer.write(megabyte);
    await writer.close();
  },
  async writeTo(file, length) {
    using target = Deno.openSync(`${directory}/target`, TARGET);
    await file.writeTo(target);
    assertOwn(Deno.readFileSync(`${directory}/target`), 0, length);
  },
  writeToSync(file, length) {
    using target = Deno.openSync(`${directory}/target`, TARGET);
    file.writeToSync(target);
    assertOwn(Deno.readFileSync(`${directory}/target`), 0, length);
  },
  readFromSync(file) {
    using source = openSync(`${directory}/source`);
    file.seekSync(0, Deno.SeekMode.Start);
    file.readFromSync(source);
  },
  fill: (file) => file.bytes().fill(7),
  statSync: (file) => file.statSync(),
  flush: (file) => file.flush(0, PAGE),
};

const TARGET = { write: true, create: true, truncate: true };

async function readBYOB(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  length: number,
): Promise<unknown> {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(100_000);
  for (let at = 0;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return at < SIZE && SHORT;
    assertOwn(value, at, length);
    at += value.length;
    buffer = value.buffer;
  }
}

function writeOn(file: MmapFile, p: Uint8Array): void {
  const { Current, Start } = Deno.SeekMode;
  if (file.seekSync(0, Current) === SIZE) file.seekSync(0, Start);
  file.writeSync(p);
}

/** Accesses to another mapping of the file. */
const OPENS_AGAIN = new Set(["readable", "readableBYOB"]);

const IS_WRITE = /^(write(?!To)|fill|flush|toWritable|readFrom)/;

/** Writes that Deno.FsFile has too, and that extend a growing file. */
const IS_FS_WRITE = /^(write(?!To)|toWritable|readFrom)/;

/** Reads that Deno.FsFile has too, which never throw at a truncation. */
const IS_FS_READ = /^(read(?!From)|stat)/;

/** Truncates the file repeatedly during an access, at random moments. */
async function truncateDuring(access: Access): Promise<void> {
  await using truncator = await TruncatorProcess.start();
  const path = `${directory}/data`;
  Deno.writeFileSync(`${directory}/source`, contents);
  for (const [where, length] of Object.entries(LENGTHS)) {
    for (let caught = 0; caught < TIMES_EACH;) {
      Deno.writeFileSync(path, contents);
      const grows = IS_FS_WRITE.test(name) && caught % 2 === 1;
      const neverThrows = IS_FS_READ.test(name) ||
        IS_FS_WRITE.test(name) && grows;
      const options = {
        write: !OPENS_AGAIN.has(name) &&
          (IS_WRITE.test(name) || caught % 2 === 1),
        read: true,
        grow: grows || !IS_WRITE.test(name),
      };
      using file = openSync(path, mappedAfter(0, options));
      // Warm up, so that the code is optimized.
      for (let i = 0; i < WARM_UP; i++) await access(file, length);
      await truncator.truncate(path, length, 3 + random.below(30_000) / 1000);
      const end = performance.now() +
        (grows ? WRITTEN_FOR_MS : NOTICED_WITHIN_MS);
      let isNoticed = false;
      try {
        while (!isNoticed && performance.now() < end) {
          const result = access(file, length);
          const came = result instanceof Promise ? await result : result;
          isNoticed = came === SHORT || file.truncated;
        }
        // A single write(2) extends the file again, as with Deno.FsFile.
        if (!isNoticed && !grows && name !== "write") {
          throw new Error("the truncation went unnoticed");
        }
      } catch (error) {
        if (error instanceof TooLate) continue;
        if (!(error instanceof TruncatedError) || neverThrows) throw error;
        isNoticed = true;
      }
      caught++;
      if (!isNoticed && !grows) continue;
      // A write past the end extends the file, with zeros in the gap, only if the file may grow.
      const { size } = Deno.statSync(path);
      if (size !== length && !grows) {
        throw new Error(`truncated to ${length}, and ${size} long`);
      }
      if (isNoticed && !OPENS_AGAIN.has(name)) assertLasts(file, size);
      assertUsableAgain(file, size, grows);
    }
    console.log(`caught truncations to ${where}`);
  }
}

/** Checks that bytes() throws repeatedly, and that reads continue as those of Deno.FsFile. */
function assertLasts(file: MmapFile, size: number): void {
  assert.throws(() => file.bytes(), TruncatedError);
  if (!file.truncated) throw new Error("`truncated` has become false");
  const read = file.readAtSync(one, Math.max(0, size - 1));
  if (read !== (size === 0 ? null : 1)) throw new Error(`${read} bytes read`);
  assert.throws(() => file.copy(), TruncatedError);
}

/** Checks that the file is usable after refresh(), and has only its own bytes. */
function assertUsableAgain(
  file: MmapFile,
  size: number,
  mayHaveGap: boolean,
): void {
  file.refresh();
  if (file.truncated) throw new Error("truncated after refresh()");
  if (file.size !== size) throw new Error(`${file.size} after refresh()`);
  const p = Buffer.alloc(size + 1);
  const read = file.readAtSync(p, 0) ?? 0;
  const bytes = p.subarray(0, read);
  const hasOwn = bytes.equals(Deno.readFileSync(file.name)) &&
    bytes.equals(file.bytes()) && (mayHaveGap || !bytes.includes(0));
  if (read !== size || !hasOwn) throw new Error("wrong bytes after refresh()");
}

/** One of five files is truncated; the others stay usable. */
function otherFiles(): void {
  const [first, ...others] = [0, 1, 2, 3, 4].map((i) => {
    const path = `${directory}/${i}`;
    Deno.writeFileSync(path, contents);
    return openSync(path, MAPPED_WRITE);
  });
  Deno.truncateSync(first!.name, 5000);
  assert.throws(() => first!.indexOf("no such thing"), TruncatedError);
  for (const file of others) {
    if (file.readAtSync(whole, 0) !== SIZE) throw new Error("not whole");
    if (!Buffer.from(whole).equals(contents)) {
      throw new Error("changed");
    }
    file.writeAtSync(kilobyte, SIZE - 1024);
    file.syncSync();
    if (Deno.readFileSync(file.name)[SIZE - 1] !== 1) throw new Error("lost");
  }
  first!.close();
  for (const file of others) file.close();
}

console.error(`seed ${seed}`);
if (name === "otherFiles") otherFiles();
else await truncateDuring(accesses[name]!);
console.log("done");
Deno.exit(0);
