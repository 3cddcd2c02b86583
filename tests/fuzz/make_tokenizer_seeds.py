#!/usr/bin/env python3
"""Makes seeds for the fuzzers of tokenizers: small vocabularies behind every kind of step (gguf 0.19, tokenizers 0.23)."""
import base64
import json
import pathlib
import struct

import gguf

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"


def write(name, seed, data):
    path = CORPUS / name / seed
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode())


def charsmap():
    """A double-array trie that maps "A" to "a": root, leaf for 'A', its value."""
    units = [0] * 256
    units[0] = 1 << 10  # children at 1
    units[1 ^ ord("A")] = ord("A") | 1 << 8 | (200 ^ (1 ^ ord("A"))) << 10
    units[200] = 0x80000000  # the text at 0
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"a\0"


SPLIT = {"type": "Split", "pattern": {"Regex": "\\p{N}+|[\\w&&[^x]]"}, "behavior": "Isolated", "invert": False}
ADDED = [{"id": 0, "content": "<s>", "special": True, "normalized": False, "lstrip": True, "rstrip": True, "single_word": False},
         {"id": 9, "content": "lo", "special": False, "normalized": True, "lstrip": False, "rstrip": False, "single_word": True}]

write("tokenizer_json", "wordpiece", {
    "added_tokens": ADDED, "normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["<s>", 0], "cls": ["<s>", 0]}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {"type": "WordPiece", "unk_token": "<s>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9,
              "vocab": {"<s>": 0, "h": 1, "##e": 2, "##l": 3, "##o": 4, "w": 5, "##r": 6, "d": 7}}})
write("tokenizer_json", "unigram", {
    "added_tokens": ADDED,
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap()).decode()}, {"type": "Nmt"},
                                                       {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "Strip"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}, {"type": "Digits", "individual_digits": True}, {"type": "UnicodeScripts"}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<s>"}}]},
    "decoder": {"type": "Metaspace"},
    "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<s>", 0], ["\u2581", -2], ["l", -3.5], ["o", -4], ["\u2581w", -5], ["<0xFF>", 0]]}})
write("tokenizer_json", "wordlevel", {
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "FixedLength", "length": 3}, {"type": "Punctuation", "behavior": "Contiguous"}]},
    "decoder": {"type": "CTC", "pad_token": "<s>", "word_delimiter_token": "|", "cleanup": True},
    "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "hel": 1, "123": 2}}})
write("tokenizer_json", "affixes", {
    "normalizer": {"type": "Prepend", "prepend": "x"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, {"type": "ByteLevel", "add_prefix_space": True}]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}]},
    "model": {"type": "BPE", "end_of_word_suffix": "</w>", "unk_token": "a", "fuse_unk": True, "vocab": {"a": 0, "l": 1, "l</w>": 2, "ll</w>": 3}, "merges": ["l l</w>"]}})
write("tokenizer_json", "tekken", {
    "config": {"pattern": "[^\\s]+|\\s+", "default_vocab_size": 8, "default_num_special_tokens": 4},
    "vocab": [{"rank": i, "token_bytes": base64.b64encode(t).decode()} for i, t in enumerate([b"H", b"l", b"ll", b"\xff"])],
    "special_tokens": [{"rank": 1, "token_str": "<s>", "is_control": True}]})
write("tokenizer_tiktoken", "ranks", b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate([b"H", b"e", b"l", b"ll", b" ", b"\xff", b"Hell"])))


def vocabulary(seed, model, fill):
    path = CORPUS / "tokenizer_gguf" / seed
    path.parent.mkdir(exist_ok=True)
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_tokenizer_model(model)
    fill(w)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def bert(w):
    w.add_token_list(["[UNK]", "[CLS]", "[SEP]", "\u2581h", "el", "lo", "\u2581w"])
    w.add_token_types([2, 3, 3, 1, 1, 1, 1])
    w.add_bos_token_id(1)
    w.add_sep_token_id(2)
    w.add_unk_token_id(0)


def t5(w):
    w.add_token_list(["<pad>", "</s>", "<unk>", "\u2581", "l", "lo", "\u2581w", "a"])
    w.add_token_scores([0.0, 0.0, 0.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    w.add_token_types([3, 3, 2, 1, 1, 4, 1, 1])
    w.add_remove_extra_whitespaces(True)
    w.add_precompiled_charsmap(charsmap())


def bpe(pre):
    def fill(w):
        w.add_tokenizer_pre(pre)
        w.add_token_list(["H", "e", "l", "ll", "\u0120", "\u2581", "<0xFF>", "<s>"])
        w.add_token_types([1, 1, 1, 1, 1, 1, 6, 3])
        w.add_token_merges(["l l"])
    return fill


vocabulary("bert", "bert", bert)
vocabulary("t5", "t5", t5)
for pre in ("default", "kimi-k2", "superbpe", "gemma4", "tiny_aya"):
    vocabulary(pre, "gpt2", bpe(pre))
