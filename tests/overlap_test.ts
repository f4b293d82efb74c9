/** The file's own bytes written to other offsets of it, and read into themselves, as from a copy made first. */

import { Buffer } from "node:buffer";
import { assert } from "@std/assert";
import {
  type MmapFile,
  type MmapOpenOptions,
  openSync,
} from "@mmapfile/mmapfile";
import { isCopy, NOT_SHAREABLE } from "./tested_module.ts";
import { TOO_SLOW } from "./skip.ts";
import { equal, pattern } from "./bytes.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const SIZES = [64, 4096, 64 * KIB - 1, 64 * KIB, MIB + 1, 9 * MIB];
/** The offset of the bytes in the file, and the offset to move them to. */
const SHIFTS = [1, -1, 64, -4100, 300 * KIB];
const FIRST = 8 * KIB;
const GROW: MmapOpenOptions = { read: true, write: true, grow: true };

type Place = (file: MmapFile, at: number, length: number) => Uint8Array;

/** A view of a range of the file's own memory. */
const VIEWS: Record<string, Place> = {
  "bytes()": (file, at, length) => file.bytes(at, length),
  "a subarray of bytes()": (file, at, length) =>
    file.bytes().subarray(at, at + length),
  "a Buffer": (file, at, length) => {
    const { buffer, byteOffset } = file.bytes(at, length);
    return Buffer.from(buffer, byteOffset, length);
  },
  "an array over a DataView's buffer": (file, at, length) => {
    const { buffer, byteOffset } = file.view(DataView, at, length);
    return new Uint8Array(buffer, byteOffset, length);
  },
  "a view made before the file grew": (file, at, length) => {
    const { size } = file;
    const view = file.bytes(at, length);
    // Past the address space reserved for growth. The gap takes no blocks.
    file.writeAtSync(Uint8Array.of(1), 3 * size + 2 * MIB);
    // A copy that grows empties its views.
    return view.length === length ? view : file.bytes(at, length);
  },
};

type Move = (
  file: MmapFile,
  view: Place,
  from: number,
  to: number,
  length: number,
) => unknown;

const MOVES: Record<string, Move> = {
  writeSync(file, view, from, to, length) {
    file.seekSync(to, Deno.SeekMode.Start);
    return file.writeSync(view(file, from, length));
  },
  writeAtSync: (file, view, from, to, length) =>
    file.writeAtSync(view(file, from, length), to),
  write(file, view, from, to, length) {
    file.seekSync(to, Deno.SeekMode.Start);
    return file.write(view(file, from, length));
  },
  writeAt: (file, view, from, to, length) =>
    file.writeAt(view(file, from, length), to),
  readFrom(file, view, from, to, length) {
    file.seekSync(to, Deno.SeekMode.Start);
    return file.readFrom(ReadableStream.from([view(file, from, length)]));
  },
  readSync(file, view, from, to, length) {
    file.seekSync(from, Deno.SeekMode.Start);
    return file.readSync(view(file, to, length));
  },
  readAt: (file, view, from, to, length) =>
    file.readAt(view(file, to, length), from),
};

/** What the first `size` bytes of the pattern are after such a move. */
function moved(bytes: Uint8Array, from: number, to: number, length: number) {
  return bytes.slice().copyWithin(to, from, from + length);
}

async function assertMoves(
  dir: TempDir,
  view: Place,
  move: Move,
  options: MmapOpenOptions,
): Promise<void> {
  const isGrowing = view === VIEWS["a view made before the file grew"];
  const shifts = isGrowing ? [64, -4100] : SHIFTS;
  for (const length of SIZES) {
    const bytes = pattern(FIRST + length + 300 * KIB);
    using file = openSync(dir.file(bytes), options);
    for (const shift of shifts) {
      const [from, to] = [FIRST, FIRST + shift];
      await move(file, view, from, to, length);
      const expected = moved(bytes, from, to, length);
      const contents = file.copy(0, bytes.length);
      const where = `${length} bytes moved by ${shift}`;
      assert(equal(contents, expected), `${where} are not the same`);
      file.writeAtSync(bytes, 0);
    }
  }
}

for (const [kind, view] of Object.entries(VIEWS)) {
  for (const [name, move] of Object.entries(MOVES)) {
    test(
      `MmapFile.${name}() of ${kind} of the file moves them as from a copy`,
      (dir) => assertMoves(dir, view, move, GROW),
      TOO_SLOW,
    );
  }
}

for (const [name, move] of Object.entries(MOVES)) {
  test(
    `MmapFile.${name}() of shared memory that has grown moves the bytes as from a copy`,
    (dir) =>
      assertMoves(
        dir,
        VIEWS["a view made before the file grew"]!,
        move,
        { ...GROW, shared: true },
      ),
    TOO_SLOW || NOT_SHAREABLE,
  );
}

test(
  "Views of a second MmapFile are moved correctly wherever Deno.FsFile moves them correctly",
  (dir) => {
    // Neither copies first: forward, the kernel overwrites bytes that it has yet to read.
    for (const length of SIZES) {
      for (const shift of SHIFTS) {
        for (const isRead of [false, true]) {
          const bytes = pattern(FIRST + length + 300 * KIB);
          const expected = moved(bytes, FIRST, FIRST + shift, length);
          const movesRight = (open: (path: string) => Deno.FsFile) => {
            const path = dir.file(bytes);
            using second = openSync(path, GROW);
            using file = open(path);
            const [from, to] = [FIRST, FIRST + shift];
            file.seekSync(isRead ? from : to, Deno.SeekMode.Start);
            if (isRead) file.readSync(second.bytes(to, length));
            else file.writeSync(second.bytes(from, length));
            second.flushSync();
            return equal(Deno.readFileSync(path), expected);
          };
          const options = { read: true, write: true };
          if (!movesRight((path) => Deno.openSync(path, options))) continue;
          assert(
            movesRight((path) => openSync(path, options)),
            `${length} bytes moved by ${shift} are not the same`,
          );
        }
      }
    }
  },
  TOO_SLOW ||
    isCopy && "copies of one file see each other's writes after refresh() only",
);
