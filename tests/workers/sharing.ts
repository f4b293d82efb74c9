/** Does a task on a file, as `children/sharing.ts` does in a process. */

import { tasks } from "../children/tasks.ts";

// The types that Deno checks by are those of a main thread.
const scope = self as unknown as Worker;
scope.onmessage = async ({ data: [name, path, ...args] }) => {
  scope.postMessage(String(await tasks[name](path, ...args)));
};
