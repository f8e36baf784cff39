# SPDX-License-Identifier: MIT
"""`squenv create` with pip and wheels of the test's own, and with stand-ins for uv and conda."""

import fcntl
import glob
import json
import os
import re
import signal
import struct
import subprocess
import time

import pytest
from create_support import (Tools, assert_made, assert_refused, create,  # noqa: F401
                            in_no_namespace, info, make_wheel, said, tools, uv)
from support.processes import check, is_running, run, unmount, wait_for

FAILURE, USAGE, NO_WAY = 1, 2, 4
OFFLINE = ["--", "--no-index", "--find-links"]


@pytest.fixture(scope="module")
def made(programs, session_dir):
    """One environment by pip for all tests that only look at it: (directory, result)."""
    place = session_dir / "create"
    place.mkdir()
    os.chown(place, 1000, 1000)
    wheels = place / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "tiny", requires=["other"])
    make_wheel(wheels, "other")
    (place / "r.txt").write_text("--index-url https://me:secret@127.0.0.1:1/\ntiny==1.0\n")
    stand_ins = place / "tools"
    stand_ins.mkdir()
    tools = Tools(stand_ins)
    result = run([programs / "squenv", "create", "-o", "env.squashfs", "-r", "r.txt", "--json",
                  "--warm", "tiny-say warm", *OFFLINE, "wheels"],
                 user=True, cwd=place, env=tools.variables())
    assert result.returncode == 0, result.stderr
    return place, result


def test_environment_is_true_at_its_path(work, made):
    place, result = made
    image, at = place / "env.squashfs", place / "env"
    assert not at.exists()
    assert said(work, image) == f"said {at}\n"
    head = check(work.command("cat", image, "bin/tiny-say")).stdout.splitlines()[0]
    assert head == f"#!{at}/bin/python3" or head == f"#!{at}/bin/python"
    output = check(work.command("run", image, "--", "python", "-c",
                                "import tiny, other; print(tiny.say.__code__.co_filename)"))
    assert output.stdout.startswith(f"{at}/lib/python3")
    assert json.loads(result.stdout)["findings"] == []


def test_modules_are_compiled_and_compared_by_time(work, made):
    place, _ = made
    out = work.path / "out"
    check(work.command("extract", place / "env.squashfs", out))
    site = next(out.glob("lib/python3*/site-packages"))
    for form in [*site.glob("__pycache__/tiny.*.pyc"), *site.glob("pip/__pycache__/__init__.*")]:
        source = form.parent.parent / (form.name.split(".")[0] + ".py")
        flags, time, size = struct.unpack_from("<III", form.read_bytes(), 4)
        assert (flags, time, size) == (0, int(source.stat().st_mtime), source.stat().st_size)
    assert len(glob.glob(f"{site}/__pycache__/*.pyc")) == 2


def test_record_of_the_inputs(work, made):
    place, _ = made
    manifest = info(work, place / "env.squashfs")["manifest"]
    assert manifest["mount_point"] == str(place / "env")
    created = manifest["created"]
    assert created["command"] == ("squenv create -o env.squashfs --warm 'tiny-say warm' -r r.txt "
                                  "-- --no-index --find-links wheels")
    (given,) = created["inputs"]
    assert given["text"] == "--index-url https://***@127.0.0.1:1/\ntiny==1.0\n"
    assert given["sha256"] == check(["sha256sum", place / "r.txt"]).stdout.split()[0]
    assert re.fullmatch(r"python3 3\.\d+\.\d+\S*", created["tools"][0])
    assert created["tools"][1].startswith("pip ")
    text = check(work.command("info", place / "env.squashfs")).stdout
    assert "created by   squenv create -o env.squashfs" in text and "from r.txt, sha256" in text


def test_closing_line_and_summary(made):
    place, result = made
    summary = json.loads(result.stdout)
    last = result.stderr.splitlines()[-1]
    assert re.fullmatch(r"squenv create: env\.squashfs: (\d+) packages, (\d+) files before, "
                        r"one file of [\d.]+ [KM]iB after, [\d.]+ s", last), last
    assert f": {summary['packages']} packages, {summary['files']} files before" in last
    assert summary["packages"] >= 3 and summary["seconds"] > 0
    assert summary["hot_files"] > 0  # --warm
    assert "Successfully installed" in result.stderr and "said warm" in result.stderr


