/**
 * The guard: a file that another process truncates must not kill the process.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS, and JavaScript
 * cannot catch a signal that its own machine code raised. So a handler of machine
 * code is in a page of its own. It looks the address up in a table of mapped
 * ranges; on a hit it counts the fault in the table, maps zeros over the missing pages,
 * and returns: the instruction is tried again and finds zeros. The file's methods
 * then see the count and throw. On a miss it calls the previous handler.
 *
 * Zeros are mapped from the faulting page to the end of the range, or to where zeros
 * already begin. What a truncation takes away reaches to the end, so this hides no page
 * that the file still has; and in whatever order pages are touched, the range costs one
 * mapping more, of the 65,530 that a process may have before the next fault kills it.
 * Only after a disk error are sound pages hidden too, until the file is mapped again.
 * The zeros are private and writable, so that a write does not fault again.
 *
 * Linux on x86-64 and arm64 only, and where executable pages are allowed.
 *
 * @module
 */

import { libc, platform } from "../posix/libc.ts";
import { loadCode, machineCode } from "../posix/machine_code.ts";
import { RangeIndex } from "./range_index.ts";

/** A guarded range of memory. */
export interface GuardedRange {
  /** Element 0 counts the faults survived in this range, live. Means nothing after `release`, as `zerosAt`. */
  readonly faults: Int32Array;
  /** Where zeros begin that are mapped in place of the file's pages, in bytes from the range's first. */
  readonly zerosAt: number;
  /** Ends the guard. Call it before the range is unmapped. */
  release(): void;
  /** Calls `map` to put the file's pages in place of zeros, and counts from 0 again. Returns what `map` returns. */
  remap(map: () => boolean): boolean;
  /** Guards the range up to another end: `length` bytes from its first. */
  extend(length: number): void;
}

/*
 * The handler and its table lie in one reservation, shared by all the isolates of
 * the process and never unmapped:
 *
 *   base            the handler, PROT_READ|PROT_EXEC
 *   base + TABLE    the header       0  the previous struct sigaction: a handler,
 *                                       0 (SIG_DFL) or 1 (SIG_IGN), and its flags
 *                                  152  page mask: an address AND this is its page
 *                                  160  slots in use, or in use once: none lies higher
 *                                  164  isolates that have used the table
 *   + HEADER        slot 0           0  start: first address of the range
 *                                    8  end: first address past its last page
 *                                   16  zeros: lowest address that zeros are mapped from
 *                                   24  faults survived
 *                                   28  state: 0 when free, else CLAIMED, LIVE and pins
 *   + SLOT          slot 1, and so on
 *
 * A slot belongs to the isolate that changes 0 to CLAIMED. It fills the slot in and adds LIVE.
 * The handler pins a slot, by adding 1, before it uses what it reads there, and while it maps
 * zeros. An isolate that ends a range of another one pins its slot too. An isolate that releases a
 * slot removes LIVE and waits until the slot is not pinned, so that zeros are never mapped over
 * what is mapped after the range.
 */

/** Offsets and numbers by the names that the listings use. */
export const NAMES = {
  TABLE: 0x10000, // the largest page of arm64, so that protection never covers both
  PREVIOUS: 0,
  UNKNOWN: 2, // in its place while the handler is being installed; 0 and 1 have meanings
  PAGE_MASK: 152,
  USED: 160,
  ISOLATES: 164,
  HEADER: 256,
  START: 0,
  END: 8,
  ZEROS: 16,
  FAULTS: 24,
  STATE: 28,
  SLOT: 32,
  LIVE_BIT: 30,
  // siginfo_t: include/uapi/asm-generic/siginfo.h
  SI_CODE: 8,
  SI_ADDR: 16,
  BUS_ADRERR: 2, // "non-existent physical address": past the end, disk error, disk full
  // include/uapi/asm-generic/mman-common.h
  PROT: 3, // PROT_READ|PROT_WRITE
  MAP: 0x4032, // MAP_NORESERVE|MAP_ANONYMOUS|MAP_FIXED|MAP_PRIVATE
} as const;

const { TABLE, PREVIOUS, UNKNOWN, PAGE_MASK, USED, ISOLATES, HEADER, SLOT } =
  NAMES;
