#!/usr/bin/env python3
"""Makes tests/golden/encoders/: for models that give embeddings or scores a tiny random one, as a Hugging Face folder and as a
GGUF file, and what transformers, and sentence-transformers' rules of pooling in torch, make of four texts with it.

    python3 tests/golden/encoders.py --llama-cpp DIR [name ...]

(torch 2.13, transformers 5.24; DIR as in families.py.) <name>/expected holds f32 [N_TEXTS, width]: a vector, or the score that
a sigmoid makes of the classifier's number. Texts are token ids; a reranker's second half is the second text of a pair.
"""
import json
import pathlib
import shutil
import tempfile
import types

import torch
from safetensors.torch import save_file
from transformers import (AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification,
                          JinaEmbeddingsV3Model, LlamaModel, T5EncoderModel)

import families
import makers
from makers import N_VOCAB

OUT = pathlib.Path(__file__).resolve().parent / "encoders"
LENGTHS = [1, 9, 70, 96]
YES, NO = 11, 13
BERT = dict(hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, vocab_size=N_VOCAB,
            max_position_embeddings=128, type_vocab_size=2, pad_token_id=0, hidden_act="gelu", layer_norm_eps=1e-12)
ROBERTA = dict(BERT, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
               layer_norm_eps=1e-5)
DISTILBERT = dict(dim=32, hidden_dim=40, n_layers=2, n_heads=4, vocab_size=N_VOCAB, max_position_embeddings=128, pad_token_id=0)
NOMIC = dict(model_type="nomic_bert", architectures=["NomicBertModel"], n_embd=32, n_inner=40, n_layer=2, n_head=4,
             n_positions=8192, max_trained_positions=2048, vocab_size=N_VOCAB, type_vocab_size=2, activation_function="swiglu",
             causal=False, qkv_proj_bias=False, mlp_fc1_bias=False, mlp_fc2_bias=False, prenorm=False, parallel_block=False,
             use_rms_norm=False, rotary_emb_base=1000, rotary_emb_fraction=1.0, rotary_emb_interleaved=False,
             rotary_emb_scale_base=None, rotary_scaling_factor=None, layer_norm_epsilon=1e-12, pad_token_id=0)
QWEN3 = dict(families.SIZES, head_dim=16, tie_word_embeddings=True)


def case(model_type, kind, cls, config, publish=None, normalize=True, gguf=True):
    return dict(model_type=model_type, kind=kind, cls=cls, config=config, publish=publish, normalize=normalize, gguf=gguf)


def publish_nomic(state, config, attention="attn"):
    """The names under which Nomic's checkpoints are published."""
    out = {}
    names = {"embeddings.LayerNorm": "emb_ln", "self_attn.o_proj": attention + ".out_proj", "up_proj": "fc11", "gate_proj": "fc12",
             "down_proj": "fc2", "post_attention_layernorm": "norm1", "post_mlp_layernorm": "norm2"}
    for name in [x for x in state if ".self_attn.q_proj." in x]:
        fused = "encoder." + name.replace("self_attn.q_proj", attention + ".Wqkv")
        out[fused] = torch.cat([state.pop(name.replace("q_proj", f"{x}_proj")) for x in "qkv"])
    for name, w in state.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        out["encoder." + name if name.startswith("layers.") else name] = w
    return out


def publish_jina_v3(state, config):
    return publish_nomic(state, config, "mixer")


def publish_jina_tasks(state, config):
    """As the first files have it, whose weights are parametrized by adapters of the model's tasks."""
    out, generator = {}, torch.Generator().manual_seed(1)
    for name, w in publish_jina_v3(state, config).items():
        adapted = w.dim() == 2 and ("layers" in name or "embeddings" in name)
        at = name.removesuffix("weight") + "parametrizations.weight." if adapted else name
        out["roberta." + at + ("original" if adapted else "")] = w
        for part, size in (("A", (3, 2, w.shape[-1])), ("B", (3, w.shape[0], 2))):
            if adapted:
                out[f"roberta.{at}0.lora_{part}"] = torch.randn(size, generator=generator)
    return out


