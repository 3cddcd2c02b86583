#!/usr/bin/env python3
"""Makes tests/golden/families/: for every architecture a tiny random model, as a Hugging Face folder and as a GGUF file, and
the logits that transformers computes with it.

    python3 tests/golden/families.py --llama-cpp DIR [name ...]

(torch 2.13, transformers 5.24; DIR: the sources of llama.cpp with its converter, as in llama-cpp-python 0.3.36, which writes
the GGUF files, so that names, orders and metadata are those that are published.)

A model's matrices are f16 in both files, which is exact for the reference: it computes in f32 with the same numbers. For
each of N_PROMPTS prompts of N_TOKENS tokens, <name>/logits holds f32 [N_KEPT, N_VOCAB], the logits after tokens
STEP - 1, 2 STEP - 1, ... Where transformers lacks an architecture, the reference is the one it has that computes the same,
with the weights brought into its names: see `reference` and `publish` of a case.
"""
import json
import pathlib
import shutil
import sys
import tempfile

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

import makers
import references
from makers import N_VOCAB

OUT = pathlib.Path(__file__).resolve().parent / "families"
N_PROMPTS, N_TOKENS, STEP = 2, 96, 4
SIZES = dict(hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=N_VOCAB, max_position_embeddings=128, rms_norm_eps=1e-6, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LAYER_NORMS = ("persimmon", "cohere_compass_text", "gpt_neox", "starcoder2", "phi", "stablelm", "nemotron", "cohere", "cohere2", "olmo", "jais2")
GPT_SIZES = dict(vocab_size=N_VOCAB, bos_token_id=1, eos_token_id=2)


LFM2 = ("lfm2", "lfm2_moe")


def case(hf_type, hf_class, reference=None, publish=None, **config):
    config = dict(SIZES, **config)
    config.update(model_type=hf_type, architectures=[hf_class])
    if hf_type in LAYER_NORMS + LFM2 + ("nemotron_h",):
        del config["rms_norm_eps"]
    return dict(config=config, reference=reference, publish=publish)


def alone(hf_type, hf_class, **config):
    """A model in which no layer attends."""
    return dict(config=dict(GPT_SIZES, model_type=hf_type, architectures=[hf_class], hidden_size=32, num_hidden_layers=3, expand=2,
                            conv_kernel=4, layer_norm_epsilon=1e-5, **config), reference=None, publish=None)


def seeing(hf_type, hf_class, text_type, vision, **text):
    """A model that sees images, too, of which only the text part is used."""
    text = dict(SIZES, model_type=text_type, **text)
    publish = text.pop("publish", "as saved")
    return dict(config=dict(model_type=hf_type, architectures=[hf_class], text_config=text, vision_config=vision,
                            tie_word_embeddings=text.get("tie_word_embeddings", False)), reference=None, publish=publish)


def internlm2(state, config):
    out, heads, groups = {}, config["num_attention_heads"], config["num_key_value_heads"]
    dim = config["hidden_size"] // heads
    names = {"self_attn.o_proj": "attention.wo", "input_layernorm": "attention_norm", "mlp.gate_proj": "feed_forward.w1",
             "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2", "post_attention_layernorm": "ffn_norm",
             "embed_tokens": "tok_embeddings", "lm_head": "output"}
    for i in range(config["num_hidden_layers"]):
        q, k, v = (state.pop(f"model.layers.{i}.self_attn.{x}_proj.weight") for x in "qkv")
        grouped = [w.reshape(groups, -1, dim, w.shape[1]) for w in (q, k, v)]
        out[f"model.layers.{i}.attention.wqkv.weight"] = torch.cat(grouped, dim=1).reshape(-1, q.shape[1])
    for name, w in state.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        out[name] = w
    return out


def renamed(state, names):
    for ours, theirs in names.items():
        state = {k.replace(ours, theirs): v for k, v in state.items()}
    return state


def qkv_joined(state, n_layers, name, ends=("weight",)):
    """state with q, k and v of each layer in one tensor, `name` behind the layer's."""
    for i in range(n_layers):
        for end in ends:
            parts = [state.pop(f"model.layers.{i}.self_attn.{x}_proj.{end}") for x in "qkv"]
            state[f"model.layers.{i}.{name}.{end}"] = torch.cat(parts)
    return state


def baichuan(state, config):
    return qkv_joined(state, config["num_hidden_layers"], "self_attn.W_pack")


def experts_apart(moe, names):
    """A tensor for each expert, as folders are published, from transformers' two for all of them."""
    def publish(state, config):
        out = {}
        for name, w in state.items():
            if name.endswith("mlp.experts.gate_up_proj"):
                parts = {names[0]: w.chunk(2, dim=1)[0], names[1]: w.chunk(2, dim=1)[1]}
            elif name.endswith("mlp.experts.down_proj"):
                parts = {names[2]: w}
            else:
                out[name.replace(".mlp.", f".{moe}.").replace("gate.moe_statics", "moe_statics")] = w
                continue
            stem = name.rsplit(".", 1)[0].replace(".mlp.", f".{moe}.")
            for part, of_all in parts.items():
                for e, one in enumerate(of_all):
                    out[f"{stem}.{e}.{part}.weight"] = one
        return out
    return publish


def bailing(state, config):
    names = {"embed_tokens": "word_embeddings", "self_attn.o_proj": "attention.dense", "self_attn.q_norm": "attention.query_layernorm",
             "self_attn.k_norm": "attention.key_layernorm", "gate.e_score_correction_bias": "gate.expert_bias"}
    state = experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))(state, config)
    return renamed(qkv_joined(state, config["num_hidden_layers"], "attention.query_key_value"), names)


def first_bailing(state, config):
    names = {"embed_tokens": "word_embeddings", "self_attn.o_proj": "attention.dense", "block_sparse_moe.router": "mlp.gate",
             "block_sparse_moe.experts": "mlp.experts", "shared_mlp.output_linear": "mlp.shared_experts.down_proj"}
    for name in [name for name in state if name.endswith("shared_mlp.input_linear.weight")]:
        stem = name.replace("shared_mlp.input_linear.weight", "mlp.shared_experts")
        state[f"{stem}.gate_proj.weight"], state[f"{stem}.up_proj.weight"] = state.pop(name).chunk(2)
    state = renamed(qkv_joined(state, config["num_hidden_layers"], "attention.query_key_value"), names)
    return experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))(state, config)


def experts_turned(state, config):
    return {k: v.transpose(1, 2) if ".experts." in k else v for k, v in state.items()}


def chatglm(state, config):
    names = {"model.embed_tokens": "transformer.embedding.word_embeddings", "model.layers": "transformer.encoder.layers",
             "self_attn.o_proj": "self_attention.dense", "mlp.gate_up_proj": "mlp.dense_h_to_4h", "mlp.down_proj": "mlp.dense_4h_to_h",
             "model.norm": "transformer.encoder.final_layernorm", "lm_head": "transformer.output_layer"}
    return renamed(qkv_joined(state, config["num_layers"], "self_attention.query_key_value", ("weight", "bias")), names)


def first_qwen(state, config):
    names = {"model.embed_tokens": "transformer.wte", "model.layers": "transformer.h", "self_attn.o_proj": "attn.c_proj",
             "input_layernorm": "ln_1", "post_attention_layernorm": "ln_2", "mlp.up_proj": "mlp.w1", "mlp.gate_proj": "mlp.w2",
             "mlp.down_proj": "mlp.c_proj", "model.norm": "transformer.ln_f"}
    return renamed(qkv_joined(state, config["num_hidden_layers"], "attn.c_attn", ("weight", "bias")), names)


def first_deepseek(cls):
    """The converter as it was before keys and values were stored apart: one matrix of both, and a head's own widths."""
    from conversion.base import TextModel

    class First(cls):
        model_arch = cls.model_arch

        def modify_tensors(self, data_torch, name, bid):
            if name.endswith("kv_b_proj.weight"):
                yield from TextModel.modify_tensors(self, data_torch, name, bid)
            else:
                yield from super().modify_tensors(data_torch, name, bid)

        def set_gguf_parameters(self):
            super().set_gguf_parameters()
            values, h = self.gguf_writer.kv_data[0], self.hparams
            for key in ("key_length_mla", "value_length_mla"):
                del values[f"deepseek2.attention.{key}"]
            for key, value in (("head_count_kv", h["num_attention_heads"]), ("value_length", h["v_head_dim"]),
                               ("key_length", h["qk_nope_head_dim"] + h["qk_rope_head_dim"])):
                values[f"deepseek2.attention.{key}"].value = value
    return First


def stacked_norms(cls):
    """The converter loses norms of heads that it has put together: it returns what it should yield."""
    class Stacked(cls):
        model_arch = cls.model_arch

        def modify_tensors(self, data_torch, name, bid):
            stacked = yield from super().modify_tensors(data_torch, name, bid)
            if stacked is not None:
                yield from stacked
    return Stacked


def unsuppressed(cls):
    """A converter that asks no tokenizer for tokens to leave out."""
    class Plain(cls):
        model_arch = cls.model_arch

        model_arch = cls.model_arch

        def _get_suppress_tokens(self):
            return None
    return Plain


def without_guesses(cls):
    """The converter for models that guess no further tokens, which it takes for a mistake."""
    class Plain(cls):
        model_arch = cls.model_arch

        model_arch, no_mtp = cls.model_arch, True
    return Plain


def as_configured(cls):
    """The converter with what config.json says, to which transformers would add experts."""
    class Configured(cls):
        model_arch = cls.model_arch

        def __init__(self, folder, *args, **kwargs):
            kwargs["hparams"] = json.loads((folder / "config.json").read_text())
            super().__init__(folder, *args, **kwargs)
    return Configured


