/**
 * Requests a second, processor time for each, and memory, of `examples/serve.ts` and of a plain server of
 * `Deno.FsFile.readable`, by turns, under 64 connections.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { makeFile, makeFolder } from "../files.ts";
import { digits, duration, quantile } from "../measure.ts";
import type { Job, Line, Study } from "../study.ts";

const CONNECTIONS = 64;
const ROUNDS = 5;
const ROUND_MS = 1500;
const SIZES = { "1 KB": 1 << 10, "100 KB": 100 << 10, "10 MB": 10 << 20 };

/** What is compared with: a file opened for each request, and closed at the end of the body. */
const PLAIN = `
Deno.serve({ port: 0, onListen: ({ port }) => console.log("http://127.0.0.1:" + port + "/") }, async ({ url }) => {
  const file = await Deno.open(Deno.args[0] + new URL(url).pathname);
  const { size } = await file.stat();
  return new Response(file.readable, { headers: { "content-length": String(size) } });
});
`;

const EXAMPLE = fileURLToPath(
  new URL("../../examples/serve.ts", import.meta.url),
);

export const SERVE: Study = {
  title: "Files over HTTP",
  about:
    `\`examples/serve.ts\`, which keeps files mapped, beside a server that opens the file for each request and sends its \`readable\`. ${CONNECTIONS} connections ask for one file; medians of ${ROUNDS} rounds by turns. Each server is a process of its own, and the client another on the same machine. Processor time is the server's, for each request; memory is its anonymous memory afterwards.`,
  columns: {
    "requests a second": digits,
    "processor time": duration,
    "memory, MB": digits,
  },
  jobs: Object.entries(SIZES).map(([name, size]): Job => ({
    id: `serve: ${name}`,
    seconds: 20,
    run: () => measureServers(name, size),
  })),
  ratios: (lines) =>
    Object.keys(SIZES).flatMap((size) => {
      const [fsFile, mmapFile] = ["Deno.FsFile", "MmapFile"].map((side) =>
        lines.find(({ name }) => name === `${size}, ${side}`)
      );
      if (fsFile === undefined || mmapFile === undefined) return [];
      const column = "requests a second";
      return [{
        group: "Files over HTTP",
        name: `Requests a second, file of ${size}`,
        ratio: mmapFile.values[column]! / fsFile.values[column]!,
      }];
    }),
};

async function measureServers(name: string, size: number): Promise<Line[]> {
  if (Deno.build.os !== "linux") {
    return [{ name, values: {}, note: "only Linux tells a process's times" }];
  }
  const folder = makeFolder();
  const plain = `${folder}/plain.ts`;
  Deno.writeTextFileSync(plain, PLAIN);
  const file = makeFile(folder, size).slice(folder.length + 1);
  await using fsFile = new Server([plain, folder]);
  await using mmapFile = new Server([EXAMPLE, folder]);
  const servers = { "Deno.FsFile": fsFile, "MmapFile": mmapFile };
  for (const server of Object.values(servers)) await server.listen();
  // The first round is there to warm up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const server of Object.values(servers)) await server.load(file);
  }
  Deno.removeSync(folder, { recursive: true });
  const median = (values: number[]) => quantile(values.slice(1), 0.5);
  return Object.entries(servers).map(([side, server]) => ({
    name: `${name}, ${side}`,
    values: {
      "requests a second": median(server.rates),
      "processor time": median(server.cpuTimes) * 1e6,
      "memory, MB": server.memory(),
    },
  }));
}

class Server implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  url = "";
  readonly rates: number[] = [];
  readonly cpuTimes: number[] = [];

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
    const before = this.#cpuTime();
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
    this.cpuTimes.push((this.#cpuTime() - before) / count);
  }

  /** Milliseconds of processor time that the server has used. */
  #cpuTime(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#process.pid}/stat`);
    // Behind the name, in ticks of 10 ms: proc(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** Memory of its own, in MB. Pages of files are the system's. */
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
