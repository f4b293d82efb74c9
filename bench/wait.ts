/**
 * How long it takes to wake another process or worker: by `wait` and `notify`, and by what else there is.
 *
 *   deno run -A bench/wait.ts [ROUNDS]
 *
 * A message is a number. One side sends the time, the other answers with how long that was under way.
 * "Busy" rounds follow each other at once; before an "idle" one both sides sleep. Then `examples/ring.ts` sends
 * messages, as it is and with pauses in place of its waits.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { createSync, type MmapFile, openSync } from "../mod.ts";

/** One end of a way to send numbers. */
interface Channel {
  send(value: number): unknown;
  receive(): Promise<number>;
  close?(): void;
}

const [TO, FROM] = [0, 64];

/** A number at a place in shared memory, behind a count of those sent there. */
class Slot {
  readonly count: Int32Array;
  readonly #value: Float64Array;
  #seen = 0;

  constructor(buffer: ArrayBufferLike, at: number) {
    this.count = new Int32Array(buffer, at, 1);
    this.#value = new Float64Array(buffer, at + 8, 1);
  }

  send(value: number): void {
    this.#value[0] = value;
    Atomics.add(this.count, 0, 1);
  }

  async receive(wait: (seen: number) => unknown): Promise<number> {
    while (Atomics.load(this.count, 0) === this.#seen) await wait(this.#seen);
    this.#seen++;
    return this.#value[0]!;
  }
}

function waiting(file: MmapFile, to: number, from: number): Channel {
  const { buffer } = file.bytes();
  const [out, back] = [new Slot(buffer, to), new Slot(buffer, from)];
  return {
    send(value) {
      out.send(value);
      file.notify(to);
    },
    receive: () => back.receive((seen) => file.wait(from, seen)),
    close: () => file.close(),
  };
}

function polling(file: MmapFile, to: number, from: number): Channel {
  const { buffer } = file.bytes();
  const [out, back] = [new Slot(buffer, to), new Slot(buffer, from)];
  return {
    send: (value) => out.send(value),
    receive: () => back.receive(() => sleep(1)),
    close: () => file.close(),
  };
}

function atomics(buffer: ArrayBufferLike, to: number, from: number): Channel {
  const [out, back] = [new Slot(buffer, to), new Slot(buffer, from)];
  return {
    send(value) {
      out.send(value);
      Atomics.notify(out.count, 0);
    },
    receive: () =>
      back.receive((seen) => Atomics.waitAsync(back.count, 0, seen).value),
  };
}

/** A stream of numbers, of 8 bytes each. */
function stream(
  readable: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
): Channel {
  const reader = readable.getReader();
  const writer = writable.getWriter();
  return {
    send: (value) =>
      writer.write(new Uint8Array(new Float64Array([value]).buffer)),
    async receive() {
      const bytes: number[] = [];
      while (bytes.length < 8) bytes.push(...(await reader.read()).value!);
      return new Float64Array(Uint8Array.from(bytes).buffer)[0]!;
    },
    close: () => void writer.close(),
  };
}

interface Port {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(value: unknown): void;
}

function messages(port: Port): Channel {
  const queue: number[] = [];
  let arrived = () => {};
  port.onmessage = ({ data }) => {
    queue.push(data);
    arrived();
  };
  return {
    send: (value) => port.postMessage(value),
    async receive() {
      if (queue.length === 0) await new Promise<void>((done) => arrived = done);
      return queue.shift()!;
    },
  };
}

/** The other end of each way. A worker gets a message first: the memory. */
const OTHER_END: Record<string, (path: string) => Channel | Promise<Channel>> =
  {
    "wait and notify": (path) => waiting(opened(path), FROM, TO),
    "polling, 1 ms": (path) => polling(opened(path), FROM, TO),
    "Unix socket": async (path) => {
      const connection = await Deno.connect({ transport: "unix", path });
      return stream(connection.readable, connection.writable);
    },
    "pipe": () => stream(Deno.stdin.readable, Deno.stdout.writable),
  };

function opened(path: string): MmapFile {
  return openSync(path, { read: true, write: true });
}

async function answer(channel: Channel, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const sent = await channel.receive();
    await channel.send(now() - sent);
  }
}

/** Milliseconds, by the same clock in all processes. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Runs the rounds and prints a row. */
async function measure(
  name: string,
  channel: Channel,
  busy: number,
  idle: number,
): Promise<void> {
  for (const [kind, rounds] of [["busy", busy], ["idle", idle]] as const) {
    const trips: number[] = [];
    const ways: number[] = [];
    for (let round = 0; round < rounds; round++) {
      if (kind === "idle") await sleep(3);
      const sent = now();
      await channel.send(sent);
      ways.push(await channel.receive());
      trips.push(now() - sent);
    }
    console.log(
      `| ${name.padEnd(34)} | ${kind} | ${quantiles(trips)} | ${
        quantiles(ways)
      } |`,
    );
  }
}

/** The median and the 99th percentile, in microseconds. */
function quantiles(times: number[]): string {
  times.sort((a, b) => a - b);
  return [0.5, 0.99].map((q) =>
    (1000 * times[Math.floor(q * times.length)]!).toFixed(0).padStart(7)
  ).join(" | ");
}

/** Processor time of this process in ms. */
function processorTime(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
}