class NomicExperts(torch.nn.Module):
    """Experts by softmax, whose weights are as they are, and what is added to all they say: arXiv:2502.07972 and its checkpoint."""

    def __init__(self, width, inner, n_experts, n_used, biased):
        super().__init__()
        self.n_used = n_used
        self.router = torch.nn.ModuleDict(dict(layer=torch.nn.Linear(width, n_experts, bias=False)))
        mlp = {name: torch.nn.Parameter(torch.zeros(n_experts * inner, width)) for name in ("w1", "w2")}
        self.experts = torch.nn.ModuleDict(dict(mlp=torch.nn.ParameterDict(mlp)))
        self.experts.bias = torch.nn.Parameter(torch.zeros(width), requires_grad=biased)

    def forward(self, x):
        n, (up, down) = self.router["layer"].out_features, (self.experts["mlp"][w] for w in ("w1", "w2"))
        weights, chosen = self.router["layer"](x).softmax(-1).topk(self.n_used, dim=-1)
        said = torch.stack([torch.nn.functional.gelu(x @ u.T) @ d for u, d in zip(up.chunk(n), down.chunk(n))], dim=-2)
        picked = said.gather(-2, chosen[..., None].expand(*chosen.shape, x.shape[-1]))
        return (picked * weights[..., None]).sum(-2) + self.experts.bias


class NomicMoe(JinaEmbeddingsV3Model):
    """Nomic Embed 2: that of Jina, with experts in each second layer. GGUF files lack what is added to what they say."""

    def __init__(self, c):
        super().__init__(AutoConfig.for_model("jina_embeddings_v3", **makers.less(ROBERTA, "max_position_embeddings"),
                                              rope_parameters=dict(rope_type="default", rope_theta=float(c["rotary_emb_base"])),
                                              attn_implementation="eager"), add_pooling_layer=False)
        for layer in self.layers[1::2]:
            layer.mlp = NomicExperts(c["n_embd"], c["n_inner"], c["num_experts"], c["moe_top_k"], c["num_experts"] == 5)


def publish_gte(state, config):
    """As the publisher's own code (new-impl) has it."""
    out, own = {}, {"gte.": "new.", "layers.": "encoder.layer.", "self_attn.": "attention.", "post_attention_layernorm": "attn_ln",
                    "post_mlp_layernorm": "mlp_ln"}
    for parts, whole in (("self_attn.q_proj self_attn.k_proj self_attn.v_proj", "attention.qkv_proj"), ("mlp.up_proj mlp.gate_proj", "mlp.up_gate_proj")):
        first, *others = parts.split()
        for name in [x for x in state if first in x]:
            out[name.replace(first, whole)] = torch.cat([state.pop(name), *(state.pop(name.replace(first, other)) for other in others)])
    return families.renamed(out | state, own)


class T5(T5EncoderModel):
    def __init__(self, c):
        super().__init__(AutoConfig.for_model("t5", **makers.less(c, "model_type", "architectures")))


def publish_t5(state, config):
    """A whole model's, of which an encoder is a part, and a table that is there twice."""
    return dict(state, **{"decoder.final_layer_norm.weight": torch.ones(32), "lm_head.weight": torch.ones(N_VOCAB, 32)})


class LlamaBoth(LlamaModel):
    """A Llama whose rows see those behind them too."""

    def __init__(self, c):
        super().__init__(AutoConfig.for_model("llama", attn_implementation="eager", **makers.less(
            c, "model_type", "architectures", "pooling", "temperature", "rope_theta", "rope_scaling"),
            rope_parameters=dict(c["rope_scaling"], rope_theta=c["rope_theta"])))

    def forward(self, input_ids, attention_mask):
        n = input_ids.shape[1]
        return super().forward(input_ids=input_ids, attention_mask=torch.zeros(1, 1, n, n), use_cache=False)


