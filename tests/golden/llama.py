#!/usr/bin/env python3
"""Makes tests/golden/llama/: tiny random Llama models and the logits that transformers computes with them.

    python3 tests/golden/llama.py          (torch 2.13, transformers 5.23, gguf 0.19, safetensors 0.8)

Sets of weights: `plain` (grouped-query attention, untied head, heads wider than dim / n_heads), `biased` (biases
everywhere, tied head, multi-head), `qwen2` (biases on q, k and v) and `qwen3` (norms on q and k). Every case is a <case>.json, to be config.json beside one of them, and for some a GGUF
file of its own. <case>.logits holds f32 [48, 32]: the logits after each of the tokens (7 i + 3) mod 32.
rope_tables.inc holds inverse frequencies of real models' settings, from transformers' own functions.
"""
import json
import pathlib
import shutil

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

OUT = pathlib.Path(__file__).resolve().parent / "llama"
N_TOKENS, N_VOCAB = 48, 32
BASE = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=16, intermediate_size=16,
            num_hidden_layers=2, num_attention_heads=4, vocab_size=N_VOCAB, max_position_embeddings=64,
            rms_norm_eps=1e-5, hidden_act="silu", bos_token_id=1, eos_token_id=2, torch_dtype="float32")
PLAIN = dict(BASE, num_key_value_heads=2, head_dim=8, tie_word_embeddings=False)
BIASED = dict(BASE, num_key_value_heads=4, head_dim=4, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
QWEN = dict(BASE, num_key_value_heads=2, rope_theta=1000.0, use_sliding_window=False)
QWEN2 = dict(QWEN, architectures=["Qwen2ForCausalLM"], model_type="qwen2", tie_word_embeddings=False)
QWEN3 = dict(QWEN, architectures=["Qwen3ForCausalLM"], model_type="qwen3", head_dim=8, tie_word_embeddings=True,
             attention_bias=False)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
LONGROPE = dict(rope_type="longrope", short_factor=[1.0, 1.125, 1.25, 1.375], long_factor=[1.5, 2.0, 2.5, 3.0],
                original_max_position_embeddings=16)
CASES = {  # name: (weights, configuration); rope in both of its spellings
    "plain": ("plain", dict(PLAIN, rope_theta=10000.0)),
    "biased": ("biased", dict(BIASED, rope_parameters=dict(rope_type="default", rope_theta=500.0))),
    "linear": ("plain", dict(PLAIN, rope_theta=10000.0, rope_scaling=dict(type="linear", factor=4.0))),
    "dynamic": ("plain", dict(PLAIN, rope_theta=100.0, max_position_embeddings=16,
                              rope_scaling=dict(rope_type="dynamic", factor=2.0))),
    "llama3": ("plain", dict(PLAIN, rope_theta=100.0, rope_scaling=LLAMA3)),
    "mistral": ("plain", dict(PLAIN, architectures=["MistralForCausalLM"], model_type="mistral", rope_theta=1000.0,
                              sliding_window=None)),
    "qwen2": ("qwen2", QWEN2),
    "qwen3": ("qwen3", QWEN3),
    "yarn": ("plain", dict(PLAIN, rope_parameters=dict(YARN, rope_theta=100.0))),
    "longrope": ("plain", dict(PLAIN, rope_theta=100.0, rope_scaling=LONGROPE)),
}
TABLES = {  # name: (head_dim, context, configuration's rope_parameters, length of the sequence)
    "llama3": (128, 131072, dict(LLAMA3, rope_theta=5e5, original_max_position_embeddings=8192), 0),
    "yarn": (64, 131072, dict(YARN, rope_theta=1e6, original_max_position_embeddings=32768), 0),
    "dynamic": (64, 2048, dict(rope_type="dynamic", rope_theta=1e4, factor=4.0), 8192),
    "linear": (64, 16384, dict(rope_type="linear", rope_theta=1e4, factor=8.0), 0),
}


def tokens():
    return [(7 * i + 3) % N_VOCAB for i in range(N_TOKENS)]


def random_weights(config, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    for name, p in model.named_parameters():
        spread = 0.1 if name.endswith("bias") else 1.0 if "embed" in name else 0.35
        p.data = torch.randn_like(p) * spread + (1.0 if "norm" in name else 0.0)
    state = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        state.pop("lm_head.weight", None)
    return state


def interleaved(w, n_heads):
    """Rows of q or k in the order in which GGUF keeps them for llama."""
    return w.reshape(n_heads, 2, w.shape[0] // n_heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
              "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
GGUF_TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}


def gguf_name(name):
    if name in GGUF_TOP:
        return GGUF_TOP[name]
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{GGUF_NAMES[part]}.{kind}"


def write_gguf(path, c, model, state):
    head_dim = c.get("head_dim", c["hidden_size"] // c["num_attention_heads"])
    w = gguf.GGUFWriter(str(path), c["model_type"])
    rope = model.config.rope_parameters
    kind = rope["rope_type"]
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_rope_dimension_count(head_dim)
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(rope["rope_theta"])
    w.add_vocab_size(N_VOCAB)
    if kind == "yarn":
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(rope["factor"])
        w.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if kind == "llama3":  # as divisors of the unscaled frequencies
        unscaled = 1.0 / rope["rope_theta"] ** (np.arange(0, head_dim, 2) / head_dim)
        scaled = ROPE_INIT_FUNCTIONS["llama3"](model.config, "cpu")[0].numpy()
        w.add_tensor("rope_freqs.weight", (unscaled / scaled).astype(np.float32))
    for name, value in state.items():
        if c["model_type"] == "llama" and "q_proj" in name:
            value = interleaved(value, c["num_attention_heads"])
        if c["model_type"] == "llama" and "k_proj" in name:
            value = interleaved(value, c["num_key_value_heads"])
        w.add_tensor(gguf_name(name), np.ascontiguousarray(value))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_case(name, weights, config, state):
    folder = OUT / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copy(OUT / f"{weights}.safetensors", folder / "model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        logits = model(torch.tensor([tokens()])).logits[0].numpy()
    shutil.rmtree(folder)
    (OUT / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
    assert logits.shape == (N_TOKENS, N_VOCAB)
    logits.astype("<f4").tofile(OUT / f"{name}.logits")
    if name not in ("dynamic", "linear", "longrope", "mistral"):
        write_gguf(OUT / f"{name}.gguf", config, model, state)
    print(f"{name}: logits from {logits.min():.2f} to {logits.max():.2f}")


def write_tables():
    lines = ["/* Made by tests/golden/llama.py: {kind, head_dim, context, length}, scale, inverse frequencies. */"]
    for name, (head_dim, context, rope, length) in TABLES.items():
        config = LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim,
                             max_position_embeddings=context, rope_parameters=rope)
        inv_freq, scale = ROPE_INIT_FUNCTIONS[name](config, "cpu", seq_len=length or None)
        values = ", ".join(f"{x:.9g}" for x in inv_freq.tolist())
        lines.append(f"ROPE_TABLE({name.upper()}, {head_dim}, {context}, {rope.get('original_max_position_embeddings', 0)}, "
                     f"{length or context}, {rope['rope_theta']:g}, {rope['factor']:g}, {scale:.9g}, {values})")
    (OUT / "rope_tables.inc").write_text("\n".join(lines) + "\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    states = {"plain": random_weights(PLAIN, 1), "biased": random_weights(BIASED, 2),
              "qwen2": random_weights(QWEN2, 3), "qwen3": random_weights(QWEN3, 4)}
    for name, state in states.items():
        save_file(state, OUT / f"{name}.safetensors")
    for name, (weights, config) in CASES.items():
        write_case(name, weights, config, states[weights])
    write_tables()


if __name__ == "__main__":
    main()
