/**
 * An MmapFile and a Deno.FsFile behave the same on every filesystem of this system. Each is mounted by a
 * child process in a mount namespace.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { commandOf } from "./run_deno.ts";
import {
  isEmulated,
  NO_MOUNTS,
  notInstalled,
  type Reason,
  SAME_EVERYWHERE,
  unless,
} from "./skip.ts";
import { decode } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const CHILD = fromFileUrl(new URL("children/filesystem.ts", import.meta.url));
const TAIL = fromFileUrl(new URL("../examples/tail.ts", import.meta.url));

/** How a shell mounts it at `mount` in the working directory, and the commands that this needs. */
interface Filesystem {
  /** Its name in /proc/filesystems. */
  readonly type: string;
  readonly commands: string[];
  readonly mount: string;
  /** What the child prints, if anything. */
  readonly differences?: string[];
}

const OVERLAY = `mkdir lower upper work
  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work mount`;

const NOT_MAPPED = "bytes(): Cannot map '*': No such device (os error 19)";

const FILESYSTEMS: Record<string, Filesystem> = {
  tmpfs: { type: "tmpfs", commands: [], mount: "mount -t tmpfs tmpfs mount" },
  ext4: {
    type: "ext4",
    commands: ["mkfs.ext4"],
    mount: `truncate -s 64M disk; mkfs.ext4 -q disk; mount -o loop disk mount`,
  },
  xfs: {
    type: "xfs",
    commands: ["mkfs.xfs"],
    mount: `truncate -s 512M disk; mkfs.xfs -q disk; mount -o loop disk mount`,
  },
  btrfs: {
    type: "btrfs",
    commands: ["mkfs.btrfs"],
    mount:
      `truncate -s 256M disk; mkfs.btrfs -q disk > /dev/null; mount -o loop disk mount`,
  },
  overlayfs: { type: "overlay", commands: [], mount: OVERLAY },
  "FUSE with a page cache": {
    type: "fuse",
    commands: ["mergerfs"],
    mount: `mkdir branch; mergerfs -o cache.files=full branch mount`,
  },
  "FUSE with direct I/O": {
    type: "fuse",
    commands: ["mergerfs"],
    mount: `mkdir branch; mergerfs -o cache.files=off branch mount`,
    differences: [NOT_MAPPED, NOT_MAPPED, NOT_MAPPED],
  },
};

/** Why a filesystem cannot be mounted here. */
function cannotMount({ type, commands }: Filesystem): Reason {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return NO_MOUNTS;
  if (isEmulated) return SAME_EVERYWHERE;
  const types = Deno.readTextFileSync("/proc/filesystems").split(/\s+/);
  if (!types.includes(type)) return `the kernel does not support ${type}`;
  const missing = commands.find((command) => !isThere(command));
  if (missing !== undefined) return notInstalled(missing);
  return !mayUnshare && "unshare(1) may not create a mount namespace";
}

function isThere(command: string): boolean {
  return succeeds("sh", "-c", `command -v ${command}`);
}

function succeeds(command: string, ...args: string[]): boolean {
  try {
    const options = { args, stdout: "null", stderr: "null" } as const;
    return new Deno.Command(command, options).outputSync().success;
  } catch {
    return false;
  }
}

/** New mount and process namespaces, which end with their first process, and that with `unshare`. */
const UNSHARE = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

const mayUnshare = Deno.build.os === "linux" &&
  succeeds("unshare", ...UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt");

/** Runs Deno in a directory where a filesystem is mounted. */
function spawnOn(
  { mount }: Filesystem,
  dir: TempDir,
  args: string[],
): Deno.ChildProcess {
  const [command, rest] = commandOf(args);
  const script = `set -e; mkdir mount; ${mount}\n"$@"`;
  return new Deno.Command("unshare", {
    args: [...UNSHARE, "sh", "-c", script, "sh", command, ...rest],
    cwd: dir.path,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

for (const [name, filesystem] of Object.entries(FILESYSTEMS)) {
  Deno.test({
    ...unless(
      cannotMount(filesystem),
      `an MmapFile on ${name} does what a Deno.FsFile does`,
    ),
    fn: async () => {
      using dir = new TempDir();
      const child = spawnOn(filesystem, dir, [
        ...["run", "-A", "--no-check", CHILD, dir.join("mount")],
        ...(filesystem.type === "overlay" ? [dir.join("lower")] : []),
      ]);
      await child.stdin.close();
      const { code, stdout, stderr } = await child.output();
      assertEquals(code, 0, decode(stderr));
      const differences = decode(stdout).replaceAll(/'\/[^']*'/g, "'*'");
      assertEquals(
        differences.split("\n").filter((line) => line !== ""),
        filesystem.differences ?? [],
      );
    },
  });
}

Deno.test({
  ...unless(
    cannotMount(FILESYSTEMS.overlayfs!),
    "examples/tail.ts -f continues with a file that is copied up",
  ),
  fn: async () => {
    using dir = new TempDir();
    // The same as OVERLAY, with a file in the lower layer. The shell appends each line that it reads.
    const mount = OVERLAY.replace(
      "upper work",
      "upper work; seq -f 'line %g' 50 > lower/log",
    ) + "\n(while read line; do echo $line >> mount/log; done) <&3 &";
    const child = spawnOn(
      { ...FILESYSTEMS.overlayfs!, mount: `exec 3<&0; ${mount}` },
      dir,
      ["run", "-A", "--no-check", TAIL, "-n", "2", "-f", dir.join("mount/log")],
    );
    const output = child.stdout.getReader();
    const input = child.stdin.getWriter();
    let text = "";
    const printed = async (end: string) => {
      while (!text.endsWith(end)) {
        const { done, value } = await output.read();
        assert(!done, text);
        text += decode(value);
        // Memory that shows the lower layer's file has zeros after it.
        assert(!text.includes("\0"), JSON.stringify(text));
      }
    };
    try {
      await printed("line 50\n");
      for (const line of ["more", "and more"]) {
        await input.write(new TextEncoder().encode(`${line}\n`));
        await printed(`${line}\n`);
      }
      assertEquals(text, "line 49\nline 50\nmore\nand more\n");
    } finally {
      child.kill("SIGKILL");
      await output.cancel();
      await child.stderr.cancel();
      await child.status;
      await input.abort();
    }
  },
});
