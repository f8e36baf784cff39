# SPDX-License-Identifier: MIT
"""`squenv diff`: what it says of packages and files, and that it finds exactly what differs."""

import json
import os
import random
import shutil
import stat

import pytest

from support import trees
from support.processes import check, run

SITE = "lib/python3.11/site-packages"


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def install(tree, name, version, files=2):
    """As pip installs a wheel."""
    record = tree / SITE / f"{name.replace('-', '_')}-{version}.dist-info"
    write(record / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText\n")
    for i in range(files):
        write(tree / SITE / name.replace("-", "_") / f"module{i}.py", f"V = {version!r}, {i}\n")


def packed(work, tree, name, *options):
    image = work.path / name
    check(work.command("pack", "-q", "-f", tree, "-o", image, *options, user=False))
    return image


def diff(work, *arguments, status=1):
    result = work.squenv("diff", *arguments)
    assert (result.returncode, result.stderr) == (status, ""), result
    return result.stdout


def as_json(work, *arguments, status=1):
    return json.loads(diff(work, "--json", *arguments, status=status))


@pytest.fixture
def tree(work):
    path = work.directory("env", user=False)
    write(path / "pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n")
    for name, version in [("numpy", "1.26.3"), ("Flask-Login", "0.6"), ("six", "1.16.0")]:
        install(path, name, version)
    write(path / "bin/tool", "#!/bin/sh\n", 0o755)
    (path / "bin/python").symlink_to("/usr/bin/python3")
    return path


def test_text_names_packages_and_files(work, tree):
    before = packed(work, tree, "before.squashfs")
    shutil.rmtree(tree / SITE / "six")
    shutil.rmtree(tree / SITE / "six-1.16.0.dist-info")
    shutil.rmtree(tree / SITE / "numpy-1.26.3.dist-info")
    install(tree, "numpy", "1.26.4")
    install(tree, "einops", "0.8.0", files=3)
    write(tree / SITE / "einops/__pycache__/module0.cpython-311.pyc", "x")
    write(tree / SITE / "numpy/__pycache__/module0.cpython-311.pyc", "y")
    write(tree / "pyvenv.cfg", "home = /usr/bin\nversion = 3.11.9\n")
    (tree / "bin/tool").chmod(0o700)
    (tree / "bin/python").unlink()
    (tree / "bin/python").symlink_to("/usr/bin/python3.11")
    after = packed(work, tree, "after.squashfs")
    assert diff(work, before, after).splitlines() == [
        "packages:",
        "  ~ Python 3.11.2 -> 3.11.9",
        "  + einops 0.8.0",
        "  - six 1.16.0",
        "  ~ numpy 1.26.3 -> 1.26.4",
        "files:",
        "  ~ bin/python: target /usr/bin/python3 -> /usr/bin/python3.11",
        "  ~ bin/tool: mode 0755 -> 0700",
        f"  + {SITE}/einops/ (4 files, 46 B)",
        f"  + {SITE}/einops-0.8.0.dist-info/ (1 file, 56 B)",
        f"  ~ {SITE}/numpy/module0.py: content",
        f"  ~ {SITE}/numpy/module1.py: content",
        f"  - {SITE}/numpy-1.26.3.dist-info/ (1 file, 56 B)",
        f"  + {SITE}/numpy-1.26.4.dist-info/ (1 file, 56 B)",
        f"  - {SITE}/six/ (2 files, 32 B)",
        f"  - {SITE}/six-1.16.0.dist-info/ (1 file, 54 B)",
        "  ~ pyvenv.cfg: content",
        "  1 .pyc: 1 added, 0 removed, 0 changed; --all lists them",
    ]
    everything = diff(work, "--all", before, after)
    for name in ["einops/module0.py", "einops/__pycache__/module0.cpython-311.pyc",
                 "numpy/__pycache__/module0.cpython-311.pyc"]:
        assert f"  + {SITE}/{name}\n" in everything
    assert "--all" not in everything
    short = diff(work, "--packages", before, after)
    assert short.splitlines() == diff(work, before, after).splitlines()[:5]
    turned = as_json(work, after, before)
    assert [p["name"] for p in turned["packages"]["removed"]] == ["einops"]
    assert turned["python"] == {"before": "3.11.9", "after": "3.11.2"} and not turned["same"]


def test_what_is_the_same_is_silent(work, tree):
    before = packed(work, tree, "before.squashfs")
    os.utime(tree / "bin/tool", (1, 1))
    os.chown(tree / "bin/tool", 1000, 1000)
    after = packed(work, tree, "after.squashfs", "--codec", "gzip", "-b", "4K")
    assert diff(work, before, before, status=0) == ""
    assert diff(work, before, after, status=0) == ""
    facts = as_json(work, before, after, status=0)
    assert facts["same"] and facts["files"] == [] and facts["packages"]["updated"] == []
    write(tree / "bin/tool", "#!/bin/sh\n# other\n", 0o755)
    other = packed(work, tree, "other.squashfs")
    assert diff(work, "--packages", before, other, status=0) == ""
    assert diff(work, before, other) == "files:\n  ~ bin/tool: size 10 -> 18\n"


def test_packages_of_conda(work):
    tree = work.directory("lab", user=False)
    write(tree / "conda-meta/history", "")
    write(tree / "conda-meta/numpy-1.26.4-py311h64a7726_0.json", "{}")
    write(tree / "conda-meta/zlib-1.3-h0_0.json", "{}")
    install(tree, "numpy", "1.26.4")
    before = packed(work, tree, "before.squashfs")
    (tree / "conda-meta/numpy-1.26.4-py311h64a7726_0.json").rename(
        tree / "conda-meta/numpy-1.26.4-py311h64a7726_1.json")
    (tree / "conda-meta/zlib-1.3-h0_0.json").rename(tree / "conda-meta/zlib-1.4-h0_0.json")
    after = packed(work, tree, "after.squashfs")
    assert diff(work, "--packages", before, after).splitlines() == [
        "packages:", "  ~ numpy 1.26.4 py311h64a7726_0 -> 1.26.4 py311h64a7726_1",
        "  ~ zlib 1.3 -> 1.4"]
    facts = as_json(work, "--packages", before, after)
    assert "files" not in facts
    assert facts["packages"]["updated"][1] == {
        "name": "zlib", "before": {"name": "zlib", "version": "1.3", "build": "h0_0"},
        "after": {"name": "zlib", "version": "1.4", "build": "h0_0"}}


def test_types_and_names_that_a_terminal_would_obey(work):
    tree = work.directory("tree", user=False)
    write(tree / "was-file", "x")
    write(tree / "red\x1b[31m", "x")
    os.mkfifo(tree / "fifo")
    before = packed(work, tree, "before.squashfs")
    (tree / "was-file").unlink()
    (tree / "was-file").mkdir(mode=0o755)
    write(tree / "was-file/inside", "y")
    (tree / "red\x1b[31m").unlink()
    (tree / "fifo").unlink()
    (tree / "fifo").symlink_to("was-file")
    after = packed(work, tree, "after.squashfs")
    lines = diff(work, before, after).splitlines()
    assert lines[1].startswith("  ~ fifo: fifo -> symlink, mode ")
    assert lines[2:] == ["  - red\\x1b[31m",
                         "  ~ was-file: file -> directory, mode 0644 -> 0755",
                         "  + was-file/inside"]


def change(tree, generator):
    """Changes some files; returns what a diff has to find, by path."""
    expected = {}
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    for path in generator.sample(files, 12):
        name = str(path.relative_to(tree))
        content = bytearray(path.read_bytes())
        kind = generator.choice(["byte", "longer", "gone", "mode"])
        if kind == "byte" and content:
            content[generator.randrange(len(content))] ^= 0x40
            path.write_bytes(content)
            expected[name] = ("changed", True)
        elif kind in ("byte", "longer"):
            path.write_bytes(bytes(content) + b"more")
            expected[name] = ("changed", False)
        elif kind == "gone":
            path.unlink()
            expected[name] = ("removed", None)
        else:
            path.chmod(stat.S_IMODE(path.stat().st_mode) ^ 0o111)
            expected[name] = ("changed", False)
    write(tree / "d0/new", b"new")
    expected["d0/new"] = ("added", None)
    return expected


PACKERS = {
    "same": ([], []),
    "order": (["--codec", "zstd"], ["--codec", "zstd", "--no-fragments"]),
    "codecs": (["--codec", "lz4"], ["--codec", "xz", "-b", "16K"]),
    "plain": (["--no-appendix"], []),
}


@pytest.mark.parametrize("packers", [*PACKERS, "mksquashfs"])
def test_finds_exactly_what_differs(work, packers):
    generator = random.Random(packers)
    tree = work.directory("tree", user=False)
    for i in range(120):
        size = generator.choice([0, 1, 100, 5000, 70_000, 131_072, 400_000])
        write(tree / f"d{i % 7}/f{i}", generator.randbytes(size // 3) * 3)
    write(tree / "d0/holes", b"")
    os.truncate(tree / "d0/holes", 3_000_000)
    old, new = PACKERS.get(packers, ([], []))
    before = packed(work, tree, "before.squashfs", *old)
    expected = change(tree, generator)
    if packers == "mksquashfs":
        after = trees.mksquashfs(tree, work.path / "after.squashfs", "-comp", "gzip")
    else:
        after = packed(work, tree, "after.squashfs", *new)
    facts = as_json(work, before, after)
    assert {entry["path"]: (entry["change"], entry.get("content"))
            for entry in facts["files"]} == expected


def test_digests_spare_the_reading(work):
    """What is stored alike is not read: damage in it goes unnoticed here, and not by verify."""
    tree = work.directory("tree", user=False)
    write(tree / "large", random.Random(1).randbytes(3_000_000))
    write(tree / "small", "a")
    before = packed(work, tree, "before.squashfs")
    write(tree / "small", "b")
    after = packed(work, tree, "after.squashfs")
    content = bytearray(before.read_bytes())
    at = content.index((tree / "large").read_bytes()[1_000_000:1_000_100])
    content[at] ^= 1
    before.write_bytes(content)
    assert diff(work, before, after) == "files:\n  ~ small: content\n"
    assert work.squenv("verify", before).returncode == 3
    plain = packed(work, tree, "plain.squashfs", "--no-appendix")
    assert "large: content" in diff(work, before, plain)


def test_trouble_is_no_answer(work, tree):
    image = packed(work, tree, "image.squashfs")
    for arguments, reason in [([image], "NEW is required"),
                              ([image, work.path / "none"], "No such file"),
                              ([image, tree / "pyvenv.cfg"], "not a squashfs image")]:
        result = work.squenv("diff", *arguments)
        assert (result.returncode, result.stdout) == (2, ""), result
        assert reason in result.stderr
    result = run(["sh", "-c", 'exec "$@" >/dev/full', "sh",
                  *work.command("diff", "--json", image, image)])
    assert result.returncode == 2 and "cannot write the output" in result.stderr


def test_damaged_content_is_trouble(work):
    tree = work.directory("tree", user=False)
    write(tree / "text", "line of text\n" * 50_000)
    before = packed(work, tree, "before.squashfs", "--no-appendix")
    write(tree / "text", "Line of text\n" * 50_000)
    after = packed(work, tree, "after.squashfs")
    content = bytearray(before.read_bytes())
    content[112:176] = bytes(64)
    before.write_bytes(content)
    result = work.squenv("diff", before, after)
    assert (result.returncode, result.stdout) == (2, "") and "text: " in result.stderr
