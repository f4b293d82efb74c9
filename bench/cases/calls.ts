/**
 * Single calls: seek, stat, sync, open, close, and the async forms of a read and a write.
 *
 * @module
 */

import { type FileCase, KB, MB, OPENING, PIECE } from "../case.ts";
import { bytes, makeTarget, sharedFile } from "../files.ts";

/** Files open at once where opening and closing are measured apart. */
const AT_ONCE = 200;

export const CASES: readonly FileCase[] = [
  callCase("Seek", 35, (subject) => {
    const file = subject.openSync(sharedFile(10 * KB));
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          sum += file.seekSync(i % 10, Deno.SeekMode.Start);
        }
        return sum;
      },
      close: () => file.close(),
    };
  }),
  callCase("WriteTo 10 KB", 1, (subject) => {
    const file = subject.openSync(sharedFile(10 * KB));
    const discard = { writeSync: (p: Uint8Array) => p.length };
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) {
          sum += subject.writeToSync(file, discard);
        }
        return sum;
      },
      close: () => file.close(),
    };
  }),
  callCase("Stat", 1.2, (subject) => {
    const file = subject.openSync(sharedFile(10 * KB));
    return {
      run(count) {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += file.statSync().size;
        return sum;
      },
      close: () => file.close(),
    };
  }),
  callCase("Sync", 1, (subject, folder) => {
    const file = subject.openSync(makeTarget(folder, 1 * KB), {
      read: true,
      write: true,
    });
    file.writeSync(bytes(4));
    return {
      run(count) {
        for (let i = 0; i < count; i++) file.syncSync();
        return count;
      },
      close: () => file.close(),
    };
  }, "Both call fsync(2), and wait for the disk."),
  callCase("Open and Close", 0.4, (subject) => {
    const path = sharedFile(1 * KB);
    return {
      run(count) {
        for (let i = 0; i < count; i++) subject.openSync(path).close();
        return count;
      },
      close() {},
    };
  }, OPENING),
  ...openApartCases(),
  {
    group: "Async",
    name: "await read 4 KiB",
    target: 60,
    count: 1000,
    prepare(subject) {
      const file = subject.openSync(sharedFile(1 * MB));
      const buffer = new Uint8Array(PIECE);
      return {
        async run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            if (i % 256 === 0) file.seekSync(0, Deno.SeekMode.Start);
            sum += await file.read(buffer) ?? 0;
          }
          return sum + buffer[0]!;
        },
        close: () => file.close(),
      };
    },
  },
  {
    group: "Async",
    name: "await write 4 KiB",
    target: 60,
    count: 1000,
    prepare(subject, folder) {
      const file = subject.openSync(makeTarget(folder, 1 * MB), {
        read: true,
        write: true,
      });
      const data = bytes(PIECE);
      return {
        async run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            if (i % 256 === 0) file.seekSync(0, Deno.SeekMode.Start);
            sum += await file.write(data);
          }
          return sum;
        },
        close: () => file.close(),
      };
    },
  },
];

/** A case of the original's, of one call. */
function callCase(
  name: string,
  target: number,
  prepare: FileCase["prepare"],
  reason?: string,
): FileCase {
  return {
    group: "Calls",
    name,
    target,
    original: true,
    count: 1000,
    reason,
    prepare,
  };
}

/** Opening and closing, each without the other, which no target is set for. */
function openApartCases(): FileCase[] {
  const opening: FileCase["prepare"] = (subject) => {
    const path = sharedFile(1 * KB);
    const files: Deno.FsFile[] = [];
    const close = () => {
      for (const file of files.splice(0)) file.close();
    };
    return {
      before: close,
      run(count) {
        for (let i = 0; i < count; i++) files.push(subject.openSync(path));
        return files.length;
      },
      close,
    };
  };
  const closing: FileCase["prepare"] = (subject) => {
    const path = sharedFile(1 * KB);
    const files: Deno.FsFile[] = [];
    const close = () => {
      const { length } = files;
      for (const file of files.splice(0)) file.close();
      return length;
    };
    return {
      before() {
        while (files.length < AT_ONCE) files.push(subject.openSync(path));
      },
      run: close,
      close: () => void close(),
    };
  };
  const common = {
    group: "Open and close apart",
    target: 0,
    count: AT_ONCE,
    reason: OPENING,
  };
  return [
    { ...common, name: "Open alone", prepare: opening },
    { ...common, name: "Close alone", prepare: closing },
  ];
}