@pytest.mark.parametrize("words, code, message", [
    (["-r", "missing.txt"], FAILURE, "missing.txt: No such file"),
    (["-r", "r.txt", "tiny"], USAGE, "two things to install from"),
    (["-r", "r.txt", "-r", "e.yml"], USAGE, "is the whole environment"),
    ([], USAGE, "nothing to install"),
    (["r.txt"], USAGE, "write -r r.txt"),
    (["tiny", "--at", "/etc/env"], USAGE, "name another path with --at"),
    (["tiny", "--at", "relative"], USAGE, "does not begin at the root"),
    (["tiny", "--at", "{place}/full"], USAGE, "something else than an environment is there"),
    (["tiny", "--at", "{place}/r.txt"], USAGE, "something else than an environment is there"),
    (["tiny", "--staging", "/proc"], FAILURE, "--staging /proc: cannot be written"),
    (["tiny", "-o", "{place}/exists.squashfs"], FAILURE, "exists"),
    (["tiny", "-o", "{place}/closed/env.squashfs"], FAILURE, "Permission denied"),
    (["tiny", "-o", "{place}/env.img"], USAGE, "name it with --at"),
    (["e.yml", "--index-url", "https://i/"], USAGE, "means nothing with an environment.yml"),
])
def test_refusals(work, create, uv, words, code, message):
    for name in ["r.txt", "e.yml", "exists.squashfs", "full/file"]:
        (create.place / name).parent.mkdir(exist_ok=True)
        (create.place / name).write_text("x\n")
    (create.place / "closed").mkdir(mode=0o555)
    before = sorted(create.place.rglob("*"))
    words = [word.format(place=create.place) for word in words]
    if "-o" in words:
        result = create(words[0], output=words[2])
    else:
        result = create(*words)
    assert_refused(result, code, message)
    assert len(result.stderr.splitlines()) == 1
    assert uv.calls() == [] and sorted(create.place.rglob("*")) == before


@pytest.fixture
def small(work):
    """A directory with room for 1 MiB."""
    path = work.directory("small")
    check(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", path])
    yield path
    unmount(path)


def test_no_space_in_staging(create, uv, small):
    script = 'head -c 4000000 /dev/urandom > "$TREE/large"; sleep 0.2; exit 5'
    result = create("tiny", "--staging", small, STAND_IN=script)
    assert_refused(result, FAILURE, f"there was no space left in {small}", "--staging DIR")
    assert os.listdir(small) == [] == os.listdir(create.place)


@pytest.mark.parametrize("left, missing", [(0, ""), (1, "tree"), (2, "tmp"), (3, "elsewhere")])
def test_no_room_for_a_file_in_staging(create, uv, small, left, missing):
    check(["mount", "-o", "remount,nr_inodes=16", small])
    for number in range(os.statvfs(small).f_ffree - left):
        (small / f"name{number}").touch()
    result = create("tiny", "--staging", small)
    assert_refused(result, FAILURE, f"{small}/squenv-create-1000", missing,
                   "No space left on device; name a directory with more room: --staging DIR")
    assert all(name.startswith("name") for name in os.listdir(small))
    assert os.listdir(create.place) == [] and uv.calls() == []


def test_no_space_beside_the_image(create, uv, small):
    script = 'head -c 4000000 /dev/urandom > "$TREE/large"'
    result = create("tiny", "--at", create.at, output=small / "env.squashfs", STAND_IN=script)
    assert_refused(result, FAILURE, "No space left")
    assert os.listdir(small) == [] == os.listdir(create.place)


def test_path_that_exists(work, create, uv):
    """An empty directory is covered, and stays."""
    create.at.mkdir()
    result = create("tiny")
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(create.place)) == ["env", "env.squashfs"]
    assert os.listdir(create.at) == []
    assert said(work, create.image) == f"said {create.at}\n"


def test_closed_path(work, create, uv):
    """Above it, nothing can be made by the user: it is there in the namespace alone."""
    at = work.path / "env"
    work.path.chmod(0o555)
    os.chown(work.path, 0, 0)
    try:
        result = create("tiny", "--at", at)
        assert_made(result, create)
        assert said(work, create.image) == f"said {at}\n"
    finally:
        work.path.chmod(0o755)


def test_over_a_mount(work, create, uv):
    """A new version of what is mounted."""
    assert_made(create("tiny"), create)
    with work.start(work.command("run", create.image, "--", "sh", "-c",
                                 "echo ready; read go; tiny-say"),
                    stdin=-1, text=True) as using:
        assert using.stdout.readline() == "ready\n"
        assert_refused(create("tiny"), FAILURE, "exists")
        result = create("tiny", "-f", STAND_IN='echo "echo changed" > "$TREE/bin/tiny-say"')
        assert result.returncode == 0, result.stderr
        assert using.communicate("go\n")[0] == f"said {create.at}\n"
    assert said(work, create.image) == "changed\n"


