/**
 * The someone else who changes a file under its mapping, in a process of its own.
 *
 * `truncator.ts` prints "ready", then reads lines "MILLISECONDS LENGTH PATH" and cuts each file that
 * much later. `truncator.ts alternate PATH LENGTH SECONDS` prints "ready" and gives the file no bytes
 * and LENGTH bytes in turn, as fast as it can.
 */

import { setTimeout as sleep } from "node:timers/promises";

const [mode, path, length, seconds] = Deno.args;

if (mode === "alternate") {
  using file = Deno.openSync(path, { write: true });
  console.log("ready");
  const end = performance.now() + 1000 * Number(seconds);
  while (performance.now() < end) {
    file.truncateSync(0);
    file.truncateSync(Number(length));
  }
} else {
  console.log("ready");
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const line of lines) {
    const [, delay, length, path] = line.match(/^(\S+) (\d+) (.*)\n$/)!;
    const at = performance.now() + Number(delay);
    await sleep(Number(delay) - 2);
    // Timers know whole milliseconds only, of which the file would see always the same moments.
    while (performance.now() < at);
    Deno.truncateSync(path, Number(length));
  }
}
