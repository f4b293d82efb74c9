/** Why a test is skipped on this machine. Its name then says so, and the runner counts it as ignored. */

/** The reason to skip a test; `false` to run it. */
export type Reason = string | false;

/** The name and `ignore` of a test that is skipped for a reason. */
export function unless(
  reason: Reason,
  name: string,
): { name: string; ignore: boolean } {
  return reason === false
    ? { name, ignore: false }
    : { name: `${name} (skipped: ${reason})`, ignore: true };
}

/**
 * Whether QEMU emulates the processor. System calls are those of this machine, but a process takes
 * seconds to start, and everything takes about 20 times as long.
 */
export const isEmulated: boolean = Deno.env.has("MMAPFILE_TEST_RUNNER");

/**
 * Of many similar cases, one in this many runs: under QEMU a process takes seconds to import the
 * library. MMAPFILE_ONE_IN=1 runs all of them.
 */
export const ONE_IN: number = Number(
  Deno.env.get("MMAPFILE_ONE_IN") ?? (isEmulated ? 8 : 1),
);

/** The cases that run. */
export function sample<T>(cases: readonly T[]): T[] {
  return cases.filter((_, k) => k % ONE_IN === 0);
}

/** Why the case with this index does not run. */
export function unlessSampled(k: number): Reason {
  return k % ONE_IN !== 0 && `one in ${ONE_IN} similar tests runs under QEMU`;
}

/**
 * Whether Wine plays Windows, which `scripts/test_windows.sh` says. Tests are skipped where Wine
 * differs from Windows: it does not release locks, its appends overwrite one another, and its errors
 * have other numbers, for Deno.FsFile too.
 */
export const isWine: boolean = Deno.env.get("MMAPFILE_WINE") === "1";

/** Why a comparison with Deno itself cannot run in Deno 2.8: `fault` describes what differs there. */
export function notInDeno28(fault: string): Reason {
  return Deno.version.deno.startsWith("2.8.") && `in Deno 2.8 ${fault}`;
}

const { os } = Deno.build;
export const isWindows: boolean = os === "windows";

export const ONLY_LINUX: Reason = os !== "linux" && "this test needs Linux";
export const ONLY_WINDOWS: Reason = !isWindows && "this test needs Windows";
export const NO_GUARD: Reason = os !== "linux" &&
  "the SIGBUS handler works on Linux only";
export const NO_LISTING: Reason = os !== "linux" &&
  "only Linux lists the descriptors and mappings of a process";
export const NO_MODES: Reason = isWindows && "Windows does not have file modes";
export const NO_NODES: Reason = isWindows &&
  "Windows does not have FIFOs, sockets and devices in directories";
export const NO_LINKS: Reason = isWindows &&
  "Windows restricts who creates links, and Wine does not follow them";
export const NO_SHARED_MEMORY: Reason = isWindows &&
  "this backend has no shared memory";
export const NO_REPLACING: Reason = isWindows &&
  "Windows does not replace an open file";
export const NO_STRAY_WRITES: Reason = !["linux", "freebsd"].includes(os) &&
  "a write to read-only memory kills the process on this system";
export const ENGINE_OWNS_MEMORY: Reason = !isWindows &&
  "the engine owns the memory and refuses to transfer it";
export const WINE_LOCKS: Reason = isWine &&
  "Wine does not release locks, nor hold them between processes";
export const WINE_APPENDS: Reason = isWine &&
  "appends overwrite one another under Wine";
export const TOO_SLOW: Reason = isEmulated && "too slow under QEMU";

/** Reasons whose conditions differ. */
export const SAME_EVERYWHERE = "the result does not depend on this system";
export const NO_MOUNTS = "mounting a filesystem needs Linux and root";
export const NO_CHATTR =
  "chattr +a needs root and a filesystem that supports it";

/** The reason if a command is missing. */
export function notInstalled(command: string): string {
  return `${command} is not installed`;
}

/** Why a program cannot be run in a terminal, which script(1) of Linux provides. */
export function noTerminal(): Reason {
  if (os !== "linux") return "script(1) differs on other systems than Linux";
  if (isEmulated) return "script(1) would not run the program under QEMU";
  try {
    const args = ["-qec", "true", "/dev/null"];
    const { success } = new Deno.Command("script", { args }).outputSync();
    return !success && "script(1) cannot open a terminal";
  } catch {
    return notInstalled("script");
  }
}
