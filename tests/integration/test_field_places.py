# SPDX-License-Identifier: MIT
"""Paths that belong to others, that are closed, or that have something in the way: `run` has the
image there all the same, and `doctor` knows whether it can."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from run_support import (
    NO_FUSE,
    OWN_FAILURE,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support.processes import AS_USER, check, mounts_below, processes_of, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")

NO_WAY = 4
OTHER = 2000
AS_OTHER = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", "--"]


@pytest.fixture
def other(work, monkeypatch):
    """Runs the program as another ordinary user, with a cache that is that user's alone."""
    cache = tempfile.mkdtemp(prefix="squenv-other-", dir="/tmp")
    os.chown(cache, OTHER, OTHER)
    monkeypatch.setenv("SQUENV_CACHE", f"{cache}/trees")

    def squenv(*words, **options):
        return run([*AS_OTHER, *work.command(*words, user=False)], **options)
    yield squenv
    squenv("cache", "clean")
    shutil.rmtree(cache)


@pytest.fixture
def roots_cache(monkeypatch):
    """A cache that is root's alone, and left empty."""
    cache = tempfile.mkdtemp(prefix="squenv-root-", dir="/tmp")
    monkeypatch.setenv("SQUENV_CACHE", f"{cache}/trees")
    yield
    shutil.rmtree(cache)


def counted(path):
    return ["sh", "-c", f"ls {path} | wc -l"]


def entries_of(work, image):
    return len(work.squenv("ls", image).stdout.splitlines())


# Mounts of another user.


@pytest.fixture
def taken(work, plain_image):
    """A path at which uid 1000 has the image mounted."""
    place = work.directory("taken")
    holder = work.start(work.command("run", "--via", "fusermount", f"{plain_image}:{place}", "--",
                                     "sleep", "1000"))
    wait_for(lambda: mounts_below(place), "the first mount")
    yield place
    holder.kill()
    wait_until_nothing_is_left(work, place)


@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
def test_two_users_of_one_path(options, work, other, taken, plain_image):
    with pytest.raises(PermissionError):
        # FUSE lets no other user look at it, root included.
        os.stat(taken / "x")
    result = other("run", "-v", *options, f"{plain_image}:{taken}", "--", *counted(taken))
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result
    assert f"({'extract' if 'extract' in options else 'userns'})" in result.stderr


def test_other_user_is_told_whose_mount_it_is(other, taken, plain_image):
    result = other("run", "--via", "fusermount", f"{plain_image}:{taken}", "--", "true")
    assert result.returncode == OWN_FAILURE
    assert "mounted here already, by user 1000" in result.stderr
    assert "squenv umount" not in result.stderr


def test_doctor_for_the_other_user(other, taken, plain_image):
    result = other("doctor", plain_image, taken)
    assert result.returncode == 0, result.stdout
    assert re.search(r"userns +yes", result.stdout) and re.search(r"fusermount +no", result.stdout)


def test_path_inside_the_mount_of_another(work, other, taken, plain_image):
    """It is covered as a whole: there is nothing in it for this user."""
    path = taken / "sub" / "venv"
    result = other("run", "--via", "userns", f"{plain_image}:{path}", "--", *counted(path))
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_path_beside_the_mount_of_another(work, other, plain_image):
    """What is copied around it has an entry that cannot be looked at."""
    parent = work.directory("shelf", user=False)
    (parent / "sibling").write_text("seen", encoding="ascii")
    (parent / "taken").mkdir()
    os.chown(parent / "taken", 1000, 1000)
    mount = work.mount(plain_image, str(parent / "taken"))
    path = parent / "new"
    result = other("run", "--via", "userns", f"{plain_image}:{path}", "--", "sh", "-c",
                   f"ls {path} | wc -l; cat {parent}/sibling; ls {parent}")
    assert result.returncode == 0, result
    assert result.stdout.startswith(f"{entries_of(work, plain_image)}\nseen"), result
    assert "taken" in result.stdout
    mount.umount()


