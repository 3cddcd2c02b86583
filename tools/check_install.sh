#!/bin/bash
# Installs into a scratch folder, tries what was installed, uninstalls, and finds nothing left.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root meson install -C "$build" --no-rebuild >/dev/null
program=$(find "$root" -type f -name loam -path '*bin*')
"$program" version
for want in 'bin/loam$' 'include/loam/status.h$' 'pkgconfig/loam.pc$' 'man1/loam.1' 'loam.service$' 'bash-completion/completions/loam$' 'libloam'; do
    find "$root" | grep -q "$want" || { echo "not installed: $want"; exit 1; }
done
for page in $(find "$root" -name '*.1'); do
    if command -v groff >/dev/null; then
        warnings=$(groff -man -Tutf8 -ww -z "$page" 2>&1) || true
        [ -z "$warnings" ] || { echo "$page: $warnings"; exit 1; }
    fi
done
# uninstall reads meson's log of the install, which holds the scratch paths
DESTDIR=$root ninja -C "$build" uninstall >/dev/null
left=$(find "$root" -type f -o -type l | head)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
