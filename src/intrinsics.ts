/**
 * Accessors and methods of typed arrays as the engine made them.
 *
 * A caller's array may lie: a subclass or an own property can override `length`, `buffer` or `set`,
 * and run code between a check and its use. These read the engine's own fields and run nothing.
 *
 * @module
 */

const { prototype } = Object.getPrototypeOf(Uint8Array) as {
  prototype: Uint8Array;
};

/**
 * `byteLength.call(array)`: bytes that an array has now, 0 if its buffer is detached or has been resized to
 * end before it. For the methods that must be fast: V8 inlines this call, and no other form of it as well
 * (measured).
 *
 * @throws {TypeError} If it is not a typed array.
 */
export const byteLength: Method<Uint8Array, [], number> = getterOf(
  "byteLength",
);

/** `set.call(target, source, offset)`; overlapping arrays are copied as if from a copy. */
export const { set } = prototype;

/** As `byteLength`. */
export const byteLengthOf: (array: Uint8Array) => number = uncurryThis(
  byteLength,
);

/** Where in its buffer an array begins. */
export const byteOffsetOf: (array: Uint8Array) => number = uncurryThis(
  getterOf("byteOffset"),
);

/** The buffer under an array. */
export const bufferOf: (array: Uint8Array) => ArrayBufferLike = uncurryThis(
  getterOf("buffer"),
);

const isResizable: (buffer: ArrayBuffer) => boolean = uncurryThis(
  getterOf("resizable", ArrayBuffer.prototype),
);
const isGrowable: (buffer: SharedArrayBuffer) => boolean = uncurryThis(
  getterOf("growable", SharedArrayBuffer.prototype),
);

/** Whether the buffer under an array can change its length: Deno passes no such memory to another thread. */
export function isOfAnyLength(array: Uint8Array): boolean {
  const buffer = bufferOf(array);
  return buffer instanceof ArrayBuffer
    ? isResizable(buffer)
    : isGrowable(buffer);
}

const dataViewBuffer: (view: DataView) => ArrayBufferLike = uncurryThis(
  getterOf("buffer", DataView.prototype),
);
const dataViewOffset: (view: DataView) => number = uncurryThis(
  getterOf("byteOffset", DataView.prototype),
);
const dataViewLength: (view: DataView) => number = uncurryThis(
  getterOf("byteLength", DataView.prototype),
);

/** Whether a value is a `Uint8Array`, a subclass such as `Buffer` included; a `Proxy` is not. */
export function isUint8Array(value: unknown): value is Uint8Array {
  return typeNameOf(value) === "Uint8Array";
}

/** The name of a typed array's type; `undefined` for everything else. */
const typeNameOf: (value: unknown) => string | undefined = uncurryThis(
  getterOf(Symbol.toStringTag),
);

/** A plain `Uint8Array` over the same memory, whose properties can be trusted. */
export function plainView(array: Uint8Array): Uint8Array {
  return new Uint8Array(
    bufferOf(array),
    byteOffsetOf(array),
    byteLengthOf(array),
  );
}

/** The bytes under a view of any type, or of a whole buffer; `undefined` for everything else. */
export function bytesUnder(chunk: unknown): Uint8Array | undefined {
  if (typeNameOf(chunk) !== undefined) return plainView(chunk as Uint8Array);
  if (ArrayBuffer.isView(chunk)) {
    const view = chunk as DataView;
    return new Uint8Array(
      dataViewBuffer(view),
      dataViewOffset(view),
      dataViewLength(view),
    );
  }
  return chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : undefined;
}

/** A copy that shares nothing, unlike `Buffer.prototype.slice`. */
export function copyOf(array: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(array);
}

/** A method that is called with its `this`. */
export type Method<This, Arguments extends unknown[], Result> = (
  this: This,
  ...args: Arguments
) => Result;

function uncurryThis<This, Arguments extends unknown[], Result>(
  method: Method<This, Arguments, Result>,
): (self: This, ...args: Arguments) => Result {
  return Function.prototype.call.bind(method) as (
    self: This,
    ...args: Arguments
  ) => Result;
}

function getterOf<Result>(
  name: string | symbol,
  owner: object = prototype,
): Method<unknown, [], Result> {
  return Object.getOwnPropertyDescriptor(owner, name)!.get!;
}
