# SPDX-License-Identifier: MIT
"""What a user notices of a mount, from the first access to the end of the daemon."""

import json
import os
import select
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import trees
from support.digests import assert_same, without
from support.processes import (
    AS_USER,
    check,
    is_running,
    mounts_below,
    processes_of,
    run,
    status,
    wait_for,
)

K = trees.K
PYTHON = "/usr/bin/python3"
READ_ALL = """
import os, sys
total = 0
for top, directories, files in os.walk(sys.argv[1]):
    for name in files:
        if not os.path.isfile(os.path.join(top, name)):
            continue
        with open(os.path.join(top, name), 'rb') as file:
            total += len(file.read())
print(total)
"""
# Opens argv[1], says so, and reads the rest of it when a line arrives.
HOLDER = """
import sys
file = open(sys.argv[1], 'rb', buffering=0)
file.read(1)
print('open', flush=True)
sys.stdin.readline()
try:
    file.seek(0)
    data = b''
    while part := file.read(1 << 16):
        data += part
    print(len(data), flush=True)
except OSError as error:
    print('errno', error.errno, flush=True)
"""


def python(work, script, *args, user=True):
    return work.start((AS_USER if user else []) + [PYTHON, "-c", script, *map(str, args)],
                      stdin=subprocess.PIPE, text=True)


def hold(work, path):
    process = python(work, HOLDER, path)
    assert process.stdout.readline() == "open\n", process.communicate()
    return process


def release(process):
    process.stdin.write("\n")
    process.stdin.flush()
    answer = process.stdout.readline().strip()
    process.wait(30)
    return answer


def errno_of(script, *args, user=True):
    """The errno name that `script` ends with, or ""."""
    code = f"import errno, os, sys\ntry:\n    {script}\nexcept OSError as e:\n" \
           "    print(errno.errorcode[e.errno])"
    result = run([PYTHON, "-c", code, *map(str, args)], user=user)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_usable_when_the_command_returns(work, plain_image, plain_tree, tree_digest):
    mount = work.mount(plain_image)
    expected = without(tree_digest(plain_tree), "data", "nlink")
    assert_same(expected, without(tree_digest(mount.path, user=True), "data", "nlink"), "mount")
    mount.umount()
    assert os.listdir(mount.path) == []


def test_nothing_is_printed(work, plain_image):
    path = work.directory("mnt")
    result = work.squenv("mount", plain_image, path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert work.squenv("umount", path).returncode == 0


def test_the_mount_command_lets_go_of_its_pipes(work, plain_image):
    """A shell's $(squenv mount ...) ends with the command, not with the mount."""
    path = work.directory("mnt")
    process = work.start(work.command("mount", plain_image, path))
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, b"", b"")
    assert mounts_below(path)
    assert work.squenv("umount", path).returncode == 0


@pytest.mark.parametrize("how", ["umount", "umount --wait", "run"])
def test_a_made_mount_point_is_removed_before_the_command_ends(how, work, plain_image):
    """What a script makes there next must not go with it."""
    path = work.directory("parent") / "mnt"
    for _ in range(10):
        if how == "run":
            result = work.squenv("run", "--force", f"{plain_image}:{path}", "--", "true")
        else:
            result = work.squenv("mount", plain_image, path)
        assert result.returncode == 0, result.stderr
        wait = [] if how == "umount" else ["--wait"]
        assert work.squenv("umount", *wait, path).returncode == 0
        path.mkdir()
        time.sleep(0.1)
        path.rmdir()


def test_mount_many_times_in_a_row(work, plain_image):
    """Start-up races show in one of many."""
    for _ in range(40):
        mount = work.mount(plain_image)
        assert run(["cat", mount.path / "large"], user=True, text=False).returncode == 0
        mount.umount()


def test_mount_options_and_source(work, plain_image):
    mount = work.mount(plain_image)
    (entry,) = mounts_below(mount.path)
    assert {"ro", "nosuid", "nodev"} <= set(entry["options"])
    assert entry["type"] == "fuse.squenv"
    assert entry["source"] == str(plain_image)
    assert "user_id=1000" in entry["super_options"]
    mount.umount()


def test_direct_mount_options(work, plain_image):
    mount = work.mount(plain_image, user=False)
    (entry,) = mounts_below(mount.path)
    assert {"ro", "nosuid", "nodev"} <= set(entry["options"])
    mount.umount()


