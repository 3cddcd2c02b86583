#!/bin/bash
# Everything that must hold before a commit, counted. `make check` runs it; ends with "N passed, N failed, N skipped".
#   tools/check.sh            all
#   tools/check.sh quick      without the sanitizers, the fuzzers, the browser and the emulator
set -u
cd "$(dirname "$0")/.."
quick=${1:-}
total_passed=0 total_failed=0 total_skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
started=$SECONDS
[ -d ../shared/data ] && export LOAM_TEST_DATA=${LOAM_TEST_DATA:-$(cd ../shared/data && pwd)}
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=1:detect_stack_use_after_return=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

say() { printf '%s %4ds  %s\n' "$(date +%H:%M:%S)" $((SECONDS - started)) "$*"; }

# counted NAME COMMAND...: a program that ends with its own "N passed, N failed[, N skipped]".
counted() {
    local name=$1 log="$logs/step.log" code p f s
    shift
    "$@" >"$log" 2>&1
    code=$?
    read -r p f s < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$/\1 \2 \4/p' "$log" | tail -n 1)
    if [ $code = 77 ] || [ -z "${p:-}" ]; then
        [ $code = 77 ] && p=0 f=0 s=1 || p=0 f=1 s=0
    fi
    [ $code != 0 ] && [ $code != 77 ] && [ "$f" = 0 ] && f=1
    total_passed=$((total_passed + p)) total_failed=$((total_failed + f)) total_skipped=$((total_skipped + ${s:-0}))
    say "$([ "$f" = 0 ] && echo 'ok     ' || echo 'FAILED ') $name: $p passed, $f failed, ${s:-0} skipped"
    [ "$f" = 0 ] || tail -n 60 "$log" | sed 's/^/    /'
    grep -iE '^ *skipped' "$log" | sed 's/^/  /'
    return 0
}

# step NAME COMMAND...: one check, by its exit code (77: skipped).
step() {
    local name=$1 log="$logs/step.log" code
    shift
    "$@" >"$log" 2>&1
    code=$?
    if [ $code = 0 ]; then
        total_passed=$((total_passed + 1)); say "ok      $name"
    elif [ $code = 77 ]; then
        total_skipped=$((total_skipped + 1)); say "skipped $name: $(tail -n 1 "$log")"
    else
        total_failed=$((total_failed + 1)); say "FAILED  $name"; tail -n 60 "$log" | sed 's/^/    /'
    fi
}

# suite NAME BUILD_DIR MESON_TEST_ARGS...: a meson test run, each test counted.
suite() {
    local name=$1 dir=$2 counts p f s
    shift 2
    meson test -C "$dir" --no-rebuild --print-errorlogs "$@" >"$logs/suite.log" 2>&1
    counts=$(python3 tools/count_tests.py "$dir" 2>"$logs/names.log")
    if [ -z "$counts" ]; then
        counts="0 1 0"; tail -n 30 "$logs/suite.log"
    fi
    read -r p f s <<<"$counts"
    total_passed=$((total_passed + p)) total_failed=$((total_failed + f)) total_skipped=$((total_skipped + s))
    say "$([ "$f" = 0 ] && echo 'ok     ' || echo 'FAILED ') $name: $p passed, $f failed, $s skipped"
    cat "$logs/names.log"
}

# configure DIR FLAGS...: makes a build folder or brings it up to date, and builds it.
configure() {
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || meson setup "$dir" "$@" || return 1
    ninja -C "$dir"
}

# The other architecture that kernels are written for, compiled and run under an emulator.
emulated() {
    step "build the engine for aarch64" tools/cross/build.sh build-aarch64
    [ -f build-aarch64/build.ninja ] || return
    suite "engine on aarch64, emulated" build-aarch64 -t 6
    step "the same bits on x86 and aarch64" tools/cross/compare_bits.sh build build-aarch64
}

sanitized() {
    step "build with ASan and UBSan" configure build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dconsole=false
    suite "tests under ASan and UBSan" build-asan -t 4 --no-suite slow
    step "build with TSan" configure build-tsan -Db_sanitize=thread -Db_lundef=false -Dconsole=false
    suite "threads under TSan" build-tsan -t 6 --suite base --suite net --suite serve --suite cloud --no-suite slow
}

# Each target with one seed, so that a check tells of the change and not of luck; tools/fuzz.sh by hand explores.
fuzzed() {
    export FUZZ_SEED=${FUZZ_SEED:-1}
    step "build the fuzz targets" env CC=clang meson_flags= bash -c \
        '[ -f build-fuzz/build.ninja ] || meson setup build-fuzz -Dfuzz=true -Dconsole=false -Db_sanitize=address,undefined -Db_lundef=false && ninja -C build-fuzz'
    for target in build-fuzz/tests/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        step "fuzz $(basename "$target") briefly" tools/fuzz.sh "${FUZZ_SECONDS:-4}" "$(basename "$target")"
    done
}

step "layers and habits" python3 tools/check_layers.py
step "build" configure build
step "headers compile alone" tools/check_headers.sh
suite "tests" build -t 2
step "install and uninstall" tools/check_install.sh build
counted "clients and protocols" tools/check_api.sh build
if [ "$quick" != quick ]; then
    counted "console in a browser" tools/check_console.sh build/loam
    emulated
    sanitized
    fuzzed
fi

say "done"
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" = 0 ]
