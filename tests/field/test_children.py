# SPDX-License-Identifier: MIT
"""What keeps a mount: processes that closed what they did not know. As process 1 of a container,
`run` is its init."""

import os
import signal
import textwrap
import time

import pytest

from run_support import IMPORT, expect_import, squenv_run, wait_until_nothing_is_left
from support.processes import USER, check, mounts_below, run, wait_for

LATE = textwrap.dedent("""
    import os, sys, time
    {closing}
    while not os.path.exists(sys.argv[1] + ".go"):
        time.sleep(0.01)
    try:
        import probe
        answer = str(probe.VALUE)
    except Exception as error:
        answer = repr(error)
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(answer)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    """)
CLOSING = {
    "all descriptors": "os.closerange(0, 4096)",
    "a daemon": "if os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
                "os.chdir('/'); os.closerange(0, 4096)",
    "other numbers": "[os.dup2(os.open('/dev/null', os.O_RDWR), n) for n in range(3, 300)]",
}


# Source: VHSgunzo/uruntime#15, AppImage/AppImageKit#896.
@pytest.mark.parametrize("closing", CLOSING)
@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_children_that_close_everything(via, closing, work, venv_image, venv_source, cache):
    late = work.path / "late.py"
    late.write_text(LATE.format(closing=CLOSING[closing]), encoding="ascii")
    answer = work.path / "answer"
    if via == "extract":
        venv_source.rmdir()
    try:
        command = ["python", "-c", "import subprocess, sys; subprocess.Popen("
                   f"[sys.executable, '{late}', '{answer}'], start_new_session=True,"
                   " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
                   " stderr=subprocess.DEVNULL)"]
        check(work.command("run", "-q", "--via", via, venv_image, "--", *command))
        time.sleep(1.5)  # nothing shall happen in this time
        (work.path / "answer.go").touch()
        wait_for(answer.exists, "the answer")
        assert answer.read_text(encoding="ascii") == "42"
        wait_until_nothing_is_left(work, venv_source)
    finally:
        if not venv_source.exists():
            venv_source.mkdir()
            os.chown(venv_source, USER, USER)


def test_child_that_forgets_everything(work, venv_image, venv_source):
    """As the manual says: without descriptor and environment a process keeps nothing."""
    code = ("import os, subprocess; print(subprocess.Popen(['sleep', '1000'], env={}, cwd='/',"
            " stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,"
            " stderr=subprocess.DEVNULL).pid)")
    result = squenv_run(work, venv_image, ["python", "-c", code], "-q")
    assert result.returncode == 0, result.stderr
    wait_until_nothing_is_left(work, venv_source)
    os.kill(int(result.stdout), signal.SIGKILL)


# Source: moby/moby#29238.
@pytest.mark.parametrize("command, code", [
    ("import os\ntry: os.wait()\nexcept ChildProcessError: pass", 0),
    ("import sys; sys.exit(7)", 7),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
])
def test_process_1_of_a_container(command, code, work, venv_image, venv_source):
    result = run(["timeout", "-s", "KILL", "30", "unshare", "--pid", "--fork", "--kill-child",
                  "--mount-proc", *work.command("run", "-q", venv_image, "--", "python", "-c",
                                                command, user=False)])
    assert result.returncode == code, result.stderr
    assert not mounts_below(venv_source)


def test_process_1_passes_signals_on(work, venv_image, venv_source):
    # A handler of Python does not run when the signal arrives just before a long sleep starts.
    code = ("import signal, sys\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
            "print(flush=True)\n"
            "sys.exit(5 if signal.sigwait({signal.SIGTERM}) else 1)")
    one = work.start(["unshare", "--pid", "--fork", "--mount-proc",
                      *work.command("run", "-q", venv_image, "--", "python", "-c", code,
                                    user=False)])
    assert one.stdout.readline() == b"\n"
    with open(f"/proc/{one.pid}/task/{one.pid}/children", encoding="ascii") as file:
        init = int(file.read().split()[0])
    os.kill(init, signal.SIGTERM)
    assert one.wait(20) == 5
    assert not mounts_below(venv_source)


def test_run_after_all_that(work, venv_image, venv_source):
    expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)


# The default of subprocess: every descriptor but three is closed, and nothing waits.
def test_child_of_a_launcher_keeps_its_environment(work, venv_image, venv_source):
    """A plain directory of the same modules below would be taken without a word."""
    late = work.path / "late.py"
    late.write_text("import sys\nsys.stdin.readline()\nimport probe\n"
                    "with open(sys.argv[1], 'w') as file:\n    print(probe.__file__, file=file)\n",
                    encoding="ascii")
    pipe, answer = work.path / "pipe", work.path / "answer"
    os.mkfifo(pipe)
    os.chown(pipe, USER, USER)
    launcher = (f"import os, subprocess, sys; subprocess.Popen([sys.executable, '{late}',"
                f" '{answer}'], start_new_session=True, stdin=os.open('{pipe}', os.O_RDWR),"
                " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)")
    check(work.command("run", "-q", venv_image, "--", "python", "-c", launcher))
    time.sleep(1.5)  # nothing shall happen in this time
    writer = os.open(pipe, os.O_RDWR)  # waits for no reader
    os.write(writer, b"\n")
    wait_for(lambda: answer.exists() and answer.read_text(encoding="ascii"), "the answer")
    os.close(writer)
    assert answer.read_text(encoding="ascii").startswith(f"{venv_source}/")
    wait_until_nothing_is_left(work, venv_source)


def test_screen_that_is_detached(work, venv_image, venv_source):
    """It closes what it does not know, and goes on without its starter."""
    sockets = work.directory("screen")
    sockets.chmod(0o700)
    go, answer = work.path / "go", work.path / "answer"
    script = (f"until [ -e {go} ]; do sleep 0.05; done;"
              f" python -c 'import probe; print(probe.VALUE)' > {answer} 2>&1")
    check(work.command("run", "-q", venv_image, "--", "screen", "-dmS", "field", "sh", "-c",
                       script),
          env={**os.environ, "SCREENDIR": str(sockets), "TERM": "dumb"})
    time.sleep(1.5)  # nothing shall happen in this time
    go.touch()
    wait_for(lambda: answer.exists() and answer.read_text(encoding="ascii"), "the answer")
    assert answer.read_text(encoding="ascii") == "42\n"
    wait_until_nothing_is_left(work, venv_source)
