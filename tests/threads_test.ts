/** Deno's pool has 32 threads for all that a program does: this library holds half of them at most. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inThread, MAX_THREADS } from "../src/threads.ts";
import { isCopy } from "./backend.ts";
import { deno } from "./child.ts";
import { NO_LISTING } from "./reason.ts";
import { testInDir as test } from "./temp.ts";

/** Lets everything that is ready run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("as many calls as there are threads are made at once, the others one after another in their order", async () => {
  const calls: PromiseWithResolvers<number>[] = [];
  const results = Array.from(
    { length: 3 * MAX_THREADS },
    () =>
      inThread(() => {
        const call = Promise.withResolvers<number>();
        calls.push(call);
        return call.promise;
      }),
  );
  for (let done = 0; done < results.length; done++) {
    const begun = Math.min(done + MAX_THREADS, results.length);
    assertEquals(calls.length, begun);
    calls[done].resolve(done);
    assertEquals(await results[done], done);
    await turn();
  }
});

Deno.test("a call that fails hands its thread on", async () => {
  for (let k = 0; k < 3 * MAX_THREADS; k++) {
    await assertRejects(() => inThread(() => Promise.reject(new Error("so"))));
    const thrown = () => {
      throw new TypeError("so");
    };
    await assertRejects(() => inThread(thrown), TypeError);
  }
  assertEquals(await inThread(() => Promise.resolve(1)), 1);
});

const CHILD = fromFileUrl(new URL("./children/threads.ts", import.meta.url));

test(
  "200 large reads, writes, syncs, flushes and prefetches at once hold fewer threads than 40 of Deno.FsFile's syncs",
  async (dir) => {
    const args = ["run", "-A", "--no-check", "--no-config", "--no-lock"];
    const { code, stdout, stderr } = await deno([...args, CHILD, dir.path]);
    assertEquals(stderr, "");
    assertEquals(code, 0);
    const { ours, denos } = JSON.parse(stdout);
    // The pool starts a thread where none is idle at the moment: now and then a few more than are held.
    assert(ours < denos, `${ours} threads, and ${denos}`);
  },
  NO_LISTING || isCopy && "memory is copied in no thread",
);