@pytest.mark.parametrize("script", [
    "open(sys.argv[1] + '/new', 'w')", "open(sys.argv[1] + '/large', 'r+')",
    "os.mkdir(sys.argv[1] + '/new')", "os.unlink(sys.argv[1] + '/large')",
    "os.utime(sys.argv[1] + '/large')", "os.chmod(sys.argv[1] + '/large', 0o600)",
    "os.rename(sys.argv[1] + '/large', sys.argv[1] + '/x')",
    "os.setxattr(sys.argv[1] + '/large', 'user.a', b'b')",
    "os.symlink('a', sys.argv[1] + '/new')"])
def test_writing_is_refused_as_read_only(script, work, plain_image):
    mount = work.mount(plain_image)
    assert errno_of(script, mount.path) == "EROFS"
    mount.umount()


def test_list(work, plain_image):
    assert work.squenv("list", "--json").returncode == 0
    mount = work.mount(plain_image)
    rows = json.loads(work.squenv("list", "--json").stdout)
    (row,) = [row for row in rows if row["mountpoint"] == str(mount.path)]
    assert row == {"mountpoint": str(mount.path), "image": str(plain_image), "state": "ok",
                   "pid": mount.pid}
    assert str(mount.path) in work.squenv("list").stdout
    mount.umount()
    assert str(mount.path) not in work.squenv("list").stdout


def test_stats(work, plain_image):
    mount = work.mount(plain_image)
    run(["cat", mount.path / "large"], user=True, text=False)
    statistics = mount.stats()
    assert statistics["image"] == str(plain_image)
    assert statistics["bytes_served"] >= 700_000
    assert statistics["errors"] == 0
    text = work.squenv("stats", mount.path).stdout
    assert str(plain_image) in text and "requests" in text
    mount.umount()
    result = work.squenv("stats", mount.path)
    assert result.returncode == 1 and "not a mount of squenv" in result.stderr


def test_second_walk_and_read_send_almost_no_requests(work, plain_image):
    mount = work.mount(plain_image)
    use = f"find {mount.path} -ls > /dev/null && find {mount.path} -type f -exec cat {{}} + | wc -c"
    first = check(["sh", "-c", use], user=True)
    before = mount.requests()
    second = check(["sh", "-c", use], user=True)
    added = mount.requests() - before
    kinds = mount.stats()["requests_by_kind"]
    mount.umount()
    assert first.stdout == second.stdout and int(first.stdout) > 1_300_000
    assert added <= 5, kinds


def test_missing_names_are_asked_for_once(work, plain_image):
    mount = work.mount(plain_image)
    script = "import os, sys\nfor i in range(100): assert not os.path.exists(sys.argv[1] + '/no')"
    check([PYTHON, "-c", script, mount.path], user=True)
    assert mount.stats()["requests_by_kind"]["lookup"] <= 2
    mount.umount()


def test_parallel_readers(work, nasty_image, nasty_tree):
    """By root, to whom the modes of the tree hide nothing."""
    mount = work.mount(nasty_image, options="cache_size=1M", user=False)
    readers = [python(work, READ_ALL, mount.path, user=False) for _ in range(6)]
    totals = {reader.communicate(timeout=60)[0] for reader in readers}
    assert len(totals) == 1 and int(totals.pop()) > 3_000_000
    assert mount.stats()["errors"] == 0
    mount.umount()


def test_subdir(work, plain_image):
    mount = work.mount(plain_image, options="subdir=package-1")
    assert sorted(os.listdir(mount.path) if os.geteuid() else run(
        ["ls", mount.path], user=True).stdout.split())[0].startswith("module-")
    mount.umount()


@pytest.mark.parametrize("subdir,reason", [("nothing", "no such file"), ("large", "not a dir")])
def test_subdir_that_is_none(subdir, reason, work, plain_image):
    path = work.directory("mnt")
    result = work.squenv("mount", "-o", f"subdir={subdir}", plain_image, path)
    assert result.returncode in (1, 2) and reason in result.stderr and subdir in result.stderr
    assert not mounts_below(path)


def test_owner_override(work, nasty_image):
    mount = work.mount(nasty_image, options="uid=1234,gid=4321")
    owners = check(["find", mount.path, "-printf", "%U:%G\n"], user=True).stdout.split()
    mount.umount()
    assert set(owners) == {"1234:4321"}


def test_owner_only_by_default(work, plain_image):
    mount = work.mount(plain_image)
    assert errno_of("os.listdir(sys.argv[1])", mount.path, user=False) == "EACCES"
    mount.umount()


def test_allow_other_checks_permissions(work, nasty_image):
    mount = work.mount(nasty_image, options="allow_other", user=False)
    (entry,) = mounts_below(mount.path)
    assert {"allow_other", "default_permissions"} <= set(entry["super_options"])
    read = "open(sys.argv[1], 'rb').read()"
    assert errno_of(read, mount.path / "modes" / "0444") == ""
    assert errno_of(read, mount.path / "modes" / "0000") == "EACCES"
    assert errno_of(read, mount.path / "modes" / "0000", user=False) == ""
    mount.umount()


