#!/usr/bin/env -S deno run --allow-read --allow-write --allow-ffi
/**
 * A key-value store on the command line; `kv_store.ts` describes the file.
 *
 * @module
 */

import { main, print } from "./cli.ts";
import { Store } from "./kv_store.ts";

const USAGE = `Usage: kv.ts FILE get KEY
       kv.ts FILE set KEY VALUE
       kv.ts FILE delete KEY
       kv.ts FILE list | load

Keeps keys and values in a file, which set and load create if it does not exist. list prints
all of them as KEY<tab>VALUE. load sets the lines of its input, KEY<tab>VALUE, and prints
each key once its value is on the disk. get and delete end with code 1 if the key does not exist.`;

/** How many arguments each command takes. */
const ARGUMENTS: Record<string, number | undefined> = {
  get: 1,
  set: 2,
  delete: 1,
  list: 0,
  load: 0,
};

/** Sets the lines of the input, as many at a time as have arrived. */
async function load(store: Store): Promise<void> {
  let rest = "";
  const set = async (lines: string[]) => {
    const entries = lines.map((line): [string, string] => {
      const tab = line.indexOf("\t");
      if (tab === -1) {
        throw new Error(`Cannot load '${line}': it does not contain a tab`);
      }
      return [line.slice(0, tab), line.slice(tab + 1)];
    });
    await store.set(entries);
    print(entries.map(([key]) => `${key}\n`).join(""));
  };
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const text of input) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    await set(lines);
  }
  if (rest !== "") await set([rest]);
}

await main(USAGE, async () => {
  const [path = "", command = "", key = "", value = ""] = Deno.args;
  if (ARGUMENTS[command] !== Deno.args.length - 2) {
    throw new Error("Cannot run: a file and a command are needed; see --help");
  }
  const isMade = command === "set" || command === "load";
  using store = await Store.open(path, isMade);
  if (command === "set") await store.set([[key, value]]);
  else if (command === "load") await load(store);
  else if (command === "list") {
    for (const entry of store.entries()) print(`${entry.join("\t")}\n`);
  } else if (command === "get") {
    const found = store.get(key);
    if (found === undefined) Deno.exitCode = 1;
    else print(`${found}\n`);
  } else if (store.get(key) === undefined) Deno.exitCode = 1;
  else await store.set([[key]]);
});
