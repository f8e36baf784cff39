# SPDX-License-Identifier: MIT
"""The cache of unpacked trees."""

import json
import os
import time

import pytest

from run_support import (
    OWN_FAILURE,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import check, unmount, wait_for

pytestmark = pytest.mark.usefixtures("settled")


def test_cache(work, cache, plain_image, venv_image, venv_source):
    path = work.directory("free") / "venv"
    image = f"{plain_image}:{path}"
    gone = lambda: not os.path.lexists(path)  # noqa: E731
    first = squenv_run(work, image, ["readlink", path], "--via", "extract")
    assert "unpacked into" in first.stderr
    second = squenv_run(work, image, ["readlink", path], "--via", "extract")
    assert second.stderr == "" and second.stdout == first.stdout
    # Nobody changes it for the next.
    writer = squenv_run(work, image, ["sh", "-c", f"touch {path}/new"], "--via", "extract")
    assert writer.returncode != 0
    wait_for(gone, "the removal of the link")
    user = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    entries = json.loads(work.squenv("cache", "list", "--json").stdout)
    assert len(entries) == 1 and entries[0]["in_use"] and entries[0]["image"] == str(plain_image)
    assert json.loads(work.squenv("cache", "clean", "--json").stdout) == []
    assert "in use" in work.squenv("cache", "list").stdout
    user.kill()
    wait_until_nothing_is_left(work, path)
    assert len(json.loads(work.squenv("cache", "clean", "--json").stdout)) == 1


@pytest.mark.parametrize("delay_ms", [0, 2, 5, 10, 20, 40])
def test_killed_clean_leaves_no_half_tree(delay_ms, work, cache):
    tree = work.directory("tree")
    for number in range(3000):
        (tree / f"file-{number}").write_text("x", encoding="ascii")
    image = work.path / "many.squashfs"
    assert work.squenv("pack", "-q", tree, "-o", image, user=False).returncode == 0
    target = f"{image}:{work.directory('free')}/a"
    count = ["sh", "-c", f"ls {work.path}/free/a | wc -l"]
    first = squenv_run(work, target, count, "--force", "--via", "extract")
    assert first.stdout == "3000\n", first.stderr
    wait_until_nothing_is_left(work, work.path / "free" / "a")
    cleaner = work.start(work.command("cache", "clean"))
    time.sleep(delay_ms / 1000)
    cleaner.kill()
    cleaner.wait()
    again = squenv_run(work, target, count, "--force", "--via", "extract")
    assert again.stdout == "3000\n", again.stderr
    wait_until_nothing_is_left(work, work.path / "free" / "a")


def test_image_with_a_newline_in_its_path(work, cache, plain_image):
    image = work.directory("new\nline") / "image"
    image.write_bytes(plain_image.read_bytes())
    result = squenv_run(work, f"{image}:{work.directory('free')}/a", ["true"], "--via", "extract")
    assert result.returncode == 0, result.stderr
    entries = json.loads(work.squenv("cache", "list", "--json").stdout)
    assert [entry["image"] for entry in entries] == [str(image)]
    wait_until_nothing_is_left(work, work.path / "free" / "a")


def test_cache_is_bounded(work, cache, plain_image, venv_image, monkeypatch):
    free = work.directory("free")
    monkeypatch.setenv("SQUENV_CACHE_SIZE", "4K")
    result = squenv_run(work, f"{plain_image}:{free}/a", ["true"], "--via", "extract")
    assert result.returncode == OWN_FAILURE and "SQUENV_CACHE_SIZE" in result.stderr
    monkeypatch.setenv("SQUENV_CACHE_SIZE", "1G")
    images = {str(plain_image): free / "a", str(venv_image): free / "b"}

    def unpack_both():
        for image, path in images.items():
            result = squenv_run(work, f"{image}:{path}", ["true"], "--force", "--via", "extract")
            assert result.returncode == 0, result.stderr
            wait_until_nothing_is_left(work, path)  # until then the tree is in use
        return json.loads(work.squenv("cache", "list", "--json").stdout)

    sizes = [entry["size_bytes"] for entry in unpack_both()]
    assert len(sizes) == 2
    work.squenv("cache", "clean")
    monkeypatch.setenv("SQUENV_CACHE_SIZE", str(max(sizes)))
    assert [entry["image"] for entry in unpack_both()] == [str(venv_image)]


def test_cache_of_somebody_else(work, plain_image, monkeypatch):
    path = work.directory("strange", user=False)
    monkeypatch.setenv("SQUENV_CACHE", str(path))
    result = squenv_run(work, f"{plain_image}:{work.path}/x", ["true"], "--via", "extract")
    assert result.returncode == OWN_FAILURE and "not yours" in result.stderr


def test_full_disk_of_the_cache(work, plain_image, monkeypatch):
    disk = work.directory("disk")
    check(["mount", "-t", "tmpfs", "-o", "size=64k,uid=1000", "none", disk])
    monkeypatch.setenv("SQUENV_CACHE", str(disk / "trees"))
    result = squenv_run(work, f"{plain_image}:{work.directory('free')}/x", ["true"], "--via",
                        "extract")
    unmount(disk)
    assert result.returncode == OWN_FAILURE and "SQUENV_CACHE" in result.stderr, result.stderr


def test_many_unpack_at_once(work, cache, plain_image):
    free = work.directory("free")
    users = [work.start(work.command("run", "--via", "extract", f"{plain_image}:{free}/{i}", "--",
                                     "ls", f"{free}/{i}")) for i in range(8)]
    results = [user.communicate(timeout=60) for user in users]
    outputs = {output for output, _ in results}
    assert len(outputs) == 1 and b"" not in outputs, results
    assert len(json.loads(work.squenv("cache", "list", "--json").stdout)) == 1
    wait_until_nothing_is_left(work, free)


def test_two_unpacked_images_where_something_is(work, cache, plain_image, venv_image, venv_source):
    """Both are bound in one namespace."""
    other = work.directory("other")
    result = squenv_run(work, f"{venv_image},{plain_image}:{other}",
                        ["sh", "-c", f"ls {venv_source}; echo --; ls {other}"], "--via", "extract")
    first, second = result.stdout.split("--\n")
    assert "pyvenv.cfg" in first and second, result


def test_second_user_of_a_link(work, cache, plain_image):
    path = work.directory("free") / "venv"
    image = f"{plain_image}:{path}"
    user = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    second = squenv_run(work, image, ["sh", "-c", "echo $SQUENV_MOUNTS"], "-v", "--via", "extract")
    assert second.stdout == f"{plain_image}:{path}\n" and "joined" in second.stderr, second
    assert os.path.lexists(path)
    user.kill()
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


def test_second_user_of_a_link_that_was_removed(work, cache, plain_image):
    path = work.directory("free") / "venv"
    image = f"{plain_image}:{path}"
    user = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    path.unlink()
    second = squenv_run(work, image, ["ls", path], "-v", "--via", "extract")
    assert second.stdout and "joined" in second.stderr, second
    user.kill()
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


def test_tree_of_a_command_that_closes_descriptors(work, cache, plain_image):
    path = work.directory("free") / "venv"
    code = "import os, time; os.closerange(3, 1024); print(1, flush=True); time.sleep(1000)"
    user = work.start(work.command("run", "--via", "extract", f"{plain_image}:{path}", "--",
                                   "/usr/bin/python3", "-c", code))
    assert user.stdout.readline() == b"1\n"
    assert json.loads(work.squenv("cache", "clean", "--json").stdout) == []
    user.kill()
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")
