# SPDX-License-Identifier: MIT
"""`squenv bench`: what it prints, and that it leaves nothing."""

import html.parser
import json
import os
import shutil
import time

import pytest
from support.processes import AS_USER, check, mounts_below, run, wait_for

ROWS = ["directory", "image from storage", "image, fresh mount", "image, again"]


@pytest.fixture
def packed(work):
    """A tree of the user and its image, which records where the tree is. Only where an environment
    is, that path is taken unasked."""
    tree = work.directory("tree")
    (tree / "pyvenv.cfg").write_text("")
    for index in range(30):
        path = tree / "lib" / f"module-{index}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {index}\n" * 500)
    check(["chown", "-R", "1000:1000", tree])
    image = work.path / "tree.squashfs"
    check(work.command("pack", "-q", tree, "-o", image))
    return tree, image


def bench(work, image, *options, command=("sh", "-c", "cat lib/*.py")):
    return run([*AS_USER, work.programs / "squenv", "bench", "--rounds", "2", *options, image,
                "--", *command], cwd=work.path / "tree")


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "xlink:href")]


def cat_all(tree):
    return ["sh", "-c", f"cat {tree}/lib/*.py"]


def test_table(work, packed):
    tree, image = packed
    result = bench(work, image, command=cat_all(tree))
    assert result.returncode == 0, result.stderr
    for row in ROWS:
        assert row in result.stdout
    assert "metadata operations" in result.stdout and "30 files" in result.stdout
    assert "module" not in result.stdout  # what the command prints is thrown away
    assert not mounts_below(work.path) and sorted(os.listdir(tree)) == ["lib", "pyvenv.cfg"]


def test_json_and_page(work, packed):
    tree, image = packed
    page = work.path / "page.html"
    result = bench(work, image, "--json", "--html", page, command=cat_all(tree))
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert [row["name"] for row in facts["rows"]] == ROWS
    assert all(len(row["seconds"]) == 2 and row["median_seconds"] > 0 for row in facts["rows"])
    assert facts["files_read"] == 30 and facts["metadata_operations"] >= 2
    by_name = {row["name"]: row["requests_by_kind"] for row in facts["rows"]}
    fresh = facts["rows"][2]
    # Beside the 30 files and their directory, the command asks for little; the walker for the rest.
    assert sum(fresh["requests_by_kind"].values()) < 3 * 30 + 40, fresh
    assert facts["rows"][0]["walker_requests"] == 0 < fresh["walker_requests"]
    assert [estimate["operation_seconds"] for estimate in facts["estimates"]] == [2e-4, 1e-3, 5e-3]
    slow = facts["estimates"][2]
    assert slow["directory_seconds"] >= 5e-3 * (facts["metadata_operations"] + 2 * 30)
    assert slow["image_seconds"] >= 5e-3 * facts["rows"][1]["image_reads"] > 0
    assert by_name["directory"] == {}
    assert by_name["image, again"].get("read", 0) == 0
    parsed = Page(page.read_text(encoding="utf-8"))
    assert parsed.tags.count("svg") == 3 and "table" in parsed.tags
    assert not parsed.links and "script" not in parsed.tags


def test_without_the_directory(work, packed):
    tree, image = packed
    elsewhere = work.directory("elsewhere")
    for named in ([image, "--mount-point", elsewhere], [f"{image}:{elsewhere}"]):
        result = bench(work, *named, "--json", command=cat_all(elsewhere))
        assert result.returncode == 0, result.stderr
        facts = json.loads(result.stdout)
        assert [row["name"] for row in facts["rows"]] == ROWS[1:]
        assert facts["mountpoint"] == str(elsewhere)
        assert all(estimate["directory_seconds"] == 0 for estimate in facts["estimates"])
    both = bench(work, f"{image}:{elsewhere}", "--mount-point", elsewhere, command=("true",))
    assert both.returncode == 2 and "leave one of them out" in both.stderr
    assert tree.exists()


def test_a_missing_mount_point_is_made_and_removed(work, packed):
    tree, image = packed
    shutil.rmtree(tree)
    result = run([*AS_USER, work.programs / "squenv", "bench", "--rounds", "1", "--json", image,
                  *cat_all(tree)])
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert [row["name"] for row in facts["rows"]] == ROWS[1:] and facts["files_read"] == 30
    wait_for(lambda: not tree.exists(), "the removal of the mount point")


def test_a_command_that_fails(work, packed):
    _, image = packed
    result = bench(work, image, command=("false",))
    assert result.returncode == 2 and "status 1" in result.stderr
    assert not mounts_below(work.path)


def test_a_command_that_cannot_be_executed(work, packed):
    _, image = packed
    result = bench(work, image, command=(work.directory("place"),))
    assert result.returncode == 1 and "is a directory; name a program" in result.stderr, result
    assert not mounts_below(work.path)


def test_an_image_that_records_no_path(work, packed, plain_image):
    result = bench(work, plain_image, command=("true",))
    assert result.returncode == 2 and "--mount-point" in result.stderr


def test_a_kill_leaves_nothing(work, packed):
    tree, image = packed
    before = set(os.listdir("/tmp"))
    for delay in [0.01, 0.05, 0.3]:
        timing = work.start([*AS_USER, work.programs / "squenv", "bench", image, "--", "sh", "-c",
                             f"cat {tree}/lib/*.py; sleep 1"])
        time.sleep(delay)
        timing.kill()
        timing.wait()
        wait_for(lambda: not mounts_below(work.path), f"the end of the mount after {delay} s")
    wait_for(lambda: not [name for name in set(os.listdir("/tmp")) - before
                          if name.startswith("squenv-bench")], "the end of the trace")
