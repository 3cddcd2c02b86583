#!/usr/bin/env python3
"""Whether loam and llama.cpp answer alike: the same greedy request on the same GGUF file, for every family of families.py.

    PEER_LLAMA=llama.cpp/build/bin LOAM_TEST_DATA=data python3 tests/golden/compare_answers.py build [name ...]

Of each case a random model with the vocabulary of LOAM_TEST_DATA/vocab is written as a folder, `build/loam convert` makes the GGUF file, and
both are asked to go on from N_PROMPTS random prompts of several lengths (build/tests/golden/greedy_lines, llama-server; weights, keys
and values in f32). Tokens are compared one by one, and the log-probabilities of those that are equal. Where answers part, the margin is
by how much the one liked its own token better than the other's: small ones are ties, where nobody is wrong. Prints a table; exits with 1 where
answers part by more. Needs what families.py does, and the package gguf.
"""
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import gguf
from safetensors.torch import save_file

import families
import makers

VOCAB = "gpt-2"
N_PROMPTS, N_ANSWER, LONGEST, N_TOP = 8, 12, 100, 10
# Margins below TIE, or below some times what log-probabilities differ by, decide nothing; more than LIMIT, which tables of GELU in f16
# come near to, is no rounding.
TIE, LIMIT = 1e-3, 1e-2
# What llama.cpp tells members of a family apart by, or takes for granted.
SHAPES = {"baichuan2": dict(num_hidden_layers=32), "cohere-qk_norm": dict(num_hidden_layers=64), "bailing_moe_v2": dict(head_dim=8),
          "deepseek_v2-lite": dict(num_hidden_layers=27), "sarvam_mla": dict(num_hidden_layers=27),
          "llama4-maverick": dict(num_hidden_layers=4), "smallthinker": dict(sliding_window_size=4096), "dots1": dict(num_key_value_heads=4),
          "mellum": dict(rope_parameters=dict(
              full_attention=dict(rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=32),
              sliding_attention=dict(rope_type="default", rope_theta=1000.0))),
          # Heads that its rotation can turn; by two heads many positions score the same, of which it takes others.
          **dict.fromkeys(("deepseek_v32-sparse", "glm_moe_dsa-sparse"), dict(index_head_dim=64)),
          **dict.fromkeys(("deepseek_v32", "glm_moe_dsa"), dict(index_head_dim=64, index_topk=128)),
          "deepseek_v4": dict(hc_mult=4, compress_ratios=[0, 4, 128, 4, 0], index_head_dim=64, compress_rates=dict(
              compressed_sparse_attention=4, heavily_compressed_attention=128)),
          "exaone4": dict(num_hidden_layers=64, layer_types=(["sliding_attention"] * 3 + ["full_attention"]) * 16)}
# Where llama.cpp computes otherwise than transformers does, or refuses the file.
OTHERWISE = dict.fromkeys(("mistral-window", "qwen2-window", "starcoder2-window", "ministral", "phi3", "cwm"), "has no window there") | {
    "llama4-chunks": "has chunks of 8192 whatever the file says", "phimoe": "norms and weighs experts otherwise",
    "deepseek_v2": "scores groups by their two best experts", "phi-qk_norm": "refuses norms of q and k",
    "qwen3_moe-sparse": "refuses layers without experts", "deci": "forgets what layers without an MLP attended to"}


