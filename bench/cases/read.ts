/**
 * Files read: in order, at positions, by workers, warm and at the first touch.
 *
 * @module
 */

import {
  factsOfSizes,
  GB,
  MB,
  PIECE,
  type PlainCase,
  randomOffsets,
} from "../case.ts";
import { sharedFile } from "../files.ts";

const READ = [20, 6, 3.5, 3.5, 3.2, 1.25, 1.25, 1.25];
const READ_AT = [15, 6.5, 4.8, 4.8, 4.8, 1.6, 1.6, 1.6];

export const CASES: readonly PlainCase[] = [
  ...factsOfSizes("Read", READ).map((facts): PlainCase => ({
    ...facts,
    also: ["memory"],
    prepare: readFile(facts.size),
  })),
  ...factsOfSizes("ReadAt", READ_AT).map((facts): PlainCase => ({
    ...facts,
    also: ["node:fs", "memory"],
    prepare: readFileAt(facts.size),
  })),
  firstTouchCase("100 MB", 100 * MB),
  firstTouchCase("1 GB", GB),
  randomCase("1 MB", 1 * MB, 3),
  randomCase("256 MB", 256 * MB, 1),
  { ...randomCase("1 GB", GB, 1), long: true },
];

/** All of a file, 4 KiB at a time. */
function readFile(size: number): PlainCase["prepare"] {
  return (subject) => {
    const file = subject.openSync(sharedFile(size));
    const buffer = new Uint8Array(PIECE);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          file.seekSync(0, Deno.SeekMode.Start);
          for (let n; (n = file.readSync(buffer)) !== null;) sum += n;
        }
        return sum + buffer[1]!;
      },
      close: () => file.close(),
    };
  };
}

function readFileAt(size: number): PlainCase["prepare"] {
  return (subject) => {
    const file = subject.openSync(sharedFile(size));
    const buffer = new Uint8Array(PIECE);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          for (let at = 0; at < size; at += PIECE) {
            sum += subject.readAtSync(file, buffer, at)!;
          }
        }
        return sum + buffer[1]!;
      },
      close: () => file.close(),
    };
  };
}

/** A file read once after it was opened: its pages are in the cache, but not mapped. */
function firstTouchCase(name: string, size: number): PlainCase {
  return {
    group: "First touch",
    also: ["memory"],
    name: `Read ${name}, first touch`,
    target: 1,
    long: size > 100 * MB,
    count: 1,
    prepare(subject) {
      const path = sharedFile(size);
      const buffer = new Uint8Array(PIECE);
      let file = subject.openSync(path);
      return {
        before() {
          file.close();
          file = subject.openSync(path);
        },
        run() {
          let sum = 0;
          for (let n; (n = file.readSync(buffer)) !== null;) sum += n;
          return sum + buffer[1]!;
        },
        close: () => file.close(),
      };
    },
  };
}

function randomCase(name: string, size: number, target: number): PlainCase {
  return {
    group: "Random",
    also: ["node:fs", "memory"],
    name: `ReadAt 4 KiB at random in ${name}`,
    target,
    count: 1000,
    prepare(subject) {
      const file = subject.openSync(sharedFile(size));
      const buffer = new Uint8Array(PIECE);
      const offsets = randomOffsets(size - PIECE);
      // All of it is touched before it is measured.
      for (let at = 0; at < size; at += PIECE) {
        subject.readAtSync(file, buffer, at);
      }
      let next = 0;
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            const offset = offsets[next++ % offsets.length];
            sum += subject.readAtSync(file, buffer, offset!)! + buffer[0]!;
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  };
}
