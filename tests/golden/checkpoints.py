#!/usr/bin/env python3
"""Adds quantized checkpoints to tests/golden/families/: tiny random models in folders as they are published, and the logits that
transformers computes with the weights that their codes stand for.

    python3 tests/golden/checkpoints.py [name ...]

(torch 2.13, transformers 5.24.) Codes are made and packed here, from the descriptions of the formats; what they stand for is
(code - zero) * scale in f32, the difference first. BitNet's matrices are transformers' own modules, which round what they read: models
are drawn until no number is nearer to a half than MARGIN, so that no order of a sum decides where it goes. `python3 tests/golden/checkpoints.py --check` compares packing with that of the
compressed-tensors package, and MXFP4 with transformers.
"""
import argparse
import sys

import torch
from safetensors.torch import save_file
from transformers import BitNetQuantConfig
from transformers.integrations import bitnet

import families
import makers
from families import OUT, case, experts_apart

GROUP = 32
MARGIN = 5e-5  # of numbers up to 127: six units in the last place of the largest
SIZES = dict(hidden_size=64, intermediate_size=96, head_dim=16, num_hidden_layers=1, tie_word_embeddings=False)


def llama(**more):
    return case("llama", "LlamaForCausalLM", **dict(SIZES, **more))


# --- Codes. Each returns the tensors of a matrix w [n_out, n_in] by what their names end in, and the numbers they stand for.


def split(w, group):
    return w.reshape(w.shape[0], -1, group)


def integers(w, bits, group, symmetric, groups=None):
    """Codes [n_out, n_in] from 0 on, zeros and scales [n_out, n_groups], scales in f16."""
    order = torch.argsort(groups, stable=True) if groups is not None else torch.arange(w.shape[1])
    g = split(w[:, order], group)
    top = 2 ** bits - 1
    if symmetric:
        scale = (g.abs().amax(2) / (2 ** (bits - 1) - 1)).half()
        zero = torch.full_like(scale, 2 ** (bits - 1))
    else:
        lo, hi = g.amin(2).clamp(max=0), g.amax(2).clamp(min=0)
        scale = ((hi - lo) / top).half()
        zero = (-lo / scale.float()).round().clamp(1, top)
    codes = (g / scale.float()[..., None] + zero.float()[..., None]).round().clamp(0, top)
    back = torch.empty_like(w, dtype=torch.int64)
    back[:, order] = codes.reshape(w.shape).long()
    return back, zero.long(), scale


def meant(codes, zero, scale, groups):
    return (codes - zero[:, groups]).float() * scale.float()[:, groups]


def pack(codes, bits, dim, places=None):
    """int32 words of codes that follow each other along `dim`."""
    per = 32 // bits
    codes = codes.movedim(dim, -1)
    short = -codes.shape[-1] % per
    codes = torch.nn.functional.pad(codes, (0, short)).reshape(*codes.shape[:-1], -1, per)
    words = torch.zeros(codes.shape[:-1], dtype=torch.int64)
    for i in range(per):
        words |= codes[..., i] << (bits * (places[i] if places else i))
    words = torch.where(words >= 2 ** 31, words - 2 ** 32, words).to(torch.int32)
    return words.movedim(-1, dim).contiguous()


def gptq(bits, group=GROUP, symmetric=True, act_order=False, v2=False):
    def quantize(w, generator):
        size = group if group > 0 else w.shape[1]
        groups = torch.arange(w.shape[1]) // size
        if act_order:
            groups = groups[torch.randperm(w.shape[1], generator=generator)]
        codes, zero, scale = integers(w, bits, size, symmetric, groups)
        stored = zero if v2 else (zero - 1) & (2 ** bits - 1)
        return {".qweight": pack(codes.T, bits, 0), ".qzeros": pack(stored.T, bits, 1),
                ".scales": scale.T.contiguous(), ".g_idx": groups.int()}, meant(codes, zero, scale, groups)
    config = dict(quant_method="gptq", bits=bits, group_size=group, sym=symmetric, desc_act=act_order)
    return quantize, dict(config, checkpoint_format="gptq_v2") if v2 else config


def awq(w, _):
    places = [0, 4, 1, 5, 2, 6, 3, 7]  # of columns 0, 1, ...: the lowest bits hold 0, 2, 4, 6, 1, 3, 5, 7
    codes, zero, scale = integers(w, 4, GROUP, False)
    groups = torch.arange(w.shape[1]) // GROUP
    return {".qweight": pack(codes.T, 4, 1, places), ".qzeros": pack(zero.T, 4, 1, places),
            ".scales": scale.T.contiguous()}, meant(codes, zero, scale, groups)


