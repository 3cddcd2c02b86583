"""Tokenizers with the settings of published models, trained on the spot: what compare_tokenizers.py and make_tokenizers.py test with.

Written against tokenizers 0.23 and sentencepiece 0.2. Nothing is downloaded: vocabularies are learned from a text and from
what texts() makes up; pipelines are those of the models named.
"""
import io
import json
import random
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers)

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def cased(end):
    return rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{end}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{end}"


O200K_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = cased(CONTRACTIONS + "?") + r"|\p{N}{1,3}" + O200K_TAIL
TEKKEN = cased("") + r"|\p{N}" + O200K_TAIL
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
             r"|\s+(?!\S)|\s+")
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = " ?[^(\\s|[.,!?…。，、।۔،])]+"
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)

# ------------------------------------------------------------------------------------------------- texts

WORDS = ["the", "The", "Hello", "world", "don't", "I'LL", "we'Ve", "'s", "1", "12345", "½", "Ⅷ", "²", "naïve", "Ünïcödé", "Привет", "Ελλάς", "你好世界",
         "こんにちは", "カタカナ", "한국어", "ภาษาไทย", "हिन्दी", "العربية", "עברית", "🦙", "👩‍👩‍👧", "🇩🇪", "e\u0301", "ﬁ", "\u180e", "\u2003", "\xa0", "\u200b", "\ufeff",
         "…", "—", "$", "==", "!=", "->", "::", "<", "</s>", "<s>", "<|endoftext|>", "<|im_end|>", "[MASK]", "<unk>", "▁", "▁▁", "\t", "\n", "\r\n", "\n\n",
         " ", "  ", "    ", " " * 17, ".", ",", "!?", "_", "a" * 40, "0" * 25, "ſ", "K", "'ſ", "İ", "ẞ", "Å", "㍿", "ｶﾞ", "①", "ǅ", "\u0345", "\x00", "\x7f",
         "McDonald", "HTTPServer", "camelCase", "snake_case", "x" * 120, "．", "。", "、", "ー", "\u3000", "￥", "\ufffd"]
CODE = ["def f(x):\n    return x ** 2\n", "for (int i = 0; i < n; i++) {\n\tsum += a[i];\n}\n", "#include <stdio.h>\n", "x = {'a': [1, 2.5e-3], \"b\": None}\n",
        "SELECT * FROM t WHERE a >= 10 AND b IS NOT NULL;", "<div class=\"x\">&nbsp;</div>", "// TODO: 修复这个问题\n", "https://example.org/a?b=c&d=%20#e", "\\frac{a}{b} $x^2$",
        "fn main() -> Result<(), Box<dyn Error>> {\n        Ok(())\n}\r\n"]


def known(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")


def texts(n, seed=5):
    """Random texts: words of many scripts, code, emoji, runs of spaces and digits, and any character that Python's Unicode knows."""
    rng = random.Random(seed)
    for _ in range(n):
        parts = []
        for _ in range(rng.randrange(1, 20)):
            kind = rng.random()
            if kind < 0.6:
                parts.append(rng.choice(WORDS))
            elif kind < 0.65:
                parts.append(rng.choice(CODE))
            elif kind < 0.7:
                parts.append(rng.choice([" ", "0", "9", "a", "\n", "-", "="]) * rng.randrange(1, 60))
            elif kind < 0.85:
                parts.append(chr(rng.randrange(0x20, 0x250)))
            else:
                code = rng.choice([rng.randrange(1, 0x3000), rng.randrange(1, 0x20000), rng.randrange(0x4e00, 0x9fff), rng.randrange(0x1f300, 0x1f700)])
                parts.append(chr(code) if known(code) else "?")
            if rng.random() < 0.4:
                parts.append(" ")
        yield "".join(parts)


def broken(samples, seed=6):
    """The same as bytes that are mostly no valid UTF-8."""
    rng = random.Random(seed)
    for text in samples:
        data = bytearray(text.encode())
        for _ in range(rng.randrange(1, 4)):
            where = rng.randrange(len(data) + 1)
            data[where:where + rng.randrange(2)] = rng.choice([b"\xff", b"\xc0\x80", b"\xe2\x96", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\x80", b"\xf5"])
        yield bytes(data)


def corpus(path):
    lines = path.read_text(encoding="utf-8").split("\n")[:6000]
    return [line + "\n" for line in lines] + [text.replace("\x00", "") for text in texts(3000, seed=1)]


# ------------------------------------------------------------------------------------------------- tokenizers

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_bpe(lines, pre, normalizer=None, size=4000, **options):
    t = Tokenizer(models.BPE(**options))
    t.pre_tokenizer = pre if isinstance(pre, pre_tokenizers.PreTokenizer) else pre_tokenizers.Sequence(pre)
    t.decoder = decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    suffix = {k: v for k, v in options.items() if k == "end_of_word_suffix"}
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False, **suffix))
    t.add_special_tokens([AddedToken(s, normalized=False) for s in SPECIALS])
    return t


def with_bos(t):
    t.post_processor = processors.TemplateProcessing(single=f"{SPECIALS[0]} $A", special_tokens=[(SPECIALS[0], t.token_to_id(SPECIALS[0]))])
    return t


def spelled_bpe(lines, normalizer, pre, decoder, unk="<unk>", fuse=True, fallback=True, size=4000):
    """BPE of characters with <0x..> tokens, as converted from SentencePiece."""
    t = Tokenizer(models.BPE(unk_token=unk, fuse_unk=fuse, byte_fallback=False))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizer or t.normalizer, pre or pre_tokenizers.Metaspace(), decoder
    bytes_ = [f"<0x{b:02X}>" for b in range(256)] if fallback else []
    t.train_from_iterator(lines,
                          trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, limit_alphabet=400, show_progress=False))
    data = json.loads(t.to_str())
    data["model"]["byte_fallback"] = fallback
    data["added_tokens"] = [a for a in data["added_tokens"] if not a["content"].startswith("<0x")]
    data["pre_tokenizer"] = json.loads(pre.__getstate__()) if pre else None
    return Tokenizer.from_str(json.dumps(data))


LLAMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
GEMMA_DECODER = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])


def phi3(lines):
    t = spelled_bpe(lines, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, LLAMA_DECODER)
    t.add_special_tokens([AddedToken("<|endoftext|>", normalized=False), AddedToken("<|im_end|>", rstrip=True, normalized=False)])
    t.add_tokens([AddedToken("</s>", rstrip=True, normalized=False), AddedToken("HTTP", normalized=True), AddedToken("world", single_word=True, normalized=False),
                  AddedToken("==", lstrip=True, normalized=False)])
    return t


def charsmap(name="nmt_nfkc"):
    model = train_sentencepiece(["a b c d e f g h"] * 20, model_type="unigram", vocab_size=15, normalization_rule_name=name, hard_vocab_limit=False)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    return proto.normalizer_spec.precompiled_charsmap


COMMON = set("".join(WORDS))


def few_characters(line):
    """What a small Unigram vocabulary can hold: no more than a sample of the rare characters."""
    return "".join(c for c in line if ord(c) < 0x250 or c in COMMON)


def unigram(lines, pre, normalizer, fallback=False, size=3000):
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer, t.decoder = normalizer, pre, decoders.Metaspace()
    bytes_ = [f"<0x{b:02X}>" for b in range(256)] if fallback else []
    t.train_from_iterator([few_characters(l) for l in lines],
                          trainers.UnigramTrainer(vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>"] + bytes_, unk_token="<unk>", show_progress=False))
    data = json.loads(t.to_str())
    data["model"]["byte_fallback"] = fallback
    data["added_tokens"] = [a for a in data["added_tokens"] if not a["content"].startswith("<0x")]
    ids = {piece: i for i, (piece, score) in enumerate(data["model"]["vocab"])}
    for added in data["added_tokens"]:  # the trainer reorders its pieces, but not these
        added["id"] = ids[added["content"]]
    data["added_tokens"].sort(key=lambda added: added["id"])
    if fallback:
        data["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])])
    return t


def bert(lines, lowercase):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=4000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def word_level(lines, pre, normalizer=None):
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(lines, trainers.WordLevelTrainer(vocab_size=6000, special_tokens=["<unk>"], show_progress=False))
    return t


def char_bpe(lines, suffix=None, prefix=None):
    options = {k: v for k, v in (("end_of_word_suffix", suffix), ("continuing_subword_prefix", prefix)) if v}
    t = Tokenizer(models.BPE(unk_token="<unk>", **options))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.BPEDecoder(suffix) if suffix else decoders.WordPiece(prefix, cleanup=False)
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=3000, special_tokens=["<unk>"], limit_alphabet=300, show_progress=False, **options))
    return t


def roberta(t):
    t.post_processor = processors.RobertaProcessing((SPECIALS[1], t.token_to_id(SPECIALS[1])), (SPECIALS[0], t.token_to_id(SPECIALS[0])), True, False)
    return t


def pieces_of(pre, normalizer=None):
    """For steps that matter more than the model behind them: every stretch is spelled by characters."""
    return lambda lines: spelled_bpe(lines, normalizer or normalizers.Sequence([]), pre, decoders.Fuse(), fallback=False, fuse=False)


PIPELINES = {
    "gpt-2": lambda l: byte_bpe(l, GPT2),
    "roberta": lambda l: roberta(byte_bpe(l, pre_tokenizers.ByteLevel(add_prefix_space=True))),
    "gpt-neox": lambda l: byte_bpe(l, GPT2, normalizers.NFC()),
    "llama-3": lambda l: with_bos(byte_bpe(l, [split(LLAMA3), BYTES], ignore_merges=True)),
    "qwen2": lambda l: byte_bpe(l, [split(QWEN2), BYTES], normalizers.NFC()),
    "deepseek-v3": lambda l: byte_bpe(l, [split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK3), BYTES]),
    "falcon": lambda l: byte_bpe(l, [pre_tokenizers.Punctuation("contiguous"), GPT2, pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]")]),
    "starcoder": lambda l: byte_bpe(l, [pre_tokenizers.Digits(True), GPT2]),
    "tekken": lambda l: byte_bpe(l, [split(TEKKEN), BYTES], ignore_merges=True),
    "o200k": lambda l: byte_bpe(l, [split(O200K), BYTES]),
    "bloom": lambda l: byte_bpe(l, [split(BLOOM), BYTES]),
    "clip": lambda l: byte_bpe(l, [split(CLIP, "removed", True), BYTES], normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
                               end_of_word_suffix="</w>"),
    "llama-2": lambda l: spelled_bpe(l, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, LLAMA_DECODER),
    "phi-3": phi3,
    "mistral": lambda l: spelled_bpe(l, None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), LLAMA_DECODER),
    "gemma": lambda l: spelled_bpe(l, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), GEMMA_DECODER),
    "xlm-r": lambda l: unigram(l, pre_tokenizers.Metaspace(), normalizers.Sequence([normalizers.Precompiled(charsmap()), normalizers.Replace(Regex(" {2,}"), " ")])),
    "t5": lambda l: unigram(l, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]), normalizers.Precompiled(charsmap("nmt_nfkc_cf"))),
    "unigram with bytes": lambda l: unigram(l, pre_tokenizers.Metaspace(prepend_scheme="always"), normalizers.NFKC(), fallback=True),
    "bert": lambda l: bert(l, True),
    "bert, cased": lambda l: bert(l, False),
    "word level": lambda l: word_level(l, pre_tokenizers.Whitespace(), normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])),
    "gpt, </w>": lambda l: char_bpe(l, suffix="</w>"),
    "bpe, ##": lambda l: char_bpe(l, prefix="##"),
    "digits, punctuation": pieces_of(pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.Punctuation("merged_with_previous")]), normalizers.NFKD()),
    "delimiter, length": pieces_of(pre_tokenizers.Sequence([pre_tokenizers.CharDelimiterSplit(","), pre_tokenizers.FixedLength(7)]), normalizers.Nmt()),
    "scripts": pieces_of(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.UnicodeScripts()]), normalizers.Strip()),
    "merged with next": pieces_of(split("[aeiou]", "merged_with_next")),
    "contiguous": pieces_of(split(r"[\w&&[^aeiou]]", "contiguous", True)),
}


