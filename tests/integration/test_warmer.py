# SPDX-License-Identifier: MIT
"""The process that lists a fresh mount ahead of its users."""

import io
import tarfile

import pytest
from support.processes import check, processes_of, run, status, wait_for

ENTRIES = 130_000
BUDGET = 60_000


@pytest.fixture(scope="module")
def crowd_image(session_dir, programs):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for index in range(ENTRIES):
            tar.addfile(tarfile.TarInfo(f"{index:06}"))
    image = session_dir / "one-directory.squashfs"
    result = run([programs / "squenv", "pack", "-q", "--tar", "-", "-o", image],
                 input=archive.getvalue(), text=False)
    if b"libarchive" in result.stderr:
        pytest.skip("built without libarchive")
    assert result.returncode == 0, result.stderr
    return image


STAT_SOME = """
import os, sys
for index in range(0, int(sys.argv[2]), int(sys.argv[3])):
    os.lstat(f"{sys.argv[1]}/{index:06}")
"""


def test_the_warmer_ends_within_a_huge_directory(work, crowd_image):
    """Names that it listed are known to the kernel, the others are asked for."""
    mount = work.mount(crowd_image)
    program = work.programs / "squenv"
    wait_for(lambda: not [pid for pid in processes_of(program)
                          if status(pid).get("Name") == "squenv-walker"], "the end of the warmer")
    step = 100
    check(["/usr/bin/python3", "-c", STAT_SOME, mount.path, str(ENTRIES), str(step)], user=True)
    known = ENTRIES - mount.stats()["requests_by_kind"]["lookup"] * step
    mount.umount()
    # The rest of a buffer comes on top.
    assert known < BUDGET * 1.1
