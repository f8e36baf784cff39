# SPDX-License-Identifier: MIT
"""What users download, and how it is installed. A stand-in takes the place of the static file."""

import base64
import fcntl
import hashlib
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from support.processes import check, run

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / "tools/install"
TIME = "1700000000"


def make_release(directory, binary, *kinds):
    check([ROOT / "tools/release", "--binary", binary, "--dist", directory, *kinds],
          env={**os.environ, "SOURCE_DATE_EPOCH": TIME})


@pytest.fixture(scope="module")
def stand_in(programs, session_dir):
    """A short program that is the real one."""
    path = session_dir / "stand-in"
    path.write_text(f'#!/bin/sh\nexec {programs}/squenv "$@"\n', encoding="ascii")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def release(stand_in, session_dir):
    """A directory with a release: the single file, the tar.xz, the wheel and the sums."""
    path = session_dir / "dist"
    make_release(path, stand_in, "static", "tar", "wheel")
    return path


def one(release, pattern):
    (path,) = release.glob(pattern)
    return path


def install(work, *words, program=INSTALL, **variables):
    """By the user, into a prefix below the test's directory."""
    home = work.path / "home"
    if not home.exists():
        work.directory("home")
    return run([program, *words], user=True, cwd=work.path,
               env={"PATH": "/usr/bin:/bin", "HOME": str(home), **variables})


def files_below(path):
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir())


