/** Functions that copy objects between threads refuse files. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { openSync } from "@mmapfile/mmapfile";
import { testInDir as test } from "./temp_dir.ts";

const CLONERS: Record<string, (value: unknown) => void> = {
  "structuredClone()": structuredClone,
  "MessagePort.postMessage()": (value) => {
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(value);
    } finally {
      port1.close();
      port2.close();
    }
  },
  "BroadcastChannel.postMessage()": (value) => {
    const channel = new BroadcastChannel("files");
    try {
      channel.postMessage(value);
    } finally {
      channel.close();
    }
  },
  "Worker.postMessage()": (value) => {
    const worker = new Worker("data:application/javascript,", {
      type: "module",
    });
    try {
      worker.postMessage(value);
    } finally {
      worker.terminate();
    }
  },
};

for (const [name, clone] of Object.entries(CLONERS)) {
  test(`${name} of a file throws, by itself and within others`, (dir) => {
    const path = dir.file("text");
    using file = openSync(path);
    for (const value of [file, [file], { inner: new Map([["file", file]]) }]) {
      const error = assertThrows(() => clone(value), DOMException);
      assertEquals(error.name, "DataCloneError");
      assert(error.message.includes(`'${path}'`), error.message);
      assert(error.message.includes("open it there"), error.message);
    }
    assertEquals(file.text(), "text");
  });
}
