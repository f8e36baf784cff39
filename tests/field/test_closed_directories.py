# SPDX-License-Identifier: MIT
"""Paths and working directories that may not be entered, and entries that cannot be copied: `run`
has the image there all the same."""

import pytest

from run_support import IMPORT, counted, entries_of, expect_import, squenv_run
from support.processes import check, unmount

pytestmark = pytest.mark.usefixtures("settled")


# Source: moby/moby#28859, systemd/systemd#36470.
@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
@pytest.mark.parametrize("below", ["project/venv", "nowhere", "project/venv/and/more"])
def test_path_in_a_closed_directory(below, options, work, cache, closed, plain_image):
    path = closed / below
    beside = work.directory("beside")
    (beside / "file").write_text("seen", encoding="ascii")
    result = squenv_run(work, f"{plain_image}:{path}",
                        ["sh", "-c", f"ls {path} | wc -l; cat {beside}/file"], *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(entries_of(work, plain_image)), "seen"], result
    assert not (closed / "nowhere").exists()


def test_symlink_into_a_closed_directory(work, closed, plain_image):
    link = work.path / "link"
    link.symlink_to(closed / "project" / "venv")
    result = squenv_run(work, f"{plain_image}:{link}", counted(link), "--via", "userns")
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_closed_directory_is_named_with_what_opens_it(work, closed, plain_image):
    path = closed / "project" / "venv"
    for result in [squenv_run(work, f"{plain_image}:{path}", ["true"], "--via", "fusermount"),
                   work.squenv("mount", plain_image, path)]:
        assert result.returncode != 0
        assert f"{closed} may not be entered" in result.stderr, result.stderr
        assert f"setfacl -m u:1000:x {closed}" in result.stderr
    report = work.squenv("doctor", plain_image, path)
    assert report.returncode == 0 and f"setfacl -m u:1000:x {closed}" in report.stdout


# Entries that cannot be copied into a cover.


# Source: apptainer/singularity#4748, apptainer/singularity#757.
def test_entries_that_cannot_be_bound_are_passed_over(work, plain_image):
    parent = work.directory("shelf", user=False)
    (parent / "sibling").write_text("seen", encoding="ascii")
    (parent / "odd").mkdir()
    (parent / "odd-file").touch()
    odd = [parent / "odd", parent / "odd-file"]
    check(["mount", "-t", "tmpfs", "none", odd[0]])
    check(["mount", "--bind", "/etc/passwd", odd[1]])
    try:
        for path in odd:
            check(["mount", "--make-unbindable", path])
        path = parent / "new" / "venv"
        result = squenv_run(work, f"{plain_image}:{path}",
                            ["sh", "-c", f"ls {path} | wc -l; cat {parent}/sibling; echo; "
                                         f"ls {parent} | sort | tr '\\n' ' '"], "--via", "userns")
    finally:
        for path in odd:
            unmount(path)
    assert result.returncode == 0, result.stderr
    count, seen, names = result.stdout.split("\n")
    assert int(count) == entries_of(work, plain_image) and seen == "seen"
    # In the namespace, a file that could not be bound outside may be bound after all.
    assert set(names.split()) - {"odd-file"} == {"new", "odd", "sibling"}


# Working directories.


# Source: apptainer/singularity#6347.
@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_working_directory_that_may_not_be_entered(via, work, cache, closed, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", counted(place), "--via", via, cwd=closed)
    assert result.returncode == 0 and int(result.stdout) == entries_of(work, plain_image), result


def test_working_directory_below_a_closed_one_is_kept(work, closed, plain_image):
    place = work.directory("place")
    inside = closed / "open"
    inside.mkdir()
    inside.chmod(0o755)
    (inside / "file").write_text("here", encoding="ascii")
    result = squenv_run(work, f"{plain_image}:{place}", ["cat", "file"], "--via", "userns",
                        cwd=inside)
    assert result.returncode == 0 and result.stdout == "here", result.stderr


def test_working_directory_below_the_mount_shows_it(work, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", ["ls"], "--via", "userns", cwd=place)
    assert len(result.stdout.splitlines()) == entries_of(work, plain_image), result


def test_groups_cannot_be_changed_in_a_namespace(work, plain_image):
    place = work.directory("place")
    result = squenv_run(work, f"{plain_image}:{place}", ["cat", "/proc/self/setgroups"], "--via",
                        "userns")
    assert result.stdout == "deny\n", result


# A colleague's environment, packed at its path in a home that others may not enter.
@pytest.mark.parametrize("options", [[], ["--via", "userns"], ["--via", "extract"]],
                         ids=["auto", "userns", "extract"])
def test_recorded_path_in_a_closed_home(options, work, cache, closed):
    tree = closed / "project" / "venv"
    tree.rmdir()
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", tree])
    next(tree.glob("lib/python3*/site-packages")).joinpath("probe.py").write_text(
        "VALUE = 42\n", encoding="ascii")
    image = work.path / "image"
    check(work.command("pack", "-q", tree, "-o", image, user=False))
    image.chmod(0o644)
    expect_import(squenv_run(work, image, IMPORT, *options), tree)
    assert work.squenv("doctor", image).returncode == 0
