# SPDX-License-Identifier: MIT
"""The process that lists a fresh mount ahead of its users."""

import io
import os
import re
import signal
import tarfile

import pytest
from support.processes import check, processes_of, run, status, wait_for

ENTRIES = 130_000
BUDGET = 60_000
DIRECTORIES = 20_000


def pack_members(programs, image, names, kind):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.mode = 0o755
            tar.addfile(member)
    result = run([programs / "squenv", "pack", "-q", "--tar", "-", "-o", image],
                 input=archive.getvalue(), text=False)
    if b"libarchive" in result.stderr:
        pytest.skip("built without libarchive")
    assert result.returncode == 0, result.stderr
    return image


@pytest.fixture(scope="module")
def crowd_image(session_dir, programs):
    names = (f"{index:06}" for index in range(ENTRIES))
    return pack_members(programs, session_dir / "one-directory.squashfs", names, tarfile.REGTYPE)


@pytest.fixture(scope="module")
def directories_image(session_dir, programs):
    names = (f"{index:06}" for index in range(DIRECTORIES))
    return pack_members(programs, session_dir / "directories.squashfs", names, tarfile.DIRTYPE)


def walkers(work):
    return [pid for pid in processes_of(work.programs / "squenv")
            if status(pid).get("Name") == "squenv-walker"]


def mount_and_stop_walker(work, image, log, user):
    """The walker at work, stopped. A machine that is busy enough lets it end before."""
    for _ in range(10):
        mount = work.mount(image, user=user, extra=["-v", "--log", log])
        found = walkers(work)
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        requests = mount.stats()["requests"]
        if found and requests < DIRECTORIES:
            return mount, found, requests
        for pid in found:
            os.kill(pid, signal.SIGCONT)
        mount.umount()
    raise AssertionError("the walker was never found at work")


@pytest.mark.parametrize("user", [True, False], ids=["fusermount", "root"])
def test_the_warmer_ends_with_the_mount(work, directories_image, user):
    """It has a copy of the mount, which no process needs when the mount is taken away."""
    log = work.directory("logs") / "log"
    mount, found, requests = mount_and_stop_walker(work, directories_image, log, user)
    assert work.squenv("umount", mount.path, user=user).returncode == 0
    assert not mount.is_mounted()
    for pid in found:
        os.kill(pid, signal.SIGCONT)
    mount.wait_until_gone()
    ended = re.findall(r"warming ended after [\d.]+ ms, (\d+) requests", log.read_text())
    # What it was about when it was stopped, and its way out.
    assert int(ended[-1]) < requests + 50


def test_the_warmer_goes_on_beside_other_mounts(work, directories_image, plain_image):
    """A change of the mount table is no end of the mount."""
    log = work.directory("logs") / "log"
    mount, found, requests = mount_and_stop_walker(work, directories_image, log, True)
    other = work.mount(plain_image, name="other")
    other.umount()
    for pid in found:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not walkers(work), "the end of the warmer")
    assert mount.stats()["requests"] > requests + 50
    mount.umount()


STAT_SOME = """
import os, sys
for index in range(0, int(sys.argv[2]), int(sys.argv[3])):
    os.lstat(f"{sys.argv[1]}/{index:06}")
"""


def test_the_warmer_ends_within_a_huge_directory(work, crowd_image):
    """Names that it listed are known to the kernel, the others are asked for."""
    mount = work.mount(crowd_image)
    wait_for(lambda: not walkers(work), "the end of the warmer")
    step = 100
    check(["/usr/bin/python3", "-c", STAT_SOME, mount.path, str(ENTRIES), str(step)], user=True)
    known = ENTRIES - mount.stats()["requests_by_kind"]["lookup"] * step
    mount.umount()
    # The rest of a buffer comes on top.
    assert known < BUDGET * 1.1
