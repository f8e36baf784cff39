# SPDX-License-Identifier: MIT
"""Every call by which the packer writes, syncs or names something fails once. Whatever call that
is: the packer says so in one line, and there is the old image or none, and nothing else."""
import errno
import functools
import hashlib
import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from pack_support import MAGIC, PACK, compiled_shim, digest, has_unnamed_files, run

# Said by the way: the image has its name, and nothing could be taken back. What closing reports was
# asked for in time, by closing another descriptor of the file.
HARMLESS = ("fsync of a directory", "close")


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


@pytest.fixture(scope="module")
def complete(sources, tmp_path_factory):
    """complete(kind): the digest of the image when nothing fails."""

    @functools.cache
    def digest_of(kind):
        image = tmp_path_factory.mktemp("complete") / "image"
        done = run(PACK, "-q", *sources[kind], "-o", image, check=False)
        if b"built without libarchive" in done.stderr:
            pytest.skip("built without libarchive")
        return digest(image)

    return digest_of


BEFORE = MAGIC + b" the image from before"


def attempt(shim, source, directory, old, call, mode, error, is_named):
    """Packs in a directory of its own with a fault in a call. The name of that call, what the
    packer did, and what there is then: {name: (digest, mode)}."""
    out = directory / "out"
    out.mkdir(parents=True)
    if old:
        (out / "image").write_bytes(BEFORE)
        (out / "image").chmod(0o640)
    done, name = pack_with_fault(shim, directory / "log", [*source, *(["-f"] if old else [])],
                                 out / "image", call, mode, error, is_named)
    left = {file.name: (digest(file), file.stat().st_mode & 0o7777) for file in out.iterdir()}
    shutil.rmtree(directory)
    return name.rstrip("\n"), done, left


def all_attempts(shim, source, directory, old, mode, error, is_named=False):
    """Until no call is left that could fail; two at a time, for they wait for the disk."""
    with ThreadPoolExecutor(2) as pool:
        for first in range(1, 1000, 2):
            pair = [(call, pool.submit(attempt, shim, source, directory / str(call), old, call,
                                       mode, error, is_named)) for call in (first, first + 1)]
            for call, attempted in pair:
                name, done, left = attempted.result()
                yield call, name, done, left
                if name == "":
                    return
    pytest.fail("the packer never ran to its end")


@pytest.mark.parametrize("mode, error", [("once", errno.ENOSPC), ("rest", errno.ENOSPC),
                                         ("short", errno.ENOSPC), ("once", errno.EIO)])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind, is_named", [("directory", False), ("archive", False),
                                            ("image", False), ("directory", True),
                                            ("archive", True)])
def test_every_call_fails_once(shim, sources, complete, tmp_path, kind, is_named, old, mode, error):
    if not is_named and not has_unnamed_files(tmp_path):
        pytest.skip("no files without names here")
    whole = complete(kind)
    before = {"image": (hashlib.sha256(BEFORE).hexdigest(), 0o640)} if old else {}
    failed = []
    for call, name, done, left in all_attempts(shim, sources[kind], tmp_path, old, mode, error,
                                               is_named):
        context = (call, name, done.stderr)
        if done.returncode == 0:
            assert name in ("", *HARMLESS), context
            assert [*left] == ["image"] and left["image"][0] == whole, context
            continue
        failed.append(name)
        assert done.returncode == 1, context
        line, end = done.stderr.split(b"\n")
        assert end == b"" and os.strerror(error).encode() + b"; " in line, context
        assert os.fsencode(tmp_path / str(call) / "out") in line and b"-o" in line, context
        assert left == before, context
    assert failed.count("pwrite") >= 4 and failed.count("fsync") == 2
    if is_named:
        assert "close" in failed and ("rename" if old else "renameat2") in failed
    else:
        # An image that is replaced has its new one under another name first.
        assert failed.count("linkat") == (2 if old else 1) and ("rename" in failed) == old


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOENT, errno.EXDEV, errno.EOPNOTSUPP])
def test_files_without_names_that_get_none(shim, sources, complete, tmp_path, old, error):
    """As security modules and some FUSE file systems have it: the work of hours is not lost."""
    if not has_unnamed_files(tmp_path):
        pytest.skip("no files without names here")
    whole = complete("directory")
    refused = 0
    for _, name, done, left in all_attempts(shim, sources["directory"], tmp_path, old, "once",
                                            error):
        if name == "linkat":
            refused += 1
            assert done.returncode == 0, done.stderr
            assert [*left] == ["image"] and left["image"][0] == whole
            assert not old or left["image"][1] == 0o640
    assert refused == (2 if old else 1)
