/**
 * kernel32 and kernelbase: their functions, constants and the codes of their errors.
 *
 * Loaded once per isolate, on first use. Handles and addresses travel as bigints, so
 * that nothing is lost of their 64 bits.
 *
 * @module
 */

import { errnoError } from "../errors.ts";
import { type Functions, loadFunctions } from "../native_library.ts";

// Windows SDK, winnt.h, fileapi.h, memoryapi.h, winbase.h.
export const GENERIC_READ = 0x8000_0000;
export const GENERIC_WRITE = 0x4000_0000;
export const FILE_SHARE_ALL = 1 | 2 | 4; // READ, WRITE, DELETE
export const OPEN_EXISTING = 3;
export const FILE_ATTRIBUTE_NORMAL = 0x80;
export const PAGE_NOACCESS = 1;
export const PAGE_READONLY = 2;
export const PAGE_READWRITE = 4;
export const PAGE_WRITECOPY = 8;
export const MEM_PRESERVE_PLACEHOLDER = 2;
export const MEM_RESERVE = 0x2000;
export const MEM_REPLACE_PLACEHOLDER = 0x4000;
export const MEM_RELEASE = 0x8000;
export const MEM_RESERVE_PLACEHOLDER = 0x4_0000;
export const FILE_MAP_COPY = 1;
export const FILE_MAP_WRITE = 2;
export const FILE_MAP_READ = 4;
/** (HANDLE) -1. */
export const INVALID_HANDLE_VALUE = 0xffff_ffff_ffff_ffffn;
/** What GetCurrentProcess() returns: a constant, (HANDLE) -1 too. */
export const CURRENT_PROCESS = INVALID_HANDLE_VALUE;
/** Bytes of a page on every architecture that Windows runs on. */
export const PAGE_SIZE = 4096;
const FORMAT_MESSAGE_IGNORE_INSERTS = 0x200;
const FORMAT_MESSAGE_FROM_SYSTEM = 0x1000;

