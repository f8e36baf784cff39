# SPDX-License-Identifier: MIT
"""The rows of the table: what is done to a mount, and how long it takes."""

import dataclasses
import json
import os
import shutil
import subprocess
import time
from typing import Callable

import mounters
import setup


@dataclasses.dataclass
class Row:
    name: str
    run: Callable  # (context) -> seconds
    bars: dict  # temperature -> largest accepted ratio to the kernel


def run_workload(context, *words):
    """Runs the workload program as the user; it times itself."""
    command = mounters.as_user([context.workload, *words])
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout.split()[0])


def timed(command, **options):
    start = time.monotonic()
    subprocess.run(
        mounters.as_user(command), check=True, stdout=subprocess.DEVNULL, **options
    )
    return time.monotonic() - start


def replay(context):
    return run_workload(context, "replay", context.mountpoint, context.replay_list)


def find(context):
    return timed(["find", context.mountpoint])


def read_all(readers):
    return lambda context: run_workload(
        context, "read", context.mountpoint, context.file_list, str(readers)
    )


def sequential(context):
    return run_workload(context, "sequential", context.large_library(context.mountpoint))


def import_command(context):
    python = f"{context.mountpoint}/bin/python"
    return mounters.as_user([python, "-c", setup.IMPORT])


def imports(count):
    def run(context):
        variables = context.python_environment(context.mountpoint)
        start = time.monotonic()
        running = [
            subprocess.Popen(import_command(context), env=variables) for _ in range(count)
        ]
        if any(process.wait() != 0 for process in running):
            raise SystemExit("bench: an import failed")
        return time.monotonic() - start

    return run


ROWS = [
    Row("replay", replay, {"cold": 0.90, "warm": 1.05}),
    Row("import", imports(1), {}),
    Row("find", find, {"cold": 1.10, "warm": 1.05}),
    Row("read-all", read_all(1), {"cold": 0.75, "warm": 1.10}),
    Row("read-all x2", read_all(2), {}),
    Row("sequential", sequential, {}),
    Row("import x8", imports(8), {}),
]


def choose(names):
    if not names:
        return ROWS
    wanted = names.split(",")
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        raise SystemExit(f"bench: no such row: {', '.join(sorted(unknown))}")
    return [row for row in ROWS if row.name in wanted]


def warm_image(path):
    with open(path, "rb") as file:
        while file.read(1 << 22):
            pass


def evict_image(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(row, system, context):
    """One cold and one warm run of `row` on a fresh mount of `system`."""
    (evict_image if context.is_evicted else warm_image)(system.image)
    mount_seconds = system.mount(context.mountpoint)
    try:
        yield "cold", row.run(context)
        yield "warm", row.run(context)
    finally:
        system.unmount(context.mountpoint)
    yield "mount", mount_seconds


def memory(systems, context):
    """Resident bytes of all processes of each mount, after four readers have read everything.

    What processes share is counted once.
    """
    found = {}
    for system in systems:
        if system.is_privileged:
            continue
        system.mount(context.mountpoint)
        try:
            read_all(4)(context)
            found[system.name] = sum(map(resident_bytes, system.processes(context.mountpoint)))
        finally:
            system.unmount(context.mountpoint)
    return found


def resident_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


def million_image(context):
    """An image of 1,000,000 empty files in 1,000 directories."""
    target = os.path.join(context.work, "million.squashfs")
    if os.path.exists(target):
        return target
    tree = os.path.join(context.work, "million")
    for directory in range(1000):
        path = os.path.join(tree, f"d{directory:04}")
        os.makedirs(path, exist_ok=True)
        for number in range(1000):
            with open(os.path.join(path, f"f{number:04}"), "wb"):
                pass
    subprocess.run(
        ["mksquashfs", tree, target, "-comp", "zstd", "-Xcompression-level", "3", "-noappend",
         "-quiet", "-no-progress", "-no-duplicates"],
        check=True,
    )  # fmt: skip
    shutil.rmtree(tree)
    return target


def measure_million(systems, context):
    """Seconds to mount, to find, and to find with a stat of each file: once each, because some
    systems take minutes."""
    image = million_image(context)
    results = {}
    for system in systems:
        if system.name not in ("kernel", "squenv"):
            continue
        million = mounters.Mounter(
            system.name, image, system.mount_command, system.is_privileged
        )
        warm_image(image)
        mount_seconds = million.mount(context.mountpoint)
        try:
            results[system.name] = {"mount": mount_seconds, "find": find(context)}
        finally:
            million.unmount(context.mountpoint)
        million.mount(context.mountpoint)
        try:
            stat = ["find", context.mountpoint, "-printf", "%s\\n"]
            results[system.name]["find with stat"] = timed(stat)
        finally:
            million.unmount(context.mountpoint)
    return results


def request_counts(context, mountpoint):
    """The live counters of a squenv mount."""
    command = mounters.as_user([context.squenv, "stats", "--json", mountpoint])
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
