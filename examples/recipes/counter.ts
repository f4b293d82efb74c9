// Counts across processes: deno run --allow-read --allow-write --allow-ffi counter.ts FILE [TIMES]
import { openSync } from "@mmapfile/mmapfile";

const [path = "", times = "1"] = Deno.args;
// A new or empty file gets this size. An existing file keeps its own.
using file = openSync(path, { read: true, write: true, create: true, size: 8 });
const counter = file.view(BigInt64Array, 0, 1);
let count = 0n;
for (let i = 0; i < Number(times); i++) {
  count = Atomics.add(counter, 0, 1n) + 1n;
}
console.log(count);
