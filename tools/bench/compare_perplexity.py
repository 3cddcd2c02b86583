#!/usr/bin/env python3
"""What a model's quantized files are worth: loam perplexity beside llama-perplexity, on the same files and text.

    PEER_LLAMA=llama.cpp/build/bin tools/bench/compare_perplexity.py --loam build/loam --text text.txt --ctx 256 --chunks 40 model-f32.gguf
    tools/bench/compare_perplexity.py --table out.jsonl

Each type is made of the model by loam quantize; --peer-files has llama-quantize make it instead. Models whose rows are multiples of
256 have every type; a file that an engine cannot open gives a dash.
"""
import argparse
import pathlib
import re
import tempfile

import common

TYPES = ("f32,f16,bf16,q8_0,q6_k,q5_k_m,q5_k_s,q5_1,q5_0,q4_k_m,q4_k_s,q4_1,q4_0,iq4_nl,iq4_xs,mxfp4,"
         "q3_k_l,q3_k_m,q3_k_s,q2_k")
KEYS = ["model", "type", "made_by"]
TRIES = 4  # some builds of llama-perplexity lose the end of what they log now and then


def evaluate(engine, program, args, model):
    chunks = ["--chunks", args.chunks] if args.chunks else []
    if engine == "loam":
        command = [program, "perplexity", model, "-f", args.text, "-c", args.ctx, "-t", args.threads, "--json", *chunks]
        answers = common.json_lines(common.output_of(command))
        return answers[-1]["perplexity"] if answers else None
    command = [program, "-m", model, "-f", args.text, "-c", args.ctx, "-t", args.threads, *chunks, *common.peer_flags(engine)]
    for _ in range(TRIES):
        answer = re.search(r"PPL = ([0-9.]+)", common.output_of(command, with_errors=True) or "")
        if answer:
            return float(answer.group(1))
    return None


def make(args, source, target, name):
    if args.peer_files:
        program = common.peer_programs("llama-quantize")["llama.cpp"]
        return common.output_of([program, source, target, name, args.threads]) is not None
    return common.output_of([args.loam, "quantize", source, target, name, "--threads", args.threads]) is not None


def difference(row):
    ours, theirs = row["values"].get("loam"), row["values"].get("llama.cpp")
    return f"{100 * (ours / theirs - 1):+.3f} %" if ours and theirs else "–"


def print_table(results):
    rows = common.medians(results, KEYS)
    engines = list(dict.fromkeys(result["engine"] for result in results))
    print("| " + " | ".join([*KEYS, *engines, "loam to llama.cpp"]) + " |")
    print("|" + "---|" * len(KEYS) + "--:|" * (len(engines) + 1))
    for row in rows:
        values = [f"{row['values'][engine]:.4f}" if engine in row["values"] else "–" for engine in engines]
        print("| " + " | ".join([*(row[key] for key in KEYS), *values, difference(row)]) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="in F32, F16 or BF16")
    parser.add_argument("--loam", default="build/loam")
    parser.add_argument("--text")
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--chunks", type=int, default=0)
    parser.add_argument("--peer-files", action="store_true")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--save")
    parser.add_argument("--table", nargs="+", metavar="FILE")
    args = parser.parse_args()
    results = common.load(args.table) if args.table else []
    engines = {"loam": args.loam} | common.peer_programs("llama-perplexity")
    for source in args.models:
        for name in args.types.split(","):
            with tempfile.TemporaryDirectory() as folder:
                target = pathlib.Path(folder) / f"{name}.gguf"
                if not make(args, source, target, name):
                    continue
                key = {"model": pathlib.Path(source).stem, "type": name, "made_by": "llama.cpp" if args.peer_files else "loam"}
                for engine, program in engines.items():
                    value = evaluate(engine, program, args, target)
                    results += [{"engine": engine, **key, "value": value}] if value else []
                common.save(args.save, results)
    print_table(results)


if __name__ == "__main__":
    main()
