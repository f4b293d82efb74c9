#!/usr/bin/env -S deno run -A
/**
 * Requests a second, and the most memory, of `examples/serve.ts` and of a plain server of
 * `Deno.FsFile.readable`, by turns, under 64 connections.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { makeFile, makeFolder } from "./files.ts";
import { quantile, table } from "./measure.ts";

const CONNECTIONS = 64;
const ROUNDS = 5;
const ROUND_MS = 1500;
const SIZES: [string, number][] = [
  ["1 KB", 1 << 10],
  ["100 KB", 100 << 10],
  ["10 MB", 10 << 20],
];

/** What is compared with: a file opened for each request, and closed at the end of the body. */
const PLAIN = `
Deno.serve({ port: 0, onListen: ({ port }) => console.log("http://127.0.0.1:" + port + "/") }, async ({ url }) => {
  const file = await Deno.open(Deno.args[0] + new URL(url).pathname);
  const { size } = await file.stat();
  return new Response(file.readable, { headers: { "content-length": String(size) } });
});
`;

class Server implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  url = "";
  readonly rates: number[] = [];

  constructor(args: string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", ...args],
      stdout: "piped",
    }).spawn();
  }

  async listen(): Promise<void> {
    const reader = this.#process.stdout.getReader();
    const { value } = await reader.read();
    this.url = new TextDecoder().decode(value).trim();
  }

  /** Requests a second for some time. */
  async load(name: string): Promise<void> {
    const end = performance.now() + ROUND_MS;
    let count = 0;
    const client = async () => {
      while (performance.now() < end) {
        const response = await fetch(this.url + name);
        for await (const _ of response.body!);
        count++;
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
    this.rates.push(count / (performance.now() - end + ROUND_MS) * 1000);
  }

  /** The most memory that it has had, in MB, of its own: pages of files are the system's. */
  memory(): number {
    const { pid } = this.#process;
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/RssAnon:\s*(\d+)/.exec(status)![1]) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }
}

const folder = makeFolder();
const plain = `${folder}/plain.ts`;
Deno.writeTextFileSync(plain, PLAIN);
const example = fileURLToPath(new URL("../examples/serve.ts", import.meta.url));
const rows: string[][] = [
  [
    "",
    "Deno.FsFile",
    "serve.ts",
    "times as many",
    "memory: Deno.FsFile",
    "serve.ts",
  ],
];
for (const [name, size] of SIZES) {
  const path = makeFile(folder, size);
  const file = path.slice(folder.length + 1);
  await using fsFile = new Server([plain, folder]);
  await using mmapFile = new Server([example, folder]);
  const both = [fsFile, mmapFile];
  for (const server of both) await server.listen();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const server of both) await server.load(file);
  }
  // The first round is there to warm up.
  const [one, other] = both.map(({ rates }) => quantile(rates.slice(1), 0.5));
  rows.push([
    name,
    `${one.toFixed(0)} /s`,
    `${other.toFixed(0)} /s`,
    (other / one).toFixed(2),
    ...both.map((server) => `${server.memory().toFixed(0)} MB`),
  ]);
}
Deno.removeSync(folder, { recursive: true });
console.log(table(rows));
