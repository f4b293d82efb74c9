/**
 * Waits for a lock that this process itself holds, and then ends, as `Deno.FsFile` or as `MmapFile`.
 *
 * Arguments: "fsFile" or "mmapFile", the path, and how it ends.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { openSync } from "../../mod.ts";

const [kind, path, end] = Deno.args as [string, string, string];

const holder = Deno.openSync(path);
holder.lockSync(true);

const file: Deno.FsFile = kind === "fsFile"
  ? Deno.openSync(path)
  : openSync(path);

const waiting = file.lock(true).then(
  () => console.log("locked"),
  (error) => console.log(error.name),
);
const other = Deno.openSync(path);
await sleep(50);

const ENDS: Record<string, () => void | Promise<void>> = {
  "waiting forever": () => console.log("waiting"),
  exit: () => Deno.exit(3),
  signal: () => Deno.kill(Deno.pid, "SIGTERM"),
  throw: () => {
    throw new Error("thrown");
  },
  async close() {
    file.close();
    console.log("closed", other.tryLockSync());
    holder.unlockSync();
    await waiting;
    await sleep(0);
    console.log("released", other.tryLockSync(true));
  },
  async unlock() {
    holder.unlockSync();
    await waiting;
    console.log("excludes", other.tryLockSync());
    await file.unlock();
    console.log("released", other.tryLockSync(true));
  },
  async "other calls"() {
    let isRead = false;
    const read = file.read(new Uint8Array(1)).then(() => isRead = true);
    await sleep(50);
    console.log("read", isRead, file.statSync().size, file.tryLockSync(true));
    holder.unlockSync();
    await Promise.all([waiting, read]);
    console.log("read", isRead);
  },
};

await ENDS[end]!();