def turned_in_part(cls):
    """The converter brings rows of whole heads into the other order of rotary pairs, where half of each turns: Bamba's files that it makes
    turn what they should not, there as here. This one does it in the half, and says how much turns."""
    class Part(cls):
        model_arch, undo_permute = cls.model_arch, False

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.hparams["attn_rotary_emb"] = self.hparams["hidden_size"] // self.hparams["num_attention_heads"] // 2

        def modify_tensors(self, data_torch, name, bid):
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                n = self.hparams["attn_rotary_emb"]
                turned, rest = data_torch.unflatten(0, (-1, 2, n)).unbind(1)
                turned = turned.unflatten(1, (2, n // 2)).transpose(1, 2).flatten(1, 2)
                data_torch = torch.cat([turned, rest], dim=1).flatten(0, 1)
            yield from super().modify_tensors(data_torch, name, bid)
    return Part


def granite_experts(state, config):
    names = {"router.weight": "router.layer.weight", "experts.gate_up_proj": "input_linear.weight",
             "experts.down_proj": "output_linear.weight"}
    for ours, theirs in names.items():
        state = {k.replace(f"block_sparse_moe.{ours}", f"block_sparse_moe.{theirs}"): v for k, v in state.items()}
    return state


def unit_head(model):
    """Baichuan 2 divides the rows of its head by their lengths before it multiplies with them."""
    model.lm_head.weight.data = torch.nn.functional.normalize(model.lm_head.weight.data)


LATENT = dict(num_key_value_heads=4, kv_lora_rank=20, qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=14,
              num_hidden_layers=3, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, moe_intermediate_size=12,
              first_k_dense_replace=1, attention_bias=False,
              publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj")))


def stretched(mscale):
    return dict(rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=32, beta_fast=32.0,
                beta_slow=1.0, mscale=mscale, mscale_all_dim=mscale)


VISION = dict(model_type="siglip_vision_model", hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
              image_size=8, patch_size=4)
QWEN2_VISION = dict(depth=1, embed_dim=16, hidden_size=32, num_heads=2, mlp_ratio=1, patch_size=2)
QWEN3_VISION = dict(depth=1, hidden_size=16, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2,
                    num_position_embeddings=4, deepstack_visual_indexes=[0])
GLM_VISION = dict(depth=1, hidden_size=16, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2, image_size=8)
MUSE_VISION = dict(hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, patch_size=2, pos_emb_height=4,
                   pos_emb_width=4)
MINIMAX_VISION = dict(hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4)
MROPE = dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 1, 1])
LLAMA = dict(model_type="llama", architectures=["LlamaForCausalLM"])
DELTA = dict(head_dim=16, num_hidden_layers=4, linear_conv_kernel_dim=4, linear_key_head_dim=8, linear_value_head_dim=8,
             linear_num_key_heads=2, linear_num_value_heads=4, full_attention_interval=3,
             layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"])
MROPE_PART = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.25, mrope_section=[1, 1, 0],
                  mrope_interleaved=True)
QWEN35_VISION = dict(depth=1, hidden_size=16, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2,
                     num_position_embeddings=16)
MAMBA = dict(mamba_n_heads=4, mamba_d_head=16, mamba_expand=2, mamba_d_state=8, mamba_n_groups=1, mamba_d_conv=4, mamba_conv_bias=True,
             mamba_proj_bias=False)
MAMBA_ALONE = dict(head_dim=8, mamba_num_heads=4, mamba_head_dim=16, ssm_state_size=8, n_groups=2, conv_kernel=4, use_conv_bias=True,
                   layer_norm_epsilon=1e-5)
GEMMA4 = dict(head_dim=8, global_head_dim=16, num_global_key_value_heads=1, attention_k_eq_v=True, sliding_window=20, num_hidden_layers=6,
              hidden_size_per_layer_input=0, num_kv_shared_layers=0, final_logit_softcapping=30.0, layer_types=["sliding_attention",
              "sliding_attention", "full_attention"] * 2, rope_parameters=dict(
                  full_attention=dict(rope_type="proportional", partial_rotary_factor=0.25, rope_theta=100000.0),
                  sliding_attention=dict(rope_type="default", rope_theta=1000.0)))

def unused_keys(state, config):
    """With keys and values of layers that attend to others', as folders are published."""
    for i in range(config["num_hidden_layers"] - config["num_kv_shared_layers"], config["num_hidden_layers"]):
        windowed = config["layer_types"][i] == "sliding_attention"
        dim = config["head_dim"] if windowed else config.get("global_head_dim", config["head_dim"])
        for name in ("k_proj", "v_proj"):
            state[f"model.layers.{i}.self_attn.{name}.weight"] = torch.ones(config["num_key_value_heads"] * dim, config["hidden_size"])
        state[f"model.layers.{i}.self_attn.k_norm.weight"] = torch.ones(dim)
    return state


GEMMA_SINCE_3N = ("gemma3n", "gemma4")  # whose norms have their weights as they are
GEMMA4_SMALL = dict(GEMMA4, attention_k_eq_v=False, num_global_key_value_heads=None, hidden_size_per_layer_input=8, num_kv_shared_layers=3,
                    vocab_size_per_layer_input=N_VOCAB)
GEMMA3N = dict(head_dim=8, sliding_window=20, num_hidden_layers=6, hidden_size_per_layer_input=8, num_kv_shared_layers=3, laurel_rank=12,
               vocab_size_per_layer_input=N_VOCAB, activation_sparsity_pattern=[0.8] * 4 + [0.0] * 2, altup_num_inputs=4, altup_active_idx=0,
               layer_types=["sliding_attention", "sliding_attention", "full_attention"] * 2, rope_parameters=dict(
                   full_attention=dict(rope_type="default", rope_theta=100000.0),
                   sliding_attention=dict(rope_type="default", rope_theta=1000.0)))
GEMMA4_VISION = dict(model_type="gemma4_vision", hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, head_dim=8, patch_size=4, position_embedding_size=16)
GEMMA4_UNIFIED_VISION = dict(model_type="gemma4_unified_vision", patch_size=4, pooling_kernel_size=1, mm_embed_dim=16, mm_posemb_size=16,
                             output_proj_dims=16)

CASES = {
    "llama": case("llama", "LlamaForCausalLM", head_dim=16, tie_word_embeddings=False),
    "mistral-window": case("mistral", "MistralForCausalLM", sliding_window=20),
    "llama-yarn": case("llama", "LlamaForCausalLM", rope_parameters=dict(
        rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=32)),
    "internlm3": case("internlm3", "InternLM3ForCausalLM", reference=dict(LLAMA), head_dim=8, bias=False, qkv_bias=False),
    "qwen2": case("qwen2", "Qwen2ForCausalLM"),
    "qwen2-window": case("qwen2", "Qwen2ForCausalLM", use_sliding_window=True, sliding_window=20, max_window_layers=1),
    "qwen3": case("qwen3", "Qwen3ForCausalLM", head_dim=16, tie_word_embeddings=True),
    "gemma": case("gemma", "GemmaForCausalLM", head_dim=16, hidden_activation="gelu_pytorch_tanh"),
    "gemma2": case("gemma2", "Gemma2ForCausalLM", head_dim=16, query_pre_attn_scalar=16, sliding_window=20,
                   attn_logit_softcapping=5.0, final_logit_softcapping=9.0),
    "gemma3": case("gemma3_text", "Gemma3ForCausalLM", head_dim=8, query_pre_attn_scalar=8, sliding_window=20,
                   hidden_size=16, intermediate_size=24, num_hidden_layers=7, rope_parameters=dict(
                       full_attention=dict(rope_type="linear", factor=8.0, rope_theta=100000.0),
                       sliding_attention=dict(rope_type="default", rope_theta=1000.0))),
    "phi3": case("phi3", "Phi3ForCausalLM", sliding_window=20),
    "phi3-longrope": case("phi3", "Phi3ForCausalLM", original_max_position_embeddings=32, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, original_max_position_embeddings=32,
        short_factor=[1.0, 1.1, 1.2], long_factor=[1.5, 2.5, 6.0])),
    "glm4": case("glm4", "Glm4ForCausalLM", head_dim=16, attention_bias=True, partial_rotary_factor=0.5),
    "glm": case("glm", "GlmForCausalLM", head_dim=8, seq_length=128, rms_norm_eps=1e-5, attention_bias=True, partial_rotary_factor=0.5),
    "internlm2": case("internlm2", "InternLM2ForCausalLM", reference=dict(LLAMA), publish=internlm2, bias=False),
    "minicpm": case("minicpm", "MiniCPMForCausalLM", scale_emb=3, scale_depth=1.4, dim_model_base=8, rms_norm_eps=1e-5,
                    tie_word_embeddings=False, reference=dict(
                        model_type="granite", embedding_multiplier=3.0, residual_multiplier=1.4 / 2 ** 0.5,
                        logits_scaling=4.0, attention_multiplier=8 ** -0.5)),
    "yi": case("llama", "LlamaForCausalLM", rope_theta=5000000.0),
    "baichuan2": case("baichuan", "BaichuanForCausalLM", reference=dict(LLAMA, num_key_value_heads=4), publish=baichuan,
                      z_loss_weight=0, num_key_value_heads=4),
    "ernie4_5": case("ernie4_5", "Ernie4_5ForCausalLM", head_dim=16, use_bias=False),
    "pangu": case("PanguEmbedded", "PanguEmbeddedForCausalLM", reference=dict(LLAMA, attention_bias=True), bias=True),
    "granite": case("granite", "GraniteForCausalLM", embedding_multiplier=2.5, residual_multiplier=0.22,
                    logits_scaling=0.7, attention_multiplier=0.2),
    "olmo2": case("olmo2", "Olmo2ForCausalLM"),
    "smollm3": case("smollm3", "SmolLM3ForCausalLM", num_hidden_layers=4, use_sliding_window=False),
    "starcoder2": case("starcoder2", "Starcoder2ForCausalLM", sliding_window=None, norm_epsilon=1e-5),
    "starcoder2-window": case("starcoder2", "Starcoder2ForCausalLM", sliding_window=20, norm_epsilon=1e-5),
    "gpt2": dict(config=dict(GPT_SIZES, model_type="gpt2", architectures=["GPT2LMHeadModel"], n_embd=32, n_layer=2, n_head=4,
                             n_positions=128, n_ctx=128), reference=None, publish=None),
    "gpt_neox": case("gpt_neox", "GPTNeoXForCausalLM", rotary_pct=0.5, num_key_value_heads=4),
    "gpt_neox-serial": case("gpt_neox", "GPTNeoXForCausalLM", rotary_pct=0.25, use_parallel_residual=False,
                            num_key_value_heads=4),
    "seed_oss": case("seed_oss", "SeedOssForCausalLM", head_dim=8, attention_bias=True, attention_out_bias=False),
    "arcee": case("arcee", "ArceeForCausalLM", head_dim=8),
    "mixtral": case("mixtral", "MixtralForCausalLM", num_local_experts=4, num_experts_per_tok=2, sliding_window=None,
                    publish=experts_apart("block_sparse_moe", ("w1", "w3", "w2"))),
    "qwen3_moe": case("qwen3_moe", "Qwen3MoeForCausalLM", head_dim=16, num_experts=6, num_experts_per_tok=3,
                      moe_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                      publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))),
    "gpt_oss": case("gpt_oss", "GptOssForCausalLM", head_dim=8, num_local_experts=4, num_experts_per_tok=2,
                    sliding_window=20, rope_parameters=dict(
                        rope_type="yarn", rope_theta=1000.0, factor=4.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                        original_max_position_embeddings=32)),
    "granitemoe": case("granitemoe", "GraniteMoeForCausalLM", num_local_experts=4, num_experts_per_tok=2,
                       embedding_multiplier=2.5, residual_multiplier=0.22, logits_scaling=0.7, attention_multiplier=0.2,
                       publish=granite_experts),
    "ernie4_5_moe": case("ernie4_5_moe", "Ernie4_5_MoeForCausalLM", head_dim=8, use_bias=False, moe_num_experts=6, moe_k=2,
                         moe_num_shared_experts=2, moe_intermediate_size=12, intermediate_size=48, moe_layer_start_index=1,
                         moe_layer_interval=1, num_hidden_layers=3,
                         publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))),
    "glm4_moe": case("glm4_moe", "Glm4MoeForCausalLM", head_dim=8, n_routed_experts=8, num_experts_per_tok=3,
                     n_shared_experts=1, moe_intermediate_size=20, first_k_dense_replace=1, n_group=4, topk_group=2,
                     routed_scaling_factor=2.5, norm_topk_prob=True, partial_rotary_factor=0.5, use_qk_norm=True,
                     attention_bias=True, num_nextn_predict_layers=0,
                     publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))),
    "falcon": dict(config=dict(GPT_SIZES, model_type="falcon", architectures=["FalconForCausalLM"], hidden_size=32,
                               num_hidden_layers=2, num_attention_heads=4, multi_query=True, alibi=False, bias=False,
                               parallel_attn=True, new_decoder_architecture=False), reference=None, publish=None),
    "falcon-40b": dict(config=dict(GPT_SIZES, model_type="falcon", architectures=["FalconForCausalLM"], hidden_size=32,
                                   num_hidden_layers=2, num_attention_heads=4, num_kv_heads=2, alibi=False, bias=False,
                                   parallel_attn=True, new_decoder_architecture=True), reference=None, publish=None),
    "deepseek_v2": case("deepseek_v2", "DeepseekV2ForCausalLM", q_lora_rank=24, topk_method="group_limited_greedy", n_group=4,
                        topk_group=2, routed_scaling_factor=3.0, norm_topk_prob=False, scoring_func="softmax",
                        rope_parameters=stretched(0.707), **LATENT),
    "deepseek_v2-lite": case("deepseek_v2", "DeepseekV2ForCausalLM", q_lora_rank=None, topk_method="greedy", n_group=1,
                             topk_group=1, routed_scaling_factor=1.0, norm_topk_prob=False, scoring_func="softmax",
                             rope_parameters=stretched(0.707), **LATENT),
    "deepseek_v2-first": case("deepseek_v2", "DeepseekV2ForCausalLM", q_lora_rank=24, topk_method="greedy", n_group=1,
                              topk_group=1, routed_scaling_factor=1.0, norm_topk_prob=False, scoring_func="softmax", **LATENT),
    "deepseek_v3": case("deepseek_v3", "DeepseekV3ForCausalLM", q_lora_rank=24, topk_method="noaux_tc", n_group=4, topk_group=2,
                        routed_scaling_factor=2.5, norm_topk_prob=True, scoring_func="sigmoid", num_nextn_predict_layers=0,
                        rope_parameters=stretched(1.0), **LATENT),
    "glm4_moe_lite": case("glm4_moe_lite", "Glm4MoeLiteForCausalLM", q_lora_rank=24, topk_method="noaux_tc", n_group=1,
                          topk_group=1, routed_scaling_factor=1.8, norm_topk_prob=True, scoring_func="sigmoid",
                          num_nextn_predict_layers=0, **LATENT),
    "phi": case("phi", "PhiForCausalLM", num_key_value_heads=4, intermediate_size=128, rope_parameters=dict(
        rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    "phi-qk_norm": case("phi", "PhiForCausalLM", qk_layernorm=True),
    "stablelm": case("stablelm", "StableLmForCausalLM", use_qkv_bias=True),
    "stablelm-parallel": case("stablelm", "StableLmForCausalLM", use_parallel_residual=True, qk_layernorm=True),
    "nemotron": case("nemotron", "NemotronForCausalLM", norm_eps=1e-5, partial_rotary_factor=0.5),
    "cohere": case("cohere", "CohereForCausalLM", logit_scale=0.25, layer_norm_eps=1e-5, tie_word_embeddings=True),
    "cohere-qk_norm": case("cohere", "CohereForCausalLM", logit_scale=0.25, use_qk_norm=True, tie_word_embeddings=True),
    "cohere2": case("cohere2", "Cohere2ForCausalLM", logit_scale=0.25, layer_norm_eps=1e-5, tie_word_embeddings=True,
                    num_hidden_layers=5, intermediate_size=24, sliding_window=20, rotary_pct=1.0),
    "exaone": case("exaone", "ExaoneForCausalLM", publish="as saved", activation_function="silu", rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)),
    "exaone4": case("exaone4", "Exaone4ForCausalLM", num_hidden_layers=5, intermediate_size=24, sliding_window=20,
                    sliding_window_pattern="LLLG", layer_types=["sliding_attention"] * 3 + ["full_attention", "sliding_attention"]),
    "exaone4-global": case("exaone4", "Exaone4ForCausalLM", sliding_window=None, layer_types=["full_attention"] * 2),
    "olmo": case("olmo", "OlmoForCausalLM", clip_qkv=1.5),
    "olmo3": case("olmo3", "Olmo3ForCausalLM", num_hidden_layers=5, intermediate_size=24, sliding_window=20, rope_parameters=dict(
        full_attention=dict(rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=32),
        sliding_attention=dict(rope_type="default", rope_theta=1000.0))),
    "olmoe": case("olmoe", "OlmoeForCausalLM", rms_norm_eps=1e-5, num_key_value_heads=4, intermediate_size=24, num_experts=6,
                  num_experts_per_tok=3, publish="as saved"),
    "qwen2_moe": case("qwen2_moe", "Qwen2MoeForCausalLM", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24,
                      shared_expert_intermediate_size=28, norm_topk_prob=False, decoder_sparse_step=1, mlp_only_layers=[],
                      publish="as saved"),
    "dots1": case("dots1", "Dots1ForCausalLM", head_dim=8, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2,
                  moe_intermediate_size=12, first_k_dense_replace=1, n_group=1, topk_group=1, routed_scaling_factor=2.5,
                  norm_topk_prob=True, scoring_func="sigmoid", sliding_window=None, publish="as saved"),
    "minimax_m2": case("minimax_m2", "MiniMaxM2ForCausalLM", head_dim=16, rotary_dim=8, num_local_experts=6, num_experts_per_tok=3,
                       intermediate_size=20, scoring_func="sigmoid", use_qk_norm=True, publish="as saved"),
    "hunyuan": case("hunyuan_v1_dense", "HunYuanDenseV1ForCausalLM", head_dim=8, max_position_embeddings=32768, use_qk_norm=True,
                    rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, alpha=50.0, factor=1.0)),
    "hunyuan_moe": case("hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM", head_dim=8, intermediate_size=20, num_experts=6,
                        moe_topk=[3, 3], moe_intermediate_size=[20, 20], num_shared_expert=[1, 1], publish="as saved"),
    "granitemoeshared": case("granitemoeshared", "GraniteMoeSharedForCausalLM", num_local_experts=4, num_experts_per_tok=2,
                             intermediate_size=20, shared_intermediate_size=28, embedding_multiplier=2.5, residual_multiplier=0.22,
                             logits_scaling=0.7, attention_multiplier=0.2, publish="as saved"),
    "granite4": case("granitemoehybrid", "GraniteMoeHybridForCausalLM", num_local_experts=0, num_experts_per_tok=0, num_hidden_layers=2,
                     shared_intermediate_size=40, embedding_multiplier=2.5, residual_multiplier=0.22, logits_scaling=0.7,
                     attention_multiplier=0.2, position_embedding_type="rope", layer_types=["attention", "attention"], mamba_n_heads=2,
                     publish="as saved"),
    "bailing_moe_v2": case("bailing_moe_v2", "BailingMoeV2ForCausalLM", publish=bailing, head_dim=16, num_experts=8,
                           num_experts_per_tok=3, num_shared_experts=1, moe_intermediate_size=20, first_k_dense_replace=1, n_group=4,
                           topk_group=2, routed_scaling_factor=2.5, norm_topk_prob=True, score_function="sigmoid",
                           partial_rotary_factor=0.5, use_qk_norm=True, num_nextn_predict_layers=0,
                           moe_router_enable_expert_bias=True, reference=dict(
                               model_type="glm4_moe", n_routed_experts=8, n_shared_experts=1)),
    "ministral": case("ministral", "MinistralForCausalLM", head_dim=8, num_hidden_layers=4, intermediate_size=24, sliding_window=20,
                      layer_types=["full_attention", "sliding_attention"] * 2),
    "gemma3-vision": seeing("gemma3", "Gemma3ForConditionalGeneration", "gemma3_text", VISION, head_dim=8, query_pre_attn_scalar=8,
                            sliding_window=20, hidden_size=16, intermediate_size=24, num_hidden_layers=6,
                            tie_word_embeddings=True),
    "mistral3": seeing("mistral3", "Mistral3ForConditionalGeneration", "mistral", dict(VISION, model_type="pixtral", head_dim=8),
                       head_dim=16, sliding_window=None),
    "ministral3": seeing("mistral3", "Mistral3ForConditionalGeneration", "ministral3", dict(VISION, model_type="pixtral", head_dim=8),
                         head_dim=16, rms_norm_eps=1e-5, rope_parameters=dict(stretched(1.0), llama_4_scaling_beta=0.2)),
    "qwen2_vl": seeing("qwen2_vl", "Qwen2VLForConditionalGeneration", "qwen2_vl_text", QWEN2_VISION, rope_parameters=MROPE),
    "qwen2_5_vl": seeing("qwen2_5_vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl_text", dict(
        depth=1, hidden_size=16, intermediate_size=8, num_heads=2, out_hidden_size=32, patch_size=2, fullatt_block_indexes=[0]),
        rope_parameters=MROPE),
    "qwen3_vl": seeing("qwen3_vl", "Qwen3VLForConditionalGeneration", "qwen3_vl_text", QWEN3_VISION, head_dim=16,
                       rope_parameters=dict(MROPE, mrope_section=[3, 3, 2], mrope_interleaved=True)),
    "bloom": dict(config=dict(GPT_SIZES, model_type="bloom", architectures=["BloomForCausalLM"], hidden_size=48, n_layer=2, n_head=6,
                              seq_length=128), reference=None, publish=None),
    "mpt": dict(config=dict(GPT_SIZES, model_type="mpt", architectures=["MPTForCausalLM"], d_model=32, n_layers=2, n_heads=4,
                            max_seq_len=128, attn_config=dict(alibi=True, alibi_bias_max=8, clip_qkv=1.5)), reference=None, publish=None),
    "falcon-rw": dict(config=dict(GPT_SIZES, model_type="falcon", architectures=["FalconForCausalLM"], hidden_size=32,
                                  num_hidden_layers=2, num_attention_heads=4, multi_query=False, alibi=True, bias=True,
                                  parallel_attn=False, new_decoder_architecture=False), reference=None, publish=None,
                      attention="sdpa"),  # eager attention adds ALiBi twice
    "baichuan2-13b": case("baichuan", "BaichuanForCausalLM", reference=dict(LLAMA, num_key_value_heads=2), publish=baichuan,
                          z_loss_weight=0, hidden_size=8, intermediate_size=8, num_hidden_layers=40, num_attention_heads=2,
                          num_key_value_heads=2),
    "qwen3_vl_moe": seeing("qwen3_vl_moe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe_text", QWEN3_VISION, head_dim=16,
                           num_experts=4, num_experts_per_tok=2, moe_intermediate_size=20, decoder_sparse_step=1, mlp_only_layers=[],
                           norm_topk_prob=True, rope_parameters=dict(MROPE, mrope_section=[3, 3, 2], mrope_interleaved=True),
                           publish=experts_turned),
    "gpt_bigcode": dict(config=dict(GPT_SIZES, model_type="gpt_bigcode", architectures=["GPTBigCodeForCausalLM"], n_embd=32, n_layer=2,
                                    n_head=4, n_positions=128, multi_query=True), reference=None, publish=None),
    "gptj": dict(config=dict(GPT_SIZES, model_type="gptj", architectures=["GPTJForCausalLM"], n_embd=32, n_layer=2, n_head=4,
                             n_positions=128, rotary_dim=4), reference=None, publish=None),
    "jais2": case("jais2", "Jais2ForCausalLM", layer_norm_eps=1e-5),
    "helium": case("helium", "HeliumForCausalLM", head_dim=8, num_key_value_heads=4),
    "vaultgemma": case("vaultgemma", "VaultGemmaForCausalLM", head_dim=16, query_pre_attn_scalar=16, sliding_window=20,
                       attn_logit_softcapping=5.0, final_logit_softcapping=9.0),
    "solar_open": case("solar_open", "SolarOpenForCausalLM", head_dim=8, n_routed_experts=8, num_experts_per_tok=3,
                       n_shared_experts=1, moe_intermediate_size=20, n_group=1, topk_group=1, routed_scaling_factor=2.5,
                       norm_topk_prob=True, partial_rotary_factor=1.0, publish="as saved"),
    "mimo": case("mimo", "MiMoForCausalLM", reference=dict(model_type="qwen2"), attention_bias=True, num_nextn_predict_layers=1),
    "exaone_moe": case("exaone_moe", "ExaoneMoeForCausalLM", num_hidden_layers=5, intermediate_size=24, sliding_window=20,
                       sliding_window_pattern="LLLG", layer_types=["sliding_attention"] * 3 + ["full_attention", "sliding_attention"],
                       num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12, num_shared_experts=1, first_k_dense_replace=1,
                       norm_topk_prob=True, routed_scaling_factor=2.5, n_group=1, topk_group=1, scoring_func="sigmoid",
                       num_nextn_predict_layers=0, publish="as saved"),
    "chatglm": dict(config=dict(
        model_type="chatglm", architectures=["ChatGLMModel"], num_layers=2, hidden_size=32, ffn_hidden_size=40, num_attention_heads=4,
        multi_query_attention=True, multi_query_group_num=2, kv_channels=8, layernorm_epsilon=1e-5, vocab_size=N_VOCAB,
        padded_vocab_size=N_VOCAB, seq_length=128, rope_ratio=2, add_qkv_bias=True, add_bias_linear=False, rmsnorm=True,
        post_layer_norm=True, tie_word_embeddings=False), publish=chatglm, reference=dict(
            SIZES, model_type="glm", head_dim=8, rms_norm_eps=1e-5, attention_bias=True, rope_parameters=dict(
                rope_type="default", rope_theta=20000.0, partial_rotary_factor=0.5))),
    "qwen": dict(config=dict(
        model_type="qwen", architectures=["QWenLMHeadModel"], num_hidden_layers=2, hidden_size=32, intermediate_size=80,
        num_attention_heads=4, kv_channels=8, layer_norm_epsilon=1e-6, vocab_size=N_VOCAB, max_position_embeddings=256, seq_length=128,
        rotary_emb_base=10000, rotary_pct=1.0, use_dynamic_ntk=True, use_logn_attn=True, no_bias=True, tie_word_embeddings=False),
        publish=first_qwen, reference=dict(SIZES, model_type="qwen2", num_key_value_heads=4)),
    "xverse": case("xverse", "XverseForCausalLM", reference=dict(LLAMA, num_key_value_heads=4), num_key_value_heads=4),
    "internlm": case("internlm", "InternLMForCausalLM", reference=dict(LLAMA, attention_bias=True, num_key_value_heads=4), bias=True,
                     num_key_value_heads=4),
    "minicpm3": case("minicpm3", "MiniCPM3ForCausalLM", num_key_value_heads=4, kv_lora_rank=20, q_lora_rank=24, qk_nope_head_dim=10,
                     qk_rope_head_dim=6, scale_emb=12, scale_depth=1.4, dim_model_base=256, tie_word_embeddings=True),
    "youtu": case("youtu", "YoutuForCausalLM", num_key_value_heads=4, kv_lora_rank=20, q_lora_rank=24, qk_nope_head_dim=10,
                  qk_rope_head_dim=6, v_head_dim=14, tie_word_embeddings=True),
    "mistral4": seeing("mistral3", "Mistral3ForConditionalGeneration", "mistral4", dict(VISION, model_type="pixtral", head_dim=8),
                       **{k: v for k, v in LATENT.items() if k != "publish"}, q_lora_rank=24, norm_topk_prob=True, n_group=1, topk_group=1,
                       rope_parameters=dict(stretched(1.0), llama_4_scaling_beta=0.2)),
    "qwen3_moe-sparse": case("qwen3_moe", "Qwen3MoeForCausalLM", head_dim=8, num_hidden_layers=5, intermediate_size=24, num_experts=4,
                             num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True, decoder_sparse_step=2,
                             mlp_only_layers=[1], publish=experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))),
    "llama4": case("llama4_text", "Llama4ForCausalLM", head_dim=8, num_hidden_layers=5, intermediate_size=12, intermediate_size_mlp=24,
                   num_local_experts=4, num_experts_per_tok=1, interleave_moe_layer_step=2, rope_parameters=dict(
                       rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=1.0,
                       original_max_position_embeddings=32)),
    "llama4-chunks": case("llama4_text", "Llama4ForCausalLM", head_dim=8, num_hidden_layers=5, intermediate_size=12,
                          intermediate_size_mlp=24, num_local_experts=4, num_experts_per_tok=1, attention_chunk_size=20,
                          floor_scale=16, attn_scale=0.5),
    "llama4-maverick": case("llama4_text", "Llama4ForCausalLM", head_dim=8, num_hidden_layers=2, hidden_size=16, num_attention_heads=2,
                            num_key_value_heads=1, intermediate_size=4, intermediate_size_mlp=24, num_local_experts=128,
                            num_experts_per_tok=1, interleave_moe_layer_step=2, use_qk_norm=False),
    "apertus": case("apertus", "ApertusForCausalLM", head_dim=8, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)),
    "phimoe": case("phimoe", "PhiMoEForCausalLM", max_position_embeddings=256, rms_norm_eps=1e-5, num_local_experts=6,
                   num_experts_per_tok=2, intermediate_size=20, attention_bias=True, lm_head_bias=True, sliding_window=None,
                   router_jitter_noise=0.01, original_max_position_embeddings=128, rope_parameters=dict(
                       rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=128,
                       short_mscale=(8 / 7) ** 0.5, long_mscale=(8 / 7) ** 0.5, short_factor=[1.0, 1.1, 1.2, 1.5],
                       long_factor=[1.5, 2.5, 6.0, 8.0]), publish="as saved"),
    "lfm2": case("lfm2", "Lfm2ForCausalLM", num_hidden_layers=4, intermediate_size=60, block_auto_adjust_ff_dim=True,
                 block_multiple_of=8, block_ffn_dim_multiplier=1.0, norm_eps=1e-5, conv_L_cache=3, tie_word_embeddings=True,
                 layer_types=["conv", "full_attention", "conv", "conv"]),
    "lfm2_moe": case("lfm2_moe", "Lfm2MoeForCausalLM", num_hidden_layers=4, num_dense_layers=1, num_experts=6, num_experts_per_tok=3,
                     moe_intermediate_size=24, norm_eps=1e-5, conv_L_cache=3, norm_topk_prob=True, routed_scaling_factor=1.0,
                     use_expert_bias=True, tie_word_embeddings=True, layer_types=["conv", "conv", "full_attention", "conv"],
                     publish="as saved"),
    "cwm": case("cwm", "CwmForCausalLM", head_dim=8, num_hidden_layers=5, intermediate_size=24, sliding_window=20, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32)),
    "orion": case("orion", "OrionForCausalLM", rms_norm_eps=1e-5, num_key_value_heads=4, reference=dict(
        model_type="stablelm", layer_norm_eps=1e-5, rope_parameters=dict(
            rope_type="default", rope_theta=10000.0, partial_rotary_factor=1.0))),
    "flex_olmo": case("flex_olmo", "FlexOlmoForCausalLM", intermediate_size=20, num_experts=6, num_experts_per_tok=3, publish="as saved"),
    "hyperclovax": case("hyperclovax", "HyperCLOVAXForCausalLM", embedding_multiplier=2.5, residual_multiplier=0.22,
                        logits_scaling=0.7, attention_multiplier=0.2),
    "mellum": case("mellum", "MellumForCausalLM", head_dim=8, num_hidden_layers=5, num_experts=4, num_experts_per_tok=2,
                   moe_intermediate_size=12, norm_topk_prob=True, sliding_window=20,
                   layer_types=["sliding_attention"] * 3 + ["full_attention", "sliding_attention"], rope_parameters=dict(
                       full_attention=dict(rope_type="default", rope_theta=100000.0),
                       sliding_attention=dict(rope_type="default", rope_theta=1000.0)), publish="as saved"),
    "gpt_neo": dict(config=dict(GPT_SIZES, model_type="gpt_neo", architectures=["GPTNeoForCausalLM"], hidden_size=32, num_layers=2,
                                num_heads=4, max_position_embeddings=128, window_size=20, attention_types=[[["global", "local"], 1]]),
                    reference=None, publish=None),
    "opt": dict(config=dict(GPT_SIZES, model_type="opt", architectures=["OPTForCausalLM"], hidden_size=32, num_hidden_layers=2, ffn_dim=40,
                            num_attention_heads=4, max_position_embeddings=128, word_embed_proj_dim=32, pad_token_id=1),
                reference=None, publish=None),
    "persimmon": case("persimmon", "PersimmonForCausalLM", num_key_value_heads=4, qk_layernorm=True),
    "qwen3_next": case("qwen3_next", "Qwen3NextForCausalLM", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24,
                       shared_expert_intermediate_size=28, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                       publish="as saved", **DELTA),
    "qwen3_5": seeing("qwen3_5", "Qwen3_5ForConditionalGeneration", "qwen3_5_text", QWEN35_VISION, rope_parameters=MROPE_PART, **DELTA),
    "qwen3_5_moe": case("qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=24,
                        shared_expert_intermediate_size=28, rope_parameters=MROPE_PART, **DELTA),
    "afmoe": case("afmoe", "AfmoeForCausalLM", head_dim=16, num_hidden_layers=5, intermediate_size=24, sliding_window=20, num_dense_layers=1,
                  num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12, num_shared_experts=1, route_scale=2.5,
                  mup_enabled=True, layer_types=["sliding_attention"] * 3 + ["full_attention", "sliding_attention"], publish="as saved"),
    "nanochat": case("nanochat", "NanoChatForCausalLM"),
    "glm4v": seeing("glm4v", "Glm4vForConditionalGeneration", "glm4v_text", GLM_VISION, rope_parameters=dict(
        MROPE, mrope_section=[1, 1, 0], partial_rotary_factor=0.5)),
    "glm4v_moe": seeing("glm4v_moe", "Glm4vMoeForConditionalGeneration", "glm4v_moe_text", GLM_VISION, n_routed_experts=4,
                        num_experts_per_tok=2, n_shared_experts=1, moe_intermediate_size=12, first_k_dense_replace=1, n_group=1,
                        topk_group=1, routed_scaling_factor=2.5, norm_topk_prob=True, attention_bias=True, rope_parameters=dict(
                            MROPE, mrope_section=[1, 1, 0], partial_rotary_factor=0.5)),
    "smolvlm": seeing("smolvlm", "SmolVLMForConditionalGeneration", "llama", dict(VISION, model_type="smolvlm_vision")),
    "phi3_v": case("phi3_v", "Phi3VForCausalLM", sliding_window=None, reference=dict(model_type="phi3")),
    "granite4-h": case("granitemoehybrid", "GraniteMoeHybridForCausalLM", num_hidden_layers=4, num_local_experts=4, num_experts_per_tok=2,
                       intermediate_size=20, shared_intermediate_size=28, layer_types=["mamba", "mamba", "attention", "mamba"],
                       embedding_multiplier=2.5, residual_multiplier=0.22, logits_scaling=0.7, attention_multiplier=0.2,
                       position_embedding_type=None, publish="as saved", **MAMBA),
    "granite4-h-dense": case("granitemoehybrid", "GraniteMoeHybridForCausalLM", num_hidden_layers=3, num_local_experts=0,
                             num_experts_per_tok=0, shared_intermediate_size=40, layer_types=["mamba", "attention", "mamba"],
                             embedding_multiplier=2.5, residual_multiplier=0.22, logits_scaling=0.7, attention_multiplier=0.2,
                             position_embedding_type=None, publish="as saved", **MAMBA),
    "hy_v3": case("hy_v3", "HYV3ForCausalLM", head_dim=16, num_hidden_layers=3, num_experts=4, num_experts_per_tok=2, num_shared_experts=1,
                  moe_intermediate_size=12, router_scaling_factor=2.5, first_k_dense_replace=1,
                  mlp_layer_types=["dense", "sparse", "sparse"], publish="as saved"),
    "dbrx": dict(config=dict(GPT_SIZES, model_type="dbrx", architectures=["DbrxForCausalLM"], d_model=32, n_layers=2, n_heads=4,
                             max_seq_len=128, attn_config=dict(kv_n_heads=2, clip_qkv=1.5, rope_theta=10000.0),
                             ffn_config=dict(ffn_hidden_size=20, moe_num_experts=4, moe_top_k=2, moe_normalize_expert_weights=1.0)),
                 reference=None, publish=None),
    "bailing_moe": case("bailing_moe", "BailingMoeForCausalLM", publish=first_bailing, head_dim=8, num_experts=4, num_experts_per_tok=2,
                        num_shared_experts=2, moe_intermediate_size=12, first_k_dense_replace=0, norm_topk_prob=True, reference=dict(
                            model_type="granitemoeshared", num_local_experts=4, intermediate_size=12, shared_intermediate_size=24,
                            embedding_multiplier=1.0, residual_multiplier=1.0, logits_scaling=1.0, attention_multiplier=8 ** -0.5)),
    # Whose head is the embedding, as the whole says and the part does not.
    "internvl": dict(config=dict(seeing("internvl", "InternVLForConditionalGeneration", "qwen2", dict(
        model_type="internvl_vision", hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=[8, 8],
        patch_size=[4, 4]))["config"], tie_word_embeddings=True), reference=None, publish="as saved"),
    "paddleocr_vl": seeing("paddleocr_vl", "PaddleOCRVLForConditionalGeneration", "paddleocr_vl_text", dict(
        hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4), head_dim=16,
        rope_parameters=dict(MROPE, mrope_section=[4, 2, 2])),
    "iquestcoder": case("iquestcoder", "IQuestCoderForCausalLM", head_dim=16),
    "sarvam_moe": case("sarvam_moe", "SarvamMoEForCausalLM", head_dim=8, num_hidden_layers=3, n_routed_experts=8, num_experts_per_tok=3,
                       n_shared_experts=1, moe_intermediate_size=20, n_group=1, topk_group=1, publish="as saved"),
    "sarvam_mla": case("sarvam_mla", "SarvamMLAForCausalLM", n_group=1, topk_group=1, rope_parameters=stretched(1.0),
                       **dict(LATENT, publish="as saved")),
    # As published: with letters for layers, and without experts' numbers.
    "nemotron_h": case("nemotron_h", "NemotronHForCausalLM", hybrid_override_pattern="M-M*-", num_hidden_layers=5, publish="as saved",
                       reference=dict(model_type="nemotron_h"), mlp_hidden_act="relu2", **MAMBA_ALONE),
    "nemotron_h-moe": case("nemotron_h", "NemotronHForCausalLM", layers_block_type=["linear_attention", "moe", "full_attention", "moe",
                                                                                    "linear_attention"],
                           n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=20, moe_shared_expert_intermediate_size=28,
                           routed_scaling_factor=2.5, publish="as saved", **MAMBA_ALONE),
    "bamba": case("bamba", "BambaForCausalLM", num_hidden_layers=3, attn_layer_indices=[1], **dict(MAMBA, mamba_n_groups=2)),
    "falcon_h1": case("falcon_h1", "FalconH1ForCausalLM", head_dim=8, mamba_d_ssm=48, mamba_rms_norm=False, embedding_multiplier=2.0,
                      lm_head_multiplier=0.5, key_multiplier=0.5, attention_in_multiplier=2.0, attention_out_multiplier=0.25,
                      ssm_in_multiplier=0.5, ssm_out_multiplier=2.0, mlp_multipliers=[2.0, 0.5],
                      ssm_multipliers=[0.5, 2.0, 4.0, 1.0, 0.25], **dict(MAMBA, mamba_n_groups=2, mamba_d_head=12)),
    "falcon_h1-norm": case("falcon_h1", "FalconH1ForCausalLM", head_dim=8, mamba_d_ssm=64, mamba_rms_norm=True,
                           mamba_norm_before_gate=False, **dict(MAMBA, mamba_n_groups=2)),
    "gemma4": case("gemma4_text", "Gemma4ForCausalLM", **GEMMA4),
}
GPT = dict(GPT_SIZES, n_embd=32, n_layer=2, n_head=4, n_positions=128)