def test_a_second_release_has_the_same_bytes(release, stand_in, work):
    make_release(work.path / "again", stand_in, "wheel", "tar", "static")
    assert (work.path / "again/SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()
    check(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=release)
    names = {path.name for path in release.iterdir()} - {"SHA256SUMS"}
    summed = {line.split()[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    assert summed == names and len(names) == 3


def test_the_archive_has_everything(release):
    with tarfile.open(one(release, "*.tar.xz")) as archive:
        members = {member.name.partition("/")[2]: member for member in archive}
    assert all((member.uid, member.mtime) == (0, int(TIME)) for member in members.values())
    assert members["bin/squenv"].mode == 0o755
    pages = {f"share/man/man{page.suffix[1:]}/{page.name}" for page in ROOT.glob("man/*.[1-8]")}
    assert pages <= set(members)
    for name in ["README.md", "LICENSE", "share/doc/squenv/recipes.md", "install",
                 "share/bash-completion/completions/squenv", "share/zsh/site-functions/_squenv",
                 "share/fish/vendor_completions.d/squenv.fish", "libexec/squenv/squashfuse",
                 "share/squenv/slurm-plugin/spank_squenv.c"]:
        assert name in members, name


def test_wheel_lists_its_content(release):
    with zipfile.ZipFile(one(release, "*.whl")) as wheel:
        (record,) = [name for name in wheel.namelist() if name.endswith("/RECORD")]
        rows = [line.rsplit(",", 2) for line in wheel.read(record).decode().splitlines()]
        assert {row[0] for row in rows} == set(wheel.namelist())
        for name, digest, size in rows:
            if name != record:
                data = wheel.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                assert (digest, int(size)) == (f"sha256={found.decode()}", len(data))


def test_wheel_is_installed_by_pip(release, work):
    """Into a fresh environment without a network; it puts the program into PATH."""
    place = work.path / "venv"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", place], user=True)
    pip = ["/usr/bin/python3", "-m", "pip", "--python", place, "--no-cache-dir", "-q",
           "--disable-pip-version-check"]
    before = files_below(place)
    check([*pip, "install", "--no-index", one(release, "*.whl")], user=True)
    version = work.squenv("--version").stdout
    assert check([place / "bin/squenv", "--version"], user=True).stdout == version
    python = place / "bin/python"
    assert check([python, "-m", "squenv", "--version"], user=True).stdout == version
    (place / "bin/squenv").unlink()
    result = run([python, "-m", "squenv", "--version"], user=True)
    assert result.returncode == 1 and "--force-reinstall" in result.stderr
    check([*pip, "uninstall", "-y", "squenv"], user=True)
    assert [name for name in files_below(place) if "__pycache__" not in name] == before


def test_install_and_uninstall(release, work):
    result = install(work, release)
    assert result.returncode == 0, result.stderr
    prefix = work.path / "home/.local"
    lines = result.stdout.splitlines()
    assert lines[0] == work.squenv("--version").stdout.splitlines()[0]
    assert lines[1] == f"installed as {prefix}/bin/squenv"
    assert f"export PATH={prefix}/bin:$PATH" in lines[2]
    assert "Ways to have an image at its path" in result.stdout  # of doctor
    assert (prefix / "share/man/man1/squenv.1").exists()
    assert os.readlink(prefix / "libexec/squenv/squashfuse") == "../../bin/squenv"
    own = prefix / "bin/other"
    own.write_text("the user's")
    (prefix / "share/squenv/old").touch()  # of another version
    with open(prefix / "share/squenv/installed", "a", encoding="ascii") as installed:
        installed.write("share/squenv/old\n")
    again = install(work, release, PATH=f"{prefix}/bin:/usr/bin:/bin")
    assert again.returncode == 0 and "not in PATH" not in again.stdout, again.stderr
    assert not (prefix / "share/squenv/old").exists()
    gone = install(work, "--uninstall")
    assert gone.returncode == 0, gone.stderr
    assert files_below(prefix) == ["bin/other"]
    assert not (prefix / "share/squenv").exists()
    again = install(work, "--uninstall")
    assert again.returncode == 1 and str(prefix) in again.stderr and "--prefix" in again.stderr


def test_install_of_a_file_needs_its_sum(release, stand_in, work):
    alone = work.path / "squenv-file"
    alone.write_bytes(stand_in.read_bytes())
    prefix = work.directory("prefix")
    result = install(work, "--prefix", prefix, alone)
    assert result.returncode == 1 and "--sha256" in result.stderr
    wrong = "0" * 64
    result = install(work, "--prefix", prefix, "--sha256", wrong, alone)
    assert result.returncode == 1 and wrong in result.stderr and str(alone) in result.stderr
    assert files_below(prefix) == []
    sum_of_file = hashlib.sha256(alone.read_bytes()).hexdigest()
    result = install(work, "--prefix", "prefix", "--sha256", sum_of_file, alone)
    assert result.returncode == 0, result.stderr
    assert files_below(prefix) == ["bin/squenv", "share/squenv/installed"]


def test_install_refuses_changed_bytes(release, work):
    copy = work.path / "copy"
    check(["cp", "-r", release, copy])
    for path in copy.glob("squenv-*linux*"):
        path.write_bytes(path.read_bytes() + b"x")
    result = install(work, copy)
    assert result.returncode == 1 and "do not run it" in result.stderr
    assert files_below(work.path / "home") == []


def test_install_from_an_address(release, work, served):
    address = served(release)
    assert install(work, "--prefix", "prefix", f"{address}/").returncode == 0
    assert (work.path / "prefix/bin/squenv").exists()
    result = install(work, f"{address}/nothing")
    assert result.returncode == 1 and f"{address}/nothing/SHA256SUMS" in result.stderr


@pytest.mark.parametrize("words, status, texts", [
    ([], 2, ["no source"]), (["--what"], 2, ["--what", "--help"]), (["a", "b"], 2, ["'a' and 'b'"]),
    (["--prefix"], 2, ["--prefix needs a value"]), (["nothing"], 1, ["nothing: does not exist"]),
    (["/etc"], 1, ["/etc: has no SHA256SUMS", "tools/release"]),
    (["--uninstall", "x"], 2, ["'x'"])])
def test_install_says_what_is_wrong(words, status, texts, work):
    result = install(work, *words)
    assert result.returncode == status, result.stderr
    assert result.stderr.startswith("install: ") and result.stderr.count("\n") == 1
    for text in texts:
        assert text in result.stderr


def test_install_into_a_directory_of_another_user(release, work):
    closed = work.directory("closed", user=False)
    result = install(work, "--prefix", closed, release)
    assert result.returncode == 1
    assert f"{closed}: " in result.stderr and "ermission denied" in result.stderr
    assert "--prefix" in result.stderr
    assert files_below(closed) == []


@pytest.mark.parametrize("words", [["what"], ["--dist"], ["--binary", "/bin/true", "--check"],
                                   ["--host", "aarch64-linux-gnu", "deb"]])
def test_release_refuses_wrong_words(words, work):
    result = run([ROOT / "tools/release", *words])
    assert result.returncode == 2 and result.stderr.startswith("tools/release: ")
    assert result.stderr.count("\n") == 1


def held(directory):
    """A descriptor with the lock of a release that is at work there."""
    directory.mkdir()
    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@pytest.mark.parametrize("option, words", [
    ("--dist", ["--binary", "/bin/true", "wheel"]), ("--build-dir", ["static"])])
def test_release_says_that_another_one_is_running(option, words, work):
    busy = work.path / "busy"
    descriptor = held(busy)
    places = {"--dist": work.path / "dist", "--build-dir": work.path / "build", option: busy}
    options = [str(word) for pair in places.items() for word in pair]
    try:
        result = run([ROOT / "tools/release", *options, *words])
    finally:
        os.close(descriptor)
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert f"{busy}: another tools/release is at work" in result.stderr
    assert option in result.stderr and os.listdir(busy) == []


def test_two_releases_at_once(stand_in, release, work):
    """Each into a directory of its own; neither leaves or takes a file of the other."""
    begun = [work.start([ROOT / "tools/release", "--binary", stand_in, "--dist",
                         work.path / name, "static", "tar", "wheel"],
                        env={**os.environ, "SOURCE_DATE_EPOCH": TIME}) for name in ("one", "two")]
    assert [process.wait(timeout=60) for process in begun] == [0, 0]
    for name in ("one", "two"):
        sums = (work.path / name / "SHA256SUMS").read_text()
        assert sums == (release / "SHA256SUMS").read_text()


def test_packages_name_their_publisher(release):
    """What tools/packaging/publisher says; without a homepage there is no such field."""
    with zipfile.ZipFile(one(release, "*.whl")) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        fields = wheel.read(name).decode().partition("\n\n")[0].splitlines()
    read = "set -eu; . tools/packaging/publisher; printf '%s\\n' \"$maintainer\" \"$homepage\""
    maintainer, homepage = check(["sh", "-c", read], cwd=ROOT).stdout.splitlines()
    assert f"Maintainer-email: {maintainer}" in fields
    assert [line for line in fields if line.startswith("Home-page:")] == (
        [f"Home-page: {homepage}"] if homepage else [])


def test_release_for_a_machine_needs_its_compiler(work):
    result = run([ROOT / "tools/release", "--host", "none-linux-gnu", "--dist", work.path / "dist",
                  "--build-dir", work.path / "build", "static"])
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "none-linux-gnu-g++ is not installed" in result.stderr
    assert os.listdir(work.path / "dist") == []


def test_the_line_for_the_profile_is_one_of_a_shell(release, work):
    prefix = work.directory("a b's")
    result = install(work, "--prefix", prefix, release)
    assert result.returncode == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "not in PATH" in line]
    words = line.split("  ")[1]
    shown = check(["dash", "-c", f'{words}; echo "$PATH"'], env={"PATH": "/usr/bin:/bin"}).stdout
    assert shown == f"{prefix}/bin:/usr/bin:/bin\n"


def test_an_install_that_ends_halfway_is_uninstalled(release, work):
    prefix = work.directory("half")
    (prefix / "libexec").write_text("the user's")
    result = install(work, "--prefix", prefix, release)
    assert result.returncode == 1 and "cannot be written there" in result.stderr, result.stderr
    gone = install(work, "--uninstall", "--prefix", prefix)
    assert gone.returncode == 0, gone.stderr
    assert files_below(prefix) == ["libexec"]