def capabilities(pid="self"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return re.search(r"CapEff:\s*(\S+)", file.read())[1]


def test_root_beside_a_user_stays_root(work, cache, taken, plain_image):
    result = squenv_run(work, f"{plain_image}:{taken}",
                        ["sh", "-c", f"ls {taken} | wc -l; grep CapEff /proc/self/status; "
                                     "readlink /proc/self/ns/user"], user=False)
    assert result.returncode == 0, result.stderr
    count, _, held, namespace = result.stdout.split()
    assert int(count) == entries_of(work, plain_image)
    assert held == capabilities() and namespace == os.readlink("/proc/self/ns/user")
    assert work.squenv("doctor", plain_image, taken, user=False).returncode == 0
    assert mounts_below(taken)[-1]["super_options"].count("user_id=1000") == 1, "nothing is added"


# Directories that may not be entered.


@pytest.fixture
def closed(work):
    """A directory that root alone may enter, with a path in it."""
    path = work.directory("alice", user=False)
    (path / "project" / "venv").mkdir(parents=True)
    path.chmod(0o700)
    return path


@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
@pytest.mark.parametrize("below", ["project/venv", "nowhere", "project/venv/and/more"])
def test_path_in_a_closed_directory(below, options, work, cache, closed, plain_image):
    path = closed / below
    beside = work.directory("beside")
    (beside / "file").write_text("seen", encoding="ascii")
    result = squenv_run(work, f"{plain_image}:{path}",
                        ["sh", "-c", f"ls {path} | wc -l; cat {beside}/file"], *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(entries_of(work, plain_image)), "seen"], result
    assert not (closed / "nowhere").exists()


def test_symlink_into_a_closed_directory(work, closed, plain_image):
    link = work.path / "link"
    link.symlink_to(closed / "project" / "venv")
    result = squenv_run(work, f"{plain_image}:{link}", counted(link), "--via", "userns")
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_closed_directory_is_named_with_what_opens_it(work, closed, plain_image):
    path = closed / "project" / "venv"
    for result in [squenv_run(work, f"{plain_image}:{path}", ["true"], "--via", "fusermount"),
                   work.squenv("mount", plain_image, path)]:
        assert result.returncode != 0
        assert f"{closed} may not be entered" in result.stderr, result.stderr
        assert f"setfacl -m u:1000:x {closed}" in result.stderr
    report = work.squenv("doctor", plain_image, path)
    assert report.returncode == 0 and f"setfacl -m u:1000:x {closed}" in report.stdout


# Entries that cannot be copied into a cover.


def test_entries_that_cannot_be_bound_are_passed_over(work, plain_image):
    parent = work.directory("shelf", user=False)
    (parent / "sibling").write_text("seen", encoding="ascii")
    (parent / "odd").mkdir()
    (parent / "odd-file").touch()
    odd = [parent / "odd", parent / "odd-file"]
    check(["mount", "-t", "tmpfs", "none", odd[0]])
    check(["mount", "--bind", "/etc/passwd", odd[1]])
    try:
        for path in odd:
            check(["mount", "--make-unbindable", path])
        path = parent / "new" / "venv"
        result = squenv_run(work, f"{plain_image}:{path}",
                            ["sh", "-c", f"ls {path} | wc -l; cat {parent}/sibling; echo; "
                                         f"ls {parent} | sort | tr '\\n' ' '"], "--via", "userns")
    finally:
        for path in odd:
            check(["umount", path])
    assert result.returncode == 0, result.stderr
    count, seen, names = result.stdout.split("\n")
    assert int(count) == entries_of(work, plain_image) and seen == "seen"
    # In the namespace, a file that could not be bound outside may be bound after all.
    assert set(names.split()) - {"odd-file"} == {"new", "odd", "sibling"}


# Working directories.


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_working_directory_that_may_not_be_entered(via, work, cache, closed, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", counted(place), "--via", via, cwd=closed)
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_working_directory_below_a_closed_one_is_kept(work, closed, plain_image):
    place = work.directory("place")
    inside = closed / "open"
    inside.mkdir()
    inside.chmod(0o755)
    (inside / "file").write_text("here", encoding="ascii")
    result = squenv_run(work, f"{plain_image}:{place}", ["cat", "file"], "--via", "userns",
                        cwd=inside)
    assert result.returncode == 0 and result.stdout == "here", result.stderr


def test_working_directory_below_the_mount_shows_it(work, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", ["ls"], "--via", "userns", cwd=place)
    assert len(result.stdout.splitlines()) == entries_of(work, plain_image), result


def test_groups_cannot_be_changed_in_a_namespace(work, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", ["cat", "/proc/self/setgroups"], "--via",
                        "userns")
    assert result.stdout == "deny\n", result


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


def test_library_path_with_a_library_of_ours(work, plain_image):
    place = work.directory("place")
    linked = check(["ldd", work.programs / "squenv"]).stdout
    found = re.search(r"=> (\S*/libfuse3\.so\S*)", linked)
    if not found:
        pytest.skip("libfuse3 is linked statically")
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


# An image inside another one.


@pytest.mark.parametrize("outer", ["is there", "is free"])
@pytest.mark.parametrize("inner", ["lib", "nosuch"])
@pytest.mark.parametrize("order", [1, -1])
def test_unpacked_image_inside_another(order, inner, outer, work, cache, plain_image, venv_image,
                                       venv_source):
    path = venv_source if outer == "is there" else work.directory("free") / "venv"
    images = [f"{venv_image}:{path}", f"{plain_image}:{path / inner}"]
    script = f"ls {path}/pyvenv.cfg {path}/bin/python; ls {path / inner} | wc -l"
    result = squenv_run(work, ",".join(images[::order]), ["sh", "-c", script], "--force", "--via",
                        "extract")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == str(entries_of(work, plain_image)), result
    alone = squenv_run(work, images[0], ["ls", path], "--force", "--via", "extract")
    assert "pyvenv.cfg" in alone.stdout and "nosuch" not in alone.stdout, "the tree was changed"
    wait_until_nothing_is_left(work, path)


def test_images_inside_each_other_in_one_namespace(work, plain_image, venv_image, venv_source):
    inner = venv_source / "lib"
    result = squenv_run(work, f"{venv_image},{plain_image}:{inner}", ["true"], "--via", "userns")
    assert result.returncode == OWN_FAILURE
    advice = f"squenv run {venv_image}:{venv_source} -- squenv run {plain_image}:{inner} -- CMD"
    assert advice in result.stderr, result.stderr
    squenv = work.programs / "squenv"
    nested = squenv_run(work, venv_image, [squenv, "run", f"{plain_image}:{inner}", "--",
                                           *counted(inner)], "--via", "userns")
    assert nested.returncode == 0 and int(nested.stdout) == entries_of(work, plain_image), nested


# Root without a device.


def test_root_without_a_device(work, roots_cache, plain_image):
    place = work.directory("place", user=False)
    (place / "something").touch()
    command = quoted(work.command("run", "-v", f"{plain_image}:{place}", "--", "sh", "-c",
                                  f"ls {place} | wc -l; grep CapEff /proc/self/status",
                                  user=False))
    doctor = quoted(work.command("doctor", plain_image, place, user=False))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"{NO_FUSE}\n{command} && {doctor} > /dev/null"])
    assert result.returncode == 0 and "(extract)" in result.stderr, result.stderr
    count, _, held = result.stdout.split()
    assert int(count) == entries_of(work, plain_image) and held == capabilities()
    wait_until_nothing_is_left(work, place)
    assert work.squenv("cache", "clean", user=False).returncode == 0


def test_root_in_a_chroot_without_a_device(work, roots_cache, plain_image):
    """No user namespace can be made there, and the root directory is no mount."""
    root = work.directory("root", user=False)
    (root / "marker").touch()
    script = [f"cd {root}", "mkdir proc dev tmp", "mount -t proc none proc", "mount --bind /tmp tmp"]
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "usr", "etc"]:
        if os.path.islink(f"/{name}"):
            script.append(f"cp -a /{name} .")
        elif os.path.isdir(f"/{name}"):
            script.append(f"mkdir {name} && mount --bind /{name} {name}")
    script.append("mount -t tmpfs none dev && mknod -m 666 dev/null c 1 3")
    place = work.directory("place", user=False)
    (place / "something").touch()
    script.append("chroot . " + quoted(
        work.command("run", "-v", f"{plain_image}:{place}", "--", "sh", "-c",
                     f"ls /marker && ls {place} | wc -l", user=False)))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-ec", "\n".join(script)])
    assert result.returncode == 0 and "(extract)" in result.stderr, result.stderr
    assert result.stdout.split() == ["/marker", str(entries_of(work, plain_image))]
    wait_until_nothing_is_left(work, place)
    assert work.squenv("cache", "clean", user=False).returncode == 0


