/**
 * Functions of a library that the system keeps loaded in every process.
 *
 * @module
 */

/** The functions of a library, as `Deno.dlopen` types them. */
export type Functions<Symbols extends Deno.ForeignLibraryInterface> =
  Deno.DynamicLibrary<Symbols>["symbols"];

/**
 * Loads functions, and closes Deno's handle of the library at once. Deno's test runner takes an open
 * one for a leak of the test that opened the first file.
 *
 * @throws What `Deno.dlopen` throws.
 */
export function loadFunctions<
  const Symbols extends Deno.ForeignLibraryInterface,
>(name: string, symbols: Symbols): Functions<Symbols> {
  const nonblocking = Object.entries(symbols).filter(isNonblocking);
  const library = Deno.dlopen(name, {
    ...symbols,
    ...Object.fromEntries(nonblocking.map(asAddress)),
  });
  const functions: Record<string, unknown> = { ...library.symbols };
  for (const [key, definition] of nonblocking) {
    // Deno looks such a function up in its handle at each call, but one that is called by its address.
    const address = functions[key] as Address | null;
    functions[key] = address && callable(address, definition);
  }
  // SAFETY: the functions are called by their addresses, which stay right: the system's libraries are
  // part of the process, and not unloaded with the last handle.
  library.close();
  return functions as Functions<Symbols>;
}

type Address = Deno.PointerObject<Omit<Deno.ForeignFunction, "nonblocking">>;
type Definition = [key: string, Deno.ForeignFunction];

function isNonblocking(
  entry: [string, Deno.ForeignFunction | Deno.ForeignStatic],
): entry is Definition {
  return "nonblocking" in entry[1] && entry[1].nonblocking === true;
}

function asAddress(
  [key, { name = key, optional = false }]: Definition,
): [string, Deno.ForeignStatic<"pointer">] {
  return [key, { name, type: "pointer", optional }];
}

function callable(
  address: Address,
  definition: Deno.ForeignFunction,
): (...args: never[]) => unknown {
  const fn = new Deno.UnsafeFnPointer(address, definition);
  return (...args) => fn.call(...args);
}