def fp8(scale_of, name, **more):
    def quantize(w, _):
        scale, each = scale_of(w)
        codes = (w / each.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
        return dict({".weight": codes, name: scale}, **{k: v.clone() for k, v in more.items()}), codes.float() * each.float()
    return quantize


def per_block(rows, columns):
    def scale_of(w):
        n, m = -(-w.shape[0] // rows), -(-w.shape[1] // columns)
        padded = torch.zeros(n * rows, m * columns)
        padded[:w.shape[0], :w.shape[1]] = w
        scale = padded.reshape(n, rows, m, columns).abs().amax((1, 3)) / 448
        each = scale.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        return scale, each[:w.shape[0], :w.shape[1]]
    return scale_of


def per_tensor(w):
    scale = (w.abs().max() / 448).reshape(())
    return scale, scale


def per_channel(w):
    scale = (w.abs().amax(1, keepdim=True) / 448).bfloat16()
    return scale, scale


def packed(symmetric=True, act_order=False):
    def quantize(w, generator):
        groups = torch.arange(w.shape[1]) // GROUP
        if act_order:
            groups = groups[torch.randperm(w.shape[1], generator=generator)]
        codes, zero, scale = integers(w, 4, GROUP, symmetric, groups)
        scale = scale.bfloat16()
        out = {".weight_packed": pack(codes, 4, 1), ".weight_scale": scale,
               ".weight_shape": torch.tensor(w.shape, dtype=torch.int64)}
        if not symmetric:
            out[".weight_zero_point"] = pack(zero, 4, 0)
        if act_order:
            out[".weight_g_idx"] = groups.int()
        return out, meant(codes, zero, scale, groups)
    return quantize


def int8(w, _):
    scale = (w.abs().amax(1, keepdim=True) / 127).bfloat16()
    codes = (w / scale.float()).round().clamp(-128, 127).to(torch.int8)
    return {".weight": codes, ".weight_scale": scale}, codes.float() * scale.float()


def ternary(divides):
    """Four rows in a byte, a quarter of them apart."""
    def quantize(w, _):
        scale = torch.tensor(w.shape[1] ** -0.5).bfloat16()  # so that what matrices give is as large as what they read
        codes = (w / w.abs().mean()).round().clamp(-1, 1)
        rows = (codes + 1).to(torch.uint8).reshape(4, -1, w.shape[1])
        stored = (1 / scale.float()).bfloat16() if divides else scale
        meant = 1 / stored.float() if divides else stored.float()
        return {".weight": rows[0] | rows[1] << 2 | rows[2] << 4 | rows[3] << 6, ".weight_scale": stored.reshape(1)}, codes * meant
    return quantize


E2M1 = torch.tensor([0.0, 0.5, 1, 1.5, 2, 3, 4, 6])


def mxfp4(w, _):
    """Of transformers' [experts, n_in, n_out]: published the other way round, rows of gate and up by turns as they are."""
    blocks = w.transpose(1, 2).reshape(w.shape[0], w.shape[2], -1, 32)
    exponent = torch.floor(torch.log2(blocks.abs().amax(-1).clamp(min=2.0 ** -100))) - 2
    scaled = blocks * torch.exp2(-exponent)[..., None]
    codes = (scaled.abs()[..., None] - E2M1).abs().argmin(-1)
    numbers = E2M1[codes] * scaled.sign() * torch.exp2(exponent)[..., None]
    codes = codes + 8 * (scaled < 0)
    out = {"_blocks": (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8), "_scales": (exponent + 127).to(torch.uint8)}
    return out, numbers.reshape(w.shape[0], w.shape[2], w.shape[1]).transpose(1, 2).contiguous()


def deepseek_v4(name, w):
    """Experts of 4 bits, other matrices of 8, with powers of two for scales."""
    if ".experts." in name:
        made, numbers = mxfp4(w.T[None], None)
        scales = made["_scales"][0].contiguous().view(torch.float8_e8m0fnu)
        return {".weight": made["_blocks"][0].reshape(len(w), -1).view(torch.int8), ".scale": scales}, numbers[0].T
    scale, each = per_block(16, 16)(w)
    scale, each = (torch.exp2(torch.ceil(torch.log2(s))) for s in (scale, each))
    codes = (w / each).to(torch.float8_e4m3fn)
    return {".weight": codes, ".scale": scale.to(torch.float8_e8m0fnu)}, codes.float() * each


def compressed(format, **weights):
    return dict(quant_method="compressed-tensors", format=format, ignore=["lm_head"], config_groups=dict(
        group_0=dict(targets=["Linear"], weights=weights, input_activations=None, output_activations=None)))


GPTQ_4, GPTQ_4_ORDER, GPTQ_8 = gptq(4), gptq(4, symmetric=False, act_order=True), gptq(8, group=-1, v2=True)
INT4 = dict(num_bits=4, type="int", group_size=GROUP, strategy="group")
def predicting_next(spec):
    """The same with a layer behind the last that foretells one token more, as DeepSeek-V3 is published; transformers leaves it out."""
    def publish(state, config):
        out = spec["publish"](state, config)
        n = 1 + max(int(name.split(".")[2]) for name in out if name.startswith("model.layers."))
        more = {name.replace(f".{n - 1}.", f".{n}.", 1): w.clone() for name, w in out.items() if name.startswith(f"model.layers.{n - 1}.")}
        norm, embed = out["model.norm.weight"], out["model.embed_tokens.weight"]
        for name, w in {"eh_proj": norm.repeat(len(norm), 2), "enorm": norm, "hnorm": norm, "shared_head.norm": norm,
                        "shared_head.head": embed, "embed_tokens": embed}.items():
            more[f"model.layers.{n}.{name}.weight"] = w.clone()
        return dict(out, **more)
    return dict(spec, publish=publish, config=dict(spec["config"], num_nextn_predict_layers=1))


CASES = {
    "gptq-4bit": (llama(), *GPTQ_4),
    "gptq-4bit-act-order": (llama(), *GPTQ_4_ORDER),
    "gptq-8bit-v2": (llama(), *GPTQ_8),
    "awq": (llama(), awq, dict(quant_method="awq", bits=4, group_size=GROUP, version="gemm", zero_point=True)),
    "fp8-blocks": (llama(intermediate_size=88), fp8(per_block(16, 24), ".weight_scale_inv"), dict(
        quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[16, 24])),
    "fp8-tensor": (llama(), fp8(per_tensor, ".weight_scale", **{".input_scale": torch.tensor(0.5)}), dict(
        quant_method="fp8", activation_scheme="static")),
    "fp8-experts": (case("qwen3_moe", "Qwen3MoeForCausalLM", head_dim=16, num_experts=4, num_experts_per_tok=2,
                         moe_intermediate_size=32, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], num_hidden_layers=1,
                         publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))),
                    fp8(per_block(16, 16), ".weight_scale_inv"), dict(quant_method="fp8", weight_block_size=[16, 16])),
    "compressed-fp8": (llama(), fp8(per_channel, ".weight_scale"), compressed(
        "float-quantized", num_bits=8, type="float", strategy="channel", symmetric=True)),
    "compressed-int4": (llama(), packed(), compressed("pack-quantized", symmetric=True, **INT4)),
    "compressed-int4-zeros": (llama(), packed(symmetric=False), compressed("pack-quantized", symmetric=False, **INT4)),
    "compressed-int4-act-order": (llama(), packed(act_order=True), compressed(
        "pack-quantized", symmetric=True, actorder="group", **INT4)),
    "gpt_oss-mxfp4": (dict(families.CASES["gpt_oss"], config=dict(families.CASES["gpt_oss"]["config"], hidden_size=64,
                                                                  intermediate_size=32)), mxfp4, dict(quant_method="mxfp4")),
    "compressed-int8": (llama(), int8, compressed("int-quantized", num_bits=8, type="int", strategy="channel", symmetric=True)),
    "fp8-deepseek_v3": (predicting_next(families.CASES["deepseek_v3"]), fp8(per_block(16, 16), ".weight_scale_inv"), dict(
        quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[16, 16])),
    "bitnet-packed": (case("bitnet", "BitNetForCausalLM", hidden_act="relu2", intermediate_size=256, num_hidden_layers=1,
                           num_key_value_heads=1), ternary(False), dict(
        quant_method="bitnet", linear_class="autobitlinear", quantization_mode="offline")),
    "bitnet-divided": (llama(hidden_size=32, intermediate_size=48, head_dim=8), ternary(True), dict(
        quant_method="bitnet", modules_to_not_convert=None)),
    "deepseek_v4-fp8": (dict(families.CASES["deepseek_v4"], config=dict(
        families.CASES["deepseek_v4"]["config"], hidden_size=64, moe_intermediate_size=32, num_hidden_layers=2, compress_ratios=[4, 16],
        n_routed_experts=4, num_experts_per_tok=2, layer_types=["compressed_sparse_attention", "heavily_compressed_attention"]), reference=None),
        deepseek_v4, dict(quant_method="fp8", fmt="e4m3", scale_fmt="ue8m0", activation_scheme="dynamic", weight_block_size=[16, 16])),
}


