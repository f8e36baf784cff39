# SPDX-License-Identifier: MIT
"""tools/action: its steps as the runner of GitHub runs them, with its variables and files."""

import os
import re
import shutil
from pathlib import Path

import pytest

from create_support import Tools
from run_support import without_namespaces
from support.processes import AS_USER, check, run

yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")

ROOT = Path(__file__).resolve().parents[2]
ACTION = ROOT / "tools/action"
STEPS = yaml.safe_load((ACTION / "action.yml").read_text())
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")
SHOW = ("import os, sys; print(sys.prefix, os.environ['VIRTUAL_ENV'], "
        "os.path.basename(os.environ['SQUENV_IMAGE']))")


class Job:
    """A job of a runner: a workspace, what steps set, and the cache of the repository."""

    def __init__(self, work, name, cache, prefix=()):
        self.prefix = list(prefix)
        self.workspace = work.path / name
        self.workspace.mkdir()
        (self.workspace / "requirements.txt").write_text("tiny==1.0\n")
        self.temporary = work.path / f"{name}-runner"
        self.temporary.mkdir()
        check(["chown", "-R", "1000:1000", self.workspace, self.temporary])
        self.cache = cache
        self.to_keep = {}
        self.outputs = {}
        self.variables = {}
        self.path = [str(work.path / "tools/bin"), "/usr/bin", "/bin"]
        self.fixed = {"HOME": str(self.temporary), "STAND_IN_LOG": str(work.path / "tools/log"),
                      "TMPDIR": str(work.path / "tools/tmp"), "GITHUB_ACTIONS": "true",
                      "GITHUB_ACTION_PATH": str(work.path / "action/action"), "CI": "true",
                      "GITHUB_WORKSPACE": str(self.workspace), "LANG": "C.UTF-8",
                      "RUNNER_TOOL_CACHE": str(self.temporary / "tools")}

    def run(self, script, step="user", **env):
        """One step with 'run', by the shell that the runner has for bash."""
        files = {name: self.temporary / name for name in ["GITHUB_ENV", "GITHUB_PATH",
                                                          "GITHUB_OUTPUT"]}
        for file in files.values():
            file.write_text("")
            os.chown(file, 1000, 1000)
        (self.temporary / "step.sh").write_text(script)
        env = {**self.fixed, **self.variables, "PATH": ":".join(self.path), **env,
               **{name: str(file) for name, file in files.items()}}
        result = run([*(self.prefix or AS_USER), "bash", "--noprofile", "--norc", "-e", "-o",
                      "pipefail", self.temporary / "step.sh"], cwd=self.workspace, env=env)
        self.variables.update(pairs(files["GITHUB_ENV"]))
        self.path[:0] = reversed(files["GITHUB_PATH"].read_text().splitlines())
        self.outputs[step] = dict(pairs(files["GITHUB_OUTPUT"]))
        return result

    def restore(self, step, values):
        """What actions/cache does. It keeps files when the job ends, under a key that is new."""
        kept = self.cache.get(values["key"])
        if kept is None:
            self.to_keep[values["key"]] = Path(values["path"])
        else:
            Path(values["path"]).parent.mkdir(exist_ok=True)
            Path(values["path"]).write_bytes(kept)
            check(["chown", "-R", "1000:1000", Path(values["path"]).parent])
        self.outputs[step] = {"cache-hit": "true" if kept else ""}

    def value(self, text, inputs):
        def look_up(match):
            kind, name, *rest = match[1].split(".")
            return inputs[name] if kind == "inputs" else self.outputs[name].get(rest[1], "")
        return EXPRESSION.sub(look_up, text)

    def use(self, **given):
        """uses: the action. The result of the last step that ran."""
        inputs = {name: about.get("default", "") for name, about in STEPS["inputs"].items()}
        inputs.update(given)
        result = None
        for step in STEPS["runs"]["steps"]:
            if "uses" in step:
                assert step["uses"] == "actions/cache@v4"
                self.restore(step["id"], {name: self.value(text, inputs)
                                          for name, text in step["with"].items()})
                continue
            env = {name: self.value(text, inputs) for name, text in step["env"].items()}
            result = self.run(step["run"], step["id"], **env)
            if result.returncode != 0:
                return result
        self.results = {name: self.value(about["value"], inputs)
                        for name, about in STEPS["outputs"].items()}
        return result

    def end(self):
        for key, path in self.to_keep.items():
            self.cache[key] = path.read_bytes()


def pairs(file):
    return [line.split("=", 1) for line in file.read_text().splitlines()]


