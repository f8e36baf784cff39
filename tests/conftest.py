# SPDX-License-Identifier: MIT
"""A real program, a real kernel, an ordinary user: what the suites of pytest stand on.

Runs as root, because loop mounts and device nodes need it, and drops to uid 1000 for what a user
does. SQUENV_BINARY names the program to test (default: build/src/cli/squenv), and SQUENV_BUILD the
build with the helpers of tests, when the program is in none.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
# Test files import `support.NAME`, and the helpers of pytest alone without the package.
sys.path[:0] = [str(TESTS), str(TESTS / "support")]

from support import digests, processes, trees  # noqa: E402
from support.session import Work, build_of  # noqa: E402
from support.slurm import slurm  # noqa: E402, F401

DEFAULT_BINARY = TESTS.parent / "build" / "src" / "cli" / "squenv"
OTHER_NAMES = ["squashfuse", "squashfuse_ll", "mount.squenv", "uenv"]
FUSE = "/dev/fuse"
# Of batch and CI systems and of what squenv reads; a test sets what it needs.
OUTER_VARIABLES = ("CI", "GITHUB_", "GITLAB_", "RUNNER_", "JENKINS_", "BUILD_", "BUILDKITE_",
                   "AGENT_", "SYSTEM_", "TEAMCITY_", "SLURM", "PBS_", "LSB_", "FLUX_", "OAR_",
                   "_CONDOR_", "JOB_ID", "SGE_", "SQUENV_CACHE", "XDG_", "VIRTUAL_ENV",
                   "SOURCE_DATE_EPOCH", "PIP_USER", "CONDA_", "UENV_", "CLUSTER_NAME", "SCRATCH",
                   "SQUENV_CI_")


@pytest.fixture(scope="session", autouse=True)
def needs():
    """What the whole suite cannot do without."""
    if os.geteuid() != 0:
        pytest.skip("needs root: loop mounts, device nodes and dropping to another user")
    for tool in ["setpriv", "fusermount3", "mksquashfs", "unshare"]:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if not os.path.exists(FUSE):
        pytest.skip(f"{FUSE} is missing")
    try:
        os.close(os.open(FUSE, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"{FUSE} cannot be opened: {error}")
    mode = stat.S_IMODE(os.stat(FUSE).st_mode)
    # Whoever ends the run from outside must not leave mounts either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    os.chmod(FUSE, mode)


def pytest_configure():
    """What the job that runs the tests says of itself is not what the tests are about."""
    for name in list(os.environ):
        if name.startswith(OUTER_VARIABLES):
            del os.environ[name]
    # nohup and `&` ignore signals for all that is started below them; handlers are not inherited.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, pass_over)


def pass_over(_number, _frame):
    """As SIG_IGN for this process alone."""


@pytest.fixture(scope="session", autouse=True)
def fusectl(needs):
    """Mounted as systemd does it on every machine that it starts."""
    path = "/sys/fs/fuse/connections"
    is_there = any(entry["type"] == "fusectl" for entry in processes.mounts_below(path))
    if not is_there:
        subprocess.run(["mount", "-t", "fusectl", "none", path], check=True)
    yield
    if not is_there:
        subprocess.run(["umount", path], check=False)


@pytest.fixture(scope="session")
def binary():
    path = Path(os.environ.get("SQUENV_BINARY", DEFAULT_BINARY)).resolve()
    assert path.is_file(), f"{path}: build it, or name another one in SQUENV_BINARY"
    return path


@pytest.fixture(scope="session")
def session_dir():
    path = Path(tempfile.mkdtemp(prefix="squenv-session-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def programs(binary, session_dir):
    """A directory that everybody can read, with the program under all its names."""
    directory = session_dir / "bin"
    directory.mkdir()
    shutil.copy(binary, directory / "squenv")
    for name in OTHER_NAMES:
        (directory / name).symlink_to("squenv")
    support = build_of(binary) / "tests" / "support"
    for name in ["tree_digest", "image_digest"]:
        if (support / name).exists():
            shutil.copy(support / name, directory / name)
    if not (directory / "tree_digest").exists():
        subprocess.run(["c++", "-std=c++20", "-O2", "-o", directory / "tree_digest",
                        TESTS / "support" / "tree_digest.cpp"], check=True)
    return directory


@pytest.fixture(scope="session")
def venv_source(session_dir):
    """An environment of uid 1000 with a module in it, at the path it is made for."""
    path = session_dir / "home" / "project" / "venv"
    path.parent.mkdir(parents=True)
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", path], check=True)
    site = next(path.glob("lib/python3*/site-packages"))
    (site / "probe.py").write_text("VALUE = 42\n", encoding="ascii")
    subprocess.run([path / "bin" / "python", "-m", "compileall", "-q", site], check=True)
    for at, directories, files in os.walk(session_dir / "home"):
        for name in [".", *directories, *files]:
            os.chown(os.path.join(at, name), 1000, 1000, follow_symlinks=False)
    return path


@pytest.fixture(scope="session")
def venv_image(venv_source, programs, session_dir):
    """The image of it. The environment itself is gone; an empty directory is where it was."""
    image = session_dir / "venv.squashfs"
    result = processes.run([programs / "squenv", "pack", "-q", venv_source, "-o", image])
    assert result.returncode == 0, result.stderr
    shutil.rmtree(venv_source)
    venv_source.mkdir()
    os.chown(venv_source, 1000, 1000)
    return image


@pytest.fixture
def work(programs):
    """The test's own directory, and everything to do with mounts in it. Ends them all, and fails
    a test that left one."""
    if stat.S_IMODE(os.stat(FUSE).st_mode) != 0o666:
        os.chmod(FUSE, 0o666)
    path = Path(tempfile.mkdtemp(prefix="squenv-test-", dir="/tmp"))
    path.chmod(0o755)
    os.chown(path, 1000, 1000)
    session = Work(path, programs)
    yield session
    left = session.clean_up()
    shutil.rmtree(path)
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture(scope="session")
def nasty_tree(session_dir, needs):
    return trees.make_nasty_tree(session_dir / "nasty")


@pytest.fixture(scope="session")
def plain_tree(session_dir, needs):
    return trees.make_plain_tree(session_dir / "plain")


@pytest.fixture(scope="session")
def plain_image(session_dir, plain_tree):
    return trees.mksquashfs(plain_tree, session_dir / "plain.squashfs", "-comp", "zstd")


@pytest.fixture(scope="session")
def nasty_image(session_dir, nasty_tree):
    return trees.mksquashfs(nasty_tree, session_dir / "nasty.squashfs", "-comp", "zstd")


@pytest.fixture(scope="session")
def kernel_mounted():
    """kernel_mounted(image, at, offset=0): the kernel's own view, as a context."""

    @contextlib.contextmanager
    def mounted(image, at, offset=0):
        os.makedirs(at, exist_ok=True)
        options = f"loop,ro,offset={offset}" if offset else "loop,ro"
        result = subprocess.run(
            ["mount", "-t", "squashfs", "-o", options, os.fspath(image), os.fspath(at)],
            capture_output=True, text=True,
        )
        if "loop device" in result.stderr:
            pytest.skip(f"no loop devices here: {result.stderr.strip()}")
        if "unknown filesystem type" in result.stderr:
            pytest.skip("this kernel has no squashfs")
        assert result.returncode == 0, result.stderr
        try:
            yield at
        finally:
            processes.unmount(at)

    return mounted


