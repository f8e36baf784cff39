# SPDX-License-Identifier: MIT
"""Being ahead of a program whose start was recorded, on storage that is quick and that is slow."""

import contextlib
import json
import os
import random
import struct
import time

import pytest

from run_support import background, daemon_name, quoted
from support.processes import AS_USER, check, mounts_below, run, wait_for
from support.slow import on_slow_storage, reads_of

SMALL_FILES = 400
LARGE_FILES = 4


def make_tree(top):
    rng = random.Random(11)
    for index in range(SMALL_FILES):
        path = top / f"package-{index % 20}" / f"module-{index}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(rng.randrange(100, 9000)))
    for index in range(LARGE_FILES):
        (top / f"library-{index}.so").write_bytes(rng.randbytes(1_500_000))
    return top


@pytest.fixture(scope="module")
def tree(session_dir, needs):
    return make_tree(session_dir / "prefetch")


@pytest.fixture(scope="module")
def hot_files(tree):
    files = [f"package-{index % 20}/module-{index}.py" for index in range(0, SMALL_FILES, 3)]
    files += [f"library-{index}.so" for index in (2, 0)]
    random.Random(5).shuffle(files)
    return files


@pytest.fixture(scope="module")
def hot_image(session_dir, programs, tree, hot_files):
    trace = session_dir / "prefetch.trace"
    trace.write_text("squenv-trace 1\n" + "".join(
        f"look {name}\nread 0 2000000 {name}\n" for name in hot_files) +
        "miss package-1/nothing.so\nend\n")
    image = session_dir / "prefetch.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", image, "--hot", trace])
    return image


def read_all(mount, names):
    """One process of the user: what it read."""
    script = ("import hashlib, sys\nfor line in sys.stdin:\n"
              " data = open(sys.argv[1] + '/' + line.rstrip(), 'rb').read()\n"
              " print(hashlib.sha256(data).hexdigest())\n")
    result = check(["/usr/bin/python3", "-c", script, mount.path], user=True,
                   input="".join(f"{name}\n" for name in names))
    return result.stdout.split()


def digests_of(tree, names):
    script = ["sha256sum", *(tree / name for name in names)]
    return [line.split()[0] for line in check(script).stdout.splitlines()]


def wait_until_swept(mount):
    """Until nothing more is stored, and the tree is listed. On a busy machine both pause."""
    def is_quiet():
        before = mount.stats()["bytes_stored_ahead"]
        time.sleep(0.4)
        walkers = [pid for pid in background(mount.work) if daemon_name(pid) == "squenv-walker"]
        return before != 0 and mount.stats()["bytes_stored_ahead"] == before and not walkers
    wait_for(is_quiet, "the end of storing")


def test_hot_files_need_no_requests(work, tree, hot_files, hot_image):
    mount = work.mount(hot_image)
    wait_until_swept(mount)
    before = mount.stats()["requests_by_kind"]
    assert read_all(mount, hot_files) == digests_of(tree, hot_files)
    after = mount.stats()["requests_by_kind"]
    # A file whose name the kernel does not learn in time is not stored.
    few = len(hot_files) // 10
    assert after["read"] - before["read"] <= few
    assert after["lookup"] - before["lookup"] <= few
    mount.umount()


def test_what_was_missing_is_known(work, hot_image):
    mount = work.mount(hot_image)
    wait_until_swept(mount)
    before = mount.stats()["requests_by_kind"]["lookup"]
    assert run(["cat", mount.path / "package-1" / "nothing.so"], user=True).returncode == 1
    assert mount.stats()["requests_by_kind"]["lookup"] == before
    mount.umount()


def test_everything_is_right_in_any_order(work, tree, hot_files, hot_image):
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
    for seed in range(3):
        random.Random(seed).shuffle(names)
        mount = work.mount(hot_image)
        assert read_all(mount, names) == digests_of(tree, names)
        mount.umount()


def test_many_readers_at_once(work, tree, hot_files, hot_image):
    for _ in range(3):
        mount = work.mount(hot_image)
        readers = [work.start(AS_USER + ["sh", "-c", f"cd {mount.path} && cat {' '.join(order)}"
                                         " | sha256sum"]) for order in
                   (hot_files, hot_files, hot_files[::-1], sorted(hot_files))]
        answers = [reader.communicate(timeout=60)[0] for reader in readers]
        assert all(reader.returncode == 0 for reader in readers)
        assert answers[0] == answers[1]
        mount.umount()


def test_without_fusectl_recorded_blocks_are_decoded_ahead(work, tree, hot_files, hot_image):
    """Nothing may be stored in the page cache there."""
    path = work.directory("mnt")
    stats = quoted(work.command("stats", "--json", path))
    script = f"""
        umount -a -t fusectl
        {quoted(work.command('mount', hot_image, path))} || exit 1
        for _ in $(seq 100); do
            {stats} >{work.path}/before
            python3 -c 'import json, sys
sys.exit(json.load(open("{work.path}/before"))["caches"]["blocks"]["used_bytes"] == 0)' && break
            sleep 0.1
        done
        {quoted([*AS_USER, 'sh', '-c', f"cd {path} && sha256sum {' '.join(hot_files)}"])}
        {stats} >{work.path}/after
        {quoted(work.command('umount', path))}"""
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == digests_of(tree, hot_files)
    before, after = (json.loads((work.path / name).read_text()) for name in ("before", "after"))
    assert before["requests_by_kind"]["read"] == 0
    assert before["caches"]["blocks"]["used_bytes"] > 0
    assert after["bytes_stored_ahead"] == 0 and not after["stores_ahead"]


