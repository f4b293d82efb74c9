/**
 * A worker that reads the beginning of a file, as often as it is told.
 *
 * @module
 */

import { PIECE } from "./rows.ts";
import { FS_FILE, MMAP_FILE, type Side } from "./sides.ts";

/** What a worker is sent: first its file, then how often to read, at last null. */
export type Job =
  | { readonly side: string; readonly path: string }
  | number
  | null;

declare const self: DedicatedWorkerGlobalScope;

interface DedicatedWorkerGlobalScope {
  onmessage: (event: MessageEvent<Job>) => void;
  postMessage(sum: number): void;
  close(): void;
}

interface Reader {
  read(count: number): number;
  close(): void;
}

let reader: Reader | undefined;

self.onmessage = ({ data: job }) => {
  if (typeof job === "number") self.postMessage(reader!.read(job));
  else if (job === null) {
    reader?.close();
    self.close();
  } else {
    reader = job.side === MMAP_FILE.name
      ? readerOf(MMAP_FILE, job.path)
      : readerOf(FS_FILE, job.path);
  }
};

function readerOf<File extends Deno.FsFile>(
  side: Side<File>,
  path: string,
): Reader {
  const file = side.openSync(path);
  const buffer = new Uint8Array(PIECE);
  return {
    read(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += side.readAtSync(file, buffer, 0)! + buffer[0];
      }
      return sum;
    },
    close: () => file.close(),
  };
}
