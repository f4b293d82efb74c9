/**
 * What Deno, Node's modules, an add-on and a foreign function do with a view outside JavaScript, each
 * so that a test can act on the file in between.
 */

import { Buffer } from "node:buffer";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as zlib from "node:zlib";
import { promisify } from "node:util";
import { type MmapFile, toReadableStream } from "../../mod.ts";
import { CERTIFICATE, PRIVATE_KEY } from "./certificate.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

/** Of a size that no socket and no pipe takes in without a reader, and not of whole pages. */
export const SIZE = (5 << 20) + 123;

/** What is read from sockets and pipes: a byte that is in no file. */
export const SENT = new Uint8Array(40_000).fill(110);

/** A byte of a file. Files with different `base` share no byte value. */
function byteAt(i: number, base: number): number {
  return base + (i * 31 + (i >>> 8) * 7) % 100;
}

/** Bytes of a file from 1 to 100, or of another one from 128 on. */
export function contentsOf(length: number, base = 1): Bytes {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(i, base);
  return bytes;
}

/** What an operation uses besides the view. */
export interface World {
  /** The operation's own directory, empty except for `fifo`. */
  readonly directory: string;
  readonly fifo: string;
  /** Called when the native work has been requested. */
  begin(): void;
  /** Fulfilled when the other end may continue. */
  readonly released: Promise<void>;
}

/** Native work on a view. */
export interface Operation {
  /** Whether it reads into the view: then it returns the number of bytes. */
  readonly fills?: boolean;
  /** Whether it cannot end before the other end continues. */
  readonly waits?: boolean;
  /** Whether it takes the view piece by piece, so that it ends where the view becomes empty. */
  readonly isPiecewise?: boolean;
  /** Whether a worker can end during it: Deno 2.9 crashes if an add-on works then, on any memory. */
  readonly outlivesWorkers?: false;
  /** What the file has to contain; `contentsOf(SIZE)` by default. */
  readonly contents?: () => Bytes;
  /** Starts the work; returns the bytes that it took from the view, or what `of` makes of them. */
  start(
    view: Uint8Array<ArrayBuffer>,
    world: World,
    file: MmapFile,
  ): Promise<Uint8Array | number>;
  /** What it makes of bytes: the bytes by default. */
  readonly of?: (bytes: Uint8Array) => Uint8Array;
  /** The other end of a pipe, which outlives a worker. Returns a function that ends it and returns what came through. */
  readonly feed?: (world: World) => () => Promise<Uint8Array>;
}

const pbkdf2 = promisify(crypto.pbkdf2);
const scrypt = promisify<string | Uint8Array, string, number, Buffer>(
  crypto.scrypt,
);
const HOST = "127.0.0.1";

/** Reads what comes through a FIFO, up to a byte that is in no file. */
function drain({ fifo }: World): () => Promise<Uint8Array> {
  const END = 255;
  const fd = fs.openSync(fifo, "r+");
  const pieces: Uint8Array[] = [];
  let before = -1;
  const ended = (async () => {
    for (;;) {
      const piece = new Uint8Array(1 << 16);
      const { bytesRead } = await promisify(fs.read)(fd, { buffer: piece });
      pieces.push(piece.subarray(0, bytesRead));
      if (piece[bytesRead - 1] === END) return;
    }
  })();
  return async () => {
    // Deno may write in this thread, so nothing else may fill the pipe.
    while (before !== pieces.length) {
      before = pieces.length;
      await sleep(20);
    }
    // Through another descriptor: Deno holds one that it reads from until the read ends.
    await withFile(
      fifo,
      "r+",
      (fd) => promisify(fs.write)(fd, Uint8Array.of(END)),
    );
    await ended;
    fs.closeSync(fd);
    return Buffer.concat(pieces).subarray(0, -1);
  };
}

/** Writes to a FIFO. */
function fill({ fifo }: World): () => Promise<Uint8Array> {
  const fd = fs.openSync(fifo, "r+");
  fs.writeSync(fd, SENT);
  return () => {
    fs.closeSync(fd);
    return Promise.resolve(new Uint8Array(0));
  };
}

/** Two ends of a TCP connection. */
async function tcp(): Promise<[Deno.Conn, Deno.Conn]> {
  using listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  return await Promise.all([
    Deno.connect({ hostname: HOST, port }),
    listener.accept(),
  ]);
}

