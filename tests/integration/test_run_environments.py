# SPDX-License-Identifier: MIT
"""`squenv run` and `shell` with environments of each kind, and with what is wrong with some."""

import json
import os

import pytest

from run_support import OWN_FAILURE, make_conda, packed, squenv_run, write
from support.processes import check

pytestmark = pytest.mark.usefixtures("settled")

METHODS = ["fusermount", "userns", "extract"]


def make_venv(tree, target):
    """As python -m venv makes it, of Python 3.11, with a program that needs no Python."""
    write(tree / "pyvenv.cfg", f"home = {os.path.dirname(target)}\nversion = 3.11.2\n")
    write(tree / "lib/python3.11/site-packages/probe.py", "VALUE = 42\n")
    write(tree / "bin/tool", "#!/bin/sh\necho tool\n", 0o755)
    (tree / "bin/python").symlink_to(target)
    (tree / "bin/python3").symlink_to("python")


@pytest.fixture
def orphan(work):
    """An environment whose Python is not on this machine."""
    tree = work.directory("orphan")
    make_venv(tree, "/opt/no-such-uenv/bin/python3.11")
    return packed(work, tree)


@pytest.fixture
def conda(work):
    tree = work.directory("lab")
    make_conda(tree)
    return packed(work, tree), tree


@pytest.mark.parametrize("via", METHODS)
@pytest.mark.parametrize("program", ["python", "python3", "python3.11"])
def test_no_other_python_is_run(program, via, work, cache, orphan):
    result = squenv_run(work, orphan, [program, "-c", "print('wrong')"], "-q", "--via", via)
    assert (result.returncode, result.stdout) == (127, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"squenv run: {program}: ")
    assert "/opt/no-such-uenv/bin/python3.11, which is not here" in line
    assert "start the uenv or load the module" in line


