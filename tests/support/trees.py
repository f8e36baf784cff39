# SPDX-License-Identifier: MIT
"""Small trees with everything in them that a file system can get wrong."""

import io
import os
import random
import socket
import subprocess
import tarfile

K = 1024
SEED = 20240229
BIG_TIMES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1]
# glibc gives the memory of an xz encoder back after every block and gets it again page by page,
# which takes longer than the compression.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}


def compressible(size, seed=0):
    unit = b"".join(b"%d line %d of a text\n" % (seed, i % 97) for i in range(200))
    return (unit * (size // len(unit) + 1))[:size]


def noise(size, seed=0):
    return random.Random(SEED + seed).randbytes(size)


def write(path, content, mode=0o644, mtime=1_600_000_000, owner=(0, 0)):
    with open(path, "wb") as file:
        file.write(content)
    os.chown(path, *owner)
    os.chmod(path, mode)
    os.utime(path, (mtime, mtime))


def write_sparse(path, size, parts):
    """`parts`: {offset: bytes}; the rest is a hole."""
    with open(path, "wb") as file:
        for offset, content in parts.items():
            file.seek(offset)
            file.write(content)
        file.truncate(size)


def set_xattr(path, name, value, follow=False):
    os.setxattr(path, name, value, follow_symlinks=follow)


def make_random_files(top, choose, directories, files, most_bytes):
    """top/dN/fN; `choose` is a random.Random."""
    for number in range(directories):
        directory = top / f"d{number}"
        directory.mkdir(parents=True)
        for name in range(files):
            (directory / f"f{name}").write_bytes(choose.randbytes(choose.randrange(most_bytes)))


def make_nasty_tree(top):
    """Needs root. About 4 MB; deterministic."""
    print(f"tree seed {SEED}")
    os.makedirs(top)
    top = os.fspath(top)
    at = lambda *names: os.path.join(top, *names)  # noqa: E731
    os.mkdir(at("sizes"))
    for size in [0, 1, 4095, 4096, 4097, 8192, 12288, 65536, 128 * K - 1, 128 * K, 128 * K + 1,
                 256 * K, 300_000]:
        write(at("sizes", f"text-{size}"), compressible(size, size))
    for size in [1, 4095, 4096, 4097, 128 * K, 130_000]:
        write(at("sizes", f"noise-{size}"), noise(size, size))
    for size in [1024 * K - 1, 1024 * K, 1024 * K + 1]:
        write(at("sizes", f"large-{size}"), compressible(size))
    write(at("sizes", "twin-1"), compressible(200_000, 5))
    write(at("sizes", "twin-2"), compressible(200_000, 5))
    os.mkdir(at("modes"))
    for mode in [0, 0o111, 0o444, 0o755, 0o4755, 0o2755, 0o1644, 0o7777]:
        write(at("modes", f"{mode:04o}"), b"%o" % mode, mode=mode)
    for mode in [0, 0o1777, 0o2755]:
        os.mkdir(at("modes", f"dir-{mode:04o}"))
        os.chmod(at("modes", f"dir-{mode:04o}"), mode)
    os.mkdir(at("times"))
    for mtime in BIG_TIMES:
        write(at("times", str(mtime)), b"", mtime=mtime)
    os.mkdir(at("owners"))
    for index, owner in enumerate([(0, 0), (1000, 1000), (65534, 65535), (70000, 2**31)]):
        write(at("owners", str(index)), b"x", owner=owner)
    os.mkdir(at("names"))
    for name in ["a b", "new\nline", "tab\t", "back\\slash", "comma,", "-dash", "quote'\"", "*?[",
                 "ünïcødé", "名前", "😀", "n" * 255, "é" * 127, "~", "\x7f"]:
        write(at("names", name), name.encode())
    write(os.fsencode(at("names")) + b"/not-utf8-\xff\xfe", b"bytes")
    os.mkdir(at("names", "d" * 255))
    write(at("names", "d" * 255, "inside"), b"deep name")
    os.mkdir(at("special"))
    os.mkfifo(at("special", "fifo"), 0o640)
    os.mknod(at("special", "null"), 0o20666, os.makedev(1, 3))
    os.mknod(at("special", "big"), 0o60600, os.makedev(259, 0xABCDE))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(at("special", "socket"))
    os.mkdir(at("links"))
    write(at("links", "original"), compressible(9000, 9))
    os.mkdir(at("links", "below"))
    for index in range(3):
        os.link(at("links", "original"), at("links", "below", f"link-{index}"))
    os.link(at("special", "fifo"), at("links", "fifo"))
    os.symlink("original", at("links", "symlink"))
    os.link(at("links", "symlink"), at("links", "symlink-2"), follow_symlinks=False)
    os.symlink("nowhere/" + "t" * 200, at("links", "dangling"))
    os.symlink("/" + "x" * 4000, at("links", "long"))
    os.symlink("..", at("links", "up"))
    os.symlink("loop", at("links", "loop"))
    os.mkdir(at("sparse"))
    write_sparse(at("sparse", "hole"), 400_000, {})
    write_sparse(at("sparse", "front"), 3 * 1024 * K, {3 * 1024 * K - 5: b"data!"})
    write_sparse(at("sparse", "tail"), 300_001, {0: compressible(128 * K)})
    write_sparse(at("sparse", "comb"), 1024 * K,
                 {i * 128 * K: noise(4096, i) for i in range(0, 8, 2)})
    write(at("sparse", "zeros"), bytes(256 * K))
    os.mkdir(at("xattrs"))
    big = noise(3000, 77)
    for index in range(4):
        path = at("xattrs", f"file-{index}")
        write(path, b"attributes")
        set_xattr(path, "user.shared", b"the same value for all of them " * 8)
        set_xattr(path, "user.own", b"%d" % index)
        set_xattr(path, "user.empty", b"")
        if index % 2:
            set_xattr(path, "user.big", big)
            set_xattr(path, "security.squenv", b"\0\1binary")
            set_xattr(path, "trusted.squenv", b"for root")
    set_xattr(at("xattrs"), "user.directory", b"yes")
    set_xattr(at("links", "up"), "trusted.symlink", b"symlink")
    os.mkdir(at("many"))
    for index in range(300):
        write(at("many", f"entry-{index:05}-{'n' * (index % 40)}"), b"%d" % index)
    deep = at("deep")
    for _ in range(40):
        os.mkdir(deep)
        deep = os.path.join(deep, "d")
    write(os.path.join(os.path.dirname(deep), "end"), b"of the path")
    os.mkdir(at("empty"))
    for index, mtime in enumerate(BIG_TIMES):
        os.mkdir(at(f"dated-{index}"))
        os.utime(at(f"dated-{index}"), (mtime, mtime))
    return top


def make_plain_tree(top, files=60):
    """What an ordinary user packs: text files in a few directories, mode bits as usual."""
    os.makedirs(top)
    for index in range(files):
        directory = os.path.join(top, f"package-{index % 6}")
        os.makedirs(directory, exist_ok=True)
        write(os.path.join(directory, f"module-{index}.py"), compressible(100 + 997 * index, index))
    write(os.path.join(top, "large"), compressible(700_000, 3))
    write(os.path.join(top, "noise"), noise(600_000, 3))
    os.symlink("large", os.path.join(top, "link"))
    return top


def _written(command, image, stdin=subprocess.DEVNULL, check=True):
    """The image, after `command` has made it."""
    command = [os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in command]
    result = subprocess.run(command, stdin=stdin, capture_output=True, text=True,
                            errors="surrogateescape", env=os.environ | KEEP_MEMORY)
    assert not check or result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return image


def mksquashfs(source, image, *options, check=True):
    return _written(["mksquashfs", source, image, "-noappend", "-no-progress", "-quiet", *options],
                    image, check=check)


def gensquashfs(source, image, *options):
    return _written(["gensquashfs", "-q", "-f", "-D", source, "-k", "-x", *options, image], image)


def gensquashfs_list(listing, image, *options):
    """From a description instead of a tree."""
    return _written(["gensquashfs", "-q", "-f", "-F", listing, *options, image], image)


def write_tar(archive, entries):
    """`entries`: (TarInfo, content) in the order of the archive; parents first."""
    with open(archive, "wb") as tar:  # tarfile.add keeps all entries and takes twice the time
        for entry, content in entries:
            entry.size = len(content)
            tar.write(entry.tobuf(tarfile.PAX_FORMAT))
            tar.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
        tar.write(bytes(2 * tarfile.BLOCKSIZE))
    return archive


def sqfstar(archive, image, *options):
    """mksquashfs, which reads an archive under this name."""
    return _from_stdin(archive, ["sqfstar", "-no-progress", "-quiet", *options, image], image)


def tar2sqfs(archive, image, *options):
    return _from_stdin(archive, ["tar2sqfs", "-q", "-f", *options, image], image)


def _from_stdin(archive, command, image):
    with open(archive, "rb") as stream:
        return _written(command, image, stdin=stream)
