# SPDX-License-Identifier: MIT
"""--compile on a real environment: every module in the image has a compiled form that nothing
invalidates, and the environment stays as it was."""
import json
import marshal
import os
import py_compile
import signal
import struct
import subprocess
import sys

import pytest

from pack_support import PACK, describe, names_in, run

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


def run_copy(python, *words):
    """The interpreter of a tree that was unpacked elsewhere."""
    return run(python, "-B", *words).stdout


NAMES = {"__init__", "missing", "fresh", "stale", "checked"}


def unpacked(image, target):
    run("unsquashfs", "-no-progress", "-quiet", "-d", target, image)
    return target


def test_compile(environment, tmp_path):
    root, packages = environment
    before = describe(root)
    done = run(PACK, "--compile", root, "-o", tmp_path / "image")
    assert b"compile" not in done.stderr, done.stderr  # nothing to find fault with any more
    assert describe(root) == before
    out = unpacked(tmp_path / "image", tmp_path / "out")
    inside = out / packages.relative_to(root)
    assert flags_of(inside / "pkg") == dict.fromkeys(NAMES, UNCHECKED)
    # The forms say what the sources say now, and serve without them.
    for source in (inside / "pkg").glob("*.py"):
        source.write_text("raise SystemExit('compiled form not used')\n")
    said = run_copy(out / "bin" / "python", "-c",
                    "import pkg, pkg.missing, pkg.fresh, pkg.stale, pkg.checked; "
                    "print(pkg.stale.name)")
    assert said == b"newer\n"
    # The environment itself goes on being edited.
    (packages / "pkg" / "stale.py").write_text("name = 'newest'\n")
    assert run_copy(root / "bin" / "python", "-c",
                    "import pkg.stale; print(pkg.stale.name)") == b"newest\n"


def test_levels(environment, tmp_path):
    root, packages = environment
    before = describe(root)
    done = run(PACK, "--compile=2,0,1,1", root, "-o", tmp_path / "image")
    assert b"compile" not in done.stderr, done.stderr
    assert describe(root) == before
    out = unpacked(tmp_path / "image", tmp_path / "out")
    cache = out / packages.relative_to(root) / "pkg" / "__pycache__"
    tags = [path.name.split(".", 2)[2] for path in cache.glob("missing.*")]
    assert sorted(tags) == ["opt-1.pyc", "opt-2.pyc", "pyc"]
    for option in ([], ["-O"], ["-OO"]):
        said = run(out / "bin" / "python", "-B", "-v", *option, "-c", "import pkg.missing")
        (line,) = [line for line in said.stderr.decode().splitlines()
                   if "pkg/" in line and "missing" in line and "code object" in line]
        assert "__pycache__" in line, line


@pytest.mark.parametrize("levels", ["3", "-1", "0,x", "all", "0,,1", ","])
def test_levels_that_do_not_exist(environment, tmp_path, levels):
    done = run(PACK, f"--compile={levels}", environment[0], "-o", tmp_path / "image", check=False)
    assert done.returncode == 2 and b"is not a level" in done.stderr
    assert not (tmp_path / "image").exists()


def test_same_bytes_each_time(environment, tmp_path):
    """Whenever, wherever and by whom the compiled forms are made."""
    images = set()
    for mask, temporary in ((0o022, "a"), (0o077, "b")):
        (tmp_path / temporary).mkdir()
        old = os.umask(mask)
        try:
            run(PACK, "-q", "-f", "--compile", environment[0], "-o", tmp_path / "image",
                env=dict(os.environ, TMPDIR=os.fspath(tmp_path / temporary), PYTHONHASHSEED="7",
                         PYTHONOPTIMIZE="1", PYTHONPYCACHEPREFIX="/nonexistent"))
        finally:
            os.umask(old)
        images.add((tmp_path / "image").read_bytes())
        assert os.listdir(tmp_path / temporary) == []
    assert len(images) == 1


