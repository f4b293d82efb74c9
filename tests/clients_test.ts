/**
 * Third-party libraries read files as memory. Each result is compared with that of the same
 * library on the file read in the ordinary way.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type MmapFile,
  open,
  openSync,
  toReadableStream,
} from "@mmapfile/mmapfile";
import { tableFromArrays, tableFromIPC, tableToIPC } from "apache-arrow";
import {
  type AsyncBuffer,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { Buffer } from "node:buffer";
import { type CityResponse, Reader as MaxMindReader } from "mmdb-lib";
import { FileSource, PMTiles, type Source } from "pmtiles";
import {
  BlobReader,
  configure,
  Reader as ZipSource,
  Uint8ArrayReader,
  Uint8ArrayWriter,
  ZipReader,
  ZipWriter,
} from "@zip.js/zip.js";
import { pattern } from "./bytes.ts";
import { assertNothingIsOpen } from "./open_handles.ts";
import { TempDir } from "./temp_dir.ts";

function test(name: string, fn: (dir: TempDir) => Promise<void>): void {
  Deno.test(name, async () => {
    using dir = new TempDir();
    await fn(dir);
    await assertNothingIsOpen(dir);
  });
}

// --- Apache Arrow: columns are views of the memory that it gets

const ROWS = 10_000;

function arrowFile(dir: TempDir): string {
  const table = tableFromArrays({
    id: Int32Array.from({ length: ROWS }, (_, i) => i),
    value: Array.from(
      { length: ROWS },
      (_, i) => i % 7 === 0 ? null : i / 3,
    ),
    name: Array.from({ length: ROWS }, (_, i) => `näme ${i % 100}`),
  });
  return dir.file(tableToIPC(table, "file"), "table.arrow");
}

test("apache-arrow reads an IPC file in place", async (dir) => {
  const path = arrowFile(dir);
  using file = await open(path);
  const table = tableFromIPC(file.bytes());
  const expected = tableFromIPC(await Deno.readFile(path));
  assertEquals(table.numRows, ROWS);
  assertEquals(table.schema.toString(), expected.schema.toString());
  for (const i of [0, 1, 6, 7, ROWS - 1]) {
    assertEquals(table.get(i)?.toJSON(), expected.get(i)?.toJSON());
  }
  const ids = table.getChild("id")!.toArray();
  assertEquals(ids, expected.getChild("id")!.toArray());
  // No copy was made of the column.
  assert(ids.buffer === file.bytes().buffer);
});

test("apache-arrow reads an IPC file from a stream", async (dir) => {
  const path = arrowFile(dir);
  using file = await open(path);
  const expected = tableFromIPC(await Deno.readFile(path)).toString();
  const table = await tableFromIPC(toReadableStream(file));
  assertEquals(table.toString(), expected);
});

// --- Parquet: hyparquet asks for slices

function asyncBuffer(file: MmapFile): AsyncBuffer {
  return {
    byteLength: file.size,
    slice: (start, end = file.size) =>
      Promise.resolve(file.copy(start, end - start).buffer),
  };
}

function asyncBufferOf(blob: Blob): AsyncBuffer {
  return {
    byteLength: blob.size,
    slice: (start, end) => blob.slice(start, end).arrayBuffer(),
  };
}

test("hyparquet reads a Parquet file slice by slice", async (dir) => {
  const contents = parquetWriteBuffer({
    columnData: [
      {
        name: "id",
        data: Array.from({ length: ROWS }, (_, i) => i),
        type: "INT32",
      },
      {
        name: "name",
        data: Array.from({ length: ROWS }, (_, i) => `näme ${i % 100}`),
        type: "STRING",
      },
      {
        name: "score",
        data: Array.from({ length: ROWS }, (_, i) => i / 8),
        type: "DOUBLE",
      },
    ],
    rowGroupSize: 1000,
  });
  const path = dir.file(new Uint8Array(contents), "table.parquet");
  using file = await open(path, { advice: "random" });
  const expected = (await Deno.readFile(path)).buffer;

  const metadata = await parquetMetadataAsync(asyncBuffer(file));
  assertEquals(Number(metadata.num_rows), ROWS);
  const part = { columns: ["id", "name"], rowStart: 2500, rowEnd: 2510 };
  const rows = await parquetReadObjects({ file: asyncBuffer(file), ...part });
  assertEquals(rows, await parquetReadObjects({ file: expected, ...part }));
  assertEquals(rows[0], { id: 2500, name: "näme 0" });
  const all = await parquetReadObjects({ file: expected });
  for (const source of [asyncBuffer(file), asyncBufferOf(file.blob())]) {
    assertEquals(await parquetReadObjects({ file: source }), all);
  }
});

// --- MaxMind DB: a search tree and the data after it

/** A value in the data section of a MaxMind DB; https://maxmind.github.io/MaxMind-DB/ */
function maxMindValue(value: unknown): number[] {
  if (typeof value === "string") {
    const bytes = [...new TextEncoder().encode(value)];
    return [...control(2, bytes.length), ...bytes];
  }
  if (typeof value === "number") {
    const bytes = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) {
      bytes.unshift(rest % 256);
    }
    return [...control(6, bytes.length), ...bytes];
  }
  if (Array.isArray(value)) {
    return [...control(11, value.length), ...value.flatMap(maxMindValue)];
  }
  const entries = Object.entries(value as Record<string, unknown>);
  return [
    ...control(7, entries.length),
    ...entries.flatMap(([key, value]) => [
      ...maxMindValue(key),
      ...maxMindValue(value),
    ]),
  ];
}

