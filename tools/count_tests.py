#!/usr/bin/env python3
"""Counts what a meson test run really executed, one by one: count_tests.py BUILD_DIR -> "passed failed skipped".

cmocka programs count each of their tests; other programs count one, by their exit code (77: skipped). A program that died
before its summary counts one failure. Failures and skips are named on standard error.
"""
import json
import pathlib
import re
import sys

passed = failed = skipped = 0
log = pathlib.Path(sys.argv[1]) / "meson-logs/testlog.json"
for line in log.read_text().splitlines():
    test = json.loads(line)
    text = (test.get("stdout") or "") + (test.get("stderr") or "")
    counts = {kind: sum(map(int, re.findall(r"\[\s+%s\s+\] (\d+) test\(s\)" % kind, text)))
              for kind in ("PASSED", "FAILED", "SKIPPED")}
    plain = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M)
    result = test["result"]
    if plain:
        p, f, s = (int(x or 0) for x in plain[-1])
    elif sum(counts.values()):
        p, f, s = counts["PASSED"], counts["FAILED"], counts["SKIPPED"]
    else:
        p, f, s = (1, 0, 0) if result == "OK" else (0, 0, 1) if result == "SKIP" else (0, 1, 0)
    if result not in ("OK", "SKIP") and f == 0:
        f = 1
    passed, failed, skipped = passed + p, failed + f, skipped + s
    if f:
        print(f"  failed: {test['name']} ({result})", file=sys.stderr)
        print("\n".join("    " + row for row in text.splitlines()[-40:]), file=sys.stderr)
    for reason in re.findall(r"^.*skip(?:ping|ped)?: .*$", text, re.M | re.I)[:5] if s else []:
        print(f"  skipped: {test['name']}: {reason.strip()}", file=sys.stderr)
print(passed, failed, skipped)
