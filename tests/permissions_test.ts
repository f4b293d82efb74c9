/** What Deno's permissions, and the filesystem's, allow to open: each case in a process with narrow flags. */

import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { MmapOpenOptions } from "@mmapfile/mmapfile";
import { deno } from "./run_deno.ts";
import {
  isWindows,
  NO_LINKS,
  NO_LISTING,
  type Reason,
  sample,
  unless,
} from "./skip.ts";

const isLinux = Deno.build.os === "linux";
const isPosix = Deno.build.os !== "windows";
const NO_USERS: Reason = !isLinux && "the test changes its user on Linux only";
const NO_LIBC: Reason = !isLinux &&
  "the test finds the path of the C library on Linux only";
const SCRIPT = new URL("./children/permissions.ts", import.meta.url).href;

/** A user who owns no files. */
const NOBODY = 65534;

type Settings = MmapOpenOptions & {
  isAsync?: boolean;
  user?: number;
  isRevoked?: boolean;
};

/** How the open of one path ended. */
interface Ending {
  /** The first four bytes, if it was opened. */
  text?: string;
  /** The error, if not. */
  name?: string;
  message?: string;
  /** The protection of each mapping of the file, such as "rw-s". */
  maps: string[];
  /** The name of Deno's own error, or "". */
  as: string;
}

/** Opens paths in a process with these flags. */
async function tryOpen(
  flags: string[],
  settings: Settings,
  ...paths: string[]
): Promise<Ending[]> {
  const { code, stdout, stderr } = await deno([
    "run",
    "--no-prompt",
    "--no-lock",
    "--no-config",
    ...flags,
    SCRIPT,
    JSON.stringify(settings),
    ...paths,
  ]);
  assertEquals(code, 0, stderr);
  const endings = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(endings.length, paths.length);
  return endings;
}

/** The directory `allowed` with the file "inside", and next to it "outside". */
function test(
  name: string,
  reason: Reason,
  fn: (allowed: string) => Promise<void>,
): void {
  Deno.test({
    ...unless(reason, name),
    async fn() {
      const root = Deno.realPathSync(
        Deno.makeTempDirSync({ prefix: "mmapfile-permissions-" }),
      );
      const allowed = `${root}/allowed`;
      try {
        Deno.mkdirSync(allowed);
        Deno.writeTextFileSync(`${allowed}/inside`, "inside");
        Deno.writeTextFileSync(`${root}/outside`, "outside");
        if (isPosix) Deno.chmodSync(root, 0o755);
        await fn(allowed);
      } finally {
        Deno.removeSync(root, { recursive: true });
      }
    },
  });
}

function assertRefused(
  { name, message, maps }: Ending,
  expected: string,
  ...parts: string[]
): void {
  assertEquals(name, expected, message);
  for (const part of parts) assertStringIncludes(message!, part);
  assertEquals(maps, []);
}

/** Checks that the directory is unchanged. */
function assertUntouched(allowed: string): void {
  const names = [...Deno.readDirSync(allowed)].map(({ name }) => name);
  assertEquals(names, ["inside"]);
  assertEquals(Deno.readTextFileSync(`${allowed}/inside`), "inside");
}

const WRITES: Settings[] = sample([
  { read: true, write: true },
  { read: true, write: true, grow: true },
  { read: true, append: true },
  { read: true, write: true, truncate: true, size: 10 },
  { read: true, write: true, create: true, size: 10 },
]);
const CREATIONS: Settings[] = sample([
  { read: true, write: true, create: true, size: 10 },
  { read: true, write: true, create: true, truncate: true, size: 10 },
  { read: true, write: true, createNew: true, size: 10 },
  { read: true, append: true, create: true },
]);