@pytest.fixture(scope="session")
def tree_digest(programs):
    def digest(path, user=False):
        return digests.digest(programs / "tree_digest", path, user=user)

    return digest


@pytest.fixture(scope="session")
def image_digest(programs):
    """What our library reads, without a mount."""
    if not (programs / "image_digest").exists():
        pytest.skip("image_digest is not built")

    def digest(path, *args):
        return digests.digest(programs / "image_digest", path, *args)

    return digest


@pytest.fixture
def cache(work, monkeypatch):
    """The cache of unpacked trees, in the test's own directory, which it must leave empty."""
    path = work.directory("cache")
    monkeypatch.setenv("SQUENV_CACHE", str(path / "trees"))
    yield path / "trees"

    def is_empty():
        work.squenv("cache", "clean")
        return not (path / "trees").exists() or not os.listdir(path / "trees")

    # What a command used that has just ended is in use for a moment more.
    processes.wait_for(is_empty, "the end of all trees in the cache")


@pytest.fixture
def served(work):
    """served(directory): the address at which a server of the test has its files."""

    def start(directory):
        server = work.start([sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1",
                             "--directory", directory], stderr=subprocess.DEVNULL, text=True)
        line = server.stdout.readline()
        assert " port " in line, line
        return f"http://127.0.0.1:{line.split(' port ')[1].split()[0]}"

    return start


@pytest.fixture
def settled(work):
    """What a command had mounted goes right behind it."""
    yield
    processes.wait_for(lambda: not processes.mounts_below(work.path), "the end of all mounts")
