"""What the comparisons share: running commands, peers' places, medians, and tables of ratios.

A result is a dict with "engine", the keys that say which measurement it is, and "value" (more is better) or "times" of one round.
Every comparison runs the engines in turn, round after round, so that a neighbour who takes a core for a while hurts all alike.
"""
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys

PEERS = {"llama.cpp": "PEER_LLAMA", "ik_llama.cpp": "PEER_IK"}  # engine: environment variable with the folder of its programs


def clean_environment():
    """Some shells steer BLAS by hand, which would slow a peer down."""
    return {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}


def output_of(command, with_errors=False, timeout_s=900):
    """Standard output of a command, and standard error if wanted; a failure shows the end of what it said and gives None."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout_s,
                          env=clean_environment())
    if done.returncode != 0:
        print(f"{shlex.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-600:]}", file=sys.stderr)
        return None
    return done.stdout + (done.stderr if with_errors else "")


def json_lines(text):
    return [json.loads(line) for line in (text or "").splitlines() if line.startswith("{")]


def peer_programs(name):
    """{engine: path} of the peers that have this program, and whose folder is given by PEER_LLAMA or PEER_IK."""
    found = {}
    for engine, variable in PEERS.items():
        folder = os.environ.get(variable)
        if folder and (pathlib.Path(folder) / name).exists():
            found[engine] = pathlib.Path(folder) / name
    return found


def peer_flags(engine):
    """Further flags for a peer, from PEER_LLAMA_FLAGS or PEER_IK_FLAGS."""
    return shlex.split(os.environ.get(PEERS[engine] + "_FLAGS", ""))


def medians(results, keys):
    """[{keys..., "values": {engine: median of its rounds}}] in order of appearance."""
    rows = {}
    for result in results:
        row = rows.setdefault(tuple(result[key] for key in keys), {})
        row.setdefault(result["engine"], []).append(result["value"])
    return [dict(zip(keys, of)) | {"values": {engine: statistics.median(v) for engine, v in row.items()}}
            for of, row in rows.items()]


def ratio_of(row, less_is_better=False):
    """How many times as good loam is as the best peer; None without a peer."""
    ours = row["values"].get("loam")
    peers = [value for engine, value in row["values"].items() if engine != "loam" and value]
    if not ours or not peers:
        return None
    return min(peers) / ours if less_is_better else ours / max(peers)


def table(rows, keys, places=1, less_is_better=False):
    """Rows of medians() as a Markdown table with loam's ratio to the best peer in the last column."""
    engines = list(dict.fromkeys(engine for row in rows for engine in row["values"]))
    lines = ["| " + " | ".join([*keys, *engines, "ratio"]) + " |",
             "|" + "---|" * len(keys) + "--:|" * (len(engines) + 1)]
    for row in rows:
        values = [f"{row['values'][e]:.{places}f}" if e in row["values"] else "–" for e in engines]
        ratio = ratio_of(row, less_is_better)
        lines.append("| " + " | ".join([*(str(row[key]) for key in keys), *values,
                                        f"**{ratio:.2f}**" if ratio else "–"]) + " |")
    return "\n".join(lines)


def save(path, results):
    if path:
        pathlib.Path(path).write_text("".join(json.dumps(result) + "\n" for result in results))


def load(paths):
    return [json.loads(line) for path in paths for line in pathlib.Path(path).read_text().splitlines()]
