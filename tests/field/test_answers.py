# SPDX-License-Identifier: MIT
"""What a mount answers about access, whoever asks and whatever the kernel has cached."""

from run_support import processes_of_mount
from support.processes import AS_USER, USER, check, run


# Source: rpodgorny/unionfs-fuse#61, CurvineIO/curvine#1250.
def test_access_answers_as_on_a_directory(work, venv_image, venv_source):
    """Without a request more once the mount is warm."""
    mount = work.mount(venv_image, venv_source)
    processes_of_mount(work)  # the warmer lists directories, too
    probe = check(["find", venv_source, "-name", "probe.py"], user=True).stdout.strip()
    files = [venv_source / "bin" / "activate", probe]
    for path in files:
        assert run(["test", "-x", path], user=True).returncode == 1, path
        assert run(["test", "-r", path], user=True).returncode == 0, path
        assert run(["test", "-w", path], user=True).returncode == 1, path
    found = run(["find", venv_source, "-type", "f", "-executable"], user=True).stdout
    programs = run(["find", venv_source, "-type", "f", "-perm", "/111"], user=True).stdout
    assert found == programs
    before = mount.requests()
    for path in files:
        run(["test", "-r", path], user=True)
    assert mount.requests() == before
    mount.umount()


def test_what_other_owners_keep_for_themselves(work):
    """A colleague's image with umask 077: who may read the image sees what is in it."""
    tree = work.directory("tree", user=False)
    for name, mode in [("private", 0o600), ("program", 0o700), ("public", 0o644)]:
        (tree / name).write_text("#!/bin/sh\necho ran\n", encoding="ascii")
        (tree / name).chmod(mode)
    (tree / "closed").mkdir(mode=0o700)
    (tree / "closed" / "file").write_text("inside\n", encoding="ascii")
    image = work.path / "image"
    check(work.command("pack", "-q", tree, "-o", image, user=False))
    image.chmod(0o644)
    mount = work.mount(image)
    assert run(["cat", mount.path / "private", mount.path / "closed/file"],
               user=True).returncode == 0
    assert run([mount.path / "program"], user=True).stdout == "ran\n"
    owners = run(["stat", "-c", "%u", *[mount.path / name for name in
                                        ["private", "program", "closed", "public"]]], user=True)
    assert owners.stdout.split() == [str(USER)] * 3 + ["0"]
    mount.umount()


# Source: libfuse/libfuse#15 (permissions and what is cached).
def test_allow_root_admits_nobody_else(work, venv_image):
    """Whatever is in the kernel's caches by then."""
    config = work.path / "fuse.conf"
    config.write_text("user_allow_other\n", encoding="ascii")
    other = ["setpriv", "--reuid", "32000", "--regid", "32000", "--clear-groups", "--"]
    path = work.directory("mnt")
    words = " ".join(work.command("mount", "-q", "-o", "allow_root", venv_image, path))
    end = " ".join(work.command("umount", path))
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-c",
                  f"mount --bind {config} /etc/fuse.conf; {words} || exit 9\n"
                  f"{' '.join(AS_USER)} sh -c"
                  f" 'cat {path}/lib/*/site-packages/probe.py; ls -lR {path}'"
                  f" > /dev/null; cat {path}/lib/*/site-packages/probe.py || exit 8\n"
                  f"{' '.join(other)} sh -c 'ls {path} || cat {path}/pyvenv.cfg'; s=$?\n"
                  f"{end}; exit $s"])
    assert result.returncode == 1, result.stdout + result.stderr
    assert "VALUE = 42" in result.stdout and "home" not in result.stdout
