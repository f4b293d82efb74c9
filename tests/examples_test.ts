/** Every example works with the permissions that its first line names and no others. */

import { setTimeout as sleep } from "node:timers/promises";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Store } from "../examples/kv_store.ts";
import { NOT_TRUNCATABLE } from "./tested_module.ts";
import { type ChildResult, commandOf, deno } from "./run_deno.ts";
import {
  isEmulated,
  isWindows,
  NO_LISTING,
  NO_SHARED_MEMORY,
  noTerminal,
  notInstalled,
  ONE_IN,
  type Reason,
  SAME_EVERYWHERE,
  unless,
  unlessSampled,
} from "./skip.ts";
import { decode, encode, pattern } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const EXAMPLES = new URL("../examples/", import.meta.url);

/** What the examples share, which is not a command. */
const MODULES = [
  "bars.ts",
  "byte_ranges.ts",
  "cli.ts",
  "file_body.ts",
  "geoip_table.ts",
  "kv_store.ts",
  "preconditions.ts",
  "word_counter.ts",
];

const SCRIPTS = [...Deno.readDirSync(EXAMPLES)].map(({ name }) => name)
  .filter((name) => name.endsWith(".ts") && !MODULES.includes(name)).sort();

/** The arguments of Deno that run an example as its first line does. */
function command(name: string): string[] {
  const url = new URL(name, EXAMPLES);
  const [firstLine] = Deno.readTextFileSync(url).split("\n");
  const prefix = "#!/usr/bin/env -S deno run ";
  assert(firstLine!.startsWith(prefix), `${name} cannot be run`);
  const permissions = firstLine!.slice(prefix.length).split(" ");
  return ["run", "--no-prompt", "--no-check", ...permissions, fromFileUrl(url)];
}

async function run(name: string, ...args: string[]): Promise<ChildResult> {
  return await deno([...command(name), ...args]);
}

/** Runs an example that must succeed, and returns what it printed. */
async function output(name: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(name, ...args);
  assertEquals(stderr, "");
  assertEquals(code, 0);
  return stdout;
}

/** Starts an example that the test talks to while it runs. */
function start(
  name: string,
  args: string[],
  stderr: "null" | "piped" = "null",
): Deno.ChildProcess {
  const [program, all] = commandOf([...command(name), ...args]);
  return new Deno.Command(program, {
    args: all,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr,
  }).spawn();
}

/** What a program of the system prints in the C locale; `undefined` if it is not installed. */
function system(program: string, ...args: string[]) {
  try {
    const { code, stdout } = new Deno.Command(program, {
      args,
      env: { LC_ALL: "C" },
      stderr: "null",
    }).outputSync();
    return { code, stdout: decode(stdout) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function has(program: string): boolean {
  return system(program, "--version") !== undefined;
}

/** A text of words, spaces of all kinds, empty lines and CRLF, that ends without a newline. */
function text(lines: number): string {
  return Array.from(
    { length: lines },
    (_, i) => `${i} key=${i % 97}\t\tw${"o".repeat(i % 50)}rd \v\f${i % 9}\r\n`,
  ).join("\n") + "the end";
}

let count = 0;

/** Why a test is skipped: of these, too, one in `ONE_IN` runs. */
function unlessTaken(): Reason {
  return unlessSampled(count++);
}

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ ...unless(unlessTaken(), name), fn });
}

// --- What holds for all of them

for (const name of SCRIPTS) {
  test(`${name} explains itself`, async () => {
    assertMatch(await output(name, "--help"), /^Usage: /);
  });

  test(`${name} reports a wrong argument in one line`, async () => {
    const wrong = [["--fast"], ["does/not/exist", "1.2.3.4"]];
    // The demo then creates a file of 256 MB.
    if (name !== "demo.ts") wrong.push([]);
    for (const args of wrong) {
      const { code, stdout, stderr } = await run(name, ...args);
      assertMatch(stderr, /^(Cannot|Unknown option) .+\n$/);
      assertEquals(stdout, "");
      assertEquals(code, 1);
    }
  });

  test(`${name} can be run by its name`, () => {
    const { mode } = Deno.statSync(new URL(name, EXAMPLES));
    // Windows lacks this mode.
    if (Deno.build.os !== "windows") assert((mode! & 0o111) === 0o111);
  });
}