const { START, END, ZEROS, FAULTS, STATE } = NAMES;
const LIVE = 1 << NAMES.LIVE_BIT;
const CLAIMED = 1 << 29;
const PINS = CLAIMED - 1;
/** How often pages are mapped again because of faults during the mapping. */
const MAX_REMAPS = 3;
const TABLE_SIZE = 1 << 20;
const SLOTS = (TABLE_SIZE - HEADER) / SLOT;
/** The value of the lowest bit in the upper half of an address. */
const UPPER_HALF = 2 ** 32;
/** Slots in use below which no sweep is made. */
const MIN_SWEEP = 256;

const SIGBUS = 7; // include/uapi/asm-generic/signal.h
const SMALLEST_PAGE = 4096n;

// struct sigaction of glibc (sysdeps/unix/sysv/linux/bits/sigaction.h) and musl: a
// handler, a mask of 128 bytes, flags at 136, and a restorer that libc fills in.
const ACTION_SIZE = 152;
const ACTION_FLAGS = 136;
// include/uapi/asm-generic/signal-defs.h. ONSTACK: the fault may be at the end of a
// small stack. RESTART: a call that a stray kill() interrupts goes on, whatever the
// handler before asked for. NODEFER: a blocked SIGBUS would kill in a handler chained to.
const SA_SIGINFO = 0x4;
const SA_ONSTACK = 0x08000000;
const SA_RESTART = 0x10000000;
const SA_NODEFER = 0x40000000;

/*
 * The handler, for each architecture: void handler(int signal, siginfo_t *, void *).
 * Left of the bar are the bytes, or for arm64 the words, right of it the assembly, which
 * `tests/machine_code_test.ts` assembles and compares.
 *
 * Other signals go to the previous handler. The handler of Rust, which Deno has, installs
 * SIG_DFL at its first SIGBUS, and so replaces ours. Ours is then installed again, and chains
 * to SIG_DFL from then on, as if ours did not exist.
 */

