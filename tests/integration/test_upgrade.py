# SPDX-License-Identifier: MIT
"""Another version of the program takes over a living mount, and no user notices."""

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
from run_support import (
    IMPORT,
    PROCESSES,
    background,
    daemon_name,
    on_machine,
    wait_until_nothing_is_left,
)
from support import trees
from support.processes import (
    AS_USER,
    check,
    is_running,
    kill_all,
    processes_of,
    run,
    wait_for,
)

SEED = 20261126
NEW = "9.8.7"
READERS = ["read", "mmap", "list", "stat"]
FUSE_INIT = 26


@pytest.fixture(scope="module")
def tree(session_dir):
    top = session_dir / "upgrade"
    choose = random.Random(SEED)
    trees.make_random_files(top, choose, 5, 10, 30_000)
    for number in range(5):
        (top / f"d{number}" / "large").write_bytes(
            trees.compressible(600_000, number) + choose.randbytes(1 << 18))
    return top


@pytest.fixture(scope="module")
def image(session_dir, tree, programs):
    target = session_dir / "upgrade.squashfs"
    check([programs / "squenv", "pack", "-q", tree, "-o", target])
    return target


@pytest.fixture(scope="module")
def version(programs):
    return check([programs / "squenv", "--version"]).stdout.split()[1]


@pytest.fixture
def new(work, version):
    """The program as it would be in another version, at a path of its own."""
    content = (work.programs / "squenv").read_bytes()
    old = b"\0" + version.encode() + b"\0"
    assert old in content  # more than once in a build that does not merge equal strings
    path = work.directory("new") / "squenv"
    path.write_bytes(content.replace(old, b"\0" + NEW.encode().ljust(len(version), b"\0") + b"\0"))
    path.chmod(0o755)
    yield path
    wait_for(lambda: not processes_of(path), "the end of the other version")


def upgraded(program, *mounts, user=True):
    result = run([program, "upgrade", *[mount.path for mount in mounts]], user=user)
    assert result.returncode == 0, (result.stdout, result.stderr)
    return result.stdout


def forget_pages():
    """Users ask the server again."""
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def all_processes(work, new):
    return background(work) + processes_of(new)


def processes_settle(work, new):
    """Of one mount; the server may be of either program."""
    wait_for(lambda: sorted(map(daemon_name, all_processes(work, new))) == PROCESSES,
             "the processes of one mount")


def assert_equal(tree, mount):
    forget_pages()
    result = run(["diff", "-r", "--no-dereference", tree, mount.path], user=True)
    assert result.returncode == 0, result.stdout + result.stderr


def start_users(work, mount, tree):
    # A copy that the user can read, wherever the project is.
    script = work.path / "readers.py"
    shutil.copy(Path(__file__).parents[1] / "support" / "readers.py", script)
    users = work.start([*AS_USER, "/usr/bin/python3", script, mount.path, tree, *READERS],
                       stdin=subprocess.PIPE, text=True)
    assert users.stdout.readline() == "begun\n"
    return users


def end_users(users):
    users.stdin.close()
    result = json.loads(users.stdout.readline())
    assert users.wait(20) == 0
    assert result["errors"] == [] and result["readers"] == len(READERS)
    assert result["operations"] > 20 and result["bytes"] > 1 << 20


def test_upgrade_under_users(work, new, tree, image, version):
    """And back, from a program whose file is gone, as after an update."""
    old = work.directory("old") / "squenv"
    shutil.copy(work.programs / "squenv", old)
    log = work.directory("logs") / "log"
    path = work.directory("mnt")
    check([*AS_USER, old, "mount", "-v", "-o", f"log={log}", image, path])
    mount = work.mount_at(path)
    users = start_users(work, mount, tree)
    servers = {mount.stats()["server_pid"]}
    assert upgraded(new, mount).startswith(f"{path}: version {version} -> {NEW}, ")
    old.unlink()
    for number in range(2):
        forget_pages()
        time.sleep(0.05)
        facts = mount.stats()
        wanted = NEW if number % 2 == 0 else version
        assert (facts["server_version"], facts["version"]) == (wanted, version)
        servers.add(facts["server_pid"])
        upgraded(work.programs / "squenv" if number % 2 == 0 else new, mount)
    end_users(users)
    facts = mount.stats()
    assert facts["restarts"] == 0 and facts["pid"] == mount.pid
    assert len(servers) == 3 and not any(map(is_running, servers - {facts["server_pid"]}))
    wait_for(lambda: log.read_text().count("was replaced by version") == 3, "the lines")
    assert "warning" not in log.read_text(), log.read_text()
    mount.umount()
    wait_for(lambda: not all_processes(work, new) and not processes_of(old), "the end of all")


