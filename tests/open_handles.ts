/** The descriptors and mappings that this process holds. Linux lists them. */

import { deepStrictEqual } from "node:assert";
import { collectUntil } from "./gc.ts";

/** How many mappings of files in this directory, or with this in their line, the process has. */
export function countMappings(part: string): number {
  const maps = Deno.readTextFileSync("/proc/self/maps").split("\n");
  return maps.filter((line) => line.includes(part)).length;
}

/**
 * How many descriptors of files in this directory, or of all files, the process has. Without
 * sockets: Deno makes a pair half a second after its start.
 */
export function countDescriptors(part = ""): number {
  let count = 0;
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (target.includes(part) && !target.startsWith("socket:")) count++;
    } catch {
      // The one by which the directory is read is gone by now, or its number another thread's.
    }
  }
  return count;
}

/**
 * What this process holds open below a directory: descriptors, and mappings as lines of
 * /proc/self/maps. Of one directory only, since other tests may run in other threads.
 */
export function heldOpen(dir: { join(): string }): string[] {
  // Elsewhere nobody tells; on Windows a directory with an open file cannot be removed.
  if (Deno.build.os !== "linux") return [];
  const prefix = dir.join();
  const held = Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(prefix));
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (path.startsWith(prefix)) held.push(`fd ${name} ${path}`);
    } catch (error) {
      // Closed since the directory was listed: the listing's own, or another thread's.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return held;
}

/**
 * No descriptor of a file there is open, and no memory mapped, once the engine has freed what was
 * handed out.
 */
export async function assertNothingIsOpen(
  dir: { join(): string },
): Promise<void> {
  const isDescriptor = (line: string) => line.startsWith("fd");
  deepStrictEqual(heldOpen(dir).filter(isDescriptor), [], "Left open");
  await collectUntil(() => heldOpen(dir).length === 0);
  deepStrictEqual(heldOpen(dir), [], "Left mapped");
}