def test_allow_other_for_users_needs_the_administrator(work, plain_image):
    with open("/etc/fuse.conf", encoding="ascii") as file:
        if any(line.strip() == "user_allow_other" for line in file):
            pytest.skip("this machine allows it")
    path = work.directory("mnt")
    result = work.squenv("mount", "-o", "allow_other", plain_image, path)
    assert result.returncode == 4 and "user_allow_other" in result.stderr
    assert not mounts_below(path)


def test_offset(work, plain_image):
    image = work.path / "image"
    image.write_bytes(b"x" * 1234 + plain_image.read_bytes())
    mount = work.mount(image, options="offset=1234")
    assert run(["cat", mount.path / "link"], user=True).stdout.startswith("3 line")
    mount.umount()


def test_idle_timeout(work, plain_image):
    mount = work.mount(plain_image, options="timeout=1")
    mount.wait_until_gone()


def test_idle_timeout_spares_open_files(work, plain_image):
    mount = work.mount(plain_image, options="timeout=1")
    reader = hold(work, mount.path / "noise")
    wait_for(lambda: not mount.work.squenv("stats", mount.path).returncode, "an answer")
    select.select([], [], [], 2.5)  # longer than the timeout and one try
    assert mount.is_mounted()
    assert release(reader) == "600000"
    mount.wait_until_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_unmounts(number, work, plain_image):
    mount = work.mount(plain_image)
    os.kill(mount.pid, number)
    mount.wait_until_gone()


def test_signal_to_a_busy_mount_waits_for_its_last_user(work, plain_image):
    mount = work.mount(plain_image)
    reader = hold(work, mount.path / "noise")
    os.kill(mount.pid, signal.SIGTERM)
    wait_for(lambda: not mount.is_mounted(), "the lazy unmount")
    assert is_running(mount.pid)
    assert release(reader) == "600000"
    mount.wait_until_gone()


def test_second_signal_ends_a_busy_mount(work, plain_image):
    mount = work.mount(plain_image)
    reader = hold(work, mount.path / "noise")
    os.kill(mount.pid, signal.SIGTERM)
    wait_for(lambda: not mount.is_mounted(), "the lazy unmount")
    os.kill(mount.pid, signal.SIGTERM)
    mount.wait_until_gone()
    answer = release(reader)
    assert answer == "600000" or answer.startswith("errno"), answer


def test_umount_of_a_busy_mount_names_the_holder(work, plain_image):
    mount = work.mount(plain_image)
    reader = hold(work, mount.path / "noise")
    result = work.squenv("umount", mount.path)
    assert result.returncode == 1
    assert str(reader.pid) in result.stderr and "--lazy" in result.stderr
    assert mount.is_mounted()
    assert work.squenv("umount", "--lazy", mount.path).returncode == 0
    assert not mount.is_mounted()
    assert release(reader) == "600000"
    mount.wait_until_gone()


def test_umount_of_nothing(work):
    result = work.squenv("umount", work.directory("mnt"))
    assert result.returncode == 1 and "no image is mounted here" in result.stderr


def test_killed_daemon_leaves_no_mount(work, plain_image):
    mount = work.mount(plain_image)
    mount.kill()
    mount.wait_until_gone()
    again = work.mount(plain_image)
    assert again.pid != mount.pid
    again.umount()


def test_killed_daemon_of_root_leaves_no_mount(work, plain_image):
    mount = work.mount(plain_image, user=False)
    mount.kill()
    mount.wait_until_gone()


def test_killed_daemon_with_an_open_file(work, plain_image):
    mount = work.mount(plain_image)
    reader = hold(work, mount.path / "large")
    mount.kill()
    mount.wait_until_gone()
    answer = release(reader)
    assert answer == "700000" or answer.startswith("errno"), answer


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_dead_mount_heals(user, work, plain_image):
    mount = work.mount(plain_image, user=user)
    mount.kill(with_keeper=True)
    # The kernel goes on answering what it has cached; content it has to ask for.
    assert errno_of("open(sys.argv[1], 'rb').read()", mount.path / "large", user=user) == "ENOTCONN"
    listed = json.loads(work.squenv("list", "--json", user=user).stdout)
    assert [row["state"] for row in listed if row["mountpoint"] == str(mount.path)] == ["dead"]
    assert f"'squenv umount {mount.path}'" in work.squenv("list", user=user).stderr
    assert "a dead mount" in work.squenv("doctor", plain_image, mount.path, user=user).stdout
    again = work.mount(plain_image, user=user)
    assert len(mounts_below(again.path)) == 1
    again.umount()