def train_sentencepiece(lines, **options):
    model = io.BytesIO()
    options = {"minloglevel": 2, "num_threads": 2, "character_coverage": 0.995, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **options)
    return model.getvalue()


SENTENCEPIECE = {
    "llama": dict(model_type="bpe", vocab_size=3000, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                  user_defined_symbols=["HTTP", "==", "  "]),
    "bpe, nmt_nfkc": dict(model_type="bpe", vocab_size=3000, normalization_rule_name="nmt_nfkc"),
    "bpe, suffix": dict(model_type="bpe", vocab_size=3000, normalization_rule_name="nfkc_cf", treat_whitespace_as_suffix=True),
    "unigram, nmt_nfkc": dict(model_type="unigram", vocab_size=3000, normalization_rule_name="nmt_nfkc"),
    "unigram, bytes, symbols": dict(model_type="unigram", vocab_size=3000, byte_fallback=True, normalization_rule_name="nmt_nfkc_cf", user_defined_symbols=["HTTP", "==", "你好"],
                                    add_dummy_prefix=False, remove_extra_whitespaces=False, split_by_whitespace=False),
}


def sentencepiece_model(name, lines):
    plain = [part for line in lines for part in [line.strip().replace("\n", " ")] if part]
    return train_sentencepiece(plain, **SENTENCEPIECE[name])
