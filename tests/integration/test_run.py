# SPDX-License-Identifier: MIT
"""`squenv run`: what it means to the command that is run."""

import os
import signal
import subprocess
import time

import pytest

from run_support import (
    IMPORT,
    OWN_FAILURE,
    expect_import,
    squenv_run,
    wait_until_nothing_is_left,
)
from support.processes import AS_USER, check, mounts_below, run, wait_for

pytestmark = pytest.mark.usefixtures("settled")

METHODS = ["auto", "fusermount", "userns", "extract"]


@pytest.mark.parametrize("via", METHODS)
def test_python_runs_from_the_image(via, work, cache, venv_image, venv_source):
    if via == "extract":  # something is at the path, and the tree is bound over it
        assert venv_source.is_dir()
    expect_import(squenv_run(work, venv_image, IMPORT, "--via", via), venv_source)
    wait_until_nothing_is_left(work, venv_source)


def test_root_mounts_directly(work, venv_image, venv_source):
    result = squenv_run(work, venv_image, IMPORT, "-v", "--via", "direct", user=False)
    expect_import(result, venv_source)
    assert "(direct)" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", METHODS)
def test_environment_of_the_command(via, work, cache, venv_image, venv_source, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/kept")
    result = squenv_run(work, venv_image, ["env", "-0"], "--via", via, "--env", "ONE=1=2", "--env",
                        "TWO=")
    assert result.returncode == 0, result.stderr
    variables = dict(line.split("=", 1) for line in result.stdout.split("\0") if line)
    assert variables["VIRTUAL_ENV"] == str(venv_source)
    assert variables["PATH"].startswith(f"{venv_source}/bin:")
    assert variables["SQUENV_MOUNTS"] == f"{venv_image}:{venv_source}"
    assert variables["LD_LIBRARY_PATH"] == "/kept"
    assert variables["ONE"] == "1=2" and variables["TWO"] == ""
    assert "PYTHONHOME" not in variables


@pytest.mark.parametrize("via", METHODS)
def test_identity_of_the_command(via, work, cache, venv_image):
    """No fake root, no capability, the supplementary groups, no stranger among its descriptors."""
    script = ("id -u; id -g; grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status | sort | uniq -c |"
              " grep -vc 0000000000000000; ls /proc/self/fd; cat /proc/self/attr/current")
    result = squenv_run(work, venv_image, ["sh", "-c", script], "--via", via)
    lines = result.stdout.splitlines()
    assert lines[:3] == ["1000", "1000", "0"]
    assert {"0", "1", "2"} <= set(lines[3:])


def test_supplementary_groups_still_work(work, venv_image):
    shared = work.directory("shared", user=False)
    os.chown(shared, 0, 4321)
    shared.chmod(0o770)
    command = [os.fspath(part) for part in
               ["setpriv", "--reuid", "1000", "--regid", "1000", "--groups", "4321", "--",
                work.programs / "squenv", "run", "--via", "userns", venv_image, "--", "touch",
                shared / "file"]]
    assert run(command).returncode == 0
    assert (shared / "file").exists()


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_pid_directory_and_descriptors_are_kept(via, work, cache, venv_image):
    inside = work.directory("inside")
    reader, writer = os.pipe()
    script = f"echo $$ $(pwd); echo through >&{writer}"
    process = work.start(work.command("run", "--via", via, venv_image, "--", "bash", "-c", script),
                         pass_fds=[writer])
    process_in = subprocess.Popen(
        ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups",
         work.programs / "squenv", "run", "--via", via, venv_image, "--", "sh", "-c",
         "echo $$ $(pwd)"], cwd=inside, stdout=subprocess.PIPE, text=True)
    assert process_in.communicate(timeout=30)[0] == f"{process_in.pid} {inside}\n"
    assert process.communicate(timeout=30)[0].decode() == f"{process.pid} /\n"
    os.close(writer)
    # The end of the pipe: no daemon has kept it.
    assert os.read(reader, 100) == b"through\n" and os.read(reader, 100) == b""
    os.close(reader)