const NO_SIGNALS: Reason = Deno.build.os === "windows" &&
  "pipes and Ctrl-C differ on Windows";

/** Arguments that print more of a file than a pipe holds. */
const LONG: [name: string, args: (path: string) => string[]][] = [
  ["grep.ts", (path) => ["1", path]],
  ["hexdump.ts", (path) => [path]],
  ["tail.ts", (path) => ["-n", "1000000", path]],
];

for (const [name, args] of LONG) {
  Deno.test({
    ...unless(
      unlessTaken() || NO_SIGNALS,
      `${name} ends quietly when the reader of its output ends`,
    ),
    async fn() {
      using dir = new TempDir();
      const path = dir.file("1 line\n".repeat(500_000));
      const child = start(name, args(path), "piped");
      const reader = child.stdout.getReader();
      await reader.read();
      await reader.cancel();
      const { code } = await child.status;
      assertEquals(await new Response(child.stderr).text(), "");
      assertEquals(code, 1);
      await child.stdin.close();
    },
  });
}

for (
  const [name, command] of [["tail.ts", "-f"], ["ring.ts", "receive"]]
) {
  Deno.test({
    ...unless(
      unlessTaken() || NO_SIGNALS,
      `${name} ends at Ctrl-C and leaves no file`,
    ),
    async fn() {
      using dir = new TempDir();
      const path = name === "tail.ts" ? dir.file("line\n") : dir.join("ring");
      const child = start(name!, [command!, path], "piped");
      const reader = child.stdout.getReader();
      // It has started once it has printed something.
      await reader.read();
      child.kill("SIGINT");
      const { code } = await child.status;
      await reader.cancel();
      assertEquals(await new Response(child.stderr).text(), "");
      assertEquals(code, 130);
      await child.stdin.close();
      const left = [...Deno.readDirSync(dir.path)].map(({ name }) => name);
      assertEquals(left, name === "tail.ts" ? ["data"] : []);
    },
  });
}

test("every example is short", () => {
  for (const name of [...SCRIPTS, ...MODULES]) {
    const lines = Deno.readTextFileSync(new URL(name, EXAMPLES)).split("\n");
    assert(lines.length <= 120, `${name} has ${lines.length - 1} lines`);
  }
});

// --- wc.ts

Deno.test({
  ...unless(
    unlessTaken() || !has("wc") && notInstalled("wc"),
    "wc.ts counts what wc counts",
  ),
  async fn() {
    using dir = new TempDir();
    const paths = [
      dir.file(text(1000), "text"),
      dir.file("", "empty"),
      dir.file("\n", "newline"),
      dir.file("no newline", "word"),
      dir.file("  \t", "spaces"),
      // Words across the end of a piece.
      dir.file("word ".repeat((1 << 20) / ONE_IN), "large"),
    ];
    const counts = (text?: string) =>
      text?.trimEnd().split("\n").map((line) => line.trim().split(/\s+/));
    for (const path of paths) {
      const expected = counts(system("wc", path)?.stdout);
      assertEquals(counts(await output("wc.ts", path)), expected);
    }
    const expected = counts(system("wc", ...paths)?.stdout);
    assertEquals(counts(await output("wc.ts", ...paths)), expected);
  },
});

// --- warm.ts

test("warm.ts loads files of any size, and prints how large they are", async () => {
  using dir = new TempDir();
  const paths = [dir.file("", "empty"), dir.file("hello", "small")];
  paths.push(dir.sparseFile(40 << 20));
  assertEquals(
    await output("warm.ts", ...paths),
    `0 ${paths[0]}\n5 ${paths[1]}\n${40 << 20} ${paths[2]}\n`,
  );
});

// --- word_count.ts

