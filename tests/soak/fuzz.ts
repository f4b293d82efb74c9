/**
 * `deno task test:soak [SECONDS] [SEED]`: random calls of all methods on files that another process
 * truncates, extends and deletes at the same time, in threads that start and end. One minute by default.
 *
 * The seed decides what each thread does; the system decides how the threads interleave.
 *
 * @module
 */

import { commandOf } from "../run_deno.ts";
import { makeFiles } from "./files.ts";

const seconds = Number(Deno.args[0] ?? 60);
const seed = Number(Deno.args[1] ?? Date.now() % 2 ** 32);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error("Usage: deno task test:soak [SECONDS] [SEED]");
  Deno.exit(2);
}

/** How long the last calls and the count of what is left may take. */
const GRACE_SECONDS = 60;

const directory = Deno.makeTempDirSync({ prefix: "mmapfile_soak_" });
let code = 1;
try {
  console.log(`seed ${seed}, ${seconds} seconds`);
  makeFiles(directory);
  const mutator = start("file_mutator.ts", directory, `${seed ^ 0x5eed}`);
  const subject = start("fuzz_process.ts", directory, `${seconds}`, `${seed}`);
  const timer = setTimeout(() => {
    console.log("FOUND it does not end");
    subject.kill("SIGKILL");
  }, 1000 * (seconds + GRACE_SECONDS));
  const status = await subject.status;
  clearTimeout(timer);
  await mutator.stdin.close();
  await mutator.status;
  code = status.code;
  console.log(
    `the process ${
      status.signal === null ? "ended" : `was killed by ${status.signal}`
    }, exit code ${code}`,
  );
} finally {
  Deno.removeSync(directory, { recursive: true });
}
Deno.exit(code);

function start(script: string, ...args: string[]): Deno.ChildProcess {
  const [command, rest] = commandOf([
    ...["run", "-A", "--no-check", "--import-map"],
    // The two processes do not need the registry.
    new URL("../std_stubs/import_map.json", import.meta.url).pathname,
    new URL(script, import.meta.url).pathname,
    ...args,
  ]);
  return new Deno.Command(command, { args: rest, stdin: "piped" }).spawn();
}