def test_daemon_keeps_no_descriptor_of_the_caller(work, venv_image, venv_source):
    reader, writer = os.pipe()
    command = work.command("run", venv_image, "--", "bash", "-c",
                           f"exec {writer}>&-; exec sleep 1000")
    process = work.start(command, pass_fds=[writer])
    os.close(writer)
    assert os.read(reader, 1) == b""  # although the mount is there
    wait_for(lambda: mounts_below(venv_source), "the mount")
    process.kill()
    os.close(reader)
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
@pytest.mark.parametrize("code", [0, 1, 42, 125, 126, 127])
def test_exit_status_of_the_command(via, code, work, cache, venv_image):
    result = squenv_run(work, venv_image, ["sh", "-c", f"exit {code}"], "--via", via)
    assert (result.returncode, result.stderr) == (code, "") or (
        via == "extract" and result.returncode == code)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGTERM", "SIGKILL"])
def test_death_by_signal(name, work, venv_image):
    number = getattr(signal, name)
    result = squenv_run(work, venv_image, ["sh", "-c", f"ulimit -c 0; kill -{number} $$"])
    assert result.returncode == -number


def test_command_that_does_not_exist(work, venv_image, venv_source):
    result = squenv_run(work, venv_image, ["no-such-command"])
    assert result.returncode == 127 and "no-such-command" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_no_path(work, venv_image):
    result = work.squenv("run", venv_image, "--", "ls", "/", env={})
    assert result.returncode == 0, result


def test_command_that_cannot_be_executed(work, venv_image):
    result = squenv_run(work, venv_image, ["/etc/passwd"])
    assert result.returncode == 126 and "/etc/passwd" in result.stderr


REFUSED = [
    ("plain", "echo\n", 0o644, 126, ["is not executable", "chmod +x", "sh "]),
    ("script.py", "#!/usr/bin/python3\n", 0o644, 126, ["not executable", "/usr/bin/python3 "]),
    ("lost", "#!/no/such/program -x\n", 0o755, 127, ["/no/such/program: No such file", "install"]),
    ("windows", "#!/bin/sh\r\necho\r\n", 0o755, 127, ["carriage return", "sed -i"]),
    ("nested", "#!/etc/passwd\n", 0o755, 126, ["/etc/passwd: Permission denied", "the line"]),
    ("closed", "#!/bin/sh\n", 0o700, 126, ["Permission denied", "setfacl -m u:1000:rx"]),
]


@pytest.mark.parametrize("name, text, mode, code, words", REFUSED,
                         ids=[refused[0] for refused in REFUSED])
def test_a_program_that_cannot_be_executed(name, text, mode, code, words, work, plain_image):
    place = work.directory("place")
    path = work.path / name
    path.write_bytes(text.encode())
    path.chmod(mode)
    result = squenv_run(work, f"{plain_image}:{place}", [f"./{name}"], cwd=work.path)
    assert result.returncode == code
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"squenv run: ./{name}: ") and "; " in line
    assert all(word in line for word in words), line


def test_what_is_no_program_at_all(work, plain_image):
    place, closed = work.directory("place"), work.directory("closed", user=False)
    closed.chmod(0o700)
    for command, code, words in [(place, 126, ["is a directory", "name a program"]),
                                 (place / "none", 127, ["No such file", "check the path"]),
                                 (closed / "x", 126, [f"{closed} may not be entered", "setfacl"])]:
        result = squenv_run(work, f"{plain_image}:{place}", [command])
        (line,) = result.stderr.splitlines()
        assert result.returncode == code and all(word in line for word in words), line


@pytest.mark.parametrize("args", [
    ["run"], ["run", "--no-such-option"], ["run", "/nowhere.squashfs", "--", "true"],
    ["run", "/etc/passwd", "--", "true"], ["run", "/nowhere.squashfs"],
    ["run", "--via", "magic", "{image}", "--", "true"],
    ["run", "--env", "NOVALUE", "{image}", "--", "true"],
    ["run", "-o", "nonsense", "{image}", "--", "true"],
    ["run", "-o", "timeout=3", "{image}", "--", "true"],
    ["run", "{image},{image}", "--", "true"], ["run", "{image}:", "--", "true"],
    ["run", "{image}", "true", "--", "true"], ["run", "{image}", "--nonsense", "true"],
    ["shell", "{image}", "--", "-c", "true"], ["shell", "{image}", "-c", "true"],
    ["shell", "{image}", "python"],
], ids=lambda args: " ".join(args[1:3]))
def test_own_failures(args, work, venv_image, venv_source):
    args = [word.replace("{image}", str(venv_image)) for word in args]
    result = work.squenv(*args)
    assert result.returncode == OWN_FAILURE, result
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("options", [[], ["--via", "fusermount"], ["-qo", "threads=2"],
                                     ["--env=A=b", "-v"]], ids=" ".join)
