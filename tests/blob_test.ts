/** blob() behaves for every user of blobs as a `Blob` of the same bytes. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type BlobOptions,
  type MmapFile,
  open,
  openSync,
  TruncatedError,
} from "@mmapfile/mmapfile";
import { isCopy, NO_ADDRESSES, NOT_TRUNCATABLE } from "./tested_module.ts";
import { encode, equal, pattern } from "./bytes.ts";
import { type TempDir, testInDir as test } from "./temp_dir.ts";

const KIB = 1 << 10;
const CHUNK = 256 * KIB;
const SIZES = [0, 1, 4 * KIB, CHUNK - 1, CHUNK, CHUNK + 1, (1 << 20) + 1];

/** A lazy blob, and one that holds the same bytes. */
function pair(dir: TempDir, bytes: Uint8Array<ArrayBuffer>, type?: string) {
  const file = openSync(dir.file(bytes));
  return {
    blob: file.blob({ type } as BlobOptions),
    ordinary: new Blob([bytes], { type } as BlobPropertyBag),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** All properties of a blob, and its bytes. */
async function contentsOf(blob: Blob): Promise<unknown> {
  const { size, type } = blob;
  const bytes = await blob.bytes();
  const chunks = await Array.fromAsync(blob.stream());
  return {
    size,
    type,
    bytes,
    buffer: new Uint8Array(await blob.arrayBuffer()),
    stream: new Uint8Array(chunks.flatMap((chunk) => [...chunk])),
    text: await blob.text(),
  };
}

test("blob() has the size, type and bytes of a Blob of the same bytes", async (dir) => {
  for (const size of SIZES) {
    using both = pair(dir, pattern(size), "Text/Plain");
    const { blob, ordinary } = both;
    assert(blob instanceof Blob);
    assertEquals(String(blob), String(ordinary));
    assertEquals(await contentsOf(blob), await contentsOf(ordinary));
  }
  for (const type of [undefined, "", "text/html;charset=UTF-8", "tüpe"]) {
    using both = pair(dir, encode("\uFEFFtext \xff"), type);
    assertEquals(
      await contentsOf(both.blob),
      await contentsOf(both.ordinary),
    );
  }
});

const index = fc.oneof(
  fc.integer({ min: -12, max: 12 }),
  fc.double({ min: -12, max: 12 }),
  fc.constantFrom(undefined, NaN, Infinity, -Infinity, 2 ** 40, null, "3"),
);
const slices = fc.array(
  fc.tuple(index, index, fc.constantFrom(undefined, "", "a/B")),
  { minLength: 1, maxLength: 3 },
);

test("slices of slices are those of a Blob", async (dir) => {
  using both = pair(dir, pattern(10));
  await fc.assert(
    fc.asyncProperty(slices, async (slices) => {
      let { blob, ordinary }: { blob: Blob; ordinary: Blob } = both;
      for (
        const [start, end, type] of slices as [number?, number?, string?][]
      ) {
        blob = blob.slice(start, end, type);
        ordinary = ordinary.slice(start, end, type);
      }
      assertEquals(await contentsOf(blob), await contentsOf(ordinary));
      // As parts of others, and slices of those.
      const [one, other] = [blob, ordinary].map((part) =>
        new Blob(["<", part, new File([part], "name"), ">"]).slice(1, 9)
      );
      assertEquals(await contentsOf(one!), await contentsOf(other!));
    }),
    { numRuns: 200 },
  );
});

test("blob() of a range of a file and of a window begins where they do", async (dir) => {
  const path = dir.file("header, body, footer");
  using file = openSync(path);
  using part = openSync(path, { offset: 8 });
  assertEquals(await file.blob({ offset: 8, length: 4 }).text(), "body");
  assertEquals(await part.blob({ length: 4 }).text(), "body");
  assertEquals(await part.blob().slice(-6).text(), "footer");
});

/** Every way to hand a blob to Deno, and what arrives. */
const USERS: Record<string, (blob: Blob) => unknown> = {
  "new Response()": async (blob) => {
    const response = new Response(blob);
    const copy = response.clone();
    return [
      response.headers.get("content-type"),
      await response.text(),
      await copy.text(),
    ];
  },
  "new Request()": (blob) =>
    new Request("http://localhost/", { method: "POST", body: blob }).text(),
  "new Blob()": (blob) => new Blob(["(", blob, ")"]).text(),
  "new File()": (blob) => new File([blob, "."], "name.txt").text(),
  "FormData": async (blob) => {
    const form = new FormData();
    form.append("one", blob);
    form.append("two", blob, "name.txt");
    const parsed = await new Response(form).formData();
    const files = parsed.getAll("one").concat(parsed.getAll("two")) as File[];
    return await Promise.all(files.map(async (file) => [
      file.name,
      file.type,
      await file.text(),
    ]));
  },
  "FileReader": (blob) =>
    new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsText(blob);
    }),
  "pipeThrough()": (blob) =>
    new Response(blob.stream().pipeThrough(new CompressionStream("gzip")))
      .bytes(),
  "a BYOB reader": async (blob) => {
    // Deno's own blobs have streams of bytes too.
    const reader = blob.stream().getReader({ mode: "byob" });
    const parts: number[] = [];
    for (;;) {
      const { value, done } = await reader.read(new Uint8Array(10));
      parts.push(...value ?? []);
      if (done) return parts;
    }
  },
};

