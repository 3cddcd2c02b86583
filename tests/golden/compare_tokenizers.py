"""Compares loam's tokenizers with the packages `tokenizers` and `sentencepiece` on random texts.

    compare_tokenizers.py TOKENIZE_LINES [NUMBER_OF_TEXTS]

TOKENIZE_LINES is the program built from tokenize_lines.c; LOAM_TEST_DATA names the shared test data. References are
built from the same vocabularies: byte-level BPE by `tokenizers`, SentencePiece by `sentencepiece` from a model proto
assembled of the GGUF file's pieces and scores. Written against tokenizers 0.23,
sentencepiece 0.2 and gguf 0.19. Characters that Python's Unicode does not know
are left out: what class they have depends on each library's tables. Exits with 1 on a difference, with 77 (skipped)
without the packages or the data.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

try:
    import gguf
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

LLAMA_BPE = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA_BPE.replace(r"\p{N}{1,3}", r"\p{N}")

WORDS = ["the", "The", "Hello", "world", "don't", "I'LL", "we'Ve", "'s", "1", "12345", "½", "Ⅷ", "naïve", "Ünïcödé", "Привет", "你好世界",
         "こんにちは", "한국어", "🦙", "👩‍👩‍👧", "e\u0301", "ﬁ", "\u180e", "\u2003", "\xa0", "\u200b", "\ufeff", "…", "—", "$", "==", "<", "</s>", "<s>",
         "<|endoftext|>", "▁", "▁▁", "\t", "\n", "\r\n", "\n\n", " ", "  ", "    ", ".", ",", "!?", "_", "a" * 40, "ſ", "K", "'ſ"]


def texts(n):
    rng = random.Random(5)
    for _ in range(n):
        parts = []
        for _ in range(rng.randrange(1, 20)):
            kind = rng.random()
            if kind < 0.7:
                parts.append(rng.choice(WORDS))
            elif kind < 0.85:
                parts.append(chr(rng.randrange(0x20, 0x250)))
            else:
                code = rng.randrange(1, 0x20000)
                parts.append(chr(code) if unicodedata.category(chr(code)) not in ("Cn", "Cs") else "?")
            if rng.random() < 0.4:
                parts.append(" ")
        yield "".join(parts)


def loam_ids(program, path, samples):
    lines = "\n".join(text.encode().hex() or "" for text in samples) + "\n"
    done = subprocess.run([program, path], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [[int(id) for id in line.split()] for line in done.stdout.decode().split("\n")[:-1]]


def fields(path):
    return {name: field for name, field in gguf.GGUFReader(path).fields.items()}


def byte_level(path, steps, normalizer=None):
    data = fields(path)
    tokens = data["tokenizer.ggml.tokens"].contents()
    types = data["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in data["tokenizer.ggml.merges"].contents()]
    vocab = {token: id for id, (token, type) in enumerate(zip(tokens, types)) if type == 1}
    reference = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    reference.pre_tokenizer = pre_tokenizers.Sequence(steps)
    reference.decoder = decoders.ByteLevel()
    if normalizer:
        reference.normalizer = normalizer
    for token, type in zip(tokens, types):
        if type == 3:
            reference.add_special_tokens([AddedToken(token, normalized=False)])
        elif type == 4:
            reference.add_tokens([AddedToken(token, normalized=False)])
    return reference


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def sentencepiece_of(path):
    data = fields(path)
    proto = sentencepiece_model_pb2.ModelProto()
    rows = zip(*(data["tokenizer.ggml." + name].contents() for name in ("tokens", "scores", "token_type")))
    for text, score, type in rows:
        proto.pieces.add(piece=text, score=score, type=type)
    proto.trainer_spec.model_type = 2
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto.SerializeToString()


def compare(name, samples, ours, reference):
    n = 0
    for text, got, want in zip(samples, ours, map(reference, samples)):
        if got != want:
            n += 1
            if n <= 3:
                print(f"{name}: {text!r}\n  loam      {got}\n  reference {want}")
    print(f"{name}: {len(samples)} texts, {n} differ")
    return n


def main():
    if "LOAM_TEST_DATA" not in os.environ:
        print("skipped: LOAM_TEST_DATA is not set")
        return 77
    program, data = sys.argv[1], pathlib.Path(os.environ["LOAM_TEST_DATA"])
    samples = list(texts(int(sys.argv[2]) if len(sys.argv) > 2 else 3000))
    plain = [text for text in samples if "<" not in text]
    n = 0
    final = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    references = {
        "gpt-2": byte_level(data / "vocab/gpt-2.gguf", [gpt2]),
        "gpt-2 with llama-bpe's pattern": byte_level(data / "vocab/gpt-2.gguf", [split(LLAMA_BPE), final]),
        "gpt-2 with qwen2's pattern and NFC": byte_level(data / "vocab/gpt-2.gguf", [split(QWEN2), final], normalizers.NFC()),
        "deepseek-llm with digits": byte_level(data / "vocab/deepseek-llm.gguf", [pre_tokenizers.Digits(False), gpt2]),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, reference in references.items():
            path = f"{folder}/tokenizer.json"
            reference.save(path)
            ours = loam_ids(program, path, samples)
            n += compare(name, samples, ours, lambda text: reference.encode(text).ids)
            if name == "gpt-2":
                ours = loam_ids(program, data / "vocab/gpt-2.gguf", samples)
                n += compare(name + " from GGUF", samples, ours, lambda text: reference.encode(text).ids)
        stories = Tokenizer.from_file(str(data / "models/stories260K/tokenizer.json"))
        ours = loam_ids(program, data / "models/stories260K/tokenizer.json", samples)
        n += compare("stories260K tokenizer.json", samples, ours,
                     lambda text: stories.encode(text, add_special_tokens=False).ids)
        path = data / "models/stories260K/tokenizer.model"
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        n += compare("stories260K tokenizer.model", plain, loam_ids(program, path, plain), model.encode)
        proto = sentencepiece_of(data / "vocab/llama-spm.gguf")
        model = sentencepiece.SentencePieceProcessor(model_proto=proto)
        path = f"{folder}/tokenizer.model"
        pathlib.Path(path).write_bytes(proto)
        n += compare("llama-spm", plain, loam_ids(program, path, plain), model.encode)
        n += compare("llama-spm from GGUF", plain, loam_ids(program, data / "vocab/llama-spm.gguf", plain), model.encode)
    return 1 if n else 0


if __name__ == "__main__":
    sys.exit(main())
