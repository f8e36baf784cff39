#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures starts of programs that squenv was not tuned for, beside the kernel's squashfs.

    tools/bench/programs.py [--rounds 6] [--only NAME,...] [--systems NAME;...]
                            [--work DIR] [--squenv PROGRAM]

The programs are in tools/bench/programs. Each starts from two images of one environment: by `squenv
pack`, and by `squenv pack --warm` of that program. Cold is the first start on a fresh mount of an
image in the page cache, warm the median of the three after it. Systems take turns, in all orders.
A figure is the median, over the rounds, of the ratio to the kernel's squashfs with the same image.
Needs Debian 12 and root; the programs run as an ordinary user.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import mounters
import orders
import rows
import setup

HERE = Path(__file__).resolve().parent
PACKAGES = ["flask", "django", "sphinx", "docutils", "pytest", "sqlalchemy", "aiohttp",
            "hypothesis", "rich", "requests", "click", "jinja2"]
# From the shortest to the longest.
PROGRAMS = ["one_package", "arrays", "document", "web_application", "test_run", "fits",
            "many_packages", "plot", "web_site", "documentation"]
WARM_RUNS = 3
# Columns: (title, system, temperature, largest accepted median over the programs, or None)
COLUMNS = [("cold, recorded", "squenv, recorded", "cold", 0.88),
           ("cold", "squenv", "cold", 0.95),
           ("warm, recorded", "squenv, recorded", "warm", 1.03),
           ("warm", "squenv", "warm", 1.03),
           ("cold, recorded, namespace", "squenv, recorded, namespace", "cold", 0.88),
           ("cold, namespace", "squenv, namespace", "cold", 0.95),
           ("warm, recorded, namespace", "squenv, recorded, namespace", "warm", 1.03),
           ("warm, namespace", "squenv, namespace", "warm", 1.03),
           ("cold, recorded, fast import", "squenv, recorded, fast import", "cold", 0.88),
           ("cold, fast import", "squenv, fast import", "cold", 0.95),
           ("warm, recorded, fast import", "squenv, recorded, fast import", "warm", 1.03),
           ("warm, fast import", "squenv, fast import", "warm", 1.03),
           ("cold, squashfuse_ll", "squashfuse_ll", "cold", None),
           ("warm, squashfuse_ll", "squashfuse_ll", "warm", None)]
LIMIT = 1.08  # of each program


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", help="only these programs, separated by commas")
    parser.add_argument("--systems", help="only these, separated by semicolons; see systems_of()")
    parser.add_argument("--work", default="/var/tmp/squenv-programs", help="where everything is")
    parser.add_argument("--squenv", default=setup.default_binary(), help="squenv-pack is beside it")
    parser.add_argument("--json", metavar="FILE", help="write all samples to this file")
    return parser.parse_args()


class Place:
    """The directory of the measurement, with the environment, the images and the programs."""

    def __init__(self, arguments):
        self.work = Path(arguments.work).resolve()
        self.environment = self.work / "environment"
        self.mountpoint = self.work / "mnt"
        self.home = self.work / "home"
        self.work.mkdir(mode=0o755, exist_ok=True)
        packages = [f"python3-{name}" for name in PACKAGES]
        subprocess.run([HERE / "environment.sh", self.environment, *packages], check=True)
        for directory in (self.mountpoint, self.home):
            directory.mkdir(exist_ok=True)
            os.chown(directory, mounters.USER, mounters.USER)
        # The user must be able to run everything, wherever it was built.
        for name in ("squenv", "squenv-pack"):
            source = Path(arguments.squenv).with_name(name)
            subprocess.run(["install", "-m", "755", source, self.work / name], check=True)
        shutil.copytree(HERE / "programs", self.work / "programs", dirs_exist_ok=True)
        setup.let_users_in("/dev/fuse")
        setup.mount_fusectl()

    def command(self, name, root):
        return [f"{root}/bin/python", str(self.work / "programs" / f"{name}.py")]

    def image(self, name, *options):
        path = self.work / f"{name}.squashfs"
        if not path.exists():
            pack = [self.work / "squenv-pack", "-q", self.environment, "-o", path, *options]
            subprocess.run(pack, check=True, env=self.variables(), stdout=subprocess.DEVNULL)
        return str(path)

    def recorded(self, name):
        return self.image(name, "--warm", shlex.join(self.command(name, self.environment)))

    def variables(self, **more):
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8",
                "MPLCONFIGDIR": str(self.home), "PYTHONDONTWRITEBYTECODE": "1", **more}

    def fast_import(self):
        """The value of PYTHONPATH with `squenv run --fast-import`."""
        run = [self.work / "squenv", "run", "-q", "--force", "--fast-import",
               f"{self.image('plain')}:{self.mountpoint}", "--", "printenv", "PYTHONPATH"]
        output = subprocess.run(mounters.as_user(list(map(str, run))), check=True, text=True,
                                env=self.variables(), stdout=subprocess.PIPE).stdout
        return {"PYTHONPATH": output.strip()}


