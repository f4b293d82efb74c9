/**
 * What the tests use of `@std/io`, only as types, if the registry cannot be reached: the tests
 * that would call it are skipped.
 */

import { absent } from "./absent.ts";
import type { Reader, ReaderSync, Writer, WriterSync } from "../../mod.ts";

export type {
  Closer,
  Reader,
  ReaderSync,
  Seeker,
  SeekerSync,
  Writer,
  WriterSync,
} from "../../mod.ts";

export class Buffer implements Reader, ReaderSync, Writer, WriterSync {
  constructor(_bytes?: ArrayBufferLike) {
    absent();
  }
  read = (_p: Uint8Array): Promise<number | null> => absent();
  readSync = (_p: Uint8Array): number | null => absent();
  write = (_p: Uint8Array): Promise<number> => absent();
  writeSync = (_p: Uint8Array): number => absent();
  bytes = (): Uint8Array => absent();
}

export function copy(_source: Reader, _target: Writer): Promise<number> {
  return absent();
}

export function iterateReader(
  _reader: Reader,
): AsyncIterableIterator<Uint8Array> {
  return absent();
}

export function iterateReaderSync(
  _reader: ReaderSync,
): IterableIterator<Uint8Array> {
  return absent();
}

export function readAll(_reader: Reader): Promise<Uint8Array> {
  return absent();
}

export function readAllSync(_reader: ReaderSync): Uint8Array {
  return absent();
}

export function toReadableStream(_reader: Reader): ReadableStream<Uint8Array> {
  return absent();
}

export function toWritableStream(_writer: Writer): WritableStream<Uint8Array> {
  return absent();
}

export function writeAll(_writer: Writer, _data: Uint8Array): Promise<void> {
  return absent();
}

export function writeAllSync(_writer: WriterSync, _data: Uint8Array): void {
  return absent();
}
