# SPDX-License-Identifier: MIT
"""Programs on another root file system, as the first process of a container would see it."""

import ctypes
import os
import subprocess

CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
libc = ctypes.CDLL(None, use_errno=True)


def call(name, result):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def mount(source, target, kind, flags):
    call(f"mount {target}", libc.mount(source.encode(), os.fsencode(target), kind, flags, None))


def enter(root, uid, devices):
    """pivot_root, because the kernel refuses user namespaces in a chroot. Not back again."""
    call("unshare", libc.unshare(CLONE_NEWNS))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(os.fspath(root), root, None, MS_BIND | MS_REC)
    for name in ["proc", *devices]:
        target = os.path.join(root, name)
        if os.path.isdir(f"/{name}"):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        mount(f"/{name}", target, None, MS_BIND | MS_REC)
    os.chdir(root)
    call("pivot_root", libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"."))
    call("umount", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    if uid != 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)


def run_in(root, words, uid=0, devices=("dev/fuse", "dev/null"), **variables):
    """Runs a program of that root, with the devices of this machine; PATH is empty by default."""
    environment = {"HOME": "/tmp", "PATH": "/nothing", **variables}
    return subprocess.run([os.fspath(word) for word in words], env=environment,
                          preexec_fn=lambda: enter(root, uid, devices), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)
