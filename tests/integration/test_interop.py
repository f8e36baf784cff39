# SPDX-License-Identifier: MIT
"""Images of every writer, read by us in three ways, against what the kernel reads."""

import os
import re
import shutil
import struct
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import trees
from support.digests import assert_same, has_errors, without
from support.processes import check, run
from support.trees import K

CODECS = ["gzip", "xz", "lz4", "zstd", "lzo", "lzma"]
BLOCK_SIZES = [4 * K, 128 * K, 1024 * K]
KERNEL_CODECS = ["gzip", "xz", "lz4", "zstd", "lzo"]

MKSQUASHFS = {
    "default": [],
    "no-fragments": ["-no-fragments"],
    "always-fragments": ["-always-use-fragments"],
    "raw-inodes": ["-noI"],
    "raw-data": ["-noD"],
    "raw-fragments": ["-noF", "-always-use-fragments"],
    "raw-xattrs": ["-noX"],
    "raw-all": ["-noI", "-noD", "-noF", "-noX"],
    "no-export": ["-no-exports"],
    "no-xattrs": ["-no-xattrs"],
    "no-sparse": ["-no-sparse", "-no-duplicates"],
}
# The parts of an image are independent of the codec: each is left raw with every codec once.
EVERY_CODEC = ["default", "no-fragments", "always-fragments"]
ONCE = {4 * K: ["zstd", "lz4"], 128 * K: ["gzip", "lzo"], 1024 * K: ["xz", "lzma"]}
GENSQUASHFS = {"default": [], "no-tails": ["-T"], "export": ["-e"]}

MATRIX = [
    *(("mksquashfs", codec, block_size, variant)
      for codec in CODECS for block_size in BLOCK_SIZES for variant in MKSQUASHFS
      if variant in EVERY_CODEC or codec in ONCE[block_size]),
    *((tool, codec, block_size, variant)
      for tool in ["gensquashfs", "tar2sqfs"]
      for codec in CODECS for block_size in BLOCK_SIZES for variant in GENSQUASHFS
      if variant != "export" or codec in ("gzip", "lz4")),
]


@pytest.fixture(autouse=True)
def _codec_of_this_build(request, programs):
    """The static file has no lzo."""
    codecs = check([programs / "squenv", "--version"]).stdout.split()
    if "lzo" not in codecs and re.search(r"[\[-]lzo[]-]", request.node.name):
        pytest.skip("this build has no lzo")


@pytest.fixture(scope="session")
def nasty_tar(nasty_tree, session_dir):
    archive = session_dir / "nasty.tar"
    subprocess.run(["tar", "--format=pax", "--sparse", "--xattrs", "--xattrs-include=*",
                    "--sort=name", "-C", nasty_tree, "-cf", archive, "."],
                   check=True, stderr=subprocess.DEVNULL)
    return archive


def pack(tool, codec, block_size, variant, image, tree, archive):
    if tool == "mksquashfs":
        return trees.mksquashfs(tree, image, "-comp", codec, "-b", block_size,
                                *MKSQUASHFS[variant])
    options = ["-c", codec, "-b", block_size, *GENSQUASHFS[variant]]
    if tool == "gensquashfs":
        return trees.gensquashfs(tree, image, *options)
    return trees.tar2sqfs(archive, image, *options)


