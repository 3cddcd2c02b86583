#!/usr/bin/env python3
"""Prompts, answers and batches of answers a second: loam bench model beside llama-bench and llama-batched-bench.

    PEER_LLAMA=llama.cpp/build/bin PEER_IK=ik_llama.cpp/build/bin tools/bench/compare_model.py \\
        --loam build/loam -p 512 -n 128 -b 8,16 -t 1,2 --rounds 3 --save out.jsonl model-q8_0.gguf ...
    tools/bench/compare_model.py --table out.jsonl another.jsonl     # of saved results alone

Every engine computes the same file with its own kernels and the cache it has where nothing is said, of 16 bits an element (peers' is f16);
a round runs each once, after a run to warm up.
"""
import argparse
import json
import pathlib

import common

KEYS = ["model", "test", "threads"]


def result(engine, model, test, threads, value):
    return {"engine": engine, "model": pathlib.Path(model).stem, "test": test, "threads": threads, "value": value}


def numbers(text):
    return [int(word) for word in text.split(",") if word and int(word) > 0]


def run_loam(args, model, threads):
    command = [args.loam, "bench", "model", model, "-p", args.prompts, "-n", args.answers, "-d", args.depth, "-b", args.batches,
               "--batch-prompt", args.batch_prompt, "--batch-answers", args.batch_answers, "-t", threads, "-r", 1, "--json"]
    return [result("loam", model, row["test"], threads, row["tok_per_s"])
            for row in common.json_lines(common.output_of(command))]


def run_llama_bench(args, engine, program, model, threads):
    command = [program, "-m", model, "-p", args.prompts, "-n", args.answers, "-t", threads, "-r", 1, "-o", "json",
               *common.peer_flags(engine)]
    if args.depth != "0":
        command += ["-d", args.depth]
    at = f" @d{args.depth}" if args.depth != "0" else ""
    results = []
    for row in json.loads(common.output_of(command) or "[]"):
        test = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
        results.append(result(engine, model, test + at, threads, row["avg_ts"]))
    return results


def speed_of_answers(text):
    """{sequences: tokens a second} from llama-batched-bench's JSON lines, or its table: | PP | TG | B | ... | S_TG t/s | ..."""
    speeds = {row["pl"]: row["speed_tg"] for row in common.json_lines(text)}
    heads = []
    for line in (text or "").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if "B" in cells:
            heads = cells
        elif heads and len(cells) == len(heads) and cells[0].isdigit():
            row = dict(zip(heads, cells))
            speeds[int(row["B"])] = float(row["S_TG t/s"])
    return speeds


def run_batched_bench(args, engine, program, model, threads):
    batches = numbers(args.batches)
    length = max(batches) * (int(args.batch_prompt) + int(args.batch_answers))
    command = [program, "-m", model, "-c", length + 256, "-b", 2048, "-ub", 512, "-npp", args.batch_prompt,
               "-ntg", args.batch_answers, "-npl", ",".join(map(str, batches)), "-t", threads, *common.peer_flags(engine)]
    return [result(engine, model, f"tg{args.batch_answers} x{n}", threads, speed)
            for n, speed in speed_of_answers(common.output_of(command, with_errors=True)).items()]


def run_round(args, model, threads):
    results = run_loam(args, model, threads)
    if numbers(args.prompts) or numbers(args.answers):
        for engine, program in common.peer_programs("llama-bench").items():
            results += run_llama_bench(args, engine, program, model, threads)
    if numbers(args.batches):
        for engine, program in common.peer_programs("llama-batched-bench").items():
            results += run_batched_bench(args, engine, program, model, threads)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--loam", default="build/loam")
    parser.add_argument("-p", "--prompts", default="512")
    parser.add_argument("-n", "--answers", default="128")
    parser.add_argument("-d", "--depth", default="0", help="tokens in the cache before prompt and answer")
    parser.add_argument("-b", "--batches", default="0", help="sequences answered at once")
    parser.add_argument("--batch-prompt", default="128")
    parser.add_argument("--batch-answers", default="32")
    parser.add_argument("-t", "--threads", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", help="write every round's results to this file, as JSON lines")
    parser.add_argument("--table", nargs="+", metavar="FILE", help="print the table of saved results and run nothing")
    args = parser.parse_args()
    results = common.load(args.table) if args.table else []
    for model in args.models:
        for threads in numbers(args.threads):
            for _ in range(args.rounds):
                results += run_round(args, model, threads)
                common.save(args.save, results)
    print(common.table(common.medians(results, KEYS), KEYS))


if __name__ == "__main__":
    main()
