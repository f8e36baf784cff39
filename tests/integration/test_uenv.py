# SPDX-License-Identifier: MIT
"""Labels of uenvs in repositories on disk, and the program under the name uenv."""

import json
import os
import shutil
import sqlite3

import pytest

from run_support import OWN_FAILURE, squenv_run, write
from support.uenvs import Repository, env_json, environment, make_image

pytestmark = pytest.mark.usefixtures("settled")

LABEL = "prgenv-gnu/24.11:v1@daint%gh200"


@pytest.fixture
def place(work):
    return work.directory("user-environment")


@pytest.fixture
def image(work, place):
    """Named "prgenv" in itself and otherwise in the repository."""
    return make_image(work.path / "prgenv.squashfs", place, env_json(place, default="tools"))


@pytest.fixture
def other(work):
    at = work.directory("user-tools")
    return make_image(work.path / "tools.squashfs", at, env_json(at, "tools"))


@pytest.fixture
def repository(work, image):
    made = Repository(work.path / "repository")
    made.digest = made.add(LABEL, image)
    return made


@pytest.fixture
def uenv(work):
    """Calls the program by its other name."""
    return lambda *words, **options: work.squenv(*words, program="uenv",
                                                 env=options.pop("env", environment()), **options)


def output(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def refused(result, *texts, status=1):
    assert result.returncode == status, (result.stdout, result.stderr)
    line = result.stderr
    assert line.count("\n") == 1 or "\n  " in line, line
    for text in texts:
        assert text in line, line


def view_of(work, name, *options, repo=None, **variables):
    if repo:
        variables["UENV_REPO_PATH"] = repo.path
    return squenv_run(work, name, ["sh", "-c", "echo $UENV_VIEW"], *options,
                      env=environment(**variables))


# Labels

@pytest.mark.parametrize("label", [
    LABEL, "prgenv-gnu", "prgenv-gnu/24.11", "prgenv-gnu:v1", "prgenv-gnu%gh200",
    "prgenv-gnu@daint",
    "prgenv-gnu%gh200@daint", "prgenv-gnu/24.11:v1@*"])
def test_a_label_finds_the_image(label, work, repository, place):
    result = view_of(work, label, repo=repository)
    assert output(result) == f"{place}:prgenv-gnu:tools\n"


@pytest.mark.parametrize("digits", [4, 16, 63, 64])
def test_a_digest_finds_the_image(digits, work, repository, place):
    begin = repository.digest[:digits]
    assert output(view_of(work, begin, repo=repository)) == f"{place}:prgenv-gnu:tools\n"
    assert json.loads(work.squenv("info", "--json", begin, env=environment(
        UENV_REPO_PATH=repository.path)).stdout)["uenv"]["name"] == "prgenv"
    (repository.path / "index.db").unlink()
    assert output(view_of(work, begin, repo=repository)) == f"{place}:prgenv:tools\n"


def test_a_label_may_have_a_path(work, repository):
    at = work.directory("elsewhere")
    result = squenv_run(work, f"prgenv-gnu/24.11:v1:{at}", ["ls", f"{at}/env"], "-q",
                        env=environment(UENV_REPO_PATH=repository.path))
    assert output(result) == "default\ntools\n"


def test_a_file_of_that_name_wins(work, repository, other):
    shutil.copy(other, work.path / "prgenv-gnu")
    result = work.squenv("run", "--view=tools", "prgenv-gnu", "--", "sh", "-c", "echo $UENV_VIEW",
                         cwd=work.path, env=environment(UENV_REPO_PATH=repository.path))
    assert output(result) == f"{work.path}/user-tools:tools:tools\n"


def test_several_images_are_listed(work, repository, other):
    second = repository.add("prgenv-gnu/25.06:v1@daint%gh200", other)
    result = view_of(work, "prgenv-gnu", repo=repository)
    refused(result, "prgenv-gnu: several uenvs have this label", f"\n  {LABEL} ",
            f"\n  prgenv-gnu/25.06:v1@daint%gh200 {second[:16]}", "write more of the label",
            status=OWN_FAILURE)
    # Two labels of one image are no question.
    repository.add("prgenv-gnu/24.11:rc1@daint%gh200", work.path / "prgenv.squashfs")
    assert view_of(work, "prgenv-gnu/24.11", repo=repository).returncode == 0


def test_the_system_is_that_of_the_cluster(work, repository, other):
    repository.add("prgenv-gnu/24.11:v1@eiger%zen2", other)
    names = lambda label, **more: view_of(work, label, "--view=tools", repo=repository, **more)
    assert "user-tools" in output(names("prgenv-gnu/24.11:v1", CLUSTER_NAME="eiger"))
    assert "user-environment" in output(names("prgenv-gnu/24.11:v1", CLUSTER_NAME="daint"))
    assert "user-environment" in output(names("prgenv-gnu@daint", CLUSTER_NAME="eiger"))
    refused(names("prgenv-gnu@*", CLUSTER_NAME="eiger"), "several uenvs", status=OWN_FAILURE)
    refused(names("prgenv-gnu", CLUSTER_NAME="todi"), "for the system todi",
            "write prgenv-gnu@* for any system", status=OWN_FAILURE)


def test_what_is_in_no_repository(work, repository):
    refused(view_of(work, "gromacs/2024:v1", repo=repository),
            f"gromacs/2024:v1: neither a file nor a uenv in {repository.path}", status=OWN_FAILURE)
    refused(view_of(work, "gromacs/2024:v1"), "gromacs/2024: No such file", "UENV_REPO_PATH",
            status=OWN_FAILURE)
    refused(view_of(work, "gromacs", UENV_REPO_PATH=work.path / "none"),
            "none: no repository of uenvs", status=OWN_FAILURE)


def test_a_damaged_index(work, repository):
    (repository.path / "index.db").write_text("no database\n" * 100, encoding="ascii")
    refused(view_of(work, "prgenv-gnu", repo=repository), "index.db: file is not a database",
            "name the image file", status=OWN_FAILURE)
    # The directory has the digest in its name.
    assert view_of(work, repository.digest[:16], repo=repository).returncode == 0


@pytest.mark.parametrize("digest", ["../../etc", "x" * 64])
def test_an_index_leads_nowhere_else(digest, work, repository):
    with sqlite3.connect(repository.path / "index.db") as database:
        database.executescript("DROP VIEW records; CREATE TABLE records (name, version, tag, "
                               "system, uarch, sha256, id, date, size);")
        database.execute("INSERT INTO records VALUES ('evil', '1', 'v1', 's', 'u', ?, 'i', 'd', 1)",
                         (digest,))
    database.close()
    refused(view_of(work, "evil", repo=repository), "neither a file nor a uenv",
            status=OWN_FAILURE)


# Where repositories are

def test_default_places(work, image, place):
    scratch, home = work.directory("scratch"), work.directory("home")
    Repository(home / ".uenv/repo").add("old/1:v1@s%u", image)
    assert output(view_of(work, "old", HOME=home)) == f"{place}:old:tools\n"
    Repository(scratch / ".uenv-images").add("new/1:v1@s%u", image)
    assert output(view_of(work, "new", HOME=home, SCRATCH=scratch)) == f"{place}:new:tools\n"
    refused(view_of(work, "old", HOME=home, SCRATCH=scratch), "neither a file nor a uenv",
            status=OWN_FAILURE)


def test_repositories_of_the_configuration(work, image, other, place):
    home = work.directory("home")
    Repository(work.path / "first").add("both/1:v1@s%u", image)
    second = Repository(work.path / "second")
    second.add("both/1:v1@s%u", other)
    second.add("only/1:v1@s%u", other)
    write(home / ".config/uenv/config.toml", f"""
# as uenv 10 has it
system_name = "s"
[[repositories]]
name = "site"
path = "{second.path}"
[[repositories]]
name = "own"
path = "${{WHERE}}/first"
priority = 5
[[repositories]]
path = "/not/there"
priority = 1
""")
    view_in = lambda label: view_of(work, label, "--view=tools", HOME=home, WHERE=work.path)
    assert output(view_in("both")) == f"{place}:both:tools\n"
    assert output(view_in("only")) == f"{work.path}/user-tools:only:tools\n"
    write(home / ".config/uenv/config.toml", "[[repositories]]\npath = 1\n")
    refused(view_in("both"), "config.toml: line 1: a repository without a path", status=OWN_FAILURE)
    write(home / ".config/uenv/config.toml", "repositories = [\n")
    refused(view_in("both"), "config.toml: line ", status=OWN_FAILURE)


def test_the_configuration_of_older_versions(work, repository, place):
    config = work.directory("config")
    write(config / "uenv/config", "# comment\ncolor = false\nrepo = ${WHERE}/repository\n")
    assert output(view_of(work, "prgenv-gnu", XDG_CONFIG_HOME=config, WHERE=work.path)) == \
        f"{place}:prgenv-gnu:tools\n"


# The name uenv

def test_run(uenv, repository, place, work):
    result = uenv("--repo", repository.path, "run", "--view=default", "prgenv-gnu/24.11:v1", "--",
                  "sh", "-c", 'which-view "$@"; echo $UENV_VIEW', "-v", "--view=x")
    assert output(result) == f"default {place} someone\n{place}:prgenv-gnu:default\n"
    short = uenv(f"--repo={repository.path}", "run", "prgenv-gnu", "-v", "prgenv-gnu:default",
                 "--", "which-view")
    assert output(short) == f"default {place} someone\n"
    assert output(uenv("run", "--no-default-view", repository.image(repository.digest), "--",
                       "sh", "-c", "echo $UENV_VIEW; exit 0")) == "\n"
    assert uenv("run", repository.image(repository.digest), "--", "sh", "-c",
                "exit 7").returncode == 7
    refused(uenv("run", repository.image(repository.digest), "--", "no-such-program"),
            "no-such-program", status=127)


def test_run_names_what_is_wrong(uenv, repository, image):
    repo = f"--repo={repository.path}"
    refused(uenv(repo, "run", "nothing/1:v1", "--", "true"), "uenv run: nothing/1:v1: neither")
    refused(uenv("run", "nothing/1:v1", "--", "true"), "there is no repository of uenvs")
    refused(uenv("run", "/none.squashfs", "--", "true"), "/none.squashfs: No such file")
    refused(uenv("run", "a b", "--", "true"), "is no label of a uenv",
            status=2)
    refused(uenv("run", f"{image}:./x", "--", "true"), "./x: the path of a uenv is absolute",
            status=2)
    refused(uenv("run", image, "--view=none", "--", "true"), "view 'none' does not exist",
            status=2)
    refused(uenv("run", image), "uenv run: ", "--help", status=2)


def test_several_images_and_a_comma_at_the_end(uenv, repository, other, place, work):
    result = uenv(f"--repo={repository.path}", "run", f"prgenv-gnu:v1,{other},", "--",
                  "sh", "-c", "echo $UENV_MOUNT_LIST")
    assert output(result) == (f"{repository.image(repository.digest)}:{place},"
                              f"{other}:{work.path}/user-tools\n")


def test_no_session_in_a_session(uenv, work, image, programs):
    inner = [programs / "uenv", "run", image, "--", "true"]
    refused(uenv("run", image, "--", *inner), "uenv run: a uenv session is running already",
            "leave it with 'exit'")
    stale = environment(UENV_MOUNT_LIST="/a:/nowhere", UENV_VIEW="")
    assert uenv("run", image, "--", "true", env=stale).returncode == 0


def test_status(uenv, image, place, programs):
    assert output(uenv("status")) == "there is no uenv loaded\n"
    assert output(uenv("status", "--format=short")) == ""
    assert uenv("status", "--format=views", "--error-if-unset").returncode == 1
    inside = lambda *words: output(uenv("run", image, "--", programs / "uenv", *words))
    assert inside("status", "--error-if-unset") == (
        f"prgenv:{place}\n  prgenv of the test\n  views:\n    default: the default view\n"
        "    modules: activate modules\n    tools (loaded): the tools view\n")
    assert inside("status", "--format=short") == "prgenv\n"
    assert inside("status", "--format=views") == "prgenv[tools]\n"
    refused(uenv("status", "--format=long"), "--format long: not known",
            status=2)


def test_image_ls(uenv, repository, other):
    repository.add("tools/1.0:v2@eiger%zen2", other)
    listed = lambda *words, **more: output(uenv(f"--repo={repository.path}", "image", "ls", *words,
                                                **more))
    header, first, second = listed().splitlines()
    assert header.split() == ["uenv", "arch", "system", "id", "size(MB)", "date"]
    assert first.split() == ["prgenv-gnu/24.11:v1", "gh200", "daint", repository.digest[:16], "0",
                             "2026-03-23"]
    assert second.startswith("tools/1.0:v2 ")
    assert listed("prgenv", "--no-header").splitlines() == [first]
    assert listed("prgenv", "--no-header", "--no-partials") == ""
    assert listed("wombat") == "no matching uenv\n"
    eiger = environment(CLUSTER_NAME="eiger")
    assert listed("--no-header", env=eiger).split() == second.split()
    assert len(listed("@*", "--no-header", env=eiger).splitlines()) == 2
    assert listed("%gh200", "--format={name}/{version}:{tag}@{system}%{uarch} {size:>9}").split()[
        0] == LABEL
    (record,) = json.loads(listed("--json", "tools"))["records"]
    assert (record["name"], record["digest"]) == ("tools", repository.add(
        "tools/1.0:v3@eiger%zen2", other))
    refused(uenv(f"--repo={repository.path}", "image", "ls", "--format={nothing}"),
            "the fields are name, version", status=2)
    refused(uenv("image", "ls"), "there is no repository of uenvs")
    refused(uenv("--repo=/none", "image", "ls"), "/none: no repository of uenvs")


def test_image_inspect(uenv, repository, image, place):
    inspect = lambda *words: output(uenv(f"--repo={repository.path}", "image", "inspect", *words))
    assert inspect("prgenv-gnu") == (
        f"{LABEL} mount at {place}\nviews:\n  default: the default view\n"
        "  modules: activate modules\n  tools: the tools view\n")
    assert inspect(image).startswith(f"{image} mount at {place}\n")
    store = repository.image(repository.digest)
    known = json.loads(inspect("--json", "prgenv-gnu"))
    assert (known["sqfs"], known["path"], known["mount"], known["id"], known["meta"]) == (
        str(store), str(store.parent), str(place), repository.digest[:16], None)
    assert known["views"][0] == {"name": "default", "description": "the default view"}
    assert inspect("--format={name}:{tag} {sha256} {version}", image) == "prgenv:none none none\n"
    assert inspect("prgenv-gnu", "--format", "{sha256}") == f"{repository.digest}\n"
    refused(uenv("image", "inspect", "--json", "--format=x", image), "exclude each other",
            status=2)


@pytest.mark.parametrize("words, next_step", [
    (["image", "pull", "prgenv-gnu"], "pull with uenv of the site"),
    (["--repo", "/x", "image", "find"], "'uenv image ls'"),
    (["image", "push"], "push with"), (["image", "add"], "name the image file"),
    (["repo", "create"], "name image files"), (["repo", "status"], "'uenv image ls'"),
    (["build"], "squenv pack"), (["-v", "config"], "squenv-uenv(1)")])
def test_what_it_does_not_do(words, next_step, uenv):
    refused(uenv(*words), "squenv does not do that", next_step)


def test_start_needs_a_terminal(uenv, image):
    refused(uenv("start", image), "uenv start: ", "stdout is none", f"uenv run {image} -- CMD")
    script = "which-view; echo $UENV_VIEW\nexit\n"
    result = uenv("start", "--ignore-tty", "--view=default", image, input=script,
                  env=environment(SHELL="/bin/bash"))
    assert "someone\n" in result.stdout and "prgenv:default\n" in result.stdout


# index.db as somebody else may have left it

def test_an_index_with_an_empty_log_is_only_read(uenv, repository, work):
    """In the mode WAL SQLite would make two files beside it, or fail where it cannot."""
    with sqlite3.connect(repository.path / "index.db") as database:
        assert database.execute("PRAGMA journal_mode=wal").fetchone() == ("wal",)
    database.close()
    os.chown(repository.path, 0, 0)
    before = sorted(os.listdir(repository.path))
    for user in [True, False]:
        result = uenv("--repo", repository.path, "image", "ls", user=user)
        assert "prgenv-gnu" in output(result)
        assert sorted(os.listdir(repository.path)) == before


def test_an_index_that_is_being_written(uenv, repository):
    """What is in the log counts."""
    writer = sqlite3.connect(repository.path / "index.db")
    writer.execute("PRAGMA journal_mode=wal")
    writer.execute("UPDATE uenv SET name = 'renamed'")
    writer.commit()
    assert "renamed" in output(uenv("--repo", repository.path, "image", "ls", user=False))
    writer.close()


def test_an_index_that_is_no_file(uenv, repository):
    index = repository.path / "index.db"
    index.unlink()
    os.mkfifo(index)
    refused(uenv("--repo", repository.path, "image", "ls", timeout=5),
            "index.db: is no ordinary file", "name the image file")
    index.unlink()
    shutil.copy("/etc/passwd", index)
    index.chmod(0)
    refused(uenv("--repo", repository.path, "image", "ls"), "index.db: Permission denied")


def test_a_query_without_end(uenv, repository):
    with sqlite3.connect(repository.path / "index.db") as database:
        database.executescript(
            "DROP VIEW records; CREATE VIEW records AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
            "SELECT i + 1 FROM n) SELECT i AS name, '1' AS version, 'v' AS tag, 's' AS system, "
            "'u' AS uarch, 'x' AS sha256, 'i' AS id, 'd' AS date, 1 AS size FROM n WHERE i < 0;")
    database.close()
    refused(uenv("--repo", repository.path, "image", "ls", timeout=20),
            "index.db: takes longer than ten seconds")


@pytest.mark.parametrize("words", [
    ["status", "--format=json"], ["image", "ls", "--bogus"],
    ["run", "./a,,./b", "--", "true"], ["run", "", "--", "true"], ["bogus"], ["image", "bogus"]])
def test_a_wrong_command_line(words, uenv):
    result = uenv(*words)
    assert result.returncode == 2, (result.returncode, result.stderr)
    if "bogus" in words:
        assert "bogus" in result.stderr, result.stderr