@pytest.fixture
def compare(work, kernel_mounted, tree_digest, image_digest):
    """compare(image, offset=0, option=None, is_copy=False, place=None): our three ways against the
    kernel's, or against what unsquashfs makes of it. Trees are written below `place`."""

    def unsquashed(image, place):
        subprocess.run(["unsquashfs", "-no-progress", "-quiet", "-d", place / "copy", image],
                       check=True, capture_output=True)
        digest = tree_digest(place / "copy")
        shutil.rmtree(place / "copy")
        return digest

    def kernel_view(image, offset):
        with kernel_mounted(image, work.path / "kernel", offset) as at:
            return tree_digest(at)

    def mounted(image, option):
        # By root, to whom the modes of the tree hide nothing.
        mount = work.mount(image, options=f"offset={option}" if option else None, user=False)
        seen = tree_digest(mount.path)
        errors = mount.stats()["errors"]
        mount.umount()
        assert errors == 0
        return seen

    def extracted(image, option, place):
        target = place / "extracted"
        result = work.squenv("extract", *(["--offset", option] if option else []), image, target,
                             user=False)
        assert result.returncode == 0 and "could not be set" not in result.stderr, result.stderr
        seen = tree_digest(target)
        shutil.rmtree(target)
        return seen

    def reduced(digest, is_copy):
        """The nearest to the kernel where the kernel lacks the codec. Directories of a copy are
        counted and dated by the file system they are on; holes are compared elsewhere."""
        return without(without(digest, "nlink", only="directory"), "data") if is_copy else digest

    def compare(image, offset=0, option=None, is_copy=False, place=work.path):
        option = option or (str(offset) if offset else None)
        with ThreadPoolExecutor(2) as pool:  # reads wait for the kernel and the daemon in turn
            expected = (pool.submit(unsquashed, image, place) if is_copy else
                        pool.submit(kernel_view, image, offset))
            views = {"the mount": pool.submit(mounted, image, option),
                     "the library": pool.submit(image_digest, image, *([option] if option else [])),
                     "the extracted tree": pool.submit(extracted, image, option, place)}
        expected = reduced(expected.result(), is_copy)
        assert expected and not has_errors(expected)
        for what, view in views.items():
            actual = reduced(view.result(), is_copy)
            if what == "the extracted tree":
                actual, expected = (without(digest, "nlink", only="directory")
                                    for digest in (actual, expected))
            assert_same(expected, actual, what)

    return compare


@pytest.mark.parametrize("tool,codec,block_size,variant", MATRIX,
                         ids=lambda value: f"{value // K}K" if isinstance(value, int) else value)
def test_same_tree_as_the_kernel(tool, codec, block_size, variant, work, compare, nasty_tree,
                                 nasty_tar):
    image = pack(tool, codec, block_size, variant, work.path / "image", nasty_tree, nasty_tar)
    compare(image, is_copy=codec not in KERNEL_CODECS)


def test_matrix_reads_what_was_packed(nasty_tree, nasty_image, tree_digest, image_digest):
    """The kernel could be wrong as well; the source is not."""
    # mksquashfs stores the names of one symlink as two, and no user.* of the source is lost.
    lost = ("data", "nlink", "link", "xattr:system.")
    assert_same(without(tree_digest(nasty_tree), *lost),
                without(image_digest(nasty_image), *lost), "source")


@pytest.fixture
def memory(work):
    """A place for crowds of files. A journal takes longer to remove them than all of their test."""
    point = work.directory("memory")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2G", "none", point], check=True)
    yield point
    subprocess.run(["umount", point], check=True)


def content_of(index):
    """Every tenth file has one: what crowds are about is in their directories and inodes."""
    return b"%d\n" % index if index % 10 == 0 else b""


def crowded_name(index):
    return f"{'n' * (index % 60)}{index:05}"


@pytest.fixture(scope="module")
def crowd_image(session_dir):
    """One directory of 70,000 files. gensquashfs and tar2sqfs need minutes for such a one."""
    top = session_dir / "crowd"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2G", "none", top], check=True)
    for index in range(70_000):
        with open(top / crowded_name(index), "wb") as file:
            file.write(content_of(index))
    image = trees.mksquashfs(top, session_dir / "crowd.squashfs", "-comp", "zstd")
    subprocess.run(["umount", top], check=True)
    return image


def test_70000_entries_in_one_directory(compare, memory, crowd_image):
    compare(crowd_image, place=memory)


@pytest.fixture
def from_tar(work):
    """from_tar(tool, archive): the image that `tool` makes of it."""

    def make(tool, archive):
        image = work.path / "image"
        if tool == "sqfstar":
            return trees.sqfstar(archive, image, "-comp", "gzip")
        if tool == "tar2sqfs":
            return trees.tar2sqfs(archive, image, "-c", "gzip")
        result = work.squenv("pack", "-q", "--tar", archive, "-o", image, user=False)
        if "libarchive" in result.stderr:
            pytest.skip("built without libarchive")
        assert result.returncode == 0, result.stderr
        return image

    return make


