/** Counts the threads that are started for many calls at once: those of MmapFile, then those of `Deno.FsFile`. */

import { openSync } from "../../mod.ts";

const [folder] = Deno.args as [string];
const MIB = 1 << 20;
const FILES = 40;

const paths = Array.from({ length: FILES }, (_, k) => {
  const path = `${folder}/${k}`;
  Deno.writeFileSync(path, new Uint8Array(8 * MIB));
  return path;
});

function threads(): number {
  const tasks = [...Deno.readDirSync("/proc/self/task")];
  return tasks.filter(({ name }) => isOfPool(name)).length;
}

/** The engine and this program start and end threads too. */
function isOfPool(task: string): boolean {
  try {
    const name = Deno.readTextFileSync(`/proc/self/task/${task}/comm`);
    return name.startsWith("tokio-runtime");
  } catch {
    return false;
  }
}

const before = threads();
let most = 0;
const timer = setInterval(() => most = Math.max(most, threads() - before), 1);

const files = paths.map((path) => openSync(path, { read: true, write: true }));
const buffers = files.map(() => new Uint8Array(4 * MIB));
await Promise.all(files.flatMap((file, k) => [
  file.readAt(buffers[k]!, 0),
  file.writeAt(buffers[k]!, MIB),
  file.sync(),
  file.flush(),
  file.prefetch(),
]));
most = Math.max(most, threads() - before);
const ours = most;

const others = paths.map((path) => Deno.openSync(path, { write: true }));
for (const [k, file] of others.entries()) file.writeSync(buffers[k]!);
await Promise.all(others.map((file) => file.sync()));
most = Math.max(most, threads() - before);
clearInterval(timer);

console.log(JSON.stringify({ ours, denos: most }));
