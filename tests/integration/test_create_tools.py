# SPDX-License-Identifier: MIT
"""The command lines of `squenv create`: stand-ins take the places of uv, conda and Python."""

import os
import shutil

import pytest
from create_support import (assert_made, assert_refused, create, in_no_namespace,  # noqa: F401
                            info, said, tools, uv)

FAILURE, USAGE = 1, 2
BROKEN = "#!/bin/sh\nexit 127\n"
PROJECT = "[project]\nname = 'x'\n"


@pytest.fixture
def project(work):
    """A directory with a lock of uv."""
    path = work.directory("project")
    (path / "pyproject.toml").write_text(PROJECT)
    (path / "uv.lock").write_text("version = 1\n")
    return path


def test_uv_installs_packages(work, create, uv):
    result = create("tiny", "other>=1", "--python", "3.11", "--index-url", "https://i/",
                    "--system-site-packages", "--", "--offline", VIRTUAL_ENV="/x", PYTHONPATH="/y")
    assert_made(result, create)
    (_, venv, first), (_, install, second) = uv.calls()
    assert venv == ["venv", "--no-project", "--system-site-packages", "--python", "3.11",
                    str(create.at)]
    assert install == ["pip", "install", "--python", f"{create.at}/bin/python",
                       "--compile-bytecode", "--index-url", "https://i/", "--offline", "tiny",
                       "other>=1"]
    assert second["UV_LINK_MODE"] == "copy" and second["UV_PYTHON_DOWNLOADS"] == "never"
    for variables in (first, second):
        assert "VIRTUAL_ENV" not in variables and "PYTHONPATH" not in variables
        assert "/squenv-create-" in variables["TMPDIR"]
    assert said(work, create.image) == f"said {create.at}\n"
    created = info(work, create.image)["manifest"]["created"]
    assert created["tools"] == ["uv 1.2.3"]
    assert [given["name"] for given in created["inputs"]] == ["tiny", "other>=1"]


def test_uv_syncs_a_locked_project(work, create, uv, project):
    assert_made(create(project), create)
    (_, venv, _), (_, sync, variables) = uv.calls()
    assert venv == ["venv", "--project", str(project), str(create.at)]
    assert sync == ["sync", "--project", str(project), "--frozen", "--no-editable", "--no-dev",
                    "--compile-bytecode"]
    assert variables["UV_PROJECT_ENVIRONMENT"] == str(create.at)
    lock, text = info(work, create.image)["manifest"]["created"]["inputs"]
    assert lock["text"] == "" and len(lock["sha256"]) == 64
    assert text["text"] == PROJECT


@pytest.mark.parametrize("names, version, begin", [
    (["micromamba", "mamba", "conda"], "2.0.5", ["micromamba", "install", "-y", "-p"]),
    (["mamba", "conda"], "2.0.5", ["mamba", "install", "-y", "-p"]),
    (["mamba", "conda"], "mamba 1.5.8\nconda 24.1.0", ["mamba", "env", "create", "-p"]),
    (["conda"], "conda 24.1.0", ["conda", "env", "create", "-p"]),
])
def test_conda(work, create, tools, names, version, begin):
    tools.install(*names)
    (create.place / "environment.yml").write_text("dependencies: [tiny]\n")
    result = create("environment.yml", "--", "--offline", STAND_IN_VERSION=version)
    assert result.returncode == 0, result.stderr
    assert ": 1 packages, " in result.stderr
    (name, words, variables), = tools.calls()
    assert [name, *words] == [*begin, str(create.at), "--offline", "-f", "environment.yml"]
    assert variables["CONDA_ALLOW_SOFTLINKS"] == "false"
    assert said(work, create.image) == f"{create.at}\n"


def test_tools_that_are_missing(work, create, tools):
    (create.place / "environment.yml").write_text("dependencies: [tiny]\n")
    (create.place / "pylock.toml").write_text("lock-version = '1.0'\n")
    assert_refused(create("environment.yml"), FAILURE, "neither micromamba, mamba nor conda")
    assert_refused(create("pylock.toml"), FAILURE, "needs uv, which is not installed")
    assert_refused(create("tiny", "--python", "9.9"), FAILURE, "python9.9", "install uv")
    bare = work.directory("bare")
    (bare / "setpriv").symlink_to(shutil.which("setpriv"))
    assert_refused(create("tiny", PATH=bare), FAILURE, "python3", "install uv")
    assert sorted(os.listdir(create.place)) == ["environment.yml", "pylock.toml"]


