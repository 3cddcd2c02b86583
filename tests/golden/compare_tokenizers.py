"""Compares loam's tokenizers with the packages `tokenizers`, `sentencepiece` and `tiktoken` on random texts.

    compare_tokenizers.py TOKENIZE_LINES [NUMBER_OF_TEXTS [NAME...]]

TOKENIZE_LINES is the program built from tokenize_lines.c; LOAM_TEST_DATA names the shared test data, from whose text the
vocabularies are trained (tokenizer_kinds.py). Every kind gets the same texts, a fifth of which are bytes that are no valid
UTF-8: kinds that know characters only must give what the reference gives for them after a lossy decode, those that know
bytes must give the bytes back. Ids must be equal, and so must be what they decode to. Written against tokenizers 0.23,
sentencepiece 0.2, tiktoken 0.14 and gguf 0.19. Characters that Python's Unicode does not know are left out: what class they have depends
on each library's tables. Exits with 1 on a difference, with 77 (skipped) without the packages or the data.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import gguf
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    import tokenizer_kinds as kinds
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def loam(program, path, samples, special=False):
    """(ids, decoded bytes) of each sample."""
    lines = "\n".join(data.hex() for data in samples) + "\n"
    done = subprocess.run([program, path] + ["special"] * special, input=lines.encode(), stdout=subprocess.PIPE, check=True)
    rows = [line.split("|") for line in done.stdout.decode().split("\n")[:-1]]
    return [([int(id) for id in ids.split()], bytes.fromhex(text)) for ids, text in rows]


class Comparison:
    def __init__(self, program, n):
        self.program, self.n_different = program, 0
        self.valid = list(kinds.texts(n - n // 5))
        self.broken = list(kinds.broken(kinds.texts(n // 5, seed=7)))

    def report(self, name, rows):
        n = 0
        for data, got, want in rows:
            if got == want:
                continue
            n += 1
            if n <= 2:
                print(f"{name}: {data!r}\n  loam      {got}\n  reference {want}")
        print(f"{name}: {len(rows)} texts, {n} differ", flush=True)
        self.n_different += n

    def run(self, name, path, encode, decode, takes_bytes, special=False, specials=(), keep=lambda text: True):
        valid = [text for text in self.valid if keep(text)]
        bad = [data for data in self.broken if keep(data.decode(errors="replace"))]
        ours = loam(self.program, path, [text.encode() for text in valid] + bad, special)
        wanted = encode(valid)
        rows = [(text, got[0], want) for text, got, want in zip(valid, ours, wanted)]
        if decode:
            for text, got, want in zip(valid, ours, decode(wanted)):
                # what is no UTF-8 comes as bytes from loam, and differently replaced from others
                if "\ufffd" not in want and got[1].decode(errors="replace") != want:
                    rows.append((text, got[1].decode(errors="replace"), want))
        broken = ours[len(valid):]
        if takes_bytes:
            rows += [(data, got[1], without(data, specials)) for data, got in zip(bad, broken) if takes_bytes != "lossy"]
        else:
            lossy = [data.decode(errors="replace") for data in bad]
            rows += [(data, got[0], want) for data, got, want in zip(bad, broken, encode(lossy))]
        self.report(name, rows)


def without(data, specials):
    for special in specials:
        data = data.replace(special.encode(), b"")
    return data


def is_lossless(data):
    """Whether bytes come back exactly: no step but byte-level splits."""
    steps = json.dumps(data["pre_tokenizer"])
    return data["normalizer"] is None and not any(word in steps for word in ("Removed", "Metaspace", '"add_prefix_space": true'))


def compare_pipeline(c, name, lines, folder):
    path = f"{folder}/tokenizer.json"
    kinds.PIPELINES[name](lines).save(path)
    reference = Tokenizer.from_file(path)
    data = json.loads(reference.to_str())
    steps = (data["pre_tokenizer"] or {}).get("pretokenizers", [data["pre_tokenizer"]])
    byte_level = steps[-1] and steps[-1]["type"] == "ByteLevel" and not data["model"].get("end_of_word_suffix")
    takes = (True if is_lossless(data) else "lossy") if byte_level or data["model"].get("byte_fallback") else False
    special = data["post_processor"] is not None
    specials = [added["content"] for added in data["added_tokens"] if added["special"]]

    def encode(texts):
        return [e.ids for e in reference.encode_batch(texts, add_special_tokens=special)]

    # its tables of scripts are older than many characters
    keep = (lambda text: max(map(ord, text)) < 0x600) if name == "scripts" else (lambda text: True)
    c.run(name, path, encode, reference.decode_batch, takes, special, specials, keep)


def compare_sentencepiece(c, name, lines, folder):
    data = kinds.sentencepiece_model(name, lines)
    path = pathlib.Path(folder) / "tokenizer.model"
    path.write_bytes(data)
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    fallback = kinds.SENTENCEPIECE[name].get("byte_fallback")
    c.run("sentencepiece " + name, path, model.encode, None, "lossy" if fallback else False,
          keep=lambda text: "<s>" not in text and "</s>" not in text and "<unk>" not in text and "\x00" not in text)


def fields(path):
    return {name: field for name, field in gguf.GGUFReader(path).fields.items()}


def byte_level_of(path):
    data = fields(path)
    tokens, types = (data["tokenizer.ggml." + name].contents() for name in ("tokens", "token_type"))
    merges = [tuple(merge.split(" ")) for merge in data["tokenizer.ggml.merges"].contents()]
    vocab = {token: id for id, (token, type) in enumerate(zip(tokens, types)) if type == 1}
    reference = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    reference.pre_tokenizer, reference.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    for token, type in zip(tokens, types):
        if type == 3:
            reference.add_special_tokens([AddedToken(token, normalized=False)])
        elif type == 4:
            reference.add_tokens([AddedToken(token, normalized=False)])
    return reference


def sentencepiece_of(path):
    data = fields(path)
    proto = sentencepiece_model_pb2.ModelProto()
    for text, score, type in zip(*(data["tokenizer.ggml." + name].contents() for name in ("tokens", "scores", "token_type"))):
        proto.pieces.add(piece=text, score=score, type=type)
    proto.trainer_spec.model_type = 2
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.remove_extra_whitespaces = False
    return proto.SerializeToString()


def compare_published(c, data, folder):
    """Vocabularies of the test data, from GGUF and from the file they came from."""
    reference = byte_level_of(data / "vocab/gpt-2.gguf")
    c.run("gpt-2 from GGUF", data / "vocab/gpt-2.gguf", lambda texts: [e.ids for e in reference.encode_batch(texts)], reference.decode_batch, True, specials=["<|endoftext|>"])
    stories = Tokenizer.from_file(str(data / "models/stories260K/tokenizer.json"))
    c.run("stories260K tokenizer.json", data / "models/stories260K/tokenizer.json",
          lambda texts: [e.ids for e in stories.encode_batch(texts, add_special_tokens=False)], None, "lossy")
    proto = sentencepiece_of(data / "vocab/llama-spm.gguf")
    model = sentencepiece.SentencePieceProcessor(model_proto=proto)
    path = pathlib.Path(folder) / "tokenizer.model"
    path.write_bytes(proto)
    for name, file in (("llama-spm", path), ("llama-spm from GGUF", data / "vocab/llama-spm.gguf")):
        c.run(name, file, model.encode, None, "lossy", keep=lambda text: "<" not in text and "\x00" not in text)


def main():
    if "LOAM_TEST_DATA" not in os.environ:
        print("skipped: LOAM_TEST_DATA is not set")
        return 77
    data = pathlib.Path(os.environ["LOAM_TEST_DATA"])
    c = Comparison(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000)
    lines, names = kinds.corpus(data / "text/tinyshakespeare.txt"), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        for name in kinds.PIPELINES:
            if not names or name in names:
                compare_pipeline(c, name, lines, folder)
        for name in kinds.SENTENCEPIECE:
            if not names or "sentencepiece " + name in names:
                compare_sentencepiece(c, name, lines, folder)
        if not names or "published" in names:
            compare_published(c, data, folder)
    return 1 if c.n_different else 0


if __name__ == "__main__":
    sys.exit(main())
