#!/usr/bin/env python3
"""Makes tests/golden/train/step.safetensors: a tiny random Llama model, its loss and gradients by torch's autograd, and its
weights after three steps of torch's AdamW with clipping, on one batch.

    python3 tests/golden/train_step.py          (torch 2.13, transformers 5.23, safetensors 0.8)

Names: weight.<parameter>, grad.<parameter>, after.<parameter>, loss [4]: before the first, second and third step and after
the last; all f32. The batch is 3 sequences of 8: token i is (7 i + 3) mod 29, its target (5 i + 2) mod 29, but i mod 7 = 3 does
not count. lr 0.01, betas 0.9 and 0.99, eps 1e-8, weight decay 0.1 on matrices, clip 0.5.
"""
import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

OUT = pathlib.Path(__file__).resolve().parent / "train"
BATCH, LENGTH, VOCAB = 3, 8, 29
CONFIG = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=4,
              vocab_size=VOCAB, max_position_embeddings=LENGTH, rms_norm_eps=1e-5, tie_word_embeddings=True,
              rope_parameters=dict(rope_type="default", rope_theta=10000.0))


def loss_of(model):
    i = torch.arange(BATCH * LENGTH)
    tokens, targets = (7 * i + 3) % VOCAB, (5 * i + 2) % VOCAB
    targets[i % 7 == 3] = -100
    logits = model(tokens.view(BATCH, LENGTH)).logits
    return torch.nn.functional.cross_entropy(logits.view(-1, VOCAB), targets)


def main():
    torch.manual_seed(11)
    model = LlamaForCausalLM(LlamaConfig(**CONFIG))
    for name, p in model.named_parameters():
        p.data = torch.randn_like(p) * 0.3 + (1.0 if "norm" in name else 0.0)
    params = dict(model.named_parameters())
    out = {f"weight.{n}": p.detach().clone() for n, p in params.items()}
    matrices, vectors = ([p for p in params.values() if p.dim() == d] for d in (2, 1))
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)],
                                  lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            out.update({f"grad.{n}": p.grad.clone() for n, p in params.items()})
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    out.update({f"after.{n}": p.detach().clone() for n, p in params.items()})
    out["loss"] = torch.tensor(losses + [loss_of(model).item()])
    OUT.mkdir(exist_ok=True)
    save_file(out, OUT / "step.safetensors")


main()
