# SPDX-License-Identifier: MIT
"""What a daemon takes over from the process that starts it: nothing that others could feel."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path

import pytest

from run_support import (
    background,
    processes_of_mount,
    daemon_name,
    packed,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import AS_USER, check, mounts_below, processes_of, run, status, wait_for

pytestmark = pytest.mark.usefixtures("settled")


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


@pytest.fixture
def odd_starter(work, venv_image, venv_source):
    """Processes beside a run that was started from an unusual place."""
    script = textwrap.dedent(f"""
        import os, resource, sys
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        resource.setrlimit(resource.RLIMIT_CPU, (50, 5000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 40))
        resource.setrlimit(resource.RLIMIT_NPROC, (2000, 4000))
        os.umask(0)
        os.chdir("{work.path}")
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("700")
        os.execv(sys.argv[1], sys.argv[1:])
        """)
    words = work.command("run", "-q", venv_image, "--", "sh", "-c", "echo; exec sleep 1000")
    user = work.start([*AS_USER, "/usr/bin/python3", "-c", script, *words[len(AS_USER):]],
                      env={**os.environ, "MARK_OF_THE_STARTER": "1", "SGE_TASK_ID": "undefined"})
    assert user.stdout.readline() == b"\n"
    yield processes_of_mount(work)
    user.kill()
    wait_until_nothing_is_left(work, venv_source)


def test_nothing_is_taken_over(odd_starter):
    for pid in odd_starter:
        name = daemon_name(pid)
        assert proc(pid, "environ").strip("\0") == "", name
        assert os.readlink(f"/proc/{pid}/cwd") == "/", name
        facts = status(pid)
        assert facts["Umask"] == "0077", name
        assert len(os.sched_getaffinity(pid)) == len(os.sched_getaffinity(1)), name
        limits = {line[:26].strip(): line[26:].split()[:2]
                  for line in proc(pid, "limits").splitlines()[1:]}
        assert limits["Max cpu time"][0] == "5000", name
        assert limits["Max file size"][0] == str(1 << 40), name
        assert limits["Max processes"][0] == "4000", name
        assert int(facts["SigIgn"], 16) & (1 << (signal.SIGXCPU - 1)), name
        fields = proc(pid, "stat").rsplit(")", 1)[1].split()
        assert fields[4] == "0", f"{name} has a terminal"
        assert fields[3] not in {str(os.getsid(0))}, f"{name} is in the session of its starter"
        for number in "012":
            assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null", name


def test_not_as_nice_as_root_can_be(work, venv_image, venv_source):
    """An ordinary process cannot become less nice; root's daemon does."""
    user = work.start(["nice", "-n", "10", *work.command("run", "-q", venv_image, "--", "sh", "-c",
                                                         "echo; exec sleep 1000", user=False)])
    assert user.stdout.readline() == b"\n"
    for pid in processes_of_mount(work):
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
    user.kill()
    wait_until_nothing_is_left(work, venv_source)


# Source: apptainer/singularity#5434, lxc/lxcfs#122.
@pytest.mark.parametrize("limit", range(2, 14))
def test_few_processes_are_allowed(limit, work, venv_image, venv_source):
    """Threads and processes that the system refuses: a reason or success, and nothing is left."""
    other = 31778
    command = ["setpriv", "--reuid", str(other), "--regid", str(other), "--clear-groups", "--",
               "prlimit", f"--nproc={limit}", "timeout", "60", work.programs / "squenv", "run",
               "-q", "--force", f"{venv_image}:{work.path}/mnt", "--", "true"]
    (work.path / "mnt").mkdir()
    os.chown(work.path / "mnt", other, other)
    result = run(command, env={**os.environ, "SQUENV_CACHE": "/nonexistent/cache"})
    assert result.returncode in (0, 125), result.stderr
    assert "terminate" not in result.stderr and "what():" not in result.stderr
    assert result.returncode == 0 or result.stderr.strip()
    wait_for(lambda: not background(work), "the end of all processes")
    assert not mounts_below(work.path)


# Libraries of the user's programs.

THREAD = """
#include <pthread.h>
#include <unistd.h>
static void *idle(void *nothing) { (void)nothing; for (;;) pause(); }
__attribute__((constructor)) static void begin(void) {
    pthread_t thread;
    pthread_create(&thread, 0, idle, 0);
}
"""


