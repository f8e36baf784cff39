# SPDX-License-Identifier: MIT
"""Ranks and job steps: Open MPI over shared memory, and a real Slurm of one node."""

import os
import shutil
import time

import pytest

from run_support import wait_until_nothing_is_left
from support.processes import AS_USER, check, mounts_below, run, wait_for
from support.slurm import in_slurm

RANKS = r"""
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Every rank sends 4 MiB to its neighbour: beyond what is sent through a queue, so one process
   copies from the other's memory. Then all write into one shared window. */
int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, size;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    const int bytes = 4 << 20;
    char *out = malloc(bytes), *in = malloc(bytes);
    memset(out, rank + 1, bytes);
    MPI_Sendrecv(out, bytes, MPI_CHAR, (rank + 1) % size, 0, in, bytes, MPI_CHAR,
                 (rank + size - 1) % size, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    int right = in[0] == (rank + size - 1) % size + 1 && in[bytes - 1] == in[0];
    MPI_Comm node;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    int on_node;
    MPI_Comm_size(node, &on_node);
    int *mine, sum = 0;
    MPI_Win window;
    MPI_Win_allocate_shared(sizeof(int), sizeof(int), MPI_INFO_NULL, node, &mine, &window);
    MPI_Win_fence(0, window);
    *mine = rank;
    MPI_Win_fence(0, window);
    for (int other = 0; other < on_node; ++other) {
        MPI_Aint length; int unit, *theirs;
        MPI_Win_shared_query(window, other, &length, &unit, &theirs);
        sum += *theirs;
    }
    if (on_node != size || sum != size * (size - 1) / 2) right = 0;
    int all = 0;
    MPI_Reduce(&right, &all, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) printf("right: %d of %d\n", all, size);
    MPI_Win_free(&window);
    MPI_Finalize();
    return 0;
}
"""


@pytest.fixture(scope="module")
def ranks_program(session_dir):
    if shutil.which("mpicc") is None:
        pytest.skip("mpicc is not installed (libopenmpi-dev)")
    source = session_dir / "ranks.c"
    source.write_text(RANKS, encoding="ascii")
    check(["mpicc", "-O1", "-o", session_dir / "ranks", source])
    return session_dir / "ranks"


@pytest.mark.parametrize("via", ["fusermount", "userns"])
def test_mpi_ranks_share_a_daemon_and_memory(via, work, ranks_program, venv_image, venv_source,
                                              monkeypatch):
    monkeypatch.setenv("HOME", str(work.directory("user-home")))
    monkeypatch.setenv("TMPDIR", "/tmp")
    script = (f"python -c 'import probe; assert probe.VALUE == 42' && "
              f"exec {ranks_program}")
    words = ["mpirun", "--oversubscribe", "-n", "8", "--mca", "btl", "self,vader", "--mca",
             "btl_vader_single_copy_mechanism", "cma", "--mca", "plm", "isolated", work.programs /
             "squenv", "run", "-v", "--via", via, venv_image, "--", "sh", "-c", script]
    result = run([*AS_USER, *words], timeout=100)
    assert result.returncode == 0 and "right: 8 of 8" in result.stdout, result
    joined = result.stderr.count(f"({via}, joined)")
    assert joined == 7 and result.stderr.count(f"({via})") == 1, result.stderr
    wait_until_nothing_is_left(work, venv_source)


# Slurm


# Says that the task is there, and waits for what another one says.
MARKS = """
import os, time
def say(mark):
    open(mark, "w").close()
def hear(*marks):
    while not all(map(os.path.exists, marks)): time.sleep(0.05)
task = os.environ["SLURM_PROCID"]
"""


def test_tasks_of_a_step_share_a_daemon(slurm, work, venv_image, venv_source):
    """All of them at once."""
    marks = work.directory("marks")
    script = MARKS + (f"say('{marks}/' + task)\nhear(*(f'{marks}/{{n}}' for n in range(8)))\n"
                      "import probe; print(probe.VALUE)")
    result = in_slurm(slurm, "srun", "-n", "8", work.programs / "squenv", "run", "-v", venv_image,
                      "--", "python", "-c", script, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "42\n" * 8
    assert result.stderr.count("joined)") == 7, result.stderr
    wait_until_nothing_is_left(work, venv_source)


def test_a_step_that_ends_takes_nothing_from_another(slurm, work, venv_image, venv_source):
    """Two steps of one job at once, with the same image at the same path; the first ends first."""
    squenv = work.programs / "squenv"
    marks = work.directory("marks")
    script = work.path / "job.sh"
    script.write_text(f"""#!/bin/sh
(srun --overlap -n 2 {squenv} run {venv_image} -- python -c '{MARKS}
say("{marks}/first" + task)
hear("{marks}/second0", "{marks}/second1")'
touch {marks}/end) &
while [ ! -e {marks}/first1 ]; do sleep 0.1; done
srun --overlap -n 2 {squenv} run -v {venv_image} -- python -c '{MARKS}
say("{marks}/second" + task)
hear("{marks}/end")
time.sleep(1)
import json, decimal, probe, sys
os.listdir(sys.prefix)
print("second", probe.VALUE)'
wait
""", encoding="ascii")
    script.chmod(0o755)
    result = in_slurm(slurm, "sbatch", "--wait", "-n", "4", "-o", marks / "out", script,
                      timeout=100)
    output = (marks / "out").read_text()
    assert result.returncode == 0, output
    assert output.count("second 42") == 2, output
    assert "(userns" in output, output
    wait_until_nothing_is_left(work, venv_source)


def test_cancelled_job_leaves_nothing(slurm, work, venv_image, venv_source):
    process = work.start([*AS_USER, "srun", "-n", "4", "-J", "victim",
                          os.fspath(work.programs / "squenv"), "run", os.fspath(venv_image), "--",
                          "sleep", "1000"], env=slurm)
    wait_for(lambda: mounts_below(venv_source), "the mount")
    time.sleep(0.5)
    assert in_slurm(slurm, "scancel", "-n", "victim").returncode == 0
    assert process.wait(60) != 0
    wait_until_nothing_is_left(work, venv_source)
