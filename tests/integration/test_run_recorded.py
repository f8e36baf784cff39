# SPDX-License-Identifier: MIT
"""The path that an image records is a wish of whoever made the image: where it is granted."""

import json
import os
import struct

import pytest
from run_support import OWN_FAILURE, squenv_run, wait_until_nothing_is_left
from support.processes import mounts_below

USAGE = 2
PAGE = 4096
MAGIC = 0x585041564E455153
NAME_IT = "name the path"

pytestmark = pytest.mark.usefixtures("settled")


@pytest.fixture
def home(work, monkeypatch):
    """The home directory of user 1000."""
    path = work.directory("home")
    for name in [".ssh", "project", "empty", "env", "conda", "conda/conda-meta"]:
        (path / name).mkdir()
        os.chown(path / name, 1000, 1000)
    (path / ".ssh" / "authorized_keys").write_text("mine\n")
    (path / "project" / "main.py").write_text("mine\n")
    (path / "env" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture
def recording(work, plain_image):
    """recording(path): an image that wants to be mounted there."""
    content = plain_image.read_bytes()
    used = struct.unpack_from("<Q", content, 40)[0]
    begin = -(-used // PAGE) * PAGE

    def make(path):
        manifest = json.dumps({"mount_point": path}).encode()
        # Version, sizes of header, manifest and two empty lists; the digest is not compared here.
        header = struct.pack("<QIIQQQQ32x", MAGIC, 1, 80, len(manifest), 0, 0, 0)
        image = work.path / "wishful.squashfs"
        image.write_bytes(content[:used].ljust(begin, b"\0") + header + manifest)
        return image

    return make


def assert_refused(result, code):
    assert result.returncode == code, result
    assert NAME_IT in result.stderr and "is not used" in result.stderr, result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


REFUSED = ["{home}", "{parent}", "{home}/.ssh", "{home}/.gnupg", "{home}/.config/autostart",
           "{home}/.local/bin", "{home}/.bashrc.d", "{home}/.tools", "{home}/bin",
           "{home}/project", "{home}/link", "{home}/a:b", "{home}/a\nb", "{home}/\x1b[31m",
           "{home}/../home/.ssh", "//etc", "/etc", "/etc/profile.d/x", "/usr", "/usr/bin", "/lib",
           "/tmp", "/dev/shm", "/run/user", "/run/systemd/system/x.service.d", "/root/.ssh",
           "/var/spool/cron/crontabs"]


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_refused(user, work, home, recording):
    (home / "link").symlink_to(home / ".ssh")
    for wish in REFUSED:
        image = recording(wish.format(home=home, parent=home.parent))
        before = sorted(os.listdir(home))
        assert_refused(squenv_run(work, image, ["true"], "--force", user=user), OWN_FAILURE)
        assert_refused(work.squenv("shell", image, user=user), OWN_FAILURE)
        assert_refused(work.squenv("mount", image, user=user), USAGE)
        assert_refused(work.squenv("bench", image, "--", "true", user=user), USAGE)
        assert sorted(os.listdir(home)) == before
    assert not mounts_below(home.parent)


@pytest.mark.parametrize("wish", ["{home}/.ssh", "{home}/project", "{home}/\x1b[31m", "/etc"])
def test_doctor_knows_that_run_refuses(wish, work, home, recording):
    result = work.squenv("doctor", recording(wish.format(home=home)))
    assert result.returncode == 4 and NAME_IT in result.stdout, result.stdout
    assert "is not used" in result.stdout and "\x1b" not in result.stdout


@pytest.mark.parametrize("wish", ["project/.venv", "empty", "env", "conda", ".venv", ".venvs/x",
                                  ".cache/x", ".local/share/envs/x", ".conda/envs/x"])
def test_taken(wish, work, home, recording):
    path = home / wish
    result = squenv_run(work, recording(str(path)), ["ls", path])
    assert result.returncode == 0 and "large" in result.stdout, result.stderr
    wait_until_nothing_is_left(work, path)


def test_a_wish_where_the_image_is_mounted_already(work, home, recording):
    path = home / "empty"
    image = recording(str(path))
    mount = work.mount(image, path)
    result = squenv_run(work, image, ["ls", path], "-v")
    assert result.returncode == 0 and "joined" in result.stderr, result.stderr
    mount.umount()


def test_a_part_of_an_environment_that_is_there(work, home, recording):
    part = home / "env" / "package-0"
    part.mkdir()
    (part / "file").write_text("mine\n")
    os.chown(part, 1000, 1000)
    image = recording(str(home / "env"))
    for subdirectory in ["package-0", "/package-0/", "./package-0"]:
        result = squenv_run(work, image, ["ls", part], "-o", f"subdir={subdirectory}")
        assert result.returncode == 0 and "module-0.py" in result.stdout, result.stderr
        wait_until_nothing_is_left(work, home / "env")


def test_a_path_that_is_named_is_the_decision_of_the_user(work, home, recording):
    image = recording("/etc")
    for path in [home / "project", home / ".ssh", home / ".tools" / "x"]:
        result = squenv_run(work, f"{image}:{path}", ["ls", path])
        assert result.returncode == 0 and "large" in result.stdout, result.stderr
        wait_until_nothing_is_left(work, path)
    assert (home / ".ssh" / "authorized_keys").read_text() == "mine\n"


@pytest.mark.parametrize("path", ["/bin", "/sbin", "/lib", "/usr", "/usr/bin", "/usr/sbin",
                                  "/usr/lib"])
def test_what_unmounting_needs_is_never_hidden(path, work, plain_image):
    for user in [True, False]:
        result = squenv_run(work, f"{plain_image}:{path}", ["true"], "--force", user=user)
        assert result.returncode == OWN_FAILURE and "every program needs" in result.stderr
        result = work.squenv("mount", plain_image, path, user=user)
        assert result.returncode == USAGE and "every program needs" in result.stderr
        # The exit status of mount.squenv is that of mount(8).
        for program, status in [("squashfuse", USAGE), ("mount.squenv", 32)]:
            result = work.squenv(plain_image, path, user=user, program=program)
            assert result.returncode == status and "every program needs" in result.stderr


def test_home_in_the_middle_of_a_word(work, home, plain_image):
    path = home / "envs" / "e"
    result = squenv_run(work, f"{plain_image}:~/envs/e", ["ls", path], cwd=work.path)
    assert result.returncode == 0 and "large" in result.stdout, result.stderr
    wait_until_nothing_is_left(work, path)
    assert not (work.path / "~").exists()
    result = work.squenv("mount", plain_image, "~/empty", cwd=work.path)
    assert result.returncode == 0, result.stderr
    assert [entry["mountpoint"] for entry in mounts_below(home)] == [str(home / "empty")]
    assert work.squenv("umount", home / "empty").returncode == 0
    doctor = work.squenv("doctor", plain_image, "~/empty", cwd=work.path)
    assert f"{home}/empty: can be mounted on" in doctor.stdout
    bench = work.squenv("bench", "--rounds", "1", "--mount-point=~/empty", plain_image, "--", "ls",
                        home / "empty" / "large", cwd=work.path)
    assert bench.returncode == 0, bench.stderr


def test_homes_of_others_are_refused(work, home, plain_image):
    for words, code in [(["run", f"{plain_image}:~nobody/e", "--", "true"], OWN_FAILURE),
                        (["shell", f"{plain_image}:~nobody/e"], OWN_FAILURE),
                        (["mount", plain_image, "~nobody/e"], USAGE),
                        (["doctor", plain_image, "~nobody/e"], USAGE),
                        (["bench", "--mount-point=~nobody/e", plain_image, "--", "true"], USAGE)]:
        result = work.squenv(*words, cwd=work.path)
        assert result.returncode == code and "another user" in result.stderr, result.stderr
    assert not (work.path / "~nobody").exists()
