# SPDX-License-Identifier: MIT
"""Servers and daemons that die while the mount is used: no user notices."""

import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

import pytest
from run_support import PROCESSES, background, daemon_name, wait_until_nothing_is_left
from support import trees
from support.processes import AS_USER, check, is_running, kill_all, mounts_below, run, wait_for
from support.slow import on_slow_storage

SEED = 20261126
# By default some seconds each; a thousand deaths take minutes.
STRESS = os.environ.get("SQUENV_STRESS")
DEATHS = 1000 if STRESS else 40
# On a machine that does nothing else it is 1 s.
SLOWEST = 1.0 if STRESS else 10.0
READERS = ["read", "read", "read", "mmap", "mmap", "list", "stat", "exec"]
KINDS = ["server", "daemon", "standby", "any"]
MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def tree(session_dir):
    """Large and small files, and a program, which is the same everywhere."""
    top = session_dir / "failover"
    choose = random.Random(SEED)
    trees.make_random_files(top, choose, 40, 20, 30_000)
    for number in range(40):
        directory = top / f"d{number}"
        (directory / "large").write_bytes(
            trees.compressible(choose.randrange(700_000), number) + choose.randbytes(1 << 19))
        os.symlink("large", directory / "link")
    shutil.copy("/bin/true", top / "d0" / "true")
    return top


@pytest.fixture(scope="module")
def image(session_dir, tree, programs):
    target = session_dir / "failover.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", target])
    return target


