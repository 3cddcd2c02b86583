#!/bin/sh
# Runs training steps of a model of GPT-2's size with loam and with PyTorch in turns, and prints the medians of the steps and their
# ratio. Both do the same operations in their matrix products; see train_step_torch.py for what the peer's blocks are.
#
#     tools/bench/compare_train.sh [f32|bf16] [threads] [rounds]
#
# LOAM and PYTHON name the programs; PEER_ARGS goes to train_step_torch.py (as "--blocks gpt2 --compile").
set -eu
dtype=${1:-f32} threads=${2:-1} rounds=${3:-3}
loam=${LOAM:-build/loam} python=${PYTHON:-python3} here=$(dirname "$0")
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE || true
times=$(mktemp -d)
trap 'rm -rf "$times"' EXIT

# Memory that the peer frees stays with it, so that its steps do not touch fresh pages.
peer() {
    MALLOC_TRIM_THRESHOLD_=-1 MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456 OMP_NUM_THREADS=$threads \
        "$python" "$here/train_step_torch.py" --dtype "$dtype" --threads "$threads" --steps 2 ${PEER_ARGS:-}
}

ours() {
    "$loam" bench train --dtype "$dtype" --threads "$threads" --steps 2 --json
}

i=0
while [ $i -lt "$rounds" ]; do
    ours >>"$times/loam"
    peer >>"$times/torch"
    i=$((i + 1))
done
"$python" - "$times/loam" "$times/torch" "$dtype" "$threads" <<'END'
import json
import statistics
import sys

medians = [statistics.median(json.loads(line)["ms"] for line in open(path)) for path in sys.argv[1:3]]
print(f"{sys.argv[3]}, {sys.argv[4]} threads: loam {medians[0]:.0f} ms, PyTorch {medians[1]:.0f} ms, ratio {medians[1] / medians[0]:.2f}")
END
