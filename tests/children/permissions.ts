/**
 * Tries to open files with the permissions of this process.
 * `deno run --allow-... permissions.ts OPTIONS PATH...` prints one line of JSON for each path.
 *
 * OPTIONS is JSON: those of `open`; `user`, to which the process changes first; and `isRevoked`:
 * whether ffi is revoked once the file is open and a byte was read, before the rest is read.
 */

import { type MmapOpenOptions, open, openSync } from "../../mod.ts";

const [settings, ...paths] = Deno.args as [string, ...string[]];
const { user, isAsync, isRevoked, ...given } = JSON.parse(settings) as
  & MmapOpenOptions
  & { user?: number; isAsync?: boolean; isRevoked?: boolean };
const options = Object.keys(given).length > 0 ? given : null;

if (user !== undefined) becomeUser(user);

for (const path of paths) {
  try {
    using file = isAsync ? await open(path, options) : openSync(path, options);
    if (isRevoked) {
      // Both kinds of memory: what is copied from, and what is handed out.
      file.readSync(new Uint8Array(1));
      file.bytes();
      file.readAtSync(new Uint8Array(1), 0);
      Deno.permissions.revokeSync({ name: "ffi" });
      file.readAtSync(new Uint8Array(file.size), 0);
    }
    const isWritten = given.write || given.append || given.copyOnWrite;
    if (isWritten) file.writeSync(new TextEncoder().encode("mine"));
    const text = new TextDecoder().decode(file.bytes(0, 4));
    console.log(JSON.stringify({ text, maps: maps(path), as: asDeno(path) }));
  } catch (error) {
    const { name, message } = error as Error;
    console.log(
      JSON.stringify({ name, message, maps: maps(path), as: asDeno(path) }),
    );
  }
}

/** Deno's own result of reading the path. */
function asDeno(path: string): string {
  try {
    Deno.openSync(path).close();
    return "";
  } catch (error) {
    return (error as Error).name;
  }
}

/** The protection of each mapping of a file, such as "rw-s". Deno requires all permissions for /proc. */
function maps(path: string): string[] {
  const found: string[] = [];
  let libc;
  try {
    libc = Deno.dlopen("libc.so.6", {
      // int open(const char *pathname, int flags);
      open: { parameters: ["buffer", "i32"], result: "i32" },
      // ssize_t read(int fd, void *buf, size_t count);
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      // int close(int fd);
      close: { parameters: ["i32"], result: "i32" },
    }).symbols;
  } catch {
    // Without libc nothing can be mapped.
    return found;
  }
  const fd = libc.open(new TextEncoder().encode("/proc/self/maps\0"), 0);
  const buffer = new Uint8Array(1 << 16);
  let text = "";
  for (let read; (read = Number(libc.read(fd, buffer, 1n << 16n))) > 0;) {
    text += new TextDecoder().decode(buffer.subarray(0, read));
  }
  libc.close(fd);
  for (const line of text.split("\n")) {
    if (line.endsWith(path)) found.push(line.split(" ")[1]!);
  }
  return found;
}

/** Changes the user of every thread, since root may do everything. Other users stay as they are. */
function becomeUser(user: number): void {
  if (Deno.uid() !== 0) return;
  const { setgroups, setgid, setuid } = Deno.dlopen("libc.so.6", {
    // int setgroups(size_t size, const gid_t *list);
    setgroups: { parameters: ["usize", "buffer"], result: "i32" },
    // int setgid(gid_t gid);
    setgid: { parameters: ["u32"], result: "i32" },
    // int setuid(uid_t uid);
    setuid: { parameters: ["u32"], result: "i32" },
  }).symbols;
  if (setgroups(0n, null) !== 0 || setgid(user) !== 0 || setuid(user) !== 0) {
    throw new Error(`Cannot become user ${user}`);
  }
}
