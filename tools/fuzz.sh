#!/bin/bash
# Runs the fuzz targets of build-fuzz: fuzz.sh SECONDS [TARGET]. New inputs go to build-fuzz/corpus, seeds come from tests/fuzz/corpus; FUZZ_SEED
# repeats a run, otherwise every run tries something new.
set -u
cd "$(dirname "$0")/.."
seconds=${1:-60} only=${2:-}
if [ -z "$only" ]; then
    [ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Dconsole=false -Db_sanitize=address,undefined -Db_lundef=false || exit 1
    ninja -C build-fuzz || exit 1
fi
bad=0
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
for target in build-fuzz/tests/fuzz/${only:-fuzz_*}; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=$(basename "$target" | sed 's/^fuzz_//')
    mkdir -p "build-fuzz/corpus/$name"
    seeds=
    [ -d "tests/fuzz/corpus/$name" ] && seeds="tests/fuzz/corpus/$name"
    echo "fuzzing $name for $seconds s"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=0 -verbosity=0 ${FUZZ_SEED:+-seed=$FUZZ_SEED} \
        -artifact_prefix="build-fuzz/crash-$name-" "build-fuzz/corpus/$name" $seeds || bad=1
done
exit $bad
