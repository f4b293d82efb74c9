/**
 * `@std/*`: from its registry if that can be reached, otherwise the stubs in `tests/std_stubs/`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** The folder of the project, the working directory of every command. */
export const PROJECT = new URL("..", import.meta.url);

/** How long a registry may take to deliver a few small packages. */
const TIME_LIMIT_MS = 30_000;

/** The variable that selects the stubs, and tells the tests about them. */
export const OFFLINE = "MMAPFILE_OFFLINE";

/** Where `@std/*` comes from. */
export interface Std {
  readonly isOffline: boolean;
  /** The same, as a message. */
  readonly source: string;
  /** Arguments for each `deno` command whose modules import `@std/*`. */
  readonly args: readonly string[];
}

/** Finds out where `@std/*` comes from on this machine. */
export async function findStd(): Promise<Std> {
  const isAsked = Deno.env.get(OFFLINE) === "1";
  const packages = Object.values(config.imports)
    .filter((specifier) => specifier.startsWith("jsr:"));
  if (!isAsked && await canDownload(...packages)) {
    return { isOffline: false, source: "@std from its registry", args: [] };
  }
  const reason = isAsked ? `${OFFLINE}=1` : "registry out of reach";
  return {
    isOffline: true,
    source: `${reason}: offline stubs`,
    args: ["--import-map", "tests/std_stubs/import_map.json"],
  };
}

/** Whether packages can be downloaded, or are in Deno's cache already. */
export async function canDownload(...packages: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", ...packages],
    cwd: PROJECT,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(TIME_LIMIT_MS),
  }).output();
  return success;
}
