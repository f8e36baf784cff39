# SPDX-License-Identifier: MIT
"""Views of uenvs: `run`, `shell`, `env`, `info`, `mount` with images as stackinator has them."""

import json
import os
import shutil
import subprocess

import pytest

from run_support import OWN_FAILURE, packed, squenv_run, write
from support.processes import mounts_below
from support.uenvs import env_json, environment, make_image, view

pytestmark = pytest.mark.usefixtures("settled")

METHODS = ["fusermount", "userns", "extract"]
SHOWN = ["sh", "-c", 'echo "$UENV_MOUNT_LIST|$UENV_VIEW"']


@pytest.fixture
def place(work):
    return work.directory("user-environment")


@pytest.fixture
def image(work, place):
    return make_image(work.path / "prgenv.squashfs", place, env_json(place))


@pytest.fixture
def other(work):
    """Another uenv, with a default view."""
    at = work.directory("user-tools")
    return make_image(work.path / "tools.squashfs", at, env_json(at, "tools", "tools"))


def lines(result):
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def refused(result, *texts):
    """One line, with these parts."""
    assert result.returncode in (1, 2, 3, OWN_FAILURE), result.stdout
    (line,) = result.stderr.splitlines()
    for text in texts:
        assert text in line, line


@pytest.mark.parametrize("via", METHODS)
def test_a_view_sets_variables(via, work, cache, image, place):
    variables = environment(OLD_VARIABLE="x", SQUENV_CACHE=os.environ["SQUENV_CACHE"])
    result = squenv_run(work, image, ["which-view"], "--view=default", "-q", "--via", via,
                        env=variables)
    assert lines(result) == [f"default {place} someone"]
    shown = squenv_run(work, image, ["sh", "-c", 'echo "${OLD_VARIABLE-none} $PATH"; ' + SHOWN[-1]],
                       "--view", "default", "-q", "--via", via, env=variables)
    assert lines(shown) == [f"none {place}/env/default/bin:/usr/bin:/bin",
                            f"{image}:{place}|{place}:prgenv:default"]


def test_the_file_beside_the_image_comes_first(work, image, place):
    beside = env_json(place, "beside", views={"own": view(place, "own", {"OWN": "yes"})})
    write(work.path / "meta/env.json", json.dumps(beside))
    assert lines(squenv_run(work, image, ["sh", "-c", "echo $OWN $UENV_VIEW"], "--view=own",
                            env=environment())) == [f"yes {place}:beside:own"]
    (work.path / "meta/env.json").unlink()
    result = squenv_run(work, image, ["true"], "--view=own")
    refused(result, "view 'own' does not exist; there are prgenv:default")


def test_default_views_and_order(work, image, other, place):
    both = f"{image},{other}"
    tools = work.path / "user-tools"
    run = lambda *options: lines(squenv_run(work, both, ["sh", "-c", "echo $UENV_VIEW; echo $PATH"],
                                            *options, env=environment()))
    assert run() == [f"{tools}:tools:tools", f"{tools}/env/tools/bin:/usr/bin:/bin"]
    assert run("--no-default-view") == ["", "/usr/bin:/bin"]
    assert run("--view=prgenv:tools") == [
        f"{place}:prgenv:tools,{tools}:tools:tools",
        f"{tools}/env/tools/bin:{place}/env/tools/bin:/usr/bin:/bin"]
    assert run("--view=tools:default", "--view", "prgenv:default") == [
        f"{tools}:tools:default,{place}:prgenv:default",
        f"{place}/env/default/bin:{tools}/env/default/bin:/usr/bin:/bin"]
    refused(squenv_run(work, both, ["true"], "--view=default"),
            "several uenvs have one", "prgenv:default, tools:default")
    refused(squenv_run(work, both, ["true"], "--view=nothing"), "'nothing' does not exist")
    refused(squenv_run(work, both, ["true"], "--view=a::b"), "no name of a view")


def test_two_uenvs_of_one_name_are_refused(work, image, place):
    at = work.directory("second")
    second = make_image(work.path / "second.squashfs", at, env_json(at))
    refused(squenv_run(work, f"{image},{second}", ["true"]), "two uenvs are called 'prgenv'")


def test_elsewhere_views_are_refused(work, image, place):
    at = work.directory("elsewhere")
    refused(squenv_run(work, f"{image}:{at}", ["true"], "--view=default"),
            f"its views are made for {place}, not for {at}", "leave the path out")
    plain = squenv_run(work, f"{image}:{at}", ["sh", "-c", f"ls {at}/env; echo $UENV_VIEW"])
    assert lines(plain) == ["default", "tools", ""]
    assert f"its views are made for {place}" in plain.stderr
    # The same place, written in another way.
    link = work.path / "link"
    link.symlink_to(work.path)
    result = squenv_run(work, f"{image}:{link}/user-environment", ["which-view"], "--view=default",
                        env=environment())
    assert lines(result) == [f"default {place} someone"]


