/** `deno run -A sharing_process.ts TASK PATH NUMBER...` does a task on a file and prints its result. */

import { tasks } from "./sharing_tasks.ts";

const [name, path, ...args] = Deno.args as [string, string, ...string[]];
console.log(await tasks[name]!(path, ...args.map(Number)));
