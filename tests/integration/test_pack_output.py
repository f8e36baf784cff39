# SPDX-License-Identifier: MIT
"""What the packer says while it works: the bar on a terminal, and the passes with --verbose."""
import errno
import json
import os
import random
import re
import signal
import subprocess

import pytest

from pack_support import PACK, run

BAR = re.compile(r"\r\x1b\[K *(\d+) % \[(#*) *\] ([\d.]+ \w+) of ([\d.]+ \w+), ([\d.]+ \w+)/s, "
                 r"(\d+) s left")
CLEAR = "\r\x1b[K"
SLOW = ["--codec", "xz", "--level", "6", "--jobs", "1", "-b", "1M"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Takes about two seconds to pack with SLOW: the bar is redrawn ten times a second."""
    root = tmp_path_factory.mktemp("output") / "tree"
    root.mkdir()
    rng = random.Random(5)
    for i in range(12):
        (root / f"file-{i}").write_bytes(rng.randbytes(500_000) + rng.randbytes(999) * 500)
    (root / "copy").write_bytes((root / "file-0").read_bytes())
    return root


class Terminal:
    """A packer whose standard error is a terminal."""

    def __init__(self, *arguments):
        self.side, other = os.openpty()
        # Where the caller ignores interrupts, the packer would, too.
        self.child = subprocess.Popen(
            [PACK, *map(os.fspath, arguments)], stderr=other, stdout=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(other)
        self.text = ""

    def read_until(self, condition):
        while not condition(self.text):
            try:
                data = os.read(self.side, 65536)
            except OSError as error:
                assert error.errno == errno.EIO  # the other end is closed
                data = b""
            if not data:
                return self.text
            self.text += data.decode()
        return self.text

    def end(self):
        self.read_until(lambda text: False)
        os.close(self.side)
        self.child.stdout.read()
        self.child.stdout.close()
        return self.child.wait(timeout=60)


def visible_rest(text):
    """What is left on the screen of a text that redraws its last line."""
    lines = [line.rsplit(CLEAR, 1)[-1].rstrip("\r") for line in text.split("\n")]
    return "\n".join(lines)


def test_bar_on_a_terminal(tree, tmp_path):
    terminal = Terminal(tree, "-o", tmp_path / "image", *SLOW)
    assert terminal.end() == 0
    bars = BAR.findall(terminal.text)
    assert len(bars) >= 3, terminal.text
    shares = [int(bar[0]) for bar in bars]
    assert shares == sorted(shares) and shares[-1] <= 100
    for share, marks, *_ in bars:
        assert abs(len(marks) - int(share) * 24 / 100) <= 1
    assert {bar[3] for bar in bars} == {"12.4 MiB"}
    # The line is gone in the end.
    assert terminal.text.endswith(CLEAR) and visible_rest(terminal.text) == ""


def test_bar_is_cleared_before_an_error(tree, tmp_path):
    terminal = Terminal(tree, "-o", tmp_path / "image", *SLOW)
    terminal.read_until(BAR.search)
    terminal.child.send_signal(signal.SIGINT)
    assert terminal.end() != 0
    assert visible_rest(terminal.text) == \
        "squenv-pack: stopped on request; no image was written\n"
    assert os.listdir(tmp_path) == []


def test_bar_is_cleared_before_lines_of_passes(tree, tmp_path):
    terminal = Terminal("-v", tree, "-o", tmp_path / "image", *SLOW)
    assert terminal.end() == 0
    assert BAR.search(terminal.text)
    shown = visible_rest(terminal.text).splitlines()
    steps = [line.split(":")[0] for line in shown[1:]]
    assert steps == ["scan", "order", "store", "tables", "sync"]


def test_quiet_has_no_bar(tree, tmp_path):
    terminal = Terminal("-q", tree, "-o", tmp_path / "image", *SLOW)
    assert terminal.end() == 0 and terminal.text == ""


def test_no_bar_without_a_terminal(tree, tmp_path):
    done = run(PACK, tree, "-o", tmp_path / "image", *SLOW)
    assert done.stderr == b"" and b"\x1b" not in done.stdout and b"\r" not in done.stdout


def test_verbose_names_the_passes(tree, tmp_path):
    done = run(PACK, "-v", "--json", "--verify", tree, "-o", tmp_path / "image", "-b", "128K",
               "--jobs", "3", "--readers", "2", "--memory", "16M")
    report = json.loads(done.stdout)
    lines = done.stderr.decode().splitlines()
    assert lines[0] == ("zstd level 3, blocks of 128.0 KiB; 3 threads compress, 2 read; "
                        "16.0 MiB for file data")
    expected = [
        r"scan: 14 entries",
        r"order: 13 files, 12\.4 MiB",
        rf"store: 1 duplicates with [\d.]+ KiB left out, {report['blocks']} blocks in [\d.]+ MiB "
        rf"\({report['fragment_blocks']} of small files, {report['raw_blocks']} as they are\)",
        r"tables: 14 inodes, [\d.]+ KiB with the appendix",
        r"sync: [\d.]+ MiB on the disk",
        r"verify: 13 files read back",
    ]
    assert len(lines) == 1 + len(expected)
    for line, pattern in zip(lines[1:], expected):
        assert re.fullmatch(pattern + r"; \d+\.\d{3} s", line), line
    assert report["blocks"] > 90 and 0 < report["raw_blocks"] < report["blocks"]
    assert report["fragment_blocks"] == 0


def test_quiet_outweighs_verbose(tree, tmp_path):
    done = run(PACK, "-v", "-q", tree, "-o", tmp_path / "image")
    assert done.stderr == b"" and done.stdout == b""


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1"])
def test_a_pipe_is_no_place_for_an_image(name, tree):
    """Its link in /proc leads to no path."""
    done = subprocess.run([PACK, "-q", "-f", tree, "-o", name], capture_output=True)
    assert done.returncode != 0 and done.stdout == b""
    assert f"{name} is not a regular file".encode() in done.stderr, done.stderr
