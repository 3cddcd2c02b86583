#!/usr/bin/env python3
"""Adds Grok-1 to tests/golden/families/: a tiny random model as a folder with the names of the published PyTorch port, and one as a
GGUF file.

    python3 tests/golden/grok.py --llama-cpp DIR

(torch 2.13; DIR as for families.py.) transformers does not have it: the reference is written here, from the description that xAI's
release and the port's config give. Norms before and behind attention and experts; scores times attn_output_multiplier, capped
at 30; embeddings and logits times a factor; two experts of a softmax over all, gated by GELU. The port takes the exact GELU
and leaves chosen weights as they are ("grok-1"); llama.cpp takes the approximate one and makes them add up to 1 ("grok").
"""
import argparse
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import save_file

import families
import makers
from families import N_VOCAB, OUT

CONFIG = dict(model_type="grok-1", architectures=["Grok1ModelForCausalLM"], vocab_size=N_VOCAB, hidden_size=32, intermediate_size=24,
              num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, attn_output_multiplier=0.25, max_attn_value=30.0,
              max_position_embeddings=128, embedding_multiplier_scale=2.5, output_multiplier_scale=0.6, rms_norm_eps=1e-5,
              tie_word_embeddings=True, num_experts_per_tok=2, num_experts=4, bos_token_id=1, eos_token_id=2, pad_token_id=0)
C = CONFIG


def weights(seed):
    g = torch.Generator().manual_seed(seed)

    def matrix(n, m, spread=0.3):
        return (torch.randn(n, m, generator=g) * spread).half().float()
    dim, ffn, kv = C["hidden_size"], C["intermediate_size"], C["hidden_size"] // C["num_attention_heads"] * C["num_key_value_heads"]
    w = {"model.embed_tokens.weight": matrix(N_VOCAB, dim, 1.0), "model.norm.scale": 1 + matrix(1, dim, 0.1)[0]}
    for i in range(C["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name in ("pre_attn_norm", "post_attn_norm", "pre_moe_norm", "post_moe_norm"):
            w[at + name + ".scale"] = 1 + matrix(1, dim, 0.1)[0]
        for name, n in (("q", dim), ("k", kv), ("v", kv), ("o", dim)):
            w[at + f"attn.{name}_proj.weight"] = matrix(n, dim)
        w[at + "moe_block.gate.weight"] = matrix(C["num_experts"], dim)
        for e in range(C["num_experts"]):
            for name, n, m in (("linear", ffn, dim), ("linear_v", ffn, dim), ("linear_1", dim, ffn)):
                w[at + f"moe_block.experts.{e}.{name}.weight"] = matrix(n, m)
    return w


def norm(x, scale):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + C["rms_norm_eps"]) * scale


def turned(x):
    """[heads, positions, head_dim], halves turned against each other."""
    n, d = x.shape[1:]
    angles = torch.outer(torch.arange(n).float(), 10000.0 ** (-torch.arange(0, d, 2).float() / d))
    cos, sin = angles.cos(), angles.sin()
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attention(x, w, at):
    heads, kv_heads, n = C["num_attention_heads"], C["num_key_value_heads"], x.shape[0]
    q, k, v = ((x @ w[at + f"attn.{p}_proj.weight"].T).reshape(n, h, -1).transpose(0, 1)
               for p, h in (("q", heads), ("k", kv_heads), ("v", kv_heads)))
    q, k = turned(q), turned(k)
    k, v = (t.repeat_interleave(heads // kv_heads, 0) for t in (k, v))
    scores = q @ k.transpose(1, 2) * C["attn_output_multiplier"]
    scores = C["max_attn_value"] * torch.tanh(scores / C["max_attn_value"])
    scores = scores + torch.full((n, n), float("-inf")).triu(1)
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(n, -1) @ w[at + "attn.o_proj.weight"].T


def experts(x, w, at, as_llama_cpp):
    chances, chosen = (x @ w[at + "moe_block.gate.weight"].T).softmax(-1).topk(C["num_experts_per_tok"], dim=-1)
    if as_llama_cpp:
        chances = chances / chances.sum(-1, keepdim=True)
    gelu = torch.nn.GELU("tanh" if as_llama_cpp else "none")
    out = torch.zeros_like(x)
    for e in range(C["num_experts"]):
        gate, up, down = (w[at + f"moe_block.experts.{e}.{p}.weight"].T for p in ("linear", "linear_v", "linear_1"))
        out += (gelu(x @ gate) * (x @ up)) @ down * (chances * (chosen == e)).sum(-1, keepdim=True)
    return out


def logits(w, tokens, as_llama_cpp):
    x = w["model.embed_tokens.weight"][tokens] * C["embedding_multiplier_scale"]
    for i in range(C["num_hidden_layers"]):
        at = f"model.layers.{i}."
        x = x + norm(attention(norm(x, w[at + "pre_attn_norm.scale"]), w, at), w[at + "post_attn_norm.scale"])
        x = x + norm(experts(norm(x, w[at + "pre_moe_norm.scale"]), w, at, as_llama_cpp), w[at + "post_moe_norm.scale"])
    return norm(x, w["model.norm.scale"]) @ w["model.embed_tokens.weight"].T * C["output_multiplier_scale"]


def write_logits(w, folder, as_llama_cpp):
    rows = [logits(w, torch.tensor(families.tokens(p)), as_llama_cpp)[families.STEP - 1::families.STEP]
            for p in range(families.N_PROMPTS)]
    torch.stack(rows).numpy().astype("<f4").tofile(folder / "logits")
    print(f"{folder.name}: logits up to {torch.stack(rows).abs().max():.2f}")


# As the files that llama.cpp's converter reads have them.
JAX = {"attn.q_proj": "multi_head_attention.query", "attn.k_proj": "multi_head_attention.key", "attn.v_proj": "multi_head_attention.value",
       "attn.o_proj": "multi_head_attention.linear", "pre_attn_norm.scale": "rms_norm.weight", "post_attn_norm.scale": "rms_norm_1.weight",
       "pre_moe_norm.scale": "rms_norm_2.weight", "post_moe_norm.scale": "rms_norm_3.weight", "moe_block.gate": "router",
       "moe_block.experts": "moe", "model.layers": "transformer.decoder_layer", "model.embed_tokens": "transformer.in_out_embed",
       "model.norm.scale": "transformer.rms_norm.weight"}


def renamed(w):
    out = {}
    for name, t in w.items():
        for theirs, jax in JAX.items():
            name = name.replace(theirs, jax)
        out[name] = t.half() if t.dim() > 1 else t
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", required=True)
    args = parser.parse_args()
    sys.path[:0] = [args.llama_cpp, str(pathlib.Path(args.llama_cpp) / "gguf-py")]
    folder, w = makers.start(OUT, "grok-1"), weights(900)
    makers.write_config(folder, CONFIG)
    save_file(makers.as_stored(w), folder / "model.safetensors")
    write_logits(w, folder, False)
    folder = makers.start(OUT, "grok")
    with tempfile.TemporaryDirectory() as temp:
        temp = pathlib.Path(temp)
        config = dict(CONFIG, architectures=["Grok1ForCausalLM"], num_local_experts=C["num_experts"])
        (temp / "config.json").write_text(json.dumps(config))
        makers.write_numbers(temp)
        save_file({k: t.contiguous() for k, t in renamed(w).items()}, temp / "model.safetensors")
        makers.convert(temp, folder / "model.gguf")
    write_logits(w, folder, True)


if __name__ == "__main__":
    main()
