#!/bin/sh
# Installs the packages that loam needs and does not find. `install-deps.sh build` for the program, `check` for the tests too.
set -eu

kind=${1:-build}
packages="gcc make pkg-config meson ninja-build libevent-dev libcurl4-openssl-dev libjansson-dev libcyaml-dev libyaml-dev
 libsqlite3-dev libpq-dev libpcre2-dev libutf8proc-dev libsodium-dev libssl-dev libcmocka-dev"
command -v npm >/dev/null 2>&1 || packages="$packages nodejs npm"
if [ "$kind" = check ]; then
    packages="$packages clang libclang-rt-dev postgresql prometheus chromium chromium-driver python3 python3-venv curl"
    # Kernels of the other architecture: a cross compiler and an emulator. The libraries they link come by tools/cross/sysroot.sh.
    [ "$(uname -m)" != x86_64 ] || packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
fi

# The package's name on this distribution, where names differ between releases.
resolve() {
    case $1 in
    libclang-rt-dev)
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
        echo "libclang-rt-${version:-14}-dev" ;;
    *) echo "$1" ;;
    esac
}

installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'
}

find_missing() {
    missing=
    for package in $packages; do
        package=$(resolve "$package")
        installed "$package" || missing="$missing $package"
    done
}

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    echo "loam: packages are installed by themselves on Debian and Ubuntu only; please install the like of:" >&2
    echo $packages >&2
    echo "(continuing in case they are there already)" >&2
    exit 0
fi

find_missing
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "loam: please install as root:$missing" >&2; exit 1; }
    sudo=sudo
fi
echo "loam: installing$missing"
$sudo apt-get update -qq || echo "loam: apt-get update failed; trying with the lists that are here" >&2
find_missing # the lists may have told the right names only now
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/tmp/loam-apt-$$.log 2>&1 || {
    cat /tmp/loam-apt-$$.log >&2
    exit 1
}
rm -f /tmp/loam-apt-$$.log
