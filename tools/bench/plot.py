#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes a picture of what bench measured: plot.py RESULT.json -o PICTURE.svg

RESULT.json is from `bench --json`. Bars are medians as ratios to the kernel's squashfs; the line
is the kernel. Nothing but Python is needed.
"""

import argparse
import json
import statistics
from xml.sax.saxutils import escape

COLORS = {"squenv": "#3b76af", "squashfuse_ll": "#b0b0b0", "erofsfuse": "#7fa66b"}
WIDTH, LABEL, VALUE = 760, 150, 60
BAR, GAP, GROUP_GAP = 14, 3, 14
# Ratios beyond this are cut, and say so.
LARGEST = 3.0


def medians(result, temperature):
    """[(row, {system: ratio to the kernel})]"""
    rows = []
    for sample in result["samples"]:
        if sample["temperature"] != temperature or "kernel" not in sample["seconds"]:
            continue
        kernel = statistics.median(sample["seconds"]["kernel"])
        rows.append((sample["row"], {
            system: statistics.median(seconds) / kernel
            for system, seconds in sample["seconds"].items() if system != "kernel"
        }))
    return rows


def draw(result):
    room = WIDTH - LABEL - VALUE
    body, top = [], 30
    systems = []
    for temperature in ("cold", "warm"):
        rows = medians(result, temperature)
        if not rows:
            continue
        body.append(f'<text x="0" y="{top}" class="head">{temperature}</text>')
        top += 12
        first = top
        for name, ratios in rows:
            height = len(ratios) * (BAR + GAP)
            body.append(f'<text x="{LABEL - 8}" y="{top + height / 2 + 2}" class="row">'
                        f"{escape(name)}</text>")
            for system, ratio in ratios.items():
                if system not in systems:
                    systems.append(system)
                width = room * min(ratio, LARGEST) / LARGEST
                color = COLORS.get(system, "#d9822b")
                body.append(f'<rect x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" '
                            f'fill="{color}"/>')
                body.append(f'<text x="{LABEL + width + 5:.1f}" y="{top + BAR - 3}">'
                            f"{ratio:.2f}{' »' if ratio > LARGEST else ''}</text>")
                top += BAR + GAP
            top += GROUP_GAP
        at = LABEL + room / LARGEST
        body.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{first - 4}" y2="{top - GROUP_GAP}"/>')
        top += 24
    legend = [f'<text x="{LABEL}" y="14">'
              "times the kernel's squashfs (line); less is better</text>"]
    for index, system in enumerate(systems):
        at = LABEL + 330 + index * 120
        legend.append(f'<rect x="{at}" y="4" width="12" height="12" '
                      f'fill="{COLORS.get(system, "#d9822b")}"/>')
        legend.append(f'<text x="{at + 17}" y="14">{escape(system)}</text>')
    style = ("text{font:12px system-ui,sans-serif;fill:#333}.head{font-weight:bold}"
             ".row{text-anchor:end}line{stroke:#c33;stroke-dasharray:4 3}")
    return ('<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}">\n'
            f'<rect width="{WIDTH}" height="{top}" fill="#fff"/><style>{style}</style>\n'
            + "\n".join(legend + body) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("result", help="what bench --json wrote")
    parser.add_argument("-o", "--output", required=True, help="the picture")
    arguments = parser.parse_args()
    with open(arguments.result, encoding="utf-8") as file:
        result = json.load(file)
    with open(arguments.output, "w", encoding="utf-8") as file:
        file.write(draw(result))


if __name__ == "__main__":
    main()
