#!/bin/bash
# Test clients against running servers and the tokenizers: check_api.sh BUILD_DIR. OpenAI's clients, schemathesis against the REST
# description, the packages tokenizers, sentencepiece and gguf; they come from PyPI and npm into build-clients/.
set -u
cd "$(dirname "$0")/.."
build=${1:-build}
export LOAM=$(readlink -f "$build/loam")
python=build-clients/bin/python
if [ ! -f build-clients/complete ]; then
    rm -rf build-clients
    python3 -m venv build-clients &&
        build-clients/bin/pip install -q openai schemathesis gguf tokenizers sentencepiece protobuf >build-clients/pip.log 2>&1 &&
        touch build-clients/complete || {
        echo "skipped: the test clients cannot be installed here (PyPI out of reach)"
        exit 77
    }
fi
bad=0 passed=0 failed=0 skipped=0

run() { # one script: by its own count if it prints one, else by its exit code
    echo "== $*"
    "$python" "$@" >build-clients/output.log 2>&1
    local code=$? counts
    cat build-clients/output.log
    counts=$(grep -oE '^Ran [0-9]+ tests?' build-clients/output.log | tail -n 1 | grep -oE '[0-9]+')
    case $code in
    0) passed=$((passed + ${counts:-1})) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) bad=1 ;;
    esac
}

for script in tests/api/test_*.py; do run "$script"; done
run tests/golden/compare_tokenizers.py "$build/tests/golden/tokenize_lines" 400
echo "$passed passed, $failed failed, $skipped skipped"
exit $bad
