#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Messages from one process to another through a ring buffer in a file that both have mapped: no system
 * call for a message, only Atomics on two counters.
 *
 * The file, in lines of 64 bytes as processors share memory: how many messages there will be; how
 * many have been sent; how many received; and the ring, a message a line.
 *
 * @module
 */

import { type MmapFile, open } from "../mod.ts";
import { main, Progress, wholeNumber } from "./cli.ts";

const USAGE = `Usage: ring.ts receive FILE
       ring.ts send FILE [COUNT]

Sends messages of 64 bytes, by default 1,000,000, to another process. Start the receiver
first: it makes the file, and deletes it at the end, at Ctrl-C too. Both print messages a second.`;

/** 32-bit words of a line. */
const LINE = 16;
const [COUNT, SENT, RECEIVED, RING] = [0, LINE, 2 * LINE, 3 * LINE];
/** Messages that the ring holds: a power of 2. */
const ROOM = 1 << 12;
const SIZE = 4 * (RING + ROOM * LINE);
/** How often a counter is looked at before the processor is left to others. */
const SPINS = 20_000;
const SHOW_EVERY = 1 << 14;

/** Waits until a counter is no longer what it was; gives what it is then. */
async function change(words: Int32Array, at: number, was: number) {
  for (let spins = 0;; spins++) {
    const now = Atomics.load(words, at);
    if (now !== was) return now;
    if (spins < SPINS) continue;
    await new Promise((resolve) => setTimeout(resolve, 1));
    spins = 0;
  }
}

async function send(file: MmapFile, count: number): Promise<void> {
  const words = file.view(Int32Array);
  if (Atomics.compareExchange(words, COUNT, 0, count) !== 0) {
    throw new Error(`Cannot send to '${file.name}': somebody else does`);
  }
  using progress = new Progress("sent", count);
  const start = performance.now();
  let received = 0;
  for (let sent = 0; sent < count; sent++) {
    if (sent - received === ROOM) {
      received = await change(words, RECEIVED, received);
    }
    const at = RING + sent % ROOM * LINE;
    for (let i = 0; i < LINE; i++) words[at + i] = sent ^ i;
    // Whoever sees this sees what was written before.
    Atomics.store(words, SENT, sent + 1);
    if (sent % SHOW_EVERY === 0) progress.at(sent);
  }
  while (received < count) received = await change(words, RECEIVED, received);
  report("sent", count, start);
}

async function receive(file: MmapFile): Promise<void> {
  const words = file.view(Int32Array);
  console.log("waiting for a sender");
  const count = await change(words, COUNT, 0);
  using progress = new Progress("received", count);
  const start = performance.now();
  let sent = 0;
  for (let received = 0; received < count; received++) {
    if (sent === received) sent = await change(words, SENT, sent);
    const at = RING + received % ROOM * LINE;
    for (let i = 0; i < LINE; i++) {
      if (words[at + i] !== (received ^ i)) {
        throw new Error(`Cannot receive: message ${received} came wrong`);
      }
    }
    Atomics.store(words, RECEIVED, received + 1);
    if (received % SHOW_EVERY === 0) progress.at(received);
  }
  report("received", count, start);
}

function report(what: string, count: number, start: number): void {
  const rate = Math.round(1000 * count / (performance.now() - start));
  console.log(
    `${what} ${count} messages, ${rate.toLocaleString("en")} a second`,
  );
}

await main(USAGE, async () => {
  const [command, path, text = "1000000"] = Deno.args;
  if (path === undefined) {
    throw new Error("Cannot run: a command and a file are needed; see --help");
  } else if (command === "send") {
    const count = wholeNumber("COUNT", text);
    if (count < 1 || count >= 2 ** 31) {
      throw new Error("Cannot send: COUNT is from 1 to 2147483647");
    }
    using file = await open(path, { read: true, write: true });
    if (file.size !== SIZE) {
      throw new Error(`Cannot send to '${path}': no ring`);
    }
    await send(file, count);
  } else if (command === "receive") {
    const options = { read: true, write: true, createNew: true, size: SIZE };
    using file = await open(path, options);
    const stop = () => (Deno.removeSync(path), Deno.exit(130));
    Deno.addSignalListener("SIGINT", stop);
    try {
      await receive(file);
    } finally {
      Deno.removeSignalListener("SIGINT", stop);
      Deno.removeSync(path);
    }
  } else throw new Error(`Cannot run '${command}': no such command`);
});
