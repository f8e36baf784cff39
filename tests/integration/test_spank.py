# SPDX-License-Identifier: MIT
"""The plugin for Slurm, in a real Slurm of one node."""

import os
import re
import shutil

import pytest

from run_support import PROCESSES, background, daemon_name, wait_until_nothing_is_left
from support.processes import AS_USER, mounts_below, status, wait_for
from support.slurm import Tasks, in_slurm, plugin_of
from support.uenvs import Repository, env_json, make_image

PROBE = ["python", "-c", "import probe, sys; print(probe.VALUE, sys.prefix)"]


@pytest.fixture(autouse=True)
def plugin(binary):
    if not plugin_of(binary).exists():
        pytest.skip("the plugin is not built (libslurm-dev, meson option spank)")


@pytest.fixture
def clean(work, venv_source):
    """Nothing of a job outlives it."""
    yield
    wait_until_nothing_is_left(work, venv_source)


def script(work, text, name="job.sh"):
    path = work.path / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def batch(slurm, work, text, *options, **more):
    """Runs `text` as a batch job to its end. Its states, and what it wrote by array index."""
    output = work.directory("output")
    result = in_slurm(slurm, "sbatch", "--parsable", "-o", output / "%a", *options,
                      script(work, text), **more)
    assert result.returncode == 0, result.stderr
    ends = wait_for_end(slurm, result.stdout.strip())
    return ends, {file.name: file.read_text() for file in sorted(output.iterdir())}


def states(slurm, job):
    """Of a job, or of all jobs of an array."""
    result = in_slurm(slurm, "scontrol", "show", "job", job)
    return set(re.findall(r"JobState=(\w+)", result.stdout))


def wait_for_end(slurm, job):
    """The states of a job that has ended."""
    def ends():
        found = states(slurm, job)  # none when the controller does not answer
        return found if found <= {"COMPLETED", "FAILED"} else None

    return wait_for(ends, "the end of the job", deadline=60)


@pytest.fixture
def tasks(work):
    """tasks(count): see Tasks."""
    made = []

    def make(count):
        made.append(Tasks(work, count))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_tasks_have_the_image(slurm, venv_image, venv_source, clean):
    result = in_slurm(slurm, "srun", "-n", "4", f"--squenv={venv_image}", *PROBE)
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == (f"42 {venv_source}\n" * 4, "")


