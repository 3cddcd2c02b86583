#!/usr/bin/env python3
"""Makes tests/golden/ops/: what torch computes for single ops with their gradients, and what gguf's quantization gives.

    python3 tests/golden/make_ops.py          (torch 2.13, gguf 0.19, numpy 2.4)

Arrays as C text, to be included by tests/compute/test_golden_ops.c and test_dtype.c. For an op with inputs a, b, ...: the
inputs, `out`, `d_out` (the weights of a scalar loss) and `d_a`, `d_b`, ... computed by torch in f64 from the f32 inputs.
"""
import pathlib

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize

OUT = pathlib.Path(__file__).resolve().parent / "ops"
TYPES = {np.dtype(np.float32): "float", np.dtype(np.int32): "int32_t", np.dtype(np.uint8): "uint8_t",
         np.dtype(np.uint16): "uint16_t"}


def literal(x):
    if isinstance(x, np.floating):
        return f"{x:.9g}" + ("f" if "e" in f"{x:.9g}" or "." in f"{x:.9g}" else ".0f")
    return str(x)


def emit(out, name, array):
    array = np.ascontiguousarray(array)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    out.append(f"static const {TYPES[array.dtype]} {name}[] = {{")
    flat, line = array.ravel(), "   "
    for x in flat:
        word = " " + literal(x) + ","
        if len(line) + len(word) > 100:
            out.append(line)
            line = "   "
        line += word
    out += [line, "};"]


def op(out, name, inputs, fn):
    """inputs: name -> f32 array (gets a gradient) or i32 array (does not)."""
    tensors = {k: torch.tensor(v, dtype=torch.float64 if v.dtype == np.float32 else torch.int64,
                               requires_grad=v.dtype == np.float32) for k, v in inputs.items()}
    result = fn(**tensors)
    d_out = np.random.default_rng(5).standard_normal(result.shape).astype(np.float32)
    (result * torch.tensor(d_out, dtype=torch.float64)).sum().backward()
    for k, v in inputs.items():
        emit(out, f"{name}_{k}", v)
    emit(out, f"{name}_out", result.detach().numpy())
    emit(out, f"{name}_d_out", d_out)
    for k, t in tensors.items():
        if t.grad is not None:
            emit(out, f"{name}_d_{k}", t.grad.numpy())


def rms_norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def attention(q, k, v, seqs=2, heads=2, kv_heads=1, dim=4):
    def split(x, n):
        return x.view(seqs, -1, n, dim).transpose(1, 2)
    y = torch.nn.functional.scaled_dot_product_attention(split(q, heads), split(k, kv_heads), split(v, kv_heads),
                                                         is_causal=True, scale=0.7, enable_gqa=True)
    return y.transpose(1, 2).reshape(q.shape)


def rope(x, pos, freqs, heads=2):
    """As transformers: angles in f32, halves rotated."""
    angle = pos.to(torch.float32)[:, None] * torch.tensor(freqs.detach().numpy(), dtype=torch.float32)
    cos, sin = (torch.cat([f(angle.double())] * 2, -1)[:, None] for f in (torch.cos, torch.sin))
    y = x.view(x.shape[0], heads, -1)
    half = y.shape[-1] // 2
    rotated = torch.cat([-y[..., half:], y[..., :half]], -1)
    return (y * cos + rotated * sin).reshape(x.shape)


def cross_entropy(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets, ignore_index=-1).reshape(1)


def make_ops():
    rng = np.random.default_rng(1)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    out = ["/* Made by tests/golden/make_ops.py with torch " + torch.__version__.split("+")[0] + ". */"]
    op(out, "rms_norm", dict(x=normal(3, 20), w=normal(20)), rms_norm)
    op(out, "swiglu", dict(gate=3 * normal(3, 9), up=normal(3, 9)),
       lambda gate, up: torch.nn.functional.silu(gate) * up)
    op(out, "linear", dict(x=normal(4, 19), w=normal(6, 19), bias=normal(6)),
       lambda x, w, bias: torch.nn.functional.linear(x, w, bias))
    op(out, "embed", dict(table=normal(5, 3), ids=np.array([4, 0, 4, 2, 0, 4], np.int32)),
       lambda table, ids: torch.nn.functional.embedding(ids, table))
    op(out, "attention", dict(q=normal(36, 8), k=normal(36, 4), v=normal(36, 4)), attention)
    freqs = (10000.0 ** (-np.arange(4) / 4)).astype(np.float32)
    op(out, "rope", dict(x=normal(5, 16), pos=np.array([0, 1, 77, 4095, 131071], np.int32), freqs=freqs), rope)
    op(out, "cross_entropy", dict(logits=2 * normal(5, 21), targets=np.array([3, -1, 20, 0, 3], np.int32)), cross_entropy)
    make_adamw(out, normal)
    (OUT / "ops.inc").write_text("\n".join(out) + "\n")


def make_adamw(out, normal):
    param, grads = normal(12), normal(3, 12)
    t = torch.nn.Parameter(torch.tensor(param, dtype=torch.float64))
    optimizer = torch.optim.AdamW([t], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    emit(out, "adamw_param", param)
    emit(out, "adamw_grads", grads)
    for g in grads:
        t.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    emit(out, "adamw_out", t.detach().numpy())


def quant_rows():
    """Random blocks, and hard ones: zeros, one value, ties of rounding, extremes of either sign, tiny and large scales."""
    rng = np.random.default_rng(2)
    rows = [rng.standard_normal(32) for _ in range(4)]
    rows += [np.zeros(32), np.full(32, 0.3), np.arange(32) - 15.5, np.linspace(-127, 127, 32), np.linspace(-8, 7.5, 32),
             rng.standard_normal(32) * 1e-7, rng.standard_normal(32) * 6e4, np.tile([1.0, -1.0], 16),
             np.where(np.arange(32) == 7, -5.0, 0.5), np.arange(32) * 0.5]
    return np.array(rows, np.float32)


def make_quant():
    rows = quant_rows()
    out = [f"/* Made by tests/golden/make_ops.py with gguf 0.19 and numpy {np.__version__}. */"]
    emit(out, "quant_rows", rows)
    for name in ("Q8_0", "Q4_0"):
        packed = quantize(rows, gguf.GGMLQuantizationType[name])
        emit(out, f"{name.lower()}_packed", packed)
        emit(out, f"{name.lower()}_unpacked", dequantize(packed, gguf.GGMLQuantizationType[name]))
    (OUT / "quant.inc").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    make_ops()
    make_quant()
