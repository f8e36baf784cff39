# SPDX-License-Identifier: MIT
"""The Debian packages of a release: what is in them, and what they leave.

SQUENV_DEBS is the directory with them; without it, tools/release builds them. SQUENV_ROOTS has
directories with other systems, as in test_static.py: packages are installed in that of the release
of Debian that runs this, which needs the libraries of Depends and no others.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.other_root import run_in
from support.processes import check, run

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = [Path(path) for path in os.environ.get("SQUENV_ROOTS", "").split(":") if path]
PROFILE = "etc/apparmor.d/squenv"
# What dpkg writes about all packages, and the caches of the loader.
KEPT = re.compile(r"var/(lib/dpkg|log|cache)/|etc/ld\.so\.cache|run/|tmp/|proc|dev")

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed")


@pytest.fixture(scope="module")
def debs():
    path = Path(os.environ.get("SQUENV_DEBS", ROOT / "dist"))
    if "SQUENV_DEBS" not in os.environ:
        check([ROOT / "tools/release", "deb"], timeout=7200)
    found = {deb.name.partition("_")[0]: deb for deb in path.glob("*.deb")}
    assert {"squenv", "squenv-pack", "libsquenv0", "libsquenv-dev"} <= set(found)
    return found


def codename(root):
    text = (root / "etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)", text, re.M)[1]


def files_in(deb):
    """{path: line of the listing}."""
    lines = check(["dpkg-deb", "-c", deb]).stdout.splitlines()
    return {line.split(maxsplit=5)[5].split(" -> ")[0].removeprefix("./"): line for line in lines}


def test_lintian_is_silent(debs):
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    result = run(["lintian", "--allow-root", "--fail-on", "error,warning", *debs.values()],
                 timeout=600)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


def test_packages_share_no_file(debs):
    owners = {}
    for name, deb in debs.items():
        for path in files_in(deb):
            if path and not path.endswith("/"):
                owners.setdefault(path, []).append(name)
    assert {path: names for path, names in owners.items() if len(names) > 1} == {}


def test_programs_and_their_names(debs):
    files = files_in(debs["squenv"])
    for name in ["usr/bin/squenv", "usr/sbin/mount.squenv", "usr/libexec/squenv/squashfuse",
                 "usr/share/man/man1/squenv.1.gz", "usr/share/zsh/vendor-completions/_squenv",
                 "usr/share/bash-completion/completions/squenv",
                 "usr/share/squenv/slurm-plugin/spank_squenv.c"]:
        assert name in files, name
    assert "usr/bin/squenv-pack" in files_in(debs["squenv-pack"])
    needs = check(["dpkg-deb", "-f", debs["squenv-pack"], "Depends"]).stdout
    assert "fuse" not in needs


@pytest.fixture
def with_profile(tmp_path):
    """The packages as they are built where AppArmor knows user namespaces."""
    build = Path(os.environ.get("SQUENV_BUILD_DIR", ROOT / "build-release"))
    if not (build / "deb/build.ninja").exists():
        pytest.skip("the packages were built elsewhere; SQUENV_BUILD_DIR names their build")
    check([ROOT / "tools/release", "--build-dir", build, "--dist", tmp_path, "deb"], timeout=7200,
          env={**os.environ, "SQUENV_APPARMOR_ABI": "/etc/os-release"})
    (deb,) = tmp_path.glob("squenv_*.deb")
    return deb


def test_profile_is_a_conffile(with_profile, tmp_path):
    """And where it is not, the profile is there to be copied."""
    check(["dpkg-deb", "-R", with_profile, tmp_path / "tree"])
    profile = (ROOT / "tools/packaging/apparmor").read_text()
    assert (tmp_path / "tree" / PROFILE).read_text() == profile
    assert not (tmp_path / "tree/usr/share/squenv/apparmor").exists()
    assert (tmp_path / "tree/DEBIAN/conffiles").read_text() == f"/{PROFILE}\n"
    for script in ["postinst", "postrm"]:
        check(["sh", "-n", tmp_path / "tree/DEBIAN" / script])
    assert f"/{PROFILE}" in (tmp_path / "tree/DEBIAN/postinst").read_text()


def test_packages_without_the_permission_have_the_profile_to_copy(debs):
    if Path("/etc/apparmor.d/abi/4.0").exists():
        pytest.skip("AppArmor of this machine knows user namespaces")
    files = files_in(debs["squenv"])
    assert "usr/share/squenv/apparmor" in files and PROFILE not in files


def parsers():
    """Root directories with a parser that knows user namespaces: version 4 of AppArmor."""
    return [root for root in [Path("/"), *SYSTEMS] if (root / "etc/apparmor.d/abi/4.0").exists()
            and (root / "usr/sbin/apparmor_parser").exists()]


@pytest.mark.parametrize("text, status", [("", 0), ("profile x { usernamespaces, }\n", 1)])
def test_profile_is_understood(text, status, tmp_path):
    """-Q loads nothing into the kernel; a wrong profile after it shows that it is read."""
    if not parsers():
        pytest.skip("neither this machine nor SQUENV_ROOTS has apparmor_parser 4")
    profile = (ROOT / "tools/packaging/apparmor").read_text() + text
    command = ["apparmor_parser", "-Q", "-K", "-S", "--base", "/etc/apparmor.d"]
    for root in parsers():
        result = subprocess.run(["chroot", root, *command], input=profile.encode(), timeout=60,
                                capture_output=True, check=False)
        assert (result.returncode == 0) == (status == 0), result.stderr
        assert status != 0 or b"squenv" in result.stdout  # the compiled one


def tree_of(root):
    """Every path but those that dpkg itself keeps, with what it is."""
    found = set()
    for at, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = Path(at, name)
            relative = str(path.relative_to(root))
            if not KEPT.match(relative):
                found.add((relative, path.lstat().st_mode, path.is_symlink() or path.lstat().st_size
                           if path.is_file() else None))
    return found


@pytest.fixture
def fresh_root(tmp_path):
    """A root of the release of Debian that runs this, in which changes are lost afterwards."""
    here = codename(Path("/"))
    roots = [root for root in SYSTEMS if codename(root) == here]
    if not roots:
        pytest.skip(f"SQUENV_ROOTS has no {here}, as 'debootstrap --include=fuse3' makes it")
    over, root = tmp_path / "over", tmp_path / "root"
    over.mkdir()
    root.mkdir()
    check(["mount", "-t", "tmpfs", "none", over])
    try:
        for name in ["up", "work"]:
            (over / name).mkdir()
        options = f"lowerdir={roots[0]},upperdir={over}/up,workdir={over}/work"
        check(["mount", "-t", "overlay", "-o", options, "none", root])
        (root / "usr/bin/squenv").unlink(missing_ok=True)  # of test_static.py
        yield root
    finally:
        run(["umount", root])
        check(["umount", over])


def dpkg(root, *words):
    return run_in(root, ["/usr/bin/dpkg", *words], PATH="/usr/sbin:/usr/bin:/sbin:/bin",
                  DEBIAN_FRONTEND="noninteractive")


def test_install_remove_purge(debs, fresh_root, tmp_path):
    """With Depends alone; a user runs the program, and after purge all is as it was."""
    wanted = ["squenv", "squenv-pack", "libsquenv0", "libsquenv-dev"]
    before = tree_of(fresh_root)
    (fresh_root / "tmp").chmod(0o1777)
    for name in wanted:
        shutil.copy(debs[name], fresh_root / "tmp")
    result = dpkg(fresh_root, "-i", *(f"/tmp/{debs[name].name}" for name in wanted))
    assert result.returncode == 0, result.stdout + result.stderr
    (fresh_root / "tmp/tree").mkdir()
    shutil.copy(fresh_root / "usr/bin/squenv-pack", fresh_root / "tmp/tree/program")
    image = "/tmp/installed.squashfs"
    for words in [["squenv-pack", "-q", "/tmp/tree", "-o", image],
                  ["squenv", "run", f"{image}:/tmp/env", "--", "/tmp/env/program", "--version"]]:
        result = run_in(fresh_root, [f"/usr/bin/{words[0]}", *words[1:]], uid=1000,
                        PATH="/usr/bin:/bin", SQUENV_CACHE="/tmp/cache")
        assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("squenv-pack ")
    assert dpkg(fresh_root, "-r", *wanted).returncode == 0
    assert dpkg(fresh_root, "-P", *wanted).returncode == 0
    assert not dpkg(fresh_root, "-l", "*squenv*").stdout.count("\nii")
    assert tree_of(fresh_root) == before
