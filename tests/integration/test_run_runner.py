# SPDX-License-Identifier: MIT
"""The machine of a hosted CI service: an ordinary user, sudo without a password, the variables of
a job, and user namespaces that the security policy denies."""

import shlex

import pytest

from run_support import IMPORT, build_filter, expect_import, quoted, wait_until_nothing_is_left
from support.processes import AS_USER, run

pytestmark = pytest.mark.usefixtures("settled")

# What Ubuntu's AppArmor does to programs it does not know.
POLICY = "CALL_WITH(unshare, CLONE_NEWUSER)"
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nrunner:x:1000:1000::/tmp:/bin/sh\n",
    "group": "root:x:0:\nrunner:x:1000:\n",
    "shadow": "root:*:19000:0:99999:7:::\nrunner:*:19000:0:99999:7:::\n",
    "sudoers": "runner ALL=(ALL) NOPASSWD: ALL\n",
}


@pytest.fixture
def runner(work, monkeypatch):
    """Runs a script on such a machine: the user's, and what root does to it before."""
    policy = build_filter(work, POLICY, keeps_setuid=True)
    etc = work.directory("etc", user=False)
    for name, text in ETC.items():
        (etc / name).write_text(text, encoding="ascii")
        (etc / name).chmod(0o644 if name in ("passwd", "group") else 0o440)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    def run_script(script, before=""):
        mounts = "".join(f"mount --bind {etc}/{name} /etc/{name}\n" for name in ETC)
        user = " ".join([str(policy), *map(shlex.quote, AS_USER), "sh", "-c"])
        return run(["unshare", "-m", "sh", "-ec",
                    f"{mounts}{before}\n{user} {shlex.quote(script)}"])
    return run_script


def squenv(work, *words):
    return quoted(work.command(*words, user=False))


def test_fusermount_is_used(runner, work, venv_image, venv_source):
    result = runner(squenv(work, "run", "-v", venv_image, "--", *IMPORT))
    expect_import(result, venv_source)
    assert "(fusermount)" in result.stderr, result.stderr
    forced = runner(squenv(work, "run", "--via", "userns", venv_image, "--", *IMPORT))
    assert forced.returncode == 125 and "user namespace" in forced.stderr, forced.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_doctor_says_what_is_denied(runner, work, venv_image):
    result = runner(squenv(work, "doctor", venv_image))
    assert result.returncode == 0, result.stderr
    assert "Operation not permitted" in result.stdout


def test_job_container_without_fusermount(runner, work, cache, venv_image, venv_source):
    """Nothing can be mounted: the unpacked tree is shown at a path that is free."""
    path = work.directory("free") / "venv"
    script = squenv(work, "run", "-v", "--force", f"{venv_image}:{path}", "--", "ls", path)
    result = runner(script, "mount --bind /dev/null $(command -v fusermount3)")
    assert result.returncode == 0 and "pyvenv.cfg" in result.stdout, result.stderr
    assert "(extract" in result.stderr


def test_run_by_sudo(runner, work, venv_image, venv_source):
    script = squenv(work, "run", "-v", venv_image, "--", *IMPORT)
    result = runner(f"sudo -n {script}")
    expect_import(result, venv_source)
    assert "(direct)" in result.stderr, result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_mount_by_sudo_for_the_steps_of_a_job(runner, work, venv_image, venv_source):
    mount = squenv(work, "mount", "-o", "allow_other", venv_image, venv_source)
    umount = squenv(work, "umount", venv_source)
    python = quoted([venv_source / "bin" / "python", *IMPORT[1:]])
    result = runner(f"sudo -n --preserve-env=CI {mount} && {python}; "
                    f"code=$?; sudo -n {umount} && exit $code")
    expect_import(result, venv_source)
    assert "CI job" in result.stderr and "squenv run" in result.stderr
    wait_until_nothing_is_left(work, venv_source)
