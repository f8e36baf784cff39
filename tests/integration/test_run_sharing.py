# SPDX-License-Identifier: MIT
"""One mount for many runs: who comes late, who leaves early, who is killed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from run_support import (
    IMPORT,
    SERVING,
    background,
    daemon_name,
    expect_import,
    processes_of_mount,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
)
from support import trees
from support.processes import AS_USER, check, kill_all, mounts_below, run, signal_all, wait_for

STRESS = os.environ.get("SQUENV_STRESS") == "1"

pytestmark = pytest.mark.usefixtures("settled")


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_shared_daemon(via, work, venv_image, venv_source):
    """Late joiners, early leavers, one daemon; the first to come goes first."""
    users = [work.start(work.command("run", "--via", via, venv_image, "--", "python", "-c",
                                     "import sys, time; print(1, flush=True); sys.stdin.read();"
                                     "import probe; print(probe.VALUE)"),
                        stdin=subprocess.PIPE) for _ in range(3)]
    for user in users:
        assert user.stdout.readline() == b"1\n"
    processes_of_mount(work)
    users.append(work.start(work.command("run", "--via", via, venv_image, "--", *IMPORT)))
    assert users[-1].wait(20) == 0
    for user in users[:3]:
        assert user.communicate(timeout=20)[0] == b"42\n"
        assert user.wait() == 0
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_do_not_end_a_daemon_in_use(number, work, venv_image, venv_source):
    user = work.start(work.command("run", venv_image, "--", "python", "-c",
                                   "import sys; print(1, flush=True); sys.stdin.read();"
                                   "import probe; print(probe.VALUE)"), stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"1\n"
    signal_all(background(work), number)
    time.sleep(0.2)
    assert user.communicate(timeout=20)[0] == b"42\n"
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_killed_daemon(via, work, venv_image, venv_source):
    """Its users get ENOTCONN and nothing worse; the next run heals the mount by itself."""
    for round_number in range(50 if STRESS else 5):
        user = work.start(work.command("run", "--via", via, venv_image, "--", "python", "-S", "-c",
                                       "import os, sys; print(1, flush=True); sys.stdin.read()\n"
                                       f"try: os.listdir('{venv_source}/lib')\n"
                                       "except OSError as e: print(e.errno)\n"
                                       "else: print('fine')"),
                          stdin=subprocess.PIPE)
        assert user.stdout.readline() == b"1\n"
        serving = [pid for pid in background(work) if daemon_name(pid) in SERVING]
        signal_all(serving, signal.SIGSTOP)  # none takes over from another
        kill_all(background(work) if round_number % 2 else serving)
        expect_import(squenv_run(work, venv_image, IMPORT, "--via", via), venv_source)
        answer = user.communicate(timeout=20)[0].decode().strip()
        assert answer in ("107", "2", "fine", "103"), answer
    wait_until_nothing_is_left(work, venv_source)


def test_directory_above_is_renamed(work, plain_image):
    """The mount goes with it, is found there and taken away; the next run is not kept waiting."""
    parent = work.directory("parent")
    place = parent / "venv"
    place.mkdir()
    os.chown(place, 1000, 1000)
    user = work.start(work.command("run", f"{plain_image}:{place}", "--", "sh", "-c",
                                   "echo; exec sleep 1"))
    assert user.stdout.readline() == b"\n" and mounts_below(place)
    os.rename(parent, work.path / "renamed")
    assert user.wait(20) == 0
    wait_until_nothing_is_left(work, work.path)


def test_image_that_is_replaced_meanwhile(work, tmp_path):
    """Every run sees one image: the old one or the new one, never files of both."""
    versions = []
    for name in ("old", "new"):
        tree = tmp_path / name
        tree.mkdir()
        for file in ("first", "second"):
            (tree / file).write_text(name)
        versions.append(trees.mksquashfs(tree, tmp_path / f"{name}.squashfs"))
    image = work.directory("images") / "image.squashfs"
    place = work.directory("place")
    seen = set()
    for number in range(30):
        users = [work.start(work.command("run", f"{image}:{place}", "--", "sh", "-c",
                                         f"cat {place}/first; echo; cat {place}/second"))
                 for _ in range(2)] if number else []
        shutil.copy(versions[number % 2], f"{image}.next")
        os.rename(f"{image}.next", image)
        for user in users:
            words = user.communicate(timeout=30)[0].split()
            assert len(words) == 2 and words[0] == words[1], words
            seen.add(words[0])
    assert seen == {b"old", b"new"}
    wait_until_nothing_is_left(work, place)


@pytest.mark.parametrize("via, user", [("fusermount", True), ("direct", False)])
def test_two_images_at_one_path_at_once(via, user, work, tmp_path):
    """One of them comes first and is what its user sees to the end; the other one is told so."""
    directory = work.directory("images")
    images = [directory / f"{name}.squashfs" for name in ("one", "two")]
    for image in images:
        tree = tmp_path / image.stem
        tree.mkdir()
        (tree / "name").write_text(image.stem + "\n")
        trees.mksquashfs(tree, image)
    place = work.directory("place")
    look = f"for i in 1 2 3 4; do cat {place}/name; sleep 0.02; done"
    for _ in range(20):
        users = [work.start(work.command("run", "--via", via, f"{image}:{place}", "--", "sh", "-c",
                                         look, user=user)) for image in images]
        for image, process in zip(images, users):
            output, errors = (text.decode() for text in process.communicate(timeout=30))
            if process.returncode == 0:
                assert output.split() == [image.stem] * 4
            else:
                assert not output and "is mounted here already" in errors, errors
        wait_until_nothing_is_left(work, place)


def test_a_mount_that_another_covers_takes_nothing_away(work, venv_image, venv_source):
    """It ends when the other one has ended."""
    user = work.start(work.command("run", venv_image, "--", "sh", "-c", "echo; read word"),
                      stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"\n"
    check(["mount", "-t", "tmpfs", "none", venv_source])
    user.communicate(b"\n", timeout=30)
    time.sleep(0.5)
    types = [entry["type"] for entry in mounts_below(venv_source)]
    assert types == ["fuse.squenv", "tmpfs"]
    check(["umount", venv_source])
    wait_until_nothing_is_left(work, venv_source)


def test_detached_mount_is_not_joined(work, venv_image, venv_source):
    user = work.start(work.command("run", venv_image, "--", "sh", "-c",
                                   f"cd {venv_source}; echo; exec sleep 1000"))
    assert user.stdout.readline() == b"\n"
    assert work.squenv("umount", "--lazy", venv_source).returncode == 0
    result = squenv_run(work, venv_image, IMPORT, "-v")
    expect_import(result, venv_source)
    assert "joined" not in result.stderr
    user.kill()
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_closed_standard_descriptors(via, work, cache, venv_image, venv_source):
    words = quoted(work.command("run", "--via", via, venv_image, "--", "sh", "-c",
                                f"ls /proc/self/fd > {work.directory('out')}/list"))
    assert run(["sh", "-c", f"{words} <&- >&- 2>&-"]).returncode == 0
    # ls lists its own descriptor too, which is the first free one: 0. Number 2 is still closed.
    assert (work.path / "out" / "list").read_text().split()[:2] == ["0", "1"]
    assert "2" not in (work.path / "out" / "list").read_text().split()
    wait_until_nothing_is_left(work, venv_source)


def test_ignored_child_signal(work, venv_image, venv_source):
    code = ("import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
            "os.execv(sys.argv[1], sys.argv[1:])")
    result = run([*AS_USER, "/usr/bin/python3", "-c", code, work.programs / "squenv", "run",
                  venv_image, "--", *IMPORT])
    expect_import(result, venv_source)
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("listens", [True, False])
def test_name_that_another_user_has(listens, work, venv_image, venv_source):
    """Whoever binds it first cannot keep others from running, nor be taken for the daemon."""
    first = work.start(work.command("run", venv_image, "--", "sh", "-c", "echo; exec sleep 1000"))
    assert first.stdout.readline() == b"\n"
    inodes = set()
    for fd in [fd for pid in processes_of_mount(work) for fd in Path(f"/proc/{pid}/fd").iterdir()]:
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.readlink(fd).removeprefix("socket:[").removesuffix("]"))
    with open("/proc/net/unix", encoding="ascii") as file:
        names = {line.split()[-1] for line in file
                 if "@squenv/1000/" in line and line.split()[6] in inodes}
    # The other one takes upgrades.
    names = {name for name in names if "/mount/" not in name}
    first.kill()
    wait_until_nothing_is_left(work, venv_source)
    assert len(names) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        squatter.bind("\0" + names.pop()[1:])
        if listens:
            squatter.listen(0)
        expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("failover", ["on", "off"])
def test_killed_keeper(failover, work, venv_image, venv_source):
    """A daemon in a sandbox cannot make another one: then users do not notice, and what is served
    stays until the user unmounts it."""
    user = work.start(work.command("run", "-o", f"failover={failover}", venv_image, "--", "python",
                                   "-c", "import sys; print(1, flush=True); sys.stdin.read();"
                                   "import probe; print(probe.VALUE)"), stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"1\n"
    kill_all([pid for pid in background(work) if daemon_name(pid) == "squenv-supervis"])
    if failover == "on":
        wait_for(lambda: "squenv-supervis" in map(daemon_name, background(work)), "another one")
    assert user.communicate(timeout=20)[0] == b"42\n"
    if failover == "off":
        result = squenv_run(work, venv_image, IMPORT, "-v")
        expect_import(result, venv_source)
        assert "joined" in result.stderr
        assert run(["ls", venv_source], user=True).returncode == 0
        assert work.squenv("umount", "--wait", venv_source).returncode == 0
    wait_until_nothing_is_left(work, venv_source)


def is_being_mounted(path):
    """A helper goes on when the process that started it was killed."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = process.read_bytes().split(b"\0")
            if b"fusermount" in words[0] and os.fsencode(path) in words:
                return True
    return False


