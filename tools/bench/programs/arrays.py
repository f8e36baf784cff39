# SPDX-License-Identifier: MIT
"""Linear algebra with numpy."""

import numpy

assert numpy.linalg.eigvals(numpy.eye(50)).sum() == 50
