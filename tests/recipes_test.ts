/** The recipes of the guide work with the permissions that they name and no others. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { commandOf, deno } from "./run_deno.ts";
import { TOO_SLOW, unless } from "./skip.ts";
import { encode } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const RECIPES = new URL("../examples/recipes/", import.meta.url);

/** The arguments of Deno that run a recipe as its first line does. */
function command(name: string): string[] {
  const url = new URL(name, RECIPES);
  const permissions = Deno.readTextFileSync(url).split("\n")[0]!.match(
    /--allow-\w+/g,
  )!;
  return ["run", "--no-prompt", "--no-check", ...permissions, fromFileUrl(url)];
}

async function output(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await deno([...command(name), ...args]);
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout;
}

function test(name: string, fn: (dir: TempDir) => Promise<void>): void {
  Deno.test({
    ...unless(TOO_SLOW, name),
    fn: async () => {
      using dir = new TempDir();
      await fn(dir);
    },
  });
}

Deno.test("every recipe is short, imports only the package, and is in the guide", () => {
  const guide = Deno.readTextFileSync(
    new URL("../docs/guide.md", import.meta.url),
  );
  for (const { name } of Deno.readDirSync(RECIPES)) {
    const text = Deno.readTextFileSync(new URL(name, RECIPES));
    assert(text.trimEnd().split("\n").length <= 20, name);
    assertEquals([...text.matchAll(/from "(.*)"/g)].map(([, from]) => from), [
      "@mmapfile/mmapfile",
    ]);
    assert(guide.includes("```ts ignore\n" + text + "```"), name);
  }
});

test("the recipe for records prints the one with the number", async (dir) => {
  const records = Array.from({ length: 100 }, (_, i) => `récord ${i}`);
  const bytes = new Uint8Array(32 * records.length).fill(32);
  records.forEach((record, i) => bytes.set(encode(record), i * 32));
  const path = dir.file(bytes);
  for (const i of [0, 42, 99]) {
    assertEquals(await output("record.ts", path, `${i}`), `${records[i]}\n`);
  }
});

test("the recipe for a counter counts across processes", async (dir) => {
  const path = dir.join("counter");
  const all = Array.from(
    { length: 3 },
    () => output("counter.ts", path, "10000"),
  );
  await Promise.all(all);
  assertEquals(await output("counter.ts", path), "30001n\n");
});

test("the recipe for waiting prints what another process writes", async (dir) => {
  const path = dir.join("text");
  let isRead = false;
  const reading = output("version.ts", path)
    .finally(() => isRead = true);
  // The reader does not notice a text written before it starts, so it gets another one.
  while (!isRead) await output("version.ts", path, "héllo");
  assertEquals(await reading, "héllo\n");
});

test("the recipe for a search prints the lines that hold the text", async (dir) => {
  const lines = Array.from(
    { length: 1000 },
    (_, i) => `line ${i}, ${i % 7 === 0 ? "wörd, wörd" : "other"}`,
  );
  for (const end of ["", "\n"]) {
    const path = dir.file(lines.join("\r\n") + end);
    for (const text of ["wörd", "line", "999", "nothing", "line 0"]) {
      const expected = lines.filter((line) => line.includes(text));
      assertEquals(
        await output("search.ts", path, text),
        expected.map((line) => `${line}\n`).join(""),
      );
    }
  }
});

test("the recipe for a range serves it", async (dir) => {
  const path = dir.file("0123456789");
  const [program, args] = commandOf([...command("range.ts"), path]);
  // Deno.serve prints its address, on standard error if that is not a terminal.
  const child = new Deno.Command(program, {
    args,
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const found = Promise.withResolvers<string>();
  const look = async (stream: ReadableStream<Uint8Array>) => {
    let text = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const port = /:(\d+)\//.exec(text)?.[1];
      if (port) found.resolve(`http://127.0.0.1:${port}/`);
    }
  };
  const looking = Promise.all([look(child.stdout), look(child.stderr)]);
  try {
    const url = await found.promise;
    const ranges = {
      "": [200, null, "0123456789"],
      "bytes=2-4": [206, "bytes 2-4/10", "234"],
      "bytes=8-": [206, "bytes 8-9/10", "89"],
      "bytes=9-99": [206, "bytes 9-9/10", "9"],
    };
    for (const [range, expected] of Object.entries(ranges)) {
      const response = await fetch(url, { headers: range ? { range } : {} });
      const { status, headers } = response;
      assertEquals([
        status,
        headers.get("content-range"),
        await response.text(),
      ], expected);
    }
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await looking;
  }
});