def test_dead_mount_is_unmounted(work, plain_image):
    mount = work.mount(plain_image)
    mount.kill(with_keeper=True)
    assert work.squenv("umount", mount.path).returncode == 0
    assert not mount.is_mounted()


def test_killed_keeper_does_not_harm(work, plain_image):
    mount = work.mount(plain_image)
    keeper = mount.keeper()
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not is_running(keeper), "the end of the keeper")
    assert run(["cat", mount.path / "large"], user=True).returncode == 0
    mount.umount()


def test_mount_point_that_is_a_symlink_to_nothing(work, plain_image):
    link = work.path / "link"
    link.symlink_to("nowhere")
    result = work.squenv("mount", plain_image, link)
    assert result.returncode == 1 and "a symlink to what does not exist" in result.stderr


def test_second_mount_on_the_same_path_is_refused(work, plain_image):
    mount = work.mount(plain_image)
    result = work.squenv("mount", plain_image, mount.path)
    assert result.returncode == 1 and "already" in result.stderr
    assert len(mounts_below(mount.path)) == 1
    mount.umount()


def test_stopped_daemon_is_named_and_removable(work, plain_image):
    mount = work.mount(plain_image)
    mount.stop()
    try:
        def ask(*words):
            start = time.monotonic()
            return work.squenv(*words, timeout=30), time.monotonic() - start

        # All at once: each waits three seconds for an answer, and for no second one.
        with ThreadPoolExecutor() as pool:
            listed, again, doctor = [
                pool.submit(ask, *words) for words in [
                    ("list", "--json"), ("mount", plain_image, mount.path),
                    ("doctor", plain_image, mount.path)]]
        (row,) = [row for row in json.loads(listed.result()[0].stdout)
                  if row["mountpoint"] == str(mount.path)]
        assert row["state"] == "no answer"
        again, _ = again.result()
        assert again.returncode == 1 and "does not answer" in again.stderr
        doctor, seconds = doctor.result()
        assert seconds < 9
        # A namespace shows the image over it, for `run` as for doctor.
        assert doctor.returncode == 0 and "does not answer" in doctor.stdout
        assert [line.split()[1] for line in doctor.stdout.splitlines()
                if line.startswith("  fusermount ")] == ["no:"]
        assert work.squenv("umount", "--lazy", mount.path).returncode == 0
        assert not mount.is_mounted()
    finally:
        os.kill(mount.pid, signal.SIGCONT)
    mount.wait_until_gone()


@pytest.mark.parametrize("flag", ["-f", "-d"])
def test_foreground(flag, work, plain_image):
    path = work.directory("mnt")
    process = work.start(work.command("mount", flag, plain_image, path), stderr=subprocess.DEVNULL)
    wait_for(lambda: work.squenv("stats", path).returncode == 0, "the mount")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not mounts_below(path)


def test_foreground_ends_with_the_mount(work, plain_image):
    path = work.directory("mnt")
    process = work.start(work.command("mount", "-f", plain_image, path))
    wait_for(lambda: work.squenv("stats", path).returncode == 0, "the mount")
    assert work.squenv("umount", path).returncode == 0
    assert process.wait(20) == 0


def notified(work, image, foreground, program="squenv"):
    path = work.path / "mnt"
    if not path.exists():
        work.directory("mnt")
    pipe = work.path / "notify"
    os.mkfifo(pipe, 0o600)
    os.chown(pipe, 1000, 1000)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    words = (["mount"] if program == "squenv" else []) + (["-f"] if foreground else [])
    process = work.start(work.command(*words, "-o", f"notify_pipe={pipe}", image, path,
                                      program=program))
    ready, _, _ = select.select([reader], [], [], 20)
    assert ready, "nothing was written"
    byte = os.read(reader, 10)
    os.close(reader)
    return process, byte, path


@pytest.mark.parametrize("foreground", [True, False], ids=["foreground", "background"])
@pytest.mark.parametrize("program", ["squenv", "squashfuse_ll"])
def test_notify_pipe_tells_success(foreground, program, work, plain_image):
    process, byte, path = notified(work, plain_image, foreground, program)
    assert byte == b"s"
    assert mounts_below(path)
    assert work.squenv("umount", path).returncode == 0
    assert process.wait(20) == 0


