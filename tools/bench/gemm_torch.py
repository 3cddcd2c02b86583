#!/usr/bin/env python3
"""PyTorch's side of `loam bench gemm`: the products of training by shape, one JSON object each.

    gemm_torch.py [--threads N] [--dtype f32|bf16] [--m 1024] [--seconds 0.5] [NxK ...]

y = x w^T (train), dx = dy w, dw = dy^T x, each the best of as many runs as the seconds have room for. Without shapes: those of GPT-2
with 124 million parameters. PyTorch hands all of them to oneDNN or to its BLAS; which, `python -m torch.utils.collect_env` says.
"""
import argparse
import json
import time

import torch

GPT2 = ["2304x768", "768x768", "3072x768", "768x3072", "50304x768"]


def best(fn, seconds):
    fn()
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        fn()
        least = min(least, time.perf_counter() - begin)
    return least


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shapes", nargs="*", default=GPT2)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--dtype", default="f32", choices=("f32", "bf16"))
    parser.add_argument("--m", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.dtype == "bf16" else torch.float32
    m = args.m
    for shape in args.shapes:
        n, k = (int(part) for part in shape.split("x"))
        x, w, dy = (torch.randn(*size).to(dtype) for size in ((m, k), (n, k), (m, n)))
        y, dx, dw = (torch.empty(*size, dtype=dtype) for size in ((m, n), (m, k), (n, k)))
        products = {
            "train": lambda: torch.mm(x, w.t(), out=y),
            "dx": lambda: torch.mm(dy, w, out=dx),
            "dw": lambda: torch.mm(dy.t(), x, out=dw),
        }
        for op, product in products.items():
            seconds = best(product, args.seconds)
            row = dict(op=op, type=args.dtype, m=m, n=n, k=k, threads=torch.get_num_threads())
            print(json.dumps(row | dict(us=seconds * 1e6, gflop_per_s=2e-9 * m * n * k / seconds)), flush=True)


if __name__ == "__main__":
    main()
