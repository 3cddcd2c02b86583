#!/usr/bin/env python3
"""Draws the roofline of a machine as SVG, with products on it.

    build/loam bench machine --json --save machine.json
    build/loam bench gemm --shapes llama-1b --types q8_0,q4_k,bf16,f32 -m 1,8,64,512 --json --save gemm.json
    tools/bench/roofline.py machine.json gemm.json > docs/images/roofline.svg

Across: operations for each byte that the product reads or writes once. Up: operations a second. A point under a sloping line waits
for that memory, one under a flat line for that arithmetic.
"""
import json
import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 480, 70, 50, 30, 150
X_RANGE, Y_RANGE = (0.25, 2048.0), (4.0, 4096.0)
COLOURS = {"q8_0": "#1f77b4", "q4_k": "#2ca02c", "q6_k": "#9467bd", "bf16": "#d62728", "f32": "#ff7f0e"}


def rows_of(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.strip()]


def x_at(intensity):
    share = math.log(intensity / X_RANGE[0]) / math.log(X_RANGE[1] / X_RANGE[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_at(rate):
    share = math.log(rate / Y_RANGE[0]) / math.log(Y_RANGE[1] / Y_RANGE[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def text(x, y, words, anchor="start", colour="#333"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def line(x0, y0, x1, y1, colour, dash=""):
    return f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-dasharray="{dash}"/>'


def axes():
    out = []
    for power in range(-2, 12):
        x = x_at(2.0**power)
        out += [line(x, TOP, x, HEIGHT - BOTTOM, "#eee"), text(x, HEIGHT - BOTTOM + 16, f"{2.0**power:g}", "middle")]
    for power in range(2, 13):
        y = y_at(2.0**power)
        out += [line(LEFT, y, WIDTH - RIGHT, y, "#eee"), text(LEFT - 8, y + 4, f"{2**power}", "end")]
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "operations a byte", "middle"))
    out.append(text(LEFT, TOP - 12, "GOP/s", "middle"))
    return out


def roofs(machine, n_threads):
    """Every memory as a slope up to the highest roof, the best instruction of every type as a roof."""
    mine = [row for row in machine if row["threads"] == n_threads]
    peaks = {}
    for row in mine:
        if row["unit"] == "GOP/s" and row["value"] > peaks.get(row["what"], 0):
            peaks[row["what"]] = row["value"]
    highest, out = max(peaks.values()), []
    for row in mine:
        if row["what"] != "read":
            continue
        start, end = max(X_RANGE[0], Y_RANGE[0] / row["value"]), highest / row["value"]
        out.append(line(x_at(start), y_at(start * row["value"]), x_at(end), y_at(highest), "#888"))
        x = start * 1.15
        out.append(text(x_at(x), y_at(x * row["value"]) - 6, f'{row["where"]} {row["value"]:.0f} GB/s', colour="#888"))
    for what, peak in peaks.items():
        out.append(line(x_at(1), y_at(peak), WIDTH - RIGHT, y_at(peak), "#888", "5 3"))
        out.append(text(WIDTH - RIGHT + 6, y_at(peak) + 4, f"{what} {peak:.0f}"))
    return out


def points(products, n_threads):
    out = []
    for row in products:
        if row["threads"] != n_threads or row["type"] not in COLOURS:
            continue
        x, y = x_at(row["gflop_per_s"] / row["gbyte_per_s"]), y_at(row["gflop_per_s"])
        label = f'{row["type"]} {row["m"]}x{row["n"]}x{row["k"]}: {row["gflop_per_s"]:.0f} GOP/s'
        out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[row["type"]]}"><title>{label}</title></circle>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        if any(row["type"] == name for row in products):
            out.append(text(WIDTH - RIGHT + 40, HEIGHT - BOTTOM - 100 + 18 * i, name, colour=colour))
    return out


def main():
    machine, products = rows_of(sys.argv[1]), rows_of(sys.argv[2])
    n_threads = max(row["threads"] for row in products)
    parts = axes() + roofs(machine, n_threads) + points(products, n_threads)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">')
    print('<rect width="100%" height="100%" fill="white"/>')
    print("\n".join(parts))
    print("</svg>")


if __name__ == "__main__":
    main()