const X86_64 = `
                       | handler:
  83 7e 08 02          |   cmp   dword ptr [rsi+SI_CODE], BUS_ADRERR
  0f 85 c7 00 00 00    |   jne   chain                            ; sent by kill(), misaligned, broken memory
  48 8b 46 10          |   mov   rax, [rsi+SI_ADDR]               ; rax = the address that faulted
  4c 8d 05 eb ff 00 00 |   lea   r8, [rip+TABLE]
  41 8b 88 a0 00 00 00 |   mov   ecx, [r8+USED]                   ; ecx = slots still to look at
  49 81 c0 e0 00 00 00 |   add   r8, HEADER-SLOT                  ; r8 = the slot before the first
                       | scan:
  83 e9 01             |   sub   ecx, 1
  0f 88 a5 00 00 00    |   js    chain                            ; none left: not our memory
  49 83 c0 20          |   add   r8, SLOT
  49 3b 00             |   cmp   rax, [r8+START]
  72 ee                |   jb    scan
  49 3b 40 08          |   cmp   rax, [r8+END]
  73 e8                |   jae   scan
  41 b9 01 00 00 00    |   mov   r9d, 1
  f0 45 0f c1 48 1c    |   lock xadd [r8+STATE], r9d              ; pin the slot; r9d = its state before
  41 0f ba e1 1e       |   bt    r9d, LIVE_BIT
  73 0b                |   jnc   unpin                            ; free, or on its way there
  49 3b 00             |   cmp   rax, [r8+START]                  ; pinned now: does it still match?
  72 06                |   jb    unpin
  49 3b 40 08          |   cmp   rax, [r8+END]
  72 07                |   jb    hit
                       | unpin:
  f0 41 ff 48 1c       |   lock dec dword ptr [r8+STATE]
  eb c3                |   jmp   scan
                       | hit:
  f0 41 ff 40 18       |   lock inc dword ptr [r8+FAULTS]
  53                   |   push  rbx
  57                   |   push  rdi
  56                   |   push  rsi
  52                   |   push  rdx
  4c 89 c3             |   mov   rbx, r8                          ; rbx = the slot
  48 89 c7             |   mov   rdi, rax
  48 23 3d 22 00 01 00 |   and   rdi, [rip+TABLE+PAGE_MASK]       ; addr = the page that faulted
  48 8b 73 10          |   mov   rsi, [rbx+ZEROS]                 ; up to where zeros begin
  48 39 f7             |   cmp   rdi, rsi
  48 0f 43 73 08       |   cmovae rsi, [rbx+END]                  ; or, above that, to the end
  48 29 fe             |   sub   rsi, rdi                         ; length
  ba 03 00 00 00       |   mov   edx, PROT                        ; prot
  41 ba 32 40 00 00    |   mov   r10d, MAP                        ; flags
  49 c7 c0 ff ff ff ff |   mov   r8, -1                           ; fd
  45 31 c9             |   xor   r9d, r9d                         ; offset
  b8 09 00 00 00       |   mov   eax, 9                           ; SYS_mmap; preserves all but rax, rcx, r11
  0f 05                |   syscall
  48 39 f8             |   cmp   rax, rdi
  75 0d                |   jne   less
  48 89 7b 10          |   mov   [rbx+ZEROS], rdi
                       | done:
  f0 ff 4b 1c          |   lock dec dword ptr [rbx+STATE]
  5a                   |   pop   rdx
  5e                   |   pop   rsi
  5f                   |   pop   rdi
  5b                   |   pop   rbx
  c3                   |   ret                                    ; the access is tried again and finds zeros
                       | less:
  48 8b 35 de ff 00 00 |   mov   rsi, [rip+TABLE+PAGE_MASK]       ; so many refused: this page alone
  48 f7 de             |   neg   rsi
  b8 09 00 00 00       |   mov   eax, 9
  0f 05                |   syscall
  48 39 f8             |   cmp   rax, rdi
  74 e1                |   je    done
  f0 ff 4b 1c          |   lock dec dword ptr [rbx+STATE]         ; not even that
  5a                   |   pop   rdx
  5e                   |   pop   rsi
  5f                   |   pop   rdi
  5b                   |   pop   rbx
                       | chain:
  48 8b 05 28 ff 00 00 |   mov   rax, [rip+TABLE+PREVIOUS]
  48 83 f8 02          |   cmp   rax, UNKNOWN
  77 47                |   ja    call
  74 44                |   je    return                           ; not written yet: a fault happens again
  48 85 c0             |   test  rax, rax
  74 06                |   jz    default                          ; 0: SIG_DFL
  83 7e 08 00          |   cmp   dword ptr [rsi+SI_CODE], 0       ; 1: SIG_IGN
  7e 39                |   jle   return                           ; but the kernel lets no fault be ignored
                       | default:
  44 8b 46 08          |   mov   r8d, [rsi+SI_CODE]
  6a 00                |   push  0                                ; struct sigaction: SIG_DFL, no flags
  6a 00                |   push  0
  6a 00                |   push  0
  6a 00                |   push  0
  48 89 e6             |   mov   rsi, rsp                         ; act
  31 d2                |   xor   edx, edx                         ; oldact; rdi = the signal still
  41 ba 08 00 00 00    |   mov   r10d, 8                          ; size of a signal set
  b8 0d 00 00 00       |   mov   eax, 13                          ; SYS_rt_sigaction
  0f 05                |   syscall
  48 83 c4 20          |   add   rsp, 32
  45 85 c0             |   test  r8d, r8d
  7f 12                |   jg    return                           ; a fault: it happens again, and kills
  89 fe                |   mov   esi, edi                         ; sent: send it again
  b8 27 00 00 00       |   mov   eax, 39                          ; SYS_getpid
  0f 05                |   syscall
  89 c7                |   mov   edi, eax
  b8 3e 00 00 00       |   mov   eax, 62                          ; SYS_kill
  0f 05                |   syscall
                       | return:
  c3                   |   ret
                       | call:
  53                   |   push  rbx
  48 83 ec 40          |   sub   rsp, 64                          ; two struct sigaction; rsp is aligned to 16
  48 89 c3             |   mov   rbx, rax
  49 89 f0             |   mov   r8, rsi
  49 89 d1             |   mov   r9, rdx
  31 f6                |   xor   esi, esi                         ; act = NULL
  48 89 e2             |   mov   rdx, rsp                         ; oldact
  41 ba 08 00 00 00    |   mov   r10d, 8
  b8 0d 00 00 00       |   mov   eax, 13                          ; SYS_rt_sigaction: the current handler
  0f 05                |   syscall
  4c 89 c6             |   mov   rsi, r8
  4c 89 ca             |   mov   rdx, r9
  ff d3                |   call  rbx                              ; the previous handler, with our arguments
  bf 07 00 00 00       |   mov   edi, 7                           ; SIGBUS
  31 f6                |   xor   esi, esi
  48 8d 54 24 20       |   lea   rdx, [rsp+32]
  41 ba 08 00 00 00    |   mov   r10d, 8
  b8 0d 00 00 00       |   mov   eax, 13                          ; SYS_rt_sigaction: the handler after it
  0f 05                |   syscall
  48 83 7c 24 20 00    |   cmp   qword ptr [rsp+32], 0
  75 13                |   jne   stay
  48 89 35 8b fe 00 00 |   mov   [rip+TABLE+PREVIOUS], rsi        ; it left SIG_DFL: we chain to that now,
  48 89 e6             |   mov   rsi, rsp                         ; and restore the handler
  31 d2                |   xor   edx, edx
  b8 0d 00 00 00       |   mov   eax, 13                          ; SYS_rt_sigaction
  0f 05                |   syscall
                       | stay:
  48 83 c4 40          |   add   rsp, 64
  5b                   |   pop   rbx
  c3                   |   ret
`;

