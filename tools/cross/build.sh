#!/bin/sh
# Builds the engine (base, compute, the CPU backend) and its tests for 64-bit Arm: build.sh FOLDER. `meson test -C FOLDER` then
# runs them under qemu. Exits with 77 and says why where the means are missing.
set -eu

folder=$1
tools=$(dirname "$0") sysroot=build-sysroot-arm64

skip() {
    echo "$1"
    exit 77
}

[ "$(uname -m)" != aarch64 ] || skip "this machine is aarch64 itself: the tests above ran its kernels"
for program in aarch64-linux-gnu-gcc qemu-aarch64 apt-get dpkg-deb; do
    command -v "$program" >/dev/null 2>&1 || skip "no $program here"
done
"$tools/sysroot.sh" arm64 "$sysroot" || skip "the distribution's arm64 packages of cmocka, jansson and libsodium cannot be fetched"
[ -f "$folder/build.ninja" ] || meson setup "$folder" -Dparts=engine --cross-file "$sysroot/sysroot.ini" --cross-file "$tools/aarch64.ini"
ninja -C "$folder"
