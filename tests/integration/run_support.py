# SPDX-License-Identifier: MIT
"""A small real environment, packed, and what the tests of `run` and `shell` do with it."""

import os
import shutil
import signal
import subprocess

import pytest

from support.processes import mounts_below, processes_of, run, wait_for

MODULE = "VALUE = 42\n"


@pytest.fixture(scope="session")
def venv_source(session_dir):
    """An environment of uid 1000 with a module in it, at the path it is made for."""
    path = session_dir / "home" / "project" / "venv"
    path.parent.mkdir(parents=True)
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", path], check=True)
    site = next(path.glob("lib/python3*/site-packages"))
    (site / "probe.py").write_text(MODULE, encoding="ascii")
    subprocess.run([path / "bin" / "python", "-m", "compileall", "-q", site], check=True)
    for at, directories, files in os.walk(session_dir / "home"):
        for name in [".", *directories, *files]:
            os.chown(os.path.join(at, name), 1000, 1000, follow_symlinks=False)
    return path


@pytest.fixture(scope="session")
def venv_image(venv_source, programs, session_dir):
    """The image of it. The environment itself is gone; an empty directory is where it was."""
    image = session_dir / "venv.squashfs"
    result = run([programs / "squenv", "pack", "-q", venv_source, "-o", image])
    assert result.returncode == 0, result.stderr
    shutil.rmtree(venv_source)
    venv_source.mkdir()
    os.chown(venv_source, 1000, 1000)
    return image


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
