/**
 * Real work, end to end, with programs that nobody here wrote where there are any. Each is compared
 * with the same program over `Deno.FsFile`, and shown beside the file read into memory as a whole.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { Reader as ZipSource, ZipReader } from "@zip.js/zip.js";
import { type AsyncBuffer, parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { type AsnResponse, Reader as MaxMindReader } from "mmdb-lib";
import decoderModule from "mmdb-lib/lib/decoder.js";
import { PMTiles, type Source } from "pmtiles";
import { Store } from "../../examples/kv_store.ts";
import { openSync } from "../../mod.ts";
import { type Comparison, GB, MB, randomOffsets } from "../case.ts";
import { sourceFile, writeText } from "../files.ts";
import type { Work } from "../measure.ts";

const NEEDLE = "eighteen_byte_long";
const WHOLE = "Deno.readFile";

/** What the programs here need of a file. */
interface Ranges {
  readonly size: number;
  /** A copy of its own. */
  copy(offset: number, length: number): Uint8Array<ArrayBuffer>;
  close(): void;
}

export const COMPARISONS: readonly Comparison[] = [
  work("GeoIP: open, 100 lookups, close", {
    "Deno.FsFile": () => once(() => useLookup(fsFileLookup, 100)),
    "MmapFile": () => once(() => useLookup(mmapLookup, 100)),
    [WHOLE]: () => once(() => useLookup(wholeLookup, 100)),
  }),
  work("GeoIP: one lookup in 58 MB", {
    "Deno.FsFile": () => lookups(fsFileLookup()),
    "MmapFile": () => lookups(mmapLookup()),
    [WHOLE]: () => lookups(wholeLookup()),
  }),
  work("Key-value store: get", {
    "Deno.FsFile": async (folder) => gets(await fsFileStore(folder)),
    "MmapFile": async (folder) => gets(await mmapStore(folder)),
  }),
  work("Key-value store: put 100, flushed", {
    "Deno.FsFile": async (folder) => puts(await fsFileStore(folder)),
    "MmapFile": async (folder) => puts(await mmapStore(folder)),
  }),
  work("Count the lines of 1 GB", {
    "Deno.FsFile": () => once(() => countLines(fsFilePieces(makeText()))),
    "MmapFile": () => once(() => countLines(mmapPieces(makeText()))),
    "wc -l, in C": () => program("wc", "-l"),
  }),
  work("Search the lines of 1 GB", {
    "Deno.FsFile": () => once(() => countMatches(fsFilePieces(makeText()))),
    "MmapFile": () => once(() => countMatchesMapped(makeText())),
    "grep -F -c, in C": () => program("grep", "-F", "-c", NEEDLE),
  }),
  work("Parquet: one column of eight", overRanges(makeParquet, readColumn)),
  work("PMTiles: 1,000 of 65,536 tiles", overRanges(makeTiles, readTiles)),
  work("Zip: the directory of 50,000", overRanges(makeZip, readDirectory)),
  work("Top 10 of a million vectors", {
    "Deno.FsFile": () =>
      once(() => topTen(fsFilePieces(makeVectors()), VECTORS)),
    "MmapFile": () => once(() => topTen(mmapPieces(makeVectors()), VECTORS)),
    [WHOLE]: () =>
      once(() => topTen([Deno.readFileSync(makeVectors())], VECTORS)),
  }),
];

function work(name: string, ways: Comparison["ways"]): Comparison {
  return {
    group: "Real work",
    name,
    target: 0,
    long: true,
    count: 1,
    reason: "The program's own work takes nearly all of the time.",
    ways,
  };
}

/** Work that is done once a run, from opening to closing. */
function once(call: () => number | Promise<number>): Work {
  return {
    async run(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += await call();
      return sum / count;
    },
    close() {},
  };
}

/** A program of the system's, whose first word of output is a number. */
function program(name: string, ...args: string[]): Work {
  const command = new Deno.Command(name, { args: [...args, makeText()] });
  return once(() =>
    Number.parseInt(new TextDecoder().decode(command.outputSync().stdout))
  );
}

// --- Ranges of a file, and programs that read them

