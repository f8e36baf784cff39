# SPDX-License-Identifier: MIT
"""The plugin for Slurm on several nodes, which are on this machine, and with control groups."""

import contextlib
import os
import re
from pathlib import Path

import pytest

from run_support import PROCESSES, background, daemon_name, wait_until_nothing_is_left
from support.processes import AS_USER, mounts_below, wait_for
from support.slurm import Tasks, in_slurm, plugin_of, slurm_of

NODES = ["alpha", "beta"]
FREEZER = Path("/sys/fs/cgroup/freezer")
UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")


@pytest.fixture(autouse=True)
def plugin(binary):
    if not plugin_of(binary).exists():
        pytest.skip("the plugin is not built (libslurm-dev, meson option spank)")


@pytest.fixture(scope="module")
def two_nodes(session_dir, binary, programs):
    with slurm_of(session_dir, binary, programs, nodes=NODES) as environment:
        yield environment


@pytest.fixture
def eight(work):
    with contextlib.closing(Tasks(work, 8)) as tasks:
        yield tasks


def start(work, slurm, tasks, image, read, *options):
    """Eight tasks that wait, then run `read`."""
    return work.start([*AS_USER, "srun", "-n", "8", "-J", "victim", "-K0", f"--squenv={image}",
                       *options, "sh", "-c", f"{tasks.wait}; {read}"], env=slurm)


def test_each_node_has_a_daemon(two_nodes, work, eight, venv_image, venv_source):
    """One task of one node is killed; all others read the image afterwards."""
    process = start(work, two_nodes, eight, venv_image,
                    f"cat {venv_source}/lib/python3*/site-packages/probe.py; "
                    "echo on $SLURMD_NODENAME", "-N2", "--ntasks-per-node=4")
    eight.wait_for_all()
    wait_for(lambda: sorted(map(daemon_name, background(work))) ==
             sorted(PROCESSES * 2), "a daemon and its keeper on each node")
    os.kill(eight.pid(0), 9)
    eight.go()
    output, errors = process.communicate(timeout=60)
    text = output.decode()
    assert text.count("VALUE = 42") == 7, errors
    assert (text.count("on alpha\n"), text.count("on beta\n")) == (3, 4)
    assert process.returncode != 0
    wait_until_nothing_is_left(work, venv_source)


def test_a_step_that_is_cancelled_on_two_nodes(two_nodes, work, eight, venv_image, venv_source):
    process = start(work, two_nodes, eight, venv_image, "true", "-N2")
    eight.wait_for_all()
    assert in_slurm(two_nodes, "scancel", "-n", "victim").returncode == 0
    assert process.wait(60) != 0
    wait_until_nothing_is_left(work, venv_source)


def test_a_job_of_two_kinds_of_nodes(two_nodes, work, venv_image, venv_source):
    """The image of a heterogeneous job is that of all its parts."""
    look = ["python", "-c", "import probe; print(probe.VALUE)"]
    result = in_slurm(two_nodes, "srun", "-w", "alpha", "-n2", f"--squenv={venv_image}", *look,
                      ":", "-w", "beta", "-n1", f"--squenv={venv_image}", *look)
    assert (result.returncode, result.stdout) == (0, "42\n" * 3), result.stderr
    wait_until_nothing_is_left(work, venv_source)


@pytest.fixture(scope="module")
def with_groups(session_dir, binary, programs):
    """Slurm finds and kills the processes of a step by their control group."""
    if not (os.access(FREEZER, os.W_OK) or os.access(UNIFIED.parent / "cgroup.procs", os.W_OK)):
        pytest.skip("no control groups that can be changed")
    before = set(FREEZER.glob("slurm*"))
    with slurm_of(session_dir, binary, programs, tracking="cgroup") as environment:
        probe = in_slurm(environment, "srun", "cat", "/proc/self/cgroup")
        if not re.search(r"/job_\d+/step_", probe.stdout):
            pytest.skip(f"Slurm makes no control groups here: {probe.stderr}")
        yield environment
    for top in set(FREEZER.glob("slurm*")) - before:
        for directory, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_the_group_of_a_step_ends_with_its_daemon(signal, with_groups, work, eight, venv_image,
                                                  venv_source):
    process = start(work, with_groups, eight, venv_image, "true")
    eight.wait_for_all()
    group = Path(f"/proc/{eight.pid(0)}/cgroup").read_text(encoding="ascii")
    step = re.search(r"/job_\d+/step_\d+", group)[0]
    for pid in background(work):
        assert step in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
    assert mounts_below(venv_source)
    assert in_slurm(with_groups, "scancel", "-s", signal, "-n", "victim").returncode == 0
    assert process.wait(60) != 0
    wait_until_nothing_is_left(work, venv_source)
