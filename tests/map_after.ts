/** When the file of a test is mapped. */

import { MAP_AFTER } from "../src/options.ts";

/** Options with which a file is mapped after so many calls, 0 or more: `Infinity` leaves it to the descriptor. */
export function mappedAfter<Options extends object>(
  calls: number,
  options: Options,
): Options {
  return { ...options, [MAP_AFTER]: calls };
}
