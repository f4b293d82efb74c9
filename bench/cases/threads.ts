/**
 * Files that several workers read at once, and how long it takes to wake a worker. This module is the
 * worker too.
 *
 * @module
 */

import {
  type Comparison,
  factsOfSizes,
  GB,
  PIECE,
  randomOffsets,
} from "../case.ts";
import { sharedFile } from "../files.ts";
import type { Work } from "../measure.ts";
import { openSync } from "../../mod.ts";
import {
  FS_FILE,
  MMAP_FILE,
  type PlainFile,
  type PlainSubject,
} from "../subjects.ts";

/** Larger than any processor's last cache. */
const LARGE = GB;

type Pattern = "first 4 KiB" | "sequential" | "random";

/** What a worker is sent first; then how often to read. */
type Job =
  | { pattern: Pattern; subject: string; path: string; seed: number }
  | { pattern: Pattern; bytes: Uint8Array<SharedArrayBuffer>; seed: number }
  | { echo: SharedArrayBuffer | undefined };

type Ways = Comparison["ways"];

export const COMPARISONS: readonly Comparison[] = [
  ...factsOfSizes("ReadAt parallel", Array(8).fill(5)).map((facts) => ({
    ...facts,
    long: true,
    count: 20_000,
    ways: waysToRead(facts.size, 2, "first 4 KiB"),
  })),
  ...(["sequential", "random"] as const).flatMap((pattern) =>
    [1, 2, 4].map((workers) => ({
      group: "Workers",
      name: `4 KiB of 1 GB, ${pattern}, ${workers} worker${
        workers > 1 ? "s" : ""
      }`,
      target: 0,
      long: true,
      count: 1000,
      ways: {
        ...waysToRead(LARGE, workers, pattern),
        "shared: true": () => readShared(workers, pattern),
      },
    }))
  ),
  {
    group: "Waking a worker",
    name: "There and back",
    target: 0,
    long: true,
    count: 100,
    ways: { "postMessage": echoByMessage, "Atomics.notify": echoByAtomics },
  },
];

/** Each worker opens the file itself. */
function waysToRead(size: number, workers: number, pattern: Pattern): Ways {
  return Object.fromEntries(
    [FS_FILE.name, MMAP_FILE.name].map((subject) => [
      subject,
      () => {
        const path = sharedFile(size);
        return readIn(startWorkers(workers, (seed) => ({
          ...{ pattern, subject, path, seed },
        })));
      },
    ]),
  );
}

/** The main thread opens the file and sends its memory to the workers. */
function readShared(workers: number, pattern: Pattern): Work {
  const file = openSync(sharedFile(LARGE), { shared: true });
  const bytes = file.bytes();
  const { run, close } = readIn(
    startWorkers(workers, (seed) => ({ pattern, bytes, seed })),
  );
  return {
    run,
    close() {
      close();
      file.close();
    },
  };
}

/** All of the workers read at once, each `count` times. */
function readIn(workers: Worker[]): Work {
  return {
    async run(count) {
      const sums = await Promise.all(
        workers.map((worker) => ask(worker, count)),
      );
      return sums.reduce((total, sum) => total + sum);
    },
    close: () => workers.forEach((worker) => worker.terminate()),
  };
}

function startWorkers(
  workers: number,
  job: (seed: number) => Job,
): Worker[] {
  return Array.from({ length: workers }, (_, i) => {
    const worker = new Worker(import.meta.url, { type: "module" });
    worker.postMessage(job(i));
    return worker;
  });
}

function ask(worker: Worker, count: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(count);
  return promise;
}

function echoByMessage(): Work {
  const [worker] = startWorkers(1, () => ({ echo: undefined }));
  return {
    async run(count) {
      for (let i = 0; i < count; i++) await ask(worker!, i);
      return count;
    },
    close: () => worker!.terminate(),
  };
}

/** Words of shared memory: how often each side has called. */
const [CALL, ANSWER] = [0, 1];

function echoByAtomics(folder: string): Work {
  const path = `${folder}/words`;
  Deno.writeFileSync(path, new Uint8Array(4096));
  const options = { read: true, write: true, shared: true } as const;
  const file = openSync(path, { ...options, grow: false });
  const { buffer } = file.bytes();
  const words = new Int32Array(buffer, 0, 2);
  const [worker] = startWorkers(1, () => ({ echo: buffer }));
  let calls = 0;
  return {
    run(count) {
      for (let i = 0; i < count; i++) {
        Atomics.store(words, CALL, ++calls);
        Atomics.notify(words, CALL);
        while (Atomics.load(words, ANSWER) !== calls) {
          Atomics.wait(words, ANSWER, calls - 1);
        }
      }
      return count;
    },
    close() {
      // The worker waits for a call.
      Atomics.store(words, CALL, -1);
      Atomics.notify(words, CALL);
      worker!.terminate();
      file.close();
    },
  };
}

// --- In a worker

function readerOf(job: Exclude<Job, { echo: unknown }>) {
  const buffer = new Uint8Array(PIECE);
  const offsetAt = offsetsOf(job.pattern, job.seed);
  if ("bytes" in job) {
    const { bytes } = job;
    return (count: number) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const offset = offsetAt();
        buffer.set(bytes.subarray(offset, offset + PIECE));
        sum += PIECE + buffer[0]!;
      }
      return sum;
    };
  }
  return job.subject === MMAP_FILE.name
    ? readerFrom(MMAP_FILE, job.path, buffer, offsetAt)
    : readerFrom(FS_FILE, job.path, buffer, offsetAt);
}

function readerFrom<File extends PlainFile>(
  subject: PlainSubject<File>,
  path: string,
  buffer: Uint8Array,
  offsetAt: () => number,
) {
  const file = subject.openSync(path);
  return (count: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += subject.readAtSync(file, buffer, offsetAt())! + buffer[0]!;
    }
    return sum;
  };
}

/** Where to read next. Each worker begins elsewhere. */
function offsetsOf(pattern: Pattern, seed: number): () => number {
  if (pattern === "first 4 KiB") return () => 0;
  if (pattern === "sequential") {
    let offset = seed * (LARGE / 4);
    return () => offset = (offset + PIECE) % LARGE;
  }
  const offsets = randomOffsets(LARGE - PIECE);
  let next = seed * (offsets.length / 4);
  return () => offsets[next++ % offsets.length]!;
}

/** Answers each call until it is -1. */
function answer(words: Int32Array): void {
  for (let calls = 0;;) {
    Atomics.wait(words, CALL, calls);
    const now = Atomics.load(words, CALL);
    if (now === calls) continue;
    if (now === -1) return;
    calls = now;
    Atomics.store(words, ANSWER, calls);
    Atomics.notify(words, ANSWER);
  }
}

if ("WorkerGlobalScope" in globalThis) {
  // The types that Deno checks by are those of a main thread.
  const scope = self as unknown as Worker;
  let read = (count: number) => count;
  scope.onmessage = ({ data }: MessageEvent<Job | number>) => {
    if (typeof data === "number") scope.postMessage(read(data));
    else if (!("echo" in data)) read = readerOf(data);
    else if (data.echo !== undefined) answer(new Int32Array(data.echo));
  };
}
