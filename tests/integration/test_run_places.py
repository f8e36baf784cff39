# SPDX-License-Identifier: MIT
"""Where `squenv run` puts images, and what else may be there."""

import os
import shutil
import subprocess
import time

import pytest

from run_support import (
    IMPORT,
    OWN_FAILURE,
    expect_import,
    quoted,
    squenv_run,
    wait_until_nothing_is_left,
    without_namespaces,
)
from support.processes import check, mounts_below, run, unmount, wait_for

pytestmark = pytest.mark.usefixtures("settled")


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


@pytest.mark.parametrize("mask", ["777", "700", "077"])
def test_mount_point_is_made_whatever_the_umask_is(mask, work, plain_image):
    place = work.directory("parent") / "outer" / "inner"
    words = quoted(work.command("run", "--force", f"{plain_image}:{place}", "--", "ls", place,
                                user=False))
    for _ in range(2):
        result = run(["sh", "-c", f"umask {mask}; {words}"], user=True)
        assert result.returncode == 0, result.stderr
        wait_for(lambda: not place.parent.exists(), "the removal of the mount point")


def test_a_made_mount_point_goes_when_the_method_changes(work, plain_image):
    """The mount of the second run hides the directory that the first one made."""
    place = work.directory("parent") / "mnt"
    for _ in range(3):
        first = work.start(work.command("run", "--via", "userns", "--force",
                                        f"{plain_image}:{place}", "--", "sh", "-c",
                                        "echo; sleep 0.3"))
        assert first.stdout.readline() == b"\n"
        result = work.squenv("run", "--via", "fusermount", "--force", f"{plain_image}:{place}",
                             "--", "sleep", "0.6")
        assert result.returncode == 0, result.stderr
        wait_for(lambda: "mnt" not in os.listdir(place.parent), "the removal of the mount point")


def test_relative_path_in_a_directory_that_is_gone(work, plain_image):
    gone = work.directory("gone")
    words = quoted(work.command("run", "--force", f"{plain_image}:env", "--", "true", user=False))
    result = run(["sh", "-c", f"cd {gone}; rmdir {gone}; {words}"], user=True)
    assert result.returncode == OWN_FAILURE
    assert "'env': the working directory: No such file" in result.stderr, result.stderr
    assert "give the whole path" in result.stderr


def test_private_root_shows_everything_else(work, plain_image):
    """The directory that the new root was assembled on, too, and what is written there stays."""
    places = " ".join(f"/{name}" for name in ["tmp", "mnt", "media", "srv", "opt", "home", "var"])
    listing = f"ls -d {places}; stat -c '%n %d %i' {places}"
    written = work.path / "written"
    result = squenv_run(work, f"{plain_image}:/squenv-test/venv",
                        ["sh", "-c", f"{listing}; echo x > {written}"], "--via", "userns")
    assert result.returncode == 0, result.stderr
    assert result.stdout == check(["sh", "-c", listing]).stdout
    assert written.read_text(encoding="ascii") == "x\n"


@pytest.mark.parametrize("path", ["/", "/dev", "/proc", "/proc/sys", "/sys/fs"])
def test_places_that_every_program_needs(path, work, plain_image):
    result = squenv_run(work, f"{plain_image}:{path}", ["true"], "--force", timeout=20)
    assert result.returncode == OWN_FAILURE and "every program needs" in result.stderr
    result = work.squenv("mount", plain_image, path, timeout=20)
    assert result.returncode == 2 and "every program needs" in result.stderr


def test_options_that_cannot_be_had_end_the_run(work, cache, plain_image, monkeypatch):
    """No other way to mount mends them, least of all unpacking without them."""
    place = work.directory("place")
    image = f"{plain_image}:{place}"
    full = work.directory("full")
    check(["mount", "-t", "tmpfs", "-o", "size=64k,uid=1000", "none", full])
    copy = work.path / "copy"
    shutil.copyfile(plain_image, copy)
    os.chown(copy, 1000, 1000)
    try:
        for options, word in [(["--record", "/root/x"], "/root/x: Permission denied"),
                              (["--record", "/nowhere/x"], "/nowhere/x: No such file"),
                              (["--record", place], "Is a directory"),
                              (["--record", ""], "is empty"),
                              (["--record", copy], "is the image"),
                              (["-o", "stage=/nowhere"], "/nowhere: No such file"),
                              (["-o", f"stage={full}"], f"{full}: 64.0 KiB are free"),
                              (["-o", "log=/nowhere/x"], "/nowhere/x: No such file"),
                              (["-o", "allow_other"], "nobody else would see it"),
                              (["--via", "extract", "--record", place / "t"],
                               "nothing can be recorded")]:
            given = f"{copy}:{place}" if copy in options else image
            result = squenv_run(work, given, ["true"], *options)
            assert result.returncode == OWN_FAILURE, (options, result.stderr)
            assert word in result.stderr, (options, result.stderr)
    finally:
        unmount(full)
    assert copy.read_bytes() == plain_image.read_bytes()
    assert not (cache.exists() and os.listdir(cache))


def test_mount_right_behind_a_run(work, plain_image):
    place = work.directory("place")
    for _ in range(10):
        result = squenv_run(work, f"{plain_image}:{place}", ["true"], "--via", "fusermount")
        assert result.returncode == 0, result.stderr
        result = work.squenv("mount", plain_image, place)
        assert result.returncode == 0, result.stderr
        assert work.squenv("umount", place).returncode == 0
        wait_for(lambda: not mounts_below(place), "the end of the mount")


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


@pytest.mark.parametrize("order", [1, -1])
def test_image_inside_another(order, work, plain_image, venv_image, venv_source):
    """Whichever is named first, both are there; in one namespace they cannot be."""
    inner = next(venv_source.parent.glob("venv")) / "lib"
    images = [f"{venv_image}", f"{plain_image}:{inner}"]
    script = f"ls {venv_source}/pyvenv.cfg && ls {inner} | wc -l"
    result = squenv_run(work, ",".join(images[::order]), ["sh", "-c", script], "-v")
    assert result.returncode == 0 and int(result.stdout.split()[-1]) > 3, result
    refused = squenv_run(work, ",".join(images), ["true"], "--via", "userns", timeout=20)
    assert refused.returncode == OWN_FAILURE and "lies in" in refused.stderr
    wait_until_nothing_is_left(work, venv_source)


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
    mount = work.mount(venv_image, str(venv_source), options="timeout=2")
    result = squenv_run(work, venv_image, ["sh", "-c", f"sleep 3.5; grep ' {venv_source} ' "
                                           "/proc/self/mountinfo"], "-v")
    assert result.returncode == 0 and "joined" in result.stderr, result
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
            result = work.squenv("mount", work.path / "none", venv_source)
            assert result.returncode != 0 and word not in result.stderr  # nothing to be killed
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("via", ["userns", "extract"])
def test_mount_command_refuses_what_nobody_would_see(via, work, venv_image):
    result = work.squenv("mount", "--via", via, venv_image)
    assert result.returncode == 2 and "squenv run" in result.stderr