for (const [name, use] of Object.entries(USERS)) {
  test(`blob() works with ${name} as a Blob does`, async (dir) => {
    using both = pair(dir, encode("text of some bytes"), "text/plain");
    assertEquals(await use(both.blob), await use(both.ordinary));
  });
}

test("blob() is a body that Deno.serve sends and fetch uploads", async (dir) => {
  using both = pair(dir, pattern(3 * CHUNK + 5), "a/b");
  const { blob, ordinary } = both;
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      if (request.method === "GET") return new Response(blob);
      const { headers } = request;
      return Response.json([
        headers.get("content-length"),
        headers.get("content-type")?.split(";")[0],
        (await request.bytes()).length,
      ]);
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const response = await fetch(url);
  assertEquals(response.headers.get("content-type"), "a/b");
  assert(equal(await response.bytes(), pattern(3 * CHUNK + 5)));
  const upload = async (body: BodyInit) =>
    await (await fetch(url, { method: "POST", body })).json();
  assertEquals(await upload(blob), await upload(ordinary));
  assertEquals(await upload(blob), [`${blob.size}`, "a/b", blob.size]);
  const form = (blob: Blob) => {
    const form = new FormData();
    form.append("file", blob);
    return form;
  };
  assertEquals(await upload(form(blob)), await upload(form(ordinary)));
});

/** What would silently be empty, since the engine keeps the bytes of a blob itself. */
const CLONERS: Record<string, (blob: Blob) => unknown> = {
  "structuredClone()": structuredClone,
  "postMessage()": (blob) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage([blob]);
    } finally {
      port1.close();
      port2.close();
    }
  },
  "URL.createObjectURL()": (blob) => URL.createObjectURL(blob),
};

for (const [name, clone] of Object.entries(CLONERS)) {
  test(`${name} of a blob(), a slice or a Blob made of it throws`, (dir) => {
    const path = dir.file("text");
    using file = openSync(path);
    const blob = file.blob();
    const all = [
      blob,
      blob.slice(1),
      new Blob([blob]),
      new File([blob], "name"),
      new Blob([new Blob(["text"]), blob.slice(1)]).slice(1),
    ];
    for (const blob of all) {
      const error = assertThrows(() => clone(blob), DOMException);
      assertEquals(error.name, "DataCloneError");
      assert(error.message.includes(`'${path}'`), error.message);
    }
  });
}

