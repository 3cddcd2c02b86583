#!/usr/bin/env python3
"""PyTorch's side of `loam bench train`: optimizer steps of a model of GPT-2's size on the CPU, one JSON object a step.

    train_step_torch.py [--dtype f32|bf16] [--threads N] [--blocks llama|gpt2] [--compile] [--steps N]

llama blocks are what loam trains: RMS norm, rotary positions, a gated MLP of 2048. gpt2 blocks have layer norm with biases,
learned positions and GELU in an MLP of 3072. Both do the same operations in their matrix products. bf16 is autocast over f32 weights; AdamW is
the fused one; a step clips the gradient as loam's does.
"""
import argparse
import json
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class GPT2Block(nn.Module):
    def __init__(self, dim, heads, ffn):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, ffn), nn.Linear(ffn, dim)

    def forward(self, x, rope):
        b, t, d = x.shape
        q, k, v = (u.view(b, t, self.heads, -1).transpose(1, 2) for u in self.qkv(self.norm1(x)).split(d, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


class LlamaBlock(nn.Module):
    def __init__(self, dim, heads, ffn):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(dim, 1e-5), nn.RMSNorm(dim, 1e-5)
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.gate_up, self.down = nn.Linear(dim, 2 * ffn, bias=False), nn.Linear(ffn, dim, bias=False)

    def forward(self, x, rope):
        b, t, d = x.shape
        q, k, v = (u.view(b, t, self.heads, -1).transpose(1, 2) for u in self.qkv(self.norm1(x)).split(d, dim=2))
        q, k = rotate(q, *rope), rotate(k, *rope)
        y = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.gpt2 = args.blocks == "gpt2"
        block = GPT2Block if self.gpt2 else LlamaBlock
        ffn = args.dim * 4 if self.gpt2 else args.dim * 8 // 3
        self.embed = nn.Embedding(args.vocab, args.dim)
        self.positions = nn.Embedding(args.context, args.dim) if self.gpt2 else None
        self.blocks = nn.ModuleList(block(args.dim, args.heads, ffn) for _ in range(args.layers))
        self.norm = nn.LayerNorm(args.dim) if self.gpt2 else nn.RMSNorm(args.dim, 1e-5)
        head_dim = args.dim // args.heads
        angles = torch.outer(torch.arange(args.context).float(), 10000 ** (-torch.arange(0, head_dim, 2) / head_dim))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.embed(tokens)
        if self.gpt2:
            x = x + self.positions.weight
        for block in self.blocks:
            x = block(x, (self.cos, self.sin))
        logits = F.linear(self.norm(x), self.embed.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dtype", default="f32", choices=("f32", "bf16"))
    parser.add_argument("--blocks", default="llama", choices=("llama", "gpt2"))
    parser.add_argument("--compile", action="store_true")
    for name, default in dict(threads=0, steps=5, layers=12, dim=768, heads=12, vocab=50304, batch=4, context=256).items():
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = Model(args)
    step_model = torch.compile(model) if args.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens, targets = (torch.randint(args.vocab, (args.batch, args.context)) for _ in range(2))
    for step in range(-2, args.steps):  # two that are not counted: memory is touched for the first time in both
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16"):
            loss = step_model(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        seconds = time.perf_counter() - begin
        if step >= 0:
            print(json.dumps(dict(dtype=args.dtype, step=step, ms=seconds * 1e3, loss=value)), flush=True)


if __name__ == "__main__":
    main()