def plain(hf_type, hf_class, **config):
    return dict(config=dict(config, model_type=hf_type, architectures=[hf_class]), reference=None, publish=None)


CASES["opt-350m"] = dict(CASES["opt"], config=dict(CASES["opt"]["config"], do_layer_norm_before=False, word_embed_proj_dim=16))
CASES["mamba2"] = alone("mamba2", "Mamba2ForCausalLM", num_heads=4, head_dim=16, state_size=8, n_groups=2)
CASES.update({
    "xglm": plain("xglm", "XGLMForCausalLM", vocab_size=N_VOCAB, d_model=32, ffn_dim=40, num_layers=2, attention_heads=4,
                  max_position_embeddings=128),
    "biogpt": plain("biogpt", "BioGptForCausalLM", vocab_size=N_VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
                    num_attention_heads=4, max_position_embeddings=128),
    "ctrl": plain("ctrl", "CTRLLMHeadModel", dff=40, **GPT),
    "openai-gpt": plain("openai-gpt", "OpenAIGPTLMHeadModel", **GPT),
    "codegen": plain("codegen", "CodeGenForCausalLM", rotary_dim=4, n_ctx=128, **GPT),
    "gpt_neox_japanese": plain("gpt_neox_japanese", "GPTNeoXJapaneseForCausalLM", vocab_size=N_VOCAB, hidden_size=32,
                               num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128),
})
CASES["mamba"] = alone("mamba", "MambaForCausalLM", state_size=8, time_step_rank=6)
CASES["falcon_mamba"] = alone("falcon_mamba", "FalconMambaForCausalLM", state_size=8, tie_word_embeddings=False)
CASES["jamba"] = case("jamba", "JambaForCausalLM", num_hidden_layers=4, attn_layer_period=3, attn_layer_offset=1, expert_layer_period=2,
                      expert_layer_offset=1, num_experts=4, num_experts_per_tok=2, mamba_d_state=8, mamba_dt_rank=6, publish="as saved")