Deno.test({
  ...unless(
    unlessTaken() || NO_SHARED_MEMORY ||
      !has("wc") && notInstalled("wc"),
    "word_count.ts counts what wc counts, however many workers count",
  ),
  async fn() {
    using dir = new TempDir();
    const paths = [
      dir.file(text(1000), "text"),
      dir.file("", "empty"),
      dir.file("one", "word"),
      // Words across the end of a part.
      dir.file("word ".repeat((1 << 18) / ONE_IN), "large"),
    ];
    for (const path of paths) {
      const expected = system("wc", path)?.stdout.trim().split(/\s+/);
      for (const workers of ["1", "3", "7"]) {
        const counted = await output("word_count.ts", path, workers);
        assertEquals(counted.trim().split(" "), expected);
      }
    }
  },
});

// --- grep.ts

Deno.test({
  ...unless(
    unlessTaken() || !has("grep") && notInstalled("grep"),
    "grep.ts finds what grep -F finds",
  ),
  async fn() {
    using dir = new TempDir();
    const path = dir.file(text(3000), "text");
    const other = dir.file("käse\nkey=1\n\nkey=1 key=1\nend\n", "other");
    const strings = [
      "key=1",
      "käse",
      "the end",
      "0",
      "\t\tw",
      "nothing",
      "",
      "w",
    ];
    for (const string of strings) {
      for (const flags of [[], ["-n"], ["-c"]]) {
        for (const paths of [[other], [path, other]]) {
          const args = [...flags, string, ...paths];
          const { stdout, code } = await run("grep.ts", ...args);
          const expected = system("grep", "-a", "-F", ...args)!;
          assert(stdout === expected.stdout, `of ${JSON.stringify(args)}`);
          assertEquals(code, expected.code);
        }
      }
    }
    assertEquals((await run("grep.ts", "nothing", path)).code, 1);
  },
});

test("grep.ts refuses a string of two lines", async () => {
  const { code, stderr } = await run("grep.ts", "one\ntwo", "file");
  assertStringIncludes(stderr, "the end of a line");
  assertEquals(code, 1);
});

// --- hexdump.ts

/** A row of xxd, composed in another way than in the example. */
function xxdRow(bytes: Uint8Array, offset: number): string {
  const codes = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const pairs = codes.join("").replace(/.{4}/g, "$& ").trimEnd().padEnd(39);
  const shown = decode(
    bytes.map((byte) => byte > 31 && byte < 127 ? byte : 46),
  );
  return `${offset.toString(16).padStart(8, "0")}: ${pairs}  ${shown}\n`;
}

test("hexdump.ts shows bytes anywhere in a file", async () => {
  using dir = new TempDir();
  const bytes = pattern(40_000);
  const path = dir.file(bytes);
  for (
    const [offset, length] of [[0, 40_000], [0, 0], [5, 1], [33, 47], [17, 16]]
  ) {
    const shown = bytes.subarray(offset, offset! + length!);
    let expected = "";
    for (let i = 0; i < length!; i += 16) {
      expected += xxdRow(shown.subarray(i, i + 16), offset! + i);
    }
    const args = ["-s", `${offset}`, "-l", `${length}`, path];
    assertEquals(await output("hexdump.ts", ...args), expected);
    if (length === 0) continue;
    assertEquals(system("xxd", ...args)?.stdout ?? expected, expected);
  }
  const tail = bytes.subarray(-20);
  assertEquals(
    await output("hexdump.ts", "-s-20", path),
    xxdRow(tail.subarray(0, 16), 39_980) + xxdRow(tail.subarray(16), 39_996),
  );
  const { code, stderr } = await run("hexdump.ts", "-s", "40001", path);
  assertStringIncludes(stderr, "byte 40001 is not in its 40000 bytes");
  assertEquals(code, 1);
});

