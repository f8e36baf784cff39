# SPDX-License-Identifier: MIT
"""python -m squenv: becomes the program."""

import os
import sys

from squenv import find_squenv

if __name__ == "__main__":
    try:
        program = find_squenv()
    except FileNotFoundError as error:
        sys.exit(str(error))
    os.execv(program, [program] + sys.argv[1:])
