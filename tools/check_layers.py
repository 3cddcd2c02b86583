#!/usr/bin/env python3
"""Holds the layer table of ARCHITECTURE.md against the #include lines, and a few habits of STYLE.md against the sources.

Prints one line per offence and exits with 1 if there is any. Exceptions stand in tools/tidy.allow, each with its reason:
    <rule> <path> <reason ...>
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY_USE = {
    "base": set(),
    "net": {"base"},
    "hub": {"base", "net"},
    "compute": {"base"},
    "backend": {"base", "compute"},
    "model": {"base", "compute"},
    "train": {"base", "compute", "model"},
    "api": {"base", "compute", "backend", "model"},
    "serve": {"base", "net", "compute", "model"},
    "cloud": {"base", "net"},
    "cli": {"base", "net", "hub", "compute", "backend", "model", "train", "serve", "cloud"},
}
LAYERS = set(MAY_USE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
MAX_FILE_LINES, MAX_FUNCTION_LINES = 1200, 120
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
ALLOW = ROOT / "tools/tidy.allow"


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, capture_output=True, text=True)
    names = out.stdout.split("\n") if out.returncode == 0 else []
    return [ROOT / n for n in names if n and (ROOT / n).is_file()]


def allowed():
    rows = set()
    for line in ALLOW.read_text().splitlines() if ALLOW.exists() else []:
        if line.strip() and not line.startswith("#"):
            rule, path, *reason = line.split()
            assert reason, f"tools/tidy.allow: no reason given: {line}"
            rows.add((rule, path))
    return rows


def functions(text):
    """(name, lines) of every function body: a '{' at the end of a line that starts in column 0, to its '}' in column 0."""
    start = name = None
    for number, line in enumerate(text.split("\n"), 1):
        if start is None and re.match(r"^[A-Za-z_].*\)\s*\{$|^\s+.*\)\s*\{$", line) and not line.startswith((" " * 4 + "if", "#")):
            if line[0] != " " or not re.match(r"^\s+(if|for|while|switch|else|do)\b", line):
                found = re.search(r"(\w+)\s*\(", line)
                start, name = number, found.group(1) if found else "?"
        elif start is not None and line.startswith("}"):
            yield name, number - start - 1
            start = None


def check(path):
    relative = path.relative_to(ROOT).as_posix()
    text = path.read_text(errors="replace")
    parts = relative.split("/")
    if parts[0] == "src" and len(parts) > 2 and parts[1] in LAYERS:
        layer = parts[1]
        for include in INCLUDE.findall(text):
            target = include.split("/")[0]
            if target in LAYERS and target != layer and target not in MAY_USE[layer]:
                yield "layer", relative, f"{layer} may not use {include}"
            if layer == "backend" and target == "backend" and include.split("/")[1] != parts[2]:
                yield "layer", relative, f"a backend may not use another: {include}"
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        yield "file-size", relative, f"{lines} lines"
    if relative.endswith(".c"):
        for name, n in functions(text):
            if n > MAX_FUNCTION_LINES:
                yield "function-size", relative, f"{name} has {n} lines"
    if re.search(r"\bgetenv\s*\(", text) and parts[1] not in ("cli",):
        yield "getenv", relative, "configuration is parsed in src/cli only"
    if relative.endswith(".c") and parts[:2] == ["src", "cloud"] and (len(parts) < 4 or parts[2] != "table"):
        if re.search(r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b', text):
            yield "sql", relative, "only src/cloud/table/ contains SQL"
    if UNFINISHED.search(text):
        yield "unfinished", relative, "a mark of unfinished work: " + UNFINISHED.search(text).group(0)


def main():
    allow, offences = allowed(), 0
    for path in tracked("src/*.c", "src/*.h", "src/*.inc", "include/*.h"):
        for rule, relative, message in check(path):
            if (rule, relative) in allow:
                continue
            offences += 1
            print(f"{relative}: {rule}: {message}")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
