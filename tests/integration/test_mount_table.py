# SPDX-License-Identifier: MIT
"""What list, umount and mount find out about the mounts that are there."""

import json
import os
import shutil
import signal

import pytest
from support.processes import AS_USER, check, is_running, mounts_below, run, wait_for

from test_cli import FAILURE, USAGE, assert_refused


def rows_of(work, path, user=True):
    """What `list` says about `path`."""
    result = work.squenv("list", "--json", user=user)
    assert result.returncode == 0, result.stderr
    return [row for row in json.loads(result.stdout) if row["mountpoint"] == str(path)]


@pytest.fixture
def foreign(work, plain_image):
    """A mount of the real squashfuse."""
    program = shutil.which("squashfuse")
    if program is None:
        pytest.skip("squashfuse is not installed")
    path = work.directory("foreign")
    check([program, plain_image, path], user=True)
    wait_for(lambda: mounts_below(path), "the mount")
    yield path
    run(["umount", "-l", path])


def test_list_tells_other_programs_from_dead_mounts(work, foreign):
    (row,) = rows_of(work, foreign)
    assert row["state"] == "unknown" and row["pid"] == 0
    assert "not a mount of squenv" in row["error"]
    assert run(["ls", foreign], user=True).returncode == 0


def test_a_living_mount_of_another_program_stays(work, foreign, plain_image):
    result = work.squenv("mount", plain_image, foreign)
    assert_refused(result, FAILURE, foreign, "already", "squenv umount")
    assert len(mounts_below(foreign)) == 1
    assert work.squenv("umount", foreign).returncode == 0


def test_list_says_when_it_may_not_ask(work, plain_image):
    outer = work.directory("outer")
    mount = work.mount(plain_image, name="outer/mnt")
    outer.chmod(0)
    (row,) = rows_of(work, mount.path)
    outer.chmod(0o755)
    assert row["state"] == "denied" and "Permission denied" in row["error"]
    mount.umount()


def test_root_sees_how_the_mounts_of_users_are(work, plain_image):
    mount = work.mount(plain_image)
    (row,) = rows_of(work, mount.path, user=False)
    assert row == {"mountpoint": str(mount.path), "image": str(plain_image), "state": "ok",
                   "pid": mount.pid}
    assert work.squenv("stats", mount.path, user=False).returncode == 0
    mount.kill(with_keeper=True)
    (row,) = rows_of(work, mount.path, user=False)
    assert row["state"] == "dead"
    again = work.mount(plain_image, user=False)
    assert len(mounts_below(again.path)) == 1
    again.umount()


def test_users_see_their_own_mounts_only(work, plain_image):
    mount = work.mount(plain_image, user=False)
    assert rows_of(work, mount.path) == []
    assert len(rows_of(work, mount.path, user=False)) == 1
    mount.umount()


def test_list_keeps_control_characters_from_the_terminal(work, plain_image):
    mount = work.mount(plain_image, name="new\nline\x1b[31m")
    lines = [line for line in work.squenv("list").stdout.splitlines() if str(work.path) in line]
    assert len(lines) == 1 and "new\\x0aline\\x1b[31m" in lines[0]
    mount.umount()


def test_a_dead_mount_is_replaced_without_a_word(work, plain_image):
    mount = work.mount(plain_image)
    mount.kill(with_keeper=True)
    result = work.squenv("mount", plain_image, mount.path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (row,) = rows_of(work, mount.path)
    assert row["state"] == "ok"
    assert work.squenv("umount", mount.path).returncode == 0


def test_a_type_that_would_hide_the_mount_is_refused(work, plain_image):
    path = work.directory("mnt")
    result = work.squenv("mount", "-o", "subtype=own", plain_image, path)
    assert_refused(result, USAGE, "subtype", "own", "squenv list")
    assert not mounts_below(path)


def test_squashfuse_with_a_type_of_its_own_can_be_unmounted(work, plain_image):
    path = work.directory("mnt")
    result = work.squenv("-o", "subtype=own", plain_image, path, program="squashfuse")
    assert result.returncode == 0, result.stderr
    (entry,) = mounts_below(path)
    assert entry["type"] == "fuse.own"
    assert work.squenv("umount", path).returncode == 0
    assert not mounts_below(path)


def test_umount_from_inside(work, plain_image):
    """A process that only unmounts does not keep the mount busy itself."""
    mount = work.mount(plain_image)
    script = f'cd "$1" && exec {work.programs}/squenv umount .'
    result = run([*AS_USER, "sh", "-c", script, "sh", mount.path])
    assert result.returncode == 0, result.stderr
    mount.wait_until_gone()


def test_log_in_a_directory_that_is_not_there(work, plain_image):
    path = work.directory("mnt")
    log = work.path / "no" / "log"
    result = work.squenv("mount", "--log", log, plain_image, path)
    assert_refused(result, FAILURE, log, "No such file", f"mkdir -p {log.parent}", "--log")
    assert not log.parent.exists() and not mounts_below(path)


def test_relative_log_is_in_the_directory_of_the_caller(work, plain_image):
    path = work.directory("mnt")
    result = work.squenv("mount", "-v", "--log", "log", plain_image, path, cwd=work.path)
    assert result.returncode == 0, result.stderr
    assert work.squenv("umount", path).returncode == 0
    assert (work.path / "log").stat().st_uid == 1000


def test_umount_names_only_what_holds_the_mount(work, plain_image):
    """Neither the daemon, which keeps the covered directory open, nor a process that was in it."""
    path = work.directory("mnt")
    before = work.start([*AS_USER, "sh", "-c", "cd \"$1\" && echo there && exec sleep 60", "sh",
                         path], text=True)
    assert before.stdout.readline() == "there\n"
    mount = work.mount(plain_image)
    holder = work.start([*AS_USER, "sh", "-c", "cd \"$1\" && echo there && exec sleep 60", "sh",
                         path], text=True)
    assert holder.stdout.readline() == "there\n"
    result = work.squenv("umount", path)
    lines = result.stderr.splitlines()
    assert result.returncode == FAILURE and len(lines) == 2, lines
    assert f"process {holder.pid} " in lines[0] and "current directory" in lines[0]
    holder.kill()
    holder.wait()
    mount.umount()
