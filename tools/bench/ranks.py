#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures ranks that import at once: many on one node, and one on each of many nodes.

    tools/bench/ranks.py ENVIRONMENT IMAGE [--ranks 1,8,32,128] [--code CODE] [--rounds 3]
    tools/bench/ranks.py ENVIRONMENT IMAGE --nodes 1,4,16,64 [--delays 1,5,20] [--rate 1000]

ENVIRONMENT is a virtual environment and IMAGE an image of it. The ranks of a node read from the
directory, squashfuse_ll, the kernel's squashfs and squenv, each of them from storage that counts
what it is asked for. For squenv every rank is a `squenv run`, the first of which mounts; the others
are mounted before. Squenv has a second row, with `--fast-import`, and a third, in a namespace.
Seconds are those of the slowest rank, medians of the rounds, from the moment when all start.

A node of --nodes is a mount of its own, with its own cache of the image, over a store that all
share: every read takes a delay in ms, and all together get --rate MB a second. The table has what
the store adds to the time without delay and limit, measured and by the model of doc/scale.md.
Needs root, for the kernel's mount and to drop its caches.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import setup
from storage import slow_storage, unmount

ROOT = Path(__file__).resolve().parents[2]
# Waits until all are there; the command has nothing to read.
GATE = ["/bin/sh", "-c", 'read line; exec "$@" < /dev/null', "rank"]
# What follows `squenv run` in the rows of squenv. In a namespace, an overlay is above the mount.
RUNS = {"squenv": [], "squenv --fast-import": ["--fast-import"],
        "squenv --via userns": ["--via", "userns"]}
MODELLED = [1, 4, 16, 64, 256, 1000, 10000]


class Store:
    """What the storages of one measurement share: see tests/support/slow_storage.cpp."""

    def __init__(self, path, megabytes_per_second=0.0):
        self.path = path
        self.rate = megabytes_per_second * 1e6
        Path(path).write_bytes(bytes(24))

    def counted(self):
        """(reads, bytes)"""
        return struct.unpack("QQ", Path(self.path).read_bytes()[:16])


