# SPDX-License-Identifier: MIT
"""Trees to pack, and descriptions of trees to compare."""
import contextlib
import hashlib
import os
import random
import shutil
import socket
import stat
import subprocess
import tempfile

from support.processes import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SQUENV_BUILD", os.path.join(ROOT, "build"))
PACK = os.environ.get("SQUENV_PACK", os.path.join(BUILD, "src", "cli", "squenv-pack"))
SQUENV = os.environ.get("SQUENV", os.path.join(BUILD, "src", "cli", "squenv"))
IS_ROOT = os.geteuid() == 0
MAGIC = b"hsqs"


def run(*command, check=True, **kwargs):
    done = subprocess.run([os.fspath(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **kwargs)
    if check:
        assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
    return done


def pack(tree, image, *options, check=True, **kwargs):
    return run(PACK, "-q", tree, "-o", image, "-f", *options, check=check, **kwargs)


def codecs():
    """Those the packer was built with."""
    known = ["zstd", "gzip", "xz", "lz4", "lzo", "none"]
    if not os.path.exists(PACK):
        return known
    return [codec for codec in known
            if b"built without" not in run(PACK, "/", "-o", "/", "--codec", codec,
                                           check=False).stderr]


def names_in(image):
    """Paths below the root, as unsquashfs lists them."""
    lines = run("unsquashfs", "-l", image).stdout.decode(errors="replace").splitlines()
    return sorted(line.removeprefix("squashfs-root/") for line in lines
                  if line.startswith("squashfs-root/"))


def has_unnamed_files(directory):
    """Whether the file system of `directory` makes files without names, which a kill removes."""
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR))
    except OSError:
        return False
    return True