CASES["jamba-dense"] = case("jamba", "JambaForCausalLM", attn_layer_period=2, attn_layer_offset=0, num_experts=1, num_experts_per_tok=1,
                            mamba_d_state=8)
CASES.update({
    "gemma4-experts": case("gemma4_text", "Gemma4ForCausalLM", enable_moe_block=True, num_experts=4, top_k_experts=2, moe_intermediate_size=20,
                           **GEMMA4),
    "gemma4-small": case("gemma4_text", "Gemma4ForCausalLM", use_double_wide_mlp=True, **GEMMA4_SMALL),
    "gemma4-vision": seeing("gemma4", "Gemma4ForConditionalGeneration", "gemma4_text", GEMMA4_VISION, tie_word_embeddings=True,
                            moe_intermediate_size=None, **GEMMA4_SMALL),
    "gemma4_unified": seeing("gemma4_unified", "Gemma4UnifiedForConditionalGeneration", "gemma4_unified_text", GEMMA4_UNIFIED_VISION,
                             tie_word_embeddings=True, moe_intermediate_size=None, **{k: v for k, v in GEMMA4.items() if k != "hidden_size_per_layer_input"}),
})


def olmo_hybrid(state, config):
    """As published: convolutions apart, and norms in front of blocks by names of their own."""
    out, widths = {}, [config["linear_num_key_heads"] * config["linear_key_head_dim"]] * 2
    for name, w in state.items():
        if name.endswith("linear_attn.conv1d.weight"):
            parts = w.split(widths + [w.shape[0] - sum(widths)])
            out.update({name.replace("conv1d", f"{x}_conv1d"): part for x, part in zip("qkv", parts)})
            continue
        if ".layers." in name and config["layer_types"][int(name.split(".")[2])] == "linear_attention":
            name = name.replace("input_layernorm", "attention_layer_norm").replace("post_attention_layernorm", "feedforward_layer_norm")
        out[name] = w
    return out


CASES["olmo_hybrid"] = case("olmo_hybrid", "OlmoHybridForCausalLM", rope_parameters=dict(rope_type="default", rope_theta=None),
                            publish=olmo_hybrid, **dict(DELTA, head_dim=8, linear_num_value_heads=2, linear_value_head_dim=12))
CASES["olmo_hybrid-rope"] = case("olmo_hybrid", "OlmoHybridForCausalLM", linear_allow_neg_eigval=False, publish=olmo_hybrid, **dict(
    DELTA, head_dim=8, linear_num_value_heads=2, linear_value_head_dim=12, rope_parameters=dict(rope_type="default", rope_theta=10000.0)))


def kimi(state, config):
    """As published: convolutions apart, gates beside what they belong to, and a tensor for each expert."""
    out = {}
    for name, w in experts_apart("mlp", ("w1", "w3", "w2"))(state, config).items():
        if name.endswith("conv1d.weight"):
            out.update({name.replace("conv1d", f"{x}_conv1d"): part for x, part in zip("qkv", w.chunk(3))})
            continue
        sparse = ".mlp." in name and int(name.split(".")[2]) >= config["first_k_dense_replace"]
        out[name.replace("forget_gate.", "").replace(".mlp.", ".block_sparse_moe." if sparse else ".mlp.")] = w
    return out


CASES["kimi_linear"] = case("kimi_linear", "KimiLinearForCausalLM", publish=kimi, num_hidden_layers=3, num_key_value_heads=4, kv_lora_rank=20,
                            q_lora_rank=None, qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=14, num_experts=8, num_experts_per_token=3,
                            num_shared_experts=1, moe_intermediate_size=12, first_k_dense_replace=1, routed_scaling_factor=2.5,
                            num_expert_group=1, topk_group=1, moe_renormalize=True, linear_attn_config=dict(
                                head_dim=8, num_heads=4, short_conv_kernel_size=4, kda_layers=[1, 3], full_attn_layers=[2]))
CASES["gemma3n"] = case("gemma3n_text", "Gemma3nForCausalLM", publish=unused_keys, **GEMMA3N)
CASES["gemma3n-beyond"] = case("gemma3n_text", "Gemma3nForCausalLM", **dict(
    GEMMA3N, num_hidden_layers=2, num_kv_shared_layers=0, layer_types=["sliding_attention", "full_attention"], altup_num_inputs=3,
    vocab_size_per_layer_input=N_VOCAB - 8, activation_sparsity_pattern=[0.0, 0.0]))
CASES["modernbert-decoder"] = plain(
    "modernbert-decoder", "ModernBertDecoderForCausalLM", vocab_size=N_VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=4,
    num_attention_heads=2, max_position_embeddings=128, local_attention=40, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    cls_token_id=1, sep_token_id=2)
