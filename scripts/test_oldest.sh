#!/usr/bin/env bash
# Checks types and runs all tests in the oldest Deno that the README names.
#
#   scripts/test_oldest.sh [argument of deno test]...
#
# That Deno is downloaded once and kept, below MMAPFILE_CACHE (/var/tmp by default): 140 MB. Needs npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/machines.sh

readonly OLDEST=2.8.0
readonly HOME_DIR=$CACHE/mmapfile-deno-$OLDEST
readonly DENO=$HOME_DIR/node_modules/.bin/deno

one_run_at_a_time "$HOME_DIR"
if ! "$DENO" --version >"$LOG" 2>&1; then
  say "fetching deno@$OLDEST"
  npm install --prefix "$HOME_DIR" "deno@$OLDEST" >"$LOG" 2>&1 ||
    fail "npm's package deno@$OLDEST is out of reach"
fi
"$DENO" --version

"$DENO" check mod.ts
exec "$DENO" run -A scripts/test.ts "$@"
