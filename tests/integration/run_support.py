# SPDX-License-Identifier: MIT
"""What the tests of `run` and `shell` have in common."""

import os
import signal

from support.processes import mounts_below, processes_of, wait_for

IMPORT = ["python", "-c", "import probe, sys; print(probe.VALUE, sys.prefix)"]


def expect_import(result, path):
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"42 {path}\n", (result.stdout, result.stderr)


def wait_until_nothing_is_left(work, path):
    """No mount at `path`, no process of the program, no meeting point."""
    wait_for(lambda: not mounts_below(path), f"the end of the mount at {path}")
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of all processes")
    with open("/proc/net/unix", encoding="ascii") as file:
        assert "@squenv/1000/" not in file.read()


def kill_all(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
