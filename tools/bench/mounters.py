# SPDX-License-Identifier: MIT
"""The file systems that are compared: how each mounts and unmounts an image."""

import ctypes
import os
import shutil
import subprocess
import time

NAMES = ("kernel", "squenv", "squashfuse_ll", "erofsfuse")
USER = 1000


def as_user(command):
    """The command line that runs `command` as an ordinary user."""
    return ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"] + command


class Mounter:
    """One file system. mount() returns when the mount answers; seconds it took are returned."""

    def __init__(self, name, image, mount_command, is_privileged=False):
        self.name = name
        self.image = image
        self.mount_command = mount_command
        self.is_privileged = is_privileged

    def mount(self, mountpoint):
        command = self.mount_command(self.image, mountpoint)
        start = time.monotonic()
        subprocess.run(
            command if self.is_privileged else as_user(command),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        return time.monotonic() - start

    def enter(self):
        """For a new process, which sees the mount from then on."""

    def unmount(self, mountpoint):
        """Leaves nothing for the system behind it to wait for."""
        serving = self.processes(mountpoint)
        self.end(mountpoint)
        while any(os.path.exists(f"/proc/{pid}") for pid in serving):
            time.sleep(0.01)
        # The kernel lets go of what it knew of the mount after the daemon has ended.
        time.sleep(0.3)

    def end(self, mountpoint):
        for _ in range(50):
            command = ["umount", mountpoint]
            if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return
            time.sleep(0.1)
        subprocess.run(["umount", "-l", mountpoint], check=True)

    def processes(self, mountpoint):
        """Ids of all that serve the mount: none for the kernel."""
        return [] if self.is_privileged else [
            int(pid) for pid in os.listdir("/proc") if pid.isdigit() and serves(pid, mountpoint)
        ]


class Namespace(Mounter):
    """A mount of `squenv run` in a namespace of its own, held by a process there."""

    def __init__(self, name, image, squenv):
        super().__init__(name, image, None)
        self.squenv = squenv
        self.holder = None

    def mount(self, mountpoint):
        hold = ["/bin/sh", "-c", "echo mounted; exec cat"]
        run = [self.squenv, "run", "-q", "--force", "--via", "userns",
               f"{self.image}:{mountpoint}", "--", *hold]
        start = time.monotonic()
        self.holder = subprocess.Popen(as_user(run), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"mounted\n":
            raise RuntimeError(f"{self.image} cannot be mounted in a namespace")
        return time.monotonic() - start

    def enter(self):
        namespace = os.open(f"/proc/{self.holder.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def end(self, mountpoint):
        self.holder.communicate()


def serves(pid, mountpoint):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return mountpoint.encode() in words and b"setpriv" not in words[0]


def erofs_image(context):
    """An uncompressed-size-comparable erofs image of the same tree, or None."""
    target = os.path.join(context.work, "reference.erofs")
    if shutil.which("mkfs.erofs") is None:
        return None
    if not os.path.exists(target):
        made = subprocess.run(
            ["mkfs.erofs", "-zlz4hc", target, context.environment],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if made.returncode != 0:
            return None
    return target


def available(arguments, context):
    """The systems that can be measured here, the kernel first."""
    wanted = arguments.systems.split(",") if arguments.systems else list(NAMES)
    options = ["-o", arguments.options] if arguments.options else []
    found = [
        Mounter(
            "kernel",
            context.image,
            lambda image, at: ["mount", "-o", "loop,ro", "-t", "squashfs", image, at],
            is_privileged=True,
        ),
    ]
    for name, binary in (("squenv", context.squenv), ("beside", context.beside)):
        if binary:
            found.append(
                Mounter(
                    name,
                    context.image,
                    lambda image, at, binary=binary: [binary, "mount", "-q", image, at] + options,
                )
            )
    squashfuse = os.environ.get("BENCH_SQUASHFUSE_LL") or shutil.which("squashfuse_ll")
    if squashfuse:
        found.append(
            Mounter("squashfuse_ll", context.image, lambda image, at: [squashfuse, image, at])
        )
    # Debian 12 has no erofsfuse; name one to include it.
    erofsfuse = os.environ.get("BENCH_EROFSFUSE") or shutil.which("erofsfuse")
    image = erofs_image(context) if erofsfuse and "erofsfuse" in wanted else None
    if image:
        found.append(Mounter("erofsfuse", image, lambda image, at: [erofsfuse, image, at]))
    return [system for system in found if system.name in [*wanted, "beside"]]
