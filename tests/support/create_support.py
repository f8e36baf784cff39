# SPDX-License-Identifier: MIT
"""Wheels, and stand-ins for the programs that make environments."""

import glob
import json
import os
import zipfile

import pytest
from run_support import quoted, without_namespaces
from support.processes import check, mounts_below, wait_for

SAY = "import sys\n\n\ndef say():\n    print('said', *sys.argv[1:], sys.prefix)\n"


def make_wheel(directory, name, requires=(), extra=()):
    """A wheel with a module and a script; `extra` are more (path, content)."""
    info = f"{name}-1.0.dist-info"
    needs = "".join(f"Requires-Dist: {other}\n" for other in requires)
    path = directory / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", SAY)
        wheel.writestr(f"{info}/METADATA",
                       f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\n"
                       "Root-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt",
                       f"[console_scripts]\n{name}-say = {name}:say\n")
        for file, content in extra:
            wheel.writestr(file, content)
        wheel.writestr(f"{info}/RECORD", "")
    return path


# Writes what it is called with, runs what STAND_IN says, and makes an environment. Fails when it is
# called with STAND_IN_FAILS.
STAND_IN = r"""#!/usr/bin/python3 -IS
import json, os, sys
words = sys.argv[1:]
name = os.path.basename(sys.argv[0])
if words == ["--version"]:
    print(os.environ.get("STAND_IN_VERSION", name + " 1.2.3"))
    sys.exit()
with open(os.environ["STAND_IN_LOG"], "a") as log:
    kept = {key: os.environ[key] for key in os.environ
            if key.startswith(("UV_", "PIP_", "PYTHON", "CONDA_", "TMPDIR", "VIRTUAL_"))}
    log.write(json.dumps([name, words, kept]) + "\n")
if os.environ.get("STAND_IN_FAILS") in words:
    print("no such package", file=sys.stderr)
    sys.exit(3)
if words[:2] == ["-m", "venv"]:
    tree = words[-1]
    os.makedirs(tree + "/bin")
    os.makedirs(tree + "/lib/python3.11/site-packages")
    with open(__file__) as stand_in, open(tree + "/bin/python", "w") as python:
        python.write(stand_in.read())
    os.chmod(tree + "/bin/python", 0o755)
    open(tree + "/pyvenv.cfg", "w").write("home = /usr/bin\nversion_info = 3.11.2\n")
    sys.exit()
if "-p" in words:
    tree = words[words.index("-p") + 1]
    os.makedirs(tree + "/conda-meta", exist_ok=True)
    os.makedirs(tree + "/bin")
    open(tree + "/conda-meta/tiny-1.0-0.json", "w").write('{"name": "tiny", "version": "1.0"}')
    open(tree + "/bin/tiny-say", "w").write("#!/bin/sh\necho $CONDA_PREFIX\n")
    os.chmod(tree + "/bin/tiny-say", 0o755)
elif words[0] == "venv":
    tree = words[-1]
    os.makedirs(tree + "/bin", exist_ok=True)
    version = "%d.%d" % sys.version_info[:2]
    os.makedirs(tree + "/lib/python" + version + "/site-packages")
    os.symlink("/usr/bin/python3", tree + "/bin/python")
    os.symlink("python", tree + "/bin/python3")
    relocatable = "relocatable = true\n" if "--relocatable" in words else ""
    open(tree + "/pyvenv.cfg", "w").write(
        "home = /usr/bin\nversion_info = " + sys.version.split()[0] + "\n" + relocatable)
elif words[0] == "-m":
    sys.exit()
else:
    tree = os.environ.get("UV_PROJECT_ENVIRONMENT")
    if tree is None:
        tree = words[words.index("--python") + 1][:-len("/bin/python")]
    import glob
    site = glob.glob(tree + "/lib/python3*/site-packages")[0]
    os.mkdir(site + "/tiny-1.0.dist-info")
    open(site + "/tiny-1.0.dist-info/METADATA", "w").write("Name: tiny\nVersion: 1.0\n")
    script = open(tree + "/bin/tiny-say", "w")
    script.write("#!" + tree + "/bin/python\nimport sys\nprint('said', sys.prefix)\n")
    os.chmod(tree + "/bin/tiny-say", 0o755)
if words[0] != "venv" and "STAND_IN" in os.environ:
    os.environ["TREE"] = tree
    sys.stdout.flush()
    os.execv("/bin/sh", ["sh", "-c", os.environ["STAND_IN"]])
"""


class Tools:
    """A PATH with stand-ins, and what they were called with."""

    def __init__(self, directory):
        self.directory = directory
        self.log = directory / "log"
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.log.touch()
        (directory / "bin").mkdir()
        for path in [directory, self.log, self.temporary]:
            os.chown(path, 1000, 1000)
        self.before = set(self.staging())  # of other programs on this machine

    def install(self, *names, program=STAND_IN):
        for name in names:
            path = self.directory / "bin" / name
            path.write_text(program, encoding="ascii")
            path.chmod(0o755)

    def variables(self, **more):
        variables = {"PATH": f"{self.directory}/bin:/usr/bin:/bin", "HOME": str(self.directory),
                     "TMPDIR": str(self.temporary), "STAND_IN_LOG": str(self.log),
                     "LANG": "C.UTF-8", **more}
        return {name: str(value) for name, value in variables.items()}

    def calls(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def left(self):
        return [path for path in self.staging() if path not in self.before]

    def staging(self):
        """Staging directories, wherever one may be."""
        return [path for pattern in ("/dev/shm", self.temporary, self.directory.parent)
                for path in glob.glob(f"{pattern}/squenv-create-*")]


@pytest.fixture
def tools(work):
    found = Tools(work.directory("tools"))
    yield found
    wait_for(lambda: not found.left(), "the end of all staging directories")


@pytest.fixture
def uv(tools):
    tools.install("uv")
    return tools


@pytest.fixture
def create(work, tools):
    """create(word, ..., NAME=VALUE): by the user, to env.squashfs in a directory of the user's."""
    place = work.directory("place")

    def create(*words, output=place / "env.squashfs", user=True, **variables):
        return work.squenv("create", "-o", output, *words, user=user, cwd=place,
                           env=tools.variables(**variables))

    create.place = place
    create.image = place / "env.squashfs"
    create.at = place / "env"
    return create


def assert_made(result, create):
    assert result.returncode == 0, result.stderr
    assert os.listdir(create.place) == ["env.squashfs"]


def assert_refused(result, code, *words):
    assert result.returncode == code, (result.returncode, result.stderr)
    for word in words:
        assert str(word) in result.stderr, result.stderr


def info(work, image):
    return json.loads(check(work.command("info", "--json", image)).stdout)


def said(work, image):
    output = check(work.command("run", image, "--", "tiny-say")).stdout
    wait_for(lambda: not mounts_below(work.path), "the end of the mount")
    return output


def in_no_namespace(work, create, tools, *words):
    command = quoted(["env", "-i", *(f"{k}={v}" for k, v in tools.variables().items()),
                      *work.command("create", "-o", create.image, *words)])
    return without_namespaces(f"cd '{create.place}'; {command}")
