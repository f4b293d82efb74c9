/** Arguments that lie, change while they are read, or call back. */

import { Buffer } from "node:buffer";

/** An argument, and what happens to it during the call. */
export interface Trick {
  readonly name: string;
  readonly value: unknown;
  readonly later?: () => void;
}

type Lie = (callback: () => void) => unknown;

type Make = (callback: () => void) => Trick[];

/** Bytes around those that are passed, which a method must not read or change. */
export const AROUND = 0xcc;
const MARGIN = 4096;

/** A property of an array, after it has called back. */
const LIES: { [key: string]: Lie } & { constructor: Lie } = {
  length: (callback) => (callback(), 100_000),
  byteLength: (callback) => (callback(), 100_000),
  byteOffset: (callback) => (callback(), 0),
  buffer: (callback) => (callback(), new ArrayBuffer(100_000)),
  set: (callback) => () => callback(),
  subarray: (callback) => () => (callback(), new Uint8Array(100_000)),
  slice: (callback) => () => (callback(), new Uint8Array(100_000)),
  constructor: (callback) => (callback(), Uint8Array),
};

/** Arrays of the bytes of `given`, whatever their properties report. Created on demand, since some are large. */
export function arrays(given: Uint8Array): Make {
  const { length } = given;
  return (callback) => {
    const tricks: Trick[] = [];
    const add = (name: string, value: () => unknown) =>
      tricks.push({
        name,
        get value() {
          return value();
        },
      });
    /** An array whose buffer is changed in one way, before the call or during it. */
    const addChanging = (
      name: string,
      make: () => Uint8Array,
      change: (array: Uint8Array) => void,
    ) => {
      add(`${name} before`, () => {
        const array = make();
        change(array);
        return array;
      });
      let made: Uint8Array;
      tricks.push({
        name: `${name} during`,
        get value() {
          return made = make();
        },
        later: () => change(made),
      });
    };
    add("plain", () => inMiddle(given));
    for (const [key, lie] of Object.entries(LIES)) {
      const get = () => lie(callback);
      add(
        `own ${key}`,
        () => Object.defineProperty(inMiddle(given), key, { get }),
      );
      add(`inherited ${key}`, () => {
        class Lying extends Uint8Array {}
        const { buffer, byteOffset } = inMiddle(given);
        const array = new Lying(buffer, byteOffset, length);
        Object.defineProperty(Lying.prototype, key, { get });
        return array;
      });
    }
    add("Proxy", () =>
      new Proxy(inMiddle(given), {
        get(target, key) {
          callback();
          const value = Reflect.get(target, key);
          return typeof value === "function" ? value.bind(target) : value;
        },
      }));
    add("convertible", () => convertible(given, callback));
    add("Buffer", () => {
      const { buffer, byteOffset } = inMiddle(given);
      return Buffer.from(buffer, byteOffset, length);
    });
    const shared = () =>
      filled(
        new SharedArrayBuffer(length, { maxByteLength: 2 * length }),
        given,
      );
    add("shared", shared);
    addChanging("grown", shared, ({ buffer }) => {
      (buffer as SharedArrayBuffer).grow(2 * length);
      new Uint8Array(buffer).fill(given[0]!);
    });
    const resizable = () =>
      filled(new ArrayBuffer(length, { maxByteLength: 2 * length }), given);
    for (const to of [0, Math.ceil(length / 2), 2 * length]) {
      addChanging(`resized to ${to}`, resizable, ({ buffer }) => {
        (buffer as ArrayBuffer).resize(to);
        new Uint8Array(buffer).fill(given[0]!);
      });
    }
    addChanging("detached", () => Uint8Array.from(given), ({ buffer }) => {
      (buffer as ArrayBuffer).transfer();
    });
    const buffer = () => Uint8Array.from(given).buffer;
    add("Uint16Array", () => new Uint16Array(buffer(), 0, length >> 1));
    add("Uint8ClampedArray", () => new Uint8ClampedArray(buffer()));
    add("DataView", () => new DataView(buffer()));
    add("ArrayBuffer", buffer);
    for (const value of [null, undefined, 5, "abc", [1, 2]]) {
      add(`${Deno.inspect(value)}`, () => value);
    }
    return tricks;
  };
}