class NeoBert(torch.nn.Module):
    """NeoBERT (arXiv:2502.19587), after its publisher's code: each head's query, key and value lie together, and so do rotary pairs."""

    def __init__(self, c):
        super().__init__()
        tree, linear, width = torch.nn.ModuleDict, torch.nn.Linear, c["hidden_size"]
        inner = (2 * c["intermediate_size"] // 3 + 7) // 8 * 8
        self.heads = c["num_attention_heads"]

        def norm():
            return torch.nn.RMSNorm(width, c["norm_eps"])

        def layer():
            return tree(dict(qkv=linear(width, 3 * width, bias=False), wo=linear(width, width, bias=False), attention_norm=norm(), ffn_norm=norm(),
                             ffn=tree(dict(w12=linear(width, 2 * inner, bias=False), w3=linear(inner, width, bias=False)))))
        self.encoder = torch.nn.Embedding(N_VOCAB, width)
        self.transformer_encoder = torch.nn.ModuleList(layer() for _ in range(c["num_hidden_layers"]))
        self.layer_norm = norm()

    def attend(self, layer, x):
        n, width = x.shape
        q, k, v = layer["qkv"](x).view(n, self.heads, -1).transpose(0, 1).chunk(3, dim=-1)
        dim = q.shape[-1]
        angles = torch.outer(torch.arange(n), 10000.0 ** (-torch.arange(0, dim, 2) / dim))
        turns = torch.polar(torch.ones_like(angles), angles)
        q, k = (torch.view_as_real(torch.view_as_complex(t.unflatten(-1, (-1, 2)).contiguous()) * turns).flatten(-2) for t in (q, k))
        return layer["wo"](((q @ k.transpose(1, 2) / dim ** 0.5).softmax(-1) @ v).transpose(0, 1).reshape(n, width))

    def forward(self, input_ids, attention_mask):
        x = self.encoder(input_ids[0])
        for layer in self.transformer_encoder:
            x = x + self.attend(layer, layer["attention_norm"](x))
            gate, up = layer["ffn"]["w12"](layer["ffn_norm"](x)).chunk(2, dim=-1)
            x = x + layer["ffn"]["w3"](torch.nn.functional.silu(gate) * up)
        return types.SimpleNamespace(last_hidden_state=self.layer_norm(x)[None])


class Jina(torch.nn.Module):
    """jina-embeddings-v2, from its paper (arXiv:2310.19923): BERT with ALiBi on both sides of a row and GEGLU."""

    def __init__(self, c):
        super().__init__()
        tree, linear, width, inner = torch.nn.ModuleDict, torch.nn.Linear, c["hidden_size"], c["intermediate_size"]
        self.heads = c["num_attention_heads"]

        def norm():
            return torch.nn.LayerNorm(width, eps=c["layer_norm_eps"])

        def layer():
            return tree(dict(
                attention=tree({"self": tree({x: linear(width, width) for x in ("query", "key", "value")}),
                                "output": tree(dict(dense=linear(width, width), LayerNorm=norm()))}),
                mlp=tree(dict(gated_layers=linear(width, 2 * inner, bias=False), wo=linear(inner, width), layernorm=norm()))))
        self.embeddings = tree(dict(word_embeddings=torch.nn.Embedding(N_VOCAB, width),
                                    token_type_embeddings=torch.nn.Embedding(2, width), LayerNorm=norm()))
        self.encoder = tree(dict(layer=torch.nn.ModuleList(layer() for _ in range(c["num_hidden_layers"]))))

    def projected(self, part, name, x):
        return part[name](x)

    def attend(self, part, x):
        n, width = x.shape
        q, k, v = (self.projected(part["self"], name, x).view(n, self.heads, -1).transpose(0, 1) for name in ("query", "key", "value"))
        at, slopes = torch.arange(n), torch.tensor([2.0 ** (-8.0 * (i + 1) / self.heads) for i in range(self.heads)])
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 - slopes[:, None, None] * (at[None] - at[:, None]).abs()
        return part["output"]["dense"]((scores.softmax(-1) @ v).transpose(0, 1).reshape(n, width))

    def run_layer(self, layer, x):
        attention, mlp = layer["attention"], layer["mlp"]
        x = attention["output"]["LayerNorm"](x + self.attend(attention, x))
        gate, up = mlp["gated_layers"](x).chunk(2, dim=-1)
        return mlp["layernorm"](x + mlp["wo"](torch.nn.functional.gelu(gate) * up))

    def forward(self, input_ids, attention_mask):
        parts = self.embeddings
        x = parts["LayerNorm"](parts["word_embeddings"](input_ids[0]) + parts["token_type_embeddings"].weight[0])
        for layer in self.encoder["layer"]:
            x = self.run_layer(layer, x)
        return types.SimpleNamespace(last_hidden_state=x[None])


class JinaCode(Jina):
    """jina-embeddings-v2-base-code, after its publisher's code: norms of queries and keys, a second norm behind attention."""

    def __init__(self, c):
        super().__init__(c)
        width, inner = c["hidden_size"], c["intermediate_size"]
        for layer in self.encoder["layer"]:
            for name in ("layer_norm_1", "layer_norm_2"):
                layer[name] = torch.nn.LayerNorm(width, eps=c["layer_norm_eps"])
            for name in ("layer_norm_q", "layer_norm_k"):
                layer["attention"]["self"][name] = torch.nn.LayerNorm(width, eps=c["layer_norm_eps"])
            layer["mlp"] = torch.nn.ModuleDict(dict(up_gated_layer=torch.nn.Linear(width, 2 * inner, bias=False),
                                                    down_layer=torch.nn.Linear(inner, width)))

    def projected(self, part, name, x):
        norms = dict(query="layer_norm_q", key="layer_norm_k")
        return part[norms[name]](part[name](x)) if name in norms else part[name](x)

    def run_layer(self, layer, x):
        attended = layer["attention"]["output"]["LayerNorm"](x + self.attend(layer["attention"], x))
        x = layer["layer_norm_1"](x + attended)
        up, gate = layer["mlp"]["up_gated_layer"](x).chunk(2, dim=-1)
        return layer["layer_norm_2"](x + layer["mlp"]["down_layer"](up * torch.nn.functional.gelu(gate)))


CASES = {
    "bert": case("bert", "mean", AutoModel, BERT),
    "bert-plain": case("bert", "max", AutoModel, dict(BERT, hidden_act="gelu_new"), normalize=False, gguf=False),
    "bge": case("bert", "cls", AutoModel, BERT),
    "bert-reranker": case("bert", "rank", AutoModelForSequenceClassification, dict(BERT, num_labels=1), gguf=False),
    "roberta": case("roberta", "mean", AutoModel, ROBERTA),
    "bge-m3": case("xlm-roberta", "cls", AutoModel, ROBERTA),
    "bge-reranker": case("xlm-roberta", "rank", AutoModelForSequenceClassification, dict(ROBERTA, num_labels=1)),
    "nomic": case("nomic_bert", "mean", AutoModel, NOMIC, publish=publish_nomic),
    "qwen3-embedding": case("qwen3", "lasttoken", AutoModel, QWEN3),
    "qwen3-reranker": case("qwen3", "answer", AutoModelForCausalLM, QWEN3),
    "qwen3-classifier": case("qwen3", "rank", AutoModelForSequenceClassification, dict(QWEN3, num_labels=1), gguf=False),
    "camembert": case("camembert", "mean", AutoModel, ROBERTA, gguf=False),
    "distilbert": case("distilbert", "mean", AutoModel, DISTILBERT),
}
CASES.update({
    "modernbert": case("modernbert", "mean", AutoModel, dict(
        {k: v for k, v in BERT.items() if k not in ("hidden_act", "layer_norm_eps", "type_vocab_size")}, norm_eps=1e-5,
        num_hidden_layers=5, local_attention=20, global_attn_every_n_layers=3, bos_token_id=1, eos_token_id=2, cls_token_id=1,
        sep_token_id=2)),
    "embeddinggemma": case("gemma3_text", "mean", AutoModel, dict(
        families.SIZES, hidden_size=16, head_dim=8, intermediate_size=24, num_hidden_layers=7, query_pre_attn_scalar=8,
        sliding_window=20, use_bidirectional_attention=True)),
    "mpnet": case("mpnet", "mean", AutoModel, {k: v for k, v in ROBERTA.items() if k != "type_vocab_size"}, gguf=False),
    "jina": case("bert", "mean", Jina, dict(
        BERT, model_type="bert", architectures=["JinaBertForMaskedLM"], position_embedding_type="alibi", feed_forward_type="geglu"),
        publish=lambda state, config: state),
    "bert-dense": case("bert", "cls", AutoModel, BERT, gguf=False),
})
EUROBERT = dict(families.SIZES, head_dim=8, tie_word_embeddings=False, classifier_pooling="mean")
CASES["embeddinggemma-dense"] = CASES["embeddinggemma"]
CASES["eurobert"] = case("eurobert", "mean", AutoModel, EUROBERT)
CASES.update({
    "electra": case("electra", "mean", AutoModel, dict(BERT, embedding_size=16), gguf=False),
    "electra-reranker": case("electra", "rank", AutoModelForSequenceClassification, dict(BERT, embedding_size=32, num_labels=1), gguf=False),
    "data2vec": case("data2vec-text", "mean", AutoModel, ROBERTA, gguf=False),
    "ernie": case("ernie", "cls", AutoModel, BERT, gguf=False),
    "rembert": case("rembert", "mean", AutoModel, dict(BERT, input_embedding_size=16, output_embedding_size=24), gguf=False),
    "roformer": case("roformer", "mean", AutoModel, dict(BERT, embedding_size=16), gguf=False),
    "roberta-prelayernorm": case("roberta-prelayernorm", "mean", AutoModel, ROBERTA, gguf=False),
    "xlm-roberta-xl": case("xlm-roberta-xl", "mean", AutoModel, ROBERTA, gguf=False),
    "modernbert-reranker": case("modernbert", "rank", AutoModelForSequenceClassification, dict(
        CASES["modernbert"]["config"], num_labels=1, classifier_pooling="mean", classifier_bias=False)),
    "modernbert-classifier": case("modernbert", "rank", AutoModelForSequenceClassification, dict(
        CASES["modernbert"]["config"], num_labels=1, classifier_pooling="cls", classifier_bias=True), gguf=False),
    "jina-code": case("bert", "mean", JinaCode, CASES["jina"]["config"], publish=lambda state, config: state, gguf=False),
    "ernie-tasks": case("ernie", "mean", AutoModel, dict(BERT, use_task_id=True, task_type_vocab_size=3), gguf=False),
    "megatron-bert": case("megatron-bert", "mean", AutoModel, BERT, gguf=False),
    "megatron-bert-reranker": case("megatron-bert", "rank", AutoModelForSequenceClassification, dict(BERT, num_labels=1), gguf=False),
})
NOMIC_MOE = dict(NOMIC, activation_function="gelu", qkv_proj_bias=True, mlp_fc1_bias=True, mlp_fc2_bias=True, type_vocab_size=1,
                 rotary_emb_base=10000, layer_norm_epsilon=1e-5, pad_token_id=1, moe_every_n_layers=2, moe_top_k=2, num_experts=4,
                 num_shared_experts=0, moe_normalize_expert_weights=False, expert_choice_router=False)
JINA_TASKS = dict(ROBERTA, model_type="xlm-roberta", architectures=["XLMRobertaModel"], position_embedding_type="rotary",
                  rotary_emb_base=20000.0, lora_adaptations=["one", "two", "three"], lora_rank=2, lora_alpha=1, use_flash_attn=True)
CASES.update({
    "nomic-moe": case("nomic_bert", "mean", NomicMoe, NOMIC_MOE, publish=publish_nomic),
    "nomic-moe-biased": case("nomic_bert", "mean", NomicMoe, dict(NOMIC_MOE, num_experts=5), publish=publish_nomic, gguf=False),
    "jina-v3": case("jina_embeddings_v3", "mean", AutoModel, dict(
                        ROBERTA, model_type="jina_embeddings_v3", architectures=["JinaEmbeddingsV3Model"],
                        rope_parameters=dict(rope_type="default", rope_theta=20000.0)),
                    publish=publish_jina_v3, gguf=False),
    "jina-v3-tasks": case("jina_embeddings_v3", "mean", AutoModel, JINA_TASKS, publish=publish_jina_tasks),
})
GTE = dict(BERT, model_type="new", architectures=["NewModel"], type_vocab_size=1, pad_token_id=1, rope_theta=20000.0,
           rope_scaling=dict(type="ntk", factor=8.0), position_embedding_type="rope", layer_norm_type="layer_norm", pack_qkv=True,
           logn_attention_clip1=False, logn_attention_scale=False, unpad_inputs=False, use_memory_efficient_attention=False)
CASES.update({
    "gte": case("gte", "cls", AutoModel, GTE, publish=publish_gte, gguf=False),
    # Arctic Embed 2 M, which stretches nothing, and the first English ones, without segments.
    "gte-plain": case("gte", "cls", AutoModel, dict(GTE, model_type="gte", architectures=["GteModel"], type_vocab_size=0, rope_theta=160000.0,
                                                    rope_scaling=None), publish=publish_gte, gguf=False),
    "gte-reranker": case("gte", "rank", AutoModelForSequenceClassification, dict(
        GTE, architectures=["NewForSequenceClassification"], num_labels=1, id2label={"0": "LABEL_0"}), publish=publish_gte, gguf=False),
    "neobert": case("neobert", "cls", NeoBert, dict(
        model_type="neobert", architectures=["NeoBERT"], hidden_size=32, num_hidden_layers=2, num_attention_heads=4, dim_head=8,
        intermediate_size=60, norm_eps=1e-5, max_length=128, vocab_size=N_VOCAB, pad_token_id=0), publish=lambda state, config: state),
})
CASES["albert"] = case("albert", "mean", AutoModel, dict(BERT, embedding_size=16, num_hidden_layers=3, hidden_act="gelu_new"), gguf=False)
CASES["albert-reranker"] = case("albert", "rank", AutoModelForSequenceClassification, dict(
    BERT, embedding_size=32, num_hidden_layers=3, num_labels=1), gguf=False)
T5_SIZES = dict(d_model=32, d_kv=10, d_ff=40, num_layers=2, num_heads=4, vocab_size=N_VOCAB, relative_attention_num_buckets=32, pad_token_id=0,
                eos_token_id=1, decoder_start_token_id=0, layer_norm_epsilon=1e-6, is_encoder_decoder=True)
CASES.update({
    "t5": case("t5", "mean", T5, dict(T5_SIZES, model_type="t5", architectures=["T5EncoderModel"], n_positions=512, feed_forward_proj="relu"),
               publish=lambda state, config: {k: w for k, w in state.items() if k != "encoder.embed_tokens.weight"}),
    "t5-gated": case("t5", "mean", T5, dict(T5_SIZES, model_type="t5", architectures=["T5EncoderModel"], feed_forward_proj="gated-gelu"),
                     publish=lambda state, config: {k: w for k, w in state.items() if k != "shared.weight"}),
    "t5-dense": case("mt5", "mean", T5, dict(T5_SIZES, model_type="mt5", architectures=["MT5ForConditionalGeneration"],
                                                relative_attention_max_distance=128, feed_forward_proj="gated-gelu"), publish=publish_t5, gguf=False),
})
CASES["llama_bidirec"] = case("llama", "mean", LlamaBoth, dict(
    families.SIZES, model_type="llama_bidirec", architectures=["LlamaBidirectionalModel"], head_dim=8, rms_norm_eps=1e-5, pooling="avg",
    temperature=0.02, rope_theta=5000.0, tie_word_embeddings=False, rope_scaling=dict(
        rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)),
    publish=lambda state, config: state)
CLASSES = {"albert": "Albert", "eurobert": "EuroBert", "bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert",
           "megatron-bert": "MegatronBert", "electra": "Electra", "data2vec-text": "Data2VecText", "ernie": "Ernie", "rembert": "RemBert", "roformer": "RoFormer",
           "roberta-prelayernorm": "RobertaPreLayerNorm", "xlm-roberta-xl": "XLMRobertaXL", "distilbert": "DistilBert", "nomic_bert": "NomicBert", "qwen3": "Qwen3", "modernbert": "ModernBert", "gemma3_text": "Gemma3Text", "mpnet": "MPNet"}


def text(index):
    return [(7 * i * (index + 1) + 3 * index + 5) % (N_VOCAB - 3) + 3 for i in range(LENGTHS[index])]


def reference_config(spec):
    config = spec["config"]
    if spec["model_type"] == "jina_embeddings_v3":
        return AutoConfig.for_model("jina_embeddings_v3", **ROBERTA)
    if spec["model_type"] == "gte":
        stretch = (config["rope_scaling"] or {}).get("factor", 1)
        rope = dict(rope_type="linear", factor=stretch ** (2 / (config["hidden_size"] / config["num_attention_heads"])),
                    rope_theta=config["rope_theta"] * stretch)
        own = makers.less(config, "model_type", "architectures", "rope_theta", "rope_scaling", "id2label", "position_embedding_type")
        return AutoConfig.for_model("gte", **own, rope_parameters=rope)
    if spec["model_type"] != "nomic_bert":
        return AutoConfig.for_model(spec["model_type"], **config)
    return AutoConfig.for_model("nomic_bert", hidden_size=config["n_embd"], intermediate_size=config["n_inner"],
                                num_hidden_layers=config["n_layer"], num_attention_heads=config["n_head"], vocab_size=N_VOCAB,
                                max_position_embeddings=2048, layer_norm_eps=config["layer_norm_epsilon"],
                                rope_parameters=dict(rope_type="default", rope_theta=float(config["rotary_emb_base"])))


def build(spec, seed):
    torch.manual_seed(seed)
    if spec["cls"] in (Jina, JinaCode, NomicMoe, NeoBert, T5, LlamaBoth):
        model = spec["cls"](spec["config"]).eval()
    else:
        model = spec["cls"].from_config(reference_config(spec), attn_implementation="eager").eval()
    for name, p in model.named_parameters():
        if not p.requires_grad:  # sines of positions
            continue
        norm = "norm" in name.lower() or ".ln." in name
        spread = 0.1 if norm or name.endswith("bias") else (0.1 if spec["kind"] == "answer" else 1.0) if "embed" in name else 0.3
        p.data = (torch.randn_like(p) * spread + (1.0 if norm and name.endswith("weight") else 0.0)).half().float()
    if spec["config"].get("tie_word_embeddings"):
        model.tie_weights()
    return model


def result(model, name, ids):
    spec = CASES[name]
    inputs = dict(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    if spec["kind"] == "rank" and spec["config"].get("type_vocab_size", 1) > 1:
        inputs["token_type_ids"] = torch.tensor([[int(i >= len(ids) // 2) for i in range(len(ids))]])
    out = model(**inputs)
    if spec["kind"] == "rank":
        return torch.sigmoid(out.logits[0])
    if spec["kind"] == "answer":
        return torch.softmax(out.logits[0, -1, [YES, NO]], dim=0)[:1]
    states = out.last_hidden_state[0]
    pooled = {"mean": lambda: states.mean(0), "cls": lambda: states[0], "lasttoken": lambda: states[-1],
              "max": lambda: states.max(0).values}[spec["kind"]]()
    for layer in DENSE.get(name, ()):
        pooled = layer(pooled)
    return torch.nn.functional.normalize(pooled, dim=0) if spec["normalize"] else pooled


def dense(n_in, n_out, seed, bias=False, act=torch.nn.Identity):
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(n_in, n_out, bias=bias)
    for p in layer.parameters():
        p.data = (torch.randn(p.shape, generator=generator) * 0.3).half().float()
    return torch.nn.Sequential(layer, act())


DENSE = {"embeddinggemma-dense": [dense(16, 40, 1), dense(40, 16, 2)], "bert-dense": [dense(32, 48, 3, True, torch.nn.Tanh)],
         "t5-dense": [dense(32, 24, 4)]}


def write_dense(folder, index, layer):
    path = folder / f"{index}_Dense"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(dict(
        in_features=layer[0].in_features, out_features=layer[0].out_features, bias=layer[0].bias is not None,
        activation_function=f"torch.nn.modules.{type(layer[1]).__module__.split('.')[-1]}.{type(layer[1]).__name__}"), indent=1) + "\n")
    save_file({f"linear.{k}": v for k, v in layer[0].state_dict().items()}, path / "model.safetensors")


def write_modules(folder, spec):
    kinds = dict(cls="cls_token", mean="mean_tokens", max="max_tokens", lasttoken="lasttoken")
    modules = [dict(idx=0, name="0", path="", type="sentence_transformers.models.Transformer"),
               dict(idx=1, name="1", path="1_Pooling", type="sentence_transformers.models.Pooling")]
    for layer in DENSE.get(folder.name, ()):
        index = len(modules)
        modules.append(dict(idx=index, name=str(index), path=f"{index}_Dense", type="sentence_transformers.models.Dense"))
        write_dense(folder, index, layer)
    if spec["normalize"]:
        index = len(modules)
        modules.append(dict(idx=index, name=str(index), path=f"{index}_Normalize", type="sentence_transformers.models.Normalize"))
    (folder / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps(dict(
        word_embedding_dimension=32, **{f"pooling_mode_{v}": k == spec["kind"] for k, v in kinds.items()}), indent=1) + "\n")


def write_tokenizer(folder, kind):
    vocab = {f"t{i}": i for i in range(N_VOCAB) if i not in (YES, NO)}
    vocab.update(yes=YES, no=NO)
    (folder / "tokenizer.json").write_text(json.dumps(dict(
        version="1.0", model=dict(type=kind, vocab=vocab, unk_token="t0"), added_tokens=[])) + "\n")


def write_bert_tokenizer(folder):
    """Letters, and letters inside words, between [CLS] and [SEP]: for the tests of the server."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + [chr(97 + i) for i in range(26)] + [f"##{chr(97 + i)}" for i in range(18)]
    special = [dict(id=i, content=t, special=True, single_word=False, lstrip=False, rstrip=False, normalized=False)
               for i, t in enumerate(tokens[:4])]
    (folder / "tokenizer.json").write_text(json.dumps(dict(
        version="1.0", added_tokens=special, normalizer=dict(type="BertNormalizer", clean_text=True, handle_chinese_chars=True,
                                                             strip_accents=None, lowercase=True),
        pre_tokenizer=dict(type="BertPreTokenizer"), post_processor=dict(type="BertProcessing", sep=["[SEP]", 3], cls=["[CLS]", 2]),
        model=dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100,
                   vocab={t: i for i, t in enumerate(tokens)}))) + "\n")


def convert(folder, path):
    """By llama.cpp's converter, which asks a tokenizer for the ids of yes and no."""
    with tempfile.TemporaryDirectory() as temp:
        copy = pathlib.Path(temp) / folder.name
        shutil.copytree(folder, copy)
        write_tokenizer(copy, "WordPiece")
        if folder.name.startswith("nomic"):  # transformers' defaults would go before Nomic's own names
            config = json.loads((copy / "config.json").read_text())
            config.update(hidden_size=config["n_embd"], num_hidden_layers=config["n_layer"],
                          num_attention_heads=config["n_head"], intermediate_size=config["n_inner"],
                          head_dim=config["n_embd"] // config["n_head"], layer_norm_eps=config["layer_norm_epsilon"],
                          rope_parameters=dict(rope_type="default", rope_theta=config["rotary_emb_base"]))
            (copy / "config.json").write_text(json.dumps(config))
        if folder.name == "qwen3-reranker":
            from conversion.qwen import Qwen3Model

            def find(self):
                self.is_rerank, self.is_tied_embeddings = True, True
                self.token_true_id, self.token_false_id = YES, NO
            Qwen3Model._find_rerank_config = find
        makers.convert(copy, path)


def make(name, seed):
    spec, folder = CASES[name], makers.start(OUT, name)
    model = build(spec, seed)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    if spec["config"].get("tie_word_embeddings"):
        state.pop("lm_head.weight", None)
    if spec["publish"]:
        makers.write_config(folder, spec["config"])
        state = spec["publish"](state, spec["config"])
    else:
        config = makers.config_of(model, folder)
        suffix = dict(rank="ForSequenceClassification", answer="ForCausalLM").get(spec["kind"], "Model")
        config["architectures"] = [CLASSES[spec["model_type"]] + suffix]
        if name == "qwen3-embedding":  # as it is published
            config["architectures"] = ["Qwen3ForCausalLM"]
        makers.write_config(folder, config)
    save_file(makers.as_stored(state), folder / "model.safetensors")
    if spec["kind"] not in ("rank", "answer"):
        write_modules(folder, spec)
    if spec["kind"] == "answer":
        write_tokenizer(folder, "WordLevel")
    if name in ("bge", "bert-reranker"):
        write_bert_tokenizer(folder)
    with torch.no_grad():
        expected = torch.stack([result(model, name, text(i)) for i in range(len(LENGTHS))]).numpy()
    expected.astype("<f4").tofile(folder / "expected")
    if spec["gguf"]:
        convert(folder, folder / "model.gguf")
        for adapter in folder.glob("lora-*.gguf"):
            adapter.unlink()
    print(f"{name}: from {expected.min():.3f} to {expected.max():.3f}")


if __name__ == "__main__":
    makers.main(__doc__, CASES, make, 300)
