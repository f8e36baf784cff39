# SPDX-License-Identifier: MIT
"""--compile on a real environment: every module has a compiled form that nothing invalidates."""
import json
import os
import py_compile
import struct
import sys

import pytest

from pack_support import PACK, describe, run

UNCHECKED = 1  # the flags of a compiled form: by hash, and never compared


@pytest.fixture
def environment(tmp_path):
    """Modules whose compiled forms are missing, fresh, stale, checked by hash, and impossible."""
    root = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", root)
    packages = next((root / "lib").glob("python3.*")) / "site-packages"
    (packages / "pkg").mkdir()
    for name in ("__init__", "missing", "fresh", "stale", "checked"):
        (packages / "pkg" / f"{name}.py").write_text(f"name = {name!r}\n")
        os.utime(packages / "pkg" / f"{name}.py", (0, 1_600_000_000))
    py_compile.compile(packages / "pkg" / "fresh.py")
    py_compile.compile(packages / "pkg" / "checked.py",
                       invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    py_compile.compile(packages / "pkg" / "stale.py")
    (packages / "pkg" / "stale.py").write_text("name = 'newer'\n")
    os.utime(packages / "pkg" / "stale.py", (0, 1_600_000_099))
    return root, packages


def flags_of(directory):
    found = {}
    for path in (directory / "__pycache__").glob("*.pyc"):
        found[path.name.split(".")[0]] = struct.unpack_from("<I", path.read_bytes(), 4)[0]
    return found


def sources_of(tree):
    return {path: facts for path, facts in describe(tree).items() if b"__pycache__" not in path}


def without_times_of_directories(facts):
    return {path: {key: value for key, value in entry.items()
                   if key != "mtime" or "content" in entry} for path, entry in facts.items()}


def without_nlink(facts):
    return {path: {key: value for key, value in entry.items() if key != "nlink"}
            for path, entry in facts.items()}


def test_compile(environment, tmp_path):
    root, packages = environment
    assert flags_of(packages / "pkg") == {"fresh": 0, "stale": 0, "checked": 3}
    before = sources_of(root)
    done = run(PACK, "--compile", root, "-o", tmp_path / "image")
    assert b"compile" not in done.stderr, done.stderr  # nothing to find fault with any more
    # The tree has its compiled forms and is otherwise what it was.
    changed = without_nlink(without_times_of_directories(sources_of(root)))
    assert changed == without_nlink(without_times_of_directories(before))
    run("unsquashfs", "-no-progress", "-quiet", "-d", tmp_path / "out", tmp_path / "image")
    inside = tmp_path / "out" / packages.relative_to(root)
    names = {"__init__", "missing", "fresh", "stale", "checked"}
    assert flags_of(inside / "pkg") == dict.fromkeys(names, UNCHECKED)
    # The forms say what the sources say now, and serve without them.
    for source in (inside / "pkg").glob("*.py"):
        source.write_text("raise SystemExit('compiled form not used')\n")
    said = run(tmp_path / "out" / "bin" / "python", "-B", "-c",
               "import pkg, pkg.missing, pkg.fresh, pkg.stale, pkg.checked; print(pkg.stale.name)")
    assert said.stdout == b"newer\n"


def test_modules_that_cannot_be_compiled(environment, tmp_path):
    root, packages = environment
    (packages / "pkg" / "template.py").write_text("def {{ name }}():\n")
    done = run(PACK, "--compile", "--json", root, "-o", tmp_path / "image")
    assert b"template.py" in done.stderr and b"some modules could not be compiled" in done.stderr
    json.loads(done.stdout)
    assert flags_of(packages / "pkg")["missing"] == UNCHECKED
    assert "template" not in flags_of(packages / "pkg")


def test_environment_without_its_interpreter(environment, tmp_path):
    root, _ = environment
    for link in (root / "bin").glob("python*"):
        link.unlink()
    done = run(PACK, "--compile", root, "-o", tmp_path / "image", check=False)
    assert done.returncode == 1 and b"bin/python: No such file" in done.stderr
    assert b"pack without --compile" in done.stderr and not (tmp_path / "image").exists()


def test_no_environment(tmp_path):
    (tmp_path / "tree").mkdir()
    done = run(PACK, "--compile", tmp_path / "tree", "-o", tmp_path / "image", check=False)
    assert done.returncode == 2 and b"is not a Python environment" in done.stderr
    assert os.listdir(tmp_path) == ["tree"]


def test_tree_that_cannot_be_written(environment, tmp_path):
    """The compiled forms go into the tree; one on a read-only disk is packed as it is, and the
    packer says that."""
    root, packages = environment
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    point = tmp_path / "read-only"
    point.mkdir()
    run("mount", "--bind", root, point)
    try:
        run("mount", "-o", "remount,ro,bind", point)
        done = run(PACK, "--compile", point, "-o", tmp_path / "image")
    finally:
        run("umount", point)
    assert b"some modules could not be compiled" in done.stderr
    assert (tmp_path / "image").exists()