/** The same program over three kinds of file. */
function overRanges(
  makeFile: () => string,
  use: (file: Ranges) => Promise<number>,
): Comparison["ways"] {
  const way = (open: (path: string) => Ranges) => () => {
    const path = makeFile();
    return once(async () => {
      const file = open(path);
      const result = await use(file);
      file.close();
      return result;
    });
  };
  return {
    "Deno.FsFile": way((path) => {
      const file = Deno.openSync(path);
      return {
        size: file.statSync().size,
        copy: (offset, length) => readAt(file, offset, length),
        close: () => file.close(),
      };
    }),
    "MmapFile": way((path) => {
      const file = openSync(path);
      return {
        size: file.size,
        copy: (offset, length) => file.copy(offset, length),
        close: () => file.close(),
      };
    }),
    [WHOLE]: way((path) => {
      const bytes = Deno.readFileSync(path);
      return {
        size: bytes.length,
        copy: (offset, length) => bytes.slice(offset, offset + length),
        close() {},
      };
    }),
  };
}

function readAt(
  file: Deno.FsFile,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  return bytes.subarray(0, file.readSync(bytes) ?? 0);
}

const PARQUET_ROWS = 200_000;

async function readColumn({ size, copy }: Ranges): Promise<number> {
  const file: AsyncBuffer = {
    byteLength: size,
    // Not the promise of an await: hyparquet asks for several ranges at once.
    slice: (start, end = size) =>
      Promise.resolve(exact(copy(start, end - start))),
  };
  const rows = await parquetReadObjects({ file, columns: ["c3"] });
  return rows.reduce((sum, { c3 }) => sum + Number(c3), 0);
}

/** The bytes as a buffer of their own. */
function exact(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.length === bytes.buffer.byteLength
    ? bytes.buffer
    : bytes.slice().buffer;
}

function makeParquet(): string {
  return sourceFile("columns.parquet", (path) => {
    const contents = parquetWriteBuffer({
      columnData: Array.from({ length: 8 }, (_, column) => ({
        name: `c${column}`,
        data: Array.from(
          { length: PARQUET_ROWS },
          (_, i) => (i * 7919 + column) % 1e6 / 8,
        ),
        type: "DOUBLE" as const,
      })),
      codec: "UNCOMPRESSED",
      rowGroupSize: 20_000,
    });
    Deno.writeFileSync(path, new Uint8Array(contents));
  });
}

/** The zoom level with 65,536 tiles. */
const ZOOM = 8;

async function readTiles({ copy }: Ranges): Promise<number> {
  const source: Source = {
    getKey: () => "tiles",
    getBytes: (offset, length) =>
      Promise.resolve({ data: exact(copy(offset, length)) }),
  };
  const tiles = new PMTiles(source);
  let sum = 0;
  for (let i = 0; i < 1000; i++) {
    const at = i * 48271 % 4 ** ZOOM;
    const tile = await tiles.getZxy(ZOOM, at % 256, at >> ZOOM);
    sum += tile!.data.byteLength;
  }
  return sum;
}

/** All tiles of a level, uncompressed; https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md */
function makeTiles(): string {
  const count = 4 ** ZOOM;
  const lengthOf = (i: number) => 500 + i * 7919 % 1500;
  // The ids of a level follow those of the levels above.
  const firstId = (count - 1) / 3;
  const perLeaf = 4096;
  return sourceFile("world.pmtiles", (path) => {
    const leaves: number[][] = [];
    let offset = 0;
    for (let first = 0; first < count; first += perLeaf) {
      const indexes = Array.from({ length: perLeaf }, (_, i) => first + i);
      leaves.push(
        directory(
          indexes.map((i) => ({
            id: firstId + i,
            run: 1,
            length: lengthOf(i),
          })),
          offset,
        ),
      );
      for (const i of indexes) offset += lengthOf(i);
    }
    const root = directory(
      leaves.map((leaf, i) => ({
        id: firstId + i * perLeaf,
        run: 0,
        length: leaf.length,
      })),
      0,
    );
    const metadata = [...new TextEncoder().encode("{}")];
    const sections = [root, metadata, leaves.flat()];
    const header = new DataView(new ArrayBuffer(127));
    new Uint8Array(header.buffer).set(new TextEncoder().encode("PMTiles"));
    header.setUint8(7, 3);
    let at = 127;
    const place = (field: number, length: number) => {
      header.setBigUint64(field, BigInt(at), true);
      header.setBigUint64(field + 8, BigInt(length), true);
      at += length;
    };
    sections.forEach((section, i) => place(8 + 16 * i, section.length));
    place(56, offset);
    for (const field of [72, 80, 88]) {
      header.setBigUint64(field, BigInt(count), true);
    }
    // Clustered, nothing compressed, vector tiles of one level.
    [1, 1, 1, 1, ZOOM, ZOOM].forEach((byte, i) =>
      header.setUint8(96 + i, byte)
    );
    Deno.writeFileSync(
      path,
      Buffer.concat([
        new Uint8Array(header.buffer),
        ...sections.map((section) => Uint8Array.from(section)),
        new Uint8Array(offset).fill(7),
      ]),
    );
  });
}

