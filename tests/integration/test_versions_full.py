# SPDX-License-Identifier: MIT
"""A disk that is full: each failure says what and what next, and loses nothing."""

import contextlib
import os

import pytest
from support.processes import check, unmount
from versions_support import Versioned, is_image, lacking, lacking_library

PAGE = 4096
INODES = 40
FULL = "No space left on device; free some space; 'squenv prune' removes old versions"


@pytest.fixture
def env(work):
    """On a disk of 256 KiB."""
    place = work.directory("full")
    check(["mount", "-t", "tmpfs", "-o", f"size=256k,nr_inodes={INODES},mode=755,uid=1000",
           "none", place])
    yield Versioned(work, "full/place")
    unmount(place)


def fill(env):
    """The space that is left."""
    with open(env.directory / "filler", "wb", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while True:
                filler.write(b"\0" * PAGE)


def take_names(env, left):
    """All but `left` of the inodes."""
    free = os.statvfs(env.directory).f_ffree
    for number in range(free - left):
        (env.directory / f"name{number}").touch()


def free_all(env):
    for path in [*env.directory.glob("name*"), *env.directory.glob("filler")]:
        path.unlink()


def fill_log(env):
    """The next line needs another page."""
    with open(env.versions / "log", "a", encoding="ascii") as log:
        log.write(" " * (PAGE - 1 - log.tell()) + "\n")


def assert_full(result, path):
    assert result.returncode == 1, result.stderr
    assert f"{path}: {FULL}\n" in result.stderr, result.stderr


def test_rollback_without_room_for_its_line(env):
    env.made("one", "two", "three")
    fill_log(env)
    fill(env)
    for _ in range(2):
        assert_full(env.squenv("rollback", env.image), env.versions / "log")
        assert env.contents() == {1: "one", 2: "two", 3: "three"}
        assert env.names() == ["1.squashfs", "2.squashfs"]
    assert env.prune("--keep", "2")["removed"] == [1]
    env.rollback()
    assert env.contents() == {2: "two", 3: "three", 4: "two"}


@pytest.mark.parametrize("lost", [["log"], ["log", "lock"]])
def test_prune_makes_room(env, lost):
    """Although it cannot write what it finds into the log."""
    env.made("one", "two", "three")
    for name in lost:
        (env.versions / name).unlink()
    fill(env)
    take_names(env, 0)
    pruned = env.prune("--keep", "1")
    assert pruned["removed"] == [1, 2] and env.names() == []
    assert env.content() == "three"
    free_all(env)
    env.pack("four", "-f")
    assert sorted(env.contents().values()) == ["four", "three"]


@pytest.mark.parametrize("left, missing", [(1, ""), (2, "/lock"), (3, "/log"), (4, "/1.squashfs")])
def test_first_version_without_room_for_a_file(env, left, missing):
    env.pack("one")
    env.write("two")
    take_names(env, left)
    full = env.squenv("pack", env.tree, "-o", env.image, "-f", "--keep")
    assert_full(full, f"{env.versions}{missing}")
    assert env.content() == "one"
    # With --keep a lock or a log may be left, but no empty directory.
    assert env.versions.exists() == (left > 2)
    free_all(env)
    env.pack("two", "-f", "--keep")
    assert list(env.contents().values()) == ["one", "two"]


@pytest.mark.parametrize("left", [0, 1])
def test_edit_without_room_for_its_lock(env, left):
    """An edit that did not begin is no reason to keep versions."""
    env.pack("one")
    take_names(env, left)
    done = env.squenv("edit", env.image, "--", "true")
    assert done.returncode == 125 and FULL in done.stderr, done.stderr
    assert f"{env.versions}" in done.stderr and not env.versions.exists()


def test_copies_without_room(env, work, programs, session_dir):
    """Where there are no links, a rollback needs the room of a version."""
    machine = lacking(lacking_library(programs, session_dir), "NO_LINKS", "NO_EXCHANGE")
    env.made("one", "two", env=machine)
    fill(env)
    done = env.squenv("rollback", env.image, env=machine)
    assert done.returncode == 1 and FULL in done.stderr, done.stderr
    assert str(env.versions) in done.stderr
    assert env.contents() == {1: "one", 2: "two"} and env.names() == ["1.squashfs"]
    assert is_image(env.image)
