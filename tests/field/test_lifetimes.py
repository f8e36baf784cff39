# SPDX-License-Identifier: MIT
"""Who ends together: units of systemd, and jobs of systems that kill by groups or variables."""

import os
import subprocess

import pytest

from run_support import IMPORT, expect_import, squenv_run, wait_until_nothing_is_left
from support.processes import (
    is_running,
    kill_all,
    mounts_below,
    run,
    status,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("settled")

# Says that it has its mount, waits, and needs something of the mount that it has not read yet.
WAITING = ["python", "-c", "import sys; print(1, flush=True); sys.stdin.read();"
           "import probe; print(probe.VALUE)"]


@pytest.fixture
def settled_at_the_path(work, venv_source):
    """What was killed with its keeper leaves a dead mount, which is the test's own work."""
    yield
    for _ in mounts_below(venv_source):
        run(["umount", "-l", venv_source])
    wait_until_nothing_is_left(work, venv_source)


def started(work, command, **more):
    """A command of WAITING that has its mount."""
    process = work.start(command, stdin=subprocess.PIPE, **more)
    line = process.stdout.readline()
    assert line == b"1\n", process.communicate()
    return process


def answer(process):
    output, errors = process.communicate(timeout=20)
    return process.returncode, output, errors


def as_user(work, *words, group=1000, groups="", **variables):
    """A run with these groups and variables."""
    chosen = ["--groups", groups] if groups else ["--clear-groups"]
    return ["setpriv", "--reuid", "1000", "--regid", str(group), *chosen, "--", "env",
            *(f"{name}={value}" for name, value in variables.items()),
            *work.command(*words, user=False)]


def within(cgroup, command):
    return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" || exit 99; exec "$@"', str(cgroup), *command]


def kill_cgroup(cgroup):
    """As systemd stops a unit: all that is in it."""

    def is_empty():
        members = (cgroup / "cgroup.procs").read_text(encoding="ascii").split()
        pids = [int(pid) for pid in members if is_running(int(pid))]
        kill_all(pids)
        return not pids

    wait_for(is_empty, f"the end of all in {cgroup}")


MANAGER = "user.slice/user-1000.slice/user@1000.service"


# Source: systemd/systemd#23580, skypilot-org/skypilot#10704.
@pytest.mark.parametrize("first, second", [
    ("user.slice/user-1000.slice/a.service", "user.slice/user-1000.slice/b.scope"),
    (f"{MANAGER}/app.slice/a.service", f"{MANAGER}/app.slice/run-r1.scope"),
    (f"{MANAGER}/app.slice/a.service", "user.slice/user-1000.slice/session-1.scope"),
    (f"system.slice/docker-{'a' * 64}.scope", f"system.slice/docker-{'b' * 64}.scope"),
    ("system.slice/htcondor/condor_slot1_1@n", "system.slice/htcondor/condor_slot1_2@n")],
    ids=["unit and scope", "units of the manager", "unit and login", "containers", "slots"])
def test_unit_that_ends_takes_no_mount_of_others(first, second, work, cgroups, venv_image,
                                                 settled_at_the_path):
    one, other = cgroups(first), cgroups(second)
    words = work.command("run", venv_image, "--", *WAITING)
    ended = started(work, within(one, words))
    lasting = started(work, within(other, words))
    kill_cgroup(one)
    ended.wait(20)
    assert answer(lasting)[:2] == (0, b"42\n")


def test_logins_of_a_user_share(work, cgroups, venv_image, venv_source):
    base = "user.slice/user-1000.slice"
    words = work.command("run", "-v", venv_image, "--", *WAITING)
    first = started(work, within(cgroups(f"{base}/session-1.scope"), words))
    second = started(work, within(cgroups(f"{base}/session-2.scope/below"), words))
    assert answer(first)[0] == 0
    code, output, errors = answer(second)
    assert code == 0 and output == b"42\n" and b"joined" in errors
    wait_until_nothing_is_left(work, venv_source)


def test_parts_of_a_unit_share(work, cgroups, venv_image, venv_source):
    unit = f"{MANAGER}/app.slice/a.service"
    words = work.command("run", "-v", venv_image, "--", *WAITING)
    first = started(work, within(cgroups(f"{unit}/one"), words))
    second = started(work, within(cgroups(f"{unit}/two"), words))
    assert answer(first)[0] == 0
    assert b"joined" in answer(second)[2]
    wait_until_nothing_is_left(work, venv_source)


def processes_with_group(group):
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if str(group) in status(pid).get("Groups", "").split()]


# Source: cooperative-computing-lab/cctools#830.
def test_job_that_is_killed_by_its_group(work, venv_image, settled_at_the_path):
    """As Grid Engine does: every job has a group of its own among its supplementary ones."""
    jobs = [started(work, as_user(work, "run", venv_image, "--", *WAITING, groups=group,
                                  JOB_ID=group))
            for group in ["40001", "40002"]]
    kill_all(processes_with_group(40001))
    jobs[0].wait(20)
    assert answer(jobs[1])[:2] == (0, b"42\n")