/** A directory whose entries' contents follow each other. */
function directory(
  entries: { id: number; run: number; length: number }[],
  offset: number,
): number[] {
  let last = 0;
  return [
    entries.length,
    ...entries.map(({ id }) => {
      const delta = id - last;
      last = id;
      return delta;
    }),
    ...entries.map(({ run }) => run),
    ...entries.map(({ length }) => length),
    ...entries.map((_, i) => i === 0 ? offset + 1 : 0),
  ].flatMap(varint);
}

function varint(value: number): number[] {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) {
    bytes.push(value % 128 | 128);
  }
  return [...bytes, value];
}

const ZIP_ENTRIES = 50_000;

class RangeSource extends ZipSource<Ranges> {
  readonly #file: Ranges;

  constructor(file: Ranges) {
    super(file);
    this.#file = file;
    this.size = file.size;
  }

  override readUint8Array(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.#file.copy(offset, length));
  }
}

async function readDirectory(file: Ranges): Promise<number> {
  const reader = new ZipReader(new RangeSource(file));
  const entries = await reader.getEntries();
  await reader.close();
  return entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
}

/** An archive of stored entries; APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16. */
function makeZip(): string {
  return sourceFile("archive.zip", (path) => {
    const content = new Uint8Array(1000).fill(7);
    const checksum = crc32(content);
    const entry = (signature: number, extra: number, name: Uint8Array) => {
      const view = new DataView(new ArrayBuffer(30 + extra));
      view.setUint32(0, signature, true);
      // From the version that is needed on, both kinds of header have the same fields.
      const start = extra === 0 ? 4 : 6;
      view.setUint16(start, 20, true);
      view.setUint32(start + 10, checksum, true);
      view.setUint32(start + 14, content.length, true);
      view.setUint32(start + 18, content.length, true);
      view.setUint16(start + 22, name.length, true);
      return view;
    };
    const files: Uint8Array[] = [];
    const directory: Uint8Array[] = [];
    let offset = 0;
    for (let i = 0; i < ZIP_ENTRIES; i++) {
      const name = new TextEncoder().encode(`folder ${i % 100}/file ${i}.bin`);
      const central = entry(0x02014b50, 16, name);
      central.setUint32(42, offset, true);
      directory.push(new Uint8Array(central.buffer), name);
      const local = entry(0x04034b50, 0, name);
      files.push(new Uint8Array(local.buffer), name, content);
      offset += 30 + name.length + content.length;
    }
    const index = Buffer.concat(directory);
    const end = new DataView(new ArrayBuffer(22));
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, ZIP_ENTRIES, true);
    end.setUint16(10, ZIP_ENTRIES, true);
    end.setUint32(12, index.length, true);
    end.setUint32(16, offset, true);
    Deno.writeFileSync(
      path,
      Buffer.concat([...files, index, new Uint8Array(end.buffer)]),
    );
  });
}

// --- Addresses in a MaxMind database

/** What a database says of an address, as a number. */
interface Lookup extends Disposable {
  find(address: number): number;
}

/** Addresses that end in the tree's leaves. */
const DEPTH = 22;
const NODES = 2 ** DEPTH - 1;
const RECORDS = 250_000;
const RECORD_SIZE = 96;

