/** A process that makes the changes that lines of JSON describe, and answers each with a line. */

import { change } from "./change.ts";

const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
let rest = "";
for await (const text of lines) {
  const [last, ...whole] = (rest + text).split("\n").reverse();
  rest = last!;
  for (const line of whole.reverse()) {
    change(JSON.parse(line));
    console.log("done");
  }
}
