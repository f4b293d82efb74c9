# Shared by test_windows.sh, test_arm64.sh, and test_oldest.sh: getting another Deno, and packages.
# shellcheck shell=bash

readonly DENO_VERSION=2.9.6

# Arguments of `deno test`. Types are the same everywhere, and are checked on this machine.
readonly TEST_ARGS=(test -A --no-check --cached-only --v8-flags=--expose-gc --import-map tests/std_stubs/import_map.json)

# The directory that keeps everything for the next run.
readonly CACHE=${MMAPFILE_CACHE:-/var/tmp}

LOG=$(mktemp)
readonly LOG

say() { printf '%s\n' "$*"; }

# Prints the end of the log, and exits.
fail() {
  tail -n 20 "$LOG" >&2
  printf 'failed: %s\n' "$1" >&2
  exit 1
}

# Waits for another run that uses the same directory.
one_run_at_a_time() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1.lock"
  flock 9
}

# Installs a Debian package, unless its command exists.
need() {
  local command=$1 package=${2:-$1}
  if command -v "$command" >/dev/null; then return; fi
  say "installing $package"
  { apt-get update && apt-get install -y "$package"; } >"$LOG" 2>&1 ||
    fail "Debian's package $package is out of reach"
}

# Prints the address of the Debian archive that this machine uses.
debian_mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 '/debian/*$' ||
    fail "this machine's apt sources name no Debian archive"
}

# Unpacks an npm package into a directory.
npm_package() {
  local package=$1 directory=$2
  say "fetching $package"
  mkdir -p "$directory"
  (
    cd "$directory"
    npm pack "$package"
    tar -xz --strip-components=1 -f ./*.tgz
    rm ./*.tgz
  ) >"$LOG" 2>&1 || fail "npm's package $package is out of reach"
}

# Fills a DENO_DIR with the npm packages that tests and examples import, so that tests need no network.
npm_packages() {
  DENO_DIR=$1 host_deno cache --import-map tests/std_stubs/import_map.json \
    tests/*_test.ts examples/*.ts >"$LOG" 2>&1 </dev/null ||
    fail "the npm packages that the tests import are out of reach"
}

# Runs the Deno of this machine, or that of npm.
host_deno() {
  if command -v deno >/dev/null; then deno "$@"; else npx --yes deno "$@"; fi
}

# Prints why tests were skipped, and counts all tests in a last line, from JUnit reports.
count_tests() { host_deno run --allow-read scripts/count_tests.ts "$@"; }
