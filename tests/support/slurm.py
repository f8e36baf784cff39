# SPDX-License-Identifier: MIT
"""A Slurm for the tests: slurmctld, munged, the plugin of the build and a slurmd for each node.
All are on this machine."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.processes import AS_USER, check, run, wait_for
from support.session import build_of

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={path}/munge/socket
CredType=cred/munge
StateSaveLocation={path}/state
SlurmdSpoolDir={path}/spool-%n
SlurmctldPidFile={path}/slurmctld.pid
SlurmdPidFile={path}/slurmd-%n.pid
SlurmctldLogFile={path}/slurmctld.log
SlurmdLogFile={path}/slurmd-%n.log
ProctrackType=proctrack/{tracking}
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=1
ReturnToService=2
KillWait=2
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
SlurmdParameters=config_overrides
PlugStackConfig={path}/plugstack.conf
"""


NODE = """\
NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64 Boards=1 \
SocketsPerBoard=1 CoresPerSocket=64 ThreadsPerCore=1 State=UNKNOWN
"""


@pytest.fixture(scope="module")
def slurm(session_dir, binary, programs):
    """slurmctld and slurmd of the tests alone; yields the environment that their clients need."""
    with slurm_of(session_dir, binary, programs) as environment:
        yield environment


@contextlib.contextmanager
def slurm_of(session_dir, binary, programs, **options):
    """See start_slurm() for the options."""
    for tool in ["slurmctld", "slurmd", "munged", "srun"]:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (slurmctld, slurmd, slurm-client, munge)")
    with contextlib.ExitStack() as stack:
        ensure_account(stack)
        path = Path(tempfile.mkdtemp(prefix="slurm-", dir=session_dir))
        path.chmod(0o755)
        write_plugstack(path, binary, programs)
        yield start_slurm(path, stack, **options)


def plugin_of(binary):
    return build_of(binary) / "src" / "spank" / "spank_squenv.so"


def write_plugstack(path, binary, programs):
    """The plugin, if it was built; the user, whose clients load it, may not see the build."""
    line = ""
    if plugin_of(binary).exists():
        shutil.copy(plugin_of(binary), path)
        line = f"optional {path}/spank_squenv.so program={programs}/squenv\n"
    (path / "plugstack.conf").write_text(line, encoding="ascii")


def ensure_account(stack):
    """Slurm runs nothing for a uid without a name."""
    try:
        pwd.getpwuid(1000)
    except KeyError:
        check(["useradd", "-M", "-u", "1000", "squenv-test"])
        stack.callback(run, ["userdel", "squenv-test"])


def start_slurm(path, stack, nodes=(), tracking="linuxproc"):
    """`nodes` are names; without them there is one, called as the machine. `tracking` is how slurmd
    finds the processes of a step."""
    for name in ["state", "munge"]:
        (path / name).mkdir(parents=True)
    shutil.chown(path / "munge", "munge", "munge")
    key = path / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    shutil.chown(key, "munge", "munge")
    host = socket.gethostname().split(".")[0]
    nodes = nodes or [host]
    ports = free_ports(1 + len(nodes))
    text = CONFIGURATION.format(path=path, host=host, ports=ports, tracking=tracking)
    for name, port in zip(nodes, ports[1:]):
        (path / f"spool-{name}").mkdir()
        text += NODE.format(name=name, host=host, port=port)
    (path / "slurm.conf").write_text(text, encoding="ascii")
    (path / "cgroup.conf").write_text("CgroupAutomount=no\n", encoding="ascii")
    environment = {**os.environ, "SLURM_CONF": str(path / "slurm.conf"),
                   "PMIX_MCA_gds": "hash"}
    munge = path / "munge"
    run_daemon(stack, ["setpriv", "--reuid", "munge", "--regid", "munge", "--clear-groups", "--",
                       "/usr/sbin/munged", "-F", "--key-file", key, "--socket", munge / "socket",
                       "--pid-file", munge / "pid", "--log-file", munge / "log",
                       "--seed-file", munge / "seed"], environment)
    munge.chmod(0o755)
    wait_for((munge / "socket").exists, "munged")
    run_daemon(stack, ["slurmctld", "-D", "-i"], environment)
    for name in nodes:
        run_daemon(stack, ["slurmd", "-D", "-N", name], environment)

    def states():
        # "idle*" is a node that has not answered yet.
        return run(["sinfo", "-h", "-N", "-o", "%t"], env=environment).stdout.split()

    wait_for(lambda: states() == ["idle"] * len(nodes), "idle nodes", deadline=60)
    return environment


def run_daemon(stack, words, environment):
    process = subprocess.Popen([os.fspath(word) for word in words], env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def end():
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def in_slurm(slurm, *words, **options):
    options.setdefault("cwd", "/tmp")
    options.setdefault("env", slurm)
    return run([*AS_USER, *words], **options)


class Tasks:
    """`wait` is the shell command by which a task says that it is there, and waits for go()."""

    def __init__(self, work, count):
        self.marks = work.directory("marks")
        self.count = count
        gate = work.path / "gate"
        os.mkfifo(gate)
        os.chown(gate, 1000, 1000)
        self.gate = os.open(gate, os.O_RDWR)
        self.wait = f"echo $$ > {self.marks}/$SLURM_PROCID; read line < {gate}"

    def wait_for_all(self):
        def are_there():
            return sum(file.stat().st_size > 0 for file in self.marks.iterdir()) == self.count

        wait_for(are_there, f"{self.count} tasks", deadline=60)

    def pid(self, task):
        return int((self.marks / str(task)).read_text())

    def go(self):
        os.write(self.gate, b"\n" * self.count)

    def close(self):
        os.close(self.gate)