/** Type and length: types above 7, and lengths from 29 on, have another byte. */
function control(type: number, length: number): number[] {
  const [size, ...rest] = length < 29 ? [length] : [29, length - 29];
  return type > 7 ? [size, type - 7, ...rest] : [(type << 5) | size, ...rest];
}

/** A database of two networks of IPv4: 0.0.0.0/1 and 128.0.0.0/1, with records of 24 bits. */
function maxMindDatabase(): Uint8Array<ArrayBuffer> {
  const record = (city: string, iso_code: string) =>
    maxMindValue({ city: { names: { en: city } }, country: { iso_code } });
  const low = record("Zürich", "CH");
  const high = record("Tōkyō", "JP");
  const nodes = 1;
  // A record is a node, or, above their count, a place in the data section, which 16 zeros precede.
  const data = (offset: number) => [0, 0, nodes + 16 + offset];
  return new Uint8Array([
    ...data(0),
    ...data(low.length),
    ...new Array(16).fill(0),
    ...low,
    ...high,
    0xab,
    0xcd,
    0xef,
    ...new TextEncoder().encode("MaxMind.com"),
    ...maxMindValue({
      binary_format_major_version: 2,
      binary_format_minor_version: 0,
      build_epoch: 1_700_000_000,
      database_type: "Test-City",
      description: { en: "Two halves of the world" },
      ip_version: 4,
      languages: ["en"],
      node_count: nodes,
      record_size: 24,
    }),
  ]);
}

test("mmdb-lib looks addresses up in a MaxMind database in place", async (dir) => {
  const path = dir.file(maxMindDatabase(), "city.mmdb");
  using file = await open(path, { advice: "random" });
  const { buffer, byteOffset, byteLength } = file.bytes();
  const mapped = new MaxMindReader<CityResponse>(
    Buffer.from(buffer, byteOffset, byteLength),
  );
  const expected = new MaxMindReader<CityResponse>(
    Buffer.from(await Deno.readFile(path)),
  );
  for (const address of ["1.2.3.4", "127.0.0.1", "128.0.0.0", "255.1.1.1"]) {
    assertEquals(mapped.get(address), expected.get(address));
  }
  assertEquals(mapped.get("1.2.3.4")?.city?.names.en, "Zürich");
  assertEquals(mapped.get("200.0.0.1")?.country?.iso_code, "JP");
  assertEquals(mapped.metadata.databaseType, "Test-City");
});

// --- zip.js: a reader of ranges

class MmapZipSource extends ZipSource<MmapFile> {
  readonly #file: MmapFile;

  constructor(file: MmapFile) {
    super(file);
    this.#file = file;
    this.size = file.size;
  }

