/** Called in place of what is not there: a test that comes here has not been skipped. */
export function absent(): never {
  throw new Error(
    "The registry of @std is out of reach; set MMAPFILE_OFFLINE=1",
  );
}
