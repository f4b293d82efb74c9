#!/usr/bin/env -S deno run --allow-read --allow-ffi
/**
 * Looks IP addresses up in a MaxMind database with mmdb-lib, which reads the file in place: of a large
 * database only the pages that a search visits are read.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { Reader, type Response } from "mmdb-lib";
import { open } from "@mmapfile/mmapfile";
import { main } from "./cli.ts";

const USAGE = `Usage: mmdb.ts DATABASE ADDRESS...

Prints what a MaxMind database (.mmdb) has on each IP address, as a line of JSON.
Without an address it prints what the database says of itself.`;

await main(USAGE, async () => {
  const [path, ...addresses] = Deno.args;
  if (path === undefined) {
    throw new Error("Cannot look up: no database; see --help");
  }
  using file = await open(path, { advice: "random" });
  const { buffer, byteOffset, byteLength } = file.bytes();
  let reader: Reader<Response>;
  try {
    reader = new Reader(Buffer.from(buffer, byteOffset, byteLength));
  } catch (error) {
    throw new Error(`Cannot read '${path}': not a MaxMind database`, {
      cause: error,
    });
  }
  if (addresses.length === 0) console.log(JSON.stringify(reader.metadata));
  for (const address of addresses) {
    if (isIP(address) === 0) {
      throw new Error(`Cannot look up '${address}': not an IP address`);
    }
    console.log(JSON.stringify({ address, found: reader.get(address) }));
  }
});