@pytest.mark.parametrize("foreground", [True, False], ids=["foreground", "background"])
def test_notify_pipe_tells_failure(foreground, work):
    image = work.path / "image"
    image.write_bytes(b"no image" * 100)
    process, byte, path = notified(work, image, foreground)
    assert byte == b"f"
    assert process.wait(20) == 1
    assert not mounts_below(path)


@pytest.mark.parametrize("program", ["squashfuse", "squashfuse_ll"])
def test_squashfuse_names(program, work, plain_image):
    mount = work.mount(plain_image, program=program)
    (entry,) = mounts_below(mount.path)
    assert entry["type"] == f"fuse.{program}"
    mount.umount()


def test_squashfuse_options(work, plain_image):
    """As container runtimes call it."""
    path = work.directory("mnt")
    image = work.path / "image"
    image.write_bytes(b"x" * 4096 + plain_image.read_bytes())
    process = work.start(work.command(
        "-f", "-s", "-o", "offset=4096,uid=1000,gid=1000", "-osubdir=package-1,timeout=100", image,
        path, program="squashfuse_ll"))
    wait_for(lambda: work.squenv("stats", path).returncode == 0, "the mount")
    names = check(["ls", "-n", path], user=True).stdout
    assert "module-1.py" in names and " 1000 " in names
    check(["fusermount3", "-u", path], user=True)
    assert process.wait(20) == 0


def test_options_of_squashfuse_that_scripts_have(work, plain_image):
    options = ("noexec,clone_fd,max_threads=3,max_idle_threads=2,max_read=131072,kernel_cache,"
               "auto_cache,attr_timeout=1,entry_timeout=1,negative_timeout=0,noforget,remember=1,"
               "umask=077,rw,dev,suid")
    path = work.directory("mnt")
    result = work.squenv("-o", options, plain_image, path, program="squashfuse")
    assert result.returncode == 0, result.stderr
    (entry,) = mounts_below(path)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(entry["options"])
    modes = check(["stat", "-c", "%a", path / "large", path / "package-1"], user=True)
    assert modes.stdout.split() == ["700", "700"]
    lines = result.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["option rw", "option dev", "option suid"]
    assert work.squenv("umount", path).returncode == 0


@pytest.mark.parametrize("user", [True, False], ids=["fusermount", "direct"])
def test_noexec_keeps_programs_from_running(user, work):
    tree = work.directory("tree")
    (tree / "tool").write_text("#!/bin/sh\necho ran\n")
    (tree / "tool").chmod(0o755)
    image = trees.mksquashfs(tree, work.path / "image")
    mount = work.mount(image, options="noexec", user=user)
    (entry,) = mounts_below(mount.path)
    assert "noexec" in entry["options"]
    assert run(["sh", "-c", f"{mount.path}/tool"], user=user).returncode == 126
    mount.umount()
    mount = work.mount(image, options="noexec,exec", user=user)
    assert run([mount.path / "tool"], user=user).stdout == "ran\n"
    mount.umount()


def test_squashfuse_help_and_errors(work):
    result = work.squenv("--help", program="squashfuse")
    assert result.returncode == 0 and "ARCHIVE MOUNTPOINT" in result.stdout
    assert work.squenv(program="squashfuse").returncode == 2
    assert work.squenv("-x", "a", "b", program="squashfuse").returncode == 2


def test_mount_helper(work, plain_image):
    """As mount(8) calls it for a line in fstab."""
    path = work.directory("mnt")
    result = work.squenv(plain_image, path,
                         "-o", "ro,sloppily=yes,noauto,x-systemd.automount,uid=7", "-s",
                         user=False, program="mount.squenv")
    assert result.returncode == 0, result.stderr
    assert os.stat(path / "large").st_uid == 7
    check(["umount", path])
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of the daemon")


def helper(work, *words, program="mount.squenv"):
    return work.squenv(*words, user=False, program=program)


def test_mount_helper_takes_what_mount_adds(work, plain_image):
    """For "user" in fstab, noexec among it, which is kept."""
    path = work.directory("mnt")
    result = helper(work, plain_image, path, "-t", "squenv", "-o",
                    'rw,noexec,nosuid,nodev,user=me,strictatime,X-a=b,comment=c,context="a:b,c"')
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("mount.squenv: option context: ")
    (entry,) = mounts_below(path)
    assert {"ro", "noexec", "nosuid", "nodev"} <= set(entry["options"])
    check(["umount", path])
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of the daemon")


def test_mount_helper_remounts(work, plain_image):
    mount = work.mount(plain_image, user=False)
    result = helper(work, plain_image, mount.path, "-o", "remount,rw")
    assert (result.returncode, result.stderr) == (0, "")
    assert mount.is_mounted()
    mount.umount()
    result = helper(work, plain_image, mount.path, "-o", "remount")
    assert result.returncode == 32 and "no image is mounted here" in result.stderr


