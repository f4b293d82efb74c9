/**
 * Files written: again and again as the original does it, and new ones once.
 *
 * @module
 */

import {
  type Case,
  factsOfSizes,
  type FileCase,
  GB,
  KB,
  MB,
  PIECE,
  type PlainCase,
} from "../case.ts";
import { bytes, makeTarget, removeFolder, targetFolder } from "../files.ts";
import type { ReaderSync } from "../../mod.ts";
import type { PlainFile, PlainSubject, Subject } from "../subjects.ts";

const AGAIN = [20, 5.5, 2, 1, 1, 1.5, 1, 1];

/** Why large writes may be slower, as much as two runs of the same system call differ. */
const DESCRIPTOR =
  "A write uses the descriptor until each of its pages was written often: the system call of Deno.FsFile.";

const SHARED_MEMORY = "/dev/shm";

/** Writes all of a file. */
type Fill = <File extends Deno.FsFile>(
  subject: Subject<File>,
  file: File,
  size: number,
) => number;

const inOneCall: Fill = (_, file, size) => file.writeSync(bytes(size));
const in1MiB: Fill = (_, file, size) => inPieces(file, size, MB);
const in64KiB: Fill = (_, file, size) => inPieces(file, size, 64 * KB);
const atOnce: Fill = (subject, file, size) =>
  subject.writeAtSync(file, bytes(size), 0);
const fromReader: Fill = (subject, file, size) =>
  subject.readFromSync(file, readerOf(bytes(size)));

export const CASES: readonly Case[] = [
  ...factsOfSizes("Write", AGAIN).map((facts): PlainCase => ({
    ...facts,
    also: ["memory"],
    reason: DESCRIPTOR,
    prepare: write(facts.size),
  })),
  ...factsOfSizes("WriteAt", AGAIN).map((facts): PlainCase => ({
    ...facts,
    also: ["node:fs", "memory"],
    reason: DESCRIPTOR,
    prepare: writeAt(facts.size),
  })),
  ...factsOfSizes("ReadFrom", Array(8).fill(1)).map((facts): FileCase => ({
    ...facts,
    prepare: readFrom(facts.size),
  })),
  piecesCase("64 KiB", 64 * KB),
  piecesCase("1 MiB", MB),
  appendCase(),
  ...["sparse", "reserved"].flatMap((blocks) =>
    (hasSharedMemory() ? ["disk", "tmpfs"] : ["disk"]).flatMap((disk) => [
      freshCase("Write 500 MB, one call", 500 * MB, inOneCall, blocks, disk),
      freshCase("Write 500 MB, 1 MiB each", 500 * MB, in1MiB, blocks, disk),
      freshCase("Write 500 MB, 64 KiB each", 500 * MB, in64KiB, blocks, disk),
    ])
  ),
  ...["sparse", "reserved"].flatMap((blocks) => [
    freshCase("Write 1 GB, one call", GB, inOneCall, blocks),
    freshCase("WriteAt 500 MB, one call", 500 * MB, atOnce, blocks),
    freshCase("ReadFrom 500 MB", 500 * MB, fromReader, blocks),
  ]),
];

/** A whole file in one call. */
function write(size: number): PlainCase["prepare"] {
  return (subject, folder) => {
    const file = openTarget(subject, makeTarget(folder, size));
    const data = bytes(size);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          file.seekSync(0, Deno.SeekMode.Start);
          sum += file.writeSync(data);
        }
        return sum;
      },
      close: () => file.close(),
    };
  };
}

function writeAt(size: number): PlainCase["prepare"] {
  return (subject, folder) => {
    const file = openTarget(subject, makeTarget(folder, size));
    const data = bytes(size);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          sum += subject.writeAtSync(file, data, 0);
        }
        return sum;
      },
      close: () => file.close(),
    };
  };
}

/** A whole file from a reader that has its bytes in memory. */
function readFrom(size: number): FileCase["prepare"] {
  return (subject, folder) => {
    const file = openTarget(subject, makeTarget(folder, size));
    const data = bytes(size);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          file.seekSync(0, Deno.SeekMode.Start);
          sum += subject.readFromSync(file, readerOf(data));
        }
        return sum;
      },
      close: () => file.close(),
    };
  };
}

function readerOf(data: Uint8Array): ReaderSync {
  let at = 0;
  return {
    readSync(p) {
      if (at === data.length) return null;
      const piece = data.subarray(at, at + p.length);
      p.set(piece);
      at += piece.length;
      return piece.length;
    },
  };
}

/** A file of 10 MB in pieces, again and again. */
function piecesCase(name: string, piece: number): PlainCase {
  return {
    also: ["memory"],
    group: "Pieces",
    name: `Write 10 MB, ${name} each`,
    target: 1,
    count: 1,
    prepare(subject, folder) {
      const file = openTarget(subject, makeTarget(folder, 10 * MB));
      const data = bytes(piece);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            file.seekSync(0, Deno.SeekMode.Start);
            for (let at = 0; at < 10 * MB; at += piece) {
              sum += file.writeSync(data);
            }
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  };
}

function appendCase(): FileCase {
  return {
    group: "Pieces",
    name: "Append 100 bytes",
    target: 1,
    count: 1000,
    reason: "An append is the system call of Deno.FsFile.",
    prepare(subject, folder) {
      const file = subject.openSync(makeTarget(folder, PIECE), {
        append: true,
      });
      const data = bytes(100);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += file.writeSync(data);
          return sum;
        },
        close: () => file.close(),
      };
    },
  };
}

function inPieces(file: Deno.FsFile, size: number, piece: number): number {
  const data = bytes(piece);
  let sum = 0;
  while (sum < size) sum += file.writeSync(data.subarray(0, size - sum));
  return sum;
}

/** A new file, written once. */
function freshCase(
  name: string,
  size: number,
  fill: Fill,
  blocks: string,
  disk = "disk",
): FileCase {
  return {
    group: "Fresh file",
    name: `${name}, ${blocks}, ${disk}`,
    target: 1,
    long: true,
    count: 1,
    reason: DESCRIPTOR,
    prepare(subject, folder) {
      const parent = disk === "disk" ? folder : SHARED_MEMORY;
      const own = targetFolder(parent);
      bytes(size);
      const open = () => {
        const path = makeTarget(own, size, blocks === "reserved");
        const file = openTarget(subject, path);
        // Its bytes go when it is closed.
        Deno.removeSync(path);
        return file;
      };
      let file = open();
      return {
        before() {
          file.close();
          file = open();
        },
        run: () => fill(subject, file, size),
        close() {
          file.close();
          removeFolder(own);
        },
      };
    },
  };
}

function openTarget<File extends PlainFile>(
  subject: PlainSubject<File>,
  path: string,
): File {
  return subject.openSync(path, { read: true, write: true });
}

function hasSharedMemory(): boolean {
  try {
    return Deno.statSync(SHARED_MEMORY).isDirectory;
  } catch {
    return false;
  }
}
