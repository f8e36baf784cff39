# SPDX-License-Identifier: MIT
"""Trees as {path: {attribute: value}}, and what differs between two of them."""

from support.processes import run



def parse(text):
    tree = {}
    for line in text.splitlines():
        path, *fields = line.split("\t")
        tree[path] = dict(field.split("=", 1) for field in fields)
    return tree


def digest(program, *args, user=False):
    result = run([program, *args], user=user, timeout=300)
    assert result.returncode == 0, f"{program} {args}: {result.stderr}"
    return parse(result.stdout)


def without(tree, *names, types=None):
    """A copy without the attributes that begin with one of `names`."""
    return {
        path: {
            key: value
            for key, value in fields.items()
            if not (key.startswith(names) and (types is None or fields["type"] in types))
        }
        for path, fields in tree.items()
    }


def difference(expected, actual, limit=12):
    """Readable lines, none when equal."""
    lines = []
    for path in sorted(expected.keys() | actual.keys()):
        if path not in actual:
            lines.append(f"{path}: missing")
        elif path not in expected:
            lines.append(f"{path}: should not be there")
        else:
            left, right = expected[path], actual[path]
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
