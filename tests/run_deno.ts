/**
 * Runs Deno in a child process, for what a test cannot try in its own: dying.
 *
 * MMAPFILE_TEST_RUNNER is put before the command, for a Deno that this machine
 * cannot start by itself: "qemu-aarch64-static -L ROOT".
 */

/** How a child process ended and what it printed. */
export interface ChildResult {
  /** The exit code; 128 and the signal's number where a signal ended it. */
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program that runs `deno` with these arguments here, and its own arguments. */
export function commandOf(args: readonly string[]): [string, string[]] {
  const runner = Deno.env.get("MMAPFILE_TEST_RUNNER")?.split(" ") ?? [];
  const [command, ...rest] = [...runner, Deno.execPath(), ...args];
  return [command, rest];
}

/** Runs `deno` with these arguments to its end. */
export async function deno(
  args: string[],
  options: Pick<Deno.CommandOptions, "cwd" | "env" | "signal"> = {},
): Promise<ChildResult> {
  const [command, rest] = commandOf(args);
  const { code, signal, stdout, stderr } = await new Deno.Command(command, {
    ...options,
    args: rest,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    signal,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
