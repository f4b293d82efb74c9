/** The descriptors and mappings that this process holds. Linux lists them. */

import { deepStrictEqual } from "node:assert";
import { collectUntil } from "./gc.ts";

/** How many mappings of this process have `part` in their line of /proc/self/maps. */
export function countMappings(part = ""): number {
  const maps = Deno.readTextFileSync("/proc/self/maps").trimEnd().split("\n");
  return maps.filter((line) => line.includes(part)).length;
}

/**
 * How many descriptors of this process have `part` in their target. Without
 * sockets: Deno creates a pair half a second after its start.
 */
export function countDescriptors(part = ""): number {
  let count = 0;
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (target.includes(part) && !target.startsWith("socket:")) count++;
    } catch {
      // The descriptor of the listing is closed, or another thread has its number.
    }
  }
  return count;
}

/**
 * What this process holds open below a directory: descriptors, and mappings as lines of
 * /proc/self/maps. Only of one directory, since other tests may run in other threads.
 */
export function heldOpen(dir: { join(): string }): string[] {
  // Other systems do not list them. Windows does not remove a directory with an open file.
  if (Deno.build.os !== "linux") return [];
  const prefix = dir.join();
  const held = Deno.readTextFileSync("/proc/self/maps").split("\n")
    .filter((line) => line.includes(prefix));
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const path = Deno.readLinkSync(`/proc/self/fd/${name}`);
      if (path.startsWith(prefix)) held.push(`fd ${name} ${path}`);
    } catch (error) {
      // Closed since the directory was listed, by the listing itself or another thread.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return held;
}

/**
 * Checks that no file in a directory is open, and none mapped, once the engine has freed what was
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
