/** Does a task on a file, as `children/sharing_process.ts` does in a process. */

import { tasks } from "../children/sharing_tasks.ts";

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data: [name, path, ...args] }) => {
  scope.postMessage(String(await tasks[name]!(path, ...args)));
};
