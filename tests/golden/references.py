"""Architectures that transformers lacks, made of those it has: what is put into their modules, and how these are then run. Used by
families.py as `modify` of a case; written in torch from what is published of them."""
import types

import torch
from torch import nn


def normed(x, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def calmer(model):
    """What blocks say halved: random layers in a row otherwise make of the last digit of a number its fourth."""
    for name, p in model.named_parameters():
        if p.dim() > 1 and ("down_proj" in name or "o_proj" in name):
            p.data *= 0.5


# --- Kimi K3, as llama.cpp's graph and converter describe it: Kimi Linear whose stream begins anew every few layers, with other gates,
# experts of a width of their own and another activation.

def kimi_k3(model):
    config, body = model.config, model.model
    dim, latent, eps = config.hidden_size, config.routed_expert_hidden_size, config.rms_norm_eps

    def situ(gate, up):
        a, b = config.activation_situ_beta, config.activation_situ_linear_beta
        return gate.sigmoid() * a * torch.tanh(gate / a) * b * torch.tanh(up / b)

    def mlp(self, x):
        return self.down_proj(situ(self.gate_proj(x), self.up_proj(x)))

    def experts(self, x, chosen, weights):
        y = torch.zeros_like(x)
        for e in range(self.num_experts):
            gate, up = (x @ self.gate_up_proj[e].T).chunk(2, dim=-1)
            y += situ(gate, up) @ self.down_proj[e].T * (weights * (chosen == e)).sum(-1, keepdim=True)
        return y

    def mixture(self, x):
        rows = x.reshape(-1, dim)
        _, weights, chosen = self.gate(rows)
        y = self.experts(self.routed_expert_down_proj(rows), chosen, weights)
        return self.routed_expert_up_proj(self.routed_expert_norm(y)).view_as(x) + self.shared_experts(x)

    def forget_gate(self, x):
        steps = (self.f_b_proj(self.f_a_proj(x)) + self.dt_bias).unflatten(-1, (-1, self.head_dim))
        return config.linear_attn_config["gate_lower_bound"] * torch.sigmoid(self.A_log.exp() * steps)

    def scored(norm, proj, x):
        return proj(norm(x)).squeeze(-1)

    def recalled(norm, proj, x, bygone):
        if not bygone:
            return x
        parts = torch.stack([*bygone, x])
        return (scored(norm, proj, parts).softmax(0)[..., None] * parts).sum(0)

    def forward(self, input_ids, **kwargs):
        x, bygone = self.embed_tokens(input_ids), []
        seen = torch.full((input_ids.shape[1],) * 2, float("-inf")).triu(1)[None, None]
        for i, layer in enumerate(self.layers):
            rows = layer.input_layernorm(recalled(layer.self_attention_res_norm, layer.self_attention_res_proj, x, bygone))
            anew = i % config.attn_res_block_size == 0
            if anew:
                bygone.append(x)
            attends = layer.block_type != "linear_attention"
            y = layer.self_attn(hidden_states=rows, attention_mask=seen if attends else None)
            x = (0 if anew else x) + (y[0] if attends else y)
            rows = recalled(layer.mlp_res_norm, layer.mlp_res_proj, x, bygone)
            x = x + layer.mlp(layer.post_attention_layernorm(rows))
        x = recalled(self.output_attn_res_norm, self.output_attn_res_proj, x, bygone)
        return types.SimpleNamespace(last_hidden_state=self.norm(x), cache=None, hidden_states=None, attentions=None, router_logits=None)

    class Gated(nn.Module):  # in the place of the output matrix, which reads what is attended through a gate
        def __init__(self, weight):
            super().__init__()
            self.weight, self.gate = weight, None

        def forward(self, x):
            return nn.functional.linear(x * self.gate.sigmoid(), self.weight)

    def gate_first(module, args, kwargs):
        module.o_proj.gate = module.g_proj(kwargs["hidden_states"])

    def residual(holder, name):
        setattr(holder, f"{name}_norm", nn.RMSNorm(dim, eps))
        setattr(holder, f"{name}_proj", nn.Linear(dim, 1, bias=False))

    residual(body, "output_attn_res")
    for layer in body.layers:
        residual(layer, "self_attention_res")
        residual(layer, "mlp_res")
        attention, block = layer.self_attn, layer.mlp
        if layer.block_type == "linear_attention":
            attention.g_a_proj, attention.g_b_proj = nn.Identity(), nn.Linear(dim, attention.qkv_dim, bias=False)
            attention.forget_gate.forward = types.MethodType(forget_gate, attention.forget_gate)
            attention.o_norm.variance_epsilon = eps
        else:
            attention.g_proj = nn.Linear(dim, attention.num_heads * attention.v_head_dim, bias=False)
            attention.o_proj = Gated(attention.o_proj.weight)
            attention.q_a_layernorm.variance_epsilon = attention.kv_a_layernorm.variance_epsilon = eps
            attention.register_forward_pre_hook(gate_first, with_kwargs=True)
        for part in (block, getattr(block, "shared_experts", None)):
            if hasattr(part, "gate_proj"):
                part.forward = types.MethodType(mlp, part)
        if hasattr(block, "experts"):
            of = block.experts
            of.gate_up_proj = nn.Parameter(torch.empty(of.num_experts, 2 * of.intermediate_dim, latent))
            of.down_proj = nn.Parameter(torch.empty(of.num_experts, latent, of.intermediate_dim))
            of.forward = types.MethodType(experts, of)
            block.routed_expert_down_proj, block.routed_expert_up_proj = nn.Linear(dim, latent, bias=False), nn.Linear(latent, dim, bias=False)
            block.routed_expert_norm = nn.RMSNorm(latent, eps)
            block.gate.e_score_correction_bias.data = (torch.randn(of.num_experts) * 0.3).half().float()
            block.forward = types.MethodType(mixture, block)
    body.forward = types.MethodType(forward, body)


def kimi_k3_state(publish):
    """As published, of a model that sees; publish: Kimi Linear's."""
    def published(state, config):
        out = {}
        for name, w in publish(state, config["text_config"]).items():
            name = name.replace("g_b_proj", "g_proj")
            out["language_model." + name] = w.flatten() if name.endswith("A_log") else w
        return out
    return published
