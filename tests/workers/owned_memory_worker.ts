/** Opens files, creates views of them, and ends in the given way. */

import { type MmapFile, openSync } from "../../mod.ts";

// Deno checks the types of a main thread.
const scope = self as unknown as Worker & { close(): void };

const held: MmapFile[] = [];

scope.onmessage = ({ data: { path, files, end } }) => {
  for (let i = 0; i < files; i++) {
    const file = openSync(path, { read: true, write: true });
    if (file.bytes()[0] !== 1) throw new Error("Not the file's byte");
    // Some are held until the end.
    if (i % 10 === 0) held.push(file);
  }
  if (end === "throw") throw new Error("on purpose");
  scope.postMessage("opened");
  if (end === "close") scope.close();
};
