# SPDX-License-Identifier: MIT
"""What becomes of the file that an image is packed over: its access rights, and links to it."""
import errno
import os
import shutil
import struct
import subprocess
import tempfile

import pytest

from pack_support import IS_ROOT, MAGIC, PACK, compiled_shim, digest, run

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root to change groups and the user")
USER = 1000
GROUP = 34321
ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
NO_ID = 0xFFFFFFFF


def acl(owner, group, other, mask=None, users=(), groups=()):
    """As the kernel takes it: tag, permissions and id of each entry, in the order of the tags."""
    entries = [(1, owner, NO_ID), *((2, rights, user) for user, rights in users), (4, group, NO_ID),
               *((8, rights, name) for name, rights in groups)]
    if mask is not None:
        entries.append((16, mask, NO_ID))
    entries.append((32, other, NO_ID))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_acl(path, value, name=ACL):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("no ACLs here")


def acl_of(path):
    return os.getxattr(path, ACL) if ACL in os.listxattr(path) else None


def mode_of(path):
    return os.stat(path).st_mode & 0o7777


@pytest.fixture
def place():
    """A directory with a tree and an image of before, which ordinary users reach, too."""
    path = tempfile.mkdtemp(prefix="squenv-replace-", dir="/tmp")
    os.chmod(path, 0o755)
    os.mkdir(os.path.join(path, "tree"))
    with open(os.path.join(path, "tree", "file"), "w", encoding="ascii") as file:
        file.write("content")
    with open(os.path.join(path, "image"), "wb") as file:
        file.write(MAGIC + b" of before")
    yield path
    shutil.rmtree(path)


def repack(place, output="image", *options, umask=0o022, as_user=False, **kwargs):
    user = dict(user=USER, group=USER, extra_groups=[]) if as_user else {}
    done = subprocess.run([PACK, *options, "tree", "-o", output], cwd=place, umask=umask,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **user,
                          **kwargs)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o400, 0o444, 0o604, 0o755, 0o666])
def test_mode_is_kept(place, mode, umask):
    image = os.path.join(place, "image")
    os.chmod(image, mode)
    done = repack(place, "image", "-f", "--verify", umask=umask)
    assert mode_of(image) == mode and done.stderr == b""
    with open(image, "rb") as file:
        assert file.read(4) == MAGIC and file.read(6) != b" of be"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
@pytest.mark.parametrize("options", [[], ["-f"]])
def test_new_image_has_what_the_umask_leaves(place, umask, options):
    repack(place, "new", *options, umask=umask)
    assert mode_of(os.path.join(place, "new")) == 0o666 & ~umask


def test_bits_for_programs_are_not_kept(place):
    image = os.path.join(place, "image")
    os.chmod(image, 0o6755)
    repack(place, "image", "-f")
    assert mode_of(image) == 0o755


@needs_root
def test_group_is_kept(place):
    image = os.path.join(place, "image")
    os.chown(image, -1, GROUP)
    os.chmod(image, 0o640)
    done = repack(place, "image", "-f", umask=0o077)
    assert (mode_of(image), os.stat(image).st_gid) == (0o640, GROUP) and done.stderr == b""


@needs_root
@pytest.mark.parametrize("mode, kept", [(0o640, 0o600), (0o664, 0o604), (0o604, 0o600),
                                        (0o644, 0o604), (0o646, 0o604), (0o600, 0o600)])
def test_group_that_cannot_be_kept(place, mode, kept):
    """Members of the new group get nothing, and those of the old one, now others, no more."""
    image = os.path.join(place, "image")
    os.chown(place, USER, USER)
    os.chown(image, USER, GROUP)
    os.chmod(image, mode)
    done = repack(place, "image", "-f", as_user=True)
    assert (mode_of(image), os.stat(image).st_gid) == (kept, USER)
    assert done.stderr.count(b"\n") == 1 and b"group 34321" in done.stderr
    assert b"chgrp" in done.stderr


