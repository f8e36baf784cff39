# SPDX-License-Identifier: MIT
"""An image on storage that answers slowly: a mount of slow_storage."""

import contextlib

import pytest
from support.processes import AS_USER, check, is_running, mounts_below, wait_for
from support.session import build_of


@contextlib.contextmanager
def on_slow_storage(work, binary, image, milliseconds):
    """The path of `image` on storage that takes as long for every read. The storage counts these
    reads; see reads_of()."""
    program = build_of(binary) / "tests" / "support" / "slow_storage"
    if not program.exists():
        pytest.skip("slow_storage is not built")
    copy = work.path / "slow_storage"
    if not copy.exists():
        copy.write_bytes(program.read_bytes())
        copy.chmod(0o755)
    path = work.directory(f"slow-{milliseconds}")
    with open(count_of(path), "wb") as count:
        process = work.start(AS_USER + [copy, image, path, str(milliseconds)], stdout=count)
    wait_for(lambda: mounts_below(path), "the slow storage")
    yield path / "image"
    check(["umount", path])
    wait_for(lambda: process.poll() is not None or not is_running(process.pid),
             "the end of the slow storage")


def count_of(directory):
    return directory.with_name(f"{directory.name}.reads")


def reads_of(image):
    """How often the storage that had `image` was read, once it has ended."""
    return int(count_of(image.parent).read_text(encoding="ascii"))