CASES |= {
    "granite_swa": case("granite_swa", "GraniteSWAForCausalLM", num_hidden_layers=3, sliding_window=20, tie_word_embeddings=True,
                        layer_types=["full_attention", "sliding_attention", "sliding_attention"], no_rope_layers=[0, 1, 1],
                        layer_rope_theta=[0, 1000.0, 1000.0], embedding_multiplier=2.5, residual_multiplier=0.22, logits_scaling=0.7,
                        attention_multiplier=0.2, rope_parameters=dict(rope_type="default", rope_theta=1000.0)),
    "granitemoe_swa": case("granitemoe_swa", "GraniteMoeSWAForCausalLM", num_local_experts=4, num_experts_per_tok=2, intermediate_size=20,
                           shared_intermediate_size=28, sliding_window=20, tie_word_embeddings=False, embedding_multiplier=2.5,
                           layer_types=["full_attention", "sliding_attention"], residual_multiplier=0.22, logits_scaling=0.7,
                           attention_multiplier=0.2, publish="as saved"),
    "flint": case("flint", "FlintForCausalLM", head_dim=8, num_hidden_layers=3, sliding_window=20, num_experts=6, num_experts_per_tok=3,
                  moe_intermediate_size=12, shared_expert_intermediate_size=16, mlp_only_layers=[0], norm_topk_prob=True,
                  layer_types=["full_attention", "sliding_attention", "full_attention"], publish="as saved"),
    # As published, which transformers' own words are for.
    "mimo_v2_flash": case("mimo_v2_flash", "MiMoV2FlashForCausalLM", head_dim=12, v_head_dim=8, num_hidden_layers=3, sliding_window=20,
                          layernorm_epsilon=1e-6, num_key_value_heads=1, swa_num_key_value_heads=2, swa_head_dim=12, swa_v_head_dim=8, swa_num_attention_heads=4,
                          hybrid_layer_pattern=[0, 1, 1], moe_layer_freq=[0, 1, 1], add_swa_attention_sink_bias=True,
                          add_full_attention_sink_bias=False, attention_value_scale=0.707, rope_theta=1000.0, swa_rope_theta=100.0,
                          partial_rotary_factor=0.334, n_routed_experts=6, num_experts_per_tok=3, n_shared_experts=None,
                          moe_intermediate_size=12, n_group=1, topk_group=1, topk_method="noaux_tc", scoring_func="sigmoid",
                          norm_topk_prob=True, routed_scaling_factor=None, tie_word_embeddings=False, publish="as saved", reference=dict(
                              layer_types=["full_attention", "sliding_attention", "sliding_attention"],
                              mlp_layer_types=["dense", "sparse", "sparse"], rope_parameters=dict(
                                  full_attention=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=0.334),
                                  sliding_attention=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=0.334)))),
    "cohere2_moe": case("cohere2_moe", "Cohere2MoeForCausalLM", head_dim=8, num_hidden_layers=4, sliding_window=20, logit_scale=0.25,
                        rms_norm_eps=None, layer_norm_eps=1e-5, num_experts=6, num_experts_per_tok=3, num_shared_experts=2,
                        intermediate_size=12, prefix_dense_intermediate_size=40, expert_selection_fn="sigmoid", norm_topk_prob=True,
                        first_k_dense_replace=1, mlp_layer_types=["dense", "sparse", "sparse", "sparse"],
                        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
                        tie_word_embeddings=True, publish="as saved"),
    "cohere2_moe-rms": case("cohere2_moe", "Cohere2MoeForCausalLM", head_dim=8, num_hidden_layers=2, sliding_window=20, logit_scale=0.25,
                            layer_norm_eps=1e-6, num_experts=6, num_experts_per_tok=3, num_shared_experts=0, intermediate_size=12,
                            expert_selection_fn="softmax", norm_topk_prob=True, mlp_layer_types=["sparse", "sparse"],
                            layer_types=["sliding_attention", "full_attention"], tie_word_embeddings=True, publish="as saved"),
    "axk1": case("axk1", "AXK1ForCausalLM", q_lora_rank=24, n_group=4, topk_group=2, routed_scaling_factor=2.5, norm_topk_prob=True,
                 rope_parameters=stretched(1.0), **dict(LATENT, publish="as saved")),
    # All positions are chosen: see below for others.
    "deepseek_v32": case("deepseek_v32", "DeepseekV32ForCausalLM", q_lora_rank=24, n_group=4, topk_group=2, routed_scaling_factor=2.5,
                         norm_topk_prob=True, index_topk=100, index_n_heads=2, index_head_dim=8, num_nextn_predict_layers=0,
                         rope_parameters=stretched(1.0), **LATENT),
    "glm_moe_dsa": case("glm_moe_dsa", "GlmMoeDsaForCausalLM", q_lora_rank=24, n_group=1, topk_group=1, routed_scaling_factor=2.5,
                        norm_topk_prob=True, index_topk=100, index_n_heads=2, index_head_dim=8, num_nextn_predict_layers=0,
                        index_topk_freq=2, **LATENT),
}
# Windows of these families are not in the format, nor is Mistral 4's growth of queries; Baichuan's converter calls itself for ever; of
# others there is none.
# Published with experts in MXFP4, an older GGUF file.
NO_FOLDER = {"gpt_oss", "deepseek_v2-first"}
NO_GGUF = {"mistral-window", "qwen2-window", "starcoder2-window", "baichuan2", "phi-qk_norm", "ministral", "falcon-rw", "baichuan2-13b",
           "gptj", "helium", "internlm", "mistral4", "vaultgemma", "mimo", "qwen3_moe-sparse",
           "llama4-chunks", "cwm", "flex_olmo", "hyperclovax", "gpt_neo", "opt", "opt-350m", "xglm", "biogpt", "ctrl", "openai-gpt", "codegen", "gpt_neox_japanese", "persimmon", "nanochat", "phi3_v", "smolvlm", "internvl", "paddleocr_vl",
           "iquestcoder", "sarvam_moe", "sarvam_mla", "olmo_hybrid", "olmo_hybrid-rope", "gemma3n-beyond", "flint", "axk1"}
NO_GGUF |= {"modernbert-decoder", "cohere_compass", "apertus1p5"}

CONVERTERS = {"minimax": unsuppressed, "deepseek_v2-first": first_deepseek, "stablelm-parallel": stacked_norms,
              "qwen3_next": without_guesses, "qwen3_5": without_guesses, "qwen3_5_moe": without_guesses,
              "nemotron_h": as_configured, "bamba": turned_in_part,
              "mimo_v2_flash": lambda cls: as_configured(without_guesses(cls))}


DECI = [(True, 256), (False, 256), (False, 0), (True, 0), (True, 512)]  # whether layers attend, and how wide their MLPs are


def varied(model):
    """Llama-Nemotron is a Llama some of whose layers lack attention or MLP, or have wider ones."""
    from transformers.models.llama.modeling_llama import LlamaMLP

    class Nothing(torch.nn.Module):
        def forward(self, *args, hidden_states=None, **kwargs):
            return torch.zeros_like(args[0]) if args else (torch.zeros_like(hidden_states), None)
    for layer, (attends, width) in zip(model.model.layers, DECI):
        layer.self_attn = layer.self_attn if attends else Nothing()
        layer.mlp = LlamaMLP(AutoConfig.for_model("llama", hidden_size=16, num_attention_heads=2, intermediate_size=width)) if width else Nothing()


def deci(state, config):
    gone = {f"model.layers.{i}.{norm}.weight" for i, layer in enumerate(DECI)
            for norm, there in zip(("input_layernorm", "post_attention_layernorm"), layer) if not there}
    return {name: w for name, w in state.items() if name not in gone}


def codeshell(state, config):
    names = {"model.embed_tokens": "transformer.wte", "model.layers": "transformer.h", "self_attn.o_proj": "attn.c_proj",
             "input_layernorm": "ln_1", "post_attention_layernorm": "ln_2", "model.norm": "transformer.ln_f"}
    return renamed(qkv_joined(state, config["n_layer"], "attn.c_attn", ("weight", "bias")), names)


def refact(state, config):
    for i in range(config["n_layer"]):
        stem = f"model.layers.{i}"
        state[f"{stem}.attn.kv.weight"] = torch.cat([state.pop(f"{stem}.self_attn.{x}_proj.weight") for x in "kv"])
        state[f"{stem}.mlp.gate_up_proj.weight"] = torch.cat([state.pop(f"{stem}.mlp.{x}_proj.weight") for x in ("gate", "up")])
    names = {"model.embed_tokens": "transformer.wte", "model.layers": "transformer.h", "self_attn.o_proj": "attn.c_proj",
             "self_attn.q_proj": "attn.q", "mlp.down_proj": "mlp.c_proj", "input_layernorm": "ln_1",
             "post_attention_layernorm": "ln_2", "model.norm": "transformer.ln_f"}
    return renamed(state, names)


def not_rounded(cls):
    """The converter for matrices that are not ternary, as it would make them."""
    class Plain(cls):
        model_arch = cls.model_arch

        model_arch = cls.model_arch

        def weight_quant(self, weight):
            return weight
    return Plain


CASES["deci"] = dict(case("nemotron-nas", "DeciLMForCausalLM", reference=dict(LLAMA, num_key_value_heads=1, intermediate_size=256), publish=deci,
                          hidden_size=16, num_attention_heads=2, num_hidden_layers=5, intermediate_size=None, num_key_value_heads=None, block_configs=[
                              dict(attention=dict(n_heads_in_group=2 if attends else None, no_op=not attends, replace_with_linear=False),
                                   ffn=dict(ffn_mult=3 * width / 32 if width else None, no_op=not width, replace_with_linear=False))
                              for attends, width in DECI]), modify=varied)
CASES["bitnet"] = case("bitnet", "BitNetForCausalLM", hidden_act="relu2")
CASES["bitnet-gguf"] = case("bitnet", "BitnetForCausalLM", hidden_act="silu", tie_word_embeddings=True, publish=lambda state, config: renamed(
    state, {"attn_sub_norm": "inner_attn_ln", "ffn_sub_norm": "ffn_layernorm"}))
CASES["codeshell"] = dict(plain("codeshell", "CodeShellForCausalLM", n_inner=128, num_query_groups=2, group_query_attention=True,
                                activation_function="gelu_pytorch_tanh", layer_norm_epsilon=1e-5, position_embedding_type="rope",
                                tie_word_embeddings=False, **GPT),
                          reference=dict(SIZES, model_type="starcoder2", intermediate_size=128, use_bias=True, norm_epsilon=1e-5,
                                         sliding_window=None), publish=codeshell)
CASES["refact"] = dict(plain("gpt_refact", "GPTRefactForCausalLM", layer_norm_epsilon=1e-5, tie_word_embeddings=False, **dict(GPT, n_embd=16, n_head=2)),
                       reference=dict(SIZES, hidden_size=16, num_attention_heads=2, model_type="llama", intermediate_size=256, num_key_value_heads=1, rms_norm_eps=1e-5),
                       publish=refact)
NO_GGUF |= {"bitnet"}
NO_FOLDER |= {"bitnet-gguf"}
CONVERTERS["bitnet-gguf"] = not_rounded


def without_gates(model):
    """PLM's MLPs: a squared ReLU between two matrices."""
    class Squared(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up_proj, self.down_proj = torch.nn.Linear(32, 40, bias=False), torch.nn.Linear(40, 32, bias=False)

        def forward(self, x):
            return self.down_proj(torch.relu(self.up_proj(x)) ** 2)
    for layer in model.model.layers:
        layer.mlp = Squared()


def swiglus(model):
    """Jais is a GPT-2 with SwiGLU and ALiBi: no positions."""
    class Swiglu(torch.nn.Module):
        def __init__(self):
            super().__init__()
            conv = sys.modules["transformers.pytorch_utils"].Conv1D
            self.c_fc, self.c_fc2, self.c_proj = conv(40, 32), conv(40, 32), conv(32, 40)

        def forward(self, x):
            return self.c_proj(self.c_fc(x) * torch.nn.functional.silu(self.c_fc2(x)))
    for layer in model.transformer.h:
        layer.mlp = Swiglu()


def jais(state, config):
    """Of a reference without them: factors of embeddings, of logits, and of scores, whose heads are 4 wide."""
    out = {}
    for name, w in state.items():
        if name.endswith("wpe.weight"):
            continue
        if name.endswith("wte.weight"):
            w = w / config["embeddings_scale"]
        if name == "lm_head.weight":
            w = w / config["width_scale"]
        if name.endswith("attn.c_attn.weight"):
            w = torch.cat([2 * w[:, :32], w[:, 32:]], dim=1)
        if name.endswith("attn.c_attn.bias"):
            w = torch.cat([2 * w[:32], w[32:]])
        out[name] = w
    return out


def without_positions(model):
    """For ALiBi as a mask: positions add nothing."""
    model.transformer.wpe.weight.data.zero_()


CASES["plm"] = dict(case("plm", "PLMForCausalLM", reference=dict(
    model_type="deepseek_v3", first_k_dense_replace=9, q_lora_rank=None, rope_interleave=True), num_key_value_heads=4, kv_lora_rank=20, qk_nope_head_dim=10,
    qk_rope_head_dim=6, v_head_dim=14, hidden_act="relu2", tie_word_embeddings=True, attention_bias=False), modify=without_gates)
CASES["jais"] = dict(plain("jais", "JAISLMHeadModel", activation_function="swiglu", position_embedding_type="alibi", layer_norm_epsilon=1e-5,
                           n_inner=40, scale_qk_dot_by_d=True, embeddings_scale=4.0, width_scale=0.5, tie_word_embeddings=False,
                           **dict(GPT, n_head=8)),
                     reference=dict(model_type="gpt2", activation_function="gelu_new"), publish=jais, modify=swiglus, settle=without_positions)
CASES["muse_glimmer"] = seeing("muse_glimmer", "MuseGlimmerForConditionalGeneration", "muse_glimmer_text", MUSE_VISION, head_dim=16,
                               num_hidden_layers=4, sliding_window=20, rms_norm_eps=1e-5, post_norm_eps=1e-8, qk_scale_factor=3.87,
                               output_multiplier=0.8, final_logit_softcapping=20.0,
                               layer_types=["sliding_attention"] * 3 + ["full_attention"], layer_rope_theta=[1000.0] * 3 + [0],
                               rope_parameters=dict(rope_type="default", rope_theta=1000.0))
CASES["muse_glimmer"]["config"].update(out_hidden_size=16, projector_hidden_size=8)
# As published, in words of their own, and as long as all blocks are chosen.
CASES["minimax_m3"] = seeing("minimax_m3_vl", "MiniMaxM3SparseForConditionalGeneration", "minimax_m3_vl_text", MINIMAX_VISION, head_dim=16,
                             num_hidden_layers=3, rotary_dim=8, partial_rotary_factor=0.5, rope_theta=1000.0, hidden_act="swigluoai",
                             swiglu_alpha=1.702, swiglu_limit=7.0, dense_intermediate_size=40, intermediate_size=12,
                             shared_intermediate_size=12, n_shared_experts=1, num_local_experts=6, num_experts_per_tok=3,
                             routed_scaling_factor=2.0, scoring_func="sigmoid", use_qk_norm=True, moe_layer_freq=[0, 1, 1],
                             sparse_attention_config=dict(
                                 sparse_num_index_heads=2, sparse_index_dim=8, sparse_block_size=32, sparse_topk_blocks=4,
                                 sparse_local_block=1, sparse_attention_freq=[0, 1, 1]))
CASES["minimax_m3"]["config"].update(projector_hidden_size=8)


def open_gates(model):
    """Shared experts that are not weighted: 1 is the sigmoid of this number."""
    class Open(torch.nn.Module):
        def forward(self, x):
            return torch.full_like(x[..., :1], 30.0)
    for layer in model.model.layers:
        if hasattr(layer.mlp, "shared_expert_gate"):
            layer.mlp.shared_expert_gate = Open()


def first_mixture(state, config):
    state = experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))(state, config)
    return renamed(state, {"shared_expert.": "shared_experts."})