@pytest.mark.parametrize("words,status", [
    (["-h"], 0), (["--help"], 0), (["-V"], 0), (["--version"], 0), ([], 1), (["a"], 1),
    (["a", "b", "-o", "nonsense"], 1), (["a", "b", "-o"], 1), (["a", "b", "-x"], 1),
    (["a", "b", "-N", "/proc/1/ns/mnt"], 1), (["/nowhere", "{mnt}"], 32), (["-f", "a", "b"], 0),
    (["/etc/passwd", "{mnt}"], 32)], ids=lambda value: str(value))
def test_mount_helper_statuses(words, status, work):
    """Those of mount(8), which hands them on."""
    path = work.directory("mnt")
    result = helper(work, *[word.replace("{mnt}", str(path)) for word in words])
    assert result.returncode == status, result
    assert bool(result.stderr) == (status != 0)
    assert not mounts_below(path)


@pytest.mark.parametrize("program", ["squenv", "mount.fuse3"])
def test_as_mount_fuse_calls_it(program, work, plain_image):
    """By the type, found in PATH, with an image and a directory for words."""
    path = work.directory("mnt")
    if program == "squenv":
        result = helper(work, plain_image, path, "-o", "ro,dev,suid", program="squenv")
    else:
        tool = shutil.which("mount.fuse3", path="/usr/sbin:/sbin")
        if tool is None:
            pytest.skip("mount.fuse3 is not installed")
        result = run([tool, f"squenv#{plain_image}", path, "-o", "ro,user"],
                     env={**os.environ, "PATH": f"{work.programs}:/usr/bin:/bin"})
    assert result.returncode == 0, result.stderr
    (entry,) = mounts_below(path)
    assert entry["type"] == "fuse.squenv" and "nosuid" in entry["options"]
    check(["umount", path])
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of the daemon")


def test_mount_point_is_made_and_removed(work, plain_image):
    path = work.path / "a" / "b"
    result = work.squenv("mount", plain_image, path)
    assert (result.returncode, result.stderr) == (0, "")
    assert mounts_below(path)
    check(["fusermount3", "-u", path], user=True)
    wait_for(lambda: not (work.path / "a").exists(), "the removal of the directories")


def test_mount_point_that_is_used_meanwhile_stays(work, plain_image):
    path = work.path / "a" / "b"
    assert work.squenv("mount", plain_image, path).returncode == 0
    (work.path / "a" / "other").mkdir()
    assert work.squenv("umount", path).returncode == 0
    wait_for(lambda: not path.exists(), "the removal of the mount point")
    assert os.listdir(work.path / "a") == ["other"]


@pytest.mark.parametrize("options", [[], ["-o", "ro,nodev"], ["-o", "defaults,nofail"],
                                     ["-o", "allow_other,user"]],
                         ids=["none", "ro", "defaults", "user"])
def test_mount_8(options, work, plain_image):
    """mount -t squenv finds the helper in /sbin; given one there, in a private namespace."""
    path = work.directory("mnt")
    over = work.directory("sbin", user=False)
    layers = f"lowerdir=/usr/sbin,upperdir={over}/up,workdir={over}/work"
    script = f"""set -e
        mount -t tmpfs none {over}
        mkdir {over}/up {over}/work
        mount -t overlay -o {layers} none /usr/sbin
        ln -s {work.programs}/squenv /usr/sbin/mount.squenv
        mount -t squenv {' '.join(options)} {plain_image} {path}
        cat {path}/package-1/module-1.py | wc -c
        umount {path}"""
    result = run(["unshare", "-m", "sh", "-c", script])
    if "overlay" in result.stderr:
        pytest.skip(f"no overlay file system here: {result.stderr}")
    assert result.returncode == 0 and result.stdout.strip() == "1097", result.stderr


def test_seek_hole_and_data(work, nasty_image):
    mount = work.mount(nasty_image)
    script = (
        "import os, sys\nfd = os.open(sys.argv[1], os.O_RDONLY)\n"
        "print(os.lseek(fd, 0, os.SEEK_HOLE), os.lseek(fd, 131072, os.SEEK_DATA),"
        " os.lseek(fd, 262145, os.SEEK_HOLE), os.lseek(fd, 0, os.SEEK_END))"
    )
    result = check([PYTHON, "-c", script, mount.path / "sparse" / "comb"], user=True)
    mount.umount()
    assert result.stdout.split() == ["131072", "262144", "393216", "1048576"]


