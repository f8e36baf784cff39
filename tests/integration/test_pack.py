# SPDX-License-Identifier: MIT
"""Images of the packer from directories and images, judged by the readers that exist."""
import functools
import os
import random
import shutil

import pytest

from pack_support import (IS_ROOT, PACK, SQUENV, assert_same, codecs, describe, kernel_mount,
                          make_random, make_zoo, memory, names_in, pack, run, squashfuse_mount)

CODECS = codecs()
needs_root = pytest.mark.skipif(not IS_ROOT, reason="mounting and owners need root")
needs_reader = pytest.mark.skipif(not os.path.exists(SQUENV), reason="built without the reader")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return make_zoo(str(tmp_path_factory.mktemp("zoo") / "tree"))


@pytest.fixture(scope="module")
def zoo_facts(zoo):
    return describe(zoo)


@pytest.fixture(scope="module")
def packed(zoo, tmp_path_factory):
    """packed(codec): its image, made once for all its readers."""

    @functools.cache
    def image_of(codec):
        image = tmp_path_factory.mktemp("packed") / "image"
        pack(zoo, image, "--codec", codec)
        return image

    return image_of


@needs_root
@pytest.mark.parametrize("block_size", ["4K", "128K", "1M"])
@pytest.mark.parametrize("codec", CODECS)
def test_kernel_reads_what_was_packed(zoo, zoo_facts, tmp_path, codec, block_size):
    image = tmp_path / "image"
    pack(zoo, image, "--codec", codec, "-b", block_size)
    with kernel_mount(image) as point:
        assert_same(zoo_facts, describe(point))


@needs_root
@pytest.mark.parametrize("options", [["--no-fragments"], ["--no-duplicates"], ["--no-appendix"],
                                     ["--level", "12", "-b", "1M"], ["--memory", "1M"],
                                     ["--codec", "lz4", "--level", "9"],
                                     ["--codec", "gzip", "--level", "1"],
                                     *([["--codec", "lzo", "--level", "1"]] * ("lzo" in CODECS)),
                                     ["--codec", "xz", "--level", "0"]])
def test_options_do_not_change_the_content(zoo, zoo_facts, tmp_path, options):
    image = tmp_path / "image"
    pack(zoo, image, *options)
    with kernel_mount(image) as point:
        assert_same(zoo_facts, describe(point))


@needs_root
@pytest.mark.parametrize("codec", CODECS)
def test_unsquashfs_extracts_the_tree(packed, zoo_facts, tmp_path, codec):
    image = packed(codec)
    run("unsquashfs", "-no-progress", "-quiet", "-d", tmp_path / "out", image)
    assert_same(zoo_facts, describe(tmp_path / "out"))
    assert run("unsquashfs", "-lls", image).stdout.count(b"entry-with-a-longer-name-") == 1500
    assert b"Block size 262144" in run("unsquashfs", "-s", image).stdout


@pytest.mark.parametrize("codec", CODECS)
def test_rdsquashfs_unpacks_the_contents(zoo, zoo_facts, tmp_path, codec):
    image = tmp_path / "image"
    # It stops at what it cannot create.
    pack(zoo, image, "--codec", codec, "-x", "socket", "-x", "fifo", "-x", "/block", "-x", "/char",
         "-x", "longest-link")
    with memory() as out:  # it syncs every file
        run("rdsquashfs", "-q", "-p", out, "-u", "/", image)
        unpacked = describe(out)
    for path, facts in zoo_facts.items():
        if "content" in facts:
            assert unpacked[path]["content"] == facts["content"], path


@needs_root
@pytest.mark.parametrize("codec", ["zstd", "gzip", "xz", "lz4"])
def test_squashfuse_serves_the_tree(packed, zoo_facts, codec):
    image = packed(codec)
    with squashfuse_mount(image) as point:
        # Debian's version confuses trusted and security.
        assert_same(zoo_facts, describe(point, ("user.",)), without=("xattrs",))
        assert os.getxattr(os.path.join(point, "small"), "user.shared") == bytes(range(200))


@needs_reader
@pytest.mark.parametrize("codec", CODECS)
def test_own_reader_verifies(packed, codec):
    run(SQUENV, "verify", packed(codec))


@needs_root
def test_holes_are_holes(zoo, tmp_path):
    image = tmp_path / "image"
    pack(zoo, image)
    with kernel_mount(image) as point:
        hole = os.stat(os.path.join(point, "hole"))
        assert hole.st_size == 3 << 20 and hole.st_blocks * 512 < 4096
        assert os.stat(os.path.join(point, "sparse")).st_blocks * 512 < 1 << 20


