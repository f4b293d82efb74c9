/**
 * Streams drained, files copied, a needle found, lines taken one by one, texts and blobs.
 *
 * @module
 */

import { makeFile, makeTarget } from "./files.ts";
import { GB, KB, MB, type Row } from "./rows.ts";

const SIZE = 64 * MB;
const NEEDLE = "eighteen_byte_long";

export const ROWS: readonly Row[] = [
  row("Streams", "readable drained, 64 MB", (side, folder) => {
    const path = makeFile(folder, SIZE);
    return {
      async run() {
        return await drain(side.openSync(path).readable);
      },
      close() {},
    };
  }),
  row("Streams", "readable into 64 KiB (BYOB)", (side, folder) => {
    const path = makeFile(folder, SIZE);
    return {
      run: () => drainBYOB(side.openSync(path).readable),
      close() {},
    };
  }),
  row("Streams", "zero-copy stream drained, 64 MB", (side, folder) => {
    const path = makeFile(folder, SIZE);
    return {
      async run() {
        const file = side.openSync(path);
        const total = await drain(side.streamOf(file));
        // Deno's stream has closed it.
        if (side.name === "MmapFile") file.close();
        return total;
      },
      close() {},
    };
  }),
  row("Copies", "WriteTo a Deno.FsFile, 64 MB", (side, folder) => {
    const path = makeFile(folder, SIZE);
    const target = Deno.openSync(makeTarget(folder, SIZE), { write: true });
    return {
      async run() {
        using file = side.openSync(path);
        target.seekSync(0, Deno.SeekMode.Start);
        return await side.writeTo(file, target);
      },
      close: () => target.close(),
    };
  }),
  row("Copies", "ReadFrom a Deno.FsFile, 64 MB", (side, folder) => {
    const source = Deno.openSync(makeFile(folder, SIZE));
    const file = side.openSync(makeTarget(folder, SIZE), {
      read: true,
      write: true,
    });
    return {
      async run() {
        source.seekSync(0, Deno.SeekMode.Start);
        file.seekSync(0, Deno.SeekMode.Start);
        return await side.readFrom(file, source);
      },
      close() {
        source.close();
        file.close();
      },
    };
  }),
  row("Search", "indexOf 18 bytes, 64 MB", (side, folder) => {
    const path = makeText(folder);
    return { run: () => side.indexOf(path, NEEDLE), close() {} };
  }),
  row("Search", "lines, 64 MB", (side, folder) => {
    const path = makeText(folder);
    return { run: () => side.lineCount(path), close() {} };
  }),
  row("Text", "textLines, 64 MB", (side, folder) => {
    const path = makeText(folder);
    return { run: () => side.textLength(path), close() {} };
  }),
  {
    family: "Text",
    name: "text, 150 bytes",
    target: 1,
    count: 1000,
    prepare(side, folder) {
      const file = side.openSync(makeText(folder));
      return {
        run(count) {
          let length = 0;
          for (let i = 0; i < count; i++) {
            length += side.textAt(file, i * 7919 % MB, 150).length;
          }
          return length;
        },
        close: () => file.close(),
      };
    },
  },
  {
    ...row(
      "Text",
      "Blob of 1 GB, its first and last 64 KiB",
      (side, folder) => {
        const path = makeFile(folder, GB);
        return {
          async run() {
            const { blob, close } = side.blobOf(path);
            const parts = [blob.slice(0, 64 * KB), blob.slice(-64 * KB)];
            const [first, last] = await Promise.all(
              parts.map((part) => part.bytes()),
            );
            close();
            return blob.size + first[1] + last[1];
          },
          close() {},
        };
      },
    ),
    long: true,
  },
];

/** A row that goes through a whole file. */
function row(family: string, name: string, prepare: Row["prepare"]): Row {
  return {
    family,
    name,
    target: 1,
    count: 1,
    prepare(side, folder) {
      const { run, close } = prepare(side, folder);
      // With something unmeasured ahead, so that it is done once a run.
      return { before() {}, run, close };
    },
  };
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<number> {
  const reader = stream.getReader();
  let total = 0;
  for (let read; !(read = await reader.read()).done;) {
    total += read.value.length;
  }
  return total;
}

async function drainBYOB(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<number> {
  const reader = stream.getReader({ mode: "byob" });
  let total = 0;
  let buffer = new ArrayBuffer(64 << 10);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) return total;
    total += value.length;
    buffer = value.buffer;
  }
}

/** Lines of 20 to 100 characters, with the needle in the last but one. */
function makeText(folder: string): string {
  const path = `${folder}/text.txt`;
  const words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed ";
  const block = Array.from(
    { length: 20_000 },
    (_, i) => `${i} ${words.repeat(2).slice(0, 15 + i * 7 % 80)}\n`,
  );
  const text = new TextEncoder().encode(block.join(""));
  const end = new TextEncoder().encode(`${NEEDLE}\nthe end\n`);
  try {
    using file = Deno.openSync(path, { write: true, createNew: true });
    for (let size = end.length; size + text.length < SIZE;) {
      size += file.writeSync(text);
    }
    file.writeSync(end);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return path;
}