def test_a_path_that_cannot_be_made_is_in_a_namespace(slurm, work, plain_image, plain_tree):
    """The user cannot create the path. The task keeps its number, user and directory, and gets no
    capability."""
    place = "/squenv-no-such-directory/tree"
    tell = f"ls {place}; id -u; pwd; grep CapEff /proc/self/status; echo $$ $SLURM_TASK_PID"
    result = in_slurm(slurm, "srun", f"--squenv={plain_image}:{place}", "sh", "-c", tell,
                      cwd=work.path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    names = sorted(os.listdir(plain_tree))
    assert sorted(lines[:len(names)]) == names
    user, directory, capabilities, numbers = lines[len(names):]
    assert (user, directory) == ("1000", str(work.path))
    assert int(capabilities.split()[1], 16) == 0
    assert len(set(numbers.split())) == 1, "the process that Slurm knows runs the program"
    wait_for(lambda: not background(work), "the end of all processes")


def test_64_ranks_have_one_daemon(slurm, work, tasks, venv_image, venv_source, clean):
    """One of them is killed; the others read the image afterwards."""
    ranks = tasks(64)
    read = f"cat {venv_source}/lib/python3*/site-packages/probe.py"
    process = work.start([*AS_USER, "srun", "-n", "64", "-K0", f"--squenv={venv_image}", "sh", "-c",
                          f"{ranks.wait}; {read}"], env=slurm)
    ranks.wait_for_all()
    # A process that asked the daemon may just be ending.
    wait_for(lambda: sorted(map(daemon_name, background(work))) == PROCESSES,
             "one daemon and its keeper")
    assert status(ranks.pid(5))["Uid"].split()[0] == "1000"
    os.kill(ranks.pid(5), 9)
    ranks.go()
    output, errors = process.communicate(timeout=60)
    assert output.decode().count("VALUE = 42") == 63, errors
    assert process.returncode != 0


def test_a_task_that_closes_everything_keeps_its_image(slurm, venv_image, venv_source, clean):
    """Slurm's own process of the task is the member, by its number."""
    program = ("import os, time; os.closerange(3, 4096); time.sleep(1); "
               f"print(len(os.listdir('{venv_source}')) > 2)")
    result = in_slurm(slurm, "srun", f"--squenv={venv_image}", "env", "-i", "/usr/bin/python3",
                      "-c", program)
    assert result.stdout == "True\n", result.stderr


def test_batch_script_and_its_steps(slurm, work, venv_image, venv_source, clean):
    """The image is named relative to where sbatch runs. Two steps at once, elsewhere."""
    text = f"""
python -c 'import probe; print("script", probe.VALUE)'
cd /
srun --overlap -n 2 python -c 'import probe, time; time.sleep(0.3); print("first", probe.VALUE)' &
srun --overlap -n 2 python -c 'import probe, time; time.sleep(1); print("second", probe.VALUE)'
wait
srun -n1 sh -c 'echo path $PATH'
srun -n1 --squenv=none sh -c 'echo none: $SLURM_SQUENV'
"""
    ends, output = batch(slurm, work, text, "-n4", f"--squenv={venv_image.name}",
                         cwd=venv_image.parent)
    text = "".join(output.values())
    assert ends == {"COMPLETED"}, text
    assert text.count("script 42\n") == 1, text
    assert text.count("first 42\n") == 2, text
    assert text.count("second 42\n") == 2, text
    path = re.search("^path (.*)$", text, re.MULTILINE)[1]
    assert path.split(":").count(f"{venv_source}/bin") == 1, path
    assert text.endswith("none:\n"), text


def test_batch_script_in_a_namespace_starts_steps(slurm, work, plain_image, plain_tree):
    place = "/squenv-no-such-directory/tree"
    look = f"ls {place} | wc -l"
    ends, output = batch(slurm, work, f"{look}; srun -n2 sh -c '{look}'", "-n2",
                         f"--squenv={plain_image}:{place}")
    assert ends == {"COMPLETED"}
    assert list(output.values()) == [f"{len(os.listdir(plain_tree))}\n" * 3]


def test_array(slurm, work, venv_image, venv_source, clean):
    ends, output = batch(slurm, work, 'python -c "import probe; print(probe.VALUE)"',
                         "--array=0-2", env={**slurm, "SBATCH_SQUENV": str(venv_image)})
    assert ends == {"COMPLETED"}
    assert output == {"0": "42\n", "1": "42\n", "2": "42\n"}


def test_allocation_and_two_steps(slurm, work, venv_image, venv_source, clean):
    """The shell of salloc is on the submit host and has no image; its steps have."""
    inner = script(work, f"""
ls {venv_source} | wc -l
echo "${{VIRTUAL_ENV:-not active}}"
srun -n 2 python -c 'import probe; print(probe.VALUE)'
srun -n 1 --squenv-activate=none --squenv={venv_image} sh -c \
    'echo "${{VIRTUAL_ENV:-not active}}"; {venv_source}/bin/python -c "import probe"'
""")
    result = in_slurm(slurm, "salloc", "-Q", "-n2", inner,
                      env={**slurm, "SALLOC_SQUENV": str(venv_image)})
    assert result.returncode == 0, result.stderr
    assert result.stdout == "0\nnot active\n42\n42\nnot active\n", result.stderr


def test_nested_steps(slurm, work, venv_image, venv_source, clean):
    """A task starts a step, which has the image too, by a mount of its own."""
    inner = f"srun --overlap -n 1 {' '.join(map(repr, PROBE))}"
    result = in_slurm(slurm, "salloc", "-Q", "-n2", "srun", "-n1", f"--squenv={venv_image}", "sh",
                      "-c", f"python -c 'import probe; print(probe.VALUE)'; {inner}")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"42\n42 {venv_source}\n"


def test_cancelled_job_leaves_nothing(slurm, work, tasks, venv_image, venv_source, clean):
    four = tasks(4)
    process = work.start([*AS_USER, "srun", "-n", "4", "-J", "victim", f"--squenv={venv_image}",
                          "sh", "-c", four.wait], env=slurm)
    four.wait_for_all()
    assert mounts_below(venv_source)
    assert in_slurm(slurm, "scancel", "-n", "victim").returncode == 0
    assert process.wait(60) != 0


def test_a_label_and_its_views(slurm, work):
    """The uenv has the name of its label on the node too, and in a step within the step."""
    at = work.directory("user-environment")
    image = make_image(work.path / "prgenv.squashfs", at, env_json(at))
    Repository(work.path / "repository").add("prgenv-gnu/24.11:v1@s%u", image)
    image.unlink()
    shown = "which-view; echo $UENV_VIEW; cd /; "
    result = in_slurm(slurm, "salloc", "-Q", "-n2", "srun", "-n1",
                      "--squenv=prgenv-gnu/24.11:v1", "--squenv-view=prgenv-gnu:default", "sh",
                      "-c", f"{shown} unset UENV_REPO_PATH; srun --overlap -n1 sh -c '{shown}'",
                      env={**slurm, "UENV_REPO_PATH": str(work.path / "repository")})
    assert result.returncode == 0, result.stderr
    lines = [f"default {at}", f"{at}:prgenv-gnu:default"]
    assert [line.strip() for line in result.stdout.splitlines()] == lines * 2
    plain = in_slurm(slurm, "srun", f"--squenv={next(work.path.glob('repository/images/*/*'))}",
                     "sh", "-c", "echo $SLURM_SQUENV_NAMES.$UENV_VIEW")
    assert plain.stdout == ".\n", plain.stderr


@pytest.mark.parametrize("client, prefix", [("srun", "SLURM"), ("salloc", "SALLOC"),
                                             ("sbatch", "SBATCH")])
def test_views_of_variables(client, prefix, slurm, work):
    """Also of the variables of one kind of client. An option for the images leaves them out."""
    at = work.directory("user-environment")
    image = make_image(work.path / "prgenv.squashfs", at, env_json(at))
    variables = {**slurm, f"{prefix}_SQUENV": str(image), f"{prefix}_SQUENV_VIEW": "tools"}
    show = "which-view; echo ${UENV_VIEW:-none}"
    if client == "sbatch":
        _, output = batch(slurm, work, show, env=variables)
        text = "".join(output.values())
    else:
        inner = script(work, show)
        words = ["salloc", "-Q", "srun", inner] if client == "salloc" else ["srun", inner]
        text = in_slurm(slurm, *words, env=variables).stdout
    assert text.split() == ["tools", str(at), f"{at}:prgenv:tools"]
    if client == "srun":
        result = in_slurm(slurm, "srun", f"--squenv={image}", "sh", "-c", show, env=variables)
        assert result.stdout == "none\n", result.stderr


# Errors


def jobs(slurm):
    """The numbers of all jobs that were ever submitted and are remembered."""
    result = in_slurm(slurm, "scontrol", "-o", "show", "jobs")
    return set(re.findall(r"^JobId=(\d+)", result.stdout, re.MULTILINE))


@pytest.mark.parametrize("client", ["srun", "sbatch", "salloc"])
@pytest.mark.parametrize("options, reason", [
    (["--squenv=/no/such/image.squashfs"], "/no/such/image.squashfs: No such file"),
    (["--squenv=/etc/passwd"], "/etc/passwd: "),
    (["--squenv-view=default"], "--squenv-view: of no image; add --squenv=IMAGE"),
    (["--squenv={image}", "--squenv-activate=perhaps"], "write auto or none"),
])
def test_mistakes_end_before_a_job_is_queued(client, options, reason, slurm, work, venv_image):
    before = jobs(slurm)
    result = in_slurm(slurm, client, *[word.format(image=venv_image) for word in options],
                      script(work, "echo it ran"))
    assert result.returncode != 0 and "it ran" not in result.stdout
    assert reason in result.stderr
    assert jobs(slurm) <= before  # the controller forgets old ones


def test_views_of_an_image_without_any(slurm, venv_image):
    result = in_slurm(slurm, "srun", f"--squenv={venv_image}", "--squenv-view=modules", "true")
    assert result.returncode == 1, result.stderr
    assert "view 'modules' does not exist" in result.stderr, result.stderr


def test_image_that_the_node_does_not_have(slurm, work, venv_image):
    """It went away while the job waited. The message is in the output of the job."""
    image = work.path / "short-lived.squashfs"
    shutil.copy(venv_image, image)
    output = work.directory("output") / "out"
    result = in_slurm(slurm, "sbatch", "-H", "--parsable", "-o", output, f"--squenv={image}",
                      script(work, "echo it ran"))
    job = result.stdout.strip()
    image.unlink()
    assert in_slurm(slurm, "scontrol", "release", job).returncode == 0
    assert wait_for_end(slurm, job) == {"FAILED"}
    host = os.uname().nodename.split(".")[0]
    text = output.read_text()
    assert f"squenv on {host}: {image}: No such file or directory" in text
    assert "it ran" not in text
    assert "ExitCode=125:0" in in_slurm(slurm, "scontrol", "show", "job", job).stdout


def test_a_job_without_options_does_not_ask_the_program(slurm, work, venv_source):
    result = in_slurm(slurm, "srun", "sh", "-c", "env | grep -c 'SLURM_SQUENV\\|SQUENV_M'")
    assert result.stdout == "0\n", result.stderr
