# SPDX-License-Identifier: MIT
"""config.toml of uenv, and the lists of repositories that are named instead."""

import pytest

from run_support import OWN_FAILURE, squenv_run, write
from support.uenvs import Repository, env_json, environment, make_image

pytestmark = pytest.mark.usefixtures("settled")

NAMES = ["first", "second", "third"]


@pytest.fixture
def images(work):
    """{name: an image that is called so, mounted on a path of its own}"""
    made = {}
    for name in NAMES:
        at = work.directory(f"user-{name}")
        made[name] = make_image(work.path / f"{name}.squashfs", at, env_json(at, name))
    return made


@pytest.fixture
def repositories(work, images):
    """Three, each with another image under the label gnu/1:v1 of the system s."""
    made = {}
    for name in NAMES:
        made[name] = Repository(work.path / name)
        made[name].add("gnu/1:v1@s%u", images[name])
        made[name].add(f"only-{name}/1:v1@s%u", images[name])
    return made


@pytest.fixture
def home(work):
    return work.directory("home")


@pytest.fixture
def found(work, home, repositories):
    """The name of the repository whose image a label means, or the error."""

    def find(label="gnu", *options, **variables):
        result = work.squenv(*options, "image", "inspect", label, "--format={path}",
                             program="uenv", env=environment(HOME=home, **variables))
        if result.returncode != 0:
            return result.stderr
        return result.stdout[len(str(work.path)) + 1:].split("/")[0]

    return find


def configure(home, *entries, first=""):
    text = first + "".join("[[repositories]]\n" + "".join(f"{line}\n" for line in entry)
                           for entry in entries)
    write(home / ".config/uenv/config.toml", text)


def entry(work, name, *more, path=None):
    return [f'name = "{name}"', f'path = "{path or work.path / name}"', *more]


def test_priorities(work, home, found, repositories):
    configure(home, entry(work, "first"), entry(work, "second"))
    assert found() == "first"
    configure(home, entry(work, "first"), entry(work, "second", "priority = 3"))
    assert found() == "second"
    assert found("only-first") == "first"
    # The default one has priority 9.
    configure(home, entry(work, "first"), entry(work, "third", path=work.path / "third"))
    Repository(home / ".uenv/repo").add("gnu/1:v1@s%u", work.path / "second.squashfs")
    assert found() == "home"
    configure(home, entry(work, "first", "priority = 8"))
    assert found() == "first"
    configure(home, entry(work, "default", path=work.path / "third"))
    assert found() == "third"


def test_a_list_of_repositories(work, home, found):
    """The list says the order, whatever the priorities are."""
    configure(home, *(entry(work, name, f"priority = {number}")
                      for number, name in enumerate(NAMES)))
    for listed, expected in [
            (f"{work.path}/second", "second"), ("second", "second"), ("third,first", "third"),
            (f"mine={work.path}/third", "third"), (f"second,{work.path}/first,third", "second"),
            ("first,", "first")]:
        assert found("gnu", f"--repo={listed}") == expected
        assert found(UENV_REPO_PATH=listed) == expected
    assert "..: no repository of uenvs" in found("gnu", "--repo=third=..")


def test_a_list_names_only_what_is_searched(work, home, found):
    configure(home, entry(work, "first"), entry(work, "second"))
    assert found("only-second", "--repo=first,second") == "second"
    assert "neither a file nor a uenv" in found("only-second", "--repo=first")
    assert "others: no repository of uenvs" in found("gnu", "--repo=first,others")
    assert "as one of first, second, default" in found("gnu", "--repo=others")
    # A broken file does not matter to a path, but to a name.
    configure(home, entry(work, "first", "priority = x"))
    assert found("gnu", f"--repo={work.path}/second") == "second"
    assert "config.toml: line 4: " in found("gnu", "--repo=first")


def test_keys_that_are_not_used_are_named(work, home, repositories):
    configure(home, entry(work, "first", 'colour = "red"'), first="later = 1\n")
    of_user = environment(HOME=home)
    result = work.squenv("info", "-v", "only-first/1:v1", env=of_user)
    assert result.returncode == 0, result.stderr
    lines = sorted(set(result.stderr.splitlines()))
    assert len(lines) == 2 and "config.toml: line 1: key 'later' is not used" in lines[0], lines
    assert "config.toml: line 5: key 'colour' is not used" in lines[1], lines
    assert work.squenv("info", "only-first/1:v1", env=of_user).stderr == ""