class Users:
    """Eight programs that compare what they use with the source."""

    def __init__(self, work, mount, tree):
        script = Path(__file__).parents[1] / "support" / "readers.py"
        # A copy that the user can read, wherever the project is.
        self.script = work.path / "readers.py"
        shutil.copy(script, self.script)
        self.process = work.start(
            [*AS_USER, "/usr/bin/python3", self.script, mount, tree, *READERS],
            stdin=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "begun\n"

    def end(self):
        self.process.stdin.close()
        result = json.loads(self.process.stdout.readline())
        assert self.process.wait(20) == 0
        print("users", result)
        assert result["errors"] == []
        assert result["readers"] == len(READERS)
        assert result["operations"] > 100 and result["bytes"] > 1 << 20
        return result


def forget_pages():
    """Users ask the server again."""
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def victim(mount, kind, choose):
    if kind == "any":
        kind = choose.choice(["server", "daemon", "standby"])
    facts = mount.stats()
    if kind == "server":
        return facts["server_pid"]
    if kind == "daemon":
        return facts["pid"]
    names = {pid: daemon_name(pid) for pid in background(mount.work)}
    standbys = [pid for pid, name in names.items() if name == "squenv-standby"]
    return choose.choice(standbys) if standbys else facts["server_pid"]


def kill_again_and_again(mount, kind, deaths, choose):
    """Returns the takeovers, in seconds."""
    takeovers = []
    for death in range(deaths):
        if death % 4 == 0:
            forget_pages()
        time.sleep(choose.uniform(0.001, 0.020))
        kill_all([victim(mount, kind, choose)])
        if kind == "server":
            takeovers.append(mount.stats()["takeover_seconds"])
    return [seconds for seconds in takeovers if seconds > 0]


def processes_settle(work):
    def names():
        return sorted(map(daemon_name, background(work)))
    try:
        wait_for(lambda: names() == PROCESSES, "the processes of one mount")
    except AssertionError as error:
        raise AssertionError(f"{error}; there are {names()}") from error


@pytest.mark.parametrize("kind", KINDS)
def test_deaths_under_eight_users(kind, work, tree, image):
    choose = random.Random(SEED)
    mount = work.mount(image)
    processes_settle(work)
    before = descriptors(mount.pid)
    users = Users(work, mount.path, tree)
    takeovers = kill_again_and_again(mount, kind, DEATHS, choose)
    result = users.end()
    processes_settle(work)
    facts = mount.stats()
    if takeovers:
        print(f"{facts['restarts']} takeovers, median {statistics.median(takeovers) * 1000:.1f} ms,"
              f" slowest {max(takeovers) * 1000:.1f} ms")
    if kind == "server":
        assert facts["restarts"] >= DEATHS * 9 // 10
    if kind == "daemon":
        assert facts["restarts"] == 0 and facts["pid"] != mount.pid
    assert result["slowest"] < SLOWEST
    mount.pid = facts["pid"]
    # A promoted daemon holds what it held as a standby.
    assert descriptors(mount.pid) <= before + 4
    mount.umount()
    wait_for(lambda: not background(work), "the end of all processes")


@pytest.mark.parametrize("name", ["squenv", "squenv-server"])
def test_deaths_in_the_first_moments(name, work, tree, image):
    """The second standby is not there yet, and the first one has nothing ready."""
    for moment in range(DEATHS // 2):
        mount = work.mount(image)
        time.sleep(0.005 * moment % 0.12)
        kill_all([pid for pid in background(work) if daemon_name(pid) == name])
        check([*AS_USER, "cmp", mount.path / "d7" / "large", tree / "d7" / "large"])
        mount.umount()
        wait_for(lambda: not background(work), "the end of all processes")


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_deaths_under_many_runs(via, work, venv_image, venv_source):
    """64 users of one mount; each reads what no one has read, after the deaths."""
    number = 64 if STRESS else 16
    choose = random.Random(SEED)
    users = [work.start(work.command(
        "run", "-q", "--via", via, venv_image, "--", "python", "-c",
        "import sys; print(1, flush=True); sys.stdin.read(); import probe; print(probe.VALUE)"),
        stdin=subprocess.PIPE) for _ in range(number)]
    for user in users:
        assert user.stdout.readline() == b"1\n", user.stderr.read()
    for _ in range(DEATHS // 4):
        processes_settle(work)
        names = {pid: daemon_name(pid) for pid in background(work)}
        kind = choose.choice(["squenv", "squenv-server"])
        kill_all([pid for pid, name in names.items() if name == kind])
    forget_pages()
    # A new daemon knows them all: the mount stays until the last one.
    for user in users[1:]:
        assert user.communicate(timeout=60)[0] == b"42\n"
    joined = work.squenv("run", "-v", "--via", via, venv_image, "--", "true")
    assert joined.returncode == 0 and "joined" in joined.stderr, joined.stderr
    assert users[0].communicate(timeout=60)[0] == b"42\n"
    wait_until_nothing_is_left(work, venv_source)


def test_a_recording_survives(work, tree, image):
    trace = work.directory("traces") / "trace"
    mount = work.mount(image, options=f"record={trace}")
    check([*AS_USER, "cat", mount.path / "d1" / "f1"])
    for pid in (mount.stats()["server_pid"], mount.stats()["pid"]):
        processes_settle(work)
        kill_all([pid])
    wait_for(lambda: not is_running(mount.pid), "the end of the first daemon")
    check([*AS_USER, "cat", mount.path / "d2" / "f2"])
    mount.pid = mount.stats()["pid"]
    mount.umount()
    text = trace.read_text(encoding="utf-8")
    assert "d1/f1" in text and "d2/f2" in text


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_staged_image_survives(is_complete, work, tree, image):
    stage = work.directory("stage")
    copy = work.path / "image.squashfs"
    shutil.copy(image, copy)
    mount = work.mount(copy, options=f"stage={stage}")
    if is_complete:
        wait_for(lambda: mount.stats()["image_is_staged"], "the copy")
    kill_all([mount.stats()["server_pid"]])
    if is_complete:
        assert mount.stats()["image_is_staged"]  # at once: it is not copied again
    wait_for(lambda: mount.stats()["image_is_staged"], "the copy")
    forget_pages()
    assert run(["diff", "-r", "--no-dereference", tree, mount.path], user=True).returncode == 0
    mount.umount()


@pytest.fixture
def slow_image(work, binary, image):
    """The image on storage where each read takes long enough to kill its server meanwhile."""
    with on_slow_storage(work, binary, image, 150) as path:
        yield path


def kill_servers_of(work, user, number):
    """While it waits for its first request, or the next ones."""
    killed = []
    while user.poll() is None and len(killed) < 60:
        servers = [pid for pid in background(work)
                   if daemon_name(pid) == "squenv-server" and pid not in killed]
        if not servers:
            time.sleep(0.005)
            continue
        time.sleep(0.1)  # it works on the request now
        try:
            os.kill(servers[0], number)
        except ProcessLookupError:
            pass
        killed.append(servers[0])
    return killed


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_request_that_kills(number, slow_image, work, tree):
    """It is answered with EIO, and named; all others are answered as ever."""
    log = work.directory("logs") / "log"
    mount = work.mount(slow_image, options=f"prefetch=off,log={log}")
    processes_settle(work)
    user = work.start([*AS_USER, "head", "-c", "1000", mount.path / "d7" / "large"])
    killed = kill_servers_of(work, user, number)
    errors = user.communicate(timeout=60)[1]
    assert user.returncode == 1 and b"Input/output error" in errors
    assert len(killed) >= (10 if number == signal.SIGKILL else 3)
    other = check(["cat", mount.path / "d8" / "f1"], user=True, text=False).stdout
    assert other == (tree / "d8" / "f1").read_bytes()
    text = wait_for(lambda: "servers died of it" in log.read_text() and log.read_text(), "the line")
    assert "d7" in text, text
    mount.pid = mount.stats()["pid"]
    mount.umount()


def test_deaths_without_progress_end_the_mount(slow_image, work):
    """No endless circle of servers that do nothing but die."""
    log = work.directory("logs") / "log"
    mount = work.mount(slow_image, options=f"prefetch=off,log={log}")

    def are_all_gone():
        kill_all([pid for pid in background(work) if daemon_name(pid) == "squenv-server"])
        return not background(work)

    wait_for(are_all_gone, "the end of all processes", deadline=60)
    assert not mount.is_mounted()
    assert "servers end again and again" in log.read_text()


def ends_when_all_are_killed(work, image):
    """As pkill does it: one after the other, from a list. Others are forked meanwhile."""
    mount = work.mount(image)
    processes_settle(work)
    order = ["squenv-supervis", "squenv-standby", "squenv-server", "squenv"]
    for pid in sorted(background(work), key=lambda pid: order.index(daemon_name(pid))):
        kill_all([pid])
        time.sleep(0.02)
    try:
        wait_for(lambda: not background(work), "the end of all", deadline=3)
        return not mount.is_mounted()
    except AssertionError:
        mount.umount()
        return False


def test_a_kill_of_all_processes_ends_the_mount(work, image):
    # On a machine that is very busy it takes longer than what counts as at once.
    assert sum(ends_when_all_are_killed(work, image) for _ in range(4)) >= 3


@pytest.mark.parametrize("kind", ["server", "daemon", "standby"])
def test_deaths_while_it_is_mounted_and_unmounted(kind, work, image):
    """Either it is mounted, or the command says why not; nothing hangs, nothing is left."""
    choose = random.Random(SEED)
    name = {"server": "squenv-server", "daemon": "squenv", "standby": "squenv-standby"}[kind]
    path = work.directory("mnt")
    mounted = 0
    for _ in range(DEATHS // 2):
        start = work.start(work.command("mount", image, path))
        time.sleep(choose.uniform(0, 0.03))
        kill_all([pid for pid in background(work) if daemon_name(pid) == name and pid != start.pid])
        errors = start.communicate(timeout=30)[1]
        if start.returncode != 0:
            assert errors.strip(), "no reason"
            run(["umount", "-l", path])
        else:
            mounted += 1
            assert run(["ls", path], user=True, timeout=30).returncode in (0, 2)
            end = work.start(work.command("umount", path))
            time.sleep(choose.uniform(0, 0.01))
            kill_all([pid for pid in background(work)
                      if daemon_name(pid) == name and pid != end.pid])
            end.communicate(timeout=30)
            run(["umount", "-l", path])
        wait_for(lambda: not background(work) and not mounts_below(path), "the end of all")
    print(f"{mounted} of {DEATHS // 2} were mounted")
    if kind != "daemon":
        assert mounted == DEATHS // 2


def test_stopped_and_continued(work, tree, image):
    mount = work.mount(image)
    mount.stop()
    user = work.start([*AS_USER, "cat", mount.path / "d3" / "large"])
    time.sleep(0.1)
    assert user.poll() is None
    os.kill(mount.pid, signal.SIGCONT)
    assert user.communicate(timeout=20)[0] == (tree / "d3" / "large").read_bytes()
    mount.umount()


def test_a_death_without_failover(work, image):
    mount = work.mount(image, options="failover=off")
    facts = mount.stats()
    assert facts["server_pid"] == facts["pid"]
    assert not {"squenv-server", "squenv-standby"} & set(map(daemon_name, background(work)))
    kill_all([mount.pid])
    mount.wait_until_gone()


@pytest.mark.parametrize("text", ["yes", "no", ""])
def test_option_is_checked(text, work, image):
    result = work.squenv("mount", "-o", f"failover={text}", image, work.directory("mnt"))
    assert result.returncode == 2 and "failover" in result.stderr


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no control group of memory here")
def test_a_group_that_runs_out_of_memory(work, tree, image):
    """The kernel ends servers, which are the largest, again and again."""
    group = MEMORY / f"squenv-test-{os.getpid()}"
    group.mkdir()
    try:
        path = work.directory("mnt")
        # What the program itself takes, a little more, and much less than servers want.
        (group / "memory.limit_in_bytes").write_text(str(24 << 20), encoding="ascii")
        check(["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh",
               *work.command("mount", "-o", "cache_size=64M", image, path)])
        forget_pages()
        result = run(["diff", "-r", "--no-dereference", tree, path], user=True, timeout=100)
        facts = json.loads(work.squenv("stats", "--json", path).stdout)
        print(facts["restarts"], "restarts;", (group / "memory.failcnt").read_text())
        assert result.returncode == 0, result.stdout + result.stderr
        assert work.squenv("umount", path).returncode == 0
        wait_for(lambda: not background(work), "the end of all processes")
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "an empty group")
        group.rmdir()
