# SPDX-License-Identifier: MIT
"""Unpacked images where nothing can be mounted: inside each other, and for root."""

import os

import pytest

from run_support import (
    NO_FUSE,
    OWN_FAILURE,
    capabilities,
    counted,
    entries_of,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import run

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
