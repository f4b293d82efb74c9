/**
 * What a report says of the machine that it was made on.
 *
 * @module
 */

/** The facts that times hang on, each a part of a sentence. */
export function describeMachine(folder: string): string[] {
  const { deno, v8 } = Deno.version;
  return [
    processor(),
    `${navigator.hardwareConcurrency} processors`,
    `${Math.round(Deno.systemMemoryInfo().total / 2 ** 30)} GB of memory`,
    `${Deno.build.os} ${Deno.osRelease()} (${Deno.build.arch})`,
    filesystem(folder),
    `Deno ${deno} (V8 ${v8})`,
    new Date().toISOString().slice(0, 10),
  ];
}

function processor(): string {
  try {
    const info = Deno.readTextFileSync("/proc/cpuinfo");
    return /^model name\s*: (.*)$/m.exec(info)![1];
  } catch {
    return "processor unknown";
  }
}

/** The type of filesystem that a folder is on. */
function filesystem(folder: string): string {
  try {
    const path = Deno.realPathSync(folder);
    const mounts = Deno.readTextFileSync("/proc/mounts").trim().split("\n")
      .map((line) => line.split(" "))
      .filter(([, point]) =>
        `${path}/`.startsWith(`${point}/`.replace("//", "/"))
      )
      .toSorted(([, a], [, b]) => b.length - a.length);
    return mounts[0][2];
  } catch {
    return "filesystem unknown";
  }
}
