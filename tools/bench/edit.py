#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `squenv edit` takes from the end of its command to the new version, beside a full pack.

    tools/bench/edit.py IMAGE [--squenv PROGRAM] [--rounds N] [--user UID] [--work DIR]

The command installs one small package by Debian's pip into the environment of IMAGE. The pack is
of the tree that comes out. In turn, medians, in seconds; the two images are compared once. As root
it drops to UID (default 1000).
"""

import argparse
import glob
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile

PACKAGE = "squenv_bench_package"


def make_wheel(directory):
    """A package of one module, as pip takes it without an index."""
    path = os.path.join(directory, f"{PACKAGE}-1.0-py3-none-any.whl")
    info = f"{PACKAGE}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{PACKAGE}.py", "VALUE = 42\n")
        wheel.writestr(f"{info}/METADATA",
                       f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: bench\n"
                       "Root-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{PACKAGE}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n"
                       f"{info}/RECORD,,\n")
    return path


def pip():
    """It runs from its wheel, so the environment needs none."""
    wheels = glob.glob("/usr/share/python-wheels/pip-*.whl")
    if not wheels:
        raise SystemExit("edit.py: needs pip as a wheel: apt-get install python3-pip-whl")
    return f"{wheels[0]}/pip"


def run(user, *words):
    result = subprocess.run([*user, *words], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True)
    if result.returncode != 0:
        raise SystemExit(f"edit.py: {' '.join(words[:3])} ...: {result.stdout}{result.stderr}")


def edit(user, squenv, image, wheel, stamp):
    """Seconds from the end of pip to the end of the command."""
    install = f"python {pip()} install -q --no-index --no-deps {wheel} && date +%s.%N > {stamp}"
    run(user, squenv, "edit", "-q", image, "--", "sh", "-c", install)
    end = time.time()
    with open(stamp, encoding="ascii") as file:
        return end - float(file.read())


def pack(user, squenv, tree, image):
    begin = time.time()
    run(user, squenv, "pack", "-q", "-f", tree, "-o", image)
    return time.time() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("--squenv", default="build/src/cli/squenv")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--user", type=int, default=1000)
    parser.add_argument("--work", default="/var/tmp", help="where there is room for the tree")
    arguments = parser.parse_args()
    squenv = os.path.abspath(arguments.squenv)
    user = []
    if os.geteuid() == 0:
        user = ["setpriv", "--reuid", str(arguments.user), "--regid", str(arguments.user),
                "--clear-groups", "--", "env", f"HOME={arguments.work}"]
    with tempfile.TemporaryDirectory(prefix="squenv-edit-", dir=arguments.work) as directory:
        if user:
            os.chown(directory, arguments.user, arguments.user)
        wheel = make_wheel(directory)
        old, new, packed, tree, stamp = (os.path.join(directory, name) for name in (
            "old.squashfs", "env.squashfs", "packed.squashfs", "tree", "stamp"))
        shutil.copyfile(arguments.image, old)
        if user:
            os.chown(old, arguments.user, arguments.user)
        samples = {"edit": [], "pack": []}
        for number in range(arguments.rounds):
            shutil.rmtree(f"{new}.versions", ignore_errors=True)
            if os.path.exists(new):
                os.unlink(new)
            os.link(old, new)
            turns = {"edit": lambda: edit(user, squenv, new, wheel, stamp),
                     "pack": lambda: pack(user, squenv, tree, packed)}
            if number == 0:  # the tree comes from the first edit; neither is counted
                turns["edit"]()
                run(user, squenv, "extract", "-q", new, tree)
                turns["pack"]()
                run([], squenv, "diff", new, packed)
                continue
            for name in sorted(turns, reverse=number % 2 == 0):
                samples[name].append(turns[name]())
        medians = {name: statistics.median(values) for name, values in samples.items()}
        for name, median in medians.items():
            low, high = min(samples[name]), max(samples[name])
            print(f"{name:5} {median:6.2f} s  ({low:.2f} to {high:.2f})")
        print(f"edit  {medians['edit'] / medians['pack']:6.2f} of pack")


if __name__ == "__main__":
    main()