def test_command_without_dashes(options, work, venv_image):
    """It begins with the first word behind the images that is no option."""
    result = work.squenv("run", *options, venv_image, "-q", "sh", "-c", 'echo "$@"', "a", "-x",
                         "--via", "b")
    assert (result.returncode, result.stdout) == (0, "-x --via b\n"), result.stderr


@pytest.mark.parametrize("words", [["--", "-c", "true"], ["-c", "true"], ["python"]], ids=" ".join)
def test_shell_points_to_run(words, work, venv_image):
    result = work.squenv("shell", venv_image, *words)
    assert result.returncode == OWN_FAILURE and "squenv run" in result.stderr, result.stderr


def test_too_many_open_files(work, venv_image):
    """What is short is named, wherever in the message it turns up."""
    seen = 0
    for most in range(4, 9):
        result = run([*AS_USER, "prlimit", f"--nofile={most}", work.programs / "squenv", "run",
                      venv_image, "--", "true"])
        if "squenv run: " in result.stderr and "Too many open files" in result.stderr:
            assert "ulimit -n" in result.stderr
            seen += 1
    assert seen > 0


def test_stdin_and_a_large_pipe_pass_through(work, venv_image):
    """1 GiB from a pipe to a pipe: nothing of ours is between."""
    sender = subprocess.Popen(["head", "-c", "1G", "/dev/zero"], stdout=subprocess.PIPE)
    process = work.start(work.command("run", venv_image, "--", "cat"), stdin=sender.stdout)
    sender.stdout.close()
    count = subprocess.run(["wc", "-c"], stdin=process.stdout, capture_output=True, check=True,
                           timeout=60)
    assert int(count.stdout) == 1 << 30
    assert process.wait() == 0 and sender.wait() == 0


@pytest.mark.parametrize("wrapper", [["timeout", "60"], ["nohup"], ["setsid", "-w"], ["nice"],
                                     ["xargs", "-P", "8", "-n", "1"]], ids=lambda words: words[0])
def test_wrappers(wrapper, work, venv_image, venv_source):
    words = [os.fspath(word) for word in
             [work.programs / "squenv", "run", venv_image, "--", *IMPORT]]
    if wrapper[0] == "xargs":
        words += ["arg"]
        result = run([*AS_USER, *wrapper, *words[:-1]], input="a\n" * 24)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count(str(venv_source)) == 24  # lines of eight at once may mix
    else:
        expect_import(run([*AS_USER, *wrapper, *words]), venv_source)
    wait_until_nothing_is_left(work, venv_source)


def test_timeout_ends_the_command(work, venv_image, venv_source):
    result = run([*AS_USER, "timeout", "0.5", work.programs / "squenv", "run", venv_image, "--",
                  "sleep", "1000"])
    assert result.returncode == 124
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_recorded_run(via, work, venv_image, venv_source):
    trace = work.directory("traces") / "trace"
    expect_import(squenv_run(work, venv_image, IMPORT, "--via", via, "--record", trace),
                  venv_source)
    wait_until_nothing_is_left(work, venv_source)
    text = trace.read_text()
    assert "probe" in text and "pyvenv.cfg" in text
    assert work.squenv("trace", "report", trace).returncode == 0


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_background_child_keeps_the_mount(via, work, venv_image, venv_source):
    script = (f"(sleep 1.5; python -c 'import probe; print(probe.VALUE)' > {work.path}/late) "
              "> /dev/null 2>&1 &")
    os.chmod(work.path, 0o777)
    assert squenv_run(work, venv_image, ["sh", "-c", script], "--via", via).returncode == 0
    wait_for(lambda: (work.path / "late").exists() and (work.path / "late").read_text() == "42\n",
             "the child that was left behind")
    wait_until_nothing_is_left(work, venv_source)


def test_command_that_closes_every_descriptor(work, venv_image, venv_source):
    code = "import os, time; os.closerange(3, 1024); time.sleep(1); import probe; print('ok')"
    result = squenv_run(work, venv_image, ["python", "-c", code])
    assert result.stdout == "ok\n", result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_working_directory_below_the_mount_point(work, venv_image, venv_source):
    result = run([*AS_USER, work.programs / "squenv", "run", venv_image, "--", "ls"],
                 cwd=venv_source)
    assert result.returncode == 0 and "pyvenv.cfg" in result.stdout.split()
