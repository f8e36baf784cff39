# SPDX-License-Identifier: MIT
"""The recipes of doc/recipes.md, run as they stand there, by an ordinary user."""

import json
import os
import re
import shutil
import subprocess

import pytest

from create_support import Tools, tools  # noqa: F401
from support.processes import AS_USER, check, run, wait_for
from support.recipes import (BLOCK, BLOCKS, DOCUMENT, ROOT, TRAIN, TRAINED, assert_trained,
                             project, run_block, variables)  # noqa: F401
from support.slurm import in_slurm, slurm_of

yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")


def with_tools(work, **more):
    """The variables that the stand-in for uv needs, which is first in PATH."""
    return {"STAND_IN_LOG": os.environ["STAND_IN_LOG"], "TMPDIR": f"{work.path}/tools/tmp", **more,
            "PATH": f"{work.path}/tools/bin:{more['PATH']}"}


def test_every_marked_block_has_a_test():
    tested = {"Docker", "Podman without root", "Kubernetes", "Apptainer", "bubblewrap", "Slurm",
              "MPI", "GitHub", "GitLab", "Jenkins and others", "systemd", "fstab", "autofs",
              "Jupyter", "VS Code", "A project of uv", "A project of pixi"}
    assert set(BLOCKS) == tested


@pytest.mark.parametrize("number", [0, 1])
def test_bubblewrap(number, work, project, venv_source):
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    result = run_block(work, project, BLOCKS["bubblewrap"][number])
    assert_trained(result, venv_source)


@pytest.fixture(scope="module")
def two_nodes(session_dir, binary, programs):
    with slurm_of(session_dir, binary, programs, nodes=["alpha", "beta"]) as environment:
        yield environment


def test_slurm(two_nodes, work, project, venv_source):
    text = BLOCKS["Slurm"][0]
    result = in_slurm(two_nodes, "bash", "-euo", "pipefail", "-c", text, cwd=project,
                      env={**two_nodes, **variables(work, project)})
    assert_trained(result, venv_source, times=2)


def test_slurm_batch_script(two_nodes, work, project, venv_source):
    """With fewer ranks than the script has, because this machine has fewer processors."""
    assert "--ntasks-per-node=32" in BLOCKS["Slurm"][1]
    (project / "job").write_text(BLOCKS["Slurm"][1].replace("-node=32", "-node=2"))
    check([*AS_USER, "sbatch", "--wait", "-o", "output", "job"], cwd=project,
          env={**two_nodes, **variables(work, project)})
    result = run([*AS_USER, "cat", "output"], cwd=project)
    assert_trained(result, venv_source, times=4)


def stand_in(work, name, text):
    """A program of the shell that takes the place of one that is not here."""
    path = work.directory(f"{name}-bin") / name
    path.write_text(f"#!/bin/sh\nset -eu\n{text}", encoding="ascii")
    path.chmod(0o755)
    return f"{path.parent}:{work.programs}:/usr/bin:/bin"


