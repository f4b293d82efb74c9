/**
 * Releases the memory of a file during native work on a view of it.
 * `native_work.ts OPERATION DIRECTORY [ONE_IN]` prints each case before it starts, what is wrong, and "done".
 */

import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import { type MmapFile, openSync } from "../../mod.ts";
import { type Kind, kinds } from "./view_kinds.ts";
import { collect } from "../gc.ts";
import {
  contentsOf,
  operations,
  SENT,
  SIZE,
  type World,
} from "./native_operations.ts";

const [name, directory, oneIn = "1"] = Deno.args as [string, string, string?];
const operation = operations[name];
const contents = operation!.contents?.() ?? contentsOf(SIZE);
const others = [0, 1, 2].map((i) => `${directory}/other${i}`);
const otherContents = contentsOf(SIZE, 128);
const longer = contentsOf(8 * SIZE);

/** Something that releases memory. */
interface Way {
  act(file: MmapFile): unknown;
  /** Whether bytes of the file may be gone, so that zeros, and fewer bytes, are right too. */
  readonly truncates?: boolean;
  /** Whether the file can still be used after it. */
  readonly isOpenAfter?: boolean;
  readonly kinds: string[];
}

const ALL = Object.keys(kinds);
const WRITABLE = ["readWrite", "growing", "shared", "append"];
/** Where a truncation by another process does not kill a reader of views. */
const GUARDED = ALL.filter((kind) => kind !== "unguarded");

const ways: Record<string, Way> = {
  close: { act: (file) => file.close(), kinds: ALL },
  closeAndOpenOthers: {
    act(file) {
      file.close();
      for (let times = 0; times < 4; times++) openOthers();
    },
    kinds: ALL,
  },
  refreshLonger: {
    act(file) {
      Deno.writeFileSync(file.name, longer.subarray(SIZE, 2 * SIZE), {
        append: true,
      });
      file.refresh();
      file.bytes();
      openOthers();
    },
    isOpenAfter: true,
    kinds: ALL,
  },
  refreshShorter: {
    act(file) {
      Deno.truncateSync(file.name, SIZE >> 1);
      file.refresh();
      file.bytes();
      openOthers();
    },
    truncates: true,
    isOpenAfter: true,
    kinds: GUARDED,
  },
  growth: {
    act(file) {
      file.seekSync(0, Deno.SeekMode.End);
      for (let at = SIZE; at < longer.length; at += SIZE) {
        file.writeSync(longer.subarray(at, at + SIZE));
        file.bytes();
        openOthers();
      }
    },
    isOpenAfter: true,
    kinds: ["growing", "append"],
  },
  truncateToNothing: {
    act(file) {
      file.truncateSync(0);
      openOthers();
    },
    truncates: true,
    isOpenAfter: true,
    kinds: WRITABLE,
  },
  truncateLonger: {
    act(file) {
      file.truncateSync(3 * SIZE);
      file.bytes();
      openOthers();
    },
    isOpenAfter: true,
    kinds: WRITABLE,
  },
};

/** Opens other files, which reuse released addresses and descriptors if they can. */
function openOthers(): void {
  for (const path of others) {
    const file = openSync(path, { read: true, write: true });
    file.bytes()[0] = otherContents[0]!;
    opened.push(file);
  }
}

const opened: MmapFile[] = [];
let count = 0;

function problem(text: string): void {
  console.log(`wrong: ${text}`);
}

/** A file, and the other end of the work on it. */
class Case {
  readonly path: string;
  readonly world: World;
  readonly begun: Promise<void>;
  release: () => void;

  constructor() {
    const own = `${directory}/case${count++}`;
    Deno.mkdirSync(own);
    const fifo = `${own}/fifo`;
    new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
    this.path = `${own}/file`;
    Deno.writeFileSync(this.path, contents);
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.begun = begun.promise;
    this.release = released.resolve;
    this.world = {
      directory: own,
      fifo,
      begin: begun.resolve,
      released: released.promise,
    };
  }

  /** The result of the work: what it took, or null for an error. */
  async end(
    work: Promise<Uint8Array | number>,
  ): Promise<Uint8Array | number | null> {
    const end = operation!.feed?.(this.world);
    this.release();
    const result = await inTime(work);
    const output = await end?.();
    return typeof result === "number" && !operation!.fills ? output! : result;
  }
}

/** The result, or null for an error. It is a problem if it takes too long. */
async function inTime<T>(work: Promise<T>): Promise<T | null> {
  let timer;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => {
      problem("it does not end");
      resolve(null);
    }, 20_000);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** Bytes taken from a view must be the file's, or those of an empty view. */
function checkTaken(taken: Uint8Array, kind: Kind, truncates: boolean): void {
  const { of = (bytes: Uint8Array) => bytes } = operation!;
  const source = contents.subarray(kind.start, kind.start + kind.length);
  const right = of(source);
  if (taken.length === 0 || equal(taken, right)) return;
  if (operation!.of !== undefined) {
    // A hash of zeros and the file's bytes shows only that it is not another file's.
    if (truncates && !equal(taken, of(otherContents))) return;
    if (equal(taken, of(new Uint8Array(0)))) return;
    return problem("not what it makes of the file's bytes");
  }
  const mayBeLess = truncates || operation!.isPiecewise;
  if (!mayBeLess && taken.length !== right.length) {
    problem(`${taken.length} bytes of ${right.length}`);
  }
  const at = taken.findIndex((byte, i) =>
    byte !== right[i] && !(truncates && byte === 0)
  );
  if (at !== -1) problem(`at ${at} ${taken[at]} in place of ${right[at]}`);
}

