# SPDX-License-Identifier: MIT
"""Versions of an image: kept, named, rolled back, pruned."""

import json
import os
import shutil
import threading

import pytest

from run_support import IMPORT, expect_import, write
from support.processes import check, run, wait_for
from versions_support import Versioned, as_user, is_image

pytestmark = pytest.mark.usefixtures("settled")

STRESS = bool(os.environ.get("SQUENV_STRESS"))


@pytest.fixture
def env(work):
    return Versioned(work)


@pytest.fixture
def three(env):
    return env.made("one", "two", "three")


def seen(path, user=True):
    return check(["cat", path / "v"], user=user).stdout


def test_nothing_is_kept_unasked(env):
    env.pack("one")
    env.pack("two", "-f")
    assert not env.versions.exists() and env.content() == "two"
    (version,) = env.history()
    assert (version["number"], version["current"]) == (1, True)


def test_pack_keeps_what_it_replaces(env):
    first = env.pack("one").stdout
    assert "version" not in first
    kept = env.pack("two", "-f", "--keep").stdout
    assert kept.splitlines()[-1] == (f"{env.image}: version 2; 'squenv history {env.image}' shows "
                                     "all")
    # From here on without asking.
    assert json.loads(env.pack("three", "-f", "--json").stdout)["version"] == 3
    assert env.contents() == {1: "one", 2: "two", 3: "three"} and env.content() == "three"
    assert env.names() == ["1.squashfs", "2.squashfs"]


def test_log_tells_what_was_done(env):
    env.pack("one")
    env.write("two words")
    before = int(os.stat(env.image).st_mtime)
    env.pack("two", "-f", "--keep", "--mount-point", "/opt/my env")
    one, two = env.log()
    assert (one["number"], one["time"], one["verb"]) == (1, before, "pack")
    assert (two["number"], two["parent"], two["verb"]) == (2, 0, "pack")
    assert two["command"] == (f"squenv pack {env.tree} -o {env.image} -f --keep --mount-point "
                              "'/opt/my env'")
    assert two["size"] == os.stat(env.image).st_size and len(two["digest"]) == 64
    assert one["digest"] != two["digest"] and two["time"] >= one["time"]


def test_warm_passes_are_no_versions(env):
    env.made("one", "two")
    env.pack("three", "-f", "--warm", f"cat {env.tree}/v")
    assert env.contents() == {1: "one", 2: "two", 3: "three"}
    assert env.names() == ["1.squashfs", "2.squashfs"]


def test_failed_pack_makes_no_version(three):
    done = three.squenv("pack", three.directory / "none", "-o", three.image, "-f")
    assert done.returncode == 1
    assert three.numbers() == [1, 2, 3] and three.names() == ["1.squashfs", "2.squashfs"]


def test_rollback_and_back(three):
    inode = os.stat(three.versions / "2.squashfs").st_ino
    done = three.rollback()
    assert done.stdout == f"{three.image}: version 4 is what version 2 was\n"
    assert three.content() == "two" and os.stat(three.image).st_ino == inode
    made = three.current()
    assert (made["number"], made["verb"], made["parent"]) == (4, "rollback", 2)
    assert made["command"] == f"squenv rollback {three.image}"
    assert made["digest"] == three.history()[1]["digest"]
    # The version before this one is the third.
    three.rollback()
    assert three.content() == "three" and three.current()["parent"] == 3
    three.rollback("--to", "1")
    assert three.content() == "one"
    assert three.contents() == {1: "one", 2: "two", 3: "three", 4: "two", 5: "three", 6: "one"}


def test_rollback_to_what_is_there_already(three):
    done = three.rollback("--to", "3")
    assert done.stdout == f"{three.image}: the content of version 3 is current already\n"
    three.rollback("--to", "1")
    assert "already" in three.rollback("--to", "1").stdout
    assert three.numbers() == [1, 2, 3, 4]