def crowd_of_owners(archive, in_one_directory, count):
    """`count` files of up to 65,000 owners, as many as asked in the root, the rest in others."""

    def entry(name, kind, mode, owner):
        made = tarfile.TarInfo(name)
        made.type, made.mode, made.uid, made.gid = kind, mode, owner, owner
        return made

    # Backwards, because tar2sqfs looks for the place of a name from the first one on.
    names = sorted(map(crowded_name, range(in_one_directory)), reverse=True)
    entries = [(entry(f"d{i:03}", tarfile.DIRTYPE, 0o755, 0), b"")
               for i in range((count - in_one_directory + 499) // 500)]
    entries += [(entry(names[i] if i < in_one_directory else
                       f"d{(i - in_one_directory) // 500:03}/{i}", tarfile.REGTYPE, 0o600,
                       i % 65_000), content_of(i)) for i in range(count)]
    return trees.write_tar(archive, entries)


# In one directory because of its index, of many owners because of the table of ids. The other
# writers need a minute for 70,000 names in one directory of an archive.
@pytest.mark.parametrize("tool,in_one_directory,count", [
    ("squenv", 70_000, 70_000), ("sqfstar", 500, 66_000), ("tar2sqfs", 20_000, 20_000)])
def test_crowds_of_an_archive(tool, in_one_directory, count, work, compare, memory, from_tar):
    archive = crowd_of_owners(work.path / "archive", in_one_directory, count)
    compare(from_tar(tool, archive), place=memory)


@pytest.fixture(scope="session")
def pseudo_image(session_dir):
    """By mksquashfs, whose time grows with the square of the lines."""

    def make(name, lines):
        empty = session_dir / f"{name}-empty"
        empty.mkdir()
        definitions = session_dir / f"{name}-definitions"
        definitions.write_text("\n".join(lines) + "\n")
        return trees.mksquashfs(empty, session_dir / f"{name}.squashfs", "-comp", "gzip", "-pf",
                                definitions)

    return make


def test_lookups_among_70000(work, crowd_image):
    mount = work.mount(crowd_image)
    # Every name is looked up by itself, in a fresh mount, and so are names that are not there.
    script = "import os, sys; print([os.path.lexists(os.fsencode(a)) for a in sys.argv[1:]])"
    names = list(map(crowded_name, range(0, 70_000, 777)))
    missing = ["0", "n", "n" * 61, "zzz", "00000x", "n00000"]
    paths = [mount.path / name for name in names + missing]
    result = run(["/usr/bin/python3", "-c", script, *paths], user=True)
    mount.umount()
    assert result.stdout.strip() == str([True] * len(names) + [False] * len(missing))


def test_65000_owners(work, compare, memory):
    lines = [f"dir /d{i:03} 0755 {i} 0" for i in range(130)]
    lines += [f"nod /d{i // 500:03}/id-{i:05} 0600 {i} {i} c 1 3" for i in range(65_000)]
    listing = work.path / "listing"
    listing.write_text("\n".join(lines) + "\n")
    compare(trees.gensquashfs_list(listing, work.path / "image", "-c", "gzip"),
            place=memory)


def test_names_of_255_bytes_fill_a_directory(work, compare, pseudo_image):
    lines = [f"{i:04}{'x' * 251} c 600 0 0 1 3" for i in range(3000)]
    compare(pseudo_image("names", lines))


def at_offset(image, target, prefix):
    with open(target, "wb") as file:
        file.write(prefix)
        with open(image, "rb") as source:
            shutil.copyfileobj(source, file)
    return target


@pytest.mark.parametrize("offset", [512, 4096, 1_000_448])
def test_image_at_an_offset(offset, work, compare, nasty_image):
    compare(at_offset(nasty_image, work.path / "image", trees.noise(offset)), offset)


def test_image_at_an_odd_offset(work, nasty_image, image_digest):
    """Loop devices cannot do this; the plain image is the oracle."""
    image = at_offset(nasty_image, work.path / "image", b"#!/bin/sh\n")
    assert_same(image_digest(nasty_image), image_digest(image, "10"), "offset 10")


def test_appimage_without_the_option_says_what_it_is(work, nasty_image):
    with open("/bin/true", "rb") as program:
        image = at_offset(nasty_image, work.path / "image", program.read())
    result = work.squenv("info", image)
    assert result.returncode == 1 and "AppImage" in result.stderr
    assert "offset=auto" in result.stderr


def read_by(work, tree_digest, image, option=None):
    mount = work.mount(image, options=f"offset={option}" if option else None, user=False)
    seen = tree_digest(mount.path)
    mount.umount()
    return seen


def test_appimage_has_the_same_tree(work, nasty_image, tree_digest, image_digest):
    with open("/bin/true", "rb") as program:
        image = at_offset(nasty_image, work.path / "image", program.read())
    expected = image_digest(nasty_image)
    assert_same(expected, image_digest(image, "auto"), "the library")
    assert_same(expected, read_by(work, tree_digest, image, "auto"),
                "the mount")


def make_sif(image, target):
    """A header, two descriptors (a definition file, the partition), the image at 8192."""
    size = os.path.getsize(image)
    header = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0"
    header += b"02\0" + bytes(16)
    header += struct.pack("<8q", 0, 0, 46, 48, 4096, 48 * 585, 32768 + 4096, size)

    def descriptor(kind, offset, length, extra):
        text = struct.pack("<iBIIIqqqqqqq", kind, 1, 1, 0xF0000001, 0, offset, length, length, 0,
                           0, 0, 0)
        return (text + b"name".ljust(128, b"\0") + extra).ljust(585, b"\0")

    with open(target, "wb") as file:
        file.write(header.ljust(4096, b"\0"))
        file.write(descriptor(0x4001, 32768, 10, b""))
        file.write(descriptor(0x4004, 40960, size, struct.pack("<ii", 1, 2)))
        file.seek(32768)
        file.write(b"bootstrap:")
        file.seek(40960)
        with open(image, "rb") as source:
            shutil.copyfileobj(source, file)
    return target


def test_sif(work, compare, nasty_image):
    compare(make_sif(nasty_image, work.path / "image"), offset=40960, option="auto")


def test_sif_without_the_option_says_what_it_is(work, nasty_image):
    result = work.squenv("info", make_sif(nasty_image, work.path / "image"))
    assert result.returncode == 1 and "SIF" in result.stderr and "offset=auto" in result.stderr


def test_streamed_image(work, nasty_image, tree_digest, image_digest):
    """What mksquashfs -stream writes: the superblock is at the end."""
    content = bytearray(nasty_image.read_bytes())
    superblock = bytes(content[:96])
    content[:96] = b"HSQS" + bytes(92)
    image = work.path / "image"
    image.write_bytes(bytes(content) + superblock)
    expected = image_digest(nasty_image)
    assert_same(expected, image_digest(image), "the library")
    seen = read_by(work, tree_digest, image)
    assert_same(expected, seen, "the mount")
    assert '"streamed": true' in work.squenv("info", "--json", image).stdout


def test_junk_behind_the_image(work, compare, nasty_image):
    image = at_offset(nasty_image, work.path / "image", b"")
    with open(image, "ab") as file:
        file.write(trees.noise(100_000))
    compare(image)


def test_image_cut_to_bytes_used(work, nasty_image, tree_digest, image_digest):
    """The kernel wants the padding; we do not."""
    content = nasty_image.read_bytes()
    (used,) = struct.unpack_from("<Q", content, 40)
    assert used < len(content)
    image = work.path / "image"
    image.write_bytes(content[:used])
    expected = image_digest(nasty_image)
    assert_same(expected, image_digest(image), "the library")
    seen = read_by(work, tree_digest, image)
    assert_same(expected, seen, "the mount")
