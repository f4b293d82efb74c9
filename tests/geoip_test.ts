/** examples/geoip.ts returns no wrong answer while its table is replaced, by a rename and in place. */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { NOT_TRUNCATABLE } from "./tested_module.ts";
import { commandOf } from "./run_deno.ts";
import { NO_REPLACING, TOO_SLOW, unless } from "./skip.ts";
import { decode } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const EXAMPLE = fromFileUrl(new URL("../examples/geoip.ts", import.meta.url));
const PERMISSIONS = ["read", "write", "net", "ffi"].map((name) =>
  `--allow-${name}`
);
const REQUESTS = 10_000;
const RANGES = 5000;

function start(...args: string[]): Deno.ChildProcess {
  const [program, all] = commandOf([
    "run",
    "--no-check",
    ...PERMISSIONS,
    EXAMPLE,
    ...args,
  ]);
  return new Deno.Command(program, { args: all, stdout: "piped" }).spawn();
}

function address(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
}

/** A table in which every second block of 256 addresses has a country, of which one letter is the table's own. */
async function build(
  dir: TempDir,
  name: string,
  ranges: number,
): Promise<string> {
  const lines = Array.from({ length: ranges }, (_, i) => {
    const first = i * 512;
    return `${address(first)},${address(first + 255)},${name}${countryOf(i)}`;
  });
  const csv = dir.file(lines.join("\n"), `${name}.csv`);
  const { success } = await start("build", csv, dir.join(name)).status;
  assert(success);
  return dir.join(name);
}

function countryOf(block: number): string {
  return String.fromCharCode(65 + block * 7 % 26);
}

Deno.test({
  ...unless(
    TOO_SLOW ||
      NO_REPLACING || NOT_TRUNCATABLE,
    "geoip.ts returns no wrong answer in 10,000 requests while its table is replaced",
  ),
  fn: async () => {
    using dir = new TempDir();
    // Of one size, and of another.
    const tables = await Promise.all([
      build(dir, "A", RANGES),
      build(dir, "B", RANGES),
      build(dir, "C", RANGES - 1000),
    ]);
    const path = dir.join("table");
    Deno.copyFileSync(tables[0], path);
    await using server = new Child(start("serve", path));
    const url = await server.line();

    let isDone = false;
    let replaced = 0;
    const replacing = (async () => {
      while (!isDone) {
        const next = tables[++replaced % tables.length];
        if (replaced % 2 === 0) {
          Deno.copyFileSync(next!, dir.join("next"));
          Deno.renameSync(dir.join("next"), path);
        } else await rewrite(next!, path);
        await sleep(3);
      }
    })();

    const statuses: Record<number, number> = {};
    const ask = async (number: number) => {
      const response = await fetch(url + address(number));
      const text = await response.text();
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
      return { status: response.status, text };
    };
    const client = async (first: number) => {
      for (let i = first; i < REQUESTS; i += 8) {
        const block = i * 7919 % (RANGES * 2);
        const isKnown = block % 2 === 0;
        const { status, text } = await ask(block * 256 + i % 256);
        if (status === 503) continue;
        // The smaller table ends sooner.
        const mayBeMissing = block >= (RANGES - 1000) * 2;
        if (!isKnown || status === 404) {
          assert(
            status === 404 && (!isKnown || mayBeMissing),
            `${block}: ${status} ${text}`,
          );
        } else {
          assertEquals(status, 200);
          assert("ABC".includes(text[0]!), text);
          assertEquals(text[1], countryOf(block / 2));
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, k) => client(k)));
    isDone = true;
    await replacing;
    assert(replaced > 10, `${replaced}`);
    // Most are answered, and in the end from the last table.
    assert(statuses[200]! > REQUESTS / 10, JSON.stringify(statuses));
    const [name] = decode(
      Deno.readFileSync(tables[replaced % tables.length]!).subarray(24, 28),
    ).slice(2);
    assertEquals((await ask(0)).text, name + countryOf(0));
    assertEquals((await fetch(url + "1.2.3")).status, 400);
    assertEquals((await fetch(url + "255.255.255.255")).status, 404);
  },
});

/** Copies a file over another in pieces, slowly, so that readers see it half done. */
async function rewrite(from: string, to: string): Promise<void> {
  const bytes = Deno.readFileSync(from);
  using file = Deno.openSync(to, { write: true, truncate: true });
  const piece = 20_000;
  for (let at = 0; at < bytes.length; at += piece) {
    file.writeSync(bytes.subarray(at, at + piece));
    await sleep(1);
  }
}

/** A server until the end of the block. */
class Child implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;

  constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#output = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** The first line that it prints. */
  async line(): Promise<string> {
    let line = "";
    while (!line.endsWith("\n")) line += (await this.#output.read()).value!;
    return line.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#output.cancel();
    await this.#process.status;
  }
}