async function tls(): Promise<[Deno.Conn, Deno.Conn]> {
  using listener = Deno.listenTls({
    hostname: HOST,
    port: 0,
    cert: CERTIFICATE,
    key: PRIVATE_KEY,
  });
  const { port } = listener.addr;
  const [one, other] = await Promise.all([
    Deno.connectTls({ hostname: "localhost", port, caCerts: [CERTIFICATE] }),
    listener.accept(),
  ]);
  await Promise.all([one.handshake(), other.handshake()]);
  return [one, other];
}

/** Sends all of the view; returns what arrived. */
async function sendThrough(
  ends: Promise<[Deno.Conn, Deno.Conn]>,
  view: Uint8Array,
  world: World,
): Promise<Uint8Array> {
  const [one, other] = await ends;
  const received = world.released.then(() =>
    new Response(other.readable).bytes()
  );
  const writing = (async () => {
    // Checked before each piece, as a program's loop does.
    for (let at = 0; at < view.length;) {
      at += await one.write(view.subarray(at));
    }
  })();
  world.begin();
  await Promise.allSettled([writing]);
  await one.closeWrite().catch(() => {});
  const bytes = await received;
  one.close();
  await writing;
  return bytes;
}

/** Reads into the view what is sent. */
async function receiveFrom(
  ends: Promise<[Deno.Conn, Deno.Conn]>,
  view: Uint8Array,
  world: World,
): Promise<number> {
  const [one, other] = await ends;
  try {
    const reading = one.read(view);
    world.begin();
    await world.released;
    await other.write(SENT);
    return await reading ?? 0;
  } finally {
    one.close();
    other.close();
  }
}

/** A server for one request. Returns the result of `use`. */
async function withServer<T>(
  handler: Deno.ServeHandler,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server = Deno.serve(
    { hostname: HOST, port: 0, onListen() {} },
    handler,
  );
  try {
    return await use(`http://${HOST}:${server.addr.port}/`);
  } finally {
    await server.shutdown();
  }
}

/** A server that returns what it receives. */
function echo<T>(world: World, use: (url: string) => Promise<T>): Promise<T> {
  return withServer(async (request) => {
    world.begin();
    await world.released;
    return new Response(await request.bytes());
  }, use);
}

/** What a client receives of a response. */
function serve(body: BodyInit, world: World): Promise<Uint8Array> {
  return withServer(
    () => new Response(body),
    async (url) => {
      const response = await fetch(url);
      // A shared view is refused, as any shared memory is.
      if (!response.ok) throw new Error("the server failed");
      world.begin();
      await world.released;
      return await response.bytes();
    },
  );
}

/** Work that is requested at once, and that no other end delays. */
async function begun<T>(work: Promise<T>, world: World): Promise<T> {
  world.begin();
  return await work;
}

/** Work that Node's modules request in the next tick. It fails with an uncaught error for an empty view. */
async function begunLater<T>(work: Promise<T>, world: World): Promise<T> {
  setTimeout(world.begin);
  return await work;
}

function hash(bytes: Uint8Array): Uint8Array {
  return crypto.createHash("sha256").update(bytes).digest();
}

/** A WebAssembly module with the bytes of a file in a custom section. */
function wasmModule(): Bytes {
  const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const length = SIZE - magic.length - 5;
  const size = [0, 7, 14, 21].map((shift) => length >> shift & 127);
  const leb = size.map((part, i) => i < 3 ? part | 128 : part);
  const bytes = contentsOf(SIZE);
  bytes.set([...magic, 0, ...leb, 1, 120]);
  return bytes;
}

/** Functions of the C library that block until the other end of a pipe continues. */
function pipeFunctions() {
  return Deno.dlopen("libc.so.6", {
    // ssize_t read(int fd, void *buf, size_t count);
    read: {
      parameters: ["i32", "buffer", "usize"],
      result: "isize",
      nonblocking: true,
    },
    // ssize_t write(int fd, const void *buf, size_t count);
    write: {
      parameters: ["i32", "buffer", "usize"],
      result: "isize",
      nonblocking: true,
    },
  }).symbols;
}

