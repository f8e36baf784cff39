# SPDX-License-Identifier: MIT
"""What a run needs: the environment, its image, the recorded lists and the workload program."""

import atexit
import dataclasses
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
IMPORT = (
    "import torch, numpy, scipy.stats, pandas, sklearn.linear_model, matplotlib.pyplot"
)


@dataclasses.dataclass
class Context:
    work: str
    environment: str
    image: str
    squenv: str
    beside: str | None  # another build of it
    is_evicted: bool  # the image is out of the page cache before each mount
    workload: str
    replay_list: str
    file_list: str
    mountpoint: str
    home: str

    def python_environment(self, root):
        """Variables under which the environment's python runs from `root`."""
        site = [f"{root}/lib/{name}" for name in os.listdir(f"{self.environment}/lib")][0]
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": self.home,
            "MPLCONFIGDIR": self.home,
            "LD_LIBRARY_PATH": f"{site}/site-packages/torch/lib",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def large_library(self, root):
        """The largest file of the environment, below `root`."""
        for directory, _, names in os.walk(os.path.join(self.environment, "lib")):
            for name in names:
                if name.startswith("libtorch_cpu.so.1"):
                    inside = os.path.relpath(os.path.join(directory, name), self.environment)
                    return os.path.join(root, inside)
        raise SystemExit("bench: the environment has no libtorch_cpu")


def default_binary():
    return os.path.join(ROOT, "build", "src", "cli", "squenv")


def record_replay(environment, code, target, variables):
    """Traces an import and writes its file operations below `environment`, one a line."""
    with tempfile.NamedTemporaryFile(mode="r", errors="replace") as trace:
        calls = "openat,newfstatat,readlink,getdents64,mmap"
        subprocess.run(
            ["strace", "-f", "-y", "-s", "4096", "-e", f"trace={calls}", "-o", trace.name,
             f"{environment}/bin/python", "-c", code],
            check=True,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        lines = trace.readlines()
    prefix = environment.rstrip("/") + "/"
    with open(target, "w", encoding="utf-8") as out:
        for line in lines:
            found = re.search(r'newfstatat\([^,]*, "([^"]*)"', line)
            if found and found[1].startswith(prefix):
                out.write(f"S {found[1][len(prefix):]}\n")
                continue
            found = re.search(r'openat\([^,]*, "([^"]*)", ([A-Z_|]+)', line)
            if found and found[1].startswith(prefix):
                kind = "D" if "O_DIRECTORY" in found[2] else "M" if ".so" in found[1] else "O"
                out.write(f"{kind} {found[1][len(prefix):]}\n")


def write_file_list(environment, target):
    with open(target, "w", encoding="utf-8", errors="surrogateescape") as out:
        for directory, names, files in os.walk(environment):
            names.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    out.write(os.path.relpath(path, environment) + "\n")


def let_users_in(device):
    """Opens `device` to everybody until this process ends, also by SIGTERM."""
    mode = stat.S_IMODE(os.stat(device).st_mode)
    if mode & 0o666 == 0o666:
        return
    atexit.register(os.chmod, device, mode)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.chmod(device, 0o666)


def mount_fusectl():
    """As systemd does at boot; without it squenv stores nothing ahead. Until this process ends."""
    path = "/sys/fs/fuse/connections"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        if any(line.split(" ")[4] == path for line in file):
            return
    subprocess.run(["mount", "-t", "fusectl", "none", path], check=True)
    atexit.register(subprocess.run, ["umount", path], check=False)


def prepare(arguments):
    work = os.path.abspath(arguments.work)
    os.makedirs(work, exist_ok=True)
    os.chmod(work, 0o755)
    environment = arguments.environment or os.path.join(work, "environment")
    if not arguments.environment:
        subprocess.run([os.path.join(HERE, "environment.sh"), environment], check=True)
    image = arguments.image or os.path.join(work, "reference.squashfs")
    if not os.path.exists(image):
        subprocess.run(
            ["mksquashfs", environment, image, "-comp", "zstd", "-Xcompression-level", "3",
             "-noappend", "-quiet", "-no-progress"],
            check=True,
        )  # fmt: skip
    context = Context(
        work=work,
        environment=os.path.abspath(environment),
        image=os.path.abspath(image),
        squenv=os.path.join(work, "squenv"),
        beside=os.path.join(work, "squenv-beside") if arguments.beside else None,
        is_evicted=arguments.evict,
        workload=os.path.join(work, "workload"),
        replay_list=os.path.join(work, "replay.list"),
        file_list=os.path.join(work, "files.list"),
        mountpoint=os.path.join(work, "mnt"),
        home=os.path.join(work, "home"),
    )
    # The user must be able to run the binary, wherever it was built.
    subprocess.run(["install", "-m", "755", arguments.squenv, context.squenv], check=True)
    if arguments.beside:
        subprocess.run(["install", "-m", "755", arguments.beside, context.beside], check=True)
    source = os.path.join(HERE, "workload.c")
    subprocess.run(["cc", "-O2", "-o", context.workload, source], check=True)
    for directory in (context.mountpoint, context.home):
        os.makedirs(directory, exist_ok=True)
        os.chown(directory, 1000, 1000)
    let_users_in("/dev/fuse")
    mount_fusectl()
    if not os.path.exists(context.replay_list):
        variables = context.python_environment(context.environment)
        record_replay(context.environment, IMPORT, context.replay_list, variables)
    if not os.path.exists(context.file_list):
        write_file_list(context.environment, context.file_list)
    return context
