#!/bin/sh
# Bundles the console: build.sh SOURCE_DIR OUT_DIR. Installs the locked npm packages when they changed.
set -eu
out=$(readlink -f "$2")
cd "$1"
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-fund --no-audit --loglevel=error >&2
    touch node_modules/.package-lock.json
fi
node build.mjs "$out"