CASES["deepseek"] = dict(case("deepseek", "DeepseekForCausalLM", num_hidden_layers=3, n_routed_experts=6, num_experts_per_tok=3,
                              n_shared_experts=2, moe_intermediate_size=12, first_k_dense_replace=1, moe_layer_freq=1,
                              norm_topk_prob=False, scoring_func="softmax", publish=first_mixture, reference=dict(
                                  model_type="qwen2_moe", num_experts=6, shared_expert_intermediate_size=24, mlp_only_layers=[0],
                                  qkv_bias=False, tie_word_embeddings=False)), modify=open_gates)
CASES["cohere_compass"] = case("cohere_compass_text", "CohereCompassForCausalLM", head_dim=8, num_hidden_layers=4, sliding_window=20,
                               logit_scale=0.25, tie_word_embeddings=True, layer_norm_eps=1e-5, publish="as saved",
                               layer_types=["sliding_attention"] * 3 + ["full_attention"], rope_parameters=dict(
                                   sliding_attention=dict(rope_type="default", rope_theta=1000.0, mrope_section=[2, 1, 1],
                                                          mrope_interleaved=True), full_attention=None))
CASES["apertus1p5"] = case("apertus1p5_text", "Apertus1p5TextForCausalLM", head_dim=8, output_vocab_size=40, tie_word_embeddings=False,
                           rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
                                                high_freq_factor=4.0, original_max_position_embeddings=32))


def decaying(state, config):
    """Without the tables that are made of what heads decay by."""
    state = {name: w for name, w in state.items() if not name.endswith(("_decay", "slope_rate"))}
    return experts_apart("block_sparse_moe", ("w1", "w3", "w2"))(state, config)


# As published, with a number for each layer's kind.
CASES["minimax"] = case("MiniMaxText01", "MiniMaxText01ForCausalLM", head_dim=8, num_hidden_layers=8, hidden_size=16, rms_norm_eps=1e-5,
                        num_local_experts=4, num_experts_per_tok=2, intermediate_size=12, attn_type_list=[0] * 7 + [1], rotary_dim=8,
                        rope_theta=1000.0, postnorm=True, layernorm_full_attention_alpha=1.5, layernorm_full_attention_beta=1.0,
                        layernorm_linear_attention_alpha=1.5, layernorm_linear_attention_beta=1.0, layernorm_mlp_alpha=1.5,
                        layernorm_mlp_beta=1.0, shared_intermediate_size=0, publish=decaying, reference=dict(
                            model_type="minimax", layer_types=["linear_attention"] * 7 + ["full_attention"], full_attn_alpha_factor=1.5,
                            linear_attn_alpha_factor=1.5, mlp_alpha_factor=1.5, block_size=32, tie_word_embeddings=False,
                            rope_parameters=dict(rope_type="default", rope_theta=1000.0)))
STEP_LAYERS = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]


def step(state, config):
    """As Step 3.5 is published, whose text is all there is."""
    out = {}
    for name, w in state.items():
        name = name.replace("model.language_model.", "model.").replace(".mlp.shared_experts.", ".share_expert.")
        name = name.replace(".mlp.gate.e_score_correction_bias", ".moe.router_bias").replace(".mlp.gate.", ".moe.gate.")
        if name.endswith("mlp.experts.gate_up_proj"):
            for part, x in zip(("gate", "up"), w.chunk(2, dim=1)):
                out[name.replace("mlp.experts.gate_up_proj", f"moe.{part}_proj.weight")] = x
        elif "vision" not in name and "multi_modal" not in name:
            out[name.replace("mlp.experts.down_proj", "moe.down_proj.weight")] = w
    return out