def test_an_environment_comes_after_the_views(work, image, place):
    tree = work.directory("project")
    write(tree / "pyvenv.cfg", f"home = {place}/env/default/bin\nversion = 3.11.2\n")
    write(tree / "bin/which-view", "#!/bin/sh\necho venv\n", 0o755)
    write(tree / "bin/python3", "#!/bin/sh\necho python\n", 0o755)
    venv = packed(work, tree)
    for images in [f"{image},{venv}:{tree}", f"{venv}:{tree},{image}"]:
        result = squenv_run(work, images, ["sh", "-c", "which-view; echo $VIRTUAL_ENV; echo $PATH"],
                            "--view=default", "-q", env=environment())
        assert lines(result) == ["venv", str(tree),
                                 f"{tree}/bin:{place}/env/default/bin:/usr/bin:/bin"]


def test_functions_and_given_variables_survive(work, image):
    variables = {**environment(), "BASH_FUNC_greet%%": "() {  echo greeted $PRGENV\n}"}
    result = squenv_run(work, image, ["bash", "-c", "greet; echo $PRGENV"], "--view=default",
                        "--env", "PRGENV=given", env=variables)
    assert lines(result) == ["greeted given", "given"]


def test_what_is_not_set_is_noted(work, image):
    variables = environment()
    del variables["USER_NAME"]
    result = squenv_run(work, image, ["which-view"], "--view=default", env=variables)
    assert result.returncode == 0
    assert "${@USER_NAME@} is not set and counts as empty" in result.stderr
    assert squenv_run(work, image, ["true"], "--view=default", "-q", env=variables).stderr == ""


def test_a_plain_image_makes_no_session(work, venv_image):
    assert lines(squenv_run(work, venv_image, ["sh", "-c", "echo ${UENV_MOUNT_LIST-none}"])) == [
        "none"]


def test_a_session_in_a_session(work, image, other, place):
    """What is mounted outside stays in the lists; what came from another node does not."""
    inner = work.command("run", "-q", "--view=tools:tools", other, "--", *SHOWN, user=False)
    result = squenv_run(work, image, inner, "--view=default", "-q", env=environment())
    tools = work.path / "user-tools"
    assert lines(result) == [f"{image}:{place},{other}:{tools}|"
                             f"{place}:prgenv:default,{tools}:tools:tools"]
    stale = environment(UENV_MOUNT_LIST="/a.squashfs:/nowhere", UENV_VIEW="/nowhere:a:b")
    assert lines(squenv_run(work, other, SHOWN, env=stale)) == [
        f"{other}:{tools}|{tools}:tools:tools"]


def test_a_missing_mount_point_is_made(work):
    """As on a machine that never had a uenv."""
    at = "/user-environment"
    if os.path.lexists(at):
        pytest.skip(f"{at} is there")
    image = make_image(work.path / "prgenv.squashfs", at, env_json(at))
    result = squenv_run(work, image, ["which-view"], "--view=default", env=environment())
    assert lines(result) == [f"default {at} someone"]
    assert not os.path.lexists(at)


def test_mount_takes_the_path_of_the_uenv(work, image, place):
    result = work.squenv("mount", image)
    assert result.returncode == 0, result.stderr
    assert [entry["mountpoint"] for entry in mounts_below(place)] == [str(place)]
    assert work.squenv("umount", place).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_shell_has_the_view_after_its_own_files(shell, work, image, place):
    home = work.directory("user-home")
    write(home / ".bashrc", "PATH=/changed; export PRGENV=own OLD_VARIABLE=own\n")
    write(home / ".zshrc", "PATH=/changed; export PRGENV=own OLD_VARIABLE=own\n")
    write(home / ".config/fish/config.fish",
          "set -gx PATH /changed; set -gx PRGENV own; set -gx OLD_VARIABLE own\n")
    variables = environment(HOME=home, SHELL=shutil.which(shell), TERM="dumb",
                            TMPDIR=work.directory("tmp"))
    script = "which-view; echo $PATH; env | grep -c OLD_VARIABLE\nexit\n"
    result = work.squenv("shell", "--view=default", image, env=variables, input=script)
    assert f"default {place} someone\n" in result.stdout, (result.stdout, result.stderr)
    assert f"{place}/env/default/bin" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("0"), result.stdout