@pytest.mark.parametrize("number", ["0", "-1", "one", "1.5"])
def test_what_is_no_version_number(three, number):
    for words in (("rollback", "--to"), ("history", "--pin"), ("history", "--unpin")):
        done = three.squenv(words[0], three.image, words[1], number)
        assert done.returncode == 2
        assert done.stderr == (
            f"squenv {words[0]}: {words[1]}: '{number}' is not a number from 1 on;"
            f" see 'squenv {words[0]} --help'\n")


def test_rollback_dry_run(three):
    log = (three.versions / "log").read_bytes()
    done = three.rollback("-n", "--to", "1")
    assert done.stdout == f"{three.image}: would make the content of version 1 current (now 3)\n"
    answer = json.loads(three.rollback("--dry-run", "--json").stdout)
    assert (answer["from"], answer["to"], answer["version"]) == (3, 2, 0)
    assert three.content() == "three" and (three.versions / "log").read_bytes() == log


def test_rollback_brings_back_a_removed_image(three):
    three.image.unlink()
    assert three.content(2) == "two" and three.numbers() == [1, 2]
    three.rollback()
    assert three.content() == "two" and three.current()["number"] == 4


def test_rollback_refuses_what_is_no_image(three):
    (three.versions / "1.squashfs").write_bytes(b"text")
    done = three.squenv("rollback", three.image, "--to", "1")
    assert done.returncode != 0 and "1.squashfs: not a squashfs image" in done.stderr
    assert three.content() == "three"


@pytest.mark.parametrize("command", ["history", "prune", "rollback", "diff"])
def test_what_is_no_image_has_no_versions(command, env):
    file = env.directory / "notes.txt"
    file.write_text("This is no image.\n" * 100, encoding="ascii")
    done = env.squenv(command, file, *([file] if command == "diff" else []))
    (line,) = done.stderr.splitlines()
    assert done.returncode != 0 and done.stdout == "" and f"{file}: not a squashfs image" in line


def test_a_current_version_that_is_no_image(three):
    """It is shown, never counted as the newest, and can be taken back."""
    three.image.write_bytes(b"This is no image.\n" * 100)
    done = three.squenv("history", three.image)
    assert done.returncode == 0 and len(done.stdout.splitlines()) >= 3
    assert "not a squashfs image" in done.stderr and "'squenv rollback" in done.stderr
    done = three.squenv("prune", three.image, "--keep", "1")
    assert done.returncode == 1 and "'squenv rollback" in done.stderr
    three.rollback("--to", "2")
    assert three.content() == "two"


def test_version_wherever_an_image_is_named(three, work):
    one = f"{three.image}@1"
    assert work.squenv("ls", one).stdout == "v\n"
    assert json.loads(work.squenv("info", "--json", one).stdout)["bytes_used"] > 0
    assert work.squenv("verify", one).returncode == 0
    doctor = work.squenv("doctor", one, work.directory("there"))
    assert doctor.returncode == 0, doctor.stdout
    assert work.squenv("extract", one, work.path / "out", user=False).returncode == 0
    assert (work.path / "out/v").read_text() == "one\n"
    check(work.command("pack", "-q", "--from-image", one, "-o", work.path / "copy.squashfs"))
    assert work.squenv("cat", work.path / "copy.squashfs", "v").stdout == "one\n"
    trace = work.path / "trace"
    mount = work.mount(one, options=f"record={trace}")
    assert seen(mount.path) == "one\n"
    assert mount.stats()["image"] == str(three.versions / "1.squashfs")
    mount.umount()
    report = work.squenv("trace", "report", trace, one)
    assert "of the image" in report.stdout, report.stderr


def test_version_by_other_names_of_the_program(three, work):
    for program in ["squashfuse", "mount.squenv"]:
        path = work.directory(program)
        done = work.squenv(f"{three.image}@2", path, program=program, user=program[0] == "s")
        assert done.returncode == 0, done.stderr
        assert seen(path, user=program[0] == "s") == "two\n"
        assert work.squenv("umount", path, user=program[0] == "s").returncode == 0