@pytest.mark.parametrize("option", [[], ["-q"]])
def test_installer_that_fails(create, uv, option):
    script = 'echo first; echo "no such package" >&2; exit 3'
    result = create("tiny", *option, STAND_IN=script)
    lines = result.stderr.splitlines()
    assert result.returncode == FAILURE and lines[:2] == ["first", "no such package"]
    assert lines[2:] == ["squenv create: uv pip install ended with status 3; "
                         "its own lines say why; nothing was made"]
    assert os.listdir(create.place) == []


def test_quiet(create, uv):
    result = create("tiny", "-q", STAND_IN="echo progress")
    assert_made(result, create)
    assert result.stderr == "" == result.stdout

def test_uv_takes_each_option_with_a_lock(create, uv, project):
    """Variables of the user do not lead elsewhere, and do not make links into the cache."""
    result = create(project, "--python", "3.11", "--system-site-packages", "--", "--extra", "gpu",
                    UV_LINK_MODE="symlink", UV_PROJECT_ENVIRONMENT="/elsewhere")
    assert_made(result, create)
    (_, venv, _), (_, sync, variables) = uv.calls()
    assert venv == ["venv", "--project", str(project), "--system-site-packages", "--python",
                    "3.11", str(create.at)]
    assert sync[-4:] == ["--python", "3.11", "--extra", "gpu"] and "--frozen" in sync
    assert variables["UV_LINK_MODE"] == "copy"
    assert variables["UV_PROJECT_ENVIRONMENT"] == str(create.at)
    assert_refused(create(project, "-f", "--index-url", "https://i/"), USAGE,
                   "--index-url means nothing with uv.lock")


def test_a_locked_project_where_its_path_is_taken(work, create, uv, project):
    create.at.mkdir()
    result = in_no_namespace(work, create, uv, project)
    assert result.returncode == 0, result.stderr
    (_, venv, _), (_, sync, variables) = uv.calls()
    assert "--relocatable" in venv and "/squenv-create-" in venv[-1]
    assert variables["UV_PROJECT_ENVIRONMENT"] == venv[-1] and "--no-editable" in sync


@pytest.mark.parametrize("words", [["pylock.toml"], ["-r", "pylock.toml"], ["./"]])
def test_uv_installs_a_pylock(work, create, uv, words):
    (create.place / "pylock.toml").write_text("lock-version = '1.0'\n")
    result = create(*words, "--", "--offline")
    assert result.returncode == 0, result.stderr
    (_, venv, _), (_, install, variables) = uv.calls()
    lock = "./pylock.toml" if words == ["./"] else "pylock.toml"
    assert venv == ["venv", "--no-project", str(create.at)]
    assert install == ["pip", "install", "--python", f"{create.at}/bin/python",
                       "--compile-bytecode", "--offline", "-r", lock]
    assert variables["UV_LINK_MODE"] == "copy"
    (given,) = info(work, create.image)["manifest"]["created"]["inputs"]
    assert given["name"] == lock and given["text"] == "" and len(given["sha256"]) == 64


def test_uv_installs_a_project_without_a_lock(create, uv, project):
    (project / "uv.lock").unlink()
    assert_made(create(project), create)
    (_, venv, _), (_, install, _) = uv.calls()
    assert venv == ["venv", "--project", str(project), str(create.at)]
    assert install[-2:] == ["--compile-bytecode", str(project)]
    assert "-e" not in install and "--editable" not in install