  override readUint8Array(offset: number, length: number): Promise<Uint8Array> {
    // zip.js may transfer the array to a worker, so it gets a copy.
    return Promise.resolve(this.#file.copy(offset, length));
  }
}

test("zip.js reads an archive through a reader of ranges, and from a blob", async (dir) => {
  configure({ useWebWorkers: false });
  const zip = new ZipWriter(new Uint8ArrayWriter());
  const entries: Record<string, Uint8Array> = {
    "empty.txt": new Uint8Array(),
    "text.txt": new TextEncoder().encode("ünïcödé\n".repeat(10_000)),
    "folder/random.bin": pattern(300_000),
  };
  for (const [name, content] of Object.entries(entries)) {
    await zip.add(name, new Uint8ArrayReader(content));
  }
  const path = dir.file(await zip.close(), "archive.zip");

  using file = await open(path);
  const sources = [
    new MmapZipSource(file),
    new BlobReader(file.blob()),
    new Uint8ArrayReader(Deno.readFileSync(path)),
  ];
  const found = [];
  for (const source of sources) {
    const reader = new ZipReader(source);
    const contents: Record<string, Uint8Array> = {};
    for (const entry of await reader.getEntries()) {
      if (entry.directory) continue;
      contents[entry.filename] = await entry.getData(new Uint8ArrayWriter());
    }
    await reader.close();
    found.push(contents);
  }
  assertEquals(found[0], found[2]);
  assertEquals(found[1], found[2]);
  assertEquals(Object.keys(found[0]!), Object.keys(entries));
  assertEquals(found[0]!["folder/random.bin"], entries["folder/random.bin"]);
});

test("zip.js writes an archive to a file's writable, and reads it from a readable", async (dir) => {
  configure({ useWebWorkers: false });
  const path = dir.file("", "archive.zip");
  const target = openSync(path, { write: true, grow: true });
  const zip = new ZipWriter(target.writable);
  await zip.add("one.bin", new Uint8ArrayReader(pattern(300_000)));
  await zip.close();
  assertEquals(target.closed, true);

  for (const source of [Deno.openSync(path), openSync(path)]) {
    const reader = new ZipReader(source.readable);
    const [entry] = await reader.getEntries();
    assert(!entry!.directory);
    const content = await entry!.getData(new Uint8ArrayWriter());
    assertEquals(content, pattern(300_000));
    await reader.close();
  }
});

// --- PMTiles: a header, a directory and tiles

/** An archive with one tile, uncompressed; https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md */
function pmtilesArchive(tile: Uint8Array): Uint8Array<ArrayBuffer> {
  const metadata = new TextEncoder().encode('{"name":"one tile"}');
  // One entry: its id 0, a run of 1, its length as a varint, and offset 0, kept as 1.
  const directory = [1, 0, 1, 0x80 | (tile.length & 0x7f), tile.length >> 7, 1];
  const archive = new Uint8Array(
    127 + directory.length + metadata.length + tile.length,
  );
  const header = new DataView(archive.buffer);
  archive.set(new TextEncoder().encode("PMTiles"));
  archive[7] = 3;
  let at = 127;
  const place = (field: number, bytes: ArrayLike<number>) => {
    header.setBigUint64(field, BigInt(at), true);
    header.setBigUint64(field + 8, BigInt(bytes.length), true);
    archive.set(bytes, at);
    at += bytes.length;
  };
  place(8, directory);
  place(24, metadata);
  place(40, []); // leaf directories
  place(56, tile);
  for (const field of [72, 80, 88]) header.setBigUint64(field, 1n, true);
  archive.set([1, 1, 1, 1], 96); // clustered; nothing is compressed; vector tiles
  return archive;
}

class MmapTiles implements Source {
  readonly #file: MmapFile;

  constructor(file: MmapFile) {
    this.#file = file;
  }

  getKey(): string {
    return this.#file.name;
  }

  getBytes(offset: number, length: number) {
    const end = Math.min(offset + length, this.#file.size);
    const { buffer } = this.#file.copy(offset, end - offset);
    return Promise.resolve({ data: buffer });
  }
}

test("pmtiles reads tiles range by range, and from a blob", async (dir) => {
  const tile = pattern(5000);
  const path = dir.file(pmtilesArchive(tile), "world.pmtiles");
  using file = await open(path);
  const mapped = new PMTiles(new MmapTiles(file));
  const contents = await Deno.readFile(path);
  const expected = new PMTiles({
    getKey: () => "ordinary",
    getBytes: (offset: number, length: number) =>
      Promise.resolve({ data: contents.slice(offset, offset + length).buffer }),
  });
  const blob = new PMTiles(
    new FileSource(new File([file.blob()], "world.pmtiles")),
  );
  for (const tiles of [mapped, blob, expected]) {
    assertEquals(await tiles.getMetadata(), { name: "one tile" });
    const found = await tiles.getZxy(0, 0, 0);
    assertEquals(new Uint8Array(found!.data), tile);
    assertEquals(await tiles.getZxy(1, 0, 0), undefined);
  }
  assertEquals((await mapped.getHeader()).numTileEntries, 1);
  assertStringIncludes(mapped.source.getKey(), "world.pmtiles");
});
