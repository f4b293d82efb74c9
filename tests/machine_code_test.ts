/** The listings beside the machine code assemble to the same bytes. */

import { assertEquals } from "@std/assert";
import { LISTINGS, NAMES } from "../src/sigbus/guard.ts";
import { LISTING } from "../src/posix/non_temporal_copy.ts";
import { machineCode } from "../src/posix/machine_code.ts";
import { notInstalled, unless } from "./skip.ts";

/** What an assembler must be told first. */
const PROLOGUES = { x86_64: ".intel_syntax noprefix", aarch64: "" };

const { TABLE, ...names } = NAMES;
const GUARD_NAMES = [
  ...Object.entries(names).map(([name, value]) => `.set ${name}, ${value}`),
  `.set TABLE, handler + ${TABLE}`,
];

await test("x86_64", "guard", LISTINGS.x86_64!, GUARD_NAMES);
await test("aarch64", "guard", LISTINGS.aarch64!, GUARD_NAMES);
await test("x86_64", "large copies", LISTING, []);

async function test(
  arch: keyof typeof PROLOGUES,
  what: string,
  listing: string,
  definitions: string[],
): Promise<void> {
  const prefix = `${arch}-linux-gnu`;
  Deno.test({
    ...unless(
      !await has(`${prefix}-as`) && notInstalled(`${prefix}-as`),
      `the ${arch} listing of the ${what} assembles to its bytes`,
    ),
    fn: async () => {
      const source = [
        PROLOGUES[arch],
        ...definitions,
        ...listing.split("\n").map((line) =>
          line.slice(line.indexOf("|") + 1).split(";")[0]
        ),
        "",
      ].join("\n");
      assertEquals(await assemble(prefix, source), machineCode(listing));
    },
  });
}

async function has(command: string): Promise<boolean> {
  try {
    await new Deno.Command(command, { args: ["--version"] }).output();
    return true;
  } catch {
    return false;
  }
}

async function assemble(prefix: string, source: string): Promise<Uint8Array> {
  const directory = await Deno.makeTempDir();
  const inDirectory = async (tool: string, ...args: string[]) => {
    const command = new Deno.Command(`${prefix}-${tool}`, {
      args,
      cwd: directory,
    });
    const { code, stderr } = await command.output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
  };
  try {
    await Deno.writeTextFile(`${directory}/source.s`, source);
    await inDirectory("as", "source.s", "-o", "object.o");
    await inDirectory("objcopy", "-O", "binary", "object.o", "bytes");
    return await Deno.readFile(`${directory}/bytes`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
