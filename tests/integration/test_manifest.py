# SPDX-License-Identifier: MIT
"""What the packer recorded in an image, and what mount and info make of it."""

import json
import os
import shutil

import pytest
from support.processes import check, mounts_below, wait_for

FAILURE, USAGE, CORRUPT = 1, 2, 3


@pytest.fixture
def tree(work):
    """A small environment of the user's, made for its path."""
    path = work.directory("tree")
    check(["mkdir", "-p", path / "bin", path / "lib/python3.11/site-packages"], user=True)
    (path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    (path / "lib/python3.11/site-packages/module.py").write_text("answer = 42\n")
    return path


@pytest.fixture
def packed(work, tree):
    """packed(options): the image of the tree, packed by the user."""

    def packed(*options, name="image"):
        image = work.path / name
        result = work.squenv("pack", "-q", tree, "-o", image, *options)
        assert result.returncode == 0, result.stderr
        return image

    return packed


def info(work, image):
    result = work.squenv("info", "--json", image)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def assert_one_line(result, code, *words):
    assert result.returncode == code, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert str(word) in result.stderr


def test_mounts_at_the_path_it_was_packed_at(work, tree, packed):
    image = packed()
    (tree / "newer").write_text("not in the image")
    result = work.squenv("mount", image)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    try:
        assert [entry["mountpoint"] for entry in mounts_below(work.path)] == [str(tree)]
        seen = check(["find", tree, "-type", "f", "-printf", "%P\\n"], user=True)
        assert sorted(seen.stdout.split()) == ["lib/python3.11/site-packages/module.py",
                                               "pyvenv.cfg"]
        module = check(["cat", tree / "lib/python3.11/site-packages/module.py"], user=True)
        assert module.stdout == "answer = 42\n"
    finally:
        assert work.squenv("umount", tree).returncode == 0
    assert not mounts_below(work.path)
    assert (tree / "newer").exists()


def test_subdir_goes_below_the_recorded_path(work, tree, packed):
    image = packed()
    result = work.squenv("mount", "-o", "subdir=/lib", image)
    assert result.returncode == 0, result.stderr
    try:
        assert [entry["mountpoint"] for entry in mounts_below(work.path)] == [str(tree / "lib")]
    finally:
        assert work.squenv("umount", tree / "lib").returncode == 0


def test_a_recorded_path_that_is_gone_is_made_and_removed(work, tree, packed):
    image = packed()
    shutil.rmtree(tree)
    result = work.squenv("mount", image)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert [entry["mountpoint"] for entry in mounts_below(work.path)] == [str(tree)]
    again = work.squenv("mount", image)
    assert_one_line(again, FAILURE, tree, "mounted here already")
    assert work.squenv("umount", tree).returncode == 0
    wait_for(lambda: not tree.exists(), "the removal of the mount point")
    assert not mounts_below(work.path)


def test_without_a_recorded_path(work, packed):
    image = packed("--no-appendix")
    assert_one_line(work.squenv("mount", image), USAGE, image, "MOUNTPOINT", "name the directory")
    assert info(work, image)["manifest"] is None
    assert "mount point" not in work.squenv("info", image).stdout


def test_mounting_elsewhere_warns_once(work, tree, packed):
    image = packed()
    other = work.directory("other")
    result = work.squenv("mount", image, other)
    assert work.squenv("umount", other).returncode == 0
    assert_one_line(result, 0, image, tree, other, "not relocatable")
    result = work.squenv("mount", "-q", image, other)
    assert work.squenv("umount", other).returncode == 0
    assert (result.returncode, result.stderr) == (0, "")


def test_the_same_place_by_another_name_does_not_warn(work, tree, packed):
    image = packed()
    os.symlink(tree, work.path / "link")
    result = work.squenv("mount", image, work.path / "link")
    assert work.squenv("umount", tree).returncode == 0
    assert (result.returncode, result.stderr) == (0, "")


def test_trees_that_are_no_environment_do_not_warn(work, tree, packed):
    (tree / "pyvenv.cfg").unlink()
    image = packed()
    other = work.directory("other")
    result = work.squenv("mount", image, other)
    assert work.squenv("umount", other).returncode == 0
    assert (result.returncode, result.stderr) == (0, "")
    assert info(work, image)["manifest"]["python"] is None


def test_info_shows_the_manifest(work, tree, packed):
    image = packed("--block-size", "64K")
    manifest = info(work, image)["manifest"]
    assert manifest["mount_point"] == str(tree)
    assert manifest["python"] == {"version": "3.11.2", "home": "/usr/bin", "relocatable": False,
                                  "system_site_packages": False}
    assert manifest["options"] == {"codec": "zstd", "level": 3, "block_size": 65536}
    version = work.squenv("--version").stdout.split()[1]
    assert manifest["tool_version"] == version
    lines = work.squenv("info", image).stdout.splitlines()
    for line in [f"mount point  {tree}", "python       3.11.2", "relocatable  no",
                 f"packed by    squenv {version}",
                 "options      zstd, level 3, blocks of 64.0 KiB"]:
        assert line in lines


def test_info_says_that_packages_of_the_system_are_seen(work, tree, packed):
    with open(tree / "pyvenv.cfg", "a", encoding="ascii") as config:
        config.write("include-system-site-packages = true\n")
    image = packed()
    assert info(work, image)["manifest"]["python"]["system_site_packages"]
    assert "packages     also those of the system" in work.squenv("info", image).stdout


def damaged(image):
    """A manifest that is no JSON; the image itself is whole."""
    content = image.read_bytes()
    at = content.index(b"SQENVAPX") + 80
    image.write_bytes(content[:at] + b"\xff" + content[at + 1:])
    return image


def test_a_damaged_manifest_keeps_nobody_from_the_image(work, tree, packed):
    image = damaged(packed())
    result = work.squenv("info", "--json", image)
    assert_one_line(result, CORRUPT, image, "manifest")
    assert json.loads(result.stdout)["manifest"] is None
    assert_one_line(work.squenv("mount", image), CORRUPT, image, "manifest", "name the directory")
    result = work.squenv("mount", image, tree)
    assert work.squenv("umount", tree).returncode == 0
    assert (result.returncode, result.stderr) == (0, "")
