# SPDX-License-Identifier: MIT
"""The static file of a release, on root file systems with little or nothing else in them.

SQUENV_STATIC names the file; without it, tools/release builds it. SQUENV_ROOTS has directories with
other systems, separated by colons, as debootstrap makes them.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.other_root import run_in
from support.processes import check, wait_for

ROOT = Path(__file__).resolve().parents[2]
LIMIT_BYTES = 8_000_000
LIMIT_S = 0.002
SYSTEMS = [path for path in os.environ.get("SQUENV_ROOTS", "").split(":") if path]
IMAGE, AT = "/tmp/image.squashfs", "/tmp/env"


@pytest.fixture(scope="module")
def static():
    path = os.environ.get("SQUENV_STATIC")
    if path is None:
        check([ROOT / "tools/release", "static"], timeout=7200)
        (path,) = (ROOT / "dist").glob(f"squenv-*-linux-{os.uname().machine}")
    return Path(path).resolve()


def furnish(root, static):
    """The program, and an image with the program in it: the only one that runs everywhere."""
    (root / "bin").mkdir(exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(static, root / "bin/squenv")
    tree = root / "tmp/tree"
    tree.mkdir(exist_ok=True)
    shutil.copy(static, tree / "program")
    check([static, "pack", "-q", "-f", tree, "-o", root / "tmp/image.squashfs"])
    shutil.rmtree(tree)
    return root


@pytest.fixture
def empty(static, tmp_path):
    """A root with nothing but the program and the image; users can enter it."""
    root = tmp_path / "root"
    root.mkdir()
    for path in [tmp_path, *tmp_path.parents]:
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    return furnish(root, static)


def run_image(root, *options, **more):
    """Runs the program of the image, at the path of the mount."""
    return run_in(root, ["/bin/squenv", "run", "-v", *options, f"{IMAGE}:{AT}", "--",
                         f"{AT}/program", "--version"], **more)


def assert_ran(result, method):
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("squenv ") and f"({method}" in result.stderr, result.stderr


def test_needs_no_shared_library(static):
    dynamic = check(["readelf", "-d", static]).stdout
    assert "NEEDED" not in dynamic
    assert "INTERP" not in check(["readelf", "-l", static]).stdout


def test_is_small(static):
    assert static.stat().st_size < LIMIT_BYTES


def fastest_start(*words):
    """Of many: the others measure what else runs on this machine."""
    times = []
    with open(os.devnull, "w", encoding="ascii") as nothing:
        for _ in range(300):
            begin = time.perf_counter()
            pid = os.posix_spawn(words[0], words, {},
                                 file_actions=[(os.POSIX_SPAWN_DUP2, nothing.fileno(), 1)])
            os.waitpid(pid, 0)
            times.append(time.perf_counter() - begin)
    return min(times)


def test_starts_fast(static):
    """Where nothing starts in that time, in twice the time of a program with libc alone."""
    assert fastest_start(static, "--version") <= max(LIMIT_S, 2 * fastest_start("/bin/true"))


def test_has_all_but_lzo(static):
    features = check([static, "--version"]).stdout.splitlines()[1].split()
    assert features == ["static", "zstd", "gzip", "xz", "lz4", "tar", "labels"]


@pytest.mark.parametrize("uid, options, method", [
    (0, [], "direct"), (1000, [], "userns"), (1000, ["--via", "extract"], "extract")])
def test_empty_root(uid, options, method, empty):
    assert_ran(run_image(empty, *options, uid=uid, SQUENV_CACHE=f"/tmp/cache-{uid}"), method)
    wait_for(lambda: not (empty / "tmp/env").exists(), "the end of the mount")


def test_empty_root_without_a_device(empty):
    """Nothing can be mounted; unpacked at once, in a root without a shell or a library."""
    result = run_image(empty, uid=1000, devices=["dev/null"], SQUENV_CACHE="/tmp/cache")
    assert_ran(result, "extract")
    doctor = run_in(empty, ["/bin/squenv", "doctor"], uid=1000, devices=["dev/null"])
    assert doctor.returncode == 0 and "extract     yes" in doctor.stdout, doctor.stdout


@pytest.mark.parametrize("codec", ["zstd", "gzip", "xz", "lz4"])
def test_packs_a_tar_archive_with_every_codec(codec, empty, tmp_path):
    tree = tmp_path / "files"
    tree.mkdir()
    (tree / "a").write_text("text\n" * 1000)
    check(["tar", "-C", tree, "-czf", empty / "tmp/a.tar.gz", "."])
    image = f"/tmp/{codec}.squashfs"
    result = run_in(empty, ["/bin/squenv", "pack", "-q", "--codec", codec, "--tar",
                            "/tmp/a.tar.gz", "-o", image], uid=1000)
    assert result.returncode == 0, result.stderr
    result = run_in(empty, ["/bin/squenv", "cat", image, "a"], uid=1000)
    assert result.stdout == "text\n" * 1000, result.stderr


def test_users_are_those_of_the_table(empty):
    """Without the modules of a C library, which are not there; history shows the name."""
    (empty / "etc").mkdir()
    (empty / "etc/passwd").write_text("ann:x:1000:1000:Ann:/tmp:/bin/squenv\n")
    os.chown(empty / "tmp/image.squashfs", 1000, 1000)
    result = run_in(empty, ["/bin/squenv", "history", IMAGE], uid=1000)
    assert result.returncode == 0 and "ann" in result.stdout, result


def test_busybox_root(empty):
    """musl's way of life: a static shell, and no glibc."""
    busybox = shutil.which("busybox")
    if busybox is None or "dynamically" in subprocess.run(
            ["file", "-L", busybox], capture_output=True, text=True, check=False).stdout:
        pytest.skip("busybox-static is not installed")
    shutil.copy(busybox, empty / "bin/sh")
    result = run_in(empty, ["/bin/squenv", "run", f"{IMAGE}:{AT}", "--", "/bin/sh", "-c",
                            f"{AT}/program --version && echo $0"], uid=1000)
    assert result.returncode == 0 and result.stdout.endswith("/bin/sh\n"), result.stderr


@pytest.mark.parametrize("system", SYSTEMS or [None])
@pytest.mark.parametrize("uid, options, method", [
    (0, [], "direct"), (1000, [], "fusermount"), (1000, ["--via", "userns"], "userns"),
    (1000, ["--via", "extract"], "extract")])
def test_other_systems(system, uid, options, method, static):
    if system is None:
        pytest.skip("SQUENV_ROOTS names no other systems")
    root = furnish(Path(system), static)
    mtab = root / "etc/mtab"
    if not mtab.is_symlink():
        mtab.unlink(missing_ok=True)
        mtab.symlink_to("/proc/self/mounts")
    with open(root / "etc/passwd", "r+", encoding="ascii") as accounts:
        if ":x:1000:" not in accounts.read():  # fusermount3 asks for the name
            accounts.write("ann:x:1000:1000:Ann:/tmp:/bin/sh\n")
    # Nothing of this machine helps: fusermount3 is that of the system.
    result = run_image(root, *options, uid=uid, PATH="/usr/bin:/bin",
                       SQUENV_CACHE=f"/tmp/cache-{uid}")
    assert_ran(result, method)
    wait_for(lambda: not (root / "tmp/env").exists(), "the end of the mount")