def systems_of(place, name):
    """{system: (mounter, variables)}"""
    plain, recorded = place.image("plain"), place.recorded(name)
    squenv = str(place.work / "squenv")
    squashfuse = os.environ.get("BENCH_SQUASHFUSE_LL") or shutil.which("squashfuse_ll")

    def kernel(image, at):
        return ["mount", "-o", "loop,ro", "-t", "squashfs", image, at]

    def mount(image, at):
        return [squenv, "mount", "-q", image, at]

    systems = {
        "kernel": (mounters.Mounter("kernel", plain, kernel, True), {}),
        "kernel, recorded": (mounters.Mounter("kernel", recorded, kernel, True), {}),
        "squenv": (mounters.Mounter("squenv", plain, mount), {}),
        "squenv, recorded": (mounters.Mounter("squenv", recorded, mount), {}),
        "squenv, namespace": (mounters.Namespace("squenv", plain, squenv), {}),
        "squenv, recorded, namespace": (mounters.Namespace("squenv", recorded, squenv), {}),
        "squenv, fast import": (mounters.Mounter("squenv", plain, mount), place.fast_import()),
        "squenv, recorded, fast import": (mounters.Mounter("squenv", recorded, mount),
                                          place.fast_import()),
    }
    if squashfuse:
        other = mounters.Mounter("squashfuse_ll", plain, lambda image, at: [squashfuse, image, at])
        systems["squashfuse_ll"] = (other, {})
    return systems


def start(place, name, mounter, more):
    """Seconds that the program takes."""
    command = mounters.as_user(place.command(name, place.mountpoint))
    begin = time.monotonic()
    subprocess.run(command, check=True, cwd=place.home, env=place.variables(**more),
                   preexec_fn=mounter.enter, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure(place, name, system):
    mounter, more = system
    rows.warm_image(mounter.image)
    mounter.mount(str(place.mountpoint))
    try:
        cold = start(place, name, mounter, more)
        warm = statistics.median(start(place, name, mounter, more) for _ in range(WARM_RUNS))
    finally:
        mounter.unmount(str(place.mountpoint))
    return {"cold": cold, "warm": warm}


def ratio(samples, system, temperature):
    """The median over the rounds, or None where the system is not here."""
    if system not in samples:
        return None
    base = "kernel, recorded" if "recorded" in system else "kernel"
    pairs = zip(samples[system][temperature], samples[base][temperature])
    return statistics.median(own / kernel for own, kernel in pairs)


def render(results, rounds):
    columns = [column for column in COLUMNS
               if all(column[1] in samples for samples in results.values())]
    lines = [f"Medians of {rounds} rounds; ratios to the kernel's squashfs with the same image.",
             "",
             f"| program | kernel, cold and warm | {' | '.join(c[0] for c in columns)} |",
             "|---|---|" + "---|" * len(columns)]
    for name, samples in results.items():
        kernel = [statistics.median(samples["kernel"][kind]) for kind in ("cold", "warm")]
        cells = [f"{ratio(samples, column[1], column[2]):.2f}" for column in columns]
        lines.append(f"| {name} | {kernel[0]:.2f} s, {kernel[1]:.2f} s | {' | '.join(cells)} |")
    notes = []
    medians = []
    for title, system, temperature, bar in columns:
        values = {name: ratio(samples, system, temperature) for name, samples in results.items()}
        median = statistics.median(values.values())
        medians.append(f"**{median:.2f}**")
        if bar is None:
            continue
        above = ", ".join(f"{name} {value:.2f}" for name, value in values.items() if value > LIMIT)
        notes.append(f"{title}: median {median:.2f}, bar {bar:.2f} "
                     f"{'met' if median <= bar else 'MISSED'}; above {LIMIT}: {above or 'none'}")
    lines.append(f"| **median** | | {' | '.join(medians)} |")
    return "\n".join([*lines, "", *notes])


def main():
    arguments = arguments_of()
    if os.getuid() != 0:
        sys.exit("programs.py: needs root, for the kernel's own mount")
    names = arguments.only.split(",") if arguments.only else PROGRAMS
    if unknown := set(names) - set(PROGRAMS):
        sys.exit(f"programs.py: no such program: {', '.join(sorted(unknown))}")
    place = Place(arguments)
    systems = {name: systems_of(place, name) for name in names}
    if arguments.systems:
        systems = {name: {key: found[key] for key in arguments.systems.split(";")}
                   for name, found in systems.items()}
    results = {name: {system: {"cold": [], "warm": []} for system in systems[name]}
               for name in names}
    turns = orders.all_orders(list(systems[names[0]]))
    for number in range(arguments.rounds):
        for name in names:
            for system in turns[number % len(turns)]:
                for kind, seconds in measure(place, name, systems[name][system]).items():
                    results[name][system][kind].append(seconds)
        print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n", encoding="ascii")
    print(render(results, arguments.rounds))


if __name__ == "__main__":
    main()