/** Numbers, and values that are not numbers. Objects are converted to `plain`. */
export function numbers(plain: number): Make {
  return (callback) => [
    { name: "plain", value: plain },
    ...[-0, -1, 0.5, NaN, Infinity, 2 ** 40, 2 ** 53, -(2 ** 60), 1e300]
      .map((value) => ({ name: String(value), value })),
    ...[undefined, null, true, `${plain}`, BigInt(plain), 2n ** 70n, [plain]]
      .map((value) => ({ name: Deno.inspect(value), value })),
    { name: "symbol", value: Symbol("number") },
    { name: "convertible", value: convertible(plain, callback) },
    { name: "valueOf", value: { valueOf: () => (callback(), plain) } },
    { name: "toString", value: { toString: () => (callback(), `${plain}`) } },
    { name: "growing", value: growingNumber(plain, callback) },
    { name: "Number", value: overridden(new Number(plain), plain, callback) },
  ];
}

export function strings(plain: string): Make {
  return (callback) => [
    { name: "plain", value: plain },
    { name: "convertible", value: convertible(plain, callback) },
    { name: "String", value: overridden(new String(plain), plain, callback) },
    ...[undefined, null, 5, ["a"]].map((value) => ({
      name: Deno.inspect(value),
      value,
    })),
  ];
}

export function dates(plain: Date): Make {
  return (callback) => {
    const own = new Date(plain);
    own.getTime = () => (callback(), +plain);
    own.valueOf = () => (callback(), +plain);
    const many = new Date(plain);
    Object.defineProperty(many, "getTime", {
      value: () => convertible(+plain, callback),
    });
    return [
      { name: "plain", value: plain },
      { name: "own getTime", value: own },
      { name: "getTime of an invalid number", value: many },
      { name: "invalid", value: new Date(NaN) },
      ...numbers(+plain / 1000)(callback),
    ];
  };
}

/** Options of which each in turn is a getter that calls back, or an invalid number. */
export function options(plain: Record<string, unknown>): Make {
  return (callback) => {
    const tricks: Trick[] = [
      { name: "plain", value: plain },
      { name: "null", value: null },
      { name: "5", value: 5 },
    ];
    for (const [key, value] of Object.entries(plain)) {
      const get = () => (callback(), value);
      const own = Object.defineProperty({ ...plain }, key, { get });
      tricks.push({ name: `own ${key}`, value: own });
      if (typeof value !== "number") continue;
      for (const trick of numbers(value)(callback)) {
        tricks.push({
          name: `${key}: ${trick.name}`,
          value: { ...plain, [key]: trick.value },
        });
      }
    }
    const get = (target: object, key: string) => {
      callback();
      return Reflect.get(target, key);
    };
    tricks.push({ name: "Proxy", value: new Proxy(plain, { get }) });
    return tricks;
  };
}

/** Constructors for `view`. */
export function constructors(): Make {
  return (callback) => {
    class Lying extends Int32Array {
      static override get BYTES_PER_ELEMENT(): 4 {
        callback();
        return 4;
      }
    }
    class Converted extends Int32Array {}
    class Narrow extends Int32Array {}
    class Negative extends Int32Array {}
    const widths = [growingNumber(4, callback), 0.001, -1];
    for (const [k, type] of [Converted, Narrow, Negative].entries()) {
      Object.defineProperty(type, "BYTES_PER_ELEMENT", { value: widths[k] });
    }
    class Calling extends Int32Array {
      constructor(buffer: ArrayBuffer, offset: number, length: number) {
        callback();
        super(buffer, offset, length);
      }
    }
    return [Int32Array, DataView, Lying, Converted, Narrow, Negative, Calling]
      .map((value) => ({ name: value.name, value: value as unknown }))
      .concat({ name: "no constructor", value: { BYTES_PER_ELEMENT: 1 } });
  };
}

/** Values of counts of bytes read or written. */
const COUNTS: unknown[] = [
  -1,
  0.5,
  NaN,
  Infinity,
  2 ** 40,
  65_537,
  "8",
  8n,
  undefined,
  {},
];

/** Readers of `given`, sync and async, that call back, lie about what they read, or keep their buffer. */
export function readers(given: Uint8Array): Make {
  return (callback) => {
    const tricks: Trick[] = [];
    const add = (
      name: string,
      read: (p: Uint8Array<ArrayBuffer>) => unknown,
    ) => {
      let isDone = false;
      const next = (p: Uint8Array<ArrayBuffer>) => {
        if (isDone) return null;
        isDone = true;
        return read(p);
      };
      const value = { read: (p: never) => Promise.resolve(next(p)) };
      tricks.push({ name, value: { ...value, readSync: next } });
    };
    const fill = (p: Uint8Array) => {
      Uint8Array.prototype.set.call(p, given);
      return given.length;
    };
    add("plain", fill);
    add("calling", (p) => (callback(), fill(p)));
    for (const count of COUNTS) {
      add(`count ${Deno.inspect(count)}`, (p) => (fill(p), callback(), count));
    }
    add("convertible count", () => convertible(given.length, callback));
    for (const [key, lie] of Object.entries(LIES)) {
      add(`tampering with ${key}`, (p) => {
        fill(p);
        Object.defineProperty(p, key, { get: () => lie(callback) });
        return given.length;
      });
    }
    add("detaching", (p) => {
      fill(p);
      p.buffer.transfer();
      callback();
      return given.length;
    });
    return tricks;
  };
}

