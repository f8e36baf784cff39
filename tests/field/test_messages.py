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
