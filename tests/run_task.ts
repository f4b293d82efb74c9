/** Runs a task of a script in another process, or in a worker. */

import { assertEquals } from "@std/assert";
import { deno } from "./run_deno.ts";

/** Does a task on a file, and returns what it prints or posts. */
export type Run = (
  task: string,
  path: string,
  ...args: number[]
) => Promise<string>;

/** Runs the tasks of a script in a process each. */
export function processesOf(script: URL): Run {
  return async (task, path, ...args) => {
    const { code, stdout, stderr } = await deno([
      ...["run", "-A", "--no-lock", "--no-config"],
      ...[script.href, task, path, ...args.map(String)],
    ]);
    assertEquals(code, 0, stderr);
    return stdout.trim();
  };
}

/** Runs the tasks of a script in a worker each. */
export function workersOf(script: URL): Run {
  return async (task, path, ...args) => {
    const worker = new Worker(script, { type: "module" });
    try {
      return await new Promise<string>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(event.message));
        };
        worker.postMessage([task, path, ...args]);
      });
    } finally {
      worker.terminate();
    }
  };
}