function mmapLookup(): Lookup {
  const file = openSync(makeDatabase(), { advice: "random" });
  const { buffer, byteOffset, byteLength } = file.bytes();
  return mmdbLookup(Buffer.from(buffer, byteOffset, byteLength), file);
}

function wholeLookup(): Lookup {
  const { buffer } = Deno.readFileSync(makeDatabase());
  return mmdbLookup(Buffer.from(buffer));
}

function mmdbLookup(database: Buffer, file?: Disposable): Lookup {
  const reader = new MaxMindReader<AsnResponse>(database);
  return {
    find: (address) => reader.get(dotted(address))!.autonomous_system_number,
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}

/** mmdb-lib wants the database in memory: over a file the walk is done here, and its decoder does the rest. */
function fsFileLookup(): Lookup {
  const file = Deno.openSync(makeDatabase());
  const node = new Uint8Array(8);
  const view = new DataView(node.buffer);
  const record = Buffer.alloc(RECORD_SIZE);
  const decoder = new decoderModule.default(record);
  return {
    find(address) {
      let at = 0;
      for (let bit = 31; at < NODES; bit--) {
        file.seekSync(8 * at, Deno.SeekMode.Start);
        file.readSync(node);
        at = view.getUint32(4 * (address >>> bit & 1));
      }
      file.seekSync(8 * NODES + at - NODES, Deno.SeekMode.Start);
      file.readSync(record);
      return decoder.decode(0).value.autonomous_system_number;
    },
    [Symbol.dispose]: () => file.close(),
  };
}

const ADDRESSES = randomOffsets(2 ** 32);

function useLookup(open: () => Lookup, count: number): number {
  using lookup = open();
  let sum = 0;
  for (let i = 0; i < count; i++) sum += lookup.find(ADDRESSES[i]!);
  return sum;
}

function lookups(lookup: Lookup): Work {
  let next = 0;
  return {
    run(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += lookup.find(ADDRESSES[next++ % ADDRESSES.length]!);
      }
      return sum;
    },
    close: () => lookup[Symbol.dispose](),
  };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => address >>> shift & 255).join(".");
}

/** A complete tree of IPv4 networks, with records of 32 bits; https://maxmind.github.io/MaxMind-DB/ */
function makeDatabase(): string {
  return sourceFile("asn.mmdb", (path) => {
    const tree = new DataView(new ArrayBuffer(8 * NODES));
    for (let node = 0; node < NODES; node++) {
      for (const side of [0, 1]) {
        const child = 2 * node + 1 + side;
        const place = RECORD_SIZE * ((child - NODES) * 7919 % RECORDS);
        tree.setUint32(
          8 * node + 4 * side,
          child < NODES ? child : NODES + 16 + place,
        );
      }
    }
    const data = new Uint8Array(RECORD_SIZE * RECORDS);
    for (let id = 0; id < RECORDS; id++) {
      data.set(
        maxMindMap({
          autonomous_system_number: id,
          autonomous_system_organization: `Network ${id}`,
        }),
        RECORD_SIZE * id,
      );
    }
    const metadata = maxMindMap({
      binary_format_major_version: 2,
      binary_format_minor_version: 0,
      build_epoch: 1_700_000_000,
      database_type: "Test-ASN",
      ip_version: 4,
      node_count: NODES,
      record_size: 32,
    });
    const mark = new TextEncoder().encode("MaxMind.com");
    Deno.writeFileSync(
      path,
      Buffer.concat([
        new Uint8Array(tree.buffer),
        new Uint8Array(16),
        data,
        Uint8Array.of(0xab, 0xcd, 0xef),
        mark,
        Uint8Array.from(metadata),
      ]),
    );
  });
}

/** A map of short strings and numbers of 32 bits. */
function maxMindMap(entries: Record<string, string | number>): number[] {
  // Lengths from 29 on have a byte of their own.
  const text = (value: string) => [
    ...(value.length < 29
      ? [2 << 5 | value.length]
      : [2 << 5 | 29, value.length - 29]),
    ...new TextEncoder().encode(value),
  ];
  const pairs = Object.entries(entries);
  return [
    7 << 5 | pairs.length,
    ...pairs.flatMap(([key, value]) => [
      ...text(key),
      ...(typeof value === "string" ? text(value) : [
        6 << 5 | 4,
        ...[24, 16, 8, 0].map((shift) => value >>> shift & 255),
      ]),
    ]),
  ];
}