/** Opens a file for a number, and closes it. */
async function withFile<T>(
  path: string,
  flags: string,
  use: (fd: number) => Promise<T>,
): Promise<T> {
  const fd = fs.openSync(path, flags);
  try {
    return await use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** What a file contains after this has written to it. */
async function written(
  { directory }: World,
  write: (path: string) => Promise<unknown>,
): Promise<Uint8Array> {
  const path = `${directory}/written`;
  Deno.writeFileSync(path, new Uint8Array(0));
  await write(path);
  return Deno.readFileSync(path);
}

export const operations: Record<string, Operation> = {
  tcpRead: {
    fills: true,
    waits: true,
    start: (view, world) => receiveFrom(tcp(), view, world),
  },
  tcpWrite: {
    waits: true,
    isPiecewise: true,
    start: (view, world) => sendThrough(tcp(), view, world),
  },
  tlsRead: {
    fills: true,
    waits: true,
    start: (view, world) => receiveFrom(tls(), view, world),
  },
  tlsWrite: {
    waits: true,
    isPiecewise: true,
    start: (view, world) => sendThrough(tls(), view, world),
  },
  stdinRead: {
    fills: true,
    waits: true,
    async start(view, world) {
      return await begun(Deno.stdin.read(view), world) ?? 0;
    },
    feed: () => {
      // The test is at the other end.
      console.log("feed");
      return () => Promise.resolve(new Uint8Array(0));
    },
  },
  fifoRead: {
    fills: true,
    waits: true,
    start: (view, world) =>
      withFile(world.fifo, "r+", async (fd) => {
        const reading = promisify(fs.read)(fd, { buffer: view });
        return (await begun(reading, world)).bytesRead;
      }),
    feed: fill,
  },
  fifoWrite: {
    async start(view, world) {
      // Deno may write in the calling thread: the other end is in another process.
      const output = `${world.directory}/output`;
      const script = 'exec 3<"$1"; sleep 0.1; exec cat <&3 >"$2"';
      const reader = new Deno.Command("sh", {
        args: ["-c", script, "sh", world.fifo, output],
      }).spawn();
      await withFile(world.fifo, "w", async (fd) => {
        await begun(promisify(fs.write)(fd, view), world);
      });
      await reader.status;
      return Deno.readFileSync(output);
    },
  },
  fileWrite: {
    start: (view, world) =>
      written(world, async (path) => {
        using file = Deno.openSync(path, { write: true });
        await begun(file.write(view), world);
      }),
  },
  fileRead: {
    fills: true,
    async start(view, { directory, begin }) {
      const path = `${directory}/read`;
      Deno.writeFileSync(path, new Uint8Array(SIZE).fill(SENT[0]!));
      using file = Deno.openSync(path);
      const reading = file.read(view);
      begin();
      return await reading ?? 0;
    },
  },
  writeFile: {
    start: (view, world) =>
      written(world, (path) => begun(Deno.writeFile(path, view), world)),
  },
  fileWritable: {
    start: (view, world) =>
      written(world, async (path) => {
        const file = Deno.openSync(path, { write: true });
        const writer = file.writable.getWriter();
        await begun(writer.write(view), world);
        await writer.close();
      }),
  },
  nodeRequest: {
    start: (view, world) =>
      echo(world, async (url) => {
        const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
        const request = http.request(url, { method: "POST" }, (response) => {
          const pieces: Buffer[] = [];
          response.on("data", (piece) => pieces.push(piece));
          response.on("end", () => resolve(Buffer.concat(pieces)));
        });
        request.on("error", reject);
        // In chunks: the client would wait for an announced length when the view has become empty.
        request.write(view);
        request.end();
        return await promise;
      }),
  },
  fetchBody: {
    start: (view, world) =>
      echo(world, async (url) => {
        const response = fetch(url, { method: "POST", body: view });
        return await (await response).bytes();
      }),
  },
  fetchStream: {
    start: (view, world) =>
      echo(world, async (url) => {
        const body = new ReadableStream({
          start(controller) {
            controller.enqueue(view);
            controller.close();
          },
        });
        const response = fetch(url, { method: "POST", body });
        return await (await response).bytes();
      }),
  },
  serveBody: { start: (view, world) => serve(view, world) },
  serveStream: {
    start: (view, world, file) => {
      const offset = file.size - view.length;
      const options = { zeroCopy: true, offset: offset > 0 ? 1 << 20 : 0 };
      return serve(
        toReadableStream(file, { ...options, length: view.length }),
        world,
      );
    },
  },
  webSocket: {
    start(view, world) {
      const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      return withServer((request) => {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.binaryType = "arraybuffer";
        socket.onmessage = ({ data }) => {
          resolve(new Uint8Array(data));
          socket.close();
        };
        socket.onerror = () => reject(new Error("the server's socket failed"));
        return response;
      }, async (url) => {
        const socket = new WebSocket(url.replace("http", "ws"));
        const closed = new Promise((resolve) => socket.onclose = resolve);
        socket.onerror = () => reject(new Error("the client's socket failed"));
        socket.onopen = () => {
          try {
            socket.send(view);
          } catch (error) {
            reject(error);
            socket.close();
          }
          world.begin();
        };
        try {
          return await promise;
        } finally {
          await closed;
        }
      });
    },
  },
  digest: {
    start: async (view, world) =>
      new Uint8Array(
        await begun(globalThis.crypto.subtle.digest("SHA-256", view), world),
      ),
    of: hash,
  },
  pbkdf2: {
    start: (view, world) => begun(pbkdf2(view, "salt", 1, 32, "sha256"), world),
    of: (bytes) => crypto.pbkdf2Sync(bytes, "salt", 1, 32, "sha256"),
  },
  scrypt: {
    start: (view, world) => begun(scrypt(view, "salt", 32), world),
    of: (bytes) => crypto.scryptSync(bytes, "salt", 32),
  },
  gzip: {
    start: async (view, world) =>
      zlib.gunzipSync(await begunLater(promisify(zlib.gzip)(view), world)),
  },
  brotli: {
    start: async (view, world) => {
      const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 };
      const compress = promisify<Uint8Array, zlib.BrotliOptions, Buffer>(
        zlib.brotliCompress,
      );
      return zlib.brotliDecompressSync(
        await begunLater(compress(view, { params }), world),
      );
    },
  },
  zstd: {
    start: async (view, world) =>
      zlib.zstdDecompressSync(
        await begunLater(
          promisify<Uint8Array, Buffer>(zlib.zstdCompress)(view),
          world,
        ),
      ),
  },
  compressionStream: {
    async start(view, world) {
      const stream = new CompressionStream("gzip");
      const writer = stream.writable.getWriter();
      const writing = Promise.all([writer.write(view), writer.close()]);
      writing.catch(() => {});
      world.begin();
      return zlib.gunzipSync(await new Response(stream.readable).bytes());
    },
  },
  compileStreaming: {
    contents: wasmModule,
    async start(view, world) {
      const headers = { "content-type": "application/wasm" };
      const compiling = WebAssembly.compileStreaming(
        new Response(view, { headers }),
      );
      const module = await begun(compiling, world);
      const [section] = WebAssembly.Module.customSections(module, "x");
      return new Uint8Array(section!);
    },
    of: (bytes) => bytes.subarray(15),
  },
  blob: {
    // deno-lint-ignore require-await
    start: async (view, world) => begun(new Blob([view]).bytes(), world),
  },
  postMessage: {
    async start(view, world) {
      const { port1, port2 } = new MessageChannel();
      const { promise, resolve } = Promise.withResolvers<Uint8Array>();
      port2.onmessage = ({ data }) => resolve(data.slice());
      port1.postMessage(view);
      try {
        return await begun(promise, world);
      } finally {
        port1.close();
        port2.close();
      }
    },
  },
  addOn: {
    outlivesWorkers: false,
    async start(view, world) {
      const { compress, uncompress } = await import("snappy");
      const compressed = await begun(
        compress(Buffer.from(view.buffer, view.byteOffset, view.length)),
        world,
      );
      return await uncompress(compressed) as Uint8Array;
    },
  },
  ffiRead: {
    fills: true,
    waits: true,
    start: (view, world) =>
      withFile(world.fifo, "r+", async (fd) => {
        const { read } = pipeFunctions();
        return Number(await begun(read(fd, view, BigInt(view.length)), world));
      }),
    feed: fill,
  },
  ffiWrite: {
    waits: true,
    start: (view, world) =>
      withFile(world.fifo, "r+", async (fd) => {
        const { write } = pipeFunctions();
        return Number(await begun(write(fd, view, BigInt(view.length)), world));
      }),
    feed: drain,
  },
};