for (const isAsync of [false, true]) {
  const open = isAsync ? "open" : "openSync";

  test(
    `${open}() with --allow-read=DIR opens files inside and none outside`,
    false,
    async (allowed) => {
      const inside = `${allowed}/inside`;
      const [first, dotted, ...refused] = await tryOpen(
        [`--allow-read=${allowed}`, "--allow-ffi"],
        { isAsync },
        inside,
        `${allowed}/../allowed/inside`,
        `${allowed}/../outside`,
        `${allowed}-beside`,
        new URL(import.meta.url).pathname,
      );
      assertEquals([first!.text, dotted!.text], ["insi", "insi"]);
      for (const ending of refused) {
        assertRefused(ending, "NotCapable", "read access", "--allow-read");
        assertEquals(ending.as, "NotCapable");
      }
    },
  );

  test(
    `${open}() without --allow-write opens nothing to write, and touches nothing`,
    false,
    async (allowed) => {
      const flags = [`--allow-read=${allowed}`, "--allow-ffi"];
      for (const options of WRITES) {
        const settings = { ...options, isAsync };
        const [ending] = await tryOpen(flags, settings, `${allowed}/inside`);
        assertRefused(ending!, "NotCapable", "write access", "--allow-write");
      }
      for (const options of CREATIONS) {
        const settings = { ...options, isAsync };
        const [ending] = await tryOpen(flags, settings, `${allowed}/new`);
        assertRefused(ending!, "NotCapable", "write access", "--allow-write");
      }
      assertUntouched(allowed);
    },
  );

  test(
    `${open}() without --allow-ffi names the remedy, and touches nothing`,
    false,
    async (allowed) => {
      const flags = [`--allow-read=${allowed}`, `--allow-write=${allowed}`];
      for (
        const options of [{ read: true }, { copyOnWrite: true }, ...WRITES]
      ) {
        const settings = { ...options, isAsync };
        const [ending] = await tryOpen(flags, settings, `${allowed}/inside`);
        assertRefused(
          ending!,
          "NotCapable",
          "--allow-ffi",
          `backend: "fallback"`,
        );
      }
      for (const options of CREATIONS) {
        const settings = { ...options, isAsync };
        const [ending] = await tryOpen(flags, settings, `${allowed}/new`);
        assertRefused(ending!, "NotCapable", "--allow-ffi");
      }
      assertUntouched(allowed);
    },
  );
}

test(
  "openSync() opens a symlink that points outside only if Deno does",
  NO_LINKS,
  async (allowed) => {
    Deno.symlinkSync("../outside", `${allowed}/link`);
    const [ending] = await tryOpen(
      [`--allow-read=${allowed}`, "--allow-ffi"],
      { read: true },
      `${allowed}/link`,
    );
    assertEquals(ending!.name ?? "", ending!.as);
  },
);

test(
  "openSync() with --allow-write=DIR writes nothing outside",
  false,
  async (allowed) => {
    const outside = `${allowed}/../outside`;
    const flags = ["--allow-read", `--allow-write=${allowed}`, "--allow-ffi"];
    for (const options of WRITES) {
      const [ending] = await tryOpen(flags, options, outside);
      assertRefused(ending!, "NotCapable", "write access");
    }
    for (const options of CREATIONS) {
      const [ending] = await tryOpen(flags, options, `${allowed}/../new`);
      assertRefused(ending!, "NotCapable", "write access");
    }
    assertEquals(Deno.readTextFileSync(outside), "outside");
    assertEquals([...Deno.readDirSync(`${allowed}/..`)].length, 2);
  },
);

test(
  "openSync() with --deny-read and --deny-write obeys them",
  false,
  async (allowed) => {
    const inside = `${allowed}/inside`;
    const [read] = await tryOpen(["-A", `--deny-read=${inside}`], {
      read: true,
    }, inside);
    assertRefused(read!, "NotCapable", "read access");
    const [write] = await tryOpen(
      ["-A", `--deny-write=${inside}`],
      { read: true, write: true },
      inside,
    );
    assertRefused(write!, "NotCapable", "write access");
    const [ffi] = await tryOpen(["-A", "--deny-ffi"], { read: true }, inside);
    assertRefused(ffi!, "NotCapable", "--allow-ffi");
    assertUntouched(allowed);
  },
);