const AARCH64 = `
           | handler:
  b9400823 |   ldr   w3, [x1, #SI_CODE]
  7100087f |   cmp   w3, #BUS_ADRERR
  540008e1 |   b.ne  chain                            ; sent by kill(), misaligned, broken memory
  f9400829 |   ldr   x9, [x1, #SI_ADDR]               ; x9 = the address that faulted
  1007ff8a |   adr   x10, TABLE
  b940a14b |   ldr   w11, [x10, #USED]                ; w11 = slots still to look at
  9103814a |   add   x10, x10, #(HEADER-SLOT)         ; x10 = the slot before the first
           | scan:
  7100056b |   subs  w11, w11, #1
  54000824 |   b.mi  chain                            ; none left: not our memory
  9100814a |   add   x10, x10, #SLOT
  a940354c |   ldp   x12, x13, [x10, #START]          ; x12 = start, x13 = end
  eb0c013f |   cmp   x9, x12
  54ffff63 |   b.lo  scan
  eb0d013f |   cmp   x9, x13
  54ffff22 |   b.hs  scan
  9100714e |   add   x14, x10, #STATE
           | pin:
  885ffdcf |   ldaxr w15, [x14]                       ; pin the slot; w15 = its state before
  110005f0 |   add   w16, w15, #1
  8811fdd0 |   stlxr w17, w16, [x14]
  35ffffb1 |   cbnz  w17, pin
  36f000cf |   tbz   w15, #LIVE_BIT, unpin            ; free, or on its way there
  a940354c |   ldp   x12, x13, [x10, #START]          ; pinned now: does it still match?
  eb0c013f |   cmp   x9, x12
  54000063 |   b.lo  unpin
  eb0d013f |   cmp   x9, x13
  540000c3 |   b.lo  hit
           | unpin:
  885ffdcf |   ldaxr w15, [x14]
  510005ef |   sub   w15, w15, #1
  8811fdcf |   stlxr w17, w15, [x14]
  35ffffb1 |   cbnz  w17, unpin
  17ffffe9 |   b     scan
           | hit:
  9100614f |   add   x15, x10, #FAULTS
           | count:
  885ffdf0 |   ldaxr w16, [x15]
  11000610 |   add   w16, w16, #1
  8811fdf0 |   stlxr w17, w16, [x15]
  35ffffb1 |   cbnz  w17, count
  aa0003e6 |   mov   x6, x0                           ; our arguments; a system call preserves all but x0
  aa0103e7 |   mov   x7, x1
  aa0203eb |   mov   x11, x2
  1007fb2f |   adr   x15, TABLE
  f9404def |   ldr   x15, [x15, #PAGE_MASK]
  8a0f012c |   and   x12, x9, x15                     ; x12 = the page that faulted
  aa0c03e0 |   mov   x0, x12                          ; addr
  f9400941 |   ldr   x1, [x10, #ZEROS]                ; up to where zeros begin
  eb01019f |   cmp   x12, x1
  9a8121a1 |   csel  x1, x13, x1, hs                  ; or, above that, to the end
  cb0c0021 |   sub   x1, x1, x12                      ; length
  d2800062 |   mov   x2, #PROT                        ; prot
  d2880643 |   mov   x3, #MAP                         ; flags
  92800004 |   mov   x4, #-1                          ; fd
  d2800005 |   mov   x5, #0                           ; offset
  d2801bc8 |   mov   x8, #222                         ; SYS_mmap
  d4000001 |   svc   #0
  eb0c001f |   cmp   x0, x12
  540000e1 |   b.ne  less
  f900094c |   str   x12, [x10, #ZEROS]
           | done:
  885ffdcf |   ldaxr w15, [x14]
  510005ef |   sub   w15, w15, #1
  8811fdcf |   stlxr w17, w15, [x14]
  35ffffb1 |   cbnz  w17, done
  d65f03c0 |   ret                                    ; the access is tried again and finds zeros
           | less:
  aa0c03e0 |   mov   x0, x12                          ; so many refused: this page alone
  cb0f03e1 |   neg   x1, x15
  d4000001 |   svc   #0
  eb0c001f |   cmp   x0, x12
  54fffee0 |   b.eq  done
           | let_go:
  885ffdcf |   ldaxr w15, [x14]                       ; not even that
  510005ef |   sub   w15, w15, #1
  8811fdcf |   stlxr w17, w15, [x14]
  35ffffb1 |   cbnz  w17, let_go
  aa0603e0 |   mov   x0, x6
  aa0703e1 |   mov   x1, x7
  aa0b03e2 |   mov   x2, x11
           | chain:
  b9400826 |   ldr   w6, [x1, #SI_CODE]
  2a0003e7 |   mov   w7, w0                           ; w7 = the signal
  1007f6a9 |   adr   x9, TABLE
  f940012a |   ldr   x10, [x9, #PREVIOUS]
  f100095f |   cmp   x10, #UNKNOWN
  540002a8 |   b.hi  call
  54000260 |   b.eq  return                           ; not written yet: a fault happens again
  b400006a |   cbz   x10, default                     ; 0: SIG_DFL
  710000df |   cmp   w6, #0                           ; 1: SIG_IGN
  5400020d |   b.le  return                           ; but the kernel lets no fault be ignored
           | default:
  a9be7fff |   stp   xzr, xzr, [sp, #-32]!            ; struct sigaction: SIG_DFL, no flags
  a9017fff |   stp   xzr, xzr, [sp, #16]
  910003e1 |   mov   x1, sp                           ; act
  d2800002 |   mov   x2, #0                           ; oldact
  d2800103 |   mov   x3, #8                           ; size of a signal set
  d28010c8 |   mov   x8, #134                         ; SYS_rt_sigaction
  d4000001 |   svc   #0
  910083ff |   add   sp, sp, #32
  710000df |   cmp   w6, #0
  540000cc |   b.gt  return                           ; a fault: it happens again, and kills
  d2801588 |   mov   x8, #172                         ; SYS_getpid; sent: send it again
  d4000001 |   svc   #0
  2a0703e1 |   mov   w1, w7
  d2801028 |   mov   x8, #129                         ; SYS_kill
  d4000001 |   svc   #0
           | return:
  d65f03c0 |   ret
           | call:
  a9bb7bfd |   stp   x29, x30, [sp, #-80]!            ; two struct sigaction, at sp+16 and sp+48
  910003fd |   mov   x29, sp
  aa0103e6 |   mov   x6, x1
  aa0203e7 |   mov   x7, x2
  2a0003eb |   mov   w11, w0
  d2800001 |   mov   x1, #0                           ; act = NULL
  910043e2 |   add   x2, sp, #16                      ; oldact
  d2800103 |   mov   x3, #8
  d28010c8 |   mov   x8, #134                         ; SYS_rt_sigaction: the current handler
  d4000001 |   svc   #0
  2a0b03e0 |   mov   w0, w11
  aa0603e1 |   mov   x1, x6
  aa0703e2 |   mov   x2, x7
  d63f0140 |   blr   x10                              ; the previous handler, with our arguments
  528000e0 |   mov   w0, #7                           ; SIGBUS
  d2800001 |   mov   x1, #0
  9100c3e2 |   add   x2, sp, #48
  d2800103 |   mov   x3, #8
  d28010c8 |   mov   x8, #134                         ; SYS_rt_sigaction: the handler after it
  d4000001 |   svc   #0
  f9401bea |   ldr   x10, [sp, #48]
  b50000ea |   cbnz  x10, stay
  1007f0e9 |   adr   x9, TABLE
  f900013f |   str   xzr, [x9, #PREVIOUS]             ; it left SIG_DFL: we chain to that now,
  528000e0 |   mov   w0, #7                           ; and restore the handler
  910043e1 |   add   x1, sp, #16
  d2800002 |   mov   x2, #0
  d4000001 |   svc   #0
           | stay:
  a8c57bfd |   ldp   x29, x30, [sp], #80
  d65f03c0 |   ret
`;

