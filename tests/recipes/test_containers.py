# SPDX-License-Identifier: MIT
"""The recipes of containers, by Podman without root. It takes Docker's place too."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from support.processes import AS_USER, check, run
from support.recipes import BLOCKS, assert_trained, project, run_block  # noqa: F401

# What an image of Python has, from this machine; /usr/local stays the image's own.
SHOWN = ["/usr/bin", "/usr/lib", "/usr/lib64"]
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
# No network, no limits above those of this machine, no control group of systemd.
SETTINGS = """
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
volumes = [{volumes}]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


def archive(path):
    """The root directory of an image, as `podman import` takes it."""
    with tarfile.open(path, "w") as tar:
        for name in ["etc", "proc", "sys", "dev", "tmp", "var/tmp", "run", "root", "usr/local/bin",
                     *(name.lstrip("/") for name in SHOWN)]:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, target in LINKS.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)


@pytest.fixture
def podman(work, project):
    """The variables of a user for whom Podman has an image of the names of the recipes."""
    for name in ["podman", "runc", "newuidmap"]:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    tools = work.directory("tools")
    volumes = [f"{path}:{path}:ro" for path in SHOWN] + [f"{project}:/app:ro"]
    (tools / "containers.conf").write_text(
        SETTINGS.format(volumes=", ".join(f'"{volume}"' for volume in volumes)))
    (tools / "docker").symlink_to("/usr/bin/podman")
    archive(tools / "root.tar")
    session = work.directory("session")
    session.chmod(0o700)
    shutil.copy(work.programs / "squenv", project)
    more = {"CONTAINERS_CONF": str(tools / "containers.conf"), "XDG_RUNTIME_DIR": str(session),
            "PATH": f"{tools}:/usr/bin:/bin:/usr/sbin:/sbin"}
    made = run_block(work, project, f"podman import -q {tools}/root.tar python:3.11-slim && "
                                    "podman tag python:3.11-slim "
                                    "docker.io/library/python:3.11-slim && "
                                    "podman run --rm python:3.11-slim true", **more)
    if made.returncode != 0:
        pytest.skip(f"Podman does not run here: {made.stderr}")
    yield more
    run_block(work, project, "podman rm -af; podman rmi -af", **more)
    # The process that keeps the user namespace of Podman.
    pause = Path(session, "libpod/tmp/pause.pid")
    if pause.exists():
        run(["kill", pause.read_text()])
    # Layers belong to other users of the namespace.
    shutil.rmtree(project / ".local")


def test_podman(work, project, podman, venv_source):
    (text,) = BLOCKS["Podman without root"]
    result = run_block(work, project, text.replace("squenv run", "squenv run -v"), **podman)
    assert_trained(result, venv_source)
    assert "(direct)" in result.stderr


def test_podman_without_device(work, project, podman, venv_source):
    (text,) = BLOCKS["Podman without root"]
    text = text.replace("--device /dev/fuse --cap-add SYS_ADMIN", "")
    result = run_block(work, project, text.replace("squenv run", "squenv run -v"), **podman)
    assert_trained(result, venv_source)
    assert "(extract)" in result.stderr


def test_docker(work, project, podman, venv_image):
    """The image of the file, once without the device and once with the command that has it."""
    file, command = BLOCKS["Docker"]
    check(work.command("pack", "-q", "-f", "--from-image", venv_image, "--mount-point", "/opt/env",
                       "-o", project / "env.squashfs"))
    os.chown(project / "env.squashfs", 1000, 1000)
    (project / "Dockerfile").write_text(file.replace('"run"', '"run", "-v"'))
    built = run_block(work, project, "docker build -q -t my/image .", **podman)
    assert built.returncode == 0, built.stderr
    for text, method in [("docker run --rm my/image", "extract"), (command, "direct")]:
        result = run_block(work, project, text, **podman)
        assert_trained(result, "/opt/env")
        assert f"({method})" in result.stderr
