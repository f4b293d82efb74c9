/**
 * Workers that use a file while another process truncates and extends it repeatedly.
 * `truncated_under_workers.ts DIRECTORY CASE SECONDS` prints counts, and "done".
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../random.ts";
import type { Counts } from "../workers/truncation_worker.ts";
import { TruncatorProcess } from "./truncator_process.ts";

const [directory, name, seconds] = Deno.args as [string, string, string];
const MB = 1 << 20;
const seed = Number(Deno.env.get("MMAPFILE_SEED") ?? Date.now() % 1e6);
const random = new Random(seed);

const SIZE = 64 * MB;
const WORKERS = 4;

/** Runs `work` while another process truncates and extends the file. */
async function underTruncation(
  work: (start: () => Worker) => Promise<void>,
): Promise<void> {
  const path = `${directory}/data`;
  Deno.writeFileSync(path, new Uint8Array(0));
  Deno.truncateSync(path, SIZE);
  const counts: Counts = new Int32Array(new SharedArrayBuffer(12));
  const workers = new Set<Worker>();
  let started = 0;
  const start = () => {
    const url = new URL("../workers/truncation_worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    workers.add(worker);
    worker.postMessage({
      path,
      counts,
      seconds: Number(seconds),
      seed: random.below(2 ** 31) + started++,
    });
    return worker;
  };
  // A worker takes many seconds to start under QEMU.
  const limit = String(Number(seconds) + 300);
  await using _ = await TruncatorProcess.start(
    "alternate",
    path,
    `${SIZE}`,
    limit,
  );
  await work(start);
  for (const worker of workers) worker.terminate();
  const [operations, truncated, refreshes] = counts;
  console.log(
    `${operations} operations, ${truncated} TruncatedErrors, ${refreshes} refreshes, ${started} workers`,
  );
}

/** Waits for a message of a worker: "started" or "ended". */
function messageOf(worker: Worker, message: string): Promise<void> {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => {
      if (data === message) resolve();
    };
    // Errors after that message count too.
    worker.onerror = (event) => {
      console.error(event.message);
      Deno.exit(1);
    };
  });
}

const cases: Record<string, () => Promise<void>> = {
  /** Four workers until the time is over. */
  alternating: () =>
    underTruncation(async (start) => {
      const workers = Array.from({ length: WORKERS }, start);
      await Promise.all(workers.map((worker) => messageOf(worker, "ended")));
    }),

  /** Four workers at any time, none of them for long. */
  terminating: () =>
    underTruncation(async (start) => {
      let end = Infinity;
      const one = async () => {
        while (Date.now() < end) {
          const worker = start();
          await messageOf(worker, "started");
          end = Math.min(end, Date.now() + 1000 * Number(seconds));
          await sleep(random.below(300));
          worker.terminate();
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, one));
    }),
};

console.error(`seed ${seed}`);
await cases[name]!();
console.log("done");
Deno.exit(0);
