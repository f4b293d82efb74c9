// Prints the record with a number: deno run --allow-read --allow-ffi record.ts FILE NUMBER
import { openSync } from "@mmapfile/mmapfile";

const BYTES = 32;
const [path = "", number = "0"] = Deno.args;
using file = openSync(path);
console.log(file.text(Number(number) * BYTES, BYTES).trimEnd());
