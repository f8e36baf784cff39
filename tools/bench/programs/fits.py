# SPDX-License-Identifier: MIT
"""scipy fits a distribution."""

import scipy.optimize
import scipy.stats

assert scipy.stats.norm.fit([1, 2, 3])[0] == 2
assert scipy.optimize.brentq(lambda x: x - 1, 0, 3) == 1
