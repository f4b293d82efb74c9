#!/usr/bin/env bash
# Runs all tests on Windows: a Windows Deno under Wine, in a separate Debian.
#
#   scripts/test_windows.sh [argument of deno test]...
#
# That Debian is built once and kept, below MMAPFILE_CACHE (/var/tmp by default): 250 MB to download,
# 2 GB on the disk. Needs root, apt, and npm. Fails if packages cannot be downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/machines.sh

readonly ROOT=$CACHE/mmapfile-windows
# The Wine of the Debian before this one is too old for Deno.
readonly RELEASE=trixie

one_run_at_a_time "$ROOT"
if [[ ! -e $ROOT/w/built ]]; then
  need debootstrap
  say "building $ROOT: Debian $RELEASE with Wine"
  for mounted in proc w/small; do
    if mountpoint -q "$ROOT/$mounted"; then umount "$ROOT/$mounted"; fi
  done
  rm -rf --one-file-system "$ROOT"
  mirror=$(debian_mirror)
  debootstrap --variant=minbase --include=wine,wine64 "$RELEASE" "$ROOT" "$mirror" >"$LOG" 2>&1 ||
    fail "Debian's packages are out of reach, or cannot be unpacked here"
  printf '127.0.0.1 localhost\n' >"$ROOT/etc/hosts"
  mkdir "$ROOT/w"
  touch "$ROOT/w/built"
fi
if [[ ! -e $ROOT/w/deno-$DENO_VERSION/deno.exe ]]; then
  npm_package "@deno/win32-x64@$DENO_VERSION" "$ROOT/w/deno-$DENO_VERSION"
fi
npm_packages "$ROOT/w/cache"
rm -rf "$ROOT/w/src"
mkdir "$ROOT/w/src"
tar -c --exclude=./.git --exclude=node_modules . | tar -x -C "$ROOT/w/src" --no-same-owner

# Without it, Wine cannot load its ntdll.so.
if ! mountpoint -q "$ROOT/proc"; then mount -t proc proc "$ROOT/proc"; fi
if ! mountpoint -q "$ROOT/w/small"; then
  mkdir -p "$ROOT/w/small"
  mount -t tmpfs -o size=256k tmpfs "$ROOT/w/small"
fi
trap 'umount "$ROOT/proc" "$ROOT/w/small"' EXIT

if (($# == 0)); then set -- tests/; fi
status=0
chroot "$ROOT" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin LANG=C.UTF-8 \
  XDG_RUNTIME_DIR=/tmp NO_COLOR=1 WINEPREFIX=/root/.wine WINEDEBUG=-all \
  DENO_DIR='Z:\w\cache' MMAPFILE_OFFLINE=1 MMAPFILE_WINE=1 MMAPFILE_SMALL_DISK='Z:\w\small' \
  sh -c 'cd /w/src && exec wine "$@"' sh "/w/deno-$DENO_VERSION/deno.exe" "${TEST_ARGS[@]}" --junit-path=tests.xml "$@" \
  </dev/null 2>&1 || status=$?
count_tests "$ROOT/w/src/tests.xml"
exit "$status"
