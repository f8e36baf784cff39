# SPDX-License-Identifier: MIT
"""The static file for another machine, by qemu's user mode: all that mounts nothing.

SQUENV_OTHER names the file, as 'tools/release --host' makes it; SQUENV_STATIC that of this machine,
which must write the same bytes.
"""

import os
import shutil
from pathlib import Path

import pytest

from support.processes import check

MACHINES = {183: "aarch64", 62: "x86_64"}  # of the ELF header


@pytest.fixture(scope="module")
def other():
    """The words that run it."""
    if "SQUENV_OTHER" not in os.environ:
        pytest.skip("SQUENV_OTHER names no static file of another machine")
    path = Path(os.environ["SQUENV_OTHER"]).resolve()
    machine = MACHINES[int.from_bytes(path.read_bytes()[18:20], "little")]
    emulator = shutil.which(f"qemu-{machine}-static")
    if emulator is None:
        pytest.skip(f"qemu-{machine}-static is not installed (qemu-user-static)")
    return [emulator, path]


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "tree"
    (path / "lib").mkdir(parents=True)
    (path / "lib/lines").write_text("".join(f"{number}\n" for number in range(20000)))
    shutil.copy("/bin/sh", path / "program")
    return path


def test_it_is_a_static_program_with_all_but_lzo(other):
    assert "NEEDED" not in check(["readelf", "-d", other[1]]).stdout
    features = check([*other, "--version"]).stdout.splitlines()[1].split()
    assert features == ["static", "zstd", "gzip", "xz", "lz4", "tar", "labels"]


@pytest.mark.parametrize("codec", ["zstd", "gzip", "xz", "lz4"])
def test_packs_and_reads_with_every_codec(codec, other, tree, tmp_path):
    image = tmp_path / "image.squashfs"
    check([*other, "pack", "-q", "--codec", codec, tree, "-o", image])
    check([*other, "verify", "-q", image])
    assert codec in check([*other, "info", image]).stdout
    lines = (tree / "lib/lines").read_text()
    assert check([*other, "cat", image, "lib/lines"]).stdout == lines
    check([*other, "extract", "-q", image, tmp_path / "back"])
    assert (tmp_path / "back/program").read_bytes() == (tree / "program").read_bytes()
    if "SQUENV_STATIC" in os.environ:
        ours = tmp_path / "ours.squashfs"
        check([os.environ["SQUENV_STATIC"], "pack", "-q", "--codec", codec, tree, "-o", ours])
        assert ours.read_bytes() == image.read_bytes()


def test_packs_a_tar_archive(other, tree, tmp_path):
    check(["tar", "-C", tree, "-czf", tmp_path / "a.tar.gz", "."])
    image = tmp_path / "image.squashfs"
    check([*other, "pack", "-q", "--tar", tmp_path / "a.tar.gz", "-o", image])
    assert "lib/lines" in check([*other, "ls", "-R", image]).stdout
