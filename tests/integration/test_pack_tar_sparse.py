# SPDX-License-Identifier: MIT
"""Sparse files in tar archives, of every format: what they cost is what is stored of them, and the
image is that of the same tree as a directory."""
import io
import os
import subprocess
import tarfile

import pytest

from pack_support import PACK, digest, run

TIB = 1 << 40
MIB = 1 << 20
# Few words of blocks for what is huge; and no path, which an archive does not have.
HUGE = ["-b", "1M", "--mount-point", "/env"]
FORMATS = {"gnu": ["--format=gnu"],
           "pax 0.0": ["--format=posix", "--sparse-version=0.0"],
           "pax 0.1": ["--format=posix", "--sparse-version=0.1"],
           "pax 1.0": ["--format=posix", "--sparse-version=1.0"]}
# As zeros a tebibyte takes a quarter of an hour to read, and as a hole no second.
DEADLINE = 90


@pytest.fixture(autouse=True)
def needs_archives(tmp_path):
    done = run(PACK, "-q", "--tar", "/dev/null", "-o", tmp_path / "probe", check=False)
    if b"built without libarchive" in done.stderr:
        pytest.skip("built without libarchive")


def write_sparse(path, size, pieces):
    with open(path, "wb") as file:
        for offset, content in pieces:
            file.seek(offset)
            file.write(content)
        file.truncate(size)


def make_tree(root, huge):
    """Holes at the beginning, in the middle, at the end, and everywhere."""
    root.mkdir()
    write_sparse(root / "end", huge, [(0, b"begin" * 1000)])
    write_sparse(root / "begin", huge + 17, [(huge, b"end, of 17 bytes.")])
    write_sparse(root / "middle", 9 * MIB, [(0, b"a" * MIB), (8 * MIB + 5, b"b" * 70_000)])
    write_sparse(root / "whole", huge, [])
    write_sparse(root / "same", huge, [(0, b"begin" * 1000)])
    write_sparse(root / "small", 600_000, [(300_000, b"few")])
    write_sparse(root / "many", 64 * MIB + 3, [(i * MIB + i, b"%d" % i * 2000) for i in range(64)])
    (root / "zeros").write_bytes(bytes(3 * MIB))
    (root / "plain").write_bytes(b"no hole")
    (root / "empty").write_bytes(b"")
    os.link(root / "middle", root / "second name")
    if os.stat(root / "whole").st_blocks * 512 >= MIB:
        pytest.skip("no sparse files here")
    return root


def pack_tree_and_archive(tmp_path, tree, archive, *options):
    for name, source in (("directory", [tree]), ("archive", ["--tar", archive])):
        run(PACK, "-q", *source, "-o", tmp_path / name, *options, timeout=DEADLINE)
    assert digest(tmp_path / "directory") == digest(tmp_path / "archive")


@pytest.mark.parametrize("format", FORMATS)
def test_same_image_as_of_the_directory(tmp_path, format):
    tree = make_tree(tmp_path / "tree", TIB)
    run("tar", "-C", tree, "-S", *FORMATS[format], "-cf", tmp_path / "tar", ".", timeout=DEADLINE)
    assert os.stat(tmp_path / "tar").st_size < 8 * MIB
    pack_tree_and_archive(tmp_path, tree, tmp_path / "tar", "--verify", *HUGE)
    with open(tmp_path / "tar", "rb") as stream:
        run(PACK, "-q", "--tar", "-", "-o", tmp_path / "piped", *HUGE, stdin=stream,
            timeout=DEADLINE)
    assert digest(tmp_path / "piped") == digest(tmp_path / "archive")


@pytest.mark.parametrize("options", [["-b", "4K"], ["--no-duplicates"], ["--no-fragments"],
                                     ["--codec", "none"], ["--memory", "4M", "--jobs", "1"]])
def test_options_see_the_same_file(tmp_path, options):
    tree = make_tree(tmp_path / "tree", 40 * MIB)
    run("tar", "-C", tree, "-S", "--format=posix", "-cf", tmp_path / "tar", ".")
    pack_tree_and_archive(tmp_path, tree, tmp_path / "tar", "--mount-point", "/env", *options)


