/** Reads or writes a file in an endless loop, until a test terminates this worker. */

import { setTimeout as sleep } from "node:timers/promises";
import { open, openSync } from "../../mod.ts";

const WRITE = { read: true, write: true };

const tasks: Record<string, (path: string) => Promise<void>> = {
  async read(path) {
    const file = openSync(path);
    const buffer = new Uint8Array(file.size);
    started();
    for (;;) await file.readAt(buffer, 0);
  },

  async view(path) {
    const view = openSync(path).bytes();
    started();
    for (let at = 0;; at = (at + 4096) % view.length) {
      view.subarray(at, at + 4096).reduce((one, two) => one + two);
      await sleep();
    }
  },

  async write(path) {
    const file = openSync(path, WRITE);
    const ones = new Uint8Array(file.size).fill(1);
    started();
    for (;;) await file.writeAt(ones, 0);
  },

  async open(path) {
    started();
    for (;;) {
      const file = await open(path, { prefetch: true });
      await file.flush();
      file.close();
    }
  },

  async sync(path) {
    const file = openSync(path, WRITE);
    started();
    for (;;) {
      file.bytes()[0] = 1;
      await Promise.all([file.sync(), file.flush(), file.prefetch()]);
    }
  },

  async lock(path) {
    started();
    await openSync(path).lock();
  },

  /** Deno does not stop a worker that never yields: this one ends with the process. */
  async busy(path) {
    const file = await open(path);
    const buffer = new Uint8Array(file.size);
    started();
    for (;;) file.readAtSync(buffer, 0);
  },
};

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;

function started(): void {
  scope.postMessage("started");
}

scope.onmessage = ({ data: { task, path } }) => void tasks[task]!(path);