/** The listings by `Deno.build.arch`. */
export const LISTINGS: Partial<Record<typeof Deno.build.arch, string>> = {
  x86_64: X86_64,
  aarch64: AARCH64,
};

/** The table that a handler looks addresses up in. */
class Table {
  readonly words: Int32Array;
  readonly longs: BigUint64Array;
  readonly buffer: ArrayBuffer;

  /** The table of the handler at this address. */
  constructor(handler: bigint) {
    // SAFETY: the reservation is never unmapped.
    this.buffer = bufferAt(handler + BigInt(TABLE), TABLE_SIZE);
    this.words = new Int32Array(this.buffer);
    this.longs = new BigUint64Array(this.buffer);
  }
}

/** This isolate's table; null where there is no guard, undefined before the first range. */
let table: Table | null | undefined;
let pageSize = 0;

/** The ranges of this isolate, those included that may have ended. */
const ranges = new RangeIndex();
/** Slots that this isolate has released. */
const released: number[] = [];
/** Where the search for a free slot begins if `released` is empty. */
let next = 0;
/** The number of slots in use at which the next sweep is made. */
let sweepAt = MIN_SWEEP;

/**
 * Puts the pages of `[address, address + length)` under the guard. `address` is as
 * `mmap` returned it; the last page is guarded whole. Null where there is no guard: another
 * system, executable memory refused, the table full.
 *
 * The engine unmaps its memory without notice, so ranges end in three ways: by `release`, when a
 * new range overlaps them, and when the table is swept of ranges that are not mapped any more.
 */
