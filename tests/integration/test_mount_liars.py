# SPDX-License-Identifier: MIT
"""Mounts of another user that call themselves ours: nothing they say counts; they stop nobody."""

import json
import os

import pytest
from run_support import OWN_FAILURE, quoted, without_namespaces
from support.lying_mount import LIAR, LyingMount
from support.processes import mounts_below

FAILURE = 1
# Far more than the deadline of one that does not answer, far less than that of each in turn.
PATIENCE = 30
SILENT = 12


@pytest.fixture
def lying(work, plain_image):
    """lying(name, answer): a mount of user 1001 that answers so, or never."""
    made = []

    def make(name, answer=None, **options):
        path = work.directory(name)
        made.append(LyingMount(work, path, plain_image, answer, **options))
        return path

    yield make
    for mount in made:
        mount.end()


ODD = ['{"pid":"x"}', '{"pid":"12"}', '{"pid":1}', '{"pid":0}', '{"pid":-2147483648}',
       '{"pid":1e300}', '{"pid":99999999999}', '{"pid":null}', '{"pid":[1]}', "{}", "[1]", "7",
       "no JSON", "", "[" * 8000, '{"a":' * 1200 + "1" + "}" * 1200]


def test_list_of_root_shows_what_no_daemon_says(work, lying, plain_image):
    for index, answer in enumerate(ODD):
        lying(f"liar-{index}", answer)
    mount = work.mount(plain_image)
    result = work.squenv("list", "--json", user=False, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    rows = {row["mountpoint"]: row for row in json.loads(result.stdout)}
    for index, answer in enumerate(ODD):
        row = rows[str(work.path / f"liar-{index}")]
        assert (row["state"], row["pid"]) == ("unknown", 0), (answer, row)
        assert "does not answer properly" in row["error"]
    assert rows[str(mount.path)]["state"] == "ok"
    text = work.squenv("list", user=False, timeout=PATIENCE)
    assert text.returncode == 0 and "json.exception" not in text.stderr
    assert text.stderr.count("does not answer properly") == len(ODD)
    mount.umount()


def test_other_members_are_read_by_their_type(work, lying):
    path = lying("liar", '{"pid":4000000,"image":["x"],"requests_by_kind":[1],"caches":7,'
                         '"uptime_seconds":"long","errors":-1,"image_is_staged":1}')
    result = work.squenv("stats", path, user=False)
    assert result.returncode == 0 and "pid 4000000, up 0 s" in result.stdout, result.stderr
    result = work.squenv("list", "--json", user=False)
    (row,) = [row for row in json.loads(result.stdout) if row["mountpoint"] == str(path)]
    assert row["state"] == "ok" and row["image"].endswith("plain.squashfs")


def test_stats_of_what_does_not_answer_properly(work, lying):
    for index, answer in enumerate(ODD):
        if answer == '{"pid":1}':
            continue  # in a container that is a daemon
        path = lying(f"liar-{index}", answer)
        result = work.squenv("stats", path, user=False)
        assert result.returncode == FAILURE, answer
        assert "does not answer properly" in result.stderr and "exception" not in result.stderr


def test_control_characters_of_others_do_not_reach_the_terminal(work, lying):
    path = lying("liar", json.dumps({"pid": 4000000, "image": "/a\n\x1b[31mb\u009b",
                                     "requests_by_kind": {"\x1b[32m": 3},
                                     "caches": {"\x1b[33m": {"hits": 1}}}))
    for words in (["list"], ["stats", path]):
        result = work.squenv(*words, user=False)
        assert result.returncode == 0, result.stderr
        assert "\x1b" not in result.stdout and "\u009b" not in result.stdout
        assert "\\x1b[31mb\\x9b" in result.stdout


def test_silent_mounts_cost_one_deadline_together(work, lying, plain_image):
    silent = [lying(f"silent-{index}") for index in range(SILENT)]
    mount = work.mount(plain_image)
    result = work.squenv("list", "--json", user=False, timeout=PATIENCE)
    rows = {row["mountpoint"]: row["state"] for row in json.loads(result.stdout)}
    assert [rows[str(path)] for path in silent] == ["no answer"] * SILENT
    assert rows[str(mount.path)] == "ok"
    mount.umount()


def test_a_user_is_not_told_about_the_mounts_of_others(work, lying):
    path = lying("liar", '{"pid":4000000}')
    assert str(path) not in work.squenv("list").stdout
    for words in (["stats", path], ["umount", path], ["umount", "--lazy", path]):
        result = work.squenv(*words)
        assert result.returncode == FAILURE and f"user {LIAR}" in result.stderr, result.stderr
    assert len(mounts_below(path)) == 1


def test_nothing_is_mounted_over_the_mount_of_another(work, lying, plain_image):
    """And it is not asked either: it would not answer."""
    path = lying("silent")
    result = work.squenv("mount", plain_image, path, timeout=PATIENCE)
    assert result.returncode == FAILURE and f"by user {LIAR}" in result.stderr, result.stderr
    doctor = work.squenv("doctor", plain_image, path, timeout=PATIENCE)
    assert f"a mount of user {LIAR}" in doctor.stdout and "joins" not in doctor.stdout
    assert len(mounts_below(path)) == 1


def test_the_image_of_another_is_not_taken_for_ours(work, cache, lying, plain_image):
    """It says that it is the very image wanted, at a place where nothing else can be had."""
    mount = work.mount(plain_image)
    identity = mount.stats()["identity"]
    mount.umount()
    path = lying("liar", json.dumps({"pid": 4000000, "identity": identity}))
    words = work.command("run", "-v", f"{plain_image}:{path}", "--", "ls", path)
    result = without_namespaces(quoted(words))
    assert "mounted there by another" not in result.stderr, result
    assert result.returncode == OWN_FAILURE and f"user {LIAR}" in result.stderr, result


def test_the_image_of_root_is(work, cache, lying, plain_image):
    """Root could do anything anyway, and mounts images for everybody."""
    mount = work.mount(plain_image)
    identity = mount.stats()["identity"]
    mount.umount()
    path = lying("root", json.dumps({"pid": 4000000, "identity": identity}), user=0)
    words = work.command("run", "-v", f"{plain_image}:{path}", "--", "true")
    result = without_namespaces(quoted(words))
    assert result.returncode == 0 and "mounted there by another" in result.stderr, result


def test_an_active_environment_is_not_taken_from_another(work, lying, plain_image):
    path = lying("liar", '{"pid":4000000}')
    environment = {**os.environ, "SQUENV_MOUNTS": f"{plain_image}:{path}", "SHELL": "/bin/sh"}
    result = work.squenv("shell", f"{plain_image}:{path}", env=environment, timeout=PATIENCE)
    assert "has it already" not in result.stderr, result.stderr
