# SPDX-License-Identifier: MIT
"""The packer where the system allows few threads: it takes longer, and makes the same image."""
import os
import random
import shutil
import subprocess
import tempfile

import pytest

from pack_support import IS_ROOT, PACK, SQUENV, digest, run

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root to become a user without processes")
USER = 31777  # whose processes are only those of the test
needs_reader = pytest.mark.skipif(not os.path.exists(SQUENV), reason="built without the reader")


@pytest.fixture
def place():
    """A directory of that user, with a tree of everything a store pass has to do, in `tree`."""
    path = tempfile.mkdtemp(prefix="squenv-test-", dir="/tmp")
    rng = random.Random(4)
    tree = os.path.join(path, "tree")
    os.mkdir(tree)
    for i in range(60):
        with open(os.path.join(tree, f"small-{i}"), "wb") as file:
            file.write(rng.randbytes(20_000))
    for name in ("large-1", "large-2", "copy-of-large-2"):
        with open(os.path.join(tree, name), "wb") as file:
            file.write(random.Random(name.rsplit("-", 1)[1]).randbytes(4_000_000))
    for name in (path, tree):
        os.chmod(name, 0o755)
    os.chown(path, USER, USER)
    yield path
    shutil.rmtree(path)


def limited(processes, *command):
    words = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups",
             "prlimit", f"--nproc={processes}", *command]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)


@needs_root
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5, 8])
def test_few_threads(place, processes):
    tree = os.path.join(place, "tree")
    run(PACK, "-q", tree, "-o", os.path.join(place, "expected"))
    image = os.path.join(place, "image")
    done = limited(processes, PACK, "-q", "--verify", "-j", "4", "--readers", "4", tree,
                   "-o", image)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert digest(image) == digest(os.path.join(place, "expected"))
    again = os.path.join(place, "again")
    done = limited(processes, PACK, "-q", "--from-image", image, "-o", again)
    assert done.returncode == 0, done.stderr
    assert digest(again) == digest(image)
    assert sorted(os.listdir(place)) == ["again", "expected", "image", "tree"]


@needs_root
@needs_reader
@pytest.mark.parametrize("processes", [1, 2])
def test_few_threads_verify_and_extract(place, processes):
    image = os.path.join(place, "image")
    run(PACK, "-q", os.path.join(place, "tree"), "-o", image)
    os.chmod(image, 0o644)
    done = limited(processes, SQUENV, "verify", "-j", "4", image)
    assert done.returncode == 0, done.stderr
    done = limited(processes, SQUENV, "extract", "-q", "-j", "4", image, os.path.join(place, "out"))
    assert done.returncode == 0, done.stderr
    assert digest(os.path.join(place, "out", "large-1")) == \
        digest(os.path.join(place, "tree", "large-1"))


def test_jobs_have_a_short_name_and_bounds(tmp_path):
    (tmp_path / "tree").mkdir()
    run(PACK, "-q", "-j2", tmp_path / "tree", "-o", tmp_path / "image")
    for words in (["-j", "0"], ["-j", "257"], ["--readers", "257"]):
        done = run(PACK, *words, tmp_path / "tree", "-o", tmp_path / "other", check=False)
        assert done.returncode == 2, (words, done.stderr)


def test_a_limit_of_file_sizes(place):
    """The signal of the system would end the packer without a word."""
    words = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups",
             "prlimit", "--fsize=100000", PACK, "-q", f"{place}/tree", "-o", f"{place}/image"]
    done = run(*words, check=False)
    assert done.returncode == 1, done.stderr
    assert b"image: File too large; raise 'ulimit -f'" in done.stderr, done.stderr
    assert sorted(os.listdir(place)) == ["tree"]
