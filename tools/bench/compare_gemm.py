#!/usr/bin/env python3
"""Products of training and inference: loam bench gemm beside torch, which hands them to oneDNN (bf16) and its BLAS (f32).

    PYTHON tools/bench/compare_gemm.py --loam build/loam -m 256,1024 --shapes gpt2-124m --types f32,bf16 -t 1,2 --save out.jsonl

Needs torch. Both sides take the best of many runs of about a millisecond; rounds alternate and their median counts.
"""
import argparse
import os
import time

import common

os.environ.pop("OPENBLAS_CORETYPE", None)

KEYS = ["op", "type", "m", "n", "k", "threads"]


def run_loam(args, threads):
    shape = ["--shapes", args.shapes] if not args.n else ["-n", args.n, "-k", args.k]
    command = [args.loam, "bench", "gemm", "-m", args.m, *shape, "--types", args.types, "--ops", args.ops, "-t", threads, "--json"]
    return [{"engine": "loam", **{key: row[key] for key in KEYS}, "value": row["gflop_per_s"]}
            for row in common.json_lines(common.output_of(command))]


def best_seconds(run):
    run()
    n, seconds = 1, 0.0
    while seconds < 1e-3:
        n *= 2
        begin = time.perf_counter()
        for _ in range(n):
            run()
        seconds = time.perf_counter() - begin
    best, end = seconds / n, time.perf_counter() + 0.1
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(n):
            run()
        best = min(best, (time.perf_counter() - begin) / n)
    return best


def run_torch(row):
    """The same product as a row of loam's."""
    import torch
    torch.set_num_threads(row["threads"])
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[row["type"]]
    m, n, k = row["m"], row["n"], row["k"]
    x, w, dy = (torch.randn(shape).to(dtype) for shape in ((m, k), (n, k), (m, n)))
    with torch.no_grad():
        run = {"forward": lambda: torch.nn.functional.linear(x, w), "train": lambda: torch.nn.functional.linear(x, w),
               "dx": lambda: dy @ w, "dw": lambda: dy.T @ x}[row["op"]]
        return row | {"engine": "torch", "value": 2 * m * n * k / best_seconds(run) * 1e-9}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loam", default="build/loam")
    parser.add_argument("-m", default="256,1024")
    parser.add_argument("-n", help="instead of --shapes, with -k")
    parser.add_argument("-k")
    parser.add_argument("--shapes", default="gpt2-124m")
    parser.add_argument("--types", default="f32,bf16")
    parser.add_argument("--ops", default="train,dx,dw")
    parser.add_argument("-t", "--threads", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save")
    parser.add_argument("--table", nargs="+", metavar="FILE")
    args = parser.parse_args()
    results = common.load(args.table) if args.table else []
    for threads in map(int, args.threads.split(",")) if not args.table else []:
        for _ in range(args.rounds):
            ours = run_loam(args, threads)
            results += ours + [run_torch(row) for row in ours]
            common.save(args.save, results)
    print(common.table(common.medians(results, KEYS), KEYS, places=0))


if __name__ == "__main__":
    main()
