/**
 * Copies of more bytes than the processor's caches hold, by non-temporal stores, which bypass the caches.
 *
 * An ordinary store brings a line of memory into the cache before it overwrites it, and pushes out
 * another; a non-temporal one does neither. memcpy uses non-temporal stores too, but for copies larger than a
 * limit that depends on the caches that the system reports, which on a virtual machine can be 250 MB. A copy of
 * 100 MB then takes 1.5 times as long (bench/README.md).
 *
 * Linux on x86-64 only, and where executable pages are allowed. Elsewhere `set` copies.
 *
 * @module
 */

import { byteLengthOf } from "../intrinsics.ts";
import { loadCode, machineCode } from "./machine_code.ts";

/** `tests/machine_code_test.ts` assembles it and compares. */
export const LISTING = `
                       | copy:
  48 89 f9             |   mov   rcx, rdi
  48 f7 d9             |   neg   rcx
  83 e1 3f             |   and   ecx, 63                          ; rcx = bytes before the first whole line
  48 29 ca             |   sub   rdx, rcx
  f3 a4                |   rep movsb
  48 89 d1             |   mov   rcx, rdx
  48 c1 e9 06          |   shr   rcx, 6                           ; rcx = whole lines
                       | line:
  0f 18 86 00 04 00 00 |   prefetchnta [rsi+1024]                 ; a hint: it never faults
  0f 10 06             |   movups xmm0, [rsi]
  0f 10 4e 10          |   movups xmm1, [rsi+16]
  0f 10 56 20          |   movups xmm2, [rsi+32]
  0f 10 5e 30          |   movups xmm3, [rsi+48]
  0f 2b 07             |   movntps [rdi], xmm0
  0f 2b 4f 10          |   movntps [rdi+16], xmm1
  0f 2b 57 20          |   movntps [rdi+32], xmm2
  0f 2b 5f 30          |   movntps [rdi+48], xmm3
  48 83 c6 40          |   add   rsi, 64
  48 83 c7 40          |   add   rdi, 64
  48 ff c9             |   dec   rcx
  75 ce                |   jnz   line
  0f ae f8             |   sfence                                 ; such stores are not in order with others
  89 d1                |   mov   ecx, edx
  83 e1 3f             |   and   ecx, 63                          ; rcx = bytes of the last line
  f3 a4                |   rep movsb
  c3                   |   ret
`;

/** Bytes of the shortest copy that the code can make. */
const MIN_LENGTH = 128;

// void copy(void *target, const void *source, size_t length);
const SIGNATURE = {
  parameters: ["buffer", "buffer", "usize"],
  result: "void",
} as const satisfies Deno.ForeignFunction;

type Routine = Deno.UnsafeFnPointer<typeof SIGNATURE>;

/** The code in memory; `null` if the system refuses it, `undefined` before the first copy. */
let routine: Routine | null | undefined;

/** Does what `target.set(source)` does, for two arrays that do not overlap. */
export function copyLarge(target: Uint8Array, source: Uint8Array): void {
  if (!tryCopy(target, source)) target.set(source);
}

function tryCopy(target: Uint8Array, source: Uint8Array): boolean {
  // Native code checks nothing.
  const length = byteLengthOf(source);
  if (length < MIN_LENGTH || length > byteLengthOf(target)) return false;
  try {
    if (routine === undefined) routine = install();
    // The types of Deno 2.8 refuse shared memory, and Deno accepts it.
    const from = source as Uint8Array<ArrayBuffer>;
    const to = target as Uint8Array<ArrayBuffer>;
    routine?.call(to, from, BigInt(length));
    return routine !== null;
  } catch (error) {
    // The permission to call native code has been revoked.
    if (error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

function install(): Routine | null {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return null;
  const code = machineCode(LISTING);
  const address = loadCode(code, code.length, 0);
  if (address === null) return null;
  const pointer = Deno.UnsafePointer.create<typeof SIGNATURE>(address)!;
  return new Deno.UnsafeFnPointer(pointer, SIGNATURE);
}
