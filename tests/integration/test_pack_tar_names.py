# SPDX-License-Identifier: MIT
"""Names in tar archives that no file can have, and what many or long ones may cost; archives that
expand without end can be stopped."""
import bz2
import gzip
import io
import os
import signal
import struct
import subprocess
import tarfile

import pytest

from pack_support import PACK, names_in, run
from support.processes import status, wait_for

# Of things that take a second or two; with every directory on the way looked at anew, minutes.
DEADLINE = 60


@pytest.fixture(autouse=True)
def needs_archives(tmp_path):
    done = run(PACK, "-q", "--tar", "/dev/null", "-o", tmp_path / "probe", check=False)
    if b"built without libarchive" in done.stderr:
        pytest.skip("built without libarchive")


def archive_of(*names, format=tarfile.GNU_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def pack_bytes(data, image, *options):
    return subprocess.run([PACK, "-q", "-f", "--tar", "-", "-o", image, *options], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE)


def inode_count(image):
    with open(image, "rb") as file:
        return struct.unpack("<4sI", file.read(8))[1]


def refused(data, image, *words):
    done = pack_bytes(data, image)
    assert done.returncode == 1 and not os.path.exists(image), done.stderr
    assert done.stderr.count(b"\n") == 1 and len(done.stderr) < 400
    for word in (b"standard input: ", b"--exclude", *words):
        assert word in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_longest_path(tmp_path, format):
    image = tmp_path / "image"
    deep = "a/" * 2047 + "a"
    assert len(deep) == 4095
    done = pack_bytes(archive_of(deep, format=format), image)
    assert done.returncode == 0, done.stderr
    assert inode_count(image) == 1 + 2048
    # What stands around the path does not count.
    assert pack_bytes(archive_of("./" + deep + "/", "./././" + deep, format=format),
                      image).returncode == 0
    image.unlink()
    for path in (deep + "b", "a/" * 50_000 + "a", "n" * 200 + "/" + "d/" * 2000):
        message = refused(archive_of(path, format=format), image,
                          path[:60].encode() + b"...: the path has ", b"Linux takes 4095")
        assert path[:61].encode() not in message


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_longest_name(tmp_path, format):
    image = tmp_path / "image"
    longest = "n" * 255
    done = pack_bytes(archive_of(longest + "/" + longest, format=format), image)
    assert done.returncode == 0, done.stderr
    assert names_in(image) == [longest, longest + "/" + longest]
    image.unlink()
    for path in ("n" * 256, "d/" + "n" * 256 + "/file", "d/" + "n" * 3000):
        refused(archive_of(path, format=format), image,
                path[:60].encode() + b"...: a name in it has ", b"Linux takes 255")


def test_long_name_is_not_cut_inside_a_character(tmp_path):
    name = "n" * 59 + "\u00e4" * 200
    refused(archive_of(name), tmp_path / "image", b"n" * 59 + b"...: a name in it has 459 bytes")


@pytest.mark.parametrize("slashes", [1, 200_000])
def test_slashes_are_no_names(tmp_path, slashes):
    data = archive_of("/" * slashes + "file" + "/" * (slashes - 1))
    done = pack_bytes(data, tmp_path / "image")
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path / "image") == ["file"]


def test_long_paths_can_be_left_out(tmp_path):
    image = tmp_path / "image"
    data = archive_of("keep", "deep/" + "d/" * 50_000 + "x", "name/" + "n" * 256)
    done = pack_bytes(data, image, "-x", "/deep", "-x", "n" * 256)
    assert done.returncode == 0, done.stderr
    assert names_in(image) == ["keep"]


def link_to(name, target):
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.LNKTYPE, target
    return link


@pytest.mark.parametrize("name, target", [("link", "a/" * 50_000 + "a"),
                                          ("a/" * 50_000 + "l", "file"),
                                          ("link", "n" * 5000)])
def test_links_with_long_names(tmp_path, name, target):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("file"))
        archive.addfile(link_to(name, target))
    for options in ([], ["-x", "*.pyc"]):
        done = pack_bytes(stream.getvalue(), tmp_path / "image", *options)
        assert done.returncode in (1, 3) and len(done.stderr) < 500 and b"--exclude" in done.stderr


def test_many_long_paths_and_patterns(tmp_path):
    """Each is looked at once, not once for each of its 2,000 directories."""
    names = [f"{i:03}/" + "a/" * 2000 + "a" for i in range(200)]
    patterns = [option for i in range(10) for option in ("-x", f"*.{i}", "-x", f"**/b{i}/**/c")]
    done = pack_bytes(gzip.compress(archive_of(*names)), tmp_path / "image", *patterns)
    assert done.returncode == 0, done.stderr
    assert inode_count(tmp_path / "image") == 1 + 200 * 2002


def test_damaged_header_is_no_reason_to_leave_out_a_file(tmp_path):
    data = bytearray(archive_of("first", "second", "third"))
    data[512 + 3] ^= 1
    done = pack_bytes(bytes(data), tmp_path / "image")
    assert done.returncode == 3 and os.listdir(tmp_path) == []
    assert b"standard input: " in done.stderr


def bomb():
    """A member of a tebibyte of zeros: a MiB, and hours to expand."""
    info = tarfile.TarInfo("directory/zeros")
    info.size = 1 << 40
    piece = bz2.compress(bytes(64 << 20))
    return bz2.compress(info.tobuf(tarfile.GNU_FORMAT)) + piece * (info.size >> 26)


@pytest.fixture(scope="module")
def bomb_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("bomb") / "tar.bz2"
    path.write_bytes(bomb())
    return path


def seconds_of_processor(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("options", [[], ["-x", "zeros"], ["-x", "directory/"]],
                         ids=["packed", "left out", "with its directory"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_bombs_can_be_stopped(tmp_path, bomb_file, number, options):
    out = tmp_path / "out"
    out.mkdir()
    with subprocess.Popen([PACK, "--tar", bomb_file, "-o", out / "image", *options],
                          stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as packer:
        def is_caught():
            return int(status(packer.pid).get("SigCgt", "0"), 16) & (1 << (number - 1))
        wait_for(is_caught, "the handler of the signal")
        # It takes a moment to get into the zeros, which have no end that a test could wait for.
        wait_for(lambda: seconds_of_processor(packer.pid) > 0.3, "the zeros")
        packer.send_signal(number)
        assert packer.wait(timeout=10) == 1
        assert b"stopped" in packer.stderr.read()
    assert os.listdir(out) == []
