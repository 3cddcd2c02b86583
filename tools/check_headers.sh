#!/bin/sh
# Every header compiles alone.
set -u
cd "$(dirname "$0")/.."
flags=$(pkg-config --cflags libevent jansson libsodium sqlite3 libpq libpcre2-8 libcyaml)
bad=0
for header in $(git ls-files 'src/*.h' 'include/*.h'); do
    isa=
    case $header in
    */simd_*.h) continue ;; # the halves of simd.h, which includes one of them
    */simd.h) isa='-mavx2 -mfma -mf16c' ;;
    esac
    # shellcheck disable=SC2086
    echo "#include \"$PWD/$header\"" | gcc -std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude $flags $isa -fsyntax-only -x c - || bad=1
done
exit $bad