/** Reads that must return nothing but the file's bytes. */
const READS: Record<string, (blob: Blob) => Promise<unknown>> = {
  "text()": (blob) => blob.text(),
  "bytes()": (blob) => blob.bytes(),
  "arrayBuffer()": (blob) => blob.arrayBuffer(),
  "stream()": (blob) => Array.fromAsync(blob.stream()),
  "a Response": (blob) => new Response(blob).text(),
  "a Blob of it": (blob) => new Blob(["<", blob]).slice(1).text(),
};

async function assertNotReadable(
  blob: Blob,
  file: MmapFile,
  // deno-lint-ignore ban-types -- a class of errors, whatever its constructor takes
  cause: Function,
): Promise<void> {
  for (const read of Object.values(READS)) {
    const error = await assertRejects(() => read(blob), DOMException);
    assertEquals(error.name, "NotReadableError");
    assert(error.message.includes(`'${file.name}'`), error.message);
    assert((error as Error).cause instanceof cause);
  }
}

test("reads of a blob() whose file was closed reject with NotReadableError", async (dir) => {
  const file = openSync(dir.file("text"));
  const blob = file.blob();
  file.close();
  assertEquals(blob.size, 4);
  await assertNotReadable(blob, file, Deno.errors.BadResource);
  await assertNotReadable(blob.slice(1, 2), file, Deno.errors.BadResource);
});

test(
  "reads of a blob() whose file was truncated reject with NotReadableError",
  async (dir) => {
    const path = dir.file(64 * KIB);
    using file = openSync(path, { read: true, write: true });
    const blob = file.blob();
    Deno.truncateSync(path, 10);
    assertEquals(file.statSync().size, 10);
    await assertNotReadable(blob, file, TruncatedError);
    await assertNotReadable(blob.slice(-4 * KIB), file, TruncatedError);
    file.refresh();
    await assertNotReadable(blob, file, TruncatedError);
    assert(
      equal(await blob.slice(0, 10).bytes(), pattern(64 * KIB).subarray(0, 10)),
    );
    file.truncateSync(5);
    await assertNotReadable(blob.slice(0, 10), file, TruncatedError);
  },
  NOT_TRUNCATABLE,
);

test("a stream of a blob() that is canceled leaves the file open", async (dir) => {
  using file = openSync(dir.file(3 * CHUNK));
  const reader = file.blob().stream().getReader();
  assertEquals((await reader.read()).value?.length, CHUNK);
  await reader.cancel();
  assertEquals(file.closed, false);
  assertEquals(await file.blob().slice(0, 1).bytes(), pattern(1));
});

test("blob() has the bytes that the file has when they are read", async (dir) => {
  const path = dir.file("before");
  using file = openSync(path);
  const blob = file.blob();
  dir.overwrite(path, "AFTER!");
  file.refresh();
  assertEquals([blob.size, await blob.text()], [6, "AFTER!"]);
});

test(
  "blob() of 5 GiB reads the requested range and nothing else",
  async (dir) => {
    const size = 5 * 2 ** 30;
    const path = dir.sparseFile(size);
    using other = Deno.openSync(path, { write: true });
    other.seekSync(size - 3, Deno.SeekMode.Start);
    other.writeSync(encode("end"));
    using file = await open(path);
    const read: number[] = [];
    const { readAt } = file;
    file.readAt = (p, offset) => {
      read.push(p.length);
      return readAt.call(file, p, offset);
    };
    const blob = file.blob();
    assertEquals(blob.size, size);
    const parts = [blob.slice(0, 64 * KIB), blob.slice(-64 * KIB)];
    const whole = new Blob([parts[0]!, blob, parts[1]!]);
    assertEquals(whole.size, size + 128 * KIB);
    assertEquals((await parts[0]!.bytes()).length, 64 * KIB);
    assertEquals((await parts[1]!.text()).slice(-3), "end");
    assertEquals(await whole.slice(-64 * KIB - 3, -64 * KIB).text(), "end");
    assertEquals(read, [64 * KIB, 64 * KIB, 3]);
  },
  isCopy && NO_ADDRESSES,
);