test(
  "openSync() only to write does not need --allow-read, unless it maps the file at once",
  isWindows && "Windows maps a file as soon as it is open",
  async (allowed) => {
    const flags = [`--allow-write=${allowed}`, "--allow-ffi"];
    const inside = `${allowed}/inside`;
    for (
      const options of [
        { write: true },
        { append: true },
      ]
    ) {
      const [ending] = await tryOpen(flags, options, inside);
      // The child then maps the file.
      assertRefused(ending!, "PermissionDenied", "Cannot map");
    }
    const create = { write: true, create: true, size: 5 };
    const [ending] = await tryOpen(flags, create, `${allowed}/new`);
    assertRefused(ending!, "NotCapable", "--allow-read");
    assertThrows(() => Deno.statSync(`${allowed}/new`), Deno.errors.NotFound);
  },
);

test(
  "openSync() only to write does not mention read permission if write permission is missing",
  NO_USERS,
  async (allowed) => {
    const inside = `${allowed}/inside`;
    const [denied] = await tryOpen(
      [`--allow-read=${allowed}`, "--allow-ffi"],
      { write: true },
      inside,
    );
    assertRefused(denied!, "NotCapable", "write access");
    assert(!denied!.message!.includes("readable"), denied!.message);
    Deno.chmodSync(inside, 0o444);
    const [refused] = await tryOpen(
      ["-A"],
      { write: true, user: NOBODY },
      inside,
    );
    assertRefused(refused!, "PermissionDenied", "Cannot open", inside);
    assert(!refused!.message!.includes("readable"), refused!.message);
  },
);

test(
  "openSync() with --allow-ffi for the C library only says that it must be without a path",
  NO_LIBC,
  async (allowed) => {
    const inside = `${allowed}/inside`;
    const maps = Deno.readTextFileSync("/proc/self/maps");
    const library = maps.match(/\/\S*\/libc[.-]\S+/)?.[0] ?? "libc.so.6";
    for (const path of [library, "libc.so.6"]) {
      const [ending] = await tryOpen(
        ["--allow-read", "--allow-write", `--allow-ffi=${path}`],
        { write: true, truncate: true },
        inside,
      );
      assertRefused(
        ending!,
        "NotCapable",
        "--allow-ffi (without a path",
        `backend: "fallback"`,
      );
    }
    assertUntouched(allowed);
  },
);

test(
  "A file that was read is read and closed as before once ffi is revoked",
  false,
  async (allowed) => {
    for (const size of [6, 40 << 20]) {
      Deno.truncateSync(`${allowed}/inside`, size);
      const [ending] = await tryOpen(
        ["--allow-read", "--allow-ffi"],
        { isRevoked: true },
        `${allowed}/inside`,
      );
      const { text, message } = ending!;
      assertEquals([text, message], ["insi", undefined]);
    }
  },
);

test(
  "openSync() maps copy-on-write with read permission only",
  false,
  async (allowed) => {
    const [ending] = await tryOpen(
      [`--allow-read=${allowed}`, "--allow-ffi"],
      { copyOnWrite: true },
      `${allowed}/inside`,
    );
    const { text, name, maps } = ending!;
    assertEquals([text, name], ["mine", undefined]);
    if (isLinux) assertEquals(maps, ["rw-p"]);
    assertUntouched(allowed);
  },
);

test(
  "openSync() does not map a file opened for reading with write access",
  NO_LISTING,
  async (allowed) => {
    const [ending] = await tryOpen(
      ["--allow-read", "--allow-write", "--allow-ffi"],
      { read: true },
      `${allowed}/inside`,
    );
    const { text, maps } = ending!;
    assertEquals(text, "insi");
    assertEquals(maps.length, 1);
    assert(["rw-p", "r--s", "r--p"].includes(maps[0]!), maps[0]);
  },
);