test("hexdump.ts shows bytes past 5 GiB", async () => {
  using dir = new TempDir();
  const offset = 5 * 2 ** 30;
  const path = dir.sparseFile(offset + 100);
  using file = Deno.openSync(path, { write: true });
  file.seekSync(offset, Deno.SeekMode.Start);
  file.writeSync(encode("far away"));
  assertEquals(
    await output("hexdump.ts", "-s", "0x140000000", "-l", "8", path),
    "140000000: 6661 7220 6177 6179                      far away\n",
  );
});

// --- kv.ts

test("kv.ts sets, changes, deletes and lists", async () => {
  using dir = new TempDir();
  const kv = (...args: string[]) => output("kv.ts", dir.join("store"), ...args);
  assertEquals(await kv("set", "one", "1"), "");
  assertEquals(await kv("set", "zwölf", "twelve\nlines"), "");
  assertEquals(await kv("set", "", "nothing"), "");
  assertEquals(await kv("get", "zwölf"), "twelve\nlines\n");
  assertEquals(await kv("get", ""), "nothing\n");
  await kv("set", "one", "eins");
  assertEquals(await kv("get", "one"), "eins\n");
  await kv("delete", "zwölf");
  await kv("delete", "");
  assertEquals(await kv("list"), "one\teins\n");

  for (const command of ["get", "delete"]) {
    const { code, stdout, stderr } = await run(
      "kv.ts",
      dir.join("store"),
      command,
      "zwölf",
    );
    assertEquals([code, stdout, stderr], [1, "", ""]);
  }
});

test("kv.ts creates a file to set keys, and for nothing else", async () => {
  using dir = new TempDir();
  for (const args of [["get", "key"], ["delete", "key"], ["list"]]) {
    const { code, stderr } = await run("kv.ts", dir.join("store"), ...args);
    assertMatch(stderr, /^Cannot open '.*': .+\n$/);
    assertEquals(code, 1);
  }
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

test("the store of kv.ts holds what a Map would, also where hashes collide", async () => {
  using dir = new TempDir();
  const expected = new Map<string, string>();
  for (let round = 0; round < 10; round++) {
    using store = await Store.open(dir.join("store"), true);
    const batch = Array.from({ length: 4_000 }, (_, i): [string, string?] => {
      const key = `key ${Math.floor(Math.random() * 20_000)}`;
      return i % 3 === 0 ? [key] : [key, `${round} ${i}`];
    });
    for (const [key, value] of batch) {
      if (value === undefined) expected.delete(key);
      else expected.set(key, value);
    }
    await store.set(batch);
    const sorted = (entries: Iterable<[string, string]>) =>
      [...entries].sort(([a], [b]) => a < b ? -1 : 1);
    assertEquals(sorted(store.entries()), sorted(expected));
    for (const [key] of batch) assertEquals(store.get(key), expected.get(key));
  }
});

test("kv.ts refuses a file in another format, and leaves it unchanged", async () => {
  using dir = new TempDir();
  for (const contents of ["a", "some text ".repeat(100)]) {
    const path = dir.file(contents);
    const { code, stderr } = await run("kv.ts", path, "set", "key", "value");
    assertEquals(stderr, `Cannot use '${path}': not a key-value store\n`);
    assertEquals(code, 1);
    assertEquals(Deno.readTextFileSync(path), contents);
  }
});

const KEYS = 5003;
const ROUNDS = 10;

/** An endless stream of lines: key n % KEYS gets the value n. */
class Lines {
  /** The first number that was in no line. */
  next = 0;

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      pull: (controller) => {
        let piece = "";
        for (let i = 0; i < 200; i++, this.next++) {
          piece += `${this.next % KEYS}\t${this.next}\n`;
        }
        controller.enqueue(encode(piece));
      },
    });
  }
}

