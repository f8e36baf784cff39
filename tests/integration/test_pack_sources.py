# SPDX-License-Identifier: MIT
"""Trees that are not what they seem: file systems that say what is not so, mounts of images,
environments that need more than they have, times that change."""
import json
import os
import random
import struct
import sys

import pytest

from pack_support import IS_ROOT, PACK, SQUENV, describe, mounted, names_in, run

SHIM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support",
                    "lying_files.c")
needs_mount = pytest.mark.skipif(not IS_ROOT or not os.path.exists("/dev/fuse")
                                 or not os.path.exists(SQUENV), reason="needs FUSE mounts")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    library = tmp_path_factory.mktemp("shim") / "lying_files.so"
    run(os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl")
    return library


def pack_with_lies(shim, tree, image, *options, **lies):
    return run(PACK, "-q", "--verify", tree, "-o", image, *options,
               env=dict(os.environ, LD_PRELOAD=os.fspath(shim), **lies))


def unpacked(image, target):
    run("unsquashfs", "-no-progress", "-quiet", "-d", target, image)
    return target


@pytest.fixture
def sparse(tmp_path):
    """Data at the beginning, in the middle and at the end, of files that are large and alike."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("one", "two", "middle"):
        with open(tree / name, "wb") as file:
            for at in ([5_000_000] if name == "middle" else [0, 3 << 20, 9_000_001, 20 << 20]):
                file.seek(at)
                file.write(name.encode() if name == "middle" else b"data")
            file.truncate((24 << 20) + 5)
    with open(tree / "nothing", "wb") as file:
        file.truncate(8 << 20)
    return tree


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 7])
def test_data_that_is_called_a_hole(shim, sparse, tmp_path, call):
    pack_with_lies(shim, sparse, tmp_path / "image", HOLE_AT=str(call))
    out = unpacked(tmp_path / "image", tmp_path / "out")
    for name in os.listdir(sparse):
        assert (out / name).read_bytes() == (sparse / name).read_bytes(), name
    run(PACK, "-q", sparse, "-o", tmp_path / "honest")
    assert (tmp_path / "image").read_bytes() == (tmp_path / "honest").read_bytes()


def test_holes_in_many_pieces_are_not_read(tmp_path):
    """The map of the blocks of such a file takes a block itself, which is no data."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with open(tree / "huge", "wb") as file:
        for i in range(40):
            file.seek(i << 34)
            file.write(b"piece %d" % i)
        file_system = run("stat", "-f", "-c", "%T", tree).stdout.strip()
        if file_system not in (b"ext2/ext3", b"xfs", b"btrfs", b"tmpfs"):
            pytest.skip("holes of this file system are read")
    run(PACK, "-q", tree, "-o", tmp_path / "image", timeout=60)
    assert os.stat(tmp_path / "image").st_size < 64 << 20


def test_numbers_that_do_not_last(shim, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    rng = random.Random(2)
    for i in range(9):
        (tree / str(i)).write_bytes(rng.randbytes(300_000 * i))
    pack_with_lies(shim, tree, tmp_path / "image", NEW_NUMBERS="1")
    run(PACK, "-q", tree, "-o", tmp_path / "honest")
    assert (tmp_path / "image").read_bytes() == (tmp_path / "honest").read_bytes()


def write_module(packages, name, text, mtime):
    (packages / name).write_text(text)
    os.utime(packages / name, (0, mtime))


@pytest.fixture
def environment(tmp_path):
    root = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", root)
    packages = next((root / "lib").glob("python3.*")) / "site-packages"
    write_module(packages, "probe.py", "VALUE = 42\n", 1_700_000_000)
    write_module(packages, "stale.py", "VALUE = 1\n", 1_600_000_000)
    run(root / "bin" / "python", "-m", "compileall", "-q", packages)
    write_module(packages, "stale.py", "VALUE = 2\n", 1_700_000_000)
    return root, packages


@pytest.mark.parametrize("how", ["SOURCE_DATE_EPOCH", "--mtime", "--from-image"])
@pytest.mark.parametrize("time", ["315532800", "1600000000"])
def test_compiled_modules_get_the_times_of_their_sources(environment, tmp_path, how, time):
    root, packages = environment
    image = tmp_path / "image"
    env = dict(os.environ, SOURCE_DATE_EPOCH=time)
    if how == "--mtime":
        run(PACK, "-q", "--verify", root, "-o", image, "--mtime", time)
    elif how == "SOURCE_DATE_EPOCH":
        run(PACK, "-q", "--verify", root, "-o", image, env=env)
    else:
        run(PACK, "-q", root, "-o", tmp_path / "first")
        run(PACK, "-q", "--verify", "--from-image", tmp_path / "first", "-o", image, env=env)
    out = unpacked(image, tmp_path / "out")
    said = run(out / "bin" / "python", "-B", "-v", "-c",
               "import probe, stale; print(probe.VALUE, stale.VALUE)")
    assert said.stdout == b"42 2\n"
    assert b"bytecode is stale for 'probe'" not in said.stderr
    assert b"bytecode is stale for 'stale'" in said.stderr
    # Nothing in the tree itself is touched.
    form = next((packages / "__pycache__").glob("probe.*"))
    assert struct.unpack_from("<I", form.read_bytes(), 8)[0] == 1_700_000_000


def test_packages_of_the_system_are_said(tmp_path):
    root = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", root)
    done = run(PACK, "--json", root, "-o", tmp_path / "image")
    assert b"squenv-pack: pyvenv.cfg: include-system-site-packages = true" in done.stderr
    report = json.loads(done.stdout)
    assert report["python"]["system_site_packages"] is True
    assert "pyvenv.cfg" in [finding["path"] for finding in report["findings"]]


def test_an_interpreter_that_is_not_here_is_said(environment, tmp_path):
    root, _ = environment
    (root / "bin" / "python3").unlink()
    (root / "bin" / "python3").symlink_to(tmp_path / "module" / "bin" / "python3")
    text = (root / "pyvenv.cfg").read_text()
    lines = [f"home = {tmp_path}/module/bin" if line.startswith("home") else line
             for line in text.splitlines()]
    (root / "pyvenv.cfg").write_text("\n".join(lines) + "\n")
    message = run(PACK, root, "-o", tmp_path / "image").stderr.decode()
    advice = "load the module or start the uenv it was made with"
    assert f"squenv-pack: bin/python3: leads to {tmp_path}/module/bin/python3, " \
        f"which is not here; {advice}" in message
    assert f"squenv-pack: pyvenv.cfg: home = {tmp_path}/module/bin, which is not here" in message


def test_faults_of_many_files_are_one_line(environment, tmp_path):
    root, packages = environment
    for i in range(50):
        script = root / "bin" / f"tool-{i}"
        script.write_text("#!/old/place/bin/python3\n")
    done = run(PACK, root, "-o", tmp_path / "image")
    lines = [line for line in done.stderr.decode().splitlines() if "/old/place" in line]
    assert lines == ["squenv-pack: bin/tool-0, bin/tool-1, bin/tool-10 and 47 more: runs with "
                     "/old/place/bin/python3; make the environment anew at its path, or pack it "
                     "from there"]


def test_summary_of_a_tiny_tree_has_no_percentage(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("tiny")
    text = run(PACK, tmp_path / "tree", "-o", tmp_path / "image").stdout.decode()
    assert text.splitlines()[0].endswith(" of 4 B")
    (tmp_path / "tree" / "file").write_text("large" * 100_000)
    text = run(PACK, "-f", tmp_path / "tree", "-o", tmp_path / "image").stdout.decode()
    assert text.splitlines()[0].endswith("%)")


@needs_mount
def test_a_tree_that_a_run_has_just_left(tmp_path):
    """Its mount goes some milliseconds later. What is packed is the tree, not the image over it."""
    tree, image = tmp_path / "tree", tmp_path / "tree.squashfs"
    tree.mkdir()
    run(PACK, "-q", tree, "-o", image)
    for number in range(5):
        (tree / f"new{number}").write_text("new")
        run(SQUENV, "run", "--force", f"{image}:{tree}", "--", "true")
        run(PACK, "-q", "-f", tree, "-o", image)
        assert f"new{number}" in names_in(image)


@needs_mount
def test_an_image_is_not_packed_from_its_own_mount(tmp_path):
    tree, image = tmp_path / "tree", tmp_path / "tree.squashfs"
    tree.mkdir()
    run(PACK, "-q", tree, "-o", image)
    before = image.read_bytes()
    run(SQUENV, "mount", image, tree)
    try:
        done = run(PACK, "-q", "-f", tree, "-o", image, check=False)
    finally:
        run(SQUENV, "umount", tree)
    assert done.returncode == 2 and f"shows {image}, which it would be" in done.stderr.decode()
    assert f"'squenv umount {tree}' first" in done.stderr.decode()
    assert image.read_bytes() == before


@needs_mount
def test_a_mount_of_an_image_is_said(tmp_path):
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "file").write_text("old")
    run(PACK, "-q", tree, "-o", tmp_path / "image")
    before = describe(tree)
    with mounted([SQUENV, "mount", "-q", tmp_path / "image"], [SQUENV, "umount", "-q"]) as point:
        done = run(PACK, point, "-o", tmp_path / "again")
        message = done.stderr.decode()
        assert f"squenv-pack: {point} is a mount of {tmp_path}/image: " in message
        assert f"'squenv umount {point}' first" in message
        done = run(PACK, os.path.join(point, "below"), "-o", tmp_path / "part")
        message = done.stderr.decode()
        assert f"{point}/below lies in {point}, a mount of {tmp_path}/image: " in message
        assert run(PACK, "-q", point, "-f", "-o", tmp_path / "again").stderr == b""
    assert describe(unpacked(tmp_path / "again", tmp_path / "out")).keys() == before.keys()
    assert run(PACK, tree, "-f", "-o", tmp_path / "again").stderr == b""
