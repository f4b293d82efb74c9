/**
 * The options of `open`, checked before the disk is touched.
 *
 * @module
 */

import type { Access, MappingOptions } from "./storage.ts";
import type { Advice, MmapOpenOptions } from "./types.ts";

/** The options of an open, with all defaults. */
export interface OpenRequest extends MappingOptions, Access {
  /** The options for `Deno.open`. */
  readonly file: Deno.OpenOptions;
  readonly size: number;
  readonly sparse: boolean;
  readonly prefetch: boolean;
  readonly backend: "auto" | "fallback";
}

/** The options that have rules, each with a bit. */
const BIT = {
  write: 1 << 0,
  append: 1 << 1,
  truncate: 1 << 2,
  create: 1 << 3,
  createNew: 1 << 4,
  size: 1 << 5,
  sparse: 1 << 6,
  grow: 1 << 7,
  offset: 1 << 8,
  length: 1 << 9,
  copyOnWrite: 1 << 10,
} as const;

type OptionName = keyof typeof BIT;

/** The options that Deno.open does not have. */
const OWN_OPTIONS = BIT.size | BIT.sparse | BIT.offset | BIT.length |
  BIT.copyOnWrite;

/** The option by which tests decide when a file is mapped, see `MappingOptions.mapAfter`. */
export const MAP_AFTER: unique symbol = Symbol("mapAfter");

/** Options as the tests know them. */
interface Options extends MmapOpenOptions {
  [MAP_AFTER]?: number;
}

/** What Deno.open takes no options for. */
const READ: Options = { read: true };

/**
 * Calls that use the descriptor before memory: mapping a file, touching it, and unmapping it take as long as so many
 * system calls (measured, see docs/architecture.md).
 */
const CALLS_BEFORE_MAPPING = 256;

/** Options of which a file can have only one, with the reason. */
const CONFLICTS: readonly (readonly [OptionName, OptionName[], string])[] = [
  [
    "copyOnWrite",
    ["write", "append", "grow", "create", "createNew", "truncate"],
    "the file is not changed",
  ],
  [
    "offset",
    ["grow", "append", "truncate", "create", "createNew"],
    "a window is a fixed part of an existing file",
  ],
  [
    "length",
    ["grow", "append", "truncate", "create", "createNew"],
    "a window is a fixed part of an existing file",
  ],
];

/** Options that mean nothing without one of some others. */
const REQUIRES: readonly (readonly [OptionName, OptionName[]])[] = [
  ["size", ["create", "createNew", "truncate"]],
  ["sparse", ["size"]],
];

/**
 * Fills in the defaults and makes sure that the options go together.
 *
 * @throws {TypeError} If two options cannot be combined, naming both, or one is of the wrong type.
 * @throws {RangeError} If a number is not a whole number of bytes.
 */