export function guardRange(
  address: bigint,
  length: number,
): GuardedRange | null {
  if (table === undefined) {
    table = install();
    if (table !== null) Atomics.add(table.words, ISOLATES / 4, 1);
  }
  if (table === null) return null;
  const { words, longs } = table;
  const slot = claimSlot(words);
  if (slot === -1) return null;
  const end = address + BigInt(Math.ceil(length / pageSize) * pageSize);
  // The handler takes the first slot that matches: an old one would get the faults of the new.
  endOverlapped(words, Number(address), Number(end), slot);
  const at = HEADER + slot * SLOT;
  longs[(at + START) / 8] = address;
  longs[(at + END) / 8] = end;
  longs[(at + ZEROS) / 8] = end;
  words[(at + FAULTS) / 4] = 0;
  Atomics.add(words, (at + STATE) / 4, LIVE);
  return new Slot(table, slot, Number(address));
}

/** Whether the handler is still the one that the system calls: another library may have replaced it. */
export function isInstalled(): boolean {
  const listing = LISTINGS[Deno.build.arch];
  if (!table || listing === undefined) return false;
  const current = new BigUint64Array(ACTION_SIZE / 8);
  libc().sigaction!(SIGBUS, null, current);
  return isGuard(current[0]!, machineCode(listing));
}

class Slot implements GuardedRange {
  readonly faults: Int32Array;
  readonly #words: Int32Array;
  readonly #longs: BigUint64Array;
  #slot: number;
  readonly #start: number;

  constructor(table: Table, slot: number, start: number) {
    this.faults = new Int32Array(
      table.buffer,
      HEADER + slot * SLOT + FAULTS,
      1,
    );
    this.#words = table.words;
    this.#longs = table.longs;
    this.#slot = slot;
    this.#start = start;
  }

