#!/usr/bin/env python3
"""Makes tests/golden/quant/formats.gguf: blocks of every quantization format, and what the gguf package reads from them.

    python3 tests/golden/quant.py          (gguf 0.19, numpy 2.4)

For a type T two tensors: `T`, blocks of random bytes, so that every bit of every field is used, and `T.f32`, their
values. Scales are finite f16 numbers: random ones, the largest, the smallest subnormal, both zeros; of MXFP4 all 256.
"""
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize

OUT = pathlib.Path(__file__).resolve().parent / "quant" / "formats.gguf"
# Name: where the block's f16 numbers are.
TYPES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
         "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
         "TQ1_0": [52], "TQ2_0": [64]}
HARD_SCALES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x7BFF, 0xFBFF, 0x3C00, 0x03FF], np.uint16)


def scales(rng, n):
    """Random finite f16 numbers, some of them hard."""
    bits = rng.integers(0, 1 << 16, n, np.uint16)
    bits = np.where(bits & 0x7C00 == 0x7C00, bits & 0x83FF, bits).astype(np.uint16)
    hard = rng.random(n) < 0.3
    bits[hard] = rng.choice(HARD_SCALES, int(hard.sum()))
    return bits


def blocks(rng, name, places):
    block_elems, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    n = 256 if name == "MXFP4" else 4 * 768 // block_elems
    out = rng.integers(0, 256, (n, block_bytes), np.uint8)
    for place in places:
        out[:, place:place + 2] = scales(rng, n)[:, None].view(np.uint8)
    if name == "MXFP4":
        out[:, 0] = np.arange(256)
    if name == "TQ1_0":  # five digits to the base 3, or four and a 0, as the least byte that begins with them
        digits = out[:, :52] % 243
        digits[:, 48:] -= digits[:, 48:] % 3
        out[:, :52] = (digits.astype(int) * 256 + 242) // 243
    return out.reshape(4, -1)


def main():
    OUT.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    writer = gguf.GGUFWriter(OUT, "none")
    for name, places in TYPES.items():
        kind = gguf.GGMLQuantizationType[name]
        packed = blocks(rng, name, places)
        with np.errstate(all="ignore"):
            values = dequantize(packed, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
        writer.add_tensor(name + ".f32", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
