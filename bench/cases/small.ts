/**
 * Small files: opened, read or written in one call, and closed; and a tree of them.
 *
 * @module
 */

import { KB, MB, OPENING, type PlainCase } from "../case.ts";
import { bytes, makeTarget, sharedFile, sourceFile } from "../files.ts";
import type { PlainFile, PlainSubject } from "../subjects.ts";

const SIZES:
  readonly (readonly [string, number, read: number, write: number])[] = [
    ["100 B", 100, 0.9, 0.85],
    ["4 KiB", 4 * KB, 0.9, 0.85],
    ["64 KiB", 64 * KB, 0.95, 0.95],
    ["1 MiB", MB, 1, 1],
    ["16 MiB", 16 * MB, 1, 1],
  ];

const TREE_FILES = 5000;

export const CASES: readonly PlainCase[] = [
  ...SIZES.map(([name, size, target]): PlainCase => ({
    ...common(`Open, read ${name}, close`, target, size),
    others: {
      "Deno.readFileSync"() {
        const path = sharedFile(size);
        return {
          run(count) {
            let sum = 0;
            for (let i = 0; i < count; i++) {
              const bytes = Deno.readFileSync(path);
              sum += bytes.length + bytes[bytes.length - 1]!;
            }
            return sum;
          },
          close() {},
        };
      },
    },
    prepare(subject) {
      const path = sharedFile(size);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += readAll(subject, path, size);
          return sum;
        },
        close() {},
      };
    },
  })),
  ...SIZES.map(([name, size, , target]): PlainCase => ({
    ...common(`Open, write ${name}, close`, target, size),
    prepare(subject, folder) {
      const path = makeTarget(folder, size, true);
      const data = bytes(size);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            const file = subject.openSync(path, { read: true, write: true });
            sum += file.writeSync(data);
            file.close();
          }
          return sum;
        },
        close() {},
      };
    },
  })),
  {
    ...common("Open, read 16 bytes of 1 MiB, close", 0.85, MB),
    prepare(subject) {
      const path = sharedFile(MB);
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += readAll(subject, path, 16);
          return sum;
        },
        close() {},
      };
    },
  },
  {
    ...common(`A tree of ${TREE_FILES} files, each read`, 0.9, MB),
    count: 1,
    prepare(subject) {
      const files = makeTree();
      return {
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            for (const { path, size } of files) {
              sum += readAll(subject, path, size);
            }
          }
          return sum;
        },
        close() {},
      };
    },
  },
];

function common(name: string, target: number, size: number) {
  return {
    group: "Small files",
    name,
    target,
    count: Math.max(1, Math.min(1000, Math.floor(MB / size))),
    reason: OPENING,
    also: ["node:fs"] as const,
  };
}

function readAll<File extends PlainFile>(
  subject: PlainSubject<File>,
  path: string,
  size: number,
): number {
  const file = subject.openSync(path);
  const buffer = new Uint8Array(size);
  const read = file.readSync(buffer)!;
  file.close();
  return read + buffer[read - 1]!;
}

/** Files of 100 bytes to 40 KB in 50 folders. */
function makeTree(): { path: string; size: number }[] {
  const content = new Uint8Array(40_000).map((_, i) => i % 251);
  const files = Array.from({ length: TREE_FILES }, (_, i) => ({
    name: `${i % 50}/${i}`,
    size: 100 + i * 7919 % 39_900,
  }));
  const root = `${
    sourceFile("tree.made", (path) => {
      for (let i = 0; i < 50; i++) {
        Deno.mkdirSync(`${path}.d/${i}`, { recursive: true });
      }
      for (const { name, size } of files) {
        Deno.writeFileSync(`${path}.d/${name}`, content.subarray(0, size));
      }
      Deno.writeTextFileSync(path, "");
    })
  }.d`;
  return files.map(({ name, size }) => ({ path: `${root}/${name}`, size }));
}