def is_quantized(name, w, method):
    of_v4 = any(part in name for part in (".attn.w", ".indexer.wq_b.", ".ffn.experts.", ".ffn.shared_experts."))
    return w.dim() == 3 if method == "mxfp4" else w.dim() == 2 and (of_v4 or "_proj" in name.rpartition(".")[0].rpartition(".")[2])


def load_back(model, spec, meant):
    """The numbers that codes stand for, into transformers' own tensors."""
    state = model.state_dict()
    if model.config.model_type == "deepseek_v4":  # by names that are published
        state = spec["publish"](state, spec["config"])
    for name, w in meant.items():
        if name.startswith(f"model.layers.{model.config.num_hidden_layers}."):
            continue
        if name in state:
            state[name].copy_(w)
            continue
        stem, expert, part = name.rsplit(".", 3)[0].rsplit(".", 1)[0], *name.split(".")[-3:-1]
        stem = name.split(".experts.")[0] + ".experts."
        if part == "down_proj":
            state[stem + "down_proj"][int(expert)].copy_(w)
        else:
            state[stem + "gate_up_proj"][int(expert)].chunk(2)[part == "up_proj"].copy_(w)


def as_published(model, tensors, quantization):
    """Puts transformers' modules of BitNet in place of those that they take the place of; returns how near a number came to a half."""
    torch._dynamo.config.disable = True
    settings = BitNetQuantConfig(**makers.less(quantization, "quant_method"))
    bitnet.replace_with_bitnet_linear(model, ["lm_head"], settings)
    nearest = [1.0]

    def watch(module, inputs):
        x = inputs[0].float()
        numbers = x * (127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5))
        nearest[0] = min(nearest[0], float((numbers - numbers.floor() - 0.5).abs().min()))
    for name, module in model.named_modules():
        if isinstance(module, (bitnet.BitLinear, bitnet.AutoBitLinear)):
            packed, auto = tensors[name + ".weight"], isinstance(module, bitnet.AutoBitLinear)
            module.weight = torch.nn.Parameter(bitnet.unpack_weights(packed, torch.float32)) if auto else packed
            module.weight_scale = tensors[name + ".weight_scale"].float()
            module.register_forward_pre_hook(watch)
    return nearest