def test_off(work, tree, hot_files, hot_image):
    mount = work.mount(hot_image, options="prefetch=off")
    assert read_all(mount, hot_files) == digests_of(tree, hot_files)
    assert mount.stats()["bytes_stored_ahead"] == 0
    mount.umount()


def test_unmounted_in_the_middle(work, hot_image):
    for _ in range(10):
        work.mount(hot_image).umount()


def test_a_subdirectory(work, tree, hot_image):
    mount = work.mount(hot_image, options="subdir=package-3")
    names = sorted(os.listdir(tree / "package-3"))
    assert read_all(mount, names) == digests_of(tree / "package-3", names)
    mount.umount()


def test_a_damaged_list_does_no_harm(work, tree, hot_files, hot_image):
    content = bytearray(hot_image.read_bytes())
    begin = content.index(b"SQENVAPX")
    manifest, hot = struct.unpack_from("<QQ", content, begin + 16)
    rng = random.Random(2)
    for _ in range(hot // 10):
        content[begin + 80 + manifest + rng.randrange(hot)] ^= 1 << rng.randrange(8)
    image = work.path / "damaged"
    image.write_bytes(content)
    mount = work.mount(image)
    assert read_all(mount, hot_files) == digests_of(tree, hot_files)
    mount.umount()


@pytest.fixture
def slow(work, binary, hot_image):
    """slow(milliseconds, image): the image on storage that takes as long for every read."""
    with contextlib.ExitStack() as stack:
        yield lambda milliseconds, image=hot_image: stack.enter_context(
            on_slow_storage(work, binary, image, milliseconds))


@pytest.mark.parametrize("milliseconds", [1, 5, 20])
def test_slow_storage_is_asked_little(work, binary, tree, hot_image, hot_files, milliseconds):
    with on_slow_storage(work, binary, hot_image, milliseconds) as image:
        statistics = read_slowly(work, tree, image, hot_files, milliseconds)
    assert statistics["image_reads"] <= 60, statistics
    # Large reads are not split on their way.
    assert reads_of(image) <= statistics["image_reads"] + 5, statistics


def read_slowly(work, tree, image, names, milliseconds):
    """The statistics of a mount whose users have read the files `names`."""
    mount = work.mount(image)
    assert read_all(mount, names) == digests_of(tree, names)

    def ended_reads():
        """The statistics, once they have the time of every read that they count."""
        found = mount.stats()
        slowly = found["image_read_seconds"] >= found["image_reads"] * milliseconds / 1000
        return found if slowly else None

    statistics = wait_for(ended_reads, "the end of reads under way")
    mount.umount()
    return statistics


def test_slow_storage_of_an_image_that_was_not_recorded(work, tree, hot_image, slow, session_dir):
    """Every file of it, in an order of no use: whole neighbourhoods, each read once."""
    image = session_dir / "not-recorded.squashfs"
    check(["mksquashfs", tree, image, "-noappend", "-no-progress", "-quiet"])
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
    random.Random(3).shuffle(names)
    mount = work.mount(slow(5, image))
    assert read_all(mount, names) == digests_of(tree, names)
    statistics = mount.stats()
    text = work.squenv("stats", mount.path).stdout
    mount.umount()
    assert "neighbourhoods are read" in text
    assert statistics["storage"]["is_slow"] and statistics["storage"]["latency_seconds"] > 0.002
    assert statistics["storage"]["readers"] == 4
    mebibytes = image.stat().st_size // 2**20 + 1
    assert statistics["image_reads"] <= mebibytes + 5, statistics


def test_slow_storage_answers_after_few_reads(work, slow):
    """The superblock, the tables and the appendix, and a first listing."""
    delay = 0.5
    image = slow(int(delay * 1000))
    begin = time.monotonic()
    mount = work.mount(image)
    assert check(["ls", mount.path], user=True).stdout
    assert time.monotonic() - begin < 4 * delay + 2
    mount.umount()


def test_staging(work, tree, hot_files, slow):
    directory = work.directory("local")
    delay = 0.02
    mount = work.mount(slow(int(delay * 1000)), options=f"stage={directory}")
    assert os.listdir(directory) == []
    wait_for(lambda: mount.stats()["image_is_staged"], "the copy")
    time.sleep(10 * delay)  # reads of the slow storage that are under way end
    before = mount.stats()
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file())
    assert read_all(mount, names) == digests_of(tree, names)
    after = mount.stats()
    reads = after["image_reads"] - before["image_reads"]
    seconds = after["image_read_seconds"] - before["image_read_seconds"]
    assert reads == 0 or seconds < reads * delay
    mount.umount()
    assert os.listdir(directory) == []


def test_staging_needs_space(work, hot_image):
    small = work.directory("small")
    check(["mount", "-t", "tmpfs", "-o", "size=1M,mode=777", "none", small])
    try:
        mnt = work.directory("mnt")
        result = work.squenv("mount", "-o", f"stage={small}", hot_image, mnt)
        assert result.returncode == 1 and "free" in result.stderr
        assert not mounts_below(mnt)
    finally:
        check(["umount", small])


def test_staging_ends_with_the_mount(work, hot_image, slow):
    directory = work.directory("local")
    mount = work.mount(slow(20), options=f"stage={directory}")
    mount.umount()
    assert os.listdir(directory) == []
