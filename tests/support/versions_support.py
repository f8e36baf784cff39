# SPDX-License-Identifier: MIT
"""An environment of a user with versions, and machines on which something is missing."""

import hashlib
import json
import os
import subprocess

import pytest

from pack_support import compiled
from support.processes import check, run

ONE, OTHER = 1000, 1001
GROUP = 34322


def as_user(uid, gid=None, groups=()):
    words = ["setpriv", "--reuid", str(uid), "--regid", str(uid if gid is None else gid),
             "--inh-caps=-all"]
    return words + (["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"])


class Versioned:
    """`env.squashfs` in a directory, packed from a tree with the file `v`."""

    def __init__(self, work, name="place"):
        self.work = work
        self.directory = work.directory(name)
        self.image = self.directory / "env.squashfs"
        self.versions = self.directory / "env.squashfs.versions"
        self.tree = self.directory / "tree"
        self.tree.mkdir()
        os.chown(self.tree, ONE, ONE)
        self.texts = {}

    def squenv(self, *words, **options):
        return self.work.squenv(*words, **options)

    def write(self, text):
        (self.tree / "v").write_text(f"{text}\n", encoding="ascii")

    def pack(self, text, *options, image=None, user=True, **more):
        self.write(text)
        done = self.squenv("pack", self.tree, "-o", image or self.image, *options, user=user,
                           **more)
        assert done.returncode == 0, done.stderr
        self.texts[digest_of(image or self.image)] = str(text)
        return done

    def made(self, *texts, **more):
        """One version for each text, from nothing."""
        for text in texts:
            self.pack(text, "-f", "--keep", **more)
        return self

    def content(self, number=None, user=True):
        name = self.image if number is None else f"{self.image}@{number}"
        done = self.squenv("cat", name, "v", user=user)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def contents(self, **more):
        """The text of each version: by its file, if that is known."""
        return {version["number"]: self.texts.get(digest_of(version["path"]))
                or self.content(version["number"], **more) for version in self.history(**more)}

    def history(self, **more):
        done = self.squenv("history", "--json", self.image, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def numbers(self, **more):
        return [version["number"] for version in self.history(**more)]

    def current(self, **more):
        (version,) = [version for version in self.history(**more) if version["current"]]
        return version

    def rollback(self, *options, **more):
        done = self.squenv("rollback", self.image, *options, **more)
        assert done.returncode == 0, done.stderr
        return done

    def prune(self, *options, **more):
        done = self.squenv("prune", "--json", self.image, *options, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def log(self):
        lines = (self.versions / "log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def names(self):
        """What is in the directory of versions, without what is always there."""
        return sorted(set(os.listdir(self.versions)) - {"log", "lock"})


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_image(path):
    with open(path, "rb") as file:
        return file.read(4) == b"hsqs"


def lacking_library(programs, directory):
    """For lacking(): a library in front of the system's, which a static program does not load."""
    if "static" in check([programs / "squenv", "--version"]).stdout.split():
        pytest.skip("a static program loads no library")
    return compiled("lacking_files", directory)


def lacking(library, *what, **more):
    """The environment of a program that lacks something."""
    return dict(os.environ, LD_PRELOAD=library, **{name: "1" for name in what}, **more)


def run_as(uid, command, umask=0o022, group=None, groups=(), **more):
    return run([*as_user(uid, group, groups), *map(os.fspath, command)], umask=umask, **more)


def in_parallel(commands, **more):
    processes = [subprocess.Popen(list(map(os.fspath, command)), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, **more)
                 for command in commands]
    ends = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    for _, errors, status in ends:
        assert status == 0, errors