export function checkOptions(
  path: string | URL,
  options: Options | null = null,
): OpenRequest {
  const name = String(path);
  // Each is looked at once: V8 takes long for that where a program has options of many shapes.
  const {
    write = false,
    append = false,
    read: givenRead,
    truncate = false,
    create = false,
    createNew = false,
    mode = 0o666,
    size,
    sparse = false,
    grow,
    offset,
    length,
    copyOnWrite = false,
    advice,
    prefetch,
    guard,
    shared,
    backend,
    [MAP_AFTER]: mapAfter = CALLS_BEFORE_MAPPING,
  } = options ?? READ;
  checkBytes(name, "size", size);
  checkBytes(name, "offset", offset);
  checkBytes(name, "length", length);
  // `false` says as much as nothing.
  const given = (write ? BIT.write : 0) |
    (append ? BIT.append : 0) |
    (truncate ? BIT.truncate : 0) |
    (create ? BIT.create : 0) |
    (createNew ? BIT.createNew : 0) |
    (size !== undefined ? BIT.size : 0) |
    (sparse ? BIT.sparse : 0) |
    (grow ? BIT.grow : 0) |
    (offset !== undefined ? BIT.offset : 0) |
    (length !== undefined ? BIT.length : 0) |
    (copyOnWrite ? BIT.copyOnWrite : 0);
  // Options that Deno.open does not have say that the file is to be read, if they say nothing else.
  const hasOwnOption = (given & OWN_OPTIONS) !== 0 || grow !== undefined ||
    (advice ?? prefetch ?? guard ?? shared ?? backend) !== undefined;
  const read = givenRead ?? (!write && !append && hasOwnOption);
  // Most files are opened with nothing that a rule is about.
  if (!read || (given & ~BIT.write) !== 0) {
    checkAsDeno(name, read, given);
    const reason = violationOf(given) ?? missingSize(given, size, grow);
    if (reason !== undefined) throw optionError(name, reason);
  }
  if (advice !== undefined && !isAdvice(advice)) {
    throw optionError(
      name,
      `option 'advice' is "${advice}", not "normal", "sequential", or "random"`,
    );
  }
  if (backend !== undefined && backend !== "auto" && backend !== "fallback") {
    throw optionError(
      name,
      `option 'backend' is "${backend}", not "auto" or "fallback"`,
    );
  }
  const isWindow = offset !== undefined || length !== undefined;
  const isFixed = size !== undefined || isWindow || copyOnWrite;
  return {
    path,
    name,
    file: {
      // A file that is mapped by `open` must be readable.
      read: read || size !== undefined,
      write,
      append,
      create,
      createNew,
      truncate,
      mode,
    },
    read,
    write: write || append,
    append,
    copyOnWrite,
    grow: append || (grow ?? !isFixed),
    size: size ?? 0,
    sparse,
    offset: offset ?? 0,
    length: length ?? Infinity,
    isWindow,
    advice: advice ?? "normal",
    prefetch: prefetch ?? false,
    guard: guard ?? true,
    shared: shared ?? false,
    backend: backend ?? "auto",
    mapAfter,
  };
}

/** Refuses what Deno.open refuses, in its words. */
function checkAsDeno(name: string, read: boolean, given: number): void {
  const has = (options: number) => (given & options) !== 0;
  const { write, append, truncate, create, createNew } = BIT;
  if (!read && !has(write | append | truncate | create | createNew)) {
    throw new Error(
      `Cannot open '${name}': 'options' requires at least one option to be true`,
    );
  }
  if (has(truncate) && !has(write)) {
    throw new Error(
      `Cannot open '${name}': 'truncate' option requires 'write' to be true`,
    );
  }
  if (has(create | createNew) && !has(write | append)) {
    throw new Error(
      `Cannot open '${name}': 'create' or 'createNew' options require 'write' or 'append' to be true`,
    );
  }
  if (has(append) && has(truncate) && !has(createNew)) {
    throw optionError(name, "a file cannot be truncated and appended to");
  }
}

function optionError(name: string, reason: string): Error {
  return new TypeError(`Cannot open '${name}': ${reason}`);
}

/** The first rule that the options break, in words. */
function violationOf(given: number): string | undefined {
  const isGiven = (option: OptionName) => (given & BIT[option]) !== 0;
  for (const [option, others, reason] of CONFLICTS) {
    const other = isGiven(option) && others.find(isGiven);
    if (other) {
      return `options '${option}' and '${other}' cannot be combined: ${reason}`;
    }
  }
  for (const [option, others] of REQUIRES) {
    if (isGiven(option) && !others.some(isGiven)) {
      const names = others.map((other) => `'${other}'`).join(" or ");
      return `option '${option}' needs ${names}`;
    }
  }
}

/** A file of fixed size must be given one when it is made. */
function missingSize(
  given: number,
  size?: number,
  grow?: boolean,
): string | undefined {
  if (size === undefined ? grow !== false : size > 0) return;
  if ((given & (BIT.grow | BIT.append)) !== 0) return;
  const create = (given & BIT.create) !== 0
    ? "create"
    : (given & BIT.createNew) !== 0
    ? "createNew"
    : undefined;
  return create &&
    `option '${create}' needs a 'size' of more than 0 bytes, or none: the file then grows`;
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
