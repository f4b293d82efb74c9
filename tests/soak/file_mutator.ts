/**
 * Truncates, extends, deletes and writes files that others have mapped, until its input ends; prints
 * how often. `file_mutator.ts DIRECTORY SEED`
 */

import { setTimeout as sleep } from "node:timers/promises";
import {
  LARGEST,
  PATTERN,
  PATTERNED,
  patterned,
  PREFIX,
  SETS,
  WHOLE,
  WILD,
  wild,
  writePattern,
} from "./files.ts";
import { Random } from "../random.ts";

const [directory, seed] = Deno.args as [string, string];
const random = new Random(Number(seed));
let truncated = 0;
let extended = 0;
let deleted = 0;
let written = 0;

const block = new Uint8Array(1 << 16).fill(33);

function changeWild(path: string): void {
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
      Deno.truncateSync(path, 0);
      truncated++;
      break;
    case 3:
    case 4:
    case 5:
      Deno.truncateSync(path, random.skewed(LARGEST));
      truncated++;
      break;
    case 6:
    case 7:
      Deno.truncateSync(path, LARGEST - random.skewed(LARGEST));
      extended++;
      break;
    case 8: {
      using file = Deno.openSync(path, { write: true });
      file.seekSync(random.below(LARGEST), Deno.SeekMode.Start);
      file.writeSync(block.subarray(random.below(block.length)));
      written++;
      break;
    }
    case 9:
      Deno.removeSync(path);
      deleted++;
      if (random.once(2)) Deno.writeFileSync(path, block);
  }
}

function changePatterned(path: string): void {
  switch (random.below(6)) {
    case 0:
      writePattern(path);
      deleted++;
      break;
    case 1:
    case 2: {
      using file = Deno.openSync(path, { write: true });
      file.truncateSync(WHOLE);
      file.seekSync(PREFIX, Deno.SeekMode.Start);
      for (let at = PREFIX; at < WHOLE;) {
        at += file.writeSync(PATTERN.subarray(at));
      }
      extended++;
      break;
    }
    default:
      Deno.truncateSync(path, PREFIX + random.skewed(WHOLE - PREFIX));
      truncated++;
  }
}

function disturb(): void {
  const set = random.pick(SETS);
  if (random.once(4)) {
    changePatterned(patterned(directory, set, random.below(PATTERNED)));
    return;
  }
  const path = wild(directory, set, random.below(WILD));
  try {
    changeWild(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    Deno.writeFileSync(path, block);
  }
}

let isOver = false;
const end = Deno.stdin.read(new Uint8Array(1)).then(() => isOver = true);
while (!isOver) {
  // Sometimes as fast as it can.
  const times = random.once(20) ? 100 : 1;
  for (let i = 0; i < times; i++) disturb();
  const pause = random.below(6);
  await sleep(pause);
}
await end;
console.log(
  `${truncated} truncations, ${extended} extensions, ${deleted} deletions, ${written} writes`,
);
