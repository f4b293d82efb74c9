/**
 * Another process that truncates files, see `truncator_process.ts`.
 *
 * `truncator.ts` prints "ready", then reads lines "MILLISECONDS LENGTH PATH" and truncates each file
 * after that time. `truncator.ts alternate PATH LENGTH SECONDS` prints "ready", and truncates the file
 * to 0 bytes and extends it to LENGTH bytes in turn, as fast as it can.
 */

import { setTimeout as sleep } from "node:timers/promises";

const [mode, path, length, seconds] = Deno.args as [
  string,
  string,
  string,
  string,
];

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
    // Timers have a resolution of a millisecond, so that accesses would always meet the same moments.
    while (performance.now() < at);
    Deno.truncateSync(path!, Number(length));
  }
}
