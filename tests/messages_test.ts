/** Every message names the action, the file, the reason, and the remedy if there is one. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createSync, type MmapFile, openSync } from "../mod.ts";
import { NOT_TRANSFERABLE } from "./tested_module.ts";
import { deno } from "./run_deno.ts";
import { noTerminal, type Reason } from "./skip.ts";
import { outcomeOf } from "./outcome.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

interface Failure {
  readonly name: string;
  /** The failing call, on the path of a file of 8 bytes. */
  readonly run: (path: string) => unknown;
  /** What the message begins with, before the file's name. */
  readonly tried: string;
  /** The remedy in the message. */
  readonly remedy: string;
  /** Why the case is skipped. */
  readonly reason?: Reason;
}

/** A failure on an open file. */
function of(
  options: Parameters<typeof openSync>[1],
  use: (file: MmapFile, path: string) => unknown,
): (path: string) => unknown {
  return (path) => {
    using file = openSync(path, options);
    return use(file, path);
  };
}

const bytes = new Uint8Array(16);
const WRITE = { read: true, write: true };
const FIXED = { ...WRITE, grow: false };

const FAILURES: Failure[] = [
  {
    name: "a write past the end of a fixed size",
    run: of(FIXED, (file) => file.writeSync(bytes)),
    tried: "Cannot write",
    remedy: "open it with { grow: true }",
  },
  {
    name: "a write to a file open for reading",
    run: of({ read: true }, (file) => file.writeSync(bytes)),
    tried: "Cannot write",
    remedy: "open it with { write: true }",
  },
  {
    name: "a truncation of a file open copy-on-write",
    run: of({ copyOnWrite: true }, (file) => file.truncateSync(4)),
    tried: "Cannot truncate",
    remedy: "open it with { write: true }",
  },
  {
    name: "a read of a file open for writing",
    run: of({ write: true }, (file) => file.readSync(bytes)),
    tried: "Cannot read",
    remedy: "open it with { read: true } too",
  },
  {
    name: "a truncation of a window",
    run: of({ ...WRITE, length: 4 }, (file) => file.truncateSync(2)),
    tried: "Cannot truncate",
    remedy: "open it without 'offset' and 'length'",
  },
  {
    name: "a closed file",
    run: of({ read: true }, (file) => (file.close(), file.bytes())),
    tried: "Cannot view",
    remedy: "open it again",
  },
  {
    name: "a detached buffer",
    reason: NOT_TRANSFERABLE,
    run: of(
      { read: true },
      (file) => (file.bytes().buffer.transfer(), file.bytes()),
    ),
    tried: "Cannot view",
    remedy: "refresh() maps it again",
  },
  {
    name: "a view that is not aligned",
    run: of({ read: true }, (file) => file.view(Int32Array, 1, 1)),
    tried: "Cannot view",
    remedy: "a DataView can begin anywhere",
  },
  {
    name: "a view that is not aligned, in a window",
    run: of({ offset: 3 }, (file) => file.view(Int32Array, 0, 1)),
    tried: "Cannot view",
    remedy: "byte 3 of the file",
  },
  {
    name: "a clone of a file",
    run: of({ read: true }, (file) => structuredClone(file)),
    tried: "Cannot clone",
    remedy: "post the path and open it there",
  },
  {
    name: "advice to release changed memory",
    run: of({ copyOnWrite: true }, (file) => file.advise("dontneed")),
    tried: "Cannot advise on",
    remedy: "would lose the changes",
  },
  {
    name: "a text that is not in the file",
    run: of({ read: true }, (file) => file.text(4, 5)),
    tried: "Cannot read",
    remedy: "past its end at 8",
  },
  {
    name: "a search for a number that is not a byte",
    run: of({ read: true }, (file) => file.indexOf(256)),
    tried: "Cannot search",
    remedy: "an integer from 0 to 255",
  },
  {
    name: "a search from an invalid position",
    run: of({ read: true }, (file) => file.lastIndexOf("1", NaN)),
    tried: "Cannot search",
    remedy: "is not a safe integer",
  },
  {
    name: "lines past the end",
    run: of({ read: true }, (file) => file.lines({ offset: 9 })),
    tried: "Cannot read lines of",
    remedy: "are not a range of its 8 bytes",
  },
  {
    name: "a new file of 0 bytes that does not grow",
    run: (path) => createSync(`${path}.new`, 0),
    tried: "Cannot open",
    remedy: "needs a 'size' of more than 0 bytes, or none",
  },
  {
    name: "options that cannot be combined",
    run: (path) => openSync(path, { copyOnWrite: true, grow: true }),
    tried: "Cannot open",
    remedy: "options 'copyOnWrite' and 'grow' cannot be combined",
  },
  {
    name: "a directory",
    run: (path) => openSync(`${path}/..`),
    tried: "Cannot",
    remedy: "",
  },
];

for (const { name, run, tried, remedy, reason } of FAILURES) {
  testInDir(`the error for ${name} names the remedy`, async (dir) => {
    dir.leavesMapped = true;
    const path = dir.file("12345678");
    const outcome = await outcomeOf(() => run(path));
    assert("error" in outcome, "there was no error");
    const { message } = outcome.error;
    assert(message.startsWith(`${tried} `), message);
    assertStringIncludes(message, `'${path}`);
    assertStringIncludes(message, remedy);
  }, reason);
}

testInDir(
  "the error for a file that another process truncates names the remedy",
  async (dir) => {
    const path = dir.file("12345678");
    using file = openSync(path, { backend: "fallback" });
    Deno.truncateSync(path, 2);
    assertEquals(file.statSync().size, 2);
    const outcome = await outcomeOf(() => file.bytes());
    assert("error" in outcome, "there was no error");
    assertStringIncludes(outcome.error.message, `Cannot view '${path}'`);
    assertStringIncludes(outcome.error.message, "refresh()");
  },
);

const PROGRAM = `
import { openSync } from ${
  JSON.stringify(new URL("../mod.ts", import.meta.url))
};
using file = openSync(Deno.args[0]);
console.log("opened", file.size);
`;

function program(dir: TempDir): string {
  return dir.file(PROGRAM, "main.ts");
}

testInDir(
  "without permissions, the error says which are needed",
  async (dir) => {
    const path = dir.file("12345678");
    const run = ["run", "--no-prompt", "--no-check", "--no-config"];
    for (const [given, wanted] of [[[], "ffi"], [["--allow-ffi"], "read"]]) {
      const args = [...run, ...given!, program(dir), path];
      const { code, stderr } = await deno(args);
      assertEquals(code, 1);
      assertStringIncludes(stderr, `Cannot open '${path}': `);
      assertStringIncludes(stderr, `--allow-${wanted}`);
    }
  },
);

testInDir(
  "at a terminal, Deno asks for ffi and for the file, once each",
  async (dir) => {
    const path = dir.file("12345678");
    const command = `${Deno.execPath()} run --no-check --no-config ${
      program(dir)
    } ${path}`;
    const child = new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const keyboard = child.stdin.getWriter();
    // Repeatedly: Deno discards what was typed before it asks.
    const typing = setInterval(() => {
      keyboard.write(new TextEncoder().encode("y\n")).catch(() => {});
    }, 300);
    const shown = await new Response(child.stdout).text();
    clearInterval(typing);
    await keyboard.abort();
    assertEquals((await child.status).code, 0, shown);
    assertEquals(shown.split("Allow?").length - 1, 2, shown);
    assertStringIncludes(shown, "Deno requests ffi access.");
    assertStringIncludes(shown, `Deno requests read access to "${path}"`);
    assertStringIncludes(shown, "opened 8");
  },
  noTerminal(),
);
