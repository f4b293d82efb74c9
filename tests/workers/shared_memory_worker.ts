/** Uses shared memory that it receives. It has no permissions, and does not import the library. */

// Deno checks the types of a main thread.
const scope = self as unknown as Worker;

const tasks: Record<string, (view: Int32Array<SharedArrayBuffer>) => unknown> =
  {
    /** Adds to the second number, a thousand times. */
    add(view) {
      for (let time = 0; time < 1000; time++) Atomics.add(view, 1, 1);
      return "added";
    },
    /** Waits for the first number to change, and returns the second one. */
    wait: (view) => [Atomics.wait(view, 0, 0, 10_000), view[1]],
    async waitAsync(view) {
      const { async, value } = Atomics.waitAsync(view, 0, 0, 10_000);
      if (async) scope.postMessage("waiting");
      return [await value, view[1]];
    },
    /** Wakes waits for the first number. */
    notify(view) {
      view[1] = 7;
      Atomics.store(view, 0, 1);
      return Atomics.notify(view, 0);
    },
    /** Writes at both ends, and returns the length. */
    ends(view) {
      view[0] = 11;
      view[view.length - 1] = 12;
      return view.length;
    },
    /** Reads all of it repeatedly until the first number is -1, and returns the last one. */
    readUntilEnd(view) {
      scope.postMessage("reading");
      let last = 0;
      // Zeros replace truncated memory.
      while (Atomics.load(view, 0) !== -1 || last === 0) {
        for (let i = 1; i < view.length; i += 256) last = view[i]!;
        last = view[view.length - 1]!;
      }
      return last;
    },
  };

scope.onmessage = async ({ data: [task, view] }) =>
  scope.postMessage(await tasks[task]!(view));
