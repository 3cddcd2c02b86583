#!/bin/bash
# Trains a tiny model and has others read what came out: check_export.sh LOAM LIBLOAM.SO. PYTHON: an interpreter with torch,
# transformers, gguf and tensorboard; without them the check is skipped.
set -eu
loam=$(readlink -f "$1") library=$(readlink -f "$2") python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
"$python" -c 'import torch, transformers, gguf, tensorboard' 2>/dev/null || { echo "no torch, transformers, gguf or tensorboard here"; exit 77; }
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
"$loam" corpus --out "$home/corpus" --stories 500 >/dev/null
for variant in model.n_kv_heads=2 model.tie_embeddings=false train.dtype=bf16 tokenizer.kind=bytes; do
    echo "== $variant"
    "$loam" train examples/stories.yaml --data "$home/corpus" --out "$home/$variant" --set train.steps=10 --set train.warmup_steps=2 \
        --set model.dim=64 --set model.n_layers=2 --set sample.max_tokens=0 --set "$variant" >"$home/log"
    "$python" tools/check_run.py "$home/$variant" "$library" 2>"$home/errors" || { tail "$home/errors"; exit 1; }
done