def test_several_repositories_are_listed_apart(work, home, repositories):
    configure(home, entry(work, "first"), entry(work, "second", "priority = 3"))
    listed = lambda *words: work.squenv(*words, program="uenv",
                                        env=environment(HOME=home)).stdout.splitlines()
    lines = listed("image", "ls", "only")
    assert [line.split()[:2] for line in lines] == [
        ["repo", "second"], ["uenv", "arch"], ["only-second/1:v1", "u"], [],
        ["repo", "first"], ["uenv", "arch"], ["only-first/1:v1", "u"]]
    assert lines[1].startswith("  uenv")
    assert [line.split("/")[0] for line in listed("image", "ls", "only", "--no-header")] == [
        "only-second", "only-first"]
    assert listed("--repo=first", "image", "ls", "only")[0].startswith("uenv ")
    assert len(listed("--repo=second,first", "image", "ls", "--format={name}")) == 4


def test_the_system_of_the_configuration(work, home, found, images, repositories):
    """It overrides that of the machine."""
    repositories["first"].add("gnu/1:v1@other%u", images["third"])
    digest = repositories["first"].add("own/1:v1@other%u", images["third"])
    configure(home, entry(work, "first"), first='system_name = "other"\n')
    assert found("own", CLUSTER_NAME="s") == "first"
    assert "for the system other" in found("only-first", CLUSTER_NAME="s")
    assert found("only-first", "--system=s") == "first"
    assert "several uenvs" in found("gnu", "--system=*")
    configure(home, entry(work, "first"), first='system_name = "*"\n')
    assert "several uenvs" in found("gnu", CLUSTER_NAME="s")
    assert found(digest[:16], CLUSTER_NAME="s") == "first"


def test_variables_and_other_keys(work, home, found):
    more = 'color = true\n[elastic]\nurl = "http://x"\n'
    configure(home, entry(work, "first", "note = 1", path="${WHERE}/first"), first=more)
    assert found(WHERE=work.path) == "first"


BROKEN = [
    ("repositories = [\n", "line 1: "),
    ("\n[[repositories]]\nname = \"x\"\n", "line 2: a repository without a path"),
    ("[[repositories]]\npath = 1\n", "line 1: a repository without a path"),
    ("[[repositories]]\npath = \"~/x\"\n", "line 2: path '~/x' does not begin with"),
    ("[[repositories]]\npath = \"/x\"\nname = 7\n", "line 3: name is not a text"),
    ("[[repositories]]\npath = \"/x\"\npriority = \"1\"\n",
     "line 3: priority is not a whole number"),
    ("[[repositories]]\npath = \"/x\"\npriority = 99999999999\n", "line 3: priority is beyond"),
    ("\n\nrepositories = \"/x\"\n", "line 3: repositories is not written as"),
    ("repositories = [1]\n", "line 1: a repository without a path"),
    ("# a\nsystem_name = 1\n", "line 2: system_name is not a text"),
    ("color = yes\n", "line 1: "), ("name = \"a\nb\"\n", "line 1: "),
]


@pytest.mark.parametrize("text, reason", BROKEN)
def test_an_error_names_file_and_line(text, reason, work, home):
    write(home / ".config/uenv/config.toml", text)
    result = work.squenv("run", "gnu", "--", "true", env=environment(HOME=home))
    assert result.returncode == OWN_FAILURE
    assert f"{home}/.config/uenv/config.toml: {reason}" in result.stderr, result.stderr
    assert "correct that line" in result.stderr and result.stderr.count("\n") == 1


def test_a_broken_file_does_not_matter_to_a_path(work, home, plain_image):
    write(home / ".config/uenv/config.toml", "repositories = [")
    at = work.directory("tree")
    result = squenv_run(work, f"{plain_image}:{at}", ["true"], env=environment(HOME=home))
    assert result.returncode == 0, result.stderr


def test_a_configuration_that_may_not_be_read(work, home, plain_image):
    write(home / ".config/uenv/config.toml", "repositories = []")
    (home / ".config/uenv/config.toml").chmod(0)
    result = work.squenv("run", "gnu", "--", "true", env=environment(HOME=home))
    assert result.returncode == OWN_FAILURE
    assert f"{home}/.config/uenv/config.toml: Permission denied" in result.stderr, result.stderr
    at = work.directory("tree")
    result = squenv_run(work, f"{plain_image}:{at}", ["true"], env=environment(HOME=home))
    assert result.returncode == 0, result.stderr
