#!/bin/sh
# The results of every conformance case have the same bits here and on the emulated machine: compare_bits.sh HERE THERE
set -eu

program=tests/conformance/test_conformance_ops
bits=$(mktemp -d)
trap 'rm -rf "$bits"' EXIT
"$1/$program" --bits >"$bits/here"
qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu "$2/$program" --bits >"$bits/there"
[ -s "$bits/here" ] || { echo "no cases"; exit 1; }
diff "$bits/here" "$bits/there"
