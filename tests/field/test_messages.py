# SPDX-License-Identifier: MIT
"""What is said when something cannot be had: one line for each way, and what helps."""

import os
import re
import shutil

import pytest

from run_support import NO_FUSE, quoted, without_namespaces

pytestmark = pytest.mark.usefixtures("settled")


def test_one_line_for_each_way(work, cache, venv_image, venv_source):
    result = without_namespaces(
        NO_FUSE + "\n" + quoted(work.command("run", venv_image, "--", "true")))
    first, *lines = result.stderr.splitlines()
    assert first == f"squenv run: {venv_image}: no way to have it at {venv_source}"
    assert all(re.match(r"  \S", line) for line in lines) and len(set(lines)) == len(lines)
    for way in ["fusermount", "userns", "extract", "bind mount"]:
        assert sum(bool(re.match(rf"  ([\w ]+, )*{way}(, [\w ]+)*: ", line))
                   for line in lines) == 1, (way, lines)
    assert "squenv doctor" in lines[-1]
    assert not (cache.exists() and os.listdir(cache)), "unpacked in vain"


@pytest.mark.parametrize("words", [["info"], ["ls"], ["mount"], ["run"], ["doctor"]])
def test_who_can_let_us_read_an_image(words, work, plain_image):
    """The component that keeps the user out is named, with what its owner can do."""
    closed = work.directory("closed", user=False)
    image = closed / "image"
    shutil.copy(plain_image, image)
    tail = {"mount": [work.directory("mnt")], "run": ["--", "true"]}.get(words[0], [])
    image.chmod(0o600)
    result = work.squenv(*words, image, *tail)
    assert result.returncode != 0
    assert f"setfacl -m u:1000:r {image}" in result.stdout + result.stderr
    closed.chmod(0o700)
    result = work.squenv(*words, image, *tail)
    assert result.returncode != 0
    told = result.stdout + result.stderr
    assert f"{closed} may not be entered" in told and f"setfacl -m u:1000:x {closed}" in told


def test_cache_that_a_group_can_write_to(work, plain_image, monkeypatch):
    """As mkdir makes it where umask is 002: what helps is named."""
    place = work.directory("group-cache")
    place.chmod(0o775)
    monkeypatch.setenv("SQUENV_CACHE", str(place))
    result = work.squenv("run", "--via", "extract", f"{plain_image}:{work.path}/free", "--", "true")
    assert result.returncode == 125 and f"chmod go-w {place}" in result.stderr, result


def test_the_owner_of_an_image_can_open_it(work, plain_image):
    """An ACL is for others."""
    image = work.directory("own") / "image"
    shutil.copy(plain_image, image)
    os.chown(image, 1000, 1000)
    image.chmod(0)
    result = work.squenv("info", image)
    assert f"'chmod u+r {image}'" in result.stderr and "setfacl" not in result.stderr


def test_mount_says_what_it_hides(work, plain_image):
    place = work.directory("documents")
    empty = work.directory("empty")
    environment = work.directory("venv")
    home = work.directory("home")
    (home / "project").mkdir()
    (home / "venv").mkdir()
    (home / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (place / "letter").write_text("dear")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for path, is_told in [(place, True), (home, True), (empty, False), (environment, False)]:
        result = work.squenv("mount", plain_image, path)
        assert result.returncode == 0
        assert ("is hidden until 'squenv umount'" in result.stderr) == is_told, result.stderr
        assert work.squenv("umount", "--wait", path).returncode == 0
    assert work.squenv("mount", "-q", plain_image, place).stderr == ""
    assert work.squenv("umount", "--wait", place).returncode == 0
    assert (place / "letter").read_text() == "dear"


@pytest.mark.parametrize("place", ["/", "/usr/lib", "/proc/sys"])
def test_no_option_is_advised_that_does_not_help(place, work, venv_image):
    result = work.squenv("run", f"{venv_image}:{place}", "--", "true")
    assert result.returncode == 125
    assert "--force" not in result.stderr and "choose another mount point" in result.stderr


def test_doctor_of_what_is_no_image(work):
    missing = work.path / "missing.squashfs"
    result = work.squenv("doctor", missing)
    assert result.returncode == 4
    assert (result.stdout + result.stderr).count(str(missing)) == 2, result.stdout
    assert "nothing works" not in result.stderr
    quiet = work.squenv("doctor", "-q", missing)
    assert (quiet.returncode, quiet.stdout) == (4, "") and str(missing) in quiet.stderr


def test_names_that_mean_a_version(work, plain_image):
    image = work.directory("own") / "env.squashfs"
    shutil.copy(plain_image, image)
    tree = work.directory("tree")
    result = work.squenv("pack", tree, "-o", f"{image}@2")
    assert result.returncode != 0 and "would mean a version of" in result.stderr
    assert os.listdir(image.parent) == ["env.squashfs"]
    for name in ["other@2", "env.squashfs@x", "env.squashfs@0"]:
        assert work.squenv("pack", "-q", tree, "-o", image.parent / name).returncode == 0, name


def test_the_version_to_roll_back_to(work, plain_image):
    result = work.squenv("rollback", plain_image, "9")
    assert result.returncode == 2 and "name the version with --to" in result.stderr


def test_where_extract_puts_the_tree(work, plain_image):
    place = work.directory("here")
    result = work.squenv("extract", plain_image, cwd=place)
    assert result.returncode == 0 and "squashfs-root" in result.stderr
    assert os.listdir(place) == ["squashfs-root"]
    named = work.squenv("extract", plain_image, place / "named")
    assert (named.returncode, named.stderr) == (0, "")


@pytest.mark.parametrize("words", [["run", "--"], ["run", "--via"], ["bench", "--"]])
def test_a_command_line_without_an_image(words, work, plain_image):
    result = work.squenv(*words, plain_image)
    assert result.returncode != 0
    assert f"write 'squenv {words[0]} IMAGE -- CMD [ARG...]'" in result.stderr


@pytest.mark.parametrize("number", ["0", "01", "99999999999999999999"])
def test_what_is_no_number_of_a_version(number, work, plain_image):
    result = work.squenv("info", f"{plain_image}@{number}")
    assert result.returncode != 0 and f"there is no version {number}" in result.stderr


def test_no_notice_of_a_mount_that_is_not_made(work, venv_image):
    result = work.squenv("mount", venv_image, "/usr/lib")
    assert result.returncode == 2 and "relocatable" not in result.stderr


@pytest.mark.parametrize("option", [[], ["--lazy"], ["--wait"]])
def test_umount_in_the_namespace_of_a_run(option, work, venv_image, venv_source):
    result = work.squenv("run", "--via", "userns", venv_image, "--", work.programs / "squenv",
                         "umount", *option, venv_source)
    assert result.returncode == 4 and "goes with the command" in result.stderr
    assert "fusermount3" not in result.stderr
