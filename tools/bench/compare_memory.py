#!/usr/bin/env python3
"""What `loam show` says that serving takes, beside what it takes: compare_memory.py LOAM MODEL... [--settings CONTEXTxBATCH,...]

Starts `loam serve` for each model and setting, fills every sequence to its full length with tokens from all over the vocabulary, and
compares the largest resident size with the estimate. Exits with 1 when one is off by more than 5 %.
"""
import argparse, json, os, pathlib, random, shutil, subprocess, sys, tempfile, threading, time, urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("loam")
parser.add_argument("models", nargs="+")
parser.add_argument("--settings", default="256x1,512x4")
parser.add_argument("--kv-dtype", default="f16")
parser.add_argument("--threads", default="2")
args = parser.parse_args()
BLOCK = 64


def estimate(model, context, batch):
    shown = json.loads(subprocess.run([args.loam, "show", model, "--json", "--context", str(context), "--batch", str(batch), "--kv-dtype",
                                       args.kv_dtype, "--threads", args.threads], capture_output=True, check=True, text=True).stdout)
    return shown["memory"], shown["hparams"]["vocab_size"]


def resident(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10


def fill(port, name, vocab, context, seed):
    dice = random.Random(seed)
    body = {"model": name, "prompt": [dice.randrange(vocab) for _ in range(context // 2)], "max_tokens": context - context // 2, "ignore_eos": True, "temperature": 0}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def measure(model, vocab, context, batch):
    folder = pathlib.Path(tempfile.mkdtemp())
    server = subprocess.Popen([args.loam, "serve", model, "--name", "m", "--port", "0", "--port-file", folder / "port", "--context", str(context),
                               "--max-seqs", str(batch), "--kv-blocks", str(batch * -(-context // BLOCK)), "--kv-dtype", args.kv_dtype,
                               "--threads", args.threads], stderr=subprocess.DEVNULL)
    try:
        while not (folder / "port").exists():
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
        port = (folder / "port").read_text().strip()
        clients = [threading.Thread(target=fill, args=(port, "m", vocab, context, seed)) for seed in range(batch)]
        for client in clients:
            client.start()
        most = 0
        while any(client.is_alive() for client in clients):
            most = max(most, resident(server.pid))
            time.sleep(0.05)
        return max(most, resident(server.pid))
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


worst = 0
print("model                     context  batch   told MiB  takes MiB    off")
for model in args.models:
    for setting in args.settings.split(","):
        context, batch = map(int, setting.split("x"))
        told, vocab = estimate(model, context, batch)
        takes = measure(model, vocab, context, batch)
        off = told["total_bytes"] / takes - 1
        worst = max(worst, abs(off))
        print(f"{os.path.basename(model):25} {context:7} {batch:6} {told['total_bytes'] / 2**20:10.1f} {takes / 2**20:10.1f} {off:+7.1%}", flush=True)
sys.exit(worst > 0.05)