# Source: NixOS/nixpkgs#19047.
def test_preloaded_library_with_a_thread(work, plain_image):
    place = work.directory("place")
    library = work.path / "thread.so"
    check(["cc", "-shared", "-fPIC", "-pthread", "-x", "c", "-o", library, "-"], input=THREAD)
    command = work.command("run", "-v", "--via", "userns", f"{plain_image}:{place}", "--", "env",
                           user=False)
    result = run([*AS_USER, "env", f"LD_PRELOAD={library}", *command])
    assert result.returncode == 0 and "(userns)" in result.stderr, result.stderr
    assert f"LD_PRELOAD={library}" in result.stdout.splitlines()
    assert "SQUENV_SAVED" not in result.stdout


# Source: rizinorg/cutter#579.
def test_library_path_with_a_library_of_ours(work, plain_image):
    place = work.directory("place")
    linked = check(["ldd", work.programs / "squenv"]).stdout
    found = re.search(r"=> (\S*/lib(fuse3|c)\.so\S*)", linked)
    if not found:
        pytest.skip("the program has no shared library")
    libraries = work.directory("libraries")
    shutil.copy(found[1], libraries)
    command = work.command("run", "--via", "fusermount", f"{plain_image}:{place}", "--", "sh", "-c",
                           "echo $LD_LIBRARY_PATH; read line", user=False)
    user = work.start([*AS_USER, "env", f"LD_LIBRARY_PATH={libraries}", *command],
                      stdin=subprocess.PIPE)
    assert user.stdout.readline().decode() == f"{libraries}\n"
    seen = []
    for pid in processes_of(work.programs / "squenv"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the warmer soon ends
            seen.append((Path(f"/proc/{pid}/comm").read_text(encoding="ascii"),
                         Path(f"/proc/{pid}/maps").read_text(errors="replace")))
    assert any(comm == "squenv\n" for comm, _ in seen), seen
    assert not any(str(libraries) in maps for _, maps in seen)
    user.communicate(b"\n", timeout=20)
    assert user.returncode == 0
    wait_until_nothing_is_left(work, place)


def test_library_of_another_mount_is_not_kept(work, plain_image):
    """A daemon that is started inside an environment outlives the mount of that."""
    tree = work.directory("env")
    check(["cc", "-shared", "-fPIC", "-x", "c", "-o", tree / "preloaded.so", "-"], input="int y;")
    image = packed(work, tree)
    lasting = work.directory("lasting")
    result = squenv_run(work, image, ["env", f"LD_PRELOAD={tree}/preloaded.so",
                                      *work.command("mount", "-q", plain_image, lasting,
                                                    user=False)])
    assert result.returncode == 0, result.stderr
    wait_for(lambda: not mounts_below(tree), "the end of the first mount")
    assert mounts_below(lasting)
    assert work.squenv("umount", "--wait", lasting).returncode == 0


@pytest.mark.parametrize("kilobytes", [14_000, 16_000, 18_000, 20_400, 20_800, 21_200, 24_000])
def test_a_mount_in_little_address_space(kilobytes, work, plain_image):
    """It ends, and names the limit that is reached: of memory, not of processes."""
    path = work.directory("mnt")
    result = run([*AS_USER, "prlimit", f"--as={kilobytes << 10}", work.programs / "squenv", "mount",
                  plain_image, path], timeout=20)
    if result.returncode == 0:
        assert work.squenv("umount", "--wait", path).returncode == 0
    else:
        (line,) = result.stderr.splitlines()
        assert "not enough memory" in line and "'ulimit -v' allows" in line, line
        assert "ulimit -u" not in line and "look into the log" not in line
    wait_until_nothing_is_left(work, path)


# `ulimit -v`: threads and memory are refused in the middle of a start.
@pytest.mark.parametrize("megabytes", [14, 16, 20, 30, 40, 60, 120])
def test_little_address_space(megabytes, work, cache, plain_image):
    path = work.directory("free") / "mnt"
    result = run([*AS_USER, "prlimit", f"--as={megabytes << 20}", work.programs / "squenv", "run",
                  "-q", f"{plain_image}:{path}", "--", "true"])
    assert "terminate" not in result.stderr and "what():" not in result.stderr, result.stderr
    assert result.returncode in (0, 125, 127), result
    assert result.returncode == 0 or result.stderr.strip()
    wait_until_nothing_is_left(work, path)
