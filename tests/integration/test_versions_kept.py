# SPDX-License-Identifier: MIT
"""No version is lost: processes that are killed, machines that lack something, other users."""

import os
import shutil
import signal
import stat
import struct
import subprocess

import pytest

from support.processes import check
from versions_support import (GROUP, ONE, OTHER, Versioned, in_parallel, is_image,
                              lacking, lacking_library, run_as)

STRESS = bool(os.environ.get("SQUENV_STRESS"))
LACKS = [[], ["NO_LINKS"], ["NO_LINKS", "NO_EXCHANGE"]]
NAMES = ["links", "exchange", "copies"]
ACL = "system.posix_acl_access"
NO_ID = 0xFFFFFFFF


@pytest.fixture
def three(work):
    return Versioned(work).made("one", "two", "three")


@pytest.fixture(scope="session")
def library(programs, session_dir):
    return lacking_library(programs, session_dir)


@pytest.mark.parametrize("lacks", LACKS + [["NO_LOCKS", *lacks] for lacks in LACKS])
def test_file_systems_that_lack_something(work, library, lacks):
    env = Versioned(work)
    machine = lacking(library, *lacks)
    env.made("one", "two", "three", env=machine)
    times = {number: os.stat(env.versions / f"{number}.squashfs").st_mtime_ns for number in (1, 2)}
    env.rollback(env=machine)
    env.rollback("--to", "1", env=machine)
    assert env.contents() == {1: "one", 2: "two", 3: "three", 4: "two", 5: "one"}
    assert env.names() == [f"{number}.squashfs" for number in (1, 2, 3, 4)]
    assert env.content() == "one" and stat.S_IMODE(os.stat(env.image).st_mode) == 0o644
    # Copies, too, are told by their time.
    assert os.stat(env.versions / "4.squashfs").st_mtime_ns == times[2]
    assert env.prune("--keep", "2", env=machine)["removed"] == [1, 2, 3]


def check_after_kill(three, before, new):
    """The old or the new version is there, whole, and the next commands put the rest in order."""
    assert is_image(three.image)
    now = three.content()
    assert now in (before[max(before)], new)
    after = three.contents()
    assert {number: after[number] for number in before} == before
    three.rollback("--to", "1")
    settled = three.contents()
    assert three.content() == "one" and three.current()["number"] == max(settled)
    assert set(after.items()) <= set(settled.items())
    assert {number: settled[number] for number in before} == before
    assert [name for name in three.names() if not name.endswith(".squashfs")] == []
    assert {line["number"] for line in three.log()} >= set(settled)
    # Nothing but what was current by then: no version twice.
    assert sorted(settled.values()).count(new) <= 1 + list(before.values()).count(new)


@pytest.mark.parametrize("lacks", LACKS, ids=NAMES)
@pytest.mark.parametrize("verb", ["rollback", "pack"])
def test_killed_before_any_change(work, library, verb, lacks):
    """SIGKILL before each call by which a directory or a file changes, one after the other."""
    template = Versioned(work, "template").made("one", "two", "three")
    template.write("four")
    words = ["pack", "-q", "tree", "-o", "env.squashfs", "-f"]
    if verb == "rollback":
        words = ["rollback", "-q", "env.squashfs", "--to", "2"]
    kills = 0
    for call in range(1, 60):
        shutil.rmtree(work.path / "place", ignore_errors=True)
        check(["cp", "-a", template.directory, work.path / "place"])
        three = Versioned.__new__(Versioned)
        three.__dict__.update(template.__dict__)
        for name in ("directory", "image", "versions", "tree"):
            here = str(getattr(template, name)).replace("/template", "/place", 1)
            setattr(three, name, type(template.image)(here))
        before = {1: "one", 2: "two", 3: "three"}
        machine = lacking(library, *lacks, KILL_AT=str(call))
        done = three.squenv(*words, env=machine, cwd=three.directory)
        if done.returncode == 0:
            break
        kills += 1
        assert done.returncode in (128 + signal.SIGKILL, -signal.SIGKILL), done.stderr
        check_after_kill(three, before, "two" if verb == "rollback" else "four")
    assert 5 <= kills < 58


@pytest.mark.parametrize("lacks", [["NO_LOCKS"], []], ids=["no locks", "locks"])
def test_file_of_a_process_at_work(three, library, lacks):
    """Between an exchange and the name of the old version. Without locks that is left alone."""
    os.rename(three.versions / "2.squashfs", three.versions / "3.incoming")
    machine = lacking(library, *lacks)
    pruned = three.prune("--keep", "1", env=machine)
    if lacks:
        assert pruned["removed"] == [1] and pruned["left"] == [2, 3]
        assert pruned["spared"] == [{"number": 2, "reason": "in use"}]
        three.rollback(env=machine)
        assert three.content() == "two"
        assert three.names() == ["3.incoming", "3.squashfs"]
    else:
        assert pruned["removed"] == [1, 2] and three.names() == []