def vocabulary():
    """tokenizer.json of the vocabulary, and its size."""
    path = pathlib.Path(os.environ["LOAM_TEST_DATA"]) / "vocab" / f"{VOCAB}.gguf"
    fields = gguf.GGUFReader(path).fields
    tokens, merges = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "merges"))
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    model = dict(type="BPE", vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
    return dict(version="1.0", added_tokens=[], normalizer=None, pre_tokenizer=level, post_processor=None, decoder=level,
                model=model), len(tokens)


def resized(config, n_vocab):
    """The configuration with another vocabulary."""
    return {key: resized(value, n_vocab) if isinstance(value, dict)
            else n_vocab if key in ("vocab_size", "padded_vocab_size", "vocab_size_per_layer_input") else value for key, value in config.items()}


def write_folder(name, folder, tokenizer, n_vocab):
    spec = families.CASES[name]
    spec = dict(spec, config=dict(resized(spec["config"], n_vocab), **SHAPES.get(name, {})), reference=spec["reference"] and resized(spec["reference"], n_vocab))
    model = families.build(spec, list(families.CASES).index(name))
    state = {key: value.float() if value.is_floating_point() else value for key, value in families.state_of(model, spec).items()}
    written = spec["config"] if spec["reference"] else dict(makers.config_of(model, folder), **spec["config"])
    makers.write_config(folder, written)
    save_file(state, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def prompts(n_vocab):
    rng = random.Random(3)
    lengths = [1, 2, LONGEST, *(rng.randrange(3, LONGEST) for _ in range(N_PROMPTS - 3))]
    return [[rng.randrange(n_vocab) for _ in range(n)] for n in lengths]


def ours(build, path, asked):
    """Of each prompt [(token, {token: log-probability})]."""
    lines = "".join(f"{N_ANSWER} {' '.join(map(str, ids))}\n" for ids in asked)
    done = subprocess.run([build / "tests/golden/greedy_lines", path], input=lines, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"loam: {done.stderr.strip()}")
    rows = [[word.split(":") for word in line.split()] for line in done.stdout.splitlines()]
    return [[(int(a), {int(a): float(x), int(b): float(y)}) for a, x, b, y in row] for row in rows]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, ids):
    """As ours(); of tokens that end within a character the server tells no probabilities."""
    body = json.dumps(dict(prompt=ids, n_predict=N_ANSWER, temperature=0, n_probs=N_TOP, cache_prompt=False, return_tokens=True)).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        found = json.load(answer)
    told = found["completion_probabilities"]
    return [(token, {top["id"]: top["logprob"] for top in told.pop(0)["top_logprobs"]} if told and told[0]["id"] == token else {})
            for token in found["tokens"]]


def theirs(path, asked):
    port = free_port()
    command = [pathlib.Path(os.environ["PEER_LLAMA"]) / "llama-server", "-m", path, "--host", "127.0.0.1", "--port", port, "-t", 1, "-np", 1,
               "-c", 128, "-fa", "off", "-ctk", "f32", "-ctv", "f32", "--no-warmup"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        try:
            for _ in range(1200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    return [ask(port, ids) for ids in asked]
                except OSError:
                    if process.poll() is not None:
                        break
                    time.sleep(0.1)
            log.seek(0)
            errors = [line for line in log.read().splitlines() if "error" in line.lower()]
            raise RuntimeError(f"llama.cpp: {errors[0] if errors else 'no answer'}")
        finally:
            process.terminate()
            process.wait()


def margin(one, other):
    """By how much two that part like their own tokens better than each other's; an unlisted token is beyond all that are."""
    (a, of_a), (b, of_b) = one, other
    return max(of[it] - of.get(its, min(of.values())) for it, its, of in ((a, b, of_a), (b, a, of_b)) if of)


def compare(got, wanted):
    """(prompts with the same answer, largest difference of log-probabilities, largest margin where answers part)"""
    n_same, worst, parting = 0, 0.0, 0.0
    for one, other in zip(got, wanted):
        for mine, peer in zip(one, other):
            if mine[0] != peer[0]:
                parting = max(parting, margin(mine, peer))
                break
            if peer[1]:
                worst = max(worst, abs(mine[1][mine[0]] - peer[1][peer[0]]))
        else:
            n_same += len(one) >= len(other)
    return n_same, worst, parting


def check(build, name, tokenizer, n_vocab):
    """A row of the table, and whether it is as it must be."""
    with tempfile.TemporaryDirectory() as temp:
        folder, path = pathlib.Path(temp) / "folder", pathlib.Path(temp) / f"{name}.gguf"
        folder.mkdir()
        write_folder(name, folder, tokenizer, n_vocab)
        done = subprocess.run([build / "loam", "convert", folder, path], capture_output=True, text=True)
        if done.returncode:
            return f"| {name} | – | – | – | {done.stderr.strip().splitlines()[0][:160]} |", True
        asked = prompts(n_vocab)
        got = ours(build, path, asked)
        try:
            wanted = theirs(path, asked)
        except RuntimeError as error:
            return f"| {name} | – | – | – | {OTHERWISE.get(name, str(error)[:160])} |", name in OTHERWISE
    n_same, worst, parting = compare(got, wanted)
    note = OTHERWISE.get(name, "")
    row = f"| {name} | {n_same} of {N_PROMPTS} | {worst:.1e} | {f'{parting:.1e}' if parting else '–'} | {note} |"
    return row, bool(note) or (parting <= max(TIE, 4 * worst) and worst <= LIMIT)


def main():
    build, names = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:] or sorted(families.CASES)
    tokenizer, n_vocab = vocabulary()
    print("| model | same answers | largest difference of a log-probability | largest margin where answers part | |\n|---|---|---|---|---|")
    failed = []
    for name in names:
        try:
            row, good = check(build, name, tokenizer, n_vocab)
        except Exception as error:  # the others are compared all the same
            row, good = f"| {name} | – | – | – | {type(error).__name__}: {str(error)[:160]} |", False
        print(row, flush=True)
        failed += [] if good else [name]
    sys.exit(f"part: {failed}" if failed else 0)


if __name__ == "__main__":
    main()
