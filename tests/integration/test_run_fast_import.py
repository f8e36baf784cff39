# SPDX-License-Identifier: MIT
"""`squenv run --fast-import`: Python asks of no module whether it is a terminal."""

import os

import pytest

from run_support import IMPORT, expect_import, squenv_run

pytestmark = pytest.mark.usefixtures("settled")

# Prints the value of the module, and what of the option is left in the path.
ASKED = ("import probe, sys; print(probe.VALUE); "
         "print(sorted(p for p in sys.path if 'fast-import' in p))")


@pytest.fixture(name="places")
def fixture_places(work, monkeypatch):
    """Where the module may be."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(work.directory("temporary")))
    return work.path / "temporary" / "squenv-fast-import-1000"


def fast(work, image, command, *options, **more):
    return squenv_run(work, image, command, "--fast-import", *options, **more)


def python(code, *options):
    return ["python", *options, "-c", code]


def module(directory, name, text):
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.py").write_text(text, encoding="ascii")
    return directory


def questions(work, image, path, *options):
    """How many files of the image are asked whether they are a terminal, by an import."""
    trace = work.path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=ioctl", "-o", trace, *python(ASKED)]
    result = squenv_run(work, image, command, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "42\n[]\n"
    return sum(f"<{path}/lib" in line and "TCGETS" in line
               for line in trace.read_text(encoding="utf-8").splitlines())


def test_no_module_is_asked(work, places, venv_image, venv_source):
    assert questions(work, venv_image, venv_source) == 1
    assert questions(work, venv_image, venv_source, "--fast-import") == 0
    assert places.is_dir()


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_every_method_has_it(via, work, cache, places, venv_image, venv_source):
    expect_import(fast(work, venv_image, IMPORT, "--via", via), venv_source)
    script = 'python -c "import os; print(os.environ[\'PYTHONPATH\'])"'
    result = fast(work, venv_image, ["sh", "-c", script], "--via", via)
    assert result.stdout == f"{places}\n", "and a child has it"


def test_the_directory_is_private_and_the_module_is_that_of_the_program(work, places, venv_image):
    fast(work, venv_image, ["true"])
    information = places.stat()
    assert (information.st_mode & 0o7777, information.st_uid) == (0o700, 1000)
    there = places / "sitecustomize.py"
    text = there.read_text(encoding="ascii")
    before = there.stat().st_mtime_ns
    fast(work, venv_image, ["true"])
    assert there.stat().st_mtime_ns == before, "written once"
    there.write_text("raise SystemExit('another version')\n", encoding="ascii")
    assert fast(work, venv_image, python("pass")).returncode == 0
    assert there.read_text(encoding="ascii") == text
    assert sorted(path.name for path in places.iterdir()) in (
        ["__pycache__", "sitecustomize.py"], ["sitecustomize.py"])


def test_the_runtime_directory_comes_first(work, places, venv_image, monkeypatch):
    runtime = work.directory("runtime")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    expected = f"{runtime}/squenv-fast-import\n"
    assert fast(work, venv_image, ["printenv", "PYTHONPATH"]).stdout == expected
    os.chown(runtime, 4321, 4321)  # as after su(1): that of another user
    runtime.chmod(0o755)
    assert fast(work, venv_image, ["printenv", "PYTHONPATH"]).stdout == f"{places}\n"


def test_the_path_of_the_user_stays(work, places, venv_image, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/first:/second")
    show = ["printenv", "PYTHONPATH"]
    assert fast(work, venv_image, show).stdout == f"{places}:/first:/second\n"
    result = fast(work, venv_image, show, "--env", "PYTHONPATH=/own")
    assert result.stdout == f"{places}:/own\n"
    monkeypatch.setenv("PYTHONPATH", f"{places}:/first")
    assert fast(work, venv_image, show).stdout == f"{places}:/first\n", "once in a nested run"


def test_python_sees_the_same_path(work, places, venv_image, monkeypatch):
    show = python("import sys; print(sys.path, 'sitecustomize' in sys.modules)")
    assert fast(work, venv_image, show).stdout == squenv_run(work, venv_image, show).stdout
    monkeypatch.setenv("PYTHONPATH", "/first")
    assert fast(work, venv_image, show).stdout == squenv_run(work, venv_image, show).stdout


def test_the_customization_of_the_user_still_runs(work, places, venv_image, monkeypatch):
    site = module(work.path / "site", "sitecustomize", "print('customized', __name__, __file__)\n")
    module(site, "usercustomize", "print('customized for the user')\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    show = python("import sitecustomize; print(sitecustomize.__file__)", "-X", "utf8")
    expected = squenv_run(work, venv_image, show).stdout
    assert f"customized sitecustomize {site}/sitecustomize.py\n" in expected
    assert fast(work, venv_image, show).stdout == expected


def test_a_customization_that_fails_is_reported_as_ever(work, places, venv_image, monkeypatch):
    site = module(work.path / "site", "sitecustomize", "raise ValueError('on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    result = fast(work, venv_image, python("import probe; print(probe.VALUE)"))
    assert result.returncode == 0 and result.stdout == "42\n"
    assert "Error in sitecustomize" in result.stderr and "on purpose" in result.stderr


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_a_python_that_looks_at_no_path_runs_as_ever(option, work, places, venv_image):
    show = python("import sys, _io, io; print([path for path in sys.path if 'fast' not in path], "
                  "_io.open is io.open)", option)
    result = fast(work, venv_image, show)
    assert result.stdout == squenv_run(work, venv_image, show).stdout
    assert result.stdout.endswith(" True\n") and result.stderr == ""


HOOK = """
import ctypes, importlib.util, io, sysconfig
path = sysconfig.get_path("purelib") + "/probe.py"
seen = []
@ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p)
def hook(path, _):
    seen.append(path)
    return io.BytesIO(b"VALUE = 43")
