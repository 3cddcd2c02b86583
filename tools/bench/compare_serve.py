#!/usr/bin/env python3
"""Many streaming clients: loam serve beside the llama-server of each peer, under a load client that belongs to none.

    PEER_LLAMA=llama.cpp/build/bin PEER_IK=ik_llama.cpp/build/bin tools/bench/compare_serve.py \\
        --loam build/loam -c 1,8,16 --prompt 128 --answer 128 -t 2 --rounds 2 --save out.jsonl model-q8_0.gguf
    tools/bench/compare_serve.py --table out.jsonl

Each client sends a prompt of random tokens, reads the answer as it comes and sends the next. Engines take turns; each starts anew
with as many slots as there are clients.
"""
import argparse
import asyncio
import json
import pathlib
import random
import socket
import subprocess
import time
import urllib.request

import common

KEYS = ["model", "clients", "threads"]
COLUMNS = {"tok_per_s": "output tokens/s", "ttft_p50": "ttft p50 s", "ttft_p99": "ttft p99 s", "itl_p50": "itl p50 s",
           "itl_p99": "itl p99 s", "resident_mb": "resident MB"}
FIRST_ID, LAST_ID = 100, 30000  # ordinary tokens of any large vocabulary


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def command_of(engine, program, args, model, clients, port):
    context = max(args.prompt, args.max_prompt) + args.answer + 64
    if engine == "loam":
        return [program, "serve", model, "--port", port, "--threads", args.threads, "--max-seqs", clients, "--context", context]
    return [program, "-m", model, "--host", "127.0.0.1", "--port", port, "-t", args.threads, "-np", clients,
            "-c", context * clients, *common.peer_flags(engine)]


def wait_until_up(process, port, timeout_s=300):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
                models = json.load(answer)["data"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return models[0]["id"]
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not answer")


class Load:
    """The measurements of all clients together."""

    def __init__(self):
        self.ttft, self.itl, self.n_tokens, self.n_failures = [], [], 0, 0

    def percentile(self, values, part):
        return sorted(values)[int((len(values) - 1) * part)] if values else float("nan")


async def request(load, port, model, args, rng, no_cache):
    n_prompt = rng.randint(args.prompt, max(args.prompt, args.max_prompt))
    body = json.dumps({"model": model, "prompt": [rng.randint(FIRST_ID, LAST_ID) for _ in range(n_prompt)],
                       "max_tokens": args.answer, "ignore_eos": True, "stream": True, "temperature": 0,
                       "stream_options": {"include_usage": True}, **({"cache_prompt": False} if no_cache else {})}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    sent = last = time.monotonic()
    writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(body) + body)
    events, counted = 0, 0
    while line := await reader.readline():
        if not line.startswith(b"data: {"):
            continue
        event, now = json.loads(line[6:]), time.monotonic()
        counted = (event.get("usage") or {}).get("completion_tokens", counted)
        if not event.get("choices"):
            continue
        (load.itl if events else load.ttft).append(now - (last if events else sent))
        events, last = events + 1, now
    writer.close()
    load.n_tokens += counted or events
    load.n_failures += events == 0


async def client(load, port, model, args, n_requests, seed, no_cache):
    rng = random.Random(seed)
    for _ in range(n_requests):
        await request(load, port, model, args, rng, no_cache)


async def run_load(port, model, args, clients, no_cache):
    await client(Load(), port, model, argparse.Namespace(**vars(args) | {"answer": 2}), 1, -1, no_cache)  # to warm up
    load, begin = Load(), time.monotonic()
    await asyncio.gather(*(client(load, port, model, args, args.requests, seed, no_cache) for seed in range(clients)))
    return load, time.monotonic() - begin


def memory_of(pid):
    """MB that a process holds: its peak and what of now is its own (anonymous), of files, and its share of all (PSS)."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text() + pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    of = {line.split(":")[0]: line.split()[1] for line in lines.splitlines() if line.endswith("kB")}
    names = {"resident": "VmHWM", "anonymous": "RssAnon", "mapped": "RssFile", "share": "Pss"}
    return {f"{name}_mb": int(of[key]) / 1024 for name, key in names.items()}


def measure(engine, program, args, model, clients):
    port = free_port()
    command = [str(word) for word in command_of(engine, program, args, model, clients, port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=common.clean_environment())
    try:
        name = wait_until_up(process, port)
        load, seconds = asyncio.run(run_load(port, name, args, clients, args.no_cache and engine != "loam"))
        memory = memory_of(process.pid)
        if load.n_failures:
            raise RuntimeError(f"{engine}: {load.n_failures} requests got no answer")
    finally:
        process.terminate()
        process.wait()
    return {"engine": engine, "model": pathlib.Path(model).stem, "clients": clients, "threads": args.threads,
            "prompt": args.prompt, "max_prompt": args.max_prompt, "answer": args.answer, **memory,
            "tok_per_s": load.n_tokens / seconds,
            "ttft_p50": load.percentile(load.ttft, 0.5), "ttft_p99": load.percentile(load.ttft, 0.99),
            "itl_p50": load.percentile(load.itl, 0.5), "itl_p99": load.percentile(load.itl, 0.99)}


def print_tables(results):
    for column, title in COLUMNS.items():
        rows = common.medians([r | {"value": r[column]} for r in results], KEYS)
        print(f"\n{title}\n\n" + common.table(rows, KEYS, places=1 if column in ("tok_per_s", "resident_mb") else 3,
                                              less_is_better=column != "tok_per_s"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--loam", default="build/loam")
    parser.add_argument("-c", "--clients", default="1,8,16")
    parser.add_argument("--prompt", type=int, default=128)
    parser.add_argument("--max-prompt", type=int, default=0, help="draw each prompt's length evenly up to this")
    parser.add_argument("--answer", type=int, default=128)
    parser.add_argument("--engines", default="", help="only these (default: all there are)")
    parser.add_argument("--requests", type=int, default=2, help="of each client")
    parser.add_argument("--no-cache", action="store_true", help="ask peers not to keep prompts")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--save")
    parser.add_argument("--table", nargs="+", metavar="FILE")
    args = parser.parse_args()
    results = common.load(args.table) if args.table else []
    engines = {"loam": args.loam} | common.peer_programs("llama-server")
    if args.engines:
        engines = {name: engines[name] for name in args.engines.split(",")}
    for model in args.models:
        for clients in map(int, args.clients.split(",")):
            for _ in range(args.rounds):
                for engine, program in engines.items():
                    results.append(measure(engine, program, args, model, clients))
                    common.save(args.save, results)
    print_tables(results)


if __name__ == "__main__":
    main()
