"""What makers of tiny random models share: how they are written as folders and as GGUF files, and their command line."""
import argparse
import contextlib
import json
import logging
import pathlib
import shutil
import sys

N_VOCAB = 48


def start(out, name):
    """An empty folder for a case."""
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def less(config, *names):
    return {k: v for k, v in config.items() if k not in names}


def config_of(model, folder):
    """What transformers writes of a model, less its own version."""
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("transformers_version", None)
    return config


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def as_stored(state, exact=()):
    """Matrices as f16, vectors and those whose names begin with one of `exact` as f32; so is what the converter makes powers of,
    which it does in the type that it finds."""
    def is_exact(name, w):
        return w.dim() < 2 or name.endswith("A_log") or name.startswith(tuple(exact))
    whole = {k: v.int().contiguous() for k, v in state.items() if k.endswith("tid2eid")}
    return whole | {k: (v.float() if is_exact(k, v) else v.half()).contiguous() for k, v in state.items() if v.is_floating_point()}


def write_numbers(folder):
    """A tokenizer whose tokens are numbers: the converter wants one."""
    (folder / "tokenizer.json").write_text(json.dumps(dict(
        model=dict(vocab={str(i): i for i in range(N_VOCAB)}), added_tokens=[])))


def convert(folder, path, changed=lambda cls: cls):
    """Writes a GGUF file as llama.cpp's own converter does it, without a vocabulary; changed: what is made of its class."""
    from conversion.base import ModelBase, gguf
    from conversion import get_model_class
    config = json.loads((folder / "config.json").read_text())
    hparams = dict(ModelBase.load_hparams(folder, False), **config)
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        hparams.pop("num_kv_heads", None)  # as Falcon's first models have it
    cls = changed(get_model_class(hparams["architectures"][0], mmproj=False))
    model = cls(folder, gguf.LlamaFileType.MOSTLY_F16, path, model_name="tiny", hparams=hparams,
                sentence_transformers_dense_modules=True)
    inner = getattr(model, "impl", model)
    inner.set_vocab = lambda: inner.gguf_writer.add_vocab_size(N_VOCAB)
    with open("/dev/null", "w") as nowhere, contextlib.redirect_stderr(nowhere):
        model.write()


def main(doc, cases, make, first_seed):
    """Makes the cases that are named, or all; a case's seed is its place among all."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--llama-cpp", required=True)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    sys.path[:0] = [args.llama_cpp, str(pathlib.Path(args.llama_cpp) / "gguf-py")]
    logging.disable(logging.WARNING)
    failed = []
    for i, name in enumerate(cases):
        if args.names and name not in args.names:
            continue
        try:
            make(name, first_seed + i)
        except Exception as e:  # the others are made all the same
            failed.append(name)
            print(f"{name}: {type(e).__name__}: {e}")
    sys.exit(f"failed: {failed}" if failed else 0)
