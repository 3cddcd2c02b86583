#!/bin/bash
# The whole job once, on one machine: text -> model -> endpoint -> answers -> usage -> invoice.
#   tools/demo.sh LOAM [TEXT_FILE]
# Everything it makes lies under demo-home/, which a next run replaces. On a terminal the cloud stays up until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
loam=$(readlink -f "$1") text=${2:-} home=$PWD/demo-home
cloud_pid=
bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); fi

say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }

stop_cloud() {
    [ -z "$cloud_pid" ] || { kill "$cloud_pid" 2>/dev/null && wait "$cloud_pid" 2>/dev/null; } || true
    tools/stop_workers.sh "$home"
}
trap stop_cloud EXIT
trap 'exit 130' INT TERM

make_corpus() {
    if [ -n "$text" ]; then
        [ -r "$text" ] || { echo "demo: cannot read $text" >&2; exit 1; }
        corpus=$(readlink -f "$text")
        say "1/6  your text: $corpus ($(wc -c <"$corpus") bytes)"
        return
    fi
    say "1/6  writing a corpus of small stories from a grammar"
    "$loam" corpus --out "$home/corpus"
    corpus=$home/corpus
}

start_cloud() {
    say "2/6  starting the cloud: control plane, gateway and console in one process"
    "$loam" up --home "$home/cloud" --listen "127.0.0.1:${LOAM_DEMO_PORT:-8080}" --port-file "$home/port" >"$home/up.log" 2>&1 &
    cloud_pid=$!
    for _ in $(seq 100); do
        [ -s "$home/port" ] && break
        kill -0 "$cloud_pid" 2>/dev/null || { cat "$home/up.log" >&2; exit 1; }
        sleep 0.1
    done
    LOAM_URL=http://127.0.0.1:$(cat "$home/port")
    LOAM_API_KEY=$(grep -o 'loam-sk-[A-Za-z0-9_-]*' "$home/up.log" | head -n 1)
    export LOAM_URL LOAM_API_KEY
    echo "listening on $LOAM_URL"
    # prices as a small provider might set them
    "$loam" price set input_tokens 2.00 --currency CNY >/dev/null
    "$loam" price set output_tokens 8.00 --currency CNY >/dev/null
    "$loam" price set ph_leased 120000 --unit p_year --currency CNY >/dev/null
}

train_model() {
    say "3/6  training a tokenizer and a model (a job of the cloud, on its local pool)"
    "$loam" dataset create stories "$corpus" >/dev/null
    recipe=examples/stories.yaml
    [ -z "$text" ] || recipe=examples/text.yaml
    "$loam" job create stories --recipe "$recipe" --dataset stories --model stories >/dev/null
    "$loam" job wait stories
    echo
    echo "the model in the registry, with its lineage:"
    "$loam" model show stories
}

ask() {
    "$loam" chat stories --complete --temperature 0.7 --max-tokens 160 --seed "$1" "$2"
    echo
}

deploy_and_ask() {
    say "4/6  deploying the model as an endpoint"
    "$loam" endpoint create stories --model stories --min-replicas 1 >/dev/null
    "$loam" endpoint wait stories >/dev/null
    "$loam" endpoint list
    say "5/6  three answers, streamed through the OpenAI API"
    if [ -n "$text" ]; then
        first=$(head -c 4000 "$corpus" | tr -s '[:space:]' '\n' | head -n 3 | paste -sd' ')
        for seed in 1 2 3; do ask $seed "$first"; done
    else
        ask 1 "Once upon a time"
        ask 2 "One day"
        ask 3 "Long ago there was"
    fi
}

# Usage is booked from the worker's journal a moment after a request ends.
wait_for_books() {
    for _ in $(seq 50); do
        "$loam" usage records --json 2>/dev/null | grep -c '"kind": *"request"' | grep -qx 3 && return
        sleep 0.1
    done
}

show_bill() {
    say "6/6  what it cost"
    wait_for_books
    "$loam" usage sum --by model
    "$loam" invoice show
}

rm -rf "$home"
mkdir -p "$home"
started=$SECONDS
make_corpus
start_cloud
train_model
deploy_and_ask
show_bill
say "done in $((SECONDS - started)) s"
cat <<TEXT
console   $LOAM_URL   (log in with the key below)
key       $LOAM_API_KEY
talk      LOAM_URL=$LOAM_URL LOAM_API_KEY=$LOAM_API_KEY build/loam chat stories
next      README.md: five minutes to a model of your own; examples/*.yaml; docs/recipes.md
TEXT
if [ -t 0 ] && [ -t 1 ]; then
    echo "the cloud stays up until you press Ctrl-C"
    wait "$cloud_pid"
fi