ctypes.pythonapi.PyFile_SetOpenCodeHook.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
assert ctypes.pythonapi.PyFile_SetOpenCodeHook(ctypes.cast(hook, ctypes.c_void_p), None) == 0
loader = importlib.util.spec_from_file_location("other", path).loader
print(loader.get_data(path), seen == [path])
"""


def test_a_hook_that_opens_code_is_called(work, places, venv_image):
    result = fast(work, venv_image, python(HOOK))
    assert result.stdout == "b'VALUE = 43' True\n", result.stderr


AUDIT = """
import sys
seen = []
def see(event, words):
    if event == "open" and "probe" in str(words[0]):
        seen.append(words)
sys.addaudithook(see)
import probe
print(seen)
"""


def test_audit_events_are_the_same(work, places, venv_image):
    expected = squenv_run(work, venv_image, python(AUDIT)).stdout
    assert "probe" in expected
    assert fast(work, venv_image, python(AUDIT)).stdout == expected


OPENING = """
import _io, io, pickle, sys
assert _io.open is not io.open, "it is in effect"
assert pickle.loads(pickle.dumps(open)) is open is io.open
same = _io.open(sys.executable, "rb")
assert type(same) is io.BufferedReader and same.name == sys.executable and same.mode == "rb"
with _io.open(sys.executable, "rb", 0) as raw:
    assert type(raw) is io.FileIO and raw.read(4) == same.read(4) == b"\\x7fELF"
with _io.open(sys.executable, encoding="latin-1") as text:
    assert type(text) is io.TextIOWrapper
try:
    _io.open_code("/nowhere/module.py")
except FileNotFoundError as error:
    assert error.filename == "/nowhere/module.py"
print("same")
"""


def test_what_is_opened_is_the_same(work, places, venv_image):
    result = fast(work, venv_image, python(OPENING))
    assert (result.stdout, result.stderr) == ("same\n", "")


@pytest.mark.parametrize("danger", ["owner", "link"])
def test_a_directory_of_others_is_not_used(danger, work, places, venv_image, venv_source):
    target = work.directory("elsewhere")
    if danger == "link":
        places.symlink_to(target)
    else:
        places.mkdir()
        os.chown(places, 4321, 1000)
        places.chmod(0o777)
    result = fast(work, venv_image, ["printenv", "PYTHONPATH"])
    assert result.stdout == f"{places}-1000\n" and result.stderr == ""
    assert not list(target.iterdir()) and not list(places.iterdir())
    expect_import(fast(work, venv_image, IMPORT), venv_source)


def test_without_a_safe_place_the_run_says_why_and_goes_on(work, places, venv_image, venv_source):
    places.mkdir()
    os.chown(places, 1000, 1000)
    places.chmod(0o777)
    result = fast(work, venv_image, IMPORT)
    expect_import(result, venv_source)
    assert f"squenv: --fast-import: {places}: others may write there" in result.stderr
    assert f"chmod go-w {places}" in result.stderr and "read as usual" in result.stderr
    assert not list(places.iterdir())
    result = fast(work, venv_image, ["printenv", "PYTHONPATH"], "-q")
    assert (result.stdout, result.stderr) == ("", "")


def test_a_shell_has_it_too(work, places, venv_image):
    result = work.squenv("shell", "--fast-import", venv_image, input="printenv PYTHONPATH\n")
    assert result.stdout.splitlines()[-1:] == [str(places)], result.stderr