@needs_root
@pytest.mark.parametrize("value", [
    acl(6, 4, 0, mask=4, users=[(USER, 4)]),
    acl(6, 0, 0, mask=4, users=[(USER, 4)]),
    acl(6, 6, 4, mask=6, users=[(USER, 0)], groups=[(GROUP, 6)]),
], ids=["a user may read", "a user alone may read", "a user is shut out"])
def test_acl_is_kept(place, value):
    image = os.path.join(place, "image")
    os.chmod(image, 0o600)
    set_acl(image, value)
    mode = mode_of(image)
    done = repack(place, "image", "-f", umask=0o077)
    assert (acl_of(image), mode_of(image)) == (value, mode) and done.stderr == b""


@needs_root
def test_acl_for_a_group_that_cannot_be_kept(place):
    image = os.path.join(place, "image")
    os.chown(place, USER, USER)
    os.chown(image, USER, GROUP)
    set_acl(image, acl(6, 4, 6, mask=6, users=[(31000, 6)]))
    done = repack(place, "image", "-f", as_user=True)
    assert acl_of(image) == acl(6, 0, 4, mask=6, users=[(31000, 6)])
    assert done.stderr.count(b"\n") == 1 and b"group 34321" in done.stderr


@needs_root
def test_acl_of_the_directory_is_for_new_images(place):
    set_acl(place, acl(7, 5, 5, mask=7, users=[(USER, 7)]), DEFAULT_ACL)
    image = os.path.join(place, "image")
    os.chmod(image, 0o600)
    repack(place, "image", "-f")
    assert acl_of(image) is None and mode_of(image) == 0o600
    repack(place, "new", umask=0o077)
    with open(os.path.join(place, "plain"), "wb"):
        pass
    assert acl_of(os.path.join(place, "new")) == acl_of(os.path.join(place, "plain")) is not None


@pytest.mark.parametrize("is_named", [False, True])
def test_access_without_unnamed_files(place, tmp_path, is_named):
    image = os.path.join(place, "image")
    os.chmod(image, 0o640)
    environment = dict(os.environ)
    if is_named:
        environment.update(LD_PRELOAD=compiled_shim(tmp_path), NO_TMPFILE="1")
    repack(place, "image", "-f", umask=0, env=environment)
    assert mode_of(image) == 0o640
    repack(place, "new", umask=0o027, env=environment)
    assert mode_of(os.path.join(place, "new")) == 0o640
    assert sorted(os.listdir(place)) == ["image", "new", "tree"]


def make_links(place, target):
    """A link, one by another directory, one to a link, and one with an absolute target."""
    os.mkdir(os.path.join(place, "sub"))
    os.symlink(target, os.path.join(place, "link"))
    os.symlink("../" + target, os.path.join(place, "sub", "up"))
    os.symlink("sub/up", os.path.join(place, "chain"))
    os.symlink("sub", os.path.join(place, "by"))
    os.symlink(os.path.join(place, target), os.path.join(place, "absolute"))
    return ["link", "sub/up", "chain", "by/up", "absolute"]


@pytest.mark.parametrize("number", range(5))
def test_link_is_followed(place, number):
    link = make_links(place, "image")[number]
    os.chmod(os.path.join(place, "image"), 0o640)
    repack(place, "fresh")
    repack(place, link, "-f")
    assert os.path.islink(os.path.join(place, link))
    image = os.path.join(place, "image")
    assert not os.path.islink(image) and mode_of(image) == 0o640
    assert digest(image) == digest(os.path.join(place, "fresh"))
    left = {"absolute", "by", "chain", "fresh", "image", "link", "sub", "tree"}
    assert set(os.listdir(place)) == left and os.listdir(os.path.join(place, "sub")) == ["up"]


def test_link_to_what_is_there_needs_force(place):
    os.symlink("image", os.path.join(place, "link"))
    done = run(PACK, "tree", "-o", "link", check=False, cwd=place)
    assert done.returncode == 1
    assert b"link exists already" in done.stderr and b"--force" in done.stderr
    with open(os.path.join(place, "image"), "rb") as file:
        assert file.read() == MAGIC + b" of before"