@pytest.mark.parametrize("one, other", [
    ({"JOB_ID": "1", "SGE_TASK_ID": "1"}, {"JOB_ID": "1", "SGE_TASK_ID": "2"}),
    ({"OAR_JOB_ID": "1"}, {"OAR_JOB_ID": "2"}),
    ({"_CONDOR_SCRATCH_DIR": "/d/1"}, {"_CONDOR_SCRATCH_DIR": "/d/2"}),
    ({"LSB_JOBID": "1", "LSB_JOBINDEX": "1"}, {"LSB_JOBID": "1", "LSB_JOBINDEX": "2"}),
    ({"RUNNER_TRACKING_ID": "github_1"}, {}),
    ({"JENKINS_NODE_COOKIE": "a"}, {"JENKINS_NODE_COOKIE": "b"})], ids=lambda one: "-".join(one))
def test_jobs_do_not_share(one, other, work, venv_image, venv_source):
    first = started(work, as_user(work, "run", venv_image, "--", *WAITING, **one))
    result = run(as_user(work, "run", "-v", venv_image, "--", *IMPORT, **other))
    expect_import(result, venv_source)
    assert "(userns)" in result.stderr, result.stderr
    joined = run(as_user(work, "run", "-v", venv_image, "--", *IMPORT, **one))
    expect_import(joined, venv_source)
    assert "joined" in joined.stderr, joined.stderr
    assert answer(first)[0] == 0
    wait_until_nothing_is_left(work, venv_source)


def test_variables_that_scripts_take_for_themselves(work, venv_image, venv_source):
    first = started(work, as_user(work, "run", venv_image, "--", *WAITING, JOB_ID="1"))
    result = run(as_user(work, "run", "-v", venv_image, "--", *IMPORT, JOB_ID="2"))
    expect_import(result, venv_source)
    assert "joined" in result.stderr, result.stderr
    assert answer(first)[0] == 0
    wait_until_nothing_is_left(work, venv_source)


# Source: hanwen/go-fuse#465, sifiveinc/wake#849.
def test_other_primary_group_has_a_namespace_of_its_own(work, venv_image, venv_source):
    """The kernel refuses a mount to every other group, as of newgrp, sg and jobs of a project; and
    what is made in a namespace belongs to the group that it has."""
    words = ["run", "-v", "--via", "userns", venv_image, "--"]
    first = started(work, as_user(work, *words, *WAITING))
    result = run(as_user(work, *words, *IMPORT, group=34321))
    expect_import(result, venv_source)
    assert "joined" not in result.stderr, result.stderr
    assert run(as_user(work, *words, "id", "-g", group=34321)).stdout == "34321\n"
    assert answer(first)[0] == 0
    wait_until_nothing_is_left(work, venv_source)


@pytest.mark.parametrize("variables, job", [
    ({"JOB_ID": "40001", "SGE_TASK_ID": "undefined"}, "Grid Engine job 40001"),
    ({"PBS_JOBID": "12.server"}, "PBS job 12.server"),
    ({"_CONDOR_SLOT": "slot1"}, "this HTCondor job"),
    ({"BUILDKITE_JOB_ID": "7\x1b[2J"}, r"Buildkite job 7\x1b[2J")],
    ids=["grid engine", "pbs", "condor", "control characters"])
def test_warning_of_mount_names_the_system(variables, job, work, venv_image, venv_source,
                                           monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = work.squenv("mount", venv_image)
    assert result.returncode == 0 and f"the end of {job} kills the daemon" in result.stderr, result
    assert work.squenv("umount", venv_source).returncode == 0
    wait_until_nothing_is_left(work, venv_source)


def test_shared_run_after_a_killed_unit(work, cgroups, venv_image, venv_source,
                                        settled_at_the_path):
    """The dead mount that a unit left is replaced by the next run."""
    unit = cgroups("user.slice/user-1000.slice/a.service")
    ended = started(work, within(unit, work.command("run", venv_image, "--", *WAITING)))
    kill_cgroup(unit)
    ended.wait(20)
    expect_import(squenv_run(work, venv_image, IMPORT), venv_source)


@pytest.mark.parametrize("first_via", ["fusermount", "userns", "extract"])
def test_other_primary_group_never_joins(first_via, work, cache, venv_image, venv_source):
    """Whatever way the first took, the second has the environment, and its own group."""
    if first_via == "extract":
        venv_source.rmdir()
    try:
        first = started(work, as_user(work, "run", "--via", first_via, venv_image, "--", *WAITING))
        result = run(as_user(work, "run", "-v", venv_image, "--", *IMPORT, group=34321))
        expect_import(result, venv_source)
        # An unpacked tree is shared by all groups of its user: no process is joined for it.
        assert first_via == "extract" or "joined" not in result.stderr, result.stderr
        assert answer(first)[0] == 0
        wait_until_nothing_is_left(work, venv_source)
    finally:
        wait_for(lambda: first_via != "extract" or not os.path.lexists(venv_source), "the link")
        if not venv_source.exists():
            venv_source.mkdir()
            os.chown(venv_source, 1000, 1000)
