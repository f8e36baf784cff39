# SPDX-License-Identifier: MIT
"""A Slurm of one node for the tests: slurmctld, slurmd and munged, and the plugin of the build."""

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

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={path}/munge/socket
CredType=cred/munge
StateSaveLocation={path}/state
SlurmdSpoolDir={path}/spool
SlurmctldPidFile={path}/slurmctld.pid
SlurmdPidFile={path}/slurmd.pid
SlurmctldLogFile={path}/slurmctld.log
SlurmdLogFile={path}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 Boards=1 SocketsPerBoard=1 CoresPerSocket=64 \
ThreadsPerCore=1 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
SlurmdParameters=config_overrides
PlugStackConfig={path}/plugstack.conf
"""


@pytest.fixture(scope="module")
def slurm(session_dir, binary, programs):
    """slurmctld and slurmd of the tests alone; yields the environment that their clients need."""
    for tool in ["slurmctld", "slurmd", "munged", "srun"]:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (slurmctld, slurmd, slurm-client, munge)")
    with contextlib.ExitStack() as stack:
        ensure_account(stack)
        path = Path(tempfile.mkdtemp(prefix="slurm-", dir=session_dir))
        path.chmod(0o755)
        write_plugstack(path, binary, programs)
        yield start_slurm(path, stack)


def plugin_of(binary):
    return binary.parents[1] / "spank" / "spank_squenv.so"


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


def start_slurm(path, stack):
    for name in ["spool", "state", "munge"]:
        (path / name).mkdir(parents=True)
    shutil.chown(path / "munge", "munge", "munge")
    key = path / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    shutil.chown(key, "munge", "munge")
    host = socket.gethostname().split(".")[0]
    ports = free_ports(2)
    (path / "slurm.conf").write_text(CONFIGURATION.format(path=path, host=host, ports=ports),
                                     encoding="ascii")
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
    run_daemon(stack, ["slurmd", "-D", "-N", host], environment)
    # "idle*" is a node that has not answered yet.
    wait_for(lambda: run(["sinfo", "-h", "-o", "%t"], env=environment).stdout.split() == ["idle"],
             "an idle node", deadline=60)
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
