# SPDX-License-Identifier: MIT
"""Unpacked trees that something happens to: cleaners, jobs of root, machines without locks."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from run_support import (
    IMPORT,
    NO_FUSE,
    OWN_FAILURE,
    build_filter,
    expect_import,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support import trees
from support.processes import AS_USER, check, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")

DAY = 24 * 60 * 60
# flock(2) as on a network file system whose server has no locks.
NO_LOCKS = ("LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1), "
            "BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOLCK)")


def entry_in(cache):
    (entry,) = [path for path in cache.iterdir() if path.is_dir() and "." not in path.name]
    return entry


def listed(work):
    return json.loads(work.squenv("cache", "list", "--json").stdout)


def cleaned(work):
    return json.loads(work.squenv("cache", "clean", "--json").stdout)


def delete_one(entry):
    (entry / "tree" / "large").unlink()


def test_files_that_a_cleaner_deleted_come_back(work, cache, venv_image, venv_source):
    expect_import(squenv_run(work, venv_image, IMPORT, "--via", "extract"), venv_source)
    wait_until_nothing_is_left(work, venv_source)
    for path in (entry_in(cache) / "tree").rglob("probe*"):
        path.unlink()
    result = squenv_run(work, venv_image, IMPORT, "--via", "extract")
    expect_import(result, venv_source)
    assert "unpacked into" in result.stderr
    again = squenv_run(work, venv_image, IMPORT, "--via", "extract")
    expect_import(again, venv_source)
    assert again.stderr == ""
    wait_until_nothing_is_left(work, venv_source)


def test_entry_without_its_record_is_listed_and_removed(work, cache, plain_image):
    path = work.directory("free") / "a"
    squenv_run(work, f"{plain_image}:{path}", ["true"], "--via", "extract")
    wait_until_nothing_is_left(work, path)
    (entry_in(cache) / "record").unlink()
    (entry,) = listed(work)
    assert entry["image"] == "" and entry["size_bytes"] > 1_000_000 and not entry["in_use"]
    assert "not known" in work.squenv("cache", "list").stdout
    assert len(cleaned(work)) == 1 and not os.listdir(cache)


@pytest.mark.parametrize("via", ["auto", "userns", "fusermount"])
def test_an_unpacked_image_is_not_mounted_over(via, work, cache, monkeypatch):
    """The link to it goes with the run that made it, while the other one goes on."""
    shelf = work.directory("shelf")
    place, image = shelf / "env", shelf / "env.squashfs"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", place])
    (place / "mark").write_text("seen\n")
    check(["chown", "-R", "1000:1000", place])
    assert work.squenv("pack", "-q", place, "-o", image).returncode == 0
    place.rename(shelf / "original")
    words = ["--", "sh", "-c", f"cat {place}/mark; read line; cat {place}/mark"]
    users = []
    for method in ("extract", via):
        users.append(work.start(work.command("run", "--via", method, image, *words),
                                stdin=subprocess.PIPE))
        first = users[-1].stdout.readline()
        if via == "fusermount" and method == via:
            assert first == b"" and b"is a link to" in users.pop().communicate()[1]
        else:
            assert first == b"seen\n", users[-1].communicate()
    for user in users:
        assert user.communicate(b"\n", timeout=20)[0] == b"seen\n"
        time.sleep(0.3)
    wait_until_nothing_is_left(work, place)


def test_doctor_knows_that_there_is_no_room(work, plain_image, monkeypatch):
    cache = work.directory("small")
    check(["mount", "-t", "tmpfs", "-o", "size=16k,mode=1777", "none", cache])
    try:
        monkeypatch.setenv("SQUENV_CACHE", os.fspath(cache / "cache"))
        place = work.directory("place")
        ran = work.squenv("run", "--via", "extract", "--force", f"{plain_image}:{place}", "--",
                          "true")
        assert ran.returncode == OWN_FAILURE and "the disk has" in ran.stderr, ran.stderr
        told = work.squenv("doctor", plain_image, place).stdout
        line = next(line for line in told.splitlines() if line.split()[:1] == ["extract"])
        assert line.split()[1] == "no:" and "the disk has" in line, told
    finally:
        check(["umount", cache])


def test_clean_can_be_quiet(work, cache, plain_image):
    path = work.directory("free") / "a"
    squenv_run(work, f"{plain_image}:{path}", ["true"], "--via", "extract")
    wait_until_nothing_is_left(work, path)
    result = work.squenv("cache", "clean", "-q")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not os.listdir(cache)


def test_damage_of_a_tree_in_use(work, cache, plain_image):
    """The next user gets a whole one, and so does the first, whose link has the same name."""
    path = work.directory("free") / "a"
    image = f"{plain_image}:{path}"
    first = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    delete_one(entry_in(cache))
    second = squenv_run(work, image, ["ls", path / "large"], "--via", "extract")
    assert second.returncode == 0 and "unpacked into" in second.stderr, second
    assert (path / "large").exists()
    (entry,) = listed(work)
    assert entry["in_use"] and cleaned(work) == []
    assert (path / "large").exists()
    first.kill()
    wait_until_nothing_is_left(work, path)
    assert not os.path.lexists(path)
    assert len(cleaned(work)) == 1 and not os.listdir(cache)


def test_what_a_job_of_root_changes_ends_with_it(work, plain_image, monkeypatch):
    """No mode keeps root from writing."""
    base = Path(tempfile.mkdtemp(prefix="squenv-root-", dir="/tmp"))
    monkeypatch.setenv("SQUENV_CACHE", str(base / "cache"))
    path = base / "venv"
    image = f"{plain_image}:{path}"
    script = f"echo x > {path}/injected && rm -r {path}/package-0 && echo done"
    try:
        result = squenv_run(work, image, ["sh", "-c", script], "--via", "extract", user=False)
        assert result.stdout == "done\n", result.stderr
        wait_until_nothing_is_left(work, path)
        result = squenv_run(work, image, ["ls", path], "--via", "extract", user=False)
        names = result.stdout.split()
        assert "injected" not in names and "package-0" in names, result
        assert "unpacked into" in result.stderr
        wait_until_nothing_is_left(work, path)
        assert work.squenv("cache", "clean", user=False).returncode == 0
        assert not os.listdir(base / "cache")
    finally:
        shutil.rmtree(base)


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="needs systemd-tmpfiles")
def test_cleaner_passes_over_a_tree_in_use(work, cache, plain_image):
    path = work.directory("free") / "a"
    user = work.start(work.command("run", "--via", "extract", f"{plain_image}:{path}", "--",
                                   "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    files = sorted(os.walk(entry_in(cache)))
    rules = work.path / "clean.conf"
    rules.write_text(f"e {cache} - - - 0\n", encoding="ascii")
    run(["systemd-tmpfiles", "--clean", rules])
    assert sorted(os.walk(entry_in(cache))) == files
    user.kill()
    wait_until_nothing_is_left(work, path)


def test_machine_without_locks(work, cache, plain_image):
    words = [*AS_USER, build_filter(work, NO_LOCKS), work.programs / "squenv"]
    free = work.directory("free")
    path = free / "a" / "b"
    image = f"{plain_image}:{path}"
    for note in ["unpacked into", ""]:
        result = run([*words, "run", "--via", "extract", image, "--", "ls", path])
        assert result.returncode == 0 and "large" in result.stdout, result
        assert note in result.stderr and (note or result.stderr == "")
        wait_until_nothing_is_left(work, path)
        wait_for(lambda: not (free / "a").exists(), "the removal of the directories")
    # Whether it is in use cannot be told: for a day it stays.
    clean = [*words, "cache", "clean", "--json"]
    assert json.loads(run(clean).stdout) == []
    record = entry_in(cache) / "record"
    os.utime(record, (record.stat().st_mtime - 2 * DAY,) * 2)
    assert len(json.loads(run(clean).stdout)) == 1 and not os.listdir(cache)


def test_many_unpack_at_once_without_locks(work, cache, plain_image):
    words = [*AS_USER, build_filter(work, NO_LOCKS), work.programs / "squenv"]
    free = work.directory("free")
    users = [work.start([*map(os.fspath, words), "run", "-q", "--via", "extract",
                         f"{plain_image}:{free}/{i}", "--", "ls", f"{free}/{i}"])
             for i in range(6)]
    outputs = {user.communicate(timeout=60)[0] for user in users}
    assert len(outputs) == 1 and b"" not in outputs
    assert len(listed(work)) == 1
    wait_until_nothing_is_left(work, free)


def test_made_mount_point_goes_without_locks(work, plain_image):
    path = work.directory("free") / "a" / "b"
    result = run([*AS_USER, build_filter(work, NO_LOCKS), work.programs / "squenv", "run", "--via",
                  "userns", f"{plain_image}:{path}", "--", "ls", path])
    assert result.returncode == 0 and "large" in result.stdout, result.stderr
    wait_until_nothing_is_left(work, path)
    wait_for(lambda: not (work.path / "free" / "a").exists(), "the removal of the directories")


@pytest.mark.parametrize("place, reason", [("mount -t tmpfs -o ro none {closed}", "Read-only"),
                                           ("true", "Permission denied")],
                         ids=["read-only", "not ours"])
def test_nothing_is_unpacked_without_a_place(place, reason, work, cache, plain_image):
    closed = work.directory("closed", user=False)
    command = quoted(work.command("run", f"{plain_image}:{closed}/a", "--", "true"))
    result = without_namespaces(f"{NO_FUSE}\n{place.format(closed=closed)}\n{command}")
    assert result.returncode == OWN_FAILURE, result
    assert f"{closed}/a: does not exist and cannot be made in {closed}: {reason}" in result.stderr
    assert "something is there" not in result.stderr and "fusermount" in result.stderr
    assert not cache.exists() or not os.listdir(cache)


def test_relative_cache_is_an_error(work, plain_image, monkeypatch):
    monkeypatch.setenv("SQUENV_CACHE", "some/where")
    result = squenv_run(work, f"{plain_image}:{work.directory('free')}/a", ["true"], "--via",
                        "extract")
    assert result.returncode == OWN_FAILURE and "must be an absolute path" in result.stderr
    result = work.squenv("cache", "list")
    assert result.returncode == 2 and "'some/where'" in result.stderr


def test_cache_of_a_second_root_of_a_namespace(work, plain_tree, monkeypatch):
    """Both are user 0, and squenv-0 is the other one's."""
    temporary = work.directory("tmp", user=False)
    temporary.chmod(0o1777)
    (temporary / "squenv-0").mkdir(mode=0o700)
    os.chown(temporary / "squenv-0", 2000, 2000)
    monkeypatch.setenv("TMPDIR", str(temporary))
    # Owners that the namespace does not have are no obstacle either.
    image = trees.mksquashfs(plain_tree, work.path / "foreign", "-force-uid", 70000, "-force-gid",
                             70000)
    own_root = [*AS_USER, "unshare", "--map-root-user", work.programs / "squenv"]
    path = work.directory("free") / "a"
    for note in ["unpacked into", ""]:
        result = run([*own_root, "run", "--via", "extract", f"{image}:{path}", "--", "ls", path])
        assert result.returncode == 0 and "large" in result.stdout, result
        assert note in result.stderr and (note or result.stderr == "")
        wait_until_nothing_is_left(work, path)
    assert sorted(os.listdir(temporary)) == ["squenv-0", "squenv-0-1000"]
    assert check([*own_root, "cache", "clean"]).stdout.count("removed") == 1
