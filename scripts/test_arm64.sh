#!/usr/bin/env bash
# Runs all tests on 64-bit ARM: a Linux Deno under QEMU.
#
#   scripts/test_arm64.sh [argument of deno test]...
#
# Of many similar cases one in eight is tried. MMAPFILE_ONE_IN=1 tries all, which takes long.
#
# What it needs is downloaded once and kept, below MMAPFILE_CACHE (/var/tmp by default): 50 MB. Needs
# root, apt, and npm. Fails if packages cannot be downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/machines.sh

readonly HOME_DIR=$CACHE/mmapfile-linux-arm64
readonly ROOT=$HOME_DIR/root
readonly DENO=$HOME_DIR/deno-$DENO_VERSION/deno

# Runs apt for the other architecture, with this machine's archive only.
apt_arm64() {
  apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
    -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
    -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o APT::Sandbox::User=root "$@"
}

one_run_at_a_time "$HOME_DIR"
need qemu-aarch64-static qemu-user-static
if [[ ! -e $HOME_DIR/built ]]; then
  say "building $ROOT: the C library of Debian for arm64"
  rm -rf "$HOME_DIR"
  apt=$HOME_DIR/apt
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$ROOT"
  touch "$apt/status"
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "$(debian_mirror)" "$codename" >"$apt/sources.list"
  (cd "$apt/debs" && apt_arm64 update && apt_arm64 download libc6 libgcc-s1) >"$LOG" 2>&1 ||
    fail "Debian's packages for arm64 are out of reach"
  for deb in "$apt"/debs/*.deb; do dpkg-deb -x "$deb" "$ROOT"; done
  touch "$HOME_DIR/built"
fi
if [[ ! -e $DENO ]]; then
  npm_package "@deno/linux-arm64-glibc@$DENO_VERSION" "$HOME_DIR/deno-$DENO_VERSION"
fi
npm_packages "$HOME_DIR/cache"

# Without the tests in which the processor has no part: each process takes seconds to start.
readonly ELSEWHERE='clients|examples|geoip|inspect|messages|options|package|permissions|recipes|sanitizers|serve|std_interop|types|windows'
files=()
options=()
for argument; do
  if [[ -e $argument ]]; then files+=("$argument"); else options+=("$argument"); fi
done
if ((${#files[@]} == 0)); then
  readarray -t files < <(printf '%s\n' tests/*_test.ts | grep -vE "/($ELSEWHERE)_test\.ts$")
fi

# Deno signs its pointers; standard signatures make everything three times as slow.
# A child process needs the runner too: the tests put it before the command.
runner="$(command -v qemu-aarch64-static) -cpu max,pauth-impdef=on -L $ROOT"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Runs one file of tests in a process of its own. fork(2) of a process with threads may hang in QEMU 7.2: a
# file that takes too long is run once more.
run_file() {
  local file=$1 log=$logs/${1//\//-} status
  for _ in 1 2; do
    status=0
    # shellcheck disable=SC2086
    timeout --kill-after=10 1200 env NO_COLOR=1 MMAPFILE_OFFLINE=1 MMAPFILE_TEST_RUNNER="$runner" \
      DENO_DIR="$HOME_DIR/cache" $runner "$DENO" "${TEST_ARGS[@]}" --junit-path="$log.xml" "${options[@]}" "$file" \
      </dev/null >"$log" 2>&1 9>&- || status=$?
    if ((status != 124 && status != 137)); then break; fi
    printf '\n%s took too long\n' "$file"
  done
  cat "$log"
  printf '%d\n' "$status" >"$log.status"
}

# Says which files failed, with what they printed last.
report_failures() {
  local file log status bad=0
  for file in "${files[@]}"; do
    log=$logs/${file//\//-}
    status=$(cat "$log.status" 2>/dev/null || echo 'not run')
    if [[ $status == 0 ]]; then continue; fi
    printf '\n%s failed, exit code %s:\n' "$file" "$status"
    tail -n 15 "$log"
    bad=1
  done
  return "$bad"
}

# As many files at a time as there are processors.
for file in "${files[@]}"; do
  while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || true; done
  run_file "$file" &
done
wait || true

status=0
report_failures || status=1
count_tests "$logs"/*.xml
exit "$status"
