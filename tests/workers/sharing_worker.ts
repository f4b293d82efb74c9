/** Does a task on a file, as `children/sharing_process.ts` does in a process. */

import { tasks } from "../children/sharing_tasks.ts";

// The types that Deno checks by are those of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data: [name, path, ...args] }) => {
  scope.postMessage(String(await tasks[name](path, ...args)));
};
