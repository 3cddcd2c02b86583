"""What transformers makes of config.json's as families publish them: published/expected.json out of published/configs.txt.

    python tests/golden/published.py [name...]      made with transformers 5.24.0 on torch 2.13.0; of names prints, and writes nothing

configs.txt has keys and numbers of published checkpoints, from memory of the publications, in their whole sizes: keys that newer
configs no longer have, that transformers adds when it saves, and that nobody reads; and in place of a config the name of one before it and
keys that it is without ("mixtral-8x7b without rope_theta"; "text_config.head_dim" is a part's), which holds what a family has where that is left out. The models are built without memory for weights
(torch's meta device) and run for two tokens with attention and experts that only write down what they are asked for, so what is
compared is what transformers does, not what it reads:

    kinds, order    how heads attend, how far rows see, and by which of `ropes` they turn; and a letter for each layer, "-" where
                    none attends. null where the model does not say it to whoever computes its attention.
    ropes           what the rotary module gives for position 1 of a sequence as long as the model is made for: pairs, the factor on
                    cosines and sines, and the angles of some pairs
    matrices        how many numbers all matrices but the head have together, which no wrong width, number of experts or layer passes
    router          what it makes of random rows: of how many experts it chooses how many, by which function of its logits, and what
                    their weights add up to (null: to no number)
    factors         on embeddings, residuals and logits, by the keys of the families that have them
"""
import copy
import functools
import json
import logging
import math
import pathlib
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, masking_utils
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

HERE = pathlib.Path(__file__).parent / "published"
FAR = (1 << 30) - 1  # a row behind any window, the last of its run
N_ROWS = 2     # of a run
N_ANGLES = 5   # pairs of a rope that are kept
N_ROUTED = 16  # random rows for a router
ENCODERS = ("albert", "gte", "bert", "roberta", "xlm-roberta", "distilbert", "modernbert", "mpnet", "electra")
TEXT_ALONE = ("glm4v_text", "glm4v_moe_text", "qwen2_5_vl_text", "qwen3_vl_text", "qwen3_vl_moe_text", "qwen2_vl_text")  # are no AutoModelForCausalLM
ACTS = dict(silu=torch.nn.functional.silu, gelu=torch.nn.functional.gelu, relu=torch.relu,
            gelu_tanh=lambda x: torch.nn.functional.gelu(x, approximate="tanh"), relu2=lambda x: torch.relu(x) ** 2)


class Watch:
    """Of one run: what attention was asked for, layer by layer."""

    def __init__(self):
        self.calls, self.windows, self.ropes, self.turned, self.kept, self.routed = {}, {}, {}, None, [], []
        ALL_ATTENTION_FUNCTIONS.register("watch", self.attention)
        ALL_MASK_ATTENTION_FUNCTIONS.register("watch", self.mask)
        ALL_EXPERTS_FUNCTIONS.register("watch", self.experts)

    def attention(self, module, query, key, value, attention_mask, scaling=None, **kwargs):
        if scaling is None or scaling == 1:  # OPT's queries are scaled already
            scaling = getattr(module, "scaling", scaling or query.shape[-1] ** -0.5)
        longer = torch.is_tensor(attention_mask) and id(attention_mask) not in self.windows  # by what is not in a window
        self.calls.setdefault(getattr(module, "layer_idx", len(self.calls)), dict(
            heads=query.shape[1], kv_heads=key.shape[1], key_dim=query.shape[-1], value_dim=value.shape[-1],
            scale=float("%.6g" % scaling), cap=float(kwargs.get("softcap") or 0), sinks=kwargs.get("s_aux") is not None,
            window=self.windows.get(id(attention_mask), kwargs.get("sliding_window") or 0 if longer else 0), rope=self.turned))
        self.turned = None
        return query.new_zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[-1]), None

    def mask(self, batch_size, q_length, kv_length, mask_function=None, **kwargs):
        made = torch.zeros(batch_size, 1, q_length, kv_length, device="meta", dtype=torch.bool)
        self.kept.append(made)  # so that no other has its id
        self.windows[id(made)] = seen_by(mask_function)
        return made

    def experts(self, module, hidden, chosen, weights):
        self.routed.append((chosen, weights))
        return torch.zeros_like(hidden)

    def turn(self, function):
        def turned(*args, **kwargs):
            told = [t for t in (*args, *kwargs.values()) if torch.is_tensor(t)]
            self.turned = next((self.ropes[id(t)] for t in told if id(t) in self.ropes), self.turned or "?")
            return function(*args, **kwargs)
        return turned

    def stand_in(self, rope, config):
        """Makes a rotary module compute without the device that has no numbers."""
        real = type(rope)(config)
        def forward(x, position_ids, *kind, **kwargs):
            told = real(torch.zeros(1, N_ROWS, 8), torch.zeros(position_ids.shape, dtype=torch.long), *kind, **kwargs)
            told = tuple(t.to("meta") for t in told) if isinstance(told, tuple) else told.to("meta")
            for t in told if isinstance(told, tuple) else (told,):
                self.kept.append(t)
                self.ropes[id(t)] = next((k for k in (*kind, *kwargs.values()) if isinstance(k, str)), "")
            return told
        rope.forward = forward


