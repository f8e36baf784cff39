# SPDX-License-Identifier: MIT
"""Images in the shape that stackinator gives them, and repositories as uenv keeps them."""

import hashlib
import json
import os
import shutil
import sqlite3

from support.processes import check

SCHEMA = """
CREATE TABLE images (sha256 TEXT PRIMARY KEY CHECK(length(sha256)==64),
    id TEXT UNIQUE CHECK(length(id)==16), date TEXT NOT NULL, size INTEGER NOT NULL);
CREATE TABLE uenv (version_id INTEGER PRIMARY KEY, system TEXT NOT NULL, uarch TEXT NOT NULL,
    name TEXT NOT NULL, version TEXT NOT NULL, UNIQUE (system, uarch, name, version));
CREATE TABLE tags (version_id INTEGER, tag TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (version_id, tag),
    FOREIGN KEY (version_id) REFERENCES uenv (version_id) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (sha256) REFERENCES images (sha256) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE VIEW records AS SELECT uenv.system AS system, uenv.uarch AS uarch, uenv.name AS name,
    uenv.version AS version, tags.tag AS tag, images.date AS date, images.size AS size,
    tags.sha256 AS sha256, images.id AS id
    FROM tags INNER JOIN uenv ON uenv.version_id = tags.version_id
    INNER JOIN images ON images.sha256 = tags.sha256;
"""


def view(mount, name, scalar=None, **lists):
    """A view as stackinator writes it; `lists` are prepended."""
    return {
        "activate": f"{mount}/env/{name}/activate.sh",
        "description": f"the {name} view",
        "root": f"{mount}/env/{name}",
        "env": {"version": 1, "type": "spack-view", "values": {
            "list": {variable: [{"op": "prepend", "value": values}]
                     for variable, values in lists.items()},
            "scalar": scalar or {}}},
    }


def env_json(mount, name="prgenv", default=None, views=None):
    if views is None:
        views = {
            "default": view(mount, "default", {"PRGENV": "${@USER_NAME@}", "OLD_VARIABLE": None},
                            PATH=[f"{mount}/env/default/bin"]),
            "tools": view(mount, "tools", PATH=[f"{mount}/env/tools/bin"]),
            "modules": {"activate": "/dev/null", "description": "activate modules",
                        "root": f"{mount}/modules", "env": {"type": "augment", "version": 1,
                        "values": {"scalar": {}, "list": {"MODULEPATH": [
                            {"op": "prepend", "value": [f"{mount}/modules"]}]}}}},
        }
    return {"name": name, "description": f"{name} of the test", "mount": str(mount),
            "default-view": default, "modules": {"root": f"{mount}/modules"}, "views": views}


def make_image(path, mount, meta, inside=True):
    """An image with a program `which-view` in both views; `meta` is in it, or beside it."""
    tree = path.parent / f"{path.name}.tree"
    for name in ["default", "tools"]:
        program = tree / "env" / name / "bin" / "which-view"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\necho "{name} {mount} $PRGENV"\n', encoding="ascii")
        program.chmod(0o755)
    (tree / "modules").mkdir()
    at = (tree if inside else path.parent) / "meta"
    at.mkdir(exist_ok=True)
    text = meta if isinstance(meta, str) else json.dumps(meta)
    (at / "env.json").write_text(text, encoding="utf-8")
    check(["mksquashfs", tree, path, "-noappend", "-quiet", "-no-progress", "-no-xattrs",
           "-comp", "zstd", "-Xcompression-level", "1", "-all-root"])
    shutil.rmtree(tree)
    return path


class Repository:
    """A directory with index.db and images/SHA256/."""

    def __init__(self, path):
        self.path = path
        (path / "images").mkdir(parents=True)
        with sqlite3.connect(path / "index.db") as database:
            database.executescript(SCHEMA)
        database.close()

    def add(self, label, image, meta=None):
        """`label` is name/version:tag@system%uarch. Returns the digest."""
        name, rest = label.split("/")
        version, rest = rest.split(":")
        tag, rest = rest.split("@")
        system, uarch = rest.split("%")
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        store = self.path / "images" / digest
        if not store.exists():
            store.mkdir()
            shutil.copy(image, store / "store.squashfs")
            if meta is not None:
                (store / "meta").mkdir()
                (store / "meta/env.json").write_text(json.dumps(meta), encoding="utf-8")
        with sqlite3.connect(self.path / "index.db") as database:
            database.execute("INSERT OR IGNORE INTO images VALUES (?, ?, ?, ?)",
                             (digest, digest[:16], "2026-03-23", image.stat().st_size))
            database.execute("INSERT OR IGNORE INTO uenv (system, uarch, name, version) "
                             "VALUES (?, ?, ?, ?)", (system, uarch, name, version))
            (number,) = database.execute(
                "SELECT version_id FROM uenv WHERE system = ? AND uarch = ? AND name = ? "
                "AND version = ?", (system, uarch, name, version)).fetchone()
            database.execute("INSERT INTO tags VALUES (?, ?, ?)", (number, tag, digest))
        database.close()
        return digest

    def image(self, digest):
        return self.path / "images" / digest / "store.squashfs"


def environment(**variables):
    """Of an ordinary user, without what the machine's own uenv would set."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/proc/nonexistent", "USER_NAME": "someone",
            **{name: os.fspath(value) for name, value in variables.items()}}