/** Messages that `examples/ring.ts` is to send; enough for a second or two. */
const MESSAGES = 2_000_000;

/** Messages a second of a ring, by what both of its sides print. */
async function ringRate(script: string, path: string): Promise<string> {
  const run = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, ...args],
      stdout: "piped",
    }).spawn();
  const receiver = run("receive", path);
  const output = receiver.stdout.pipeThrough(new TextDecoderStream())
    .getReader();
  // It prints that it waits when the file is there.
  let text = (await output.read()).value!;
  await run("send", path, String(MESSAGES)).output();
  for (let part; (part = (await output.read()).value);) text += part;
  await receiver.status;
  return /messages, ([\d,]+) a second/.exec(text)![1]!;
}

/** The ring with pauses of a millisecond where it waits. */
function pollingRing(directory: string): string {
  const ring = new URL("../examples/ring.ts", import.meta.url);
  const source = Deno.readTextFileSync(ring);
  const wait = "await file.wait(4 * at, was)";
  if (!source.includes(wait)) throw new Error("Cannot find the ring's wait");
  const path = `${directory}/polling_ring.ts`;
  const pause = "await new Promise((done) => setTimeout(done, 1))";
  Deno.writeTextFileSync(
    path,
    source.replace(wait, pause).replaceAll(
      /from "(\.[^"]*)"/g,
      (_, name) => `from "${new URL(name, ring).href}"`,
    ),
  );
  return path;
}

async function main(busy: number, idle: number): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/data`;
  const rounds = busy + idle;
  const start = (way: string, at: string) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check", import.meta.filename!],
        ...["answer", way, at, String(rounds)],
      ],
      stdin: way === "pipe" ? "piped" : "null",
      stdout: way === "pipe" ? "piped" : "null",
    }).spawn();
  {
    using file = createSync(path, 4096);
    // What Deno does once it has started comes first.
    await file.wait(0, 0, { timeout: 1000 });
    const before = processorTime();
    await file.wait(0, 0, { timeout: 10_000 });
    const used = processorTime() - before;
    console.log(
      `A wait of 10 s took ${used.toFixed(1)} ms of processor time.\n`,
    );
  }
  const worker = () =>
    new Worker(import.meta.url, { type: "module" }) as Worker & Port;

  console.log(
    `| way, in µs | | round trip, median | p99 | one way, median | p99 |
| --- | --- | --- | --- | --- | --- |`,
  );
  for (
    const [way, end] of [["wait and notify", waiting], [
      "polling, 1 ms",
      polling,
    ]] as const
  ) {
    const channel = end(createSync(path, 4096), TO, FROM);
    const child = start(way, path);
    await measure(`${way}, processes`, channel, busy, idle);
    await child.status;
    channel.close!();
  }
  {
    const at = `${directory}/socket`;
    using listener = Deno.listen({ transport: "unix", path: at });
    const child = start("Unix socket", at);
    const connection = await listener.accept();
    const channel = stream(connection.readable, connection.writable);
    await measure("Unix socket, processes", channel, busy, idle);
    await child.status;
    channel.close!();
  }
  {
    const child = start("pipe", "");
    const channel = stream(child.stdout, child.stdin);
    await measure("pipe, processes", channel, busy, idle);
    channel.close!();
    await child.status;
  }
  {
    const other = worker();
    other.postMessage(["file", path, rounds]);
    const channel = waiting(createSync(path, 4096), TO, FROM);
    await measure("wait and notify, workers", channel, busy, idle);
    other.terminate();
    channel.close!();
  }
  {
    const other = worker();
    const memory = new SharedArrayBuffer(4096);
    other.postMessage(["memory", memory, rounds]);
    // Deno does not wait for Atomics.waitAsync().
    const timer = setInterval(() => {}, 1000);
    const channel = atomics(memory, TO, FROM);
    await measure("Atomics.waitAsync, workers", channel, busy, idle);
    clearInterval(timer);
    other.terminate();
  }
  {
    const other = worker();
    other.postMessage(["messages", null, rounds]);
    await measure("postMessage, workers", messages(other), busy, idle);
    other.terminate();
  }
  const ring = new URL("../examples/ring.ts", import.meta.url).href;
  const rings = [
    ["ring.ts", ring],
    ["ring.ts with pauses of 1 ms", pollingRing(directory)],
  ];
  console.log();
  for (let round = 0; round < 3; round++) {
    for (const [name, script] of rings) {
      const rate = await ringRate(script!, `${directory}/ring`);
      console.log(`${name}: ${rate} messages a second`);
    }
  }
  Deno.removeSync(directory, { recursive: true });
}

if ("WorkerGlobalScope" in globalThis) {
  // The types that Deno checks by are those of a main thread.
  const scope = self as unknown as Port;
  scope.onmessage = ({ data: [kind, memory, rounds] }) => {
    const channel = kind === "file"
      ? waiting(opened(memory), FROM, TO)
      : kind === "memory"
      ? atomics(memory, FROM, TO)
      : messages(scope);
    answer(channel, rounds);
  };
} else if (Deno.args[0] === "answer") {
  const [, way, path, rounds] = Deno.args;
  await answer(await OTHER_END[way!]!(path!), Number(rounds));
} else {
  const busy = Number(Deno.args[0] ?? 20_000);
  await main(busy, busy / 20);
}