// --- Keys and values: examples/kv_store.ts, and the same file through Deno.FsFile

const KEYS = 20_000;

interface KeyValue extends Disposable {
  get(key: string): string | undefined;
  set(entries: [key: string, value: string][]): Promise<void>;
}

async function mmapStore(folder: string): Promise<KeyValue> {
  return await filled(await Store.open(`${folder}/mmap.kv`, true));
}

async function fsFileStore(folder: string): Promise<KeyValue> {
  const path = `${folder}/fsfile.kv`;
  (await Store.open(path, true))[Symbol.dispose]();
  return await filled(new FsFileStore(path));
}

async function filled(store: KeyValue): Promise<KeyValue> {
  await store.set(
    Array.from(
      { length: KEYS },
      (_, i) => [`key ${i}`, `value ${i}`.repeat(9)],
    ),
  );
  return store;
}

function gets(store: KeyValue): Work {
  let next = 0;
  return {
    run(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        sum += store.get(`key ${next++ * 7919 % KEYS}`)!.length;
      }
      return sum;
    },
    close: () => store[Symbol.dispose](),
  };
}

function puts(store: KeyValue): Work {
  let next = 0;
  return {
    async run(count) {
      for (let i = 0; i < count; i++) {
        await store.set(
          Array.from({ length: 100 }, () => [`key ${next++ % KEYS}`, "new"]),
        );
      }
      return count;
    },
    close: () => store[Symbol.dispose](),
  };
}

/** The format of examples/kv_store.ts, each link and each record read and written at its place. */
class FsFileStore implements KeyValue {
  static readonly #LINKS = 1 << 17;
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  readonly #link = new BigUint64Array(1);
  readonly #head = new Uint32Array(4);
  #end: number;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { read: true, write: true });
    this.#end = this.#file.statSync().size;
  }

  get(key: string): string | undefined {
    return this.#find(this.#encoder.encode(key), new Map()).value;
  }

  async set(entries: [key: string, value: string][]): Promise<void> {
    const changes = new Map<number, number>();
    for (const [key, value] of entries) {
      const parts = [key, value].map((part) => this.#encoder.encode(part));
      const { link, to } = this.#find(parts[0]!, changes);
      const head = new Uint8Array(16);
      const next = to === 0 ? 0 : this.#follow(to, changes);
      new BigUint64Array(head.buffer)[0] = BigInt(next);
      new Uint32Array(head.buffer, 8).set(parts.map(({ length }) => length));
      const record = Buffer.concat([head, ...parts]);
      const place = 8 * Math.ceil(this.#end / 8);
      this.#write(record, place);
      this.#end = place + record.length;
      changes.set(link, place);
    }
    await this.#file.syncData();
    for (const [link, to] of changes) {
      this.#link[0] = BigInt(to);
      this.#write(new Uint8Array(this.#link.buffer), link);
    }
    await this.#file.syncData();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #find(key: Uint8Array, changes: Map<number, number>) {
    const hash = key.reduce((h, byte) => Math.imul(h ^ byte, 0x01000193), 1);
    let link = 8 + 8 * ((hash >>> 0) % FsFileStore.#LINKS);
    for (;;) {
      const to = this.#follow(link, changes);
      if (to === 0) return { link, to };
      this.#read(new Uint8Array(this.#head.buffer), to);
      const [, , keyLength, valueLength] = this.#head;
      const record = new Uint8Array(keyLength! + valueLength!);
      this.#read(record, to + 16);
      if (Buffer.compare(record.subarray(0, keyLength), key) === 0) {
        const value = this.#decoder.decode(record.subarray(keyLength));
        return { link, to, value };
      }
      link = to;
    }
  }

  #follow(link: number, changes: Map<number, number>): number {
    const changed = changes.get(link);
    if (changed !== undefined) return changed;
    this.#read(new Uint8Array(this.#link.buffer), link);
    return Number(this.#link[0]);
  }

  #read(p: Uint8Array, offset: number): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#file.readSync(p);
  }

  #write(p: Uint8Array, offset: number): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    this.#file.writeSync(p);
  }
}

