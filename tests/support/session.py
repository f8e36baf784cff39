# SPDX-License-Identifier: MIT
"""One test's directory, its mounts, and how they end."""

import json
import os
import signal
import subprocess
from pathlib import Path

from support.processes import (
    AS_USER,
    end_processes,
    is_running,
    kill_all,
    mounts_below,
    processes_of,
    run,
    signal_all,
    status,
    wait_for,
)


def build_of(binary):
    """The build directory with the helpers of tests, which need not be that of the program."""
    return Path(os.environ.get("SQUENV_BUILD", binary.parents[2]))


class Mount:
    """A mount that was made; `pid` is the daemon's."""

    def __init__(self, work, path, user):
        self.work = work
        self.path = Path(path)
        self.user = user
        self.pid = self.stats()["pid"]

    def stats(self):
        result = self.work.squenv("stats", "--json", self.path, user=self.user)
        assert result.returncode == 0, (result.returncode, result.stderr)
        return json.loads(result.stdout)

    def requests(self):
        """How many the kernel sent, without those that asking this takes."""
        statistics = self.stats()
        kinds = statistics["requests_by_kind"]
        return statistics["requests"] - kinds["ioctl"] - kinds["opendir"]

    def servers(self):
        """The processes that answer for the daemon, or would."""
        return [pid for pid in processes_of(self.work.programs / "squenv")
                if status(pid).get("PPid") == str(self.pid)
                and status(pid).get("Name") in ("squenv-server", "squenv-standby")]

    def stop(self):
        """None of them takes over from another that is killed then. Returns all."""
        pids = [self.pid]
        signal_all(pids, signal.SIGSTOP)  # it makes no other
        wait_for(lambda: status(self.pid).get("State", "T").startswith("T"), "the stop")
        pids += self.servers()
        signal_all(pids, signal.SIGSTOP)
        return pids

    def kill(self, with_keeper=False):
        """All that serves it."""
        pids = ([self.keeper()] if with_keeper else []) + self.stop()
        kill_all(pids)
        for pid in pids:
            wait_for(lambda pid=pid: not is_running(pid), f"the end of {pid}")

    def keeper(self):
        """The process that unmounts when the daemon cannot."""

        def keepers():
            pids = [
                pid
                for pid in processes_of(self.work.programs / "squenv")
                if status(pid).get("Name") == "squenv-supervis"
            ]
            return pids if len(pids) == 1 else []  # its children have its name

        return wait_for(keepers, "a single keeper")[0]

    def umount(self):
        result = self.work.squenv("umount", self.path, user=self.user)
        assert result.returncode == 0, (result.returncode, result.stderr)
        self.wait_until_gone()

    def is_mounted(self):
        return bool(mounts_below(self.path))

    def wait_until_gone(self):
        wait_for(lambda: not is_running(self.pid), f"the end of daemon {self.pid}")
        wait_for(lambda: not self.is_mounted(), f"the unmount of {self.path}")


class Work:
    """What a test works with. Everything a user does is done by uid 1000."""

    def __init__(self, path, programs):
        self.path = path
        self.programs = programs
        self.started = []

    def command(self, *args, user=True, program="squenv"):
        return (AS_USER if user else []) + [
            os.fspath(self.programs / program), *map(os.fspath, map(_text, args))
        ]

    def squenv(self, *args, user=True, program="squenv", **options):
        return run(self.command(*args, user=user, program=program), **options)

    def start(self, command, **options):
        """A process that is ended with the test."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(command, cwd="/", **options)
        self.started.append(process)
        return process

    def directory(self, name, user=True):
        path = self.path / name
        path.mkdir()
        if user:
            os.chown(path, 1000, 1000)
        return path

    def mount(self, image, name="mnt", options=None, user=True, program="squenv", extra=()):
        """Mounts and says where; the directory is made when it is not there."""
        path = Path(name) if os.path.isabs(name) else self.path / name
        if not mounts_below(path) and not path.exists():
            path.mkdir()
            os.chown(path, 1000, 1000)
        words = ["mount"] if program == "squenv" else []
        words += [*extra, *(["-o", options] if options else []), image, path]
        result = self.squenv(*words, user=user, program=program)
        assert result.returncode == 0, (result.returncode, result.stderr)
        return Mount(self, path, user)

    def mount_at(self, path, user=True):
        """What another program has mounted there."""
        return Mount(self, path, user)

    def clean_up(self):
        """Ends everything; says what should have ended before."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        program = self.programs / "squenv"
        left = []
        try:
            wait_for(lambda: not processes_of(program) and not mounts_below(self.path), "the end")
        except AssertionError:
            left += [f"mount {entry['mountpoint']} of type {entry['type']}"
                     for entry in mounts_below(self.path)]
            self.unmount_all()
            pids = processes_of(program)
            left += [f"process {pid} ({status(pid).get('Name')})" for pid in pids]
            end_processes(pids)
        self.unmount_all()
        return left

    def unmount_all(self):
        for entry in reversed(mounts_below(self.path)):
            run(["umount", "-l", entry["mountpoint"]])  # or its keeper did meanwhile


def _text(word):
    return word if isinstance(word, (str, bytes, os.PathLike)) else str(word)