def compiled(name, directory):
    """A file of tests/support as a library for LD_PRELOAD."""
    library = os.path.join(directory, f"{name}.so")
    source = os.path.join(ROOT, "tests", "support", f"{name}.c")
    run(os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl")
    return library


def compiled_shim(directory):
    return compiled("failing_writes", directory)


def compiled_lies(directory):
    return compiled("lying_files", directory)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def facts_of(path, prefixes):
    info = os.lstat(path)
    facts = {"mode": info.st_mode, "owner": (info.st_uid, info.st_gid),
             "mtime": info.st_mtime_ns // 10**9, "nlink": info.st_nlink}
    if stat.S_ISDIR(info.st_mode):
        facts["nlink"] = 2 + sum(entry.is_dir(follow_symlinks=False) for entry in os.scandir(path))
    if stat.S_ISREG(info.st_mode):
        facts.update(size=info.st_size, content=digest(path))
    if stat.S_ISLNK(info.st_mode):
        facts["target"] = os.readlink(path)
    if stat.S_ISBLK(info.st_mode) or stat.S_ISCHR(info.st_mode):
        facts["device"] = info.st_rdev
    names = []
    with contextlib.suppress(OSError):  # images without xattrs support none
        names = [name for name in os.listxattr(path, follow_symlinks=False)
                 if name.startswith(tuple(prefixes)) and name != "security.selinux"]
    facts["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    return facts


def describe(root, prefixes=("user.", "trusted.", "security.")):
    """What a user can see of a tree, by path."""
    root = os.fsencode(root)
    seen = {b".": facts_of(root, prefixes)}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            seen[os.path.relpath(path, root)] = facts_of(path, prefixes)
    return seen


def assert_same(expected, actual, without=()):
    assert sorted(expected) == sorted(actual)
    for path, facts in expected.items():
        for key, value in facts.items():
            if key not in without:
                assert actual[path][key] == value, (path, key, value, actual[path][key])


@contextlib.contextmanager
def mounted(mount, unmount):
    point = tempfile.mkdtemp(prefix="squenv-test-")
    try:
        run(*mount, point)
        try:
            yield point
        finally:
            # What a killed program started may hold it for a moment more.
            wait_for(lambda: run(*unmount, point, check=False).returncode == 0, "the unmount")
    finally:
        os.rmdir(point)


def kernel_mount(image):
    return mounted(["mount", "-o", "loop,ro", image], ["umount"])


def memory():
    """A directory on which what is synced takes no time; only root has one."""
    if not IS_ROOT:
        return tempfile.TemporaryDirectory(prefix="squenv-test-")
    return mounted(["mount", "-t", "tmpfs", "none"], ["umount"])


def squashfuse_mount(image):
    return mounted(["squashfuse", image], ["fusermount3", "-u", "-z"])


def write(path, content, mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def add_files(root, rng):
    join = lambda *names: os.path.join(root, *names)
    write(join("empty"), b"")
    write(join("small"), b"hello\n")
    write(join("setuid"), b"#!/bin/sh\n", 0o4755)
    for size in (1, 4095, 4096, 4097, 131071, 131072, 131073, 1 << 20, (1 << 20) + 1, 3000000):
        write(join(f"random-{size}"), rng.randbytes(size))
        write(join(f"text-{size}"), (b"the quick brown fox %d\n" % size) * (size // 24 + 1))
    shutil.copyfile(join("random-3000000"), join("copy-of-large"))
    write(join("copy-of-small"), b"hello\n")
    write(join("zeros-small"), b"\0" * 1000)
    write(join("zeros-large"), b"\0" * 600000)
    with open(join("sparse"), "wb") as file:
        file.seek(5 << 20)
        file.write(b"data in the middle")
        file.truncate((12 << 20) + 17)
    with open(join("hole"), "wb") as file:
        file.truncate(3 << 20)
    write(os.path.join(os.fsencode(root), b"not-utf8-\xff\xfe"), b"bytes")
    for name in ("new\nline and space", "n" * 255, ".hidden"):
        write(join(name), name.encode())


def add_directories_and_specials(root):
    join = lambda *names: os.path.join(root, *names)
    os.makedirs(join("empty-directory"))
    os.makedirs(join("many"))
    for i in range(1500):
        write(join("many", f"entry-with-a-longer-name-{i:05}"), b"%d" % (i % 700))
    deep = root
    for i in range(60):
        deep = os.path.join(deep, f"level-{i}")
        os.mkdir(deep)
    write(os.path.join(deep, "bottom"), b"deep")
    os.symlink("small", join("link"))
    os.symlink("/" + "x" * 4094, join("longest-link"))
    os.symlink("nowhere", join("dangling"))
    os.link(join("small"), join("second-name"))
    os.link(join("random-3000000"), join("many", "far-name"))
    os.mkfifo(join("fifo"))
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(root)
        server.bind("socket")
        os.chdir("/")
    if IS_ROOT:
        os.mknod(join("block"), stat.S_IFBLK | 0o600, os.makedev(259, 70000))
        os.mknod(join("char"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.chown(join("small"), 1234, 70000)
        os.chown(join("link"), 4000000000, 1, follow_symlinks=False)


def add_attributes(root):
    join = lambda *names: os.path.join(root, *names)
    with contextlib.suppress(OSError):
        for name in ("small", "random-4096", "many", "text-1"):
            os.setxattr(join(name), "user.shared", bytes(range(200)))
            os.setxattr(join(name), "user.short", name.encode())
        os.setxattr(root, "user.root", b"top")
        os.setxattr(join("empty"), "user.large", b"v" * 3000)
        if IS_ROOT:
            os.setxattr(join("small"), "trusted.secret", b"t")
            os.setxattr(join("setuid"), "security.capability",
                        bytes.fromhex("0100000200040000000000000000000000000000"))
            os.setxattr(join("dangling"), "trusted.on-link", b"l", follow_symlinks=False)
    os.utime(join("small"), (1, 86400))
    os.utime(join("text-1"), (1, 4294967295))
    os.utime(join("many"), (1, 1))


def make_zoo(root, seed=1):
    """One of everything that squashfs can hold."""
    os.makedirs(root)
    add_files(root, random.Random(seed))
    add_directories_and_specials(root)
    add_attributes(root)
    return root


def random_content(rng):
    piece = int(2 ** rng.uniform(0, 21)) // 4 + 1
    pieces = [rng.choice([b"\0" * piece, rng.randbytes(piece), b"ab" * piece])
              for _ in range(rng.randrange(1, 5))]
    return b"".join(pieces)


def make_random(root, seed, has_links=True):
    """A tree whose shape and contents depend on nothing but the seed."""
    rng = random.Random(seed)
    directories = [root]
    os.makedirs(root)
    files = []
    for i in range(rng.randrange(20, 120)):
        name = "".join(rng.choice("abcXYZ019._-") for _ in range(rng.randrange(1, 30)))
        path = os.path.join(rng.choice(directories), f"{name}{i}")
        kind = rng.random()
        if kind < 0.2:
            os.mkdir(path)
            directories.append(path)
        elif kind < 0.3:
            os.symlink("t" * rng.randrange(1, 300), path)
            continue
        elif kind < 0.4 and files and has_links:
            os.link(rng.choice(files), path)
        elif kind < 0.5 and files:
            shutil.copyfile(rng.choice(files), path)
        else:
            write(path, random_content(rng))
            if rng.random() < 0.3:
                os.truncate(path, os.stat(path).st_size + rng.randrange(1 << 21))
            files.append(path)
        os.chmod(path, rng.choice([0o755, 0o700, 0o711]))
    for directory, names, others in os.walk(root, topdown=False):
        for name in sorted(names + others):
            os.utime(os.path.join(directory, name), (0, rng.randrange(1 << 31)),
                     follow_symlinks=False)
    os.utime(root, (0, seed))
    return root
