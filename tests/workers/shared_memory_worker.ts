/** Uses shared memory that it was sent. It has no permission at all, and does not import the library. */

// The types that Deno checks by are those of a main thread.
const scope = self as unknown as Worker;

const tasks: Record<string, (view: Int32Array<SharedArrayBuffer>) => unknown> =
  {
    /** Adds to the second number, a thousand times. */
    add(view) {
      for (let time = 0; time < 1000; time++) Atomics.add(view, 1, 1);
      return "added";
    },
    /** Waits for the first number to change, and says what the second one is. */
    wait: (view) => [Atomics.wait(view, 0, 0, 10_000), view[1]],
    async waitAsync(view) {
      const { async, value } = Atomics.waitAsync(view, 0, 0, 10_000);
      if (async) scope.postMessage("waiting");
      return [await value, view[1]];
    },
    /** Wakes who waits for the first number. */
    notify(view) {
      view[1] = 7;
      Atomics.store(view, 0, 1);
      return Atomics.notify(view, 0);
    },
    /** Writes at both ends, and says how long it is. */
    ends(view) {
      view[0] = 11;
      view[view.length - 1] = 12;
      return view.length;
    },
    /** Reads all of it again and again until the first number is -1, and says what the last one was. */
    readUntilEnd(view) {
      scope.postMessage("reading");
      let last = 0;
      // Zeros stand for memory that is gone.
      while (Atomics.load(view, 0) !== -1 || last === 0) {
        for (let i = 1; i < view.length; i += 256) last = view[i];
        last = view[view.length - 1];
      }
      return last;
    },
  };

scope.onmessage = async ({ data: [task, view] }) =>
  scope.postMessage(await tasks[task](view));
