#!/usr/bin/env python3
"""What others make of a training run's results: tools/check_run.py RUN_FOLDER LIBLOAM.SO

transformers loads the exported folder and the GGUF file, the gguf package reads the file's tensors, and both give the logits that
libloam gives; transformers' tokenizer gives the same ids; TensorBoard's own reader finds the curves of metrics.jsonl. Needs
torch, transformers, gguf and tensorboard; made with torch 2.13, transformers 5.23, gguf 0.19, tensorboard 2.21. Exits with 77 when one
of them is missing.
"""
import ctypes
import json
import pathlib
import sys

try:
    import gguf
    import torch
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

TOLERANCE = 1e-4
TEXTS = ["Once upon a time there was a little fox.", "It's 3 o'clock, isn't it?\n\n  We don't know.", "caf\u00e9 \u4f60\u597d \U0001f98a", ""]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 512), ("hint", ctypes.c_char * 256)]


class Options(ctypes.Structure):
    _fields_ = [("context", ctypes.c_int64), ("kv_type", ctypes.c_int)]


KV_F32 = 2


class Loam:
    """A model through the public C API."""

    def __init__(self, library, path):
        self.lib, self.err = ctypes.CDLL(library), Error()
        self.model = self.out("loam_model_open", str(path).encode(), None)
        self.session = self.out("loam_session_new", self.model, ctypes.byref(Options(0, KV_F32)))

    def call(self, name, *args):
        if getattr(self.lib, name)(*args, ctypes.byref(self.err)):
            sys.exit(f"{name}: {self.err.message.decode()}")

    def out(self, name, *args):
        result = ctypes.c_void_p()
        self.call(name, *args, ctypes.byref(result))
        return result

    def tokenize(self, text):
        data, ids, n = text.encode(), (ctypes.c_int32 * 1000)(), ctypes.c_size_t()
        self.call("loam_tokenize", self.model, data, ctypes.c_size_t(len(data)), 0, ids, ctypes.c_size_t(1000), ctypes.byref(n))
        return list(ids[: n.value])

    def logits(self, ids, n_vocab):
        """[len(ids), n_vocab], one position after the other."""
        rows, pointer = [], ctypes.POINTER(ctypes.c_float)()
        self.lib.loam_session_truncate(self.session, ctypes.c_int64(0))
        for token in ids:
            self.call("loam_session_append", self.session, (ctypes.c_int32 * 1)(token), ctypes.c_size_t(1), ctypes.byref(pointer))
            rows.append(pointer[:n_vocab])
        return torch.tensor(rows)


def compare(what, a, b):
    worst = (a - b).abs().max().item()
    print(f"{what}: largest difference of logits {worst:.2e}")
    return worst <= TOLERANCE


def load_gguf(file, like):
    """The GGUF file as transformers reads it (from_pretrained would do the same, but wants accelerate for it)."""
    checkpoint = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=like)
    model = LlamaForCausalLM(LlamaConfig.from_dict({**like.config.to_dict(), **checkpoint["config"]})).eval()
    missing, surplus = model.load_state_dict(checkpoint["tensors"], strict=False)
    assert not surplus and set(missing) <= {"lm_head.weight"}, (missing, surplus)
    model.tie_weights()
    return model


def check_models(run, library):
    torch.manual_seed(1)
    folder, file = run / "model", run / "model.gguf"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(0, model.config.vocab_size, (1, min(60, model.config.max_position_embeddings)))
    with torch.no_grad():
        expected = model(ids).logits[0]
        from_gguf = load_gguf(file, model)(ids).logits[0]
    n_vocab = expected.shape[1]
    ok = compare("transformers, folder against GGUF", from_gguf, expected)
    for path in (folder, file):
        ok &= compare(f"loam, {path.name} against transformers", Loam(library, path).logits(ids[0].tolist(), n_vocab), expected)
    return ok


def check_gguf(run):
    reader = gguf.GGUFReader(run / "model.gguf")
    names = {tensor.name for tensor in reader.tensors}
    print(f"gguf: {len(names)} tensors, architecture {reader.fields['general.architecture'].contents()}")
    return "token_embd.weight" in names and "blk.0.attn_q.weight" in names


def check_tokenizer(run, library):
    theirs, loam, ok = AutoTokenizer.from_pretrained(run / "model"), Loam(library, run / "model"), True
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False)
        same = ids == loam.tokenize(text) and theirs.decode(ids, clean_up_tokenization_spaces=False) == text
        ok &= same
        print(f"tokenizer: {text!r} {'the same' if same else 'DIFFERS'}")
    return ok


def check_curves(run):
    steps = [e for line in open(run / "metrics.jsonl") if (e := json.loads(line))["event"] == "step"]
    board = EventAccumulator(str(run), size_guidance={"scalars": 0})
    board.Reload()
    curve = {event.step: event.value for event in board.Scalars("train/loss")}
    same = all(abs(curve[e["step"]] - e["loss"]) < 1e-5 for e in steps) and [e["step"] for e in steps] == sorted(curve)
    print(f"tensorboard: {len(curve)} steps {'as in metrics.jsonl' if same else 'DIFFER from metrics.jsonl'}")
    return same


def main():
    run, library = pathlib.Path(sys.argv[1]), sys.argv[2]
    checks = [check_models(run, library), check_gguf(run), check_tokenizer(run, library), check_curves(run)]
    sys.exit(0 if all(checks) else 1)


main()
