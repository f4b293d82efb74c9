/** The process that runs `truncator.ts`. */

import { commandOf } from "../run_deno.ts";

/** Truncates files in another process. */
export class TruncatorProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #orders: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(args: string[]) {
    const script = new URL("./truncator.ts", import.meta.url).pathname;
    const [command, rest] = commandOf(
      ["run", "-A", "--no-check", "--no-config", script, ...args],
    );
    this.#process = new Deno.Command(command, {
      args: rest,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#orders = this.#process.stdin.getWriter();
  }

  /** Starts the process with the arguments of `truncator.ts`. */
  static async start(...args: string[]): Promise<TruncatorProcess> {
    const truncator = new TruncatorProcess(args);
    const output = truncator.#process.stdout.getReader();
    await output.read(); // "ready"
    await output.cancel();
    return truncator;
  }

  /** Truncates a file after a delay in milliseconds. */
  async truncate(path: string, length: number, delay: number): Promise<void> {
    const line = `${delay} ${length} ${path}\n`;
    await this.#orders.write(new TextEncoder().encode(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#orders.close().catch(() => {});
    try {
      this.#process.kill();
    } catch {
      // It has ended.
    }
    await this.#process.status;
  }
}
