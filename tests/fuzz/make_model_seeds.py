"""Makes the seeds in corpus/ for GGUF, safetensors, tokenizer.json and SentencePiece: small valid files.

    make_model_seeds.py    (in this folder; needs nothing but Python)
"""
import json
import math
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
SPACE = "\u2581"


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def strings(values):
    return struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))


def numbers(type, format, values):
    return struct.pack("<IIQ", 9, type, len(values)) + struct.pack(f"<{len(values)}{format}", *values)


def gguf(values, tensors):
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values))
    out += b"".join(text(key) + value for key, value in values.items())
    data = b""
    for name, (type, dims, size) in tensors.items():
        out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, type, len(data))
        data += bytes(size + -size % 32)
    return out + bytes(-len(out) % 32) + data


def u32(value):
    return struct.pack("<II", 4, value)


def gguf_seeds():
    sizes = {"block_count": 1, "embedding_length": 8, "attention.head_count": 2, "feed_forward_length": 16,
             "context_length": 32}
    model = {"general.architecture": struct.pack("<I", 8) + text("llama")}
    model |= {"llama." + key: u32(value) for key, value in sizes.items()}
    kind = "tokenizer.ggml."
    spm = {kind + "model": struct.pack("<I", 8) + text("llama"),
           kind + "tokens": strings(["<unk>", "<s>", "</s>", "<0x41>", SPACE, "a", SPACE + "a"]),
           kind + "scores": numbers(6, "f", [0, 0, 0, 0, -1, -2, -3]),
           kind + "token_type": numbers(5, "i", [2, 3, 3, 6, 1, 1, 1]), kind + "bos_token_id": u32(1)}
    bpe = {kind + "model": struct.pack("<I", 8) + text("gpt2"), kind + "pre": struct.pack("<I", 8) + text("gpt-2"),
           kind + "tokens": strings(["a", "b", "ab"]), kind + "merges": strings(["a b"])}
    yield "model", gguf(model | spm, {"token_embd.weight": (0, [8, 7], 224), "q": (8, [32], 34)})
    yield "tokenizer", gguf(bpe, {})


