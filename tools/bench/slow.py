#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures an import on storage that takes some time for every operation.

    tools/bench/slow.py ENVIRONMENT RECORDED PLAIN [--code CODE] [--delays 0,1,5,20] [--rounds 3]
                        [--stall 2000/50] [--rate 200]

ENVIRONMENT is a virtual environment, RECORDED an image of it that `pack --warm` made for CODE, and
PLAIN one by mksquashfs. The directory, the kernel's squashfs, squashfuse_ll and squenv read from
tests/support/slow_storage, in all orders; each import is the first after a mount, with nothing in
the page cache. With --stall, one in 50 operations takes 2,000 ms. With --rate, the storage sends
200 MB a second, and the kernel keeps what it has got of an image. Medians in seconds. Needs root,
for the kernel's mount and to drop its caches.
"""

import argparse
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import setup
from storage import slow_storage

ROOT = Path(__file__).resolve().parents[2]
COLORS = {"directory": "#b0b0b0", "kernel": "#cc3333", "squashfuse_ll": "#7fa66b",
          "squenv": "#8fb3d5", "squenv, recorded": "#3b76af"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 720, 340, 50, 30, 50, 130
LABELS_BELOW = ("kernel", "squenv, recorded")  # the lines above these come close


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("environment")
    parser.add_argument("recorded")
    parser.add_argument("plain")
    parser.add_argument("--code", default=setup.IMPORT)
    parser.add_argument("--delays", default="0,1,5,20", help="milliseconds per operation")
    parser.add_argument("--stall", help="MILLISECONDS/EVERY")
    parser.add_argument("--rate", type=float, help="MB a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--squenv", default=str(ROOT / "build" / "src" / "cli" / "squenv"))
    parser.add_argument("--storage", help="the program slow_storage; default: beside squenv")
    parser.add_argument("--systems", help="only these, separated by semicolons")
    parser.add_argument("--json", help="write all samples to this file")
    parser.add_argument("--picture", help="write an SVG to this file")
    return parser.parse_args()


def commands(options):
    """{system: (source of the storage, command that mounts, or None for a directory)}"""
    loop = ["mount", "-o", "loop,ro", "-t", "squashfs"]
    squenv = [options.squenv, "mount", "-q"]
    systems = {"directory": (options.environment, None), "kernel": (options.plain, loop)}
    if shutil.which("squashfuse_ll"):
        systems["squashfuse_ll"] = (options.plain, ["squashfuse_ll"])
    systems["squenv"] = (options.plain, squenv)
    systems["squenv, recorded"] = (options.recorded, squenv)
    if options.systems:
        wanted = options.systems.split(";")
        systems = {name: system for name, system in systems.items() if name in wanted}
    return systems


def measure(options, system, delay, work):
    """Seconds from the mount to the end of the import."""
    source, command = system
    slow, path = os.path.join(work, "slow"), os.path.join(work, "mount")
    limits = [",".join([delay, *options.stall.split("/")]) if options.stall else delay]
    if options.rate:
        store = Path(work, "store")
        store.write_bytes(bytes(24))
        limits += [store, options.rate * 1e6]
    with slow_storage(options.storage, source, slow, *limits):
        subprocess.run(["sync"], check=True)
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
        start = time.monotonic()
        if command:
            subprocess.run([*command, os.path.join(slow, "image"), path], check=True)
        root = path if command else slow
        site = next(Path(root, "lib").glob("python*")) / "site-packages"
        variables = {"PATH": "/usr/bin:/bin", "HOME": work, "PYTHONDONTWRITEBYTECODE": "1",
                     "LD_LIBRARY_PATH": str(site / "torch" / "lib")}
        subprocess.run([f"{root}/bin/python", "-c", options.code], check=True, env=variables)
        seconds = time.monotonic() - start
        while command and subprocess.run(["umount", path], check=False).returncode != 0:
            time.sleep(0.1)
    return seconds


def draw(rows, delays):
    """Seconds of the import over the delay, both logarithmic; delay 0 is left out."""
    delays = [delay for delay in delays if float(delay) > 0]
    values = [row[delay] for row in rows.values() for delay in delays if delay in row]
    least, most = min(values) * 0.8, max(values) * 1.2

    def across(delay):
        if len(delays) == 1:
            return LEFT
        return LEFT + (WIDTH - LEFT - RIGHT) * delays.index(delay) / (len(delays) - 1)

    def up(seconds):
        return TOP + (HEIGHT - TOP - BOTTOM) * (
            1 - math.log(seconds / least) / math.log(most / least))

    body = [f'<text x="{LEFT}" y="14">seconds of an import, by the delay of every operation</text>']
    for delay in delays:
        body.append(f'<text x="{across(delay) - 12:.0f}" y="{HEIGHT - BOTTOM + 34}">'
                    f"{delay} ms</text>")
    for name, row in rows.items():
        points = [(across(delay), up(row[delay])) for delay in delays if delay in row]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{line}" fill="none" stroke="{COLORS[name]}" '
                    'stroke-width="2"/>')
        shift = 16 if name in LABELS_BELOW else -6
        for (x, y), delay in zip(points, delays):
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS[name]}"/>'
                        f'<text x="{x - 10:.1f}" y="{y + shift:.1f}">{row[delay]:.1f}</text>')
        body.append(f'<text x="{points[-1][0] + 12:.1f}" y="{points[-1][1] + 4:.1f}">{name}</text>')
    return ('<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
            "<style>text{font:12px system-ui,sans-serif;fill:#333}</style>\n"
            + "\n".join(body) + "\n</svg>\n")


def main():
    options = arguments_of()
    if os.getuid() != 0:
        sys.exit("slow.py: needs root, for the kernel's mount and to drop caches")
    options.storage = options.storage or str(
        Path(options.squenv).parents[2] / "tests" / "support" / "slow_storage")
    systems = commands(options)
    delays = options.delays.split(",")
    samples = {name: {delay: [] for delay in delays} for name in systems}
    orders = list(itertools.permutations(systems))
    with tempfile.TemporaryDirectory(prefix="squenv-slow-") as work:
        os.mkdir(os.path.join(work, "slow"))
        os.mkdir(os.path.join(work, "mount"))
        for number in range(options.rounds):
            for delay in delays:
                for name in orders[number * 17 % len(orders)]:
                    samples[name][delay].append(measure(options, systems[name], delay, work))
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    rows = {name: {delay: statistics.median(seconds) for delay, seconds in row.items()}
            for name, row in samples.items()}
    print(f"| seconds | {' | '.join(delay + ' ms' for delay in delays)} |")
    print("|---|" + "---|" * len(delays))
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{row[delay]:.2f}' for delay in delays)} |")
    if options.json:
        Path(options.json).write_text(json.dumps(samples, indent=2) + "\n", encoding="utf-8")
    if options.picture:
        Path(options.picture).write_text(draw(rows, delays), encoding="utf-8")


if __name__ == "__main__":
    main()
