# SPDX-License-Identifier: MIT
"""What several files of cases from the field need."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from run_support import background
from support.processes import end_processes, run, wait_for

OTHER = 2000
AS_OTHER = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", "--"]


@pytest.fixture
def other(work, monkeypatch):
    """Runs the program as another ordinary user, with a cache that is that user's alone."""
    cache = tempfile.mkdtemp(prefix="squenv-other-", dir="/tmp")
    os.chown(cache, OTHER, OTHER)
    monkeypatch.setenv("SQUENV_CACHE", f"{cache}/trees")

    def squenv(*words, **options):
        return run([*AS_OTHER, *work.command(*words, user=False)], **options)
    yield squenv
    try:
        wait_for(lambda: not background(work), "the end of all processes")
        squenv("cache", "clean")
    finally:
        shutil.rmtree(cache)


@pytest.fixture
def roots_cache(monkeypatch):
    """A cache that is root's alone, and left empty."""
    cache = tempfile.mkdtemp(prefix="squenv-root-", dir="/tmp")
    monkeypatch.setenv("SQUENV_CACHE", f"{cache}/trees")
    yield
    shutil.rmtree(cache)


@pytest.fixture
def closed(work):
    """A directory that root alone may enter, with a path in it."""
    path = work.directory("alice", user=False)
    (path / "project" / "venv").mkdir(parents=True)
    path.chmod(0o700)
    return path


@pytest.fixture
def cgroups():
    """cgroup(path): a control group of that path, in the hierarchy of version 2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        roots = [line.split()[4] for line in file if " - cgroup2 " in line]
    if not roots:
        pytest.skip("no control groups of version 2 are mounted here")
    made = []

    def cgroup(path):
        at = Path(roots[0])
        for part in Path(path).parts:
            at /= part
            if at.exists():
                continue
            try:
                at.mkdir()
            except OSError as error:
                pytest.skip(f"no control group can be made here: {error}")
            made.append(at)
        return at

    yield cgroup
    for at in reversed(made):
        members = (at / "cgroup.procs").read_text(encoding="ascii").split()
        end_processes([int(pid) for pid in members])
        wait_for(lambda at=at: gone(at), f"the end of {at}")


def gone(cgroup):
    with contextlib.suppress(OSError):
        cgroup.rmdir()
    return not cgroup.exists()