/** Writers, sync and async, that call back, lie about what they took, or change their argument. */
export function writers(): Make {
  return (callback) => {
    const tricks: Trick[] = [];
    const add = (name: string, write: (p: Uint8Array) => unknown) =>
      tricks.push({
        name,
        value: {
          write: (p: Uint8Array) => Promise.resolve(write(p)),
          writeSync: write,
        },
      });
    const length = (p: Uint8Array) => p.length;
    add("plain", length);
    add("calling", (p) => {
      const taken = length(p);
      callback();
      return taken;
    });
    add("taking little", (p) => (callback(), Math.min(1000, length(p))));
    for (const count of COUNTS) {
      add(`count ${Deno.inspect(count)}`, () => (callback(), count));
    }
    add("convertible count", (p) => convertible(length(p), callback));
    for (const [key, lie] of Object.entries(LIES)) {
      add(`tampering with ${key}`, (p) => {
        const taken = length(p);
        Object.defineProperty(p, key, { get: () => lie(callback) });
        return taken;
      });
    }
    add("lying in its error", () => {
      const bytesWritten = convertible(5, callback);
      throw Object.assign(new Error("of its own"), { bytesWritten });
    });
    tricks.push({
      name: "stream",
      value: new WritableStream({ write: () => callback() }),
    });
    const writer = {
      write: (p: Uint8Array) => {
        p.fill(0);
        callback();
        return Promise.resolve();
      },
      releaseLock: callback,
    };
    const getWriter = () => (callback(), writer);
    tricks.push({ name: "alleged stream", value: { getWriter } });
    return tricks;
  };
}

/** Streams of the arrays that `arrays` makes. */
export function streams(given: Uint8Array): Make {
  return (callback) =>
    arrays(given)(callback).map(({ name, value }) => ({
      name: `stream of ${name}`,
      value: new ReadableStream({
        start(controller) {
          controller.enqueue(value);
          controller.close();
        },
      }),
    }));
}

/** The bytes in the middle of a buffer that has others around them. */
function inMiddle(given: Uint8Array): Uint8Array<ArrayBuffer> {
  const around = new Uint8Array(given.length + 2 * MARGIN).fill(AROUND);
  around.set(given, MARGIN);
  return around.subarray(MARGIN, MARGIN + given.length);
}

/** Whether the bytes around an array of `inMiddle` are unchanged. */
export function isIntact(value: unknown): boolean {
  // Except for a Proxy.
  if (!ArrayBuffer.isView(value) || value instanceof DataView) return true;
  const prototype = Object.getPrototypeOf(Uint8Array.prototype);
  const get = (name: string) =>
    Object.getOwnPropertyDescriptor(prototype, name)!.get!.call(value);
  const [buffer, offset, length] = ["buffer", "byteOffset", "byteLength"]
    .map(get);
  if (offset !== MARGIN) return true;
  const around = [
    new Uint8Array(buffer, 0, MARGIN),
    new Uint8Array(buffer, MARGIN + length),
  ];
  return around.every((part) => part.every((byte) => byte === AROUND));
}

function filled(
  buffer: ArrayBuffer | SharedArrayBuffer,
  given: Uint8Array,
): Uint8Array {
  const array = new Uint8Array(buffer);
  array.set(given);
  return array;
}

/** An object that is converted to `plain`, and calls back each time. */
function convertible(plain: unknown, callback: () => void): unknown {
  return { [Symbol.toPrimitive]: () => (callback(), plain) };
}

/** An object that is converted to another number each time. */
function growingNumber(plain: number, callback: () => void): unknown {
  let times = 0;
  return {
    valueOf() {
      if (times++ > 0) callback();
      return plain * 10 ** (times - 1);
    },
  };
}

function overridden(
  object: object,
  plain: unknown,
  callback: () => void,
): object {
  const value = () => (callback(), plain);
  return Object.defineProperties(object, {
    valueOf: { value },
    toString: { value },
  });
}
