/**
 * JavaScript runtimes with files in memory: prints the nanoseconds of each row of `deno task bench:peers`.
 * Runs in Deno, Bun and Node.js.
 */

import * as fs from "node:fs";
import process from "node:process";

const [name, small, large, target] = process.argv.slice(2);
const PIECE = 4096;
const SAMPLES = 15;

/** Ways to have a file: each returns its memory, or an object that reads and writes at offsets. */
const PEERS = {
  "Deno.FsFile"() {
    return (path, isWritten) => {
      const file = Deno.openSync(path, { read: true, write: isWritten });
      const at = (offset) => file.seekSync(offset, Deno.SeekMode.Start);
      return {
        read: (p, offset) => (at(offset), file.readSync(p)),
        write: (p, offset) => (at(offset), file.writeSync(p)),
        close: () => file.close(),
      };
    };
  },
  async "MmapFile"() {
    const { openSync } = await import("../../mod.ts");
    return (path, isWritten) => {
      const file = openSync(path, { read: true, write: isWritten });
      return {
        read: (p, offset) => file.readAtSync(p, offset),
        write: (p, offset) => file.writeAtSync(p, offset),
        close: () => file.close(),
      };
    };
  },
  // Unmapped when it is garbage-collected: closing it cannot be measured.
  "Bun.mmap"() {
    return (path) => fileOf(Bun.mmap(path), undefined);
  },
  async "mmap-io"() {
    const { default: mmap } = await import("mmap-io");
    return (path, isWritten) => {
      const fd = fs.openSync(path, isWritten ? "r+" : "r");
      const { size } = fs.fstatSync(fd);
      const prot = isWritten
        ? mmap.PROT_READ | mmap.PROT_WRITE
        : mmap.PROT_READ;
      const memory = mmap.map(size, prot, mmap.MAP_SHARED, fd);
      fs.closeSync(fd);
      return fileOf(memory, undefined);
    };
  },
};

function fileOf(memory, close) {
  return {
    read: (p, offset) => p.set(memory.subarray(offset, offset + PIECE)),
    write: (p, offset) => memory.set(p, offset),
    close,
  };
}

function measure(count, run) {
  const times = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = performance.now();
    run(count);
    times.push((performance.now() - start) * 1e6 / count);
  }
  return times.sort((a, b) => a - b)[SAMPLES >> 1];
}

const open = await PEERS[name]();
const buffer = new Uint8Array(PIECE);
const first = open(small, false);
const second = open(large, false);
const third = open(target, true);
const { size } = fs.statSync(large);
for (let at = 0; at < size; at += PIECE) second.read(buffer, at);

const times = [
  measure(50_000, (count) => {
    for (let i = 0; i < count; i++) first.read(buffer, i % 256 * PIECE);
  }),
  measure(50_000, (count) => {
    let state = 1;
    for (let i = 0; i < count; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      second.read(buffer, Math.floor(state / 2 ** 32 * (size - PIECE)));
    }
  }),
  measure(50_000, (count) => {
    for (let i = 0; i < count; i++) third.write(buffer, i % 256 * PIECE);
  }),
  first.close === undefined ? null : measure(2000, (count) => {
    for (let i = 0; i < count; i++) open(small, false).close();
  }),
];
console.log(JSON.stringify(times));
