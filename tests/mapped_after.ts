/** The option by which a test decides when a file is mapped. */

import type { MmapOpenOptions } from "../mod.ts";
import { MAP_AFTER } from "../src/options.ts";

/**
 * Options with which a file is mapped after `calls` reads and writes: 0 for before the first, `Infinity` for
 * never.
 */
export function mappedAfter<Options extends MmapOpenOptions>(
  calls: number,
  options: Options,
): Options {
  return { ...options, [MAP_AFTER]: calls };
}
