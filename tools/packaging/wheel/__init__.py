# SPDX-License-Identifier: MIT
"""Where the program of this wheel is."""

import os
import sys
import sysconfig

__all__ = ["find_squenv"]


def find_squenv():
    """The path of the program. Raises FileNotFoundError when the wheel was not installed whole."""
    directories = [sysconfig.get_path("scripts")]
    for scheme in ("posix_user", "osx_framework_user"):
        if scheme in sysconfig.get_scheme_names():
            directories.append(sysconfig.get_path("scripts", scheme))
    # pip install --target DIR puts scripts into DIR/bin.
    directories.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "bin"))
    for directory in directories:
        path = os.path.join(directory, "squenv")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(
        "squenv: the program is not in {}; install the wheel again with '{} -m pip install "
        "--force-reinstall squenv'".format(" or ".join(directories), sys.executable))
