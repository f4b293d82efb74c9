/**
 * Shared by the examples: help, errors in one line, progress on a terminal.
 *
 * @module
 */

const encoder = new TextEncoder();

/** How often progress is shown. */
const SHOWN_EVERY_MS = 100;

/** Runs a command. `--help` prints its usage. If it throws, prints one line and exits with code 1. */
export async function main(
  usage: string,
  run: () => void | Promise<void>,
): Promise<void> {
  if (Deno.args.includes("--help")) return console.log(usage);
  try {
    await run();
  } catch (error) {
    // The reader of the output has closed it, as `head` does.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(1);
    const message = error instanceof Error ? error.message : String(error);
    console.error(message.replace(/\s*\n\s*/g, " "));
    Deno.exitCode = 1;
  }
}

/** Parses an argument as a whole number, in decimal, or in hexadecimal after 0x. */
export function wholeNumber(name: string, text: string): number {
  const number = /^-?\d+$|^0x[\da-f]+$/i.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new Error(`Cannot use ${name}: '${text}' is not a whole number`);
}

/** Writes all of some bytes or text to the standard output. */
export function print(output: Uint8Array | string): void {
  let rest = typeof output === "string" ? encoder.encode(output) : output;
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}

/** Shows the progress of long work: a line on a terminal that is erased at the end, otherwise nothing. */
export class Progress implements Disposable {
  readonly #what: string;
  readonly #total: number;
  readonly #isShown: boolean = Deno.stderr.isTerminal();
  #last = performance.now();

  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  /** Reports how much of the total is done. */
  at(done: number): void {
    if (!this.#isShown) return;
    const now = performance.now();
    if (now - this.#last < SHOWN_EVERY_MS) return;
    this.#last = now;
    const percent = Math.floor(100 * done / this.#total);
    this.#show(`${this.#what}: ${percent} %`);
  }

  [Symbol.dispose](): void {
    if (this.#isShown) this.#show("");
  }

  #show(text: string): void {
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
  }
}
