/** Logs that another process truncates while they are written, as logrotate's copytruncate does. */

import { assertEquals } from "@std/assert";
import { openSync } from "@mmapfile/mmapfile";
import { NOT_TRUNCATABLE } from "./mod_under_test.ts";
import { encode } from "./bytes.ts";
import { type TempDir, testInDir } from "./temp_dir.ts";

/** What a program does between two lines. */
const BETWEEN: Record<string, (file: Deno.FsFile) => unknown> = {
  nothing: () => {},
  syncSync: (file) => file.syncSync(),
  statSync: (file) => file.statSync().size,
  lock: (file) => (file.lockSync(true), file.unlockSync()),
  seekSync: (file) => file.seekSync(0, Deno.SeekMode.End),
  readSync: (file) => file.readSync(new Uint8Array(3)),
};

const OPTIONS = { read: true, append: true };

/** Writes lines, truncates the file to `size` bytes before some, and returns every result. */
function write(
  file: Deno.FsFile,
  path: string,
  between: (file: Deno.FsFile) => unknown,
  size: number,
): unknown[] {
  const seen: unknown[] = [];
  for (let line = 0; line < 30; line++) {
    if (line % 7 === 5) Deno.truncateSync(path, size);
    seen.push(file.writeSync(encode(`line ${line}\n`)), between(file));
  }
  file.close();
  return [...seen, Deno.readTextFileSync(path)];
}

for (const [name, between] of Object.entries(BETWEEN)) {
  for (const size of [0, 10]) {
    testInDir(
      `a log that is truncated to ${size} bytes continues as that of Deno.FsFile, with ${name} between lines`,
      (dir: TempDir) => {
        const [path, other] = [dir.file("", "ours"), dir.file("", "theirs")];
        assertEquals(
          write(openSync(path, OPTIONS), path, between, size),
          write(Deno.openSync(other, OPTIONS), other, between, size),
        );
      },
      NOT_TRUNCATABLE,
    );
  }
}
