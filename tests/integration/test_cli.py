# SPDX-License-Identifier: MIT
"""Exit codes, one-line messages, and the commands that need no mount."""

import json
import os
import pathlib
import re
import shutil
import struct
from pathlib import Path

import pytest
from support import trees
from support.processes import AS_USER, check, mounts_below, run, wait_for

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["mount", "umount", "list", "stats", "info", "ls", "cat", "extract", "verify"]
IMAGE_COMMANDS = ["info", "ls", "verify", "extract", "mount"]
FAILURE, USAGE, CORRUPT, NO_WAY = 1, 2, 3, 4


def assert_refused(result, code, *words):
    """The exit code, one line on stderr with everything in it, nothing on stdout."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("squenv")
    for word in words:
        assert str(word) in lines[0], f"{word!r} is not in: {lines[0]}"


def arguments(work, command, image):
    return [command, image, *([work.path / "mnt"] if command in ("mount", "extract") else [])]


@pytest.fixture
def mnt(work):
    path = work.directory("mnt")
    yield path
    assert not mounts_below(path)


@pytest.fixture
def refused(work):
    """refused(command, image, code, words): with a mount point where one is needed."""

    def refused(command, image, code, *words):
        if command == "mount":
            work.directory("mnt")
        assert_refused(work.squenv(*arguments(work, command, image)), code, *words)
        assert not mounts_below(work.path)
        assert command == "mount" or not (work.path / "mnt").exists()

    return refused


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_not_a_squashfs(command, refused, work):
    image = work.path / "image"
    image.write_bytes(b"This is no image.\n" * 100)
    refused(command, image, FAILURE, image, "not a squashfs image")


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_empty_file(command, refused, work):
    image = work.path / "image"
    image.write_bytes(b"")
    refused(command, image, FAILURE, image, "not a squashfs image", "squenv pack")


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_missing_image(command, refused, work):
    refused(command, work.path / "none", FAILURE, work.path / "none", "No such file",
            "squenv pack")


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_directory_instead_of_an_image(command, refused, work):
    refused(command, work.directory("image"), USAGE, work.path / "image", "directory")


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_unreadable_image(command, refused, work, plain_image):
    image = work.path / "image"
    shutil.copy(plain_image, image)
    image.chmod(0)
    refused(command, image, FAILURE, image, "Permission denied")


def patched(work, image, offset, layout, value):
    content = bytearray(image.read_bytes())
    struct.pack_into(layout, content, offset, value)
    path = work.path / "image"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
def test_wrong_version(command, refused, work, plain_image):
    image = patched(work, plain_image, 28, "<H", 3)
    refused(command, image, FAILURE, image, "version 3.0")


def test_unknown_compressor(refused, work, plain_image):
    image = patched(work, plain_image, 20, "<H", 77)
    refused("mount", image, CORRUPT, image, "compressor", "77")


@pytest.mark.parametrize("command", IMAGE_COMMANDS)
@pytest.mark.parametrize("size", [100, 10_000, 400_000])
def test_truncated_image(size, command, refused, work, plain_image):
    image = work.path / "image"
    image.write_bytes(plain_image.read_bytes()[:size])
    refused(command, image, CORRUPT, image)


def test_mount_point_that_cannot_be_made(work, plain_image):
    closed = work.directory("closed", user=False)
    result = work.squenv("mount", plain_image, closed / "none")
    assert_refused(result, FAILURE, closed / "none", "cannot be made", "name a directory of yours")
    assert os.listdir(closed) == []


def test_mount_point_behind_a_dangling_link(work, plain_image):
    os.symlink(work.path / "nowhere", work.path / "link")
    result = work.squenv("mount", plain_image, work.path / "link")
    assert_refused(result, FAILURE, work.path / "link", "a symlink to what does not exist")
    assert not (work.path / "nowhere").exists()


def test_mount_that_fails_leaves_no_mount_point(work, plain_image):
    result = work.squenv("mount", "--via", "direct", plain_image, work.path / "a" / "b")
    assert result.returncode != 0 and "--via fusermount" in result.stderr
    wait_for(lambda: not (work.path / "a").exists(), "the removal of what was made")


def test_mount_point_is_a_file(work, plain_image):
    path = work.path / "file"
    path.write_text("x")
    assert_refused(work.squenv("mount", plain_image, path), USAGE, path, "not a directory")


def test_mount_point_not_writable(work, plain_image):
    path = work.directory("mnt", user=False)
    result = work.squenv("mount", plain_image, path)
    assert_refused(result, FAILURE, path, "cannot write", "belongs to you")


def test_empty_words_are_no_paths(work, plain_image):
    assert_refused(work.squenv("mount", plain_image, ""), USAGE, "MOUNTPOINT", "empty")
    assert_refused(work.squenv("info", ""), FAILURE, "''", "No such file")
    assert_refused(work.squenv("extract", plain_image, ""), FAILURE, "''", "No such file")


def test_mount_point_not_named(work, plain_image):
    assert_refused(work.squenv("mount", plain_image), USAGE, plain_image, "MOUNTPOINT")


@pytest.mark.parametrize("options,word", [("nonsense", "nonsense"), ("rw", "rw"), ("suid", "suid"),
                                          ("offset=x", "offset"), ("uid=-1", "uid"),
                                          ("timeout=", "timeout"), ("cache_size=1", "cache_size")])
def test_unknown_mount_option(options, word, work, mnt, plain_image):
    assert_refused(work.squenv("mount", "-o", options, plain_image, mnt), USAGE, word)


@pytest.mark.parametrize("args", [["--nonsense"], ["nonsense"], ["mount"], ["info"],
                                  ["info", "a", "b"], ["ls", "--nonsense", "a"],
                                  ["mount", "--via", "magic", "a", "b"],
                                  ["extract", "-j", "0", "a"]], ids=" ".join)
def test_usage_errors(args, work):
    result = work.squenv(*args)
    assert result.returncode == USAGE
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("args,what", [(["moun", "a"], "unknown command 'moun'"),
                                       (["--nonsense"], "unknown option '--nonsense'"),
                                       (["esc\x1b[31m"], "unknown command 'esc\\x1b[31m'")])
def test_unknown_words_are_named(args, what, work):
    assert_refused(work.squenv(*args), USAGE, what, "squenv --help")


def test_an_image_instead_of_a_command(work, plain_image):
    assert_refused(work.squenv(plain_image), USAGE, plain_image, "squenv mount", "squenv run")


def test_words_that_are_not_understood_are_told_in_order(work):
    assert_refused(work.squenv("info", "a", "b", "c"), USAGE, "'b c'", "info --help")
    assert_refused(work.squenv("trace", "report", "a", "b", "c", "d"), USAGE, "'c d'")


def test_an_unknown_option_is_named_without_its_value(work):
    assert_refused(work.squenv("info", "--no", "3", "a"), USAGE, "'--no';", "info --help")


def test_no_command_at_all_prints_the_list_on_stderr(work):
    result = work.squenv()
    assert result.returncode == USAGE and result.stdout == ""
    assert result.stderr == work.squenv("--help").stdout


def test_help_and_version_as_words(work):
    assert work.squenv("help").stdout == work.squenv("--help").stdout != ""
    for words in [["run"], ["trace"], ["cache", "list"]]:
        asked = work.squenv("help", *words)
        assert (asked.returncode, asked.stderr) == (0, "")
        assert asked.stdout == work.squenv(*words, "--help").stdout
    assert_refused(work.squenv("help", "nonsense"), USAGE, "unknown command 'nonsense'")
    for words in [["version"], ["-V"]]:
        assert work.squenv(*words).stdout == work.squenv("--version").stdout != ""


def test_help_says_how_to_go_on(work):
    for command in ["run", "bench"]:
        usage = work.squenv(command, "--help").stdout.split("Usage: ")[1].splitlines()[0]
        assert usage.endswith(" -- CMD [ARG...]"), usage
    for command in ["cache", "trace"]:
        text = work.squenv(command, "--help").stdout
        assert f"squenv {command} SUBCOMMAND --help" in text
    assert "COMMAND" not in work.squenv("info", "--help").stdout


def test_messages_keep_control_characters_from_the_terminal(work, plain_image):
    assert_refused(work.squenv("cat", plain_image, "a\x1b[31m\nb"), FAILURE, "a\\x1b[31m\\x0ab")


def namespaced(work, script, *args, user=True):
    """The command as uid 1000, after `script` in a mount namespace of its own; says what was
    mounted at the end."""
    command = " ".join(f"'{word}'" for word in work.command(*args, user=user))
    tail = f"{command}; code=$?; grep -c ' {work.path}/mnt ' /proc/self/mountinfo; exit $code"
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", f"{script}\n{tail}"])
    assert result.stdout.strip() == "0", "something is mounted"
    result.stdout = ""
    return result


NO_DEVICE = "mount -t tmpfs -o mode=755 none /dev && mknod -m 666 /dev/null c 1 3"


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_fuse_device_missing(user, work, mnt, plain_image):
    result = namespaced(work, NO_DEVICE, "mount", plain_image, mnt, user=user)
    assert_refused(result, NO_WAY, "/dev/fuse", "No such file", "modprobe fuse")


def test_fuse_device_denied(work, mnt, plain_image):
    script = NO_DEVICE + " && mknod -m 600 /dev/fuse c 10 229"
    result = namespaced(work, script, "mount", plain_image, mnt)
    assert_refused(result, NO_WAY, "/dev/fuse", "Permission denied", "chmod 0666 /dev/fuse")


def without_fusermount(work):
    """Every directory it is looked for in, without it."""
    other = work.directory("usr-bin", user=False)
    for name in ["sh", "grep", "setpriv", "env"]:
        shutil.copy(shutil.which(name), other / name)
    return f"export PATH=/usr/bin; mount --bind {other} /usr/bin"


def test_fusermount_missing(work, mnt, plain_image):
    result = namespaced(work, without_fusermount(work), "mount", plain_image, mnt)
    assert_refused(result, NO_WAY, "fusermount3", "not installed", "apt install fuse3")


def test_fusermount_without_setuid(work, mnt, plain_image):
    copy = work.path / "fusermount3"
    shutil.copy(shutil.which("fusermount3"), copy)
    copy.chmod(0o755)
    script = f"mount --bind {copy} $(readlink -f $(command -v fusermount3))"
    result = namespaced(work, script, "mount", plain_image, mnt)
    assert_refused(result, NO_WAY, mnt, "fusermount3", "setuid", "chmod u+s")


def test_direct_mount_needs_privilege(work, mnt, plain_image):
    result = work.squenv("mount", "--via", "direct", plain_image, mnt)
    assert result.returncode != 0 and "--via fusermount" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_version(work):
    result = work.squenv("--version")
    assert result.returncode == 0
    number, features = result.stdout.splitlines()
    assert re.fullmatch(r"squenv \d+\.\d+\.\d+", number)
    known = ["static", "zstd", "gzip", "xz", "lz4", "lzo", "tar", "labels"]
    assert [name for name in known if name in features.split()] == features.split() != []


def commands_of(work):
    text = check(work.command("--help")).stdout
    return re.findall(r"^  ([a-z]+) ", text.split("Subcommands:")[1], re.MULTILINE)


def test_every_command_is_tested(work):
    assert set(COMMANDS) <= set(commands_of(work))


def test_help(work):
    for command in [[], *([name] for name in commands_of(work))]:
        result = work.squenv(*command, "--help")
        assert result.returncode == 0 and result.stderr == ""
        assert "Usage: squenv" in result.stdout
        wide = [line for line in result.stdout.splitlines() if len(line) > 80]
        assert not wide, wide
        # What a reader of help must not see: the library's own notation.
        assert "{false}" not in result.stdout


def long_options(work, command):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", work.squenv(command, "--help").stdout))


def test_man_pages_have_every_option(work):
    if not list((ROOT / "man").glob("squenv*.1")):
        pytest.skip("man/ holds no pages yet")
    for command in commands_of(work):
        page = ROOT / "man" / f"squenv-{command}.1"
        assert page.exists(), page.name
        text = page.read_text(encoding="utf-8").replace("\\-", "-")
        missing = {option for option in long_options(work, command) if option not in text}
        assert not missing, f"{page.name}: {missing}"


def test_completions_have_every_option(work):
    files = [path for path in (ROOT / "tools" / "completions").rglob("*")
             if path.is_file() and path.name != "meson.build"]
    if not files:
        pytest.skip("tools/completions holds no files yet")
    for file in files:
        text = file.read_text(encoding="utf-8")
        for command in commands_of(work):
            assert command in text, f"{file.name}: {command}"
            for option in long_options(work, command):
                assert option.removeprefix("--") in text, f"{file.name}: {command} {option}"


def test_info(work, plain_image, plain_tree):
    facts = json.loads(check(work.command("info", "--json", plain_image)).stdout)
    assert facts["compressor"] == "zstd" and facts["block_size"] == 131072
    assert facts["bytes_used"] <= plain_image.stat().st_size and facts["offset"] == 0
    assert facts["inodes"] == sum(len(d) + len(f) for _, d, f in os.walk(plain_tree)) + 1
    text = check(work.command("info", plain_image)).stdout
    assert "zstd" in text and "128.0 KiB" in text


def test_ls(work, plain_image):
    names = check(work.command("ls", plain_image)).stdout.splitlines()
    assert names == sorted(["large", "link", "noise"] + [f"package-{i}" for i in range(6)])
    assert check(work.command("ls", plain_image, "package-0")).stdout.count("module-") == 10
    assert check(work.command("ls", plain_image, "large")).stdout == "large\n"
    (line,) = check(work.command("ls", "-l", plain_image, "link")).stdout.splitlines()
    assert line.startswith("lrwxrwxrwx") and line.endswith("link -> large")
    everything = check(work.command("ls", "-R", plain_image)).stdout.splitlines()
    assert "package-3/module-3.py" in everything and len(everything) == 69
    assert_refused(work.squenv("ls", plain_image, "none"), FAILURE, "none")


def test_ls_long_options(work, plain_image):
    def names(*args):
        return check(work.command("ls", *args)).stdout.splitlines()

    everything = names(plain_image)
    assert names("-a", plain_image) == [".", "..", *everything]
    assert names("-d", plain_image, "package-0") == ["package-0"]
    assert names("-d", plain_image) == ["."]
    (line,) = names("-lh", plain_image, "large")
    assert "683.6 KiB" in line and "700000" not in line
    dots = names("-la", plain_image, "package-0")[:2]
    assert [line.split()[-1] for line in dots] == [".", ".."]
    assert all(line.startswith("d") for line in dots)
    above = [json.loads(line) for line in names("-a", "--json", plain_image, "package-0")][:2]
    root = json.loads(names("-d", "--json", plain_image)[0])
    assert above[1]["inode"] == root["inode"] != above[0]["inode"]


def test_ls_json(work, nasty_image):
    lines = check(work.command("ls", "-R", "--json", nasty_image)).stdout.splitlines()
    entries = {entry["path"]: entry for entry in map(json.loads, lines)}
    assert entries["names/new\nline"]["size"] == 8
    assert entries["modes/4755"]["mode"] == "4755"
    assert entries["times/4294967295"]["mtime"] == 2**32 - 1
    assert entries["links/symlink"]["target"] == "original"
    assert entries["special/fifo"]["type"] == "fifo"
    assert entries["links/original"]["nlink"] == 4
    assert entries["links/original"]["inode"] == entries["links/below/link-2"]["inode"]


def test_ls_keeps_control_characters_from_the_terminal(work, nasty_image):
    result = check(work.command("ls", nasty_image, "names"))
    assert "new\\x0aline" in result.stdout and "\t" not in result.stdout


def test_cat(work, plain_image, plain_tree):
    content = (Path(plain_tree) / "noise").read_bytes()
    result = run(work.command("cat", plain_image, "noise"), text=False)
    assert result.returncode == 0 and result.stdout == content
    twice = run(work.command("cat", plain_image, "noise", "/noise"), text=False)
    assert twice.stdout == content * 2
    assert_refused(work.squenv("cat", plain_image, "package-0"), USAGE, "package-0", "regular")
    assert_refused(work.squenv("cat", plain_image, "none"), FAILURE, "none", "no such file",
                   "'squenv ls'")


OUTPUTS = [["cat", "noise"], ["info"], ["info", "--json"], ["ls", "-lR"], ["verify", "--json"],
           ["history"]]


def lost_output(work, *words, **options):
    """What a command says whose output goes to a full disk."""
    with open("/dev/full", "w", encoding="ascii") as full:
        process = work.start(work.command(*words, **options), stdout=full, text=True)
        code, text = process.wait(30), process.stderr.read()
    (line,) = text.splitlines()
    assert "cannot write the output: No space left" in line and "; write it elsewhere" in line
    return code


def test_output_that_cannot_be_written(work, plain_image):
    for first, *words in OUTPUTS:
        assert lost_output(work, first, plain_image, *words) == FAILURE, first
    assert lost_output(work, "env", "--format", "json", f"{plain_image}:/opt/x") == FAILURE
    for words in (["--help"], ["--version"], ["help", "run"], ["run", "--help"], ["help"]):
        assert lost_output(work, *words) == FAILURE, words
    assert lost_output(work, "diff", plain_image, plain_image, "--json") == USAGE
    assert lost_output(work, "--help", program="uenv") == FAILURE
    mount = work.mount(plain_image)
    for words in (["list"], ["list", "--json"], ["stats", "--json", mount.path]):
        assert lost_output(work, *words) == FAILURE, words
    mount.umount()


@pytest.mark.parametrize("ignored", [False, True])
def test_a_reader_that_goes_away_is_no_news(ignored, work, plain_image):
    """As `| head -1` leaves, also where SIGPIPE is ignored as services have it."""
    trap = "trap '' PIPE; " if ignored else ""
    words = " ".join(map(str, work.command("cat", plain_image, "noise", "noise")))
    result = run(["bash", "-c", f"{trap}({words}; echo $? >&2) | true"])
    assert result.stderr.split() == ["1" if ignored else "141"], result.stderr


def test_stats_of_what_is_not_there(work):
    assert_refused(work.squenv("stats", work.path / "none"), FAILURE, work.path / "none",
                   "No such file", "'squenv list'")


@pytest.mark.parametrize("command", ["cache", "trace"])
def test_a_subcommand_that_there_is_not_is_named(command, work):
    assert_refused(work.squenv(command, "strange"), USAGE, "'strange'", f"squenv {command} --help")
    assert_refused(work.squenv(command), USAGE, "subcommand is required")


def test_verify_of_a_good_image(work, plain_image, nasty_image):
    for image in [plain_image, nasty_image]:
        result = work.squenv("verify", image)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        report = json.loads(check(work.command("verify", "--json", image)).stdout)
        assert report["ok"] is True and report["errors"] == []


def test_verify_names_the_damaged_file(work, plain_tree):
    image = trees.mksquashfs(plain_tree, work.path / "image", "-comp", "zstd", "-no-fragments")
    content = bytearray(image.read_bytes())
    frames = [match.start() for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), content)]
    victim = next(at for at in frames if at > 200)
    content[victim : victim + 4] = bytes(4)
    image.write_bytes(content)
    result = work.squenv("verify", image)
    assert result.returncode == CORRUPT
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and "1 objects are damaged" in lines[1]
    damaged = re.search(r"verify: ([^:]+): ", lines[0])[1]
    assert damaged in work.squenv("ls", "-R", image).stdout.splitlines()
    assert work.squenv("cat", image, damaged).returncode == CORRUPT
    report = json.loads(work.squenv("verify", "--json", image).stdout)
    assert report["ok"] is False and len(report["errors"]) == 1 and damaged in report["errors"][0]


@pytest.fixture
def broken_image(work):
    """1,200 files, each in a block of its own, and every block damaged."""
    tree = work.directory("tree")
    for index in range(1200):
        (tree / f"{index:04}\n").write_bytes(trees.compressible(5000, index))
    image = trees.mksquashfs(tree, work.path / "image", "-comp", "zstd", "-no-fragments")
    content = bytearray(image.read_bytes())
    (inodes,) = struct.unpack_from("<Q", content, 64)
    content[96:inodes] = bytes(inodes - 96)
    image.write_bytes(content)
    return image


@pytest.mark.parametrize("command", ["verify", "extract"])
def test_much_damage_is_counted_and_listed_in_part(command, work, broken_image):
    target = [work.path / "out"] if command == "extract" else []
    result = work.squenv(command, broken_image, *target)
    assert result.returncode == CORRUPT
    *errors, more, last = result.stderr.splitlines()
    assert len(errors) == 1000 and all("\\x0a: " in line for line in errors)
    assert more == f"squenv {command}: and 200 more"
    assert "1200 objects are" in last


def test_json_of_much_damage(work, broken_image):
    report = json.loads(work.squenv("verify", "--json", broken_image).stdout)
    assert report["error_count"] == 1200 and len(report["errors"]) == 1000
    assert report["ok"] is False


@pytest.mark.parametrize("kept_bytes, status", [(4096, CORRUPT), (0, 1), (None, 1)])
def test_json_of_an_image_that_cannot_be_opened(work, plain_image, kept_bytes, status):
    image = work.path / "unopenable"
    if kept_bytes is not None:
        image.write_bytes(pathlib.Path(plain_image).read_bytes()[:kept_bytes])
    result = work.squenv("verify", "--json", image)
    report = json.loads(result.stdout)
    assert result.returncode == status and str(image) in result.stderr
    assert report["image"] == str(image) and report["ok"] is False
    assert report["error_count"] == len(report["errors"]) == 1
    assert report["errors"][0] in result.stderr


def test_extract_as_user(work, plain_image, plain_tree):
    target = work.path / "out"
    result = work.squenv("extract", plain_image, target)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    check(["diff", "-r", plain_tree, target])
    assert os.stat(target / "large").st_uid == 1000


def test_extract_as_user_says_what_it_cannot_make(work, nasty_image):
    target = work.path / "out"
    result = work.squenv("extract", nasty_image, target)
    assert result.returncode == FAILURE
    assert "special/null" in result.stderr and "only root" in result.stderr
    assert (target / "links" / "original").stat().st_nlink == 4
    assert not (target / "special" / "null").exists()
    check(["chmod", "-R", "u+rwX", target])


def test_extract_refuses_an_existing_directory(work, plain_image):
    target = work.directory("out")
    (target / "large").write_text("mine")
    result = work.squenv("extract", plain_image, target)
    assert_refused(result, FAILURE, target, "exists", "content", "--force")
    assert (target / "large").read_text() == "mine"
    assert work.squenv("extract", "--force", plain_image, target).returncode == 0
    assert (target / "large").stat().st_size == 700_000


def test_extract_into_an_empty_directory(work, plain_image):
    target = work.directory("out")
    result = work.squenv("extract", plain_image, target)
    assert (result.returncode, result.stderr) == (0, "")
    assert (target / "large").stat().st_size == 700_000


@pytest.mark.parametrize("name,words", [("file", ["Not a directory", "another directory"]),
                                        ("none/out", ["No such file", "create"])])
def test_extract_where_nothing_can_be_made(name, words, work, plain_image):
    (work.path / "file").touch()
    result = work.squenv("extract", plain_image, work.path / name)
    assert_refused(result, FAILURE, work.path / name, *words)


def test_extract_to_a_full_disk_ends(work, plain_image, plain_tree):
    """One cause is said once, and no file is left that looks whole and is not."""
    disk = work.directory("disk")
    command = " ".join(work.command("extract", "-j", "1", plain_image, disk / "out"))
    script = f"""mount -t tmpfs -o size=900k,mode=777 none {disk}
        {command}
        echo $?
        cd {disk}/out && find . -type f -printf '%P %s\\n'"""
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
    code, *files = result.stdout.splitlines()
    lines = result.stderr.splitlines()
    assert int(code) == FAILURE and len(lines) < 10, lines
    assert "No space left" in lines[0]
    assert "no room for more" in lines[-1] and "free some space" in lines[-1]
    assert "large 700000" in files and not [line for line in files if "noise" in line]
    for line in files:
        name, size = line.split()
        assert int(size) == os.stat(os.path.join(plain_tree, name)).st_size, line


@pytest.mark.parametrize("state, reason, end", [
    ("mount --bind {out} {out} && mount -o remount,ro,bind {out}", "Read-only file system",
     "its file system is read-only; choose another directory"),
    ("chown -R 0 {out}", "cannot replace what is there: Permission denied",
     "objects are missing or incomplete; mend what is named")], ids=["read-only", "not ours"])
def test_extract_counts_what_the_target_refuses(state, reason, end, work, plain_image):
    """One cause is one line, however many objects it concerns."""
    target = work.path / "out"
    check(work.command("extract", plain_image, target))
    words = " ".join(work.command("extract", "-f", plain_image, target))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"{state.format(out=target)} && {words}"])
    assert result.returncode == FAILURE
    *findings, last = result.stderr.splitlines()
    assert sum(line.endswith(": " + reason) for line in findings) == 1 and end in last, result
    assert len(findings) <= 2, findings


def test_extract_a_part(work, plain_image):
    target = work.path / "out"
    assert work.squenv("extract", "--path", "package-2", plain_image, target).returncode == 0
    assert sorted(os.listdir(target))[0] == "module-14.py"


def test_extract_default_directory(work, plain_image):
    result = work.squenv("extract", plain_image, cwd=work.path)
    assert result.returncode == 0 and (work.path / "squashfs-root" / "large").exists()


def test_extract_follows_no_symlink_of_the_target(work, plain_image):
    """With --force, what is in the way is replaced, never written through."""
    outside = work.directory("outside")
    (outside / "victim").write_text("untouched")
    target = work.directory("out")
    os.symlink(outside / "victim", target / "large")
    os.symlink(outside, target / "package-1")
    result = work.squenv("extract", "--force", plain_image, target)
    assert (outside / "victim").read_text() == "untouched"
    assert os.listdir(outside) == ["victim"]
    assert result.returncode in (0, FAILURE)


def test_umount_needs_no_privilege_of_others(work, plain_image):
    mount = work.mount(plain_image, user=False)
    result = run([*AS_USER, work.programs / "squenv", "umount", mount.path])
    assert result.returncode == FAILURE and mount.is_mounted()
    mount.umount()