def make(name, seed):
    while make_once(name, seed) < MARGIN:
        seed += 1000


def make_once(name, seed):
    spec, quantize, quantization = CASES[name]
    folder = makers.start(OUT, name)
    model = families.build(spec, seed)
    generator = torch.Generator().manual_seed(seed)
    tensors, numbers = {}, {}
    for key, w in families.state_of(model, spec).items():
        if not is_quantized(key, w, quantization["quant_method"]):
            tensors[key] = w
            continue
        stem = key.removesuffix(".weight")
        made, numbers[key] = quantize(key, w.float()) if quantize is deepseek_v4 else quantize(w.float(), generator)
        tensors.update({stem + end: t.contiguous() for end, t in made.items()})
    load_back(model, spec, numbers)
    config = dict(makers.config_of(model, folder), **spec["config"])
    makers.write_config(folder, dict(config, quantization_config=quantization))
    save_file(tensors, folder / "model.safetensors")
    rounds = quantization["quant_method"] == "bitnet"
    nearest = as_published(model, tensors, quantization) if rounds else [1.0]
    logits = families.logits_of(model)
    logits.astype("<f4").tofile(folder / "logits")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: logits from {logits.min():.2f} to {logits.max():.2f}, {size // 1024} KiB"
          + (f", {nearest[0]:.1e} from a half" if rounds else ""))
    return nearest[0]


def check():
    """The packers of compressed-tensors give the same words, and its unpackers the same codes."""
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(0, 16, (48, 40), generator=generator)
    for dim in (0, 1):
        theirs = pack_to_int32((codes - 8).to(torch.int8), 4, packed_dim=dim)
        assert torch.equal(theirs, pack(codes, 4, dim)), dim
        assert torch.equal(unpack_from_int32(theirs, 4, codes.shape, packed_dim=dim), (codes - 8).to(torch.int8))
    print("compressed-tensors packs as this does")
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    made, numbers = mxfp4(torch.randn(2, 64, 6, generator=generator), None)
    assert torch.equal(convert_moe_packed_tensors(made["_blocks"], made["_scales"], dtype=torch.float32), numbers)
    print("transformers unpacks MXFP4 as this does")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.check:
        return check()
    for i, name in enumerate(CASES):
        if not args.names or name in args.names:
            make(name, 500 + i)


if __name__ == "__main__":
    sys.exit(main())
