# SPDX-License-Identifier: MIT
"""The blocks of doc/recipes.md, a project to run them in, and what they have to print."""

import os
import re
import shutil
from pathlib import Path

import pytest

from support.processes import AS_USER, mounts_below, processes_of, run, wait_for

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "doc/recipes.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?:#+ (?P<title>[^\n]*)"
                   r"|```(?P<word>\w*)(?P<test> test)?\n(?P<text>.*?)^```)$",
                   re.MULTILINE | re.DOTALL)
TRAINED = "trained"
TRAIN = f"import os, probe, sys; print('{TRAINED}', probe.VALUE, sys.prefix)\n"


def marked_blocks():
    """{title: [text]} of the blocks that are marked."""
    found, title = {}, ""
    for match in BLOCK.finditer(DOCUMENT):
        if match["title"]:
            title = match["title"]
        elif match["test"]:
            found.setdefault(title, []).append(match["text"])
    return found


BLOCKS = marked_blocks()


@pytest.fixture
def project(work, venv_image, venv_source):
    """A directory of the user's with an image, a program, and the directory for its home."""
    path = work.directory("project")
    shutil.copy(venv_image, path / "env.squashfs")
    (path / "train.py").write_text(TRAIN, encoding="ascii")
    for file in path.iterdir():
        os.chown(file, 1000, 1000)
    yield path
    wait_for(lambda: not mounts_below(path) and not mounts_below(venv_source), "the end of mounts")
    wait_for(lambda: not processes_of(work.programs / "squenv"), "the end of all processes")


def variables(work, project, **more):
    return {"PATH": f"{work.programs}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(project),
            "LANG": "C.UTF-8", "SQUENV_CACHE": str(project / "trees"), **more}


def run_block(work, project, text, **more):
    """By the shell of the recipe."""
    return run([*AS_USER, "bash", "-euo", "pipefail", "-c", text], cwd=project,
               env=variables(work, project, **more))


def assert_trained(result, prefix, times=1):
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith(TRAINED)]
    assert lines == [f"{TRAINED} 42 {prefix}"] * times, result.stdout + result.stderr
