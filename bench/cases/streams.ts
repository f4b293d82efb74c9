/**
 * Streams drained, files copied, a needle found, lines taken one by one, texts and blobs.
 *
 * @module
 */

import { type FileCase, GB, KB, MB } from "../case.ts";
import { makeTarget, sharedFile, sourceFile, writeText } from "../files.ts";

const SIZE = 64 * MB;
const NEEDLE = "eighteen_byte_long";

export const CASES: readonly FileCase[] = [
  whole("Streams", "readable drained, 64 MB", (subject) => {
    const path = sharedFile(SIZE);
    return {
      async run() {
        return await drain(subject.openSync(path).readable);
      },
      close() {},
    };
  }),
  whole("Streams", "readable into 64 KiB (BYOB)", (subject) => {
    const path = sharedFile(SIZE);
    return {
      run: () => drainBYOB(subject.openSync(path).readable),
      close() {},
    };
  }),
  whole("Streams", "zero-copy stream drained, 64 MB", (subject) => {
    const path = sharedFile(SIZE);
    return {
      async run() {
        const file = subject.openSync(path);
        const total = await drain(subject.streamOf(file));
        // Deno's stream has closed it.
        if (subject.name === "MmapFile") file.close();
        return total;
      },
      close() {},
    };
  }),
  whole("Copies", "WriteTo a Deno.FsFile, 64 MB", (subject, folder) => {
    const path = sharedFile(SIZE);
    const target = Deno.openSync(makeTarget(folder, SIZE), { write: true });
    return {
      async run() {
        using file = subject.openSync(path);
        target.seekSync(0, Deno.SeekMode.Start);
        return await subject.writeTo(file, target);
      },
      close: () => target.close(),
    };
  }),
  whole("Copies", "ReadFrom a Deno.FsFile, 64 MB", (subject, folder) => {
    const source = Deno.openSync(sharedFile(SIZE));
    const file = subject.openSync(makeTarget(folder, SIZE), {
      read: true,
      write: true,
    });
    return {
      async run() {
        source.seekSync(0, Deno.SeekMode.Start);
        file.seekSync(0, Deno.SeekMode.Start);
        return await subject.readFrom(file, source);
      },
      close() {
        source.close();
        file.close();
      },
    };
  }),
  whole("Search", "indexOf 18 bytes, 64 MB", (subject) => {
    const path = makeText();
    return { run: () => subject.indexOf(path, NEEDLE), close() {} };
  }),
  whole("Search", "lines, 64 MB", (subject) => {
    const path = makeText();
    return { run: () => subject.lineCount(path), close() {} };
  }, "To create a view for each line takes as long as to create a string."),
  whole("Text", "textLines, 64 MB", (subject) => {
    const path = makeText();
    return { run: () => subject.textLength(path), close() {} };
  }),
  {
    group: "Text",
    name: "text, 150 bytes",
    target: 1,
    count: 1000,
    prepare(subject) {
      const file = subject.openSync(makeText());
      return {
        run(count) {
          let length = 0;
          for (let i = 0; i < count; i++) {
            length += subject.textAt(file, i * 7919 % MB, 150).length;
          }
          return length;
        },
        close: () => file.close(),
      };
    },
  },
  {
    ...whole(
      "Text",
      "Blob of 1 GB, its first and last 64 KiB",
      (subject) => {
        const path = sharedFile(GB);
        return {
          async run() {
            const { blob, close } = subject.blobOf(path);
            const parts = [blob.slice(0, 64 * KB), blob.slice(-64 * KB)];
            const [first, last] = await Promise.all(
              parts.map((part) => part.bytes()),
            );
            close();
            return blob.size + first![1]! + last![1]!;
          },
          close() {},
        };
      },
    ),
    long: true,
  },
];

/** A case that goes through a whole file. */
function whole(
  group: string,
  name: string,
  prepare: FileCase["prepare"],
  reason?: string,
): FileCase {
  return {
    group,
    name,
    target: 1,
    count: 1,
    reason,
    prepare(subject, folder) {
      const { run, close } = prepare(subject, folder);
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
function makeText(): string {
  return sourceFile("text-64.txt", (path) => writeText(path, SIZE, NEEDLE));
}
