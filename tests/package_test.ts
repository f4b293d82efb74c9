/** The published files, which deno.json lists, work in another directory. */

import { assert, assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { deno } from "./run_deno.ts";
import {
  isEmulated,
  isWindows,
  type Reason,
  SAME_EVERYWHERE,
  unless,
} from "./skip.ts";
import { TempDir } from "./temp_dir.ts";

const MODULE = new URL("../mod.ts", import.meta.url);
const PROJECT = dirname(fromFileUrl(MODULE));

/** A program as a user writes it, with the types that users rely on. */
const PROGRAM = `
import {
  create,
  type MmapFile,
  type MmapOpenOptions,
  open,
  OutOfBoundsError,
  toReadableStream,
} from "@mmapfile/mmapfile";

const path = Deno.args[0];
const options: MmapOpenOptions = { read: true, write: true, grow: true };
{
  using file: MmapFile = await create(path, 5);
  try {
    await file.writeString("hello, world");
  } catch (error) {
    if (!(error instanceof OutOfBoundsError)) throw error;
    console.log(error.bytesWritten);
  }
}
using file: Deno.FsFile & MmapFile = await open(path, options);
await file.seek(0, Deno.SeekMode.End);
await file.writeString(", package");
await file.flush();
console.log(file.indexOf("package"), file.size);
console.log(await new Response(toReadableStream(file)).text());
`;

/** The files that match an entry of `publish.include`, relative to the project. */
function* filesOf(entry: string): Generator<string> {
  const [folder, ...rest] = entry.split("/**/*");
  if (rest.length === 0) return yield entry;
  for (const { name, isFile } of Deno.readDirSync(join(PROJECT, folder!))) {
    if (!isFile) yield* filesOf(`${folder}/${name}/**/*${rest[0]}`);
    else if (name.endsWith(rest[0]!)) yield `${folder}/${name}`;
  }
}

/** What is published: the files that deno.json lists, and itself. */
const PUBLISHED = [
  "deno.json",
  ...config.publish.include.flatMap((entry) => [...filesOf(entry)]),
];

function pack(to: string): void {
  for (const file of PUBLISHED) {
    Deno.mkdirSync(dirname(join(to, file)), { recursive: true });
    Deno.copyFileSync(join(PROJECT, file), join(to, file));
  }
}

/** On Windows the paths would have to be converted. */
const NOT_HERE: Reason = isWindows && SAME_EVERYWHERE;

Deno.test({
  ...unless(
    NOT_HERE,
    "the published files are those that deno publish would send",
  ),
  fn: async () => {
    const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
    const { stdout, stderr, code } = await deno(args, { cwd: PROJECT });
    assertEquals(code, 0, stderr);
    const prefix = new URL(".", MODULE).href;
    const sent = (stdout + stderr).split("\n").map((line) => line.trim())
      .filter((line) => line.startsWith(prefix))
      .map((line) => line.slice(prefix.length).split(" ")[0]);
    assertEquals(sent.sort(), PUBLISHED.toSorted());
  },
});

Deno.test("the published files work by themselves, without a network", async () => {
  using dir = new TempDir();
  pack(dir.join("package"));
  const app = dir.join("app");
  Deno.mkdirSync(app);
  const imports = { [config.name]: "../package/mod.ts" };
  Deno.writeTextFileSync(join(app, "deno.json"), JSON.stringify({ imports }));
  Deno.writeTextFileSync(join(app, "main.ts"), PROGRAM);
  const { code, stdout, stderr } = await deno([
    "run",
    "--quiet",
    "--no-prompt",
    "--no-remote",
    "--no-npm",
    // The type checker is slow under QEMU.
    isEmulated ? "--no-check" : "--check",
    ...["--allow-read", "--allow-write", "--allow-ffi"],
    "main.ts",
    dir.join("data"),
  ], { cwd: app });
  assertEquals(stderr, "");
  assertEquals(stdout, "5\n7 14\nhello, package\n");
  assertEquals(code, 0);
});

Deno.test({
  ...unless(
    NOT_HERE,
    "the published files are those that mod.ts imports, and no others of the project",
  ),
  fn: async () => {
    using dir = new TempDir();
    pack(dir.path);
    const { stdout } = await deno(["info", "--json", MODULE.href]);
    const graph = JSON.parse(stdout) as { modules: { specifier: string }[] };
    const prefix = new URL(".", MODULE).href;
    const imported = graph.modules.map(({ specifier }) => specifier)
      .filter((specifier) => !specifier.startsWith("node:"));
    for (const specifier of imported) {
      assert(specifier.startsWith(prefix), `${specifier} is from elsewhere`);
      Deno.statSync(dir.join(specifier.slice(prefix.length)));
    }
    const modules = PUBLISHED.filter((file) => file.endsWith(".ts"));
    assertEquals(modules.length, imported.length);
    for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) {
      assert(Deno.statSync(dir.join(file)).isFile);
    }
  },
});