STEP_SCALING = dict(rope_type="llama3", factor=2.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
STEP_TEXT = dict({k: v for k, v in SIZES.items() if k != "num_key_value_heads"}, num_hidden_layers=4, num_attention_heads=2, head_dim=16, sliding_window=20,
                 num_attention_groups=2, attention_other_setting=dict(
                     attention_type="sliding_attention", num_attention_heads=4, num_attention_groups=2, head_dim=16, true_head_dim=16),
                 rope_theta=[5000.0, 100.0, 100.0, 5000.0], partial_rotary_factors=[0.5, 1.0, 1.0, 0.5], rope_scaling=STEP_SCALING,
                 yarn_only_types=["full_attention"], layer_types=STEP_LAYERS, moe_layers_enum="1,2,3", moe_num_experts=6, moe_top_k=3,
                 moe_intermediate_size=12, share_expert_dim=12, moe_router_scaling_factor=3.0, norm_expert_weight=True,
                 moe_router_activation="sigmoid", use_moe_router_bias=True, use_head_wise_attn_gate=True, num_nextn_predict_layers=0,
                 swiglu_limits=[0.0, 0.0, 0.0, 0.5], swiglu_limits_shared=[0.0, 0.0, 0.4, 0.6])
CASES["step3p5"] = dict(config=dict(STEP_TEXT, model_type="step3p5", architectures=["Step3p5ForCausalLM"], tie_word_embeddings=False), apart=True, publish=step, reference=dict(
    model_type="step3p7", text_config=dict(
        {k: v for k, v in STEP_TEXT.items() if not k.startswith("num_attention_groups")}, model_type="step3p5", num_key_value_heads=2,
        n_routed_experts=6, num_experts_per_tok=3), vision_config=dict(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1.0, image_size=56, patch_size=14, max_position_embeddings=16)))


def biased_choice(model, spread=0.3):
    """Biases where experts are chosen, which transformers keeps as buffers."""
    for name, p in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            p.data = (torch.randn_like(p) * spread).half().float()


def sized(base, model, *layers):
    """Layers of `base` (llama or qwen3), each with heads, those of keys, and an MLP of its own size."""
    module = sys.modules[type(model).__module__]
    for i, (heads, keys, width) in enumerate(layers):
        config = AutoConfig.for_model(**dict(model.config.to_dict(), num_attention_heads=heads, num_key_value_heads=keys, intermediate_size=width))
        config._attn_implementation = "eager"
        model.model.layers[i].self_attn = getattr(module, base + "Attention")(config, i)
        model.model.layers[i].mlp = getattr(module, base + "MLP")(config)


def openelm(state, config):
    for i in range(config["num_transformer_layers"]):
        stem = f"model.layers.{i}."
        state[stem + "attn.qkv_proj.weight"] = torch.cat([state.pop(f"{stem}self_attn.{x}_proj.weight") for x in "qkv"])
        state[stem + "ffn.proj_1.weight"] = torch.cat([state.pop(f"{stem}mlp.{x}_proj.weight") for x in ("gate", "up")])
    names = {"model.embed_tokens": "transformer.token_embeddings", "self_attn.o_proj": "attn.out_proj", "self_attn.": "attn.",
             "mlp.down_proj": "ffn.proj_2", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "model.": "transformer."}
    return renamed(state, names)


CASES["kolibri1"] = dict(case("kolibri1", "Kolibri1ForCausalLM", head_dim=16, num_hidden_layers=3, sliding_window=20, num_experts=8,
                              num_experts_per_tok=3, moe_intermediate_size=12, shared_expert_intermediate_size=16, norm_topk_prob=True,
                              layer_types=["sliding_attention", "sliding_attention", "full_attention"], publish="as saved"),
                         settle=biased_choice)
del CASES["kolibri1"]["config"]["intermediate_size"]
LAGUNA = dict(head_dim=16, num_hidden_layers=3, num_experts=8, num_experts_per_tok=3, moe_intermediate_size=12, gating=True,
              shared_expert_intermediate_size=16, moe_routed_scaling_factor=2.5, mlp_layer_types=["dense", "sparse", "sparse"],
              tie_word_embeddings=False, publish="as saved")
CASES["laguna"] = case("laguna", "LagunaForCausalLM", num_attention_heads_per_layer=[2, 4, 4], sliding_window=20, rope_parameters=dict(
    full_attention=dict(rope_type="yarn", rope_theta=1000.0, partial_rotary_factor=0.5, factor=4.0, original_max_position_embeddings=32,
                        beta_fast=32.0, beta_slow=1.0),
    sliding_attention=dict(rope_type="default", rope_theta=100.0, partial_rotary_factor=1.0)),
    layer_types=["full_attention", "sliding_attention", "sliding_attention"], **LAGUNA)
CASES["laguna-elements"] = case("laguna", "LagunaForCausalLM", sliding_window=0, rope_parameters=dict(
    full_attention=dict(rope_type="default", rope_theta=1000.0, partial_rotary_factor=1.0)),
    layer_types=["full_attention"] * 3, **dict(LAGUNA, gating="per-element"))
CASES["lfm3"] = case("lfm3", "Lfm3ForCausalLM", head_dim=16, num_hidden_layers=4, norm_eps=1e-5, conv_L_cache=7, sliding_window=20,
                     tie_word_embeddings=True, layer_types=["conv", "sliding_attention", "full_attention", "conv"], rope_parameters=dict(
                         full_attention=dict(rope_type="proportional", rope_theta=1000.0, partial_rotary_factor=0.5),
                         sliding_attention=dict(rope_type="default", rope_theta=100.0)), publish="as saved")
CASES["openelm"] = dict(plain("openelm", "OpenELMForCausalLM", model_dim=32, num_transformer_layers=3, head_dim=16, vocab_size=N_VOCAB,
                              num_query_heads=[2, 3, 4], num_kv_heads=[1, 1, 2], ffn_multipliers=[0.5, 1.3, 2.0], ffn_dim_divisor=16,
                              ffn_with_glu=True, normalize_qk_projections=True, share_input_output_layers=True, rope_freq_constant=1000,
                              rope_max_length=4096, max_context_length=128, activation_fn_name="swish",
                              normalization_layer_name="rms_norm"),
                        reference=dict(SIZES, model_type="qwen3", head_dim=16, num_hidden_layers=3, tie_word_embeddings=True,
                                       rope_parameters=dict(rope_type="default", rope_theta=1000.0)),
                        publish=openelm, modify=lambda model: sized("Qwen3", model, (2, 1, 16), (3, 1, 48), (4, 2, 64)))
CASES["deci-7b"] = dict(case("deci", "DeciLMForCausalLM", reference=dict(model_type="llama", num_key_value_heads=2), num_key_value_heads=None,
                             num_key_value_heads_per_layer=[4, 1], rope_theta=1000.0, publish=lambda state, config: state),
                        modify=lambda model: sized("Llama", model, (4, 4, 40), (4, 1, 40)))
CASES["bailing_hybrid"] = dict(case(
    "bailing_hybrid", "BailingMoeV3ForCausalLM", head_dim=8, num_hidden_layers=3, num_key_value_heads=4, num_experts=8, num_experts_per_tok=3,
    num_shared_experts=1, moe_intermediate_size=12, n_group=4, topk_group=2, first_k_dense_replace=1, routed_scaling_factor=2.5,
    norm_topk_prob=True, layer_group_size=3, short_conv_kernel_size=4, kda_safe_gate=True, kda_lower_bound=-5.0, q_lora_rank=24,
    kv_lora_rank=20, qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=14, rope_theta=1000.0, num_nextn_predict_layers=0,
    moe_shared_expert_intermediate_size=12, no_kda_lora=True, gated_attention_proj_granularity_type="head_wise", score_function="sigmoid",
    tie_word_embeddings=False, publish="as saved"), settle=biased_choice)
NO_GGUF |= {"kolibri1", "lfm3"}


class EarlyRouter(torch.nn.Module):
    """Experts are chosen by the stream as a layer finds it."""

    def __init__(self, softmax):
        super().__init__()
        self.weight, self.entering, self.softmax = torch.nn.Parameter(torch.zeros(8, 32)), None, softmax

    def forward(self, x):
        top, chosen = (self.entering.reshape(-1, 32) @ self.weight.T).topk(3, dim=-1)
        weights = top.softmax(-1) if self.softmax else top.sigmoid() / top.sigmoid().sum(-1, keepdim=True)
        return top, weights, chosen


def windowed(attend, window):
    at = torch.arange(N_TOKENS)
    seen = (at[None] <= at[:, None]) & (at[:, None] - at[None] < window)
    mask = torch.where(seen, 0.0, -torch.inf)[None, None]
    return lambda *args, attention_mask=None, **kwargs: attend(*args, attention_mask=mask, **kwargs)


def unturned(attend):
    def still(*args, position_embeddings=None, **kwargs):
        cos, sin = position_embeddings
        return attend(*args, position_embeddings=(torch.ones_like(cos), torch.zeros_like(sin)), **kwargs)
    return still


def early(model, window=None, softmax=False):
    """SmallThinker is a Mixtral with such routers, ReLUs for gates, and windows in three of four layers, of which the others turn nothing."""
    for i, layer in enumerate(model.model.layers):
        layer.mlp.gate = router = EarlyRouter(softmax)
        layer.register_forward_pre_hook(lambda layer, args, router=router: setattr(router, "entering", args[0]))
        if window:
            attend = layer.self_attn.forward
            layer.self_attn.forward = windowed(attend, window) if i % 4 else unturned(attend)


def smallthinker(state, config):
    state = experts_apart("block_sparse_moe", ("gate", "up", "down"))(state, config)
    return renamed(state, {"block_sparse_moe.gate.": "block_sparse_moe.primary_router."})


SMALLTHINKER = dict(head_dim=8, moe_num_primary_experts=8, moe_num_active_primary_experts=3, moe_ffn_hidden_size=12, moe_enable_early_router=True,
                    num_hidden_layers=3, sliding_window_size=20, rope_theta=1000.0, tie_word_embeddings=True, publish=smallthinker,
                    reference=dict(model_type="mixtral", num_local_experts=8, num_experts_per_tok=3, hidden_act="relu", sliding_window=None,
                                   intermediate_size=12, rope_parameters=dict(rope_type="default", rope_theta=1000.0)))
CASES["smallthinker"] = dict(case("smallthinker", "SmallThinkerForCausalLM", moe_primary_router_apply_softmax=False, rope_layout=[0, 1, 1],
                                  sliding_window_layout=[0, 1, 1], **SMALLTHINKER), modify=lambda model: early(model, window=20))
CASES["smallthinker-4b"] = dict(case("smallthinker", "SmallThinkerForCausalLM", moe_primary_router_apply_softmax=True, rope_layout=[1] * 3,
                                     sliding_window_layout=[0] * 3, **SMALLTHINKER), modify=lambda model: early(model, softmax=True))
for name in ("smallthinker", "smallthinker-4b"):
    del CASES[name]["config"]["intermediate_size"]


def clear_choices(model):
    """Refuses scores of positions of which the best are better by so little that roundings might tell."""
    topk = torch.Tensor.topk

    def checked(scores, k, **kwargs):
        if k == model.config.index_topk and scores.shape[-1] > k:
            best = topk(scores, k + 1, dim=-1).values
            gaps = (best[..., k - 1] - best[..., k])[best[..., k] > -1e30]
            if (gaps < 5e-6).any():
                raise SystemExit(f"a choice hangs on {gaps.min():.1g}: choose another seed")
        return topk(scores, k, **kwargs)
    torch.Tensor.topk = checked


INDEX = dict(q_lora_rank=24, norm_topk_prob=True, routed_scaling_factor=2.5, index_topk=9, index_n_heads=12, index_head_dim=10,
             num_nextn_predict_layers=0)
CASES["deepseek_v32-sparse"] = dict(case("deepseek_v32", "DeepseekV32ForCausalLM", n_group=4, topk_group=2, rope_parameters=stretched(1.0),
                                         **INDEX, **LATENT), modify=clear_choices)
CASES["glm_moe_dsa-sparse"] = dict(case("glm_moe_dsa", "GlmMoeDsaForCausalLM", n_group=1, topk_group=1, index_topk_freq=2, **INDEX,
                                        **dict(LATENT, num_hidden_layers=4)), modify=clear_choices)


def by_turns(w, dim):
    """Rows of heads whose rotary pairs lie apart, with each pair's together."""
    return w.unflatten(0, (-1, 2, dim // 2)).transpose(1, 2).flatten(0, 2)


def maincoder(state, config):
    """Hunyuan's, with pairs together and other names."""
    out = {}
    for name, w in state.items():
        if name.endswith(("q_proj.weight", "k_proj.weight", "query_layernorm.weight", "key_layernorm.weight")):
            w = by_turns(w, config["head_dim"])
        out[name] = w
    return renamed(out, {"query_layernorm": "q_norm", "key_layernorm": "k_norm", ".mlp.": ".feed_forward."})


CASES["maincoder"] = case("maincoder", "MaincoderForCausalLM", head_dim=8, intermediate_size_mlp=40, rms_norm_eps=1e-5, rope_theta=1000.0,
                          use_qk_norm=True, tie_word_embeddings=True, publish=maincoder, reference=dict(
                              model_type="hunyuan_v1_dense", rope_parameters=dict(rope_type="default", rope_theta=1000.0)))


class BoundedExperts(torch.nn.Module):
    """Qwen3-MoE's, whose gates are bounded from above and what they weight from both sides."""

    def __init__(self, experts, bound):
        super().__init__()
        self.gate_up_proj, self.down_proj, self.bound = experts.gate_up_proj, experts.down_proj, bound

    def forward(self, x, chosen, weights):
        gate, up = torch.einsum("rk,eok->reo", x, self.gate_up_proj).chunk(2, dim=-1)
        y = torch.nn.functional.silu(gate.clamp(max=self.bound)) * up.clamp(-self.bound, self.bound)
        said = torch.einsum("reo,eko->rek", y, self.down_proj)
        return (said.gather(1, chosen[..., None].expand(-1, -1, x.shape[-1])) * weights[..., None]).sum(1)


def half_turned(model, dim):
    """Rope on the first half of a head's pairs, as many as lie in half a head of a model that turns that alone."""
    rope = model.model.rotary_emb
    rope.inv_freq = torch.cat([1000.0 ** (-torch.arange(0, dim // 2, 2) / (dim // 2)), torch.zeros(dim // 4)])


def as_maple(model):
    half_turned(model, model.config.head_dim)
    for i, layer in enumerate(model.model.layers):
        layer.mlp.experts = BoundedExperts(layer.mlp.experts, 7.0)
        attend = layer.self_attn.forward
        layer.self_attn.forward = windowed(attend, 20) if i % 4 < 3 else unturned(attend)


def wider_gates(model):
    """So that many reach their bounds."""
    for layer in model.model.layers:
        layer.mlp.experts.gate_up_proj.data *= 4


def maple(state, config):
    """The pairs that turn together in front of the others."""
    dim, out = config["head_dim"], {}
    turning = torch.arange(dim // 4)
    order = torch.cat([turning, dim // 2 + turning, dim // 4 + turning, dim * 3 // 4 + turning])
    for name, w in state.items():
        if name.endswith(("q_proj.weight", "k_proj.weight", "q_norm.weight", "k_norm.weight")):
            w = w.unflatten(0, (-1, dim))[:, order].flatten(0, 1)
        out[name] = w
    return renamed(experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))(out, config), {"embed_tokens": "word_embeddings"})


CASES["maple"] = dict(case("maple", "MapleForCausalLM", head_dim=8, num_hidden_layers=5, intermediate_size=24, num_experts=4,
                           num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True, hidden_act="silu", partial_rotary_factor=0.5,
                           rope_theta=1000.0, sliding_window=20, nope_on_global_attention=True, tie_word_embeddings=False, publish=maple,
                           layer_types=["sliding_attention"] * 3 + ["full_attention", "sliding_attention"], reference=dict(
                               model_type="qwen3_moe", decoder_sparse_step=1, mlp_only_layers=[], layer_types=None, sliding_window=None,
                               rope_parameters=dict(rope_type="default", rope_theta=1000.0))), modify=as_maple, settle=wider_gates)


def looped(n_loops, norms=True):
    """A model whose layers run several times one behind the other, each time but the last with the last norm behind."""
    def modify(model):
        inner, runs = model.model, []
        stored = list(inner.layers)
        inner.layers = torch.nn.ModuleList(stored * n_loops)
        model.config.num_hidden_layers = len(inner.layers)

        def normed(layer, args, output):
            runs.append(1)
            return inner.norm(output) if norms and len(runs) % n_loops else output
        stored[-1].register_forward_hook(normed)
    return modify


def first_run(state, config):
    """One tensor of each that several runs have."""
    n = config["num_hidden_layers"]
    return {k: w for k, w in state.items() if not k.startswith("model.layers.") or int(k.split(".")[2]) < n}


def ouro(state, config):
    """With the gate that says when a text could do with fewer runs, which nobody asks where all are wanted."""
    state = dict(first_run(state, config), **{"model.early_exit_gate.weight": torch.ones(1, 32), "model.early_exit_gate.bias": torch.zeros(1)})
    return renamed(state, {"post_norm1": "input_layernorm_2", "post_norm2": "post_attention_layernorm_2"})


NANBEIGE = dict(head_dim=16, kv_channels=16, rms_norm_eps=1e-5, rope_theta=1000.0, loop_loss_weights=[], tie_word_embeddings=False,
                publish=first_run, reference=dict(LLAMA, rope_parameters=dict(rope_type="default", rope_theta=1000.0)))
CASES["nanbeige"] = dict(case("nanbeige", "NanbeigeForCausalLM", num_loops=2, skip_loop_final_norm=False, **NANBEIGE), modify=looped(2))
CASES["nanbeige-unnormed"] = dict(case("nanbeige", "NanbeigeForCausalLM", num_loops=3, skip_loop_final_norm=True, **NANBEIGE),
                                  modify=looped(3, norms=False))
CASES["ouro"] = dict(case("ouro", "OuroForCausalLM", head_dim=8, num_key_value_heads=4, rope_theta=1000.0, total_ut_steps=4,
                          early_exit_threshold=1.0, early_exit_step=None, sliding_window=None, use_sliding_window=False, max_window_layers=2,
                          layer_types=["full_attention"] * 2, tie_word_embeddings=False, publish=ouro, reference=dict(
                              model_type="hyperclovax", embedding_multiplier=1.0, residual_multiplier=1.0, logits_scaling=1.0,
                              attention_multiplier=8 ** -0.5, rope_parameters=dict(rope_type="default", rope_theta=1000.0))), modify=looped(4))
NO_GGUF |= {"ouro"}


class Matrix(torch.nn.Module):
    """In place of attention."""

    def __init__(self, width):
        super().__init__()
        self.linear_attn = torch.nn.Linear(width, width, bias=False)

    def forward(self, hidden_states, **kwargs):
        return self.linear_attn(hidden_states), None


def as_nemotron_51b(model):
    """Llama-Nemotron 51B: attention, or a matrix, or nothing in front of an MLP."""
    sized("Llama", model, (2, 1, 256), (2, 2, 256), (2, 2, 256), (2, 2, 256))
    model.model.layers[1].self_attn = Matrix(16)
    layer = model.model.layers[2]
    layer.forward = lambda x, **kwargs: x + layer.mlp(layer.post_attention_layernorm(x))


def without_third(state, config):
    return {k: w for k, w in state.items() if not k.startswith(("model.layers.2.self_attn.", "model.layers.2.input_layernorm."))}


CASES["deci-51b"] = dict(case(
    "nemotron-nas", "DeciLMForCausalLM", reference=dict(LLAMA, num_key_value_heads=1, intermediate_size=256), publish=without_third, hidden_size=16,
    num_attention_heads=2, num_hidden_layers=4, intermediate_size=None, num_key_value_heads=None, block_configs=[
        dict(attention=dict(n_heads_in_group=group, no_op=not group and not matrix, replace_with_linear=matrix),
             ffn=dict(ffn_mult=24.0, no_op=False, replace_with_linear=False))
        for group, matrix in ((2, False), (None, True), (None, False), (1, False))]), modify=as_nemotron_51b)


def hy_v4(state, config):
    """As Tencent publishes it, which transformers' own way back is not."""
    names = {"attn_hc.": "hc_attn_layer.hc_pre.hc_", "ffn_hc.": "hc_mlp_layer.hc_pre.hc_", "hc_head.hc_": "hc_head.hc_head_",
             "self_attn.gate_proj": "self_attn.linear_gate", "self_attn.sinks": "self_attn.learnable_sink_param"}
    return renamed(state, names)


def wide_awake(model):
    """Weights of streams that differ from row to row and from each other, gates that reach their bounds, and clear choices."""
    clear_choices(model)
    for name, p in model.named_parameters():
        if name.endswith(("hc.base", "hc_base", "hc.scale", "hc_scale")):
            p.data = torch.randn_like(p).half().float() + (1.0 if "scale" in name else 0.0)
        if name.endswith("weights_proj.weight"):
            p.data *= 4.0


def in_pairs(model):
    """Neighbours that turn together, as llama.cpp reads the GGUF files that its converter writes of these weights; transformers, and
    Tencent's own words in it, turn halves."""
    module = sys.modules[type(model).__module__]

    def turned(x, cos, sin):
        n = x.shape[-1] // 2
        a, b, c, s = x[..., 0::2], x[..., 1::2], cos[..., :n], sin[..., :n]
        return torch.stack((a * c - b * s, a * s + b * c), dim=-1).flatten(-2)
    module.apply_rotary_pos_emb = lambda q, k, cos, sin, unsqueeze_dim=1: tuple(
        turned(x, cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)) for x in (q, k))


HY_V4 = dict(INDEX, **dict(LATENT, num_hidden_layers=4, publish=hy_v4), index_head_dim=12, n_group=1, topk_group=1, swiglu_limit=0.6, rms_norm_eps=1e-5,
             hc_mult=3, hc_magnitude=1.5, hc_eps=1e-3, indexer_types=["full", "shared", "full", "shared"],
             rope_parameters=dict(rope_type="default", rope_theta=1000.0))
del HY_V4["num_nextn_predict_layers"]
CASES["hy_v4"] = dict(case("hy_v4", "HYV4ForCausalLM", **HY_V4), settle=wide_awake)
CASES["hy_v4-gguf"] = dict(case("hy_v4", "HYV4ForCausalLM", **HY_V4), settle=lambda model: (wide_awake(model), in_pairs(model)))
NO_GGUF |= {"hy_v4"}
NO_FOLDER |= {"hy_v4-gguf"}


def deepseek_v4(state, config):
    """As it is published, but for 4 and 8 bits."""
    names = {"model.embed_tokens.": "embed.", "model.norm.": "norm.", "lm_head.": "head.", "model.hc_head.hc_": "hc_head_", "model.layers.": "layers.",
             ".compressor.indexer.scorer.": ".indexer.", ".compressor.indexer.q_b_proj.": ".indexer.wq_b.", ".compressor.indexer.": ".indexer.compressor.",
             ".attn_hc.": ".hc_attn_", ".ffn_hc.": ".hc_ffn_", ".input_layernorm.": ".attn_norm.", ".post_attention_layernorm.": ".ffn_norm.",
             "compressor.kv_norm.": "compressor.norm.", "compressor.gate_proj.": "compressor.wgate.", "position_bias": "ape", "self_attn.sinks": "self_attn.attn_sink", "q_a_norm.": "q_norm.",
             "q_a_proj.": "wq_a.", "q_b_proj.": "wq_b.", ".kv_proj.": ".wkv.", "o_a_proj.": "wo_a.", "o_b_proj.": "wo_b.", "gate.e_score_correction_bias": "gate.bias"}
    state = renamed(renamed(experts_apart("mlp", ("w1", "w3", "w2"))(state, config), names), {".self_attn.": ".attn.", ".mlp.": ".ffn."})
    return renamed(state, {"shared_experts.gate_proj": "shared_experts.w1", "shared_experts.up_proj": "shared_experts.w3",
                           "shared_experts.down_proj": "shared_experts.w2"})


def by_token(model):
    wide_awake(model)
    for name, p in model.named_parameters():
        if name.endswith("position_bias"):
            p.data = torch.randn_like(p).half().float()
    for name, b in model.named_buffers():
        if name.endswith("tid2eid"):
            b.copy_(torch.stack([torch.randperm(model.config.n_routed_experts)[:b.shape[1]] for _ in range(len(b))]))
        if name.endswith("e_score_correction_bias"):
            b.copy_((torch.randn_like(b) * 0.3).half().float())


def plain_experts(cls):
    """llama.cpp's converter wants experts of 4 bits."""
    class Plain(cls):
        model_arch = cls.model_arch

        def _write_mxfp4_expert_tensor(self, bid, proj, tensor_key):
            names = [f"layers.{bid}.ffn.experts.{e}.{proj}.weight" for e in range(self.hparams["n_routed_experts"])]
            self.gguf_writer.add_tensor(self.format_tensor_name(tensor_key, bid), torch.stack(
                [sys.modules[cls.__module__].LazyTorchTensor.to_eager(self.model_tensors[name]()) for name in names]).half().numpy())
            return names
    return Plain


DEEPSEEK_V4 = dict(head_dim=16, qk_rope_head_dim=6, q_lora_rank=24, num_key_value_heads=1, num_hidden_layers=5, o_groups=2, o_lora_rank=12,
                   sliding_window=20, index_n_heads=12, index_head_dim=10, index_topk=5, n_routed_experts=8, num_experts_per_tok=3,
                   n_shared_experts=1, moe_intermediate_size=12, num_hash_layers=1, hc_mult=3, hc_sinkhorn_iters=4, hc_eps=1e-3,
                   scoring_func="sqrtsoftplus", topk_method="noaux_tc", norm_topk_prob=True, routed_scaling_factor=1.5, swiglu_limit=0.6,
                   rope_theta=1000.0, compress_rope_theta=5000.0, compress_ratios=[0, 4, 16, 4, 0],
                   compress_rates=dict(compressed_sparse_attention=4, heavily_compressed_attention=16), num_nextn_predict_layers=0,
                   rope_scaling=dict(type="yarn", rope_type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0))
CASES["deepseek_v4"] = dict(
    case("deepseek_v4", "DeepseekV4ForCausalLM", publish=deepseek_v4, **DEEPSEEK_V4, reference=dict(
        layer_types=["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention", "compressed_sparse_attention", "sliding_attention"])), settle=by_token)
del CASES["deepseek_v4"]["config"]["intermediate_size"]
CONVERTERS["deepseek_v4"] = plain_experts
def longcat(state, config):
    """Experts that compute nothing have no matrices, of which transformers makes some."""
    state = experts_apart("mlp", ("gate_proj", "up_proj", "down_proj"))(state, config)
    idle = [f".experts.{config['n_routed_experts'] + e}." for e in range(config["zero_expert_num"])]
    return {k: v for k, v in state.items() if not any(part in k for part in idle)}


CASES["longcat_flash"] = case("longcat_flash", "LongcatFlashForCausalLM", num_layers=2, q_lora_rank=24, kv_lora_rank=20, qk_nope_head_dim=10,
                              qk_rope_head_dim=6, head_dim=6, v_head_dim=14, n_routed_experts=6, zero_expert_num=3, moe_topk=4,
                              expert_ffn_hidden_size=12, ffn_hidden_size=40, routed_scaling_factor=2.5, num_key_value_heads=4,
                              rms_norm_eps=1e-3, rope_theta=1000.0, zero_expert_type="identity", mla_scale_q_lora=True,
                              mla_scale_kv_lora=True, publish=longcat)
CASES["longcat_flash"]["settle"] = lambda model: biased_choice(model, 0.1)
for key in ("num_hidden_layers", "intermediate_size"):
    del CASES["longcat_flash"]["config"][key]
NO_GGUF |= {"longcat_flash"}

CASES["axk2"] = dict(case("axk2", "AXK2ForCausalLM", n_group=4, topk_group=2, gated_norm_rank=5, rope_parameters=stretched(1.0), **INDEX, **LATENT),
                     modify=clear_choices)
NO_GGUF |= {"axk2"}


def as_arctic(model):
    """Mixtral whose experts read what a layer finds, beside an MLP that reads what attention leaves."""
    module, width = sys.modules[type(model).__module__], model.config.hidden_size
    for layer in model.model.layers:
        layer.residual_layernorm = module.MixtralRMSNorm(width, eps=model.config.rms_norm_eps)
        layer.residual_mlp = torch.nn.ModuleDict({w: torch.nn.Linear(width, width, bias=False) for w in ("w1", "w2", "w3")})

        def forward(x, layer=layer, **kwargs):
            attended = x + layer.self_attn(hidden_states=layer.input_layernorm(x), **kwargs)[0]
            mlp, read = layer.residual_mlp, layer.residual_layernorm(attended)
            said = layer.mlp(layer.post_attention_layernorm(x))
            return attended + mlp["w2"](torch.nn.functional.silu(mlp["w1"](read)) * mlp["w3"](read)) + said
        layer.forward = forward


CASES["arctic"] = dict(case(
    "arctic", "ArcticForCausalLM", num_local_experts=6, num_experts_per_tok=2, intermediate_size=20, rms_norm_eps=1e-5, rope_theta=1000.0,
    moe_layer_frequency=1, parallel_attn_mlp_res=True, use_residual=True, moe_eval_capacity_factor=1, moe_train_capacity_factor=1,
    moe_min_capacity=0, moe_token_dropping=True, enable_expert_tensor_parallelism=False, sliding_window=None, tie_word_embeddings=False,
    publish=experts_apart("block_sparse_moe", ("w1", "w3", "w2")), reference=dict(
        model_type="mixtral", rope_parameters=dict(rope_type="default", rope_theta=1000.0))), modify=as_arctic)


def spark(state, config):
    """As Spark X2.5 is published, from Step's text, whose norms' weights are what is added to 1."""
    out = {k: w + 1.0 if w.dim() == 1 else w for k, w in step(state, config).items()}
    out.pop("lm_head.weight", None)
    return qkv_joined(out, SPARK["num_hidden_layers"], "self_attn.q_k_v_proj")


def as_spark(model):
    """Step's dense text without norms of q and k, and with GELUs."""
    for layer in model.model.language_model.layers:
        layer.self_attn.q_norm = layer.self_attn.k_norm = torch.nn.Identity()
        layer.mlp.act_fn = torch.nn.GELU()


SPARK = dict(SIZES, num_hidden_layers=4, head_dim=16, hidden_act="gelu", sliding_window=20,
             layer_types=["sliding_attention"] * 3 + ["full_attention"])
CASES["spark2_5"] = dict(config=dict(
    SPARK, model_type="spark2_5", architectures=["Spark2_5ForCausalLM"], tie_word_embeddings=True, attention_bias=False, mlp_bias=False,
    headwise_attn_output_gate=True, gate_attn_act_mode="sigmoid", rope_parameters=dict(
        full_attention=dict(partial_rotary_factor=0.25, rope_theta=5000), sliding_attention=dict(partial_rotary_factor=1.0, rope_theta=100))),
    apart=True, publish=spark, modify=as_spark, reference=dict(
        model_type="step3p7", tie_word_embeddings=True, vision_config=CASES["step3p5"]["reference"]["vision_config"], text_config=dict(
            SPARK, model_type="step3p5", tie_word_embeddings=True, rope_theta=[100.0, 100.0, 100.0, 5000.0],
            partial_rotary_factors=[1.0, 1.0, 1.0, 0.25], mlp_layer_types=["dense"] * 4)))


def phi4mm(state, config):
    """As published, with adapters of what is seen and heard, which text goes without."""
    out, generator = {"model.embed_tokens_extend.image_embed.glb_GN": torch.ones(1, 1, 8)}, torch.Generator().manual_seed(1)
    for name, w in state.items():
        adapted = name.endswith("_proj.weight")
        name = name.removesuffix("weight")
        out[name + ("base_layer.weight" if adapted else "weight")] = w
        for part, size in (("A", (3, w.shape[-1])), ("B", (w.shape[0], 3))):
            if adapted:
                out[f"{name}lora_{part}.vision.weight"] = torch.randn(size, generator=generator)
    return out


PHI4 = dict(tie_word_embeddings=True, sliding_window=None, original_max_position_embeddings=32, rope_theta=10000.0, partial_rotary_factor=0.5)
PHI4_SCALING = dict(long_factor=[2.0, 4.0], short_factor=[1.0, 1.5])
CASES["phi4mm"] = case("phi4mm", "Phi4MMForCausalLM", **PHI4, rope_scaling=dict(PHI4_SCALING, type="longrope"), publish=phi4mm, reference=dict(
    model_type="phi3", rope_parameters=dict(PHI4_SCALING, rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5,
                                            original_max_position_embeddings=32)))
CASES["phi4_multimodal"] = dict(CASES["phi4mm"], config=dict(
    CASES["phi4mm"]["config"], model_type="phi4_multimodal", architectures=["Phi4MultimodalForCausalLM"]), publish=None)
NO_GGUF |= {"phi4mm", "phi4_multimodal"}


def tokens(prompt):
    return [(7 * i + 3) % N_VOCAB if prompt == 0 else (5 * i * i + i + 11) % N_VOCAB for i in range(N_TOKENS)]


def build(spec, seed):
    config = spec["reference"] if spec.get("apart") else dict(spec["config"], **(spec["reference"] or {}))
    torch.manual_seed(seed)
    auto = AutoModelForImageTextToText if "text_config" in config else AutoModelForCausalLM
    kind = spec["config"]["model_type"]
    model = auto.from_config(AutoConfig.for_model(**config), attn_implementation=spec.get("attention", "eager")).eval()
    spec.get("modify", lambda model: None)(model)
    for name, p in model.named_parameters():
        name = name.replace("norm_attn_norm.", "")  # DBRX's, of more than norms
        spread = 0.1 if "norm" in name or "ln_" in name or name.endswith("bias") else 1.0 if "emb" in name else 0.3
        around = 1.0 if ("norm" in name or "ln_" in name) and name.endswith("weight") else 0.0
        less_one = kind.startswith(("gemma", "step3p5", "spark2_5", "muse_glimmer", "minimax_m3", "qwen3_next", "qwen3_5")) and not kind.startswith(GEMMA_SINCE_3N)
        whole = "linear_attn" in name or (kind == "muse_glimmer" and name.endswith("language_model.norm.weight"))
        if less_one and around and not whole:
            around = 0.0
        if name.endswith(("router.scale", "per_expert_scale", "correct_output_scale")):
            around = 1.0
        if "_coefs" in name:
            spread = 0.1  # of sums over all streams in every layer
        if name.endswith("e_score_correction_bias"):
            spread = 0.3
        p.data = (torch.randn_like(p) * spread + around).half().float()
    for name, p in model.named_buffers():
        if name.endswith("layer_scalar"):
            p.data = (torch.randn_like(p) * 0.3 + 1.0).half().float()
    spec.get("settle", lambda model: None)(model)
    if config.get("tie_word_embeddings", getattr(model.config, "tie_word_embeddings", False)):
        model.tie_weights()
    return model


def alibi(model):
    """Scores' biases instead of rope: what is added to them, and positions that turn nothing."""
    heads = model.config.num_attention_heads
    slopes = torch.tensor([2.0 ** (-8.0 * (i + 1) / heads) for i in range(heads)])
    at = torch.arange(N_TOKENS)
    seen = torch.where(at[None] <= at[:, None], at[None] - at[:, None], -torch.inf)
    return dict(attention_mask=torch.where(seen > -torch.inf, slopes[:, None, None] * seen, -torch.inf)[None],
                position_ids=torch.zeros(1, N_TOKENS, dtype=torch.long))

# As transformers writes it: experts as others have them. There is no other GGUF file.
CASES["qwen3_vl_moe-as-saved"] = dict(CASES["qwen3_vl_moe"], publish="as saved")
NO_GGUF |= {"qwen3_vl_moe-as-saved"}

KIMI_K3 = dict(dict(SIZES, rms_norm_eps=1e-5), model_type="kimi_linear", architectures=["KimiLinearForCausalLM"], num_hidden_layers=4, num_key_value_heads=4, kv_lora_rank=20,
               q_lora_rank=28, qk_nope_head_dim=10, qk_rope_head_dim=6, v_head_dim=14, mla_use_nope=True, num_experts=8, num_experts_per_token=3,
               num_shared_experts=2, moe_intermediate_size=12, routed_expert_hidden_size=24, first_k_dense_replace=1, routed_scaling_factor=2.5,
               num_expert_group=1, topk_group=1, moe_renormalize=True, moe_router_activation_func="sigmoid", hidden_act="situ",
               activation_situ_beta=1.5, activation_situ_linear_beta=2.0, attn_res_block_size=2, linear_attn_config=dict(
                   head_dim=8, num_heads=4, short_conv_kernel_size=4, gate_lower_bound=-5.0, kda_layers=[1, 2, 3], full_attn_layers=[4]))
CASES["kimi_k3"] = dict(config=dict(model_type="kimi_k3", architectures=["KimiK3ForConditionalGeneration"], text_config=KIMI_K3),
                        reference=dict(KIMI_K3, hidden_act="silu"), apart=True, publish=references.kimi_k3_state(kimi),
                        modify=references.kimi_k3, settle=references.calmer)


def row_by_row(model):
    """Delta rules row by row, as transformers decodes: in chunks, as it reads prompts, they lose digits."""
    module = sys.modules[type(model).__module__]
    for chunks, rows in (("torch_chunk_gated_delta_rule", "torch_recurrent_gated_delta_rule"),
                         ("chunk_kimi_delta_attention", "recurrent_kimi_delta_attention")):
        if hasattr(module, rows):
            setattr(module, chunks, getattr(module, rows))


def logits_of(model, **inputs):
    row_by_row(model)
    with torch.no_grad():
        rows = [model(torch.tensor([tokens(p)]), use_cache=False, **inputs).logits[0, STEP - 1::STEP] for p in range(N_PROMPTS)]
    unwritten = N_VOCAB - rows[0].shape[1]  # tokens that are read only
    return torch.nn.functional.pad(torch.stack(rows), (0, unwritten), value=-1e30).numpy()


def as_published(model, state):
    """Names and tensors of published checkpoints, which transformers knows how to read and write."""
    from transformers.core_model_loading import revert_weight_conversion
    return revert_weight_conversion(model, state)


def state_of(model, spec):
    state = {k: v.clone() for k, v in model.state_dict().items() if not k.endswith((".attn.bias", ".masked_bias"))}
    if getattr(model.config, "tie_word_embeddings", False):
        state.pop("lm_head.weight", None)
        state.pop("embed_out.weight", None)
        state.pop("decoder.weight", None)
    if spec["publish"]:
        state = as_published(model, state) if spec["publish"] == "as saved" else spec["publish"](state, spec["config"])
    exact = spec["config"]["model_type"] == "baichuan"  # its head is no f16 once it has been divided
    return makers.as_stored(state, ["lm_head"] if exact else [])


def make(name, seed):
    spec, folder = CASES[name], makers.start(OUT, name)
    model = build(spec, seed)
    state = state_of(model, spec)
    if name.startswith("baichuan2"):
        unit_head(model)
    makers.write_config(folder, spec["config"] if spec["reference"] else dict(makers.config_of(model, folder), **spec["config"]))
    save_file(state, folder / "model.safetensors")
    logits = logits_of(model, **(alibi(model) if name in ("baichuan2-13b", "refact", "jais") else {}))
    logits.astype("<f4").tofile(folder / "logits")
    if name not in NO_GGUF:
        with tempfile.TemporaryDirectory() as temp:
            copy = pathlib.Path(shutil.copytree(folder, pathlib.Path(temp) / "model"))
            makers.write_numbers(copy)
            makers.convert(copy, folder / "model.gguf", CONVERTERS.get(name, lambda cls: cls))
    if name in NO_FOLDER:
        (folder / "model.safetensors").unlink()
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: logits from {logits[logits > -1e30].min():.2f} to {logits.max():.2f}, {size // 1024} KiB")


if __name__ == "__main__":
    makers.main(__doc__, CASES, make, 100)
