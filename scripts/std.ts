/**
 * `@std/*`: from its registry where that can be reached, else the stand-ins in `tests/offline/`.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };

/** The folder of the project, where every command runs. */
export const PROJECT = new URL("..", import.meta.url);

/** How long the registry may take to hand over four small packages. */
const TIME_LIMIT_MS = 30_000;

/** The variable that asks for the stand-ins, and tells the tests of them. */
export const OFFLINE = "MMAPFILE_OFFLINE";

/** Where `@std/*` comes from. */
export interface Std {
  readonly isOffline: boolean;
  /** The same in words. */
  readonly source: string;
  /** What a `deno` command that meets an import of `@std/*` is given. */
  readonly args: readonly string[];
}

/** Finds out where `@std/*` comes from here. */
export async function findStd(): Promise<Std> {
  const isAsked = Deno.env.get(OFFLINE) === "1";
  if (!isAsked && await canDownload()) {
    return { isOffline: false, source: "@std from its registry", args: [] };
  }
  const reason = isAsked ? `${OFFLINE}=1` : "registry out of reach";
  return {
    isOffline: true,
    source: `${reason}: offline stand-ins`,
    args: ["--import-map", "tests/offline/import_map.json"],
  };
}

async function canDownload(): Promise<boolean> {
  const packages = Object.values(config.imports)
    .filter((specifier) => specifier.startsWith("jsr:"));
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
