# SPDX-License-Identifier: MIT
"""Processes, mounts, and waiting for what happens to them."""

import os
import re
import signal
import subprocess
import time

USER = 1000
AS_USER = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--"]
DEADLINE = 20.0


def wait_for(condition, what, deadline=DEADLINE):
    """The first true value of `condition`; fails when there is none in time."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"still waiting for: {what}"
        time.sleep(0.01)


def run(args, user=False, timeout=120, **options):
    """Runs to the end; output as text unless text=False."""
    command = (AS_USER if user else []) + [os.fspath(arg) for arg in args]
    options.setdefault("stdin", subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    options.setdefault("text", True)
    if options["text"]:
        options.setdefault("errors", "surrogateescape")
    options.setdefault("cwd", "/")
    return subprocess.run(command, capture_output=True, timeout=timeout, **options)


def check(args, **options):
    result = run(args, **options)
    assert result.returncode == 0, f"{args}: {result.returncode}: {result.stdout}{result.stderr}"
    return result


def status(pid):
    """/proc/PID/status as a dict, or nothing."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def is_running(pid):
    """Zombies are not: the init of a container may never reap them. One with other threads is: they
    still have its files."""
    facts = status(pid)
    return facts.get("State", "Z")[:1] not in "ZX" or int(facts.get("Threads", 1)) > 1


def processes_of(program):
    """Pids that run `program` (a path nobody else uses)."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            target = os.readlink(f"/proc/{name}/exe")
        except OSError:
            continue
        if target.removesuffix(" (deleted)") == os.fspath(program) and is_running(int(name)):
            found.append(int(name))
    return found


def unmount(path):
    """What used it may have ended just now, and hold it for a moment more."""
    wait_for(lambda: run(["umount", path]).returncode == 0, f"the unmount of {path}")


def unescape(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mounts_below(path):
    """The lines of mountinfo at or below `path`, as dicts, oldest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, right = line.rstrip("\n").split(" - ", 1)
            words = left.split(" ")
            kind, source, super_options = right.split(" ", 2)
            mountpoint = unescape(words[4])
            if mountpoint == os.fspath(path) or mountpoint.startswith(f"{path}/"):
                found.append(
                    {
                        "mountpoint": mountpoint,
                        "options": words[5].split(","),
                        "type": kind,
                        "source": unescape(source),
                        "super_options": super_options.split(","),
                    }
                )
    return found


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill_all(pids):
    signal_all(pids, signal.SIGKILL)


def end_processes(pids):
    kill_all(pids)
    for pid in pids:
        wait_for(lambda pid=pid: not is_running(pid), f"the end of {pid}")
