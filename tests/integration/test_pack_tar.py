# SPDX-License-Identifier: MIT
"""Packing tar streams: every kind that is complete, and none that is not."""
import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import signal
import subprocess
import tarfile

import pytest

from pack_support import (IS_ROOT, PACK, assert_same, codecs, describe, kernel_mount, make_random,
                          make_zoo, names_in, run)
from support.processes import status, wait_for

needs_root = pytest.mark.skipif(not IS_ROOT, reason="mounting and owners need root")
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
COMPRESS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress,
            "zstd": lambda data: run("zstd", "-q", "-c", input=data).stdout}
if shutil.which("zstd") is None:
    del COMPRESS["zstd"]
BLOCK = 512
MARK = bytes(2 * BLOCK)
END_IS_MISSING = b"stops between two files, without the mark of its end; "


@pytest.fixture(autouse=True)
def needs_archives(tmp_path):
    done = run(PACK, "-q", "--tar", "/dev/null", "-o", tmp_path / "probe", check=False)
    if b"built without libarchive" in done.stderr:
        pytest.skip("built without libarchive")


def make_archive(format="ustar", prefix=""):
    """An archive and the places where one of its files ends and the next one begins."""
    stream = io.BytesIO()
    # The last bytes of "zeros" look like the mark of the end, and are not.
    contents = {"first": b"x" * 700, "zeros": b"1" + bytes(5119), "empty": b"",
                "full": b"y" * BLOCK, "last": b"z"}
    with tarfile.open(fileobj=stream, mode="w", format=FORMATS[format]) as archive:
        for number, (name, content) in enumerate(contents.items()):
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            # A fraction of a second makes pax headers.
            info.mtime = number + 0.5 if format == "pax" else number
            archive.addfile(info, io.BytesIO(content))
    data = stream.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    ends = [m.offset_data + -(-m.size // BLOCK) * BLOCK for m in members]
    headers = [m.offset_data - BLOCK for m in members]
    assert data[:ends[-1]] + bytes(len(data) - ends[-1]) == data
    return data, ends, headers


def pack_bytes(data, image):
    done = subprocess.run([PACK, "-q", "-f", "--tar", "-", "-o", image], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if done.returncode != 0:
        assert os.listdir(os.path.dirname(image)) == []
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"squenv-pack: standard input: ")
    return done


def packs(data, image):
    done = pack_bytes(data, image)
    assert done.returncode == 0, done.stderr
    return names_in(image)


ALL = ["empty", "first", "full", "last", "zeros"]


@needs_root
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_packing_an_archive(tmp_path, compression):
    zoo = make_zoo(str(tmp_path / "zoo"))
    options = ["--gzip"] if compression else []
    run("tar", "-C", zoo, "--xattrs", "--xattrs-include=*", "--format=posix", "-S", *options, "-cf",
        tmp_path / "archive", "--exclude=./socket", ".")
    run(PACK, "-q", "--tar", tmp_path / "archive", "-o", tmp_path / "image", "--verify")
    expected = {path: facts for path, facts in describe(zoo).items() if path != b"socket"}
    with kernel_mount(tmp_path / "image") as point:
        assert_same(expected, describe(point))
    with open(tmp_path / "archive", "rb") as stream:
        run(PACK, "-q", "--tar", "-", "-o", tmp_path / "piped", stdin=stream)
    assert (tmp_path / "piped").read_bytes() == (tmp_path / "image").read_bytes()


@pytest.mark.parametrize("keep", [0, 100, 512, 700, 20000])
def test_archives_that_are_cut_off(tmp_path, keep):
    tree = make_random(str(tmp_path / "tree"), 3)
    run("tar", "-C", tree, "-cf", tmp_path / "archive", ".")
    os.truncate(tmp_path / "archive", keep)
    done = run(PACK, "-q", "--tar", tmp_path / "archive", "-o", tmp_path / "image", check=False)
    assert done.returncode == 3 and os.fsencode(tmp_path / "archive") in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["archive", "tree"]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("format", FORMATS)
def test_cut_between_two_files(tmp_path, format, compression):
    data, ends, headers = make_archive(format)
    (tmp_path / "out").mkdir()
    image = tmp_path / "out" / "image"
    if compression == "plain":
        cuts = ends + [header for header in headers if header not in ends and header > 0]
        if format == "pax":
            assert len(cuts) == 2 * len(ends)  # also between a pax header and its file
    else:
        cuts = ends[1:2]
    for cut in cuts:
        done = pack_bytes(COMPRESS[compression](data[:cut]), image)
        assert done.returncode == 3, cut
        # In front of its file a pax header is a part of it, and libarchive sees that.
        assert END_IS_MISSING in done.stderr or cut not in ends, cut
    assert packs(COMPRESS[compression](data), image) == ALL


@pytest.mark.parametrize("tail", [MARK, bytes(BLOCK), bytes(10240), bytes(3 << 20), bytes(700),
                                  MARK + b"left in the buffer of an old tar" * 100],
                         ids=["mark", "lone block", "record", "much", "odd", "garbage"])
def test_ends_that_are_complete(tmp_path, tail):
    data, ends, _ = make_archive()
    assert packs(data[:ends[-1]] + tail, tmp_path / "image") == ALL


@pytest.mark.parametrize("size", [1, BLOCK - 1])
def test_part_of_the_mark_is_none(tmp_path, size):
    data, ends, _ = make_archive()
    (tmp_path / "out").mkdir()
    assert pack_bytes(data[:ends[-1]] + bytes(size), tmp_path / "out" / "image").returncode == 3


@pytest.mark.parametrize("zeros", [bytes(BLOCK), MARK, bytes(10240), bytes(2 << 20)],
                         ids=["lone block", "mark", "record", "much"])
def test_archives_joined_by_cat(tmp_path, zeros):
    """What unpacks as the first one alone is not packed as if that were all."""
    (tmp_path / "out").mkdir()
    data, ends, _ = make_archive()
    second, _, _ = make_archive("pax", prefix="second-")
    done = pack_bytes(data[:ends[-1]] + zeros + second, tmp_path / "out" / "image")
    assert done.returncode == 1 and b"more files follow behind the end" in done.stderr
    assert b"tar --concatenate" in done.stderr


def test_archives_joined_by_tar(tmp_path):
    for name, prefix in (("a", ""), ("b", "other-")):
        (tmp_path / name).write_bytes(make_archive("gnu", prefix)[0])
    run("tar", "--concatenate", "-f", tmp_path / "a", tmp_path / "b")
    run(PACK, "-q", "--tar", tmp_path / "a", "-o", tmp_path / "image")
    assert names_in(tmp_path / "image") == sorted(ALL + ["other-" + name for name in ALL])


@pytest.mark.parametrize("compression", [name for name in COMPRESS if name != "plain"])
def test_compressed_stream_cut_behind_the_mark(tmp_path, compression):
    """All files are there, but whether they are right, only the lost end could have told."""
    (tmp_path / "out").mkdir()
    data = COMPRESS[compression](make_archive()[0])
    for lost in (1, 4):
        assert pack_bytes(data[:-lost], tmp_path / "out" / "image").returncode == 3


@pytest.mark.parametrize("piece", [1, 100, 511, 513])
def test_pipes_that_deliver_little_at_a_time(tmp_path, piece):
    data, ends, _ = make_archive()
    (tmp_path / "out").mkdir()
    for tail, status in ((b"", 3), (bytes(BLOCK), 0), (MARK, 0)):
        image = tmp_path / "out" / "image"
        packer = subprocess.Popen([PACK, "-q", "-f", "--tar", "-", "-o", image],
                                  stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        stream = data[:ends[-1]] + tail
        for at in range(0, len(stream), piece):
            os.write(packer.stdin.fileno(), stream[at:at + piece])
        _, message = packer.communicate(timeout=60)
        assert packer.returncode == status, message


def test_cut_behind_a_long_name(tmp_path):
    """A name of 512 bytes and its NUL: the last block of the header that holds it is of zeros."""
    (tmp_path / "out").mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("first"))
        archive.addfile(tarfile.TarInfo("/".join(["d" * 63] * 8) + "e"))
    data = stream.getvalue()
    cut = BLOCK + 3 * BLOCK
    assert data[cut - BLOCK:cut] == bytes(BLOCK) and any(data[cut:cut + BLOCK])
    assert pack_bytes(data[:cut], tmp_path / "out" / "image").returncode == 3


def test_global_pax_headers(tmp_path):
    """As git makes them; one alone is an archive without files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT,
                      pax_headers={"comment": "0" * 40}) as archive:
        archive.addfile(tarfile.TarInfo("file"))
    assert packs(stream.getvalue(), tmp_path / "image") == ["file"]
    (tmp_path / "out").mkdir()
    assert pack_bytes(stream.getvalue()[:2 * BLOCK], tmp_path / "out" / "image").returncode == 3


@pytest.mark.parametrize("uid, gid", [(2**32, 0), (0, 2**32 + 7), (2**32 - 1, 0)])
def test_ids_that_no_image_can_hold(tmp_path, uid, gid):
    """Cut off, the first of them would be root."""
    info = tarfile.TarInfo("file")
    info.uid, info.gid, info.mode = uid, gid, 0o4755
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    (tmp_path / "tar").write_bytes(stream.getvalue())
    refused = run(PACK, "--tar", tmp_path / "tar", "-o", tmp_path / "image", check=False)
    assert refused.returncode == 1 and b"file belongs to id" in refused.stderr
    run(PACK, "--tar", tmp_path / "tar", "-o", tmp_path / "image", "--owner", "root")


def test_link_to_what_is_excluded(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("tests/x"))
        link = tarfile.TarInfo("y")
        link.type, link.linkname = tarfile.LNKTYPE, "tests/x"
        archive.addfile(link)
    (tmp_path / "tar").write_bytes(stream.getvalue())
    refused = run(PACK, "--tar", tmp_path / "tar", "-o", tmp_path / "image", "-x", "tests/",
                  check=False)
    assert refused.returncode == 2
    assert b"y is a link to tests/x, which is excluded" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_for_an_archive_can_be_stopped(tmp_path, number):
    with subprocess.Popen([PACK, "--tar", "-", "-o", tmp_path / "image"], stdin=subprocess.PIPE,
                          stderr=subprocess.PIPE,
                          preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as packer:
        def is_caught():
            return int(status(packer.pid).get("SigCgt", "0"), 16) & (1 << (number - 1))
        wait_for(is_caught, "the handler of the signal")
        packer.send_signal(number)
        assert packer.wait(timeout=20) == 1
        assert b"standard input: stopped" in packer.stderr.read()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("names", [["../evil"], ["d", "d/file"]])
def test_names_that_no_tree_has(tmp_path, names):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    (tmp_path / "out").mkdir()
    refused = pack_bytes(stream.getvalue(), tmp_path / "out" / "image")
    assert refused.returncode == 3 and names[-1].encode() in refused.stderr
    assert b"standard input: " in refused.stderr and b"--exclude" in refused.stderr


def packs_as(data, image, status, message=b""):
    image.unlink(missing_ok=True)
    done = pack_bytes(data, image)
    assert done.returncode == status and message in done.stderr, done.stderr


def test_checksum_of_gzip(tmp_path):
    """libarchive inflates what it can and does not look at the end."""
    if "gzip" not in codecs():
        pytest.skip("built without libdeflate")
    (tmp_path / "out").mkdir()
    image = tmp_path / "out" / "image"
    info = tarfile.TarInfo("noise")
    info.size = 300_000
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(info, io.BytesIO(random.Random(1).randbytes(info.size)))
    data = stream.getvalue()
    whole = gzip.compress(data)
    packs_as(whole, image, 0)
    flipped = bytearray(whole)
    flipped[150_000] ^= 1  # stored as it is, because noise does not get smaller
    packs_as(bytes(flipped), image, 3, b"the checksum of the gzip file")
    packs_as(whole[:-8] + bytes(8), image, 3, b"the checksum of the gzip file")
    # Padding, joined members and a second compression are none of this.
    packs_as(whole + bytes(1024), image, 0)
    middle = len(data) // 2
    packs_as(gzip.compress(data[:middle]) + gzip.compress(data[middle:]), image, 0)
    packs_as(gzip.compress(lzma.compress(data)), image, 0)
