# SPDX-License-Identifier: MIT
"""The habits of CONTRIBUTING.md that a program can look at."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTH = 100
LONGEST_FILE = 450
LONGEST_FUNCTION = 60

# A room includes headers of these rooms and of none besides.
BELOW_PREFETCH = {"base", "format", "codec", "appendix", "image"}
ROOMS = {
    "base": set(),
    "system": {"base"},
    "mount": {"base", "system"},
    "share": {"base", "system"},
    "view": {"base"},
    "label": {"base"},
    "prefetch": BELOW_PREFETCH,
    "fuse": BELOW_PREFETCH | {"prefetch", "trace"},
    "daemon": BELOW_PREFETCH | {"prefetch", "fuse", "trace", "system", "mount", "share"},
    "diff": {"base", "format", "codec", "appendix", "image", "venv"},
    "versions": {"base", "format", "appendix", "image"},
    "create": {"base", "cache", "system", "mount"},
    "spank": set(),
    "run": BELOW_PREFETCH | {"cache", "venv", "system", "mount", "share", "daemon"},
    "edit": BELOW_PREFETCH | {"cache", "venv", "system", "mount", "share", "run"},
}
# Words for persons, and "behind" for "after". The user `nobody` is one of the few that are right.
DIALECT = re.compile(r"\b(nobody|somebody|whoever|who comes|behind)\b", re.IGNORECASE)
RIGHT_LINES = 20


def files(*patterns):
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


SOURCES = files("src/*/*.h", "src/*/*.cpp", "src/*/*.c", "include/**/*.h", "tests/*/*.h",
                "tests/*/*.cpp", "tests/*.cpp")
PROGRAM = [path for path in SOURCES if path.is_relative_to(ROOT / "src")]


def name_of(path):
    return str(path.relative_to(ROOT))


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_lines_have_100_columns():
    texts = SOURCES + files("tests/**/*.py", "tools/bench/*.py", "src/*/meson.build",
                            "tests/*/meson.build", "tools/test", "tools/quickstart",
                            "tools/release", "tools/install", "tools/packaging/*",
                            "tools/packaging/*/*.py", "tools/action/*")
    long = [f"{name_of(path)}:{number}: {len(line)} columns"
            for path in texts if path.is_file()
            for number, line in enumerate(lines_of(path), 1)
            if len(line) > WIDTH]
    assert not long, "\n".join(long)


def test_files_are_formatted():
    """By the clang-format that Debian 12 has; 'clang-format -i FILE' mends it."""
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, SOURCES)],
                            capture_output=True, text=True, check=False)
    found = sorted({line.split(":")[0] for line in result.stderr.splitlines()
                    if "[-Wclang-format-violations]" in line})
    assert result.returncode == 0, "\n".join(found) or result.stderr


def test_files_are_tidy(tmp_path):
    """Twenty files in one compilation, as `tools/test` builds them: a fifth of the time."""
    subprocess.run(["meson", "setup", tmp_path, "--buildtype=release", "--unity=on",
                    "--unity-size=20"], cwd=ROOT, check=True, capture_output=True)
    commands = json.loads((tmp_path / "compile_commands.json").read_text())
    sources = [command["file"] for command in commands
               if command["file"].startswith("src/") and command["file"].endswith(".cpp")]
    assert len(sources) > 30

    def look_at(source):
        return subprocess.run(["clang-tidy", "-p", tmp_path, "--quiet",
                               f"--config-file={ROOT}/.clang-tidy", source], cwd=tmp_path,
                              capture_output=True, text=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [told.stdout + told.stderr for told in pool.map(look_at, sources)
                 if told.returncode != 0]
    assert not found, "\n".join(found)


def test_files_are_short():
    long = [f"{name_of(path)}: {len(lines_of(path))} lines" for path in PROGRAM
            if len(lines_of(path)) > LONGEST_FILE]
    assert not long, "\n".join(long)


HEAD = re.compile(r"( *)[A-Za-z\[~:].*\)( const)?( noexcept)?( override)? \{$")
# The last of these is a lambda.
NO_FUNCTION = re.compile(r" *(\} )?(if|for|while|switch|else|catch|do|return|namespace|class|struct"
                         r"|enum)\b|.*(?<!\w)\[[^][]*\] ?\(")


def functions(path):
    """(line, length) of each: it ends at the first brace that is indented as its first line is."""
    lines = lines_of(path)
    for start, head in enumerate(lines):
        if not HEAD.match(head):
            continue
        body = start + 1
        while (head.count("(") < head.count(")") or head.lstrip().startswith(":")
               or lines[start - 1].endswith(",")):
            start -= 1
            head = lines[start] + head
        if not NO_FUNCTION.match(head):
            brace = re.match(" *", head)[0] + "}"
            yield start + 1, next((number for number, line in enumerate(lines[body:], body + 1)
                                   if line.startswith(brace)), len(lines)) - start


def test_functions_are_short():
    long = [f"{name_of(path)}:{line}: {length} lines" for path in PROGRAM
            for line, length in functions(path) if length > LONGEST_FUNCTION]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_no_arrow_up(room):
    """The layers of ARCHITECTURE.md. The libraries of the build say the same when linked."""
    wrong = []
    for path in files(f"src/{room}/*.h", f"src/{room}/*.cpp", f"src/{room}/*.c"):
        for line in lines_of(path):
            other = re.match(r'#include "(\w+)/', line)
            if other and other[1] not in ROOMS[room] | {room, "squenv"}:
                wrong.append(f"{name_of(path)}: {line}")
    assert not wrong, "\n".join(wrong)


def test_words_are_those_of_the_field():
    texts = PROGRAM + files("man/*.[1-8]", "doc/*.md", "README.md", "ARCHITECTURE.md")
    found = [f"{name_of(path)}:{number}: {line.strip()}" for path in texts
             for number, line in enumerate(lines_of(path), 1) if DIALECT.search(line)]
    assert len(found) <= RIGHT_LINES, "\n".join(found)


def test_every_test_is_in_a_suite():
    script = (ROOT / "tools/test").read_text()
    function = re.search(r"^files_of\(\) \{.*?^\}", script, re.M | re.S)[0]
    suites = re.search(r"suites=\(unit(.*?)\)", script, re.S)[1].split()
    print_files = function + '\nfor suite; do files_of "$suite"; done'
    listed = subprocess.run(["bash", "-c", print_files, "-", *suites, "release"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    there = {name_of(path) for path in files("tests/*/test_*.py")}
    assert there - set(listed) == set()


def test_manual_pages_are_well_formed():
    """One run for all, which says when it is through with a page: an open definition would swallow
    that line."""
    pages = {name_of(page): page.read_text() for page in files("man/*.[1-8]")}
    # On one page: where pages end depends on all that comes before.
    source = ".pl 32000\n"
    source += "".join(f".lf 1 {name}\n{text}.tm {name}\n" for name, text in pages.items())
    result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", "-t"], input=source,
                            capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.splitlines()) == (0, list(pages))


# Of mail and of sites, but for those of the field and of examples.
FREE = r"example\.org|www\.debian\.org/doc|www\.w3\.org|127\.0\.0\.1|\*\*\*@host|user:\w+@host"
ADDRESS = re.compile(rf"[\w.+-]+@[\w-]+\.\w[\w.]*|https?://(?!(?:{FREE})\b)\w[^\s\"'>)]*")


def test_addresses_of_the_publisher_are_in_one_place():
    place = ROOT / "tools/packaging/publisher"
    texts = files("[!C]*.md", "CONTRIBUTING.md", "doc/*.md", "man/*.[1-8]", "meson.build",
                  "include/**/*.h", "src/**/*", "tools/**/*")
    found = [f"{name_of(path)}:{number}: {match[0]}" for path in texts
             if path.is_file() and path != place and path.suffix not in (".pyc", ".png")
             for number, line in enumerate(lines_of(path), 1) if (match := ADDRESS.search(line))]
    assert not found, "\n".join(found)
    assert ADDRESS.search(place.read_text())


def test_documents_name_the_version_of_the_build():
    version = re.search(r"^  version: '(.*)'", (ROOT / "meson.build").read_text(), re.M)[1]
    found = [(name_of(path), named) for path in files("README.md", "doc/*.md")
             for named in re.findall(r"squenv[-/](\d+\.\d+\.\d+)", path.read_text())]
    assert found and {named for _, named in found} == {version}, found