test("kv.ts has every key that it acknowledged when it is killed", async () => {
  using dir = new TempDir();
  const path = dir.join("store");
  const lines = new Lines();
  /** The least value that each key may have. */
  const least = new Map<number, number>();
  for (let round = 0; round < ROUNDS; round++) {
    let value = lines.next;
    const child = start("kv.ts", [path, "load"]);
    // The pipe breaks when the child dies.
    const feeding = lines.stream().pipeTo(child.stdin).catch(() => {});
    const enough = Math.floor(Math.random() * 10 * KEYS);
    let printed = "";
    let killed = false;
    for await (const chunk of child.stdout) {
      printed += decode(chunk);
      if (killed || printed.length < enough) continue;
      killed = true;
      child.kill("SIGKILL");
    }
    await child.status;
    await feeding;
    for (const key of printed.split("\n").slice(0, -1).map(Number)) {
      assertEquals(key, value % KEYS);
      least.set(key, value++);
    }

    const list = (await output("kv.ts", path, "list")).trimEnd().split("\n");
    const stored = new Map(
      list.map((line) => line.split("\t").map(Number) as [number, number]),
    );
    assertEquals(stored.size, list.length);
    for (const [key, value] of least) {
      const there = stored.get(key)!;
      assert(there >= value && there % KEYS === key, `${key}: ${there}`);
    }
    // A value that was set and not acknowledged stays too.
    for (const [key, value] of stored) least.set(key, value);
  }
  assert(least.size > 0);
});

// --- ring.ts

