# SPDX-License-Identifier: MIT
"""`-o overlay`: a read-only overlay above a mount in a namespace. It shows the same tree, and what
looks for the mount below finds it."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from run_support import (IMPORT, OWN_FAILURE, background, daemon_name, expect_import, squenv_run,
                         the_daemon, wait_until_nothing_is_left)
from support.processes import wait_for

pytestmark = pytest.mark.usefixtures("settled")

USERNS = ("--via", "userns")
TABLE = ["cat", "/proc/self/mountinfo"]


def overlays(result):
    """How many overlays of the program are in a mount table."""
    assert result.returncode == 0, result.stderr
    return sum(" - overlay squenv-overlay " in line for line in result.stdout.splitlines())


def stats(work, path):
    """Words that print statistics as JSON."""
    return [work.programs / "squenv", "stats", "--json", path]


def kinds_of_import(work, image, path, *options):
    """The requests of a run that imports a module."""
    code = f"import probe, subprocess; subprocess.run({[str(w) for w in stats(work, path)]})"
    result = squenv_run(work, image, ["python", "-c", code], *USERNS, *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["requests_by_kind"]


def start(work, image, script):
    """A run in a namespace with an overlay; the script reads what is written to its input."""
    words = work.command("run", *USERNS, image, "--", "sh", "-c", script, user=True)
    return work.start(words, stdin=subprocess.PIPE, text=True)


def pack(work, tree, *options):
    image = work.path / "image.squashfs"
    # Only root reads attributes of the namespace "trusted".
    result = work.squenv("pack", "-q", "-f", tree, "-o", image, *options, user=False)
    assert result.returncode == 0, result.stderr
    return image


@pytest.fixture(name="odd_tree")
def fixture_odd_tree(work):
    """Modes that nobody passes, owners, links, kinds of files and attributes."""
    tree = work.path / "odd"
    tree.mkdir()
    for mode in (0o000, 0o400, 0o040, 0o004, 0o111, 0o644, 0o755, 0o4755, 0o2755, 0o6777):
        for owner in (0, 1000, 4321):
            file = tree / f"file-{mode:04o}-{owner}"
            file.write_text(f"{mode} {owner}\n", encoding="ascii")
            os.chown(file, owner, owner)
            file.chmod(mode)
    for mode in (0o400, 0o500, 0o550, 0o711, 0o755, 0o1777, 0o2755):
        for owner in (0, 1000, 4321):
            directory = tree / f"directory-{mode:04o}-{owner}"
            directory.mkdir()
            (directory / "inside").write_text("inside\n", encoding="ascii")
            os.chown(directory, owner, owner)
            directory.chmod(mode)
    (tree / "first").write_text("linked\n", encoding="ascii")
    os.link(tree / "first", tree / "second")
    os.symlink("first", tree / "link")
    os.symlink("nowhere", tree / "dangling")
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "device", 0o020666, os.makedev(1, 3))
    os.setxattr(tree / "first", "user.note", b"kept")
    (tree / "large").write_bytes(os.urandom(300_000))
    (tree / "sparse").touch()
    os.truncate(tree / "sparse", 1 << 20)
    return tree


# Everything that a program can learn of a tree, as text.
LOOK = """
cd "$1" || exit
find . -xdev -printf '%y %m %n %s %U %G %T@ %l %p\n' 2>&1 | sort
find . -type f -readable -exec sha256sum {} + 2>&1 | sort
for test in -r -w -x; do find . -exec test $test {} \\; -print 2>&1 | sed "s/^/$test /" | sort; done
getfattr -h -d -m - -R . 2>&1
du -sx --apparent-size . 2>&1
test first -ef second && echo linked
find . -printf '%D\n' 2>/dev/null | sort -u | wc -l
"""


def look_at(work, image, path, overlay, user):
    """Without the root: in an overlay it has one link, and another size."""
    result = squenv_run(work, f"{image}:{path}", ["sh", "-c", LOOK, "sh", path], *USERNS, "-o",
                        f"overlay={overlay}", user=user)
    assert result.returncode == 0, result.stderr
    return [line for line in result.stdout.splitlines() if not line.endswith(" .")]


@pytest.mark.parametrize("user", [True, False])
def test_an_overlay_shows_the_same_tree(work, odd_tree, user):
    image = pack(work, odd_tree)
    path = work.directory("env")
    below = look_at(work, image, path, "off", user)
    above = look_at(work, image, path, "on", user)
    assert len(below) > 150 and "linked" in below
    assert sorted(set(below) ^ set(above)) == []


def test_a_module_is_asked_nothing(work, venv_image, venv_source):
    assert kinds_of_import(work, venv_image, venv_source)["ioctl"] == 0
    assert kinds_of_import(work, venv_image, venv_source, "-o", "overlay=on")["ioctl"] == 0
    assert kinds_of_import(work, venv_image, venv_source, "-o", "overlay=off")["ioctl"] > 0


@pytest.mark.parametrize("user", [True, False])
def test_auto_takes_one_in_a_namespace_alone(work, venv_image, user):
    assert overlays(squenv_run(work, venv_image, TABLE, *USERNS, user=user)) == 1
    result = squenv_run(work, venv_image, TABLE, "-v", *USERNS, user=user)
    assert "(userns), with an overlay above\n" in result.stderr
    off = squenv_run(work, venv_image, TABLE, *USERNS, "-o", "overlay=off", user=user)
    assert overlays(off) == 0
    assert overlays(squenv_run(work, venv_image, TABLE, user=user)) == 0
    # `on` asks for the namespace.
    assert overlays(squenv_run(work, venv_image, TABLE, "-o", "overlay=on", user=user)) == 1


@pytest.mark.parametrize("option", ["failover=off", "uid=1000"])
def test_auto_is_off_with(work, venv_image, option):
    assert overlays(squenv_run(work, venv_image, TABLE, *USERNS, "-o", option)) == 0


def test_auto_is_off_for_a_recording(work, venv_image):
    trace = work.path / "trace"
    assert overlays(squenv_run(work, venv_image, TABLE, *USERNS, "--record", trace)) == 0


def environment(work, version):
    """An image of an environment of that Python."""
    tree = work.directory("env")
    (tree / "bin").mkdir()
    os.symlink("/usr/bin/python3", tree / "bin" / "python")
    (tree / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n", encoding="ascii")
    return pack(work, tree)


@pytest.mark.parametrize(("version", "expected"),
                         [("3.8.0", 1), ("3.13.9", 1), ("3.14.0", 0), ("3.15.1", 0), ("4.0", 0),
                          ("3", 0), ("x.y", 0)])
def test_auto_is_off_for_a_python_that_does_not_ask(work, version, expected):
    image = environment(work, version)
    shutil.rmtree(work.path / "env")
    work.directory("env")
    result = squenv_run(work, f"{image}:{work.path / 'env'}", TABLE, *USERNS)
    assert overlays(result) == expected


def test_an_image_of_another_packer_has_one_only_when_asked(work, plain_tree):
    image = work.path / "other.squashfs"
    subprocess.run(["mksquashfs", plain_tree, image, "-quiet", "-no-progress"], check=True)
    path = work.directory("env")
    assert overlays(squenv_run(work, f"{image}:{path}", TABLE, *USERNS)) == 0
    assert overlays(squenv_run(work, f"{image}:{path}", TABLE, "-o", "overlay=on")) == 1


@pytest.mark.parametrize("mark", ["whiteout", "mode 311", "mode 705", "user.overlay.opaque",
                                  "trusted.overlay.origin"])
def test_a_tree_with_marks_of_overlayfs_never_has_one(work, mark):
    tree = work.path / "tree"
    shutil.copytree(environment_tree(work), tree, symlinks=True)
    if mark == "whiteout":
        os.mknod(tree / "hidden", 0o020666, os.makedev(0, 0))
    elif mark.startswith("mode "):
        (tree / "closed").mkdir()
        (tree / "closed").chmod(int(mark[5:], 8))
    else:
        os.setxattr(tree / "bin", mark, b"y")
    image = pack(work, tree)
    information = json.loads(work.squenv("info", "--json", image).stdout)
    assert information["manifest"]["fits_overlay"] is False
    path = work.directory("place")
    assert overlays(squenv_run(work, f"{image}:{path}", TABLE, "--force", *USERNS)) == 0
    result = squenv_run(work, f"{image}:{path}", TABLE, "--force", "-o", "overlay=on")
    assert result.returncode == OWN_FAILURE
    assert "option overlay=on" in result.stderr and "leave overlay=on out" in result.stderr


def environment_tree(work):
    environment(work, "3.11.2")
    return work.path / "env"


@pytest.mark.parametrize("words", [("run", "--via", "fusermount"), ("run", "--via", "extract"),
                                   ("run", "-o", "failover=off"), ("run", "-o", "overlay=maybe"),
                                   ("run", "-o", "overlay"), ("mount",)])
def test_what_cannot_have_one_says_so(work, venv_image, venv_source, words):
    command, *options = words
    rest = ["--", "true"] if command == "run" else [venv_source]
    result = work.squenv(command, "-o", "overlay=on", *options, venv_image, *rest, user=True)
    assert result.returncode not in (0, 1)
    assert result.stderr.count("\n") == 1 and "overlay" in result.stderr
    assert not background(work)


def test_noexec_holds_above(work, venv_image, venv_source):
    program = venv_source / "bin" / "activate"
    code = f"import os; print(os.statvfs('{program}').f_flag & os.ST_NOEXEC != 0)"
    for overlay in ("off", "on"):
        result = squenv_run(work, venv_image, ["/usr/bin/python3", "-c", code], *USERNS, "-o",
                            f"noexec,overlay={overlay}")
        assert result.stdout == "True\n", overlay


def test_a_joiner_has_it_too(work, venv_image, venv_source):
    script = f"{work.programs / 'squenv'} list; cat"
    first = start(work, venv_image, script)
    assert str(venv_source) in first.stdout.readline()
    daemon = the_daemon(work)
    result = squenv_run(work, venv_image, TABLE, "-v", *USERNS)
    assert overlays(result) == 1 and "(userns, joined), with an overlay above\n" in result.stderr
    assert the_daemon(work) == daemon
    # Without one, a run is in another namespace.
    assert overlays(squenv_run(work, venv_image, TABLE, *USERNS, "-o", "overlay=off")) == 0
    first.communicate()
    wait_until_nothing_is_left(work, venv_source)


def test_runs_that_start_together_see_the_tree_at_every_moment(work, venv_image, venv_source):
    """A run may join before the overlay is there."""
    words = work.command("run", *USERNS, venv_image, "--", "sh", "-c",
                         f"for i in 1 2 3 4 5 6 7 8; do cat {venv_source}/pyvenv.cfg; done",
                         user=True)
    for _ in range(8):
        runs = [work.start(words, text=True) for _ in range(8)]
        for run in runs:
            output, errors = run.communicate()
            assert run.returncode == 0 and output.count("home = ") == 8, errors


def test_commands_inside_find_the_mount(work, venv_image, venv_source):
    squenv = work.programs / "squenv"
    inner = [squenv, "run", "-v", *USERNS, venv_image, "--", *IMPORT]
    script = (f"{squenv} list; {squenv} stats {venv_source} | head -1; "
              f"{squenv} upgrade {venv_source}; {' '.join(map(str, inner[:-1]))} '{IMPORT[-1]}'")
    result = squenv_run(work, venv_image, ["sh", "-c", script], *USERNS)
    assert result.returncode == 0, result.stderr
    listed, image, upgraded, imported = result.stdout.splitlines()
    assert listed.startswith("ok ") and listed.endswith(f"{venv_source}  {venv_image}")
    assert image.endswith(f" {venv_image}")
    assert upgraded.startswith(f"{venv_source}: version")
    assert imported == f"42 {venv_source}"
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("options", [(), ("--lazy",)])
@pytest.mark.parametrize("overlay", ["on", "off"])
def test_root_unmounts_all_of_it(work, venv_image, venv_source, overlay, options):
    squenv = work.programs / "squenv"
    script = f"cd /; {squenv} umount {' '.join(options)} {venv_source} && cat /proc/self/mountinfo"
    result = squenv_run(work, venv_image, ["sh", "-c", script], *USERNS, "-o", f"overlay={overlay}",
                        user=False)
    assert result.returncode == 0, result.stderr
    assert f" {venv_source} " not in result.stdout


def test_it_is_asked_from_other_namespaces(work, venv_image, venv_source):
    words = [str(word) for word in stats(work, venv_source)]
    result = squenv_run(work, venv_image, ["unshare", "-Ur", *words], *USERNS)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["image"] == str(venv_image)
    begin = time.monotonic()
    result = squenv_run(work, venv_image, ["unshare", "-Urn", *words], *USERNS)
    assert time.monotonic() - begin < 2.5
    assert "not in this network namespace" in result.stderr and "umount" not in result.stderr


def test_another_image_in_the_same_place_inside(work, venv_image, venv_source, plain_image):
    squenv = work.programs / "squenv"
    inner = f"{squenv} run --force --via userns {plain_image}:{venv_source} -- {squenv} list"
    result = squenv_run(work, venv_image, ["sh", "-c", inner], *USERNS)
    assert result.returncode == 0, result.stderr
    assert f"{venv_source}  {plain_image}" in result.stdout


@pytest.mark.parametrize("victim", ["squenv-server", "squenv"])
def test_a_death_is_not_noticed(work, venv_image, venv_source, victim):
    held = start(work, venv_image,
                 f"echo ready; read line; python -c '{IMPORT[-1]}'; "
                 f"{work.programs / 'squenv'} stats --json {venv_source}")
    assert held.stdout.readline() == "ready\n"
    wait_for(lambda: sum(daemon_name(p) == "squenv-standby" for p in background(work)) == 2,
             "both standbys")
    for pid in background(work):
        if daemon_name(pid) == victim:
            os.kill(pid, signal.SIGKILL)
    output, errors = held.communicate("\n")
    assert held.returncode == 0, errors
    first, _, rest = output.partition("\n")
    assert first == f"42 {venv_source}"
    assert json.loads(rest)["image"] == str(venv_image)
    wait_until_nothing_is_left(work, venv_source)


def test_a_dead_mount_is_told_as_one(work, venv_image, venv_source):
    held = start(work, venv_image, f"echo ready; read line; {work.programs / 'squenv'} stats "
                                   f"{venv_source}; echo $?")
    assert held.stdout.readline() == "ready\n"
    serving = [pid for pid in background(work) if daemon_name(pid) != ""
               and pid != held.pid]
    for pid in serving:
        os.kill(pid, signal.SIGKILL)
    output, errors = held.communicate("\n")
    assert output == "4\n" and "daemon is gone" in errors


@pytest.fixture(name="no_more_mounts")
def fixture_no_more_mounts(work, venv_image):
    """Room for the mount in a namespace and the empty layer, and for nothing above them."""
    limit = Path("/proc/sys/fs/mount-max")
    before = limit.read_text(encoding="ascii")
    count = len(Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines())
    try:
        for number in range(count, count + 10):
            limit.write_text(str(number), encoding="ascii")
            mounted = squenv_run(work, venv_image, ["true"], *USERNS, "-o", "overlay=off")
            if mounted.returncode == 0:
                break
        limit.write_text(str(number + 1), encoding="ascii")
        yield
    finally:
        limit.write_text(before, encoding="ascii")


def test_a_machine_that_refuses_it_does_without(work, venv_image, venv_source, no_more_mounts):
    expect_import(squenv_run(work, venv_image, IMPORT, *USERNS), venv_source)
    result = squenv_run(work, venv_image, TABLE, "-v", *USERNS)
    assert overlays(result) == 0 and "(userns)\n" in result.stderr
    result = squenv_run(work, venv_image, IMPORT, "-o", "overlay=on")
    assert result.returncode == OWN_FAILURE
    assert "option overlay" in result.stderr
    wait_until_nothing_is_left(work, venv_source)