def test_xattrs(work, nasty_image):
    mount = work.mount(nasty_image)
    get = "print(os.getxattr(sys.argv[1], sys.argv[2]))"
    path = mount.path / "xattrs" / "file-1"
    assert errno_of(get, path, "user.own") == "b'1'"
    assert errno_of(get, path, "user.empty") == "b''"
    assert errno_of(get, path, "security.squenv") == "b'\\x00\\x01binary'"
    assert errno_of(get, path, "user.none") == "ENODATA"
    assert errno_of(get, path, "trusted.squenv") == "ENODATA"
    names = run([PYTHON, "-c", "import os, sys; print(os.listxattr(sys.argv[1]))", path], user=True)
    mount.umount()
    assert "user.big" in names.stdout and "trusted" not in names.stdout


def test_image_without_xattrs_sends_no_requests_for_them(work, plain_tree):
    image = trees.mksquashfs(plain_tree, work.path / "image", "-no-xattrs")
    mount = work.mount(image)
    run(["getfattr", "-R", "-d", "-m", "-", mount.path], user=True)
    kinds = mount.stats()["requests_by_kind"]
    mount.umount()
    assert kinds["getxattr"] <= 1 and kinds["listxattr"] <= 1


@pytest.fixture
def own_image(work, plain_image):
    """A copy that the test may damage, on a mount with little of it cached."""
    image = work.path / "image"
    shutil.copy(plain_image, image)
    os.chown(image, 1000, 1000)
    return image


READ_ERRNOS = """
import errno, os, sys
found = set()
for top, directories, files in os.walk(sys.argv[1], onerror=lambda e: found.add(e.errno)):
    for name in files:
        try:
            with open(os.path.join(top, name), 'rb') as file:
                file.read()
            found.add(0)
        except OSError as error:
            found.add(error.errno)
print(' '.join(sorted(errno.errorcode.get(n, 'ok') for n in found)))
"""


def read_errnos(path):
    return set(check([PYTHON, "-c", READ_ERRNOS, path], user=True).stdout.split())


def test_image_truncated_while_mounted(work, own_image):
    mount = work.mount(own_image)
    os.truncate(own_image, 4096)
    assert "EIO" in read_errnos(mount.path) <= {"EIO", "ok"}
    assert is_running(mount.pid) and mount.stats()["errors"] > 0
    mount.umount()


def test_image_that_recovers_is_read_again(work, own_image):
    """As a disk or a server that was away: no failure is remembered."""
    mount = work.mount(own_image)
    content = own_image.read_bytes()
    os.truncate(own_image, 96)
    assert "EIO" in read_errnos(mount.path)
    own_image.write_bytes(content)
    assert read_errnos(mount.path) == {"ok"}
    mount.umount()


def test_image_overwritten_while_mounted(work, own_image):
    mount = work.mount(own_image)
    with open(own_image, "r+b") as file:
        file.write(trees.noise(os.path.getsize(own_image), 99))
    seen = read_errnos(mount.path)
    assert seen <= {"EIO", "ok"}, seen
    assert is_running(mount.pid)
    mount.umount()


def test_image_overwritten_by_another_one(work, own_image, nasty_tree):
    mount = work.mount(own_image)
    other = trees.mksquashfs(nasty_tree, work.path / "other", "-comp", "xz")
    with open(own_image, "r+b") as file:
        file.write(other.read_bytes())
    seen = read_errnos(mount.path)
    assert seen <= {"EIO", "ok"}, seen
    assert is_running(mount.pid)
    mount.umount()


@pytest.mark.parametrize("how", ["unlinked", "renamed-over"])
def test_image_replaced_while_mounted(how, work, own_image, nasty_image, plain_tree, tree_digest):
    """The open file goes on; whoever comes later gets the new one."""
    mount = work.mount(own_image)
    if how == "unlinked":
        own_image.unlink()
    else:
        shutil.copy(nasty_image, work.path / "new")
        os.rename(work.path / "new", own_image)
    assert_same(without(tree_digest(plain_tree), "data", "nlink"),
                without(tree_digest(mount.path, user=True), "data", "nlink"), how)
    mount.umount()


def test_two_images_at_once(work, plain_image, nasty_image):
    first = work.mount(plain_image, name="first")
    second = work.mount(nasty_image, name="second")
    assert first.pid != second.pid
    assert "package-1" in run(["ls", first.path], user=True).stdout
    assert "xattrs" in run(["ls", second.path], user=True).stdout
    first.umount()
    assert "xattrs" in run(["ls", second.path], user=True).stdout
    second.umount()