def test_excluded_modules_are_not_packed_compiled(environment, tmp_path):
    root, packages = environment
    (packages / "pkg" / "tests").mkdir()
    (packages / "pkg" / "tests" / "t.py").write_text("")
    run(PACK, "-q", "--compile", "-x", "tests/", "-x", "missing.*", root, "-o", tmp_path / "image")
    names = names_in(tmp_path / "image")
    assert not [name for name in names if "/tests" in name or "missing" in name]
    assert [name for name in names if "fresh.cpython" in name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_it_compiles(environment, tmp_path, number):
    """Neither the tree nor the directory for compiled forms keeps anything."""
    root, packages = environment
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # Compiling waits until it is told to end: nothing can be faster than the signal.
    started = tmp_path / "started"
    os.mkfifo(started)
    (packages / "hook.pth").write_text(
        "import os, sys; 'compileall' in sys.orig_argv and "
        f"(open({os.fspath(started)!r}, 'w').write('x'), __import__('signal').pause())\n")
    before = describe(root)
    packer = subprocess.Popen([PACK, "--compile", root, "-o", tmp_path / "image"],
                              env=dict(os.environ, TMPDIR=os.fspath(temporary)),
                              stderr=subprocess.PIPE,
                              preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    with open(started, "rb") as fifo:
        assert fifo.read(1) == b"x"
    packer.send_signal(number)
    _, message = packer.communicate(timeout=60)
    assert packer.returncode == 1 and b"stopped on request" in message, message
    assert describe(root) == before
    assert os.listdir(temporary) == [] and not (tmp_path / "image").exists()


def test_directory_for_forms_is_not_packed(environment, tmp_path):
    root, _ = environment
    done = run(PACK, "--compile", root, "-o", tmp_path / "image", check=False,
               env=dict(os.environ, TMPDIR=os.fspath(root / "lib")))
    assert done.returncode == 2 and b"is in the tree" in done.stderr


def test_a_disk_that_becomes_full(environment, tmp_path):
    """Python takes a short write for a whole one: no form is packed that was cut."""
    root, packages = environment
    for number in range(20):
        (packages / "pkg" / f"large{number}.py").write_text(
            "".join(f"V{i} = 'text {number} {i}'\n" for i in range(5000)))
    place = tmp_path / "place"
    place.mkdir()
    ends = set()
    for kib in (1100, 1500, 2000, 2500, 3000, 12000):
        run("mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", place)
        try:
            done = run(PACK, "-q", "-f", "--compile", root, "-o", tmp_path / "image", check=False,
                       env=dict(os.environ, TMPDIR=os.fspath(place)))
        finally:
            run("umount", place)
        ends.add(done.returncode)
        if done.returncode != 0:
            assert b"no room for all forms" in done.stderr and os.fspath(place) in str(done.stderr)
            assert not (tmp_path / "image").exists()
    assert ends == {0, 1}
    inside = unpacked(tmp_path / "image", tmp_path / "out") / packages.relative_to(root)
    forms = list((inside / "pkg" / "__pycache__").glob("large*.pyc"))
    assert len(forms) == 20
    for form in forms:
        marshal.loads(form.read_bytes()[16:])


def test_without_semaphores(environment, tmp_path):
    """They are files in /dev/shm. Python makes its worker processes with them."""
    root, packages = environment
    run("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none /dev/shm; exec "$@"', "sh",
        PACK, "-q", "--compile", root, "-o", tmp_path / "image")
    inside = unpacked(tmp_path / "image", tmp_path / "out") / packages.relative_to(root)
    assert set(flags_of(inside / "pkg")) == NAMES


def test_modules_that_cannot_be_compiled(environment, tmp_path):
    root, packages = environment
    (packages / "pkg" / "template.py").write_text("def {{ name }}():\n")
    done = run(PACK, "--compile", "--json", root, "-o", tmp_path / "image")
    assert b"template.py" in done.stderr and b"some modules could not be compiled" in done.stderr
    json.loads(done.stdout)
    inside = unpacked(tmp_path / "image", tmp_path / "out") / packages.relative_to(root)
    assert flags_of(inside / "pkg")["missing"] == UNCHECKED
    assert "template" not in flags_of(inside / "pkg")


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
    """One on a read-only disk is compiled as well."""
    root, packages = environment
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    point = tmp_path / "read-only"
    point.mkdir()
    run("mount", "--bind", root, point)
    try:
        run("mount", "-o", "remount,ro,bind", point)
        run(PACK, "-q", "--compile", point, "-o", tmp_path / "image")
    finally:
        run("umount", point)
    inside = unpacked(tmp_path / "image", tmp_path / "out") / packages.relative_to(root)
    assert flags_of(inside / "pkg") == dict.fromkeys(NAMES, UNCHECKED)
