# SPDX-License-Identifier: MIT
"""`squenv run` and `doctor` on machines on which something is missing."""

import json
import os

import pytest

from run_support import (
    IMPORT,
    OWN_FAILURE,
    CLOSED_DEVICE,
    NO_DEVICE,
    NO_FUSE,
    NO_HELPER,
    NO_SETUID,
    build_filter,
    expect_import,
    machine,
    quoted,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support.processes import AS_USER, mounts_below, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")


@pytest.mark.parametrize("script, method", [
    (NO_DEVICE, "extract"), (CLOSED_DEVICE, "extract"), (NO_SETUID, "userns"),
    (NO_HELPER, "userns")], ids=["no device", "device closed", "no setuid bit", "no helper"])
def test_machine_without(script, method, work, cache, venv_image, venv_source):
    script = script.format(work=work.path)
    result = machine(work, script, venv_image, venv_source, "-v")
    expect_import(result, venv_source)
    assert f"({method})" in result.stderr, result.stderr


def test_machine_without_namespaces(work, cache, venv_image, venv_source):
    expect_import(without_namespaces(quoted(work.command("run", venv_image, "--", *IMPORT))),
                  venv_source)
    result = without_namespaces(
        quoted(work.command("run", "--via", "userns", venv_image, "--", *IMPORT)))
    assert result.returncode == OWN_FAILURE and "max_user_namespaces" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_machine_with_nothing_but_a_free_path(work, cache, plain_image):
    """A symlink to the unpacked tree, shared, and gone with its last user."""
    path = work.directory("free") / "venv"
    command = quoted(work.command("run", "-v", f"{plain_image}:{path}", "--", "sh", "-c",
                                  f"test -L {path} && ls {path} | wc -l"))
    result = without_namespaces(f"{NO_FUSE}\n{command} & {command}; wait")
    counts = result.stdout.split()
    assert len(counts) == 2 and counts[0] == counts[1] != "0", result
    assert "(extract" in result.stderr
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")
    wait_until_nothing_is_left(work, path)


def test_machine_with_nothing(work, cache, venv_image, venv_source):
    """Something is at the path, and nothing can be put over it: every reason is named."""
    result = without_namespaces(
        NO_FUSE + "\n" + quoted(work.command("run", venv_image, "--", *IMPORT)))
    assert result.returncode == OWN_FAILURE
    for word in ["fusermount", "/dev/fuse", "userns", "max_user_namespaces", "extract",
                 str(venv_source), "squenv doctor"]:
        assert word in result.stderr, result.stderr


@pytest.mark.parametrize("first", ["unshare", "mount"])
def test_machine_with_seccomp_filter(first, work, cache, venv_image, venv_source):
    """Unshare, mount and setns are refused, as container engines do; or unshare works and what
    needs the capabilities of the namespace does not, as AppArmor does on workstations."""
    filter_program = build_filter(work, f"CALL({first}), CALL(mount), CALL(setns)")
    result = run([*AS_USER, filter_program, work.programs / "squenv", "run", "-v", "--via",
                  "userns", venv_image, "--", *IMPORT])
    assert result.returncode == OWN_FAILURE and "seccomp" in result.stderr
    path = work.directory("free") / "venv"
    image_at = f"{venv_image}:{path}"
    result = run([*AS_USER, filter_program, work.programs / "squenv", "run", "-v", "--force",
                  "--via", "extract", image_at, "--", "ls", path])
    assert result.returncode == 0 and "pyvenv.cfg" in result.stdout, result.stderr
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


def test_inside_bubblewrap(work, cache, venv_image, venv_source):
    """A container without /dev/fuse, in which only the namespace of the engine is left."""
    result = run([*AS_USER, "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
                  "--bind", "/tmp", "/tmp", "--unshare-pid", "--die-with-parent",
                  work.programs / "squenv", "run", "-v", venv_image, "--", *IMPORT])
    expect_import(result, venv_source)
    with_device = run([*AS_USER, "bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev",
                       "--proc", "/proc", "--bind", "/tmp", "/tmp", "--die-with-parent",
                       work.programs / "squenv", "run", "-v", venv_image, "--", *IMPORT])
    expect_import(with_device, venv_source)
    assert "(userns)" in with_device.stderr, with_device.stderr



def test_doctor(work, venv_image, venv_source, monkeypatch):
    temporary = work.directory("tmp")
    monkeypatch.setenv("TMPDIR", str(temporary))
    result = work.squenv("doctor", venv_image)
    assert result.returncode == 0, result.stderr
    for word in ["/dev/fuse", "fusermount3", "user namespace", "unpacking", str(venv_source)]:
        assert word in result.stdout
    report = json.loads(work.squenv("doctor", "--json").stdout)
    works = {line["method"]: line["works"] for line in report["methods"]}
    assert works == {"direct": False, "fusermount": True, "userns": True, "extract": True}
    assert not mounts_below(temporary) and os.listdir(temporary) == []


@pytest.mark.parametrize("script, word, left", [
    (NO_DEVICE, "modprobe fuse", ["extract"]),
    (CLOSED_DEVICE, "chmod 0666 /dev/fuse", ["extract"]),
    (NO_SETUID, "chmod u+s", ["userns", "extract"])],
    ids=["no device", "device closed", "no setuid bit"])
def test_doctor_names_cause_and_cure(script, word, left, work):
    command = " ".join(f"'{word}'" for word in work.command("doctor", "--json"))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"{script.format(work=work.path)}\n{command}"])
    report = json.loads(result.stdout)
    assert any(word in probe["remedy"] for probe in report["probes"])
    assert [line["method"] for line in report["methods"] if line["works"]] == left


def test_doctor_knows_where_run_refuses(work, venv_image):
    place = work.directory("elsewhere")
    result = work.squenv("doctor", venv_image, place)
    assert result.returncode == 4 and "only with --force" in result.stdout
    assert "FAIL  path" in result.stdout and "not relocatable" in result.stdout


def test_doctor_without_a_temporary_directory(work, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    monkeypatch.setenv("SQUENV_CACHE", str(work.path / "cache"))
    result = work.squenv("doctor")
    assert result.returncode == 0 and "FUSE in a user namespace  works" in result.stdout, result
    monkeypatch.setenv("SQUENV_CACHE_SIZE", "much")
    assert "SQUENV_CACHE_SIZE: 'much' is not a size" in work.squenv("doctor").stdout


def test_doctor_when_nothing_works(work, venv_image, venv_source):
    result = without_namespaces(NO_FUSE + "\n" + quoted(work.command("doctor", venv_image)))
    assert result.returncode == 4
    assert "max_user_namespaces" in result.stdout and "nothing works" in result.stderr


def test_doctor_without_standard_descriptors(work):
    """The trial must not have one of their numbers."""
    squenv = work.programs / "squenv"
    before = mount_lines()
    for closed in ["<&- >&- 2>&-", "<&- >&-", ">&- 2>&-"]:
        run([*AS_USER, "sh", "-c", f"{squenv} doctor {closed}"])
    assert mount_lines() == before


def mount_lines():
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return [line for line in mounts if "squenv-doctor" in line]
