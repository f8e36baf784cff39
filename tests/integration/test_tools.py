# SPDX-License-Identifier: MIT
"""What the tools leave behind on the machine."""

import stat
import sys
from pathlib import Path

from support.processes import check

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench"
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
