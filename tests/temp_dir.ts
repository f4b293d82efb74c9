/** Directories that exist as long as a test. */

import { join } from "@std/path";
import { encode, pattern } from "./bytes.ts";
import { type Reason, unless } from "./skip.ts";

/** A directory for one test, removed with all that is in it. */
export class TempDir implements Disposable {
  readonly path: string;

  /** Set by a test that transfers memory, which stays mapped: Windows does not remove a mapped file. */
  leavesMapped = false;

  constructor(parent?: string) {
    this.path = Deno.realPathSync(
      Deno.makeTempDirSync({
        prefix: "mmapfile_",
        ...(parent === undefined ? {} : { dir: parent }),
      }),
    );
  }

  join(...names: string[]): string {
    return join(this.path, ...names);
  }

  /** A new file with these bytes, or with this many bytes of `pattern`. */
  file(contents: string | Uint8Array | number = "", name = "data"): string {
    const path = this.join(name);
    if (typeof contents === "number") contents = pattern(contents);
    if (typeof contents === "string") contents = encode(contents);
    Deno.writeFileSync(path, contents);
    return path;
  }

  /** Writes to the start of a file in place, which Windows allows while it is mapped. */
  overwrite(path: string, text: string): void {
    using file = Deno.openSync(path, { write: true });
    file.writeSync(encode(text));
  }

  /** A new file of `size` bytes that has no blocks. */
  sparseFile(size: number, name = "sparse"): string {
    const path = this.join(name);
    using file = Deno.createSync(path);
    file.truncateSync(size);
    return path;
  }

  [Symbol.dispose](): void {
    try {
      Deno.removeSync(this.path, { recursive: true });
    } catch (error) {
      if (!this.leavesMapped || Deno.build.os !== "windows") throw error;
    }
  }
}

/** A test with a new directory. */
export function testInDir(
  name: string,
  fn: (dir: TempDir) => void | Promise<void>,
  reason: Reason = false,
): void {
  Deno.test({
    ...unless(reason, name),
    fn: async () => {
      using dir = new TempDir();
      try {
        await fn(dir);
      } catch (error) {
        // Then files may still be open.
        dir.leavesMapped = true;
        throw error;
      }
    },
  });
}
