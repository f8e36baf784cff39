# SPDX-License-Identifier: MIT
"""Unpacked images where nothing can be mounted: inside each other, and for root."""

import os
import shutil

import pytest

from run_support import (
    IMPORT,
    NO_FUSE,
    OWN_FAILURE,
    build_filter,
    capabilities,
    counted,
    entries_of,
    expect_import,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
)
from support import trees
from support.processes import AS_USER, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")


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
    script = [f"cd {root}", "mkdir proc dev tmp", "mount -t proc none proc",
              "mount --bind /tmp tmp"]
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


# Source: AcademySoftwareFoundation/rez#1489.
@pytest.mark.parametrize("what", ["*.py", "*.pyc", "pyvenv.cfg", "python*"])
def test_cleaner_that_takes_some_files(what, work, cache, venv_image, venv_source):
    """By name, by age or by size: the next run has a whole environment again."""
    words = (work, venv_image, IMPORT, "-q", "--via", "extract")
    expect_import(squenv_run(*words), venv_source)
    wait_until_nothing_is_left(work, venv_source)
    victims = [path for path in cache.rglob(what) if path.is_symlink() or path.is_file()]
    assert victims
    for path in victims:
        path.unlink()
    expect_import(squenv_run(*words), venv_source)
    wait_until_nothing_is_left(work, venv_source)


# Source: rootless-containers/rootlesskit#304.
@pytest.mark.parametrize("owner", [(70000, 70000), (0, 70000), (70000, 0)])
def test_owners_that_a_rootless_container_does_not_have(owner, work, plain_tree):
    image = trees.mksquashfs(plain_tree, work.path / "image", "-force-uid", owner[0], "-force-gid",
                             owner[1])
    rootless = [*AS_USER, "unshare", "--map-root-user", "env", f"SQUENV_CACHE={work.path}/trees",
                work.programs / "squenv"]
    path = work.directory("free") / "env"
    result = run([*rootless, "run", "-q", "--via", "extract", f"{image}:{path}", "--", "ls", path])
    assert result.returncode == 0 and "large" in result.stdout, result
    wait_until_nothing_is_left(work, path)
    assert run([*rootless, "cache", "clean", "-q"]).returncode == 0


# Source: python-poetry/poetry#8825, BOINC/boinc#1563.
@pytest.mark.parametrize("answer", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
@pytest.mark.parametrize("via", ["userns", "extract"])
def test_nothing_can_be_locked(via, answer, work, cache, plain_image):
    """The made directories go all the same."""
    no_locks = build_filter(
        work, "LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1), "
              f"BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | {answer})")
    path = work.directory("free") / "a" / "b"
    result = run([*AS_USER, no_locks, work.programs / "squenv", "run", "--via", via,
                  f"{plain_image}:{path}", "--", "ls", path])
    assert result.returncode == 0 and "large" in result.stdout, result
    wait_until_nothing_is_left(work, path)
    wait_for(lambda: not path.parent.exists(), "the removal of the directories")
    shutil.rmtree(cache, ignore_errors=True)