@pytest.mark.parametrize("shell", ["sh", "fish"])
def test_env_prints_lines_for_a_shell(shell, work, image, place):
    variables = environment(OLD_VARIABLE="x", USER_NAME="it's a \\ 'name'")
    words = work.command("env", image, "--view=default", "--format", shell, user=False)
    script = " ".join(f'"{word}"' for word in words)
    script = (f"eval \"$({script})\"\n" if shell == "sh" else f"{script} | source\n")
    script += 'echo "$PRGENV"; env | grep -c OLD_VARIABLE; env | grep ^PATH='
    result = subprocess.run([shutil.which(shell), "-c", script], env=variables,
                            capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == [
        "it's a \\ 'name'", "0", f"PATH={place}/env/default/bin:/usr/bin:/bin"], result.stderr
    assert not mounts_below(place)


def test_env_prints_json(work, image, other, place):
    result = work.squenv("env", f"{image},{other}", "--format=json", "--view=prgenv:default",
                         "--no-default-view", env=environment(OLD_VARIABLE="x"))
    assert json.loads(result.stdout) == {
        "OLD_VARIABLE": None, "PRGENV": "someone",
        "PATH": f"{place}/env/default/bin:/usr/bin:/bin"}
    refused(work.squenv("env", image, "--format=csh"), "--format csh", "use sh, fish or json")
    assert work.squenv("env", image, "--view=default", env=environment(
        PRGENV="someone", PATH=f"{place}/env/default/bin:/usr/bin")).stdout == ""


def test_info_lists_views(work, image, other, venv_image):
    text = work.squenv("info", other).stdout
    assert "uenv         tools: tools of the test\n" in text
    assert f"uenv path    {work.path}/user-tools\n" in text
    assert "view         tools: the tools view (default)\n" in text
    assert "view         default: the default view\n" in text
    uenv = json.loads(work.squenv("info", "--json", image).stdout)["uenv"]
    assert (uenv["name"], uenv["default_view"]) == ("prgenv", None)
    assert [one["name"] for one in uenv["views"]] == ["default", "modules", "tools"]
    assert json.loads(work.squenv("info", "--json", venv_image).stdout)["uenv"] is None


BROKEN = {
    "no-json": ("{", "not a JSON object"),
    "no-mount": ('{"name": "x"}', "mount: is missing"),
    "wrong-value": ('{"mount": "MOUNT", "views": {"v": {"env": {"values": {"list": {"PATH": '
                    '[{"op": "set", "value": [1]}]}}}}}}',
                    "views.v.env.values.list.PATH[0].value[0]: not a string"),
    "deep": ("[" * 100000, "nested too deeply"),
    "long": (" " * (1 << 20) + "{}", "longer than 1 MiB"),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
@pytest.mark.parametrize("inside", [True, False])
def test_a_broken_file_names_its_field(kind, inside, work, place):
    text, reason = BROKEN[kind]
    image = make_image(work.path / "bad.squashfs", place, text.replace("MOUNT", str(place)), inside)
    refused(squenv_run(work, image, ["true"]), "meta/env.json", reason)
    refused(squenv_run(work, f"{image}:{place}", ["true"], "--view=v"), "meta/env.json", reason)
    refused(work.squenv("info", image), "meta/env.json", reason)
    # Without views the image is as good as any other.
    result = squenv_run(work, f"{image}:{place}", ["ls", place])
    assert result.returncode == 0 and reason in result.stderr


@pytest.mark.parametrize("mount", ["/etc", "HOME/.ssh", "/usr/bin", "/", "/tmp/a:b"])
def test_a_path_that_only_the_user_may_choose(mount, work):
    home = work.directory("user-home")
    mount = mount.replace("HOME", str(home))
    image = make_image(work.path / "bad.squashfs", mount, env_json(mount))
    refused(squenv_run(work, image, ["true"], env=environment(HOME=home)),
            f"the recorded path {mount} is not used")


def test_a_view_that_was_a_script(work, place):
    views = {"old": {"activate": f"{place}/activate.sh", "description": "x"}}
    image = make_image(work.path / "old.squashfs", place, env_json(place, views=views))
    result = squenv_run(work, image, ["true"], "--view=old")
    assert result.returncode == 0
    assert "view 'old' has only a script, which is not run" in result.stderr


def test_unset_needs_no_value(work, place):
    views = {"default": view(place, "default", PATH=["/nowhere"])}
    updates = views["default"]["env"]["values"]["list"]["PATH"]
    updates.insert(0, {"op": "unset"})
    image = make_image(work.path / "unset.squashfs", place, env_json(place, views=views))
    result = work.squenv("env", image, "--view", "default", "--format", "json",
                         env=environment(PATH="/bin"))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["PATH"] == "/nowhere", result.stdout
    assert "passed over" not in result.stderr
