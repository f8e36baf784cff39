#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs one tree with squenv-pack, mksquashfs and gensquashfs in turn and prints medians.

usage: pack.py TREE [ROUNDS] [OUTPUT_DIRECTORY]

Same codec (zstd), level (3) and block size (128 KiB); the tree is read once before, so that it is
in the page cache, and no program has an old image to replace. SQUENV_PACK, MKSQUASHFS and
GENSQUASHFS name other builds; BESIDE names a second squenv-pack to measure too.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import orders  # noqa: E402


def commands(tree, directory):
    image = lambda name: os.path.join(directory, f"bench-{name}.squashfs")
    squenv_pack = lambda name, program: ([program, "-q", "-b", "128K", tree, "-o", image(name)],
                                         image(name))
    beside = os.environ.get("BESIDE")
    return {
        "mksquashfs": ([os.environ.get("MKSQUASHFS", "mksquashfs"), tree, image("mksquashfs"),
                        "-comp", "zstd", "-Xcompression-level", "3", "-b", "128K", "-noappend",
                        "-no-progress", "-quiet"], image("mksquashfs")),
        "gensquashfs": ([os.environ.get("GENSQUASHFS", "gensquashfs"), "-D", tree, "-c", "zstd",
                         "-X", "level=3", "-b", "128K", "-q", "-f", image("gensquashfs")],
                        image("gensquashfs")),
        "squenv-pack": squenv_pack("squenv-pack", os.environ.get("SQUENV_PACK", "squenv-pack")),
        **({"beside": squenv_pack("beside", beside)} if beside else {}),
    }


def measure(command):
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return {"wall s": time.monotonic() - start, "cpu s": usage.ru_utime + usage.ru_stime,
            "peak MiB": usage.ru_maxrss / 1024}


def read_all(tree):
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    while file.read(1 << 20):
                        pass


def main():
    tree = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as directory:
        read_all(tree)
        runs = {name: [] for name in commands(tree, directory)}
        turns = orders.all_orders(commands(tree, directory).items())
        for number in range(rounds):
            for name, (command, image) in turns[number % len(turns)]:
                # Dropping an old image from the page cache takes as long as writing a part of it.
                if os.path.exists(image):
                    os.unlink(image)
                os.sync()
                runs[name].append(measure(command))
        print(f"{'':12} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} {'bytes':>12}"
              f" {'wall ratio':>11}")
        ours = statistics.median(run["wall s"] for run in runs["squenv-pack"])
        for name, (_, image) in commands(tree, directory).items():
            wall, cpu, peak = (statistics.median(run[key] for run in runs[name])
                               for key in ("wall s", "cpu s", "peak MiB"))
            print(f"{name:12} {wall:8.2f} {cpu:8.2f} {peak:9.0f} {os.path.getsize(image):12} "
                  f"{ours / wall:11.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
