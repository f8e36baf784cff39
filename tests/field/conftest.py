# SPDX-License-Identifier: MIT
"""What several files of cases from the field need."""

import os
import shutil
import tempfile

import pytest

from support.processes import run

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
    squenv("cache", "clean")
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
