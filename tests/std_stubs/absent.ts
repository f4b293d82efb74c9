/** Called by stubs: a test that calls it should have been skipped. */
export function absent(): never {
  throw new Error(
    "The registry of @std is out of reach; set MMAPFILE_OFFLINE=1",
  );
}
