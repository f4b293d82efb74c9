import { rowsIn } from "./fallback_cost.ts";
import { makeFolder } from "./files.ts";

const folder = makeFolder();
addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

for (const { name: group, against, ours, theirs } of rowsIn(folder)) {
  Deno.bench({ name: against, group, baseline: true, fn: () => call(theirs) });
  Deno.bench({ name: "MmapFile, fallback", group, fn: () => call(ours) });
}

async function call(work: () => unknown): Promise<void> {
  await work();
}
