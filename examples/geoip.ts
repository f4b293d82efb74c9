#!/usr/bin/env -S deno run --allow-read --allow-write --allow-net --allow-ffi
/**
 * Looks up the country of an IPv4 address over HTTP, in a table that another process may replace.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { main, wholeNumber } from "./cli.ts";
import { build, parseAddress, Table } from "./geoip_table.ts";

const USAGE = `Usage: geoip.ts build CSV TABLE
       geoip.ts serve [-p PORT] TABLE

Builds a table from lines such as 1.2.3.0,1.2.3.255,CH that are sorted, and
answers requests such as http://127.0.0.1:PORT/1.2.3.4 from it.

  -p PORT  the port, by default any that is free`;

/** Looks an address up. If the table has changed, it reloads the table and tries again. */
function respond(table: Table, url: string): Response {
  const address = parseAddress(new URL(url).pathname.slice(1));
  if (Number.isNaN(address)) return new Response(null, { status: 400 });
  for (let attempt = 0;; attempt++) {
    try {
      if (attempt > 0) table.load();
      const country = table.find(address);
      return new Response(country, { status: country ? 200 : 404 });
    } catch {
      if (attempt === 0) continue;
      return new Response(null, {
        status: 503,
        headers: { "retry-after": "1" },
      });
    }
  }
}

await main(USAGE, async () => {
  const { values, positionals: [command, one, two, ...more] } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { port: { type: "string", short: "p", default: "0" } },
  });
  if (command === "build" && one && two && more.length === 0) {
    return build(one, two);
  }
  if (command !== "serve" || one === undefined || two !== undefined) {
    throw new Error("Cannot run: a command is needed; see --help");
  }
  const table = new Table(one);
  const server = Deno.serve({
    port: wholeNumber("-p", values.port),
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`),
  }, ({ url }) => respond(table, url));
  await server.finished;
});