def seen_by(mask_function):
    """Positions that a row far from the beginning sees, itself among them; of both sides together; 0: all."""
    def sees(q, kv):
        return bool(mask_function(0, 0, torch.tensor(q), torch.tensor(kv)))
    if sees(FAR, 0):
        return 0
    low, high = 0, FAR
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sees(FAR, middle) else (middle, high)
    return (FAR - high) * 2 if sees(FAR, FAR + 1) else FAR - high + 1


def context_of(config):
    """Of Command R, which has the first one for testing, what its publisher says."""
    for key in ("model_max_length", "max_position_embeddings", "n_positions", "n_ctx"):
        if isinstance(getattr(config, key, None), int):
            return getattr(config, key)
    return None


def rope_by(module, context, kind):
    positions = torch.tensor([[0, 1, context - 1]])
    x = torch.zeros(1, 3, 8)
    if hasattr(module, "mrope_section") or "VL" in type(module).__name__ or "Qwen3_5" in type(module).__name__:
        positions = positions.expand(3, 1, 3)
    if type(module).__name__ == "PhimoeRotaryEmbedding":  # it forgets the length, by which its publisher's code goes
        module.rope_init_fn = functools.partial(module.rope_init_fn, seq_len=context)
    told = module(x, positions, *([kind] if kind else []))
    if isinstance(told, tuple):
        at_0, (cos, sin) = told[0].flatten()[0], (t.reshape(-1, t.shape[-1])[-2].double() for t in told)
        if at_0 == 0:  # GPT-J's sines come first
            cos, sin = sin, cos
        half = len(cos) // 2
        if torch.equal(sin[:half], sin[half:]):
            cos, sin = cos[:half], sin[:half]
        elif torch.equal(sin[::2], sin[1::2]):
            cos, sin = cos[::2], sin[::2]
    else:  # complex numbers
        told = torch.view_as_real(told).reshape(-1, told.shape[-1], 2)[-2].double()
        cos, sin = told[:, 0], told[:, 1]
    pairs = len(cos)
    angles = torch.atan2(sin, cos)
    return dict(pairs=pairs, scale=round(float(torch.hypot(cos, sin)[0]), 6),
                angles=[float("%.6g" % angles[i * (pairs - 1) // (N_ANGLES - 1)]) for i in range(N_ANGLES)])


def build(config):
    text = AutoConfig.for_model(**config).get_text_config(decoder=True)
    text._experts_implementation, text.use_cache = "watch", True  # without, positions are looked at
    auto = AutoModel if text.model_type in ENCODERS + TEXT_ALONE else AutoModelForCausalLM
    with torch.device("meta"):
        try:
            text._attn_implementation = "watch"
            return text, auto.from_config(text, attn_implementation="watch", dtype=torch.float32).eval()
        except (KeyError, ValueError):  # it computes its attention itself
            text._attn_implementation = "eager"
            return text, auto.from_config(text, attn_implementation="eager", dtype=torch.float32).eval()


def is_counted(name, tensor):
    """Not tensors that loam takes from files only: vectors, what has one row, and what config.json says nothing of."""
    if name.endswith("bias") or any(part in name for part in ("laurel", "token_type_embeddings", "pooler", "project_in", "project_out", "embeddings_project", "mapping_in")):
        return False
    return tensor.dim() >= 2 and min(tensor.shape[0], tensor.shape[-1] * (tensor.shape[1] if tensor.dim() > 2 else 1)) > 1


def matrices(model):
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    skipped = {id(p) for p in head.parameters()} if head is not None else set()
    skipped -= {id(p) for p in model.get_input_embeddings().parameters()}
    return sum(computing(model, n, p) for n, p in model.named_parameters() if id(p) not in skipped and is_counted(n, p))


def computing(model, name, tensor):
    """Its numbers, but those of LongCat's experts that compute nothing, which are made all the same."""
    idle = getattr(model.config, "zero_expert_num", None) or 0
    return tensor.numel() - (tensor[0].numel() * idle if name.endswith("experts.gate_up_proj") else 0)


def is_tied(model):
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return None if head is None else head.weight is model.get_input_embeddings().weight


def run(model, watch):
    module = sys.modules[type(model).__module__]
    own = {n: getattr(module, n) for n in dir(module) if n.startswith("apply_") and "rot" in n}
    ropes = [m for m in model.modules() if "Rotary" in type(m).__name__]
    for rope in ropes:
        watch.stand_in(rope, model.config)
    for experts in (m for m in model.modules() if type(m).__name__ == "LongcatFlashExperts"):  # are run by no function of those
        experts.forward = functools.partial(watch.experts, experts)
    for name, function in own.items():
        setattr(module, name, watch.turn(function))
    try:
        with torch.no_grad():
            model(input_ids=torch.zeros(1, N_ROWS, dtype=torch.long, device="meta"))
    finally:
        for name, function in own.items():
            setattr(module, name, function)
    return ropes


def layers(config, model, watch):
    """kinds, order and ropes, or nothing where the model attends by itself."""
    ropes = run(model, watch)
    if not watch.calls and "mamba" not in config.model_type:
        return {}
    kinds, order, made, names = [], "", [], []
    for i in range(config.num_hidden_layers):
        if i not in watch.calls:
            order += "-"
            continue
        kind = dict(watch.calls[i])
        if kind["rope"] is not None:
            name = kind["rope"] if kind["rope"] != "?" else ""
            if name not in names:
                names.append(name)
                made.append(rope_by(type(ropes[0])(config), context_of(config), name))
            kind["rope"] = names.index(name)
        if kind not in kinds:
            kinds.append(kind)
        order += "ABCDEFGH"[kinds.index(kind)]
    return dict(kinds=kinds, order=order, ropes=made)


def router(config, model, watch):
    """Of the first layer with experts, with gates of random numbers."""
    block = next((m for m in model.modules() if isinstance(getattr(m, "experts", None), torch.nn.Module) and not getattr(m, "is_hash", False)), None)
    if block is None:
        return None
    torch.manual_seed(0)
    for name, child in block.named_children():
        if name != "experts":
            child.to_empty(device="cpu")
    for name, p in block.named_parameters():
        if not name.startswith("experts."):
            torch.nn.init.normal_(p, std=config.hidden_size ** -0.5 if p.dim() > 1 else 0)
    for part in (block, *(child for name, child in block.named_children() if name != "experts")):
        for name, buffer in part.named_buffers(recurse=False):
            setattr(part, name, torch.zeros(buffer.shape))
    gate = next(p for n, p in block.named_parameters() if p.dim() == 2 and p.device.type == "cpu" and len(p) == n_experts(block))
    x = torch.randn(1, N_ROUTED, config.hidden_size)
    watch.routed.clear()
    with torch.no_grad():
        block(x)
        gate = gate.detach()
    if not watch.routed:  # Llama 4's experts are told of no choice
        return None
    chosen, weights = (t.reshape(N_ROUTED, -1) for t in watch.routed[-1])
    logits = x[0] @ gate.T
    return described(chosen, weights.double(), logits.double())


def n_experts(block):
    return next(p.shape[0] for p in block.experts.parameters() if p.dim() == 3)


def described(chosen, weights, logits):
    out = dict(experts=logits.shape[1], used=chosen.shape[1], function=None, total=None)
    def alike(a):
        return float(a.std() / a.mean()) < 1e-4 if a.numel() > 1 else True
    total = weights.sum(-1)
    for name, scores in (("softmax", logits.softmax(-1)), ("sigmoid", logits.sigmoid()),
                         ("sqrtsoftplus", torch.nn.functional.softplus(logits).sqrt())):
        picked = scores.gather(1, chosen)
        if alike(total) and chosen.shape[1] > 1:
            picked = picked / picked.sum(-1, keepdim=True) * total[:, None]
        if alike(weights / picked):
            out["function"], out["scale"] = name, float("%.5g" % (total if alike(total) else weights / picked).mean())
            break
    out["total"] = float("%.5g" % total.mean()) if alike(total) and chosen.shape[1] > 1 else None
    return out


def factors(config):
    kind, get = config.model_type, lambda key, usual=1: float(getattr(config, key, usual) or usual)
    embedding = residual = logit = 1.0
    if kind.startswith("granite"):
        embedding, residual, logit = get("embedding_multiplier"), get("residual_multiplier"), 1 / get("logits_scaling")
    if kind.startswith(("gemma", "vaultgemma")) or (kind in ("xglm", "biogpt") and config.scale_embedding) or kind == "ctrl":
        embedding = math.sqrt(config.hidden_size)
    if kind.startswith("cohere"):
        logit = get("logit_scale")
    if kind == "minicpm3":
        embedding, residual = get("scale_emb"), config.scale_depth / math.sqrt(config.num_hidden_layers)
        logit = config.dim_model_base / config.hidden_size
    if kind == "falcon_h1":
        embedding, logit = get("embedding_multiplier"), get("lm_head_multiplier")
    return [float("%.6g" % f) for f in (embedding, residual, logit, get("final_logit_softcapping", 0))]


def norm_eps(model):
    """Of the last norm that there is: that behind all layers."""
    norms = [m for n, m in model.named_modules() if "Norm" in type(m).__name__ and "head" not in n and "vision" not in n]
    eps = [getattr(m, k) for m in norms[-1:] for k in ("eps", "variance_epsilon", "epsilon") if isinstance(getattr(m, k, None), float)]
    return eps[0] if eps else None


def activation(model):
    for name, module in model.named_modules():
        if any(part in name for part in ("mamba", "mixer", "conv", "linear_attn", "cls", "head")):
            continue
        for key in ("act_fn", "act", "activation_fn", "activation", "intermediate_act_fn"):
            function = getattr(module, key, None)
            if not callable(function):
                continue
            x = torch.linspace(-3, 3, 13)
            if "xielu" in type(function).__name__.lower():
                return "xielu"
            for known, other in ACTS.items():
                if torch.allclose(function(x), other(x), atol=2e-6):
                    return known
    return None


def facts(config):
    watch = Watch()
    text, model = build(config)
    out = dict(n_layers=text.num_hidden_layers, context=context_of(text), tied=is_tied(model), eps=norm_eps(model),
               act=activation(model), matrices=matrices(model), factors=factors(text))
    out.update(layers(text, model, watch))
    out["router"] = router(text, model, watch)
    return out


def read_configs():
    """By name, in order."""
    configs = {}
    for line in (HERE / "configs.txt").read_text().splitlines():
        name, _, text = line.partition(" ")
        if name == "#":
            continue
        if text.startswith("{"):
            configs[name] = json.loads(text)
            continue
        base, _, keys = text.partition(" without ")
        configs[name] = copy.deepcopy(configs[base])
        for key in keys.split():
            *parts, last = key.split(".")
            del functools.reduce(lambda config, part: config[part], parts, configs[name])[last]
    return configs


def main(names):
    chunks = masking_utils.chunked_overlay
    masking_utils.chunked_overlay = lambda size, padding: chunks(size, torch.zeros(1, dtype=torch.long))
    logging.disable(logging.WARNING)
    expected, failed = {}, 0
    for name, config in read_configs().items():
        if names and name not in names:
            continue
        try:
            expected[name] = facts(config)
        except Exception as e:
            if names:
                raise
            print(name, "FAILED", type(e).__name__, str(e)[:300])
            failed += 1
            continue
        if names:
            print(name, json.dumps(expected[name], indent=1))
    if not names:
        lines = (json.dumps(n) + ": " + json.dumps(v, separators=(",", ":")) for n, v in expected.items())
        (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(len(expected), "written,", failed, "failed")


if __name__ == "__main__":
    main(sys.argv[1:])
