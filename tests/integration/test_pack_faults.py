# SPDX-License-Identifier: MIT
"""What the packer promises when things go wrong: the old image or none, and every file named."""
import contextlib
import glob
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from pack_support import (IS_ROOT, MAGIC, PACK, compiled_shim, digest, has_unnamed_files, memory,
                          names_in, pack, run)
from support.processes import status, wait_for

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root to mount or to change the user")
AS_USER = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"] if IS_ROOT else []


def made_tree(root, small, large):
    """Does not compress, so that writing never ends early."""
    root.mkdir()
    rng = random.Random(11)
    for i in range(small):
        (root / f"small-{i}").write_bytes(rng.randbytes(30_000))
    for i in range(large):
        (root / f"large-{i}").write_bytes(rng.randbytes(5_000_000))
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """About 40 MB, for many rooms on a disk."""
    return made_tree(tmp_path_factory.mktemp("faults") / "tree", 300, 6)


@pytest.fixture(scope="module")
def short_tree(tmp_path_factory):
    """About 13 MB: a few large writes, and seconds of xz."""
    return made_tree(tmp_path_factory.mktemp("short") / "tree", 100, 2)


def files_with_magic(directory):
    found = []
    for path in glob.glob(os.path.join(directory, "*")):
        with open(path, "rb") as file:
            if file.read(4) == MAGIC:
                found.append(os.path.basename(path))
    return sorted(found)


def default_action(number):
    """Undoes what the caller ignores: under nohup a SIGHUP would end nothing, and rightly so."""
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_kill_at_random_points(short_tree, tmp_path, number, old):
    image = tmp_path / "image"
    before = None
    if old:
        image.write_bytes(MAGIC + b"the image from before")
        before = image.read_bytes()
    start = time.monotonic()
    pack(short_tree, tmp_path / "complete")
    duration = time.monotonic() - start
    complete = digest(tmp_path / "complete")
    os.unlink(tmp_path / "complete")
    rng = random.Random(int(number) + old)
    killed = 0
    for _ in range(26):
        child = subprocess.Popen(
            [PACK, "-q", short_tree, "-o", image, "-f"],
            stderr=subprocess.PIPE,
            preexec_fn=lambda: default_action(number),
        )
        time.sleep(rng.uniform(0.001, 0.8 * duration))
        child.send_signal(number)
        _, message = child.communicate(timeout=20)
        temporary = glob.glob(str(image) + ".tmp.*")
        if child.returncode == 0:
            # It was faster: the image is there and complete. The first one may have been slow.
            duration *= 0.8
            assert digest(image) == complete
            os.unlink(image)
            if old:
                image.write_bytes(before)
            continue
        killed += 1
        if number == signal.SIGKILL:
            if has_unnamed_files(tmp_path):
                # In the moment before it replaces the old one the new one has another name.
                assert temporary == [] or (old and digest(temporary[0]) == complete)
            for path in temporary:
                with open(path, "rb") as file:
                    assert file.read(4) != MAGIC or digest(path) == complete
                os.unlink(path)
        else:
            assert temporary == [] and (child.returncode < 0 or message != b"")
        if image.exists() and digest(image) == complete:
            # After the rename, when nothing is left to stop.
            assert number == signal.SIGKILL or child.returncode < 0
            os.unlink(image)
            if old:
                image.write_bytes(before)
        assert files_with_magic(tmp_path) == (["image"] if old else [])
        assert not old or image.read_bytes() == before
    assert killed > 0


SLOW = ["--codec", "xz", "--jobs", "1"]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compiled_shim(tmp_path_factory.mktemp("shim"))


def without_unnamed_files(shim):
    """The environment of a program for which no file system has files without names."""
    return dict(os.environ, LD_PRELOAD=os.fspath(shim), NO_TMPFILE="1")


def is_caught(pid, number):
    return int(status(pid).get("SigCgt", "0"), 16) & (1 << (number - 1))


def start_slowly(tree, image, environment=None):
    """A packer that is in the midst of it, with most of its time still to come."""
    child = subprocess.Popen(
        [PACK, "-q", tree, "-o", image, "-f", *SLOW], stderr=subprocess.PIPE, env=environment,
        preexec_fn=lambda: [default_action(n) for n in (signal.SIGINT, signal.SIGTERM)])
    wait_for(lambda: is_caught(child.pid, signal.SIGTERM), "the handlers of signals")
    directory = os.path.realpath(os.path.dirname(image)) + "/"

    def has_output():
        with contextlib.suppress(FileNotFoundError):  # one that was closed meanwhile
            for name in os.listdir(f"/proc/{child.pid}/fd"):
                if os.readlink(f"/proc/{child.pid}/fd/{name}").startswith(directory):
                    return True
        return False

    wait_for(has_output, "the file of the image")
    return child