@pytest.mark.parametrize("lacks", [[], ["NO_LOCKS", "NO_LINKS"]], ids=["locks", "no locks"])
def test_rollbacks_and_prunes_at_once(three, library, lacks):
    """They move and remove each other's files."""
    words = [["rollback", "-q", three.image], ["prune", "-q", three.image, "--keep", "2"]]
    in_parallel([three.work.command(*words[number % 3 == 2]) for number in range(24)],
                env=lacking(library, *lacks))
    assert three.content() in ("one", "two", "three")
    assert [name for name in three.names() if not name.endswith(".squashfs")] == []


def test_killed_at_any_moment(three):
    """By the clock, too: what is between the calls."""
    for moment in range(50 if STRESS else 12):
        newest = max(three.numbers())
        number = newest - 1 if moment % 2 else newest
        options = ["--to", str(number)] if number != three.current()["number"] else []
        process = three.work.start(three.work.command("rollback", three.image, *options))
        try:
            process.wait(timeout=0.0005 * (1 + moment % 20))
        except subprocess.TimeoutExpired:
            process.kill()
        assert is_image(three.image) and three.content() in ("one", "two", "three")
    three.rollback("--to", "1")
    assert three.content() == "one"
    assert {1: "one", 2: "two", 3: "three"}.items() <= three.contents().items()
    assert [name for name in three.names() if not name.endswith(".squashfs")] == []


@pytest.mark.parametrize("lacks", [[], ["NO_LOCKS"], ["NO_LOCKS", "NO_LINKS"]],
                         ids=["locks", "no locks", "no locks and links"])
def test_many_publish_at_once(three, library, lacks):
    trees = []
    for number in range(8):
        tree = three.directory / f"tree{number}"
        tree.mkdir()
        (tree / "v").write_text(f"{number}\n", encoding="ascii")
        trees.append(tree)
    in_parallel([three.work.command("pack", "-q", tree, "-o", three.image, "-f")
                 for tree in trees], env=lacking(library, *lacks))
    contents = three.contents()
    assert sorted(contents.values()) == [*"01234567", "one", "three", "two"]
    assert len(contents) == 11 and three.content() == contents[three.current()["number"]]
    assert [name for name in three.names() if not name.endswith(".squashfs")] == []


def test_file_in_the_way_of_the_current_version(three, library):
    """Where only an exchange tells what is replaced, that gets a number which nothing else has."""
    shutil.copy2(three.versions / "1.squashfs", three.versions / "3.squashfs")
    three.pack("four", "-f", env=lacking(library, "NO_LOCKS"))
    assert three.contents() == {1: "one", 2: "two", 3: "one", 4: "four", 5: "three"}
    assert three.content() == "four"


def test_directory_that_is_read_only(three):
    os.chmod(three.versions, 0o555)
    before = sorted(os.listdir(three.directory))
    three.write("four")
    done = three.squenv("pack", three.tree, "-o", three.image, "-f")
    assert done.returncode == 1 and "env.squashfs.versions: Permission denied; ask" in done.stderr
    for words in (["rollback"], ["prune", "--keep", "1"]):
        done = three.squenv(words[0], three.image, *words[1:])
        assert done.returncode == 1 and "env.squashfs.versions/" in done.stderr
        assert "Permission denied" in done.stderr
    assert three.contents() == {1: "one", 2: "two", 3: "three"}
    assert sorted(os.listdir(three.directory)) == before
    os.chmod(three.versions, 0o755)


def test_file_system_that_is_read_only(three):
    """History and versions need no write access."""
    check(["mount", "--bind", three.directory, three.directory])
    try:
        check(["mount", "-o", "remount,bind,ro", three.directory])
        assert three.contents() == {1: "one", 2: "two", 3: "three"}
        done = three.squenv("rollback", three.image, user=False)
        assert done.returncode == 1 and "Read-only file system" in done.stderr
    finally:
        check(["umount", three.directory])


