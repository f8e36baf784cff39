# SPDX-License-Identifier: MIT
"""A fast start never costs a process that cannot be killed: held requests, daemons that die at any
moment of their first second, that are stopped, or that serve what they need themselves."""

import contextlib
import os
import random
import signal
import subprocess
import textwrap
import time

import pytest

from run_support import (
    SERVING,
    background,
    daemon_name,
    processes_of_mount,
    quoted,
    the_daemon,
)
from support import trees
from support.processes import (
    AS_USER,
    USER,
    check,
    is_running,
    mounts_below,
    processes_of,
    run,
    signal_all,
    status,
    wait_for,
)
from support.stuck_mount import StuckMount

SEED = 20261125
# By default two minutes for the file; the numbers of a release take twenty.
STRESS = os.environ.get("SQUENV_STRESS")
LOCK_ROUNDS = 200 if STRESS else 12
KILLS = 300 if STRESS else 24
READERS = 8
# A process that is stuck stays so; on a machine with much to do others take their time.
STUCK_AFTER = 20.0


@pytest.fixture(scope="module")
def image(session_dir, programs):
    """Some thousand files and one of 24 MiB, with the recording of what reads a part of it."""
    tree = session_dir / "hang"
    choose = random.Random(SEED)
    trees.make_random_files(tree, choose, 60, 40, 12_000)
    (tree / "large").write_bytes(choose.randbytes(24 << 20))
    image = session_dir / "hang.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", image,
           "--warm", f"cat {tree}/d1*/f* {tree}/large > /dev/null"])
    plain = session_dir / "hang-plain.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", plain])
    return {"recorded": image, "plain": plain}


def end_connection(minor):
    """Also one that ends just now by itself."""
    with contextlib.suppress(OSError):
        with open(f"/sys/fs/fuse/connections/{minor}/abort", "w", encoding="ascii") as file:
            file.write("1")