def test_what_is_replaced_can_be_kept(work, create, uv):
    assert_made(create("tiny"), create)
    result = create("other", "-f", "--keep", "--index-url", "https://me:secret@i/", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["version"] == 2
    history = check(work.command("history", create.image, "--json")).stdout
    assert "squenv create" in history and "https://***@i/" in history
    assert "env.squashfs: version 2: " in result.stderr.splitlines()[-1]
    log = "".join(path.read_text() for path in create.place.rglob("log*"))
    assert log and "secret" not in log
    assert said(work, f"{create.image}@1") == f"said {create.at}\n"
    assert_refused(create("tiny", "--keep"), USAGE, "add --force")


def test_a_lost_log_is_made_again_from_the_images(work, create, uv):
    assert_made(create("tiny"), create)
    assert create("other", "-f", "--keep").returncode == 0
    check(work.command("edit", create.image, "--", "touch", create.at / "file"))
    before = json.loads(check(work.command("history", create.image, "--json")).stdout)
    (create.place / "env.squashfs.versions" / "log").unlink()
    after = json.loads(check(work.command("history", create.image, "--json")).stdout)
    assert [version["verb"] for version in after] == ["create", "create", "pack"]
    commands = [version["command"] for version in after]
    assert commands[0].endswith(" tiny") and commands[1].endswith(" other") and not commands[2]
    for version, earlier in zip(after, before):
        assert version["digest"] == earlier["digest"] and version["number"] == earlier["number"]


def test_root(work, create, uv):
    assert_made(create("tiny", user=False), create)
    assert said(work, create.image) == f"said {create.at}\n"


def test_without_namespaces(work, create, uv):
    result = in_no_namespace(work, create, uv, "tiny")
    assert_made(result, create)
    assert uv.calls()[0][1] == ["venv", "--no-project", str(create.at)]
    assert said(work, create.image) == f"said {create.at}\n"


def test_without_namespaces_at_a_path_that_is_taken(work, create, uv):
    create.at.mkdir()
    result = in_no_namespace(work, create, uv, "tiny")
    assert result.returncode == 0, result.stderr
    venv = uv.calls()[0][1]
    assert "--relocatable" in venv and "/squenv-create-" in venv[-1]
    assert info(work, create.image)["manifest"]["python"]["relocatable"]
    assert os.listdir(create.at) == []
    (uv.directory / "bin" / "uv").unlink()
    result = in_no_namespace(work, create, uv, "tiny", "-f")
    assert_refused(result, NO_WAY, create.at, "user namespace", "or install uv")
    assert sorted(os.listdir(create.place)) == ["env", "env.squashfs"]


def start(work, create, tools, script):
    return work.start(work.command("create", "-o", create.image, "tiny"),
                      env=tools.variables(STAND_IN=script))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_while_it_installs(work, create, uv, number):
    started = work.path / "started"
    os.mkfifo(started)
    os.chown(started, 1000, 1000)
    process = start(work, create, uv, f'sleep 100 & echo $$ $! > "{started}"; wait')
    pids = [int(pid) for pid in started.read_text().split()]
    process.send_signal(number)
    _, message = process.communicate(timeout=20)
    assert process.returncode == FAILURE and b"stopped on request" in message, message
    # Killed, and not waited for: they have another parent by now.
    wait_for(lambda: not any(map(is_running, pids)), "the end of all tools")
    assert os.listdir(create.place) == [] and uv.left() == []


def test_stopped_although_the_installer_goes_on(work, create, uv):
    started = work.path / "started"
    os.mkfifo(started)
    os.chown(started, 1000, 1000)
    process = start(work, create, uv, f'trap "" INT TERM; echo $$ > "{started}"; sleep 100')
    pid = int(started.read_text())
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == FAILURE
    wait_for(lambda: not is_running(pid), "the end of the installer")


def test_killed_at_random_moments(work, create, uv):
    """What is left goes with the next one, and no tool goes on."""
    began = time.monotonic()
    assert_made(create("tiny"), create)
    usual = time.monotonic() - began
    for moment in range(20):
        create.image.unlink(missing_ok=True)
        process = start(work, create, uv, "sleep 0.02")
        try:
            process.wait(timeout=usual * (moment + 1) / 20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if create.image.exists():  # as a whole
            assert info(work, create.image)["manifest"]["created"]["tools"] == ["uv 1.2.3"]
    wait_for(lambda: not any(b"STAND_IN_LOG" in environment_of(pid) for pid in os.listdir("/proc")
                             if pid.isdigit()), "the end of all tools")
    # One that ends has no environment any more before it lets go of the directories.
    wait_for(lambda: not any(is_held(path) for path in [*uv.left(), create.at]), "their locks")
    result = create("tiny", "-f")
    assert_made(result, create)
    assert uv.left() == []


def is_held(directory):
    """Whether a process has a lock on it."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return b""
