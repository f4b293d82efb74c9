/**
 * What a process pays to start. Each time is taken in a process of its own, which this module is too: it
 * imports nothing that imports the library.
 *
 * @module
 */

import { duration, quantile } from "../measure.ts";
import type { Line, Study } from "../study.ts";

const PIECE = 4096;
const STARTS = 11;

export const START: Study = {
  title: "Starting",
  about:
    `The first time in a process, its median of ${STARTS} processes by turns. The module is compiled already, as after the first run.`,
  columns: { "time": duration },
  jobs: [{ id: "start", seconds: 6, run: measureStart }],
};

async function measureStart(): Promise<Line[]> {
  const { sharedFile } = await import("../files.ts");
  const path = sharedFile(4096);
  const times = new Map<string, number[]>();
  // The first one compiles.
  for (let run = 0; run <= STARTS; run++) {
    const { values } = (await startProcess(path))[0]!;
    if (run === 0) continue;
    for (const [name, value] of Object.entries(values)) {
      times.set(name, [...times.get(name) ?? [], value]);
    }
  }
  return [...times].map(([name, times]) => ({
    name,
    values: { "time": quantile(times, 0.5) },
  }));
}

async function startProcess(path: string): Promise<Line[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, path],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Takes these times in the order in which a program would. */
async function start(path: string): Promise<Line[]> {
  const values: Record<string, number> = {};
  const take = async (name: string, run: () => unknown) => {
    const start = performance.now();
    await run();
    values[name] = (performance.now() - start) * 1e6;
  };
  const use = (file: Pick<Deno.FsFile, "readSync" | "close">) => {
    file.readSync(new Uint8Array(PIECE));
    file.close();
  };
  await take("Deno.openSync, read, close", () => use(Deno.openSync(path)));
  const url = new URL("../../mod.ts", import.meta.url).href;
  await take("import of the module", () => import(url));
  const { openSync } = await import(url);
  await take("openSync, read, close: MmapFile", () => use(openSync(path)));
  await take("openSync, bytes, close: MmapFile", () => {
    const file = openSync(path);
    file.bytes();
    file.close();
  });
  return [{ name: "start", values }];
}

if (import.meta.main) console.log(JSON.stringify(await start(Deno.args[0]!)));
