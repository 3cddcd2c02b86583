#!/bin/bash
# The OpenAI clients and the REST description against running servers: check_api.sh LOAM. Test clients come from PyPI and npm into build-clients/.
set -u
cd "$(dirname "$0")/.."
export LOAM=$(readlink -f "${1:-build/loam}")
python=build-clients/bin/python
if [ ! -x "$python" ]; then
    python3 -m venv build-clients && build-clients/bin/pip install -q openai schemathesis >build-clients/pip.log 2>&1 || {
        rm -rf build-clients
        echo "the test clients cannot be installed here (PyPI out of reach)"
        exit 77
    }
fi
bad=0
for script in tests/api/test_*.py; do
    [ -f "$script" ] || continue
    echo "== $script"
    "$python" "$script"
    code=$?
    [ $code = 0 ] || [ $code = 77 ] || bad=1
done
exit $bad
