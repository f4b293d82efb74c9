// Serves a file, or a range of it: deno run --allow-read --allow-net --allow-ffi range.ts FILE
import { openSync } from "@mmapfile/mmapfile";

const [path = ""] = Deno.args;
const file = openSync(path);
Deno.serve({ port: 0 }, ({ headers }) => {
  const blob = file.blob({ type: "application/octet-stream" });
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
  const from = Number(range?.[1]);
  if (!(from < blob.size)) return new Response(blob);
  const to = Math.min(Number(range?.[2] || Infinity), blob.size - 1);
  return new Response(blob.slice(from, to + 1), {
    status: 206,
    headers: { "content-range": `bytes ${from}-${to}/${blob.size}` },
  });
});