def test_versions_in_a_list(three, work):
    a, b = work.directory("a"), work.directory("b")
    done = work.squenv("run", f"{three.image}@1:{a},{three.image}:{b}", "--", "cat", a / "v",
                       b / "v")
    assert (done.returncode, done.stdout) == (0, "one\nthree\n"), done.stderr


def test_version_at_its_recorded_path(venv_image, venv_source, work):
    image = work.path / "env.squashfs"
    shutil.copy(venv_image, image)
    os.chown(image, 1000, 1000)
    check(work.command("pack", "-q", "-f", "--keep", "--from-image", image, "-o", image))
    expect_import(work.squenv("run", f"{image}@1", "--", *IMPORT), venv_source)


def test_file_whose_name_ends_so_wins(three, work):
    real = work.path / "place" / "env.squashfs@1"
    shutil.copy(three.image, real)
    assert work.squenv("cat", real, "v").stdout == "three\n"
    assert "there is no version 2" in work.squenv("cat", f"{real}@2", "v").stderr
    real.unlink()
    assert work.squenv("cat", real, "v").stdout == "one\n"


def test_current_version_has_a_number_too(three):
    assert three.content(3) == "three"


WRONG = [
    (["history"], 2, "IMAGE is required"),
    (["history", "none"], 1, "none: No such file or directory; 'squenv pack' makes"),
    (["history", "{image}@1"], 1, "name the image alone, without @1"),
    (["history", "{image}@0"], 1, "name the image alone, without @0"),
    (["history", "none@1"], 1, "none@1: No such file or directory"),
    (["history", "{image}", "--pin", "9"], 1, "there is no version 9; there are 1, 2, 3"),
    (["history", "{image}", "--pin", "1", "--unpin", "1"], 2, "excludes"),
    (["history", "{tree}"], 2, "is not a regular file"),
    (["rollback", "{image}", "--to", "9"], 1, "there is no version 9; there are 1, 2, 3"),
    (["rollback", "{image}", "--to", "0"], 2, "--to"),
    (["rollback", "{image}", "--to", "x"], 2, "--to"),
    (["rollback", "none"], 1, "none: No such file"),
    (["prune", "{image}", "--keep", "0"], 2, "--keep"),
    (["prune", "{image}", "--older-than", "30"], 2, "'30' is not an age; write a number and s"),
    (["prune", "{image}", "--older-than", "d"], 2, "is not an age"),
    (["prune", "none"], 1, "none: No such file or directory; 'squenv pack' makes"),
    (["cat", "{image}@4", "v"], 1, "there is no version 4; there are 1, 2, 3"),
    (["cat", "{image}@0", "v"], 1, "env.squashfs: there is no version 0"),
    (["cat", "{image}@x", "v"], 1, "env.squashfs@x: No such file"),
    (["cat", "none@1", "v"], 1, "none@1: No such file"),
    (["run", "{image}@4", "--", "true"], 125, "there is no version 4; there are 1, 2, 3"),
    (["mount", "{image}@4"], 1, "there is no version 4; there are 1, 2, 3"),
    (["pack", "{tree}", "-o", "{image}", "--keep"], 2, "--keep keeps what --force replaces"),
]


def test_wrong_arguments(three):
    places = {"image": str(three.image), "tree": str(three.tree)}
    for words, status, message in WRONG:
        done = three.squenv(*[word.format(**places) for word in words])
        assert (done.returncode, message in done.stderr) == (status, True), (words, done)
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert three.contents() == {1: "one", 2: "two", 3: "three"}


def test_first_version_has_none_before_it(env):
    env.pack("one")
    done = env.squenv("rollback", env.image)
    assert done.returncode == 1
    assert "no versions of it are kept; versions are kept by 'pack -f --keep'" in done.stderr
    assert env.squenv("history", env.image, "--pin", "1").returncode == 1
    assert env.prune() == {"image": str(env.image), "dry_run": False, "freed_bytes": 0,
                           "removed": [], "spared": [], "left": [1]}
    env.pack("two", "-f", "--keep")
    env.prune("--keep", "1")
    done = env.squenv("rollback", env.image)
    assert done.returncode == 1 and "there is no earlier version" in done.stderr


