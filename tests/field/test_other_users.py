# SPDX-License-Identifier: MIT
"""Paths at which another user has a mount."""

import os
import re

import pytest

from run_support import OWN_FAILURE, counted, entries_of, squenv_run, wait_until_nothing_is_left
from support.processes import check, mounts_below

pytestmark = pytest.mark.usefixtures("settled")


@pytest.fixture
def taken(work, plain_image):
    """A path at which uid 1000 has the image mounted."""
    place = work.directory("taken")
    holder = work.start(work.command("run", "--via", "fusermount", f"{plain_image}:{place}", "--",
                                     "sh", "-c", "echo; exec sleep 1000"))
    assert holder.stdout.readline() == b"\n"
    yield place
    holder.kill()
    wait_until_nothing_is_left(work, place)


@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
def test_two_users_of_one_path(options, work, other, taken, plain_image):
    with pytest.raises(PermissionError):
        # FUSE lets no other user look at it, root included.
        os.stat(taken / "x")
    result = other("run", "-v", *options, f"{plain_image}:{taken}", "--", *counted(taken))
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result
    assert f"({'extract' if 'extract' in options else 'userns'})" in result.stderr


@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
def test_recorded_path_at_which_another_has_unpacked(options, work, other):
    """A link is there, into a cache that this user may not enter."""
    shelf = work.directory("shelf")
    shelf.chmod(0o1777)
    place, image = shelf / "env", shelf / "env.squashfs"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", place])
    assert work.squenv("pack", "-q", place, "-o", image).returncode == 0
    place.rename(shelf / "original")
    holder = work.start(work.command("run", "--via", "extract", image, "--", "sh", "-c",
                                     "echo; exec sleep 1000"),
                        env={**os.environ, "SQUENV_CACHE": str(work.directory("unpacked"))})
    assert holder.stdout.readline() == b"\n" and place.is_symlink()
    result = other("run", *options, image, "--", "python", "-c", "import sys; print(sys.prefix)")
    told = other("doctor", image)
    holder.kill()
    assert (result.returncode, result.stdout) == (0, f"{place}\n"), result.stderr
    assert told.returncode == 0 and re.search(r"userns +yes", told.stdout), told.stdout
    wait_until_nothing_is_left(work, place)


def test_other_user_is_told_whose_mount_it_is(other, taken, plain_image):
    result = other("run", "--via", "fusermount", f"{plain_image}:{taken}", "--", "true")
    assert result.returncode == OWN_FAILURE
    assert "mounted here already, by user 1000" in result.stderr
    assert "squenv umount" not in result.stderr


def test_doctor_for_the_other_user(other, taken, plain_image):
    result = other("doctor", plain_image, taken)
    assert result.returncode == 0, result.stdout
    assert re.search(r"userns +yes", result.stdout) and re.search(r"fusermount +no", result.stdout)


def test_path_inside_the_mount_of_another(work, other, taken, plain_image):
    """It is covered as a whole: there is nothing in it for this user."""
    path = taken / "sub" / "venv"
    result = other("run", "--via", "userns", f"{plain_image}:{path}", "--", *counted(path))
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_path_beside_the_mount_of_another(work, other, plain_image):
    """What is copied around it has an entry that cannot be looked at."""
    parent = work.directory("shelf", user=False)
    (parent / "sibling").write_text("seen", encoding="ascii")
    (parent / "taken").mkdir()
    os.chown(parent / "taken", 1000, 1000)
    mount = work.mount(plain_image, str(parent / "taken"))
    path = parent / "new"
    result = other("run", "--via", "userns", f"{plain_image}:{path}", "--", "sh", "-c",
                   f"ls {path} | wc -l; cat {parent}/sibling; ls {parent}")
    assert result.returncode == 0, result
    assert result.stdout.startswith(f"{entries_of(work, plain_image)}\nseen"), result
    assert "taken" in result.stdout
    mount.umount()


def capabilities(pid="self"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(r"CapEff:\s*(\S+)", file.read())[1]


def test_root_beside_a_user_stays_root(work, cache, taken, plain_image):
    result = squenv_run(work, f"{plain_image}:{taken}",
                        ["sh", "-c", f"ls {taken} | wc -l; grep CapEff /proc/self/status; "
                                     "readlink /proc/self/ns/user"], user=False)
    assert result.returncode == 0, result.stderr
    count, _, held, namespace = result.stdout.split()
    assert int(count) == entries_of(work, plain_image)
    assert held == capabilities() and namespace == os.readlink("/proc/self/ns/user")
    assert work.squenv("doctor", plain_image, taken, user=False).returncode == 0
    assert mounts_below(taken)[-1]["super_options"].count("user_id=1000") == 1, "nothing is added"
