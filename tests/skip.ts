/** Why a test cannot run where it is. Its name then says so, and the runner counts it as ignored. */

/** Why not; `false` where it can. */
export type Reason = string | false;

/** Name and `ignore` of a test that is not run for a reason. */
export function unless(
  reason: Reason,
  name: string,
): { name: string; ignore: boolean } {
  return reason === false
    ? { name, ignore: false }
    : { name: `${name} (skipped: ${reason})`, ignore: true };
}

/**
 * Whether another processor is played by QEMU: the system calls are this machine's, but what reaches
 * into the processor is not, a process takes seconds to start, and all takes some 20 times as long.
 */
export const isEmulated: boolean = Deno.env.has("MMAPFILE_TEST_RUNNER");

/**
 * Of many cases that are alike, one in so many is tried: where emulated a process takes seconds to
 * import the library. MMAPFILE_ONE_IN=1 tries all of them.
 */
export const ONE_IN: number = Number(
  Deno.env.get("MMAPFILE_ONE_IN") ?? (isEmulated ? 8 : 1),
);

/** The cases that are tried. */
export function sample<T>(cases: readonly T[]): T[] {
  return cases.filter((_, k) => k % ONE_IN === 0);
}

/** Why the case of this number is not among those. */
export function unlessSampled(k: number): Reason {
  return k % ONE_IN !== 0 && `emulated, one in ${ONE_IN} of these is tried`;
}

/**
 * Whether this is no Windows but Wine, which `scripts/test_windows.sh` says. Where Wine is not like
 * Windows nothing is tested: its locks cannot be given back, its appends overwrite one another and its
 * errors have other numbers, by Deno.FsFile too.
 */
export const isWine: boolean = Deno.env.get("MMAPFILE_WINE") === "1";

/** Why a test of what Deno itself does cannot run in Deno 2.8: what it does there, and later no more. */
export function notInDeno28(fault: string): Reason {
  return Deno.version.deno.startsWith("2.8.") && `in Deno 2.8 ${fault}`;
}

const { os } = Deno.build;
export const isWindows: boolean = os === "windows";

export const NO_GUARD: Reason = os !== "linux" &&
  "the guard is built for Linux";
export const NO_LISTING: Reason = os !== "linux" &&
  "only Linux lists what a process holds open";
export const NO_MODES: Reason = isWindows && "Windows has no modes of files";
export const NO_NODES: Reason = isWindows &&
  "Windows has no FIFOs, sockets and devices in directories";
export const NO_LINKS: Reason = isWindows &&
  "Windows lets only some make links, and Wine does not follow them";
export const NO_STRAY_WRITES: Reason = !["linux", "freebsd"].includes(os) &&
  "a write to read-only memory ends the process here, as the README says";
export const ENGINE_OWNS_MEMORY: Reason = !isWindows &&
  "the engine owns the memory here, and refuses to transfer it";
export const ONLY_WINDOWS: Reason = !isWindows && "of Windows alone";
export const WINE_LOCKS: Reason = isWine &&
  "Wine cannot give a lock back, nor hold one between processes";
export const WINE_APPENDS: Reason = isWine &&
  "appends overwrite one another under Wine";

/** Why there is no terminal to run a program in, which script(1) of Linux makes. */
export function noTerminal(): Reason {
  if (Deno.build.os !== "linux") return "only Linux has this script(1)";
  if (isEmulated) return "script(1) starts programs of this machine";
  try {
    const args = ["-qec", "true", "/dev/null"];
    const { success } = new Deno.Command("script", { args }).outputSync();
    return !success && "script(1) has no terminal to give";
  } catch {
    return "script(1) is not there";
  }
}
