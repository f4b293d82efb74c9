#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * Sends messages from one process to another through a ring buffer in a mapped file: Atomics on two
 * counters, and a system call only if the other side sleeps.
 *
 * The file, in lines of 16 words as processors share memory: how many messages there will be; how many
 * have been sent; how many received; and the ring, a message a line.
 *
 * @module
 */

import { type MmapFile, open } from "@mmapfile/mmapfile";
import { main, wholeNumber } from "./cli.ts";

const USAGE = `Usage: ring.ts receive FILE
       ring.ts send FILE [COUNT]

Sends messages of 64 bytes, by default 1,000,000, to another process. Both print messages a second.
Start the receiver first: it makes the file, and deletes it at the end, at Ctrl-C too.`;

const LINE = 16;
const [COUNT, SENT, RECEIVED, RING] = [0, LINE, 2 * LINE, 3 * LINE];
/** Beside each counter: the value at which the other side last went to sleep. */
const AWAITED = 1;
let woken = -1;
/** Messages that the ring holds, a power of 2; looks at a counter until its reader sleeps. */
const [ROOM, SPINS] = [1 << 12, 20_000];
const SIZE = 4 * (RING + ROOM * LINE);

/** Waits until a counter has changed. Returns its new value. */
async function next(file: MmapFile, at: number, was: number) {
  const words = file.view(Int32Array);
  for (let spins = 0; Atomics.load(words, at) === was; spins++) {
    if (spins < SPINS) continue;
    Atomics.store(words, at + AWAITED, was);
    await file.wait(4 * at, was);
  }
  return Atomics.load(words, at);
}

/** Sets a counter, after all that was written before, and wakes the other side if it sleeps since an earlier value. */
function set(file: MmapFile, words: Int32Array, at: number, value: number) {
  Atomics.store(words, at, value);
  const awaited = Atomics.load(words, at + AWAITED);
  if (awaited === value || awaited === woken) return;
  file.notify(4 * at);
  woken = awaited;
}

async function send(file: MmapFile, count: number): Promise<void> {
  const words = file.view(Int32Array);
  if (Atomics.compareExchange(words, COUNT, 0, count) !== 0) {
    throw new Error(`Cannot send to '${file.name}': another process does`);
  }
  file.notify(4 * COUNT);
  const start = performance.now();
  let received = 0;
  for (let sent = 0; sent < count; sent++) {
    const isFull = sent - received === ROOM;
    if (isFull) received = await next(file, RECEIVED, received);
    const at = RING + sent % ROOM * LINE;
    for (let i = 0; i < LINE; i++) words[at + i] = sent ^ i;
    set(file, words, SENT, sent + 1);
  }
  while (received < count) received = await next(file, RECEIVED, received);
  report("sent", count, start);
}

async function receive(file: MmapFile): Promise<void> {
  const words = file.view(Int32Array);
  console.log("waiting for a sender");
  const count = await next(file, COUNT, 0), start = performance.now();
  for (let sent = 0, received = 0; received < count; received++) {
    if (sent === received) sent = await next(file, SENT, sent);
    const at = RING + received % ROOM * LINE;
    for (let i = 0; i < LINE; i++) {
      if (words[at + i] !== (received ^ i)) {
        throw new Error(`Cannot receive: message ${received} came wrong`);
      }
    }
    set(file, words, RECEIVED, received + 1);
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
      throw new Error(`Cannot send to '${path}': not a ring`);
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
  } else throw new Error(`Cannot run '${command}': unknown command`);
});
