# SPDX-License-Identifier: MIT
"""What the tools leave behind on the machine."""

import stat
import sys
from pathlib import Path

import pytest

from support.processes import check, run

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "tools" / "bench"
ENDS = {"end": "pass", "error": "raise OSError", "exit": "sys.exit(0)",
        "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)"}


def test_bench_gives_the_device_its_mode_back(tmp_path):
    for name, end in ENDS.items():
        device = tmp_path / name
        device.touch(mode=0o640)
        script = f"""if True:
            import os, signal, sys
            sys.path.insert(0, {str(BENCH)!r})
            import setup
            setup.let_users_in({str(device)!r})
            print(oct(os.stat({str(device)!r}).st_mode & 0o777))
            try:
                {end}
            except OSError:
                sys.exit(0)"""
        result = check(["sh", "-c", '"$@"; true', "sh", sys.executable, "-B", "-c", script])
        assert result.stdout.strip() == "0o666", result.stderr
        assert stat.S_IMODE(device.stat().st_mode) == 0o640, name


def fuzz_targets():
    sources = (ROOT / "tests/fuzz").glob("fuzz_*.cpp")
    return sorted(path.stem.removeprefix("fuzz_") for path in sources)


def test_help_names_the_fuzz_targets():
    text = check([ROOT / "tools/test", "--help"]).stdout
    (line,) = [line for line in text.splitlines() if "Targets: " in line]
    assert line.partition("Targets: ")[2].split() == fuzz_targets()


def test_every_fuzz_target_has_a_corpus():
    corpus = ROOT / "tests/fuzz/corpus"
    assert sorted(path.name for path in corpus.iterdir()) == fuzz_targets()
    for directory in corpus.iterdir():
        assert any(directory.iterdir()), directory


@pytest.mark.parametrize("words", [
    ["fuzz", "--minutes", "1"], ["fuzz", "image"], ["--minutes", "1", "image"],
    ["unit", "--minutes", "1", "image"], ["unit", "fuzz", "--minutes", "1", "image"],
    ["fuzz", "--minutes", "0", "image"], ["fuzz", "--minutes", "08", "image"],
    ["fuzz", "--minutes", "-1", "image"], ["fuzz", "--minutes", "1.5", "image"],
    ["fuzz", "--minutes", "10000", "image"], ["fuzz", "--minutes", "", "image"],
    ["fuzz", "--minutes", "1", "image", "tar"], ["fuzz", "image", "--minutes"],
    ["fuzz", "--minutes", "1", "nothing"]])
def test_fuzzing_is_refused_without_a_time_and_one_target(words):
    result = run([ROOT / "tools/test", *words])
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("tools/test: ") and result.stderr.count("\n") == 1