@pytest.fixture
def tools(work):
    """The action where the runner unpacks it, a release, and a stand-in for uv."""
    (work.path / "action").mkdir()
    shutil.copytree(ACTION, work.path / "action/action")
    shutil.copy(ROOT / "tools/install", work.path / "action/install")
    stand_in = work.path / "stand-in"
    stand_in.write_text(f'#!/bin/sh\nexec {work.programs}/squenv "$@"\n')
    check([ROOT / "tools/release", "--binary", stand_in, "--dist", work.path / "dist", "static"],
          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    found = Tools(work.directory("tools"))
    found.install("uv")
    return found


def assert_works(job):
    result = job.run(f'python -c "{SHOW}"')
    assert result.returncode == 0, result.stderr
    at = job.workspace / ".venv"
    assert result.stdout.split() == [str(at), str(at), os.path.basename(job.results["image"])]


def unmount(job):
    check([*AS_USER, "sh", "-c", f"PATH={':'.join(job.path)} squenv umount .venv"],
          cwd=job.workspace)


def test_a_second_job_restores_the_image(work, tools):
    cache = {}
    where = {"from": str(work.path / "dist"), "lock": "requirements.txt"}
    first = Job(work, "first", cache)
    result = first.use(**where)
    assert result.returncode == 0, result.stderr
    assert first.results["cache-hit"] == ""
    assert_works(first)
    unmount(first)
    first.end()
    calls = len(tools.calls())
    assert calls > 0
    # The path is in the image: the workspace is at the same place again.
    shutil.rmtree(first.workspace)
    shutil.rmtree(first.temporary)
    second = Job(work, "first", cache)
    assert second.use(**where).returncode == 0
    assert second.results["cache-hit"] == "true" and len(tools.calls()) == calls
    assert_works(second)
    unmount(second)
    assert not second.to_keep


def test_the_key_follows_what_is_in_the_image(work, tools):
    job = Job(work, "job", {})
    script = '"$GITHUB_ACTION_PATH/squenv-ci" key'
    lock = job.workspace / "requirements.txt"

    def key(**more):
        result = job.run(script, **{"SQUENV_CI_LOCK": "requirements.txt", **more})
        assert result.returncode == 0, result.stderr
        return job.outputs["user"]["key"]
    keys = [key(), key(SQUENV_CI_AT="env"), key(SQUENV_CI_ARGUMENTS="--python 3.11")]
    assert key() == keys[0]
    lock.write_text("tiny==1.1\n")
    keys.append(key())
    assert len(set(keys)) == 4
    # Another directory for images does not change it.
    assert key(SQUENV_CI_DIRECTORY="elsewhere") == keys[-1]


def test_only_the_program_is_put_into_path(work, tools):
    job = Job(work, "job", {})
    result = job.use(**{"from": str(work.path / "dist"), "lock": "requirements.txt",
                        "use": "path", "at": "env with blanks",
                        "arguments": "--python '/usr/bin/python3'"})
    assert result.returncode == 0, result.stderr
    assert not (job.workspace / ".venv").exists() and "VIRTUAL_ENV" not in job.variables
    assert check([work.programs / "squenv", "info", job.results["image"]]).stdout.count(
        f"{job.workspace}/env with blanks") > 0


def test_where_nothing_can_be_mounted_it_is_unpacked(work, tools):
    job = Job(work, "job", {})
    variables = {"SQUENV_CI_LOCK": "requirements.txt", "SQUENV_CI_FROM": work.path / "dist",
                 "STAND_IN_LOG": tools.log, "HOME": job.temporary, "TMPDIR": tools.temporary,
                 "PATH": f"{work.path}/tools/bin:/usr/bin:/bin"}
    step = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    step += f"cd '{job.workspace}'\neval \"$({ACTION}/squenv-ci all)\"\n"
    hidden = "mount -t tmpfs none /dev/shm && mount --bind /dev/null /dev/fuse || exit 98\n"
    result = without_namespaces(hidden + step + "python -c 'import sys; print(sys.prefix)'")
    assert result.returncode == 0, result.stderr
    assert "is unpacked" in result.stderr
    assert result.stdout.strip() == str(job.workspace / ".venv")


@pytest.mark.parametrize("inputs, texts", [
    ({"lock": "nothing.txt"}, ["nothing.txt: does not exist", "SQUENV_CI_LOCK"]),
    ({"lock": ""}, ["'lock'", "name the file"]),
    ({"lock": "requirements.txt", "from": ""}, ["squenv: is not in PATH", "'from'"]),
    ({"lock": "requirements.txt", "from": "/nowhere"}, ["/nowhere: does not exist"]),
    ({"lock": "requirements.txt", "use": "what"}, ["'what'", "mount or path"])])
def test_what_is_wrong_fails_the_step(inputs, texts, work, tools):
    job = Job(work, "job", {})
    result = job.use(**{"from": str(work.path / "dist"), **inputs})
    assert result.returncode == 1
    for text in texts:
        assert text in result.stderr, result.stderr


def test_a_failure_ends_a_job_that_evaluates(work, tools):
    script = f'eval "$({ACTION}/squenv-ci key)"\necho goes on\n'
    result = run(["bash", "-c", script], cwd=work.path, env={"PATH": "/usr/bin:/bin"})
    assert result.returncode == 1 and result.stdout == ""
    assert "squenv-ci: SQUENV_CI_LOCK" in result.stderr


def test_a_line_end_cannot_set_variables(work, tools):
    job = Job(work, "job", {})
    result = job.run('"$GITHUB_ACTION_PATH/squenv-ci" key', SQUENV_CI_LOCK="requirements.txt",
                     SQUENV_CI_DIRECTORY="a\nkey=other")
    assert result.returncode == 1 and "line end" in result.stderr
    assert "other" not in job.outputs["user"].values()


@pytest.mark.parametrize("change", [
    "export SQUENV_CI_LOCK=nothing.txt", "export SQUENV_CI_DIRECTORY=/root/x",
    "export SQUENV_CI_LOCK=/etc/shadow", "unset HOME",
    "export SQUENV_CI_ARGUMENTS='\"unclosed'", "export SQUENV_CI_USE=what"])
def test_any_failure_ends_a_job_that_evaluates(change, work, tools):
    job = Job(work, "job", {})
    script = (f"set -e\ncd {job.workspace}\nexport SQUENV_CI_LOCK=requirements.txt\n"
              f'export SQUENV_CI_FROM={work.path}/dist HOME={job.temporary}\n{change}\n'
              f'eval "$({ACTION}/squenv-ci all)"\necho goes on\n')
    result = run([*AS_USER, "bash", "-c", script], env={
        "PATH": f"{work.path}/tools/bin:/usr/bin:/bin", "STAND_IN_LOG": str(tools.log),
        "TMPDIR": str(tools.temporary)})
    assert result.returncode == 1 and "goes on" not in result.stdout, result.stdout
    assert "squenv-ci: " in result.stderr and "unbound" not in result.stderr, result.stderr


def test_the_key_knows_all_that_the_environment_depends_on(work, tools):
    place = work.directory("keys", user=False)

    def key(**more):
        result = check(["bash", ACTION / "squenv-ci", "key"], cwd=place, env={
            "PATH": "/usr/bin:/bin", "HOME": str(place), "SQUENV_CI_LOCK": "r.txt", **more})
        return result.stdout

    (place / "r.txt").write_text("-r base.txt\ntiny\n-c end.txt")
    (place / "end.txt").write_text("tiny>0\n")
    (place / "base.txt").write_text("--constraint=more/limits.txt\n-r r.txt\n")
    (place / "more").mkdir()
    (place / "more/limits.txt").write_text("tiny<2\n")
    (place / "project").mkdir()
    (place / "project/pyproject.toml").write_text("[project]\nname = 'own'\n")
    (place / "project/code.py").write_text("print(1)\n")
    for changed, more in [("base.txt", {}), ("end.txt", {}), ("more/limits.txt", {}),
                          ("more/limits.txt", {"SQUENV_CI_ARGUMENTS": "-c more/limits.txt"}),
                          ("project/code.py", {"SQUENV_CI_LOCK": "project"})]:
        before = key(**more)
        assert key(**more) == before
        with open(place / changed, "a", encoding="ascii") as file:
            file.write("# more\n")
        assert key(**more) != before, changed
    check(["git", "init", "-q", place / "project"])
    (place / "project/größe.py").write_text("print(1)\n")
    check(["git", "-C", place / "project", "add", "."])
    before = key(SQUENV_CI_LOCK="project")
    (place / "project/größe.py").write_text("print(2)\n")
    assert key(SQUENV_CI_LOCK="project") != before
    shutil.rmtree(place / "project/.git")
    # What a job makes there is not of the project.
    before = key(SQUENV_CI_LOCK="project")
    for name in [".squenv/a.squashfs", "own/pyvenv.cfg", "own/lib/a.py", "__pycache__/a.pyc"]:
        (place / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "project" / name).write_text("")
    assert key(SQUENV_CI_LOCK="project") == before