def test_no_space(work):
    """What does not fit changes nothing."""
    place = work.directory("full")
    check(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755,uid=1000", "none", place])
    try:
        env = Versioned(work, "full/place").made("one", "two")
        with open(env.directory / "filler", "wb", buffering=0) as filler:
            with pytest.raises(OSError, match="No space"):
                for _ in range(64):
                    filler.write(b"\0" * 4096)
        env.write("three")
        assert env.squenv("pack", env.tree, "-o", env.image, "-f").returncode == 1
        assert env.contents() == {1: "one", 2: "two"}
        assert env.names() == ["1.squashfs"]
    finally:
        check(["umount", place])


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_directory_of_one_user(work, umask):
    env = Versioned(work).made("one", "two", umask=umask)
    assert stat.S_IMODE(os.stat(env.versions).st_mode) == 0o755
    assert stat.S_IMODE(os.stat(env.image).st_mode) == 0o666 & ~umask
    log = stat.S_IMODE(os.stat(env.versions / "log").st_mode)
    # Who may read the image may read what is said of it; only its owner writes.
    assert log == 0o600 | 0o044 & ~umask


@pytest.mark.parametrize("umasks", [(0o077, 0o077), (0o002, 0o077), (0o077, 0o002),
                                    (0o002, 0o002), (0o022, 0o022)])
@pytest.mark.parametrize("mode", [0o2775, 0o770])
def test_directory_of_a_group(work, umasks, mode):
    """Two users publish, roll back and prune, whatever their umask."""
    env = Versioned(work)
    os.chown(env.directory, ONE, GROUP)
    os.chmod(env.directory, mode)

    def by(uid, *words, umask):
        done = run_as(uid, [work.programs / "squenv", *words], umask, groups=[GROUP])
        assert done.returncode == 0, (uid, done.stderr)
        return done

    for text, uid in (("one", ONE), ("two", OTHER), ("three", ONE), ("four", OTHER)):
        env.write(text)
        umask = umasks[uid == OTHER]
        by(uid, "pack", "-q", env.tree, "-o", env.image, "-f", "--keep", umask=umask)
        os.chmod(env.tree, 0o755)
    info = os.stat(env.versions)
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (mode, GROUP)
    assert env.contents(user=False) == {1: "one", 2: "two", 3: "three", 4: "four"}
    by(ONE, "history", env.image, "--pin", "2", umask=umasks[0])
    by(OTHER, "prune", env.image, "--keep", "2", umask=umasks[1])
    assert env.numbers(user=False) == [2, 3, 4]
    assert all(name.endswith(".squashfs") for name in env.names())


def test_killed_in_a_directory_of_a_group(work, library):
    """A process that dies just before any change leaves the directory open to the group."""
    template = work.directory("template")
    (template / "tree").mkdir()
    (template / "tree" / "v").write_text("text")
    words = [work.programs / "squenv", "pack", "-q", "tree", "-o", "env.squashfs", "-f", "--keep"]
    kills = 0
    for call in range(1, 60):
        place = work.path / f"place{call}"
        check(["cp", "-a", template, place])
        os.chown(place, ONE, GROUP)
        os.chmod(place, 0o2775)
        assert run_as(OTHER, words[:-1], groups=[GROUP], cwd=place).returncode == 0
        killed = run_as(ONE, words, 0o077, groups=[GROUP], cwd=place,
                        env=lacking(library, KILL_AT=str(call)))
        done = run_as(OTHER, words, groups=[GROUP], cwd=place)
        assert done.returncode == 0, (call, done.stderr)
        if killed.returncode == 0:
            break
        kills += 1
    assert 5 <= kills < 58


def test_rollback_of_another_users_version(work):
    """Its file cannot have a second name, and its rights cannot be changed: it is copied."""
    env = Versioned(work)
    os.chown(env.directory, ONE, GROUP)
    os.chmod(env.directory, 0o2775)
    for text, uid in (("one", ONE), ("two", OTHER)):
        env.write(text)
        done = run_as(uid, [work.programs / "squenv", "pack", "-q", env.tree, "-o", env.image,
                            "-f", "--keep"], groups=[GROUP])
        assert done.returncode == 0, done.stderr
    done = run_as(OTHER, [work.programs / "squenv", "rollback", env.image], groups=[GROUP])
    assert done.returncode == 0, done.stderr
    assert env.contents(user=False) == {1: "one", 2: "two", 3: "one"}
    assert os.stat(env.image).st_uid == OTHER
    assert os.stat(env.versions / "1.squashfs").st_uid == ONE


def acl_for(user):
    entries = [(1, 6, NO_ID), (2, 4, user), (4, 0, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_access_rights_pass_on(work):
    env = Versioned(work).made("one")
    os.chown(env.image, ONE, GROUP)
    os.chmod(env.image, 0o640)
    env.pack("two", "-f", user=False)
    info = os.stat(env.image)
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o640, GROUP)
    try:
        os.setxattr(env.image, ACL, acl_for(31000))
    except OSError as error:
        pytest.skip(f"no ACLs here: {error}")
    env.pack("three", "-f", user=False)
    assert os.getxattr(env.image, ACL) == acl_for(31000)
    env.rollback("--to", "1", user=False)
    info = os.stat(env.image)
    assert os.getxattr(env.image, ACL) == acl_for(31000) and info.st_gid == GROUP
    assert env.content(user=False) == "one"


def test_rights_taken_away_stay_away(three):
    """A rollback opens an image to no one who could not read the current one."""
    os.chmod(three.image, 0o600)
    three.rollback("--to", "1")
    assert stat.S_IMODE(os.stat(three.image).st_mode) == 0o600


def test_directory_for_all(work):
    """In a directory with a sticky bit the versions are the user's alone."""
    env = Versioned(work)
    os.chmod(env.directory, 0o1777)
    env.made("one", "two")
    assert stat.S_IMODE(os.stat(env.versions).st_mode) == 0o755


def test_prune_removes_nothing_while_the_image_is_missing(three):
    """The old versions are all there is."""
    three.image.unlink()
    for options in [[], ["--keep", "1"], ["--keep", "1", "--dry-run"]]:
        done = three.squenv("prune", *options, three.image)
        assert done.returncode == 1 and "squenv rollback" in done.stderr, done.stderr
    assert three.numbers() == [1, 2]
    assert three.squenv("rollback", three.image).returncode == 0
    assert three.content() == "two"
