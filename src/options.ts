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

/** The options that rules are about, each with a bit of its own. */
const BIT = {
  read: 1 << 0,
  write: 1 << 1,
  append: 1 << 2,
  truncate: 1 << 3,
  create: 1 << 4,
  createNew: 1 << 5,
  size: 1 << 6,
  sparse: 1 << 7,
  grow: 1 << 8,
  offset: 1 << 9,
  length: 1 << 10,
  copyOnWrite: 1 << 11,
} as const;

type OptionName = keyof typeof BIT;

/** Options of which a file can have only one, with the reason. */
const AT_ODDS: readonly (readonly [OptionName, OptionName[], string])[] = [
  ["copyOnWrite", ["write", "append", "grow"], "no write reaches the file"],
  [
    "copyOnWrite",
    ["create", "createNew", "truncate"],
    "the file stays as it is",
  ],
  ["offset", ["grow", "append"], "a window has a fixed size"],
  ["length", ["grow", "append"], "a window has a fixed size"],
  [
    "offset",
    ["truncate", "create", "createNew"],
    "a window is of what is there",
  ],
  [
    "length",
    ["truncate", "create", "createNew"],
    "a window is of what is there",
  ],
  ["createNew", ["truncate"], "a new file has nothing to cut"],
  ["append", ["truncate"], "as with Deno.open, what is cut is not appended to"],
];

/** Options that mean nothing without one of some others. */
const NEEDS: readonly (readonly [OptionName, OptionName[]])[] = [
  ["create", ["write", "append"]],
  ["createNew", ["write", "append"]],
  ["truncate", ["write"]],
  ["grow", ["write", "append"]],
  ["size", ["create", "createNew", "truncate"]],
  ["sparse", ["size"]],
  ["create", ["size", "grow", "append"]],
  ["createNew", ["size", "grow", "append"]],
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

  checkBytes(name, "size", options.size);
  checkBytes(name, "offset", options.offset);
  checkBytes(name, "length", options.length);
  const given = givenBits(options);
  // Most files are opened with nothing that a rule is about.
  if ((given & ~(BIT.read | BIT.write)) !== 0) {
    const reason = broken(given) ?? noSize(given, options);
    if (reason !== undefined) throw refuse(reason);
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
  if (!isAdvice(advice)) {
    throw refuse(
      `option 'advice' is "${advice}", not "normal", "sequential" or "random"`,
    );
  }
  if (backend !== "auto" && backend !== "fallback") {
    throw refuse(`option 'backend' is "${backend}", not "auto" or "fallback"`);
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

/** A bit for each option that says something: `false` says as much as nothing. */
function givenBits(options: MmapOpenOptions): number {
  return (options.read ? BIT.read : 0) |
    (options.write ? BIT.write : 0) |
    (options.append ? BIT.append : 0) |
    (options.truncate ? BIT.truncate : 0) |
    (options.create ? BIT.create : 0) |
    (options.createNew ? BIT.createNew : 0) |
    (options.size !== undefined ? BIT.size : 0) |
    (options.sparse ? BIT.sparse : 0) |
    (options.grow ? BIT.grow : 0) |
    (options.offset !== undefined ? BIT.offset : 0) |
    (options.length !== undefined ? BIT.length : 0) |
    (options.copyOnWrite ? BIT.copyOnWrite : 0);
}

/** The first rule that the options break, in words. */
function broken(given: number): string | undefined {
  const isGiven = (option: OptionName) => (given & BIT[option]) !== 0;
  for (const [option, others, reason] of AT_ODDS) {
    const other = isGiven(option) && others.find(isGiven);
    if (other) {
      return `options '${option}' and '${other}' are at odds: ${reason}`;
    }
  }
  for (const [option, others] of NEEDS) {
    if (isGiven(option) && !others.some(isGiven)) {
      const names = others.map((other) => `'${other}'`).join(" or ");
      return `option '${option}' needs ${names}`;
    }
  }
}

/** A file of fixed size must be given one when it is made. */
function noSize(given: number, options: MmapOpenOptions): string | undefined {
  if (options.size !== 0 || (given & (BIT.grow | BIT.append)) !== 0) return;
  const create = (given & BIT.create) !== 0
    ? "create"
    : (given & BIT.createNew) !== 0
    ? "createNew"
    : undefined;
  return create &&
    `option '${create}' needs a 'size' of more than 0 bytes, or 'grow' or 'append'`;
}

/** Whether a value from outside is an {@linkcode Advice}. */
export function isAdvice(value: string): value is Advice {
  return value === "normal" || value === "sequential" || value === "random";
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
