# SPDX-License-Identifier: MIT
"""Programs that use a mounted tree in five ways and compare everything with its source.

Usage: readers.py MOUNT SOURCE KIND...
Each KIND (read, mmap, list, stat, exec) is a process. All of them run until standard input is
closed, and then print one line of JSON: operations, bytes, errors, and the slowest operation in
seconds."""

import hashlib
import json
import mmap
import os
import random
import select
import subprocess
import sys
import time


class Tree:
    def __init__(self, root):
        self.root = root
        self.files, self.directories, self.objects = [], [], []
        for directory, names, files in os.walk(root):
            inside = os.path.relpath(directory, root)
            self.directories.append(inside)
            for name in names + files:
                path = os.path.join(inside, name)
                self.objects.append(path)
                if name in files and not os.path.islink(os.path.join(root, path)):
                    self.files.append(path)
        self.programs = [path for path in self.files if path.endswith("/true")]
        self.digests = {}

    def digest(self, path):
        if path not in self.digests:
            with open(os.path.join(self.root, path), "rb") as file:
                self.digests[path] = hashlib.sha256(file.read()).digest()
        return self.digests[path]


def use(kind, mount, tree):
    """One operation and the bytes it has compared. Raises on anything that is not as in the
    source."""
    if kind in ("read", "mmap"):
        path = random.choice(tree.files)
        wanted = tree.digest(path)
        begin = time.monotonic()
        with open(os.path.join(mount, path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if kind == "mmap" and size != 0:
                with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                    found = hashlib.sha256(content).digest()
            else:
                found = hashlib.sha256(file.read()).digest()
        assert found == wanted, f"{path}: other bytes"
        return time.monotonic() - begin, size
    if kind == "list":
        path = random.choice(tree.directories)
        wanted = sorted(os.listdir(os.path.join(tree.root, path)))
        begin = time.monotonic()
        assert sorted(os.listdir(os.path.join(mount, path))) == wanted, f"{path}: other names"
        return time.monotonic() - begin, 0
    if kind == "stat":
        path = random.choice(tree.objects)
        wanted = os.lstat(os.path.join(tree.root, path))
        begin = time.monotonic()
        found = os.lstat(os.path.join(mount, path))
        assert (found.st_mode, found.st_mtime // 1) == (wanted.st_mode, wanted.st_mtime // 1), path
        return time.monotonic() - begin, 0
    path = random.choice(tree.programs)
    begin = time.monotonic()
    subprocess.run([os.path.join(mount, path)], check=True)
    return time.monotonic() - begin, 0


def run(kind, mount, tree, writer):
    result = {"operations": 0, "bytes": 0, "slowest": 0.0, "errors": []}
    random.seed(os.getpid())
    while not select.select([0], [], [], 0)[0]:
        try:
            seconds, size = use(kind, mount, tree)
            result["operations"] += 1
            result["bytes"] += size
            result["slowest"] = max(result["slowest"], seconds)
        except Exception as error:  # pylint: disable=broad-except
            if len(result["errors"]) < 5:
                result["errors"].append(f"{kind}: {error!r}")
    os.write(writer, (json.dumps(result) + "\n").encode())


def main(mount, source, *kinds):
    tree = Tree(source)
    reader, writer = os.pipe()
    children = []
    for kind in kinds:
        child = os.fork()
        if child == 0:
            run(kind, mount, tree, writer)
            os._exit(0)
        children.append(child)
    os.close(writer)
    print("begun", flush=True)
    with os.fdopen(reader) as lines:
        results = [json.loads(line) for line in lines]
    for child in children:
        os.waitpid(child, 0)
    print(json.dumps({
        "operations": sum(one["operations"] for one in results),
        "bytes": sum(one["bytes"] for one in results),
        "slowest": max(one["slowest"] for one in results),
        "errors": [error for one in results for error in one["errors"]],
        "readers": len(results)}))


main(*sys.argv[1:])