@pytest.mark.parametrize("is_named", [False, True])
def test_second_signal_leaves_nothing(tree, shim, tmp_path, is_named):
    out = tmp_path / "out"
    out.mkdir()
    child = start_slowly(tree, out / "image", without_unnamed_files(shim) if is_named else None)
    assert bool(os.listdir(out)) == is_named or not has_unnamed_files(out)
    # Stopped, it gets both at once when it goes on. What it got before that, it would obey alone.
    child.send_signal(signal.SIGSTOP)
    wait_for(lambda: status(child.pid)["State"].startswith("T"), "the stop")
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGCONT)
    _, message = child.communicate(timeout=20)
    assert child.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM) and message == b""
    assert os.listdir(out) == []


def test_kill_leaves_nothing(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    if not has_unnamed_files(out):
        pytest.skip("no files without names here")
    child = start_slowly(tree, out / "image")
    child.kill()
    child.communicate(timeout=20)
    assert os.listdir(out) == []


@pytest.mark.parametrize("is_named", [False, True])
def test_what_a_process_of_the_same_number_left(shim, tmp_path, is_named):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    out = tmp_path / "out"
    out.mkdir()
    environment = without_unnamed_files(shim) if is_named else None
    for options in ([], ["-f"]):
        run("sh", "-c", 'touch "$0.tmp.$$"; exec "$@"', out / "image", PACK, "-q", tree, "-o",
            out / "image", *options, env=environment)
    left = sorted(os.listdir(out))
    assert left[0] == "image" and len(left) == 3
    assert all(os.stat(out / name).st_size == 0 for name in left[1:])


@pytest.mark.parametrize("is_named", [False, True])
def test_longest_name(shim, tmp_path, is_named):
    tree = tmp_path / "tree"
    tree.mkdir()
    out = tmp_path / "out"
    out.mkdir()
    image = out / ("i" * 255)
    environment = without_unnamed_files(shim) if is_named else None
    for options in ([], ["-f"]):
        run(PACK, "-q", tree, "-o", image, *options, env=environment)
    assert os.listdir(out) == [image.name]


@pytest.fixture
def small_disk(tmp_path):
    point = tmp_path / "disk"
    point.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=1M", "none", point)
    yield point
    run("umount", point)


@needs_root
def test_full_disk_at_every_write(tree, small_disk, tmp_path):
    pack(tree, tmp_path / "complete")
    size = os.stat(tmp_path / "complete").st_size
    image = small_disk / "image"
    image.write_bytes(MAGIC + b"old")
    for room in [4096, 65536, *range(1 << 20, size - 65536, 2_500_000), size - 65536]:
        run("mount", "-o", f"remount,size={room}", small_disk)
        done = pack(tree, image, check=False)
        assert done.returncode == 1, room
        assert b"No space left" in done.stderr
        assert os.listdir(small_disk) == ["image"] and image.read_bytes() == MAGIC + b"old"
    run("mount", "-o", f"remount,size={size + (1 << 20)}", small_disk)
    pack(tree, image)
    assert digest(image) == digest(tmp_path / "complete")


def mutate(path, stop, change):
    while not stop.is_set():
        change(path)
        time.sleep(0.0005)


def grow(path):
    with open(path, "ab") as file:
        file.write(b"more")


def shrink(path):
    os.truncate(path, max(0, os.stat(path).st_size - 1000))


def rewrite(path):
    with open(path, "r+b") as file:
        file.write(b"changed")


def vanish(path):
    if os.path.exists(path):
        os.unlink(path)


@pytest.mark.parametrize("change", [grow, shrink, rewrite, vanish])
def test_source_that_changes_is_named(short_tree, tmp_path, change):
    """`late` is packed long after the scan saw it; it changes all the time."""
    victim = short_tree / "zz-late"
    victim.write_bytes(os.urandom(900_000))
    stop = threading.Event()
    thread = threading.Thread(target=mutate, args=(victim, stop, change))
    packer = start_slowly(short_tree, tmp_path / "image")  # whose file is made after the scan
    thread.start()
    _, message = packer.communicate(timeout=120)
    stop.set()
    thread.join()
    vanish(victim)
    assert packer.returncode == 1
    assert b"zz-late: " in message
    # A file that vanished cannot be had by packing again, one that is written to can.
    assert (b"when nothing writes to the tree" in message) == (b"No such file" not in message)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def forbidding(tmp_path):
    root = tmp_path / "forbidding"
    (root / "closed").mkdir(parents=True)
    (root / "readable").write_text("x")
    (root / "closed" / "inside").write_text("x")
    (root / "secret").write_text("x")
    (root / "secret-large").write_bytes(b"x" * 3_000_000)
    os.link(root / "secret", root / "secret-link")
    for name in ("secret", "secret-large", "closed"):
        os.chmod(root / name, 0)
    out = tmp_path / "out"
    out.mkdir()
    for path in [tmp_path, root, out]:
        os.chmod(path, 0o777)
    directory = tmp_path
    while str(directory) != "/tmp" and directory.parent != directory:
        os.chmod(directory, 0o755 | os.stat(directory).st_mode)
        directory = directory.parent
    yield root, out
    os.chmod(root / "closed", 0o755)


@needs_root
def test_unreadable_files_are_named(forbidding):
    root, out = forbidding
    done = run(*AS_USER, PACK, "-q", root, "-o", out / "image", check=False)
    assert done.returncode == 1
    message = done.stderr.decode()
    assert "closed: Permission denied" in message and "--ignore-unreadable" in message
    assert os.listdir(out) == []
    os.chmod(root / "closed", 0o755)
    done = run(*AS_USER, PACK, "-q", root, "-o", out / "image", check=False)
    message = done.stderr.decode()
    assert "squenv-pack: secret, secret-large: Permission denied\n" in message
    assert "leave out what cannot be read with --ignore-unreadable" in message
    assert os.listdir(out) == []
    done = run(*AS_USER, PACK, "-v", root, "-o", out / "image", check=False)
    for name in ("secret", "secret-large"):
        assert f"squenv-pack: {name}: Permission denied\n" in done.stderr.decode()


@needs_root
def test_ignored_unreadable_files_are_left_out_and_named(forbidding):
    root, out = forbidding
    done = run(*AS_USER, PACK, root, "-o", out / "image", "--ignore-unreadable")
    message = done.stderr.decode()
    assert "squenv-pack: closed, secret, secret-large: Permission denied; left out\n" in message
    assert names_in(out / "image") == ["readable"]


def test_output_that_exists_is_kept(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "image").write_text("precious")
    done = run(PACK, tmp_path / "tree", "-o", tmp_path / "image", check=False)
    assert done.returncode == 1 and b"--force" in done.stderr
    assert (tmp_path / "image").read_text() == "precious"


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "tree").mkdir()
    for output in (tmp_path / "missing" / "image", tmp_path / "tree", "/proc/image"):
        done = run(PACK, "-f", tmp_path / "tree", "-o", output, check=False)
        assert done.returncode != 0 and done.stderr, output


