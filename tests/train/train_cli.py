#!/usr/bin/env python3
"""`loam train` as its users and the cloud see it: events, exit codes, SIGTERM, SIGKILL and --resume.  train_cli.py LOAM"""
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

LOAM = sys.argv[1]
STEPS = 300  # a step takes less than a millisecond, a signal some twenty on its way
RECIPE = f"""
data: {{separator: "\\n\\n"}}
tokenizer: {{vocab_size: 300}}
model: {{n_layers: 1, dim: 32, n_heads: 2, context: 64}}
train: {{steps: {STEPS}, batch_size: 4, warmup_steps: 5}}
validation: {{every: 20, max_tokens: 1000}}
checkpoint: {{every: 10}}
sample: {{max_tokens: 5}}
"""
KEYS = {
    "start": {"steps", "params", "resumed_from"},
    "step": {"step", "tokens", "loss", "lr", "grad_norm", "tokens_per_s", "flops", "device_ms", "mfu"},
    "eval": {"step", "val_loss"},
    "sample": {"step", "text"},
    "checkpoint": {"step", "path"},
    "done": {"step", "model", "gguf", "val_loss", "flops", "device_ms"},
}


def command(home, run, *more):
    return [LOAM, "train", str(home / "recipe.yaml"), "--data", str(home / "corpus"), "--out", str(home / run), "--json", *more]


def finish(home, run, *more):
    """Runs to the end; the events it told."""
    result = subprocess.run(command(home, run, *more), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "validation loss" in result.stderr and "\ndone " in result.stderr, "people have a log to read"
    return [json.loads(line) for line in result.stdout.splitlines()]


def interrupt(home, run, sign, at_step, *more):
    """Starts, sends the signal once the step was told, and returns the exit code; None: it ended before."""
    with subprocess.Popen(command(home, run, *more), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "step" and event["step"] >= at_step:
                time.sleep(random.random() * 0.02)
                process.send_signal(sign)
                process.stdout.read()
                return process.wait()
        return None


def weights(home, run):
    return (home / run / "model" / "model.safetensors").read_bytes()


def check_events(home, events):
    for event in events:
        missing = KEYS.get(event["event"], set()) - event.keys()
        assert not missing, (event, missing)
    assert [e["step"] for e in events if e["event"] == "step"] == list(range(1, STEPS + 1))
    assert events[0]["event"] == "start" and events[0]["resumed_from"] is None
    assert events[-1]["event"] == "done" and pathlib.Path(events[-1]["gguf"]).is_file()
    assert events[0]["entropy"] < events[-1]["val_loss"]


def check_stop(home, whole):
    assert interrupt(home, "stopped", signal.SIGTERM, 23) == 75
    assert interrupt(home, "stopped", signal.SIGINT, 150, "--resume", "--threads", "1") == 75
    events = finish(home, "stopped", "--resume")
    assert events[0]["resumed_from"] >= 150
    assert events[-1]["flops"] == whole[-1]["flops"], "flops go on counting"
    assert weights(home, "stopped") == weights(home, "whole")


def check_kill(home):
    for at_step in (3, 12, 63, 137, 258):
        interrupt(home, "killed", signal.SIGKILL, at_step, "--resume", "--threads", str(random.choice([1, 2, 3])))
    finish(home, "killed", "--resume")
    assert weights(home, "killed") == weights(home, "whole")
    record = [json.loads(line) for line in open(home / "killed" / "metrics.jsonl")]
    assert [e["step"] for e in record if e["event"] == "step"] == list(range(1, STEPS + 1)), "every step stands there once"


def check_refusals(home):
    def refused(code, text, *args):
        result = subprocess.run([LOAM, "train", *args], capture_output=True, text=True)
        assert result.returncode == code and text in result.stderr, (result.returncode, result.stderr)

    recipe, corpus, fence = str(home / "recipe.yaml"), str(home / "corpus"), home / "fence"
    fence.write_text("4\n")
    refused(2, "wants <recipe.yaml>")
    refused(2, "did you mean 'train.steps'?", recipe, "--set", "train.step=3")
    refused(2, "names no data", recipe, "--out", str(home / "x"))
    refused(1, "--resume", recipe, "--data", corpus, "--out", str(home / "whole"))
    refused(1, "epoch 4", recipe, "--data", corpus, "--out", str(home / "fenced"), "--fence", str(fence), "--epoch", "3")


def main():
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        (home / "recipe.yaml").write_text(RECIPE)
        subprocess.run([LOAM, "corpus", "--out", str(home / "corpus"), "--stories", "200"], check=True, capture_output=True)
        whole = finish(home, "whole")
        check_events(home, whole)
        check_stop(home, whole)
        check_kill(home)
        check_refusals(home)
    print("ok")


main()