def test_docker(work, project, venv_image):
    """The command of the file in a sandbox that has what the file copies, and no /dev/fuse."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    text = BLOCKS["Docker"][0]
    lines = [line.split(maxsplit=1) for line in text.splitlines()]
    (command,) = [json.loads(rest) for word, rest in lines if word == "CMD"]
    (variable,) = [rest for word, rest in lines if word == "ENV"]
    copied = dict(rest.split() for word, rest in lines if word == "COPY")
    assert copied == {"squenv": "/usr/local/bin/", "env.squashfs": "/opt/"}
    check(work.command("pack", "-q", "-f", "--from-image", venv_image, "--mount-point", "/opt/env",
                       "-o", project / "env.squashfs"))
    box = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/opt",
           "--tmpfs", "/var/tmp", "--tmpfs", "/usr/local/bin"]
    places = {"/app/train.py": f"{project}/train.py"}
    box += ["--ro-bind", work.programs / "squenv", "/usr/local/bin/squenv",
            "--ro-bind", project / "env.squashfs", "/opt/env.squashfs"]
    name, value = variable.split("=")
    result = run([*AS_USER, *box, *(places.get(word, word) for word in command)], cwd=project,
                 env={"PATH": "/usr/local/bin:/usr/bin:/bin", name: value})
    assert_trained(result, "/opt/env")


def test_apptainer(work, project, venv_source):
    """Its first form; the stand-in runs the command where the path that is bound is mounted."""
    path = stand_in(work, "apptainer",
                    '[ "$1 $2 $4" = "exec -B image.sif" ]\ntest -f "$3/pyvenv.cfg"\n'
                    'shift 4\nexec "$@"\n')
    (text,) = BLOCKS["Apptainer"]
    assert_trained(run_block(work, project, text, PATH=path), venv_source)


def test_vs_code(work, project, venv_source):
    """The stand-in does what the editor does: it runs the interpreter that it finds."""
    path = stand_in(work, "code", '[ "$*" = "--wait ." ]\nexec python train.py\n')
    (text,) = BLOCKS["VS Code"]
    assert_trained(run_block(work, project, text, PATH=path), venv_source)


def test_mpi(work, project, venv_source):
    if shutil.which("mpirun") is None:
        pytest.skip("openmpi-bin is not installed")
    (text,) = BLOCKS["MPI"]
    result = run_block(work, project, text, OMPI_MCA_plm_rsh_agent="/bin/false",
                       OMPI_MCA_btl="self,vader")
    assert_trained(result, venv_source, times=2)


@pytest.mark.parametrize("number", [0, 1])
def test_kubernetes(number, work, project, venv_source):
    pod = yaml.safe_load(BLOCKS["Kubernetes"][number])
    (container,) = pod["spec"]["containers"]
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    places = {"/images/env.squashfs": "env.squashfs", "/app/train.py": "train.py"}
    words = [places.get(word, word) for word in container["command"]]
    assert set(places) <= set(container["command"])
    more = {entry["name"]: str(project) + entry["value"] for entry in container.get("env", [])}
    result = run([*AS_USER, *words], cwd=project, env=variables(work, project, **more))
    assert_trained(result, venv_source)
    volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
    assert {mount["name"] for mount in container.get("volumeMounts", [])} == volumes


def test_jenkins_with_an_image(work, project, venv_source):
    assert_trained(run_block(work, project, BLOCKS["Jenkins and others"][1]), venv_source)


@pytest.fixture
def checkout(work, project, monkeypatch):
    """The project with the action in it, and a stand-in for uv."""
    shutil.copytree(ROOT / "tools/action", project / "tools/action")
    shutil.copy(ROOT / "tools/install", project / "tools/install")
    (project / "requirements.txt").write_text("tiny\n")
    (project / "train.py").write_text(f"import sys; print('{TRAINED}', 42, sys.prefix)\n")
    (project / "pytest.py").write_text("exec(open('train.py').read())\n")
    check(["chown", "-R", "1000:1000", project])
    tools = Tools(work.directory("tools"))
    tools.install("uv")
    monkeypatch.setenv("STAND_IN_LOG", str(tools.log))
    return project


@pytest.fixture
def download(work, checkout, served):
    """The address of a release with a stand-in of the program."""
    release = work.directory("release", user=False)
    stand_in = work.path / "stand-in"
    stand_in.write_text(f'#!/bin/sh\nexec {work.programs}/squenv "$@"\n')
    check([ROOT / "tools/release", "--binary", stand_in, "--dist", release, "static"],
          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return served(release)


def test_gitlab(work, checkout, download):
    job = yaml.safe_load(BLOCKS["GitLab"][0])["test"]
    more = with_tools(work, **job["variables"], PATH="/usr/bin:/bin")
    more["SQUENV_CI_FROM"] = download
    result = run_block(work, checkout, "\n".join(job["script"]) + "\nsquenv umount .venv", **more)
    assert_trained(result, checkout / ".venv")
    (kept,) = (checkout / job["cache"]["paths"][0]).iterdir()
    assert kept.suffix == ".squashfs"


def test_jenkins(work, checkout):
    for _ in range(2):  # the second job finds the image
        result = run_block(work, checkout, BLOCKS["Jenkins and others"][0],
                           **with_tools(work, PATH=variables(work, checkout)["PATH"]))
        assert_trained(result, checkout / ".venv")
    assert "is there" in result.stderr


def test_github_names_inputs_of_the_action():
    job = yaml.safe_load(BLOCKS["GitHub"][0])["jobs"]["test"]
    (step,) = [step for step in job["steps"] if step.get("uses") == "./tools/action"]
    assert re.fullmatch(r"\$\{\{ vars\.\w+ \}\}", step["with"]["from"])
    action = yaml.safe_load((ROOT / "tools/action/action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])
    needed = {name for name, about in action["inputs"].items() if about.get("required")}
    assert needed <= set(step["with"])


def unit(number, work, project):
    """The text of a unit, with the paths of this test."""
    places = {"/usr/bin/squenv": f"{work.programs}/squenv", "%h/.local/bin/squenv":
              f"{work.programs}/squenv", "/srv/images/env.squashfs": f"{project}/env.squashfs",
              "/srv/app/train.py": f"{project}/train.py", "%h": str(project), "=train\n": "=root\n"}
    text = BLOCKS["systemd"][number]
    for old, new in places.items():
        text = text.replace(old, new)
    return text


def setting(text, name):
    return re.search(rf"^{name}=(.*)$", text, re.MULTILINE)[1]


@pytest.mark.parametrize("number", [0, 1])
def test_systemd_accepts_the_unit(number, work, project):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    path = project / "recipe.service"
    path.write_text(unit(number, work, project))
    result = run(["systemd-analyze", "verify", "--man=no", path])
    about = [line for line in result.stderr.splitlines() if "recipe.service" in line]
    assert not about, result.stderr


def test_systemd_service(work, project, venv_source):
    command = setting(unit(0, work, project), "ExecStart").split()
    result = run([*AS_USER, *command], cwd="/", env=variables(work, project))
    assert_trained(result, venv_source)


def test_systemd_user_service(work, project):
    text = unit(1, work, project)
    (project / "env").mkdir()
    os.chown(project / "env", 1000, 1000)
    # Of a virtual environment, only another path than its own would need an option.
    check(["mksquashfs", project / "train.py", project / "env.squashfs", "-noappend", "-quiet"])
    service = work.start([*AS_USER, *setting(text, "ExecStart").split()],
                         env=variables(work, project))
    wait_for(lambda: run([*AS_USER, "cat", project / "env/train.py"]).stdout == TRAIN, "the mount")
    check([*AS_USER, *setting(text, "ExecStop").split()], env=variables(work, project))
    assert service.wait(timeout=20) == 0


def helper_in_sbin(work, over):
    """Commands that put mount.squenv into /sbin of their mount namespace."""
    return f"""mount -t tmpfs none {over}
        mkdir {over}/up {over}/work
        mount -t overlay -o lowerdir=/usr/sbin,upperdir={over}/up,workdir={over}/work none \
            /usr/sbin
        ln -s {work.programs}/squenv /usr/sbin/mount.squenv"""


def test_fstab(work, project):
    """mount -a of the line, with the helper in /sbin of a mount namespace."""
    (line,) = BLOCKS["fstab"]
    at = work.directory("opt-env")
    line = line.replace("/srv/images", str(project)).replace("/opt/env", str(at))
    (work.path / "fstab").write_text(line)
    over = work.directory("over", user=False)
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-ec", f"""
        {helper_in_sbin(work, over)}
        mount -a -T {work.path}/fstab
        ls {at}
        umount {at}"""])
    assert result.returncode == 0, result.stderr
    assert "pyvenv.cfg" in result.stdout


def test_autofs(work, project):
    """automount with both maps, and mount.squenv in /sbin, in a mount namespace. It serves no
    process of its own group, and one at a time can run on a machine."""
    if shutil.which("automount") is None:
        pytest.skip("autofs is not installed")
    if run(["pgrep", "-x", "automount"]).returncode == 0:
        pytest.skip("an automount of this machine is running")
    maps = work.directory("maps", user=False)
    at = work.directory("on-demand", user=False)
    master, squenv = (text.replace("/srv/images", str(project)).replace("/etc/", f"{maps}/")
                      .replace("/env ", f"{at} ") for text in BLOCKS["autofs"])
    (maps / "auto.master").write_text(master)
    (maps / "auto.squenv").write_text(squenv)
    over = work.directory("over", user=False)
    result = run(["unshare", "-m", "--propagation", "private", "sh", "-ec", f"""
        {helper_in_sbin(work, over)}
        setsid automount -f -p {maps}/pid {maps}/auto.master > {maps}/log 2>&1 &
        trap 'umount {at}/env; kill $!; wait $! || true' EXIT
        for step in $(seq 100); do
            ! grep -q ' {at} autofs ' /proc/self/mounts || break
            sleep 0.05
        done
        ls {at}/env || {{ cat {maps}/log >&2; exit 1; }}"""])
    assert result.returncode == 0, result.stderr
    assert "pyvenv.cfg" in result.stdout, result.stderr


def test_jupyter(work, project, venv_source):
    kernel = json.loads(BLOCKS["Jupyter"][0])
    (project / "ipykernel_launcher.py").write_text(TRAIN + "assert sys.argv[1:] == ['-f', 'c']\n")
    words = [word.replace("{connection_file}", "c") for word in kernel["argv"]]
    result = run([*AS_USER, *words], cwd=project, env=variables(work, project))
    assert_trained(result, venv_source)


def test_project_of_uv(work, project, tools):
    """The stand-in makes an environment; 'uv run' of it starts the program, as it does without a
    project."""
    tools.install("uv")
    (tools.directory / "bin/uv").rename(tools.directory / "bin/make")
    path = stand_in(work, "uv", f'[ "$1" = run ] || exec {tools.directory}/bin/make "$@"\n'
                    '[ "$2" = --no-sync ]\nshift 2\nexec "$@"\n')
    (project / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\n')
    (project / "uv.lock").write_text("version = 1\n")
    (project / "train.py").write_text(
        "import sys\nfrom importlib.metadata import version\nassert version('tiny') == '1.0'\n"
        f"print('{TRAINED}', 42, sys.prefix)\n")
    more = tools.variables(PATH=path)
    result = run_block(work, project, BLOCKS["A project of uv"][0], **more)
    assert_trained(result, project / ".venv")


def test_project_of_pixi(work, project):
    """What 'pixi install' leaves: a tree as conda's."""
    tree = project / ".pixi/envs/default"
    (tree / "conda-meta").mkdir(parents=True)
    (tree / "conda-meta/history").touch()
    (tree / "bin").mkdir()
    (tree / "bin/python").write_text('#!/bin/sh\nexec /usr/bin/python3 "$@"\n')
    (tree / "bin/python").chmod(0o755)
    (project / "train.py").write_text(
        f"import os; print('{TRAINED}', 42, os.environ['CONDA_PREFIX'])\n")
    check(["chown", "-R", "1000:1000", project])
    (text,) = BLOCKS["A project of pixi"]
    assert_trained(run_block(work, project, text), tree)


def test_uv_packs_an_existing_environment(work, project):
    text = BLOCKS["A project of uv"][1]
    tree = project / ".venv"
    check([*AS_USER, "/usr/bin/python3", "-m", "venv", "--without-pip", tree])
    (next(tree.glob("lib/python3*/site-packages")) / "probe.py").write_text("VALUE = 42\n")
    assert_trained(run_block(work, project, text), tree)


def test_blocks_of_the_shell_are_understood():
    """Also those that need what this machine has not."""
    for match in BLOCK.finditer(DOCUMENT):
        if match["word"] == "sh":
            subprocess.run(["bash", "-n"], input=match["text"], text=True, check=True)
