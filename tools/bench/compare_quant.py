#!/usr/bin/env python3
"""How far quantized weights are from those they were made of: loam quantize beside llama-quantize, on the same tensors.

    PEER_LLAMA=llama.cpp/build/bin PYTHON tools/bench/compare_quant.py --loam build/loam model-f16.gguf
    PEER_LLAMA=... PYTHON tools/bench/compare_quant.py --loam build/loam --imatrix model.imatrix.gguf --types q4_k,q3_k model-f16.gguf

Every matrix gets the same type on both sides (--pure). The error is the mean square over all of them, that with an importance matrix
weighted by it, relative to the mean square of the weights. PYTHON needs the gguf package, which reads the files for both alike.
"""
import argparse
import pathlib
import tempfile
import time

import gguf
import numpy

import common

TYPES = "q8_0,q6_k,q5_k,q5_1,q5_0,q4_k,q4_1,q4_0,iq4_nl,iq4_xs,q3_k,q2_k"
NAMES = {"q5_k": "q5_k_s", "q4_k": "q4_k_s", "q3_k": "q3_k_s"}  # of files whose matrices have this type
KEYS = ["model", "type", "imatrix"]


def matrices(path):
    """{name: array} of all quantized or plain matrices."""
    return {t.name: t for t in gguf.GGUFReader(path).tensors if len(t.shape) == 2}


def values(tensor):
    rows = gguf.dequantize(tensor.data, tensor.tensor_type)
    return numpy.asarray(rows, dtype=numpy.float32).reshape(-1, int(tensor.shape[0]))


def importances(path):
    """{name: mean square of each column's input} of an importance matrix in GGUF."""
    found = {t.name: t.data for t in gguf.GGUFReader(path).tensors} if path else {}
    return {name.removesuffix(".in_sum2"): numpy.asarray(data, dtype=numpy.float64).reshape(-1)
            for name, data in found.items() if name.endswith(".in_sum2")}


def relative_error(source, quantized, importance):
    error = size = 0.0
    made = matrices(quantized)
    for name, tensor in matrices(source).items():
        x, y = values(tensor).astype(numpy.float64), values(made[name])
        weight = importance.get(name, 1.0)
        weight = weight / numpy.mean(weight)
        error += float(((x - y) ** 2 * weight).sum())
        size += float((x ** 2 * weight).sum())
    return error / size


def quantize(engine, program, args, source, target, name):
    imatrix = ["--imatrix", args.imatrix] if args.imatrix else []
    if engine == "loam":
        command = [program, "quantize", source, target, name, "--pure", "--threads", args.threads, *imatrix]
    else:
        command = [program, "--pure", *imatrix, source, target, name, args.threads]
    begin = time.monotonic()
    done = common.output_of(command) is not None
    return time.monotonic() - begin if done else None


def measure(engine, program, args, source, name, importance):
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "quantized.gguf"
        seconds = quantize(engine, program, args, source, target, NAMES.get(name, name))
        if seconds is None:
            return None
        return {"engine": engine, "model": pathlib.Path(source).stem, "type": name,
                "imatrix": "yes" if args.imatrix else "no", "seconds": seconds,
                "value": relative_error(source, target, importance)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--loam", default="build/loam")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--imatrix")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--save")
    parser.add_argument("--table", nargs="+", metavar="FILE")
    args = parser.parse_args()
    results = common.load(args.table) if args.table else []
    engines = {"loam": args.loam} | common.peer_programs("llama-quantize")
    importance = importances(args.imatrix)
    for source in args.models:
        for name in args.types.split(","):
            results += filter(None, (measure(engine, program, args, source, name, importance)
                                     for engine, program in engines.items()))
            common.save(args.save, results)
    print("relative squared error\n\n" + common.table(common.medians(results, KEYS), KEYS, places=8, less_is_better=True))
    seconds = common.medians([r | {"value": r["seconds"]} for r in results], KEYS)
    print("\nseconds\n\n" + common.table(seconds, KEYS, places=1, less_is_better=True))


if __name__ == "__main__":
    main()
