/** Starts native work on a view, until a test terminates this worker during it. */

import { openSync } from "../../mod.ts";
import { kinds } from "../children/view_kinds.ts";
import { operations } from "../children/native_operations.ts";

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;

scope.onmessage = ({ data: { name, kind, path, directory, fifo } }) => {
  const { options, viewOf } = kinds[kind]!;
  const file = openSync(path, options);
  operations[name]!.start(viewOf(file), {
    directory,
    fifo,
    begin: () => scope.postMessage("begun"),
    // The other end, also in this worker, waits forever.
    released: new Promise(() => {}),
  }, file).catch(() => scope.postMessage("begun"));
};
