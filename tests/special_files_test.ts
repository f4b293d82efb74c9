/**
 * Regular files that a system does not always map: of /proc, /sys and cgroups, and files that are
 * append-only, sealed, or under a lease. Only calls that need an address throw.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  create,
  type MmapFile,
  open,
  openSync,
  SystemError,
} from "@mmapfile/mmapfile";
import { isCopy } from "./tested_module.ts";
import { mappedAfter } from "./mapped_after.ts";
import {
  isEmulated,
  NO_CHATTR,
  notInstalled,
  ONLY_LINUX,
  type Reason,
  unless,
} from "./skip.ts";
import { decode, encode } from "./bytes.ts";
import { TempDir } from "./temp_dir.ts";

const NO_MAPPING: Reason = isCopy && "the fallback does not map files";

/** After how many calls the file is mapped, if it can be. */
const SWITCHES = [0, 1, Infinity];

const READ = { read: true };

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function readAll(file: Deno.FsFile, length: number): string {
  const p = new Uint8Array(length);
  let text = "";
  for (let read; (read = file.readSync(p)) !== null;) {
    text += decode(p.subarray(0, read));
  }
  return text;
}

/** Files whose size is 0 or 4096, independent of their contents. */
const NO_SIZE = [
  "/proc/version",
  "/proc/self/comm",
  "/proc/filesystems",
  "/sys/kernel/mm/transparent_hugepage/enabled",
  "/sys/devices/system/cpu/online",
  "/sys/fs/cgroup/cgroup.controllers",
  "/sys/fs/cgroup/cpu/cpu.shares",
];

for (const path of NO_SIZE) {
  Deno.test({
    ...unless(
      ONLY_LINUX || !isThere(path) && `${path} does not exist`,
      `MmapFile reads ${path} as Deno.FsFile does`,
    ),
    fn: () => {
      using theirs = Deno.openSync(path);
      for (const length of [7, 5000]) {
        theirs.seekSync(0, Deno.SeekMode.Start);
        const expected = readAll(theirs, length);
        assert(expected !== "");
        for (const mapAfter of SWITCHES) {
          using file = openSync(path, mappedAfter(mapAfter, READ));
          // Once its size is known it could be mapped, or not.
          for (let time = 0; time < 3; time++) {
            assertEquals(readAll(file, length), expected);
            assertEquals(file.readSync(new Uint8Array(1)), null);
            file.seekSync(0, Deno.SeekMode.Start);
          }
          const p = new Uint8Array(3);
          assertEquals(file.readAtSync(p, 2), Math.min(3, expected.length - 2));
          assertEquals(
            decode(p).replaceAll("\0", ""),
            expected.slice(2, 5),
          );
          assertEquals(file.truncated, false);
        }
      }
    },
  });
}

Deno.test({
  ...unless(ONLY_LINUX, "MmapFile writes to /proc as Deno.FsFile does"),
  fn: () => {
    const path = "/proc/self/comm";
    const before = Deno.readTextFileSync(path);
    try {
      for (
        const options of [
          { write: true },
          { write: true, create: true, truncate: true },
          { read: true, write: true },
        ]
      ) {
        for (const mapAfter of SWITCHES) {
          using file = openSync(path, mappedAfter(mapAfter, options));
          assertEquals(file.writeSync(encode("mapped")), 6);
          assertEquals(Deno.readTextFileSync(path), "mapped\n");
          assertEquals(file.writeSync(encode("again")), 5);
          assertEquals(Deno.readTextFileSync(path), "again\n");
        }
      }
    } finally {
      Deno.writeTextFileSync(path, before);
    }
  },
});

Deno.test({
  ...unless(
    ONLY_LINUX || NO_MAPPING,
    "calls that need an address report why there is none",
  ),
  fn: () => {
    using file = openSync("/sys/devices/system/cpu/online");
    for (
      const call of [
        () => file.bytes(),
        () => file.view(DataView),
        () => [...file.lines()],
        () => file.indexOf("0"),
      ]
    ) assertThrows(call, SystemError, "No such device");
    assert(file.readSync(new Uint8Array(10))! > 0);
  },
});

/** A Python process, which can do to files what Deno cannot. */
class Python implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor(program: string, ...args: string[]) {
    this.#child = new Deno.Command("python3", {
      args: ["-c", program, ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** What it prints next. */
  async line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value } = await this.#output.read();
      assert(value !== undefined, "The process has ended");
      this.#text += value;
    }
    const [line, ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}

