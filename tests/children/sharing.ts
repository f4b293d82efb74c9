/** `deno run -A sharing.ts TASK PATH NUMBER...` does a task on a file and prints what it gives. */

import { tasks } from "./tasks.ts";

const [name, path, ...args] = Deno.args;
console.log(await tasks[name](path, ...args.map(Number)));
