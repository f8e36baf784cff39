# SPDX-License-Identifier: MIT
"""User namespaces that are refused for reasons of their own: each is named as what it is."""

import os
import re
import signal

import pytest

from run_support import OWN_FAILURE, background, quoted
from support.processes import AS_USER, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")


# Source: containers/bubblewrap#465, containers/bubblewrap#764.
@pytest.mark.parametrize("limit, other", [
    ("max_mnt_namespaces", "max_user_namespaces"), ("max_user_namespaces", "max_mnt_namespaces")])
@pytest.mark.parametrize("number", [0, 1])
def test_limit_that_is_reached_is_named(number, limit, other, work):
    """A limit of 1 is reached by one that another process holds."""
    ready = work.path / "ready"
    kind = "-m" if limit == "max_mnt_namespaces" else "-U"
    holder = (f"mkfifo {ready}; unshare {kind} sh -c 'echo >{ready}; exec sleep 1000' & "
              f"holder=$!; read line <{ready}")
    script = (f"echo {number} >/proc/sys/user/{limit} || exit 99\n"
              f"{holder if number else ':'}\n"
              # With CAP_SYS_ADMIN no user namespace would be needed.
              f"setpriv --bounding-set -all '{work.programs}/squenv' doctor\n"
              f"{'kill $holder' if number else ':'}")
    result = run([*AS_USER, "unshare", "-Ur", "sh", "-c", script])
    advice = [line for line in result.stdout.splitlines() if "user." in line]
    assert advice, result
    assert all(f"user.{limit} above {number}" in line and other not in line for line in advice)


def test_sandbox_that_allows_no_namespaces(work):
    if "--disable-userns" not in run(["bwrap", "--help"]).stdout:
        pytest.skip("this bubblewrap has no --disable-userns")
    result = run([*AS_USER, "bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc",
                  "/proc", "--bind", "/tmp", "/tmp", "--unshare-user", "--disable-userns",
                  work.programs / "squenv", "doctor"])
    assert "bwrap --disable-userns" in result.stdout, result
    assert "user.max_user_namespaces" not in result.stdout


def test_chroot_is_named(work, plain_image):
    root = work.directory("root", user=False)
    path = work.directory("mnt")
    words = quoted(work.command("run", "--via", "userns", f"{plain_image}:{path}", "--", "true"))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"mount --rbind / {root} || exit 99; chroot {root} {words}; exit $?"])
    assert result.returncode == OWN_FAILURE and "in a chroot" in result.stderr, result
    assert "seccomp" not in result.stderr


def test_root_without_the_capability_for_maps(work, plain_image):
    if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < (5, 12):
        pytest.skip("before Linux 5.12 it is not needed")
    path = work.directory("mnt")
    # With CAP_SYS_ADMIN no user namespace would be needed.
    result = run(["setpriv", "--bounding-set", "-setfcap,-sys_admin", "--",
                  work.programs / "squenv", "run",
                  "--via", "userns", f"{plain_image}:{path}", "--", "true"])
    assert result.returncode == OWN_FAILURE and "--cap-add SETFCAP" in result.stderr, result
    assert "seccomp" not in result.stderr


def test_a_mount_that_no_process_sees_is_told(work, plain_image):
    """The daemon is in the namespace, and so it keeps it: what ends it is named."""
    path = work.directory("mnt")
    words = ["squenv", "mount", plain_image, path]
    command = [*AS_USER, "unshare", "-Urm", work.programs / words[0], *words[1:]]
    result = run(command)
    (line,) = result.stderr.splitlines()
    assert result.returncode == 0 and "no other process is in this mount namespace" in line
    os.kill(int(re.search(r"daemon, process (\d+), stays until it is killed", line)[1]),
            signal.SIGTERM)
    wait_for(lambda: not background(work), "the end of the daemon")
    # One that a shell sees is as any other.
    script = f"{quoted([work.programs / words[0], *words[1:]])} && ls {path} && umount {path}"
    result = run([*AS_USER, "unshare", "-Urm", "sh", "-c", script])
    assert (result.returncode, result.stderr) == (0, "") and "large" in result.stdout, result
    wait_for(lambda: not background(work), "the end of the daemon")