test(
  "openSync() does not need permissions other than read, write and ffi",
  false,
  async (allowed) => {
    const flags = [
      `--allow-read=${allowed}`,
      `--allow-write=${allowed}`,
      "--allow-ffi",
    ];
    const [read] = await tryOpen(flags, { read: true }, `${allowed}/inside`);
    assertEquals(read!.text, "insi");
    for (const options of [...WRITES.slice(0, 2), ...CREATIONS]) {
      for (const isAsync of [false, true]) {
        const settings = { ...options, isAsync };
        const [ending] = await tryOpen(flags, settings, `${allowed}/new-file`);
        // Both kinds: where the file must exist, and where it must not.
        if (options.create || options.createNew) {
          assertEquals([ending!.text, ending!.message], ["mine", undefined]);
          if (isLinux) assertEquals(ending!.maps, ["rw-s"]);
          Deno.removeSync(`${allowed}/new-file`);
        } else assertRefused(ending!, "NotFound", "new-file");
      }
    }
    const [written] = await tryOpen(
      flags,
      { read: true, write: true },
      `${allowed}/inside`,
    );
    assertEquals([written!.text, written!.message], ["mine", undefined]);
    assertEquals(Deno.readTextFileSync(`${allowed}/inside`), "minede");
  },
);

test(
  "openSync() of files that the filesystem protects is PermissionDenied",
  NO_USERS,
  async (allowed) => {
    const make = (name: string, mode: number) => {
      const path = `${allowed}/${name}`;
      Deno.writeTextFileSync(path, "inside");
      Deno.chmodSync(path, mode);
      return path;
    };
    const unreadable = make("unreadable", 0o222);
    const unwritable = make("unwritable", 0o444);
    const closed = `${allowed}/closed`;
    Deno.mkdirSync(closed);
    make("closed/inside", 0o666);
    Deno.chmodSync(closed, 0o700);
    if (Deno.uid() !== 0) Deno.chmodSync(closed, 0);
    const user = NOBODY;

    for (const isAsync of [false, true]) {
      const [first, second, third] = await tryOpen(
        ["-A"],
        { user, isAsync },
        unreadable,
        unwritable,
        `${closed}/inside`,
      );
      assertRefused(first!, "PermissionDenied", "Cannot open", unreadable);
      assertEquals(first!.as, "PermissionDenied");
      assertEquals([second!.text, second!.message], ["insi", undefined]);
      assertRefused(third!, "PermissionDenied", "Cannot open", closed);

      for (const options of WRITES) {
        const endings = await tryOpen(
          ["-A"],
          { ...options, user, isAsync },
          unreadable,
          unwritable,
        );
        for (const ending of endings) {
          assertRefused(ending, "PermissionDenied", "Cannot open");
        }
      }
    }
    Deno.chmodSync(closed, 0o700);
    for (const name of ["inside", "unwritable", "closed/inside"]) {
      assertEquals(Deno.readTextFileSync(`${allowed}/${name}`), "inside", name);
    }
  },
);

test(
  "openSync() of a file with write but not read permission writes, and bytes() says that it cannot be mapped",
  NO_USERS,
  async (allowed) => {
    const path = `${allowed}/inside`;
    Deno.chmodSync(path, 0o222);
    for (const options of [{ write: true }, { append: true }]) {
      const [ending] = await tryOpen(
        ["-A"],
        { ...options, user: NOBODY },
        path,
      );
      assertRefused(ending!, "PermissionDenied", path, "Cannot map");
      Deno.chmodSync(path, 0o666);
      // Written in place first, and then at the end.
      const written = options.append ? "minedemine" : "minede";
      assertEquals(Deno.readTextFileSync(path), written);
      Deno.chmodSync(path, 0o222);
    }
  },
);

test(
  "openSync() to create a file in a read-only directory leaves nothing",
  NO_USERS,
  async (allowed) => {
    Deno.chmodSync(allowed, 0o555);
    for (const options of CREATIONS) {
      const [ending] = await tryOpen(
        ["-A"],
        { ...options, user: NOBODY },
        `${allowed}/new`,
      );
      assertRefused(ending!, "PermissionDenied", "Cannot open", "new");
    }
    assertUntouched(allowed);
    Deno.chmodSync(allowed, 0o755);
  },
);
