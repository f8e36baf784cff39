# SPDX-License-Identifier: MIT
"""`squenv run`: an image mounted for a command, by every method, and what it means to the command."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from run_support import (
    IMPORT,
    expect_import,
    kill_all,
    wait_until_nothing_is_left,
)
from support.processes import AS_USER, check, mounts_below, processes_of, run, wait_for

METHODS = ["auto", "fusermount", "userns", "extract"]
OWN_FAILURE = 125


@pytest.fixture
def cache(work, monkeypatch):
    """The cache of unpacked trees, in the test's own directory, which it must leave empty."""
    path = work.directory("cache")
    monkeypatch.setenv("SQUENV_CACHE", str(path / "trees"))
    yield path / "trees"
    work.squenv("cache", "clean")
    assert not (path / "trees").exists()


@pytest.fixture(autouse=True)
def settled(work):
    """What a command had mounted goes right behind it."""
    yield
    wait_for(lambda: not mounts_below(work.path), "the end of all mounts")


def squenv_run(work, image, command, *options, user=True, **more):
    return work.squenv("run", *options, image, "--", *command, user=user, **more)


def without_namespaces(script):
    """Runs a shell script in a user namespace of the test's own, with all ids, that allows no
    further ones: the switch of the machine itself may be out of the test's reach."""
    # The shell began without an id, and so without capabilities; another one gets them.
    words = ["unshare", "-U", "-m", "--propagation", "private", "sh", "-c",
             'read go; exec sh -c "$0"',
             f"echo 0 > /proc/sys/user/max_user_namespaces || exit 99\n{script}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        own = os.readlink("/proc/self/ns/user")
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/ns/user") != own, "the namespace")
        for name in ["uid_map", "gid_map"]:
            with open(f"/proc/{process.pid}/{name}", "w", encoding="ascii") as file:
                file.write("0 0 65536")
        output, errors = process.communicate("go\n", timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def quoted(words):
    return " ".join(f"'{os.fspath(word)}'" for word in words)


# What the command gets


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
    result = squenv_run(work, venv_image, ["env"], "--via", via, "--env", "ONE=1=2", "--env",
                        "TWO=")
    assert result.returncode == 0, result.stderr
    variables = dict(line.split("=", 1) for line in result.stdout.splitlines())
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


def test_command_that_cannot_be_executed(work, venv_image):
    result = squenv_run(work, venv_image, ["/etc/passwd"])
    assert result.returncode == 126 and "/etc/passwd" in result.stderr


@pytest.mark.parametrize("args", [
    ["run"], ["run", "--no-such-option"], ["run", "/nowhere.squashfs", "--", "true"],
    ["run", "/etc/passwd", "--", "true"], ["run", "/nowhere.squashfs"],
    ["run", "--via", "magic", "{image}", "--", "true"],
    ["run", "--env", "NOVALUE", "{image}", "--", "true"],
    ["run", "-o", "nonsense", "{image}", "--", "true"],
    ["run", "-o", "timeout=3", "{image}", "--", "true"], ["run", "{image}", "sh", "-c", "true"],
    ["run", "{image},{image}", "--", "true"],
], ids=lambda args: " ".join(args[1:3]))
def test_own_failures(args, work, venv_image, venv_source):
    args = [word.replace("{image}", str(venv_image)) for word in args]
    result = work.squenv(*args)
    assert result.returncode == OWN_FAILURE, result
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
    wait_until_nothing_is_left(work, venv_source)


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


# Where it is mounted


def test_several_images(work, venv_image, venv_source, plain_image):
    other = work.directory("other")
    result = squenv_run(work, f"{venv_image},{plain_image}:{other}",
                        ["sh", "-c", f"ls {venv_source}; ls {other}; echo $SQUENV_MOUNTS"])
    assert result.returncode == 0, result.stderr
    assert "pyvenv.cfg" in result.stdout and len(result.stdout.splitlines()) > 6
    assert result.stdout.splitlines()[-1] == f"{venv_image}:{venv_source},{plain_image}:{other}"
    wait_until_nothing_is_left(work, venv_source)
    assert not mounts_below(other)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_several_images_by_one_method(via, work, plain_image, venv_image):
    places = [work.directory(f"place{i}") for i in range(4)]
    images = ",".join(f"{plain_image}:{place}" for place in places)
    result = squenv_run(work, images, ["sh", "-c", f"ls -d {work.path}/place?/* | wc -l"],
                        "--via", via)
    one = squenv_run(work, f"{plain_image}:{places[0]}",
                     ["sh", "-c", f"ls -d {places[0]}/* | wc -l"], "--via", via)
    assert int(result.stdout) == 4 * int(one.stdout) > 0


@pytest.mark.parametrize("via", ["fusermount", "userns", "extract"])
def test_mount_point_is_made_and_removed(via, work, cache, plain_image):
    path = work.directory("free") / "a" / "b c"
    result = squenv_run(work, f"{plain_image}:{path}", ["ls", path], "--via", via)
    assert result.returncode == 0 and result.stdout, result.stderr
    wait_until_nothing_is_left(work, path)
    wait_for(lambda: not (work.path / "free" / "a").exists(), "the removal of the directories")


@pytest.mark.parametrize("parent", ["/usr/lib", "/", "/root-only"])
def test_mount_point_that_cannot_be_made(parent, work, plain_image, session_dir):
    """Only a private root can show it; what is beside it stays visible, and cannot be written."""
    if parent == "/root-only":
        parent = work.directory("root-only", user=False)
        (parent / "sibling").write_text("seen", encoding="ascii")
    path = os.path.join(parent, "squenv-test", "venv")
    script = (f"ls {path} | wc -l; ls {parent} | grep -v squenv-test | sort | md5sum; "
              f"pwd; touch {parent}/new 2>&1; cat {parent}/sibling 2>/dev/null")
    result = squenv_run(work, f"{plain_image}:{path}", ["sh", "-c", script], "--via", "userns")
    lines = result.stdout.splitlines()
    assert result.returncode in (0, 1) and int(lines[0]) > 0, result
    listing = "\n".join(sorted(os.listdir(parent))) + "\n"
    expected = check(["sh", "-c", f"ls {parent} | sort | md5sum"]).stdout.strip()
    assert lines[1] == expected, listing
    assert lines[2] == "/" and "new" in lines[3]
    if "root-only" in str(parent):
        assert lines[-1] == "seen"
    assert not os.path.exists(os.path.join(parent, "squenv-test"))
    assert not os.path.exists(os.path.join(parent, "new"))


def test_auto_takes_a_namespace_for_what_others_own(work, plain_image):
    place = work.directory("of-root", user=False)
    result = squenv_run(work, f"{plain_image}:{place}", ["ls", place], "-v")
    assert result.returncode == 0 and "(userns)" in result.stderr, result.stderr


def test_not_relocatable(work, venv_image, venv_source):
    place = work.directory("elsewhere")
    result = squenv_run(work, f"{venv_image}:{place}", ["true"])
    assert result.returncode == OWN_FAILURE
    assert "not relocatable" in result.stderr and "--force" in result.stderr
    assert squenv_run(work, f"{venv_image}:{place}", ["true"], "--force").returncode == 0


def test_names_with_commas_and_colons(work, plain_image):
    image = work.path / "a,b:c.squashfs"
    shutil.copy(plain_image, image)
    place = work.directory("p,q:r s")
    escaped = str(image).replace(",", "\\,").replace(":", "\\:")
    target = str(place).replace(",", "\\,").replace(":", "\\:")
    for via in ["fusermount", "userns"]:
        result = squenv_run(work, f"{escaped}:{target}", ["ls", place], "--via", via)
        assert result.returncode == 0 and result.stdout, result.stderr


def test_two_images_at_one_path(work, venv_image, venv_source, plain_image):
    """The second gets a view of its own; neither sees the files of the other."""
    first = work.start(work.command("run", venv_image, "--", "sh", "-c",
                                    f"ls {venv_source}; read x; ls {venv_source}"),
                       stdin=subprocess.PIPE)
    wait_for(lambda: mounts_below(venv_source), "the first mount")
    second = squenv_run(work, f"{plain_image}:{venv_source}", ["ls", venv_source], "-v")
    assert second.returncode == 0 and "(userns)" in second.stderr
    assert "pyvenv.cfg" not in second.stdout
    refused = squenv_run(work, f"{plain_image}:{venv_source}", ["true"], "--via", "fusermount")
    assert refused.returncode == OWN_FAILURE and "mounted here already" in refused.stderr
    output, _ = first.communicate(b"\n", timeout=20)
    assert output.decode().splitlines().count("pyvenv.cfg") == 2
    wait_until_nothing_is_left(work, venv_source)


def test_image_replaced_between_two_runs(work, plain_image, venv_image):
    """The path of the image is the same, the image is not."""
    image = work.path / "image"
    shutil.copy(plain_image, image)
    place = work.directory("place")
    first = work.start(work.command("run", f"{image}:{place}", "--", "sleep", "1000"))
    wait_for(lambda: mounts_below(place), "the first mount")
    fresh = work.path / "fresh"
    shutil.copy(venv_image, fresh)
    os.rename(fresh, image)
    result = squenv_run(work, f"{image}:{place}", ["ls", place], "--force", "-v")
    assert "pyvenv.cfg" in result.stdout and "(userns)" in result.stderr, result.stderr
    first.kill()
    wait_until_nothing_is_left(work, place)


def step(number):
    return {**os.environ, "SLURM_JOB_ID": "1", "SLURM_STEP_ID": str(number)}


def test_mount_of_another_step_is_used_only_when_nothing_else_works(work, cache, plain_image,
                                                                    venv_image):
    image = work.path / "image"
    shutil.copy(plain_image, image)
    place = work.directory("place")
    words = work.command("run", "-v", f"{image}:{place}", "--", "ls", place)
    first = work.start(work.command("run", f"{image}:{place}", "--", "sleep", "1000"),
                       env=step(0))
    wait_for(lambda: mounts_below(place), "the first mount")
    assert "(userns)" in run(words, env=step(1)).stderr
    # In a namespace of ids without further ones, the same device and mount are seen.
    used = without_namespaces(f"SLURM_JOB_ID=1 SLURM_STEP_ID=1 {quoted(words)}")
    assert used.returncode == 0 and used.stdout, used
    fresh = work.path / "fresh"
    shutil.copy(venv_image, fresh)
    os.rename(fresh, image)
    words.insert(words.index("-v"), "--force")
    other = without_namespaces(f"SLURM_JOB_ID=1 SLURM_STEP_ID=1 {quoted(words)}")
    assert other.returncode == OWN_FAILURE and "mounted here already" in other.stderr, other
    first.kill()


def test_idle_timeout_waits_for_the_users(work, venv_image, venv_source):
    mount = work.mount(venv_image, str(venv_source), options="timeout=1")
    user = work.start(work.command("run", venv_image, "--", "sleep", "2.5"))
    assert user.wait() == 0
    assert mount.is_mounted()
    mount.wait_until_gone()


def test_more_users_than_descriptors(work, venv_image, venv_source):
    """They wait for each other, and nobody burns a processor meanwhile."""
    limit = ["prlimit", "--nofile=40:40"]
    first = work.start([*limit, *work.command("run", venv_image, "--", "sleep", "4")])
    wait_for(lambda: mounts_below(venv_source), "the mount")
    users = [work.start([*limit, *work.command("run", venv_image, "--", *IMPORT)])
             for _ in range(20)]
    for user in users:
        assert user.wait(40) == 0, user.stderr.read()
    assert first.wait(20) == 0
    wait_until_nothing_is_left(work, venv_source)


def test_mount_of_the_mount_command_is_joined(work, venv_image, venv_source):
    mount = work.mount(venv_image, str(venv_source))
    result = squenv_run(work, venv_image, IMPORT, "-v")
    expect_import(result, venv_source)
    assert "joined" in result.stderr
    time.sleep(0.2)
    assert mount.is_mounted()
    mount.umount()


def test_warning_of_mount_in_a_step_or_job(work, venv_image, venv_source, monkeypatch):
    for variables, word in [({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, "Slurm step 7.0"),
                            ({"CI": "true"}, "CI job")]:
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            result = work.squenv("mount", venv_image)
            assert result.returncode == 0 and word in result.stderr
            assert "squenv run" in result.stderr
            assert work.squenv("umount", venv_source).returncode == 0
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["userns", "extract"])
def test_mount_command_refuses_what_nobody_would_see(via, work, venv_image):
    result = work.squenv("mount", "--via", via, venv_image)
    assert result.returncode == 2 and "squenv run" in result.stderr


# What is left of it


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_shared_daemon(via, work, venv_image, venv_source):
    """Late joiners, early leavers, one daemon; the first to come goes first."""
    users = [work.start(work.command("run", "--via", via, venv_image, "--", "python", "-c",
                                     "import sys, time; print(1, flush=True); sys.stdin.read();"
                                     "import probe; print(probe.VALUE)"),
                        stdin=subprocess.PIPE) for _ in range(3)]
    for user in users:
        assert user.stdout.readline() == b"1\n"
    daemons = [pid for pid in background(work) if daemon_name(pid) not in
               ("squenv-keeper", "squenv-warmer")]
    assert len(daemons) == 1
    users.append(work.start(work.command("run", "--via", via, venv_image, "--", *IMPORT)))
    assert users[-1].wait(20) == 0
    for user in users[:3]:
        assert user.communicate(timeout=20)[0] == b"42\n"
        assert user.wait() == 0
    wait_until_nothing_is_left(work, venv_source)


def background(work):
    return processes_of(work.programs / "squenv")


def daemon_name(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_do_not_end_a_daemon_in_use(number, work, venv_image, venv_source):
    user = work.start(work.command("run", venv_image, "--", "python", "-c",
                                   "import sys; print(1, flush=True); sys.stdin.read();"
                                   "import probe; print(probe.VALUE)"), stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"1\n"
    for pid in background(work):
        os.kill(pid, number)
    time.sleep(0.2)
    assert user.communicate(timeout=20)[0] == b"42\n"
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_killed_daemon(via, work, venv_image, venv_source):
    """Its users get ENOTCONN and nothing worse; the next run heals the mount by itself."""
    for round_number in range(5):
        user = work.start(work.command("run", "--via", via, venv_image, "--", "python", "-S", "-c",
                                       "import os, sys; print(1, flush=True); sys.stdin.read()\n"
                                       f"try: os.listdir('{venv_source}/lib')\n"
                                       "except OSError as e: print(e.errno)\n"
                                       "else: print('fine')"),
                          stdin=subprocess.PIPE)
        assert user.stdout.readline() == b"1\n"
        daemons = [pid for pid in background(work) if daemon_name(pid) == "squenv"]
        kill_all(background(work) if round_number % 2 else daemons)
        expect_import(squenv_run(work, venv_image, IMPORT, "--via", via), venv_source)
        answer = user.communicate(timeout=20)[0].decode().strip()
        assert answer in ("107", "2", "fine", "103"), answer
    wait_until_nothing_is_left(work, venv_source)


def test_killed_keeper(work, venv_image, venv_source):
    """Nobody can unmount then; its users do not notice, and the next run mends it."""
    user = work.start(work.command("run", venv_image, "--", "python", "-c",
                                   "import sys; print(1, flush=True); sys.stdin.read();"
                                   "import probe; print(probe.VALUE)"), stdin=subprocess.PIPE)
    assert user.stdout.readline() == b"1\n"
    kill_all([pid for pid in background(work) if daemon_name(pid) == "squenv-keeper"])
    assert user.communicate(timeout=20)[0] == b"42\n"
    expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)


def test_everything_killed_at_once(work, venv_image, venv_source):
    for _ in range(5):
        users = [work.start(work.command("run", venv_image, "--", "sleep", "1000"))
                 for _ in range(4)]
        wait_for(lambda: mounts_below(venv_source), "the mount")
        kill_all(background(work) + [user.pid for user in users])
        expect_import(squenv_run(work, venv_image, IMPORT), venv_source)
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_killed_users(via, work, venv_image, venv_source):
    """64 at once, starting, ending and being killed at random: no survivor notices."""
    import random
    seed = 20260101
    choose = random.Random(seed)
    print("seed", seed)
    code = ("import time, sys, random; import probe; time.sleep(float(sys.argv[1]));"
            "import json, decimal; from os import listdir; listdir(sys.prefix); print('alive')")
    running = []
    killed = 0
    started = 0
    while started < 150 or running:
        while len(running) < (64 if os.cpu_count() > 4 else 16) and started < 150:
            running.append(work.start(work.command(
                "run", "--via", via, venv_image, "--", "python", "-c", code,
                str(choose.uniform(0, 1.0)))))
            started += 1
        victim = choose.choice(running)
        if choose.random() < 0.5:
            victim.kill()
            victim.was_killed = True
            killed += 1
        time.sleep(choose.uniform(0, 0.05))
        for user in [user for user in running if user.poll() is not None]:
            running.remove(user)
            output, errors = user.communicate()
            if getattr(user, "was_killed", False):
                continue
            assert user.returncode == 0 and output == b"alive\n", errors
    assert killed > 20
    wait_until_nothing_is_left(work, venv_source)


# Machines on which something is missing


def machine(work, script, image, path, *options):
    """Runs the import on a machine that `script` takes something from, in a mount namespace."""
    words = [os.fspath(word) for word in
             [*AS_USER, work.programs / "squenv", "run", *options, image, "--", *IMPORT]]
    command = " ".join(f"'{word}'" for word in words)
    return run(["unshare", "-m", "--propagation", "private", "sh", "-c", f"{script}\n{command}"])


NO_DEVICE = "mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3"
NO_FUSE = "mount -t tmpfs -o mode=755 none /dev && touch /dev/null && chmod 666 /dev/null"
CLOSED_DEVICE = NO_DEVICE + " && mknod -m 600 /dev/fuse c 10 229"
NO_SETUID = ("helper=$(readlink -f $(command -v fusermount3)); cp $helper {work}/fusermount3; "
             "chmod 755 {work}/fusermount3; mount --bind {work}/fusermount3 $helper")
NO_HELPER = "mount --bind /dev/null $(readlink -f $(command -v fusermount3))"


@pytest.mark.parametrize("script, method", [
    (NO_DEVICE, "extract"), (CLOSED_DEVICE, "extract"), (NO_SETUID, "userns"),
    (NO_HELPER, "userns")], ids=["no device", "device closed", "no setuid bit", "no helper"])
def test_machine_without(script, method, work, cache, venv_image, venv_source):
    script = script.format(work=work.path)
    result = machine(work, script, venv_image, venv_source, "-v")
    expect_import(result, venv_source)
    assert f"({method})" in result.stderr, result.stderr


def test_machine_without_namespaces(work, cache, venv_image, venv_source):
    expect_import(without_namespaces(quoted(work.command("run", venv_image, "--", *IMPORT))),
                  venv_source)
    result = without_namespaces(
        quoted(work.command("run", "--via", "userns", venv_image, "--", *IMPORT)))
    assert result.returncode == OWN_FAILURE and "max_user_namespaces" in result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_machine_with_nothing_but_a_free_path(work, cache, plain_image):
    """A symlink to the unpacked tree, shared, and gone with its last user."""
    path = work.directory("free") / "venv"
    command = quoted(work.command("run", "-v", f"{plain_image}:{path}", "--", "sh", "-c",
                                  f"test -L {path} && ls {path} | wc -l"))
    result = without_namespaces(f"{NO_FUSE}\n{command} & {command}; wait")
    counts = result.stdout.split()
    assert len(counts) == 2 and counts[0] == counts[1] != "0", result
    assert "(extract" in result.stderr
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")
    wait_until_nothing_is_left(work, path)


def test_machine_with_nothing(work, cache, venv_image, venv_source):
    """Something is at the path, and nothing can be put over it: every reason is named."""
    result = without_namespaces(
        NO_FUSE + "\n" + quoted(work.command("run", venv_image, "--", *IMPORT)))
    assert result.returncode == OWN_FAILURE
    for word in ["fusermount", "/dev/fuse", "userns", "max_user_namespaces", "extract",
                 str(venv_source), "squenv doctor"]:
        assert word in result.stderr, result.stderr


def test_machine_with_seccomp_filter(work, cache, venv_image, venv_source):
    """As a container engine's default: unshare, mount and setns are refused."""
    filter_program = build_filter(work)
    result = run([*AS_USER, filter_program, work.programs / "squenv", "run", "-v", "--via",
                  "userns", venv_image, "--", *IMPORT])
    assert result.returncode == OWN_FAILURE and "seccomp" in result.stderr
    path = work.directory("free") / "venv"
    image_at = f"{venv_image}:{path}"
    result = run([*AS_USER, filter_program, work.programs / "squenv", "run", "-v", "--force",
                  "--via", "extract", image_at, "--", "ls", path])
    assert result.returncode == 0 and "pyvenv.cfg" in result.stdout, result.stderr
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


FILTER = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setns, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 99;
    execv(argv[1], argv + 1);
    return 98;
}
"""


def build_filter(work):
    source = work.path / "filter.c"
    source.write_text(FILTER, encoding="ascii")
    check(["cc", "-o", work.path / "filter", source])
    return work.path / "filter"


def test_inside_bubblewrap(work, cache, venv_image, venv_source):
    """A container without /dev/fuse, in which only the namespace of the engine is left."""
    result = run([*AS_USER, "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
                  "--bind", "/tmp", "/tmp", "--unshare-pid", "--die-with-parent",
                  work.programs / "squenv", "run", "-v", venv_image, "--", *IMPORT])
    expect_import(result, venv_source)
    with_device = run([*AS_USER, "bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev",
                       "--proc", "/proc", "--bind", "/tmp", "/tmp", "--die-with-parent",
                       work.programs / "squenv", "run", "-v", venv_image, "--", *IMPORT])
    expect_import(with_device, venv_source)
    assert "(userns)" in with_device.stderr, with_device.stderr


# The cache of unpacked trees


def test_cache(work, cache, plain_image, venv_image, venv_source):
    path = work.directory("free") / "venv"
    image = f"{plain_image}:{path}"
    gone = lambda: not os.path.lexists(path)  # noqa: E731
    first = squenv_run(work, image, ["readlink", path], "--via", "extract")
    assert "unpacked into" in first.stderr
    second = squenv_run(work, image, ["readlink", path], "--via", "extract")
    assert second.stderr == "" and second.stdout == first.stdout
    # Nobody changes it for the next.
    writer = squenv_run(work, image, ["sh", "-c", f"touch {path}/new"], "--via", "extract")
    assert writer.returncode != 0
    wait_for(gone, "the removal of the link")
    user = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    entries = json.loads(work.squenv("cache", "list", "--json").stdout)
    assert len(entries) == 1 and entries[0]["in_use"] and entries[0]["image"] == str(plain_image)
    assert json.loads(work.squenv("cache", "clean", "--json").stdout) == []
    assert "in use" in work.squenv("cache", "list").stdout
    user.kill()
    wait_until_nothing_is_left(work, path)
    assert len(json.loads(work.squenv("cache", "clean", "--json").stdout)) == 1


def test_cache_is_bounded(work, cache, plain_image, venv_image, monkeypatch):
    free = work.directory("free")
    monkeypatch.setenv("SQUENV_CACHE_SIZE", "4K")
    result = squenv_run(work, f"{plain_image}:{free}/a", ["true"], "--via", "extract")
    assert result.returncode == OWN_FAILURE and "SQUENV_CACHE_SIZE" in result.stderr
    monkeypatch.setenv("SQUENV_CACHE_SIZE", "1G")
    images = {str(plain_image): free / "a", str(venv_image): free / "b"}

    def unpack_both():
        for image, path in images.items():
            result = squenv_run(work, f"{image}:{path}", ["true"], "--force", "--via", "extract")
            assert result.returncode == 0, result.stderr
        return json.loads(work.squenv("cache", "list", "--json").stdout)

    sizes = [entry["size_bytes"] for entry in unpack_both()]
    assert len(sizes) == 2
    work.squenv("cache", "clean")
    monkeypatch.setenv("SQUENV_CACHE_SIZE", str(max(sizes)))
    assert [entry["image"] for entry in unpack_both()] == [str(venv_image)]


def test_cache_of_somebody_else(work, plain_image, monkeypatch):
    path = work.directory("strange", user=False)
    monkeypatch.setenv("SQUENV_CACHE", str(path))
    result = squenv_run(work, f"{plain_image}:{work.path}/x", ["true"], "--via", "extract")
    assert result.returncode == OWN_FAILURE and "not yours" in result.stderr


def test_full_disk_of_the_cache(work, plain_image, monkeypatch):
    disk = work.directory("disk")
    check(["mount", "-t", "tmpfs", "-o", "size=64k,uid=1000", "none", disk])
    monkeypatch.setenv("SQUENV_CACHE", str(disk / "trees"))
    result = squenv_run(work, f"{plain_image}:{work.directory('free')}/x", ["true"], "--via",
                        "extract")
    check(["umount", disk])
    assert result.returncode == OWN_FAILURE and "SQUENV_CACHE" in result.stderr, result.stderr


def test_many_unpack_at_once(work, cache, plain_image):
    free = work.directory("free")
    users = [work.start(work.command("run", "--via", "extract", f"{plain_image}:{free}/{i}", "--",
                                     "ls", f"{free}/{i}")) for i in range(8)]
    outputs = {user.communicate(timeout=60)[0] for user in users}
    assert len(outputs) == 1 and b"" not in outputs
    assert len(json.loads(work.squenv("cache", "list", "--json").stdout)) == 1
    wait_until_nothing_is_left(work, free)


def test_two_unpacked_images_where_something_is(work, cache, plain_image, venv_image, venv_source):
    """Both are bound in one namespace."""
    other = work.directory("other")
    result = squenv_run(work, f"{venv_image},{plain_image}:{other}",
                        ["sh", "-c", f"ls {venv_source}; echo --; ls {other}"], "--via", "extract")
    first, second = result.stdout.split("--\n")
    assert "pyvenv.cfg" in first and second, result


def test_second_user_of_a_link(work, cache, plain_image):
    path = work.directory("free") / "venv"
    image = f"{plain_image}:{path}"
    user = work.start(work.command("run", "--via", "extract", image, "--", "sleep", "1000"))
    wait_for(lambda: os.path.lexists(path), "the link")
    second = squenv_run(work, image, ["sh", "-c", "echo $SQUENV_MOUNTS"], "-v", "--via", "extract")
    assert second.stdout == f"{plain_image}:{path}\n" and "joined" in second.stderr, second
    assert os.path.lexists(path)
    user.kill()
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


def test_tree_of_a_command_that_closes_descriptors(work, cache, plain_image):
    path = work.directory("free") / "venv"
    code = "import os, time; os.closerange(3, 1024); print(1, flush=True); time.sleep(1000)"
    user = work.start(work.command("run", "--via", "extract", f"{plain_image}:{path}", "--",
                                   "/usr/bin/python3", "-c", code))
    assert user.stdout.readline() == b"1\n"
    assert json.loads(work.squenv("cache", "clean", "--json").stdout) == []
    user.kill()
    wait_for(lambda: not os.path.lexists(path), "the removal of the link")


# The doctor


def test_doctor(work, venv_image, venv_source):
    result = work.squenv("doctor", venv_image)
    assert result.returncode == 0, result.stderr
    for word in ["/dev/fuse", "fusermount3", "user namespace", "unpacking", str(venv_source)]:
        assert word in result.stdout
    report = json.loads(work.squenv("doctor", "--json").stdout)
    works = {line["method"]: line["works"] for line in report["methods"]}
    assert works == {"direct": False, "fusermount": True, "userns": True, "extract": True}
    assert not mounts_below("/tmp/squenv-doctor")


@pytest.mark.parametrize("script, word, left", [
    (NO_DEVICE, "modprobe fuse", ["extract"]),
    (CLOSED_DEVICE, "chmod 0666 /dev/fuse", ["extract"]),
    (NO_SETUID, "chmod u+s", ["userns", "extract"])],
    ids=["no device", "device closed", "no setuid bit"])
def test_doctor_names_cause_and_cure(script, word, left, work):
    command = " ".join(f"'{word}'" for word in work.command("doctor", "--json"))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"{script.format(work=work.path)}\n{command}"])
    report = json.loads(result.stdout)
    assert any(word in probe["remedy"] for probe in report["probes"])
    assert [line["method"] for line in report["methods"] if line["works"]] == left


def test_doctor_when_nothing_works(work, venv_image, venv_source):
    result = without_namespaces(NO_FUSE + "\n" + quoted(work.command("doctor", venv_image)))
    assert result.returncode == 4
    assert "max_user_namespaces" in result.stdout and "nothing works" in result.stderr
