# SPDX-License-Identifier: MIT
"""Being ahead of a program that reads a large file from one end to the other."""

import contextlib
import os
import random
import subprocess

import pytest
from support.processes import AS_USER, check, run, status

LARGE = 48 << 20
REQUEST = 128 << 10  # what the kernel asks for at a time


@pytest.fixture(scope="module")
def tree(session_dir, needs):
    top = session_dir / "stream"
    top.mkdir()
    rng = random.Random(3)
    words = [rng.randbytes(24) for _ in range(5000)]
    for name, size in (("large", LARGE), ("other", LARGE // 3), ("odd", (5 << 20) + 12_345)):
        content = b"".join(rng.choices(words, k=size // 24 + 1))[:size]
        (top / name).write_bytes(content)
    with open(top / "holes", "wb") as file:
        for at in range(0, 16 << 20, 3 << 20):
            file.seek(at)
            file.write(rng.randbytes(1 << 20))
    return top


@pytest.fixture(scope="module", params=["128K", "1M"])
def image(request, session_dir, programs, tree):
    target = session_dir / f"stream-{request.param}.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", target, "--block-size", request.param])
    return target


def cat(path):
    return AS_USER + ["cat", str(path)]


def assert_same(path, original):
    """Compared while it is read by the user, from one end to the other."""
    check(["cmp", path, original], user=True)


def test_a_large_file_takes_few_requests(work, tree, image):
    mount = work.mount(image)
    assert_same(mount.path / "large", tree / "large")
    stats = mount.stats()
    # Nearly all of it when the machine has nothing else to do.
    assert stats["bytes_stored_ahead"] > LARGE / 4
    assert stats["requests_by_kind"]["read"] < LARGE / REQUEST
    for name in ("other", "odd", "holes"):
        assert_same(mount.path / name, tree / name)
    mount.umount()


def test_off(work, tree, image):
    mount = work.mount(image, options="prefetch=off")
    assert_same(mount.path / "large", tree / "large")
    assert mount.stats()["bytes_stored_ahead"] == 0
    mount.umount()


def test_readers_beside_each_other(work, tree, image):
    """Two who read everything, one from behind, one that jumps; one of them is killed."""
    script = ("import os, random, sys\n"
              "a, b = (os.open(path, os.O_RDONLY) for path in sys.argv[1:])\n"
              "for seed in range(600):\n"
              " at = random.Random(seed).randrange(os.fstat(b).st_size)\n"
              " assert os.pread(a, 9000, at) == os.pread(b, 9000, at), at\n")
    mount = work.mount(image)
    killed = work.start(cat(mount.path / "large"), stdout=subprocess.PIPE)
    killed.stdout.read(9 << 20)
    jumping = work.start(AS_USER + ["/usr/bin/python3", "-c", script, str(mount.path / "large"),
                                    str(tree / "large")])
    backwards = work.start(AS_USER + ["sh", "-c", f"tac -s '' '{mount.path}/other' | sha256sum"])
    killed.kill()
    assert_same(mount.path / "large", tree / "large")
    assert_same(mount.path / "other", tree / "other")
    assert jumping.wait(60) == 0, jumping.stderr.read()
    assert backwards.wait(60) == 0
    mount.umount()


def test_a_damaged_block_is_an_error_where_it_is(work, tree):
    damaged = work.path / "damaged.squashfs"
    others = [word for name in ("other", "odd", "holes") for word in ("-x", name)]
    check([work.programs / "squenv", "pack", "-q", tree, "-o", damaged, *others])
    content = bytearray(damaged.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 100_000] = bytes(100_000)  # whole blocks: nothing else is noticed
    damaged.write_bytes(content)
    mount = work.mount(damaged)
    result = subprocess.run(cat(mount.path / "large"), capture_output=True, timeout=60)
    assert result.returncode == 1 and b"Input/output error" in result.stderr
    original = (tree / "large").read_bytes()
    assert 4 << 20 < len(result.stdout) < LARGE
    assert original.startswith(result.stdout)
    end = subprocess.run(AS_USER + ["tail", "-c", str(8 << 20), mount.path / "large"],
                         capture_output=True, timeout=60)
    assert end.returncode == 0 and original.endswith(end.stdout)
    mount.umount()


def test_unmounted_in_the_middle(work, image):
    mount = work.mount(image)
    reader = work.start(cat(mount.path / "large"), stdout=subprocess.PIPE)
    reader.stdout.read(3 << 20)
    assert run(["fusermount3", "-uz", mount.path], user=True).returncode == 0
    assert len(reader.stdout.read()) == LARGE - (3 << 20)
    assert reader.wait(60) == 0
    mount.wait_until_gone()


def test_what_decodes_ahead_may_use_every_processor(work, image):
    """While the tree is listed, requests are answered on one, by threads that stay there."""
    mount = work.mount(image)
    server = mount.stats()["server_pid"]

    def masks():
        """Of the threads for what no program waits for."""
        found = []
        for task in os.listdir(f"/proc/{server}/task"):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                facts = status(f"{server}/task/{task}")
                if os.getpriority(os.PRIO_PROCESS, int(task)) == 5 and facts:
                    found.append(facts["Cpus_allowed_list"])
        return found

    background = masks()
    assert len(background) >= 2
    assert set(background) == {status(os.getpid())["Cpus_allowed_list"]}
    mount.umount()
