# SPDX-License-Identifier: MIT
"""`squenv shell` on a terminal: prompt, job control, Ctrl-C, each shell's own start-up files."""

import os
import signal
import time

import pytest

from run_support import make_conda, packed, wait_until_nothing_is_left
from support.processes import is_running, mounts_below, wait_for
from support.terminal import Terminal

SHELLS = ["bash", "zsh", "fish", "dash", "sh"]


@pytest.fixture
def home(work):
    path = work.directory("user-home")
    for name, text in [(".bashrc", "PS1='own> '; PATH=/changed:$PATH\n"),
                       (".zshrc", "PROMPT='own> '; PATH=/changed:$PATH\n"),
                       (".config/fish/config.fish",
                        "function fish_prompt; echo -n 'own> '; end\nset PATH /bin /usr/bin\n")]:
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")
    (path / "tmp").mkdir()
    for at, directories, files in os.walk(path):
        for name in [".", *directories, *files]:
            os.chown(os.path.join(at, name), 1000, 1000)
    return path


@pytest.fixture
def terminal(work, home):
    opened = []

    def start(*args, shell="bash", **variables):
        environment = {"HOME": str(home), "SHELL": f"/bin/{shell}", "TERM": "dumb",
                       "TMPDIR": str(home / "tmp"), "PATH": "/usr/bin:/bin", "PS1": "own> ",
                       **variables}
        opened.append(Terminal([str(work.programs / "squenv"), *map(str, args)], environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()
    wait_for(lambda: not mounts_below(work.path), "the end of all mounts")


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_has_the_environment_and_a_mark(shell, terminal, work, home, venv_image,
                                              venv_source):
    one = terminal("shell", venv_image, shell=shell)
    one.expect(r"\(project\) own> ")
    one.type("python -c 'import probe; print(probe.VALUE + 1)'\n")
    one.expect(r"43\r")
    one.type("echo first=$VIRTUAL_ENV\n")
    one.expect(f"first={venv_source}\\b")
    one.type("exit 7\n")
    assert one.wait() == 7
    wait_until_nothing_is_left(work, venv_source)
    assert not [name for name in os.listdir(home / "tmp") if name.startswith("squenv-zsh-")]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_runs_the_scripts_of_conda(shell, terminal, work, home):
    """Behind the user's own files, which may have activated something else."""
    for name, text in [(".bashrc", "export"), (".zshrc", "export"),
                       (".config/fish/config.fish", "set -gx")]:
        with open(home / name, "a", encoding="ascii") as file:
            file.write(f"{text} CONDA_PREFIX{'=' if text == 'export' else ' '}/opt/base\n")
    tree = work.directory("lab")
    make_conda(tree)
    one = terminal("shell", packed(work, tree), shell=shell)
    one.expect(r"\(lab\) own> ")
    one.type("hello\n")
    one.expect(f"{tree} lab 1\r")
    one.type("echo is:$SECOND:\n")
    one.expect("is:fishy:\r" if shell == "fish" else "is:lab-second:\r")
    one.type("exit 0\n")
    assert one.wait() == 0


def test_unknown_shell_is_started_as_it_is(terminal, venv_image, work):
    own = work.path / "ownshell"
    own.write_text("#!/bin/sh\necho args=$# venv=$VIRTUAL_ENV\n", encoding="ascii")
    own.chmod(0o755)
    one = terminal("shell", venv_image, SHELL=str(own))
    one.expect("args=0 venv=/")
    assert one.wait() == 0


def test_nested_use_is_recognised(terminal, venv_image, plain_image, work):
    other = work.directory("other")
    one = terminal("shell", venv_image)
    one.expect(r"own> ")
    program = work.programs / "squenv"
    one.type(f"{program} shell {venv_image}; echo status=$?\n")
    one.expect("has it already")
    one.expect("status=125")
    one.type(f"{program} shell {plain_image}:{other}\n")
    one.expect(r"\(other\) own> ")
    one.type(f"echo mounts=$SQUENV_MOUNTS\n")
    one.expect(f"mounts={plain_image}:{other},{venv_image}:")
    one.type("exit\n")
    one.type("exit 0\n")
    assert one.wait() == 0


def test_variable_from_another_node_is_not_believed(terminal, venv_image, venv_source):
    one = terminal("shell", venv_image, SQUENV_MOUNTS=f"{venv_image}:{venv_source}")
    one.expect(r"own> ")
    one.type("exit 3\n")
    assert one.wait() == 3


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_job_control(via, terminal, venv_image):
    one = terminal("shell", "--via", via, venv_image)
    one.expect("own> ")
    code = ("import signal, time; signal.signal(signal.SIGCONT, lambda *_: print(2 * 21));"
            "print(3 * 7); [time.sleep(0.1) for _ in range(1000)]")
    # Short sleeps: a signal that comes just before one is noticed only behind it.
    one.type(f"python -u -c '{code}'\n")
    one.expect(r"21\r")
    one.type("\x1a")
    one.expect("Stopped")
    one.type("fg\n")
    one.expect(r"42\r")
    one.interrupt("KeyboardInterrupt")
    one.type("python -c 'import probe; print(probe.VALUE)'\n")
    one.expect(r"42\r")
    one.type("exit 0\n")
    assert one.wait() == 0


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_interrupt_reaches_the_command_alone(via, terminal, work, venv_image, venv_source):
    # Short sleeps, as above.
    code = ("import time\n"
            "try: print('go', flush=True); [time.sleep(0.1) for _ in range(1000)]\n"
            "except KeyboardInterrupt:\n import probe; print(probe.VALUE); raise SystemExit(9)")
    one = terminal("run", "--via", via, venv_image, "--", "python", "-c", code)
    one.expect(r"\bgo\r")
    one.type("\x03")
    one.expect(r"42\r")
    assert one.wait() == 9
    wait_until_nothing_is_left(work, venv_source)


def test_hangup_ends_everything(terminal, work, venv_image, venv_source):
    one = terminal("run", venv_image, "--", "sh", "-c", "echo runs; exec sleep 1000")
    one.expect("runs\r")
    assert mounts_below(venv_source)
    os.close(one.fd)
    one.fd = os.open("/dev/null", os.O_RDONLY)
    wait_for(lambda: not is_running(one.pid), "the end of the command")
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("place", ["/nonexistent", "/root"])
def test_zsh_without_a_temporary_directory(place, terminal, venv_image):
    one = terminal("shell", venv_image, shell="zsh", TMPDIR=place)
    one.expect(r"\(project\) own> ")
    one.type("exit 3\n")
    assert one.wait() == 3
