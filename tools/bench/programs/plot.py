# SPDX-License-Identifier: MIT
"""matplotlib draws into memory."""

import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot  # noqa: E402

matplotlib.pyplot.plot(range(100))
matplotlib.pyplot.savefig(io.BytesIO(), format="png")