def test_everything_killed_at_once(work, venv_image, venv_source):
    for _ in range(5):
        users = [work.start(work.command("run", venv_image, "--", "sleep", "1000"))
                 for _ in range(4)]
        wait_for(lambda: mounts_below(venv_source), "the mount")
        kill_all(background(work) + [user.pid for user in users])
        # Also what was started meanwhile.
        while pids := background(work):
            kill_all(pids)
        wait_for(lambda: not is_being_mounted(venv_source), "the end of all helpers")
        expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_killed_users(via, work, venv_image, venv_source):
    """64 at once, starting, ending and being killed at random: no survivor notices."""
    import random
    seed = 20260101
    choose = random.Random(seed)
    print("seed", seed)
    code = ("import time, sys, random; import probe; time.sleep(float(sys.argv[1]));"
            "import json, decimal; from os import listdir; listdir(sys.prefix); print('alive')")
    running = []
    killed = 0
    survived = 0
    # By default some seconds; everything, and 64 at once, takes minutes on two processors.
    wanted, at_once = (200, 64) if STRESS else (25, 16)
    while killed < wanted or survived <= wanted or running:
        while len(running) < at_once and (killed < wanted or survived <= wanted):
            running.append(work.start(work.command(
                "run", "--via", via, venv_image, "--", "python", "-c", code,
                str(choose.uniform(0, 1.0)))))
        victim = choose.choice(running)
        # A slow machine kills more of them than it lets end.
        if choose.random() < 0.5 and killed < 2 * wanted:
            victim.kill()
            victim.was_killed = True
            killed += 1
        time.sleep(choose.uniform(0, 0.15))
        for user in [user for user in running if user.poll() is not None]:
            running.remove(user)
            output, errors = user.communicate()
            if getattr(user, "was_killed", False):
                continue
            assert user.returncode == 0 and output == b"alive\n", errors
            survived += 1
    wait_until_nothing_is_left(work, venv_source)