def test_an_image_that_is_there_is_said_before_the_tree_is_looked_at(place):
    """What there is to say of a tree takes time to find out, and is of no use then."""
    packages = os.path.join(place, "tree", "lib", "python3.11", "site-packages")
    os.makedirs(packages)
    for name, text in (("../../../pyvenv.cfg", "version = 3.11.2\n"), ("module.py", "pass\n")):
        with open(os.path.join(packages, name), "w", encoding="ascii") as file:
            file.write(text)
    fresh = run(PACK, "tree", "-o", "fresh", cwd=place)
    assert b"module.py: has no compiled form" in fresh.stderr
    done = run(PACK, "tree", "-o", "fresh", check=False, cwd=place)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done.stderr
    assert b"fresh exists already" in done.stderr
    os.mkdir(os.path.join(place, "sub"))
    done = run(PACK, "tree", "-o", "sub", check=False, cwd=place)
    assert done.returncode == 2 and b"sub is a directory; choose" in done.stderr


@needs_root
def test_a_tree_that_cannot_be_packed_is_said_in_one_line(place):
    tree = os.path.join(place, "tree")
    os.chmod(tree, 0o700)
    os.chmod(place, 0o755)
    as_user = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    for name, words in ((tree, b"tree: Permission denied; packing takes"),
                        (os.path.join(place, "image"), b"image: Not a directory; pack a directory"),
                        (os.path.join(place, "none"), b"none: No such file or directory; check")):
        done = run(*as_user, PACK, name, "-o", "/dev/shm/none.squashfs", check=False)
        assert done.returncode != 0 and words in done.stderr, done.stderr
        assert done.stderr.count(b"\n") == 1, done.stderr


@pytest.mark.parametrize("options", [[], ["-f"]])
@pytest.mark.parametrize("number", range(5))
def test_dangling_link_says_where_a_new_image_goes(place, number, options):
    link = make_links(place, "later")[number]
    repack(place, link, *options, umask=0o027)
    later = os.path.join(place, "later")
    assert os.path.islink(os.path.join(place, link)) and not os.path.islink(later)
    assert mode_of(later) == 0o640


def test_links_that_lead_to_no_file(place):
    os.symlink("loop", os.path.join(place, "loop"))
    os.symlink("missing/image", os.path.join(place, "nowhere"))
    os.symlink("tree", os.path.join(place, "directory"))
    for link, reason in (("loop", b"symbolic links"), ("nowhere", b"No such file"),
                         ("directory", b"is a directory")):
        done = run(PACK, "-f", "tree", "-o", link, check=False, cwd=place)
        assert done.returncode != 0 and reason in done.stderr and done.stderr.count(b"\n") == 1
        assert os.path.islink(os.path.join(place, link))


@pytest.fixture
def protected_links():
    """As every distribution sets it."""
    path = "/proc/sys/fs/protected_symlinks"
    with open(path, encoding="ascii") as setting:
        before = setting.read()
    with open(path, "w", encoding="ascii") as setting:
        setting.write("1")
    yield
    with open(path, "w", encoding="ascii") as setting:
        setting.write(before)


@needs_root
def test_link_that_another_user_left_for_all(place, protected_links):
    """Where the kernel follows none, neither does the packer: it would replace a user's file."""
    shared = os.path.join(place, "shared")
    os.mkdir(shared)
    os.chmod(shared, 0o1777)
    os.symlink("../image", os.path.join(shared, "link"))
    os.chown(os.path.join(shared, "link"), 31000, 31000, follow_symlinks=False)
    done = run(PACK, "-f", "tree", "-o", "shared/link", check=False, cwd=place)
    assert done.returncode == 1 and b"Permission denied" in done.stderr
    with open(os.path.join(place, "image"), "rb") as file:
        assert file.read() == MAGIC + b" of before"


def test_other_names_of_the_old_image_keep_it(place):
    os.link(os.path.join(place, "image"), os.path.join(place, "other"))
    repack(place, "image", "-f")
    with open(os.path.join(place, "other"), "rb") as file:
        assert file.read() == MAGIC + b" of before"