def test_holes_are_not_read(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    with open(tree / "huge", "wb") as file:
        file.seek(1 << 40)
        file.write(b"end")
    pack(tree, tmp_path / "image", timeout=60)
    assert os.stat(tmp_path / "image").st_size < 64 << 20


@needs_root
@pytest.mark.parametrize("seed", range(8))
def test_random_trees(tmp_path, seed):
    seed = int(os.environ.get("SQUENV_SEED", "20260101")) + seed
    print("SQUENV_SEED", seed)
    rng = random.Random(seed)
    tree = make_random(str(tmp_path / "tree"), seed)
    options = ["--codec", rng.choice(CODECS), "-b", rng.choice(["4K", "8K", "64K", "128K", "1M"]),
               "--jobs", str(rng.randrange(1, 5)), "--readers", str(rng.randrange(1, 9))]
    if rng.random() < 0.3:
        options.append("--no-fragments")
    pack(tree, tmp_path / "image", *options)
    with kernel_mount(tmp_path / "image") as point:
        assert_same(describe(tree), describe(point))


def copy_backwards(source, target):
    """Same tree, created the other way round, so that readdir and inode numbers differ."""
    os.makedirs(target)
    for entry in sorted(os.scandir(source), key=lambda e: e.name, reverse=True):
        there = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            copy_backwards(entry.path, there)
        else:
            shutil.copy2(entry.path, there, follow_symlinks=False)
    shutil.copystat(source, target)


def test_same_bytes_for_any_number_of_threads(zoo, tmp_path):
    images = set()
    for options in (["--jobs", "1", "--readers", "1"], ["--jobs", "2"],
                    ["--jobs", "16", "--readers", "16"], ["--memory", "1M"]):
        pack(zoo, tmp_path / "image", *options)
        images.add((tmp_path / "image").read_bytes())
    assert len(images) == 1


def test_same_bytes_from_a_copy_in_another_order(tmp_path):
    tree = make_random(str(tmp_path / "tree"), 7, has_links=False)
    copy = str(tmp_path / "elsewhere" / "copy")
    copy_backwards(tree, copy)
    pack(tree, tmp_path / "a", "--mount-point", "/same")
    pack(copy, tmp_path / "b", "--mount-point", "/same")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_duplicates_are_stored_once(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    content = random.Random(3).randbytes(2_500_000)
    for i in range(20):
        (tree / f"large-{i}").write_bytes(content)
        (tree / f"small-{i}").write_bytes(content[:5000])
    pack(tree, tmp_path / "image")
    assert os.stat(tmp_path / "image").st_size < 2_600_000


@needs_reader
def test_kinds_of_files_are_compressed_in_their_own_way(tmp_path):
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefgh", k=rng.randint(2, 9))) for _ in range(3000)]
    content = " ".join(rng.choices(words, k=200_000)).encode()
    sizes = {}
    for name in ("a.so", "a.pyc", "a.bin"):
        tree = tmp_path / name
        tree.mkdir()
        (tree / name).write_bytes(content)
        pack(tree, tmp_path / "image", "-b", "128K")
        assert run(SQUENV, "cat", tmp_path / "image", name).stdout == content
        sizes[name] = os.path.getsize(tmp_path / "image")
    assert len(set(sizes.values())) == 3, sizes


@needs_root
def test_full_metadata_blocks(tmp_path):
    """Tables whose last block is exactly full: 1024 inodes, 2048 ids, 512 fragments."""
    tree = tmp_path / "tree"
    tree.mkdir()
    rng = random.Random(5)
    for i in range(1023):
        (tree / f"f{i:04}").write_bytes(rng.randbytes(2000))
        os.chown(tree / f"f{i:04}", 100000 + i, 200000 + i)
    os.chown(tree, 1, 2)
    pack(tree, tmp_path / "image", "-b", "4K")
    facts = run("unsquashfs", "-s", tmp_path / "image").stdout
    assert b"Number of inodes 1024" in facts and b"Number of ids 2048" in facts
    assert b"Number of fragments 512" in facts
    run("unsquashfs", "-no-progress", "-quiet", "-d", tmp_path / "out", tmp_path / "image")
    with kernel_mount(tmp_path / "image") as point:
        assert_same(describe(tree), describe(point))


def test_large_directory_has_an_index(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    names = [f"module_{i:06}_with_a_name.py" for i in range(20000)]
    for name in names:
        (tree / name).touch()
    pack(tree, tmp_path / "image", "--codec", "lz4")
    assert names_in(tmp_path / "image") == names
    if IS_ROOT:
        with kernel_mount(tmp_path / "image") as point:
            assert sorted(os.listdir(point)) == names
            assert all(os.path.exists(os.path.join(point, name)) for name in names[::97])
            assert not os.path.exists(os.path.join(point, "module_x"))


def test_empty_tree(tmp_path):
    (tmp_path / "tree").mkdir()
    pack(tmp_path / "tree", tmp_path / "image")
    assert names_in(tmp_path / "image") == []
    if IS_ROOT:
        with kernel_mount(tmp_path / "image") as point:
            assert os.listdir(point) == []


def test_excludes(tmp_path):
    tree = tmp_path / "tree"
    for path in ("keep/a.py", "keep/a.tmp", "b.tmp", "logs/x.log", "deep/logs/y.log",
                 "only/top.txt", "deep/only/top.txt", "important.tmp", "doc/a/b/c.md"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)
    (tmp_path / "patterns").write_text("# a comment\n*.tmp\n!important.tmp\nlogs/\n\n/only\n")
    pack(tree, tmp_path / "image", "--exclude-from", tmp_path / "patterns", "-x", "doc/**/c.md")
    assert names_in(tmp_path / "image") == [
        "deep", "deep/only", "deep/only/top.txt", "doc", "doc/a", "doc/a/b", "important.tmp",
        "keep", "keep/a.py"]


def test_owner_and_times(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, mtime in (("old", 1000), ("new", 2_000_000_000)):
        (tree / name).write_text(name)
        os.utime(tree / name, (0, mtime))
    env = dict(os.environ, TZ="UTC")
    pack(tree, tmp_path / "a", "--owner", "12:34", "--mtime", "77")
    listing = run("unsquashfs", "-lln", tmp_path / "a", env=env).stdout.decode()
    assert listing.count("12/34") == 3 and listing.count("1970-01-01 00:01") == 3
    env["SOURCE_DATE_EPOCH"] = "1500000000"
    pack(tree, tmp_path / "b", "--owner", "root", env=env)
    listing = run("unsquashfs", "-lln", tmp_path / "b", env=env).stdout.decode()
    assert listing.count("0/0") == 3
    assert "1970-01-01 00:16 squashfs-root/old" in listing
    assert "2017-07-14 02:40 squashfs-root/new" in listing
    assert b"Jul 14 02:40:00 2017" in run("unsquashfs", "-s", tmp_path / "b", env=env).stdout


def test_output_inside_the_tree_is_skipped(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    for _ in range(2):
        pack(tree, tree / "image")
        assert names_in(tree / "image") == ["file"]


@needs_root
def test_one_file_system(tmp_path):
    tree = tmp_path / "tree"
    (tree / "other").mkdir(parents=True)
    run("mount", "-t", "tmpfs", "none", tree / "other")
    try:
        (tree / "other" / "file").write_text("x")
        pack(tree, tmp_path / "with")
        pack(tree, tmp_path / "without", "-X")
    finally:
        run("umount", tree / "other")
    assert names_in(tmp_path / "with") == ["other", "other/file"]
    assert names_in(tmp_path / "without") == ["other"]


def test_paths_longer_than_path_max(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w") as file:
        file.write("far down")
    os.close(here)
    pack(tree, tmp_path / "image")
    assert b"/file" in run("unsquashfs", "-l", tmp_path / "image").stdout
    run("rm", "-r", tree)


def test_verify_reads_the_image_back(zoo, tmp_path):
    pack(zoo, tmp_path / "image", "--verify")
    pack(zoo, tmp_path / "blocks", "--verify", "-b", "4K", "--codec", "lz4", "--no-duplicates")


@needs_root
@pytest.mark.parametrize("options", [[], ["--codec", "xz", "-b", "4K"], ["--no-fragments"]])
def test_repacking_an_image(zoo, zoo_facts, tmp_path, options):
    run("mksquashfs", zoo, tmp_path / "other", "-comp", "gzip", "-b", "64K", "-no-progress")
    run(PACK, "-q", "--from-image", tmp_path / "other", "-o", tmp_path / "image", "--verify",
        *options)
    with kernel_mount(tmp_path / "image") as point:
        assert_same(zoo_facts, describe(point))


def test_repacking_gives_the_image_of_the_tree(zoo, tmp_path):
    pack(zoo, tmp_path / "first", "--codec", "lz4", "-b", "16K", "--mount-point", "/there")
    pack(zoo, tmp_path / "direct", "--mount-point", "/there")
    run(PACK, "-q", "--from-image", tmp_path / "first", "-o", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "direct").read_bytes()


@needs_reader
def test_damaged_images_are_not_repacked_as_sound_ones(tmp_path):
    """Bytes that still decode would get digests of their own."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("good", "bad"):
        (tree / name).write_bytes(name.encode() * 5000)
    image, again = tmp_path / "image", tmp_path / "again"
    pack(tree, image, "--codec", "none", "--no-fragments")
    content = image.read_bytes()
    image.write_bytes(content.replace(b"badbad", b"bedbad", 1))
    refused = run(PACK, "--from-image", image, "-o", again, check=False)
    assert refused.returncode == 3 and b"bad: stored bytes differ" in refused.stderr
    assert not again.exists()
    left_out = run(PACK, "--from-image", image, "-o", again, "--ignore-unreadable")
    assert b"bad: stored bytes differ" in left_out.stderr and names_in(again) == ["good"]
    excluded = run(PACK, "--from-image", image, "-f", "-o", again, "-x", "bad")
    assert b"bad" not in excluded.stderr and names_in(again) == ["good"]


@needs_reader
def test_image_without_a_readable_root_is_not_repacked(tmp_path):
    image = tmp_path / "image"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("content", encoding="ascii")
    pack(tmp_path / "tree", image, "--no-appendix")
    content = bytearray(image.read_bytes())
    directories = int.from_bytes(content[72:80], "little")
    content[directories:directories + 2] = b"\xff\x7f"  # the size of the block
    image.write_bytes(content)
    for option in [[], ["--ignore-unreadable"]]:
        refused = run(PACK, "--from-image", image, "-o", tmp_path / "again", *option, check=False)
        assert refused.returncode == 3 and b": /: directory" in refused.stderr, refused.stderr
    assert not (tmp_path / "again").exists()


def test_values_that_cannot_be_meant(tmp_path):
    (tmp_path / "tree").mkdir()
    for words in (["-o", ""], ["--level", ""], ["--mtime", ""], ["--warm", ""],
                  ["--mount-point", ""], ["--mount-point", "relative"],
                  ["--mount-point", b"/bad\xff"], ["--tar", ""],
                  ["--owner", "4294967295:0"], ["--owner", "0:4294967295"],
                  ["--level", "3", "--codec", "none"], ["--mount-point", "/x", "--no-appendix"]):
        refused = run(PACK, tmp_path / "tree", *words, check=False)
        assert refused.returncode == 2, (words, refused.stderr)
    assert os.listdir(tmp_path) == ["tree"]


@needs_reader
def test_path_that_is_not_utf8_is_not_recorded(tmp_path):
    tree = os.fsencode(tmp_path) + b"/bad\xff"
    os.mkdir(tree)
    done = run(PACK, tree, "-o", tmp_path / "image")
    assert b"is not UTF-8 and is not recorded" in done.stderr
    assert b"mount point  \n" in run(SQUENV, "info", tmp_path / "image").stdout


@needs_reader
def test_verify_names_the_file_that_was_damaged(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    rng = random.Random(1)
    contents = {name: rng.randbytes(300_000) for name in ("first", "second", "third")}
    for name, content in contents.items():
        (tree / name).write_bytes(content)
    (tree / "small").write_bytes(rng.randbytes(5000))
    pack(tree, tmp_path / "image")
    image = bytearray((tmp_path / "image").read_bytes())
    at = image.index(contents["second"][:64])  # random bytes are stored as they are
    image[at + 1000] ^= 1
    (tmp_path / "image").write_bytes(image)
    done = run(SQUENV, "verify", tmp_path / "image", check=False)
    assert done.returncode == 3
    assert b"second: stored bytes differ" in done.stderr
    assert b"first" not in done.stderr and b"small" not in done.stderr
    image[at + 1000] ^= 1
    image[8] ^= 1  # time of the superblock
    (tmp_path / "image").write_bytes(image)
    done = run(SQUENV, "verify", tmp_path / "image", check=False)
    assert done.returncode == 3 and b"metadata at 0" in done.stderr
