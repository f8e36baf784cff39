# SPDX-License-Identifier: MIT
"""'squenv edit': an image is changed in place, and nothing is lost or half done."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from run_support import OWN_FAILURE, quoted, without_namespaces
from support.processes import AS_USER, check, processes_of, run, unmount, wait_for

SITE = "lib/python3.11/site-packages"
KILLS = 20


class Edited:
    """An image of a small environment at its own path, in a directory of the user."""

    def __init__(self, work, source):
        self.work = work
        self.directory = work.directory("images")
        self.root = work.directory("home") / "env"
        check(["cp", "-a", source, self.root])
        check(["chown", "-hR", "1000:1000", self.root])
        self.image = self.directory / "env.squashfs"
        result = work.squenv("pack", "-q", self.root, "-o", self.image)
        assert result.returncode == 0, result.stderr
        self.original = self.root.rename(work.path / "original")
        self.before = set(self.all_staging())  # of other programs on this machine

    def edit(self, *args, command=None, **options):
        words = [*args, *(["--", *command] if command else [])]
        return self.work.squenv("edit", self.image, *words, **options)

    def sh(self, script, *args, **options):
        return self.edit(*args, command=["sh", "-ec", f"cd {self.root}\n{script}"], **options)

    def python(self, code):
        return self.work.squenv("run", "--via", "userns", self.image, "--", "python", "-c", code)

    def ls(self):
        result = self.work.squenv("ls", "-R", self.image)
        assert result.returncode == 0, result.stderr
        return result.stdout.split()

    def cat(self, path):
        return self.work.squenv("cat", self.image, path).stdout

    def versions(self):
        kept = Path(f"{self.image}.versions")
        return sorted(path.name for path in kept.glob("*.squashfs")) if kept.exists() else []

    def numbers(self):
        """Of all versions."""
        history = self.work.squenv("history", "--json", self.image)
        return [version["number"] for version in json.loads(history.stdout)]

    def staging(self):
        return [path for path in self.all_staging() if path not in self.before]

    def all_staging(self):
        for place in [Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"), self.directory]:
            for path in place.glob("squenv-edit-*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_uid == 1000:
                        yield path


@pytest.fixture(scope="module")
def small_environment(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "env"
    check(["/usr/bin/python3", "-m", "venv", "--without-pip", "--copies", path])
    site = path / SITE
    assert site.is_dir(), "SITE names another Python"
    package = site / "old"
    package.mkdir()
    for number in range(40):
        (package / f"part{number}.py").write_text(f"VALUE = {number}\n" * 40, encoding="ascii")
    (package / "large.bin").write_bytes(random.Random(1).randbytes(3 << 20))
    (package / "linked.py").hardlink_to(package / "part0.py")
    (site / "gone").mkdir()
    (site / "gone" / "inner.py").write_text("X = 1\n", encoding="ascii")
    os.setxattr(package / "part1.py", "user.note", b"kept")
    check(["find", path, "-exec", "touch", "-h", "-d", "@1600000000", "{}", "+"])
    return path


@pytest.fixture
def edited(work, small_environment):
    subject = Edited(work, small_environment)
    yield subject
    for path in subject.staging():
        shutil.rmtree(path)


def identity(image):
    info = image.stat()
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_mode


def kernel_tree(work, image):
    """The tree that the kernel shows, with a hash of each file."""
    mountpoint = work.directory("kernel", user=False)
    check(["mount", "-o", "loop,ro", image, mountpoint])
    try:
        result = check([work.programs / "tree_digest", mountpoint])
    finally:
        check(["umount", mountpoint])
        mountpoint.rmdir()
    return result.stdout


def test_a_command_makes_the_next_version(edited):
    result = edited.sh(f"echo 'NEW = 1' > {SITE}/fresh.py; rm -r {SITE}/gone")
    assert result.returncode == 0, result.stderr
    assert "version 2" in result.stderr, result.stderr
    assert edited.cat(f"{SITE}/fresh.py") == "NEW = 1\n"
    assert "gone" not in " ".join(edited.ls())
    assert edited.versions() == ["1.squashfs"]
    assert edited.staging() == []
    assert not edited.root.exists()
    used = edited.python("import fresh, old.part3; print(fresh.NEW, old.part3.VALUE)")
    assert used.stdout == "1 3\n", used.stderr


def test_what_is_written_is_compiled(edited):
    result = edited.sh(f"echo 'NEW = 1' > {SITE}/fresh.py")
    assert result.returncode == 0, result.stderr
    assert f"{SITE}/__pycache__/fresh.cpython-311.pyc" in " ".join(edited.ls())
    assert "part3.cpython" not in " ".join(edited.ls())


def test_the_log_says_how_and_from_what(edited):
    assert edited.edit(command=["touch", f"{edited.root}/with space"]).returncode == 0
    lines = Path(f"{edited.image}.versions/log").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    assert last["verb"] == "edit" and last["parent"] == 1, last
    assert last["command"].endswith(f"-- touch '{edited.root}/with space'"), last


def test_a_wheel_is_installed_by_pip(edited):
    wheels = edited.work.directory("wheels")
    make_wheel(wheels, "small", "1.0", {"small/__init__.py": "NAME = 'small'\n"})
    command = ["/usr/bin/python3", "-m", "pip", "--python", edited.root / "bin" / "python",
               "install", "-q", "--no-index", "--find-links", wheels, "small"]
    if run(["/usr/bin/python3", "-m", "pip", "--python", "x", "--version"]).returncode == 2:
        command[3:5] = ["install", "-q", "--target", edited.root / SITE]
        del command[7:9]
    result = edited.edit(command=command)
    assert result.returncode == 0, result.stderr
    used = edited.python("import small; print(small.NAME)")
    assert used.stdout == "small\n", used.stderr


def make_wheel(directory, name, version, files):
    info = f"{name}-{version}.dist-info"
    files = dict(files)
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in [*files.items(), (f"{info}/RECORD", record)]:
            wheel.writestr(path, text)


@pytest.mark.parametrize("end", ["exit 7", "kill -TERM $$"])
def test_a_command_that_fails_changes_nothing(edited, end):
    before = identity(edited.image)
    result = edited.sh(f"rm -r {SITE}/old; {end}")
    assert result.returncode == (7 if end == "exit 7" else 128 + signal.SIGTERM), result.stderr
    assert "is unchanged" in result.stderr
    assert identity(edited.image) == before
    assert edited.staging() == [] and not Path(f"{edited.image}.versions").exists()


def test_a_program_that_does_not_exist(edited):
    result = edited.edit(command=["no-such-program"])
    assert result.returncode == 127 and "no-such-program" in result.stderr
    assert edited.staging() == []


COPIED_UP = f"{SITE}/old/part2.py"


@pytest.mark.parametrize("script", [
    "true", "python -B -c 'import old.part3'", "touch temporary; rm temporary",
    f"cat {SITE}/old/large.bin > /dev/null", f"chmod u+w {COPIED_UP}; exec 3<>{COPIED_UP}"],
    ids=["nothing", "an import", "a temporary file", "reading", "opened for writing"])
def test_without_a_change_there_is_no_version(edited, script):
    before = identity(edited.image)
    result = edited.sh(script)
    assert result.returncode == 0, result.stderr
    assert "nothing was changed" in result.stderr
    assert identity(edited.image) == before and edited.versions() == []


def test_a_second_editor_is_told(edited):
    ready = edited.work.path / "images" / "ready"
    first = edited.work.start(edited.work.command(
        "edit", edited.image, "--", "sh", "-c", f"touch {ready}; exec sleep 30"))
    wait_for(ready.exists, "the first editor")
    second = edited.edit(command=["true"])
    assert second.returncode == OWN_FAILURE
    assert "is being edited by" in second.stderr and "since" in second.stderr
    first.terminate()
    assert first.wait(20) == 128 + signal.SIGTERM
    assert edited.staging() == []


CHANGES = f"""
rm {SITE}/old/part5.py
rm -r {SITE}/gone; mkdir {SITE}/gone; echo new > {SITE}/gone/other
mv {SITE}/old/part6.py {SITE}/old/moved.py
rm {SITE}/old/part7.py; mkdir {SITE}/old/part7.py; echo in > {SITE}/old/part7.py/file
rm {SITE}/old/part8.py; ln -s part9.py {SITE}/old/part8.py
echo more >> {SITE}/old/large.bin
cp {SITE}/old/linked.py fresh; mv fresh {SITE}/old/linked.py; echo link >> {SITE}/old/linked.py
ln {SITE}/old/part10.py {SITE}/old/hard.py
chmod 600 {SITE}/old/part11.py
python3 -c "import os; os.setxattr('{SITE}/old/part12.py', 'user.fresh', b'1')"
mkdir -p empty/inner; chmod 700 empty
truncate -s 2M sparse
find . -newermt @1650000000 -exec touch -h -d @1700000000 {{}} +
"""


@pytest.mark.parametrize("seconds", [0, 0.8], ids=["copied after", "copied meanwhile"])
def test_the_kernel_sees_what_packing_the_merged_tree_gives(seconds, edited):
    """Whiteouts, opaque directories, changed types, links, attributes, and a sparse file."""
    result = edited.sh(f"{CHANGES}\nsleep {seconds}")
    assert result.returncode == 0, result.stderr
    plain = run(["sh", "-ec", f"cd {edited.original}\n{CHANGES}"], user=True)
    assert plain.returncode == 0, plain.stderr
    expected = edited.directory / "expected.squashfs"
    packed = edited.work.squenv("pack", "-q", edited.original, "-o", expected)
    assert packed.returncode == 0, packed.stderr
    ours = kernel_tree(edited.work, edited.image).splitlines()
    theirs = kernel_tree(edited.work, expected).splitlines()
    difference = set(comparable(ours)) ^ set(comparable(theirs))
    assert not difference, sorted(difference)
    verified = edited.work.squenv("verify", edited.image)
    assert verified.returncode == 0, verified.stderr


def comparable(lines):
    """Without compiled forms, which only edit makes, and what they change of directories."""
    kept = []
    for line in lines:
        if "__pycache__" in line:
            continue
        fields = line.split("\t")
        is_directory = "type=directory" in fields or "type=dir" in fields
        kept.append("\t".join(field for field in fields
                              if not (is_directory and field.startswith(("mtime=", "nlink=")))))
    return kept


def test_what_is_removed_gives_its_space_back(edited):
    before = edited.image.stat().st_size
    result = edited.sh(f"rm {SITE}/old/large.bin; sleep 0.8")
    assert result.returncode == 0, result.stderr
    assert edited.image.stat().st_size < before - (2 << 20)
    assert edited.work.squenv("verify", edited.image).returncode == 0


@pytest.mark.parametrize("prefix", [[], ["nohup"]])
def test_a_killed_session_is_offered_again(prefix, edited):
    ready = edited.directory / "ready"
    first = edited.work.start([*prefix, *edited.work.command(
        "edit", edited.image, "--", "sh", "-c",
        f"echo 1 > {edited.root}/kept; touch {ready}; exec sleep 30")])
    wait_for(ready.exists, "the session")
    kill_program(edited, first)
    refused = edited.edit(command=["true"])
    assert refused.returncode == OWN_FAILURE
    assert "was not ended" in refused.stderr and "--resume" in refused.stderr
    resumed = edited.edit("--resume", command=["sh", "-c", f"cat {edited.root}/kept"])
    assert resumed.returncode == 0 and resumed.stdout == "1\n", resumed.stderr
    assert "version 2" in resumed.stderr
    assert edited.cat("kept") == "1\n" and edited.staging() == []


def test_a_killed_session_is_thrown_away(edited):
    ready = edited.directory / "ready"
    first = edited.work.start(edited.work.command(
        "edit", edited.image, "--", "sh", "-c",
        f"echo 1 > {edited.root}/kept; touch {ready}; exec sleep 30"))
    wait_for(ready.exists, "the session")
    kill_program(edited, first)
    discarded = edited.edit("--discard")
    assert discarded.returncode == 0, discarded.stderr
    assert edited.staging() == [] and edited.versions() == []
    assert edited.edit(command=["true"]).returncode == 0
    assert edited.edit("--discard").returncode == OWN_FAILURE


def kill_program(edited, process):
    """As the kernel does when memory is short: without a chance to clean up."""
    process.kill()
    process.wait()
    wait_for(lambda: not processes_of(edited.work.programs / "squenv"), "the end of the session")


def test_a_kill_at_any_moment_leaves_a_version(edited):
    """The old one or the new one, never none and never half of one."""
    moments = random.Random(13)
    for number in range(KILLS):
        process = edited.work.start(
            edited.work.command("edit", "-q", edited.image, "--", "sh", "-c",
                                f"echo {number} > {edited.root}/number"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.0, 0.35))
        process.kill()
        process.wait()
        verified = edited.work.squenv("verify", edited.image)
        assert verified.returncode == 0, f"kill {number}: {verified.stderr}"
        wait_for(lambda: not processes_of(edited.work.programs / "squenv"), "the session's end")
        left = edited.edit("--discard")
        assert left.returncode in (0, OWN_FAILURE), left.stderr
        assert edited.staging() == [], f"kill {number}"
    result = edited.sh("echo last > number")
    assert result.returncode == 0, result.stderr
    assert edited.cat("number") == "last\n"


def test_no_room_for_the_changes(edited):
    """The command fails, and so nothing changes."""
    place = edited.work.directory("tiny", user=False)
    check(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "none", place])
    try:
        result = edited.sh("head -c 3000000 /dev/zero > big", "--staging", place)
        left = list(place.iterdir())
    finally:
        unmount(place)
    assert result.returncode not in (0, OWN_FAILURE), result.stderr
    assert left == [] and edited.versions() == []


@pytest.mark.parametrize("kib", [100, 300, 900, 9000])
def test_no_room_for_compiled_forms(edited, kib):
    """Python takes a short write for a whole one: no form is packed that was cut."""
    staging = edited.work.directory("staging")
    check(["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777", "none", staging])
    try:
        done = edited.sh(
            "python - <<'END'\nfor number in range(5):\n"
            f" with open(f'{SITE}/large{{number}}.py', 'w') as file:\n"
            "  for i in range(5000): file.write(f'V{i} = \"text {number} {i}\"\\n')\nEND\n"
            f"head -c 40000000 /dev/zero > filler || true\n"
            f"truncate -s -{kib}K filler", "--staging", staging)
        assert done.returncode == 0, done.stderr
    finally:
        check(["umount", "-l", staging])
    assert ("are not compiled" in done.stderr) == (kib < 9000), done.stderr
    assert edited.versions() == ["1.squashfs"]
    result = edited.python("import large0, large1, large2, large3, large4; print(large4.V4999)")
    assert result.stdout == "text 4 4999\n", result.stderr


def test_no_room_beside_the_image(edited):
    """The changes are kept until there is room."""
    place = edited.work.directory("small", user=False)
    size = edited.image.stat().st_size + (1 << 20)
    check(["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "none", place])
    try:
        image = Path(shutil.copy(edited.image, place))
        os.chown(image, 1000, 1000)
        edited.image = image
        full = edited.sh("echo 1 > kept")
        assert full.returncode == OWN_FAILURE and "--resume -- true" in full.stderr
        check(["mount", "-o", f"remount,size={size * 3}", place])
        resumed = edited.edit("--resume", command=["true"])
        assert resumed.returncode == 0, resumed.stderr
        assert edited.cat("kept") == "1\n"
    finally:
        unmount(place)  # the daemon of the session has the image for a moment more


def test_an_image_that_is_replaced_meanwhile(edited):
    other = edited.directory / "other.squashfs"
    result = edited.sh(f"echo 1 > kept; cp {edited.image} {other}; mv {other} {edited.image}")
    assert result.returncode == OWN_FAILURE and "was replaced while" in result.stderr
    resumed = edited.edit("--resume", command=["true"])
    assert resumed.returncode == 0, resumed.stderr
    assert edited.cat("kept") == "1\n"


def test_a_directory_that_is_not_ours(edited):
    os.chown(edited.directory, 0, 0)
    result = edited.edit(command=["true"])
    assert result.returncode == OWN_FAILURE and str(edited.directory) in result.stderr


def test_an_older_version_is_not_edited(edited):
    assert edited.sh("echo 1 > number").returncode == 0
    result = edited.work.squenv("edit", f"{edited.image}@1", "--", "true")
    assert result.returncode == OWN_FAILURE and "rollback" in result.stderr


def test_root_keeps_owners(edited):
    check(["chmod", "755", edited.work.path])
    result = edited.work.squenv(
        "edit", edited.image, "--", "sh", "-c",
        f"echo 1 > {edited.root}/mine; chown 7:8 {edited.root}/mine", user=False)
    assert result.returncode == 0, result.stderr
    shown = edited.work.squenv("ls", "-l", edited.image).stdout
    lines = {line.split()[-1]: line for line in shown.splitlines()}
    assert " 7 8 " in " ".join(lines["mine"].split()), shown
    assert " 1000 1000 " in " ".join(lines["bin"].split()), shown


def test_root_of_a_user_namespace_is_an_ordinary_user(edited):
    """The owner of the image is not mapped there."""
    command = edited.work.command("edit", edited.image, "--", "sh", "-c",
                                  f"echo x >> {edited.root}/pyvenv.cfg; echo 1 > {edited.root}/one")
    at = command.index("--") + 1
    check([*command[:at], "unshare", "-Ur", *command[at:]])
    lines = {line.split()[-1]: line.split() for line in edited.work.squenv(
        "ls", "-l", edited.image).stdout.splitlines()}
    assert lines["one"][2:4] == lines["pyvenv.cfg"][2:4] == ["1000", "1000"]


def test_a_forced_session_is_resumed(edited):
    other = edited.work.directory("other")
    words = ["edit", "--force", f"{edited.image}:{other}", "--", "sh", "-c",
             f"touch {other}/mark; kill -9 $PPID; sleep 0.2"]
    edited.work.squenv(*words)
    time.sleep(0.5)
    result = edited.edit("--resume", command=["true"])
    assert result.returncode == 0, result.stderr
    assert "mark" in edited.ls()


def test_prune_leaves_what_a_session_needs(edited):
    """Also when it was replaced meanwhile, and whoever prunes."""
    edited.sh("touch second")
    rollback = quoted(edited.work.command("rollback", edited.image, user=False))
    result = edited.sh(f"echo precious > kept\n{rollback}")
    assert result.returncode == 125 and "--resume" in result.stderr, result.stderr
    for user in (True, False):
        pruned = edited.work.squenv("prune", "--keep", "1", edited.image, user=user)
        assert "stays: an edit since" in pruned.stdout, pruned.stdout
    assert edited.edit("--resume", command=["true"]).returncode == 0
    assert edited.cat("kept") == "precious\n"
    pruned = edited.work.squenv("prune", "--keep", "1", edited.image)
    assert "stays" not in pruned.stdout


OTHER = 4242  # another user who may write to the directory of versions


@pytest.mark.parametrize("owner, staging, reason", [
    (OTHER, "squenv-edit-1", "another user can have written it"),
    (1000, "thesis", "names no directory of a session of yours"),
    (1000, "squenv-edit-link", "names no directory of a session of yours")])
def test_a_planted_session_is_not_believed(edited, owner, staging, reason):
    """It says what is thrown away, and what becomes the next version."""
    assert edited.sh("touch new").returncode == 0
    places = {}
    for name in ("thesis", "squenv-edit-1"):
        places[name] = edited.work.directory(name)
        (places[name] / "upper").mkdir()
        (places[name] / "upper" / "text").write_text("precious")
    link = edited.work.path / "squenv-edit-link"
    link.symlink_to(places["thesis"])
    record = Path(f"{edited.image}.versions") / "session-1000.json"
    record.write_text(json.dumps({
        "image": str(edited.image), "staging": str(edited.work.path / staging), "kind": "overlay",
        "mountpoint": str(edited.root), "host": socket.gethostname(), "started": 1, "pid": 1,
        "parent": 2, "parent_digest": "", "begun": True}))
    os.chown(record, owner, owner)
    for args in (["--discard"], ["--resume"], []):
        result = edited.edit(*args, command=[] if args == ["--discard"] else ["true"])
        assert result.returncode == OWN_FAILURE and reason in result.stderr, result.stderr
    assert all((place / "upper" / "text").exists() for place in places.values())


@pytest.mark.parametrize("name", ["session-1000.json", "log", "lock", "editor"])
@pytest.mark.parametrize("kind", ["fifo", "link", "dangling"])
def test_planted_files_are_no_files_of_versions(edited, name, kind):
    """Another user of the directory can put anything there: nothing waits, nothing is followed."""
    assert edited.sh("touch new").returncode == 0
    victim = edited.work.path / "victim"
    victim.write_text("mine\n")
    os.chown(victim, 1000, 1000)
    path = Path(f"{edited.image}.versions") / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(victim if kind == "link" else "nowhere")
    os.chown(path, OTHER, OTHER, follow_symlinks=False)
    result = edited.edit(command=["touch", edited.root / "x"], timeout=20)
    assert result.returncode != 0 and f"{name}: is no regular file" in result.stderr, result.stderr
    if name in ("log", "lock"):
        result = edited.work.squenv("rollback", edited.image, timeout=20)
        assert f"{name}: is no regular file" in result.stderr, result.stderr
    assert victim.read_text() == "mine\n"


def test_versions_of_another_user_in_a_directory_for_all(edited):
    """Who made /tmp/env.squashfs.versions first would say what its versions are."""
    place = edited.work.directory("all")
    place.chmod(0o1777)
    os.chown(place, 0, 0)
    image = place / "env.squashfs"
    versions = place / "env.squashfs.versions"
    versions.mkdir(mode=0o777)
    os.chown(versions, OTHER, OTHER)
    shutil.copy(edited.image, image)
    os.chown(image, 1000, 1000)
    assert edited.work.squenv("pack", "-q", "-f", edited.original, "-o", image).returncode == 0
    for words in (["history", image], ["rollback", image], ["edit", image, "--", "true"],
                  ["run", f"{image}@1:{edited.root}", "--", "true"]):
        result = edited.work.squenv(*words)
        assert result.returncode != 0 and f"belongs to user {OTHER}" in result.stderr, words
    assert os.listdir(versions) == []
    os.chown(versions, 1000, 1000)
    assert edited.work.squenv("pack", "-q", "-f", edited.original, "-o", image).returncode == 0
    assert edited.work.squenv("history", image).returncode == 0


def test_owners_of_the_image_stay(edited):
    image = edited.directory / "root.squashfs"
    packed = edited.work.squenv("pack", "-q", "--owner", "5:6", "--mount-point", edited.root,
                                "--from-image", edited.image, "-o", image)
    assert packed.returncode == 0, packed.stderr
    edited.image = image
    result = edited.sh(f"echo 1 > mine; echo 2 >> {SITE}/old/part1.py")
    assert result.returncode == 0, result.stderr
    shown = edited.work.squenv("ls", "-lR", edited.image).stdout
    assert " 1000 " not in shown, shown


def test_without_user_namespaces_it_is_unpacked(edited):
    def edit(script):
        words = edited.work.command("edit", edited.image, "--", "sh", "-ec", script)
        return without_namespaces(quoted(words))

    unchanged = edit("true")
    assert unchanged.returncode == 0 and "nothing was changed" in unchanged.stderr
    result = edit(f"cd {edited.root}; echo NEW=1 > {SITE}/fresh.py; rm -r {SITE}/gone")
    assert result.returncode == 0, result.stderr
    assert "unpacked" in result.stderr and "version 2" in result.stderr
    assert "\\x0a" not in result.stderr, result.stderr
    assert edited.cat(f"{SITE}/fresh.py") == "NEW=1\n"
    names = " ".join(edited.ls())
    assert "gone" not in names and "fresh.cpython-311.pyc" in names
    assert edited.staging() == []
    wait_for(lambda: not os.path.lexists(edited.root), "the removal of the link")


def test_a_shell_makes_a_version_whatever_its_last_status(edited):
    command = edited.work.command("edit", edited.image)
    result = run(command, input=f"echo 1 > {edited.root}/typed\nfalse\n",
                 env={"SHELL": "/bin/sh", "PATH": os.environ["PATH"], "HOME": "/"})
    assert result.returncode == 0, result.stderr
    assert edited.cat("typed") == "1\n"


def test_another_run_does_not_see_the_changes(edited):
    ready, go = edited.directory / "ready", edited.directory / "go"
    process = edited.work.start(edited.work.command(
        "edit", edited.image, "--", "sh", "-c",
        f"echo 1 > {edited.root}/typed; touch {ready}; while ! [ -e {go} ]; do sleep 0.02; done"))
    wait_for(ready.exists, "the session")
    listed = edited.work.squenv("run", "--via", "userns", edited.image, "--", "ls", edited.root)
    assert listed.returncode == 0 and "typed" not in listed.stdout, listed.stderr
    go.touch()
    assert process.wait(20) == 0
    assert edited.cat("typed") == "1\n"


def test_the_path_is_carried_over(edited):
    before = json.loads(edited.work.squenv("info", "--json", edited.image).stdout)["manifest"]
    assert edited.sh("echo 1 > number").returncode == 0
    after = json.loads(edited.work.squenv("info", "--json", edited.image).stdout)["manifest"]
    assert before == after and before["mount_point"] == str(edited.root)


def test_bad_arguments(edited):
    for words in [["--resume", "--discard"], ["--discard", "--", "true"],
                  ["--resume", "--staging", "/tmp"]]:
        result = edited.work.squenv("edit", edited.image, *words)
        assert result.returncode == OWN_FAILURE, words


def test_a_session_is_thrown_away_on_a_full_disk(edited):
    place = edited.work.directory("tiny", user=False)
    size = edited.image.stat().st_size + 3_000_000
    check(["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "none", place])
    try:
        image = place / "env.squashfs"
        shutil.copy(edited.image, image)
        os.chown(image, 1000, 1000)
        ready = edited.directory / "ready"
        first = edited.work.start(edited.work.command(
            "edit", image, "--staging", place, "--", "sh", "-c",
            f"head -c 100000 /dev/urandom > {edited.root}/new; touch {ready}; exec sleep 30"))
        wait_for(ready.exists, "the session")
        kill_program(edited, first)
        run([*AS_USER, "dd", "if=/dev/zero", f"of={place}/fill", "bs=1k"])
        discarded = edited.work.squenv("edit", image, "--discard")
        left = [path.name for path in place.iterdir()]
    finally:
        unmount(place)
    assert discarded.returncode == 0, discarded.stderr
    assert not [name for name in left if name.startswith("squenv-edit")], left


def test_an_interrupt_says_whether_there_is_a_version(edited):
    """Ctrl-C at any moment: an error and no version, or success and one."""
    versions = edited.numbers()
    for step in range(12):
        process = edited.work.start(edited.work.command(
            "edit", "-q", edited.image, "--", "sh", "-c", f"echo {step} > {edited.root}/step"),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.03 + 0.012 * step)
        pid = next(iter(processes_of(edited.work.programs / "squenv")), None)
        if pid is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
        is_made = edited.numbers() != versions
        versions = edited.numbers()
        assert (process.returncode == 0) == is_made, (step, process.returncode, errors)
        wait_for(lambda: not processes_of(edited.work.programs / "squenv"), "the session's end")
        edited.edit("--discard")