# What is said when nothing works.


def test_one_line_for_each_way(work, cache, venv_image, venv_source):
    result = without_namespaces(
        NO_FUSE + "\n" + quoted(work.command("run", venv_image, "--", "true")))
    first, *lines = result.stderr.splitlines()
    assert first == f"squenv run: {venv_image}: no way to have it at {venv_source}"
    assert all(re.match(r"  \S", line) for line in lines) and len(set(lines)) == len(lines)
    for way in ["fusermount", "userns", "extract", "bind mount"]:
        assert sum(bool(re.match(rf"  ([\w ]+, )*{way}(, [\w ]+)*: ", line))
                   for line in lines) == 1, (way, lines)
    assert "squenv doctor" in lines[-1]
    assert not (cache.exists() and os.listdir(cache)), "unpacked in vain"


# Doctor and run agree.


def agree(work, image, path, run_one=run):
    """What both come to: the exit status of the run."""
    ran = run_one(work.command("run", f"{image}:{path}", "--", "true"))
    told = run_one(work.command("doctor", image, path))
    assert told.returncode == (0 if ran.returncode == 0 else NO_WAY), (ran, told)
    return ran.returncode


def in_poverty(command):
    return without_namespaces(f"{NO_FUSE}\n{quoted(command)}")


def test_doctor_agrees_where_run_works(work, cache, closed, plain_image):
    free = work.directory("free")
    full = work.directory("full")
    (full / "file").touch()
    for path in [free, full, free / "new" / "er", closed / "project" / "venv",
                 "/opt/squenv-test/v", "/squenv-test/v"]:
        assert agree(work, plain_image, path) == 0
        wait_for(lambda path=path: not mounts_below(path), "the end of the mount")
    assert agree(work, plain_image, free / "new" / "er", in_poverty) == 0
    wait_for(lambda: not (free / "new").exists(), "the removal of the directories")