def dist_info(tree, name, version):
    write(tree / f"lib/python3.11/site-packages/{name}-{version}.dist-info/METADATA",
          f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_history_tells_packages(env):
    write(env.tree / "pyvenv.cfg", "home = /usr/bin\nversion = 3.11.2\n")
    dist_info(env.tree, "numpy", "1.26.4")
    dist_info(env.tree, "scipy", "1.11.4")
    env.made("one")
    site = env.tree / "lib/python3.11/site-packages"
    shutil.rmtree(site / "numpy-1.26.4.dist-info")
    shutil.rmtree(site / "scipy-1.11.4.dist-info")
    dist_info(env.tree, "numpy", "2.0.0")
    dist_info(env.tree, "einops", "0.8.0")
    env.made("two")
    env.rollback()
    env.squenv("history", env.image, "--pin", "2")
    lines = env.squenv("history", env.image).stdout.splitlines()
    assert lines[0].endswith(f"squenv pack {env.tree} -o {env.image} -f --keep")
    assert lines[1].strip() == "2 packages"
    assert lines[2].endswith("--keep  [pinned]")
    changed = ["+ einops 0.8.0", "- scipy 1.11.4", "~ numpy 1.26.4 -> 2.0.0"]
    assert [line.strip() for line in lines[3:6]] == changed
    assert lines[6].endswith("rollback to 1  [current]") and len(lines) == 10
    _, two, three = env.history()
    assert two["changes"] == {"added": [{"name": "einops", "version": "0.8.0"}],
                              "removed": [{"name": "scipy", "version": "1.11.4"}],
                              "updated": [{"name": "numpy", "from": "1.26.4", "to": "2.0.0"}]}
    assert (three["packages"], three["parent"], two["pinned"]) == (2, 1, True)
    dry = env.rollback("--dry-run", "--to", "2").stdout.splitlines()[1:]
    assert [line.strip() for line in dry] == changed


def test_history_of_a_damaged_version(three):
    (three.versions / "1.squashfs").write_bytes(b"text")
    done = three.squenv("history", three.image)
    assert done.returncode == 0 and "version 2: packages are not compared" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_name_is_never_missing(three):
    """Readers look all the time while versions change."""
    lost, reads, ends = [], [], threading.Event()

    def read():
        count = 0
        while not ends.is_set():
            try:
                if not is_image(three.image):
                    lost.append("half")
            except OSError as error:
                lost.append(error)
            count += 1
        reads.append(count)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(200 if STRESS else 60):
            three.rollback(user=False)
    finally:
        ends.set()
        for reader in readers:
            reader.join()
    assert not lost and min(reads) > 0
    assert three.content() in ("two", "three")


def test_running_mounts_keep_what_they_have(three, work):
    mount = work.mount(three.image)
    three.rollback()
    three.pack("four", "-f")
    assert seen(mount.path) == "three\n"
    mount.umount()


def test_readers_that_start_meanwhile(three, work):
    """64 of them; each gets one version or another, whole."""
    names = {"one\n", "two\n", "three\n"}
    readers = [work.start(work.command("cat", three.image, "v"), text=True) for _ in range(32)]
    for _ in range(8):
        three.rollback()
    readers += [work.start(work.command("cat", three.image, "v"), text=True) for _ in range(32)]
    for _ in range(8):
        three.rollback()
    for reader in readers:
        output, errors = reader.communicate(timeout=60)
        assert reader.returncode == 0 and output in names, errors


def test_link_as_output_is_followed(env, work):
    link = work.path / "link.squashfs"
    link.symlink_to("place/env.squashfs")
    env.made("one")
    env.pack("two", "-f", "--keep", image=link)
    assert link.is_symlink() and not (work.path / "link.squashfs.versions").exists()
    assert env.contents() == {1: "one", 2: "two"}
    assert work.squenv("cat", f"{link}@1", "v").stdout == "one\n"
    assert work.squenv("rollback", link).returncode == 0
    assert link.is_symlink() and env.content() == "one"


def test_log_is_lost(three):
    three.rollback("--to", "1")
    before = three.contents()
    (three.versions / "log").unlink()
    assert three.contents() == before and three.current()["number"] == 4
    three.pack("five", "-f")
    assert three.contents() == {**before, 5: "five"}
    assert [line["number"] for line in three.log()] == [1, 2, 3, 4, 5]
    assert {version["verb"] for version in three.history()} == {"pack"}


@pytest.mark.parametrize("torn", [b'{"number": 4, "ti', b"\x00\xff\n[1]\n" + b"[" * 5000 + b"\n",
                                  b'{"number": -1, "pinned": true}\n{"number": "4"}\n'
                                  b'{"number": 99999999999999999999, "size": 1e999}'],
                         ids=["torn", "noise", "other"])
def test_damaged_end_of_the_log(three, torn):
    with open(three.versions / "log", "ab") as log:
        log.write(torn)
    assert three.numbers() == [1, 2, 3]
    three.pack("four", "-f")
    three.rollback()
    assert three.contents() == {1: "one", 2: "two", 3: "three", 4: "four", 5: "three"}


def test_unknown_members_of_the_log(three):
    with open(three.versions / "log", "a", encoding="ascii") as log:
        log.write('{"number": 2, "pinned": true, "by": ["a later version"]}\n{"other": 1}\n')
    assert [version["pinned"] for version in three.history()] == [False, True, False]


def test_image_that_came_by_other_means(three):
    """Copied over, moved over, or an old one put back: nothing is lost, and numbers go on."""
    check(["cp", three.versions / "1.squashfs", three.image])
    assert three.current()["number"] == 1
    shutil.copy(three.versions / "2.squashfs", three.directory / "other")
    with open(three.directory / "other", "ab") as other:
        other.write(b"\0" * 4096)
    os.rename(three.directory / "other", three.image)
    assert three.current()["number"] == 4
    three.pack("five", "-f")
    assert three.content(4) == "two" and three.content(5) == "five"


def test_prune_keeps_three(env):
    env.made(*"abcde")
    size = os.stat(env.versions / "1.squashfs").st_size
    would = env.squenv("prune", "-n", env.image).stdout.splitlines()
    assert [line.endswith("would go") for line in would] == [True, True, False]
    assert env.numbers() == [1, 2, 3, 4, 5]
    pruned = env.prune()
    assert (pruned["removed"], pruned["left"]) == ([1, 2], [3, 4, 5])
    assert pruned["freed_bytes"] >= 2 * size - 4096
    assert env.contents() == {3: "c", 4: "d", 5: "e"}
    assert env.prune("--keep", "1")["removed"] == [3, 4]
    assert env.contents() == {5: "e"}
    env.pack("f", "-f")
    assert env.numbers() == [5, 6]


def test_a_cut_image_is_no_current_version(three):
    """Nothing is removed in favour of it, and history says what it is."""
    whole = three.image.read_bytes()
    three.image.write_bytes(whole[:200])
    pruned = three.squenv("prune", "--keep", "1", three.image)
    assert pruned.returncode == 3 and "truncated" in pruned.stderr, pruned.stderr
    assert "rollback" in pruned.stderr and len(list(three.versions.glob("*.squashfs"))) >= 2
    assert "truncated" in three.squenv("history", three.image).stderr
    check(three.work.command("rollback", three.image))


def test_prune_spares_pinned_versions(three):
    check(three.work.command("history", three.image, "--pin", "1"))
    pruned = three.prune("--keep", "1")
    assert pruned["removed"] == [2]
    assert pruned["spared"] == [{"number": 1, "reason": "pinned"}]
    check(three.work.command("history", three.image, "--unpin", "1"))
    assert three.prune("--keep", "1")["removed"] == [1]


def test_prune_spares_mounted_versions(three, work):
    mount = work.mount(f"{three.image}@1")
    three.pack("four", "-f")
    old = work.mount(f"{three.image}@3", "old")
    pruned = three.prune("--keep", "1")
    assert pruned["removed"] == [2] and {one["number"] for one in pruned["spared"]} == {1, 3}
    assert {one["reason"] for one in pruned["spared"]} == {"mounted"}
    assert seen(mount.path) == "one\n"
    mount.umount()
    old.umount()
    # The last thread of a daemon may have the file open a moment longer than it is a process.
    wait_for(lambda: three.prune("--keep", "1", "--dry-run")["removed"] == [1, 3], "its end")
    assert three.prune("--keep", "1")["removed"] == [1, 3]


def test_prune_spares_what_a_run_elsewhere_has(three, work):
    """A mount in another namespace, which no table of mounts here has."""
    path = work.directory("inside")
    running = work.start(work.command("run", "--via", "userns", f"{three.image}@1:{path}", "--",
                                      "sh", "-c", f"cat {path}/v; read end"),
                         stdin=-1, text=True)
    assert running.stdout.readline() == "one\n"
    pruned = three.prune("--keep", "1")
    assert pruned["removed"] == [2]
    assert pruned["spared"] == [{"number": 1, "reason": "in use"}]
    running.communicate("\n", timeout=20)


def test_prune_by_age(env):
    env.made(*"abc")
    assert env.prune("--older-than", "30d")["removed"] == []
    lines = env.log()
    lines[1]["time"] -= 31 * 24 * 3600  # version 1 was replaced then
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (env.versions / "log").write_text(text, encoding="ascii")
    assert env.prune("--older-than", "30d", "--keep", "3")["removed"] == []
    assert env.prune("--older-than", "4w", "--dry-run")["removed"] == [1]
    assert env.prune("--older-than", "30d")["removed"] == [1]
    assert env.prune("--older-than", "0s")["removed"] == [2] and env.content() == "c"


def test_prune_counts_what_becomes_free(three):
    """A version that a rollback made current shares its file."""
    three.rollback("--to", "1")
    size = os.stat(three.versions / "2.squashfs").st_size
    dry = three.prune("--keep", "1", "--dry-run")
    pruned = three.prune("--keep", "1")
    assert pruned == {**dry, "dry_run": False} and pruned["removed"] == [1, 2, 3]
    assert size <= pruned["freed_bytes"] < 3 * size and three.content() == "one"


def test_version_on_another_file_system(three, work):
    """The directory of versions may be a link to where there is room."""
    other = work.directory("other")
    check(["mount", "-t", "tmpfs", "-o", "mode=777", "none", other])
    try:
        check(["cp", "-a", f"{three.versions}/.", other / "kept"])
        shutil.rmtree(three.versions)
        three.versions.symlink_to(other / "kept")
        three.pack("four", "-f")
        three.rollback("--to", "1")
        assert three.contents() == {1: "one", 2: "two", 3: "three", 4: "four", 5: "one"}
        assert three.names() == [f"{number}.squashfs" for number in (1, 2, 3, 4)]
    finally:
        check(["umount", other])


def test_history_of_another_user(three):
    os.chmod(three.versions / "log", 0o644)
    done = run([*as_user(1001), three.work.programs / "squenv", "history", three.image])
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3, done.stderr
    done = run([*as_user(1001), three.work.programs / "squenv", "rollback", three.image])
    assert done.returncode == 1 and "Permission denied; ask its owner" in done.stderr


@pytest.mark.parametrize("command", ["history", "rollback", "prune"])
def test_an_image_in_a_closed_directory(command, work):
    closed = work.directory("closed", user=False)
    closed.chmod(0o700)
    done = work.squenv(command, closed / "env.squashfs")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "closed may not be entered" in done.stderr and "setfacl -m u:1000:x" in done.stderr
