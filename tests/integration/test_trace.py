# SPDX-License-Identifier: MIT
"""Recording what is touched, and what becomes of a recording."""

import json
import os
import stat

from run_support import on_machine
from support.processes import check, run

CORRUPT, FAILURE = 3, 1


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def record(work, image, use, name="t.trace", options=""):
    """Mounts, lets `use(mount)` do something, unmounts; the lines of the trace."""
    trace = work.path / name
    mount = work.mount(image, options=f"record={trace}{options}")
    use(mount)
    mount.umount()
    return trace


def read_as_user(path):
    return check(["cat", path], user=True, text=False).stdout


def test_first_touches_in_order(work, plain_image):
    def use(mount):
        read_as_user(mount.path / "package-3" / "module-3.py")
        read_as_user(mount.path / "package-1" / "module-1.py")
        read_as_user(mount.path / "package-3" / "module-3.py")
        check(["ls", mount.path / "package-2"], user=True)
        check(["readlink", mount.path / "link"], user=True)
        assert run(["cat", mount.path / "none"], user=True).returncode == 1

    lines = lines_of(record(work, plain_image, use))
    assert lines[0] == "squenv-trace 1" and lines[-1] == "end"
    reads = [line.split(" ", 3)[3] for line in lines if line.startswith("read ")]
    assert reads == ["package-3/module-3.py", "package-1/module-1.py"]
    for wanted in ["look package-3", "list package-2", "link link", "miss none"]:
        assert wanted in lines
    assert lines.index("look package-3") < lines.index("look package-3/module-3.py")
    assert any(line.startswith("requests read ") for line in lines)
    assert any(line.startswith("slow ") for line in lines)


def test_ranges_of_a_large_file(work, plain_image):
    trace = work.path / "root.trace"
    mount = work.mount(plain_image, options=f"record={trace}", user=False)
    path = mount.path / "large"
    middle = path.stat().st_size // 2 // 4096 * 4096
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        file.seek(middle)
        assert len(file.read(4096)) == 4096
    mount.umount()
    reads = [line.split(" ", 3) for line in lines_of(trace) if line.startswith("read ")]
    assert reads and all(path == "large" for _, _, _, path in reads)
    begin = min(int(offset) for _, offset, _, _ in reads)
    end = max(int(offset) + int(size) for _, offset, size, _ in reads)
    assert begin <= middle and end >= middle + 4096 and end - begin <= 1 << 18


def test_paths_count_from_the_root_of_the_image(work, plain_image):
    trace = record(work, plain_image, lambda mount: read_as_user(mount.path / "module-4.py"),
                   options=",subdir=package-4")
    assert any(line.endswith(" package-4/module-4.py") for line in lines_of(trace))


def test_control_characters_are_escaped(work, nasty_image):
    trace = record(work, nasty_image,
                   lambda mount: read_as_user(mount.path / "names" / "new\nline"))
    assert any(line.endswith("names/new\\012line") for line in lines_of(trace))
    assert work.squenv("trace", "report", trace, nasty_image).returncode == 0


def test_hard_links_have_their_first_name(work, nasty_image):
    """In the order of the listings, in which links/below is before links/original."""
    lines = lines_of(record(work, nasty_image,
                            lambda mount: read_as_user(mount.path / "links" / "original")))
    reads = {line.split(" ", 3)[3] for line in lines if line.startswith("read ")}
    assert reads == {"links/below/link-0"}


def test_the_file_is_the_users_and_is_emptied(work, plain_image):
    path = work.path / "t.trace"
    path.write_text("something else\n" * 1000)
    os.chown(path, 1000, 1000)
    record(work, plain_image, lambda mount: read_as_user(mount.path / "large"))
    assert lines_of(path)[0] == "squenv-trace 1"
    assert stat.S_ISREG(path.stat().st_mode) and path.stat().st_uid == 1000


def test_refused_before_the_mount(work, plain_image):
    work.directory("mnt")
    result = work.squenv("mount", "-o", f"record={work.path}/none/t", plain_image,
                         work.path / "mnt")
    assert result.returncode == FAILURE and "No such file" in result.stderr