// --- Files gone through from end to end

const READ_SIZE = MB;

function makeText(): string {
  return sourceFile("text.txt", (path) => writeText(path, GB, NEEDLE));
}

/** All of a file, in pieces of one buffer. */
function* fsFilePieces(path: string): Generator<Uint8Array<ArrayBuffer>> {
  using file = Deno.openSync(path);
  const buffer = new Uint8Array(READ_SIZE);
  for (let read; (read = file.readSync(buffer)) !== null;) {
    yield buffer.subarray(0, read);
  }
}

/** All of a file, in views of its pages. */
function* mmapPieces(path: string): Generator<Uint8Array<ArrayBuffer>> {
  using file = openSync(path, { advice: "sequential" });
  yield* file.chunks(READ_SIZE);
}

const LF = 10;

function countLines(pieces: Iterable<Uint8Array>): number {
  let lines = 0;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) if (piece[i] === LF) lines++;
  }
  return lines;
}

/**
 * Lines that hold the needle, where a piece may end within a line. As text in Latin-1: five times as
 * fast as `Buffer.indexOf` (measured).
 */
function countMatches(pieces: Iterable<Uint8Array<ArrayBuffer>>): number {
  let found = 0;
  let rest = "";
  for (const { buffer, byteOffset, byteLength } of pieces) {
    const text = rest +
      Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
    const end = text.lastIndexOf("\n") + 1;
    found += matchesIn(text.slice(0, end));
    rest = text.slice(end);
  }
  return found + matchesIn(rest);
}

function matchesIn(text: string): number {
  let found = 0;
  for (let at = 0; (at = text.indexOf(NEEDLE, at)) !== -1; found++) {
    const end = text.indexOf("\n", at);
    if (end === -1) return found + 1;
    at = end + 1;
  }
  return found;
}

function countMatchesMapped(path: string): number {
  using file = openSync(path, { advice: "sequential" });
  let found = 0;
  for (let at = 0; (at = file.indexOf(NEEDLE, at)) !== -1; found++) {
    const end = file.indexOf(LF, at);
    if (end === -1) return found + 1;
    at = end + 1;
  }
  return found;
}

const VECTORS = 1_000_000;
const DIMENSIONS = 64;

function makeVectors(): string {
  return sourceFile("vectors.f32", (path) => {
    const piece = new Float32Array(DIMENSIONS * 10_000);
    using file = Deno.openSync(path, { write: true, createNew: true });
    let state = 1;
    for (let done = 0; done < VECTORS; done += 10_000) {
      for (let i = 0; i < piece.length; i++) {
        state = Math.imul(state, 1664525) + 1013904223 | 0;
        piece[i] = state / 2 ** 31;
      }
      file.writeSync(new Uint8Array(piece.buffer));
    }
  });
}

/** The sum of the indexes of the ten vectors that are most like the first piece's first. */
function topTen(
  pieces: Iterable<Uint8Array<ArrayBuffer>>,
  count: number,
): number {
  const best: { index: number; score: number }[] = [];
  const query = Float32Array.from({ length: DIMENSIONS }, (_, i) => i % 7 - 3);
  let index = 0;
  for (const { buffer, byteOffset, byteLength } of pieces) {
    const vectors = new Float32Array(buffer, byteOffset, byteLength / 4);
    for (let at = 0; at < vectors.length; at += DIMENSIONS, index++) {
      let score = 0;
      for (let i = 0; i < DIMENSIONS; i++) {
        score += vectors[at + i]! * query[i]!;
      }
      if (best.length === 10 && score <= best[9]!.score) continue;
      best.push({ index, score });
      best.sort((a, b) => b.score - a.score);
      best.length = Math.min(best.length, 10);
    }
  }
  if (index !== count) throw new Error(`${index} vectors of ${count}`);
  return best.reduce((sum, { index }) => sum + index, 0);
}
