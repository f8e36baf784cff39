#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `squenv run` adds to a command: for the first, which mounts, and for those that join.

    tools/bench/run_cost.py IMAGE [MOUNTPOINT] [--squenv PROGRAM] [--rounds N] [--user UID]

Times /bin/true bare, as the first user of a mount by each method, and beside a run that holds the
mount, in turn; medians, in milliseconds. As root it drops to UID (default 1000).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = ["/bin/true"]
METHODS = ["fusermount", "userns"]


def timed(words):
    start = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return any(line.split(" ")[4] == path for line in file)


def wait_until_gone(path):
    while is_mounted(path):
        time.sleep(0.005)
    # The daemon ends right behind its mount; its processor time is not the next round's.
    time.sleep(0.4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image")
    parser.add_argument("mountpoint", nargs="?")
    parser.add_argument("--squenv", default="build/src/cli/squenv")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--user", type=int, default=1000)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    user = []
    if os.geteuid() == 0:
        user = ["setpriv", "--reuid", str(arguments.user), "--regid", str(arguments.user),
                "--clear-groups", "--"]
    with tempfile.TemporaryDirectory(prefix="squenv-run-cost-") as directory:
        path = arguments.mountpoint or os.path.join(directory, "venv")
        if not arguments.mountpoint:
            os.mkdir(path)
            os.chmod(directory, 0o755)
            if user:
                os.chown(path, arguments.user, arguments.user)
        image = f"{os.path.abspath(arguments.image)}:{path}"
        program = os.path.abspath(arguments.squenv)
        samples = {"bare": []}
        for _ in range(arguments.rounds):
            samples["bare"].append(timed([*user, *COMMAND]))
            for method in METHODS:
                run = [*user, program, "run", "--force", "--via", method, image, "--"]
                samples.setdefault(f"{method} first", []).append(timed([*run, *COMMAND]))
                wait_until_gone(path)
                with subprocess.Popen([*run, "cat"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE) as holder:
                    holder.stdin.write(b"x")
                    holder.stdin.flush()
                    holder.stdout.read(1)
                    time.sleep(0.5)  # the mount is warm, and nobody walks it any more
                    samples.setdefault(f"{method} join", []).append(timed([*run, *COMMAND]))
                    holder.stdin.close()
                wait_until_gone(path)
    bare = statistics.median(samples["bare"])
    for name, values in samples.items():
        median = statistics.median(values)
        print(f"{name:18} {median:7.1f} ms   adds {median - bare:6.1f} ms"
              f"   ({min(values):.1f} to {max(values):.1f})")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(samples), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
