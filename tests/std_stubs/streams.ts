/**
 * What the tests use of `@std/streams`, only as types, if the registry cannot be reached: the
 * tests that would call it are skipped.
 */

import { absent } from "./absent.ts";

type Bytes = ReadableStream<Uint8Array>;

export class DelimiterStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(_delimiter: Uint8Array) {
    super();
    absent();
  }
}

export class LimitedBytesTransformStream
  extends TransformStream<Uint8Array, Uint8Array> {
  constructor(_size: number) {
    super();
    absent();
  }
}

export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    super();
    absent();
  }
}

export function toArrayBuffer(_stream: Bytes): Promise<ArrayBuffer> {
  return absent();
}

export function toBytes(_stream: Bytes): Promise<Uint8Array> {
  return absent();
}

export function toText(_stream: Bytes): Promise<string> {
  return absent();
}
