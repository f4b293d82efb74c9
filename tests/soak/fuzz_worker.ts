/** A worker that uses files until it gets a message to stop, or is terminated. */

import { setImmediate } from "node:timers/promises";
import type { SetName } from "./files.ts";
import { Fuzzer } from "./fuzzer.ts";
import { Random } from "../random.ts";
import { emptyReport, type Report } from "./report.ts";

/** The first message to a worker. The second message, of any kind, stops it. */
export interface Task {
  readonly directory: string;
  readonly set: SetName;
  readonly id: number;
  readonly seed: number;
}

/** What a worker reports repeatedly, and at its end. */
export interface Told {
  readonly report: Report;
  readonly isLast: boolean;
}

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;
let isOver = false;
scope.onmessage = async ({ data }: MessageEvent<Task>) => {
  scope.onmessage = () => isOver = true;
  const { directory, set, id, seed } = data;
  const fuzzer = new Fuzzer(directory, set, id, new Random(seed));
  const tell = (isLast: boolean) => {
    const told: Told = { report: fuzzer.report, isLast };
    fuzzer.report = emptyReport();
    scope.postMessage(told);
  };
  while (!isOver) {
    for (let i = 0; i < 50; i++) {
      await fuzzer.step();
      // Deno terminates a worker only while it yields to the event loop.
      await setImmediate();
    }
    tell(false);
  }
  await fuzzer.close();
  tell(true);
};
