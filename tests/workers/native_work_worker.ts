/** Starts native work on a view, for a test to terminate this worker in the midst of it. */

import { openSync } from "../../mod.ts";
import { kinds } from "../children/view_kinds.ts";
import { operations } from "../children/native_operations.ts";

// The types that Deno checks by are those of a main thread.
const scope = self as unknown as Worker;

scope.onmessage = ({ data: { name, kind, path, directory, fifo } }) => {
  const { options, viewOf } = kinds[kind];
  const file = openSync(path, options);
  operations[name].start(viewOf(file), {
    directory,
    fifo,
    begin: () => scope.postMessage("begun"),
    // Who is at the other end, in this worker too, waits for ever.
    released: new Promise(() => {}),
  }, file).catch(() => scope.postMessage("begun"));
};