def test_archive_without_holes_of_a_tree_with_holes(tmp_path):
    tree = make_tree(tmp_path / "tree", 40 * MIB)
    run("tar", "-C", tree, "--format=posix", "-cf", tmp_path / "tar", ".")
    pack_tree_and_archive(tmp_path, tree, tmp_path / "tar", *HUGE)


def test_content_reads_as_it_was(tmp_path):
    tree = make_tree(tmp_path / "tree", 40 * MIB)
    run("tar", "-C", tree, "-S", "--format=posix", "-cf", tmp_path / "tar", ".")
    run(PACK, "-q", "--tar", tmp_path / "tar", "-o", tmp_path / "image")
    run("unsquashfs", "-q", "-n", "-d", tmp_path / "out", tmp_path / "image")
    for name in os.listdir(tree):
        assert digest(tree / name) == digest(tmp_path / "out" / name), name


def test_sparse_files_of_one_size(tmp_path):
    """Files of one size are compared with each other, and that costs no zeros either."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for i in range(6):
        write_sparse(tree / f"file-{i}", TIB, [((i // 2) << 30, b"content of three kinds")])
    run("tar", "-C", tree, "-S", "-cf", tmp_path / "tar", ".", timeout=DEADLINE)
    pack_tree_and_archive(tmp_path, tree, tmp_path / "tar", *HUGE)
    report = run(PACK, "--json", "--tar", tmp_path / "tar", "-o", tmp_path / "again", *HUGE,
                 timeout=DEADLINE)
    assert b'"duplicate_files": 3' in report.stdout


def pax_sparse(name, size, pieces):
    """A member in pax format 0.1, with the map that is given, whatever it says."""
    info = tarfile.TarInfo(name)
    content = b"".join(content for _, content in pieces)
    info.size = len(content)
    table = ",".join(f"{offset},{len(content)}" for offset, content in pieces)
    info.pax_headers = {"GNU.sparse.size": str(size), "GNU.sparse.numblocks": str(len(pieces)),
                        "GNU.sparse.map": table}
    return info, content


def archive_of(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def pack_bytes(data, image):
    return subprocess.run([PACK, "-q", "--tar", "-", "-o", image, *HUGE], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)


def test_map_in_order_is_taken(tmp_path):
    data = archive_of(pax_sparse("file", 3 * MIB + 1, [(5, b"abc"), (8, b"de"), (2 * MIB, b"f"),
                                                      (3 * MIB + 1, b"")]))
    done = pack_bytes(data, tmp_path / "image")
    assert done.returncode == 0, done.stderr
    run("unsquashfs", "-q", "-n", "-d", tmp_path / "out", tmp_path / "image")
    content = (tmp_path / "out" / "file").read_bytes()
    assert len(content) == 3 * MIB + 1
    assert content[5:10] == b"abcde" and content[2 * MIB] == ord("f")
    assert sum(content) == sum(b"abcdef")


@pytest.mark.parametrize("size, pieces, reason", [
    (100, [(50, b"abc"), (10, b"def")], b"its data overlaps"),
    (100, [(10, b"abc"), (12, b"def")], b"its data overlaps"),
    (100, [(98, b"abc")], b"more data than it says"),
    (100, [(101, b"a")], b"more data than it says"),
    (10, [(2**62, b"a")], b"more data than it says")])
def test_maps_that_no_file_has(tmp_path, size, pieces, reason):
    done = pack_bytes(archive_of(pax_sparse("the file", size, pieces)), tmp_path / "image")
    assert done.returncode == 3 and os.listdir(tmp_path) == []
    assert b"the file: " + reason in done.stderr and b"--exclude" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_size_that_no_image_can_hold(tmp_path):
    done = pack_bytes(archive_of(pax_sparse("file", 2**62, [(0, b"a")])), tmp_path / "image")
    assert done.returncode == 1 and b"file: " in done.stderr and os.listdir(tmp_path) == []
