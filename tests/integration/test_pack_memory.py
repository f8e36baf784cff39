# SPDX-License-Identifier: MIT
"""Little memory: a command does its work, or it ends soon with one line that says so."""
import os
import random
import subprocess

import pytest

from pack_support import IS_ROOT, PACK, SQUENV, run

pytestmark = [
    pytest.mark.skipif(not IS_ROOT, reason="needs root to become another user"),
    pytest.mark.skipif(not os.path.exists(SQUENV), reason="built without the reader"),
]
USER = 31777
# Below the first one the program itself does not load. With the last one everything succeeds.
LIMITS = [mebibytes << 20 for mebibytes in [*range(32, 136, 8), 1024]]
SECONDS = 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory of that user in which the trees and images of the tests are."""
    path = tmp_path_factory.mktemp("memory")
    tree = path / "tree"
    (tree / "small").mkdir(parents=True)
    rng = random.Random(5)
    for i in range(40):
        (tree / "small" / f"file-{i}").write_bytes(rng.randbytes(2000) * 60)
    for i in range(4):
        # Blocks that compress well take little time and as much memory.
        (tree / f"large-{i}").write_bytes(rng.randbytes(1000) * 3000)
    (tree / "same").write_bytes((tree / "large-0").read_bytes())
    run("tar", "-C", tree, "-cf", path / "archive", ".")
    run(PACK, "-q", tree, "-o", path / "zstd", "-b", "1M")
    run(PACK, "-q", tree, "-o", path / "xz", "-b", "1M", "--codec", "xz")
    run(PACK, "-q", tree, "-o", path / "gzip", "--codec", "gzip")
    (path / "out").mkdir()
    for directory in (path, *path.parents[:2]):
        directory.chmod(0o755)
    os.chown(path / "out", USER, USER)
    return path


def limited(limit, *command):
    words = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups",
             "prlimit", f"--as={limit}", "--core=0", *map(os.fspath, command)]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=SECONDS, stdin=subprocess.DEVNULL)


def said_or_done(limit, targets, *command):
    """Whether `command` succeeded. If not, it has said so, in one line that names what is meant."""
    done = limited(limit, *command)
    if done.returncode == 0:
        assert done.stderr == ""
        return True
    failure = 2 if "diff" in command else 1
    assert done.returncode == failure, (limit >> 20, done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1, (limit >> 20, done.stderr)
    assert any(os.fspath(target) in done.stderr for target in targets), done.stderr
    assert "not enough memory" in done.stderr and "'ulimit -v'" in done.stderr, done.stderr
    assert "higher limit" in done.stderr, done.stderr
    return False


THREADS = ["-q", "-j", "4", "--readers", "4"]


@pytest.mark.parametrize("source,options", [
    (["tree"], ["-b", "1M", "--codec", "xz"]),
    (["tree"], ["-b", "1M", "--verify"]),
    (["tree"], ["--codec", "gzip"]),
    (["--tar", "archive"], ["-b", "1M"]),
    (["--from-image", "xz"], ["-b", "1M"]),
], ids=["xz", "verify", "gzip", "tar", "image"])
def test_little_memory_is_said(place, source, options):
    words = [word if word.startswith("-") else place / word for word in source]
    image = place / "out" / "image"
    results = []
    for limit in LIMITS:
        results.append(said_or_done(limit, [image, *words, "libarchive"], PACK, *THREADS, *words,
                                    "-o", image, *options))
        assert os.listdir(place / "out") == (["image"] if results[-1] else [])
        image.unlink(missing_ok=True)
    assert results[-1] and not all(results)


@pytest.mark.parametrize("image", ["zstd", "xz"])
def test_little_memory_is_said_of_reading(place, image):
    """A decoder without memory is no damage: the exit status is 1 and never 3."""
    limits = [mebibytes << 20 for mebibytes in [*range(20, 60, 4), 1024]]
    verified, extracted, compared = [], [], []
    target = place / "out" / "tree"
    for limit in limits:
        verified.append(said_or_done(limit, [place / image], SQUENV, "verify", "-j", "4",
                                     place / image))
        # An image, or the file whose content is compared.
        compared.append(said_or_done(limit, [place / image, "small/", "large-", "same"], SQUENV,
                                     "diff", place / "gzip", place / image))
        extracted.append(said_or_done(limit, [target], SQUENV, "extract", "-q", "-j", "4",
                                      place / image, target))
        if extracted[-1]:
            run("diff", "-r", place / "tree", target)
        run("rm", "-rf", target)
    for results in (verified, extracted, compared):
        assert results[-1] and not all(results)


def test_little_memory_is_said_of_editing(work):
    """The packer alone gets the limit; the daemon and the command are other processes."""
    tree = work.directory("tree")
    (tree / "file").write_bytes(b"content" * 1000)
    image = work.directory("images") / "env.squashfs"
    made = work.squenv("pack", "-q", tree, "-o", image)
    assert made.returncode == 0, made.stderr
    results = []
    for mebibytes in [12, 24, 36, 1024]:
        script = (f"echo {mebibytes} > {tree}/file; packer=$(cut -d' ' -f4 /proc/$PPID/stat);"
                  f" prlimit --pid $packer --as={mebibytes << 20}")
        done = work.squenv("edit", f"{image}:{tree}", "--", "sh", "-ec", script, timeout=SECONDS)
        results.append(done.returncode == 0)
        if not results[-1]:
            assert done.returncode == 125 and done.stderr.count("\n") == 1, done
            for word in (image, "not enough memory", "higher limit", "the changes are kept"):
                assert os.fspath(word) in done.stderr, done.stderr
            again = work.squenv("edit", image, "--resume", "--", "true")
            assert again.returncode == 0, again.stderr
        assert work.squenv("cat", image, "file").stdout == f"{mebibytes}\n"
    assert results[-1] and not results[0]
