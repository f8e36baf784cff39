# SPDX-License-Identifier: MIT
"""The installed library, as a program of somebody else uses it."""

import json
import os
import re
import shutil
import subprocess

import pytest
from support.processes import check, run
from support.session import build_of

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "example", "list_image.cpp")
HEADERS = {"creation.h", "error.h", "expected.h", "image.h", "pack.h", "touch.h"}


@pytest.fixture(scope="module")
def build(binary):
    """The build directory of the tested program."""
    path = build_of(binary)
    if shutil.which("meson") is None or not (path / "build.ninja").exists():
        pytest.skip("needs meson and the build directory that the program came from")
    return path


@pytest.fixture(scope="module")
def stage(build, session_dir):
    """Everything installed, in a directory of its own."""
    path = session_dir / "stage"
    check(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", path],
          timeout=300)
    return path


@pytest.fixture(scope="module")
def environment(stage):
    """What pkg-config needs to find the staged library instead of another one."""
    found = list(stage.rglob("squenv.pc"))
    assert len(found) == 1, found
    return {**os.environ, "PKG_CONFIG_PATH": str(found[0].parent),
            "PKG_CONFIG_SYSROOT_DIR": str(stage)}


def flags(environment, *options):
    # The sysroot is for the staged library only, not for the system's that it stands on.
    result = check(["pkg-config", *options, "squenv"], env=environment)
    return result.stdout.split()


@pytest.fixture(scope="module")
def example(stage, environment, session_dir):
    program = session_dir / "list_image"
    result = run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", EXAMPLE,
                  "-o", program, *flags(environment, "--cflags", "--libs")], timeout=300)
    assert result.returncode == 0, result.stderr
    libraries = [flag[2:] for flag in flags(environment, "--libs") if flag.startswith("-L")]
    return program, {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}


def test_links_can_be_moved(stage):
    """They lead from where they are to the program, wherever the tree is put."""
    names = {"squashfuse", "squashfuse_ll", "mount.squenv", "mount.fuse.squenv"}
    links = [path for path in stage.rglob("*") if path.is_symlink() and path.name in names]
    assert {path.name for path in links} == names
    for path in links:
        assert not os.readlink(path).startswith("/"), path
        assert path.resolve().is_file() and path.resolve().name == "squenv", path
        assert stage in path.resolve().parents, path


def test_headers_are_installed_and_stand_alone(stage, environment, session_dir):
    directories = list(stage.rglob("include/squenv"))
    assert len(directories) == 1 and set(os.listdir(directories[0])) == HEADERS
    for header in sorted(HEADERS):
        result = subprocess.run(
            ["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-",
             *flags(environment, "--cflags")],
            input=f"#include <squenv/{header}>\n#include <squenv/{header}>\n",
            capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{header}: {result.stderr}"


def test_the_version_is_that_of_the_program(environment, work):
    version = work.squenv("--version").stdout.split()[1]
    assert flags(environment, "--modversion") == [version]


def test_example_reads_an_image(example, plain_tree, plain_image):
    program, variables = example
    result = check([program, plain_image], env=variables)
    assert result.stderr == ""
    expected = {}
    for top, directories, files in os.walk(plain_tree):
        for name in directories + files:
            path = os.path.join(top, name)
            expected["/" + os.path.relpath(path, plain_tree)] = path
    lines = result.stdout.splitlines()
    assert len(lines) == len(expected) + 1
    for line in lines[1:]:
        mode, owner, text = line.split(" ", 2)
        path = max((path for path in expected if text == path or text.startswith(path + " ")),
                   key=len)
        info = os.lstat(expected[path])
        assert int(mode, 8) == info.st_mode & 0o7777
        assert owner == f"{info.st_uid}:{info.st_gid}"
        if os.path.islink(expected[path]):
            assert text.startswith(f"{path} -> {os.readlink(expected[path])}")
        elif os.path.isfile(expected[path]):
            assert text.startswith(f"{path} {info.st_size} bytes")


def test_example_says_what_is_wrong(example, work):
    program, variables = example
    image = work.path / "image"
    image.write_text("no image")
    result = run([program, image], env=variables)
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and str(image) in result.stderr


def needed_by(path):
    return set(re.findall(r"NEEDED.*\[(.*)\]", check(["readelf", "-d", path]).stdout))


def test_programs_bring_libraries_along(build, stage):
    """Each shared one costs time at every start. The library of ours takes those of the system."""
    options = json.loads(check(["meson", "introspect", "--buildoptions", build]).stdout)
    values = {option["name"]: option["value"] for option in options}
    if not values["static_libraries"] or values["b_sanitize"] != "none":
        pytest.skip("built with shared libraries")
    for name in ["squenv", "squenv-pack"]:
        (program,) = [path for path in stage.rglob(f"bin/{name}") if not path.is_symlink()]
        others = {name.partition(".")[0] for name in needed_by(program)} - {"libc", "libm"}
        assert {name for name in others if not name.startswith("ld-linux")} == set()
    for library in stage.rglob("libsquenv.so*"):
        assert "libzstd.so.1" in needed_by(library)


def test_nothing_of_the_inside_is_visible(stage):
    """Other names could clash with those of the program."""
    libraries = [path for path in stage.rglob("libsquenv.so*") if not path.is_symlink()]
    if not libraries:
        pytest.skip("built as a static library")
    names = check(["nm", "-DC", "--defined-only", libraries[0]]).stdout.splitlines()
    for name in names:
        symbol = name.split(" ", 2)[2]
        assert symbol.startswith(("squenv::Image::", "squenv::Error::message",
                                  "squenv::pack::pack_tree")), symbol
