# SPDX-License-Identifier: MIT
"""Storage that is slow: a mount of tests/support/slow_storage."""

import contextlib
import os
import subprocess
import sys
import time


@contextlib.contextmanager
def slow_storage(program, source, path, *limits):
    """`source` at `path`; as `image` in it, if it is a file. For `limits` see the program."""
    # libfuse warns of its own default for threads.
    with subprocess.Popen([program, source, path, *map(str, limits)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not os.path.ismount(path):
            if process.poll() is not None:
                sys.exit(f"{os.path.basename(sys.argv[0])}: {program} ended early")
            time.sleep(0.01)
        try:
            yield
        finally:
            unmount(path)


def unmount(path):
    """What used it may have ended just now, and hold it for a moment more."""
    while os.path.ismount(path) and subprocess.run(
            ["umount", path], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        time.sleep(0.1)