def minor_of(path):
    """The number of the FUSE connection mounted at `path`, or nothing."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if words[4] == os.fspath(path):
                return words[2].split(":")[1]
    return None


def end_of_all(processes, deadline):
    """Those that have not ended in time."""
    end = time.monotonic() + deadline
    while time.monotonic() < end and any(process.poll() is None for process in processes):
        time.sleep(0.01)
    return [process for process in processes if process.poll() is None]


LOCKER = textwrap.dedent("""
    import os, sys, time
    root, kind = sys.argv[1:3]
    end = time.time() + 0.6
    while not os.path.ismount(root) and time.time() < end:
        pass
    while time.time() < end:
        try:
            if kind == "list":
                os.listdir(root)
            else:
                os.close(os.open(root + "/new", os.O_CREAT | os.O_WRONLY))
        except OSError:
            pass
    """)


@pytest.mark.parametrize("kind", ["recorded", "plain"])
def test_who_locks_a_directory_that_is_listed(kind, work, image):
    """A listing may be held, and keeps the directory locked: it is answered whatever others do."""
    for _ in range(LOCK_ROUNDS):
        path = work.path / "mnt"
        path.mkdir(exist_ok=True)
        os.chown(path, USER, USER)
        others = [work.start([*AS_USER, "/usr/bin/python3", "-S", "-c", LOCKER, path, what])
                  for what in ["list", "create", "list"]]
        mount = work.mount(image[kind])
        left = end_of_all(others, STUCK_AFTER)
        if left:
            end_connection(minor_of(path))
        assert not left, "processes hang"
        mount.umount()


READ = [
    "find {0} -type f | xargs -n 50 cat",
    "cat {0}/large",
    "cd {0} && ls -R && cat d*/f1*",
]


def start_readers(work, path, choose):
    return [work.start([*AS_USER, "sh", "-c", choose.choice(READ).format(path)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       start_new_session=True)
            for _ in range(READERS)]


def kill(pids, what=signal.SIGKILL):
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


@pytest.mark.parametrize("victims", ["servers", "all"])
@pytest.mark.parametrize("kind", ["recorded", "plain"])
def test_daemon_killed_in_its_first_second(kind, victims, work, image):
    """All that serves, and everything of the user at once, as batch systems do."""
    choose = random.Random(SEED)
    print("seed", SEED)
    stuck = 0
    for _ in range(KILLS // 4):
        mount = work.mount(image[kind])
        readers = start_readers(work, mount.path, choose)
        time.sleep(choose.uniform(0, 0.6))
        if victims == "servers":
            ours = mount.stop()
            ours += background(work)
            kill([pid for pid in ours if daemon_name(pid) in SERVING])
        else:
            ours = background(work)
            kill(ours)
        for reader in readers:
            os.killpg(reader.pid, signal.SIGKILL)
        # Without the keeper, some may stay; with it, none does.
        end = time.monotonic() + (STUCK_AFTER if victims == "servers" else 4)
        involved = ours + [reader.pid for reader in readers]
        while time.monotonic() < end and any(map(is_running, involved)):
            time.sleep(0.01)
        if any(map(is_running, involved)):
            stuck += 1
            # With the keeper dead, nothing of ours is left that could have noticed.
            freed = work.squenv("umount", "--lazy", mount.path, timeout=30)
            # The last process of the mount may just have ended it.
            assert freed.returncode == 0 or not mount.is_mounted(), freed.stderr
            wait_for(lambda: not any(map(is_running, involved)), "the end of all", STUCK_AFTER)
        assert not end_of_all(readers, STUCK_AFTER)
        if victims == "all" and mount.is_mounted():
            run([*AS_USER, "fusermount3", "-uz", mount.path])
        mount.wait_until_gone()
    print("stuck", stuck, "of", KILLS // 4)
    # Stores avoid what can get stuck; that they never meet it cannot be had.
    assert stuck <= (0 if victims == "servers" else KILLS // 12)


def test_stopped_daemon_is_told_at_once(work, image):
    """`run` neither waits for it nor hangs at its mount: another way is taken."""
    path = work.directory("mnt")
    first = work.start(work.command("run", "-q", "--force", f"{image['plain']}:{path}", "--",
                                    "sh", "-c", "echo; exec sleep 1000"))
    assert first.stdout.readline() == b"\n"
    daemon = the_daemon(work)
    processes = processes_of_mount(work)
    signal_all(processes, signal.SIGSTOP)
    wait_for(lambda: status(daemon)["State"].startswith("T"), "the stop")
    try:
        result = work.squenv("run", "-v", "--force", f"{image['plain']}:{path}", "--", "ls", path,
                             timeout=30)
        assert result.returncode == 0, result.stderr
        assert "d0" in result.stdout.split()
        in_place = work.squenv("run", "--via", "fusermount", "--force", f"{image['plain']}:{path}",
                               "--", "true", timeout=30)
        assert in_place.returncode == 125
        assert f"process {daemon}, is stopped" in in_place.stderr
        assert f"kill -CONT {daemon}" in in_place.stderr
    finally:
        # The one that is named lets its others go on.
        signal_all([pid for pid in processes if daemon_name(pid) == "squenv-supervis"],
                   signal.SIGCONT)
        os.kill(daemon, signal.SIGCONT)
    first.kill()
    wait_for(lambda: not mounts_below(path), "the end of the mount")


def test_detaching_what_does_not_answer_frees_its_users(work, image):
    mount = work.mount(image["plain"])
    mount.stop()
    user = work.start([*AS_USER, "cat", mount.path / "large"])
    try:
        result = work.squenv("umount", "--lazy", mount.path, timeout=30)
        assert result.returncode == 0, result.stderr
        assert "did not answer" in result.stderr
        assert not end_of_all([user], STUCK_AFTER)
        assert user.returncode != 0
    finally:
        os.kill(mount.pid, signal.SIGCONT)
    mount.wait_until_gone()


def test_detaching_what_died_in_a_store(work, image):
    """A store that waits for a page of a READ keeps an unmount waiting, too, when no file is open
    any more: the connection is ended first."""
    path = work.directory("stuck")
    mount = StuckMount(work, path, image["plain"], USER)
    minor = minor_of(path)
    try:
        reader = work.start([*AS_USER, "cat", path / "file"])
        mount.wait_until_storing()
        wait_for(mount.is_stuck, "the store")
        reader.kill()
        reader.wait(10)
        mount.process.kill()
        result = work.squenv("umount", "--lazy", path, timeout=30)
        assert result.returncode == 0, result.stderr
        assert "did not answer" in result.stderr
        assert mount.process.wait(10) == -signal.SIGKILL
        wait_for(lambda: not mounts_below(path), "the end of the mount")
    finally:
        end_connection(minor)


def test_second_signal_under_load(work, image):
    """The daemon ends at once, whatever its threads do."""
    choose = random.Random(SEED)
    mount = work.mount(image["recorded"])
    readers = start_readers(work, mount.path, choose)
    kill([mount.pid], signal.SIGTERM)
    wait_for(lambda: not mount.is_mounted(), "the unmount")  # two at once would be one
    kill([mount.pid], signal.SIGTERM)
    wait_for(lambda: not is_running(mount.pid), "the end of the daemon")
    assert not end_of_all(readers, 20)
    mount.wait_until_gone()


def test_keeper_notices_a_daemon_that_cannot_unmount(work, image):
    """Killed in orderly use: no mount, no process, no connection is left."""
    mount = work.mount(image["plain"])
    minor = minor_of(mount.path)
    check([*AS_USER, "cat", mount.path / "large"])
    mount.kill()
    mount.wait_until_gone()
    wait_for(lambda: not os.path.exists(f"/sys/fs/fuse/connections/{minor}"), "the connection")
    wait_for(lambda: not processes_of(work.programs / "squenv"), "all processes")


def test_without_fusectl_nothing_is_stored(work, image):
    """Where a killed daemon could leave stuck processes, it does not do what gets it stuck."""
    path = work.directory("mnt")
    for options, stores in [([], "false"), (["-o", "prefetch=on"], "true")]:
        script = (f"umount -a -t fusectl;"
                  f" {quoted(work.command('mount', *options, image['plain'], path))}"
                  f" && {quoted(work.command('stats', '--json', path))};"
                  f" {quoted(work.command('umount', path))}")
        result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
        assert result.returncode == 0, result.stderr
        assert f'"stores_ahead": {stores}' in result.stdout
        wait_for(lambda: not processes_of(work.programs / "squenv"), "all processes")


@pytest.mark.parametrize("place", ["/etc", "/usr/share", "/var/lib", "/usr/lib/python3"])
def test_mount_over_what_programs_open(place, work, image):
    """The daemon opens nothing of the tree that it serves. In a mount namespace of the test."""
    script = (f"timeout 60 {work.programs}/squenv mount {image['plain']} {place} && "
              f"cat {place}/large | wc -c; {work.programs}/squenv umount {place}")
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{24 << 20}\n"
    wait_for(lambda: not processes_of(work.programs / "squenv"), "all processes")


@pytest.mark.parametrize("place", ["/proc", "/sys", "/dev", "/usr", "/usr/lib", "/bin", "/"])
def test_mount_over_what_every_program_needs(place, work, image):
    script = f"timeout 60 {work.programs}/squenv mount {image['plain']} {place}"
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
    assert result.returncode == 2, result.stderr
    assert "choose another mount point" in result.stderr


def test_log_below_the_mount(work, image):
    """The log is open before the mount hides it."""
    path = work.directory("mnt")
    result = work.squenv("mount", "--log", path / "log", "-o", "prefetch=off", image["plain"],
                         path, timeout=30)
    assert result.returncode == 0, result.stderr
    assert work.squenv("umount", path).returncode == 0
    wait_for(lambda: not processes_of(work.programs / "squenv"), "all processes")
    assert (path / "log").exists()


def test_umount_waits_until_it_is_gone(work, image):
    path = work.directory("mnt")
    user = work.start(work.command("run", "-q", "--force", f"{image['plain']}:{path}", "--",
                                   "sh", "-c", f"cd {path}; echo; read word"),
                      stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"\n"
    waiting = work.start(work.command("umount", "--wait", path))
    time.sleep(0.1)
    assert waiting.poll() is None and mounts_below(path)
    user.communicate(b"\n", timeout=20)
    assert waiting.wait(20) == 0
    assert not mounts_below(path)
    assert work.squenv("umount", "--wait", path).returncode == 0


def test_mount_goes_with_its_command(work, image):
    """Scripts change the directory right behind the command: the mount is gone at once."""
    path = work.directory("mnt")
    waited = []
    for _ in range(10):
        check(work.command("run", "-q", "--force", f"{image['plain']}:{path}", "--", "ls", path))
        start = time.monotonic()
        wait_for(lambda: not mounts_below(path), "the end of the mount")
        waited.append(time.monotonic() - start)
    # A second is the pause of a daemon that looks now and then.
    assert sorted(waited)[5] < 0.5, waited


@pytest.mark.parametrize("user", [True, False])
def test_what_a_daemon_may_not_do(user, work, image):
    mount = work.mount(image["plain"], user=user)
    server = mount.stats()["server_pid"]
    # The filter comes right after the first answer.
    wait_for(lambda: status(server)["Seccomp"] == "2", "the filter")
    facts = status(server)
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == 0 and int(facts["CapPrm"], 16) == 0
    uid = USER if user else 65534
    assert set(facts["Uid"].split()) == {str(uid)}
    with open(f"/proc/{server}/limits", encoding="ascii") as file:
        core, = [line for line in file if line.startswith("Max core file size")]
    assert core.split()[4] == "0"
    mount.umount()


def test_renamed_while_it_is_unmounted(work, image):
    """The place of the mount is looked for again, as often as it takes."""
    parent = work.directory("a")
    path = parent / "mnt"
    path.mkdir()
    os.chown(path, USER, USER)
    flip = work.start([*AS_USER, "/usr/bin/python3", "-c", textwrap.dedent(f"""
        import os
        while True:
            os.rename("{parent}", "{parent}x")
            os.rename("{parent}x", "{parent}")
        """)])
    try:
        for _ in range(10):
            work.squenv("run", "-q", "--force", f"{image['plain']}:{path}", "--", "true",
                        timeout=60)
    finally:
        flip.kill()
        flip.wait()
    if not parent.exists():
        os.rename(f"{parent}x", parent)
    wait_for(lambda: not processes_of(work.programs / "squenv"), "all processes", deadline=60)
    assert not mounts_below(work.path)
