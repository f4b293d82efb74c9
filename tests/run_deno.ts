/**
 * Runs Deno in a child process, for what could kill the test's own.
 *
 * MMAPFILE_TEST_RUNNER is prepended to the command, for a Deno that this machine
 * cannot run natively: "qemu-aarch64-static -L ROOT".
 */

/** How a child process ended and what it printed. */
export interface ChildResult {
  /** The exit code, or 128 plus the signal's number. */
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command that runs `deno` with these arguments on this machine. */
export function commandOf(args: readonly string[]): [string, string[]] {
  const runner = Deno.env.get("MMAPFILE_TEST_RUNNER")?.split(" ") ?? [];
  const [command, ...rest] = [...runner, Deno.execPath(), ...args];
  return [command!, rest];
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