/** Bytes read into a view must be in the file, as far as its writes reach it, and nowhere else. */
function checkFile(
  path: string,
  kind: Kind,
  read: number,
  isExact: boolean,
): void {
  const found = Deno.readFileSync(path);
  if (read === 0 && equal(found, contents)) return;
  const end = kind.start + (operation!.fills ? kind.length : 0);
  for (let i = 0; i < found.length; i++) {
    const byte = found[i];
    const right = i < SIZE ? contents[i] : longer[i];
    const isSent = byte === SENT[0] && i >= kind.start && i < end;
    const isRight = isSent
      ? kind.isWritten
      : byte === right || !isExact && byte === 0 || i >= SIZE && byte === 0;
    if (!isRight) return problem(`the file has ${byte} at ${i}`);
  }
  if (!isExact || !kind.isWritten) return;
  const written = found.subarray(kind.start, kind.start + read);
  if (!written.every((byte) => byte === SENT[0])) {
    problem(`not in the file: the ${read} bytes that were read`);
  }
}

function checkOthers(): void {
  for (const path of others) {
    if (!equal(Deno.readFileSync(path), otherContents)) {
      problem(`${path} has changed`);
      Deno.writeFileSync(path, otherContents);
    }
  }
  for (const file of opened.splice(0)) file.close();
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** Releases memory of a file in one way during the work. */
async function during(kindName: string, way: Way): Promise<void> {
  const kind = kinds[kindName];
  const it = new Case();
  using file = openOwn(it.path, kind!);
  let isOver = false;
  const view = kind!.viewOf(file);
  const work = operation!.start(view, it.world, file)
    .finally(() => isOver = true);
  work.catch(it.world.begin);
  await it.begun;
  const refused = operation!.waits && isOver;
  if (refused && kindName !== "shared" && kindName !== "part") {
    problem("it was over before");
  }
  await way.act(file);
  check(it, kind!, await it.end(work), way.truncates === true);
  if (way.isOpenAfter && file.closed) problem("closed");
}

function check(
  it: Case,
  kind: Kind,
  result: Uint8Array | number | null,
  truncates: boolean,
): void {
  if (result instanceof Uint8Array) checkTaken(result, kind, truncates);
  checkFile(
    it.path,
    kind,
    typeof result === "number" ? result : 0,
    !truncates,
  );
  checkOthers();
}

/** As `using`, for a file that may be closed already. */
function openOwn(path: string, { options }: Kind): MmapFile & Disposable {
  const file = openSync(path, options);
  return file;
}

/** Only the work on its view references the file. */
async function dropped(kindName: string): Promise<void> {
  const kind = kinds[kindName];
  const it = new Case();
  const work = start(it, kind!);
  work.catch(it.world.begin);
  await it.begun;
  for (let times = 0; times < 3; times++) {
    await collect(2);
    openOthers();
  }
  check(it, kind!, await it.end(work), false);
}

function start(
  { path, world }: Case,
  kind: Kind,
): Promise<Uint8Array | number> {
  const file = openSync(path, kind.options);
  return operation!.start(kind.viewOf(file), world, file);
}

/** The worker that owns the view ends. */
async function terminated(kindName: string): Promise<void> {
  const kind = kinds[kindName];
  const it = new Case();
  const { directory, fifo } = it.world;
  const url = new URL("../workers/native_work_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const begun = new Promise((resolve) => worker.onmessage = resolve);
  worker.postMessage({ name, kind: kindName, path: it.path, directory, fifo });
  await begun;
  worker.terminate();
  openOthers();
  const end = operation!.feed?.(it.world);
  await sleep(20);
  openOthers();
  await collect(2);
  const output = await end?.();
  // The last part may come after the end.
  if (output?.length) checkTaken(output, kind!, true);
  check(it, kind!, 0, false);
}

/** Three slow clients receive views of files that were dropped. */
async function slowClients(): Promise<void> {
  const path = `${directory}/served`;
  Deno.writeFileSync(path, contents);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(openSync(path).bytes()),
  );
  const { port } = server.addr;
  const request = new TextEncoder().encode(
    "GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n",
  );
  await Promise.all([1, 2, 3].map(async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(request);
    const pieces: Uint8Array[] = [];
    for (let turn = 0;; turn++) {
      const piece = new Uint8Array(1 << 17);
      const read = await connection.read(piece);
      if (read === null) break;
      pieces.push(piece.subarray(0, read));
      await collect(1);
      if (turn % 10 === 0) openOthers();
    }
    connection.close();
    const body = Buffer.concat(pieces).subarray(-SIZE);
    if (!equal(body, contents)) problem("not the file's bytes");
  }));
  await server.shutdown();
  checkOthers();
}

for (const path of others) Deno.writeFileSync(path, otherContents);

const cases: [string, () => Promise<void>][] = [];
if (name === "serveBody") {
  console.log(`${name} slow clients`);
  await slowClients();
}
for (const [wayName, way] of Object.entries(ways)) {
  for (const kind of way.kinds) {
    cases.push([`${wayName} ${kind}`, () => during(kind, way)]);
  }
}
for (const kind of ALL) {
  cases.push([`dropped ${kind}`, () => dropped(kind)]);
  if (operation!.outlivesWorkers !== false) {
    cases.push([`terminated ${kind}`, () => terminated(kind)]);
  }
}

// Each operation begins with another way, so that together they try every way with every kind.
const first = Object.keys(operations).indexOf(name);
for (const [k, [title, run]] of cases.entries()) {
  if ((k + first) % Number(oneIn) !== 0) continue;
  console.log(`${name} ${title}`);
  await run();
}
console.log("done");
Deno.exit(0);
