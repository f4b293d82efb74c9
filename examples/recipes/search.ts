// Prints the lines of a log that contain a text: deno run --allow-read --allow-ffi search.ts FILE TEXT
import { openSync } from "@mmapfile/mmapfile";

const [path = "", text = "error"] = Deno.args;
using file = openSync(path);
let at = file.indexOf(text);
while (at !== -1) {
  const start = file.lastIndexOf("\n", at) + 1;
  const [line] = file.textLines({ offset: start });
  console.log(line);
  const end = file.indexOf("\n", at);
  at = end === -1 ? -1 : file.indexOf(text, end);
}
