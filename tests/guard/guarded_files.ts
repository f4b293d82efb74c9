/**
 * What the guard does for many files, and for a large one: each case in a child process.
 * `guarded_files.ts CASE DIRECTORY` prints what it found, and "done".
 */

import assert from "node:assert/strict";
import { type MmapOpenOptions, openSync, TruncatedError } from "../../mod.ts";
import { mappedAfter } from "../mapped_after.ts";
import { countMappings } from "../open_handles.ts";
import { PAGE } from "./mapped_file.ts";
import { usedSlots } from "./sigbus_action.ts";

const [name, directory] = Deno.args as [string, string];
/** Memory is used from the first call on. */
const MAPPED_READ = mappedAfter(0, { read: true });
const MAPPED_WRITE = mappedAfter(0, { read: true, write: true });

const one = new Uint8Array(1);
const page = new Uint8Array(4096);

const cases: Record<string, () => void> = {
  manyFiles() {
    const paths = Array.from({ length: 50 }, (_, i) => `${directory}/${i}`);
    for (const path of paths) Deno.writeFileSync(path, page.fill(7));
    for (let i = 0; i < 40_000; i++) {
      const file = openSync(paths[i % paths.length]!);
      if (!file.guarded) throw new Error("not guarded");
      if (i % 100 === 0) file.readSync(page);
      file.close();
    }
    console.log(`one at a time: ${usedSlots()} slots`);

    for (let round = 1; round <= 3; round++) {
      for (const path of paths) Deno.writeFileSync(path, page.fill(7));
      const files = Array.from(
        { length: 5000 },
        (_, i) => openSync(paths[i % paths.length]!, MAPPED_READ),
      );
      // A file is guarded from its first use on.
      for (const file of files) file.readAtSync(page, 0);
      // Every second path, and so every second file.
      paths.forEach((path, i) => i % 2 === 0 && Deno.truncateSync(path));
      let truncated = 0;
      let whole = 0;
      for (const file of files) {
        const read = file.readAtSync(page, 0);
        if (read === 4096 && page[4095] === 7 && !file.truncated) whole++;
        if (read === null && file.truncated) truncated++;
        file.close();
      }
      console.log(
        `5000 at once: ${truncated} truncated, ${whole} whole, ${usedSlots()} slots`,
      );
    }
  },

  largeFile() {
    const size = 1 << 30;
    const path = `${directory}/large`;
    const kinds: MmapOpenOptions[] = [
      MAPPED_READ,
      MAPPED_WRITE,
      { copyOnWrite: true },
    ];
    for (const options of kinds) {
      Deno.writeFileSync(path, new Uint8Array(0));
      Deno.truncateSync(path, size);
      using file = openSync(path, options);
      const bytes = file.bytes();
      Deno.truncateSync(path);
      const before = countMappings();
      const start = performance.now();
      let sum = 0;
      for (let at = 0; at < size; at += 2 * PAGE) sum += bytes[at]!;
      const took = performance.now() - start;
      const added = countMappings() - before;
      console.error(`${took.toFixed()} ms, ${added} mappings added`);
      if (sum !== 0 || added > 100) throw new Error(`${added} mappings added`);
      if (!file.truncated) throw new Error("not found truncated");
      if (options.copyOnWrite) {
        assert.throws(() => file.readSync(one), TruncatedError);
      } else if (file.readSync(one) !== null) {
        throw new Error("bytes of an empty file");
      }
      assert.throws(() => file.bytes(), TruncatedError);
      file.refresh();
      if (file.size !== 0) throw new Error("not refreshed");
    }
  },
};

cases[name]!();
console.log("done");
