# SPDX-License-Identifier: MIT
"""Packing tells the truth: what Python finds in a mounted image is what the tree had, and the tree
is left as it was."""

import os
import shutil
import zipfile

import pytest

from pack_support import compiled_lies
from run_support import packed, squenv_run, wait_until_nothing_is_left
from support.processes import AS_USER, check, run

pytestmark = pytest.mark.usefixtures("settled")

PROBE = ["python", "-c", "import probe; print(probe.VALUE)"]
MIB = 1 << 20


def site_of(tree):
    return next(tree.glob("lib/python3*/site-packages"))


def make_environment(work, *options):
    """One of the user's, with a compiled module."""
    tree = work.path / "env"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", *options, tree], user=True)
    probe = site_of(tree) / "probe.py"
    probe.write_text("VALUE = 42\n", encoding="ascii")
    check([tree / "bin/python", "-m", "compileall", "-q", site_of(tree)])
    check(["chown", "-hR", "1000:1000", tree])
    return tree


@pytest.fixture
def live(work):
    return make_environment(work)


# Source: ostreedev/ostree#1469, advancedtelematic/meta-updater#461.
@pytest.mark.parametrize("epoch", ["315532800", "1600000000"])
def test_times_that_are_clamped_leave_compiled_forms_in_use(epoch, work, live, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    image = packed(work, live)
    result = squenv_run(work, image, ["python", "-v", *PROBE[1:]])
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr
    said = [line for line in result.stderr.splitlines() if "probe" in line]
    assert any("matches" in line for line in said) and not any("stale" in line for line in said)
    wait_until_nothing_is_left(work, live)


# Source: conda/conda-build#370.
def test_compiled_for_the_image_alone(work, live):
    image = work.path / "image"
    check(work.command("pack", "-q", "--compile", live, "-o", image))
    (site_of(live) / "probe.py").write_text("VALUE = 4300\n", encoding="ascii")
    assert check([live / "bin/python", *PROBE[1:]], user=True).stdout == "4300\n"
    result = squenv_run(work, image, PROBE)
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr
    wait_until_nothing_is_left(work, live)
    assert check([live / "bin/python", *PROBE[1:]], user=True).stdout == "4300\n"


# Source: untitaker/python-atomicwrites#11, google/renameio#19.
def test_replaced_image_keeps_its_readers(work, other, live):
    image = work.path / "v1.squashfs"
    current = work.path / "current.squashfs"
    current.symlink_to(image.name)

    def pack(*options):
        check(["sh", "-c", 'umask 077; exec "$@"', "sh",
               *work.command("pack", "-q", *options, live, "-o", current, user=False)])
    pack()
    image.chmod(0o640)
    os.chown(image, 0, 34321)
    check(["setfacl", "-m", "u:1000:r", image])
    (site_of(live) / "probe.py").write_text("VALUE = 4300\n", encoding="ascii")
    pack("-f")
    assert current.is_symlink() and not image.is_symlink()
    info = image.stat()
    assert (info.st_mode & 0o777, info.st_gid) == (0o640, 34321)
    result = squenv_run(work, current, PROBE)
    assert (result.returncode, result.stdout) == (0, "4300\n"), result.stderr
    assert "Permission denied" in other("info", current).stderr
    wait_until_nothing_is_left(work, live)


# Source: openzfs/zfs#15526, openzfs/zfs#11900.
@pytest.mark.parametrize("answer", ["ENXIO", "EINVAL", "EOPNOTSUPP"])
@pytest.mark.parametrize("at", [0, 5_000_000, 8 * MIB - 4])
def test_data_where_the_file_system_tells_of_holes(at, answer, work):
    tree = work.directory("tree")
    with open(tree / "file", "wb") as file:
        file.seek(at)
        file.write(b"DATA")
        file.truncate(8 * MIB)
    image = work.path / "image"
    result = run([*AS_USER, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=lseek", "-e",
                  f"inject=lseek:error={answer}",
                  *work.command("pack", "-q", "--verify", tree, "-o", image, user=False)])
    assert (result.returncode, result.stderr) == (0, "")
    content = check(work.command("cat", image, "file"), text=False).stdout
    assert content == (tree / "file").read_bytes()


# Source: ipfs/kubo#11429, restic/restic#1631.
def test_environment_on_a_file_system_with_numbers_that_change(work, live):
    image = work.path / "image"
    result = run([*AS_USER, "env", f"LD_PRELOAD={compiled_lies(work.path)}", "NEW_NUMBERS=1",
                  *work.command("pack", "-q", "--verify", live, "-o", image, user=False)])
    assert (result.returncode, result.stderr) == (0, "")
    result = squenv_run(work, image, PROBE)
    assert (result.returncode, result.stdout) == (0, "42\n"), result.stderr
    wait_until_nothing_is_left(work, live)


# Source: jcrist/venv-pack#5.
def test_environment_that_needs_packages_of_the_system(work):
    tree = make_environment(work, "--system-site-packages")
    image = work.path / "image"
    lines = check(work.command("pack", tree, "-o", image)).stderr.splitlines()
    (line,) = [line for line in lines if "include-system-site-packages" in line]
    assert line.startswith("squenv pack: pyvenv.cfg: ")


# Source: ashleykleynhans/runpod-worker-comfyui#2.
@pytest.mark.parametrize("target", ["/opt/no-module/bin/python3", "python3"],
                         ids=["missing", "loop"])
def test_interpreter_that_is_not_on_the_node(target, work, live):
    for name in ["python", "python3"]:
        (live / "bin" / name).unlink()
        (live / "bin" / name).symlink_to("python3" if name == "python" else target)
    image = work.path / "image"
    assert "bin/python3" in check(work.command("pack", live, "-o", image)).stderr
    shutil.rmtree(live)
    live.mkdir()
    os.chown(live, 1000, 1000)
    result = squenv_run(work, image, ["python3", "-c", "import sys; print(sys.prefix)"])
    assert (result.returncode, result.stdout) == (127, ""), result
    wait_until_nothing_is_left(work, live)


# Source: conda/conda-pack#261.
def test_prefix_of_conda_is_used_where_it_is(work):
    tree = work.directory("prefix")
    for directory in ["bin", "conda-meta"]:
        (tree / directory).mkdir()
    (tree / "conda-meta/history").write_text("", encoding="ascii")
    (tree / "bin/hello").write_text("#!/bin/sh\necho $CONDA_PREFIX\n", encoding="ascii")
    (tree / "bin/hello").chmod(0o755)
    image = packed(work, tree)
    result = squenv_run(work, image, ["hello"])
    assert (result.returncode, result.stdout) == (0, f"{tree}\n"), result.stderr
    wait_until_nothing_is_left(work, tree)


def make_wheel(directory):
    """A package of one module, as pip takes it without a network."""
    wheel = directory / "demo-2.0-py3-none-any.whl"
    files = {"demo.py": "VERSION = 2\n",
             "demo-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 2.0\n",
             "demo-2.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
                                         "Root-Is-Purelib: true\nTag: py3-none-any\n"}
    files["demo-2.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in
                                                 [*files, "demo-2.0.dist-info/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


# How a site changes an environment: unpack it at its path, install, pack it again.
def test_environment_is_changed_and_packed_again(work):
    tree = work.path / "env"
    check(["/usr/bin/python3", "-m", "venv", tree], user=True)
    (site_of(tree) / "probe.py").write_text("VALUE = 42\n", encoding="ascii")
    old = packed(work, tree)
    check(work.command("extract", "-q", old, tree))
    same = work.path / "same.squashfs"
    check(work.command("pack", "-q", tree, "-o", same))
    assert same.read_bytes() == old.read_bytes(), "nothing was changed"
    check([tree / "bin/python", "-m", "pip", "install", "-q", "--no-index",
           "--disable-pip-version-check", make_wheel(work.path)], user=True)
    new = work.path / "new.squashfs"
    check(work.command("pack", "-q", tree, "-o", new))
    command = ["python", "-c", "import demo, probe; print(demo.VERSION, probe.VALUE)"]
    result = squenv_run(work, new, command)
    assert (result.returncode, result.stdout) == (0, "2 42\n"), result.stderr
    wait_until_nothing_is_left(work, tree)
    before = squenv_run(work, old, command)
    assert "No module named 'demo'" in before.stderr, before
    wait_until_nothing_is_left(work, tree)


# Packing what is only mounted there gives the old image again, edits or not.
def test_mount_of_an_image_is_not_packed_without_a_word(work, venv_image, venv_source):
    mount = work.mount(venv_image, venv_source)
    result = work.squenv("pack", venv_source, "-o", work.path / "again")
    assert f"is a mount of {venv_image}" in result.stderr, result
    assert f"squenv umount {venv_source}" in result.stderr
    mount.umount()
