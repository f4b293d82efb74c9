/** What the tests use of `@std/assert`, over node:assert, if the registry cannot be reached. */

import nodeAssert from "node:assert";

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

export function assert(value: unknown, message?: string): asserts value {
  nodeAssert.ok(value, message);
}

export function assertEquals<T>(actual: T, expected: T, message?: string) {
  nodeAssert.deepStrictEqual(actual, expected, message);
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string) {
  nodeAssert.notDeepStrictEqual(actual, expected, message);
}

export function assertStrictEquals<T>(
  actual: T,
  expected: T,
  message?: string,
) {
  nodeAssert.strictEqual(actual, expected, message);
}

export function assertMatch(text: string, pattern: RegExp, message?: string) {
  nodeAssert.match(text, pattern, message);
}

export function assertStringIncludes(
  text: string,
  part: string,
  message?: string,
) {
  nodeAssert.ok(text.includes(part), message ?? `${text} lacks ${part}`);
}

export function assertInstanceOf<E extends Error>(
  value: unknown,
  type: ErrorClass<E>,
  message?: string,
): asserts value is E {
  nodeAssert.ok(
    value instanceof type,
    message ?? `Expected ${type.name}, got ${value}`,
  );
}

export function assertThrows<E extends Error = Error>(
  call: () => unknown,
  type?: ErrorClass<E>,
  part = "",
): E {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  return checkThrown(thrown, type, part);
}

export async function assertRejects<E extends Error = Error>(
  call: () => PromiseLike<unknown>,
  type?: ErrorClass<E>,
  part = "",
): Promise<E> {
  let thrown: unknown;
  try {
    await call();
  } catch (error) {
    thrown = error;
  }
  return checkThrown(thrown, type, part);
}

function checkThrown<E extends Error>(
  thrown: unknown,
  type: ErrorClass<E> | undefined,
  part: string,
): E {
  nodeAssert.ok(thrown instanceof Error, "Expected an error to be thrown");
  if (type !== undefined) assertInstanceOf(thrown, type);
  assertStringIncludes(thrown.message, part);
  return thrown as E;
}