@pytest.mark.parametrize("arguments, status", [
    (["--codec", "rar"], 2), (["--level", "99"], 2), (["-b", "5000"], 2), (["-b", "2M"], 2),
    (["--owner", "me"], 2), (["--jobs", "0"], 2), (["--mtime", "-1"], 2), (["--unknown"], 2),
    (["--memory", "lots"], 2), (["--exclude-from", "/nonexistent"], 1), (["--compile"], 2)])
def test_wrong_options(tmp_path, arguments, status):
    (tmp_path / "tree").mkdir()
    done = run(PACK, tmp_path / "tree", *arguments, check=False)
    assert done.returncode == status, done.stderr
    assert done.stderr and not (tmp_path / "tree.squashfs").exists()


def test_source_that_is_missing(tmp_path):
    for source in (tmp_path / "nothing", "/dev/null"):
        done = run(PACK, source, "-o", tmp_path / "image", check=False)
        assert done.returncode != 0 and os.fsencode(source) in done.stderr
    assert os.listdir(tmp_path) == []


@needs_root
def test_attributes_that_do_not_fit(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    try:
        # u::rw- g::r-- u:1000:r-- m::r-- o::r--
        os.setxattr(tree / "file", "system.posix_acl_access", bytes.fromhex(
            "0200000001000600ffffffff02000400e8030000"
            "04000400ffffffff10000400ffffffff20000400ffffffff"))
    except OSError as error:
        pytest.skip(f"no ACLs here: {error}")
    done = run(PACK, tree, "-o", tmp_path / "image")
    assert b"1 extended attributes such as system.posix_acl_access" in done.stderr
    done = run(PACK, "--strict", tree, "-o", tmp_path / "strict", check=False)
    assert done.returncode == 1 and not (tmp_path / "strict").exists()


@needs_root
def test_too_many_owners(tmp_path):
    with memory() as tree:
        for i in range(33000):
            path = os.path.join(tree, str(i))
            os.mknod(path)
            os.chown(path, 100000 + i, 200000 + i)
        done = run(PACK, "-q", tree, "-o", tmp_path / "image", check=False)
        assert done.returncode == 1 and b"--owner" in done.stderr
        pack(tree, tmp_path / "image", "--owner", "root")


def test_times_out_of_range_are_clamped(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "early").touch()
    os.utime(tree / "early", (0, -86400))
    done = run(PACK, tree, "-o", tmp_path / "image")
    assert b"1 times" in done.stderr
    listing = run("unsquashfs", "-lln", tmp_path / "image", env=dict(os.environ, TZ="UTC")).stdout
    assert b"1970-01-01 00:00 squashfs-root/early" in listing
