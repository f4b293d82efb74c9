/**
 * The options of `open`, checked before the disk is touched.
 *
 * @module
 */

import type { Advice, MmapOpenOptions } from "./types.ts";

/** What is to be opened, with every default filled in. */
export interface OpenRequest {
  readonly path: string | URL;
  /** The path as messages show it. */
  readonly name: string;
  /** What Deno would be asked for. */
  readonly file: Deno.OpenOptions;
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly grow: boolean;
  readonly copyOnWrite: boolean;
  readonly size: number;
  readonly sparse: boolean;
  readonly window?: { readonly offset: number; readonly length?: number };
  readonly advice: Advice;
  readonly prefetch: boolean;
  readonly guard: boolean;
  readonly backend: "auto" | "fallback";
}

type OptionName = keyof MmapOpenOptions;

/** Pairs of which a file can have only one. */
const AT_ODDS: readonly [OptionName, OptionName, string][] = [
  ["copyOnWrite", "write", "its writes never reach the file"],
  ["copyOnWrite", "append", "its writes never reach the file"],
  ["copyOnWrite", "grow", "its writes never reach the file"],
  ["copyOnWrite", "create", "it leaves the file as it is"],
  ["copyOnWrite", "createNew", "it leaves the file as it is"],
  ["copyOnWrite", "truncate", "it leaves the file as it is"],
  ["offset", "grow", "a window has a fixed size"],
  ["offset", "append", "a window has a fixed size"],
  ["offset", "truncate", "a window is a part of what is there"],
  ["offset", "create", "a window is a part of what is there"],
  ["offset", "createNew", "a window is a part of what is there"],
  ["length", "grow", "a window has a fixed size"],
  ["length", "append", "a window has a fixed size"],
  ["length", "truncate", "a window is a part of what is there"],
  ["length", "create", "a window is a part of what is there"],
  ["length", "createNew", "a window is a part of what is there"],
  ["createNew", "truncate", "a new file has nothing to cut"],
  ["append", "truncate", "as Deno has it, truncate is for write"],
];

/** Options that mean nothing without one of some others. */
const NEEDS: readonly [OptionName, ...OptionName[]][] = [
  ["create", "write", "append"],
  ["createNew", "write", "append"],
  ["truncate", "write"],
  ["grow", "write", "append"],
  ["size", "create", "createNew", "truncate"],
  ["sparse", "size"],
  ["create", "size", "grow", "append"],
  ["createNew", "size", "grow", "append"],
];

/**
 * Fills in the defaults and makes sure that the options go together.
 *
 * @throws {TypeError} If two options are at odds, naming both, or one is of the wrong type.
 * @throws {RangeError} If a number is not a whole number of bytes.
 */
export function checkOptions(
  path: string | URL,
  options: MmapOpenOptions,
): OpenRequest {
  const name = String(path);
  const refuse = (reason: string) =>
    new TypeError(`Cannot open '${name}': ${reason}`);

  for (const option of ["size", "offset", "length"] as const) {
    checkBytes(name, option, options[option]);
  }
  for (const [one, other, reason] of AT_ODDS) {
    if (isGiven(options, one) && isGiven(options, other)) {
      throw refuse(`options '${one}' and '${other}' are at odds: ${reason}`);
    }
  }
  for (const [option, ...others] of NEEDS) {
    if (
      isGiven(options, option) &&
      !others.some((other) => isGiven(options, other))
    ) {
      throw refuse(
        `option '${option}' needs ${
          others.map((other) => `'${other}'`).join(" or ")
        }`,
      );
    }
  }
  if (
    (options.create || options.createNew) && options.size === 0 &&
    !options.grow && !options.append
  ) {
    const create = options.create ? "create" : "createNew";
    throw refuse(
      `option '${create}' needs a 'size' of more than 0 bytes, or 'grow' or 'append'`,
    );
  }

  const {
    write = false,
    append = false,
    copyOnWrite = false,
    read = !write && !append,
    advice = "normal",
    backend = "auto",
  } = options;
  if (copyOnWrite && !read) {
    throw refuse("options 'copyOnWrite' and 'read: false' are at odds");
  }
  if (!read && !write && !append) {
    throw refuse("option 'read: false' needs 'write' or 'append'");
  }
  if (!["normal", "sequential", "random"].includes(advice)) {
    throw refuse(`option 'advice' is "${advice}"`);
  }
  if (!["auto", "fallback"].includes(backend)) {
    throw refuse(`option 'backend' is "${backend}"`);
  }

  const hasWindow = options.offset !== undefined ||
    options.length !== undefined;
  return {
    path,
    name,
    file: {
      read,
      write,
      append,
      create: options.create,
      createNew: options.createNew,
      truncate: options.truncate,
      mode: options.mode,
    },
    read,
    write,
    append,
    copyOnWrite,
    grow: options.grow === true || append,
    size: options.size ?? 0,
    sparse: options.sparse ?? false,
    window: hasWindow
      ? { offset: options.offset ?? 0, length: options.length }
      : undefined,
    advice,
    prefetch: options.prefetch ?? false,
    guard: options.guard ?? true,
    backend,
  };
}

function isGiven(options: MmapOpenOptions, option: OptionName): boolean {
  const value = options[option];
  return value !== undefined && value !== false;
}

function checkBytes(name: string, option: string, value?: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) {
    return;
  }
  const message =
    `Cannot open '${name}': option '${option}' is ${value}, not a whole number of bytes, 0 or more`;
  throw typeof value === "number"
    ? new RangeError(message)
    : new TypeError(message);
}
