# SPDX-License-Identifier: MIT
"""doctor takes the steps of run: both come to the same."""

import os
import re
import shutil
import subprocess

import pytest

from run_support import (
    NO_FUSE,
    NO_WAY,
    OWN_FAILURE,
    entries_of,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support.processes import AS_USER, mounts_below, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")


def agree(work, image, path, run_one=run):
    """What both come to: the exit status of the run."""
    ran = run_one(work.command("run", f"{image}:{path}", "--", "true"))
    told = run_one(work.command("doctor", image, path))
    assert told.returncode == (0 if ran.returncode == 0 else NO_WAY), (ran, told)
    return ran.returncode


def in_poverty(command):
    return without_namespaces(f"{NO_FUSE}\n{quoted(command)}")


def test_doctor_agrees_where_run_works(work, cache, closed, plain_image):
    free = work.directory("free")
    full = work.directory("full")
    (full / "file").touch()
    for path in [free, full, free / "new" / "er", closed / "project" / "venv",
                 "/opt/squenv-test/v", "/squenv-test/v"]:
        assert agree(work, plain_image, path) == 0
        wait_for(lambda path=path: not mounts_below(path), "the end of the mount")
    assert agree(work, plain_image, free / "new" / "er", in_poverty) == 0
    wait_for(lambda: not (free / "new").exists(), "the removal of the directories")


def test_doctor_agrees_where_run_fails(work, cache, closed, plain_image):
    file = work.path / "file"
    file.touch()
    empty = work.directory("empty")
    for path in [file, file / "below", "/proc/x", "/"]:
        assert agree(work, plain_image, path) == OWN_FAILURE
    for path in [closed / "project" / "venv", "/opt/squenv-test/v", empty]:
        assert agree(work, plain_image, path, in_poverty) == OWN_FAILURE
    assert os.listdir(empty) == []


def test_doctor_of_an_image_without_a_path(work, plain_image):
    result = work.squenv("doctor", plain_image)
    assert result.returncode == NO_WAY and "records no path" in result.stdout
    assert squenv_run(work, plain_image, ["true"]).returncode == OWN_FAILURE


def test_doctor_leaves_nothing_at_the_path(work, cache, plain_image):
    path = work.directory("free") / "a" / "b"
    for place in [path, path.parent.parent]:
        assert work.squenv("doctor", plain_image, place).returncode == 0
        assert not mounts_below(place) and not path.parent.exists()
    assert not cache.exists()


def test_doctor_beside_a_run(work, plain_image):
    place = work.directory("place")
    user = work.start(work.command("run", f"{plain_image}:{place}", "--", "sh", "-c",
                                   f"echo; read line; ls {place} | wc -l"),
                      stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"\n"
    result = work.squenv("doctor", plain_image, place)
    assert result.returncode == 0 and "joins the mount" in result.stdout, result.stdout
    output, _ = user.communicate(b"\n", timeout=20)
    assert int(output) == entries_of(work, plain_image)
    wait_until_nothing_is_left(work, place)


# Source: python-poetry/poetry#8825, BOINC/boinc#1563.
def test_doctor_tries_the_lock_of_the_cache(work, cache, plain_image):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    inject = [*AS_USER, strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e",
              "inject=flock:error=ENOLCK"]
    result = run([*inject, *work.command("doctor", user=False)])
    if "ptrace" in result.stderr:
        pytest.skip("strace is not permitted here")
    assert re.search(r"ok +cache without locks .*cannot be locked", result.stdout), result.stdout
    assert re.search(r"extract +yes", result.stdout)


@pytest.mark.parametrize("place", ["mount -t tmpfs -o ro none {parent}", "true"],
                         ids=["read-only", "not ours"])
def test_doctor_says_why_a_path_cannot_be_made(place, work, cache, plain_image):
    """Where nothing is, nothing is in the way."""
    parent = work.directory("parent", user=False)
    words = quoted(work.command("doctor", plain_image, parent / "a"))
    result = without_namespaces(f"{NO_FUSE}\n{place.format(parent=parent)}\n{words}")
    assert result.returncode == NO_WAY and "cannot be made" in result.stdout, result
    assert "something is there" not in result.stdout
