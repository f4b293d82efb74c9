/**
 * Files written: again and again as the original does it, and new ones once.
 *
 * @module
 */

import { bytes, makeTarget } from "./files.ts";
import { GB, KB, MB, PIECE, type Row, rowsOfSizes } from "./rows.ts";
import type { Side } from "./sides.ts";

const AGAIN = [20, 5.5, 2, 1, 1, 1.5, 1, 1];

const SHARED_MEMORY = "/dev/shm";

export const ROWS: readonly Row[] = [
  ...rowsOfSizes("Write", AGAIN, write),
  ...rowsOfSizes("WriteAt", AGAIN, writeAt),
  ...rowsOfSizes("ReadFrom", Array(8).fill(1), readFrom),
  piecesRow("64 KiB", 64 * KB),
  piecesRow("1 MiB", MB),
  appendRow(),
  ...["sparse", "reserved"].flatMap((blocks) => [
    freshRow(blocks, "1 GB", GB, "one call", GB),
    ...[...hasSharedMemory() ? ["tmpfs"] : [], "disk"].flatMap((disk) => [
      freshRow(blocks, "500 MB", 500 * MB, "one call", 500 * MB, disk),
      freshRow(blocks, "500 MB", 500 * MB, "1 MiB each", MB, disk),
      freshRow(blocks, "500 MB", 500 * MB, "64 KiB each", 64 * KB, disk),
    ]),
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
          let at = 0;
          sum += side.readFromSync(file, {
            readSync(p) {
              if (at === size) return null;
              const piece = data.subarray(at, at + p.length);
              p.set(piece);
              at += piece.length;
              return piece.length;
            },
          });
        }
        return sum;
      },
      close: () => file.close(),
    };
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

/** A new file, written once. */
function freshRow(
  blocks: string,
  name: string,
  size: number,
  call: string,
  piece: number,
  disk = "disk",
): Row {
  return {
    family: "Fresh file",
    name: `Write ${name}, ${call}, ${blocks}, ${disk}`,
    target: 1,
    long: true,
    count: 1,
    prepare(side, folder) {
      const parent = disk === "disk" ? folder : SHARED_MEMORY;
      const own = Deno.makeTempDirSync({ dir: parent, prefix: "mmapfile-" });
      const data = bytes(piece);
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
        run() {
          let sum = 0;
          while (sum < size) {
            sum += file.writeSync(data.subarray(0, size - sum));
          }
          return sum;
        },
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
