/**
 * What a report says of the machine that it was made on, and of what it measured.
 *
 * @module
 */

import * as fs from "node:fs";
import { byteSize } from "./measure.ts";

/** The facts that times depend on, each a part of a sentence. */
export function describeMachine(folder: string): string[] {
  const { deno, v8 } = Deno.version;
  return [
    processor(),
    `${navigator.hardwareConcurrency} processors`,
    `caches ${caches()}`,
    `${Math.round(Deno.systemMemoryInfo().total / 2 ** 30)} GB of memory`,
    `${Deno.build.os} ${Deno.osRelease()} (${Deno.build.arch})`,
    filesystem(folder),
    `Deno ${deno} (V8 ${v8})`,
  ];
}

/** The commit that is measured, as git knows it. */
export function describeCommit(): string {
  const git = (...args: string[]) => {
    const cwd = new URL("..", import.meta.url);
    const { stdout } = new Deno.Command("git", { args, cwd }).outputSync();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const isChanged = git("status", "--porcelain", "mod.ts", "src") !== "";
    return git("rev-parse", "--short", "HEAD") +
      (isChanged ? ", with changes" : "");
  } catch {
    return "unknown";
  }
}

function processor(): string {
  try {
    const info = fs.readFileSync("/proc/cpuinfo", "utf8");
    return /^model name\s*: (.*)$/m.exec(info)![1]!;
  } catch {
    return "processor unknown";
  }
}

/** The sizes of one processor's caches, from the nearest to the last. */
function caches(): string {
  const folder = "/sys/devices/system/cpu/cpu0/cache";
  try {
    return fs.readdirSync(folder).filter((name) => /^index\d$/.test(name))
      .sort()
      .map((name) => {
        const read = (file: string) =>
          fs.readFileSync(`${folder}/${name}/${file}`, "utf8").trim();
        const size = byteSize(1024 * Number.parseInt(read("size")));
        const kind = { Data: "d", Instruction: "i" }[read("type")] ?? "";
        return `L${read("level")}${kind} ${size}`;
      }).join(", ");
  } catch {
    return "unknown";
  }
}

/** The type of filesystem that a folder is on. */
function filesystem(folder: string): string {
  try {
    const path = Deno.realPathSync(folder);
    const mounts = Deno.readTextFileSync("/proc/mounts").trim().split("\n")
      .map((line) => line.split(" "))
      .filter(([, point]) =>
        `${path}/`.startsWith(`${point}/`.replace("//", "/"))
      )
      .toSorted(([, a], [, b]) => b!.length - a!.length);
    return mounts[0]![2]!;
  } catch {
    return "filesystem unknown";
  }
}
