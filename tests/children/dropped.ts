/**
 * Drops copies of files without closing them, and prints what is left of them and in them.
 * `deno run -A --v8-flags=--expose-gc dropped.ts CASE DIRECTORY`.
 */

import { type MmapFile, type MmapOpenOptions, openSync } from "../../mod.ts";
import { collect, collectUntil } from "../gc.ts";
import { countDescriptors } from "../open_handles.ts";

const [name, directory] = Deno.args as [string, string];
const MIB = 1 << 20;
const FILES = 50;
const path = `${directory}/data`;

function open(options: MmapOpenOptions): MmapFile {
  return openSync(path, { ...options, backend: "fallback" });
}

/** What is done with each file before it is dropped, and with which options it is opened. */
const USES: Record<
  string,
  [MmapOpenOptions, (file: MmapFile, i: number) => void]
> = {
  "never used": [{ write: true }, () => {}],
  "read": [{ read: true }, (file) => file.readSync(new Uint8Array(1))],
  "viewed": [{ read: true }, (file) => file.bytes()],
  "copy-on-write": [{ copyOnWrite: true }, (file) => file.bytes().fill(9)],
  "viewed to write": [{ read: true, write: true }, (file) => file.bytes()],
  "written": [
    { write: true },
    (file, i) => file.writeAtSync(Uint8Array.of(1), i),
  ],
  "changed": [
    { read: true, write: true },
    (file, i) => file.bytes()[FILES + i] = 1,
  ],
  "changed in a window": [
    { read: true, write: true, offset: 1000, length: 100 },
    (file, i) => file.bytes()[i] = 1,
  ],
  "appended and changed": [
    { read: true, append: true },
    (file, i) => {
      file.writeSync(Uint8Array.of(1));
      file.bytes()[2 * FILES + i] = 1;
    },
  ],
  "emptied": [
    { write: true, grow: true },
    (file) => {
      file.truncateSync(0);
      file.writeSync(Uint8Array.of(1));
    },
  ],
};

/** Views held by a program that has dropped their files. */
const views: Uint8Array[] = [];

function count(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => sum + byte, 0);
}

const cases: Record<string, () => Promise<void>> = {
  /** One line for each use: descriptors and MiB of memory left open, and bytes changed in the file. */
  async uses() {
    for (const [what, [options, use]] of Object.entries(USES)) {
      Deno.writeFileSync(path, new Uint8Array(MIB));
      await collect();
      const { external } = Deno.memoryUsage();
      for (let i = 0; i < FILES; i++) use(open(options), i);
      await collectUntil(() => countDescriptors(directory) === 0);
      await collect();
      const mib = Math.round((Deno.memoryUsage().external - external) / MIB);
      const left = [countDescriptors(directory), Math.max(0, mib)];
      console.log(`${what}:`, ...left, count(Deno.readFileSync(path)));
    }
  },

  /** Changed after its file was garbage-collected, and then dropped. */
  async view() {
    Deno.writeFileSync(path, new Uint8Array(MIB));
    views.push(open({ read: true, write: true }).bytes());
    await collect();
    for (let i = 0; i < 5; i++) {
      views[0]![i] = 1;
      await collect();
    }
    console.log(countDescriptors(directory), views[0]!.length);
    views[0]![5] = 1;
    views.length = 0;
    await collectUntil(() => countDescriptors(directory) === 0);
    console.log(countDescriptors(directory), count(Deno.readFileSync(path)));
  },

  /** On a disk that is full when the file is dropped, and not at the end of the program. */
  async fullDisk() {
    open({ read: true, write: true }).bytes().fill(1);
    await collect();
    Deno.removeSync(`${directory}/filler`);
  },
};

await cases[name]!();