def model_seeds():
    """Whole models of one layer, with all weights 0: f32 with a tied head, and q8_0 with biases and a stretched rope."""
    for name, (type, dim, blocks, size) in {"f32": (0, 8, 1, 4), "q8_0": (8, 32, 32, 34)}.items():
        sizes = {"block_count": 1, "embedding_length": dim, "attention.head_count": 2, "attention.head_count_kv": 1,
                 "feed_forward_length": dim, "context_length": 32, "vocab_size": 4}
        values = {"general.architecture": struct.pack("<I", 8) + text("llama")}
        values |= {"llama." + key: u32(value) for key, value in sizes.items()}
        shapes = {"attn_q": dim, "attn_k": dim // 2, "attn_v": dim // 2, "attn_output": dim, "ffn_gate": dim,
                  "ffn_up": dim, "ffn_down": dim}
        matrices = {f"blk.0.{part}.weight": rows for part, rows in shapes.items()} | {"token_embd.weight": 4}
        vectors = {"blk.0.attn_norm.weight": dim, "blk.0.ffn_norm.weight": dim, "output_norm.weight": dim}
        if type == 8:
            values["llama.rope.scaling.type"] = struct.pack("<I", 8) + text("yarn")
            values["llama.rope.scaling.factor"] = struct.pack("<If", 6, 4)
            matrices["output.weight"] = 4
            vectors |= {f"blk.0.attn_{part}.bias": shapes[f"attn_{part}"] for part in "qkv"}
        tensors = {key: (type, [dim, rows], rows * dim // blocks * size) for key, rows in matrices.items()}
        tensors |= {key: (0, [n], 4 * n) for key, n in vectors.items()}
        yield name, gguf(values, tensors)


def encoder_seeds():
    """A BERT of one layer that pools, and one that scores."""
    dim = 8
    sizes = {"block_count": 1, "embedding_length": dim, "attention.head_count": 2, "feed_forward_length": dim, "context_length": 16,
             "vocab_size": 4, "pooling_type": 1}
    values = {"general.architecture": struct.pack("<I", 8) + text("bert"), "bert.attention.causal": struct.pack("<I?", 7, False)}
    values |= {"bert." + key: u32(value) for key, value in sizes.items()}
    parts = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"]
    matrices = {f"blk.0.{part}.weight": dim for part in parts} | {"token_embd.weight": 4, "position_embd.weight": 16, "token_types.weight": 2}
    vectors = {f"blk.0.{part}.bias": dim for part in parts}
    vectors |= {f"{norm}.{kind}": dim for norm in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm")
                for kind in ("weight", "bias")}
    for name in ("pools", "scores"):
        if name == "scores":
            matrices |= {"cls.weight": dim, "cls.output.weight": 1}
            vectors |= {"cls.bias": dim, "cls.output.bias": 1}
        tensors = {key: (0, [dim, rows], rows * dim * 4) for key, rows in matrices.items()}
        tensors |= {key: (0, [n], 4 * n) for key, n in vectors.items()}
        yield name, gguf(values, tensors)


def selective_seeds():
    """A Mamba of one layer: no heads, no MLP, and no keys and values."""
    dim, inner, numbers_each, rank, taps = 8, 16, 2, 1, 3
    sizes = {"block_count": 1, "embedding_length": dim, "attention.head_count": 0, "feed_forward_length": 0, "context_length": 16,
             "vocab_size": 4, "ssm.conv_kernel": taps, "ssm.inner_size": inner, "ssm.state_size": numbers_each, "ssm.time_step_rank": rank}
    values = {"general.architecture": struct.pack("<I", 8) + text("mamba")} | {"mamba." + key: u32(n) for key, n in sizes.items()}
    shapes = {"blk.0.ssm_in.weight": [dim, 2 * inner], "blk.0.ssm_conv1d.weight": [taps, inner], "blk.0.ssm_conv1d.bias": [inner],
              "blk.0.ssm_x.weight": [inner, rank + 2 * numbers_each], "blk.0.ssm_dt.weight": [rank, inner], "blk.0.ssm_dt.bias": [inner],
              "blk.0.ssm_a": [numbers_each, inner], "blk.0.ssm_d": [inner], "blk.0.ssm_out.weight": [inner, dim],
              "blk.0.attn_norm.weight": [dim], "token_embd.weight": [dim, 4], "output_norm.weight": [dim]}
    tensors = {key: (0, dims, 4 * dims[0] * (dims[1] if len(dims) > 1 else 1)) for key, dims in shapes.items()}
    yield "selective", gguf(values, tensors)


def flags(values):
    return struct.pack("<IIQ", 9, 7, len(values)) + bytes(values)


def gemma_seeds():
    """Of layers with a window and without the last has the second's keys and a wider MLP. Gemma 4: other heads in windows, experts;
    Gemma 3n: streams, gates that are cut. Both: inputs of layers."""
    dim, width, n_layers, n_vocab, ffn, of_input = 8, 4, 3, 4, 8, 2
    for arch in ("gemma4", "gemma3n"):
        own, wide = arch == "gemma4", 16 if arch == "gemma4" else ffn
        local = 2 if own else width  # of a head
        sizes = {"block_count": n_layers, "embedding_length": dim, "attention.head_count": 2, "attention.head_count_kv": 1,
                 "context_length": 16, "vocab_size": n_vocab, "attention.key_length": width, "rope.dimension_count": width,
                 "attention.sliding_window": 3, "attention.shared_kv_layers": 1, "embedding_length_per_layer_input": of_input}
        sizes |= {"attention.key_length_swa": local, "expert_count": 2, "expert_used_count": 1, "expert_feed_forward_length": 4} if own else {
            "altup.num_inputs": 2, "altup.active_idx": 0}
        values = {"general.architecture": struct.pack("<I", 8) + text(arch)} | {f"{arch}.{key}": u32(n) for key, n in sizes.items()}
        values |= {f"{arch}.attention.sliding_window_pattern": flags([True, False, False]),
                   f"{arch}.feed_forward_length": numbers(5, "i", [ffn, ffn, wide])}
        shapes = {"token_embd.weight": [dim, n_vocab], "output_norm.weight": [dim], "per_layer_token_embd.weight": [n_layers * of_input, n_vocab],
                  "per_layer_model_proj.weight": [dim, n_layers * of_input], "per_layer_proj_norm.weight": [of_input]}
        if not own:
            values[f"{arch}.activation_sparsity_scale"] = numbers(6, "f", [0.5, float("-inf"), 0.5])
            shapes |= {"altup_proj.weight": [dim, dim, 1], "altup_unembd_proj.weight": [dim, dim, 1]}
        for i in range(n_layers):
            head, inner = local if i == 0 else width, wide if i == 2 and not own else ffn
            layer = {"attn_q.weight": [dim, 2 * head], "attn_output.weight": [2 * head, dim], "attn_q_norm.weight": [head],
                     "ffn_gate.weight": [dim, inner], "ffn_up.weight": [dim, inner], "ffn_down.weight": [inner, dim],
                     "inp_gate.weight": [dim, of_input], "proj.weight": [of_input, dim]}
            layer |= {f"{name}.weight": [dim] for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm")}
            if i < 2:
                layer |= {"attn_k.weight": [dim, head], "attn_k_norm.weight": [head]}
            if i == 0 or (i == 1 and not own):
                layer["attn_v.weight"] = [dim, head]
            layer |= {"layer_output_scale.weight": [1], "ffn_gate_inp.weight": [dim, 2], "ffn_gate_inp.scale": [dim],
                      "ffn_down_exps.scale": [2], "ffn_gate_up_exps.weight": [dim, 8, 2], "ffn_down_exps.weight": [4, dim, 2],
                      "pre_ffw_norm_2.weight": [dim], "post_ffw_norm_1.weight": [dim], "post_ffw_norm_2.weight": [dim]} if own else {
                "altup_router.weight": [dim, 2], "altup_router_norm.weight": [dim], "altup_predict_coef.weight": [2, 4],
                "altup_correct_coef.weight": [2, 2], "altup_correct_scale.weight": [dim], "laurel_l.weight": [dim, 3],
                "laurel_r.weight": [3, dim], "laurel_post_norm.weight": [dim]}
            shapes |= {f"blk.{i}.{name}": dims for name, dims in layer.items()}
        yield arch, gguf(values, {key: (0, dims, 4 * math.prod(dims)) for key, dims in shapes.items()})


def safetensors_seeds():
    header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
              "b": {"dtype": "BF16", "shape": [2], "data_offsets": [24, 28]}}
    data = json.dumps(header).encode()
    yield "two", struct.pack("<Q", len(data)) + data + bytes(28)


def json_seeds():
    split = {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+|\s+(?!\S)"}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}]}
    yield "bpe", {"added_tokens": [{"id": 3, "content": "<s>", "special": True, "lstrip": True}],
                  "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
                  "post_processor": template, "model": {"type": "BPE", "ignore_merges": True, "unk_token": None,
                                                        "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
    steps = [{"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]
    yield "spm", {"normalizer": {"type": "Sequence", "normalizers": steps},
                  "model": {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "merges": [[SPACE, "a"]],
                            "vocab": {"<unk>": 0, "<0x41>": 1, SPACE: 2, "a": 3, SPACE + "a": 4}}}
    yield "metaspace", {"pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False},
                        "model": {"vocab": {"a": 0}, "merges": []}}


def coded_seeds():
    """A config, tensors and what fills them: see fuzz_coded_folder.c."""
    compressed = {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}
    cases = {
        "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 32},
                 ["a.qweight I32 8 16", "a.qzeros I32 2 2", "a.scales F16 2 16", "a.g_idx I32 64"]),
        "gptq_8": ({"quant_method": "gptq", "bits": 8, "group_size": -1, "checkpoint_format": "gptq_v2"},
                   ["a.qweight I32 8 16", "a.qzeros I32 1 4", "a.scales F16 1 16"]),
        "awq": ({"quant_method": "awq", "bits": 4, "group_size": 32}, ["a.qweight I32 64 2", "a.qzeros I32 2 2", "a.scales F16 2 16"]),
        "fp8": ({"quant_method": "fp8", "weight_block_size": [16, 16]}, ["a.weight F8_E4M3 40 20", "a.weight_scale_inv F32 3 2"]),
        "int8": (dict(compressed, format="int-quantized"),
                 ["a.weight I8 8 64", "a.weight_scale BF16 8 1", "a.weight_zero_point I8 8 1", "a.input_scale F32"]),
        "packed": (dict(compressed, format="pack-quantized"),
                   ["a.weight_packed I32 16 8", "a.weight_scale F16 16 2", "a.weight_shape I64 2", "a.weight_g_idx I32 64",
                    "a.weight_zero_point I32 2 2"]),
        "packed_plain": (dict(compressed, format="pack-quantized"), ["a.weight_packed I32 16 8", "a.weight_scale F32 16 2"]),
        "bitnet": ({"quant_method": "bitnet"}, ["a.weight U8 4 64", "a.weight_scale BF16 1"]),
        "mxfp4": ({"quant_method": "mxfp4"}, ["a_blocks U8 2 4 3 16", "a_scales U8 2 4 3", "b BF16 8"]),
    }
    for name, (config, tensors) in cases.items():
        filling = bytes([16, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0]) if name == "packed" else bytes([1, 0, 0, 0])
        yield name, "\n".join([json.dumps(config), *tensors, "", ""]).encode() + filling


def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def sentencepiece_seeds():
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("<0x41>", 0, 6), (SPACE, -1, 1), ("a", -2, 1), (SPACE + "a", -3, 1)]
    out = b""
    for piece, score, type in pieces:
        out += field(1, field(1, piece.encode()) + b"\x15" + struct.pack("<f", score) + bytes([3 << 3, type]))
    yield "bpe", out + field(2, b"\x18\x02\x98\x02\x01") + field(3, field(1, b"identity") + b"\x20\x00")


def write(folder, name, data):
    path = CORPUS / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def main():
    for name, data in gguf_seeds():
        write("gguf", name, data)
    for name, data in model_seeds():
        write("model", name, data)
    for name, data in encoder_seeds():
        write("model", name, data)
    for name, data in selective_seeds():
        write("model", name, data)
    for name, data in gemma_seeds():
        write("model", name, data)
    for name, data in safetensors_seeds():
        write("safetensors", name, data)
    for name, data in coded_seeds():
        write("coded_folder", name, data)
    for name, data in json_seeds():
        write("tokenizer_json", name, json.dumps(data, ensure_ascii=False).encode())
    for name, data in sentencepiece_seeds():
        write("tokenizer_sentencepiece", name, data)


if __name__ == "__main__":
    main()
