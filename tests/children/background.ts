/**
 * Work that Deno does outside JavaScript, on a view of a file that is closed during the work.
 * `deno run -A background.ts JOB DIRECTORY` prints how the work ended.
 */

import { openSync, write } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompress } from "node:zlib";
import { createSync } from "../../mod.ts";
import { commandOf } from "../run_deno.ts";

const [name, directory] = Deno.args as [string, string];
const SIZE = 16 << 20;

const path = `${directory}/background`;
const other = `${directory}/other`;
const file = createSync(path, SIZE);
const view = file.bytes();
view.fill(65);

const key = await crypto.subtle.generateKey(
  { name: "AES-GCM", length: 256 },
  true,
  ["encrypt"],
);

/** Both ends of a connection. */
async function connectTcp(): Promise<[Deno.Conn, Deno.Conn]> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const ends = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port }),
  ]);
  listener.close();
  return ends;
}

async function drain(end: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1 << 20);
  while (await end.read(buffer) !== null);
}

/** A stream's write that is stopped half-way because nothing reads, and continues after the close. */
async function writeHalf([one, two]: [Deno.Conn, Deno.Conn]): Promise<unknown> {
  const done = one.writable.getWriter().write(view);
  await sleep(20);
  setTimeout(() => drain(two).catch(() => {}), 20);
  return { done };
}

/** A read that waits for bytes, which arrive after the close. */
async function readLate([one, two]: [Deno.Conn, Deno.Conn]): Promise<unknown> {
  const done = one.read(view);
  await sleep(20);
  setTimeout(() => two.write(new Uint8Array(100)), 20);
  return { done };
}

function withCallback(
  call: (done: (error: Error | null, result: unknown) => void) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call((error, result) => error ? reject(error) : resolve(result));
  });
}

/** Each begins its work, and awaits what must happen before the close; `done` is the rest. */
const jobs: Record<string, () => unknown> = {
  digest: () => ({ done: crypto.subtle.digest("SHA-512", view) }),

  encrypt: () => ({
    done: crypto.subtle.encrypt(
      { name: "AES-GCM", iv: new Uint8Array(12) },
      key,
      view,
    ),
  }),

  writeFile: () => ({ done: Deno.writeFile(other, view) }),

  async fileWrite() {
    const target = await Deno.create(other);
    return { done: target.write(view) };
  },

  async fileRead() {
    await Deno.writeFile(other, new Uint8Array(SIZE));
    const source = await Deno.open(other);
    return { done: source.read(view) };
  },

  nodeWrite: () => ({
    done: withCallback((done) => write(openSync(other, "w"), view, done)),
  }),

  gzip() {
    const { readable, writable } = new CompressionStream("gzip");
    const writer = writable.getWriter();
    writer.write(view);
    writer.close();
    return { done: new Response(readable).arrayBuffer() };
  },

  brotli: () => ({
    done: withCallback((done) =>
      brotliCompress(view.subarray(0, 1 << 20), done)
    ),
  }),

  blob: () => ({ done: new Blob([view]).arrayBuffer() }),

  worker() {
    const code = "onmessage = ({ data }) => postMessage(data[data.length - 1])";
    const worker = new Worker(`data:text/javascript,${code}`, {
      type: "module",
    });
    worker.postMessage(view);
    return { done: new Promise((resolve) => worker.onmessage = resolve) };
  },

  tcpWrite: async () => await writeHalf(await connectTcp()),
  tcpRead: async () => await readLate(await connectTcp()),

  response() {
    const responded = Promise.withResolvers<void>();
    const server = Deno.serve({ port: 0, onListen() {} }, () => {
      responded.resolve();
      return new Response(view);
    });
    const { port } = server.addr;
    const fetched = fetch(`http://localhost:${port}/`, {
      headers: { "accept-encoding": "gzip" },
    });
    return responded.promise.then(() => ({
      done: fetched.then((response) => response.arrayBuffer()),
    }));
  },

  request() {
    const server = Deno.serve(
      { port: 0, onListen() {} },
      async (request) => new Response(await request.arrayBuffer()),
    );
    const { port } = server.addr;
    return {
      done: fetch(`http://localhost:${port}/`, { method: "POST", body: view })
        .then((response) => response.arrayBuffer()),
    };
  },

  async webSocket() {
    const server = Deno.serve({ port: 0, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = () => socket.send("got it");
      return response;
    });
    const socket = new WebSocket(`ws://localhost:${server.addr.port}`);
    await new Promise((resolve) => socket.onopen = resolve);
    socket.send(view.subarray(0, 1 << 20));
    return { done: new Promise((resolve) => socket.onmessage = resolve) };
  },

  async pipe() {
    const [command, args] = commandOf([
      "eval",
      "await Deno.stdin.readable.pipeTo(new WritableStream())",
    ]);
    const child = new Deno.Command(command, {
      args,
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const done = child.stdin.getWriter().write(view);
    await sleep(5);
    return { done };
  },

  webAssembly: () => ({
    done: WebAssembly.compile(view.subarray(0, 1 << 20)),
  }),
};

const { done } = await jobs[name]!() as { done: Promise<unknown> };
done.catch(() => {});
file.close();
const outcome = await done.then(() => "resolved", () => "rejected");
console.error(outcome);
console.log("settled", view.length);
Deno.exit(0);
