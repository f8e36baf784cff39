# SPDX-License-Identifier: MIT
"""pytest runs forty tests, which are in this file."""

import decimal
import json
import sys

import pytest


@pytest.mark.parametrize("number", range(40))
def test_numbers(number):
    assert decimal.Decimal(json.dumps(number)) == number


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
