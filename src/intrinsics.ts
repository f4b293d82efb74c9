/**
 * What an array is by itself, whatever a subclass, an own property or a Proxy says of it.
 *
 * @module
 */

type Getter<T> = (this: Uint8Array) => T;

const buffer: Getter<ArrayBufferLike> = getter("buffer");
const byteOffset: Getter<number> = getter("byteOffset");
/** The length of a typed array in bytes: `byteLength.call(array)`. */
export const byteLength: Getter<number> = getter("byteLength");

/**
 * The same bytes as a plain `Uint8Array`: none of its members runs code of the user's.
 *
 * @throws {TypeError} If it is not a typed array.
 */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(
    buffer.call(bytes),
    byteOffset.call(bytes),
    byteLength.call(bytes),
  );
}

function getter<T>(name: string): Getter<T> {
  const prototype = Object.getPrototypeOf(Uint8Array.prototype);
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as Getter<T>;
}