def test_pip_where_uv_does_not_work(work, create, tools):
    """As one for another machine, on a home directory that several share."""
    tools.install("uv", program=BROKEN)
    tools.install("python3")
    (create.place / "r.txt").write_text("tiny\n")
    result = create("-r", "r.txt", "--index-url", "https://i/", "--system-site-packages", "--",
                    "--no-deps", STAND_IN_VERSION="Python 3.11.2", PIP_USER="1",
                    PYTHONPATH="/x", PYTHONDONTWRITEBYTECODE="1")
    assert result.returncode == 0, result.stderr
    (_, venv, _), (name, install, variables), (_, form, _) = tools.calls()[:3]
    assert venv == ["-m", "venv", "--system-site-packages", str(create.at)]
    assert [name, *install] == ["python", "-m", "pip", "install", "--disable-pip-version-check",
                                "--index-url", "https://i/", "--no-deps", "-r", "r.txt"]
    assert variables["PIP_USER"] == "0" and "/squenv-create-" in variables["TMPDIR"]
    assert "PYTHONPATH" not in variables and "PYTHONDONTWRITEBYTECODE" not in variables
    assert form == ["-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "timestamp",
                    f"{create.at}/lib"]
    assert info(work, create.image)["manifest"]["created"]["tools"] == ["python3 3.11.2"]


def test_uv_wins_over_python(create, uv):
    uv.install("python3")
    assert_made(create("tiny"), create)
    assert [name for name, _, _ in uv.calls()] == ["uv", "uv"]


@pytest.mark.parametrize("installed, variable, named, wins", [
    ([], "MAMBA_EXE", "micromamba", "micromamba"),
    ([], "MAMBA_EXE", "mamba", "mamba"),
    ([], "CONDA_EXE", "conda", "conda"),
    (["mamba", "conda"], "MAMBA_EXE", "micromamba", "micromamba"),
    (["micromamba"], "CONDA_EXE", "conda", "micromamba"),
])
def test_conda_that_is_a_function_of_the_shell(create, tools, installed, variable, named, wins):
    tools.install(*installed, named)
    hidden = tools.directory / named
    (tools.directory / "bin" / named).rename(hidden)
    (create.place / "environment.yaml").write_text("dependencies: [tiny]\n")
    result = create("-r", "environment.yaml", STAND_IN_VERSION="2.0.5", **{variable: hidden})
    assert result.returncode == 0, result.stderr
    assert [name for name, _, _ in tools.calls()] == [wins]


def test_conda_that_does_not_work_is_passed_over(create, tools):
    tools.install("micromamba", program=BROKEN)
    tools.install("conda")
    (create.place / "environment.yml").write_text("dependencies: [tiny]\n")
    assert create("./").returncode == 0
    ((name, words, _),) = tools.calls()
    assert [name, *words] == ["conda", "env", "create", "-p", str(create.at), "-f",
                              "./environment.yml"]


@pytest.mark.parametrize("tool, words, call, step", [
    ("uv", ["tiny"], "venv", "uv venv"),
    ("uv", ["tiny"], "install", "uv pip install"),
    ("uv", ["{project}"], "sync", "uv sync"),
    ("python3", ["tiny"], "venv", "python -m venv"),
    ("python3", ["tiny"], "pip", "pip install"),
    ("micromamba", ["environment.yml"], "install", "micromamba"),
    ("conda", ["environment.yml"], "create", "conda"),
])
def test_a_tool_that_fails(create, tools, project, tool, words, call, step):
    tools.install(tool)
    if tool != "uv":
        tools.install("uv", program=BROKEN)
    (create.place / "environment.yml").write_text("dependencies: [tiny]\n")
    words = [word.format(project=project) for word in words]
    result = create(*words, STAND_IN_FAILS=call, STAND_IN_VERSION="3.11.2")
    assert result.returncode == FAILURE
    assert result.stderr.splitlines() == [
        "no such package", f"squenv create: {step} ended with status 3; its own lines say why; "
        "nothing was made"]
    assert os.listdir(create.place) == ["environment.yml"]


def test_room_that_is_asked_for(create, uv, project):
    """Of the same inputs again it is known, and of a lock."""
    def asked(*words):
        result = create(*words, "-v")
        assert result.returncode == 0, result.stderr
        (line,) = [line for line in result.stderr.splitlines() if ": asks for " in line]
        return line.removeprefix("squenv create: asks for ").removesuffix(" of room")

    assert asked("tiny") == "8.0 GiB"
    again = asked("tiny", "-f")
    assert again.startswith("512.") and again.endswith(" MiB")
    assert asked("other", "-f") == "8.0 GiB"
    (project / "uv.lock").write_text("[[package]]\nwheels = [{ size = 536870912 }]\n")
    assert asked(project, "-f") == "2.0 GiB"
