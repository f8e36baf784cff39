# SPDX-License-Identifier: MIT
"""What `squenv extract` restores, by who runs it: owners, setuid and setgid, capabilities."""

import os
import stat
import struct

import pytest

from support import trees
from support.processes import AS_USER, check, run

# root of a namespace that an ordinary user made: another name of that user
AS_OWN_ROOT = [*AS_USER, "unshare", "--map-root-user"]
FOREIGN = 70000
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service, revision 2
PRIVILEGED = {"setuid": 0o4755, "setgid": 0o2755, "shared": 0o2775}


@pytest.fixture
def image(work):
    tree = work.directory("tree", user=False)
    trees.write(tree / "setuid", b"x", mode=PRIVILEGED["setuid"])
    trees.write(tree / "setgid", b"x", mode=PRIVILEGED["setgid"], owner=(FOREIGN, FOREIGN))
    trees.write(tree / "capable", b"x")
    os.setxattr(tree / "capable", "security.capability", CAPABILITY)
    (tree / "shared").mkdir()
    (tree / "shared").chmod(PRIVILEGED["shared"])
    return trees.mksquashfs(tree, work.path / "image.squashfs")


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def extract(work, who, *words):
    return run([*who, work.programs / "squenv", "extract", *words])


def expect_no_privileges(target):
    for name, before in PRIVILEGED.items():
        assert mode(target / name) == before & 0o1777, name
    assert "security.capability" not in os.listxattr(target / "capable")


def test_user_gets_no_privileges(work, image):
    target = work.path / "out"
    result = extract(work, AS_USER, image, target)
    assert result.returncode == 0 and result.stdout == ""
    assert result.stderr.splitlines() == [
        "squenv extract: 3 files lost setuid or setgid, which root alone can restore",
        "squenv extract: 1 extended attributes could not be set here"]
    expect_no_privileges(target)
    quiet = extract(work, AS_USER, "-q", image, work.path / "quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_root_restores_everything(work, image):
    if os.stat("/proc/self/ns/user").st_ino != 0xEFFFFFFD:
        pytest.skip("root of a user namespace")
    target = work.path / "out"
    result = extract(work, [], image, target)
    assert (result.returncode, result.stderr) == (0, "")
    assert {name: mode(target / name) for name in PRIVILEGED} == PRIVILEGED
    assert os.getxattr(target / "capable", "security.capability") == CAPABILITY
    assert os.stat(target / "setgid").st_uid == FOREIGN


def test_root_who_wants_no_owners_gets_no_privileges(work, image):
    target = work.path / "out"
    result = extract(work, [], "--no-owner", image, target)
    assert result.returncode == 0 and "owners could not be set" not in result.stderr
    assert "3 files lost setuid or setgid" in result.stderr
    expect_no_privileges(target)
    assert os.stat(target / "setgid").st_uid == os.geteuid()


def test_owners_that_a_namespace_does_not_have(work, image):
    """One line, and nothing is missing."""
    target = work.path / "out"
    result = extract(work, AS_OWN_ROOT, image, target)
    assert result.returncode == 0, result.stderr
    assert [line.split(": ", 1)[1] for line in result.stderr.splitlines()] == [
        "1 owners could not be set here; --no-owner does not try",
        "3 files lost setuid or setgid, which root alone can restore",
        "1 extended attributes could not be set here"]
    expect_no_privileges(target)
    assert sorted(os.listdir(target)) == ["capable", "setgid", "setuid", "shared"]
    assert os.stat(target / "setgid").st_uid == 1000
    other = work.path / "other"
    result = extract(work, AS_OWN_ROOT, "--no-owner", image, other)
    assert result.returncode == 0 and "owners" not in result.stderr


@pytest.mark.parametrize("who", [AS_USER, AS_OWN_ROOT], ids=["user", "root of a namespace"])
def test_missing_objects_are_no_wrong_command_line(who, work, nasty_image):
    target = work.path / "out"
    result = extract(work, who, nasty_image, target)
    assert result.returncode == 1, result.stderr
    assert "special/null: mknod" in result.stderr
    assert "objects are missing or incomplete; mend" in result.stderr.splitlines()[-1]
    check(["chmod", "-R", "u+rwX", target])


@pytest.mark.parametrize("end", ["", "/"])
def test_target_is_not_followed(end, work, image):
    elsewhere = work.directory("elsewhere")
    elsewhere.chmod(0o700)
    (work.path / "link").symlink_to(elsewhere)
    for options in [[], ["--force"]]:
        result = extract(work, AS_USER, *options, image, f"{work.path}/link{end}")
        assert result.returncode == 1
        assert str(work.path / "link") in result.stderr and "symlink" in result.stderr
        assert "name the directory" in result.stderr
    assert os.listdir(elsewhere) == [] and mode(elsewhere) == 0o700


@pytest.mark.parametrize("files", [5, 6])
def test_no_descriptor_for_a_new_directory(files, work, image):
    """That it cannot be read does not mean that it has content."""
    target = work.path / "new"
    result = run(["prlimit", f"--nofile={files}", *work.command("extract", image, target)[7:]],
                 user=True)
    assert result.returncode == 1 and "Too many open files" in result.stderr, result.stderr


def test_a_limit_of_file_sizes(work):
    """Files below it are extracted; of the others nothing is left."""
    tree = work.directory("sizes", user=False)
    trees.write(tree / "large", b"x" * 300_000)
    trees.write(tree / "small", b"x" * 1000)
    image = trees.mksquashfs(tree, work.path / "sizes.squashfs")
    target = work.directory("target") / "new"
    result = run([*AS_USER, "prlimit", "--fsize=100000", work.programs / "squenv", "extract",
                  image, target])
    assert result.returncode == 1 and "large: write: File too large" in result.stderr, result.stderr
    assert [path.name for path in target.iterdir()] == ["small"]
