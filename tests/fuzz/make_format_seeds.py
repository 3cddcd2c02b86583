#!/usr/bin/env python3
"""Makes seeds of the fuzzers: a GGUF file with tensors of every quantized type, and importance matrices in both forms (gguf 0.19)."""
import pathlib
import struct

import gguf
import numpy as np

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
NAME = "blk.0.attn_q.weight"


def write(path, architecture, fill):
    path.parent.mkdir(exist_ok=True)
    w = gguf.GGUFWriter(str(path), architecture)
    fill(w)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def all_types(w):
    rng = np.random.default_rng(1)
    for t in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4",
              "TQ1_0", "TQ2_0"):
        kind = gguf.GGMLQuantizationType[t]
        elems, size = gguf.GGML_QUANT_SIZES[kind]
        w.add_tensor(t, rng.integers(0, 256, (1, size), dtype=np.uint8), raw_shape=(1, size), raw_dtype=kind)


def imatrix(w):
    w.add_type("imatrix")
    w.add_uint32("imatrix.chunk_count", 2)
    w.add_uint32("imatrix.chunk_size", 16)
    w.add_array("imatrix.datasets", ["text"])
    w.add_tensor(NAME + ".in_sum2", np.arange(8, dtype=np.float32).reshape(1, 8))
    w.add_tensor(NAME + ".counts", np.full((1, 1), 32, dtype=np.float32))


write(CORPUS / "gguf" / "types", "llama", all_types)
write(CORPUS / "imatrix" / "gguf", "llama", imatrix)
name = NAME.encode()
(CORPUS / "imatrix" / "old").write_bytes(struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii8fi", 2, 8, *range(8), 2) +
                                         struct.pack("<i", 4) + b"text")