def test_the_same_version_starts_anew(work, image, version):
    mount = work.mount(image)
    before = mount.stats()
    result = work.squenv("upgrade", "--json", mount.path)
    (made,) = json.loads(result.stdout)
    assert made["from"] == made["to"] == version and 0 <= made["pause_seconds"] < 10
    assert made["server_pid"] == mount.stats()["server_pid"] != before["server_pid"]
    assert "started anew" in upgraded(work.programs / "squenv", mount)
    mount.umount()


def test_from_another_mount_namespace(work, new, image):
    """The file of the program there has mounts that cannot be taken apart; the daemon keeps none
    of them, so it ends with the command."""
    path = work.directory("mnt")
    inside = ["bwrap", "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc",
              "/bin/sh", "-c", f"{new} upgrade && {new} upgrade && {new} stats --json {path}"]
    result = run([work.programs / "squenv", "run", "-q", "--via", "userns", f"{image}:{path}", "--",
                  *inside], user=True)
    assert result.returncode == 0, result.stderr
    assert f"-> {NEW}, " in result.stdout
    assert f"{path}: version {NEW}, started anew" in result.stdout
    assert f'"server_version": "{NEW}"' in result.stdout
    wait_for(lambda: not all_processes(work, new), "the end of all")
    assert not any("memfd:squenv (deleted)" in link for link in programs_in_memory())


def programs_in_memory():
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield os.readlink(process / "exe")
        except OSError:
            pass


def test_all_mounts_of_the_user(work, new, image, version):
    mounts = [work.mount(image, name) for name in ("one", "two")]
    other = work.mount(image, "off", options="failover=off")
    result = run([new, "upgrade"], user=True)
    assert result.returncode == 1 and "failover=off" in result.stderr
    for mount in mounts:
        assert f"{mount.path}: version {version} -> {NEW}" in result.stdout
        assert mount.stats()["server_version"] == NEW
    for mount in [*mounts, other]:
        mount.umount()


def test_deaths_after_an_upgrade(work, new, tree, image):
    """The new program goes on, whichever process ends, and nothing more is open than before."""
    mount = work.mount(image)
    processes_settle(work, new)
    upgraded(new, mount)
    processes_settle(work, new)
    open_files = len(os.listdir(f"/proc/{mount.pid}/fd"))
    for death in range(2):
        facts = mount.stats()
        assert facts["server_version"] == NEW and facts["restarts"] == death
        kill_all([facts["server_pid"]])
        assert_equal(tree, mount)
    processes_settle(work, new)
    assert len(os.listdir(f"/proc/{mount.pid}/fd")) <= open_files + 1
    server = mount.stats()["server_pid"]
    kill_all([mount.pid])
    wait_for(lambda: mount.stats()["pid"] != mount.pid, "another daemon")
    assert mount.stats()["server_pid"] == server
    mount.pid = mount.stats()["pid"]
    processes_settle(work, new)
    kill_all([server])
    assert_equal(tree, mount)
    assert mount.stats()["server_version"] == NEW
    upgraded(work.programs / "squenv", mount)
    assert_equal(tree, mount)
    mount.umount()


def test_both_die_at_once_after_an_upgrade(work, new, tree, image):
    mount = work.mount(image)
    processes_settle(work, new)
    upgraded(new, mount)
    processes_settle(work, new)
    kill_all([mount.stats()["server_pid"], mount.pid])
    assert_equal(tree, mount)
    facts = mount.stats()
    assert facts["pid"] != mount.pid and facts["server_version"] == NEW
    mount.pid = facts["pid"]
    mount.umount()


def test_a_program_that_cannot_start_again(work, new, tree, image, version):
    """The one that mounted serves then, and the log says so."""
    log = work.directory("logs") / "log"
    mount = work.mount(image, options=f"log={log}")
    upgraded(new, mount)
    server = mount.stats()["server_pid"]
    new.chmod(0)
    kill_all([server])
    assert_equal(tree, mount)
    assert mount.stats()["server_version"] == version
    assert f"version {version}, which mounted, serves again" in log.read_text()
    mount.umount()


