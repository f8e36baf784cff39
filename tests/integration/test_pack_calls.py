# SPDX-License-Identifier: MIT
"""How often the packer asks the file system. On a network each of these calls can be a round trip,
so one walk serves the check of an environment and the scan."""
import compileall
import os
import shutil
import subprocess
import sys

import pytest

from pack_support import PACK, run

# Two walks read the names of each directory four times, looked up 3.3 paths for each object and
# made 4.4 calls for it in all, counting what is asked of open files.
LISTINGS_PER_DIRECTORY = 2
LOOKUPS_PER_OBJECT = 2.3
CALLS_PER_OBJECT = 3.7
PACKAGES = 40
MODULES = 10


@pytest.fixture
def environment(tmp_path):
    root = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", "--symlinks", root)
    packages = next((root / "lib").glob("python3.*")) / "site-packages"
    for package in range(PACKAGES):
        directory = packages / f"package{package}"
        directory.mkdir()
        for module in range(MODULES):
            (directory / f"module{module}.py").write_text(f"number = {package * module}\n")
    assert compileall.compile_dir(packages, quiet=1)
    return root


def counts(tmp_path, *command):
    """Calls by name, as strace counts them, of a command that succeeds."""
    table = tmp_path / "calls"
    names = ("openat", "statx", "newfstatat", "fstat", "getdents64")
    done = run("strace", "-f", "-c", "-o", table, "-e", f"trace={','.join(names)}", *command,
               check=False)
    if b"ptrace" in done.stderr.lower():
        pytest.skip("strace may not trace here: " + done.stderr.decode(errors="replace"))
    assert done.returncode == 0, done.stderr
    # % time, seconds, usecs/call, calls, errors when there are some, name
    rows = [line.split() for line in table.read_text().splitlines()]
    found = {row[-1]: int(row[3]) for row in rows if row and row[-1] in names}
    return {name: found.get(name, 0) for name in names}


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_one_walk(environment, tmp_path):
    directories = sum(1 for _ in os.walk(environment))
    objects = directories + sum(len(files) for _, _, files in os.walk(environment))
    objects += sum(os.path.islink(os.path.join(at, name))
                   for at, names, _ in os.walk(environment) for name in names)
    nothing = counts(tmp_path, PACK, "--version")
    packed = counts(tmp_path, PACK, environment, "-o", tmp_path / "image")
    own = {name: count - nothing[name] for name, count in packed.items()}
    # newfstatat of an open directory, which the C library does for each stream, is among these.
    lookups = own["openat"] + own["statx"] + own["newfstatat"]
    print(f"{objects} objects, {directories} directories: {own}; an object takes "
          f"{lookups / objects:.2f} lookups, {(lookups + own['fstat']) / objects:.2f} calls")
    # The margin is for what is done once: pyvenv.cfg, lib, the output.
    assert own["getdents64"] <= LISTINGS_PER_DIRECTORY * directories + 20, own
    assert lookups <= LOOKUPS_PER_OBJECT * objects + 40, own
    assert lookups + own["fstat"] <= CALLS_PER_OBJECT * objects + 40, own


def test_the_check_sees_what_the_scan_leaves_out(environment, tmp_path):
    (environment / "outside").mkdir()
    os.symlink("/nonexistent", environment / "outside" / "link")
    done = run(PACK, environment, "-o", tmp_path / "image", "-x", "outside")
    assert b"outside/link: is a link to /nonexistent, outside the tree" in done.stderr


def test_findings_come_before_the_failure(environment, tmp_path):
    """The order of the lines: what the check found, then why there is no image."""
    os.symlink("/nonexistent", environment / "link")
    (environment / "noise").write_bytes(os.urandom(200_000))
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
    try:
        done = run(PACK, environment, "-o", small / "image", check=False)
    finally:
        subprocess.run(["umount", small], check=True)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and len(lines) == 2, lines
    assert "link: is a link to /nonexistent" in lines[0]
    assert str(small / "image") in lines[1]
