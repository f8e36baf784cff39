# SPDX-License-Identifier: MIT
"""Trees as {path: attributes}, and what differs between two of them. Attributes are text, as
tree_record.h has it, because most of 70,000 are equal and need no dict each."""

import re

from support.processes import run


def parse(text):
    tree = {}
    for line in text.splitlines():
        path, tab, attributes = line.partition("\t")
        tree[path] = tab + attributes
    return tree


def digest(program, *args, user=False):
    result = run([program, *args], user=user, timeout=300)
    assert result.returncode == 0, f"{program} {args}: {result.stderr}"
    return parse(result.stdout)


def has_errors(tree):
    return any("\terror=" in attributes for attributes in tree.values())


def without(tree, *names, only=""):
    """A copy without the attributes that begin with one of `names`; of one type only, if named."""
    dropped = re.compile(rf"\t(?:{'|'.join(map(re.escape, names))})[^\t=]*=[^\t]*")
    return {path: dropped.sub("", attributes) if attributes.startswith(f"\ttype={only}")
            else attributes for path, attributes in tree.items()}


def fields(attributes):
    return dict(field.split("=", 1) for field in attributes.split("\t")[1:])


def difference(expected, actual, limit=12):
    """Readable lines, none when equal."""
    lines = []
    for path in sorted(expected.keys() | actual.keys()) if expected != actual else []:
        if path not in actual:
            lines.append(f"{path}: missing")
        elif path not in expected:
            lines.append(f"{path}: should not be there")
        elif expected[path] != actual[path]:
            left, right = fields(expected[path]), fields(actual[path])
            for key in sorted(left.keys() | right.keys()):
                if left.get(key) != right.get(key):
                    lines.append(
                        f"{path}: {key}: expected {left.get(key)!s:.120}, "
                        f"is {right.get(key)!s:.120}"
                    )
    if len(lines) > limit:
        lines[limit:] = [f"... and {len(lines) - limit} more"]
    return lines


def assert_same(expected, actual, what):
    lines = difference(expected, actual)
    assert not lines, f"{what}:\n  " + "\n  ".join(lines)
