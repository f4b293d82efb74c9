/** Another writer of open files: this process through other descriptors, or a child process. */

import { fromFileUrl } from "@std/path";
import { commandOf } from "./run_deno.ts";
import { type Change, change } from "./children/change.ts";

const CHILD = fromFileUrl(
  new URL("children/apply_changes.ts", import.meta.url),
);

export interface OtherWriter extends AsyncDisposable {
  change(change: Change): void | Promise<void>;
}

export class OtherDescriptor implements OtherWriter {
  change = change;

  async [Symbol.asyncDispose](): Promise<void> {}
}

export class OtherProcess implements OtherWriter {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;

  constructor() {
    const [command, args] = commandOf(["run", "-A", "--no-check", CHILD]);
    this.#child = new Deno.Command(command, {
      args,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.getReader();
  }

  async change(change: Change): Promise<void> {
    const line = JSON.stringify(change) + "\n";
    await this.#input.write(new TextEncoder().encode(line));
    const { done } = await this.#output.read();
    if (done) throw new Error("The other process has ended");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}
