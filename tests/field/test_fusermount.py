# SPDX-License-Identifier: MIT
"""Programs called fusermount3 that are of no use, and machines on which none is."""

import json
import os
import shutil

import pytest

from run_support import (
    IMPORT,
    NO_WAY,
    expect_import,
    on_machine,
    quoted,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support.processes import AS_USER, run

pytestmark = pytest.mark.usefixtures("settled")

# Before a test puts another one in front of it.
REAL = os.path.realpath(shutil.which("fusermount3") or "/usr/bin/fusermount3")
HIDDEN = f"mount --bind /dev/null {REAL}"


@pytest.fixture
def plain_program(work):
    """A directory with a fusermount3 that is not setuid."""
    directory = work.directory("plain-program")
    shutil.copy(REAL, directory / "fusermount3")
    (directory / "fusermount3").chmod(0o755)
    return directory


@pytest.fixture
def path_in_front(plain_program, monkeypatch):
    monkeypatch.setenv("PATH", f"{plain_program}:{os.environ['PATH']}")
    return plain_program


def doctor(work, script="true", user=None):
    """The probes of doctor by their subjects, and which methods work."""
    words = [*(AS_USER if user is None else user), work.programs / "squenv", "doctor", "--json"]
    result = on_machine(script, words)
    report = json.loads(result.stdout)
    return ({probe["subject"]: probe for probe in report["probes"]},
            {line["method"]: line["works"] for line in report["methods"]})


# Source: NixOS/nixpkgs#139939, NixOS/nixpkgs#201368.
def test_setuid_program_wins_over_the_order(work, path_in_front, plain_image):
    mount = work.mount(plain_image)
    mount.umount()
    probes, works = doctor(work)
    finding = probes["fusermount3"]["finding"]
    assert probes["fusermount3"]["passed"] and works["fusermount"]
    assert f"passed over: {path_in_front}/fusermount3 is not setuid root" in finding


def test_program_of_a_user_is_never_made_setuid(work, path_in_front, plain_image):
    path = work.directory("mnt")
    result = on_machine(HIDDEN, work.command("mount", plain_image, path))
    assert result.returncode == NO_WAY, result
    assert f"{path_in_front}/fusermount3 is not setuid root" in result.stderr
    assert "chmod" not in result.stderr and "apt install fuse3" in result.stderr


def test_program_among_wrappers(work, venv_image, venv_source):
    script = ("mount -t tmpfs -o mode=755 none /run; mkdir -p /run/wrappers/bin;"
              f"cp {REAL} /run/wrappers/bin/fusermount3;"
              f"chmod 4755 /run/wrappers/bin/fusermount3; {HIDDEN}")
    result = on_machine(script, work.command("run", "-v", venv_image, "--", *IMPORT))
    expect_import(result, venv_source)
    assert "(fusermount)" in result.stderr, result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_program_on_a_nosuid_file_system(work, venv_image, venv_source):
    place = work.directory("nosuid", user=False)
    script = (f"mount -t tmpfs -o nosuid,mode=755 none {place};"
              f"cp {REAL} {place}/fusermount3; chmod 4755 {place}/fusermount3;"
              f"{HIDDEN}; export PATH={place}:$PATH")
    probe = doctor(work, script)[0]["fusermount3"]
    assert not probe["passed"] and "nosuid" in probe["finding"] and "nosuid" in probe["remedy"]
    result = on_machine(script, work.command("run", "-v", venv_image, "--", *IMPORT))
    expect_import(result, venv_source)
    assert "(userns)" in result.stderr, result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_setuid_program_of_another_user(work):
    place = work.directory("foreign")
    script = (f"cp {REAL} {place}/fusermount3; chown 1000 {place}/fusermount3;"
              f"chmod 4755 {place}/fusermount3; {HIDDEN}; export PATH={place}:$PATH")
    probe = doctor(work, script)[0]["fusermount3"]
    assert not probe["passed"] and "does not belong to root" in probe["finding"]
    assert "chmod" not in probe["remedy"] and "chown" not in probe["remedy"]


NO_PRIVILEGE = {
    "no_new_privs": [*AS_USER[:-1], "--no-new-privs", "--"],
    "CAP_SYS_ADMIN": ["setpriv", "--bounding-set", "-sys_admin", "--", *AS_USER],
}


@pytest.mark.parametrize("word", NO_PRIVILEGE)
def test_process_that_gains_no_privilege(word, work, plain_image):
    user = NO_PRIVILEGE[word]
    program = work.programs / "squenv"
    path = work.directory("mnt")
    result = run([*user, program, "mount", plain_image, path])
    assert result.returncode == NO_WAY and word in result.stderr, result
    assert str(path) in result.stderr and len(result.stderr.splitlines()) == 1
    probes, works = doctor(work, user=user)
    assert not probes["fusermount3"]["passed"] and word in probes["fusermount3"]["finding"]
    assert probes["fusermount3"]["remedy"] and not works["fusermount"]
    assert run([*user, program, "run", "-v", f"{plain_image}:{path}", "--", "true"]).returncode == 0
    wait_until_nothing_is_left(work, path)


MTABS = {
    "missing": "rm {etc}/mtab",
    "dangling": "ln -sf /nonexistent {etc}/mtab",
    "empty": "rm {etc}/mtab; : > {etc}/mtab",
    "copy": "rm {etc}/mtab; cat /proc/self/mounts > {etc}/mtab",
}


# Source: openSUSE/obs-build#535, apptainer/apptainer#2508.
@pytest.mark.parametrize("kind", MTABS)
def test_mtab_that_does_not_follow(kind, work, venv_image, venv_source, monkeypatch):
    """fusermount3 would mount and never unmount."""
    etc = work.path / "etc"
    script = f"cp -a /etc {etc}; {MTABS[kind].format(etc=etc)}; mount --bind {etc} /etc"
    result = on_machine(script, work.command("run", "-v", venv_image, "--", *IMPORT))
    expect_import(result, venv_source)
    assert "(userns)" in result.stderr, result.stderr
    wait_until_nothing_is_left(work, venv_source)
    again = f"mount --bind {etc} /etc"
    refused = on_machine(again, work.command("mount", venv_image, venv_source))
    assert refused.returncode == NO_WAY and "/proc/self/mounts /etc/mtab'" in refused.stderr
    monkeypatch.setenv("TMPDIR", str(work.directory("tmp")))
    probes, works = doctor(work, again)
    assert not probes["fusermount3"]["passed"] and "/etc/mtab" in probes["fusermount3"]["finding"]
    assert not works["fusermount"] and works["userns"]
    assert os.listdir(work.path / "tmp") == []


# Source: karanhudia/borg-ui#760, Sohex/musefs#509.
@pytest.mark.parametrize("message, word", [
    ("mount failed: Permission denied", "AppArmor"),
    ("mount failed: Operation not permitted", "CAP_SYS_ADMIN"),
    ("could not determine username", "/etc/passwd"),
    ("failed to open /etc/fuse.conf: Permission denied\n"
     "fusermount3: option allow_other only allowed if 'user_allow_other' is set in "
     "/etc/fuse.conf", "chmod 644 /etc/fuse.conf")],
    ids=["policy", "privilege", "name", "configuration"])
def test_what_fusermount_says_is_explained(message, word, work, plain_image):
    """By a script in its place, as a security policy would have it answer."""
    script = work.path / "script"
    script.write_text(f'#!/bin/sh\ncat >&2 <<"END"\nfusermount3: {message}\nEND\nexit 1\n',
                      encoding="ascii")
    script.chmod(0o755)
    path = work.directory("mnt")
    result = on_machine(f"mount --bind {script} {REAL}",
                        work.command("mount", plain_image, path))
    assert result.returncode == NO_WAY and word in result.stderr, result
    assert len(result.stderr.splitlines()) == 1, result.stderr


# Source: Agenta-AI/agenta#6088.
def test_user_number_without_a_name(work, venv_image, venv_source):
    user = ["setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups", "--"]
    path = work.directory("nameless")
    os.chown(path, 61234, 61234)
    result = run([*user, work.programs / "squenv", "mount", venv_image, path])
    assert result.returncode == NO_WAY and "libnss-unknown" in result.stderr, result


@pytest.fixture
def mounts_and_never_unmounts(work):
    """A machine on which a policy lets fusermount3 mount only."""
    directory = work.directory("setuid", user=False)
    shutil.copy(REAL, directory / "fusermount3")
    (directory / "fusermount3").chmod(0o4755)
    script = work.path / "script"
    script.write_text('#!/bin/sh\nfor last; do :; done\n'
                      'case "$1" in -u*) echo "fusermount3: failed to unmount $last:'
                      ' Permission denied" >&2; exit 1;; esac\n'
                      f'exec {directory}/fusermount3 "$@"\n', encoding="ascii")
    script.chmod(0o755)
    return f"mount --bind {script} {REAL}"


# Source: roddhjav/apparmor.d#817.
def test_mount_that_cannot_be_removed_goes_on_serving(work, venv_image, venv_source,
                                                      mounts_and_never_unmounts):
    """A living mount harms less than a dead one: later runs join it."""
    user = quoted(AS_USER)
    one = quoted(work.command("run", "-v", "--via", "fusermount", venv_image, "--", *IMPORT))
    script = work.path / "after"
    script.write_text(f"{one}; sleep 7\n{user} ls {venv_source}/pyvenv.cfg || exit 9\n"
                      f"{one} || exit 8\numount {venv_source}\n", encoding="ascii")
    result = on_machine(mounts_and_never_unmounts, ["sh", script])
    assert result.returncode == 0, result
    lines = result.stdout.splitlines()
    assert lines == [f"42 {venv_source}", f"{venv_source}/pyvenv.cfg", f"42 {venv_source}"]
    assert "joined" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_doctor_where_nothing_is_unmounted(work, mounts_and_never_unmounts, monkeypatch):
    """Nothing of the trial stays: the removal of a directory takes a mount on it along."""
    monkeypatch.setenv("TMPDIR", str(work.directory("tmp")))
    probes, works = doctor(work, mounts_and_never_unmounts)
    assert not works["fusermount"] and works["userns"]
    probe = probes["fusermount3 mount"]
    assert "cannot be taken away again" in probe["finding"] and "AppArmor" in probe["remedy"]
    assert "stays" not in probe["remedy"] and os.listdir(work.path / "tmp") == []


def test_doctor_of_an_image_where_nothing_is_unmounted(work, mounts_and_never_unmounts, plain_image,
                                                       monkeypatch):
    monkeypatch.setenv("TMPDIR", str(work.directory("tmp")))
    here, made = work.directory("here"), work.directory("free") / "a" / "b"
    for path in [here, made]:
        words = quoted(work.command("doctor", plain_image, path))
        script = f"{words}; ! grep -e {here} -e {made} -e {work.path}/tmp /proc/self/mounts"
        result = on_machine(mounts_and_never_unmounts, ["sh", "-c", script])
        assert result.returncode == 0, result
        assert "cannot be taken away again" in result.stdout
    assert os.listdir(work.path / "tmp") == [] and not made.parent.exists()


def test_doctor_says_what_it_has_to_leave(work, mounts_and_never_unmounts, monkeypatch):
    """Without namespaces, nothing takes the mount away."""
    monkeypatch.setenv("TMPDIR", str(work.directory("tmp")))
    words = quoted(work.command("doctor"))
    result = without_namespaces(f"{mounts_and_never_unmounts}\n{words}")
    assert "stays, dead, until root runs 'umount -l " in result.stdout, result