  get zerosAt(): number {
    const at = HEADER + this.#slot * SLOT + ZEROS;
    return addressAt(this.#words, at) - this.#start;
  }

  remap(map: () => boolean): boolean {
    if (this.#slot === -1) return map();
    const at = HEADER + this.#slot * SLOT;
    for (let tries = 1;; tries++) {
      const { faults } = this;
      const counted = Atomics.load(faults, 0);
      this.#awaitHandlers();
      // Of a fault that comes between this and the mapping, `zeros` lies too low: the pages above it
      // fault, each for itself.
      this.#longs[(at + ZEROS) / 8] = this.#longs[(at + END) / 8]!;
      if (!map()) return false;
      // A handler in another thread may have begun before, and map its zeros over the file's pages only now.
      this.#awaitHandlers();
      if (Atomics.compareExchange(faults, 0, counted, 0) === counted) {
        return true;
      }
      // Truncated again and again: the count makes the next check of the file map it again.
      if (tries === MAX_REMAPS) return true;
    }
  }

  /** Waits for the handlers that run in this range, in other threads: microseconds. */
  #awaitHandlers(): void {
    const state = (HEADER + this.#slot * SLOT + STATE) / 4;
    while ((Atomics.load(this.#words, state) & PINS) !== 0);
  }

  extend(length: number): void {
    if (this.#slot === -1) return;
    const at = HEADER + this.#slot * SLOT;
    const before = this.#longs[(at + END) / 8]!;
    const end = this.#longs[(at + START) / 8]! +
      BigInt(Math.ceil(length / pageSize) * pageSize);
    if (end <= before) return;
    endOverlapped(this.#words, this.#start, Number(end), this.#slot);
    if (this.#longs[(at + ZEROS) / 8] === before) {
      this.#longs[(at + ZEROS) / 8] = end;
    }
    this.#longs[(at + END) / 8] = end;
  }

  release(): void {
    if (this.#slot === -1) return;
    ranges.remove(this.#start, this.#slot);
    endRangeAt(this.#words, this.#slot, this.#start);
    this.#slot = -1;
  }
}

/** Frees a slot if it still has the range that begins there: others may have ended it, and used the slot again. */
function endRangeAt(words: Int32Array, slot: number, start: number): void {
  const at = HEADER + slot * SLOT + START;
  endRangeIf(words, slot, () => addressAt(words, at) === start);
}

/** Frees a slot if its range is over. The slot is pinned during the check, so that it keeps the range. */
function endRangeIf(
  words: Int32Array,
  slot: number,
  isOver: () => boolean,
): void {
  const state = (HEADER + slot * SLOT + STATE) / 4;
  const isLive = (Atomics.add(words, state, 1) & LIVE) !== 0;
  // The isolate that removes LIVE frees the slot.
  const isOurs = isLive && isOver() &&
    (Atomics.and(words, state, ~LIVE) & LIVE) !== 0;
  Atomics.sub(words, state, 1);
  if (!isOurs) return;
  while (Atomics.load(words, state) !== CLAIMED); // a handler at work: microseconds
  Atomics.sub(words, state, CLAIMED);
  released.push(slot);
}

/** Ends the ranges that overlap newly mapped memory, which gets this slot: theirs has been unmapped. */
function endOverlapped(
  words: Int32Array,
  start: number,
  end: number,
  slot: number,
): void {
  for (const { start: begun, value } of ranges.replace(start, end, slot)) {
    if (value !== slot) endRangeAt(words, value, begun);
  }
  if (Atomics.load(words, ISOLATES / 4) > 1) {
    endOthers(words, start, end, slot);
  }
}

/** As `endOverlapped`, for the ranges of other isolates, which may have been terminated. */
function endOthers(
  words: Int32Array,
  start: number,
  end: number,
  own: number,
): void {
  const used = Atomics.load(words, USED / 4);
  const [startHigh, startLow] = [
    Math.floor(start / UPPER_HALF),
    start % UPPER_HALF,
  ];
  const [endHigh, endLow] = [Math.floor(end / UPPER_HALF), end % UPPER_HALF];
  // There may be thousands of ranges: comparing 32 bits at a time takes less than half as long as numbers.
  for (let slot = 0, k = HEADER / 4; slot < used; slot++, k += SLOT / 4) {
    if ((words[k + STATE / 4]! & LIVE) === 0) continue;
    const high = words[k + START / 4 + 1]!;
    if (high > endHigh) continue;
    if (high === endHigh && words[k + START / 4]! >>> 0 >= endLow) continue;
    const endOfHigh = words[k + END / 4 + 1]!;
    if (endOfHigh < startHigh) continue;
    if (endOfHigh === startHigh && words[k + END / 4]! >>> 0 <= startLow) {
      continue;
    }
    if (slot === own) continue;
    const at = HEADER + slot * SLOT;
    endRangeIf(
      words,
      slot,
      () =>
        addressAt(words, at + START) < end &&
        addressAt(words, at + END) > start,
    );
  }
}

/** Ends the ranges whose memory has been unmapped; returns how many are left. */
function sweep(words: Int32Array): number {
  const { mincore } = libc();
  const residency = new Uint8Array(1);
  let live = 0;
  const used = Atomics.load(words, USED / 4);
  for (let slot = 0; slot < used; slot++) {
    const at = HEADER + slot * SLOT;
    if ((words[(at + STATE) / 4]! & LIVE) === 0) continue;
    endRangeIf(words, slot, () => {
      const start = BigInt(addressAt(words, at + START));
      // mincore(2): ENOMEM if the address is not mapped. It fails for no other reason here.
      const isMapped = mincore!(start, BigInt(pageSize), residency) === 0;
      if (isMapped) live++;
      return !isMapped;
    });
  }
  return live;
}

/** An address of the table as a number: user space has 47 or 48 bits. */
function addressAt(words: Int32Array, at: number): number {
  return words[at / 4 + 1]! * UPPER_HALF + (words[at / 4]! >>> 0);
}

/** Claims a free slot. Returns its number, or -1 if there is none. */
function claimSlot(words: Int32Array): number {
  if (released.length === 0 && Atomics.load(words, USED / 4) >= sweepAt) {
    sweepAt = Math.max(MIN_SWEEP, 2 * sweep(words));
  }
  // Another isolate may have taken what this one released.
  for (let slot; (slot = released.pop()) !== undefined;) {
    if (tryClaim(words, slot)) return slot;
  }
  for (let tried = 0; tried < SLOTS; tried++) {
    const slot = next;
    next = slot + 1 === SLOTS ? 0 : slot + 1;
    if (tryClaim(words, slot)) {
      raiseHighWater(words, slot + 1);
      return slot;
    }
  }
  return -1;
}

function tryClaim(words: Int32Array, slot: number): boolean {
  const state = (HEADER + slot * SLOT + STATE) / 4;
  return words[state] === 0 &&
    Atomics.compareExchange(words, state, 0, CLAIMED) === 0;
}

function raiseHighWater(words: Int32Array, slots: number): void {
  for (let used; (used = Atomics.load(words, USED / 4)) < slots;) {
    Atomics.compareExchange(words, USED / 4, used, slots);
  }
}

/** The table of the installed guard, or of a new one. */
function install(): Table | null {
  const listing = Deno.build.os === "linux"
    ? LISTINGS[Deno.build.arch]
    : undefined;
  if (listing === undefined || platform === undefined) return null;
  const { getpagesize, sigaction } = libc();
  if (sigaction === null) return null;
  const code = machineCode(listing);
  pageSize = getpagesize();

  const current = new BigUint64Array(ACTION_SIZE / 8);
  sigaction(SIGBUS, null, current);
  const installed = current[0]!;
  if (isGuard(installed, code)) return firstInstalled(installed, code);

  const handler = loadCode(code, TABLE, TABLE_SIZE);
  if (handler === null) return null;
  const own = new Table(handler);
  own.longs[PAGE_MASK / 8] = BigInt.asUintN(64, -BigInt(pageSize));

  const action = new DataView(new ArrayBuffer(ACTION_SIZE));
  action.setBigUint64(0, handler, true);
  action.setInt32(
    ACTION_FLAGS,
    SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER,
    true,
  );
  // The handler may run before the call that installs it has stored the previous one.
  own.longs[PREVIOUS / 8] = BigInt(UNKNOWN);
  const previous = new Uint8Array(own.buffer, PREVIOUS, ACTION_SIZE);
  if (sigaction(SIGBUS, action, previous) !== 0) return null;
  return firstInstalled(handler, code);
}

/**
 * The table of the first of the guards that chain to each other. Isolates that install
 * at one moment stack their handlers; all use the table at the bottom.
 */
function firstInstalled(handler: bigint, code: Uint8Array): Table {
  const table = new Table(handler);
  // Another isolate is in the call that installs this handler: nanoseconds.
  while (Atomics.load(table.words, PREVIOUS / 4) === UNKNOWN);
  const previous = table.longs[PREVIOUS / 8]!;
  return isGuard(previous, code) ? firstInstalled(previous, code) : table;
}

/** Whether a handler is a guard of this very version. */
function isGuard(handler: bigint, code: Uint8Array): boolean {
  if (handler === 0n || handler % SMALLEST_PAGE !== 0n) return false;
  // SAFETY: a handler can be read, and the code is shorter than the page it starts.
  const found = new Uint8Array(bufferAt(handler, code.length));
  return code.every((byte, index) => byte === found[index]);
}

function bufferAt(address: bigint, length: number): ArrayBuffer {
  return Deno.UnsafePointerView.getArrayBuffer(
    Deno.UnsafePointer.create(address)!,
    length,
  );
}
