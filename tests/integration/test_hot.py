# SPDX-License-Identifier: MIT
"""Packing in the order in which a program needed things."""
import os
import random
import subprocess
import time

import pytest

from pack_support import (IS_ROOT, PACK, SQUENV, assert_same, describe, digest, kernel_mount,
                          make_zoo, pack, run)
from support.processes import wait_for

needs_root = pytest.mark.skipif(not IS_ROOT, reason="mounting needs root")
needs_mount = pytest.mark.skipif(not IS_ROOT or not os.path.exists("/dev/fuse")
                                 or not os.path.exists(SQUENV), reason="needs FUSE mounts")


def write(path, content, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def trace(path, *lines):
    path.write_text("squenv-trace 1\n" + "".join(f"{line}\n" for line in lines) + "end\n")
    return path


def escaped(path):
    return "".join(f"\\{byte:03o}" if byte < 32 or byte in (127, 92) else chr(byte)
                   for byte in os.fsencode(path)).encode("latin-1").decode("utf-8",
                                                                          "surrogateescape")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(str(tmp_path_factory.mktemp("zoo") / "tree"))


@pytest.fixture(scope="module")
def some_files(zoo):
    """Every third regular file, in an order of its own."""
    files = []
    for top, _, names in os.walk(zoo):
        files += [os.path.join(top, name) for name in names
                  if os.path.isfile(os.path.join(top, name))
                  and not os.path.islink(os.path.join(top, name))]
    files = sorted(files)[::3]
    random.Random(7).shuffle(files)
    return files


@pytest.fixture
def zoo_trace(zoo, some_files, tmp_path):
    path = tmp_path / "zoo.trace"
    with open(path, "wb") as out:
        out.write(b"squenv-trace 1\n")
        for file in some_files:
            name = escaped(os.path.relpath(file, zoo)).encode("utf-8", "surrogateescape")
            out.write(b"look " + name + b"\nread 0 1000000 " + name + b"\n")
        out.write(b"miss nothing\nread 0 10 gone/for/good\nlist gone\nend\n")
    return path


@needs_root
@pytest.mark.parametrize("options", [[], ["-b", "4K"], ["--no-fragments"], ["--codec", "gzip"]])
def test_the_kernel_reads_what_was_packed(zoo, zoo_trace, tmp_path, options):
    image = tmp_path / "image"
    pack(zoo, image, "--hot", zoo_trace, "--verify", *options)
    with kernel_mount(image) as point:
        assert_same(describe(zoo), describe(point))
    run("unsquashfs", "-n", "-q", "-d", tmp_path / "out", image)


def test_same_bytes_for_any_number_of_threads(zoo, zoo_trace, tmp_path):
    digests = set()
    for jobs, readers in [(1, 1), (4, 2), (3, 7)]:
        image = tmp_path / "image"
        pack(zoo, image, "--hot", zoo_trace, "--jobs", str(jobs), "--readers", str(readers))
        digests.add(digest(image))
    assert len(digests) == 1


def test_an_empty_trace_changes_nothing(zoo, tmp_path):
    pack(zoo, tmp_path / "a")
    pack(zoo, tmp_path / "b", "--hot", trace(tmp_path / "t"))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_hot_files_come_first_in_order(tmp_path):
    tree = tmp_path / "tree"
    rng = random.Random(3)
    contents = {name: rng.randbytes(300_000) for name in ["a", "b", "c", "d"]}
    for name, content in contents.items():
        write(os.path.join(tree, name), content)
    image = tmp_path / "image"
    pack(tree, image, "--codec", "none", "--hot",
         trace(tmp_path / "t", "read 0 4096 d", "read 4096 4096 b", "read 8192 4096 d"))
    data = image.read_bytes()
    places = {name: data.index(content[:4096]) for name, content in contents.items()}
    assert sorted(places, key=places.get) == ["d", "b", "a", "c"]


def test_hot_and_other_small_files_share_no_block(tmp_path):
    tree = tmp_path / "tree"
    for name in ["a", "b", "c", "d"]:
        write(os.path.join(tree, name), name.encode() * 5000)
    image = tmp_path / "image"
    pack(tree, image, "--codec", "none", "--hot", trace(tmp_path / "t", "read 0 9 c", "read 0 9 b"))
    data = image.read_bytes()
    assert data.index(b"c" * 5000) + 5000 == data.index(b"b" * 5000)
    assert b"Number of fragments 2" in run("unsquashfs", "-s", image).stdout


def test_hard_links_and_duplicates(tmp_path):
    tree = tmp_path / "tree"
    write(os.path.join(tree, "a"), b"x" * 9000)
    os.link(tree / "a", tree / "z")
    write(os.path.join(tree, "copy"), b"x" * 9000)
    image = tmp_path / "image"
    for path in ["a", "z", "copy"]:
        pack(tree, image, "--verify", "--hot",
             trace(tmp_path / "t", f"read 0 9000 {path}", "read 0 9000 z"))
        out = tmp_path / f"out-{path}"
        run("unsquashfs", "-n", "-q", "-d", out, image)
        assert_same(describe(tree), describe(out))


def test_the_list_survives_packing_the_image_again(zoo, zoo_trace, tmp_path):
    pack(zoo, tmp_path / "a", "--hot", zoo_trace)
    run(PACK, "-q", "--from-image", tmp_path / "a", "-o", tmp_path / "b")
    run(PACK, "-q", "--from-image", tmp_path / "b", "-o", tmp_path / "c")
    assert digest(tmp_path / "b") == digest(tmp_path / "c")
    pack(zoo, tmp_path / "plain")
    run(PACK, "-q", "--from-image", tmp_path / "plain", "-o", tmp_path / "d")
    assert digest(tmp_path / "b") != digest(tmp_path / "d")


def test_traces_are_checked(zoo, tmp_path):
    for content in ["", "squenv-trace 1\nlook a\n", "nonsense"]:
        (tmp_path / "t").write_text(content)
        done = pack(zoo, tmp_path / "image", "--hot", tmp_path / "t", check=False)
        assert done.returncode == 3 and not (tmp_path / "image").exists()
    assert pack(zoo, tmp_path / "image", "--hot", tmp_path / "none",
                check=False).returncode == 1
    done = pack(zoo, tmp_path / "image", "--hot", trace(tmp_path / "t"), "--no-appendix",
                check=False)
    assert done.returncode == 2


def make_small(tree):
    for name in ["one", "two", "three"]:
        write(os.path.join(tree, "lib", name), name.encode() * 2000)


@needs_mount
def test_warm_is_the_same_as_recording_by_hand(tmp_path):
    tree = tmp_path / "tree"
    make_small(tree)
    command = f"cat {tree}/lib/two {tree}/lib/one > {tmp_path}/seen; test ! -e {tree}/none"
    run(SQUENV, "pack", "-q", tree, "-o", tmp_path / "warm", "--warm", command)
    assert (tmp_path / "seen").read_bytes() == b"two" * 2000 + b"one" * 2000
    pack(tree, tmp_path / "plain")
    run(SQUENV, "mount", "-q", "-o", f"record={tmp_path}/t", tmp_path / "plain", tree)
    run("sh", "-c", command)
    run(SQUENV, "umount", tree)
    run(SQUENV, "pack", "-q", tree, "-o", tmp_path / "hot", "--hot", tmp_path / "t")
    assert digest(tmp_path / "warm") == digest(tmp_path / "hot")
    assert sorted(os.listdir(tmp_path)) == ["hot", "plain", "seen", "t", "tree", "warm"]
    assert not os.path.ismount(tree)


@needs_mount
def test_warm_command_that_fails(tmp_path):
    tree = tmp_path / "tree"
    make_small(tree)
    done = run(SQUENV, "pack", "-q", tree, "-o", tmp_path / "image", "--warm", "exit 7",
               check=False)
    assert done.returncode == 2 and b"status 7" in done.stderr
    assert os.listdir(tmp_path) == ["tree"] and not os.path.ismount(tree)


@needs_mount
def test_warm_in_an_environment(tmp_path):
    tree = tmp_path / "tree"
    make_small(tree)
    write(os.path.join(tree, "pyvenv.cfg"), b"home = /usr/bin\nversion = 3.11.2\n")
    write(os.path.join(tree, "bin", "python"), b"#!/bin/sh\necho \"$VIRTUAL_ENV $0\"\n", 0o755)
    done = run(SQUENV, "pack", tree, "-o", tmp_path / "image", "--warm", "python")
    assert f"{tree} {tree}/bin/python".encode() in done.stdout


@needs_mount
def test_warm_from_another_image(tmp_path):
    tree = tmp_path / "tree"
    make_small(tree)
    pack(tree, tmp_path / "plain")
    command = f"cat {tree}/lib/three"
    run(SQUENV, "pack", "-q", tree, "-o", tmp_path / "a", "--warm", command)
    run(PACK, "-q", "--from-image", tmp_path / "plain", "-o", tmp_path / "b", "--warm", command)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    run(PACK, "-q", "--from-image", tmp_path / "plain", "-o", tmp_path / "c", "--warm", command,
        "--mount-point", tmp_path / "plain", check=False)  # a file: nothing is mounted there
    assert not (tmp_path / "c").exists()


@needs_mount
def test_warm_is_stopped_by_a_signal(tmp_path):
    tree = tmp_path / "tree"
    make_small(tree)
    process = subprocess.Popen(
        [SQUENV, "pack", "-q", tree, "-o", tmp_path / "image", "--warm",
         "echo started; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    process.terminate()
    process.stdin.close()
    assert process.wait(timeout=30) == 1
    process.stdout.close()
    assert os.listdir(tmp_path) == ["tree"] and not os.path.ismount(tree)


@needs_mount
def test_warm_that_is_killed_leaves_no_mount(tmp_path):
    """At moments of the whole of it, before, while and after the mount is made."""
    tree = tmp_path / "tree"
    make_small(tree)
    for delay in [0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.3]:
        packing = subprocess.Popen([SQUENV, "pack", "-q", tree, "-o", tmp_path / "image", "--warm",
                                    f"cat {tree}/lib/one; sleep 1"], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        packing.kill()
        packing.wait()
        wait_for(lambda: sorted(os.listdir(tmp_path)) == ["tree"] and not os.path.ismount(tree),
                 f"the end of what was killed after {delay} s")
