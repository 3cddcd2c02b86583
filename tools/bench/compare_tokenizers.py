#!/usr/bin/env python3
"""Encoding speed beside `tokenizers` and `tiktoken`, in MB/s on one thread.

    LOAM_TEST_DATA=../shared/data compare_tokenizers.py build [rounds]

The vocabulary is GPT-2's of the test data, behind the pre-tokenizations of GPT-2, Llama 3 (as cl100k) and gpt-oss (o200k); tiktoken gets the
same tokens as ranks. Texts: English, this tree's C sources, and words of many scripts. All three must give the same ids (tiktoken's
merges are ranked by what they make: sums may differ, and are printed then). Engines take turns, round after round; medians count.
Written against tokenizers 0.23, tiktoken 0.14, gguf 0.19.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))

import gguf  # noqa: E402
import tiktoken  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
import tokenizer_kinds as kinds  # noqa: E402

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
PATTERNS = {"gpt-2": GPT2, "llama-3 (cl100k)": kinds.LLAMA3, "o200k": kinds.O200K}
PIECE = 64 << 10


def pieces(text):
    """As time_tokenizer.c cuts them."""
    data, at = text.encode(), 0
    while at < len(data):
        end = data.find(b"\n", at + PIECE) + 1 if len(data) - at > PIECE else len(data)
        end = end or len(data)
        yield data[at:end].decode()
        at = end


def texts(data):
    code = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.c")))
    mixed = "\n".join(kinds.texts(12000, seed=3)).replace("<|endoftext|>", "")
    return {"English": (data / "text/tinyshakespeare.txt").read_text(), "C": code[:2_000_000], "mixed scripts": mixed}


def vocabulary(path):
    fields = gguf.GGUFReader(path).fields
    tokens, types, merges = (fields["tokenizer.ggml." + name].contents() for name in ("tokens", "token_type", "merges"))
    vocab = {token: id for id, (token, type) in enumerate(zip(tokens, types)) if type == 1}
    return vocab, [tuple(merge.split(" ")) for merge in merges]


def spelling():
    """The byte each of GPT-2's characters stands for."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(0x100 + i): b for i, b in enumerate(rest)}


def engines(pattern, vocab, merges, folder):
    reference = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    reference.pre_tokenizer = pre_tokenizers.Sequence([kinds.split(pattern), kinds.BYTES])
    reference.decoder = decoders.ByteLevel()
    path = f"{folder}/tokenizer.json"
    reference.save(path)
    byte_of = spelling()
    ranks = {bytes(byte_of[c] for c in token): id for token, id in vocab.items()}
    encoding = tiktoken.Encoding("local", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return path, Tokenizer.from_file(path), encoding


def timed(encode, parts):
    start = time.perf_counter()
    ids = [encode(part) for part in parts]
    seconds = time.perf_counter() - start
    return seconds, sum(map(len, ids)), sum(map(sum, ids))


def main():
    build, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    data = pathlib.Path(os.environ["LOAM_TEST_DATA"])
    vocab, merges = vocabulary(data / "vocab/gpt-2.gguf")
    print(f"{'pattern':18}{'text':15}{'MB':>6}{'loam':>9}{'tokenizers':>12}{'tiktoken':>10}{'to the better':>15}")
    with tempfile.TemporaryDirectory() as folder:
        for name, pattern in PATTERNS.items():
            path, reference, encoding = engines(pattern, vocab, merges, folder)
            for kind, text in texts(data).items():
                parts, size = list(pieces(text)), len(text.encode())
                file = pathlib.Path(folder) / "text"
                file.write_bytes(text.encode())
                times, found = {"loam": [], "tokenizers": [], "tiktoken": []}, {}
                for _ in range(rounds):
                    out = subprocess.run([build / "tests/golden/time_tokenizer", path, file, "2"], capture_output=True, text=True, check=True).stdout.split()
                    times["loam"].append(float(out[1]))
                    found["loam"] = (int(out[2]), int(out[3]))
                    for engine, encode in (("tokenizers", lambda part: reference.encode(part).ids), ("tiktoken", encoding.encode_ordinary)):
                        seconds, *ids = timed(encode, parts)
                        times[engine].append(seconds)
                        found[engine] = tuple(ids)
                speed = {engine: size / statistics.median(t) / 1e6 for engine, t in times.items()}
                ratio = speed["loam"] / max(speed["tokenizers"], speed["tiktoken"])
                note = "" if len(set(found.values())) == 1 else f"   ids differ: {found}"
                print(f"{name:18}{kind:15}{size / 1e6:6.1f}{speed['loam']:9.1f}{speed['tokenizers']:12.1f}{speed['tiktoken']:10.1f}{ratio:14.1f}x{note}", flush=True)


if __name__ == "__main__":
    main()
