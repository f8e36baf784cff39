# SPDX-License-Identifier: MIT
"""Everyday edges: shells, links, crawlers of root, and machines that sleep."""

import os
import signal
import subprocess

import pytest

from run_support import (
    IMPORT,
    build_filter,
    expect_import,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import AS_USER, check, mounts_below, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")

UNSHARE_IS_INVALID = ("LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1), "
                      "BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL)")
# As an administrator and cron run them. None goes into the mount, so none waits for its daemon.
CRAWLERS = {
    "df": ["df"], "df of all": ["df", "-a"], "findmnt": ["findmnt"], "mount": ["mount"],
    "ls": ["ls", "{parent}"], "find": ["find", "{parent}"], "sync": ["sync"],
    "find on one": ["find", "{parent}", "-xdev"], "du": ["du", "-s", "{parent}"],
    "stat": ["stat", "{path}"], "file system": ["stat", "-f", "{path}"],
}


# Source: cvmfs/cvmfs#3432, keybase/client#26864.
@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
def test_crawlers_of_root_do_not_hang(is_stopped, work, plain_image):
    """Whatever the daemon does: the kernel refuses root before it would be asked."""
    mount = work.mount(plain_image)
    if is_stopped:
        os.kill(mount.pid, signal.SIGSTOP)
    try:
        for name, words in CRAWLERS.items():
            words = [word.format(parent=work.path, path=mount.path) for word in words]
            try:
                # sync writes what the whole machine has to write.
                assert run(words, timeout=60).returncode in (0, 1), name
            except subprocess.TimeoutExpired:
                pytest.fail(f"{name} hangs")
    finally:
        os.kill(mount.pid, signal.SIGCONT)
    mount.umount()


# Source: NixOS/nixpkgs#321654 (an emulator has threads of its own, and the kernel answers EINVAL).
def test_threads_of_an_emulator_are_named(work, plain_image):
    path = work.directory("mnt")
    result = run([*AS_USER, build_filter(work, UNSHARE_IS_INVALID), work.programs / "squenv", "run",
                  "--via", "userns", f"{plain_image}:{path}", "--", "true"])
    assert result.returncode == 125 and "has several threads" in result.stderr, result
    assert "qemu-user" in result.stderr and "without user namespaces" not in result.stderr


@pytest.fixture
def tcsh(work):
    """tcsh_says(start-up file, image): what a shell of these answers."""
    home = work.directory("tcsh-home")

    def says(lines, image):
        (home / ".tcshrc").write_text(lines, encoding="ascii")
        return work.squenv("shell", image, input="which python\necho in:$VIRTUAL_ENV\nexit 7\n",
                           env={"HOME": str(home), "SHELL": "/bin/tcsh", "TERM": "dumb",
                                "PATH": "/usr/bin:/bin"})
    return says


# tcsh reads its own file last: one that sets the path hides the environment, unless it looks first.
@pytest.mark.parametrize("lines", [
    "", "if (! $?SQUENV_MOUNTS) set path = (~/bin /usr/local/bin /usr/bin /bin)\n"],
    ids=["no path", "as the manual has it"])
def test_tcsh_with_the_environment(lines, tcsh, work, venv_image, venv_source):
    result = tcsh(lines, venv_image)
    assert result.returncode == 7, result
    assert result.stdout.splitlines() == [f"{venv_source}/bin/python", f"in:{venv_source}"], result
    assert "/bin/tcsh: is started as it is" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_tcsh_that_sets_its_path_is_told(tcsh, work, venv_image, venv_source):
    result = tcsh("set path = (/usr/bin /bin)\n", venv_image)
    assert result.returncode == 7 and f"in:{venv_source}" in result.stdout, result
    assert f"{venv_source}/bin/python" not in result.stdout
    assert "hides the environment, see squenv-shell(1)" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


# Scripts go on with the directory right after the command: pip, touch, rm.
@pytest.mark.parametrize("via", ["fusermount", "extract"])
def test_directory_can_be_changed_after_a_run(via, work, cache, plain_image):
    path = work.directory("free") / "env"
    for i in range(5):
        if via == "fusermount":
            path.mkdir(exist_ok=True)
            os.chown(path, 1000, 1000)
        assert squenv_run(work, f"{plain_image}:{path}", ["ls", path], "--via", via).stdout
        check(work.command("umount", "--wait", path))
        assert not mounts_below(path)
        if via == "fusermount":
            check([*AS_USER, "touch", path / f"x{i}"])
            check([*AS_USER, "rm", "-r", path])
        else:
            wait_for(lambda: not os.path.lexists(path), "the removal of the link")


# Source: libfuse/libfuse#248, apptainer/apptainer#345.
def test_frozen_and_thawed(work, venv_image, venv_source, cgroups):
    """As a batch system suspends a job: freezing may take a while, thawing loses nothing."""
    group = cgroups("squenv-field-frozen")
    words = work.command("run", venv_image, "--", "python", "-c",
                         "import sys; print(1, flush=True); sys.stdin.read();"
                         "import probe; print(probe.VALUE)")
    user = work.start(["sh", "-c", 'echo $$ > "$0/cgroup.procs" || exit 99; exec "$@"', group,
                       *words], stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"1\n"
    freezer = group / "cgroup.freeze"
    freezer.write_text("1", encoding="ascii")
    wait_for(lambda: "frozen 1" in (group / "cgroup.events").read_text(encoding="ascii"),
             "the whole group frozen")
    try:
        beside = squenv_run(work, venv_image, IMPORT, timeout=60)
    finally:
        freezer.write_text("0", encoding="ascii")
    expect_import(beside, venv_source)
    output, errors = user.communicate(timeout=20)
    assert (user.returncode, output) == (0, b"42\n"), errors
    wait_until_nothing_is_left(work, venv_source)
