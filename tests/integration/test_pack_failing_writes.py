# SPDX-License-Identifier: MIT
"""Every call by which the packer writes, syncs or names something fails once. Whatever call that
is: the packer says so in one line, and there is the old image or none, and nothing else."""
import errno
import os
import random
import subprocess

import pytest

from pack_support import MAGIC, PACK, compiled_shim, digest, has_unnamed_files, run

# Said by the way: the image has its name, and nothing could be taken back. What closing reports was
# asked for in time, by closing another descriptor of the file.
HARMLESS = ("fsync of a directory\n", "close\n")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compiled_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """One small tree in each form the packer takes; incompressible, for several large writes."""
    root = tmp_path_factory.mktemp("failing")
    tree = root / "tree"
    tree.mkdir()
    rng = random.Random(17)
    for i in range(4):
        (tree / f"small-{i}").write_bytes(rng.randbytes(3000))
    (tree / "empty").touch()
    (tree / "large").write_bytes(rng.randbytes(9_000_000))
    run("tar", "-C", tree, "-cf", root / "archive", ".")
    run(PACK, "-q", tree, "-o", root / "packed", "--codec", "lz4")
    return {"directory": [tree], "archive": ["--tar", root / "archive"],
            "image": ["--from-image", root / "packed"]}


def pack_with_fault(shim, log, source, image, call, mode, error, is_named=False):
    if log.exists():
        log.unlink()
    environment = dict(os.environ, LD_PRELOAD=os.fspath(shim), FAIL_AT=str(call), FAIL_MODE=mode,
                       FAIL_ERRNO=str(error), FAIL_LOG=os.fspath(log))
    if is_named:
        environment["NO_TMPFILE"] = "1"
    done = subprocess.run([PACK, "-q", *map(os.fspath, source), "-o", image], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done, log.read_text() if log.exists() else ""


@pytest.mark.parametrize("mode, error", [("once", errno.ENOSPC), ("rest", errno.ENOSPC),
                                         ("short", errno.ENOSPC), ("once", errno.EIO)])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind, is_named", [("directory", False), ("archive", False),
                                            ("image", False), ("directory", True),
                                           ("archive", True)])
def test_every_call_fails_once(shim, sources, tmp_path, kind, is_named, old, mode, error):
    out = tmp_path / "out"
    out.mkdir()
    image = out / "image"
    if not is_named and not has_unnamed_files(out):
        pytest.skip("no files without names here")
    probe = run(PACK, "-q", *sources[kind], "-o", tmp_path / "complete", check=False)
    if b"built without libarchive" in probe.stderr:
        pytest.skip("built without libarchive")
    complete = digest(tmp_path / "complete")
    failed = []
    for call in range(1, 1000):
        before = b""
        if old:
            before = MAGIC + b" the image from before"
            image.write_bytes(before)
        done, name = pack_with_fault(shim, tmp_path / "log",
                                     [*sources[kind], *(["-f"] if old else [])], image, call, mode,
                                     error, is_named)
        context = (call, name, done.stderr)
        if done.returncode == 0:
            assert name in ("", *HARMLESS), context
            assert os.listdir(out) == ["image"] and digest(image) == complete, context
            image.unlink()
            if name == "":
                break
            continue
        failed.append(name.strip())
        assert done.returncode == 1, context
        line, end = done.stderr.split(b"\n")
        assert end == b"" and os.strerror(error).encode() + b"; " in line, context
        assert os.fsencode(out) in line and b"-o" in line, context
        if old:
            assert os.listdir(out) == ["image"] and image.read_bytes() == before, context
        else:
            assert os.listdir(out) == [], context
    else:
        pytest.fail("the packer never ran to its end")
    assert failed.count("pwrite") >= 4 and failed.count("fsync") == 2
    if is_named:
        assert "close" in failed and ("rename" if old else "renameat2") in failed
    else:
        # An image that is replaced has its new one under another name first.
        assert failed.count("linkat") == (2 if old else 1) and ("rename" in failed) == old


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOENT, errno.EXDEV, errno.EOPNOTSUPP])
def test_files_without_names_that_get_none(shim, sources, tmp_path, old, error):
    """As security modules and some FUSE file systems have it: the work of hours is not lost."""
    out = tmp_path / "out"
    out.mkdir()
    if not has_unnamed_files(out):
        pytest.skip("no files without names here")
    run(PACK, "-q", *sources["directory"], "-o", tmp_path / "complete")
    source = [*sources["directory"], *(["-f"] if old else [])]
    image = out / "image"
    refused = 0
    for call in range(1, 1000):
        if old:
            image.write_bytes(MAGIC + b" the image from before")
            image.chmod(0o640)
        done, name = pack_with_fault(shim, tmp_path / "log", source, image, call, "once", error)
        if name == "":
            break
        if name == "linkat\n":
            refused += 1
            assert done.returncode == 0, done.stderr
            assert os.listdir(out) == ["image"] and digest(image) == digest(tmp_path / "complete")
            assert not old or image.stat().st_mode & 0o7777 == 0o640
        for file in out.iterdir():
            file.unlink()
    assert refused == (2 if old else 1)