def variables_of(options, root, home):
    site = next(Path(options.environment, "lib").glob("python*")).name
    return {"PATH": "/usr/bin:/bin", "HOME": home, "MPLCONFIGDIR": home,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": f"{root}/lib/{site}/site-packages/torch/lib"}


class System:
    """How a node gets at the environment. Made for one measurement on one node."""

    def __init__(self, options, name, place):
        self.options = options
        self.name = name
        self.slow = os.path.join(place, "storage")
        self.root = os.path.join(place, "mount")
        self.daemon = None
        self.source = options.environment if name == "directory" else options.image

    def begin(self):
        """Mounts what has to be there before the ranks."""
        image = os.path.join(self.slow, "image")
        os.makedirs(self.root, exist_ok=True)
        if self.name == "directory":
            self.root = self.slow
        elif self.name == "kernel":
            subprocess.run(["mount", "-o", "loop,ro", "-t", "squashfs", image, self.root],
                           check=True)
        elif self.name == "squashfuse_ll":
            self.daemon = subprocess.Popen(["squashfuse_ll", "-f", image, self.root])
            while not os.path.ismount(self.root):
                time.sleep(0.01)
        else:
            # The programs of the others are in memory when the ranks start.
            subprocess.run([self.options.squenv, "--version"], check=True,
                           stdout=subprocess.DEVNULL)

    def command(self):
        """What a rank runs."""
        python = [f"{self.root}/bin/python", "-c", self.options.code]
        if self.name not in RUNS:
            return python
        return self.run_of(python)

    def run_of(self, words):
        image = os.path.join(self.slow, "image")
        return [self.options.squenv, "run", "-v", "--force", *RUNS[self.name],
                f"{image}:{self.root}", "--", *words]

    def memory(self, stats):
        """Peak of the daemon in bytes, or None."""
        if stats:
            return stats["peak_memory_bytes"]
        if self.daemon is None:
            return None
        text = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024

    def end(self):
        if self.root != self.slow:
            unmount(self.root)
        if self.daemon:
            self.daemon.wait()


class Ranks:
    """Processes that start at once. `errors` receives what they say."""

    def __init__(self, errors):
        self.gate, self.opener = os.pipe()
        self.errors = errors
        self.started = []
        self.holder = None

    def start(self, command, variables=None):
        return subprocess.Popen([*GATE, *command], stdin=self.gate, env=variables,
                                stderr=self.errors)

    def add(self, command, variables):
        self.started.append(self.start(command, variables))

    def hold(self, command):
        """`command` starts with the ranks and runs on after them."""
        self.holder = self.start(command)

    def run(self):
        """Seconds until the last one has ended."""
        time.sleep(0.3 + 0.01 * len(self.started))
        start = time.monotonic()
        os.close(self.opener)
        if any([process.wait() for process in self.started]):
            self.errors.seek(0)
            sys.exit(f"ranks.py: a rank failed: {self.errors.read()}")
        return time.monotonic() - start

    def end(self):
        """Of all that still run."""
        os.close(self.gate)
        for process in [*self.started, *([self.holder] if self.holder else [])]:
            if process.poll() is None:
                process.terminate()
                process.wait()


@contextlib.contextmanager
def ranks_in(work):
    with open(os.path.join(work, "errors"), "w+", encoding="utf-8") as errors:
        ranks = Ranks(errors)
        try:
            yield ranks
        finally:
            ranks.end()


@contextlib.contextmanager
def node(options, name, store, place, delay=0.0):
    """A System on its storage, which is unmounted after the ranks have ended."""
    system = System(options, name, place)
    os.makedirs(system.slow, exist_ok=True)
    with slow_storage(options.storage, system.source, system.slow, delay, store.path, store.rate):
        try:
            yield system
        finally:
            system.end()


def drop_caches():
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")


def stats_of(options, root, user):
    """Asked where `user`, a process that uses the mount, sees it."""
    enter = ["nsenter", "-t", str(user.pid), "-m", "--"]
    result = subprocess.run([*enter, options.squenv, "stats", "--json", root], check=True,
                            capture_output=True)
    return json.loads(result.stdout)


def measure_node(options, name, count, work):
    """`count` ranks on one node."""
    store = Store(os.path.join(work, "store"))
    with node(options, name, store, work) as system, ranks_in(work) as ranks:
        drop_caches()
        system.begin()
        for _ in range(count):
            ranks.add(system.command(), variables_of(options, system.root, work))
        if name in RUNS:
            # Keeps the daemon until it was asked.
            ranks.hold(system.run_of(["sleep", "1000"]))
        row = {"seconds": ranks.run()}
        stats = stats_of(options, system.root, ranks.holder) if ranks.holder else None
        row["memory"] = system.memory(stats)
        row["reads"], row["bytes"] = store.counted()
        if stats:
            ranks.errors.seek(0)
            row["daemons"] = len(re.findall(r" is at .* \(\w+\)", ranks.errors.read()))
            row["decoded"] = stats["caches"]["blocks"]["misses"]
    return row


def measure_nodes(options, name, count, delay, rate, work):
    """One rank on each of `count` nodes: (seconds, reads, bytes) of all."""
    store = Store(os.path.join(work, "store"), rate)
    with contextlib.ExitStack() as stack:
        systems = [stack.enter_context(node(options, name, store,
                                            os.path.join(work, f"node{number}"), delay))
                   for number in range(count)]
        ranks = stack.enter_context(ranks_in(work))
        drop_caches()
        for system in systems:
            system.begin()
            ranks.add(system.command(), variables_of(options, system.root, work))
        return (ranks.run(), *store.counted())


def medians(rows):
    return {key: statistics.median(row[key] for row in rows)
            for key in rows[0] if rows[0][key] is not None}


def print_row(cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def table_of_ranks(options, names, work):
    print_row(["ranks", "system", "slowest, s", "of the kernel", "reads", "MB read", "daemons",
               "blocks decoded", "daemon, MiB"])
    print("|---|---|---|---|---|---|---|---|---|")
    all_rows = []
    for count in numbers(options.ranks, int):
        rows = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names[number % len(names):] + names[:number % len(names)]:
                with tempfile.TemporaryDirectory(dir=work) as place:
                    rows[name].append(measure_node(options, name, count, place))
        kernel = medians(rows["kernel"])["seconds"] if "kernel" in rows else None
        for name, samples in rows.items():
            row = medians(samples)
            all_rows.append({"ranks": count, "system": name, **row})
            print_row([count, name, f"{row['seconds']:.2f}",
                       f"{row['seconds'] / kernel:.2f}" if kernel else "", int(row["reads"]),
                       f"{row['bytes'] / 1e6:.1f}", int(row.get("daemons", 0)) or "",
                       int(row.get("decoded", 0)) or "",
                       f"{row['memory'] / 2**20:.0f}" if "memory" in row else ""])
    return all_rows


class Model:
    """From one node: what it reads, and how many delays follow one another."""

    def __init__(self, alone, delayed, delay):
        self.seconds, self.reads, self.bytes = alone
        self.waits = max(0.0, delayed[0] - alone[0]) / (delay / 1000)

    def added(self, nodes, delay, rate):
        """Seconds that the store adds: the delays of one node, and the bytes of all."""
        return self.waits * delay / 1000 + nodes * self.bytes / (rate * 1e6)


def median_of(options, name, count, delay, rate, work):
    samples = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=work) as place:
            samples.append(measure_nodes(options, name, count, delay, rate, place))
    return [statistics.median(column) for column in zip(*samples)]


def table_of_nodes(options, name, work):
    delays = numbers(options.delays, float)
    longest = max(delays)
    alone = median_of(options, name, 1, 0, 0, work)
    model = Model(alone, median_of(options, name, 1, longest, 0, work), longest)
    print(f"\n{name}: one node needs {model.seconds:.2f} s, reads {model.bytes / 1e6:.1f} MB in "
          f"{model.reads:.0f} reads, and waits {model.waits:.0f} times. The store gives "
          f"{options.rate:.0f} MB/s. Seconds that it adds, measured and by the model:\n")
    print_row(["nodes", *(f"{delay:g} ms" for delay in delays)])
    print("|---|" + "---|" * len(delays))
    rows = []
    counts = numbers(options.nodes, int)
    for count in counts + [more for more in MODELLED if more > max(counts)]:
        cells = [count]
        base = median_of(options, name, count, 0, 0, work)[0] if count in counts else None
        for delay in delays:
            modelled = model.added(count, delay, options.rate)
            measured = None
            if base is not None:
                measured = median_of(options, name, count, delay, options.rate, work)[0] - base
            cells.append(f"{modelled:.1f}" if measured is None
                         else f"{measured:.1f}, {modelled:.1f}")
            rows.append({"nodes": count, "delay_ms": delay, "system": name, "base": base,
                         "measured": measured, "modelled": modelled})
        print_row(cells)
    return rows


def numbers(text, kind):
    return [kind(word) for word in text.split(",")]


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("environment", type=os.path.abspath)
    parser.add_argument("image", type=os.path.abspath)
    parser.add_argument("--ranks", default="1,8,32,128")
    parser.add_argument("--nodes", help="numbers of nodes, instead of the ranks of one")
    parser.add_argument("--delays", default="1,5,20", help="milliseconds of a read of the store")
    parser.add_argument("--rate", type=float, default=1000, help="MB a second of the store")
    parser.add_argument("--code", default=setup.IMPORT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", help="only these, separated by commas")
    parser.add_argument("--squenv", default=str(ROOT / "build" / "src" / "cli" / "squenv"))
    parser.add_argument("--storage", help="the program slow_storage; default: beside squenv")
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args()
    options.squenv = os.path.abspath(options.squenv)
    options.storage = options.storage or str(
        Path(options.squenv).parents[2] / "tests" / "support" / "slow_storage")
    return options


def main():
    options = arguments_of()
    if os.getuid() != 0:
        sys.exit("ranks.py: needs root, for the kernel's mount and to drop caches")
    names = ["directory", "squashfuse_ll", "kernel", *RUNS]
    if shutil.which("squashfuse_ll") is None:
        names.remove("squashfuse_ll")
    if options.systems or options.nodes:
        wanted = (options.systems or "squenv").split(",")
        names = [name for name in names if name in wanted]
    with tempfile.TemporaryDirectory(prefix="squenv-ranks-") as work:
        if options.nodes:
            rows = [row for name in names for row in table_of_nodes(options, name, work)]
        else:
            rows = table_of_ranks(options, names, work)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
