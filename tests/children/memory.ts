/** What a process knows of its own memory and descriptors (Linux), and its garbage collector. */

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

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Collects garbage, and lets what hangs on it run, until this is so or it has had every chance. */
export async function collectUntil(isDone: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !isDone(); round++) await collect(1);
}

/** Collects garbage this many times, with time for finalizers in between. Needs --expose-gc. */
export async function collect(rounds = 10): Promise<void> {
  const { gc } = globalThis as unknown as { gc(): void };
  for (let round = 0; round < rounds; round++) {
    gc();
    await sleep(2);
  }
}
