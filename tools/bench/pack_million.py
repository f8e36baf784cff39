#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs 1,000,000 tiny files of the same size and prints wall, CPU and peak memory.

usage: pack_million.py WORK_DIRECTORY [ROUNDS]

The tree, 1,000 directories of 1,000 files of 39 bytes that are all different, is made in the work
directory when it is not there yet, which takes half a minute and 4 GB, and is kept. SYSTEMS names
those to measure (squenv-pack mksquashfs gensquashfs); SQUENV_PACK, MKSQUASHFS and GENSQUASHFS name
other builds. mksquashfs runs without looking for duplicates, because its search compares every file
with every other of the same size.
"""
import os
import statistics
import sys

from pack import measure

DIRECTORIES = 1000
FILES = 1000


def make_tree(tree):
    if os.path.exists(os.path.join(tree, "complete")):
        return
    for directory in range(DIRECTORIES):
        path = os.path.join(tree, f"d{directory:04}")
        os.makedirs(path, exist_ok=True)
        for number in range(FILES):
            file = os.open(os.path.join(path, f"f{number:04}.py"),
                           os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.write(file, b"name = 'directory %04d, file %04d, 1'\n\n" % (directory, number))
            os.close(file)
    with open(os.path.join(tree, "complete"), "wb"):
        pass


def commands(tree, work):
    image = os.path.join(work, "million-bench.squashfs")
    return {
        "squenv-pack": [os.environ.get("SQUENV_PACK", "squenv-pack"), "-q", tree, "-o", image],
        "mksquashfs": [os.environ.get("MKSQUASHFS", "mksquashfs"), tree, image, "-comp", "zstd",
                       "-Xcompression-level", "3", "-b", "256K", "-noappend", "-no-progress",
                       "-quiet", "-no-duplicates"],
        "gensquashfs": [os.environ.get("GENSQUASHFS", "gensquashfs"), "-D", tree, "-c", "zstd",
                        "-X", "level=3", "-b", "256K", "-q", "-f", image],
    }, image


def main():
    work = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    wanted = os.environ.get("SYSTEMS", "squenv-pack mksquashfs gensquashfs").split()
    tree = os.path.join(work, "million-tree")
    make_tree(tree)
    all_commands, image = commands(tree, work)
    print(f"{'':12} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} {'bytes':>12}")
    for name in wanted:
        runs = []
        for _ in range(rounds):
            os.sync()
            if os.path.exists(image):
                os.unlink(image)
            runs.append(measure(all_commands[name]))
        wall, cpu, peak = (statistics.median(run[key] for run in runs)
                           for key in ("wall s", "cpu s", "peak MiB"))
        print(f"{name:12} {wall:8.2f} {cpu:8.2f} {peak:9.0f} {os.path.getsize(image):12}",
              flush=True)
        os.unlink(image)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
