/**
 * Whether a path still names a file that is open.
 *
 * @module
 */

/** Whether `path` names the file that `info` is about. */
export function isNamed(
  path: string | URL,
  { dev, ino }: Deno.FileInfo,
): boolean {
  try {
    const named = Deno.statSync(path);
    return named.dev === dev && named.ino === ino;
  } catch (error) {
    const isGone = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isGone) return false;
    throw error;
  }
}