test("ring.ts brings every message from one process to another", async () => {
  using dir = new TempDir();
  const path = dir.join("ring");
  const receiver = start("ring.ts", ["receive", path]);
  const received = receiver.stdout.pipeThrough(new TextDecoderStream())
    .getReader();
  const { value: first } = await received.read();
  assertEquals(first, "waiting for a sender\n");
  const sent = await output("ring.ts", "send", path, "200000");
  assertMatch(sent, /^sent 200000 messages, [\d,]+ a second\n$/);
  const { value: last } = await received.read();
  assertMatch(last!, /^received 200000 messages, [\d,]+ a second\n$/);
  await received.cancel();
  await receiver.stdin.close();
  assertEquals((await receiver.status).code, 0);
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test({
  ...unless(
    unlessTaken() || NO_LISTING,
    "ring.ts takes no processor time while it waits for messages",
  ),
  async fn() {
    using dir = new TempDir();
    const receiver = start("ring.ts", ["receive", dir.join("ring")]);
    const reader = receiver.stdout.getReader();
    await reader.read();
    // Time of the processor in hundredths of a second, user and system: fields 14 and 15 of proc_pid_stat(5).
    const used = () => {
      const stat = Deno.readTextFileSync(`/proc/${receiver.pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    // Deno's own work after its start comes first.
    await sleep(500);
    const before = used();
    await sleep(2000);
    assert(used() - before <= 4, `${used() - before} of 200`);
    receiver.kill("SIGINT");
    await reader.cancel();
    await receiver.stdin.close();
    await receiver.status;
  },
});

test("ring.ts refuses an existing file", async () => {
  using dir = new TempDir();
  const path = dir.file("mine");
  for (const command of ["send", "receive"]) {
    const { code, stderr } = await run("ring.ts", command, path);
    assertMatch(stderr, /^Cannot .*\n$/);
    assertEquals(code, 1);
  }
  assertEquals(Deno.readTextFileSync(path), "mine");
});

// --- tail.ts

test("tail.ts shows the last lines", async () => {
  using dir = new TempDir();
  const lines = Array.from({ length: 30 }, (_, i) => `line ${i}\n`);
  for (const end of ["", "no newline"]) {
    const path = dir.file(lines.join("") + end);
    const all = end === "" ? lines : [...lines, end];
    assertEquals(await output("tail.ts", path), all.slice(-10).join(""));
    for (const n of [1, 3, 31, 100]) {
      const shown = await output("tail.ts", "-n", `${n}`, path);
      assertEquals(shown, all.slice(-n).join(""));
    }
    assertEquals(await output("tail.ts", "-n", "0", path), "");
  }
  assertEquals(await output("tail.ts", dir.file("\n\n\n")), "\n\n\n");
  assertEquals(await output("tail.ts", dir.file("")), "");
});

Deno.test({
  ...unless(
    unlessTaken() || NOT_TRUNCATABLE,
    "tail.ts follows a file that grows, is truncated and is replaced",
  ),
  fn: async () => {
    using dir = new TempDir();
    const path = dir.file("old\nlast\n");
    const child = start("tail.ts", ["-n", "1", "-f", path]);
    let shown = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) shown += decode(chunk);
    })();
    let expected = "";
    const until = async (more: string) => {
      expected += more;
      for (
        let waited = 0;
        shown !== expected && waited < 20_000;
        waited += 20
      ) {
        await sleep(20);
      }
      assertEquals(shown, expected);
    };
    const add = (text: string) =>
      Deno.writeTextFileSync(path, text, { append: true });
    try {
      await until("last\n");
      add("grown\n");
      add("twice\n");
      await until("grown\ntwice\n");
      // Windows does not let other processes truncate a mapped file.
      if (Deno.build.os !== "windows") {
        Deno.truncateSync(path);
        // Long enough for tail.ts to notice.
        await sleep(500);
        add("after a truncation\n");
        await until("after a truncation\n");
      }
      Deno.renameSync(path, dir.join("rotated"));
      dir.file("another file\n");
      await until("another file\n");
      add("x".repeat(200_000));
      await until("x".repeat(200_000));
    } finally {
      child.kill("SIGKILL");
      await child.stdin.close();
      await reading;
      await child.status;
    }
  },
});

// --- mmdb.ts

/** A value in the data section of a MaxMind database; https://maxmind.github.io/MaxMind-DB/ */
function maxMindValue(value: unknown): number[] {
  // Type and length, both short here.
  if (typeof value === "string") {
    const bytes = encode(value);
    return [2 << 5 | bytes.length, ...bytes];
  }
  if (typeof value === "number") return [6 << 5 | 2, value >> 8, value & 255];
  if (Array.isArray(value)) {
    return [value.length, 11 - 7, ...value.flatMap(maxMindValue)];
  }
  const entries = Object.entries(value as Record<string, unknown>);
  return [7 << 5 | entries.length, ...entries.flat().flatMap(maxMindValue)];
}

/** A database with one node: addresses from 128.0.0.0 on have a record. */
function maxMindDatabase(record: unknown): Uint8Array<ArrayBuffer> {
  const [nodes, separator] = [1, 16];
  return new Uint8Array([
    // The node: to the left nothing, as the number of nodes says; to the right the first record.
    ...[0, 0, nodes, 0, 0, nodes + separator],
    ...new Array(separator).fill(0),
    ...maxMindValue(record),
    ...[0xab, 0xcd, 0xef, ...encode("MaxMind.com")],
    ...maxMindValue({
      binary_format_major_version: 2,
      binary_format_minor_version: 0,
      build_epoch: 1,
      database_type: "Test",
      description: { en: "Half a world" },
      ip_version: 4,
      languages: ["en"],
      node_count: nodes,
      record_size: 24,
    }),
  ]);
}

test("mmdb.ts looks addresses up", async () => {
  using dir = new TempDir();
  const record = { country: { iso_code: "JP" }, city: "Tōkyō" };
  const path = dir.file(maxMindDatabase(record));
  const lines = await output("mmdb.ts", path, "200.1.2.3", "1.2.3.4");
  assertEquals(lines.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    { address: "200.1.2.3", found: record },
    { address: "1.2.3.4", found: null },
  ]);
  assertStringIncludes(await output("mmdb.ts", path), '"Half a world"');
  const { code, stderr } = await run("mmdb.ts", path, "1.2.3");
  assertEquals(stderr, "Cannot look up '1.2.3': not an IP address\n");
  assertEquals(code, 1);
  const other = dir.file("some text", "other");
  const wrong = await run("mmdb.ts", other, "1.2.3.4");
  assertEquals(
    wrong.stderr,
    `Cannot read '${other}': not a MaxMind database\n`,
  );
});

// --- demo.ts

async function makeFile(size: number): Promise<string> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, new Uint8Array(size).map((_, i) => i % 251));
  return path;
}

/** A bar for each class, and its time. */
const BARS = /\n {2}Deno\.FsFile █+ \d+ ns\n {2}MmapFile {4}█+ \d+ ns\n/g;

const SENTENCE =
  /\n\nMmapFile was [\d.]+ to [\d.]+ times as fast, and read the same bytes\.\r?\n$/;

for (const size of [1, 300_007]) {
  test(`the demo ends with a bar chart and a sentence on a file of ${size} bytes`, async () => {
    const path = await makeFile(size);
    try {
      const shown = await output("demo.ts", path);
      assertStringIncludes(shown, `Reading ${size} of ${size} bytes`);
      assertEquals(shown.match(BARS)?.length, 4);
      assertMatch(shown, SENTENCE);
    } finally {
      await Deno.remove(path);
    }
  });
}

test("the demo reads the beginning of a sparse file of 20 GB", async () => {
  const path = await makeFile(0);
  try {
    await Deno.truncate(path, 20e9);
    const shown = await output("demo.ts", path);
    assertStringIncludes(shown, `Reading ${256 << 20} of ${20e9} bytes`);
    assertMatch(shown, SENTENCE);
  } finally {
    await Deno.remove(path);
  }
});

test("the demo reports what is wrong with a file", async () => {
  using dir = new TempDir();
  const wrong = {
    [dir.file("", "empty")]: "is empty",
    [dir.path]: "directory",
    [dir.join("missing")]: "",
  };
  for (const [path, reason] of Object.entries(wrong)) {
    const { code, stdout, stderr } = await run("demo.ts", path);
    assertMatch(stderr, /^Cannot .+\n$/);
    assertStringIncludes(stderr, path);
    assertStringIncludes(stderr, reason);
    assertEquals(stdout, "");
    assertEquals(code, 1);
  }
});

Deno.test({
  ...unless(
    unlessTaken() || noTerminal(),
    "the demo fits a terminal of 60 columns, and shows its progress",
  ),
  async fn() {
    using dir = new TempDir();
    const path = dir.file("some bytes");
    const args = [Deno.execPath(), ...command("demo.ts"), path];
    const command60 = `stty cols 60; ${args.join(" ")}`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", command60, "/dev/null"],
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    const shown = decode(stdout);
    assertEquals(code, 0, shown);
    assertMatch(shown, /readSync: 4 KiB, in order: \d+ %/);
    // A line that is overwritten does not belong to the chart.
    const lines = shown.split("\n").filter((line) => line.includes("█"))
      .map((line) => line.trimEnd());
    assertEquals(lines.length, 8);
    for (const line of lines) assert(line.length <= 60, line);
    assertMatch(shown.replaceAll("\r", ""), SENTENCE);
  },
});

Deno.test({
  ...unless(
    (isEmulated || isWindows) && SAME_EVERYWHERE,
    "the demo downloads nothing",
  ),
  async fn() {
    using dir = new TempDir();
    const { code, stderr } = await deno(["task", "demo", "--help"], {
      cwd: fromFileUrl(new URL("..", EXAMPLES)),
      env: { DENO_DIR: dir.path },
    });
    assertEquals(code, 0, stderr);
    assert(!stderr.includes("Download"), stderr);
  },
});

// --- latest.ts

test("latest.ts prints what is written while it waits", async () => {
  using dir = new TempDir();
  const path = dir.join("latest");
  assertEquals(await output("latest.ts", "write", path, "one"), "");
  const reader = start("latest.ts", ["read", path]);
  const printed = reader.stdout.pipeThrough(new TextDecoderStream())
    .getReader();
  assertEquals((await printed.read()).value, "one\n");
  for (const text of ["two", "", "drei Äpfel"]) {
    assertEquals(await output("latest.ts", "write", path, text), "");
    assertEquals((await printed.read()).value, `${text}\n`);
  }
  reader.kill("SIGKILL");
  await printed.cancel();
  await reader.stdin.close();
  await reader.status;
});
