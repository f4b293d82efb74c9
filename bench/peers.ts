/**
 * `deno task bench:peers`: the same four rows with what else maps files, as far as it is here: Bun and
 * mmap-io (fetched from npm at the first time), Python, and C. Each in processes of their own, by turns.
 *
 * @module
 */

import * as fs from "node:fs";
import { makeTarget, sharedFile, sourceFolder, targetFolder } from "./files.ts";
import { duration, quantile, table } from "./measure.ts";
import { GB, MB } from "./case.ts";

const ROWS = [
  "Read 4 KiB of 1 MB, in order",
  "Read 4 KiB of 256 MB, at random",
  "Write 4 KiB of 1 MB, in order",
  "Open and close",
];
const ROUNDS = 3;

const FOLDER = new URL("./peers/", import.meta.url).pathname;
const SCRIPT = `${FOLDER}peer.js`;
const PACKAGES = ["bun@1", "mmap-io@1"];

/** A program with its first arguments, or why there is none. */
type Peer = readonly string[] | string;

const files = [
  sharedFile(MB),
  sharedFile(GB / 4),
  makeTarget(targetFolder(), MB, true),
];
const results = new Map<string, (number | null)[][]>();
const peers = Object.entries(findPeers());
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, peer] of peers) {
    if (typeof peer === "string") continue;
    console.error(`round ${round + 1} of ${ROUNDS}: ${name}`);
    results.set(name, [...results.get(name) ?? [], run(peer)]);
  }
}
console.log(table([
  ["", ...results.keys()],
  ...ROWS.map((row, i) => [
    row,
    ...[...results.values()].map((rounds) => {
      const times = rounds.map((times) => times[i]);
      return times.includes(null)
        ? ""
        : duration(quantile(times as number[], 0.5));
    }),
  ]),
]));
console.log(`\nMedians of ${ROUNDS} processes by turns.`);
for (const [name, peer] of peers) {
  if (typeof peer === "string") console.log(`Skipped: ${name}: ${peer}`);
}

function findPeers(): Record<string, Peer> {
  const deno = [Deno.execPath(), "run", "-A", "--no-check", SCRIPT];
  return {
    "Deno.FsFile": [...deno, "Deno.FsFile"],
    "MmapFile": [...deno, "MmapFile"],
    "Bun.mmap": installed("bun", (folder) => [
      `${folder}/.bin/bun`,
      SCRIPT,
      "Bun.mmap",
    ]),
    "mmap-io, Node.js": installed("mmap-io", () => ["node", SCRIPT, "mmap-io"]),
    "mmap, Python": has("python3")
      ? ["python3", `${FOLDER}peer.py`]
      : "there is no python3",
    "mmap(2), C": compiled(),
  };
}

/** A package from npm, in a folder of its own that git does not see. */
function installed(name: string, peer: (folder: string) => string[]): Peer {
  const folder = `${FOLDER}node_modules`;
  if (!has("node") || !has("npm")) return "there is no Node.js";
  const spec = PACKAGES.find((spec) => spec.startsWith(name))!;
  if (!fs.existsSync(`${folder}/${name}`)) {
    console.error(`npm install ${spec}`);
    const { success } = new Deno.Command("npm", {
      args: [
        ...["install", "--no-save", "--no-package-lock", "--no-audit"],
        ...["--prefix", FOLDER, spec],
      ],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    if (!success) return `npm cannot install ${spec}`;
  }
  return peer(folder);
}

/** The C program, if there is a compiler. */
function compiled(): Peer {
  if (!has("cc")) return "there is no cc";
  const program = `${sourceFolder()}/peer`;
  const args = ["-O2", "-o", program, `${FOLDER}peer.c`];
  const { success } = new Deno.Command("cc", { args }).outputSync();
  return success ? [program] : "cc cannot compile it";
}

function has(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"] }).outputSync()
      .success;
  } catch {
    return false;
  }
}

function run([program, ...args]: readonly string[]): (number | null)[] {
  const { success, stdout, stderr } = new Deno.Command(program!, {
    args: [...args, ...files],
  }).outputSync();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program}: ${decoder.decode(stderr)}`);
  return JSON.parse(decoder.decode(stdout));
}