const NO_PYTHON: Reason = ONLY_LINUX ||
  isEmulated && "python3 would not run under QEMU" ||
  !runs("python3", "--version") && notInstalled("python3");

function runs(command: string, ...args: string[]): boolean {
  try {
    const options = { args, stdout: "null", stderr: "null" } as const;
    return new Deno.Command(command, options).outputSync().success;
  } catch {
    return false;
  }
}

const SEALED = `
import fcntl, os, sys
fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
os.write(fd, b"sealed bytes")
fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
print(f"/proc/{os.getpid()}/fd/{fd}", flush=True)
sys.stdin.read()
`;

Deno.test({
  ...unless(
    NO_PYTHON || NO_MAPPING,
    "a memfd that is sealed against writes is read, and mapping it to write throws",
  ),
  fn: async () => {
    await using python = new Python(SEALED);
    const path = await python.line();
    for (const mapAfter of SWITCHES) {
      using readOnly = openSync(path, mappedAfter(mapAfter, READ));
      assertEquals(decode(readOnly.bytes()), "sealed bytes");
      const options = mappedAfter(mapAfter, { read: true, write: true });
      using file = openSync(path, options);
      for (let time = 0; time < 3; time++) {
        assertEquals(readAll(file, 5), "sealed bytes");
        file.seekSync(0, Deno.SeekMode.Start);
      }
      assertThrows(() => file.bytes(), Deno.errors.PermissionDenied, "map");
      using theirs = Deno.openSync(path, { read: true, write: true });
      for (const side of [file, theirs]) {
        assertThrows(
          () => side.writeSync(encode("new")),
          Deno.errors.PermissionDenied,
          "not permitted",
        );
      }
    }
  },
});

const LEASED = `
import fcntl, os, signal, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
# A handler would not run if the signal came just before a read that blocks.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("leased", flush=True)
signal.sigwait([signal.SIGIO])
print("asked", flush=True)
time.sleep(0.1)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
sys.stdin.read()
`;

Deno.test({
  ...unless(NO_PYTHON, "open() waits until a lease on the file is released"),
  fn: async () => {
    for (const options of [READ, { read: true, write: true }]) {
      for (const opened of [openSync, open]) {
        using dir = new TempDir();
        const path = dir.file("leased");
        await using python = new Python(LEASED, path);
        assertEquals(await python.line(), "leased");
        using file: MmapFile = await opened(path, options);
        assertEquals(await python.line(), "asked");
        assertEquals(decode(file.bytes()), "leased");
      }
    }
  },
});

/** Why an append-only file cannot be created. */
function noAppendOnly(): Reason {
  if (ONLY_LINUX) return ONLY_LINUX;
  using dir = new TempDir();
  const path = dir.file();
  const isSet = runs("chattr", "+a", path);
  if (isSet) runs("chattr", "-a", path);
  return !isSet && NO_CHATTR;
}

Deno.test({
  ...unless(
    noAppendOnly(),
    "an append-only file is appended to, and read",
  ),
  fn: async () => {
    using dir = new TempDir();
    const path = dir.file("first\n");
    assert(runs("chattr", "+a", path));
    try {
      let expected = "first\n";
      for (const mapAfter of SWITCHES) {
        const options = mappedAfter(mapAfter, { read: true, append: true });
        using file = openSync(path, options);
        assertEquals(readAll(file, 4), expected);
        file.seekSync(0, Deno.SeekMode.Start);
        assertEquals(readAll(file, 4), expected);
        assertEquals(file.writeSync(encode("more\n")), 5);
        assertEquals(await file.write(encode("more\n")), 5);
        expected += "more\nmore\n";
        file.seekSync(0, Deno.SeekMode.Start);
        assertEquals(readAll(file, 4), expected);
        if (!isCopy) {
          assertThrows(() => file.bytes(), Deno.errors.PermissionDenied, "map");
        }
        using appended = openSync(path, { append: true });
        assertEquals(appended.writeSync(encode("x")), 1);
        expected += "x";
        file.seekSync(0, Deno.SeekMode.Start);
        assertEquals(readAll(file, 4), expected);
      }
      for (const open of [openSync, Deno.openSync]) {
        assertThrows(
          () => open(path, { write: true }),
          Deno.errors.PermissionDenied,
          "not permitted",
        );
      }
      await assertRejects(() => create(path), Deno.errors.PermissionDenied);
    } finally {
      assert(runs("chattr", "-a", path));
    }
  },
});