class Memory:
    """What the servers of a mount share, in the hands of a test."""

    def __init__(self, daemon):
        directory = f"/proc/{daemon}/fd"
        number = next(name for name in os.listdir(directory)
                      if "memfd:squenv-session" in os.readlink(f"{directory}/{name}"))
        self.file = open(f"{directory}/{number}", "r+b", buffering=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def add(self, offset, number):
        (value,) = struct.unpack("<I", os.pread(self.file.fileno(), 4, offset))
        os.pwrite(self.file.fileno(), struct.pack("<I", value + number), offset)

    def init_answer(self):
        """Where it is: after the request, whose buffer has 256 bytes."""
        content = os.pread(self.file.fileno(), 1 << 20, 0)
        for at in range(0, len(content) - 512, 8):
            opcode, = struct.unpack_from("<I", content, at + 4)
            major, = struct.unpack_from("<I", content, at + 40)
            answer_major, = struct.unpack_from("<I", content, at + 256)
            if (opcode, major, answer_major) == (FUSE_INIT, 7, 7):
                return at + 256
        raise AssertionError("no answer to INIT")


@pytest.mark.parametrize("what,reason", [("layout", "keep requests in different ways"),
                                         ("init", "negotiates otherwise")])
def test_a_program_that_does_not_fit(what, reason, work, new, tree, image, version):
    """It is refused, and the server that is there goes on."""
    mount = work.mount(image)
    before = mount.stats()
    with Memory(mount.pid) as memory:
        # In an answer, max_readahead is the third number.
        place = 0 if what == "layout" else memory.init_answer() + 8
        memory.add(place, 1)
        result = run([new, "upgrade", mount.path], user=True)
        memory.add(place, -1)
    assert result.returncode != 0 and result.stdout == ""
    assert f"{mount.path}: " in result.stderr and reason in result.stderr
    assert "mount again" in result.stderr
    assert_equal(tree, mount)
    after = mount.stats()
    assert (after["server_pid"], after["restarts"]) == (before["server_pid"], 0)
    assert after["server_version"] == version
    upgraded(new, mount)
    mount.umount()


def test_an_image_that_was_changed(work, new, image):
    copy = work.path / "image.squashfs"
    shutil.copy(image, copy)
    mount = work.mount(copy)
    before = mount.stats()["server_pid"]
    os.utime(copy, (1, 1))
    result = run([new, "upgrade", mount.path], user=True)
    assert result.returncode == 2 and "was changed since" in result.stderr, result.stderr
    assert mount.stats()["server_pid"] == before
    mount.umount()


ASK = """
import array, os, socket, sys
name, program = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.settimeout(20)
connection.connect("\\0" + name)
file = os.open(program, os.O_PATH)
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
try:
    connection.sendmsg([b"u"], rights)
    sys.stdout.buffer.write(connection.recv(4096))
except (BrokenPipeError, ConnectionResetError):
    pass
"""


def ask(mount, program, words=tuple(AS_USER)):
    """The answer of the daemon when any program is to take over."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    minor = next(words[2].split(":")[1] for words in map(str.split, lines)
                 if words[4] == os.fspath(mount.path))
    command = [*words, "/usr/bin/python3", "-c", ASK, f"squenv/1000/mount/{minor}", program]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("kind", ["false", "script", "directory"])
def test_what_is_no_such_program(kind, work, tree, image):
    program = work.path / "program"
    if kind == "false":
        program = Path("/bin/false")
    elif kind == "directory":
        program.mkdir()
    else:
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
    mount = work.mount(image)
    wait_for(lambda: sorted(map(daemon_name, background(work))) == PROCESSES, "the standbys")
    before = mount.stats()
    reason = b"ended before it could serve" if kind == "false" else b"cannot be started"
    assert reason in ask(mount, program)
    assert_equal(tree, mount)
    assert mount.stats()["server_pid"] == before["server_pid"]
    mount.umount()


def test_mounts_of_others(work, new, tree, image):
    """Not even root's program becomes the server of a user, or a user's that of root."""
    mount = work.mount(image)
    wait_for(lambda: sorted(map(daemon_name, background(work))) == PROCESSES, "the standbys")
    before = mount.stats()["server_pid"]
    result = run([new, "upgrade", mount.path])
    assert result.returncode != 0 and "only the user that mounted it" in result.stderr
    assert run([new, "upgrade"]).returncode == 0  # none of its own
    assert ask(mount, new, words=[]) == b""
    assert mount.stats()["server_pid"] == before
    mount.umount()
    mount = work.mount(image, "roots", options="allow_other", user=False)
    result = run([new, "upgrade", mount.path], user=True)
    assert result.returncode != 0 and "only the user that mounted it" in result.stderr
    upgraded(new, mount, user=False)
    assert mount.stats()["server_version"] == NEW
    assert_equal(tree, mount)
    mount.umount()


def test_a_program_in_the_mount(work):
    """Its server would wait for itself."""
    tree = work.directory("tree")
    shutil.copy(work.programs / "squenv", tree / "squenv")
    image = work.path / "image.squashfs"
    check([work.programs / "squenv", "pack", "-q", tree, "-o", image])
    mount = work.mount(image)
    before = mount.stats()["server_pid"]
    result = run([mount.path / "squenv", "upgrade", mount.path], user=True)
    assert result.returncode == 4 and "installed outside" in result.stderr, result.stderr
    assert mount.stats()["server_pid"] == before
    mount.umount()


@pytest.mark.parametrize("way", ["umount", "signal"])
def test_unmounted_meanwhile(way, work, new, image):
    """Nothing hangs and nothing is left, whichever comes first."""
    choose = random.Random(SEED)
    for _ in range(5):
        mount = work.mount(image)
        time.sleep(0.1)
        upgrade = work.start([*AS_USER, new, "upgrade", mount.path])
        time.sleep(choose.uniform(0, 0.06))
        if way == "umount":
            assert work.squenv("umount", "--wait", mount.path).returncode == 0
        else:
            os.kill(mount.pid, signal.SIGTERM)
        errors = upgrade.communicate(timeout=30)[1]
        assert upgrade.returncode == 0 or errors.startswith(b"squenv upgrade: "), errors
        wait_for(lambda: not all_processes(work, new), "the end of all processes")
        assert not mount.is_mounted()


def test_what_is_no_mount(work, new):
    result = run([new, "upgrade", work.directory("plain")], user=True)
    assert result.returncode == 1 and "no image is mounted here" in result.stderr


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_a_mount_of_run(via, work, new, venv_image, venv_source):
    """From inside: a mount in a namespace is visible there alone."""
    script = (f"{new} upgrade --json {venv_source} && {' '.join(IMPORT[:1])} -c "
              "'import probe; print(probe.VALUE)'")
    result = work.squenv("run", "-q", "--via", via, venv_image, "--", "sh", "-c", script)
    assert result.returncode == 0, (result.stdout, result.stderr)
    assert f'"to": "{NEW}"' in result.stdout and result.stdout.endswith("42\n")
    wait_until_nothing_is_left(work, venv_source)


def test_a_recording_goes_on(work, new, image):
    trace = work.directory("traces") / "trace"
    mount = work.mount(image, options=f"record={trace}")
    check([*AS_USER, "cat", mount.path / "d1" / "f1"])
    upgraded(new, mount)
    check([*AS_USER, "cat", mount.path / "d2" / "f2"])
    mount.umount()
    text = trace.read_text(encoding="utf-8")
    assert "d1/f1" in text and "d2/f2" in text


def test_a_lost_recording_is_told(work, new, image):
    """The new server knows whom, too."""
    disk, path = work.directory("disk"), work.directory("mnt")
    words = work.command("run", "-q", "--record", disk / "t", f"{image}:{path}", "--", "sh", "-c",
                         f"{new} upgrade -q {path} && cat {path}/d1/large | wc -c")
    script = f"mount -t tmpfs -o size=64k,mode=777 none {disk}; : > {disk}/t; chmod 666 {disk}/t"
    fill = f"head -c 1000000 /dev/zero > {disk}/fill 2> /dev/null"
    result = on_machine(f"{script}; {fill} || :", words)
    assert result.stdout == f"{600_000 + (1 << 18)}\n", result
    (line,) = result.stderr.splitlines()
    assert f"{disk}/t: the recording is lost: No space left on device" in line


def test_a_stage_goes_on(work, new, tree, image):
    copy = work.path / "image.squashfs"
    shutil.copy(image, copy)
    mount = work.mount(copy, options=f"stage={work.directory('stage')}")
    upgraded(new, mount)
    wait_for(lambda: mount.stats()["image_is_staged"], "the copy")
    upgraded(work.programs / "squenv", mount)
    assert mount.stats()["image_is_staged"]  # at once: it is not copied again
    assert_equal(tree, mount)
    mount.umount()


def test_the_server_is_confined(work, new, image):
    """As one that was forked, before it reads anything of the image."""
    mount = work.mount(image)
    before = Path(f"/proc/{mount.stats()['server_pid']}/status").read_text()
    upgraded(new, mount)
    after = Path(f"/proc/{mount.stats()['server_pid']}/status").read_text()
    names = ["NoNewPrivs", "Seccomp", "CapEff", "CapBnd", "Uid", "SigBlk"]
    assert [line for line in after.splitlines() if line.split(":")[0] in names] == [
        line for line in before.splitlines() if line.split(":")[0] in names]
    links = [os.readlink(f"/proc/{mount.stats()['server_pid']}/fd/{name}")
             for name in os.listdir(f"/proc/{mount.stats()['server_pid']}/fd")]
    assert links.count("/dev/fuse") == 1 and os.fspath(new) not in links
    mount.umount()


def test_the_helper_is_no_command(work):
    link = work.path / "squenv-server"
    link.symlink_to(work.programs / "squenv")
    for words in ([], ["3"], ["x"]):
        result = run([link, *words], user=True)
        assert result.returncode == 2 and "started by the daemon" in result.stderr
