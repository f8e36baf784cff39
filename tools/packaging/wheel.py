#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes a wheel of one program: a zip file with a list of its content.

The program is a script of the wheel, so installers put it into bin/ as it is. The same input and
SOURCE_DATE_EPOCH give the same bytes.
"""

import argparse
import base64
import hashlib
import os
import pathlib
import sys
import time
import zipfile

NAME = "squenv"
PACKAGE = pathlib.Path(__file__).resolve().parent / "wheel"
SUMMARY = "Python environments from one file: mounts squashfs images without privilege"
EARLIEST = 315532800  # what a zip file can say: 1980


def entry(path, time_s, mode):
    """The header of one member."""
    info = zipfile.ZipInfo(path, time.gmtime(max(time_s, EARLIEST))[:6])
    info.external_attr = (0o100000 | mode) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    return info


def digest(data):
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def members(options, tag):
    """(path, bytes, mode) of all but RECORD."""
    info = f"{NAME}-{options.version}.dist-info"
    yield (f"{NAME}-{options.version}.data/scripts/{NAME}", options.binary.read_bytes(), 0o755)
    for path in sorted(PACKAGE.glob("*.py")):
        yield f"{NAME}/{path.name}", path.read_bytes(), 0o644
    homepage = f"Home-page: {options.homepage}\n" if options.homepage else ""
    metadata = (f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {options.version}\n"
                f"Summary: {SUMMARY}\n{homepage}Maintainer-email: {options.maintainer}\n"
                "License: MIT\nLicense-File: LICENSE\n"
                "Requires-Python: >=3.6\nClassifier: Operating System :: POSIX :: Linux\n"
                "Description-Content-Type: text/markdown\n\n")
    yield f"{info}/METADATA", metadata.encode() + options.readme.read_bytes(), 0o644
    # One line for each tag that the compressed one in the file's name stands for.
    interpreter, abi, platforms = tag.split("-")
    tags = "".join(f"Tag: {interpreter}-{abi}-{platform}\n" for platform in platforms.split("."))
    yield (f"{info}/WHEEL", ("Wheel-Version: 1.0\nGenerator: squenv\n"
                             f"Root-Is-Purelib: false\n{tags}").encode(), 0o644)
    yield f"{info}/LICENSE", options.license.read_bytes(), 0o644


def make_wheel(options):
    """Writes it and says where it is."""
    time_s = int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST))
    tag = f"py3-none-manylinux_2_17_{options.machine}.musllinux_1_1_{options.machine}"
    path = options.directory / f"{NAME}-{options.version}-{tag}.whl"
    record_path = f"{NAME}-{options.version}.dist-info/RECORD"
    record = ""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data, mode in members(options, tag):
            wheel.writestr(entry(name, time_s, mode), data, compresslevel=9)
            record += f"{name},sha256={digest(data)},{len(data)}\n"
        record += f"{record_path},,\n"
        wheel.writestr(entry(record_path, time_s, 0o644), record, compresslevel=9)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--machine", required=True, help="as 'uname -m' says it")
    parser.add_argument("--maintainer", required=True, help="NAME <ADDRESS>")
    parser.add_argument("--homepage", required=True, help="an address; empty for none")
    parser.add_argument("--readme", required=True, type=pathlib.Path)
    parser.add_argument("--license", required=True, type=pathlib.Path)
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path, help="where the wheel goes")
    try:
        make_wheel(parser.parse_args())
    except OSError as error:
        sys.exit(f"wheel.py: {error.filename}: {error.strerror}; name a file that can be read "
                 "and a directory that can be written")


if __name__ == "__main__":
    main()