const SYMBOLS = {
  // DWORD GetLastError(void);
  GetLastError: { parameters: [], result: "u32" },
  // DWORD FormatMessageW(DWORD dwFlags, LPCVOID lpSource, DWORD dwMessageId, DWORD dwLanguageId,
  //                      LPWSTR lpBuffer, DWORD nSize, va_list *Arguments);
  FormatMessageW: {
    parameters: ["u32", "usize", "u32", "u32", "buffer", "u32", "usize"],
    result: "u32",
  },
  // void GetSystemInfo(LPSYSTEM_INFO lpSystemInfo);
  GetSystemInfo: { parameters: ["buffer"], result: "void" },
  // HANDLE CreateFileW(LPCWSTR lpFileName, DWORD dwDesiredAccess, DWORD dwShareMode,
  //                    LPSECURITY_ATTRIBUTES lpSecurityAttributes, DWORD dwCreationDisposition,
  //                    DWORD dwFlagsAndAttributes, HANDLE hTemplateFile);
  CreateFileW: {
    parameters: ["buffer", "u32", "u32", "usize", "u32", "u32", "usize"],
    result: "usize",
  },
  // BOOL GetFileInformationByHandle(HANDLE hFile, LPBY_HANDLE_FILE_INFORMATION lpFileInformation);
  GetFileInformationByHandle: {
    parameters: ["usize", "buffer"],
    result: "i32",
  },
  // HANDLE CreateFileMappingW(HANDLE hFile, LPSECURITY_ATTRIBUTES lpFileMappingAttributes,
  //                           DWORD flProtect, DWORD dwMaximumSizeHigh, DWORD dwMaximumSizeLow,
  //                           LPCWSTR lpName);
  CreateFileMappingW: {
    parameters: ["usize", "usize", "u32", "u32", "u32", "usize"],
    result: "usize",
  },
  // LPVOID MapViewOfFile(HANDLE hFileMappingObject, DWORD dwDesiredAccess, DWORD dwFileOffsetHigh,
  //                      DWORD dwFileOffsetLow, SIZE_T dwNumberOfBytesToMap);
  MapViewOfFile: {
    parameters: ["usize", "u32", "u32", "u32", "usize"],
    result: "usize",
  },
  // BOOL UnmapViewOfFile(LPCVOID lpBaseAddress);
  UnmapViewOfFile: { parameters: ["usize"], result: "i32" },
  // LPVOID VirtualAlloc(LPVOID lpAddress, SIZE_T dwSize, DWORD flAllocationType, DWORD flProtect);
  VirtualAlloc: {
    parameters: ["usize", "usize", "u32", "u32"],
    result: "usize",
  },
  // BOOL VirtualFree(LPVOID lpAddress, SIZE_T dwSize, DWORD dwFreeType);
  VirtualFree: { parameters: ["usize", "usize", "u32"], result: "i32" },
  // BOOL FlushViewOfFile(LPCVOID lpBaseAddress, SIZE_T dwNumberOfBytesToFlush);
  FlushViewOfFile: { parameters: ["usize", "usize"], result: "i32" },
  FlushViewOfFileAsync: {
    name: "FlushViewOfFile",
    parameters: ["usize", "usize"],
    result: "i32",
    nonblocking: true,
  },
  // BOOL FlushFileBuffers(HANDLE hFile);
  FlushFileBuffers: { parameters: ["usize"], result: "i32" },
  FlushFileBuffersAsync: {
    name: "FlushFileBuffers",
    parameters: ["usize"],
    result: "i32",
    nonblocking: true,
  },
  // BOOL PrefetchVirtualMemory(HANDLE hProcess, ULONG_PTR NumberOfEntries,
  //                            PWIN32_MEMORY_RANGE_ENTRY VirtualAddresses, ULONG Flags);
  PrefetchVirtualMemory: {
    parameters: ["usize", "usize", "buffer", "u32"],
    result: "i32",
  },
  PrefetchVirtualMemoryAsync: {
    name: "PrefetchVirtualMemory",
    parameters: ["usize", "usize", "buffer", "u32"],
    result: "i32",
    nonblocking: true,
  },
  // BOOL CloseHandle(HANDLE hObject);
  CloseHandle: { parameters: ["usize"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Of Windows 10, version 1803. An older kernelbase lacks them. */
const KERNELBASE_SYMBOLS = {
  // PVOID VirtualAlloc2(HANDLE Process, PVOID BaseAddress, SIZE_T Size, ULONG AllocationType,
  //                     ULONG PageProtection, MEM_EXTENDED_PARAMETER *ExtendedParameters,
  //                     ULONG ParameterCount);
  VirtualAlloc2: {
    parameters: ["usize", "usize", "usize", "u32", "u32", "usize", "u32"],
    result: "usize",
    optional: true,
  },
  // PVOID MapViewOfFile3(HANDLE FileMapping, HANDLE Process, PVOID BaseAddress, ULONG64 Offset,
  //                      SIZE_T ViewSize, ULONG AllocationType, ULONG PageProtection,
  //                      MEM_EXTENDED_PARAMETER *ExtendedParameters, ULONG ParameterCount);
  MapViewOfFile3: {
    parameters: [
      "usize",
      "usize",
      "usize",
      "u64",
      "usize",
      "u32",
      "u32",
      "usize",
      "u32",
    ],
    result: "usize",
    optional: true,
  },
  // BOOL UnmapViewOfFile2(HANDLE Process, PVOID BaseAddress, ULONG UnmapFlags);
  UnmapViewOfFile2: {
    parameters: ["usize", "usize", "u32"],
    result: "i32",
    optional: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of kernel32. */
export type Kernel32 = Functions<typeof SYMBOLS>;

/** The functions of kernelbase: `null` where it lacks them. */
export type Kernelbase = Deno.DynamicLibrary<
  typeof KERNELBASE_SYMBOLS
>["symbols"];

let loaded: Kernel32 | undefined;
let loadedBase: Kernelbase | undefined;

/** kernel32, loaded at the first call. */
export function kernel32(): Kernel32 {
  return loaded ??= loadFunctions("kernel32.dll", SYMBOLS);
}

/** kernelbase, loaded at the first call. */
export function kernelbase(): Kernelbase {
  return loadedBase ??= loadFunctions("kernelbase.dll", KERNELBASE_SYMBOLS);
}

/** Bytes of which the offset of a mapping in its file is a multiple: 65536 on every Windows so far. */
export function granularity(): number {
  return bytesOfGranule ||= askGranularity();
}

let bytesOfGranule = 0;

function askGranularity(): number {
  // SYSTEM_INFO of 64-bit Windows: 48 bytes, dwAllocationGranularity at 40.
  const info = new DataView(new ArrayBuffer(48));
  kernel32().GetSystemInfo(info);
  return info.getUint32(40, true);
}

/**
 * The error for the call that has just failed: reads GetLastError, which holds
 * only until the next call of any kind in this thread, so nothing may come between.
 */
export function lastError(
  action: string,
  name: string,
  syscall: string,
): Error {
  return systemError(kernel32().GetLastError(), action, name, syscall);
}

/** The error for a call that failed with `errno`. */
export function systemError(
  errno: number,
  action: string,
  name: string,
  syscall: string,
): Error {
  const facts = { syscall, code: codeOf(errno), errno };
  return errnoError(action, name, describe(errno), facts);
}

/** winerror.h: those that a file can meet. */
const CODES: Record<number, string> = {
  2: "ERROR_FILE_NOT_FOUND",
  3: "ERROR_PATH_NOT_FOUND",
  4: "ERROR_TOO_MANY_OPEN_FILES",
  5: "ERROR_ACCESS_DENIED",
  6: "ERROR_INVALID_HANDLE",
  8: "ERROR_NOT_ENOUGH_MEMORY",
  14: "ERROR_OUTOFMEMORY",
  19: "ERROR_WRITE_PROTECT",
  21: "ERROR_NOT_READY",
  23: "ERROR_CRC",
  32: "ERROR_SHARING_VIOLATION",
  33: "ERROR_LOCK_VIOLATION",
  39: "ERROR_HANDLE_DISK_FULL",
  50: "ERROR_NOT_SUPPORTED",
  53: "ERROR_BAD_NETPATH",
  64: "ERROR_NETNAME_DELETED",
  80: "ERROR_FILE_EXISTS",
  87: "ERROR_INVALID_PARAMETER",
  112: "ERROR_DISK_FULL",
  123: "ERROR_INVALID_NAME",
  131: "ERROR_NEGATIVE_SEEK",
  183: "ERROR_ALREADY_EXISTS",
  206: "ERROR_FILENAME_EXCED_RANGE",
  223: "ERROR_FILE_TOO_LARGE",
  487: "ERROR_INVALID_ADDRESS",
  998: "ERROR_NOACCESS",
  1006: "ERROR_FILE_INVALID",
  1117: "ERROR_IO_DEVICE",
  1132: "ERROR_MAPPED_ALIGNMENT",
  1224: "ERROR_USER_MAPPED_FILE",
  1295: "ERROR_DISK_QUOTA_EXCEEDED",
  1314: "ERROR_PRIVILEGE_NOT_HELD",
  1450: "ERROR_NO_SYSTEM_RESOURCES",
  1455: "ERROR_COMMITMENT_LIMIT",
  1784: "ERROR_INVALID_USER_BUFFER",
};

/** The symbolic name of an error, such as "ERROR_DISK_FULL". */
export function codeOf(errno: number): string {
  return CODES[errno] ?? `ERROR_${errno}`;
}

/** What Windows says of an error, such as "There is not enough space on the disk." */
function describe(errno: number): string {
  const text = new Uint16Array(512);
  const length = kernel32().FormatMessageW(
    FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
    0n,
    errno,
    0,
    text,
    text.length,
    0n,
  );
  const said = String.fromCharCode(...text.subarray(0, length)).trimEnd();
  return said === "" ? codeOf(errno) : said;
}
