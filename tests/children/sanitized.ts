/** Tests under Deno's sanitizers, the first of which opens the first file of its process. Run by `deno test`. */

import { openSync, toReadableStream } from "../../mod.ts";
import { isWine } from "../skip.ts";

for (const backend of ["auto", "fallback"] as const) {
  for (const time of ["first", "second"]) {
    Deno.test({
      name: `${backend}, ${time}`,
      sanitizeResources: true,
      sanitizeOps: true,
      sanitizeExit: true,
      async fn() {
        const path = Deno.makeTempFileSync();
        Deno.writeFileSync(path, new Uint8Array(3 << 20));
        {
          using file = openSync(path, {
            read: true,
            write: true,
            grow: true,
            backend,
          });
          file.bytes()[0] = 1;
          await file.prefetch();
          await file.read(new Uint8Array(2 << 20));
          await file.write(new Uint8Array(2 << 20));
          await file.flush();
          await file.sync();
          if (!isWine) {
            await file.lock();
            await file.unlock();
          }
          await new Response(toReadableStream(file)).bytes();
          await file.truncate(10);
        }
        Deno.removeSync(path);
      },
    });
  }
}
