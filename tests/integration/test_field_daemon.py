# SPDX-License-Identifier: MIT
"""What a daemon takes over from the process that starts it, and what keeps a mount: processes that
closed what they did not know. As process 1 of a container, `run` is its init."""

import os
import signal
import textwrap
import time

import pytest

from run_support import (
    IMPORT,
    background,
    daemon_name,
    expect_import,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import AS_USER, USER, check, mounts_below, run, status, wait_for


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
        resource.setrlimit(resource.RLIMIT_NPROC, (400, 4000))
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
    wait_for(lambda: not [pid for pid in background(work) if daemon_name(pid) == "squenv-walker"],
             "the end of the warmer")
    yield background(work)
    user.kill()
    wait_until_nothing_is_left(work, venv_source)


def test_nothing_is_taken_over(odd_starter, work):
    assert sorted(map(daemon_name, odd_starter)) == ["squenv", "squenv-supervis"]
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
    for pid in background(work):
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
    user.kill()
    wait_until_nothing_is_left(work, venv_source)


LATE = textwrap.dedent("""
    import os, sys, time
    {closing}
    while not os.path.exists(sys.argv[1] + ".go"):
        time.sleep(0.01)
    try:
        import probe
        answer = str(probe.VALUE)
    except Exception as error:
        answer = repr(error)
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(answer)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    """)
CLOSING = {
    "all descriptors": "os.closerange(0, 4096)",
    "a daemon": "if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
                "os.chdir('/'); os.closerange(0, 4096)",
    "other numbers": "[os.dup2(os.open('/dev/null', os.O_RDWR), n) for n in range(3, 300)]",
}


@pytest.mark.parametrize("closing", CLOSING)
@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_children_that_close_everything(via, closing, work, venv_image, venv_source, cache):
    late = work.path / "late.py"
    late.write_text(LATE.format(closing=CLOSING[closing]), encoding="ascii")
    answer = work.path / "answer"
    if via == "extract":
        venv_source.rmdir()
    try:
        command = ["python", "-c", "import subprocess, sys; subprocess.Popen("
                   f"[sys.executable, '{late}', '{answer}'], start_new_session=True,"
                   " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
                   " stderr=subprocess.DEVNULL)"]
        check(work.command("run", "-q", "--via", via, venv_image, "--", *command))
        time.sleep(1.5)  # nothing shall happen in this time
        (work.path / "answer.go").touch()
        wait_for(answer.exists, "the answer")
        assert answer.read_text(encoding="ascii") == "42"
        wait_until_nothing_is_left(work, venv_source)
    finally:
        if not venv_source.exists():
            venv_source.mkdir()
            os.chown(venv_source, USER, USER)


def test_child_that_forgets_everything(work, venv_image, venv_source):
    """As the manual says: without descriptor and environment a process keeps nothing."""
    code = ("import os, subprocess; print(subprocess.Popen(['sleep', '1000'], env={}, cwd='/',"
            " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
            " stderr=subprocess.DEVNULL).pid)")
    result = squenv_run(work, venv_image, ["python", "-c", code], "-q")
    assert result.returncode == 0, result.stderr
    wait_until_nothing_is_left(work, venv_source)
    os.kill(int(result.stdout), signal.SIGKILL)


@pytest.mark.parametrize("command, code", [
    ("import os\ntry: os.wait()\nexcept ChildProcessError: pass", 0),
    ("import sys; sys.exit(7)", 7),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
])
def test_process_1_of_a_container(command, code, work, venv_image, venv_source):
    result = run(["timeout", "-s", "KILL", "30", "unshare", "--pid", "--fork", "--kill-child",
                  "--mount-proc", *work.command("run", "-q", venv_image, "--", "python", "-c",
                                                command, user=False)])
    assert result.returncode == code, result.stderr
    assert not mounts_below(venv_source)


def test_process_1_passes_signals_on(work, venv_image, venv_source):
    code = ("import signal, sys, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
            "print(flush=True); time.sleep(1000)")
    one = work.start(["unshare", "--pid", "--fork", "--mount-proc",
                      *work.command("run", "-q", venv_image, "--", "python", "-c", code,
                                    user=False)])
    assert one.stdout.readline() == b"\n"
    with open(f"/proc/{one.pid}/task/{one.pid}/children", encoding="ascii") as file:
        init = int(file.read().split()[0])
    os.kill(init, signal.SIGTERM)
    assert one.wait(20) == 5
    assert not mounts_below(venv_source)


def test_access_answers_as_on_a_directory(work, venv_image, venv_source):
    """Without a request more once the mount is warm."""
    mount = work.mount(venv_image, venv_source)
    probe = check(["find", venv_source, "-name", "probe.py"], user=True).stdout.strip()
    files = [venv_source / "bin" / "activate", probe]
    for path in files:
        assert run(["test", "-x", path], user=True).returncode == 1, path
        assert run(["test", "-r", path], user=True).returncode == 0, path
        assert run(["test", "-w", path], user=True).returncode == 1, path
    found = run(["find", venv_source, "-type", "f", "-executable"], user=True).stdout
    programs = run(["find", venv_source, "-type", "f", "-perm", "/111"], user=True).stdout
    assert found == programs
    before = mount.requests()
    for path in files:
        run(["test", "-r", path], user=True)
    assert mount.requests() == before
    mount.umount()


def test_what_other_owners_keep_for_themselves(work):
    """A colleague's image with umask 077: who may read the image sees what is in it."""
    tree = work.directory("tree", user=False)
    for name, mode in [("private", 0o600), ("program", 0o700), ("public", 0o644)]:
        (tree / name).write_text("#!/bin/sh\necho ran\n", encoding="ascii")
        (tree / name).chmod(mode)
    (tree / "closed").mkdir(mode=0o700)
    (tree / "closed" / "file").write_text("inside\n", encoding="ascii")
    image = work.path / "image"
    check(work.command("pack", "-q", tree, "-o", image, user=False))
    image.chmod(0o644)
    mount = work.mount(image)
    assert run(["cat", mount.path / "private", mount.path / "closed/file"],
               user=True).returncode == 0
    assert run([mount.path / "program"], user=True).stdout == "ran\n"
    owners = run(["stat", "-c", "%u", *[mount.path / name for name in
                                        ["private", "program", "closed", "public"]]], user=True)
    assert owners.stdout.split() == [str(USER)] * 3 + ["0"]
    mount.umount()


def test_allow_root_admits_nobody_else(work, venv_image):
    """Whatever is in the kernel's caches by then."""
    config = work.path / "fuse.conf"
    config.write_text("user_allow_other\n", encoding="ascii")
    other = ["setpriv", "--reuid", "32000", "--regid", "32000", "--clear-groups", "--"]
    path = work.directory("mnt")
    words = " ".join(work.command("mount", "-q", "-o", "allow_root", venv_image, path))
    end = " ".join(work.command("umount", path))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"mount --bind {config} /etc/fuse.conf; {words} || exit 9\n"
                  f"{' '.join(AS_USER)} sh -c 'cat {path}/lib/*/site-packages/probe.py; ls -lR {path}'"
                  f" > /dev/null; cat {path}/lib/*/site-packages/probe.py || exit 8\n"
                  f"{' '.join(other)} sh -c 'ls {path} || cat {path}/pyvenv.cfg'; s=$?\n"
                  f"{end}; exit $s"])
    assert result.returncode == 1, result.stdout + result.stderr
    assert "VALUE = 42" in result.stdout and "home" not in result.stdout


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


def test_run_after_all_that(work, venv_image, venv_source):
    expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)
