/** Deno's pool has 32 threads for the whole program: this library uses at most half of them. */

import { setTimeout as sleep } from "node:timers/promises";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inThread, MAX_THREADS } from "../src/threads.ts";
import { isCopy } from "./tested_module.ts";
import { deno } from "./run_deno.ts";
import { NO_LISTING } from "./skip.ts";
import { testInDir as test } from "./temp_dir.ts";

Deno.test("as many calls as there are threads run at once, the others one after another in order", async () => {
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
    calls[done]!.resolve(done);
    assertEquals(await results[done], done);
    await sleep(0);
  }
});

Deno.test("a call that fails passes its thread on", async () => {
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
  "200 large reads, writes, syncs, flushes and prefetches at once use fewer threads than 40 calls of Deno.FsFile's sync()",
  async (dir) => {
    const args = ["run", "-A", "--no-check", "--no-config", "--no-lock"];
    const { code, stdout, stderr } = await deno([...args, CHILD, dir.path]);
    assertEquals(stderr, "");
    assertEquals(code, 0);
    const { ours, denos } = JSON.parse(stdout);
    // The pool starts a thread if none is idle: sometimes a few more than are used.
    assert(ours < denos, `${ours} threads, and ${denos}`);
  },
  NO_LISTING || isCopy && "the fallback does not copy memory in threads",
);
