#!/bin/bash
# The console's types and its walk through a browser, against a cloud of its own on a free port: check_console.sh LOAM [SCREENSHOT_DIR]
set -u
cd "$(dirname "$0")/.."
loam=$(readlink -f "${1:-build/loam}")
home=$(mktemp -d) cloud=
shots=${2:-$home}
finish() {
    [ -n "$cloud" ] && kill "$cloud" 2>/dev/null && wait "$cloud" 2>/dev/null
    tools/stop_workers.sh "$home"
    rm -rf "$home"
}
trap finish EXIT

(cd console && npx --no-install tsc --noEmit) || exit 1
command -v "${CHROMIUM:-/usr/bin/chromium}" >/dev/null || { echo "no Chromium here"; exit 77; }
"$loam" corpus --out "$home/corpus" --stories 2000 --seed 7 >/dev/null || exit 1
sed "s#@DATA@#$home/corpus#" tests/e2e/tiny.yaml >"$home/recipe.yaml"
"$loam" up --home "$home/cloud" --listen 127.0.0.1:0 --port-file "$home/port" >"$home/up.log" 2>&1 &
cloud=$!
for _ in $(seq 100); do [ -s "$home/port" ] && break; sleep 0.1; done
key=$(grep -o 'loam-sk-[A-Za-z0-9_-]*' "$home/up.log" | head -n 1)
[ -n "$key" ] || { cat "$home/up.log"; exit 1; }
price() { # KIND UNIT MICROS
    curl -fsS -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "http://127.0.0.1:$(cat "$home/port")/api/v1/prices" \
        -d "{\"kind\":\"$1\",\"unit\":\"$2\",\"amount_micros\":$3,\"currency\":\"CNY\"}" >/dev/null || exit 1
}
price input_tokens million_tokens 2000000
price output_tokens million_tokens 8000000
price ph_leased p_hour 15000000
(cd console && node e2e/console.mjs "http://127.0.0.1:$(cat "$home/port")" "$key" "$home/recipe.yaml" "$shots")
code=$?
[ $code = 0 ] || tail -n 20 "$home/up.log"
exit $code