def test_a_recording_that_cannot_be_written_is_told(work, plain_image):
    """By a line, for the command has ended by then; its exit status is its own."""
    disk, path = work.directory("disk"), work.directory("mnt")
    words = work.command("run", "--record", disk / "t", f"{plain_image}:{path}", "--", "sh", "-c",
                         f"cat {path}/large | wc -c; exit 7")
    script = f"mount -t tmpfs -o size=64k,mode=777 none {disk}; : > {disk}/t; chmod 666 {disk}/t"
    fill = f"head -c 1000000 /dev/zero > {disk}/fill 2> /dev/null"
    result = on_machine(f"{script}; {fill} || :", words)
    assert (result.returncode, result.stdout) == (7, "700000\n"), result
    (line,) = result.stderr.splitlines()
    assert f"{disk}/t: the recording is lost: No space left on device; free some" in line


def test_a_recording_that_cannot_be_made_ends_the_run(work, plain_image):
    closed, read_only = work.directory("closed", user=False), work.directory("read-only")
    script = f"mount -t tmpfs -o ro none {read_only}"
    for file, words in [(work.path / "none" / "t", ["No such file", f"mkdir -p {work.path}/none"]),
                        (closed / "t", ["Permission denied", "where you may write"]),
                        (read_only / "t", ["Read-only", "where you may write"]),
                        (closed, ["Is a directory", "name a file"])]:
        result = on_machine(script, work.command("run", "--record", file,
                                                 f"{plain_image}:{work.path}/mnt", "--", "echo"))
        assert (result.returncode, result.stdout) == (125, ""), result
        (line,) = result.stderr.splitlines()
        assert all(word in line for word in [f"{file}: ", *words]), line


def test_a_trace_under_way_cannot_be_used(work, plain_image):
    trace = work.path / "t.trace"
    mount = work.mount(plain_image, options=f"record={trace}")
    result = work.squenv("trace", "report", trace)
    assert result.returncode != 0 and "still recording" in result.stderr
    other = work.directory("other")
    result = work.squenv("mount", "-o", f"record={trace}", plain_image, other)
    assert result.returncode != 0 and "another mount" in result.stderr
    mount.umount()
    assert work.squenv("trace", "report", trace).returncode == 0


def test_usable_right_after_umount(work, plain_image):
    trace = work.path / "t.trace"
    for _ in range(5):
        mount = work.mount(plain_image, options=f"record={trace}")
        read_as_user(mount.path / "large")
        assert work.squenv("umount", mount.path).returncode == 0
        result = work.squenv("trace", "report", "--json", trace, plain_image)
        assert result.returncode == 0, result.stderr
        facts = json.loads(result.stdout)
        assert facts["files_read"] == 1 and facts["image"]["unknown_paths"] == 0
        assert 0 < facts["image"]["touched_stored_bytes"] <= facts["image"]["stored_bytes"]
        mount.wait_until_gone()


def test_merge(work):
    for name, text in [("a", "requests read 2\nread 0 10 x\nlook y\n"),
                       ("b", "requests read 1\nlook y\nread 5 10 x\nlook z\n")]:
        (work.path / name).write_text(f"squenv-trace 1\n{text}end\n")
    result = check(work.command("trace", "merge", work.path / "a", work.path / "b"))
    assert result.stdout == ("squenv-trace 1\nrequests read 3\nread 0 10 x\nlook y\n"
                             "read 10 5 x\nlook z\nend\n")
    out = work.path / "c"
    check(work.command("trace", "merge", work.path / "a", work.path / "b", "-o", out))
    assert out.read_text() == result.stdout


def test_not_a_trace(work):
    path = work.path / "t"
    for text in ["", "nonsense\n", "squenv-trace 1\n", "squenv-trace 1\nlook a\n"]:
        path.write_text(text)
        result = work.squenv("trace", "report", path)
        assert result.returncode == CORRUPT, text
        assert len(result.stderr.splitlines()) == 1


def test_report(work, plain_image):
    trace = record(work, plain_image, lambda mount: read_as_user(mount.path / "large"))
    text = check(work.command("trace", "report", trace, plain_image)).stdout
    assert "1 files" in text and "large" in text and "of the image" in text