def test_mount_over_a_directory_with_content(work, plain_image):
    path = work.directory("mnt")
    (path / "below").write_text("hidden")
    mount = work.mount(plain_image)
    assert "below" not in run(["ls", mount.path], user=True).stdout
    mount.umount()
    assert (path / "below").read_text() == "hidden"


STRANGE = ["comma,comma", "blank blank", "back\\slash", "new\nline", "tab\there", "equals=equals",
           "ünïcødé", "#hash", "'quote\"", "-dash", "trailing\\", "a,b\\,c d"]


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_strange_paths(name, user, work, plain_image):
    image = work.path / f"{name}.squashfs"
    shutil.copy(plain_image, image)
    mount = work.mount(image, name=name, user=user)
    (entry,) = mounts_below(mount.path)
    assert entry["source"] == str(image)
    assert {"ro", "nosuid", "nodev"} <= set(entry["options"])
    assert mount.stats()["image"] == str(image)
    mount.umount()


def test_relative_paths_and_a_symlinked_mount_point(work, plain_image):
    work.directory("real")
    os.symlink("real", work.path / "link")
    shutil.copy(plain_image, work.path / "image")
    result = work.squenv("mount", "image", "link/", cwd=work.path)
    assert result.returncode == 0, result.stderr
    assert mounts_below(work.path / "real")
    assert work.squenv("umount", "./link", cwd=work.path).returncode == 0
    wait_for(lambda: not mounts_below(work.path), "the unmount")


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_sandbox_of_the_daemon(user, work, plain_image):
    mount = work.mount(plain_image, user=user)
    server = mount.stats()["server_pid"]

    def is_locked():
        facts = status(server)
        return facts["NoNewPrivs"] == "1" and int(facts["CapEff"], 16) == 0 and facts[
            "Seccomp"] == "2" and int(facts["CapPrm"], 16) == 0

    wait_for(is_locked, "no new privileges, no capabilities, a filter")
    assert run(["ls", "-R", mount.path], user=user).returncode == 0
    assert os.readlink(f"/proc/{server}/cwd") == "/"
    mount.umount()


def test_daemon_holds_nothing_of_its_caller(work, plain_image):
    """No terminal, no session, no file of whoever mounted."""
    mount = work.mount(plain_image)
    for process in [mount.pid, mount.keeper(), *mount.servers()]:
        # The keeper may have begun just now.
        wait_for(lambda process=process: {os.readlink(f"/proc/{process}/fd/{fd}") for fd in "012"}
                 == {"/dev/null"}, "other files")
        assert os.getsid(process) not in (os.getsid(0), os.getsid(os.getppid()))
    mount.umount()


@pytest.fixture(scope="session")
def large_image(session_dir):
    """About 200 MB of files that compress by half."""
    top = session_dir / "large"
    top.mkdir()
    for index in range(2000):
        directory = top / f"package-{index % 40}"
        directory.mkdir(exist_ok=True)
        size = 20 * K if index % 20 else 1600 * K
        (directory / f"file-{index}").write_bytes(
            trees.noise(size // 2, index) + trees.compressible(size // 2, index))
    image = trees.mksquashfs(top, session_dir / "large.squashfs", "-comp", "zstd",
                             "-Xcompression-level", "1")
    shutil.rmtree(top)
    return image


def test_memory_of_the_daemon_with_four_readers(work, large_image):
    mount = work.mount(large_image)
    readers = [python(work, READ_ALL, mount.path) for _ in range(4)]
    totals = {reader.communicate(timeout=120)[0].strip() for reader in readers}
    peak = mount.stats()["peak_memory_bytes"]
    high_water = int(status(mount.pid)["VmHWM"].split()[0]) * K
    mount.umount()
    assert len(totals) == 1 and int(totals.pop()) > 190_000_000
    assert max(peak, high_water) < 64 * K * K, peak


def test_python_environment_over_its_own_path(work):
    venv = work.path / "venv"
    result = run([PYTHON, "-m", "venv", "--without-pip", venv], user=True)
    if result.returncode != 0:
        pytest.skip(f"python3-venv is missing: {result.stdout}{result.stderr}")
    (packages,) = venv.glob("lib/python3*/site-packages")
    (packages / "inside.py").write_text("WHERE = __file__\n")
    image = trees.mksquashfs(venv, work.path / "venv.squashfs", "-comp", "zstd")
    (packages / "inside.py").unlink()
    mount = work.mount(image, name="venv")
    code = "import inside, json, sys; print(json.dumps([sys.prefix, inside.WHERE]))"
    result = check([venv / "bin" / "python", "-c", code], user=True)
    mount.umount()
    assert json.loads(result.stdout) == [str(venv), str(packages / "inside.py")]
