# SPDX-License-Identifier: MIT
"""The recipe that sites publish for an environment on top of a uenv, typed at a terminal."""

import json
import os
import zipfile

import pytest

from run_support import write
from support.processes import check, mounts_below, wait_for
from support.terminal import Terminal
from support.uenvs import Repository, env_json

pytestmark = pytest.mark.usefixtures("settled")

WHEEL = "probe-1.0-py3-none-any.whl"
# A stand-in for the installer, which needs a network.
PIP = """#!/bin/sh
[ "$1" = install ] && exec "$VIRTUAL_ENV/bin/python" -m zipfile -e "$2" "$(echo \
"$VIRTUAL_ENV"/lib/python3.*/site-packages)"
"""
BUILD = [
    "uenv start prgenv-gnu/24.11:v1 --view=default",
    # pip comes from elsewhere.
    "python -m venv --without-pip .venv && source .venv/bin/activate && pip install " + WHEEL +
    " && python -m compileall -j 8 -o 0 -o 1 -o 2 .venv/lib/python3.*/site-packages",
    "mksquashfs .venv py_venv.squashfs -comp zstd -Xcompression-level 3",
    "squenv pack .venv -o packed.squashfs",
    "exit",
]
START = "uenv start --view=default prgenv-gnu/24.11:v1,$PWD/{}:$PWD/.venv"
LOOK = ("python -c 'import os, probe, sys; "
        "print(\"GOT\", probe.VALUE, sys.prefix, os.readlink(sys.executable))'")


@pytest.fixture
def project(work):
    """A directory with the wheel, and a repository with a uenv that gives python."""
    path = work.directory("project")
    at = work.directory("user-environment")
    tree = work.directory("uenv")
    (tree / "env/default/bin").mkdir(parents=True)
    (tree / "env/default/bin/python").symlink_to(os.path.realpath("/usr/bin/python3"))
    write(tree / "meta/env.json", json.dumps(env_json(at)))
    image = work.path / "uenv.squashfs"
    check(["mksquashfs", tree, image, "-quiet", "-no-progress"])
    Repository(path / ".uenv-images").add("prgenv-gnu/24.11:v1@daint%gh200", image)
    with zipfile.ZipFile(path / WHEEL, "w") as wheel:
        wheel.writestr("probe.py", "VALUE = 42\n")
        wheel.writestr("probe-1.0.dist-info/METADATA",
                       "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
    return path


@pytest.fixture
def user(work, project, programs):
    tools = work.directory("tools")
    for name in ["uenv", "squenv"]:
        (tools / name).symlink_to(programs / name)
    write(tools / "pip", PIP, 0o755)
    write(project / ".bashrc", "PS1='> '\n")
    variables = {"SCRATCH": project, "HOME": project, "SHELL": "/bin/bash", "TERM": "dumb",
                 "TMPDIR": work.directory("tmp"), "CLUSTER_NAME": "daint",
                 "PATH": f"{tools}:/usr/bin:/bin"}
    terminal = Terminal(["/bin/bash", "-i"], {name: str(value)
                                              for name, value in variables.items()})
    yield terminal
    terminal.close()
    wait_for(lambda: not mounts_below(work.path), "the end of all mounts")


def test_the_recipe_of_the_sites(work, project, user):
    """Images of the environment before and after a change, in any order."""

    def do(line):
        user.type(f"{line}\n")
        user.type("echo status=$? in $((40 + 2))\n")
        assert user.expect(r"status=(\d+) in 42\r")[1] == "0", line

    def got(image):
        do(START.format(image))
        do("source .venv/bin/activate")
        user.type(f"{LOOK}\n")
        value, prefix, python = user.expect(r"GOT (\d+) (\S+) (\S+)\r").groups()
        do("exit")
        # The mount goes right after its last user.
        wait_for(lambda: not mounts_below(project), "the end of the session")
        assert (prefix, python) == (f"{project}/.venv",
                                    f"{work.path}/user-environment/env/default/bin/python")
        return int(value)

    do(f"cd {project}")
    for line in BUILD:
        do(line)
    wait_for(lambda: not mounts_below(work.path), "the end of the session")
    assert got("py_venv.squashfs") == 42
    assert got("packed.squashfs") == 42
    do("echo 'VALUE = 1000' > .venv/lib/python3.*/site-packages/probe.py")
    do("squenv pack .venv -o second.squashfs")
    assert got("second.squashfs") == 1000
    assert got("py_venv.squashfs") == 42