def test_doctor_agrees_where_run_fails(work, cache, closed, plain_image):
    file = work.path / "file"
    file.touch()
    empty = work.directory("empty")
    for path in [file, file / "below", "/proc/x", "/"]:
        assert agree(work, plain_image, path) == OWN_FAILURE
    for path in [closed / "project" / "venv", "/opt/squenv-test/v", empty]:
        assert agree(work, plain_image, path, in_poverty) == OWN_FAILURE
    assert os.listdir(empty) == []


def test_doctor_of_an_image_without_a_path(work, plain_image):
    result = work.squenv("doctor", plain_image)
    assert result.returncode == NO_WAY and "records no path" in result.stdout
    assert squenv_run(work, plain_image, ["true"]).returncode == OWN_FAILURE


def test_doctor_leaves_nothing_at_the_path(work, cache, plain_image):
    path = work.directory("free") / "a" / "b"
    for place in [path, path.parent.parent]:
        assert work.squenv("doctor", plain_image, place).returncode == 0
        assert not mounts_below(place) and not path.parent.exists()
    assert not cache.exists()


def test_doctor_beside_a_run(work, plain_image):
    place = work.directory("place")
    user = work.start(work.command("run", f"{plain_image}:{place}", "--", "sh", "-c",
                                   f"read line; ls {place} | wc -l"), stdin=subprocess.PIPE)
    wait_for(lambda: mounts_below(place), "the mount")
    result = work.squenv("doctor", plain_image, place)
    assert result.returncode == 0 and "joins the mount" in result.stdout, result.stdout
    output, _ = user.communicate(b"\n", timeout=20)
    assert int(output) == entries_of(work, plain_image)
    wait_until_nothing_is_left(work, place)


def test_doctor_tries_the_lock_of_the_cache(work, cache, plain_image):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    inject = [*AS_USER, strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e",
              "inject=flock:error=ENOLCK"]
    result = run([*inject, *work.command("doctor", user=False)])
    if "ptrace" in result.stderr:
        pytest.skip("strace is not permitted here")
    assert re.search(r"ok +cache without locks .*cannot be locked", result.stdout), result.stdout
    assert re.search(r"extract +yes", result.stdout)


# Images that may not be read.


@pytest.mark.parametrize("words", [["info"], ["ls"], ["mount"], ["run"], ["doctor"]])
def test_who_can_let_us_read_an_image(words, work, plain_image):
    """The component that keeps the user out is named, with what its owner can do."""
    closed = work.directory("closed", user=False)
    image = closed / "image"
    shutil.copy(plain_image, image)
    tail = {"mount": [work.directory("mnt")], "run": ["--", "true"]}.get(words[0], [])
    image.chmod(0o600)
    result = work.squenv(*words, image, *tail)
    assert result.returncode != 0
    assert f"setfacl -m u:1000:r {image}" in result.stdout + result.stderr
    closed.chmod(0o700)
    result = work.squenv(*words, image, *tail)
    assert result.returncode != 0
    told = result.stdout + result.stderr
    assert f"{closed} may not be entered" in told and f"setfacl -m u:1000:x {closed}" in told