def test_other_commands_run_with_a_warning(work, orphan):
    result = squenv_run(work, orphan, ["tool"])
    assert (result.returncode, result.stdout) == (0, "tool\n")
    (line,) = result.stderr.splitlines()
    assert "bin/python3 leads to /opt/no-such-uenv/bin/python3.11" in line
    quiet = squenv_run(work, orphan, ["tool"], "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "tool\n", "")
    named = squenv_run(work, orphan, ["/usr/bin/python3", "-c", "print(1)"])
    assert (named.returncode, named.stdout) == (0, "1\n")


def test_python_of_another_version(work):
    program = work.path / "python3.10"
    write(program, "#!/bin/sh\necho wrong\n", 0o755)
    tree = work.directory("env")
    make_venv(tree, program)
    result = squenv_run(work, packed(work, tree), ["python"])
    assert (result.returncode, result.stdout) == (127, "")
    assert "is Python 3.10, but its packages are for Python 3.11" in result.stderr


def test_only_the_first_environment_decides(work, orphan, venv_image):
    """Whose bin directory comes first in PATH."""
    command = ["python", "-c", "import probe; print(probe.VALUE)"]
    result = squenv_run(work, f"{venv_image},{orphan}", command)
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr
    assert "no-such-uenv" in result.stderr
    assert squenv_run(work, f"{orphan},{venv_image}", command).returncode == 127


def test_shell_warns_of_a_missing_python(work, orphan):
    own = work.path / "ownshell"
    write(own, "#!/bin/sh\necho here\n", 0o755)
    result = work.squenv("shell", orphan, env={**os.environ, "SHELL": str(own)})
    assert (result.returncode, result.stdout) == (0, "here\n")
    assert "no-such-uenv" in result.stderr and "squenv-shell(1)" in result.stderr


def test_bench_times_no_other_python(work, orphan):
    result = work.squenv("bench", "--rounds", "1", orphan, "--", "python3", "-c", "pass")
    assert result.returncode == 1 and "no-such-uenv" in result.stderr, result.stderr


def test_doctor_looks_for_the_interpreter(work, orphan, venv_image):
    """The image can be run, so the exit status says nothing of it."""
    result = work.squenv("doctor", orphan)
    assert result.returncode == 0
    line, = [line for line in result.stdout.splitlines() if "interpreter" in line]
    assert "FAIL" in line and "no-such-uenv" in line
    assert "load the module" in result.stdout
    good = work.squenv("doctor", venv_image).stdout.splitlines()
    assert [line for line in good if "interpreter" in line and "ok" in line]


def test_doctor_knows_python_of_another_version(work):
    """First of all, by the words of run, and without the image being mounted."""
    write(work.path / "python3.10", "#!/bin/sh\n", 0o755)
    tree = work.directory("env")
    make_venv(tree, work.path / "python3.10")
    image = packed(work, tree)
    finding = f"bin/python3 leads to {work.path}/python3.10, which is Python 3.10, but its packages"
    first = work.squenv("doctor", image).stdout.splitlines()[0]
    assert first.startswith("FAIL  interpreter ") and finding in first
    facts = json.loads(work.squenv("doctor", "--json", image).stdout)
    assert facts["probes"][0]["subject"] == "interpreter" and not facts["probes"][0]["passed"]
    assert "load the module" in facts["probes"][0]["remedy"]
    assert finding in squenv_run(work, image, ["true"]).stderr


def test_doctor_looks_into_a_subdirectory(work):
    tree = work.directory("project")
    make_venv(tree / ".venv", "/opt/no-such-uenv/bin/python3.11")
    image = packed(work, tree)
    assert "interpreter" not in work.squenv("doctor", image).stdout


def test_the_missing_python_is_said_first(work, orphan):
    """Also before what -v says of the mount."""
    lines = squenv_run(work, orphan, ["tool"], "-v").stderr.splitlines()
    own = [line for line in lines if line.startswith("squenv: ")]
    assert "no-such-uenv" in own[0] and " is at " in own[1], lines


@pytest.mark.parametrize("via", METHODS)
def test_conda_is_activated(via, work, cache, conda):
    image, tree = conda
    result = squenv_run(work, image, ["hello"], "-q", "--via", via)
    assert (result.returncode, result.stdout) == (0, f"{tree} lab 1\n"), result.stderr
    variables = squenv_run(work, image, ["env"], "-q", "--via", via).stdout.splitlines()
    assert "VIRTUAL_ENV" not in "".join(variables) and "PIP_USER=0" in variables


def test_conda_replaces_an_active_environment(work, conda, venv_image, monkeypatch):
    """Else pip would go on to install into the other one."""
    image, tree = conda
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    monkeypatch.setenv("VIRTUAL_ENV_PROMPT", "somewhere")
    command = ["sh", "-c", "echo ${VIRTUAL_ENV-none} ${VIRTUAL_ENV_PROMPT-none} $CONDA_PREFIX"]
    assert squenv_run(work, image, command, "-q").stdout == f"none none {tree}\n"
    assert squenv_run(work, f"{image},{venv_image}", command, "-q").stdout == f"none none {tree}\n"
    both = squenv_run(work, f"{venv_image},{image}", command, "-q").stdout
    assert both.startswith("/") and both.endswith(f" {tree}\n"), both


def make_conda_python(tree):
    """With a Python of its own, whose path is in its files, as conda installs it."""
    make_conda(tree)
    write(tree / "bin/python3.11", "#!/bin/sh\necho own $*\n", 0o755)
    (tree / "bin/python").symlink_to("python3.11")
    (tree / "bin/python3").symlink_to("python3.11")
    write(tree / "bin/pydoc", f"#!{tree}/bin/python3.11\n", 0o755)
    write(tree / "lib/python3.11/site-packages/README", "")
    bound = {"_path": "bin/pydoc", "prefix_placeholder": "/opt/placehold", "file_mode": "text"}
    record = {"name": "python", "link": {"source": "/opt/pkgs/python", "type": 1},
              "paths_data": {"paths": [bound]}}
    write(tree / "conda-meta/python-3.11.5-h0_0.json", json.dumps(record))


def test_python_of_conda_is_its_own(work):
    tree = work.directory("lab")
    make_conda_python(tree)
    image = packed(work, tree)
    for program in ["python", "python3", "python3.11"]:
        result = squenv_run(work, image, [program, "-V"])
        assert (result.returncode, result.stdout, result.stderr) == (0, "own -V\n", ""), program
    facts = json.loads(work.squenv("info", "--json", image).stdout)
    assert facts["environment"] == "conda"
    assert facts["manifest"]["python"] == {"version": "3.11.5", "home": "", "relocatable": False,
                                           "system_site_packages": False}
    lines = [line.split() for line in work.squenv("info", image).stdout.splitlines()]
    for line in [["environment", "conda"], ["python", "3.11.5"], ["relocatable", "no"]]:
        assert line in lines
    variables = squenv_run(work, image, ["env"], "-q").stdout
    assert f"CONDA_PREFIX={tree}\n" in variables and "VIRTUAL_ENV" not in variables


def test_conda_that_lost_its_python(work):
    tree = work.directory("lab")
    make_conda_python(tree)
    for name in ["python", "python3", "python3.11"]:
        (tree / "bin" / name).unlink()
    image = packed(work, tree)
    result = squenv_run(work, image, ["python3", "-c", "print('wrong')"])
    assert (result.returncode, result.stdout) == (127, "")
    assert "neither bin/python3 nor bin/python" in result.stderr


def test_pack_checks_conda(work):
    tree = work.directory("lab")
    make_conda_python(tree)
    (tree / "lib/libz.so").symlink_to("/opt/pkgs/python/lib/libz.so")
    check(["chown", "-hR", "1000:1000", tree])
    image = work.path / "lab.squashfs"

    def findings(*options):
        result = work.squenv("pack", "-f", "--json", tree, "-o", image, *options)
        assert result.returncode == 0, result.stderr
        facts = json.loads(result.stdout)
        assert facts["python"]["environment"] == "conda" and not facts["python"]["relocatable"]
        told = {finding["path"]: finding["reason"] for finding in facts["findings"]}
        assert all(reason in result.stderr for reason in told.values())
        return told

    cached = "is a link into the package cache, /opt/pkgs/python"
    assert findings() == {"lib/libz.so": cached}
    moved = findings("--mount-point", "/opt/other")
    assert moved["lib/libz.so"] == cached
    assert moved["bin/pydoc"] in ["was installed for another path than /opt/other",
                                  f"runs with {tree}/bin/python3.11"]


def test_conda_is_not_relocatable(work, conda):
    image, _ = conda
    other = work.directory("other")
    refused = squenv_run(work, f"{image}:{other}", ["hello"])
    assert refused.returncode == OWN_FAILURE and "not relocatable" in refused.stderr
    forced = squenv_run(work, f"{image}:{other}", ["hello"], "--force")
    assert forced.stdout == f"{other} other 1\n"


def test_pip_is_kept_from_the_home_directory(work, venv_image, plain_image, monkeypatch):
    assert "PIP_USER=0" in squenv_run(work, venv_image, ["env"]).stdout.splitlines()
    place = work.directory("place")
    assert "PIP_USER" not in squenv_run(work, f"{plain_image}:{place}", ["env"]).stdout
    monkeypatch.setenv("PIP_USER", "1")
    assert "PIP_USER=1" in squenv_run(work, venv_image, ["env"]).stdout.splitlines()


def test_pip_itself_does_not_fall_back(work):
    """Only its choice is looked at: there is nothing to install."""
    tree = work.path / "env"
    check(["/usr/bin/python3", "-m", "venv", "--system-site-packages", tree], user=True)
    image = packed(work, tree)
    home = work.directory("user-home")
    install = "python -m pip install --disable-pip-version-check --no-index no-such-package"
    variables = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    fallen = work.squenv("run", image, "--", "sh", "-c", f"unset PIP_USER; {install}",
                         env=variables)
    kept = work.squenv("run", image, "--", "sh", "-c", install, env=variables)
    assert "Defaulting to user installation" in fallen.stdout, fallen
    assert kept.returncode == 1 and "Defaulting to user" not in kept.stdout, kept


@pytest.mark.parametrize("options", [[], ["--copies"]])
def test_run_lists_nothing_itself(work, options):
    """A mount takes who only lists for a program that walks the tree, and gives up the recorded
    one."""
    tree = work.path / "env"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", *options, tree], user=True)
    image = packed(work, tree)
    stats = [work.programs / "squenv", "stats", "--json", tree]
    result = squenv_run(work, image, stats, "-o", "prefetch=off")
    assert result.returncode == 0, result.stderr
    kinds = json.loads(result.stdout)["requests_by_kind"]
    assert (kinds["readdir"], kinds["readdirplus"]) == (0, 0), kinds


def test_environment_deeper_in_a_project(work):
    tree = work.directory("project")
    make_venv(tree / ".venv", "/usr/bin/python3")
    write(tree / "main.py", "pass\n")
    image = packed(work, tree)
    write(tree / ".venv" / "pyvenv.cfg", "home = /usr/bin\n")
    check(["chown", "-R", "1000:1000", tree])
    for command, status in [(["python3", "-c", "pass"], 0), (["no-such-tool"], 127)]:
        result = squenv_run(work, image, command)
        assert result.returncode == status
        assert ".venv" in result.stderr and "-o subdir=.venv" in result.stderr, result.stderr
    assert squenv_run(work, image, ["true"]).stderr == ""
    result = squenv_run(work, image, ["sh", "-c", "echo $VIRTUAL_ENV; tool"], "-q", "-o",
                        "subdir=.venv")
    assert result.stdout == f"{tree}/.venv\ntool\n", result
