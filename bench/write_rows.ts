/**
 * Files written: again and again as the original does it, and new ones once.
 *
 * @module
 */

import { bytes, makeTarget } from "./files.ts";
import { GB, KB, MB, PIECE, type Row, rowsOfSizes } from "./rows.ts";
import type { Side } from "./sides.ts";
import type { ReaderSync } from "../mod.ts";

const AGAIN = [20, 5.5, 2, 1, 1, 1.5, 1, 1];

const SHARED_MEMORY = "/dev/shm";

/** Writes all of a file. */
type Fill = <File extends Deno.FsFile>(
  side: Side<File>,
  file: File,
  size: number,
) => number;

const inOneCall: Fill = (_, file, size) => file.writeSync(bytes(size));
const in1MiB: Fill = (_, file, size) => inPieces(file, size, MB);
const in64KiB: Fill = (_, file, size) => inPieces(file, size, 64 * KB);
const atOnce: Fill = (side, file, size) =>
  side.writeAtSync(file, bytes(size), 0);
const fromReader: Fill = (side, file, size) =>
  side.readFromSync(file, readerOf(bytes(size)));

export const ROWS: readonly Row[] = [
  ...rowsOfSizes("Write", AGAIN, write),
  ...rowsOfSizes("WriteAt", AGAIN, writeAt),
  ...rowsOfSizes("ReadFrom", Array(8).fill(1), readFrom),
  piecesRow("64 KiB", 64 * KB),
  piecesRow("1 MiB", MB),
  appendRow(),
  ...["sparse", "reserved"].flatMap((blocks) =>
    (hasSharedMemory() ? ["disk", "tmpfs"] : ["disk"]).flatMap((disk) => [
      freshRow("Write 500 MB, one call", 500 * MB, inOneCall, blocks, disk),
      freshRow("Write 500 MB, 1 MiB each", 500 * MB, in1MiB, blocks, disk),
      freshRow("Write 500 MB, 64 KiB each", 500 * MB, in64KiB, blocks, disk),
    ])
  ),
  ...["sparse", "reserved"].flatMap((blocks) => [
    freshRow("Write 1 GB, one call", GB, inOneCall, blocks),
    freshRow("WriteAt 500 MB, one call", 500 * MB, atOnce, blocks),
    freshRow("ReadFrom 500 MB", 500 * MB, fromReader, blocks),
  ]),
];

/** A whole file in one call. */
function write(size: number): Row["prepare"] {
  return (side, folder) => {
    const file = openTarget(side, makeTarget(folder, size));
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

function writeAt(size: number): Row["prepare"] {
  return (side, folder) => {
    const file = openTarget(side, makeTarget(folder, size));
    const data = bytes(size);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += side.writeAtSync(file, data, 0);
        return sum;
      },
      close: () => file.close(),
    };
  };
}

/** A whole file from a reader that has its bytes in memory. */
function readFrom(size: number): Row["prepare"] {
  return (side, folder) => {
    const file = openTarget(side, makeTarget(folder, size));
    const data = bytes(size);
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          file.seekSync(0, Deno.SeekMode.Start);
          sum += side.readFromSync(file, readerOf(data));
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
function piecesRow(name: string, piece: number): Row {
  return {
    family: "Pieces",
    name: `Write 10 MB, ${name} each`,
    target: 1,
    count: 1,
    prepare(side, folder) {
      const file = openTarget(side, makeTarget(folder, 10 * MB));
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

function appendRow(): Row {
  return {
    family: "Pieces",
    name: "Append 100 bytes",
    target: 1,
    count: 1000,
    prepare(side, folder) {
      const file = side.openSync(makeTarget(folder, PIECE), { append: true });
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
function freshRow(
  name: string,
  size: number,
  fill: Fill,
  blocks: string,
  disk = "disk",
): Row {
  return {
    family: "Fresh file",
    name: `${name}, ${blocks}, ${disk}`,
    target: 1,
    long: true,
    count: 1,
    prepare(side, folder) {
      const parent = disk === "disk" ? folder : SHARED_MEMORY;
      const own = Deno.makeTempDirSync({ dir: parent, prefix: "mmapfile-" });
      bytes(size);
      const open = () => {
        const path = makeTarget(own, size, blocks === "reserved");
        const file = openTarget(side, path);
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
        run: () => fill(side, file, size),
        close() {
          file.close();
          Deno.removeSync(own);
        },
      };
    },
  };
}

function openTarget<File extends Deno.FsFile>(
  side: Side<File>,
  path: string,
): File {
  return side.openSync(path, { read: true, write: true });
}

function hasSharedMemory(): boolean {
  try {
    return Deno.statSync(SHARED_MEMORY).isDirectory;
  } catch {
    return false;
  }
}
